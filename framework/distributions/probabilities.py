"""The distributions whose parameter is a probability or, instead, its logit."""

from __future__ import annotations

from numbers import Number
from typing import Any

import framework as torch
from framework.distributions.distribution import Distribution
from framework.distributions.utils import (
    broadcast_all,
    lazy_property,
    logits_to_probs,
    probs_to_logits,
)
from framework.tensor import Tensor

__all__ = ["BinaryParameter", "ClassParameter", "OneParameter", "only_one"]


class OneParameter(Distribution):
    """``probs`` or ``logits``, whichever was given; the other is computed when it is asked for."""

    probs: Tensor
    logits: Tensor
    _param: Tensor

    @property
    def param_shape(self) -> Any:
        """Shape of the parameter."""
        return self._param.size()

    def _given(self) -> str:
        return "probs" if self.__dict__.get("probs") is self._param else "logits"

    def _parameters(self, names: Any) -> dict[str, Any]:
        others = {n: getattr(self, n) for n in names if n not in ("probs", "logits")}
        return {**others, self._given(): self._param}


def only_one(probs: Any, logits: Any) -> None:
    """Refuse both or none."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


class BinaryParameter(OneParameter):
    """A probability of success for each element."""

    def _take(self, probs: Any, logits: Any) -> Any:
        """Keep the parameter; returns the batch shape."""
        only_one(probs, logits)
        value = logits if probs is None else probs
        (self._param,) = broadcast_all(value)
        setattr(self, "logits" if probs is None else "probs", self._param)
        return torch.Size() if isinstance(value, Number) else self._param.size()

    @lazy_property
    def logits(self) -> Tensor:
        """log(probs / (1 - probs))."""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        """sigmoid(logits)."""
        return logits_to_probs(self.logits, is_binary=True)


class ClassParameter(OneParameter):
    """Probabilities of the classes along the last dimension, normalised when they are taken."""

    def _take(self, probs: Any, logits: Any) -> Any:
        """Keep the parameter; returns the batch shape."""
        only_one(probs, logits)
        name, value = ("logits", logits) if probs is None else ("probs", probs)
        if value.dim() < 1:
            raise ValueError(f"`{name}` parameter must be at least one-dimensional.")
        if probs is None:
            self.logits = self._param = logits - logits.logsumexp(dim=-1, keepdim=True)
        else:
            self.probs = self._param = probs / probs.sum(-1, keepdim=True)
        return self._param.size()[:-1]

    @lazy_property
    def logits(self) -> Tensor:
        """log(probs)."""
        return probs_to_logits(self.probs)

    @lazy_property
    def probs(self) -> Tensor:
        """softmax(logits)."""
        return logits_to_probs(self.logits)
