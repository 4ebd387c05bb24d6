"""The threads of compiled kernels, and products of matrices that they share."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import framework as torch
from framework.kernels import compiled, products

pytest.importorskip("numba")


@pytest.fixture(autouse=True)
def _shared(monkeypatch):
    """As where NumPy was loaded before us."""
    monkeypatch.setattr(products, "_shared", True)


@pytest.fixture
def threads():
    """Sets their number, which is as before afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def _record(seen, start, stop):
    seen.append((start, stop, threading.current_thread().name))


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_ranges_cover_all_and_each_has_a_thread(threads, count):
    threads(count)
    for _ in range(3):
        seen = []
        compiled.in_parts(_record, 1000, 1 << 22, seen)
        ranges = sorted((a, b) for a, b, _ in seen)
        assert ranges == [(1000 * i // count, 1000 * (i + 1) // count) for i in range(count)]
        names = {name for *_, name in seen if name.startswith(compiled.THREAD_NAMES)}
        assert len(names) == count - 1


@pytest.mark.parametrize("where", [0, 500])
def test_what_a_range_raises_is_raised(threads, where):
    threads(2)

    def call(start, stop):
        if start == where:
            raise ZeroDivisionError(start)

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            compiled.in_parts(call, 1000, 1 << 22)
    seen = []
    compiled.in_parts(_record, 10, 1 << 22, seen)
    assert len(seen) == 2


def test_ranges_inside_of_a_range(threads):
    threads(2)
    seen = []

    def call(start, stop):
        compiled.in_parts(_record, 10, 1 << 22, seen)

    compiled.in_parts(call, 2, 1 << 22)
    assert [(a, b) for a, b, _ in seen] == [(0, 10)] * 2


def test_threads_that_fell_asleep_are_woken(threads):
    threads(3)
    seen = []
    compiled.in_parts(_record, 3, 1 << 22, seen)
    while not all(hand.asleep for hand in compiled._crew.hands):
        os.sched_yield()
    compiled.in_parts(_record, 3, 1 << 22, seen)
    assert len(seen) == 6


# -- products -----------------------------------------------------------------------------------

SHAPES = [
    ((128, 300), (300, 200)), ((70, 700), (700, 97)), ((33, 999), (999, 1000)),
    ((1, 3000), (3000, 999)), ((2000, 40), (40, 64)), ((6, 64, 65), (6, 65, 66)),
    ((1, 5, 70, 90), (1, 5, 90, 100)), ((3, 300, 70), (70, 80)), ((64, 0), (0, 9000)),
    ((5, 0, 7), (5, 7, 9)),
]  # fmt: skip


def _random(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_products(threads, shapes):
    a, b = _random(shapes[0]), _random(shapes[1], 1)
    for x, y in (
        (a, b), (np.asfortranarray(a), b), (a, np.asfortranarray(b)),
        (a.swapaxes(-1, -2).copy().swapaxes(-1, -2), b[..., ::-1]),
    ):  # fmt: skip
        want = np.matmul(x.astype(np.float64), y)
        for count in (1, 2, 5):
            threads(count)
            found = products.matmul(x, y)
            assert found.dtype == np.float32 and found.shape == want.shape
            assert found.flags.c_contiguous
            np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-3)


def test_products_of_what_is_not_finite(threads):
    threads(3)
    a, b = _random((200, 300)), _random((300, 210), 1)
    a[7, 9], a[150, 3], b[4, 100] = np.inf, np.nan, -np.inf
    with np.errstate(invalid="ignore"):
        want = np.matmul(a.astype(np.float64), b)
    found = products.matmul(a, b)
    assert np.array_equal(np.isnan(found), np.isnan(want))
    assert np.array_equal(np.isinf(found), np.isinf(want))


def test_a_product_leaves_the_threads_of_blas_as_they_were(threads):
    threads(2)
    a = _random((300, 300))
    products.matmul(a, a)
    blas = products._blas[0]
    if blas is None:
        pytest.skip("NumPy's BLAS is not the OpenBLAS of its wheels")
    before = blas.get()
    seen = []

    def work():
        for _ in range(20):
            products.matmul(a, a)
            seen.append(1)

    others = [threading.Thread(target=work) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert len(seen) == 60 and blas.get() == before and not blas.users
    with blas, blas:
        assert blas.get() == 1
    assert blas.get() == before


@pytest.mark.parametrize(
    ("program", "wanted"),
    [
        ("import framework", "20 False"),
        ("import numpy, framework", "None True"),
        ("import os; os.environ[NAME] = '4'; import numpy, framework", "4 False"),
    ],
)
def test_blas_waits_briefly_if_it_can_still_be_told(program, wanted):
    name = "OPENBLAS_THREAD_TIMEOUT"
    code = f"NAME = {name!r}; {program}; import os; from framework.kernels import products\n"
    code += "print(os.environ.get(NAME), products._shared)"
    environment = {k: v for k, v in os.environ.items() if k != name}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == wanted
