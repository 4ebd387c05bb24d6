"""Optimizers that look at a parameter as a matrix: Adafactor and Muon."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework import dtypes
from framework.kernels import module_of
from framework.optim.optimizer import Optimizer
from framework.tensor import Tensor, wrap

__all__ = ["Adafactor", "Muon"]


def _not_negative(name: str, value: Any) -> None:
    if not value >= 0.0:
        raise ValueError(f"{name} should be >= 0 but is: {value}")


def _one_element(lr: Any) -> None:
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")


class Adafactor(Optimizer):
    r"""Adaptive step sizes from running means of the squares of rows and columns only.

    For a matrix V is row_var col_var / mean(row_var); the update g / sqrt(V) is scaled down to a
    root mean square of at most ``d`` and by max(eps[1], rms(p)) min(lr, 1 / sqrt(t)). The running
    means have the weight t^beta2_decay for the newest value. Shazeer and Stern, "Adafactor:
    adaptive learning rates with sublinear memory cost", ICML 2018. ValueError for a negative
    learning rate or weight decay, a positive ``beta2_decay`` or a ``d`` below 1; RuntimeError in
    ``step`` for complex parameters. Parameters of any shape, of float dtype; the means of rows and
    columns are kept from two dimensions on.

    Args:
        eps: smallest root of a variance (None: the dtype's epsilon), and smallest rms of p.
        weight_decay: p is first multiplied by 1 - lr weight_decay.

    >>> import framework as torch
    >>> w = torch.ones(2, 2, requires_grad=True)
    >>> optimizer = torch.optim.Adafactor([w], lr=0.1)
    >>> w.sum().backward()
    >>> optimizer.step()
    >>> w[0, 0].item()
    0.8999999761581421
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        _one_element(lr)
        _not_negative("Learning rate", lr)
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None:
            _not_negative("epsilon1", eps[0])
        _not_negative("epsilon2", eps[1])
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        _not_negative("weight_decay", weight_decay)
        defaults = {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        if p.is_complex():
            raise RuntimeError("Adafactor does not support complex parameters")
        self._count(state)
        data = p._data
        first = group["eps"][0]
        self._least = dtypes.finfo(p.dtype).eps if first is None else first
        if "row_var" in state or "variance" in state:
            return
        shapes = {"variance": data.shape}
        if data.ndim > 1:
            *rest, rows, cols = data.shape
            shapes = {"row_var": (*rest, rows, 1), "col_var": (*rest, 1, cols)}
        for name, shape in shapes.items():
            state[name] = wrap(module_of(data).zeros(shape, data.dtype), p._device)

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], group: dict[str, Any], step: float
    ) -> None:
        lr, weight = float(group["lr"]), step ** group["beta2_decay"]
        if group["maximize"]:
            grad = -grad
        size = max(group["eps"][1], _rms(param))
        rate = size * min(lr, 1 / math.sqrt(step))
        if group["weight_decay"]:
            param *= 1 - lr * group["weight_decay"]
        squares = grad * grad
        if grad.ndim > 1:
            rows, cols = state["row_var"], state["col_var"]
            _lerp(rows, squares.mean(-1, keepdims=True), weight)
            _lerp(cols, squares.mean(-2, keepdims=True), weight)
            variance = rows @ cols
            variance /= rows.mean(-2, keepdims=True).clip(self._least, None)
        else:
            _lerp(state["variance"], squares, weight)
            variance = state["variance"].copy()
        update = grad / np.sqrt(variance.clip(self._least * self._least, None))
        update *= rate / max(1.0, _rms(update) / group["d"])
        param -= update


def _rms(a: Any) -> float:
    """The root mean square of all elements; NaN if there are none."""
    return float(np.sqrt((a * a).sum())) / math.sqrt(a.size) if a.size else math.nan


def _lerp(mean: Any, value: Any, weight: float) -> None:
    """mean += weight (value - mean), from the nearer end, as PyTorch's lerp does."""
    step = value - mean
    if abs(weight) < 0.5:
        mean += step * weight
    else:
        mean[...] = value - step * (1 - weight)


class Muon(Optimizer):
    r"""Momentum whose matrix is replaced by the nearest (semi-)orthogonal one, roughly.

    b = momentum b + (1 - momentum) g; the update, b or with ``nesterov`` (1 - momentum) g +
    momentum b, goes through ``ns_steps`` Newton-Schulz steps X = a X + (b A + c A A) X with A = X
    X^T, in bfloat16, as in Jordan et al., "Muon: an optimizer for hidden layers in neural
    networks", 2024. For parameters (m, n) of float dtype only. ValueError for parameters that are
    no matrices, a negative learning rate, momentum or weight decay; RuntimeError for complex ones,
    in ``step``.

    Args:
        weight_decay: p is first multiplied by 1 - lr weight_decay.
        adjust_lr_fn: "original" (or None): lr sqrt(max(1, rows / columns)); "match_rms_adamw":
            0.2 lr sqrt(max(rows, columns)).

    >>> import framework as torch
    >>> w = torch.eye(2, requires_grad=True)
    >>> optimizer = torch.optim.Muon([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> bool(0.85 < w[0, 0] < 0.95)
    True
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        _one_element(lr)
        _not_negative("Learning rate", lr)
        _not_negative("momentum", momentum)
        _not_negative("weight decay", weight_decay)
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        "Muon only supports 2D parameters whereas we found a parameter with size: "
                        f"{p.size()}"
                    )

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        if p.is_complex():
            raise RuntimeError("Muon does not support complex parameters")
        if group["ns_steps"] >= 100:
            raise ValueError("Number of steps must be less than 100 for computational efficiency")
        if len(group["ns_coefficients"]) != 3:
            raise ValueError("Coefficients must be a tuple of exactly 3 values")
        self._buffer(p, state, "momentum_buffer")

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], group: dict[str, Any], step: float
    ) -> None:
        lr, momentum = float(group["lr"]), group["momentum"]
        update = state["momentum_buffer"]
        _lerp(update, grad, 1 - momentum)
        if group["nesterov"]:
            start = grad.copy()
            _lerp(start, update, momentum)
            update = start
        update = _orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, cols = param.shape
        ratio = math.sqrt(max(1, rows / cols))
        if group["adjust_lr_fn"] == "match_rms_adamw":
            ratio = 0.2 * math.sqrt(max(rows, cols))
        param *= 1 - lr * group["weight_decay"]
        param -= (update * (lr * ratio)).astype(param.dtype, copy=False)


def _orthogonal(matrix: Any, coefficients: Any, steps: int, eps: float) -> Any:
    """Newton-Schulz steps on float32 arrays that are rounded to bfloat16 after each product."""
    a, b, c = coefficients
    x = _rounded(matrix)
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    norm = _rounded(np.sqrt((x * x).sum()))
    x = _rounded(x / np.maximum(norm, _rounded(np.float32(eps))))
    for _ in range(steps):
        gram = _rounded(x @ x.T)
        gram = _rounded(b * gram + c * (gram @ gram))
        x = _rounded(a * x + gram @ x)
    return x.T if tall else x


def _rounded(a: Any) -> Any:
    return a.astype(dtypes.bfloat16.numpy).astype(np.float32)
