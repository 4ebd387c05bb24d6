"""`tapebook run` and `tapebook export`: a script or a notebook's code as ``__main__``, watched.

The program runs in this process, on the main thread, as `python FILE` would run it. A recorder
keeps its tape, a service lets a viewer attach, and breakpoints given on the command line stop it at
a console.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import linecache
import os
import signal
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from app.console import Console, Ended, describe_inputs, event_at
from app.foreign import HINT, imports_pytorch
from app.notebook import Notebook, open_notebook
from app.places import names_of, resolve, spell
from app.sanitize import clean
from framework.trace import frames, records, sink
from framework.trace.breakpoints import Compiled, pattern, same_file
from framework.trace.conditions import parse_line
from framework.trace.events import (
    ModuleBegin,
    NodeBegin,
    Op,
    OpBegin,
    OptimBegin,
    OptimEnd,
    Source,
)
from framework.trace.gate import Gate, raised_by
from framework.trace.protocol import Breakpoint, Stop
from framework.trace.rulebook import Finding
from framework.trace.ruleset import Watch
from framework.trace.ruleset import load as load_rules

if TYPE_CHECKING:
    from framework.trace.server import Service

__all__ = ["Program", "foreign", "parse_break", "record_step", "run"]

BUDGET = 512 << 20  # bytes of values that are kept
_STEP = 1 << 20  # events of a step that is recorded to be shown as a whole


# -- what is run ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Program:
    """A file's code, compiled in parts: a script is one, a notebook has one per cell.

    Attributes:
        parts: (cell id or "", code), in order.
        magics: whether IPython is needed for lines such as ``%time``.
        sources: of a notebook, the text of each cell by the file name of its code.
        notebook: its cells, as the file has them.
    """

    path: Path
    parts: list[tuple[str, Callable[[], CodeType]]]
    magics: bool = False
    sources: tuple[tuple[str, str], ...] = ()
    notebook: Notebook | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Program:
        """Read a file. Raises NotebookError with one line if it cannot be run."""
        path = Path(path)
        notebook = open_notebook(path)
        if notebook.kind == "script":
            data = path.read_bytes()
            name = str(path.absolute())  # as the interpreter names it, whatever was typed
            code = [("", lambda: compile(data, name, "exec", dont_inherit=True))]
            return cls(path, code, notebook=notebook)
        cells = [cell for cell in notebook.cells if cell.kind == "code"]
        sources = {cell.id: cell.source for cell in cells}
        lines = [line.strip() for source in sources.values() for line in source.split("\n")]
        magics = any(li.startswith(("%", "!", "?")) or li.endswith("?") for li in lines)
        if magics:
            sources = {ident: _transformed(source) for ident, source in sources.items()}
        texts = tuple(
            (f"<{'cell' if c.kind == 'code' else 'text'} {c.id}>", sources.get(c.id, c.source))
            for c in notebook.cells
        )
        parts = [_cell_part(ident, source) for ident, source in sources.items()]
        return cls(path, parts, magics, texts, notebook)

    @property
    def names(self) -> dict[str, str]:
        """What the cells are called, where they run one by one."""
        return names_of(self.notebook) if self.notebook is not None and self.sources else {}


def _cell_part(ident: str, source: str) -> tuple[str, Callable[[], CodeType]]:
    name = f"<cell {ident}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return ident, lambda: compile(source, name, "exec", flags, dont_inherit=True)


def _run_cell(code: CodeType, names: dict[str, Any]) -> None:
    waiting = eval(code, names)  # a coroutine, if the cell awaits at its top level
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(waiting)


def _transformed(source: str) -> str:
    from IPython.core.inputtransformer2 import TransformerManager

    return str(TransformerManager().transform_cell(source))


class _AsMain:
    """``__main__``, ``sys.argv`` and ``sys.path`` as the program expects them."""

    def __init__(self, program: Program, arguments: list[str]) -> None:
        path = program.path.absolute()
        self.module = types.ModuleType("__main__")
        self.module.__dict__.update(__file__=str(path), __builtins__=__builtins__)
        self._new = [str(program.path), *arguments]
        self._folder = str(path.parent)

    def __enter__(self) -> dict[str, Any]:
        self._old = sys.argv, sys.path[:], sys.modules["__main__"]
        sys.argv = self._new
        sys.path.insert(0, self._folder)
        sys.modules["__main__"] = self.module
        return self.module.__dict__

    def __exit__(self, *exc: object) -> None:
        sys.argv, sys.path[:], sys.modules["__main__"] = self._old


def _execute(
    program: Program, names: dict[str, Any], recorder: sink.Recorder, start: Callable[[], None]
) -> None:
    """Run all parts; cells are told to the tape. ``start`` is called as each begins."""
    if program.magics:
        from IPython.core.interactiveshell import InteractiveShell

        class Shell(InteractiveShell):
            def enable_gui(self, gui: Any = None) -> None:
                """There are no windows here; ``%matplotlib`` is accepted all the same."""

        Shell.instance(user_module=sys.modules["__main__"], user_ns=names)
    if program.parts and program.parts[0][0]:
        from IPython.display import display

        names.setdefault("display", display)  # as in every notebook
    for count, (cell, make) in enumerate(program.parts, 1):
        if not cell:
            start()
            exec(make(), names)
            continue
        begin = recorder.begin_cell(cell, count)
        start()
        try:
            _run_cell(make(), names)
        except BaseException as error:
            recorder.end_cell(begin, error)
            raise
        recorder.end_cell(begin)


# -- breakpoints from the command line -----------------------------------------------------------


def parse_break(text: str, ident: int, program: Program | None = None) -> Breakpoint:
    """``nan``, ``op exp inf``, ``grad model.0.weight norm > 10``, ``cell 3, line 5``.

    Raises ValueError with one line for the user.

    >>> from app.runner import parse_break
    >>> point = parse_break("op:exp if inf", 1)
    >>> point.op, point.condition, point.phase
    ('exp', 'inf', 'both')
    """
    try:
        point = parse_line(text, ident)
        if program is not None:
            point = _in_program(point, program, text)
        if error := Compiled(point).spec.error:
            raise ValueError(f"{text!r}: {error}")
    except ValueError as error:
        raise ValueError(f"--break {error}") from None
    return point


def _in_program(point: Breakpoint, program: Program, text: str) -> Breakpoint:
    whole = "" if program.sources else str(program.path.absolute())
    try:
        point = resolve(point, program.notebook, whole)
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
    if whole and same_file(point.file, whole):
        lines = len(linecache.getlines(whole))
        if point.line > lines:
            raise ValueError(f"{text!r}: {program.path.name} has {lines} lines")
    return point


# -- running ---------------------------------------------------------------------------------------


def run(
    path: str | os.PathLike[str],
    arguments: list[str] | None = None,
    *,
    breaks: list[str] | None = None,
    listen: bool = True,
    record: Record | None = None,
    pm: bool = True,
    rules: list[str] | None = None,
) -> int:
    """Run a file; returns the exit status. NotebookError or ValueError: it cannot be used.

    With ``pm``, an error opens a prompt at the op that raised, if there is a terminal. With
    ``rules``, the first that is broken ends the program.
    """
    settings = load_rules(*rules) if rules else {}
    program = Program.load(path)
    wanted = [text for text in breaks or [] if text.strip() != "error"]
    points = [parse_break(text, number, program) for number, text in enumerate(wanted, 1)]
    recorder, gate = _watch(keep="none" if record is not None and record.keep == "none" else "all")
    # Without a console, an error stops the program only while a viewer is there to look at it.
    gate.break_on_error = not breaks or len(wanted) < len(breaks)
    gate.set_breakpoints(points)
    if breaks:
        gate.console = _console(gate, program)
    with contextlib.ExitStack() as stack:
        stack.callback(sink.stop)
        if record is not None:
            stack.enter_context(record.start(program, recorder, arguments or []))
        if listen:
            # Values are kept for who looks at them: a viewer, the prompt, the rules.
            alone = not (breaks or settings or (pm and sys.stdin.isatty()))
            idle = "structure" if alone else "all"
            service = stack.enter_context(_served(recorder, gate, program.path, idle))
            if isinstance(gate.console, Console) and service is not None:
                gate.console.forks = service.forks
        watch = Watch(gate, settings, _end) if settings else None
        status = _run(program, arguments or [], recorder, gate, pm)
        if hint := foreign(program, recorder):
            _say(hint)
        if isinstance(gate.console, Console):
            gate.console.over()
        if watch is None:
            return status
        return _judge(watch, status, program.names)


def foreign(program: Program, recorder: sink.Recorder) -> str:
    """That a program ran on PyTorch itself and not on our framework, if so."""
    texts = dict(program.sources)
    if not texts:
        texts = {"": program.path.read_text("utf-8", "replace")}
    number, line = imports_pytorch(texts.values())
    if not number or any(isinstance(event, Op) for event in recorder.read()):
        return ""
    cell = f"cell {number}, " if program.sources else ""
    return f"{program.path}: {cell}line {line} {HINT}"


def _console(gate: Gate, program: Program) -> Console:
    """The prompt at a stop; it knows the program's cells."""
    return Console(
        gate, program.path, program.names,
        lambda text, number: parse_break(text, number, program),
    )  # fmt: skip


