"""Differences of neighbours: diff, and gradient, which estimates a derivative from samples."""

from __future__ import annotations

from typing import Any

from framework.core.dispatch import apply, composite
from framework.core.interpose import looked_at
from framework.core.registry import function, op
from framework.device import CPU
from framework.dtypes import uint8
from framework.kernels import compiled, module_of
from framework.ops.dims import axes, axis, numpy_names
from framework.ops.joining import cat
from framework.tensor import Tensor

__all__ = ["diff", "gradient"]


def _neighbours_kernel(a: Any) -> Any:
    if compiled.is_plain_or_wide(a) and (lines := compiled.family("lines")):
        return lines.differences(a)
    return a[..., 1:] - a[..., :-1]


def _neighbours_backward_kernel(g: Any) -> Any:
    if compiled.is_plain_or_wide(g) and (lines := compiled.family("lines")):
        return lines.of_differences(g)
    out = module_of(g).zeros((*g.shape[:-1], g.shape[-1] + 1), g.dtype)
    out[..., 1:] += g
    out[..., :-1] -= g
    return out


# Along the last dimension, all at once where nobody looks between the parts.
NEIGHBOURS = op(
    "diff_neighbours", _neighbours_kernel, "a",
    grad=(lambda g: apply(NEIGHBOURS_BACKWARD, g),), samples=lambda s: [((s(2, 4),), {})],
)  # fmt: skip
NEIGHBOURS_BACKWARD = op(
    "diff_neighbours_backward", _neighbours_backward_kernel, "grad",
    grad=(lambda g: apply(NEIGHBOURS, g),), samples=lambda s: [((s(2, 3),), {})],
)  # fmt: skip


