"""`framework.array_api`: where the standard differs from PyTorch, and that gradients pass it.

The standard's own suite runs in `tests.conformance.array_api`.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys

import numpy as np
import pytest

import framework as torch
from framework import array_api as xp
from framework.array_api import Array


def test_the_namespace_comes_from_tensors_and_not_with_the_import_of_framework():
    assert torch.ones(1).__array_namespace__() is xp
    assert torch.ones(1).__array_namespace__(api_version="2023.12") is xp
    with pytest.raises(ValueError, match=r"2025\.12"):
        torch.ones(1).__array_namespace__(api_version="1999.12")
    assert xp.__array_api_version__ == "2025.12"
    assert all(hasattr(xp, name) for name in xp.__all__)


def test_arrays_are_tensors_and_plain_tensors_are_taken_without_being_changed():
    x = torch.ones(2)
    for same in (xp.asarray(x), xp.asarray(x, copy=False), xp.astype(x, xp.float32, copy=False)):
        assert type(same) is Array and isinstance(same, torch.Tensor)
        assert same.data_ptr() == x.data_ptr()
    assert type(x) is torch.Tensor
    assert type(xp.asarray(torch.nn.Parameter(x))) is Array
    assert type(torch.ones(2) + xp.ones(2)) is Array
    with pytest.raises(IndexError):
        torch.sum(xp.ones(2), 5)  # a failure, after which PyTorch's overrides are looked for
    assert type(torch.sum(xp.ones(2))) is torch.Tensor


def test_gradients_pass_functions_operators_and_indexing():
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    a = xp.asarray(x)
    xp.sum((a[::-1] * xp.asarray([1.0, 10.0, 100.0])) ** 2 / 2).backward()
    assert x.grad.tolist() == [10000.0, 200.0, 3.0]
    b = xp.asarray([1.0, 2.0])
    b.requires_grad_()
    c = b * 1
    c *= 3
    xp.sum(c).backward()
    assert b.grad.tolist() == [3.0, 3.0]


def test_0d_arrays_promote_as_all_others():
    small, wide = xp.ones(2, dtype=xp.int8), xp.asarray(1, dtype=xp.int32)
    assert (small + wide).dtype is xp.int32 is xp.add(wide, small).dtype
    assert (torch.ones(2, dtype=torch.int8) + torch.tensor(1, dtype=torch.int32)).dtype is xp.int8
    assert (small + 1).dtype is (1 + small).dtype is xp.int8
    assert (xp.ones(2) + 1j).dtype is xp.complex64
    small += xp.asarray(1, dtype=xp.int8)
    assert small.dtype is xp.int8 and small.tolist() == [2, 2]


def test_unsigned_integers_mix():
    assert xp.result_type(xp.uint16, xp.int16) is xp.int32
    assert (xp.ones(2, dtype=xp.uint16) + xp.ones(2, dtype=xp.int16)).dtype is xp.int32
    assert xp.sum(xp.ones(2, dtype=xp.uint8)).dtype is xp.uint64
    with pytest.raises(TypeError, match="no common integer type"):
        xp.result_type(xp.uint64, xp.int8)
    assert not xp.can_cast(xp.uint64, xp.int8)


@pytest.mark.parametrize(
    "key",
    [
        np.s_[::-1], np.s_[::-2, 1], np.s_[..., ::-1], np.s_[None, 1, ::-1], np.s_[2:0:-1, None],
        np.s_[5:1:-3, ...], np.s_[0:3:-1],
    ],
)  # fmt: skip
def test_slices_run_backwards(key):
    a = np.arange(12).reshape(4, 3)
    x = xp.asarray(a.copy())
    assert x[key].tolist() == a[key].tolist()
    value = np.arange(a[key].size).reshape(a[key].shape) + 100
    a[key] = value
    x[key] = xp.asarray(value)
    assert x.tolist() == a.tolist()
    x[key] = a[key] = 7
    assert x.tolist() == a.tolist()


def test_size_is_a_number_that_can_be_called():
    x = xp.ones((2, 3))
    assert x.size == 6 and x.size(1) == 3 and x.size() == (2, 3)


def test_floor_division_by_infinity():
    x = xp.asarray([-1.0, xp.inf, 7.0])
    assert (x // xp.inf).tolist()[:1] == [-0.0] and (x // 2).tolist() == [-1.0, xp.inf, 3.0]
    assert torch.floor_divide(torch.tensor(-1.0), torch.inf).item() == -1.0  # PyTorch's own


def test_unique_counts_nans_apart_and_sorts_complex_numbers():
    found = xp.unique_all(xp.asarray([[xp.nan, 1.0], [1.0, xp.nan]]))
    assert found.counts.tolist() == [2, 1, 1] and found.indices.tolist()[0] == 1
    values = xp.asarray([1 + 1j, 0j, 1 + 1j])
    assert xp.unique_values(values).tolist() == [0j, 1 + 1j]


def test_errors_say_what_was_got_and_expected():
    with pytest.raises(ValueError, match="axis 0 to have length 1, but got 2"):
        xp.squeeze(xp.ones(2), 0)
    with pytest.raises(TypeError, match="no imaginary part"):
        xp.astype(xp.ones(1, dtype=xp.complex64), xp.float32)
    with pytest.raises(ValueError, match="without a copy"):
        xp.asarray([1, 2], copy=False)
    with pytest.raises(ValueError, match="expected one of"):
        xp.isdtype(xp.int8, "integer")
    with pytest.raises(ValueError, match="numeric as kind, but got 'integer'"):
        xp.__array_namespace_info__().dtypes(kind=("bool", "integer"))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: xp.take(x, xp.asarray([0]), axis=2),
        lambda x: xp.take(x[0, 0], xp.asarray([0]), axis=0),
        lambda x: xp.take_along_axis(x, xp.asarray([[0]]), axis=2),
        lambda x: xp.squeeze(x, -3),
        lambda x: xp.linalg.cross(x, x, axis=2),
        lambda x: xp.linalg.cross(x[0, :], x, axis=-2),
    ],
)
def test_an_axis_out_of_range_is_told(call):
    with pytest.raises(IndexError, match=r"^\w+: axis -?\d is out of range for \d dimensions$"):
        call(xp.ones((1, 3)))


def test_lengths_below_zero_are_told():
    with pytest.raises(RuntimeError, match="eye: expected sizes of at least 0, but got 2 and -1"):
        xp.eye(2, -1)


def test_parameters_have_the_names_and_kinds_of_the_standard():
    parameters = inspect.signature(xp.sum).parameters
    assert [str(p.kind.name) for p in parameters.values()] == [
        "POSITIONAL_ONLY", "KEYWORD_ONLY", "KEYWORD_ONLY", "KEYWORD_ONLY",
    ]  # fmt: skip
    assert list(inspect.signature(xp.linalg.qr).parameters) == ["x", "mode"]
    assert list(inspect.signature(xp.fft.rfft).parameters) == ["x", "n", "axis", "norm"]


def test_the_namespace_describes_itself():
    info = xp.__array_namespace_info__()
    assert info.default_device() is torch.device("cpu") and xp.float64 in info.dtypes().values()
    assert set(info.dtypes(kind="bool")) == {"bool"}


def test_scipy_computes_with_our_functions_and_gradients_pass_through_it():
    code = """
import numpy as np, scipy.special, scipy.stats, framework as torch
x = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64, requires_grad=True)
y = scipy.special.softmax(x)
y[0].backward()
assert np.allclose(x.grad.sum(), 0) and x.grad[0] > 0
assert isinstance(scipy.stats.zscore(x.detach()), torch.Tensor)
"""
    env = {**os.environ, "SCIPY_ARRAY_API": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)
