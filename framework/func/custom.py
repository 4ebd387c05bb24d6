"""Custom `Function`s inside of vmap."""

from __future__ import annotations

from typing import Any, NamedTuple

from framework.autograd.function import Function, FunctionNode
from framework.core.interpose import stack
from framework.core.modes import modes
from framework.func.batched import BatchedTensor, VmapLayer, batched, unwrapped
from framework.func.vmap import _levels
from framework.tensor import Tensor

__all__ = ["VmapInfo", "apply_batched"]


class VmapInfo(NamedTuple):
    """What ``Function.vmap`` is told of the vmap it runs in."""

    batch_size: int
    randomness: str


def apply_batched(cls: type[Function], args: tuple[Any, ...]) -> Any:
    """`Function.apply` where a vmap is being run; NotImplemented where none is."""
    layers = stack.layers
    at = next((i for i in reversed(range(len(layers))) if isinstance(layers[i], VmapLayer)), -1)
    if at < 0:
        return NotImplemented
    layer: Any = layers[at]
    flags = [layer.has(a) for a in args]
    stack.layers = (*layers[:at], *layers[at + 1 :])
    try:
        if True not in flags:
            return cls.apply(*args)
        _check(cls)
        values = [a._value if f else a for a, f in zip(args, flags)]
        outs, single = _mapped(cls, layer, values, flags)
    finally:
        stack.layers = layers
    outs = tuple([batched(o, layer.level) if isinstance(o, Tensor) else o for o in outs])
    if modes.grad and any(layer.inner(a) for a in args):
        _record(cls, layer, args, outs, single)
    return outs[0] if single else outs


def _check(cls: type[Function]) -> None:
    name = cls.__name__
    if cls.setup_context is Function.setup_context:
        raise RuntimeError(
            "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, "
            "jacrev, ...), it must override the setup_context staticmethod. For more details, "
            "please see https://pytorch.org/docs/main/notes/extending.func.html"
        )
    own = cls.vmap is not Function.vmap
    if own and cls.generate_vmap_rule:
        raise RuntimeError(
            f"You tried to vmap over {name}, but it has both generate_vmap_rule=True and an "
            "overridden vmap staticmethod. Please set generate_vmap_rule=False or delete the "
            f"overridden vmap staticmethod to avoid ambiguity. For more details, please see "
            "https://pytorch.org/docs/main/notes/extending.func.html"
        )
    if not own and not cls.generate_vmap_rule:
        raise RuntimeError(
            f"You tried to vmap over {name}, but it does not have vmap support. Please override "
            "and implement the vmap staticmethod or set generate_vmap_rule=True. For more details, "
            "please see https://pytorch.org/docs/main/notes/extending.func.html"
        )


def _mapped(
    cls: type[Function], layer: VmapLayer, values: list[Any], flags: list[bool]
) -> tuple[tuple[Any, ...], bool]:
    """The outputs with the mapped dimension in front, and whether there is only one."""
    if cls.generate_vmap_rule:
        found = _generated(cls, layer, flags).apply(*values)
        return (found, False) if isinstance(found, tuple) else ((found,), True)
    in_dims = tuple([0 if f else None for f in flags])
    result = cls.vmap(VmapInfo(layer.size, layer.randomness), in_dims, *values)
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(
            "Expected the vmap staticmethod to have two returns, an output and out_dims with "
            f"pytree structure compatible with the output. Got a {type(result)} instead"
        )
    out, dims = result
    single = not isinstance(out, tuple)
    outs = (out,) if single else out
    places = dims if isinstance(dims, tuple) else (dims,) * len(outs)
    whole = []
    for o, d in zip(outs, places):
        if not isinstance(o, Tensor):
            whole.append(o)
        elif d is None:
            whole.append(o.expand(layer.size, *o.shape))
        else:
            whole.append(o.movedim(d, 0) if d else o)
    return tuple(whole), single


def _record(
    cls: type[Function], layer: VmapLayer, args: Any, outs: tuple[Any, ...], single: bool
) -> None:
    """The node of the batched tensors: for gradients that are taken inside of the vmap."""
    node = FunctionNode(cls, args)
    node.edges = tuple([e if layer.inner(a) else None for e, a in zip(node.edges, args)])
    ctx = node.ctx
    before, modes.grad = modes.grad, False
    try:
        cls.setup_context(ctx, args, outs[0] if single else outs)
    finally:
        modes.grad = before
    if ctx._dirty:
        raise RuntimeError(f"vmap: {cls.__name__} writes in place, which is not supported")
    node.metas = tuple([
        (o._data.shape, o._data.dtype, o._device) if isinstance(o, Tensor) else None for o in outs
    ])  # fmt: skip
    for i, o in enumerate(outs):
        plain = any(o is t for t in ctx._plain)
        if isinstance(o, Tensor) and not plain and o._data.dtype.kind in "fcV":
            o._rg, o._edge = True, (node, i)
    ctx._keep(outs)
    ctx._dirty = ctx._plain = ()


