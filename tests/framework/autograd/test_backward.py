"""backward and grad over the engine: what they compute, keep, free and refuse."""

from __future__ import annotations

import gc
import weakref
from types import MappingProxyType

import numpy as np
import pytest

import framework as torch
from framework.autograd import backward, grad


def leaf(*values):
    return torch.tensor(list(values), dtype=torch.float64, requires_grad=True)


# -- roots -----------------------------------------------------------------------------------


def test_a_scalar_starts_from_one():
    x = leaf(1, 2, 3)
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 4, 6]


def test_anything_else_needs_a_gradient():
    x = leaf(1, 2)
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar"):
        (x * 2).backward()
    (x * 2).backward(torch.tensor([1.0, 10.0], dtype=torch.float64))
    assert x.grad.tolist() == [2, 20]


def test_the_gradient_must_have_the_shape_of_its_root():
    x = leaf(1, 2)
    with pytest.raises(
        RuntimeError,
        match=r"Mismatch in shape: grad_output\[0\] has a shape of torch.Size\(\[3\]\) and "
        r"output\[0\] has a shape of torch.Size\(\[2\]\)",
    ):
        (x * 2).backward(torch.ones(3))


def test_a_root_without_history_is_refused():
    with pytest.raises(
        RuntimeError,
        match="element 0 of tensors does not require grad and does not have a grad_fn",
    ):
        torch.ones(1).backward()


def test_several_roots_add_up():
    x = leaf(1, 2)
    backward([x.sum(), x * 3], [None, torch.ones(2, dtype=torch.float64)])
    assert x.grad.tolist() == [4, 4]
    with pytest.raises(RuntimeError, match="got 2 tensors and 1 gradients"):
        backward([x.sum(), x.sum()], [None])


def test_a_leaf_can_be_the_root():
    x = leaf(3)
    x.backward()
    assert x.grad.tolist() == [1]
    assert grad(x, x)[0].tolist() == [1]


# -- leaves ----------------------------------------------------------------------------------


def test_gradients_accumulate_over_passes_and_uses():
    x = leaf(2)
    y = x * x + x * 3 + x
    y.backward(retain_graph=True)
    assert x.grad.tolist() == [8]
    first = x.grad
    y.backward()
    assert x.grad is first and first.tolist() == [16]


def test_leaves_that_get_the_same_gradient_do_not_share_it():
    x, y = leaf(1, 2), leaf(3, 4)
    start = torch.ones(2, dtype=torch.float64)
    (x + y).backward(start)
    x.grad.mul_(5)
    assert y.grad.tolist() == [1, 1] and start.tolist() == [1, 1]


def test_what_a_hook_kept_is_not_changed_by_later_passes():
    x = leaf(1)
    kept = []
    x.register_hook(kept.append)
    for _ in range(2):
        (x * 2).sum().backward()
    assert [g.tolist() for g in kept] == [[2], [2]] and x.grad.tolist() == [4]


def test_only_inputs_get_a_gradient():
    x, w = leaf(2), leaf(3)
    h = x * w
    (h * h).sum().backward(inputs=[w])
    assert x.grad is None and w.grad.tolist() == [24]
    h = x * w
    h.retain_grad()
    (h * h).sum().backward(inputs=[h])
    assert h.grad.tolist() == [12] and x.grad is None
    with pytest.raises(RuntimeError, match="cannot be empty"):
        (x * w).backward(inputs=[])


def test_grad_leaves_the_leaves_alone():
    x, w = leaf(2), leaf(3)
    h = x * w
    gx, gh = grad((h * h).sum(), [x, h])
    assert (gx.tolist(), gh.tolist(), x.grad) == ([36], [12], None)


def test_unused_inputs():
    x, y = leaf(2), leaf(1, 2)
    with pytest.raises(RuntimeError, match="appears to not have been used in the graph"):
        grad(x.sum(), [x, y], retain_graph=True)
    assert grad(x.sum(), [x, y], allow_unused=True)[1] is None
    assert grad(x.sum(), [x, y], materialize_grads=True)[1].tolist() == [0, 0]
    with pytest.raises(RuntimeError, match="does not require grad"):
        grad(x.sum(), torch.ones(1))
    with pytest.raises(ValueError, match="materialize_grads"):
        grad(x.sum(), y, allow_unused=False, materialize_grads=True)


