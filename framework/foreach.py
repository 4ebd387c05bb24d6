"""The ``_foreach_`` helpers: one op on each tensor of a list.

``torch._foreach_add(tensors, 1.0)``, ``torch._foreach_mul_(tensors, others)`` and so on, as
optimizers and timm use them. In PyTorch they save kernel launches; here each tensor gets its op.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from framework.tensor import Tensor

__all__ = ["FOREACH"]

_UNARY = [
    "abs", "acos", "asin", "atan", "ceil", "cos", "cosh", "erf", "erfc", "exp", "expm1",
    "floor", "frac", "lgamma", "log", "log10", "log1p", "log2", "neg", "reciprocal", "round",
    "rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
]  # fmt: skip
_BINARY = ["add", "clamp_max", "clamp_min", "div", "maximum", "minimum", "mul", "sub"]

FOREACH: dict[str, Callable[..., Any]] = {}


def _listed(name: str, tensors: Any) -> list[Any]:
    if not isinstance(tensors, (list, tuple)):
        raise TypeError(
            f"_foreach_{name}(): argument 'self' (position 1) must be tuple of Tensors, not "
            f"{type(tensors).__name__}"
        )
    if not tensors:
        raise RuntimeError("Tensor list must have at least one tensor.")
    return list(tensors)


def _each(name: str, tensors: list[Any], other: Any) -> list[Any]:
    """``other`` for each tensor: a list of them, or one number or tensor for all."""
    if not isinstance(other, (list, tuple)):
        return [other] * len(tensors)
    if len(other) != len(tensors):
        raise RuntimeError(
            "Tensor lists must have the same number of tensors, got "
            f"{len(tensors)} and {len(other)}"
        )
    return list(other)


def _publish(name: str) -> None:
    """The method ``name`` for each tensor of a list; and its in-place twin."""

    def made(self: Any, *args: Any, **kwargs: Any) -> Any:
        tensors = _listed(name, self)
        columns = [_each(name, tensors, a) for a in args]
        named = {k: _each(name, tensors, v) for k, v in kwargs.items()}
        return tuple(
            _method(name)(t, *(c[i] for c in columns), **{k: v[i] for k, v in named.items()})
            for i, t in enumerate(tensors)
        )

    def twin(self: Any, *args: Any, **kwargs: Any) -> None:
        tensors = _listed(name, self)
        columns = [_each(name, tensors, a) for a in args]
        named = {k: _each(name, tensors, v) for k, v in kwargs.items()}
        for i, t in enumerate(tensors):
            row = [c[i] for c in columns]
            _in_place(name)(t, *row, **{k: v[i] for k, v in named.items()})

    _add(name, made, f"`{name}` of each tensor; a list of tensors, numbers, or one for all.")
    _add(name + "_", twin, f"`{name}` of each tensor, in place.")


def _returning(write: Callable[..., None]) -> Callable[..., Any]:
    """A function that writes in place, and returns the tensors as they came."""

    @functools.wraps(write)
    def function(self: Any, *args: Any, **kwargs: Any) -> Any:
        write(self, *args, **kwargs)
        return self

    return function


def _add(name: str, function: Callable[..., Any], doc: str = "") -> None:
    """Publish a function under ``_foreach_NAME``, with an example."""
    if name[-1] == "_":
        function = _returning(function)
    function.__name__ = function.__qualname__ = f"_foreach_{name}"
    first, _, more = (doc or function.__doc__ or "").partition("\n\n")
    plain = name.removesuffix("_")
    given, alone = _GIVEN.get(plain) or ("", f"x.{plain}()")
    call = f"torch._foreach_{name}(xs{given})"
    lines = [
        ">>> import framework as torch",
        ">>> xs = [torch.tensor([[0.5]]), torch.tensor([[0.25], [1.0]])]",
        f">>> wanted = [{alone} for x in xs]",
        f">>> found = {call}",
        ">>> all(map(torch.equal, found, wanted))",
        "True",
        *((">>> found is xs", "True") if name[-1] == "_" else ()),
    ]
    parts = [first, more.strip(), _ALL, "\n".join(lines)]
    function.__doc__ = "\n\n".join([part for part in parts if part])
    FOREACH[f"_foreach_{name}"] = function


_ALL = """Shapes and dtypes are those that it takes and gives for a tensor alone. TypeError unless
the tensors are a list or tuple, RuntimeError for an empty one or for lists of two lengths."""
# Of the examples: further arguments, and the same for one tensor; by default there are none.
_GIVEN = {
    **{name: (", 2.0", f"x.{name}(2.0)") for name in ("add", "div", "mul", "sub", "pow")},
    **{name: (", 0.4", f"x.{name}(0.4)") for name in ("clamp_max", "clamp_min")},
    "maximum": (", 0.4", "x.clamp(min=0.4)"),
    "minimum": (", 0.4", "x.clamp(max=0.4)"),
    "lerp": (", [x + 1 for x in xs], 0.5", "x.lerp(x + 1, 0.5)"),
    "norm": ("", "x.norm()"),
    "powsum": (", 2", "x.square().sum()"),
    "mm": (", [x.mT for x in xs]", "x @ x.mT"),
    "copy": (", [x + 1 for x in xs]", "x + 1"),
    "zero": ("", "torch.zeros_like(x)"),
    **{
        name: (", xs, [x + 1 for x in xs]", f"x.{name}(x, x + 1)")
        for name in ("addcmul", "addcdiv")
    },
}


def _method(name: str) -> Callable[..., Any]:
    """The Tensor method, found when it is called: it is bound when the package is complete."""

    if name in ("maximum", "minimum"):
        return lambda t, other: _extreme(name, t, other)

    def call(t: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(t, name)(*args, **kwargs)

    return call


def _in_place(name: str) -> Callable[..., Any]:
    """The method ``name_``; maximum and minimum have none, as in PyTorch."""
    if name not in ("maximum", "minimum"):
        return _method(name + "_")
    return lambda t, other: t.copy_(_extreme(name, t, other))


def _extreme(name: str, t: Any, other: Any) -> Any:
    """The larger (smaller) of each element and a tensor's, or a number."""
    if isinstance(other, Tensor):
        return getattr(t, name)(other)
    return t.clamp(min=other) if name == "maximum" else t.clamp(max=other)


