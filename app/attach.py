"""`tapebook ps` and `tapebook attach`: which programs listen, and the ways to look into one."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import msgspec

from app.places import cell_of, names_of, spell
from framework.trace import pipe
from framework.trace import session as files
from framework.trace.client import Client, RequestError, SessionError, find, matching
from framework.trace.events import Source
from framework.trace.protocol import Stop
from framework.trace.session import Session

if TYPE_CHECKING:
    from app.notebook import Notebook

__all__ = ["SILENCE", "choose", "connect", "describe", "notebook_for", "stdio", "table"]

_DECADES = 1e9  # seconds
SILENCE = 20.0  # seconds after which a program takes a viewer that says nothing for dead
ANSWER = 1.0  # seconds that a program has to say how it is
REMOTE = "ssh {host} tapebook attach --stdio"


# -- ps --------------------------------------------------------------------------------------------


def describe() -> list[dict[str, Any]]:
    """All sessions of this user, oldest first, each asked how it is. Raises SessionError."""
    found = files.sessions()
    with ThreadPoolExecutor(16) as pool:  # one that hangs must not hold up the others
        return list(pool.map(_describe, found))


def _describe(session: Session) -> dict[str, Any]:
    known = {
        "name": session.name, "pid": session.pid, "file": session.file,
        "started": session.started, "state": "no answer", "step": 0, "viewers": [], "holder": "",
        "level": "", "asks": {},
    }  # fmt: skip
    try:
        with Client.connect(session, role="observe", stream=False, timeout=ANSWER) as client:
            status = client.request("status").result(ANSWER)
            stop = msgspec.convert(status["stop"], Stop | None)
    except (SessionError, RequestError, TimeoutError, msgspec.ValidationError):
        return known
    known |= {key: found for key in known if type(found := status.get(key)) is type(known[key])}
    if stop is not None and stop.source.line:
        known["stop"] = _place(session.file, stop.source)
    return known


def _place(file: str, source: Source) -> str:
    """``train.py:12``; of a notebook ``cell 3, line 5``, as its file has the cells."""
    from app.notebook import NotebookError, open_notebook

    names: dict[str, str] = {}
    if cell_of(source.file):
        with contextlib.suppress(NotebookError):
            names = names_of(open_notebook(file))
        names.setdefault(cell_of(source.file), "an unsaved cell")
        return spell(f"{source.file}:{source.line}", names)
    return f"{source.file}:{source.line}"


def table(found: list[dict[str, Any]], now: float, width: int = 0) -> list[str]:
    """Rows for people: name, process, state, step, viewers, since when, file.

    Of a terminal of ``width`` columns each takes one line: a file's name is cut at its beginning,
    and columns are left out that say least. 0 stands for as many as it takes.

    >>> from app.attach import table
    >>> one = {"name": "train-7", "pid": 7, "state": "running", "step": 12, "viewers": [],
    ...     "holder": "", "started": 40.0, "file": "/tmp/train.py", "level": "off"}
    >>> print(*table([one], 165.0), sep="\\n")
    NAME     PID  STATE                 STEP  VIEWERS  SINCE  FILE
    train-7    7  running (full speed)    12  0         2:05  /tmp/train.py
    """
    head = ("NAME", "PID", "STATE", "STEP", "VIEWERS", "SINCE", "FILE")
    rows: list[tuple[str, ...]] = [head]
    for one in found:
        state = one["state"] + (" (full speed)" if one["level"] == "off" else "")
        if one.get("asks"):
            state = "asks"
        if place := one.get("stop"):
            state += f" at {PurePath(place).name}"
        viewers = str(len(one["viewers"])) + (f" ({one['holder']})" if one["holder"] else "")
        rows.append(
            (
                one["name"], str(one["pid"]), state, str(one["step"] or "-"), viewers,
                _ago(now - one["started"]), one["file"] or "-",
            )
        )  # fmt: skip
    return _columns(rows, width)


_RIGHT = {"PID", "STEP", "SINCE"}
_LEAST = ("VIEWERS", "SINCE", "PID", "STEP", "FILE")  # what is left out first
_FILE = 20  # columns of a file's path that are worth it; its last name, too


def _columns(rows: list[tuple[str, ...]], room: int) -> list[str]:
    """Rows as lines; the first has the heads."""
    head = rows[0]
    widths = {name: max(len(row[i]) for row in rows) for i, name in enumerate(head)}
    left_out: set[str] = set()

    def rest() -> int:
        shown = [name for name in head if name not in left_out]
        return room - sum(widths[name] + 2 for name in shown if name != "FILE")

    if room:
        at = head.index("FILE")
        last = max((len(PurePath(row[at]).name) + 1 for row in rows[1:]), default=0)
        worth = min(widths["FILE"], max(_FILE, min(last, room // 2)))
        for name in _LEAST:
            if rest() < worth:
                left_out.add(name)
        widths["FILE"] = min(widths["FILE"], max(rest(), 0))
    lines = []
    for row in rows:
        parts = []
        for name, text in zip(head, row):
            if name in left_out:
                continue
            size = widths[name]
            if len(text) > size:
                text = "…" + text[1 - size :] if size > 1 else ""
            parts.append(text.rjust(size) if name in _RIGHT else text.ljust(size))
        line = "  ".join(parts).rstrip()
        lines.append(line[: room - 1] + "…" if room and len(line) > room else line)
    return lines


def _ago(seconds: float) -> str:
    """``2:05``, ``3:20:00``, ``4 d 2:00:00``; ``-`` for what no program can have run."""
    if not seconds < _DECADES:
        return "-"
    minutes, second = divmod(int(max(0.0, seconds)), 60)
    hours, minute = divmod(minutes, 60)
    if not hours:
        return f"{minute}:{second:02}"
    days, hour = divmod(hours, 24)
    return (f"{days} d " if days else "") + f"{hour}:{minute:02}:{second:02}"


# -- attach ----------------------------------------------------------------------------------------


def choose(name: str) -> str:
    """The name of the session that is meant; asks at the terminal where several are.

    Raises SessionError with one line for the user if none is chosen.
    """
    if name.endswith(".sock") or os.sep in name:
        return name
    names = {session.name for session in matching(name, files.sessions())}
    if len(names) < 2:
        return name
    found = [one for one in describe() if one["name"] in names]
    head, *rows = table(found, time.time(), _room(4))
    _write([f"    {head}", *(f"{i:>2}  {row}" for i, row in enumerate(rows, 1))])
    while True:
        try:
            answer = input(f"which one? 1 to {len(found)}, or its name (Enter: none): ").strip()
        except (EOFError, KeyboardInterrupt):
            answer = ""
        if not answer:
            raise SessionError("none was chosen; tapebook attach NAME")
        if answer.isdecimal() and 0 < int(answer) <= len(found):
            return str(found[int(answer) - 1]["name"])
        chosen = [one["name"] for one in found if one["name"].startswith(answer)]
        if len(chosen) == 1:
            return str(chosen[0])


def _room(less: int = 0) -> int:
    """Columns of the terminal; 0 where it is none, and lines may be as long as they are."""
    if not sys.stdout.isatty():
        return 0
    return max(20, shutil.get_terminal_size().columns - less)


def _write(lines: list[str]) -> None:
    from app.sanitize import clean

    for line in lines:
        sys.stdout.write(clean(line, keep_newlines=False) + "\n")


def connect(name: str = "", *, via: str = "", ssh: str = "", observe: bool = False) -> Client:
    """A viewer's connection to a session here, or to one at the end of a command.

    Args:
        name: of the session or its beginning; "" for the only one.
        via: a command that ends in ``tapebook attach --stdio NAME``.
        ssh: a host; short for such a command.

    Raises:
        SessionError: one line for the user.
    """
    role = "observe" if observe else "control"
    if not (via or ssh):
        return Client.connect(name, role=role, silence=SILENCE)
    if ssh:
        command = [*shlex.split(REMOTE.replace("{host}", shlex.quote(ssh))), *([name] * bool(name))]
        if ssh.startswith("-"):
            raise SessionError(f"{ssh}: this is no host")
    else:
        try:
            command = shlex.split(via)
        except ValueError as error:
            raise SessionError(f"--via {via!r}: {error}") from None
    if not command:
        raise SessionError("--via: the command is empty")
    return Client.over(command, role=role, silence=SILENCE)


def stdio(name: str) -> None:
    """The far end: pass the wire on between standard input and output and a session.

    Raises SessionError with one line for the user.
    """
    session = find(name)
    sink = os.dup(1)
    os.dup2(2, 1)  # nothing else may be printed between the frames
    pipe.relay(session, 0, sink)


def notebook_for(client: Client) -> Notebook:
    """What an attached program runs, to be read; empty if it cannot be had.

    The text of a program on another machine comes over the wire: the file of that name here, if
    there is one, is another.
    """
    from app.notebook import Notebook, NotebookError, open_notebook
    from app.recording import notebook_of

    file = client.welcome.file
    notebook = Notebook()
    if client.remote:
        with contextlib.suppress(RequestError, TimeoutError, NotebookError):
            notebook = notebook_of(file, {file: client.request("source").result(10)})
    elif file:
        with contextlib.suppress(NotebookError):
            notebook = open_notebook(file)
    notebook.read_only = True
    return notebook


def print_sessions(as_json: bool) -> None:
    """What `tapebook ps` prints; raises SessionError."""
    found = describe()
    out = sys.stdout
    if as_json:
        import json

        out.write(json.dumps(found, indent=2) + "\n")
    elif not found:
        out.write("no session is running (tapebook run FILE starts one)\n")
    else:
        _write(table(found, time.time(), _room()))
