"""`tapebook export` and `tapebook summary` of a program: it is run, and what one step did is shown.

The program runs as `tapebook run` runs it, until the training step that is asked for has ended.
Functions return what to print; a text of the program is cleaned where it is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import linecache
import os
import re
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from app.places import named_cells, spell
from app.runner import Program, foreign, record_step
from framework.trace.events import Op
from framework.trace.sink import Recorder
from viewers.graph.export import (
    ENGINES,
    PHASES,
    SUFFIXES,
    ExportError,
    Result,
    export,
    write_whole,
)
from viewers.graph.facts import lookup_of
from viewers.graph.store import Step, TraceStore
from viewers.see import variables_of
from viewers.text import lineage, plain

if TYPE_CHECKING:
    from viewers.summary import ModelSummary

__all__ = [
    "add_options", "count", "export_program", "free_name", "lineage_lines", "number",
    "parse_request", "save_screen", "summary_of_program", "written",
]  # fmt: skip

_EVENTS = 1 << 23  # of the steps that are recorded: a step of 100,000 ops is kept whole


# -- what can be asked for: the command line and the screen's prompt have the same options ---------


def add_options(parser: argparse.ArgumentParser, phase: str = "forward") -> None:
    """The options of a picture."""
    parser.add_argument("--phase", choices=PHASES, default=phase)
    parser.add_argument("--depth", type=count, help="how deep modules and composite ops are open")
    parser.add_argument("--module", help="only this module: model.encoder")
    parser.add_argument(
        "--values", action="store_true", help="with figures of the values and gradients"
    )
    parser.add_argument(
        "--all", dest="everything", action="store_true",
        help="also ops that the loss does not depend on",
    )  # fmt: skip
    parser.add_argument(
        "--engine", choices=ENGINES, default="own", help="who places the nodes of an .svg or .png"
    )


def count(text: str) -> int:
    """A number from 0 on."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text}: must be 0 or more")
    return value


def number(text: str) -> int:
    """The number of a training step."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: steps count from 1")
    return value


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ExportError(message)


def parse_request(text: str, phase: str) -> tuple[Path, dict[str, Any]]:
    """What a line asks for: a file's name, then options. ExportError with one line if it is wrong.

    >>> path, options = parse_request("graph.html --values --depth 2", "both")
    >>> path.name, options["values"], options["depth"], options["phase"]
    ('graph.html', True, 2, 'both')
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("file")
    add_options(parser, phase)
    try:
        options = vars(parser.parse_args(shlex.split(text)))
    except ValueError as error:
        raise ExportError(f"{text}: {error}") from None
    path = Path(options.pop("file")).expanduser()
    if path.suffix.lower() not in SUFFIXES:
        raise ExportError(f"{path}: must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    return path, options


def lineage_lines(
    path: str, op: str, word: str, depth: int | None = None, step: int | None = None
) -> Iterator[str]:
    """``tapebook show FILE.tape feeds OP`` and ``uses OP``. Raises TapeError."""
    from app.recording import store_of
    from framework.trace.tape import TapeError, open_tape

    with open_tape(path) as tape:
        store = store_of(tape)
        variables = variables_of(tape, store)
        tree = partial(
            lineage, store, used=word == "uses", depth=depth, called=variables.called, step=step
        )
        try:
            lines = tree(op or _last_op(store))
        except ValueError as error:
            last = store.step_numbered(step) if step is not None else None
            start = variables.maker(op, last.last_seq if last is not None else store.last_seq)
            if not start or (step is not None and last is None):
                raise TapeError(f"{path}: {error}") from None
            lines = tree(start)
        names = named_cells(tape.sources)
    yield from (spell(plain(line), names) for line, _ in lines)


def _last_op(store: TraceStore) -> int:
    return next((e.seq for e in reversed(store.tape) if isinstance(e, Op)), 0)


_FONTS = re.compile(r"@font-face\s*\{[^}]*\}")


def free_name(path: Path) -> Path:
    """The path, or the next one with a number that is not taken: nothing is overwritten."""
    number = 2
    free = path
    while os.path.lexists(free):
        free = path.with_stem(f"{path.stem}-{number}")
        number += 1
    return free


def save_screen(svg: str, stem: str) -> Path:
    """Write a picture of the screen beside the others; returns where. ExportError if it cannot be.

    The fonts that it names are not fetched from anywhere: a monospaced one of the reader's is used.
    """
    taken = 1
    while os.path.lexists(path := Path(f"{stem}-screen-{taken}.svg").absolute()):
        taken += 1
    write_whole(path, _FONTS.sub("", svg).encode())
    return path


# -- programs --------------------------------------------------------------------------------------


def export_program(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    arguments: list[str],
    *,
    step: int = 1,
    phase: str = "forward",
    depth: int | None = None,
    module: str | None = None,
    values: bool = False,
    everything: bool = False,
    engine: str = "own",
) -> str:
    """A picture of a training step of a program; returns a line that says what was written.

    Raises NotebookError if it cannot be run, RuntimeError if it failed, ExportError if what is
    wanted is not there, or cannot be written.
    """
    recorder, ended = _recorded(path, arguments, step, "all" if values else "none")
    with _uncollected():
        store, chosen = _stored(recorder, ended, step)
        look = lookup_of(recorder) if values else None
        made = export(
            store, output, chosen, phase, depth, module, look or False, engine=engine,
            everything=everything, code=linecache.getline,
            called=variables_of(recorder, store).called,
        )  # fmt: skip
    return written(made)


def written(made: Result) -> str:
    """One line about a picture."""
    way = {"dot": " by Graphviz's dot", "own": " by the built-in layout"}.get(made.engine, "")
    return f"{made.path}: {made.cells} nodes{way}{'; ' if made.note else ''}{made.note}"


def summary_of_program(
    path: str | os.PathLike[str],
    arguments: list[str],
    *,
    step: int | None = None,
    depth: int | None = None,
) -> ModelSummary:
    """The modules of a training step of a program. Raises as `export_program` does.

    Without a number, of the second step, if there is one: the first is no usual one, it takes
    memory and compiles or loads kernels.
    """
    from viewers.summary import summary_of

    recorder, ended = _recorded(path, arguments, step or 2, "none", fewer=step is None)
    with _uncollected():
        number = 1 if step is None and ended == 1 else step or 2
        store, chosen = _stored(recorder, ended, number)
        return summary_of(store, chosen, depth=depth)


def _recorded(
    path: str | os.PathLike[str], arguments: list[str], step: int, keep: str, fewer: bool = False
) -> tuple[Recorder, int]:
    """The tape of a program, and its last training step that has ended; ``fewer`` will do."""
    recorder, ended = record_step(path, arguments, step=step, keep=keep)
    if ended < step and (ended or step > 1) and not fewer:
        raise ExportError(f"the program ended after {ended} training steps")
    if not any(isinstance(event, Op) for event in recorder.read()):
        hint = foreign(Program.load(path), recorder)
        nothing = f"{path}: it ran no op of the framework: there is nothing to show"
        raise ExportError(hint or nothing)
    return recorder, ended


def _stored(recorder: Recorder, ended: int, number: int) -> tuple[TraceStore, Step | None]:
    """The tape to be asked, and its step of a number; None for the newest one with ops."""
    store = TraceStore(max_events=_EVENTS)
    store.feed(recorder.read())
    wanted = (s for s in reversed(store.steps) if s.number == number and s.done)
    return store, next(wanted, store.step_at(store.last_seq)) if ended else None


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Within, no garbage is looked for: there is none, and it would take half of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
