"""Programs that ask: `input` and `getpass`, answered by viewers or at a terminal of their own."""

from __future__ import annotations

import builtins
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_forks import Program, Viewer, wait

import framework as torch
from framework import trace
from framework.trace.client import Client, RequestError
from framework.trace.events import BackwardBegin
from framework.trace.protocol import Question, StateChanged
from viewers.baseline import Baseline, what_if


class Script:
    """`tapebook run` of a program whose standard input is what the test says."""

    def __init__(self, folder: Path, text: str, stdin: Any, *options: str) -> None:
        (folder / "asks.py").write_text("import framework as torch\n" + text)
        runtime = folder / "run"
        runtime.mkdir(mode=0o700, exist_ok=True)
        self.notes = runtime / "tapebook"
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", "run", "asks.py", *options], cwd=folder,
            env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)}, stdin=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def connect(self, token: str = "", **options: Any) -> Client:
        note = wait(lambda: next(self.notes.glob("asks-*.json"), None))
        return Client.connect(note.with_suffix(".sock"), **options)

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe in which nothing comes."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def ask(client: Client, method: str, **params: Any) -> Any:
    return client.request(method, **params).result(60)


def asked(client: Client) -> dict[str, Any]:
    """The question that a program stands at."""
    found = wait(lambda: ask(client, "status")["asks"])
    return dict(found)


TWICE = "print(repr(input('first? ')), repr(input('second? ')))\n"


def test_a_viewer_answers_a_program_whose_input_says_nothing(
    tmp_path: Path, pipe: tuple[int, int]
) -> None:
    script = Script(tmp_path, TWICE, pipe[0])
    with script.connect() as client:
        first = asked(client)
        assert first["prompt"] == "first? " and not first["password"]
        assert first["source"][:2] == [str(tmp_path / "asks.py"), 2]
        assert client.request("status").result(60)["state"] == "running"
        with script.connect(who="late") as late:  # it is told at once, also of what comes next
            assert late.welcome.asks == Question(**_typed(first))
            with pytest.raises(RequestError, match="may only look"):
                ask(late, "answer", id=first["id"], text="no")
            ask(client, "answer", id=first["id"], text="yes")
            states = [m for m in wait(lambda: _states(late, "second? ")) if m.asks]
            second = states[-1].asks
            assert second.id != first["id"] and states[-1].state == "running"
            with pytest.raises(RequestError, match="answered already by "):
                ask(client, "answer", id=first["id"], text="once more")
            ask(late, "control", want="take")
            ask(late, "answer", id=second.id, text="of course")
    assert script.end() == (0, "first? yes\nsecond? of course\n'yes' 'of course'\n", "")


def _typed(question: dict[str, Any]) -> dict[str, Any]:
    from framework.trace.events import Source

    return {**question, "source": Source(*question["source"])}


def _states(client: Client, prompt: str) -> list[StateChanged]:
    found = [m for m in client.inbox if isinstance(m, StateChanged)]
    return found if any(m.asks and m.asks.prompt == prompt for m in found) else []


def test_what_is_in_a_pipe_is_read_as_ever(tmp_path: Path) -> None:
    script = Script(tmp_path, TWICE, subprocess.PIPE)
    script.process.stdin.write("a\nb\n")  # type: ignore[union-attr]
    assert script.end()[:2] == (0, "first? second? 'a' 'b'\n")


@pytest.mark.parametrize("call", ["input('name? ')", "__import__('getpass').getpass('name? ')"])
def test_nobody_is_there(tmp_path: Path, call: str) -> None:
    script = Script(tmp_path, f"{call}\n", subprocess.DEVNULL)
    script.process.stdin = None
    status, _, err = script.end()
    last = [line for line in err.splitlines() if line.startswith("EOFError")]
    assert status == 1 and len(last) == 1
    assert last[0].endswith("('name?'): nobody is there to answer: standard input is at its end, "
                            "and no window is attached that may (tapebook attach)")  # fmt: skip


