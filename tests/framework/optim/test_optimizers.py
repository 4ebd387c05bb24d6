"""Optimizers against their formulas in NumPy, their groups and state, and their trace."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import framework as torch
from framework.optim import SGD, Adadelta, Adagrad, Adam, AdamW, Optimizer, RMSprop
from framework.trace.sink import recording

# -- references: one step of one parameter, as the papers and PyTorch have it -------------------


def sgd(p, g, s, lr, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False):
    g = (-g if maximize else g) + weight_decay * p
    if momentum:
        s["buf"] = momentum * s["buf"] + (1 - dampening) * g if "buf" in s else g
        g = g + momentum * s["buf"] if nesterov else s["buf"]
    return p - lr * g


def adam(p, g, s, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False,
         maximize=False, decoupled=False):  # fmt: skip
    g = -g if maximize else g
    if decoupled:
        p = p * (1 - lr * weight_decay)
    else:
        g = g + weight_decay * p
    t = s["t"] = s.get("t", 0) + 1
    m = s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    v = s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g * g
    if amsgrad:
        v = s["max"] = np.maximum(s.get("max", 0), v)
    return p - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)


def adamw(p, g, s, lr, weight_decay=1e-2, **options):
    return adam(p, g, s, lr, weight_decay=weight_decay, decoupled=True, **options)


def rmsprop(p, g, s, lr, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False):
    g = g + weight_decay * p
    v = s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g * g
    if centered:
        s["m"] = alpha * s.get("m", 0) + (1 - alpha) * g
        v = v - s["m"] ** 2
    update = g / (np.sqrt(v) + eps)
    if momentum:
        update = s["buf"] = momentum * s.get("buf", 0) + update
    return p - lr * update


def adagrad(p, g, s, lr, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10):
    g = g + weight_decay * p
    t = s["t"] = s.get("t", 0) + 1
    s["sum"] = s.get("sum", initial_accumulator_value) + g * g
    return p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s["sum"]) + eps)


def adadelta(p, g, s, lr, rho=0.9, eps=1e-6, weight_decay=0):
    g = g + weight_decay * p
    v = s["v"] = rho * s.get("v", 0) + (1 - rho) * g * g
    d = np.sqrt(s.get("u", 0) + eps) / np.sqrt(v + eps) * g
    s["u"] = rho * s.get("u", 0) + (1 - rho) * d * d
    return p - lr * d


CASES = [
    (SGD, sgd, {}),
    (SGD, sgd, {"momentum": 0.9}),
    (SGD, sgd, {"momentum": 0.9, "dampening": 0.25, "weight_decay": 0.1}),
    (SGD, sgd, {"momentum": 0.9, "nesterov": True, "maximize": True, "weight_decay": 0.1}),
    (Adam, adam, {}),
    (Adam, adam, {"betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    (Adam, adam, {"amsgrad": True, "maximize": True}),
    (AdamW, adamw, {}),
    (AdamW, adamw, {"weight_decay": 0.3, "amsgrad": True}),
    (RMSprop, rmsprop, {}),
    (RMSprop, rmsprop, {"alpha": 0.9, "momentum": 0.5, "centered": True, "weight_decay": 0.1}),
    (Adagrad, adagrad, {}),
    (Adagrad, adagrad, {"lr_decay": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.1}),
    (Adadelta, adadelta, {}),
    (Adadelta, adadelta, {"rho": 0.7, "weight_decay": 0.1}),
]
IDS = [f"{c[0].__name__}-{'-'.join(c[2]) or 'plain'}" for c in CASES]
KINDS = [SGD, Adam, AdamW, RMSprop, Adagrad, Adadelta]


def parameter(*shape, seed=0, dtype="float64"):
    values = np.random.default_rng(seed).standard_normal(shape)
    return torch.tensor(values).to(getattr(torch, dtype)).requires_grad_()


def give(p, values):
    p.grad = torch.tensor(np.asarray(values), dtype=p.dtype)


@pytest.mark.parametrize(("kind", "reference", "options"), CASES, ids=IDS)
@pytest.mark.parametrize("shape", [(3, 4), ()], ids=["matrix", "scalar"])
def test_against_the_formula(kind, reference, options, shape):
    p = parameter(*shape)
    expected, state = p.detach().clone().numpy(), {}
    optimizer = kind([p], lr=0.1, **options)
    memory = p._data
    for i in range(6):
        g = np.random.default_rng(100 + i).standard_normal(shape)
        give(p, g)
        optimizer.step()
        expected = reference(expected, g, state, 0.1, **options)
        np.testing.assert_allclose(p.detach().numpy(), expected, rtol=1e-10)
        np.testing.assert_array_equal(p.grad.numpy(), g)  # the gradient is left alone
    assert p._data is memory and p.is_leaf and p.requires_grad


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_narrow_types_follow_the_wide_ones(kind, dtype):
    narrow, wide = parameter(50, dtype=dtype), parameter(50)
    a, b = kind([narrow], lr=0.01), kind([wide], lr=0.01)
    for i in range(3):
        g = np.random.default_rng(i).standard_normal(50)
        give(narrow, g)
        give(wide, g)
        a.step()
        b.step()
    assert str(narrow.dtype) == f"torch.{dtype}"
    tolerance = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 6e-2}[dtype]
    difference = narrow.detach().to(torch.float64).numpy() - wide.detach().numpy()
    assert np.abs(difference).max() < tolerance


def test_complex_parameters_are_pairs_of_real_ones():
    values = np.random.default_rng(0).standard_normal((2, 5))
    z = torch.tensor(values[0] + 1j * values[1], requires_grad=True)
    pair = torch.tensor(values, requires_grad=True)
    for kind in KINDS:
        a, b = kind([z], lr=0.1), kind([pair], lr=0.1)
        for i in range(3):
            g = np.random.default_rng(i).standard_normal((2, 5))
            give(z, g[0] + 1j * g[1])
            give(pair, g)
            a.step()
            b.step()
        got = z.detach().numpy()
        np.testing.assert_allclose(np.stack([got.real, got.imag]), pair.detach().numpy())


# -- groups ----------------------------------------------------------------------------------


def test_groups_have_options_of_their_own():
    a, b, c = parameter(2), parameter(2, seed=1), parameter(2, seed=2)
    before = [p.detach().clone().numpy() for p in (a, b, c)]
    optimizer = SGD([{"params": [a]}, {"params": b, "lr": 1.0}], lr=0.1)
    optimizer.add_param_group({"params": [c], "lr": 10.0})
    for p in (a, b):
        give(p, [1, 1])
    optimizer.step()
    np.testing.assert_allclose(a.detach().numpy(), before[0] - 0.1)
    np.testing.assert_allclose(b.detach().numpy(), before[1] - 1.0)
    np.testing.assert_array_equal(c.detach().numpy(), before[2])  # it has no gradient


def test_named_parameters():
    optimizer = SGD([("w", parameter(2)), ("b", parameter(1))])
    assert optimizer.param_groups[0]["param_names"] == ["w", "b"]


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: SGD(parameter(2)), TypeError, "iterable of Tensors or dicts"),
        (lambda: SGD([]), ValueError, "empty parameter list"),
        (lambda: SGD([[parameter(1)]]), TypeError, "one of the params is list"),
        (lambda: SGD([parameter(1) * 2]), ValueError, "can't optimize a non-leaf Tensor"),
        (lambda: SGD([{"params": {parameter(1)}}]), TypeError, "ordered collections"),
        (lambda: SGD([parameter(1)], lr=-1), ValueError, "Invalid learning rate: -1"),
        (lambda: SGD([parameter(1)], momentum=-1), ValueError, "Invalid momentum value: -1"),
        (lambda: SGD([parameter(1)], weight_decay=-1), ValueError, "Invalid weight_decay value"),
        (lambda: SGD([parameter(1)], nesterov=True), ValueError, "Nesterov momentum requires"),
        (lambda: Adam([parameter(1)], lr=float("nan")), ValueError, "Invalid learning rate"),
        (lambda: Adam([parameter(1)], eps=-1), ValueError, "Invalid epsilon value: -1"),
        (lambda: Adam([parameter(1)], betas=(0.9, 1)), ValueError, "beta parameter at index 1: 1"),
        (lambda: RMSprop([parameter(1)], alpha=-1), ValueError, "Invalid alpha value"),
        (lambda: Adagrad([parameter(1)], lr_decay=-1), ValueError, "Invalid lr_decay value"),
        (lambda: Adadelta([parameter(1)], rho=2), ValueError, "Invalid rho value: 2"),
    ],
)
def test_bad_arguments(make, kind, message):
    with pytest.raises(kind, match=message):
        make()


def test_duplicates_are_warned_of():
    with pytest.warns(UserWarning, match="duplicate parameters"):
        SGD([*[parameter(1)] * 2])


@pytest.mark.parametrize("make", [SGD, Adam, RMSprop, torch.optim.Rprop, torch.optim.ASGD])
def test_differentiable_steps(make):
    """The derivative of the weight after two steps with respect to the first gradient."""

    def after(first):
        start = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)
        weight = start.clone()
        optimizer = make([weight], lr=0.1, differentiable=True)
        for g in (first, torch.tensor([0.3, 0.1, -0.2], dtype=torch.float64)):
            weight.grad = g
            optimizer.step()
        return weight, start

    first = torch.tensor([0.5, -0.4, 0.7], dtype=torch.float64, requires_grad=True)
    weight, start = after(first)
    by_gradient, by_start = torch.autograd.grad(weight.sum(), [first, start])
    for i in range(3):
        moved = torch.zeros(3, dtype=torch.float64)
        moved[i] = 1e-6
        up, down = (after(first.detach() + sign * moved)[0].sum() for sign in (1, -1))
        slope = float((up - down).detach()) / 2e-6
        assert float(by_gradient[i]) == pytest.approx(slope, abs=1e-6)
    assert by_start is not None


def test_a_parameter_is_in_one_group():
    p = parameter(1)
    optimizer = SGD([p])
    with pytest.raises(ValueError, match="more than one parameter group"):
        optimizer.add_param_group({"params": [p]})


def test_zero_grad():
    p = parameter(2)
    optimizer = SGD([p])
    give(p, [1, 2])
    kept = p.grad
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is kept and kept.tolist() == [0, 0]
    optimizer.zero_grad()
    assert p.grad is None


def test_a_closure_is_called_with_grad_mode():
    p = parameter(2)
    optimizer = SGD([p], lr=0.1)

    @torch.no_grad()
    def run():
        def closure():
            optimizer.zero_grad()
            loss = (p * p).sum()
            loss.backward()
            return loss

        return optimizer.step(closure)

    start = p.detach().clone().numpy()
    loss = run()
    np.testing.assert_allclose(loss.item(), (start**2).sum())
    np.testing.assert_allclose(p.detach().numpy(), start * 0.8)


def test_step_hooks():
    p = parameter(1)
    optimizer = SGD([p])
    seen = []
    before = optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append("before"))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append("after"))
    optimizer.step()
    before.remove()
    optimizer.step()
    assert seen == ["before", "after", "after"]


def test_repr():
    text = repr(SGD([{"params": [parameter(1)]}, {"params": [parameter(1)], "lr": 2}], lr=1))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0\n")
    assert "\n\nParameter Group 1\n" in text and text.endswith("    weight_decay: 0\n)")


# -- state dict ------------------------------------------------------------------------------


def train(optimizer, params, steps, seed):
    for i in range(steps):
        for k, p in enumerate(params):
            give(p, np.random.default_rng([seed, i, k]).standard_normal(tuple(p.shape)))
        optimizer.step()


@pytest.mark.parametrize(("kind", "reference", "options"), CASES, ids=IDS)
def test_a_state_dict_goes_on_where_it_was(kind, reference, options):
    params = [parameter(3), parameter(2, 2, seed=1)]
    optimizer = kind(params, lr=0.1, **options)
    train(optimizer, params, 3, seed=1)
    twins = [p.detach().clone().requires_grad_() for p in params]
    other = kind(twins, lr=5.0)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert other.param_groups[0]["lr"] == 0.1
    train(optimizer, params, 3, seed=2)
    train(other, twins, 3, seed=2)
    for a, b in zip(params, twins):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def test_the_layout_of_a_state_dict_is_pytorchs():
    params = [parameter(3), parameter(2)]
    optimizer = Adam(params, lr=0.1)
    give(params[1], [1, 1])
    optimizer.step()
    state = optimizer.state_dict()
    assert state["param_groups"] == [
        {
            "lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": False,
            "maximize": False, "foreach": None, "capturable": False, "differentiable": False,
            "fused": None, "decoupled_weight_decay": False, "params": [0, 1],
        }
    ]  # fmt: skip
    assert list(state["state"]) == [1]
    assert sorted(state["state"][1]) == ["exp_avg", "exp_avg_sq", "step"]
    step = state["state"][1]["step"]
    assert step.item() == 1 and step.dtype is torch.float32 and step.shape == ()
    plain = SGD(params)
    train(plain, params, 1, seed=0)
    assert plain.state_dict()["state"] == {}


def test_a_loaded_state_takes_its_parameters_type():
    wide, narrow = parameter(3), parameter(3, dtype="float32")
    a, b = Adam([wide]), Adam([narrow])
    train(a, [wide], 1, seed=0)
    b.load_state_dict(a.state_dict())
    state = b.state[narrow]
    assert state["exp_avg"].dtype is torch.float32 and state["step"].dtype is torch.float32
    assert state["exp_avg"] is not a.state[wide]["exp_avg"]


def test_a_state_dict_of_others_is_refused():
    a, b = SGD([parameter(1), parameter(1)]), SGD([parameter(1)])
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        b.load_state_dict(a.state_dict())
    a.add_param_group({"params": [parameter(1)]})
    with pytest.raises(ValueError, match="different number of parameter groups"):
        b.load_state_dict(a.state_dict())


# -- the trace -------------------------------------------------------------------------------


def kinds(tape):
    return [type(e).__name__ for e in tape.read()]


def values_at(tape, ident, seq):
    return tape.values.get(ident, seq).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_a_container_with_an_update_per_parameter(kind):
    a, b, unused = parameter(2), parameter(3, seed=1), parameter(1, seed=2)
    optimizer = kind([a, b, unused], lr=0.1)
    old = []
    with recording() as tape:
        for _ in range(2):
            give(a, [1, 2])
            give(b, [1, 2, 3])
            old.append(a.tolist())
            optimizer.step()
    new = a.tolist()
    events = tape.read()
    begins = [e for e in events if type(e).__name__ == "OptimBegin"]
    ends = [e for e in events if type(e).__name__ == "OptimEnd"]
    updates = [e for e in events if type(e).__name__ == "ParamUpdate"]
    assert [(e.cls, e.step) for e in begins] == [(kind.__name__, 1), (kind.__name__, 2)]
    assert [e.begin for e in ends] == [e.seq for e in begins] and not any(e.error for e in ends)
    assert all(b.source.file == __file__ for b in begins)
    assert [(u.tensor.id, u.parent) for u in updates] == [
        (p._id, begin.seq) for begin in begins for p in (a, b)
    ]
    assert not any(type(e).__name__ == "Op" for e in events)
    # What each parameter was before and after each step is still known.
    assert values_at(tape, a._id, begins[0].seq) == old[0]
    assert values_at(tape, a._id, updates[0].seq) == old[1]
    assert values_at(tape, a._id, begins[1].seq) == old[1]
    assert values_at(tape, a._id, updates[2].seq) == new
    # So is what the optimizer remembered.
    for name, meta in updates[0].state.items():
        if name != "step":
            first, second = (values_at(tape, meta.id, u.seq) for u in (updates[0], updates[2]))
            assert first != second
    assert tape.phase == "forward"


def test_a_step_that_fails_is_closed_in_the_trace():
    a, b = parameter(2), parameter(2)
    optimizer = SGD([a, b])
    give(a, [1, 1])
    b._grad = torch.ones(7, dtype=torch.float64)  # what `grad` would refuse
    with recording() as tape, pytest.raises(ValueError):
        optimizer.step()
    end = tape.read()[-1]
    assert type(end).__name__ == "OptimEnd" and end.error.startswith("ValueError")
    assert torch.is_grad_enabled() and tape.phase == "forward" and not tape.open


def test_a_closure_runs_before_the_step_begins():
    p = parameter(2)
    optimizer = SGD([p])

    def closure():
        loss = (p * p).sum()
        loss.backward()
        return loss

    with recording() as tape:
        optimizer.step(closure)
    names = [n for n in kinds(tape) if n.endswith(("Begin", "End")) and "Node" not in n]
    assert names == ["BackwardBegin", "BackwardEnd", "OptimBegin", "OptimEnd"]


def test_a_step_written_by_a_user_is_traced_too():
    class Plain(Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    self.state[p]["last"] = p.grad.clone()
                    p.data.add_(p.grad, alpha=-group["lr"])

    p = parameter(2)
    optimizer = Plain([p], lr=0.5)
    start = p.tolist()
    give(p, [1, 2])
    with recording() as tape:
        optimizer.step()
    assert p.tolist() == [start[0] - 0.5, start[1] - 1]
    names = kinds(tape)
    assert names.count("OptimBegin") == names.count("OptimEnd") == names.count("ParamUpdate") == 1
    (update,) = (e for e in tape.read() if type(e).__name__ == "ParamUpdate")
    assert update.tensor.id == p._id and list(update.state) == ["last"]
    assert {e.phase for e in tape.read() if type(e).__name__ == "Op"} == {"optimizer"}


def test_a_users_step_that_calls_ours_is_one_step():
    class Clipped(SGD):
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    p.grad.clamp_(-1, 1)
            return super().step(closure)

    p = parameter(1)
    start = p.item()
    optimizer = Clipped([p], lr=1.0)
    give(p, [10])
    with recording() as tape:
        optimizer.step()
    assert p.item() == start - 1 and optimizer._steps == 1
    names = kinds(tape)
    assert names.count("OptimBegin") == names.count("OptimEnd") == names.count("ParamUpdate") == 1
