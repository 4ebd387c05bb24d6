"""A picture as SVG, drawn from our own layout.

Every shape says by itself what it is (legend below): round ends for inputs, a stack for a collapsed
group, a double frame for what backward starts from, a triangle for a backward node; colours only
repeat it. All text of the trace is escaped, and control characters are replaced by their pictures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from viewers.graph.layout import Diagram, Placed, Point, Rect, layout
from viewers.graph.picture import Cell, Cluster, Picture
from viewers.text import crop

__all__ = ["MONO", "PALETTE", "SANS", "escape", "render", "visible"]

SANS = "Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
MONO = "'JetBrains Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"

#: kind -> (fill, line, text). The background is drawn, so that dark pages do not shine through.
PALETTE = {
    "op": ("#f8fafc", "#475569", "#0f172a"),
    "leaf": ("#eff6ff", "#2563eb", "#1e3a8a"),
    "outside": ("#ffffff", "#64748b", "#334155"),
    "group": ("#eef2ff", "#4f46e5", "#312e81"),
    "module": ("#eef2ff", "#4f46e5", "#312e81"),
    "root": ("#fefce8", "#a16207", "#713f12"),
    "node": ("#fff7ed", "#c2410c", "#7c2d12"),
    "param": ("#ecfdf5", "#0f766e", "#115e59"),
    "grad": ("#fff7ed", "#c2410c", "#9a3412"),
    "error": ("#fef2f2", "#dc2626", "#991b1b"),
}
_PAGE, _INK, _MUTED = "#ffffff", "#0f172a", "#64748b"
_FORWARD, _BACKWARD = "#334155", "#c2410c"
_FRAMES = ("#f8fafc", "#f1f5f9", "#e9eef5")  # modules, by nesting

_TITLE, _SMALL, _PILL = 12.0, 10.0, 9.5  # sizes of text
_MARGIN = 26.0
_APART = 220.0
# Controls, surrogates, and what reorders or hides text: direction overrides, zero-width characters.
_BAD = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff"
    "\ufeff\ufffe\uffff]"
)


# -- text ------------------------------------------------------------------------------------


def visible(text: str) -> str:
    """Text without characters that no XML may hold: controls become their pictures.

    >>> visible("a\\x1b[1m\\n")
    'a␛[1m␊'
    """
    return _BAD.sub(lambda m: chr(0x2400 + ord(m[0])) if m[0] < " " else "\ufffd", text)


def escape(text: str) -> str:
    """Text as it may stand in an element or an attribute.

    >>> escape("<b a='1'>&")
    '&lt;b a=&#39;1&#39;&gt;&amp;'
    """
    text = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&#39;")


def _width(text: str, size: float, bold: bool = False, mono: bool = False) -> float:
    """About how wide a text is: fonts differ, so this is on the large side."""
    if mono:
        return sum(0.61 if ord(c) < 0x1100 else 1.22 for c in text) * size
    total = 0.0
    for c in text:
        if c in "iljtfrI.,:;'|!()[] ":
            total += 0.36
        elif c in "mwMW@%":
            total += 0.9
        elif c.isupper() or ord(c) >= 0x1100:
            total += 0.72 if ord(c) < 0x1100 else 1.1
        else:
            total += 0.57
    return total * size * (1.06 if bold else 1.0)


# -- measuring -------------------------------------------------------------------------------


@dataclass(slots=True)
class _Face:
    """One framed text of a cell."""

    kind: str
    title: str
    second: str  # detail and shape
    note: str
    error: str
    down: bool = False  # a node whose gradients go down the page
    w: float = 0.0
    h: float = 0.0


@dataclass(slots=True)
class _Shape:
    """A cell with its pills and its backward side: measured, and where its parts are."""

    face: _Face
    w: float = 0.0
    h: float = 0.0
    at: float = 0.0  # left of the face
    pills: tuple[str, ...] = ()  # left of it
    pills_w: float = 0.0
    back: _Face | None = None
    back_at: float = 0.0
    grads: tuple[str, ...] = ()  # right of everything
    grads_w: float = 0.0

    @property
    def out(self) -> float:
        """Where forward arrows meet the cell."""
        return self.at + self.face.w / 2

    def short(self, backward: bool) -> float:
        """How much lower than the cell's edge the face is that an arrow meets."""
        face = self.back if backward and self.back is not None else self.face
        return (self.h - face.h) / 2

    @property
    def back_out(self) -> float:
        """Where backward arrows meet the cell."""
        if self.back is not None:
            return self.back_at + self.back.w / 2
        return self.out + min(16.0, self.face.w / 4)


