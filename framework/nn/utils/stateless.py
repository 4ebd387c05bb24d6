"""Calling a module with other parameters and buffers than its own."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from framework.nn.modules.module import Module
from framework.tensor import Tensor

__all__ = ["functional_call"]

_MISSING = object()


def functional_call(
    module: Any,
    parameters_and_buffers: dict[str, Any],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """``module(*args, **kwargs)`` with these tensors in place of its own, by dotted name.

    Args:
        tie_weights: a tensor that the module has under several names is replaced under all.
        strict: all parameters and buffers must be given, and nothing else (RuntimeError).

    The tensors may have other shapes and dtypes, if the module's ``forward`` takes them.

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.Linear(2, 1, bias=False)
    >>> torch.nn.utils.stateless._functional_call(
    ...     layer, {"weight": torch.ones(1, 2)}, (torch.tensor([1.0, 2.0]),)
    ... )
    tensor([3.])
    """
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be "
        "removed in a future version of PyTorch. Please use `torch.func.functional_call` instead "
        "which is a drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return _functional_call(
        module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict
    )


def _functional_call(
    module: Any,
    parameters_and_buffers: dict[str, Any],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    if args is None:
        args = ()
    elif not isinstance(args, tuple):
        args = (args,)
    with _replaced(module, parameters_and_buffers, tie_weights, strict):
        return module(*args, **(kwargs or {}))


@contextmanager
def _replaced(
    module: Any, given: dict[str, Any], tie_weights: bool, strict: bool
) -> Iterator[None]:
    everywhere = _tied(module, given) if tie_weights else dict(given)
    if strict:
        _check_names(module, everywhere)
    before: list[tuple[str, Any]] = []
    try:
        for name, value in everywhere.items():
            before.append((name, _swap(module, name, value)))
        yield
    finally:
        # What the module assigned anew in the meantime is the caller's.
        now = {name: _swap(module, name, old) for name, old in reversed(before)}
        given.update({name: now[name] for name in given if name in now})


def _named(module: Any) -> dict[str, Any]:
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


def _tied(module: Any, given: dict[str, Any]) -> dict[str, Any]:
    """``given``, with the other names of the same tensors added."""
    names: dict[int, list[str]] = {}
    for name, value in _named(module).items():
        names.setdefault(id(value), []).append(name)
    result = dict(given)
    for group in names.values():
        found = [name for name in group if name in given]
        if len(group) < 2 or not found:
            continue
        if len({id(given[name]) for name in found}) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(group)}, which are tied. "
                "Consider using tie_weights=False"
            )
        result.update(dict.fromkeys(group, given[found[0]]))
    return result


def _check_names(module: Any, given: dict[str, Any]) -> None:
    known = _named(module)
    unexpected = [name for name in given if name not in known]
    missing = [name for name in known if name not in given]
    problems = []
    if unexpected:
        problems.append(f"Unexpected key(s): {', '.join(map(repr, unexpected))}.")
    if missing:
        problems.append(f"Missing key(s): {', '.join(map(repr, missing))}.")
    if problems:
        raise RuntimeError(
            f"Error(s) in reparametrizing for {module._get_name()}:\n\t" + "\n\t".join(problems)
        )


def _swap(module: Any, path: str, value: Any) -> Any:
    """Put ``value`` at a dotted path, and return what was there."""
    if value is not _MISSING and value is not None and not isinstance(value, Tensor):
        raise TypeError(f"{value} is not an instance of torch.Tensor")
    where, _, name = path.rpartition(".")
    owner: Module = module.get_submodule(where)
    tables: tuple[dict[str, Any], ...] = (owner._parameters, owner._buffers)
    for table in tables:
        if name in table:
            old = table[name]
            if value is _MISSING:
                del table[name]
            else:
                table[name] = value
            return old
    found: Any = getattr(owner, name, _MISSING)
    if value is _MISSING:
        delattr(owner, name)
    else:
        setattr(owner, name, value)
    return found
