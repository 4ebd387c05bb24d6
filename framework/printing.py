"""How tensors print: PyTorch's layout of numbers, brackets and trailing attributes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.modes import modes
from framework.device import default
from framework.kernels import to_host, waits
from framework.layout import strided

__all__ = ["get_printoptions", "printoptions", "set_printoptions", "tensor_text"]


@dataclass
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


options = _Options()

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors print.

    Args:
        precision: digits after the point (4).
        threshold: elements of a tensor that is printed in full (1000).
        edgeitems: elements at both ends of a dimension that is not printed in full (3).
        linewidth: characters in a line (80).
        profile: "default", "short" or "full": several of these at once.
        sci_mode: always or never write exponents; None, and every call without it, decides anew
            for each tensor.

    It never raises: another profile is left aside.

    >>> import framework as torch
    >>> torch.set_printoptions(precision=2)
    >>> torch.tensor([1.23456])
    tensor([1.23])
    >>> torch.set_printoptions(profile="default")
    """
    given = dict(_PROFILES.get(profile or "", {}))
    for name, value in (
        ("precision", precision), ("threshold", threshold), ("edgeitems", edgeitems),
        ("linewidth", linewidth),
    ):  # fmt: skip
        if value is not None:
            given[name] = value
    for name, value in (*given.items(), ("sci_mode", sci_mode)):
        setattr(options, name, value)


def get_printoptions() -> dict[str, Any]:
    """The options that are set, as a dictionary of `set_printoptions`'s keywords.

    >>> from framework.printing import get_printoptions
    >>> get_printoptions()["precision"]
    4
    """
    return asdict(options)


@contextlib.contextmanager
def printoptions(**changes: Any) -> Iterator[None]:
    """`set_printoptions` until the end of the block.

    >>> import framework as torch
    >>> from framework.printing import printoptions
    >>> with printoptions(precision=1):
    ...     print(torch.tensor([1.234]))
    tensor([1.2])
    """
    before = get_printoptions()
    set_printoptions(**changes)
    try:
        yield
    finally:
        set_printoptions(**before)


def tensor_text(tensor: Any, name: str = "tensor") -> str:
    """``repr`` of a tensor, as PyTorch writes it."""
    if modes.transforms and tensor.requires_grad:
        from framework.autograd.levels import levels_of, stripped

        numbers = levels_of(tensor)
        if numbers:
            text = tensor_text(stripped(tensor), name)
            for number in numbers:
                inner = text.replace("\n", "\n    ")
                text = f"GradTrackingTensor(lvl={number}, value=\n    {inner}\n)"
            return text
    if waits.mode:
        waits.waited(tensor._device)
    prefix = f"{name}("
    if tensor.is_sparse:
        return prefix + _sparse_body(tensor, len(prefix)) + ")"
    shape = tensor._data.shape
    text = prefix + ("..." if tensor.is_meta else _body(tensor._data, len(prefix)))
    place = len(text) - text.rfind("\n") + 1
    for part in (*_place(tensor), *_attributes(tensor, shape), *_history(tensor)):
        if place + len(part) + 2 > options.linewidth:
            text += ",\n" + " " * len(prefix) + part
            place = len(prefix) + len(part)
        else:
            text += ", " + part
            place += len(part) + 2
    return text + ")"


def _sparse_body(tensor: Any, indent: int) -> str:
    """Coordinates and values, one below the other, then the attributes."""
    data, gap = tensor._data, ",\n" + " " * indent
    parts = []
    for name, part in (("indices", data.indices), ("values", data.values)):
        text = _body(part, indent + len(f"{name}=tensor("))
        size = "" if part.size else f", size={tuple(part.shape)}"
        parts.append(f"{name}=tensor({text}{size})")
    sizes = [f"size={tuple(data.shape)}", f"nnz={data.nnz}"]
    device, rest = _place(tensor), [*_attributes(tensor, (1,)), *_history(tensor)]
    return gap.join([*parts, ", ".join([*device, *sizes, *rest])])


def _place(tensor: Any) -> list[str]:
    usual = tensor.device is default.device and not tensor.is_meta
    return [] if usual else [f"device='{tensor.device}'"]


def _attributes(tensor: Any, shape: tuple[int, ...]) -> list[str]:
    """What follows the elements: size, dtype, layout; what is usual is left out."""
    parts = []
    kind, usual = tensor.dtype, dtypes.get_default_dtype()
    if tensor.is_meta:
        parts.append(f"size={tuple(shape)}")
        if kind is not usual:
            parts.append(f"dtype={kind}")
    elif 0 in shape:  # no elements that would show their type
        if len(shape) != 1:
            parts.append(f"size={tuple(shape)}")
        if kind is not usual:
            parts.append(f"dtype={kind}")
    elif kind not in (usual, usual.to_complex(), dtypes.int64, dtypes.bool_):
        parts.append(f"dtype={kind}")
    return parts if tensor.layout is strided else [*parts, f"layout={tensor.layout}"]


