"""Sampling at places given by a grid: grid_sample and affine_grid (Jaderberg et al. 2015).

A place outside of the image is moved to the border or reflected, or counts zero. Then the value is
a weighted sum of the pixels around the place: a composite of one gather per pixel and smooth
functions of the place, so that gradients of any order, for image and grid, follow.
"""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np

from framework.core.dispatch import apply, composite
from framework.core.interpose import by_sample, looked_at
from framework.core.modes import enable_grad, modes
from framework.core.registry import function, op
from framework.core.saved import wants_gradient
from framework.device import CPU
from framework.kernels import compiled, module_of, to_device
from framework.kernels.floats import real_floating, widening
from framework.kernels.places import add_at
from framework.kernels.quick import pick
from framework.tensor import wrap

__all__ = [
    "affine_grid", "affine_grid_generator", "grid_sample", "grid_sampler", "grid_sampler_2d",
    "grid_sampler_3d",
]  # fmt: skip

_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


# -- pixels of an image -----------------------------------------------------------------------


def _pixels_kernel(image: Any, index: Any, inside: Any) -> Any:
    """image[n, c, index[n, p]], zero where not ``inside``; shapes (N, C, L), (N, P), (N, P)."""
    xp = module_of(image)
    found = xp.take_along_axis(image, index[:, None, :], axis=2)
    return pick(inside[:, None, :], found, image.dtype.type(0))


def _unpixels_kernel(g: Any, index: Any, inside: Any, *, size: int) -> Any:
    """The adjoint: add up where the pixels came from."""
    xp = module_of(g)
    count, channels = g.shape[:2]
    g = pick(inside[:, None, :], g, g.dtype.type(0))
    plane = xp.arange(count * channels, dtype=np.int64).reshape(count, channels, 1) * size
    where = (index[:, None, :] + plane).reshape(-1)
    total = count * channels * size
    if xp is np:
        flat = np.bincount(where, g.reshape(-1), total).astype(g.dtype, copy=False)
    else:
        flat = xp.zeros(total, g.dtype)
        add_at(flat, where, g.reshape(-1))
    return flat.reshape(count, channels, size)


def _sample(s: Any, first: int) -> list[Any]:
    index = wrap(np.array([[0, 3, 1], [2, 2, 4]]))
    inside = wrap(np.array([[True, True, False], [True, True, True]]))
    return [s(2, 2, first), index, inside]


PIXELS = op(
    "grid_pixels", _pixels_kernel, "image index inside",
    grad=(
        lambda g, index, inside, n: apply(UNPIXELS, g, index, inside, size=n.shape(0)[2]),
        None,
        None,
    ),
    samples=lambda s: [(tuple(_sample(s, 5)), {})],
)  # fmt: skip
UNPIXELS = op(
    "grid_unpixels", widening(_unpixels_kernel), "grad index inside",
    grad=(lambda g, index, inside: apply(PIXELS, g, index, inside), None, None),
    samples=lambda s: [(tuple(_sample(s, 3)), {"size": 5})],
)  # fmt: skip


# -- places -----------------------------------------------------------------------------------


def _unnormalised(x: Any, size: int, align_corners: bool) -> Any:
    """From [-1, 1] to pixel numbers: the ends are the corner pixels' centres or outer edges."""
    if align_corners:
        return (x + 1) * ((size - 1) / 2)
    return ((x + 1) * size - 1) / 2


def _reflected(x: Any, low: float, high: float) -> Any:
    """``x`` folded into [low, high], at whose ends are mirrors."""
    span = high - low
    if span == 0:
        return x * 0.0
    distance = (x - low).abs()
    turns = (distance.detach() / span).floor()
    extra = distance - turns * span
    odd = turns.remainder(2.0) == 1
    return _where(odd, span - extra, extra) + low


def _where(condition: Any, a: Any, b: Any) -> Any:
    from framework.ops.select import where

    return where(condition, a, b)


def _clipped(x: Any, size: int) -> Any:
    """``x`` in [0, size - 1]; without a gradient at the limits, as in PyTorch."""
    outside = ~((x > 0) & (x < size - 1))
    return _where(outside.detach(), x.detach().clamp(0, size - 1).nan_to_num(nan=0.0), x)


def _source(x: Any, size: int, padding: str, align_corners: bool) -> Any:
    """The place along one axis, after the padding mode."""
    if padding == "border":
        return _clipped(x, size)
    if padding == "reflection":
        edge = (0.0, size - 1.0) if align_corners else (-0.5, size - 0.5)
        return _clipped(_reflected(x, *edge), size)
    return x


def _whole(x: Any) -> Any:
    """A constant tensor's numbers as int64; what is no number is far outside."""
    xp = module_of(x._data)
    data = x._data.astype(np.float64)
    return xp.where(xp.isfinite(data), xp.clip(data, -1e9, 1e9), -1e9).astype(np.int64)


