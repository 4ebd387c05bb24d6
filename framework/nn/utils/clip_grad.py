"""Limits for gradients, so that one bad batch does not throw the parameters far away."""

from __future__ import annotations

import math
import warnings
from types import GeneratorType
from typing import Any

from framework.core.modes import no_grad
from framework.ops.joining import stack
from framework.tensor import Tensor, tensor

__all__ = [
    "clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_",
    "get_total_norm",
]  # fmt: skip


def _listed(tensors: Any) -> list[Any]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


@no_grad()
def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: Any = None
) -> Any:
    """The norm of all tensors' elements, as if they were one vector: (), on the first one's device.

    Args:
        norm_type: of order 2, or any other, inf too.
        error_if_nonfinite: RuntimeError if the norm is nan or inf.
        foreach: accepted for PyTorch's sake.

    Tensors of any shape, of float or complex dtypes (RuntimeError for others); the norm is of the
    first one's, real. ValueError for a ``norm_type`` that is no number.

    >>> import framework as torch
    >>> torch.nn.utils.get_total_norm([torch.tensor([3.0]), torch.tensor([4.0])])
    tensor(5.)
    """
    tensors, norm_type = _listed(tensors), float(norm_type)
    if not tensors:
        return tensor(0.0)
    first = tensors[0].device
    norms = [t.norm(norm_type).to(device=first) for t in tensors]
    total = stack(norms).norm(norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, "
            "so it cannot be clipped. To disable this error and scale the gradients by the "
            "non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


@no_grad()
def clip_grads_with_norm_(
    parameters: Any, max_norm: float, total_norm: Any, foreach: Any = None
) -> None:
    """Scale all gradients down together, given their total norm, to at most ``max_norm``.

    They are multiplied in place by max_norm / (total_norm + 1e-6), but never by more than 1.
    Gradients of any shape, of float or complex dtypes; ``total_norm`` is a tensor ()
    (AttributeError for a number).

    >>> import framework as torch
    >>> w = torch.ones(2, requires_grad=True)
    >>> w.grad = torch.tensor([3.0, 4.0])
    >>> total = torch.nn.utils.get_total_norm([w.grad])
    >>> torch.nn.utils.clip_grads_with_norm_([w], 1.0, total)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    grads = [p.grad for p in _listed(parameters) if p.grad is not None]
    if not grads:
        return
    factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    for g in grads:
        g.mul_(factor.to(device=g.device))


@no_grad()
def clip_grad_norm_(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: Any = None,
) -> Any:
    """Scale all gradients down together so that their total norm is at most ``max_norm``.

    Gradients of any shape, of float or complex dtypes; parameters without one are passed over.
    Arguments and errors as of `get_total_norm`: RuntimeError, if asked for, and TypeError for what
    is not iterable. Pascanu et al., "On the difficulty of training recurrent neural networks",
    2013.

    Returns:
        The total norm before.

    >>> import framework as torch
    >>> w = torch.ones(2, requires_grad=True)
    >>> (w * torch.tensor([3.0, 4.0])).sum().backward()
    >>> torch.nn.utils.clip_grad_norm_([w], 1.0), w.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    generator = isinstance(parameters, GeneratorType)
    parameters = _listed(parameters)
    if generator and not parameters:
        warnings.warn(
            "`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=3
        )
    grads = [p.grad for p in parameters if p.grad is not None]
    total = get_total_norm(grads, norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


def clip_grad_norm(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: Any = None,
) -> Any:
    """The older name of `clip_grad_norm_`, with its shapes, dtypes and errors: warns.

    TypeError for what is neither a tensor nor a sequence of them.

    >>> import warnings
    >>> import framework as torch
    >>> x = torch.ones(4, requires_grad=True)
    >>> x.sum().backward()
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     torch.nn.utils.clip_grad_norm(x, 1.0)
    tensor(2.)
    """
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of "
        "`torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


@no_grad()
def clip_grad_value_(parameters: Any, clip_value: float, foreach: Any = None) -> None:
    """Limit every element of the gradients to [-clip_value, clip_value], in place.

    Gradients of any shape and float dtype. NotImplementedError for complex ones, ValueError for a
    value that is no number.

    >>> import framework as torch
    >>> w = torch.ones(2, requires_grad=True)
    >>> w.grad = torch.tensor([3.0, -0.5])
    >>> torch.nn.utils.clip_grad_value_([w], 1.0)
    >>> w.grad
    tensor([ 1.0000, -0.5000])
    """
    grads = [p.grad for p in _listed(parameters) if p.grad is not None]
    for g in grads:
        g.clamp_(-float(clip_value), float(clip_value))
