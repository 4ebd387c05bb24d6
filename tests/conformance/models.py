"""Ordinary model files (`tests/models`) trained by PyTorch and by us from the same parameters."""

from __future__ import annotations

import time
from typing import Any

import torch

from tests.conformance.bridge import ours
from tests.models.loading import MODELS, load

__all__ = ["main"]

TOLERANCE = 1e-4  # relative, of every loss: float32 rounds differently, and training amplifies it

# File -> options of its train(); a file may be run in several ways.
RUNS = [(name, {}) for name in MODELS] + [
    ("gcn", {"sparse": False}),
    ("maml", {"transform": True}),
]


def difference(name: str, options: dict[str, Any]) -> str:
    """Where the losses part; empty if they do not."""
    theirs, mine = load(name, framework=False), load(name)
    torch.manual_seed(0)
    their_model, my_model = theirs.build(), mine.build()
    my_model.load_state_dict(ours(dict(their_model.state_dict())))
    expected, got = theirs.train(their_model, **options), mine.train(my_model, **options)
    for step, (e, g) in enumerate(zip(expected, got, strict=True)):
        if abs(e - g) > TOLERANCE * (1 + abs(e)):
            return f"loss {step} is {g:.6g}, not {e:.6g}"
    return ""


def main(options: Any) -> int:
    """Train every file in both; print those that part, and the score."""
    start = time.perf_counter()
    failing = 0
    for name, how in RUNS:
        try:
            text = difference(name, how)
        except Exception as error:
            text = f"raised {type(error).__name__}: {error}"
        if text:
            failing += 1
            print(f"models, {name} {how or ''}: {text}")
    print(
        f"models: {len(RUNS) - failing} of {len(RUNS)} ordinary model files train as in PyTorch, "
        f"loss by loss ({time.perf_counter() - start:.0f} s)"
    )
    return 1 if failing else 0
