"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.kernels.compiled import updates
from framework.optim.checks import betas as checked_betas
from framework.optim.checks import (
    exclusive,
    floating,
    learning_rate,
    nonnegative,
    of_one_kind,
    plain_numbers,
)
from framework.optim.functional import adam, adamw
from framework.optim.optimizer import Optimizer
from framework.tensor import Tensor

__all__ = ["Adam", "AdamW", "adam", "adamw"]


class Adam(Optimizer):
    r"""Adam: step sizes from running means of the gradient and of its square.

    m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; p = p - lr / (1 - beta1^t) * m /
    (sqrt(v / (1 - beta2^t)) + eps). Kingma and Ba, "Adam: a method for stochastic optimization",
    ICLR 2015. With ``amsgrad`` the largest v so far takes v's place (Reddi et al., "On the
    convergence of Adam and beyond", ICLR 2018). ValueError for a negative learning rate, ``eps`` or
    weight decay, or a beta outside of [0, 1), IndexError for less than two. Parameters of any
    shape, of float or complex dtype.

    Args:
        betas: decay rates of the two running means.
        eps: added to the denominator.
        weight_decay: weight_decay * p is added to the gradient.
        maximize: go up the gradient instead of down.
        decoupled_weight_decay: shrink the parameter instead, as `AdamW` does.
        foreach, fused, capturable: accepted and ignored; there is one implementation.

    >>> import framework as torch
    >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = torch.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000, 1.9000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        learning_rate(lr, foreach, capturable)
        nonnegative("epsilon value", eps)
        betas = checked_betas(betas)
        nonnegative("weight_decay value", weight_decay)
        of_one_kind(betas, foreach, capturable)
        exclusive(fused, foreach, differentiable)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)
        floating(self, fused)

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        self._count(state)
        self._buffer(p, state, "exp_avg")
        self._buffer(p, state, "exp_avg_sq")
        if group["amsgrad"]:
            self._buffer(p, state, "max_exp_avg_sq")

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], group: dict[str, Any], step: float
    ) -> None:
        lr, decay = float(group["lr"]), group["weight_decay"]
        beta1, beta2 = map(float, group["betas"])
        mean, square, eps = state["exp_avg"], state["exp_avg_sq"], group["eps"]
        largest = state["max_exp_avg_sq"] if group["amsgrad"] else None
        kept = (mean, square) if largest is None else (mean, square, largest)
        quick = updates(param, grad, *kept)
        if quick and plain_numbers(decay, eps):
            quick.adam(
                param, grad, mean, square, largest, lr, (beta1, beta2), eps, decay,
                bool(group.get("decoupled_weight_decay")), group["maximize"], step,
            )  # fmt: skip
            return
        room = self._room(param)
        if group["maximize"]:
            grad = np.negative(grad, out=self._room(param, 1))
        if decay and group.get("decoupled_weight_decay"):
            param *= 1 - lr * decay
        elif decay:
            np.multiply(param, decay, out=room)
            grad = np.add(grad, room, out=self._room(param, 1))
        np.subtract(grad, mean, out=room)
        room *= 1 - beta1
        mean += room
        square *= beta2
        np.multiply(grad, grad, out=room)
        room *= 1 - beta2
        square += room
        if largest is not None:
            square = np.maximum(largest, square, out=largest)
        np.sqrt(square, out=room)
        room /= (1 - beta2**step) ** 0.5
        room += eps
        np.divide(mean, room, out=room)
        room *= lr / (1 - beta1**step)
        param -= room


class AdamW(Adam):
    r"""`Adam` that shrinks the parameters by lr * weight_decay instead of changing the gradient.

    Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019. ValueError and
    IndexError as of `Adam`. Parameters of any shape, of float or complex dtype.

    >>> import framework as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8500], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad,
            foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip
