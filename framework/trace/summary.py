"""What a viewer shows of one tensor: statistics, a 2-d picture, a table, a slice.

Runs in the process that holds the tensor, on the raw array, NumPy's or CuPy's; only plain data of
the size of a screen leaves. No function here copies a tensor: it is walked in chunks whose float64
temporaries take a few MB whatever its size, and above `EXACT` elements an even sample stands for
it. CuPy is never imported: an array of its type brings the module along.

Everything is computed in float64; a complex tensor is shown by its absolute values, except in the
table.
"""

from __future__ import annotations

import math
import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np

from framework.trace.events import TensorMeta
from framework.trace.protocol import Grid, Summary, Table, TensorView

__all__ = [
    "EXACT",
    "Plane",
    "SliceError",
    "format_slice",
    "grid",
    "parse_slice",
    "picture_slice",
    "sliced_shape",
    "summarize",
    "table",
    "to_2d",
    "view",
    "wrap_width",
]

EXACT = 1 << 24  # elements; the statistics of more than these come from an even sample
RUNS, RUN = 1024, 1024  # the sample: so many runs of so many neighbours, evenly spread
CHUNK = 1 << 15  # elements per float64 temporary: 256 KB, so that a few stay in the L2 cache
CUDA_CHUNK = 1 << 20  # on a GPU, where starting a kernel costs more than 8 MB of temporaries
MAX_GRID = 512  # blocks each way
MAX_TABLE = 256  # cells each way
ONE_ROW = 16  # a vector up to this length is pictured as one row

Index = int | slice | EllipsisType | None


class SliceError(ValueError):
    """A slice that is none, or that does not fit the tensor: one line for the user."""


# -- slices ----------------------------------------------------------------------------------

_ITEM = re.compile(r"\s*([+-]?\d+)?\s*(?:(:)\s*([+-]?\d+)?\s*(?:(:)\s*([+-]?\d+)?\s*)?)?", re.ASCII)


def parse_slice(text: str, shape: Sequence[int]) -> tuple[Index, ...]:
    """The index that a text such as ``[0, :, ::2]`` means for a tensor of ``shape``.

    Integers, slices, ``...`` and ``None`` (or ``newaxis``), with or without the brackets; empty
    text is the whole tensor. Nothing is evaluated. Raises `SliceError` (a ValueError) for anything
    else, for an index out of bounds and for too many indices.

    >>> from framework.trace.summary import parse_slice
    >>> parse_slice("[0, ..., -1]", (4, 3, 2))
    (0, Ellipsis, -1)
    >>> parse_slice("[0, 5]", (2, 3))
    Traceback (most recent call last):
    framework.trace.summary.SliceError: slice [0, 5]: index 5 is out of bounds for dimension 1 of size 3
    """  # noqa: E501
    if not isinstance(text, str):
        raise SliceError(f"a slice is a text such as [0, :], not {type(text).__name__}")
    body = text.strip()
    opened, closed = body.startswith("["), body.endswith("]")
    inner = body[opened : len(body) - closed].strip() if body != "[" else ""
    where = f"slice [{_shown(inner)}]"
    if opened != closed:
        raise SliceError(f"{where}: one of its brackets is missing")
    if len(body) > 200:
        raise SliceError(f"{where}: it is longer than 200 characters")
    if not inner:
        return ()
    parts = inner.split(",")
    if len(parts) > 1 and not parts[-1].strip():
        parts.pop()
    index = tuple(_parse_item(part, where) for part in parts)
    _check_slice(index, shape, where)
    return index


def _parse_item(part: str, where: str) -> Index:
    word = part.strip()
    if word == "...":
        return Ellipsis
    if word in ("None", "newaxis", "np.newaxis"):
        return None
    found = _ITEM.fullmatch(part)
    if not word or found is None:
        raise SliceError(
            f"{where}: {_shown(word) or 'an item'} is "
            + ("missing" if not word else "not an index")
            + "; expected integers, slices a:b:c, ... or None"
        )
    start, colon, stop, _, step = found.groups()
    if not colon:
        return int(start)
    if step is not None and not int(step):
        raise SliceError(f"{where}: the step of {_shown(word)} is 0")
    return slice(*(None if number is None else int(number) for number in (start, stop, step)))


