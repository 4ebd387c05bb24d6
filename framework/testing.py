"""`testing`: comparison of tensors with messages that say what differs, and random test tensors.

The comparison is of arrays on the host: none of it is in a trace.
"""

from __future__ import annotations

import cmath
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

import framework
from framework import dtypes
from framework.kernels import to_host
from framework.layout import strided
from framework.tensor import Tensor, tensor, wrap

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

# Default tolerances (relative, absolute), those of PyTorch; zero for all other types.
_TOLERANCES = {
    dtypes.float16: (1e-3, 1e-5), dtypes.bfloat16: (1.6e-2, 1e-5), dtypes.float32: (1.3e-6, 1e-5),
    dtypes.float64: (1e-7, 1e-7), dtypes.complex64: (1.3e-6, 1e-5),
    dtypes.complex128: (1e-7, 1e-7),
}  # fmt: skip
# Those of `assert_allclose`, where they differ.
_OLD_TOLERANCES = {
    dtypes.float16: (1e-3, 1e-3), dtypes.float32: (1e-4, 1e-5), dtypes.float64: (1e-5, 1e-8),
}  # fmt: skip
_NUMBERS = {int: dtypes.int64, float: dtypes.float64, complex: dtypes.complex128}


class _Different(Exception):
    """What differs, and in which item of the containers."""

    def __init__(self, text: str, path: tuple[Any, ...], kind: type[Exception]) -> None:
        item = "".join(str([key]) for key in path)
        super().__init__(text + (f"\n\nThe failure occurred for item {item}" if item else ""))
        self.kind = kind


