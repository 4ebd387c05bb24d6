"""Real kernel processes: cells, output, tracebacks, interrupts, crashes."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.kernel.process import KernelError, KernelProcess
from framework.trace import session as sessions
from framework.trace.client import Client, RequestError
from framework.trace.events import CellBegin, CellEnd, Leaf, ModuleBegin
from framework.trace.protocol import Events, Output, StateChanged

SGR = re.compile(r"\x1b\[[0-9;]*m")


class Driver:
    """A kernel and what has come from it."""

    def __init__(self, kernel):
        self.kernel = kernel
        self.messages = []
        self.stops = 0  # messages about stops that have been looked at

    @property
    def client(self):
        return self.kernel.client

    def take(self):
        while self.client.inbox:
            self.messages.append(self.client.inbox.popleft())

    def start(self, code, cell="c1"):
        self.messages.clear()
        self.stops = 0
        return self.client.request("execute", cell=cell, code=code)

    def run(self, code, cell="c1", seconds=60):
        result = self.start(code, cell).result(seconds)
        self.wait(lambda: self.state == "idle")
        return result

    def wait(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while True:
            self.take()
            if found := condition():
                return found
            assert time.monotonic() < end, self.messages[-5:]
            time.sleep(0.002)

    def stop(self):
        """The next stop."""
        found = self.wait(lambda: self._stops()[self.stops :])
        self.stops += 1
        return found[0]

    def _stops(self):
        return [m.stop for m in self.messages if isinstance(m, StateChanged) and m.stop]

    @property
    def state(self):
        states = [m.state for m in self.messages if isinstance(m, StateChanged)]
        return states[-1] if states else ""

    def outputs(self, kind):
        self.take()
        return [m for m in self.messages if isinstance(m, Output) and m.kind == kind]

    def text(self, name="stdout"):
        return "".join(o.text for o in self.outputs("stream") if o.name == name)

    def events(self, kind=object):
        self.take()
        return [
            e for m in self.messages if isinstance(m, Events) for e in m.events
            if isinstance(e, kind)
        ]  # fmt: skip

    def ask(self, method, **params):
        return self.client.request(method, **params).result(60)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("k")


@pytest.fixture(scope="module")
def shared(place):
    """One kernel for all tests that leave it as it was."""
    kernel = KernelProcess(cwd=place, socket_dir=place / "run")
    kernel.start()
    yield kernel
    kernel.kill()


@pytest.fixture
def kernel(shared):
    driver = Driver(shared)
    driver.ask("options", break_on_error=False)
    driver.ask("breakpoints", breakpoints=[])
    return driver


@pytest.fixture
def own(place):
    """A kernel that the test may kill."""
    process = KernelProcess(cwd=place, socket_dir=place / "run")
    process.start()
    yield Driver(process)
    process.kill()


# -- cells ----------------------------------------------------------------------------------------


def test_starts_fast_and_without_textual(own):
    with open(f"/proc/{own.kernel.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    spent = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    assert spent < 3.0  # of its own: others may have the machine
    own.run("import sys; print([m for m in ('textual', 'cupy', 'matplotlib') if m in sys.modules])")
    assert own.text() == "[]\n"


def test_values_prints_and_names_survive_between_cells(kernel):
    first = kernel.run("x = 20\nprint('printed')\nx + 1", cell="a")
    (result,) = kernel.outputs("result")
    assert result.data["text/plain"] == "21"
    assert (result.cell, result.count) == ("a", first["count"])
    assert kernel.text() == "printed\n"
    second = kernel.run("x * 2", cell="b")
    assert second["count"] == first["count"] + 1
    assert kernel.outputs("result")[0].data["text/plain"] == "40"
    begin, end = kernel.events(CellBegin)[0], kernel.events(CellEnd)[0]
    assert (begin.cell, begin.count, end.begin) == ("b", second["count"], begin.seq)


def test_all_output_and_events_come_before_the_answer(kernel):
    for _ in range(5):
        future = kernel.start("import framework as torch\ny = torch.ones(2) * 2\nprint('x' * 100)")
        future.result(60)
        kernel.take()
        assert kernel.text() == "x" * 100 + "\n"
        assert kernel.state == "idle" and kernel.events(CellEnd)


def test_streams_are_told_apart_and_stay_in_order(kernel):
    kernel.run(
        "import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three')\n"
        "sys.stdout.buffer.write(b'four\\n')\nprint('\\udc80')"
    )
    assert [(o.name, o.text) for o in kernel.outputs("stream")] == [
        ("stdout", "one\n"),
        ("stderr", "two\n"),
        ("stdout", "three\nfour\n?\n"),
    ]


def test_where_cells_run(kernel, place):
    kernel.run("import os, sys\nprint(os.getcwd())\nprint(sys.path[0])\nprint(__name__)")
    assert kernel.text().splitlines() == [str(place), str(place), "__main__"]


def test_the_notebooks_directory_is_importable_and_cwd_is_the_users(tmp_path):
    notebook = tmp_path / "notebooks"
    notebook.mkdir()
    (notebook / "helper.py").write_text("VALUE = 7\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("raise ImportError('not ours')")
    process = KernelProcess(tmp_path, notebook, file=notebook / "n.py", socket_dir=tmp_path / "r")
    with process:
        driver = Driver(process)
        driver.run("import os, helper\nprint(helper.VALUE, os.getcwd())")
        assert driver.text() == f"7 {tmp_path}\n"
        assert driver.client.session.name.startswith("n-")
        assert driver.client.session.file == str(notebook / "n.py")


def test_display_update_and_clear(kernel):
    kernel.run(
        "from IPython.display import display, clear_output\n"
        "display({'a': 1})\nh = display('first', display_id='d')\nh.update('second')\n"
        "clear_output(wait=True)\nprint('after')"
    )
    shown = [(o.kind, o.data.get("text/plain"), o.display_id, o.wait) for o in kernel.messages
             if isinstance(o, Output) and o.kind != "stream"]  # fmt: skip
    assert shown == [
        ("display", "{'a': 1}", "", False),
        ("display", "'first'", "d", False),
        ("update", "'second'", "d", False),
        ("clear", None, "", True),
    ]


def test_magics_and_shell_commands(kernel):
    kernel.run("%time pass\n!echo from a shell")
    assert "Wall time" in kernel.text() and "from a shell" in kernel.text()


def test_a_matplotlib_picture(kernel):
    kernel.run("import matplotlib.pyplot as plt\nplt.plot([1, 3, 2]);", seconds=60)
    (shown,) = kernel.outputs("display")
    assert base64.b64decode(shown.data["image/png"]).startswith(b"\x89PNG")


def test_top_level_await(kernel):
    kernel.run("import asyncio\nawait asyncio.sleep(0.01)\nprint('awaited')")
    assert kernel.text() == "awaited\n"


def test_completion_and_inspection(kernel):
    kernel.run("import framework as torch\nabcdef = torch.ones(3)")
    found = kernel.ask("complete", code="y = abcd", pos=8)
    assert found == {"matches": ["abcdef"], "start": 4, "end": 8}
    assert "mean" in " ".join(kernel.ask("complete", code="abcdef.me", pos=9)["matches"])
    assert kernel.ask("complete", code="", pos=99)["matches"] != [] or True
    assert "tensor([1., 1., 1.])" in kernel.ask("inspect", code="abcdef", pos=3)["text"]
    assert kernel.ask("inspect", code="nothing", pos=3)["found"] is False
    with pytest.raises(RequestError, match="must be text"):
        kernel.ask("complete", code=3)


# -- errors ---------------------------------------------------------------------------------------


def _traceback(output):
    return SGR.sub("", "\n".join(output.traceback))


def test_tracebacks_have_the_cells_own_lines(kernel):
    kernel.run("def fail(n):\n    # a comment\n    return 1 / n\n", cell="def")
    result = kernel.run("a = 1\nfail(0)", cell="use")
    assert result["error"] == "ZeroDivisionError"
    (error,) = kernel.outputs("error")
    assert (error.cell, error.ename, error.evalue) == (
        "use", "ZeroDivisionError", "division by zero",
    )  # fmt: skip
    text = _traceback(error)
    assert "----> 2 fail(0)" in text and "----> 3     return 1 / n" in text
    assert "interactiveshell.py" not in text and "app/kernel" not in text
    assert kernel.events(CellEnd)[0].error.startswith("ZeroDivisionError")


def test_the_frameworks_frames_are_left_out(kernel):
    kernel.run("import framework as torch\ntorch.ones(2, 3) @ torch.ones(4, 5)")
    (error,) = kernel.outputs("error")
    text = _traceback(error)
    assert "----> 2 torch.ones(2, 3) @ torch.ones(4, 5)" in text
    assert "dispatch.py" not in text
    assert "2x3 and 4x5" in error.evalue


def test_a_syntax_error_names_the_line(kernel):
    assert kernel.run("a = 1\nb = = 2")["error"] == "SyntaxError"
    assert "line 2" in _traceback(kernel.outputs("error")[0])


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import sys; sys.exit('bye')", "exit()"])
def test_leaving_does_not_end_the_kernel(kernel, code):
    pid = kernel.kernel.pid
    kernel.run(code)
    kernel.run("1 + 1")
    assert kernel.kernel.pid == pid and kernel.kernel.poll() is None


def _question(kernel, known=None):
    """What the cell asks after the question ``known``, and where its window is told so."""

    def found():
        asks = kernel.ask("status")["asks"]
        new = asks is not None and (known is None or asks["id"] > known)
        return new and [
            m for m in kernel.messages
            if isinstance(m, StateChanged) and m.asks and m.asks.id == asks["id"]
        ]  # fmt: skip

    state = kernel.wait(found)[-1]
    assert (state.state, state.cell) == ("running", "c1")
    return state.asks


def _answer(kernel, text, known=None):
    question = _question(kernel, known)
    kernel.ask("answer", id=question.id, text=text)
    return question


def test_input_is_answered_and_what_was_said_is_in_the_output(kernel):
    code = "print('first')\nname = input('who? ')\nage = int(input())\nprint(name, age)"
    future = kernel.start(code)
    question = _question(kernel)
    assert kernel.text() == "first\n", "what was printed before is there when it asks"
    assert (question.prompt, question.password, question.source.line) == ("who? ", False, 2)
    kernel.ask("answer", id=question.id, text="ann")
    assert _answer(kernel, "41", question.id).prompt == ""
    assert future.result(60)["error"] == "" and kernel.text() == "first\nwho? ann\n41\nann 41\n"
    kernel.wait(lambda: kernel.state == "idle")
    assert kernel.ask("status")["asks"] is None


def test_a_password_is_in_no_output(kernel):
    future = kernel.start("import getpass\nlen(getpass.getpass('key: '))")
    assert _answer(kernel, "secret").password
    assert future.result(60)["error"] == "" and kernel.text() == "key: ········\n"
    assert kernel.outputs("result")[0].data["text/plain"] == "6"


def test_input_is_interrupted(kernel):
    future = kernel.start("input('who? ')")
    _question(kernel)
    kernel.kernel.interrupt()
    assert future.result(60)["error"] == "KeyboardInterrupt" and kernel.text() == "who? \n"
    future = kernel.start("input('who? ')")
    _question(kernel)
    kernel.ask("interrupt")
    assert future.result(60)["error"] == "KeyboardInterrupt"


def test_standard_input_is_what_is_answered(kernel):
    code = "import sys\nprint(repr(sys.stdin.readline()), [line for line in sys.stdin])"
    future = kernel.start(code)
    first = _answer(kernel, "one")
    second = _answer(kernel, "two", first.id)
    kernel.ask("answer", id=_question(kernel, second.id).id, end=True)
    assert future.result(60)["error"] == ""
    assert kernel.text().endswith("'one\\n' ['two\\n']\n")
    future = kernel.start("input()")
    kernel.ask("answer", id=_question(kernel).id, end=True)
    assert future.result(60)["error"] == "EOFError"


def test_pdb_is_answered(kernel):
    code = "import pdb\ndef f(n):\n    pdb.set_trace()\n    return n * 2\nprint(f(4))"
    future = kernel.start(code)
    first = _answer(kernel, "p n + 100")
    assert first.prompt == "(Pdb) "
    second = _answer(kernel, "!n = 5", first.id)
    _answer(kernel, "c", second.id)
    assert future.result(60)["error"] == ""
    assert "\n104\n" in kernel.text() and kernel.text().endswith("10\n")


def test_ipython_s_debugger_is_answered(kernel):
    kernel.run("def g(n):\n    return 1 / n\ng(0)", cell="g")
    future = kernel.start("%debug")
    first = _answer(kernel, "p n")
    assert first.prompt == "ipdb> " and "return" in kernel.text()
    _answer(kernel, "q", first.id)
    assert future.result(60)["error"] == "" and "\nipdb> p n\n0\n" in kernel.text()


def test_an_exception_without_a_text_is_shown(kernel):
    code = "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd"
    kernel.run(code)
    assert kernel.outputs("error") or "Odd" in kernel.text("stderr") + kernel.text()
    kernel.run("1")


# -- much output ----------------------------------------------------------------------------------


def test_a_million_lines_become_a_few_messages(kernel):
    kernel.run("for i in range(1_000_000):\n    print(i)", seconds=60)
    streams = kernel.outputs("stream")
    text = kernel.text()
    assert len(streams) < 400
    assert len(text) < 15_000_000
    assert text.startswith("0\n1\n2\n") and text.endswith("999998\n999999\n")
    hidden = sum(int(n.replace(",", "")) for n in re.findall(r"… ([\d,]+) lines hidden …", text))
    shown = len(re.findall(r"^\d+$", text, re.M))
    assert abs(hidden + shown - 1_000_000) < 3 * len(streams)


def test_a_very_long_line_is_bounded(kernel):
    kernel.run("print('x' * 10_000_000)")
    assert len(kernel.text()) < 100_000


def _memory(kernel):
    """Bytes of memory that the kernel has now, and at most had since it was asked to forget."""
    text = Path(f"/proc/{kernel.kernel.pid}/status").read_text()
    return [int(re.search(rf"{name}:\s+(\d+)", text)[1]) << 10 for name in ("VmRSS", "VmHWM")]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads /proc")
def test_what_was_printed_is_not_kept(kernel):
    """64 MB in lines that differ, then 64 MB in one: neither stays, the second is not copied."""
    before, _ = _memory(kernel)
    line = f"x = {'x' * 1000!r}\n"
    kernel.run(line + "for i in range(64_000):\n    print(f'{i} {x}')")
    after, _ = _memory(kernel)
    assert after - before < 32 << 20, f"{(after - before) >> 20} MiB more"
    assert kernel.text().endswith(f"63999 {'x' * 1000}\n")
    Path(f"/proc/{kernel.kernel.pid}/clear_refs").write_text("5")  # the peak is that of now
    kernel.run("print('z' * (64 << 20))")
    _, peak = _memory(kernel)
    assert peak - after < 96 << 20, f"{(peak - after) >> 20} MiB more"


def test_output_past_the_cell_goes_to_the_parents_log(kernel):
    kernel.run("import os\nos.write(1, b'past the cell\\n');")
    kernel.wait(lambda: "past the cell" in kernel.kernel.output)
    assert kernel.text() == ""


# -- interrupts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time\ntime.sleep(1000)",
        "import framework as torch\nx = torch.ones(2)\nwhile True: x = x * 1.0",
    ],
    ids=["loop", "sleep", "ops"],
)
@pytest.mark.parametrize("way", ["signal", "wire"])
def test_interrupt(kernel, code, way):
    future = kernel.start("print('inside', flush=True)\n" + code)
    kernel.wait(lambda: kernel.state == "running" and "inside" in kernel.text())
    time.sleep(0.1)
    assert kernel.ask("status")["state"] == "running"  # it is answered meanwhile
    if way == "signal":
        kernel.kernel.interrupt()
    else:
        kernel.ask("interrupt")
    assert future.result(60)["error"] == "KeyboardInterrupt"
    kernel.wait(lambda: kernel.outputs("error"))
    assert "----> " in _traceback(kernel.outputs("error")[0])
    assert kernel.run("1")["error"] == ""


@pytest.mark.parametrize("way", ["signal", "wire"])
def test_interrupt_while_paused(kernel, way):
    kernel.run("import framework as torch")
    kernel.ask("breakpoints", breakpoints=[{"id": 1, "op": "exp"}])
    future = kernel.start("torch.ones(2).exp()")
    assert kernel.stop().reason == "breakpoint 1"
    kernel.kernel.interrupt() if way == "signal" else kernel.ask("interrupt")
    assert future.result(60)["error"] == "KeyboardInterrupt"
    kernel.ask("breakpoints", breakpoints=[])
    assert kernel.run("torch.ones(2).exp()")["error"] == ""


def test_interrupting_an_idle_kernel_is_harmless(kernel):
    kernel.kernel.interrupt()
    with pytest.raises(RequestError, match="nothing to interrupt"):
        kernel.ask("interrupt")
    with pytest.raises(RequestError, match="nothing to pause"):
        kernel.ask("pause")
    assert kernel.run("1 + 1")["error"] == ""


def test_cells_wait_their_turn(kernel, tmp_path):
    go = tmp_path / "go"
    code = f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\nn = 1"
    first = kernel.client.request("execute", cell="a", code=code)
    second = kernel.client.request("execute", cell="b", code="n += 1; print(n)")
    kernel.ask("status")
    assert not second.done()
    go.touch()
    assert first.result(60)["error"] == "" and second.result(60)["error"] == ""


# -- crashes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code, how",
    [
        ("import os; os._exit(3)", "exit 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
    ],
)
def test_a_crash_is_named_and_leaves_the_parent_whole(own, code, how):
    future = own.start(code)
    with pytest.raises(RequestError, match="closed"):
        future.result(60)
    end = time.monotonic() + 60
    while own.kernel.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    assert own.kernel.poll() == how
    assert own.kernel.death == f"kernel died ({how})"
    assert own.client.closed
    if how == "SIGSEGV":
        own.wait(lambda: any("Segmentation fault" in line for line in own.kernel.output))
    own.kernel.restart()
    assert own.run("1 + 1")["error"] == ""


def test_a_cell_that_swallows_interrupts_can_be_killed(own):
    own.start(
        "import time\nwhile True:\n    try:\n        print('inside', flush=True)\n"
        "        time.sleep(100)\n    except KeyboardInterrupt:\n        pass"
    )
    own.wait(lambda: own.text().count("inside") == 1)
    own.kernel.interrupt()
    own.wait(lambda: own.text().count("inside") == 2)
    assert own.kernel.poll() is None and own.ask("status")["state"] == "running"
    own.kernel.kill()
    assert own.kernel.poll() == "SIGKILL"
    own.kernel.restart()
    assert own.run("'fresh'")["error"] == ""


def test_killing_ends_what_cells_have_started(own):
    own.run("import subprocess\np = subprocess.Popen(['sleep', '100'])\nprint(p.pid)")
    pid = int(own.text())
    own.kernel.kill()
    end = time.monotonic() + 60
    while _alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert not _alive(pid)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_shutdown_lets_exit_handlers_run(own, tmp_path):
    mark = tmp_path / "mark"
    own.run(f"import atexit\natexit.register(lambda: open({str(mark)!r}, 'w').close())")
    own.kernel.shutdown()
    assert own.kernel.poll() == "exit 0" and mark.exists()


def test_nothing_is_left_of_a_killed_kernel(place):
    folder = place / "left"
    process = KernelProcess(socket_dir=folder)
    process.start()
    assert list(folder.iterdir())
    process.kill()
    assert list(folder.iterdir()) == []


def test_a_kernel_ends_with_its_parent(tmp_path):
    code = (
        "import sys, time\nfrom app.kernel.process import KernelProcess\n"
        f"k = KernelProcess(socket_dir={str(tmp_path / 'run')!r})\nc = k.start()\n"
        "c.request('execute', cell='a', code='while True: pass')\n"
        "print(k.pid, flush=True)\ntime.sleep(100)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    time.sleep(0.2)
    parent.kill()
    parent.communicate()
    end = time.monotonic() + 60
    while _alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert not _alive(pid)
    assert sessions.sessions(tmp_path / "run") == []


def test_a_kernel_that_cannot_start_says_why(tmp_path, monkeypatch):
    with pytest.raises(KernelError, match="cannot start a kernel: No such file"):
        KernelProcess(cwd=tmp_path / "missing").start()
    bad = tmp_path / "file"
    bad.write_text("")
    with pytest.raises(KernelError, match=r"^[^:]*file is not a directory: remove it$"):
        KernelProcess(socket_dir=bad).start()


def test_a_forked_child_of_a_cell_does_no_harm(kernel):
    kernel.run("import os\npid = os.fork()\nif pid == 0:\n    os._exit(0)\nos.waitpid(pid, 0)[1]")
    assert kernel.run("import framework as torch\ntorch.ones(2).exp()")["error"] == ""


# -- the debugger in a notebook -------------------------------------------------------------------

MODEL = """
import framework as torch
from framework import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
x = torch.randn(5, 4)
"""
STEP = """\
loss = model(x).sum()
loss.backward()
done = True
"""


def test_names_come_from_the_cells_variables(own):
    own.run(MODEL, cell="m")
    own.run(STEP, cell="s")
    assert [e.path for e in own.events(ModuleBegin)] == ["model", "model.0", "model.1", "model.2"]
    names = [e.name for e in own.events(Leaf)]
    assert {"model.0.weight", "model.2.bias"} <= set(names)
    assert own.events(ModuleBegin)[0].source.file == "<cell s>"
    assert own.events(ModuleBegin)[0].source.line == 1


def test_breakpoint_and_line_steps_in_a_cell(own):
    own.run(MODEL, cell="m")
    own.ask("breakpoints", breakpoints=[{"id": 1, "module": "model.0"}])
    future = own.start(STEP, cell="s")
    stop = own.stop()
    assert (stop.reason, stop.source.file, stop.source.line) == ("breakpoint 1", "<cell s>", 1)
    stack = own.ask("stack")
    assert [f.text for f in stack] == ["loss = model(x).sum()"]
    assert "loss" not in [v.name for v in own.ask("variables")]
    lines = []
    for _ in range(2):
        own.ask("step", how="line")
        stop = own.stop()
        lines.append((stop.reason, stop.source.line))
    assert lines == [("line", 2), ("line", 3)]
    assert "loss" in [v.name for v in own.ask("variables")]
    assert own.ask("evaluate", expression="loss.item() == loss.item()").text == "True"
    own.ask("step", how="line")
    assert future.result(60)["error"] == ""  # past the last line is the end of the cell
    assert own.run("done", cell="t")["error"] == "" and own.state == "idle"


def test_line_breakpoint_in_a_cell_that_already_runs(own):
    future = own.start(
        "import time\ngo = True\nwhile go:\n    time.sleep(0.01)\n    n = 1", cell="w"
    )
    own.wait(lambda: own.state == "running")
    time.sleep(0.1)
    own.ask("breakpoints", breakpoints=[{"id": 4, "file": "<cell w>", "line": 5}])
    stop = own.stop()
    assert (stop.reason, stop.source.line, stop.breakpoint) == ("breakpoint 4", 5, 4)
    own.ask("interrupt")
    assert future.result(60)["error"] == "KeyboardInterrupt"


def test_line_breakpoint_of_the_next_run(own):
    own.ask("breakpoints", breakpoints=[{"id": 4, "file": "<cell w>", "line": 2}])
    for _ in range(2):
        future = own.start("a = 1\nb = 2\nc = 3", cell="w")
        assert own.stop().source.line == 2
        own.ask("step", how="continue")
        assert future.result(60)["error"] == ""
    assert own.run("print(b)", cell="other")["error"] == ""


def test_the_breakpoint_function_is_a_stop(own):
    future = own.start("def f(n):\n    breakpoint()\n    return n\nprint(f(3))", cell="b")
    stop = own.stop()
    assert (stop.reason, stop.source.file, stop.source.line) == ("breakpoint()", "<cell b>", 2)
    assert own.ask("evaluate", expression="n").text == "3"
    own.ask("step", how="line")
    assert own.stop().source.line == 3
    own.ask("step", how="continue")
    assert future.result(60)["error"] == "" and own.text() == "3\n"


def test_a_shape_error_stops_with_the_operands(own):
    own.run(MODEL, cell="m")
    future = own.start("y = torch.ones(2, 3)\nmodel(y)", cell="s")
    stop = own.stop()
    assert stop.reason == "exception" and stop.source.line == 2
    assert "linear" in stop.message
    events = own.ask("events", first=stop.seq, last=stop.seq)
    inputs = [i for i in events[-1].inputs if i]
    shapes = [own.ask("view", tensor=i).tensor.shape for i in inputs]
    assert shapes[0] == (2, 3) and shapes[1] == (3, 4)
    own.ask("step", how="continue")
    assert future.result(60)["error"] == "RuntimeError"
    assert "----> 2 model(y)" in _traceback(own.outputs("error")[0])


def test_two_viewers_see_the_same_stop(own):
    own.run("import framework as torch")
    with Client.connect(own.client.session, role="observe") as second:
        own.ask("breakpoints", breakpoints=[{"id": 1, "op": "exp"}])
        future = own.start("torch.ones(2).exp()")
        assert own.stop().reason == "breakpoint 1"
        end = time.monotonic() + 60
        seen = []
        while not any(isinstance(m, StateChanged) and m.stop for m in seen):
            assert time.monotonic() < end
            time.sleep(0.005)
            while second.inbox:
                seen.append(second.inbox.popleft())
        own.ask("step", how="continue")
        assert future.result(60)["error"] == ""


def test_the_kernel_pauses_on_while_its_viewer_is_away(own):
    own.run("import framework as torch")
    own.ask("breakpoints", breakpoints=[{"id": 1, "op": "exp"}])
    own.start("torch.ones(2).exp()")
    own.stop()
    session = own.client.session
    own.client.close()
    end = time.monotonic() + 60
    while (again := Client.connect(session)).role != "control":  # it has not yet noticed
        again.close()
        assert time.monotonic() < end
    with again:
        assert again.welcome.state == "paused" and again.welcome.stop.reason == "breakpoint 1"
        again.request("step", how="continue").result(60)
    assert os.path.exists(session.socket)
