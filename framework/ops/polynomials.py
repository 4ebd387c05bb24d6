"""Orthogonal polynomials: Chebyshev's of four kinds, Hermite's, Laguerre's and Legendre's.

Each family is its first polynomial and a recurrence in the degree (DLMF 18.9.1 and table 18.9.1).
As in PyTorch they have no gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.core.dispatch import apply
from framework.core.registry import function, op
from framework.kernels.special import orthogonal
from framework.tensor import Tensor

__all__: list[str] = []


def _chebyshev(k: int, x: Any, last: Any, before: Any) -> Any:
    return 2 * x * last - before


# Name, words, p_1(x), p_k+1(x) from k, x, p_k, p_k-1, and p_3(1/2).
_FAMILIES: list[tuple[str, str, Callable[[Any], Any], Callable[..., Any], str]] = [
    ("chebyshev_polynomial_t", "The Chebyshev polynomial of the first kind, T",
     lambda x: x, _chebyshev, "-1."),
    ("chebyshev_polynomial_u", "The Chebyshev polynomial of the second kind, U",
     lambda x: 2 * x, _chebyshev, "-1."),
    ("chebyshev_polynomial_v", "The Chebyshev polynomial of the third kind, V",
     lambda x: 2 * x - 1, _chebyshev, "-1."),
    ("chebyshev_polynomial_w", "The Chebyshev polynomial of the fourth kind, W",
     lambda x: 2 * x + 1, _chebyshev, "-1."),
    ("hermite_polynomial_h", "The physicists' Hermite polynomial H", lambda x: 2 * x,
     lambda k, x, last, before: 2 * (x * last - k * before), "-5."),
    ("hermite_polynomial_he", "The probabilists' Hermite polynomial He", lambda x: x,
     lambda k, x, last, before: x * last - k * before, "-1.3750"),
    ("laguerre_polynomial_l", "The Laguerre polynomial L", lambda x: 1 - x,
     lambda k, x, last, before: ((2 * k + 1 - x) * last - k * before) / (k + 1), "-0.1458"),
    ("legendre_polynomial_p", "The Legendre polynomial P", lambda x: x,
     lambda k, x, last, before: ((2 * k + 1) * x * last - k * before) / (k + 1), "-0.4375"),
]  # fmt: skip

# p_3(1/2) of those of which PyTorch has the shifted ones too.
_SHIFTED = {"t": "-0.", "u": "-0.", "v": "1.", "w": "-1."}


def _publish(name: str, words: str, first: Any, step: Any, at_half: str) -> None:
    kernel = orthogonal(
        first, step, name.startswith("shifted"), name.startswith("hermite"), f"{name}_cpu"
    )
    record = op(
        name, kernel, "x n", rule="float",
        samples=lambda s: [((s.unit(6), s(2, 1) * 3 + 2), {}), ((s.unit(2), 9), {})],
    )  # fmt: skip

    def call(input: Any, n: Any) -> Tensor:
        return apply(record, input, n)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"""{words}, of degree ``n``: elementwise, and 0 for a negative degree.

    Either may be a number; a degree is rounded towards zero. Integers give the default float type.
    It has no gradient. NotImplementedError for half precision and complex numbers.

    >>> import framework as torch
    >>> torch.special.{name}(torch.tensor(0.5), 3)
    tensor({at_half})
    """
    function(namespaces=("special",), method=False, out=True)(call)


for _name, _words, _first, _step, _at_half in _FAMILIES:
    _publish(_name, _words, _first, _step, _at_half)
    if _name.startswith("chebyshev"):
        _publish(
            f"shifted_{_name}", f"{_words}, of 2 input - 1", _first, _step, _SHIFTED[_name[-1]]
        )