def _check_slice(index: tuple[Index, ...], shape: Sequence[int], where: str) -> None:
    used = sum(item is not None and item is not Ellipsis for item in index)
    if used > len(shape):
        plural = "" if len(shape) == 1 else "s"
        raise SliceError(f"{where}: {used} indices for {len(shape)} dimension{plural}")
    if sum(item is Ellipsis for item in index) > 1:
        raise SliceError(f"{where}: ... may stand in it only once")
    if len(shape) + len(index) - used > 32:
        raise SliceError(f"{where}: the result has more than 32 dimensions")
    dim = 0
    for item in _expand(index, len(shape)):
        if isinstance(item, int) and not -shape[dim] <= item < shape[dim]:
            raise SliceError(
                f"{where}: index {item} is out of bounds for dimension {dim} of size {shape[dim]}"
            )
        dim += item is not None


def _shown(text: str) -> str:
    """A user's text as it may stand in an error: short, printable, on one line."""
    text = "".join(c if c.isprintable() else "?" for c in " ".join(text[:80].split()))
    return text if len(text) <= 40 else text[:39] + "…"


def _expand(index: Sequence[Index], ndim: int) -> list[int | slice | None]:
    """The index with one item for each dimension: no ``...``, nothing left out."""
    used = sum(item is not None and item is not Ellipsis for item in index)
    rest = [slice(None)] * (ndim - used)
    items: list[int | slice | None] = []
    for item in index:
        if item is Ellipsis:
            items += rest
            rest = []
        else:
            items.append(item)
    return items + rest


def format_slice(index: Sequence[Index]) -> str:
    """An index as the text that `parse_slice` reads; "" for the whole tensor.

    >>> from framework.trace.summary import format_slice
    >>> format_slice((0, slice(None), slice(None, None, 2), ...))
    '[0, :, ::2, ...]'
    """
    return f"[{', '.join(map(_format_item, index))}]" if index else ""


def _format_item(item: Index) -> str:
    if item is Ellipsis:
        return "..."
    if not isinstance(item, slice):
        return str(item)
    start, stop, step = ("" if v is None else str(v) for v in (item.start, item.stop, item.step))
    return f"{start}:{stop}" + (f":{step}" if step else "")


def sliced_shape(shape: Sequence[int], index: Sequence[Index]) -> tuple[int, ...]:
    """The shape of a tensor of ``shape`` after an index that `parse_slice` accepted for it.

    >>> from framework.trace.summary import parse_slice, sliced_shape
    >>> sliced_shape((8, 3, 32), parse_slice("[0, None, :, ::2]", (8, 3, 32)))
    (1, 3, 16)
    """
    sizes = []
    dims = iter(shape)
    for item in _expand(index, len(shape)):
        size = 1 if item is None else next(dims)
        if not isinstance(item, int):
            sizes.append(len(range(*item.indices(size))) if item is not None else 1)
    return tuple(sizes)


def picture_slice(shape: Sequence[int], index: Sequence[Index] = ()) -> tuple[Index, ...]:
    """The index of at most two dimensions that stands for the slice ``index`` in a picture.

    The leading dimensions that are too many are taken at their first index. A viewer calls it with
    `TensorMeta.shape` to say which part of the tensor it shows.

    >>> from framework.trace.summary import format_slice, picture_slice
    >>> format_slice(picture_slice((8, 3, 32, 32)))
    '[0, 0, :, :]'
    >>> format_slice(picture_slice((8, 3, 32, 32), (2, slice(1, None))))
    '[2, 1, :, :]'
    """
    surplus = len(sliced_shape(shape, index)) - 2
    if surplus <= 0:
        return tuple(index)
    items: list[Index] = []
    dims = iter(shape)
    for item in _expand(index, len(shape)):
        size = 1 if item is None else next(dims)
        if surplus and not isinstance(item, int):
            surplus -= 1
            if isinstance(item, slice):
                chosen = range(*item.indices(size))
                items.append(chosen[0] if chosen else slice(0, 0))
        else:
            items.append(item)
    return tuple(items)


