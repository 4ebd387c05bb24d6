"""What is told of a device's memory, and the error when it does not suffice, on the stand-in."""

from __future__ import annotations

import pytest
from hosted import COMPILER
from test_strict_device import strictly

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="g++ is not here")

PEAKS = """
import gc, threading
import cupy
import framework as torch
cuda = torch.cuda
KB = 1 << 10
def now():
    return cuda.memory_allocated(), cuda.max_memory_allocated()
def stats(*keys):
    found = cuda.memory_stats()
    return tuple(found[k] for k in keys)
assert now() == (0, 0) and cuda.memory_reserved() == 0
x = torch.zeros(KB, device="cuda")  # 4 KB
small = torch.zeros(3, device="cuda")  # half a KB, as PyTorch rounds
assert now() == (4 * KB + 512, 4 * KB + 512)
# What comes and goes between two calls is in the peak: nobody has to look at that moment.
y = ((x + 1) * 2 + 3).sum()
assert now() == (5 * KB, 12 * KB + 512), now()
assert cuda.max_memory_reserved() == cuda.memory_reserved() == 12 * KB + 512
cuda.reset_peak_memory_stats()
assert now() == (5 * KB, 5 * KB) and cuda.max_memory_reserved() == cuda.memory_reserved()
cuda.empty_cache()
assert cuda.memory_reserved() < 12 * KB + 512 == cuda.max_memory_reserved()
# Given back by another thread, and by the garbage collector.
def drop(held):
    held.pop()
held = [torch.zeros(KB, device="cuda")]
worker = threading.Thread(target=drop, args=(held,))
worker.start(); worker.join()
class Ring: pass
ring = Ring(); ring.ring, ring.x = ring, torch.zeros(KB, device="cuda")
assert now() == (9 * KB, 9 * KB)
del ring; gc.collect()
assert now() == (5 * KB, 9 * KB)
def make():
    kept.append(torch.zeros(8 * KB, device="cuda"))
kept = []
worker = threading.Thread(target=make)  # hooks of CuPy's would not see it
worker.start(); worker.join()
assert now() == (37 * KB, 37 * KB)
kept.clear()
# Sums, and what is said of them.
allocated, freed = stats("allocated_bytes.all.allocated", "allocated_bytes.all.freed")
assert allocated - freed == 5 * KB and cuda.memory_stats()["allocation.all.allocated"] >= 8
cuda.reset_accumulated_memory_stats()
z = x + 1
assert stats("allocated_bytes.all.allocated", "allocated_bytes.all.freed",
             "allocation.all.allocated", "num_ooms") == (4 * KB, 0, 1, 0)
del z
assert cuda.memory_stats()["allocated_bytes.all.freed"] == 4 * KB
big = torch.zeros(1 << 20, device="cuda")
lines = cuda.memory_summary().splitlines()
assert lines[2].split() == ["allocated", "4.0", "MiB", "4.0", "MiB"], lines
assert lines[4].startswith("allocated in all 4.0 MiB, of which 0.0 MiB were given back; out of ")
del big
# Each device by itself; the views of an array take nothing.
with cupy.cuda.Device(1):
    other = cupy.zeros(KB, cupy.float32)
    part = other[3:]
from framework.kernels import allocations
assert allocations.counts(1).most == 4 * KB and cuda.memory_allocated() == 5 * KB
# A pool of the program's own is counted from then on; an allocator without one is not.
own = cupy.cuda.MemoryPool()
cupy.cuda.set_allocator(own.malloc)
assert now() == (0, 0)
z = torch.zeros(2 * KB, device="cuda")
z = z + 1
assert now() == (8 * KB, 16 * KB) and own.used_bytes() == 8 * KB
cupy.cuda.set_allocator(None)
z = z + 1
assert cuda.memory_allocated() == 5 * KB  # CuPy's default pool's
with cupy.cuda.using_allocator(own.malloc):
    z = z + 1
    assert cuda.memory_allocated() == 8 * KB
"""


@needs_compiler
def test_peaks_and_sums_are_exact() -> None:
    strictly("-c", PEAKS)


SHARED = """
import cupy
import framework as torch
cuda, KB = torch.cuda, 1 << 10
side, third = cuda.Stream(), cuda.Stream()
cupy.cuda.Event.LATE = 2  # an event is done when it is asked for the third time
x = torch.zeros(KB, device="cuda")
part = x[3:]
part.record_stream(side)
x.record_stream(side)
def used():
    y = torch.zeros(KB, device="cuda")  # what is held is looked at
    return cuda.memory_allocated() // KB - 4
assert used() == 4
del x
assert used() == 4  # it is still a tensor's
del part
assert used() == 4  # nobody has it, but the stream may be at it: asked once
assert used() == 4  # asked a second time
assert used() == 0 and cuda.memory_allocated() == 0  # done
# Two streams; without room one is waited for.
x = torch.zeros(KB, device="cuda")
x.record_stream(side); x.record_stream(third)
cupy.cuda.Event.LATE = 1 << 20
del x
assert used() == 4 and cuda.memory_allocated() == 4 * KB
from cupy import pools
cuda.empty_cache()
x = torch.zeros(KB, device="cuda")
x.record_stream(side)
y = torch.zeros(KB, device="cuda")
del x
z = torch.zeros(KB, device="cuda")
assert cuda.memory_allocated() == 12 * KB
pools.SIZE = cuda.memory_reserved()
w = torch.zeros(KB, device="cuda")
assert cuda.memory_allocated() == 12 * KB and cuda.memory_stats()["num_ooms"] == 0
"""


