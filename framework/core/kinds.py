"""What kinds of arguments the public functions take, and the error for an argument of another kind.

A parameter's annotation says it (``Tensor``, ``int``, ``bool | None``, ...); one that says ``Any``
is known by its name where that means the same thing everywhere (``dtype``, ``size``, ``weight``).
`wrong` looks at all arguments of a call: before it where one is given that the usual calls do not
have, and after it has failed. What fails for another reason keeps its error.
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable
from types import CodeType
from typing import Any

import numpy as np

from framework import dtypes
from framework.core import dispatch
from framework.device import device
from framework.kernels import NoMemory
from framework.layout import layout, memory_format

__all__ = ["MISSING", "better", "is_python", "kinds_of", "quick", "wrong"]


class _Missing:
    """The default of a parameter that takes no None."""

    def __repr__(self) -> str:
        return "<not given>"


MISSING: Any = _Missing()


def _is_tensor(value: Any) -> bool:
    return isinstance(value, dispatch.Tensor) or hasattr(value, "__torch_function__")


def _is_int(value: Any) -> bool:
    if value.__class__ is int:
        return True
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        return False
    try:
        operator.index(value)  # of a tensor: one element, of an integer type
    except TypeError:
        return False
    return not (isinstance(value, dispatch.Tensor) and value.dtype is dtypes.bool_)


def _is_number(value: Any) -> bool:
    if isinstance(value, (numbers.Number, np.generic)):
        return True
    return isinstance(value, dispatch.Tensor) and not value.ndim


def _is_float(value: Any) -> bool:
    return _is_number(value) and not isinstance(value, complex)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_dtype(value: Any) -> bool:
    return isinstance(value, dtypes.dtype) or value in (float, int, bool, complex)


def _is_device(value: Any) -> bool:
    return isinstance(value, (device, str)) or _is_int(value)


def _are_ints(value: Any) -> bool:
    if _is_int(value):
        return True
    if not isinstance(value, (tuple, list)):
        return False
    return all(_is_int(v) for v in value)


def _are_sides(value: Any) -> bool:
    """One size, or several of which some may be left as they are."""
    if isinstance(value, (tuple, list)):
        return all(v is None or _is_int(v) for v in value)
    return _is_int(value)


def _are_tensors(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(map(_is_tensor, value))


# Kind: its test, and its name in PyTorch's messages.
_TENSOR = _is_tensor, "Tensor"
_OPERAND = (lambda v: _is_tensor(v) or _is_number(v)), "Tensor"
_SIZES = (lambda v: isinstance(v, (tuple, list)) and _are_ints(v)), "tuple of ints"
_INT = _is_int, "int"
_INTS = _are_ints, "tuple of ints"
_INTS_OR_TEXT = (lambda v: _are_ints(v) or _is_text(v)), "tuple of ints"
_NUMBER = _is_number, "Number"
_FORMAT = (lambda v: isinstance(v, memory_format)), "torch.memory_format"
_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "Tensor": _TENSOR,
    "bool": (lambda v: v.__class__ is bool, "bool"),
    "int": _INT,
    "float": (_is_float, "float"),
    "str": (_is_text, "str"),
    "Dim": (lambda v: v is None or _are_ints(v), "tuple of ints"),
}

# Kinds that are told by the name of a parameter of any type, with that of the function before it
# where it means something else in others; those in the second table may be None.
_REQUIRED = {
    "input": _OPERAND, "self": _OPERAND, "other": _OPERAND,
    "target": _TENSOR, "kernel_size": _INTS, "dims": _INTS, "size": _INTS, "x1": _TENSOR,
    "x2": _TENSOR, "input1": _TENSOR, "input2": _TENSOR, "grid": _TENSOR, "A": _TENSOR,
    "tensors": (_are_tensors, "tuple of Tensors"), "alpha": _NUMBER, "beta": _NUMBER,
    "normalized_shape": _SIZES, "padding": _INTS, "pad": _SIZES, "input3": _TENSOR,
    "conv1d.padding": _INTS_OR_TEXT, "conv2d.padding": _INTS_OR_TEXT,
    "conv3d.padding": _INTS_OR_TEXT, "movedim.source": _INTS, "movedim.destination": _INTS,
    "tensordot.dims": (lambda v: True, "dims"), "scalar_tensor.s": _NUMBER, "fill_value": _NUMBER,
    "value": _OPERAND, "addcmul.value": _NUMBER, "addcdiv.value": _NUMBER, "sections": _INT,
    "constant_pad_nd.value": _NUMBER, "log_probs": _TENSOR, "targets": _TENSOR,
    "dist.p": _NUMBER, "renorm.p": _NUMBER, "renorm.maxnorm": _NUMBER, "histc.min": _NUMBER,
    "histc.max": _NUMBER, "softshrink.lambd": _NUMBER, "hardshrink.lambd": _NUMBER,
    "rrelu.lower": _NUMBER, "rrelu.upper": _NUMBER, "softplus.beta": _NUMBER,
    "scaled_dot_product_attention.query": _TENSOR, "scaled_dot_product_attention.key": _TENSOR,
    "softplus.threshold": _NUMBER, "threshold.threshold": _NUMBER, "threshold.value": _NUMBER,
    "anchor": _TENSOR, "positive": _TENSOR, "negative": _TENSOR,
    "output_size": (_are_sides, "tuple of ints"), "split_sizes": _SIZES,
    "tau": _TENSOR, "B": _TENSOR, "logsumexp.dim": _INTS, "squeeze.dim": _INTS,
    "squeeze_copy.dim": _INTS, "contiguous.memory_format": _FORMAT,
    # By keyword a method takes what its function takes.
    **dict.fromkeys("reshape.shape view.size permute.dims tile.dims flip.dims".split(), _SIZES),
}  # fmt: skip
_OPTIONAL = {
    "weight": _OPERAND, "bias": _TENSOR, "running_mean": _TENSOR, "running_var": _TENSOR,
    "dtype": (_is_dtype, "torch.dtype"), "device": (_is_device, "torch.device"),
    "layout": (lambda v: isinstance(v, layout), "torch.layout"),
    "memory_format": _FORMAT,
    "stride": _INTS, "dilation": _INTS, "output_padding": _INTS, "s": _INTS,
    "pos_weight": _TENSOR, "b_ih": _TENSOR, "b_hh": _TENSOR,
}  # fmt: skip

# Functions that PyTorch has written in Python: they look at flags only when they need them, and
# what they do first with an argument of a wrong kind decides the error.
_IN_PYTHON = frozenset(
    """
    atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes broadcast_tensors cartesian_prod
    cdist chain_matmul einsum istft lu max_pool1d max_pool2d max_pool3d meshgrid norm pca_lowrank
    selu split stft svd_lowrank tensordot threshold unique unique_consecutive unravel_index
    """.split()
)
_PYTHON_SPACES = frozenset(("nn.functional", "masked", "signal.windows"))
_COMPILED = frozenset(  # in these spaces
    """
    adaptive_avg_pool1d avg_pool1d avg_pool2d avg_pool3d bilinear celu_ channel_shuffle conv1d
    conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d cosine_similarity elu_
    gelu hardshrink hardtanh_ leaky_relu_ linear logsigmoid native_channel_shuffle one_hot pad
    pairwise_distance pdist pixel_shuffle pixel_unshuffle prelu relu_ rrelu_
    scaled_dot_product_attention selu_ softplus softshrink threshold_
    """.split()
)
_ASK_FIRST = frozenset(  # the first argument for an attribute that only tensors have
    """
    adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d batch_norm
    dropout2d dropout3d embedding fractional_max_pool2d fractional_max_pool3d gaussian_nll_loss glu
    group_norm instance_norm interpolate linear_cross_entropy local_response_norm max_pool3d
    max_unpool1d max_unpool2d max_unpool3d norm normalize softsign split tanhshrink tensordot
    unravel_index upsample_bilinear upsample_nearest
    """.split()
)
_ASK_MORE = {  # or the first few
    **dict.fromkeys(
        """
        binary_cross_entropy binary_cross_entropy_with_logits huber_loss l1_loss margin_ranking_loss
        mse_loss smooth_l1_loss tensordot
        """.split(), 2,
    ),
    "linear_cross_entropy": 3, "multi_head_attention_forward": 3,
    "triplet_margin_with_distance_loss": 3,
}  # fmt: skip

# What PyTorch's functions that are written in Python look at themselves, so that anything will do;
# the rest they pass on to one that asks for its kind.
_LOOSE = frozenset("inplace return_indices size_average reduce reduction".split())
_LOOSE_SPACES = frozenset(("masked", "signal.windows"))
_STRICT = frozenset(("requires_grad",))  # in those, too
_LOOSE_OF = {  # of single functions; "*" is all
    **dict.fromkeys(
        """
        interpolate local_response_norm max_unpool1d max_unpool2d max_unpool3d
        multi_head_attention_forward pca_lowrank svd_lowrank tensordot
        """.split(), "*",
    ),
    "cdist": "compute_mode", "gaussian_nll_loss": "full eps", "grid_sample": "mode padding_mode",
    "lu": "get_infos", "multi_margin_loss": "p", "stft": "center pad_mode",
}  # fmt: skip

# What the wrappers look at before each call, as source: `wrong` is asked where it does not hold.
QUICK = {
    "bool": "({0} is True or {0} is False)",
    "int": "{0}.__class__ is int",
    "str": "{0}.__class__ is str",
    "float": "({0}.__class__ is float or {0}.__class__ is int)",
    "Number": "({0}.__class__ is int or {0}.__class__ is float)",
    "tuple of ints": "({0}.__class__ is int or {0}.__class__ is tuple)",
}
_QUICK_SIZES = "isinstance({0}, (tuple, list))"
_OR_NONE = "({0} is None or {1})"
_OR_MISSING = "({0} is MISSING or {1})"


# A test, its name, the default, the class that needs no test, and whether it may be None.
Known = tuple[Callable[[Any], bool], str, Any, Any, bool]

_SURE = {
    "bool": bool, "int": int, "float": float, "str": str, "torch.dtype": dtypes.dtype,
    "torch.device": device, "tuple of ints": int, "Number": int,
}  # fmt: skip


def is_python(name: str, spaces: tuple[str, ...]) -> bool:
    """Whether PyTorch has written a function of these namespaces (or a method) in Python."""
    if name in _IN_PYTHON:
        return True
    return bool(spaces) and _PYTHON_SPACES.issuperset(spaces) and name not in _COMPILED


def better(
    error: Exception, function: Any, values: tuple[Any, ...], keywords: dict[str, Any],
    first: int = 1,
) -> Exception | None:  # fmt: skip
    """A call has failed with ``error``: a better one, for an argument of a wrong kind, if any."""
    if isinstance(error, TypeError):
        return None
    if isinstance(error, MemoryError) and not isinstance(error, NoMemory):
        return NoMemory(f"{function.__name__}: {error}")
    if function._python and (
        isinstance(error, ValueError)
        or (isinstance(error, AttributeError) and _asked(function.__name__, values))
    ):
        return None
    return wrong(
        function, values, keywords, first, only="Tensor" if function._python else "",
        no_numbers=isinstance(error, AttributeError),
    )  # fmt: skip


def _asked(name: str, values: tuple[Any, ...]) -> bool:
    """Whether PyTorch asks an argument that is no tensor for an attribute of tensors."""
    asked = (
        values[1:2] if name == "embedding" else values[: _ASK_MORE.get(name, name in _ASK_FIRST)]
    )
    return not all(map(_is_tensor, asked))


def quick(
    function: Any, python: bool, spaces: tuple[str, ...], whole: str | None = None
) -> tuple[str, ...]:
    """For each positional parameter the test that a wrapper makes before a call; "" for none.

    Args:
        python: PyTorch has written the function in Python.
        spaces: where it is published.
        whole: see `overridable`.
    """
    known_by = kinds_of(function, whole)
    if python:
        known_by = early(known_by, spaces, function.__name__)
    found = []
    for name in _positional(function.__code__, whole):
        known = known_by.get(name)
        test = QUICK.get(known[1], "") if known else ""
        if test and known:
            test = _QUICK_SIZES if known[0] is _SIZES[0] else test
            test = _OR_NONE.format("{0}", test) if known[4] else test
            test = _OR_MISSING.format("{0}", test) if known[2] is MISSING else test
        found.append(test)
    return tuple(found)


def _positional(code: CodeType, whole: str | None) -> tuple[str, ...]:
    names = code.co_varnames[: code.co_argcount]
    return (*names, whole) if whole and whole not in names else names


def early(known_by: dict[str, Known], spaces: tuple[str, ...], name: str) -> dict[str, Known]:
    """Of a function that PyTorch has written in Python: what is asked even if nothing fails."""
    loose = _LOOSE_OF.get(name, "").split()
    if "*" in loose:
        return {}
    if spaces and _LOOSE_SPACES.issuperset(spaces):
        return {n: known for n, known in known_by.items() if n in _STRICT}
    return {
        n: known
        for n, known in known_by.items()
        if known[1] in QUICK and n not in (*_LOOSE, *loose)
    }


def _defaults(function: Any) -> dict[str, Any]:
    code, values = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[code.co_argcount - len(values) : code.co_argcount]
    return {**dict(zip(names, values)), **(function.__kwdefaults__ or {})}


_NOTHING: Any = object()


def kinds_of(function: Any, whole: str | None = None) -> dict[str, Known]:
    """What is known about each parameter whose kind is known at all; ``whole``: `overridable`."""
    code, defaults = function.__code__, _defaults(function)
    found = {}
    for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        said = str(function.__annotations__.get(name, "Any"))
        kind = said.removesuffix(" | None")
        default = defaults.get(name, _NOTHING)
        optional = kind != said or name == "requires_grad" or default is None
        own = f"{function.__name__}.{name}"
        known = _REQUIRED.get(own) or _KINDS.get(kind)
        if known is None and kind == "Any":
            known = _REQUIRED.get(name)
            if known is None:
                known = _OPTIONAL.get(name)
                # The weights of a convolution must be given, those of a normalisation may be None.
                optional = name != "weight" or default is not _NOTHING or "norm" in own
        if known is not None:
            optional = optional or known is _KINDS["Dim"]
            sure = _NOTHING if known is _SIZES else _SURE.get(known[1], _NOTHING)
            found[name] = (*known, default, sure, optional)
    if whole:
        found[whole] = (*_SIZES, _NOTHING, tuple, False)
    return found


def wrong(
    function: Any, values: tuple[Any, ...], keywords: dict[str, Any], first: int = 1,
    before: bool = False, *, name: str = "", only: str = "", no_numbers: bool = False,
) -> Exception | None:  # fmt: skip
    """The error for the first argument of another kind than its parameter's; None if there is none.

    Args:
        first: the number that messages give to the first of ``values``: 0 for a method's ``self``.
        before: the call has not been tried.
        name: the function's name in messages, if it is not its own.
        only: look at parameters of this kind only.
        no_numbers: where a tensor is expected, a number is wrong, too.
    """
    facts = function.__dict__.get("_kinds")
    python = function.__dict__.get("_python", False)  # what an in-place twin calls says nothing
    if facts is None:
        inner = _innermost(function.__dict__.get("_bound", function))
        whole = function.__dict__.get("_whole")
        names = _positional(inner.__code__, whole)
        kinds = kinds_of(inner, whole)
        sooner = early(kinds, function._spaces, inner.__name__) if python else kinds
        facts = function.__dict__["_kinds"] = kinds, sooner, names, inner.__code__
    known_by, sooner, names, code = facts
    if before:
        known_by = sooner
    more = values[len(names) :]
    rest = code.co_varnames[code.co_argcount + code.co_kwonlyargcount] if more else ""
    if rest == "more":
        return None  # an older form of call, which the function tells apart itself
    for place, (parameter, value) in enumerate((*zip(names, values), *keywords.items())):
        known = known_by.get(parameter)
        if known is None or value is known[2] or value.__class__ is known[3]:
            continue
        if _fits(value, known, only, no_numbers):
            number = value.__class__ is complex and known[1] == "Number"
            everything = (*values, *keywords.values())
            if number and not (function.__name__ in _OF_THEIR_NUMBERS or _is_complex(everything)):
                return RuntimeError(
                    f"value cannot be converted to type double without overflow: {value}"
                )
            continue
        if known[0] is _are_tensors and isinstance(value, (tuple, list)):
            return _no_tensor(value)
        where = f" (position {place + first})" if place < min(len(names), len(values)) else ""
        got = type(value)
        shown = f"numpy.{got.__name__}" if got.__module__ == "numpy" else got.__name__
        return TypeError(
            f"{name or function.__name__}(): argument '{parameter}'{where} must be {known[1]}, not "
            f"{shown}"
        )
    if before and python:
        return None
    if len(more) == 1 and isinstance(more[0], (tuple, list)):
        more = tuple(more[0])
    if rest in ("tensors", "operands") and not _are_tensors(more):
        return _no_tensor(more)
    return None


_OF_THEIR_NUMBERS = frozenset(("full", "linspace", "logspace"))  # the dtype follows from them


def _is_complex(values: tuple[Any, ...]) -> bool:
    """Whether the result of a call with these arguments may be complex."""
    return any(
        v.dtype.is_complex if isinstance(v, dispatch.Tensor) else isinstance(v, dtypes.dtype)
        for v in values
    )


def _fits(value: Any, known: Known, only: str, no_numbers: bool) -> bool:
    test, kind = known[:2]
    if value is None and known[4]:
        return True
    if no_numbers and test is _OPERAND[0]:
        test = _is_tensor
    return test(value) or only not in ("", kind)


def _innermost(function: Any) -> Any:
    while "__wrapped__" in function.__dict__:
        function = function.__wrapped__
    return function


def _no_tensor(values: Any) -> TypeError:
    """Of a list of tensors: which is none."""
    i = next(i for i, v in enumerate(values) if not _is_tensor(v))
    return TypeError(
        f"expected Tensor as element {i} in argument 0, but got {type(values[i]).__name__}"
    )
