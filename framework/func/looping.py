"""Functions that look at the values of their arguments, run sample by sample inside of vmap.

An op without a batching rule is run so by `rules.loop`. A function of several ops that has to see
numbers in between (how often to repeat, where bags begin) is one `Function` for that purpose, with
a vmap of its own; its gradient is another such function, so gradients of any order follow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.autograd.function import Function
from framework.tensor import Tensor
from framework.utils._pytree import tree_flatten, tree_unflatten

__all__ = ["looped"]

Run = Callable[..., tuple[Any, ...]]


def looped(call: Callable[..., Any], args: Any, options: Any) -> Any:
    """``call(*args, **options)`` sample by sample; NotImplemented if no argument is batched."""
    leaves, spec = tree_flatten((args, options))
    places = [k for k, x in enumerate(leaves) if isinstance(x, Tensor)]
    if not any(hasattr(leaves[k], "_level") for k in places):
        return NotImplemented
    nesting: list[Any] = []

    def run(*tensors: Any) -> tuple[Any, ...]:
        given = list(leaves)
        for k, t in zip(places, tensors):
            given[k] = t
        some, named = tree_unflatten(given, spec)
        flat, nesting[:] = _split(call(*some, **named))
        return flat

    outs = _function(run, call.__name__).apply(*[leaves[k] for k in places])
    return tree_unflatten(outs, nesting[0])


def _split(value: Any) -> tuple[tuple[Any, ...], list[Any]]:
    flat, spec = tree_flatten(value)
    return tuple(flat), [spec]


def _differentiable(value: Any) -> bool:
    return isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())


def _function(run: Run, name: str) -> type[Function]:
    """``run``, of tensors and with a tuple of results, as a function that vmap loops over."""

    class Looped(Function):
        forward = staticmethod(run)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)
            ctx.floats = [_differentiable(o) for o in output]

        @staticmethod
        def vmap(info: Any, in_dims: Any, *tensors: Any) -> tuple[Any, int]:
            from framework.func.rules import stacked_samples

            rows = []
            for i in range(info.batch_size):
                sample = [t if d is None else t[i] for t, d in zip(tensors, in_dims)]
                within = any(hasattr(t, "_level") for t in sample)  # another vmap further out
                rows.append(Looped.apply(*sample) if within else run(*sample))
            return tuple([stacked_samples(name, column) for column in zip(*rows)]), 0

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            from framework.func.transforms import vjp

            inputs = ctx.saved_tensors
            floats = [k for k, t in enumerate(inputs) if _differentiable(t)]
            count = len(inputs)

            def pull(*both: Any) -> tuple[Any, ...]:
                part, primals = _part(run, both[:count], floats)
                return vjp(part, *primals)[1](both[count:])

            starts = [g for g, wanted in zip(grads, ctx.floats) if wanted]
            found = _function(pull, name).apply(*inputs, *starts)
            back = dict(zip(floats, found))
            return tuple([back.get(k) for k in range(count)])

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            from framework.func.transforms import jvp

            inputs = ctx.saved_tensors
            floats = [k for k, t in enumerate(inputs) if _differentiable(t)]
            count = len(inputs)

            def push(*both: Any) -> tuple[Any, ...]:
                part, primals = _part(run, both[:count], floats)
                return jvp(part, tuple(primals), both[count:])[1]

            along = [inputs[k] * 0 if tangents[k] is None else tangents[k] for k in floats]
            found = iter(_function(push, name).apply(*inputs, *along))
            return tuple([next(found) if wanted else None for wanted in ctx.floats])

    Looped.__name__ = name
    return Looped


def _part(run: Run, inputs: Any, floats: list[int]) -> tuple[Run, list[Any]]:
    """``run`` as a function of its floating-point inputs, with such results only; and these."""

    def part(*some: Any) -> tuple[Any, ...]:
        given = list(inputs)
        for k, x in zip(floats, some):
            given[k] = x
        return tuple([o for o in run(*given) if _differentiable(o)])

    return part, [inputs[k] for k in floats]
