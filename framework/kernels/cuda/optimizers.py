"""A parameter's update in one launch; the functions are those of `compiled.optimizers`."""

from __future__ import annotations

from typing import Any

from framework.kernels.cuda import blocks_for, launch

__all__ = ["adam", "sgd"]


def sgd(
    param: Any, grad: Any, buffer: Any, lr: float, momentum: float, dampening: float,
    decay: float, maximize: bool, first: bool, nesterov: bool,
) -> None:  # fmt: skip
    """Write the new values into ``param`` and ``buffer``, which is None without momentum."""
    numbers = (float(v) for v in (lr, momentum, 1 - dampening, decay))
    launch("optimizers", "sgd", _blocks(param), 256, param, grad, buffer, param.size, *numbers,
           int(maximize), int(first), int(nesterov))  # fmt: skip


def adam(
    param: Any, grad: Any, mean: Any, square: Any, largest: Any, lr: float,
    betas: tuple[float, float], eps: float, decay: float, decoupled: bool, maximize: bool,
    step: float,
) -> None:  # fmt: skip
    """Write the new values into ``param``, its means and, unless it is None, ``largest``."""
    beta1, beta2 = betas
    shrink = 1 - lr * decay if decoupled else 1.0
    numbers = (1 - beta1, beta2, 1 - beta2, 0.0 if decoupled else decay,
               (1 - beta2**step) ** 0.5, eps, lr / (1 - beta1**step), shrink)  # fmt: skip
    launch("optimizers", "adam", _blocks(param), 256, param, grad, mean, square, largest,
           param.size, *map(float, numbers), int(maximize))  # fmt: skip


def _blocks(param: Any) -> int:
    return blocks_for(param.size * param.dtype.itemsize // 16)
