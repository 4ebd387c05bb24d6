"""Faults made for real, and what the user sees: peers, links, permissions, bugs, clocks."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_attach import SCRIPT, Running, _connect, window
from test_terminal import RESTORED, Terminal
from ui_driver import program, write

import app.link
from app.attach import connect
from app.cli import main
from app.notebook import autosave, open_notebook
from framework.trace import session as sessions
from framework.trace.client import Client, SessionError
from framework.trace.protocol import (
    PROTOCOL_VERSION,
    Breakpoint,
    Challenge,
    Hello,
    Welcome,
    proof,
    read_message,
    write_message,
)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return write(tmp_path / "train.py", SCRIPT)


# -- peers -----------------------------------------------------------------------------------------


def test_an_old_greeting_and_another_s_token_open_nothing(script: Path, tmp_path: Path) -> None:
    """What was overheard at one connection is of no use at the next; the window sees none of it."""

    def greet(session: sessions.Session, token: str = "", hello: Hello | None = None) -> Hello:
        """Say hello, or a given one again; raises ConnectionError if that is refused."""
        with sessions.connect(session.socket, 60) as sock:
            challenge = read_message(sock)
            assert isinstance(challenge, Challenge)
            hello = hello or Hello(PROTOCOL_VERSION, proof(token, challenge.nonce))
            write_message(sock, hello)
            if not isinstance(read_message(sock), Welcome):
                raise ConnectionError
        return hello

    async def scenario() -> None:
        async with window(_connect()) as d:
            (session,) = sessions.sessions()
            heard = greet(session, sessions.read_token(session))
            for token, hello in (("", heard), ("0" * 64, None), (heard.proof, None)):
                with pytest.raises(ConnectionError):
                    greet(session, token, hello)
            seen = d.session.store.last_seq
            await d.until(lambda: d.session.store.last_seq > seen + 20, "more events")
            assert d.session.role == "control" and not d.session.problem

    with Running("-m", "app", "run", str(script)) as child:
        _connect().close()
        asyncio.run(scenario())
        # Who has the wrong token, or none, is told what to look at.
        (session,) = sessions.sessions()
        token = session.token.read_text()
        session.token.write_text("0" * 64)
        with pytest.raises(SessionError, match=r"refused the connection: .* token is not its own"):
            Client.connect("train")
        session.token.unlink()
        with pytest.raises(SessionError, match=r"runs, but its token .* was removed"):
            Client.connect("train")
        session.token.write_text(token)
        session.token.chmod(0o600)
        Client.connect("train").close()
        assert child.poll() is None


def test_a_linked_directory_of_sockets_is_refused_on_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line that says what to do; when it is done, the kernel starts."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tapebook").symlink_to(tmp_path / "elsewhere")

    async def scenario() -> None:
        async with program(write(tmp_path / "a.py", "# %%\na = 1\n"), kernel=False) as d:
            d.session.start_kernel(tmp_path / "a.py")
            await d.until(lambda: d.session.state == "dead", "its end")
            linked = f"{tmp_path}/tapebook is a link, which is not followed: remove it"
            assert d.session.message == f"the kernel did not start: {linked}"
            assert not list((tmp_path / "elsewhere").iterdir())
            (tmp_path / "tapebook").unlink()
            await d.press("0", "0")
            await d.until(lambda: d.session.state == "idle", "a kernel")

    asyncio.run(scenario())


# -- links -----------------------------------------------------------------------------------------


def test_a_link_that_falls_silent_is_made_anew(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a cable is pulled: no end of the pipe is closed, and nothing comes any more."""

    async def scenario() -> None:
        command = f"{sys.executable} -m app attach --stdio train"
        client = await asyncio.to_thread(connect, via=command)
        async with window(client) as d:
            session = d.session
            assert client._process is not None
            monkeypatch.setattr(app.link, "PING", 0.1)
            monkeypatch.setattr(app.link, "UNHEARD", 1.0)
            client._process._process.send_signal(signal.SIGSTOP)
            await d.until(lambda: session.state == "reconnecting", "the loss of it")
            monkeypatch.undo()
            os.environ["XDG_RUNTIME_DIR"] = str(script.parent)
            assert "the connection broke (nothing was heard for 1 seconds)" in session.message
            await d.until(lambda: session.state == "running", "the link")
            seen = session.store.last_seq
            await d.until(lambda: session.store.last_seq > seen, "events")
            assert client._process._process.poll() is not None, "the silent one was ended"

    with Running("-m", "app", "run", str(script)) as child:
        _connect().close()
        asyncio.run(scenario())
        assert child.poll() is None