def _end(finding: Finding) -> None:
    """A rule is broken: end the program."""
    raise Ended


def _judge(watch: Watch, status: int, names: dict[str, str]) -> int:
    """Say what the rules found, and count it as a failure."""
    watch.do = None
    watch.end()
    sys.stderr.write(clean(spell(f"{watch.report}\n", names)))
    return status or int(not watch.report.ok)


@dataclass(frozen=True, slots=True)
class Record:
    """How a run is written to a file."""

    path: str
    keep: str = "all"
    budget: int = 1 << 30
    policy: str = "ring"

    @classmethod
    def parse(cls, path: str | None, **options: str | None) -> Record | None:
        """From the command line's texts; ValueError with one line for the user."""
        given = {name: text for name, text in options.items() if text is not None}
        if path is None:
            if given:
                raise ValueError(f"--{next(iter(given))} needs --record OUT.tape")
            return None
        budget = parse_size(given.pop("budget", "1G"))
        return cls(path, budget=budget, **given)

    @contextlib.contextmanager
    def start(
        self, program: Program, recorder: sink.Recorder, arguments: list[str]
    ) -> Iterator[None]:
        """Record what happens meanwhile; ValueError if the file cannot be written."""
        from framework.trace.tape_format import TapeError
        from framework.trace.tape_writer import Recording

        file = str(program.path.absolute())
        sources = dict(program.sources) or {file: "".join(linecache.getlines(file))}
        try:
            recording = Recording(
                self.path, recorder, keep=self.keep, budget=self.budget, policy=self.policy,
                program=file, argv=[str(program.path), *arguments], sources=sources,
            )  # fmt: skip
        except TapeError as error:
            raise ValueError(str(error)) from None
        with recording:
            yield
        if recording.lost or recording.missed:
            _say(
                f"{self.path}: {recording.lost} events and {recording.missed} values were gone "
                "before they could be written"
            )


