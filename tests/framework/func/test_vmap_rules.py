"""Every batching rule against the op applied sample by sample."""

from __future__ import annotations

import sys
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

import framework as torch
from framework.core.dispatch import apply
from framework.core.registry import OPS
from framework.func import rules
from framework.func.batched import VmapLayer
from framework.tensor import Tensor, wrap

sys.path.insert(0, str(Path(__file__).parents[1] / "ops"))
from sampling import Sampler

SIZE = 3


def _cases():
    """Each sample with all of its tensors mapped, and where it has several, with some of them."""
    for name, op in sorted(OPS.items()):
        if op.samples is None or not op.params or name in rules.RANDOM:
            continue
        for i, (args, _) in enumerate(op.samples(Sampler(0))):
            tensors = [k for k, a in enumerate(args) if isinstance(a, Tensor)]
            for which in (tensors, tensors[:1], tensors[1:]) if len(tensors) > 1 else (tensors,):
                if which:
                    yield pytest.param(name, i, which, id=f"{name}-{i}-{which}")


def sample(name: str, i: int, seed: int):
    return OPS[name].samples(Sampler(crc32(name.encode()) % 1000 + 17 * seed + i))[i]


def outputs(out) -> list[np.ndarray]:
    return [o._data for o in (out if isinstance(out, tuple) else (out,))]


@pytest.mark.parametrize("name, i, mapped", list(_cases()))
def test_rule_is_the_loop(name: str, i: int, mapped: list[int]) -> None:
    op = OPS[name]
    draws = [sample(name, i, seed) for seed in range(SIZE)]
    args, meta = draws[0]

    def stacked(k: int):
        parts = [d[0][k]._data for d in draws]
        return wrap(np.stack([p.reshape(parts[0].shape) for p in parts]))

    values = [stacked(k) if k in mapped else a for k, a in enumerate(args)]

    def one(*given):
        return apply(op, *given, **meta)

    dims = tuple([0 if k in mapped else None for k in range(len(args))])
    masks = [k for k in mapped if name == "index" and k and args[k].dtype is torch.bool]
    if masks:
        with pytest.raises(RuntimeError, match="dynamic shape"):
            torch.vmap(one, dims)(*values)
        return
    try:
        expected = rules.loop(op, values, meta, [d == 0 for d in dims], SIZE)
    except RuntimeError as error:
        with pytest.raises(RuntimeError):
            torch.vmap(one, dims)(*values)
        assert "dynamic shape" in str(error) or "shape" in str(error)
        return
    got = torch.vmap(one, dims)(*values)
    for e, g in zip(outputs(expected), outputs(got), strict=True):
        assert g.shape == e.shape and g.dtype == e.dtype
        np.testing.assert_allclose(
            np.asarray(g, np.result_type(g.dtype, np.float32) if g.dtype.kind == "V" else None),
            np.asarray(e, np.result_type(e.dtype, np.float32) if e.dtype.kind == "V" else None),
            rtol=1e-9, atol=1e-12,
        )  # fmt: skip


def gradients(name, meta, args, cotangents):
    """Of all float outputs of an op with respect to its float arguments."""
    args = [a.detach() if isinstance(a, Tensor) else a for a in args]
    floats = [k for k, a in enumerate(args) if isinstance(a, Tensor) and a.is_floating_point()]

    def function(*some):
        given = list(args)
        for k, x in zip(floats, some):
            given[k] = x
        out = apply(OPS[name], *given, **meta)
        outs = out if isinstance(out, tuple) else (out,)
        return tuple([o for o in outs if o.is_floating_point()])

    _, back = torch.func.vjp(function, *[args[k] for k in floats])
    return back(tuple(cotangents))


REFUSES = {"floor_divide"}  # its gradient is an error, as in PyTorch
DIFFERENTIABLE = [
    c for c in _cases() if OPS[c.values[0]].grad is not None and c.values[0] not in REFUSES
]


@pytest.mark.parametrize("name, i, mapped", DIFFERENTIABLE)
def test_gradient_inside_of_vmap(name: str, i: int, mapped: list[int]) -> None:
    draws = [sample(name, i, seed) for seed in range(SIZE)]
    args, meta = draws[0]
    if any(k and name == "index" and args[k].dtype is torch.bool for k in mapped):
        return
    samples = [
        [d[0][k] if k in mapped else a for k, a in enumerate(args)] for d in draws
    ]  # fmt: skip
    out = apply(OPS[name], *args, **meta)
    outs = [o for o in (out if isinstance(out, tuple) else (out,)) if o.is_floating_point()]
    for one in samples:
        shapes = [
            o.shape for o in _tuple(apply(OPS[name], *one, **meta)) if o.is_floating_point()
        ]  # fmt: skip
        if shapes != [o.shape for o in outs]:
            return  # a mask, or like it: vmap refuses it
    rng = np.random.default_rng(0)
    cots = [wrap(np.asarray(rng.standard_normal((SIZE, *o.shape)))) for o in outs]
    if not outs:
        return  # a complex result
    try:
        expected = [
            gradients(name, meta, one, [c[b] for c in cots]) for b, one in enumerate(samples)
        ]  # fmt: skip
    except NotImplementedError:
        return  # there is no derivative
    stacked = [
        wrap(np.stack([d[k]._data for d in samples])) if k in mapped else a
        for k, a in enumerate(args)
    ]
    count = len(args)
    dims = tuple([0 if k in mapped else None for k in range(count)])
    got = torch.vmap(
        lambda *both: gradients(name, meta, both[:count], both[count:]), dims + (0,) * len(cots)
    )(*stacked, *cots)
    for k, g in enumerate(got):
        e = np.stack([x[k]._data for x in expected])
        assert g._data.shape == e.shape
        np.testing.assert_allclose(g._data, e, rtol=1e-7, atol=1e-10)


def _tuple(out) -> tuple:
    return out if isinstance(out, tuple) else (out,)


def test_layers_leave_nothing_behind() -> None:
    from framework.core import dispatch

    with pytest.raises(ZeroDivisionError):
        torch.vmap(lambda x: 1 // 0)(torch.ones(2))
    assert dispatch.interposer is None
    with VmapLayer(10**9, 2, "error"):
        assert dispatch.interposer is not None
    assert dispatch.interposer is None


def test_one_hot_with_its_number_of_classes():
    rows = torch.tensor([[0, 2], [1, 1]])
    mine = torch.vmap(lambda row: torch.nn.functional.one_hot(row, 3))(rows)
    assert mine.equal(torch.nn.functional.one_hot(rows, 3))
    with pytest.raises(RuntimeError, match="explicit positive num_classes"):
        torch.vmap(torch.nn.functional.one_hot)(rows)
