"""`compiler`: models run as they are written, so that every op can be looked at.

``torch.compile`` and its relatives are accepted and say so once. What they return has the form that
programs know from PyTorch: a module comes back wrapped (`framework._dynamo.OptimizedModule`).
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

__all__ = [
    "allow_in_graph", "assume_constant_result", "compile", "cudagraph_mark_step_begin", "disable",
    "is_compiling", "is_dynamo_compiling", "is_exporting", "list_backends", "note_once", "reset",
    "set_stance",
]  # fmt: skip

_noted: set[str] = set()


def note_once(name: str) -> None:
    """Warn the first time that ``name`` is used as if it compiled something.

    It never raises, unless warnings are errors.

    >>> import warnings
    >>> from framework.compiler import note_once
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     note_once("an example")
    """
    if name not in _noted:
        _noted.add(name)
        warnings.warn(
            f"{name}: there is no compiler here; the model runs op by op, with the same results",
            UserWarning,
            stacklevel=3,
        )


_OPTIONS = {"backend", "disable", "dynamic", "fullgraph", "mode", "name", "options"}
_MODES = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")


def checked(options: dict[str, Any]) -> None:
    """TypeError or RuntimeError for what ``torch.compile`` does not take as options.

    >>> from framework.compiler import checked
    >>> checked({"mode": "default"})
    """
    unknown = set(options) - _OPTIONS
    if unknown:
        raise TypeError(f"compile() got an unexpected keyword argument '{min(unknown)}'")
    mode = options.get("mode")
    if mode is not None and options.get("options") is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if mode is not None and mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")


def compile(model: Any = None, **options: Any) -> Any:
    """``model`` in the form that PyTorch's compiler gives it, running as it is written.

    A module comes back within an ``OptimizedModule``: the same parameters, attributes and training
    mode, and a state dict whose keys begin with ``_orig_mod.``. A function comes back as a function
    that calls it; a class as itself. Without ``model`` this is a decorator.

    Args:
        disable: return ``model`` itself.
        backend, dynamic, fullgraph, mode, options: accepted.

    Raises:
        AssertionError: ``model`` cannot be called.
        RuntimeError: for an unknown mode, or a mode and options.

    >>> import framework as torch
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     double = torch.compile(lambda x: x * 2)
    ...     model = torch.compile(torch.nn.Linear(2, 1))
    >>> double(torch.ones(1))
    tensor([2.])
    >>> list(model.state_dict()), model.out_features
    (['_orig_mod.weight', '_orig_mod.bias'], 1)
    """
    checked(options)
    if model is None:
        return lambda function: compile(function, **options)
    if options.get("disable"):
        return model
    note_once("torch.compile")
    if not callable(model):
        raise AssertionError(f"A callable function is expected, but {type(model)} is provided.")
    if isinstance(model, type):
        return model
    from framework._dynamo.eval_frame import OptimizedModule  # above this module

    if isinstance(model, OptimizedModule):
        # PyTorch gives a function here, without hooks or parameters: by oversight, it seems.
        return OptimizedModule(model._orig_mod)
    return OptimizedModule(model) if hasattr(model, "named_modules") else _calling(model)


def _calling(function: Callable[..., Any]) -> Callable[..., Any]:
    """Another function of the same name, which calls this one."""

    @functools.wraps(function)
    def compiled(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    compiled._torchdynamo_orig_callable = function  # type: ignore[attr-defined]
    return compiled


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """Returns ``fn``, or a decorator that returns its function: nothing is compiled.

    It never raises.

    >>> import framework as torch
    >>> torch.compiler.disable(abs) is abs
    True
    """
    return (lambda function: function) if fn is None else fn


def allow_in_graph(fn: Any) -> Any:
    """Returns ``fn``: there is no graph that it could not stand in.

    It never raises.

    >>> import framework as torch
    >>> torch.compiler.allow_in_graph(abs) is abs
    True
    """
    return fn


def assume_constant_result(fn: Any) -> Any:
    """Returns ``fn``: it is called each time.

    It never raises.

    >>> import framework as torch
    >>> torch.compiler.assume_constant_result(abs) is abs
    True
    """
    return fn


def is_compiling() -> bool:
    """Whether a compiler is at work: never here.

    >>> import framework as torch
    >>> torch.compiler.is_compiling()
    False
    """
    return False


def is_dynamo_compiling() -> bool:
    """Whether a compiler is at work: never here.

    >>> import framework as torch
    >>> torch.compiler.is_dynamo_compiling()
    False
    """
    return False


def is_exporting() -> bool:
    """Whether a program is being exported: never here.

    >>> import framework as torch
    >>> torch.compiler.is_exporting()
    False
    """
    return False


def reset() -> None:
    """Accepted: there is nothing compiled to forget.

    >>> import framework as torch
    >>> torch.compiler.reset()
    """


def cudagraph_mark_step_begin() -> None:
    """Accepted: there are no CUDA graphs in which a step would begin.

    >>> import framework as torch
    >>> torch.compiler.cudagraph_mark_step_begin()
    """


def list_backends(exclude_tags: Any = ()) -> list[str]:
    """The names of the compiler's backends: none.

    It never raises.

    >>> import framework as torch
    >>> torch.compiler.list_backends()
    []
    """
    return []


class set_stance:
    """Accepted as a function, a context manager and a decorator; changes nothing.

    >>> import framework as torch
    >>> with torch.compiler.set_stance("force_eager"):
    ...     torch.ones(2) * 2
    tensor([2., 2.])
    """

    def __init__(self, stance: str = "default", **options: Any) -> None:
        self.stance = stance

    def __enter__(self) -> None:
        return

    def __exit__(self, *exc: object) -> None:
        return

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function
