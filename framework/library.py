"""`library`: functions of the user's that are called as ops: ``torch.ops.mine.name``.

There is nothing to compile here, so an op is its Python function, with a gradient if one was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from framework.amp.autocast_mode import autocast, is_autocast_enabled
from framework.autograd.function import Function
from framework.core.dispatch import edge_of
from framework.core.interpose import stack
from framework.core.modes import modes
from framework.dtypes import dtype, float64
from framework.schemas import infer_schema
from framework.tensor import Tensor

__all__ = [
    "CustomOpDef", "Library", "custom_op", "define", "impl", "impl_abstract", "infer_schema",
    "opcheck", "register_autocast", "register_autograd", "register_fake", "register_kernel",
    "register_vmap", "triton_op", "wrap_triton",
]  # fmt: skip

_ops: dict[str, CustomOpDef] = {}


class CustomOpDef:
    """An op of the user's: call it. Kernels of devices replace the function for their tensors.

    `custom_op` makes one. ValueError for a name that is not of the form ``SPACE::NAME``.

    >>> import framework as torch
    >>> @torch.library.custom_op("mine::squared", mutates_args=())
    ... def squared(x: torch.Tensor) -> torch.Tensor:
    ...     return x * x
    >>> squared, squared(torch.tensor([3.0]))
    (<CustomOpDef(mine::squared)>, tensor([9.]))
    """

    def __init__(self, name: str, call: Callable[..., Any], mutates: Iterable[str] | str) -> None:
        if name.count("::") != 1:
            raise ValueError(f"custom_op: expected a name such as 'mine::op', but got {name!r}")
        self._name, self._call, self.mutates_args = name, call, mutates
        self._kernels: dict[str, Callable[..., Any]] = {}
        self._backward: Callable[..., Any] | None = None
        self._setup: Callable[..., Any] | None = None
        self._vmap: Callable[..., Any] | None = None
        self._casts: dict[str, Any] = {}  # kind of device: the type to cast to under autocast
        self.__name__, self.__doc__ = name.partition("::")[2], call.__doc__
        _ops[name] = self
        _publish(name, self)

    @property
    def default(self) -> CustomOpDef:
        """The op itself: PyTorch's only overload of one."""
        return self

    def register_fake(self, fn: Callable[..., Any], /) -> Callable[..., Any]:
        """Accepted: shapes without values are for PyTorch's compiler."""
        return fn

    register_torch_dispatch = register_fake

    def register_vmap(self, func: Any = None, /) -> Any:
        """``func(info, in_dims, *args)`` for inputs of which some have one dimension more.

        It returns the output and where its further dimension is.
        """

        def register(call: Callable[..., Any]) -> Callable[..., Any]:
            self._vmap = call
            return call

        return register if func is None else register(func)

    def register_autocast(self, device_type: str, cast_inputs: dtype, /) -> None:
        """Where autocast is on for these devices, inputs of floating point get this type."""
        if not isinstance(device_type, str):
            raise ValueError(f"Invalid device_type: {device_type}, expected a name such as 'cuda'")
        self._casts[device_type] = cast_inputs

    def register_kernel(self, device_types: str | Iterable[str] | None, fn: Any = None, /) -> Any:
        """Compute the op by another function for tensors on these devices."""

        def register(call: Callable[..., Any]) -> Callable[..., Any]:
            kinds = [device_types] if isinstance(device_types, str) else device_types
            self._kernels.update(dict.fromkeys(kinds or ("cpu", "cuda"), call))
            return call

        return register if fn is None else register(fn)

    def register_autograd(
        self, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None
    ) -> None:
        """``backward(ctx, *grads)`` for what ``setup_context(ctx, inputs, output)`` saved."""
        self._backward, self._setup = backward, setup_context

    def _compute(self, *args: Any, **options: Any) -> Any:
        kind = _kind_of(args, options)
        return self._kernels.get(kind, self._call)(*args, **options)

    def __call__(self, *args: Any, **options: Any) -> Any:
        if self._casts:
            kind = _kind_of(args, options)
            if kind in self._casts and is_autocast_enabled(kind):
                args = tuple(_cast(a, self._casts[kind]) for a in args)
                options = {k: _cast(a, self._casts[kind]) for k, a in options.items()}
                with autocast(kind, enabled=False):
                    return self._applied(args, options)
        return self._applied(args, options)

    def _applied(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if self._vmap is not None and stack.layers:
            return self._function(options).apply(*args)
        if self._backward is None or not modes.grad or not _wanted(args):
            before, modes.grad = modes.grad, modes.grad and self._backward is None
            try:
                return self._compute(*args, **options)
            finally:
                modes.grad = before
        return self._function(options).apply(*args)

    def _function(self, options: dict[str, Any]) -> Any:
        op = self

        class Custom(Function):
            @staticmethod
            def forward(*args: Any) -> Any:
                return op._compute(*args, **options)

            @staticmethod
            def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
                if op._setup is not None:
                    given = {"keyword_only_inputs": options} if options else {}
                    op._setup(ctx, inputs, output, **given)

            @staticmethod
            def backward(ctx: Any, *grads: Any) -> Any:
                if op._backward is None:
                    raise RuntimeError(
                        f"{op._name} has no gradient: give it one by register_autograd"
                    )
                return op._backward(ctx, *grads)

        Custom.__name__ = self.__name__
        mapped = self._vmap
        if mapped is not None:
            Custom.vmap = staticmethod(  # type: ignore[method-assign]
                lambda info, in_dims, *args: mapped(info, in_dims, *args, **options)
            )
        return Custom

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._name})>"


