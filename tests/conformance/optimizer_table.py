"""Configurations of optimizers, schedulers and averages that PyTorch's optim_db lacks, as data.

Texts are evaluated in PyTorch and in ours, with the names of `space`.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AVERAGES", "CLOSURES", "EXTRA", "SCHEDULERS", "SCHEDULER_ERRORS", "space",
]  # fmt: skip


def space(package: Any) -> dict[str, Any]:
    """The names that the texts below use, on one side."""
    schedules = {
        n: getattr(package.optim.lr_scheduler, n)
        for n in dir(package.optim.lr_scheduler)
        if n.endswith(("LR", "Restarts", "Scheduler", "Plateau"))
    }
    swa = {
        n: getattr(package.optim.swa_utils, n)
        for n in (
            "AveragedModel", "SWALR", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
            "get_swa_multi_avg_fn",
        )
    }  # fmt: skip

    def weights() -> Any:
        found = []
        for values in ([-1.2, 1.0, 0.3], [0.5, -0.7]):
            t = package.tensor(values, dtype=package.float64)
            found.append(package.nn.Parameter(t))
        for p in found:
            p.grad = package.ones_like(p)
        return found

    def rosenbrock(params: Any) -> Any:
        x, y, z = params[0][0], params[0][1], params[0][2]
        far = (params[1] ** 2).sum()
        return (1 - x) ** 2 + 100 * (y - x * x) ** 2 + 10 * (z - y) ** 2 + far

    def quadratic(params: Any) -> Any:
        return sum(((p - 1.0) ** 2 * (1 + k)).sum() for k, p in enumerate(params))

    return {"torch": package, "weights": weights, "rosenbrock": rosenbrock,
            "quadratic": quadratic, **schedules, **swa}  # fmt: skip


# Name, options: flags that optim_db leaves out.
EXTRA: list[tuple[str, dict[str, Any]]] = [
    ("Adam", {"lr": 0.1, "betas": (0.5, 0.7), "eps": 1e-3, "amsgrad": True, "maximize": True}),
    ("Adam", {"weight_decay": 0.3, "decoupled_weight_decay": True}),
    ("Adam", {"capturable": True}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
    ("NAdam", {"momentum_decay": 1e-2, "decoupled_weight_decay": True, "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.1, "betas": (0.5, 0.6)}),
    ("RAdam", {"lr": 0.1, "betas": (0.5, 0.9), "decoupled_weight_decay": True,
               "weight_decay": 0.2}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.2, "initial_accumulator_value": 0.5, "eps": 1e-3}),
    ("Adadelta", {"lr": 0.5, "rho": 0.7, "eps": 1e-3, "maximize": True}),
    ("Adamax", {"lr": 0.1, "betas": (0.5, 0.7), "weight_decay": 0.1}),
    ("ASGD", {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 3, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.1, "alpha": 0.7, "momentum": 0.5, "centered": True, "eps": 1e-3}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.7), "step_sizes": (1e-3, 0.3)}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.2}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "dampening": 0.1}),
    ("SGD", {"lr": -1.0}), ("SGD", {"momentum": -1.0}), ("Adam", {"betas": (1.0, 0.9)}),
    ("Adam", {"foreach": True, "fused": True}), ("SGD", {"fused": True, "differentiable": True}),
    ("Adafactor", {"lr": 0.1, "beta2_decay": -0.5, "eps": (1e-3, 1e-2), "d": 0.5,
                   "weight_decay": 0.1, "maximize": True}),
    ("Muon", {"lr": 0.1, "momentum": 0.5, "nesterov": False, "ns_steps": 3}),
    ("Muon", {"lr": 0.1, "weight_decay": 0.0, "adjust_lr_fn": "match_rms_adamw"}),
    ("Muon", {"lr": 0.1, "adjust_lr_fn": "other"}),
    ("SparseAdam", {"lr": 0.1, "betas": (0.5, 0.7), "eps": 1e-3, "maximize": True}),
]  # fmt: skip

# Optimizer, loss: steps with a closure.
CLOSURES: list[tuple[str, str]] = [
    ("LBFGS(params)", "quadratic"),
    ("LBFGS(params, lr=0.5, max_iter=4, history_size=3)", "rosenbrock"),
    ("LBFGS(params, max_iter=7, line_search_fn='strong_wolfe')", "rosenbrock"),
    ("LBFGS(params, line_search_fn='strong_wolfe', tolerance_change=1e-3)", "quadratic"),
    ("LBFGS(params, max_eval=3, line_search_fn='strong_wolfe')", "rosenbrock"),
    ("LBFGS(params, line_search_fn='armijo')", "quadratic"),
    ("SGD(params, lr=1e-3, momentum=0.9)", "rosenbrock"),
    ("Adam(params, lr=0.1)", "rosenbrock"),
    ("Rprop(params)", "quadratic"),
    ("ASGD(params, lr=1e-3)", "rosenbrock"),
]

_SGD = "torch.optim.SGD(params, lr=0.1, momentum=0.9)"
_TWO = (
    "torch.optim.SGD([{'params': params[:1]}, {'params': params[1:], 'lr': 0.5}], lr=0.1, "
    "momentum=0.9)"
)
_ADAM = "torch.optim.Adam(params, lr=0.1)"
_TENSOR = "torch.optim.Adam(params, lr=torch.tensor(0.1))"

SCHEDULERS: list[tuple[str, str]] = [
    (text, made)
    for text, places in (
        ("LambdaLR(opt, lambda n: 0.9 ** n)", (_SGD, _TWO, _TENSOR)),
        ("LambdaLR(opt, [lambda n: 1 / (n + 1), lambda n: 0.5 ** n])", (_TWO,)),
        ("MultiplicativeLR(opt, lambda n: 0.95)", (_SGD, _TWO)),
        ("StepLR(opt, 3, 0.5)", (_SGD, _TWO, _TENSOR)),
        ("StepLR(opt, 4)", (_SGD,)),
        ("MultiStepLR(opt, [2, 5, 5, 9], 0.5)", (_SGD, _TWO)),
        ("ConstantLR(opt)", (_SGD,)),
        ("ConstantLR(opt, 0.2, 6)", (_TWO,)),
        ("LinearLR(opt)", (_SGD,)),
        ("LinearLR(opt, 0.1, 0.7, 8)", (_TWO, _TENSOR)),
        ("ExponentialLR(opt, 0.9)", (_SGD, _TWO)),
        ("PolynomialLR(opt)", (_SGD,)),
        ("PolynomialLR(opt, 12, 2.5)", (_TWO,)),
        ("CosineAnnealingLR(opt, 7)", (_SGD, _TENSOR)),
        ("CosineAnnealingLR(opt, 7, 0.01)", (_TWO,)),
        ("CosineAnnealingWarmRestarts(opt, 4)", (_SGD,)),
        ("CosineAnnealingWarmRestarts(opt, 3, 2, 0.01)", (_TWO,)),
        ("CyclicLR(opt, 0.01, 0.2, 3)", (_SGD, _TWO)),
        ("CyclicLR(opt, 0.01, 0.2, 3, 5, mode='triangular2')", (_SGD,)),
        ("CyclicLR(opt, 0.01, 0.2, 4, mode='exp_range', gamma=0.9)", (_SGD,)),
        ("CyclicLR(opt, 0.01, 0.2, 4, cycle_momentum=False)", (_SGD, _ADAM)),
        ("CyclicLR(opt, 0.01, 0.2, 4)", (_ADAM,)),
        ("CyclicLR(opt, 0.01, 0.2, 4, scale_fn=lambda x: 1 / (x + 1), scale_mode='iterations')",
         (_SGD,)),
        ("CyclicLR(opt, [0.01, 0.02], [0.1, 0.3], 4, base_momentum=0.5, max_momentum=0.7)",
         (_TWO,)),
        ("OneCycleLR(opt, 0.5, 40)", (_SGD, _TWO, _ADAM)),
        ("OneCycleLR(opt, [0.5, 0.7], epochs=5, steps_per_epoch=6, anneal_strategy='linear', "
         "three_phase=True)", (_TWO,)),
        ("OneCycleLR(opt, 0.5, 30, pct_start=0.5, cycle_momentum=False, div_factor=5, "
         "final_div_factor=10)", (_SGD,)),
        ("ReduceLROnPlateau(opt, patience=2)", (_SGD, _TWO)),
        ("ReduceLROnPlateau(opt, 'max', 0.5, 1, 0.1, 'abs', 1, 0.01)", (_SGD,)),
        ("ReduceLROnPlateau(opt, patience=1, min_lr=[0.05, 0.2], cooldown=2)", (_TWO,)),
        ("SequentialLR(opt, [ConstantLR(opt, 0.1, 3), ExponentialLR(opt, 0.9)], [4])",
         (_SGD, _TWO)),
        ("SequentialLR(opt, [LinearLR(opt, 0.1), CosineAnnealingLR(opt, 5), StepLR(opt, 2)], "
         "[3, 9])", (_SGD,)),
        ("ChainedScheduler([ConstantLR(opt, 0.1, 3), ExponentialLR(opt, 0.9)])", (_SGD, _TWO)),
        ("ChainedScheduler([StepLR(opt, 2), MultiplicativeLR(opt, lambda n: 1.1)], opt)", (_SGD,)),
        ("SWALR(opt, 0.05)", (_SGD, _TWO)),
        ("SWALR(opt, [0.05, 0.01], 4, 'linear')", (_TWO,)),
    )
    for made in places
]  # fmt: skip

SCHEDULER_ERRORS = [
    "LambdaLR(opt, [lambda n: 1, lambda n: 2])", "StepLR(3, 2)", "StepLR(opt, 2, last_epoch=3)",
    "ConstantLR(opt, 1.5)", "LinearLR(opt, 0.0)", "LinearLR(opt, 0.5, 1.5)",
    "CosineAnnealingWarmRestarts(opt, 0)", "CosineAnnealingWarmRestarts(opt, 3, 0)",
    "CyclicLR(opt, 0.1, 0.2)", "CyclicLR(opt, 0.1, 0.2, mode='wave', cycle_momentum=False)",
    "OneCycleLR(opt, 0.1)", "OneCycleLR(opt, 0.1, -3)", "OneCycleLR(opt, 0.1, 10, pct_start=2.0)",
    "OneCycleLR(opt, 0.1, 10, anneal_strategy='cubic')", "OneCycleLR(opt, [0.1, 0.2], 10)",
    "ReduceLROnPlateau(opt, factor=1.5)", "ReduceLROnPlateau(opt, 'middle')",
    "ReduceLROnPlateau(opt, min_lr=[0.1, 0.2])", "ReduceLROnPlateau(3)",
    "SequentialLR(opt, [], [])", "SequentialLR(opt, [StepLR(opt, 2)], [3])",
    "SequentialLR(opt, [StepLR(opt, 2), ReduceLROnPlateau(opt)], [3])",
    "SequentialLR(opt, [StepLR(opt, 2), StepLR(torch.optim.SGD(weights()), 2)], [3])",
    "ChainedScheduler([])", "ChainedScheduler([StepLR(torch.optim.SGD(weights()), 2)], opt)",
    "ChainedScheduler([ReduceLROnPlateau(opt)])", "SWALR(opt, 0.1, anneal_strategy='cubic')",
    "SWALR(opt, 0.1, -1)", "PolynomialLR(opt, 'a')", "ExponentialLR(opt)",
    "MultiStepLR(opt, [5, 3])",
]  # fmt: skip

AVERAGES = [
    "AveragedModel(model)",
    "AveragedModel(model, use_buffers=True)",
    "AveragedModel(model, avg_fn=lambda a, m, n: 0.7 * a + 0.3 * m)",
    "AveragedModel(model, avg_fn=get_ema_avg_fn(0.9))",
    "AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)",
    "AveragedModel(model, avg_fn=get_swa_avg_fn())",
    "AveragedModel(model, multi_avg_fn=get_swa_multi_avg_fn())",
]
