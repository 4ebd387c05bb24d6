"""What a change has changed: a branch of a program beside a copy that ran on without the change.

A program that listens is copied twice (`docs/whatif.md`): the *branch* is changed, the *baseline*
is not. Asked for the difference, the baseline is let run as far as the branch has come, and the two
are compared by their losses and op by op.

    branch, base = (program.sibling(one["name"]) for one in (made, other))
    branch.request("edit", target="model[1].p", value="0.0").result(10)
    branch.request("step", how="step").result(10)
    print(what_if(branch, Baseline(base)))
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framework.trace.events import EDITED, BackwardBegin, Event, Mark, OptimEnd, Source
from framework.trace.explain import Look, look_in, look_through, place, source_line
from framework.trace.stuck import Watcher
from viewers.compare import Comparison, Difference, Side, compare
from viewers.text import pad, width_of

if TYPE_CHECKING:
    from framework.trace.client import Client

__all__ = ["Baseline", "WhatIf", "what_if"]

PATIENCE = 60.0  # seconds that the baseline may take to come as far as the branch
LOOP = 0.25  # and to end a step, if none has ended in the branch: there may be no optimizer
LISTED = 12  # losses, and ops, that the text shows


class Baseline:
    """A copy that runs on unchanged, as far as the branch has come.

    Args:
        client: a connection to it, made while it still stands where it was copied.
        made: what the request `fork` said of it: the threads that it has not.

    Attributes:
        seq: the event at which it and the branch part.
        events: what it has done since then.
        losses: what its backward passes started from, in order; NaN where that is not one number.
        answers: what the branch was answered since then, which it is answered as well; None for
            the end of input.
    """

    def __init__(self, client: Client, made: dict[str, Any] | None = None) -> None:
        self.client = client
        told = made or {}
        self._watcher = Watcher(
            client, told.get("pid", 0), told.get("lacks", ()), "the copy without the change"
        )
        self.seq = client.welcome.last_seq
        self.events: list[Event] = []
        self.losses: list[float] = []
        self.answers: list[str | None] = []
        self._answered = 0
        self._lock = threading.Lock()  # one at a time asks it

    def follow(self, events: Sequence[Event]) -> list[Event]:
        """Let it run as far as a branch with this tape has come; what it has done since the start.

        That is to the end of the training step that the branch is in. Raises RequestError if it
        cannot be asked, or hangs.
        """
        client, began = self.client, time.monotonic()
        steps, most = steps_since(events, self.seq), events[-1].seq if events else 0
        with self._lock:
            while (waited := time.monotonic() - began) < PATIENCE:
                status = self._watcher.status()
                ended = sum(isinstance(e, OptimEnd) for e in self.events)
                far = not ended and steps == 1 and waited > LOOP and status["last_seq"] > most
                if far and status["state"] == "running":
                    self.pause()
                    continue
                if self._take(status["last_seq"]):
                    continue
                if asked := status["asks"]:
                    if self._answered >= len(self.answers):
                        break  # the branch has not been asked yet
                    answer = self.answers[self._answered]
                    self._answered += 1
                    client.request(
                        "answer", id=asked["id"], text=answer or "", end=answer is None
                    ).result(PATIENCE)
                    continue
                if status["state"] == "paused" and ended < steps and not far:
                    client.request("step", how="step").result(PATIENCE)
                elif status["state"] != "running":
                    break
                time.sleep(0.002)
            return list(self.events)

    def pause(self) -> None:
        """Let it stop where it is, if it still runs: it may just have come to a breakpoint."""
        from framework.trace.client import RequestError

        try:
            self.client.request("pause").result(PATIENCE)
        except RequestError:
            if self._watcher.status()["state"] == "running":
                raise

    def _take(self, last: int) -> int:
        """Take in what is new up to an event; how much that is."""
        first = self.seq + 1 + len(self.events)
        part = self.client.request("events", first=first, last=last).result(PATIENCE)
        self.events += part
        self.losses += losses_of(part)
        return len(part)


def losses_of(events: Sequence[Event]) -> list[float]:
    """What the backward passes among events started from; NaN where that is not one number."""
    begins = [e for e in events if isinstance(e, BackwardBegin) and e.roots]
    return [math.nan if e.loss is None else e.loss for e in begins]


def steps_since(events: Sequence[Event], seq: int) -> int:
    """How many training steps have ended after ``seq``, and the one that is under way."""
    ended = [e.seq for e in events if isinstance(e, OptimEnd) and e.seq > seq]
    return len(ended) + (not ended or ended[-1] < events[-1].seq)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A branch against its baseline, which is A.

    Attributes:
        edits: what was changed in the branch.
        losses: of both, pass by pass: without the change, and with it.
        found: the two op by op.
    """

    edits: list[str]
    losses: list[tuple[float, float]]
    found: Comparison

    def lines(self, width: int = 80, where: Callable[[Source], str] = place) -> list[str]:
        """It as text: the losses, where the two part first, and the ops that differ."""
        found, first = self.found, self.found.first
        lines = [f"what if {', '.join(self.edits) or 'nothing were changed'}", ""]
        lines += self._loss_lines()
        if first is None:
            return [*lines, "", f"the ops are the same: {found.pairs:,} of them were compared"]
        lines += ["", f"they part in step {first.item.step}: {_op(first)}, {_place(first, where)}"]
        text = found.text_of[0](first.item.source)
        lines += [f"  {line}" for line in (text, _words(first), found.why) if line]
        many = f"{found.count:,} of {_ops(found.pairs)}"
        if found.count > found.pairs:  # most of them are in one of the two only
            many = _ops(found.count)
        lines += ["", f"{many} differ (as it is, and what if)"]
        lines += _rows(found.differences[:LISTED], width, where)
        if found.count > LISTED:
            lines.append(f"  … and {found.count - LISTED:,} more")
        if found.unknown:
            lines.append(f"  of {_ops(found.unknown)} the values are no longer kept")
        return [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines]

    def _loss_lines(self) -> list[str]:
        if not self.losses:
            return ["the branch has not come to a loss yet"]
        lines = [f"{'loss':<10}{'as it is':>14}{'what if':>14}{'difference':>14}"]
        hidden = max(0, len(self.losses) - LISTED)
        if hidden:
            lines.append(f"  … {hidden:,} before")
        for number, (a, b) in enumerate(self.losses[hidden:], hidden + 1):
            lines.append(f"{f'  {number}':<10}{a:>14.6g}{b:>14.6g}{b - a:>+14.4g}")
        return lines

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__


