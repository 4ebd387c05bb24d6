"""Resampling of signals, images and volumes: `interpolate` and what rearranges pixels.

Every mode is a separable linear map. Along one axis each output is a weighted sum of a few inputs,
the *taps*: 1 (nearest), 2 (linear), 4 (cubic) or as many as an antialiasing filter covers. The
gradient applies the transposed taps, and its gradient the taps again.
"""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any, NamedTuple

import numpy as np

from framework.core.dispatch import apply, composite
from framework.core.registry import Op, function, op
from framework.kernels import module_of
from framework.kernels.floats import type_name, wide
from framework.layout import keeps_format
from framework.ops.adaptive import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from framework.ops.dims import Dim

__all__ = [
    "channel_shuffle", "interpolate", "pixel_shuffle", "pixel_unshuffle", "upsample",
    "upsample_bilinear", "upsample_nearest",
]  # fmt: skip


class Axis(NamedTuple):
    """How one axis is resampled; ``scale`` is the factor that the user gave, if any."""

    size: int
    out: int
    scale: float | None


# -- taps -------------------------------------------------------------------------------------


def _ratio(axis: Axis, align_corners: bool) -> float:
    """How many input elements one output element stands for."""
    if align_corners:
        return (axis.size - 1) / (axis.out - 1) if axis.out > 1 else 0.0
    if axis.scale is not None and axis.scale > 0:
        return 1.0 / axis.scale
    return axis.size / axis.out


