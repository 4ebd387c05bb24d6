"""Raw tuples to typed events: complete, bounded, and without running a model's code."""

from __future__ import annotations

import inspect
import sys

import numpy as np
import pytest

import framework as torch
from framework.trace import recording, records
from framework.trace.events import (
    BackwardBegin,
    Grad,
    Leaf,
    Mark,
    NodeBegin,
    NodeEnd,
    Op,
    Write,
    decode_events,
    encode_events,
)
from framework.trace.reader import describe, short, source_of, typed


def _line() -> int:
    """The line of the caller."""
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None
    return frame.f_back.f_lineno


def _of(events, kind):
    return [e for e in events if isinstance(e, kind)]


def test_an_op_is_complete():
    with recording() as tape:
        x = torch.ones(2, 3, requires_grad=True)
        y = x * 2.5
        line = _line() - 1
    op = _of(tape.read(), Op)[-1]
    assert op.name == "mul"
    assert op.inputs == (x._id, 0)
    assert op.meta == {"arg1": "2.5"}
    assert [(m.id, m.shape, m.dtype, m.device, m.requires_grad) for m in op.outputs] == [
        (y._id, (2, 3), "float32", "cpu", True)
    ]
    assert op.source.line == line
    assert op.source.file == __file__
    assert op.source.function == "test_an_op_is_complete"
    assert op.node == op.seq
    assert op.phase == "forward" and op.error == "" and op.duration > 0


def test_backward_is_linked_to_forward():
    w = torch.ones(3, requires_grad=True)
    with recording() as tape:
        loss = (w * w).sum()
        loss.backward()
        loss = (w * 2).sum()
        loss.backward()
    events = tape.read()
    ops = {e.seq: e for e in _of(events, Op) if e.phase == "forward"}
    nodes = _of(events, NodeBegin)
    assert [n.name for n in nodes] == ["sum", "mul", "sum", "mul"]
    for node in nodes:
        assert ops[node.forward].name == node.name
        assert ops[node.forward].node == node.node
        assert ops[node.forward].source == node.source
    assert _of(events, BackwardBegin)[0].roots == (ops[nodes[0].forward].outputs[0].id,)
    first, second = _of(events, Grad)
    assert (first.leaf, first.name, first.first) == (w._id, "w", True)
    assert second.first is False and second.total.id == w.grad._id
    ends = {e.begin: e for e in _of(events, NodeEnd)}
    assert ends[nodes[0].seq].grad_out[0].shape == (3,)


def test_the_node_of_a_custom_function_says_which_gradient_came_in():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * g * x

    for keep in ("none", "all"):
        with recording(keep=keep) as tape:
            (Square.apply(torch.ones(2, requires_grad=True)) * 3).sum().backward()
        nodes = {node.name: node for node in _of(tape.read(), NodeBegin)}
        (came,) = nodes["Square"].grad_in
        assert came.shape == (2,) and came.id
        sent = {e.begin: e.grad_out[0].id for e in _of(tape.read(), NodeEnd)}
        assert came.id == sent[nodes["mul"].seq]


def test_seqs_are_consecutive_and_begins_have_ends():
    with recording() as tape:
        w = torch.ones(3, requires_grad=True)
        for _ in range(3):
            (w * 2).exp().sum().backward()
        with pytest.raises(RuntimeError):
            torch.ones(3) @ torch.ones(4)
    events = tape.read()
    assert [e.seq for e in events] == list(range(1, tape.seq + 1))
    open_, closed = [], 0
    for e in events:
        if type(e).__name__.endswith("Begin"):
            open_.append(e.seq)
        elif type(e).__name__.endswith("End"):
            assert open_.pop() == e.begin
            closed += 1
    assert not open_ and closed
    assert "RuntimeError" in _of(events, Op)[-1].error
    assert _of(events, Op)[-1].outputs == ()


def test_events_survive_the_wire():
    with recording() as tape:
        w = torch.ones(3, requires_grad=True)
        (w * 2).sum().backward()
        tape.mark("a mark")
        with torch.no_grad():
            w += 1
    events = tape.read()
    assert decode_events(encode_events(events)) == events
    assert {type(e) for e in events} >= {Leaf, Op, NodeBegin, NodeEnd, Grad, Mark, Write}


class _Hostile:
    def __repr__(self) -> str:
        raise AssertionError("reading a trace must not run this")

    __str__ = __repr__

    def __getattr__(self, name: str):
        raise AssertionError("nor this")


