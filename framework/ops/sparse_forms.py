"""More dense ops that sparse tensors have in PyTorch: what each does where it meets one.

A function that leaves zeros at zero is that of the values; `kernels.coo` has those of NumPy, here
are the others, with their gradients.
"""

from __future__ import annotations

from typing import Any

from framework.core.dispatch import apply
from framework.core.registry import OPS
from framework.kernels import SparseOperand
from framework.kernels.coo import CooArray
from framework.ops.linear import LINEAR
from framework.ops.pointwise import FLOOR_DIVIDE
from framework.ops.reduce import ANY
from framework.ops.sparse import COO, coalesce, indices_of, mm, values_of
from framework.ops.unary import ROUND
from framework.tensor import Tensor

__all__: list[str] = []


def with_values(a: Tensor, content: Tensor) -> Tensor:
    """Other values at the coordinates of a coalesced tensor."""
    return apply(COO, indices_of(a), content, size=tuple(a.shape), coalesced=True)


def _on_values(record: Any) -> Any:
    def form(a: Tensor, **meta: Any) -> Tensor:
        once = coalesce(a)
        return with_values(once, apply(record, values_of(once), **meta))

    return form


def _floor_divide_form(a: Any, b: Any) -> Tensor:
    """By a number: of the values."""
    if (isinstance(b, Tensor) and b.ndim) or not isinstance(a, Tensor) or not a.is_sparse:
        raise RuntimeError(
            "floor_divide: sparse tensors can only be divided by a scalar or a 0-d tensor"
        )
    once = coalesce(a)
    return with_values(once, apply(FLOOR_DIVIDE, values_of(once), b))


def _any_form(a: Tensor, *, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    """Of all elements: those that are not there are zeros."""
    if keepdim or len(dim) != a.ndim:
        raise SparseOperand(
            "any over some dimensions is not implemented for sparse tensors (layout "
            "torch.sparse_coo); see to_dense()"
        )
    content = values_of(coalesce(a))
    return apply(ANY, content, dim=tuple(range(content.ndim)), keepdim=False)


def _linear_form(input: Tensor, weight: Tensor, bias: Any = None) -> Tensor:
    """Of a sparse matrix: as it is in message passing, a product with a bias."""
    if not isinstance(input._data, CooArray) or input.ndim != 2 or weight.ndim != 2:
        raise SparseOperand(
            "linear is implemented for sparse tensors as a matrix input only; see to_dense()"
        )
    product = mm(input, weight.t())
    return product if bias is None else product + bias


for name in ("erf", "erfinv"):
    OPS[name].in_sparse(_on_values(OPS[name]))
ROUND.in_sparse(_on_values(ROUND))
FLOOR_DIVIDE.in_sparse(_floor_divide_form)
ANY.in_sparse(_any_form)
LINEAR.in_sparse(_linear_form)
