"""Initial values of parameters, in place and outside of autograd."""

from __future__ import annotations

import functools
import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from framework import random
from framework.core import overridable
from framework.core.modes import no_grad
from framework.kernels.floats import type_name
from framework.tensor import Tensor

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_",
    "normal_", "ones_", "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_",
    "xavier_uniform_", "zeros_",
]  # fmt: skip


class _Mode:
    skip = False


@contextmanager
def skipped() -> Iterator[None]:
    """Inside of it nothing here writes anything; see `nn.utils.skip_init`."""
    before, _Mode.skip = _Mode.skip, True
    try:
        yield
    finally:
        _Mode.skip = before


def _overridable(call: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Modes and classes that override functions see a call, all its arguments by their names.

    Programs skip the filling of parameters with a mode that answers ``kwargs["tensor"]``.
    """

    @functools.wraps(call)
    def filled(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if overridable.active():
            from framework.overrides import handle_torch_function, has_torch_function

            if has_torch_function((tensor,)):
                bound = inspect.signature(call).bind(tensor, *args, **kwargs)
                bound.apply_defaults()
                return handle_torch_function(filled, (tensor,), **bound.arguments)
        return call(tensor, *args, **kwargs)

    return filled


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity, for `xavier_normal_` and its like.

    1 for "linear", "sigmoid" and convolutions, 5/3 for "tanh", √2 for "relu",
    √(2 / (1 + param²)) for "leaky_relu" with the slope ``param`` (0.01), 3/4 for "selu".
    ValueError for another name.

    >>> from framework import nn
    >>> nn.init.calculate_gain("leaky_relu", 1.0), nn.init.calculate_gain("selu")
    (1.0, 0.75)
    """
    if nonlinearity in ("linear", "sigmoid") or nonlinearity.startswith("conv"):
        return 1
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


@_overridable
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Fill ``tensor`` with uniform numbers from [a, b), in place; returns it.

    Any shape, floating point. RuntimeError if ``a`` is above ``b``.

    >>> import framework as torch
    >>> w = torch.nn.init.uniform_(torch.empty(100), -2.0, -1.0)
    >>> bool((w >= -2).all() and (w < -1).all())
    True
    """
    with no_grad():
        return tensor if _Mode.skip else tensor.uniform_(a, b, generator=generator)


@_overridable
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Fill ``tensor`` with normal numbers of this mean and standard deviation; returns it.

    Any shape, floating point. RuntimeError for a negative ``std``.

    >>> import framework as torch
    >>> w = torch.nn.init.normal_(torch.empty(10_000), mean=3.0, std=0.1)
    >>> round(w.mean().item(), 1), round(w.std().item(), 1)
    (3.0, 0.1)
    """
    with no_grad():
        return tensor if _Mode.skip else tensor.normal_(mean, std, generator=generator)


@_overridable
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Set all elements to ``val``; returns ``tensor``. Any shape and type.

    TypeError for a value that is no number.

    >>> import framework as torch
    >>> torch.nn.init.constant_(torch.empty(2), 0.3)
    tensor([0.3000, 0.3000])
    """
    with no_grad():
        return tensor if _Mode.skip else tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Set all elements to 1; returns ``tensor``. Any shape and type.

    AttributeError for what is no tensor.

    >>> import framework as torch
    >>> torch.nn.init.ones_(torch.empty(2))
    tensor([1., 1.])
    """
    with no_grad():
        return tensor if _Mode.skip else tensor.fill_(1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Set all elements to 0; returns ``tensor``. Any shape and type.

    AttributeError for what is no tensor.

    >>> import framework as torch
    >>> torch.nn.init.zeros_(torch.empty(2))
    tensor([0., 0.])
    """
    with no_grad():
        return tensor if _Mode.skip else tensor.zero_()


def _write(tensor: Tensor, values: Any) -> Tensor:
    """Copy a NumPy array into ``tensor``."""
    from framework.kernels import to_device
    from framework.tensor import wrap

    if _Mode.skip:
        return tensor
    with no_grad():
        array = values.astype(tensor._data.dtype)
        on = tensor._device
        source = wrap(array if on.type == "cpu" else to_device(array, on), on)
        return tensor.copy_(source)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix, or as much of it as fits: a linear layer that passes inputs on.

    Le et al. 2015, for recurrent weights. ValueError unless there are two dimensions.

    Of any dtype.

    >>> import framework as torch
    >>> torch.nn.init.eye_(torch.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return _write(tensor, np.eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Make a convolution weight pass each group's channels on unchanged.

    Shapes: (O, C/groups, K), (O, C/groups, KH, KW) or (O, C/groups, KD, KH, KW): 1 at the kernel's
    centre where a group's channels in and out have the same number (Zagoruyko and Komodakis
    2017). ValueError for another rank or groups that do not divide O.

    Of any dtype.

    >>> import framework as torch
    >>> w = torch.nn.init.dirac_(torch.empty(2, 2, 3))
    >>> torch.conv1d(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), w, padding=1)
    tensor([[[1., 2.],
             [3., 4.]]])
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    shape = tuple(tensor.shape)
    if shape[0] % groups:
        raise ValueError("dim 0 must be divisible by groups")
    values = np.zeros(shape)
    each = shape[0] // groups
    centre = tuple(n // 2 for n in shape[2:])
    for g in range(groups):
        for d in range(min(each, shape[1])):
            values[(g * each + d, d, *centre)] = 1
    return _write(tensor, values)


def _fans(tensor: Tensor) -> tuple[int, int]:
    """Inputs and outputs of one unit of a weight (out, in, *kernel)."""
    if tensor.ndim < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


_calculate_fan_in_and_fan_out = _fans


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    modes = ("fan_in", "fan_out")
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode.lower()} not supported, please use one of {list(modes)}")
    return _fans(tensor)[modes.index(mode.lower())]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform in ±gain √(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).

    A weight (out, in, *kernel) has fan_in = in · kernel elements and fan_out = out · kernel
    elements. ``gain`` is that of `calculate_gain`. ValueError for fewer than two dimensions.

    Floating or complex dtypes (NotImplementedError for integers).

    >>> import framework as torch
    >>> w = torch.nn.init.xavier_uniform_(torch.empty(4, 2))
    >>> bool(w.abs().max() <= 1)
    True
    """
    bound = gain * math.sqrt(6.0 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with standard deviation gain √(2 / (fan_in + fan_out)) (Glorot and Bengio 2010).

    The fans are those of `xavier_uniform_`. ValueError for fewer than two dimensions.

    Floating or complex dtypes (NotImplementedError for integers).

    >>> import framework as torch
    >>> w = torch.nn.init.xavier_normal_(torch.empty(100, 100))
    >>> round(w.std().item(), 2)
    0.1
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor))), generator)


