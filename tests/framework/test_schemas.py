"""Schemas of functions, as PyTorch infers them from annotations."""

from __future__ import annotations

from typing import Sequence  # noqa: UP035

import pytest

import framework as torch
from framework import Tensor


def plain(
    x: Tensor, y: int, z: float = 1.5, *, w: Tensor | None = None, s: str = "a", b: bool = False
) -> Tensor: ...


def lists(
    x: Sequence[Tensor], y: list[int], n: list[float] | None = None
) -> tuple[Tensor, Tensor]: ...


def newer(
    x: Tensor | None, y: list[int], d: torch.dtype, dev: torch.device | None = None,
    u: int | float | bool = 3, k: torch.dtype = torch.float32,
) -> list[Tensor]: ...  # fmt: skip


def writes(x: Tensor, y: Tensor) -> None: ...


def numbers(x: int) -> tuple[int, float, bool]: ...


SCHEMAS = [
    (plain, {}, '(Tensor x, SymInt y, float z=1.5, *, Tensor? w=None, str s="a", bool b=False) -> '
     "Tensor"),
    (lists, {}, "(Tensor[] x, SymInt[] y, float[]? n=None) -> (Tensor, Tensor)"),
    (newer, {}, "(Tensor? x, SymInt[] y, ScalarType d, Device? dev=None, Scalar u=3, ScalarType k="
     "float32) -> Tensor[]"),
    (writes, {"mutates_args": ["y"]}, "(Tensor x, Tensor(a1!) y) -> ()"),
    (writes, {"mutates_args": "unknown"}, "(Tensor(a0!) x, Tensor(a1!) y) -> ()"),
    (numbers, {"op_name": "mine"}, "mine(SymInt x) -> (SymInt, float, bool)"),
]  # fmt: skip


@pytest.mark.parametrize(("function", "options", "schema"), SCHEMAS)
def test_schemas(function, options, schema):
    assert torch.library.infer_schema(function, **{"mutates_args": (), **options}) == schema


def bare(x) -> Tensor: ...


def no_result(x: Tensor): ...


def varargs(x: Tensor, *a: int) -> Tensor: ...


def a_dict(x: dict) -> Tensor: ...


def a_tuple(x: Sequence[int] = (1, 2)) -> Tensor: ...


REFUSED = [
    (bare, (), "Parameter x must have a type annotation"),
    (no_result, (), "No return type annotation"),
    (varargs, (), "do not support positional-only args, varargs"),
    (a_dict, (), "Parameter x has unsupported type <class 'dict'>"),
    (a_tuple, (), "unsupported default value type <class 'tuple'>"),
    (writes, ("q",), "{'q'} in mutates_args were not found"),
    (numbers, ("x",), "only Tensors can be mutated"),
]


@pytest.mark.parametrize(("function", "mutates", "words"), REFUSED)
def test_refusals(function, mutates, words):
    with pytest.raises(ValueError, match=r"infer_schema\(func\): .*" + words):
        torch.library.infer_schema(function, mutates_args=mutates)


# -- the other registrations of library ----------------------------------------------------------


@torch.library.custom_op("schemas::mul", mutates_args=())
def mul(x: Tensor, y: Tensor) -> Tensor:
    return torch.tensor(x.detach().numpy() * y.detach().numpy())


@torch.library.register_vmap("schemas::mul")
def mul_vmap(info, in_dims, x, y):
    assert info.batch_size == 3
    x_dim, y_dim = in_dims
    x = x.movedim(x_dim, -1) if x_dim is not None else x.unsqueeze(-1)
    y = y.movedim(y_dim, -1) if y_dim is not None else y.unsqueeze(-1)
    out = x * y
    return out, out.dim() - 1


mul.register_autograd(
    lambda ctx, g: (g * ctx.saved_tensors[1], g * ctx.saved_tensors[0]),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
)


def test_an_op_in_vmap():
    x, y = torch.arange(6.0).reshape(3, 2), torch.arange(2.0)
    assert torch.equal(torch.vmap(mul, (0, None))(x, y), x * y)
    assert torch.equal(torch.vmap(mul, (1, 0))(x.t(), x), x * x)
    assert torch.equal(mul(x, x), x * x)


def test_gradients_of_an_op_in_vmap():
    x = torch.arange(6.0).reshape(3, 2).requires_grad_()
    y = torch.tensor([2.0, 3.0], requires_grad=True)
    torch.vmap(mul, (0, None))(x, y).sum().backward()
    assert x.grad.tolist() == [[2, 3]] * 3 and y.grad.tolist() == [6, 9]


def test_an_op_under_autocast():
    seen = []

    @torch.library.custom_op("schemas::seen", mutates_args=())
    def op(x: Tensor, i: Tensor, more: Sequence[Tensor]) -> Tensor:
        seen[:] = [x.dtype, i.dtype, more[0].dtype, torch.is_autocast_enabled("cpu")]
        return x

    torch.library.register_autocast("schemas::seen", "cpu", torch.float16)
    i = torch.tensor(1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        op(torch.ones(1), i, [torch.ones(1)])
        assert seen == [torch.float16, torch.int64, torch.float16, False]
        op(torch.ones(1, dtype=torch.float64), i, [i])
        assert seen[:3] == [torch.float64, torch.int64, torch.int64]
    op(torch.ones(1), i, [i])
    assert seen[0] is torch.float32


def test_names_by_which_the_op_is_found():
    with pytest.raises(RuntimeError, match="there is no op 'schemas::none'"):
        torch.library.register_vmap("schemas::none", len)
    assert torch.library.impl_abstract("schemas::mul")(len) is len
