"""Indices: what is refused and in which words, and the corners that samples do not reach."""

from __future__ import annotations

import re
import tracemalloc

import numpy as np
import pytest

import framework as torch

X = torch.arange(12.0).reshape(3, 4)
ONE = torch.tensor([0])


def long(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def bad(call, kind: type, words: str):
    return pytest.param(call, kind, words, id=words[:40])


@pytest.mark.parametrize(
    "call, kind, words",
    [
        bad(lambda: X.gather(0, torch.full((2, 2), -1)), RuntimeError,
            "index -1 is out of bounds for dimension 0 with size 3"),
        bad(lambda: X.gather(0, X), RuntimeError, "Expected dtype int32/int64 for index"),
        bad(lambda: X.gather(0, torch.full((2, 5), 0)), RuntimeError,
            "expected index [2, 5] to be no larger than self [3, 4] apart from dimension 0"),
        bad(lambda: X.scatter(0, torch.full((2, 2), 3), X), RuntimeError,
            "index 3 is out of bounds for dimension 0 with size 3"),
        bad(lambda: X.scatter_add(0, torch.full((2, 2), 0), X.double()), RuntimeError,
            "Expected self.dtype to be equal to src.dtype"),
        bad(lambda: X.index_select(0, long(-1)), IndexError, "index out of range in self"),
        bad(lambda: X.index_add(0, long(5), X[:1]), RuntimeError,
            "index 5 is out of bounds for dimension 0 with size 3"),
        bad(lambda: X.index_copy(0, long(0).to(torch.int32), X[:1]), RuntimeError,
            "Expected a long tensor for index, but got Int"),
        bad(lambda: X.index_reduce(0, ONE, X[:1], "sum"), RuntimeError,
            "one of prod, mean, amax or amin but got sum"),
        bad(lambda: X[long(5)], IndexError, "index 5 is out of bounds for dimension 0 with size 3"),
        bad(lambda: X[torch.tensor([True, False])], IndexError,
            "The shape of the mask [2] at index 0 does not match the shape of the indexed tensor"),
        bad(lambda: X[long(0, 1), long(0, 1, 2)], IndexError,
            "indexing tensors could not be broadcast together with shapes [2], [3]"),
        bad(lambda: X[X], IndexError, "tensors used as indices must be long, int, byte or bool"),
        bad(lambda: X.index_put((ONE,), torch.tensor(1.0, dtype=torch.float64)), RuntimeError,
            "got Float for the destination and Double for the source"),
        bad(lambda: X.take(long(12)), IndexError, "tried to access index 12 on a tensor of 12"),
        bad(lambda: X.masked_scatter(X > -1, torch.ones(3)), RuntimeError,
            "Number of elements of source < number of ones in mask"),
        bad(lambda: X.narrow(0, 4, 0), IndexError, "start out of range"),
        bad(lambda: X.as_strided((20, 2), (1, 1), 0), RuntimeError,
            "requiring a storage size of 84 are out of bounds for storage of size 48"),
        bad(lambda: torch.cat([X, X], out=X), RuntimeError, "refer to a single memory location"),
        bad(lambda: X.scatter(0, long(0, 0, 0, 0)[None], 1j), RuntimeError, "without overflow"),
        bad(lambda: X.to(torch.int8).scatter_(0, long(0)[None], 300), RuntimeError, "overflow"),
        bad(lambda: X[: len(X) / 2], TypeError, "slice indices must be integers or None or have"),
        bad(lambda: X[:, "1":], TypeError, "have an __index__ method, but got str"),
        bad(lambda: X.clone().__setitem__(slice(0.5), 0.0), TypeError, "but got float"),
        bad(lambda: X[: torch.tensor(2.0)], TypeError, "only integer tensors of a single element"),
        bad(lambda: X[([None],)], RuntimeError, "Could not infer dtype of NoneType"),
        bad(lambda: X[["a"]], TypeError, "new(): invalid data type 'str'"),
        bad(lambda: torch.from_numpy(np.ones(2, ">f4")), ValueError, "byte order different"),
    ],
)  # fmt: skip
def test_refused(call, kind: type, words: str) -> None:
    with pytest.raises(kind) as raised:
        call()
    assert words in str(raised.value)


def test_a_bad_index_writes_nothing() -> None:
    x = torch.zeros(3)
    with pytest.raises(IndexError, match="index 7 is out of bounds"):
        x[long(0, 7)] = 1.0
    assert x.tolist() == [0.0, 0.0, 0.0] and x._version == 0


def test_bytes_are_masks_and_negative_indices_count_from_the_end() -> None:
    x = torch.tensor([1, 2, 3])
    with pytest.warns(UserWarning, match=r"torch.uint8 is now deprecated"):
        assert x[torch.tensor([1, 0, 1], dtype=torch.uint8)].tolist() == [1, 3]
    assert x[long(-1, 0)].tolist() == [3, 1]
    assert x.take_along_dim(long(-1), 0).tolist() == [3]
    assert x.index_fill(0, long(-1), 9).tolist() == [1, 2, 9]


def test_products_with_zeros_have_the_gradient_of_the_other_factors() -> None:
    index = long(0, 0, 1, 1, 1)
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    src = torch.tensor([0.0, 5.0, 0.0, 0.0, 7.0], requires_grad=True)
    x.scatter_reduce(0, index, src, "prod").sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]
    assert src.grad.tolist() == [10.0, 0.0, 0.0, 0.0, 0.0]


