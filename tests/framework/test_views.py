"""Views, writes in place and version counters: values, gradients, and who raises."""

from __future__ import annotations

from inspect import currentframe

import numpy as np
import pytest

import framework as torch


@pytest.mark.parametrize("method", ["size", "stride"])
def test_sizes_and_strides_of_a_dimension_that_is_not_there(method: str) -> None:
    with pytest.raises(IndexError, match=r"expected to be in range of \[-2, 1\], but got 4"):
        getattr(torch.zeros(2, 3), method)(4)
    with pytest.raises(IndexError, match="Dimension specified as 0 but tensor has no dimensions"):
        getattr(torch.tensor(1.0), method)(0)


def test_views_share_memory_and_their_version() -> None:
    x = torch.zeros(2, 3)
    v = x.view(6)[1:4]
    v += 1
    assert x.tolist() == [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]
    assert x._version == v._version == 1
    assert x.t()[2, 0].item() == 1.0
    assert x.reshape(3, 2)._base is x
    assert x.t().reshape(6)._base is None  # had to copy


def test_a_write_through_a_view_reaches_the_base_s_gradient() -> None:
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x * 1
    y[1:].mul_(10)
    y[0] = 7.0
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 10.0, 10.0]


def test_a_view_taken_before_a_write_to_its_base_follows_it() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    base = x * 1
    view = base[0:1]
    base.mul_(5)
    assert view.requires_grad
    view.sum().backward()
    assert x.grad.tolist() == [5.0, 0.0]


def test_writing_a_value_with_history_into_plain_memory() -> None:
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    table = torch.zeros(3, 2)
    row = table[1]
    row.copy_(x * x)
    assert table.requires_grad and row.requires_grad
    (table * torch.arange(6.0).reshape(3, 2)).sum().backward()
    assert x.grad.tolist() == [8.0, 18.0]


def test_in_place_ops_keep_what_their_gradient_needs() -> None:
    x = torch.tensor([0.5, 1.5], requires_grad=True)
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    y = x * 1
    y *= w  # the gradient of w needs y's old value
    y.exp_()
    y.sum().backward()
    e = np.exp(np.array([1.5, 6.0]))
    np.testing.assert_allclose(x.grad._data, e * [3, 4], rtol=1e-6)
    np.testing.assert_allclose(w.grad._data, e * [0.5, 1.5], rtol=1e-6)


def test_a_saved_tensor_that_was_written_is_noticed() -> None:
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    z = y * y
    y.add_(1)
    words = r"modified by an inplace operation.*version 1; expected version 0"
    with pytest.raises(RuntimeError, match=words):
        z.sum().backward()
    e = (x * 2).exp()
    f = e.sum()
    e.add_(1)  # exp saved its output
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        f.backward()


def test_a_saved_tensor_written_through_an_alias_is_noticed() -> None:
    w = torch.ones(2, requires_grad=True)
    x = torch.ones(2)
    y = w * x
    x.detach().add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()
    y = w * x
    x.data.add_(1)  # .data hides the write, as in PyTorch
    y.sum().backward()
    assert w.grad.tolist() == [3.0, 3.0]


def test_leaves_that_want_a_gradient_cannot_be_written() -> None:
    w = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        w.add_(1)
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad"):
        w[0].add_(1)
    with pytest.raises(RuntimeError, match="a view of a leaf Variable"):
        w[0] = 1.0
    with torch.no_grad():
        w.add_(1)
        hidden = w[0:1]
    assert w.tolist() == [2.0, 2.0] and w.is_leaf
    assert hidden.requires_grad and hidden.is_leaf  # as in PyTorch: it says so, and ...
    (hidden * 2).sum().backward()
    assert hidden.grad is None and w.grad is None  # ... its gradient goes nowhere


def test_writes_from_parts_of_their_own_memory() -> None:
    x = torch.arange(6.0)
    x[:3].add_(x[3:])
    x.mul_(x)
    assert x.tolist() == [9.0, 25.0, 49.0, 9.0, 16.0, 25.0]
    for write in (
        lambda: x.add_(x[2]),
        lambda: x[:3].copy_(x[1:4]),
        lambda: x.view(1, 6).add_(x),
        lambda: x[0:2].__setitem__(slice(None), x[1:3]),
    ):
        with pytest.raises(RuntimeError, match="refer to a single memory location"):
            write()


