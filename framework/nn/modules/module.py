"""`Module`: the base of layers and models. Its ``__call__`` is the trace's choke point for modules.

State dicts are in `state`, walks over what a module has in `tree`, full backward hooks in `hooks`,
hooks of all modules in `everywhere`.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from threading import get_ident
from typing import Any

from framework import dtypes
from framework.compiler import checked, note_once
from framework.core.exchange import same_form
from framework.core.graph import Hook
from framework.core.modes import no_grad
from framework.device import META, existing
from framework.device import device as parsed_device
from framework.nn.modules.everywhere import (
    everywhere,
    on_registration,
    register_module_backward_hook,
    register_module_buffer_registration_hook,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
    registered,
)
from framework.nn.modules.hooks import BackwardHook
from framework.nn.modules.state import IncompatibleKeys as _IncompatibleKeys  # noqa: F401
from framework.nn.modules.state import StateDict, type_name
from framework.nn.modules.state import add_indent as _addindent
from framework.nn.modules.tree import ModuleTree
from framework.nn.parameter import Buffer, Parameter, is_lazy
from framework.ops.creation import empty, like
from framework.tensor import Tensor
from framework.trace import sink

__all__ = [
    "Module", "register_module_backward_hook", "register_module_buffer_registration_hook",
    "register_module_forward_hook", "register_module_forward_pre_hook",
    "register_module_full_backward_hook", "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook", "register_module_parameter_registration_hook",
]  # fmt: skip

_HOOKS = (
    "_backward_pre_hooks", "_backward_hooks", "_forward_hooks", "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks", "_state_dict_pre_hooks", "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)  # fmt: skip


def _of_all(kind: str) -> list[Callable[..., Any]]:
    return [hook for k, hook in list(everywhere.values()) if k == kind]


class Module(ModuleTree, StateDict):
    """Base class of all layers and models: parameters, buffers, children and a ``forward``.

    What is assigned to it is registered: a `Parameter`, a `Buffer` or a module, by its name
    (AttributeError before ``super().__init__()`` was called). Call the module, not ``forward``:
    hooks and the trace belong to the call (NotImplementedError without a ``forward``). Shapes and
    dtypes are up to it; parameters are of the default dtype, float32, unless made with another.
    ``training`` is True until `eval`.

    >>> import framework as torch
    >>> from framework import nn
    >>> class Twice(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.scale = nn.Parameter(torch.ones(1))
    ...
    ...     def forward(self, x):
    ...         return x * self.scale * 2
    >>> Twice()(torch.ones(3))
    tensor([2., 2., 2.], grad_fn=<MulBackward0>)
    >>> [name for name, _ in Twice().named_parameters()]
    ['scale']
    """

    training: bool
    _version = 1
    dump_patches = False  # of PyTorch's older files; has no effect
    _is_full_backward_hook: bool | None = None  # which kind of backward hooks it has
    call_super_init = False  # True: Module passes its arguments on to the next base

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if (args or kwargs) and not self.call_super_init:
            name = type(self).__name__
            if kwargs:
                raise TypeError(
                    f"{name}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
                )
            raise TypeError(
                f"{name}.__init__() takes 1 positional argument but {len(args) + 1} were given"
            )
        own = self.__dict__
        own["training"] = True
        own["_parameters"] = {}
        own["_buffers"] = {}
        own["_modules"] = {}
        own["_non_persistent_buffers_set"] = set()
        for name in _HOOKS:
            own[name] = OrderedDict()
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass defines it, else NotImplementedError.

        >>> import framework as torch
        >>> class Double(torch.nn.Module):
        ...     def forward(self, x):
        ...         return 2 * x
        >>> Double()(torch.ones(2))
        tensor([2., 2.])
        """
        raise NotImplementedError(
            f'Module [{type(self).__name__}] is missing the required "forward" function'
        )

    # -- the call ----------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        hooked = (
            self._forward_hooks
            or self._forward_pre_hooks
            or self._backward_hooks
            or self._backward_pre_hooks
            or everywhere
        )
        recorder = sink.active
        if recorder is None or recorder.thread != get_ident():
            if hooked:
                return self._call_with_hooks(args, kwargs)
            return self.forward(*args, **kwargs)
        begin = recorder.begin_module(self, (*args, *kwargs.values()))
        try:
            if hooked:
                out = self._call_with_hooks(args, kwargs)
            else:
                out = self.forward(*args, **kwargs)
        except BaseException as error:
            recorder.end_module(begin, None, error)
            raise
        recorder.end_module(begin, out)
        return out

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        ran: set[int] = set()
        try:
            return self._hooked_forward(args, kwargs, ran)
        except Exception:  # a hook or `forward`, both the user's; raised again below
            for hook in _of_all("forward always"):
                hook(self, args, kwargs, None)
            for key in list(self._forward_hooks_always_called):
                if key not in ran and key in self._forward_hooks:
                    try:
                        self._run_forward_hook(key, args, kwargs, None)
                    except Exception as error:
                        warnings.warn(
                            "module forward hook with ``always_call=True`` raised an exception "
                            f"that was silenced as another error was raised in forward: {error}",
                            stacklevel=3,
                        )
            raise

    def _hooked_forward(self, args: Any, kwargs: dict[str, Any], ran: set[int]) -> Any:
        for hook in _of_all("forward pre"):
            args, kwargs = self._pre_hooked(-1, hook, args, kwargs)
        for key, hook in list(self._forward_pre_hooks.items()):
            args, kwargs = self._pre_hooked(key, hook, args, kwargs)
        backward = None
        after = [*_of_all("backward"), *self._backward_hooks.values()]
        before = [*_of_all("backward pre"), *self._backward_pre_hooks.values()]
        if after or before:
            backward = BackwardHook(self, after, before)
            args = backward.take_inputs(args)
        result = self.forward(*args, **kwargs)
        for hook in (*_of_all("forward"), *_of_all("forward always")):
            changed = hook(self, args, kwargs, result)
            if changed is not None:
                result = changed
        for key in list(self._forward_hooks):
            ran.add(key)
            changed = self._run_forward_hook(key, args, kwargs, result)
            if changed is not None:
                result = changed
        return result if backward is None else backward.take_output(result)

    def _pre_hooked(self, key: int, hook: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        if key not in self._forward_pre_hooks_with_kwargs:
            changed = hook(self, args)
            if changed is None:
                return args, kwargs
            return (changed if isinstance(changed, tuple) else (changed,)), kwargs
        changed = hook(self, args, kwargs)
        if changed is None:
            return args, kwargs
        if isinstance(changed, tuple) and len(changed) == 2:
            return changed
        raise RuntimeError(
            "forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got "
            f"{changed}."
        )

    def _run_forward_hook(self, key: int, args: Any, kwargs: Any, result: Any) -> Any:
        hook = self._forward_hooks[key]
        if key in self._forward_hooks_with_kwargs:
            return hook(self, args, kwargs, result)
        return hook(self, args, result)

    # -- hooks -------------------------------------------------------------------------------

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> Hook:
        """``hook(module, args)`` before ``forward``; may return new arguments. Returns a handle.

        Args:
            prepend: before the hooks that are there, not after them; all hooks of modules have it.
            with_kwargs: it is ``hook(module, args, kwargs)`` and returns both or None.

        >>> import framework as torch
        >>> layer = torch.nn.Identity()
        >>> handle = layer.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
        >>> layer(torch.zeros(2))
        tensor([1., 1.])
        >>> handle.remove()
        >>> layer(torch.zeros(2))
        tensor([0., 0.])
        """
        handle = Hook(self._forward_pre_hooks, hook, prepend)
        if with_kwargs:
            self._forward_pre_hooks_with_kwargs[handle.id] = True
        return handle

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> Hook:
        """``hook(module, args, output)`` after ``forward``; may return another output.

        Returns a handle.

        Args:
            with_kwargs: it is ``hook(module, args, kwargs, output)``.
            always_call: it runs (with output None) even if ``forward`` raised.

        >>> import framework as torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
        >>> for layer in model:
        ...     _ = layer.register_forward_hook(lambda m, args, out: print(m, out.shape))
        >>> _ = model(torch.zeros(4, 3))
        Linear(in_features=3, out_features=2, bias=True) torch.Size([4, 2])
        ReLU() torch.Size([4, 2])
        """
        handle = Hook(self._forward_hooks, hook, prepend)
        if with_kwargs:
            self._forward_hooks_with_kwargs[handle.id] = True
        if always_call:
            self._forward_hooks_always_called[handle.id] = True
        return handle

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> Hook:  # fmt: skip
        """``hook(module, grad_input, grad_output)`` when the inputs' gradients are known.

        Both are tuples with None for what is no tensor or wants no gradient; the hook may return
        other gradients for the inputs (RuntimeError for another number of them).

        >>> import framework as torch
        >>> layer = torch.nn.ReLU()
        >>> handle = layer.register_full_backward_hook(lambda m, *grads: print(*grads))
        >>> layer(torch.tensor([-1.0, 1.0], requires_grad=True)).sum().backward()
        (tensor([0., 1.]),) (tensor([1., 1.]),)
        """
        return self._backward_hook(hook, prepend, full=True)

    def register_backward_hook(self, hook: Callable[..., Any]) -> Hook:
        """The older form of `register_full_backward_hook`; here they do the same.

        A module can have hooks of one form only: RuntimeError.

        >>> import framework as torch
        >>> layer = torch.nn.ReLU()
        >>> handle = layer.register_backward_hook(lambda m, grad_in, grad_out: print(grad_out))
        >>> layer(torch.tensor([-1.0, 1.0], requires_grad=True)).sum().backward()
        (tensor([1., 1.]),)
        """
        return self._backward_hook(hook, False, full=False)

    def _backward_hook(self, hook: Callable[..., Any], prepend: bool, full: bool) -> Hook:
        if self._is_full_backward_hook is (not full):
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single "
                "Module. Please use only one of them."
            )
        self._is_full_backward_hook = full
        return Hook(self._backward_hooks, hook, prepend)

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> Hook:  # fmt: skip
        """``hook(module, grad_output)`` when the outputs' gradients are known; may return others.

        >>> import framework as torch
        >>> layer, x = torch.nn.ReLU(), torch.ones(2, requires_grad=True)
        >>> handle = layer.register_full_backward_pre_hook(lambda m, grad_out: (10 * grad_out[0],))
        >>> layer(x).sum().backward()
        >>> x.grad
        tensor([10., 10.])
        """
        return Hook(self._backward_pre_hooks, hook, prepend)

    # -- registration ------------------------------------------------------------------------

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None stands for one that the module does without.

        KeyError for a name that is empty, has a dot or is that of another attribute; TypeError for
        what is not a `Parameter`.

        >>> import framework as torch
        >>> module = torch.nn.Module()
        >>> module.register_parameter("weight", torch.nn.Parameter(torch.zeros(2)))
        >>> module.weight.requires_grad, list(module.state_dict())
        (True, ['weight'])
        """
        self._check_name("parameter", name, self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type_name(param)}' object to parameter '{name}' "
                "(torch.nn.Parameter or None required)"
            )
        if param is not None and param._edge is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be "
                f"created explicitly. To express '{name}' as a function of another Tensor, compute "
                "the value in the forward() method."
            )
        if on_registration and param is not None:  # as in PyTorch; buffers' hooks do see None
            param = registered("parameter", self, name, param)
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the module's state but no parameter.

        It moves along with the module. Errors as of `register_parameter`.

        Args:
            persistent: part of the ``state_dict``.

        TypeError for what is no tensor, KeyError for a name with a dot or one that is there.

        >>> import framework as torch
        >>> module = torch.nn.Module()
        >>> module.register_buffer("mean", torch.zeros(2))
        >>> module.register_buffer("cache", None, persistent=False)
        >>> list(module.state_dict()), list(module.parameters())
        (['mean'], [])
        """
        self._check_name("buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type_name(tensor)}' object to buffer '{name}' "
                "(torch Tensor or None required)"
            )
        if on_registration:
            tensor = registered("buffer", self, name, tensor)
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child under a name, which need not be that of an attribute.

        KeyError as of `register_parameter`; TypeError for what is not a module.

        >>> from framework import nn
        >>> module = nn.Module()
        >>> module.add_module("first", nn.ReLU())
        >>> module.first
        ReLU()
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type_name(module)} is not a Module subclass")
        self._check_name("module", name, self._modules)
        if on_registration:
            module = registered("module", self, name, module)
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """Alias of `add_module`."""
        self.add_module(name, module)

    def _check_name(self, kind: str, name: Any, known: dict[str, Any]) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type_name(name)}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain "."' + (f", got: {name}" if kind == "module" else ""))  # fmt: skip  # noqa: E501
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in known:
            raise KeyError(f"attribute '{name}' already exists")

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, Parameter):
            if "_parameters" not in own:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            _forget(name, own, self._buffers, self._modules)
            self._non_persistent_buffers_set.discard(name)
            self.register_parameter(name, value)
        elif isinstance(value, Module) and name not in own.get("_parameters", ()):
            if "_modules" not in own:
                raise AttributeError("cannot assign module before Module.__init__() call")
            _forget(name, own, self._buffers)
            self._non_persistent_buffers_set.discard(name)
            # No look for another attribute of that name, as `add_module` has: wrappers answer for
            # names of the module within.
            self._modules[name] = (
                registered("module", self, name, value) if on_registration else value
            )
        elif isinstance(value, Buffer):
            _forget(name, own, self._parameters, self._modules)
            self.register_buffer(name, value, value.persistent)
        elif name in own:
            own[name] = value
        else:
            self._set_plain(name, value)

    def _set_plain(self, name: str, value: Any) -> None:
        """Neither parameter nor module: it may still replace one, or be a buffer."""
        own = self.__dict__
        for table, kind, wanted in (
            ("_parameters", "parameter", "torch.nn.Parameter"),
            ("_modules", "child module", "torch.nn.Module"),
        ):
            if name in own.get(table, ()):
                if value is not None:
                    raise TypeError(
                        f"cannot assign '{type_name(value)}' as {kind} '{name}' "
                        f"({wanted} or None expected)"
                    )
                if on_registration:
                    registered(kind.split()[-1], self, name, None)
                own[table][name] = None
                return
        if name in own.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{type_name(value)}' as buffer '{name}' "
                    "(torch.nn.Buffer, torch.Tensor or None expected)"
                )
            if on_registration:
                value = registered("buffer", self, name, value)
            own["_buffers"][name] = value
        else:
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for table in ("_parameters", "_modules", "_buffers"):
            found = own.get(table)
            if found is not None and name in found:
                return found[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(n for n in names if not n[:1].isdigit())

    # -- changing all of it ------------------------------------------------------------------

    def apply(self, fn: Callable[[Module], None]) -> Any:
        """Call ``fn`` with every module below and then with this one; returns this one.

        >>> from framework import nn
        >>> def start(module):
        ...     if isinstance(module, nn.Linear):
        ...         nn.init.ones_(module.weight)
        >>> nn.Sequential(nn.Linear(2, 1), nn.ReLU()).apply(start)[0].weight.tolist()
        [[1.0, 1.0]]
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Give every parameter and buffer new memory; the parameters stay the same objects.

        Not those that go to the meta device or come from there: as in PyTorch they are new ones.
        """
        if recurse:
            for module in self.children():
                module._apply(fn)
        for name, param in self._parameters.items():
            if param is None:
                continue
            with no_grad():
                value, grad = fn(param.data), param.grad
                if is_lazy(param) or same_form(param, value):
                    param.data = value
                else:
                    param = self._parameters[name] = Parameter(value, param.requires_grad)
                if grad is not None:
                    param.grad = fn(grad)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """Move to a device and, floating parameters and buffers only, to a dtype; in place.

        ``to(device)``, ``to(dtype)``, ``to(device, dtype)`` or ``to(other_tensor)``; a
        ``memory_format`` is for parameters and buffers of four and five dimensions. Parameters stay
        the same objects. TypeError for an integer dtype.

        >>> import framework as torch
        >>> layer = torch.nn.BatchNorm1d(2).to(torch.float64)
        >>> layer.weight.dtype, layer.num_batches_tracked.dtype
        (torch.float64, torch.int64)
        """
        device, dtype = _destination(*args, **kwargs)
        form = kwargs.get("memory_format")
        if dtype is not None and dtype.category < dtypes.FLOAT:
            raise TypeError(
                "nn.Module.to only accepts floating point or complex dtypes, but got desired "
                f"dtype={dtype}"
            )
        if dtype is not None and dtype.is_complex:
            warnings.warn(
                "Complex modules are a new feature under active development whose design may "
                "change, and some modules might not work as expected when using complex tensors as "
                "parameters or buffers.",
                stacklevel=2,
            )

        def convert(t: Tensor) -> Tensor:
            wanted = dtype if t.dtype.category >= dtypes.FLOAT else None
            order = form if form is not None and t.dim() in (4, 5) else None
            if t.is_meta and device is not None and existing(device) is not META:
                raise NotImplementedError(
                    "Cannot copy out of meta tensor; no data! Please use "
                    "torch.nn.Module.to_empty() instead of torch.nn.Module.to() when moving module "
                    "from meta to a different device."
                )
            return t.to(device=device, dtype=wanted, memory_format=order)

        return self._apply(convert)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Any:
        """Move to a device without the values: what is there is uninitialised memory.

        RuntimeError for what is no device.

        >>> import framework as torch
        >>> torch.nn.Linear(2, 3).to_empty(device="cpu").weight.shape
        torch.Size([3, 2])
        """

        def emptied(t: Tensor) -> Tensor:
            made = empty(t.shape, dtype=t.dtype, device=t.device if device is None else device)
            return like(made, t, None)

        return self._apply(emptied, recurse)

    def cpu(self) -> Any:
        """Move to the CPU; returns the module.

        >>> from framework import nn
        >>> nn.Linear(1, 1).cpu().weight.device
        device(type='cpu')
        """
        return self.to("cpu")

    def cuda(self, device: Any = None) -> Any:
        """Move to a CUDA device (the first one unless given); returns the module.

        RuntimeError where there is none.

        >>> import framework as torch
        >>> layer = torch.nn.Linear(1, 1)
        >>> layer = layer.cuda() if torch.cuda.is_available() else layer
        """
        where = (
            "cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device
        )
        return self.to(where)

    def float(self) -> Any:
        """Floating parameters and buffers to float32; returns the module.

        >>> from framework import nn
        >>> nn.Linear(1, 1).double().float().weight.dtype
        torch.float32
        """
        return self.to(dtypes.float32)

    def double(self) -> Any:
        """Floating parameters and buffers to float64; returns the module.

        >>> from framework import nn
        >>> nn.Linear(1, 1).double().weight.dtype
        torch.float64
        """
        return self.to(dtypes.float64)

    def half(self) -> Any:
        """Floating parameters and buffers to float16; returns the module.

        >>> from framework import nn
        >>> nn.Linear(1, 1).half().weight.dtype
        torch.float16
        """
        return self.to(dtypes.float16)

    def bfloat16(self) -> Any:
        """Floating parameters and buffers to bfloat16; returns the module.

        >>> from framework import nn
        >>> nn.Linear(1, 1).bfloat16().weight.dtype
        torch.bfloat16
        """
        return self.to(dtypes.bfloat16)

    def type(self, dst_type: Any) -> Any:
        """All parameters and buffers to ``dst_type``; returns the module.

        >>> import framework as torch
        >>> torch.nn.Linear(1, 1).type(torch.float64).bias.dtype
        torch.float64
        """
        return self._apply(lambda t: t.type(dst_type))

    def train(self, mode: bool = True) -> Any:
        """Training mode for this module and all below it; what that means is theirs to say.

        Returns the module. ValueError for a ``mode`` that is not a bool.

        >>> from framework import nn
        >>> model = nn.Sequential(nn.Dropout())
        >>> model.eval().train().training, model.train(False)[0].training
        (True, False)
        """
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Any:
        """Evaluation mode, ``train(False)``; returns the module.

        >>> import framework as torch
        >>> torch.nn.Dropout(0.9).eval()(torch.ones(3))
        tensor([1., 1., 1.])
        """
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Ask for (or waive) gradients of all parameters; returns the module.

        >>> from framework import nn
        >>> [p.requires_grad for p in nn.Linear(1, 1).requires_grad_(False).parameters()]
        [False, False]
        """
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all parameters' gradients, or set them to zero.

        >>> import framework as torch
        >>> layer = torch.nn.Linear(2, 1, bias=False)
        >>> layer(torch.ones(2)).sum().backward()
        >>> layer.zero_grad(set_to_none=False)
        >>> layer.weight.grad
        tensor([[0., 0.]])
        >>> layer.zero_grad()
        >>> layer.weight.grad is None
        True
        """
        for param in self.parameters():
            if param.grad is None:
                continue
            if set_to_none:
                param.grad = None
            else:
                param.grad = param.grad.detach()
                param.grad.zero_()

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Accepted; the module runs op by op (see `framework.compiler`).

        >>> import framework as torch
        >>> import warnings
        >>> layer = torch.nn.ReLU()
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     layer.compile()
        >>> layer(torch.tensor([-1.0, 1.0]))
        tensor([0., 1.])
        """
        checked(kwargs)
        note_once("torch.nn.Module.compile")

    def share_memory(self) -> Any:
        """Move parameters and buffers into memory that child processes share.

        Returns the module. RuntimeError for a lazy module that has had no input.

        >>> from framework import nn
        >>> nn.Linear(2, 3).share_memory().weight.is_shared()
        True
        """
        return self._apply(lambda t: t.share_memory_())

    # -- text --------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """The part of ``repr`` between the parentheses; subclasses say what they were made with.

        >>> from framework import nn
        >>> class Scale(nn.Module):
        ...     def extra_repr(self):
        ...         return "by=2"
        >>> Scale()
        Scale(by=2)
        """
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        own = len(lines)
        for name, module in self._modules.items():
            lines.append(f"({name}): " + _addindent(repr(module), 2))
        if not lines:
            return self._get_name() + "()"
        if own == 1 and len(lines) == 1:
            return f"{self._get_name()}({lines[0]})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


def _forget(name: str, *tables: dict[str, Any]) -> None:
    for table in tables:
        table.pop(name, None)


def _destination(
    *args: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False,
    memory_format: Any = None,
) -> tuple[Any, Any]:  # fmt: skip
    for a in args:
        if isinstance(a, Tensor):
            device, dtype = a.device, a.dtype
        elif isinstance(a, bool):
            continue  # non_blocking
        elif isinstance(a, dtypes.dtype) or a is float:
            dtype = a
        elif a is not None:
            device = a
    if isinstance(device, str):  # also where there is no tensor to move
        device = parsed_device(device)
    return device, None if dtype is None else dtypes.to_dtype(dtype)
