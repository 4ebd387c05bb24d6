"""Random numbers on CUDA devices: the default generator serves them all.

All devices then draw the numbers that the CPU would draw. Without a CUDA device nothing happens,
as in PyTorch, where a seed would be kept for later.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from framework.cuda.devices import index_of, is_available, need
from framework.device import device_count
from framework.random import default_generator

__all__ = [
    "get_rng_state", "get_rng_state_all", "initial_seed", "manual_seed", "manual_seed_all", "seed",
    "seed_all", "set_rng_state", "set_rng_state_all",
]  # fmt: skip


def get_rng_state(device: Any = "cuda") -> Any:
    """State of the generator, as a tensor."""
    index_of(device)
    return default_generator.get_state()


def get_rng_state_all() -> list[Any]:
    """States of all devices' generators."""
    return [default_generator.get_state() for _ in range(device_count())]


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Put the generator back into a state."""
    if is_available():
        index_of(device)
        default_generator.set_state(new_state)


def set_rng_state_all(new_states: Iterable[Any]) -> None:
    """Put all devices' generators back into states; they are one, so the last counts."""
    for index, state in enumerate(new_states):
        set_rng_state(state, index)


def manual_seed(seed: int) -> None:
    """Seed the generator.

    >>> import framework as torch
    >>> torch.cuda.manual_seed(0)
    """
    if is_available():
        default_generator.manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """As `manual_seed`."""
    manual_seed(seed)


def seed() -> None:
    """Seed the generator from the system."""
    if is_available():
        default_generator.seed()


def seed_all() -> None:
    """As `seed`."""
    seed()


def initial_seed() -> int:
    """The generator's seed."""
    need()
    return default_generator.initial_seed()
