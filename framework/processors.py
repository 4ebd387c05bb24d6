"""How many processors this process may use: what its affinity and its container's quota leave."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["count", "quota"]


def _levels(root: Path, path: str) -> Iterator[Path]:
    """The folders of a control group and of those round it; a container may see its own as root."""
    parts = [p for p in path.split("/") if p and p != ".."]
    for depth in range(len(parts), -1, -1):
        yield root.joinpath(*parts[:depth])


def _number(file: Path) -> int:
    return int(file.read_text())


def _quotas(groups: str, root: Path) -> Iterator[float]:
    """Processors that each control group around this process allows, if it says a number."""
    for line in groups.splitlines():
        _, kinds, path = line.split(":", 2)
        if not kinds:  # version 2
            for level in _levels(root, path):
                with contextlib.suppress(OSError, ValueError):
                    most, period = (level / "cpu.max").read_text().split()
                    yield int(most) / int(period)
        elif "cpu" in kinds.split(","):
            for base in (kinds, "cpu"):
                for level in _levels(root / base, path):
                    with contextlib.suppress(OSError, ValueError):
                        yield _number(level / "cpu.cfs_quota_us") / _number(
                            level / "cpu.cfs_period_us"
                        )


def quota(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int:
    """Whole processors that the quota is enough for, a part of one counting; 0 without one."""
    with contextlib.suppress(OSError, ValueError):
        return math.ceil(min((q for q in _quotas(groups.read_text(), root) if q > 0), default=0))
    return 0


def _found() -> int:
    usable = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        usable = len(os.sched_getaffinity(0)) or usable
    return min(usable, quota() or usable)


_count = 0


def count() -> int:
    """As many threads as can run at once; found once, for it reads files.

    >>> from framework import processors
    >>> processors.count() >= 1
    True
    """
    global _count
    _count = _count or _found()
    return _count
