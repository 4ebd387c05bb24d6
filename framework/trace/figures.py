"""The figures of a tensor that conditions and rules ask for, in one pass over its memory.

`Sheet` holds the tensors of one event; all conditions that are asked there share its figures. Each
array is walked once, in chunks that stay in the processor's cache, and only what somebody needs is
computed: a sum of squares says that all is finite, and is the norm as well. On a GPU the figures
are computed there and come over in one transfer. (`summary` is for showing a tensor: it has more,
counts only what is finite, and takes several passes.)
"""

from __future__ import annotations

import itertools
import math
import sys
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from framework.kernels import compiled
from framework.kernels.cuda.health import NAMES, health
from framework.trace.summary import _canonical, _float64, _pieces

__all__ = [
    "FINITE",
    "MEAN",
    "NORM",
    "RANGE",
    "SPREAD",
    "ZEROS",
    "Figures",
    "Sheet",
    "digest",
    "digests",
    "measure",
    "squares_at_most",
    "unbatched",
]

CHUNK = 1 << 16  # elements: 256 KB of float32
FINITE, RANGE, MEAN, NORM, SPREAD, ZEROS = 1, 2, 4, 8, 16, 32

_WALKS = RANGE | MEAN | SPREAD | ZEROS  # what a product with itself does not tell
_F32 = np.dtype(np.float32)
_FAST = frozenset((_F32, np.dtype(np.float64)))


class Figures:
    """What is known of an array's elements. What was not asked for is as in an empty one.

    Attributes:
        count: elements.
        nan, inf: how many are not a number, and infinite (FINITE).
        low, high: least and greatest; a NaN does not count, an Inf does (RANGE).
        total: their sum (MEAN).
        squares: the sum of their squares; a NaN or an Inf among them makes it one (NORM).
        spread: the sum of squared differences from their mean (SPREAD).
        zeros: how many are zero (ZEROS).
    """

    __slots__ = ("count", "high", "inf", "low", "nan", "spread", "squares", "total", "zeros")

    def __init__(self, count: int) -> None:
        self.count = count
        self.nan = self.inf = self.zeros = 0
        self.low, self.high = math.inf, -math.inf
        self.total = self.squares = self.spread = 0.0

    @property
    def absmax(self) -> float:
        """The largest absolute value; NaN for no elements, or for none but NaNs."""
        return max(-self.low, self.high) if self.low <= self.high else math.nan

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else math.nan

    @property
    def std(self) -> float:
        """Of the population."""
        return math.sqrt(self.spread / self.count) if self.count else math.nan

    @property
    def norm(self) -> float:
        """The 2-norm."""
        return math.sqrt(self.squares)

    @property
    def rms(self) -> float:
        return math.sqrt(self.squares / self.count) if self.count else math.nan

    @property
    def zero_fraction(self) -> float:
        return self.zeros / self.count if self.count else math.nan


def measure(array: Any, needs: int) -> Figures:
    """The figures of an array, NumPy's, CuPy's or sparse, of any strides and any numeric dtype.

    A complex array is measured by its absolute values. TypeError for what has no numbers.

    >>> import numpy as np
    >>> from framework.trace.figures import FINITE, MEAN, NORM, measure
    >>> f = measure(np.array([3.0, -4.0], np.float32), FINITE | MEAN | NORM)
    >>> f.norm, f.mean, f.nan
    (5.0, -0.5, 0)
    """
    if hasattr(array, "sparse_dim"):
        return _measure_sparse(array, needs)
    figures = Figures(0 if getattr(array, "is_meta", False) else array.size)
    if not figures.count:
        return figures
    dtype = array.dtype
    if array.__class__ is np.ndarray and dtype in _FAST:
        if needs & _WALKS and array.size >= compiled.LARGE and _measured(array, needs, figures):
            return figures
        if array.size <= CHUNK:
            _add(figures, array.ravel("K"), needs, 0)
            return figures
    if dtype.kind in "OSUMm":
        raise TypeError(f"values of dtype {dtype} have no figures")
    if type(array).__module__.partition(".")[0] == "cupy":
        return _measure_device(array, needs, figures)
    if dtype.kind in "biu":
        needs &= ~FINITE
    with np.errstate(all="ignore"):
        if array.size <= CHUNK:
            _add(figures, _plain(array), needs, 0)
            return figures
        seen = 0
        for piece in _pieces(_canonical(array), CHUNK):
            _add(figures, _plain(piece), needs, seen)
            seen += piece.size
    return figures


def _measured(array: Any, needs: int, f: Figures) -> bool:
    """In one walk by a compiled kernel, if there is one; the only way of arrays of this size then.

    It is waited for, so that no figure changes its last bits in the middle of a recording.
    """
    kernels = compiled.family("figures")
    if not kernels:
        return False
    x = array.ravel("K") if array.size <= CHUNK else _canonical(array)
    if x.ndim > 1 or not x.flags.c_contiguous:
        return False
    spread = bool(needs & SPREAD)
    nan, inf, low, high, total, squares, apart, zeros = kernels.measure(
        x, bool(needs & RANGE), bool(needs & MEAN), spread, bool(needs & ZEROS)
    )
    if needs & (FINITE | NORM | SPREAD):
        f.nan, f.inf, f.squares = int(nan), int(inf), squares
    if needs & RANGE:
        f.low, f.high = low, high
    if needs & (MEAN | SPREAD):
        f.total = total
    f.spread, f.zeros = apart, int(zeros)
    return True


