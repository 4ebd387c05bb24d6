"""Pictures of a training step as files: ``.html``, ``.svg``, ``.png``, ``.mmd`` and ``.dot``.

Our own layout draws; Graphviz's ``dot`` can be asked to instead, and is run under a time limit.
Where it is missing, fails or takes too long, "auto" draws all the same, and `Result` says why.
Files appear whole or not at all.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from viewers.graph import dot, html, mermaid, picture, svg
from viewers.graph.facts import Called, Code, Facts, Lookup, code_of, lookup_of
from viewers.graph.picture import Picture
from viewers.graph.step import StepGraph
from viewers.graph.store import Step, TraceStore

__all__ = ["ENGINES", "PHASES", "SUFFIXES", "ExportError", "Result", "export", "write_whole"]

SUFFIXES = (".html", ".svg", ".png", ".mmd", ".dot")
ENGINES = ("own", "dot", "auto")
PHASES = ("forward", "backward", "both")

_SCALE = 2.0  # pixels per unit of a png
_PIXELS = 60_000_000  # a larger png is scaled down, and refused where it could not be read then
_SIDE = 30_000
_MANY = 2_000  # cells from which `dot` would not be done in time anyway
_EVENTS = 1 << 23  # of a tape whose steps are looked at as a whole


class ExportError(Exception):
    """The export was not done; one line says why."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was written.

    ``engine`` is "dot" or "own", "" where nothing had to be placed; ``note`` says what a user
    should know: why it was not the other engine, which values were no longer kept.
    """

    path: Path
    engine: str
    note: str
    cells: int
    depth: int


def export(
    source: Any,
    path: str | os.PathLike[str],
    step: int | Step | None = None,
    phase: str = "forward",
    depth: int | None = None,
    module: str | None = None,
    values: bool | Lookup = False,
    annotations: Mapping[int | str, str] | None = None,
    engine: str = "own",
    time_limit: float = 20.0,
    everything: bool = False,
    code: Code | None = None,
    called: Called | None = None,
    cells: Mapping[str, str] | None = None,
) -> Result:
    """Write a picture of a training step.

    Args:
        source: what `framework.trace.recording` gives, a recording that was opened, a `TraceStore`
            or anything that has one as ``store`` (the program's session), or the graph of a step:
            then ``step`` says nothing.
        path: ends in ``.html`` (one file to look into with a browser: groups open and close),
            ``.svg``, ``.png``, ``.mmd`` (Mermaid) or ``.dot``.
        step: a `Step`, the number that the optimizer gave it, or None for the newest one with ops.
        phase: "forward", "backward" or "both".
        depth: groups are open down to this depth; None: as deep as it stays readable.
        module: only the calls of this module.
        values: figures of the values and gradients as annotations. True takes them from the source,
            which has to keep them; or a function from (tensor id, seq) to a `Summary` or None.
        annotations: a short text by tensor id or by row key.
        engine: "own", "dot", or "auto": ``dot`` if it is there and done in time.
        time_limit: seconds that ``dot`` may take.
        everything: also ops that the loss does not depend on.
        code: the text of a source line (file, line), for the ``.html``; where the source of the
            events knows it, it need not be given.
        called: the variable that holds a tensor (its id), "" if that is not known.
        cells: what a notebook's cells are called, by their ids: ``{"1f3a": "cell 3"}``.

    Raises:
        ExportError: an unknown suffix, phase or engine, no such step or module, no values, a place
            that cannot be written to, or with ``engine="dot"`` what was wrong with that.

    >>> import framework as torch
    >>> from framework.trace import recording
    >>> with recording() as tape:
    ...     _ = torch.ones(2, 3).relu().sum()
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     export(tape, f"{folder}/graph.svg", values=True).cells
    3
    """
    target = Path(path)
    suffix = target.suffix.lower()
    _one_of("suffix", suffix, SUFFIXES)
    _one_of("phase", phase, PHASES)
    _one_of("engine", engine, ENGINES)
    if depth is not None and depth < 0:
        raise ExportError(f"depth must be 0 or more, but got {depth}")
    graph = _graph(source, step)
    try:
        module = module and (graph.store.naming.find(module) or module)
    except ValueError as error:
        raise ExportError(str(error)) from None
    facts = Facts(graph, _lookup(source, values), code or code_of(source), called, cells)
    whole = suffix == ".html"
    try:
        made = picture.make(graph, phase, depth, module, annotations, everything, facts, whole)
    except picture.PictureError as error:
        raise ExportError(str(error)) from None
    used = note = ""
    if suffix == ".html":
        data = html.page(made, facts).encode()
    elif suffix == ".mmd":
        text = mermaid.source(made)
        data, note = text.encode(), _mermaid_note(made, text)
    elif suffix == ".dot":
        data = dot.source(made).encode()
    else:
        data, used, note = _draw(made, suffix, engine, time_limit)
    write_whole(target, data)
    if facts.missing:
        said = f"{facts.missing} of {facts.asked} values are no longer kept"
        note = f"{note}; {said}" if note else said
    return Result(target, used, note, len(made.cells), made.depth)


def _graph(source: Any, step: int | Step | None) -> StepGraph:
    if isinstance(source, StepGraph):
        return source
    store = getattr(source, "store", source)
    if not isinstance(store, TraceStore):
        read = getattr(source, "read", None) or getattr(source, "events", None)
        if not callable(read):
            kind = type(source).__name__
            raise ExportError(f"expected a tape, a store or a session, but got a {kind}")
        store = TraceStore(max_steps=1 << 20, max_events=_EVENTS)
        store.feed(read())
    return store.graph(_step(store, step))


def _lookup(source: Any, values: bool | Lookup) -> Lookup | None:
    if callable(values):
        return values
    found = lookup_of(source) if values else None
    if values and found is None:
        raise ExportError("no values were kept with this trace: record it with keep='all'")
    return found


def _mermaid_note(made: Picture, text: str) -> str:
    """What has to be raised for Mermaid to draw it."""
    edges = len(made.arrows)
    raise_ = []
    if edges > mermaid.EDGES:
        raise_.append(f"maxEdges to {edges}")
    if len(text) > mermaid.TEXT:
        raise_.append(f"maxTextSize to {len(text)}")
    return f"to draw it, set Mermaid's {' and '.join(raise_)}" if raise_ else ""


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ExportError(f"unknown {what} {value!r}: must be one of {', '.join(known)}")


def _step(store: TraceStore, wanted: int | Step | None) -> Step:
    if isinstance(wanted, Step):
        return wanted
    if wanted is None:
        found = next((s for s in reversed(store.steps) if s.counts[0] or s.counts[1]), None)
        if found is None:
            raise ExportError("there is no step with ops in this trace")
        return found
    found = store.step_numbered(wanted) if wanted > 0 else None
    if found is None:
        numbers = sorted({s.number for s in store.steps if s.number})
        has = (
            f"it has steps {numbers[0]} to {numbers[-1]}" if numbers else "it has no numbered step"
        )
        raise ExportError(f"no step {wanted} in this trace: {has}")
    return found


# -- drawing ---------------------------------------------------------------------------------


def _draw(made: Picture, suffix: str, engine: str, limit: float) -> tuple[bytes, str, str]:
    """The file's bytes, who drew them, and why not the other one."""
    note = ""
    if engine != "own":
        try:
            if engine == "auto" and len(made.cells) > _MANY:
                raise ExportError(f"{len(made.cells)} nodes are too many for Graphviz's dot")
            return _graphviz(dot.source(made), suffix, limit), "dot", ""
        except ExportError as error:
            if engine == "dot":
                raise
            note = f"{error}; drawn with the built-in layout"
    document = svg.render(made)
    return (document.encode() if suffix == ".svg" else _png(document)), "own", note


def _graphviz(text: str, suffix: str, limit: float) -> bytes:
    """What ``dot`` makes of it. It is killed, with all that it started, when time is up."""
    program = shutil.which("dot")
    if program is None:
        raise ExportError("Graphviz's program dot is not on the PATH")
    process = subprocess.Popen(
        [program, f"-T{suffix[1:]}", *(["-Gdpi=144"] if suffix == ".png" else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(text.encode(), timeout=limit)
    except subprocess.TimeoutExpired:
        raise ExportError(f"Graphviz's dot was not done after {limit:g} s") from None
    finally:
        if process.returncode is None:
            _kill(process)
    if process.returncode or not out:
        said = err.decode(errors="replace").strip().splitlines()
        raise ExportError(f"Graphviz's dot failed: {said[0] if said else process.returncode}")
    return out


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _png(document: str) -> bytes:
    """An SVG document as pixels."""
    import resvg_py

    head = document[: document.index(">")]
    width, height = (
        float(head.split(f'{name}="')[1].split('"')[0]) for name in ("width", "height")
    )
    zoom = min(_SCALE, (_PIXELS / (width * height)) ** 0.5, _SIDE / max(width, height))
    if zoom < 0.25:
        raise ExportError(
            f"a picture of {width:.0f} x {height:.0f} is too large for a .png: "
            "write an .svg, or choose a module or a smaller depth"
        )
    try:
        return bytes(resvg_py.svg_to_bytes(svg_string=document, zoom=zoom))
    except ValueError as error:
        raise ExportError(f"the .png could not be drawn: {str(error).splitlines()[0]}") from None


def write_whole(target: Path, data: bytes) -> None:
    """Put a file in place as a whole; ExportError if it cannot be written."""
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:40]}.", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, target)
        temporary = None
    except OSError as error:
        raise ExportError(f"cannot write {target}: {error.strerror or error}") from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
