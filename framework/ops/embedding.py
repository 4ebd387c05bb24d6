"""Tables looked up by integers: embedding and one_hot."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.core.dispatch import apply
from framework.core.modes import no_grad
from framework.core.registry import function, op
from framework.kernels import module_of
from framework.kernels.floats import type_name, widening
from framework.tensor import wrap

__all__ = ["embedding", "one_hot"]


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
    return weight[index]


def _embedding_backward_kernel(
    g: Any, index: Any, *, rows: int, padding_idx: int, scale_grad_by_freq: bool
) -> Any:  # fmt: skip
    """Add the rows of ``g`` up where they were looked up; ``padding_idx`` gets nothing."""
    xp = module_of(g)
    result = xp.zeros((rows, g.shape[-1]), g.dtype)
    flat, values = index.reshape(-1), g.reshape(-1, g.shape[-1])
    if padding_idx >= 0:
        wanted = flat != padding_idx
        flat, values = flat[wanted], values[wanted]
    if not flat.size:
        return result
    if xp is np:  # sum runs of equal rows: much faster than np.add.at
        order = np.argsort(flat, kind="stable")
        flat = flat[order]
        starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
        result[flat[starts]] = np.add.reduceat(values[order], starts, axis=0)
    else:
        xp.add.at(result, flat, values)
    if scale_grad_by_freq:
        counts = xp.maximum(xp.bincount(flat, minlength=rows), 1)
        result = result / counts[:, None].astype(g.dtype)
    return result


def _looked_up(g: Any, index: Any, padding_idx: int, scale_grad_by_freq: bool) -> Any:
    """The adjoint of `_embedding_backward_kernel`."""
    if scale_grad_by_freq:
        raise RuntimeError("embedding: scale_grad_by_freq has no second derivative")
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
         {"rows": 4, "padding_idx": padding, "scale_grad_by_freq": False})
        for padding in (-1, 1)
    ],
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

    Shapes: input (*) of integers, weight (V, D); result (*, D).

    Args:
        padding_idx: this row gets no gradient.
        max_norm: rows that are looked up are first scaled down to this norm, in place.
        scale_grad_by_freq: divide each row's gradient by how often it was looked up.
        sparse: not supported.

    >>> import framework as torch
    >>> table = torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    >>> torch.nn.functional.embedding(torch.tensor([1, 1, 0]), table)
    tensor([[1., 2.],
            [1., 2.],
            [0., 0.]])
    """
    if sparse:
        raise NotImplementedError("embedding: sparse gradients are not supported")
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
        _renormalise(weight, input, max_norm, norm_type)
    return apply(EMBEDDING, weight, input, padding_idx=padding_idx,
                 scale_grad_by_freq=scale_grad_by_freq)  # fmt: skip


def _renormalise(weight: Any, index: Any, max_norm: float, norm_type: float) -> None:
    with no_grad():
        used = index.unique()
        rows = weight[used]
        norms = rows.norm(norm_type, dim=1, keepdim=True)
        scale = (max_norm / (norms + 1e-7)).clamp(max=1.0)
        weight[used] = rows * scale.where(norms > max_norm, 1.0)


def _one_hot_kernel(index: Any, *, num_classes: int) -> Any:
    xp = module_of(index)
    return (index[..., None] == xp.arange(num_classes)).astype(np.int64)


ONE_HOT = op("one_hot", _one_hot_kernel, "a")


@function(namespaces=("nn.functional",), method=False)
def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """1 where the last dimension's index is the number in ``tensor``, else 0, as int64.

    Args:
        num_classes: size of the new dimension; -1 is one more than the largest number.

    >>> import framework as torch
    >>> torch.nn.functional.one_hot(torch.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    data = tensor._data
    if data.dtype != np.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if not data.size:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return apply(ONE_HOT, tensor, num_classes=num_classes)
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
