"""Programs with several optimizers: conditions, rules, the tape and its reader count alike."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
from pathlib import Path

import pytest

import framework as torch
from framework import nn, trace
from framework.trace import turns
from framework.trace.events import Op, OptimBegin, OptimEnd
from framework.trace.lineage import Lineage
from framework.trace.protocol import Breakpoint
from viewers.graph.store import TraceStore

GAN = """\
import framework as torch
from framework import nn

torch.manual_seed(0)
generator = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
critic = nn.Sequential(nn.Linear(2, 8), nn.Sigmoid(), nn.Linear(8, 1))
ours = torch.optim.Adam(critic.parameters(), lr=0.01)
theirs = torch.optim.Adam(generator.parameters(), lr=0.01)
loss_of = nn.BCEWithLogitsLoss()
ones, zeros = torch.ones(5, 1), torch.zeros(5, 1)
for round in range(6):
    critic.zero_grad()
    fake = generator(torch.randn(5, 3))
    loss = loss_of(critic(torch.randn(5, 2)), ones) + loss_of(critic(fake.detach()), zeros)
    loss.backward()
    ours.step()
    generator.zero_grad()
    score = loss_of(critic(fake), ones)
    if round == 3:
        score = score + (score.detach() - score.detach() - 1).log()
    score.backward()
    theirs.step()
"""

ACTOR = """\
import framework as torch
from framework import nn

torch.manual_seed(0)
actor, value = nn.Linear(4, 2), nn.Linear(4, 1)
acts = torch.optim.SGD(actor.parameters(), lr=0.01)
values = torch.optim.SGD(value.parameters(), lr=0.1)
for episode in range(5):
    seen = torch.randn(6, 4)
    guess = torch.softmax(actor(seen), 1)
    error = torch.randn(6, 1) - value(seen)
    policy = -(guess[:, :1].log() * error.detach()).mean()
    square = error.pow(2).mean()
    acts.zero_grad()
    policy.backward()
    acts.step()
    values.zero_grad()
    square.backward()
    values.step()
