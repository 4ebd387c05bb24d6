"""Matrices on a device: by CuPy's routines where it has them, to the errors of the host's."""

from __future__ import annotations

from test_strict_device import needs_compiler, strictly

SOLVED = """
import cupy
import numpy as np
import framework as torch
L = torch.linalg
rng = np.random.default_rng(0)
def drawn(*shape, kind=np.float64):
    x = rng.standard_normal(shape)
    return torch.from_numpy((x + 1j * rng.standard_normal(shape)).astype(kind)
                            if np.dtype(kind).kind == "c" else x.astype(kind))
def both(call, *given, near=1e-9):
    plain = call(*given)
    there = [t.cuda() for t in given]
    cupy.counts.reset()
    found = call(*there)
    bytes_ = cupy.counts.fetched
    assert bytes_ <= 32, (call, bytes_)  # error numbers, never a matrix
    for a, b in zip(*[x if isinstance(x, tuple) else (x,) for x in (plain, found)]):
        assert b.device.type == "cuda" and a.dtype == b.dtype and a.shape == b.shape, (a, b)
        np.testing.assert_allclose(b.cpu().numpy(), a.numpy(), rtol=near, atol=near)
for kind in (np.float64, np.complex128, np.float32):
    near = 1e-4 if kind == np.float32 else 1e-9
    for batch in ((), (3,), (2, 3)):
        a = drawn(*batch, 4, 4, kind=kind)
        definite = a @ a.mH + 4 * torch.eye(4, dtype=a.dtype)
        b = drawn(*batch, 4, 2, kind=kind)
        for call in (L.inv, L.inv_ex, L.lu_factor, L.lu_factor_ex, L.lu, L.pinv, L.matrix_rank,
                     L.det, torch.geqrf, L.svdvals, lambda x: L.eigvals(x).abs().sort(-1)[0],
                     lambda x: (L.eig(x)[1] @ L.eig(x)[0].diag_embed()).abs().sum(-2).sort(-1)[0]):
            both(call, a, near=near)
        for call in (L.cholesky, L.cholesky_ex, lambda x: L.cholesky(x, upper=True),
                     torch.cholesky_inverse, lambda x: L.pinv(x, hermitian=True),
                     lambda x: L.matrix_rank(x, hermitian=True)):
            both(call, definite, near=near)
        both(L.solve, a, b, near=near)
        both(L.solve_ex, a, b, near=near)
        both(lambda x, y: L.solve_triangular(x, y, upper=True), a, b, near=near)
        both(lambda x, y: L.solve_triangular(x, y, upper=False, unitriangular=True), a, b,
             near=near)
        both(torch.cholesky_solve, b, L.cholesky(definite), near=near)
        both(lambda y, x: torch.cholesky_solve(y, x, upper=True), b,
             L.cholesky(definite, upper=True), near=near)
        for m, n in ((5, 3), (3, 5), (4, 4)):
            both(lambda x, y: tuple(L.lstsq(x, y, driver="gels"))[:2],
                 drawn(*batch, m, n, kind=kind), drawn(*batch, m, 2, kind=kind), near=near)
        both(L.lu_factor_ex, drawn(*batch, 5, 3, kind=kind), near=near)
one, many = drawn(4, 4), drawn(3, 4, 2)
both(L.solve, one, many)
both(lambda x, y: L.solve_triangular(x, y, upper=True), one, many)
both(L.solve, drawn(3, 4, 4), drawn(1, 4, 2).expand(3, 4, 2).contiguous())
x = drawn(2, 4, 4).cuda().requires_grad_()
(L.inv(x).sum() + L.solve(x, x).sum() + torch.logdet(x @ x.mT).sum()).backward()
assert x.grad.device.type == "cuda"
print("solved there")
"""


@needs_compiler
def test_matrices_are_solved_on_the_device() -> None:
    assert strictly("-c", SOLVED) == "solved there\n"


ERRORS = """
import framework as torch
L = torch.linalg
def said(call, *given):
    try:
        call(*given)
    except Exception as error:
        return f"{type(error).__name__}: {error}".partition(", at ")[0]
    return ""
bad = torch.eye(3).expand(2, 3, 3).clone()
bad[1, 2, 2] = 0
for call in (L.inv, L.cholesky, lambda x: L.solve(x, torch.ones(2, 3, 1, device=x.device)),
             L.lu_factor, lambda x: L.eig(x * float("nan"))):
    for x in (bad, bad[1]):
        plain, there = said(call, x), said(call, x.cuda())
        assert plain == there != "", (plain, there)
assert L.inv_ex(bad.cuda()).info.tolist() == [0, 3] == L.lu_factor_ex(bad.cuda()).info.tolist()
assert L.cholesky_ex(bad.cuda()).info.tolist() == [0, 3]
for kind in (torch.float16, torch.int64):
    assert said(L.inv, torch.eye(2).to(kind)) == said(L.inv, torch.eye(2).to(kind).cuda())
assert L.inv(torch.zeros(0, 3, 3).cuda()).shape == (0, 3, 3)
print("the same words")
"""


@needs_compiler
def test_errors_are_the_hosts() -> None:
    assert strictly("-c", ERRORS) == "the same words\n"
