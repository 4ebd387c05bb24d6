"""On an NVIDIA GPU: training steps and ops against PyTorch, kernels against the copy bandwidth.

``python -m benchmarks.cuda [--quick]``. PyTorch is compared with if it is installed with CUDA.
Exit status: 0, or 3 when there is no GPU, in which case one line says why.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import framework
from benchmarks import environment, ops, workloads
from benchmarks.table import Table, time_of
from framework.device import cuda_problem, is_fake_cuda

__all__ = ["bandwidth", "main", "op_table", "steps"]

NO_GPU = 3
HALF = ("MLP", "CNN", "ResNet", "GPT")  # steps that are also measured with autocast to bfloat16
Made = Callable[[Any], Callable[[], object]]

# Kernels that should be bound by memory: how many times they read or write an array of the size.
STREAMS: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "softmax of rows of 1024": (2, lambda x: framework.softmax(x.reshape(-1, 1024), -1)),
    "log_softmax of rows of 8192": (2, lambda x: framework.log_softmax(x.reshape(-1, 8192), -1)),
    "layer_norm of rows of 1024": (
        2, lambda x: framework.nn.functional.layer_norm(x.reshape(-1, 1024), [1024])),
    "gelu": (2, framework.nn.functional.gelu),
    "silu": (2, framework.nn.functional.silu),
    "dropout": (2, lambda x: framework.nn.functional.dropout(x, 0.1)),
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


@contextlib.contextmanager
def _on_device(torch: Any, half: bool) -> Iterator[None]:
    kind = torch.bfloat16 if half else torch.float32
    with torch.device("cuda"), torch.autocast("cuda", kind, enabled=half):
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
            with _on_device(torch, half):
                found.append(_per_call(torch, call, 0.01 if quick else 0.1))
    cells = [time_of(statistics.median(t)) for t in times]
    if len(sides) > 1:
        cells.append(f"{statistics.median(a / b for a, b in zip(*times)):.2f}")
    return cells


def _head(what: str, *columns: str) -> list[str]:
    theirs = ["PyTorch", "ratio"] if _theirs() is not None else []
    return [what, *[c for column in columns for c in (column, *theirs)]]


def steps(quick: bool = False) -> Table:
    """The ten training steps, in float32 and with autocast to bfloat16."""
    table = Table("cuda steps", "training steps", _head("step", "float32", "bfloat16"))
    for name, make in workloads.STEPS.items():
        full = _compared(make, quick)
        half = [""] * len(full)
        if any(word in name for word in HALF):
            half = _compared(make, quick, half=True)
        table.rows.append([name, *full, *half])
    return table


def op_table(quick: bool = False) -> Table:
    """The ops of `benchmarks.ops`, forward and backward."""
    table = Table("cuda ops", "ops, float32", _head("op", "forward", "backward"))
    for name, make in ops.OPS.items():
        forward = _compared(lambda torch, make=make: ops._forward(torch, make), quick)  # type: ignore[misc]
        backward = _compared(lambda torch, make=make: ops._backward(torch, make), quick)  # type: ignore[misc]
        table.rows.append([name, *forward, *backward])
    return table


def bandwidth(quick: bool = False, size: int = 1 << 28) -> Table:
    """Kernels that are bound by memory, as a part of what a copy on the device reaches."""
    table = Table("cuda bandwidth", "of the copy bandwidth", ["kernel", "time", "of a copy's"])
    seconds = 0.01 if quick else 0.3
    with framework.no_grad():
        x = framework.ones(size // 4, device="cuda")
        copy = 2 * size / _per_call(framework, x.clone, seconds)
        table.rows.append(["copy", time_of(2 * size / copy), f"{copy / 1e9:.0f} GB/s"])
        for name, (passes, call) in STREAMS.items():
            took = _per_call(framework, lambda call=call: call(x), seconds)  # type: ignore[misc]
            table.rows.append([name, time_of(took), f"{passes * size / took / copy:.0%}"])
    return table


def _facts() -> str:
    import cupy

    found = framework.cuda.get_device_properties(0)
    theirs = _theirs()
    return "; ".join([
        datetime.date.today().isoformat(), f"{found.name}, capability {found.major}.{found.minor}",
        f"driver for CUDA {cupy.cuda.runtime.driverGetVersion()}, CuPy {cupy.__version__}",
        f"PyTorch {theirs.__version__}" if theirs else "no PyTorch with CUDA to compare with",
    ])  # fmt: skip


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cuda", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args(words)
    problem = "TAPEBOOK_FAKE_CUDA is set" if is_fake_cuda() else cuda_problem()
    if problem:
        print(f"benchmarks.cuda: nothing was measured: {problem}", file=sys.stderr)
        return NO_GPU
    print(_facts(), flush=True)
    workloads.place = "cuda"
    for make in (steps, op_table, bandwidth):
        print("\n" + make(options.quick).text(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