def _face(face: _Face) -> _Face:
    icon = 14.0 if face.kind == "node" else 0.0
    widths = [
        _width(face.title, _TITLE, bold=True) + icon,
        _width(face.second, _SMALL, mono=True),
        _width(face.note, _SMALL),
        _width(face.error, _SMALL),
    ]
    lines = 1 + bool(face.second) + bool(face.note) + bool(face.error)
    face.w = max(56.0, max(widths) + 22.0)
    face.h = 12.0 + 14.0 * lines
    return face


def _shape_of(cell: Cell) -> _Shape:
    second = "  ".join(filter(None, (crop(cell.detail, 28), cell.shape)))
    kind = "error" if cell.error else cell.kind
    if cell.is_root and kind in ("op", "group", "module"):
        kind = f"{kind} root"
    title, note = crop(cell.title, 40), crop(cell.note, 40)
    face = _face(_Face(kind, title, second, note, crop(cell.error, 60)))
    face.down = cell.kind == "node"
    shape = _Shape(face)
    pills = tuple(crop(p, 36) for p in cell.pills)
    if pills and cell.kind == "node":
        shape.grads = pills
    elif pills and not (cell.backward is None and cell.grads):
        shape.pills = pills
    elif pills:
        shape.grads = pills
    if cell.backward is not None:
        side = cell.backward
        shape.back = _face(_Face("node", title, side.shape, crop(side.note, 40), ""))
        shape.grads = tuple(crop(p, 36) for p in side.pills)
    return shape


def _arrange(shape: _Shape, apart: float) -> None:
    """Place the parts of a cell; ``apart``: from the middle of the face to that of the other."""
    face, x = shape.face, 0.0
    if shape.pills:
        shape.pills_w = max(_width(p, _PILL, mono=True) for p in shape.pills) + 14.0
        x += shape.pills_w + 12.0
    shape.at = x
    x += face.w
    if shape.back is not None:
        apart = max(apart, _apart(shape))
        shape.back_at = shape.at + face.w / 2 + apart - shape.back.w / 2
        x = shape.back_at + shape.back.w
    if shape.grads:
        shape.grads_w = max(_width(p, _PILL, mono=True) for p in shape.grads) + 14.0
        x += shape.grads_w + 12.0
    shape.w = x
    back_h = shape.back.h if shape.back is not None else 0.0
    shape.h = max(face.h, back_h, 20.0 * max(len(shape.pills), len(shape.grads)))


def _apart(shape: _Shape) -> float:
    """How far the middles of a cell's two faces have to be from each other."""
    return (shape.face.w + shape.back.w) / 2 + 18.0 if shape.back is not None else 0.0


# -- drawing ---------------------------------------------------------------------------------


def render(picture: Picture) -> str:
    """The whole SVG document."""
    shapes = [_shape_of(cell) for cell in picture.cells]
    apart = min(max(map(_apart, shapes), default=0.0), _APART)  # the same for all: straight lines
    for shape in shapes:
        _arrange(shape, apart)
    diagram, box_of, group_of, edges = _diagram(picture, shapes)
    placed = layout(diagram)
    legend, legend_w = _legend(picture)
    width = max(placed.width, legend_w, _width(picture.title, 14.0, bold=True)) + 2 * _MARGIN
    shift = (_MARGIN + (width - 2 * _MARGIN - placed.width) / 2, _MARGIN + 30.0)
    height = shift[1] + placed.height + 58.0
    title = escape(picture.title)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="{escape(SANS)}" role="img" '
        f'aria-label="{title}">',
        f"<title>{title}</title>",
        f'<rect width="100%" height="100%" fill="{_PAGE}"/>',
        _text(_MARGIN, _MARGIN + 8.0, picture.title, 14.0, _INK, bold=True),
        f'<g transform="translate({shift[0]:.1f} {shift[1]:.1f})">',
    ]
    for index, cluster in enumerate(picture.clusters):
        out.append(_frame(cluster, placed.boxes[group_of[index]], _nest(picture, index)))
    out += _arrows(picture, placed, edges, shapes)
    out += _labels(picture, placed, edges, shapes, box_of)
    for index, cluster in enumerate(picture.clusters):
        out.append(_heading(cluster, placed.boxes[group_of[index]]))
    for index, shape in enumerate(shapes):
        out.append(_cell(picture.cells[index], shape, placed.boxes[box_of[index]]))
    out.append("</g>")
    out.append(f'<g transform="translate({_MARGIN} {height - 22.0:.1f})">{legend}</g>')
    out.append("</svg>\n")
    return "\n".join(out)


