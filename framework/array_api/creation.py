"""Making arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.array_api.array import standard, torch
from framework.array_api.data_types import result_type
from framework.tensor import Tensor

__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like",
    "linspace", "meshgrid", "ones", "ones_like", "tril", "triu", "zeros", "zeros_like",
]  # fmt: skip


@standard
def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
    """An array of a number, nested sequences, another array or a buffer.

    Args:
        copy: True always copies, False never (ValueError where that cannot be), None if need be.

    Raises:
        ValueError: sequences differ in length.
        TypeError: an element is no number.

    >>> import framework.array_api as xp
    >>> xp.asarray([[1, 2], [3, 4]]).shape
    torch.Size([2, 2])
    """
    if not isinstance(obj, Tensor):
        if copy is not True and _is_buffer(obj):
            array = np.asarray(obj)
            turned = copy is None and min(array.strides, default=0) < 0
            obj = torch.from_numpy(array.copy() if turned else array)
        elif copy is False:
            raise ValueError(f"asarray: {type(obj).__name__} cannot be taken without a copy")
        else:
            return torch.tensor(obj, dtype=dtype, device=device)
    result = obj.to(
        device=obj.device if device is None else device,
        dtype=obj.dtype if dtype is None else dtype,
    )
    if copy is False and result is not obj:
        raise ValueError(
            f"asarray: {obj.dtype} on {obj.device} cannot be {result.dtype} on {result.device} "
            "without a copy"
        )
    return result.clone() if copy and result is obj else result


def _is_buffer(obj: Any) -> bool:
    if isinstance(obj, (np.ndarray, bytes)):
        return True
    try:
        memoryview(obj)
    except TypeError:
        return False
    return True


@standard
def arange(
    start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None
) -> Any:
    """Evenly spaced numbers of [start, stop), or of [0, start) where only that is given.

    int64 for integers, the default floating type otherwise, unless ``dtype`` says another. Empty
    where the step leads away from ``stop``; RuntimeError for a step of zero.

    >>> import framework.array_api as xp
    >>> xp.arange(2, 10, 3)
    tensor([2, 5, 8])
    """
    if stop is None:
        start, stop = 0, start
    if (stop - start) * step <= 0:  # PyTorch refuses bounds that the step leads away from
        stop = start + 0 * (stop + step)
    return torch.arange(start, stop, step, dtype=dtype, device=device)


@standard
def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: Any = None,
    endpoint: bool = True,
) -> Any:  # fmt: skip
    """``num`` evenly spaced numbers from ``start`` to ``stop``, perhaps without that one.

    In the default floating type if no ``dtype`` is given. RuntimeError for a negative number.

    >>> import framework.array_api as xp
    >>> xp.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    >>> xp.linspace(0, 1, 4, endpoint=False)
    tensor([0.0000, 0.2500, 0.5000, 0.7500])
    """
    if endpoint:
        return torch.linspace(start, stop, num, dtype=dtype, device=device)
    return torch.linspace(start, stop, num + 1, dtype=dtype, device=device)[:num]


@standard
def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None
) -> Any:
    """Ones on the ``k``-th diagonal, zeros elsewhere: `(n_rows, n_cols)`, square with one number.

    ``k`` counts upwards from the main diagonal. RuntimeError for a negative size.

    >>> import framework.array_api as xp
    >>> xp.eye(2, 3, k=1)
    tensor([[0., 1., 0.],
            [0., 0., 1.]])
    """
    n_cols = n_rows if n_cols is None else n_cols
    if n_rows < 0 or n_cols < 0:
        raise RuntimeError(f"eye: expected sizes of at least 0, but got {n_rows} and {n_cols}")
    rows = torch.arange(n_rows, device=device)
    columns = torch.arange(n_cols, device=device)
    k = max(-len(rows), min(k, len(columns)))
    return (rows[:, None] + k == columns).to(torch.get_default_dtype() if dtype is None else dtype)


def _shape(shape: Any) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


@standard
def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """An array whose contents are not set, of a shape (a number or a tuple).

    RuntimeError for a negative length.

    >>> import framework.array_api as xp
    >>> xp.empty((2, 3), dtype=xp.int8).shape
    torch.Size([2, 3])
    """
    return torch.empty(_shape(shape), dtype=dtype, device=device)


@standard
def empty_like(x: Tensor, /, *, dtype: Any = None, device: Any = None) -> Any:
    """`empty` in the shape, and the type and on the device if none is given, of ``x``.

    >>> import framework.array_api as xp
    >>> xp.empty_like(xp.ones((2, 3), dtype=xp.int8)).dtype
    torch.int8
    """
    return torch.empty_like(x, dtype=dtype, device=device)


@standard
def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """An array of one number, in the type of the number if none is given.

    int64, bool or the default floating (or its complex) type. RuntimeError for a negative length.

    >>> import framework.array_api as xp
    >>> xp.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    return torch.full(_shape(shape), fill_value, dtype=dtype, device=device)


