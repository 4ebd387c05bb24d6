"""Making a batch out of samples."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from framework import dtypes
from framework.kernels import module_of
from framework.layout import strided
from framework.tensor import Tensor, tensor, wrap

__all__ = ["default_collate", "default_convert"]


def default_collate(batch: Any) -> Any:
    """Stack samples along a new first dimension.

    Tensors and arrays (*) become one (N, *) of their dtype, numbers a tensor (N,): int64, float64
    or bool; strings stay a list; tuples, lists and dicts are collated item by item.

    Raises:
        TypeError, RuntimeError: the samples are of other types, or do not fit together.

    >>> from framework.utils.data import default_collate
    >>> default_collate([(1, "a"), (2, "b")])
    [tensor([1, 2]), ('a', 'b')]
    """
    if not batch:
        raise ValueError("default_collate: expected at least one sample, but the batch is empty")
    first = batch[0]
    if isinstance(first, Tensor):
        return _stack(batch)
    if isinstance(first, (np.ndarray, np.generic)):
        if first.dtype not in dtypes.from_numpy_dtype:
            raise TypeError(
                "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or "
                f"lists; found {first.dtype}"
            )
        return _stack([wrap(np.asarray(x)) for x in batch])
    if isinstance(first, bool):
        return tensor(batch)
    if isinstance(first, float):
        return tensor(batch, dtype=dtypes.float64)
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _like_mapping(first, {k: default_collate([d[k] for d in batch]) for k in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*[default_collate(list(column)) for column in zip(*batch)])
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [default_collate(column) for column in zip(*batch)]
        return columns if isinstance(first, tuple) else _like_sequence(first, columns)
    raise TypeError(
        "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
        f"{type(first)}"
    )


def default_convert(data: Any) -> Any:
    """What a loader without batches gives: arrays as tensors, everything else as it is.

    Also within tuples, lists and dicts. Arrays share their memory with the tensors.

    Shapes and dtypes stay. TypeError for an array of objects.

    >>> import numpy as np
    >>> from framework.utils.data import default_convert
    >>> default_convert({"x": np.array([1, 2]), "name": "a"})
    {'x': tensor([1, 2]), 'name': 'a'}
    """
    if isinstance(data, np.ndarray) and data.dtype in dtypes.from_numpy_dtype:
        return wrap(data)
    if isinstance(data, np.generic) and data.dtype in dtypes.from_numpy_dtype:
        return wrap(np.asarray(data))
    if isinstance(data, Mapping):
        return _like_mapping(data, {k: default_convert(v) for k, v in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*[default_convert(x) for x in data])
    if isinstance(data, (tuple, list)):
        return [default_convert(x) for x in data]
    return data


def _like_mapping(model: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """A mapping of the same type; a plain dict where that type is made in another way."""
    try:
        if isinstance(model, MutableMapping):
            made = copy.copy(model)  # such as a defaultdict, with its default
            made.update(items)
            return made
        return type(model)(items)  # type: ignore[call-arg]
    except TypeError:
        return items


def _like_sequence(model: Any, items: list[Any]) -> Any:
    try:
        return type(model)(items)
    except TypeError:
        return items


def _stack(batch: Any) -> Tensor:
    """Tensors as one; no op of the trace, for fetching data is none of the model's."""
    shape = batch[0].shape
    if any(t.layout is not strided for t in batch):
        raise RuntimeError(
            "Batches of sparse tensors are not currently supported by the default collate_fn; "
            "please provide a custom collate_fn to handle them appropriately."
        )
    for i, t in enumerate(batch):
        if t.shape != shape:
            raise RuntimeError(
                "stack expects each tensor to be equal size, but got "
                f"{list(shape)} at entry 0 and {list(t.shape)} at entry {i}"
            )
    if any(t.requires_grad for t in batch) or any(t.dtype is not batch[0].dtype for t in batch):
        from framework.ops.joining import stack

        return stack(list(batch))
    first = batch[0]
    return wrap(module_of(first._data).stack([t._data for t in batch]), first._device)
