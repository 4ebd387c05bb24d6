"""`library`: functions of the user's that are called as ops: ``torch.ops.mine.name``.

There is nothing to compile here, so an op is its Python function, with a gradient if one was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from framework.autograd.function import Function
from framework.core.dispatch import edge_of
from framework.core.modes import modes
from framework.tensor import Tensor

__all__ = [
    "CustomOpDef", "Library", "custom_op", "define", "impl", "opcheck", "register_autograd",
    "register_fake", "register_kernel", "triton_op", "wrap_triton",
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

    register_vmap = register_torch_dispatch = register_fake

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
        tensors = [a for a in (*args, *options.values()) if isinstance(a, Tensor)]
        kind = tensors[0].device.type if tensors else "cpu"
        return self._kernels.get(kind, self._call)(*args, **options)

    def __call__(self, *args: Any, **options: Any) -> Any:
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
            def forward(ctx: Any, *args: Any) -> Any:
                out = op._compute(*args, **options)
                if op._setup is not None:
                    given = {"keyword_only_inputs": options} if options else {}
                    op._setup(ctx, args, out, **given)
                return out

            @staticmethod
            def backward(ctx: Any, *grads: Any) -> Any:
                assert op._backward is not None
                return op._backward(ctx, *grads)

        Custom.__name__ = self.__name__
        return Custom

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._name})>"


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
