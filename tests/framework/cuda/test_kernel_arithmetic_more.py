"""Arithmetic of the other kernels of our own; see `test_kernel_arithmetic`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hosted import Host, entries_of
from kernel_checks import KINDS, NEAR, agree, draw, entries, own, same, special, tried

import framework as torch
from framework import random
from framework.core.registry import OPS
from framework.kernels import compiled, cuda
from framework.kernels.cuda import optimizers
from framework.trace import figures

DROPOUT = {f"dropout_{kind}" for kind in cuda.TYPES.values()}  # the rest of `drawing` is elsewhere


@pytest.fixture
def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "deterministic", True)


# -- gates --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", KINDS)
def test_gates(dtype: Any, host: Host) -> None:
    for shape in ((2, 3), (5, 16), (1, 1), (7,), (2, 3, 8)):
        *rows, width = shape

        def sums(gates: int, seed: int, rows: Any = rows, width: int = width) -> Any:
            return draw(dtype, *rows, gates * width, seed=seed)

        c, gh, gc = (draw(dtype, *shape, seed=k) for k in (1, 2, 3))
        x, s = sums(4, 4), sums(4, 5)
        agree("lstm_gates", x, s, c, near=2)
        state = OPS["lstm_gates"].kernel(x, s, c)[1]
        agree("lstm_gates_backward", gh, gc, x, s, c, state, near=4)
        x, s = sums(3, 6), sums(3, 7)
        agree("gru_gates", x, s, c, near=2)
        agree("gru_gates_backward", gh, x, s, c, near=4)


def test_gates_of_what_is_no_number(host: Host) -> None:
    x = special(np.float32).repeat(4, 0).reshape(-1, 4)[:54]
    rows = x.reshape(-1, 12)
    zeros = np.zeros_like(rows)
    agree("lstm_gates", rows, zeros, draw(np.float32, len(rows), 3))
    agree("gru_gates", rows, zeros, draw(np.float32, len(rows), 4))


# -- dropout ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_dropout_draws_what_the_generator_does(seed: int, dtype: Any, host: Host) -> None:
    for count, offset, p in ((1, 0, 0.5), (4099, 12345678901, 0.1), (64, 2**61, 0.999)):
        x = draw(dtype, count)
        meta = {"p": p, "shape": (count,), "seed": seed, "offset": offset}
        mine, theirs = own("dropout", x, **meta)[0], OPS["dropout"].kernel(x, **meta)
        np.testing.assert_array_equal(mine.astype(np.float64), theirs.astype(np.float64))
    stream = random.Generator().manual_seed(seed)
    ones = np.ones(1000, np.float32)
    meta = {"p": 0.5, "shape": (1000,), "seed": stream.initial_seed(), "offset": 0}
    kept = own("dropout", ones, **meta)[0] != 0
    halves = stream.words(500).view(np.uint32)
    np.testing.assert_array_equal(kept, halves >= 1 << 31)


def test_dropout_of_channels_and_orders(host: Host) -> None:
    x = draw(np.float32, 2, 3, 4, 5)
    agree("dropout", x, p=0.4, shape=(2, 3, 1, 1), seed=3, offset=1)
    turned = x.transpose(0, 2, 3, 1)
    mine = own("dropout", turned, p=0.4, shape=turned.shape, seed=3, offset=1)[0]
    assert mine.strides == turned.strides
    agree("dropout", turned, p=0.4, shape=turned.shape, seed=3, offset=1)
    agree("dropout", special(np.float32), p=0.4, shape=(11, 5), seed=3, offset=1)


# -- losses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_nll_loss(reduction: str, dtype: Any, host: Host) -> None:
    for shape in ((5, 3), (700, 10), (2, 4, 3), (3, 2, 5, 4)):
        x, classes = draw(dtype, *shape), shape[1]
        places = (shape[0], *shape[2:])
        target = np.random.default_rng(1).integers(0, classes, places)
        target.flat[1] = -100
        g = draw(dtype, *(places if reduction == "none" else ()), seed=2)
        meta = {"ignore_index": -100, "reduction": reduction}
        for weight in (None, np.abs(draw(dtype, classes, seed=3))):
            for t in (target, np.abs(target % classes).astype(np.uint8)):
                agree("nll_loss", x, t, weight, near=8, **meta)
                agree("nll_loss_backward", g, t, weight, classes=classes, near=8, **meta)


def test_nll_loss_of_what_is_ignored_and_what_is_no_class(host: Host) -> None:
    x = np.array([[np.nan, 1.0], [np.inf, 2.0], [3.0, -np.inf]], np.float32)
    target, weight = np.array([0, 0, 1]), np.array([0.0, 1.0], np.float32)
    for reduction in ("none", "sum", "mean"):
        meta = {"ignore_index": -100, "reduction": reduction}
        agree("nll_loss", x, target, weight, **meta)
        agree("nll_loss", x, np.full(3, -100), None, **meta)
        for bad in (2, -1):
            assert tried("loss", "nll_loss", x, np.array([0, bad, 1]), None, **meta) is None


# -- adding -------------------------------------------------------------------------------------


def _in_both_ways(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for deterministic in (False, True):
        monkeypatch.setattr(cuda, "deterministic", deterministic)
        check()


@pytest.mark.parametrize("dtype", KINDS)
def test_embedding(dtype: Any, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    meta = {"scale_grad_by_freq": False}
    for rows, width, shape in ((4, 3, (2, 2)), (10, 16, (50,)), (3, 1, (200,)), (5, 8, ())):
        for kind in (np.int64, np.int32):
            index = rng.integers(0, rows, shape).astype(kind)
            table, g = draw(dtype, rows, width), draw(dtype, *shape, width, seed=1)
            agree("embedding", table, index, padding_idx=-1, **meta)

            def check(g: Any = g, index: Any = index, rows: int = rows) -> None:
                agree("embedding_backward", g, index, rows=rows, padding_idx=-1, near=4, **meta)
                agree("embedding_backward", g, index, rows=rows, padding_idx=1, near=4, **meta)

            _in_both_ways(check, monkeypatch)
    assert {"add_anyhow", "add_in_order", "rows"} <= entries(host)


@pytest.mark.parametrize("dtype", KINDS)
def test_scatter_add(dtype: Any, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for shape, dim, count in (((5,), 0, 9), ((3, 4), 1, 6), ((3, 4), 0, 7), ((2, 3, 5), 1, 4)):
        index_shape = (*shape[:dim], count, *shape[dim + 1 :])
        index = rng.integers(0, shape[dim], index_shape)
        a, src = draw(dtype, *shape), draw(dtype, *index_shape, seed=1)
        _in_both_ways(
            lambda a=a, index=index, src=src, dim=dim: agree(
                "scatter_add", a, index, src, dim=dim, near=4
            ),
            monkeypatch,
        )


@pytest.mark.parametrize("dtype", KINDS)
def test_index_add(dtype: Any, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    from framework.ops.indexing import index_array

    rng = np.random.default_rng(0)
    for shape, dim, count in (((5,), 0, 9), ((3, 4), 1, 6), ((3, 4), 0, 7), ((2, 3, 5), 1, 4)):
        index = rng.integers(-shape[dim], shape[dim], count)
        values = draw(dtype, *shape[:dim], count, *shape[dim + 1 :], seed=1)
        layout = (*[slice(None)] * dim, index_array)
        _in_both_ways(
            lambda shape=shape, values=values, index=index, layout=layout: agree(
                "index_put", draw(dtype, *shape), values, index, layout=layout, accumulate=True,
                near=4,
            ),
            monkeypatch,
        )  # fmt: skip


def test_what_is_added_in_order_is_the_cpus_to_the_bit(in_order: None, host: Host) -> None:
    rng = np.random.default_rng(0)
    index, src = rng.integers(0, 3, 500), draw(np.float32, 500)
    mine = own("scatter_add", np.zeros(3, np.float32), index, src, dim=0)[0]
    theirs = np.zeros(3, np.float32)
    np.add.at(theirs, index, src)
    np.testing.assert_array_equal(mine, theirs)


def test_places_out_of_range_are_left_to_the_plain_kernels(host: Host) -> None:
    from framework.ops.indexing import index_array

    table, meta = draw(np.float32, 4, 3), {"padding_idx": -1, "scale_grad_by_freq": False}
    for bad in (4, -1):
        index = np.array([0, bad])
        assert tried("adding", "embedding", table, index, **meta) is None
        wide = index[:, None].repeat(3, 1)
        assert tried("adding", "scatter_add", table, wide, table[:2], dim=0) is None
    for bad in (4, -5):
        layout = {"layout": (index_array,), "accumulate": True}
        index = np.array([0, bad])
        assert tried("adding", "index_put", table, table[:2], index, **layout) is None
    # The way back does not look again, for which it would wait: what has no place is passed over.
    index = np.array([0, 4])
    found = tried("adding", "embedding_backward", table[:2], index, rows=4, **meta)
    same(found[0], np.vstack([table[:1], np.zeros((3, 3), np.float32)]))


# -- pooling ------------------------------------------------------------------------------------

_WINDOWS = [(3, 2, 1, 1, False), (2, 2, 0, 1, False), (3, 1, 1, 2, True), (1, 1, 0, 1, False),
            (2, 3, 1, 2, True)]  # fmt: skip


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_max_pool(dims: int, dtype: Any, host: Host) -> None:
    size = (6, 7, 5)[-dims:]
    x = draw(dtype, 2, 3, *size)
    x.flat[4], x.flat[9], x.flat[20] = np.nan, np.inf, -np.inf
    for kernel, stride, padding, dilation, ceil_mode in _WINDOWS:
        numbers = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        meta = {name: (value,) * dims for name, value in numbers.items()}
        meta["ceil_mode"] = ceil_mode
        agree(f"max_pool{dims}d", x, **meta)
        best, index = OPS[f"max_pool{dims}d"].kernel(x, **meta)
        agree("max_scatter", draw(dtype, *best.shape, seed=1), index, size=size, near=4)
    flat = np.full((1, 1, *size), -np.inf, dtype)  # the padding is never named
    meta = {"kernel": (3,) * dims, "stride": (2,) * dims, "padding": (1,) * dims,
            "dilation": (1,) * dims, "ceil_mode": False}  # fmt: skip
    agree(f"max_pool{dims}d", flat, **meta)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_mean_pool(dims: int, dtype: Any, host: Host) -> None:
    size = (6, 7, 5)[-dims:]
    x = draw(dtype, 2, 3, *size)
    for kernel, stride, padding, _, ceil_mode in [*_WINDOWS, (4, 3, 2, 1, True)]:
        for with_padding, divisor in ((True, None), (False, None), (True, 5)):
            meta = {"size": size, "kernel": (kernel,) * dims, "stride": (stride,) * dims,
                    "padding": (padding,) * dims, "ceil_mode": ceil_mode,
                    "count_include_pad": with_padding, "divisor_override": divisor}  # fmt: skip
            agree(f"avg_pool{dims}d", x, near=2, **meta)
            y = OPS[f"avg_pool{dims}d"].kernel(x, **meta)
            agree(f"avg_unpool{dims}d", draw(dtype, *y.shape, seed=1), near=4, **meta)


def test_max_scatter_in_order(in_order: None, host: Host) -> None:
    g, index = draw(np.float32, 2, 3, 40), np.random.default_rng(0).integers(0, 5, (2, 3, 40))
    agree("max_scatter", g, index, size=(5,))
    assert "add_in_order" in entries(host)


# -- optimizers ---------------------------------------------------------------------------------


def _plain_sgd(
    p: Any, g: Any, b: Any, lr: float, momentum: float, dampening: float, decay: float,
    maximize: bool, first: bool, nesterov: bool,
) -> list[Any]:  # fmt: skip
    """What NumPy computes in the wide type; the buffer is rounded before it is read again."""
    kind, wide = p.dtype, np.float64 if p.dtype == np.float64 else np.float32
    p, g = p.astype(wide), g.astype(wide) * (-1 if maximize else 1)
    d = g + p * wide(decay)
    if b is None:
        return [(p - d * wide(lr)).astype(kind)]
    b = d if first else b.astype(wide) * wide(momentum) + d * wide(1 - dampening)
    b = b.astype(kind)
    moved = b.astype(wide) * wide(momentum) + d if nesterov else b.astype(wide)
    return [(p - moved * wide(lr)).astype(kind), b]


def _plain_adam(
    p: Any, g: Any, m: Any, s: Any, top: Any, lr: float, betas: Any, eps: float, decay: float,
    decoupled: bool, maximize: bool, step: float,
) -> list[Any]:  # fmt: skip
    kind, wide = p.dtype, np.float64 if p.dtype == np.float64 else np.float32
    p, g, m, s = (a.astype(wide) for a in (p, -g if maximize else g, m, s))
    d = g if decoupled else g + p * wide(decay)
    m = m + (d - m) * wide(1 - betas[0])
    s = s * wide(betas[1]) + d * d * wide(1 - betas[1])
    found, size = [m.astype(kind), s.astype(kind)], s
    if top is not None:
        size = np.maximum(s, top.astype(wide))
        found.append(size.astype(kind))
    shrink = 1 - lr * decay if decoupled else 1.0
    moved = m / (np.sqrt(size) / wide((1 - betas[1] ** step) ** 0.5) + wide(eps))
    rate = wide(lr / (1 - betas[0] ** step))
    return [(p * wide(shrink) - moved * rate).astype(kind), *found]


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize(
    "momentum, first, nesterov, dampening",
    [(0.0, 0, 0, 0.0), (0.9, 1, 0, 0.0), (0.9, 0, 0, 0.1), (0.9, 0, 1, 0.0), (0.9, 1, 1, 0.0)],
)
def test_sgd(
    momentum: float, first: int, nesterov: int, dampening: float, decay: float, maximize: bool,
    dtype: Any, host: Host,
) -> None:  # fmt: skip
    for count in (3, 4096 + 5):
        param, grad, buffer = (draw(dtype, count, seed=k) for k in range(3))
        given = (0.1, momentum, dampening, decay, maximize, bool(first), bool(nesterov))
        p, b = param.copy(), buffer.copy() if momentum else None
        tried("optimizers", "sgd", p, grad, b, *given)
        theirs = _plain_sgd(param, grad, buffer if momentum else None, *given)
        for mine, other in zip((p, b), theirs):
            same(mine, other)


@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
def test_adam(maximize: bool, amsgrad: bool, decoupled: bool, dtype: Any, host: Host) -> None:
    for count in (3, 4096 + 5):
        param, grad, mean, square, largest = (draw(dtype, count, seed=k) for k in range(5))
        grad[1] = np.nan
        start = [param, mean, np.abs(square), np.abs(largest) if amsgrad else None]
        given = (0.01, (0.9, 0.99), 1e-8, 0.1, decoupled, maximize, 3.0)
        p, m, s, top = (None if a is None else a.copy() for a in start)
        tried("optimizers", "adam", p, grad, m, s, top, *given)
        theirs = _plain_adam(param, grad, *start[1:], *given)
        for mine, other in zip([a for a in (p, m, s, top) if a is not None], theirs, strict=True):
            same(mine, other)


def test_numba_updates_alike(host: Host) -> None:
    """What the CPU's compiled kernels make of the same numbers."""
    theirs = compiled.family("optimizers")
    if theirs is None:
        pytest.skip("Numba is not here")
    for dtype in (np.float32, np.float64):
        start = [np.abs(draw(dtype, 4101, seed=k)) for k in range(4)]
        for name, count, given in (
            ("sgd", 3, (0.1, 0.9, 0.1, 0.1, False, False, True)),
            ("adam", 4, (None, 0.01, (0.9, 0.99), 1e-8, 0.1, True, False, 3.0)),
        ):
            mine, other = ([a.copy() for a in start[:count]] for _ in range(2))
            tried("optimizers", name, *mine, *given)
            getattr(theirs, name)(*other, *given)
            for a, b in zip(mine, other):
                same(a, b)


