"""Products of matrices on a device: what is asked of cuBLAS, and how often."""

from __future__ import annotations

import math

import pytest
from test_strict_device import needs_compiler, strictly

import framework as torch
from framework.kernels.cuda import precision
from framework.kernels.cuda.product_plans import plan


def test_products_are_as_exact_as_their_types() -> None:
    said = strictly("-m", "tests.cuda", "products")
    assert "-- products\nproducts: " in said and "are as exact as their types allow" in said


BEFORE = """
import cupy
import numpy as np
import framework as torch
from cupy_backends.cuda.libs import cublas
F = torch.nn.functional
def asked(call):
    cublas.calls.clear()
    cupy.counts.reset()
    found = call()
    return found, list(cublas.calls), cupy.counts.launches
def drawn(*shape, kind=torch.float32):
    rng = np.random.default_rng([0, *shape])
    return torch.from_numpy(rng.standard_normal(shape)).to(kind).cuda()
"""

LAUNCHES = """
kinds = torch.float16, torch.bfloat16, torch.float32, torch.float64
for kind, code in zip(kinds, (2, 14, 0, 1)):
    x, w = drawn(2, 6, 8, kind=kind), drawn(4, 8, kind=kind)
    assert asked(lambda: w[0].expand(2, 8) @ w.T)[2] == 2  # one row again and again is no matrix
    for call in (lambda: x @ w.T, lambda: x.mT @ x, lambda: x @ x.mT, lambda: x[:, 1:4] @ w.T,
                 lambda: x[..., 1:] @ w[:, 1:].T, lambda: torch.bmm(x, x.mT), lambda: x[0] @ x[1].T,
                 lambda: torch.einsum("bij,kj->bik", x, w), lambda: x @ w[0], lambda: w[:, 0] @ w,
                 lambda: F.linear(x, w)):
        _, calls, launches = asked(call)
        assert launches == 1 and [c.type for c in calls] == [code], (kind, calls, launches)
        assert calls[0].compute == (70 if kind is torch.float64 else 68) and calls[0].beta == 0
    folded = asked(lambda: x @ w.T)[1][0]
    assert (folded.name, folded.flags) == ("gemmEx", (1, 0, 4, 12, 8)), folded
    b = drawn(4, kind=kind)
    _, calls, launches = asked(lambda: F.linear(x, w, b))
    assert launches == 2 and [c.beta for c in calls] == [1], (calls, launches)

# A layer, forwards and backwards: product and bias; gradients of input, weight and bias.
x, layer = drawn(2, 6, 8).requires_grad_(), torch.nn.Linear(8, 4, device="cuda")
out, calls, launches = asked(lambda: layer(x))
assert len(calls) == 1 and launches == 2, (calls, launches)
g = drawn(2, 6, 4)
_, calls, launches = asked(lambda: out.backward(g))
assert len(calls) == 2 and launches == 3, (calls, launches)
assert [c.flags[:2] for c in calls] == [(0, 0), (0, 1)], calls
print("one launch each")
"""


@needs_compiler
def test_nothing_is_copied() -> None:
    assert strictly("-c", BEFORE + LAUNCHES) == "one launch each\n"


ROUNDED = """
# One rounding: 2049 is no number of float16, so that it shows if 1 is added to the product of it.
x = torch.tensor([[2048.0, 1.0]]).half()
w = torch.ones(1, 2).half()
b = torch.ones(1).half()
assert F.linear(x, w, b).item() == 2050 == F.linear(x.cuda(), w.cuda(), b.cuda()).item()
# And sums are float32's: 4,096 ones are no sum that float16 gets to by adding ones.
ones = torch.ones(1, 4096, device="cuda").half()
assert (ones @ ones.T).item() == 4096
print("rounded once")
"""


@needs_compiler
def test_sums_are_rounded_once() -> None:
    assert strictly("-c", BEFORE + ROUNDED) == "rounded once\n"


