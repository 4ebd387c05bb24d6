"""A cell that asks: its prompt and an entry line below it, in a window and in attached ones."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_attach import window
from ui_driver import Driver, program, write

from framework.trace.client import Client, SessionError

ASKS = """\
# %%
name = input("who are you? ")
print("hello", name)

# %%
import getpass
for i in range(2):
    print(len(getpass.getpass(f"secret {i}: ")))

# %%
import pdb
import framework as torch
n = 3
pdb.set_trace()
print(n)
"""


async def asks(d: Driver, prompt: str) -> None:
    def open() -> bool:
        question = d.session.questions.open
        return question is not None and question.prompt == prompt

    await d.until(open, prompt)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_a_prompt_below_the_cell_is_answered(tmp_path: Path, size: tuple[int, int]) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "a.py", ASKS), size) as d:
            await d.press("ctrl+r")
            await asks(d, "who are you? ")
            line = d.main.notebook.asked.line
            assert line.has_focus and line.region.height == 1, d.text()
            assert d.main.editing and " asks " in d.text() and "[*]" in d.text()
            await d.press(*"ann N")  # no key is a command here
            assert "\n  who are you? ann N" in d.text(), d.text()
            await d.press("enter")
            await d.idle()
            assert "who are you? ann N\n hello ann N" in d.rows("notebook"), d.rows("notebook")
            await d.until(lambda: d.main.notebook.view.has_focus, "the focus")
            assert "✓" in d.pane("notebook") and d.session.state == "idle"

    asyncio.run(run())


def test_a_password_is_hidden_and_asked_again_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "a.py", ASKS)) as d:
            await d.press("right_curly_bracket", "ctrl+r")
            await asks(d, "secret 0: ")
            await d.press(*"abc")
            assert "abc" not in d.text() and "secret 0: •••" in d.text(), d.text()
            await d.press("enter")
            await asks(d, "secret 1: ")
            assert d.main.notebook.asked.line.has_focus and not d.main.notebook.asked.line.value
            await d.press("enter")
            await d.idle()
            assert "secret 0: ········\n 3\n secret 1: ········\n 0" in d.rows("notebook")

    asyncio.run(run())


def test_pdb_in_a_cell_with_a_word_how_to_stop_here(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "a.py", ASKS)) as d:
            await d.press("right_curly_bracket", "right_curly_bracket", "ctrl+r")
            await asks(d, "(Pdb) ")
            words = " ".join(d.text().split())
            assert "breakpoint() instead stops in Tapebook itself" in words, d.text()
            first = d.session.questions.open
            await d.press(*"p n + 100", "enter")
            await d.until(lambda: d.session.questions.open not in (None, first), "the next one")
            assert "(Pdb) p n + 100\n 103" in d.rows("notebook"), d.rows("notebook")
            await d.press("up")
            assert d.main.notebook.asked.line.value == "p n + 100"
            await d.press("ctrl+u", "c", "enter")
            await d.idle()
            assert "(Pdb) c\n 3" in d.rows("notebook"), d.rows("notebook")

    asyncio.run(run())


def test_interrupt_escape_and_back(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "a.py", ASKS)) as d:
            await d.press("ctrl+r")
            await asks(d, "who are you? ")
            await d.press(*"an", "escape")
            assert d.main.notebook.view.has_focus and "Q answers" in d.text(), d.text()
            await d.press("2", "n", "p")  # what cannot be done says why
            assert "it pauses when it is answered" in " ".join(d.text().split()), d.text()
            assert d.main.graph.has_focus, "the question takes the focus from no other pane"
            await d.press("Q")
            assert d.main.notebook.asked.line.has_focus
            assert d.main.notebook.asked.line.value == "an"
            await d.press("ctrl+c")
            await d.idle()
            assert "KeyboardInterrupt" in d.rows("notebook")
            assert not d.main.notebook.asked.line.display and "asks" not in d.pane("notebook")
            await d.press("ctrl+r")
            await asks(d, "who are you? ")
            await d.press("ctrl+d")
            await d.idle()
            rows = " ".join(d.rows("notebook").split())
            assert "EOFError: the answer was the end of input" in rows

    asyncio.run(run())


def test_the_focus_is_taken_from_nobody_who_types(tmp_path: Path) -> None:
    async def run() -> None:
        text = ASKS.replace('name = input("who', 'import time; time.sleep(1)\nname = input("who')
        async with program(write(tmp_path / "a.py", text)) as d:
            await d.press("enter", "ctrl+r")
            assert d.main.notebook.editing
            await d.press("x")
            await asks(d, "who are you? ")
            assert d.main.notebook.editor.has_focus, d.text()
            await d.press("escape", "Q", *"ann", "enter")
            await d.idle()
            await d.press("z")
            await d.press("enter", "ctrl+r")  # who has only run it is asked where he is
            await asks(d, "who are you? ")
            assert d.main.notebook.asked.line.has_focus and not d.main.notebook.editing
            await d.press(*"ben", "enter")
            await d.idle()
            assert "hello ben" in d.rows("notebook")

    asyncio.run(run())


def test_long_and_strange_prompts(tmp_path: Path) -> None:
    async def run() -> None:
        text = '# %%\nred = "\\x1b]0;x\\x07[bold]\\x1b[31mred: "\n'
        text += 'for p in ("ab " * 70, "one\\ntwo\\n", red):\n'
        text += "    print(repr(input(p)))\n"
        async with program(write(tmp_path / "a.py", text), (80, 24)) as d:
            await d.press("ctrl+r")
            await asks(d, "ab " * 70)
            await d.press(*"first", "enter")
            await asks(d, "one\ntwo\n")
            await d.press(*"second", "enter")
            await d.until(lambda: d.session.questions.open is not None, "the last")
            pane = d.rows("notebook")
            assert "red: " in pane and "\x1b" not in pane and "'second'" in pane
            await d.press(*"third", "enter")
            await d.idle()
            assert "'first'" in d.rows("notebook") and "'third'" in d.rows("notebook")

    asyncio.run(run())


SCRIPT = """\
import framework as torch

