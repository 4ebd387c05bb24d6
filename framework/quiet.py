"""NumPy's floating point errors stay out of programs, which PyTorch computes in silence.

Two things make them come out of our kernels, and a program may do either for its own sake:

- It turns warnings into errors, or lists them (pytest, `warnings.simplefilter`). NumPy warns where
  it was called, so a filter can tell our calls from the program's; but whoever sets a filter puts
  it in front of the others. `stay_silent` keeps ours in front of all of them: it follows each
  change of the list, so that ops pay nothing.
- It sets ``np.seterr(all="raise")``. Then a kernel fails with FloatingPointError, and `again` runs
  it once more without: a kernel writes into none of its arguments.
"""

from __future__ import annotations

import contextvars
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["again", "raising", "stay_silent"]

# As `warnings.filterwarnings` makes it.
_OURS: Any = ("ignore", re.compile(".* encountered in ", re.I), RuntimeWarning,
              re.compile(r"framework\."), 0)  # fmt: skip

# Where NumPy 2 keeps what `np.seterr` says, and what is there before anybody has said anything.
_numpy: Any = np  # its stubs do not have _core
_state: Any = getattr(_numpy._core.umath, "_extobj_contextvar", None)
_DEFAULT = contextvars.Context().run(_state.get) if _state is not None else None

# What `warnings` calls after each change of its filters: up to Python 3.13, and since.
_CHANGED = ("_filters_mutated", "_filters_mutated_lock_held")


def stay_silent() -> None:
    """Let no filter of the program's show or raise what NumPy says about our own calls.

    The program's own NumPy code keeps its warnings.

    >>> import warnings
    >>> import framework as torch
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error")
    ...     torch.log(torch.zeros(2))
    tensor([-inf, -inf])
    """
    for name in _CHANGED:
        changed = getattr(warnings, name, None)
        if changed is not None and not hasattr(changed, "_keeps_ours"):
            setattr(warnings, name, _following(changed))
    warnings.filterwarnings("ignore", ".* encountered in ", RuntimeWarning, r"framework\.")


def _following(changed: Callable[[], None]) -> Callable[[], None]:
    def put_ours_first() -> None:
        filters: Any = warnings.filters
        if not filters or filters[0] is not _OURS:
            if _OURS in filters:
                filters.remove(_OURS)
            filters.insert(0, _OURS)
        changed()

    put_ours_first._keeps_ours = True  # type: ignore[attr-defined]
    return put_ours_first


def again(kernel: Callable[..., Any], *arrays: Any, **meta: Any) -> Any:
    """What ``kernel`` returns where the program's `np.seterr` made it raise FloatingPointError.

    To be called where that is handled; for another reason it is raised again.

    >>> import numpy as np
    >>> from framework.quiet import again
    >>> with np.errstate(all="raise"):
    ...     try:
    ...         found = np.log(np.zeros(1))
    ...     except FloatingPointError:
    ...         found = again(np.log, np.zeros(1))
    >>> found
    array([-inf])
    """
    if not raising():
        raise  # the error that is being handled is another one
    with np.errstate(all="ignore"):
        return kernel(*arrays, **meta)


def raising() -> bool:
    """Whether the program wants FloatingPointError of NumPy.

    >>> import numpy as np
    >>> from framework.quiet import raising
    >>> with np.errstate(over="raise"):
    ...     raising()
    True
    """
    if _state is not None and _state.get() is _DEFAULT:  # thirty times faster
        return False
    return "raise" in np.geterr().values()
