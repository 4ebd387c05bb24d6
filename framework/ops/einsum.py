"""`einsum`: sums of products by index letters, as a chain of batched matrix products."""

from __future__ import annotations

import math
import string
from typing import Any

from framework.core.dispatch import composite
from framework.core.registry import function
from framework.dtypes import NAMES
from framework.ops.products import matmul
from framework.tensor import Tensor

__all__ = ["einsum"]

# Subscripts are numbers from here on: letters 0 to 51 as PyTorch counts them, then the dimensions
# that an ellipsis stands for.
_NUMBER = {c: i for i, c in enumerate(string.ascii_uppercase + string.ascii_lowercase)}
_LETTER = string.ascii_uppercase + string.ascii_lowercase
_DOTS = len(_LETTER)
_ELLIPSIS = -1


@function(method=False, checks=True)
@composite
def einsum(*args: Any) -> Tensor:
    """Sums of products by index letters (Einstein's convention).

    ``einsum("bij,bjk->bik", a, b)``; or each operand followed by a list of numbers for its
    dimensions, and the result's list at the end: ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.
    ``...`` stands for any further dimensions, which broadcast; a letter that stands twice in an
    operand takes its diagonal; without ``->`` the result has the letters that stand once, in
    alphabetical order.

    Two operands at a time, each pair as one batched matrix product; of more than two the pair whose
    result is smallest comes first.

    Raises:
        RuntimeError: the letters do not fit the operands; says where.

    >>> import framework as torch
    >>> torch.einsum("ij,ij->", torch.ones(2, 3), torch.ones(2, 3)).item()
    6.0
    >>> torch.einsum(torch.eye(3), [0, 0], [0])
    tensor([1., 1., 1.])
    """
    terms, out, operands = _parsed(args)
    terms, out = _dots_numbered(terms, out, operands)
    labelled = [_diagonals(k, t, x) for k, (t, x) in enumerate(zip(terms, operands))]
    _check_sizes(labelled)
    if out is None:
        out = _implied(terms)
    kept = set(out)
    while len(labelled) > 1:
        i, j = _cheapest(labelled, kept)
        b, a = labelled.pop(j), labelled.pop(i)
        later = kept.union(*[t for t, _ in labelled])
        pair = _contract(*a, *b, later)
        if len(labelled) == i:
            labelled.append(pair)
        else:
            labelled.insert(i, pair)
    term, x = labelled[0]
    gone = [i for i, letter in enumerate(term) if letter not in kept]
    if gone:
        x = x.sum(gone)
        term = [letter for letter in term if letter in kept]
    return x.permute(*[term.index(letter) for letter in out]) if term else x


# -- reading the equation ----------------------------------------------------------------------

Term = list[int]


def _parsed(args: tuple[Any, ...]) -> tuple[list[Term], Term | None, list[Tensor]]:
    """Subscripts of the operands and of the result (None: not given), and the operands."""
    if not args:
        raise TypeError("einsum() missing 1 required positional argument: 'equation'")
    if isinstance(args[0], str):
        operands = args[1:]
        if len(operands) == 1 and isinstance(operands[0], (tuple, list)):
            operands = tuple(operands[0])
        terms, out = _from_text(args[0])
    elif len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one "
            "operand and its subscripts list"
        )
    else:
        operands = args[0::2] if len(args) % 2 == 0 else args[0:-1:2]
        lists = args[1::2] if len(args) % 2 == 0 else (*args[1:-1:2], args[-1])
        found = [_from_list(s) for s in lists]
        terms, out = (found, None) if len(args) % 2 == 0 else (found[:-1], found[-1])
    if not operands:
        raise RuntimeError("einsum(): must provide at least one operand")
    for i, x in enumerate(operands):
        if not isinstance(x, Tensor):
            raise TypeError(
                f"expected Tensor as element {i} in argument 1, but got {type(x).__name__}"
            )
    if len(operands) < len(terms):
        raise RuntimeError("einsum(): fewer operands were provided than specified in the equation")
    if len(operands) > len(terms):
        raise RuntimeError("einsum(): more operands were provided than specified in the equation")
    return terms, out, list(operands)


