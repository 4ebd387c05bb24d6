"""Forward hooks and backward hooks of modules."""

from __future__ import annotations

import pytest

import framework as torch
from framework import nn


class Pair(nn.Module):
    """Two inputs, one of which may be no tensor; two outputs."""

    def forward(self, x, y, factor=2):
        return x * factor, x * y


def test_forward_hooks_see_and_change() -> None:
    net, calls = nn.Identity(), []

    def before(module, args):
        calls.append("before")
        return args[0] + 1

    def after(module, args, output):
        calls.append(("after", args[0].item()))
        return output * 10

    net.register_forward_pre_hook(before)
    handle = net.register_forward_hook(after)
    assert net(torch.tensor(1.0)).item() == 20.0
    assert calls == ["before", ("after", 2.0)]
    handle.remove()
    assert net(torch.tensor(1.0)).item() == 2.0


def test_hooks_with_kwargs_and_their_order() -> None:
    net, order = Pair(), []

    def before(module, args, kwargs):
        return args, {"factor": kwargs["factor"] + 1}

    net.register_forward_pre_hook(before, with_kwargs=True)
    net.register_forward_hook(lambda m, a, k, out: order.append(k["factor"]), with_kwargs=True)
    net.register_forward_hook(lambda m, a, out: order.append("first"), prepend=True)
    out, _ = net(torch.tensor(1.0), torch.tensor(1.0), factor=4)
    assert out.item() == 5.0 and order == ["first", 5]

    net.register_forward_pre_hook(lambda m, a, k: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"must return None or a tuple of \(new_args"):
        net(torch.tensor(1.0), torch.tensor(1.0), factor=4)


def test_always_called_hook_runs_after_an_error() -> None:
    net, calls = nn.Linear(2, 2), []
    net.register_forward_hook(lambda m, a, out: calls.append(out), always_call=True)
    net.register_forward_hook(lambda m, a, out: calls.append("never"))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        net(torch.zeros(1, 3))
    assert calls == [None]


def test_full_backward_hook_sees_the_gradients() -> None:
    net, seen = Pair(), []
    net.register_full_backward_hook(lambda m, gin, gout: seen.append((gin, gout)))
    x = torch.tensor(3.0, requires_grad=True)
    y = torch.tensor(5.0, requires_grad=True)
    a, b = net(x, y, 2)
    (a * 7 + b).backward()
    [(gin, gout)] = seen
    assert [g.item() for g in gout] == [7.0, 1.0]
    assert gin[0].item() == 7 * 2 + 5 and gin[1].item() == 3.0 and gin[2] is None
    assert x.grad.item() == 19.0 and y.grad.item() == 3.0


def test_backward_hooks_change_gradients() -> None:
    net = nn.Identity()
    net.register_full_backward_pre_hook(lambda m, gout: (gout[0] * 10,))
    net.register_full_backward_hook(lambda m, gin, gout: (gin[0] + gout[0],))
    x = torch.tensor(1.0, requires_grad=True)
    net(x).backward()
    assert x.grad.item() == 20.0


def test_backward_hook_with_a_wrong_count() -> None:
    net = nn.Identity()
    net.register_full_backward_hook(lambda m, gin, gout: (gin[0], gin[0]))
    x = torch.tensor(1.0, requires_grad=True)
    with pytest.raises(RuntimeError, match="invalid number of grad_input, got 2, but expected 1"):
        net(x).backward()


def test_backward_hook_where_no_input_wants_a_gradient() -> None:
    net, seen = nn.Linear(2, 1), []
    net.register_full_backward_hook(lambda m, gin, gout: seen.append((gin, gout)))
    with pytest.warns(UserWarning, match="no inputs require gradients"):
        net(torch.ones(1, 2)).sum().backward()
    assert seen[0][0] == (None,) and seen[0][1][0].tolist() == [[1.0]]
    assert net.weight.grad is not None


def test_removed_backward_hook_costs_no_node() -> None:
    net = nn.Identity()
    net.register_full_backward_hook(lambda m, gin, gout: None).remove()
    x = torch.tensor(1.0, requires_grad=True)
    assert net(x) is x


def test_module_output_changed_in_place_after_the_hook() -> None:
    net, seen = nn.Identity(), []
    net.register_full_backward_hook(lambda m, gin, gout: seen.append(gout[0].item()))
    x = torch.tensor(2.0, requires_grad=True)
    y = net(x * 1.0)
    y.mul_(3.0)
    y.backward()
    assert x.grad.item() == 3.0 and seen == [3.0]


def test_hooks_in_a_trace() -> None:
    from framework.trace import recording

    net, seen = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), []
    net[1].register_full_backward_hook(lambda m, gin, gout: seen.append(len(gin)))
    with recording() as tape:
        net(torch.ones(1, 2)).sum().backward()
    assert seen == [1] and tape.open == []
    names = [e.name for e in tape.read() if type(e).__name__ == "NodeBegin"]
    assert names == ["sum", "backward_hook", "relu", "backward_hook", "linear"]
