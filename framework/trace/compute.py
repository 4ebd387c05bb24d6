"""Expressions over values of the tape: ``model.0.weight.grad.abs().max()`` as of any moment.

The values are those that were kept or recorded, so that nothing of the program runs: an expression
may use operators, indices, methods of tensors and functions of the framework, but no name of the
program, no attribute with an underscore, and nothing that draws random numbers or opens files.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framework.trace.frames import Adhoc
    from framework.trace.protocol import Variable

__all__ = ["ComputeError", "compute", "computed", "names_in"]

LONGEST = 2_000  # characters of an expression
LARGEST = 1 << 26  # elements of a value that is made

#: ``model.0.weight`` as Python has it: ``model[0].weight``.
_NUMBER = re.compile(r"(?<=[\w\]])\.(\d+)(?=\.|\b)(?![\deE])")
_PATH = re.compile(r"[A-Za-z_]\w*(?:\.\w+)+")

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    ast.Pow: operator.pow, ast.MatMult: operator.matmul, ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_, ast.BitXor: operator.xor,
}  # fmt: skip
_UNARY: dict[type, Callable[[Any], Any]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_,
    ast.Invert: operator.invert,
}  # fmt: skip
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
_BUILTINS: dict[str, Any] = {
    "abs": abs, "min": min, "max": max, "sum": sum, "len": len, "round": round, "float": float,
    "int": int, "bool": bool,
}  # fmt: skip
_REFUSED = re.compile(
    r"rand|normal|bernoulli|multinomial|dropout|uniform|exponential|seed|poisson|file"
)


class ComputeError(ValueError):
    """An expression that cannot be evaluated: one line for the user."""


def names_in(expression: str) -> list[str]:
    """What an expression may mean values of the tape by, the longest names first.

    >>> names_in("model.0.weight.norm() / loss")
    ['model.0.weight.norm', 'model.0.weight', 'model.0', 'loss', 'model']

    Raises ComputeError for what is no expression.
    """
    found: dict[str, None] = {}
    for node in ast.walk(_parse(expression)):
        path = _path(node) if isinstance(node, ast.expr) else ""
        if path and path not in _BUILTINS and path.partition(".")[0] != "torch":
            found[path] = None
    return sorted(found, key=lambda path: -path.count("."))


def compute(expression: str, value_of: Callable[[str], Any | None]) -> Any:
    """The value of an expression; ``value_of`` gives the array that a name stands for, or None.

    >>> import numpy as np
    >>> held = {"model.0.weight": np.array([3.0, -4.0])}
    >>> compute("model.0.weight.norm() + 1", held.get)
    tensor(6., dtype=torch.float64)
    >>> compute("max(model[0].weight[0], 1)", held.get).item()
    3.0
    >>> compute("model.1.weight", held.get)
    Traceback (most recent call last):
    framework.trace.compute.ComputeError: model.1.weight is no value of the tape at this moment
    """
    import framework as torch

    tree = _parse(expression)
    with torch.no_grad():
        try:
            return _Evaluator(value_of, torch).value(tree)
        except ComputeError:
            raise
        except RecursionError:
            raise ComputeError("the expression is nested too deeply") from None
        except Exception as error:  # NumPy's and the objects' own, of any kind
            text = " ".join(str(error).split())
            raise ComputeError(f"{type(error).__name__}: {text}"[:500]) from None


def computed(
    expression: str, of: Any, array_of: Callable[[int, int], Any | None], adhoc: Adhoc
) -> Variable:
    """The answer to the wire's ``compute``: ``of`` says which ``[tensor, seq]`` a name stands for.

    Raises ComputeError with one line.
    """
    from framework.trace.frames import one_line, variable

    if not isinstance(of, dict) or len(of) > 100:
        raise ComputeError("compute: of must be up to 100 names, each with [tensor, seq]")
    for name, key in of.items():
        pair = isinstance(key, (list, tuple)) and len(key) == 2
        if not isinstance(name, str) or not pair or not all(type(n) is int for n in key):
            raise ComputeError("compute: each name must have [tensor, seq]")

    def value_of(name: str) -> Any | None:
        if name not in of:
            return None
        array = array_of(*of[name])
        if array is None:
            raise ComputeError(f"the value of {name} at this moment is not kept")
        return array

    return variable(one_line(expression, 80), compute(expression, value_of), adhoc)


def _parse(expression: str) -> ast.expr:
    text = expression.strip()
    if not text or len(text) > LONGEST:
        raise ComputeError(f"expected an expression of up to {LONGEST:,} characters")
    text = _PATH.sub(lambda m: _NUMBER.sub(r"[\1]", m[0]), text)
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = getattr(error, "msg", None) or str(error)
        raise ComputeError(f"not an expression: {reason}") from None


def _path(node: ast.expr) -> str:
    """``model[0].weight`` as ``model.0.weight``; "" for anything but a chain of names."""
    parts: list[str] = []
    while True:
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        elif (
            isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Constant)
            and type(node.slice.value) in (int, str)
        ):
            parts.append(str(node.slice.value))
            node = node.value
        elif isinstance(node, ast.Name):
            return ".".join([node.id, *reversed(parts)])
        else:
            return ""


class _Evaluator:
    def __init__(self, value_of: Callable[[str], Any | None], torch: Any) -> None:
        self.value_of = value_of
        self.torch = torch

    def value(self, node: ast.expr) -> Any:
        path = _path(node)
        if path:
            array = self.value_of(path)
            if array is not None:
                return _tensor(array)  # a copy: nothing that is kept is ever changed
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise ComputeError(f"{type(node).__name__} is not supported over the tape")
        return self._bounded(method(node))

    def _bounded(self, value: Any) -> Any:
        if isinstance(value, self.torch.Tensor) and value.numel() > LARGEST:
            raise ComputeError(f"a value of {value.numel():,} elements is too large")
        return value

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id == "torch":
            return self.torch
        if node.id not in _BUILTINS:
            raise ComputeError(f"{node.id} is no value of the tape at this moment")
        return _BUILTINS[node.id]

    def _attribute(self, node: ast.Attribute) -> Any:
        if node.attr.startswith("_") or _REFUSED.search(node.attr):
            raise ComputeError(f".{node.attr} is not available over the tape")
        root = _path(node).partition(".")[0]
        if root and root != "torch" and not self._known(node.value):
            raise ComputeError(f"{_path(node)} is no value of the tape at this moment")
        owner = self.value(node.value)
        found = getattr(owner, node.attr)
        if owner is self.torch and not _is_function(found):
            raise ComputeError(f"torch.{node.attr} is not available over the tape")
        return found

    def _known(self, node: ast.expr) -> bool:
        """Whether a chain of names begins with a value."""
        while True:
            path = _path(node)
            if not path or self.value_of(path) is not None:
                return True
            if not isinstance(node, (ast.Attribute, ast.Subscript)):
                return False
            node = node.value

    def _subscript(self, node: ast.Subscript) -> Any:
        return self.value(node.value)[self._index(node.slice)]

    def _index(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Slice):
            parts = (node.lower, node.upper, node.step)
            return slice(*(None if part is None else self.value(part) for part in parts))
        if isinstance(node, ast.Tuple):
            return tuple([self._index(item) for item in node.elts])
        return self.value(node)

    def _call(self, node: ast.Call) -> Any:
        path = _path(node.func).rpartition(".")[0]
        if path and path.partition(".")[0] != "torch" and not self._known(node.func):
            raise ComputeError(f"{path} is no value of the tape at this moment")
        function = self.value(node.func)
        arguments = [self.value(a) for a in node.args]
        return function(*arguments, **{k.arg: self.value(k.value) for k in node.keywords if k.arg})

    def _binop(self, node: ast.BinOp) -> Any:
        if type(node.op) not in _BINARY:
            raise ComputeError(f"{type(node.op).__name__} is not supported over the tape")
        left, right = self.value(node.left), self.value(node.right)
        numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
        if isinstance(node.op, ast.Pow) and numbers and abs(right) > 1000:
            raise ComputeError("the exponent is too large")
        return _BINARY[type(node.op)](left, right)

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        return _UNARY[type(node.op)](self.value(node.operand))

    def _compare(self, node: ast.Compare) -> Any:
        if len(node.ops) != 1 or type(node.ops[0]) not in _COMPARE:
            raise ComputeError("one comparison at a time: <, <=, >, >=, == or !=")
        return _COMPARE[type(node.ops[0])](self.value(node.left), self.value(node.comparators[0]))

    def _ifexp(self, node: ast.IfExp) -> Any:
        return self.value(node.body if self.value(node.test) else node.orelse)

    def _tuple(self, node: ast.Tuple) -> Any:
        return tuple(self._items(node))

    def _list(self, node: ast.List) -> Any:
        return list(self._items(node))

    def _items(self, node: ast.Tuple | ast.List) -> Iterator[Any]:
        return (self.value(item) for item in node.elts)


def _tensor(array: Any) -> Any:
    """A tensor of a copy, on the device of the array."""
    from framework.core.dispatch import wrap
    from framework.device import device
    from framework.tensor import tensor

    if not hasattr(array, "__cuda_array_interface__"):
        return tensor(array)
    return wrap(array.copy(), device("cuda", array.device.id))


def _is_function(value: Any) -> bool:
    """Whether something of the framework's namespace is an op, a dtype or a number."""
    if isinstance(value, (int, float)) or type(value).__name__ == "dtype":
        return True
    return callable(value) and getattr(value, "__module__", "") == "framework"  # as published
