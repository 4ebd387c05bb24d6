"""The graph: the outline of the training step that the cursor is in."""

from __future__ import annotations

import re
import time
from bisect import bisect_left, bisect_right
from functools import partial

from rich.cells import cell_len
from textual.message import Message

from app.foreign import HINT, imports_pytorch
from app.session import Session
from app.ui.later import later, sliced
from app.ui.panes.base import Pane
from app.ui.panes.source import lines_of
from framework.trace.protocol import Breakpoint
from viewers.graph.rows import PHASES, Outline, Row, Target
from viewers.graph.step import StepGraph
from viewers.graph.store import Step, TraceStore
from viewers.names import Names
from viewers.text import Line

__all__ = ["GraphPane"]

PIECE = 400  # of a large step are drawn at a time; between two keys as many as `later.SLICE` has
READ = 300  # events of it are read at a time
GLANCE = 0.1  # seconds between two looks at what is being drawn
EVENTS = 1_000  # whose variables are looked for at a time
READERS = 20  # steps in which they are
FRAME = 6  # columns of the frame around the title
FAST = 300_000_000  # ns; steps shorter than this are shown when they are done, not while they grow


class GraphPane(Pane):
    """Rows of `viewers.graph.rows.Outline`; what is looked at stays in place while it grows."""

    class Drawn(Message):
        """A piece more of a large step is drawn: the title says how much.

        ``read``: all of its events have been read now.
        """

        def __init__(self, read: bool = False) -> None:
            super().__init__()
            self.read = read

    class Resized(Message):
        """The title has more or less room."""

    where = "graph"
    empty = "the graph of a training step appears here when a cell runs"

    def __init__(self, session: Session) -> None:
        super().__init__(session, "graph")
        self.phase = "forward"
        self.chosen_phase = False  # the user has chosen it: it no longer changes by itself
        self._followed = "forward"  # the one that it had until then
        self.outline: Outline | None = None
        self._coming: Outline | None = None  # of a large step, while it is being made
        self._opening = False  # it is the same drawing with other rows open
        self._building = False  # more will be drawn after the next key
        self._drawn = 0.0  # when what was drawn so far came on the screen
        self.step: Step | None = None
        self.following = True
        self._graph: StepGraph | None = None
        self._collapsed: dict[str, dict[str, bool]] = {phase: {} for phase in PHASES}
        self._cursor = -1
        self._matches: list[int] = []
        self._names_of: TraceStore | None = None
        self._named_steps: set[int] = set()  # whose results have names, or will have
        self._readers: dict[int, Names] = {}  # of those that are still to be read
        self._variables: dict[int, str] = {}  # by tensor
        self._told = (0, 0)  # of which store, and how many of them, the watches were told
        self._by_name: dict[str, list[int]] = {}  # tensors, as of
        self._by_name_of = (0, 0)
        self._naming = False  # more of them will be looked for

    # -- which graph -------------------------------------------------------------------------

    def sync(self) -> None:
        """Follow the tape and the cursor."""
        session = self.session
        moment = session.moment
        step = moment.step
        running = session.state == "running" and session.following
        # Events may be here before the word that the model runs: then it still counts as idle.
        flying = session.state in ("running", "idle") and session.following
        if flying and step is not None and not step.done:
            step = self._last_fast(step)
        if not self.chosen_phase and not flying and moment.phase in ("forward", "backward"):
            self._set_phase(moment.phase)
        elif not self.chosen_phase and not flying and moment.phase == "optimizer":
            self._set_phase("both")
        if step is None:
            if self.outline is not None:
                self.outline = self._coming = self._graph = None
                self.empty = type(self).empty
                self.update_rows()
            return
        self._use(step)
        self.empty = f"no {self.phase} yet in this step"
        if not self.outline and (hint := self._foreign()):
            self.empty = hint
        moved = session.cursor != self._cursor
        self._cursor = session.cursor
        self.update_rows()
        if moved and (self.following or not running):
            self.following = True
            self.show_cursor()

    def _last_fast(self, step: Step) -> Step:
        """While steps fly by, the last whole one; a slow one is shown as it grows."""
        steps = self.session.store.steps
        last = next((s for s in reversed(steps[:-1]) if s.done), None) if len(steps) > 1 else None
        if last is None or last.cell != step.cell:
            return step
        store = self.session.store
        first, end = store.event(last.first_seq), store.event(last.last_seq)
        fast = first is not None and end is not None and end.t - first.t < FAST
        return last if fast else step

    def _set_phase(self, phase: str) -> None:
        if phase != self.phase:
            self.phase = phase
            self._graph = None

    def _use(self, step: Step) -> None:
        """Draw a step."""
        store = self.session.store
        store.patience = READ
        graph = store.graph(step, 0)
        if graph is not self._graph or self.outline is None:
            gutter = self.outline.gutter if self.outline is not None else 1
            self._coming = Outline(
                graph, self.phase, depth=2, collapsed=self._collapsed[self.phase], gutter=gutter,
                limit=0,
            )  # fmt: skip
            self._graph = graph
            self._opening = False
            sliced(partial(_draw_on, self._coming))
            if self.outline is None or not self.behind:
                self._show_coming()
            self._go_on()
        elif self._coming is None:
            sliced(partial(_draw_on, self.outline))
            self._go_on()
        self.step = step
        assert self.outline is not None
        self._find_names(step, self.outline)

    def _go_on(self) -> None:
        """Read and draw more of a large step after the next key."""
        if self.behind and not self._building:
            self._building = True
            later(self, 0.001, self._build)

    def _build(self) -> None:
        """Go on with the drawing of a large step, between two keys."""
        self._building = False
        outline = self._coming if self._coming is not None else self.outline
        if outline is None or not self.behind:
            return
        graph = outline.graph
        reading = graph.behind
        sliced(partial(_draw_on, outline))
        read = bool(reading) and not graph.behind
        now = time.monotonic()
        shown = now - self._drawn > GLANCE or not self.behind
        if shown:
            self._drawn = now
        if (self._opening and shown) or read:
            self.post_message(self.Drawn(read))
        if self.behind:
            self._go_on()
        elif self._coming is not None and (self._opening or not self.following):
            self._show_opened()
        else:
            if self._coming is not None:
                self._show_coming()
            if self.following:
                self.show_cursor()
        if self._coming is None and shown:
            self.update_rows()

    @property
    def behind(self) -> int:
        """Events of the step that are still to be read, and entries of its graph to be drawn."""
        outline = self._coming if self._coming is not None else self.outline
        return outline.behind + outline.graph.behind if outline is not None else 0

    def _show_coming(self) -> None:
        """The new drawing takes the place of the one before."""
        self.outline, self._coming = self._coming, None
        self._opening = False
        self._matches = []

    def _find_names(self, step: Step, outline: Outline) -> None:
        """What the program calls the results: of the source, and for certain where it stood."""
        session = self.session
        store, readers = session.store, self._readers
        if self._names_of is not store:
            self._names_of, self._named_steps, self._variables = store, set(), {}
            readers.clear()
        for other in store.steps:
            before = other.done and not other.updated and other.index < step.index
            if (other is step or before) and other.index not in self._named_steps:
                self._named_steps.add(other.index)
                text_of = partial(lines_of, session)
                readers[other.index] = Names(store, other, text_of, self._variables)
        self._naming = False
        for index, reader in list(readers.items())[:READERS]:
            if reader.follow(EVENTS):
                self._naming = True
                later(self, 0.01, self.named)
                break
            if reader.over:
                del readers[index]
        snapshot = session.snapshot
        for found in snapshot.variables.values() if snapshot is not None else ():
            for variable in found:
                if variable.tensor is not None:
                    self._variables[variable.tensor.id] = variable.name
        outline.names = self._variables
        if self._told != (told := (id(store), len(self._variables))):
            self._told = told
            session.changed.add("watches")  # they may be of variables

    def named(self) -> None:
        """There may be more names: of the source, or of the frame where the model stands."""
        if self.step is not None and self.outline is not None:
            self._find_names(self.step, self.outline)
            now = time.monotonic()
            if not self._naming or now - self._drawn > GLANCE:
                self._drawn = now
                self.refresh()

    def _foreign(self) -> str:
        """What there is to say of a program of PyTorch's own, of which nothing is seen here."""
        notebook = self.session.notebook
        cells = notebook.cells if notebook is not None else []
        number, line = imports_pytorch([c.source if c.kind == "code" else "" for c in cells])
        return f"cell {number}, line {line} {HINT}" if number else ""

    def variable_of(self, tensor: int) -> str:
        """What the program calls a tensor, "" if that is not known."""
        return self._variables.get(tensor, "")

    def tensors_of(self, name: str) -> list[int]:
        """The tensors that got a name, as far as that is known."""
        if self._by_name_of != self._told:
            self._by_name_of, self._by_name = self._told, {}
            for tensor, known in self._variables.items():
                self._by_name.setdefault(known, []).append(tensor)
        return self._by_name.get(name, [])

    def title_text(self) -> str:
        """The pane's title: which step, which half."""
        step = self.step
        words = ["graph"]
        if step is not None and self.outline is not None:
            cell = self.session.cell_text(step.cell)
            words.append(f"step {step.number}" if step.number else cell)
        kept = " (kept)" if self.chosen_phase else ""
        phase = self.phase if self.phase != "both" else "forward + backward"
        words.append(f"{phase}{kept}")
        if self._opening and self._coming is not None:
            whole = len(self._coming.graph.log)
            words.append(f"{100 - 100 * self._coming.behind // max(1, whole)} % drawn")
        if self._matches:
            words.append(f"{len(self._matches)} found")
        title = " · ".join(filter(None, words))
        if cell_len(title) > self.outer_size.width - FRAME:
            title = title.replace("forward", "fwd").replace("backward", "bwd")
        return title

    def next_phase(self) -> None:
        """forward, backward and both as the user wants it, then as the cursor goes again."""
        if not self.chosen_phase:
            self.chosen_phase, self._followed = True, self.phase
        following = PHASES[(PHASES.index(self.phase) + 1) % len(PHASES)]
        if following == self._followed:
            self.follow_phase()
        else:
            self._set_phase(following)
        self._cursor = -1
        self.sync()

    def follow_phase(self) -> None:
        """Show the half that the cursor is in, whatever was chosen before."""
        self.chosen_phase = False

    def reset(self) -> None:
        """A new tape."""
        self.outline = self._coming = self._graph = self.step = None
        self._opening = False
        self._cursor = -1
        self.update_rows()

    # -- rows --------------------------------------------------------------------------------

    def count(self) -> int:
        return len(self.outline) if self.outline is not None else 0

    def row(self, index: int, width: int) -> Line:
        assert self.outline is not None
        session = self.session
        head = session.live_seq if session.behind else None
        row = self.outline.rows[index]
        stops = (row.key,) if self._stops_at(row) else ()
        return self.outline.line(index, width, session.cursor, head, breakpoints=stops)

    def ground(self, index: int) -> str:
        if self.outline is not None and self.outline.index_of(self.session.cursor) == index:
            return "stop"
        at = bisect_left(self._matches, index)
        return "quiet" if self._matches[at : at + 1] == [index] else ""

    def _stops_at(self, row: Row) -> bool:
        """Would the model stop there?"""
        points = [p for p in self.session.breakpoints if p.enabled]
        return bool(points) and any(_matches(row.target, p) for p in points)

    def show_cursor(self) -> None:
        """Select the row of the cursor, with its surroundings in sight."""
        outline = self.outline
        if outline is None:
            return
        row = outline.index_of(self.session.cursor)
        if row is None:
            return
        self.select(row, tell=False)
        self.show_row(row, margin=3)

    # -- what the user does ------------------------------------------------------------------

    @property
    def chosen(self) -> Row | None:
        """The selected row."""
        rows = self.outline.rows if self.outline is not None else []
        return rows[self.selected] if 0 <= self.selected < len(rows) else None

    def select(self, index: int, *, tell: bool = True) -> None:
        if tell:
            self.following = False
        super().select(index, tell=tell)

    def seq_of(self, row: Row) -> int:
        """The moment that a row stands for: its end if that has come, else its begin."""
        live = self.session.live_seq
        open_group = row.collapsed is False
        end = row.end if row.end and not open_group else row.begin
        return end if end <= live else row.begin

    def fold(self) -> None:
        """Open or close the selected row."""
        outline = self.outline
        if outline is None or self.chosen is None or self._coming is not None:
            return
        at = self.selected
        if not outline.toggle(at, now=False) and not outline.refold(at, now=False):
            parent = outline.parent_of(at)
            if parent is None:
                return
            outline.toggle(parent, now=False)
        self._open()

    def fold_all(self) -> None:
        """Open all rows; if all are open, close all but the outermost."""
        outline = self.outline
        if outline is None or self.chosen is None or self._coming is not None:
            return
        outline.show(99 if outline.any_closed else 1, now=False)
        self._open()

    def _open(self) -> None:
        """Draw what has been opened and closed: of a large step between keys, as at first."""
        assert self.outline is not None
        self._coming = self.outline.again(0)
        self._opening = True
        if sliced(partial(_draw_on, self._coming)):
            self.post_message(self.Drawn())
            later(self, 0.001, self._build)
        else:
            self._show_opened()

    def go_parent(self) -> None:
        """Select the group around the selected row."""
        parent = self.outline.parent_of(self.selected) if self.outline is not None else None
        if parent is not None:
            self.select(parent)

    def go_child(self) -> None:
        """Open the selected group and select its first row."""
        row = self.chosen
        if self.outline is None or row is None or row.collapsed is None:
            return
        if row.collapsed:
            self.fold()
        after = self.selected + 1
        if after < self.count() and self.outline.rows[after].depth > row.depth:
            self.select(after)

    def _show_opened(self) -> None:
        """After rows have changed, the same thing stays selected and in its place."""
        row = self.chosen
        before = self.selected - self.scroll_offset.y
        self._show_coming()
        outline = self.outline
        assert outline is not None
        self.update_rows()
        index = outline.index_of(row.item.begin) if row is not None else None
        if index is not None:
            self.selected = index
            self.jump(max(0, index - before))
            self.show_row(index)
        self.refresh()

    def search(self, pattern: str, by: int) -> str:
        """Mark rows and go to one; returns what there is to say."""
        outline = self.outline
        if outline is None or not pattern:
            self.end_search()
            return ""
        try:
            self._matches = outline.find(pattern)
        except ValueError as error:
            self._matches = []
            return str(error)
        found = self._matches
        if not found:
            self.refresh()
            return "nothing found"
        if by > 0:
            at = bisect_right(found, self.selected)
        elif by < 0:
            at = bisect_left(found, self.selected) - 1
        else:
            at = bisect_left(found, self.selected)
        at %= len(found)
        self.select(found[at])
        return f"{at + 1} of {len(found)}"

    @property
    def found(self) -> int:
        """How many rows the last search has found."""
        return len(self._matches)

    def end_search(self) -> None:
        """No rows are marked any more."""
        self._matches = []
        self.refresh()

    def on_resize(self) -> None:
        self.post_message(self.Resized())

    def on_mouse_scroll_up(self) -> None:
        self.following = False

    def on_mouse_scroll_down(self) -> None:
        self.following = False


def _draw_on(outline: Outline) -> bool:
    """Read and draw a little more of a large step; True if there is more."""
    graph = outline.graph
    if graph.behind:
        graph.update(READ)
    outline.update(PIECE)
    return bool(outline.behind or graph.behind)


def _matches(target: Target, point: Breakpoint) -> bool:
    """Would a breakpoint stop on a row?"""
    if point.phase not in ("both", target.phase):
        return False
    if not point.op and not point.module:
        return False  # of a line, a parameter or anything at all: no row is its own
    if point.module and not target.op and point.op:
        return False
    if not point.op and point.module and target.op:
        return False  # shown on the module's row
    if point.line and (point.file, point.line) != (target.file, target.line):
        return False
    return _same(point.op, target.op) and _same(point.module, target.module)


def _same(pattern: str, name: str) -> bool:
    if not pattern:
        return True
    if len(pattern) > 2 and pattern[0] == pattern[-1] == "/":
        try:
            return re.search(pattern[1:-1], name) is not None
        except re.error:
            return False
    return pattern == name