def _diagram(
    picture: Picture, shapes: list[_Shape]
) -> tuple[Diagram, dict[int, int], dict[int, int], list[int]]:
    diagram = Diagram()
    box_of: dict[int, int] = {}
    group_of: dict[int, int] = {}
    for is_cluster, index in picture.order:
        if is_cluster:
            cluster = picture.clusters[index]
            parent = group_of.get(cluster.parent, -1)
            size = _heading_width(cluster) + 10.0
            group_of[index] = diagram.group(parent, title=size, top=30.0, pad=14.0)
        else:
            cell, shape = picture.cells[index], shapes[index]
            box_of[index] = diagram.box(shape.w, shape.h, group_of.get(cell.parent, -1))
    edges = []
    for arrow in picture.arrows:
        a, b = shapes[arrow.source], shapes[arrow.target]
        out_at, in_at = (a.back_out, b.back_out) if arrow.backward else (a.out, b.out)
        ends = box_of[arrow.source], box_of[arrow.target]
        edges.append(diagram.edge(*ends, out_at, in_at, int(arrow.backward)))
    return diagram, box_of, group_of, edges


def _nest(picture: Picture, index: int) -> int:
    nest = -1
    while index >= 0:
        index = picture.clusters[index].parent
        nest += 1
    return nest


def _text(
    x: float, y: float, text: str, size: float, fill: str, bold: bool = False, mono: bool = False,
    anchor: str = "", halo: bool = False,
) -> str:  # fmt: skip
    extra = ' font-weight="600"' if bold else ""
    extra += f' font-family="{escape(MONO)}"' if mono else ""
    extra += f' text-anchor="{anchor}"' if anchor else ""
    if halo:
        extra += f' stroke="{_PAGE}" stroke-width="4" stroke-linejoin="round" paint-order="stroke"'
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{fill}"{extra} '
        f'xml:space="preserve">{escape(text)}</text>'
    )


def _box(
    x: float, y: float, w: float, h: float, fill: str, line: str, radius: float, extra: str = ""
) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="{radius:g}" '
        f'fill="{fill}" stroke="{line}"{extra}/>'
    )


def _frame(cluster: Cluster, rect: Rect, nest: int) -> str:
    dashes = ' stroke-dasharray="5 4"' if cluster.kind == "composite" else ""
    line = PALETTE["error"][1] if cluster.error else "#94a3b8"
    fill = _FRAMES[min(nest, len(_FRAMES) - 1)]
    return _box(rect.x, rect.y, rect.w, rect.h, fill, line, 10, dashes)


def _heading_width(cluster: Cluster) -> float:
    title, detail = crop(cluster.title, 40), crop(cluster.detail, 30)
    return _width(title, 11.0, bold=True) + _width(detail, _SMALL) + 8.0


def _heading(cluster: Cluster, rect: Rect) -> str:
    title, detail = crop(cluster.title, 40), crop(cluster.detail, 30)
    x, y = rect.x + 11.0, rect.y + 17.0
    parts = [_text(x, y, title, 11.0, _INK, bold=True)]
    x += _width(title, 11.0, bold=True) + 5.0
    if detail:
        parts.append(_text(x, y, detail, _SMALL, _MUTED))
    if cluster.error:
        parts.append(_text(rect.x + 11.0, y + 13.0, crop(cluster.error, 60), _SMALL, "#b91c1c"))
    return "".join(parts)


def _cell(cell: Cell, shape: _Shape, rect: Rect) -> str:
    parts = []
    middle = rect.y + rect.h / 2
    face = shape.face
    if shape.back is not None:
        parts.append(_line(rect.x + shape.at + face.w, rect.x + shape.back_at, middle, "#94a3b8"))
    parts.append(_pills(shape.pills, "param", rect.x, shape.pills_w, middle, 12.0))
    right = rect.x + shape.w - shape.grads_w
    parts.append(_pills(shape.grads, "grad", right, shape.grads_w, middle, -12.0))
    parts.append(_draw_face(face, rect.x + shape.at, middle - face.h / 2))
    if shape.back is not None:
        parts.append(_draw_face(shape.back, rect.x + shape.back_at, middle - shape.back.h / 2))
    return "<g>" + "".join(parts) + "</g>"