MANGLE = """\
import subprocess, sys
from msgspec.structs import force_setattr
from framework.trace.pipe import GREETING
from framework.trace.protocol import Events, decode, encode

far = subprocess.Popen(
    [sys.executable, "-m", "app", "attach", "--stdio", "train"], stdin=0, stdout=subprocess.PIPE)
assert far.stdout.readline() == GREETING
out = sys.stdout.buffer
out.write(GREETING)
held = None
while head := far.stdout.read(4):
    data = far.stdout.read(int.from_bytes(head, "big"))
    message = decode(data)
    if isinstance(message, Events) and message.events:
        half = len(message.events) // 2
        for event in message.events[half:]:  # this clock went back by an hour
            force_setattr(event, "t", event.t - 3_600_000_000_000)
        data = encode(message)
    frame = len(data).to_bytes(4, "big") + data
    if isinstance(message, Events):
        if held is None:
            held = frame
            continue
        out.write(frame + frame)  # the later one first, and twice
    out.write(frame + (held or b""))
    held = None
    out.flush()
"""


def test_a_clock_that_jumps_and_events_twice_and_out_of_order(script: Path, tmp_path: Path) -> None:
    """Every event is on the tape once, in its place, and no time is below zero on the screen."""
    mangle = write(tmp_path / "mangle.py", MANGLE)

    async def scenario() -> None:
        client = await asyncio.to_thread(connect, via=f"{sys.executable} {mangle}")
        async with window(client) as d:
            store = d.session.store
            await d.until(lambda: len(store.steps) > 20, "steps")
            await d.press("p")
            await d.stopped()
            await d.until(lambda: not d.session.dropped, "what came late")
            seqs = [event.seq for event in store.events(1, store.last_seq)]
            assert seqs == list(range(store.first_seq, store.last_seq + 1))
            for key in ("2", "g", "g", "3", "4", "S", "escape", "N", "N", "A"):
                await d.press(key)
                below = re.search(r"[-−]\d[\d.,]* ?(ns|µs|ms|s|min|h)\b", d.text())
                assert below is None, d.text()

    with Running("-m", "app", "run", str(script)) as child:
        _connect().close()
        asyncio.run(scenario())
        assert child.poll() is None


# -- permissions -----------------------------------------------------------------------------------


