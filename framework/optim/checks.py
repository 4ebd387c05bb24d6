"""Checks of hyperparameters, in PyTorch's words."""

from __future__ import annotations

from typing import Any

__all__ = ["betas", "nonnegative", "unsupported"]


def nonnegative(name: str, value: Any) -> None:
    """Refuse a negative (or NaN) hyperparameter."""
    if not value >= 0.0:
        raise ValueError(f"Invalid {name}: {value}")


def betas(values: Any) -> tuple[float, float]:
    """Two decay rates, each in [0, 1)."""
    first, second = values
    for i, beta in enumerate((first, second)):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
    return first, second


def unsupported(**options: bool) -> None:
    """Refuse options that would change what is computed and that are not there."""
    for name, value in options.items():
        if value:
            raise NotImplementedError(f"optimizers: {name}=True is not supported")
