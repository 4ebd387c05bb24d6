"""`lobpcg`: the k largest or smallest eigenpairs of a symmetric generalised eigenvalue problem."""

from __future__ import annotations

from typing import Any

from framework.core.dispatch import composite
from framework.core.registry import function
from framework.tensor import Tensor

__all__ = ["lobpcg"]


@function(method=False)
@composite
def lobpcg(
    A: Tensor, k: int | None = None, B: Tensor | None = None, X: Tensor | None = None,
    n: int | None = None, iK: Tensor | None = None, niter: int | None = None,
    tol: float | None = None, largest: bool | None = None, method: str | None = None,
    tracker: Any = None, ortho_iparams: Any = None, ortho_fparams: Any = None,
    ortho_bparams: Any = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The ``k`` largest (or smallest) eigenvalues of ``A x = λ B x`` and their eigenvectors.

    They are computed by a dense decomposition, exactly and with gradients of any order, not by the
    iteration that the name stands for; what steers an iteration (``X`` beyond its width, ``iK``,
    ``niter``, ``tol``, ``method``, ``tracker``, ...) is accepted and makes no difference.

    Args:
        A: (*, m, m), symmetric; dense or sparse.
        B: (*, m, m), symmetric positive definite; the identity by default.
        k: how many; by default as many as ``X`` has columns, or 1.
        largest: largest first (the default), else smallest first.

    Returns:
        (eigenvalues (*, k), eigenvectors (*, m, k)), the vectors orthonormal with respect to ``B``.

    ValueError unless A has at least 3k rows.

    >>> import framework as torch
    >>> values, _ = torch.lobpcg(torch.diag(torch.arange(6.0)), k=2)
    >>> values
    tensor([5., 4.])
    """
    from framework import linalg

    A = A.to_dense()
    m = A.shape[-1]
    count = k or (X.shape[-1] if X is not None else n) or 1
    if m < 3 * count:
        raise ValueError(
            f"LOBPCG algorithm is not applicable when the number of A rows (={m}) is smaller than "
            f"3 x the number of requested eigenpairs (={count})"
        )
    L = None
    if B is not None:
        L = linalg.cholesky(B.to_dense())
        A = linalg.solve_triangular(L, A, upper=False)
        A = linalg.solve_triangular(L.mT, A, upper=True, left=False)
    values, vectors = linalg.eigh(A)
    if largest is None or largest:
        values, vectors = values.flip(-1), vectors.flip(-1)
    values, vectors = values[..., :count], vectors[..., :count]
    if L is not None:
        vectors = linalg.solve_triangular(L.mT, vectors, upper=True)
    return values, vectors
