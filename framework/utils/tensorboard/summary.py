"""Summaries: what TensorBoard shows, as messages of its protocol buffers.

Numbers of fields are those of TensorFlow's ``summary.proto``, ``tensor.proto`` and of the plugins
of TensorBoard (``hparams``, ``pr_curve``, ``custom_scalar``, ``text``).
"""

from __future__ import annotations

import io
import struct
import wave
import zlib
from typing import Any

import numpy as np

from framework import dtypes
from framework.kernels import waits
from framework.tensor import Tensor
from framework.utils.tensorboard.records import Double, message

__all__ = [
    "as_array", "audio", "boxed", "custom_scalars", "histogram", "histogram_raw", "hparams",
    "image", "pr_curve", "pr_curve_raw", "scalar", "tensor", "text",
]  # fmt: skip

# The numbers of types and the fields of their values in a TensorProto.
_TYPES = {
    "float32": (1, 5), "float64": (2, 6), "int32": (3, 7), "uint8": (4, 7), "int16": (5, 7),
    "int8": (6, 7), "complex64": (8, 9), "int64": (9, 10), "bool": (10, 11),
    "complex128": (18, 12),
}  # fmt: skip
_FLOAT, _DOUBLE, _STRING = 1, 2, 7
# The part of a curve's data that TensorBoard's plugin can read.
_MOST_THRESHOLDS = 127