def _line(x0: float, x1: float, y: float, color: str) -> str:
    return f'<path d="M{x0:.1f} {y:.1f}H{x1:.1f}" stroke="{color}" stroke-dasharray="2 3"/>'


def _pills(
    texts: tuple[str, ...], kind: str, x: float, w: float, middle: float, reach: float
) -> str:
    """A column of pills, each with a short line to the cell (``reach``: to the right, or left)."""
    fill, line, ink = PALETTE[kind]
    parts = []
    y = middle - 20.0 * len(texts) / 2 + 2.0
    for text in texts:
        start = x + w if reach > 0 else x
        centre = y + 8.0
        parts.append(
            f'<path d="M{start:.1f} {centre:.1f}C{start + reach * 0.6:.1f} {centre:.1f} '
            f'{start + reach * 0.4:.1f} {middle:.1f} {start + reach:.1f} {middle:.1f}" '
            f'stroke="{line}" fill="none"/>'
        )
        parts.append(_box(x, y, w, 16.0, fill, line, 8))
        parts.append(_text(x + w / 2, y + 11.5, text, _PILL, ink, mono=True, anchor="middle"))
        y += 20.0
    return "".join(parts)


def _draw_face(face: _Face, x: float, y: float) -> str:
    kind, _, root = face.kind.partition(" ")
    fill, line, ink = PALETTE["root" if root else kind]
    radius = face.h / 2 if kind in ("leaf", "outside") else 3 if kind == "op" else 6
    dashes = ' stroke-dasharray="4 3"' if kind == "outside" else ""
    parts = []
    if kind == "group":
        parts.append(_box(x + 4, y + 4, face.w, face.h, fill, line, radius, ' opacity="0.55"'))
    parts.append(_box(x, y, face.w, face.h, fill, line, radius, dashes + ' stroke-width="1.2"'))
    if root or kind == "root":
        parts.append(_box(x + 3, y + 3, face.w - 6, face.h - 6, "none", line, max(radius - 2, 1)))
    centre, at = x + face.w / 2, y + 18.0
    title_at = centre
    if kind == "node":
        title_at = centre + 7.0
        left = centre - _width(face.title, _TITLE, bold=True) / 2 - 5.0
        base, tip = (at - 8.5, 8) if face.down else (at - 0.5, -8)
        parts.append(f'<path d="M{left - 4:.1f} {base:.1f}h8l-4 {tip}z" fill="{line}"/>')
    parts.append(_text(title_at, at, face.title, _TITLE, ink, bold=True, anchor="middle"))
    lines = [(face.second, _MUTED, True), (face.note, "#1d4ed8", False), (face.error, ink, False)]
    for text, color, mono in lines:
        if text:
            at += 14.0
            if text == face.note and re.search("nan|inf", text, re.IGNORECASE):
                color = "#b91c1c"
            parts.append(_text(centre, at, text, _SMALL, color, mono=mono, anchor="middle"))
    return "".join(parts)


# -- arrows ----------------------------------------------------------------------------------


def _arrows(picture: Picture, placed: Placed, edges: list[int], shapes: list[_Shape]) -> list[str]:
    out = []
    for arrow, edge in zip(picture.arrows, edges):
        route = placed.routes[edge]
        if route is None:
            continue
        route = _snapped(route)
        (x0, y0), *between, (x1, y1) = route  # a face may be lower than its cell
        y0 -= shapes[arrow.source].short(arrow.backward)
        y1 += shapes[arrow.target].short(arrow.backward)
        route = [(x0, y0), *between, (x1, y1)]
        color = _BACKWARD if arrow.backward or picture.phase == "backward" else _FORWARD
        dashes = ' stroke-dasharray="6 3"' if arrow.backward else ""
        out.append(
            f'<path d="{_curve(route)}" fill="none" stroke="{color}" stroke-width="1.3"{dashes}/>'
            f"{_head(route, arrow.backward, color)}"
        )
    return out


def _snapped(route: list[Point]) -> list[Point]:
    """The same without steps to the side that look like a slip."""
    result = route[:1]
    for x, y in route[1:]:
        before = result[-1][0]
        result.append((before if abs(x - before) < 2.0 else x, y))
    return result


def _curve(route: list[Point]) -> str:
    """Straight where it goes straight down, else an S with vertical ends."""
    x, y = route[0]
    parts = [f"M{x:.1f} {y:.1f}"]
    for nx, ny in route[1:]:
        if abs(nx - x) < 0.05:
            if abs(ny - y) > 0.05:
                parts.append(f"V{ny:.1f}")
        else:
            half = (y + ny) / 2
            parts.append(f"C{x:.1f} {half:.1f} {nx:.1f} {half:.1f} {nx:.1f} {ny:.1f}")
        x, y = nx, ny
    return "".join(parts)


