"""The standard's extension of Fourier transforms: `framework.fft` under its keywords."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.array_api.array import standard, torch
from framework.tensor import Tensor

_ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
_SEVERAL = ("fftn", "ifftn", "rfftn", "irfftn")

__all__ = [*_ONE, *_SEVERAL, "fftfreq", "fftshift", "ifftshift", "rfftfreq"]


def _along_one(name: str) -> Callable[..., Any]:
    def call(
        x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: str = "backward"
    ) -> Any:  # fmt: skip
        return getattr(torch.fft, name)(x, n, axis, norm)

    return _named(call, name)


def _along_several(name: str) -> Callable[..., Any]:
    def call(x: Tensor, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
        return getattr(torch.fft, name)(x, s, axes, norm)

    return _named(call, name)


def _named(call: Callable[..., Any], name: str) -> Callable[..., Any]:
    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"`framework.fft.{name}`."
    return standard(call)


globals().update({name: _along_one(name) for name in _ONE})
globals().update({name: _along_several(name) for name in _SEVERAL})


@standard
def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:
    """Frequencies of the elements of `fft`'s result, for samples at a distance ``d``."""
    return torch.fft.fftfreq(n, d, dtype=dtype, device=device)


@standard
def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:
    """Frequencies of the elements of `rfft`'s result, for samples at a distance ``d``."""
    return torch.fft.rfftfreq(n, d, dtype=dtype, device=device)


@standard
def fftshift(x: Tensor, /, *, axes: Any = None) -> Any:
    """The frequency zero moved to the middle."""
    return torch.fft.fftshift(x, axes)


@standard
def ifftshift(x: Tensor, /, *, axes: Any = None) -> Any:
    """What undoes `fftshift`."""
    return torch.fft.ifftshift(x, axes)
