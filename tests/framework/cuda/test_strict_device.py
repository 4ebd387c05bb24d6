"""The way to a real GPU, without one: CuPy's strictness by a stand-in (`stand_in`).

The fake device computes with NumPy's arrays, which take what CuPy refuses. Here ``cupy`` is a
module whose arrays are no NumPy arrays, and kernels of our own are compiled as C++.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hosted import COMPILER

from framework.core.registry import OPS
from framework.kernels.cuda.table import KERNELS, ON_HOST

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def strictly(*words: str, cupy: str = "14.2.0") -> str:
    """What a program says that has the stand-in for CuPy, of this version."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("TAPEBOOK_", "PYTEST_"))}
    env["STAND_IN_CUPY"] = cupy
    env["PYTHONPATH"] = f"{HERE / 'stand_in'}:{HERE}:{ROOT}"
    done = subprocess.run([sys.executable, *words], cwd=ROOT, env=env, capture_output=True,
                          text=True)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


needs_compiler = pytest.mark.skipif(COMPILER is None, reason="g++ is not here")


@needs_compiler
def test_the_op_table() -> None:
    said = strictly("tests/framework/ops/fake_cuda_run.py", "--device")
    assert "agree on the a stand-in for a GPU" in said


@needs_compiler
@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_the_op_table_in_halves(kind: str) -> None:
    said = strictly("tests/framework/ops/fake_cuda_run.py", "--device", f"--kind={kind}")
    assert "agree on the a stand-in for a GPU" in said


@needs_compiler
def test_every_docstring_runs_there() -> None:
    strictly("tests/framework/cuda/docstrings_run.py")


@needs_compiler
def test_modules_by_the_command_for_a_gpu() -> None:
    said = strictly("-m", "tests.cuda", "modules")
    assert said.startswith("a stand-in for a GPU, capability 9.0, CuPy 14.2.0, driver for CUDA")
    assert "-- modules\nmodules: " in said


ON_DEVICE = """
import os, sys, pytest
os.environ["TAPEBOOK_TEST_GPU"] = "1"
sys.exit(pytest.main([
    "-q", "-p", "no:cacheprovider", "tests/framework/cuda/test_kernel_arithmetic.py",
    "tests/framework/cuda/test_kernel_arithmetic_more.py",
    "tests/framework/cuda/test_kernel_convolutions.py",
    "-k", "as_the_input or channels_and_orders or channels_last or many_parameters or empty"]))
"""


@needs_compiler
def test_kernels_are_compared_on_a_device() -> None:
    said = strictly("-c", ON_DEVICE)
    assert said.startswith("." * 8) and "s" not in said and "100%" in said


@needs_compiler
def test_an_example() -> None:  # one that takes seconds; `tests.cuda` has the others
    code = "import sys; from tests.cuda import examples; sys.exit(examples.main(('nan_hunt',)))"
    strictly("-c", code)


def test_what_runs_on_the_host_is_there() -> None:
    assert set(OPS) >= ON_HOST  # of those with a kernel: what it is not for
    assert {KERNELS[name] for name in ON_HOST & set(KERNELS)} == {"scans"}


