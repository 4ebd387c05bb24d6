"""DLPack: tensors and other libraries' arrays over the same memory.

NumPy and CuPy make and read the capsules. NumPy knows no bfloat16, so such memory travels as
uint16, and the capsule's own record of the type is corrected.
"""

from __future__ import annotations

import ctypes
import enum
from typing import Any

import numpy as np

from framework import dtypes
from framework.device import CPU, device, existing, is_fake_cuda
from framework.kernels import must_hold, to_device
from framework.tensor import Tensor, wrap

__all__ = ["DLDeviceType", "from_dlpack", "to_dlpack"]


class DLDeviceType(enum.IntEnum):
    """Kinds of memory, by DLPack's numbers.

    >>> import framework as torch
    >>> torch.zeros(1).__dlpack_device__()
    (<DLDeviceType.kDLCPU: 1>, 0)
    """

    kDLCPU = 1
    kDLCUDA = 2
    kDLCUDAHost = 3
    kDLOpenCL = 4
    kDLVulkan = 7
    kDLMetal = 8
    kDLVPI = 9
    kDLROCM = 10
    kDLROCMHost = 11
    kDLExtDev = 12
    kDLCUDAManaged = 13
    kDLOneAPI = 14


_OF_HOST = (DLDeviceType.kDLCPU, DLDeviceType.kDLCUDAHost, DLDeviceType.kDLROCMHost)
_OF_CUDA = (DLDeviceType.kDLCUDA, DLDeviceType.kDLCUDAManaged)


# -- capsules --------------------------------------------------------------------------------


