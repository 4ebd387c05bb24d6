"""Training steps to measure: small enough to repeat, shaped like what people train."""

from __future__ import annotations

from collections.abc import Callable

import framework as torch
from framework import nn
from framework.nn import functional as F

__all__ = ["eight_elements", "mlp", "transformer"]


def mlp() -> Callable[[], object]:
    """One step of a 64-128-10 classifier on 64 images, as in examples/digits_mlp.py."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x, y = torch.randn(64, 64), torch.randint(0, 10, (64,))

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.act = nn.GELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, time, width = x.shape
        q, k, v = [
            part.view(batch, time, self.heads, -1).transpose(1, 2)
            for part in self.qkv(self.norm1(x)).chunk(3, -1)
        ]
        scores = q @ k.transpose(-2, -1) * (width // self.heads) ** -0.5
        mixed = (F.softmax(scores, -1) @ v).transpose(1, 2).reshape(batch, time, width)
        x = x + self.proj(mixed)
        return x + self.down(self.act(self.up(self.norm2(x))))


def transformer() -> Callable[[], object]:
    """One step of two transformer blocks: batch 8, 64 tokens, width 128, 4 heads."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(96, 128), Block(128, 4), Block(128, 4), nn.Linear(128, 96))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    tokens = torch.randint(0, 96, (8, 65))

    def step() -> None:
        optimizer.zero_grad()
        logits = model(tokens[:, :-1])
        F.cross_entropy(logits.reshape(-1, 96), tokens[:, 1:].reshape(-1)).backward()
        optimizer.step()

    return step


def eight_elements(backward: bool = False) -> Callable[[], object]:
    """60 ops on 8 elements, with a graph: nothing but overhead."""
    w = torch.ones(8, requires_grad=True)
    x = torch.randn(8)

    def step() -> None:
        y = x
        for _ in range(20):
            y = (y * w + x).tanh()
        if backward:
            w.grad = None
            y.sum().backward()

    return step