# -- arrays ----------------------------------------------------------------------------------


def _open(array: Any) -> tuple[Any, Any]:
    """The array as a plain one of its module, and that module; TypeError for what has no values.

    A CuPy array that is small comes over whole: one copy is cheaper than thirty kernels.
    """
    if getattr(array, "is_meta", False):
        raise TypeError("a tensor on meta has no values")
    array = _dense(array)
    kind = type(array)
    xp: Any = np
    if kind.__module__.partition(".")[0] == "cupy":
        xp = sys.modules["cupy"]
        if array.size <= CHUNK:
            array, xp = array.get(), np
    elif isinstance(array, (np.ndarray, np.generic, bool, int, float, complex)):
        array = np.asarray(array)
    else:
        raise TypeError(f"expected an array of numbers, but got {kind.__name__}")
    dtype = array.dtype
    if dtype.kind not in "fiubc" and not (dtype.kind == "V" and _is_small_float(dtype)):
        raise TypeError(
            f"cannot show values of dtype {dtype}; expected bool, integer, float or complex"
        )
    return array, xp


def _dense(array: Any) -> Any:
    """A sparse array as a plain one, if that is no larger than what is shown of an array."""
    if not hasattr(array, "sparse_dim"):
        return array
    if array.size > EXACT:
        raise TypeError(
            f"a sparse tensor of {list(array.shape)} is too large to be shown whole; look at its "
            "coalesce().values()"
        )
    return array.todense()


def _is_small_float(dtype: np.dtype) -> bool:
    """Whether it is bfloat16 or one of its kin, which NumPy counts among the void types."""
    return dtype.names is None and dtype.type.__module__.partition(".")[0] == "ml_dtypes"


def _float64(x: Any, xp: Any) -> Any:
    """A chunk in float64, of a complex one the absolute values. May be the chunk itself."""
    if x.dtype.kind != "c":
        return x.astype(np.float64, copy=False)
    size = xp.abs(x.astype(np.complex128, copy=False))
    return xp.where(xp.isnan(x), np.nan, size)  # abs(nan + inf j) is inf; here a NaN wins


def _canonical(a: Any) -> Any:
    """A view of the same elements in the order of memory, with as few axes as that takes."""
    if a.flags.c_contiguous:
        return a.reshape(-1)
    a = a[tuple(slice(None, None, -1 if s < 0 else None) for s in a.strides)]
    axes = sorted((i for i in range(a.ndim) if a.shape[i] > 1), key=lambda i: -a.strides[i])
    a = a.transpose(*axes, *(i for i in range(a.ndim) if a.shape[i] == 1))
    shape: list[int] = []
    last = 0
    for size, stride in zip(a.shape[: len(axes)], a.strides):
        if shape and last == size * stride:
            shape[-1] *= size
        else:
            shape.append(size)
        last = stride
    return a.reshape(shape)