def _picked(flat: Any, places: list[Any], size: tuple[int, ...]) -> Any:
    """Pixels at whole places (one array per axis); zero outside of the image."""
    xp = module_of(flat._data)
    index = xp.zeros(places[0].shape, np.int64)
    inside = xp.ones(places[0].shape, np.bool_)
    for place, n in zip(places, size):
        inside &= (place >= 0) & (place < n)
        index = index * n + xp.clip(place, 0, n - 1)
    device = flat._device
    return apply(PIXELS, flat, wrap(index, device), wrap(inside, device))


def _cubic_weights(t: Any) -> list[Any]:
    """Of the pixels at -1, 0, 1, 2 for a place t beyond 0 (Keys 1981, a = -3/4)."""
    a = -0.75

    def near(x: Any) -> Any:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Any) -> Any:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


# -- all of it at once ------------------------------------------------------------------------


def _numbers(input: Any, grid: Any, mode: str, padding: str, align: bool) -> tuple[Any, ...]:
    """What the compiled kernels want to know."""
    count, channels, *size = input.shape
    flat = np.ascontiguousarray(input).reshape(count, channels, -1)
    points = np.ascontiguousarray(grid).reshape(count, -1, len(size))
    return flat, size, points, _MODES.index(mode), _PADDINGS.index(padding), align


def _sample_kernel(input: Any, grid: Any, *, mode: str, padding: str, align: bool) -> Any:
    found = compiled.family("grids").sample(*_numbers(input, grid, mode, padding, align))
    return found.reshape(*input.shape[:2], *grid.shape[1:-1])


def _backward_kernel(
    g: Any, input: Any, grid: Any, *, wanted: tuple[bool, bool], **meta: Any
) -> tuple[Any, ...]:  # fmt: skip
    numbers = _numbers(input, grid, **meta)
    g = np.ascontiguousarray(g).reshape(*g.shape[:2], -1)
    found = compiled.family("grids").gradients(g, *numbers, wanted)
    empty = np.empty(0, g.dtype)
    return tuple([
        empty if gradient is None else gradient.reshape(of.shape)
        for gradient, of in zip(found, (input, grid))
    ])  # fmt: skip


GRID_SAMPLE_BACKWARD = op("grid_sample_backward", _backward_kernel, "grad input grid")


def _sample_grads(g: Any, n: Any, input: Any, grid: Any) -> tuple[Any, ...]:
    wanted, meta = (n.needs(0), n.needs(1)), n.meta
    if not modes.grad and compiled.family("grids"):
        found = apply(GRID_SAMPLE_BACKWARD, g, input, grid, wanted=wanted, **meta)
        return tuple([x if want else None for x, want in zip(found, wanted)])
    return _plain_grads(g, input, grid, wanted, meta)


def _plain_grads(
    g: Any, input: Any, grid: Any, wanted: tuple[bool, bool], meta: Any
) -> tuple[Any, ...]:  # fmt: skip
    """Those of the parts, which have gradients themselves."""
    from framework.autograd import grad

    create = modes.grad
    with enable_grad():
        if not create:
            input, grid = (
                x.detach().requires_grad_(want) for x, want in zip((input, grid), wanted)
            )
        out = _in_parts(input, grid, *meta.values())
        of = [x for x, want in zip((input, grid), wanted) if want]
        found = iter(grad(out, of, g, create_graph=create))
    return tuple([next(found) if want else None for want in wanted])


GRID_SAMPLE = op("grid_sample", _sample_kernel, "input grid", grad=_sample_grads)


def _at_once(input: Any, grid: Any) -> bool:
    """Whether the compiled kernels take these, and nobody looks between their steps."""
    if looked_at() or not (input._device is grid._device is CPU):
        return False
    x, kind = input._data, input._data.dtype.char
    return bool(
        x.__class__ is grid._data.__class__ is np.ndarray
        and kind in "fd"
        and x.shape[1] * grid._data.size >= compiled.LARGE
        and compiled.family("grids")
    )


# -- the function -----------------------------------------------------------------------------


@by_sample
@composite
def _sampled(
    input: Any, grid: Any, mode: str, padding: str, align_corners: bool
) -> Any:  # fmt: skip
    if _at_once(input, grid):
        return apply(
            GRID_SAMPLE, input, grid, mode=mode, padding=padding, align=bool(align_corners)
        )
    return _in_parts(input, grid, mode, padding, align_corners)


