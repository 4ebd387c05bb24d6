"""Modules as functions of their parameters."""

from __future__ import annotations

from typing import Any

from framework.nn.utils import stateless
from framework.tensor import Tensor

__all__ = ["functional_call", "replace_all_batch_norm_modules_", "stack_module_state"]


def functional_call(
    module: Any, parameter_and_buffer_dicts: Any, args: Any = None, kwargs: Any = None, *,
    tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """``module(*args, **kwargs)`` with the given tensors in place of its own.

    ValueError for two dictionaries with the same key, or something that is no dictionary.

    Args:
        parameter_and_buffer_dicts: a dict of tensors by dotted name, or a sequence of them with
            distinct names.
        tie_weights: a tensor that the module has under several names is replaced under all.
        strict: all parameters and buffers must be given, and nothing else.

    The tensors may have other shapes and dtypes than the module's own, if its ops take them.

    >>> import framework as torch
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> loss = lambda p, x: torch.func.functional_call(layer, p, (x,)).sum()
    >>> torch.func.grad(loss)(dict(layer.named_parameters()), torch.tensor([1.0, 2.0]))
    {'weight': tensor([[1., 2.]])}
    """
    if isinstance(parameter_and_buffer_dicts, dict):
        given = parameter_and_buffer_dicts
    elif isinstance(parameter_and_buffer_dicts, (list, tuple)):
        given = {}
        for some in parameter_and_buffer_dicts:
            if not isinstance(some, dict):
                raise ValueError(
                    "Expected all elements of parameter_and_buffer_dicts to be dictionaries"
                )
            both = given.keys() & some.keys()
            if both:
                raise ValueError(f"{sorted(both)} appeared in multiple dictionaries; behavior of "
                                 "functional call is ambiguous")  # fmt: skip
            given.update(some)
    else:
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(parameter_and_buffer_dicts)}"
        )
    return stateless._functional_call(
        module, given, args, kwargs, tie_weights=tie_weights, strict=strict
    )


def stack_module_state(models: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters and buffers of models of one class, stacked: an ensemble for `vmap`.

    Returns:
        (parameters, buffers) by name, with the models along dimension 0. The parameters are new
        leaves that want gradients as the models' own do.

    Raises:
        RuntimeError: no models, of different classes, or not all in the same mode.

    A stack has the dtype of what is stacked.

    >>> import framework as torch
    >>> models = [torch.nn.Linear(2, 3) for _ in range(4)]
    >>> params, buffers = torch.func.stack_module_state(models)
    >>> params["weight"].shape
    torch.Size([4, 3, 2])
    """
    if not len(models):
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if not (all(m.training for m in models) or not any(m.training for m in models)):
        raise RuntimeError(
            "stack_module_state: Expected all models to have the same training/eval mode."
        )
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    params = _stacked([dict(m.named_parameters()) for m in models])
    buffers = _stacked([dict(m.named_buffers()) for m in models])
    return params, buffers


def _stacked(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    from framework.ops.joining import stack

    result = {}
    for name in states[0]:
        tensors = [s[name] for s in states]
        wanted = {t.requires_grad for t in tensors}
        if len(wanted) > 1:
            raise RuntimeError(f"Expected {name} from each model to have the same .requires_grad")
        result[name] = stack([t.detach() for t in tensors]).requires_grad_(wanted.pop())
    return result


def replace_all_batch_norm_modules_(root: Any) -> Any:
    """Batch norms of a module without running statistics, which `vmap` could not write: in place.

    It returns the module; AttributeError for what is none.

    >>> import framework as torch
    >>> model = torch.nn.Sequential(torch.nn.BatchNorm1d(2))
    >>> torch.func.replace_all_batch_norm_modules_(model)[0].running_mean is None
    True
    """
    from framework.nn.modules.normalization import _BatchNorm

    for module in root.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
