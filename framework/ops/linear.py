"""The affine maps of layers: linear and bilinear, and products by groups."""

from __future__ import annotations

from typing import Any

from framework import dtypes
from framework.core.dispatch import apply, composite
from framework.core.node_names import of_linear_with_bias
from framework.core.registry import function, op, variant
from framework.kernels.floats import type_name, wide
from framework.kernels.products import matmul
from framework.layout import in_rows
from framework.ops.joining import cat, stack

__all__ = ["bilinear", "grouped_mm", "linear"]


def _linear_kernel(x: Any, w: Any, b: Any) -> Any:
    if x.dtype.kind == "b":
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")
    if w.ndim not in (1, 2):
        raise ValueError(f"expected a weight of 1 or 2 dimensions, but got {list(w.shape)}")
    if x.ndim == 0 or x.shape[-1] != w.shape[-1]:
        rows = x.size // x.shape[-1] if x.ndim and x.shape[-1] else 0
        mat1 = f"{rows}x{x.shape[-1] if x.ndim else 1}"
        mat2 = f"{w.shape[-1]}x{w.shape[0] if w.ndim == 2 else 1}"
        raise ValueError(f"mat1 and mat2 shapes cannot be multiplied ({mat1} and {mat2})")
    if x.dtype != w.dtype:
        raise ValueError(
            f"mat1 and mat2 must have the same dtype, but got {type_name(x)} and {type_name(w)}"
        )
    if b is not None and b.shape not in (w.shape[:-1], (1,), ()):
        raise ValueError(f"expected a bias of shape {list(w.shape[:-1])}, but got {list(b.shape)}")
    if b is not None and b.dtype != x.dtype:
        raise ValueError(
            f"self and mat2 must have the same dtype, but got {type_name(b)} and {type_name(x)}"
        )
    dtype = x.dtype
    x, w = wide(x), wide(w).T
    if x.ndim > 2 and w.ndim == 2:  # one large product is faster than many small ones
        y = matmul(x.reshape(-1, x.shape[-1]), w).reshape(*x.shape[:-1], w.shape[1])
    elif x.ndim == 2 and 3 * len(x) <= w.shape[-1] and 4 <= len(x) <= 128:
        y = in_rows(matmul(w.T, x.T).T)  # which BLAS does faster
    else:
        y = matmul(x, w)
    if b is not None:
        y = y + b if y.ndim == 0 or b.dtype != y.dtype else _add(y, b)
    return y if y.dtype == dtype else y.astype(dtype)


def _add(y: Any, b: Any) -> Any:
    y += b
    return y


def _linear_weight(g: Any, x: Any, w: Any) -> Any:
    """gᵀ x over all leading dimensions."""
    if w.ndim == 1:
        return g.reshape(-1) @ x.reshape(-1, x.shape[-1])
    if x.ndim == 1:
        return g.unsqueeze(-1) * x
    return apply(LINEAR_WEIGHT_BACKWARD, g, x)


def _linear_weight_kernel(g: Any, x: Any) -> Any:
    dtype = g.dtype
    g, x = wide(g), wide(x)
    if x.ndim > 2:
        g, x = g.reshape(-1, g.shape[-1]), x.reshape(-1, x.shape[-1])
    found = matmul(g.T, x)
    return found if found.dtype == dtype else found.astype(dtype)


LINEAR_WEIGHT_BACKWARD = op(
    "linear_weight_backward", _linear_weight_kernel, "grad input",
    grad=(lambda g, input: _linear_input(input, g.t()), lambda g, grad: _linear_input(grad, g)),
    samples=lambda s: [((s(3, 2), s(3, 4)), {}), ((s(2, 3, 2), s(2, 3, 4)), {})],
)  # fmt: skip


def _linear_bias(g: Any, n: Any) -> Any:
    return g.sum(tuple(range(g.ndim - 1))) if g.ndim > 1 and len(n.shape(2)) == 1 else g


def _linear_input(g: Any, w: Any) -> Any:
    return g.unsqueeze(-1) * w if w.ndim == 1 else g @ w


LINEAR = op(
    "linear", _linear_kernel, "input weight bias",
    grad=(
        lambda g, weight: _linear_input(g, weight),
        lambda g, input, weight: _linear_weight(g, input, weight),
        lambda g, n: _linear_bias(g, n),
    ),
    samples=lambda s: [
        ((s(3, 4), s(2, 4), s(2)), {}), ((s(2, 3, 4), s(2, 4), None), {}),
        ((s(4), s(2, 4), s(2)), {}), ((s(3, 4), s(4), None), {}),
    ],
)  # fmt: skip
_WITH_BIAS = variant(LINEAR, of_linear_with_bias)


@function(namespaces=("nn.functional",), method=False, out=True)
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """``input @ weight.T + bias``.

    Shapes: input (*, in), weight (out, in) or (in,), bias (out,) or None; result (*, out).

    >>> import framework as torch
    >>> torch.nn.functional.linear(torch.ones(2, 3), torch.ones(1, 3), torch.ones(1))
    tensor([[4.],
            [4.]])
    """
    return apply(LINEAR if bias is None else _WITH_BIAS, input, weight, bias)