def _triangle(x: Any) -> Any:
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x: Any, a: float) -> Any:
    """The cubic convolution kernel (Keys 1981)."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: Any) -> Any:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


# The antialiasing filters and their reach. PyTorch follows Pillow: a = -1/2 here, -3/4 elsewhere.
_FILTERS = {
    "linear": (_triangle, 1), "cubic": (lambda x: _cubic(x, -0.5), 2), "lanczos": (_lanczos, 3),
}  # fmt: skip


@functools.lru_cache(maxsize=256)
def _taps(axis: Axis, kind: str, align_corners: bool, antialias: bool) -> tuple[Any, Any]:
    """(indices, weights) of shape (out, taps): output i is Σ weights[i, j] x[indices[i, j]]."""
    if antialias:
        return _filtered(axis, kind, align_corners)
    place = np.arange(axis.out)
    ratio = _ratio(axis, align_corners)
    last = axis.size - 1
    if kind in ("nearest", "nearest-exact"):
        half = 0.5 if kind == "nearest-exact" else 0.0  # in float32, as PyTorch does
        source = np.floor((place + half).astype(np.float32) * np.float32(ratio)).astype(np.int64)
        return np.minimum(source, last)[:, None], np.ones((axis.out, 1))
    where = place * ratio if align_corners else (place + 0.5) * ratio - 0.5
    if kind == "linear":
        where = np.maximum(where, 0.0)
        low = np.minimum(np.floor(where).astype(np.int64), last)
        part = np.clip(where - low, 0.0, 1.0)
        return (
            np.stack([low, np.minimum(low + 1, last)], 1),
            np.stack([1 - part, part], 1),
        )  # fmt: skip
    low = np.floor(where).astype(np.int64)
    offsets = np.arange(-1, 3)
    index = np.clip(low[:, None] + offsets, 0, last)
    return index, _cubic((where - low)[:, None] - offsets, -0.75)


def _filtered(axis: Axis, kind: str, align_corners: bool) -> tuple[Any, Any]:
    weigh, reach = _FILTERS[kind]
    ratio = _ratio(axis, align_corners)
    wide_by = max(ratio, 1.0)
    centre = ratio * (np.arange(axis.out) + 0.5)
    first = np.maximum((centre - reach * wide_by + 0.5).astype(np.int64), 0)
    end = np.minimum((centre + reach * wide_by + 0.5).astype(np.int64), axis.size)
    index = first[:, None] + np.arange(max(int((end - first).max(initial=1)), 1))
    weights = weigh((index - centre[:, None] + 0.5) / wide_by) * (index < end[:, None])
    total = weights.sum(axis=1, keepdims=True)
    return np.minimum(index, axis.size - 1), weights / np.where(total == 0, 1.0, total)


@functools.lru_cache(maxsize=256)
def _transposed(axis: Axis, kind: str, align_corners: bool, antialias: bool) -> tuple[Any, Any]:
    """The taps of the gradient: input j gets Σ weights[j, i] g[indices[j, i]]."""
    index, weights = _taps(axis, kind, align_corners, antialias)
    keep = weights.reshape(-1) != 0
    source = np.repeat(np.arange(axis.out), index.shape[1])[keep]
    target, weight = index.reshape(-1)[keep], weights.reshape(-1)[keep]
    order = np.argsort(target, kind="stable")
    source, target, weight = source[order], target[order], weight[order]
    counts = np.bincount(target, minlength=axis.size)
    starts = np.cumsum(counts) - counts
    rank = np.arange(target.size) - starts[target]
    shape = (axis.size, max(int(counts.max(initial=1)), 1))
    places, factors = np.zeros(shape, np.int64), np.zeros(shape)
    places[target, rank], factors[target, rank] = source, weight
    return places, factors


def _along(x: Any, dim: int, index: Any, weights: Any) -> Any:
    """Apply taps along one axis."""
    xp = module_of(x)
    index = xp.asarray(index)
    if weights.shape[1] == 1 and (weights == 1).all():
        return x.take(index[:, 0], axis=dim)
    weights = xp.asarray(weights, x.dtype)
    column = [1] * x.ndim
    column[dim] = len(weights)
    total: Any = None
    for j in range(weights.shape[1]):
        part = x.take(index[:, j], axis=dim)
        part *= weights[:, j].reshape(column)
        if total is None:
            total = part
        else:
            total += part
    return total


def _bytes_along(x: Any, dim: int, index: Any, weights: Any) -> Any:
    """`_along` for uint8 as PyTorch and Pillow do it: weights of 15 bits, rounded per axis."""
    xp = module_of(x)
    weights = weights.copy()
    for j in range(1, weights.shape[1]):  # what the border repeats is one tap
        same = index[:, j] == index[:, j - 1]
        weights[same, j] += weights[same, j - 1]
        weights[same, j - 1] = 0
    largest, bits = float(weights.max()), 0
    while bits < 22 and int(0.5 + largest * (1 << (bits + 1))) < 1 << 15:
        bits += 1
    whole = np.trunc(weights * (1 << bits) + np.copysign(0.5, weights)).astype(np.int32)
    column = [1] * x.ndim
    column[dim] = len(whole)
    total: Any = 1 << (bits - 1)
    for j in range(whole.shape[1]):
        part = x.take(xp.asarray(index[:, j]), axis=dim).astype(np.int32)
        total = total + part * xp.asarray(whole[:, j]).reshape(column)
    return (total >> bits).clip(0, 255).astype(np.uint8)


# -- the ops ----------------------------------------------------------------------------------


def _resample(
    x: Any, *, axes: tuple[Axis, ...], kind: str, align_corners: bool, antialias: bool
) -> Any:
    dtype = x.dtype
    exact = kind.startswith("nearest")
    if dtype.kind not in "fVu" or (dtype.kind == "u" and not exact and len(axes) != 2):
        raise NotImplementedError(f"\"upsample_{kind}\" not implemented for '{type_name(x)}'")
    if not exact:
        x = wide(x)
    move = _bytes_along if dtype.kind == "u" and not exact else _along
    for dim, axis in _order(x, axes):
        x = move(x, dim, *_taps(axis, kind, align_corners, antialias))
    return x.astype(dtype, copy=False)


def _unsample(
    g: Any, *, axes: tuple[Axis, ...], kind: str, align_corners: bool, antialias: bool
) -> Any:
    dtype = g.dtype
    g = wide(g)
    for dim, axis in _order(g, axes):
        g = _along(g, dim, *_transposed(axis, kind, align_corners, antialias))
    return g.astype(dtype, copy=False)


def _order(x: Any, axes: tuple[Axis, ...]) -> list[tuple[int, Axis]]:
    """The axes to resample with their numbers, the last first."""
    return [(x.ndim - 1 - i, axis) for i, axis in enumerate(reversed(axes))]


_SAMPLE_AXES = (Axis(4, 7, None), Axis(5, 3, None), Axis(3, 6, 2.0))


def _resampler(name: str, kind: str, dims: int, antialias: bool = False) -> Op:
    """Register ``NAME`` and ``NAME_backward``, which are each other's gradients."""
    axes = _SAMPLE_AXES[:dims]
    metas = [
        {"axes": axes, "kind": kind, "align_corners": align, "antialias": antialias}
        for align in ((False,) if kind.startswith("nearest") else (False, True))
    ]
    forth = op(
        name, keeps_format(_resample), "a", grad=(lambda g, n: apply(back, g, **n.meta),),
        samples=lambda s: [((s(1, 2, *[a.size for a in axes]),), meta) for meta in metas],
    )  # fmt: skip
    back = op(
        f"{name}_backward", _unsample, "a", grad=(lambda g, n: apply(forth, g, **n.meta),),
        samples=lambda s: [((s(1, 2, *[a.out for a in axes]),), meta) for meta in metas],
    )  # fmt: skip
    return forth


