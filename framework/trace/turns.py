"""Which optimizer's turn it is: the number that the training step under way will have.

A training step is numbered by the optimizer that ends it, which is known only as it steps. Until
then it is the one that was made since the last step, else the one that came after the last step's
optimizer the time before, else that one again.
"""

from __future__ import annotations

import weakref
from typing import Any

__all__ = ["begins", "ended", "made", "number"]

_last: weakref.ref[Any] | None = None  # that stepped last, or is about to
_coming: weakref.ref[Any] | None = None
_followers: weakref.WeakKeyDictionary[Any, weakref.ref[Any]] = weakref.WeakKeyDictionary()
_inside = False  # in a step, which is counted already


def made(optimizer: Any) -> None:
    """A new optimizer: whoever makes one means to use it."""
    global _coming
    _coming = weakref.ref(optimizer)


def begins(optimizer: Any) -> None:
    """It steps; its own count has this step already."""
    global _last, _coming, _inside
    before = _last() if _last is not None else None
    _last = _coming = weakref.ref(optimizer)
    if before is not None:
        _followers[before] = _last
    _inside = True


def ended() -> None:
    """The step has ended, and with it the training step."""
    global _coming, _inside
    _inside = False
    before = _last() if _last is not None else None
    follower = _followers.get(before) if before is not None else None
    _coming = follower if follower is not None and follower() is not None else _last


def number() -> int:
    """The number of the training step under way, from 1.

    >>> import framework as torch
    >>> from framework.trace import turns
    >>> w = torch.ones(1, requires_grad=True)
    >>> optimizer = torch.optim.SGD([w], lr=0.1)
    >>> turns.number(), optimizer.step(), turns.number()
    (1, None, 2)
    """
    for ref in (_coming, _last):
        optimizer = ref() if ref is not None else None
        if optimizer is not None:
            return int(optimizer._steps) + (not _inside)
    return 1
