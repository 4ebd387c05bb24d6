"""The inspector: what an op, node, update or module is, and its tensors with their gradients."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from textual import events

from app.session import Session
from app.subject import Subject, TensorRef, subject_at
from app.ui.describe import duration_text, meta_text, one_line
from app.ui.panes.base import Pane
from framework.trace.events import TensorMeta
from framework.trace.protocol import Grid, Table, TensorView
from viewers.tensor.picture import image_slices
from viewers.text import Line, crop, pad, pad_line, short, width_of

__all__ = ["InspectorPane"]

BESIDE = 76  # columns from which value and gradient stand side by side
LISTED = 7  # tensors named above the picture; more scroll with the choice
ARGUMENTS = 3  # rows for the arguments that are no tensors
TABLE = (12, 24)  # rows and columns asked for
IMAGE = 16  # rows of an image
_KEPT = 96  # replies remembered
_RUNNING = "the model is running: p pauses it, and what it has done can be walked through"


class _Want(NamedTuple):
    """One question of the wire's ``view``; also the key of its answer."""

    tensor: int
    seq: int
    slice: str
    row0: int
    col0: int
    width: int
    height: int = 16  # pixels of the picture at most


class InspectorPane(Pane):
    """Lines made anew when subject, choice, size or an answer change."""

    where = "inspector"
    selectable = False
    empty = "nothing is selected yet: run a cell, then walk through the graph"

    def __init__(self, session: Session) -> None:
        super().__init__(session, "inspector")
        self.subject: Subject | None = None
        self.choice = 0
        self.slice = ""
        self.corner = (0, 0)
        self.image: bool | None = None  # as an image; None: only a batch, or what has colours
        self.variable_of: Callable[[int], str] = lambda tensor: ""
        self.band: tuple[float, float] | None = None  # values that are highlighted
        self._lines: list[Line] = []
        self._first_tensor = 0  # row of the first tensor of the list
        self._list_from = 0
        self._answers: OrderedDict[_Want, TensorView | str] = OrderedDict()
        self._asked: set[_Want] = set()
        self._generation = 0
        self._due = False

    # -- what it shows -----------------------------------------------------------------------

    def runs(self) -> None:
        """The model runs freely, and nothing of it is shown yet."""
        if self.empty != _RUNNING:
            self.empty = _RUNNING
            self.rebuild()

    def show(self, seq: int) -> None:
        """Show the subject of an event as of the cursor."""
        self.empty = type(self).empty
        session = self.session
        before = self.subject
        as_of = session.cursor
        self.set_subject(subject_at(session.store, seq, as_of) if seq else None, before)

    def again(self) -> None:
        """More is known of what is shown."""
        subject = self.subject
        if subject is not None and subject.kind != "variable":
            found = subject_at(self.session.store, subject.seq, subject.as_of)
            self.set_subject(found, subject)

    def show_tensor(self, name: str, meta: TensorMeta, grad: TensorMeta | None, seq: int) -> None:
        """Show a variable's tensor."""
        subject = Subject(seq, seq, "variable", name, self.session.moment.phase)
        subject.tensors.append(TensorRef(name, meta, seq, "", grad, seq))
        if grad is not None:
            subject.tensors.append(TensorRef(f"{name}.grad", grad, seq, "", kind="grad"))
        self.set_subject(subject, self.subject)

    def set_subject(self, subject: Subject | None, before: Subject | None) -> None:
        """Keep the choice where the same thing is shown again, else begin with the first tensor."""
        self.subject = subject
        shown = [(s.seq, s.title) for s in (before, subject) if s is not None]
        same = len(shown) == 2 and shown[0] == shown[1]  # (rows of a table share their moment)
        if not same:
            self.choice, self._list_from = self._first_choice(), 0
            self.corner = (0, 0)
            self.slice = ""
            self.jump(0)
        self.choice = min(self.choice, max(0, len(subject.tensors) - 1)) if subject else 0
        self.rebuild()

    def _first_choice(self) -> int:
        """What is most worth seeing of a subject: what it made last."""
        subject = self.subject
        if subject is None:
            return 0
        kind = {"node": "grad out", "update": "after"}.get(subject.kind)
        for i, ref in enumerate(subject.tensors):
            if kind is not None and ref.label.startswith(kind):
                return i
        return 0

    @property
    def chosen(self) -> TensorRef | None:
        """The tensor that is pictured."""
        tensors = self.subject.tensors if self.subject is not None else []
        return tensors[self.choice] if self.choice < len(tensors) else None

    def choose(self, by: int) -> None:
        """The next or previous tensor."""
        count = len(self.subject.tensors) if self.subject is not None else 0
        if count:
            self.choice = (self.choice + by) % count
            self.corner, self.slice = (0, 0), ""
            self.rebuild()

    def set_slice(self, text: str) -> None:
        """Show a slice of the chosen tensor, "" for the whole."""
        self.slice = text.strip()
        self.corner = (0, 0)
        self.rebuild()

    def next_picture(self) -> str:
        """An image in the place of the heat map, or the other way round; what there is to say."""
        ref = self.chosen
        slices = image_slices(ref.meta.shape, self.slice) if ref is not None else []
        if ref is None or not slices:
            return "no image: that has [H, W], or 1 or 3 channels of it, of one or of a batch"
        self.image = not self._is_image(slices, ref.meta.shape)
        self.rebuild()
        return "as an image" if self.image else "as a heat map"

    def _is_image(self, slices: list[str], shape: tuple[int, ...]) -> bool:
        """Whether what has these channels is shown as an image."""
        if self.image is None:
            return len(slices) == 3 or (slices != [self.slice] and len(shape) == 4 and bool(slices))
        return self.image and bool(slices)

    def highlight(self, text: str) -> str:
        """Mark values within limits, "" for none; returns what is wrong with the text."""
        try:
            self.band = parse_band(text)
        except ValueError as error:
            return str(error)
        self.rebuild()
        return ""

    def move_table(self, rows: int, cols: int) -> None:
        """Move the table's window."""
        view = self._answer(self.chosen)
        if not isinstance(view, TensorView) or view.table is None:
            return
        shape = view.table.shape
        row = max(0, min(self.corner[0] + rows, max(0, shape[0] - 1)))
        col = max(0, min(self.corner[1] + cols, max(0, shape[1] - 1)))
        self.corner = (row, col)
        self.rebuild()

    # -- asking ------------------------------------------------------------------------------

    def _want(self, ident: int, seq: int) -> _Want:
        return _Want(ident, seq, self.slice, *self.corner, self._picture_width)

    @property
    def _picture_width(self) -> int:
        width = max(12, self.room - 2)
        return width // 2 - 1 if width >= BESIDE else width

    def _ask(self, want: _Want) -> TensorView | str | None:
        """The answer if it is there; else it is asked for and comes by `rebuild`."""
        found = self._answers.get(want)
        if found is not None:
            self._answers.move_to_end(want)
            return found
        if want in self._asked:
            return None
        if not want.tensor:
            return "not known"
        self._asked.add(want)
        generation = self._generation

        def arrived(answer: TensorView | str) -> None:
            self._asked.discard(want)
            if generation != self._generation:
                return  # of a kernel that is gone
            self._answers[want] = answer
            if len(self._answers) > _KEPT:
                self._answers.popitem(last=False)
            if not self._due:  # answers come in twos
                self._due = True
                self.call_next(self.rebuild)

        self.session.view(
            want.tensor, want.seq, arrived, slice=want.slice, row0=want.row0, col0=want.col0,
            rows=TABLE[0], cols=TABLE[1], grid=[want.height, want.width],
        )  # fmt: skip
        return None

    def _answer(self, ref: TensorRef | None) -> TensorView | str | None:
        return None if ref is None else self._answers.get(self._want(ref.meta.id, ref.seq))

    def forget(self) -> None:
        """The kernel is another one: no answer is of it."""
        self._generation += 1
        self._answers.clear()
        self._asked.clear()
        self.set_subject(None, None)

    def ask_again(self) -> None:
        """What could not be answered may be known now."""
        for want in [want for want, answer in self._answers.items() if isinstance(answer, str)]:
            del self._answers[want]
        self.rebuild()

    # -- lines -------------------------------------------------------------------------------

    def count(self) -> int:
        return len(self._lines)

    def row(self, index: int, width: int) -> Line:
        return [(" ", ""), *self._lines[index]]

    def update_rows(self) -> None:
        self.rebuild()

    def rebuild(self) -> None:
        """Make all lines anew."""
        self._due = False
        before = len(self._lines)
        self._lines = self._make(max(10, self.room - 2)) if self.subject is not None else []
        if self._asked:  # until the answer is here nothing moves
            self._lines += [[] for _ in range(before - len(self._lines))]
        super().update_rows()

    def _make(self, width: int) -> list[Line]:
        subject = self.subject
        assert subject is not None
        lines = self._head(subject, width)
        self._first_tensor = len(lines)
        lines += self._list(subject, width)
        ref = self.chosen
        if ref is None:
            return lines
        value = self._picture(ref, width if width < BESIDE else width // 2 - 1)
        lines.append([])
        if ref.grad is None:
            return lines + value
        grad_ref = TensorRef("gradient", ref.grad, ref.grad_seq, "", kind="grad")
        size = width if width < BESIDE else width // 2 - 1
        grad = [[("gradient ", "backward"), *self._tensor_words(grad_ref)]]
        grad += self._picture(grad_ref, size)
        if width >= BESIDE:
            head: Line = [("value ", "title"), *self._tensor_words(ref)]
            left, right = [head, *value], grad
            for i in range(max(len(left), len(right))):
                row = pad_line(left[i], size) if i < len(left) else [(" " * size, "")]
                lines.append([*row, (" │ ", "edge"), *(right[i] if i < len(right) else [])])
            return lines
        summary = self._grad_summary(grad_ref, width)
        return [*lines, *summary, *value, [], *grad]

    def _head(self, subject: Subject, width: int) -> list[Line]:
        session = self.session
        title: Line = [(one_line(subject.title), "title")]
        if subject.module:
            title.append((f"  {one_line(subject.module)}", "module"))
        tone = subject.phase if subject.phase in ("forward", "backward", "optimizer") else "dim"
        room = width - width_of(title) - len(subject.phase) - 1
        if room > 0:
            title += [(" " * room + " ", ""), (subject.phase, tone)]
        lines = [title]
        facts = [session.source_text(subject.source), duration_text(subject.duration)]
        if (kernels := session.store.kernel_time(subject.seq)) >= 0:
            facts.append(f"gpu {duration_text(kernels)}")
        if subject.backward >= 0:
            facts.append(f"backward {duration_text(subject.backward)}")
        if subject.duration < 0 and subject.kind in ("module", "node", "composite"):
            facts[1] = "still open"
        text = " · ".join(fact for fact in facts if fact)
        if text:
            lines.append([(text, "dim")])
        if subject.note:
            lines.append([(crop(one_line(subject.note), width), "dim")])
        if subject.meta:
            words = ", ".join(f"{k}={v}" if k else v for k, v in subject.meta.items())
            rows = _fold(one_line(words), width)
            lines += [[(crop(row, width), "dim")] for row in rows[:ARGUMENTS]]
        if subject.error:
            error = one_line(self.session.spell(subject.error))[:600]
            lines += [[(part, "error")] for part in _fold(error, width)]
        return lines

    def _list(self, subject: Subject, width: int) -> list[Line]:
        tensors = subject.tensors
        if not tensors:
            return []
        start = max(0, min(self._list_from, len(tensors) - LISTED))
        if self.choice < start:
            start = self.choice
        elif self.choice >= start + LISTED:
            start = self.choice - LISTED + 1
        self._list_from = start
        shown = tensors[start : start + LISTED]
        size = max(len(ref.label) for ref in shown)
        lines: list[Line] = [[]]
        for i, ref in enumerate(shown, start=start):
            here = i == self.choice
            tone = "backward" if ref.kind == "grad" else "optimizer" if ref.kind == "state" else ""
            line: Line = [
                ("▸ " if here else "  ", "accent"),
                (pad(one_line(ref.label), min(size, 14)) + " ", f"bold {tone}" if here else tone),
                *self._tensor_words(ref, bold=here),
            ]
            lines.append(line)
        if len(tensors) > LISTED:
            lines.append([(f"  {self.choice + 1} of {len(tensors)}: [ and ] go on", "dim")])
        return lines

    def _tensor_words(self, ref: TensorRef, bold: bool = False) -> Line:
        meta = ref.meta
        line: Line = [(meta_text(meta), "bold" if bold else "shape")]
        if ref.name:
            module = self.subject.module if self.subject is not None else ""
            name = ref.name.removeprefix(f"{module}.") if module else ref.name
            line.append((f" {one_line(name)}", "param"))
        elif self.variable_of(meta.id):
            line.append((f" {one_line(self.variable_of(meta.id))}", "name"))
        if ref.grad is not None:
            line.append((" ∇", "backward"))
        return line

    def _grad_summary(self, ref: TensorRef, width: int) -> list[Line]:
        from viewers.tensor import summary_line

        view = self._ask(self._want(ref.meta.id, ref.seq))
        head: Line = [("∇ ", "backward")]
        if not isinstance(view, TensorView):
            return [[*head, (self._why(view), "dim")]]
        if view.summary.count == 1:
            return []
        return [[*head, *summary_line(view.summary, width - 2, dtype=view.tensor.dtype)]]

    def _why(self, answer: TensorView | str | None) -> str:
        """Why there is no picture."""
        if answer is None:
            if self.session.state == "dead":
                return "the kernel is gone, and the values with it"
            return "…"
        return one_line(str(answer))

    def _picture(self, ref: TensorRef, width: int) -> list[Line]:
        """Statistics, histogram, heat map and table of one tensor."""
        from viewers.tensor import (
            heatmap_lines,
            histogram_lines,
            picture_text,
            statistics_lines,
            table_lines,
        )

        view = self._ask(self._want(ref.meta.id, ref.seq))
        before = self._ask(self._want(ref.meta.id, ref.minus)) if ref.kind == "change" else None
        if not isinstance(view, TensorView):
            return [[(part, "note")] for part in _fold(self._why(view), width)]
        if ref.kind == "change":
            return self._change(view, before, width)
        if view.summary.count == 1 and view.table is not None and not view.slice:
            text = view.table.cells[0][0] if view.table.cells and view.table.cells[0] else ""
            bad = view.summary.nan or view.summary.inf
            came: Line = [(f"  {view.note}", "note")] if view.note else []
            return [[("value ", "dim"), (text, "bad" if bad else "title"), *came]]
        lines = [[(view.note, "note")]] if view.note else []
        lines += _trimmed(statistics_lines(view.tensor, view.summary, width, 6, slice=view.slice))
        if view.summary.counts and view.summary.count > 1:
            lines += histogram_lines(view.summary, width, 4)
        colour = not self.app.no_color
        slices = image_slices(view.tensor.shape, self.slice)
        if self._is_image(slices, view.tensor.shape) and view.summary.count > 1:
            lines += self._image(ref, slices, width, colour)
        elif view.grid is not None and view.summary.count > 1:
            height = _grid_height(view.grid, width)
            part = picture_text(view.tensor.shape, view.slice)
            if part:
                lines.append([(part, "dim")])
            lines += heatmap_lines(view.grid, width, height, colour=colour, highlight=self.band)
        if view.table is not None and view.summary.count:
            vector = len(view.tensor.shape) == 1 and not view.slice
            lines.append([])
            rows = min(TABLE[0], view.table.shape[0]) + 2
            if self.band is not None:
                lines.append([("highlighted: ", "dim"), (band_text(self.band), "match")])
            table = _window(view.table, *self.corner)
            drawn = table_lines(table, width, rows, vector=vector, highlight=self.band)
            lines += _trimmed(drawn)
        return lines

    def _image(self, ref: TensorRef, slices: list[str], width: int, colour: bool) -> list[Line]:
        """The channels as one picture, in its proportions."""
        from viewers.tensor import image_lines

        rows, cols = ref.meta.shape[-2:]
        height = max(4, min(IMAGE, round(width * rows / max(cols, 1) / 2)))
        views = [
            self._ask(_Want(ref.meta.id, ref.seq, slice, 0, 0, width, 2 * height))
            for slice in slices
        ]
        grids = [v.grid for v in views if isinstance(v, TensorView) and v.grid is not None]
        if len(grids) < len(slices):
            bad = next((v for v in views if isinstance(v, str)), None)
            return [[(self._why(bad), "note")]]
        words = "RGB" if len(slices) == 3 else "grey"
        where = f" from {slices[0]}" if slices[0] else ""
        lines: list[Line] = [[(f"{words}{where} · v: heat map", "dim")]]
        return lines + _trimmed(image_lines(grids, width, height + 1, colour=colour))

    def _change(self, view: TensorView, before: TensorView | str | None, width: int) -> list[Line]:
        """The difference of two moments, as the difference of their pictures."""
        from viewers.tensor import heatmap_lines

        if not isinstance(before, TensorView):
            return [[(self._why(before), "note")]]
        after_grid, before_grid = view.grid, before.grid
        norm, old = view.summary.norm, before.summary.norm
        lines: list[Line] = [[("after - before, as block means", "dim")]]
        if norm is not None and old:
            lines.append([(f"norm {old:.4g} → {norm:.4g}", "value")])
        if after_grid is None or before_grid is None or after_grid.shape != before_grid.shape:
            return lines
        values = [a - b for a, b in zip(after_grid.values, before_grid.values)]
        grid = msgspec.structs.replace(after_grid, values=values)
        height = _grid_height(grid, width)
        return lines + heatmap_lines(grid, width, height, colour=not self.app.no_color)

    def clicked_line(self, index: int) -> None:
        """A click on a tensor of the list chooses it."""
        first = self._first_tensor + 1
        number = index - first + self._list_from
        tensors = self.subject.tensors if self.subject is not None else []
        if first <= index < first + LISTED and 0 <= number < len(tensors):
            self.choice = number
            self.corner, self.slice = (0, 0), ""
            self.rebuild()

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is not None:
            self.clicked_line(self.scroll_offset.y + offset.y)


def _window(table: Table, row: int, col: int) -> Table:
    """The table from a corner on: it was moved to the left or up if more fits than was left."""
    down, right = max(0, row - table.row0), max(0, col - table.col0)
    if not down and not right:
        return table
    cells = [line[right:] for line in table.cells[down:]]
    return Table(table.row0 + down, table.col0 + right, cells, table.shape)


def parse_band(text: str) -> tuple[float, float] | None:
    """The limits that a text names, None for an empty one; raises ValueError, in one line.

    >>> parse_band("> 3"), parse_band("-1..0.5"), parse_band("<= 0"), parse_band("")
    ((3.0000000000000004, inf), (-1.0, 0.5), (-inf, 0.0), None)
    """
    words = text.replace("..", " .. ").replace(">=", " ge ").replace("<=", " le ")
    parts = words.replace(">", " gt ").replace("<", " lt ").split()
    if not parts:
        return None
    try:
        if len(parts) == 3 and parts[1] == "..":
            return float(parts[0]), float(parts[2])
        if len(parts) == 2 and parts[0] in ("gt", "ge", "lt", "le"):
            value = float(parts[1])
            if parts[0][0] == "g":
                return (math.nextafter(value, math.inf) if parts[0] == "gt" else value), math.inf
            return -math.inf, (math.nextafter(value, -math.inf) if parts[0] == "lt" else value)
        if len(parts) == 1:
            return float(parts[0]), float(parts[0])
    except ValueError:
        pass
    raise ValueError(f"highlight what? expected > 3, <= 0, 0.5..1 or a number, got {text[:40]!r}")


def band_text(band: tuple[float, float]) -> str:
    """The limits as a person reads them."""
    low, high = band
    if math.isinf(high):
        return f"from {short(low)} on"
    return f"up to {short(high)}" if math.isinf(low) else f"{short(low)} to {short(high)}"


def _grid_height(grid: Grid, width: int) -> int:
    """Rows of a heat map that keeps small tensors small; one of them is the scale."""
    rows = max(1, grid.rows)
    return max(3, min(9, (rows + 1) // 2 + 1 if rows > 4 else 3))


def _trimmed(lines: list[Line]) -> list[Line]:
    """Without the blank lines that fill up the height."""
    while lines and not "".join(text for text, _ in lines[-1]).strip():
        lines.pop()
    return lines


def _fold(text: str, width: int) -> list[str]:
    """A sentence in rows."""
    import textwrap

    return textwrap.wrap(text, max(8, width)) or [""]
