"""Names beyond PyTorch's ``__all__``: loops as functions, saved tensors, older types."""

from __future__ import annotations

import warnings

import pytest

import framework as torch


def small(i, x):
    return x.sum() < 10


# -- while_loop ------------------------------------------------------------------------------


def test_a_loop_goes_on_while_its_condition_holds() -> None:
    i, x = torch.while_loop(small, lambda i, x: (i + 1, x * 2), (0, torch.tensor([1.0, 2.0])))
    assert i == 2 and x.tolist() == [4.0, 8.0]
    start = (5, torch.full((2,), 9.0))
    assert torch.while_loop(small, lambda i, x: (i + 1, x), start) is start  # not once


def test_gradients_flow_through_all_rounds_of_a_loop() -> None:
    x = torch.ones(2, requires_grad=True)
    _, y = torch.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2), (torch.tensor(0), x))
    y.sum().backward()
    assert x.grad.tolist() == [8.0, 8.0]


def test_what_a_loop_carries_may_be_nested_and_a_list() -> None:
    found = torch.while_loop(
        lambda d: d["i"] < 3, lambda d: ({"i": d["i"] + 1},), ({"i": torch.tensor(0)},)
    )
    assert found[0]["i"].item() == 3
    assert torch.while_loop(lambda i: i < 5, lambda i: [i + 1], [torch.tensor(0)]) == [5]
    assert torch.while_loop(lambda i: i < 5, lambda i: i + 1, (torch.tensor(0),)) == 5


@pytest.mark.parametrize(
    ("condition", "body", "carried", "words"),
    [
        (3, lambda i: (i,), (0,), "to be callable"),
        (lambda i: False, lambda i: (i,), torch.tensor(0), "carried_inputs to be a tuple"),
        (lambda i: False, lambda i: (i,), ("a",), "tensors or ints, but got str"),
        (lambda i: i + 1, lambda i: (i,), (0,), "boolean scalar tensor or a boolean but got 1"),
        (lambda i: torch.ones(2) > 0, lambda i: (i,), (0,), "must return a boolean scalar tensor"),
        (lambda i: True, lambda i: (i, i), (0,), "same metadata"),
        (lambda i: True, lambda i: (i + 0.5,), (torch.tensor(0),), "same metadata"),
        (lambda i: True, lambda i: (i[None],), (torch.tensor(0),), "same metadata"),
    ],
)
def test_what_a_loop_refuses(condition, body, carried, words) -> None:
    with pytest.raises(RuntimeError, match=words):
        torch.while_loop(condition, body, carried)


# -- SavedTensor -----------------------------------------------------------------------------


def test_a_saved_tensor_shows_what_is_kept() -> None:
    y = torch.ones(2, requires_grad=True).exp()
    saved = y.grad_fn._raw_saved_result
    assert isinstance(saved, torch.autograd.SavedTensor)
    assert torch.equal(saved.data, y) and not saved.data.requires_grad and saved.unpack_hook is None
    assert saved.unpack().grad_fn is y.grad_fn
    saved.register_hooks(lambda t: t.tolist(), torch.tensor)
    assert saved.data == y.tolist() and saved.unpack_hook is torch.tensor
    assert torch.equal(saved.unpack(), y)


def test_programs_make_no_saved_tensor() -> None:
    with pytest.raises(RuntimeError, match="from Python is forbidden"):
        torch.autograd.SavedTensor()


# -- older sparse types ----------------------------------------------------------------------


def test_older_types_of_sparse_tensors() -> None:
    """As the first graph convolutions make their adjacency."""
    place, values = torch.tensor([[0, 1], [1, 0]]), torch.tensor([1.0, 2.0])
    x = torch.sparse.FloatTensor(place, values, torch.Size([2, 3]))
    assert x.is_sparse and x.shape == (2, 3) and x.to_dense().tolist() == [[0, 1, 0], [2, 0, 0]]
    assert x.type() == "torch.sparse.FloatTensor"
    assert isinstance(x, torch.sparse.FloatTensor) and not isinstance(x, torch.FloatTensor)
    assert not isinstance(x, torch.sparse.DoubleTensor)
    assert not isinstance(torch.ones(1), torch.sparse.FloatTensor)
    assert torch.sparse.FloatTensor(place, values).shape == (2, 2)
    assert torch.sparse.FloatTensor(place, values.double()).dtype is torch.float64  # of the values
    for empty in (torch.sparse.LongTensor(2, 3), torch.sparse.LongTensor(torch.Size([2, 3]))):
        assert empty.shape == (2, 3) and empty._nnz() == 0 and empty.dtype is torch.int64


# -- TorchScript -----------------------------------------------------------------------------


def test_warnings_of_scripts_can_be_filtered() -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", category=torch.jit.ScriptWarning)
    torch.jit.TracerWarning.ignore_lib_warnings()
    with torch.jit.fuser("fuser2"), torch.jit.optimized_execution(True):
        assert (torch.ones(1) + 1).item() == 2
