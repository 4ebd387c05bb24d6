"""`Parameter` and `Buffer`: tensors that a module registers when they are assigned to it.

`UninitializedParameter` and `UninitializedBuffer` stand for those of lazy modules, whose shape is
not known before the first input.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework import dtypes
from framework.core import dispatch
from framework.core.copies import deep_copy_of
from framework.device import CPU, existing
from framework.tensor import Tensor, blank, wrap
from framework.trace import sink

__all__ = [
    "Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter",
    "UninitializedTensorMixin", "is_lazy",
]  # fmt: skip


class _Marked(type):
    """Of `Parameter` and `Buffer`: other kinds of tensors are such ones too if they say so."""

    def __instancecheck__(cls, instance: Any) -> bool:
        if type.__instancecheck__(cls, instance):
            return True
        mark = _MARKS.get(cls)
        return mark is not None and isinstance(instance, Tensor) and mark in instance.__dict__


class Parameter(Tensor, metaclass=_Marked):
    """A tensor that is one of its module's ``parameters()`` and wants a gradient.

    It shares the memory of ``data`` and is a leaf. One of a class derived from Tensor is of this
    class and an instance of Parameter all the same. Shape and dtype are those of ``data``:
    RuntimeError for a dtype that cannot have a gradient (give ``requires_grad=False`` then),
    AttributeError for what is not a tensor.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Parameter(torch.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    _is_param = True

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Any:
        if data is None:
            data = wrap(np.zeros(0, dtypes.get_default_dtype().numpy))
        kind = data.__class__
        if kind is not Tensor and kind is not Parameter:
            return _marked(data, requires_grad)
        if requires_grad and data.dtype.category < dtypes.FLOAT:
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients"
            )
        made = blank(cls)
        made._data = data._data
        made._device = data._device
        made._rg = bool(requires_grad)
        if sink.active is not None:
            sink.active.part(data)
        return made

    def __init__(self, *args: Any, **options: Any) -> None:
        """All is done: a class of the user's may have a ``__new__`` with other arguments."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) in memo:
            return memo[id(self)]
        data, offset = deep_copy_of(self, memo)
        made = Parameter(wrap(data, self._device), self._rg)
        made.__class__ = self.__class__
        if offset:
            made._offset = offset
        memo[id(self)] = made
        return made

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


def _marked(data: Any, requires_grad: bool) -> Any:
    """The parameter that is made of a tensor of a class of its own."""
    if not isinstance(data, Tensor):
        raise AttributeError(  # PyTorch's kind of error: it calls ``detach``
            f"Parameter expects a Tensor, but got {type(data).__name__}: use torch.tensor first"
        )
    made: Any = data.detach().requires_grad_(requires_grad)
    if type(made) is not type(data):
        raise RuntimeError(
            f"Creating a Parameter from an instance of type {type(data).__name__} requires that "
            f"detach() returns an instance of the same type, but return type "
            f"{type(made).__name__} was found instead. To use the type as a Parameter, please "
            "correct the detach() semantics defined by its __torch_function__() implementation."
        )
    made.__dict__["_is_param"] = True
    if sink.active is not None:
        sink.active.part(data)
    return made


dispatch.usual.add(Parameter)


class Buffer(Tensor, metaclass=_Marked):
    """A tensor that becomes a buffer of the module that it is assigned to.

    It shares the memory of ``data`` and has its class, shape and dtype (any): what makes it a
    buffer is a mark. AttributeError for what is not a tensor.

    Args:
        persistent: part of the module's ``state_dict``.

    >>> import framework as torch
    >>> from framework import nn
    >>> module = nn.Module()
    >>> module.mean = nn.Buffer(torch.zeros(2))
    >>> list(module.state_dict()), isinstance(module.mean, nn.Buffer)
    (['mean'], True)
    """

    persistent: bool = True

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Any:
        if data is None:
            data = wrap(np.zeros(0, dtypes.get_default_dtype().numpy))
        if not isinstance(data, Tensor):
            raise AttributeError(  # as above
                f"Buffer expects a Tensor, but got {type(data).__name__}: use torch.tensor first"
            )
        made: Any = data.detach().requires_grad_(data.requires_grad)
        made.persistent = persistent
        made._is_buffer = True
        return made


# What such a tensor has in its ``__dict__``, whatever its class.
_MARKS: dict[type, str] = {Parameter: "_is_param", Buffer: "_is_buffer"}


class UninitializedTensorMixin:
    """A tensor of known dtype and device but without a shape, until it is materialized.

    Any op on it is a ValueError, its ``shape`` a RuntimeError; moving it and changing its dtype is
    not.

    >>> import framework as torch
    >>> weight = torch.nn.UninitializedParameter(dtype=torch.float64)
    >>> torch.nn.parameter.is_lazy(weight), weight.dtype
    (True, torch.float64)
    >>> weight + 1
    Traceback (most recent call last):
        ...
    ValueError: Attempted to use an uninitialized parameter. ...
    """

    cls_to_become: type = Tensor
    _rg: bool
    _device: Any

    def _start(self, requires_grad: bool, device: Any, dtype: Any) -> None:
        kind = dtypes.get_default_dtype() if dtype is None else dtypes.to_dtype(dtype)
        if requires_grad and kind.category < dtypes.FLOAT:
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients"
            )
        self._rg = bool(requires_grad)
        self._device = CPU if device is None else existing(device)
        self.__dict__["_kind"] = kind

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Give it memory of this shape, uninitialised; it becomes an ordinary tensor.

        RuntimeError for a negative size.

        >>> import framework as torch
        >>> weight = torch.nn.UninitializedParameter()
        >>> weight.materialize((2, 3)); type(weight).__name__, weight.shape
        ('Parameter', torch.Size([2, 3]))
        """
        from framework.ops.creation import empty

        kind = self.__dict__.pop("_kind")
        made = empty(tuple(shape), dtype=dtype or kind, device=device or self._device)
        self.__class__ = self.cls_to_become
        self._data, self._device = made._data, made._device

    @property
    def _data(self) -> Any:
        raise ValueError(
            "Attempted to use an uninitialized parameter. This error happens when you are using a "
            "`LazyModule` or explicitly manipulating "
            f"`torch.nn.parameter.{type(self).__name__}` objects. When using LazyModules Call "
            "`forward` with a dummy batch to initialize the parameters before calling torch "
            "functions"
        )

    @_data.setter
    def _data(self, value: Any) -> None:
        raise ValueError("an uninitialized parameter takes no values before it is materialized")

    @property
    def shape(self) -> Any:
        """Refused until there is one: RuntimeError."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually "
            "happens in `load_state_dict` when trying to load an uninitialized parameter into an "
            "initialized one. Call `forward` to initialize the parameters before accessing their "
            "attributes."
        )

    @property
    def dtype(self) -> dtypes.dtype:
        """The type that the values will have."""
        return self.__dict__["_kind"]

    @property
    def data(self) -> Any:
        """Itself: there are no values yet."""
        return self

    @data.setter
    def data(self, value: Any) -> None:
        self._device, self.__dict__["_kind"] = value._device, value.dtype

    def share_memory_(self) -> Any:
        """Refused, as in PyTorch: RuntimeError."""
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to "
            "initialize the parameters before calling `module.share_memory()`."
        )

    def to(self, device: Any = None, dtype: Any = None, **options: Any) -> Any:
        """The same for another device or dtype.

        RuntimeError for what is no device.

        >>> import framework as torch
        >>> torch.nn.UninitializedParameter().to(torch.float64).dtype
        torch.float64
        """
        if isinstance(device, dtypes.dtype):
            device, dtype = None, device
        return type(self)(  # type: ignore[call-arg]
            requires_grad=self._rg,
            device=self._device if device is None else device,
            dtype=self.dtype if dtype is None else dtype,
        )

    def is_floating_point(self) -> bool:
        """Whether the dtype is a real floating type."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Whether the dtype is complex."""
        return self.dtype.is_complex

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = self.to()
        return memo[id(self)]

    def __reduce__(self) -> Any:
        return type(self), (self._rg,)


