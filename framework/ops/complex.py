"""Complex numbers: made from parts, taken apart, conjugated; views between pairs and numbers.

A gradient of a complex tensor is dL/dRe + i dL/dIm, PyTorch's convention. A conjugate is computed
at once: there are no lazily conjugated or negated tensors here, so that `is_conj` and `is_neg`
always say no, and `resolve_conj` and `resolve_neg` have nothing to do.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply, only_tensors
from framework.core.registry import function, op
from framework.kernels import module_of
from framework.kernels.floats import type_name
from framework.tensor import Tensor

__all__ = [
    "angle", "complex", "conj", "imag", "polar", "real", "view_as_complex", "view_as_real",
]  # fmt: skip


# -- views of the parts ------------------------------------------------------------------------


def _as_pairs(a: Any) -> Any:
    return a[..., None].view(a.real.dtype)


def _as_numbers(a: Any) -> Any:
    return a.view(np.result_type(a.dtype, np.complex64))[..., 0]


REAL = op("real", lambda a: a.real, "a", grad=(lambda g: g,), view=True)
IMAG = op("imag", lambda a: a.imag, "a", grad=(lambda g: g * 1j,), view=True)
VIEW_AS_REAL = op("view_as_real", _as_pairs, "a", grad=(lambda g: view_as_complex(_paired(g)),),
                  view=True)  # fmt: skip
VIEW_AS_COMPLEX = op(
    "view_as_complex", _as_numbers, "a", grad=(lambda g: view_as_real(g),), view=True,
    wirtinger=True,
)  # fmt: skip


def _paired(g: Any) -> Any:
    """A gradient whose parts lie next to each other, as `view_as_complex` needs them."""
    return g if _layout_problem(g) == "" else g.contiguous()


@function(method=False)
def real(input: Tensor) -> Tensor:
    """The real parts, as a view in the parts' type; a real tensor itself.

    >>> import framework as torch
    >>> torch.real(torch.tensor([1 + 2j, 3j]))
    tensor([1., 0.])
    """
    return apply(REAL, input) if input._data.dtype.kind == "c" else input


@function(method=False)
def imag(input: Tensor) -> Tensor:
    """The imaginary parts of a complex tensor, as a view; RuntimeError for a real one.

    >>> import framework as torch
    >>> torch.imag(torch.tensor([1 + 2j, 3j]))
    tensor([2., 3.])
    """
    if input._data.dtype.kind != "c":
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return apply(IMAG, input)


@function(method=False)
def view_as_real(input: Tensor) -> Tensor:
    """A complex tensor as a real one with one more dimension, (real, imaginary): a view.

    (...) to (..., 2). RuntimeError for a real tensor.

    >>> import framework as torch
    >>> torch.view_as_real(torch.tensor([1 + 2j]))
    tensor([[1., 2.]])
    """
    if input._data.dtype.kind != "c":
        raise RuntimeError("view_as_real is only supported for complex tensors")
    return apply(VIEW_AS_REAL, input)


@function(method=False)
def view_as_complex(input: Tensor) -> Tensor:
    """A real tensor whose last dimension is (real, imaginary) as complex numbers: a view.

    Raises:
        RuntimeError: the last dimension is not 2, the pairs do not lie next to each other, or the
            type is neither float32 nor float64 (complex numbers of half precision do not exist
            here).

    >>> import framework as torch
    >>> torch.view_as_complex(torch.tensor([[1.0, 2.0]]))
    tensor([1.+2.j])
    """
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a "
            f"tensor of scalar type: {type_name(input._data)}"
        )
    if not input.ndim:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if input._data.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    problem = _layout_problem(input)
    if problem:
        raise RuntimeError(f"Tensor must have a {problem}")
    return apply(VIEW_AS_COMPLEX, input)


def _layout_problem(input: Tensor) -> str:
    *others, last = input.stride()
    if last != 1:
        return "last dimension with stride 1"
    if any(s % 2 for s in others):
        return "stride divisible by 2 for all but last dimension"
    return ""


def _set_real(self: Tensor, value: Any) -> None:
    real(self).copy_(value)


def _set_imag(self: Tensor, value: Any) -> None:
    imag(self).copy_(value)


Tensor.real = property(real, _set_real, doc="The real parts: a view.")
Tensor.imag = property(imag, _set_imag, doc="The imaginary parts: a view.")


# -- made from parts ---------------------------------------------------------------------------


def _complex_kernel(real: Any, imag: Any) -> Any:
    shape = np.broadcast_shapes(real.shape, imag.shape)
    made = module_of(real).empty(shape, np.result_type(real.dtype, np.complex64))
    made.real, made.imag = real, imag
    return made


def _polar_kernel(abs: Any, angle: Any) -> Any:
    return _complex_kernel(abs * np.cos(angle), abs * np.sin(angle))


COMPLEX_OF = op(
    "complex", _complex_kernel, "real imag", wirtinger=True,
    grad=(lambda g: g.real, lambda g: g.imag),
    samples=lambda s: [((s(3, 2).detach(), s(2).detach()), {})],
)  # fmt: skip
POLAR = op(
    "polar", _polar_kernel, "abs angle", wirtinger=True,
    grad=(
        lambda g, angle: g.real * angle.cos() + g.imag * angle.sin(),
        lambda g, abs, angle: abs * (g.imag * angle.cos() - g.real * angle.sin()),
    ),
    samples=lambda s: [((s(3, 2).detach(), s(2).detach()), {})],
)  # fmt: skip


@function(method=False, out="exact")
def complex(real: Tensor, imag: Tensor) -> Tensor:
    """``real + i imag`` of two float32 or two float64 tensors, which broadcast.

    RuntimeError for other types.

    >>> import framework as torch
    >>> torch.complex(torch.tensor([1.0]), torch.tensor([2.0]))
    tensor([1.+2.j])
    """
    _one_float_type("complex", real=real, imag=imag)
    return apply(COMPLEX_OF, real, imag)


@function(method=False, out="exact")
def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """The complex numbers of these absolute values and angles: ``abs * exp(i angle)``.

    Two float32 or two float64 tensors, which broadcast; RuntimeError for other types.

    >>> import framework as torch
    >>> torch.polar(torch.tensor([2.0]), torch.tensor([0.0]))
    tensor([2.+0.j])
    """
    _one_float_type("polar", abs=abs, angle=angle)
    return apply(POLAR, abs, angle)


def _one_float_type(name: str, **parts: Any) -> None:
    only_tensors(name, **parts)
    a, b = parts.values()
    for t in (a, b):
        if t.dtype not in (dtypes.float32, dtypes.float64):
            raise RuntimeError(
                "Expected both inputs to be Half, Float or Double tensors but got "
                f"{type_name(a._data)} and {type_name(b._data)}"
            )
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {type_name(a._data)} but got scalar type "
            f"{type_name(b._data)} for second argument"
        )


# -- angle, conjugate --------------------------------------------------------------------------


def _angle_kernel(a: Any) -> Any:
    if a.dtype.kind == "c":
        return np.arctan2(a.imag, a.real)
    return np.where(np.isnan(a), a, np.where(a < 0, math.pi, 0.0)).astype(a.dtype)


def _angle_grad(g: Any, a: Any) -> Any:
    if a._data.dtype.kind != "c":
        return g * 0.0
    square = a.real * a.real + a.imag * a.imag
    return (g / square).masked_fill(square == 0, 0.0) * a * 1j


ANGLE = op("angle", _angle_kernel, "a", rule="float", grad=(_angle_grad,),
           samples=lambda s: [((s.away(3),), {})])  # fmt: skip
CONJ = op("conj", lambda a: a.conj(), "a", grad=(lambda g: conj(g),),
          samples=lambda s: [((s(3).detach(),), {})])  # fmt: skip


@function(out=True)
def angle(input: Tensor) -> Tensor:
    """The angle of complex numbers in (-π, π]; of real ones 0, or π if negative.

    Of the parts' type; of integers and bools the default float type.

    >>> import framework as torch
    >>> torch.angle(torch.tensor([1j, -1.0]))
    tensor([1.5708, 3.1416])
    """
    return apply(ANGLE, input)


@function()
def conj(input: Tensor) -> Tensor:
    """The complex conjugate (a copy); a real tensor itself.

    >>> import framework as torch
    >>> torch.conj(torch.tensor([1 + 2j]))
    tensor([1.-2.j])
    """
    return apply(CONJ, input) if input._data.dtype.kind == "c" else input


@function(out=True, inplace=True)
def conj_physical(input: Tensor) -> Tensor:
    """The complex conjugate, a new tensor; a real tensor itself.

    >>> import framework as torch
    >>> torch.conj_physical(torch.tensor([1 + 2j, -1j]))
    tensor([1.-2.j, -0.+1.j])
    """
    return conj(input)


@function()
def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself: here no conjugate is ever put off, `conj` computes it.

    TypeError for what is no tensor.

    >>> import framework as torch
    >>> torch.resolve_conj(torch.tensor([1 + 2j]).conj())
    tensor([1.-2.j])
    """
    only_tensors("resolve_conj", input=input)
    return input


