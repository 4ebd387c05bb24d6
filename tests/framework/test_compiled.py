"""Compiled kernels against the plain ones beside them, and a Numba that is not there."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import framework as torch
from framework import nn
from framework.kernels import compiled
from framework.nn import functional as F
from framework.trace import recording

pytest.importorskip("numba")

ODD = [(64, 65), (4099,), (3, 37, 41), (1, 4097), (4097, 1), (0, 5000), (129, 33)]


def _draw(shape, seed=0, special=False):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape).astype(np.float32) * 3
    if special and x.size > 8:
        flat = x.reshape(-1)
        flat[rng.integers(0, flat.size, 4)] = [np.nan, np.inf, -np.inf, -0.0]
    return x


def _both(call, *arrays):
    """Results and gradients of ``call``, given tensors of these arrays."""
    inputs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    out = call(*inputs)
    outs = out if isinstance(out, tuple) else (out,)
    weights = [torch.tensor(_draw(tuple(o.shape), 9)) for o in outs]
    torch.autograd.backward(outs, weights)
    grads = [x.grad for x in inputs if x.requires_grad]
    return [o.detach().numpy() for o in outs] + [g.numpy() for g in grads]


def _same(plainly, call, *arrays, tolerance=2e-6):
    quick = _both(call, *arrays)
    plain = plainly(lambda: _both(call, *arrays))
    assert len(quick) == len(plain)
    for a, b in zip(quick, plain):
        assert a.shape == b.shape and a.dtype == b.dtype
        scale = np.max(np.abs(b), initial=1, where=np.isfinite(b))
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=tolerance * scale)


POINTWISE = {
    "relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "silu": F.silu,
    "gelu": F.gelu, "gelu tanh": lambda x: F.gelu(x, approximate="tanh"), "elu": F.elu,
    "selu": F.selu, "leaky_relu": lambda x: F.leaky_relu(x, 0.3), "softplus": F.softplus,
    "softplus 3": lambda x: F.softplus(x * 9, 3.0, 10.0), "mish": F.mish, "erf": torch.erf,
    "logsigmoid": F.logsigmoid, "hardswish": F.hardswish, "hardsigmoid": F.hardsigmoid,
    "hardtanh": lambda x: F.hardtanh(x, -0.5, 2), "relu6": F.relu6, "cube": lambda x: x**3,
    "abs": torch.abs, "sign": lambda x: torch.sign(x) * x,
    "clamp": lambda x: x.clamp(-1, 2), "clamp_min": lambda x: x.clamp(min=0.5),
    "clamp_max": lambda x: torch.clamp_max(x, torch.tensor(1.0)),
    "softshrink": F.softshrink, "hardshrink": lambda x: F.hardshrink(x, 1.5),
    "threshold": lambda x: F.threshold(x, 0.5, -3.0),
    "clamp to NaN": lambda x: x.clamp(max=float("nan")), "crossed": lambda x: x.clamp(2, -1),
}  # fmt: skip


@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize("special", [False, True])
def test_activations(plainly, name, special):
    for shape in ODD:
        _same(plainly, POINTWISE[name], _draw(shape, special=special))


@pytest.mark.parametrize("name", ["softplus", "mish", "erf", "logsigmoid", "hardswish"])
def test_activations_near_zero_and_far_away(name):
    """Against float64, to a few units in the last place."""
    x = np.concatenate(
        [_draw(3000) * s for s in (1e-30, 1e-4, 0.1, 1, 4)] + [[88, -88, 1e30, -1e30]]
    )
    x = torch.tensor(x.astype(np.float32))
    found, want = (POINTWISE[name](t).double() for t in (x, x.double()))
    wrong = (found - want).abs() / want.abs().clamp(min=1e-30)
    assert float(wrong[want.abs() > 1e-30].max()) < 2e-6


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("special", [False, True])
def test_softmax(plainly, name, special):
    for shape in ODD:
        _same(plainly, lambda x: getattr(torch, name)(x, -1), _draw(shape, special=special))


def test_softmax_of_rows_of_infinities(plainly):
    x = np.full((3, 4096), -np.inf, np.float32)
    x[1, 7] = 0
    x[2, 5] = np.inf
    _same(plainly, lambda x: torch.softmax(x, -1), x)


@pytest.mark.parametrize("affine", [False, True])
def test_layer_and_rms_norm(plainly, affine):
    for shape in [(64, 65), (3, 37, 41), (129, 33), (2, 4097), (300, 16)]:
        x, w, b = _draw(shape), _draw(shape[-1:], 1), _draw(shape[-1:], 2)
        if affine:
            _same(plainly, lambda x, w, b: F.layer_norm(x, w.shape, w, b), x, w, b)
            _same(plainly, lambda x, w: F.rms_norm(x, w.shape, w), x, w)
        else:
            _same(plainly, lambda x, s=shape: F.layer_norm(x, s[-1:]), x)
            _same(plainly, lambda x, s=shape: F.rms_norm(x, s[-1:]), x)
    _same(plainly, lambda x: F.layer_norm(x, (37, 41)), _draw((3, 37, 41)))


@pytest.mark.parametrize(
    "shape",
    [(5, 7, 11, 13), (64, 3, 40), (3, 64, 5, 7), (300, 17), (70, 129), (40, 33, 2, 2), (5000, 1)],
)
def test_batch_group_and_instance_norm(plainly, shape):
    w, b = _draw(shape[1:2], 1), _draw(shape[1:2], 2)
    _same(plainly, lambda x, w, b: F.batch_norm(x, None, None, w, b, True), _draw(shape), w, b)
    _same(plainly, lambda x: F.batch_norm(x, None, None, None, None, True), _draw(shape))
    mean, var = torch.tensor(_draw(shape[1:2], 3)), torch.tensor(_draw(shape[1:2], 4)).abs()
    _same(plainly, lambda x, w, b: F.batch_norm(x, mean, var, w, b), _draw(shape), w, b)
    _same(plainly, lambda x: F.batch_norm(x, mean, var), _draw(shape))
    if len(shape) > 2:
        _same(plainly, lambda x, w, b: F.group_norm(x, 1, w, b), _draw(shape), w, b)
        _same(plainly, lambda x: F.instance_norm(x), _draw(shape))
        groups = shape[1] if shape[1] % 2 else shape[1] // 2
        _same(plainly, lambda x, w, b: F.group_norm(x, groups, w, b), _draw(shape), w, b)
        _same(plainly, lambda x: F.group_norm(x, groups), _draw(shape))


@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.GRUCell])
@pytest.mark.parametrize("sizes", [(32, 64), (100, 33), (1, 1500)])
def test_gates(plainly, cell, sizes):
    batch, width = sizes
    torch.manual_seed(0)
    made = cell(5, width)

    def call(x, h, c):
        return made(x, (h, c)) if cell is nn.LSTMCell else made(x, h)

    states = [_draw((batch, width), k) for k in (1, 2)]
    arrays = (_draw((batch, 5)), *states)
    if cell is nn.GRUCell:
        _same(plainly, lambda x, h: made(x, h), *arrays[:2])
    else:
        _same(plainly, call, *arrays)


@pytest.mark.parametrize("special", [False, True])
def test_choosing(plainly, special):
    for shape in ODD:
        x, y = _draw(shape, special=special), _draw(shape, 1, special=special)
        for mask in (_draw(shape, 2) > 0, _draw(shape[-1:], 3) > 0, _draw(shape[:1], 4) > 0):
            if mask.ndim < x.ndim and mask.shape[0] != shape[-1]:
                continue
            m = torch.tensor(mask)
            _same(plainly, lambda x, m=m: x.masked_fill(m, -np.inf), x)
            _same(plainly, lambda x, y, m=m: torch.where(m, x, y), x, y)
            _same(plainly, lambda x, m=m: torch.where(m, x, 0.5), x)
            quick = torch.where(m, torch.tensor(x), torch.tensor(y)).numpy()
            assert np.array_equal(quick, np.where(mask, x, y), equal_nan=True)


WINDOWS = [
    # batch, channels, outputs, height, width, padding
    (4, 3, 5, 17, 19, 1), (2, 16, 16, 32, 32, 1), (8, 1, 32, 28, 28, 0), (3, 33, 9, 13, 11, 2),
    (1, 128, 8, 9, 9, 1), (64, 2, 1, 9, 10, 0),
]  # fmt: skip


@pytest.mark.parametrize("sizes", WINDOWS, ids=str)
def test_windows(plainly, sizes):
    n, c, o, height, width, padding = sizes
    x, w, b = _draw((n, c, height, width)), _draw((o, c, 3, 3), 1), _draw((o,), 2)
    _same(plainly, lambda x, w, b: F.conv2d(x, w, b, 1, padding), x, w, b, tolerance=2e-5)
    each = _draw((c, 1, 3, 3), 3)
    _same(plainly, lambda x, w: F.conv2d(x, w, None, 1, padding, 1, c), x, each, tolerance=2e-5)
    bad = _draw((n, c, height, width), special=True)
    quick = F.conv2d(torch.tensor(bad), torch.tensor(w), None, 1, padding)
    plain = plainly(lambda: F.conv2d(torch.tensor(bad), torch.tensor(w), None, 1, padding))
    assert torch.isnan(plain).sum() > 0
    assert torch.equal(torch.isfinite(quick), torch.isfinite(plain))


STEPS = [
    # channels, outputs, height, width, kernel, stride, padding, dilation, groups
    (3, 40, 23, 29, (5, 5), 1, 2, 1, 1), (16, 9, 20, 21, (3, 3), 2, 1, 1, 1),
    (3, 17, 40, 33, (7, 7), 2, 3, 1, 1), (8, 16, 31, 16, (1, 1), 2, 0, 1, 1),
    (32, 33, 7, 7, (3, 3), 1, 1, 1, 1), (6, 10, 19, 17, (2, 4), (1, 3), (0, 2), (2, 1), 2),
    (5, 8, 16, 15, (1, 1), 1, 0, 1, 1), (4, 20, 9, 30, (3, 2), (3, 2), (5, 0), (1, 3), 1),
    (70, 70, 3, 3, (3, 3), 1, 1, 1, 1), (2, 5, 21, 22, (3, 3), 3, 0, 1, 1),
]  # fmt: skip


@pytest.mark.parametrize("sizes", STEPS, ids=str)
def test_windows_of_any_size(plainly, sizes):
    c, o, height, width, kernel, stride, padding, dilation, groups = sizes
    n = -(-compiled.LARGE // min(c * height * width, o * height * width // 30))
    x, w, b = _draw((n, c, height, width)), _draw((o, c // groups, *kernel), 1), _draw((o,), 2)
    rest = stride, padding, dilation, groups
    _same(plainly, lambda x, w, b: F.conv2d(x, w, b, *rest), x, w, b, tolerance=2e-5)
    g = _draw((n, o, height, width), 3)
    _same(plainly, lambda g, w: F.conv_transpose2d(g, w, None, stride, 0, 0, groups, dilation),
          g, w, tolerance=2e-5)  # fmt: skip
    bad = _draw((n, c, height, width), special=True)
    quick = F.conv2d(torch.tensor(bad), torch.tensor(w), None, *rest)
    plain = plainly(lambda: F.conv2d(torch.tensor(bad), torch.tensor(w), None, *rest))
    assert torch.equal(torch.isfinite(quick), torch.isfinite(plain))


def test_images_that_are_not_contiguous(plainly):
    w = _draw((6, 8, 3, 3), 1)
    x = torch.tensor(_draw((4, 20, 22, 8)))
    for view in (x.permute(0, 3, 1, 2), x.permute(0, 3, 2, 1), x.permute(0, 3, 1, 2).flip(2)):
        _same(plainly, lambda v, w: F.conv2d(v, w, None, 1, 1), view.numpy(), w, tolerance=2e-5)
        quick = F.conv2d(view, torch.tensor(w))
        assert torch.allclose(quick, F.conv2d(view.contiguous(), torch.tensor(w)))


def test_windows_of_half_precision(plainly):
    x, w, b = (torch.tensor(_draw(s)).bfloat16() for s in ((4, 8, 20, 20), (8, 8, 3, 3), (8,)))
    quick = F.conv2d(x, w, b)
    assert quick.dtype is torch.bfloat16
    assert torch.allclose(quick, plainly(lambda: F.conv2d(x, w, b)), rtol=0.02, atol=0.5)


@pytest.mark.parametrize("groups", [1, 4])
def test_an_infinity_between_rows_meets_no_gradient(plainly, groups):
    """In the last column, which the windows' first taps never meet."""
    x = _draw((8, 4, 16, 16))
    x[3, 1, 5, 15] = np.inf
    w = _draw((4, 4 // groups, 3, 3), 1)
    _same(plainly, lambda x, w: F.conv2d(x, w, None, 1, 0, 1, groups), x, w, tolerance=2e-5)
    w = torch.tensor(w, requires_grad=True)
    F.conv2d(torch.tensor(x), w, None, 1, 0, 1, groups).sum().backward()
    met = torch.zeros(4, 4 // groups, 3, 3, dtype=torch.bool)
    met[1 if groups > 1 else ..., 0 if groups > 1 else 1, :, 2] = True
    assert torch.equal(w.grad.isfinite(), ~met)


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize(
    "window", [(2, 2, 0, 1), (3, 2, 1, 1), (3, 1, 1, 2), ((1, 4), (2, 1), (0, 2), 1)], ids=str
)
def test_max_pool(plainly, window, special):
    kernel, stride, padding, dilation = window
    x = _draw((3, 5, 31, 33), special=special)
    for ceil in (False, True):
        _same(plainly, lambda x, c=ceil: F.max_pool2d(x, kernel, stride, padding, dilation, c), x)
    x[0, 0] = -np.inf
    x[0, 1] = np.nan
    quick, plain = (
        run(lambda: F.max_pool2d(torch.tensor(x), kernel, stride, padding, dilation,
                                 return_indices=True)[1])
        for run in (lambda call: call(), plainly)
    )  # fmt: skip
    assert torch.equal(quick, plain)


@pytest.mark.parametrize("special", [False, True])
def test_sums(plainly, special):
    for shape in ODD:
        x = _draw(shape, special=special)
        for call in (
            torch.sum,
            torch.mean,
            lambda x: x.sum(-1),
            lambda x: x.mean(-1, True),
            lambda x: x.cumsum(-1),
            lambda x: x.sum((-1, -2) if x.ndim > 1 else -1),
        ):
            if x.size or call is not torch.mean:
                _same(plainly, call, x)
    big = torch.full((1 << 20,), 0.1)
    assert abs(big.sum().item() / 104857.6 - 1) < 1e-6


OPTIMIZERS = [
    (torch.optim.SGD, {}),
    (torch.optim.SGD, {"weight_decay": 0.1, "maximize": True}),
    (torch.optim.SGD, {"momentum": 0.9}),
    (torch.optim.SGD, {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "maximize": True}),
    (torch.optim.Adam, {}),
    (torch.optim.Adam, {"betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    (torch.optim.Adam, {"amsgrad": True, "maximize": True}),
    (torch.optim.AdamW, {}),
    (torch.optim.AdamW, {"weight_decay": 0.3, "amsgrad": True}),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS, ids=str)
def test_updates_are_those_of_numpy_to_the_bit(plainly, kind, options, dtype):
    shapes = [(130, 129), (7,), (4097,), (0, 3), (), (1, 70_001)]

    def call():
        params = [torch.tensor(_draw(s, i).astype(dtype)) for i, s in enumerate(shapes)]
        params.append(torch.tensor(_draw((80, 90)).astype(dtype)).t())  # of another order
        for p in params:
            p.requires_grad_()
        optimizer = kind(params, lr=0.01, **options)
        for step in range(3):
            for i, p in enumerate(params):
                drawn = _draw(tuple(p.shape), 10 * step + i, special=step == 1 and i != 2)
                p.grad = torch.tensor(drawn.astype(dtype))
            optimizer.step()
        states = [optimizer.state[p] for p in params]
        kept = [t for s in states for t in s.values() if isinstance(t, torch.Tensor)]
        return [t.detach().numpy() for t in (*params, *kept)], [p._version for p in params]

    (quick, versions), (plain, same) = call(), plainly(call)
    assert versions == same
    for a, b in zip(quick, plain, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore:The given NumPy array")
def test_an_update_reads_a_gradient_that_is_not_to_be_written(plainly):
    def call():
        p = torch.ones(5000, requires_grad=True)
        p.grad = torch.from_numpy(np.broadcast_to(np.float32(2), (5000,)))
        torch.optim.Adam([p], lr=0.1).step()
        return p.detach().numpy()

    np.testing.assert_array_equal(call(), plainly(call))


def test_arrays_that_are_not_contiguous(plainly):
    x = torch.tensor(_draw((65, 130)))
    for view in (x.t(), x[:, ::2], x[::2], x.expand(2, 65, 130), x.view(65, 65, 2)[..., 0]):
        for call in (
            torch.relu,
            lambda v: torch.softmax(v, -1),
            lambda v: F.layer_norm(v, v.shape[-1:]),
        ):
            quick, plain = call(view), plainly(lambda c=call, v=view: c(v))
            assert torch.allclose(quick, plain, atol=1e-6)


def test_gradients_that_are_not_contiguous(plainly):
    def call(x):
        return torch.softmax(torch.relu(x), -1).t().contiguous()

    _same(plainly, call, _draw((65, 130)))


def test_other_types_are_computed_as_before():
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        x = torch.tensor(_draw((70, 70))).to(dtype)
        assert torch.softmax(x, -1).dtype is dtype and F.gelu(x).dtype is dtype


def test_second_gradients(plainly):
    """A graph of the gradient is one of differentiable ops, whatever computes the gradient."""

    def call(x, w, b):
        y = F.layer_norm(torch.tanh(x), w.shape, w, b)
        (g,) = torch.autograd.grad(F.silu(y).sum(), x, create_graph=True)
        return g * g

    _same(plainly, call, _draw((80, 60)), _draw((60,), 1), _draw((60,), 2), tolerance=2e-5)


def test_second_gradients_of_gates():
    """Against finite differences, in float64, by the same rules."""
    torch.manual_seed(0)
    for cell in (nn.LSTMCell(3, 2), nn.GRUCell(3, 2)):
        cell.double()
        x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
        h = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
        state = (h, h * 2) if isinstance(cell, nn.LSTMCell) else h
        assert torch.autograd.gradgradcheck(lambda x, s=state, c=cell: c(x, s), (x,))


def test_results_do_not_depend_on_the_number_of_threads():
    x = torch.tensor(_draw((2000, 100)), requires_grad=True)
    images = torch.tensor(_draw((16, 8, 32, 32)), requires_grad=True)
    w = torch.tensor(_draw((8, 8, 3, 3), 1), requires_grad=True)
    wide = torch.tensor(_draw((40, 8, 5, 5), 1), requires_grad=True)
    scale = torch.ones(100, requires_grad=True)
    place = torch.arange(2000) * 37 % 70
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            for t in (x, images, w, wide, scale):
                t.grad = None
            loss = F.layer_norm(torch.softmax(x, -1), (100,), scale).square().sum()
            loss = loss + F.conv2d(images, wide, stride=2).square().sum()
            loss = loss + F.conv2d(images, w, padding=1).square().sum()
            (loss + torch.zeros(70, 100).index_add(0, place, x).square().sum()).backward()
            found.append([t.grad.clone() for t in (x, images, w, wide, scale)])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other))


def test_threads_of_the_program_use_them_side_by_side():
    x = torch.tensor(_draw((2000, 100)))
    want = torch.softmax(x, -1)
    wrong = []

    def work():
        for _ in range(20):
            if not torch.equal(torch.softmax(x, -1), want):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_a_forked_process_goes_on():
    x = torch.tensor(_draw((2000, 100)))
    want = torch.softmax(x, -1)
    pid = os.fork()
    if not pid:
        os._exit(0 if torch.equal(torch.softmax(x, -1), want) else 1)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize("before", ["", "work(); "])
def test_exit_handlers_still_compute(tmp_path, before):
    """No thread can be started any more by then, nor given work."""
    code = (
        "import atexit, framework as t; t.set_num_threads(3); "
        "work = lambda: print(float(t.relu(t.ones(1000, 1000)).sum())); "
        f"{before}atexit.register(work)"
    )
    out, err = _run(code, tmp_path)
    assert out.split() == ["1000000.0"] * (2 if before else 1)
    assert err == ""


def test_the_number_of_threads_may_change_while_they_work():
    before = torch.get_num_threads()
    x = torch.tensor(_draw((700, 700)))
    want, done, wrong = torch.relu(x), threading.Event(), []

    def work():
        try:
            while not done.is_set():
                assert torch.equal(torch.relu(x), want)
        except BaseException as error:
            wrong.append(error)

    others = [threading.Thread(target=work) for _ in range(3)]
    for other in others:
        other.start()
    try:
        for i in range(300):
            torch.set_num_threads(1 + i % 3)
    finally:
        done.set()
        for other in others:
            other.join()
        torch.set_num_threads(before)
    assert not wrong


# -- Numba missing, broken, or not wanted -------------------------------------------------------

USE = "import framework as t; x = t.ones(64, 64); print(float(t.softmax(x, -1).sum()))"
TWICE = USE + "; t.softmax(x, -1); t.relu(x)"


def _run(code, tmp_path, fake=None, **environment):
    """The output and the complaints of a program; ``fake`` is a Numba of its own."""
    path = str(Path(__file__).parent.parent.parent)
    if fake is not None:
        (tmp_path / "numba.py").write_text(fake)
        path = f"{tmp_path}{os.pathsep}{path}"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found.stdout.strip(), found.stderr


def test_a_missing_numba_is_said_once(tmp_path):
    fake = "raise ModuleNotFoundError(\"No module named 'numba'\", name='numba')"
    out, err = _run(TWICE, tmp_path, fake)
    assert out == "64.0" and err.count("Numba is not installed") == 1 and "tapebook[fast]" in err


@pytest.mark.parametrize("fake", ["raise ImportError('no LLVM here')", "raise OSError", "x = 1"])
def test_a_broken_numba_is_said_once(tmp_path, fake):
    out, err = _run(TWICE, tmp_path, fake)
    assert out == "64.0" and err.count("Numba is not working") == 1


def test_numba_can_be_switched_off(tmp_path):
    out, err = _run(TWICE + "; import sys; print('numba' in sys.modules)", tmp_path,
                    TAPEBOOK_NUMBA="0")  # fmt: skip
    assert out.split() == ["64.0", "False"] and not err


def test_nothing_is_imported_before_it_is_needed(tmp_path):
    code = "import sys, framework as t; t.softmax(t.ones(9, 9), -1); print('numba' in sys.modules)"
    assert _run(code, tmp_path) == ("False", "")


@pytest.mark.parametrize("shape", [(0,), (3, 3), (63, 65)], ids=str)
def test_small_arrays_keep_numpy(shape):
    assert not compiled.is_plain(np.zeros(shape, np.float32))


def _losses(shape, **options):
    rng = np.random.default_rng(3)
    target = rng.integers(0, shape[1], shape[0])
    target[:: max(1, shape[0] // 5)] = -100
    given = torch.from_numpy(target)
    return lambda x: F.cross_entropy(x, given, **options)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_cross_entropy(plainly, reduction):
    for shape in [(64, 65), (4099, 1), (2, 4097), (129, 33), (1024, 7)]:
        call = _losses(shape, reduction=reduction)
        _same(plainly, call, _draw(shape))
        _same(plainly, call, _draw(shape, special=True))
        weight = torch.from_numpy(np.abs(_draw(shape[1:], 1)))
        weight[0] = 0
        _same(plainly, _losses(shape, reduction=reduction, weight=weight), _draw(shape))
        some = _losses(shape, reduction=reduction, ignore_index=0)
        with pytest.raises(IndexError, match="-100 is out of bounds"):
            some(torch.from_numpy(_draw(shape)))


def test_cross_entropy_of_nothing_that_counts_and_of_infinite_scores(plainly):
    x, ignored = _draw((70, 60)), torch.full((70,), -100)
    for reduction in ("none", "mean", "sum"):
        _same(plainly, lambda x, r=reduction: F.cross_entropy(x, ignored, reduction=r), x)
    x[3], x[4, 5], x[5, 6], x[6] = -np.inf, np.inf, -np.inf, 1e38
    _same(plainly, lambda x: F.cross_entropy(x, torch.arange(70) % 60, reduction="none"), x)


def test_second_gradients_of_cross_entropy(plainly):
    def penalty(x):
        (slope,) = torch.autograd.grad(_losses((64, 65))(x), x, create_graph=True)
        return slope.square().sum().sqrt().reshape(1)

    _same(plainly, penalty, _draw((64, 65)))


def test_a_trace_sees_both_parts_of_cross_entropy():
    with recording(keep="none") as tape:
        _losses((64, 65))(torch.from_numpy(_draw((64, 65))))
    names = [getattr(event, "name", "") for event in tape.read()]
    assert "log_softmax" in names and "nll_loss" in names


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_smooth_l1(plainly, reduction):
    for shape in [(64, 65), (4099,), (3, 37, 41)]:
        pair = _draw(shape), _draw(shape, 1)
        for beta in (1.0, 0.3, 0.0):
            call = functools.partial(F.smooth_l1_loss, reduction=reduction, beta=beta)
            _same(plainly, call, *pair)
    turned = [a.T for a in (_draw((70, 65)), _draw((65, 70), 1).T)]
    _same(plainly, functools.partial(F.smooth_l1_loss, reduction=reduction), *turned)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_huber(plainly, reduction):
    for shape in [(64, 65), (4099,), (3, 37, 41)]:
        for delta in (1.0, 0.3, 2):
            call = functools.partial(F.huber_loss, reduction=reduction, delta=delta)
            _same(plainly, call, _draw(shape), _draw(shape, 1))


@pytest.mark.parametrize("special", [False, True])
def test_prelu(plainly, special):
    for shape in ODD[:4]:
        x = _draw(shape, special=special)
        _same(plainly, F.prelu, x, np.float32([0.3]), tolerance=1e-5)
        channels = shape[1] if len(shape) > 1 else 1
        _same(plainly, F.prelu, x, _draw((channels,), 3), tolerance=1e-5)


def test_smooth_l1_of_nan_and_infinities():
    a, b = torch.zeros(5000, requires_grad=True), torch.zeros(5000)
    b[:4] = torch.tensor([np.nan, np.inf, -np.inf, 0.5])
    loss = F.smooth_l1_loss(a, b, reduction="none")
    loss.backward(torch.full((5000,), 2.0))
    np.testing.assert_array_equal(loss.detach()[:5].numpy(), [np.nan, np.inf, np.inf, 0.125, 0])
    np.testing.assert_array_equal(a.grad[:5].numpy(), [np.nan, -2, 2, -1, 0])


def test_second_gradients_of_smooth_l1(plainly):
    def penalty(a, b):
        slopes = torch.autograd.grad(F.smooth_l1_loss(a, b), (a, b), create_graph=True)
        return sum(s.square().sum() for s in slopes).reshape(1) * 1e6

    _same(plainly, penalty, _draw((64, 65)), _draw((64, 65), 1))


@pytest.mark.parametrize("special", [False, True])
def test_lerp(plainly, special):
    for shape in ODD:
        a, b = _draw(shape, special=special), _draw(shape, 1)
        for weight in (0.0, 0.3, 0.5, 1.0, -2.0):
            _same(plainly, lambda a, b, w=weight: torch.lerp(a, b, w), a, b)
    assert torch.equal(
        torch.lerp(*(torch.from_numpy(x) for x in (b, b + 1)), 1.0), torch.tensor(b + 1)
    )


@pytest.mark.parametrize("special", [False, True])
def test_running_products(plainly, special):
    for shape in ODD:
        x = _draw(shape, special=special) / 4
        _same(plainly, lambda x: torch.cumprod(x, -1), np.sign(x) + x / 50)


@pytest.mark.parametrize("special", [False, True])
def test_scans_down_and_extremes(plainly, special):
    for shape in [
        (64, 65),
        (3, 37, 41),
        (300, 16),
        (129, 33),
        (5, 1000, 9),
        (1, 4097),
        (70, 3, 40),
    ]:
        x = _draw(shape, special=special)
        for dim in range(len(shape)):
            _same(plainly, lambda x, d=dim: torch.cumsum(x, d), x, tolerance=1e-5)
            _same(plainly, lambda x, d=dim: torch.cumprod(x, d), np.sign(x) + x / 50)
            _same(plainly, lambda x, d=dim: torch.cummax(x, d)[0], x.round())
            for call in (torch.cummax, torch.cummin):
                found, wanted = call(torch.tensor(x.round()), dim), None
                wanted = plainly(lambda c=call, d=dim, x=x: c(torch.tensor(x.round()), d))
                np.testing.assert_array_equal(found[0].numpy(), wanted[0].numpy())
                np.testing.assert_array_equal(found[1].numpy(), wanted[1].numpy())


@pytest.mark.parametrize("special", [False, True])
def test_products_and_sums_of_channels(plainly, special):
    for shape in [(64, 65), (3, 37, 41), (16, 5, 7, 11), (1, 4097), (4097, 1)]:
        x = _draw(shape, special=special)
        near_one = np.sign(x) + x / 50
        _same(plainly, lambda x: torch.prod(x, -1), near_one, tolerance=1e-5)
        _same(plainly, lambda x: torch.prod(x), near_one, tolerance=1e-5)
        if len(shape) > 2:
            dims = (0, *range(2, len(shape)))
            _same(plainly, lambda x, d=dims: x.sum(d), x, tolerance=1e-5)
            _same(plainly, lambda x, d=dims: x.mean(d, keepdim=True), x, tolerance=1e-5)


@pytest.mark.parametrize("special", [False, True])
def test_the_first_few(plainly, special):
    for shape in [(64, 65), (3, 37, 41), (7, 1001), (1, 5000), (2100, 2)]:
        x = torch.tensor(_draw(shape, special=special))
        for k in (1, 2, 5, 33, 64):
            if k > shape[-1]:
                continue
            for largest in (True, False):
                call = functools.partial(torch.topk, x, k, largest=largest)
                found, wanted = call(), plainly(call)
                np.testing.assert_array_equal(found.values.numpy(), wanted.values.numpy())
                picked = x.gather(-1, found.indices)
                np.testing.assert_array_equal(picked.numpy(), found.values.numpy())
    ties = torch.zeros(3, 4000)
    ties[:, 7] = -0.0
    assert torch.topk(ties, 9).indices.tolist() == [list(range(9))] * 3
    _same(plainly, lambda x: torch.topk(x, 3)[0], _draw((64, 65)))


@pytest.mark.parametrize("special", [False, True])
def test_float64(plainly, special):
    """Activations, softmax and norms of doubles, to some units in the last place."""
    calls = [torch.sigmoid, torch.tanh, torch.relu, F.silu, F.gelu, torch.erf, *[
        functools.partial(f, dim=-1) for f in (torch.softmax, torch.log_softmax)
    ], lambda x: F.layer_norm(x, x.shape[-1:]), lambda x: F.softmax(x * 100, -1)]  # fmt: skip
    for shape in ODD:
        x = _draw(shape, special=special).astype(np.float64)
        x *= np.random.default_rng(2).uniform(1, 1.1, shape)
        g = torch.tensor(np.random.default_rng(3).standard_normal(shape))

        def run(call, x=x, g=g):
            a = torch.tensor(x, requires_grad=True)
            out = call(a)
            out.backward(g)
            return out.detach().numpy(), a.grad.numpy()

        for call in calls:
            for a, b in zip(run(call), plainly(functools.partial(run, call)), strict=True):
                assert a.dtype == b.dtype == np.float64
                scale = np.max(np.abs(b), initial=1, where=np.isfinite(b))
                np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14 * scale)


def test_the_exponential_of_float64():
    from framework.kernels.compiled import doubles

    x = np.concatenate([np.linspace(-760, 712, 50_001), np.linspace(-1, 1, 5001)])
    x = np.concatenate([x, [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-300]])
    with np.errstate(all="ignore"):
        found = 1 / doubles.FORWARD["sigmoid"](-x) - 1
        np.testing.assert_allclose(found[x > -1], np.exp(x)[x > -1], rtol=2e-15)
    rows = np.stack([np.zeros(len(x) - 3), np.concatenate([x[:-6], x[-3:]])])
    logs = doubles.log_softmax(rows)
    with np.errstate(all="ignore"):
        top = rows.max(-1, keepdims=True)
        wanted = rows - top - np.log(np.exp(rows - top).sum(-1, keepdims=True))
    np.testing.assert_allclose(logs, wanted, rtol=1e-14, atol=1e-14)


def test_erf_and_gelu_of_float64():
    """To some units in the last place of what is small, too."""
    from scipy.special import erf, ndtr

    near = np.linspace(-6, 6, 60_001)
    x = np.concatenate([near, [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-300, -1e300, 5e-324]])
    found = torch.erf(torch.tensor(x)).numpy()
    np.testing.assert_allclose(found, erf(x), rtol=1e-15)
    assert np.array_equal(np.signbit(found[-5:]), np.signbit(x[-5:]))
    y = torch.tensor(near, requires_grad=True)
    out = F.gelu(y)
    out.backward(torch.ones_like(y))
    np.testing.assert_allclose(out.detach().numpy(), near * ndtr(near), rtol=1e-14)
    slope = ndtr(near) + near * np.exp(-near * near / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(y.grad.numpy(), slope, rtol=1e-13, atol=2e-16)
    ends = F.gelu(torch.tensor(np.resize([-40.0, 40.0, np.inf, -np.inf, np.nan], 5000))).numpy()
    np.testing.assert_array_equal(ends[:5], [0, 40, np.inf, np.nan, np.nan])


def test_permutations_and_integers_are_the_plain_ones(plainly):
    for n in (4096, 5000, 100_003):
        torch.manual_seed(n)
        quick = torch.randperm(n).numpy()
        torch.manual_seed(n)
        np.testing.assert_array_equal(quick, plainly(lambda n=n: torch.randperm(n)).numpy())
    from framework.kernels.compiled import philox

    words = np.random.default_rng(0).integers(0, 50, 5000).astype(np.uint64) << np.uint64(58)
    np.testing.assert_array_equal(philox.order(words), np.argsort(words, kind="stable"))
    for low, high in [(0, 1), (0, 10), (-5, 1 << 40), (-(1 << 63), (1 << 63) - 1)]:
        torch.manual_seed(1)
        found = torch.randint(low, high, (1000,)).numpy()
        words = torch.random.Generator().manual_seed(1).words(1000)
        wanted = (words % np.uint64(high - low) + np.uint64(low % (1 << 64))).view(np.int64)
        np.testing.assert_array_equal(found, wanted)


SUMMING = {
    "sum": lambda x: x.sum(-1), "sum of all": lambda x: x.sum().reshape(1),
    "norm": lambda x: torch.linalg.vector_norm(x, dim=-1), "var": lambda x: x.var(-1),
    "cumsum": lambda x: x.cumsum(-1), "cumprod": lambda x: (x / 4).cumprod(-1),
    "mul by a column": lambda x: x * x[..., :1], "mul by a row": lambda x: x * x[:1],
}  # fmt: skip


@pytest.mark.parametrize("name", SUMMING)
@pytest.mark.parametrize("special", [False, True])
@pytest.mark.filterwarnings("ignore:var")
def test_sums_in_float64(plainly, name, special):
    for shape in [(64, 65), (4099,), (3, 37, 41), (1, 9001), (4097, 1), (0, 5000), (129, 33)]:
        x = _draw(shape, special=special).astype(np.float64)
        if name == "var" and shape[-1] == 1:
            continue
        quick = _both(SUMMING[name], x)
        plain = plainly(lambda x=x: _both(SUMMING[name], x))
        for a, b in zip(quick, plain, strict=True):
            assert a.dtype == b.dtype == np.float64 and a.shape == b.shape
            scale = np.max(np.abs(b), initial=1, where=np.isfinite(b))
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13 * scale)


@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (2, 0), (0, 3), (4, 1)])
@pytest.mark.parametrize("special", [False, True])
def test_convolutions_of_small_images(plainly, padding, special):
    """Eight places by 32 channels; the input's gradient, too."""
    for batch, inside, outside, size, kernel in [
        (9, 32, 32, (7, 7), (3, 3)), (5, 40, 64, (5, 8), (3, 2)), (70, 33, 56, (3, 4), (1, 3)),
        (17, 64, 31, (6, 5), (5, 4)),
    ]:  # fmt: skip
        x, w = _draw((batch, inside, *size)), _draw((outside, inside, *kernel), 1)
        if special:
            x[3, 5, 1, 2], x[4, 7, 0, 0] = np.nan, np.inf
        if all(n + 2 * p >= k for n, p, k in zip(size, padding, kernel)):
            call = functools.partial(F.conv2d, padding=padding)
            _same(plainly, call, x, w, _draw((outside,), 2), tolerance=1e-5)
            _same(plainly, call, x[:, :, ::-1].swapaxes(2, 3), w.swapaxes(2, 3), tolerance=1e-5)


def test_small_images_padded_on_one_side(plainly):
    x, w = _draw((9, 32, 6, 6)), _draw((32, 32, 2, 4), 1)
    _same(plainly, functools.partial(F.conv2d, padding="same"), x, w, tolerance=1e-5)
