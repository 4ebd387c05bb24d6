"""What a user waits for, in a real terminal with the real kernel: keys, scrolling, idling."""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import keys
from benchmarks.ratio import Plan
from benchmarks.table import Table
from benchmarks.terminal import Terminal

__all__ = ["report"]

STEPS = """\
import framework as torch
from framework import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x, y = torch.randn(64, 64), torch.randint(0, 10, (64,))
for _ in range(20):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()
"""

LONG = """\
import framework as torch
x = torch.ones(8, requires_grad=True)
for i in range(2500):
    x = (x * 1.001).tanh()
"""

DOWN, PAGE_DOWN, PAGE_UP = b"\x1b[B", b"\x1b[6~", b"\x1b[5~"
END, LEFT, ESCAPE = b"\x1b[F", b"\x1b[D", b"\x1b"

# One step of so many ops: one after the other, and in modules (four events for each op).
FLAT = """\
import framework as torch
x = torch.ones(8, requires_grad=True)
for i in range({count} // 2):
    x = (x * 1.001).tanh()
print("fin" + "ished")
"""
NESTED = """\
import framework as torch
from framework import nn
torch.manual_seed(0)
layers = nn.ModuleList([nn.Sequential(nn.Linear(8, 8), nn.Tanh()) for _ in range(100)])
x = torch.ones(8, requires_grad=True)
for i in range({count} // 200):
    for layer in layers:
        x = layer(x)
print("fin" + "ished")
"""
# Forward and backward: a quarter of the ops are forward's, the gradients take the others.
BACKWARD = NESTED.replace("// 200", "// 800").replace("print", "x.sum().backward()\nprint")
STEPS_OF = {
    "one after the other": FLAT, "in modules": NESTED, "three quarters backward's": BACKWARD,
}  # fmt: skip
STREAM = 1_000_000  # events of one step, twice what the screen keeps
OPENING = "opening or closing all: the first change"
# What is pressed in it, where the focus goes first, and how often.
KEYS = {
    "scrolling a page": (b"2", PAGE_UP, 9),
    "going to the end": (b"2", END, 3),
    OPENING: (b"2", b"*", 6),
    "a letter of a search": (b"2/", b"n", 5),
    "looking back": (ESCAPE, b"N", 9),
    "scrubbing": (b"4", LEFT, 9),
}