def squares_at_most(array: Any) -> float:
    """A bound of the sum of squares, from one product that is computed in the array's own type.

    Infinite if an element is not finite, if the squares leave the range of their type, and for
    what this is no quick way to look at. No element, mean, standard deviation or norm can be
    larger than the bound allows.

    >>> import numpy as np
    >>> from framework.trace.figures import squares_at_most
    >>> 25.0 <= squares_at_most(np.array([3.0, -4.0], np.float32)) < 25.5
    True
    >>> squares_at_most(np.array([1.0, np.inf]))
    inf
    """
    if array.__class__ is not np.ndarray:
        return math.inf
    dtype = array.dtype
    if dtype is not _F32 and dtype not in _FAST:
        return math.inf
    size = array.size
    # In the order of memory, so that a transposed view need not be copied; a strided one is.
    x = array if array.ndim == 1 else array.ravel("K")
    if size <= CHUNK:
        total = float(x.dot(x))
    else:
        total = 0.0
        for start in range(0, size, CHUNK):
            piece = x[start : start + CHUNK]
            total += float(piece.dot(piece))
    # The additions are off by far less than a hundredth; squares may have become 0.
    return total * 1.01 + size * 1.2e-38 if total < math.inf else math.inf


def _plain(piece: Any) -> Any:
    """A chunk of one dimension in a type that NumPy computes fast in."""
    dtype = piece.dtype
    if dtype in _FAST:
        return piece.reshape(-1)
    if dtype.kind in "biuc":
        return _float64(piece, np).reshape(-1)
    return piece.astype(np.float32).reshape(-1)


def _add(f: Figures, x: Any, needs: int, seen: int) -> None:
    """Add a chunk's figures; ``seen`` elements came before."""
    squares = math.inf
    if needs & (FINITE | NORM | SPREAD):
        squares = float(x.dot(x))
    if squares < math.inf:  # all is finite: nothing in the rest can warn
        f.squares += squares
        _add_rest(f, x, needs, seen, squares)
        return
    with np.errstate(all="ignore"):
        if needs & (FINITE | NORM | SPREAD):
            nan = int(np.count_nonzero(np.isnan(x)))
            inf = int(np.count_nonzero(np.isinf(x)))
            f.nan += nan
            f.inf += inf
            if not nan and not inf:  # the squares have left the range of their type
                wide = x.astype(np.float64)
                squares = float(wide.dot(wide))
            f.squares += squares
        _add_rest(f, x, needs, seen, squares)


def _add_rest(f: Figures, x: Any, needs: int, seen: int, squares: float) -> None:
    """The figures beside the sum of squares, which is infinite if it is not known."""
    low = high = 0.0
    if needs & RANGE:
        low, high = float(np.fmin.reduce(x)), float(np.fmax.reduce(x))
        f.low = min(f.low, low)
        f.high = max(f.high, high)
    if needs & (MEAN | SPREAD):
        # BLAS adds up twice as fast as `add.reduce`, and as exactly: in many sums at once.
        total = float(np.dot(x, _ones[x.dtype][: x.size]))
        if needs & SPREAD:
            f.spread += _spread(x, total, squares)
            if seen:  # Chan's update: stable for a large mean with a small spread, in one pass.
                apart = total / x.size - f.total / seen
                f.spread += apart * apart * seen * x.size / (seen + x.size)
        f.total += total
    if needs & ZEROS and low <= 0.0 <= high:
        f.zeros += int(np.count_nonzero(x == 0))


def _spread(x: Any, total: float, squares: float) -> float:
    """The sum of squared differences from the mean."""
    apart = total * total / x.size
    if apart < 0.5 * squares < math.inf:  # nothing that matters cancels out
        return squares - apart
    d = x - x.dtype.type(total / x.size)
    return float(np.dot(d, d))


class _Ones(dict[Any, Any]):
    """As many ones as a chunk has elements, by dtype."""

    def __missing__(self, dtype: Any) -> Any:
        self[dtype] = made = np.ones(CHUNK, dtype)
        return made


_ones = _Ones()


def _measure_sparse(array: Any, needs: int) -> Figures:
    """Of a sparse array: what is not stored is zero."""
    values = array.coalesce().values
    f = measure(values, needs | MEAN if needs & SPREAD else needs)
    missing = array.size - values.size
    if missing > 0:
        f.count += missing
        f.zeros += missing
        f.low, f.high = min(f.low, 0.0), max(f.high, 0.0)
        if values.size:
            mean = f.total / values.size
            f.spread += mean * mean * values.size * missing / f.count
    return f


_WANTED = {  # figures by what asks for them
    "nan": FINITE, "inf": FINITE, "zeros": ZEROS, "low": RANGE, "high": RANGE,
    "total": MEAN | SPREAD, "squares": NORM, "spread": SPREAD,
}  # fmt: skip


