"""Hooks on saved tensors and on several gradients, edges, writes to saved tensors."""

from __future__ import annotations

import gc

import pytest

import framework as torch
from framework.autograd import graph


def leaf(*values):
    return torch.tensor(list(values), requires_grad=True)


def test_saved_tensors_go_through_hooks():
    packed, unpacked = [], []

    def pack(t):
        packed.append((t.tolist(), t.requires_grad))
        return t.detach().clone()

    def unpack(t):
        unpacked.append(t.tolist())
        return t

    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0) * 2
    with graph.saved_tensors_hooks(pack, unpack):
        y = (a * b).exp()
    assert packed[:2] == [([1.0, 2.0], True), ([6.0, 8.0], True)] and len(packed) == 3
    (g,) = torch.autograd.grad(y.sum(), a, create_graph=True)
    assert torch.allclose(g, b * y) and g.requires_grad
    torch.autograd.grad(g.sum(), a)
    assert len(unpacked) >= 3


def test_what_several_rules_of_a_node_ask_for_is_unpacked_once_in_a_pass():
    packed, unpacked = [], []
    x, w = torch.ones(2, 3, requires_grad=True), torch.ones(4, 3, requires_grad=True)
    with graph.saved_tensors_hooks(
        lambda t: packed.append(t) or t, lambda t: unpacked.append(t) or t
    ):
        y = torch.nn.functional.linear(x, w, torch.ones(4, requires_grad=True))
    assert len(packed) == 2
    y.sum().backward(retain_graph=True)
    assert len(unpacked) == 2
    y.sum().backward()
    assert len(unpacked) == 4
    assert torch.equal(w.grad, torch.full((4, 3), 4.0))


def test_only_the_innermost_hooks_pack():
    seen = []
    outer = graph.saved_tensors_hooks(lambda t: seen.append("outer") or t, lambda t: t)
    inner = graph.saved_tensors_hooks(lambda t: seen.append("inner") or t, lambda t: t)
    x = leaf(1.0)
    with outer:
        with inner:
            x.exp()
        x.exp()
    x.exp()
    assert seen == ["inner", "outer"]


def test_hooks_and_functions():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x * x
            ctx.save_for_backward(x, y)
            return y

        @staticmethod
        def backward(ctx, g):
            x, y = ctx.saved_tensors
            assert y.tolist() == [9.0]
            return 2 * x * g

    count = [0]

    def pack(t):
        count[0] += 1
        return t.tolist()

    x = leaf(3.0)
    with graph.saved_tensors_hooks(pack, torch.tensor):
        y = Square.apply(x)
    y.backward()
    assert x.grad.tolist() == [6.0] and count == [2]


def test_bad_hooks():
    x = leaf(1.0)
    with graph.saved_tensors_hooks(lambda t: 1, lambda t: t):
        y = x.exp()
    with pytest.raises(TypeError, match="unpack_hook expected to be a Tensor"):
        y.backward()
    with (
        graph.saved_tensors_hooks(lambda t: t.mul_(2), lambda t: t),
        pytest.raises(RuntimeError, match="modifying its input in place"),
    ):
        x.exp()
    with (
        graph.disable_saved_tensors_hooks("not here"),
        pytest.raises(RuntimeError, match="not here"),
        graph.saved_tensors_hooks(lambda t: t, lambda t: t),
    ):
        pass


def test_save_on_cpu_is_a_copy():
    x = leaf(2.0)
    with graph.save_on_cpu():
        b = x.clone()
        y = b * b
    with torch.no_grad():
        b.zero_()
    y.backward()
    assert x.grad.tolist() == [4.0]


def test_nodes_do_not_live_in_cycles():
    x = leaf(1.0)
    gc.collect()
    with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        y = x.exp().sin()
    del y
    assert gc.collect() == 0


def test_edges_stand_for_tensors():
    x = leaf(1.0, 2.0)
    y = x * 3
    edge = graph.get_gradient_edge(y)
    z = (y * y).sum()
    (g,) = torch.autograd.grad(z, edge, retain_graph=True)
    assert g.tolist() == [6.0, 12.0]
    (g,) = torch.autograd.grad(graph.get_gradient_edge(z), x, torch.tensor(1.0), retain_graph=True)
    assert g.tolist() == [18.0, 36.0]
    (g,) = torch.autograd.grad(z, graph.get_gradient_edge(x))
    assert g.tolist() == [18.0, 36.0]
    assert isinstance(z.grad_fn, graph.Node)
    assert isinstance(graph.get_gradient_edge(x).node, graph.Node)
    with pytest.raises(RuntimeError, match="does not require gradients"):
        graph.get_gradient_edge(torch.ones(1))


