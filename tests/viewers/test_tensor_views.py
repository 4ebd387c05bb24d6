"""Statistics, histogram, heat map and table: exact pictures, exact sizes, hostile data."""

from __future__ import annotations

import doctest
import importlib
import random

import numpy as np
import pytest

from framework.trace.events import TensorMeta
from framework.trace.protocol import Grid, Summary, Table
from framework.trace.summary import grid, summarize, table, to_2d, view
from viewers.tensor import (
    LIGHT_PALETTE,
    PALETTE,
    heatmap_lines,
    histogram_line,
    histogram_lines,
    image_lines,
    picture_text,
    statistics_lines,
    summary_line,
    table_lines,
    wanted_grid,
    wanted_table,
)
from viewers.text import plain, width_of

NAN, INF = float("nan"), float("inf")
SIZES = [(20, 3), (21, 4), (30, 5), (47, 9), (80, 24), (1, 1), (2, 2), (5, 1), (0, 3), (7, 0)]


def text(lines):
    return [plain(line) for line in lines]


def tokens(lines):
    return {token for line in lines for _, token in line}


def check_size(lines, width, height):
    assert len(lines) == height
    for line in lines:
        assert width_of(line) == width, plain(line)
        assert all(isinstance(part, str) and isinstance(token, str) for part, token in line)


def meta(shape, dtype="float32", **more):
    return TensorMeta(1, shape, dtype, "cpu", **more)


NORMAL = Summary(
    8192, 0, 0, 12, -3.07, 3.4, 0.0123, 0.99, 89.6, counts=(1, 2, 8, 30, 60, 41, 9, 3)
)  # fmt: skip


# -- statistics ------------------------------------------------------------------------------


def test_statistics_of_a_clean_tensor():
    lines = statistics_lines(meta((64, 128), requires_grad=True), NORMAL, 44, 5)
    assert text(lines) == [
        "f32[64,128]  cpu  32 kB  requires grad      ",
        "min   -3.07    max   3.4                    ",
        "mean  0.0123   std   0.99                   ",
        "norm  89.6     zeros <1 %                   ",
        "NaN   0        Inf   0                      ",
    ]
    assert {"shape", "value", "muted"} <= tokens(lines) and not {"bad", "nan"} & tokens(lines)


def test_statistics_flow_where_there_is_no_room():
    assert text(statistics_lines(meta((64, 128)), NORMAL, 20, 4)) == [
        "f32[64,128]  cpu    ",
        "min -3.07  max 3.4  ",
        "mean 0.0123         ",
        "std 0.99  norm 89.6 ",
    ]
    assert text(statistics_lines(meta((64, 128)), NORMAL, 89, 2)) == [
        "f32[64,128]  cpu  32 kB".ljust(89),
        "min -3.07  max 3.4  mean 0.0123  std 0.99  norm 89.6  zeros <1 %  NaN 0  Inf 0".ljust(89),
    ]


def test_nan_and_inf_are_loud_without_colour():
    bad = Summary(9000, 3, 12345, 0, 0.0, 1.0, 0.5, 0.1, 2.0)
    lines = statistics_lines(meta((9000,)), bad, 40, 3)
    assert text(lines)[1] == "!! NaN 3  Inf 12.3k  of 9000            "
    assert {"bad", "nan", "inf"} <= tokens(lines)
    assert plain(summary_line(bad, 30)).startswith("!! NaN 3  Inf 12.3k  0.5±0.1")
    only_inf = Summary(2, 0, 2, 0)
    assert text(statistics_lines(meta((2,)), only_inf, 30, 3))[1:] == [
        "!! Inf 2  of 2".ljust(30),
        "zeros 0 %".ljust(30),
    ]


@pytest.mark.parametrize(
    ("summary", "slice", "note"),
    [
        (None, "", "the value is no longer kept"),
        (Summary(0, 0, 0, 0), "", "no elements"),
        (Summary(1 << 20, 0, 0, 0, 1, 1, 1, 0, 1, sampled=True), "", "≈ from a sample of 1.05M"),
        (NORMAL, "[0, :]", "slice [0, :]"),
    ],
)
def test_statistics_notes(summary, slice, note):
    lines = text(statistics_lines(meta((3, 0)), summary, 40, 4, slice=slice))
    assert lines[1] == note.ljust(40)