SWITCHED = """
m = torch.backends.cuda.matmul
a, h, bf = (drawn(3, 4, kind=k) for k in (torch.float32, torch.float16, torch.bfloat16))
def how(t):
    (call,) = asked(lambda: t @ t.T)[1]
    return call.compute, call.mode
assert [how(t) for t in (a, h, bf)] == [(68, 0)] * 3
exact = a.cpu().double() @ a.cpu().double().T
def error():
    return ((a @ a.T).cpu() - exact).abs().max().item()
before = error()
torch.set_float32_matmul_precision("high")
assert how(a) == (77, 0) and how(h) == (68, 0) and error() > 100 * before, (before, error())
torch.set_float32_matmul_precision("highest")
assert how(a) == (68, 0)
m.allow_tf32 = True
assert how(a) == (77, 0) and torch.get_float32_matmul_precision() == "high"
with m.flags(allow_tf32=False):
    assert how(a) == (68, 0)
assert how(a) == (77, 0) and how(drawn(3, 4, kind=torch.float64)) == (70, 0)
m.fp32_precision = "ieee"
m.allow_fp16_reduced_precision_reduction = False
assert how(h) == (68, 16) and how(bf) == (68, 0)
m.allow_bf16_reduced_precision_reduction = False
assert how(bf) == (68, 16) and cublas._mode == [0]
m.allow_fp16_accumulation = True
assert how(h) == (64, 0)
assert torch.allclose((h @ h.T).cpu().float(), h.cpu().float() @ h.cpu().float().T, atol=1e-2)
print("as allowed")
"""


@needs_compiler
def test_switches_are_obeyed() -> None:
    assert strictly("-c", BEFORE + SWITCHED) == "as allowed\n"


LEFT = """
# What cuBLAS is not for is CuPy's, with PyTorch's words for what is wrong.
a, i, z = drawn(3, 4), torch.arange(6, device="cuda").reshape(2, 3), drawn(3, 4).to(torch.complex64)
for t in (i, z):
    found, calls, _ = asked(lambda: t @ t.mT)
    assert not calls and torch.equal(found.cpu(), t.cpu() @ t.cpu().mT)
for shape in ((0, 4), (4, 0)):
    found, calls, _ = asked(lambda: torch.zeros(*shape, device="cuda") @ torch.zeros(
        *shape[::-1], device="cuda"))
    assert not calls and found.shape == (shape[0], shape[0]) and not found.any()
assert not asked(lambda: a[0] @ a[1])[1]  # one number
line = drawn(9)  # windows that lie over each other are copied, no leading dimension is so short
found, calls, launches = asked(lambda: line.unfold(0, 4, 2) @ a.T)
assert launches == 2 and torch.allclose(found.cpu(), line.cpu().unfold(0, 4, 2) @ a.cpu().T)
for wrong in (lambda d: a.to(d) @ a.to(d), lambda d: a.to(d) @ a.to(d).half().T,
              lambda d: F.linear(a.to(d), torch.ones(2, 5, device=d)),
              lambda d: F.linear(a.to(d), torch.ones(2, 4, device=d), torch.ones(3, device=d)),
              lambda d: torch.bmm(torch.ones(2, 3, 4, device=d), torch.ones(3, 4, 5, device=d))):
    said = []
    for device in ("cpu", "cuda"):
        try:
            wrong(device)
        except Exception as error:
            said.append(f"{type(error).__name__}: {error}")
    assert len(said) == 2 and said[0].partition(", at ")[0] == said[1].partition(", at ")[0], said
# A device without bfloat16 for cuBLAS computes it in float32.
cublas.lacks.add(14)
b = drawn(3, 4, kind=torch.bfloat16)
found, calls, _ = asked(lambda: b @ b.T)
assert [c.type for c in calls] == [0] * len(calls), calls
assert torch.equal(found.cpu(), b.cpu() @ b.cpu().T)
cublas.lacks.clear()
# Other errors are errors.
def broken(*given):
    raise cublas.CUBLASError(13)
from framework.kernels.cuda import products
real, products._cublas.gemm = products._cublas.gemm, broken
try:
    a @ a.T
except RuntimeError as error:
    assert "CUBLAS status 13" in str(error), error
else:
    raise AssertionError
products._cublas.gemm = real
# The current stream, and the current device's handle.
with torch.cuda.stream(torch.cuda.Stream()) as stream:
    asked(lambda: a @ a.T)
    assert cublas.calls[-1].stream is cupy.cuda.get_current_stream() is not cupy.cuda.Stream.null
print("left alone")
"""


@needs_compiler
def test_what_cublas_is_not_for() -> None:
    assert strictly("-c", BEFORE + LEFT) == "left alone\n"


