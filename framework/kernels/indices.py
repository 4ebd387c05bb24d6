"""Which indices need no look at whether they are in range: those that an op made, or has looked at.

The look reads the least and the greatest index, for which a device has to be waited for.
"""

from __future__ import annotations

import threading

__all__ = ["known"]


class _Known(threading.local):
    """Within it (in this thread), ``gather``, ``scatter``, ``scatter_add``, ``index_select`` and
    an index by arrays do not look.

    It is for gradients, whose indices are those of an op that has run: saved, they cannot have
    been written to since, or autograd has refused.
    """

    depth = 0

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *exc: object) -> None:
        self.depth -= 1


known = _Known()
