"""On an NVIDIA GPU: training steps and ops against PyTorch, tracing, kernels against the bandwidth.

``python -m benchmarks.cuda [--quick] [--only WORD] [PART ...]``. PyTorch is compared with if it is
installed with CUDA. A row is printed as soon as it is measured, so that what is cut off leaves what
was there; ``--write-docs`` puts each part that ended into docs/performance.md.

Exit status: 0, 1 if something could not be measured (its row says why), or 3 when there is no GPU,
in which case one line says why.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import itertools
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import framework
from benchmarks import conditions, environment, ops, table, tracing, workloads
from benchmarks.table import Table, time_of
from framework.device import bfloat16_problem, cuda_problem, is_fake_cuda

__all__ = ["PARTS", "bandwidth", "main", "op_table", "products", "steps", "traces"]

NO_GPU = 3
KERNELS = Path(__file__).parents[1] / "build" / "cupy-kernels"  # what CuPy compiled
HALF = ("MLP", "CNN", "ResNet", "GPT")  # steps that are also measured with autocast to bfloat16
TRACED = ("small MLP", "GPT", "loop of 60 ops")  # steps of which the cost of tracing is measured
Made = Callable[[Any], Callable[[], object]]
Tell = Callable[[Table], object]  # is called when a table has one more row

F = framework.nn.functional


def _rows(width: int, call: Callable[[Any], Any]) -> Callable[[Any], Callable[[], object]]:
    """``call`` on all of a line, as rows of ``width``."""

    def made(x: Any) -> Callable[[], object]:
        rows = x.view(-1, width)
        return lambda: call(rows)

    return made


def _backward(width: int, call: Callable[[Any], Any]) -> Callable[[Any], Callable[[], object]]:
    """The gradient of ``call`` for such rows."""

    def made(x: Any) -> Callable[[], object]:
        rows = x.view(-1, width).detach().requires_grad_()
        with framework.enable_grad():
            out = call(rows)
        g = framework.ones_like(out)
        return lambda: framework.autograd.grad(out, rows, g, retain_graph=True)

    return made


def _images(call: Callable[[Any, Any], Any], backward: bool = False) -> Any:
    def made(x: Any) -> Callable[[], object]:
        images = x.view(-1, 64, 32 * 32).detach()
        norm = framework.nn.BatchNorm1d(64, device=x.device, dtype=x.dtype)
        if not backward:
            return lambda: call(norm, images)
        images = images.clone().requires_grad_()
        with framework.enable_grad():
            out = call(norm, images)
        g = framework.ones_like(out)
        wanted = [images, *norm.parameters()]
        return lambda: framework.autograd.grad(out, wanted, g, retain_graph=True)

    return made


def _sum(x: Any) -> Callable[[], object]:
    y = x.clone()
    return lambda: x + y


def _looked_up(x: Any) -> Callable[[], object]:
    rows = x.view(-1, 1024)
    index = framework.arange(len(rows), device=x.device)
    return lambda: F.embedding(index, rows)


def _added(x: Any) -> Callable[[], object]:
    rows = x.view(-1, 1024)
    index = framework.arange(len(rows), device=x.device) % max(1, len(rows) // 8)
    target = framework.zeros_like(rows[: max(1, len(rows) // 8)])
    return lambda: target.index_add(0, index, rows)


def _loss(backward: bool) -> Any:
    def made(x: Any) -> Callable[[], object]:
        rows = x.view(-1, 1024).detach().requires_grad_(backward)
        target = framework.arange(len(rows), device=x.device) % 1024
        with framework.enable_grad():
            if not backward:
                return lambda: F.cross_entropy(rows, target)
            loss = F.cross_entropy(rows, target)
        return lambda: framework.autograd.grad(loss, rows, retain_graph=True)

    return made


def _optimizer(name: str, **settings: Any) -> Any:
    def made(x: Any) -> Callable[[], object]:
        params = [p.clone().requires_grad_() for p in x.view(16, -1)]
        for p in params:
            p.grad = framework.ones_like(p)
        step: Callable[[], object] = getattr(framework.optim, name)(params, **settings).step
        return step

    return made


# Kernels that should be bound by memory: how many times an array of the size has to be read or
# written, and what makes the call, of a line of ones.
STREAMS: dict[str, tuple[float, Callable[[Any], Callable[[], object]]]] = {
    "softmax, rows of 1024": (2, _rows(1024, lambda x: F.softmax(x, -1))),
    "softmax, backward": (3, _backward(1024, lambda x: F.softmax(x, -1))),
    "log_softmax, rows of 8192": (2, _rows(8192, lambda x: F.log_softmax(x, -1))),
    "log_softmax, rows of 8191": (
        2, lambda x: _rows(8191, lambda r: F.log_softmax(r, -1))(x[: x.numel() // 8191 * 8191])),
    "cross_entropy of 1024, its softmax kept": (2, _loss(False)),
    "cross_entropy, backward, by nll_loss's": (4, _loss(True)),
    "layer_norm, rows of 1024": (2, _rows(1024, lambda x: F.layer_norm(x, [1024]))),
    "layer_norm, backward": (3, _backward(1024, lambda x: F.layer_norm(x, [1024]))),
    "rms_norm, rows of 4096": (2, _rows(4096, lambda x: F.rms_norm(x, [4096]))),
    "batch_norm, 64 channels of 32x32": (3, _images(lambda norm, x: norm(x))),
    "batch_norm, backward": (5, _images(lambda norm, x: norm(x), backward=True)),
    "gelu": (2, _rows(1024, F.gelu)),
    "gelu, backward": (3, _backward(1024, F.gelu)),
    "gelu by tanh": (2, _rows(1024, lambda x: F.gelu(x, approximate="tanh"))),
    "silu": (2, _rows(1024, F.silu)),
    "dropout": (2, _rows(1024, lambda x: F.dropout(x, 0.1))),
    "add": (3, _sum),
    "embedding, rows of 1024": (2, _looked_up),
    "index_add, each row eight times": (1.25, _added),
    "SGD with momentum, 16 parameters": (5, _optimizer("SGD", lr=1e-3, momentum=0.9)),
    "AdamW, 16 parameters": (7, _optimizer("AdamW", lr=1e-3)),
}  # fmt: skip


def _theirs() -> Any:
    """PyTorch, if it has CUDA."""
    torch = environment.pytorch()
    return torch if torch is not None and torch.cuda.is_available() else None


def _per_call(torch: Any, call: Callable[[], object], seconds: float) -> float:
    """Seconds per call, of as many calls in a row as take about ``seconds``, waited for once."""
    call(), torch.cuda.synchronize()

    def of(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            call()
        torch.cuda.synchronize()
        return (time.perf_counter() - start) / count

    return of(max(1, int(seconds / max(of(1), 1e-6))))


class _NoBfloat16(Exception):
    """The device's CuPy has none."""