def test_a_branch_that_is_not_asked_for_does_not_run():
    x, y = leaf(2), leaf(3)
    ran = []
    a, b = x * 2, y * 2
    a.grad_fn.register_hook(lambda gi, go: ran.append("a"))
    b.grad_fn.register_hook(lambda gi, go: ran.append("b"))
    grad((a * b).sum(), x)
    assert ran == ["a"]


def test_retain_grad_of_what_lies_between():
    x = leaf(2)
    h = x * 3
    h.retain_grad()
    assert h.retains_grad and not x.retains_grad
    (h * h).sum().backward()
    assert h.grad.tolist() == [12]


def test_retain_grad_follows_a_write_in_place():
    x = leaf(2)
    h = x * 3
    h.retain_grad()
    h.mul_(2)
    (h * h).sum().backward()
    assert h.grad.tolist() == [24] and x.grad.tolist() == [144]


# -- the graph's memory ----------------------------------------------------------------------


def test_backward_twice_needs_retain_graph():
    x = leaf(2)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        y.backward()
    z = (x * x).sum()
    z.backward(retain_graph=True)
    z.backward()
    assert x.grad.tolist() == [12]


def test_a_saved_tensor_must_not_be_written():
    x = leaf(2)
    h = x * 3
    y = h * h
    h.add_(1)
    with pytest.raises(
        RuntimeError, match=r"modified by an inplace operation.*version 1; expected version 0"
    ):
        y.sum().backward()


def test_a_saved_output_must_not_be_written():
    x = leaf(2)
    y = x.exp()
    y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.fixture
def no_gc():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_the_graph_is_freed_without_the_garbage_collector(no_gc):
    x = leaf(1, 2)
    h = x.exp()
    y = (h * h).sum()
    arrays = weakref.ref(h.grad_fn), weakref.ref(y.grad_fn), weakref.ref(h)
    del h
    y.backward()
    assert arrays[2]() is None  # freed by the pass although y lives
    del y
    assert [r() for r in arrays] == [None] * 3


def test_a_graph_that_was_never_walked_is_freed_too(no_gc):
    x = leaf(1, 2)
    h = x.sigmoid()
    y = (h * h).view(2, 1).sum()
    nodes = weakref.ref(h.grad_fn), weakref.ref(y.grad_fn)
    del h, y
    assert [n() for n in nodes] == [None, None]


def test_a_second_order_graph_is_freed(no_gc):
    x = leaf(1, 2)
    (g,) = grad((x**3).sum(), x, create_graph=True)
    node = weakref.ref(g.grad_fn)
    grad(g.sum(), x)
    del g
    assert node() is None


def test_a_chain_of_100_000_ops_does_not_recurse():
    x = leaf(1)
    y = x
    for _ in range(100_000):
        y = y * 1.0
    end = weakref.ref(y.grad_fn)
    y.backward()
    assert x.grad.tolist() == [1]
    del y
    assert end() is None


def test_a_chain_that_is_dropped_unused():
    x = leaf(1)
    y = x
    for _ in range(100_000):
        y = y.sin()
    end = weakref.ref(y.grad_fn)
    del y
    assert end() is None


# -- hooks -----------------------------------------------------------------------------------


def test_tensor_hooks_see_and_replace_gradients():
    x = leaf(1, 2)
    h = x * 3
    seen = []
    h.register_hook(lambda g: seen.append(g.tolist()))
    handle = h.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    h.sum().backward(retain_graph=True)
    assert seen == [[1, 1]] and x.grad.tolist() == [31, 31]
    handle.remove()
    x.grad = None
    h.sum().backward()
    assert x.grad.tolist() == [4, 4]


def test_a_leafs_hook_runs_once_with_the_sum():
    x = leaf(1)
    seen = []
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x * 2 + x * 3).backward()
    assert seen == [[5]]


def test_node_hooks():
    x = leaf(2)
    y = x * 3
    y.grad_fn.register_prehook(lambda grads: (grads[0] * 2,))
    y.grad_fn.register_hook(lambda ins, outs: tuple(None if g is None else g * 5 for g in ins))
    y.backward()
    assert x.grad.tolist() == [30]


