"""`jit`: TorchScript is not there; scripting and tracing return what they were given.

They say so once. Saving and loading of scripts is refused.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, NoReturn

from framework.compiler import note_once
from framework.futures import Future
from framework.nn.modules.module import Module

__all__ = [
    "Attribute", "CompilationUnit", "Error", "Final", "Future", "ScriptFunction",
    "ScriptModule", "ScriptWarning", "TracerWarning", "TracingCheckError", "annotate",
    "enable_onednn_fusion", "export", "export_opnames", "fork", "freeze", "fuser", "ignore",
    "interface", "is_scripting", "is_tracing", "isinstance", "load", "onednn_fusion_enabled",
    "optimize_for_inference", "optimized_execution", "save", "script", "script_if_tracing",
    "script_method", "set_fusion_strategy", "strict_fusion", "trace", "trace_module", "unused",
    "wait",
]  # fmt: skip


def script(obj: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Returns ``obj``: a function, class or module.

    It never raises.

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
    """Returns ``func``, which need not be traced to be run; says once that there is no TorchScript.

    Shapes and dtypes do not matter; it never raises.

    >>> import framework as torch
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     doubled = torch.jit.trace(lambda x: x * 2, torch.ones(1))
    >>> doubled(torch.ones(2))
    tensor([2., 2.])
    """
    note_once("torch.jit.trace")
    return (lambda function: function) if func is None else func


def trace_module(mod: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """Returns ``mod``, whose methods need not be traced; says once that there is no TorchScript.

    Shapes and dtypes do not matter; it never raises.

    >>> import framework as torch
    >>> import warnings
    >>> layer = torch.nn.Linear(2, 2)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.jit.trace_module(layer, {"forward": torch.ones(1, 2)}) is layer
    True
    """
    note_once("torch.jit.trace")
    return mod


def script_method(fn: Any) -> Any:
    """Returns ``fn``: a method as it is.

    It never raises.

    >>> import framework as torch
    >>> torch.jit.script_method(abs) is abs
    True
    """
    return fn


def export(fn: Any) -> Any:
    """Returns ``fn``: nothing is left out that would have to be exported.

    It never raises.

    >>> import framework as torch
    >>> torch.jit.export(abs) is abs
    True
    """
    return fn


def interface(obj: Any) -> Any:
    """Returns ``obj``: a class as it is.

    It never raises.

    >>> import framework as torch
    >>> torch.jit.interface(dict) is dict
    True
    """
    return obj


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Returns the function; also with arguments: ``@torch.jit.ignore(drop=True)``.

    It never raises.

    >>> import framework as torch
    >>> torch.jit.ignore(abs) is abs, torch.jit.ignore(drop=True)(abs) is abs
    (True, True)
    """
    return drop if callable(drop) else (lambda function: function)


def unused(fn: Any) -> Any:
    """Returns ``fn``: a function as it is.

    It never raises.

    >>> import framework as torch
    >>> torch.jit.unused(abs) is abs
    True
    """
    return fn


def freeze(mod: Any, *args: Any, **kwargs: Any) -> Any:
    """Returns ``mod``: parameters stay parameters.

    It never raises.

    >>> import framework as torch
    >>> layer = torch.nn.Linear(2, 2)
    >>> torch.jit.freeze(layer) is layer
    True
    """
    return mod


def optimize_for_inference(mod: Any, *args: Any, **kwargs: Any) -> Any:
    """Returns ``mod``: there is nothing to be optimized.

    It never raises.

    >>> import framework as torch
    >>> layer = torch.nn.Linear(2, 2)
    >>> torch.jit.optimize_for_inference(layer) is layer
    True
    """
    return mod


