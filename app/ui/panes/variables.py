"""Variables and the call stack, as they were at a stop."""

from __future__ import annotations

from app.session import Session, Snapshot
from app.ui.describe import meta_text, one_line
from app.ui.panes.base import Pane
from framework.trace.events import ModuleBegin
from framework.trace.protocol import Variable
from viewers.text import Line, crop, pad, pad_line, short

__all__ = ["VariablesPane"]

STACK_FROM = 92  # columns from which the call stack stands beside the variables
STACK_WIDTH = 42


class VariablesPane(Pane):
    """One row per name; the call stack at the right, or its frame in the first row."""

    where = "variables"
    header = 1

    def __init__(self, session: Session) -> None:
        super().__init__(session, "variables")

    @property
    def variables(self) -> list[Variable]:
        snapshot = self.session.snapshot
        return snapshot.variables.get(self.session.frame, []) if snapshot is not None else []

    def variable(self, index: int) -> Variable | None:
        """The variable of a row."""
        names = self.variables
        return names[index - 1] if 1 <= index <= len(names) else None

    def count(self) -> int:
        beside = self.room >= STACK_FROM
        stack = len(self._stack(self.session.snapshot)) if beside else 0
        return max(1 + len(self.variables), stack)

    def row(self, index: int, width: int) -> Line:
        snapshot = self.session.snapshot
        beside = self.room >= STACK_FROM
        room = width - STACK_WIDTH - 2 if beside else width
        line = self._head(snapshot, beside) if index == 0 else self._variable(index, snapshot, room)
        if not beside:
            return line
        stack = self._stack(snapshot)
        right = stack[index] if index < len(stack) else []
        return [*pad_line(line, room), ("│ ", "edge"), *right]

    def _head(self, snapshot: Snapshot | None, beside: bool) -> Line:
        session = self.session
        if snapshot is None:
            return [(" no variables: they are looked at when the model stands", "dim")]
        line: Line = [(" ", "")]
        if snapshot.seq != session.cursor:
            line.append((f"as of the stop at event {snapshot.seq}, before this moment  ", "warn"))
        if not beside and snapshot.stack:
            frame = snapshot.stack[min(session.frame, len(snapshot.stack) - 1)]
            where = session.source_text(frame.source)
            count = len(snapshot.stack)
            line.append((f"frame {session.frame + 1} of {count}: ", "dim"))
            line.append((f"{one_line(frame.source.function)}, {where}", ""))
        elif len(line) == 1:
            line.append(("name            type        value", "dim"))
        return line

    def _variable(self, index: int, snapshot: Snapshot | None, width: int) -> Line:
        variable = self.variable(index)
        if variable is None or snapshot is None:
            return []
        line: Line = [
            (pad(one_line(variable.name), 15) + " ", "name"),
            (pad(one_line(variable.type), 11) + " ", "dim"),
        ]
        meta = variable.tensor
        if meta is None:
            return [*line, (crop(one_line(variable.text), max(4, width - 29)), "")]
        line.append((pad(meta_text(meta), 16) + " ", ""))
        line.append((pad(one_line(meta.device), 6) + " ", "dim"))
        if variable.grad is not None:
            norm = snapshot.norms.get(variable.grad.id)
            line.append(("|grad| ", "backward"))
            line.append((short(norm) if norm is not None else "…", "backward"))
        elif meta.requires_grad:
            line.append(("needs grad", "dim"))
        return line

    def _stack(self, snapshot: Snapshot | None) -> list[Line]:
        """The call stack at a live stop; elsewhere the open modules, which the tape knows."""
        session = self.session
        if snapshot is not None and snapshot.seq == session.cursor and snapshot.stack:
            lines: list[Line] = [[("call stack  ", "dim"), ("u/d selects", "faint")]]
            for i, frame in enumerate(snapshot.stack):
                mark = "▸ " if i == session.frame else "  "
                where = session.source_text(frame.source)
                lines.append(
                    [(mark, "accent"), (f"{where}  ", "bold" if i == session.frame else ""),
                     (one_line(frame.source.function), "dim")]
                )  # fmt: skip
            return lines
        modules = [e for e in session.moment.stack if isinstance(e, ModuleBegin)]
        source = session.source_text(session.source) if session.cursor else ""
        lines = [[("at this moment", "dim")]]
        if source:
            lines.append([("  ", ""), (source, "")])
        lines += [
            [("  " * (i + 1), ""), (one_line(e.path), "module"), (f" {one_line(e.cls)}", "dim")]
            for i, e in enumerate(modules)
        ]
        return lines