def test_post_accumulate_hooks_can_use_up_the_gradient():
    x = leaf(1)

    def apply_at_once(p):
        with torch.no_grad():
            p.sub_(p.grad)
        p.grad = None

    x.register_post_accumulate_grad_hook(apply_at_once)
    (x * 2).backward()
    assert x.tolist() == [-1] and x.grad is None


# -- higher order ----------------------------------------------------------------------------


def test_create_graph_gives_derivatives_of_any_order():
    x = leaf(0.7)
    g = x.sin()
    expected = [np.cos(0.7), -np.sin(0.7), -np.cos(0.7), np.sin(0.7)]
    for value in expected:
        (g,) = grad(g, x, create_graph=True)
        np.testing.assert_allclose(g.tolist(), [value])


def test_a_gradient_penalty():
    x, w = leaf(1, 2), leaf(3, 4)
    y = (w * x * x).sum()
    (g,) = grad(y, x, create_graph=True)  # 2 w x
    (g * g).sum().backward()  # 4 w^2 x^2
    np.testing.assert_allclose(w.grad.tolist(), [8 * 3 * 1, 8 * 4 * 4])


def test_backward_with_create_graph_makes_a_differentiable_grad():
    x = leaf(2)
    (x**3).backward(create_graph=True)
    assert x.grad.requires_grad
    g, x.grad = x.grad, None
    assert grad(g, x)[0].tolist() == [12]


def test_grad_mode_is_restored_when_a_hook_raises():
    x = leaf(2)
    y = x * 2

    def fail(g):
        raise KeyError("no")

    y.register_hook(fail)
    with pytest.raises(KeyError):
        y.backward()
    assert torch.is_grad_enabled()


def test_backward_within_backward():
    x = leaf(2)

    def nested(g):
        z = leaf(3)
        with torch.enable_grad():
            (z * z).sum().backward()
        return g * z.grad

    y = x * 1
    y.register_hook(nested)
    y.backward()
    assert x.grad.tolist() == [6]


# -- casts and broadcasts --------------------------------------------------------------------


def test_gradients_have_the_shape_and_type_of_their_leaf():
    x = torch.ones(3, 1, requires_grad=True)
    y = torch.ones(2, dtype=torch.float64, requires_grad=True)
    (x * y).sum().backward()
    assert x.grad.shape == (3, 1) and x.grad.dtype is torch.float32
    assert x.grad.tolist() == [[2]] * 3 and y.grad.tolist() == [3, 3]
    assert y.grad.dtype is torch.float64


def test_inputs_may_be_a_dict():
    net = torch.nn.Linear(2, 1)
    params = dict(net.named_parameters())
    loss = net(torch.ones(3, 2)).sum()
    found = torch.autograd.grad(loss, params, retain_graph=True)
    assert list(found) == ["weight", "bias"] and found["weight"].tolist() == [[3.0, 3.0]]
    torch.autograd.backward(loss, inputs={"bias": net.bias})
    assert net.weight.grad is None and net.bias.grad.tolist() == [3.0]
    with pytest.raises(TypeError, match="must be a dict, not mappingproxy"):
        torch.autograd.grad(net.bias.sum(), MappingProxyType(params))
    with pytest.raises(RuntimeError, match="cannot be empty"):
        torch.autograd.grad(net.bias.sum(), {})


def test_zeros_for_unused_inputs_want_a_gradient_if_the_others_do():
    x, y = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    for create in (False, True):
        unused = torch.autograd.grad((x * x).sum(), y, materialize_grads=True, create_graph=create)
        assert unused[0].requires_grad is create
    with pytest.warns(FutureWarning, match="only_inputs argument is deprecated"):
        torch.autograd.grad((x * x).sum(), x, only_inputs=False)


def test_a_post_accumulate_hook_may_give_back_its_leaf():
    """As in PyTorch's own example: methods in place do."""
    x = torch.zeros(2, requires_grad=True)
    x.register_post_accumulate_grad_hook(lambda p: p.sub_(p.grad))
    x.backward(torch.tensor([1.0, 2.0]))
    assert x.tolist() == [-1.0, -2.0]
