"""A hundred tensors and more, printed by PyTorch and by us."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest

import framework

EXPRESSIONS = """
T.tensor(1.) | T.tensor([]) | T.empty(0, 3) | T.empty(3, 0, 2, dtype=T.int64) | T.empty(0, dtype=T.int32)
T.zeros(0, 3, requires_grad=True) | T.tensor([1., 2., 3.]) | T.tensor([1e-5, 1.]) | T.tensor([1e10, 1.])
T.tensor([1e-10]) | T.tensor([1e8]) | T.tensor([123456789.]) | T.tensor([0.00001]) | T.tensor([1e-4])
T.tensor([99999.5, 1.]) | T.tensor([1000.5, 1.]) | T.tensor([1001., 1.]) | T.tensor([1e38, -1e38])
T.tensor([nan, 1.]) | T.tensor([inf, 1.5]) | T.tensor([-inf, 1.]) | T.tensor([nan]) | T.tensor([inf, -inf, nan])
T.tensor([[nan, 1000.], [0.1, 2.]]) | T.tensor([0., -0.]) | T.tensor(nan) | T.tensor([nan, 1e-8])
T.tensor([1, -2, 300]) | T.tensor([1, 2], dtype=T.int8) | T.tensor([1, 2], dtype=T.uint8) | T.tensor([2**62, -1])
T.tensor([True, False]) | T.tensor([1., 2.], dtype=T.float16) | T.tensor([1.5, 2e-5], dtype=T.float16)
T.tensor([1.1, 2.], dtype=T.bfloat16) | T.tensor([65504., 1.], dtype=T.float16) | T.tensor([1e15, 1e16], dtype=T.float64)
T.tensor([1 + 2j]) | T.tensor([1.5 - 2j, 3j]) | T.tensor([1 + 2j], dtype=T.complex128) | T.tensor([complex(nan, 1)])
T.tensor([1e-5 + 1e5j]) | T.tensor([complex(inf)]) | T.zeros(0, dtype=T.complex64) | T.tensor([1 - 0j, complex(0, -0.)])
T.tensor([1.25 + 2j, -1 - 3.5j], requires_grad=True) | T.arange(1000) | T.arange(1001) | T.arange(1001.)
T.arange(2000).reshape(2, 1000) | T.arange(2000.).reshape(1000, 2) | T.zeros(40, 30) | T.arange(8000).reshape(20, 20, 20)
T.ones(2, 2, 2, 2) | T.arange(24.).reshape(2, 3, 4) / 7 | T.ones(1001, requires_grad=True) | T.arange(1200).reshape(6, 200)
T.arange(1001).bool() | T.arange(1001.) * (1 + 1j) | T.zeros(7, 7, 30) | T.zeros(1001, 1) | T.zeros(1, 1001)
T.arange(30.) * 1000 | T.arange(50) * 123456 | T.ones(17, dtype=T.float64, requires_grad=True) | T.ones(2, 12, dtype=T.float64)
T.nn.Parameter(T.ones(2)) | T.nn.Parameter(T.ones(2, 2, dtype=T.float64)) | T.nn.Parameter(T.ones(2), requires_grad=False)
T.nn.Parameter(T.empty(0)) | T.nn.ParameterList([T.nn.Parameter(T.ones(2))]) | T.nn.Buffer(T.ones(2))
T.ones(2, requires_grad=True) * 2 | T.ones(15, requires_grad=True) * 1.5 | T.ones(2, 2, requires_grad=True).max(0)
[T.ones(2), T.ones(1)] | {"a": T.ones(2)} | T.finfo(T.float32) | T.iinfo(T.int8) | T.device("cuda:0") | T.Size([1])
T.eye(3).to_sparse() | T.eye(3, dtype=T.float64).to_sparse() | T.eye(2).to_sparse().requires_grad_()
T.eye(2).requires_grad_().to_sparse() | T.zeros(2, 2).to_sparse() | T.eye(40).to_sparse() | T.ones(40, 40).to_sparse()
T.sparse_coo_tensor(T.zeros(1, 2).long(), T.ones(2, 3), (4, 3)) | T.sparse_coo_tensor([[0]], [1 + 1j], (2,))
T.tensor(1e20) | T.tensor(-1e-5) | T.tensor(12345.678) | T.tensor(123456.) | T.tensor([1e-45]) | T.tensor([0.5, 1e5])
T.tensor([[1e-8, 1], [1e8, 0]]) | f"{T.tensor(1.2345):.2f}" | f"{T.ones(2)}" | f"{T.tensor(1 + 2j)}" | "%.3f" % T.tensor(1.5)
"""  # noqa: E501
NAMES = {"nan": float("nan"), "inf": float("inf")}


@pytest.mark.parametrize(
    "line",
    EXPRESSIONS.strip().splitlines(),
    ids=[str(i) for i in range(EXPRESSIONS.count("\n") - 1)],
)
def test_texts_are_those_of_pytorch(line: str) -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for expression in line.split(" | "):
            mine, theirs = (repr(eval(expression, {"T": t, **NAMES})) for t in (framework, torch))
            assert mine == theirs, expression


def printed(torch: Any) -> list[str]:
    """Tensors within forward mode and within transforms."""
    texts = []

    def see(x: Any) -> Any:
        texts.append(repr(x))
        texts.append(repr(x * 2))
        return (x * x).sum()

    forward = torch.autograd.forward_ad
    tangent = torch.tensor([1.5, 2.0])
    with forward.dual_level():
        x = forward.make_dual(torch.ones(2), tangent)
        texts += [repr(x), repr(x * 2), repr(forward.unpack_dual(x)), repr(torch.ones(2))]
        texts.append(repr(forward.make_dual(torch.ones(2, requires_grad=True), tangent)))
    torch.vmap(see)(torch.ones(2, 3))
    torch.func.grad(see)(torch.ones(2))
    torch.func.jvp(see, (torch.ones(2),), (torch.ones(2),))
    torch.func.grad(lambda x: torch.func.grad(see)(x).sum())(torch.ones(2))
    return texts


def test_dual_tensors_and_those_within_transforms() -> None:
    torch = pytest.importorskip("torch")
    for mine, theirs in zip(printed(framework), printed(torch), strict=True):
        # Levels are counted on from one transform to the next.
        assert re.sub(r"lvl=\d+", "lvl=", mine) == re.sub(r"lvl=\d+", "lvl=", theirs)