def _autocast(torch: Any, half: bool) -> Any:
    """What a step runs in. No device is set there: in PyTorch that would slow each call down."""
    if not half:
        return contextlib.nullcontext()
    if bfloat16_problem():
        raise _NoBfloat16
    return torch.autocast("cuda", torch.bfloat16)


@contextlib.contextmanager
def _on_device(torch: Any, half: bool) -> Iterator[None]:
    """What a step is made in."""
    with torch.device("cuda"), _autocast(torch, half):
        yield


def _compared(make: Made, quick: bool, half: bool = False) -> list[str]:
    """Cells: our time, PyTorch's, ours as a multiple of it: the median of some rounds, in turn."""
    sides = [framework, *filter(None, [_theirs()])]
    calls = []
    for torch in sides:
        with _on_device(torch, half):
            calls.append(make(torch))
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(2 if quick else 9):
        for torch, call, found in zip(sides, calls, times):
            with _autocast(torch, half):
                found.append(_per_call(torch, call, 0.01 if quick else 0.1))
    cells = [time_of(statistics.median(t)) for t in times]
    if len(sides) > 1:
        cells.append(f"{statistics.median(a / b for a, b in zip(*times)):.2f}")
    return cells


def _head(what: str, *columns: str) -> list[str]:
    theirs = ["PyTorch", "ratio"] if _theirs() is not None else []
    return [what, *[c for column in columns for c in (column, *theirs)]]


def _measured(found: Table, name: str, tell: Tell, *cells: Callable[[], list[str]]) -> None:
    """One more row; where a cell cannot be measured it says why, and the rest is measured.

    What takes a bfloat16 that CuPy has not is left empty, and `main` says so once.
    """
    row = [name]
    each = (len(found.head) - 1) // len(cells)
    for of in cells:
        try:
            row += of()
        except _NoBfloat16:
            row += ["skipped", *[""] * (each - 1)]
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            said = f"failed: {type(error).__name__}: {lines[0]}"
            row += [said[:90], *[""] * (each - 1)]
    found.rows.append(row)
    tell(found)


def _chosen(names: Any, only: str) -> list[str]:
    return [name for name in names if only.lower() in name.lower()]