def parse_size(text: str) -> int:
    """Bytes from ``500M`` or ``2G``; ValueError with one line for the user.

    >>> parse_size("500M"), parse_size("2g"), parse_size("1000000")
    (524288000, 2147483648, 1000000)
    """
    units = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
    number = text.strip().upper().removesuffix("B")
    unit = number[-1:] if number[-1:].isalpha() else ""
    try:
        return int(float(number.removesuffix(unit)) * (1 << units[unit]))
    except (ValueError, KeyError, OverflowError):
        raise ValueError(f"a size is a number with K, M or G, as in 500M, not {text!r}") from None


def record_step(
    path: str | os.PathLike[str],
    arguments: list[str] | None = None,
    *,
    step: int = 1,
    each: bool = False,
    keep: str = "none",
    record: Record | None = None,
    mute: bool = False,
) -> tuple[sink.Recorder, int]:
    """The tape of a file's run until its training step number ``step`` has ended.

    Steps have the numbers that their optimizer gives them, as in recordings: a round of a GAN is
    the same step of both of its optimizers, and ends with the last of them. With ``each``, every
    step of whichever optimizer counts. ``keep="all"`` keeps the values of that step.

    A program that ends before is recorded to its end. What it prints goes to stderr, or with
    ``mute`` nowhere. With ``record`` the run is written to a file, too. Returns the recorder and
    the number of the last training step that has ended. Raises NotebookError if it cannot be run,
    and RuntimeError with one line if it failed.
    """
    program = Program.load(path)
    # Whether a round is over may be known only as the next one ends.
    recorder, gate = _watch(keep=keep, steps=1 if each else 2, capacity=_STEP)
    ended = 0

    def at_step(stop: Stop) -> str:
        nonlocal ended
        if stop.reason == "exception":  # the program may catch it
            return "step"
        end = None if each else event_at(recorder, stop.seq)
        begin = event_at(recorder, end.begin) if isinstance(end, OptimEnd) else None
        ended = begin.step if isinstance(begin, OptimBegin) else ended + 1
        goes_on = isinstance(end, OptimEnd) and end.next == step
        if ended > step or (ended == step and not goes_on):
            raise Ended
        return "step"

    gate.console = at_step
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(open(os.devnull, "w", encoding="utf-8")) if mute else sys.stderr
        stack.enter_context(contextlib.redirect_stdout(out))
        if record is not None:
            stack.enter_context(record.start(program, recorder, arguments or []))
        status = _run(program, arguments or [], recorder, gate, how="step")
    if status and ended < step:
        raise RuntimeError(f"{path} failed (status {status}) before training step {step} ended")
    return recorder, ended