def unprivileged() -> list[str]:
    """What to put before a command so that it may not pass by permissions, as root may."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root is refused nothing, and there is no setpriv")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a program, a file and a folder that are closed, and one to read only."""
    for name in ("RUNTIME_DIR", "STATE_HOME"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path))
    text = "# %%\nimport framework as torch\nprint(torch.ones(3).sum().item())\n"
    for name in ("a.py", "secret.py", "closed/a.py", "open/a.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name, text)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "a.py", "--no-listen", "--record", "a.tape"]) == 0
    shutil.copy(tmp_path / "a.tape", tmp_path / "secret.tape")
    closed = [tmp_path / name for name in ("secret.py", "secret.tape", "closed")]
    for path in closed:
        path.chmod(0)
    (tmp_path / "open").chmod(0o555)
    yield tmp_path
    for path in (*closed, tmp_path / "open"):
        path.chmod(0o755)


REFUSED = {
    "run secret.py": "secret.py: cannot be read: Permission denied",
    "show secret.tape": "secret.tape: cannot be read: Permission denied",
    "run a.py --record closed/x.tape": "closed/x.tape: cannot be recorded to: Permission denied",
    "export a.tape -o open/x.dot": "cannot write open/x.dot: Permission denied",
    "export a.tape -o closed/x.svg": "cannot write closed/x.svg: Permission denied",
    "repair a.tape -o closed/x.tape": "closed/x.tape: cannot be recorded to: Permission denied",
    "repair closed/x.tape -o y.tape": "closed/x.tape: cannot be read: Permission denied",
    "rerun a.tape -o closed/x.tape": "a.tape: there is no training step 0: it has none",
}

EACH = """\
import sys
from app.cli import main
from app.notebook import autosave, open_notebook
for line in sys.argv[1:]:
    print(line, main(line.split()), file=sys.stderr)
"""


def test_what_may_not_be_read_or_written_is_one_line(places: Path) -> None:
    done = subprocess.run(
        [*unprivileged(), sys.executable, "-c", EACH, *REFUSED],
        cwd=places, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    told = [
        line for command, why in REFUSED.items() for line in (f"tapebook: {why}", f"{command} 2")
    ]
    assert done.stderr.splitlines() == told, done.stderr


def test_on_the_screen_what_may_not_be_read_or_written_is_said(places: Path) -> None:
    """The notebook is edited, and nothing that is refused costs it or the kernel."""
    terminal = Terminal("open/a.py", command=(*unprivileged(), sys.executable, "-m", "app"),
                        cwd=places)  # fmt: skip
    terminal.until(b" idle ")
    terminal.type(b"\x12")  # ctrl+r
    terminal.until(b"3.0")
    for file in (b"secret.tape", b"secret.py", b"closed/a.py"):
        terminal.seen = b""
        terminal.type(b"\x1bOR")  # f3
        terminal.until(b"enter: do it")
        terminal.type(file + b"\r")
        terminal.until(file + b": cannot be read: Permission denied")
    terminal.type(b"o")  # a new cell
    terminal.until(b"esc")
    terminal.type(b"kept = 1")
    terminal.until(b"kept")
    terminal.type(b"\x13")  # ctrl+s
    terminal.until(b"is not writable, save")
    os.kill(terminal.process.pid, signal.SIGTERM)
    assert terminal.end() == 143
    assert all(code in terminal.seen for code in RESTORED)
    (kept,) = (places / "tapebook").rglob("*.tapebook-autosave")
    assert "kept = 1" in kept.read_text()


# -- a bug of ours ---------------------------------------------------------------------------------

BUG = """\
import sys
from app.cli import main
from app.notebook import autosave, open_notebook
from app.ui.commands import Commands

def bug(self):
    raise RuntimeError("a bug \\x1b]0;title\\x07 with\\nmore lines")

Commands.do_run_all = bug
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("edited", [True, False], ids=["edited", "saved"])
def test_a_crash_restores_the_terminal_and_says_where_everything_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edited: bool
) -> None:
    """A few lines, none of them with a control character; the kernel ends with the program."""
    for name in ("RUNTIME_DIR", "STATE_HOME"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))
        (tmp_path / name).mkdir()
    path = write(tmp_path / "a.py", "# %%\na = 1\n")
    bug = write(tmp_path / "bug.py", BUG)
    terminal = Terminal(str(path), command=(sys.executable, str(bug)))
    terminal.until(b" idle ")
    (kernel,) = sessions.sessions()
    if edited:
        terminal.type(b"o")
        terminal.until(b"esc")
        terminal.type(b"kept = 1")
        terminal.until(b"kept")
    terminal.type(b"\x1b[17~")  # f6, also in an editor
    assert terminal.end() == 1
    after = terminal.seen.rpartition(b"\x1b[?1049l")[2].decode()
    after = re.sub(r"\x1b\[[0-9;?<>=]*[ -/]*[@-~]", "", after)
    assert all(code in terminal.seen for code in RESTORED) and b"\x1b]0;" not in terminal.seen
    told = after.splitlines()
    said = "RuntimeError: a bug ^[]0;title^G with"
    assert told[0] == f"tapebook: a bug of this program has ended it: {said}"
    assert len(told) == 2 + edited, after
    report = Path(told[-1].partition("the report of it is in ")[2])
    assert "in bug" in report.read_text() and "\x1b" not in report.read_text()
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    if edited:
        assert told[1] == "tapebook: what was not saved is kept: opening a.py again offers it"
        (kept,) = tmp_path.glob(".*.tapebook-autosave")
        assert "kept = 1" in kept.read_text()
    assert sessions.sessions() == [] and not Path(f"/proc/{kernel.pid}").exists()


@pytest.mark.parametrize(
    "number", ["1e400", "NaN", "-7", "1" + "0" * 30, "1e300", '"x"', '"\\ud800"', "[]"]
)
def test_absurd_numbers_beside_a_notebook_do_not_keep_it_shut(tmp_path: Path, number: str) -> None:
    """The session's and the autosave's: what can be used is, the rest is left out."""
    path = write(tmp_path / "a.py", "# %%\na = 1\n\n# %%\nb = 2\n")
    names = [n for n, f in Breakpoint.__annotations__.items() if f in ("int", "str", int, str)]
    points = [f'{{"id": 1, "{name}": {number}}}' for name in names if name != "id"]
    points += [f'{{"id": {number}, "line": 1}}', '{"id": 1, "op": "exp", "condition": "nan"}']
    state = f'{{"breakpoints": [{", ".join(points)}], "watches": [{number}, "a"]}}'
    (tmp_path / ".a.py.tapebook").write_text(f'{{"tapebook": 1, "session": {state}}}')
    notebook = open_notebook(path)
    notebook.set_source(notebook.cells[0].id, "a = 3")
    saved = autosave(notebook)
    assert saved is not None
    put = f'"saved_at": {number}'
    saved.write_text(re.sub(r'"saved_at": [0-9.]+', lambda _: put, saved.read_text()))

    async def scenario() -> None:
        async with program(path) as d:
            assert "There is unsaved work." in d.text()
            await d.press("r")
            assert d.app.notebook.cells[0].source == "a = 3"
            assert d.session.state == "idle"
            assert ("exp", "nan") in [(b.op, b.condition) for b in d.session.breakpoints]
            assert "a" in d.session.watches
            await d.press("ctrl+r")
            await d.until(lambda: d.session.runs, "a cell that runs")
            await d.idle()

    asyncio.run(scenario())
