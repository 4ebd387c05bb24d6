"""Grad mode: whether ops make graph nodes. Per thread, as in PyTorch."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

__all__ = [
    "enable_grad",
    "inference_mode",
    "is_grad_enabled",
    "modes",
    "no_grad",
    "set_grad_enabled",
]


class _Modes(threading.local):
    grad = True
    inference = False
    anomaly = False  # backward passes look for the first NaN or Inf
    check_nan = True
    task: Any = None  # the backward pass that is being run
    transforms = 0  # transforms of framework.func that are being run
    dual = False  # a level of forward mode is open


modes = _Modes()


def is_grad_enabled() -> bool:
    """Whether grad mode is on in this thread."""
    return modes.grad


class _GradMode:
    """A context manager and a decorator, for functions and generators' first call alike."""

    _value = True

    def __enter__(self) -> None:
        self._before = modes.grad
        modes.grad = self._value

    def __exit__(self, *exc: object) -> None:
        modes.grad = self._before

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        make = type(self)._again(self)

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with make():
                return function(*args, **kwargs)

        return wrapped

    @staticmethod
    def _again(mode: _GradMode) -> Callable[[], Any]:
        return type(mode)


class no_grad(_GradMode):
    """Ops make no graph nodes: ``with no_grad():``, ``@no_grad()`` or ``@no_grad``.

    >>> import framework as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> with torch.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    _value = False

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        mode = object.__new__(cls)
        return mode if function is None else mode(function)

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        pass


class enable_grad(no_grad):
    """The inverse of `no_grad`, for use inside of it."""

    _value = True


class set_grad_enabled(_GradMode):
    """Set grad mode at once; as a context manager, until its end."""

    def __init__(self, mode: bool) -> None:
        self._value = bool(mode)
        self._before = modes.grad
        modes.grad = self._value

    def __enter__(self) -> None:
        modes.grad = self._value

    @staticmethod
    def _again(mode: _GradMode) -> Callable[[], Any]:
        value = mode._value
        modes.grad = mode._before
        return lambda: set_grad_enabled(value)


class inference_mode(_GradMode):
    """`no_grad` for code that never needs gradients (here without PyTorch's extra restrictions)."""

    def __new__(cls, mode: Any = True) -> Any:
        self = object.__new__(cls)
        if callable(mode):
            return self(mode)
        self._value = not mode
        return self

    def __init__(self, mode: Any = True) -> None:
        pass

    def __enter__(self) -> None:
        self._outer = modes.inference
        modes.inference = not self._value
        super().__enter__()
        if self._value:
            modes.grad = self._before

    def __exit__(self, *exc: object) -> None:
        modes.inference = self._outer
        super().__exit__(*exc)
