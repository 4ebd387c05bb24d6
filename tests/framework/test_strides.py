"""How results lie in memory: PyTorch's strides, on the CPU and on meta."""

from __future__ import annotations

from typing import Any

import pytest

import framework as torch
from framework import nn

F = nn.functional


def operands(device: str) -> dict[str, Any]:
    """Tensors of several orders: channels innermost, transposed, permuted, with gaps."""
    torch.manual_seed(0)
    with torch.device(device):
        channels = torch.randn(2, 4, 5, 6).contiguous(memory_format=torch.channels_last)
        return {
            "torch": torch, "F": F, "nn": nn, "cl": channels, "other": channels.clone(),
            "plain": torch.randn(2, 4, 5, 6), "t": torch.randn(3, 4).t(), "n": torch.randn(4, 3),
            "cl3": torch.randn(2, 3, 4, 5, 6).contiguous(memory_format=torch.channels_last_3d),
            "p": torch.randn(3, 4, 5).permute(2, 0, 1), "gaps": torch.randn(4, 8)[:, ::2].t(),
            "wide": torch.randn(1, 4, 1).expand(3, 4, 5), "w": torch.randn(8, 4, 3, 3),
            "wcl": torch.randn(8, 4, 3, 3).contiguous(memory_format=torch.channels_last),
            "row": torch.randn(1, 4, 1, 1), "heads": torch.randn(2, 5, 3, 8).transpose(1, 2),
            "two": torch.tensor([0, 1]), "bn": nn.BatchNorm2d(4),
            "leaf": channels.clone().requires_grad_(),
        }  # fmt: skip


# The strides that PyTorch gives, and what it gives them to.
SAME = (120, 1, 24, 4)
STRIDES: dict[tuple[int, ...], str] = {
    SAME: """cl + 1; cl + other; cl * row; row * cl; cl.exp(); -cl; cl.relu(); F.gelu(cl)
        F.silu(cl); F.leaky_relu(cl); F.hardswish(cl); F.softplus(cl); cl.clamp(0, 1)
        cl ** 2; cl > 0
        torch.where(cl > 0, cl, 0.0); torch.lerp(cl, other, 0.5); torch.addcmul(cl, other, other)
        cl.clone(); torch.empty_like(cl); torch.zeros_like(cl); torch.rand_like(cl)
        torch.full_like(cl, 2.0); cl.double(); cl.half(); cl.to(torch.bfloat16); cl.bool()
        F.dropout(cl, 0.5); F.dropout2d(cl, 0.5); F.group_norm(cl, 2); bn(cl); bn.eval()(cl)
        F.normalize(cl); F.mse_loss(cl, other, reduction="none"); cl.argsort(1); cl.flip(2)
        cl.roll(1, 2); cl[two]""",
    (96, 1, 32, 8): """F.conv2d(cl, w); F.conv2d(cl, wcl); F.conv2d(plain, wcl)
        F.conv2d(cl, w[:, :1], groups=4)""",
    (448, 1, 64, 8): "F.conv_transpose2d(cl, w.transpose(0, 1))",
    (24, 1, 12, 4): "F.max_pool2d(cl, 2); F.max_pool2d(cl, 2, return_indices=True)[1]; "
    "F.avg_pool2d(cl, 2)",
    (16, 1, 8, 4): "F.adaptive_avg_pool2d(cl, 2); F.adaptive_max_pool2d(cl, 2)",
    (480, 1, 48, 4): """F.interpolate(cl, scale_factor=2)
        F.interpolate(cl, scale_factor=2, mode="bilinear")
        F.interpolate(cl, scale_factor=2, mode="bicubic")""",
    (160, 1, 32, 4): "F.pad(cl, (1, 1))",
    (224, 1, 32, 4): """F.pad(cl, (1, 1, 1, 1), mode="reflect")
        F.pad(cl, (1, 1, 1, 1), mode="replicate")""",
    (224, 56, 8, 1): """F.pad(cl, (1, 1, 1, 1), mode="circular")
        F.pad(plain, (1, 1, 1, 1), mode="reflect")""",
    (240, 1, 48, 8): "torch.cat([cl, other], 1)",
    (360, 1, 90, 18, 3): "cl3 + 1; nn.BatchNorm3d(3)(cl3)",
    (36, 1, 18, 9, 3): "F.max_pool3d(cl3, 2)",
    (36, 12, 6, 3, 1): "F.avg_pool3d(cl3, 2)",
    (120, 30, 6, 1): "F.instance_norm(cl); cl.cumsum(1); cl.contiguous(); F.layer_norm(plain, [6])",
    (60, 30, 6, 1): "plain[:, two]; plain.index_select(1, two)",
    (240, 30, 6, 1): "plain.repeat_interleave(2, 1)",
    (1, 4): """t + 1; t.exp(); t.clone(); torch.empty_like(t); t.double(); t + t; gaps + 1
        gaps.clone(); t > 0; t.relu(); t.sort(0)[0]; t.sort(1)[1]; t.flip(0)
        torch.fft.fft(n, dim=0)""",
    (3, 1): """t.contiguous(); t.cumsum(0); t.softmax(1); n[two]; torch.fft.fft(t)
        n.sort(0, descending=True)[1]; n.topk(3, sorted=True)[1];
        torch.tensor(1.0, device=n.device).repeat(2, 3)""",
    (1, 20, 5): "p + 1; p.relu(); p.clone(); p.double(); p.sort(1)[0]; p.flip(1)",
    (20, 5, 1): "wide + 1; wide.clone(); torch.empty_like(wide); wide.double(); wide.flip(0)",
    (3, 1, 15): "torch.fft.fft(p, dim=1)",
    (80, 20, 4, 1): "torch.fft.rfft2(plain)",
    (120, 8, 24, 1): "F.scaled_dot_product_attention(heads, heads, heads)",
    (40, 8, 1): """heads.logsumexp(0); heads.prod(0); heads.any(0); heads.all(0)
        heads.count_nonzero(0); heads.norm(dim=0); heads.norm(1, 0)
        heads.var(0); heads.std(0)""",
    (15, 5, 1): "heads.std(-1); heads.var(-1); heads.norm(dim=-1)",
    (120, 40, 8, 1): """heads.tril(); heads.triu(); heads.masked_fill(heads > 0, 0.0)
        heads.cummax(0)[0]; heads.cummin(1)[1]; heads.logcumsumexp(0); heads.index_select(0, two)
        F.scaled_dot_product_attention(*[heads.contiguous()] * 3)
        heads.repeat_interleave(1, 0); F.logsigmoid(heads)""",
    (234, 1, 9): "torch.stft(plain.reshape(2, -1)[:, :100], 16, return_complex=True)",
}  # fmt: skip


