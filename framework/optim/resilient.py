"""Optimizers that need little or no choice of a rate: Rprop, and averaged SGD."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework import dtypes
from framework.optim.checks import learning_rate, nonnegative
from framework.optim.functional import asgd, rprop
from framework.optim.optimizer import Optimizer
from framework.tensor import Tensor

__all__ = ["ASGD", "Rprop", "asgd", "rprop"]


class Rprop(Optimizer):
    r"""Resilient backpropagation: step sizes per element that only look at the gradient's sign.

    A step size grows by etas[1] while the sign stays and shrinks by etas[0] when it changes (then
    nothing moves). Riedmiller and Braun, "A direct adaptive method for faster backpropagation
    learning: the RPROP algorithm", 1993. For full batches only. ValueError for a negative learning
    rate or ``etas`` that are not below and above 1. Parameters of any shape, of float or complex
    dtype.

    >>> import framework as torch
    >>> w = torch.tensor([1.0, -1.0], requires_grad=True)
    >>> optimizer = torch.optim.Rprop([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.9000, -0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        learning_rate(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        self._count(state)
        self._buffer(p, state, "prev")
        self._buffer(p, state, "step_size", float(group["lr"]))

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], group: dict[str, Any], step: float
    ) -> None:
        shrink, grow = group["etas"]
        before, sizes = state["prev"], state["step_size"]
        grad = np.multiply(grad, -1 if group["maximize"] else 1, out=self._room(param, 1))
        agreement = np.multiply(grad, before, out=self._room(param))
        turned = agreement < 0
        sizes[agreement > 0] *= grow
        sizes[turned] *= shrink
        np.clip(sizes, *group["step_sizes"], out=sizes)
        grad[turned] = 0
        before[...] = grad
        param -= np.multiply(np.sign(grad), sizes, out=self._room(param))


class ASGD(Optimizer):
    r"""SGD that keeps the average of the parameters, in ``state[p]["ax"]``.

    p = (1 - lambd eta) p - eta g with eta = lr / (1 + lambd lr t)^alpha; ax += mu (p - ax) with mu
    = 1 / max(1, t - t0). Polyak and Juditsky, "Acceleration of stochastic approximation by
    averaging", 1992. ValueError for a negative learning rate or weight decay. Parameters of any
    shape, of float or complex dtype.

    >>> import framework as torch
    >>> w = torch.tensor([1.0], requires_grad=True)
    >>> optimizer = torch.optim.ASGD([w], lr=0.1)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        learning_rate(lr)
        nonnegative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        self._count(state)
        self._scalar(state, "eta", float(group["lr"]))
        self._scalar(state, "mu", 1.0)
        self._buffer(p, state, "ax")

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], group: dict[str, Any], step: float
    ) -> None:
        lr, lambd = float(group["lr"]), group["lambd"]
        eta, mu, average = float(state["eta"]), float(state["mu"]), state["ax"]
        if group["maximize"]:
            grad = np.negative(grad, out=self._room(param, 1))
        room = self._room(param)
        if group["weight_decay"]:
            np.multiply(param, group["weight_decay"], out=room)
            grad = np.add(grad, room, out=self._room(param, 1))
        param *= 1 - lambd * eta
        param -= np.multiply(grad, eta, out=room)
        if mu == 1:
            average[...] = param
        else:
            np.subtract(param, average, out=room)
            room *= mu
            average += room
        kind = dtypes.get_default_dtype().numpy.type  # PyTorch rounds both through it
        state["eta"][...] = kind(lr / (1 + lambd * lr * step) ** group["alpha"])
        state["mu"][...] = kind(1 / max(1, step - group["t0"]))