MIXED = """
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4)).cuda()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cuda")
x, y = drawn(5, 8), torch.tensor([0, 1, 2, 3, 0], device="cuda")
before = [p.detach().clone() for p in model.parameters()]
def step():
    optimizer.zero_grad()
    with torch.autocast("cuda", dtype=torch.float16):
        loss = F.cross_entropy(model(x), y)
        loss = loss + 0 * F.cross_entropy(model(x), y)  # weights that are cast already
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    return loss.item()
from framework.trace import recording
with recording() as tape:
    first, calls, _ = asked(step)
shapes = [tuple(e.outputs[0].shape) for e in tape.read() if type(e).__name__ == "Op"
          and e.name == "to" and e.outputs[0].dtype == "float16"]
assert [shapes.count(s) for s in ((16, 8), (16,), (4, 16), (4,))] == [1] * 4, shapes
assert calls and {c.type for c in calls} == {2} and {c.compute for c in calls} == {68}, calls
assert len(calls) == 4 + 2 * (1 + 2)  # both passes; gradients of a weight, of another and its input
assert all(not torch.equal(a, p.cpu()) for a, p in zip([b.cpu() for b in before],
                                                       model.parameters()))
assert all(p.grad.dtype is torch.float32 for p in model.parameters())
losses = [step() for _ in range(20)]
assert losses[-1] < 0.5 * first, (first, losses)
print("in halves")
"""


@needs_compiler
def test_a_step_with_autocast_and_scaled_gradients() -> None:
    assert strictly("-c", BEFORE + MIXED) == "in halves\n"


# -- plans ---------------------------------------------------------------------------------------


def _strides(shape: tuple[int, ...], order: tuple[int, ...], size: int = 4) -> tuple[int, ...]:
    """Strides in bytes of a contiguous array with its dimensions in another order in memory."""
    found = [0] * len(shape)
    step = size
    for d in reversed(order):
        found[d] = step
        step *= shape[d]
    return tuple(found)


def test_heads_beside_positions_are_some_calls_or_copied() -> None:
    for many, heads, length, copied in ((2, 4, 8, False), (64, 16, 8, True), (9, 64, 4096, False)):
        shape, other = (many, heads, length, 64), (many, heads, 64, length)
        rows, columns = _strides(shape, (0, 2, 1, 3)), _strides(other, (0, 3, 1, 2))
        found = plan("matmul", shape, rows, other, columns, 4)
        assert found is not None and found.batch is not None
        assert found.copied == ((shape, other) if copied else (None, None))
        fewest = 1 if copied else min(many, heads)  # a call has the longer of both
        assert (len(found.calls), found.batch[0]) == (fewest, many * heads // fewest)
    one = plan("matmul", (1, *shape[1:]), rows, (1, *other[1:]), columns, 4)
    assert one is not None and len(one.calls) == 1 and one.copied == (None, None)


def test_what_exceeds_32_bits_has_no_plan() -> None:
    long = 1 << 31
    for a, b in (((long, 2), (2, 3)), ((2, long), (long, 3)), ((2, 3), (3, long))):
        args = (a, _strides(a, (0, 1)), b, _strides(b, (0, 1)), 4)
        assert plan("matmul", *args) is None
    a, b = (1, long, 2, 3), (1, long, 3, 4)
    args = (a, _strides(a, (0, 1, 2, 3)), b, _strides(b, (0, 1, 2, 3)), 4)
    assert plan("matmul", *args) is None
    assert plan("matmul", (4, 3), (4 * long, 4), (3, 2), (8, 4), 4) is None


@pytest.mark.parametrize("shapes", [((2, 3), (4, 5)), ((), (3,)), ((0, 3), (3, 2)),
                                    ((2, 3, 4), (3, 4, 5))])  # fmt: skip
def test_what_does_not_fit_has_no_plan(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    a, b = shapes
    args = (a, _strides(a, tuple(range(len(a)))), b, _strides(b, tuple(range(len(b)))), 4)
    assert plan("matmul", *args) is None


def test_switches_as_in_pytorch() -> None:
    m, allowed = torch.backends.cuda.matmul, precision.allowed
    assert (m.allow_tf32, torch.get_float32_matmul_precision()) == (False, "highest")
    try:
        torch.set_float32_matmul_precision("medium")
        assert m.allow_tf32 and m.fp32_precision == "tf32" and allowed.tf32
        assert torch.get_float32_matmul_precision() == "medium"
        m.allow_tf32 = False
        assert (m.fp32_precision, allowed.tf32) == ("ieee", False)
        assert torch.get_float32_matmul_precision() == "highest"
        with pytest.raises(RuntimeError, match="expects a bool, but got int"):
            m.allow_tf32 = 1
        for word, said in (("x", "Unknown precision: x"), ("bf16", "does not support precision")):
            with pytest.raises(RuntimeError, match=said):
                m.fp32_precision = word
        m.allow_fp16_reduced_precision_reduction = (False, True)
        assert m.allow_fp16_reduced_precision_reduction is False is allowed.float16_reduced
    finally:
        m.fp32_precision = "none"
        m.allow_fp16_reduced_precision_reduction = True
    assert math.prod(vars(allowed).values()) == 0 and allowed.float16_reduced
