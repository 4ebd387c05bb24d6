"""``pin_memory=True`` of all that makes tensors: memory that is read while the program runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_strict_device import needs_compiler, strictly

import framework as torch
from framework.device import cuda_problem

PINNED = """
import os
import tempfile
import cupy
import framework as torch
x = torch.arange(6.0).reshape(2, 3)
more = {
    "full": ((2,), 7.0), "arange": (3,), "range": (0, 3), "linspace": (0, 1, 3),
    "logspace": (0, 1, 3),
    "eye": (2,), "tril_indices": (2, 2), "triu_indices": (2, 2), "empty_strided": ((2, 3), (1, 2)),
    "empty_permuted": ((2, 3), (1, 0)), "randint": (3, (2,)), "randperm": (4,),
    "normal": (0.0, 1.0, (2,)), "scalar_tensor": (3,), "tensor": ([1, 2],), "full_like": (x, 7),
    "randint_like": (x, 3), "from_file": None, "sparse_coo_tensor": None,
    "bartlett_window": (4,), "hann_window": (4,), "hamming_window": (4,), "blackman_window": (4,),
    "kaiser_window": (4,), "fft.fftfreq": (4,), "fft.rfftfreq": (4,),
}
def made(name, *given, **options):
    call = torch
    for part in name.split("."):
        call = getattr(call, part)
    return call(*given, pin_memory=True, **options)
takes = {*more, *(f"{n}{like}" for n in ("zeros", "ones", "empty", "rand", "randn")
                  for like in ("", "_like"))}
for name in takes:
    given = more.get(name, (x,) if name.endswith("_like") else ((2, 3),))
    if given is None:
        continue
    t = made(name, *given)
    assert t.is_pinned() and t.device.type == "cpu", name
    plain = t.clone()
    assert not plain.is_pinned() and plain.shape == t.shape and plain.stride() == t.stride()
    cupy.counts.reset()
    there = t.to("cuda", non_blocking=True)
    assert cupy.counts.waits == 0 and torch.equal(there.cpu(), t), name
    t.to("cuda")
    assert cupy.counts.waits > 0
assert x.new_zeros(3, pin_memory=True).is_pinned()
assert x.new_empty_strided((2, 3), (1, 2), pin_memory=True).stride() == (1, 2)
with tempfile.TemporaryDirectory() as folder:
    t = torch.from_file(os.path.join(folder, "f"), shared=True, size=3, pin_memory=True)
    assert t.is_pinned() and t.tolist() == [0, 0, 0]
last = torch.empty(2, 3, 4, 5, memory_format=torch.channels_last, pin_memory=True)
assert last.is_pinned() and last.is_contiguous(memory_format=torch.channels_last)
w = torch.zeros(2, requires_grad=True, pin_memory=True)
assert w.requires_grad and w.is_leaf and w.is_pinned()
for call in (lambda: torch.zeros(2, device="cuda", pin_memory=True),
             lambda: torch.sparse_coo_tensor([[0]], [1.0], (2,), pin_memory=True)):
    try:
        call()
        raise SystemExit("not refused")
    except RuntimeError as error:
        assert "Only dense CPU tensors can be pinned" in str(error), error
with torch.autograd.graph.save_on_cpu(pin_memory=True):
    a = torch.ones(3, device="cuda", requires_grad=True)
    (a * a).sum().backward()
assert a.grad.tolist() == [2, 2, 2]
print("pinned")
"""


@needs_compiler
def test_factories_pin_what_they_make() -> None:
    assert strictly("-c", PINNED) == "pinned\n"


@pytest.mark.skipif(not cuda_problem(), reason="this machine has a CUDA device")
def test_there_is_no_pinned_memory_without_a_device() -> None:
    for call in (torch.zeros, torch.rand, torch.empty):
        with pytest.raises(RuntimeError, match="pin_memory=True requires a CUDA"):
            call(2, pin_memory=True)
    with pytest.raises(RuntimeError, match="pin_memory=True requires a CUDA"):
        torch.tensor([1], pin_memory=True)


def test_the_fake_device_has_it_too() -> None:
    code = "import framework as t; print(t.ones(2, 3, pin_memory=True).t().is_pinned())"
    root = Path(__file__).parents[3]
    env = {"PATH": "", "PYTHONPATH": str(root), "TAPEBOOK_FAKE_CUDA": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr
