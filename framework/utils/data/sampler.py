"""Samplers: in which order the samples of a dataset are taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from framework.random import Generator, stream
from framework.tensor import Tensor, wrap

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]


class Sampler:
    """Indices in some order: a subclass gives ``__iter__`` and usually ``__len__``.

    NotImplementedError without ``__iter__``. An index is an int; there is no shape or dtype to it.

    >>> from framework.utils.data import DataLoader, Sampler
    >>> class Backwards(Sampler):
    ...     def __init__(self, data):
    ...         self.data = data
    ...     def __iter__(self):
    ...         return iter(range(len(self.data) - 1, -1, -1))
    >>> data = [1, 2, 3]
    >>> [batch.tolist() for batch in DataLoader(data, batch_size=2, sampler=Backwards(data))]
    [[3, 2], [1]]
    """

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError("Subclasses of Sampler should implement __iter__.")

    def __class_getitem__(cls, item: Any) -> Any:
        return cls


class SequentialSampler(Sampler):
    """0, 1, 2, ...: the samples of a dataset in its own order.

    Indices are ints. TypeError for a dataset without a length.

    >>> from framework.utils.data import SequentialSampler
    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """A new permutation each time, or with ``replacement`` indices drawn independently.

    Indices are ints. Raises: ValueError for a ``num_samples`` that is not positive, TypeError for a
    ``replacement`` that is no bool.

    Args:
        num_samples: how many indices; by default one for each sample.
        generator: by default the one that `manual_seed` seeds.

    >>> from framework.utils.data import RandomSampler
    >>> sorted(RandomSampler("abc"))
    [0, 1, 2]
    >>> len(list(RandomSampler("abc", replacement=True, num_samples=5)))
    5
    """

    def __init__(
        self,
        data_source: Any,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got {replacement=}")
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        _positive("num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        """How many indices there are in a round."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        random = stream(self.generator)
        n, left = len(self.data_source), self.num_samples
        if self.replacement:
            yield from random.integers(0, n, (left,)).tolist()
            return
        while left > 0 and n:
            yield from random.permutation(n)[:left].tolist()
            left -= n

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """Some indices, in a new random order each time.

    Gives what ``indices`` has, ints usually. TypeError for indices that have no length.

    >>> from framework.utils.data import SubsetRandomSampler
    >>> sorted(SubsetRandomSampler([3, 5, 8]))
    [3, 5, 8]
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        order = stream(self.generator).permutation(len(self.indices))
        return (self.indices[i] for i in order.tolist())

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """Indices drawn with given probabilities.

    RuntimeError for weights that are negative, not finite or all 0, and for more samples than can
    be drawn; ValueError for weights that are not (N,) and a ``num_samples`` that is not positive.
    Indices are ints.

    Args:
        weights: one per sample, of any real dtype, not negative; they need not add up to 1.
        num_samples: how many to draw.
        replacement: whether an index may come again. Without it, indices come in the order of
            exponential variables with the weights as rates (Efraimidis and Spirakis, "Weighted
            random sampling with a reservoir", 2006).

    >>> from framework.utils.data import WeightedRandomSampler
    >>> list(WeightedRandomSampler([0.0, 2.0, 0.0], num_samples=3))
    [1, 1, 1]
    >>> sorted(WeightedRandomSampler([1.0, 2.0, 0.0], num_samples=2, replacement=False))
    [0, 1]
    """

    def __init__(
        self,
        weights: Any,
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        _positive("num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got {replacement=}")
        values = weights.tolist() if isinstance(weights, Tensor) else list(weights)
        found = np.asarray(values, np.float64)
        if found.ndim != 1:
            raise ValueError(
                f"weights should be a 1d sequence but given weights have shape {found.shape}"
            )
        if not (found >= 0).all() or not np.isfinite(found).all():
            raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
        if not found.any():
            raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
        if not replacement and num_samples > np.count_nonzero(found):
            raise RuntimeError(
                f"cannot draw {num_samples} samples without replacement from "
                f"{np.count_nonzero(found)} with a weight above 0"
            )
        self.weights = wrap(found)
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        random = stream(self.generator)
        weights = self.weights._data
        if self.replacement:
            sums = np.cumsum(weights)
            drawn = random.uniform((self.num_samples,), np.float64) * sums[-1]
            return iter(np.searchsorted(sums, drawn, side="right").tolist())
        uniform = random.uniform(weights.shape, np.float64)
        with np.errstate(divide="ignore"):
            waits = np.where(weights > 0, -np.log1p(-uniform) / weights, np.inf)
        return iter(np.argsort(waits, kind="stable")[: self.num_samples].tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """The indices of another sampler in lists of ``batch_size``.

    ValueError for a ``batch_size`` that is not a positive integer or a ``drop_last`` that is no
    bool.

    >>> from framework.utils.data import BatchSampler
    >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        _positive("batch_size", batch_size)
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got {drop_last=}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        batch = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        total = len(self.sampler)  # type: ignore[arg-type]
        return total // self.batch_size if self.drop_last else -(-total // self.batch_size)


def _positive(name: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} should be a positive integer value, but got {name}={value}")
