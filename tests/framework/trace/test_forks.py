"""Copies of a real program: branches that are edited, their baselines, drop and adopt."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import framework as torch
from framework import trace
from framework.trace import open_tape
from framework.trace.client import Client, RequestError, SessionError
from framework.trace.edit import edit
from framework.trace.events import BackwardBegin, Event, Grad, Mark, NodeBegin, Op, ParamUpdate
from framework.trace.gate import GateError
from framework.trace.protocol import Breakpoint, StateChanged

PROGRAM = """\
import time

import framework as torch
from framework import nn, trace

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
log = open("log.txt", "w")
numbers = open("numbers.txt")
scale = 1.0


def step(number):
    weight = 2.0
    x = torch.randn(6, 4)
    h = model(x)
    residual = h + h.tanh()
    loss = residual.pow(2).mean() * scale * weight
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    log.write(f"{number} {loss.item():.6f}\\n")
    log.flush()
    print(number, numbers.readline().strip(), flush=True)


service = trace.listen("copied", wait=True)
while not service.gate.breakpoints:
    time.sleep(0.01)
for number in range(1, 6):
    step(number)
"""


class Program:
    """A process that listens, and what its viewer has seen."""

    def __init__(self, folder: Path, text: str = PROGRAM) -> None:
        (folder / "train.py").write_text(text)
        (folder / "numbers.txt").write_text("\n".join(f"n{i}" for i in range(1, 99)))
        self.folder = folder
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}
        self.process = subprocess.Popen(
            [sys.executable, "train.py"], cwd=folder, env=self.environment,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        note = wait(lambda: next((runtime / "tapebook").glob("*.json"), None))
        self.viewer = Viewer(Client.connect(note.with_suffix(".sock")))

    @property
    def printed(self) -> str:
        return self.process.communicate(timeout=120)[0]

    def log(self) -> list[str]:
        return (self.folder / "log.txt").read_text().splitlines()


class Viewer:
    """A client, the events it was sent and where the program stands."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.stops = [client.welcome.stop] if client.welcome.stop else []
        self.state = client.welcome.state

    def ask(self, method: str, **params: Any) -> Any:
        return self.client.request(method, **params).result(60)

    def take(self) -> None:
        while self.client.inbox:
            message = self.client.inbox.popleft()
            if isinstance(message, StateChanged):
                self.state = message.state
                self.stops += [message.stop] if message.stop else []

    def go(self, how: str, **target: Any) -> Any:
        """Step, and wait for the stop."""
        self.take()
        seen = len(self.stops)
        self.ask("step", how=how, **({"target": target} if target else {}))
        wait(lambda: self.take() or len(self.stops) > seen or self.state == "finished")
        return self.stops[-1]

    def pause_at(self, **where: Any) -> Any:
        """Run until an op, from wherever it is."""
        found = self.ask("breakpoints", breakpoints=[{"id": 1, "once": True, **where}])
        assert not found[0].error
        if self.state == "paused":
            return self.go("continue")
        wait(lambda: self.take() or self.stops)
        return self.stops[-1]

    def events(self, kind: Any = object, first: int = 1) -> list[Any]:
        found: list[Event] = self.ask("events", first=first)
        return [e for e in found if isinstance(e, kind)]

    def value(self, tensor: int, seq: int = 0, index: str = "") -> Any:
        return self.ask("view", tensor=tensor, seq=seq, slice=index).summary

    def loss(self, number: int) -> float:
        """What the backward pass of a step started from."""
        begin = self.events(BackwardBegin)[number - 1]
        return float(self.value(begin.roots[0], begin.seq).mean)

    def fork(self, kind: str = "branch") -> tuple[Viewer, int]:
        found = self.ask("fork", kind=kind)
        return Viewer(self.client.sibling(found["name"])), found["pid"]


def wait(condition: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.005)
    return found


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    found = Program(tmp_path)
    yield found
    found.viewer.client.close()
    if found.process.poll() is None:
        found.process.kill()
        found.process.wait()


def test_a_branch_is_the_program_at_the_same_stop(program: Program) -> None:
    viewer = program.viewer
    stop = viewer.pause_at(op="relu")
    branch, pid = viewer.fork()
    assert branch.stops == [stop] and branch.state == "paused" and pid != program.process.pid
    assert branch.events() == viewer.events()
    assert branch.ask("evaluate", expression="weight * 3").text == "6.0"
    assert [f.source for f in branch.ask("stack")] == [f.source for f in viewer.ask("stack")]
    after = branch.go("step")
    assert viewer.state == "paused" and viewer.ask("status")["last_seq"] == stop.seq < after.seq
    assert viewer.go("step").seq == after.seq  # the original does the same when it goes on
    assert branch.loss(1) == viewer.loss(1)


