"""Worker processes started from a notebook's kernel, where the service's threads run beside."""

from __future__ import annotations

import os
import re
import time

import pytest

from app.kernel.process import KernelProcess
from framework.trace.events import Op
from framework.trace.protocol import Events, Output

CELL = """
import os, time
import framework as torch
from framework.utils.data import DataLoader, Dataset
class Squares(Dataset):
    def __len__(self):
        return 6
    def __getitem__(self, i):
        print("from the worker", flush=True)
        return torch.ones(1) * i
loader = DataLoader(Squares(), num_workers=2, persistent_workers=True)
total = sum(batch.sum() for batch in loader)
print("total", total.item(), [w.process.pid for w in loader._workers.workers])
"""


@pytest.fixture
def kernel(tmp_path):
    process = KernelProcess(cwd=tmp_path, socket_dir=tmp_path / "run")
    process.start()
    yield process
    process.kill()


def _has(messages, seq):
    """Is an event among them, and the output before it?"""
    events = [m.events[-1].seq for m in list(messages) if isinstance(m, Events)]
    return bool(events) and events[-1] >= seq


def test_a_cell_with_workers(kernel):
    done = kernel.client.request("execute", cell="c1", code=CELL).result(60)
    last = kernel.client.request("status").result(60)["last_seq"]
    end = time.monotonic() + 60
    while not _has(kernel.client.inbox, last):
        assert time.monotonic() < end, "its events do not come"
        time.sleep(0.02)
    messages = list(kernel.client.inbox)
    text = "".join(m.text for m in messages if isinstance(m, Output) and m.kind == "stream")
    assert not done["error"], done
    pids = re.search(r"total 15\.0 \[(\d+), (\d+)\]", text).groups()
    ops = [e.name for m in messages if isinstance(m, Events) for e in m.events if type(e) is Op]
    assert "mul" not in ops and ops.count("sum") == 6  # what workers do is not traced
    kernel.kill()
    end = time.monotonic() + 60
    for pid in pids:
        while os.path.exists(f"/proc/{pid}"):
            assert time.monotonic() < end, f"worker {pid} outlives the kernel"
            time.sleep(0.05)
