"""Short-time Fourier transforms: the spectra of overlapping windows of a signal, and the way back.

The frames are a view of the signal (`Tensor.unfold`); the way back adds them up where they overlap
and divides by what the windows add up to (Griffin and Lim, "Signal estimation from modified
short-time Fourier transform", 1984).
"""

from __future__ import annotations

import warnings
from typing import Any

from framework.cautions import caution_once
from framework.core.dispatch import apply, composite
from framework.core.registry import function
from framework.core.saved import all_values
from framework.dtypes import COMPLEX, FLOAT
from framework.ops.complex import view_as_real
from framework.ops.creation import ones
from framework.ops.fft import fft, ifft, irfft, rfft
from framework.ops.padding import pad
from framework.ops.strided import WINDOWS_SUM
from framework.tensor import Tensor

__all__ = ["istft", "stft"]


def _norm(normalized: bool) -> str:
    return "ortho" if normalized else "backward"


def _no_window(consequence: str) -> None:
    warnings.warn(
        f"A window was not provided. A rectangular window will be applied{consequence} To suppress "
        "this warning and use a rectangular window, explicitly set "
        "`window=torch.ones(n_fft, device=<device>)`.",
        stacklevel=5,
    )


def _full_window(window: Tensor | None, length: int, n_fft: int, like: Tensor) -> Tensor:
    """The window (ones without one) with zeros around it up to the length of a frame."""
    if window is None:
        window = ones(length, dtype=like.dtype.to_real(), device=like.device)
    left = (n_fft - length) // 2
    return pad(window, (left, n_fft - length - left)) if length < n_fft else window


def _centered(input: Tensor, width: int, mode: str) -> Tensor:
    """The signal continued at both ends, so that frame t is centred at ``t * hop_length``."""
    shape = input.shape
    padded = pad(input.reshape((1,) * (3 - len(shape)) + tuple(shape)), (width, width), mode)
    return padded.reshape(*padded.shape[3 - len(shape) :])