SCANS = """
import cupy
import framework as torch
x = torch.randn(3, 700, device="cuda", requires_grad=True)
whole = torch.randint(0, 9, (3, 700), device="cuda")
m = (torch.randn(2, 5, 5) * 3).cuda().requires_grad_()
lengths = torch.tensor([300, 0, 400])
def run(call, wanted=None):
    cupy.counts.reset()
    found = call()
    if wanted is not None:
        (found if isinstance(found, torch.Tensor) else found.values).sum().backward()
        assert wanted.grad.device.type == "cuda"
        wanted.grad = None
    return cupy.counts.fetched
for dim in (0, 1):
    for call in (torch.cummax, torch.cummin, torch.logcumsumexp):
        assert run(lambda: call(x, dim), x) == 0, call
    for call in (torch.cummax, torch.cummin, torch.mode):
        assert run(lambda: call(whole, dim)) == 0, call
    for call in (torch.mode, torch.max, torch.min, torch.sort, torch.median):
        assert run(lambda: call(x, dim), x) == 0, call
    assert run(lambda: x.topk(3, dim), x) == 0
    assert run(lambda: torch.hash_tensor(whole, dim)) == 0
for reduce in ("sum", "mean", "max"):
    call = lambda: torch.segment_reduce(x.T, reduce, lengths=lengths.cuda(), unsafe=True)
    assert run(call) == 0 and run(call, x) <= 64, reduce  # its gradient gathers
picks = torch.randint(0, 3, (2, 700), device="cuda")
assert run(lambda: x.gather(0, picks)) == run(lambda: x.gather(0, picks), x) == 16  # once
assert run(lambda: torch.linalg.matrix_exp(m)) <= 8  # how often it is squared
z = torch.randn(3, 4, dtype=torch.complex64, device="cuda")
assert torch.equal(torch.logcumsumexp(z, 0).cpu(), torch.logcumsumexp(z.cpu(), 0))
"""


@needs_compiler
def test_scans_fetch_nothing() -> None:
    strictly("-c", SCANS)


SIZES = """
import cupy
import framework as torch
x, p = torch.randn(6, 9), torch.rand(4, 300)
times = torch.tensor([2, 0, 1, 3, 1, 2])
index, src = torch.randint(0, 6, (40, 9)), torch.randn(40, 9)
images, numbers = torch.randn(2, 3, 8, 8), torch.rand(2, 3, 2)
def same(call, fetched):
    there = [t.cuda() for t in (x, p, times, index, src, images, numbers)]
    cupy.counts.reset()
    torch.manual_seed(3)
    found = call(*there)
    assert cupy.counts.fetched == fetched, cupy.counts.fetched
    assert found.device.type == "cuda"
    torch.manual_seed(3)
    torch.testing.assert_close(found.cpu(), call(x, p, times, index, src, images, numbers))
same(lambda x, *_: x.repeat_interleave(3, 0), 0)
same(lambda x, *_: x.repeat_interleave(2, 1, output_size=18), 0)
same(lambda x, p, times, *_: x.repeat_interleave(times, 0, output_size=9), 0)
same(lambda x, p, times, *_: torch.repeat_interleave(times, output_size=9), 0)
for replacement in (False, True):
    same(lambda x, p, *_: p.multinomial(7, replacement), 1)
for again in (False, True):
    same(lambda x, p, times, index, src, *_: x.scatter_reduce(
        0, index, src, "prod", include_self=again), 16 if again else 32)
same(lambda *a: torch.nn.functional.fractional_max_pool2d(
    a[5], 3, 4, _random_samples=a[6]), 0)
"""


@needs_compiler
def test_sizes_and_draws_are_found_on_the_device() -> None:
    strictly("-c", SIZES)


NUMBERS = """
import numpy as np
import framework as torch
for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.bool,
              torch.complex64):
    x = torch.ones(3, device="cuda").to(dtype)
    for found in (x + 1, 1 + x, x * 2.5, 2 / x, x == 1, x + True, torch.where(x == 1, x, 0),
                  torch.tensor(2.0) * x, x.clone().logical_not_()):
        assert found.device.type == "cuda" and type(found._data).__module__ == "cupy"
        assert torch.equal(found.cpu(), found.cpu())
"""


def test_numbers_beside_arrays() -> None:
    strictly("-c", NUMBERS)


