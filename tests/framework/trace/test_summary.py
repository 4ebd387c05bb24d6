"""Statistics, pictures, tables and slices of raw arrays, against NumPy."""

from __future__ import annotations

import doctest
import math
import sys
import tracemalloc
import types

import ml_dtypes
import msgspec
import numpy as np
import pytest

from framework.trace import summary as S
from framework.trace.events import TensorMeta
from framework.trace.protocol import Grid, Reply, TensorView, decode, encode
from framework.trace.summary import (
    SliceError,
    format_slice,
    grid,
    parse_slice,
    picture_slice,
    sliced_shape,
    summarize,
    table,
    to_2d,
    view,
)

DTYPES = [
    "float16", ml_dtypes.bfloat16, "float32", "float64", "complex64", "complex128",
    "bool", "uint8", "int8", "int16", "int32", "int64", "uint64",
]  # fmt: skip
SHAPES = [(), (1,), (7,), (64, 128), (3, 1, 5), (2, 3, 4, 5), (1, 1, 1), (257, 131)]


def make(shape, dtype, seed=0, bad=True):
    """Random values of a dtype, with some zeros and (where it has them) NaN and Inf."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind in "biu":
        high = 2 if dtype.kind == "b" else 100
        return rng.integers(0, high, shape).astype(dtype)
    a = rng.normal(size=shape) * 3 + 1
    if dtype.kind == "c":
        a = a + 1j * rng.normal(size=shape)
    a = np.asarray(a).astype(dtype)
    kinds = rng.random(shape)
    a[kinds < 0.1] = 0
    if bad and a.size > 1:
        a[kinds > 0.9] = np.nan
        a[kinds > 0.94] = np.inf
        a[kinds > 0.97] = -np.inf
    return a


def expected(a):
    """The values that a summary describes: float64, absolute for complex ones."""
    a = np.asarray(a)
    return np.abs(a.astype(np.complex128)) if a.dtype.kind == "c" else a.astype(np.float64)


def check(s, a, bins=32):
    x = expected(a).ravel()
    finite = x[np.isfinite(x)]
    assert (s.count, s.nan, s.inf) == (x.size, np.isnan(x).sum(), np.isinf(x).sum())
    assert s.zeros == (x == 0).sum() and not s.sampled
    if not finite.size:
        assert s.min is s.max is s.mean is s.std is s.norm is None and s.counts == ()
        return
    assert (s.min, s.max) == (finite.min(), finite.max())
    want = (finite.mean(), finite.std(), np.linalg.norm(finite))
    np.testing.assert_allclose((s.mean, s.std, s.norm), want, rtol=1e-12, atol=1e-13)
    assert len(s.counts) == bins and sum(s.counts) == finite.size
    # Both round where a value lies on the edge of a bin, so compare with edges moved a little.
    edges = np.histogram_bin_edges(finite, bins)
    slack = (edges[1] - edges[0]) * 1e-9
    below = np.cumsum(s.counts)
    assert all(
        (finite < e - slack).sum() <= n <= (finite <= e + slack).sum()
        for n, e in zip(below, edges[1:])
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_statistics_agree_with_numpy(shape, dtype):
    a = make(shape, dtype)
    check(summarize(a), a)
    check(summarize(a, bins=7), a, bins=7)


@pytest.mark.parametrize("dtype", ["float32", ml_dtypes.bfloat16, "complex64", "int32"], ids=str)
def test_views_of_any_strides(dtype, monkeypatch):
    monkeypatch.setattr(S, "CHUNK", 50)  # so that each is walked in many pieces
    base = make((6, 7, 8, 9), dtype)
    for a in (
        base,
        base.T,
        base[::-1],
        base[:, ::2, 1:, ::-3],
        base.transpose(2, 0, 3, 1),
        base[:, None, 3],
        base[..., ::-1].swapaxes(0, 1),
        np.broadcast_to(base[0, 0], (5, 8, 9)),
        np.asfortranarray(base),
        base[2:2],
    ):
        if a.size:
            check(summarize(a), a)
        else:
            assert summarize(a) == S.Summary(0, 0, 0, 0)


@pytest.mark.parametrize(
    "values",
    [
        [1e9 + 0.001 * i for i in range(1000)],  # large mean, small spread
        [1e308, -1e308, 1.7e308, 0.0],
        [1e308, 1e308, 1e308],
        [5e-324, 0.0, -5e-324],
        [1e-300, 3e-300],
        [1e200, np.nan, -1e200, np.inf],
    ],
)
def test_numerics_at_the_limits(values):
    s = summarize(np.array(values))
    x = [v for v in values if math.isfinite(v)]
    scale = max(map(abs, x))
    scaled = [v / scale for v in x]
    mean = math.fsum(scaled) / len(x)
    std = math.sqrt(math.fsum((v - mean) ** 2 for v in scaled) / len(x))
    assert s.mean == pytest.approx(mean * scale, rel=1e-9)
    assert s.std == pytest.approx(std * scale, rel=1e-6)
    norm = math.hypot(*x)
    assert s.norm == pytest.approx(norm, rel=1e-9)
    assert sum(s.counts) == len(x)


def test_low_precision_is_accumulated_in_float64():
    ones = np.ones(100_000, np.float16)  # a float16 sum would be inf
    s = summarize(ones)
    assert (s.mean, s.std, s.min, s.max) == (1, 0, 1, 1) and s.counts[16] == 100_000
    assert summarize(np.full(5000, 0.1, ml_dtypes.bfloat16)).std == 0


def test_nan_and_inf_among_complex_and_alone():
    s = summarize(np.array([complex(np.nan, np.inf), complex(0, np.inf), 3 + 4j]))
    assert (s.nan, s.inf, s.max) == (1, 1, 5.0)  # NaN wins, though abs(nan + inf j) is inf
    s = summarize(np.array([np.nan, -np.inf], np.float32))
    assert (s.count, s.nan, s.inf, s.zeros, s.mean, s.counts) == (2, 1, 1, 0, None, ())


def test_bins_and_scalars():
    assert summarize(np.arange(5.0), bins=0).counts == ()
    assert summarize(np.arange(5.0), bins=1).counts == (5,)
    assert summarize(2.5).max == 2.5 and summarize(True).count == 1
    assert summarize(np.float32(-0.0)).zeros == 1
    assert summarize(np.ma.array([1.0, 2.0])).mean == 1.5


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.array([object()]), "dtype object"),
        (np.array(["a"]), "dtype <U1"),
        (np.array(["2020"], "M8[D]"), "dtype datetime64[D]"),
        (np.zeros(2, "f4,i4"), "expected bool, integer, float or complex"),
        ("text", "got str"),
        (None, "got NoneType"),
    ],
)
def test_arrays_without_numbers_are_refused(array, word):
    with pytest.raises(TypeError) as error:
        summarize(array)
    assert word in str(error.value) and "\n" not in str(error.value)


# -- huge tensors ----------------------------------------------------------------------------


def test_a_billion_elements_cost_little():
    base = np.arange(1000, dtype=np.float32)
    a = np.broadcast_to(base, (1_000_000, 1000))  # strides (0, 4): 1e9 elements, 4 KB
    tracemalloc.start()
    s = summarize(a)
    g = grid(a, 20, 40)
    t = table(a, 999_990, 0, 5, 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20
    assert s.sampled and 1 << 19 < s.count <= 1 << 21 and sum(s.counts) == s.count
    assert s.mean == pytest.approx(499.5, abs=2) and s.std == pytest.approx(288.7, abs=2)
    assert s.norm == pytest.approx(math.sqrt(1e6 * float((base**2.0).sum())), rel=0.01)
    assert (g.rows, g.cols) == (20, 40)
    np.testing.assert_allclose(np.reshape(g.values, (20, 40))[7], base.reshape(40, 25).mean(1))
    assert t.row0 == 999_990 and t.cells[0][:2] == ["0.0", "1.0"]
    assert summarize(a) == s  # the sample is the same each time


def test_sample_meets_every_column(monkeypatch):
    monkeypatch.setattr(S, "EXACT", 1 << 10)
    monkeypatch.setattr(S, "RUNS", 64)
    monkeypatch.setattr(S, "RUN", 16)
    a = np.zeros((256, 256), np.float32)  # the stretches are a multiple of the row
    a[:, 200] = 1
    s = summarize(a)
    assert s.sampled and s.count == 1024 and 0 < s.mean < 0.02
    for strided in (a.T[::2], a.reshape(16, 16, 16, 16)[:, 1:, ::-1, 2:], a[::-1, :3]):
        s = summarize(strided)
        assert s.sampled is (strided.size > 1 << 10) and sum(s.counts) == s.count


def test_sampled_grid_sees_all_of_a_wrapped_vector(monkeypatch):
    monkeypatch.setattr(S, "EXACT", 1 << 10)
    a = np.tile(np.arange(4.0), 5003)
    g = grid(to_2d(a), 4, 4)
    assert g.rows == g.cols == 4 and g.marks == [0] * 16
    assert all(abs(v - 1.5) < 0.3 for v in g.values)


def test_huge_sizes_by_chunks_are_exact(monkeypatch):
    a = make((300, 1000), "float32")
    whole = summarize(a)
    monkeypatch.setattr(S, "CHUNK", 1024)
    parts = summarize(a)
    assert msgspec.structs.replace(parts, mean=0, std=0, norm=0) == msgspec.structs.replace(
        whole, mean=0, std=0, norm=0
    )
    assert parts.mean == pytest.approx(whole.mean, rel=1e-13)
    assert parts.std == pytest.approx(whole.std, rel=1e-13)


# -- slices ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("", ()),
        ("[]", ()),
        ("  [ ] ", ()),
        ("0", (0,)),
        ("[0, :, ::2]", (0, slice(None), slice(None, None, 2))),
        ("0, ..., -1", (0, ..., -1)),
        ("[ -1 , 1 : -1 , 3 :: -2 ]", (-1, slice(1, -1), slice(3, None, -2))),
        ("[...]", (...,)),
        ("[:,]", (slice(None),)),
        ("[None, newaxis, np.newaxis, 1]", (None, None, None, 1)),
        ("[:+2]", (slice(None, 2),)),
        ("[99:999999999999999999999999]", (slice(99, 10**24 - 1),)),
    ],
)
def test_slices_are_read_like_numpy(text, index):
    a = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    got = parse_slice(text, a.shape)
    assert got == index
    assert sliced_shape(a.shape, got) == a[got].shape
    assert parse_slice(format_slice(got), a.shape) == got


def test_random_slices_match_numpy():
    rng = np.random.default_rng(0)
    a = np.arange(81).reshape(3, 3, 3, 3)  # of one size: ... moves the items after it
    for _ in range(300):
        items = []
        for size in a.shape[: rng.integers(0, 5)]:
            start, stop = (str(rng.integers(-7, 7)) if rng.random() < 0.6 else "" for _ in "ab")
            step = str(rng.choice([-3, -1, 1, 2])) if rng.random() < 0.5 else ""
            pick = rng.random()
            items.append(str(rng.integers(-size, size)) if pick < 0.3 else f"{start}:{stop}:{step}")
            if pick > 0.9:
                items.append("None")
        if rng.random() < 0.3:
            items.insert(rng.integers(0, len(items) + 1), "...")
        text = "[" + ", ".join(items) + "]"
        index = parse_slice(text, a.shape)
        want = eval(f"a{text}", {"a": a, "None": None}) if items else a
        assert np.array_equal(a[index], want) and sliced_shape(a.shape, index) == want.shape
        shown = np.asarray(a[picture_slice(a.shape, index)])
        if want.ndim <= 2:
            assert np.array_equal(shown, want)
        elif want.size:
            assert np.array_equal(shown, want[(0,) * (want.ndim - 2)])
        else:
            assert shown.ndim <= 2 or not shown.size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[0, 5]",
            "slice [0, 5]: index 5 is out of bounds for dimension 1 of size 3",
        ),
        ("-3", "slice [-3]: index -3 is out of bounds for dimension 0 of size 2"),
        ("[0, 0, 0]", "slice [0, 0, 0]: 3 indices for 2 dimensions"),
        ("[mask]", "slice [mask]: mask is not an index; expected integers, slices a:b:c, ..."),
        ("[a > 0]", "a > 0 is not an index"),
        ("__import__('os').system('x')", "is not an index"),
        ("[True]", "True is not an index"),
        ("[1.5]", "1.5 is not an index"),
        ("[[0, 1]]", "[0 is not an index"),
        ("[0", "slice [0]: one of its brackets is missing"),
        ("]", "one of its brackets is missing"),
        ("[", "one of its brackets is missing"),
        ("[0,, 1]", "an item is missing"),
        ("[,]", "an item is missing"),
        ("[::0]", "slice [::0]: the step of ::0 is 0"),
        ("[..., ...]", "... may stand in it only once"),
        ("[:" + "9" * 5000 + "]", "longer than 200 characters"),
        ("[" + "None," * 39 + "]", "more than 32 dimensions"),
        ("0\x1b[2J\n0", "is not an index"),
        ("[1:2:3:4]", "1:2:3:4 is not an index"),
        ("[１]", "１ is not an index"),
        (None, "not NoneType"),
        (0, "not int"),
    ],
)
def test_bad_slices_say_why_in_one_line(text, message):
    with pytest.raises(SliceError) as error:
        parse_slice(text, (2, 3))
    assert message in str(error.value)
    assert str(error.value).isprintable() and len(str(error.value)) < 200


def test_out_of_bounds_of_an_empty_or_scalar_tensor():
    with pytest.raises(SliceError, match="size 0"):
        parse_slice("0", (0,))
    with pytest.raises(SliceError, match="1 indices for 0 dimensions"):
        parse_slice("0", ())
    assert parse_slice("...", ()) == (...,)


# -- pictures --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "want"),
    [
        ((), (1, 1)),
        ((1,), (1, 1)),
        ((10,), (1, 10)),
        ((17,), (3, 8)),
        ((64,), (8, 8)),
        ((128,), (8, 16)),
        ((50257,), (197, 256)),
        ((0,), (1, 0)),
        ((0, 5), (0, 5)),
        ((3, 4), (3, 4)),
        ((8, 3, 32, 31), (32, 31)),
        ((0, 3, 4), (0, 3)),
        ((2, 3, 0), (3, 0)),
    ],
)
def test_shape_of_the_default_picture(shape, want):
    a = np.zeros(shape)
    plane = to_2d(a)
    assert plane.body.ndim == 2
    if 0 not in shape[:-2] or len(shape) < 3:
        assert plane.shape == want
    if a.size:
        assert np.shares_memory(a, plane.body)
        elements = plane.body.size + (plane.tail.size if plane.tail is not None else 0)
        assert elements == math.prod(shape[-2:])


def test_wrapped_vectors_keep_their_order():
    for n in (17, 64, 127, 128, 1000, 50257):
        a = np.arange(n)[::-1]
        plane = to_2d(a)
        flat = plane.body.ravel().tolist() + ([] if plane.tail is None else plane.tail.tolist())
        assert flat == a.tolist()


def reference_grid(x, rows, cols):
    """Blocks of a 2-d float array, one by one."""
    values, marks = [], []
    for i in range(rows):
        for j in range(cols):
            r, c = ([k * n // m for k in (b, b + 1)] for b, n, m in
                    ((i, x.shape[0], rows), (j, x.shape[1], cols)))  # fmt: skip
            block = x[slice(*r), slice(*c)].ravel()
            finite = block[np.isfinite(block)]
            values.append(finite.mean() if finite.size else np.nan)
            marks.append(1 if np.isnan(block).any() else 2 if np.isinf(block).any() else 0)
    return values, marks


@pytest.mark.parametrize("chunk", [1 << 15, 60, 7])
@pytest.mark.parametrize("dtype", ["float32", ml_dtypes.bfloat16, "complex64", "uint8"], ids=str)
def test_grid_agrees_with_a_plain_loop(dtype, chunk, monkeypatch):
    monkeypatch.setattr(S, "CHUNK", chunk)
    rng = np.random.default_rng(1)
    for _ in range(12):
        shape = rng.integers(1, 24, 2)
        a = make(shape, dtype, seed=int(shape[0]))
        if rng.random() < 0.5:
            a = a.T[::-1]
        rows, cols = (int(min(n, m)) for n, m in zip(a.shape, rng.integers(1, 30, 2)))
        g = grid(a, rows, cols)
        values, marks = reference_grid(expected(a), rows, cols)
        assert (g.rows, g.cols, g.shape, g.marks) == (rows, cols, a.shape, marks)
        np.testing.assert_allclose(g.values, values, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [17, 23, 127, 1009])
def test_grid_of_a_wrapped_vector_counts_its_short_row(n):
    a = make((n,), "float64", seed=n)
    plane = to_2d(a)
    height, width = plane.shape
    padded = np.full(height * width, np.nan)
    padded[:n] = a
    for rows, cols in ((height, width), (2, 3), (1, 1), (height - 1, 2)):
        g = grid(plane, rows, cols)
        values, marks = reference_grid(padded.reshape(height, width), rows, cols)
        np.testing.assert_allclose(g.values, values, rtol=1e-9, atol=1e-12)
        bad = sum(m != 0 for m in g.marks)
        assert bad <= sum(m != 0 for m in marks)  # cells after the end are no NaN
    g = grid(plane, height, width)
    assert g.marks[n:] == [0] * (height * width - n) and all(math.isnan(v) for v in g.values[n:])


def test_grid_of_nothing_and_limits():
    assert grid(np.zeros((0, 5)), 4, 4) == Grid(0, 0, [], [], (0, 5))
    assert grid(np.zeros((3, 5)), 0, 4).values == []
    g = grid(np.zeros((3, 5)), 10**9, 10**9)
    assert (g.rows, g.cols) == (3, 5)
    g = grid(np.zeros((2000, 2000), np.uint8), 10**9, 10**9)
    assert (g.rows, g.cols) == (S.MAX_GRID, S.MAX_GRID)
    with pytest.raises(ValueError, match="use to_2d"):
        grid(np.zeros(3), 1, 1)
    assert grid(np.full((1, 4), 1.7e308), 1, 1).values == [sys.float_info.max]


# -- tables ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "cells"),
    [
        ([[1.0, 2.0]], ["1.0", "2.0"]),
        ([[0.0, 0.0]], ["0.0", "0.0"]),
        ([[0.03125, -0.5]], ["0.0312", "-0.5000"]),
        ([[np.nan, np.inf, -np.inf, 0.5]], ["nan", "inf", "-inf", "0.5"]),
        ([[np.nan, np.nan]], ["nan", "nan"]),
        ([[1.2345e-5, 0.0, 2e-7]], ["1.234e-05", "0", "2.000e-07"]),
        ([[3e8, -1.0]], ["3.000e+08", "-1.000e+00"]),
        ([[123.456, 0.00001]], ["123.5", "1e-05"]),
        ([[99999.5, 0.1]], ["99999.5", "0.1"]),
        ([[1.7e308, 5e-324]], ["1.700e+308", "4.941e-324"]),
        (np.array([[0.1, 0.7]], np.float32), ["0.1", "0.7"]),
        (np.array([[0.1, 0.7]], ml_dtypes.bfloat16), ["0.1001", "0.6992"]),
        (np.array([[0.1234567]], np.float16), ["0.1235"]),
        (np.array([[-3, 2**62]]), ["-3", "4611686018427387904"]),
        (np.array([[255, 0]], np.uint8), ["255", "0"]),
        (np.array([[True, False]]), ["True", "False"]),
        ([[1 + 2j, -0.25 - 0.5j]], ["1.00+2.00j", "-0.25-0.50j"]),
        ([[complex(np.nan, -np.inf)]], ["nan-infj"]),
    ],
)
def test_cells(values, cells):
    got = table(np.asarray(values), 0, 0, 1, 9).cells
    assert got == [cells]


def test_window_stays_inside():
    a = np.arange(60).reshape(6, 10)
    t = table(a, 4, 8, 3, 4)
    assert (t.row0, t.col0, t.shape) == (3, 6, (6, 10))
    assert t.cells == [[str(v) for v in row] for row in a[3:6, 6:10].tolist()]
    assert table(a, -5, -5, 2, 2).cells == [["0", "1"], ["10", "11"]]
    assert table(a, 0, 0, 100, 100).cells == [[str(v) for v in row] for row in a.tolist()]
    big = table(np.zeros((1000, 1000), np.int8), 0, 0, 10**9, 10**9)
    assert (len(big.cells), len(big.cells[0])) == (S.MAX_TABLE, S.MAX_TABLE)
    assert table(np.zeros((0, 3)), 0, 0, 5, 5).cells == []
    assert table(np.zeros((3, 0)), 0, 0, 5, 5).cells == [[], [], []]


def test_table_of_a_wrapped_vector():
    t = table(to_2d(np.arange(19)), 1, 1, 9, 9)
    assert (t.row0, t.col0, t.shape) == (0, 0, (3, 8))
    assert t.cells[1] == [str(v) for v in range(8, 16)]
    assert t.cells[2] == ["16", "17", "18", "", "", "", "", ""]
    assert table(to_2d(np.arange(19)), 0, 5, 3, 2).cells[2] == ["", ""]
    assert table(to_2d(np.arange(19)), 0, 0, 1, 2).cells == [["0", "1"]]


# -- view ------------------------------------------------------------------------------------


def meta(a):
    return TensorMeta(3, a.shape, str(a.dtype), "cpu")


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: np.dtype(d).name)
def test_view_travels_over_the_wire(dtype):
    a = make((4, 5, 6), dtype)
    v = view(a, meta(a), 7, "[1:, ...]", 0, 0, 3, 3, [2, 2])
    assert v.slice == "[1:, ...]" and v.seq == 7 and v.summary.count == 90
    assert v.grid.shape == v.table.shape == (5, 6)
    sent = decode(encode(Reply(1, msgspec.to_builtins(v))))
    back = msgspec.convert(sent.result, TensorView, strict=False)
    assert back.table == v.table and back.summary == v.summary


def test_view_parts_are_optional():
    a = np.arange(6.0)
    v = view(a, meta(a))
    assert v.table is v.grid is None and v.slice == ""
    assert view(a, meta(a), slice="0", rows=2, cols=2).table.cells == [["0.0"]]
    scalar = np.float32(2)
    assert view(scalar, meta(scalar), grid=(3, 3)).grid.values == [2.0]
    empty = np.zeros((2, 0, 3))
    v = view(empty, meta(empty), rows=3, cols=3, grid=(3, 3))
    assert v.summary.count == 0 and v.grid.values == [] and v.table.cells == []


@pytest.mark.parametrize(
    "bad",
    [
        {"rows": -1},
        {"cols": "9"},
        {"row0": True},
        {"col0": 1 << 70},
        {"grid": [1]},
        {"grid": 5},
        {"grid": [1, -1]},
        {"grid": [1.5, 2]},
        {"slice": "[9]"},
        {"slice": 3},
    ],
)
def test_view_refuses_bad_parameters(bad):
    a = np.arange(6.0)
    with pytest.raises(ValueError) as error:
        view(a, meta(a), **bad)
    assert str(error.value).isprintable()


def test_nothing_is_written_and_nothing_is_copied_whole():
    a = make((64, 64), "float64")
    a.setflags(write=False)
    before = a.copy()
    view(a, meta(a), rows=9, cols=9, grid=(9, 9))
    assert np.array_equal(a, before, equal_nan=True)


# -- CuPy ------------------------------------------------------------------------------------


class DeviceArray:
    """An array that, like CuPy's, gives its values to the host only through `get`."""

    __array_ufunc__ = None
    transferred = 0

    def __init__(self, data):
        self._data = np.asarray(data)

    def __getattr__(self, name):
        if name.startswith("__"):  # __array__, __float__: CuPy refuses them
            raise AttributeError(name)
        found = getattr(self._data, name)
        return device_function(found) if callable(found) else found

    def get(self):
        DeviceArray.transferred += self._data.nbytes
        return self._data.copy()

    def tolist(self):
        return self.get().tolist()

    def __getitem__(self, index):
        return wrap(self._data[unwrap(index)])

    def __setitem__(self, index, value):
        assert isinstance(value, DeviceArray)
        self._data[unwrap(index)] = value._data

    def __float__(self):
        return float(self.get())


