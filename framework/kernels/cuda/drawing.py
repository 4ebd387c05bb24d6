"""Random numbers, made on the device, and dropout.

They are functions of a generator's seed and its place in the stream, and those that the CPU makes:
uniform numbers, integers, permutations and dropout to the bit, normal ones as far as the logarithm,
the sine and the cosine of the device and of the host agree.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework.device import is_fake_cuda
from framework.kernels import cuda, module_of, on
from framework.kernels.cuda import blocks_for, empty, empty_like, flat, launch, ready
from framework.kernels.places import sections
from framework.layout import like_dense

__all__ = [
    "bernoulli", "bernoulli_", "dropout", "multinomial", "normal_", "rand", "randint", "randn",
    "random_", "randperm", "uniform_",
]  # fmt: skip

_LAST = (1 << 62) - 1  # block up to which a place in the stream is an int64


def _signed(word: int) -> int:
    """The 64 bits of a number, as an int64."""
    return (word + (1 << 63)) % (1 << 64) - (1 << 63)


def _place(target: Any) -> Any:
    """An array on a device beside which others are made; None where no kernel can run."""
    if is_fake_cuda():
        return np.empty(1, np.float32) if cuda.ready(np.empty(1, np.float32)) else None
    import cupy

    with on(target):
        return cupy.empty(1, np.float32)


def _fits(generator: Any, count: int) -> bool:
    return bool(count) and generator.offset + count <= _LAST


def _uniform(
    like: Any, shape: tuple[int, ...], dtype: Any, generator: Any, bits: int, width: float = 1.0,
    low: float = 0.0,
) -> Any:  # fmt: skip
    """``low + width u`` with so many bits (of float64: 53) as the stream gives next."""
    out = empty(like, shape, dtype)
    words = out.size if dtype == np.float64 else -(-out.size // 2)
    launch("drawing", "uniform", blocks_for(-(-words // 4)), 256, out, out.size,
           _signed(generator.initial_seed()), generator._drawn(words), bits, float(width),
           float(low))  # fmt: skip
    return out


def _normal(
    like: Any, shape: tuple[int, ...], dtype: Any, generator: Any, std: float = 1.0,
    mean: float = 0.0,
) -> Any:  # fmt: skip
    out = empty(like, shape, dtype)
    pairs = -(-out.size // 2)
    words = 2 * pairs if dtype == np.float64 else pairs
    launch("drawing", "normal", blocks_for(-(-words // 8)), 256, out, out.size,
           _signed(generator.initial_seed()), generator._drawn(words), float(std),
           float(mean))  # fmt: skip
    return out


def _integers(like: Any, shape: tuple[int, ...], generator: Any, low: int, high: int) -> Any:
    """Integers in [low, high) as int64, those above its range as their bits."""
    out = empty(like, shape, np.int64)
    launch("drawing", "integers", blocks_for(-(-out.size // 4)), 256, empty(like, 1, np.float32),
           out, out.size, _signed(generator.initial_seed()), generator._drawn(out.size),
           _signed(low), _signed((high - low) % (1 << 64)))  # fmt: skip
    return out


# -- of a shape -----------------------------------------------------------------------------------


def rand(target: Any, *, shape: tuple[int, ...], dtype: Any, generator: Any) -> Any:
    """Uniform in [0, 1) on a device; None where it cannot be drawn there."""
    like, dtype = _place(target), np.dtype(dtype)
    if like is None or dtype not in cuda.TYPES or not _fits(generator, math.prod(shape)):
        return None
    bits = 24 if dtype.itemsize == 4 else 11 if dtype == np.float16 else 8
    return _uniform(like, shape, dtype, generator, bits)


def randn(target: Any, *, shape: tuple[int, ...], dtype: Any, generator: Any) -> Any:
    """Standard normal."""
    like, dtype = _place(target), np.dtype(dtype)
    if like is None or dtype not in cuda.TYPES or not _fits(generator, math.prod(shape)):
        return None
    return _normal(like, shape, dtype, generator)


def randint(
    target: Any, *, shape: tuple[int, ...], dtype: Any, generator: Any, low: int, high: int
) -> Any:  # fmt: skip
    """Integers in [low, high)."""
    like = _place(target)
    if like is None or not _fits(generator, math.prod(shape)):
        return None
    return _integers(like, shape, generator, low, high).astype(dtype, copy=False)


def randperm(target: Any, *, n: int, dtype: Any, generator: Any) -> Any:
    """A permutation of range(n): the order of n random words."""
    like = _place(target)
    if like is None or not _fits(generator, n):
        return None
    words = _integers(like, (n,), generator, 0, 1 << 64).view(np.uint64)
    xp = np if words.__class__ is np.ndarray else module_of(words)
    return xp.argsort(words, kind="stable").astype(dtype, copy=False)


# -- in place -------------------------------------------------------------------------------------


def uniform_(a: Any, *, low: float, high: float, generator: Any) -> Any:
    """Uniform in [low, high), in the place of ``a``."""
    if not ready(a) or not _fits(generator, a.size):
        return None
    return _uniform(a, a.shape, a.dtype, generator, 24, high - low, low)


def normal_(a: Any, *, mean: float, std: float, generator: Any) -> Any:
    """Normal with a mean and a standard deviation."""
    if not ready(a) or not _fits(generator, a.size):
        return None
    return _normal(a, a.shape, a.dtype, generator, std, mean)


def random_(a: Any, *, low: int, high: int, generator: Any) -> Any:
    """Integers in [low, high) in the type of ``a``."""
    there = a.__class__ is not np.ndarray or cuda.ready(np.empty(1, np.float32))
    known = a.dtype.kind in "iub" or a.dtype in cuda.TYPES
    if not there or not known or not _fits(generator, a.size):
        return None
    return _integers(a, a.shape, generator, low, high).astype(a.dtype, copy=False)


def bernoulli(a: Any, p: Any = None, *, generator: Any) -> Any:
    """Ones with the chance that each element gives, or with ``p``; a wrong one is not drawn for."""
    one = p is not None
    if not ready(a) or (one and not isinstance(p, (int, float))) or not _fits(generator, a.size):
        return None
    out, bad = empty_like(a), empty(a, (1,), np.int64)
    bad.fill(0)
    launch("drawing", "bernoulli", blocks_for(-(-a.size // 4)), 256, a, None if one else flat(a),
           out, bad, a.size, _signed(generator.initial_seed()), generator.offset,
           float(p if one else 0))  # fmt: skip
    if not one and int(bad[0]):
        return None  # the plain kernel says so
    generator._drawn(a.size)
    return out


def bernoulli_(a: Any, *, p: Any, generator: Any) -> Any:
    """The same in place, with one chance for all."""
    return bernoulli(a, p, generator=generator) if isinstance(p, (int, float)) else None


def multinomial(p: Any, *, num_samples: int, replacement: bool, generator: Any) -> Any:
    """Indices drawn with each row's probabilities: one number says whether these are such.

    The stream's numbers are the CPU's; sums and logarithms may differ in their last bits.
    """
    shape = (*p.shape[:-1], num_samples) if replacement else p.shape
    if not ready(p) or not _fits(generator, math.prod(shape)):
        return None
    xp = np if p.__class__ is np.ndarray else module_of(p)
    weights = p.astype(np.float64)
    sums = weights.sum(-1, keepdims=True)
    if not bool(xp.isfinite(weights).all() & (weights >= 0).all() & (sums > 0).all()):
        return None  # the plain kernel says so
    u = _uniform(p, shape, np.dtype(np.float64), generator, 53)
    if replacement:
        return sections(xp.cumsum(weights, -1) / sums, u).astype(np.int64, copy=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        race = -xp.log1p(-u) / weights
    return xp.argsort(race, -1, kind="stable")[..., :num_samples].astype(np.int64)


# -- dropout --------------------------------------------------------------------------------------


def _dropped(a: Any, p: float, seed: int, offset: int) -> Any:
    out = empty_like(a)
    least = min(round(p * 2**32), 2**32 - 1)
    scale = float(a.dtype.type(1 / (1 - p)))
    launch("drawing", "dropout", blocks_for(-(-a.size // 8)), 256, a, out, a.size, _signed(seed),
           offset, least, scale)  # fmt: skip
    return out


def dropout(a: Any, *, p: float, shape: tuple[int, ...], seed: int, offset: int) -> Any:
    """a / (1 - p) or 0 a; with one random number for each element of ``shape``."""
    if not ready(a) or p >= 1 or offset >= 1 << 62:
        return None
    if a.shape == shape:
        result = _dropped(flat(a), p, seed, offset)
    else:
        ones = empty(a, shape)
        ones.fill(1)
        result = a * _dropped(ones, p, seed, offset)
    return result if a.flags.c_contiguous else like_dense(result, a)
