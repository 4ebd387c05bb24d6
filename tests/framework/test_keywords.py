"""Arguments can be given by the names that PyTorch gives them."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest

import framework
from framework.core.keywords import ALSO, RENAMED

CALLS = """
torch.det(input=m) | torch.linalg.det(A=m) | torch.linalg.inv(A=m) | torch.inverse(input=m)
torch.linalg.norm(input=m, ord=2) | torch.linalg.vector_norm(input=m) | torch.norm(input=m)
torch.linalg.matrix_norm(input=m) | torch.linalg.eigvalsh(input=p) | torch.logdet(input=p)
torch.linalg.eigh(input=p).eigenvalues | torch.linalg.cholesky(input=p) | torch.slogdet(input=m)
torch.linalg.lstsq(input=m, b=m).solution | torch.linalg.solve(A=m, B=m) | torch.cholesky(input=p)
torch.linalg.solve_triangular(input=m, B=m, upper=True) | torch.linalg.pinv(input=m)
torch.linalg.tensorinv(input=e, ind=2) | torch.linalg.tensorsolve(input=e, other=m[:2, :2])
torch.linalg.matrix_rank(input=m) | torch.linalg.matrix_power(input=m, n=2)
torch.matrix_power(input=m, n=2) | torch.linalg.matrix_exp(input=m) | torch.matrix_exp(input=m)
torch.linalg.cond(input=m) | torch.cholesky_inverse(input=p)
torch.linalg.multi_dot(tensors=[m, m])
torch.cholesky_solve(input=m, input2=p) | torch.triangular_solve(input=m, A=m).solution
torch.ormqr(input=m, input2=m[0], input3=m) | torch.special.hermite_polynomial_h(x=m, n=2)
torch.special.airy_ai(x=m) | torch.special.spherical_bessel_j0(x=m) | torch.special.expit(input=m)
torch.pow(self=2, exponent=m) | torch.pow(input=m, exponent=2) | torch.remainder(self=2, other=m)
torch.where(condition=m > 0, self=1.0, other=m) | torch.xlogy(self=2.0, other=m.abs())
torch.bitwise_and(self=2, other=i) | torch.bitwise_left_shift(self=2, other=i)
torch.float_power(self=2.0, exponent=m) | torch.bucketize(self=0.5, boundaries=s)
torch.searchsorted(sorted_sequence=s, self=0.5) | torch.isin(elements=m, test_element=2.0)
torch.isin(element=1.0, test_elements=m) | torch.isin(m, 1.0) | torch.isin(i, 1)
torch.hsplit(m, sections=3)[0] | torch.vsplit(m, indices=(1,))[0] | m.hsplit(sections=3)[1]
torch.dropout(m, p=0.0, train=True) | torch.nn.functional.one_hot(input=i)
torch.relu_(input=m.clone()) | torch.clamp_(input=m.clone(), max=0.5)
torch.split_copy(input=m, split_size=1)[0]
torch.unfold_copy(input=m, dimension=0, size=1, step=1)
torch.tril_indices(2, 2, requires_grad=False)
torch.fft.fftfreq(n=3, pin_memory=False) | torch.rand_like(m, generator=torch.Generator()).shape
torch.randn_like(m, generator=torch.Generator()).shape | m.view(size=(9,)) | m.permute(dims=(1, 0))
m.cholesky_solve(input2=p) | m.ormqr(input2=m[0], input3=m)
torch.randint_like(m, high=2, generator=torch.Generator()).shape | torch.flip(m, dims=(0,))
torch.sparse_coo_tensor(i[:1], s, (9,), pin_memory=False).to_dense()
torch.sparse_coo_tensor(i.sort()[0], s, (9,), check_invariants=True, is_coalesced=True).to_dense()
"""


def space(torch: Any) -> dict[str, Any]:
    m = torch.tensor([[2.0, 0.5, -0.25], [0.125, 1.0, 0.5], [0.75, 0.25, 3.0]])
    return {
        "torch": torch, "m": m, "p": m @ m.T, "i": torch.tensor([[1, 0, 2]]),
        "s": torch.tensor([0.25, 1.0, 2.0]), "e": torch.eye(4).reshape(2, 2, 2, 2),
    }  # fmt: skip


@pytest.mark.parametrize("call", [
    c.strip() for c in CALLS.replace("\n", "|").split("|") if c.strip()
])  # fmt: skip
def test_a_call_by_keyword_does_what_pytorch_does(call: str) -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mine, theirs = (eval(call, space(t)) for t in (framework, torch))
    if isinstance(mine, tuple):
        for a, b in zip(mine, theirs, strict=True):
            assert framework.as_tensor(a).tolist() == pytest.approx(torch.as_tensor(b).tolist())
        return
    expected = framework.tensor(theirs.tolist())
    assert mine.shape == expected.shape
    assert framework.allclose(
        mine.to(framework.float64), expected.to(framework.float64), 1e-3, 1e-4
    )


@pytest.mark.parametrize("table", [RENAMED, ALSO])
def test_the_tables_name_parameters_that_there_are(table: dict[str, dict[str, str]]) -> None:
    for place, names in table.items():
        function: Any = framework
        for part in place.split("."):
            function = getattr(function, part)
        assert set(inspect.signature(function).parameters) >= {
            *(names.values()), *(names if table is ALSO else ())
        }, place  # fmt: skip
