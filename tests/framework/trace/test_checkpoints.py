"""Training steps of a real program that are run again for values that are no longer kept."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_forks import Program, Viewer, gone, wait

from framework.trace.checkpoints import LIMIT, first_difference
from framework.trace.client import RequestError
from framework.trace.events import Event, Op, OptimEnd

PROGRAM = """\
import os
import time

import framework as torch
from framework import nn, trace
from framework.trace import checkpoints

torch.manual_seed(3)
model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
checkpoints.SHARE, checkpoints.EVERY = 1.0, 0.0
numbers = open("numbers.txt")
log = open("log.txt", "w")
strange = os.environ.get("STRANGE", "")


def step(number):
    x = torch.randn(6, 4)
    if strange == "values":
        x = x * torch.tensor([2.0 if os.getpid() != here else 1.0])
    if strange == "argument":
        x = x * (2 if os.getpid() != here else 1)
    h = model(x)
    if strange == "ops" and number == 4 and os.getpid() != here:
        h = h.exp()
    loss = h.pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(number, numbers.readline().strip(), flush=True)
    log.write(f"{number}\\n")
    log.flush()
    time.sleep(0.02)


here = os.getpid()
service = trace.listen("again", wait=True, steps=2)
while not service.gate.breakpoints:
    time.sleep(0.01)
for number in range(1, 31):
    step(number)
time.sleep(1000)
"""


class Again(Program):
    """A program of thirty steps; the values of two are kept."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, PROGRAM)

    def thirtieth(self) -> Viewer:
        """At the end of the last step."""
        self.viewer.pause_at(op="relu", first_step=30)
        self.viewer.go("step")
        return self.viewer

    def step(self, number: int) -> tuple[int, int]:
        """First and last event of a training step."""
        ends = [e.seq for e in self.viewer.events(OptimEnd)]
        return ends[number - 2] + 1, ends[number - 1]


@pytest.fixture
def program(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
            ) -> Iterator[Again]:  # fmt: skip
    monkeypatch.setenv("STRANGE", getattr(request, "param", ""))
    found = Again(tmp_path)
    yield found
    found.viewer.client.close()
    found.process.kill()
    found.process.wait()


def run_again(viewer: Viewer, to: int) -> tuple[Viewer, dict[str, int]]:
    """A re-run that has come to an event, and how it was made."""
    told = viewer.ask("rerun", to=to)
    again = Viewer(viewer.client.sibling(told["name"]))
    wait(lambda: again.take() or again.stops or again.state == "finished")
    return again, told


def difference(viewer: Viewer, again: Viewer, first: int, last: int):
    sums = [v.ask("digests", first=first, last=last) for v in (viewer, again)]
    now: list[Event] = [e for e in again.events(first=first) if e.seq <= last]
    return first_difference(viewer.events(first=first), now, *sums)


def test_a_value_that_is_gone_is_there_again(program: Again) -> None:
    viewer = program.thirtieth()
    first, last = program.step(12)
    op = next(e for e in viewer.events(Op, first) if e.name == "relu")
    out = op.outputs[0].id
    with pytest.raises(RequestError, match="no longer kept"):
        viewer.value(out, op.seq)
    again, told = run_again(viewer, last)
    assert told["seq"] < first and again.stops[-1].seq == last
    assert again.value(out, op.seq).count == 48
    assert difference(viewer, again, told["seq"] + 1, last) is None
    known = viewer.ask("digests", first=first, last=last)
    assert len(known) == 1 and {"random numbers", "model.0.weight"} <= set(known[0][1])
    # the same step once more: another copy; the one before is ended
    other, _ = run_again(viewer, last)
    assert other.value(out, op.seq) == again.value(out, op.seq) if not again.client.closed else True
    wait(lambda: gone(told["pid"]))


def test_a_re_run_leaves_no_trace(program: Again) -> None:
    viewer = program.thirtieth()
    again, _ = run_again(viewer, program.step(20)[1])
    assert again.stops
    viewer.ask("step", how="continue")
    wait(lambda: len(program.log()) == 30)
    assert program.log() == [str(i) for i in range(1, 31)]
    program.process.kill()
    lines = program.printed.splitlines()
    assert [line.split()[0] for line in lines] == [str(i) for i in range(1, 31)]


def test_there_are_few_checkpoints_and_they_end_with_the_viewer(program: Again) -> None:
    viewer = program.thirtieth()
    seqs = viewer.ask("checkpoints")["seqs"]
    ends = [e.seq for e in viewer.events(OptimEnd)]
    assert len(seqs) == LIMIT and seqs[0] < ends[2] and seqs[-1] > ends[-4]
    children = Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children")
    pids = [int(pid) for pid in children.read_text().split()]
    assert len(pids) == LIMIT
    again, told = run_again(viewer, ends[9])
    viewer.client.close()
    again.client.close()
    wait(lambda: all(gone(pid) for pid in (*pids, told["pid"])))
    assert program.process.poll() is None


def test_they_can_be_switched_off(program: Again) -> None:
    viewer = program.viewer
    viewer.pause_at(op="relu", first_step=5)
    assert viewer.ask("checkpoints")["seqs"]
    assert viewer.ask("checkpoints", enabled=False) == {"enabled": False, "seqs": [], "why": ""}
    viewer.go("step")
    with pytest.raises(RequestError, match="no checkpoint before event 9: they are switched off"):
        viewer.ask("rerun", to=9)


def test_refusals(program: Again) -> None:
    viewer = program.thirtieth()
    for to, words in ((0, "number of an event"), ("x", "number of an event"),
                      (10**9, "has not happened"), (1, "the first was made at event")):  # fmt: skip
        with pytest.raises(RequestError, match=words):
            viewer.ask("rerun", to=to)


def test_checkpoints_die_with_the_program(program: Again) -> None:
    viewer = program.thirtieth()
    children = Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children")
    pids = [int(pid) for pid in children.read_text().split()]
    again, told = run_again(viewer, program.step(9)[1])
    os.kill(program.process.pid, signal.SIGKILL)
    program.process.wait()
    wait(lambda: all(gone(pid) for pid in (*pids, told["pid"])))
    again.client.close()


@pytest.mark.parametrize("program", ["values"], indirect=True)
def test_other_values_are_noticed(program: Again) -> None:
    viewer = program.thirtieth()
    last = program.step(15)[1]
    again, told = run_again(viewer, last)
    found = difference(viewer, again, told["seq"] + 1, last)
    assert found is not None and found.seq <= program.step(15)[1]
    assert ("has other values" in found.text and "model." in found.text) or (
        found.text.startswith("backward: loss was ")  # whichever came first
    )


@pytest.mark.parametrize("program", ["argument"], indirect=True)
def test_other_arguments_are_noticed(program: Again) -> None:
    viewer = program.thirtieth()
    last = program.step(15)[1]
    again, told = run_again(viewer, last)
    found = difference(viewer, again, told["seq"] + 1, last)
    assert found is not None and found.text.startswith("mul [6, 4]: arg1 was ")


@pytest.mark.parametrize("program", ["ops"], indirect=True)
def test_other_ops_are_noticed(program: Again) -> None:
    viewer = program.thirtieth()
    last = program.step(4)[1]
    again, told = run_again(viewer, last)
    found = difference(viewer, again, told["seq"] + 1, last)
    assert found is not None and "then" in found.text and "exp" in found.text
