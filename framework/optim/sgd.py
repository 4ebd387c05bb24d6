"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.core.views import before_write
from framework.kernels import module_of
from framework.kernels.compiled import LARGE, updates
from framework.optim.checks import exclusive, floating, learning_rate, nonnegative, plain_numbers
from framework.optim.functional import sgd
from framework.optim.optimizer import Optimizer
from framework.tensor import Tensor, wrap

__all__ = ["SGD", "sgd"]


class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum.

    With gradient g of parameter p: g' = g + weight_decay p; buf = momentum buf + (1 - dampening) g'
    (the first time buf = g'); p = p - lr buf, with ``nesterov`` p - lr (g' + momentum buf), without
    momentum p - lr g'. Nesterov's form is that of Sutskever et al., "On the importance of
    initialization and momentum in deep learning", ICML 2013, as PyTorch has it. ValueError for a
    negative learning rate, momentum or weight decay, or Nesterov momentum without any; RuntimeError
    in ``step`` for what sparse gradients cannot have. Parameters of any shape, of float or complex
    dtype.

    Args:
        maximize: go up the gradient instead of down.
        foreach, fused: accepted and ignored; there is one implementation.

    >>> import framework as torch
    >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = torch.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000, 1.6000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        learning_rate(lr)
        nonnegative("momentum value", momentum)
        nonnegative("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        exclusive(fused, foreach, differentiable)
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize, "foreach": foreach,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        floating(self, fused)

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        self._first = False
        if group["momentum"] and state.get("momentum_buffer") is None:
            self._first = True
            state["momentum_buffer"] = wrap(module_of(p._data).empty_like(p._data), p._device)

    def _update_sparse(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        if group["weight_decay"]:
            raise RuntimeError(
                "add(sparse, dense) is not supported. Use add(dense, sparse) instead: weight_decay "
                "does not go with sparse gradients"
            )
        assert p.grad is not None
        before_write(p)
        grad, momentum = p.grad._data, group["momentum"]
        if group["maximize"]:
            grad = -grad
        if momentum:
            old = state.get("momentum_buffer")
            buffer = grad.copy()
            if old is not None:
                buffer = old._data * momentum + grad * (1 - group["dampening"])
            state["momentum_buffer"] = wrap(buffer, p._device)
            grad = grad + buffer * momentum if group["nesterov"] else buffer
        grad = grad.coalesce()
        p._data[tuple(grad.indices)] -= float(group["lr"]) * grad.values

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], group: dict[str, Any], step: float
    ) -> None:
        lr, momentum, decay = float(group["lr"]), group["momentum"], group["weight_decay"]
        dampening = group["dampening"]
        buffer: Any = state["momentum_buffer"] if momentum else None
        quick = None
        if hasattr(param, "size") and param.size >= LARGE:  # below, NumPy's passes are quicker
            quick = updates(param, grad, *(() if buffer is None else (buffer,)))
        if quick and plain_numbers(momentum, decay, dampening):
            quick.sgd(
                param, grad, buffer, lr, momentum, dampening, decay, group["maximize"],
                momentum and self._first, group["nesterov"],
            )  # fmt: skip
            return
        room = self._room(param)
        if group["maximize"]:
            grad = np.negative(grad, out=self._room(param, 1))
        if decay:
            np.multiply(param, decay, out=room)
            grad = np.add(grad, room, out=self._room(param, 1))
        if buffer is not None:
            if self._first:
                # Of a differentiable step PyTorch leaves the history of the first buffer out.
                buffer[...] = grad.detach() if group.get("differentiable") else grad
            else:
                buffer *= momentum
                buffer += np.multiply(grad, 1 - dampening, out=room) if dampening else grad
            if group["nesterov"]:
                np.multiply(buffer, momentum, out=room)
                room += grad
                grad = room
            else:
                grad = buffer
        param -= np.multiply(grad, lr, out=room)