@function(out=True)
@numpy_names
@composite
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The ``n``-th difference of neighbours along a dimension; for bool whether they differ.

    The dimension gets ``n`` shorter.

    Args:
        prepend, append: what to put in front of and behind ``input`` first.

    Raises:
        RuntimeError: a 0-d input, a negative order, or a ``prepend`` that does not fit.
        IndexError: a dimension out of range.

    >>> import framework as torch
    >>> torch.tensor([1, 4, 9, 16]).diff()
    tensor([3, 5, 7])
    """
    if not input.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    d = axis(dim, input.ndim)
    for t in (prepend, append):
        if t is not None:
            _check_fits(input, t, d)
    if not n:  # without what stands around it, as in PyTorch
        return input.clone()
    around = [t for t in (prepend, input, append) if t is not None]
    x = cat(around, d) if len(around) > 1 else input
    for _ in range(min(n, x._data.shape[d])):
        length = x._data.shape[d]
        if d == x.ndim - 1 and length > 1 and _at_once(x):
            x = apply(NEIGHBOURS, x)
            continue
        late, early = x.narrow(d, 1, length - 1), x.narrow(d, 0, length - 1)
        x = late ^ early if x._data.dtype.kind == "b" else late - early
    return x


def _at_once(x: Tensor) -> bool:
    return not looked_at() and x._device is CPU and compiled.is_plain_or_wide(x._data)


def _check_fits(input: Tensor, other: Tensor, d: int) -> None:
    if other.ndim != input.ndim:
        raise RuntimeError("diff expects prepend or append to be the same dimension as input")
    for i, (n, m) in enumerate(zip(input._data.shape, other._data.shape)):
        if i != d and n != m:
            raise RuntimeError(
                "diff expects the shape of tensor to prepend or append to match that of input "
                f"except along the differencing dimension; input.size({i}) = {n}, but got "
                f"tensor.size({i}) = {m}"
            )


# -- estimates of a derivative ---------------------------------------------------------------


def _even(y: Tensor, step: Any, d: int, edge_order: int) -> Tensor:
    """Central differences inside, at the ends one-sided ones of the first or second order."""
    n = y._data.shape[d]

    def at(i: int, count: int = 1) -> Tensor:
        return y.narrow(d, i, count)

    inner = (at(2, n - 2) - at(0, n - 2)) / step / 2
    if edge_order == 1:
        first, last = (at(1) - at(0)) / step, (at(n - 1) - at(n - 2)) / step
    else:
        first = (at(0) * -1.5 + at(1) * 2 - at(2) * 0.5) / step
        last = (at(n - 1) * 1.5 - at(n - 2) * 2 + at(n - 3) * 0.5) / step
    return cat([first, inner, last], d)


def _uneven(y: Tensor, x: Tensor, d: int, edge_order: int) -> Tensor:
    """As `_even`, for samples at the coordinates ``x``: the derivative of a parabola through three.

    The formula of B. Fornberg, "Generation of finite difference formulas on arbitrarily spaced
    grids", Mathematics of Computation 51, 1988.
    """
    n = y._data.shape[d]
    steps = diff(x).reshape([-1 if i == d else 1 for i in range(y.ndim)])

    def at(i: int, count: int = 1) -> Tensor:
        return y.narrow(d, i, count)

    def step(i: int, count: int = 1) -> Tensor:
        return steps.narrow(d, i, count)

    h, k = step(0, n - 2), step(1, n - 2)
    inner = (
        at(0, n - 2) * (-k / (h * (h + k)))
        + at(1, n - 2) * ((k - h) / (h * k))
        + at(2, n - 2) * (h / (k * (h + k)))
    )
    if edge_order == 1:
        first, last = (at(1) - at(0)) / step(0), (at(n - 1) - at(n - 2)) / step(n - 2)
        return cat([first, inner, last], d)
    h, k = step(0), step(1)
    first = (
        at(0) * (-(2 * h + k) / (h * (h + k)))
        + at(1) * ((h + k) / (h * k))
        - at(2) * (h / (k * (h + k)))
    )
    h, k = step(n - 3), step(n - 2)
    last = (
        at(n - 3) * (k / (h * (h + k)))
        - at(n - 2) * ((h + k) / (h * k))
        + at(n - 1) * ((2 * k + h) / (k * (h + k)))
    )
    return cat([first, inner, last], d)


def _spacings(input: Tensor, spacing: Any, dim: Any, dims: list[int]) -> list[Any]:
    """One number or vector of coordinates for each dimension."""
    if not isinstance(spacing, (list, tuple)):
        return [1 if spacing is None else spacing] * len(dims)
    if len(spacing) != len(dims):
        given = f"got a {{}} of length {len(spacing)}"
        if dim is None:
            raise RuntimeError(
                "torch.gradient expected spacing to be unspecified, a scalar, or a list of length "
                f"equal to 'self.dim() = {input.ndim}', since dim argument was not given, but "
                + given.format("list")
            )
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim "
            f"arguments to have the same length, but {given.format('spacing argument')} and a dim "
            f"argument of length {len(dims)}."
        )
    for x in spacing:
        if isinstance(x, Tensor) and x.device != input.device:
            raise RuntimeError(
                "torch.gradient expected each tensor to be on the same device, but got devices "
                f"{input.device} and {x.device}!"
            )
        if isinstance(x, Tensor) and x.ndim != 1:
            raise RuntimeError(
                "torch.gradient expected each element of spacing to have one dimension, but got an "
                f"element with {x.ndim} dimensions!"
            )
    return list(spacing)


@function(method=False)
@numpy_names
@composite
def gradient(input: Tensor, *, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> Any:
    """The derivative of a sampled function, estimated along each dimension: a tuple of tensors.

    Each has the shape of ``input``. Inside it takes central differences.

    Args:
        spacing: the distance of the samples, one for each dimension, or vectors of coordinates.
        dim: only along these.
        edge_order: 1 or 2, the order of the one-sided estimates at both ends.

    RuntimeError for a dimension with ``edge_order`` samples or fewer, and for uint8.

    >>> import framework as torch
    >>> torch.gradient(torch.tensor([1.0, 4.0, 9.0, 16.0]))
    (tensor([3., 4., 6., 7.]),)
    """
    dims = list(range(input.ndim))
    if dim is not None:
        axes(dim, input.ndim)  # refuses one that is given twice
        dims = [axis(d, input.ndim) for d in (dim if isinstance(dim, (list, tuple)) else [dim])]
    steps = _spacings(input, spacing, dim, dims)
    if input.dtype is uint8:
        raise RuntimeError("torch.gradient does not support uint8 input.")
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    for d in dims:
        if input._data.shape[d] < edge_order + 1:
            raise RuntimeError(
                "torch.gradient expected each dimension size to be at least edge_order+1"
            )
    return tuple([
        _uneven(input, step, d, edge_order) if isinstance(step, Tensor) and step.ndim
        else _even(input, step, d, edge_order)
        for d, step in zip(dims, steps)
    ])  # fmt: skip
