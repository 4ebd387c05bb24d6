"""SparseAdam: Adam for gradients that name only some rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.core.views import before_write
from framework.optim.checks import betas as checked_betas
from framework.optim.optimizer import Optimizer
from framework.tensor import Tensor, wrap

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """`Adam` that updates only the elements that a sparse gradient has, and their running means.

    The other elements' means are not decayed: "lazy" Adam. Gradients must be sparse, as those of
    ``Embedding(sparse=True)`` are. The formula is that of `Adam` (Kingma and Ba 2015). Parameters
    are dense, of any shape and of float dtype. Raises: ValueError for sparse or complex parameters,
    or an ``lr``, ``eps`` or beta out of range (IndexError for less than two betas); RuntimeError in
    ``step`` for a dense gradient.

    >>> import framework as torch
    >>> table = torch.nn.Embedding(3, 1, sparse=True)
    >>> _ = torch.nn.init.zeros_(table.weight)
    >>> optimizer = torch.optim.SparseAdam(table.parameters(), lr=0.5)
    >>> table(torch.tensor([1])).sum().backward()
    >>> optimizer.step()
    >>> table.weight.detach().flatten()
    tensor([ 0.0000, -0.5000,  0.0000])
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr > 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps > 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        betas = checked_betas(betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        self._refuse("Sparse", lambda p: p.is_sparse, "requires dense parameter tensors")
        self._refuse("Complex", Tensor.is_complex, "does not support complex parameters")

    def _refuse(self, kind: str, test: Any, why: str) -> None:
        found = [
            [i, j]
            for i, group in enumerate(self.param_groups)
            for j, p in enumerate(group["params"])
            if test(p)
        ]
        if found:
            raise ValueError(f"{kind} params at indices {found}: SparseAdam {why}")

    def _update_one(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        grad: Any = p.grad
        if not grad.is_sparse:
            raise RuntimeError(
                "SparseAdam does not support dense gradients, please consider Adam instead"
            )
        state["step"] = step = state.get("step", 0) + 1
        for name in ("exp_avg", "exp_avg_sq"):
            if name not in state:
                state[name] = wrap(np.zeros_like(p._data), p._device)
        grad = grad.coalesce()
        rows, new = tuple(grad.indices()._data), grad.values()._data
        if not new.size:
            return
        for tensor in (p, state["exp_avg"], state["exp_avg_sq"]):
            before_write(tensor)
        beta1, beta2 = group["betas"]
        new = -new if group["maximize"] else new
        means, squares = state["exp_avg"]._data, state["exp_avg_sq"]._data
        mean = means[rows] + (new - means[rows]) * (1 - beta1)
        square = squares[rows] + (new * new - squares[rows]) * (1 - beta2)
        means[rows], squares[rows] = mean, square
        rate = float(group["lr"]) * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
        p._data[rows] -= rate * mean / (np.sqrt(square) + group["eps"])