@standard
def full_like(x: Tensor, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """`full` in the shape, and the type and on the device if none is given, of ``x``.

    >>> import framework.array_api as xp
    >>> xp.full_like(xp.ones(2), 7)
    tensor([7., 7.])
    """
    return torch.full_like(x, fill_value, dtype=dtype, device=device)


@standard
def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """An array of ones, in the default floating type if none is given.

    RuntimeError for a negative length.

    >>> import framework.array_api as xp
    >>> xp.ones((2, 2), dtype=xp.int32)
    tensor([[1, 1],
            [1, 1]], dtype=torch.int32)
    """
    return torch.ones(_shape(shape), dtype=dtype, device=device)


@standard
def ones_like(x: Tensor, /, *, dtype: Any = None, device: Any = None) -> Any:
    """`ones` in the shape, and the type and on the device if none is given, of ``x``.

    >>> import framework.array_api as xp
    >>> xp.ones_like(xp.asarray([5, 6]))
    tensor([1, 1])
    """
    return torch.ones_like(x, dtype=dtype, device=device)


@standard
def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Any:
    """An array of zeros, in the default floating type if none is given.

    RuntimeError for a negative length.

    >>> import framework.array_api as xp
    >>> xp.zeros(3)
    tensor([0., 0., 0.])
    """
    return torch.zeros(_shape(shape), dtype=dtype, device=device)


@standard
def zeros_like(x: Tensor, /, *, dtype: Any = None, device: Any = None) -> Any:
    """`zeros` in the shape, and the type and on the device if none is given, of ``x``.

    >>> import framework.array_api as xp
    >>> xp.zeros_like(xp.asarray([5, 6]))
    tensor([0, 0])
    """
    return torch.zeros_like(x, dtype=dtype, device=device)


@standard
def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
    """An array that shares the memory of another library's; see `framework.from_dlpack`.

    Args:
        copy: True always copies, False never, None if need be.

    Raises:
        RuntimeError: ``x`` has no ``__dlpack__``.

    Shape and dtype are those of ``x``.

    >>> import numpy as np
    >>> import framework.array_api as xp
    >>> theirs = np.zeros(2)
    >>> xp.from_dlpack(theirs)[0] = 5
    >>> theirs
    array([5., 0.])
    """
    return torch.from_dlpack(x, device=device, copy=copy)


@standard
def meshgrid(*arrays: Tensor, indexing: str = "xy") -> Any:
    """Coordinates of a grid from those along its axes: one array for each, of the grid's shape.

    Args:
        indexing: "xy" puts the first array's length second, as a plane is drawn; "ij" keeps the
            order of the arrays.

    Raises:
        ValueError: the types differ.
        RuntimeError: an array has more than one dimension, or ``indexing`` is neither.

    >>> import framework.array_api as xp
    >>> x, y = xp.meshgrid(xp.asarray([1, 2, 3]), xp.asarray([4, 5]))
    >>> x, y
    (tensor([[1, 2, 3],
            [1, 2, 3]]), tensor([[4, 4, 4],
            [5, 5, 5]]))
    """
    if len({a.dtype for a in arrays}) > 1:
        raise ValueError(f"meshgrid: expected arrays of one type, but got {result_type(*arrays)}")
    return tuple(torch.meshgrid(*arrays, indexing=indexing))


@standard
def tril(x: Tensor, /, *, k: int = 0) -> Any:
    """What is on and below the ``k``-th diagonal of each matrix; zeros above.

    ``k`` counts upwards from the main diagonal. RuntimeError for fewer than two dimensions.

    >>> import framework.array_api as xp
    >>> xp.tril(xp.ones((2, 3)))
    tensor([[1., 0., 0.],
            [1., 1., 0.]])
    """
    return torch.tril(x, k)


@standard
def triu(x: Tensor, /, *, k: int = 0) -> Any:
    """What is on and above the ``k``-th diagonal of each matrix; zeros below.

    ``k`` counts upwards from the main diagonal. RuntimeError for fewer than two dimensions.

    >>> import framework.array_api as xp
    >>> xp.triu(xp.ones((2, 3)), k=1)
    tensor([[0., 1., 1.],
            [0., 0., 1.]])
    """
    return torch.triu(x, k)