def _watch(**options: Any) -> tuple[sink.Recorder, Gate]:
    """A recorder of this thread and its gate; our own frames are not the user's."""
    frames.hide(os.path.dirname(os.path.abspath(__file__)))
    frames.host(_execute.__code__.co_filename)
    recorder = sink.start(**{"keep": "all", "budget": BUDGET, **options})
    gate = Gate(recorder)
    gate.attended = lambda: False  # until there is a service that says otherwise
    return recorder, gate


@contextlib.contextmanager
def _served(recorder: sink.Recorder, gate: Gate, path: Path, idle: str) -> Iterator[Service | None]:
    """The service that a viewer attaches to; without one, the program runs all the same."""
    from framework.trace.server import Service
    from framework.trace.session import SessionError

    try:
        service = Service(recorder, gate, path.stem, file=str(path.absolute()), idle=idle)
    except SessionError as error:
        _say(f"nobody can attach: {error}")
        yield None
        return
    service.asking.install()
    try:
        yield service
    finally:
        service.close()


def _run(
    program: Program,
    arguments: list[str],
    recorder: sink.Recorder,
    gate: Gate,
    pm: bool = False,
    how: str = "",
) -> int:
    """Run it and say how it ended; with ``pm`` an error opens a prompt at the op that raised.

    ``how`` is the step that each part begins with: a step does not reach beyond its cell.
    """
    with _AsMain(program, arguments) as names, _signals(gate):
        gate.namespace = names
        try:
            _execute(program, names, recorder, lambda: gate.begin(how) if how else None)
            gate.settle()
            status = 0
        except Ended:
            status = 1
        except SystemExit as error:
            status = _exit_status(error)
        except KeyboardInterrupt as error:
            _say(spell(f"interrupted{_place_of(error)}", program.names))
            status = 130
        except BaseException as error:
            _report_failure(error, recorder, program.names)
            if pm:
                _post_mortem(error, gate, program)
            status = 1
        finally:
            sink.stop()
            gate.set_state("finished")
    _tell_of_breakpoints(gate)
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    return status


