"""Schedules against their closed forms, alone, chained and in sequence."""

from __future__ import annotations

import copy
import math
import warnings

import pytest

import framework as torch
from framework.optim import SGD, Adam
from framework.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)


def make(kind=SGD, **options):
    a, b = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    return kind([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=1.0, **options)


def run(optimizer, schedule, steps):
    """The rates of the first group, from epoch 0 on."""
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps):
        optimizer.step()
        schedule.step()
        first, second = schedule.get_last_lr()
        assert first == optimizer.param_groups[0]["lr"] and second == pytest.approx(first / 2)
        rates.append(first)
    return rates


CLOSED = {
    "step": (lambda o: StepLR(o, 3, 0.5), lambda t: 0.5 ** (t // 3)),
    "multistep": (
        lambda o: MultiStepLR(o, [2, 5, 5], 0.1),
        lambda t: 0.1 ** sum(t >= m for m in (2, 5, 5)),
    ),
    "lambda": (lambda o: LambdaLR(o, lambda t: 1 / (1 + t)), lambda t: 1 / (1 + t)),
    "exponential": (lambda o: ExponentialLR(o, 0.9), lambda t: 0.9**t),
    "linear": (lambda o: LinearLR(o, 0.25, 1, 6), lambda t: 0.25 + 0.75 * min(t, 6) / 6),
    "cosine": (
        lambda o: CosineAnnealingLR(o, 5),
        lambda t: (1 + math.cos(math.pi * t / 5)) / 2,
    ),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms(name):
    build, formula = CLOSED[name]
    optimizer = make()
    rates = run(optimizer, build(optimizer), 14)
    assert rates == pytest.approx([formula(t) for t in range(15)], abs=1e-12)


@pytest.mark.parametrize("name", CLOSED)
def test_a_schedule_goes_on_from_its_state(name):
    build, _ = CLOSED[name]
    optimizer = make()
    schedule = build(optimizer)
    run(optimizer, schedule, 4)
    other = make()
    twin = build(other)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    twin.load_state_dict(schedule.state_dict())
    assert run(other, twin, 4)[1:] == run(optimizer, schedule, 4)[1:]


def test_chained_schedules_multiply():
    optimizer = make()
    first, second = ExponentialLR(optimizer, 0.9), StepLR(optimizer, 2, 0.1)
    for _ in range(4):
        optimizer.step()
        first.step()
        second.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.9**4 * 0.01)


def test_one_cycle():
    optimizer = make(momentum=0.9)
    schedule = OneCycleLR(optimizer, max_lr=[1.0, 0.5], total_steps=11, pct_start=4 / 11)
    momentum = [optimizer.param_groups[0]["momentum"]]
    rates = [schedule.get_last_lr()[0]]
    for _ in range(10):
        optimizer.step()
        schedule.step()
        rates.append(schedule.get_last_lr()[0])
        momentum.append(optimizer.param_groups[0]["momentum"])
    assert rates[0] == pytest.approx(1 / 25) and rates[3] == pytest.approx(1)
    assert rates[10] == pytest.approx(1 / 25 / 1e4)
    middle = (rates[3] + rates[0]) / 2 - (rates[3] - rates[0]) / 2 * math.cos(math.pi / 3)
    assert rates[1] == pytest.approx(middle)
    assert momentum[0] == 0.95 and momentum[3] == pytest.approx(0.85)
    assert momentum[10] == pytest.approx(0.95)
    schedule.step()
    with pytest.raises(ValueError, match="Tried to step 12 times"):
        schedule.step()


def test_one_cycle_moves_beta1_of_adam():
    optimizer = make(Adam)
    OneCycleLR(optimizer, max_lr=1.0, epochs=2, steps_per_epoch=5)
    assert optimizer.param_groups[0]["betas"] == (0.95, 0.999)


def test_warm_up_then_decay():
    optimizer = make()
    schedule = SequentialLR(
        optimizer, [LinearLR(optimizer, 0.5, 1, 4), ExponentialLR(optimizer, 0.9)], [4]
    )
    rates = run(optimizer, schedule, 7)
    assert rates == pytest.approx([0.5, 0.625, 0.75, 0.875, 1, 0.9, 0.81, 0.729])


def test_plateau():
    optimizer = make()
    schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=1, min_lr=0.2)
    rates = []
    for loss in (5, 4, 4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3):
        schedule.step(torch.tensor(float(loss)))
        rates.append(schedule.get_last_lr()[0])
    assert rates == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2, 0.2]


def test_plateau_of_a_score():
    optimizer = make()
    schedule = ReduceLROnPlateau(optimizer, "max", patience=0, threshold=0.5, threshold_mode="abs")
    for score, rate in ((1, 1), (2, 1), (2.4, 0.1), (2.6, 0.1)):
        schedule.step(score)
        assert schedule.get_last_lr()[0] == pytest.approx(rate)


def test_the_wrong_order_is_pointed_out_once():
    optimizer = make()
    schedule = StepLR(optimizer, 2)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        schedule.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule.step()


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (lambda o: StepLR(3, 2), TypeError, "int is not an Optimizer"),
        (lambda o: LambdaLR(o, [abs]), ValueError, "Expected 2 lr_lambdas, but got 1"),
        (lambda o: LinearLR(o, 0), ValueError, "Starting multiplicative factor"),
        (lambda o: LinearLR(o, 1, 2), ValueError, "Ending multiplicative factor"),
        (lambda o: OneCycleLR(o, 1.0), ValueError, "You must define either total_steps OR"),
        (lambda o: OneCycleLR(o, 1.0, total_steps=0), ValueError, "positive integer total_steps"),
        (lambda o: OneCycleLR(o, 1.0, 5, pct_start=2), ValueError, "between 0 and 1 pct_start"),
        (lambda o: OneCycleLR(o, [1.0], 5), ValueError, "same length as optimizer.param_groups"),
        (lambda o: ReduceLROnPlateau(o, factor=1), ValueError, "Factor should be < 1.0."),
        (lambda o: ReduceLROnPlateau(o, "x"), ValueError, "mode x is unknown!"),
        (lambda o: SequentialLR(o, [], []), ValueError, "at least one scheduler"),
        (lambda o: SequentialLR(o, [StepLR(o, 1)], [1]), ValueError, "one more than the number"),
        (lambda o: SequentialLR(o, [StepLR(make(), 1)], []), ValueError, "the same optimizer"),
        (lambda o: StepLR(o, 1, last_epoch=3), KeyError, "initial_lr"),
    ],
)
def test_bad_arguments(build, kind, message):
    with pytest.raises(kind, match=message):
        build(make())
