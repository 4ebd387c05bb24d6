"""`Parameter` and `Buffer`: tensors that a module registers when they are assigned to it.

`UninitializedParameter` and `UninitializedBuffer` stand for those of lazy modules, whose shape is
not known before the first input.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework import dtypes
from framework.device import CPU, existing
from framework.tensor import Tensor, deep_copy_of, wrap
from framework.trace import sink

__all__ = [
    "Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter",
    "UninitializedTensorMixin", "is_lazy",
]  # fmt: skip


class Parameter(Tensor):
    """A tensor that is one of its module's ``parameters()`` and wants a gradient.

    It shares the memory of ``data`` and is a leaf. RuntimeError for a dtype that cannot have a
    gradient (give ``requires_grad=False`` then), TypeError for what is not a tensor.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.Parameter(torch.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        if data is None:
            data = wrap(np.zeros(0, dtypes.get_default_dtype().numpy))
        if not isinstance(data, Tensor):
            raise AttributeError(  # PyTorch's kind of error: it calls ``detach``
                f"Parameter expects a Tensor, but got {type(data).__name__}: use torch.tensor first"
            )
        if requires_grad and data.dtype.category < dtypes.FLOAT:
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients"
            )
        self._data = data._data
        self._device = data._device
        self._rg = bool(requires_grad)
        if sink.active is not None:
            sink.active.part(data)

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


class Buffer(Tensor):
    """A tensor that becomes a buffer of the module that it is assigned to.

    TypeError for what is not a tensor.

    Args:
        persistent: part of the module's ``state_dict``.

    >>> import framework as torch
    >>> from framework import nn
    >>> module = nn.Module()
    >>> module.mean = nn.Buffer(torch.zeros(2))
    >>> list(module.state_dict())
    ['mean']
    """

    persistent: bool = True

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        if data is None:
            data = wrap(np.zeros(0, dtypes.get_default_dtype().numpy))
        if not isinstance(data, Tensor):
            raise AttributeError(  # as above
                f"Buffer expects a Tensor, but got {type(data).__name__}: use torch.tensor first"
            )
        self._data = data._data
        self._device = data._device
        self._rg = data._rg
        self.persistent = persistent


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
        self._rg = bool(requires_grad)
        self._device = CPU if device is None else existing(device)
        self.__dict__["_kind"] = kind

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Give it memory of this shape, uninitialised; it becomes an ordinary tensor.

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

    >>> import framework as torch
    >>> layer = torch.nn.LazyLinear(2)
    >>> before = torch.nn.parameter.is_lazy(layer.weight)
    >>> before, torch.nn.parameter.is_lazy(torch.nn.Linear(1, 2).weight)
    (True, False)
    """
    return isinstance(param, UninitializedTensorMixin)


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter of a lazy module, before its first input.

    >>> from framework import nn
    >>> weight = nn.UninitializedParameter()
    >>> weight
    <UninitializedParameter>
    >>> weight.materialize((2, 3)); weight.shape
    torch.Size([2, 3])
    """

    cls_to_become = Parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        self._start(requires_grad, device, dtype)


class UninitializedBuffer(UninitializedTensorMixin, Tensor):
    """A buffer of a lazy module, before its first input; `materialize` gives it a shape.

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
        self.persistent = persistent
