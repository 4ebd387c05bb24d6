"""Layers: what they print, how they start, and that they learn."""

from __future__ import annotations

import math

import numpy as np
import pytest

import framework as torch
from framework import nn
from framework.nn import functional as F


@pytest.mark.parametrize(
    "layer, text",
    [
        (lambda: nn.Linear(3, 2, bias=False), "Linear(in_features=3, out_features=2, bias=False)"),
        (lambda: nn.Conv2d(4, 8, 3, 2, 1, groups=2, bias=False),
         "Conv2d(4, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), groups=2, bias=False)"),
        (lambda: nn.Conv1d(1, 2, 3, padding="same", padding_mode="reflect"),
         "Conv1d(1, 2, kernel_size=(3,), stride=(1,), padding=same, padding_mode=reflect)"),
        (lambda: nn.ConvTranspose2d(1, 2, 3, 2, output_padding=1),
         "ConvTranspose2d(1, 2, kernel_size=(3, 3), stride=(2, 2), output_padding=(1, 1))"),
        (lambda: nn.AvgPool1d(2), "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))"),
        (lambda: nn.AdaptiveAvgPool2d((1, None)), "AdaptiveAvgPool2d(output_size=(1, None))"),
        (lambda: nn.GroupNorm(2, 4), "GroupNorm(2, 4, eps=1e-05, affine=True, bias=True)"),
        (lambda: nn.Dropout(0.1), "Dropout(p=0.1, inplace=False)"),
        (lambda: nn.Embedding(5, 2, padding_idx=-1), "Embedding(5, 2, padding_idx=4)"),
        (lambda: nn.GELU("tanh"), "GELU(approximate='tanh')"),
        (lambda: nn.LeakyReLU(0.2, True), "LeakyReLU(negative_slope=0.2, inplace=True)"),
        (lambda: nn.Unflatten(1, (2, 2)), "Unflatten(dim=1, unflattened_size=(2, 2))"),
        (lambda: nn.CrossEntropyLoss(), "CrossEntropyLoss()"),
        (lambda: nn.ReflectionPad2d(1), "ReflectionPad2d((1, 1, 1, 1))"),
    ],
)  # fmt: skip
def test_repr(layer, text) -> None:
    assert repr(layer()) == text


def test_initial_values() -> None:
    torch.manual_seed(0)
    for layer, fan in ((nn.Linear(400, 300), 400), (nn.Conv2d(20, 50, 5, groups=2), 250)):
        bound = 1 / math.sqrt(fan)
        for p in (layer.weight, layer.bias):
            assert p.abs().max().item() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03)
    assert nn.Embedding(500, 20).weight.std().item() == pytest.approx(1.0, rel=0.05)
    assert not nn.Embedding(5, 2, padding_idx=1).weight[1].any()
    norm = nn.BatchNorm2d(3)
    assert norm.weight.tolist() == [1, 1, 1] and norm.bias.tolist() == [0, 0, 0]
    assert norm.running_var.tolist() == [1, 1, 1] and norm.num_batches_tracked.item() == 0


def test_same_seed_same_model() -> None:
    made = []
    for _ in range(2):
        torch.manual_seed(3)
        made.append(nn.Linear(4, 4).weight.detach().numpy())
    np.testing.assert_array_equal(*made)


def test_padding_modes_pad_before_the_convolution() -> None:
    x = torch.randn(1, 1, 5, 6)
    layer = nn.Conv2d(1, 2, (3, 2), padding="same", padding_mode="circular")
    padded = F.pad(x, (0, 1, 1, 1), mode="circular")
    np.testing.assert_allclose(
        layer(x).detach(), F.conv2d(padded, layer.weight, layer.bias).detach()
    )


def test_transposed_convolution_to_a_size() -> None:
    layer = nn.ConvTranspose2d(1, 1, 3, stride=2)
    assert layer(torch.zeros(1, 1, 5, 5), output_size=(12, 11)).shape == (1, 1, 12, 11)
    with pytest.raises(ValueError, match="requested an output size of"):
        layer(torch.zeros(1, 1, 5, 5), output_size=(20, 11))


def test_batch_norm_counts_and_averages() -> None:
    layer = nn.BatchNorm1d(1, momentum=None)
    for value in (1.0, 2.0, 6.0):
        layer(torch.tensor([[value], [value]]))
    assert layer.num_batches_tracked.item() == 3
    assert layer.running_mean.item() == pytest.approx(3.0)
    layer.eval()
    assert layer(torch.tensor([[3.0]])).item() == pytest.approx(0.0, abs=1e-5)
    assert layer.num_batches_tracked.item() == 3
    with pytest.raises(ValueError, match=r"expected 2D or 3D input \(got 1D input\)"):
        layer(torch.zeros(1))


def test_embedding_from_pretrained() -> None:
    table = torch.randn(3, 2)
    layer = nn.Embedding.from_pretrained(table)
    assert not layer.weight.requires_grad
    np.testing.assert_array_equal(layer(torch.tensor([2])), table[2:])


def test_weighted_loss_keeps_its_weight_as_a_buffer() -> None:
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]))
    assert list(loss.state_dict()) == ["weight"]


def test_the_older_loss_of_images_warns_and_does_the_same() -> None:
    with pytest.warns(FutureWarning, match="`NLLLoss2d` has been deprecated"):
        older = nn.NLLLoss2d(ignore_index=1, reduction="sum")
    x, target = torch.randn(2, 3, 4, 4), torch.randint(3, (2, 4, 4))
    assert torch.equal(older(x, target), nn.NLLLoss(ignore_index=1, reduction="sum")(x, target))


