"""`prelu`: a rectifier whose slope below zero is a tensor, learnt or drawn at random."""

from __future__ import annotations

from typing import Any

from framework.core.dispatch import apply
from framework.core.registry import function, op
from framework.kernels import compiled, quick
from framework.kernels.floats import real_floating, type_name, widening
from framework.ops.select import where

__all__ = ["prelu"]


def _prelu(a: Any, weight: Any) -> Any:
    if not weight.ndim and (kernel := compiled.forward("leaky_relu", a)):
        return kernel(a, negative_slope=weight.item())
    if weight.ndim > 1 and compiled.is_plain(a) and (kernels := compiled.family("pointwise")):
        return kernels.prelu(a, weight)
    return quick.blend(a > 0, a, weight * a)


PRELU = op(
    "prelu", widening(_prelu), "a weight", rule="promote", flat="a",
    grad=(
        lambda g, a, weight: where(a > 0, g, weight * g),
        lambda g, a: where(a > 0, 0.0, a * g),
    ),
    samples=lambda s: [((s.away(3, 2), s(2)), {}), ((s.away(3, 2), s()), {})],
)  # fmt: skip


@function(namespaces=("", "nn.functional"))
def prelu(input: Any, weight: Any) -> Any:
    """max(0, input) + weight * min(0, input): `leaky_relu` with a learnt slope (He et al. 2015).

    Shapes: input (N, C, *) or (*), weight of one element, or (C,): one per channel.
    RuntimeError if the number of weights is another or the types differ.

    >>> import framework as torch
    >>> torch.prelu(torch.tensor([[-1.0, -1.0]]), torch.tensor([0.5, 0.25]))
    tensor([[-0.5000, -0.2500]])
    """
    if input.dtype is not weight.dtype:
        raise RuntimeError(
            f"prelu: Type promoting not supported. Got {type_name(input._data)} and "
            f"{type_name(weight._data)}"
        )
    real_floating(input._data, "prelu")
    if weight.numel() != 1:
        if input.ndim == 0:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = input.shape[1] if input.ndim > 1 else 1
        if weight.numel() != channels:
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{weight.numel()} and channel size = {channels}."
            )
        if weight.ndim != 1:
            raise RuntimeError(
                "prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = "
                f"{weight.ndim}"
            )
        weight = weight.reshape(-1, *[1] * (input.ndim - 2))
    else:
        weight = weight.reshape(())
    return apply(PRELU, input, weight)
