"""How tensors print: PyTorch's layout of numbers, brackets and trailing attributes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from framework import dtypes
from framework.kernels import to_host

__all__ = ["set_printoptions", "tensor_text"]


@dataclass
class _Options:
    precision: int = 4
    threshold: int = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: int | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors print; ``profile`` is "default", "short" or "full"."""
    global options
    if profile is not None:
        profiles = {
            "default": _Options(),
            "short": _Options(precision=2, edgeitems=2),
            "full": _Options(threshold=1 << 62),
        }
        if profile not in profiles:
            raise ValueError(f"profile must be one of {sorted(profiles)}, but got {profile!r}")
        options = profiles[profile]
    for name, value in (
        ("precision", precision), ("threshold", threshold), ("edgeitems", edgeitems),
        ("linewidth", linewidth), ("sci_mode", sci_mode),
    ):  # fmt: skip
        if value is not None:
            setattr(options, name, value)


def tensor_text(tensor: Any) -> str:
    """``repr`` of a tensor, as PyTorch writes it."""
    data = to_host(_shown(tensor._data))
    prefix = "tensor("
    body = _body(data, tensor._data.shape, len(prefix))
    extra = []
    kind = tensor.dtype
    plain = (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool_)
    if tensor._data.size == 0 and tensor._data.ndim != 1:
        extra.append(f"size={tuple(tensor._data.shape)}")
    if tensor.device.type != "cpu":
        extra.append(f"device='{tensor.device}'")
    usual = kind in plain and (tensor._data.size or kind is plain[0])
    if not usual and kind is not plain[0].to_complex():
        extra.append(f"dtype={kind}")
    if tensor.requires_grad:
        node = tensor.grad_fn
        extra.append("requires_grad=True" if node is None else f"grad_fn=<{node.name()}>")
    text = prefix + body
    for part in extra:
        last = len(text) - text.rfind("\n") - 1
        glue = ", " if last + len(part) + 2 <= options.linewidth else ",\n" + " " * len(prefix)
        text += glue + part
    return text + ")"


def _shown(data: Any) -> Any:
    """The corners of a large array, so that a tensor of any size prints in no time."""
    if data.size <= options.threshold:
        return data
    edge = options.edgeitems
    for dim, n in enumerate(data.shape):
        if n > 2 * edge:
            index = np.r_[0 : edge + 1, n - edge : n]  # the one more stands for the dots
            data = data.take(index, dim)
    return data


def _body(data: np.ndarray, shape: tuple[int, ...], indent: int) -> str:
    if not data.size:
        return "[]" if shape else ""
    format_one = _formatter(data)
    if not data.ndim:
        return format_one(data[()]).strip()
    dots = [
        options.edgeitems if m != n or (n > 2 * options.edgeitems and data.shape != shape) else -1
        for m, n in zip(data.shape, shape)
    ]
    return _nested(data, dots, format_one, indent)


def _nested(data: np.ndarray, dots: list[int], format_one: Any, indent: int) -> str:
    if data.ndim == 1:
        cells = [" ..." if i == dots[0] else format_one(x) for i, x in enumerate(data)]
        width = max(len(c) for c in cells)
        per_line = max(1, (options.linewidth - indent - 1) // (width + 2))
        rows = [", ".join(cells[i : i + per_line]) for i in range(0, len(cells), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(rows) + "]"
    parts = [
        "..." if i == dots[0] else _nested(row, dots[1:], format_one, indent + 1)
        for i, row in enumerate(data)
    ]
    glue = "," + "\n" * (data.ndim - 1) + " " * (indent + 1)
    return "[" + glue.join(parts) + "]"


def _formatter(data: np.ndarray) -> Any:
    """One function that gives every element of a tensor the same width."""
    if data.dtype.kind == "c":
        real, imag = _formatter(data.real), _formatter(np.abs(data.imag))
        return lambda x: f"{real(x.real)}{'-' if x.imag < 0 else '+'}{imag(abs(x.imag)).strip()}j"
    if data.dtype.kind in "b":
        width = max(len(str(bool(x))) for x in data.ravel())
        return lambda x: str(bool(x)).rjust(width)
    if data.dtype.kind in "iu":
        width = max(len(str(x)) for x in data.ravel().tolist())
        return lambda x: str(int(x)).rjust(width)
    finite = np.abs(data[np.isfinite(data)].astype(np.float64))
    finite = finite[finite > 0] if data.size else finite
    p = options.precision
    if not finite.size:
        plain = lambda x: f"{float(x):.0f}." if math.isfinite(x) else str(float(x))  # noqa: E731
    elif (finite == np.floor(finite)).all():
        big = finite.max() > 1e8 or finite.max() / finite.min() > 1000
        big = options.sci_mode if options.sci_mode is not None else big
        plain = (lambda x: f"{float(x):.{p}e}") if big else (
            lambda x: f"{float(x):.0f}." if math.isfinite(x) else str(float(x)))  # fmt: skip
    else:
        sci = finite.max() / finite.min() > 1000 or finite.max() > 1e8 or finite.min() < 1e-4
        sci = options.sci_mode if options.sci_mode is not None else sci
        plain = (lambda x: f"{float(x):.{p}e}") if sci else (lambda x: f"{float(x):.{p}f}")
    # As in PyTorch zeros, infinities and NaNs do not count for the width.
    width = max((len(plain(x)) for x in data.ravel() if x and math.isfinite(x)), default=0)
    return lambda x: plain(x).rjust(width)
