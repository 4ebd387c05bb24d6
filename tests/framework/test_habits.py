"""What old and ordinary PyTorch code does without thinking: found by running much of it."""

from __future__ import annotations

import importlib
import math
import os
import warnings

import pytest

import framework as torch
from framework import nn

X = torch.arange(9).view(3, 3)


@pytest.mark.parametrize(
    "index, wanted",
    [
        ([torch.tensor([0, 1]), torch.tensor([1, 2])], [1, 5]),
        ([[0, 1], [1, 2]], [1, 5]),
        ([slice(0, 2), 0], [0, 3]),
        ([..., 0], [0, 3, 6]),
        ([0, 1], [[0, 1, 2], [3, 4, 5]]),
        (range(1), [[0, 1, 2]]),
        ((slice(None), range(1, 3)), [[1, 2], [4, 5], [7, 8]]),
    ],
)
def test_lists_as_indices(index, wanted) -> None:
    assert X[index].tolist() == wanted
    written = X.clone()
    written[index] = -1
    assert int((written == -1).sum()) == torch.tensor(wanted).numel()


def test_the_penalty_of_a_gan_s_critic() -> None:
    x = torch.ones(2, 3, requires_grad=True)
    y = (x**2).sum(1)
    (g,) = torch.autograd.grad(
        outputs=y, inputs=x, grad_outputs=torch.ones_like(y), create_graph=True,
        retain_graph=True, only_inputs=True,
    )  # fmt: skip
    ((g.norm(2, dim=1) - 1) ** 2).mean().backward()
    assert x.grad is not None


@pytest.mark.parametrize(
    "value, kind, words",
    [
        (1, TypeError, "expected to be a Tensor or None but got grad of type int"),
        (torch.ones(2), RuntimeError, "gradient of size '.2.' to a tensor of size '.3.'"),
        (torch.ones(3).double(), RuntimeError, "gradient with dtype 'torch.float64'"),
    ],
)
def test_what_cannot_be_a_gradient(value, kind, words: str) -> None:
    x = torch.ones(3, requires_grad=True)
    with pytest.raises(kind, match=words):
        x.grad = value
    assert x.grad is None
    x.grad = torch.zeros(3)
    del x.grad
    assert x.grad is None


@pytest.mark.parametrize(
    "path, name",
    [
        ("nn.modules.batchnorm", "_BatchNorm"), ("nn.modules.instancenorm", "InstanceNorm2d"),
        ("nn.modules.utils", "_pair"), ("nn.parallel", "DistributedDataParallel"),
        ("optim.adamw", "AdamW"), ("autograd.variable", "Variable"), ("functional", "einsum"),
        ("utils.data._utils.collate", "default_collate"), ("nn.modules.conv", "_ConvNd"),
        ("nn.modules.transformer", "_get_clones"), ("nn.modules.module", "_addindent"),
        ("nn.modules.transformer", "_get_activation_fn"), ("nn.init", "_calculate_correct_fan"),
        ("nn.modules.module", "_IncompatibleKeys"), ("distributions.utils", "_standard_normal"),
        ("distributions.utils", "_sum_rightmost"),
    ],
)  # fmt: skip
def test_paths_of_pytorch(path: str, name: str) -> None:
    assert hasattr(importlib.import_module(f"framework.{path}"), name)
    assert eval(f"torch.{path}.{name}", {"torch": torch}) is not None


def test_the_usual_test_for_batch_norms() -> None:
    found = [isinstance(m, nn.modules.batchnorm._BatchNorm) for m in (nn.BatchNorm2d(2), nn.ReLU())]
    assert found == [True, False]


def test_sparse_tensors_are_saved(tmp_path) -> None:
    path = tmp_path / "graph.pt"
    torch.save({"adjacency": torch.eye(3).to_sparse(), "w": torch.ones(2)}, path)
    again = torch.load(path)["adjacency"]
    assert again.is_sparse and again.is_coalesced() and again.to_dense().tolist() == [
        [1, 0, 0], [0, 1, 0], [0, 0, 1],
    ]  # fmt: skip


def test_a_pipe_is_not_waited_for(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="a pipe, expected a file"):
        torch.load(tmp_path / "pipe")


REDUCED = {
    "sum": lambda t: t.sum(),
    "mean": lambda t: t.mean(),
    "prod": lambda t: t.prod(),
    "var": lambda t: t.var(),
    "norm": lambda t: t.norm(1),
    "logsumexp": lambda t: t.logsumexp(0),
    "layer_norm": lambda t: nn.functional.layer_norm(t, (3,)),
    "softmax": lambda t: t.softmax(0),
}


@pytest.mark.parametrize("name", REDUCED)
def test_infinities_are_computed_in_silence(name) -> None:
    """NumPy's warnings are attributed to our files, where `framework` has turned them off."""
    ours = os.path.dirname(torch.__file__)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for values in ([math.inf, -math.inf, 1.0], [3e38, 3e38, -3e38], [math.nan, 0.0, 1.0]):
            x = torch.tensor(values, requires_grad=True)
            REDUCED[name](x).sum().backward()
            torch.optim.Adam([x], lr=0.1).step()
    assert [w.filename for w in seen if not w.filename.startswith(ours)] == []