class _Comparison:
    """Options of a comparison, and the comparison itself."""

    def __init__(
        self, rtol: float | None, atol: float | None, equal_nan: bool, allow_subclasses: bool,
        device: bool, dtype: bool, layout: bool, stride: bool,
    ) -> None:  # fmt: skip
        if (rtol is None) != (atol is None):
            missing = "rtol" if rtol is None else "atol"
            raise ValueError(
                f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {missing}."
            )
        self.tolerances = None if rtol is None or atol is None else (rtol, atol)
        self.equal_nan, self.allow_subclasses = equal_nan, allow_subclasses
        self.device, self.dtype, self.layout, self.stride = device, dtype, layout, stride
        self.path: tuple[Any, ...] = ()

    def fail(self, text: str, kind: type[Exception] = AssertionError) -> NoReturn:
        raise _Different(text, self.path, kind)

    def compare(self, actual: Any, expected: Any) -> None:
        if _is_sequence(actual) and _is_sequence(expected):
            if len(actual) != len(expected):
                self.fail(f"The length of the sequences mismatch: {len(actual)} != {len(expected)}")
            self._items(range(len(actual)), actual, expected)
        elif isinstance(actual, Mapping) and isinstance(expected, Mapping):
            self._keys(actual, expected)
            try:
                keys: Any = sorted(actual)
            except TypeError:
                keys = list(actual)
            self._items(keys, actual, expected)
        else:
            self._values(actual, expected)

    def _items(self, keys: Any, actual: Any, expected: Any) -> None:
        outer = self.path
        for key in keys:
            self.path = (*outer, key)
            self.compare(actual[key], expected[key])
        self.path = outer

    def _keys(self, actual: Any, expected: Any) -> None:
        missing = [k for k in expected if k not in actual]
        more = [k for k in actual if k not in expected]
        if missing or more:
            self.fail(
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {sorted(missing, key=repr)}\n"
                f"Additional keys in the actual mapping: {sorted(more, key=repr)}"
            )

    def _values(self, actual: Any, expected: Any) -> None:
        if actual is None or expected is None:
            if actual is not expected:
                self.fail(f"None mismatch: {actual} is not {expected}")
        elif _is_number(actual) and _is_number(expected):
            self._numbers(_plain(actual), _plain(expected))
        elif _is_array(actual) and _is_array(expected) and self._related(actual, expected):
            self._tensors(_as_tensor(actual), _as_tensor(expected))
        else:
            self.fail(
                "No comparison pair was able to handle inputs of type "
                f"{type(actual)} and {type(expected)}.",
                TypeError,
            )

    def _related(self, actual: Any, expected: Any) -> bool:
        if type(actual) is type(expected):
            return True
        either = isinstance(actual, type(expected)) or isinstance(expected, type(actual))
        return self.allow_subclasses and either

    # -- numbers ---------------------------------------------------------------------------------

    def _numbers(self, actual: Any, expected: Any) -> None:
        types = type(actual), type(expected)
        if types == (bool, bool):
            if actual is not expected:
                self.fail(f"Booleans mismatch: {actual} is not {expected}")
            return
        if types[0] is not types[1] and (self.dtype or bool in types):
            self.fail(f"The (d)types do not match: {types[0]} != {types[1]}.")
        self._scalars(actual, expected, self._allowed(*[_NUMBERS[t] for t in types]))

    def _scalars(self, actual: Any, expected: Any, allowed: tuple[float, float]) -> None:
        rtol, atol = allowed
        if actual == expected or (self.equal_nan and cmath.isnan(actual) and cmath.isnan(expected)):
            return
        difference = abs(actual - expected)
        if cmath.isfinite(expected) and difference <= atol + rtol * abs(expected):
            return
        relative = difference / abs(expected) if expected else math.inf
        close = rtol == 0 and atol == 0
        self.fail(
            f"Scalars are not {'equal' if close else 'close'}!\n\n"
            f"Expected {expected} but got {actual}.\n"
            f"Absolute difference: {difference}{'' if close else f' (up to {atol} allowed)'}\n"
            f"Relative difference: {relative}{'' if close else f' (up to {rtol} allowed)'}"
        )

    # -- tensors ---------------------------------------------------------------------------------

    def _allowed(self, *kinds: Any) -> tuple[float, float]:
        if self.tolerances is not None:
            return self.tolerances
        pairs = [_TOLERANCES.get(kind, (0.0, 0.0)) for kind in kinds]
        return max(r for r, _ in pairs), max(a for _, a in pairs)

    def _tensors(self, actual: Tensor, expected: Tensor) -> None:
        self._attributes(actual, expected)
        rtol, atol = self._allowed(actual.dtype, expected.dtype)
        a, e = _host(actual), _host(expected)
        matches = self._matches(a, e, rtol, atol)
        if matches.all():
            return
        if not a.ndim:
            self._scalars(actual.item(), expected.item(), (rtol, atol))
        exact = rtol == 0 and atol == 0
        absolute, relative = _differences(a, e, actual.dtype, expected.dtype)
        lines = [f"Tensor-likes are not {'equal' if exact else 'close'}!", ""]
        wrong = int(matches.size - matches.sum())
        lines.append(f"Mismatched elements: {wrong} / {matches.size} ({wrong / matches.size:.1%})")
        for word, difference, most in ("absolute", absolute, atol), ("relative", relative, rtol):
            difference[matches] = 0
            where = np.unravel_index(int(difference.argmax()), a.shape)
            index = tuple(int(i) for i in where)
            lines.append(
                f"Greatest {word} difference: {difference[where].item()} at index {index}"
                + ("" if exact else f" (up to {most} allowed)")
            )
        self.fail("\n".join(lines))

    def _attributes(self, actual: Tensor, expected: Tensor) -> None:
        both_strided = actual.layout is strided and expected.layout is strided
        checks: list[tuple[str, bool, Any, Any]] = [
            ("shape", True, actual.shape, expected.shape),
            ("layout", self.layout, actual.layout, expected.layout),
            ("stride()", self.stride and both_strided, actual.stride, expected.stride),
            ("device", self.device, actual.device, expected.device),
            ("dtype", self.dtype, actual.dtype, expected.dtype),
        ]
        for name, wanted, a, e in checks:
            if not wanted:
                continue
            if name == "stride()":
                a, e = a(), e()
            if a != e:
                self.fail(f"The values for attribute '{name}' do not match: {a} != {e}.")

    def _matches(self, a: np.ndarray, e: np.ndarray, rtol: float, atol: float) -> np.ndarray:
        same = np.asarray(a == e)
        with np.errstate(invalid="ignore", over="ignore"):
            if rtol or atol:
                kind = np.complex128 if "c" in a.dtype.kind + e.dtype.kind else np.float64
                wide_a, wide_e = a.astype(kind), e.astype(kind)
                near = np.abs(wide_a - wide_e) <= atol + rtol * np.abs(wide_e)
                same = same | (near & np.isfinite(wide_a) & np.isfinite(wide_e))
            if self.equal_nan:
                same = same | ((a != a) & (e != e))
        return same


