"""Watch expressions and their values at the moment that is looked at.

At a live stop the program evaluates them, with all of its names. Elsewhere on the tape, and in a
recording, they are computed from the values that are kept: of parameters, gradients, optimizer
state, named inputs, modules' outputs, the loss, and variables with their gradients.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from app.session import Session
from app.ui.describe import meta_text, one_line
from app.ui.later import later
from app.ui.panes.base import Pane
from app.ui.panes.parameters import ParametersPane
from framework.trace.compute import ComputeError, names_in
from framework.trace.protocol import Variable
from viewers.parameters import Key
from viewers.text import Line, crop, pad
from viewers.tracks import gradient_of

__all__ = ["WatchesPane"]


KEPT = 2_000  # values remembered

_Question = tuple[str, tuple[tuple[str, tuple[int, ...]], ...]]  # and what its names stand for


class WatchesPane(Pane):
    """One row per expression."""

    where = "watches"
    empty = "no watches: W adds an expression, which has a value at every moment of the tape"

    def __init__(self, session: Session, parameters: ParametersPane) -> None:
        super().__init__(session, "watches")
        self.parameters = parameters
        self.tensors_of: Callable[[str], Iterable[int]] = lambda name: ()  # of a variable
        self._known: OrderedDict[_Question, Variable | str] = OrderedDict()
        self._asked: set[_Question] = set()
        self._client: object = None  # whom that was asked of

    def count(self) -> int:
        return len(self.session.watches)

    def value(self, index: int) -> tuple[Variable | str | None, int]:
        """The value of a watch at or before the cursor, and the moment it was evaluated at."""
        session = self.session
        expression = session.watches[index]
        best: tuple[Variable | str | None, int] = (None, 0)
        for seq, snapshot in session.snapshots.items():
            if best[1] <= seq <= session.cursor and expression in snapshot.watches:
                best = snapshot.watches[expression], seq
        if best[1] == session.cursor or (session.state == "running" and session.following):
            return best
        found = self._computed(expression)
        if isinstance(found, Variable) or best[0] is None:
            return found, session.cursor
        return best

    def _computed(self, expression: str) -> Variable | str | None:
        """Its value from what is kept; a text says why there is none, None that it is to come."""
        session = self.session
        if session.client is not self._client:
            self._client = session.client
            self._known.clear()
            self._asked.clear()
        if session.client is None or not session.cursor:
            return "not evaluated at this moment"
        try:
            names = names_in(expression)
        except ComputeError as error:
            return str(error)
        if self.parameters.follow():
            later(self, 0.01, self.update_rows)
        table = self.parameters.table
        assert table is not None
        keys = {name: table.find(name, session.cursor) or self._variable(name) for name in names}
        if names and not any(keys.values()):
            try:
                keys = {name: table.meant(name, session.cursor) for name in names}
            except ValueError as error:
                return str(error)
        of = {name: key for name, key in keys.items() if key}
        if names and not of:
            return f"{names[-1]} is no value of the tape at this moment"
        question = (expression, tuple(of.items()))
        if question in self._known:
            return self._known[question]
        if question not in self._asked:
            self._ask(question)
        return None

    def _variable(self, name: str) -> Key:
        """The tensor that a variable, or ``NAME.grad``, was last as of the cursor; () for none."""
        store, cursor = self.session.store, self.session.cursor
        step = store.step_at(cursor)
        outer, _, last = name.rpartition(".")
        of_grad = bool(outer) and last == "grad"
        made = []
        if step is None:
            return ()
        for tensor in self.tensors_of(outer if of_grad else name):
            item = store.graph_so_far(step).producer(tensor, cursor)
            at = item.begin if item is not None else store.maker(tensor)
            if 0 < at <= cursor:
                made.append((at, tensor))
        if not made:
            return ()
        tensor = max(made)[1]
        return gradient_of(store, tensor, cursor) if of_grad else (tensor, cursor)

    def _ask(self, question: _Question) -> None:
        self._asked.add(question)
        client = self.session.client

        def arrived(value: Variable | str) -> None:
            if client is not self._client:
                return
            self._asked.discard(question)
            self._known[question] = value
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
            self.session.changed.add("watches")

        of = {name: list(key) for name, key in question[1]}
        self.session.ask("compute", arrived, arrived, expression=question[0], of=of)

    def row(self, index: int, width: int) -> Line:
        expression = one_line(self.session.watches[index])
        value, seq = self.value(index)
        size = max(16, min(40, width // 3))
        line: Line = [(pad(expression, size) + " ", "name"), ("= ", "dim")]
        if value is None:
            return [*line, ("…", "dim")]
        if isinstance(value, str):
            line.append((one_line(value), "error"))
        else:
            if value.tensor is not None:
                line.append((f"{meta_text(value.tensor)} ", "shape"))
            line.append((crop(one_line(value.text), max(8, width - size - 24)), ""))
        if seq != self.session.cursor:
            line.append((f"  as of event {seq}", "warn"))
        return line
