"""Tensors among NumPy, SciPy and pandas: shared memory, operators, ufuncs, refusals."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas
import pytest
import scipy.sparse
import scipy.special

import framework as torch
from framework import dtypes
from framework.utils.dlpack import DLDeviceType

NUMPYS = [d for d in dtypes.ALL if d is not torch.bfloat16]


# -- DLPack ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", NUMPYS, ids=str)
@pytest.mark.parametrize("version", [None, (1, 0)])
def test_dlpack_shares_memory_with_numpy_both_ways(dtype, version):
    x = torch.ones(2, 3, dtype=dtype)
    array = np.from_dlpack(x)
    assert array.dtype == dtype.numpy and array.ctypes.data == x.data_ptr()

    class Old:
        def __dlpack__(self, **options):
            if version is None and "max_version" in options:
                raise TypeError("unexpected keyword max_version")
            return array.T.__dlpack__(**options)

        def __dlpack_device__(self):
            return array.__dlpack_device__()

    back = torch.from_dlpack(Old())
    assert back.dtype is dtype and back.shape == (3, 2) and back.data_ptr() == x.data_ptr()
    x[1, 2] = 0
    assert array[1, 2] == 0 and back[2, 1].item() == 0


def test_dlpack_carries_bfloat16_between_those_who_know_it():
    x = torch.tensor([1.5, -2.0], dtype=torch.bfloat16)
    for capsule in (x.__dlpack__(), x.__dlpack__(max_version=(1, 0)), x):
        back = torch.from_dlpack(capsule)
        assert back.dtype is torch.bfloat16 and back.tolist() == [1.5, -2.0]
        assert back.data_ptr() == x.data_ptr()
    with pytest.raises(TypeError, match="Got unsupported ScalarType BFloat16"):
        x.numpy()


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3)])
def test_dlpack_of_empty_and_0d(shape):
    assert torch.from_dlpack(np.zeros(shape)).shape == shape
    assert np.from_dlpack(torch.zeros(shape)).shape == shape


def test_dlpack_copy_and_device_arguments():
    a = np.zeros(2)
    for copied in (torch.from_dlpack(a, copy=True), torch.from_dlpack(a.__dlpack__(), copy=True)):
        copied[0] = 1
        assert a[0] == 0
    assert torch.from_dlpack(a, copy=False, device="cpu").data_ptr() == a.ctypes.data
    x = torch.zeros(2)
    assert x.__dlpack_device__() == (DLDeviceType.kDLCPU, 0)
    assert np.from_dlpack(x, copy=True).ctypes.data != x.data_ptr()


def test_dlpack_exports_expanded_tensors_but_not_read_only_memory_unmarked():
    x = torch.arange(3.0).expand(2, 3)
    assert np.from_dlpack(x).tolist() == [[0, 1, 2]] * 2
    torch.utils.dlpack.to_dlpack(x)
    locked = np.zeros(2)
    locked.flags.writeable = False
    y = torch.from_dlpack(locked)
    assert y.tolist() == [0, 0] and not np.from_dlpack(y).flags.writeable
    with pytest.raises(BufferError, match="readonly"):
        y.__dlpack__()


def test_dlpack_refusals():
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(BufferError, match="Can't export tensors that require gradient, use tens"):
        x.__dlpack__()
    capsule = torch.utils.dlpack.to_dlpack(x)  # PyTorch's old function does not look
    assert torch.from_dlpack(capsule).tolist() == [1, 1]
    for taken in (capsule, 3):
        with pytest.raises(RuntimeError, match="from_dlpack received an invalid capsule"):
            torch.from_dlpack(taken)
    with pytest.raises(ValueError, match="negative"):
        torch.from_dlpack(np.arange(3)[::-1])
    assert (np.arange(3.0)[::-1] * torch.ones(3)).stride() == (1,)
    with pytest.raises(BufferError, match="DLPack"):
        torch.from_dlpack(np.ones(2, object))
    with pytest.raises(BufferError, match="to DLPack device"):
        x.detach().__dlpack__(dl_device=(DLDeviceType.kDLMetal, 0))
    with pytest.raises(TypeError, match="stream must be"):
        x.detach().__dlpack__(stream="main")


def test_the_fake_cuda_device_is_not_given_away():
    code = """
import numpy as np, framework as torch
x = torch.ones(2, device="cuda")
for call in (x.__dlpack_device__, x.__dlpack__):
    try:
        call()
    except BufferError as error:
        assert "fake" in str(error), error
    else:
        raise SystemExit("exported")