def test_an_edit_changes_the_branch_only(program: Program) -> None:
    viewer = program.viewer
    stop = viewer.pause_at(op="relu")
    out = viewer.events(Op)[-1].outputs[0]
    branch, _ = viewer.fork()
    text = branch.ask("edit", tensor=out.id, target="[0, :]", value="it[0] * 0 + 7")
    assert text == "it[0, :] = it[0] * 0 + 7"
    assert branch.value(out.id, 0, "[0]").min == 7.0
    assert viewer.value(out.id, 0, "[0]").max < 7.0
    assert branch.value(out.id, stop.seq, "[0]").max < 7.0  # what was before is still known
    assert branch.events(Mark)[-1].name == f"edited: {text}"
    branch.go("step")
    viewer.go("step")
    assert branch.loss(1) != viewer.loss(1)
    assert branch.events(Op)[-1].outputs[0].shape == viewer.events(Op)[-1].outputs[0].shape


def test_names_attributes_and_hyperparameters(program: Program) -> None:
    viewer = program.viewer
    viewer.pause_at(op="relu")
    branch, _ = viewer.fork()
    for target, value in (
        ("weight", "weight * 2"),
        ("model[2].bias", "nn.Parameter(torch.full((1,), 3.0))"),
        ("optimizer.param_groups[0]['lr']", "0.5"),
        ("x[0, 1]", "it + 1"),
        ("scale", "scale"),
    ):
        assert branch.ask("edit", target=target, value=value) == f"{target} = {value}"
    assert branch.ask("evaluate", expression="weight", frame=0).text
    branch.go("out")
    frames = branch.ask("stack")
    assert frames
    assert branch.ask("evaluate", expression="model[2].bias").text.startswith("3")
    assert branch.ask("evaluate", expression="optimizer.param_groups[0]['lr']").text == "0.5"
    assert viewer.ask("evaluate", expression="optimizer.param_groups[0]['lr']").text == "0.1"


def test_a_local_variable_is_the_one_that_the_function_goes_on_with(program: Program) -> None:
    viewer = program.viewer
    viewer.pause_at(op="tanh")
    branch, _ = viewer.fork()
    branch.ask("edit", target="weight", value="4.0")
    branch.go("step")
    viewer.go("step")
    assert branch.loss(1) == pytest.approx(2 * viewer.loss(1))


def test_a_gradient_on_its_way_is_exchanged(program: Program) -> None:
    """What goes to two branches of a sum is one array: each way is changed once."""
    viewer = program.viewer
    viewer.pause_at(op="add", phase="backward", occurrence=1)
    seq = viewer.stops[-1].seq
    node = viewer.events(NodeBegin)[-1]
    assert node.name == "add"
    sent = node.grad_in[0]
    branch, _ = viewer.fork()
    branch.ask("edit", tensor=sent.id, value="it * 3")
    branch.go("step")
    viewer.go("step")
    ours = {e.name: e for e in branch.events(Grad, seq)}
    theirs = {e.name: e for e in viewer.events(Grad, seq)}
    assert set(ours) == set(theirs) and len(ours) == 4
    for name in ours:
        a = branch.value(ours[name].total.id, ours[name].seq)
        b = viewer.value(theirs[name].total.id, theirs[name].seq)
        assert a.norm == pytest.approx(3 * b.norm, rel=1e-5), name


