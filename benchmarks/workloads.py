"""Training steps to measure: small enough to repeat, shaped like what people train.

Each is a function of the module `torch` (this framework unless another is given), so that the same
code runs in PyTorch. Parameters and data come from NumPy, so that both compute the same numbers;
only `vae` draws its noise itself. A step returns its loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import framework

__all__ = [
    "STEPS", "eight_elements", "gpt", "graph_convolution", "large_mlp", "lstm", "lstm_cells", "mlp",
    "mnist_cnn", "resnet", "transformer", "vae",
]  # fmt: skip

Step = Callable[[], Any]
place = "cpu"  # where data are made; `benchmarks.cuda` sets it


def _normal(torch: Any, *shape: int, seed: int = 0) -> Any:
    values = np.random.default_rng(seed).standard_normal(shape, np.float32)
    return torch.from_numpy(values).to(place)


def _integers(torch: Any, below: int, *shape: int, seed: int = 0) -> Any:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, below, shape)).to(place)


def _filled(torch: Any, model: Any) -> Any:
    """``model`` with parameters that do not depend on whose random numbers they are."""
    with torch.no_grad():
        for i, (name, p) in enumerate(model.named_parameters()):
            if p.ndim == 1 and "bias" in name:
                p.zero_()
            elif p.ndim > 1:
                scale = (p.shape[0] / p.numel()) ** 0.5
                p.copy_(_normal(torch, *p.shape, seed=i) * scale)
    return model


def _training(optimizer: Any, loss_of: Step) -> Step:
    """A training step that makes a loss smaller."""

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        optimizer.step()
        return loss

    return step


def _classifier(torch: Any, model: Any, optimizer: Any, x: Any, y: Any) -> Step:
    return _training(optimizer, lambda: torch.nn.functional.cross_entropy(model(x), y))


# -- multilayer perceptrons -------------------------------------------------------------------


def mlp(torch: Any = framework) -> Step:
    """One step of a 64-128-10 classifier on 64 images, as in examples/digits_mlp.py."""
    nn = torch.nn
    model = _filled(torch, nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x, y = _normal(torch, 64, 64), _integers(torch, 10, 64)
    return _classifier(torch, model, optimizer, x, y)


def large_mlp(torch: Any = framework) -> Step:
    """784-2048-2048-10, batch 256, Adam: bound by matrix products."""
    nn = torch.nn
    model = _filled(torch, nn.Sequential(
        nn.Linear(784, 2048), nn.ReLU(), nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 10)
    ))  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = _normal(torch, 256, 784), _integers(torch, 10, 256)
    return _classifier(torch, model, optimizer, x, y)


# -- images -----------------------------------------------------------------------------------


def mnist_cnn(torch: Any = framework) -> Step:
    """Two 3x3 convolutions (32, 64 channels), pooling, two dense layers; 64 images of 28x28."""
    nn = torch.nn
    model = _filled(torch, nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(9216, 128), nn.ReLU(), nn.Linear(128, 10),
    ))  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x, y = _normal(torch, 64, 1, 28, 28), _integers(torch, 10, 64)
    return _classifier(torch, model, optimizer, x, y)


def resnet(torch: Any = framework) -> Step:
    """ResNet-8 with batch norm (16, 32, 64 channels; He et al. 2015); 32 images of 3x32x32."""
    nn = torch.nn

    class Block(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self, inside: int, outside: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
            self.norm1 = nn.BatchNorm2d(outside)
            self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(outside)
            self.short = nn.Sequential()
            if stride != 1 or inside != outside:
                self.short = nn.Sequential(
                    nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
                )

        def forward(self, x: Any) -> Any:
            y = self.norm1(self.conv1(x)).relu()
            return (self.norm2(self.conv2(y)) + self.short(x)).relu()

    model = _filled(torch, nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    ))  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    x, y = _normal(torch, 32, 3, 32, 32), _integers(torch, 10, 32)
    return _classifier(torch, model, optimizer, x, y)


def vae(torch: Any = framework) -> Step:
    """A variational autoencoder, 784-400-20-400-784 (Kingma and Welling 2013); batch 128, Adam."""
    nn, F = torch.nn, torch.nn.functional
    encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40))
    decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))
    both = _filled(torch, nn.ModuleList([encoder, decoder]))
    optimizer = torch.optim.Adam(both.parameters(), lr=1e-3)
    x = torch.sigmoid(_normal(torch, 128, 784))

    def loss() -> Any:
        mean, log_var = encoder(x).chunk(2, 1)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        missed = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
        divergence = -0.5 * torch.sum(1 + log_var - mean.pow(2) - log_var.exp())
        return (missed + divergence) / 128

    return _training(optimizer, loss)


# -- sequences --------------------------------------------------------------------------------


def lstm(torch: Any = framework) -> Step:
    """`nn.LSTM` 64-128 over 50 steps of 32 sequences, the last state classified; Adam."""
    nn = torch.nn
    layer, head = nn.LSTM(64, 128), nn.Linear(128, 10)
    both = _filled(torch, nn.ModuleList([layer, head]))
    optimizer = torch.optim.Adam(both.parameters(), lr=1e-3)
    x, y = _normal(torch, 50, 32, 64), _integers(torch, 10, 32)

    def model(x: Any) -> Any:
        return head(layer(x)[0][-1])

    return _classifier(torch, model, optimizer, x, y)


def lstm_cells(torch: Any = framework) -> Step:
    """A Python loop of 30 `nn.LSTMCell`s 32-64 on 16 sequences; Adam."""
    nn = torch.nn
    cell, head = nn.LSTMCell(32, 64), nn.Linear(64, 10)
    both = _filled(torch, nn.ModuleList([cell, head]))
    optimizer = torch.optim.Adam(both.parameters(), lr=1e-3)
    x, y = _normal(torch, 30, 16, 32), _integers(torch, 10, 16)

    def model(x: Any) -> Any:
        h = c = torch.zeros(16, 64, device=place)
        for part in x:
            h, c = cell(part, (h, c))
        return head(h)

    return _classifier(torch, model, optimizer, x, y)


def _language_model(torch: Any, fused: bool) -> Step:
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):  # type: ignore[misc,name-defined]
        """A pre-norm transformer block."""

        def __init__(self, width: int, heads: int) -> None:
            super().__init__()
            self.heads = heads
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
            self.act = nn.GELU()

        def forward(self, x: Any) -> Any:
            batch, time, width = x.shape
            q, k, v = [
                part.view(batch, time, self.heads, -1).transpose(1, 2)
                for part in self.qkv(self.norm1(x)).chunk(3, -1)
            ]
            if fused:
                mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            else:
                scores = q @ k.transpose(-2, -1) * (width // self.heads) ** -0.5
                mixed = F.softmax(scores, -1) @ v
            x = x + self.proj(mixed.transpose(1, 2).reshape(batch, time, width))
            return x + self.down(self.act(self.up(self.norm2(x))))

    model = _filled(torch, nn.Sequential(
        nn.Embedding(96, 128), Block(128, 4), Block(128, 4), nn.Linear(128, 96)
    ))  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    tokens = _integers(torch, 96, 8, 65)

    def loss() -> Any:
        logits = model(tokens[:, :-1])
        return F.cross_entropy(logits.reshape(-1, 96), tokens[:, 1:].reshape(-1))

    return _training(optimizer, loss)


def transformer(torch: Any = framework) -> Step:
    """Two transformer blocks, attention spelled out: batch 8, 64 tokens, width 128, 4 heads."""
    return _language_model(torch, fused=False)


def gpt(torch: Any = framework) -> Step:
    """`transformer` with causal `scaled_dot_product_attention`."""
    return _language_model(torch, fused=True)


# -- others -----------------------------------------------------------------------------------


def graph_convolution(torch: Any = framework) -> Step:
    """Two graph convolutions by `index_add`: 2,000 nodes, 10,000 edges, widths 64-64-8; Adam."""
    nn = torch.nn
    first, second = nn.Linear(64, 64), nn.Linear(64, 8)
    both = _filled(torch, nn.ModuleList([first, second]))
    optimizer = torch.optim.Adam(both.parameters(), lr=1e-2)
    nodes = 2000
    x, y = _normal(torch, nodes, 64), _integers(torch, 8, nodes)
    source, target = (_integers(torch, nodes, 10_000, seed=s) for s in (1, 2))
    degree = torch.ones(nodes).index_add(0, target, torch.ones(10_000))
    scale = (degree[source] * degree[target]).rsqrt().unsqueeze(1)

    def spread(h: Any) -> Any:
        return h.index_add(0, target, h[source] * scale)

    def model(x: Any) -> Any:
        return spread(second(torch.relu(spread(first(x)))))

    return _classifier(torch, model, optimizer, x, y)


def eight_elements(torch: Any = framework, backward: bool = False) -> Step:
    """60 ops on 8 elements, with a graph: nothing but overhead."""
    w = torch.ones(8, requires_grad=True)
    x = _normal(torch, 8)

    def step() -> Any:
        y = x
        for _ in range(20):
            y = (y * w + x).tanh()
        if backward:
            w.grad = None
            y = y.sum()
            y.backward()
        return y

    return step


def _eight_elements_trained(torch: Any) -> Step:
    return eight_elements(torch, backward=True)


# What the ratio to PyTorch is stated over.
STEPS: dict[str, Callable[[Any], Step]] = {
    "small MLP, 64-128-10, batch 64": mlp,
    "large MLP, 784-2048-2048-10, batch 256": large_mlp,
    "CNN on 64 images of 28x28": mnist_cnn,
    "ResNet-8 with batch norm, 32 images of 32x32": resnet,
    "LSTM 64-128, 50 steps, batch 32": lstm,
    "loop of 30 LSTM cells 32-64, batch 16": lstm_cells,
    "GPT, 2 blocks of 128, 64 tokens, batch 8": gpt,
    "VAE 784-400-20, batch 128": vae,
    "graph convolution by index_add, 10,000 edges": graph_convolution,
    "loop of 60 ops on 8 elements": _eight_elements_trained,
}