# -- generate_vmap_rule -----------------------------------------------------------------------


class _Context:
    """The ``ctx`` that the function sees while it runs inside of a vmap of its own."""

    def __init__(self, needs: Any) -> None:
        self.needs_input_grad = needs
        self.saved_tensors: tuple[Any, ...] = ()
        self.to_save: tuple[Any, ...] = ()
        self.for_forward: tuple[Any, ...] = ()
        self.plain: tuple[Any, ...] = ()
        self.materialize = True

    def save_for_backward(self, *tensors: Any) -> None:
        self.to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        self.for_forward = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        self.plain = tensors

    def set_materialize_grads(self, value: bool) -> None:
        self.materialize = value


def _generated(cls: type[Function], layer: VmapLayer, flags: list[bool]) -> type[Function]:
    """A Function of the values: each of its methods is the one of ``cls``, mapped."""
    size, randomness = layer.size, layer.randomness

    def enter() -> VmapLayer:
        return VmapLayer(next(_levels), size, randomness)

    def wrapped(values: Any, marks: Any, level: int) -> list[Any]:
        return [
            batched(v, level) if m and isinstance(v, Tensor) else v for v, m in zip(values, marks)
        ]

    def is_batched(t: Any, level: int) -> bool:
        return isinstance(t, BatchedTensor) and t._level == level

    def opened(t: Any, level: int) -> Any:
        return t._value if is_batched(t, level) else t

    class Mapped(Function):
        generate_vmap_rule = True  # for a vmap further out

        @staticmethod
        def forward(*values: Any) -> Any:
            with enter() as inner:
                out = cls.forward(*wrapped(values, flags, inner.level))
                outs = out if isinstance(out, tuple) else (out,)
            whole = tuple([
                unwrapped(o, inner.level, size).clone() if isinstance(o, Tensor) else o
                for o in outs
            ])  # fmt: skip
            return whole if isinstance(out, tuple) else whole[0]

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            proxy = _Context(ctx.needs_input_grad)
            outs = output if isinstance(output, tuple) else (output,)
            with enter() as inner:
                given = wrapped(inputs, flags, inner.level)
                made = wrapped(outs, [True] * len(outs), inner.level)
                cls.setup_context(
                    proxy, tuple(given), tuple(made) if isinstance(output, tuple) else made[0]
                )
            level = inner.level
            ctx.proxy = proxy
            ctx.marks = [is_batched(t, level) for t in proxy.to_save]
            ctx.forward_marks = [is_batched(t, level) for t in proxy.for_forward]
            ctx.save_for_backward(*[_same(opened(t, level), outs) for t in proxy.to_save])
            ctx.save_for_forward(*[opened(t, level) for t in proxy.for_forward])
            ctx.mark_non_differentiable(*[_same(opened(t, level), outs) for t in proxy.plain])
            ctx.set_materialize_grads(proxy.materialize)
            proxy.to_save = proxy.for_forward = proxy.plain = ()

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            proxy = ctx.proxy
            with enter() as inner:
                proxy.saved_tensors = tuple(wrapped(ctx.saved_tensors, ctx.marks, inner.level))
                rule = cls.backward if cls.backward is not Function.backward else cls.vjp
                result = rule(proxy, *wrapped(grads, [True] * len(grads), inner.level))
                proxy.saved_tensors = ()
                found = result if isinstance(result, tuple) else (result,)
            back: list[Any] = []
            for g, f in zip(found, flags):
                if g is None:
                    back.append(None)
                    continue
                whole = unwrapped(g, inner.level, size)
                back.append(whole if f else whole.sum(0))
            return tuple(back)

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            proxy = ctx.proxy
            marks = ctx.forward_marks if ctx._for_forward else ctx.marks
            with enter() as inner:
                proxy.saved_tensors = tuple(wrapped(ctx.saved_tensors, marks, inner.level))
                result = cls.jvp(proxy, *wrapped(tangents, flags, inner.level))
                proxy.saved_tensors = ()
                outs = result if isinstance(result, tuple) else (result,)
            whole = tuple([None if o is None else unwrapped(o, inner.level, size) for o in outs])
            return whole if isinstance(result, tuple) else whole[0]

    Mapped.__name__ = cls.__name__
    return Mapped


def _same(value: Any, outs: tuple[Any, ...]) -> Any:
    """The output itself where ``value`` is an output's memory, so that it is saved as one."""
    return next((o for o in outs if o is value), value)
