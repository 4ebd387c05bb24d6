"""Older forms of calls, which PyTorch still takes: ``p.add_(-0.1, grad)``, numbers first.

They are told by their number of arguments, so that a call of today pays one test for them.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

from framework.flags import is_warn_always_enabled
from framework.tensor import Tensor
from framework.trace.places import user_frame

__all__ = ["number_second", "numbers_first"]

# Where the numbers of ``addmm(beta, input, alpha, mat1, mat2)`` may stand: as a function and as a
# method, with and without ``alpha``.
_PLACES = ((0, 2), (1, 2), (0,), (1,))

_warned = False


def number_second(name: str, args: tuple[Any, ...], count: int, word: str) -> tuple[Any, ...]:
    """``(input, number, tensors ...)`` as ``(input, tensors ..., number)``.

    Args:
        count: how many arguments there are today, all of them tensors.
        word: the keyword of today that the number is.

    Raises:
        TypeError: more arguments, or no number in that place.
    """
    number = args[1]
    if isinstance(number, Tensor) and not number.ndim:
        number = number.item()
    if len(args) != count + 1 or isinstance(number, Tensor) or not isinstance(args[0], Tensor):
        raise _too_many(name, args, count)
    _warn(name, f"{word}=")
    return (args[0], *args[2:], number)


def numbers_first(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The three tensors, ``beta`` and ``alpha`` of an older call of `addmm` or one of its like.

    Raises:
        TypeError: more arguments, or numbers in other places.
    """
    places = tuple([i for i, a in enumerate(args) if not isinstance(a, Tensor)])
    if len(args) - len(places) != 3 or places not in _PLACES:
        raise _too_many(name, args, 3)
    _warn(name, "beta= and alpha=")
    numbers = [args[i] for i in places]
    tensors = [a for i, a in enumerate(args) if i not in places]
    return (*tensors, numbers[0], *(numbers[1:] or [1]))


def _too_many(name: str, args: tuple[Any, ...], count: int) -> TypeError:
    return TypeError(f"{name}() takes {count} positional arguments but {len(args)} were given")


def _warn(name: str, words: str) -> None:
    """Once in a program, as PyTorch."""
    global _warned
    if not _warned or is_warn_always_enabled():
        _warned = True
        frame: Any = sys._getframe(1)
        caller, depth = user_frame(frame), 2
        while caller is not None and frame is not caller:
            frame, depth = frame.f_back, depth + 1
        warnings.warn(
            f"This overload of {name} is deprecated: numbers before the tensors. Give them by "
            f"keyword: {words}",
            UserWarning,
            stacklevel=depth,
        )
