"""Making tensors: sizes, ranges, types, orders of memory, storages and the older constructors."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest

import framework as torch

# -- shapes, ranges, options -----------------------------------------------------------------------


def test_ways_to_give_a_size() -> None:
    shapes = [torch.zeros(2, 3), torch.ones((2, 3)), torch.rand([2, 3]), torch.empty(size=(2, 3))]
    assert all(t.shape == (2, 3) for t in shapes)
    assert torch.zeros(()).shape == () and torch.randn(torch.tensor(4), 1).shape == (4, 1)


@pytest.mark.parametrize(
    "make, kind, words",
    [
        (lambda: torch.zeros(), TypeError, "missing 1 required positional arguments"),
        (lambda: torch.zeros(2.5), TypeError, "must be tuple of ints"),
        (lambda: torch.ones(2, -1), RuntimeError, "negative dimension -1"),
        (lambda: torch.zeros(2, layout=torch.sparse_csr), RuntimeError, "torch.sparse_csr"),
        (lambda: torch.arange(0, 5, 0), RuntimeError, "step must be nonzero"),
        (lambda: torch.arange(0, 5, -1), RuntimeError, "inconsistent with step sign"),
        (lambda: torch.arange(float("inf")), RuntimeError, "unsupported range"),
        (lambda: torch.arange(3, dtype=torch.bool), NotImplementedError, "'Bool'"),
        (lambda: torch.linspace(0, 1, -1), RuntimeError, "number of steps must be non-negative"),
        (lambda: torch.eye(-1), RuntimeError, "n must be greater or equal to 0, got -1"),
        (lambda: torch.full((1,), 300, dtype=torch.uint8), RuntimeError, "without overflow"),
        (lambda: torch.full((1,), 1j, dtype=torch.float32), RuntimeError, "without overflow"),
        (lambda: torch.tensor([1.0, 300.7], dtype=torch.int8), RuntimeError, "without overflow"),
        (lambda: torch.tensor(float("nan"), dtype=torch.int64), RuntimeError, "without overflow"),
        (lambda: torch.tensor([-1.5], dtype=torch.uint8), RuntimeError, "without overflow"),
        (lambda: torch.tensor([300], dtype=torch.uint8), RuntimeError, "without overflow"),
        (lambda: torch.tensor([[1], [2, 3]]), ValueError, r"length 1 at dim 1 \(got 2\)"),
        (lambda: torch.tensor([[1, 2], [3]]), ValueError, r"length 2 at dim 1 \(got 1\)"),
        (lambda: torch.tensor("text"), TypeError, "invalid data type 'str'"),
        (lambda: torch.tensor([None]), RuntimeError, "Could not infer dtype of NoneType"),
        (lambda: torch.tensor(1 << 63), ValueError, "Overflow when unpacking long long"),
        (lambda: torch.tensor([1], requires_grad=True), RuntimeError, "floating point"),
        (lambda: torch.empty_permuted((2, 3), (0, 0)), RuntimeError, "Duplicate dim"),
        (
            lambda: torch.zeros(3, dtype=torch.int64, out=torch.zeros(3)),
            RuntimeError,
            "match dtype",
        ),
        (lambda: torch.frombuffer(bytearray(), dtype=torch.uint8), ValueError, "must not be 0"),
        (lambda: torch.asarray([1], copy=False), ValueError, "can't alias arbitrary sequence"),
        (lambda: torch.from_numpy(np.arange(3)[::-1]), ValueError, "negative"),
        (lambda: torch.Tensor(2.5), TypeError, "data must be a sequence"),
        (lambda: torch.LongTensor(torch.ones(1)), TypeError, r"expected Long \(got Float\)"),
    ],
)
def test_refusals(make, kind, words: str) -> None:
    with pytest.raises(kind, match=words):
        make()


def test_ranges_count_in_the_type_that_they_have() -> None:
    assert torch.arange(0.5, 5.5, 1.7, dtype=torch.int64).tolist() == [0, 1, 2, 3, 4]
    assert torch.arange(0.5, 5.5, 1.7, dtype=torch.int32).tolist() == [0, 1, 2]
    assert torch.arange(0, 1, 0.1).shape == (10,)
    big = 1 << 60
    assert torch.arange(big, big + 3).tolist() == [big, big + 1, big + 2]
    assert torch.linspace(0, 10, 5, dtype=torch.int64).tolist() == [0, 2, 5, 7, 10]
    x = torch.linspace(-1, 1, 7, dtype=torch.float64)
    assert torch.equal(x[:3], -x.flip(0)[:3])  # counted from both ends
    assert float(x[3]) == 2.0**-54  # as in PyTorch: a product that is not rounded
    with pytest.warns(UserWarning, match=r"torch\.range is deprecated"):
        assert torch.range(0, 2, 0.5).tolist() == [0, 0.5, 1, 1.5, 2]
        # Integers are counted in integers.
        assert torch.range(0.1, 7, dtype=torch.int32).tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
        assert torch.range(2.5, 6.9, out=torch.zeros(0).long()).tolist() == [2, 3, 4, 5, 6]


def test_out_gives_the_dtype() -> None:
    target = torch.zeros(3, dtype=torch.int32)
    assert torch.arange(3, out=target) is target and target.tolist() == [0, 1, 2]
    assert torch.eye(2, out=torch.empty(0, dtype=torch.int64)).tolist() == [[1, 0], [0, 1]]
    assert torch.rand(2, out=torch.empty(2, dtype=torch.float64)).dtype is torch.float64


def test_unsigned_types() -> None:
    x = torch.tensor([1, 65535], dtype=torch.uint16)
    assert x.type() == "torch.UInt16Tensor" and not x.is_signed() and x.sum().item() == 65536
    assert (x * 0.5).dtype is torch.float32 and torch.result_type(x, 1) is torch.uint16
    assert torch.promote_types(torch.uint32, torch.bfloat16) is torch.bfloat16
    with pytest.raises(RuntimeError, match="attempted to promote UInt16 and Int"):
        torch.promote_types(torch.int32, torch.uint16)
    assert torch.full((2,), 1j).tolist() == [1j, 1j] and torch.full((1,), 1j).dtype.is_complex
    assert torch.full((1,), (1 << 64) - 1, dtype=torch.uint64).item() == (1 << 64) - 1
    assert torch.from_numpy(np.ones(2, np.uint32)).dtype is torch.uint32


# -- order of memory -------------------------------------------------------------------------------


def test_layouts_and_formats_are_objects() -> None:
    assert repr(torch.strided) == "torch.strided" and torch.ones(1).layout is torch.strided
    assert repr(torch.channels_last) == "torch.channels_last"
    assert isinstance(torch.sparse_coo, torch.layout)
    assert isinstance(torch.preserve_format, torch.memory_format)


def test_channels_last() -> None:
    x = torch.arange(120.0).reshape(2, 3, 4, 5)
    for y in (
        x.contiguous(memory_format=torch.channels_last),
        x.to(memory_format=torch.channels_last),
        x.clone(memory_format=torch.channels_last),
        x.double(memory_format=torch.channels_last),
    ):
        assert y.stride() == (60, 1, 15, 3) and torch.equal(y, x.to(y.dtype))
        assert y.is_contiguous(memory_format=torch.channels_last) and not y.is_contiguous()
        assert y.contiguous(memory_format=torch.channels_last) is y
        assert (y * 2).is_contiguous(memory_format=torch.channels_last)
        assert torch.zeros_like(y).stride() == y.stride() == y.clone().stride()
        assert torch.zeros_like(y, memory_format=torch.contiguous_format).is_contiguous()
        assert y.contiguous().is_contiguous() and y.dim_order() == (0, 2, 3, 1)
    assert torch.empty(1, 2, 3, 4, 5, memory_format=torch.channels_last_3d).stride(1) == 1
    with pytest.raises(RuntimeError, match="required rank 4 tensor to use channels_last format"):
        torch.zeros(2).contiguous(memory_format=torch.channels_last)


def test_copies_keep_the_order_of_strides() -> None:
    x = torch.zeros(3, 4).t()
    for y in (
        x.clone(),
        x.double(),
        torch.rand_like(x),
        torch.full_like(x, 1),
        torch.zeros_like(x),
    ):
        assert y.stride() == (1, 4)
    assert x.new_zeros(4, 3).stride() == (3, 1)
    assert torch.zeros(3, 1).expand(3, 4).clone().stride() == (4, 1)
    assert torch.empty_strided((2, 3), (1, 4)).stride() == (1, 4)
    assert torch.empty_permuted((2, 3, 5), (1, 2, 0)).dim_order() == (1, 2, 0)


def test_gradients_flow_through_a_change_of_format() -> None:
    x = torch.rand(1, 2, 3, 3, requires_grad=True)
    (x.contiguous(memory_format=torch.channels_last) * 2).sum().backward()
    assert torch.equal(x.grad, torch.full_like(x, 2.0))


# -- data of others --------------------------------------------------------------------------------


def test_numbers_are_not_rounded_on_their_way_to_a_wider_type() -> None:
    for make in (torch.as_tensor, torch.asarray, torch.tensor):
        assert make([0.1], dtype=torch.float64).item() == 0.1
        assert make(0.1, dtype=torch.complex128).item() == 0.1
        assert make([2.0**31 - 1], dtype=torch.int64).item() == 2**31 - 1
        with pytest.raises(RuntimeError, match="without overflow"):
            make([float("inf")], dtype=torch.int64)


def test_older_types_neither_round_nor_wrap() -> None:
    assert torch.DoubleTensor([0.1]).item() == 0.1
    with pytest.raises(RuntimeError, match="without overflow"):
        torch.CharTensor([300])


def test_memory_is_shared_where_it_can_be() -> None:
    array = np.zeros(3, np.float32)
    assert torch.as_tensor(array).data_ptr() == torch.asarray(array).data_ptr() == array.ctypes.data
    assert torch.asarray(array, copy=True).data_ptr() != array.ctypes.data
    buffer = bytearray(8)
    torch.frombuffer(buffer, dtype=torch.int16, offset=2, count=2)[1] = 0x0102
    assert buffer[4:6] == b"\x02\x01"
    with pytest.warns(UserWarning, match="not writable"):
        torch.frombuffer(b"abcd", dtype=torch.uint8)
    x = torch.ones(2, requires_grad=True)
    apart = torch.asarray(x, requires_grad=False)
    assert apart.requires_grad is False and apart.data_ptr() == x.data_ptr()


def test_from_file(tmp_path) -> None:
    name = str(tmp_path / "numbers")
    torch.from_file(name, shared=True, size=4, dtype=torch.int32).fill_(7)
    assert np.fromfile(name, np.int32).tolist() == [7] * 4
    private = torch.from_file(name, size=2, dtype=torch.int32)
    private.zero_()
    assert private.tolist() == [0, 0] and np.fromfile(name, np.int32).tolist() == [7] * 4


# -- older types and storages ----------------------------------------------------------------------


def test_older_types() -> None:
    assert torch.FloatTensor(2, 3).shape == (2, 3) and torch.LongTensor([1.5]).tolist() == [1]
    assert torch.ByteTensor([True]).dtype is torch.uint8 and torch.BoolTensor([1, 0])[0].item()
    assert isinstance(torch.ones(1), torch.FloatTensor)
    assert not isinstance(torch.ones(1), torch.DoubleTensor)
    assert torch.HalfTensor.dtype is torch.float16 and not torch.HalfTensor.is_cuda
    assert repr(torch.FloatTensor) == "<class 'torch.FloatTensor'>"
    x = torch.ones(2)
    assert x.type() == torch.typename(x) == "torch.FloatTensor"
    assert x.type("torch.IntTensor").dtype is x.type(torch.IntTensor).dtype is torch.int32
    assert x.type(torch.float32) is x and x.type_as(torch.ones(1, dtype=torch.int8))[0].item() == 1
    with pytest.raises(ValueError, match="invalid type: 'FloatTensor'"):
        x.type("FloatTensor")
    whole = torch.ones(2, dtype=torch.int64)
    assert torch.Tensor(whole).data_ptr() == whole.data_ptr()
    assert torch.Tensor((2, 3)).tolist() == [2, 3] and torch.Tensor(torch.Size((2, 3))).ndim == 2
    assert whole.new([1.5]).tolist() == [1] and x.new(3).shape == (3,) and x.new().numel() == 0


def test_default_tensor_type() -> None:
    try:
        torch.set_default_tensor_type(torch.DoubleTensor)
        assert torch.ones(1).dtype is torch.Tensor([1]).dtype is torch.float64
        with pytest.raises(TypeError, match="only floating-point types"):
            torch.set_default_tensor_type("torch.LongTensor")
    finally:
        torch.set_default_tensor_type("torch.FloatTensor")
    assert torch.get_default_dtype() is torch.float32


def test_a_storage_is_the_memory_of_all_views() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    row = x[1]
    assert row.untyped_storage().data_ptr() == x.untyped_storage().data_ptr() == x.data_ptr()
    assert row.storage().size() == 6 and row.untyped_storage().nbytes() == 24
    assert torch.is_storage(x.storage()) and isinstance(x.storage(), torch.FloatStorage)
    assert x.storage_type() is torch.FloatStorage and x.storage().type() == "torch.FloatStorage"
    x.storage()[4] = -1.0
    assert row.tolist() == [3.0, -1.0, 5.0]
    assert torch.FloatStorage([1, 2]).double().dtype is torch.float64
    assert torch.FloatTensor.add is torch.Tensor.add and x.storage().get_device() == -1
    assert repr(torch.FloatStorage([1, 2])) == (
        " 1.0\n 2.0\n[torch.storage.TypedStorage(dtype=torch.float32, device=cpu) of size 2]"
    )
    with pytest.raises(RuntimeError, match="not resizable"):
        x.untyped_storage().resize_(0)


def test_set_() -> None:
    x, y = torch.zeros(0), torch.arange(6.0)
    x.set_(y.untyped_storage(), 1, (2, 2), (1, 2))
    assert x.tolist() == [[1, 3], [2, 4]]
    y[3] = 9.0
    assert x[0, 1].item() == 9.0 and x.set_(y).shape == (6,) and x.set_().numel() == 0
    with pytest.raises(RuntimeError, match="Could not set tensor of type"):
        x.set_(torch.ones(2, dtype=torch.int64))
    with pytest.raises(RuntimeError, match="out of bounds"):
        x.set_(y.untyped_storage(), 4, (9,))


def test_child_processes_share_memory_that_was_asked_for() -> None:
    shared, own = torch.zeros(2).share_memory_(), torch.zeros(2)
    assert shared.is_shared() and not own.is_shared()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of forks where there are threads
        child = os.fork()
    if not child:
        shared.fill_(3.0)
        own.fill_(3.0)
        os._exit(0)
    os.waitpid(child, 0)
    assert shared.tolist() == [3.0, 3.0] and own.tolist() == [0.0, 0.0]


def test_functions_of_each_element() -> None:
    x = torch.tensor([[1.0, 4.0]])
    assert x.apply_(lambda v: v + 1).tolist() == [[2.0, 5.0]]
    assert x.map_(torch.tensor([3.0]), lambda a, b: a * b).tolist() == [[6.0, 15.0]]
    assert x.map2_(x, x, lambda a, b, c: a + b + c).tolist() == [[18.0, 45.0]]
    with pytest.raises(RuntimeError, match=r"Can't call apply_\(\) on Variable"):
        torch.ones(1, requires_grad=True).apply_(float)


def test_what_a_tensor_is() -> None:
    x = torch.ones(2)
    assert x.is_cpu and not (x.is_cuda or x.is_meta or x.is_quantized or x.is_sparse or x.is_mps)
    assert x.get_device() == torch.get_device(x) == -1 and x.const_data_ptr() == x.data_ptr()
    assert torch.can_cast(torch.int8, torch.uint8) and not torch.can_cast(torch.cfloat, torch.float)
    assert not x.is_pinned() and torch.newaxis is None
    with pytest.raises(RuntimeError, match="more than one value is ambiguous"):
        torch.is_nonzero(x)


def test_modules_in_another_memory_format_compute_the_same() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    x = torch.randn(2, 3, 6, 6)
    expected = model(x)
    model.to(memory_format=torch.channels_last)
    assert model[0].weight.stride() == (27, 1, 9, 3)
    y = model(x.to(memory_format=torch.channels_last))
    y.sum().backward()
    assert torch.allclose(y, expected, atol=1e-5) and model[0].weight.grad is not None
    torch.nn.utils.convert_conv2d_weight_memory_format(model, torch.contiguous_format)
    assert model[0].weight.is_contiguous()


def test_sizes_stay_sizes() -> None:
    size = torch.Size([2, 3])
    after, before = size + (4,), (1,) + size  # noqa: RUF005
    assert repr(after) == "torch.Size([2, 3, 4])" and repr(before) == "torch.Size([1, 2, 3])"
    assert repr(size * 2) == "torch.Size([2, 3, 2, 3])" and repr(size[1:]) == "torch.Size([3])"
    assert torch.Size(torch.tensor([1, 2])) == (1, 2) and size.numel() == 6
    with pytest.raises(TypeError, match=r"item 1 is 'float'"):
        torch.Size([2, 2.5])


def test_tensors_among_data_are_numbers() -> None:
    x = torch.tensor([torch.ones(1), torch.tensor(2, dtype=torch.int8)])
    assert x.tolist() == [1.0, 2.0]
    assert torch.tensor([torch.tensor(1.0, dtype=torch.float64)]).dtype is torch.float64
    with pytest.raises(ValueError, match="only one element tensors"):
        torch.tensor([torch.ones(2), torch.ones(2)])


def test_the_order_of_dimensions() -> None:
    """As PyTorch has it: what has no step of its own stays; an order that is not the only one."""
    x = torch.zeros(2, 3)
    assert x.expand(4, 2, 3).dim_order() == (0, 1, 2)
    assert torch.zeros(2, 1, 3).transpose(0, 2).dim_order() == (2, 1, 0)
    formats = [torch.contiguous_format, torch.channels_last]
    assert torch.zeros(1, 2, 3, 4).dim_order(ambiguity_check=formats) == (0, 1, 2, 3)
    for tensor in (torch.zeros(1, 2, 3, 4), x.expand(4, 2, 3)):
        with pytest.raises(RuntimeError, match="does not have unique dim order"):
            tensor.dim_order(ambiguity_check=True)
    with pytest.raises(RuntimeError, match="does not have unique dim order"):
        torch.zeros(2, 1, 3, 4).dim_order(ambiguity_check=formats)
    with pytest.raises(TypeError, match="must be a bool or a list of memory formats"):
        x.dim_order(ambiguity_check=3)


def test_halves_refuse_numbers_that_they_do_not_reach() -> None:
    h, at = torch.ones(2, dtype=torch.float16), torch.tensor([0])
    for make in (
        lambda: torch.full((1,), 70000, dtype=torch.float16),
        lambda: torch.full((1,), 1e39, dtype=torch.bfloat16),
        lambda: h.new_full((1,), -1e10),
        lambda: h.clone().fill_(1e10),
        lambda: h.scatter(0, at, 1e10),
        lambda: h.clamp(max=1e10),
        lambda: h.clamp_min(-1e10),
        lambda: torch.nn.functional.pad(h, (1, 1), value=1e10),
        lambda: torch.nn.functional.threshold(h, 2, 1e10),
        lambda: torch.nn.functional.hardtanh(h, -1e10, 1),
    ):
        with pytest.raises(RuntimeError, match=r"type c10::(Half|BFloat16) without"):
            make()
    assert torch.full((1,), float("inf"), dtype=torch.float16).isinf().all()
    h[0] = 1e10
    assert h[0].isinf() and torch.scalar_tensor(1e10, dtype=torch.float16).isinf()
    assert torch.full((1,), 3e38 + 3e38j).isfinite().all()


def test_negative_numbers_stand_for_the_bits_of_an_unsigned_type() -> None:
    u, mask = torch.tensor([1, 2], dtype=torch.uint8), torch.tensor([True, False])
    assert u.masked_fill(mask, -200).tolist() == [56, 2]
    assert u.index_fill(0, torch.tensor([0]), -255).tolist() == [1, 2]
    assert torch.where(mask, -200, u).tolist() == [56, 2]
    assert u.clamp(min=-200).tolist() == [56, 56]
    for wrong in (-256, 256, -200.5):
        with pytest.raises(RuntimeError, match="uint8_t without overflow"):
            u.masked_fill(mask, wrong)


def test_spaces_are_counted_in_their_type() -> None:
    """As PyTorch computes them: each number to the bit."""
    assert torch.linspace(0, 3e38, 4, dtype=torch.bfloat16).tolist() == [
        0.0, 1.0035671368176115e38, 1.9938419936773738e38, 3.00405527047391e38,
    ]  # fmt: skip
    half = torch.linspace(-10, -2808, 15, dtype=torch.float16)
    assert half[3:6].tolist() == [-609.5, -809.5, -1009.5]
    single = [float(v).hex() for v in torch.linspace(0.1, 7.3, 11)[5:8]]
    assert single == ["0x1.d9999a0000000p+1", "0x1.1ae1480000000p+2", "0x1.48f5c40000000p+2"]
    double = torch.linspace(0.1, 1e5, 7, dtype=torch.float64)
    assert double[1:3].tolist() == [16666.749999999996, 33333.399999999994]


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_ends_of_spaces_fit_their_type(kind: str) -> None:
    dtype = getattr(torch, kind)
    with pytest.raises(RuntimeError, match="without overflow"):
        torch.linspace(0, 1e39, 4, dtype=dtype)
    assert torch.linspace(0, torch.inf, 3, dtype=dtype).isnan().all()
    assert torch.linspace(torch.inf, 0, 1, dtype=dtype).tolist() == [torch.inf]
