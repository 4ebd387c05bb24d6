"""Copies into C order by tiles, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework.kernels import orders
from framework.kernels.orders import in_rows_copy

pytest.importorskip("numba")

VIEWS = {
    "turned": lambda a: a.reshape(48, 20, 70).transpose(2, 1, 0),
    "last two": lambda a: a.reshape(3, 160, 140).transpose(0, 2, 1),
    "first two": lambda a: a.reshape(48, 70, 20).transpose(1, 0, 2),
    "channels last": lambda a: a.reshape(4, 35, 16, 30).transpose(0, 2, 3, 1),
    "channels first": lambda a: a.reshape(4, 16, 30, 35).transpose(0, 3, 1, 2),
    "five dimensions": lambda a: a.reshape(4, 3, 7, 20, 40).transpose(4, 2, 0, 3, 1),
    "a part": lambda a: a.reshape(240, 280)[3:200, 5:270].T,
    "every other row": lambda a: a.reshape(240, 280)[::2].T,
    "every other column": lambda a: a.reshape(240, 280)[:, ::2].T,
    "from behind": lambda a: a.reshape(240, 280)[::-1].T,
    "repeated": lambda a: np.broadcast_to(a.reshape(240, 280), (2, 240, 280)).T,
    "of one row": lambda a: a.reshape(1, -1).T,
    "of none": lambda a: a.reshape(240, 280)[:, :0].T,
    "a number": lambda a: a[0],
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "?", "c8", "c16"])
def test_copies(monkeypatch, name, dtype):
    a = np.random.default_rng(0).integers(0, 256, 240 * 280 * 16, np.uint8)
    a = (a % 2 if dtype == "?" else a).view(dtype)[: 240 * 280]  # NaN of many kinds among them
    view = np.asarray(VIEWS[name](a))
    for least, alike, short in ((0, 1, 2), (0, 1 << 10, 32), (1 << 16, 1 << 10, 32)):
        monkeypatch.setattr(orders, "_LEAST", least)
        monkeypatch.setattr(orders, "_ALIKE", alike)
        monkeypatch.setattr(orders, "_SHORT", short)
        found = in_rows_copy(view)
        assert found.flags.c_contiguous and found.flags.writeable
        assert found.dtype == view.dtype and found.shape == view.shape
        assert found.tobytes() == view.tobytes() and not np.may_share_memory(found, view)


def test_tensors(plainly):
    x = torch.randn(256, 1024, dtype=torch.bfloat16)
    made = x.t().contiguous()
    assert made.is_contiguous() and made.tolist() == plainly(lambda: x.t().contiguous()).tolist()
    images = torch.randn(2, 32, 32, 64)
    last = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(last, images) and torch.equal(last.contiguous(), images)


def test_it_does_not_depend_on_the_number_of_threads():
    x, before = torch.randn(1024, 500), torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            assert (x.t().contiguous().numpy() == x.numpy().T).all()
    finally:
        torch.set_num_threads(before)
