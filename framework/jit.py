"""`jit`: TorchScript is not there; scripting and tracing return what they were given.

They say so once. Saving and loading of scripts is refused.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, Final, NamedTuple, NoReturn

from framework.compiler import note_once
from framework.futures import Future
from framework.nn.modules.module import Module

__all__ = [
    "Attribute", "CompilationUnit", "Error", "Final", "Future", "ScriptFunction", "ScriptModule",
    "annotate", "enable_onednn_fusion", "export", "export_opnames", "fork", "freeze", "ignore",
    "interface", "is_scripting", "is_tracing", "isinstance", "load", "onednn_fusion_enabled",
    "optimize_for_inference", "save", "script", "script_if_tracing", "script_method",
    "set_fusion_strategy", "strict_fusion", "trace", "trace_module", "unused", "wait",
]  # fmt: skip


def script(obj: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Returns ``obj``: a function, class or module.

    >>> import framework as torch
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     @torch.jit.script
    ...     def double(x):
    ...         return x * 2
    >>> double(torch.ones(1))
    tensor([2.])
    """
    note_once("torch.jit.script")
    return (lambda function: function) if obj is None else obj


def trace(func: Any = None, example_inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Returns ``func``, which need not be traced to be run."""
    note_once("torch.jit.trace")
    return (lambda function: function) if func is None else func


def trace_module(mod: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """Returns ``mod``."""
    note_once("torch.jit.trace")
    return mod


def script_method(fn: Any) -> Any:
    """Returns ``fn``."""
    return fn


def export(fn: Any) -> Any:
    """Returns ``fn``."""
    return fn


def interface(obj: Any) -> Any:
    """Returns ``obj``."""
    return obj


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Returns the function; also with arguments: ``@torch.jit.ignore(drop=True)``."""
    return drop if callable(drop) else (lambda function: function)


def unused(fn: Any) -> Any:
    """Returns ``fn``."""
    return fn


def freeze(mod: Any, *args: Any, **kwargs: Any) -> Any:
    """Returns ``mod``."""
    return mod


def optimize_for_inference(mod: Any, *args: Any, **kwargs: Any) -> Any:
    """Returns ``mod``."""
    return mod


def annotate(the_type: Any, the_value: Any) -> Any:
    """Returns ``the_value``."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Python's own."""
    return _isinstance(obj, target_type)


_isinstance = builtins.isinstance


def is_scripting() -> bool:
    """False."""
    return False


def is_tracing() -> bool:
    """False."""
    return False


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
    """Calls ``func`` now; the future has its result.

    >>> import framework as torch
    >>> torch.jit.wait(torch.jit.fork(torch.add, torch.ones(1), 2))
    tensor([3.])
    """
    future = Future()
    future.set_result(func(*args, **kwargs))
    return future


def wait(future: Future) -> Any:
    """The result of `fork`, which is there already; raises what an exception set in its future.

    >>> import framework as torch
    >>> torch.jit.wait(torch.jit.fork(max, 2, 3))
    3
    """
    return future.wait()


def script_if_tracing(fn: Any) -> Any:
    """Returns ``fn``."""
    return fn


def enable_onednn_fusion(enabled: bool) -> None:
    """Accepted; there is no fusion."""


def onednn_fusion_enabled() -> bool:
    """False."""
    return False


def export_opnames(m: Any) -> list[str]:
    """No names: no script was made."""
    return []


def set_fusion_strategy(strategy: Any) -> list[Any]:
    """Accepted; there is no fusion."""
    return []


def save(m: Any, f: Any, _extra_files: Any = None) -> None:
    """Refused: use ``torch.save(model.state_dict(), path)``."""
    raise NotImplementedError(
        "torch.jit.save: there is no TorchScript here; save model.state_dict() with torch.save"
    )


def load(f: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Refused: a script is a program, and none is run from a file."""
    raise NotImplementedError(
        "torch.jit.load: there is no TorchScript here; load a state dict with torch.load"
    )


class Error(RuntimeError):
    """What running a script would raise."""


class Attribute(NamedTuple):
    """A value with a type for the compiler."""

    value: Any
    type: Any


class ScriptModule(Module):
    """A module like any other; what `script` returns is none, for it is the module given.

    >>> import framework as torch
    >>> isinstance(torch.nn.Linear(2, 2), torch.jit.ScriptModule)
    False
    """


class ScriptFunction:
    """No function is one: `script` returns the function given.

    >>> import framework as torch
    >>> isinstance(torch.add, torch.jit.ScriptFunction)
    False
    """


class CompilationUnit:
    """Refused."""

    def __init__(self, lang: Any = None, _frames_up: int = 0) -> None:
        _no_source()

    def define(self, lang: str, rcb: Any = None, _frames_up: int = 0) -> NoReturn:
        """Refused."""
        _no_source()


def _no_source() -> NoReturn:
    raise NotImplementedError(
        "torch.jit.CompilationUnit: there is no TorchScript here; write the functions in Python"
    )


class strict_fusion:
    """Changes nothing: there is no fusion."""

    def __enter__(self) -> None:
        return

    def __exit__(self, *exc: object) -> None:
        return