@needs_compiler
def test_memory_that_another_stream_works_with_is_not_given_away() -> None:
    strictly("-c", SHARED)


RETRIED = """
import cupy
from cupy import pools
import framework as torch
cuda, KB = torch.cuda, 1 << 10
def make(kilobytes):
    return torch.zeros(kilobytes * 256, device="cuda")
def stats():
    found = cuda.memory_stats()
    return found["num_alloc_retries"], found["num_ooms"]
x, unused = make(8), make(4)
del unused
assert stats() == (0, 0) and cuda.memory_reserved() == 12 * KB
pools.SIZE = 16 * KB
y = make(4)  # the block that is free
del y
assert stats() == (0, 0)
y = make(8)  # which is in the way of this: the pool gives it back and tries again
assert stats() == (1, 0) and cuda.memory_reserved() == 16 * KB
try:
    make(4)
except cuda.OutOfMemoryError:
    assert stats() == (2, 1)
else:
    raise AssertionError("there is no room")
del y
cuda.empty_cache()  # what a program gives back itself is no retry
assert cuda.memory_reserved() == 8 * KB
y = make(4)
assert stats() == (2, 1) and cuda.memory_reserved() == 12 * KB
side = cuda.Stream()
cupy.cuda.Event.LATE = 1 << 20
y.record_stream(side)
del y
y = make(8)  # memory of another stream is waited for, then given back
assert stats() == (3, 1) and cuda.memory_reserved() == 16 * KB
cuda.reset_accumulated_memory_stats()
assert stats() == (0, 0)
cupy.cuda.set_allocator(cupy.cuda.MemoryPool().malloc)  # of the program's own
pools.SIZE = 80 << 30
z = make(4), make(8)
assert stats() == (0, 0)
"""


@needs_compiler
def test_a_retry_is_counted() -> None:
    strictly("-c", RETRIED)


FULL = """
import gc
import cupy
from cupy import pools
import framework as torch
from framework import nn
from framework.core.registry import OPS
from framework.trace.trial import trial
cuda, KB = torch.cuda, 1 << 10

def refused(what, shape, room, call):
    # The device has so many bytes more than what is in use.
    gc.collect(); cuda.empty_cache()
    before = cuda.memory_stats()["num_ooms"]
    pools.SIZE = cuda.memory_reserved() + room
    said = ""
    try:
        call()
    except cuda.OutOfMemoryError as error:
        said = str(error)
    finally:
        pools.SIZE = 80 << 30
    start = f"{what}: CUDA out of memory on cuda:0. Out of memory allocating "
    assert said.startswith(start), (what, said)
    assert " bytes). The pool holds " in said and " are in use; the device has " in said, said
    assert "What is unused is given back by torch.cuda.empty_cache()." in said, said
    assert shape in said and "at <string>, line " in said or what not in OPS, said
    assert cuda.current_device() == 0 == cupy.cuda.get_device_id()
    assert cuda.memory_stats()["num_ooms"] == before + 1

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.BatchNorm1d(64), nn.Linear(64, 64)).cuda()
x = torch.randn(512, 64, device="cuda")  # 128 KB
def loss():
    return model(x).square().mean()
expected = loss().item()

refused("linear", "(shapes [512, 64] and [64, 64] and [64])", 100 * KB, loss)
refused("relu", "(shapes [512, 64])", 150 * KB, loss)
assert loss().item() == expected and cuda.memory_allocated() < 200 * KB

# Tensors that are made there; what says how large they were to be.
refused("zeros", "(shape [500, 500])", KB, lambda: torch.zeros(500, 500, device="cuda"))
refused("randn", "(shape [500, 500])", KB, lambda: torch.randn(500, 500, device="cuda"))
refused("full", "(shape [9999])", KB, lambda: torch.full((9999,), 2.0, device="cuda"))

# Backward: the start, a rule's op, and a copy of the engine's own.
for room, what, shape in ((0, "backward", "(shape [])"), (100 * KB, "mul", "[512, 64]")):
    value = loss()
    refused(what, shape, room, value.backward)
    assert all(p.grad is None for p in model.parameters())
loss().backward()
w = torch.randn(512, 512, device="cuda", requires_grad=True)
w.grad = torch.zeros(512, 512, device="cuda")
y = w * w  # what is kept of y's gradient is a megabyte, and so are both of w's
y.retain_grad()
refused("backward", "", 1100 * KB, lambda: y.backward(torch.ones_like(w)))
assert not w.grad.any()

# An optimizer: what had no state has none that is half made.
for make in (torch.optim.Adam, torch.optim.Adagrad, torch.optim.SGD):
    more = {"momentum": 0.9} if make is torch.optim.SGD else {}
    optimizer = make([w], lr=0.1, **more)
    w.grad = torch.ones_like(w)
    was = w.detach().clone()
    refused(f"{make.__name__}.step", "[512, 512]", 500 * KB, optimizer.step)
    optimizer.step()
    assert ((w - was).abs() > 0.05).all(), make
    del was

# A run that is looked at, and leaves nothing behind.
before = {k: v.clone() for k, v in model.state_dict().items()}
gradients = [p.grad for p in model.parameters()]
refused("matmul", "[512, 64]", 450 * KB, lambda: trial(model, (x,), {}))
assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
assert all(p.grad is g for p, g in zip(model.parameters(), gradients))
loss().backward()
"""


@needs_compiler
def test_what_does_not_fit_is_named_and_the_process_goes_on() -> None:
    strictly("-c", FULL)
