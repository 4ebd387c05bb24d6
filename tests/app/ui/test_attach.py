"""Attached to a program that runs by itself: its past, its names, pausing it, and leaving it."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from test_terminal import RESTORED, Terminal
from ui_driver import Driver, program, write

from app.attach import connect, describe, notebook_for
from app.notebook import Notebook
from app.ui.app import TapebookApp
from framework.trace.client import Client, SessionError

SCRIPT = """\
import time
import framework as torch
from framework import nn

model = nn.Linear(4, 2)
opt = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(100000):
    loss = (model(torch.randn(3, 4)) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    time.sleep(0.02)
"""


def test_attached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    script = write(tmp_path / "train.py", SCRIPT)
    program = subprocess.Popen([sys.executable, "-m", "app", "run", str(script)])
    try:
        asyncio.run(_look(_connect()))
        assert program.poll() is None, "leaving must not end it"
    finally:
        program.kill()
        program.wait()


def _connect() -> Client:
    end = time.monotonic() + 60
    while True:
        try:
            client = Client.connect("train")
        except SessionError:
            assert time.monotonic() < end
            time.sleep(0.1)
            continue
        time.sleep(0.3)
        return client


async def _look(client: Client) -> None:
    app = TapebookApp(notebook_for(client), client=client)
    async with app.run_test(size=(120, 40)) as pilot:
        d = Driver(app, pilot)
        session = d.session
        await d.until(lambda: session.state == "running" and session.store.last_seq, "its events")
        await d.until(lambda: session.store.first_seq == 1, "its past")
        await d.press("p")
        await d.stopped()
        assert session.place is not None and "▶" in d.pane("notebook")
        d.main.notebook.view.select_cell(app.notebook.cells[0].id, 8)
        await d.press("b", "c")
        await d.until(lambda: bool(session.stop and session.stop.breakpoint), "the breakpoint")
        await d.settled()
        assert session.place == (app.notebook.cells[0].id, 8)
        await d.step()  # randn
        await d.step()  # the layer
        await d.press("2")
        assert "W[2,4] b[2]" in d.text(), "a parameter's name is from before we came"
        await d.press("enter", "1", "enter", "ctrl+r")  # its source is only shown
        assert not d.main.notebook.editing
        await d.press("ctrl+q")
        assert not app.is_running or app._exit


class Running:
    """A script under `tapebook run`, or any other command."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen([sys.executable, *command])

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self.process

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.wait()


@asynccontextmanager
async def window(
    client: Client, size: tuple[int, int] = (120, 40), notebook: Notebook | None = None,
    waits: bool = True,
) -> AsyncIterator[Driver]:  # fmt: skip
    """A window of an attached program, with its first events where it ``waits`` for them."""
    app = TapebookApp(notebook or notebook_for(client), client=client)
    app.session.file = client.welcome.file if client.remote else ""
    async with app.run_test(size=size) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: not waits or driver.session.store.last_seq, "its events")
        yield driver


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return write(tmp_path / "train.py", SCRIPT)


def _line(d: Driver) -> str:
    """The status line."""
    return next(line for line in d.text().split("\n") if " event " in line)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
def test_two_windows(script: Path, size: tuple[int, int]) -> None:
    """The second one observes, says so, takes over; the first one is told and takes it back."""

    async def scenario() -> None:
        async with window(_connect(), size) as first:
            client = await asyncio.to_thread(Client.connect, "train", who="pts/9, pid 1")
            async with window(client, size) as second:
                assert "observing" in _line(second) and "observing" not in _line(first)
                assert "you observe, " in second.session.message
                for key in ("n", "s", "f", "l", "plus", "c", "p", "b", "F"):
                    second.session.say("")
                    await second.press(key)
                    said = second.session.message
                    assert said.startswith("not done: you observe, "), (key, said)
                    assert said.endswith("T takes control"), (key, said)
                    assert said in " ".join(second.text().split()), second.text()
                assert second.session.state == "running" and not second.session.breakpoints
                await first.press("p")
                await first.stopped()
                await second.stopped()
                assert "stopped at your request" in first.session.message
                assert "stopped at the request of who controls" in second.session.message
                await first.press("c")
                first.main.notebook.view.select_cell(first.app.notebook.cells[0].id, 8)
                await first.press("b")
                await first.until(lambda: first.session.state == "paused", "a stop")
                await second.stopped()
                assert "▶" in second.pane("notebook"), "it sees the same"
                await second.press("T")
                await second.until(lambda: second.session.role == "control", "control")
                await second.settled()
                assert "observing" not in _line(second)
                assert [b.line for b in second.session.breakpoints] == [8]
                await first.until(lambda: first.session.observing, "the loss of it")
                assert "pts/9, pid 1 took control over" in first.session.message
                assert "observing" in _line(first)
                before = second.session.stop.seq if second.session.stop else 0
                await second.step()
                await first.until(
                    lambda: first.session.stop and first.session.stop.seq > before, "its step"
                )
                await first.press("T")
                await second.until(lambda: second.session.observing, "the loss of it")
            await first.until(lambda: first.session.role == "control", "control")
            await first.press("c")

    with Running("-m", "app", "run", str(script)) as program:
        asyncio.run(scenario())
        assert program.poll() is None


