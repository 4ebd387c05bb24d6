"""What viewers cost a program that trains: its step rate with each kind of them, against alone."""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from benchmarks.ratio import Plan
from benchmarks.table import Table
from framework.trace import session as sessions
from framework.trace.client import Client
from framework.trace.protocol import (
    PROTOCOL_VERSION,
    Challenge,
    Hello,
    Request,
    encode,
    proof,
    read_message,
    write_message,
)
from framework.trace.session import Session

__all__ = ["report"]

PROGRAM = """
import sys, time
from benchmarks import workloads
from framework import trace
step = workloads.mlp()
if sys.argv[1] != "alone":
    trace.listen("bench", idle=sys.argv[1])
for _ in range(200):
    step()
print("ready", flush=True)
while sys.stdin.readline():
    count, end = 0, time.perf_counter() + float(sys.argv[2])
    began = time.perf_counter()
    while time.perf_counter() < end:
        step()
        count += 1
    print(count / (time.perf_counter() - began), flush=True)
"""
SECONDS = 0.7
ROUNDS = 9

Viewer = Callable[[Session], None]


def report(plan: Plan) -> list[Table]:
    """Step rates of a small MLP's training: with viewers against alone, at the same time."""
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp()
    rounds = 3 if plan.quick else ROUNDS
    table = Table(
        "viewers", "viewers: training steps per second of a small MLP",
        ["who is there", "steps per second", "share of the rate alone"],
    )  # fmt: skip
    with Program("alone") as alone:
        for idle, name, viewer in CASES:
            with Program(idle) as program, _watched(viewer):
                ratios, rates = [], []
                for _ in range(rounds):
                    program.go(), alone.go()
                    rates.append(program.rate())
                    ratios.append(rates[-1] / alone.rate())
            rate, ratio = statistics.median(rates), statistics.median(ratios)
            share = f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            table.rows.append([name, f"{rate:.0f}", share])
    pause = sorted(_pauses(5 if plan.quick else 20))
    middle, last = pause[len(pause) // 2] * 1000, pause[-1] * 1000
    table.notes += [
        f"64-128-10 MLP, batch 64, beside the same program alone; {rounds} rounds of {SECONDS} s, "
        "median and range.",
        f"From the pause request to the stop, out of full speed: {middle:.1f} ms, at most "
        f"{last:.1f} of {len(pause)}.",
    ]
    return [table]


class Program:
    """A training program that measures its own rate when told to."""

    def __init__(self, idle: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, idle, str(SECONDS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def rate(self) -> float:
        return float(self._read())

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def _watched(viewer: Viewer | None) -> Iterator[None]:
    if viewer is None:
        yield
        return
    code = f"from benchmarks import viewers; viewers.act({viewer.__name__!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.kill()
        process.communicate()


def act(name: str) -> None:
    """In a process of its own: be this kind of viewer until killed."""
    (session,) = sessions.sessions()
    viewer: Viewer = globals()[name]
    viewer(session)


def _there() -> None:
    print("there", flush=True)


def _greeted(session: Session, stream: bool) -> socket.socket:
    sock = sessions.connect(session.socket)
    challenge = read_message(sock)
    assert isinstance(challenge, Challenge)
    shown = proof(sessions.read_token(session), challenge.nonce)
    write_message(sock, Hello(PROTOCOL_VERSION, shown, stream=stream))
    read_message(sock)
    return sock


def watches(session: Session) -> None:
    """It takes what it is sent, as the program's window does."""
    client = Client.connect(session)
    _there()
    while True:
        client.inbox.clear()
        time.sleep(0.03)


def runs_at_full_speed(session: Session) -> None:
    """It is there, and has asked not to be shown anything."""
    client = Client.connect(session)
    client.request("speed", level="off").result(5)
    _there()
    time.sleep(100)


def hangs(session: Session) -> None:
    """It takes nothing; after five seconds it is dropped."""
    sock = _greeted(session, stream=True)
    _there()
    time.sleep(100)
    sock.close()


def hung(session: Session) -> None:
    """It took nothing of what it had asked for, and has been dropped."""
    sock = _greeted(session, stream=True)
    request = encode(Request(1, "events"))
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(struct.pack(">I", len(request)) + request)
            time.sleep(0.1)
    _there()
    time.sleep(100)


def floods(session: Session) -> None:
    """A million requests without reading an answer, again and again."""
    request = encode(Request(1, "status"))
    data = (struct.pack(">I", len(request)) + request) * 1_000_000
    first = True
    while True:
        sock = _greeted(session, stream=False)
        if first:
            _there()
        first = False
        with contextlib.suppress(OSError):
            sock.sendall(data)
        sock.close()


def asks(session: Session) -> None:
    """One request after the other, as fast as they are answered."""
    client = Client.connect(session, stream=False)
    _there()
    while True:
        client.request("status").result(10)


def connects(session: Session) -> None:
    """Connections that say nothing, as many as there can be."""
    _there()
    while True:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
            sock.setblocking(False)
            sock.connect(str(session.socket))


CASES: tuple[tuple[str, str, Viewer | None], ...] = (
    ("off", 'nobody, `idle="off"`', None),
    ("structure", "nobody, structure is recorded (the default)", None),
    ("structure", "a viewer, at full speed (`F`)", runs_at_full_speed),
    ("structure", "a viewer that watches: every value is kept", watches),
    ("structure", "a viewer that hangs: as much as one that watches,", hangs),
    ("structure", "and once it has been dropped, after five seconds", hung),
    ("off", 'a flood of requests, `idle="off"`', floods),
    ("off", 'one request after the other without end, `idle="off"`', asks),
    ("off", 'connections without end, `idle="off"`', connects),
)


def _pauses(count: int = 20) -> list[float]:
    """Seconds from the request to the stop, in a program at full speed."""
    found = []
    with Program("off") as program, Client.connect("bench") as client:
        for _ in range(10):
            program.go()
        for _ in range(count):
            client.request("speed", level="off").result(5)
            time.sleep(0.02)
            client.inbox.clear()
            began = time.perf_counter()
            client.request("pause").result(5)
            while not any(getattr(m, "stop", None) for m in list(client.inbox)):
                time.sleep(0.0005)
            found.append(time.perf_counter() - began)
            client.request("step", how="continue").result(5)
            time.sleep(0.02)
    return found
