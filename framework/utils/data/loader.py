"""`DataLoader`: batches of a dataset."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from framework.kernels import module_of
from framework.random import Generator
from framework.tensor import wrap
from framework.utils.data.collate import default_collate, default_convert
from framework.utils.data.dataset import IterableDataset, Subset, TensorDataset
from framework.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    _positive,
)

__all__ = ["DataLoader"]


class DataLoader:
    """Goes over a dataset in batches.

    The order of a shuffled loader follows from the seed: from ``generator``, or from the default
    generator that `manual_seed` seeds. Everything runs in this process and this thread, so that the
    debugger sees it; ``num_workers`` above 0 is accepted with a warning and changes nothing.

    Args:
        batch_size: samples per batch; None gives single samples.
        shuffle: a new random order each time; not with ``sampler``.
        sampler: indices in the order to take.
        batch_sampler: lists of indices, instead of batch_size, shuffle, sampler and drop_last.
        collate_fn: makes a batch of a list of samples; by default `default_collate`.
        drop_last: leave out a last batch that is not full.
        pin_memory, timeout, worker_init_fn, prefetch_factor, persistent_workers: accepted and
            ignored.

    >>> import framework as torch
    >>> from framework.utils.data import DataLoader, TensorDataset
    >>> data = TensorDataset(torch.arange(5), torch.arange(5) * 10)
    >>> for x, y in DataLoader(data, batch_size=2):
    ...     print(x.tolist(), y.tolist())
    [0, 1] [0, 10]
    [2, 3] [20, 30]
    [4] [40]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[list[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Any = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if num_workers < 0:
            raise ValueError(
                "num_workers option should be non-negative; use num_workers=0 to disable "
                "multiprocessing."
            )
        if num_workers:
            warnings.warn(
                f"DataLoader: num_workers={num_workers} is ignored; batches are made in this "
                "process.",
                stacklevel=2,
            )
        self.dataset = dataset
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.generator = generator
        self.timeout = timeout
        self._stream = isinstance(dataset, IterableDataset)
        if self._stream and (shuffle or sampler is not None or batch_sampler is not None):
            given = "shuffle" if shuffle else "sampler" if sampler is not None else "batch_sampler"
            raise ValueError(
                f"DataLoader with IterableDataset: expected unspecified {given} option, but got "
                "one: the dataset decides on the order"
            )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, "
                    "and drop_last"
                )
            batch_size = None
        elif batch_size is None:
            if drop_last:
                raise ValueError(
                    "batch_size=None option disables auto-batching and is mutually exclusive with "
                    "drop_last"
                )
        else:
            _positive("batch_size", batch_size)
        self.batch_size = batch_size
        self.drop_last = drop_last
        if sampler is None and not self._stream:
            sampler = (
                RandomSampler(dataset, generator=generator)
                if shuffle
                else SequentialSampler(dataset)
            )
        self.sampler = sampler
        if batch_size is not None and batch_sampler is None and sampler is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_sampler = batch_sampler
        self._batches = batch_sampler is not None or (self._stream and batch_size is not None)
        if collate_fn is None:
            collate_fn = default_collate if self._batches else default_convert
        self.collate_fn: Callable[[Any], Any] = collate_fn

    def __iter__(self) -> Iterator[Any]:
        if self._stream:
            return self._from_stream()
        if not self._batches:
            assert self.sampler is not None
            return (self.collate_fn(self.dataset[i]) for i in self.sampler)
        assert self.batch_sampler is not None
        fetch: Callable[[list[int]], Any] = self._fetch
        if self.collate_fn is default_collate:
            fetch = _fast_fetch(self.dataset) or fetch
        return (fetch(indices) for indices in self.batch_sampler)

    def _fetch(self, indices: list[int]) -> Any:
        several = getattr(self.dataset, "__getitems__", None)
        if several is not None:
            return self.collate_fn(several(indices))
        return self.collate_fn([self.dataset[i] for i in indices])

    def _from_stream(self) -> Iterator[Any]:
        samples = iter(self.dataset)
        if self.batch_size is None:
            yield from (self.collate_fn(s) for s in samples)
            return
        while batch := list(islice(samples, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield self.collate_fn(batch)

    def __len__(self) -> int:
        """Number of batches."""
        if self._stream:
            total = len(self.dataset)
            if self.batch_size is None:
                return total
            full, rest = divmod(total, self.batch_size)
            return full + (rest > 0 and not self.drop_last)
        return len(self.batch_sampler if self._batches else self.sampler)  # type: ignore[arg-type]


def _fast_fetch(dataset: Any) -> Callable[[list[int]], Any] | None:
    """A whole batch of a `TensorDataset` (or a `Subset` of one) by one index into each tensor."""
    subsets = []
    while type(dataset) is Subset:
        subsets.append(np.asarray(dataset.indices, np.int64))
        dataset = dataset.dataset
    if type(dataset) is not TensorDataset or any(t.requires_grad for t in dataset.tensors):
        return None
    count = len(dataset)

    def fetch(indices: list[int]) -> list[Any]:
        chosen = np.asarray(indices, np.int64)
        for subset in subsets:
            chosen = subset[chosen]
        if chosen.size and not -count <= chosen.min() <= chosen.max() < count:
            raise IndexError(f"an index of the batch is out of range for {count} samples")
        return [
            wrap(t._data[module_of(t._data).asarray(chosen)], t._device) for t in dataset.tensors
        ]

    return fetch
