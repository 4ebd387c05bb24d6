"""Padding: a constant, a mirror image, the border or the other side around a tensor."""

from __future__ import annotations

from typing import Any

from framework import dtypes
from framework.core.dispatch import apply, composite
from framework.core.interpose import looked_at
from framework.core.registry import function, op, variant
from framework.device import CPU
from framework.kernels import compiled, module_of, to_device
from framework.kernels.floats import widening
from framework.kernels.padding import SOURCES, edges, edges_backward, with_constant
from framework.layout import contiguous_format, formatted, keeps_format, suggested
from framework.ops.indexing import INDEX, index_array
from framework.tensor import wrap

__all__ = ["pad"]


def _pad_kernel(a: Any, *, pad: tuple[tuple[int, int], ...], value: float) -> Any:
    """``pad``: (before, after) of each dimension; negative numbers cut off."""
    shape = [n + before + after for n, (before, after) in zip(a.shape, pad)]
    if min(shape, default=0) < 0:
        raise ValueError(
            f"The input size {list(a.shape)}, plus negative padding {list(pad)}, resulted in a "
            f"negative output size {shape}, which is invalid"
        )
    inner = tuple([slice(max(-b, 0), max(n - max(-e, 0), 0)) for n, (b, e) in zip(a.shape, pad)])
    if all(b <= 0 and e <= 0 for b, e in pad):
        return formatted(a[inner], None)
    value = dtypes.converted(value, dtypes.from_numpy_dtype[a.dtype])
    found = with_constant(a, pad, value)
    if found is not None:
        return found
    result = module_of(a).full(shape, value, a.dtype)
    outer = tuple([slice(max(b, 0), n - max(e, 0)) for n, (b, e) in zip(shape, pad)])
    result[outer] = a[inner]
    return result


def _negated(pad: Any) -> tuple[tuple[int, int], ...]:
    return tuple((-before, -after) for before, after in pad)


PAD = op(
    "pad", keeps_format(_pad_kernel), "a",
    grad=(lambda g, pad: apply(PAD, g, pad=_negated(pad), value=0.0),),
    samples=lambda s: [
        ((s(2, 3),), {"pad": ((0, 0), (1, 2)), "value": 0.5}),
        ((s(3, 4),), {"pad": ((1, -1), (-1, -2)), "value": 0.0}),
    ],
)  # fmt: skip


