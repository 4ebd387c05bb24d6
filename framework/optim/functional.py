"""The functions that PyTorch's optimizers call: ``optim.adam.adam(params, grads, ...)``.

Each updates parameters by gradients and lists of states that its caller keeps, and is one turn of
the class of the same name. What PyTorch asks about its implementations is accepted.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from framework.core.modes import no_grad

__all__ = [
    "adadelta", "adagrad", "adam", "adamax", "adamw", "asgd", "nadam", "radam", "rmsprop", "rprop",
    "sgd",
]  # fmt: skip


class _Form(NamedTuple):
    """A function: the class it is a turn of, its states in order, and its options."""

    kind: str
    states: dict[str, str]  # the list's name -> the state's, as the class has it
    flags: str  # options by position, all of them with a default
    needed: str  # options that have none
    example: str  # what comes after the parameters and gradients in the docstring's example
    shown: str  # what a parameter of 1 with a gradient of 1 is afterwards


_STEPS = {"state_steps": "step"}
_MEANS = {"exp_avgs": "exp_avg", "exp_avg_sqs": "exp_avg_sq"}
_ADAM = {**_MEANS, "max_exp_avg_sqs": "max_exp_avg_sq", **_STEPS}
_ADAM_FLAGS = "foreach capturable differentiable fused grad_scale found_inf has_complex"
_ADAM_NEEDED = "amsgrad beta1 beta2 lr weight_decay eps maximize"
_ADAM_CALL = (
    "[zero()], [zero()], [], [zero()], amsgrad=False,\n    ...     beta1=0.9, beta2=0.999, lr=0.1, "
    "weight_decay=0.0, eps=1e-8, maximize=False,"
)
_FORMS = {
    "adadelta": _Form(
        "Adadelta", {"square_avgs": "square_avg", "acc_deltas": "acc_delta", **_STEPS},
        "capturable foreach differentiable has_complex", "lr rho eps weight_decay maximize",
        "[zero()], [zero()], [zero()], lr=1.0, rho=0.9,\n    ...     eps=0.01, weight_decay=0.0, "
        "maximize=False,", "0.6985",
    ),
    "adagrad": _Form(
        "Adagrad", {"state_sums": "sum", **_STEPS},
        "fused grad_scale found_inf has_sparse_grad foreach differentiable has_complex",
        "lr weight_decay lr_decay eps maximize",
        "[zero()], [zero()], lr=0.1, weight_decay=0.0,\n    ...     lr_decay=0.0, eps=1e-10, "
        "maximize=False,", "0.9000",
    ),
    "adam": _Form(
        "Adam", _ADAM, f"{_ADAM_FLAGS} decoupled_weight_decay", _ADAM_NEEDED, _ADAM_CALL, "0.9000"
    ),
    "adamax": _Form(
        "Adamax", {"exp_avgs": "exp_avg", "exp_infs": "exp_inf", **_STEPS},
        "foreach maximize differentiable capturable has_complex", "eps beta1 beta2 lr weight_decay",
        "[zero()], [zero()], [zero()], eps=1e-8, beta1=0.9,\n    ...     beta2=0.999, lr=0.1, "
        "weight_decay=0.0,", "0.9000",
    ),
    "adamw": _Form("AdamW", _ADAM, _ADAM_FLAGS, _ADAM_NEEDED, _ADAM_CALL, "0.9000"),
    "asgd": _Form(
        "ASGD", {"axs": "ax", "mus": "mu", "etas": "eta", **_STEPS},
        "foreach maximize differentiable capturable has_complex", "lambd lr t0 alpha weight_decay",
        "[zero()], [zero() + 1], [zero() + 0.1], [zero()],\n    ...     lambd=0.0, lr=0.1, t0=1e6, "
        "alpha=0.75, weight_decay=0.0,", "0.9000",
    ),
    "nadam": _Form(
        "NAdam", {**_MEANS, "mu_products": "mu_product", **_STEPS},
        "decoupled_weight_decay foreach capturable differentiable has_complex maximize",
        "beta1 beta2 lr weight_decay momentum_decay eps",
        "[zero()], [zero()], [zero() + 1], [zero()],\n    ...     beta1=0.9, beta2=0.999, lr=0.1, "
        "weight_decay=0.0, momentum_decay=0.0,\n    ...     eps=1e-8,", "0.8944",
    ),
    "radam": _Form(
        "RAdam", {**_MEANS, **_STEPS},
        "decoupled_weight_decay foreach differentiable capturable has_complex maximize",
        "beta1 beta2 lr weight_decay eps",
        "[zero()], [zero()], [zero()], beta1=0.9, beta2=0.999,\n    ...     lr=0.1, "
        "weight_decay=0.0, eps=1e-8,", "0.9000",
    ),
    "rmsprop": _Form(
        "RMSprop", {"square_avgs": "square_avg", "grad_avgs": "grad_avg",
                    "momentum_buffer_list": "momentum_buffer", **_STEPS},
        "foreach maximize differentiable capturable has_complex",
        "lr alpha eps weight_decay momentum centered",
        "[zero()], [], [], [zero()], lr=0.1, alpha=0.75,\n    ...     eps=1e-8, weight_decay=0.0, "
        "momentum=0.0, centered=False,", "0.8000",
    ),
    "rprop": _Form(
        "Rprop", {"prevs": "prev", "step_sizes": "step_size", **_STEPS},
        "foreach capturable maximize differentiable has_complex",
        "step_size_min step_size_max etaminus etaplus",
        "[zero()], [zero() + 0.1], [zero()],\n    ...     step_size_min=1e-6, step_size_max=50.0, "
        "etaminus=0.5, etaplus=1.2,", "0.9000",
    ),
    "sgd": _Form(
        "SGD", {"momentum_buffer_list": "momentum_buffer"},
        "has_sparse_grad foreach fused grad_scale found_inf",
        "weight_decay momentum lr dampening nesterov maximize",
        "[None], weight_decay=0.0, momentum=0.9, lr=0.1,\n    ...     dampening=0.0, nesterov=False"
        ", maximize=False,", "0.9000",
    ),
}  # fmt: skip

# Options that classes take two by two.
_PAIRS = {
    "betas": ("beta1", "beta2"), "etas": ("etaminus", "etaplus"),
    "step_sizes": ("step_size_min", "step_size_max"),
}  # fmt: skip
_IGNORED = frozenset("foreach fused has_sparse_grad has_complex".split())


def _function(name: str, form: _Form) -> Callable[..., None]:
    gradients = "d_p_list" if name == "sgd" else "grads"
    signature = _signature(gradients, form)

    def call(*args: Any, **options: Any) -> None:
        given = signature.bind(*args, **options)
        given.apply_defaults()
        values = given.arguments
        if values.pop("grad_scale", None) is not None or values.pop("found_inf", None) is not None:
            raise AssertionError("Expected grad_scale and found_inf to be None")
        params, grads = values.pop("params"), values.pop(gradients)
        states = {own: values.pop(lists) for lists, own in form.states.items()}
        if params:
            _turn(form.kind, params, grads, states, _options(values))

    call.__name__ = call.__qualname__ = name
    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__doc__ = f"""One turn of `{form.kind}`: parameters and states are written in place.

    The states of each parameter stand in lists: {", ".join(form.states)}. The options are those of
    the class. AssertionError for ``grad_scale`` or ``found_inf``.

    Gradients and states have the shapes and dtypes of their parameters, which are floating; steps
    are float32 of shape ().

    >>> import framework as torch
    >>> from framework.optim.functional import {name}
    >>> p, g, zero = torch.ones(()), torch.ones(()), lambda: torch.zeros(())
    >>> {name}(
    ...     [p], [g], {form.example}
    ... )
    >>> p
    tensor({form.shown})
    """
    return call


def _signature(gradients: str, form: _Form) -> inspect.Signature:
    plain = inspect.Parameter.POSITIONAL_OR_KEYWORD
    none = ("foreach", "fused", "grad_scale", "found_inf")
    return inspect.Signature([
        *[inspect.Parameter(n, plain) for n in ("params", gradients, *form.states)],
        *[inspect.Parameter(n, plain, default=None if n in none else False)
          for n in form.flags.split()],
        *[inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY) for n in form.needed.split()],
    ])  # fmt: skip


def _options(values: dict[str, Any]) -> dict[str, Any]:
    """Of a function's options those of its class."""
    found = {k: v for k, v in values.items() if k not in _IGNORED}
    for pair, names in _PAIRS.items():
        if names[0] in found:
            found[pair] = tuple([found.pop(n) for n in names])
    return found


def _turn(kind: str, params: Any, grads: Any, states: dict[str, Any], options: Any) -> None:
    from framework import optim

    optimizer = getattr(optim, kind)(params, **options)
    group = optimizer.param_groups[0]
    for i, (p, grad) in enumerate(zip(params, grads)):
        state = {name: own[i] for name, own in states.items() if len(own) > i}
        state = {name: value for name, value in state.items() if value is not None}
        given = dict(state)
        before, p.grad = p.grad, grad
        try:
            with no_grad():
                optimizer._update_one(p, group, state)
        finally:
            p.grad = before
        for name, own in states.items():
            now = state.get(name)
            if now is None or now is given.get(name):
                continue
            if name in given:
                given[name].copy_(now)
            elif len(own) > i:
                own[i] = now


adadelta, adagrad, adam, adamax, adamw, asgd, nadam, radam, rmsprop, rprop, sgd = [
    _function(_name, _FORMS[_name]) for _name in __all__
]
