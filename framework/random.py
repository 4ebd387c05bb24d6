"""Random numbers: a counter-based Philox generator with the same bits on every device.

The stream is a function of (seed, offset): Philox-4x64 with 10 rounds (Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", SC'11), key ``(seed, 0)``, one block of four 64-bit words per
counter value. A draw advances the offset by the blocks that it used, so a dropout mask can be drawn
again from two integers instead of being stored.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from framework.device import CPU, META, cuda_problem, default, device_count
from framework.device import device as Device
from framework.kernels import compiled

__all__ = [
    "Generator", "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed",
    "seed", "set_rng_state", "stream",
]  # fmt: skip

_WORDS = 4  # 64-bit words per counter value
_LAST = (1 << 63) - 1  # block; far below the place where NumPy carries into the next word


class Generator:
    """A random stream: ``Generator().manual_seed(0)``.

    ``Generator("cuda")`` is for tensors on CUDA devices, ``Generator()`` for those on the CPU, as
    in PyTorch; the numbers are the same on both. RuntimeError for a device that is neither, or not
    here.

    >>> g = Generator().manual_seed(7)
    >>> a = g.uniform((3,), np.float32)
    >>> bool((Generator().manual_seed(7).uniform((3,), np.float32) == a).all())
    True
    """

    def __init__(self, device: Any = "cpu") -> None:
        place = Device("cpu" if device is None else device)
        if place is META:
            raise RuntimeError("META device type not an accelerator.")
        if place.type == "cpu":
            place = Device("cpu")
        else:
            if problem := cuda_problem():
                raise RuntimeError(
                    f"Cannot get CUDA generator without ATen_cuda library: {problem}"
                )
            place = Device("cuda", default.cuda if place.index is None else place.index)
            if (place.index or 0) >= device_count():
                raise RuntimeError("The device_index is invalid.")
        self.device = place
        self._seed = 67280421310721  # PyTorch's default seed
        self.offset = 0

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of ``seed`` (any 64-bit integer) from its beginning."""
        seed = int(seed)
        if not -(1 << 63) <= seed < 1 << 64:
            raise ValueError(
                f"Overflow when unpacking long long: expected a 64-bit seed, got {seed}"
            )
        self._seed = seed % (1 << 64)
        self.offset = 0
        return self

    def initial_seed(self) -> int:
        """The seed that the stream began with."""
        return self._seed

    def seed(self) -> int:
        """Take a new seed from the system and return it."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little") >> 1)
        return self._seed

    def get_state(self) -> Any:
        """Seed and offset as a uint8 tensor of 16 elements (PyTorch's states are bytes too)."""
        from framework.tensor import wrap

        return wrap(np.array([self._seed, self.offset], np.uint64).view(np.uint8))

    def set_state(self, new_state: Any) -> Generator:
        """Go to where `get_state` was called.

        Raises:
            TypeError: not a uint8 tensor of the CPU.
            RuntimeError: not of the size of a state.
        """
        data = getattr(new_state, "_data", None)
        if data is None or data.dtype != np.uint8 or new_state._device is not CPU:
            raise TypeError("RNG state must be a torch.ByteTensor")
        if data.shape != (16,):
            raise RuntimeError(
                f"expected an RNG state of 16 bytes, but got one of shape {list(data.shape)}"
            )
        words = np.ascontiguousarray(data).view(np.uint64)
        self._seed, self.offset = int(words[0]), int(words[1])
        return self

    def get_offset(self) -> int:
        """How many blocks of the stream are used up."""
        return self.offset

    def set_offset(self, offset: int) -> None:
        """Go to a place in the stream."""
        self.offset = int(offset)

    def clone_state(self) -> Generator:
        """A generator at the same place of the same stream."""
        return Generator(self.device).set_state(self.get_state())

    def words(self, count: int) -> np.ndarray:
        """The next ``count`` 64-bit words of the stream; advances it by whole blocks."""
        return self._philox(0, [self._drawn(count), 0, 0, 0]).random_raw(count)

    def _philox(self, number: int, counter: list[int]) -> np.random.Philox:
        """NumPy's; of lists with numbers above the range of int64 it would round them."""
        key, place = np.array([self._seed, number], np.uint64), np.array(counter, np.uint64)
        return np.random.Philox(key=key, counter=place)

    def _drawn(self, count: int) -> int:
        """Where the next ``count`` words begin; they are used up."""
        offset = self.offset
        self.offset += -(-count // _WORDS)
        return offset

    def _compiled(self, count: int) -> Any:
        """The kernels that make ``count`` numbers, if that pays."""
        if count < compiled.LARGE or self.offset + count > _LAST:
            return None
        return compiled.family("philox")

    def uniform(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Uniform in [0, 1): 53 random bits for float64, 24 for float32, 11 and 8 for the halves.

        No more bits than the type holds: 1 would come out where they are rounded. Of a complex
        type both parts are uniform.
        """
        dtype = np.dtype(dtype)
        count = math.prod(shape)
        if dtype.kind == "c":
            return self.uniform((*shape, 2), _part(dtype)).view(dtype)[..., 0]
        quick = self._compiled(count)
        if dtype == np.float64:
            if quick:
                return quick.uniform64(count, self._seed, self._drawn(count)).reshape(shape)
            return ((self.words(count) >> 11) * (1.0 / (1 << 53))).reshape(shape)
        bits = 24 if dtype == np.float32 else 11 if dtype == np.float16 else 8
        if quick:
            unit = quick.uniform32(count, self._seed, self._drawn(-(-count // 2)), bits)
            return unit.reshape(shape).astype(dtype, copy=False)
        halves = self.words(-(-count // 2)).view(np.uint32)[:count]
        unit = (halves >> np.uint32(32 - bits)).astype(np.float32) * np.float32(0.5**bits)
        return unit.reshape(shape).astype(dtype, copy=False)

    def normal(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Standard normal, by the Box-Muller transform of two uniforms.

        Of a complex type both parts have the variance 1/2.
        """
        dtype = np.dtype(dtype)
        count = math.prod(shape)
        if dtype.kind == "c":
            parts = self.normal((*shape, 2), _part(dtype))
            return (parts * _part(dtype).type(math.sqrt(0.5))).view(dtype)[..., 0]
        wide = np.float64 if dtype == np.float64 else np.float32
        pairs = -(-count // 2)
        u = self.uniform((2, pairs), wide)
        radius = np.sqrt(-2.0 * np.log1p(-u[0]))
        angle = (2.0 * np.pi) * u[1]
        both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
        return both[:count].reshape(shape).astype(dtype, copy=False)

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> np.ndarray:
        """Integers in [low, high), as int64 (those above its range as their bits)."""
        words = self.words(math.prod(shape)).reshape(shape)
        if high - low < 1 << 64:
            span = np.uint64(high - low)
            whole = words // span  # which NumPy has a quick loop for, unlike the remainder
            whole *= span
            words -= whole
        words += np.uint64(low % (1 << 64))
        return words.view(np.int64)

    def rejection(self) -> np.random.Generator:
        """A NumPy generator of its own for samplers that reject and draw again.

        How much they draw is not known beforehand: they get a stream with another key, at a
        counter that no other call gets. It costs this stream one block.
        """
        bits = self._philox(1, [0, self.offset, 0, 0])
        self.offset += 1
        return np.random.Generator(bits)

    def permutation(self, n: int) -> np.ndarray:
        """A permutation of range(n): the order of n random words (ties by position)."""
        words = self.words(n)
        if n >= compiled.LARGE and (quick := compiled.family("philox")):
            return quick.order(words)
        return np.argsort(words, kind="stable").astype(np.int64)


def _part(dtype: Any) -> Any:
    """The real type of a complex one."""
    return np.dtype(np.float32 if dtype.itemsize == 8 else np.float64)


default_generator = Generator()


class _ForDevice(Generator):
    """The default generator as one of a CUDA device: `cuda.default_generators` has one for each."""

    def __init__(self, index: int) -> None:
        self.device = Device("cuda", index)

    @property
    def _seed(self) -> int:
        return default_generator._seed

    @_seed.setter
    def _seed(self, seed: int) -> None:
        default_generator._seed = seed

    @property
    def offset(self) -> int:
        return default_generator.offset

    @offset.setter
    def offset(self, offset: int) -> None:
        default_generator.offset = offset


@functools.cache
def of_device(index: int) -> Generator:
    """The default generator for tensors of a CUDA device."""
    return _ForDevice(index)


def stream(generator: Any, place: Any = CPU) -> Generator:
    """The generator that a ``generator=`` argument stands for: None is the default one.

    Args:
        place: the device of what is drawn.

    Raises:
        TypeError: it is no generator.
        RuntimeError: it is one for another kind of device, if ``place`` is not meta.

    >>> import framework as torch
    >>> torch.random.stream(None) is torch.default_generator
    True
    """
    if generator is None:
        return default_generator
    if not isinstance(generator, Generator):
        raise TypeError(
            f"argument 'generator' must be torch.Generator, not {type(generator).__name__}"
        )
    if place is not META and generator.device.type != place.type:
        raise RuntimeError(
            f"Expected a '{place.type}' device type for generator but found "
            f"'{generator.device.type}'"
        )
    return generator


@contextlib.contextmanager
def fork_rng(
    devices: Any = None, enabled: bool = True, _caller: str = "fork_rng",
    _devices_kw: str = "devices", device_type: str = "cuda",
) -> Iterator[None]:  # fmt: skip
    """Within, draws do not advance the default generator for what comes after.

    Args:
        devices, device_type: accepted; one generator serves all devices.
        enabled: False does nothing.

    It never raises.

    >>> import framework as torch
    >>> state = torch.get_rng_state()
    >>> with torch.random.fork_rng():
    ...     _ = torch.rand(3)
    >>> torch.equal(state, torch.get_rng_state())
    True
    """
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, which every random function uses unless told otherwise.

    Returns that generator. The same seed gives the same numbers on every device (not those that
    PyTorch would give). ValueError for a seed that does not fit into 64 bits.

    >>> import framework as torch
    >>> first = torch.manual_seed(7) and torch.rand(3)
    >>> torch.manual_seed(7) is torch.random.default_generator
    True
    >>> torch.equal(torch.rand(3), first)
    True
    """
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator from the system; returns the seed.

    >>> import framework as torch
    >>> torch.seed() == torch.initial_seed()
    True
    """
    return default_generator.seed()


def initial_seed() -> int:
    """The default generator's seed: what it was last seeded with.

    >>> import framework as torch
    >>> _ = torch.manual_seed(7)
    >>> torch.initial_seed()
    7
    """
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """State of the default generator, as a tensor of bytes (16 here) for `set_rng_state`.

    Of shape (16,).

    >>> import framework as torch
    >>> state = torch.get_rng_state()
    >>> state.dtype, state.shape
    (torch.uint8, torch.Size([16]))
    """
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Put the default generator back into a state that `get_rng_state` gave.

    TypeError unless it is a uint8 tensor, RuntimeError if it has another size.

    >>> import framework as torch
    >>> state = torch.get_rng_state()
    >>> first = torch.rand(2)
    >>> torch.set_rng_state(state)
    >>> torch.equal(torch.rand(2), first)
    True
    """
    default_generator.set_state(new_state)
