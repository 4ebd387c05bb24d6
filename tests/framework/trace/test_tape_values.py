"""The columns of a recording's values answer as a dict of lists would."""

from __future__ import annotations

import random
from bisect import bisect_right
from typing import Any

import numpy as np
import pytest

from framework.trace.summary import summarize
from framework.trace.tape_values import Value, Values


class Plain:
    """What a tensor held, by event."""

    def __init__(self) -> None:
        self.held: dict[int, dict[int, Any]] = {}
        self.blobs: dict[bytes, tuple[int, int]] = {}

    def find(self, ident: int, seq: int) -> tuple[int, Any] | None:
        held = self.held.get(ident, {})
        seqs = sorted(held)
        i = bisect_right(seqs, seq) if seq else len(seqs)
        return (seqs[i - 1], held[seqs[i - 1]]) if i else None


@pytest.mark.parametrize("seed", range(8))
def test_values_are_found_as_in_a_dict(seed: int) -> None:
    chance = random.Random(seed)
    values, plain = Values(), Plain()
    idents = [1, 2, 3, -5, 2**63 - 1, -(2**63), 77]
    names = [chance.randbytes(chance.choice([12, 16])) for _ in range(6)]
    summary = summarize(np.arange(3.0))
    for _ in range(60):
        what = chance.randrange(4)
        if what == 0:
            rows = [
                (chance.choice(idents), chance.randrange(1, 40), chance.choice(names),
                 chance.choice(["float32", "int64"]), (chance.randrange(3),))
                for _ in range(chance.randrange(6))
            ]  # fmt: skip
            values.take(rows)
            for ident, seq, *rest in rows:
                plain.held.setdefault(ident, {})[seq] = Value(*rest)
        elif what == 1:
            row = chance.choice(idents), chance.randrange(1, 40), summary
            values.take_summaries([row])
            plain.held.setdefault(row[0], {})[row[1]] = summary
        elif what == 2:
            name, at = chance.choice(names), chance.randrange(1000)
            values.take_blob(name, at, 8)
            plain.blobs[name] = at, 8
        for _ in range(3):
            ident, seq = chance.choice(idents), chance.randrange(42)
            assert values.find(ident, seq) == plain.find(ident, seq)
        assert values.blob(names[0]) == plain.blobs.get(names[0])
    assert values.count == sum(map(len, plain.held.values()))
    assert values.size == 8 * len(plain.blobs)
    assert sorted(map(str, values)) == sorted(
        str(what) for held in plain.held.values() for what in held.values()
    )


def test_numbers_that_nothing_can_have_are_refused_whole() -> None:
    values = Values()
    name = b"n" * 12
    with pytest.raises(OverflowError):
        values.take([(1, 1, name, "float32", ()), (2**64 - 1, 1, name, "float32", ())])
    values.take([(1, 1, b"of another length", "float32", ())])
    assert values.count == 0 and values.find(2**64 - 1, 0) is None and values.size == 0
    values.take([(1, 3, name, "float32", ())])
    assert values.find(1, 0) == (3, Value(name, "float32", ()))


def test_a_value_takes_little_memory() -> None:
    import tracemalloc

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    values = Values()
    for i in range(1, 20_001):
        name = i.to_bytes(12, "big")
        values.take([(i, i, name, "float32", (8,))])
        values.take_blob(name, 100 * i, 32)
    assert values.find(500, 600) is not None and values.blob((7).to_bytes(12, "big")) is not None
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert taken < 100 * 20_000
