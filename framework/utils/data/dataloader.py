"""`DataLoader`: batches of a dataset."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import repeat
from typing import Any, ClassVar

from framework.device import cuda_problem
from framework.random import Generator, stream
from framework.utils.data.collate import default_collate, default_convert
from framework.utils.data.dataset import IterableDataset
from framework.utils.data.fetch import StreamFetcher, map_fetcher
from framework.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    _positive,
)

__all__ = ["DataLoader"]


class DataLoader:
    """Goes over a dataset in batches.

    Tensors (*) make a batch (N, *) of their dtype, ints one of int64 and floats one of float64
    (`default_collate`: TypeError for what it does not know, RuntimeError for sizes that differ).
    The order of a shuffled loader follows from the seed: from ``generator``, or from the default
    generator that `manual_seed` seeds. With ``num_workers=0`` everything runs in this process and
    this thread, where a debugger sees it; worker processes are not traced.

    Args:
        batch_size: samples per batch; None gives single samples.
        shuffle: a new random order each time; not with ``sampler``.
        sampler: indices in the order to take.
        batch_sampler: lists of indices, instead of batch_size, shuffle, sampler and drop_last.
        num_workers: processes that fetch batches; 0: this one does.
        collate_fn: makes a batch of a list of samples; by default `default_collate`.
        drop_last: leave out a last batch that is not full.
        timeout: seconds to wait for a batch of a worker; 0: as long as it takes.
        worker_init_fn: called in each worker with its number, after seeding.
        multiprocessing_context: "fork", "spawn", "forkserver" or a context; None: Python's default.
        generator: of the order and of the workers' seeds, which are a base and the worker's number.
        prefetch_factor: batches that each worker has under way (2).
        persistent_workers: keep the workers from one pass to the next.
        in_order: False gives the batches of workers as they come.
        pin_memory: put the tensors of a batch into page-locked memory, from which a CUDA device
            fetches them while the program goes on (``.to("cuda", non_blocking=True)``).
        pin_memory_device: accepted.

    Raises:
        ValueError: options that do not go together.
        RuntimeError: while iterating: a worker was killed, or took longer than ``timeout``.

    >>> import framework as torch
    >>> from framework.utils.data import DataLoader, TensorDataset
    >>> data = TensorDataset(torch.arange(5), torch.arange(5) * 10)
    >>> for x, y in DataLoader(data, batch_size=2):
    ...     print(x.tolist(), y.tolist())
    [0, 1] [0, 10]
    [2, 3] [20, 30]
    [4] [40]
    """

    _FIXED: ClassVar[frozenset[str]] = frozenset(
        ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
    )
    _workers: Any = None  # that persist
    _context: Any = None

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
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.in_order = in_order
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.persistent_workers = persistent_workers
        self._stream = isinstance(dataset, IterableDataset)
        if self._stream:
            _refuse_order(shuffle, sampler, batch_sampler)
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
        self._length: int | None = None  # of a stream, if it was asked for
        self._made = True
        self.check_worker_number_rationality()

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._FIXED and "_made" in self.__dict__:
            raise ValueError(
                f"{name} attribute should not be set after {type(self).__name__} is initialized"
            )
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self) -> Any:
        """How workers are started; None: as Python's default is."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, value: Any) -> None:
        if value is not None:
            if not self.num_workers:
                raise ValueError(
                    "multiprocessing_context can only be used with multi-process loading "
                    f"(num_workers > 0), but got num_workers={self.num_workers}"
                )
            value = _context(value)
        self._context = value

    def __iter__(self) -> Iterator[Any]:
        return _Iterator(self)

    def _fetcher(self) -> Any:
        if self._stream:
            return StreamFetcher(self.dataset, self.collate_fn, self.batch_size, self.drop_last)
        return map_fetcher(self.dataset, self.collate_fn, self._batches)

    def _indices(self) -> Iterable[Any]:
        if self._stream:
            return repeat(None)
        order = self.batch_sampler if self._batches else self.sampler
        return () if order is None else order  # its truth would ask a sampler for its length

    def __len__(self) -> int:
        """Number of batches."""
        if self._stream:
            total = self._length = len(self.dataset)
            if self.batch_size is None:
                return total
            full, rest = divmod(total, self.batch_size)
            return full + (rest > 0 and not self.drop_last)
        return len(self.batch_sampler if self._batches else self.sampler)  # type: ignore[arg-type]

    def check_worker_number_rationality(self) -> None:
        """Warn of more workers than there are processors to run them."""
        if not self.num_workers:
            return
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
        usable = usable or os.cpu_count() or self.num_workers
        if self.num_workers > usable:
            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker processes in total. Our "
                f"suggested max number of worker in current system is {usable}, which is smaller "
                "than what this DataLoader is going to create. Please be aware that excessive "
                "worker creation might get DataLoader running slow or even freeze, lower the "
                "worker number to avoid potential slowness/freeze if necessary.",
                stacklevel=3,
            )


