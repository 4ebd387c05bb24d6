"""The tour in a real terminal: each of its bugs is found with under ten keys; and the help."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from pathlib import Path

import pytest
from test_terminal import Terminal
from ui_driver import MLP, program, write

from app import tour
from app.actions import ABOUT, ACTIONS

KEYS = {
    "F3": b"\x1bOR", "F6": b"\x1b[17~", "up": b"\x1b[A", "down": b"\x1b[B", "enter": b"\r",
}  # fmt: skip
_CODE = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|\x1b[=>78]")
_MOVE = re.compile(rb"\x1b\[\d*;\d*H")


class Screen(Terminal):
    """What was drawn since the last key, as words."""

    def words(self, start: int) -> str:
        drawn = _CODE.sub(b"", _MOVE.sub(b"\n", self.seen[start:]))
        text = re.sub(r"[│┃╭╮╰╯─━┌┐└┘▄▅▆▁▂▃▇█]", " ", drawn.decode("utf-8", "replace"))
        return " ".join(text.split())

    def press(self, key: str) -> int:
        """A key; the place in the stream from which on its effect is drawn."""
        start = len(self.seen)
        self.type(KEYS.get(key, key.encode()))
        return start

    def shows(self, text: str, start: int, limit: float = 60) -> None:
        end = time.monotonic() + limit
        while text not in self.words(start):
            self.read()
            assert time.monotonic() < end, f"no {text!r} in: {self.words(start)[-3000:]}"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "tapebook" / "tour"


# What is pressed in the tour's notebook, with what is waited for after some of the keys; then what
# is found.
HUNTS = {
    "nan": (
        (("F3", "open"), ("up", "nan_in_step_37.py"), ("enter", " idle "),
         ("F6", "idle step 40 event"),
         ("w", "log of 0 is -inf")),
        ("NaN comes from an Inf that began at log at cell 3, line 4, step 37",),
    ),
    "gradient": (
        (("F3", "open"), ("down", "a.tape"), ("down", "b.tape"), ("down", "detached_branch.py"),
         ("enter", " idle "), ("F6", "idle step 20 event"), ("w", "is very small")),
        ("model.stem.weight.grad", "detach", "short = stem.detach()"),
    ),
    "rate": (
        (("F3", "open"), ("down", "a.tape"), ("down", "b.tape"), ("enter", "recording"),
         ("D", "compare step"), ("down", "a.tape"), ("enter", "first divergence")),
        ("702 ops paired", "step 17: SGD update of model.0.weight", "another learning rate"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("hunt", HUNTS)
def test_each_bug_is_found_with_under_ten_keys(data: Path, hunt: str) -> None:
    keys, found = HUNTS[hunt]
    assert len(keys) < 10
    screen = Screen("tour", size=(120, 40))
    screen.shows(" idle ", 0)
    start = 0
    for key, seen in keys:
        start = screen.press(key)
        screen.shows(seen, start)
    for text in found:
        screen.shows(text, start)
    start = screen.press("\x1b")
    screen.shows("recording" if hunt == "rate" else " idle ", start)
    screen.type(b"\x11")
    assert screen.end() == 0
    assert sorted(p.name for p in data.iterdir() if not p.name.startswith(".")) == [
        "a.tape", "b.tape", "detached_branch.py", "learning_rate_spike.py", "nan_in_step_37.py",
        "tour.py",
    ]  # fmt: skip


def test_a_notebook_that_one_comes_back_to_is_where_it_was_left(data: Path) -> None:
    screen = Screen("tour", size=(80, 24))
    screen.shows(" idle ", 0)
    start = len(screen.seen)
    screen.type(b"}" * 6)
    screen.shows("Second hunt", start)
    for name in ("nan_in_step_37.py", "tour.py"):
        screen.shows("open", screen.press("F3"))
        start = len(screen.seen)
        screen.type(name.encode() + b"\r")
        screen.shows(" idle ", start)
    screen.shows("Second hunt", start)
    screen.type(b"\x11")
    assert screen.end() == 0


def test_the_tour_keeps_what_was_edited(data: Path) -> None:
    path = tour.prepare()
    assert path == data / "tour.py"
    path.write_text("# %%\nmine = 1\n")
    before = (data / "a.tape").stat().st_mtime_ns
    assert tour.prepare().read_text() == "# %%\nmine = 1\n"
    assert (data / "a.tape").stat().st_mtime_ns == before


def test_the_start_page_leads_to_the_tour(data: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    screen = Screen()
    screen.shows("take the tour", 0)
    screen.press("enter")
    screen.shows("A tour of Tapebook", 0)
    screen.shows(" idle ", 0)
    screen.type(b"\x11")
    assert screen.end() == 0


def test_help_begins_with_the_pane_that_has_the_focus(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (100, 30), kernel=False) as d:
            upper = ["notebook", "graph", "inspector", "timeline"]
            panes = [*upper, *(pane.where for pane in d.main.lower.panes)]
            assert set(panes) <= set(ABOUT), "each pane says what it shows"
            for where in panes:
                d.main.go_to(where)
                await d.press("f1")
                words = " ".join(d.text().replace("│", " ").split())
                about = " ".join(ABOUT[where].split()[:6])
                assert about in words, (where, words)
                assert "Keys of this pane" in words
                for action in ACTIONS:
                    if where in action.where and action.keys:
                        assert action.title in str(d.app.screen._text()), (where, action.id)
                        break
                await d.press("escape")
            await d.press("B", "f1")
            words = " ".join(d.text().replace("│", " ").split())
            assert "conditions" in words and "[SUBJECT] [PLACE] [CONDITION" in words, d.text()
            await d.press("f1")
            assert "What was found" in d.text()
            await d.press("escape", "escape")
            assert d.app.screen.query("#field-condition"), "back in the form"

    asyncio.run(run())


def test_an_old_tour_is_refreshed_and_what_was_edited_is_kept(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[str] = []
    record = tour._record

    def noted(target: Path, name: str, arguments: tuple[str, ...]) -> None:
        recorded.append(name)
        if name == "a.tape":  # one is enough of the real thing
            record(target, name, arguments)
        else:
            (target / name).write_bytes(b"")

    monkeypatch.setattr(tour, "_record", noted)
    said: list[str] = []
    waits: list[str] = []

    def say(line: str) -> None:
        (said if "yours is" in line else waits).append(line)

    here = tour._source()
    tour.prepare(say=say)
    bug = "nan_in_step_37.py"
    assert recorded == ["a.tape", "b.tape"]
    assert [line.split()[:2] for line in waits] == [["recording", name] for name in recorded]
    assert (data / bug).read_bytes() == (here / "bugs" / bug).read_bytes()

    # The user's edits stay while the tour is the same one.
    (data / bug).write_text("# mine\n")
    tour.prepare(say=say)
    assert (data / bug).read_text() == "# mine\n" and len(recorded) == 2 and not said

    # Another version of the program: its files take their places, what was edited is kept.
    other = data.parent / "other"
    shutil.copytree(here, other)
    for name in (tour.TOUR, f"bugs/{bug}", "bugs/learning_rate_spike.py"):
        (other / name).write_text((other / name).read_text() + "# newer\n")
    monkeypatch.setattr(tour, "_source", lambda: other)
    tour.prepare(say=say)
    for name in (tour.TOUR, bug):
        assert (data / name).read_text().endswith("# newer\n")
    kept = "nan_in_step_37-yours-1.py"
    assert said == [f"{bug} is that of this version of the tour; yours is {kept}"]
    assert (data / kept).read_text() == "# mine\n"
    assert recorded == ["a.tape", "b.tape"] * 2, "their script is another"

    # A folder from before such notes were kept.
    (data / ".copied.json").write_text("[]")
    (data / tour.TOUR).write_text("# an old one\n")
    tour.prepare(say=say)
    assert (data / tour.TOUR).read_text().endswith("# newer\n")
    assert (data / "tour-yours-1.py").read_text() == "# an old one\n"
    tour.prepare(say=say)
    assert len(said) == 2
