"""Functions take a sequence where their methods take it one by one; None is no default."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import framework as torch

X = torch.arange(6.0).reshape(2, 3)
Y = torch.ones(1, 2, 1)

ONE_BY_ONE: list[Callable[[], Any]] = [
    lambda: torch.flip(X, 0, 1),  # type: ignore[call-arg]
    lambda: torch.flip(X, 1),
    lambda: torch.flip(X, dims=1),
    lambda: torch.flip(X),
    lambda: torch.permute(X, 1, 0),
    lambda: torch.permute(X[0], 0),
    lambda: torch.permute(X, dims=None),
    lambda: torch.tile(X, 2, 2),
    lambda: torch.tile(X, 2),
    lambda: torch.reshape(X, 3, 2),
    lambda: torch.reshape(X, -1),
    lambda: torch.reshape(X),
    lambda: torch.reshape(X, (3, 2), shape=(3, 2)),
    lambda: torch.broadcast_to(X, 2, 3),
    lambda: torch.broadcast_to(X[0, 0], 2),
    lambda: torch.squeeze(Y, 0, 2),
    lambda: torch.squeeze_copy(Y, 0, 2),
    lambda: torch.squeeze(Y, True),
    lambda: torch.count_nonzero(X, 0, 1),
    lambda: torch.hsplit(X, 1, 2),
    lambda: torch.vsplit(X, 1, 2),
    lambda: torch.dsplit(X[None], 1, 2),
    lambda: torch.layer_norm(X, 3),
    lambda: torch.rms_norm(X, 3),
    lambda: torch.nn.functional.rms_norm(X, 3),
    lambda: torch.zeros(size=2),
    lambda: torch.randint(3, 2),
    lambda: torch.randint(0, 3, 2),
    lambda: torch.normal(0.0, 1.0, 2),
    lambda: torch.arange(5, step=2),
    lambda: torch.broadcast_tensors((X, X)),
    lambda: torch.cartesian_prod((X[0], X[1])),
    lambda: torch.chain_matmul([X, X.T]),
    lambda: X.flip(dims=1),
    lambda: X.permute(dims=1),
    lambda: X.tile(dims=2),
    lambda: X.reshape(shape=6),
    lambda: X.view(size=6),
]


@pytest.mark.filterwarnings("ignore:torch.chain_matmul")
@pytest.mark.parametrize("call", ONE_BY_ONE)
def test_refused_one_by_one(call: Callable[[], Any]) -> None:
    with pytest.raises(TypeError):
        call()


def test_sequences_are_taken() -> None:
    assert torch.equal(torch.flip(X, (0, 1)), X.flip(0, 1))
    assert torch.equal(torch.flip(X, dims=[1]), X.flip(1))
    assert torch.permute(X, (1, 0)).shape == torch.permute(input=X, dims=[1, 0]).shape == (3, 2)
    assert torch.tile(X, (2, 2)).shape == X.tile(2, 2).shape == (4, 6)
    assert torch.reshape(X, X.T.shape).shape == torch.reshape(X, shape=[3, 2]).shape == (3, 2)
    assert torch.reshape(X[0, 0], ()).shape == ()
    assert torch.broadcast_to(X, (4, 2, 3)).shape == X.broadcast_to(4, 2, 3).shape
    assert torch.squeeze(Y, (0, 2)).shape == Y.squeeze(0, 2).shape == (2,)
    assert torch.count_nonzero(X, (0, 1)) == X.count_nonzero(0, 1) == 5
    assert [p.shape[1] for p in torch.hsplit(X, (1, 2))] == [1, 1, 1] and len(X.hsplit(1, 2)) == 3
    assert torch.fft.fftn(X, 2, 1).shape == (2, 2)
    assert X.sum_to_size(size=(1, 3)).tolist() == [[3, 5, 7]]
    assert torch.arange(1, 5, step=2).tolist() == [1, 3]


def test_signatures_are_those_of_the_functions() -> None:
    assert list(inspect.signature(torch.flip).parameters) == ["input", "dims"]
    assert list(inspect.signature(torch.squeeze).parameters) == ["input", "dim", "axis"]


def test_sizes_of_random_integers() -> None:
    for call in (
        lambda: torch.randint(10, (2,)),
        lambda: torch.randint(10, size=(2,)),
        lambda: torch.randint(high=10, size=(2,)),
        lambda: torch.randint(1, 10, size=(2,)),
        lambda: torch.randint(1, high=10, size=(2,)),
        lambda: torch.randint(low=1, high=10, size=(2,)),
    ):
        made = call()
        assert made.shape == (2,) and int(made.max()) < 10


NONE: list[Callable[[], Any]] = [
    lambda: torch.max(X, None),
    lambda: torch.max(X, other=None),
    lambda: X.min(None),
    lambda: torch.prod(X, dim=None),
    lambda: X.prod(None),
    lambda: torch.median(X, None),
    lambda: X.nanmedian(dim=None),
    lambda: torch.softmax(X, None),
    lambda: torch.log_softmax(X, dim=None),
    lambda: X.softmax(None),
    lambda: torch.logsumexp(X, None),
    lambda: torch.squeeze(Y, None),
    lambda: Y.squeeze(dim=None),
    lambda: X.clone().set_(None),
    lambda: X.contiguous(memory_format=None),
    lambda: X.is_contiguous(memory_format=None),
    lambda: X.numpy(force=None),
    lambda: torch.eye(2, None),
    lambda: torch.arange(0, None),
    lambda: torch.where(X > 1, None, None),
    lambda: torch.where(X > 1, X, None),
    lambda: X.where(X > 1, None),
    lambda: torch.bernoulli(X, None),
    lambda: X.repeat_interleave(None),
    lambda: X.tensor_split(None),
    lambda: torch.einsum("i->", None),
    lambda: torch.set_grad_enabled(None),
    lambda: torch.autograd.set_detect_anomaly(None),
    lambda: torch.use_deterministic_algorithms(None),
]


@pytest.mark.parametrize("call", NONE)
def test_none_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(TypeError):
        call()


def test_none_that_is_taken() -> None:
    F = torch.nn.functional
    with pytest.warns(UserWarning, match="Implicit dimension choice"):
        assert F.softmax(X, None).shape == X.shape
    assert F.normalize(X, None).norm(dim=1).tolist() == pytest.approx([1, 1])
    assert torch.Generator(None).device.type == "cpu"
    with pytest.raises(AttributeError, match="expected 'f' to be string, path"):
        torch.save(X, None)
    with pytest.raises(AttributeError, match="expected 'f' to be string, path"):
        torch.load(None)


def test_keepdim_is_for_a_dimension() -> None:
    for call in (torch.max, torch.min, torch.prod):
        with pytest.raises(TypeError):
            call(X, keepdim=True)
        with pytest.raises(TypeError):
            call(X, True)


def test_truths_over_no_dimension_are_those_of_the_elements() -> None:
    for call in (torch.any, torch.all):
        assert call(X, ()).tolist() == call(X, [], True).tolist() == (X != 0).tolist()
        assert call(X.to(torch.uint8), ()).dtype is torch.uint8
        assert call(X[0, 0], ()).shape == ()


def test_tracebacks_show_no_line_of_another_file() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.permute(X, (0, 0))
    shown = "".join(traceback.format_exception(caught.value))
    assert "<generated>" in shown and "overridable.py" not in shown
