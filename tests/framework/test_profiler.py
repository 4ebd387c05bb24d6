"""The profiler, from the trace."""

from __future__ import annotations

import json

import framework as torch
from framework.profiler import ProfilerAction, profile, record_function, schedule
from framework.trace import recording, sink


def test_calls_nest_and_times_add_up(tmp_path):
    w = torch.ones(3, requires_grad=True)
    with profile(record_shapes=True, with_stack=True, profile_memory=True) as prof:
        with record_function("forward"):
            loss = torch.nn.functional.mse_loss(w * 2, torch.zeros(3))
        loss.backward()
    assert sink.active is None
    by_key = {e.key: e for e in prof.key_averages()}
    assert {"forward", "aten::mul", "aten::mse_loss", "MulBackward0", "backward"} <= by_key.keys()
    forward = next(e for e in prof.events() if e.name == "forward")
    inside = [c.name for c in forward.cpu_children]
    assert inside == ["aten::mul", "aten::zeros", "aten::mse_loss"]
    assert 0 <= forward.self_cpu_time_total <= forward.cpu_time_total
    mul = forward.cpu_children[0]
    assert mul.input_shapes == [[3]] and mul.cpu_memory_usage == 12
    assert "test_profiler.py" in mul.stack[0]
    table = prof.key_averages().table(sort_by="self_cpu_time_total", row_limit=3)
    assert "Self CPU %" in table and "Self CPU time total:" in table
    assert len(prof.key_averages(group_by_input_shape=True)) >= len(by_key)
    prof.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert {"aten::mul", "forward"} <= {e["name"] for e in events}
    prof.export_stacks(str(tmp_path / "stacks"))


def test_a_schedule_records_its_steps():
    ready = []
    plan = schedule(wait=1, warmup=1, active=2, repeat=1)
    actions = [plan(i) for i in range(6)]
    assert actions == [
        ProfilerAction.NONE, ProfilerAction.WARMUP, ProfilerAction.RECORD,
        ProfilerAction.RECORD_AND_SAVE, ProfilerAction.NONE, ProfilerAction.NONE,
    ]  # fmt: skip
    with profile(schedule=plan, on_trace_ready=lambda p: ready.append(p.events())) as prof:
        for _ in range(6):
            torch.ones(2)
            prof.step()
    (events,) = ready
    assert [e.name for e in events] == [
        "ProfilerStep#2", "aten::ones", "ProfilerStep#3", "aten::ones",
    ]  # fmt: skip


def test_a_trace_that_runs_already_is_read():
    with recording() as tape:
        torch.ones(1)
        with profile() as prof:
            torch.zeros(1)
        assert sink.active is tape
    assert [e.name for e in prof.events()] == ["aten::zeros"]


def test_blocks_as_decorators_and_the_older_interface():
    @record_function("f")
    def f():
        return torch.ones(1)

    f()
    with torch.autograd.profiler.profile() as prof:
        f()
    assert [e.name for e in prof.events()] == ["f", "aten::ones"]
    assert prof.total_average().count == 2
