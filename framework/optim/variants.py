"""Relatives of Adam: Adamax, NAdam and RAdam."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.optim.checks import betas as checked_betas
from framework.optim.checks import learning_rate, nonnegative
from framework.optim.functional import adamax, nadam, radam
from framework.optim.optimizer import Optimizer
from framework.tensor import Tensor

__all__ = ["Adamax", "NAdam", "RAdam", "adamax", "nadam", "radam"]


class _Moments(Optimizer):
    """What the three have in common: options, weight decay and the two running means."""

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        self._count(state)
        self._buffer(p, state, "exp_avg")
        self._buffer(p, state, "exp_avg_sq")

    def _decayed(self, param: Any, grad: Any, group: dict[str, Any]) -> Any:
        """The gradient with its sign and weight decay; a decoupled one shrinks ``param``."""
        decay = group["weight_decay"]
        if group["maximize"]:
            grad = np.negative(grad, out=self._room(param, 1))
        if decay and group.get("decoupled_weight_decay"):
            param *= 1 - float(group["lr"]) * decay
        elif decay:
            room = np.multiply(param, decay, out=self._room(param))
            grad = np.add(grad, room, out=self._room(param, 1))
        return grad

    def _average(self, mean: Any, value: Any, weight: float) -> None:
        """mean += weight (value - mean)."""
        room = np.subtract(value, mean, out=self._room(mean))
        room *= weight
        mean += room

    def _square_average(self, square: Any, grad: Any, beta: float) -> None:
        room = np.multiply(grad, grad, out=self._room(square))
        room *= 1 - beta
        square *= beta
        square += room


class Adamax(_Moments):
    r"""`Adam` with the largest gradient in place of the root of the mean square.

    m = beta1 m + (1 - beta1) g; u = max(beta2 u, |g| + eps); p = p - lr / (1 - beta1^t) * m / u.
    Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015, section 7. ValueError
    and IndexError as of `Adam`. Parameters of any shape, of float or complex dtype.

    >>> import framework as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.Adamax([w], lr=0.1)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        learning_rate(lr)
        nonnegative("epsilon value", eps)
        betas = checked_betas(betas)
        nonnegative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        self._count(state)
        self._buffer(p, state, "exp_avg")
        self._buffer(p, state, "exp_inf")

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], group: dict[str, Any], step: float
    ) -> None:
        beta1, beta2 = group["betas"]
        grad = self._decayed(param, grad, group)
        mean, largest = state["exp_avg"], state["exp_inf"]
        self._average(mean, grad, 1 - beta1)
        room = np.abs(grad, out=self._room(param))
        room += group["eps"]
        largest *= beta2
        np.maximum(largest, room, out=largest)
        np.divide(mean, largest, out=room)
        room *= float(group["lr"]) / (1 - beta1**step)
        param -= room


class NAdam(_Moments):
    r"""`Adam` with Nesterov momentum.

    With mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2) and M_t the product of mu_1 ... mu_t, the
    step is lr (1 - mu_t) / (1 - M_t) g + lr mu_(t+1) / (1 - M_(t+1)) m, over sqrt(v / (1 -
    beta2^t)) + eps. Dozat, "Incorporating Nesterov momentum into Adam", 2016. ValueError and
    IndexError as of `Adam`, and for a negative ``momentum_decay``. Parameters of any shape, of
    float or complex dtype.

    >>> import framework as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.NAdam([w], lr=0.1)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8944], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        learning_rate(lr)
        nonnegative("epsilon value", eps)
        betas = checked_betas(betas)
        nonnegative("weight_decay value", weight_decay)
        nonnegative("momentum_decay value", momentum_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        self._count(state)
        self._scalar(state, "mu_product", 1.0)
        super()._begin(p, group, state)

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], group: dict[str, Any], step: float
    ) -> None:
        lr, decay = float(group["lr"]), group["momentum_decay"]
        beta1, beta2 = group["betas"]
        grad = self._decayed(param, grad, group)
        mean, square, product = state["exp_avg"], state["exp_avg_sq"], state["mu_product"]
        mu = beta1 * (1.0 - 0.5 * 0.96 ** (step * decay))
        following = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1) * decay))
        product *= mu
        self._average(mean, grad, 1 - beta1)
        self._square_average(square, grad, beta2)
        root = np.divide(square, 1 - beta2**step, out=self._room(param, 2))
        np.sqrt(root, out=root)
        root += group["eps"]
        room = np.divide(grad, root, out=self._room(param))
        room *= lr * (1.0 - mu) / (1.0 - float(product))
        param -= room
        np.divide(mean, root, out=room)
        room *= lr * following / (1.0 - float(product) * following)
        param -= room


class RAdam(_Moments):
    r"""`Adam` that starts as momentum and adapts its step sizes only when it has seen enough.

    rho = 2 / (1 - beta2) - 1; rho_t = rho - 2 t beta2^t / (1 - beta2^t). While rho_t <= 5 the step
    is lr m / (1 - beta1^t); then Adam's times sqrt((rho_t - 4) (rho_t - 2) rho / ((rho - 4) (rho -
    2) rho_t)). Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020.
    ValueError and IndexError as of `Adam`. Parameters of any shape, of float or complex dtype.

    >>> import framework as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.RAdam([w], lr=0.1)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        learning_rate(lr)
        nonnegative("epsilon value", eps)
        betas = checked_betas(betas)
        nonnegative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], group: dict[str, Any], step: float
    ) -> None:
        beta1, beta2 = group["betas"]
        grad = self._decayed(param, grad, group)
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        self._average(mean, grad, 1 - beta1)
        self._square_average(square, grad, beta2)
        correction = 1 - beta2**step
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / correction
        room = np.divide(mean, 1 - beta1**step, out=self._room(param))
        room *= float(group["lr"])
        if length > 5.0:
            root = np.sqrt(square, out=self._room(param, 2))
            root += group["eps"]
            room *= correction**0.5
            room /= root
            shape = (length - 4) * (length - 2) * longest
            room *= (shape / ((longest - 4) * (longest - 2) * length)) ** 0.5
        param -= room