@pytest.mark.parametrize(
    ("shape", "slice", "want"),
    [
        ((), "", ""),
        ((10,), "", ""),
        ((64,), "", "rows of 8"),
        ((3, 4), "", ""),
        ((3, 64), "[1]", "rows of 8"),
        ((2, 3, 4, 5), "[1]", "[1, 0, :, :]"),
        ((2, 3, 4), "[..., 0]", ""),
        ((2, 3, 4), "nonsense[", ""),
        ((-2, -3, -4), "", None),
        ((1 << 62, 1 << 62, 1 << 62), "", "[0, :, :]"),
        ((1 << 62,), "", None),
        ((1 << 70, 5, 5), "", ""),
    ],
)
def test_picture_text(shape, slice, want):
    got = picture_text(shape, slice)
    assert isinstance(got, str) and want in (None, got)


# -- histogram -------------------------------------------------------------------------------


def test_histogram_picture():
    assert text(histogram_lines(NORMAL, 18, 6)) == [
        "peak 60           ",
        "        ██        ",
        "        ██▆▆      ",
        "      ██████      ",
        "▁▁▁▁▄▄██████▅▅▂▂  ",
        "-3.07  0     3.4  ",
    ]
    lines = text(histogram_lines(NORMAL, 18, 4))
    assert lines == [
        "        ██        ",
        "      ▄▄████      ",
        "▁▁▁▁▃▃██████▄▄▁▁  ",
        "-3.07  0     3.4  ",
    ]


def test_histogram_in_ascii():
    lines = histogram_lines(NORMAL, 10, 3, ascii=True)
    assert text(lines) == ["    #.    ", "...###..  ", "-3.07..3.4"]
    assert all(line.isascii() for line in text(histogram_lines(NORMAL, 40, 12, ascii=True)))


def test_histogram_line():
    assert plain(histogram_line(NORMAL, 8)) == "▁▁▁▄█▅▁▁"
    assert plain(histogram_line(NORMAL, 4)) == "▁▃█▁"  # two bins each
    assert plain(histogram_line(NORMAL, 17)) == "▁▁▁▁▁▁▄▄██▅▅▁▁▁▁ "
    assert plain(histogram_line(Summary(0, 0, 0, 0), 5)) == "     "


def test_histogram_merges_bins_evenly():
    flat = Summary(64, 0, 0, 0, 0.0, 1.0, 0.5, 0.3, 1.0, counts=(2,) * 32)
    for width in range(1, 40):  # unequal groups of bins would look like peaks
        bars = plain(histogram_line(flat, width)).rstrip()
        assert set(bars[:-1]) <= {"█"}  # the last group may be smaller
    assert text(histogram_lines(flat, 20, 5))[0].rstrip() == "peak 4 in 2 bins"


@pytest.mark.parametrize(
    ("summary", "note"),
    [
        (Summary(0, 0, 0, 0), "no elements"),
        (Summary(3, 3, 0, 0), "no finite values"),
    ],
)
def test_histogram_of_nothing(summary, note):
    assert text(histogram_lines(summary, 20, 3)) == [note.ljust(20), " " * 20, " " * 20]


def test_histogram_of_a_constant():
    s = summarize(np.full(5, 2.5), bins=4)
    assert text(histogram_lines(s, 8, 2)) == ["    ██  ", "all 2.5 "]


# -- heat map --------------------------------------------------------------------------------


def test_heatmap_one_sided():
    g = grid(np.arange(16.0).reshape(4, 4), 4, 4)
    lines = heatmap_lines(g, 4, 2)
    assert lines[0] == [("▀", f"heat-{i} on heat-{i + 4}") for i in range(4)]
    assert lines[1] == [("▀", f"heat-{i} on heat-{i + 4}") for i in range(8, 12)]


def test_heatmap_two_sided():
    g = Grid(2, 4, [-4.0, -2.0, 2.0, 4.0, -0.1, 0.1, 1.0, NAN], [0] * 8, (2, 4))
    assert heatmap_lines(g, 4, 1) == [
        [
            ("▀", "cool-7 on cool-0"),
            ("▀", "cool-4 on warm-0"),
            ("▀", "warm-4 on warm-2"),
            ("▀", "warm-7"),
        ]
    ]
    legend = plain(heatmap_lines(g, 30, 3)[2])
    assert legend == "-4 ████████████████ 4         "