def _tell_of_breakpoints(gate: Gate) -> None:
    """After a run: which could not be judged, were never hit, or name what there is not."""
    known = dict.fromkeys(name for name in gate.recorder.names.values() if name)
    naming = gate.recorder.naming
    for point in gate.breakpoints:
        if point.error:
            _say(f"breakpoint {point.id} could not be judged: {point.error}")
        elif point.param and not naming.find(point.param) and not any(
            map(pattern(point.param), (*known, *naming))
        ):  # fmt: skip
            there = ", ".join([*known][:8]) + " ..." * (len(known) > 8) or "no names"
            _say(f"breakpoint {point.id}: nothing is called {point.param}; there are {there}")
        elif not point.hits:
            _say(f"breakpoint {point.id} was never hit")


@contextlib.contextmanager
def _signals(gate: Gate) -> Iterator[None]:
    """What reaches the program from outside, and ``breakpoint()``, goes through the gate.

    Interrupts leave the tape whole; SIGTERM and SIGHUP let the program's exit handlers run.
    """

    def leave(signum: int, frame: FrameType | None) -> None:
        signal.signal(signum, signal.SIG_DFL)  # the second time, at once
        raise SystemExit(128 + signum)

    wanted: dict[int, Any] = {signal.SIGTERM: leave, signal.SIGHUP: leave}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        wanted[signal.SIGINT] = gate.on_sigint
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    hook, sys.breakpointhook = sys.breakpointhook, gate.on_breakpoint
    try:
        yield
    finally:
        sys.breakpointhook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit_status(error: SystemExit) -> int:
    """As the interpreter does it."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1


def _place_of(error: BaseException) -> str:
    place = _source_of(error)
    return f" at {place.file}:{place.line}" if place.line else ""


def _source_of(error: BaseException) -> Source:
    """The user's line that raised."""
    frame, line = next(iter(frames.raised_frames(error).items()), (None, 0))
    return frames.source(frame, line)


def _report_failure(error: BaseException, recorder: sink.Recorder, names: dict[str, str]) -> None:
    """The user's part of the traceback, and the op that raised."""
    frames.prune(error)
    lines = "".join(traceback.format_exception(error))
    sys.stderr.write(clean(spell(lines, names)))
    told = failing(error, recorder)
    if told:
        sys.stderr.write(clean(spell(f"{told}\n", names)))


def failing(error: BaseException, recorder: sink.Recorder) -> str:
    """The op or module that an error came from, with its operands, on one line; "" if none."""
    event = event_at(recorder, raised_by(error) or 0)
    begin = event_at(recorder, getattr(event, "begin", 0))
    at = event if isinstance(event, Op) else begin
    if isinstance(at, Op | OpBegin):
        what, place = f"op: {at.name}" + (f" in {at.module}" if at.module else ""), at.source
    elif isinstance(at, ModuleBegin):
        what, place = f"module: {at.path} ({at.cls})", _source_of(error)
    elif isinstance(at, NodeBegin):
        what, place = f"node: {at.name} backward", _source_of(error)
    else:
        return ""
    where = f", at {place.file}:{place.line}" if place.line else ""
    return f"failing {what} of {describe_inputs(recorder, at)}{where}"


def _post_mortem(error: BaseException, gate: Gate, program: Program) -> None:
    """In a terminal: look at what raised, an op or a module, or at the last op before it."""
    console = _console(gate, program)
    if not console.interactive:
        return
    recorder, seq = gate.recorder, raised_by(error) or 0
    known = event_at(recorder, seq) is not None
    seq = seq if known else _last_op(recorder)
    if seq:
        gate.post_mortem(error, seq, lambda stop: console.post_mortem(stop, known))


def _last_op(recorder: sink.Recorder) -> int:
    """The newest op, if it is among the newest events; else 0."""
    for seq in range(recorder.seq, max(0, recorder.seq - 200), -1):
        raw = recorder.raw(seq)
        if raw is None:
            break
        if raw[2] == records.OP:
            return seq
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"tapebook: {clean(text, keep_newlines=False)}\n")
