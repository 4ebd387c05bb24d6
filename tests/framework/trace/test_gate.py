"""Stops: step commands, breakpoints, lines, exceptions, interrupts, on real training steps."""

from __future__ import annotations

import inspect
import signal
import sys
import threading
import time

import pytest
from walks import MLP, Walk, label, train

import framework as torch
from framework import nn
from framework.trace.events import (
    Op,
)
from framework.trace.gate import GateError
from framework.trace.protocol import Breakpoint
from framework.trace.reader import typed

F = nn.functional


FORWARD = ["linear", "relu", "linear", "end cross_entropy"]


def test_next_goes_through_forward_backward_and_the_optimizer(model, taped):
    _, gate = taped
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    gate.set_breakpoints([Breakpoint(1, module="model.hidden")])
    walk = Walk(gate, forever="next")
    train(model, optimizer)
    assert walk.stops[0].reason == "breakpoint 1"
    assert {s.reason for s in walk.stops[1:]} == {"step"}
    nodes = [label for label in walk.labels if label.endswith(" backward")]
    updates = [label for label in walk.labels if label.startswith("update ")]
    assert walk.labels == FORWARD + nodes + updates
    assert nodes[-3:] == ["linear backward", "relu backward", "linear backward"]
    assert updates == [
        "update model.hidden.weight",
        "update model.hidden.bias",
        "update model.out.weight",
        "update model.out.bias",
    ]
    # No op inside of cross_entropy or of a node was stopped at.
    assert len(nodes) < 12


def test_into_goes_into_modules_composites_nodes_and_the_optimizer(model, taped):
    _, gate = taped
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    gate.begin("into")
    walk = Walk(gate, forever="into")
    train(model, optimizer)
    labels = walk.labels
    at = labels.index("enter model")
    assert labels[at : at + 6] == [
        "enter model", "enter model.hidden", "linear", "relu", "enter model.out", "linear",
    ]  # fmt: skip
    at = labels.index("begin cross_entropy")
    assert labels[at - 1] == "linear"
    inside = labels[at + 1 : next(i for i, x in enumerate(labels) if x.endswith(" backward"))]
    assert inside, "the ops of cross_entropy"
    at = labels.index("begin relu backward")
    assert not labels[at + 1].startswith("begin"), "the ops of a backward node"
    at = labels.index("begin SGD")
    assert labels[at + 1] == "update model.hidden.weight"


def test_out_ends_the_innermost_container(model, taped):
    _, gate = taped
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    gate.set_breakpoints([Breakpoint(1, module="model.hidden")])
    walk = Walk(gate, ["out", "out", "into", "out", "into", "out", "into", "out"])
    train(model, optimizer)
    assert walk.labels[:5] == [
        "linear", "leave model.hidden", "leave model", "begin cross_entropy", "end cross_entropy",
    ]  # fmt: skip
    begin, end = walk.labels[5:7]
    assert begin.startswith("begin ") and begin.endswith(" backward")
    assert end == begin.removeprefix("begin ")


def test_step_ends_with_the_training_step(model, taped):
    _, gate = taped
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    gate.begin("step")
    walk = Walk(gate, forever="step")
    train(model, optimizer, steps=3)
    assert walk.labels == ["end SGD"] * 3


def test_next_within_a_composite_op_stays_in_it_until_its_end(taped):
    _, gate = taped
    gate.set_breakpoints([Breakpoint(1, op="log_softmax"), Breakpoint(2, op="/nll|gather|mean/")])
    walk = Walk(gate, forever="next")
    F.cross_entropy(torch.randn(4, 3), torch.tensor([0, 1, 2, 0])).exp()
    assert "end cross_entropy" in walk.labels
    assert walk.labels[-1] == "exp"


def test_module_breakpoint_stops_once_per_call_after_its_first_op(model, taped):
    _, gate = taped
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    points = [Breakpoint(1, module="model.out"), Breakpoint(2, module="model")]
    gate.set_breakpoints(points)
    walk = Walk(gate)
    train(model, optimizer, steps=2)
    found = [(s.breakpoint, label) for s, label in zip(walk.stops, walk.labels)]
    assert found == [(2, "linear"), (1, "linear")] * 2
    assert [b.hits for b in gate.breakpoints] == [2, 2]