def test_heatmap_without_colour():
    g = grid(np.array([[0.0, 1, 2, 3], [4, 5, 6, 9], [np.nan, np.inf, 1, 1]]), 3, 4)
    assert text(heatmap_lines(g, 30, 5, colour=False)) == [
        "  ..::--                      ",
        "==++**@@                      ",
        "NNII....                      ",
        "0  .:-=+*#%@ 9  N=NaN  I=Inf  ",
        "                              ",
    ]
    assert text(heatmap_lines(g, 4, 2, colour=False)) == [" :=*", "NI#@"]
    assert text(heatmap_lines(g, 30, 5, ascii=True)) == text(heatmap_lines(g, 30, 5, colour=False))


def test_marks_show_through_everything():
    a = np.zeros((500, 700))
    a[123, 456] = np.nan
    a[400, 3] = np.inf
    g = grid(a, 100, 200)
    for size in ((20, 3), (60, 20), (200, 50)):
        for colour in (True, False):
            lines = heatmap_lines(g, *size, colour=colour)
            assert {"nan", "inf"} <= tokens(lines)
            body = "".join(text(lines[:-1]))
            assert body.count("N") == 1 and body.count("I") == 1


def test_heatmap_scale_may_be_given():
    g = Grid(1, 2, [1.0, 2.0], [0, 0], (1, 2))
    assert heatmap_lines(g, 2, 1, low=0.0, high=4.0) == [[("█", "heat-4"), ("█", "heat-8")]]
    assert heatmap_lines(g, 2, 1, low=NAN, high=INF) == heatmap_lines(g, 2, 1)


def test_heatmap_says_when_pixels_are_means():
    g = grid(np.arange(10000.0).reshape(100, 100), 4, 20)
    assert plain(heatmap_lines(g, 50, 3)[-1]).rstrip().endswith("means")
    whole = grid(np.arange(6.0).reshape(2, 3), 4, 20)
    assert "means" not in plain(heatmap_lines(whole, 50, 3)[-1])


@pytest.mark.parametrize(
    ("values", "legend"),
    [([2.5] * 4, "all 2.5"), ([NAN] * 4, ""), ([1e308, -1e308, 0, 0], "-1e308 ")],
)
def test_heatmap_of_extremes(values, legend):
    lines = heatmap_lines(Grid(2, 2, values, [0] * 4, (2, 2)), 30, 4)
    check_size(lines, 30, 4)
    assert plain(lines[3]).startswith(legend)


def test_wanted_grid_fills_the_picture():
    for size in SIZES:
        for colour in (True, False):
            rows, cols = wanted_grid(*size, colour=colour)
            g = grid(np.random.default_rng(0).normal(size=(300, 300)), rows, cols)
            lines = heatmap_lines(g, *size, colour=colour)
            check_size(lines, *size)


def test_every_token_has_a_colour():
    a = np.random.default_rng(0).normal(size=(64, 64))
    for b in (a, np.abs(a)):
        used = tokens(heatmap_lines(grid(b, 40, 40), 40, 21)) - {"", "value", "muted"}
        assert used and {name for token in used for name in token.split(" on ")} <= set(PALETTE)
    assert set(LIGHT_PALETTE) == set(PALETTE)
    for palette, falls in ((PALETTE, False), (LIGHT_PALETTE, True)):
        assert all(len(c) == 7 and int(c[1:], 16) >= 0 for c in palette.values())

        def lightness(name, palette=palette):
            code = int(palette[name][1:], 16)
            return (0.299, 0.587, 0.114) @ np.array([code >> 16, code >> 8 & 255, code & 255])

        for name, steps in (("heat", 16), ("cool", 8), ("warm", 8)):
            shades = [lightness(f"{name}-{i}") for i in range(steps)]
            assert shades == sorted(shades, reverse=falls)  # so that greys keep the order
            assert (shades[0] > 200) == falls, "the least is near to the ground"


# -- table -----------------------------------------------------------------------------------


def test_table_picture():
    t = table(np.arange(12.0).reshape(3, 4) / 4 - 1, 0, 0, 3, 4)
    lines = table_lines(t, 32, 4)
    assert text(lines) == [
        "      0     1     2     3       ",
        "0 -1.00 -0.75 -0.50 -0.25       ",
        "1  0.00  0.25  0.50  0.75       ",
        "2  1.00  1.25  1.50  1.75       ",
    ]