def _many(name: str, lines: list[list[Any]], numbers: list[tuple[Any, ...]]) -> list[list[Any]]:
    """Updates of several parameters at once by the kernels; returns the arrays afterwards."""
    host: Any = cuda.use(None)
    cuda.use(host)
    moved = [[None if a is None else host.there(a.copy()) for a in line] for line in lines]
    with optimizers.gathered():
        for line, given in zip(moved, numbers):
            getattr(optimizers, name)(*line, *given)
    return [[None if a is None else host.back(a) for a in line] for line in moved]


@pytest.mark.parametrize("dtype", KINDS)
def test_gradients_are_unscaled_in_one_launch(dtype: Any, host: Host) -> None:
    """A number that is not finite is told, wherever it is; the scale is a power of two."""
    for bad in (None, np.inf, -np.inf, np.nan):
        grads = [draw(dtype, n, seed=n) for n in (3, (1 << 14) * 2 + 7, 1 << 14, 1, 50)]
        if bad is not None:
            grads[1][-1] = bad
        moved = [host.there(g.copy()) for g in grads]
        scale, found = (host.there(np.full((), n, np.float32)) for n in (8.0, 0.0))
        optimizers.unscale(moved, scale, found)
        assert float(host.back(found)) == (bad is not None)
        for mine, g in zip(moved, grads):
            expected = (g.astype(np.float64) / 8).astype(dtype)
            np.testing.assert_array_equal(host.back(mine).astype(float), expected.astype(float))
    assert entries(host) == {"unscale_many"} and sum(host.launched.values()) == 4