def test_an_operand_that_is_written_is_no_longer_there_for_the_gradient() -> None:
    a = torch.ones(2, requires_grad=True) * 3
    a.mul_(a)
    with pytest.raises(RuntimeError, match="has been modified by an inplace operation"):
        a.sum().backward()
    b = torch.ones(2, requires_grad=True) * 3
    b.square_()  # as the written operand its old value is kept
    b.sum().backward()


def test_views_that_come_together_cannot_be_written() -> None:
    y = torch.ones(4, requires_grad=True) * 1
    for views in (y.split(2), y.chunk(2), y.unbind(0), tuple(y)):
        with pytest.raises(RuntimeError, match="returns multiple views"):
            views[0].mul_(2)
    first = y.chunk(2)[0]
    y.mul_(2)
    with pytest.raises(RuntimeError, match="its base or another view of its base"):
        first * 2


def test_a_view_made_without_grad_has_no_history_after_a_write() -> None:
    y = torch.ones(2, requires_grad=True) * 1
    with torch.no_grad():
        v = y[0:1]
        v.mul_(2)
    assert v.tolist() == [2.0]
    with pytest.raises(
        RuntimeError, match="its base or another view of its base has been modified"
    ):
        v * 2
    with pytest.raises(RuntimeError, match="created in no_grad mode and is being modified"):
        v.mul_(2)


def test_a_view_made_without_grad_cannot_be_written_with_it() -> None:
    y = torch.ones(2, requires_grad=True) * 1
    with torch.no_grad():
        v = y[0:1]
    with pytest.raises(RuntimeError, match="A view was created in no_grad mode"):
        v.mul_(2)


def test_setitem_with_masks_and_indices() -> None:
    x = torch.arange(6.0).reshape(2, 3).requires_grad_()
    y = x * 1
    y[y > 3] = 0.0
    y[:, [0, 2]] = torch.tensor([[9.0, 8.0]])
    assert y.tolist() == [[9.0, 1.0, 8.0], [9.0, 0.0, 8.0]]
    y.sum().backward()
    assert x.grad.tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]


def test_a_write_of_the_wrong_shape_changes_nothing() -> None:
    x = torch.zeros(2)
    with pytest.raises(RuntimeError, match=r"output with shape \[2\] doesn't match the broadcast"):
        x.add_(torch.ones(3, 2))
    with pytest.raises((IndexError, RuntimeError)):
        x[torch.tensor([5])] = 1.0
    assert x.tolist() == [0.0, 0.0] and x._version == 0


def test_out_of_range_and_bad_indices() -> None:
    x = torch.zeros(2, 3)
    with pytest.raises(IndexError, match="index 2 is out of bounds for dimension 0 with size 2"):
        x[2]
    with pytest.raises(IndexError, match="too many indices for tensor of dimension 2"):
        x[0, 0, 0]
    with pytest.raises(IndexError, match="must be long, int, byte or bool"):
        x[torch.tensor([0.5])]
    with pytest.raises(ValueError, match="step must be greater than zero"):
        x[::-1]
    assert [row.tolist() for row in x] == [[0.0] * 3] * 2


