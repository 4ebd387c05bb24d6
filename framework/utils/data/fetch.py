"""Fetchers: what is done for one entry of the sampler, here or in a worker process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from framework.kernels import module_of
from framework.tensor import wrap
from framework.utils.data.collate import default_collate
from framework.utils.data.dataset import Subset, TensorDataset

__all__ = ["Fetcher", "StreamFetcher", "TensorFetcher", "map_fetcher"]


class Fetcher:
    """A sample by its index, or a batch of several by their indices."""

    stream = False

    def __init__(self, dataset: Any, collate: Callable[[Any], Any], batches: bool) -> None:
        self.dataset, self.collate, self.batches = dataset, collate, batches

    def restart(self) -> None:
        """Forget what was made of the dataset: another pass begins."""

    def __call__(self, index: Any) -> Any:
        if not self.batches:
            return self.collate(self.dataset[index])
        several = getattr(self.dataset, "__getitems__", None)
        if several:
            return self.collate(several(index))
        return self.collate([self.dataset[i] for i in index])


class TensorFetcher(Fetcher):
    """A whole batch of a `TensorDataset` (or a `Subset` of one) by one index into each tensor."""

    def restart(self) -> None:
        self.__dict__.pop("chain", None)

    def __call__(self, index: Any) -> Any:
        if "chain" not in self.__dict__:
            inner, subsets = self.dataset, []
            while type(inner) is Subset:
                subsets.append(np.asarray(inner.indices, np.int64))
                inner = inner.dataset
            self.chain = subsets, inner.tensors
        subsets, tensors = self.chain
        chosen = np.asarray(index, np.int64)
        for subset in subsets:
            chosen = subset[chosen]
        count = len(tensors[0])
        if chosen.size and not -count <= chosen.min() <= chosen.max() < count:
            raise IndexError(f"an index of the batch is out of range for {count} samples")
        return [wrap(t._data[module_of(t._data).asarray(chosen)], t._device) for t in tensors]


class StreamFetcher(Fetcher):
    """The next sample of an `IterableDataset`, or the next ``size`` as a batch.

    Raises:
        StopIteration: there are no more.
    """

    stream = True

    def __init__(self, dataset: Any, collate: Any, size: int | None, drop_last: bool) -> None:
        super().__init__(dataset, collate, size is not None)
        self.size, self.drop_last = size, drop_last
        self.samples: Iterator[Any] | None = None

    def restart(self) -> None:
        self.samples = None

    def __call__(self, index: Any) -> Any:
        if self.samples is None:
            self.samples = iter(self.dataset)
        if self.size is None:
            return self.collate(next(self.samples))
        batch = list(islice(self.samples, self.size))
        if not batch or (self.drop_last and len(batch) < self.size):
            raise StopIteration
        return self.collate(batch)


def map_fetcher(dataset: Any, collate: Callable[[Any], Any], batches: bool) -> Fetcher:
    """The fetcher for a dataset with indices."""
    inner = dataset
    while type(inner) is Subset:
        inner = inner.dataset
    fast = type(inner) is TensorDataset and not any(t.requires_grad for t in inner.tensors)
    kind = TensorFetcher if fast and batches and collate is default_collate else Fetcher
    return kind(dataset, collate, batches)
