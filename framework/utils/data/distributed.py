"""`DistributedSampler`: what one of several processes takes of a dataset."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from framework.random import Generator
from framework.utils.data.sampler import Sampler

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler):
    """The share of one of several processes that train together.

    The order is the same in all of them, from ``seed`` and the epoch (`set_epoch`); each takes
    every ``num_replicas``-th index of it, beginning at its ``rank``.

    Args:
        num_replicas, rank: how many processes there are, and which this is. They must be given:
            there is no process group to ask.
        drop_last: leave out what does not go into equal shares; by default some indices from the
            beginning come again instead.

    Indices are ints. ValueError for a ``rank`` that is not in [0, num_replicas), RuntimeError
    without the two.

    >>> from framework.utils.data import DistributedSampler
    >>> [list(DistributedSampler(range(5), 2, rank, shuffle=False)) for rank in (0, 1)]
    [[0, 2, 4], [1, 3, 0]]
    """

    def __init__(
        self,
        dataset: Any,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if num_replicas is None or rank is None:
            raise RuntimeError("Requires distributed package to be available")
        if not 0 <= rank < num_replicas:
            raise ValueError(
                f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]"
            )
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        total = len(dataset)
        share = total // num_replicas if drop_last else math.ceil(total / num_replicas)
        self.num_samples = share
        self.total_size = share * num_replicas

    def __iter__(self) -> Iterator[int]:
        total = len(self.dataset)
        order = np.arange(total)
        if self.shuffle:
            order = Generator().manual_seed(self.seed + self.epoch).permutation(total)
        order = np.resize(order, self.total_size)  # cut off, or begun again
        return iter(order[self.rank :: self.num_replicas].tolist())

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Give this epoch an order of its own; to be called in every process."""
        self.epoch = epoch