assert not hasattr(x, "__cuda_array_interface__")
assert (np.ones(2) * x.cpu()).tolist() == [1, 1]
"""
    env = {**os.environ, "TAPEBOOK_FAKE_CUDA": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)


def test_cuda_array_interface_is_absent_on_the_cpu():
    assert not hasattr(torch.ones(1), "__cuda_array_interface__")
    with pytest.raises(AttributeError, match="non-CUDA tensor"):
        _ = torch.ones(1).__cuda_array_interface__


# -- arrays and operators --------------------------------------------------------------------


def test_array_shares_memory_unless_it_cannot():
    x = torch.arange(3.0)
    assert np.asarray(x).ctypes.data == x.data_ptr() == np.array(x, copy=False).ctypes.data
    assert np.array(x).ctypes.data != x.data_ptr()
    assert np.asarray(x, dtype=np.int16).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="Unable to avoid copy"):
        np.array(x, dtype=np.int16, copy=False)
    with pytest.raises(RuntimeError, match="Can't call numpy\\(\\) on Tensor that requires grad"):
        np.asarray(x.requires_grad_())


def test_an_array_on_the_left_is_one_elementwise_op():
    a, x = np.array([1.0, 2.0, 4.0]), torch.tensor([4.0, 2.0, 1.0], requires_grad=True)
    for name in ("mul", "add", "sub", "truediv", "pow", "floordiv", "mod"):
        operator = getattr(__import__("operator"), name)
        got = operator(a, x)
        assert isinstance(got, torch.Tensor) and got.shape == (3,)
        np.testing.assert_allclose(got.detach().numpy(), operator(a, x.detach().numpy()))
    (a * x).sum().backward()
    assert x.grad.tolist() == a.tolist()
    assert (a < x).tolist() == [True, False, False]
    assert (np.float64(2) * x).dtype is torch.float32  # NumPy's numbers count as Python's


def test_in_place_operators_of_arrays_write_into_them():
    a = np.ones(2)
    kept = a
    a += torch.tensor([1.0, 2.0])
    assert a is kept and a.tolist() == [2, 3]
    with pytest.raises(RuntimeError, match="requires grad"):
        a += torch.ones(2, requires_grad=True)


UFUNCS = [
    np.sin, np.exp, np.arctan, np.absolute, np.negative, np.sqrt, np.log1p, np.tanh, np.square,
    np.floor, np.sign, np.rint, scipy.special.expit, scipy.special.gammaln,
]  # fmt: skip


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda u: u.__name__)
def test_ufuncs_run_our_ops_with_gradients(ufunc):
    data = np.array([0.5, 1.25, 2.0])
    x = torch.tensor(data, requires_grad=True)
    y = ufunc(x)
    assert isinstance(y, torch.Tensor) and y.grad_fn is not None
    np.testing.assert_allclose(y.detach().numpy(), ufunc(data))
    assert ufunc(torch.tensor([2])).dtype in (torch.float32, torch.int64)


def test_methods_of_ufuncs_and_reductions():
    x = torch.tensor([[1.0, 2.0], [3.0, 5.0]], requires_grad=True)
    a = x.detach().numpy()
    for call in (
        np.sum, np.mean, np.prod, np.max, np.min, np.std, np.var, np.add.reduce, np.cumsum,
        np.maximum.reduce, np.add.accumulate, lambda v: np.multiply.reduce(v, axis=(0, 1)),
        lambda v: np.sum(v, axis=1, keepdims=True), lambda v: np.std(v, axis=0, ddof=1),
        lambda v: np.multiply.outer(v, v[0]), lambda v: np.divmod(v, 2)[1],
    ):  # fmt: skip
        got = call(x)
        assert got.requires_grad
        np.testing.assert_allclose(got.detach().numpy(), call(a), rtol=1e-6)
    assert np.all(x > 0).item() is True and np.any(x > 9).item() is False


def test_ufuncs_that_we_lack_work_on_values_and_refuse_to_lose_a_gradient():
    x = torch.tensor([8.0, 27.0])
    assert torch.allclose(np.cbrt(x), torch.tensor([2.0, 3.0]))
    with pytest.raises(TypeError, match=r"np\.cbrt: there is no such function of tensors"):
        np.cbrt(x.requires_grad_())
    with pytest.raises(TypeError, match="in place"):
        np.add.at(torch.zeros(2), [0], 1.0)

    def exp(v):
        return 2 * v

    stranger = np.frompyfunc(exp, 1, 1)  # under a known name; its results are objects
    assert stranger(torch.tensor([1.0])).tolist() == [2.0]


def test_out_and_dtype_of_ufuncs():
    x = torch.tensor([0.0, 1.0])
    array, target = np.zeros(2), torch.zeros(2)
    assert np.add(x, 1, out=array) is array and array.tolist() == [1, 2]
    assert np.add(x, 1, out=target) is target and target.tolist() == [1, 2]
    assert np.add(x, 1, dtype=np.float64).dtype is torch.float64


def test_array_wrap_is_pytorchs():
    x = torch.zeros(2)
    assert x.__array_wrap__(np.array([True])).dtype is torch.uint8
    assert x.__array_priority__ == 1000
    assert isinstance(np.argmax(x), torch.Tensor)
    assert type(np.concatenate([x, x])) is np.ndarray


# -- SciPy and pandas ------------------------------------------------------------------------


def test_numpy_numbers_in_lists_keep_their_type():
    assert torch.tensor([np.float64(1.0)]).dtype is torch.float64
    assert torch.tensor([np.float32(1.0), 2]).dtype is torch.float32
    assert torch.tensor([np.array([1.0, 2.0])]).dtype is torch.float64
    assert torch.tensor([1.0]).dtype is torch.float32


def test_sparse_matrices_are_refused_in_clear_words():
    matrix = scipy.sparse.eye(2, format="csr")
    with pytest.raises(RuntimeError, match=r"infer dtype of csr_matrix.*sparse.*toarray\(\)"):
        torch.tensor(matrix)
    assert torch.tensor(matrix.toarray()).tolist() == [[1, 0], [0, 1]]


def test_object_arrays_are_refused_in_pytorchs_words():
    with pytest.raises(
        TypeError, match=r"can't convert np.ndarray of type numpy.object_. The only"
    ):
        torch.tensor(np.array([1, "x"], object))


def test_columns_of_pandas():
    frame = pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    for make in (torch.tensor, torch.as_tensor, torch.asarray):
        assert make(frame.values).dtype is torch.float64
        assert make(frame["b"]).dtype is torch.float64
        assert make(frame["a"]).tolist() == [1, 2]
        assert make(frame["b"].mean()).dtype is torch.float64
        assert make([frame["a"], frame["b"]]).dtype is torch.float64
        assert make(pandas.Series([True, False])).dtype is torch.bool
        assert make(pandas.Series([1.5], dtype="float32")).dtype is torch.float32
        assert make(pandas.Series([1, 2], dtype="Int64")).tolist() == [1, 2]
    assert torch.from_numpy(frame["b"].to_numpy(copy=True)).tolist() == [0.5, 1.5]
    assert pandas.Series(torch.arange(2)).tolist() == [0, 1]
    assert torch.tensor([1, 2, 3])[frame["a"]].tolist() == [2, 3]
    assert torch.tensor([1.0, 2.0])[pandas.Series([True, False])].tolist() == [1]


def test_what_no_tensor_can_be_made_of_in_pandas():
    frame = pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    for make in (torch.tensor, torch.as_tensor, torch.asarray):
        with pytest.raises(ValueError, match=r"shape of object type 'DataFrame'.*to_numpy\(\)"):
            make(frame)
        with pytest.raises(ValueError, match="shape of object type 'Series'"):
            make(pandas.Series([1.0], index=["x"]))
        with pytest.raises(RuntimeError, match="Could not infer dtype of NAType"):
            make(pandas.Series([1, None], dtype="Int64"))
        with pytest.raises(RuntimeError, match="Could not infer dtype of Timestamp"):
            make(pandas.Series(pandas.to_datetime(["2020-01-01"])))
    with pytest.raises(TypeError, match=r"expected np\.ndarray"):
        torch.from_numpy(frame["a"])


def test_memory_that_came_in_an_old_capsule_is_written_to():
    x = torch.arange(4)
    y = torch.from_dlpack(torch.utils.dlpack.to_dlpack(x))
    y[0] = -9
    y.add_(1)
    assert x.tolist() == y.tolist() == [-8, 2, 3, 4]
    again = torch.from_dlpack(torch.utils.dlpack.to_dlpack(torch.ones(2)))  # outlives its owner
    assert again.mul_(3).tolist() == [3, 3]


def test_asarray_keeps_what_a_tensor_wants():
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    assert torch.asarray(y) is y and torch.asarray(y, copy=True).grad_fn is not None
    assert not torch.asarray(y, requires_grad=False).requires_grad
    assert torch.asarray([1.0], requires_grad=True).is_leaf
    assert not torch.asarray([1.0]).requires_grad