def _silent(found: Table) -> None:
    pass


def steps(quick: bool = False, only: str = "", tell: Tell = _silent) -> Table:
    """The ten training steps, in float32 and with autocast to bfloat16."""
    found = Table("cuda steps", "training steps", _head("step", "float32", "bfloat16"))
    for name in _chosen(workloads.STEPS, only):
        make = workloads.STEPS[name]
        halved = any(word in name for word in HALF)
        nothing = [""] * ((len(found.head) - 1) // 2)
        _measured(
            found, name, tell, lambda make=make: _compared(make, quick),  # type: ignore[misc]
            lambda make=make, halved=halved, nothing=nothing:  # type: ignore[misc]
                _compared(make, quick, half=True) if halved else nothing,
        )  # fmt: skip
    return found


def op_table(quick: bool = False, only: str = "", tell: Tell = _silent) -> Table:
    """The ops of `benchmarks.ops`, forward and backward."""
    found = Table("cuda ops", "ops, float32", _head("op", "forward", "backward"))
    for name in _chosen(ops.OPS, only):
        make = ops.OPS[name]
        _measured(
            found, name, tell,
            lambda make=make: _compared(lambda torch: ops._forward(torch, make), quick),  # type: ignore[misc]
            lambda make=make: _compared(lambda torch: ops._backward(torch, make), quick),  # type: ignore[misc]
        )  # fmt: skip
    return found


# Shapes of operands, the second one turned or not.
PRODUCTS = {
    "4096 x 4096 by 4096 x 4096": ((4096, 4096), (4096, 4096), False),
    "a layer: 8192 x 768 by (3072 x 768) turned": ((8192, 768), (3072, 768), True),
    "a narrow layer: 64 x 512 by (512 x 512) turned": ((64, 512), (512, 512), True),
    "scores: 8 x 12 of 1024 x 64, turned": ((8, 12, 1024, 64), (8, 12, 1024, 64), True),
}
WAYS = {"float32": ("float32", "highest"), "TF32": ("float32", "high"),
        "float16": ("float16", "highest"), "bfloat16": ("bfloat16", "highest")}  # fmt: skip


def products(quick: bool = False, only: str = "", tell: Tell = _silent) -> Table:
    """Products of matrices, by the type and by what is allowed for it."""
    found = Table("cuda products", "products of matrices", _head("product", *WAYS))
    for name in _chosen(PRODUCTS, only):
        _measured(found, name, tell, *[
            lambda name=name, way=way: _multiplied(*PRODUCTS[name], *WAYS[way], quick)
            for way in WAYS
        ])  # fmt: skip
    return found


def _multiplied(
    first: tuple[int, ...], second: tuple[int, ...], turned: bool, kind: str, precision: str,
    quick: bool,
) -> list[str]:  # fmt: skip
    if kind == "bfloat16" and bfloat16_problem():
        raise _NoBfloat16

    def made(torch: Any) -> Callable[[], object]:
        torch.set_float32_matmul_precision(precision)
        a, b = (torch.randn(shape, dtype=getattr(torch, kind)) for shape in (first, second))
        other = b.mT if turned else b
        return lambda: torch.matmul(a, other)

    try:
        return _compared(made, quick)
    finally:
        for torch in filter(None, (framework, _theirs())):
            torch.set_float32_matmul_precision("highest")


def traces(quick: bool = False, only: str = "", tell: Tell = _silent) -> Table:
    """What tracing costs: the structure, and the health of every value."""
    head = ["step", "not traced", "structure", "nan and inf on every value", "health"]
    found = Table("cuda tracing", "tracing: extra time", head)
    for name in _chosen(workloads.STEPS, only):
        if any(word in name for word in TRACED):
            make = workloads.STEPS[name]
            _measured(found, name, tell, lambda make=make: _traced(make, quick))  # type: ignore[misc]
    return found


def _traced(make: Made, quick: bool) -> list[str]:
    with _on_device(framework, False):
        step = make(framework)
    armed = conditions.armed
    calls = [step, tracing.traced(step, "none"), armed(step, ["nan", "inf"]),
             armed(step, conditions.HEALTH)]  # fmt: skip
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(2 if quick else 9):
        for call, took in zip(calls, times):
            took.append(_per_call(framework, call, 0.01 if quick else 0.1))
    extra = [statistics.median(b / a for a, b in zip(times[0], t)) - 1 for t in times[1:]]
    return [time_of(statistics.median(times[0])), *[f"{e:+.0%}" for e in extra]]


def bandwidth(
    quick: bool = False, only: str = "", tell: Tell = _silent, size: int = 1 << 28
) -> Table:
    """Kernels that are bound by memory, as a part of what a copy on the device reaches."""
    found = Table("cuda bandwidth", "of the copy bandwidth",
                  ["kernel", "float32", "of a copy's", "bfloat16", "of a copy's"])  # fmt: skip
    seconds = 0.01 if quick else 0.2
    kinds = {framework.float32: 4} if bfloat16_problem() else _BANDS
    lines = [framework.ones(size // n, device="cuda", dtype=kind) for kind, n in kinds.items()]
    with framework.no_grad():
        copies = [_per_call(framework, x.clone, seconds) for x in lines]
        told = [[time_of(t), f"{2 * size / t / 1e9:.0f} GB/s"] for t in copies]
        missing = len(_BANDS) - len(lines)
        found.rows.append(["copy", *itertools.chain(*told, *[["skipped", ""]] * missing)])
        tell(found)
        for name in _chosen(STREAMS, only):
            _measured(found, name, tell, *[
                lambda x=x, t=t, name=name: _share(*STREAMS[name], x, t / 2, seconds)
                for x, t in itertools.zip_longest(lines, copies + [0.0] * missing)
            ])  # fmt: skip
    return found


_BANDS = {framework.float32: 4, framework.bfloat16: 2}  # types, and bytes of their numbers


def _share(
    passes: float, make: Callable[[Any], Callable[[], object]], x: Any, one: float, seconds: float
) -> list[str]:
    """A call's time, and the part of the bandwidth if one pass over the line takes ``one``."""
    if x is None:
        raise _NoBfloat16
    took = _per_call(framework, make(x), seconds)
    return [time_of(took), f"{passes * one / took:.0%}"]


PARTS: dict[str, Callable[..., Table]] = {
    "steps": steps, "products": products, "tracing": traces, "bandwidth": bandwidth,
    "ops": op_table,
}  # fmt: skip


def _facts() -> list[str]:
    import cupy

    found = framework.cuda.get_device_properties(0)
    theirs = _theirs()
    return [
        datetime.date.today().isoformat(), f"{found.name}, capability {found.major}.{found.minor}",
        f"driver {_driver()}for CUDA {cupy.cuda.runtime.driverGetVersion()}, CuPy "
        f"{cupy.__version__}",
        "convolutions by cuDNN" if _cudnn() else "convolutions by kernels of our own",
        f"PyTorch {theirs.__version__}" if theirs else "no PyTorch with CUDA to compare with",
    ]  # fmt: skip


def _driver() -> str:
    """The driver's own version and a space, where Linux tells it."""
    with contextlib.suppress(OSError):
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
        if version := re.search(r"\b\d{3}\.\d+(\.\d+)?\b", text):
            return f"{version[0]} "
    return ""


def _cudnn() -> bool:
    return bool(framework.backends.cudnn.is_available())


def _row_told(found: Table) -> None:
    """Print the newest row, under its head if it is the first."""
    lines = [found.head, found.rows[-1]] if len(found.rows) == 1 else found.rows[-1:]
    if len(lines) == 2:
        print(f"\n{found.title}", flush=True)
    for line in lines:
        print("  " + line[0].ljust(46), *[cell.rjust(11) for cell in line[1:]], flush=True)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cuda", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"all of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a minute or two")
    parser.add_argument("--only", default="", metavar="WORD", help="rows with this in their name")
    parser.add_argument("--write-docs", action="store_true", help="into docs/performance.md")
    options = parser.parse_args(words)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part {min(unknown)!r}; choose from {', '.join(PARTS)}")
    os.environ.setdefault("CUPY_CACHE_DIR", str(KERNELS))
    problem = "TAPEBOOK_FAKE_CUDA is set" if is_fake_cuda() else cuda_problem()
    if problem:
        print(f"benchmarks.cuda: nothing was measured: {problem}", file=sys.stderr)
        return NO_GPU
    facts = _facts()
    print("; ".join(facts), flush=True)
    workloads.place = "cuda"
    failed = False
    skipped = 0
    for name in options.parts or PARTS:
        found = PARTS[name](options.quick, options.only, _row_told)
        cells = [cell for row in found.rows for cell in row]
        failed |= any(cell.startswith("failed: ") for cell in cells)
        skipped += cells.count("skipped")
        if options.write_docs:
            table.write([found], facts)
    if skipped:
        print(f"\n{skipped} measurements were skipped: {bfloat16_problem()}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