@pytest.mark.parametrize("dtype", KINDS)
def test_updates_of_many_parameters_are_one_launch(dtype: Any, host: Host) -> None:
    """The same numbers as one by one; other numbers are another launch."""
    sizes = [3, (1 << 14) * 2 + 7, 1 << 14, 1, 50]
    lines = [[draw(dtype, n, seed=k) for k in range(3)] for n in sizes]
    numbers = [(0.1, 0.9, 0.0, 0.01, False, False, True)] * 4 + [(0.2, 0.9, 0.0, 0, False, 0, 0)]
    found = _many("sgd", lines, numbers)
    assert entries(host) == {"sgd", "sgd_many"} and sum(host.launched.values()) == 2
    for line, given, mine in zip(lines, numbers, found):
        tried("optimizers", "sgd", *line, *given)
        for a, b in zip(mine, line):
            same(a, b)
    lines = [[np.abs(draw(dtype, n, seed=k)) for k in range(4)] + [None] for n in sizes]
    numbers = [(0.01, (0.9, 0.99), 1e-8, 0.1, True, False, 3.0)] * 5
    found = _many("adam", lines, numbers)
    assert host.launched[f"adam_many_{cuda.TYPES[np.dtype(dtype)]}"] == 1
    for line, given, mine in zip(lines, numbers, found):
        tried("optimizers", "adam", *line, *given)
        for a, b in zip(mine[:4], line):
            same(a, b)