_MODES: dict[tuple[str, int, bool], Op] = {
    **{("nearest", d, False): _resampler(f"upsample_nearest{d}d", "nearest", d)
       for d in (1, 2, 3)},
    **{("nearest-exact", d, False): _resampler(f"upsample_nearest_exact{d}d", "nearest-exact", d)
       for d in (1, 2, 3)},
    ("linear", 1, False): _resampler("upsample_linear1d", "linear", 1),
    ("bilinear", 2, False): _resampler("upsample_bilinear2d", "linear", 2),
    ("trilinear", 3, False): _resampler("upsample_trilinear3d", "linear", 3),
    ("bicubic", 2, False): _resampler("upsample_bicubic2d", "cubic", 2),
    ("bilinear", 2, True): _resampler("upsample_bilinear2d_aa", "linear", 2, True),
    ("bicubic", 2, True): _resampler("upsample_bicubic2d_aa", "cubic", 2, True),
    ("lanczos", 2, True): _resampler("upsample_lanczos2d_aa", "lanczos", 2, True),
}  # fmt: skip
_KINDS = {"linear": "linear", "bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}
_DIMS = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2, "lanczos": 2}


# -- the functions ----------------------------------------------------------------------------


@function(namespaces=("nn.functional",), method=False, checks=True)
def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """``input`` resampled to another spatial size.

    Shapes: input (N, C, L), (N, C, H, W) or (N, C, D, H, W); result (N, C, *size). ValueError for a
    size and a factor, neither, or options that do not go together; NotImplementedError for a mode
    of another rank.

    Args:
        size, scale_factor: one of the two, as a number or one per spatial dimension.
        mode: "nearest" (as old OpenCV has it), "nearest-exact" (as Pillow has it), "area" (means),
            "linear", "bilinear", "trilinear", "bicubic" or, antialiased only, "lanczos".
        align_corners: the corner elements' centres coincide; else their outer edges do.
        recompute_scale_factor: derive the factor from the (rounded) output size.
        antialias: widen the filter when an image gets smaller ("bilinear", "bicubic", "lanczos").

    >>> import framework as torch
    >>> torch.nn.functional.interpolate(torch.tensor([[[1.0, 3.0]]]), size=4, mode="linear")
    tensor([[[1.0000, 1.5000, 2.5000, 3.0000]]])
    """
    dims = input.ndim - 2
    if mode in ("nearest", "area", "nearest-exact") and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | "
            "bilinear | bicubic | trilinear"
        )
    out, factors = _wanted(input, size, scale_factor)
    if recompute_scale_factor and factors is None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    if recompute_scale_factor or mode == "area":
        factors = None
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and dims == 2):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires "
            "a 4-D tensor as input"
        )
    if mode == "area" and dims in (1, 2, 3):
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[dims - 1](input, out)
    return resample(input, mode, out, factors, bool(align_corners), antialias)


