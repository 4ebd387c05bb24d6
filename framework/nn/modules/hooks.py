"""How full backward hooks reach the gradients of a module's inputs and outputs.

The module's input tensors, and its output tensors, go through one identity node each. When the
backward pass runs the output's node, the gradients of the outputs are known; when it runs the
input's node, those of the inputs.
"""

from __future__ import annotations

import warnings
from typing import Any

from framework.core.dispatch import apply
from framework.core.graph import Version
from framework.core.modes import modes
from framework.core.registry import op
from framework.tensor import Tensor

__all__ = ["BackwardHook"]


def _passed_on(g: Any) -> tuple[Any, ...]:
    return g if isinstance(g, tuple) else (g,)


IDENTITY = op(
    "backward_hook", lambda *xs: xs if len(xs) > 1 else xs[0], "*xs", grad=_passed_on,
    samples=lambda s: [((s(2), s(3)), {}), ((s(2),), {})],
)  # fmt: skip


class BackwardHook:
    """The backward hooks of one call of a module."""

    def __init__(self, module: Any, hooks: list[Any], pre_hooks: list[Any]) -> None:
        self.module = module
        self.hooks = hooks
        self.pre_hooks = pre_hooks
        self.grad_outputs: tuple[Any, ...] | None = None
        self.input_at: list[int] | None = None
        self.output_at: list[int] | None = None
        self.n_inputs = self.n_outputs = 0

    def take_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """``args`` with their tensors led through the identity node."""
        self.n_inputs = len(args)
        args, self.input_at, node = _led_through(args)
        if node is not None:
            node.register_hook(self._at_inputs)
        return args

    def take_output(self, out: Any) -> Any:
        """The module's result (a tensor or a tuple), led through the other one."""
        if not isinstance(out, (Tensor, tuple)):
            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of "
                f"Tensors but received {type(out)}",
                stacklevel=4,
            )
            return out
        outs = out if isinstance(out, tuple) else (out,)
        self.n_outputs = len(outs)
        made, self.output_at, node = _led_through(outs)
        if node is not None:
            node.register_hook(self._at_outputs)
        return made if isinstance(out, tuple) else made[0]

    def _at_outputs(self, _: Any, grads: tuple[Any, ...]) -> Any:
        assert self.output_at is not None
        self.grad_outputs = _spread(self.output_at, grads, self.n_outputs)
        for hook in self.pre_hooks:
            changed = hook(self.module, self.grad_outputs)
            if changed is not None:
                changed = _as_tuple(changed)
                _check_count(changed, self.grad_outputs, "Backward pre hook", "grad_output")
                self.grad_outputs = changed
        sent = self.grad_outputs
        if self.input_at is None:  # no input wants a gradient: this is the last chance
            self._without_inputs()
        return tuple(sent[i] for i in self.output_at)

    def _without_inputs(self) -> None:
        if self.hooks:
            warnings.warn(
                "Full backward hook is firing when gradients are computed with respect to module "
                "outputs since no inputs require gradients.",
                stacklevel=2,
            )
        for hook in self.hooks:
            result = hook(self.module, (None,) * self.n_inputs, self.grad_outputs)
            if result is not None and any(r is not None for r in _as_tuple(result)):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always "
                    "return None or None for all gradients."
                )
        self.grad_outputs = None

    def _at_inputs(self, grads: tuple[Any, ...], _: Any) -> Any:
        if self.grad_outputs is None:  # the gradient did not come through the module's output
            return None
        assert self.input_at is not None
        result = _spread(self.input_at, grads, self.n_inputs)
        for hook in self.hooks:
            changed = hook(self.module, result, self.grad_outputs)
            if changed is not None:
                changed = _as_tuple(changed)
                _check_count(changed, result, "Backward hook", "grad_input")
                result = changed
        self.grad_outputs = None
        return tuple(result[i] for i in self.input_at)


def _led_through(values: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[int] | None, Any]:
    """(values with their differentiable tensors replaced, where those are, the node)."""
    at = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
    if not at or not modes.grad:
        return values, None, None
    made = apply(IDENTITY, *[values[i] for i in at])
    made = made if isinstance(made, tuple) else (made,)
    result = list(values)
    for i, new in zip(at, made):
        old = values[i]
        if old._counter is None:
            old._counter = Version()
        new._counter = old._counter  # a write to one is a write to the other
        result[i] = new
    return tuple(result), at, made[0]._edge[0]


def _spread(at: list[int], grads: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    result: list[Any] = [None] * count
    for i, g in zip(at, grads):
        result[i] = g
    return tuple(result)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _check_count(got: tuple[Any, ...], wanted: tuple[Any, ...], who: str, what: str) -> None:
    if len(got) != len(wanted):
        raise RuntimeError(
            f"{who} returned an invalid number of {what}, got {len(got)}, but expected "
            f"{len(wanted)}"
        )