def _cases() -> list[tuple[str, tuple[int, ...]]]:
    found = []
    for strides, texts in STRIDES.items():
        joined = texts.replace("(\n", "(")
        for text in joined.replace("\n", ";").split(";"):
            if text.strip():
                found.append((text.strip(), strides))
    return found


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("text", "strides"), _cases())
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_results_lie_as_in_pytorch(text: str, strides: tuple[int, ...], device: str) -> None:
    names = operands(device)
    with torch.device(device):
        result = eval(text, names)
    assert result.device.type == device
    assert result.stride() == strides


@pytest.mark.parametrize(
    "text",
    ["leaf.exp().sum()", "(leaf * 2).sum()", "(leaf * plain).sum()", "F.conv2d(leaf, w).sum()",
     "F.max_pool2d(leaf, 2).sum()", "leaf.softmax(1).sum()", "bn(leaf).sum()",
     "leaf.reshape(2, -1).sum()"],
)  # fmt: skip
def test_a_gradient_lies_as_its_leaf(text: str) -> None:
    names = operands("cpu")
    eval(text, names).backward()
    assert names["leaf"].grad.stride() == SAME
    eval(text, names).backward()  # accumulated
    assert names["leaf"].grad.stride() == SAME


def test_the_gradient_of_a_sum_has_memory_of_its_own() -> None:
    x = torch.randn(3, 4).t().requires_grad_()
    x.sum().backward()
    assert x.grad is not None and x.grad.stride() == (1, 4)
    x.grad[0, 0] = 5
    assert x.grad.sum() == 16
    gaps = torch.randn(4, 8)[:, ::2].requires_grad_()
    gaps.sum().backward()
    assert gaps.grad is not None and gaps.grad.stride() == (4, 1)


def test_a_model_keeps_its_format() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, groups=8), nn.SiLU(), nn.Dropout(0.1), nn.Upsample(scale_factor=2),
    ).to(memory_format=torch.channels_last)  # fmt: skip
    x = torch.randn(2, 3, 8, 8).to(memory_format=torch.channels_last)
    plain = torch.randn(2, 3, 8, 8)
    for layer in model:
        x, plain = layer(x), layer(plain)
        assert x.is_contiguous(memory_format=torch.channels_last), layer
        assert not x.is_contiguous()
    x.sum().backward()
    for p in model.parameters():
        assert p.grad is not None and p.grad.stride() == p.stride()


def test_large_images_keep_their_format() -> None:
    """Other kernels compute large arrays than small ones."""
    x = torch.randn(2, 8, 45, 36).contiguous(memory_format=torch.channels_last)
    volume = torch.randn(2, 3, 14, 15, 26).contiguous(memory_format=torch.channels_last_3d)
    assert nn.BatchNorm3d(3)(volume).stride() == volume.stride()
    heads, gaps = torch.randn(2, 50, 3, 80).transpose(1, 2), torch.randn(84, 168)[:, ::2].t()
    for y in (nn.BatchNorm2d(8)(x), F.batch_norm(x, None, None, training=True), F.conv2d(
        x, torch.ones(8, 8, 3, 3), padding=1), F.group_norm(x, 2)):  # fmt: skip
        assert y.stride() == x.stride()
    for f in (F.gelu, F.silu, F.relu, F.elu, torch.sigmoid, torch.tanh, F.leaky_relu):
        assert f(x).stride() == x.stride()
        assert f(heads).stride() == heads.stride()
        assert f(gaps).stride() == (1, 84)
    torch.testing.assert_close(F.gelu(x), F.gelu(x.contiguous()), check_stride=False)
    torch.testing.assert_close(F.gelu(gaps), F.gelu(gaps.contiguous()), check_stride=False)


def test_what_repeats_is_a_copy() -> None:
    x = torch.zeros(2)
    for y in (x.repeat(1), x.repeat(1, 1), torch.tensor(0.0).repeat(2, 2)):
        y += 1
    assert x.sum() == 0


def test_view_goes_by_the_strides() -> None:
    x = torch.randn(2, 4, 5, 6).to(memory_format=torch.channels_last)
    for y in (F.max_pool2d(x, 1), x.flip(0), F.pad(x, (1, 1)), x + 1):
        with pytest.raises(RuntimeError, match="view size is not compatible"):
            y.view(2, -1)
    for y in (x.cumsum(1), F.instance_norm(x), x.softmax(1).contiguous(), x.reshape(2, -1)):
        assert y.view(-1).shape == (240,)