def _from_list(numbers: Any) -> Term:
    term = []
    for n in numbers:
        if n is not Ellipsis and not 0 <= int(n) < _DOTS:
            raise RuntimeError(
                f"einsum(): not a valid subscript {n}, subscripts must be in [0, {_DOTS})"
            )
        term.append(_ELLIPSIS if n is Ellipsis else int(n))
    return term


def _from_text(equation: str) -> tuple[list[Term], Term | None]:
    left, arrow, right = equation.partition("->")
    terms = []
    at = 0
    for k, part in enumerate(left.split(",")):
        terms.append(_letters(part, at, f"for operand {k}"))
        at += len(part) + 1
    return terms, _letters(right, at + 1, "for the output") if arrow else None


def _letters(text: str, at: int, where: str) -> Term:
    term: Term = []
    i = 0
    while i < len(text):
        c = text[i]
        if c == ".":
            if text[i : i + 3] != "...":
                raise RuntimeError(f"einsum(): found '.' {where} that is not part of any ellipsis")
            if _ELLIPSIS in term:
                raise RuntimeError(
                    f"einsum(): found '.' {where} for which an ellipsis was already found"
                )
            term.append(_ELLIPSIS)
            i += 3
            continue
        if c in _NUMBER:
            term.append(_NUMBER[c])
        elif c != " ":
            raise RuntimeError(
                f"einsum(): invalid subscript given at index {at + i} in the equation string, "
                "subscripts must be in [a-zA-Z]"
            )
        i += 1
    return term


def _dots_numbered(
    terms: list[Term], out: Term | None, operands: list[Tensor]
) -> tuple[list[Term], Term | None]:
    """Each ellipsis replaced by numbers for the dimensions that it stands for, aligned right."""
    counts = []
    for k, (term, x) in enumerate(zip(terms, operands)):
        named = len(term) - (_ELLIPSIS in term)
        if _ELLIPSIS in term and named > x.ndim:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) is more than the "
                f"number of dimensions ({x.ndim}) for operand {k}"
            )
        if _ELLIPSIS not in term and named != x.ndim:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({named}) does not match the "
                f"number of dimensions ({x.ndim}) for operand {k} and no ellipsis was given"
            )
        counts.append(x.ndim - named)
    widest = max(counts)
    dots = list(range(_DOTS, _DOTS + widest))
    full = [_filled(t, dots[widest - n :]) for t, n in zip(terms, counts)]
    if out is None:
        return full, None
    seen = set().union(*full)
    for i, letter in enumerate(out):
        if letter == _ELLIPSIS:
            continue
        if letter in out[:i]:
            raise RuntimeError(
                f"einsum(): output subscript {_name(letter)} appears more than once in the output"
            )
        if letter not in seen:
            raise RuntimeError(
                f"einsum(): output subscript {_name(letter)} does not appear in the equation for "
                "any input operand"
            )
    return full, _filled(out, dots)


def _filled(term: Term, dots: Term) -> Term:
    if _ELLIPSIS not in term:
        return term
    i = term.index(_ELLIPSIS)
    return term[:i] + dots + term[i + 1 :]


def _implied(terms: list[Term]) -> Term:
    every = [letter for term in terms for letter in term]
    dots = sorted({n for n in every if n >= _DOTS})
    return dots + sorted(n for n in set(every) if n < _DOTS and every.count(n) == 1)


def _name(letter: int) -> str:
    return _LETTER[letter] if letter < _DOTS else "..."


def _diagonals(k: int, term: Term, x: Any) -> tuple[Term, Any]:
    """A letter that stands twice in one operand takes the diagonal."""
    for letter in sorted({c for c in term if term.count(c) > 1}):
        while term.count(letter) > 1:
            i = term.index(letter)
            j = term.index(letter, i + 1)
            if x.shape[i] != x.shape[j]:
                raise RuntimeError(
                    f"einsum(): subscript {_name(letter)} is repeated for operand {k} but the "
                    f"sizes don't match, {x.shape[j]} != {x.shape[i]}"
                )
            x = x.diagonal(0, i, j)
            term = [c for m, c in enumerate(term) if m not in (i, j)] + [letter]
    return term, x