def test_table_window_and_what_is_left_out():
    a = np.arange(12000).reshape(120, 100)
    t = table(a, 95, 8, 6, 20)
    assert text(table_lines(t, 31, 6)) == [
        "      8    9   10   11   12 …  ",
        "95 9508 9509 9510 9511 9512    ",
        "96 9608 9609 9610 9611 9612    ",
        "97 9708 9709 9710 9711 9712    ",
        "98 9808 9809 9810 9811 9812    ",
        "rows 95–98/120  cols 8–12/100  ",
    ]
    ascii = table_lines(t, 31, 6, ascii=True)
    assert all(line.isascii() for line in text(ascii))
    assert text(ascii)[5] == "rows 95-98/120  cols 8-12/100  "


def test_table_nan_inf_and_highlight():
    a = np.array([[np.nan, np.inf, -np.inf], [0.5, 1.0, 2.0]])
    lines = table_lines(table(a, 0, 0, 2, 3), 30, 3, highlight=(0.5, 1.0))
    assert text(lines)[1:] == ["0  nan  inf  -inf             ", "1 *0.5 *1.0   2.0             "]
    assert [token for part, token in lines[1]] == ["muted", "nan", "inf", "inf", ""]
    assert [token for part, token in lines[2]] == ["muted", "match", "match", "value", ""]
    bools = table_lines(table(np.array([[True, False]]), 0, 0, 1, 2), 30, 2, highlight=(1, 1))
    assert text(bools)[1].split() == ["0", "*True", "False"]
    wild = table_lines(table(np.array([[1 + 2j]]), 0, 0, 1, 1), 30, 2, highlight=(-INF, INF))
    assert "*" not in plain(wild[1])


def test_table_of_a_vector():
    t = table(to_2d(np.arange(19)), 0, 0, 3, 8)
    assert text(table_lines(t, 40, 4, vector=True)) == [
        "   +0 +1 +2 +3 +4 +5 +6 +7              ",
        " 0  0  1  2  3  4  5  6  7              ",
        " 8  8  9 10 11 12 13 14 15              ",
        "16 16 17 18                             ",
    ]


def test_table_of_nothing():
    assert text(table_lines(table(np.zeros((0, 3)), 0, 0, 3, 3), 24, 2))[0].startswith(
        "no elements: [0,3]"
    )
    assert text(table_lines(Table(0, 0, [], (5, 5)), 4, 2)) == ["    ", "    "]


def test_wanted_table_fills_the_picture():
    a = np.zeros((1000, 1000), np.int8)
    for width, height in ((20, 3), (60, 20), (200, 50)):
        t = table(a, 0, 0, *wanted_table(width, height))
        lines = text(table_lines(t, width, height))
        assert len(lines[1].rstrip()) > width - 6  # no room for one more column


# -- properties ------------------------------------------------------------------------------


def everything(v, width, height, **options):
    """Each picture of one view."""
    ascii = options.get("ascii", False)
    yield statistics_lines(v.tensor, v.summary, width, height, slice=v.slice, ascii=ascii)
    yield histogram_lines(v.summary, width, height, ascii=ascii)
    yield heatmap_lines(v.grid, width, height, **options)
    yield heatmap_lines(v.grid, width, height, colour=False, **options)
    yield image_lines([v.grid], width, height, **options)
    yield image_lines([v.grid] * 3, width, height, **options)
    yield table_lines(v.table, width, height, ascii=ascii)
    yield table_lines(v.table, width, height, ascii=ascii, vector=True, highlight=(0, 1))
    if height == 1:
        yield [summary_line(v.summary, width, ascii=ascii)]
        yield [histogram_line(v.summary, width, ascii=ascii)]


@pytest.mark.parametrize("ascii", [False, True])
def test_every_picture_has_exactly_its_size(ascii):
    rng = np.random.default_rng(0)
    arrays = [
        np.float32(1.5),
        np.zeros((0,)),
        np.zeros((3, 0)),
        rng.normal(size=5),
        rng.normal(size=127) * 1e-9,
        rng.normal(size=(64, 128)).astype(np.float16),
        np.full((9, 9), np.nan),
        np.array([[np.inf, -np.inf, 1e308, -1e308]]),
        rng.integers(0, 255, (3, 28, 28)).astype(np.uint8),
        rng.normal(size=(4, 4)) + 1j,
        np.array([[True, False]]),
        np.array([[-(2**63), 2**63 - 1]]),
    ]
    sizes = SIZES + [tuple(int(n) for n in rng.integers(0, 90, 2)) for _ in range(6)]
    for a in arrays:
        for width, height in sizes:
            v = view(
                a, meta(a.shape, str(a.dtype)), 1, "", 0, 0,
                *wanted_table(width, height), wanted_grid(width, height),
            )  # fmt: skip
            if v.table is None:
                v.table = table(to_2d(a), 0, 0, 1, 1)
            for lines in everything(v, width, height, **({"ascii": True} if ascii else {})):
                check_size(lines, width, height)
                assert not ascii or all(line.isascii() for line in text(lines))


