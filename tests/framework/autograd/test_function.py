"""Functions written by hand: gradients, what they save, writes in place, and their trace."""

from __future__ import annotations

import gc
import weakref

import pytest

import framework as torch
from framework.autograd import Function, grad, gradcheck, gradgradcheck, once_differentiable
from framework.trace.sink import recording


def leaf(*values):
    return torch.tensor(list(values), dtype=torch.float64, requires_grad=True)


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class Scale(Function):
    """The newer style; an argument that is no tensor; attributes of every name on ctx."""

    @staticmethod
    def forward(x, factor):
        return x * factor

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.op, ctx.meta, ctx.saved, ctx.shape, ctx.edges = inputs[1], 1, 2, 3, 4

    @staticmethod
    def backward(ctx, g):
        return g * ctx.op, None


class DivMod(Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, None, b)
        q = (a / b).floor()
        r = a - q * b
        ctx.mark_non_differentiable(q)
        ctx.seen = []
        return q, r

    @staticmethod
    def backward(ctx, gq, gr):
        a, nothing, b = ctx.saved_tensors
        assert nothing is None and gq is not None and gq.tolist() == [0] * gq.numel()
        return gr, -gr * (a / b).floor()


def test_first_and_second_order():
    x = leaf(0.3, -1)
    assert gradcheck(Exp.apply, x) and gradgradcheck(Exp.apply, x)
    assert gradcheck(lambda x: Scale.apply(x, 3.0), x)


def test_several_outputs_one_without_a_gradient():
    a, b = leaf(7, 8), leaf(2, 3)
    q, r = DivMod.apply(a, b)
    assert not q.requires_grad and r.requires_grad and q.grad_fn is None
    r.sum().backward()
    assert a.grad.tolist() == [1, 1] and b.grad.tolist() == [-3, -2]


def test_needs_input_grad_and_the_node():
    class Probe(Function):
        @staticmethod
        def forward(ctx, a, b, c):
            ctx.note = ctx.needs_input_grad
            assert not torch.is_grad_enabled()
            return a + b

        @staticmethod
        def backward(ctx, g):
            return g, g, None

    y = Probe.apply(leaf(1), torch.ones(1, dtype=torch.float64), "c")
    assert y.grad_fn.note == (True, False, False)
    assert y.grad_fn.name() == "ProbeBackward" and "ProbeBackward" in repr(y.grad_fn)
    with torch.no_grad():
        assert Probe.apply(leaf(1), leaf(1), 0).grad_fn is None


def test_gradients_that_did_not_come_can_stay_none():
    class Two(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, a, b):
            assert b is None
            return a

    x = leaf(1)
    Two.apply(x)[0].backward()
    assert x.grad.tolist() == [1]


