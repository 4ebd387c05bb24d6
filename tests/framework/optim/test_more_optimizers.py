"""The optimizers beyond the common ones: their formulas in NumPy, LBFGS, hooks and the trace."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

import framework as torch
from framework.optim import (
    ASGD,
    LBFGS,
    SGD,
    Adafactor,
    Adamax,
    Muon,
    NAdam,
    Optimizer,
    RAdam,
    Rprop,
    SparseAdam,
)
from framework.optim.optimizer import register_optimizer_step_post_hook
from framework.trace.sink import recording


def adamax(p, g, s, t, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    g = g + weight_decay * p
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["u"] = np.maximum(betas[1] * s.get("u", 0 * p), abs(g) + eps)
    return p - lr / (1 - betas[0] ** t) * s["m"] / s["u"]


def nadam(p, g, s, t, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, momentum_decay=4e-3, weight_decay=0.0,
          decoupled_weight_decay=False):  # fmt: skip
    if decoupled_weight_decay:
        p = p * (1 - lr * weight_decay)
    else:
        g = g + weight_decay * p
    mu = betas[0] * (1 - 0.5 * 0.96 ** (t * momentum_decay))
    after = betas[0] * (1 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
    s["M"] = s.get("M", 1.0) * mu
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g * g
    root = np.sqrt(s["v"] / (1 - betas[1] ** t)) + eps
    mean = (1 - mu) / (1 - s["M"]) * g + after / (1 - s["M"] * after) * s["m"]
    return p - lr * mean / root


def radam(p, g, s, t, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    g = g + weight_decay * p
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g * g
    mean = s["m"] / (1 - betas[0] ** t)
    rest = 1 - betas[1] ** t
    longest = 2 / (1 - betas[1]) - 1
    length = longest - 2 * t * betas[1] ** t / rest
    if length <= 5:
        return p - lr * mean
    r = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return p - lr * mean * math.sqrt(r) * math.sqrt(rest) / (np.sqrt(s["v"]) + eps)


def asgd(p, g, s, t, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0.0):
    g = g + weight_decay * p
    eta, mu = s.get("eta", lr), s.get("mu", 1.0)
    p = p * (1 - lambd * eta) - eta * g
    s["ax"] = p if mu == 1 else s["ax"] + mu * (p - s["ax"])
    s["eta"], s["mu"] = lr / (1 + lambd * lr * t) ** alpha, 1 / max(1, t - t0)
    return p


def rprop(p, g, s, t, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50)):
    sign = np.sign(g * s.get("g", 0 * g))
    factor = np.where(sign > 0, etas[1], np.where(sign < 0, etas[0], 1))
    s["d"] = np.clip(s.get("d", lr + 0 * p) * factor, *step_sizes)
    s["g"] = np.where(sign < 0, 0, g)
    return p - np.sign(s["g"]) * s["d"]


def adafactor(p, g, s, t, lr=1e-2, beta2_decay=-0.8, eps=(None, 1e-3), d=1.0, weight_decay=0.0):
    least = np.finfo(p.dtype).eps if eps[0] is None else eps[0]
    rms = lambda a: np.sqrt(np.mean(a * a))  # noqa: E731
    rate = max(eps[1], rms(p)) * min(lr, t**-0.5)
    p = p * (1 - lr * weight_decay)
    w = t**beta2_decay
    s["r"] = s.get("r", 0) * (1 - w) + w * (g * g).mean(-1, keepdims=True)
    s["c"] = s.get("c", 0) * (1 - w) + w * (g * g).mean(-2, keepdims=True)
    v = s["r"] @ s["c"] / np.maximum(s["r"].mean(-2, keepdims=True), least)
    u = g / np.sqrt(np.maximum(v, least**2))
    return p - rate / max(1, rms(u) / d) * u


CASES = [
    (Adamax, adamax, {}),
    (Adamax, adamax, {"betas": (0.5, 0.7), "weight_decay": 0.1}),
    (NAdam, nadam, {}),
    (NAdam, nadam, {"weight_decay": 0.1, "decoupled_weight_decay": True, "momentum_decay": 0.1}),
    (RAdam, radam, {"betas": (0.9, 0.99)}),
    (RAdam, radam, {"weight_decay": 0.1}),
    (ASGD, asgd, {}),
    (ASGD, asgd, {"t0": 3, "lambd": 0.1, "alpha": 0.5, "weight_decay": 0.1}),
    (Rprop, rprop, {}),
    (Rprop, rprop, {"etas": (0.3, 1.7), "step_sizes": (1e-3, 0.05)}),
    (Adafactor, adafactor, {}),
    (Adafactor, adafactor, {"lr": 0.5, "d": 2.0, "weight_decay": 0.1, "eps": (1e-2, 0.1)}),
]


@pytest.mark.parametrize("kind, formula, options", CASES)
def test_ten_steps_as_the_formula_says(kind, formula, options) -> None:
    rng = np.random.default_rng(0)
    start = rng.standard_normal((3, 4))
    w = torch.tensor(start.copy(), requires_grad=True)
    optimizer = kind([w], **options)
    expected, state = start, {}
    for t in range(1, 11):
        g = rng.standard_normal((3, 4))
        w.grad = torch.tensor(g)
        optimizer.step()
        expected = formula(expected, g, state, t, **options)
        if t == 4:  # goes on after a trip through its state dict
            saved = copy.deepcopy(optimizer.state_dict())
            optimizer = kind([w], **options)
            optimizer.load_state_dict(saved)
    np.testing.assert_allclose(w.detach().numpy(), expected, rtol=2e-6, atol=1e-7)


def test_maximize_is_descent_of_the_negative() -> None:
    for kind in (Adamax, NAdam, RAdam, ASGD, Rprop, Adafactor):
        ends = []
        for sign, maximize in ((1, False), (-1, True)):
            w = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.float64, requires_grad=True)
            optimizer = kind([w], maximize=maximize)
            for _ in range(3):
                optimizer.zero_grad()
                (sign * (w**2).sum()).backward()
                optimizer.step()
            ends.append(w.detach().numpy())
        np.testing.assert_allclose(*ends)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_muon_moves_by_a_nearly_orthogonal_matrix(shape) -> None:
    w = torch.zeros(*shape, requires_grad=True)
    w.grad = torch.randn(*shape)
    Muon([w], lr=1.0, weight_decay=0).step()
    ratio = math.sqrt(max(1, shape[0] / shape[1]))
    values = np.linalg.svd(w.detach().numpy() / ratio)[1]
    assert values.min() > 0.5 and values.max() < 1.35  # what five Newton-Schulz steps reach
    with pytest.raises(ValueError, match="Muon only supports 2D parameters"):
        Muon([torch.zeros(2, requires_grad=True)])


def rosenbrock(w):
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


def test_lbfgs_with_line_search_solves_rosenbrock() -> None:
    w = torch.tensor([-1.5, 2.0], dtype=torch.float64, requires_grad=True)
    optimizer = LBFGS([w], max_iter=100, max_eval=500, line_search_fn="strong_wolfe")
    calls = 0

    def closure():
        nonlocal calls
        calls += 1
        optimizer.zero_grad()
        loss = rosenbrock(w)
        loss.backward()
        return loss

    first = optimizer.step(closure)
    assert first.item() == pytest.approx(12.5)
    np.testing.assert_allclose(w.detach().numpy(), [1, 1], atol=1e-5)
    state = optimizer.state_dict()["state"][0]
    assert state["func_evals"] == calls and isinstance(state["old_dirs"][0], torch.Tensor)
    with pytest.raises(ValueError, match="per-parameter options"):
        LBFGS([{"params": [w]}, {"params": [torch.zeros(1, requires_grad=True)]}])


def test_lbfgs_goes_on_from_its_state() -> None:
    ends = []
    for split in (False, True):
        w = torch.tensor([3.0, -2.0, 0.5], dtype=torch.float64, requires_grad=True)

        def closure():
            optimizer.zero_grad()  # noqa: B023
            loss = ((w - 1) ** 4).sum() + (w**2).sum()  # noqa: B023
            loss.backward()
            return loss

        optimizer = LBFGS([w], max_iter=3, lr=0.1)
        optimizer.step(closure)
        if split:
            saved = copy.deepcopy(optimizer.state_dict())
            optimizer = LBFGS([w], max_iter=3, lr=0.1)
            optimizer.load_state_dict(saved)
        optimizer.step(closure)
        ends.append(w.detach().numpy())
    np.testing.assert_array_equal(*ends)


def names(events) -> list[str]:
    return [type(e).__name__ for e in events]


@pytest.mark.parametrize("kind", [Adamax, NAdam, RAdam, ASGD, Rprop, Adafactor, Muon])
def test_the_trace_sees_each_update(kind) -> None:
    w = torch.randn(2, 2, requires_grad=True)
    (w**2).sum().backward()
    optimizer = kind([w])
    with recording() as tape:
        optimizer.step()
    found = names(tape.read())
    assert found.count("ParamUpdate") == found.count("OptimBegin") == found.count("OptimEnd") == 1


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_the_trace_sees_every_accepted_move_of_lbfgs(search) -> None:
    w = torch.tensor([3.0, -2.0], requires_grad=True)
    optimizer = LBFGS([w], max_iter=3, max_eval=50, lr=0.1, line_search_fn=search)

    def closure():
        optimizer.zero_grad()
        loss = (w**4).sum()
        loss.backward()
        return loss

    with recording() as tape:
        optimizer.step(closure)
    found = names(tape.read())
    assert found.count("ParamUpdate") == 3
    assert found.count("OptimBegin") == found.count("OptimEnd") == 1


def test_hooks_of_state_dicts_and_of_all_optimizers() -> None:
    w = torch.ones(1, requires_grad=True)
    w.grad = torch.ones(1)
    optimizer, log = SGD([w], lr=0.1), []
    optimizer.register_state_dict_pre_hook(lambda o: log.append("before"))
    optimizer.register_state_dict_post_hook(lambda o, s: {**s, "more": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, s: log.append(s.pop("more")))
    optimizer.register_load_state_dict_post_hook(lambda o: log.append("loaded"))
    optimizer.load_state_dict(optimizer.state_dict())
    with register_optimizer_step_post_hook(lambda o, args, kwargs: log.append(type(o).__name__)):
        optimizer.step()
    optimizer.step()
    assert log == ["before", 1, "loaded", "SGD"]


def test_refusals() -> None:
    w = torch.ones(1, requires_grad=True)
    w.grad = torch.ones(1)
    with pytest.raises(RuntimeError, match="does not support dense gradients"):
        SparseAdam([w]).step()
    with pytest.raises(ValueError, match="Invalid eta values"):
        Rprop([w], etas=(0.5, 0.9))
    with pytest.raises(ValueError, match="Clipping threshold d"):
        Adafactor([w], d=0.5)
    with pytest.raises(RuntimeError, match="cannot be `True` together"):
        torch.optim.Adam([w], fused=True, foreach=True)
    with pytest.raises(ValueError, match="Tensor lr must be 1-element"):
        Adamax([w], lr=torch.ones(2))
    assert issubclass(LBFGS, Optimizer)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sparse_momentum_is_that_of_the_dense_gradient(nesterov):
    weights = []
    for sparse in (False, True):
        w = torch.ones(3, 2, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.SGD([w], lr=0.1, momentum=0.9, nesterov=nesterov)
        for step in range(4):
            rows = torch.tensor([step % 3, 2, 2])
            optimizer.zero_grad()
            (torch.nn.functional.embedding(rows, w, sparse=sparse) ** 2).sum().backward()
            assert w.grad.is_sparse is sparse
            optimizer.step()
        weights.append(w.detach().numpy())
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-12)


class Lookahead(torch.optim.Optimizer):
    """As such wrappers are written: the inner one's groups, no call of super().__init__."""

    def __init__(self, inner, every=2, alpha=0.5):
        self.inner, self.every, self.alpha, self.count = inner, every, alpha, 0
        self.param_groups, self.defaults, self.state = inner.param_groups, inner.defaults, {}
        self.slow = [[p.detach().clone() for p in g["params"]] for g in self.param_groups]

    def step(self, closure=None):
        loss = self.inner.step(closure)
        self.count += 1
        if self.count % self.every == 0:
            for group, slow in zip(self.param_groups, self.slow):
                for p, q in zip(group["params"], slow):
                    q.add_(p.data - q, alpha=self.alpha)
                    p.data.copy_(q)
        return loss


def test_a_wrapper_that_never_calls_the_constructor():
    w = torch.tensor([8.0], requires_grad=True)
    optimizer = Lookahead(torch.optim.SGD([w], lr=0.25))
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1)
    seen = []
    optimizer.register_step_post_hook(lambda *_: seen.append(w.item()))
    for _ in range(2):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
    schedule.step()
    assert seen == [4.0, 5.0]  # 8, 4, 2, and half of the way from 8 to 2
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.025)
    with pytest.raises(AttributeError, match="'Lookahead' object has no attribute 'nothing'"):
        optimizer.nothing


def test_multiplicative_schedules_and_grad_modes_are_no_kinds_of_each_other():
    schedules = torch.optim.lr_scheduler
    assert not issubclass(schedules.MultiplicativeLR, schedules.LambdaLR)
    assert not issubclass(torch.enable_grad, torch.no_grad)