LAUNCHES = """
import cupy
import framework as torch
from framework.kernels import cuda
from framework.kernels.cuda.softmax import softmax
x = torch.randn(4, 8, device="cuda")
y = torch.softmax(x, -1)
key, real = next(i for i in cuda._functions.items() if i[0][0] == "softmax")
places = []
def launched(*arguments):
    places.append(cupy.cuda.get_device_id())
    real(*arguments)
cuda._functions[key] = launched
for current in (0, 1):  # the launch is where the array is, whatever device is the current one
    with cupy.cuda.Device(current):
        found = softmax(x._data, dim=-1)
        assert found.device.id == 0 and (found.get() == y._data.get()).all()
        assert cupy.cuda.get_device_id() == current
assert places == [0, 0]
class Asked(cupy.ndarray):  # NumPy is not asked what CuPy has
    def __array_ufunc__(self, *arguments, **options):
        raise AssertionError(arguments)
cupy.ndarray.__array_ufunc__ = Asked.__array_ufunc__
a = torch.ones(3, device="cuda")
assert (a + a * 2 - torch.tensor(1.0) == 2).all() and (1 / (a + 1)).exp().isfinite().all()
assert (a.half() * 2.5 + 1).dtype == torch.half and (a.bfloat16() + 1).dtype == torch.bfloat16
"""


@needs_compiler
def test_launches_and_functions_take_the_short_way() -> None:
    strictly("-c", LAUNCHES)


PLACES = """
import cupy
import numpy as np
import framework as torch
from framework.kernels.places import add_at, combine_at
rng = np.random.default_rng(0)
real = cupy.ufunc.at
def run(device, kind, deterministic):
    rng = np.random.default_rng(1)
    make = lambda *s: torch.from_numpy(rng.integers(0, 2 if kind is torch.bool else 9, s)).to(kind)
    found = []
    for index in ((torch.tensor([0, 2, 2, 0, 1]),), (slice(None), torch.tensor([1, 1, 0])),
                  (torch.tensor([[0], [1], [1]]), torch.tensor([[2, 2, 0, 2]]))):
        target = make(3, 4)
        values = make(*np.zeros((3, 4))[tuple(i.numpy() if i is not None and not isinstance(
            i, slice) else i for i in index)].shape)
        t, v = target.to(device), values.to(device)
        at = tuple(i if isinstance(i, slice) else i.to(device)._data for i in index)
        sums = t.clone()
        add_at(sums._data, at, v._data)
        found.append(sums.cpu())
        if not kind.is_complex and kind is not torch.bool:
            for name in ("maximum", "minimum"):
                best = t.clone()
                combine_at(name, best._data, at, v._data)
                found.append(best.cpu())
    return found
def forbidden(self, a, *rest):
    assert self.name != "add" or a.dtype.kind != "f", "a sum in whatever order"
    return real(self, a, *rest)
for kind in (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int8,
             torch.uint8, torch.bool, torch.complex64, torch.complex128):
    for deterministic in (False, True):
        torch.use_deterministic_algorithms(deterministic)
        cupy.ufunc.at = forbidden if deterministic else real
        for a, b in zip(run("cpu", kind, False), run("cuda", kind, deterministic)):
            assert a.dtype == b.dtype and torch.equal(a, b), (kind, a, b)
x = torch.from_numpy(rng.standard_normal(500).astype(np.float32))
where = torch.from_numpy(rng.integers(0, 3, 500))
sums = [torch.zeros(3, 1, device=d).index_put_((where.to(d), torch.zeros(500, dtype=torch.int64,
        device=d)), x.to(d), accumulate=True).cpu() for d in ("cpu", "cuda")]
assert torch.equal(*sums), sums  # to the bit
"""


@needs_compiler
def test_places_that_are_named_twice() -> None:
    strictly("-c", PLACES)


