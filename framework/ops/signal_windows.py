"""Windows for spectral analysis: ``signal.windows``, and their older forms such as hann_window.

A symmetric window of n points; a periodic one is the first n points of a symmetric one of n + 1.
Computed in float64, then rounded to the type that is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.registry import function, op
from framework.dtypes import FLOAT
from framework.layout import strided
from framework.ops.creation import create, in_pinned_memory
from framework.tensor import Tensor

__all__ = ["bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window"]

_WINDOWS = ("signal.windows",)


# -- shapes of n points, symmetric -------------------------------------------------------------


def _cosines(n: int, a: Any) -> Any:
    x = np.arange(n) * (2 * math.pi / (n - 1))
    total = np.zeros(n)
    for i, weight in enumerate(a):
        total += (-1) ** i * weight * np.cos(i * x)
    return total


def _bartlett(n: int) -> Any:
    return 1 - np.abs(np.arange(n) * (2 / (n - 1)) - 1)


def _kaiser(n: int, beta: float) -> Any:
    x = np.linspace(-1, 1, n)
    return np.i0(beta * np.sqrt(np.maximum(1 - x * x, 0))) / np.i0(beta)


def _cosine(n: int) -> Any:
    return np.sin((np.arange(n) + 0.5) * (math.pi / n))


def _gaussian(n: int, std: float) -> Any:
    x = (np.arange(n) - (n - 1) / 2) / (std * math.sqrt(2))
    return np.exp(-x * x)


def _exponential(n: int, center: float | None, tau: float) -> Any:
    middle = (n - 1) / 2 if center is None else center
    return np.exp(-np.abs(np.arange(n) - middle) / tau)


_SHAPES: dict[str, Callable[..., Any]] = {
    "bartlett": _bartlett,
    "cosine": _cosine,
    "cosines": _cosines,
    "exponential": _exponential,
    "gaussian": _gaussian,
    "kaiser": _kaiser,
}


def _window_kernel(shape: str, n: int, periodic: bool, options: Any, dtype: Any) -> Any:
    if n < 2:
        single = shape in ("bartlett", "cosines", "kaiser") or not n
        values = np.ones(n) if single else _SHAPES[shape](n + periodic, *options)[:n]
    else:
        values = _SHAPES[shape](n + periodic, *options)[:n]
    return values.astype(dtype)


WINDOW = op("window", _window_kernel, "")


def _window(
    shape: str, n: int, periodic: bool, options: tuple[Any, ...], dtype: Any, device: Any,
    requires_grad: bool,
) -> Tensor:  # fmt: skip
    return create(
        WINDOW, None, dtype, None, device, requires_grad, shape=shape, n=n, periodic=bool(periodic),
        options=options,
    )  # fmt: skip


# -- torch.signal.windows ----------------------------------------------------------------------


def _checked(name: str, M: int, dtype: Any, layout: Any) -> None:
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if layout not in (None, strided):
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    kind = dtypes.get_default_dtype() if dtype is None else dtype
    if kind not in (dtypes.float32, dtypes.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {kind}")


@function(namespaces=_WINDOWS, method=False)
def exponential(
    M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True, dtype: Any = None,
    layout: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``exp(-|n - center| / tau)`` of M points.

    Args:
        center: the middle unless given; only for periodic windows.
        sym: symmetric, for filters; else periodic, for spectra.

    ValueError for a negative M, a tau that is not positive, or a dtype other than float32 and
    float64.

    One dimension, of ``M`` elements.

    >>> import framework as torch
    >>> torch.signal.windows.exponential(3)
    tensor([0.3679, 1.0000, 0.3679])
    """
    _checked("exponential", M, dtype, layout)
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    if center is None:
        center = (M if not sym and M > 1 else M - 1) / 2.0
    return _window("exponential", M, False, (center, tau), dtype, device, requires_grad)