def test_updates_of_nothing_but_empty_parameters(host: Host) -> None:
    lines = [[np.zeros(n, np.float32), np.zeros(n, np.float32), None] for n in (0, 0)]
    numbers = [(0.1, 0.0, 0.0, 0.0, False, False, False)] * 2
    assert [p.size for p, *_ in _many("sgd", lines, numbers)] == [0, 0]
    (found,) = _many("sgd", [[draw(np.float32, 2), draw(np.float32, 2), None]], numbers[:1])
    same(found[0], draw(np.float32, 2) * np.float32(0.9))


def test_what_is_needed_at_once_does_not_wait(host: Host) -> None:
    p, g = draw(np.float32, 5), draw(np.float32, 5, seed=1)
    plain = (0.1, 0.0, 0.0, 0.0, False, False, False)
    there = host.there(p.copy())
    with optimizers.gathered():
        with optimizers.at_once():
            optimizers.sgd(there, host.there(g), None, *plain)
        assert entries(host) == {"sgd"}
        same(host.back(there), p - g * np.float32(0.1))
    with pytest.raises(KeyError), optimizers.gathered():
        optimizers.sgd(there, host.there(g), None, *plain)
        raise KeyError
    same(host.back(there), p - g * np.float32(0.2))


# -- health -------------------------------------------------------------------------------------


