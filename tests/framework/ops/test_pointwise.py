"""Elementwise functions beyond the op table: operators, out=, complex views, what is refused."""

from __future__ import annotations

import operator
import warnings

import numpy as np
import pytest

import framework as torch

F = torch.tensor([1.0, 2.0])
I = torch.tensor([1, 2])
B = torch.tensor([True, False])
C = torch.tensor([1 + 2j, -3j])


# -- operators -----------------------------------------------------------------------------------


class Other:
    """Knows how to work with a tensor, which does not know it."""

    def __radd__(self, left: object) -> str:
        return "radd"

    def __lt__(self, right: object) -> str:
        return "lt"


def test_an_operator_leaves_what_it_does_not_know_to_the_other_operand() -> None:
    assert F + Other() == "radd"
    assert operator.gt(F, Other()) == "lt"
    assert (F == None) is False and (F != "a") is True  # noqa: E711
    with pytest.raises(TypeError, match="unsupported operand"):
        F - "a"
    with pytest.raises(TypeError, match="unsupported operand"):
        None - F


@pytest.mark.parametrize(
    "name", "add sub mul truediv floordiv mod pow lshift rshift and_ xor".split()
)
def test_reflected_and_in_place_operators(name: str) -> None:
    call = getattr(operator, name)
    array = np.array([1, 2, 3])
    x = torch.tensor(array)
    np.testing.assert_allclose(call(7, x).numpy(), call(7, array), rtol=1e-6)
    np.testing.assert_allclose(call(x, 2).numpy(), call(array, 2), rtol=1e-6)
    if name != "truediv":
        y = getattr(operator, f"i{name.rstrip('_')}")(x, 2)
        assert y is x
        np.testing.assert_array_equal(x.numpy(), call(array, 2))


def test_old_operators() -> None:
    assert [int(t) for t in reversed(I)] == [2, 1]
    assert I.__div__(2).tolist() == [0.5, 1.0] and I.__rdiv__(2).tolist() == [2.0, 1.0]
    assert torch.ones(1).__long__() == 1 and torch.ones(1).__nonzero__() is True
    assert (+F) is F and (~I).tolist() == [-2, -3]


# -- what is computed ----------------------------------------------------------------------------


def test_integers_are_divided_and_raised_exactly() -> None:
    big = torch.tensor([2**62 + 1, -(2**62) - 1])
    assert torch.div(big, 2, rounding_mode="trunc").tolist() == [2**61, -(2**61)]
    base = torch.tensor([2, 1, -1, -1])
    assert torch.pow(base, torch.tensor([-1, -5, -2, -3])).tolist() == [0, 1, 1, -1]
    assert torch.pow(3, torch.tensor([2, -2])).tolist() == [9, 0]


def test_alpha_does_not_change_the_type() -> None:
    small = torch.tensor([1, 2], dtype=torch.int8)
    assert torch.add(small, B, alpha=2).dtype is torch.int8
    assert torch.add(B, B, alpha=2).tolist() == [True, False]
    assert torch.add(F, 2, alpha=3).tolist() == [7.0, 8.0]
    assert torch.rsub(F, 2, alpha=3).tolist() == [-1.0, -4.0]


def test_lerp_reaches_its_end_exactly() -> None:
    a, b = torch.tensor([1e8]), torch.tensor([1.0])
    assert torch.lerp(a, b, 1.0).item() == 1.0
    assert torch.lerp(a, b, torch.tensor([1.0])).item() == 1.0


def test_vmap_promotes_as_one_sample_does() -> None:
    wide = torch.tensor([1.0, 2.0], dtype=torch.float64)  # a 0-d sample does not widen
    x = torch.ones(2, 3)
    for call in (torch.sub, torch.fmod, torch.maximum, torch.eq, torch.pow, torch.clamp_min):
        got = torch.vmap(call)(x, wide)
        each = torch.stack([call(x[i], wide[i]) for i in range(2)])
        assert got.dtype is each.dtype and torch.equal(got, each)


NAN, INF = float("nan"), float("inf")
AT = [  # PyTorch's answers where a derivative has no value of its own
    (torch.relu, [NAN, 0.0], [1.0, 0.0]),
    (lambda x: torch.maximum(x, torch.ones(2).double()), [NAN, 1.0], [1.0, 0.5]),
    (lambda x: torch.atan2(x, torch.zeros(2).double()), [0.0, 2.0], [0.0, 0.0]),
    (lambda x: 0.0**x, [0.0, -1.0], [0.0, -INF]),
    (lambda x: x**0.5, [0.0, -INF], [INF, NAN]),
    (lambda x: torch.clamp(x, 0.0, 1.0), [1.0, NAN], [1.0, 0.0]),
    (lambda x: torch.sgn(x) * INF, [1.0, 2.0], [0.0, 0.0]),
]


