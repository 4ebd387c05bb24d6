"""A recording on the screen: everything a session gives, except running on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ui_driver import MLP, Driver, write

from app.ui.app import TapebookApp, _make


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def _record(script: Path, out: Path, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "app", "run", str(script), "--record", str(out)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)


def _app(path: Path) -> TapebookApp:
    app = _make(path, None, None)
    assert app is not None
    return app


def test_everything_but_running_on(tmp_path: Path) -> None:
    script, out = write(tmp_path / "mlp.py", MLP), tmp_path / "mlp.tape"
    assert _record(script, out).wait() == 0
    script.write_text("raise SystemExit('a file that the recording names is not opened')")

    async def look() -> None:
        app = _app(out)
        async with app.run_test(size=(120, 40)) as pilot:
            d = Driver(app, pilot)
            session = d.session
            await d.until(lambda: len(session.store.steps) >= 3 and session.losses, "its events")
            await d.settled()
            assert " recording " in d.text() and session.store.first_seq == 1
            assert "for step in range(3)" in d.text(), "the recorded text, not the file's"
            assert len(session.losses) == 3
            last = session.cursor
            await d.press("N", "N")
            await d.settled()
            assert session.cursor < last and session.behind
            await d.press("n", "n", "n")
            assert session.cursor == session.live_seq
            await d.press("n")
            assert "recording" in session.message and session.cursor == session.live_seq
            seq = next(
                e.seq
                for e in session.store.tape
                if getattr(e, "name", "") == "relu" and hasattr(e, "duration")
            )
            session.go(seq)
            app.tick()
            await d.until(lambda: "12" in d.pane("inspector") and "mean" in d.pane("inspector"))
            assert session.place is not None
            await d.press("1", "ctrl+r", "ctrl+s", "b")
            assert app.is_running and script.read_text().startswith("raise")
            assert sorted(p.name for p in tmp_path.iterdir() if p.suffix) == ["mlp.py", "mlp.tape"]
            await d.press("ctrl+q")

    asyncio.run(look())


def test_a_recording_that_is_being_written(tmp_path: Path) -> None:
    endless = MLP.replace("range(3)", "range(100000)") + "    import time; time.sleep(0.05)\n"
    script, out = write(tmp_path / "mlp.py", endless), tmp_path / "mlp.tape"
    program = _record(script, out)
    try:
        end = time.monotonic() + 60
        while not out.exists() or out.stat().st_size < 20_000:
            assert time.monotonic() < end
            time.sleep(0.05)

        async def look() -> None:
            app = _app(out)
            async with app.run_test(size=(120, 40)) as pilot:
                d = Driver(app, pilot)
                session = d.session
                await d.until(lambda: len(session.store.steps) > 2, "what was recorded")
                count = len(session.store.steps)
                await d.until(
                    lambda: len(session.store.steps) > count + 5, "what is being recorded"
                )
                assert session.cursor == session.live_seq, "it is followed"
                program.kill()
                program.wait()
                await d.until(lambda: "no longer being written" in session.message, "word")
                await d.press("N")
                await d.settled()
                assert session.behind
                await d.press("ctrl+q")

        asyncio.run(look())
    finally:
        program.kill()
        program.wait()


def test_what_needs_a_program_is_neither_offered_nor_done(tmp_path: Path) -> None:
    script, out = write(tmp_path / "mlp.py", MLP), tmp_path / "mlp.tape"
    assert _record(script, out).wait() == 0

    async def look() -> None:
        app = _app(out)
        async with app.run_test(size=(160, 40)) as pilot:
            d = Driver(app, pilot)
            session = d.session
            await d.until(lambda: len(session.store.steps) >= 3 and session.losses, "its events")
            await d.settled()
            await d.press("g", "n")  # to the notebook
            footer = d.text().rstrip().splitlines()[-1]
            assert "next" in footer and "why" in footer and "help" in footer
            for word in ("run cell", "run all", "what if", "edit", "save"):
                assert word not in footer, footer
            before = d.rows("notebook")
            for key, word in (("f6", "cannot be run"), ("ctrl+r", "cannot be run"),
                              ("e", "tapebook rerun")):  # fmt: skip
                await d.press(key)
                await d.settled()
                assert word in session.message
                assert not session.runs
            assert d.rows("notebook") == before

    asyncio.run(look())