def _head(route: list[Point], up: bool, color: str) -> str:
    x, y = route[0] if up else route[-1]
    tall = 7 if up else -7
    return f'<path d="M{x:.1f} {y:.1f}l-3.6 {tall}h7.2z" fill="{color}"/>'


def _labels(
    picture: Picture,
    placed: Placed,
    edges: list[int],
    shapes: list[_Shape],
    box_of: dict[int, int],
) -> list[str]:
    """Arrows that are too long to be drawn: a short end on both sides, with the other's name."""
    out: list[str] = []
    ends: dict[tuple[int, bool], list[int]] = {}
    for arrow, edge in zip(picture.arrows, edges):
        if placed.routes[edge] is None and not arrow.backward:
            ends.setdefault((arrow.source, True), []).append(arrow.target)
            ends.setdefault((arrow.target, False), []).append(arrow.source)
    for (index, below), others in ends.items():
        rect, shape = placed.boxes[box_of[index]], shapes[index]
        x = rect.x + shape.out + 12.0
        y = rect.y + (rect.h + shape.face.h) / 2 if below else rect.y + (rect.h - shape.face.h) / 2
        tip = y + 11.0 if below else y - 11.0
        more = f" +{len(others) - 1}" if len(others) > 1 else ""
        name = crop(picture.cells[others[0]].title, 24) + more
        text = f"to {name}" if below else f"from {name}"
        out.append(
            f'<path d="M{x:.1f} {y:.1f}V{tip:.1f}" stroke="{_FORWARD}" stroke-dasharray="2 2"/>'
            + _text(x + 4.0, tip + (1.0 if below else 6.0), text, 9.0, _MUTED, halo=True)
        )
    return out


# -- legend ----------------------------------------------------------------------------------


def _legend(picture: Picture) -> tuple[str, float]:
    """Samples of what the picture holds, in one line; and its width."""
    kinds = {cell.kind for cell in picture.cells}
    parts: list[str] = []
    x = 0.0
    samples = [
        ("op", "op", "op" in kinds),
        ("module", "module", "module" in kinds),
        ("group", "closed group", "group" in kinds),
        ("leaf", "input", "leaf" in kinds),
        ("outside", "from outside", "outside" in kinds),
        ("root", "loss", "root" in kinds or any(c.is_root for c in picture.cells)),
        ("node", "backward node", "node" in kinds or any(c.backward for c in picture.cells)),
        ("param", "parameter", any(c.pills and c.params for c in picture.cells)),
        ("grad", "its gradient", any(c.grads or (c.backward and c.backward.grads)
                                     for c in picture.cells)),
    ]  # fmt: skip
    for kind, name, present in samples:
        if not present:
            continue
        fill, line, _ = PALETTE[kind]
        radius = {"op": 2, "group": 3, "module": 3, "root": 3, "node": 3}.get(kind, 5)
        if kind == "group":
            parts.append(_box(x + 2, -7, 18, 10, fill, line, radius, ' opacity="0.55"'))
        dashes = ' stroke-dasharray="3 2"' if kind == "outside" else ""
        parts.append(_box(x, -9, 18, 10, fill, line, radius, dashes))
        if kind == "root":
            parts.append(_box(x + 2, -7, 14, 6, "none", line, 1))
        if kind == "node":
            parts.append(f'<path d="M{x + 5:.1f} -1.5h8l-4 -6z" fill="{line}"/>')
        parts.append(_text(x + 25, 0, name, _SMALL, _MUTED))
        x += 25 + _width(name, _SMALL) + 18
    arrows = {a.backward or picture.phase == "backward" for a in picture.arrows}
    for backward, name in ((False, "data"), (True, "gradient")):
        if backward not in arrows:
            continue
        color = _BACKWARD if backward else _FORWARD
        dashes = ' stroke-dasharray="6 3"' if backward and picture.phase == "both" else ""
        parts.append(
            f'<path d="M{x:.1f} -4H{x + 18:.1f}" stroke="{color}" stroke-width="1.3"{dashes}/>'
            f'<path d="M{x + 22:.1f} -4l-6 -3.4v6.8z" fill="{color}"/>'
        )
        parts.append(_text(x + 28, 0, name, _SMALL, _MUTED))
        x += 28 + _width(name, _SMALL) + 18
    return "".join(parts), x