def test_a_stored_gradient_and_a_parameter(program: Program) -> None:
    viewer = program.viewer
    viewer.pause_at(param="model.2.weight", condition="norm > 0", phase="backward")
    grad = next(e for e in viewer.events(Grad) if e.name == "model.2.weight")
    weight = grad.leaf
    branch, _ = viewer.fork()
    branch.ask("edit", tensor=grad.total.id, value="0")
    branch.go("step")
    update = next(e for e in branch.events(ParamUpdate) if e.name == "model.2.weight")
    before = branch.value(update.tensor.id, viewer.stops[-1].seq)
    assert branch.value(update.tensor.id, update.seq) == before  # no gradient, no change
    assert branch.ask("edit", tensor=weight, value="1") == "model.2.weight = 1"
    assert branch.value(weight).min == branch.value(weight).max == 1.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": "", "value": "1"}, "change what?"),
        ({"target": "x", "value": ""}, "to what?"),
        ({"target": "x; y", "value": "1"}, "x; y = 1"),
        ({"target": "x", "value": "1; import os"}, "not one assignment"),
        ({"target": "f(x)", "value": "1"}, "cannot assign to function call"),
        ({"target": "x[9, 9]", "value": "1"}, "IndexError"),
        ({"target": "nothing.there", "value": "1"}, "NameError"),
        ({"target": "x", "value": "exit()"}, "SystemExit"),
        ({"target": 3, "value": "1"}, "edit: target and value are text"),
        ({"tensor": 1 << 40, "value": "1"}, "nothing of it any more"),
    ],
)
def test_what_cannot_be_edited(program: Program, change: dict[str, Any], words: str) -> None:
    viewer = program.viewer
    viewer.pause_at(op="tanh")
    branch, _ = viewer.fork()
    with pytest.raises(RequestError) as caught:
        branch.ask("edit", **change)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert branch.go("step").reason == "step"  # it goes on as if nothing had been asked


def test_wrong_values_of_a_tensor(program: Program) -> None:
    viewer = program.viewer
    viewer.pause_at(op="relu")
    out = viewer.events(Op)[-1].outputs[0]
    branch, _ = viewer.fork()
    for target, value, words in (
        ("[0, 99]", "1", "out of bounds"),
        ("", "'text'", "expected a number or a tensor, but got str"),
        ("", "torch.ones(7, 7)", "broadcast"),
        ("", "1 +", "not an expression"),
        ("", "missing", "NameError"),
    ):
        with pytest.raises(RequestError, match=words):
            branch.ask("edit", tensor=out.id, target=target, value=value)
    assert branch.value(out.id) == viewer.value(out.id)


@pytest.mark.parametrize(
    ("make", "value", "words"),
    [
        ("torch.arange(3)", "1.5", "it is int64, where 1.5 would become 1"),
        ("torch.arange(3)", "held[1] / 2", "it is int64, where 0.5 would become 0"),
        ("torch.arange(3)", "float('nan')", "it is int64, where nan would become"),
        ("torch.arange(3) > 1", "2", "it is bool, where 2 would become True"),
        ("torch.zeros(3, dtype=torch.uint8)", "torch.full((1,), 300)", "300 would become 44"),
        (
            "torch.zeros(3, dtype=torch.float16)",
            "1e6",
            "it is float16, where 1000000.0 would become inf",
        ),
        (
            "torch.zeros(3, dtype=torch.bfloat16)",
            "1e60",
            "it is bfloat16, where 1e.60 would become inf",
        ),
        ("torch.zeros(3)", "2 + 1j", "complex|would become 2.0"),
        ("torch.arange(3)", "7.0", ""),
        ("torch.arange(3)", "held[1] * 2", ""),
        ("torch.zeros(3)", "float('inf')", ""),
        ("torch.zeros(3)", "1.1", ""),
        ("torch.zeros(3, dtype=torch.bfloat16)", "1.1", ""),
        ("torch.zeros(3, dtype=torch.complex64)", "1j", ""),
        ("torch.arange(3) > 1", "True", ""),
    ],
)
def test_what_a_tensor_cannot_hold_is_not_cut_silently(make: str, value: str, words: str) -> None:
    """``it`` of the tape, and an element by its name."""
    with trace.recording() as tape:
        gate, seen = trace.Gate(tape), []

        def at_stop(stop: Any) -> str:
            held = names["held"]
            for target, tensor in (("[0]", held._id), ("held[0]", 0)):
                before = str(held)
                try:
                    edit(gate, target, value, tensor)
                    seen.append("")
                except GateError as error:
                    seen.append(str(error))
                    assert str(held) == before
            return "continue"

        gate.console = at_stop
        gate.set_breakpoints([Breakpoint(1, op="exp")])
        names: dict[str, Any] = {"torch": torch, trace.sink.ATTACHED: True}
        exec(compile(f"held = {make}\ntorch.ones(1).exp()", "<cell 1>", "exec"), names)
    assert len(seen) == 2
    for said in seen:
        assert re.search(words, said) if words else not said, said
        assert "\n" not in said