class _Iterator:
    """One pass over a loader."""

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader
        self.workers: Any = None
        if loader.timeout and not loader.num_workers:
            raise AssertionError(
                f"DataLoader: timeout={loader.timeout} needs num_workers > 0; with num_workers=0 "
                "nothing waits"
            )
        self._pins = loader.pin_memory and not cuda_problem()
        if loader.pin_memory and not self._pins:
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device "
                "pinned memory won't be used.",
                stacklevel=3,
            )
        self.indices = iter(loader._indices())
        # Also without workers: the order after it is then the same with and without them.
        random = stream(loader.generator)
        base_seed = int(random.integers(0, 1 << 63, ())[()])
        self.given = 0
        self.expected = loader._length  # what a stream was asked for before
        self.fetch = loader._fetcher()
        if loader.num_workers:
            if loader.prefetch_factor == 0:
                raise AssertionError("prefetch_factor must be greater than 0")
            self.workers = loader._workers
            if self.workers is None or not self.workers.close.alive:
                self.workers = _workers(loader, self.fetch, base_seed)
            self.workers.begin(self.indices)

    def __iter__(self) -> _Iterator:
        return self

    def __next__(self) -> Any:
        if self.workers is None:
            batch = self.fetch(next(self.indices))
        else:
            try:
                batch = self.workers.result()
            except StopIteration:
                if not self.loader.persistent_workers:
                    self.workers.close()
                raise
        self.given += 1
        if self.expected is not None:
            self._check_length()
        return _pinned(batch) if self._pins else batch

    def _check_length(self) -> None:
        loader = self.loader
        expected = len(loader)
        if self.given <= expected:
            return
        text = (
            f"Length of IterableDataset {loader.dataset} was reported to be {expected} (when "
            f"accessing len(dataloader)), but {self.given} samples have been fetched. "
        )
        if loader.num_workers:
            text += (
                "For multiprocessing data-loading, this could be caused by not properly "
                "configuring the IterableDataset replica at each worker. Please see "
                "https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset for "
                "examples."
            )
        warnings.warn(text, stacklevel=3)

    def __len__(self) -> int:
        return len(self.loader)

    def __getstate__(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled")


def _workers(loader: DataLoader, fetch: Any, base_seed: int) -> Any:
    """New workers, which the loader keeps if they shall persist."""
    from framework.utils.data.workers import Workers

    made = Workers(
        fetch, loader.num_workers, base_seed=base_seed, prefetch=loader.prefetch_factor or 2,
        context=loader.multiprocessing_context, init=loader.worker_init_fn,
        timeout=loader.timeout, in_order=loader.in_order,
    )  # fmt: skip
    if loader.persistent_workers:
        loader._workers = made
    return made


def _check_workers(count: int, timeout: float, prefetch: int | None, persistent: bool) -> None:
    if count < 0:
        raise ValueError(
            "num_workers option should be non-negative; use num_workers=0 to disable "
            "multiprocessing."
        )
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if count == 0 and prefetch is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing.let num_workers > 0 "
            "to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch is not None and prefetch < 0:
        raise ValueError("prefetch_factor option should be non-negative")
    if persistent and count == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _refuse_order(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    """The options that a stream cannot follow."""
    given = {"sampler": sampler, "batch_sampler": batch_sampler}
    found = {k: v for k, v in given.items() if v is not None}
    if shuffle not in (False, None):
        found = {"shuffle": shuffle, **found}
    for name, value in found.items():
        raise ValueError(
            f"DataLoader with IterableDataset: expected unspecified {name} option, but got "
            f"{name}={value}"
        )


def _context(value: Any) -> Any:
    import multiprocessing
    from multiprocessing.context import BaseContext

    if isinstance(value, str):
        methods = multiprocessing.get_all_start_methods()
        if value not in methods:
            raise ValueError(
                "multiprocessing_context option should specify a valid start method in "
                f"{methods!r}, but got multiprocessing_context={value!r}"
            )
        return multiprocessing.get_context(value)
    if not isinstance(value, BaseContext):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string "
            f"specifying the start method, but got multiprocessing_context={value}"
        )
    return value


def _pinned(batch: Any) -> Any:
    """A batch with its tensors in page-locked memory, and what knows how to pin itself, pinned."""
    if callable(getattr(batch, "pin_memory", None)):
        return batch.pin_memory()
    if isinstance(batch, Mapping):
        return {key: _pinned(value) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*map(_pinned, batch))
    if isinstance(batch, (tuple, list)):
        return [_pinned(value) for value in batch]
    return batch