def annotate(the_type: Any, the_value: Any) -> Any:
    """Returns ``the_value``: a type says nothing to Python.

    It never raises.

    >>> import framework as torch
    >>> torch.jit.annotate(int, 3)
    3
    """
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Python's own.

    TypeError for what is no type.

    >>> import framework as torch
    >>> torch.jit.isinstance(3, int)
    True
    """
    return _isinstance(obj, target_type)


_isinstance = builtins.isinstance


def is_scripting() -> bool:
    """Whether this runs as a script: never.

    >>> import framework as torch
    >>> torch.jit.is_scripting()
    False
    """
    return False


def is_tracing() -> bool:
    """Whether this is being traced: never.

    >>> import framework as torch
    >>> torch.jit.is_tracing()
    False
    """
    return False


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
    """Calls ``func`` now; the future has its result.

    Raises what ``func`` raises, TypeError for what cannot be called.

    Shapes and dtypes are those that ``func`` takes and gives.

    >>> import framework as torch
    >>> torch.jit.wait(torch.jit.fork(torch.add, torch.ones(1), 2))
    tensor([3.])
    """
    future = Future()
    future.set_result(func(*args, **kwargs))
    return future


def wait(future: Future) -> Any:
    """The result of `fork`, which is there already; raises what an exception set in its future.

    AttributeError for what is no future.

    >>> import framework as torch
    >>> torch.jit.wait(torch.jit.fork(max, 2, 3))
    3
    """
    return future.wait()


def script_if_tracing(fn: Any) -> Any:
    """Returns ``fn``: nothing is ever traced.

    It never raises.

    >>> import framework as torch
    >>> torch.jit.script_if_tracing(abs) is abs
    True
    """
    return fn


def enable_onednn_fusion(enabled: bool) -> None:
    """Accepted; there is no fusion.

    It never raises.

    >>> import framework as torch
    >>> torch.jit.enable_onednn_fusion(True)
    >>> torch.jit.onednn_fusion_enabled()
    False
    """


def onednn_fusion_enabled() -> bool:
    """Whether ops are fused: never.

    >>> import framework as torch
    >>> torch.jit.onednn_fusion_enabled()
    False
    """
    return False


def export_opnames(m: Any) -> list[str]:
    """No names: no script was made.

    It never raises.

    >>> import framework as torch
    >>> torch.jit.export_opnames(torch.nn.Linear(2, 2))
    []
    """
    return []


def set_fusion_strategy(strategy: Any) -> list[Any]:
    """Accepted; there is no fusion, so the strategy before was none.

    It never raises.

    >>> import framework as torch
    >>> torch.jit.set_fusion_strategy([("STATIC", 2)])
    []
    """
    return []


def save(m: Any, f: Any, _extra_files: Any = None) -> None:
    """Refused with NotImplementedError: use ``torch.save(model.state_dict(), path)``.

    >>> import framework as torch
    >>> torch.jit.save(torch.nn.Linear(2, 2), "model.pt")
    Traceback (most recent call last):
        ...
    NotImplementedError: torch.jit.save: there is no TorchScript here; save model.state_dict() ...
    """
    raise NotImplementedError(
        "torch.jit.save: there is no TorchScript here; save model.state_dict() with torch.save"
    )


def load(f: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Refused with NotImplementedError: a script is a program, and none is run from a file.

    >>> import framework as torch
    >>> torch.jit.load("model.pt")
    Traceback (most recent call last):
        ...
    NotImplementedError: torch.jit.load: there is no TorchScript here; load a state dict ...
    """
    raise NotImplementedError(
        "torch.jit.load: there is no TorchScript here; load a state dict with torch.load"
    )


class Error(RuntimeError):
    """What running a script would raise; a RuntimeError.

    >>> import framework as torch
    >>> issubclass(torch.jit.Error, RuntimeError)
    True
    """


class ScriptWarning(Warning):
    """What PyTorch warns of when it scripts: here only for filters, nothing warns so.

    >>> import warnings
    >>> import framework as torch
    >>> with warnings.catch_warnings():
    ...     warnings.filterwarnings("ignore", category=torch.jit.ScriptWarning)
    """


class TracerWarning(Warning):
    """What PyTorch warns of when it traces: here only for filters, nothing warns so.

    >>> import warnings
    >>> import framework as torch
    >>> with warnings.catch_warnings():
    ...     warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
    """

    @staticmethod
    def ignore_lib_warnings() -> None:
        """Accepted: nothing warns so."""


class TracingCheckError(Exception):
    """What PyTorch raises when a trace gives other results than the program: never here.

    >>> import framework as torch
    >>> issubclass(torch.jit.TracingCheckError, Exception)
    True
    """


@contextmanager
def fuser(name: str) -> Iterator[None]:
    """Accepted: which compiler joins ops within; there is none, so it never raises.

    >>> import framework as torch
    >>> with torch.jit.fuser("fuser1"):
    ...     torch.ones(1) + 1
    tensor([2.])
    """
    yield


@contextmanager
def optimized_execution(should_optimize: bool) -> Iterator[None]:
    """Accepted: whether scripts are optimized within; there are none, so it never raises.

    >>> import framework as torch
    >>> with torch.jit.optimized_execution(False):
    ...     torch.ones(1) + 1
    tensor([2.])
    """
    yield


class Attribute(NamedTuple):
    """A value with a type for the compiler.

    >>> import framework as torch
    >>> torch.jit.Attribute(3, int).value
    3
    """

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
    """Refused with NotImplementedError: no source is compiled.

    >>> import framework as torch
    >>> torch.jit.CompilationUnit()
    Traceback (most recent call last):
        ...
    NotImplementedError: torch.jit.CompilationUnit: there is no TorchScript here; ...
    """

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
    """Changes nothing: there is no fusion that could fail.

    >>> import framework as torch
    >>> with torch.jit.strict_fusion():
    ...     torch.ones(2) * 2
    tensor([2., 2.])
    """

    def __enter__(self) -> None:
        return

    def __exit__(self, *exc: object) -> None:
        return
