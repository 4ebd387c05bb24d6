"""The commands for a GPU where there is none: they say so, and their own tests can be rehearsed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hosted import COMPILER
from test_strict_device import strictly

from framework.device import cuda_problem

ROOT = Path(__file__).parents[3]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=env, capture_output=True,
                          text=True)  # fmt: skip


@pytest.mark.skipif(not cuda_problem(), reason="this machine has a CUDA device")
@pytest.mark.parametrize(
    "words", [["tests.cuda"], ["tests.cuda", "--memcheck"], ["benchmarks.cuda", "--quick"]]
)
def test_one_line_says_that_there_is_no_gpu(words: list[str]) -> None:
    done = run("-m", *words)
    assert done.returncode == 3 and done.stdout == ""
    assert done.stderr.startswith(f"{words[0]}: nothing was ") and done.stderr.count("\n") == 1


def test_the_fake_device_is_no_gpu() -> None:
    done = run("-m", "tests.cuda", TAPEBOOK_FAKE_CUDA="1")
    assert done.returncode == 3 and "TAPEBOOK_FAKE_CUDA is set" in done.stderr


def test_an_unknown_part_is_refused() -> None:
    done = run("-m", "tests.cuda", "everything")
    assert done.returncode == 2 and "unknown part 'everything'; choose from" in done.stderr


def test_a_slice_of_the_ops() -> None:
    done = run("-m", "tests.cuda", "ops", "--slice", "7/40", "--rehearse")
    assert done.returncode == 0 and "samples agree" in done.stdout
    assert int(done.stdout.split(" of ")[1].split()[0]) < 200
    done = run("-m", "tests.cuda", "ops", "--slice", "0/4", "--rehearse")
    assert done.returncode == 2 and "--slice: expected two numbers such as 2/4" in done.stderr


SIGNS = """
import sys
import numpy as np
sys.path.insert(0, "tests/framework/ops")
from fake_cuda_run import settled
import framework as torch
a = torch.from_numpy(np.random.default_rng(0).standard_normal((4, 4)))
signs, order = torch.tensor([1.0, -1, -1, 1]).double(), torch.tensor([2, 0, 3, 1])
u, s, vh = torch.linalg.svd(a)
flipped = settled("svd", (u * signs, s, vh * signs[:, None]))
assert all(torch.allclose(x, y) for x, y in zip(settled("svd", (u, s, vh)), flipped))
w, v = torch.linalg.eigh(a @ a.T)
assert all(torch.allclose(x, y) for x, y in zip(settled("eigh", (w, v)),
                                               settled("eigh", (w, v * signs))))
w, v = torch.linalg.eig(a)
turned = settled("eig", (w[order], v[:, order] * torch.exp(1j * signs * 3)))
assert all(torch.allclose(x, y) for x, y in zip(settled("eig", (w, v)), turned))
"""


def test_signs_and_orders_that_libraries_choose_are_no_differences() -> None:
    done = run("-c", SIGNS)
    assert done.returncode == 0, done.stderr


MODULES = """
import sys
from hosted import Host
from framework.kernels import cuda
from tests.cuda import modules
host = Host()
cuda.use(host)
status = modules.main()
print(*sorted(host.launched))
sys.exit(status)
"""


def test_the_module_table_with_kernels_on_the_host() -> None:
    if COMPILER is None:
        pytest.skip("g++ is not here")
    path = f"{ROOT}:{Path(__file__).parent}"
    done = run("-c", MODULES, TAPEBOOK_FAKE_CUDA="1", PYTHONPATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    launched = done.stdout.splitlines()[-1].split()
    assert {"lstm_f32", "gru_backward_f32", "channel_norm_f32", "dropout_f32"} <= set(launched)


LONG = """
import numpy as np
from hosted import Host
import framework as torch
from framework.kernels import cuda
from framework.ops import attention
from framework.trace import recording
host = Host()
cuda.use(host)
attend = torch.nn.functional.scaled_dot_product_attention
rng = np.random.default_rng(0)
data = [rng.standard_normal((2, 3, 12, 8)) for _ in range(4)]
mask = torch.tensor(rng.random((12, 12)) < 0.7)
mask[3] = False
more = mask.double()
for causal, mask, heads in (False, None, 3), (True, None, 1), (False, mask, 1), (False, more, 3):
    found = []
    # A trace that keeps values has the scores, unless they are too large.
    for device, keep, large in (
        ("cpu", "all", 1 << 28), ("cuda", "all", 1 << 28), ("cuda", "all", 0),
        ("cuda", "none", 1 << 28),
    ):
        attention.LARGE = large
        q, k, v, g = (torch.from_numpy(a).to(device) for a in data)
        k, v = k[:, :heads], v[:, :heads]
        turned = [t.transpose(1, 2).contiguous().transpose(1, 2) for t in (q, k, v)]
        inputs = [t.requires_grad_() for t in turned]
        meta = {"attn_mask": None if mask is None else mask.to(device), "enable_gqa": heads < 3}
        with recording(keep=keep) as tape:
            out = attend(*inputs, is_causal=causal, **meta)
        names = [e.name for e in tape.read() if type(e).__name__ == "Op"]
        by_one = device == "cuda" and (keep == "none" or not large)
        assert ("attention" in names) == by_one and ("softmax" in names) != by_one, names
        first = torch.autograd.grad(out, inputs, g, create_graph=True)
        second = torch.autograd.grad(sum((f * f).sum() for f in first), inputs)
        plain = torch.autograd.grad(attend(*inputs, is_causal=causal, **meta), inputs, g)
        found.append([out, *first, *second, *plain])
        assert out.transpose(1, 2).is_contiguous()
    for a, *others in zip(*found):
        for t in others:
            np.testing.assert_allclose(t.detach().cpu().numpy(), a.detach().numpy(), rtol=1e-10,
                                       atol=1e-12)