def test_a_small_network_learns() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16, 2),
    )  # fmt: skip
    x = torch.randn(32, 1, 4, 4)
    target = (x.mean((1, 2, 3)) > 0).long()
    losses = []
    for _ in range(60):
        net.zero_grad()
        loss = F.cross_entropy(net(x), target)
        loss.backward()
        with torch.no_grad():
            for p in net.parameters():
                p -= 0.1 * p.grad
        losses.append(loss.item())
    assert losses[-1] < 0.4 * losses[0]


# -- init --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, std",
    [
        (lambda t: nn.init.xavier_uniform_(t, 2.0), 2 * math.sqrt(2 / 500)),
        (lambda t: nn.init.xavier_normal_(t), math.sqrt(2 / 500)),
        (lambda t: nn.init.kaiming_uniform_(t, mode="fan_out", nonlinearity="relu"),
         math.sqrt(2 / 200)),
        (lambda t: nn.init.kaiming_normal_(t, a=math.sqrt(3)), math.sqrt(0.5 / 300)),
        (lambda t: nn.init.uniform_(t, -1, 2), 3 / math.sqrt(12)),
        (lambda t: nn.init.normal_(t, 1, 3), 3.0),
        (lambda t: nn.init.trunc_normal_(t, 0.0, 1.0, -1.0, 1.0), 0.5396),
    ],
)  # fmt: skip
def test_init_spread(call, std) -> None:
    torch.manual_seed(1)
    t = nn.Parameter(torch.empty(200, 300))
    assert call(t) is t
    assert t.std().item() == pytest.approx(std, rel=0.02)
    assert t.is_leaf and t.grad_fn is None


def test_init_of_structure() -> None:
    q = nn.init.orthogonal_(torch.empty(3, 5), gain=2.0).numpy()
    np.testing.assert_allclose(q @ q.T, 4 * np.eye(3), atol=1e-5)
    assert nn.init.eye_(torch.empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    weight = nn.init.dirac_(torch.empty(4, 2, 3, 3), groups=2)
    x = torch.randn(1, 4, 5, 5)
    np.testing.assert_array_equal(F.conv2d(x, weight, padding=1, groups=2), x)
    sparse = nn.init.sparse_(torch.empty(10, 4), 0.3)
    assert (sparse == 0).sum(0).tolist() == [3, 3, 3, 3]
    assert nn.init.trunc_normal_(torch.empty(1000), a=-0.5, b=0.5).abs().max().item() <= 0.5
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        nn.init.xavier_normal_(torch.empty(3))


# -- utils -------------------------------------------------------------------------------------


def test_clipping() -> None:
    w, b = (nn.Parameter(torch.zeros(n)) for n in (2, 1))
    w.grad, b.grad = torch.tensor([3.0, 4.0]), torch.tensor([12.0])
    assert nn.utils.clip_grad_norm_([w, b], 6.5).item() == pytest.approx(13.0)
    np.testing.assert_allclose(w.grad, [1.5, 2.0], rtol=1e-5)
    nn.utils.clip_grad_value_([w, b], 1.8)
    np.testing.assert_allclose(w.grad, [1.5, 1.8], rtol=1e-5)
    assert b.grad.item() == pytest.approx(1.8)
    assert nn.utils.clip_grad_norm_(w, 1.0, norm_type=math.inf).item() == pytest.approx(1.8)
    w.grad = torch.tensor([math.nan, 0.0])
    with pytest.raises(RuntimeError, match="is non-finite"):
        nn.utils.clip_grad_norm_(w, 1.0, error_if_nonfinite=True)


def test_parameters_as_a_vector() -> None:
    net = nn.Linear(2, 3)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.shape == (9,)
    nn.utils.vector_to_parameters(torch.arange(9).float(), net.parameters())
    assert net.weight.tolist() == [[0, 1], [2, 3], [4, 5]] and net.bias.tolist() == [6, 7, 8]


def test_pad_sequence() -> None:
    parts = [torch.ones(2, 3), torch.ones(4, 3), torch.ones(1, 3)]
    padded = nn.utils.rnn.pad_sequence(parts)
    assert padded.shape == (4, 3, 3) and padded[:, 2, 0].tolist() == [1, 0, 0, 0]
    first = nn.utils.rnn.pad_sequence(parts, True, -1.0, "left")
    assert first[0, :, 0].tolist() == [-1, -1, 1, 1]
    back = nn.utils.rnn.unpad_sequence(padded, torch.tensor([2, 4, 1]))
    assert [len(p) for p in back] == [2, 4, 1]


def test_grouped_mm():
    rows, columns = torch.randn(5, 4), torch.randn(4, 6)
    experts, heads = torch.randn(2, 4, 6), torch.randn(2, 5, 4)
    ends = torch.tensor([2, 4], dtype=torch.int32)
    by_rows = nn.functional.grouped_mm(rows, experts, offs=ends)
    assert torch.allclose(by_rows[2:4], rows[2:4] @ experts[1]) and not by_rows[4:].any()
    by_columns = nn.functional.grouped_mm(heads, columns, offs=ends)
    assert torch.allclose(by_columns[:, 2:4], heads[1] @ columns[:, 2:4])
    inner = nn.functional.grouped_mm(rows, columns, offs=ends)
    assert torch.allclose(inner[1], rows[:, 2:4] @ columns[2:4])
    assert torch.allclose(nn.functional.grouped_mm(heads, experts), heads @ experts)