def test_refusals(program: Program) -> None:
    viewer = program.viewer
    viewer.pause_at(op="relu")
    with pytest.raises(RequestError, match="only a branch is edited"):
        viewer.ask("edit", target="x", value="1")
    with pytest.raises(RequestError, match="must be branch or baseline"):
        viewer.ask("fork", kind="rerun")
    with pytest.raises(RequestError, match="is no branch"):
        viewer.ask("adopt", pid=1)
    branch, _ = viewer.fork()
    with pytest.raises(RequestError, match="this is a copy already"):
        branch.ask("fork")
    viewer.ask("breakpoints", breakpoints=[])
    viewer.ask("step", how="continue")
    wait(lambda: viewer.take() or viewer.state == "running" or viewer.client.closed)
    if not viewer.client.closed:
        with pytest.raises(RequestError, match=r"not paused|is closed"):
            viewer.ask("fork")


def test_dropped_nothing_of_it_is_left(program: Program) -> None:
    viewer = program.viewer
    viewer.pause_at(op="relu")
    branch, pid = viewer.fork()
    base, other = viewer.fork("baseline")
    for copy in (branch, base):
        copy.go("step")
        copy.go("step")
    assert base.loss(2) == branch.loss(2)
    viewer.ask("drop")
    assert gone(pid) and gone(other)
    viewer.ask("breakpoints", breakpoints=[])
    viewer.ask("step", how="continue")
    lines = program.printed.splitlines()
    # the branch printed its step, the baseline did not; neither moved in the original's files
    assert lines.count("1 n1") == 2 and lines[-5:] == [f"{i} n{i}" for i in range(1, 6)]
    assert len(program.log()) == 5 and program.process.returncode == 0


def test_adopted_the_branch_is_the_program(program: Program) -> None:
    viewer = program.viewer
    viewer.pause_at(op="tanh")
    branch, pid = viewer.fork()
    _, other = viewer.fork("baseline")
    branch.ask("edit", target="weight", value="0.0")
    viewer.ask("adopt", pid=pid)
    wait(lambda: viewer.client.closed)
    assert viewer.client.ended and branch.client.welcome.name in viewer.client.reason
    wait(lambda: gone(other))
    branch.ask("breakpoints", breakpoints=[{"id": 1, "op": "tanh"}])
    assert branch.go("continue").breakpoint == 1
    branch.client.close()  # nobody looks any more: like any program, it runs on
    assert program.printed.splitlines() == [f"{i} n{i}" for i in range(1, 6)]
    assert program.process.returncode == 0
    log = program.log()
    assert log[0] == "1 0.000000" and len(log) == 5


def test_an_adopted_branch_gets_the_signals_of_the_original(program: Program) -> None:
    viewer = program.viewer
    viewer.pause_at(op="tanh")
    branch, pid = viewer.fork()
    viewer.ask("adopt", pid=pid)
    wait(lambda: viewer.client.closed)
    time.sleep(0.1)
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(60) == -signal.SIGTERM
    wait(lambda: gone(pid))
    branch.client.close()


def test_copies_die_with_the_original(program: Program) -> None:
    viewer = program.viewer
    viewer.pause_at(op="relu")
    _, pid = viewer.fork()
    _, other = viewer.fork("baseline")
    program.process.kill()
    program.process.wait()
    wait(lambda: gone(pid) and gone(other))


def test_a_copy_that_has_ended_can_still_be_looked_at(program: Program) -> None:
    viewer = program.viewer
    viewer.pause_at(op="relu")
    branch, pid = viewer.fork()
    branch.ask("breakpoints", breakpoints=[])
    branch.ask("step", how="continue")
    wait(lambda: branch.take() or branch.state == "finished")
    assert branch.loss(5) > 0
    viewer.ask("drop", pid=pid)
    assert gone(pid)
    with pytest.raises(SessionError):
        viewer.client.sibling(branch.client.welcome.name)


