"""`x.data = y` and `x.set_(y)`: what PyTorch 2.13 accepts, refuses and makes of it."""

from __future__ import annotations

import pytest

import framework as torch

float64, int64 = torch.float64, torch.int64


def leaf(*values):
    return torch.tensor(values, requires_grad=True)


def test_data_is_what_backward_finds():
    """No version is counted: the saved tensor itself has the new numbers."""
    x = leaf(1.0, 1.0)
    y = (x * x).sum()
    x.data = torch.full((2,), 5.0)
    y.backward()
    assert x.grad.tolist() == [10, 10] and x._version == 0
    x = leaf(1.0, 1.0)
    b = x * 2
    y = (b * b).sum()
    b.data = torch.full((2,), 5.0)
    y.backward()
    assert x.grad.tolist() == [20, 20]
    x = leaf(0.0, 0.0)
    b = x.exp()
    y = b.sum()
    b.data = torch.full((2,), 5.0)  # the output that was saved is another tensor
    y.backward()
    assert x.grad.tolist() == [1, 1]


def test_data_of_another_shape_of_a_leaf():
    x = torch.nn.Parameter(torch.ones(4))
    x.sum().backward()
    x.data = x.data[:2]
    assert x.grad.shape == (4,)
    with pytest.raises(RuntimeError, match=r"tensor a \(4\) must match the size of tensor b \(2\)"):
        x.sum().backward()
    x.grad = None
    x.sum().backward()
    assert x.grad.tolist() == [1, 1]
    x.data = torch.zeros(2, dtype=float64)
    assert x.dtype is float64 and x.is_leaf and x.requires_grad


def test_an_optimizer_does_not_know_the_new_shape():
    p = torch.nn.Parameter(torch.ones(4))
    once = torch.optim.SGD([p], lr=0.1, momentum=0.9)
    p.sum().backward()
    once.step()
    p.data, p.grad = p.data[:2], None
    p.sum().backward()
    with pytest.raises(RuntimeError, match=r"tensor a \(4\) must match the size of tensor b \(2\)"):
        once.step()


def test_data_of_another_shape_of_a_result():
    x = leaf(1.0, 1.0)
    b = x * 2
    b.data = torch.zeros(3)
    assert b.grad_fn.name() == "MulBackward0" and b._version == 0 and not b.is_leaf
    fits = r"returned an invalid gradient at index 0 - got \[3\] but expected shape compatible with"
    with pytest.raises(RuntimeError, match=fits):
        b.sum().backward()
    b = x * 2
    b.retain_grad()
    seen = []
    b.register_hook(seen.append)
    b.data = torch.zeros(3, 2)  # its gradient is summed into the old shape
    b.sum().backward()
    assert x.grad.tolist() == [6, 6] and seen[0].tolist() == [3, 3]
    b = x * 2
    b.data = torch.zeros(2, dtype=float64)
    x.grad = None
    b.sum().backward()
    assert x.grad.tolist() == [2, 2] and x.grad.dtype is torch.float32


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (lambda: [1], TypeError, "Variable data has to be a tensor, but got list"),
        (lambda: None, TypeError, "Variable data has to be a tensor, but got NoneType"),
        (lambda: torch.ones(2, device="meta"), RuntimeError, "have incompatible tensor type"),
        (lambda: torch.ones(2).to_sparse(), RuntimeError, "have incompatible tensor type"),
        (lambda: torch.ones(2, dtype=int64), RuntimeError, "must be floating point or complex"),
    ],
)
def test_data_that_is_refused(value, error, words):
    for x in (leaf(1.0, 2.0), leaf(1.0, 2.0) * 2):
        with pytest.raises(error, match=words):
            x.data = value()
    meta = torch.ones(2, device="meta")
    with pytest.raises(RuntimeError, match="incompatible tensor type"):
        meta.data = torch.ones(2)
    meta.data = torch.ones(3, device="meta")
    assert meta.shape == (3,)


