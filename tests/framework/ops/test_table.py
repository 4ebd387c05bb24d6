"""Every op of the table: gradients of first and second order, its trace, its dtypes.

Gradients are compared in float64 with central differences along a random direction, for a random
cotangent: <v, J u> from the function against <J^T v, u> from the rules.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from sampling import Sampler

import framework as torch
from framework.autograd import grad
from framework.core.dispatch import apply
from framework.core.registry import OPS
from framework.tensor import Tensor, wrap

CASES = [
    pytest.param(name, i, id=f"{name}-{i}")
    for name, op in sorted(OPS.items())
    if op.samples is not None
    for i in range(len(op.samples(Sampler(0))))
]


def sample(name: str, i: int) -> tuple[tuple, dict]:
    return OPS[name].samples(Sampler(crc32(name.encode()) % 1000 + i))[i]


def differentiable(name: str, i: int) -> bool:
    """Ops that read one triangle of a symmetric matrix have samples that want no gradient."""
    wanted = any(isinstance(a, Tensor) and a.requires_grad for a in sample(name, i)[0])
    return wanted and OPS[name].grad is not None


DIFFERENTIABLE = [c for c in CASES if differentiable(*c.values)]


def as_leaf(a):
    """Samples may be the result of arithmetic on random tensors; the check wants leaves."""
    if isinstance(a, Tensor) and a.requires_grad:
        return wrap(a._data.copy()).requires_grad_()
    return a


def outputs_of(out) -> list[Tensor]:
    return [o for o in (out if isinstance(out, tuple) else (out,)) if o.is_floating_point()]


def check_gradient(function, inputs: list[Tensor], rng, tolerance: float = 2e-6) -> None:
    """``function(*inputs)`` returns a list of tensors."""
    outs = function(*inputs)
    cotangents = [wrap(np.asarray(rng.standard_normal(o._data.shape))) for o in outs]
    grads = grad(outs, inputs, cotangents, allow_unused=True)
    eps = 1e-6
    for k, x in enumerate(inputs):
        direction = rng.standard_normal(x._data.shape)
        moved = []
        for sign in (1, -1):
            y = wrap(np.asarray(x._data + sign * eps * direction)).requires_grad_()
            moved.append(function(*[y if j == k else t for j, t in enumerate(inputs)]))
        numeric = sum(
            float(((p._data - m._data) / (2 * eps) * v._data).sum())
            for p, m, v in zip(*moved, cotangents)
        )
        analytic = 0.0 if grads[k] is None else float((grads[k]._data * direction).sum())
        assert analytic == pytest.approx(numeric, rel=tolerance, abs=tolerance * 10), f"input {k}"


@pytest.mark.parametrize("name, i", DIFFERENTIABLE)
def test_gradient(name: str, i: int) -> None:
    args, meta = sample(name, i)
    args = tuple(as_leaf(a) for a in args)
    at = [k for k, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]

    def function(*inputs):
        full = list(args)
        for k, x in zip(at, inputs):
            full[k] = x
        torch.manual_seed(0)
        return outputs_of(apply(OPS[name], *full, **meta))

    check_gradient(function, [args[k] for k in at], np.random.default_rng(1))


@pytest.mark.parametrize("name, i", DIFFERENTIABLE)
def test_second_gradient(name: str, i: int) -> None:
    args, meta = sample(name, i)
    args = tuple(as_leaf(a) for a in args)
    at = [k for k, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
    rng = np.random.default_rng(2)
    cotangents: list[Tensor] = []

    def gradient(*inputs):
        full = list(args)
        for k, x in zip(at, inputs):
            full[k] = x
        torch.manual_seed(0)
        outs = outputs_of(apply(OPS[name], *full, **meta))
        if not cotangents:
            cotangents.extend(wrap(np.asarray(rng.standard_normal(o._data.shape))) for o in outs)
        # Squares, so that the gradient depends on every input that the op depends on. An input
        # without a gradient counts as zero: a rule that loses its history must not be left out.
        squares = [o * o for o in outs]
        found = grad(squares, inputs, cotangents, create_graph=True, allow_unused=True)
        zero = sum((x * 0.0).sum() for x in inputs)
        return [zero + (x * 0.0 if g is None else g) for g, x in zip(found, inputs)]

    check_gradient(gradient, [args[k] for k in at], rng, tolerance=2e-5)


@pytest.mark.parametrize("name, i", CASES)
def test_trace_is_balanced_and_changes_nothing(name: str, i: int) -> None:
    from framework.trace import recording

    args, meta = sample(name, i)
    torch.manual_seed(0)
    plain = apply(OPS[name], *args, **meta)
    torch.manual_seed(0)
    with recording() as tape:
        traced = apply(OPS[name], *args, **meta)
    for p, t in zip(*[o if isinstance(o, tuple) else (o,) for o in (plain, traced)]):
        np.testing.assert_array_equal(p._data, t._data)
    events = tape.read()
    ops = [e for e in events if type(e).__name__ == "Op" and e.name == name]
    assert len(ops) == 1 and not ops[0].error
    assert [e.seq for e in events] == list(range(1, len(events) + 1))


@pytest.mark.parametrize("name", sorted({c.values[0] for c in CASES}))
def test_trace_is_balanced_when_the_op_raises(name: str, monkeypatch) -> None:
    from framework.trace import recording

    def broken(*arrays, **meta):
        raise ValueError("broken on purpose")

    args, meta = sample(name, 0)
    monkeypatch.setattr(OPS[name], "kernel", broken)
    with recording() as tape, pytest.raises(RuntimeError, match="broken on purpose"):
        apply(OPS[name], *args, **meta)
    failed = [e for e in tape.read() if type(e).__name__ == "Op"]
    assert [e.name for e in failed] == [name] and "broken on purpose" in failed[0].error


@pytest.mark.parametrize("own", [[], ["--own"]], ids=["plain", "own"])
def test_every_op_on_the_fake_cuda_device(own: list[str]) -> None:
    """With plain kernels; with those of our own, compiled for the host, where there are any."""
    if own and shutil.which("g++") is None:
        pytest.skip("g++ is not here")
    script = Path(__file__).with_name("fake_cuda_run.py")
    run = subprocess.run(
        [sys.executable, str(script), *own],
        env={**os.environ, "TAPEBOOK_FAKE_CUDA": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("name, i", CASES)
def test_float32_stays_float32(name: str, i: int) -> None:
    args, meta = sample(name, i)
    narrow = [
        a.detach().to(torch.float32) if isinstance(a, Tensor) and a.is_floating_point() else a
        for a in args
    ]
    if "dtype" in meta:
        pytest.skip("the op's keyword is the dtype")
    wide = apply(OPS[name], *args, **meta)
    torch.manual_seed(0)
    outs = apply(OPS[name], *narrow, **meta)
    pairs = zip(*[o if isinstance(o, tuple) else (o,) for o in (wide, outs)])
    for w, o in pairs:
        narrowed = {torch.float64: torch.float32, torch.complex128: torch.complex64}
        assert o.dtype is narrowed.get(w.dtype, w.dtype)
