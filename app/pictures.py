"""`tapebook export` and `tapebook summary` of a program: it is run, and what one step did is shown.

The program runs as `tapebook run` runs it, until the training step that is asked for has ended.
Functions return what to print; a text of the program is cleaned where it is printed.
"""

from __future__ import annotations

import linecache
import os
from typing import TYPE_CHECKING

from app.runner import record_step
from framework.trace.sink import Recorder
from viewers.graph.export import ExportError, Result, export
from viewers.graph.facts import lookup_of
from viewers.graph.store import Step, TraceStore

if TYPE_CHECKING:
    from viewers.summary import ModelSummary

__all__ = ["export_program", "summary_of_program", "written"]

_EVENTS = 1 << 23  # of the steps that are recorded: a step of 100,000 ops is kept whole


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

    Raises NotebookError if it cannot be run, RuntimeError if it failed, ExportError.
    """
    recorder, store, chosen = _recorded(path, arguments, step, "all" if values else "none")
    look = lookup_of(recorder) if values else None
    made = export(
        store, output, chosen, phase, depth, module, look or False, engine=engine,
        everything=everything, code=linecache.getline,
    )  # fmt: skip
    return written(made)


def written(made: Result) -> str:
    """One line about a picture."""
    way = {"dot": " by Graphviz's dot", "own": " by the built-in layout"}.get(made.engine, "")
    return f"{made.path}: {made.cells} nodes{way}{'; ' if made.note else ''}{made.note}"


def summary_of_program(
    path: str | os.PathLike[str], arguments: list[str], *, step: int = 1, depth: int | None = None
) -> ModelSummary:
    """The modules of a training step of a program. Raises as `export_program` does."""
    from viewers.summary import summary_of

    _, store, chosen = _recorded(path, arguments, step, "none")
    return summary_of(store, chosen, depth=depth)


def _recorded(
    path: str | os.PathLike[str], arguments: list[str], step: int, keep: str
) -> tuple[Recorder, TraceStore, Step | None]:
    """The tape of a program, and its step; None for the newest one with ops."""
    recorder, ended = record_step(path, arguments, step=step, keep=keep)
    if ended < step and (ended or step > 1):
        raise ExportError(f"the program ended after {ended} training steps")
    store = TraceStore(max_events=_EVENTS)
    store.feed(recorder.read())
    return recorder, store, store.step_at(store.last_seq) if ended else None
