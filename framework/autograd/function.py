"""`Function`: an op whose forward and backward are written by hand.

A call is a container of the trace under the class's name, with the ops of ``forward`` in it; its
node of the backward graph runs ``backward``, whose ops the trace shows inside the node.
"""

from __future__ import annotations

import functools
import inspect
import warnings
import weakref
from collections.abc import Callable
from threading import get_ident
from typing import Any

from framework import dtypes
from framework.core import dispatch
from framework.core.dispatch import edge_of, wrap
from framework.core.flat import zeros
from framework.core.graph import FREED, Node, Version
from framework.core.modes import modes
from framework.core.registry import OPS, Op, Plan
from framework.core.saved import Packed, hooks_in_use, pack, shallow
from framework.core.views import check_inplace, take_history
from framework.tensor import Tensor
from framework.trace import records, sink

__all__ = ["Function", "FunctionCtx", "FunctionNode", "InplaceFunction", "once_differentiable"]

_NO_PLAN = Plan((), ())


class FunctionCtx:
    """What ``forward`` leaves for ``backward``; any attribute may be set on it.

    Attributes:
        needs_input_grad: for each argument whether it is a tensor that wants a gradient.

    >>> import framework as torch
    >>> class Scale(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x, factor):
    ...         ctx.factor = factor
    ...         return x * factor
    ...
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         print(ctx.needs_input_grad)
    ...         return g * ctx.factor, None
    >>> x = torch.ones(1, requires_grad=True)
    >>> Scale.apply(x, 3.0).backward()
    (True, False)
    >>> x.grad
    tensor([3.])
    """

    def __init__(self, node: Node, needs: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs
        self._node = weakref.ref(node)
        self._to_save: tuple[Any, ...] = ()
        self._saved: Any = ()
        self._dirty: tuple[Any, ...] = ()
        self._plain: tuple[Any, ...] = ()
        self._materialize = True
        self._for_forward: tuple[Any, ...] = ()
        self._forwards = False  # whether ``jvp`` is being run

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (inputs, outputs or others; None is allowed) for `saved_tensors`.

        Unlike attributes, they are checked for writes in place and freed after the backward pass.
        """
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(
                    "save_for_backward can only save variables, but argument "
                    f"{i} is of type {type(t).__name__}"
                )
        self._to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors for ``jvp``, where they are `saved_tensors`."""
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(
                    "save_for_forward can only save tensors, but argument "
                    f"{i} is of type {type(t).__name__}"
                )
        self._for_forward = tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Say which inputs ``forward`` wrote in place; they must be among its outputs."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say which outputs have no gradient."""
        self._plain = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` gets zeros (the default) or None for an output that was not used."""
        self._materialize = bool(value)

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What was given to `save_for_backward`.

        Raises:
            RuntimeError: freed by an earlier backward pass, or written in place since.
        """
        node = self._node()
        assert node is not None
        if self._saved is FREED:
            node._freed()
        if self._forwards and self._for_forward:
            return self._for_forward
        result: list[Any] = []
        for entry in self._saved:
            if entry is None:
                result.append(None)
                continue
            tensor, counter, version, nr = entry
            if tensor.__class__ is Packed:
                result.append(tensor.tensor((node, nr) if nr >= 0 else tensor[2]))
                continue
            if counter.value != version:
                edge = (node, nr) if nr >= 0 else tensor._edge
                maker = f"output {edge[1]} of {edge[0].short_name()}" if edge else ""
                node._modified(tensor, maker, counter.value, version)
            if nr >= 0:  # an output, held without its history: that would be a reference cycle
                output = shallow(tensor)
                output._counter, output._id = counter, tensor._id
                if any(edge is not None for edge in node.edges):
                    output._rg, output._edge = True, (node, nr)
                tensor = output
            result.append(tensor)
        return tuple(result)

    def _keep(self, outs: tuple[Any, ...]) -> None:
        """Turn what is to be saved into (tensor, counter, version, output number or -1)."""
        entries: list[Any] = []
        hooks = hooks_in_use() if dispatch.interposer is not None else None
        for t in self._to_save:
            if t is None:
                entries.append(None)
                continue
            nr = next((i for i, o in enumerate(outs) if o is t), -1)
            if t._counter is None:
                t._counter = Version()
            held: Any = t if nr < 0 else shallow(t)
            if hooks is not None:
                held = pack(held, hooks, edge_of(t) if nr < 0 else None)
            entries.append((held, t._counter, t._counter.value, nr))
        self._saved = entries
        self._to_save = ()

    def _identify(self, outs: tuple[Any, ...]) -> None:
        """A saved output is to the trace the one that it knows."""
        for entry in self._saved:
            if entry is not None and entry[3] >= 0 and entry[0].__class__ is not Packed:
                entry[0]._id = outs[entry[3]]._id


class FunctionNode(Node):
    """A call of a `Function` in the backward graph; has the attributes of its ``ctx`` too.

    >>> import framework as torch
    >>> class Double(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.factor = 2
    ...         return ctx.factor * x
    ...
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         return ctx.factor * g
    >>> y = Double.apply(torch.ones(1, requires_grad=True))
    >>> isinstance(y.grad_fn, torch.autograd.function.FunctionNode), y.grad_fn.factor
    (True, 2)
    """

    custom = True

    def __init__(self, function: type[Function], args: tuple[Any, ...]) -> None:
        edges = tuple([
            edge_of(a) if modes.grad and isinstance(a, Tensor) else None for a in args
        ])  # fmt: skip
        super().__init__(_op_of(function), edges, {}, _NO_PLAN, (), ())
        self.function = function
        needs = tuple([isinstance(a, Tensor) and a.requires_grad for a in args])
        self.ctx = FunctionCtx(self, needs)
        self.inputs = tuple([
            (a._data.shape, a._data.dtype, a._device) if isinstance(a, Tensor) else None
            for a in args
        ])  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "ctx":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.ctx, name)

    def name(self) -> str:
        return f"{self.function.__name__}Backward"

    def release(self) -> None:
        if self.ctx._saved:
            self.ctx._saved = FREED

    def apply(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        ctx, function = self.ctx, self.function
        if ctx._materialize:
            grads = tuple([
                zeros(*m) if g is None and m is not None else g
                for g, m in zip(grads, self.metas)
            ])  # fmt: skip
        rule = function.backward
        if rule is Function.backward:
            rule = function.vjp
        elif function.vjp is not Function.vjp:
            raise RuntimeError(
                "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You "
                "should only implement one of them."
            )
        result = rule(ctx, *grads)
        outs = result if isinstance(result, tuple) else (result,)
        count = len(self.edges)
        if len(outs) > count and all(o is None for o in outs[count:]):
            outs = outs[:count]
        if len(outs) != count:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients "
                f"(expected {count}, got {len(outs)})"
            )
        for i, out in enumerate(outs):
            if out is None:
                continue
            if not isinstance(out, Tensor):
                raise RuntimeError(
                    f"expected Variable or None (got {type(out).__name__}), returned by "
                    f"{self.name()} at position {i + 1}"
                )
            like = self.inputs[i]
            if like is None:
                raise RuntimeError(
                    f"function {self.name()} returned a gradient different from None at position "
                    f"{i + 1}, but the corresponding forward input was not a Variable"
                )
            if out._data.dtype.kind == "c" and like[1].kind != "c":
                raise RuntimeError(
                    "Expected isFloatingType(grad.scalar_type()) || (input_is_complex == "
                    f"grad_is_complex) to be true, but got false: {self.name()} returned a complex "
                    f"gradient at index {i} for a real input"
                )
        return outs

    def jvp(self, tangents: list[Any]) -> list[Any]:
        """Tangents of the outputs from those of the arguments (None: there is none)."""
        ctx = self.ctx
        given = [
            zeros(*m) if t is None and m is not None and ctx._materialize else t
            for t, m in zip(tangents, self.inputs)
        ]
        ctx._forwards = True
        try:
            result = self.function.jvp(ctx, *given)
        finally:
            ctx._forwards = False
        outs = list(result) if isinstance(result, (tuple, list)) else [result]
        if len(outs) != len(self.metas):
            raise RuntimeError(
                f"function {self.function.__name__} returned an incorrect number of forward "
                f"gradients (expected {len(self.metas)} got {len(outs)})"
            )
        return outs


def _op_of(function: type[Function]) -> Op:
    """What stands for it in nodes; kept by the class itself, which a program may make in a loop."""
    op = function.__dict__.get("_op")
    if op is None:
        op = Op(function.__name__, function.apply, ())
        function._op = op  # type: ignore[attr-defined]
    return op


class Function:
    """Base of custom differentiable ops: define ``forward`` and ``backward``, call ``apply``.

    ``forward(ctx, *args)`` computes on the arguments without grad mode and returns a tensor or a
    tuple; or ``forward(*args)`` with a separate ``setup_context(ctx, inputs, output)``.
    ``backward(ctx, *grad_outputs)`` returns one gradient (or None) per argument of ``forward``; if
    it is written in differentiable ops, it can be differentiated again.

    >>> import framework as torch
    >>> class Cube(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return 3 * x * x * grad
    >>> x = torch.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor(12.)
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """What is computed: of ``(ctx, *args)``, or of ``*args`` if there is a `setup_context`."""
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Save in ``ctx`` what `backward` will need."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradients of the arguments, None where there is none."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """Tangents of the outputs, from one for each argument of ``forward``: forward mode."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with "
            "forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> Any:
        """``forward`` of a batch: returns (output, out_dims); see PyTorch's notes on functorch."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap static method "
            "or set generate_vmap_rule=True."
        )

    generate_vmap_rule = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warnings.warn(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all "
            "static, so you should invoke them on the class itself. Instantiating an autograd "
            "function will raise an error in a future version of PyTorch.",
            DeprecationWarning, stacklevel=2,
        )  # fmt: skip

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use "
            "new-style autograd function with static forward method. (Example: "
            "https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run ``forward`` on the arguments and put a node for it into the graph."""
        split = cls.setup_context is not Function.setup_context
        if split:
            bound = inspect.signature(cls.forward).bind(*args, **kwargs)
            bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
        if kwargs:
            args = _placed(cls.forward, args, kwargs, 0 if split else 1)
        if modes.transforms and not split:
            raise RuntimeError(
                "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, "
                "jacrev, ...), it must override the setup_context staticmethod. For more details, "
                "please see https://pytorch.org/docs/main/notes/extending.func.html"
            )
        if dispatch.interposer is not None:
            from framework.func.custom import apply_batched

            found = apply_batched(cls, args)
            if found is not NotImplemented:
                return found
        node = FunctionNode(cls, args)
        recorder = sink.active
        if recorder is None or recorder.thread != get_ident():
            return _run(cls, node, args)
        begin = recorder.begin_op(cls.__name__, args, {})
        node.origin = _origin(recorder.raw(begin))
        try:
            out = _run(cls, node, args)
        except BaseException as error:
            recorder.end_op(begin, (), error)
            raise
        recorder.end_op(begin, out)
        node.ctx._identify(out if isinstance(out, tuple) else (out,))
        return out


def _placed(
    forward: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any], skip: int
) -> tuple[Any, ...]:
    """The arguments, with those that are given by name in the places that ``forward`` has."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    known = [p.name for p in inspect.signature(forward).parameters.values() if p.kind in kinds]
    known = known[skip:]
    for name in named:
        if name not in known:
            raise TypeError(f"forward() got an unexpected keyword argument {name!r}")
        if name in known[: len(args)]:
            raise TypeError(f"forward() got multiple values for argument {name!r}")
    last = max(known.index(name) for name in named)
    places = range(len(args), last + 1)
    lacking = next((i for i in places if known[i] not in named), None)
    if lacking is not None:
        raise TypeError(
            f"forward() missing required argument: {known[lacking]!r} (position {lacking})"
        )
    return (*args, *[named[known[i]] for i in places])


def _origin(begun: Any) -> Any:
    """The raw record of a composite's begin, laid out as that of an op."""
    if begun is None:
        return None
    seq, t, _, name, ins, meta, code, lasti, module, parent, phase = begun
    here = (module, parent, phase)
    return (seq, t, records.OP, t, name, ins, (), meta, code, lasti, here, True, "")


def _run(cls: type[Function], node: FunctionNode, args: tuple[Any, ...]) -> Any:
    ctx = node.ctx
    before, modes.grad = modes.grad, False
    try:
        if cls.setup_context is not Function.setup_context:
            out = cls.forward(*args)
            cls.setup_context(ctx, args, out)
        else:
            out = cls.forward(ctx, *args)
    finally:
        modes.grad = before
    outs = out if isinstance(out, tuple) else (out,)
    for t in ctx._dirty:
        if not any(t is o for o in outs):
            raise RuntimeError(
                "Some elements marked as dirty during the forward method were not returned as "
                "output. The inputs that are modified inplace must all be outputs of the Function."
            )
        if t._counter is None:
            t._counter = Version()
        t._counter.value += 1  # the write may have been one that autograd could not see
    if before and any(edge is not None for edge in node.edges):
        several = sum(_differentiable(o, ctx) for o in outs) > 1
        outs = tuple([_made(node, i, o, args, several) for i, o in enumerate(outs)])
        node.metas = tuple([
            (o._data.shape, o._data.dtype, o._device) if isinstance(o, Tensor) else None
            for o in outs
        ])  # fmt: skip
    ctx._keep(outs)
    ctx._dirty = ctx._plain = ()
    return outs if isinstance(out, tuple) else outs[0]


def _differentiable(out: Any, ctx: Any) -> bool:
    floating = isinstance(out, Tensor) and out.dtype.category >= dtypes.FLOAT
    return floating and not any(out is t for t in ctx._plain)


def _made(node: FunctionNode, nr: int, out: Any, args: tuple[Any, ...], several: bool) -> Any:
    """Output ``nr`` with its history; one of ``several`` that have one."""
    if not isinstance(out, Tensor):
        return out
    ctx = node.ctx
    plain = not _differentiable(out, ctx)
    if any(out is t for t in ctx._dirty):
        if not plain:
            check_inplace(out)
            value = wrap(out._data, out._device)
            value._rg, value._edge = True, (node, nr)
            take_history(out, value)
        return out
    if any(out is a for a in args):
        out = _viewed(out)
    if not plain:
        if out._base is not None:  # to autograd it is none: a write could not be followed
            out._restricted = "multiple" if several else "function"
        out._rg, out._edge = True, (node, nr)
    return out


def _viewed(tensor: Any) -> Any:
    """A view of all of a tensor, which a function returned as it got it."""
    view = shallow(tensor)
    base = tensor._base
    view._base = tensor if base is None else base
    view._chain = (*(() if base is None else tensor._chain), (OPS["alias"], {}))
    view._at = tensor._counter.value
    return view


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a ``backward`` that is not written in differentiable ops: a second one then raises.

    That error is a RuntimeError, which says that the function is differentiable once.

    >>> import numpy as np
    >>> import framework as torch
    >>> class Sine(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return torch.from_numpy(np.sin(x.detach().numpy()))
    ...
    ...     @staticmethod
    ...     @torch.autograd.function.once_differentiable
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * torch.from_numpy(np.cos(x.detach().numpy()))
    >>> x = torch.zeros(1, requires_grad=True)
    >>> (g,) = torch.autograd.grad(Sine.apply(x), x, create_graph=True)
    >>> g.detach()
    tensor([1.])
    """

    @functools.wraps(backward)
    def wrapped(ctx: Any, *grads: Any) -> Any:
        before, modes.grad = modes.grad, False
        try:
            result = backward(ctx, *grads)
        finally:
            modes.grad = before
        if not before or not any(isinstance(g, Tensor) and g.requires_grad for g in grads):
            return result
        outs = result if isinstance(result, tuple) else (result,)
        ends = []
        for o in outs:
            if o is not None:
                o = wrap(o._data, o._device)
                o._rg = True
            ends.append(o)
        outs = _Once.apply(*ends)
        return outs if isinstance(result, tuple) else outs[0]

    return wrapped


class InplaceFunction(Function):
    """A `Function` with a flag ``inplace``, as older code has it.

    >>> from framework.autograd.function import InplaceFunction
    >>> InplaceFunction(inplace=True).inplace
    True
    """

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace


class _Once(Function):
    """Passes gradients through and refuses to be differentiated."""

    @staticmethod
    def forward(ctx: Any, *grads: Any) -> Any:
        return grads

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )
