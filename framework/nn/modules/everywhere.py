"""Hooks of all modules: on calls, on backward passes, and on what modules get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.core.graph import Hook

__all__ = [
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

# Hooks of all modules: number -> (kind, hook), in the order of their registration.
everywhere: dict[int, tuple[str, Callable[..., Any]]] = {}


on_registration: dict[int, tuple[str, Callable[..., Any]]] = {}  # the same, of what they get


def registered(kind: str, module: Any, name: str, value: Any) -> Any:
    """What a module gets under a name, after the hooks have seen it."""
    for wanted, hook in list(on_registration.values()):
        if wanted == kind:
            changed = hook(module, name, value)
            value = value if changed is None else changed
    return value


def _for_all(kind: str, hook: Callable[..., Any]) -> Hook:
    return Hook(everywhere, (kind, hook))


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> Hook:
    """``hook(module, args)`` before the forward of any module; may return new arguments.

    Returns a handle, which is a context manager as well: the hook is gone after the block.

    It never raises.

    >>> import framework as torch
    >>> from framework.nn.modules.module import register_module_forward_pre_hook
    >>> with register_module_forward_pre_hook(lambda m, args: print(type(m).__name__)):
    ...     _ = torch.nn.Sequential(torch.nn.ReLU())(torch.ones(1))
    Sequential
    ReLU
    """
    return _for_all("forward pre", hook)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> Hook:
    """``hook(module, args, output)`` after the forward of any module, before its own hooks.

    Args:
        with_kwargs: it is called with (module, args, kwargs, output).
        always_call: also (with output None) if ``forward`` raised.

    It never raises.

    >>> import framework as torch
    >>> from framework.nn.modules.module import register_module_forward_hook
    >>> with register_module_forward_hook(lambda m, args, out: print(type(m).__name__)):
    ...     _ = torch.nn.Sequential(torch.nn.ReLU())(torch.ones(1))
    ReLU
    Sequential
    """
    run = hook if with_kwargs else lambda module, args, kwargs, out: hook(module, args, out)
    return _for_all("forward always" if always_call else "forward", run)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> Hook:
    """``hook(module, grad_input, grad_output)`` for any module, before its own hooks.

    It never raises.

    >>> import framework as torch
    >>> from framework.nn.modules.module import register_module_full_backward_hook
    >>> x = torch.ones(1, requires_grad=True)
    >>> with register_module_full_backward_hook(lambda m, gi, go: print(type(m).__name__, go)):
    ...     torch.nn.ReLU()(x).backward()
    ReLU (tensor([1.]),)
    """
    return _for_all("backward", hook)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> Hook:
    """``hook(module, grad_output)`` for any module, before its own hooks.

    It may return other gradients.

    It never raises.

    >>> import framework as torch
    >>> from framework.nn.modules.module import register_module_full_backward_pre_hook
    >>> x = torch.ones(1, requires_grad=True)
    >>> with register_module_full_backward_pre_hook(lambda m, go: (go[0] * 3,)):
    ...     torch.nn.ReLU()(x).backward()
    >>> x.grad
    tensor([3.])
    """
    return _for_all("backward pre", hook)


register_module_backward_hook = register_module_full_backward_hook


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> Hook:
    """``hook(module, name, buffer)`` when any module gets a buffer; may return another one.

    Returns a handle, which is a context manager as well.

    It never raises.

    >>> import framework as torch
    >>> from framework.nn.modules.module import register_module_buffer_registration_hook
    >>> with register_module_buffer_registration_hook(lambda m, name, buffer: print(name)):
    ...     torch.nn.Module().register_buffer("mean", torch.zeros(1))
    mean
    """
    return Hook(on_registration, ("buffer", hook))


def register_module_module_registration_hook(hook: Callable[..., Any]) -> Hook:
    """``hook(module, name, child)`` when any module gets a child; may return another one.

    Returns a handle, which is a context manager as well.

    It never raises.

    >>> import framework as torch
    >>> from framework.nn.modules.module import register_module_module_registration_hook
    >>> with register_module_module_registration_hook(lambda m, name, child: print(name, child)):
    ...     _ = torch.nn.Sequential(torch.nn.ReLU())
    0 ReLU()
    """
    return Hook(on_registration, ("module", hook))


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> Hook:
    """``hook(module, name, parameter)`` when any module gets one; may return another one.

    Returns a handle, which is a context manager as well.

    It never raises.

    >>> import framework as torch
    >>> from framework.nn.modules.module import register_module_parameter_registration_hook
    >>> with register_module_parameter_registration_hook(lambda m, name, p: print(name, p.shape)):
    ...     _ = torch.nn.Linear(3, 2)
    weight torch.Size([2, 3])
    bias torch.Size([2])
    """
    return Hook(on_registration, ("parameter", hook))
