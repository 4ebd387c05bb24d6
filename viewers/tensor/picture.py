"""Images in character cells: of a tensor that is one, and of a notebook's PNG or JPEG output."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from framework.trace.protocol import Grid
from framework.trace.summary import SliceError, format_slice, parse_slice, sliced_shape
from viewers.tensor.lines import (
    INF,
    NAN,
    enlarge,
    fit_lines,
    half_blocks,
    matrix,
    note_lines,
    ramp_lines,
    resample,
)
from viewers.text import Line, short

__all__ = ["image_lines", "image_slices", "picture_lines"]

ALL = slice(None)
MAX_BYTES = 32 << 20  # of an encoded picture
MAX_PIXELS = 1 << 24  # 64 MB when decoded; a figure of 20 by 16 inches at 200 dpi has 13 million
_LUMA = np.array([0.299, 0.587, 0.114])  # Rec. 601


# -- tensors that are images -----------------------------------------------------------------


def image_slices(shape: Sequence[int], slice: str = "") -> list[str]:
    """The slices to ask of the wire's ``view`` for a tensor's (first) image; [] if it is none.

    An image is [H, W], [C, H, W] or [N, C, H, W] with C 1 or 3, and H and W above 1; of a tensor
    that was sliced, what is left of it.

    >>> image_slices((8, 3, 32, 32)), image_slices((1, 28, 28)), image_slices((28, 28))
    (['[0, 0]', '[0, 1]', '[0, 2]'], ['[0]'], [''])
    >>> image_slices((64, 16, 16)), image_slices((128,))
    ([], [])
    >>> image_slices((8, 1, 28, 28), "[5]"), image_slices((8, 3, 9, 9), "[2:6, :, ::2]")
    (['[5, 0, :, :]'], ['[2, 0, ::2, :]', '[2, 1, ::2, :]', '[2, 2, ::2, :]'])
    >>> image_slices((64, 16, 16), "[7]")
    ['[7]']
    """
    try:
        index = parse_slice(slice, shape)
        left = sliced_shape(shape, index)
    except (SliceError, TypeError, ValueError, OverflowError):  # from a peer: not believed
        return []
    if not 2 <= len(left) <= 4 or left[-1] < 2 or left[-2] < 2 or 0 in left:
        return []
    if len(left) == 2:
        return [slice]
    if left[-3] not in (1, 3):
        return []
    if not slice.strip():
        first = "0, " if len(left) == 4 else ""
        return [f"[{first}{c}]" for c in range(left[-3])]
    items = _whole(index, len(shape))
    kept = [i for i, item in enumerate(items) if not isinstance(item, int)]
    batch, channels = kept[:-3], kept[-3]
    found = []
    for c in range(left[-3]):
        chosen = list(items)
        for axis, at in (*((axis, 0) for axis in batch), (channels, c)):
            chosen[axis] = range(shape[axis])[chosen[axis]][at]
        found.append(format_slice(chosen))
    return found


def _whole(index: Sequence[Any], dims: int) -> list[Any]:
    """One item for each axis."""
    items = list(index)
    at = items.index(Ellipsis) if Ellipsis in items else len(items)
    rest = [item for item in items if item is not Ellipsis]
    return [*rest[:at], *[ALL] * (dims - len(rest)), *rest[at:]]


def image_lines(
    grids: Sequence[Grid],
    width: int,
    height: int,
    *,
    colour: bool = True,
    ascii: bool = False,
) -> list[Line]:
    """One grid as a grey image, three as red, green and blue; exactly ``width`` by ``height``.

    Values within [0, 1] or [0, 255] are taken as such; others are stretched over their range, and
    the last line then says so. The proportions of the image are kept; NaN and Inf have letters.
    Each cell's token is "#rrggbb on #rrggbb". Without ``colour`` it is drawn in ``RAMP``.

    >>> from framework.trace.protocol import Grid
    >>> g = Grid(2, 2, [0.0, 1.0, 0.5, float("nan")], [0, 0, 0, 1], (2, 2))
    >>> image_lines([g], 2, 1)
    [[('▀', '#000000 on #808080'), ('N', 'nan')]]
    """
    plain = ascii or not colour
    found = [matrix(grid) for grid in grids]
    channels = [values for values, _ in (f for f in found if f is not None)]
    if len(found) not in (1, 3) or len(channels) != len(found):
        return note_lines("the picture is damaged", width, height, ascii)
    if len({values.shape for values in channels}) != 1:
        return note_lines("the channels differ in size", width, height, ascii)
    if not channels[0].size or width < 1 or height < 1:
        text = "no elements" if width > 0 and height > 0 else ""
        return note_lines(text, width, height, ascii)
    marks = _gravest([m for _, m in (f for f in found if f is not None)])
    low, high, stretched = _range(channels)
    lines_left = height - (stretched and height >= 3)
    rows, cols = _proportions(grids[0].shape, width, lines_left, plain)
    pixels = []
    for values in channels:
        values, small = _to_size(values, marks, rows, cols)
        with np.errstate(all="ignore"):
            pixels.append(((values / 2 - low / 2) / (high / 2 - low / 2)).clip(0, 1))
    rgb = np.stack(pixels * (3 // len(pixels)), -1)
    if plain:
        lines = ramp_lines(rgb @ _LUMA, small)
    else:
        lines = half_blocks(_hex(rgb), small.tolist())
    if stretched and height >= 3:
        lines = [*fit_lines(lines, width, height - 1), [(f"{short(low)} to {short(high)}", "note")]]
    return fit_lines(lines, width, height, ascii)


def _gravest(marks: list[np.ndarray]) -> np.ndarray:
    stack = np.stack(marks)
    nan, inf = (stack == NAN).any(0), (stack == INF).any(0)
    return np.where(nan, NAN, np.where(inf, INF, 0))


def _range(channels: list[np.ndarray]) -> tuple[float, float, bool]:
    """Which values are black and white, and whether they are the data's own extremes."""
    every = np.concatenate([c.ravel() for c in channels])
    every = every[np.isfinite(every)]
    if not every.size:
        return 0.0, 1.0, False
    low, high = float(every.min()), float(every.max())
    if low >= 0 and high <= 255:
        return 0.0, 1.0 if high <= 1 else 255.0, False
    return low, high if high > low else low + max(1.0, abs(low)), True


