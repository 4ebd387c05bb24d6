"""`rearrange`: the order and grouping of dimensions, told by a pattern as in einops."""

from __future__ import annotations

import math
import re
from typing import Any

from framework.ops.joining import stack
from framework.tensor import Tensor

__all__ = ["rearrange"]

_ALL = ["..."]  # the dimensions without names, where they are not joined to one
_TOKEN = re.compile(r"\s*(\.\.\.|[A-Za-z_]\w*|\d+|[()])")


def rearrange(
    tensor: Tensor | list[Tensor] | tuple[Tensor, ...], pattern: str, **axes_lengths: int
) -> Tensor:
    """Transpose, split, join, squeeze and unsqueeze dimensions: ``"b (h w) c -> b c h w"``.

    Names in parentheses are one dimension of the tensor; "1" is one of length 1; "..." are all
    dimensions that have no name. A list of tensors is stacked first.

    Args:
        axes_lengths: lengths of names in parentheses, of which one may be left out in each.

    Raises:
        ValueError: for a pattern that is none, does not fit the tensor, or names other dimensions
            on one side than on the other.
        TypeError: for a length that is no integer.

    >>> import framework as torch
    >>> from framework.func import rearrange
    >>> x = torch.arange(12).reshape(2, 6)
    >>> rearrange(x, "b (h w) -> h (b w)", h=2)
    tensor([[ 0,  1,  2,  6,  7,  8],
            [ 3,  4,  5,  9, 10, 11]])
    """
    whole: Any = tensor if isinstance(tensor, Tensor) else stack(list(tensor))
    left, right = _parsed(pattern)
    _check(left, right, axes_lengths)
    flat = [name for group in left for name in group]
    named = len(left) - (_ALL in left)
    if (_ALL in left and whole.ndim < named) or (["..."] not in left and whole.ndim != named):
        kind = "less than or equal to" if _ALL in left else "equal to"
        raise ValueError(
            f"Number of dimensions in pattern ({named}) must be {kind} the number of dimensions in "
            f"the tensor ({whole.ndim})"
        )
    sizes: dict[str, tuple[int, ...]] = {}
    shape = list(whole.shape)
    for group in left:
        if group is _ALL:
            rest = whole.ndim - named
            sizes["..."], shape = tuple(shape[:rest]), shape[rest:]
        else:
            sizes |= _split(group, shape.pop(0), axes_lengths, pattern)
    split = whole.reshape([n for name in flat for n in sizes[name]])
    places: dict[str, list[int]] = {}
    at = 0
    for name in flat:
        places[name] = list(range(at, at + len(sizes[name])))
        at += len(sizes[name])
    order = [d for group in right for name in group for d in places[name]]
    result: list[int] = []
    for group in right:
        lengths = [n for name in group for n in sizes[name]]
        result += lengths if group is _ALL else [math.prod(lengths)]
    return split.permute(order).reshape(result)


def _parsed(pattern: str) -> tuple[list[list[str]], list[list[str]]]:
    """Both sides of a pattern: the names of each dimension. A "1" is a dimension without any."""
    sides = pattern.split("->")
    if len(sides) != 2:
        raise ValueError("Pattern must contain a single '->' separator")
    left, right = (_side(side) for side in sides)
    if any("..." in group for group in right) and not any("..." in group for group in left):
        raise ValueError(f"Ellipsis found in right side, but not left side of a pattern {pattern}")
    if any("..." in group and group is not _ALL for group in left):
        raise ValueError(f"Ellipsis is parenthesis in the left side is not allowed: {pattern}")
    return left, right


def _side(text: str) -> list[list[str]]:
    found: list[list[str]] = []
    seen: set[str] = set()
    group: list[str] | None = None
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"Unknown character '{text[at:].strip()[0]}'")
        token, at = match.group(1), match.end()
        if token == "(":
            if group is not None:
                raise ValueError(
                    "Axis composition is one-level (brackets inside brackets not allowed)"
                )
            group = []
        elif token == ")":
            if group is None:
                raise ValueError("Brackets are not balanced")
            found.append(group)
            group = None
        elif token.isdigit():
            if token != "1":
                raise ValueError("rearrange only supports unnamed axes of size 1")
            if group is None:
                found.append([])
        else:
            if token in seen:
                raise ValueError(f"Indexing expression contains duplicate dimension '{token}'")
            seen.add(token)
            if group is None:
                found.append(_ALL if token == "..." else [token])
            else:
                group.append(token)
    if group is not None:
        raise ValueError(f"Imbalanced parentheses in expression: '{text}'")
    return found


def _check(left: Any, right: Any, lengths: dict[str, int]) -> None:
    for value in lengths.values():
        if type(value) is not int:
            raise TypeError(f"rearrange axis lengths must be integers, got: {type(value)}")
    ours, theirs = ({name for group in side for name in group} for side in (left, right))
    if ours != theirs:
        raise ValueError(
            "Identifiers only on one side of rearrange expression (should be on both): "
            f"{ours ^ theirs}"
        )
    if lengths.keys() - ours:
        raise ValueError(f"Identifiers not found in rearrange expression: {lengths.keys() - ours}")


def _split(
    group: list[str], size: int, lengths: dict[str, int], pattern: str
) -> dict[str, tuple[int, ...]]:
    """The lengths of the names that one dimension is made of."""
    known = math.prod(lengths[name] for name in group if name in lengths)
    open_names = [name for name in group if name not in lengths]
    if len(open_names) > 1:
        raise ValueError(f"rearrange: of {open_names} in {pattern!r} only one may have no length")
    if (known and size % known) or (not open_names and known != size):
        raise ValueError(
            f"rearrange: a dimension of length {size} is no ({' '.join(group) or '1'}) of "
            f"{ {n: lengths[n] for n in group if n in lengths} } in {pattern!r}"
        )
    rest = size // known if known else 0
    return {name: (lengths.get(name, rest),) for name in group}
