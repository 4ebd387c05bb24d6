"""Discrete Fourier transforms, of complex and real input, over any dimensions.

Three primitives, as in PyTorch: complex to complex, real to one half of a complex spectrum (the
other half is its conjugate), and such a half back to real numbers. ``norm`` says where the factor
1/n goes: "backward" (the default) into the inverse transform, "forward" into the other one, "ortho"
one over the square root into both.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply
from framework.core.registry import function, op
from framework.dtypes import COMPLEX, FLOAT
from framework.kernels import module_of
from framework.kernels.floats import type_name
from framework.ops.creation import create, in_pinned_memory
from framework.ops.dims import axis
from framework.tensor import Tensor

__all__ = ["fft", "fftn", "fftshift", "ifft", "ifftn", "irfft", "irfftn", "rfft", "rfftn"]

_FFT = ("fft",)

# The norm that gives a transform of the other direction the same factor.
_FLIPPED = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


# -- primitives --------------------------------------------------------------------------------


def _outer_first(a: Any) -> list[int]:
    """The dimensions from the largest stride to the smallest."""
    return sorted(range(a.ndim), key=lambda d: -abs(a.strides[d]))


def _passed(order: list[int], dim: tuple[int, ...]) -> list[int]:
    """How PyTorch's result lies after a transform along ``dim``: those dimensions are innermost."""
    inner = {d % len(order) for d in dim} if order else set()
    return [d for d in order if d not in inner] + [d for d in order if d in inner]


def _laid(result: Any, order: list[int]) -> Any:
    """``result`` with its dimensions in that order in memory."""
    across = result.transpose(order)
    if across.flags.c_contiguous:
        return result
    return across.copy().transpose([order.index(d) for d in range(result.ndim)])


def _c2c_kernel(a: Any, *, dim: tuple[int, ...], norm: str, forward: bool) -> Any:
    transform = module_of(a).fft.fftn if forward else module_of(a).fft.ifftn
    return _laid(transform(a, axes=dim, norm=norm), _passed(_outer_first(a), dim))


def _r2c_kernel(a: Any, *, dim: tuple[int, ...], norm: str) -> Any:
    order = _passed(_passed(_outer_first(a), dim), dim[-1:])
    return _laid(module_of(a).fft.rfftn(a, axes=dim, norm=norm), order)


def _c2r_kernel(a: Any, *, dim: tuple[int, ...], norm: str, size: int) -> Any:
    xp = module_of(a)
    order = _passed(_passed(_outer_first(a), dim[:-1]), dim[-1:])
    if len(dim) > 1:
        a = xp.fft.ifftn(a, axes=dim[:-1], norm=norm)
    return _laid(xp.fft.irfft(a, size, dim[-1], norm), order)


def _r2c_grad(g: Any, n: Any, dim: tuple[int, ...], norm: str) -> Any:
    """The matrix of the transform is symmetric; what the half leaves out gets no gradient."""
    last = dim[-1]
    g = _resized(g, (last,), (n.shape(0)[last],))
    return apply(C2C, g, dim=dim, norm=norm, forward=True)


def _c2r_grad(g: Any, n: Any, dim: tuple[int, ...], norm: str) -> Any:
    """In PyTorch's convention; but for the first and the middle one, each bin counts twice."""
    half = apply(R2C, g, dim=dim, norm=_FLIPPED[norm])
    twice = g.shape[dim[-1]] - half.shape[dim[-1]]
    if twice <= 0:
        return half
    weight = np.ones(half.shape[dim[-1]], g._data.real.dtype)
    weight[1 : 1 + twice] = 2
    shape = [1] * half.ndim
    shape[dim[-1]] = -1
    return half * half.new_tensor(weight, dtype=g.dtype).reshape(shape)


C2C = op(
    "fft_c2c", _c2c_kernel, "a",
    grad=(lambda g, dim, norm, forward: apply(C2C, g, dim=dim, norm=norm, forward=forward),),
    samples=lambda s: [
        ((s(4).detach(),), {"dim": (0,), "norm": "backward", "forward": True}),
        ((s(2, 3).detach(),), {"dim": (0, 1), "norm": "ortho", "forward": False}),
    ],
)  # fmt: skip
R2C = op(
    "fft_r2c", _r2c_kernel, "a", grad=(_r2c_grad,),
    samples=lambda s: [((s(4).detach(),), {"dim": (0,), "norm": "backward"})],
)  # fmt: skip
C2R = op(
    "fft_c2r", _c2r_kernel, "a", grad=(_c2r_grad,),
    samples=lambda s: [((s(3).detach(),), {"dim": (0,), "norm": "backward", "size": 5})],
)  # fmt: skip