class _DLTensor(ctypes.Structure):
    """DLTensor of dlpack.h."""

    _fields_ = (
        ("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16), ("shape", ctypes.c_void_p), ("strides", ctypes.c_void_p),
        ("byte_offset", ctypes.c_uint64),
    )  # fmt: skip


class _Versioned(ctypes.Structure):
    """DLManagedTensorVersioned of dlpack.h; the older DLManagedTensor begins with the tensor."""

    _fields_ = (
        ("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("tensor", _DLTensor),
    )  # fmt: skip


_UINT, _BFLOAT = 1, 4  # DLDataTypeCode

_pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(
    ("PyCapsule_GetName", ctypes.pythonapi)
)


def _inside(capsule: Any) -> _DLTensor:
    """The record in a capsule that nobody has taken yet."""
    name = _name_of(capsule) if type(capsule).__name__ == "PyCapsule" else None
    if name == b"dltensor":
        return _DLTensor.from_address(_pointer_of(capsule, name))
    if name == b"dltensor_versioned":
        return _Versioned.from_address(_pointer_of(capsule, name)).tensor
    raise RuntimeError(
        "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only "
        "once, so you might have already constructed a tensor from it once."
    )


# -- from tensors ----------------------------------------------------------------------------


def to_dlpack(tensor: Tensor) -> Any:
    """A capsule of the old kind over a tensor's memory; it can be taken once.

    As in PyTorch a tensor that requires grad is taken too: its history stays behind.

    Any shape and dtype. BufferError for a sparse tensor, AttributeError for what is no tensor.

    >>> import framework as torch
    >>> capsule = torch.utils.dlpack.to_dlpack(torch.arange(3))
    >>> torch.utils.dlpack.from_dlpack(capsule)
    tensor([0, 1, 2])
    """
    return _dlpack(tensor.detach())


def _dlpack(
    self: Tensor,
    *,
    stream: Any = -1,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[Any, int] | None = None,
    copy: bool | None = None,
) -> Any:
    """A DLPack capsule over the tensor's memory; what ``from_dlpack`` of other libraries calls.

    Args:
        stream: where CUDA's consumer works; -1 or None on the CPU.
        max_version: the newest DLPack that the consumer reads; None is one before 1.0.
        dl_device: where the consumer wants it: the tensor's own device, or the CPU.
        copy: True always copies, False never (BufferError where that cannot be), None if need be.

    Raises:
        BufferError: it requires grad, lies on the fake CUDA device, or cannot be had as asked.
    """
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if self.is_sparse:
        raise BufferError("Can't export tensors with layout other than torch.strided")
    if stream is not None and type(stream) is not int:
        raise TypeError("stream must be ``int`` or ``none``")
    kind, number = _dlpack_device(self)
    if dl_device is not None and tuple(dl_device) != (kind, number):
        if tuple(dl_device) != (DLDeviceType.kDLCPU, 0):
            raise BufferError(
                f"Can't export a tensor on {self.device} to DLPack device {tuple(dl_device)}"
            )
        if copy is False:
            raise BufferError(f"Can't export a tensor on {self.device} to the CPU without a copy")
        return _dlpack(self.cpu(), max_version=max_version)
    options: dict[str, Any] = {}  # those that NumPy and CuPy have known all along, if need be
    if max_version is not None:
        options["max_version"] = max_version
    if copy is not None:
        options["copy"] = copy
    if kind is DLDeviceType.kDLCUDA:
        options["stream"] = stream
    elif stream not in (None, -1):
        raise AssertionError("stream should be None on cpu.")
    data = self._data
    brief = data.dtype == dtypes.bfloat16.numpy
    if brief:
        data = data.view(np.uint16)
    if kind is DLDeviceType.kDLCPU and not data.flags.writeable:
        data = _unlocked(data)
    capsule = data.__dlpack__(**options)
    if brief:
        _inside(capsule).code = _BFLOAT
    return capsule


class _Memory:
    """An array's memory, to be written to, for `numpy.asarray`."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        described = array.__array_interface__
        self.__array_interface__ = {**described, "data": (described["data"][0], False)}


def _unlocked(array: np.ndarray) -> np.ndarray:
    """NumPy locks what it broadcasts; the memory is as writable as its owner's, and PyTorch's
    expanded tensors are exported. What is read-only from the start stays so."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    return np.asarray(_Memory(array)) if owner.flags.writeable else array


def _dlpack_device(self: Tensor) -> tuple[DLDeviceType, int]:
    """(kind of device, number) in DLPack's numbers."""
    if self._device is CPU:
        return DLDeviceType.kDLCPU, 0
    if is_fake_cuda():
        raise BufferError(
            f"Can't export a tensor on {self._device}: this CUDA device is a fake one in the "
            "host's memory; use tensor.cpu()"
        )
    return DLDeviceType.kDLCUDA, self._device.index or 0


# -- to tensors ------------------------------------------------------------------------------


class _Offer:
    """A capsule for the ``from_dlpack`` of NumPy and CuPy, which take objects only."""

    def __init__(self, capsule: Any, where: tuple[int, int]) -> None:
        self.capsule, self.where = capsule, where

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.where


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor over the memory of another library's array, or of a capsule.

    Args:
        device: where the tensor is wanted; copies if the memory is elsewhere.
        copy: True always copies, False never (an error where that cannot be), None if need be.

    Raises:
        RuntimeError: a capsule that was taken already, or no capsule at all.
        BufferError: memory of a device or type that we do not know.
        ValueError: negative strides, or another device without a copy.

    Its shape, strides and dtype are the array's.

    >>> import numpy as np
    >>> import framework as torch
    >>> array = np.zeros(2)
    >>> torch.from_dlpack(array)[0] = 5.0
    >>> array
    array([5., 0.])
    """
    capsule = ext_tensor
    if hasattr(ext_tensor, "__dlpack__"):
        options: dict[str, Any] = {} if copy is None else {"copy": copy}
        if hasattr(ext_tensor, "__dlpack_device__"):
            kind = int(ext_tensor.__dlpack_device__()[0])
            if kind in _OF_CUDA:
                options["stream"] = 1  # the default stream, on which everything here runs
        newest = {} if "stream" in options and _before_versions() else {"max_version": (1, 0)}
        try:
            capsule = ext_tensor.__dlpack__(**newest, **options)
        except TypeError:  # older than DLPack 1.0
            options.pop("copy", None)
            capsule = ext_tensor.__dlpack__(**options)
    array, place = _array_in(capsule)
    if array.dtype not in dtypes.from_numpy_dtype:
        raise BufferError(f"from_dlpack: there are no tensors of type {array.dtype}")
    if min(array.strides, default=0) < 0:
        raise ValueError(
            "At least one stride of the given memory is negative, and tensors with negative "
            "strides are not currently supported. (You can probably work around this by making a "
            "copy of your array with array.copy().)"
        )
    target = place if device is None else existing(device)
    if target is not place:
        if copy is False:
            raise ValueError(f"from_dlpack: {place} to {target} is not possible without a copy")
        return wrap(to_device(array, target), target)
    taken = ext_tensor is capsule or not hasattr(ext_tensor, "__dlpack_device__")
    return wrap(array.copy() if copy and taken else array, target)


def _before_versions() -> bool:
    """Whether CuPy reads no capsules of DLPack 1.0, which not all of 13 do."""
    if is_fake_cuda():
        return False
    import cupy

    return int(cupy.__version__.partition(".")[0]) < 14


def _array_in(capsule: Any) -> tuple[Any, device]:
    """The array over a capsule's memory, and its device."""
    record = _inside(capsule)
    where = (record.device_type, record.device_id)
    brief = (record.code, record.bits, record.lanes) == (_BFLOAT, 16, 1)
    if brief:
        record.code = _UINT
    if where[0] in _OF_HOST:
        old = _name_of(capsule) == b"dltensor"
        array = np.from_dlpack(_Offer(capsule, (1, 0)))
        if old and not array.flags.writeable:  # it cannot say so: NumPy locks all, PyTorch none
            array = np.asarray(_Memory(array))
        place = CPU
    elif where[0] in _OF_CUDA:
        import cupy

        if brief:
            must_hold(dtypes.bfloat16.numpy, device("cuda", where[1]))
        array = cupy.from_dlpack(_Offer(capsule, where))
        place = device("cuda", where[1])
    else:
        raise BufferError(
            f"from_dlpack: expected memory of the CPU or of CUDA, but got device type {where[0]}"
        )
    return array.view(dtypes.bfloat16.numpy) if brief else array, place