def is_lazy(param: Any) -> bool:
    """Whether a parameter or buffer still waits for its shape.

    It never raises.

    >>> import framework as torch
    >>> layer = torch.nn.LazyLinear(2)
    >>> before = torch.nn.parameter.is_lazy(layer.weight)
    >>> before, torch.nn.parameter.is_lazy(torch.nn.Linear(1, 2).weight)
    (True, False)
    """
    return isinstance(param, UninitializedTensorMixin)


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter of a lazy module, before its first input.

    Its shape is given by `materialize`: RuntimeError when it is asked for before, ValueError for
    arithmetic. ``dtype`` is a float or complex one, unless ``requires_grad=False`` (RuntimeError).

    >>> from framework import nn
    >>> weight = nn.UninitializedParameter()
    >>> weight
    <UninitializedParameter>
    >>> weight.materialize((2, 3)); weight.shape
    torch.Size([2, 3])
    """

    cls_to_become = Parameter

    def __new__(cls, *args: Any, **options: Any) -> Any:
        return blank(cls)

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        self._start(requires_grad, device, dtype)


class UninitializedBuffer(UninitializedTensorMixin, Tensor):
    """A buffer of a lazy module, before its first input; `materialize` gives it a shape.

    RuntimeError when its shape is asked for before, ValueError for arithmetic. ``dtype``: any.

    >>> import framework as torch
    >>> mean = torch.nn.UninitializedBuffer()
    >>> mean.materialize((3,)); type(mean).__name__, mean.shape
    ('Tensor', torch.Size([3]))
    """

    cls_to_become = Tensor

    def __init__(
        self, requires_grad: bool = False, device: Any = None, dtype: Any = None,
        persistent: bool = True,
    ) -> None:  # fmt: skip
        self._start(requires_grad, device, dtype)
        self.persistent, self._is_buffer = persistent, True
