"""autocast and GradScaler."""

from __future__ import annotations

import warnings

import pytest

import framework as torch
from framework import nn
from framework.amp import GradScaler, autocast, custom_bwd, custom_fwd


def test_lists_of_the_cpu():
    a, b = torch.ones(2, 2), torch.ones(2, 2)
    with autocast("cpu"):
        assert (a @ b).dtype is torch.bfloat16
        assert torch.nn.functional.linear(a, b).dtype is torch.bfloat16
        assert (a + b).dtype is torch.float32  # in no list
        narrow = a.bfloat16()
        assert torch.nn.functional.mse_loss(narrow, narrow).dtype is torch.float32
        assert torch.cat([narrow, a]).dtype is torch.float32
        assert (a.double() @ b.double()).dtype is torch.float64
        assert (a.long() @ b.long()).dtype is torch.int64
        with autocast("cpu", enabled=False):
            assert (a @ b).dtype is torch.float32
        with autocast("cpu", dtype=torch.float16):
            assert (a @ b).dtype is torch.float16
            assert torch.get_autocast_dtype("cpu") is torch.float16
        assert torch.is_autocast_enabled("cpu") and not torch.is_autocast_enabled("cuda")
    assert (a @ b).dtype is torch.float32
    assert not torch.is_autocast_cpu_enabled()


def test_a_model_trains_in_float32():
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.ReLU(), torch.nn.Flatten(),
        torch.nn.Linear(8, 3),
    )  # fmt: skip
    with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
        out = model(torch.ones(2, 1, 4, 4))
        loss = torch.nn.functional.cross_entropy(out, torch.tensor([0, 2]))
    assert out.dtype is torch.bfloat16 and loss.dtype is torch.float32
    loss.backward()
    assert all(p.grad.dtype is torch.float32 for p in model.parameters())


def test_casts_of_leaves_are_kept():
    w = torch.ones(2, 2, requires_grad=True)
    with autocast("cpu"):
        with torch.no_grad():
            w @ w
        (torch.ones(2, 2) @ w).sum().backward()
        (torch.ones(2, 2) @ w).sum().backward()
    assert w.grad.tolist() == [[4.0, 4.0], [4.0, 4.0]]


def test_as_a_decorator_and_refusals():
    @autocast("cpu")
    def f(a):
        return a @ a

    assert f(torch.ones(2, 2)).dtype is torch.bfloat16
    with pytest.raises(RuntimeError, match="unsupported autocast device_type 'tpu'"):
        autocast("tpu")
    with pytest.warns(UserWarning, match="the target dtype is not supported"):
        context = autocast("cpu", dtype=torch.float64)
    with context:
        assert f.__name__ == "f" and (torch.ones(1, 1) @ torch.ones(1, 1)).dtype is torch.float32


def test_custom_functions():
    class Product(torch.autograd.Function):
        @staticmethod
        @custom_fwd(device_type="cpu", cast_inputs=torch.float32)
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            ctx.on = torch.is_autocast_enabled("cpu")
            return a @ b

        @staticmethod
        @custom_bwd(device_type="cpu")
        def backward(ctx, g):
            a, b = ctx.saved_tensors
            assert not torch.is_autocast_enabled("cpu") and not ctx.on
            return g @ b.t(), a.t() @ g

    a = torch.ones(2, 2, requires_grad=True)
    with autocast("cpu"):
        out = Product.apply(a.bfloat16(), torch.ones(2, 2))
        assert out.dtype is torch.float32
        out.sum().backward()
    assert a.grad.tolist() == [[2.0, 2.0], [2.0, 2.0]]


# -- GradScaler -------------------------------------------------------------------------------


def step(scaler, w, optimizer, factor=1.0):
    optimizer.zero_grad()
    scaler.scale((w * factor).sum()).backward()
    scaler.step(optimizer)
    scaler.update()