def _history(tensor: Any) -> list[str]:
    """The node that made it, or that it wants a gradient; its tangent in forward mode."""
    wants, tangent = tensor.requires_grad, None
    if modes.dual and wants:
        from framework.autograd.forward_ad import unpack_dual

        primal, tangent = unpack_dual(tensor)
        wants = primal.requires_grad
    parts = []
    if wants:
        node = tensor.grad_fn
        parts.append("requires_grad=True" if node is None else f"grad_fn=<{type(node).__name__}>")
    return parts if tangent is None else [*parts, f"tangent={tangent!r}"]


@np.errstate(all="ignore")
def _body(data: Any, indent: int) -> str:
    if not data.size:
        return "[]"
    shown = to_host(_corners(data) if data.size > options.threshold else data)
    if shown.dtype.kind == "V" or shown.dtype == np.float16:
        shown = shown.astype(np.float32)
    cells = _ComplexCells(shown) if shown.dtype.kind == "c" else _Cells(shown)
    if not shown.ndim:
        return cells.text(shown.item())
    return _nested(shown, data.shape, cells, indent)


def _corners(data: Any) -> Any:
    """The corners of a large array, so that a tensor of any size prints in no time."""
    edge = options.edgeitems
    for dim, n in enumerate(data.shape):
        if n > 2 * edge:
            # Not `take`, which copies all of an array that is not contiguous.
            data = data[(slice(None),) * dim + (np.r_[0:edge, n - edge : n],)]
    return data


def _nested(data: np.ndarray, shape: tuple[int, ...], cells: Any, indent: int) -> str:
    """Rows in brackets; dots where ``shape`` has more than ``data``."""
    brief = data.shape[0] != shape[0]
    if data.ndim == 1:
        parts = [cells.text(x) for x in data.tolist()]
    else:
        parts = [_nested(row, shape[1:], cells, indent + 1) for row in data]
    if brief:
        parts.insert(options.edgeitems, " ..." if data.ndim == 1 else "...")
    margin = " " * (indent + 1)
    if data.ndim > 1:
        return "[" + ("," + "\n" * (data.ndim - 1) + margin).join(parts) + "]"
    per_line = max(1, (options.linewidth - indent) // (cells.width + 2))
    rows = [", ".join(parts[i : i + per_line]) for i in range(0, len(parts), per_line)]
    return "[" + (",\n" + margin).join(rows) + "]"


class _Cells:
    """Gives all elements of a real tensor the same format and width."""

    def __init__(self, data: np.ndarray) -> None:
        self.width = 1
        self.spec = ""  # of integers and bools: as they are
        self.point = ""  # after whole numbers of a floating type
        if data.dtype.kind == "f":
            self._choose(data.astype(np.float64).ravel())
        else:
            self.width = max(len(str(x)) for x in data.ravel().tolist())

    def _choose(self, data: np.ndarray) -> None:
        """PyTorch's choice: whole numbers without digits, exponents where sizes differ much.

        Zeros, infinities and NaNs have no say in it, nor in the width.
        """
        values = data[np.isfinite(data) & (data != 0)]
        digits = options.precision
        self.spec, self.point = ".0f", "."
        if values.size:
            size = np.abs(values)
            low, high = size.min(), size.max()
            whole = bool((values == np.ceil(values)).all())
            exponents = high / low > 1000 or high > 1e8 or (not whole and low < 1e-4)
            if options.sci_mode is not None:
                exponents = options.sci_mode
            if exponents or not whole:
                self.spec, self.point = f".{digits}{'e' if exponents else 'f'}", ""
            self.width = max(len(self._cell(x)) for x in values.tolist())

    def _cell(self, x: Any) -> str:
        return f"{x:{self.spec}}{self.point if math.isfinite(x) else ''}"

    def text(self, x: Any) -> str:
        """One element, as wide as the widest."""
        return (self._cell(x) if self.spec else str(x)).rjust(self.width)


class _ComplexCells:
    """Real and imaginary parts have a format each."""

    def __init__(self, data: np.ndarray) -> None:
        self.real, self.imag = _Cells(data.real), _Cells(data.imag)
        self.width = self.real.width + self.imag.width + 1

    def text(self, x: complex) -> str:
        """One element; the imaginary part is not padded."""
        imag = self.imag.text(x.imag).lstrip()
        return self.real.text(x.real) + ("" if imag[0] in "+-" else "+") + imag + "j"