def _measure_device(a: Any, needs: int, f: Figures) -> Figures:
    """On a GPU: one pass of a kernel of our own, or a few reductions; and one transfer."""
    found = health(a, bool(needs & SPREAD))
    if found is None:
        return _reduced(a, needs, f)
    host = found if found.__class__ is np.ndarray else found.get()
    for name, value in zip(NAMES, host.tolist()):
        if needs & _WANTED[name]:
            setattr(f, name, int(value) if name in ("nan", "inf", "zeros") else value)
    if f.low > f.high:  # nothing but NaNs, or not asked for
        f.low, f.high = math.inf, -math.inf
    return f


def _reduced(a: Any, needs: int, f: Figures) -> Figures:
    """By CuPy's reductions, whatever the type."""
    xp = sys.modules["cupy"]
    if a.dtype.kind == "c":
        a = xp.abs(a)
    if a.dtype.kind != "f" or a.dtype.itemsize < 4:
        a = a.astype(xp.float32)
    wide = xp.float64
    parts: dict[str, Any] = {}
    if needs & FINITE:
        parts["nan"] = xp.isnan(a).sum()
        parts["inf"] = xp.isinf(a).sum()
    if needs & NORM:
        parts["squares"] = xp.square(a, dtype=wide).sum()
    if needs & RANGE:
        parts["low"] = xp.nanmin(a)
        parts["high"] = xp.nanmax(a)
    if needs & (MEAN | SPREAD):
        parts["total"] = a.sum(dtype=wide)
    if needs & SPREAD:
        parts["spread"] = xp.square(a - parts["total"] / a.size).sum(dtype=wide)
    if needs & ZEROS:
        parts["zeros"] = (a == 0).sum()
    values = xp.stack([p.astype(wide) for p in parts.values()]).get().tolist() if parts else []
    for name, value in zip(parts, values):
        whole = name in ("nan", "inf", "zeros")
        setattr(f, name, int(value) if whole else value)
    return f


_without_numbers = itertools.count()


def digest(array: Any) -> int:
    """A number that changes when an element does; another each time where there are none."""
    if getattr(array, "is_meta", False):
        return next(_without_numbers)
    if hasattr(array, "sparse_dim"):
        array = array.todense()
    if not isinstance(array, np.ndarray):
        return int(_bits_on_device(array))
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def digests(arrays: Sequence[Any]) -> list[int]:
    """The `digest` of each; those of a device come over in one transfer."""
    there = [a for a in arrays if hasattr(a, "__cuda_array_interface__")]
    if len(there) < 2 or len({a.device.id for a in there}) > 1:
        return [digest(a) for a in arrays]
    with there[0].device:
        numbers = iter(sys.modules["cupy"].stack([_bits_on_device(a) for a in there]).get())
    return [int(next(numbers)) if hasattr(a, "__cuda_array_interface__") else digest(a)
            for a in arrays]  # fmt: skip


def _bits_on_device(array: Any) -> Any:
    """A sum of an array's words, each mixed with its place, as one number that stays there."""
    xp = sys.modules["cupy"]
    with array.device:
        flat = xp.ascontiguousarray(array).reshape(-1)
        size = min(flat.dtype.itemsize, 8)
        words = flat.view(np.dtype(f"u{size}")).astype(np.uint64)
        places = xp.arange(words.size, dtype=np.uint64)
        mixed = (words + places * np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(31)
        return (mixed * np.uint64(0x94D049BB133111EB)).sum()


class Sheet:
    """The tensors of one event, each measured at most once, whoever asks.

    Args:
        arrays: what is looked at.
        needs: all that will be asked of them.
        before: for an update, what the parameter held before it.
    """

    __slots__ = ("_figures", "_weight", "arrays", "before", "needs")

    def __init__(self, arrays: Sequence[Any], needs: int, before: Any = None) -> None:
        self.arrays = arrays
        self.needs = needs
        self.before = before
        self._figures: list[Figures | None] = [None] * len(arrays)
        self._weight: Figures | None = None

    def put(self, index: int, figures: Figures) -> None:
        """A tensor's figures, which somebody else has found."""
        self._figures[index] = figures

    def put_weight(self, figures: Figures) -> None:
        """Of an update: the figures of what the parameter held before."""
        self._weight = figures

    def of(self, index: int) -> Figures:
        found = self._figures[index]
        if found is None:
            found = self._figures[index] = measure(self.arrays[index], self.needs)
        return found

    @property
    def weight(self) -> Figures:
        """Of an update: the norm of what the parameter held before."""
        if self._weight is None:
            self._weight = measure(self.before, NORM)
        return self._weight


def unbatched(tensors: tuple[Any, ...]) -> tuple[Any, ...]:
    """Tensors whose numbers can be looked at: of one inside of vmap, all its samples."""
    return tuple([_whole(t) if hasattr(t, "_level") else t for t in tensors])


def _whole(tensor: Any) -> Any:
    while hasattr(tensor, "_level"):
        tensor = tensor._value
    return tensor
