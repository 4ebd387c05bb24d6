"""What many distributions need: broadcasting, probabilities and logits, properties made once."""

from __future__ import annotations

from numbers import Number
from typing import Any

import framework as torch
from framework.nn import functional as F
from framework.tensor import Tensor

__all__ = [
    "broadcast_all", "clamp_probs", "lazy_property", "logits_to_probs", "probs_to_logits",
    "tril_matrix_to_vec", "vec_to_tril_matrix",
]  # fmt: skip


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Tensors and numbers as tensors of one shape.

    Numbers take the dtype and device of the first tensor, or the default dtype without one.

    Raises:
        ValueError: a value is neither a number nor a tensor.

    >>> import framework as torch
    >>> [tuple(t.shape) for t in broadcast_all(torch.zeros(3), torch.ones(2, 1), 1.5)]
    [(2, 3), (2, 3), (2, 3)]
    """
    if not all(isinstance(v, (Tensor, Number)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing "
            "__torch_function__."
        )
    options: dict[str, Any] = {"dtype": torch.get_default_dtype()}
    for value in values:
        if isinstance(value, Tensor):
            options = {"dtype": value.dtype, "device": value.device}
            break
    tensors = [v if isinstance(v, Tensor) else torch.tensor(v, **options) for v in values]
    return tuple(torch.broadcast_tensors(*tensors))


def shape_of(*values: Any) -> Any:
    """The shape that parameters broadcast to; numbers have none."""
    return torch.broadcast_shapes(*[v.shape for v in values if isinstance(v, Tensor)])


def standard_normal(shape: Any, like: Tensor) -> Tensor:
    """Normal samples of mean zero and deviation one, in the dtype and on the device of ``like``."""
    return torch.randn(shape, dtype=like.dtype, device=like.device)


def uniform(shape: Any, like: Tensor) -> Tensor:
    """Samples of [0, 1), in the dtype and on the device of ``like``."""
    return torch.rand(shape, dtype=like.dtype, device=like.device)


def open_uniform(shape: Any, like: Tensor) -> Tensor:
    """Samples of (0, 1): logarithms of them and of their complements are finite."""
    limits = torch.finfo(like.dtype)
    return uniform(shape, like).clamp(limits.tiny, 1 - limits.eps)


def sum_rightmost(value: Any, dims: int) -> Any:
    """``value`` summed over its last ``dims`` dimensions."""
    return value.reshape((*value.shape[: value.ndim - dims], -1)).sum(-1) if dims else value


_sum_rightmost = sum_rightmost  # programs have PyTorch's names from here


def _standard_normal(shape: Any, dtype: Any, device: Any) -> Tensor:
    return torch.randn(shape, dtype=dtype, device=device)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities of logits: sigmoids, or softmax over the last dimension.

    NotImplementedError for integers.

    >>> import framework as torch
    >>> logits_to_probs(torch.zeros(2, 4))[0]
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    return torch.sigmoid(logits) if is_binary else F.softmax(logits, dim=-1)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities kept off 0 and 1 by the dtype's epsilon, so that their logarithms are finite.

    TypeError for integers.

    >>> import framework as torch
    >>> clamp_probs(torch.tensor([0.0, 0.5])).log()
    tensor([-15.9424,  -0.6931])
    """
    eps = torch.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Log-odds of binary probabilities, or logarithms of those of classes; finite by clamping.

    TypeError for integers.

    >>> import framework as torch
    >>> probs_to_logits(torch.tensor([0.5, 0.75]), is_binary=True)
    tensor([0.0000, 1.0986])
    """
    kept = clamp_probs(probs)
    return torch.log(kept) - torch.log1p(-kept) if is_binary else torch.log(kept)


class lazy_property:
    """A property that is computed when first read and then kept as an attribute.

    >>> class Square:
    ...     def __init__(self, side):
    ...         self.side = side
    ...     @lazy_property
    ...     def area(self):
    ...         return self.side**2
    >>> s = Square(3)
    >>> s.area, s.__dict__
    (9, {'side': 3, 'area': 9})
    """

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped
        self.__doc__ = wrapped.__doc__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with torch.enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The elements of a lower triangle, row by row; [..., D, D] -> [..., n].

    ``diag``: the triangle ends at this diagonal.

    Raises:
        ValueError: there is no such diagonal.

    >>> import framework as torch
    >>> tril_matrix_to_vec(torch.tensor([[1.0, 0.0], [2.0, 3.0]]))
    tensor([1., 2., 3.])
    """
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, columns = _triangle(n, diag, mat)
    return mat[..., rows, columns]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """The inverse of `tril_matrix_to_vec`; [..., n] -> [..., D, D].

    Raises:
        ValueError: no triangle has that many elements.

    >>> import framework as torch
    >>> vec_to_tril_matrix(torch.tensor([1.0, 2.0, 3.0]))
    tensor([[1., 0.],
            [2., 3.]])
    """
    wanted, n = vec.shape[-1], abs(diag)
    while _count(n, diag) < wanted:
        n += 1
    if _count(n, diag) != wanted:
        raise ValueError(
            f"The size of last dimension is {wanted} which cannot be expressed as the lower "
            "triangular part of a square D x D matrix."
        )
    rows, columns = _triangle(n, diag, vec)
    mat = vec.new_zeros((*vec.shape[:-1], n, n))
    mat[..., rows, columns] = vec
    return mat


def _count(n: int, diag: int) -> int:
    """Elements of an n x n matrix up to a diagonal."""
    return sum(min(max(i + 1 + diag, 0), n) for i in range(n))


def _triangle(n: int, diag: int, like: Tensor) -> tuple[Tensor, Tensor]:
    places = torch.ones(n, n, dtype=torch.bool, device=like.device).tril(diag).nonzero()
    return places[:, 0], places[:, 1]