@pytest.mark.parametrize(
    "value, text",
    [
        (3, "3"),
        (2.0, "2.0"),
        (True, "True"),
        (None, "None"),
        (..., "..."),
        ("a\nb", "'a\\nb'"),
        ((1,), "(1,)"),
        ([1, [2, (3, [4])]], "[1, [2, (3, […])]]"),
        ({"a": 1}, "{'a': 1}"),
        (slice(1, None, 2), "1::2"),
        (np.float32(1.5), "1.5"),
        (np.dtype("int64"), "int64"),
        (np.zeros((2, 3)), "array [2, 3] float64"),
        (torch.float32, "float32"),
        (torch.device("cpu"), "cpu"),
        (b"1234", "4 bytes"),
        (len, "len"),
        (int, "int"),
    ],
)
def test_values_are_short_texts(value, text):
    assert short(value) == text


def test_no_code_of_a_value_runs():
    assert short(_Hostile()) == "<_Hostile>"
    assert short([_Hostile()]) == "[<_Hostile>]"


def test_texts_are_bounded():
    many = dict.fromkeys(range(1000), "y" * 100)
    for value in ("x" * 10**6, list(range(10**5)), 10**1000, many):
        assert len(short(value)) <= 60
    endless: list[object] = []
    endless.append(endless)
    assert len(short(endless)) <= 60


def test_tensors_are_described_by_shape_and_a_single_value():
    assert describe(torch.ones(2, 3)) == "[2, 3] float32"
    assert describe(torch.tensor(2.5)) == "2.5 float32"
    assert describe(torch.tensor([7])) == "7 [1] int64"
    assert short(torch.ones(4)) == "[4] float32"


def test_source_of_is_remembered_by_code_object():
    code = compile("a = 1\nb = 2\n", "<cell x>", "exec")
    first = source_of(code, 0)
    assert first is source_of(code, 0)
    assert (first.file, source_of(None, None).line) == ("<cell x>", 0)
    other = compile("\n\nc = 3\n", "<cell y>", "exec")
    assert source_of(other, len(other.co_code) - 2).line == 3


def test_a_ring_that_ran_over_gives_what_is_left():
    with recording(capacity=16) as tape:
        x = torch.ones(2)
        for _ in range(50):
            x = x + 1
    events = tape.read()
    assert len(events) == 16
    assert events[-1].seq == tape.seq and events[0].seq == tape.first_seq
    assert tape.raw(1) is None


def test_reading_needs_no_framework_class():
    """A typed record holds plain data only."""
    with recording() as tape:
        torch.ones(2) * 2
    for event in tape.read():
        for value in (getattr(event, f) for f in event.__struct_fields__):
            module = type(value).__module__
            assert module in ("builtins", "framework.trace.events"), (event, value)


def test_the_trace_module_is_lazy():
    """`import framework` loads the recorder and nothing of the wire."""
    import subprocess

    code = (
        "import sys, framework, framework.trace;"
        "print([m for m in sys.modules if m in ('msgspec', 'socket', 'selectors')"
        " or m.startswith('framework.trace.')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "msgspec" not in out.stdout and "selectors" not in out.stdout
    assert "framework.trace.sink" in out.stdout and "framework.trace.reader" not in out.stdout


def test_every_kind_has_a_reader():
    kinds = {
        value
        for name, value in vars(records).items()
        if name.isupper() and isinstance(value, int) and not name.startswith("_")
    }
    from framework.trace.reader import _READERS

    packed = {records.CALL, records.NODE}  # in the ring only: `Recorder.raw` unpacks them
    assert kinds == set(_READERS) | packed
    assert typed((1, 2, records.MARK, "x")) == Mark(1, 2, "x")


def test_nodes_of_a_write_through_a_view_are_linked_to_it():
    """Also the ones that autograd makes of a view whose memory was written since."""
    w = torch.ones(3, requires_grad=True)
    with recording() as tape:
        h = w * 2
        part = h[1:]
        h[0] = 7.0
        part.mul_(w[1:])
        (part.sum() + h.sum()).backward()
    events = tape.read()
    ops = {e.seq: e for e in _of(events, Op) if e.phase == "forward"}
    linked = [(n.name, ops[n.forward].name) for n in _of(events, NodeBegin) if n.forward in ops]
    assert len(linked) == len(_of(events, NodeBegin)), "each has its op"
    assert {("copy", "copy_"), ("view_scatter", "copy_"), ("mul", "mul_"), ("mul", "mul"),
            ("view_scatter", "mul_"), ("getitem", "getitem")} <= set(linked), linked  # fmt: skip
    for node in _of(events, NodeBegin):
        assert node.source.line == ops[node.forward].source.line > 0
        wide = (3,) if node.name == "view_scatter" else ops[node.forward].outputs[0].shape
        assert node.grad_in[0].shape == wide, node
    assert w.grad.tolist() == [0.0, 8.0, 8.0]