def test_full_speed_and_back(script: Path) -> None:
    async def scenario() -> None:
        async with window(_connect()) as d:
            await d.press("F")
            await d.until(lambda: d.session.level == "off", "full speed")
            await d.settled()
            assert "full speed" in _line(d)
            await d.caught_up()
            seen = d.session.store.last_seq
            await asyncio.sleep(0.3)
            await d.caught_up()
            assert d.session.store.last_seq == seen
            await d.press("p")
            await d.stopped()
            assert d.session.level == "all" and "full speed" not in _line(d)
            await d.step()
            await d.press("F")  # from a stop, too
            await d.until(lambda: d.session.level == "off" and d.session.state == "running")
            await d.press("F")
            await d.until(lambda: d.session.level == "all", "being looked at")
            seen = d.session.store.last_seq
            await d.until(lambda: d.session.store.last_seq > seen, "events")

    with Running("-m", "app", "run", str(script)):
        asyncio.run(scenario())


def test_a_broken_link_is_tried_again_and_nothing_is_lost(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The screen keeps what it has; the tape goes on where it broke off."""

    async def scenario() -> None:
        async with window(_connect()) as d:
            session = d.session
            await d.press("p")
            await d.stopped()
            graph = d.pane("graph")
            client = session.client
            assert isinstance(client, Client)
            monkeypatch.setattr(Client, "again", refuse)
            client._sock.shutdown(socket.SHUT_RDWR)
            await d.until(lambda: session.state == "reconnecting", "the loss of it")
            assert "reconnecting" in _line(d) and d.pane("graph") == graph
            assert "the connection broke" in session.message
            await d.until(lambda: "no connection (no route" in session.message, "more attempts")
            await d.press("n")
            assert "not connected" in session.message or "no connection" in session.message
            monkeypatch.setattr(Client, "again", again)
            await d.until(lambda: session.state == "running", "the program, which ran on")
            await d.until(lambda: session.role == "control", "control")
            await d.press("p")
            await d.stopped()
            seqs = [e.seq for e in session.store.events(1, session.store.last_seq)]
            assert seqs == list(range(1, session.store.last_seq + 1))

    def refuse(client: Client) -> Client:
        raise SessionError("no route to host")

    again = Client.again
    with Running("-m", "app", "run", str(script)) as program:
        asyncio.run(scenario())
        assert program.poll() is None


def test_the_end_of_the_program_ends_the_attempts(script: Path) -> None:
    async def scenario(program: subprocess.Popen[bytes]) -> None:
        async with window(_connect()) as d:
            program.kill()
            await d.until(lambda: d.session.state == "dead", "its end")
            assert f"{d.session.name} has ended without a word: " in d.session.message
            await d.press("e")
            assert d.session.message == "the program is gone; what it recorded is still here"

    with Running("-m", "app", "run", str(script)) as program:
        asyncio.run(scenario(program))


def test_through_a_pipe_as_through_ssh(script: Path, tmp_path: Path) -> None:
    """The far end's text is shown, not the file of that name here; a killed pipe is made anew."""
    noise = f"echo 'Welcome to this host'; exec {sys.executable} -m app attach --stdio train"

    async def scenario() -> None:
        client = await asyncio.to_thread(connect, via=f"sh -c {shlex.quote(noise)}")
        assert client.remote and client.role == "control"
        notebook = notebook_for(client)
        script.write_text("print('another file of that name')\n")
        async with window(client, notebook=notebook) as d:
            session = d.session
            assert "nn.Linear(4, 2)" in d.text() and "another file" not in d.text()
            await d.until(lambda: session.store.first_seq == 1, "its past")
            d.main.notebook.view.select_cell(d.app.notebook.cells[0].id, 8)
            await d.press("b")
            await d.stopped()
            assert "▶" in d.pane("notebook")
            assert client._process is not None
            client._process._process.kill()
            await d.until(lambda: session.client not in (None, client), "a new link")
            await d.until(lambda: session.state in ("running", "paused"), "the state")
            await d.stopped()  # its breakpoint is still there
            await d.press("ctrl+q")

    with Running("-m", "app", "run", str(script)) as program:
        _connect().close()
        asyncio.run(scenario())
        assert program.poll() is None


@pytest.mark.parametrize("why", ["nope", "host"])
def test_a_far_end_that_is_not_there_is_one_line(script: Path, why: str) -> None:
    if why == "nope":
        with pytest.raises(SessionError, match="no session is running"):
            connect(via=f"{sys.executable} -m app attach --stdio nope")
    else:
        with pytest.raises(SessionError, match="host is unreachable"):
            connect(via="sh -c 'echo host is unreachable >&2; exit 255'")


@pytest.mark.parametrize(
    "number, status",
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)],
    ids=["SIGTERM", "SIGHUP", "SIGQUIT"],
)
def test_a_signal_restores_the_terminal_and_detaches(
    script: Path, number: int, status: int
) -> None:
    with Running("-m", "app", "run", str(script)) as program:
        _connect().close()
        terminal = Terminal("attach")  # the only one: no name is needed
        terminal.until(b"running")
        os.kill(terminal.process.pid, number)
        assert terminal.end() == status
        assert all(code in terminal.seen for code in RESTORED)
        end = time.monotonic() + 60
        while (found := describe())[0]["viewers"]:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert found[0]["state"] == "running" and program.poll() is None


