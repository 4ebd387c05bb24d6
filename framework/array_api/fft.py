"""The standard's extension of Fourier transforms: `framework.fft` under its keywords."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.array_api.array import standard, torch
from framework.tensor import Tensor

# Names: what they are for, the arguments and result of an example.
_ONE = {
    "fft": ("The discrete Fourier transform along an axis: as many complex numbers.",
            "[1.0, 0.0, 0.0, 0.0]", "tensor([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j])"),
    "ifft": ("What undoes `fft`.",
             "[4.0, 0.0, 0.0, 0.0]", "tensor([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j])"),
    "rfft": ("`fft` of real numbers: only the n // 2 + 1 frequencies from zero up; complex ones "
             "raise\nan error.",
             "[1.0, 2.0, 3.0, 4.0]", "tensor([10.+0.j, -2.+2.j, -2.+0.j])"),
    "irfft": ("What undoes `rfft`: ``n`` real numbers, 2 * (m - 1) of m if it is not given.",
              "[10, -2 + 2j, -2]", "tensor([1., 2., 3., 4.])"),
    "hfft": ("`fft` of a signal whose second half is the conjugate of the first, so that it is "
             "real:\n``n`` numbers, 2 * (m - 1) of m if it is not given.",
             "[10, -2 + 2j, -2]", "tensor([ 4., 16., 12.,  8.])"),
    "ihfft": ("What undoes `hfft`: n // 2 + 1 complex numbers; complex ``x`` raises an error.",
              "[4.0, 16.0, 12.0, 8.0]", "tensor([10.-0.j, -2.+2.j, -2.-0.j])"),
}  # fmt: skip
_SEVERAL = {
    "fftn": ("`fft` along several axes, or all.",
             "[[1.0, 1.0], [1.0, 1.0]]", "tensor([[4.+0.j, 0.+0.j],\n        [0.+0.j, 0.+0.j]])"),
    "ifftn": ("What undoes `fftn`.",
              "[[4.0, 0.0], [0.0, 0.0]]",
              "tensor([[1.+0.j, 1.+0.j],\n        [1.+0.j, 1.+0.j]])"),
    "rfftn": ("`rfft` along the last of several axes, `fft` along the others.",
              "[[1.0, 1.0], [1.0, 1.0]]", "tensor([[4.+0.j, 0.+0.j],\n        [0.+0.j, 0.+0.j]])"),
    "irfftn": ("What undoes `rfftn`: real numbers.",
               "[[4 + 0j, 0], [0, 0]]", "tensor([[1., 1.],\n        [1., 1.]])"),
}  # fmt: skip
_NORMS = (
    '``norm`` says which way divides by n: "backward" the inverse, "forward" the transform, "ortho"'
    "\nboth, by its square root. The precision of ``x`` stays. RuntimeError for\n"
)
_OF_ONE = (
    "``x`` is cut or filled up with zeros to ``n`` elements.\n"
    f"{_NORMS}``n`` below 1 and another ``norm``, IndexError for an axis out of range."
)
_OF_SEVERAL = (
    "``x`` is cut or filled up with zeros to lengths ``s``, one for each of ``axes``.\n"
    f"{_NORMS}axes given twice, another number of lengths and another ``norm``, IndexError for an "
    "axis out of\nrange."
)

__all__ = [*_ONE, *_SEVERAL, "fftfreq", "fftshift", "ifftshift", "rfftfreq"]


def _along_one(name: str, use: str, given: str, result: str) -> Callable[..., Any]:
    def call(
        x: Tensor, /, *, n: int | None = None, axis: int = -1, norm: str = "backward"
    ) -> Any:  # fmt: skip
        return getattr(torch.fft, name)(x, n, axis, norm)

    return _named(call, name, f"{use}\n\n{_OF_ONE}", given, result)


def _along_several(name: str, use: str, given: str, result: str) -> Callable[..., Any]:
    def call(x: Tensor, /, *, s: Any = None, axes: Any = None, norm: str = "backward") -> Any:
        return getattr(torch.fft, name)(x, s, axes, norm)

    return _named(call, name, f"{use}\n\n{_OF_SEVERAL}", given, result)


def _named(call: Callable[..., Any], name: str, text: str, given: str, result: str) -> Any:
    call.__name__ = call.__qualname__ = name
    call.__doc__ = (
        f"{text}\n\n>>> import framework.array_api as xp\n"
        f">>> xp.fft.{name}(xp.asarray({given}))\n{result}\n"
    )
    return standard(call)


globals().update({name: _along_one(name, *row) for name, row in _ONE.items()})
globals().update({name: _along_several(name, *row) for name, row in _SEVERAL.items()})


@standard
def fftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:
    """Frequencies `(n)` of the elements of `fft`'s result, for samples at a distance ``d``.

    The negative ones are the second half. RuntimeError for integer types.

    >>> import framework.array_api as xp
    >>> xp.fft.fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    return torch.fft.fftfreq(n, d, dtype=dtype, device=device)


@standard
def rfftfreq(n: int, /, *, d: float = 1.0, dtype: Any = None, device: Any = None) -> Any:
    """Frequencies `(n // 2 + 1)` of `rfft`'s result, for samples at a distance ``d``.

    RuntimeError for integer types.

    >>> import framework.array_api as xp
    >>> xp.fft.rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    return torch.fft.rfftfreq(n, d, dtype=dtype, device=device)


@standard
def fftshift(x: Tensor, /, *, axes: Any = None) -> Any:
    """The frequency zero moved to the middle, along some or all axes.

    IndexError for an axis out of range.

    >>> import framework.array_api as xp
    >>> xp.fft.fftshift(xp.fft.fftfreq(4))
    tensor([-0.5000, -0.2500,  0.0000,  0.2500])
    """
    return torch.fft.fftshift(x, axes)


@standard
def ifftshift(x: Tensor, /, *, axes: Any = None) -> Any:
    """What undoes `fftshift`.

    >>> import framework.array_api as xp
    >>> xp.fft.ifftshift(xp.asarray([-2, -1, 0, 1]))
    tensor([ 0,  1, -2, -1])
    """
    return torch.fft.ifftshift(x, axes)