def test_a_viewer_that_may_only_look_is_nobody(tmp_path: Path) -> None:
    text = "import time\nwhile not torch.ones(2).sum() or not __import__('os').path.exists('go'):\n"
    text += "    time.sleep(0.01)\ninput('name? ')\n"
    script = Script(tmp_path, text, subprocess.DEVNULL)
    note = wait(lambda: next(script.notes.glob("asks-*.json"), None))
    token, observe = note.with_suffix(".token"), note.with_suffix(".observe")
    token.write_text(observe.read_text())  # all that this viewer knows
    with script.connect(role="observe"):
        (tmp_path / "go").write_text("")
        status, _, err = script.end()
    assert status == 1 and "nobody is there to answer" in err


def test_a_question_stands_while_the_viewer_is_gone(tmp_path: Path) -> None:
    text = "import time, os\nwhile not os.path.exists('go'):\n    time.sleep(0.01)\n"
    script = Script(tmp_path, text + "print(input('name? '))\n", subprocess.DEVNULL)
    with script.connect() as client:
        (tmp_path / "go").write_text("")
        first = asked(client)
    with script.connect() as client:
        assert client.welcome.asks is not None and client.welcome.asks.id == first["id"]
        ask(client, "answer", id=first["id"], text="ann")
    assert script.end()[:2] == (0, "name? ann\nann\n")


def test_the_end_of_input_and_an_interrupt(tmp_path: Path, pipe: tuple[int, int]) -> None:
    text = "try:\n    input('a? ')\nexcept EOFError as error:\n    print(error)\n"
    text += "try:\n    input('b? ')\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
    script = Script(tmp_path, text, pipe[0])
    with script.connect() as client:
        ask(client, "answer", id=asked(client)["id"], end=True)
        wait(lambda: ask(client, "status")["asks"])
        ask(client, "interrupt")
    status, out, _ = script.end()
    assert status == 0 and out == "a? \nthe answer was the end of input\nb? interrupted\n"


class Terminal:
    """A program at a terminal of its own."""

    def __init__(self, folder: Path, text: str) -> None:
        master, slave = pty.openpty()
        self.master = master
        self.script = Script(folder, text, slave)
        os.close(slave)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())


def test_at_its_own_terminal_and_in_a_viewer_the_first_counts(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, TWICE + "print(repr(input('third? ')))\n")
    with terminal.script.connect() as client:
        first = asked(client)
        terminal.type("typed\n")
        second = wait(lambda: (q := asked(client)) and q["id"] != first["id"] and q)
        with pytest.raises(RequestError, match="answered already by the program's own terminal"):
            ask(client, "answer", id=first["id"], text="late")
        ask(client, "answer", id=second["id"], text="sent")
        wait(lambda: (q := asked(client)) and q["id"] != second["id"])
        terminal.type("typed again\n")
    status, out, _ = terminal.script.end()
    assert (status, out.splitlines()[-2:]) == (0, ["'typed' 'sent'", "third? 'typed again'"])


def test_a_password_leaves_no_trace(tmp_path: Path, pipe: tuple[int, int]) -> None:
    text = "import getpass, warnings\nwarnings.simplefilter('ignore')\n"
    script = Script(tmp_path, text + "print(len(getpass.getpass()))\n", pipe[0])
    with script.connect() as client:
        found = asked(client)
        assert found["prompt"] == "Password: " and found["password"]
        ask(client, "answer", id=found["id"], text="secret")
    status, out, err = script.end()
    assert status == 0 and out.endswith("········\n6\n") and "secret" not in out + err


def test_listening_puts_python_s_own_back(tmp_path: Path) -> None:
    before = builtins.input
    service = trace.listen("asks", directory=tmp_path)
    assert builtins.input is not before and builtins.input.__doc__ == before.__doc__
    service.close()
    trace.stop()
    assert builtins.input is before