shapes = [((4, 8), (6, 8)), ((3, 4, 8), (3, 6, 8)), ((2, 1, 3, 4, 8), (2, 1, 3, 6, 8))]
for one, other in shapes:
    q, k = torch.randn(one).to("cuda"), torch.randn(other).to("cuda")
    out = attend(q, k, k)
    assert out.shape == one
    np.testing.assert_allclose(out.cpu().numpy(), attend(q.cpu(), k.cpu(), k.cpu()).numpy(),
                               rtol=1e-5, atol=1e-6)
print(*sorted(host.launched))
"""


def test_long_sequences_keep_no_scores() -> None:
    if COMPILER is None:
        pytest.skip("g++ is not here")
    done = run("-c", LONG, TAPEBOOK_FAKE_CUDA="1", PYTHONPATH=f"{ROOT}:{Path(__file__).parent}")
    assert done.returncode == 0, done.stderr
    assert "attention_for_keys_plain_64_f64" in done.stdout


BENCH = """
import sys
from benchmarks import cuda, workloads
from benchmarks.ops import OPS
chosen = {
    "steps": ("STEPS", workloads, ("small MLP", "graph")),
    "products": ("PRODUCTS", cuda, ("narrow",)),
    "ops": ("OPS", cuda.ops, ("cross_entropy", "embedding", "index_add", "batch_norm", "cat of")),
}
for name, module, words in chosen.values():
    found = getattr(module, name)
    setattr(module, name, {k: v for k, v in found.items() if any(w in k for w in words)})
cuda.bandwidth.__defaults__ = (*cuda.bandwidth.__defaults__[:-1], 1 << 18)
sys.exit(cuda.main(["--quick"]))
"""


@pytest.mark.skipif(COMPILER is None, reason="g++ is not here")
def test_the_benchmarks_run() -> None:
    said = strictly("-c", BENCH)
    assert "a stand-in for a GPU, capability 9.0; driver for CUDA 12080, CuPy 14.2.0" in said
    assert "failed" not in said
    for name in ("small MLP", "a narrow layer", "layer_norm, backward", "AdamW",
                 "index_add 10,000", "batch_norm 32"):  # fmt: skip
        assert name in said


FAILS = """
import sys
from benchmarks import cuda, workloads
def fails(torch):
    raise ValueError("no such step")
workloads.STEPS = {"fails": fails, "small MLP": workloads.mlp}
sys.exit(cuda.main(["steps", "--quick"]) != 1)
"""


@pytest.mark.skipif(COMPILER is None, reason="g++ is not here")
def test_a_benchmark_that_fails_leaves_the_others() -> None:
    said = strictly("-c", FAILS).splitlines()
    assert "failed: ValueError: no such step" in said[-2] and "small MLP" in said[-1]