def _kind_of(args: tuple[Any, ...], options: dict[str, Any]) -> str:
    """The kind of device that an op's first tensor is on."""
    for value in (*args, *options.values()):
        if isinstance(value, Tensor):
            return value.device.type
    return "cpu"


def _cast(value: Any, kind: dtype) -> Any:
    """Tensors of floating point (but float64) in a type, also in lists."""
    if isinstance(value, (list, tuple)):
        return type(value)(_cast(v, kind) for v in value)
    if isinstance(value, Tensor) and value.is_floating_point() and value.dtype is not float64:
        return value.to(kind)
    return value


def _wanted(args: tuple[Any, ...]) -> bool:
    return any(isinstance(a, Tensor) and edge_of(a) is not None for a in args)


def _publish(name: str, call: Any) -> None:
    """Let it be found as ``torch.ops.SPACE.NAME``."""
    from framework import ops

    space, _, short = name.partition("::")
    found = vars(ops).get(space)
    if found is None:
        found = SimpleNamespace()
        setattr(ops, space, found)
    setattr(found, short.partition(".")[0], call)


def custom_op(
    name: str, fn: Callable[..., Any] | None = None, /, *, mutates_args: Iterable[str] | str = (),
    device_types: Any = None, schema: str | None = None, tags: Any = None,
) -> Any:  # fmt: skip
    """Make a function an op called ``SPACE::NAME``, which stands in ``torch.ops`` then.

    It has no gradient before `register_autograd` gave it one. ValueError for another form of name.

    >>> import framework as torch
    >>> @torch.library.custom_op("mine::twice", mutates_args=())
    ... def twice(x: torch.Tensor) -> torch.Tensor:
    ...     return x * 2
    >>> twice.register_autograd(lambda ctx, g: g * 2)
    >>> x = torch.ones(2, requires_grad=True)
    >>> torch.ops.mine.twice(x).sum().backward()
    >>> x.grad
    tensor([2., 2.])
    """

    def make(call: Callable[..., Any]) -> CustomOpDef:
        return CustomOpDef(name, call, mutates_args)

    return make if fn is None else make(fn)


triton_op = custom_op


def _found(op: Any) -> CustomOpDef:
    made = op if isinstance(op, CustomOpDef) else _ops.get(str(op))
    if made is None:
        raise RuntimeError(f"there is no op {op!r}; make it with torch.library.custom_op first")
    return made


def register_fake(op: Any, func: Any = None, /, **options: Any) -> Any:
    """Accepted: shapes without values are for PyTorch's compiler; returns the function.

    It never raises.

    >>> import framework as torch
    >>> torch.library.register_fake("mine::any", abs) is abs
    True
    """
    return (lambda f: f) if func is None else func


def register_kernel(op: Any, device_types: Any, func: Any = None, /, **options: Any) -> Any:
    """Compute an op (or the one of this name) by another function for tensors on these devices.

    ``device_types`` is "cpu", "cuda", a list of them, or None for both. RuntimeError if there is no
    such op.

    >>> import framework as torch
    >>> torch.library.define("mine::half", "(Tensor x) -> Tensor")
    >>> @torch.library.register_kernel("mine::half", "cpu")
    ... def half(x):
    ...     return x / 2
    >>> torch.ops.mine.half(torch.ones(1))
    tensor([0.5000])
    """
    return _found(op).register_kernel(device_types, func)


def register_autograd(
    op: Any, backward: Callable[..., Any], /, *, setup_context: Any = None, lib: Any = None
) -> None:
    """Give an op (or the one of this name) its gradient.

    ``backward(ctx, *grads)`` gives one for each argument, None where there is none;
    ``setup_context(ctx, inputs, output)`` saves what it needs. RuntimeError for no such op.

    >>> import framework as torch
    >>> @torch.library.custom_op("mine::square", mutates_args=())
    ... def square(x: torch.Tensor) -> torch.Tensor:
    ...     return x * x
    >>> torch.library.register_autograd(
    ...     "mine::square", lambda ctx, g: 2 * ctx.saved_tensors[0] * g,
    ...     setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
    ... )
    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> square(x).backward()
    >>> x.grad
    tensor([6.])
    """
    _found(op).register_autograd(backward, setup_context=setup_context)