def test_multi_grad_hooks():
    a, b, c = leaf(1.0), leaf(2.0), leaf(3.0)
    calls = []
    handle = graph.register_multi_grad_hook([a, b, c], lambda gs: calls.append(gs))
    (a * b).backward()
    assert len(calls) == 1 and [g and g.item() for g in calls[0]] == [2.0, 1.0, None]
    torch.autograd.grad(a * b * c, [a, c])
    assert [g and g.item() for g in calls[1]] == [6.0, None, 2.0]
    handle.remove()
    (a * b).backward()
    assert len(calls) == 2
    first = []
    graph.register_multi_grad_hook([a, b], first.append, mode="any")
    (a * b).backward()
    assert len(first) == 1


def test_hooks_at_the_end_of_the_graph():
    x = leaf(1.0)
    end = x.expand(1).grad_fn.next_functions[0][0]
    seen = []
    end.register_prehook(lambda gs: (gs[0] * 2,))
    end.register_hook(lambda ins, outs: seen.append(outs[0].item()))
    (x * 3).backward()
    assert x.grad.tolist() == [6.0] and seen == [6.0]


def test_what_a_node_has_saved():
    x, y = leaf(1.0), leaf(5.0)
    node = (x * y).grad_fn
    assert node._saved_self is x and node._saved_other is y
    assert x.exp().grad_fn._saved_result.item() == pytest.approx(2.718281, 1e-5)
    node.metadata["note"] = 1
    assert node.metadata == {"note": 1}
    with pytest.raises(AttributeError):
        node._saved_nothing


def test_writes_to_what_was_saved():
    x = leaf(2.0)
    with graph.allow_mutation_on_saved_tensors():
        b = x.clone()
        y, z = b * b, b.exp()
        b.mul_(10)
        z.add_(1)
        (y + z).backward()
    assert x.grad.item() == pytest.approx(4 + 7.389056, 1e-5)
    b = leaf(2.0).clone()
    y = b * b
    graph.increment_version(b)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_batched_gradients():
    x = leaf(1.0, 2.0)
    y = x.sin() * x[0]
    rows = torch.autograd.grad(y, x, torch.eye(2), is_grads_batched=True, retain_graph=True)[0]
    for i in range(2):
        assert torch.allclose(rows[i], torch.autograd.grad(y[i], x, retain_graph=True)[0])
    unused = leaf(1.0)
    found = torch.autograd.grad(
        y, [x, unused], torch.eye(2), is_grads_batched=True, allow_unused=True
    )
    assert found[1] is None
    with pytest.raises(RuntimeError, match="is_grads_batched=True"):
        torch.autograd.grad(x * 2, x, torch.ones(2), is_grads_batched=True)


def test_hooks_of_one_saved_tensor():
    x = leaf(0.5, 1.0)
    y = x.exp()
    saved = y.grad_fn._raw_saved_result
    saved.register_hooks(lambda t: t.tolist(), lambda kept: torch.tensor(kept) * 3)
    with pytest.raises(RuntimeError, match="hooks have already been set"):
        saved.register_hooks(lambda t: t, lambda t: t)
    assert torch.allclose(y.grad_fn(torch.ones(2)), x.exp() * 3)
    y.sum().backward()
    assert torch.allclose(x.grad, x.exp() * 3)
    with pytest.raises(RuntimeError, match="after they have already been freed"):
        y.grad_fn._raw_saved_result.register_hooks(lambda t: t, lambda t: t)


@pytest.mark.parametrize(
    ("hook", "kind", "message"),
    [
        (lambda g: "text", TypeError, "expected Variable, but hook returned 'str'"),
        (lambda g: g.double(), RuntimeError, "changed the type of value .was torch.FloatTensor"),
        (lambda g: g[:1], RuntimeError, "changed the size of value"),
    ],
)
def test_what_hooks_on_tensors_may_return(hook, kind, message):
    for tensor in (leaf(1.0, 2.0), leaf(1.0, 2.0) * 2):
        tensor.register_hook(hook)
        with pytest.raises(kind, match=message):
            (tensor * 3).sum().backward()


def test_a_prehook_returns_as_many_gradients():
    y = leaf(1.0).exp()
    y.grad_fn.register_prehook(lambda grads: grads + grads)
    with pytest.raises(RuntimeError, match=r"incorrect number of values \(got 2, but expected 1\)"):
        y.sum().backward()
