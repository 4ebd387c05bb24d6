"""Copies that are stopped, killed, or wait for threads that they lack: nobody waits with them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_checkpoints import Again, difference, run_again
from test_forks import Program, wait

from app.rerun import _run
from app.session import Session
from framework.trace import stuck
from framework.trace.client import RequestError
from framework.trace.events import OptimEnd
from viewers.baseline import Baseline, what_if

POOL = """\
import concurrent.futures
import time

import framework as torch
from framework import trace
from framework.trace import checkpoints

checkpoints.SHARE, checkpoints.EVERY = 1.0, 0.0
pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="loader")
w = torch.ones(3, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
scale = 1.0
service = trace.listen("again", wait=True, steps=2)
while not service.gate.breakpoints:
    time.sleep(0.01)


def batch():
    return pool.submit(lambda: 2.0).result()


for number in range(1, 31):
    data = batch()
    loss = (w * w).sum() * (data * scale)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    time.sleep(0.02)
time.sleep(1000)
"""


@pytest.fixture
def again(tmp_path: Path) -> Iterator[Again]:
    yield from ended(Again(tmp_path))


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    monkeypatch.setattr(stuck, "STILL", 2.0)
    yield from ended(Program(tmp_path, POOL))


def ended(program: Program) -> Iterator[Program]:
    yield program
    program.viewer.client.close()
    stopped = [pid for pid in children(program) if stuck.is_stopped(pid)]
    program.process.kill()
    program.process.wait()
    for pid in stopped:  # the others end by themselves now
        os.kill(pid, signal.SIGKILL)


def children(program: Program) -> list[int]:
    pid = program.process.pid
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_stopped_checkpoint_is_woken(again: Again) -> None:
    viewer = again.thirtieth()
    stopped = children(again)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
        wait(lambda pid=pid: stuck.is_stopped(pid))
    last = again.step(20)[1]
    copy, told = run_again(viewer, last)
    assert difference(viewer, copy, told["seq"] + 1, last) is None
    assert not all(stuck.is_stopped(pid) for pid in stopped) and set(children(again)) >= {*stopped}
    copy.client.close()


def test_of_one_that_was_killed_an_older_one_takes_the_place(again: Again) -> None:
    viewer = again.thirtieth()
    ends = [e.seq for e in viewer.events(OptimEnd)]
    seqs = viewer.ask("checkpoints")["seqs"]
    os.kill(children(again)[-1], signal.SIGKILL)
    copy, told = run_again(viewer, ends[-1])
    assert told["seq"] == seqs[-2] and viewer.ask("checkpoints")["seqs"] == seqs[:-1]
    assert difference(viewer, copy, told["seq"] + 1, ends[-1]) is None
    copy.client.close()


def test_others_are_answered_while_a_checkpoint_does_not(again: Again) -> None:
    """It is stopped as soon as it is woken; that is given up in time, and said."""
    viewer = again.thirtieth()
    stopped, over = children(again), threading.Event()

    def stop() -> None:
        while not over.is_set():
            for pid in stopped:
                try:
                    os.kill(pid, signal.SIGSTOP)
                except ProcessLookupError:
                    stopped.remove(pid)
                    break

    thread = threading.Thread(target=stop)
    thread.start()
    try:
        wait(lambda: all(map(stuck.is_stopped, stopped)))
        with pytest.raises(RequestError, match=r"given up|longer than"):
            while True:  # one may have slipped through before it was stopped again
                viewer.ask("rerun", to=again.step(20)[1])
    finally:
        over.set()
        thread.join()
    assert viewer.ask("status")["state"] == "paused"
    assert viewer.ask("evaluate", expression="1 + 1").text == "2", "the slow requests go on"


def test_a_stopped_copy_is_named_with_what_wakes_it(
    again: Again, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stuck, "ANSWER", 0.5)
    viewer = again.thirtieth()
    made = viewer.ask("fork", kind="baseline")
    baseline = Baseline(viewer.client.sibling(made["name"]), made)
    baseline.pause()  # which stands already: it may have come to a breakpoint just before
    os.kill(made["pid"], signal.SIGSTOP)
    wait(lambda: stuck.is_stopped(made["pid"]))
    with pytest.raises(RequestError, match=f"is stopped: kill -CONT {made['pid']} lets it go on"):
        what_if(viewer.client, baseline)
    os.kill(made["pid"], signal.SIGCONT)
    assert baseline.client.request("status").result(60)["state"] == "paused"
    baseline.client.close()


def test_a_step_that_waits_for_a_thread_of_the_program_is_given_up(pool: Program) -> None:
    viewer = pool.viewer
    viewer.pause_at(op="mul", phase="forward", first_step=30)
    ends = [e.seq for e in viewer.events(OptimEnd)]
    began = time.monotonic()
    with pytest.raises(RequestError) as caught:
        _run(viewer.client, viewer.events(), ends[18] + 1, ends[19], 20)
    said = str(caught.value)
    assert "step 20, run again, hangs at" in said and "train.py:" in said and "\n" not in said
    assert "has not the program's threads (loader_0)" in said and "num_workers=0" in said
    assert time.monotonic() - began < 120


def test_a_baseline_that_waits_for_a_thread_says_so(pool: Program) -> None:
    viewer = pool.viewer
    viewer.pause_at(op="mul", phase="forward", first_step=3)
    branch, _ = viewer.fork()
    made = viewer.ask("fork", kind="baseline")
    assert made["lacks"] == ["loader_0"]
    baseline = Baseline(viewer.client.sibling(made["name"]), made)
    branch.ask("edit", target="batch", value="lambda: 2.0")
    assert branch.go("step").reason == "step"
    ((ours, theirs),) = what_if(branch.client, baseline).losses
    assert ours == theirs
    assert branch.go("step").reason == "step", "the branch needs no thread any more"
    with pytest.raises(RequestError, match=r"the copy without the change hangs at .*loader_0"):
        what_if(branch.client, baseline)
    baseline.client.close()
    branch.client.close()


def test_the_screen_says_what_a_branch_hangs_in(pool: Program) -> None:
    session = Session()
    session.connect(pool.viewer.client, attached=True)
    name = session.name
    session.add_breakpoint(op="mul", phase="forward", first_step=3, once=True)
    wait(lambda: session.tick() is None or session.stop)
    session.whatif.edit("scale = 0.5")

    def until(condition: Callable[[], Any]) -> None:
        wait(lambda: session.tick() is None or condition())

    until(lambda: session.whatif.branch and session.whatif.branch.edits)
    assert "without its threads: loader_0" in session.message
    session.forward("step")
    until(lambda: session.state == "paused" and session.whatif.pairs())
    session.forward("step")
    until(lambda: "the branch hangs at" in session.message)
    assert "loader_0" in session.message and session.message.endswith("X drops it")
    session.whatif.drop()
    until(lambda: session.name == name and session.state == "paused")
    session.close()