BRANCHES = """\
import time

import framework as torch
from framework import trace

service = trace.listen("asks", wait=True)
while not service.gate.breakpoints:
    time.sleep(0.01)
w = torch.zeros(2, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
scale = 1.0
for number in range(3):
    loss = ((w - 1) ** 2).sum() * scale * float(input("factor? "))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print("done", number, flush=True)
time.sleep(100)
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    found = Program(tmp_path, BRANCHES)
    yield found
    found.viewer.client.close()
    found.process.kill()
    found.process.wait()


def _go(viewer: Viewer, text: str, how: str = "step") -> Any:
    """A step in which a question is answered."""
    viewer.take()
    seen = len(viewer.stops)
    viewer.ask("step", how=how)
    viewer.ask("answer", id=asked(viewer.client)["id"], text=text)
    wait(lambda: viewer.take() or len(viewer.stops) > seen)
    return viewer.stops[-1]


def test_a_branch_asks_its_viewer_and_the_baseline_is_answered_the_same(program: Program) -> None:
    viewer = program.viewer
    viewer.pause_at(op="sum")
    branch, _ = viewer.fork()
    other, _ = viewer.fork("baseline")
    baseline = Baseline(other.client)
    branch.ask("edit", target="scale", value="3.0")
    _go(branch, "0.5")
    told = what_if(branch.client, baseline)
    assert not told.losses, "it has not been answered, and is not waited for"
    baseline.answers.append("0.5")
    told = what_if(branch.client, baseline)
    assert told.losses == [(1.0, 3.0)]
    assert viewer.ask("status")["asks"] is None
    viewer.ask("drop")
    _go(viewer, "2.0")  # the program itself was asked nothing meanwhile
    wait(lambda: viewer.events(BackwardBegin))
    assert viewer.loss(1) == 4.0


def test_a_step_that_is_run_again_gets_the_answers_of_then(program: Program) -> None:
    viewer = program.viewer
    viewer.pause_at(op="sum")
    for text in ("0.5", "0.25"):
        stop = _go(viewer, text)
    wait(lambda: viewer.ask("checkpoints")["seqs"])
    _go(viewer, "0.125")
    found = viewer.ask("rerun", to=viewer.stops[-1].seq)
    again = Viewer(viewer.client.sibling(found["name"]))
    wait(lambda: again.ask("status")["state"] == "paused")
    assert again.ask("status")["last_seq"] == viewer.stops[-1].seq
    assert again.ask("evaluate", expression="loss.item()").text == (
        viewer.ask("evaluate", expression="loss.item()").text
    )
    assert stop.seq < viewer.stops[-1].seq


def test_a_model_in_another_thread_is_asked_and_interrupted(tmp_path: Path) -> None:
    import threading

    said: list[str] = []
    ready = threading.Event()

    def work() -> None:
        service = trace.listen("asks", directory=tmp_path)
        torch.ones(2)
        ready.set()
        while not service.viewers:
            ready.wait(0.01)
        for _ in range(2):
            try:
                said.append(service.asking.ask("name? "))
            except KeyboardInterrupt:
                said.append("interrupted")
        service.close()
        trace.stop()

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(60)
    with Client.connect(next(tmp_path.glob("*.sock"))) as client:
        first = asked(client)
        ask(client, "answer", id=first["id"], text="ann")
        wait(lambda: asked(client)["id"] != first["id"])
        ask(client, "interrupt")
        thread.join(60)
    assert said == ["ann", "interrupted"]


def test_an_expression_at_a_stop_asks_nobody(program: Program) -> None:
    viewer = program.viewer
    viewer.pause_at(op="sum")
    with pytest.raises(RequestError, match="EOFError: input\\('x'\\): what is looked at"):
        viewer.ask("evaluate", expression="input('x')")


def test_a_program_s_own_handler_stays(tmp_path: Path, pipe: tuple[int, int]) -> None:
    text = "import signal\nsignal.signal(signal.SIGINT, lambda *a: print('mine', flush=True))\n"
    text += "print(input('a? '), flush=True)\ninput('b? ')\n"
    script = Script(tmp_path, text, pipe[0])
    with script.connect() as client:
        first = asked(client)
        ask(client, "answer", id=first["id"], text="sent")
        second = wait(lambda: (q := asked(client)) and q["id"] != first["id"] and q)
        script.process.send_signal(signal.SIGINT)
        assert script.process.stdout is not None
        lines = [script.process.stdout.readline() for _ in range(3)]
        ask(client, "answer", id=second["id"], text="")
    assert script.end()[0] == 0
    assert lines == ["a? sent\n", "sent\n", "b? mine\n"]
