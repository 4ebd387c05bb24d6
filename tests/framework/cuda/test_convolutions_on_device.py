"""Convolutions on a device without cuDNN: what is asked of cuBLAS, and what of our own kernels."""

from __future__ import annotations

from test_products_on_device import BEFORE
from test_strict_device import needs_compiler, strictly

POINTWISE = """
def run(device, kind, size, last, bias, turned):
    rng = np.random.default_rng(1)
    ins, outs = (24, 8) if turned else (8, 24)
    shapes = (2, 24 if turned else 8, *size), (24, 8, *[1] * len(size))
    x, w, b = (torch.from_numpy(rng.standard_normal(s)).to(kind)
               for s in (*shapes, (8 if turned else 24,)))
    if last:
        x = x.to(memory_format=torch.channels_last if len(size) == 2 else torch.channels_last_3d)
    given = [t.to(device).requires_grad_() for t in ((x, w, b) if bias else (x, w))]
    y = getattr(F, f"conv{'_transpose' * turned}{len(size)}d")(*given)
    g = torch.from_numpy(rng.standard_normal(tuple(y.shape))).to(kind).to(device)
    if last:
        g = g.to(memory_format=torch.channels_last if len(size) == 2 else torch.channels_last_3d)
    y.backward(g)
    return [y, *[t.grad for t in given]]
torch.backends.cudnn.allow_tf32 = False
for kind, code in zip((torch.float16, torch.bfloat16, torch.float32, torch.float64), (2, 14, 0, 1)):
    for size in ((16,), (4, 8), (2, 2, 4)):
        for last, bias, turned in ((0, 1, 0), (1, 0, 0), (0, 0, 1), (1, 1, 1)):
            if last and len(size) == 1:
                continue
            there, calls, _ = asked(lambda: run("cuda", kind, size, last, bias, turned))
            assert [c.type for c in calls] == [code] * 2, (kind, size, last, calls)
            plain = run("cpu", kind, size, last, bias, turned)
            near = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-3,
                    torch.bfloat16: 1.6e-2}[kind]
            assert plain[0].stride() == there[0].stride()
            for a, b in zip(plain, there):
                a, b = a.detach().double().numpy(), b.detach().cpu().double().numpy()
                np.testing.assert_allclose(b, a, rtol=near, atol=near * np.abs(a).max())
x, w = drawn(2, 8, 4, 4), drawn(16, 8, 1, 1)
def computed(call):
    return [c.compute for c in asked(call)[1]]
assert computed(lambda: F.conv2d(x, w)) == [68]
torch.backends.cuda.matmul.allow_tf32 = True
assert computed(lambda: F.conv2d(x, w)) == [68]
torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = False, True
assert computed(lambda: F.conv2d(x, w)) == [77]
assert computed(lambda: x[0, 0] @ x[0, 0]) == [68]
# Not of one pixel at each pixel, in groups, or lines that begin anywhere.
for other, options in ((w, dict(stride=2)), (w, dict(padding=1)), (drawn(16, 8, 1, 2), {}),
                       (drawn(16, 4, 1, 1), dict(groups=2))):
    assert computed(lambda: F.conv2d(x, other, **options)) == []
assert computed(lambda: F.conv2d(drawn(2, 8, 3, 3), w)) == []
print("convolved")
"""


@needs_compiler
def test_windows_of_one_pixel_are_products_of_cublas() -> None:
    assert strictly("-c", BEFORE + POINTWISE) == "convolved\n"