def _check_sizes(labelled: list[tuple[Term, Any]]) -> None:
    sizes: dict[int, int] = {}
    for k, (term, x) in enumerate(labelled):
        for letter, n in zip(term, x.shape):
            known = sizes.setdefault(letter, n)
            if known == 1:
                sizes[letter] = n
            elif n not in (1, known):
                raise RuntimeError(
                    f"einsum(): subscript {_name(letter)} has size {n} for operand {k} which does "
                    f"not broadcast with previously seen size {known}"
                )


# -- contracting -------------------------------------------------------------------------------


def _sizes(*pairs: tuple[Term, Any]) -> dict[int, int]:
    size: dict[int, int] = {}
    for term, x in pairs:
        for letter, n in zip(term, x.shape):
            size[letter] = n if size.get(letter, 1) == 1 else size[letter]
    return size


def _cheapest(labelled: list[tuple[Term, Any]], kept: set[int]) -> tuple[int, int]:
    """The pair whose product is smallest compared with the two that it replaces."""
    n = len(labelled)
    if n == 2:
        return 0, 1
    found: tuple[float, int, int] | None = None
    for j in range(n):
        for i in range(j):
            a, b = labelled[i], labelled[j]
            size = _sizes(a, b)
            later = kept.union(*[t for k, (t, _) in enumerate(labelled) if k not in (i, j)])
            result = math.prod([m for letter, m in size.items() if letter in later])
            gain = result - a[1].numel() - b[1].numel()
            if found is None or gain < found[0]:
                found = (gain, i, j)
    assert found is not None
    return found[1], found[2]


def _summed(term: Term, x: Any, gone: list[int]) -> tuple[Term, Any]:
    if not gone:
        return term, x
    kept = [c for i, c in enumerate(term) if i not in gone]
    return kept, x.sum(gone)


def _contract(a: Term, x: Any, b: Term, y: Any, later: set[int]) -> tuple[Term, Any]:
    """One pair: letters kept in both are batches, shared ones that end here are summed."""
    size, kind, other = _sizes((a, x), (b, y)), x.dtype, y.dtype
    # What ends here and is in one only (or of length 1 in the other) is summed before.
    whole_a = {c for c, n in zip(a, x.shape) if n == size[c]}
    whole_b = {c for c, n in zip(b, y.shape) if n == size[c]}
    ends = {c for c in size if c not in later}
    single = {c for c in ends if (c not in whole_a) or (c not in whole_b)}
    a, x = _summed(a, x, [i for i, c in enumerate(a) if c in single])
    b, y = _summed(b, y, [i for i, c in enumerate(b) if c in single])
    batch = [c for c in a if c in b and c in later]
    summed = [c for c in a if c in b and c not in later]
    if summed and kind is not other:
        raise RuntimeError(f"expected scalar type {NAMES[kind]} but found {NAMES[other]}")
    rows = [c for c in a if c not in b]
    columns = [c for c in b if c not in a]
    if a:
        x = x.permute(*[a.index(c) for c in batch + rows + summed])
    if b:
        y = y.permute(*[b.index(c) for c in batch + summed + columns])
    if not summed:  # nothing to add up: one multiplication with broadcasting
        n = len(batch) + len(rows)
        x = x.reshape(*x.shape[:n], *(1,) * len(columns))
        y = y.reshape(*y.shape[: len(batch)], *(1,) * len(rows), *y.shape[len(batch) :])
        return batch + rows + columns, x * y

    if x.dtype is not y.dtype:  # a sum of integers is int64
        x, y = x.to(kind), y.to(kind)

    def length(letters: Term) -> int:
        return math.prod([size[c] for c in letters])

    lead = [size[c] for c in batch]
    x = x.expand(*lead, *[size[c] for c in rows + summed])
    y = y.expand(*lead, *[size[c] for c in summed + columns])
    x = x.reshape(*lead, length(rows), length(summed))
    y = y.reshape(*lead, length(summed), length(columns))
    z = matmul(x, y).reshape(*lead, *[size[c] for c in rows + columns])
    return batch + rows + columns, z
