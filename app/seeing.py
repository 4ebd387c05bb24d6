"""``tapebook show FILE.tape``: parameters, a tensor over the steps or as it was, source figures.

The tables themselves are in `viewers.see`; here a recording is opened, and a question that has no
answer becomes one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from app.places import named_cells, spell
from framework.trace.tape import Tape, TapeError, open_tape
from viewers import see
from viewers.text import Line, plain

__all__ = ["eval_lines", "history_lines", "parameter_lines", "source_lines", "tensor_lines"]


def parameter_lines(path: str, step: int | None = None, sort: str = "name") -> Iterator[str]:
    """``--parameters``: norm, gradient norm and update ratio of each. Raises TapeError."""
    return _lines(path, lambda tape: see.parameters(tape, step, sort=sort, width=110))


def source_lines(path: str, step: int | None = None) -> Iterator[str]:
    """``--source``: each line that ran with its figures. Raises TapeError."""
    return _lines(path, lambda tape: see.source(tape, step))


def history_lines(path: str, name: str) -> Iterator[str]:
    """``history NAME``: one tensor in every step. Raises TapeError."""
    if not name:
        raise TapeError("history of what? a parameter's name, loss, a module or an op")
    return _lines(path, lambda tape: see.history(tape, name))


def tensor_lines(path: str, name: str, step: int | None = None) -> Iterator[str]:
    """``tensor NAME[SLICE]``: figures, histogram, picture and table. Raises TapeError."""
    if not name:
        raise TapeError("which tensor? a parameter's name, loss, a module or an op, then [a slice]")
    return _lines(path, lambda tape: see.picture(tape, name, step))


def eval_lines(path: str, expression: str, step: int | None = None) -> Iterator[str]:
    """``eval EXPRESSION``: a value made of what was recorded, after a step. Raises TapeError."""
    if not expression:
        raise TapeError("eval what? an expression such as model.0.weight.grad.abs().max()")
    return _lines(path, lambda tape: see.value_lines(tape, expression, step))


def _lines(path: str, make: Callable[[Tape], list[Line]]) -> Iterator[str]:
    with open_tape(path) as tape:
        names: Any = named_cells(tape.sources)
        try:
            lines = make(tape)
        except ValueError as error:
            raise TapeError(f"{path}: {error}") from None
    yield from (spell(plain(line).rstrip(), names) for line in lines)