@_overridable
def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Uniform in ±gain √(3 / fan) (He et al. 2015); gain is `calculate_gain` (nonlinearity, a).

    ValueError for fewer than two dimensions or another mode; an empty tensor is left, with a
    warning.

    Args:
        a: the slope of a leaky_relu's negative part.
        mode: "fan_in" keeps the variance of forward passes, "fan_out" of backward passes; the fans
            are those of `xavier_uniform_`.

    Floating or complex dtypes (NotImplementedError for integers).

    >>> import framework as torch
    >>> w = torch.nn.init.kaiming_uniform_(torch.empty(4, 6), nonlinearity="relu")
    >>> bool(w.abs().max() <= 1)
    True
    """
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    fan = _calculate_correct_fan(tensor, mode)
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / fan)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Normal with standard deviation gain / √fan (He et al. 2015); see `kaiming_uniform_`.

    Shapes, dtypes and errors are those of `kaiming_uniform_`: ValueError for fewer than two
    dimensions or another mode, NotImplementedError for integers.

    >>> import framework as torch
    >>> w = torch.nn.init.kaiming_normal_(torch.empty(100, 200), nonlinearity="relu")
    >>> round(w.std().item(), 2)
    0.1
    """
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    fan = _calculate_correct_fan(tensor, mode)
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(fan), generator)


def _floating(tensor: Tensor) -> None:
    if not tensor.is_floating_point() and not tensor.is_complex():
        kind = type_name(tensor._data)
        raise NotImplementedError(f"\"normal_kernel_cpu\" not implemented for '{kind}'")


