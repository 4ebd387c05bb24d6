"""A picture in Mermaid's language: what GitHub, GitLab and many wikis draw from text.

Subgraphs for modules, one node per cell, gradients as dashed arrows; a cell's backward side is a
line of its node, since Mermaid cannot keep two columns beside each other. All text of the trace
stands in quotes, as numeric entities wherever a character could mean anything to Mermaid or HTML.
"""

from __future__ import annotations

import re

from viewers.graph.picture import Cell, Cluster, Picture
from viewers.graph.svg import PALETTE, visible
from viewers.text import crop

__all__ = ["EDGES", "TEXT", "source"]

EDGES, TEXT = 500, 50_000  # what Mermaid draws unless its `maxEdges` and `maxTextSize` are raised

# Shapes say by themselves what a cell is, as in the other formats.
_SHAPES = {
    "op": '["{}"]',
    "leaf": '(["{}"])',
    "outside": '(["{}"])',
    "module": '("{}")',
    "group": '[["{}"]]',
    "root": '{{{{"{}"}}}}',
    "node": '("{}")',
}
_CONFIG = ("config:", "  flowchart:", "    wrappingWidth: 400")
_PLAIN = re.compile(r"[^\w .,:=+\[\]()…·±▲|-]")


def source(picture: Picture) -> str:
    """The text of a ``.mmd`` file.

    >>> op = Cell("op", "relu", "", "f32[2]")
    >>> print(source(Picture("forward", "step 1", cells=[op], order=[(False, 0)])))
    ---
    title: "step 1"
    config:
      flowchart:
        wrappingWidth: 400
    ---
    flowchart TB
      n0["<b>relu</b><br/>f32[2]"]:::op_
      classDef op_ fill:#f8fafc,stroke:#475569,color:#0f172a
    <BLANKLINE>
    """
    title = visible(picture.title).replace("\\", "\\\\").replace('"', '\\"')
    out = ["---", f'title: "{title}"', *_CONFIG, "---", "flowchart TB"]
    used: dict[str, None] = {}
    _body(picture, out, used)
    backward: list[int] = []
    for number, arrow in enumerate(picture.arrows):
        if arrow.backward:
            out.append(f"  n{arrow.target} -.-> n{arrow.source}")
        else:
            out.append(f"  n{arrow.source} --> n{arrow.target}")
        if arrow.backward or picture.phase == "backward":
            backward.append(number)
    for kind in used:
        fill, line, ink = PALETTE[kind]
        extra = ",stroke-width:3px" if kind in ("root", "error") else ""
        extra += ",stroke-dasharray:4 3" if kind == "outside" else ""
        out.append(f"  classDef {kind}_ fill:{fill},stroke:{line},color:{ink}{extra}")
    if picture.clusters:
        out.append("  classDef frame_ fill:#f8fafc,stroke:#94a3b8,color:#0f172a")
        out.append(f"  class {','.join(f'c{i}' for i in range(len(picture.clusters)))} frame_")
    if backward:
        links = ",".join(map(str, backward))
        out.append(f"  linkStyle {links} stroke:{PALETTE['node'][1]}")
    return "\n".join(out) + "\n"


def _body(picture: Picture, out: list[str], used: dict[str, None]) -> None:
    """Nested subgraphs in program order, without recursion."""
    open_ = [-1]
    for is_cluster, index in picture.order:
        thing: Cluster | Cell = (picture.clusters if is_cluster else picture.cells)[index]
        while open_[-1] != thing.parent:
            open_.pop()
            out.append("  " * len(open_) + "end")
        indent = "  " * len(open_)
        if isinstance(thing, Cluster):
            open_.append(index)
            title = f"{crop(thing.title, 40)} {crop(thing.detail, 30)}".strip()
            out.append(f'{indent}subgraph c{index}["{_text(title)}"]')
        else:
            _cell(indent, index, thing, out, used)
    while len(open_) > 1:
        open_.pop()
        out.append("  " * len(open_) + "end")


def _cell(indent: str, index: int, cell: Cell, out: list[str], used: dict[str, None]) -> None:
    kind = "error" if cell.error else "root" if cell.is_root else cell.kind
    shape = "root" if cell.kind == "op" and cell.is_root else cell.kind
    lines = ["  ".join(filter(None, (crop(cell.detail, 28), cell.shape)))]
    lines += [cell.note, cell.error, *cell.pills]
    side = cell.backward
    if side is not None:
        lines += ["▲ " + "  ".join(filter(None, (side.shape, side.note))), *side.pills]
    texts = [f"<b>{_text(crop(cell.title, 40))}</b>"]
    texts += [_text(crop(line, 60)) for line in lines if line]
    used[kind] = None
    out.append(f"{indent}n{index}{_SHAPES[shape].format('<br/>'.join(texts))}:::{kind}_")


def _text(text: str) -> str:
    """Text that means itself: Mermaid writes a character as ``#NUMBER;``."""
    return _PLAIN.sub(lambda m: f"#{ord(m[0])};", visible(text))