def register_vmap(op: Any, func: Any = None, /, *, lib: Any = None) -> Any:
    """Say what an op (or the one of this name) does inside of `vmap`; also a decorator.

    ``func(info, in_dims, *args)`` gets tensors with one dimension more, at ``in_dims`` (None: that
    one has none), and returns the output and the place of its further dimension. ``info`` has the
    ``batch_size``. RuntimeError for no such op.

    >>> import framework as torch
    >>> @torch.library.custom_op("mine::cube", mutates_args=())
    ... def cube(x: torch.Tensor) -> torch.Tensor:
    ...     return torch.tensor(x.numpy() ** 3)
    >>> torch.library.register_vmap(cube, lambda info, in_dims, x: (cube(x), in_dims[0])) is None
    False
    >>> torch.vmap(cube)(torch.arange(3))
    tensor([0, 1, 8])
    """
    return _found(op).register_vmap(func)


def register_autocast(op: Any, device_type: str, cast_inputs: dtype, /, *, lib: Any = None) -> None:
    """Within `autocast` for such devices an op's inputs of floating point get this type.

    The op itself runs without autocast then. RuntimeError for no such op.

    >>> import framework as torch
    >>> @torch.library.custom_op("mine::doubled", mutates_args=())
    ... def doubled(x: torch.Tensor) -> torch.Tensor:
    ...     return x + x
    >>> torch.library.register_autocast(doubled, "cpu", torch.bfloat16)
    >>> with torch.autocast("cpu"):
    ...     doubled(torch.ones(1))
    tensor([2.], dtype=torch.bfloat16)
    """
    _found(op).register_autocast(device_type, cast_inputs)


def impl_abstract(qualname: Any, func: Any = None, *, lib: Any = None) -> Any:
    """The older name of `register_fake`.

    It never raises.

    >>> import framework as torch
    >>> torch.library.impl_abstract("mine::any", abs) is abs
    True
    """
    return register_fake(qualname, func)


def define(name: str, schema: str = "", **options: Any) -> None:
    """Announce an op, whose function `impl` gives: until then a call raises NotImplementedError.

    The schema is not read. ValueError for a name that is not of the form ``SPACE::NAME``.

    >>> import framework as torch
    >>> torch.library.define("mine::later", "(Tensor x) -> Tensor")
    >>> torch.ops.mine.later(torch.ones(1))
    Traceback (most recent call last):
      ...
    NotImplementedError: mine::later has no function yet: give it one by torch.library.impl
    """
    CustomOpDef(name.partition("(")[0], _missing(name), ())


def _missing(name: str) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        raise NotImplementedError(f"{name} has no function yet: give it one by torch.library.impl")

    return call


def impl(qualname: Any, types: Any = None, func: Any = None, *, lib: Any = None) -> Any:
    """Give a defined op its function, which is the same for all ``types`` of devices.

    RuntimeError if there is no such op.

    >>> import framework as torch
    >>> torch.library.define("mine::thrice", "(Tensor x) -> Tensor")
    >>> @torch.library.impl("mine::thrice", "cpu")
    ... def thrice(x):
    ...     return 3 * x
    >>> torch.ops.mine.thrice(torch.ones(1))
    tensor([3.])
    """

    def register(call: Callable[..., Any]) -> Callable[..., Any]:
        _found(qualname)._call = call
        return call

    return register if func is None else register(func)


class Library:
    """Ops of one namespace: ``define`` their schemas, then give them functions by ``impl``.

    >>> import framework as torch
    >>> library = torch.library.Library("mine", "FRAGMENT")
    >>> library.define("plus_one(Tensor x) -> Tensor")
    'plus_one'
    >>> library.impl("plus_one", lambda x: x + 1, "CPU")
    >>> torch.ops.mine.plus_one(torch.zeros(1))
    tensor([1.])
    """

    def __init__(self, ns: str, kind: str = "DEF", dispatch_key: str = "") -> None:
        self.ns, self.kind = ns, kind

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """Announce an op by its schema; returns its name."""
        name = schema.partition("(")[0]
        define(f"{self.ns}::{name}")
        return name

    def impl(self, op_name: Any, fn: Any, dispatch_key: str = "", **options: Any) -> None:
        """The function of an op; those of keys that are not a device's are accepted."""
        if dispatch_key not in ("Meta", "Autograd", "AutogradCPU", "AutogradCUDA"):
            impl(f"{self.ns}::{str(op_name).rpartition('::')[2]}", None, fn)


def opcheck(op: Any, args: Any, kwargs: Any = None, **options: Any) -> dict[str, str]:
    """Call an op; what PyTorch tests besides concerns its compiler.

    Shapes and dtypes are those that the op takes. TypeError for what cannot be called; raises
    what the op raises.

    >>> import framework as torch
    >>> @torch.library.custom_op("mine::checked", mutates_args=())
    ... def checked(x: torch.Tensor) -> torch.Tensor:
    ...     return x * x
    >>> torch.library.opcheck(checked, (torch.ones(1),))
    {'test_schema': 'SUCCESS'}
    """
    op(*args, **(kwargs or {}))
    return {"test_schema": "SUCCESS"}


def wrap_triton(kernel: Any, /) -> Any:
    """Refused with NotImplementedError: there is no Triton here.

    >>> import framework as torch
    >>> torch.library.wrap_triton(abs)
    Traceback (most recent call last):
      ...
    NotImplementedError: wrap_triton: Triton's kernels are not supported
    """
    raise NotImplementedError("wrap_triton: Triton's kernels are not supported")
