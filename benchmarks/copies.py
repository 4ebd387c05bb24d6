"""What copies of a program cost: a branch, checkpoints while it trains, and a step run again."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.ratio import Plan
from benchmarks.table import Table
from framework.trace.client import Client

__all__ = ["report"]

PROGRAM = """
import sys
from benchmarks import workloads
from framework import trace
service = trace.listen("copies", wait=True)
step = workloads.mlp()
print("ready", flush=True)
while True:
    step()
"""
ROUNDS = 9
SECONDS = 0.7


@contextmanager
def _program() -> Iterator[Client]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    client = None
    try:
        end = time.monotonic() + 20
        while client is None and time.monotonic() < end:
            try:
                client = Client.connect(f"copies-{process.pid}")
            except Exception:  # it is not up yet
                time.sleep(0.05)
        assert client is not None and process.stdout is not None
        process.stdout.readline()
        yield client
    finally:
        if client is not None:
            client.close()
        process.kill()
        process.wait()


def _rate(client: Client) -> float:
    """Training steps per second."""
    before = client.request("status").result(10)["step"]
    began = time.perf_counter()
    time.sleep(SECONDS)
    client.inbox.clear()
    after = client.request("status").result(10)["step"]
    return float(after - before) / (time.perf_counter() - began)


def _wait_for_stop(client: Client) -> dict[str, Any]:
    while (status := client.request("status").result(10))["state"] == "running":
        time.sleep(0.002)
    return status  # type: ignore[no-any-return]


def report(plan: Plan) -> list[Table]:
    """Checkpoints on and off in turn; then a stop, its branches, and a step run again."""
    rounds = 3 if plan.quick else ROUNDS
    table = Table("copies", "copies of a program", ["what", "figure"])
    with _program() as client:
        pairs = []
        for _ in range(rounds):
            rates = []
            for enabled in (False, True):
                client.request("checkpoints", enabled=enabled).result(10)
                time.sleep(0.2)
                rates.append(_rate(client))
            pairs.append(rates[0] / rates[1] - 1)
        low, middle, high = statistics.quantiles(pairs, n=4)
        client.request("pause").result(10)
        last = _wait_for_stop(client)["last_seq"]
        made = []
        for _ in range(rounds):
            began = time.perf_counter()
            client.request("fork").result(20)
            made.append(1e3 * (time.perf_counter() - began))
            client.request("drop").result(20)
        seqs = client.request("checkpoints").result(10)["seqs"]
        taken = []
        for seq in seqs[-3:] * 3:
            began = time.perf_counter()
            told = client.request("rerun", to=min(seq + 400, last)).result(20)
            again = client.sibling(told["name"])
            _wait_for_stop(again)
            taken.append(1e3 * (time.perf_counter() - began))
            again.close()
    table.rows = [
        ["checkpoints: of a training step's time, quartiles",
         f"{middle:+.1%} ({low:+.1%} to {high:+.1%})"],
        ["a branch answers after it was asked for", f"{statistics.median(made):.0f} ms"],
        ["400 events are run again", f"{statistics.median(taken):.0f} ms"],
    ]  # fmt: skip
    table.notes.append("A small MLP, every value kept, a viewer attached; elapsed time.")
    return [table]