@function(namespaces=("nn.functional",), method=False, checks=True)
def pad(input: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Any:
    """``input`` with elements added around its last dimensions.

    All modes but "constant" take (N, C, L) and (C, L), (N, C, H, W) and (C, H, W), or with one
    dimension more, and pad their last dimensions. RuntimeError for an odd number of sizes or
    padding that is larger than the input or, if negative, leaves nothing of it, NotImplementedError
    for another mode or rank.

    Args:
        pad: (before, after) of the last dimension, then of the one before it, and so on; negative
            numbers cut off.
        mode: "constant" (``value``, default 0), "reflect", "replicate" or "circular".

    >>> import framework as torch
    >>> torch.nn.functional.pad(torch.ones(2), (1, 2))
    tensor([0., 1., 1., 0., 0.])
    """
    sizes = [int(p) for p in pad]
    if len(sizes) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(sizes) // 2 > input.ndim:
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(sizes)} and input of dimension {input.ndim}"
        )
    if mode == "constant":
        pairs = [(0, 0)] * (input.ndim - len(sizes) // 2)
        pairs += [(sizes[i], sizes[i + 1]) for i in range(len(sizes) - 2, -1, -2)]
        return apply(PAD, input, pad=tuple(pairs), value=0.0 if value is None else value)
    if value is not None and value != 0:
        raise ValueError(f"Padding mode {mode!r} doesn't take in value argument")
    if mode not in SOURCES:
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if input.ndim - len(sizes) // 2 not in (1, 2):
        raise NotImplementedError(
            f"Padding size {len(sizes)} is not supported for {input.ndim}D input tensor: with mode "
            f"{mode!r} one or two leading dimensions must be left alone"
        )
    if mode != "circular":
        if input.dtype is dtypes.bool_:
            raise NotImplementedError(f"\"{mode}_pad\" not implemented for 'Bool'")
        own = len(sizes) // 2 + 1
        if 0 in input.shape[input.ndim - own :]:
            raise RuntimeError(
                f"Expected {own}D or {own + 1}D (batch mode) tensor with possibly 0 batch size and "
                f"other non-zero dimensions for input, but got: {list(input.shape)}"
            )
    return pad_by_index(input, sizes, mode)


@composite
def pad_by_index(input: Any, sizes: list[int], mode: str) -> Any:
    """Padding with the input's own elements: select them, dimension by dimension."""
    form = None if mode == "circular" else suggested(input._data)
    _check_result(input.shape, sizes, mode)
    if not any(sizes):
        return input.clone(memory_format=form or contiguous_format)
    pairs = tuple(zip(sizes[::2], sizes[1::2]))[::-1]
    a = input._data
    if not looked_at() and input._device is CPU and compiled.is_plain_or_wide(a):
        return apply(_AT_ONCE[mode], input, pad=pairs, mode=mode)
    for i in range(0, len(sizes), 2):
        before, after = sizes[i], sizes[i + 1]
        if before or after:
            dim = input.ndim - 1 - i // 2
            source = SOURCES[mode](input.shape[dim], before, after)
            device = input._device
            index = wrap(source if device.type == "cpu" else to_device(source, device), device)
            input = apply(
                _BY_INDEX[mode], input, index, layout=(*(slice(None),) * dim, index_array)
            )
    return input if form is None else input.contiguous(memory_format=form)


def _check_result(shape: Any, sizes: list[int], mode: str) -> None:
    """Negative padding must leave something, and with "circular" may leave just nothing."""
    pairs = list(zip(sizes[::2], sizes[1::2]))[::-1]
    own = shape[len(shape) - len(pairs) :]
    result = [n + before + after for n, (before, after) in zip(own, pairs)]
    if mode == "circular":
        if any(n + min(b, 0) + min(a, 0) < 0 for n, (b, a) in zip(own, pairs)):
            raise RuntimeError("Negative padding value is resulting in an empty dimension")
    elif min(result) < 0 or max(result) < 1:
        names = "DHW"[-len(pairs) :]
        given = ", ".join(f"{name}: {n}" for name, n in zip(names, own))
        found = " ".join(f"{name}: {n}" for name, n in zip(names, result))
        raise RuntimeError(f"input ({given}) is too small. Calculated output {found}")


# PyTorch's reflection_pad and replication_pad have derivatives of their own.
_BORDER = variant(INDEX, "IndexSelect", flat=(0,))
_BY_INDEX = {"reflect": _BORDER, "replicate": _BORDER, "circular": variant(INDEX, "IndexSelect")}

# All of it in one pass, where nobody looks between the dimensions.
PAD_EDGES = op(
    "pad_edges", edges, "a",
    grad=(lambda g, n: apply(PAD_EDGES_BACKWARD, g, shape=n.shape(0), **n.meta),),
    samples=lambda s: [
        ((s(2, 3, 4),), {"pad": ((1, 2), (-1, 2)), "mode": mode}) for mode in SOURCES
    ],
)  # fmt: skip
PAD_EDGES_BACKWARD = op(
    "pad_edges_backward", widening(edges_backward), "grad",
    grad=(lambda g, pad, mode: apply(PAD_EDGES, g, pad=pad, mode=mode),),
    samples=lambda s: [
        ((s(2, 4, 6),), {"shape": (2, 3, 4), "pad": ((0, 1), (2, 0)), "mode": "reflect"})
    ],
)  # fmt: skip
_REFLECTED = variant(PAD_EDGES, "IndexSelect", flat=(0,))
_AT_ONCE = {"reflect": _REFLECTED, "replicate": _REFLECTED, "circular": PAD_EDGES}
