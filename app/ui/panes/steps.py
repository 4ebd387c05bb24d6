"""One tensor over the training steps: its figures in each, and the step that is selected."""

from __future__ import annotations

from app.figures import Figures
from app.session import Session
from app.ui.later import later
from app.ui.panes.base import Pane
from framework.trace.protocol import Summary
from viewers.graph.store import TraceStore
from viewers.parameters import norm_of, sample
from viewers.text import Line, short, sparkline, width_of
from viewers.tracks import Spot, Track, find_in, known_loss, row_line, spot_text, title_line

__all__ = ["StepsPane"]

EVENTS = 60_000  # that are looked through at a time
SPARK = 60


class StepsPane(Pane):
    """Two head rows, then one row per step; what is selected stands in the inspector."""

    where = "steps"
    header = 2
    empty = "H shows the tensor in the inspector here, step by step"

    def __init__(self, session: Session, figures: Figures) -> None:
        super().__init__(session, "steps")
        self.figures = figures
        self.track: Track | None = None
        self._spots: dict[int, Spot | None] = {}  # by the step's first event
        self._rows_of: list[Spot] = []
        self._of: TraceStore | None = None
        self._aim = 0  # the moment whose step is to be selected when it has been found

    def show_track(self, track: Track) -> None:
        """Look at another tensor."""
        self.track = track
        self._spots.clear()
        self._rows_of = []
        self._aim = self.session.cursor
        self.sync()

    def count(self) -> int:
        return len(self._rows_of) + 2 if self.track is not None else 0

    def sync(self) -> None:
        """Steps have come, or figures."""
        store, track = self.session.store, self.track
        if track is None:
            super().update_rows()
            return
        if self._of is not store:
            self._of = store
            self._spots.clear()
        budget = EVENTS
        changed = False
        running = self.session.state == "running" and self.session.following
        for step in reversed(store.steps):  # the newest first
            if not step.done and step is store.steps[-1]:
                if running:
                    continue
                self._spots.pop(step.first_seq, None)  # it may have come meanwhile
            if step.first_seq in self._spots:
                continue
            if budget < 0:
                later(self, 0.01, self.sync)
                break
            self._spots[step.first_seq] = find_in(store, track, step)
            budget -= step.last_seq - step.first_seq + 1
            changed = True
        if changed or not self._rows_of:
            self._collect(store)
        super().update_rows()
        self._want()

    def _collect(self, store: TraceStore) -> None:
        """The steps that have it, in order; the one that is selected stays so."""
        before = self.chosen
        first = store.first_seq
        self._spots = {seq: spot for seq, spot in self._spots.items() if seq >= first}
        found = [self._spots[seq] for seq in sorted(self._spots)]
        self._rows_of = [spot for spot in found if spot is not None]
        if not self._rows_of:
            return
        if self._aim:
            earlier = [i for i, spot in enumerate(self._rows_of) if spot.first <= self._aim]
            self._pick(earlier[-1] if earlier else 0)
            if before is None:
                self.post_message(self.Selected(self, self.selected))
        elif before is not None:
            at = [i for i, spot in enumerate(self._rows_of) if spot.first == before.first]
            self.selected = at[0] + 2 if at else self.selected

    def _pick(self, index: int) -> None:
        self.selected = index + 2
        self._rows = -1
        super().update_rows()
        self.show_row(self.selected)

    def update_rows(self) -> None:
        self.sync()

    def _want(self) -> None:
        top = max(0, self.scroll_offset.y - 2)
        spots = self._rows_of[top : top + max(4, self.size.height)]
        keys = [(spot.meta.id, spot.seq) for spot in spots]
        rest = [self._rows_of[i] for i in sample(len(self._rows_of), SPARK)]
        if self.session.state != "recording":
            rest = rest[-8:]
        self.figures.want("steps", [*keys, *((s.meta.id, s.seq) for s in reversed(rest))])

    @property
    def chosen(self) -> Spot | None:
        """The selected step."""
        index = self.selected - 2
        return self._rows_of[index] if 0 <= index < len(self._rows_of) else None

    def select(self, index: int, *, tell: bool = True) -> None:
        if tell:
            self._aim = 0
        super().select(index, tell=tell)

    def row(self, index: int, width: int) -> Line:
        if index == 0:
            return self._head(width)
        if index == 1:
            return title_line(width) if self._rows_of else [("in no step that is kept", "dim")]
        spot = self._rows_of[index - 2]
        return row_line(spot, self._figures(spot), width)

    def _figures(self, spot: Spot) -> Summary | str | None:
        """What is known of a step: of a loss, the tape has the number itself."""
        found = self.figures.get((spot.meta.id, spot.seq))
        if isinstance(found, Summary):
            return found
        return known_loss(self.session.store, spot) or found

    def ground(self, index: int) -> str:
        if index < 2:
            return ""
        step = self.session.store.step_at(self.session.cursor)
        return (
            "stop" if step is not None and step.first_seq == self._rows_of[index - 2].first else ""
        )

    def _head(self, width: int) -> Line:
        """Its name, what it is, and its norm over the steps."""
        assert self.track is not None
        line: Line = [(self.track.title, "title")]
        spot = self.chosen
        if spot is not None:
            line.append((f"  {spot_text(spot)}", "shape"))
        values = []
        for i in sample(len(self._rows_of), SPARK):
            found = self._figures(self._rows_of[i])
            if isinstance(found, Summary):
                values.append(norm_of(found))
        room = width - width_of(line) - 20
        if values and room > 4:
            line += [
                ("  norm ", "dim"), (sparkline(values, min(room, 40)), "bar"),
                (f" {short(values[-1])}", "value"),
            ]  # fmt: skip
        return line

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._rows_of:
            self._want()
