"""Which optimizer's turn it is: the number that the training step under way will have.

A training step is numbered by the optimizer that ends it, in that optimizer's own count: the third
round of a GAN is step 3 of both. Which one it will be is known only as it steps. Until then it is
the one that was made since the last step; else what it was the time before: the same one until it
has stepped as often in a row, then the one that followed. In the first round it is the next one
that was made and has not stepped yet, then the one that the round began with.
"""

from __future__ import annotations

import weakref
from typing import Any

__all__ = ["begins", "ended", "forget", "last", "made", "number"]

Ref = weakref.ref[Any]

_last: Ref | None = None  # that stepped last, or is about to
_row = 0  # how often it has, in a row
_coming: Ref | None = None
_head: Ref | None = None  # that the first round began with
_waiting: list[Ref] = []  # made, and never used yet
# What came after an optimizer, and how often it had stepped in a row by then.
_followers: weakref.WeakKeyDictionary[Any, tuple[Ref, int]] = weakref.WeakKeyDictionary()
_inside = False  # in a step, which is counted already


def made(optimizer: Any) -> None:
    """A new optimizer: whoever makes one means to use it."""
    global _coming
    _coming = weakref.ref(optimizer)
    _waiting.append(_coming)


def begins(optimizer: Any) -> None:
    """It steps; its own count has this step already."""
    global _last, _row, _coming, _head, _inside
    before = _alive(_last)
    if before is not optimizer:
        first_round = before is not None and before not in _followers and _row == 1
        if not first_round or _alive(_head) is None:
            _head = weakref.ref(optimizer)
        if before is not None:
            _followers[before] = weakref.ref(optimizer), _row
        _row = 0
    _row += 1
    _last = _coming = weakref.ref(optimizer)
    _waiting[:] = [ref for ref in _waiting if ref() not in (None, optimizer)]
    _inside = True


def ended() -> None:
    """The step has ended, and with it the training step."""
    global _coming, _inside
    _inside = False
    known = _followers.get(_alive(_last))
    if known is not None and _alive(known[0]) is not None:
        _coming = known[0] if _row >= known[1] else _last
    elif _row == 1:
        _coming = next((ref for ref in _waiting if ref() is not None), _head)
    else:
        _coming = _last


def forget() -> None:
    """No optimizer has stepped yet."""
    global _last, _row, _coming, _head, _inside
    _last = _coming = _head = None
    _row, _inside = 0, False
    _waiting.clear()
    _followers.clear()


def last() -> Any | None:
    """The optimizer that stepped last."""
    return _alive(_last)


def _alive(ref: Ref | None) -> Any | None:
    return ref() if ref is not None else None


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
        optimizer = _alive(ref)
        if optimizer is not None:
            return int(optimizer._steps) + (not _inside)
    return 1
