"""Random float64 inputs for the samples of the op table."""

from __future__ import annotations

import numpy as np

from framework.tensor import Tensor, wrap


class Sampler:
    """``s(3, 2)`` is a standard normal tensor; the methods keep to a domain.

    All float tensors want a gradient: the table test checks it with respect to each of them.
    """

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def _wrap(self, array: np.ndarray) -> Tensor:
        return wrap(np.asarray(array, np.float64)).requires_grad_()

    def __call__(self, *shape: int) -> Tensor:
        return self._wrap(self.rng.standard_normal(shape))

    def positive(self, *shape: int) -> Tensor:
        """In [0.5, 2]."""
        return self._wrap(self.rng.uniform(0.5, 2.0, shape))

    def above_one(self, *shape: int) -> Tensor:
        """In [1.2, 3]."""
        return self._wrap(self.rng.uniform(1.2, 3.0, shape))

    def unit(self, *shape: int) -> Tensor:
        """In (-0.9, 0.9)."""
        return self._wrap(self.rng.uniform(-0.9, 0.9, shape))

    def away(self, *shape: int) -> Tensor:
        """Of either sign, at least 0.2 from zero and 0.1 from every other integer."""
        whole = self.rng.integers(0, 2, shape) + self.rng.uniform(0.2, 0.9, shape)
        return self._wrap(whole * self.rng.choice([-1.0, 1.0], shape))

    def chance(self, *shape: int) -> Tensor:
        """In (0.05, 0.95)."""
        return self._wrap(self.rng.uniform(0.05, 0.95, shape))

    def whole(self, *shape: int) -> Tensor:
        """Integers from -20 to 20."""
        return wrap(self.rng.integers(-20, 21, shape))

    def mask(self, *shape: int) -> Tensor:
        return wrap(self.rng.random(shape) < 0.5)

    def regular(self, n: int) -> Tensor:
        """A well-conditioned square matrix."""
        return self._wrap(self.rng.standard_normal((n, n)) + 3 * np.eye(n))

    def definite(self, n: int) -> Tensor:
        """A symmetric positive-definite matrix."""
        a = self.rng.standard_normal((n, n))
        return self._wrap(a @ a.T + n * np.eye(n))