# -- hostile data ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "g",
    [
        Grid(2, 2, [1.0], [0], (2, 2)),
        Grid(-1, -1, [1.0], [0], (1, 1)),
        Grid(-2, 2, [], [], (1, 1)),
        Grid(2, 2, [1.0] * 4, [0] * 3, (2, 2)),
        Grid(10**9, 10**9, [], [], (1, 1)),
        Grid(1, 2, [10**400, 1.0], [0, 0], (1, 2)),
        Grid(1, 1, [1.0], [10**30], (1, 1)),
    ],
)
def test_a_grid_that_contradicts_itself_is_said_to_be_damaged(g):
    for lines in (heatmap_lines(g, 30, 4), image_lines([g], 30, 4), image_lines([g] * 3, 30, 4)):
        assert text(lines)[0] == "the picture is damaged".ljust(30)
        check_size(lines, 30, 4)


def test_random_nonsense_never_raises():
    rng = random.Random(0)
    numbers = [0, 1, -1, 7, 10**18, -(10**18), 2**63 - 1]
    floats = [None, 0.0, -0.0, 1.0, -3.5, NAN, INF, -INF, 1e308, -1e308, 5e-324]
    cells = ["", "1.0", "nan", "-inf", "日本" * 9, "x" * 5000, "\x1b[2J", "a\nb", "0.5"]
    for _ in range(400):
        width, height = rng.randrange(0, 60), rng.randrange(0, 14)
        ascii = rng.random() < 0.5
        summary = Summary(
            *(rng.choice(numbers) for _ in range(4)),
            *(rng.choice(floats) for _ in range(5)),
            counts=tuple(rng.choice(numbers) for _ in range(rng.choice([0, 1, 5, 32, 100]))),
        )
        rows, cols = rng.randrange(0, 5), rng.randrange(0, 5)
        g = Grid(
            rows,
            cols,
            [rng.choice(floats) or 0.0 for _ in range(rows * cols)],
            [rng.choice([0, 0, 1, 2, 9, -4]) for _ in range(rows * cols)],
            (rng.choice(numbers), rng.choice(numbers)),
        )
        t = Table(
            rng.choice(numbers),
            rng.choice(numbers),
            [[rng.choice(cells) for _ in range(rng.randrange(4))] for _ in range(rng.randrange(4))],
            (rng.choice(numbers), rng.choice(numbers)),
        )
        shape = tuple(rng.choice(numbers) for _ in range(rng.randrange(4)))
        m = meta(shape, rng.choice(["float32", "?", "日本"]))
        for lines in (
            statistics_lines(m, summary, width, height, slice="[\x1b", ascii=ascii),
            histogram_lines(summary, width, height, ascii=ascii),
            [summary_line(summary, width, ascii=ascii)],
            heatmap_lines(g, width, height, ascii=ascii),
            image_lines([g], width, height, ascii=ascii),
            image_lines([g, g, Grid(1, 1, [0.5], [0], (1, 1))], width, height),
            table_lines(t, width, height, ascii=ascii, vector=ascii, highlight=(0, INF)),
        ):
            assert all(width_of(line) == width for line in lines)
        assert isinstance(picture_text(shape, ""), str)


@pytest.mark.parametrize(
    "name", ["lines", "heatmap", "histogram", "statistics", "table", "picture"]
)
def test_examples(name):
    failed, tried = doctest.testmod(importlib.import_module(f"viewers.tensor.{name}"))
    assert tried and not failed


def test_figures_of_complex_tensors_are_said_to_be_of_absolute_values():
    from framework.trace.events import TensorMeta
    from framework.trace.summary import summarize
    from viewers.tensor import statistics_lines, summary_line
    from viewers.text import plain

    array = np.array([3 + 4j, -1j, 2])
    found = summarize(array)
    for dtype, said in (("complex128", True), ("float64", False)):
        meta = TensorMeta(1, (3,), dtype, "cpu")
        text = "\n".join(plain(line) for line in statistics_lines(meta, found, 40, 6))
        assert ("of absolute values" in text) is said
        assert ("|x| 2.67" in plain(summary_line(found, 60, dtype=dtype))) is said
