"""The command line: `tapebook [FILE]` and its subcommands.

Exit status: 0 done, 1 the model failed or a breakpoint was hit, 2 unusable input (one line on
stderr says why). Everything heavy is imported by the subcommand that needs it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

__all__ = ["main"]

_DESCRIPTION = """\
A notebook that plays the autograd tape.

  tapebook FILE                open a .py script with # %% cells, or an .ipynb
  tapebook tour                a guided hunt for three bugs, to learn it
  tapebook run FILE [-- ARGS]  run it without the screen; a viewer can attach
  tapebook ps | attach [NAME]  the programs that run; look into one of them
  tapebook export FILE -o OUT  the graph of a training step as .html, .svg, .png, .mmd or .dot
  tapebook summary FILE        its modules: shapes, parameters, FLOPs, memory, time
  tapebook run FILE --record OUT.tape      record it to a file; tapebook OUT.tape opens that
  tapebook show|verify|repair FILE.tape    look into a recording; export takes one as well
  tapebook show FILE.tape why [NAME]       why a value is NaN or zero, or has no gradient
  tapebook diff A.tape B.tape              where two runs part
  tapebook rerun FILE.tape --step N        run a step again for its values, and compare
  tapebook doctor              what this machine has, and what is missing
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong on one line."""

    def error(self, message: str) -> None:  # type: ignore[override]
        hint = f"see {self.prog} --help"
        if message.startswith("unrecognized arguments") and "[-- ARGS]" in (self.usage or ""):
            hint += f"; what is for the program comes after --: {self.prog} FILE -- ARGS"
        _say(f"{message} ({hint})")
        raise SystemExit(2)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in ("--version", "-V"):
        print(f"tapebook {_version()}")
        return 0
    _tolerate_any_text()
    os.environ.pop("TAPEBOOK_LISTEN", None)  # it is for the programs that we look into
    try:
        if arguments and arguments[0] in _SUBCOMMANDS:
            return _SUBCOMMANDS[arguments[0]](arguments[1:])
        if len(arguments) > 1 and (problem := _no_command(arguments[0])):
            return _refuse(problem)
        return _open(arguments)
    except BrokenPipeError:
        # The reader has gone, as in `tapebook ps | head -1`: nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


def _no_command(word: str) -> str:
    """What to say of a first word that is neither a command nor a file; "" if it is one."""
    if word.startswith("-") or "." in word or os.path.exists(word):
        return ""
    from difflib import get_close_matches

    near = get_close_matches(word, _SUBCOMMANDS, 1)
    hint = f"did you mean {near[0]}?" if near else "tapebook --help lists them"
    return f"no command or file is called {word!r}; {hint}"


def _open(arguments: list[str]) -> int:
    """``tapebook [FILE]``: the screen."""
    parser = _Parser(
        prog="tapebook",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="tapebook [FILE] [--theme dark|light] | COMMAND ...",
        allow_abbrev=False,
    )
    parser.add_argument("file", nargs="?", help="a .py script, an .ipynb notebook or a recording")
    parser.add_argument("--theme", choices=("dark", "light"))
    parser.add_argument("--version", "-V", action="store_true", help="print the version")
    options = parser.parse_args(arguments)
    if options.file is not None:
        problem = _unusable(options.file)
        if problem:
            return _refuse(problem)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        problem = _unreadable(options.file) if options.file is not None else ""
        return _refuse(problem or "the screen needs a terminal; without one: tapebook run FILE")
    from app.ui.app import run_ui

    return run_ui(options.file, theme=options.theme)


def _run(arguments: list[str]) -> int:
    """``tapebook run FILE``."""
    own, rest = _split(arguments)
    parser = _Parser(
        prog="tapebook run", usage="%(prog)s FILE [options] [-- ARGS]", allow_abbrev=False
    )
    parser.add_argument("file", help="a .py script or an .ipynb notebook")
    parser.add_argument(
        "--break",
        dest="breaks",
        action="append",
        default=[],
        metavar="COND",
        help="where and when to stop: nan | 'op exp inf' | 'grad model.0.weight norm > 10' | "
        "'update * absmax > 1 after 3' | FILE:LINE | error; may be given several times; "
        "all of it: tapebook run --help-break",
    )
    parser.add_argument("--help-break", action=_HelpBreak, help="what --break takes, and exit")
    parser.add_argument(
        "--rules",
        action="append",
        metavar="default|FILE.toml",
        help="end with status 1 and a report when a gradient explodes or vanishes, a ReLU dies, "
        "a weight never changes, ...; a file overrides thresholds of those before it",
    )
    parser.add_argument("--no-listen", action="store_true", help="let no viewer attach")
    parser.add_argument(
        "--no-pm",
        action="store_true",
        help="open no prompt at the op that raised, when the program fails in a terminal",
    )
    parser.add_argument("--record", metavar="OUT.tape", help="write the run to a recording")
    parser.add_argument(
        "--keep",
        choices=("none", "health", "all"),
        help="what a recording has of values: nothing, statistics, or everything (the default)",
    )
    parser.add_argument("--budget", metavar="SIZE", help="of the recording: 500M, 2G; default 1G")
    parser.add_argument(
        "--policy",
        choices=("ring", "spill"),
        help="when the budget is full: drop old steps (the default), or end the recording",
    )
    options = parser.parse_args(own)
    from app.notebook import NotebookError
    from app.runner import Record, run

    try:
        given = {"keep": options.keep, "budget": options.budget, "policy": options.policy}
        record = Record.parse(options.record, **given)
        return run(
            options.file,
            rest,
            breaks=options.breaks,
            listen=not options.no_listen,
            record=record,
            pm=not options.no_pm,
            rules=options.rules,
        )
    except (NotebookError, ValueError) as error:
        return _refuse(str(error))


class _HelpBreak(argparse.Action):
    """``--help-break``: the tables of conditions as text."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=options.get("help"))

    def __call__(self, parser: argparse.ArgumentParser, *rest: object) -> None:
        from framework.trace.conditions import help_lines

        print("\n".join(help_lines()))
        parser.exit(0)


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What is ours, and what comes after ``--``: the program's own."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def _ps(arguments: list[str]) -> int:
    """``tapebook ps``."""
    parser = _Parser(prog="tapebook ps", allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(arguments)
    from app.attach import print_sessions
    from framework.trace.session import SessionError

    try:
        print_sessions(options.json)
    except SessionError as error:
        return _refuse(str(error))
    return 0


def _attach(arguments: list[str]) -> int:
    """``tapebook attach [NAME]``."""
    parser = _Parser(prog="tapebook attach", usage="%(prog)s [NAME] [options]", allow_abbrev=False)
    parser.add_argument(
        "name",
        nargs="?",
        default="",
        help="of the session, its beginning, or its process number; not needed for one",
    )
    parser.add_argument("--observe", action="store_true", help="only look; T takes control over")
    parser.add_argument("--ssh", metavar="HOST", default="", help="a session on another machine")
    parser.add_argument(
        "--via",
        metavar="COMMAND",
        default="",
        help="one at the end of a command: 'docker exec -i box tapebook attach --stdio NAME'",
    )
    parser.add_argument(
        "--stdio", action="store_true", help="be the far end of such a command: no screen"
    )
    parser.add_argument("--theme", choices=("dark", "light"))
    options = parser.parse_args(arguments)
    if bool(options.ssh) + bool(options.via) + options.stdio > 1:
        parser.error("--ssh, --via and --stdio exclude each other")
    if options.via and options.name:
        parser.error("with --via, the command names the session")
    from app import attach
    from framework.trace.client import SessionError

    if not options.stdio and not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _refuse("the screen needs a terminal; tapebook ps lists what runs")
    try:
        if options.stdio:
            attach.stdio(options.name)
            return 0
        name = options.name if options.ssh or options.via else attach.choose(options.name)
        client = attach.connect(name, via=options.via, ssh=options.ssh, observe=options.observe)
    except SessionError as error:
        return _refuse(str(error))
    from app.ui.app import run_ui

    return run_ui(None, attach=client, theme=options.theme)


def _export(arguments: list[str]) -> int:
    """``tapebook export FILE -o OUT``."""
    from app.pictures import add_options, number
    from viewers.graph.export import SUFFIXES, ExportError

    own, rest = _split(arguments)
    tape = any(argument.lower().endswith(".tape") for argument in own)
    suffixes: tuple[str, ...] = SUFFIXES
    if tape:
        from app import recording

        suffixes = recording.SUFFIXES
    parser = _Parser(
        prog="tapebook export", usage="%(prog)s FILE -o OUT [options] [-- ARGS]", allow_abbrev=False
    )
    parser.add_argument("file", help="a .py script, an .ipynb notebook or a .tape recording")
    parser.add_argument("-o", "--output", required=True, help=f"ends in {', '.join(suffixes)}")
    parser.add_argument(
        "--step", type=number,
        help="of training, as the optimizer counts (a round of two optimizers is one step of both: "
        "the last of them is shown); default the first, of a recording the last",
    )  # fmt: skip
    add_options(parser)
    wanted = vars(parser.parse_args(own))
    file, output, step = (wanted.pop(name) for name in ("file", "output", "step"))
    problem = _bad_output(output, suffixes)
    if problem:
        return _refuse(problem)
    from app.notebook import NotebookError
    from framework.trace.tape_format import TapeError

    replaced = _replaced(output)
    try:
        if tape:
            from app.recording import export

            line = export(file, output, step=step, **wanted)
        else:
            from app.pictures import export_program

            line = export_program(file, output, rest, step=step or 1, **wanted)
    except (NotebookError, TapeError, ExportError, ValueError) as error:
        return _refuse(str(error))
    except RuntimeError as error:
        _say(str(error))
        return 1
    return _print([line + replaced])


def _summary(arguments: list[str]) -> int:
    """``tapebook summary FILE``."""
    from app.pictures import count, number

    own, rest = _split(arguments)
    parser = _Parser(
        prog="tapebook summary", usage="%(prog)s FILE [options] [-- ARGS]", allow_abbrev=False
    )
    parser.add_argument("file", help="a .py script, an .ipynb notebook or a .tape recording")
    parser.add_argument(
        "--step", type=number,
        help="of training, as the optimizer counts (see export); default the second (the first is "
        "no usual one), of a recording the last",
    )  # fmt: skip
    parser.add_argument("--depth", type=count, help="how deep modules are shown")
    parser.add_argument("--ops", action="store_true", help="by op instead of by module")
    options = parser.parse_args(own)
    from app.notebook import NotebookError
    from framework.trace.tape_format import TapeError
    from viewers.graph.export import ExportError

    try:
        if options.file.lower().endswith(".tape"):
            from app.recording import summary

            made = summary(options.file, step=options.step, depth=options.depth)
        else:
            from app.pictures import summary_of_program

            made = summary_of_program(options.file, rest, step=options.step, depth=options.depth)
    except (NotebookError, TapeError, ExportError, ValueError) as error:
        return _refuse(str(error))
    except RuntimeError as error:
        _say(str(error))
        return 1
    return _print(made.op_lines() if options.ops else made.lines())


def _show(arguments: list[str]) -> int:
    """``tapebook show FILE [OP]``."""
    parser = _show_parser()
    options = parser.parse_args(arguments)
    from framework.trace.tape_format import TapeError

    try:
        return _print(_shown(options, parser.error))
    except TapeError as error:
        return _refuse(str(error))


def _show_parser() -> _Parser:
    parser = _Parser(
        prog="tapebook show",
        usage="%(prog)s FILE.tape [OP | why [NAME] | check EVENT | feeds OP | uses OP | "
        "history NAME | tensor NAME[SLICE] | eval EXPR] [options]",
        allow_abbrev=False,
    )
    parser.add_argument("file", help="a recording")
    parser.add_argument(
        "op",
        nargs="*",
        default=[],  # else it is said to be required where the file is missing
        help="an op, a module, an event's number or /an expression/; 'why NAME': why a tensor is "
        "NaN, infinite, zero or without gradient (loss, model.0.weight, NAME.grad, an event; "
        "without NAME whatever is wrong); 'check EVENT': an op's gradient by finite differences; "
        "'feeds OP', 'uses OP': what made its inputs, what used its outputs, to any depth; "
        "'history NAME': a tensor in every step; 'tensor NAME[SLICE]': its values; 'eval EXPR': "
        "an expression over what was recorded: model.0.weight.grad.norm() / loss",
    )
    parser.add_argument("--step", type=int, help="number of the training step; default the last")
    parser.add_argument("--ops", action="store_true", help="the ops of the step")
    parser.add_argument(
        "--memory", action="store_true", help="what its tensors take, and what backward keeps alive"
    )
    parser.add_argument(
        "--parameters", action="store_true", help="norms, gradients and updates, over the steps"
    )
    parser.add_argument(
        "--sort",
        choices=("name", "shape", "norm", "gradient", "update"),
        help="the same by another column than their names, the largest first",
    )
    parser.add_argument(
        "--source", action="store_true", help="its lines with ops, largest value, gradient, memory"
    )
    parser.add_argument("--time", action="store_true", help="where its time went")
    parser.add_argument("--follow", action="store_true", help="a line per step while it is written")
    parser.add_argument("--depth", type=int, help="of 'feeds' and 'uses': how many ops away")
    return parser


def _shown(options: argparse.Namespace, refuse: Callable[[str], None]) -> Iterable[str]:
    """The lines that are asked for."""
    from app.recording import follow, show

    if options.follow:
        return follow(options.file)
    word, *rest = options.op or [""]
    if word in ("why", "check"):
        from app.explaining import check_lines, why_lines

        made = why_lines if word == "why" else check_lines
        return made(options.file, " ".join(rest), options.step)
    if word in ("feeds", "uses"):
        from app.pictures import lineage_lines

        name = " ".join(rest)
        return lineage_lines(options.file, name, word, options.depth, options.step)
    if word in ("history", "tensor", "eval"):
        from app.seeing import eval_lines, history_lines, tensor_lines

        name = " ".join(rest)
        if word == "eval":
            return eval_lines(options.file, name, options.step)
        if word == "history":
            return history_lines(options.file, name)
        return tensor_lines(options.file, name, options.step)
    if options.parameters or options.sort or options.source:
        from app.seeing import parameter_lines, source_lines

        if options.source:
            return source_lines(options.file, options.step)
        return parameter_lines(options.file, options.step, options.sort or "name")
    if rest:
        refuse(f"one op at a time, not {' '.join(options.op)!r}")
    return show(
        options.file, word, step=options.step, ops=options.ops, memory=options.memory,
        times=options.time,
    )  # fmt: skip


def _diff(arguments: list[str]) -> int:
    """``tapebook diff A B``: exit status 1 when they differ."""
    parser = _Parser(
        prog="tapebook diff",
        usage="%(prog)s A.tape [B.tape] [--step N | --steps M N] [--rtol R] [--atol A]",
        allow_abbrev=False,
    )
    parser.add_argument("a", help="a recording")
    parser.add_argument("b", nargs="?", help="another one; not with --steps")
    parser.add_argument("--step", type=int, help="only this training step")
    parser.add_argument(
        "--steps", type=int, nargs=2, metavar=("M", "N"), help="two steps of one recording"
    )
    parser.add_argument("--rtol", type=float, default=1e-5, help="relative tolerance (1e-5)")
    parser.add_argument("--atol", type=float, default=1e-8, help="absolute tolerance (1e-8)")
    options = parser.parse_args(arguments)
    if (options.b is None) == (options.steps is None):
        parser.error("give two recordings, or one with --steps M N")
    from app.explaining import compare_files
    from app.places import spell
    from framework.trace.tape_format import TapeError
    from viewers.compare import CompareError

    steps = tuple(options.steps) if options.steps else None
    try:
        found = compare_files(
            options.a, options.b, steps=steps, step=options.step, rtol=options.rtol,
            atol=options.atol,
        )  # fmt: skip
    except (TapeError, CompareError) as error:
        return _refuse(str(error))
    _print(spell(line, found.cells) for line in found.lines())
    return 0 if found.same else 1


def _rerun(arguments: list[str]) -> int:
    """``tapebook rerun FILE``: exit status 1 when it did not run as recorded."""
    parser = _Parser(
        prog="tapebook rerun", usage="%(prog)s FILE.tape [--step N] [-o OUT.tape]",
        allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("file", help="a recording; its program is started again")
    parser.add_argument("--step", type=int, help="the training step (the last one)")
    parser.add_argument("-o", "--output", help="where its values go (FILE.step-N.tape)")
    options = parser.parse_args(arguments)
    if options.output is not None and (problem := _bad_output(options.output, (".tape",))):
        return _refuse(problem)
    from app.again import rerun
    from framework.trace.tape_format import TapeError

    try:
        found = rerun(options.file, options.step, options.output)
    except TapeError as error:
        return _refuse(str(error))
    _print(found.lines())
    return 0 if found.found.same else 1


def _verify(arguments: list[str]) -> int:
    """``tapebook verify FILE``."""
    parser = _Parser(prog="tapebook verify", usage="%(prog)s FILE.tape", allow_abbrev=False)
    parser.add_argument("file", help="a recording")
    options = parser.parse_args(arguments)
    from app.recording import verify
    from framework.trace.tape_format import TapeError

    try:
        lines, status = verify(options.file)
    except TapeError as error:
        return _refuse(str(error))
    _print(lines)
    return status


def _repair(arguments: list[str]) -> int:
    """``tapebook repair FILE -o OUT``."""
    parser = _Parser(
        prog="tapebook repair", usage="%(prog)s FILE.tape -o OUT.tape", allow_abbrev=False
    )
    parser.add_argument("file", help="a recording")
    parser.add_argument("-o", "--output", required=True, help="the clean copy")
    options = parser.parse_args(arguments)
    from app.recording import repair
    from framework.trace.tape_format import TapeError

    replaced = _replaced(options.output)
    try:
        return _print(line + replaced for line in repair(options.file, options.output))
    except TapeError as error:
        return _refuse(str(error))


def _print(lines: Iterable[str]) -> int:
    """Lines that may have come out of a file, one by one as they come."""
    for line in lines:
        print(_clean(line), flush=True)
    return 0


def _bad_output(text: str, suffixes: tuple[str, ...]) -> str:
    """Why nothing can be written there, "" if it can."""
    path = Path(text)
    if path.suffix.lower() not in suffixes:
        names = (
            " or ".join((", ".join(suffixes[:-1]), suffixes[-1])) if suffixes[1:] else suffixes[0]
        )
        return f"{text}: the file's name must end in {names}"
    if os.path.isdir(path):  # which, unlike `Path.is_dir`, looks where one may not look
        return f"{text}: is a directory"
    if not os.path.isdir(path.absolute().parent):
        return f"{text}: there is no directory {path.absolute().parent}"
    return ""


def _replaced(output: str) -> str:
    """What is said when all is written: a file that was there is replaced, as compilers do."""
    return "; it replaces the file of that name" if os.path.exists(output) else ""


def _doctor(arguments: list[str]) -> int:
    """``tapebook doctor``: exit status 1 when something is missing that one needs."""
    _Parser(
        prog="tapebook doctor",
        description="What this machine has, one line each: ok, note (one can do without) or MISS.",
        epilog="Exit status: 0, or 1 if a line begins with MISS.",
    ).parse_args(arguments)
    from app.doctor import BAD, lines

    status = 0
    for line in lines():
        print(_clean(line))
        status |= line.startswith(BAD)
    return int(status)


def _tour(arguments: list[str]) -> int:
    """``tapebook tour``: the guided notebook, in a folder of its own."""
    parser = _Parser(prog="tapebook tour", allow_abbrev=False)
    parser.add_argument("--theme", choices=("dark", "light"))
    options = parser.parse_args(arguments)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _refuse("the tour needs a terminal")
    from app import tour

    _say(f"the tour's files are in {tour.folder()}")
    try:
        path = tour.prepare(say=_say)
        os.chdir(path.parent)
    except OSError as error:
        return _refuse(f"the tour cannot be set up: {error.filename}: {error.strerror}")
    except RuntimeError as error:
        return _refuse(str(error))
    from app.ui.app import run_ui

    return run_ui(path.name, theme=options.theme)


_SUBCOMMANDS: dict[str, Callable[[list[str]], int]] = {
    "run": _run,
    "ps": _ps,
    "attach": _attach,
    "export": _export,
    "summary": _summary,
    "show": _show,
    "diff": _diff,
    "rerun": _rerun,
    "verify": _verify,
    "repair": _repair,
    "doctor": _doctor,
    "tour": _tour,
}


def _unusable(file: str) -> str:
    """Why a file cannot be opened, before anything heavy is loaded; "" if nothing is seen yet."""
    from app.notebook import NotebookError
    from app.notebook.disk import check_file

    path = Path(file)
    if path.suffix.lower() == ".tape":
        from framework.trace.tape import Tape
        from framework.trace.tape_format import TapeError

        try:
            Tape(path, read=False).refresh(chunks=1)
        except TapeError as error:
            return str(error)
        return ""
    try:
        check_file(path)
    except NotebookError as error:
        return str(error)
    if path.suffix.lower() not in (".py", ".ipynb"):
        return f"{file}: expected a .py script, an .ipynb notebook or a .tape recording"
    return ""


def _unreadable(file: str) -> str:
    """Why what is in a file is no notebook; "" if it is one."""
    from app.notebook import NotebookError, open_notebook

    if Path(file).suffix.lower() == ".tape":
        return ""
    try:
        open_notebook(Path(file))
    except NotebookError as error:
        return str(error)
    return ""


def _refuse(problem: str) -> int:
    _say(problem)
    return 2


def _say(text: str) -> None:
    print(f"tapebook: {_clean(text)}", file=sys.stderr)


def _clean(text: str) -> str:
    from app.sanitize import clean

    return clean(text, keep_newlines=False)


def _tolerate_any_text() -> None:
    """What the terminal's encoding lacks is shown by characters that look like it, or by ``?``."""
    from app import lookalikes

    lookalikes.register()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=lookalikes.ERRORS)


def _version() -> str:
    """Without loading the framework."""
    names: dict[str, str] = {}
    path = Path(__file__).resolve().parent.parent / "framework" / "version.py"
    exec(path.read_text("utf-8"), names)
    return names["tapebook"]