def as_array(value: Any) -> np.ndarray:
    """A tensor, an array or a number as an array on the host."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, Tensor):
        array = waits.fetched(value._data, value._device)
        return array.astype(np.float16) if value.dtype is dtypes.bfloat16 else array
    if np.isscalar(value):
        return np.array([value])
    raise NotImplementedError(f"Got {type(value)}, but numpy array or torch tensor are expected.")


def _summary(tag: str, *fields: tuple[int, Any]) -> bytes:
    return message((1, message((1, tag), *fields)))


def _metadata(plugin: str, content: bytes = b"") -> bytes:
    return message((1, message((1, plugin), (2, content))))


def _shape(*sizes: int) -> bytes:
    return message((2, [message((1, size)) for size in sizes]))


def _tensor_of(kind: int, field: int, values: list[Any], *sizes: int) -> bytes:
    shape = _shape(*sizes)
    return message((1, kind)) + _always(2, shape) + message((field, values))


def _always(number: int, value: bytes) -> bytes:
    """A message also when it is empty, as the shape of a scalar is."""
    return message((number, [value]))


def scalar(tag: str, value: Any, new_style: bool = False, double_precision: bool = False) -> bytes:
    """A number."""
    array = as_array(value).squeeze()
    if array.ndim:
        raise AssertionError(
            f"Tensor should contain one element (0 dimensions). Was given size: {array.size} and "
            f"{array.ndim} dimensions."
        )
    number = float(array)
    if not new_style:
        return _summary(tag, (2, number))
    proto = message((1, _FLOAT), (5, [number]))
    if double_precision:
        proto = message((1, _DOUBLE), (6, [Double(number)]))
    return _summary(tag, (8, proto), (9, _metadata("scalars")))


def tensor(tag: str, value: Tensor) -> bytes:
    """All elements of a tensor."""
    if value.dtype.name not in _TYPES:
        raise ValueError(f"{tag} has unsupported tensor dtype {value.dtype}")
    kind, field = _TYPES[value.dtype.name]
    flat = waits.fetched(value._data, value._device).reshape(-1)
    items: list[Any] = flat.tolist()
    if value.dtype.is_complex:
        items = flat.view(flat.real.dtype).tolist()
    if kind in (_DOUBLE, 18):
        items = [Double(x) for x in items]
    proto = _tensor_of(kind, field, items, *value.shape)
    return _summary(tag, (8, proto), (9, _metadata("tensor")))


def text(tag: str, content: str) -> bytes:
    """A text, which is shown as Markdown."""
    proto = _tensor_of(_STRING, 8, [content.encode()], 1)
    return _summary(f"{tag}/text_summary", (8, proto), (9, _metadata("text")))


# -- histograms and curves -----------------------------------------------------------------------


def histogram_raw(
    tag: str, least: Any, most: Any, count: Any, total: Any, squares: Any, limits: Any, counts: Any
) -> bytes:
    """A histogram: upper limits of buckets, and how many values are in each."""
    numbers = [(i + 1, Double(x)) for i, x in enumerate((least, most, count, total, squares))]
    lists = [(6, [Double(x) for x in limits]), (7, [Double(x) for x in counts])]
    return _summary(tag, (5, message(*numbers, *lists)))


def histogram(tag: str, values: Any, bins: Any, max_bins: int | None = None) -> bytes:
    """The histogram of some values; empty buckets at its ends are left out but one."""
    flat = as_array(values).astype(np.float64).reshape(-1)
    if not flat.size:
        raise ValueError("The input has no element.")
    counts, edges = np.histogram(flat, bins=bins)
    if max_bins is not None and len(counts) > max_bins:
        step = len(counts) // max_bins
        counts = np.add.reduceat(counts, np.arange(0, len(counts), step))
        edges = np.append(edges[:-1:step], edges[-1])
    filled = np.flatnonzero(counts)
    if not filled.size:
        raise ValueError("The histogram is empty: none of the values is within the bins")
    first, last = filled[0], filled[-1]
    counts = np.append(0, counts[first : last + 1])  # one that is empty, with its upper limit
    limits = edges[first : last + 2]
    return histogram_raw(
        tag, flat.min(), flat.max(), flat.size, flat.sum(), flat @ flat, limits, counts
    )


def pr_curve_raw(tag: str, columns: Any, thresholds: int) -> bytes:
    """A curve from its rows: true and false positives and negatives, precision, recall."""
    data = np.stack(columns).astype(np.float64)
    plugin = message((2, min(thresholds, _MOST_THRESHOLDS)))
    proto = _tensor_of(_FLOAT, 5, data.reshape(-1).tolist(), *data.shape)
    return _summary(tag, (8, proto), (9, _metadata("pr_curves", plugin)))


def pr_curve(tag: str, labels: Any, predictions: Any, thresholds: int, weights: Any) -> bytes:
    """Precision and recall of predictions in [0, 1] for labels 0 and 1, over a threshold."""
    count = min(thresholds, _MOST_THRESHOLDS)
    truth = as_array(labels).astype(np.float64).reshape(-1)
    scale = 1.0 if weights is None else as_array(weights).reshape(-1)
    bucket = np.floor(as_array(predictions).reshape(-1) * (count - 1)).astype(np.int64)

    def at_least(weight: Any) -> np.ndarray:
        """For each threshold, the weight of the predictions that reach it."""
        total = np.bincount(bucket, weight, count)
        return np.cumsum(total[::-1])[::-1]

    tp, fp = at_least(truth * scale), at_least((1.0 - truth) * scale)
    tn, fn = fp[0] - fp, tp[0] - tp
    tiny = 1e-7  # keeps 0 / 0 at 0
    precision, recall = tp / np.maximum(tiny, tp + fp), tp / np.maximum(tiny, tp + fn)
    return pr_curve_raw(tag, (tp, fp, tn, fn, precision, recall), count)


# -- pictures and sound --------------------------------------------------------------------------


def image(tag: str, value: Any, dataformats: str) -> bytes:
    """A picture, or a batch of them as a grid of eight columns; floats in [0, 1] or bytes."""
    return _picture(tag, _pixels(_rows_columns_channels(as_array(value), dataformats)))


def boxed(tag: str, value: Any, boxes: Any, dataformats: str) -> bytes:
    """A picture with red rectangles: (left, top, right, bottom) each."""
    pixels = _pixels(_rows_columns_channels(as_array(value), dataformats)).copy()
    red = np.array([255, 0, 0, 255], np.uint8)[: pixels.shape[2]]
    for left, top, right, bottom in as_array(boxes).astype(np.int64).tolist():
        left, top = max(left, 0), max(top, 0)
        for rows, columns in (
            (slice(top, top + 2), slice(left, right + 1)),
            (slice(max(bottom - 1, 0), bottom + 1), slice(left, right + 1)),
            (slice(top, bottom + 1), slice(left, left + 2)),
            (slice(top, bottom + 1), slice(max(right - 1, 0), right + 1)),
        ):
            pixels[rows, columns] = red
    return _picture(tag, pixels)


def _pixels(array: np.ndarray) -> np.ndarray:
    scale = 1 if array.dtype == np.uint8 else 255
    return (array.astype(np.float32) * scale).clip(0, 255).astype(np.uint8)


def _rows_columns_channels(array: np.ndarray, order: str) -> np.ndarray:
    order = order.upper()
    if len(set(order)) != len(order):
        raise AssertionError(
            f"You can not use the same dimension shorthand twice. input_format: {order}"
        )
    if array.ndim != len(order):
        raise AssertionError(
            "size of input tensor and input format are different. tensor shape: "
            f"{array.shape}, input_format: {order}"
        )
    if len(order) == 4:
        return _grid(array.transpose([order.find(c) for c in "NHWC"]))
    if len(order) == 2:
        array, order = array[..., None], order + "C"
    array = array.transpose([order.find(c) for c in "HWC"])
    return np.repeat(array, 3, 2) if array.shape[2] == 1 else array


def _grid(pictures: np.ndarray, columns: int = 8) -> np.ndarray:
    if pictures.shape[3] == 1:
        pictures = np.repeat(pictures, 3, 3)
    count, height, width, channels = pictures.shape
    if channels != 3:
        raise AssertionError("Input should be a 4D numpy array with 3 channels")
    columns = min(count, columns)
    rows = -(-count // columns)
    canvas = np.zeros((rows * columns, height, width, 3), pictures.dtype)
    canvas[:count] = pictures
    canvas = canvas.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    return canvas.reshape(rows * height, columns * width, 3)


def _picture(tag: str, pixels: np.ndarray) -> bytes:
    height, width, channels = pixels.shape
    fields = (1, height), (2, width), (3, channels), (4, _png(pixels))
    return _summary(tag, (4, message(*fields)))


def _png(pixels: np.ndarray) -> bytes:
    """A PNG file (https://www.w3.org/TR/png-3/) of bytes in rows, columns and channels."""
    height, width, channels = pixels.shape
    colour = {2: 4, 3: 2, 4: 6}[channels]

    def chunk(name: bytes, data: bytes) -> bytes:
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with "no filter"
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)) + chunk(b"IEND", b"")
    )  # fmt: skip