# -- arguments ---------------------------------------------------------------------------------


def _prepared(input: Tensor, complex_: bool, name: str) -> Tensor:
    """``input`` in a type that has a transform: float or complex, 32 or 64 bits."""
    if not complex_ and input.dtype.category == COMPLEX:
        raise RuntimeError(f"{name} expects a real input tensor, but got {type_name(input._data)}")
    kind = input.dtype
    if kind.category < FLOAT:
        kind = dtypes.get_default_dtype()
    if kind.itemsize == 2:
        raise RuntimeError(f"Unsupported dtype {type_name(input._data)}")
    if complex_ and kind.category != COMPLEX:
        kind = kind.to_complex()
    return input if input.dtype is kind else input.to(kind)


def _norm(norm: Any) -> str:
    if norm is None:
        return "backward"
    if norm not in _FLIPPED:
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    return str(norm)


def _ints(value: Any) -> list[int]:
    values = [value] if isinstance(value, int) else value
    return [operator.index(v) for v in values]


def _dims(
    input: Tensor, s: Any, dim: Any, last: Any = None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Dimensions to transform, and the lengths to cut or pad them to.

    ``last`` gives the default length of the last one from the input's.
    """
    sizes = None if s is None else _ints(s)
    if dim is not None:
        for d in _ints(dim)[: 0 if input.ndim else None]:
            raise IndexError(f"Dimension specified as {d} but tensor has no dimensions")
        over = [axis(d, input.ndim) for d in _ints(dim)]
        if len(set(over)) != len(over):
            raise RuntimeError("FFT dims must be unique")
        if sizes is not None and len(sizes) != len(over):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
    elif sizes is not None:
        if len(sizes) > input.ndim:
            raise RuntimeError(
                f"Got shape with {len(sizes)} values but input tensor only has {input.ndim} "
                "dimensions."
            )
        over = list(range(input.ndim - len(sizes), input.ndim))
    else:
        over = list(range(input.ndim))
    have = [input.shape[d] for d in over]
    if last is not None and have:
        have[-1] = last(have[-1])
    lengths = have if sizes is None else [h if n == -1 else n for n, h in zip(sizes, have)]
    for n in lengths:
        if n < 1:
            raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return tuple(over), tuple(lengths)


def _one(input: Tensor, n: int | None, dim: int, last: Any = None) -> tuple[tuple[int], int]:
    """`_dims` for one dimension."""
    if not input.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    d = axis(dim, input.ndim)
    have = input.shape[d] if last is None else last(input.shape[d])
    length = have if n is None else operator.index(n)
    if length < 1:
        raise RuntimeError(f"Invalid number of data points ({length}) specified")
    return (d,), length


def _resized(x: Any, dims: tuple[int, ...], sizes: tuple[int, ...]) -> Any:
    """Cut, or padded with zeros, to lengths along dimensions."""
    from framework.ops.padding import PAD

    pads = [(0, 0)] * x.ndim
    for d, n in zip(dims, sizes):
        pads[d] = (0, n - x.shape[d])
    return x if not any(after for _, after in pads) else apply(PAD, x, pad=tuple(pads), value=0)


def _full(n: int) -> int:
    """Length of the signal whose half spectrum has length n."""
    return 2 * (n - 1)


def _c2c(input: Tensor, dims: Any, sizes: Any, norm: str, forward: bool) -> Tensor:
    if not dims:
        return input
    return apply(C2C, _resized(input, dims, sizes), dim=dims, norm=norm, forward=forward)


def _r2c(input: Tensor, dims: Any, sizes: Any, norm: str) -> Tensor:
    return apply(R2C, _resized(input, dims, sizes), dim=dims, norm=norm)


def _c2r(input: Tensor, dims: Any, sizes: Any, norm: str) -> Tensor:
    halves = (*sizes[:-1], sizes[-1] // 2 + 1)
    return apply(C2R, _resized(input, dims, halves), dim=dims, norm=norm, size=sizes[-1])


def _need_one(dims: Any, name: str) -> None:
    if not dims:
        raise RuntimeError(f"{name} must transform at least one axis")


# -- one dimension -----------------------------------------------------------------------------


@function(namespaces=_FFT, method=False, checks=True, out=True)
def fft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The Fourier transform along a dimension: ``X[k] = sum_j x[j] exp(-2 pi i j k / n)``.

    Args:
        input: real or complex.
        n: cut or pad the dimension with zeros to this length first.
        norm: "backward" (no factor), "ortho" (1/sqrt(n)) or "forward" (1/n).

    Complex, of the same precision; RuntimeError for half precision, a length below 1 and another
    norm, IndexError for a dimension out of range.

    >>> import framework as torch
    >>> torch.fft.fft(torch.tensor([1.0, 0.0, 0.0, 0.0])).real.tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    dims, length = _one(input, n, dim)
    return _c2c(_prepared(input, True, "fft"), dims, (length,), _norm(norm), True)


@function(namespaces=_FFT, method=False, checks=True, out=True)
def ifft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `fft`: ``x[j] = 1/n sum_k X[k] exp(2 pi i j k / n)``.

    Arguments and errors as for `fft`.

    >>> import framework as torch
    >>> torch.fft.ifft(torch.tensor([4.0, 0.0, 0.0, 0.0])).real.tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    dims, length = _one(input, n, dim)
    return _c2c(_prepared(input, True, "ifft"), dims, (length,), _norm(norm), False)


@function(namespaces=_FFT, method=False, checks=True, out=True)
def rfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The first ``n // 2 + 1`` elements of the `fft` of a real signal; the rest mirrors them.

    `(*, n)` gives `(*, n // 2 + 1)`, complex. RuntimeError for complex input.

    >>> import framework as torch
    >>> torch.fft.rfft(torch.ones(4)).shape
    torch.Size([3])
    """
    x = _prepared(input, False, "rfft")
    dims, length = _one(input, n, dim)
    return _r2c(x, dims, (length,), _norm(norm))


@function(namespaces=_FFT, method=False, checks=True, out=True)
def irfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The real signal of length n (default ``2 * (length - 1)``) whose `rfft` is ``input``.

    An odd n must be given: the spectrum does not tell. RuntimeError for a length below 1.

    >>> import framework as torch
    >>> torch.fft.irfft(torch.fft.rfft(torch.tensor([1.0, 2.0, 3.0])), n=3).round()
    tensor([1., 2., 3.])
    """
    dims, length = _one(input, n, dim, _full)
    return _c2r(_prepared(input, True, "irfft"), dims, (length,), _norm(norm))


@function(namespaces=_FFT, method=False, checks=True, out=True)
def hfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The real `fft` of a signal that is the conjugate of its mirror image, given by its half.

    The n // 2 + 1 elements given make n real ones; n is ``2 * (length - 1)`` unless given.
    RuntimeError for a length below 1 and for half-precision input.

    >>> import framework as torch
    >>> torch.fft.hfft(torch.tensor([1.0, 2.0, 3.0]))
    tensor([ 8., -2.,  0., -2.])
    """
    dims, length = _one(input, n, dim, _full)
    x = _prepared(input, True, "hfft").conj()
    return _c2r(x, dims, (length,), _FLIPPED[_norm(norm)])


@function(namespaces=_FFT, method=False, checks=True, out=True)
def ihfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `hfft`: the first n // 2 + 1 elements of the `ifft` of a real spectrum.

    RuntimeError for complex input.

    >>> import framework as torch
    >>> torch.fft.ihfft(torch.tensor([1.0, 2.0, 3.0, 2.0])).real
    tensor([ 2.0000, -0.5000,  0.0000])
    """
    x = _prepared(input, False, "ihfft")
    dims, length = _one(input, n, dim)
    return _r2c(x, dims, (length,), _FLIPPED[_norm(norm)]).conj()


# -- many dimensions ---------------------------------------------------------------------------


@function(namespaces=_FFT, method=False, checks=True, out=True)
def fftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """`fft` along several dimensions: ``dim``, or the last ``len(s)``, or all; always complex.

    Args:
        s: lengths to cut or pad to with zeros; -1 keeps one.
        norm: as for `fft`, with n the product of the lengths.

    RuntimeError if ``s`` and ``dim`` differ in length or a dimension is named twice, IndexError for
    one out of range.

    >>> import framework as torch
    >>> torch.fft.fftn(torch.ones(2, 2)).real
    tensor([[4., 0.],
            [0., 0.]])
    """
    dims, sizes = _dims(input, s, dim)
    return _c2c(_prepared(input, True, "fftn"), dims, sizes, _norm(norm), True)


@function(namespaces=_FFT, method=False, checks=True, out=True)
def ifftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """`ifft` along several dimensions; arguments and errors as for `fftn`, whose inverse it is.

    >>> import framework as torch
    >>> x = torch.tensor([[4.0, 0.0], [0.0, 0.0]])
    >>> torch.fft.ifftn(x).real
    tensor([[1., 1.],
            [1., 1.]])
    """
    dims, sizes = _dims(input, s, dim)
    return _c2c(_prepared(input, True, "ifftn"), dims, sizes, _norm(norm), False)


@function(namespaces=_FFT, method=False, checks=True, out=True)
def rfftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """`rfft` along the last of several dimensions, `fft` along the others.

    RuntimeError for complex input.

    >>> import framework as torch
    >>> torch.fft.rfftn(torch.ones(4, 6)).shape
    torch.Size([4, 4])
    """
    x = _prepared(input, False, "rfftn")
    dims, sizes = _dims(input, s, dim)
    _need_one(dims, "rfftn")
    return _r2c(x, dims, sizes, _norm(norm))


@function(namespaces=_FFT, method=False, checks=True, out=True)
def irfftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """The inverse of `rfftn`: real, with ``s[-1]`` (default ``2 * (length - 1)``) elements at last.

    >>> import framework as torch
    >>> x = torch.arange(8.0).reshape(2, 4)
    >>> torch.fft.irfftn(torch.fft.rfftn(x)).round()
    tensor([[0., 1., 2., 3.],
            [4., 5., 6., 7.]])
    """
    dims, sizes = _dims(input, s, dim, _full)
    _need_one(dims, "irfftn")
    return _c2r(_prepared(input, True, "irfftn"), dims, sizes, _norm(norm))


@function(namespaces=_FFT, method=False, checks=True, out=True)
def hfftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """`hfft` along the last of several dimensions, `fft` along the others: real.

    >>> import framework as torch
    >>> torch.fft.hfftn(torch.ones(2, 3)).shape
    torch.Size([2, 4])
    """
    dims, sizes = _dims(input, s, dim, _full)
    _need_one(dims, "hfftn")
    x = _prepared(input, True, "hfftn")
    x = _c2c(x, dims[:-1], sizes[:-1], _norm(norm), True).conj()
    return _c2r(x, dims[-1:], sizes[-1:], _FLIPPED[_norm(norm)])


@function(namespaces=_FFT, method=False, checks=True, out=True)
def ihfftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """The inverse of `hfftn`: `ihfft` along the last dimension, `ifft` along the others.

    >>> import framework as torch
    >>> torch.fft.ihfftn(torch.ones(2, 4)).shape
    torch.Size([2, 3])
    """
    x = _prepared(input, False, "ihfftn")
    dims, sizes = _dims(input, s, dim)
    _need_one(dims, "ihfftn")
    x = _r2c(x, dims[-1:], sizes[-1:], _FLIPPED[_norm(norm)]).conj()
    return _c2c(x, dims[:-1], sizes[:-1], _norm(norm), False)


@function(namespaces=_FFT, method=False, checks=True, out=True)
def fft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """`fftn` along two dimensions, the last ones unless given: `(*, H, W)` to `(*, H, W)`.

    >>> import framework as torch
    >>> torch.fft.fft2(torch.ones(3, 2, 2))[0].real
    tensor([[4., 0.],
            [0., 0.]])
    """
    return fftn(input, s, dim, norm)


@function(namespaces=_FFT, method=False, checks=True, out=True)
def ifft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """`ifftn` along two dimensions, the last ones unless given.

    >>> import framework as torch
    >>> torch.fft.ifft2(torch.fft.fft2(torch.ones(2, 2))).real
    tensor([[1., 1.],
            [1., 1.]])
    """
    return ifftn(input, s, dim, norm)


@function(namespaces=_FFT, method=False, checks=True, out=True)
def rfft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """`rfftn` along two dimensions, the last ones unless given.

    `(*, H, W)` gives `(*, H, W // 2 + 1)`.

    >>> import framework as torch
    >>> torch.fft.rfft2(torch.ones(3, 4, 6)).shape
    torch.Size([3, 4, 4])
    """
    return rfftn(input, s, dim, norm)


@function(namespaces=_FFT, method=False, checks=True, out=True)
def irfft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """`irfftn` along two dimensions, the last ones unless given.

    >>> import framework as torch
    >>> torch.fft.irfft2(torch.ones(3, 4, 4), s=(4, 6)).shape
    torch.Size([3, 4, 6])
    """
    return irfftn(input, s, dim, norm)


@function(namespaces=_FFT, method=False, checks=True, out=True)
def hfft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """`hfftn` along two dimensions, the last ones unless given.

    >>> import framework as torch
    >>> torch.fft.hfft2(torch.ones(2, 3)).shape
    torch.Size([2, 4])
    """
    return hfftn(input, s, dim, norm)


@function(namespaces=_FFT, method=False, checks=True, out=True)
def ihfft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """`ihfftn` along two dimensions, the last ones unless given.

    >>> import framework as torch
    >>> torch.fft.ihfft2(torch.ones(2, 4)).shape
    torch.Size([2, 3])
    """
    return ihfftn(input, s, dim, norm)


# -- frequencies -------------------------------------------------------------------------------


def _frequencies_kernel(n: int, d: float, half: bool, dtype: Any) -> Any:
    steps = np.arange(n // 2 + 1) if half else np.fft.ifftshift(np.arange(n) - n // 2)
    return (steps / (n * d)).astype(dtype)


FREQUENCIES = op("fft_frequencies", _frequencies_kernel, "")


def _frequencies(n: int, d: float, half: bool, dtype: Any, device: Any, wants: bool) -> Tensor:
    if dtype is not None and dtypes.to_dtype(dtype).category < FLOAT:
        name = "rfftfreq" if half else "fftfreq"
        raise RuntimeError(f"{name} requires a floating point or complex dtype")
    return create(
        FREQUENCIES, None, dtype, None, device, wants, n=int(n), d=float(d), half=half
    )  # fmt: skip


@function(namespaces=_FFT, method=False, checks=True, out=True)
def fftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The frequencies of the `fft` of n samples that lie ``d`` apart.

    ``[0, 1, ..., (n - 1) // 2, -(n // 2), ..., -1] / (n d)``. RuntimeError for an integer dtype.

    One dimension, of ``n`` elements.

    >>> import framework as torch
    >>> torch.fft.fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    made = _frequencies(n, d, False, dtype, device, requires_grad)
    return in_pinned_memory(made) if pin_memory else made


@function(namespaces=_FFT, method=False, checks=True, out=True)
def rfftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The frequencies of the `rfft` of n samples that lie ``d`` apart.

    ``[0, 1, ..., n // 2] / (n d)``. RuntimeError for an integer dtype.

    One dimension, of ``n // 2 + 1`` elements.

    >>> import framework as torch
    >>> torch.fft.rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    made = _frequencies(n, d, True, dtype, device, requires_grad)
    return in_pinned_memory(made) if pin_memory else made


def _shifted(input: Tensor, dim: Any, inverse: bool) -> Tensor:
    if not input.ndim and dim is None:
        return input.clone()
    dims = list(range(input.ndim)) if dim is None else [axis(d, input.ndim) for d in _ints(dim)]
    shape = input.shape
    steps = [(shape[d] + 1) // 2 if inverse else shape[d] // 2 for d in dims]
    return input.roll(tuple(steps), tuple(dims)) if math.prod(shape) else input.clone()


@function(namespaces=_FFT, method=False)
def fftshift(input: Tensor, dim: Any = None) -> Tensor:
    """A spectrum with frequency zero in the middle, along all or some dimensions.

    IndexError for a dimension out of range.

    >>> import framework as torch
    >>> torch.fft.fftshift(torch.fft.fftfreq(4))
    tensor([-0.5000, -0.2500,  0.0000,  0.2500])
    """
    return _shifted(input, dim, False)


@function(namespaces=_FFT, method=False)
def ifftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The inverse of `fftshift`.

    >>> import framework as torch
    >>> torch.fft.ifftshift(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([ 0.,  1., -1.])
    """
    return _shifted(input, dim, True)