def unwrap(value):
    if isinstance(value, DeviceArray):
        return value._data
    if isinstance(value, (tuple, list)):
        return type(value)(unwrap(v) for v in value)
    assert not isinstance(value, np.ndarray), "a NumPy array among CuPy's"
    return value


def wrap(value):
    return DeviceArray(value) if isinstance(value, (np.ndarray, np.generic)) else value


def device_function(function):
    def call(*args, **kwargs):
        out = kwargs.pop("out", None)
        result = function(*map(unwrap, args), **kwargs)
        if out is not None:
            out._data[...] = result
            return out
        return wrap(result)

    return call


OPERATORS = ("add", "radd", "sub", "rsub", "mul", "rmul", "imul", "eq", "and", "or", "invert")
for operator in OPERATORS:
    setattr(
        DeviceArray,
        f"__{operator}__",
        lambda self, *other, _name=f"__{operator}__": wrap(
            getattr(self._data, _name)(*map(unwrap, other))
        ),
    )
DeviceArray.__module__ = "cupy._core.core"


@pytest.fixture
def cupy(monkeypatch):
    module = types.ModuleType("cupy")
    for name in (
        "abs", "where", "isnan", "isinf", "isfinite", "multiply", "subtract", "bincount", "stack",
        "empty",
    ):  # fmt: skip
        setattr(module, name, device_function(getattr(np, name)))
    module.add = types.SimpleNamespace(reduceat=device_function(np.add.reduceat))
    module.asarray = lambda values: DeviceArray(np.asarray(values))
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setattr(S, "CHUNK", 100)
    monkeypatch.setattr(S, "CUDA_CHUNK", 700)
    return module