def _foreach_pow(self: Any, exponent: Any) -> Any:
    """Each base to its exponent; one number may be the base of a list of exponents."""
    if not isinstance(self, (list, tuple)):
        return tuple(self**e for e in _listed("pow", exponent))
    tensors = _listed("pow", self)
    return tuple(t**e for t, e in zip(tensors, _each("pow", tensors, exponent)))


def _foreach_norm(self: Any, ord: Any = 2, dtype: Any = None) -> Any:
    """The norm of each tensor's elements."""
    tensors = _listed("norm", self)
    if dtype is not None:
        tensors = [t.to(dtype) for t in tensors]
    return tuple(t.norm(float(ord)) for t in tensors)


def _foreach_powsum(self: Any, ord: Any = 2, dtype: Any = None) -> Any:
    """The sum of each tensor's absolute elements to the power ``ord``: a norm without its root."""
    tensors = _listed("powsum", self)
    if dtype is not None:
        tensors = [t.to(dtype) for t in tensors]
    return tuple(t.abs().pow(ord).sum() for t in tensors)


def _foreach_mm(self: Any, mat2: Any) -> Any:
    """The product of each matrix with its partner."""
    tensors = _listed("mm", self)
    return tuple(t.mm(other) for t, other in zip(tensors, _each("mm", tensors, mat2)))


def _foreach_copy_(self: Any, src: Any, non_blocking: bool = False) -> None:
    """Copy each tensor of ``src`` into its partner."""
    tensors = _listed("copy_", self)
    for t, s in zip(tensors, _each("copy_", tensors, src)):
        t.copy_(s)


def _foreach_zero_(self: Any) -> None:
    """Zeros in each tensor."""
    for t in _listed("zero_", self):
        t.zero_()


def _foreach_clone(self: Any) -> Any:
    """A copy of each tensor."""
    return tuple(t.clone() for t in _listed("clone", self))


def _foreach_max(self: Any) -> Any:
    """The largest element of each tensor."""
    return tuple(t.max() for t in _listed("max", self))


for _name in (*_UNARY, *_BINARY, "lerp"):
    _publish(_name)
for _call in (
    _foreach_pow, _foreach_norm, _foreach_powsum, _foreach_mm, _foreach_copy_, _foreach_zero_,
    _foreach_clone, _foreach_max,
):  # fmt: skip
    _add(_call.__name__.removeprefix("_foreach_"), _call)


def _pow_(self: Any, exponent: Any) -> None:
    tensors = _listed("pow_", self)
    for t, e in zip(tensors, _each("pow_", tensors, exponent)):
        t.pow_(e)


_add("pow_", _pow_, "Each tensor to its exponent, in place.")


def _scaled(name: str) -> None:
    """addcmul and addcdiv: the last argument, ``value`` or ``scalars``, is a keyword there."""

    def made(self: Any, tensor1: Any, tensor2: Any, value: Any = 1, *, scalars: Any = None) -> Any:
        return tuple(
            getattr(t, name)(a, b, value=v) for t, a, b, v in rows(self, tensor1, tensor2, value,
                                                                   scalars)
        )  # fmt: skip

    def twin(
        self: Any, tensor1: Any, tensor2: Any, value: Any = 1, *, scalars: Any = None
    ) -> None:  # fmt: skip
        for t, a, b, v in rows(self, tensor1, tensor2, value, scalars):
            getattr(t, name + "_")(a, b, value=v)

    def rows(self: Any, tensor1: Any, tensor2: Any, value: Any, scalars: Any) -> Any:
        tensors = _listed(name, self)
        values = value if scalars is None else scalars
        if isinstance(values, Tensor):
            values = values.tolist()
        return zip(tensors, _each(name, tensors, tensor1), _each(name, tensors, tensor2),
                   _each(name, tensors, values))  # fmt: skip

    _add(name, made, f"`{name}` of each tensor.")
    _add(name + "_", twin, f"`{name}` of each tensor, in place.")


_scaled("addcmul")
_scaled("addcdiv")

__test__ = FOREACH  # for the doctest run: most of them are no names of this module
