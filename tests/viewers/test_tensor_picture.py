"""Images: of tensors, and PNG and JPEG outputs of a notebook, whole, broken and hostile."""

from __future__ import annotations

import base64
import io
import random
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from framework.trace.protocol import Grid
from framework.trace.summary import grid, to_2d
from viewers.tensor import image_lines, image_slices, picture_lines, wanted_grid
from viewers.tensor import picture as module
from viewers.text import plain, width_of


def encoded(array, kind="PNG", mode=None, **options):
    out = io.BytesIO()
    Image.fromarray(array, mode).save(out, kind, **options)
    return out.getvalue()


def text(lines):
    return [plain(line) for line in lines]


RED_BLUE = np.zeros((4, 6, 3), np.uint8)
RED_BLUE[:2, :, 0] = 255
RED_BLUE[2:, :, 2] = 255
NOISE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


# -- tensors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "slices"),
    [
        ((28, 28), [""]),
        ((1, 28, 28), ["[0]"]),
        ((3, 8, 8), ["[0]", "[1]", "[2]"]),
        ((16, 1, 8, 8), ["[0, 0]"]),
        ((16, 3, 8, 8), ["[0, 0]", "[0, 1]", "[0, 2]"]),
        ((16, 4, 8, 8), []),
        ((0, 3, 8, 8), []),
        ((1, 3, 8, 8, 8), []),
        ((128,), []),
        ((), []),
        ((1, 64), []),
    ],
)
def test_image_slices(shape, slices):
    assert image_slices(shape) == slices


def test_grey_and_colour_images():
    g = grid(np.array([[0.0, 1.0], [0.25, 0.5]]), 2, 2)
    assert image_lines([g], 2, 1) == [[("▀", "#000000 on #404040"), ("▀", "#ffffff on #808080")]]
    byte = [grid(RED_BLUE[..., c], 4, 6) for c in range(3)]
    assert image_lines(byte, 6, 2) == [[("██████", "#ff0000")], [("██████", "#0000ff")]]


def test_image_keeps_proportions():
    g = grid(np.ones((28, 28)), *wanted_grid(80, 10))
    lines = image_lines([g], 80, 10)
    assert text(lines) == ["█" * 20 + " " * 60] * 10  # 20 by 20 pixels
    wide = grid(np.ones((2, 40)), *wanted_grid(20, 10))
    assert text(image_lines([wide], 20, 10))[0] == "▀" * 20
    tiny = grid(np.ones((2, 2)), 2, 2)
    assert text(image_lines([tiny], 9, 4)) == ["█" * 8 + " "] * 4


def test_image_range_is_said_when_stretched():
    lines = image_lines([grid(np.array([[-1.0, 3.0]]), 1, 2)], 12, 3)
    assert text(lines)[-1] == "-1 to 3     "
    assert lines[0][0][1].startswith("#000000")


def test_image_marks_and_no_colour():
    a = np.array([[0.0, 1.0, 0.5], [np.nan, np.inf, 0.1]])
    g = grid(a, 2, 3)
    assert text(image_lines([g], 3, 1)) == ["NI▀"]
    for options in ({"colour": False}, {"ascii": True}):
        assert text(image_lines([g], 6, 2, **options)) == ["  @@++", "NNII.."]


def test_channels_must_agree():
    a, b = grid(np.ones((2, 2)), 2, 2), grid(np.ones((3, 2)), 3, 2)
    assert text(image_lines([a, b, a], 40, 1)) == ["the channels differ in size".ljust(40)]
    assert text(image_lines([a, a], 40, 1)) == ["the picture is damaged".ljust(40)]
    assert text(image_lines([], 40, 1)) == ["the picture is damaged".ljust(40)]
    assert text(image_lines([Grid(0, 0, [], [], (0, 3))], 40, 1)) == ["no elements".ljust(40)]


def test_digit_reads_in_ascii():
    a = np.zeros((8, 8))
    a[1:7, 3:5] = 1
    lines = image_lines([grid(to_2d(a), 8, 8)], 8, 4, ascii=True)
    assert text(lines) == ["   ++   ", "   @@   ", "   @@   ", "   ++   "]


# -- encoded pictures ------------------------------------------------------------------------


def test_png_exactly():
    lines = picture_lines(encoded(RED_BLUE), 20, 10)
    assert lines == [
        [("██████", "#ff0000"), (" " * 14, "")],
        [("██████", "#0000ff"), (" " * 14, "")],
    ]
    odd = picture_lines(encoded(RED_BLUE[:3]), 6, 10)
    assert odd == [[("██████", "#ff0000")], [("▀▀▀▀▀▀", "#0000ff")]]


def test_base64_as_notebooks_have_it():
    data = base64.encodebytes(encoded(RED_BLUE)).decode()
    assert picture_lines(data, 6, 2) == picture_lines(encoded(RED_BLUE), 6, 2)


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (20, 3), (60, 40), (200, 60)])
@pytest.mark.parametrize("options", [{}, {"colour": False}, {"ascii": True}], ids=str)
def test_size_of_pictures(size, options):
    for data in (encoded(NOISE), encoded(NOISE, "JPEG"), encoded(RED_BLUE), b"junk"):
        lines = picture_lines(data, *size, **options)
        assert 1 <= len(lines) <= size[1]
        assert all(width_of(line) == size[0] for line in lines)
        if "ascii" in options:
            assert all(line.isascii() for line in text(lines))
    assert picture_lines(encoded(NOISE), 0, 5) == picture_lines(encoded(NOISE), 5, 0) == []


