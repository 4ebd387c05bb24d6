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
    """State of the generator, as a uint8 tensor on the CPU, of shape (16,).

    AssertionError without a CUDA device.

    >>> import framework as torch
    >>> torch.cuda.get_rng_state().shape
    torch.Size([16])
    """
    index_of(device)
    return default_generator.get_state()


def get_rng_state_all() -> list[Any]:
    """States of all devices' generators: one for each, all the same here.

    Each a uint8 tensor of shape (16,); an empty list without CUDA.

    >>> import framework as torch
    >>> len(torch.cuda.get_rng_state_all())
    2
    """
    return [default_generator.get_state() for _ in range(device_count())]


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Put the generator back into a state that `get_rng_state` gave; nothing without CUDA.

    TypeError unless it is a uint8 tensor, RuntimeError if it has another size.

    >>> import framework as torch
    >>> state = torch.cuda.get_rng_state()
    >>> first = torch.rand(2, device="cuda")
    >>> torch.cuda.set_rng_state(state)
    >>> torch.equal(torch.rand(2, device="cuda"), first)
    True
    """
    if is_available():
        index_of(device)
        default_generator.set_state(new_state)


def set_rng_state_all(new_states: Iterable[Any]) -> None:
    """Put all devices' generators back into states; they are one, so the last counts.

    TypeError unless they are uint8 tensors, RuntimeError if one has another size.

    >>> import framework as torch
    >>> torch.cuda.set_rng_state_all(torch.cuda.get_rng_state_all())
    """
    for index, state in enumerate(new_states):
        set_rng_state(state, index)


def manual_seed(seed: int) -> None:
    """Seed the generator: the default one, which serves the CPU too. Nothing without CUDA.

    ValueError for a seed that does not fit into 64 bits.

    >>> import framework as torch
    >>> torch.cuda.manual_seed(7)
    >>> torch.cuda.initial_seed()
    7
    """
    if is_available():
        default_generator.manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all devices, which are one: as `manual_seed`.

    ValueError for a seed that does not fit into 64 bits.

    >>> import framework as torch
    >>> torch.cuda.manual_seed_all(7)
    >>> torch.initial_seed()
    7
    """
    manual_seed(seed)


def seed() -> None:
    """Seed the generator from the system; nothing without CUDA.

    >>> import framework as torch
    >>> torch.cuda.seed()
    """
    if is_available():
        default_generator.seed()


def seed_all() -> None:
    """Seed the generators of all devices, which are one: as `seed`.

    >>> import framework as torch
    >>> torch.cuda.seed_all()
    """
    seed()


def initial_seed() -> int:
    """The generator's seed. AssertionError without a CUDA device.

    >>> import framework as torch
    >>> torch.cuda.initial_seed() == torch.initial_seed()
    True
    """
    need()
    return default_generator.initial_seed()