def test_a_write_in_place_that_is_marked():
    class Double(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = leaf(1, 2)
    h = x * 3
    out = Double.apply(h)
    assert out is h
    (h * h).sum().backward()
    assert x.grad.tolist() == [72, 144]  # h = 6 x
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        Double.apply(leaf(1))

    base = leaf(1, 2) * 1
    view = base[0:1]
    Double.apply(view)
    (g,) = grad(base.sum(), base)
    assert g.tolist() == [1, 1] and base.tolist() == [2, 2]


def test_an_input_that_is_returned_gets_a_history_of_its_own():
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 7

    x = leaf(1)
    y = Same.apply(x)
    assert y is not x and x.is_leaf
    y.backward()
    assert x.grad.tolist() == [7]


@pytest.mark.parametrize(
    ("result", "kind", "message"),
    [
        (lambda g: (g, g), RuntimeError, r"incorrect number of gradients \(expected 1, got 2\)"),
        (lambda g: 3.0, RuntimeError, "expected Variable or None"),
        (lambda g: torch.ones(5, dtype=torch.float64), RuntimeError, "invalid gradient at index 0"),
    ],
)
def test_a_wrong_backward_is_named(result, kind, message):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return result(g)

    with pytest.raises(kind, match=message) as caught:
        Wrong.apply(leaf(1, 2)).sum().backward()
    assert "Wrong" in str(caught.value)


def test_missing_methods():
    class Nothing(Function):
        pass

    with pytest.raises(NotImplementedError, match="must implement the forward"):
        Nothing.apply(leaf(1))


def test_saved_tensors_are_checked_and_freed():
    x = leaf(1)
    y = Exp.apply(x)
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        y.backward()
    y = Exp.apply(x)
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
    with pytest.raises(TypeError, match="argument 0 is of type int"):

        class SavesInt(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(3)
                return x * 1

        SavesInt.apply(x)


def test_no_reference_cycle_through_a_saved_output():
    gc.collect()
    gc.disable()
    try:
        y = Exp.apply(leaf(1))
        node, data = weakref.ref(y.grad_fn), weakref.ref(y)
        del y
        assert node() is None and data() is None
    finally:
        gc.enable()


def test_a_long_chain_of_functions():
    x = leaf(1)
    y = x
    for _ in range(20_000):
        y = Scale.apply(y, 1.0)
    y.backward()
    assert x.grad.tolist() == [1]


def test_once_differentiable():
    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            assert not torch.is_grad_enabled()
            return 2 * g * ctx.saved_tensors[0]

    x = leaf(3)
    assert grad(Square.apply(x), x)[0].tolist() == [6]
    (g,) = grad(Square.apply(x) * x, x, create_graph=True)
    with pytest.raises(RuntimeError, match="marked with @once_differentiable"):
        g.backward()


# -- the trace -------------------------------------------------------------------------------


def balanced(events):
    """Checks that begins and ends nest; returns (name, error) of each container's end."""
    open_, ended = [], []
    for e in events:
        kind = type(e).__name__
        if kind.endswith("Begin"):
            open_.append(e)
        elif kind.endswith("End"):
            begin = open_.pop()
            assert begin.seq == e.begin, (begin, e)
            ended.append((getattr(begin, "name", kind[:-3]), e.error))
    assert not open_
    return ended


def test_a_function_is_a_container_of_the_trace():
    x = leaf(1)
    with recording() as tape:
        y = Exp.apply(x)
        y.backward()
    events = tape.read()
    ended = balanced(events)
    assert ended == [("Exp", ""), ("Exp", ""), ("Backward", "")]
    begin = next(e for e in events if type(e).__name__ == "OpBegin")
    node = next(e for e in events if type(e).__name__ == "NodeBegin")
    assert node.forward == begin.seq and node.source.line == begin.source.line > 0
    ops = [e for e in events if type(e).__name__ == "Op"]
    assert [e.name for e in ops] == ["exp", "mul"]
    assert ops[0].outputs[0].id in ops[1].inputs  # the saved output is the one that was made
    assert [e.parent for e in events if type(e).__name__ == "Op"] == [begin.seq, node.seq]


@pytest.mark.parametrize("where", ["forward", "backward", "tensor hook", "leaf hook", "node hook"])
def test_the_trace_is_balanced_when_an_exception_flies(where):
    class Fails(Function):
        @staticmethod
        def forward(ctx, x):
            if where == "forward":
                raise KeyError(where)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            if where == "backward":
                raise KeyError(where)
            return g

    def fail(*args):
        raise KeyError(where)

    x = leaf(1)
    with recording() as tape:
        with pytest.raises(KeyError):
            h = x * 1
            y = Fails.apply(h)
            if where == "tensor hook":
                h.register_hook(fail)
            if where == "leaf hook":
                x.register_hook(fail)
            if where == "node hook":
                h.grad_fn.register_hook(fail)
            y.backward()
        (leaf(1) * 2).backward()
    ended = balanced(tape.read())
    assert any(error.startswith("KeyError") for _, error in ended)
    assert ended[-1] == ("Backward", "") and tape.phase == "forward" and tape.module == ""


def test_an_error_in_backward_says_where_forward_was():
    x = leaf(1)

    class Fails(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise KeyError("oh")

    with recording(), pytest.raises(KeyError) as caught:
        Fails.apply(x).backward()
    (note,) = caught.value.__notes__
    assert "forward op: Fails" in note and "test_function.py, line" in note


def test_a_pass_inside_another_keeps_the_phase():
    x = leaf(2)
    phases = []
    with recording() as tape:

        def nested(g):
            with torch.enable_grad():
                z = leaf(3)
                (z * z).backward()
            phases.append(tape.phase)

        y = x * 2
        y.register_hook(nested)
        y.backward()
    assert phases == ["backward"] and tape.phase == "forward"
    balanced(tape.read())


def test_a_class_made_in_a_function_goes_with_it():
    def use():
        class Double(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return g * 2

        x = torch.ones(2, requires_grad=True)
        Double.apply(x).sum().backward()
        assert x.grad.tolist() == [2.0, 2.0]
        return weakref.ref(Double)

    gone = use()
    gc.collect()
    assert gone() is None


def test_a_backward_is_called_although_no_gradient_arrived():
    """As in PyTorch: with zeros, or with None if it asked for that."""
    seen = []

    class Nothing(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return None

    class Looks(Function):
        @staticmethod
        def forward(ctx, x, materialize):
            ctx.set_materialize_grads(materialize)
            return x * 2

        @staticmethod
        def backward(ctx, g):
            seen.append(g)
            return g, None

    for materialize in (True, False):
        x = torch.ones(2, requires_grad=True)
        Nothing.apply(Looks.apply(x, materialize)).sum().backward()
        assert (x.grad is None) is not materialize
    assert seen[0].tolist() == [0, 0] and seen[1] is None
