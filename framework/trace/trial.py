"""A model run once to be looked at, forward and backward, that leaves no traces in the model."""

from __future__ import annotations

from typing import Any

from framework.trace.records import leaves_of
from framework.trace.sink import Recorder, recording

__all__ = ["trial"]


def trial(
    model: Any, inputs: tuple[Any, ...], keywords: dict[str, Any], backward: bool = True
) -> Recorder:
    """The tape of ``model(*inputs, **keywords)`` and of a backward pass from the sum of its output.

    Gradients, buffers and random numbers are afterwards what they were before. The model runs
    twice: the first run, which is not recorded, warms it up, so that times are those of a usual
    step.

    >>> import framework as torch
    >>> layer = torch.nn.Linear(2, 3)
    >>> tape = trial(layer, (torch.ones(1, 2),), {})
    >>> names = [getattr(event, "name", "") for event in tape.read()]
    >>> names.count("linear"), layer.weight.grad  # its op and its node
    (2, None)
    """
    from framework.random import fork_rng

    parameters = list(model.parameters())
    gradients = [p.grad for p in parameters]
    buffers = [(b, b.detach().clone()) for b in model.buffers()]
    try:
        _forget(parameters)
        with fork_rng():
            _once(model, inputs, keywords, backward)
        _forget(parameters)
        with fork_rng(), recording(keep="none") as tape:
            _once(model, inputs, keywords, backward)
        return tape
    finally:
        for p, gradient in zip(parameters, gradients):
            p.grad = gradient
        for buffer, value in buffers:
            buffer.detach().copy_(value)


def _forget(parameters: list[Any]) -> None:
    for p in parameters:
        p.grad = None


def _once(model: Any, inputs: Any, keywords: Any, backward: bool) -> None:
    made = model(*inputs, **keywords)
    if backward:
        wanted = [o for o in leaves_of(made) if getattr(o, "requires_grad", False)]
        if wanted:
            sum([o.abs().sum() if o.is_complex() else o.sum() for o in wanted]).backward()