def _proportions(shape: tuple[int, int], width: int, height: int, plain: bool) -> tuple[int, int]:
    """Pixel rows and columns in which an image of ``shape`` keeps its proportions.

    A half block is about square, a whole character twice as high as wide.
    """
    rows, cols = max(1, shape[0]), max(1, shape[1])
    most = max(1, height) * 2
    factor = min(width / cols, most / rows)
    if factor > 1:
        factor = float(int(factor))
    tall, wide = max(1, round(rows * factor)), max(1, round(cols * factor))
    tall = min(most, tall)
    return (max(1, tall // 2) if plain else tall), min(width, wide)


def _to_size(
    values: np.ndarray, marks: np.ndarray, rows: int, cols: int
) -> tuple[np.ndarray, np.ndarray]:
    """Exactly so many pixels: means where there are fewer, repeats where there are more."""
    values, marks = resample(values, marks, rows, cols)
    down, across = (-(-want // have) for want, have in zip((rows, cols), values.shape))
    values, marks = enlarge(values, down, across), enlarge(marks, down, across)
    y = np.arange(rows) * values.shape[0] // rows
    x = np.arange(cols) * values.shape[1] // cols
    return values[np.ix_(y, x)], marks[np.ix_(y, x)]


def _hex(rgb: np.ndarray) -> list[list[str]]:
    """Colours (rows, cols, 3) from 0 to 1 as #rrggbb; "" where one is NaN."""
    missing = np.isnan(rgb).any(-1)
    levels = np.round(np.nan_to_num(rgb) * 255).astype(int)
    codes = (levels @ np.array([1 << 16, 1 << 8, 1])).tolist()
    return [
        ["" if gone else f"#{code:06x}" for code, gone in zip(row, gaps)]
        for row, gaps in zip(codes, missing.tolist())
    ]


# -- encoded pictures ------------------------------------------------------------------------


def picture_lines(
    data: bytes | str,
    width: int,
    height: int,
    *,
    colour: bool = True,
    ascii: bool = False,
) -> list[Line]:
    """A PNG or JPEG picture in lines of exactly ``width``, as many as it takes, at most ``height``.

    ``data`` is the file's content, or that in base64 as notebooks have it. The proportions are
    kept; a picture is never enlarged; what is transparent is drawn on white. Each cell's token is
    "#rrggbb on #rrggbb". What is no such picture, is cut off, or would take more than 16 million
    pixels or 32 MB is answered by a one-line note: this never raises.

    >>> picture_lines(b"GIF89a", 40, 10)
    [[('picture: not a readable PNG or JPEG     ', 'note')]]
    """
    if width < 1 or height < 1:
        return []
    try:
        rgb = _decode(data, width, height)
    except _Refused as reason:
        return note_lines(f"picture: {reason}".ljust(width), width, 1, ascii)
    if not (ascii or not colour):
        return fit_lines(half_blocks(_hex(rgb), _no_marks(rgb)), width, -(-rgb.shape[0] // 2))
    luma = rgb @ _LUMA
    luma = (luma[::2] + luma[np.minimum(np.arange(1, len(luma) + 1, 2), len(luma) - 1)]) / 2
    if luma.mean() > 0.5:  # mostly light, as a plot on white: the ground stays empty
        luma = 1 - luma
    luma = (luma - luma.min()) / max(float(np.ptp(luma)), 0.1)  # thin lines are faint once shrunk
    lines = ramp_lines(luma, np.zeros(luma.shape, int))
    return fit_lines(lines, width, len(lines), ascii)


class _Refused(Exception):
    """Why a picture is not drawn."""


def _no_marks(rgb: np.ndarray) -> list[list[int]]:
    return [[0] * rgb.shape[1]] * rgb.shape[0]


def _decode(data: bytes | str, width: int, height: int) -> np.ndarray:
    """The picture as (rows, cols, 3) from 0 to 1, at most 2 * height by width."""
    if len(data) > MAX_BYTES * (4 / 3 if isinstance(data, str) else 1):
        raise _Refused(f"more than {MAX_BYTES >> 20} MB")
    try:
        if isinstance(data, str):
            data = base64.b64decode(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of a size that is refused below
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
                return _shrink(image, width, height)
    except Image.DecompressionBombError:
        raise _Refused("too many pixels") from None
    except _Refused:
        raise
    except Exception as error:
        # Pillow's decoders raise whatever the broken byte led to: OSError, SyntaxError, ValueError,
        # struct.error, zlib.error, IndexError, MemoryError.
        cut = "truncated" in str(error) or "Truncated" in str(error)
        raise _Refused("it is cut off" if cut else "not a readable PNG or JPEG") from None


def _shrink(image: Image.Image, width: int, height: int) -> np.ndarray:
    cols, rows = image.size
    if cols < 1 or rows < 1:
        raise _Refused("no pixels")
    if cols * rows > MAX_PIXELS:
        raise _Refused(f"{cols} x {rows} pixels are too many")
    factor = min(1.0, width / cols, 2 * height / rows)
    size = max(1, round(cols * factor)), max(1, round(rows * factor))
    image.draft("RGB", (size[0] * 2, size[1] * 2))  # a JPEG is decoded at a fraction of its size
    image.load()
    if image.mode.startswith("I"):  # 16 bits a pixel: Pillow would clip it instead of scaling
        grey = np.asarray(image, np.float64) / 65535 * 255
        image = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    drawn: Image.Image = image.convert("RGBA")
    white = Image.new("RGBA", drawn.size, "white")
    drawn = Image.alpha_composite(white, drawn).convert("RGB")
    drawn = drawn.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(drawn, np.float64) / 255