CREATED = """
import cupy
import framework as torch
def drawn(device):
    torch.manual_seed(3)
    found = []
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
        for n in (1, 7, 4099):
            kind = {"dtype": dtype, "device": device}
            found += [torch.rand(n, **kind), torch.randint(9, (n,), device=device)]
            found += [torch.zeros(n, **kind), torch.randperm(n, device=device)]
            found += [torch.full((n,), 0.3, **kind)]
            normal = torch.randn(n, **kind)
            assert normal.device.type == device
    return found + [torch.rand(3, dtype=torch.complex64, device=device)]
plain = drawn("cpu")
cupy.counts.reset()
there = drawn("cuda")
assert cupy.counts.fetched == 0 and cupy.counts.sent == 24, (cupy.counts.fetched, cupy.counts.sent)
assert all(torch.equal(a, b.cpu()) for a, b in zip(plain, there))
from framework.trace import recording
with recording() as tape:
    x = torch.rand(3, device="cuda")
    y = torch.zeros(3, device="cuda")
made = tape.read()
assert [(e.name, e.outputs[0].device, e.meta["target"]) for e in made] == [
    ("rand", "cuda:0", "cuda:0"), ("zeros", "cuda:0", "cuda:0")], made
"""


@needs_compiler
def test_tensors_made_on_the_device_come_from_there() -> None:
    strictly("-c", CREATED)


SCALED = """
import cupy
import numpy as np
import framework as torch
def trained(device, waits=None):
    rng = np.random.default_rng(0)
    params = [torch.from_numpy(rng.standard_normal(s).astype(k)).to(device).requires_grad_()
              for s, k in (((3, 4), "f4"), ((20000,), "f4"), ((7,), "f8"), ((5, 3), "f4"))]
    optimizer = torch.optim.SGD(params, 0.1)
    scaler = torch.amp.GradScaler(device, init_scale=4.0, growth_interval=2)
    said = []
    for step in range(6):
        optimizer.zero_grad()
        loss = sum((p * p).sum() * (float("inf") if step == 3 and p.ndim == 2 else 1.0)
                   for p in params[:3]) + (params[3].t() ** 2).sum()
        scaler.scale(loss).backward()
        params[3].grad = params[3].grad.t().contiguous().t()
        cupy.counts.reset()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        before = scaler._scale
        scaler.update()
        if waits is not None:
            waits.append(cupy.counts.waits)
        said.append((scaler.get_scale(), scaler._get_growth_tracker()))
    return said, [p.detach().cpu() for p in params]
waits = []
plain, there = trained("cpu"), trained("cuda", waits)
assert plain[0] == there[0] == [(4.0, 1), (8.0, 0), (8.0, 1), (4.0, 0), (4.0, 1), (8.0, 0)], there
assert all(torch.equal(a, b) for a, b in zip(plain[1], there[1]))
assert max(waits) <= 2 and waits.count(1) >= 4, waits  # more where the scale grows: it is looked at
"""


@needs_compiler
def test_a_scaler_waits_once_per_step() -> None:
    strictly("-c", SCALED)


WAITED_FOR = """
import cupy
from benchmarks import workloads
import framework as torch
workloads.place = "cuda"
found = {}
for make in (workloads.mlp, workloads.vae, workloads.gpt, workloads.graph_convolution):
    with torch.device("cuda"):
        step = make()
    step()
    cupy.counts.reset()
    step()
    found[make.__name__] = cupy.counts.waits
# A wait for each loss and each lookup: whether targets and rows are there is asked.
assert found["mlp"] == 1 and found["vae"] == 0 and found["gpt"] == 2, found
assert found["graph_convolution"] <= 9, found
for dims, size, out in ((2, (8, 8), 1), (2, (8, 6), (4, 3)), (1, (8,), 4), (3, (4, 4, 4), 2)):
    pool = getattr(torch.nn.functional, f"adaptive_avg_pool{dims}d")
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    both = []
    for device in "cpu", "cuda":
        a = x.to(device).detach().requires_grad_()
        cupy.counts.reset()
        y = pool(a, out)
        weights = torch.arange(float(y.numel()), device=device, dtype=torch.float64).view(y.shape)
        y.backward(weights)
        assert cupy.counts.waits == 0
        both.append((y.detach().cpu(), a.grad.cpu()))
    assert all(torch.allclose(p, q) for p, q in zip(*both))
"""


@needs_compiler
def test_how_often_a_step_waits_for_the_device() -> None:
    strictly("-c", WAITED_FOR)
