"""Grad mode: whether ops make graph nodes. Per thread, as in PyTorch."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any

__all__ = [
    "enable_grad",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "is_multithreading_enabled",
    "modes",
    "no_grad",
    "set_grad_enabled",
    "set_multithreading_enabled",
]


class _Modes(threading.local):
    grad = True
    inference = False
    anomaly = False  # backward passes look for the first NaN or Inf
    check_nan = True
    multithreading = True
    task: Any = None  # the backward pass that is being run
    transforms = 0  # transforms of framework.func that are being run
    dual = False  # a level of forward mode is open
    forward = 0  # of these and of jvp and its like: ops are recorded without grad mode, too


modes = _Modes()


def is_grad_enabled() -> bool:
    """Whether grad mode is on in this thread: whether ops make graph nodes.

    >>> import framework as torch
    >>> with torch.no_grad():
    ...     torch.is_grad_enabled()
    False
    """
    return modes.grad


def is_inference_mode_enabled() -> bool:
    """Whether `inference_mode` is on in this thread.

    >>> import framework as torch
    >>> with torch.inference_mode():
    ...     torch.is_inference_mode_enabled()
    True
    """
    return modes.inference


class _GradMode:
    """A context manager and a decorator, for functions and for generators."""

    _value = True

    def __enter__(self) -> None:
        self._before = modes.grad
        modes.grad = self._value

    def __exit__(self, *exc: object) -> None:
        modes.grad = self._before

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        make = type(self)._again(self)
        if inspect.isgeneratorfunction(function):
            return _generator_within(make, function)

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with make():
                return function(*args, **kwargs)

        return wrapped

    @staticmethod
    def _again(mode: _GradMode) -> Callable[[], Any]:
        return type(mode)


def _generator_within(make: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """A generator function whose body runs in a mode, and whose caller does not."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        inner = function(*args, **kwargs)
        try:
            with make():
                value = inner.send(None)
            while True:
                try:
                    sent = yield value
                except GeneratorExit:
                    with make():
                        inner.close()
                    raise
                except BaseException as error:
                    with make():
                        value = inner.throw(error)
                else:
                    with make():
                        value = inner.send(sent)
        except StopIteration as stop:
            return stop.value

    return wrapped


class _FixedGradMode(_GradMode):
    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        mode = object.__new__(cls)
        return mode if function is None else mode(function)

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        pass

    def clone(self) -> Any:
        """Another one."""
        return type(self)()


class no_grad(_FixedGradMode):
    """Ops make no graph nodes: ``with no_grad():``, ``@no_grad()`` or ``@no_grad``.

    >>> import framework as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    _value = False


class enable_grad(_FixedGradMode):
    """The inverse of `no_grad`, for use inside of it; a context manager and a decorator.

    >>> import framework as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.no_grad(), torch.enable_grad():
    ...     (x * 2).requires_grad
    True
    """

    _value = True


class set_grad_enabled(_GradMode):
    """Set grad mode at once; as a context manager, until its end.

    >>> import framework as torch
    >>> x, training = torch.ones(2, requires_grad=True), False
    >>> with torch.set_grad_enabled(training):
    ...     (x * 2).requires_grad
    False
    """

    def __init__(self, mode: bool) -> None:
        if mode.__class__ is not bool:
            got = type(mode).__name__
            raise TypeError(
                f"set_grad_enabled(): argument 'enabled' (position 1) must be bool, not {got}"
            )
        self.mode = self._value = mode
        self._before = modes.grad
        modes.grad = mode

    def __repr__(self) -> str:
        return f"framework.autograd.grad_mode.set_grad_enabled(mode={self.mode})"

    def __enter__(self) -> None:
        modes.grad = self._value

    def clone(self) -> Any:
        """Another one, which sets the mode at once, too."""
        return type(self)(self.mode)

    @staticmethod
    def _again(mode: _GradMode) -> Callable[[], Any]:
        value = mode._value
        modes.grad = mode._before
        return lambda: set_grad_enabled(value)


class inference_mode(_GradMode):
    """`no_grad` for code that never needs gradients: its tensors cannot take part in autograd.

    >>> import framework as torch
    >>> with torch.inference_mode():
    ...     y = torch.ones(2) * 2
    >>> y.is_inference()
    True
    """

    def __new__(cls, mode: Any = True) -> Any:
        self = object.__new__(cls)
        self._value = False if callable(mode) else not mode
        if callable(mode):
            return self(mode)
        return self

    def __init__(self, mode: Any = True) -> None:
        pass

    def __enter__(self) -> None:
        self._outer = modes.inference
        modes.inference = not self._value
        _mark_inference(modes.inference)
        super().__enter__()
        if self._value:
            modes.grad = self._before

    def clone(self) -> Any:
        """Another one."""
        return type(self)(not self._value)

    @staticmethod
    def _again(mode: _GradMode) -> Callable[[], Any]:
        value = not mode._value
        return lambda: inference_mode(value)

    def __exit__(self, *exc: object) -> None:
        _unmark_inference(modes.inference)
        modes.inference = self._outer
        super().__exit__(*exc)


_inferring = 0  # inference modes that are on, in all threads
_lock = threading.Lock()


def _mark_inference(on: bool) -> None:
    """While an inference mode is on, `dispatch.wrap` marks what it makes; else it costs nothing."""
    global _inferring
    if not on:
        return
    from framework.core import dispatch, inference

    with _lock:
        if not _inferring:
            inference.install(dispatch)
        _inferring += 1


def _unmark_inference(on: bool) -> None:
    global _inferring
    if not on:
        return
    from framework.core import dispatch, inference

    with _lock:
        _inferring -= 1
        if not _inferring:
            inference.uninstall(dispatch)


def is_multithreading_enabled() -> bool:
    """What `set_multithreading_enabled` has set.

    >>> import framework as torch
    >>> torch.autograd.is_multithreading_enabled()
    True
    """
    return modes.multithreading


class set_multithreading_enabled(_GradMode):
    """Accepted: backward passes run in the thread that starts them anyway.

    >>> import framework as torch
    >>> with torch.autograd.set_multithreading_enabled(False):
    ...     torch.autograd.is_multithreading_enabled()
    False
    """

    def __init__(self, mode: bool) -> None:
        self._value = bool(mode)
        self._outer = modes.multithreading
        modes.multithreading = self._value

    def __enter__(self) -> None:
        modes.multithreading = self._value

    def __exit__(self, *exc: object) -> None:
        modes.multithreading = self._outer

    @staticmethod
    def _again(mode: _GradMode) -> Callable[[], Any]:
        value = mode._value
        return lambda: set_multithreading_enabled(value)
