"""Warnings that name the line of the program, whatever of ours lies between."""

from __future__ import annotations

import os
import sys
import warnings

__all__ = ["caution", "caution_once"]

_HERE = os.path.join(os.path.dirname(__file__), "")


def caution(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the nearest caller that is not in this package.

    It never raises, unless warnings are errors.

    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     caution("mind the gap")
    >>> caught[0].message
    UserWarning('mind the gap')
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


_said: set[str] = set()


always = False  # what `set_warn_always` set


def caution_once(message: str, category: type[Warning] = UserWarning) -> None:
    """As `caution`, but only the first time in a program, unless `set_warn_always` says otherwise.

    It never raises, unless warnings are errors.

    >>> import time, warnings
    >>> words = f"mind the step {time.time_ns()}"  # nobody has said that yet
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     caution_once(words)
    ...     caution_once(words)
    >>> len(caught)
    1
    """
    if always or message not in _said:
        _said.add(message)
        caution(message, category)