def audio(tag: str, value: Any, rate: int) -> bytes:
    """Sound: one channel of floats in [-1, 1]."""
    array = as_array(value).squeeze()
    if array.ndim != 1:
        raise AssertionError("input tensor should be 1 dimensional.")
    samples = (array.clip(-1, 1) * np.iinfo(np.int16).max).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(samples.tobytes())
    fields = (1, float(rate)), (2, 1), (3, samples.size), (4, file.getvalue()), (5, "audio/wav")
    return _summary(tag, (6, message(*fields)))


# -- the plugins of hyperparameters and of layouts -----------------------------------------------

_KINDS = {"text": (1, 3), "bool": (2, 4), "number": (3, 2)}  # type, field of google.protobuf.Value


def hparams(values: Any, metrics: Any, domain: Any) -> list[bytes]:
    """Three summaries: of the experiment, the session's start and the session's end."""
    for words, given in ("hparam_dict", values), ("metric_dict", metrics):
        if not isinstance(given, dict):
            raise TypeError(f"parameter: {words} should be a dictionary, nothing logged.")
    domain = domain or {}
    if not isinstance(domain, dict):
        raise TypeError("parameter: hparam_domain_discrete should be a dictionary, nothing logged.")
    for name, choices in domain.items():
        if name not in values or not isinstance(choices, list) or (
            not all(isinstance(choice, type(values[name])) for choice in choices)
        ):  # fmt: skip
            raise TypeError(
                f"parameter: hparam_domain_discrete[{name}] should be a list of same type as "
                f"hparam_dict[{name}]."
            )
    infos, settings = [], []
    for name, value in values.items():
        if value is None:
            continue
        kind, encoded = _value(value)
        choices = [_value(choice)[1] for choice in domain.get(name, [])]
        listed = message((1, choices)) if choices else None
        infos.append(message((1, name), (4, kind), (5, listed)))
        settings.append(message((1, name), (2, encoded)))
    named = [message((1, message((2, tag)))) for tag in metrics]
    parts = {
        "experiment": (2, message((4, infos), (5, named))),
        "session_start_info": (3, message((1, settings))),
        "session_end_info": (4, message((1, 1))),  # success
    }
    return [
        _summary(f"_hparams_/{name}", (9, _metadata("hparams", _always(field, part))))
        for name, (field, part) in parts.items()
    ]


def _value(value: Any) -> tuple[int, bytes]:
    content: Any
    if isinstance(value, str):
        kind, content = "text", [value]
    elif isinstance(value, bool):
        kind, content = "bool", value
    elif isinstance(value, (int, float, np.generic, Tensor)):
        kind, content = "number", Double(as_array(value).item())
    else:
        raise ValueError("value should be one of int, float, str, bool, or torch.Tensor")
    number, field = _KINDS[kind]
    return number, message((field, content))


def custom_scalars(layout: dict[str, dict[str, Any]]) -> bytes:
    """Charts of several scalars: {category: {title: ["Multiline" or "Margin", tags]}}."""
    categories = []
    for category, charts in layout.items():
        made = []
        for title, (kind, tags) in charts.items():
            if kind == "Margin":
                if len(tags) != 3:
                    raise AssertionError(
                        f"a Margin chart has three tags (value, lower, upper), not {len(tags)}"
                    )
                series = message(*[(i + 1, tag) for i, tag in enumerate(tags)])
                made.append(message((1, title), (3, message((1, [series])))))
            else:
                made.append(message((1, title), (2, message((1, list(tags))))))
        categories.append(message((1, category), (2, made)))
    proto = _tensor_of(_STRING, 8, [message((2, categories))])
    return _summary("custom_scalars__config__", (8, proto), (9, _metadata("custom_scalars")))