def test_random_programs_agree_with_functional_ones() -> None:
    """Programs of views and in-place writes against the same maths without any write."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        x = torch.tensor(rng.standard_normal((3, 4)), requires_grad=True)
        u = torch.tensor(rng.standard_normal((3, 4)), requires_grad=True)
        a, b = x * 1, x * 1
        for _ in range(4):
            i, j = sorted(rng.choice(5, 2, replace=False))
            kind = rng.integers(4)
            mask = torch.zeros(3, 4, dtype=torch.bool)
            mask._data[:, i:j] = True
            if kind == 0:
                a[:, i:j].mul_(u[:, i:j])
                b = torch.where(mask, b * u, b)
            elif kind == 1:
                a[:, i:j] = u[:, i:j].sin()
                b = torch.where(mask, u.sin(), b)
            elif kind == 2:
                a.t()[i:j].add_(a.t()[i:j].exp() * 0.1)
                b = torch.where(mask, b + b.exp() * 0.1, b)
            else:
                a.sin_()
                b = b.sin()
        v = torch.tensor(rng.standard_normal((3, 4)))
        ga = torch.autograd.grad((a * v).sum(), (x, u), allow_unused=True)
        gb = torch.autograd.grad((b * v).sum(), (x, u), allow_unused=True)
        np.testing.assert_allclose(a._data, b._data, rtol=1e-12)
        for p, q in zip(ga, gb):
            p = np.zeros((3, 4)) if p is None else p._data
            q = np.zeros((3, 4)) if q is None else q._data
            np.testing.assert_allclose(p, q, rtol=1e-10, atol=1e-12)


def test_an_expanded_tensor_cannot_be_written() -> None:
    x = torch.zeros(1, 3).expand(4, 3)
    with pytest.raises(RuntimeError, match=r"Please clone\(\) the tensor"):
        x.add_(1)
    x[0] = 1.0  # one row is, though all of them are the same
    assert x[3].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "call, name, shapes",
    [
        (lambda: torch.cat([torch.ones(2, 2), torch.ones(3, 3)], 1), "cat", "[2, 2] and [3, 3]"),
        (lambda: torch.ones(4).reshape(3, 3), "reshape", "[4]"),
        (lambda: torch.ones(2, 3) @ torch.ones(2, 3), "matmul", "[2, 3] and [2, 3]"),
        (lambda: torch.stack([torch.ones(2), torch.ones(3)]), "stack", "[2] and [3]"),
        (lambda: torch.ones(2) + torch.ones(3), "add", "[2] and [3]"),
        (lambda: torch.ones(4)[7], "__getitem__", "[4]"),
        (lambda: torch.nn.functional.layer_norm(torch.ones(2, 3), (4,)), "layer_norm", "[2, 3]"),
        (lambda: torch.bmm(torch.ones(2, 2), torch.ones(3)), "bmm", "[2, 2] and [3]"),
    ],
)  # fmt: skip
def test_a_shape_error_names_the_op_the_shapes_and_the_line(call, name, shapes) -> None:
    from framework.trace import recording

    with recording() as tape, pytest.raises((RuntimeError, IndexError)) as caught:
        call()
    line = call.__code__.co_firstlineno
    assert name in str(caught.value) and f"(shapes {shapes}" in str(caught.value)
    assert f"at test_views.py, line {line}" in str(caught.value)
    (failed,) = [e for e in tape.read() if type(e).__name__ == "Op" and e.error]
    assert failed.name == name and all(failed.inputs) and failed.source.line == line


def test_a_write_through_overlapping_strides_adds_up_in_the_gradient() -> None:
    x = torch.arange(4.0, requires_grad=True)
    windows = x.as_strided((3, 2), (1, 1))
    (windows * torch.tensor([[1.0, 10.0]])).sum().backward()
    assert x.grad.tolist() == [1.0, 11.0, 11.0, 10.0]

    x.grad = None
    base = x * 1
    even = base[1:].as_strided((2,), (2,), 0)  # reaches back before its input
    even.mul_(5)
    assert base.tolist() == [0.0, 1.0, 10.0, 3.0]
    base.sum().backward()
    assert x.grad.tolist() == [5.0, 1.0, 5.0, 1.0]


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t.diagonal(1),
        lambda t: t.unfold(1, 2, 2),
        lambda t: t.t().unfold(0, 2, 1)[:, 0],
        lambda t: t.transpose(0, 1).reshape(2, 2, 3),
        lambda t: t.unsqueeze(0).expand(5, 3, 4)[2],
        lambda t: t.view(torch.int64)[1:].view(torch.float64),
        lambda t: t.as_strided((2, 2), (5, 3), 1).t(),
    ],
)
def test_every_view_is_memory_of_its_base(view) -> None:
    x = torch.ones(3, 4, dtype=torch.float64)
    base = x.clone()
    part = view(base)
    assert part._base is base
    part.fill_(3.0)
    assert part._version == base._version == 1
    assert (base == 3.0).sum().item() == len({*np.flatnonzero(base._data == 3.0)}) > 0
    assert view(base).eq(3.0).all()


def test_a_base_of_any_layout_takes_gradients_back_through_its_views() -> None:
    u = torch.ones(3, 2, requires_grad=True)
    base = u.t().contiguous().t() * 1  # in Fortran's order, so that .t() is in C order
    base = torch.as_strided(base, (3, 2), base.stride())
    rows = base.t().reshape(-1)
    rows[:2].mul_(torch.tensor([2.0, 3.0]))
    (base * torch.arange(6.0).reshape(3, 2)).sum().backward()
    assert u.grad.tolist() == [[0.0, 1.0], [6.0, 3.0], [4.0, 5.0]]


def test_a_tensor_turned_in_place_leaves_its_old_views_as_they_were() -> None:
    x = torch.arange(6.0).reshape(2, 3).requires_grad_()
    y = x * 1
    row = y[0]
    assert y.t_() is y
    assert y.shape == (3, 2) and y._version == 1
    row.mul_(10)
    assert y[:, 0].tolist() == [0.0, 10.0, 20.0]
    (y * y).sum().backward()
    assert x.grad.tolist() == [[0.0, 200.0, 400.0], [6.0, 8.0, 10.0]]
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        x.t_()


def test_infinite_gradients_do_not_leak_where_a_view_was_written() -> None:
    x = torch.ones(2, requires_grad=True)
    y = x * 1
    y[:1].zero_()
    y.backward(torch.tensor([float("inf"), 1.0]))
    assert x.grad.tolist() == [0.0, 1.0]


def test_resize_keeps_the_memory_it_can_keep() -> None:
    x = torch.arange(6)
    x.resize_(2, 2)
    assert x.tolist() == [[0, 1], [2, 3]]
    assert x.resize_(6).tolist() == [0, 1, 2, 3, 4, 5]
    assert x.resize_(8)[:6].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_write_is_traced_at_the_line_of_its_caller() -> None:
    from framework.trace import recording

    with recording() as tape:
        x = torch.zeros(2, 2)
        here = x.add_(1) is x and x.t_() is x and currentframe().f_lineno
    lines = [
        e.source.line for e in tape.read() if type(e).__name__ == "Op" and e.name in ("add_", "t_")
    ]
    assert lines == [here, here]


def test_a_long_chain_of_views_and_writes_is_linear():
    """Each view of a view, and each write through one, costs the same however many were before."""
    x = torch.ones(4, dtype=torch.float64, requires_grad=True)
    weight = torch.arange(4.0, dtype=torch.float64)
    base = y = x * 1
    for i in range(300):
        y = y.view(2, 2).t().t().unsqueeze(1)[:, 0] if i % 2 else y.view(4)
        y.mul_(1.001)
        assert len(y._chain) <= 12
    assert torch.allclose(base, torch.full((4,), 1.001**300, dtype=torch.float64))
    (base * weight).sum().backward()
    assert torch.allclose(x.grad, 1.001**300 * weight)


@pytest.mark.parametrize("length", [3, 20])
def test_a_write_through_a_long_chain_of_views_goes_to_its_part(length):
    x = torch.arange(12.0, dtype=torch.float64, requires_grad=True)
    base = x * 1
    part = base.view(3, 4)[1:, ::2]
    for _ in range(length):
        part = part.t()
    part[0] = part[0] * 10
    part.sum().backward()
    expected = np.zeros((3, 4))
    expected[1:, ::2] = 1
    view = expected[1:, ::2].T if length % 2 else expected[1:, ::2]
    view[0] = 10
    assert x.grad.tolist() == expected.reshape(-1).tolist()
    pairs = torch.view_as_complex((x * 1).view(6, 2))  # other numbers in the same memory
    for _ in range(length):
        pairs = pairs.view(2, 3).view(6)
    pairs[0] = 0
    assert torch.view_as_real(pairs).sum().item() == 66 - 1
