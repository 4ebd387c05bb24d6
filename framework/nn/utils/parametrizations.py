"""Ready parametrizations: orthogonal matrices, weight and spectral normalisation."""

from __future__ import annotations

from typing import Any

from framework import dtypes
from framework.core.modes import no_grad
from framework.nn import functional as F
from framework.nn.modules.conv import _ConvTransposeNd
from framework.nn.modules.module import Module
from framework.nn.utils import parametrize
from framework.nn.utils.weight_norm import scaled
from framework.ops.creation import eye
from framework.ops.joining import cat
from framework.ops.reduce import norm_except_dim
from framework.tensor import Tensor

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def _torch() -> Any:
    """The public functions of linear algebra, which are bound when the package is complete."""
    import framework

    return framework


def _is_orthogonal(q: Any) -> bool:
    rows, cols = q.shape[-2:]
    identity = eye(cols, dtype=q.dtype, device=q.device)
    eps = 10.0 * rows * dtypes.finfo(q.dtype).eps
    return _torch().allclose(_adjoint(q) @ q, identity, atol=eps)


def _adjoint(a: Any) -> Any:
    turned = a.transpose(-2, -1)
    return turned.conj() if a.is_complex() else turned


def _diagonal(a: Any) -> Any:
    return a.diagonal(0, -2, -1)


def _make_orthogonal(a: Any) -> Any:
    """Q of the decomposition QR whose R has a positive diagonal."""
    q, r = _torch().linalg.qr(a)
    return q * _diagonal(r).sgn().unsqueeze(-2)


class _Orthogonal(Module):
    base: Any

    def __init__(self, weight: Any, orthogonal_map: str, *, use_trivialization: bool) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Any) -> Any:
        transposed = x.shape[-2] < x.shape[-1]
        if transposed:
            x = x.transpose(-2, -1)
        n, k = x.shape[-2:]
        if self.orthogonal_map == "householder":
            a = x.tril(-1)
            tau = 2.0 / (1.0 + (a * a).sum(-2))
            q = _torch().linalg.householder_product(a, tau)
            q = q * _diagonal(x).int().unsqueeze(-2)
        else:
            q = self._from_skew(x, n, k)
        if hasattr(self, "base"):
            q = self.base @ q
        return q.transpose(-2, -1) if transposed else q

    def _from_skew(self, x: Any, n: int, k: int) -> Any:
        """The exponential or the Cayley transform of the skew-symmetric matrix of x."""
        x = x.tril()
        if n != k:
            more = x.new_zeros((n, n - k)).expand(*x.shape[:-2], n, n - k)
            x = cat([x, more], -1)
        a = x - _adjoint(x)
        if self.orthogonal_map == "matrix_exp":
            q = _torch().linalg.matrix_exp(a)
        else:
            identity = eye(n, dtype=a.dtype, device=a.device)
            q = _torch().linalg.solve(identity - 0.5 * a, identity + 0.5 * a)
        return q[..., :k] if n != k else q

    @no_grad()
    def right_inverse(self, q: Any) -> Any:
        """What gives q, or the orthogonal matrix nearest to it."""
        if q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of "
                f"shape {q.shape}."
            )
        first = q
        transposed = q.shape[-2] < q.shape[-1]
        if transposed:
            q = q.transpose(-2, -1)
        n, k = q.shape[-2:]
        if not hasattr(self, "base"):
            a = self._reflections(q)
            return a.transpose(-2, -1) if transposed else a
        if n != k:
            more = _torch().randn(*q.shape[:-2], n, n - k, dtype=q.dtype, device=q.device)
            q = _make_orthogonal(cat([q, more], -1))
        elif not _is_orthogonal(q):
            q = _make_orthogonal(q)
        else:
            q = q.clone()
        self.base = q
        # -1 on the diagonal is what all three maps send to the identity (of the first k columns).
        start = first.new_zeros(first.shape)
        _diagonal(start).fill_(-1.0)
        return start

    def _reflections(self, q: Any) -> Any:
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley "
                "parametrizations when use_trivialization=False."
            )
        a, tau = _torch().geqrf(q)
        a = a.clone()
        diagonal = _diagonal(a)
        diagonal.copy_(diagonal.sign() * (1 - 2 * (tau == 0).to(a.dtype)))
        return a


