"""How many floating point operations an op takes: a table of formulas, each with its source.

A multiplication and an addition are two operations. Ops that only move or select data count none.
Data-dependent work (sorting, iterations until something converges) is left out: `flops` says None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

__all__ = ["FORMULAS", "Formula", "flops"]

Shapes = Sequence[Sequence[int]]


class Formula(NamedTuple):
    """``work(inputs' shapes, outputs' shapes, arguments)``; a missing input's shape is ()."""

    work: Callable[[Shapes, Shapes, dict[str, str]], float]
    source: str


def _size(shape: Sequence[int]) -> int:
    return math.prod(shape)


def _per_output(factor: float) -> Callable[[Shapes, Shapes, dict[str, str]], float]:
    return lambda ins, outs, meta: factor * _size(outs[0])


def _per_input(factor: float) -> Callable[[Shapes, Shapes, dict[str, str]], float]:
    return lambda ins, outs, meta: factor * _size(ins[0])


def _linear(ins: Shapes, outs: Shapes, meta: dict[str, str]) -> float:
    bias = len(ins) > 2 and bool(ins[2])
    return _size(outs[0]) * (2 * ins[1][-1] + bias)


def _conv(ins: Shapes, outs: Shapes, meta: dict[str, str]) -> float:
    """Each output element is a sum over the part of the weight of its channel."""
    bias = len(ins) > 2 and bool(ins[2])
    return _size(outs[0]) * (2 * _size(ins[1][1:]) + bias)


def _conv_transpose(ins: Shapes, outs: Shapes, meta: dict[str, str]) -> float:
    """Each input element is spread over the part of the weight of its channel."""
    bias = _size(outs[0]) if len(ins) > 2 and ins[2] else 0
    return 2 * _size(ins[0]) * _size(ins[1][1:]) + bias


def _pool(ins: Shapes, outs: Shapes, meta: dict[str, str]) -> float:
    window = math.prod(int(n) for n in re.findall(r"\d+", meta.get("kernel", "")))
    return _size(outs[0]) * window


def _matrices(formula: Callable[[int, int], float]) -> Callable[..., float]:
    """A formula of the last two sizes, for each matrix of a batch."""

    def count(ins: Shapes, outs: Shapes, meta: dict[str, str]) -> float:
        m, n = ins[0][-2:]
        return _size(ins[0][:-2]) * formula(m, n)

    return count


def _solve(ins: Shapes, outs: Shapes, meta: dict[str, str]) -> float:
    n = ins[0][-1]
    return _size(ins[0][:-2]) * 2 * n**3 / 3 + 2 * n * _size(outs[0])


def _fft(ins: Shapes, outs: Shapes, meta: dict[str, str]) -> float:
    size = max(_size(ins[0]), _size(outs[0]))
    lengths = meta.get("n") or meta.get("shape") or ""
    points = math.prod(int(n) for n in re.findall(r"\d+", lengths)) or max(outs[0], default=1)
    return 5 * size * math.log2(max(points, 2))


_GEMM = "2 m n k of a matrix product, as PyTorch's torch.utils.flop_counter counts it"
_ELEMENT = "one for each element of the result"
_LAPACK = "LAPACK Working Note 41, appendix C"
_FFT = "5 n log2 n, as FFTW's benchmark counts it"

_MOVES = """
alias as_strided cat clone contiguous copy to_device detach diag_embed diagonal
dropout_mask embedding expand eye fill flip full gather getitem index index_put masked_fill
masked_scatter ones one_hot pad permute range arange linspace rand randn randint randperm normal
bernoulli real imag reshape roll scatter select take to tril triu unfold view_as_complex
view_as_real view_dtype view_scatter where window zero zeros uniform_ normal_ bernoulli_ nll_loss
triangle_indices empty_strided im2col to_dense to_sparse coalesce sparse_values sparse_indices
argmax argmin argwhere isnan isinf isfinite lt le gt ge eq ne logical_and logical_or logical_xor
logical_not max_unpool1d max_unpool2d max_unpool3d upsample_nearest1d upsample_nearest2d
upsample_nearest3d
"""
_ELEMENTWISE = """
abs acos acosh add addcdiv addcmul asin asinh atan atan2 atanh ceil clamp conj copysign cos cosh
deg2rad digamma div div_floor div_trunc erf erfc erfinv exp exp2 expm1 floor floor_divide fmax fmin
fmod frac hypot lerp lgamma log log10 log1p log2 logaddexp logit maximum minimum mul neg pow polar
angle rad2deg reciprocal relu relu6 remainder round rsqrt sgn sign sin sinc sinh sqrt square sub tan
tanh threshold trunc xlogy hardtanh hardshrink softshrink leaky_relu prelu dropout complex
"""
_SEVERAL = {  # written out in elementary operations
    "sigmoid": 4, "silu": 5, "logsigmoid": 4, "softplus": 4, "mish": 7, "elu": 3, "gelu": 8,
    "hardswish": 4, "hardsigmoid": 3, "bce": 6,
}  # fmt: skip
_REDUCTIONS = """
sum mean nansum prod amax amin max min max_dim min_dim any all count_nonzero trace cumsum cumprod
cummax cummin
"""