@function(namespaces=("", "nn.functional"), method=False)
@composite
def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """``y[..., k] = Σᵢⱼ input1[..., i] weight[k, i, j] input2[..., j] + bias[k]``.

    Shapes: input1 (*, in1), input2 (*, in2), weight (out, in1, in2), bias (out,) or None;
    result (*, out). RuntimeError for sizes that do not match.

    >>> import framework as torch
    >>> x, y = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]])
    >>> torch.bilinear(x, y, torch.eye(2).unsqueeze(0))
    tensor([[11.]])
    """
    if input1.shape[:-1] != input2.shape[:-1]:
        raise RuntimeError(
            f"bilinear(): input batch dimensions do not match: got {list(input1.shape)} and "
            f"{list(input2.shape)}"
        )
    if bias is not None and bias.dtype is not input1.dtype:
        names = [str(t.dtype).partition(".")[2] for t in (input1, input2, weight, bias)]
        raise RuntimeError(
            "All tensors must have the same dtype, got input1: {}, input2: {}, weight: {}, bias: "
            "{}".format(*names)
        )
    out, in1, in2 = weight.shape
    if input1.shape[-1] != in1 or input2.shape[-1] != in2:
        raise RuntimeError(
            f"bilinear(): input sizes ({input1.shape[-1]}, {input2.shape[-1]}) do not match the "
            f"weight's {list(weight.shape)}"
        )
    left = linear(input1, weight.transpose(1, 2).reshape(out * in2, in1))
    left = left.reshape(*input1.shape[:-1], out, in2)
    result = (left @ input2.unsqueeze(-1)).squeeze(-1)
    return result if bias is None else result + bias


@function(namespaces=("nn.functional",), method=False, checks=True)
@composite
def grouped_mm(
    mat_a: Any, mat_b: Any, *, offs: Any = None, bias: Any = None, out_dtype: Any = None
) -> Any:
    """Products of groups of rows (or columns) with a matrix for each group: a mixture of experts.

    Shapes, ``offs`` (G,) being where the groups end, in int32:

    - mat_a (M, K), mat_b (G, K, N): each group of rows with its matrix, (M, N)
    - mat_a (G, M, K), mat_b (K, N): each matrix with its group of columns, (M, N)
    - mat_a (M, K), mat_b (K, N): groups along K, (G, M, N)
    - mat_a (G, M, K), mat_b (G, K, N), no ``offs``: (G, M, N)

    What lies behind the last group is zero in the result (in PyTorch it is not written).

    >>> import framework as torch
    >>> experts = torch.stack([torch.eye(2), 2 * torch.eye(2)])
    >>> ends = torch.tensor([1, 3], dtype=torch.int32)
    >>> torch.nn.functional.grouped_mm(torch.ones(3, 2), experts, offs=ends)
    tensor([[1., 1.],
            [2., 2.],
            [2., 2.]])
    """
    _check_groups(mat_a, mat_b, offs, bias, out_dtype)
    if offs is None:
        return mat_a @ mat_b
    ends = [int(n) for n in offs.tolist()]
    spans = list(zip([0, *ends], ends))
    if mat_a.ndim == 2 and mat_b.ndim == 2:
        return stack([mat_a[:, i:j] @ mat_b[i:j] for i, j in spans])
    if mat_a.ndim == 2:
        parts = [mat_a[i:j] @ mat_b[k] for k, (i, j) in enumerate(spans)]
        rest = mat_a.new_zeros((mat_a.shape[0] - ends[-1], mat_b.shape[2]))
        return cat([*parts, rest], 0)
    parts = [mat_a[k] @ mat_b[:, i:j] for k, (i, j) in enumerate(spans)]
    rest = mat_a.new_zeros((mat_a.shape[1], mat_b.shape[1] - ends[-1]))
    return cat([*parts, rest], 1)


def _check_groups(mat_a: Any, mat_b: Any, offs: Any, bias: Any, out_dtype: Any) -> None:
    for name, x in (("mat_a", mat_a), ("mat_b", mat_b)):
        if x.dtype not in (dtypes.float32, dtypes.bfloat16, dtypes.float16):
            raise RuntimeError(
                f"Expected {name} to be Float32, BFloat16 or Float16 matrix, got "
                f"{type_name(x._data)}"
            )
        if x.ndim not in (2, 3):
            raise RuntimeError(f"{name} has to be 2 or 3d")
    if mat_a.shape[-1] != mat_b.shape[-2]:
        raise RuntimeError("contraction dimension of mat_a and mat_b must match")
    if (offs is not None) != (mat_a.ndim == 2 or mat_b.ndim == 2):
        raise RuntimeError(
            "Have to provide offsets if there is a 2d matrix, or no offset if both matrices are 3d"
        )
    if offs is not None and offs.dtype is not dtypes.int32:
        raise RuntimeError("Offsets have to be int32")
    if bias is not None:
        raise RuntimeError("Bias not supported yet")
    if out_dtype is not None and out_dtype is not mat_a.dtype:
        raise RuntimeError("Grouped gemm output dtype must match `mat_a` dtype")
