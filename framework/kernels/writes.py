"""In-place arithmetic on large arrays: what can be written where it is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.kernels import compiled

__all__ = ["WRITERS", "in_range"]

_HUGE = 1e38  # beyond, infinities and NaN are the plain way's


def in_range(number: Any) -> bool:
    """Whether a Python number is one that both float types have."""
    return (number.__class__ is float or number.__class__ is int) and -_HUGE < number < _HUGE


def _run(name: str, x: Any, announce: Any, others: tuple[Any, ...], number: float) -> bool:
    for a in (x, *others):
        if getattr(a, "shape", None) != x.shape or a.dtype is not x.dtype:
            return False
        if not compiled.is_plain_or_wide(a):
            return False
    if not (kernels := compiled.family("writes")):
        return False
    announce()
    kernels.write(name, x, others, number)
    return True


def _of_two(name: str, scale: str = "") -> Callable[..., bool]:
    """``x += y`` and its like, of an array or a number; ``scale`` is the keyword of a factor."""

    def writer(x: Any, announce: Any, other: Any, **options: Any) -> bool:
        factor = options.pop(scale, 1) if scale else 1
        if options or not in_range(factor):
            return False
        if in_range(other):
            return factor == 1 and _run(f"{name}_number", x, announce, (), other)
        if getattr(other, "shape", None) == () and factor == 1 and other.dtype is x.dtype:
            return _run(f"{name}_number", x, announce, (), other)
        kernel = name if factor == 1 else f"{name}_scaled"
        return _run(kernel, x, announce, (other,), factor)

    return writer


def _of_three(name: str) -> Callable[..., bool]:
    def writer(x: Any, announce: Any, a: Any, b: Any, value: Any = 1) -> bool:
        return in_range(value) and _run(name, x, announce, (a, b), value)

    return writer


def _lerp(x: Any, announce: Any, end: Any, weight: Any) -> bool:
    if not in_range(weight) or x.shape != getattr(end, "shape", None) or x.dtype is not end.dtype:
        return False
    if not (compiled.is_plain(x) and compiled.is_plain(end)):
        return False
    if not (kernels := compiled.family("pointwise")):
        return False
    announce()
    kernels.lerp(x, end, weight, x)
    return True


def _copy(x: Any, announce: Any, source: Any, non_blocking: bool = False) -> bool:
    if x.shape != getattr(source, "shape", None) or x.dtype is not source.dtype:
        return False
    announce()
    x[...] = source
    return True


# By the name of the method: ``writer(x, announce, *arrays or numbers, **options)`` writes into
# ``x``, having called ``announce``, or says that it did not.
WRITERS: dict[str, Callable[..., bool]] = {
    "add_": _of_two("add", "alpha"),
    "addcdiv_": _of_three("addcdiv"),
    "addcmul_": _of_three("addcmul"),
    "copy_": _copy,
    "div_": _of_two("div"),
    "lerp_": _lerp,
    "mul_": _of_two("mul"),
    "sub_": _of_two("sub", "alpha"),
}