def test_proportions_are_kept_and_nothing_is_enlarged():
    assert len(picture_lines(encoded(NOISE), 30, 50)) == 10
    assert len(picture_lines(encoded(NOISE), 200, 5)) == 5
    lines = picture_lines(encoded(NOISE), 200, 50)
    assert len(lines) == 20 and all(plain(line).rstrip() == plain(line)[:60] for line in lines)


@pytest.mark.parametrize(
    ("image", "token"),
    [
        (Image.new("L", (2, 2), 128), "#808080"),
        (Image.new("1", (2, 2), 1), "#ffffff"),
        (Image.new("LA", (2, 2), (0, 0)), "#ffffff"),
        (Image.new("RGBA", (2, 2), (255, 0, 0, 0)), "#ffffff"),
        (Image.new("RGBA", (2, 2), (255, 0, 0, 255)), "#ff0000"),
        (Image.new("I;16", (2, 2), 65535), "#ffffff"),
        (Image.new("I;16", (2, 2), 32768), "#7f7f7f"),
        (Image.new("RGB", (2, 2), (0, 255, 0)).convert("P"), "#00ff00"),
    ],
    ids=lambda v: getattr(v, "mode", v),
)
def test_modes(image, token):
    out = io.BytesIO()
    image.save(out, "PNG")
    assert picture_lines(out.getvalue(), 2, 1) == [[("██", token)]]


def test_cmyk_and_grey_jpeg():
    for mode in ("CMYK", "L"):
        out = io.BytesIO()
        Image.new(mode, (8, 8)).save(out, "JPEG")
        ((_, token),) = picture_lines(out.getvalue(), 8, 4)[0]
        assert token in ("#ffffff", "#000000")


def test_a_plot_on_white_reads_without_colour():
    image = np.full((40, 40, 3), 255, np.uint8)
    image[:, 18:22] = 0
    lines = text(picture_lines(encoded(image), 10, 5, ascii=True))
    assert len(lines) == 5 and all(line[0] == " " and "@" in line[4:6] for line in lines)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_size(width, height, data=b""):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a readable PNG or JPEG"),
        (b"\x00" * 1000, "not a readable PNG or JPEG"),
        ("%%% not base64 \ud800", "not a readable PNG or JPEG"),
        ("", "not a readable PNG or JPEG"),
        (encoded(NOISE)[:300], "cut off"),
        (encoded(NOISE, "JPEG")[:900], "cut off"),
        (encoded(NOISE)[:20], "picture: "),
        (png_of_size(4097, 4097), "4097 x 4097 pixels are too many"),
        (png_of_size(60_000, 60_000), "too many"),
        (png_of_size(2**31 - 1, 2**31 - 1), "too many"),
        (png_of_size(0, 5), "picture: "),
        (png_of_size(50, 50, zlib.compress(b"")), "picture: "),
        (encoded(NOISE, "GIF"), "not a readable PNG or JPEG"),
        (encoded(NOISE, "BMP"), "not a readable PNG or JPEG"),
    ],
    ids=range(14),
)
def test_what_is_no_picture_gets_one_line(data, reason):
    lines = picture_lines(data, 60, 10)
    assert len(lines) == 1 and width_of(lines[0]) == 60 and lines[0][0][1] == "note"
    assert plain(lines[0]).startswith("picture: ") and reason in plain(lines[0])
    assert plain(lines[0]).isprintable()


def test_too_many_bytes(monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 1 << 20)
    assert "more than 1 MB" in plain(picture_lines(b"\x89PNG" + b"0" * (1 << 20), 40, 3)[0])
    assert "more than 1 MB" in plain(picture_lines("A" * (1 << 21), 40, 3)[0])


def test_bombs_take_no_memory():
    bomb = png_of_size(30_000, 30_000, zlib.compress(b"\x00" * (16 << 20)))
    text_bomb = png_of_size(2, 2)[:33] + png_chunk(
        b"zTXt", b"k\x00\x00" + zlib.compress(b"A" * (64 << 20))
    )
    tracemalloc.start()
    for data in (bomb, text_bomb):
        assert plain(picture_lines(data, 60, 10)[0]).startswith("picture: ")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_flipped_and_cut_bytes_never_raise():
    rng = random.Random(0)
    small = NOISE[:16, :16]
    for whole in (encoded(small), encoded(small, "JPEG"), encoded(small, "JPEG", progressive=True)):
        for _ in range(150):
            data = bytearray(whole)
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            if rng.random() < 0.3:
                del data[rng.randrange(len(data)) :]
            lines = picture_lines(bytes(data), 12, 6)
            assert 1 <= len(lines) <= 6 and all(width_of(line) == 12 for line in lines)