def orthogonal(
    module: Any, name: str = "weight", orthogonal_map: str | None = None, *,
    use_trivialization: bool = True,
) -> Any:  # fmt: skip
    """Keep a matrix (or batch of them) orthogonal; rows or columns if it is not square.

    Returns the module; ValueError for a tensor of fewer than two dimensions or that it does not
    have, and for another map. Tensors (*, m, n) of float32, float64 or complex dtypes (RuntimeError
    for narrower, in a decomposition).

    Args:
        orthogonal_map: "matrix_exp", "cayley" or "householder"; by default the first for square or
            complex matrices, else the last.
        use_trivialization: optimize relative to a base, the value that was last assigned
            (Lezcano-Casado, "Trivializations for gradient-based optimization on manifolds", 2019).

    >>> import framework as torch
    >>> from framework import nn
    >>> w = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3)).weight
    >>> torch.allclose(w @ w.T, torch.eye(3), atol=1e-6)
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(
            f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions."
        )
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1] or weight.is_complex()
        orthogonal_map = "matrix_exp" if square else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: '
            f"{orthogonal_map}"
        )
    made = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    parametrize.register_parametrization(module, name, made, unsafe=True)
    return module


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Any, weight_v: Any) -> Any:
        return scaled(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        """Norms and weight."""
        return norm_except_dim(weight, 2, self.dim), weight


def weight_norm(module: Any, name: str = "weight", dim: int = 0) -> Any:
    """``weight`` = g v / ‖v‖ with the norms g (one per index of ``dim``; None: one) and v.

    Salimans and Kingma, "Weight normalization", 2016. State dicts of `nn.utils.weight_norm` can be
    loaded. Shape and dtype, a float one, stay. ValueError for a name that the module does not have,
    IndexError for a dimension out of range.

    >>> from framework import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    >>> layer.parametrizations.weight.original0.shape
    torch.Size([2, 1])
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def from_older(state_dict: Any, prefix: str, *_: Any) -> None:
        keys = [f"{prefix}{name}_g", f"{prefix}{name}_v"]
        if all(key in state_dict for key in keys):
            for i, key in enumerate(keys):
                new = f"{prefix}parametrizations.{name}.original{i}"
                state_dict[new] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(from_older)
    return module


class _SpectralNorm(Module):
    _u: Any
    _v: Any

    def __init__(
        self, weight: Any, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        super().__init__()
        ndim = weight.ndim
        if not -ndim <= dim < ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but got "
                f"{dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                "Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % ndim
        self.eps = eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = self._matrix(weight.detach())
            for buffer, size in zip(("_u", "_v"), matrix.shape):
                start = matrix.new_empty(size).normal_(0, 1)
                self.register_buffer(buffer, F.normalize(start, dim=0, eps=eps))
            self._power_method(matrix, 15)

    def _matrix(self, weight: Any) -> Any:
        if self.dim != 0:
            rest = [d for d in range(weight.ndim) if d != self.dim]
            weight = weight.permute(self.dim, *rest)
        return weight.flatten(1)

    @no_grad()
    def _power_method(self, matrix: Any, times: int) -> None:
        """Move u and v nearer to the singular vectors of the largest singular value."""
        for _ in range(times):
            self._u.copy_(F.normalize(matrix.mv(self._v), dim=0, eps=self.eps))
            self._v.copy_(F.normalize(_adjoint(matrix).mv(self._u), dim=0, eps=self.eps))

    def forward(self, weight: Any) -> Any:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        # Copies, so that a second forward pass does not spoil the first one's graph.
        u, v = self._u.clone(), self._v.clone()
        u = u.conj() if u.is_complex() else u
        return weight / u.dot(matrix.mv(v))

    def right_inverse(self, value: Any) -> Any:
        """The value itself: normalising a normalised matrix changes nothing."""
        return value


def spectral_norm(
    module: Any, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
    dim: int | None = None,
) -> Any:  # fmt: skip
    """Divide a parameter by its largest singular value (Miyato et al. 2018), estimated.

    The parameter is taken as the matrix of dimension ``dim`` (by default 0, or 1 for transposed
    convolutions) and all others. Each computation in training makes ``n_power_iterations`` steps of
    the power method. Returns the module; ValueError for a name that it does not have and steps that
    are not positive. Shape and dtype, a float or complex one, stay.

    >>> from framework import nn
    >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))
    >>> bool(abs(layer.weight.norm() - 1) < 1)
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if dim is None:
        dim = 1 if isinstance(module, _ConvTransposeNd) else 0
    made = _SpectralNorm(weight, n_power_iterations, dim, eps)
    parametrize.register_parametrization(module, name, made)
    return module
