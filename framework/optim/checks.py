"""Checks of hyperparameters, in PyTorch's words."""

from __future__ import annotations

from typing import Any

from framework.tensor import Tensor

__all__ = ["betas", "exclusive", "floating", "learning_rate", "nonnegative", "of_one_kind",
           "plain_numbers"]  # fmt: skip

_PLAIN = frozenset({float, int})


def nonnegative(name: str, value: Any) -> None:
    """Refuse a negative (or NaN) hyperparameter."""
    if not value >= 0.0:
        raise ValueError(f"Invalid {name}: {value}")


def learning_rate(lr: Any, foreach: Any = None, capturable: bool = False) -> None:
    """Refuse a negative rate, and a tensor that is no single number."""
    if isinstance(lr, Tensor):
        if foreach and not capturable:
            raise ValueError(
                "lr as a Tensor is not supported for capturable=False and foreach=True"
            )
        if lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
    nonnegative("learning rate", lr)


def betas(values: Any) -> tuple[float, float]:
    """Two decay rates, each in [0, 1)."""
    if len(values) != 2:
        kind = IndexError if len(values) < 2 else ValueError  # as where PyTorch takes them apart
        raise kind(f"betas: expected two decay rates, but got {len(values)}")
    first, second = values
    for i, beta in enumerate((first, second)):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
    return first, second


def of_one_kind(betas: tuple[Any, Any], foreach: Any, capturable: bool) -> None:
    """Refuse decay rates that are neither both floats nor both tensors of one number."""
    tensors = [isinstance(b, Tensor) for b in betas]
    if not all(tensors) and not all(isinstance(b, float) for b in betas):
        raise ValueError("betas must be either both floats or both Tensors")
    for i, beta in enumerate(betas if all(tensors) else ()):
        if foreach and not capturable:
            raise ValueError(
                f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True"
            )
        if beta.numel() != 1:
            raise ValueError(f"Tensor betas[{i}] must be 1-element")


def exclusive(fused: Any, foreach: Any, differentiable: bool) -> None:
    """Refuse combinations of implementations that PyTorch refuses."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def floating(optimizer: Any, fused: Any) -> None:
    """Refuse the fused implementation for parameters that PyTorch's does not take."""
    for group in optimizer.param_groups if fused else ():
        for p in group["params"]:
            if not p.is_floating_point():
                raise RuntimeError(
                    "`fused=True` requires all the params to be floating point Tensors of "
                    "supported devices: ['mps', 'cuda', 'xpu', 'hpu', 'cpu', 'mtia', "
                    f"'privateuseone'] but {p.dtype} and {p.device.type}"
                )


def plain_numbers(*values: Any) -> bool:
    """Whether all are Python's own numbers, whose type no array takes on."""
    return _PLAIN.issuperset(map(type, values))
