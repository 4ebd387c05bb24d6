"""What the table's test cannot move: complex numbers, symmetric, sparse and drawn operands.

Their gradients of first and second order are compared with finite differences through functions
that make such operands, and no op with a gradient is left out of both tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_table import DIFFERENTIABLE

import framework as torch
from framework.autograd import grad, gradcheck, gradgradcheck
from framework.core.registry import OPS
from framework.tensor import wrap
from framework.trace import recording

F = torch.nn.functional
INDEX = torch.tensor([[0, 1, 1, 2], [2, 0, 3, 1]])  # of four elements of a [3, 4]


def real(*shape: int) -> torch.Tensor:
    return wrap(np.random.default_rng(sum(shape)).standard_normal(shape)).requires_grad_()


def numbers(*shape: int) -> torch.Tensor:
    rng = np.random.default_rng(sum(shape))
    parts = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return wrap(np.asarray(parts)).requires_grad_()


def positive(*shape: int) -> torch.Tensor:
    return wrap(np.random.default_rng(sum(shape)).uniform(0.5, 2.0, shape)).requires_grad_()


def definite(a: torch.Tensor) -> torch.Tensor:
    """A Hermitian positive-definite matrix, of every element of which the argument decides."""
    return a @ a.mH + 2 * torch.eye(a.shape[-1], dtype=a.dtype)


def sparse(values: torch.Tensor) -> torch.Tensor:
    return torch.sparse_coo_tensor(INDEX, values, (3, 4))


def found(values: torch.Tensor) -> torch.Tensor:
    """What a sparse tensor holds, as a dense one: gradcheck perturbs and compares those."""
    return values.to_dense() if values.is_sparse else values


def without_phase(a: torch.Tensor, decompose: Callable[..., Any]) -> Any:
    """Eigenvectors are unique but for a phase, which their projections do not have."""
    values, vectors = decompose(a)
    return values, vectors.unsqueeze(-2) * vectors.conj().unsqueeze(-3)


def ctc(logits: torch.Tensor) -> torch.Tensor:
    return F.ctc_loss(
        logits.log_softmax(-1), torch.tensor([[1, 2], [3, 3]]), (5, 5), (2, 2), reduction="none"
    )


# op -> (function, its inputs), of which one at least is differentiated.
CHECKED: dict[str, tuple[Callable[..., Any], tuple[torch.Tensor, ...]]] = {
    "real": (lambda z: z.real, (numbers(2, 3),)),
    "imag": (lambda z: z.imag, (numbers(2, 3),)),
    "conj": (lambda z: z.conj() * z, (numbers(2, 3),)),
    "view_as_real": (lambda z: torch.view_as_real(z), (numbers(2, 3),)),
    "view_as_complex": (lambda a: torch.view_as_complex(a), (real(3, 2),)),
    "complex": (torch.complex, (real(2, 3), real(3, 2).detach().T.clone().requires_grad_())),
    "polar": (torch.polar, (positive(2, 3), real(2, 3))),
    "fft_c2c": (lambda z: torch.fft.fftn(z, norm="ortho"), (numbers(2, 3),)),
    "fft_r2c": (lambda a: torch.fft.rfftn(a), (real(3, 4),)),
    "fft_c2r": (lambda z: torch.fft.irfft(z, 5), (numbers(2, 3),)),
    "cholesky": (lambda z: torch.linalg.cholesky(definite(z)), (numbers(3, 3),)),
    "cholesky_ex": (lambda a: torch.linalg.cholesky_ex(definite(a)).L, (real(3, 3),)),
    "cholesky_inverse": (
        lambda a: torch.cholesky_inverse(torch.linalg.cholesky(definite(a))), (real(3, 3),)
    ),
    "eigh": (lambda z: without_phase(definite(z), torch.linalg.eigh), (numbers(3, 3),)),
    "eig": (lambda a: torch.linalg.eig(a + torch.diag(torch.arange(3.0))).eigenvalues,
            (real(3, 3),)),
    "ctc_loss": (ctc, (real(5, 2, 4),)),
    "sparse_coo_tensor": (lambda v: found(sparse(v)), (real(4),)),
    "to_dense": (lambda v: sparse(v).to_dense(), (real(4),)),
    "coalesce": (lambda v: found(torch.sparse_coo_tensor(INDEX[:1], v, (3,)).coalesce()),
                 (real(4),)),
    "sparse_values": (lambda v: (sparse(v).coalesce().values() ** 2), (real(4),)),
    "sparse_lookup": (lambda v: sparse(v).coalesce().values().exp(), (real(4),)),
    "to_sparse": (lambda a: found(a.to_sparse()), (real(3, 4),)),
    "sparse_mm": (lambda v, b: found(torch.sparse.mm(sparse(v), b)), (real(4), real(4, 2))),
    "sparse_permute": (lambda v: found(sparse(v).t()), (real(4),)),
    "sparse_clone": (lambda v: found(sparse(v).clone()), (real(4),)),
    "sparse_relu": (lambda v: found(sparse(v).relu()), (real(4),)),
}  # fmt: skip


# What the trace calls an op that stands in for another.
CALLED = {"sparse_clone": "clone", "sparse_relu": "relu"}


@pytest.mark.parametrize("name", CHECKED)
def test_gradients(name: str) -> None:
    function, inputs = CHECKED[name]
    with recording() as tape:
        outs = function(*inputs)
        outs = outs if isinstance(outs, tuple) else (outs,)
        grad(outs, inputs, [torch.ones_like(o) for o in outs], create_graph=True)
    ran = {getattr(event, "name", "") for event in tape.read()}
    assert CALLED.get(name, name) in ran
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


def test_a_second_gradient_past_a_real_part_warns_of_nothing(recwarn: Any) -> None:
    z, v = numbers(2, 3), real(2, 3)
    (first,) = grad(z.real, z, v, create_graph=True)
    (second,) = grad(first, v, numbers(2, 3).detach())
    assert second.dtype is torch.float64 and second.tolist() == numbers(2, 3).real.tolist()
    assert not recwarn.list


def test_a_sparse_gradient_of_an_embedding_is_the_dense_one() -> None:
    weight, times = real(4, 2), real(2, 4, 2)
    found = []
    for sparse in (True, False):
        rows = F.embedding(INDEX, weight, padding_idx=3, sparse=sparse)
        found.append(grad((rows**2 * times).sum(), weight)[0])
    assert found[0].is_sparse and not found[1].is_sparse
    torch.testing.assert_close(found[0].to_dense(), found[1])


P = torch.full((3,), 0.4, dtype=torch.float64)
# Draws do not depend on their parameters but by distribution: their gradient is zero.
ZERO: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "normal": lambda p: torch.normal(p, p),
    "bernoulli": torch.bernoulli,
    "poisson": torch.poisson,
    "binomial": lambda p: torch.binomial(torch.full_like(p, 5), p),
    "uniform_": lambda p: p.clone().uniform_(),
    "normal_": lambda p: p.clone().normal_(),
    "log_normal_": lambda p: p.clone().log_normal_(),
    "exponential_": lambda p: p.clone().exponential_(),
    "cauchy_": lambda p: p.clone().cauchy_(),
    "geometric_": lambda p: p.clone().geometric_(0.3),
    "bernoulli_": lambda p: p.clone().bernoulli_(0.3),
    "random_": lambda p: p.clone().random_(),
}


@pytest.mark.parametrize("name", ZERO)
def test_draws_pass_zeros_on(name: str) -> None:
    p = P.clone().requires_grad_()
    with recording() as tape:
        y = ZERO[name](p)
    assert name in {getattr(event, "name", "") for event in tape.read()}
    assert y.requires_grad and grad(y.sum(), p)[0].tolist() == [0.0, 0.0, 0.0]


# PyTorch has no derivative of these either, and says so in the same words.
REFUSED: dict[str, Callable[[torch.Tensor], Any]] = {
    "bincount": lambda p: torch.bincount(torch.tensor([0, 1, 1]), p),
    "unique": torch.unique,
    "unique_consecutive": torch.unique_consecutive,
    "_standard_gamma_grad": lambda p: grad(torch._standard_gamma(p).sum(), p, create_graph=True)[0],
    "_dirichlet_grad": lambda p: grad(torch._sample_dirichlet(p)[0], p, create_graph=True)[0],
    "ldl_factor": lambda p: torch.linalg.ldl_factor(p.diag() + 1).LD,
    "ldl_solve": lambda p: torch.linalg.ldl_solve(
        torch.eye(3, dtype=p.dtype), torch.tensor([1, 2, 3]).int(), p.diag()
    ),
    "geqrf": lambda p: torch.geqrf(p.diag()).a,
    "heaviside": lambda p: torch.heaviside(p, p),
    "floor_divide": lambda p: p // 2,
    "set_": lambda p: p.clone().set_(p * 2),
}


@pytest.mark.parametrize("name", REFUSED)
def test_no_derivative_is_said(name: str) -> None:
    p = P.clone().requires_grad_()
    with recording() as tape:
        y = REFUSED[name](p)
    ran = {getattr(event, "name", "") for event in tape.read()}
    assert name in ran or name == "set_"  # which computes nothing
    with pytest.raises((NotImplementedError, RuntimeError), match=r"derivative|differentiable"):
        y.sum().backward()


# op -> where its gradient is checked.
ELSEWHERE = {
    "attention_tiles": "test_attention_tiles.py: by the attention that keeps its scores",
    "cross_entropy_scores": "test_compiled.py: by the loss of log_softmax",
    "embedding_sparse": "above",
    "gru_sequence": "test_compiled_recurrences.py: by the steps of a cell",
    "hidden": "tests/framework/autograd/test_forward_ad.py: it is there to stop gradients",
    "grid_sample": "test_compiled_grids.py: by the ops that it is made of",
    "lstm_sequence": "test_compiled_sequences.py: by the steps of a cell",
    "rnn_sequence": "test_compiled_recurrences.py: by the steps of a cell",
    "smooth_l1": "test_compiled.py: by the loss in its parts",
    "_standard_gamma": "tests/framework/distributions/test_sampling.py, by SciPy's quantiles",
    "_sample_dirichlet": "the same",
}


def test_no_op_with_a_gradient_is_left_out() -> None:
    """Who adds an op with a gradient adds a sample of it that wants one, or a line above."""
    tables = [{case.values[0] for case in DIFFERENTIABLE}, CHECKED, ZERO, REFUSED, ELSEWHERE]
    seen = {name for table in tables for name in table}
    assert {name for name, op in OPS.items() if op.grad is not None} <= seen
    assert seen <= OPS.keys() and sum(map(len, tables)) == len(seen)
