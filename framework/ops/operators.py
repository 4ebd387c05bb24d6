"""Python's operators on tensors: each is an op, or leaves the answer to the other operand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from framework.core.dispatch import apply
from framework.core.registry import OPS, Op, function, variant
from framework.ops import compare, pointwise  # noqa: F401  # their ops must be registered
from framework.tensor import Tensor

__all__: list[str] = []

# Operator: (op, what PyTorch calls the method, what it calls the reflected one).
_ARITHMETIC = {
    "add": ("add", "add", "add"),
    "sub": ("sub", "sub", "__rsub__"),
    "mul": ("mul", "mul", "mul"),
    "truediv": ("div", "div", "__rdiv__"),
    "div": ("div", "div", "__rdiv__"),
    "floordiv": ("floor_divide", "__floordiv__", "__rfloordiv__"),
    "mod": ("remainder", "remainder", "__rmod__"),
    "pow": ("pow", "pow", "__rpow__"),
    "and": ("bitwise_and", "__and__", "bitwise_and"),
    "or": ("bitwise_or", "__or__", "bitwise_or"),
    "xor": ("bitwise_xor", "__xor__", "bitwise_xor"),
    "lshift": ("bitwise_left_shift", "__lshift__", "__rlshift__"),
    "rshift": ("bitwise_right_shift", "__rshift__", "__rrshift__"),
}
_COMPARISON = {"eq": "__eq__", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge"}

# Those that PyTorch has written in Python do not say what is wrong.
_IN_PYTHON = frozenset(("__rmod__", "__rpow__", "__rsub__"))

# What an op takes for an operand. The classes are looked up first: it is quicker.
_CLASSES = frozenset({Tensor, int, float, bool, complex})
_KINDS = (Tensor, int, float, complex, np.ndarray, np.generic)


def _operator(special: str, record: Op, name: str) -> None:
    def operator(self: Any, other: Any) -> Any:
        if other.__class__ not in _CLASSES and not isinstance(other, _KINDS):
            return NotImplemented
        return apply(record, self, other)

    operator.__doc__ = f"`{record.name}` of this tensor and another, or a number."
    _publish(operator, special, name)


def _reflected(special: str, record: Op, name: str) -> None:
    def operator(self: Any, other: Any = None) -> Any:
        if other.__class__ not in _CLASSES and not isinstance(other, _KINDS):
            return NotImplemented
        if self.__class__ is not Tensor and not isinstance(self, Tensor):
            if special in _IN_PYTHON:
                return NotImplemented
            raise TypeError(
                f"descriptor '{special}' for 'Tensor' objects doesn't apply to a "
                f"'{type(self).__name__}' object"
            )
        return apply(record, other, self)

    operator.__doc__ = f"`{record.name}` of a number and this tensor."
    _publish(operator, special, name)


def _publish(operator: Callable[..., Any], special: str, name: str) -> None:
    operator.__name__ = name
    operator.__qualname__ = f"Tensor.{name}"
    function(namespaces=(), method=False, dunder=(special,))(operator)


# What PyTorch's nodes of reflected operators are called where that is not the op's name.
_NODES = {"sub": "RsubBackward1", "truediv": "Mul", "div": "Mul", "pow": "PowBackward2"}

for _name, (_op, _plain, _other) in _ARITHMETIC.items():
    _operator(f"__{_name}__", OPS[_op], _plain)
    _node = _NODES.get(_name)
    _reflected(f"__r{_name}__", variant(OPS[_op], _node) if _node else OPS[_op], _other)
for _op, _plain in _COMPARISON.items():
    _operator(f"__{_op}__", OPS[_op], _plain)


# -- others, some of them Python 2's, which PyTorch's tensors still have ---------------------------


def _rdiv(self: Tensor, other: Any = None) -> Any:
    """``other / self``."""
    if not isinstance(other, _KINDS):
        return NotImplemented
    return self.reciprocal() * other


def _invert(self: Tensor) -> Tensor:
    """`bitwise_not` of this tensor."""
    if self._data.dtype.kind not in "biu":
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors"
        )
    return apply(OPS["bitwise_not"], self)


def _reversed(self: Tensor) -> Tensor:
    """The elements (rows, ...) from the last to the first; a 0-d tensor itself."""
    return self.flip(0) if self.ndim else self


_publish(_rdiv, "__rdiv__", "__rdiv__")
_publish(_invert, "__invert__", "__invert__")
_publish(_reversed, "__reversed__", "__reversed__")
function(namespaces=(), method=False, dunder=("__long__",))(Tensor.__int__)
function(namespaces=(), method=False, dunder=("__nonzero__",))(Tensor.__bool__)