def _ops(count: int) -> str:
    return f"{count:,} op{'s' * (count != 1)}"


def _op(one: Difference) -> str:
    item = one.item
    known = not item.module or f" {item.module}." in item.title  # of a parameter's update
    return item.title if known else f"{item.title} in {item.module}"


def _place(one: Difference, where: Callable[[Source], str]) -> str:
    return where(one.item.source) if one.item.source.line else "no line"


def _words(one: Difference) -> str:
    sides = {"only A": "only the program as it is does it", "only B": "only the branch does it"}
    return sides.get(one.kind, one.text.removeprefix("its argument "))


def _rows(
    differences: list[Difference], width: int, where: Callable[[Source], str]
) -> Iterator[str]:
    """The table: step, op, place, and how it differs, which has what the others leave."""
    room = max(20, width - 10)
    op = min(max(width_of(_op(one)) for one in differences), room * 9 // 20)
    at = min(max(width_of(_place(one, where)) for one in differences), room // 4)
    for one in differences:
        cells = [pad(_op(one), op), pad(_place(one, where), at), _words(one)]
        yield f"  {one.item.step or '-':>4}  {'  '.join(cells)}"


def what_if(
    branch: Any, baseline: Baseline, *, name: str = "the program",
    text_of: Callable[[Source], str] = source_line, over: bool = False,
) -> WhatIf:  # fmt: skip
    """Compare a branch with its baseline, which is let run as far as the branch has come.

    Args:
        branch: a `Client` of it; or in its own process, its recorder.
        over: its program has ended: what it has not done, it does not do.

    Raises RequestError if one of them cannot be asked, CompareError if nothing was done yet.
    """
    if hasattr(branch, "read"):
        events, look = list(branch.read()), look_in(branch)
    else:
        events, look = _events(branch), look_through(branch)
    return compared(events, look, baseline, name=name, text_of=text_of, over=over)


def compared(
    events: list[Event], look: Look, baseline: Baseline, *, name: str = "the program",
    text_of: Callable[[Source], str] = source_line, over: bool = False,
) -> WhatIf:  # fmt: skip
    """The same, of what is known of a branch: its tape, from before the two part."""
    seq = baseline.seq
    done = baseline.follow(events)
    shared = [e for e in events if e.seq <= seq]
    edits = [e.name.removeprefix(EDITED) for e in events if type(e) is Mark and _edit(e, seq)]
    a = Side(
        f"{name} as it is", [*shared, *done], look_through(baseline.client), text_of=text_of,
        since=seq, running=True,
    )  # fmt: skip
    b = Side(
        f"what if {', '.join(edits)}", events, look, text_of=text_of, since=seq, running=not over
    )
    a.rules = b.rules = False  # a backward node stands for the ops of its rule
    for one, other in ((a, b), (b, a)):
        if set(one.steps) == {0} and 0 not in other.steps and other.steps:
            # It has ended before any step has: that it would have been the same one is not told.
            one.steps = {min(other.steps): one.steps[0]}
    ours = losses_of([e for e in events if e.seq > seq])
    pairs = [pair for pair in zip(baseline.losses, ours) if not all(math.isnan(x) for x in pair)]
    return WhatIf(edits, pairs, compare(a, b))


def _edit(mark: Mark, seq: int) -> bool:
    return mark.seq > seq and mark.name.startswith(EDITED)


def _events(client: Client) -> list[Event]:
    found: list[Event] = []
    first = client.request("status").result(PATIENCE)["first_seq"]
    while part := client.request("events", first=first).result(PATIENCE):
        found += part
        first = part[-1].seq + 1
    return found
