"""Two viewers of one program while one of them tries a change in a branch of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_forks import Program, gone, wait

from app.session import Session
from framework.trace.client import Client, RequestError


class Two:
    """``ann`` controls, ``ben`` observes; both have what the screen has, without a screen."""

    def __init__(self, folder: Path) -> None:
        self.program = Program(folder)
        first = self.program.viewer.client
        first.close()
        wait(lambda: self._attached() == 0)
        self.ann, self.ben = Session(), Session()
        for name in ("ann", "ben"):
            client = Client.connect(first.session, who=name)
            getattr(self, name).connect(client, attached=True)
        assert not self.ann.observing and self.ben.observing
        self.name = self.ann.name

    def _attached(self) -> int:
        with Client.connect(
            self.program.viewer.client.session, role="observe", stream=False
        ) as client:
            return len(client.request("status").result(60)["viewers"])

    def until(self, condition: Callable[[], Any]) -> Any:
        """Let both take in what comes, until something is so."""
        end = time.monotonic() + 60
        while not (found := condition()):
            self.ann.tick()
            self.ben.tick()
            assert time.monotonic() < end, (self.ann.message, self.ben.message)
            time.sleep(0.005)
        return found

    def stand(self) -> None:
        """At the first relu."""
        self.ann.add_breakpoint(op="relu", once=True)
        self.until(lambda: self.ann.state == self.ben.state == "paused")
        self.until(lambda: not self.ann.waiting and not self.ben.waiting)

    def branch(self, change: str = "weight = 0.0") -> Any:
        self.ann.whatif.edit(change)
        self.until(lambda: self.ann.whatif.branch and self.ann.whatif.branch.edits)
        return self.ann.whatif.branch

    def close(self) -> None:
        self.ann.close()
        self.ben.close()
        self.program.process.kill()
        self.program.process.wait()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    found = Two(tmp_path)
    yield found
    found.close()


def test_the_other_is_told_and_stays_with_the_program(two: Two) -> None:
    two.stand()
    stop = two.ben.stop
    branch = two.branch()
    two.until(lambda: "tries a change in a copy" in two.ben.message)
    assert two.ben.message.startswith("ann ") and two.ben.branches == ["ann"]
    two.ann.forward("step")
    two.until(lambda: two.ann.state == "paused" and two.ann.whatif.pairs())
    assert two.ben.stop == stop and two.ben.state == "paused" and two.ben.name == two.name
    assert two.ben.store.last_seq == stop.seq, "what the branch does is not the program's"
    two.ann.whatif.drop()
    two.until(lambda: "the change was dropped" in two.ben.message)
    assert two.ann.stop == stop and "dropped" in two.ann.message and not two.ann.branches
    two.until(lambda: gone(branch.pid))
    two.ann.forward("next")
    two.until(lambda: two.ann.stop and two.ann.stop.seq > stop.seq)
    two.until(lambda: two.ben.stop and two.ben.stop.seq == two.ann.stop.seq)


def test_who_comes_later_is_told_as_well(two: Two) -> None:
    two.stand()
    two.branch()
    late = Session()
    late.connect(Client.connect(two.program.viewer.client.session, who="cid"), attached=True)
    two.until(lambda: late.tick() is None or late.branches == ["ann"])
    late.close()


def test_adopted_both_go_on_in_the_branch(two: Two) -> None:
    two.stand()
    two.branch()
    two.ann.whatif.adopt()
    two.until(lambda: two.ann.whatif.branch is None)
    two.until(lambda: two.ben.name == two.ann.name != two.name and two.ben.state == "paused")
    assert "adopted a branch" in two.ben.message and two.ben.observing
    two.ann.forward("step")
    two.until(lambda: two.ann.losses and two.ann.state == "paused")
    two.until(lambda: two.ben.losses == two.ann.losses)
    two.until(lambda: two.ben.store.last_seq == two.ann.store.last_seq)
    assert two.ben.dropped == 0
    assert [e.seq for e in two.ben.store.tape] == [e.seq for e in two.ann.store.tape]
    two.ben.take_over()  # it is a program like any other
    two.until(lambda: two.ann.observing and not two.ben.observing)


def test_taken_over_the_branch_is_still_its_maker_s(two: Two) -> None:
    two.stand()
    branch = two.branch()
    two.ben.take_over()
    two.until(lambda: not two.ben.observing)
    two.until(lambda: "took control of the program" in two.ann.message)
    assert two.ann.whatif.branch is branch and not two.ann.observing, "of its branch"
    with pytest.raises(RequestError, match=r"ann controls|that branch is ann's|you may only look"):
        third = Client.connect(two.program.viewer.client.session, role="observe")
        try:
            third.request("drop", pid=branch.pid).result(60)
        finally:
            third.close()
    two.ann.forward("step")
    two.until(lambda: two.ann.state == "paused" and two.ann.losses)
    two.ann.whatif.drop()  # it may, though it does not control the program any more
    two.until(lambda: gone(branch.pid))
    assert two.ann.observing and two.ann.state == "paused"
    two.ben.forward("next")
    two.until(lambda: two.ben.stop and two.ann.stop and two.ann.stop.seq == two.ben.stop.seq)


def test_a_program_that_has_gone_on_is_not_replaced(two: Two) -> None:
    two.stand()
    branch = two.branch()
    two.ben.take_over()
    two.until(lambda: not two.ben.observing)
    seq = two.ben.stop.seq
    two.ben.forward("next")
    two.until(lambda: two.ben.stop and two.ben.stop.seq > seq)
    two.ann.whatif.adopt()
    two.until(lambda: "has gone on since the branch was made" in two.ann.message)
    assert two.ann.whatif.branch is branch and not branch.adopting
    two.ann.whatif.drop()
    two.until(lambda: two.ann.stop and two.ann.stop.seq == two.ben.stop.seq)
    assert two.ann.store.last_seq == two.ben.store.last_seq, "what came meanwhile is there"


def test_adopting_takes_control_back(two: Two) -> None:
    two.stand()
    two.branch()
    two.ben.take_over()
    two.until(lambda: not two.ben.observing)
    two.until(lambda: "took control" in two.ann.message)
    two.ann.whatif.adopt()
    two.until(lambda: two.ann.whatif.branch is None and "is the program now" in two.ann.message)
    two.until(lambda: two.ben.name == two.ann.name and two.ben.observing)


def test_a_branch_ends_with_its_maker(two: Two) -> None:
    two.stand()
    branch = two.branch()
    two.ben.take_over()
    two.until(lambda: not two.ben.observing)
    two.ann.close()
    wait(lambda: gone(branch.pid))
    two.until(lambda: not two.ben.branches)
    assert two.ben.state == "paused" and two.program.process.poll() is None
    # and the other can try something itself
    two.ben.whatif.edit("weight = 1.0")
    two.until(lambda: two.ben.whatif.branch and two.ben.whatif.branch.edits)
    two.ben.whatif.drop()