def test_set_has_no_derivative():
    x = leaf(1.0, 1.0)
    b = x * 2
    b.set_(torch.zeros(3))
    assert type(b.grad_fn).__name__ == "NotImplemented" and b._version == 1
    with pytest.raises(RuntimeError, match="derivative for set_ is not implemented"):
        b.sum().backward()
    b = torch.zeros(2)
    b.set_(x)
    assert b.requires_grad and not b.is_leaf
    with pytest.raises(RuntimeError, match="derivative for set_ is not implemented"):
        b.sum().backward()
    b = x.exp()
    b.set_()
    assert b.shape == (0,) and b.requires_grad
    view = (x * 1)[:1]
    view.set_(torch.zeros(3))
    with pytest.raises(RuntimeError):
        view.sum().backward()


def test_set_without_grad_mode():
    x = leaf(1.0, 1.0)
    with torch.no_grad():
        x.set_(torch.zeros(3))
    x.sum().backward()
    assert x.grad.tolist() == [1, 1, 1]
    x = leaf(1.0, 1.0)
    b = x * 2
    with torch.no_grad():
        b.set_(torch.zeros(2))
    b.sum().backward()
    assert x.grad.tolist() == [2, 2]


def test_what_saved_a_tensor_that_was_set():
    x = leaf(1.0, 1.0)
    b = x * 2
    y = (b * b).sum()
    b.set_(torch.zeros(2))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        (
            lambda: torch.zeros(2, dtype=int64),
            RuntimeError,
            "type long int to a tensor of type",
        ),
        (lambda: torch.zeros(2).bfloat16(), RuntimeError, "type c10::BFloat16 to a tensor of type"),
        (lambda: [1], TypeError, "argument 'source'"),
    ],
)
def test_set_that_is_refused(source, error, words):
    with pytest.raises(error, match=words):
        torch.ones(2).set_(source())
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        leaf(1.0).set_(torch.zeros(3))


def test_a_storage_of_another_type():
    words = "Expected a Storage of type double or an UntypedStorage, but got type Float"
    with pytest.raises(RuntimeError, match=words):
        torch.zeros(1, dtype=float64).set_(torch.zeros(2).storage())


def test_parameters_of_a_module_that_crosses_to_meta_are_new():
    layer = torch.nn.Linear(2, 2)
    weight = layer.weight
    layer.double()
    assert layer.weight is weight and weight.dtype is float64
    layer.to("meta")
    assert layer.weight is not weight and layer.weight.is_meta and not weight.is_meta
    weight = layer.weight.requires_grad_(False)
    layer.to_empty(device="cpu")
    assert layer.weight is not weight and not layer.weight.is_meta
    assert not layer.weight.requires_grad and layer.bias.requires_grad


def test_offsets_are_those_of_the_new_memory():
    def fresh():
        x = torch.arange(6.0).reshape(2, 3)
        return x, x[1:], torch.arange(4.0)

    x, w, y = fresh()
    w.set_(torch.ones(3))
    assert (w.storage_offset(), w[1:].storage_offset(), x.storage_offset()) == (0, 1, 0)
    x, w, y = fresh()
    x.set_(y.untyped_storage(), 1, (2,))
    assert (x.storage_offset(), x[1:].storage_offset(), w.storage_offset()) == (1, 2, 3)
    x, w, y = fresh()
    x.data = y[1:]
    assert (x.storage_offset(), x[1:].storage_offset(), w.storage_offset()) == (1, 2, 3)
    x.data = torch.ones(2)
    assert x.storage_offset() == 0 and x.storage().size() == 2
    x, w, y = fresh()
    w.data = y[1:]
    assert (w.storage_offset(), w[1:].storage_offset()) == (1, 2)


def test_views_that_are_shared_keep_their_place():
    x = torch.arange(6.0).reshape(2, 3)
    assert x.share_memory_().untyped_storage().nbytes() == 24
    part = torch.arange(6.0).reshape(2, 3)[1:].t()
    part.share_memory_()
    assert part.is_shared() and part.stride() == (1, 3) and part.storage_offset() == 3
    assert part.storage().tolist() == [0, 1, 2, 3, 4, 5]
    assert torch.ones(1).expand(3).share_memory_().stride() == (0,)
