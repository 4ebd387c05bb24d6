"""The optimizers with step sizes per element that came before Adam: RMSprop, Adagrad, Adadelta."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.core.views import before_write
from framework.optim.checks import exclusive, floating, learning_rate, nonnegative
from framework.optim.functional import adadelta, adagrad, rmsprop
from framework.optim.optimizer import Optimizer
from framework.tensor import Tensor

__all__ = ["Adadelta", "Adagrad", "RMSprop", "adadelta", "adagrad", "rmsprop"]


class _Adaptive(Optimizer):
    """What the three have in common: the gradient with its sign and weight decay."""

    def _decayed(self, param: Any, grad: Any, group: dict[str, Any]) -> Any:
        if group["maximize"]:
            grad = np.negative(grad, out=self._room(param, 1))
        if group["weight_decay"]:
            room = np.multiply(param, group["weight_decay"], out=self._room(param))
            grad = np.add(grad, room, out=self._room(param, 1))
        return grad


class RMSprop(_Adaptive):
    r"""The gradient divided by the root of a running mean of its square.

    v = alpha v + (1 - alpha) g^2; p = p - lr g / (sqrt(v) + eps). With ``centered`` the square of
    the running mean of g is subtracted from v; with ``momentum`` the quotient goes into buf =
    momentum buf + quotient first. Hinton, lecture 6 of "Neural networks for machine learning";
    centered: Graves, "Generating sequences with recurrent neural networks", 2013. ValueError for a
    negative learning rate, ``alpha``, ``eps``, momentum or weight decay. Parameters of any shape,
    of float or complex dtype.

    >>> import framework as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.RMSprop([w], lr=0.1, alpha=0.75)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        learning_rate(lr)
        nonnegative("epsilon value", eps)
        nonnegative("momentum value", momentum)
        nonnegative("weight_decay value", weight_decay)
        nonnegative("alpha value", alpha)
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        self._count(state)
        self._buffer(p, state, "square_avg")
        if group["momentum"] > 0:
            self._buffer(p, state, "momentum_buffer")
        if group["centered"]:
            self._buffer(p, state, "grad_avg")

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], group: dict[str, Any], step: float
    ) -> None:
        lr, alpha = float(group["lr"]), group["alpha"]
        grad = self._decayed(param, grad, group)
        room = self._room(param)
        square = state["square_avg"]
        square *= alpha
        np.multiply(grad, grad, out=room)
        room *= 1 - alpha
        square += room
        if group["centered"]:
            mean = state["grad_avg"]
            np.subtract(grad, mean, out=room)
            room *= 1 - alpha
            mean += room
            np.multiply(mean, mean, out=room)
            np.subtract(square, room, out=room)
            np.sqrt(room, out=room)
        else:
            np.sqrt(square, out=room)
        room += group["eps"]
        np.divide(grad, room, out=room)
        if group["momentum"] > 0:
            buffer = state["momentum_buffer"]
            buffer *= group["momentum"]
            buffer += room
            np.multiply(buffer, lr, out=room)
        else:
            room *= lr
        param -= room


class Adagrad(_Adaptive):
    r"""The gradient divided by the root of the sum of all its squares.

    s = s + g^2; p = p - lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps). Duchi, Hazan and Singer,
    "Adaptive subgradient methods", JMLR 12 (2011). ValueError for a negative learning rate, decay,
    ``eps`` or initial value; RuntimeError in ``step`` for weight decay with sparse gradients.
    Parameters of any shape, of float or complex dtype.

    >>> import framework as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.Adagrad([w], lr=0.1)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        learning_rate(lr)
        nonnegative("lr_decay value", lr_decay)
        nonnegative("weight_decay value", weight_decay)
        nonnegative("initial_accumulator_value value", initial_accumulator_value)
        nonnegative("epsilon value", eps)
        exclusive(fused, foreach, differentiable)
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        floating(self, fused)
        for group in self.param_groups:  # PyTorch's optimizer has its state from the start
            for p in group["params"]:
                self._begin(p, group, self.state[p])

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        self._count(state)
        self._buffer(p, state, "sum", group["initial_accumulator_value"])

    def _update_sparse(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        if group["weight_decay"]:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        assert p.grad is not None
        grad = p.grad._data.coalesce()
        rows, new = tuple(grad.indices), -grad.values if group["maximize"] else grad.values
        total = state["sum"]
        for tensor in (p, total, state["step"]):
            before_write(tensor)
        state["step"]._data += 1
        total._data[rows] += new * new
        rate = float(group["lr"]) / (1 + (float(state["step"]._data) - 1) * group["lr_decay"])
        p._data[rows] -= rate * new / (np.sqrt(total._data[rows]) + group["eps"])

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], group: dict[str, Any], step: float
    ) -> None:
        rate = float(group["lr"]) / (1 + (step - 1) * group["lr_decay"])
        grad = self._decayed(param, grad, group)
        room = np.multiply(grad, grad, out=self._room(param))
        total = state["sum"]
        total += room
        np.sqrt(total, out=room)
        room += group["eps"]
        np.divide(grad, room, out=room)
        room *= rate
        param -= room


class Adadelta(_Adaptive):
    r"""The gradient scaled by the ratio of running means: of past updates and of gradients.

    v = rho v + (1 - rho) g^2; d = sqrt(u + eps) / sqrt(v + eps) * g; u = rho u + (1 - rho) d^2; p =
    p - lr d. Zeiler, "ADADELTA: an adaptive learning rate method", 2012. ValueError for a negative
    learning rate, ``eps`` or weight decay, or a ``rho`` outside of [0, 1]. Parameters of any shape,
    of float or complex dtype.

    >>> import framework as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.Adadelta([w])
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9968], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        learning_rate(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        nonnegative("epsilon value", eps)
        nonnegative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        self._count(state)
        self._buffer(p, state, "square_avg")
        self._buffer(p, state, "acc_delta")

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], group: dict[str, Any], step: float
    ) -> None:
        rho, eps = group["rho"], group["eps"]
        grad = self._decayed(param, grad, group)
        room, delta = self._room(param), self._room(param, 2)
        square, past = state["square_avg"], state["acc_delta"]
        square *= rho
        np.multiply(grad, grad, out=room)
        room *= 1 - rho
        square += room
        np.add(square, eps, out=room)
        np.sqrt(room, out=room)
        np.add(past, eps, out=delta)
        np.sqrt(delta, out=delta)
        delta /= room
        delta *= grad
        past *= rho
        np.multiply(delta, delta, out=room)
        room *= 1 - rho
        past += room
        delta *= float(group["lr"])
        param -= delta
