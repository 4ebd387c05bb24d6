"""What results of PyTorch's op_db samples look like, theirs and ours: here on the ``meta`` device.

Shapes, dtypes and, told apart, strides and whether they want a gradient. What PyTorch has no meta
kernel for, or another result than on the CPU, is compared with its results on the CPU. `strides`
does the same on the CPU.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections import Counter
from typing import Any

import numpy as np
import torch

import framework
from framework.device import META
from framework.kernels.meta import meta_array
from framework.tensor import wrap
from tests.conformance import op_db
from tests.conformance.bridge import DTYPES, Unsupported, ours
from tests.conformance.comparing import copied, flat, short

__all__ = ["main", "score"]

KINDS = (torch.float32, torch.complex64, torch.int64, torch.bool)
MOST = 6  # samples of a name and dtype: their looks repeat


def on_meta(value: Any, seen: dict[int, Any]) -> Any:
    """A copy of PyTorch's ``value`` whose tensors lie on meta, with the same strides."""
    return _mapped(value, seen, lambda t: torch.empty_strided(
        t.shape, t.stride(), dtype=t.dtype, device="meta"
    ).requires_grad_(t.requires_grad), torch.Tensor)  # fmt: skip


def ours_on_meta(value: Any, seen: dict[int, Any]) -> Any:
    """The same of our values."""

    def moved(t: Any) -> Any:
        array = t._data
        made = wrap(meta_array(array.shape, array.dtype, array.strides), META)
        return made.requires_grad_(t.requires_grad)

    return _mapped(value, seen, moved, framework.Tensor)


def _mapped(value: Any, seen: dict[int, Any], move: Any, kind: Any) -> Any:
    if isinstance(value, kind):
        if id(value) not in seen:
            seen[id(value)] = move(value), value
        return seen[id(value)][0]
    if isinstance(value, (list, tuple)) and not hasattr(value, "numel"):
        items = [_mapped(v, seen, move, kind) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {k: _mapped(v, seen, move, kind) for k, v in value.items()}
    return value


def looks(value: Any) -> list[Any]:
    """Shape, dtype and strides of each tensor of a result."""
    found = []
    for v in flat(value):
        if isinstance(v, (torch.Tensor, framework.Tensor)):
            kind = str(v.dtype).removeprefix("torch.")
            found.append((tuple(v.shape), kind, _strides(v), bool(v.requires_grad)))
        else:
            found.append(type(v).__name__)
    return found


def _strides(t: Any) -> Any:
    """Those that matter: of dimensions of one element, and of no elements, they do not."""
    if not t.numel():
        return ()
    return tuple([s for s, n in zip(t.stride(), t.shape) if n != 1])


class Tally:
    """What was found out about one name."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.notes: list[str] = []

    def add(self, verdict: str, note: str = "") -> None:
        self.count[verdict] += 1
        if note:
            self.notes.append(f"{verdict}: {note}")


def compare(name: str, infos: list[Any], cap: int, device: str) -> Tally:
    """All samples of a name on ``device``: "meta", or "cpu" for the strides."""
    tally = Tally()
    for info in infos:
        call = op_db.implementation(info)
        if call is None:
            tally.add("absent")
            continue
        for dtype in [d for d in KINDS if d in info.dtypes and d in DTYPES]:
            wants = dtype.is_floating_point and info.supports_autograd
            try:
                made = list(info.sample_inputs("cpu", dtype, requires_grad=wants))
            except Exception:
                continue
            for sample in made[:: max(len(made) // cap, 1)][:cap]:
                one(tally, info, call, sample, device)
    return tally


def one(tally: Tally, info: Any, call: Any, sample: Any, device: str) -> None:
    args = (sample.input, *sample.args)
    options = sample.kwargs
    try:
        seen: dict[Any, Any] = {}
        mine = ours(args, seen), ours(options, seen)
    except Unsupported:
        return
    op_db.reseed()
    theirs = args, options
    if device == "meta":
        memo: dict[int, Any] = {}
        theirs = on_meta(args, memo), on_meta(options, memo)
        memo = {}
        mine = ours_on_meta(mine[0], memo), ours_on_meta(mine[1], memo)
    refused = None
    try:
        expected = looks(info.op(*theirs[0], **theirs[1]))
    except Exception as error:
        refused = error
        try:
            expected = looks(info.op(*copied(sample.input, sample.args), **options))
        except Exception:
            return
    note = f"{[_look(a) for a in flat(args)]} {options}"[:160]
    try:
        with op_db.alarm(op_db.SAMPLE_SECONDS):
            got = looks(call(*mine[0], **mine[1]))
    except (NotImplementedError, op_db.Late) as error:
        verdict = "both refuse" if refused is not None else "refused"
        tally.add(
            verdict, f"{note} {short(error) if str(error) else error!r}" if refused is None else ""
        )
        return
    except Exception as error:
        verdict = "both refuse" if refused is not None else "raises"
        tally.add(verdict, f"{note} {short(error)}" if refused is None else "")
        return
    if device == "meta" and refused is None and _unlike(got, expected):
        # PyTorch's meta kernels do not always do what those of the CPU do.
        expected = looks(info.op(*args, **options))
    if _unlike(got, expected):
        by_value = refused is not None
        tally.add("BY VALUE" if by_value else "WRONG", f"{note} got {got} expected {expected}")
    elif any(g[2] != e[2] for g, e in zip(got, expected) if isinstance(g, tuple)):
        tally.add("strides", f"{note} got {got} expected {expected}")
    elif any(g[3] != e[3] for g, e in zip(got, expected) if isinstance(g, tuple)):
        tally.add("requires_grad", f"{note} got {got} expected {expected}")
    else:
        tally.add("right" if refused is None else "more")


def _unlike(got: list[Any], expected: list[Any]) -> bool:
    return len(got) != len(expected) or any(_differ(g, e) for g, e in zip(got, expected))


def _differ(g: Any, e: Any) -> bool:
    return g[:2] != e[:2] if isinstance(g, tuple) and isinstance(e, tuple) else g != e


def _look(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype)[6:]}{tuple(value.shape)}/{value.stride()}"
    return value


def main(options: Any) -> int:
    """Print the score; 1 if a shape is wrong."""
    return score(options, "meta", "meta")


def score(options: Any, suite: str, device: str) -> int:
    """Compare all names on ``device`` and print what differs; 1 if a shape or a dtype does."""
    cap = 1 if options.quick else min(options.cap, MOST)
    op_db.prepare()
    total: Counter[str] = Counter()
    names: Counter[str] = Counter()
    entries = op_db.entries()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for name, infos in entries.items():
            if options.op and name not in options.op:
                continue
            tally = compare(name, infos, cap, device)
            total += tally.count
            bad = [v for v in tally.count if v not in ("right", "both refuse", "more", "absent")]
            names["right" if not bad else "not"] += 1
            for verdict in bad:
                print(f"{name:40} {verdict} {tally.count[verdict]} of {tally.count.total()}")
            for note in tally.notes if options.list_failures else tally.notes[:1]:
                print("    ", re.sub(r"\s+", " ", note)[:400])
            sys.stdout.flush()
    print(f"{suite}: {names['right']} of {names.total()} names right; samples: {dict(total)}")
    return int(total["WRONG"] > 0)