def _draw(generator: Any, tensor: Tensor) -> random.Generator:
    return random.stream(generator, tensor._device)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Normal, with values outside of [a, b] drawn again.

    ``mean`` and ``std`` are those of the whole normal distribution; a and b are values, not numbers
    of standard deviations. Where next to nothing falls into [a, b] the rest is uniform in it.

    Any shape, of a floating dtype. NotImplementedError for integers.

    >>> import framework as torch
    >>> w = torch.nn.init.trunc_normal_(torch.empty(1000), std=2.0, a=-1.0, b=1.0)
    >>> bool(w.abs().max() <= 1)
    True
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of "
            "values may be incorrect.",
            stacklevel=2,
        )
    _floating(tensor)
    if tensor.is_meta:
        return tensor
    stream, count = _draw(generator, tensor), tensor.numel()
    values = np.full(count, np.nan)
    for _ in range(1000):
        wrong = np.flatnonzero(~((values >= a) & (values <= b)))
        if not wrong.size:
            break
        values[wrong] = stream.normal((wrong.size,), np.float64) * std + mean
    else:  # [a, b] is so far out that next to nothing falls into it
        values[wrong] = stream.uniform((wrong.size,), np.float64) * (b - a) + a
    return _write(tensor, values.reshape(tuple(tensor.shape)))


def _no_grad_trunc_normal_(
    tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Any = None
) -> Tensor:
    """`trunc_normal_` under the name that libraries import."""
    return trunc_normal_(tensor, mean, std, a, b, generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """A (semi-)orthogonal matrix, dimensions after the first taken as one (Saxe et al. 2013).

    The Q of a normal matrix's QR, its signs made those of a uniform draw (Mezzadri 2006), times
    ``gain``. ValueError for fewer than two dimensions.

    Of a floating dtype (NotImplementedError for integers).

    >>> import framework as torch
    >>> w = torch.nn.init.orthogonal_(torch.empty(2, 3))
    >>> torch.allclose(w @ w.T, torch.eye(2), atol=1e-6)
    True
    """
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    _floating(tensor)
    if not tensor.numel() or tensor.is_meta:
        return tensor
    rows, cols = tensor.shape[0], tensor.numel() // tensor.shape[0]
    flat = _draw(generator, tensor).normal((rows, cols), np.float64)
    q, r = np.linalg.qr(flat.T if rows < cols else flat)
    q = q * np.sign(np.diag(r))
    return _write(tensor, (q.T if rows < cols else q).reshape(tuple(tensor.shape)) * gain)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Normal, with this share of each column set to zero (Martens 2010).

    At least ``sparsity`` of the rows, rounded up, are zero in each column. ValueError unless there
    are two dimensions.

    Of a floating dtype (NotImplementedError for integers).

    >>> import framework as torch
    >>> w = torch.nn.init.sparse_(torch.empty(10, 3), sparsity=0.75)
    >>> (w == 0).sum(0)
    tensor([8, 8, 8])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    _floating(tensor)
    if tensor.is_meta:
        return tensor
    rows, cols = tensor.shape
    stream = _draw(generator, tensor)
    values = stream.normal((rows, cols), np.float64) * std
    for col in range(cols):
        values[stream.permutation(rows)[: math.ceil(sparsity * rows)], col] = 0
    return _write(tensor, values)


def _older(function: Callable[..., Any]) -> Callable[..., Any]:
    """The name without the underscore, which PyTorch still has."""
    new = function.__name__

    @functools.wraps(function)
    def deprecated(*args: Any, **kwargs: Any) -> Any:
        warnings.warn(
            f"`nn.init.{new[:-1]}` is now deprecated in favor of `nn.init.{new}`.",
            FutureWarning,
            stacklevel=2,
        )
        return function(*args, **kwargs)

    deprecated.__name__ = new[:-1]
    return deprecated


uniform = _older(uniform_)
normal = _older(normal_)
constant = _older(constant_)
eye = _older(eye_)
dirac = _older(dirac_)
xavier_uniform = _older(xavier_uniform_)
xavier_normal = _older(xavier_normal_)
kaiming_uniform = _older(kaiming_uniform_)
kaiming_normal = _older(kaiming_normal_)
orthogonal = _older(orthogonal_)
sparse = _older(sparse_)
