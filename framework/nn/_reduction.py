"""How losses are summed up, in the words of PyTorch's older programs."""

from __future__ import annotations

import warnings

__all__ = ["get_enum", "legacy_get_enum", "legacy_get_string"]

_NUMBERS = {"none": 0, "mean": 1, "sum": 2}


def get_enum(reduction: str) -> int:
    """The number of a reduction: none 0, mean 1, sum 2; ValueError for another word.

    >>> get_enum("mean")
    1
    """
    if reduction == "elementwise_mean":
        warnings.warn(
            "reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.",
            stacklevel=2,
        )
        reduction = "mean"
    if reduction not in _NUMBERS:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return _NUMBERS[reduction]


def legacy_get_string(
    size_average: bool | None, reduce: bool | None, emit_warning: bool = True
) -> str:
    """The reduction that the two older arguments mean; both are true unless given.

    >>> legacy_get_string(False, None, emit_warning=False)
    'sum'
    """
    average, summed = (given is None or bool(given) for given in (size_average, reduce))
    word = "none" if not summed else "mean" if average else "sum"
    if emit_warning:
        warnings.warn(
            "size_average and reduce args will be deprecated, please use "
            f"reduction='{word}' instead.",
            stacklevel=2,
        )
    return word


def legacy_get_enum(
    size_average: bool | None, reduce: bool | None, emit_warning: bool = True
) -> int:
    """The number of what `legacy_get_string` says.

    >>> legacy_get_enum(None, None, emit_warning=False)
    1
    """
    return get_enum(legacy_get_string(size_average, reduce, emit_warning))
