"""Calls that are wrong in one place each: refused as in PyTorch, with the same kind of error.

Of every entry of op_db one small valid call is changed: a tensor becomes a list, a number, text or
None; an argument goes missing or one comes too many; a keyword that is none; a tensor of another
type or shape; a dimension out of range, or of the wrong type. Both must accept the call, or raise
errors of the same kind.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch

from tests.conformance.bridge import Unsupported, describe, ours
from tests.conformance.comparing import copied, same_kind, short
from tests.conformance.op_db import Absent, Late, alarm, entries, implementation, prepare, reseed

__all__ = ["main"]

# What an argument that was a tensor is replaced by.
NO_TENSORS: dict[str, Callable[[torch.Tensor], Any]] = {
    "a list": lambda t: [1.0, 2.0],
    "text": lambda t: "a",
    "None": lambda t: None,
    "an object": lambda t: _OBJECT,
    "float32": lambda t: t.to(torch.float32),
    "float64": lambda t: t.to(torch.float64),
    "int32": lambda t: t.to(torch.int32),
    "int64": lambda t: t.to(torch.int64),
    "bool": lambda t: t.to(torch.bool),
    "complex64": lambda t: t.to(torch.complex64),
    "a shape of its own": lambda t: torch.ones(7, 5, 3, dtype=t.dtype),
    "0-d": lambda t: torch.ones((), dtype=t.dtype),
    "empty": lambda t: torch.ones(0, dtype=t.dtype),
}

# What another argument is replaced by.
NUMBERS: dict[str, Any] = {
    "text": "a", "None": None, "a float": 1.5, "100": 100, "-100": -100, "a list": [1],
    "a bool": True, "two": (0, 100), "complex": 1j,
}  # fmt: skip

# Of the calls this share must end as in PyTorch. What is left: functions that PyTorch has written
# in Python, which fail somewhere inside, and combinations of types that its kernels do not have.
LEAST = 0.945
EVERY = 8  # of a capped run: the entries looked at; their share is another than that of all
LEAST_OF_THOSE = 0.92


class _Object:
    def __repr__(self) -> str:
        return "OBJECT"


_OBJECT = _Object()

Call = tuple[tuple[Any, ...], dict[str, Any]]


def main(options: Any) -> int:
    """Compare every entry and print the score; 1 if fewer calls than `LEAST` end as in PyTorch."""
    names = options.op or list(entries())[:: EVERY if options.quick else 1]
    right = total = different = 0
    for name in names:
        found = _apart(name)
        if found is None:
            print(f"refusals, {name}: left out, a wrong call ends PyTorch's process")
            continue
        right += found[0]
        total += found[0] + len(found[1])
        different += bool(found[1])
        if options.list_failures:
            print(*[f"{name}, {line}" for line in found[1]], sep="\n", flush=True)
    print(
        f"refusals: {right} of {total} wrong calls end as in PyTorch "
        f"({100 * right / max(total, 1):.1f} %; {different} names differ somewhere)"
    )
    return int(right < (LEAST_OF_THOSE if options.quick else LEAST) * total)


def _apart(name: str) -> tuple[int, list[str]] | None:
    """`_judged` in a process of its own, which a wrong call may take down (then: None)."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        with os.fdopen(writing, "w") as end:
            json.dump(_judged(name), end)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as end:
        text = end.read()
    os.waitpid(pid, 0)
    return tuple(json.loads(text)) if text else None


def _judged(name: str) -> tuple[int, list[str]]:
    """How many wrong calls of a name end as in PyTorch, and the others in words."""
    prepare()
    info = entries()[name][0]
    mine = implementation(info)
    right, wrong = 0, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for change, call in _changed(info) if mine is not None else ():
            if change == "as it is" and _lacks(mine, call):
                break
            text = _compare(info.op, mine, call)
            if text:
                wrong.append(f"{change}: {text}")
            elif text is not None:
                right += 1
    return right, wrong


def _lacks(mine: Any, call: Call) -> bool:
    """Whether the valid call of an entry needs a name that we have not: none is judged then."""
    try:
        mine(*ours(call[0]), **ours(call[1]))
    except Absent:
        return True
    except Exception:
        return False
    return False


def _changed(info: Any) -> Iterator[tuple[str, Call]]:
    """Calls that differ from a valid one in one place, and in what."""
    reseed()
    dtype = torch.float32 if torch.float32 in info.dtypes else next(iter(info.dtypes))
    try:
        samples = list(info.sample_inputs("cpu", dtype))
    except Exception:
        return
    if not samples:
        return
    sample = max(samples[:6], key=lambda s: len(s.args) + len(s.kwargs))
    args, options = (sample.input, *sample.args), dict(sample.kwargs)
    yield "as it is", (args, options)
    yield "unknown keyword", (args, {**options, "nonsense": 1})
    yield "too many", ((*args, 1, 2, 3, 4, 5, 6, 7, 8, 9), options)
    yield "one more", ((*args, _OBJECT), options)
    for i in range(len(args)):
        yield f"{i} arguments", (args[:i], options)
        for change, value in _replaced(args[i]):
            yield f"{change} at {i}", ((*args[:i], value, *args[i + 1 :]), options)
    for key, value in options.items():
        for change, new in _replaced(value):
            yield f"{key} is {change}", (args, {**options, key: new})


def _replaced(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, torch.Tensor):
        for change, make in NO_TENSORS.items():
            try:
                new = make(value)
            except Exception:
                continue
            yield change, new
    elif isinstance(value, (list, tuple)) and any(isinstance(v, torch.Tensor) for v in value):
        kind = type(value)
        yield "text", "a"
        yield "None", None
        yield "a tensor", torch.ones(2)
        for change in ("text", "None", "a shape of its own", "int32", "complex64"):
            first = next(v for v in value if isinstance(v, torch.Tensor))
            with_it = [NO_TENSORS[change](first), *list(value)[1:]]
            yield f"[{change}]", kind(with_it) if not hasattr(value, "_fields") else with_it
    elif isinstance(value, (int, float, complex, str, list, tuple, torch.dtype)) or value is None:
        for change, new in NUMBERS.items():
            yield change, new
        yield "a tensor", torch.ones(2)


def _compare(theirs: Any, mine: Any, call: Call) -> str | None:
    """What differs, "" if nothing does; None if it cannot be compared."""
    try:
        args, options = ours(call[0]), ours(call[1])
    except Unsupported:
        return None
    other = _outcome(theirs, *_copied(call))
    got = _outcome(mine, args, options)
    shown = f"({describe(call[0])[1:-1]}{', ' if call[1] else ''}{describe(call[1])})"
    if isinstance(other, Late) or isinstance(got, Late):
        return None
    if other is None and got is None:
        return ""
    if other is None:
        if isinstance(got, NotImplementedError):
            return None
        return f"{shown} raised {short(got)}; PyTorch accepts it"
    if isinstance(other, NotImplementedError) and got is None:
        return ""  # a kernel that PyTorch has not, and we have
    if got is None:
        return f"{shown} is accepted, PyTorch: {short(other)}"
    if same_kind(got, other):
        return ""
    return f"{shown} raised {short(got)}, PyTorch: {short(other)}"


def _copied(call: Call) -> Call:
    args, options = call
    return tuple(copied(args[0], args[1:])) if args else (), dict(options)


def _outcome(f: Any, args: Any, options: Any) -> BaseException | None:
    reseed()
    try:
        with alarm(5.0):
            f(*args, **options)
    except Absent as error:
        return error.__cause__  # what our function raised
    except (Exception, Late) as error:
        return error
    return None