def _wanted(
    input: Any, size: Any, scale_factor: Any
) -> tuple[tuple[int, ...], tuple[float, ...] | None]:  # fmt: skip
    """The output size, and the factors if these were given."""
    spatial = list(input.shape[2:])
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        sizes = list(size) if isinstance(size, (list, tuple)) else [size] * len(spatial)
        if len(sizes) != len(spatial):
            raise ValueError(
                "Input and output must have the same number of spatial dimensions, but got input "
                f"with spatial dimensions of {spatial} and output size of {size}. Please provide "
                "input tensor in (N, C, d1, d2, ...,dK) format and output size in (o1, o2, ...,oK) "
                "format."
            )
        if not all(hasattr(n, "__index__") for n in sizes):
            raise TypeError(
                "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, "
                f"int, int], but got size with types {[type(n) for n in sizes]}"
            )
        return tuple([n.__index__() for n in sizes]), None
    if scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    given = isinstance(scale_factor, (list, tuple))
    factors = list(scale_factor) if given else [scale_factor] * len(spatial)
    if len(factors) != len(spatial):
        raise ValueError(
            "Input and scale_factor must have the same number of spatial dimensions, but got input "
            f"with spatial dimensions of {spatial} and scale_factor of shape {scale_factor}. "
            "Please provide input tensor in (N, C, d1, d2, ...,dK) format and scale_factor in "
            "(s1, s2, ...,sK) format."
        )
    numbers = tuple([float(f) for f in factors])
    return tuple([int(n * f) for n, f in zip(spatial, numbers)]), numbers


def resample(
    input: Any, mode: str, out: tuple[int, ...], factors: tuple[float, ...] | None,
    align_corners: bool, antialias: bool,
) -> Any:  # fmt: skip
    """Apply the op of a mode, after the checks that PyTorch makes in its kernels."""
    dims = input.ndim - 2
    record = _MODES.get((mode, dims, antialias))
    if record is None:
        if mode in _DIMS and dims in (1, 2, 3):
            raise NotImplementedError(
                f"Got {input.ndim}D input, but {mode} mode needs {_DIMS[mode] + 2}D input"
            )
        raise NotImplementedError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported (got "
            f"{input.ndim}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | "
            f"area | nearest-exact (got {mode})"
        )
    if min(*input.shape[2:], *out) <= 0:
        raise RuntimeError(
            "Input and output sizes should be greater than 0, but got input "
            f"({_letters(input.shape[2:])}) and output ({_letters(out)})"
        )
    if 0 in input.shape[1:]:
        raise RuntimeError(
            f"Non-empty {input.ndim}D data tensor expected but got a tensor with sizes "
            f"{list(input.shape)}"
        )
    scales: tuple[float | None, ...] = factors or (None,) * dims
    axes = tuple([Axis(n, m, f) for n, m, f in zip(input.shape[2:], out, scales)])
    kind = _KINDS.get(mode, mode)
    return apply(record, input, axes=axes, kind=kind, align_corners=align_corners,
                 antialias=antialias)  # fmt: skip


def _letters(size: Any) -> str:
    return ", ".join(f"{name}: {n}" for name, n in zip("DHW"[-len(size) :], size))


@function(namespaces=("nn.functional",), method=False)
def upsample(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None,
) -> Any:  # fmt: skip
    """The older name of `interpolate`, which warns.

    Shapes: `(N, C, *)` with one to three dimensions at the end, as there (NotImplementedError).

    >>> import framework as torch
    >>> torch.nn.functional.upsample(torch.tensor([[[1.0, 3.0]]]), scale_factor=2)
    tensor([[[1., 1., 3., 3.]]])
    """
    _deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