#: What is known, by the op's name.
FORMULAS: dict[str, Formula] = {
    "linear": Formula(_linear, f"{_GEMM}; one more for each bias"),
    "matmul": Formula(lambda i, o, m: 2 * _size(o[0]) * i[0][-1], _GEMM),
    "sparse_mm": Formula(lambda i, o, m: 2 * _size(o[0]) * i[0][-1], f"{_GEMM}, as if dense"),
    "cdist": Formula(lambda i, o, m: 3 * _size(o[0]) * i[0][-1], "a difference, a square, a sum"),
    **{
        f"conv{n}d": Formula(_conv, "2 k for each output element, k inputs under the kernel, as "
                             "torch.utils.flop_counter; one more for each bias")
        for n in (1, 2, 3)
    },
    **{
        f"conv_transpose{n}d": Formula(_conv_transpose, "2 k for each input element, as the "
                                       "gradient of a convolution")
        for n in (1, 2, 3)
    },
    **{
        f"{kind}_pool{n}d": Formula(_pool, "the size of the window for each output element")
        for kind in ("max", "avg")
        for n in (1, 2, 3)
    },
    **{
        f"adaptive_{kind}_pool{n}d": Formula(_per_input(1), "one for each element of the input")
        for kind in ("max", "avg")
        for n in (1, 2, 3)
    },
    **{
        name: Formula(_per_output(5), "5 for each element, as fvcore counts with scale and shift")
        for name in ("batch_norm", "layer_norm", "group_norm", "standardize")
    },
    "rms_norm": Formula(_per_output(4), "4 for each element: square, sum, scale, weight"),
    **{
        name: Formula(_per_output(5), "5 for each element: maximum, difference, exp, sum, division")
        for name in ("softmax", "log_softmax")
    },
    "logsumexp": Formula(_per_input(4), "4 for each element: maximum, difference, exp, sum"),
    **{
        name: Formula(_per_input(3), "3 for each element: difference, square, sum")
        for name in ("var", "std_root")
    },
    "norm": Formula(_per_input(2), "2 for each element: square, sum"),
    "cholesky": Formula(_matrices(lambda m, n: n**3 / 3), _LAPACK),
    "cholesky_ex": Formula(_matrices(lambda m, n: n**3 / 3), _LAPACK),
    "inv": Formula(_matrices(lambda m, n: 2 * n**3), _LAPACK),
    "inv_ex": Formula(_matrices(lambda m, n: 2 * n**3), _LAPACK),
    "det": Formula(_matrices(lambda m, n: 2 * n**3 / 3), _LAPACK),
    "slogdet": Formula(_matrices(lambda m, n: 2 * n**3 / 3), _LAPACK),
    "lu_factor": Formula(_matrices(lambda m, n: m * n * min(m, n) - min(m, n) ** 3 / 3), _LAPACK),
    "qr": Formula(
        _matrices(lambda m, n: 2 * max(m, n) * min(m, n) ** 2 - 2 * min(m, n) ** 3 / 3), _LAPACK
    ),
    "solve": Formula(_solve, _LAPACK),
    "solve_ex": Formula(_solve, _LAPACK),
    "solve_triangular": Formula(lambda i, o, m: i[0][-1] * _size(o[0]), _LAPACK),
    **{name: Formula(_fft, _FFT) for name in ("fft_c2c", "fft_r2c", "fft_c2r")},
    **{
        f"upsample_{name}": Formula(_per_output(2 * points), f"{points} points for each element")
        for name, points in (
            ("linear1d", 2), ("bilinear2d", 4), ("trilinear3d", 8), ("bicubic2d", 16),
        )
    },
    **{
        name: Formula(_per_output(n), "written out in elementary operations")
        for name, n in _SEVERAL.items()
    },
    **{name: Formula(_per_output(1), _ELEMENT) for name in _ELEMENTWISE.split()},
    **{
        name: Formula(_per_input(1), "one for each element of the input")
        for name in _REDUCTIONS.split()
    },
    **{
        name: Formula(_per_input(1), "one for each element that is added")
        for name in ("scatter_add", "scatter_reduce", "embedding_bag_sum", "segment_reduce")
    },
    **{name: Formula(lambda i, o, m: 0, "moves or selects data") for name in _MOVES.split()},
}  # fmt: skip


def flops(name: str, inputs: Shapes, outputs: Shapes, meta: dict[str, str]) -> int | None:
    """The count for one op, None where the table has no formula for it.

    An op in place counts as the one that it is named after.

    >>> flops("linear", [(64, 784), (128, 784), (128,)], [(64, 128)], {})
    12853248
    >>> flops("conv2d", [(1, 3, 8, 8), (16, 3, 3, 3)], [(1, 16, 8, 8)], {})
    55296
    >>> flops("add_", [(4,), ()], [(4,)], {}), flops("sort", [(4,)], [(4,)], {})
    (4, None)
    """
    formula = FORMULAS.get(name) or FORMULAS.get(name.removesuffix("_"))
    if formula is None:
        return None
    try:
        return round(formula.work(inputs, outputs, meta))
    except (IndexError, ValueError, OverflowError):  # of a recording: not believed
        return None
