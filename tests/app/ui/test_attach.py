"""Attached to a program that runs by itself: its past, its names, pausing it, and leaving it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ui_driver import Driver, write

from app.attach import notebook_for
from app.ui.app import TapebookApp
from framework.trace.client import Client, SessionError

SCRIPT = """\
import time
import framework as torch
from framework import nn

model = nn.Linear(4, 2)
opt = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(100000):
    loss = (model(torch.randn(3, 4)) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    time.sleep(0.02)
"""


def test_attached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    script = write(tmp_path / "train.py", SCRIPT)
    program = subprocess.Popen([sys.executable, "-m", "app", "run", str(script)])
    try:
        asyncio.run(_look(_connect()))
        assert program.poll() is None, "leaving must not end it"
    finally:
        program.kill()
        program.wait()


def _connect() -> Client:
    end = time.monotonic() + 20
    while True:
        try:
            client = Client.connect("train")
        except SessionError:
            assert time.monotonic() < end
            time.sleep(0.1)
            continue
        time.sleep(0.3)
        return client


async def _look(client: Client) -> None:
    app = TapebookApp(_source_of(client), client=client)
    async with app.run_test(size=(120, 40)) as pilot:
        d = Driver(app, pilot)
        session = d.session
        await d.until(lambda: session.state == "running" and session.store.last_seq, "its events")
        await d.until(lambda: session.store.first_seq == 1, "its past")
        await d.press("p")
        await d.stopped()
        assert session.place is not None and "▶" in d.pane("notebook")
        d.main.notebook.view.select_cell(app.notebook.cells[0].id, 8)
        await d.press("b", "c")
        await d.until(lambda: bool(session.stop and session.stop.breakpoint), "the breakpoint")
        await d.settled()
        assert session.place == (app.notebook.cells[0].id, 8)
        await d.step()  # randn
        await d.step()  # the layer
        await d.press("2")
        assert "W[2,4] b[2]" in d.text(), "a parameter's name is from before we came"
        await d.press("enter", "1", "enter", "ctrl+r")  # its source is only shown
        assert not d.main.notebook.editing
        await d.press("ctrl+q")
        assert not app.is_running or app._exit