def _in_parts(input: Any, grid: Any, mode: str, padding: str, align_corners: bool) -> Any:
    """In differentiable ops."""
    count, channels, *size = input.shape
    dims, out = len(size), grid.shape[1:-1]
    flat = input.reshape(count, channels, math.prod(size))
    points = grid.reshape(count, math.prod(out), dims)
    # The grid's last dimension is (x, y, z), the image's order is (z, y, x).
    axes = [_unnormalised(points[:, :, dims - 1 - d], size[d], align_corners) for d in range(dims)]
    if mode == "bicubic":
        total = _bicubic(flat, axes, tuple(size), padding, align_corners)
    else:
        axes = [_source(x, n, padding, align_corners) for x, n in zip(axes, size)]
        if mode == "nearest":
            total = _picked(flat, [_whole(x.detach().round()) for x in axes], tuple(size))
            # Of the second degree: so the second gradient by the grid is zero too, and there.
            zero = sum((x * x * 0.0 for x in axes), start=points[:, :, 0].detach() * 0.0)
            total = total + zero.nan_to_num().unsqueeze(1) if wants_gradient(grid) else total
        else:
            total = _bilinear(flat, axes, tuple(size))
    return total.reshape(count, channels, *out)


def _bilinear(flat: Any, axes: list[Any], size: tuple[int, ...]) -> Any:
    lows = [x.detach().floor() for x in axes]
    parts = [x - low for x, low in zip(axes, lows)]
    whole = [_whole(low) for low in lows]
    total: Any = None
    for corner in itertools.product((0, 1), repeat=len(axes)):
        weight: Any = None
        for c, part in zip(corner, parts):
            factor = part if c else 1 - part
            weight = factor if weight is None else weight * factor
        value = _picked(flat, [w + c for w, c in zip(whole, corner)], size)
        value = value * weight.unsqueeze(1)
        total = value if total is None else total + value
    return total


def _bicubic(
    flat: Any, axes: list[Any], size: tuple[int, ...], padding: str, align_corners: bool
) -> Any:
    lows = [x.detach().floor() for x in axes]
    weights = [_cubic_weights(x - low) for x, low in zip(axes, lows)]
    places = [
        [_whole(_source(low + k, n, padding, align_corners).round()) for k in range(-1, 3)]
        for low, n in zip(lows, size)
    ]
    total: Any = None
    for i, j in itertools.product(range(4), repeat=2):
        value = _picked(flat, [places[0][i], places[1][j]], size)
        value = value * (weights[0][i] * weights[1][j]).unsqueeze(1)
        total = value if total is None else total + value
    return total


def _check(input: Any, grid: Any, mode: str) -> None:
    real_floating(input._data, "grid_sampler")
    if input.dtype is not grid.dtype:
        raise RuntimeError(
            "grid_sampler(): expected input and grid to have same dtype, but input has "
            f"{input.dtype} and grid has {grid.dtype}"
        )
    if input.ndim not in (4, 5) or input.ndim != grid.ndim:
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but "
            f"got input with sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if input.shape[0] != grid.shape[0]:
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with "
            f"sizes {list(input.shape)} and grid with sizes {list(grid.shape)}"
        )
    if grid.shape[-1] != input.ndim - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {input.ndim - 2} in last dimension, but "
            f"got grid with sizes {list(grid.shape)}"
        )
    for i, n in enumerate(input.shape[2:], 2):
        if n <= 0:
            raise RuntimeError(
                "grid_sampler(): expected input to have non-empty spatial dimensions, but input "
                f"has sizes {list(input.shape)} with dimension {i} being empty"
            )
    if mode == "bicubic" and input.ndim != 4:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")


@function(namespaces=("nn.functional",), method=False, checks=True)
def grid_sample(
    input: Any,
    grid: Any,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Any:
    """``input`` at the places that ``grid`` names.

    Shapes: input (N, C, H, W), grid (N, H', W', 2) of (x, y) in [-1, 1], result (N, C, H', W'); or
    (N, C, D, H, W), (N, D', H', W', 3) of (x, y, z) and (N, C, D', H', W'). RuntimeError for sizes
    or types that do not match, ValueError for another mode.

    Args:
        mode: "bilinear", "nearest" or (images only) "bicubic".
        padding_mode: outside there are "zeros", the "border" or a mirror ("reflection").
        align_corners: -1 and 1 are the corner pixels' centres; else their outer edges.

    >>> import framework as torch
    >>> F = torch.nn.functional
    >>> x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> F.grid_sample(x, torch.zeros(1, 1, 1, 2), align_corners=False)
    tensor([[[[2.5000]]]])
    """
    if mode not in _MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', "
            f"but got: '{mode}'"
        )
    if padding_mode not in _PADDINGS:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or "
            f"'reflection', but got: '{padding_mode}'"
        )
    if align_corners is None:
        align_corners = _changed_default()
    _check(input, grid, mode)
    return _sampled(input, grid, mode, padding_mode, align_corners)


