"""Updates of parameters in one pass; the functions are those of `compiled.optimizers`.

Within `gathered` they wait, and those with the same numbers are one launch at its end.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from framework.kernels import module_of
from framework.kernels.cuda import blocks_for, empty, launch

__all__ = ["adam", "at_once", "gathered", "sgd", "unscale"]

_CHUNK = 1 << 14  # elements of a block, as in the entries for many

Arrays = tuple[Any, ...]


class _Waiting(threading.local):
    updates: dict[Any, list[Arrays]] | None = None


_waiting = _Waiting()


@contextlib.contextmanager
def gathered() -> Iterator[None]:
    """Within, updates wait until the end, also that by an exception."""
    before, _waiting.updates = _waiting.updates, {}
    try:
        yield
    finally:
        updates, _waiting.updates = _waiting.updates, before
        for (entry, *_, numbers), lines in (updates or {}).items():
            _run_many(entry, lines, numbers)


@contextlib.contextmanager
def at_once() -> Iterator[None]:
    """Within `gathered`: updates do not wait, for their results are needed."""
    before, _waiting.updates = _waiting.updates, None
    try:
        yield
    finally:
        _waiting.updates = before


def _run(entry: str, arrays: Arrays, numbers: tuple[float | int, ...]) -> None:
    param = arrays[0]
    if _waiting.updates is not None:
        place = param.device  # NumPy's "cpu"; CuPy's have no hash
        key = entry, param.dtype, getattr(place, "id", place), numbers
        _waiting.updates.setdefault(key, []).append(arrays)
        return
    blocks = blocks_for(param.size * param.dtype.itemsize // 16)
    launch("optimizers", entry, blocks, 256, *arrays, param.size, *numbers)


def _run_many(entry: str, lines: list[Arrays], numbers: tuple[float | int, ...]) -> None:
    """One launch; the table of addresses is copied to the device, which is not waited for."""
    if len(lines) == 1:
        _run(entry, lines[0], numbers)
        return
    like, there, blocks = _table(lines)
    launch("optimizers", f"{entry}_many", blocks, 256, like, there, len(lines), *numbers)


def _table(lines: list[Arrays]) -> tuple[Any, Any, int]:
    """An array that says the type, the table on the device, and how many blocks it is for."""
    table, blocks = [], 0
    for arrays in lines:
        size = arrays[0].size
        table.append([*map(_address, arrays), size, blocks])
        blocks += -(-size // _CHUNK)
    first = lines[0][0]
    there: Any = np.array(table, np.int64)
    if not isinstance(first, np.ndarray):
        with first.device:
            there = module_of(first).asarray(there)
    return empty(first, (1,)), there, max(1, blocks)


def _address(array: Any) -> int:
    if array is None:
        return 0
    return int(array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr)


def sgd(
    param: Any, grad: Any, buffer: Any, lr: float, momentum: float, dampening: float,
    decay: float, maximize: bool, first: bool, nesterov: bool,
) -> None:  # fmt: skip
    """Write the new values into ``param`` and ``buffer``, which is None without momentum."""
    numbers = tuple([float(v) for v in (lr, momentum, 1 - dampening, decay)])
    _run("sgd", (param, grad, buffer), (*numbers, int(maximize), int(first), int(nesterov)))


def adam(
    param: Any, grad: Any, mean: Any, square: Any, largest: Any, lr: float,
    betas: tuple[float, float], eps: float, decay: float, decoupled: bool, maximize: bool,
    step: float,
) -> None:  # fmt: skip
    """Write the new values into ``param``, its means and, unless it is None, ``largest``."""
    beta1, beta2 = betas
    shrink = 1 - lr * decay if decoupled else 1.0
    numbers = (1 - beta1, beta2, 1 - beta2, 0.0 if decoupled else decay,
               (1 - beta2**step) ** 0.5, eps, lr / (1 - beta1**step), shrink)  # fmt: skip
    given = tuple([float(v) for v in numbers])
    _run("adam", (param, grad, mean, square, largest), (*given, int(maximize)))


def unscale(grads: list[Any], scale: Any, found: Any) -> None:
    """Divide contiguous gradients of one type in place; ``found`` is 1 then if one is not finite.

    ``scale`` and ``found`` are float32 without dimensions, on the device of the gradients.
    """
    like, there, blocks = _table([(g,) for g in grads])
    launch("optimizers", "unscale_many", blocks, 256, like, there, len(grads), scale, found)
