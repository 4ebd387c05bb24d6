"""Arguments of wrong kinds, None among them, and casts that PyTorch refuses before all else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import framework as torch

X = torch.arange(6.0).reshape(2, 3)
NUMBERS = torch.tensor([1, 2, 3])


@pytest.mark.parametrize(
    "call",
    [
        lambda: X.clamp_min(None),
        lambda: torch.clamp_max(X, None),
        lambda: X.clone().clamp_min_(None),
        lambda: torch.xlogy(X, None),
        lambda: torch.xlogy(None, X),
        lambda: torch.special.xlog1py(X, None),
        lambda: torch.special.zeta(X, None),
        lambda: X.as_strided(0, 1),
        lambda: X.as_strided((2,), 1),
        lambda: X.clone().copy_(0, 1),
        lambda: X.clone().copy_(X, None),
        lambda: torch.gru(X, 1, 1),
        lambda: torch.lstm(X, X),
        lambda: torch.rnn_relu(X, *[1] * 8),
        lambda: torch.embedding_bag(X, 1, 1),
        lambda: torch.embedding_bag(X, NUMBERS, 1),
        lambda: torch.linspace(None, 1, 3),
        lambda: torch.logspace(0, [1], 3),
        lambda: torch.nn.functional.dropout([1.0], 0.0),
        lambda: torch.nn.functional.dropout(None, training=False),
        lambda: X.sum_to_size("a"),
        lambda: X.sum_to_size(1.5),
    ],
)
def test_other_kinds_are_type_errors(call: Callable[[], Any]) -> None:
    with pytest.raises(TypeError):
        call()


def test_shapes_are_ints_or_sequences() -> None:
    for given in (1.5, X, "a"):
        with pytest.raises(RuntimeError, match="Input shapes should be of type ints"):
            torch.broadcast_shapes((2,), given)


def test_matrices_of_a_chain_are_tensors() -> None:
    with pytest.warns(UserWarning, match="deprecated"), pytest.raises(TypeError, match="element 1"):
        torch.chain_matmul(X, 1)


def test_devices_have_no_negative_index() -> None:
    for given in ((-1,), ("cuda", -1), ("cpu", -1)):
        with pytest.raises(RuntimeError, match="Device index must not be negative"):
            torch.device(*given)


def test_nothing_has_enough_dimensions() -> None:
    assert torch.atleast_1d() == torch.atleast_2d() == torch.atleast_3d() == ()


def test_ranks_are_those_of_the_matrices_given() -> None:
    a, b = torch.eye(3)[None, :, :2], torch.ones(2, 3, 2)
    found = torch.linalg.lstsq(a, b, driver="gelsd")
    assert found.rank.tolist() == [2] and found.singular_values.shape == (1, 2)
    assert found.solution.shape == (2, 2, 2)
    assert torch.linalg.lstsq(a.expand(2, 3, 2), b).rank.tolist() == [2, 2]


def test_conditions_of_bytes_are_old() -> None:
    with pytest.warns(UserWarning, match="where received a uint8 condition"):
        assert torch.where(torch.tensor([1, 0, 1], dtype=torch.uint8), NUMBERS, 0).tolist() == [
            1,
            0,
            3,
        ]


@pytest.mark.parametrize("name", "floor_divide remainder fmod copysign clamp bitwise_and".split())
def test_casts_are_refused_before_missing_kernels(name: str) -> None:
    with pytest.raises(RuntimeError, match="result type ComplexFloat can't be cast") as caught:
        getattr(NUMBERS.clone(), f"{name}_")(1j)
    assert not isinstance(caught.value, NotImplementedError)


def test_answers_are_never_cast() -> None:
    with pytest.raises(NotImplementedError):
        X.clone().lt_(1j)


def test_running_sums_of_masked_bools_have_no_kernel() -> None:
    for name in ("cumsum", "cumprod"):
        with pytest.raises(NotImplementedError, match="not implemented for 'Bool'"):
            getattr(torch.masked, name)(NUMBERS > 1, 0)


def test_integers_in_losses_and_layers() -> None:
    nn, target = torch.nn, torch.tensor([-1, 1, -1])
    found = nn.HingeEmbeddingLoss(margin=2.5, reduction="none")(NUMBERS, target)
    assert found.tolist() == [1, 2, 0] and found.dtype is torch.int64
    with pytest.raises(RuntimeError, match="could not infer output dtype"):
        nn.HingeEmbeddingLoss()(NUMBERS, target)
    with pytest.raises(RuntimeError, match="result type Float can't be cast"):
        nn.CrossMapLRN2d(2)(torch.ones(1, 3, 2, 2, dtype=torch.int64))


def test_states_stand_in_the_order_of_pytorch() -> None:
    p = torch.nn.Parameter(torch.ones(3))
    p.grad = torch.ones(3)
    optimizer = torch.optim.NAdam([p])
    optimizer.step()
    assert list(optimizer.state[p]) == ["step", "mu_product", "exp_avg", "exp_avg_sq"]
    table = torch.nn.Embedding(3, 2, sparse=True)
    table(torch.tensor([0])).sum().backward()
    sparse = torch.optim.SparseAdam(list(table.parameters()))
    sparse.step()
    assert list(sparse.state[table.weight]) == ["step", "exp_avg", "exp_avg_sq"]
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    assert list(plateau.state_dict())[:3] == ["factor", "default_min_lr", "min_lrs"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda F, w: F.linear(X, w, torch.ones(4).double()), "self and mat2 must have the same"),
        (lambda F, w: F.linear(X[0], w, torch.ones(4).half()), "self and mat2 must have the same"),
        (
            lambda F, w: F.bilinear(X, X, torch.ones(2, 3, 3), torch.ones(2).double()),
            "All tensors must have the same dtype",
        ),
        (lambda F, w: torch.einsum("ij,kj", X, w.double()), "type Float but found Double"),
        (lambda F, w: torch.cross(X, X.double(), dim=1), "type Float but found Double"),
        (
            lambda F, w: torch.triangular_solve(X[:, :1], torch.eye(2).double()),
            "Expected b and A to have the same dtype",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:torch.triangular_solve")
def test_types_that_do_not_mix(call: Callable[[Any, Any], Any], words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        call(torch.nn.functional, torch.ones(4, 3))


def test_types_that_mix_in_products_of_elements() -> None:
    found = torch.einsum("ij,ij->ij", X, X.double())
    assert found.dtype is torch.float64
    ints, sums = torch.ones(2, 3, dtype=torch.int32), torch.ones(3, dtype=torch.int32)
    assert torch.einsum("ij,j->", ints, sums).tolist() == 6