@pytest.mark.parametrize("pattern", ["/out$/", "/^model\\.o/"])
def test_module_breakpoint_by_regular_expression(model, taped, pattern):
    _, gate = taped
    gate.set_breakpoints([Breakpoint(1, module=pattern)])
    walk = Walk(gate)
    model(torch.randn(2, 4))
    assert [s.source.line for s in walk.stops] == [_line_of(MLP.forward, "self.out(h)")]


def test_a_gradient_that_is_to_stop_once_stops(model, taped):
    _, gate = taped
    walk = Walk(gate)
    gate.set_breakpoints(
        [Breakpoint(1, param="model.out.weight", phase="backward", condition="norm > 0", once=True)]
    )
    train(model, torch.optim.SGD(model.parameters(), lr=0.1), 3)
    assert walk.labels == ["linear backward"]


def test_module_breakpoint_in_backward_stops_once_per_call(model, taped):
    _, gate = taped
    gate.set_breakpoints([Breakpoint(1, module="model.hidden", phase="backward")])
    walk = Walk(gate)
    loss = model(torch.randn(2, 4)).sum() + model(torch.randn(2, 4)).sum()
    loss.backward()
    assert walk.labels == ["linear backward"] * 2


def test_a_breakpoint_set_within_a_call_waits_for_the_next_one(model, taped):
    _, gate = taped
    gate.set_breakpoints([Breakpoint(1, module="model.hidden")])
    walk = Walk(gate)

    def look(stop):
        if len(walk.stops) == 1:
            gate.set_breakpoints([Breakpoint(2, module="model")])

    walk.look = look
    for _ in range(2):
        model(torch.randn(2, 4))
    assert [s.breakpoint for s in walk.stops] == [1, 2]