@function(namespaces=("nn.functional",), method=False)
def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` with mode "nearest"; warns that `interpolate` takes its place.

    Shapes: `(N, C, *)`, as there (NotImplementedError for others).

    >>> import framework as torch
    >>> torch.nn.functional.upsample_nearest(torch.tensor([[[1.0, 3.0]]]), size=3)
    tensor([[[1., 1., 3.]]])
    """
    _deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor, mode="nearest")


@function(namespaces=("nn.functional",), method=False)
def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` with mode "bilinear" and aligned corners; warns that it takes its place.

    Shapes: `(N, C, *)`, as there (NotImplementedError for others).

    >>> import framework as torch
    >>> torch.nn.functional.upsample_bilinear(torch.tensor([[[[1.0, 3.0]]]]), size=(1, 3))
    tensor([[[[1., 2., 3.]]]])
    """
    _deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


def _deprecated(name: str) -> None:
    warnings.warn(
        f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=3,
    )


@function(method=False)
def _upsample_bilinear2d_aa(
    input: Any, output_size: Dim, align_corners: bool, scales_h: Any = None,
    scales_w: float | None = None, *, scale_factors: Any = None,
) -> Any:  # fmt: skip
    """PyTorch's internal name for antialiased bilinear resampling of images.

    The factors come as a list or as one number for the height and one for the width.
    """
    if isinstance(scales_h, (list, tuple)):
        scales_h, scale_factors = None, scales_h
    factors: Any = scale_factors
    if factors is not None:
        factors = tuple([float(f) for f in factors])
    elif scales_h is not None or scales_w is not None:
        factors = (scales_h, scales_w)
    if output_size is None:
        output_size = [int(n * f) for n, f in zip(input.shape[2:], factors)]
    return resample(input, "bilinear", tuple(output_size), factors, align_corners, True)


# -- pixels and channels ----------------------------------------------------------------------


def _factor(value: Any, name: str, what: str) -> int:
    if not isinstance(value, int):
        raise TypeError(
            f"{name}(): argument '{what}' (position 2) must be int, not {type(value).__name__}"
        )
    if value <= 0:
        raise RuntimeError(f"{name} expects a positive {what}, but got {value}")
    return value


def _image(input: Any, name: str) -> None:
    if input.ndim < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with {input.ndim} "
            "dimension(s)"
        )


@function(namespaces=("", "nn.functional"), method=False, checks=True)
@composite
def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """Channels to pixels: (*, C r², H, W) to (*, C, H r, W r) (Shi et al. 2016).

    RuntimeError for fewer than three dimensions or channels that r² does not divide.

    >>> import framework as torch
    >>> torch.pixel_shuffle(torch.arange(4.0).reshape(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])
    """
    _image(input, "pixel_shuffle")
    r = _factor(upscale_factor, "pixel_shuffle", "upscale_factor")
    *lead, channels, height, width = input.shape
    if channels % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={channels} is not divisible by {r * r}"
        )
    out = channels // (r * r)
    k = len(lead)
    parts = input.reshape(*lead, out, r, r, height, width)
    parts = parts.permute(*range(k), k, k + 3, k + 1, k + 4, k + 2)
    return parts.reshape(*lead, out, height * r, width * r)


@function(namespaces=("", "nn.functional"), method=False, checks=True)
@composite
def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """Pixels to channels: the inverse of `pixel_shuffle`.

    Shapes: (*, C, H r, W r) to (*, C r², H, W). RuntimeError for fewer than three dimensions or
    sizes that ``downscale_factor`` does not divide.

    >>> import framework as torch
    >>> torch.pixel_unshuffle(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), 2).flatten()
    tensor([1., 2., 3., 4.])
    """
    _image(input, "pixel_unshuffle")
    r = _factor(downscale_factor, "pixel_unshuffle", "downscale_factor")
    *lead, channels, height, width = input.shape
    for n, side, at in ((height, "height", -2), (width, "width", -1)):
        if n % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {side} to be divisible by downscale_factor, but "
                f"input.size({at})={n} is not divisible by {r}"
            )
    if not input.numel():
        return input.clone()  # with its own shape, as in PyTorch
    k = len(lead)
    parts = input.reshape(*lead, channels, height // r, r, width // r, r)
    parts = parts.permute(*range(k), k, k + 2, k + 4, k + 1, k + 3)
    return parts.reshape(*lead, channels * r * r, height // r, width // r)


@function(namespaces=("", "nn.functional"), method=False, checks=True)
@composite
def channel_shuffle(input: Any, groups: int) -> Any:
    """Interleave the channels (dimension 1) of ``groups`` groups (Zhang et al. 2018).

    RuntimeError for fewer than three dimensions or a number of groups that does not divide them.

    >>> import framework as torch
    >>> torch.channel_shuffle(torch.arange(4.0).reshape(1, 4, 1), 2).flatten()
    tensor([0., 2., 1., 3.])
    """
    if input.ndim < 3:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes "
            f"{list(input.shape)}"
        )
    channels = input.shape[1]
    if groups <= 0:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    if channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and {groups} "
            "groups."
        )
    rest = math.prod(input.shape[2:])
    parts = input.reshape(input.shape[0], groups, channels // groups, rest)
    return parts.transpose(1, 2).reshape(input.shape)


@function(namespaces=("", "nn.functional"), method=False)
def native_channel_shuffle(input: Any, groups: int) -> Any:
    """Alias of `channel_shuffle`."""
    return channel_shuffle(input, groups)