name = input("who are you? ")
print("hello", name, float(torch.ones(2).sum()))
"""


def _connect(who: str) -> Client:
    while True:
        try:
            return Client.connect("asks", who=who)
        except SessionError:
            continue


def test_two_windows_of_a_script_and_who_may_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    script = write(tmp_path / "asks.py", SCRIPT)
    read, write_end = os.pipe()

    async def scenario() -> str:
        program = subprocess.Popen(
            [sys.executable, "-m", "app", "run", str(script)], stdin=read,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            ann = await asyncio.to_thread(_connect, "ann")
            async with bare(ann) as first:
                await asks(first, "who are you? ")
                async with bare(await asyncio.to_thread(_connect, "ben")) as second:
                    await asks(second, "who are you? ")
                    assert "who are you? (T to answer)" in second.text(), second.text()
                    assert not second.main.notebook.asked.line.display
                    await second.press("Q")
                    assert "not done: you observe, ann controls" in second.session.message
                    assert first.main.notebook.asked.line.display, first.text()
                    assert "[*]" in first.text()
                    await second.press("T")
                    await second.until(lambda: not second.session.observing, "control")
                    await first.until(lambda: first.session.observing, "that it is gone")
                    assert not first.main.notebook.asked.line.display, first.text()
                    await second.press("Q", *"ben", "enter")
                    await first.until(lambda: first.session.questions.open is None, "the answer")
            out, _ = await asyncio.to_thread(program.communicate, timeout=120)
            return out
        finally:
            program.kill()
            program.wait()

    def bare(client: Client):  # type: ignore[no-untyped-def]
        return window(client, waits=False)

    assert "hello ben 2.0" in asyncio.run(scenario())
    os.close(read)
    os.close(write_end)


LOOP = """\
# %%
import framework as torch
w = torch.ones(3, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)

# %%
for step in range(9):
    loss = (w * w).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if input("go on? ") != "y":
        break
"""


def test_a_branch_asks_and_the_program_still_stands(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "a.py", LOOP)) as d:
            await d.press("ctrl+r")
            await d.idle()
            d.session.add_breakpoint(op="sum")
            await d.press("right_curly_bracket", "ctrl+r")
            await d.stopped()
            await d.press("e", *"w[0] = 5.0", "enter")
            await d.until(
                lambda: d.session.whatif.branch and d.session.whatif.branch.edits, "the branch"
            )
            await d.press("c")
            await asks(d, "go on? ")
            await d.press("y", "enter")
            await d.stopped()
            assert "go on? y" in d.rows("notebook")
            await d.press("D")
            await d.until(lambda: len(d.app.screen_stack) > 2, "the comparison")
            await d.until(lambda: "w[0] = 5.0" in d.text(), "what was edited")
            await d.press("escape", "X", "d")
            await d.until(lambda: d.session.whatif.branch is None, "the program")
            assert d.session.state == "paused" and d.session.questions.open is None
            assert "go on?" not in d.rows("notebook").split("break")[-1]
            await d.press("c")
            await asks(d, "go on? ")
            await d.press("n", "enter")
            await d.idle()

    asyncio.run(run())


def test_a_window_that_comes_late_knows_the_cell_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a notebook's kernel: its cell, its number, and what it asks."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    async def run() -> None:
        async with program(write(tmp_path / "asks.py", ASKS)) as d:
            await d.press("ctrl+r")
            await asks(d, "who are you? ")
            client = await asyncio.to_thread(_connect, "late")
            async with window(client) as late:
                await asks(late, "who are you? ")
                assert "[*]" in late.pane("notebook").split("\n")[0], late.text()
                assert "asks" in late.pane("notebook").split("\n")[0], late.text()
                await d.press(*"ann", "enter")
                await d.idle()
                await late.until(lambda: late.session.state == "idle", "its end")
                await late.until(lambda: "[1]" in late.pane("notebook"), "its number")

    asyncio.run(run())
