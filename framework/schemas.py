"""The schema of a function as PyTorch writes it: ``(Tensor x, float scale=1.0) -> Tensor``."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

from framework.device import device
from framework.dtypes import dtype
from framework.tensor import Tensor

__all__ = ["infer_schema"]

_KINDS = {
    Tensor: "Tensor", int: "SymInt", float: "float", bool: "bool", str: "str",
    dtype: "ScalarType", device: "Device",
}  # fmt: skip
_SCALAR = frozenset((int, float, bool))
_IN_LISTS = frozenset((Tensor, int, float, bool))


def infer_schema(
    prototype_function: Callable[..., Any], /, *, mutates_args: Any,
    op_name: str | None = None, tags: Any = None,
) -> str:  # fmt: skip
    """The schema of a function, from its annotations and defaults.

    ValueError for a parameter or a result without an annotation, or with one that no schema has.

    Args:
        mutates_args: the names of the arguments that are written to, or "unknown" for all of them.
        op_name: stands before the schema.

    >>> import framework as torch
    >>> def scaled(x: torch.Tensor, by: float = 2.0, *, out: torch.Tensor | None = None) -> None:
    ...     pass
    >>> torch.library.infer_schema(scaled, mutates_args={"out"})
    '(Tensor x, float by=2.0, *, Tensor(a2!)? out=None) -> ()'
    """
    signature = inspect.signature(prototype_function)

    def fail(words: str) -> ValueError:
        return ValueError(f"infer_schema(func): {words} Got func with signature {signature})")

    try:
        said = typing.get_type_hints(prototype_function, localns=_names())
    except Exception as error:  # annotations are evaluated, which may raise anything
        raise fail(f"Unsupported type annotation: {error}.") from None
    parts, starred = [], False
    for i, (name, parameter) in enumerate(signature.parameters.items()):
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise fail("We do not support positional-only args, varargs, or varkwargs.")
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            parts.append("*")
        if parameter.annotation is parameter.empty:
            raise fail(f"Parameter {name} must have a type annotation.")
        kind = _input(said[name])
        if kind is None:
            raise fail(
                f"Parameter {name} has unsupported type {said[name]}. The valid types are: Tensor, "
                "int, float, bool, str, dtype, device, Union[int, float, bool], Optional and lists "
                "of them."
            )
        written = mutates_args == "unknown" or name in mutates_args
        if written and kind.startswith("Tensor"):
            kind = f"Tensor(a{i}!){kind.removeprefix('Tensor')}"
        elif written and mutates_args != "unknown":
            raise fail(f"Parameter {name} is in mutable_args but only Tensors can be mutated.")
        parts.append(f"{kind} {name}{_default(parameter, name, fail)}")
    if not isinstance(mutates_args, str):
        _check_names(mutates_args, signature, fail)
    if signature.return_annotation is signature.empty:
        raise fail("No return type annotation was provided. Please add one.")
    result = _output(said["return"])
    if result is None:
        raise fail(f"Return has unsupported type {said['return']}.")
    return f"{op_name or ''}({', '.join(parts)}) -> {result}"


def _names() -> dict[str, Any]:
    """What annotations in text may mean without saying where it is from."""
    return {
        "Tensor": Tensor, "dtype": dtype, "device": device,
        **{n: getattr(typing, n) for n in ("List", "Optional", "Sequence", "Tuple", "Union")},
    }  # fmt: skip


def _check_names(names: Iterable[str], signature: Any, fail: Callable[[str], ValueError]) -> None:
    unknown = {n for n in names if n not in signature.parameters}
    if unknown:
        raise fail(
            f"{unknown} in mutates_args were not found in the custom op's signature. mutates_args "
            "should contain the names of all args that the custom op mutates, or just the string "
            "'unknown' if you don't know."
        )


def _default(parameter: Any, name: str, fail: Callable[[str], ValueError]) -> str:
    value = parameter.default
    if value is parameter.empty:
        return ""
    if isinstance(value, str):
        return f'="{value}"'
    if value is None or isinstance(value, (int, float)):
        return f"={value}"
    if isinstance(value, (dtype, device)):
        return f"={str(value).removeprefix('torch.')}"
    raise fail(
        f"Parameter {name} has an unsupported default value type {type(value)}. Please use None "
        "or a number."
    )


def _input(said: Any) -> str | None:
    """The kind of a parameter; None if no schema has such."""
    plain = _KINDS.get(said) if isinstance(said, type) else None
    if plain is not None:
        return plain
    origin, inside = typing.get_origin(said), typing.get_args(said)
    if origin in (typing.Union, types.UnionType):
        rest = [t for t in inside if t is not type(None)]
        optional = "?" if len(rest) < len(inside) else ""
        if frozenset(rest) == _SCALAR:
            return "Scalar" + optional
        kind = _input(rest[0]) if len(rest) == 1 else None
        return None if kind is None else kind + optional
    if origin in (list, collections.abc.Sequence) and len(inside) == 1:
        element = inside[0]
        if element in _IN_LISTS:
            return f"{_KINDS[element]}[]"
        inner = _input(element) if typing.get_origin(element) is not None else None
        return f"{inner}[]" if inner in ("Tensor?", "Scalar") else None
    return None


def _output(said: Any) -> str | None:
    """What a function returns; None if no schema has such."""
    if said is None or said is type(None):
        return "()"
    if typing.get_origin(said) is tuple:
        parts = [_output(t) for t in typing.get_args(said)]
        return None if None in parts else f"({', '.join(map(str, parts))})"
    kind = _input(said)
    return kind if kind in ("Tensor", "Tensor[]", "SymInt", "float", "bool", "Scalar") else None
