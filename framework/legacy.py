"""The older way to name a tensor's type: ``torch.FloatTensor``, ``torch.cuda.LongTensor``, ...

Such a class makes tensors (of sizes, data, a storage or another tensor), is asked with isinstance,
and stands for a dtype and a device in `Tensor.type` and `set_default_tensor_type`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework import dtypes
from framework.cautions import caution_once
from framework.device import CPU, existing, set_default_device
from framework.device import device as Device
from framework.elements import as_array
from framework.kernels import to_device
from framework.storage import is_storage
from framework.tensor import Size, Tensor, wrap

__all__ = [
    "CPU_TYPES", "CUDA_TYPES", "SPARSE_TYPES", "make", "parsed", "set_default_tensor_type",
    "tensortype", "type_name", "typename",
]  # fmt: skip


class tensortype(type):
    """The class of ``torch.FloatTensor`` and its like.

    >>> import framework as torch
    >>> torch.LongTensor([1, 2]), isinstance(torch.ones(1), torch.FloatTensor)
    (tensor([1, 2]), True)
    """

    dtype: dtypes.dtype
    is_cuda: bool

    def __call__(cls, *args: Any, device: Any = None) -> Any:
        place = "cuda" if cls.is_cuda and device is None else device
        return make(args, cls.dtype, CPU if place is None else existing(place))

    def __getattr__(cls, name: str) -> Any:
        return getattr(Tensor, name)  # torch.FloatTensor.add is torch.Tensor.add

    def __instancecheck__(cls, value: Any) -> bool:
        return (
            isinstance(value, Tensor) and value.dtype is cls.dtype
            and value.is_cuda == cls.is_cuda and not value.is_sparse
        )  # fmt: skip


def _type(module: str, name: str, kind: dtypes.dtype, is_cuda: bool) -> tensortype:
    doc = f"""The older name of tensors of {kind.name}{" on CUDA devices" if is_cuda else ""}.

    Called with sizes, a sequence of data, a storage, or a tensor of this type it makes a tensor;
    TypeError for a tensor of another type. `isinstance` asks for the dtype and the device.

    >>> import framework as torch
    >>> {module}.{name}([1, 0]).dtype
    {kind}
    """
    content = {"__module__": module, "__doc__": doc, "dtype": kind, "is_cuda": is_cuda}
    return tensortype(name, (), content)


def _types(module: str, is_cuda: bool) -> dict[str, Any]:
    return {
        f"{name}Tensor": _type(module, f"{name}Tensor", kind, is_cuda)
        for kind, name in dtypes.NAMES.items()
        if kind.category < dtypes.COMPLEX and not name.startswith("UInt")
    }


class sparsetype(tensortype):
    """The class of ``torch.sparse.FloatTensor`` and its like.

    >>> import framework as torch
    >>> x = torch.sparse.FloatTensor(torch.tensor([[0, 1], [1, 0]]), torch.ones(2), (2, 2))
    >>> isinstance(x, torch.sparse.FloatTensor), isinstance(x, torch.FloatTensor)
    (True, False)
    """

    def __call__(cls, *args: Any, device: Any = None) -> Any:
        from framework.ops.sparse import sparse_coo_tensor

        if args and isinstance(args[0], Tensor):
            return sparse_coo_tensor(*args, device=device)
        shape = tuple(args[0]) if args and not isinstance(args[0], int) else args or (0,)
        place = np.zeros((len(shape), 0), np.int64)
        return sparse_coo_tensor(wrap(place), [], shape, dtype=cls.dtype, device=device)

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, Tensor) and value.is_sparse and value.dtype is cls.dtype


def _sparse_type(kind: dtypes.dtype) -> sparsetype:
    name = f"{dtypes.NAMES[kind]}Tensor"
    doc = f"""The older name of sparse tensors of {kind.name}: a `sparse_coo_tensor`.

    Called with indices `(m, n)`, values `(n, *)` (whose dtype the tensor has, as in PyTorch) and
    perhaps a shape, or with sizes alone: then of zeros. RuntimeError for coordinates outside of the
    shape. `isinstance` asks for the dtype and the layout.

    >>> import framework as torch
    >>> torch.sparse.{name}(2, 3).dtype
    {kind}
    """
    content = {"__module__": "torch.sparse", "__doc__": doc, "dtype": kind, "is_cuda": False}
    return sparsetype(name, (), content)


# PyTorch has them for these dtypes.
SPARSE_TYPES = {
    f"{dtypes.NAMES[kind]}Tensor": _sparse_type(kind)
    for kind in (
        dtypes.bfloat16, dtypes.uint8, dtypes.int8, dtypes.float64, dtypes.float32, dtypes.float16,
        dtypes.int32, dtypes.int64, dtypes.int16,
    )
}  # fmt: skip
CPU_TYPES = _types("torch", False)
CUDA_TYPES = _types("torch.cuda", True)


def make(
    args: tuple[Any, ...], kind: dtypes.dtype, place: Device, any_type: bool = False
) -> Tensor:
    """What the constructor of a type makes of its arguments.

    Nothing, sizes, a Size, a sequence of data, a storage, or a tensor whose memory is shared.

    Args:
        any_type: take a tensor of another dtype as well, as ``torch.Tensor`` does.

    Raises:
        TypeError: a tensor of another type, or data that is no sequence.
    """
    if len(args) == 1 and not isinstance(args[0], int):
        value = args[0]
        if isinstance(value, Tensor):
            if value.dtype is not kind and not any_type:
                raise TypeError(f"expected {dtypes.NAMES[kind]} (got {dtypes.NAMES[value.dtype]})")
            return value.detach()
        if is_storage(value):
            return wrap(value._items.view(kind.numpy), value._device)
        if not isinstance(value, Size):
            if not hasattr(value, "__len__"):
                raise TypeError(f"new(): data must be a sequence (got {type(value).__name__})")
            return _placed(as_array(value, kind).astype(kind.numpy), place)
        args = tuple(value)
    if args and min(args) < 0:
        raise RuntimeError(
            f"Trying to create tensor with negative dimension {min(args)}: {list(args)}"
        )
    return _placed(np.zeros(args or (0,), kind.numpy), place)


def _placed(array: Any, place: Device) -> Tensor:
    return wrap(array if place is CPU else to_device(array, place), place)


def type_name(tensor: Tensor) -> str:
    """The older name of a tensor's type: "torch.cuda.FloatTensor"."""
    where = ("cuda." if tensor.is_cuda else "") + ("sparse." if tensor.is_sparse else "")
    return f"torch.{where}{dtypes.NAMES[tensor.dtype]}Tensor"