"""


@pytest.fixture(autouse=True)
def alone():
    """Optimizers of other tests are no part of these rounds."""
    gc.collect()
    turns.forget()


def traced(text: str) -> list:
    with trace.recording(capacity=1 << 16) as tape:
        exec(compile(text, "<rounds>", "exec"), {})
    return tape.read()


@pytest.mark.parametrize("text", [GAN, ACTOR])
def test_each_round_has_one_number_from_the_first_op_on(text: str) -> None:
    events = traced(text)
    rounds = max(e.step for e in events if isinstance(e, OptimBegin))
    ends = [e for e in events if isinstance(e, OptimEnd)]
    begins = [e.step for e in events if isinstance(e, OptimBegin)]
    assert begins == [n for n in range(1, rounds + 1) for _ in range(2)]
    assert [e.next for e in ends] == [*begins[1:], rounds + 1], "known before it comes"
    store = TraceStore()
    for event in events:  # as it grows: a guess must not be seen
        store.feed([event])
        ended = sum(e.seq < event.seq for e in ends)
        if ended < len(begins) and ended > 0:
            assert store.steps[-1].number == begins[ended], event
    lineage = Lineage(events)
    for event in events:
        if isinstance(event, Op) and event.seq < ends[-1].seq:
            ended = sum(e.seq < event.seq for e in ends)
            assert lineage.step(event.seq) == begins[ended]


def test_a_condition_names_the_round(tmp_path: Path) -> None:
    stops = []
    with trace.recording() as tape:
        gate = trace.Gate(tape)
        gate.console = lambda stop: stops.append(turns.number()) or "continue"
        gate.set_breakpoints(
            [Breakpoint(n, op="tanh", phase="forward", first_step=n, last_step=n)
             for n in range(1, 7)]
        )  # fmt: skip
        exec(compile(GAN, "<rounds>", "exec"), {})
    assert stops == [1, 2, 3, 4, 5, 6]


def test_a_finding_names_the_round(tmp_path: Path) -> None:
    with trace.rules("default") as report:
        exec(compile(GAN, "<rounds>", "exec"), {})
    found = next(f for f in report.findings if f.rule == "nan")
    assert found.step == 4 and "log" in found.subject
    assert report.steps == 4, "what comes after is its consequence, and not looked at"


def test_the_command_line_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "gan.py"
    path.write_text(GAN)

    def tapebook(*arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "app", *map(str, arguments)], capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=120,
        )  # fmt: skip
        return done.stdout + done.stderr

    said = tapebook("run", path, "--rules", "default", "--record", tmp_path / "gan.tape")
    assert "rule nan: log" in said and "  step   4\n" in said and ", 4 training steps" in said
    assert "forward, step 4" in tapebook("run", path, "--break", "op log nan")
    shown = tapebook("show", tmp_path / "gan.tape")
    assert re.search(r"^ +4 .*\n +- ", shown, re.M), shown  # the critic's fourth, and what is left


class Half(nn.Module):
    """A weight that learns, and one that no optimizer has."""

    def __init__(self) -> None:
        super().__init__()
        self.own, self.idle = (nn.Parameter(torch.ones(2)) for _ in range(2))

    def forward(self) -> torch.Tensor:
        return (self.own * self.idle).sum()


@pytest.mark.parametrize(("rounds", "step"), [(4, 0), (6, 5)])
def test_of_rules_steps_are_rounds(rounds: int, step: int) -> None:
    """What is to be seen in so many steps is not seen in half as many because there are two."""
    models = [Half(), Half()]
    optimizers = [torch.optim.SGD([m.own], lr=0.1) for m in models]
    with trace.rules({"unchanged_weight": {"steps": 4}}) as report:
        for _ in range(rounds):
            for model, optimizer in zip(models, optimizers):
                optimizer.zero_grad()
                model().backward()
                optimizer.step()
    assert report.steps == rounds and [f.step for f in report.findings] == [step] * bool(step)


def test_several_updates_of_one_for_each_of_the_other() -> None:
    w, v = (torch.ones(2, requires_grad=True) for _ in range(2))
    critic, maker = torch.optim.SGD([w], lr=0.1), torch.optim.SGD([v], lr=0.1)
    numbers = []
    for _ in range(4):
        for own, optimizer in ((w, critic), (w, critic), (w, critic), (v, maker)):
            numbers.append(turns.number())
            own.sum().backward()
            optimizer.step()
    # How often it steps in a row is known once it was seen.
    assert numbers[5:] == [5, 6, 2, 7, 8, 9, 3, 10, 11, 12, 4]


def test_phases_with_an_optimizer_each() -> None:
    w = torch.ones(2, requires_grad=True)
    numbers = []
    for _ in range(2):
        optimizer = torch.optim.SGD([w], lr=0.1)
        for _ in range(3):
            numbers.append(turns.number())
            w.sum().backward()
            optimizer.step()
    assert numbers == [1, 2, 3, 1, 2, 3]


UNUSED = """\
import framework as torch
w = torch.ones(3, requires_grad=True)
used = torch.optim.SGD([w], lr=0.1)
never = torch.optim.SGD([torch.ones(2, requires_grad=True)], lr=0.1)
for step in range(4):
    used.zero_grad()
    (w * (step + 1)).sum().backward()
    used.step()
"""


def test_a_picture_of_a_step_is_of_the_round_that_a_recording_has(tmp_path: Path) -> None:
    from app.pictures import ExportError, export_program, summary_of_program
    from app.recording import export

    for name, text in (("gan", GAN), ("unused", UNUSED)):
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        command = [sys.executable, "-m", "app", "run", str(path), "--record", f"{path}.tape"]
        subprocess.run(command, check=True, capture_output=True)
        for step in (1, 3):
            made = [tmp_path / f"{name}-{step}-{how}.mmd" for how in ("run", "tape")]
            export_program(path, made[0], [], step=step, values=True)
            export(f"{path}.tape", made[1], step=step, values=True)
            assert made[0].read_text() == made[1].read_text(), (name, step)
    assert summary_of_program(tmp_path / "gan.py", [], step=3)
    with pytest.raises(ExportError, match="the program ended after 6 training steps"):
        export_program(tmp_path / "gan.py", tmp_path / "x.mmd", [], step=7)
