"""``tapebook rerun FILE.tape``: one training step of a recording, run again for all its values.

The program is started anew with the arguments that it had, and recorded to the end of the step. It
runs from its seeds, inputs and initial parameters; whether it did the same is found out op by op
against what the recording holds.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from app.explaining import side_of
from app.notebook import NotebookError
from app.runner import Program, Record, record_step
from framework.trace.tape import Tape, TapeError, open_tape
from viewers.compare import CompareError, Comparison, compare

__all__ = ["Rerun", "rerun"]


@dataclass(frozen=True, slots=True)
class Rerun:
    """A step that was run again.

    Attributes:
        step: its number.
        path: the recording of it.
        found: it against the recording that it is of.
    """

    step: int
    path: Path
    found: Comparison

    def lines(self) -> list[str]:
        """What came of it, as text."""
        if self.found.same:
            known = self.found.pairs - self.found.unknown
            values = f"the values of {known:,} of them were compared" if known else (
                "the recording holds no values to compare with"
            )  # fmt: skip
            verdict = f"step {self.step} ran as recorded: {self.found.pairs:,} ops; {values}"
        else:
            verdict = f"step {self.step} did not run as recorded"
        lines = [verdict, f"its values are in {self.path}"]
        return lines if self.found.same else [*lines, "", *self.found.lines()]


def rerun(path: str | Path, step: int | None = None, output: str | Path | None = None) -> Rerun:
    """Run a step of a recording again. TapeError with one line if it cannot be done.

    Args:
        step: its number; default: the last one that has ended.
        output: the new recording; default: beside the old one, ``NAME.step-N.tape``.
    """
    path = Path(path)
    with open_tape(path) as tape:
        numbers = [info.number for info in tape.steps if info.number]
        number = step if step is not None else max(numbers, default=0)
        if number not in numbers:
            has = f"it has {min(numbers)} to {max(numbers)}" if numbers else "it has none"
            raise TapeError(f"{path}: there is no training step {number}: {has}")
        program, arguments = _program(tape)
        end = len(numbers) - numbers[::-1].index(number)  # of two optimizers each has this step
        new = Path(output) if output is not None else path.with_suffix(f".step-{number}.tape")
        absolute = new.absolute()
        if os.path.lexists(new):
            raise TapeError(f"{new}: exists already; -o names another file")
        folder = Path(tape.info.get("folder", "."))
        if not os.path.isdir(folder):
            raise TapeError(f"{path}: it ran in {folder}, which is not on this machine")
        with contextlib.chdir(folder):
            _run(program, arguments, end, absolute, path)
        with open_tape(new) as again:
            try:
                found = compare(side_of(tape, str(path)), side_of(again, "run again"), step=number)
            except CompareError as error:
                raise TapeError(f"{path}: it did not come to step {number}: {error}") from None
            return Rerun(number, new, found)


def _program(tape: Tape) -> tuple[Path, list[str]]:
    """The file that was recorded, which must be the same now, and its arguments."""
    program = Path(tape.info.get("program", ""))
    try:
        arguments = [str(word) for word in json.loads(tape.info.get("argv", "[]"))][1:]
    except (ValueError, TypeError):
        raise TapeError(f"{tape.path}: its program's arguments cannot be read") from None
    if not os.path.isfile(program):
        raise TapeError(f"{tape.path}: its program {program} is not on this machine")
    try:
        loaded = Program.load(program)
    except NotebookError as error:
        raise TapeError(str(error)) from None
    now = dict(loaded.sources) or {str(program): program.read_text("utf-8", "replace")}
    for name, text in now.items():
        if name.startswith("<text "):
            continue  # a text cell
        if name in tape.sources and tape.sources[name].splitlines() != text.splitlines():
            raise TapeError(f"{program} has changed since {tape.path} was recorded")
    return program, arguments


def _run(program: Path, arguments: list[str], end: int, new: Path, path: Path) -> None:
    """Record until so many steps have ended, of whichever optimizer."""
    try:
        _, ended = record_step(
            program, arguments, step=end, each=True, keep="all", record=Record(str(new)), mute=True
        )
    except (NotebookError, RuntimeError, ValueError) as error:
        raise TapeError(str(error)) from None
    if ended < end:
        raise TapeError(f"{path}: run again, {program.name} ended after {ended} of {end} steps")