def test_through_a_pipe_a_branch_is_found_in_the_same_place(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", program.environment["XDG_RUNTIME_DIR"])
    name = program.viewer.client.welcome.name
    program.viewer.client.close()
    command = [sys.executable, "-m", "app", "attach", "--stdio"]
    viewer = program.viewer = Viewer(Client.over([*command, name]))
    assert viewer.client.remote
    stop = viewer.pause_at(op="relu")
    branch, _ = viewer.fork()
    assert branch.client.remote and branch.stops == [stop]
    branch.ask("edit", target="weight", value="0.0")
    branch.go("step")
    again = Viewer(viewer.client.sibling(branch.client.welcome.name))
    assert again.client.welcome.name == branch.client.welcome.name
    again.client.close()
    branch.client.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_an_adopted_branch_that_is_killed_ends_the_original_too(
    program: Program, number: signal.Signals
) -> None:
    viewer = program.viewer
    viewer.pause_at(op="tanh")
    _, pid = viewer.fork()
    viewer.ask("adopt", pid=pid)
    wait(lambda: viewer.client.closed)
    os.kill(pid, number)
    assert program.process.wait(60) == -number


def changed(folder: Path, before: str, after: str) -> Program:
    """The program with another line."""
    assert before in PROGRAM
    return Program(folder, PROGRAM.replace(before, after))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("import mmap; shared = mmap.mmap(-1, 4096)", "memory that the program shares"),
        ("import threading; own = threading.Thread(target=lambda: trace.sink)", ""),
    ],
)
def test_what_is_not_copied_and_what_is(tmp_path: Path, line: str, words: str) -> None:
    program = changed(tmp_path, "scale = 1.0\n", f"scale = 1.0\n{line}\n")
    try:
        program.viewer.pause_at(op="relu")
        if words:
            with pytest.raises(RequestError, match=words):
                program.viewer.ask("fork")
            assert words in program.viewer.ask("checkpoints")["why"]
        else:
            assert program.viewer.ask("fork")["lacks"] == []
    finally:
        program.viewer.client.close()
        program.process.kill()
        program.process.wait()


def test_threads_that_a_copy_lacks_are_named(tmp_path: Path) -> None:
    line = (
        "import threading; threading.Thread(target=time.sleep, args=(60,), name='feed', "
        "daemon=True).start()"
    )
    program = changed(tmp_path, "scale = 1.0\n", f"scale = 1.0\n{line}\n")
    try:
        program.viewer.pause_at(op="relu")
        assert program.viewer.ask("fork")["lacks"] == ["feed"]
    finally:
        program.viewer.client.close()
        program.process.kill()
        program.process.wait()


def test_a_branch_of_a_recorded_run_is_not_adopted(tmp_path: Path) -> None:
    program = changed(
        tmp_path, "for number in range(1, 6):\n    step(number)\n",
        "with trace.record('out.tape'):\n    for number in range(1, 6):\n        step(number)\n",
    )  # fmt: skip
    try:
        viewer = program.viewer
        viewer.pause_at(op="relu")
        _, pid = viewer.fork()
        with pytest.raises(RequestError, match="this run is recorded"):
            viewer.ask("adopt", pid=pid)
        viewer.ask("drop")
        viewer.ask("breakpoints", breakpoints=[])
        viewer.ask("step", how="continue")
        program.process.wait(60)
        assert open_tape(tmp_path / "out.tape").complete
    finally:
        program.viewer.client.close()
        program.process.kill()
        program.process.wait()


def test_a_name_edited_in_forward_does_not_break_backward(program: Program) -> None:
    """What autograd has saved is the memory that was changed, on purpose."""
    viewer = program.viewer
    viewer.pause_at(op="tanh")
    branch, _ = viewer.fork()
    branch.ask("edit", target="model[2].weight[0]", value="0")
    assert branch.go("step").reason == "step"
    assert branch.state == "paused" and branch.loss(1) >= 0
    assert not [e for e in branch.events() if getattr(e, "error", "")]


ENDS = """\
import time

import framework as torch
from framework import trace

service = trace.listen("ends", wait=True)
while not service.gate.breakpoints:
    time.sleep(0.01)
w = torch.ones(3, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
scale = 1.0
for number in range(20):
    loss = (w * w).sum() * scale
    if loss > 10:
        break
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_a_branch_that_ends_before_its_first_step_is_compared(tmp_path: Path) -> None:
    from viewers.baseline import Baseline, what_if

    found = Program(tmp_path, ENDS)
    try:
        viewer = found.viewer
        viewer.pause_at(op="sum")
        branch, _ = viewer.fork()
        base = Baseline(viewer.fork("baseline")[0].client)
        branch.ask("edit", target="scale", value="100.0")
        branch.ask("step", how="continue")
        wait(lambda: branch.ask("status")["state"] == "finished")
        told = what_if(branch.client, base, over=True)
        text = "\n".join(told.lines())
        assert "what if scale = 100.0" in text and "they part in step 1: mul" in text, text
        assert "only the program as it is does" in text, text
    finally:
        found.viewer.client.close()
        found.process.kill()
        found.process.wait()