@pytest.mark.parametrize("dtype", ["float32", "complex64", "int64"])
@pytest.mark.parametrize("shape", [(), (9,), (40, 50), (4, 60, 50), (1999,)], ids=str)
def test_cupy_arrays_give_the_same(cupy, shape, dtype):
    a = make(shape, dtype)
    for host in (a, a.T, a[::-1] if shape else a):
        want = view(host, meta(a), rows=8, cols=4, grid=(6, 9))
        got = view(DeviceArray(host), meta(a), rows=8, cols=4, grid=(6, 9))
        assert got.table == want.table and got.grid.marks == want.grid.marks
        np.testing.assert_allclose(got.grid.values, want.grid.values, rtol=1e-9, atol=1e-12)
        assert got.summary.counts == want.summary.counts
        np.testing.assert_allclose(got.summary.std, want.summary.std, rtol=1e-12)
        check(got.summary, host)


def test_cupy_transfers_only_small_results(cupy, monkeypatch):
    monkeypatch.setattr(S, "EXACT", 1 << 17)
    monkeypatch.setattr(S, "CUDA_CHUNK", 1 << 14)
    monkeypatch.setattr(DeviceArray, "transferred", 0)
    for shape in ((300, 400), (400, 500)):
        a = make(shape, "float32")
        v = view(DeviceArray(a), meta(a), rows=20, cols=8, grid=(10, 20))
        assert v.summary.sampled is (a.size > 1 << 17)
    assert DeviceArray.transferred < 200_000


def test_examples():
    failed, tried = doctest.testmod(S)
    assert tried and not failed