def parsed(value: Any) -> tuple[dtypes.dtype, Device | None]:
    """The dtype and the device (None: any) that a type or its name stands for.

    Raises:
        ValueError: no such name.
    """
    if isinstance(value, tensortype):
        return value.dtype, existing("cuda") if value.is_cuda else CPU
    if value is Tensor:
        return dtypes.get_default_dtype(), CPU
    if isinstance(value, str):
        module, _, name = value.rpartition(".")
        known = {"torch": CPU_TYPES, "torch.cuda": CUDA_TYPES}.get(module, {})
        if name not in known:
            raise ValueError(f"invalid type: '{value}'")
        return parsed(known[name])
    return dtypes.to_dtype(value), None


def set_default_tensor_type(t: Any) -> None:
    """Set the default dtype and device by a type such as ``torch.DoubleTensor`` or its name.

    ValueError for an unknown name, TypeError for a type that is not floating.

    >>> import framework as torch
    >>> torch.set_default_tensor_type("torch.FloatTensor")
    >>> torch.get_default_dtype()
    torch.float32
    """
    caution_once(
        "torch.set_default_tensor_type() is deprecated as of PyTorch 2.1, please use "
        "torch.set_default_dtype() and torch.set_default_device() as alternatives."
    )
    kind, place = parsed(t)
    dtypes.set_default_dtype(kind)
    set_default_device(place)


def typename(obj: Any) -> str:
    """The name of an object's type, with its module; of a tensor's type the older name.

    Its shape does not matter; it never raises.

    >>> import framework as torch
    >>> torch.typename(torch.ones(1)), torch.typename(3)
    ('torch.FloatTensor', 'int')
    """
    if isinstance(obj, Tensor):
        return type_name(obj)
    named = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(named, "__module__", "") or ""
    return named.__qualname__ if module in ("", "builtins") else f"{module}.{named.__qualname__}"
