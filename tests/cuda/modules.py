"""The module table on a device against the CPU: results, gradients, and where they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import framework as torch
from framework import nn

__all__ = ["MODULES", "main"]

# Name -> (a module, the shapes of its inputs); integers below 7 are asked for by ("int", shape).
MODULES: dict[str, tuple[Callable[[], Any], list[Any]]] = {
    "Linear": (lambda: nn.Linear(5, 3), [(4, 5)]),
    "Bilinear": (lambda: nn.Bilinear(3, 4, 2), [(5, 3), (5, 4)]),
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1), [(2, 4, 9)]),
    "Conv2d": (lambda: nn.Conv2d(3, 4, 3, padding=1), [(2, 3, 7, 6)]),
    "Conv2d, groups": (lambda: nn.Conv2d(4, 4, 3, groups=4, dilation=2), [(2, 4, 8, 8)]),
    "Conv3d": (lambda: nn.Conv3d(2, 3, 2), [(1, 2, 4, 5, 4)]),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(3, 2, 3, stride=2), [(2, 3, 4, 4)]),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(5), [(6, 5)]),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3), [(4, 3, 6, 5)]),
    "BatchNorm2d, eval": (lambda: nn.BatchNorm2d(3).eval(), [(4, 3, 6, 5)]),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(3, affine=True), [(2, 3, 5, 5)]),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), [(3, 4, 5)]),
    "LayerNorm": (lambda: nn.LayerNorm(33), [(5, 33)]),
    "RMSNorm": (lambda: nn.RMSNorm(16), [(5, 16)]),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(2), [(2, 4, 5, 5)]),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, 1), [(2, 3, 8, 8)]),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), [(2, 3, 8, 8)]),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(3), [(2, 3, 8, 8)]),
    "Upsample": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), [(1, 2, 4, 4)]),
    "Embedding": (lambda: nn.Embedding(7, 4), [("int", (3, 5))]),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(7, 4), [("int", (3, 5))]),
    "LSTM": (lambda: nn.LSTM(4, 6, num_layers=2, batch_first=True), [(2, 5, 4)]),
    "GRU": (lambda: nn.GRU(4, 6, bidirectional=True), [(5, 2, 4)]),
    "RNN": (lambda: nn.RNN(4, 6), [(5, 2, 4)]),
    "LSTMCell": (lambda: nn.LSTMCell(4, 8), [(3, 4)]),
    "GRUCell": (lambda: nn.GRUCell(4, 8), [(3, 4)]),
    "TransformerEncoderLayer": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True), [(2, 5, 8)]),
    "Dropout": (lambda: nn.Dropout(0.4), [(50, 7)]),
    "Dropout2d": (lambda: nn.Dropout2d(0.4), [(5, 7, 3, 3)]),
    "Softmax": (lambda: nn.Softmax(-1), [(4, 9)]),
    "LogSoftmax": (lambda: nn.LogSoftmax(0), [(4, 9)]),
    **{
        name: (getattr(nn, name), [(6, 11)])
        for name in ("ReLU", "GELU", "SiLU", "Sigmoid", "Tanh", "ELU", "LeakyReLU", "Mish",
                     "Softplus", "Hardswish", "PReLU")
    },
}  # fmt: skip


def _inputs(shapes: list[Any]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        rng.integers(0, 7, s[1]) if s[0] == "int" else rng.standard_normal(s, np.float32)
        for s in shapes
    ]


def _first(out: Any) -> Any:
    while isinstance(out, tuple):
        out = out[0]
    return out


def run(name: str, device: str) -> dict[str, np.ndarray]:
    """The output and all gradients of one module, the same numbers on every device."""
    make, shapes = MODULES[name]
    torch.manual_seed(0)
    module = make().to(device)
    given = [torch.from_numpy(a).to(device) for a in _inputs(shapes)]
    for t in given:
        t.requires_grad_(t.is_floating_point())
    torch.manual_seed(1)
    out = _first(module(*given))
    weights = np.random.default_rng(2).standard_normal(tuple(out.shape)).astype(np.float32)
    out.backward(torch.from_numpy(weights).to(device))
    found = {"output": out, **{f"input {i}": t.grad for i, t in enumerate(given)}}
    found.update({n: p.grad for n, p in module.named_parameters()})
    for what, t in found.items():
        assert t is None or t.device.type == device, f"{what} is on {t.device}"
    return {k: t.detach().cpu().numpy() for k, t in found.items() if t is not None}


def main() -> int:
    """Compare all of them; prints what differs, and the score."""
    wrong = 0
    torch.backends.cudnn.allow_tf32 = False  # the CPU has all bits
    for name in MODULES:
        try:
            expected, found = run(name, "cpu"), run(name, "cuda")
            assert expected.keys() == found.keys()
            for key, a in expected.items():
                atol = 1e-5 * float(np.abs(a).max(initial=1))
                np.testing.assert_allclose(found[key], a, rtol=1e-4, atol=atol, err_msg=key)
        except Exception as error:
            wrong += 1
            said = next(iter(str(error).strip().splitlines()), "")
            print(f"{name}: {type(error).__name__}: {said}", flush=True)
    print(f"modules: {len(MODULES) - wrong} of {len(MODULES)} agree with the CPU")
    return 1 if wrong else 0
