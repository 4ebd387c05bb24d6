"""LBFGS: a quasi-Newton method that evaluates the loss several times per step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from framework.core.modes import enable_grad
from framework.core.views import before_write
from framework.kernels import module_of
from framework.optim.checks import learning_rate
from framework.optim.optimizer import Optimizer, recorder_here
from framework.tensor import Tensor, wrap

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    r"""Limited-memory BFGS, with a line search for the strong Wolfe conditions or none.

    The direction is the two-loop product of the inverse Hessian's approximation, made from the last
    ``history_size`` steps, with the gradient. Liu and Nocedal, "On the limited memory BFGS method
    for large scale optimization", 1989; line search and cubic interpolation as in Schmidt's
    minFunc, which PyTorch follows. Parameters of any shape, of float or complex dtype. ValueError
    for a learning rate that is negative or parameters in groups, RuntimeError in ``step`` for
    another line search.

    Args:
        max_iter: iterations per ``step``.
        max_eval: evaluations of the closure per ``step``; None: 1.25 max_iter.
        tolerance_grad: stop when no element of the gradient is larger.
        tolerance_change: stop when step or change of the loss is smaller.
        line_search_fn: "strong_wolfe" or None, for steps of length ``lr``.

    >>> import framework as torch
    >>> w = torch.tensor([3.0, -2.0], requires_grad=True)
    >>> optimizer = torch.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - 1) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> first = optimizer.step(closure)
    >>> w
    tensor([1.0000, 1.0000], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        learning_rate(lr)
        defaults = {
            "lr": lr, "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    @property
    def _params(self) -> list[Tensor]:
        return self.param_groups[0]["params"]

    # -- the parameters as one vector ----------------------------------------------------------

    def _flat_gradient(self) -> Any:
        """All gradients as one vector; complex ones as pairs."""
        parts = []
        for p in self._params:
            xp = module_of(p._data)
            if p.grad is None:
                part = xp.zeros(p._data.size, p._data.dtype)
            else:
                grad: Any = p.grad.to_dense() if p.grad.is_sparse else p.grad
                part = xp.ascontiguousarray(grad._data).reshape(-1)
            parts.append(part.view(part.real.dtype) if part.dtype.kind == "c" else part)
        return module_of(parts[0]).concatenate(parts)

    def _values(self) -> list[Any]:
        return [p._data.copy() for p in self._params]

    def _restore(self, values: list[Any]) -> None:
        for p, value in zip(self._params, values):
            before_write(p)
            p._data[...] = value

    def _move(self, length: Any, direction: Any, *, announce: bool) -> None:
        """Add ``length * direction`` to the parameters; to the trace it may be an update."""
        recorder = recorder_here()
        start = 0
        for p in self._params:
            kind, shape = p._data.dtype, p._data.shape
            count = p._data.size * (2 if kind.kind == "c" else 1)
            part = direction[start : start + count] * length
            if kind.kind == "c":
                part = part.view(kind)
            start += count
            before_write(p)
            p._data += part.reshape(shape).astype(kind, copy=False)
            if recorder is not None and announce:
                recorder.update(p, {})
                self._reported = True

    # -- the step ------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Iterate until a limit or a tolerance is reached; returns the first loss.

        Args:
            closure: clears the gradients, computes the loss and its gradients, returns the loss.
        """
        group = self.param_groups[0]

        def evaluate() -> tuple[Any, float, Any]:
            with enable_grad():
                result = closure()
            return result, float(result.item()), self._flat_gradient()

        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first, loss, grad = evaluate()
        state["func_evals"] += 1
        if abs(grad).max() <= group["tolerance_grad"]:
            return first
        memory = _Memory(state, group["history_size"])
        self._iterate(evaluate, memory, loss, grad)
        memory.store(state, self._params[0]._device)
        return first

    def _iterate(self, evaluate: Any, memory: _Memory, loss: float, grad: Any) -> None:
        group, state = self.param_groups[0], self.state[self._params[0]]
        rate, least = group["lr"], group["tolerance_change"]
        lr = rate._data.reshape(())[()] if isinstance(rate, Tensor) else float(rate)
        search, evaluations, done = group["line_search_fn"], 1, 0
        while done < group["max_iter"]:
            done += 1
            state["n_iter"] += 1
            d = memory.direction(grad, fresh=state["n_iter"] == 1)
            memory.previous_grad, memory.previous_loss = grad.copy(), loss
            t: Any = lr
            if state["n_iter"] == 1:
                t = min(1.0, 1.0 / abs(grad).sum()) * lr
            memory.t = t
            slope = grad.dot(d)
            if slope > -least:
                break
            used = 0
            if search is not None:
                if search != "strong_wolfe":
                    raise RuntimeError("only 'strong_wolfe' is supported")
                loss, grad, t, used = self._line_search(
                    evaluate, t, d, loss, grad, slope, group["max_eval"] - evaluations
                )
                memory.t = t
                self._move(t, d, announce=True)
            else:
                self._move(t, d, announce=True)
                if done != group["max_iter"]:
                    _, loss, grad = evaluate()
                    used = 1
            evaluations += used
            state["func_evals"] += used
            if (
                done == group["max_iter"]
                or evaluations >= group["max_eval"]
                or abs(grad).max() <= group["tolerance_grad"]
                or abs(d * t).max() <= least
                or abs(loss - memory.previous_loss) < least
            ):
                break

    def _line_search(
        self, evaluate: Any, t: Any, d: Any, loss: float, grad: Any, slope: Any, most: int
    ) -> tuple[float, Any, Any, int]:
        """A step length for the strong Wolfe conditions: (loss, gradient, length, evaluations)."""
        start = self._values()

        def at(length: Any) -> _Point:
            self._move(length, d, announce=False)
            _, f, g = evaluate()
            self._restore(start)
            return _Point(length, f, g, g.dot(d))

        origin = _Point(0, loss, grad, slope)
        found, used = _strong_wolfe(at, origin, t, abs(d).max(), most)
        return found.loss, found.grad, found.t, used


class _Memory:
    """What is remembered between iterations, as arrays; tensors in the optimizer's state."""

    def __init__(self, state: dict[str, Any], size: int) -> None:
        def bare(value: Any) -> Any:
            if isinstance(value, (list, tuple)):
                return [bare(v) for v in value]
            if isinstance(value, Tensor):
                return value._data if value.ndim else value._data[()]
            return value

        self.size = size
        self.d, self.t = bare(state.get("d")), bare(state.get("t"))
        self.dirs: list[Any] = bare(state.get("old_dirs")) or []
        self.steps: list[Any] = bare(state.get("old_stps")) or []
        self.ro: list[Any] = bare(state.get("ro")) or []
        self.scale = bare(state.get("H_diag", 1))
        self.previous_grad = bare(state.get("prev_flat_grad"))
        self.previous_loss: Any = state.get("prev_loss")
        self.shares: list[Any] = []

    def direction(self, grad: Any, fresh: bool) -> Any:
        """The next search direction, after the step that led to ``grad``."""
        if fresh:
            self.dirs, self.steps, self.ro, self.scale = [], [], [], 1
            self.d = -grad
            return self.d
        y, s = grad - self.previous_grad, self.d * self.t
        ys = y.dot(s)
        if ys > 1e-10:
            if len(self.dirs) == self.size:
                for old in (self.dirs, self.steps, self.ro):
                    old.pop(0)
            self.dirs.append(y)
            self.steps.append(s)
            self.ro.append(1.0 / ys)
            self.scale = ys / y.dot(y)
        q = -grad
        self.shares = [None] * len(self.dirs)
        for i in reversed(range(len(self.dirs))):
            self.shares[i] = self.steps[i].dot(q) * self.ro[i]
            q += self.dirs[i] * -self.shares[i]
        r = q * self.scale
        for i, share in enumerate(self.shares):
            r += self.steps[i] * (share - self.dirs[i].dot(r) * self.ro[i])
        self.d = r
        return r

    def store(self, state: dict[str, Any], device: Any) -> None:
        """Put all of it into the optimizer's state, under PyTorch's names."""

        def tensor(value: Any) -> Any:
            if isinstance(value, list):
                return [tensor(v) for v in value]
            if isinstance(value, np.generic):
                return wrap(np.asarray(value))
            return wrap(value, device) if hasattr(value, "dtype") else value

        if self.shares:
            empty = [None] * (self.size - len(self.shares))
            state["al"] = tensor(self.shares) + empty
        state["d"], state["t"] = tensor(self.d), tensor(self.t)
        state["old_dirs"], state["old_stps"] = tensor(self.dirs), tensor(self.steps)
        state["ro"], state["H_diag"] = tensor(self.ro), tensor(self.scale)
        state["prev_flat_grad"] = tensor(self.previous_grad)
        state["prev_loss"] = self.previous_loss


class _Point:
    """A point on the line: its place, loss, gradient, and slope along the line."""

    __slots__ = ("grad", "loss", "slope", "t")

    def __init__(self, t: Any, loss: float, grad: Any, slope: Any) -> None:
        self.t, self.loss, self.grad, self.slope = t, loss, grad, slope


_C1, _C2, _LEAST = 1e-4, 0.9, 1e-9


def _cubic(a: _Point, b: _Point, bounds: tuple[Any, Any] | None = None) -> Any:
    """The minimum within ``bounds`` of the cubic through two points with their slopes."""
    low, high = bounds or ((a.t, b.t) if a.t <= b.t else (b.t, a.t))
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1**2 - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2.0
    d2 = np.sqrt(square)
    if a.t > b.t:
        a, b = b, a
    at = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    return min(max(at, low), high)


def _strong_wolfe(
    at: Callable[[Any], _Point], origin: _Point, t: Any, width: Any, most: int
) -> tuple[_Point, int]:
    """(a point that satisfies the strong Wolfe conditions or the best one, evaluations).

    First steps grow until they enclose such a point, then the bracket is narrowed by cubic
    interpolation (Nocedal and Wright, "Numerical optimization", algorithms 3.5 and 3.6).
    """
    new, before, used, turns = at(t), origin, 1, 0
    bracket = [origin, origin]
    while turns < most:
        too_high = new.loss > origin.loss + _C1 * new.t * origin.slope
        if too_high or (turns > 1 and new.loss >= before.loss):
            bracket = [before, new]
            break
        if abs(new.slope) <= -_C2 * origin.slope:
            return new, used
        if new.slope >= 0:
            bracket = [before, new]
            break
        bounds = (new.t + 0.01 * (new.t - before.t), new.t * 10)
        t = _cubic(before, new, bounds)
        before, new = new, at(t)
        used += 1
        turns += 1
    if turns == most:
        bracket = [origin, new]
    low = 0 if bracket[0].loss <= bracket[1].loss else 1
    stuck = False
    while turns < most and not abs(bracket[1].t - bracket[0].t) * width < _LEAST:
        t, stuck = _inside(bracket, stuck)
        new = at(t)
        used += 1
        turns += 1
        if new.loss > origin.loss + _C1 * t * origin.slope or new.loss >= bracket[low].loss:
            bracket[1 - low] = new
            low = 0 if bracket[0].loss <= bracket[1].loss else 1
            continue
        satisfied = abs(new.slope) <= -_C2 * origin.slope
        if not satisfied and new.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = new
        if satisfied:
            break
    return bracket[low], used


def _inside(bracket: list[_Point], stuck: bool) -> tuple[Any, bool]:
    """The next length to try, and whether it is the first that lies too near to an end."""
    t = _cubic(bracket[0], bracket[1])
    first, last = sorted((bracket[0].t, bracket[1].t))
    margin = 0.1 * (last - first)
    if not min(last - t, t - first) < margin:
        return t, False
    if not stuck and first < t < last:
        return t, True
    return (last - margin if abs(t - last) < abs(t - first) else first + margin), False
