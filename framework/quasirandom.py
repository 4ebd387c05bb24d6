"""Quasi-random numbers: points that fill a cube more evenly than random ones do.

The sequence is SciPy's, which has the direction numbers that PyTorch has: points that are not
scrambled are the same ones. Scrambling draws from generators that differ.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.stats import qmc

from framework import dtypes
from framework.random import default_generator
from framework.tensor import Tensor, wrap

__all__ = ["SobolEngine"]


class SobolEngine:
    """Points of a Sobol sequence in the cube [0, 1) of some dimensions.

    ValueError for fewer than 1 or more than 21201 dimensions. The direction numbers are those of
    Joe and Kuo (2008), 30 bits of them.

    Args:
        dimension: number of coordinates of a point.
        scramble: shuffle the bits at random (Owen 1998), which keeps the evenness.
        seed: of the scrambling; a random one unless given.

    >>> import framework as torch
    >>> torch.quasirandom.SobolEngine(2).draw(3)
    tensor([[0.0000, 0.0000],
            [0.5000, 0.5000],
            [0.7500, 0.2500]])
    """

    MAXBIT = 30
    MAXDIM = 21201

    def __init__(self, dimension: int, scramble: bool = False, seed: int | None = None) -> None:
        if dimension > self.MAXDIM or dimension < 1:
            raise ValueError(
                f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}]"
            )
        self.dimension, self.scramble, self.seed = dimension, scramble, seed
        if scramble and seed is None:
            seed = int(default_generator.integers(0, 2**31, ()))
        self._engine = qmc.Sobol(dimension, scramble=scramble, bits=self.MAXBIT, seed=seed)

    @property
    def num_generated(self) -> int:
        """How many points have been drawn or passed over."""
        return int(self._engine.num_generated)

    def draw(self, n: int = 1, out: Tensor | None = None, dtype: Any = None) -> Tensor:
        """The next ``n`` points, of shape (n, dimension).

        >>> import framework as torch
        >>> torch.quasirandom.SobolEngine(1).draw(4).flatten()
        tensor([0.0000, 0.5000, 0.7500, 0.2500])
        """
        kind = dtype or dtypes.get_default_dtype()
        with warnings.catch_warnings():  # SciPy prefers powers of 2 and says so
            warnings.simplefilter("ignore", UserWarning)
            points = self._engine.random(n) if n else np.empty((0, self.dimension))
        result = wrap(points).to(kind)
        return result if out is None else out.resize_(result.shape).copy_(result)

    def draw_base2(self, m: int, out: Tensor | None = None, dtype: Any = None) -> Tensor:
        """The next 2 to the power of ``m`` points; ValueError if there are then no power of 2.

        >>> import framework as torch
        >>> torch.quasirandom.SobolEngine(3).draw_base2(2).shape
        torch.Size([4, 3])
        """
        n = 2**m
        total = self.num_generated + n
        if total & (total - 1):
            raise ValueError(
                "The balance properties of Sobol' points require n to be a power of 2. "
                f"{self.num_generated} points have been previously generated, then: "
                f"n={self.num_generated}+2**{m}={total}. If you still want to do this, please use "
                "'SobolEngine.draw()' instead."
            )
        return self.draw(n, out, dtype)

    def reset(self) -> SobolEngine:
        """Begin again.

        >>> import framework as torch
        >>> engine = torch.quasirandom.SobolEngine(1)
        >>> first = engine.draw(3)
        >>> engine.reset().draw(3).equal(first)
        True
        """
        self._engine.reset()
        return self

    def fast_forward(self, n: int) -> SobolEngine:
        """Pass over ``n`` points.

        >>> import framework as torch
        >>> torch.quasirandom.SobolEngine(1).fast_forward(2).draw()
        tensor([[0.7500]])
        """
        self._engine.fast_forward(n)
        return self

    def __repr__(self) -> str:
        parts = [f"dimension={self.dimension}"]
        if self.scramble:
            parts.append("scramble=True")
        if self.seed is not None:
            parts.append(f"seed={self.seed}")
        return f"SobolEngine({', '.join(parts)})"