@pytest.mark.parametrize("call, at, slopes", AT)
def test_gradients_at_special_points(call: object, at: list[float], slopes: list[float]) -> None:
    x = torch.tensor(at, dtype=torch.float64).requires_grad_()
    call(x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), slopes)


def test_floor_divide_has_no_derivative_but_div_has() -> None:
    x = torch.tensor([5.0]).requires_grad_()
    torch.div(x, 2, rounding_mode="floor").backward()
    assert x.grad.item() == 0.0
    with pytest.raises(RuntimeError, match="derivative for aten::floor_divide"):
        (x // 2).backward()


# -- out= ----------------------------------------------------------------------------------------


def test_out_is_written_and_counted() -> None:
    out = torch.zeros(2)
    before = out._version
    assert torch.exp(F, out=out) is out and out._version == before + 1
    part = torch.zeros(2, 2)
    torch.add(F, F, out=part[1])
    assert part.tolist() == [[0, 0], [2, 4]]
    values, indices = torch.zeros(()), torch.zeros((), dtype=torch.int64)
    found = torch.max(F, 0, out=(values, indices))
    assert found.indices is indices and values.item() == 2.0


def test_out_takes_the_shape_and_keeps_its_type() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.add(I, I, out=torch.zeros(0)).tolist() == [2.0, 4.0]
    with pytest.warns(UserWarning, match="was resized"):
        torch.exp(F, out=torch.zeros(3))
    assert torch.lt(F, 2, out=torch.zeros(2, dtype=torch.int64)).tolist() == [1, 0]


@pytest.mark.parametrize(
    "out, words",
    [
        (torch.zeros(2, dtype=torch.int64), "result type Float can't be cast to the desired"),
        (torch.zeros(1).expand(2), "refers to a single memory location"),
        (torch.zeros(2, requires_grad=True), "don't support automatic differentiation"),
    ],
)
def test_out_is_refused(out: torch.Tensor, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        torch.exp(F, out=out)


# -- complex -------------------------------------------------------------------------------------

PARTS = {
    "real": lambda z: z.real,
    "imag": lambda z: z.imag,
    "pair": lambda z: torch.view_as_real(z)[..., 1],
    "conjugate": lambda z: torch.view_as_real(z.conj()),
    "angle": torch.angle,
    "sgn": lambda z: z.sgn().imag,
}


@pytest.mark.parametrize("name", PARTS)
def test_gradients_of_parts(name: str) -> None:
    """dL/dRe + i dL/dIm, against central differences."""
    start = np.array([1.5 - 0.5j, -0.7 + 2j])
    weights = torch.tensor(np.array([0.3, -1.2]))

    def loss(z: torch.Tensor) -> torch.Tensor:
        part = PARTS[name](z)
        return (part * part * weights[: part.shape[-1]]).sum()

    z = torch.tensor(start).requires_grad_()
    loss(z).backward()
    for i in range(2):
        for direction in (1, 1j):
            step = np.zeros(2, complex)
            step[i] = 1e-6 * direction
            moved = [loss(torch.tensor(start + s * step)).item() for s in (1, -1)]
            numeric = (moved[0] - moved[1]) / 2e-6
            got = z.grad[i].item()
            assert (got.real if direction == 1 else got.imag) == pytest.approx(numeric, rel=1e-6)


def test_parts_are_views_that_can_be_written() -> None:
    z = torch.tensor([1 + 2j, 3 + 4j])
    z.real = torch.tensor([5.0, 6.0])
    z.imag.mul_(2)
    torch.view_as_real(z)[1, 0] = 7
    assert z.tolist() == [5 + 4j, 7 + 8j]
    pairs = torch.zeros(2, 2)
    torch.view_as_complex(pairs).add_(1 + 2j)
    assert pairs.tolist() == [[1, 2], [1, 2]]


def test_gradients_of_writes_through_parts() -> None:
    start = torch.tensor([1 + 2j, 3 + 4j]).requires_grad_()
    value = torch.tensor([0.5, 0.25]).requires_grad_()
    z = start * 1
    z.imag.mul_(value)  # z = re + i im value
    (z.real.sum() + (z.imag * torch.tensor([10.0, 20.0])).sum()).backward()
    assert start.grad.tolist() == [1 + 5j, 1 + 5j]
    assert value.grad.tolist() == [20.0, 80.0]

    pairs = torch.ones(2, 2).requires_grad_()
    moved = pairs * 1
    torch.view_as_complex(moved).mul_(1j)  # (re, im) -> (-im, re)
    (moved * torch.tensor([[1.0, 2.0], [3.0, 4.0]])).sum().backward()
    assert pairs.grad.tolist() == [[2.0, -1.0], [4.0, -3.0]]


# -- refused -------------------------------------------------------------------------------------

REFUSED = [
    (lambda: torch.atan2(F, 2), TypeError, r"atan2\(\): argument 'other' \(position 2\)"),
    (lambda: torch.eq(2, F), TypeError, r"eq\(\): argument 'input' \(position 1\)"),
    (lambda: torch.complex(F, F.double()), RuntimeError, "Expected object of scalar type Float"),
    (lambda: torch.lt(C, C), NotImplementedError, "not implemented for 'ComplexFloat'"),
    (lambda: torch.bitwise_and(F, 1), NotImplementedError, "not implemented for 'Float'"),
    (lambda: torch.floor(C), NotImplementedError, "floor is not supported for complex"),
    (lambda: torch.abs(B), NotImplementedError, "\"abs_cpu\" not implemented for 'Bool'"),
    (lambda: C.abs_(), RuntimeError, "In-place abs is not supported for complex"),
    (lambda: -B, RuntimeError, "Negation, the `-` operator, on a bool tensor"),
    (lambda: I - True, RuntimeError, "Subtraction, the `-` operator, with a bool tensor"),
    (lambda: B - B, RuntimeError, "with two bool tensors is not supported"),
    (lambda: I // 0, RuntimeError, "ZeroDivisionError"),
    (lambda: torch.fmod(I, 0), RuntimeError, "ZeroDivisionError"),
    (lambda: I**-1, RuntimeError, "Integers to negative integer powers"),
    (lambda: torch.add(I, I, alpha=1.5), RuntimeError, "alpha must not be a floating point"),
    (lambda: torch.lerp(F, F.double(), 0.5), RuntimeError, "expected dtype float for `end`"),
    (lambda: torch.addcdiv(F, I, I), RuntimeError, "Integer division with addcdiv"),
    (lambda: F.masked_fill(B, 1j), RuntimeError, "cannot be converted to type float without"),
    (lambda: F.masked_fill(B, torch.ones(1)), RuntimeError, "only supports a 0-dimensional value"),
    (lambda: I.char().clamp(300), RuntimeError, "cannot be converted to type int8_t without"),
    (lambda: torch.isclose(F, I), RuntimeError, "Float did not match Long"),
    (lambda: F.imag, RuntimeError, "imag is not implemented for tensors with non-complex"),
    (lambda: torch.view_as_complex(torch.ones(3)), RuntimeError, "last dimension of size 2"),
    (lambda: torch.view_as_complex(torch.ones(2, 2).t()), RuntimeError, "stride 1"),
]


@pytest.mark.parametrize("call, kind, words", REFUSED)
def test_refused(call: object, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        call()


def test_functions_in_place() -> None:
    for name in torch._INPLACE_FUNCTIONS:
        method = getattr(torch.Tensor, name)  # wrapped, once a class overrides functions
        assert getattr(torch, name)._call is getattr(method, "__wrapped__", method)
    x = torch.tensor([-1.0, 4.0])
    assert torch.relu_(x) is x and torch.sqrt_(x).tolist() == [0.0, 2.0]


def test_log10_of_float32_is_right_to_the_last_place():
    x = torch.tensor([1000.0, 100.0, 1e-3, 7.0, 0.0, float("inf")])
    assert x.log10().tolist() == x.double().log10().float().tolist()
    assert x[0].log10().item() == 3 and x.log10().dtype is torch.float32
    assert torch.tensor(-1.0).log10().isnan()


def test_nothing_may_be_divided_by_zero() -> None:
    none = torch.ones(0, 3, dtype=torch.int32)
    for made in (none % 0, none // 0, torch.fmod(none, 0), none.div(0, rounding_mode="trunc")):
        assert made.shape == (0, 3) and made.dtype == torch.int32
    assert (none // torch.zeros(3, dtype=torch.int32)).shape == (0, 3)