def test_means_of_integers_round_down() -> None:
    x = torch.zeros(1, dtype=torch.int64)
    found = x.scatter_reduce(0, long(0, 0), long(-3, -4), "mean", include_self=False)
    assert found.tolist() == [-4]


def test_views_inside_of_vmap_are_written_through() -> None:
    def zero_diagonal(x):
        y = x * 1
        y.diagonal().fill_(0.0)
        return y

    found = torch.vmap(zero_diagonal)(torch.ones(2, 2, 2))
    assert found.tolist() == [[[0.0, 1.0], [1.0, 0.0]]] * 2


def test_an_int_among_index_arrays_selects_first() -> None:
    x = torch.arange(12.0).reshape(2, 3, 2).requires_grad_()
    picked = x[0, :, [1, 0, 1]]  # NumPy would put the index's dimension in front
    assert picked.tolist() == [[1.0, 0.0, 1.0], [3.0, 2.0, 3.0], [5.0, 4.0, 5.0]]
    picked[:, 2].sum().backward()
    assert x.grad[0].tolist() == [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]
    y = torch.zeros(2, 3, 2)
    y[0, :, [1]] = torch.tensor([[1.0], [2.0], [3.0]])
    assert y[0, :, 1].tolist() == [1.0, 2.0, 3.0]


def test_a_write_from_its_own_memory() -> None:
    x = torch.arange(4.0)
    x[None, ...] = x
    with pytest.raises(RuntimeError, match="refer to a single memory location"):
        x[[0, 1, 2, 3]] = x
    with pytest.raises(ValueError, match="step must be greater than zero"):
        x.reshape(2, 2)[::-1, [0]]


@pytest.mark.parametrize("reduce", [None, "add", "multiply"])
def test_an_index_of_the_wrong_shape_is_refused_where_a_number_is_scattered(
    reduce: str | None,
) -> None:
    """A row that is too long would run on into the next one."""
    x = torch.zeros(2, 3)
    for index in (torch.zeros(3, dtype=torch.int64), torch.zeros(1, 2, 3, dtype=torch.int64)):
        with pytest.raises(RuntimeError, match="same number of dimensions as self tensor"):
            x.scatter(0, index, 1.0, reduce=reduce)
    with pytest.raises(RuntimeError, match=r"index \[1, 5\] to be no larger than self \[2, 3\]"):
        x.scatter_(0, torch.zeros(1, 5, dtype=torch.int64), 1.0, reduce=reduce)
    assert x.scatter(0, torch.zeros(4, 3, dtype=torch.int64), 1.0).tolist() == [
        [1.0] * 3,
        [0.0] * 3,
    ]
    assert x.scatter(0, torch.zeros(0, dtype=torch.int64), 1.0).equal(x)
    assert torch.tensor(5.0).scatter(0, torch.tensor([0]), 1.0).item() == 1.0