def _split(shape: Sequence[int], limit: int) -> tuple[int, int]:
    """Where to cut an array of more than ``limit`` elements: (axis, its length in a piece)."""
    inner = 1
    axis = len(shape) - 1
    while inner * shape[axis] <= limit:
        inner *= shape[axis]
        axis -= 1
    pieces = -(-shape[axis] // max(1, limit // inner))
    return axis, -(-shape[axis] // pieces)


def _pieces(a: Any, limit: int) -> Iterator[Any]:
    """The array in views of at most ``limit`` elements, few of them much smaller."""
    if a.size <= limit:
        yield a
        return
    axis, length = _split(a.shape, limit)
    for lead in np.ndindex(*a.shape[:axis]):
        for start in range(0, a.shape[axis], length):
            yield a[(*lead, slice(start, start + length))]


def _sample(a: Any, xp: Any) -> Any:
    """About ``RUNS * RUN`` elements of a larger array, as float64 of one dimension.

    One run from each of ``RUNS`` equal stretches of memory. Where in its stretch a run lies
    follows the golden ratio, so that no period of the data (the length of a row) meets it.
    """
    axis, length = _split(a.shape, RUN)
    inner = math.prod(a.shape[axis + 1 :])
    lead_shape = a.shape[: axis + 1]
    stretch = math.prod(lead_shape) / RUNS
    out = xp.empty((RUNS, length * inner), np.float64)
    for i in range(RUNS):
        first = int((i + i * 0.6180339887498949 % 1.0) * stretch)
        *lead, row = (int(v) for v in np.unravel_index(first, lead_shape))
        row = min(row, lead_shape[-1] - length)
        run = a[(*lead, slice(row, row + length))]
        out[i].reshape(run.shape)[...] = _float64(run, xp)
    return out.reshape(-1)


# -- statistics ------------------------------------------------------------------------------


def summarize(array: Any, bins: int = 32) -> Summary:
    """Statistics and histogram of an array of any shape, any numeric dtype and any strides.

    Mean and standard deviation (of the population) are computed in two passes in float64, so they
    are right for a large mean with a small spread, for float16 and for values near the limits of
    float64. Counts of NaN and Inf are exact up to `EXACT` elements. Above that, `sampled` is set
    and **every** figure is of the sample, the counts too (`count` is the number of elements that
    were looked at), except `norm`, which is scaled to the whole.

    A complex array is described by its absolute values. A histogram of a constant has all in the
    middle bin. Raises TypeError for a dtype without numbers (object, str, datetime).

    >>> import numpy as np
    >>> from framework.trace.summary import summarize
    >>> s = summarize(np.array([[0.0, 1.0], [3.0, np.nan]], np.float32), bins=3)
    >>> s.count, s.nan, s.zeros, s.min, s.max, round(s.mean, 3), s.counts
    (4, 1, 1, 0.0, 3.0, 1.333, (1, 1, 1))
    """
    a, xp = _open(array)
    total = a.size
    if not total:
        return Summary(0, 0, 0, 0)
    a = _canonical(a)
    if total > EXACT:
        a = _sample(a, xp)
    count = a.size
    pieces = _Pieces(a, xp)
    with np.errstate(all="ignore"):
        nan = inf = zeros = 0
        low, high = math.inf, -math.inf
        sums: list[float] = []
        for x in pieces:
            part, least, most, naught = _scalars(xp, x.sum(), x.min(), x.max(), _zeros(x, xp))
            if not math.isfinite(part):  # a NaN, an Inf, or an overflow of the sum
                nans, infs = _scalars(xp, xp.isnan(x).sum(), xp.isinf(x).sum())
                if nans or infs:
                    pieces.dirty = True
                    nan += int(nans)
                    inf += int(infs)
                    x = x[xp.isfinite(x)]
                    if not x.size:
                        continue
                    part, least, most = _scalars(xp, x.sum(), x.min(), x.max())
            sums.append(part)
            low, high = min(low, least), max(high, most)
            zeros += int(naught)
        finite = count - nan - inf
        if not finite:
            return Summary(count, nan, inf, 0, sampled=total > EXACT)
        mean, std, norm, counts = _moments(pieces, low, high, sums, finite, bins)
    return Summary(
        count=count,
        nan=nan,
        inf=inf,
        zeros=zeros,
        min=low,
        max=high,
        mean=mean,
        std=std,
        norm=norm * math.sqrt(total / count),
        sampled=total > EXACT,
        counts=counts,
    )


class _Pieces:
    """The chunks of an array in float64; the only chunk of a small one is converted once."""

    def __init__(self, a: Any, xp: Any) -> None:
        self.a, self.xp = a, xp
        self.limit = CHUNK if xp is np else CUDA_CHUNK
        self.dirty = False  # it has been seen to hold a NaN or an Inf
        self.only = _float64(a, xp).reshape(-1) if a.size <= self.limit else None

    def __iter__(self) -> Iterator[Any]:
        if self.only is not None:
            yield self.only
            return
        for piece in _pieces(self.a, self.limit):
            yield _float64(piece, self.xp).reshape(-1)

    def finite(self) -> Iterator[Any]:
        for x in self:
            yield x[self.xp.isfinite(x)] if self.dirty else x


def _scalars(xp: Any, *values: Any) -> list[float]:
    """Some 0-d results as floats, in one transfer."""
    if xp is np:
        return [float(v) for v in values]
    return xp.stack([v.astype(np.float64) for v in values]).get().tolist()


def _zeros(x: Any, xp: Any) -> Any:
    # Counting the true ones of a comparison is 6 times as fast as count_nonzero of floats.
    return np.count_nonzero(x == 0) if xp is np else (x == 0).sum()


def _moments(
    pieces: _Pieces, low: float, high: float, sums: list[float], finite: int, bins: int
) -> tuple[float, float, float, tuple[int, ...]]:
    """Mean, standard deviation, norm and histogram of the finite elements: the second pass.

    Values whose squares would leave the range of float64 are scaled by a power of two meanwhile.
    """
    xp = pieces.xp
    largest = max(-low, high)
    scale = 1.0
    if largest > 1e150 or 0 < largest < 1e-150:
        scale = 2.0 ** max(-1022, min(1000, -math.frexp(largest)[1]))
        sums = [float((x * scale).sum()) for x in pieces.finite()]
    mean = min(max(math.fsum(sums) / finite, low * scale), high * scale)
    first, width = low * scale, (high - low) if scale == 1.0 else high * scale - low * scale
    squares: list[Any] = []
    histogram: Any = 0
    for x in pieces.finite():
        if scale != 1.0:
            x = x * scale
        d = x - mean
        xp.multiply(d, d, out=d)
        squares.append(d.sum())
        if bins > 0 and width > 0:
            xp.subtract(x, first, out=d)
            d *= bins / width
            histogram = histogram + xp.bincount(d.astype(np.intp), minlength=bins + 1)
    std = math.sqrt(math.fsum(map(float, squares)) / finite)
    norm = math.sqrt(finite) * math.hypot(std, mean)
    if not bins > 0:
        counts = []
    elif width > 0:
        *counts, top = histogram.tolist()  # the last bin includes its upper end
        counts[-1] += top
    else:
        counts = [0] * bins
        counts[bins // 2] = finite
    return mean / scale, std / scale, norm / scale, tuple(counts)


# -- pictures --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Plane:
    """A tensor as rows and columns: views of it, never a copy.

    `body` is 2-d. A vector that was wrapped into rows may have a shorter last row, the `tail`; it
    has no elements in the last columns.
    """

    body: Any
    tail: Any | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, the tail's row included."""
        rows, cols = self.body.shape
        return (rows + (self.tail is not None), cols)


def to_2d(array: Any, index: Sequence[Index] = ()) -> Plane:
    """The 2-d view of an array that pictures and tables show, after ``index``.

    A scalar is one cell. A vector of up to 16 elements is one row; a longer one is wrapped into
    rows of equal length, near a square; if no length divides it, the last row is shorter. Of more
    dimensions, the leading ones are taken at their first index: `picture_slice` says so.

    >>> import numpy as np
    >>> from framework.trace.summary import to_2d
    >>> to_2d(np.arange(784)).shape, to_2d(np.arange(127)).shape, to_2d(np.ones((2, 3, 4))).shape
    ((28, 28), (8, 16), (3, 4))
    """
    index = picture_slice(array.shape, index)
    a = array[index if Ellipsis in index else (*index, Ellipsis)]
    if a.ndim == 2:
        return Plane(a)
    if not a.size or a.ndim == 0:
        return Plane(a.reshape(1, a.size))
    width = wrap_width(a.size)
    whole = a.size - a.size % width
    return Plane(a[:whole].reshape(-1, width), a[whole:] if whole < a.size else None)


def wrap_width(count: int) -> int:
    """The length of the rows in which a vector of ``count`` elements is pictured.

    >>> from framework.trace.summary import wrap_width
    >>> [wrap_width(n) for n in (10, 64, 127, 128, 1000)]
    [10, 8, 16, 16, 40]
    """
    if count <= ONE_ROW:
        return count
    root = math.isqrt(count - 1) + 1
    for width in range(root, min(2 * root, root + (1 << 16)) + 1):
        if count % width == 0:
            return width
    return 1 << (root - 1).bit_length()


def _plane(picture: Any) -> Plane:
    if isinstance(picture, Plane):
        return picture
    if len(picture.shape) != 2:
        raise ValueError(f"expected 2 dimensions, but got shape {list(picture.shape)}: use to_2d")
    return Plane(picture)


def grid(picture: Any, rows: int, cols: int) -> Grid:
    """A 2-d array (or `Plane`) reduced to at most ``rows`` by ``cols`` blocks.

    Each block has the mean of its finite elements (NaN if there is none) and a mark: 1 if it holds
    a NaN, else 2 if it holds an Inf. Above `EXACT` elements, each block's mean and mark come from
    an even sample of its rows and columns.

    >>> import numpy as np
    >>> from framework.trace.summary import grid
    >>> g = grid(np.array([[0.0, 2.0, np.inf, 4.0]]), 1, 2)
    >>> g.values, g.marks, g.shape
    ([1.0, 4.0], [0, 2], (1, 4))
    """
    plane = _plane(picture)
    height, width = plane.shape
    rows, cols = min(rows, height, MAX_GRID), min(cols, width, MAX_GRID)
    if rows <= 0 or cols <= 0:
        return Grid(0, 0, [], [], plane.shape)
    body, tail = plane.body, plane.tail
    # Odd strides meet all columns of a vector that was wrapped, or of interleaved channels.
    down = _odd(min(height // rows, math.ceil(height * width / EXACT)))
    right = _odd(min(width // cols, math.ceil(height * width / down / EXACT)))
    row_edges = [i * height // rows for i in range(rows + 1)]
    col_edges = [i * width // cols for i in range(cols + 1)]
    blocks = _Blocks(rows, cols)
    with np.errstate(all="ignore"):
        edges = [-(-min(e, body.shape[0]) // down) for e in row_edges]
        blocks.add(body[::down, ::right], edges, [-(-e // right) for e in col_edges])
        if tail is not None:
            short = [-(-min(e, tail.size) // right) for e in col_edges]
            blocks.add(tail[None, ::right], [0] * rows + [1], short)
        values, marks = blocks.result()
    return Grid(rows, cols, values, marks, plane.shape)


def _odd(stride: int) -> int:
    """The largest odd number up to it."""
    return max(1, stride - 1 + stride % 2)


class _Blocks:
    """Sums and counts of the elements in each block of a picture, on the host."""

    def __init__(self, rows: int, cols: int) -> None:
        self.sum, self.size, self.nan, self.inf = np.zeros((4, rows, cols))

    def add(self, a: Any, row_edges: list[int], col_edges: list[int]) -> None:
        """Add a 2-d array; block i holds its rows from row_edges[i] to row_edges[i + 1]."""
        a, xp = _open(a)
        self.size += np.outer(np.diff(row_edges), np.diff(col_edges))
        limit = CHUNK if xp is np else CUDA_CHUNK
        height, width = a.shape
        across = min(width, limit)
        down = max(1, limit // max(1, across))
        for top in range(0, height, down):
            for left in range(0, width, across):
                x = _float64(a[top : top + down, left : left + across], xp)
                rows, row_starts = _overlap(row_edges, top, x.shape[0])
                cols, col_starts = _overlap(col_edges, left, x.shape[1])
                self._add_tile(x, xp, (rows, cols), row_starts, col_starts)

    def _add_tile(
        self, x: Any, xp: Any, where: tuple[slice, slice], rows: list[int], cols: list[int]
    ) -> None:
        total = _block_sums(x, xp, rows, cols)
        if not np.isfinite(total).all():
            nan, inf = xp.isnan(x), xp.isinf(x)
            self.nan[where] += _block_sums(nan.astype(np.float64), xp, rows, cols)
            self.inf[where] += _block_sums(inf.astype(np.float64), xp, rows, cols)
            total = _block_sums(xp.where(nan | inf, 0.0, x), xp, rows, cols)
        self.sum[where] += total

    def result(self) -> tuple[list[float], list[int]]:
        limit = sys.float_info.max  # a sum may overflow, a mean cannot
        mean = np.clip(self.sum / (self.size - self.nan - self.inf), -limit, limit)
        marks = np.where(self.nan > 0, 1, np.where(self.inf > 0, 2, 0))
        return mean.ravel().tolist(), marks.ravel().tolist()


def _overlap(edges: list[int], start: int, length: int) -> tuple[slice, list[int]]:
    """Which blocks a stretch of rows or columns meets, and where each begins in it."""
    first = bisect_right(edges, start) - 1
    stop = bisect_left(edges, start + length)
    return slice(first, stop), [max(e, start) - start for e in edges[first:stop]]


def _block_sums(x: Any, xp: Any, rows: list[int], cols: list[int]) -> np.ndarray:
    """Sums of a 2-d chunk between the given starts of rows and columns, on the host."""
    if len(rows) == 1:
        x = x.sum(axis=0, keepdims=True)  # 5 times as fast as reduceat
    elif len(rows) < x.shape[0]:
        x = xp.add.reduceat(x, xp.asarray(rows), axis=0)
    if len(cols) < x.shape[1]:
        x = xp.add.reduceat(x, xp.asarray(cols), axis=1)
    return x if xp is np else x.get()


# -- tables ----------------------------------------------------------------------------------


def table(picture: Any, row0: int, col0: int, rows: int, cols: int) -> Table:
    """A window of a 2-d array (or `Plane`) as text, moved so that it lies inside the array.

    All floats of a window are written in one format, fixed or scientific, that gives the largest
    four significant digits; one that would read 0 in it without being 0 is written as 2e-07. A
    cell of a wrapped vector's last row that has no element is "". At most 256 cells each way.

    >>> import numpy as np
    >>> from framework.trace.summary import table
    >>> table(np.array([[1.0, -0.25, np.nan], [20.0, 1e-7, 0.0]]), 0, 0, 2, 3).cells
    [['1.00', '-0.25', 'nan'], ['20.00', '1e-07', '0.00']]
    """
    plane = _plane(picture)
    height, width = plane.shape
    rows, cols = (max(0, min(n, size, MAX_TABLE)) for n, size in ((rows, height), (cols, width)))
    row0, col0 = max(0, min(row0, height - rows)), max(0, min(col0, width - cols))
    body, tail = plane.body, plane.tail
    stop = min(row0 + rows, body.shape[0])
    windows = [_host(body[row0:stop, col0 : col0 + cols])]
    if tail is not None and row0 + rows == height and rows:
        windows.append(_host(tail[None, col0 : col0 + cols]))
    write = _writer(np.concatenate([w.ravel() for w in windows]))
    cells = [[write(v) for v in line] for window in windows for line in window.tolist()]
    for line in cells:
        line += [""] * (cols - len(line))
    return Table(row0, col0, cells, plane.shape)


def _host(window: Any) -> np.ndarray:
    """A small window as a NumPy array whose ``tolist`` gives Python numbers."""
    a, xp = _open(window)
    a = a if xp is np else a.get()
    return a.astype(np.float64) if a.dtype.kind in "Vf" else a


def _writer(values: np.ndarray) -> Any:
    """The function that writes one number of a window."""
    if values.dtype.kind in "biu":
        return str
    if values.dtype.kind == "c":
        part = _float_writer(np.concatenate([values.real, values.imag]).astype(np.float64))

        def write(z: complex) -> str:
            imag = part(z.imag)
            return f"{part(z.real)}{'' if imag.startswith('-') else '+'}{imag}j"

        return write
    return _float_writer(values)


def _float_writer(values: np.ndarray) -> Any:
    sizes = np.abs(values[np.isfinite(values)])
    largest = float(sizes.max(initial=0.0))
    if largest >= 1e6 or 0 < largest < 1e-3:
        return lambda v: f"{v:.3e}" if v else "0"
    decimals = max(1, 3 - math.floor(math.log10(largest))) if largest else 1
    while decimals > 1 and np.allclose(np.round(sizes, decimals - 1), sizes, 1e-6, 0.0):
        decimals -= 1  # no digits that are 0 in every cell; 1e-6: what float32 tells apart
    smallest = 0.5 * 10.0**-decimals

    def write(v: float) -> str:
        return f"{v:.0e}" if 0 < abs(v) < smallest else f"{v:.{decimals}f}"

    return write


# -- everything at once ----------------------------------------------------------------------


def view(
    array: Any,
    meta: TensorMeta,
    seq: int = 0,
    slice: str = "",
    row0: int = 0,
    col0: int = 0,
    rows: int = 0,
    cols: int = 0,
    grid: Sequence[int] | None = None,
) -> TensorView:
    """Everything that an inspector draws of one tensor: the answer to the wire's ``view``.

    The summary is of the whole slice; the table and the picture are of `to_2d` of it. Without
    ``rows`` and ``cols`` there is no table, without ``grid`` no picture. Raises ValueError
    (`SliceError` for the slice) or TypeError with one line for the user.

    >>> import numpy as np
    >>> from framework.trace.events import TensorMeta
    >>> from framework.trace.summary import view
    >>> a = np.arange(6.0).reshape(2, 3)
    >>> v = view(a, TensorMeta(1, a.shape, "float64", "cpu"), slice="1", rows=2, cols=2)
    >>> v.slice, v.summary.count, v.table.cells, v.table.shape
    ('[1]', 3, [['3.0', '4.0']], (1, 3))
    """
    for name, value in (("row0", row0), ("col0", col0), ("rows", rows), ("cols", cols)):
        _check_count(name, value)
    size: list[int] = []
    if grid is not None:
        if not isinstance(grid, (list, tuple)) or len(grid) != 2:
            raise ValueError(f"view: grid must be [rows, cols], but got {_shown(repr(grid))}")
        size = [_check_count("grid", n) for n in grid]
    array = _dense(array) if hasattr(array, "shape") else np.asarray(array)
    index = parse_slice(slice, array.shape)
    summary = summarize(array[(*index, Ellipsis)] if Ellipsis not in index else array[index])
    plane = to_2d(array, index)
    return TensorView(
        tensor=meta,
        seq=seq,
        slice=format_slice(index),
        summary=summary,
        grid=_grid(plane, *size) if size else None,
        table=table(plane, row0, col0, rows, cols) if rows and cols else None,
    )


_grid = grid  # `view` has a parameter of this name, as the wire has


def _check_count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise ValueError(f"view: {name} must be an integer from 0 on, not {_shown(repr(value))}")
    return value