def _changed_default() -> bool:
    warnings.warn(
        "Default grid_sample and affine_grid behavior has changed to align_corners=False since "
        "1.3.0. Please specify align_corners=True if the old behavior is desired. See the "
        "documentation of grid_sample for details.",
        stacklevel=4,
    )
    return False


@function(method=False, checks=True)
def grid_sampler(
    input: Any, grid: Any, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Any:
    """`grid_sample` with the modes as their numbers in its documentation's order.

    ``interpolation_mode`` 0 is bilinear, 1 nearest, 2 bicubic; ``padding_mode`` 0 is zeros, 1
    border, 2 reflection. Shapes and errors as of `grid_sample`.

    >>> import framework as torch
    >>> x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> torch.grid_sampler(x, torch.zeros(1, 1, 1, 2), 0, 0, False)
    tensor([[[[2.5000]]]])
    """
    mode = _MODES[interpolation_mode]
    _check(input, grid, mode)
    return _sampled(input, grid, mode, _PADDINGS[padding_mode], align_corners)


@function(method=False)
def grid_sampler_2d(
    input: Any, grid: Any, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Any:
    """`grid_sampler` of images: input (N, C, H, W), grid (N, H', W', 2).

    >>> import framework as torch
    >>> x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> torch.grid_sampler_2d(x, torch.zeros(1, 1, 1, 2), 0, 0, False)
    tensor([[[[2.5000]]]])
    """
    return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


@function(method=False)
def grid_sampler_3d(
    input: Any, grid: Any, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Any:
    """`grid_sampler` of volumes: input (N, C, D, H, W), grid (N, D', H', W', 3).

    >>> import framework as torch
    >>> x = torch.arange(8.0).reshape(1, 1, 2, 2, 2)
    >>> torch.grid_sampler_3d(x, torch.zeros(1, 1, 1, 1, 3), 0, 0, False)
    tensor([[[[[3.5000]]]]])
    """
    return grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)


# -- affine grids -----------------------------------------------------------------------------


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def affine_grid(theta: Any, size: Any, align_corners: bool | None = None) -> Any:
    """The places of a regular grid after an affine map, for `grid_sample`.

    Shapes: theta (N, 2, 3) and size (N, C, H, W), result (N, H, W, 2); or theta (N, 3, 4), size (N,
    C, D, H, W) and result (N, D, H, W, 3). ValueError for another shape or type of theta,
    NotImplementedError for other sizes.

    >>> import framework as torch
    >>> theta = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> torch.nn.functional.affine_grid(theta, (1, 1, 1, 2), align_corners=False)
    tensor([[[[-0.5000,  0.0000],
              [ 0.5000,  0.0000]]]])
    """
    if align_corners is None:
        align_corners = _changed_default()
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    size = [int(n) for n in size]
    dims = len(size) - 2
    if dims not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {size}."
        )
    if theta.ndim != 3 or tuple(theta.shape[1:]) != (dims, dims + 1):
        raise ValueError(
            f"Expected a batch of {dims}D affine matrices of shape Nx{dims}x{dims + 1} for size "
            f"{size}. Got {theta.shape}."
        )
    if align_corners and min(size[2:]) == 1:
        warnings.warn(
            "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when "
            "align_corners=True. This is not an intended use case of affine_grid. See the "
            "documentation of affine_grid for details.",
            stacklevel=3,
        )
    elif min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    return affine_grid_generator(theta, size, align_corners)


@function(method=False)
def affine_grid_generator(theta: Any, size: Any, align_corners: bool) -> Any:
    """`affine_grid` without its checks: theta (N, 2, 3), size (N, C, H, W), result (N, H, W, 2).

    >>> import framework as torch
    >>> theta = torch.tensor([[[2.0, 0.0, 0.5], [0.0, 2.0, 0.5]]])
    >>> torch.affine_grid_generator(theta, [1, 1, 1, 2], align_corners=True)
    tensor([[[[-1.5000,  0.5000],
              [ 2.5000,  0.5000]]]])
    """
    spatial = [int(n) for n in size[2:]]
    lines = []
    for n in spatial:
        line = np.linspace(-1, 1, n) if n > 1 else np.zeros(n)
        lines.append(line if align_corners else line * ((n - 1) / n))
    z_to_x = np.meshgrid(*lines, indexing="ij")
    base = np.stack([*reversed(z_to_x), np.ones(spatial)], -1).reshape(-1, len(spatial) + 1)
    base = base.astype(theta._data.dtype)
    device = theta._device
    points = wrap(base if device.type == "cpu" else to_device(base, device), device)
    grid = points @ theta.transpose(1, 2)
    return grid.reshape(theta.shape[0], *spatial, len(spatial))