def _measured(x: Any, needs: int) -> tuple[list[float], list[float]]:
    """The figures that are asked for, by the kernel and by the CPU."""
    host: Any = cuda.use(None)
    cuda.use(host)
    names = ["count", *[n for n, wanted in figures._WANTED.items() if wanted & needs]]
    mine = figures._measure_device(host.there(x), needs, figures.Figures(x.size))
    theirs = figures.measure(x, needs)
    return [getattr(mine, n) for n in names], [getattr(theirs, n) for n in names]


@pytest.mark.parametrize("dtype", KINDS)
def test_health(dtype: Any, host: Host) -> None:
    every = 63
    lines = [draw(dtype, 1), draw(dtype, 3, 5), draw(dtype, 9001), draw(dtype, 40, 8).T]
    lines += [np.zeros(7, dtype), np.full(5, np.nan, dtype), special(dtype), *special(dtype)]
    for x in lines:
        with np.errstate(all="ignore"):
            for needs in (every, figures.FINITE, figures.NORM, figures.RANGE | figures.SPREAD):
                mine, theirs = _measured(x, needs)
                np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-9)


def test_a_small_tensor_is_measured_by_one_launch(host: Host) -> None:
    for needs in (figures.NORM, figures.SPREAD):
        host.launched.clear()
        mine, theirs = _measured(draw(np.float32, 4096), needs)
        np.testing.assert_allclose(mine, theirs, rtol=1e-5)
        assert host.launched == {"health_at_once_f32": 1}