def test_of_several_one_is_chosen(script: Path, tmp_path: Path) -> None:
    """At 80 columns, in a real terminal: each session in one line, by number or by name."""
    deep = tmp_path / "a-rather-long-folder-name" / "with-another-one-in-it"
    deep.mkdir(parents=True)
    other = write(deep / "evaluate_the_model.py", SCRIPT)
    with Running("-m", "app", "run", str(script)), Running("-m", "app", "run", str(other)):
        _connect().close()
        end = time.monotonic() + 20
        while len(found := describe()) < 2:
            assert time.monotonic() < end
        listed = Terminal("ps", size=(80, 24))
        assert listed.end() == 0
        rows = listed.seen.decode().split("\r\n")[:-1]
        assert len(rows) == 3 and all(len(row) <= 80 for row in rows), rows
        assert any(row.endswith("evaluate_the_model.py") for row in rows), rows
        number = [one["name"].startswith("evaluate") for one in found].index(True) + 1
        for answer in (str(number), "evaluate"):
            terminal = Terminal("attach", size=(80, 24))
            terminal.until(b"which one? 1 to 2")
            text = terminal.seen.decode()
            assert all(f"{i + 1}  {one['name']}" in text for i, one in enumerate(found)), text
            assert max(map(len, text.split("\r\n"))) <= 80, text
            terminal.type(answer.encode() + b"\r")
            terminal.until(b" help ")  # of the footer
            (viewed,) = [one for one in describe() if one["viewers"]]
            assert viewed["name"].startswith("evaluate")
            terminal.type(b"\x11")
            assert terminal.end() == 0
        terminal = Terminal("attach", size=(80, 24))
        terminal.until(b"which one?")
        terminal.type(b"\r")
        assert terminal.end() == 2 and b"none was chosen" in terminal.seen


def test_ps_says_how_each_is(script: Path, tmp_path: Path) -> None:
    quiet = write(
        tmp_path / "quiet.py",
        "import sys, time\nfrom framework import trace\n"
        "trace.listen(name='my \\x1b[31mrun', idle='off')\ntime.sleep(1000)\n",
    )
    with Running("-m", "app", "run", str(script)), Running(str(quiet)) as other, \
         _connect() as client:  # fmt: skip
        client.request("pause").result(60)
        end = time.monotonic() + 60
        while len(found := {one["state"]: one for one in describe()}) < 2 or "paused" not in found:
            assert time.monotonic() < end, found
            time.sleep(0.05)
        train, off = found["paused"], found["running"]
        assert (train["file"], off["file"]) == (str(script), str(quiet)) and train["step"] > 0
        assert train["stop"].startswith(f"{script}:")
        assert [v["role"] for v in train["viewers"]] == ["control"]
        assert (off["level"], off["viewers"], off["pid"]) == ("off", [], other.pid)
        os.kill(other.pid, signal.SIGSTOP)
        done = subprocess.run(
            [sys.executable, "-m", "app", "ps"], capture_output=True, text=True, timeout=120
        )
        head, *rows = done.stdout.splitlines()
        assert head.split() == ["NAME", "PID", "STATE", "STEP", "VIEWERS", "SINCE", "FILE"]
        (row,) = [row for row in rows if "quiet.py" in row]
        assert "no answer" in row and "my_31mrun" in row.replace("[", "_").replace("__", "_")
        assert "\x1b" not in done.stdout
        os.kill(other.pid, signal.SIGCONT)
        end = time.monotonic() + 60
        states: set[str] = set()
        while states != {"paused", "running"}:  # one that takes its time has "no answer" yet
            assert time.monotonic() < end, states
            done = subprocess.run(
                [sys.executable, "-m", "app", "ps", "--json"], capture_output=True, text=True
            )
            states = {one["state"] for one in json.loads(done.stdout)}


def test_a_cell_at_full_speed_is_paused_by_a_key(tmp_path: Path) -> None:
    """The kernel of a notebook of one's own, too."""

    async def scenario() -> None:
        path = write(
            tmp_path / "loop.py",
            "# %%\nimport time\nimport framework as torch\nx = torch.ones(4)\n"
            "for i in range(10**9):\n    x = x * 1.0\n    time.sleep(0.002)\n",
        )
        async with program(path) as d:
            await d.press("ctrl+r")
            await d.until(lambda: d.session.state == "running" and d.session.store.last_seq, "it")
            await d.press("F")
            await d.until(lambda: d.session.level == "off", "full speed")
            assert "full speed" in _line(d)
            await d.press("p")
            await d.stopped()
            assert d.session.level == "all" and "▶" in d.pane("notebook")
            await d.step()
            await d.press("i", "i")
            await d.idle()

    asyncio.run(scenario())
