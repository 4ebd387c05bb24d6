"""Which worker process of a `DataLoader` this is."""

from __future__ import annotations

from typing import Any

__all__ = ["WorkerInfo", "get_worker_info"]


class WorkerInfo:
    """What `get_worker_info` tells a worker: id, num_workers, seed, and its copy of the dataset.

    RuntimeError for setting one of them. All are ints but for the dataset.

    >>> from framework.utils.data import DataLoader, IterableDataset, get_worker_info
    >>> class Parts(IterableDataset):
    ...     def __iter__(self):
    ...         info = get_worker_info()
    ...         return iter(range(info.id, 6, info.num_workers))
    >>> sorted(DataLoader(Parts(), batch_size=None, num_workers=2))
    [0, 1, 2, 3, 4, 5]
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def __setattr__(self, key: str, value: Any) -> None:
        raise RuntimeError(f"Cannot assign attributes to {type(self).__name__} objects")

    def __repr__(self) -> str:
        items = ", ".join(f"{k}={v}" for k, v in self.__dict__.items())
        return f"{type(self).__name__}({items})"


current: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Which worker of a `DataLoader` this process is; None in the process that trains.

    >>> from framework.utils.data import get_worker_info
    >>> get_worker_info() is None
    True
    """
    return current
