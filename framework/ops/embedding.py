"""Tables looked up by integers: embedding, embedding_bag and one_hot."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from framework import dtypes
from framework.cautions import caution
from framework.core.dispatch import apply, composite
from framework.core.interpose import by_sample
from framework.core.modes import no_grad
from framework.core.registry import function, op
from framework.core.saved import values_known
from framework.kernels import module_of, to_device, to_host, waits
from framework.kernels.floats import type_name, wide, widening
from framework.kernels.places import add_at
from framework.kernels.sums import embedded_sums, gathered_sums, summed_rows
from framework.ops.sparse import COO
from framework.tensor import wrap

__all__ = ["embedding", "embedding_bag", "one_hot"]


def _embedding_kernel(
    weight: Any, index: Any, *, padding_idx: int, scale_grad_by_freq: bool
) -> Any:  # fmt: skip
    if index.dtype.kind not in "iu" or index.dtype.itemsize < 4:
        raise ValueError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            f"Long, Int; but got torch.{type_name(index)}Tensor instead"
        )
    if index.size and not (int(index.min()) >= 0 and int(index.max()) < len(weight)):
        raise IndexError(
            f"index out of range in self: got indices from {int(index.min())} to "
            f"{int(index.max())} for a table of {len(weight)} rows"
        )
    return weight.take(index, 0) if weight.flags.c_contiguous else weight[index]


def _embedding_backward_kernel(
    g: Any, index: Any, *, rows: int, padding_idx: int, scale_grad_by_freq: bool
) -> Any:  # fmt: skip
    """Add the rows of ``g`` up where they were looked up; ``padding_idx`` gets nothing."""
    xp = module_of(g)
    flat, values = index.reshape(-1), g.reshape(-1, g.shape[-1])
    if xp is np and not scale_grad_by_freq:
        found = embedded_sums(rows, flat, values, padding_idx)
        if found is not None:
            return found
    result = xp.zeros((rows, g.shape[-1]), g.dtype)
    if padding_idx >= 0:
        wanted = flat != padding_idx
        flat, values = flat[wanted], values[wanted]
    if not flat.size:
        return result
    summed = summed_rows(rows, flat, values) if xp is np else None
    if summed is not None:
        result = summed
    elif xp is np:  # sum runs of equal rows: much faster than np.add.at
        order = np.argsort(flat, kind="stable")
        flat = flat[order]
        starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
        result[flat[starts]] = np.add.reduceat(values[order], starts, axis=0)
    else:
        add_at(result, flat, values)
    if scale_grad_by_freq:
        counts = xp.maximum(xp.bincount(flat, minlength=rows), 1)
        result = result / counts[:, None].astype(g.dtype)
    return result


def _counts(index: Any, like: Any) -> Any:
    """How often each row of ``like`` is looked up."""
    if not values_known(index):
        place = index._device
        rows = wrap(to_device(np.arange(like.shape[0]), place), place)
        return (index.reshape(-1, 1) == rows).sum(0)
    data = index._data
    found = module_of(data).bincount(data.reshape(-1), minlength=like.shape[0])
    return wrap(found, index._device)


def _looked_up(g: Any, index: Any, padding_idx: int, scale_grad_by_freq: bool) -> Any:
    """The adjoint of `_embedding_backward_kernel`."""
    if scale_grad_by_freq:
        g = g / _counts(index, g).clamp(min=1).unsqueeze(1)
    rows = apply(EMBEDDING, g, index, padding_idx=-1, scale_grad_by_freq=False)
    return rows * (index != padding_idx).unsqueeze(-1) if padding_idx >= 0 else rows


EMBEDDING = op(
    "embedding", _embedding_kernel, "weight index",
    grad=(
        lambda g, index, padding_idx, scale_grad_by_freq, n: apply(
            EMBEDDING_BACKWARD, g, index, rows=n.shape(0)[0], padding_idx=padding_idx,
            scale_grad_by_freq=scale_grad_by_freq),
        None,
    ),
    samples=lambda s: [((s(4, 3), wrap(np.array([[0, 3], [3, 1]]))),
                        {"padding_idx": -1, "scale_grad_by_freq": False})],
)  # fmt: skip
EMBEDDING_BACKWARD = op(
    "embedding_backward", widening(_embedding_backward_kernel), "grad index",
    grad=(
        lambda g, index, padding_idx, scale_grad_by_freq: _looked_up(
            g, index, padding_idx, scale_grad_by_freq),
        None,
    ),
    samples=lambda s: [
        ((s(2, 2, 3), wrap(np.array([[0, 3], [3, 1]]))),
         {"rows": 4, "padding_idx": padding, "scale_grad_by_freq": by_freq})
        for padding, by_freq in ((-1, False), (1, False), (-1, True))
    ],
)  # fmt: skip


def _sparse_grad(g: Any, index: Any, padding_idx: int, by_freq: bool, n: Any) -> Any:
    """Only the rows that were looked up, as often as they were."""
    if by_freq:
        raise RuntimeError(
            "embedding_backward: scale_grad_by_freq not supported with sparse gradients"
        )
    rows, slices = index.reshape(-1), g.reshape(-1, g.shape[-1])
    if padding_idx >= 0:
        kept = rows != padding_idx
        rows, slices = rows[kept], slices[kept]
    size = tuple(n.shape(0))
    return apply(COO, rows.to(dtypes.int64).unsqueeze(0), slices, size=size, coalesced=False)


EMBEDDING_SPARSE = op(
    "embedding_sparse", _embedding_kernel, "weight index",
    grad=(
        lambda g, index, padding_idx, scale_grad_by_freq, n: _sparse_grad(
            g, index, padding_idx, scale_grad_by_freq, n),
        None,
    ),
)  # fmt: skip


@function(namespaces=("nn.functional",), method=False)
def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """The rows of ``weight`` that ``input`` names.

    Shapes: input (*) of integers, weight (V, D); result (*, D). IndexError for a row that is not
    there, AssertionError for a ``padding_idx`` that is none.

    Args:
        padding_idx: this row gets no gradient.
        max_norm: rows that are looked up are first scaled down to this norm, in place.
        scale_grad_by_freq: divide each row's gradient by how often it was looked up.
        sparse: the gradient of ``weight`` is a sparse tensor of the rows that were looked up; for
            the optimizers `SGD`, `Adagrad` and `SparseAdam`.

    >>> import framework as torch
    >>> table = torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    >>> torch.nn.functional.embedding(torch.tensor([1, 1, 0]), table)
    tensor([[1., 2.],
            [1., 2.],
            [0., 0.]])
    """
    if weight.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, but got {list(weight.shape)}")
    rows = weight.shape[0]
    if padding_idx is None:
        padding_idx = -1
    else:
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= rows
    if max_norm is not None:
        renormalise(weight, input, max_norm, norm_type)
    return apply(EMBEDDING_SPARSE if sparse else EMBEDDING, weight, input, padding_idx=padding_idx,
                 scale_grad_by_freq=scale_grad_by_freq)  # fmt: skip


def renormalise(weight: Any, index: Any, max_norm: float, norm_type: float) -> None:
    """Scale the rows of ``weight`` that ``index`` names down to a norm, in place."""
    with no_grad():
        used = index.unique() if values_known(index) else index.reshape(-1)
        rows = weight[used]
        norms = rows.norm(norm_type, dim=1, keepdim=True)
        scale = (max_norm / (norms + 1e-7)).clamp(max=1.0)
        weight[used] = rows * scale.where(norms > max_norm, 1.0)


# -- bags -------------------------------------------------------------------------------------


def _check_members(weight: Any, index: Any) -> None:
    """Refuse bags with something else than rows of ``weight``."""
    if not index.size or (int(index.min()) >= 0 and int(index.max()) < len(weight)):
        return
    at = int(((index < 0) | (index >= len(weight))).argmax())
    raise ValueError(
        f"Index {at} of input takes value {int(index[at])} which is not in the valid range "
        f"[0, {len(weight)})"
    )


def _longest_rows(weight: Any, index: Any, bags: Any, *, count: int) -> Any:
    """For each bag and column the row with the largest element, -1 for an empty bag."""
    _check_members(weight, index)
    xp = module_of(weight)
    best = xp.full((count, weight.shape[1]), -1, np.int64)
    values = wide(weight)[index]
    bounds = xp.searchsorted(bags, xp.arange(count + 1))  # the bags lie one after another
    for bag, (start, end) in enumerate(itertools.pairwise(bounds.tolist())):
        if start < end:
            best[bag] = index[start:end][values[start:end].argmax(axis=0)]
    return best


BAG_MAXIMA = op("embedding_bag_max", _longest_rows, "weight index bags")

_CHUNK = 1 << 18  # elements that are looked up at a time


def _gathered_sums(table: Any, source: Any, target: Any, factors: Any, *, count: int) -> Any:
    """result[target[n]] += factors[n] · table[source[n]], without all of these rows at once."""
    _check_members(table, source)
    xp = module_of(table)
    if xp is np:
        found = gathered_sums(table, source, target, factors, count)
        if found is not None:
            return found
    result = xp.zeros((count, table.shape[1]), table.dtype)
    step = max(_CHUNK // max(table.shape[1], 1), 1)
    ordered = len(target) < 2 or bool((target[1:] >= target[:-1]).all())
    if not ordered:
        order = xp.argsort(target, kind="stable")
        source, target = source[order], target[order]
        factors = None if factors is None else factors[order]
    for at in range(0, len(source), step):
        rows = table[source[at : at + step]]
        if factors is not None:
            rows *= factors[at : at + step, None]
        to = target[at : at + step]
        if xp is np:  # runs of equal targets: much faster than np.add.at
            starts = np.flatnonzero(np.concatenate([[True], to[1:] != to[:-1]]))
            result[to[starts]] += np.add.reduceat(rows, starts, axis=0)
        else:
            add_at(result, to, rows)
    return result


def _sum_grads(
    g: Any, n: Any, table: Any, source: Any, target: Any, factors: Any
) -> tuple[Any, ...]:  # fmt: skip
    """With respect to the table it is the same op, source and target exchanged."""
    slope = weights = None
    if n.needs(0):
        slope = apply(GATHERED_SUMS, g, target, source, factors, count=n.shape(0)[0])
    if n.needs(3):
        rows = (apply(EMBEDDING, x, at, padding_idx=-1, scale_grad_by_freq=False)
                for x, at in ((table, source), (g, target)))  # fmt: skip
        weights = (next(rows) * next(rows)).sum(1)
    return slope, None, None, weights


GATHERED_SUMS = op(
    "embedding_bag_sum", widening(_gathered_sums), "table source target factors",
    grad=_sum_grads,
    samples=lambda s: [
        ((s(4, 3), wrap(np.array([0, 3, 3, 1])), wrap(np.array(to)), f), {"count": 3})
        for to, f in (([0, 0, 1, 2], s(4)), ([2, 0, 2, 0], None))
    ],
)  # fmt: skip


@function(namespaces=("nn.functional",), method=False, checks=True)
@by_sample
@composite
def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """Sums, means or maxima of bags of rows of ``weight``.

    Shapes: input (B, N): B bags of N row numbers, or (N,): bags that begin at ``offsets`` (B,);
    weight (V, D); per_sample_weights as input or None; result (B, D), zero for an empty bag.
    ValueError for offsets that do not fit the input's shape or another ``mode``,
    NotImplementedError for ``per_sample_weights`` with another mode than "sum", RuntimeError for
    row numbers of other types than int64 and int32.

    Args:
        per_sample_weights: factors of the rows, in mode "sum".
        include_last_offset: the last offset is where the last bag ends.
        padding_idx: this row counts nowhere.

    >>> import framework as torch
    >>> table = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> torch.nn.functional.embedding_bag(torch.tensor([0, 1, 1]), table, torch.tensor([0, 2]))
    tensor([[2., 3.],
            [3., 4.]])
    """
    if weight.dtype is dtypes.int64 and input.is_floating_point():
        caution(
            "Argument order of nn.functional.embedding_bag was changed. Usage "
            "`embedding_bag(weight, input, ...)` is deprecated, and should now be "
            "`embedding_bag(input, weight, ...)`."
        )
        weight, input = input, weight
    if per_sample_weights is not None and input.shape != per_sample_weights.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then "
            f"it must have the same shape as the input ({input.shape})"
        )
    if weight.ndim != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    starts, ends = _bag_bounds(input, offsets, include_last_offset)
    if input.dtype is not dtypes.uint8 or input.ndim == 2:  # bytes pass beside wider offsets
        _check_numbers(input, "indices")
    _check_bags(input, weight, mode, sparse, scale_grad_by_freq, per_sample_weights)
    if max_norm is not None:
        renormalise(weight, input, max_norm, norm_type)
    bags = np.repeat(np.arange(len(starts)), ends - starts)
    flat = input.reshape(-1)
    factors = None if per_sample_weights is None else per_sample_weights.reshape(-1)
    if include_last_offset and len(bags) < flat.shape[0]:  # what is behind the last bag
        flat = flat.narrow(0, 0, len(bags))
        factors = None if factors is None else factors.narrow(0, 0, len(bags))
    if padding_idx is not None:
        rows = weight.shape[0]
        if not -rows <= padding_idx < rows:
            raise RuntimeError(
                f"padding_idx must be within the number of embeddings, {-rows} through {rows - 1}, "
                f"but got {padding_idx}"
            )
        if not flat.is_meta:  # without numbers all of them may count
            kept = flat != padding_idx % rows
            flat, bags = flat[kept], bags[to_host(kept._data)]
            factors = None if factors is None else factors[kept]
    device = weight._device
    where_to = wrap(bags if device.type == "cpu" else to_device(bags, device), device)
    lookup = EMBEDDING_SPARSE if sparse else EMBEDDING
    return _reduced_bags(
        flat, weight, where_to, factors, len(starts), mode, scale_grad_by_freq, lookup
    )


def _check_numbers(numbers: Any, name: str) -> None:
    if numbers.dtype not in (dtypes.int32, dtypes.int64):
        raise RuntimeError(
            f"Expected tensor for argument #1 '{name}' to have one of the following scalar types: "
            f"Long, Int; but got torch.{type_name(numbers._data)}Tensor instead (while checking "
            "arguments for embedding_bag)"
        )


def _bag_bounds(input: Any, offsets: Any, include_last: bool) -> tuple[Any, Any]:
    """Where each bag begins and ends in the flat input."""
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch "
                f"of fixed length sequences. However, found offsets of type {type(offsets)}"
            )
        starts = np.arange(input.shape[0]) * input.shape[1]
        return starts, starts + input.shape[1]
    if input.ndim != 1:
        raise ValueError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}"
        )
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if offsets.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    _check_numbers(offsets, "offsets")
    size = input.shape[0]
    if offsets.is_meta:  # as if the last bag had all
        starts = np.zeros(offsets.shape[0], np.int64)
        if include_last and len(starts):
            starts[-1] = size
    else:
        starts = to_host(offsets._data).astype(np.int64)
    if include_last and not len(starts):
        raise RuntimeError("include_last_offset: number of offset should be at least 1")
    if len(starts) and starts[0] != 0:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from "
            f"position 0. However, got {starts[0]}"
        )
    if len(starts) and starts[-1] > size:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length {size} but got offsets[-1] of "
            f"{starts[-1]}"
        )
    if (np.diff(starts) < 0).any():
        raise RuntimeError("embedding_bag: offsets must not decrease")
    if include_last:
        return starts[:-1], starts[1:]
    return starts, np.append(starts[1:], size)[: len(starts)]


def bag_statistics(
    weight: Any, indices: Any, offsets: Any, mode: str, include_last: bool, padding_idx: int | None
) -> tuple[Any, Any, Any]:
    """What PyTorch's kernel keeps of the bags: each index's bag, sizes, rows of the maxima.

    Of sums the sizes are zeros, and the bags nothing without ``padding_idx``. The last one repeats
    the sizes unless ``mode`` is "max"; sizes leave ``padding_idx`` out.
    """
    starts, ends = _bag_bounds(indices, offsets, include_last)
    count = len(starts)

    def placed(array: Any) -> Any:
        device = weight._device
        return wrap(array if device.type == "cpu" else to_device(array, device), device)

    bags = np.repeat(np.arange(count), ends - starts)
    if mode == "sum":
        zeros = np.zeros(offsets.shape[0], np.int64)
        return placed(bags[:0] if padding_idx is None else bags), placed(zeros), placed(zeros)
    host = to_host(indices._data)[: len(bags)]
    kept = np.ones(len(host), np.bool_) if padding_idx is None else host != padding_idx
    sizes = np.bincount(bags[kept], minlength=count)
    largest = placed(sizes)
    if mode == "max":
        best = apply(BAG_MAXIMA, weight.detach(), placed(host[kept]), placed(bags[kept]),
                     count=count)  # fmt: skip
        largest = best.clamp(min=0)
    return placed(bags), placed(sizes), largest


def _check_bags(
    input: Any, weight: Any, mode: str, sparse: bool, by_freq: bool, factors: Any
) -> None:  # fmt: skip
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    if factors is not None:
        if mode != "sum":
            raise NotImplementedError(
                "embedding_bag: per_sample_weights was not None. per_sample_weights is only "
                f"supported for mode='sum' (got mode='{mode}'). Please open a feature request on "
                "GitHub."
            )
        if factors.dtype is not weight.dtype:
            raise RuntimeError(
                "Expected tensor for argument #1 'weight' to have the same type as tensor for "
                f"argument #1 'per_sample_weights'; but type torch.{type_name(weight._data)}Tensor "
                f"does not equal torch.{type_name(factors._data)}Tensor (while checking arguments "
                "for embedding_bag)"
            )
    if not weight.is_floating_point():
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have one of the following scalar types: "
            f"Half, BFloat16, Float, Double; but got torch.{type_name(weight._data)}Tensor instead "
            "(while checking arguments for embedding_bag)"
        )


def _reduced_bags(
    flat: Any, weight: Any, bags: Any, factors: Any, count: int, mode: str, by_freq: bool,
    lookup: Any,
) -> Any:  # fmt: skip
    if mode == "max":
        best = apply(BAG_MAXIMA, weight.detach(), flat, bags, count=count)
        if not flat.shape[0]:
            return weight.new_zeros((count, weight.shape[1])) + weight.narrow(0, 0, 0).sum()
        return weight.gather(0, best.clamp(min=0)).masked_fill(best < 0, 0.0)
    if lookup is EMBEDDING and not by_freq:
        total = apply(GATHERED_SUMS, weight, flat, bags, factors, count=count)
    else:
        rows = apply(lookup, weight, flat, padding_idx=-1, scale_grad_by_freq=by_freq)
        if rows.dtype.itemsize == 2:
            rows = rows.float()  # sums in 32 bits
        if factors is not None:
            rows = rows * factors.unsqueeze(1)
        total = rows.new_zeros((count, weight.shape[1])).index_add(0, bags, rows)
    if mode == "mean":
        total = total / _counts(bags, total).clamp(min=1).unsqueeze(1)
    return total.to(weight.dtype)


# -- one-hot ----------------------------------------------------------------------------------


def _one_hot_kernel(index: Any, *, num_classes: int) -> Any:
    known = index.__class__ is np.ndarray and index.size
    if known and int(index.min()) >= 0 and int(index.max()) < num_classes:
        out = np.zeros((index.size, num_classes), np.int64)
        out.reshape(-1)[np.arange(index.size) * num_classes + index.reshape(-1)] = 1
        return out.reshape(*index.shape, num_classes)
    xp = module_of(index)
    return (index[..., None] == xp.arange(num_classes)).astype(np.int64, order="C")


ONE_HOT = op("one_hot", _one_hot_kernel, "a")


@function(namespaces=("nn.functional",), method=False)
def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """1 where the last dimension's index is the number in ``tensor``, else 0, as int64.

    Shapes: (*) to (*, num_classes). RuntimeError for anything but int64, negative numbers or ones
    that are too large.

    Args:
        num_classes: size of the new dimension; -1 is one more than the largest number.

    >>> import framework as torch
    >>> torch.nn.functional.one_hot(torch.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if hasattr(tensor, "_level"):  # inside of vmap the numbers cannot be looked at
        if num_classes < 1:
            raise RuntimeError(
                "When vmap-ing torch.nn.functional.one_hot, please provide an explicit positive "
                "num_classes argument."
            )
        classes = wrap(to_device(np.arange(num_classes), tensor._device), tensor._device)
        return (tensor.unsqueeze(-1) == classes).long()
    data = tensor._data
    if tensor.is_meta and data.size:
        count = tensor.max().item() if num_classes == -1 else num_classes  # which it has not
        return tensor.new_empty((*data.shape, count))
    if data.dtype != np.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if not data.size:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return apply(ONE_HOT, tensor, num_classes=num_classes)
    if waits.mode and num_classes == -1:
        waits.waited(tensor._device)
    if int(data.min()) < 0:
        raise RuntimeError("Class values must be non-negative.")
    largest = int(data.max())
    if num_classes == -1:
        num_classes = largest + 1
    elif num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    elif largest >= num_classes:
        raise RuntimeError("Class values must be smaller than num_classes.")
    return apply(ONE_HOT, tensor, num_classes=num_classes)
