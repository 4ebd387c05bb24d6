"""CuPy 13, if ``STAND_IN_CUPY`` in the environment says so: what it does otherwise than 14.

Read in the sources of 13.2 and 13.6; ``thirteen.txt`` has names, signatures and loops. Above all a
number beside an array counts by its value: ``float16 * np.float32(0.5)`` is float16 there, and
``int8 + 300`` int16. It knows no bfloat16, and what NumPy 2 no longer has it looks for in vain.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["LACKS", "LOOPS", "OLD", "TAKES", "VERSION", "computed", "no_bfloat16", "real_parts"]

VERSION = os.environ.get("STAND_IN_CUPY", "14.2.0")
OLD = int(VERSION.partition(".")[0]) < 14
LACKS: dict[str, set[str]] = {}  # names, by kind
TAKES: list[str] = []  # lines as those of signatures.txt
LOOPS: dict[str, list[tuple[str, str]]] = {}  # types of operands and results, by ufunc

for _line in Path(__file__).parents[1].joinpath("thirteen.txt").read_text().splitlines() * OLD:
    _names, _, _words = _line.partition(": ")
    if _line.startswith("takes "):
        TAKES.append(_line.removeprefix("takes "))
    elif _line.startswith("loops "):
        for _name in _names.split()[1:]:
            _loops = LOOPS.setdefault(_name, [])
            _loops += [(w.partition("->")[0], w.partition("->")[2]) for w in _words.split()]
    elif not _line.startswith("#"):
        LACKS.setdefault(_names, set()).update(_words.split())


def no_bfloat16(dtype: Any) -> None:
    """It would let an array of bytes be made, with which nothing can be done."""
    if OLD and np.dtype(dtype).kind == "V":
        raise ValueError(f"Unsupported dtype {dtype}")


def real_parts(source: Any, target: Any) -> None:
    """It warns in a way that NumPy 2 has not: `numpy.ComplexWarning`."""
    if OLD and np.dtype(source).kind == "c" and np.dtype(target).kind not in "bc":
        raise AttributeError("module 'numpy' has no attribute 'ComplexWarning'")


_SCORES = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 2}


def _of_number(x: Any) -> tuple[Any, ...]:
    """The least types for a number; of one that is not negative, with and without a sign."""
    found = np.min_scalar_type(x)
    if found.kind == "u" and x <= np.iinfo(found).max // 2:
        return found, np.dtype(found.char.lower())
    return (found,)


def _loop(name: str, given: list[Any], arrays: list[bool], dtype: Any) -> tuple[str, str]:
    if dtype is not None:
        for loop in LOOPS[name]:
            if all(np.dtype(c) == dtype for c in loop[1]):
                return loop
        raise TypeError(f"Wrong type ({dtype}) of arguments for cupy_{name}")
    score = [_SCORES[np.result_type(x).kind] for x in given]
    above = max((s for s, there in zip(score, arrays) if not there), default=-1)
    by_value = any(arrays) and 0 <= above <= max(s for s, t in zip(score, arrays) if t)
    types = [
        _of_number(x) if by_value and not there else (x.dtype,) for x, there in zip(given, arrays)
    ]
    for loop in LOOPS[name]:
        if all(any(np.can_cast(t, c) for t in ts) for ts, c in zip(types, loop[0])):
            return loop
    raise TypeError(f"Wrong type ({types}) of arguments for cupy_{name}")


def computed(name: str, call: Any, args: Any, arrays: list[bool], options: Any) -> Any:
    """``call`` of NumPy arrays, of which ``arrays`` stand for CuPy's, by CuPy 13's loop."""
    count = len(LOOPS[name][0][0])
    given = [x if hasattr(x, "dtype") else _numpys(x) for x in args[:count]]
    out = options.get("out")
    outs = tuple(args[count:]) if out is None else out if isinstance(out, tuple) else (out,)
    kinds, results = _loop(name, given, arrays[:count], options.get("dtype"))
    floats = np.dtype(results[0]).kind == "f" and np.dtype(kinds[-1]).kind in "iub"
    cast = [np.asarray(x).astype(results[0] if floats else k) for x, k in zip(given, kinds)]
    found = call(*cast)
    several = isinstance(found, tuple)
    made = [np.asarray(f).astype(k) for f, k in zip(found if several else (found,), results)]
    for i, out in enumerate(outs):
        if not np.can_cast(made[i].dtype, out.dtype, options.get("casting", "same_kind")):
            raise TypeError(f"Cannot cast output operand from {made[i].dtype!r} to {out.dtype!r}")
        out[...] = made[i]
        made[i] = out
    return tuple(made) if several else made[0]


def _numpys(x: Any) -> Any:
    """A number of Python's as NumPy's: of 64 bits."""
    if isinstance(x, bool):
        return np.bool_(x)
    if isinstance(x, int):
        return np.uint64(x) if x >= 1 << 63 else np.int64(x)
    return np.float64(x) if isinstance(x, float) else np.complex128(x)