def _differences(a: Any, e: Any, *kinds: Any) -> tuple[np.ndarray, np.ndarray]:
    """Absolute and relative, in the type that PyTorch has them in (whole numbers: int64)."""
    kind = dtypes.promote_types(*kinds)
    wide = kind.numpy if kind.is_floating_point or kind.is_complex else np.dtype(np.int64)
    a, e = a.astype(wide), e.astype(wide)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        absolute = np.abs(a - e)
        size = np.abs(e)
        if wide.kind == "i":
            relative = absolute.astype(np.float32) / size.astype(np.float32)
        else:
            relative = absolute / size
    return absolute, relative


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, complex, np.number, np.bool_))


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    kinds: list[Any] = [bool, int, float, complex]
    return next(kind(value) for kind in kinds if isinstance(value, kind))


def _is_array(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype in dtypes.from_numpy_dtype
    return isinstance(value, Tensor)


def _as_tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else wrap(value)


def _host(value: Tensor) -> np.ndarray:
    return to_host((value if value.layout is strided else value.detach().to_dense())._data)


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """That ``|actual - expected| <= atol + rtol * |expected|`` everywhere, and all else is equal.

    Tensors, arrays of NumPy, numbers, None, and sequences and mappings of those. The default
    tolerances follow from the dtype: 1.3e-6 and 1e-5 for float32, 1e-7 and 1e-7 for float64.

    Args:
        rtol, atol: relative and absolute tolerance, both or none.
        equal_nan: take two nan for equal.
        check_device, check_dtype, check_layout, check_stride: compare these too.
        msg: instead of the message; or a function of it.

    Raises:
        AssertionError: they differ; the message counts and locates the differences.
        TypeError: they cannot be compared.

    >>> import framework as torch
    >>> torch.testing.assert_close(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0 + 1e-6]))
    >>> torch.testing.assert_close(torch.ones(2), torch.tensor([1.0, 3.0]))
    Traceback (most recent call last):
      ...
    AssertionError: Tensor-likes are not close!
    <BLANKLINE>
    Mismatched elements: 1 / 2 (50.0%)
    Greatest absolute difference: 2.0 at index (1,) (up to 1e-05 allowed)
    Greatest relative difference: 0.6666666865348816 at index (1,) (up to 1.3e-06 allowed)
    """
    comparison = _Comparison(
        rtol, atol, equal_nan, allow_subclasses, check_device, check_dtype, check_layout,
        check_stride,
    )  # fmt: skip
    try:
        comparison.compare(actual, expected)
    except _Different as found:
        text = str(found)
        if msg is not None and found.kind is AssertionError:
            text = msg(text) if callable(msg) else msg
        raise found.kind(text) from None


def assert_allclose(
    actual: Any, expected: Any, rtol: float | None = None, atol: float | None = None,
    equal_nan: bool = True, msg: str = "",
) -> None:  # fmt: skip
    """The older `assert_close`: takes whatever a tensor is made of, and compares no dtypes.

    Warns that it is deprecated. AssertionError if the values differ.

    Shapes must be the same.

    >>> import framework as torch
    >>> torch.testing.assert_allclose(torch.tensor([1.0]), [1.0])
    """
    warnings.warn(
        "`torch.testing.assert_allclose()` is deprecated since 1.12 and will be removed in a "
        "future release. Please use `torch.testing.assert_close()` instead.",
        FutureWarning,
        stacklevel=2,
    )
    if not isinstance(actual, Tensor):
        actual = tensor(actual)
    if not isinstance(expected, Tensor):
        expected = tensor(expected, dtype=actual.dtype)
    if rtol is None and atol is None:
        pairs = [_OLD_TOLERANCES.get(t.dtype, (0.0, 0.0)) for t in (actual, expected)]
        rtol, atol = max(r for r, _ in pairs), max(a for _, a in pairs)
    assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False,
        msg=msg or None,
    )  # fmt: skip


