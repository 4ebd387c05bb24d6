"""`testing`: what counts as close, and PyTorch's words for what does not."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework.testing import assert_allclose, assert_close, make_tensor
from framework.trace import recording

T = torch.tensor
NAN = float("nan")


@pytest.mark.parametrize(
    ("actual", "expected", "options"),
    [
        (T([1.0, 2.0]), T([1.0, 2.000001]), {}),
        (T([1.0], dtype=torch.bfloat16), T([1.01], dtype=torch.bfloat16), {}),
        (T([1]), T([1.0]), {"check_dtype": False}),
        (T([NAN]), T([NAN]), {"equal_nan": True}),
        (T([float("inf")]), T([float("inf")]), {}),
        ({"a": [T(1.0), 2, None]}, {"a": (T(1.0), 2, None)}, {}),
        (torch.nn.Parameter(T([1.0])), T([1.0]), {}),
        (np.ones(3), np.ones(3), {}),
        (torch.ones(0, 3), torch.ones(0, 3), {}),
        (2**62 + 1, 2**62 + 1, {}),
    ],
)
def test_close(actual, expected, options):
    with recording() as tape:
        assert_close(actual, expected, **options)
    assert tape.read() == []


@pytest.mark.parametrize(
    ("actual", "expected", "options", "message"),
    [
        (
            T([[1.0, 2.0, 3.0]]), T([[1.0, 2.0, 4.0]]), {},
            "Tensor-likes are not close!\n\nMismatched elements: 1 / 3 (33.3%)\n"
            "Greatest absolute difference: 1.0 at index (0, 2) (up to 1e-05 allowed)\n"
            "Greatest relative difference: 0.25 at index (0, 2) (up to 1.3e-06 allowed)",
        ),
        (
            [T([1, 200], dtype=torch.uint8)], [T([2, 100], dtype=torch.uint8)], {},
            "Tensor-likes are not equal!\n\nMismatched elements: 2 / 2 (100.0%)\n"
            "Greatest absolute difference: 100 at index (1,)\n"
            "Greatest relative difference: 1.0 at index (1,)\n\n"
            "The failure occurred for item [0]",
        ),
        (
            {"a": [T(1.0)]}, {"a": [T(2.0)]}, {},
            "Scalars are not close!\n\nExpected 2.0 but got 1.0.\n"
            "Absolute difference: 1.0 (up to 1e-05 allowed)\n"
            "Relative difference: 0.5 (up to 1.3e-06 allowed)\n\n"
            "The failure occurred for item ['a'][0]",
        ),
        (T([2**62]), T([2**62 + 1]), {}, None),
        (T([1.0]), T([1.0, 2.0]), {},
         "The values for attribute 'shape' do not match: torch.Size([1]) != torch.Size([2])."),
        (T([1.0]), T([1.0]).double(), {},
         "The values for attribute 'dtype' do not match: torch.float32 != torch.float64."),
        (torch.ones(2, 3).t(), torch.ones(3, 2), {"check_stride": True},
         "The values for attribute 'stride()' do not match: (1, 3) != (2, 1)."),
        ([1, 2], [1], {}, "The length of the sequences mismatch: 2 != 1"),
        ({"a": 1}, {"b": 1}, {},
         "The keys of the mappings do not match:\nMissing keys in the actual mapping: ['b']\n"
         "Additional keys in the actual mapping: ['a']"),
        (None, 1, {}, "None mismatch: None is not 1"),
        (True, False, {}, "Booleans mismatch: True is not False"),
        (1, 1.0, {}, "The (d)types do not match: <class 'int'> != <class 'float'>."),
        (T([1.0]), T([2.0]), {"msg": "mine"}, "mine"),
        (1, 2, {"msg": lambda text: text.splitlines()[0]}, "Scalars are not equal!"),
    ],
)  # fmt: skip
def test_different(actual, expected, options, message):
    with pytest.raises(AssertionError) as caught:
        assert_close(actual, expected, **options)
    assert message is None or str(caught.value) == message


def test_what_is_not_compared():
    with pytest.raises(TypeError, match="No comparison pair was able to handle inputs of type"):
        assert_close("a", "a")
    with pytest.raises(TypeError, match=r"<class 'list'>"):
        assert_close(T([1.0]), [1.0])
    with pytest.raises(ValueError, match="must be either specified or omitted, but got no atol"):
        assert_close(1, 1, rtol=0.1)


def test_the_older_comparison():
    with pytest.warns(FutureWarning, match="deprecated"):
        assert_allclose(T([1.0, NAN]), [1.00005, NAN])
    with pytest.warns(FutureWarning), pytest.raises(AssertionError, match="not close"):
        assert_allclose(T([1.0]), [1.001])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool, torch.float16,
                                   torch.float32, torch.complex128])  # fmt: skip
def test_random_tensors_keep_to_their_interval(dtype):
    x = make_tensor((50, 4), dtype=dtype, device="cpu", low=0, high=2, exclude_zero=True)
    parts = torch.view_as_real(x) if dtype.is_complex else x
    assert x.dtype is dtype and not (x == 0).any()
    assert ((parts >= 0) & (parts < 2 if dtype is not torch.float16 else parts <= 2)).all()
    x = make_tensor(50, 4, dtype=dtype, device="cpu", noncontiguous=True)
    assert x.shape == (50, 4) and not x.is_contiguous()


def test_random_tensors_that_cannot_be():
    with pytest.raises(ValueError, match="`low` must be less than `high`, but got 3 >= 2"):
        make_tensor(3, dtype=torch.float32, device="cpu", low=3, high=2)
    with pytest.raises(ValueError, match=r"only supports \[0, 256\)"):
        make_tensor(3, dtype=torch.uint8, device="cpu", low=-3, high=-2)
    with pytest.raises(ValueError, match="not supported for boolean and integral dtypes"):
        make_tensor(3, dtype=torch.int8, device="cpu", requires_grad=True)
