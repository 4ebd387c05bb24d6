"""Layers between `apply` and the ops: what vmap, autocast and saved-tensor hooks have in common.

A layer sees every op that is applied in its thread while it is entered, the innermost layer first.
It runs what it wants to be run instead through `apply`, which then goes to the next layer outwards.
`dispatch.interposer` is None while no thread has a layer, so that ops pay one test for all of this.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from framework.core import dispatch
from framework.trace import sink

__all__ = ["Layer", "by_sample", "looked_at", "stack"]


class _Stack(threading.local):
    layers: tuple[Layer, ...] = ()  # outermost first


stack = _Stack()
_lock = threading.Lock()
_entered = 0  # layers of all threads


class Layer:
    """Base of the layers; entered with ``with``."""

    apart = False  # whether it wants ops as their parts: attention, losses, paddings, ...

    def __init__(self) -> None:
        self._befores: list[tuple[Layer, ...]] = []

    def op(self, op: Any, args: tuple[Any, ...], meta: dict[str, Any]) -> Any:
        """The result of an op; by default what the layers further out make of it."""
        return dispatch.apply(op, *args, **meta)

    def composite(
        self, name: str, args: tuple[Any, ...], meta: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What a composite op shall be called with."""
        return args, meta

    def whole(self, call: Callable[..., Any], args: tuple[Any, ...], options: Any) -> Any:
        """What a function that looks at values between its ops gives; by default it just runs."""
        return NotImplemented

    def __enter__(self) -> Any:
        global _entered
        self._befores.append(stack.layers)
        stack.layers = (*stack.layers, self)
        with _lock:
            _entered += 1
            dispatch.interposer = _interposer
        return self

    def __exit__(self, *exc: object) -> None:
        global _entered
        stack.layers = self._befores.pop()
        with _lock:
            _entered -= 1
            if not _entered:
                dispatch.interposer = None


class _Interposer:
    """What `dispatch` calls while there are layers."""

    def op(self, op: Any, args: tuple[Any, ...], meta: dict[str, Any]) -> Any:
        layers = stack.layers
        if not layers:
            return NotImplemented
        stack.layers = layers[:-1]
        try:
            return layers[-1].op(op, args, meta)
        finally:
            stack.layers = layers

    def composite(
        self, name: str, args: tuple[Any, ...], meta: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for layer in reversed(stack.layers):
            args, meta = layer.composite(name, args, meta)
        return args, meta


_interposer = _Interposer()


def looked_at() -> bool:
    """Whether somebody wants to see what an op is made of: a trace, or a layer like vmap."""
    return sink.active is not None or any(layer.apart for layer in stack.layers)


def by_sample(call: Callable[..., Any]) -> Callable[..., Any]:
    """Say that a function looks at values between its ops: inside of vmap it runs per sample."""

    @functools.wraps(call)
    def function(*args: Any, **options: Any) -> Any:
        if stack.layers:
            from framework.func.looping import looped

            for layer in reversed(stack.layers):
                found = layer.whole(call, args, options)
                if found is not NotImplemented:
                    return found
            found = looped(call, args, options)
            if found is not NotImplemented:
                return found
        return call(*args, **options)

    return function
