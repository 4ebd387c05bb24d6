"""Answers at stops for the tests of the gate: commands in a row, a small model and its training."""

from __future__ import annotations

import framework as torch
from framework import nn
from framework.trace.events import (
    ModuleBegin,
    ModuleEnd,
    NodeBegin,
    NodeEnd,
    Op,
    OpBegin,
    OpEnd,
    OptimBegin,
    OptimEnd,
    ParamUpdate,
)
from framework.trace.reader import typed

F = nn.functional


def label(recorder, seq):
    """What a stop is at, in a word or two."""
    event = typed(recorder.raw(seq)) if seq else None
    begin = getattr(event, "begin", 0)
    begun = typed(recorder.raw(begin)) if begin else None
    match event:
        case Op():
            return event.name
        case OpBegin():
            return f"begin {event.name}"
        case OpEnd():
            return f"end {begun.name}"
        case ModuleBegin():
            return f"enter {event.path}"
        case ModuleEnd():
            return f"leave {begun.path}"
        case NodeBegin():
            return f"begin {event.name} backward"
        case NodeEnd():
            return f"{begun.name} backward"
        case OptimBegin():
            return f"begin {event.cls}"
        case OptimEnd():
            return f"end {begun.cls}"
        case ParamUpdate():
            return f"update {event.name}"
    return type(event).__name__


class Walk:
    """Answers every stop with the next of some commands and notes where it was."""

    def __init__(self, gate, commands=(), forever=""):
        self.gate = gate
        self.commands = list(commands)
        self.forever = forever
        self.stops = []
        self.labels = []
        gate.console = self

    def __call__(self, stop):
        self.stops.append(stop)
        self.labels.append(label(self.gate.recorder, stop.seq))
        self.look(stop)
        if self.commands:
            return self.commands.pop(0)
        return self.forever or "continue"

    def look(self, stop):
        pass


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 8)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        h = torch.relu(self.hidden(x))
        note = "a line without ops"
        assert note
        return self.out(h)


def train(model, optimizer, steps=1):
    torch.manual_seed(0)
    x = torch.randn(5, 4)
    target = torch.tensor([0, 1, 2, 0, 1])
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
    return loss