def report(plan: Plan) -> Iterator[Table]:
    """Step keys, pages and idling; keys in large steps; a million events of one step."""
    yield small(plan)
    yield screen(plan)
    yield keys.report(plan)
    yield stream(STREAM // 20 if plan.quick else STREAM)


def small(plan: Plan) -> Table:
    """The latency of a step key, the CPU time per scrolled page, and of doing nothing."""
    table = Table("ui", "the screen, in a terminal of 120x40", ["what", "figure", "bound"])
    first, settled = step_latency(15 if plan.quick else 60)
    pages, idle = scrolling(20 if plan.quick else 60)
    table.rows = [
        ["a step key to the first change on the screen, real kernel and terminal",
         spread(first), "50 ms"],
        ["the same until the screen is quiet", spread(settled), ""],
        ["a page of a 5,000-op graph", f"{pages * 1000:.1f} ms of processor time", ""],
        ["idle", f"{idle * 100:.1f} % of a core", ""],
    ]  # fmt: skip
    return table


def by_step(
    plan: Plan, name: str, title: str, measure: Callable[[str, int], dict[str, str]]
) -> Table:
    """A column for each program of `STEPS_OF` and number of ops, of what ``measure`` says of it."""
    counts = (10_000,) if plan.quick else (10_000, 100_000)
    shown = [(f"{count:,} ops, {what}", text, count)
             for what, text in STEPS_OF.items() for count in counts]  # fmt: skip
    table = Table(name, title, ["what", *(column for column, *_ in shown)])
    columns = [measure(text, count) for _, text, count in shown]
    table.rows = [[what, *(column[what] for column in columns)] for what in columns[0]]
    return table


def screen(plan: Plan) -> Table:
    """Keys in a step of very many ops, from the key to the first change, in a terminal."""
    table = by_step(plan, "screen", "large steps on the screen", large)
    table.notes.append(
        "Keys: from the key to the first change, median and longest, elapsed time. Bounds: 100 ms, "
        "and 500 MB."
    )
    return table


def spread(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=20)
    return f"{statistics.median(seconds) * 1000:.1f} ms, 95 % within {cuts[18] * 1000:.1f}"


def opened(text: str) -> Terminal:
    folder = tempfile.mkdtemp()
    path = Path(folder) / "bench.py"
    path.write_text(text, encoding="utf-8")
    terminal = Terminal([sys.executable, "-m", "app", str(path)])
    terminal.read(20.0, until=b"torch")
    terminal.quiet(1.0)
    return terminal


def step_latency(count: int = 60) -> tuple[list[float], list[float]]:
    """Seconds from typing ``n`` to the first and to the last byte that the program writes."""
    with opened(STEPS) as terminal:
        terminal.type(DOWN * 6 + b"b")  # a breakpoint on the loop's line
        terminal.quiet(0.5)
        terminal.type(b"r")
        if terminal.read(20.0, until=b"paused") is None:
            raise RuntimeError("the program did not pause at the breakpoint")
        terminal.quiet(1.0)
        first, settled = [], []
        for _ in range(count):
            start = time.perf_counter()
            answer = terminal.answer(b"n")
            if answer is None:
                raise RuntimeError("a step key was not answered")
            last = time.perf_counter()
            while True:
                before = len(terminal.output)
                terminal.read(0.12)
                if len(terminal.output) == before:
                    break
                last = time.perf_counter() - 0.12
            first.append(answer)
            settled.append(max(answer, last - start))
        return first, settled


def large(text: str, count: int) -> dict[str, str]:
    """What keys cost in a step of so many ops, and the memory of the program."""
    with opened(text.format(count=count)) as terminal:
        before = terminal.cpu()
        terminal.type(b"r")
        if terminal.read(300.0, until=b"finished") is None:
            raise RuntimeError(f"a cell of {count:,} ops did not end")
        terminal.quiet(2.0, 120.0)
        found = {"processor time until it is shown": f"{terminal.cpu() - before:.1f} s"}
        for name, (there, key, times) in KEYS.items():
            terminal.type(there)
            terminal.quiet(0.7)
            answers, cpu = [], terminal.cpu()
            for _ in range(times):
                answer = terminal.answer(key, 30.0)
                if answer is None:
                    raise RuntimeError(f"{name}: the key was not answered")
                answers.append(answer)
                terminal.quiet(0.3)
            each = (terminal.cpu() - cpu) / times
            middle, most = statistics.median(answers), max(answers)
            found[name] = f"{middle * 1000:.0f}, {most * 1000:.0f} ms"
            if name == OPENING:
                found["the same until it is drawn, processor time"] = f"{each:.1f} s"
        for press in (ESCAPE, b"S", ESCAPE, b"M", ESCAPE):
            terminal.type(press)
            terminal.quiet(1.0)
        found["memory at the end, and at most"] = (
            f"{terminal.memory()}, {terminal.memory('VmHWM')} MB"
        )
        return found


def stream(count: int = STREAM) -> Table:
    """The memory of the program when so many events came in, and how many were lost."""
    with opened(FLAT.format(count=count)) as terminal:
        start, before = time.perf_counter(), terminal.cpu()
        terminal.type(b"r")
        if terminal.read(900.0, until=b"finished") is None:
            raise RuntimeError(f"a cell of {count:,} ops did not end")
        ran = time.perf_counter() - start
        terminal.quiet(2.0, 120.0)
        terminal.output = b""
        terminal.resize(121, 40)  # what came late is no longer said to be dropped
        terminal.quiet(1.0)
        told = re.findall(rb"(\d+) dropped", terminal.output)
        rows = [
            ["the cell runs, the screen looking on", f"{ran:.1f} s"],
            ["processor time of the screen", f"{terminal.cpu() - before:.1f} s"],
            ["memory of the screen at the end, and at most",
             f"{terminal.memory()}, {terminal.memory('VmHWM')} MB"],
            ["said to be dropped", f"{int(told[-1]) if told else 0:,} events"],
        ]  # fmt: skip
    head = [f"{count:,} events of one step", "figure"]
    return Table("stream", "very many events of one step", head, rows)


def scrolling(pages: int = 60) -> tuple[float, float]:
    """CPU seconds of the program per page of a 5,000-op graph, and per second of doing nothing."""
    with opened(LONG) as terminal:
        terminal.type(b"r")
        terminal.quiet(2.0, 60.0)
        terminal.type(b"2")
        terminal.quiet(0.5)
        before = terminal.cpu()
        time.sleep(3.0)
        terminal.quiet(0.1)
        idle = (terminal.cpu() - before) / 3.0
        before = terminal.cpu()
        for i in range(pages):
            terminal.type(PAGE_UP if i < pages // 2 else PAGE_DOWN)
            terminal.read(1 / 30)
        terminal.quiet(0.3)
        return (terminal.cpu() - before) / pages, idle
