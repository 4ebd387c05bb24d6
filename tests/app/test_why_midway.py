"""Why, asked while a backward pass is under way: what has not come yet is not missing."""

from __future__ import annotations

import framework as torch
from app.explaining import Candidate, why_at
from framework import nn
from framework.trace import recording
from framework.trace.events import BackwardEnd, NodeEnd
from framework.trace.explain import look_in


def test_a_gradient_that_may_still_come_is_not_missing() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with recording(keep="all") as tape:
        model[2](model[1](model[0](torch.ones(2, 3))).detach()).sum().backward()
    events = tape.read()
    node = next(e.seq for e in events if isinstance(e, NodeEnd))
    over = next(e.seq for e in events if isinstance(e, BackwardEnd))
    of = [Candidate(model[0].weight._id, node, "model.0.weight")]
    assert why_at(events, look_in(tape), node, of).kind == "fine"
    assert why_at(events, look_in(tape), over, of).kind == "missing", "now it is"
