"""Convolutions by cuDNN where its front end is there: on a stand-in that is as strict (no GPU)."""

from __future__ import annotations

from pathlib import Path

from test_strict_device import needs_compiler, strictly

HERE = Path(__file__).parent
BEFORE = f"import sys; sys.path.insert(0, {str(HERE / 'stand_in_cudnn')!r})\n"

CONVOLVED = """
import cudnn
import cupy
import numpy as np
import framework as torch
from framework.kernels.cuda import cudnn as ours
F = torch.nn.functional
assert torch.backends.cudnn.is_available() and torch.backends.cudnn.version() == 92800
assert torch.backends.cudnn.is_acceptable(torch.ones(1, device="cuda"))
assert not torch.backends.cudnn.is_acceptable(torch.ones(1))
rng = np.random.default_rng(0)
def run(device, kind, dims, groups, turned, last, bias):
    rng = np.random.default_rng(1)
    shape = {1: (9,), 2: (8, 7), 3: (5, 4, 6)}[dims]
    windows = (8, 4 // groups, *(3, 2, 3)[:dims])
    if turned:
        windows = (4, 8 // groups, *(3, 2, 3)[:dims])
    x, w = (torch.from_numpy(rng.standard_normal(s)).to(kind) for s in ((2, 4, *shape), windows))
    b = torch.from_numpy(rng.standard_normal(8)).to(kind) if bias else None
    if last:
        form = torch.channels_last if dims == 2 else torch.channels_last_3d
        x = x.to(memory_format=form)
    given = [t.to(device).requires_grad_() for t in (x, w, b) if t is not None]
    name = f"conv_transpose{dims}d" if turned else f"conv{dims}d"
    y = getattr(F, name)(*given, stride=2, padding=1, groups=groups)
    g = torch.from_numpy(rng.standard_normal(tuple(y.shape))).to(kind).to(device)
    y.backward(g)
    return [y, *[t.grad for t in given]]
for kind in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
    for dims in (1, 2, 3):
        for groups, turned, last, bias in ((1, 0, 0, 1), (4, 0, 0, 0), (1, 1, 0, 1), (2, 1, 1, 0),
                                           (1, 0, 1, 1)):
            if last and dims == 1:
                continue
            cudnn.executed.clear()
            there = run("cuda", kind, dims, groups, turned, last, bias)
            used = sorted(e for e, *_ in cudnn.executed)
            assert used == ["conv_dgrad", "conv_fprop", "conv_wgrad"], used
            plain = run("cpu", kind, dims, groups, turned, last, bias)
            near = {torch.float64: 1e-10, torch.float32: 1e-4, torch.float16: 1e-2,
                    torch.bfloat16: 6e-2}[kind]
            assert plain[0].stride() == there[0].stride()
            for a, b in zip(plain, there):
                assert a.dtype == b.dtype and b.device.type == "cuda"
                a, b = a.detach().double().numpy(), b.detach().cpu().double().numpy()
                np.testing.assert_allclose(b, a, rtol=near, atol=near * np.abs(a).max())
assert not ours.refused()
x, w = torch.randn(2, 3, 6, 6, device="cuda"), torch.randn(8, 3, 3, 3, device="cuda")
def plan(**flags):
    cudnn.executed.clear()
    with torch.backends.cudnn.flags(**flags):
        F.conv2d(x, w)
    return [index for *_, index in cudnn.executed]
assert plan() == [0], plan()
assert plan(allow_tf32=False) == [2] and plan(deterministic=True) == [1]
assert plan(allow_tf32=False, deterministic=True) == [3]
assert plan(enabled=False) == []
torch.use_deterministic_algorithms(True)
assert plan() == [1]
torch.use_deterministic_algorithms(False)
tried = plan(benchmark=True)
assert set(tried) == {0, 1, 2, 3} and len(tried) == 9, tried  # each twice, then the fastest
again = plan(benchmark=True)
assert len(again) == 1 and again[0] == tried[-1]
assert len(set(plan(benchmark=True, benchmark_limit=2, deterministic=True))) == 2
with torch.cuda.stream(torch.cuda.Stream()):
    cupy.counts.reset()
    assert plan() == [0] and cupy.counts.waits == 0
cudnn.unsupported.add("conv_fprop")
x = torch.randn(2, 3, 7, 7, device="cuda")
assert plan() == [] and "No valid engine configs" in " ".join(ours.refused().values())
with torch.backends.cudnn.flags(allow_tf32=False):
    y = F.conv2d(x, w)  # by a kernel of our own
plain = F.conv2d(x.cpu(), w.cpu())
np.testing.assert_allclose(y.cpu().numpy(), plain.numpy(), rtol=1e-4, atol=1e-4)
print("convolved")
"""


@needs_compiler
def test_convolutions_by_cudnn() -> None:
    assert strictly("-c", BEFORE + CONVOLVED) == "convolved\n"


ABSENT = """
import sys
import framework as torch
from framework.kernels.cuda import cudnn
assert not torch.backends.cudnn.is_available() and torch.backends.cudnn.version() is None
assert "pip install 'tapebook[cudnn]'" in cudnn.problem(), cudnn.problem()
y = torch.nn.Conv2d(3, 8, 3).cuda()(torch.ones(1, 3, 5, 5, device="cuda"))
print(y.device.type)
"""


@needs_compiler
def test_our_own_kernels_without_it() -> None:
    assert strictly("-c", ABSENT) == "cuda\n"


BROKEN = """
import sys, types
sys.modules["cudnn"] = module = types.ModuleType("cudnn")
import framework as torch
from framework.kernels.cuda import cudnn
found = {WHAT}
module.backend_version = found
assert not torch.backends.cudnn.is_available()
print(cudnn.missing())
"""


def test_one_line_says_what_is_wrong() -> None:
    said = strictly("-c", BROKEN.replace("{WHAT}", "lambda: 80905"))
    assert said == "cuDNN 80905 is older than 9.0 (pip install -U nvidia-cudnn-cu12)\n"
    failing = "lambda: (_ for _ in ()).throw(RuntimeError('Unable to find symbol cudnnGetVersion'))"
    said = strictly("-c", BROKEN.replace("{WHAT}", failing))
    assert said == "the front end finds no cuDNN: Unable to find symbol cudnnGetVersion\n"


MODULES = """
from tests.cuda import modules
status = modules.main()
import cudnn
print(len({e for e, *_ in cudnn.executed}))
sys.exit(status)
"""


@needs_compiler
def test_the_module_table_with_cudnn() -> None:
    assert strictly("-c", BEFORE + MODULES).endswith("agree with the CPU\n3\n")
