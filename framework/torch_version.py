"""`TorchVersion`: the type of ``__version__``, which compares as a version and not as text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from framework.version import __version__ as _text

__all__ = ["TorchVersion"]

_FORM = re.compile(
    r"\s*v?(?:(\d+)!)?(\d+(?:\.\d+)*)"
    r"(?:[-_.]?(alpha|beta|preview|pre|a|b|c|rc)[-_.]?(\d*))?"
    r"(?:-(\d+)|[-_.]?(post|rev|r)[-_.]?(\d*))?"
    r"(?:[-_.]?(dev)[-_.]?(\d*))?"
    r"(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*",
    re.IGNORECASE,
)
_PRE = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_FIRST, _LAST = (-1,), (1,)  # before and after every ``(0, ...)``


def _key(version: str) -> tuple[Any, ...] | None:
    """What PEP 440 orders a version by; None if it is none."""
    found = _FORM.fullmatch(version)
    if found is None:
        return None
    epoch, numbers, pre, pre_nr, short, post, post_nr, dev, dev_nr, local = found.groups()
    release = [int(n) for n in numbers.split(".")]
    while len(release) > 1 and not release[-1]:
        release.pop()
    is_post = short is not None or post is not None
    early: tuple[Any, ...] = _LAST
    if pre:
        early = (0, _PRE.get(pre.lower(), pre.lower()), int(pre_nr or 0))
    elif dev and not is_post:
        early = _FIRST
    return (
        int(epoch or 0), tuple(release), early,
        (0, int(short or post_nr or 0)) if is_post else _FIRST,
        (0, int(dev_nr or 0)) if dev else _LAST,
        (0, *[(1, int(p), "") if p.isdigit() else (0, 0, p.lower())
              for p in re.split(r"[-_.]", local)]) if local else _FIRST,
    )  # fmt: skip


class TorchVersion(str):
    """A version that compares with others as text, as a tuple of numbers or as an object.

    What is no version is compared as text.

    >>> version = TorchVersion("2.13.0+tapebook.0.1.0")
    >>> version >= "2.4", version > (1, 13, 1), version < "10.0", str(version)[:4]
    (True, True, True, '2.13')
    """

    __slots__ = ()

    def _compared(self, other: Any, method: str) -> Any:
        text = other
        if isinstance(other, Iterable) and not isinstance(other, str):
            text = ".".join(str(n) for n in other)
        elif hasattr(other, "release"):  # of the package ``packaging``
            text = str(other)
        mine, its = _key(str(self)), _key(text) if isinstance(text, str) else None
        if mine is None or its is None:
            return getattr(super(), method)(other)
        return getattr(mine, method)(its)

    def __eq__(self, other: object) -> Any:
        return self._compared(other, "__eq__")

    __ne__ = str.__ne__  # PyTorch's wart: "2.0" != "2.0.0", though they are equal

    def __lt__(self, other: Any) -> Any:
        return self._compared(other, "__lt__")

    def __le__(self, other: Any) -> Any:
        return self._compared(other, "__le__")

    def __gt__(self, other: Any) -> Any:
        return self._compared(other, "__gt__")

    def __ge__(self, other: Any) -> Any:
        return self._compared(other, "__ge__")

    __hash__ = str.__hash__


__version__ = TorchVersion(_text)