def test_every_entry_was_launched_for_every_type(launched: set[str]) -> None:
    families = ("adding", "gates", "health", "loss", "optimizers", "pool")
    assert set().union(*map(entries_of, families)) | DROPOUT == launched


def test_every_type_has_a_bound() -> None:
    assert set(NEAR) == set(cuda.TYPES) and torch.bfloat16.numpy in NEAR


# -- lines that warps take, packs that span rows -----------------------------------------------


@pytest.mark.parametrize("dtype", KINDS)
def test_wide_lines_are_added_up(dtype: Any, host: Host) -> None:
    from framework.ops.indexing import index_array

    rng = np.random.default_rng(0)
    a, values = draw(dtype, 2, 6, 40), draw(dtype, 2, 9, 40, seed=1)
    index = rng.integers(-6, 6, 9)
    agree("index_put", a, values, index, layout=(slice(None), index_array),
          accumulate=True, near=4)  # fmt: skip
    places = rng.integers(0, 6, (2, 9, 40))
    agree("scatter_add", a, places, values, dim=1, near=4)
    index = rng.integers(0, 5, (3, 4))
    meta = {"rows": 5, "padding_idx": 2, "scale_grad_by_freq": False}
    agree("embedding_backward", draw(dtype, 3, 4, 33), index, near=4, **meta)


@pytest.mark.parametrize("dtype", KINDS)
def test_packs_of_a_loss_gradient_span_rows(dtype: Any, host: Host) -> None:
    rng = np.random.default_rng(0)
    for shape in (5, 3), (7, 1), (2, 3, 5), (3, 2, 2, 4), (4, 64), (9, 17):
        target = rng.integers(0, shape[1], (shape[0], *shape[2:]))
        target.flat[0] = -100
        for reduction in "none", "sum", "mean":
            g = draw(dtype, *(target.shape if reduction == "none" else ()))
            weight = np.abs(draw(dtype, shape[1], seed=3))
            agree("nll_loss_backward", g, target, weight, classes=shape[1], ignore_index=-100,
                  reduction=reduction)  # fmt: skip


@pytest.mark.parametrize("dtype", KINDS)
def test_gradients_of_a_scaled_loss(dtype: Any, host: Host) -> None:
    shapes = (3,), (70, 9), (16390,)
    scale = np.array(4.0, np.float32)
    for wrong in None, np.inf, np.nan, -np.inf:
        grads = [draw(dtype, *s) for s in shapes]
        if wrong is not None:
            grads[2][16388] = wrong
        there, found = [host.there(g.copy()) for g in grads], host.there(np.zeros((), np.float32))
        optimizers.unscale(there, host.there(scale), found)
        assert float(host.back(found)) == (wrong is not None)
        for g, mine in zip(grads, there):
            same(host.back(mine), (g.astype(np.float64) / 4).astype(dtype))