def test_a_value_with_more_dimensions_is_written_if_the_first_ones_are_one_long() -> None:
    x = torch.zeros(2, 3)
    x[:, :] = torch.ones(1, 1, 3)
    assert x.tolist() == [[1.0] * 3] * 2
    x[0] = torch.full((1, 1, 3), 2.0)
    assert x[0].tolist() == [2.0] * 3
    for value in (torch.ones(3, 1), torch.ones(2, 3)):
        with pytest.raises(RuntimeError, match=r"sizes provided \(1\) must be greater or equal"):
            x[0] = value
    with pytest.raises(RuntimeError, match=r"sizes provided \(0\) must be greater or equal"):
        x[0, 0] = torch.ones(2)


@pytest.mark.parametrize(
    ("have", "given", "whole"),
    [
        ((), (2,), [2]),
        ((2,), (2, 2), [2, 2]),
        ((2, 3), (1, 1, 3), [1, 2, 3]),
        ((3,), (1, 3), [1, 3]),
    ],
)
def test_nothing_with_more_dimensions_is_copied_into_a_tensor(
    have: tuple[int, ...], given: tuple[int, ...], whole: list[int]
) -> None:
    text = f"output with shape {list(have)} doesn't match the broadcast shape {whole}"
    with pytest.raises(RuntimeError, match=re.escape(text)):
        torch.zeros(have).copy_(torch.ones(given))


def test_a_number_picked_by_a_mask_has_a_gradient() -> None:
    x = torch.tensor(2.0, requires_grad=True)
    (3 * x[torch.tensor(True)]).sum().backward()
    assert x.grad.item() == 3.0


def test_tuples_inside_of_an_index_pick_rows_as_lists_do():
    x = torch.arange(24.0).reshape(4, 6).requires_grad_()
    for index, as_list in (
        ((slice(None), (0, 2)), (slice(None), [0, 2])),
        (((0, 1), (1, 2)), ([0, 1], [1, 2])),
        (((0,),), ([0],)),
        ((((0, 1), (2, 3)),), ([[0, 1], [2, 3]],)),
        (((True, False, True, False),), ([True, False, True, False],)),
        ([(0, 1), (2, 3)], ([0, 1], [2, 3])),
        (((),), ([],)),
        ((range(2), (3, 4)), ([0, 1], [3, 4])),
    ):
        assert torch.equal(x[index], x[as_list])
        y, z = x.detach().clone(), x.detach().clone()
        y[index], z[as_list] = -1.0, -1.0
        assert torch.equal(y, z)
    x[:, (0, 2)].sum().backward()
    assert x.grad.sum(0).tolist() == [4.0, 0.0, 4.0, 0.0, 0.0, 0.0]


def test_rows_of_a_huge_view_are_picked_without_a_copy_of_it() -> None:
    view = torch.arange(3.0).reshape(3, 1).expand(3, 10**7)
    tracemalloc.start()
    try:
        found = view[:, long(0, -1)]
        assert tracemalloc.get_traced_memory()[1] < 1 << 20  # its elements would be 120 MB
    finally:
        tracemalloc.stop()
    assert found.tolist() == [[0, 0], [1, 1], [2, 2]] and found.stride() == (2, 1)


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
def test_lists_of_arrays_and_ranges_count_as_tuples():
    x = torch.arange(12.0).reshape(3, 4)
    assert x[[np.array([0, 1]), np.array([0, 1])]].tolist() == [0, 5]
    assert x[[np.array([0, 1])]].shape == x[[range(2)]].shape == (2, 4)
    x[[np.array([0, 2]), range(2)]] = -1.0
    assert (x == -1).nonzero().tolist() == [[0, 0], [2, 1]]
    with pytest.raises(TypeError, match="different depths"):
        x[:, [0, [1]]]


def test_lists_that_count_as_tuples_are_deprecated():
    x = torch.arange(12.0).reshape(3, 4)
    torch.set_warn_always(True)
    try:
        with pytest.warns(UserWarning, match="non-tuple sequence"):
            x[[slice(0, 2)]]
    finally:
        torch.set_warn_always(False)