@function()
def resolve_neg(input: Tensor) -> Tensor:
    """The tensor itself: here no negation is ever put off.

    TypeError for what is no tensor.

    >>> import framework as torch
    >>> torch.resolve_neg(torch.tensor([1 + 2j]).conj().imag)
    tensor([-2.])
    """
    only_tensors("resolve_neg", input=input)
    return input


@function()
def is_conj(input: Tensor) -> bool:
    """Whether a conjugate was put off: here never, `conj` computes it.

    Of any shape. TypeError for what is no tensor.

    >>> import framework as torch
    >>> torch.is_conj(torch.tensor([1j]).conj())
    False
    """
    only_tensors("is_conj", input=input)
    return False


@function()
def is_neg(input: Tensor) -> bool:
    """Whether a negation was put off: here never.

    Of any shape. TypeError for what is no tensor.

    >>> import framework as torch
    >>> torch.is_neg(torch.tensor([1j]).conj().imag)
    False
    """
    only_tensors("is_neg", input=input)
    return False


# -- conjugate transposes ----------------------------------------------------------------------


@function()
def adjoint(input: Tensor) -> Tensor:
    """The conjugate transpose of matrices, in the last two dimensions: (..., M, N) to (..., N, M).

    Of real matrices a view. RuntimeError for a vector.

    >>> import framework as torch
    >>> torch.adjoint(torch.tensor([[1j, 2.0]]))
    tensor([[0.-1.j],
            [2.-0.j]])
    """
    if input.ndim == 1:
        raise RuntimeError(
            "tensor.adjoint() is only supported on matrices or batches of matrices. Got 1-D tensor."
        )
    return conj(input.transpose(-2, -1)) if input.ndim else conj(input)


def _as_hermitian(self: Tensor) -> Tensor:
    if self.ndim not in (0, 2):
        hint = " For batches of matrices, consider using tensor.mH" if self.ndim > 2 else ""
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {self.ndim}-D tensor.{hint}"
        )
    return adjoint(self)


Tensor.H = property(_as_hermitian, doc="The conjugate transpose of a matrix.")
Tensor.mH = property(adjoint, doc="The conjugate transpose of the last two dimensions.")