@function(namespaces=_WINDOWS, method=False)
def cosine(
    M: int, *, sym: bool = True, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``sin(pi (n + 1/2) / M)`` of M points.

    ValueError for a negative M, or a dtype other than float32 and float64.

    One dimension, of ``M`` elements.

    >>> import framework as torch
    >>> torch.signal.windows.cosine(3)
    tensor([0.5000, 1.0000, 0.5000])
    """
    _checked("cosine", M, dtype, layout)
    return _window("cosine", M, not sym and M > 1, (), dtype, device, requires_grad)


@function(namespaces=_WINDOWS, method=False)
def gaussian(
    M: int, *, std: float = 1.0, sym: bool = True, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``exp(-(n - (M - 1) / 2)^2 / (2 std^2))`` of M points.

    ValueError for a negative M, a std that is not positive, or a dtype other than float32 and
    float64.

    One dimension, of ``M`` elements.

    >>> import framework as torch
    >>> torch.signal.windows.gaussian(3)
    tensor([0.6065, 1.0000, 0.6065])
    """
    _checked("gaussian", M, dtype, layout)
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    return _window("gaussian", M, not sym and M > 1, (std,), dtype, device, requires_grad)


@function(namespaces=_WINDOWS, method=False)
def kaiser(
    M: int, *, beta: float = 12.0, sym: bool = True, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``I0(beta sqrt(1 - x^2)) / I0(beta)`` of M points, x from -1 to 1 (J. Kaiser, 1974).

    ValueError for a negative M or beta, or a dtype other than float32 and float64.

    One dimension, of ``M`` elements.

    >>> import framework as torch
    >>> torch.signal.windows.kaiser(3, beta=0.0)
    tensor([1., 1., 1.])
    """
    _checked("kaiser", M, dtype, layout)
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    return _window("kaiser", M, not sym, (beta,), dtype, device, requires_grad)


@function(namespaces=_WINDOWS, method=False)
def general_cosine(
    M: int, *, a: Any, sym: bool = True, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``sum_i (-1)^i a_i cos(2 pi i n / (M - 1))`` of M points.

    ValueError for a negative M, no weights, or a dtype other than float32 and float64; TypeError
    unless they are a list or tuple.

    One dimension, of ``M`` elements.

    >>> import framework as torch
    >>> torch.signal.windows.general_cosine(3, a=[0.5, 0.5])
    tensor([0., 1., 0.])
    """
    return _general("general_cosine", M, a, sym, dtype, layout, device, requires_grad)


def _general(
    name: str, M: int, a: Any, sym: bool, dtype: Any, layout: Any, device: Any, requires_grad: bool
) -> Tensor:
    _checked(name, M, dtype, layout)
    if not isinstance(a, (list, tuple)):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")
    weights = tuple([float(w) for w in a])
    return _window("cosines", M, not sym, (weights,), dtype, device, requires_grad)


@function(namespaces=_WINDOWS, method=False)
def general_hamming(
    M: int, *, alpha: float = 0.54, sym: bool = True, dtype: Any = None, layout: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``alpha - (1 - alpha) cos(2 pi n / (M - 1))`` of M points; alpha 0.5 is `hann`.

    ValueError for a negative M, or a dtype other than float32 and float64.

    One dimension, of ``M`` elements.

    >>> import framework as torch
    >>> torch.signal.windows.general_hamming(3, alpha=0.75)
    tensor([0.5000, 1.0000, 0.5000])
    """
    a = [alpha, 1.0 - alpha]
    return _general("general_hamming", M, a, sym, dtype, layout, device, requires_grad)


def _named_cosines(name: str, a: tuple[float, ...], formula: str, example: str) -> None:
    """Publish a `general_cosine` that has a name of its own.

    Args:
        example: what the window of three points prints.
    """

    def window(
        M: int, *, sym: bool = True, dtype: Any = None, layout: Any = None, device: Any = None,
        requires_grad: bool = False,
    ) -> Tensor:  # fmt: skip
        return _general(name, M, a, sym, dtype, layout, device, requires_grad)

    window.__name__ = window.__qualname__ = name
    window.__doc__ = f"""{formula}

    Args:
        sym: symmetric, for filters; else periodic, for spectra: M + 1 points without the last.
        dtype: float32 or float64; the default one unless given.

    One dimension, of ``M`` elements. ValueError for a negative M and for other dtypes.

    >>> import framework as torch
    >>> torch.signal.windows.{name}(3)
    {example}
    """
    function(namespaces=_WINDOWS, method=False)(window)


_named_cosines(
    "hamming", (0.54, 0.46), "``0.54 - 0.46 cos(2 pi n / (M - 1))`` of M points (R. Hamming).",
    "tensor([0.0800, 1.0000, 0.0800])",
)  # fmt: skip
_named_cosines(
    "hann", (0.5, 0.5), "``0.5 - 0.5 cos(2 pi n / (M - 1))`` of M points (J. von Hann).",
    "tensor([0., 1., 0.])",
)  # fmt: skip
_named_cosines(
    "blackman", (0.42, 0.5, 0.08),
    "``0.42 - 0.5 cos(x) + 0.08 cos(2x)``, ``x = 2 pi n / (M - 1)``, of M points.",
    "tensor([-1.3878e-17,  1.0000e+00, -1.3878e-17])",
)  # fmt: skip
_named_cosines(
    "nuttall", (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "``a0 - a1 cos(x) + a2 cos(2x) - a3 cos(3x)``, ``x = 2 pi n / (M - 1)`` (A. Nuttall, 1981).",
    "tensor([3.6280e-04, 1.0000e+00, 3.6280e-04])",
)  # fmt: skip


@function(namespaces=_WINDOWS, method=False)
def bartlett(
    M: int, *, sym: bool = True, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A triangle of M points, zero at its ends.

    ValueError for a negative M, or a dtype other than float32 and float64.

    One dimension, of ``M`` elements.

    >>> import framework as torch
    >>> torch.signal.windows.bartlett(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    _checked("bartlett", M, dtype, layout)
    return _window("bartlett", M, not sym, (), dtype, device, requires_grad)


# -- the older forms ---------------------------------------------------------------------------


def _old(
    name: str, shape: str, n: int, periodic: bool, options: tuple[Any, ...], dtype: Any,
    layout: Any, device: Any, requires_grad: bool,
) -> Tensor:  # fmt: skip
    if layout not in (None, strided):
        raise RuntimeError(f"{name} is not implemented for sparse tensors, got: {layout}")
    kind = dtypes.get_default_dtype() if dtype is None else dtypes.to_dtype(dtype)
    if kind.category < FLOAT or kind.is_complex:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {kind}")
    if not hasattr(n, "__index__"):
        raise TypeError(
            f"{name}(): argument 'window_length' (position 1) must be int, not {type(n).__name__}"
        )
    if n < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={n}")
    return _window(shape, int(n), periodic, options, kind, device, requires_grad)


@function(method=False)
def bartlett_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A triangle; see `signal.windows.bartlett`.

    RuntimeError for a negative length or a dtype that is not floating.

    >>> import framework as torch
    >>> torch.bartlett_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    made = _old(
        "bartlett_window", "bartlett", window_length, periodic, (), dtype, layout, device,
        requires_grad,
    )  # fmt: skip
    return in_pinned_memory(made) if pin_memory else made


@function(method=False)
def hann_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``(1 - cos(2 pi n / N)) / 2``, N the length (one less if it is not periodic).

    RuntimeError for a negative length or a dtype that is not floating.

    >>> import framework as torch
    >>> torch.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    made = _old(
        "hann_window", "cosines", window_length, periodic, ((0.5, 0.5),), dtype, layout, device,
        requires_grad,
    )  # fmt: skip
    return in_pinned_memory(made) if pin_memory else made


@function(method=False)
def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *,
    dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``alpha - beta cos(2 pi n / N)``, N the length (one less if it is not periodic).

    RuntimeError for a negative length or a dtype that is not floating.

    >>> import framework as torch
    >>> torch.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
    made = _old(
        "hamming_window", "cosines", window_length, periodic, ((alpha, beta),), dtype, layout,
        device, requires_grad,
    )  # fmt: skip
    return in_pinned_memory(made) if pin_memory else made


@function(method=False)
def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``0.42 - 0.5 cos(x) + 0.08 cos(2x)``, ``x = 2 pi n / N``, N as for `hamming_window`.

    One dimension, of ``window_length`` elements.

    >>> import framework as torch
    >>> torch.blackman_window(4)[1:]
    tensor([0.3400, 1.0000, 0.3400])
    """
    made = _old(
        "blackman_window", "cosines", window_length, periodic, ((0.42, 0.5, 0.08),), dtype, layout,
        device, requires_grad,
    )  # fmt: skip
    return in_pinned_memory(made) if pin_memory else made


@function(method=False)
def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: Any = None,
    layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Kaiser's window; see `signal.windows.kaiser`.

    Of N points, or the first N of N + 1 if it is periodic.

    One dimension, of ``window_length`` elements.

    >>> import framework as torch
    >>> torch.kaiser_window(3, periodic=False, beta=1.0)
    tensor([0.7898, 1.0000, 0.7898])
    """
    made = _old(
        "kaiser_window", "kaiser", window_length, periodic, (float(beta),), dtype, layout, device,
        requires_grad,
    )  # fmt: skip
    return in_pinned_memory(made) if pin_memory else made