def test_scaler_skips_and_backs_off_and_grows():
    w = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.5)
    scaler = GradScaler("cpu", init_scale=8.0, growth_interval=2)
    step(scaler, w, optimizer)
    assert w.tolist() == [0.5, 0.5] and scaler.get_scale() == 8.0
    step(scaler, w, optimizer, float("inf"))
    assert w.tolist() == [0.5, 0.5] and scaler.get_scale() == 4.0
    step(scaler, w, optimizer)
    step(scaler, w, optimizer)
    assert scaler.get_scale() == 8.0 and w.tolist() == [-0.5, -0.5]
    state = scaler.state_dict()
    assert state["scale"] == 8.0 and state["_growth_tracker"] == 0
    other = GradScaler("cpu")
    other.load_state_dict(state)
    assert other.get_scale() == 8.0


def test_unscale_once():
    w = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=1.0)
    scaler = GradScaler("cpu", init_scale=1024.0)
    scaler.scale([w.sum(), (2 * w).sum()])[1].backward()
    scaler.unscale_(optimizer)
    assert w.grad.tolist() == [2.0, 2.0]
    with pytest.raises(RuntimeError, match="already been called on this optimizer"):
        scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_([w], 1.0)
    scaler.step(optimizer)
    with pytest.raises(RuntimeError, match="after step"):
        scaler.unscale_(optimizer)
    with pytest.raises(RuntimeError, match=r"step\(\) has already been called"):
        scaler.step(optimizer)
    scaler.update(2.0)
    assert scaler.get_scale() == 2.0


def test_disabled():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaler = GradScaler("cuda", enabled=False)
    x = torch.ones(1)
    assert scaler.scale(x) is x and scaler.get_scale() == 1.0 and scaler.state_dict() == {}
    with pytest.raises(AssertionError, match="growth factor must be"):
        GradScaler("cpu", growth_factor=1.0)
    with pytest.raises(AssertionError, match="_scale is None"):
        GradScaler("cpu").step(torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=1.0))


def test_older_names():
    from framework.cuda.amp import GradScaler as Old
    from framework.cuda.amp import autocast as old

    with pytest.warns(FutureWarning, match="torch.amp.GradScaler"):
        assert not Old(enabled=False).is_enabled()
    with pytest.warns(FutureWarning, match="torch.amp.autocast"):
        context = old(enabled=False)
    with context:
        assert not torch.is_autocast_enabled("cuda")
    assert torch.cuda.amp.custom_fwd


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_states_of_cells_keep_their_type(dtype):
    """PyTorch's types on the CPU: what is multiplied is narrow, and a long short-term memory."""
    x = torch.ones(5, 8)
    with torch.autocast("cpu", dtype=dtype):
        assert nn.GRUCell(8, 4)(x).dtype is torch.float32
        assert {part.dtype for part in nn.LSTMCell(8, 4)(x)} == {torch.float32}
        assert nn.RNNCell(8, 4)(x).dtype is dtype
        out, state = nn.GRU(8, 4, num_layers=2, bidirectional=True)(x)
        assert out.dtype is state.dtype is torch.float32
        cells = nn.LSTM(8, 4)
        out, (h, c) = cells(x)
        assert out.dtype is h.dtype is c.dtype is dtype
    out.sum().backward()
    assert cells.weight_hh_l0.grad.dtype is torch.float32


def test_a_trace_tells_the_loss_not_what_the_scaler_made_of_it():
    from framework.trace import recording

    weight = torch.ones(2, requires_grad=True)
    scaler = GradScaler("cpu", init_scale=1024.0)
    with recording() as tape:
        scaler.scale(weight.sum()).backward()
        scaler.scale([weight.sum()])[0].backward()
        scaler.scale(weight.sum()).mul_(3).backward()
        (scaler.scale(weight.sum()) / 4).backward()  # one of four that are accumulated
        (0 + scaler.scale(weight.sum()) + scaler.scale(weight.prod())).backward()
        scaler.scale(weight).mean().backward()
        (scaler.scale(weight.sum()) ** 2).backward()  # the scale is no factor of this
    told = [event.loss for event in tape.read() if hasattr(event, "roots")]
    assert told == [2.0, 2.0, 6.0, 0.5, 3.0, 1.0, 2048.0**2]