@function(checks=True)
@composite
def stft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
    window: Tensor | None = None, center: bool = True, pad_mode: str = "reflect",
    normalized: bool = False, onesided: bool | None = None, return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Tensor:  # fmt: skip
    """Spectra of windows of a signal: [frequencies, frames], for a batch [N, frequencies, frames].

    ``X[f, t] = sum_k window[k] input[t hop + k] exp(-2 pi i k f / n_fft)``

    Args:
        input: real or complex, [length] or [N, length].
        n_fft: length of a frame; hop_length: from one to the next, ``n_fft // 4``.
        window: of win_length (n_fft) elements; rectangular, with a warning, unless given.
        center: continue the signal (as `nn.functional.pad` with pad_mode does) so that frame t is
            centred at ``t * hop_length``.
        normalized: multiply by ``1 / sqrt(n_fft)``.
        onesided: the half of the spectrum that determines it; the default for real signals.
        return_complex: False gives pairs of real numbers in a last dimension; has to be given for
            real signals.
        align_to_window: without center, put the frames of a short window where it fits.

    RuntimeError for other dimensions, an n_fft above the (padded) length and a window of another
    length.

    >>> import framework as torch
    >>> x = torch.stft(torch.ones(16), 8, window=torch.ones(8), return_complex=True)
    >>> x.shape, x[0, 0]
    (torch.Size([5, 9]), tensor(8.+0.j))
    """
    hop = n_fft // 4 if hop_length is None else hop_length
    length = n_fft if win_length is None else win_length
    complex_ = input.dtype.category == COMPLEX or (
        window is not None and window.dtype.category == COMPLEX
    )
    if window is None:
        _no_window(",which is known to cause spectral leakage.")
    if return_complex is False:
        caution_once(
            "stft with return_complex=False is deprecated. In a future pytorch release, stft will "
            "return complex tensors for all inputs, and return_complex=False will raise an error.\n"
            "Note: you can still call torch.view_as_real on the complex output to recover the old "
            "return format."
        )
    if return_complex is None:
        if not complex_:
            raise RuntimeError(
                "stft requires the return_complex parameter be given for real inputs, and will "
                "further require that return_complex=True in a future PyTorch release."
            )
        return_complex = True
    if input.dtype.category < FLOAT:
        raise RuntimeError("expected a tensor of floating point or complex values")
    if center and align_to_window is not None:
        raise RuntimeError("stft align_to_window should only be set when center = false")
    if center:
        input = _centered(input, n_fft // 2, pad_mode)
    if input.ndim not in (1, 2):
        raise RuntimeError("expected a 1D or 2D tensor")
    if align_to_window:
        input = pad(input, ((n_fft - length) // 2,) * 2)
    size = input.shape[-1]
    if not 0 < n_fft <= size:
        raise RuntimeError(f"expected 0 < n_fft < {size}, but got n_fft={n_fft}")
    if hop <= 0:
        raise RuntimeError(f"expected hop_length > 0, but got hop_length={hop}")
    if not 0 < length <= n_fft:
        raise RuntimeError(f"expected 0 < win_length <= n_fft, but got win_length={length}")
    if window is not None and tuple(window.shape) != (length,):
        raise RuntimeError(
            f"expected a 1D window tensor of size equal to win_length={length}, but got window "
            f"with size {list(window.shape)}"
        )
    frames = input.unfold(-1, n_fft, hop)
    if window is not None or length < n_fft:
        frames = frames * _full_window(window, length, n_fft, input)
    if onesided is None:
        onesided = not complex_
    if complex_ and onesided:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    out = (rfft if onesided else fft)(frames, norm=_norm(normalized)).transpose(-1, -2)
    return out if return_complex else view_as_real(out)


@function(checks=True)
@composite
def istft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None,
    window: Tensor | None = None, center: bool = True, normalized: bool = False,
    onesided: bool | None = None, length: int | None = None, return_complex: bool = False,
) -> Tensor:  # fmt: skip
    """The inverse of `stft`: the signal whose spectra come closest to ``input``.

    Args:
        input: complex, [frequencies, frames] or [N, frequencies, frames]; the other arguments are
            those of `stft`.
        length: cut the signal, or pad it with zeros, to this length.

    >>> import framework as torch
    >>> w, x = torch.hann_window(8), torch.arange(16.0)
    >>> y = torch.istft(torch.stft(x, 8, window=w, return_complex=True), 8, window=w)
    >>> torch.allclose(x, y, atol=1e-5)
    True

    Raises:
        RuntimeError: the windows leave some of the signal out.
    """
    hop = n_fft // 4 if hop_length is None else hop_length
    size = n_fft if win_length is None else win_length
    if window is None:
        _no_window(
            ".Please provide the same window used by stft to make the inversion lossless."
        )  # fmt: skip
    onesided = _check_spectra(input, n_fft, hop, size, window, onesided)
    if return_complex and onesided:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    if not return_complex and window is not None and window.dtype.category == COMPLEX:
        raise RuntimeError("Complex windows are incompatible with return_complex=False")
    full = _full_window(window, size, n_fft, input)
    spectra = input.transpose(-1, -2)
    if return_complex:
        frames = ifft(spectra, norm=_norm(normalized))
    else:
        half = spectra[..., : n_fft // 2 + 1]
        frames = irfft(half, n_fft, norm=_norm(normalized))
    count = frames.shape[-2]
    total = n_fft + hop * (count - 1)
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else total - n_fft // 2 if center else total
    signal = _added(frames * full, total, hop)[..., start:end]
    weight = _added((full * full).expand(count, n_fft), total, hop)[start:end]
    if weight.numel() and abs(all_values(weight)).min() < 1e-11:
        raise RuntimeError("window overlap add min: 1")
    signal = signal / weight
    if end > total:
        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded "
            "with zeros in the tail. Please check your center and hop_length settings.",
            stacklevel=4,
        )
        signal = pad(signal, (0, end - total))
    return signal


def _check_spectra(
    input: Tensor, n_fft: int, hop: int, size: int, window: Any, onesided: bool | None
) -> bool:
    """Refuse what is no result of `stft`; returns whether the spectra are halves."""
    if input.dtype.category != COMPLEX:
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with "
            "return_complex=True."
        )
    if not input.numel():
        raise RuntimeError("input tensor cannot be empty.")
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"expected a tensor with 3 or 4 dimensions, but got {input.ndim + 1}"
        )  # fmt: skip
    frequencies = input.shape[-2]
    if onesided is None:
        onesided = frequencies != n_fft
    if frequencies != (n_fft // 2 + 1 if onesided else n_fft):
        raise RuntimeError(
            "expected the frequency dimension (3rd to the last) of the input tensor to match "
            f"n_fft{' / 2 + 1' if onesided else ''} when onesided={onesided}, but got {frequencies}"
        )
    if not 0 < hop <= size:
        raise RuntimeError("expected 0 < hop_length <= win_length")
    if not 0 < size <= n_fft:
        raise RuntimeError("expected 0 < win_length <= n_fft")
    if window is not None and tuple(window.shape) != (size,):
        raise RuntimeError(
            "Invalid window shape. window has to be 1D and length of `win_length`"
        )  # fmt: skip
    return onesided


def _added(frames: Tensor, total: int, hop: int) -> Tensor:
    """Frames [..., count, n] added up to signals [..., total]."""
    shape = (*frames.shape[:-2], total)
    size = frames.shape[-1]
    return apply(WINDOWS_SUM, frames, shape=shape, dim=len(shape) - 1, size=size, step=hop)
