"""Every step's loss is known, however fast the steps were and whatever was kept of their values."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import framework as torch
from app.session import Session
from app.ui.bars import StatusBar
from framework import trace
from framework.trace import open_tape
from framework.trace.client import Client, SessionError
from framework.trace.events import BackwardBegin
from viewers import see
from viewers.text import plain
from viewers.timeline import loss_course

FAST = """\
import sys
import framework as torch
w = torch.ones(1, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.001)
sys.stdin.readline()
for step in range(1, 1501):
    loss = (w * float(step)).sum() / w.detach().sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("done", flush=True)
sys.stdin.readline()
"""


def fast(folder: Path, *arguments: str, text: str = FAST) -> subprocess.Popen[str]:
    (folder / "fast.py").write_text(text)
    return subprocess.Popen(
        [sys.executable, "-m", "app", "run", *arguments, str(folder / "fast.py")],
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_loop_that_is_too_fast_for_its_viewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody takes anything in until all is over, when only the last steps have values."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    process = fast(tmp_path)
    assert process.stdin is not None and process.stdout is not None
    session = Session()
    try:
        session.connect(_connect(), attached=True)
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        end = time.monotonic() + 60
        while len(session.store.passes) < 1500 or session.dropped:
            session.tick()
            assert time.monotonic() < end
            time.sleep(0.002)
        assert [round(loss) for _, loss in session.losses] == list(range(1, 1501))
        course = loss_course(session.store, session.losses, session.cursor)
        assert len(course) == 1500 and None not in course
    finally:
        session.close()
        process.kill()
        process.wait()


ENDLESS = FAST.replace("range(1, 1501)", "range(1, 10**9)")


def test_who_has_fallen_behind_is_at_the_present_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest of what waits is left out, and is there again when the program stands."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    process = fast(tmp_path, text=ENDLESS)
    assert process.stdin is not None
    session = Session()
    end = time.monotonic() + 120
    try:
        client = _connect()
        session.connect(client, attached=True)
        process.stdin.write("go\n")
        process.stdin.flush()
        while session.store.last_seq < 1000:
            session.tick()
            assert time.monotonic() < end
        while client.inbox.bytes < 3 << 20:
            assert time.monotonic() < end
            time.sleep(0.02)
        session.tick(budget=0)
        assert client.inbox.bytes < 2 << 20 and session.dropped > 5_000
        session.pause()
        while session.state != "paused" or session.dropped or session.waiting:
            session.tick()
            assert time.monotonic() < end
            time.sleep(0.002)
        assert session.stop is not None and session.cursor == session.stop.seq
        seqs = [event.seq for event in session.store.tape]
        assert seqs == list(range(seqs[0], session.stop.seq + 1)), "without a gap"
        course = loss_course(session.store, session.losses, session.cursor)
        assert None not in course
        bar = StatusBar(session)
        assert not session.loading and "event" in plain(bar.left())
        session.cursor += 1  # as while the past is still on its way
        assert "still coming" in plain(bar.left()) and "backward" not in plain(bar.left())
    finally:
        session.close()
        process.kill()
        process.wait()


def _connect() -> Client:
    end = time.monotonic() + 60
    while True:
        try:
            return Client.connect("fast")
        except SessionError:
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.parametrize("keep", ["none", "health"])
def test_a_recording_without_values(tmp_path: Path, keep: str) -> None:
    process = fast(tmp_path, "--record", str(tmp_path / "a.tape"), "--keep", keep)
    process.communicate("go\nend\n", timeout=120)
    with open_tape(tmp_path / "a.tape") as tape:
        begins = [e for e in tape.events() if isinstance(e, BackwardBegin)]
        assert [round(e.loss) for e in begins if e.loss is not None] == list(range(1, 1501))
        head, _, *rows = [plain(line) for line in see.history(tape, "loss")]
        assert float(see.value(tape, "loss * 2", 700)) == pytest.approx(1400)
    assert len(rows) == 1500 and "gone" not in head
    for step in (1, 700, 1500):
        words = rows[step - 1].split()
        assert int(words[0]) == step and round(float(words[1])) == pytest.approx(step, rel=5e-3)


@pytest.mark.parametrize("keep", ["none", "all"])
def test_the_table_over_the_steps_has_no_gap(keep: str) -> None:
    w = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1)
    losses = []
    with trace.recording(keep=keep) as tape:
        for _ in range(30):
            loss = (w * w).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    for name in ("loss", "sum"):
        rows = [plain(line).split() for line in see.history(tape, name)[2:]]
        assert [float(row[2]) for row in rows] == pytest.approx(losses, rel=5e-3)


def test_what_is_written_between_is_not_taken_for_the_loss() -> None:
    w = torch.ones(3, requires_grad=True)
    with trace.recording(keep="none") as tape:
        loss = (w * w).sum()
        loss.mul_(2)
        loss.backward()
    store = see.store_of(tape)
    (begin,) = [e for e in store.tape if isinstance(e, BackwardBegin)]
    made = next(e for e in store.tape if getattr(e, "name", "") == "sum")
    assert store.loss_of(begin.roots[0], begin.seq) == 6.0
    assert store.loss_of(begin.roots[0], made.seq) is None


@pytest.mark.parametrize(
    ("root", "value"),
    [
        (lambda w: w.sum(), 3.0),
        (lambda w: w.sum().reshape(1, 1), 3.0),
        (lambda w: w.sum().to(torch.bfloat16), 3.0),
        (lambda w: w.sum().double() / 7, 3 / 7),
        (lambda w: w.sum() * float("nan"), float("nan")),
        (lambda w: w[:0].sum() * 0, 0.0),
    ],
)
def test_of_any_dtype_and_shape(root: object, value: float) -> None:
    w = torch.ones(3, requires_grad=True)
    with trace.recording(keep="none") as tape:
        root(w).backward()  # type: ignore[operator]
    (begin,) = [e for e in tape.read() if isinstance(e, BackwardBegin)]
    assert type(begin.loss) is float
    assert np.array_equal(begin.loss, value, equal_nan=True)


def test_several_elements_or_roots_are_no_loss() -> None:
    w = torch.ones(3, requires_grad=True)
    with trace.recording(keep="none") as tape:
        (w * 2).backward(torch.ones(3))
        torch.autograd.backward([w.sum(), w.sum()])
    assert [e.loss for e in tape.read() if isinstance(e, BackwardBegin)] == [None, None]
