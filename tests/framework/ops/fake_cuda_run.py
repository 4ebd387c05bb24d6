"""Every op of the table on the fake ``cuda`` device against the CPU: values, device, gradients.

A script of its own, because the fake device is chosen by an environment variable before the start:
``test_table.py`` runs it, ``make conformance`` counts it. With ``--own`` the kernels of our own run
on the host (`tests/framework/cuda`), which need not agree to the last bit; with ``--device`` all is
about a real GPU, if the variable is not set. ``--slice=K/N``: only every N-th op.
``--kind=bfloat16`` (float16, complex64, int64, bool, ...): all floats in that type, of ops that the
CPU has for it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "cuda"))
from hosted import Host
from sampling import Sampler

import framework as torch
from framework.autograd import grad
from framework.core.dispatch import apply
from framework.core.registry import OPS
from framework.kernels import cuda as kernels
from framework.tensor import Tensor

# Ops that may be asked about another device than their argument's.
MOVES = {name for name, op in OPS.items() if op.moves}
# Ops of floats that no caller hands anything else.
OF_FLOATS = {"complex", "polar", "matrix_exp", "nll_loss_backward"}


def on(device: str, value):
    if isinstance(value, Tensor):
        moved = value.detach().to(device)
        return moved.requires_grad_() if value.requires_grad else moved
    if isinstance(value, (list, tuple)):
        items = [on(device, v) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {k: on(device, v) for k, v in value.items()}
    return value


def _narrow(value, kind):
    """Arguments with their floats in another type."""
    if isinstance(value, Tensor) and value.is_floating_point():
        made = value.detach().to(kind)
        return made.requires_grad_(
            value.requires_grad and (kind.is_floating_point or kind.is_complex)
        )
    if isinstance(value, (list, tuple)):
        items = [_narrow(v, kind) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _wide(a):
    return a.astype(np.float64) if a.dtype.kind in "fV" else a


def _phases(vectors: Tensor, dim: int) -> Tensor:
    """Numbers of size 1 that make the first element of each vector positive."""
    first = vectors.detach().narrow(dim, 0, 1)
    return (first / first.abs()).conj()


def settled(name: str, outs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Results in a form that does not depend on what each library may choose: order and signs."""
    if name in ("eig", "eigvals"):
        values = outs[0].detach().cpu()._data
        order = np.argsort(np.round(values.real, 6) + 1e-3 * values.imag)
        order = torch.from_numpy(order).to(outs[0].device)
        outs = tuple([o[..., order] for o in outs])
    if name in ("eig", "eigh"):
        return outs[0], outs[1] * _phases(outs[1], -2)
    if name == "svd":
        u, s, vh = outs
        turned = _phases(u, -2)
        return u * turned, s, vh * turned.mT.conj()
    return outs


def outputs(name: str, args, meta, device: str):
    """Results and gradients as NumPy arrays, and the devices seen."""
    args, meta = on(device, args), on(device, meta)
    torch.manual_seed(0)
    out = apply(OPS[name], *args, **meta)
    outs = settled(name, out if isinstance(out, tuple) else (out,))
    wanted = [a for a in args if isinstance(a, Tensor) and a.requires_grad]
    found = [*outs]
    ends = [o for o in outs if o.requires_grad]
    if ends and wanted:
        rng = np.random.default_rng(1)
        weights = [
            torch.tensor(rng.standard_normal(tuple(o.shape)), dtype=o.dtype, device=device)
            for o in ends
        ]
        found += [g for g in grad(ends, wanted, weights, allow_unused=True) if g is not None]
    return [t.cpu().detach()._data for t in found], {t.device.type for t in found}


def _chosen(ops: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    for word in sys.argv[1:]:
        if word.startswith("--slice="):
            first, of = map(int, word.partition("=")[2].split("/"))
            return ops[first - 1 :: of]
    return ops


def main() -> int:
    count = wrong = 0
    host = Host()
    if own := "--own" in sys.argv:
        kernels.use(host)
    near = 1e-9 if "--device" in sys.argv else 1e-11 if own else 0
    kinds = [w.partition("=")[2] for w in sys.argv if w.startswith("--kind=")]
    whole = bool(kinds) and "float" not in kinds[0]
    near = {"float16": 3e-2, "bfloat16": 3e-2}.get(kinds[0], 1e-4) if kinds else near
    for name, op in _chosen(sorted(OPS.items())):
        if op.samples is None or name in MOVES or (whole and name in OF_FLOATS):
            continue
        seed = crc32(name.encode()) % 1000
        for i, (args, meta) in enumerate(op.samples(Sampler(seed))):
            if kinds:
                args = _narrow(args, getattr(torch, kinds[0]))
                try:
                    outputs(name, args, meta, "cpu")
                except Exception:  # an op that is not for this type
                    continue
            count += 1
            try:
                cpu, _ = outputs(name, args, meta, "cpu")
                cuda, devices = outputs(name, args, meta, "cuda")
                for a, b in zip(cpu, cuda, strict=True):
                    assert a.dtype == b.dtype, f"{b.dtype} instead of {a.dtype}"
                    np.testing.assert_allclose(_wide(a), _wide(b), rtol=near, atol=near)
                assert devices <= {"cuda"}, f"results on {devices}"
            except Exception as error:
                wrong += 1
                said = next(iter(str(error).strip().splitlines()), "")
                print(f"{name} {i}: {type(error).__name__}: {said}", flush=True)
    print(f"{count - wrong} of {count} samples agree on the {torch.cuda.get_device_name()}")
    if own:
        print("entries", *sorted(host.launched))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