def make_tensor(
    *shape: Any,
    dtype: dtypes.dtype,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor of random values in [low, high), for tests.

    Args:
        low, high: by default -9 and 9 for floats, -9 and 10 for whole numbers, cut to what the
            dtype holds.
        noncontiguous: every second element of a tensor twice as wide.
        exclude_zero: 1, or the smallest normal float, in place of zeros.

    Raises:
        ValueError: the interval is empty, nan, or not of the dtype; or options that exclude each
            other.

    >>> import framework as torch
    >>> x = torch.testing.make_tensor(2, 3, dtype=torch.float32, device="cpu", low=0, high=1)
    >>> x.shape, bool(((x >= 0) & (x < 1)).all())
    (torch.Size([2, 3]), True)
    """
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got "
            f"{noncontiguous=} and {memory_format=}"
        )
    floating = dtype.is_floating_point or dtype.is_complex
    if requires_grad and not floating:
        raise ValueError(
            "`requires_grad=True` is not supported for boolean and integral dtypes, but got "
            f"{dtype=}"
        )
    noncontiguous = noncontiguous and math.prod(sizes) > 1
    if noncontiguous:
        sizes = (*sizes[:-1], 2 * sizes[-1])
    least, most = _interval(dtype, low, high)
    if floating:
        made = framework.empty(sizes, dtype=dtype, device=device)
        target = framework.view_as_real(made) if dtype.is_complex else made
        if most - least >= dtypes.finfo(dtype).max:  # more than `uniform_` spans
            target.uniform_(least / 2, most / 2).mul_(2)
        else:
            target.uniform_(least, most)
    else:
        made = framework.randint(math.ceil(least), math.ceil(most), sizes, dtype=dtype).to(device)
    if noncontiguous:
        made = made[..., 1::2]
    elif memory_format is not None:
        made = made.clone(memory_format=memory_format)
    if exclude_zero:
        made[made == 0] = dtypes.finfo(dtype).tiny if floating else 1
    return made.requires_grad_() if requires_grad else made


def _interval(dtype: dtypes.dtype, low: float | None, high: float | None) -> tuple[float, float]:
    """``low`` and ``high``, by default those of the dtype, cut to what it holds."""
    floating = dtype.is_floating_point or dtype.is_complex
    least: float
    most: float
    if dtype is dtypes.bool_:
        least, most, defaults = 0, 2, (0, 2)
    elif floating:
        least, most, defaults = dtypes.finfo(dtype).min, dtypes.finfo(dtype).max, (-9, 9)
    else:
        info = dtypes.iinfo(dtype)
        # randint's bounds are 64-bit integers: it cannot reach the largest of them
        least, most = info.min, info.max + (dtype is not dtypes.int64)
        defaults = -9, 10
    low = defaults[0] if low is None else low
    high = defaults[1] if high is None else high
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low == high and floating:
        warnings.warn(
            "Passing `low==high` to `torch.testing.make_tensor` for floating or complex types is "
            "deprecated since 2.1 and will be removed in 2.3. Use `torch.full(...)` instead.",
            FutureWarning,
            stacklevel=3,
        )
    elif low >= high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    elif high < least or low >= most:
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), but {dtype} "
            f"only supports [{least}, {most})"
        )
    return min(max(low, least), most), min(max(high, least), most)
