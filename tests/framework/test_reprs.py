"""How tensors and modules show themselves in Jupyter and in Rich's consoles."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

import framework as torch
from framework import nn


def test_a_tensor_in_a_notebook() -> None:
    x = torch.tensor([[1.0, float("nan")]], requires_grad=True)
    text = (x * 2)._repr_html_()
    assert "float32" in text and "shape [1, 2]" in text and "nan 1" in text
    assert "grad_fn=&lt;MulBackward0&gt;" in text  # escaped: a browser must not take it for a tag


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(0, 3), torch.tensor(True), torch.tensor(1 + 2j), torch.eye(3).to_sparse(),
        torch.ones(2, dtype=torch.bfloat16), torch.full((2,), float("nan")),
    ],
)  # fmt: skip
def test_every_kind_of_tensor_has_a_line(x) -> None:
    assert str(list(x.shape)) in x._repr_html_() and dict(x.__rich_repr__())["shape"] == [*x.shape]


def test_a_module_in_a_notebook() -> None:
    class Odd(nn.Module):
        def extra_repr(self) -> str:
            return "<b>"

    text = nn.Sequential(nn.Linear(4, 2), nn.Sequential(Odd()))._repr_html_()
    assert "0: Linear(in_features=4, out_features=2, bias=True) · 10 parameters" in text
    assert "Odd(&lt;b&gt;)" in text and text.count("<details") == text.count("</details>") == 2


def test_rich() -> None:
    out = io.StringIO()
    console = Console(file=out, width=100)
    console.print(torch.tensor([1, 2]))
    console.print({"w": torch.tensor([1.0, 3.0])})
    console.print(nn.Sequential(nn.Linear(2, 1)))
    text = out.getvalue()
    assert "tensor([1, 2])" in text
    assert "shape=[2]" in text and "mean=2.0" in text
    assert "0: Linear(in_features=2, out_features=1, bias=True) · 3 parameters" in text
