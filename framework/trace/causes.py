"""Why an op makes a NaN, an infinity or nothing but zeros of values that are none: a table.

A case names ops, a test of what went in and what came out, and the reason in words. The first
case that fits is the cause. Values are known by their statistics (`protocol.Summary`), which is
enough: finite operands of a division give a NaN only where 0 is divided by 0.

>>> from framework.trace.protocol import Summary
>>> zero = Summary(1, 0, 0, 1, min=0.0, max=0.0)
>>> cause("log", [zero], Summary(1, 0, 1, 0), "float32")
'log of 0 is -inf'
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from framework.trace.protocol import Summary

__all__ = ["cause", "deliberate", "node_cause"]

_LARGEST = {
    "float64": 1.798e308, "float32": 3.403e38, "bfloat16": 3.39e38, "float16": 65504.0,
}  # fmt: skip
_EXP_LIMIT = {"float64": 709.78, "float32": 88.72, "bfloat16": 88.7, "float16": 11.09}


class At(NamedTuple):
    """An op with what went in and what came out."""

    ins: list[Summary | None]
    out: Summary
    dtype: str

    def of(self, i: int) -> Summary | None:
        return self.ins[i] if i < len(self.ins) else None

    def zero(self, i: int) -> bool:
        s = self.of(i)
        return s is not None and s.zeros > 0

    def all_zero(self, i: int) -> bool:
        s = self.of(i)
        return s is not None and 0 < s.count == s.zeros

    def inf(self, i: int) -> bool:
        s = self.of(i)
        return s is not None and s.inf > 0

    def below(self, i: int, limit: float) -> bool:
        s = self.of(i)
        return s is not None and s.min is not None and s.min < limit

    def above(self, i: int, limit: float) -> bool:
        s = self.of(i)
        return s is not None and s.max is not None and s.max > limit

    def at_most(self, i: int, limit: float) -> bool:
        s = self.of(i)
        return s is not None and s.max is not None and s.max <= limit and not s.nan + s.inf

    def size(self, i: int) -> float:
        """The largest absolute value of an operand."""
        s = self.of(i)
        return (
            max(-s.min, s.max) if s is not None and s.min is not None and s.max is not None else 0
        )

    @property
    def nan(self) -> bool:
        return self.out.nan > 0

    @property
    def any_inf_in(self) -> bool:
        return any(s is not None and s.inf for s in self.ins)

    @property
    def single(self) -> bool:
        s = self.of(0)
        return s is not None and s.count <= max(1, self.out.count)

    @property
    def empty(self) -> bool:
        s = self.of(0)
        return s is not None and s.count == 0


class Case(NamedTuple):
    """``ops``: names, "" for any; ``why`` may use {largest}, {limit} and {most} (of operand 0)."""

    ops: str
    fits: Callable[[At], bool]
    why: str


_EXPONENTIALS = "exp expm1 exp2 sinh cosh exp_ softplus"

#: A NaN or an infinity, made of finite values (or a NaN of infinite ones).
NON_FINITE = (
    # logarithms
    Case("log log2 log10 log_", lambda a: a.nan and a.below(0, 0), "log of a negative number"),
    Case("log log2 log10 log_", lambda a: a.zero(0), "log of 0 is -inf"),
    Case("log1p", lambda a: a.below(0, -1), "log1p of a number below -1"),
    Case("log1p", lambda a: a.below(0, -0.999999), "log1p of -1 is -inf"),
    Case("xlogy", lambda a: a.below(1, 0), "log of a negative number"),
    Case("logit", lambda a: a.below(0, 0) or a.above(0, 1), "logit of a number outside of 0 to 1"),
    Case("logit", lambda a: not a.nan, "logit of 0 or 1 is infinite"),
    Case("logsumexp", lambda a: a.inf(0), "logsumexp of infinities: of a row of -inf it is -inf"),
    # divisions
    Case("div true_divide div_ floor_divide", lambda a: a.nan and a.inf(0) and a.inf(1),
         "inf / inf is NaN"),
    Case("div true_divide div_ floor_divide", lambda a: a.nan and a.zero(1),
         "division by zero: 0 / 0 is NaN"),
    Case("div true_divide div_ floor_divide", lambda a: a.zero(1),
         "division by zero: x / 0 is infinite"),
    Case("div true_divide div_", lambda a: not a.nan and a.size(1) < 1e-3,
         "division by a number so small that the result is above {largest}, the largest {dtype}"),
    Case("reciprocal", lambda a: a.zero(0), "division by zero: 1 / 0 is infinite"),
    Case("remainder fmod", lambda a: a.zero(1), "the remainder of a division by zero"),
    # roots and powers
    Case("sqrt sqrt_", lambda a: a.below(0, 0), "square root of a negative number"),
    Case("rsqrt", lambda a: a.below(0, 0), "square root of a negative number"),
    Case("rsqrt", lambda a: a.zero(0), "1 / sqrt(0) is infinite"),
    Case("pow pow_", lambda a: a.nan and a.below(0, 0),
         "a negative number to a power that is no integer"),
    Case("pow pow_", lambda a: a.zero(0) and a.below(1, 0),
         "0 to a negative power: 1 / 0 is infinite"),
    Case("pow pow_ square", lambda a: True,
         "overflow of the power: the result is above {largest}, the largest {dtype}"),
    # exponentials
    Case(_EXPONENTIALS, lambda a: not a.nan, "overflow in exp: of {most}, and {dtype} ends at "
         "exp({limit})"),
    # softmax and normalization
    Case("softmax log_softmax", lambda a: a.inf(0) and not a.above(0, 1e300),
         "softmax of a row of -inf only (all of it masked): 0 / 0 is NaN"),
    Case("softmax log_softmax", lambda a: a.inf(0), "softmax of a row with +inf: inf - inf is NaN"),
    Case("var std var_mean std_mean", lambda a: a.empty, "the variance of no elements"),
    Case("var std var_mean std_mean", lambda a: a.single,
         "the unbiased variance of a single element: 0 / 0 is NaN (correction=0 is defined)"),
    Case("layer_norm native_layer_norm batch_norm group_norm rms_norm instance_norm",
         lambda a: a.nan, "normalized by a variance of 0: 0 / 0 is NaN (see eps)"),
    Case("normalize", lambda a: a.zero(0), "a vector of length 0 cannot be normalized: 0 / 0"),
    Case("mean nanmean median", lambda a: a.empty, "the mean of no elements: 0 / 0 is NaN"),
    Case("amax amin max min", lambda a: a.empty, "the extreme of no elements"),
    Case("nll_loss nll_loss2d cross_entropy", lambda a: a.nan and not a.any_inf_in,
         "the mean over no targets, since all are ignored: 0 / 0 is NaN"),
    Case("nll_loss cross_entropy", lambda a: a.any_inf_in,
         "the true class has a log probability of -inf"),
    Case("binary_cross_entropy", lambda a: True, "log of a probability of 0"),
    Case("kl_div", lambda a: True, "log of a probability of 0, or an infinite input"),
    # functions with a domain
    Case("acos asin", lambda a: a.below(0, -1) or a.above(0, 1), "acos or asin outside of -1 to 1"),
    Case("acosh", lambda a: a.below(0, 1), "acosh of a number below 1"),
    Case("atanh", lambda a: a.nan, "atanh outside of -1 to 1"),
    Case("atanh erfinv", lambda a: not a.nan, "it is infinite at -1 and 1"),
    Case("lgamma digamma polygamma gamma", lambda a: a.zero(0) or a.below(0, 0),
         "the gamma function has a pole at 0 and at each negative integer"),
    Case("inv inverse linalg_inv solve linalg_solve cholesky linalg_cholesky", lambda a: True,
         "the matrix is singular, or nearly so"),
    # gradients that are one op
    Case("sqrt_backward rsqrt_backward", lambda a: True, "the derivative of sqrt at 0 is 1 / 0"),
    Case("norm_backward linalg_vector_norm_backward", lambda a: True,
         "the derivative of a norm at 0 is 0 / 0"),
    Case("std_backward", lambda a: True, "the derivative of std of equal elements is 0 / 0"),
    # infinities that meet
    Case("sub sub_ rsub", lambda a: a.nan and a.inf(0) and a.inf(1), "inf - inf is NaN"),
    Case("add add_", lambda a: a.nan and a.inf(0) and a.inf(1), "inf + -inf is NaN"),
    Case("mul mul_", lambda a: a.nan and a.any_inf_in, "0 * inf is NaN"),
    Case("sum mean cumsum", lambda a: a.nan and a.any_inf_in, "inf and -inf in one sum are NaN"),
    Case("matmul mm bmm linear addmm dot mv conv1d conv2d conv3d einsum",
         lambda a: a.nan and a.any_inf_in, "0 * inf or inf - inf in the products and their sum"),
    Case("sin cos tan", lambda a: a.nan and a.any_inf_in, "sin, cos or tan of an infinity"),
    Case("", lambda a: a.nan and a.any_inf_in, "an infinity went in, and it is NaN here"),
    # overflow
    Case("to", lambda a: True, "too large for {dtype}, which ends at {largest}"),
    Case("mul mul_ add add_ sub sub_ sum mean prod cumsum cumprod matmul mm bmm linear addmm dot "
         "mv conv1d conv2d conv3d einsum norm linalg_vector_norm", lambda a: not a.nan,
         "overflow: the result is above {largest}, the largest {dtype}"),
    Case("matmul mm bmm linear addmm dot mv conv1d conv2d conv3d sum mean", lambda a: True,
         "overflow inside of the sum: inf - inf is NaN"),
    Case("empty empty_like new_empty", lambda a: True, "memory that nothing was written to"),
    Case("view", lambda a: True, "other bits read as {dtype}"),
)  # fmt: skip

#: Nothing but zeros, made of values that are not.
ALL_ZERO = (
    Case("relu relu_ clamp_min threshold relu6", lambda a: a.at_most(0, 0),
         "no input is above 0: every unit is off (a dead relu)"),
    Case("dropout dropout_ feature_dropout", lambda a: True, "dropout dropped all of it"),
    Case("mul mul_", lambda a: a.all_zero(0) or a.all_zero(1), "multiplied by zeros"),
    Case("matmul mm bmm linear addmm dot mv", lambda a: a.all_zero(0) or a.all_zero(1),
         "multiplied by zeros"),
    Case("mul mul_ matmul mm bmm", lambda a: True,
         "wherever one factor is not 0 the other one is, or the product is below the smallest "
         "{dtype}"),
    Case("div div_", lambda a: a.all_zero(0), "0 divided by something"),
    Case("div div_", lambda a: True, "the quotient is below the smallest {dtype}"),
    Case("sub sub_", lambda a: True, "both sides are equal"),
    Case("where", lambda a: True, "the condition chose 0 everywhere"),
    Case("masked_fill masked_fill_", lambda a: True, "the mask covers all of it"),
    Case("eq ne lt le gt ge logical_and logical_or logical_not isnan", lambda a: True,
         "the condition is false everywhere"),
    Case("floor trunc round floor_divide", lambda a: True, "rounded to 0"),
    Case("to", lambda a: True, "the conversion to {dtype} made 0 of it"),
    Case("exp softmax sigmoid", lambda a: True, "underflow: below the smallest {dtype}"),
    Case("zeros zeros_like new_zeros zero_", lambda a: True, "made of zeros"),
    Case("full fill_ full_like", lambda a: True, "filled with 0"),
    Case("copy_", lambda a: True, "overwritten in place"),
    Case("var std", lambda a: True, "all elements are equal"),
    Case("sum mean", lambda a: True, "the elements add up to 0"),
    Case("sign floor ceil round", lambda a: True, "its derivative is 0 everywhere"),
)  # fmt: skip

#: What is special about the gradient of an op, whichever of its ops made the bad value.
NODES = {
    "sqrt": "the derivative of sqrt is infinite at 0; add a small number below the root",
    "rsqrt": "the derivative of 1/sqrt is infinite at 0; add a small number below the root",
    "norm": "a norm has no derivative at 0; add a small number below its root",
    "linalg_vector_norm": "a norm has no derivative at 0; add a small number below its root",
    "std": "std has no derivative where all elements are equal",
    "log": "the derivative of log at 0 is 1 / 0; a `where` after it does not help, "
    "since 0 * inf is NaN: mend the input of log",
    "pow": "the derivative of this power is infinite at 0",
    "div": "the derivative of a / b at b = 0 is infinite",
    "reciprocal": "the derivative of 1 / x at 0 is infinite",
    "acos": "the derivative of acos is infinite at -1 and 1",
    "asin": "the derivative of asin is infinite at -1 and 1",
    "atan2": "atan2 has no derivative at (0, 0)",
    "where": "0 * inf: the branch that was not taken has an infinite gradient",
    "cdist": "a distance has no derivative at 0",
    "cumprod": "cumprod divides by its input, which has a 0",
    "prod": "prod divides by its input, which has a 0",
}
ZERO_NODES = {
    "relu": "relu was off everywhere, so that no gradient passes (a dead relu)",
    "threshold": "it was off everywhere, so that no gradient passes",
    "relu6": "it was off or at its upper end everywhere, so that no gradient passes",
    "hardtanh": "it was outside of its range everywhere, so that no gradient passes",
    "hardsigmoid": "it was saturated everywhere, so that no gradient passes",
    "clamp": "it was outside of its range everywhere, so that no gradient passes",
    "sigmoid": "it was saturated: y * (1 - y) is 0",
    "tanh": "it was saturated: 1 - y * y is 0",
    "softmax": "it was saturated: one class has all of the probability",
    "log_softmax": "it was saturated: the true class has all of the probability",
    "copy": "what was here was overwritten in place before it was used",
    "fill": "what was here was overwritten in place before it was used",
    "zero": "what was here was overwritten in place before it was used",
    "view_scatter": "what was here was overwritten in place before it was used",
    "dropout": "dropout dropped all of it",
    "round": "round is flat: its derivative is 0 everywhere",
    "floor": "floor is flat: its derivative is 0 everywhere",
    "ceil": "ceil is flat: its derivative is 0 everywhere",
    "trunc": "trunc is flat: its derivative is 0 everywhere",
    "sign": "sign is flat: its derivative is 0 everywhere",
    "abs": "the derivative of abs at 0 is taken as 0",
    "max_pool2d": "no element of it was the largest of its window",
}

_DELIBERATE = frozenset(
    "full full_like fill_ masked_fill masked_fill_ where tensor copy_ setitem index_fill_ "
    "index_put_ index_put zeros ones new_full triu tril".split()
)


def cause(op: str, ins: list[Summary | None], out: Summary, dtype: str) -> str:
    """Why ``op`` made such an ``out``; "" if the table does not know.

    Args:
        ins: what its operands were, a scalar among them; None where it is not known.
        dtype: of the result.
    """
    at = At(ins, out, dtype)
    for case in ALL_ZERO if not out.nan + out.inf else NON_FINITE:
        if (not case.ops or op in case.ops.split()) and case.fits(at):
            return case.why.format(
                dtype=dtype,
                largest=f"{_LARGEST.get(dtype, 0):.4g}",
                limit=f"{_EXP_LIMIT.get(dtype, 0):.4g}",
                most=f"{at.size(0):.4g}",
            )
    return ""


def node_cause(forward: str, out: Summary) -> str:
    """What is special about the gradient of a forward op; "" for nothing."""
    return (NODES if out.nan + out.inf else ZERO_NODES).get(forward.removesuffix("_"), "")


def deliberate(op: str) -> bool:
    """Does a program put infinities in with this op, as a mask does?"""
    return op in _DELIBERATE