def test_op_breakpoints_by_name_pattern_phase_and_composite(taped):
    _, gate = taped
    gate.set_breakpoints(
        [
            Breakpoint(1, op="exp"),
            Breakpoint(2, op="/^(sin|cos)$/", phase="both"),
            Breakpoint(3, op="cross_entropy"),
            Breakpoint(4, op="mul", enabled=False),
        ]
    )
    walk = Walk(gate)
    x = torch.ones(3, requires_grad=True)
    ((x * 2).exp().sin() + x.cos()).sum().backward()
    F.cross_entropy(torch.ones(2, 3), torch.tensor([0, 1]))
    assert walk.labels == [
        "exp", "sin", "cos", "cos backward", "sin backward", "end cross_entropy",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "condition, value, stops",
    [
        ("nan", [1.0, float("nan")], True),
        ("nan", [1.0, float("inf")], False),
        ("inf", [1.0, -float("inf")], True),
        ("inf", [1.0, float("nan")], False),
        ("absmax > 1e3", [0.0, -1100.0], True),
        ("absmax > 1e3", [float("nan"), 999.0], False),
        ("absmax>5", [6.0], True),
        ("nan", [], False),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_conditions_on_outputs(taped, condition, value, stops, dtype):
    _, gate = taped
    (point,) = gate.set_breakpoints([Breakpoint(1, op="neg", condition=condition)])
    assert point.error == ""
    walk = Walk(gate)
    -torch.tensor(value, dtype=dtype)
    assert bool(walk.stops) is stops
    if stops:
        assert walk.stops[0].reason == condition.split(">")[0].strip()
        assert walk.stops[0].breakpoint == 1


def test_conditions_hold_for_whole_numbers_too(taped):
    _, gate = taped
    gate.set_breakpoints([Breakpoint(1, condition="absmax > 10"), Breakpoint(2, condition="nan")])
    walk = Walk(gate)
    torch.tensor([3, 4]) * 3
    assert walk.labels == ["mul"]


def test_condition_on_gradients_in_backward(taped):
    _, gate = taped
    gate.set_breakpoints([Breakpoint(1, condition="inf", phase="backward")])
    walk = Walk(gate)
    x = torch.tensor([0.0, 1.0], requires_grad=True)
    (x * 2).sqrt().sum().backward()
    assert walk.labels == ["sqrt backward", "mul backward"]
    assert walk.stops[0].reason == "inf"


@pytest.mark.parametrize(
    "point, reason",
    [
        (Breakpoint(1, condition="foo"), "is not one of: nan, inf, absmax > X"),
        (Breakpoint(1, condition="absmax > high"), "needs a number"),
        (Breakpoint(1, condition="absmax"), "needs a number"),
        (Breakpoint(1, condition="nan > 3"), "stands alone"),
        (Breakpoint(1, op="/(/"), "bad regular expression"),
        (Breakpoint(1, line=3), "needs a file"),
        (Breakpoint(1, op="x", phase="sideways"), "phase 'sideways'"),
        (Breakpoint(1), "empty breakpoint"),
    ],
)
def test_a_breakpoint_that_cannot_be_says_why(taped, point, reason):
    _, gate = taped
    (accepted,) = gate.set_breakpoints([point])
    assert reason in accepted.error
    walk = Walk(gate)
    torch.ones(2) * 2
    assert not walk.stops


def test_hits_survive_a_new_list_and_an_edit_resets_them(taped):
    _, gate = taped
    gate.set_breakpoints([Breakpoint(1, op="exp"), Breakpoint(2, op="log")])
    Walk(gate)
    torch.ones(2).exp().log()
    first, second = gate.set_breakpoints([Breakpoint(1, op="exp"), Breakpoint(2, op="log2")])
    assert (first.hits, second.hits) == (1, 0)


def test_until_an_op_a_number_of_times_and_a_line(taped):
    _, gate = taped
    from framework.trace.gate import Command

    def loop():
        x = torch.ones(2)
        for _ in range(5):
            x = x.exp()
            x = x.log()
        done = x
        return done

    gate.set_breakpoints([Breakpoint(1, op="exp")])
    line = _line_of(loop, "done = x")
    walk = Walk(
        gate,
        [
            Command("until", Breakpoint(0, op="log", hits=3)),
            Command("until", Breakpoint(0, file=__file__, line=line)),
        ],
    )

    def look(stop):
        gate.set_breakpoints([])

    walk.look = look
    loop()
    assert [s.reason for s in walk.stops] == ["breakpoint 1", "step", "step"]
    assert walk.labels[1] == "log"
    ops = [e for e in taped[0].read() if isinstance(e, Op) and e.name == "log"]
    assert walk.stops[1].seq == ops[2].seq
    assert walk.stops[2].source.line == line
    assert taped[0].armed is False


def _line_of(function, text):
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if text in line)


def test_line_breakpoint_on_a_line_without_ops(model, taped):
    _, gate = taped
    line = _line_of(MLP.forward, "note =")
    gate.set_breakpoints([Breakpoint(7, file="walks.py", line=line)])
    walk = Walk(gate)
    seen = []
    walk.look = lambda stop: seen.append(
        ([f.source.function for f in gate.stack()][:2], {v.name for v in _paused_variables(gate)})
    )
    model(torch.randn(2, 4))
    assert [(s.reason, s.breakpoint, s.source.line) for s in walk.stops] == [
        ("breakpoint 7", 7, line)
    ]
    stack, names = seen[0]
    assert stack == ["forward", "test_line_breakpoint_on_a_line_without_ops"]
    assert names >= {"self", "x", "h"} and "note" not in names
    gate.set_breakpoints([])
    torch.ones(1) * 2
    assert sys.gettrace() is None


@pytest.mark.parametrize(
    "limits, stops",
    [
        ({"once": True}, [0]),
        ({"from_hit": 2}, [1, 2, 3]),
        ({"every": 2}, [1, 3]),
        ({"first_step": 3, "last_step": 3}, [2]),
        ({"first_step": 2}, [1, 2, 3]),
    ],
    ids=str,
)
def test_limits_of_a_line_breakpoint(model, taped, limits, stops):
    _, gate = taped
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def train(numbers):
        for i in range(4):
            numbers.append(i)
            model(torch.randn(2, 4)).sum().backward()
            optimizer.step()

    numbers = []
    line = _line_of(train, "model(")
    gate.set_breakpoints([Breakpoint(1, file="test_gate.py", line=line, **limits)])
    walk = Walk(gate)
    seen = []
    walk.look = lambda stop: seen.append(numbers[-1])
    train(numbers)
    assert seen == stops and len(walk.stops) == len(stops)
    assert gate.breakpoints[0].enabled is not limits.get("once", False)


def _paused_variables(gate):
    return gate.variables(0)


def test_line_step_stops_at_every_line_and_goes_over_calls(model, taped):
    _, gate = taped

    def forward(x):
        y = x * 2
        z = 1
        y = model(y)
        for _ in range(2):
            z += 1
        return y, z

    def program():
        forward(torch.randn(2, 4))
        return "after"

    gate.set_breakpoints([Breakpoint(1, op="mul")])
    walk = Walk(gate, forever="line")
    gate_lines = []
    walk.look = lambda stop: gate_lines.append((stop.source.line, stop.source.function))
    program()
    start = _line_of(forward, "y = x * 2")
    lines = [line - start for line, name in gate_lines if name == "forward"]
    assert lines == [0, 1, 2, 3, 4, 3, 4, 3, 5]
    after = gate_lines[len(lines)]
    assert after == (_line_of(program, 'return "after"'), "program")
    assert {s.reason for s in walk.stops[1:]} == {"line"}
    gate._forget_step()
    assert sys.gettrace() is None


def test_line_breakpoint_in_a_frame_that_already_runs(taped):
    """Set by another thread, in a loop that makes no events at all."""
    _, gate = taped
    ready, over = threading.Event(), []

    def loop():
        end = time.monotonic() + 60
        count = 0
        ready.set()
        while time.monotonic() < end and not over:
            count += 1  # here
        return count

    line = _line_of(loop, "# here")

    def viewer():
        ready.wait()
        time.sleep(0.05)
        gate.set_breakpoints([Breakpoint(1, file=__file__, line=line)])

    walk = Walk(gate)

    def look(stop):
        over.append(gate.evaluate("count + 1", 0).text)
        gate.set_breakpoints([])

    walk.look = look
    threading.Thread(target=viewer).start()
    loop()
    assert [(s.reason, s.source.line) for s in walk.stops] == [("breakpoint 1", line)]
    assert int(over[0]) > 0


def test_pause_stops_code_without_ops(taped):
    _, gate = taped
    ready, over = threading.Event(), []

    def loop():
        end = time.monotonic() + 60
        ready.set()
        while time.monotonic() < end and not over:
            pass

    walk = Walk(gate)
    walk.look = over.append
    threading.Thread(target=lambda: (ready.wait(), time.sleep(0.05), gate.pause())).start()
    loop()
    assert [s.reason for s in walk.stops] == ["pause"]
    assert walk.stops[0].source.function == "loop"


def test_an_exception_in_an_op_stops_with_the_operands_in_view(model, taped):
    tape, gate = taped
    gate.break_on_error = True
    walk = Walk(gate)
    seen = {}

    def look(stop):
        event = typed(tape.raw(stop.seq))
        seen["inputs"] = [gate.value(i, stop.seq)[0].shape for i in event.inputs if i]
        seen["names"] = [v.name for v in gate.variables(0)]
        seen["op"] = event

    walk.look = look
    wrong = torch.randn(2, 5)
    with pytest.raises(RuntimeError, match="shape"):
        model(wrong)
    (stop,) = walk.stops  # once, though it passes two modules
    assert stop.reason == "exception"
    assert stop.message.startswith("RuntimeError: ")
    assert "linear" in stop.message and "[2, 5]" in stop.message
    assert stop.source.line == _line_of(MLP.forward, "torch.relu(")
    assert (2, 5) in seen["inputs"] and (8, 4) in seen["inputs"]
    assert seen["names"] == ["self", "x"]
    assert seen["op"].module == "model.hidden" and "RuntimeError" in seen["op"].error


def test_an_exception_of_python_in_a_module_stops_with_its_frames(taped):
    _, gate = taped
    gate.break_on_error = True

    class Broken(nn.Module):
        def forward(self, x):
            reason = "deep inside"
            raise KeyError(reason)

    walk = Walk(gate)
    stack = []
    walk.look = lambda stop: stack.extend(
        (f.source.function for f in gate.stack()),
    )
    with pytest.raises(KeyError):
        nn.Sequential(nn.Identity(), Broken())(torch.ones(2))
    assert [s.reason for s in walk.stops] == ["exception"]
    assert walk.stops[0].source.function == "forward"
    assert stack[:2] == ["forward", "test_an_exception_of_python_in_a_module_stops_with_its_frames"]


def test_an_exception_in_a_backward_hook_stops(taped):
    _, gate = taped
    gate.break_on_error = True
    walk = Walk(gate)
    x = torch.ones(3, requires_grad=True)
    y = x * 2

    def hook(grad):
        raise ValueError("from the hook")

    y.register_hook(hook)
    with pytest.raises(ValueError):
        y.sum().backward()
    assert [(s.reason, s.message) for s in walk.stops] == [
        ("exception", "ValueError: from the hook")
    ]


def test_nothing_stops_at_an_exception_unless_asked(taped):
    _, gate = taped
    walk = Walk(gate)
    with pytest.raises(RuntimeError):
        torch.ones(2) @ torch.ones(3)
    assert not walk.stops


def test_a_step_that_runs_into_an_exception_stops_there(taped):
    _, gate = taped
    gate.set_breakpoints([Breakpoint(1, op="exp")])
    walk = Walk(gate, forever="next")
    other = torch.ones(3)
    x = torch.ones(2).exp()
    with pytest.raises(RuntimeError):
        x @ other
    assert [s.reason for s in walk.stops] == ["breakpoint 1", "exception"]


# -- a thread that waits, and another that answers ------------------------------------------------


def _wait_for_stop(gate, seconds=60):
    end = time.monotonic() + seconds
    while gate.stop is None:
        assert time.monotonic() < end, "no stop"
        time.sleep(0.001)
    return gate.stop


def test_the_thread_waits_and_is_told_to_go_on(taped):
    tape, gate = taped
    gate.set_breakpoints([Breakpoint(1, op="exp")])
    log = []

    def viewer():
        stop = _wait_for_stop(gate)
        log.append((gate.state, label(tape, stop.seq)))
        log.append(gate.evaluate("[float(v) for v in x + offset]", 0).text)
        log.append([v.text for v in gate.variables(0) if v.name == "offset"])
        with pytest.raises(GateError, match="unknown step"):
            gate.resume("sideways")
        gate.resume("next")
        stop = _wait_for_stop(gate)
        log.append((gate.state, label(tape, stop.seq)))
        gate.resume("continue")
        with pytest.raises(GateError, match="not paused"):
            gate.resume("next")

    thread = threading.Thread(target=viewer)
    thread.start()
    offset = 1
    x = torch.ones(2)
    x.exp().log().sin()
    thread.join()
    assert offset == 1
    assert log == [("paused", "exp"), "[2.0, 2.0]", ["1"], ("paused", "log")]
    assert gate.state == "running"


def test_interrupt_breaks_the_wait(taped):
    _, gate = taped
    gate.set_breakpoints([Breakpoint(1, op="exp")])
    threading.Thread(target=lambda: (_wait_for_stop(gate), gate.interrupt())).start()
    with pytest.raises(KeyboardInterrupt):
        torch.ones(2).exp()
    assert gate.stop is None and gate.state == "running"


def test_interrupt_at_a_begin_leaves_the_tape_balanced(model, taped):
    tape, gate = taped
    gate.begin("into")
    walk = Walk(gate, ["into", "into", "interrupt"])
    with pytest.raises(KeyboardInterrupt):
        model(torch.randn(2, 4))
    assert walk.labels[-1] in ("enter model.hidden", "enter model")
    balance = [type(e).__name__ for e in tape.read()]
    assert balance.count("ModuleBegin") == balance.count("ModuleEnd") > 0
    assert not tape.open and tape.module == ""


def test_interrupt_of_running_code_is_a_real_signal(taped):
    _, gate = taped
    before = signal.signal(signal.SIGINT, gate.on_sigint)
    try:
        sender = threading.Thread(target=lambda: (time.sleep(0.1), gate.interrupt()))
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            sender.start()
            time.sleep(100)
        assert time.monotonic() - began < 50
    finally:
        signal.signal(signal.SIGINT, before)


def test_interrupts_never_cut_a_record_in_two(taped):
    """Signals at random moments of a run: every event is whole, every begin has an end."""
    tape, gate = taped
    gate.on_change = lambda: None  # as with a service
    inside = [False]

    def handler(signum, frame):
        if inside[0]:
            inside[0] = False
            gate.on_sigint(signum, frame)

    over = threading.Event()
    caught = 0

    def send():  # two that come before one was looked at are one
        end = time.monotonic() + 60
        while caught < 100 and time.monotonic() < end:
            time.sleep(0.004)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        over.set()

    before = signal.signal(signal.SIGINT, handler)
    thread = threading.Thread(target=send)
    thread.start()
    while not over.is_set():
        try:
            inside[0] = True
            w = torch.ones(4, requires_grad=True)
            for _ in range(100):
                (w * 2).exp().sum().backward()
            inside[0] = False
        except KeyboardInterrupt:
            caught += 1
    thread.join()
    signal.signal(signal.SIGINT, before)
    assert caught > 50
    events = tape.read(max(1, tape.seq - 20_000))
    assert [e.seq for e in events] == list(range(events[0].seq, tape.seq + 1))


def test_nobody_stops_where_nobody_answers(taped):
    _, gate = taped
    gate.attended = lambda: False
    gate.break_on_error = True
    gate.set_breakpoints([Breakpoint(1, op="exp")])
    torch.ones(2).exp()
    with pytest.raises(RuntimeError):
        torch.ones(2) @ torch.ones(3)
    assert gate.stops == 0 and gate.breakpoints[0].hits == 1


def test_another_thread_is_neither_traced_nor_stopped(taped):
    tape, gate = taped
    gate.set_breakpoints([Breakpoint(1, op="exp")])
    walk = Walk(gate)
    thread = threading.Thread(target=lambda: torch.ones(2).exp())
    thread.start()
    thread.join()
    assert not walk.stops and tape.seq == 0


def test_an_armed_breakpoint_elsewhere_costs_little(taped):
    """A breakpoint on another op, or in another module, is passed over in a few calls."""
    _, gate = taped
    x = torch.ones(4)

    def calls():
        seen = []
        sys.setprofile(lambda frame, event, arg: seen.append(event in ("call", "c_call")))
        for _ in range(100):
            x * 2
        sys.setprofile(None)
        return sum(seen) / 100

    before = calls()
    gate.set_breakpoints(
        [Breakpoint(1, op="exp", condition="nan"), Breakpoint(2, module="m.x", condition="nan")]
    )
    x * 2  # what is found out once
    assert calls() <= before + 4


def test_a_pause_does_not_stop_within_what_a_dataclass_is_made_of(taped):
    """Its ``__init__`` has the file name of ``python -c``."""
    _, gate = taped
    text = (
        "import dataclasses\n@dataclasses.dataclass\nclass Made:\n    a: int\n"
        "def run(gate):\n    gate.pause()\n    return Made(1)\n"
    )
    names = {"__name__": torch.optim.__name__}  # as if it stood in the framework
    exec(compile(text, torch.optim.__file__, "exec"), names)
    walk = Walk(gate)
    names["run"](gate)
    assert [stop.source.function for stop in walk.stops] == [
        "test_a_pause_does_not_stop_within_what_a_dataclass_is_made_of"
    ]
