"""What somebody who uses the program for the first time stumbles over."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from test_attach import _connect, window
from test_explain import report
from ui_driver import MLP, program, write

from app.attach import describe, table
from app.console import Console
from app.console import report as report_of
from app.subject import subject_at
from app.ui.describe import duration_text
from framework.trace.conditions import parse_line

COMMENTED = """\
# %% [markdown]
# # A title

# %%
# what follows is the model
import framework as torch

x = torch.ones(3)
# the end
"""


def test_the_form_takes_no_line_of_a_comment_or_a_heading(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "a.py", COMMENTED), (80, 24), kernel=False) as d:
            view, session = d.main.notebook.view, d.session
            for line in (0, 1):  # the header, and the comment
                view.select(view.rows.row_of(session.notebook.cells[1].id, 1) - 1 + line)
                await d.press("B")
                assert d.app.screen.query_one("#field-line").value == ""
                await d.press("escape")
            view.select_cell(session.notebook.cells[1].id, 4)
            await d.press("B")
            assert d.app.screen.query_one("#field-line").value == "4"
            assert "--break 'at cell 2, line 4'" in d.text(), d.text()
            assert d.app.screen.focused.id == "field-condition"
            first = d.app.screen.query("Input").first()
            assert first.id == "field-condition", "the cursor begins at the top"
            await d.press("escape")
            view.select_cell(session.notebook.cells[1].id, 1)
            await d.press("b")
            assert session.breakpoints[0].line == 2, "the next line of code"
            assert "cell 2, line 2" in session.message

    asyncio.run(run())


def test_a_cell_by_its_number_in_the_form(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (80, 24)) as d:
            await d.press("B", *"at cell 4, line 4", "enter")
            (point,) = d.session.breakpoints
            assert point.file == f"<cell {d.session.notebook.cells[3].id}>" and point.line == 4
            await d.press("f6")
            await d.stopped()
            assert d.session.place == (d.session.notebook.cells[3].id, 4)
            await d.press("B", *"at cell 1, line 1", "enter")
            assert "is text" in d.text()
            await d.press("escape")
            (one,) = [s for s in describe() if s["pid"] == d.session.kernel.pid]
            assert one["stop"] == "cell 4, line 4", one
            assert "paused at cell 4, line 4" in table([one], 0)[1]
            await d.press("D", "enter")
            assert "no step before" in d.session.message
            assert "<cell" not in d.text()

    asyncio.run(run())


def test_the_time_of_a_module_is_without_that_of_the_stops_in_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (120, 40)) as d:
            await d.press("B", *"op relu", "enter", "f6")
            await d.stopped()
            at = d.session.store.event(d.session.stop.seq)
            await d.press("f")  # out of the relu's module
            await d.stopped()
            store, subject = d.session.store, d.session.moment.subject
            end, begin = store.event(d.session.stop.seq), store.event(subject.seq)
            assert begin.seq < at.seq < end.seq
            stood = store.event(at.seq + 1).t - at.t - at.duration
            assert 0 < stood <= end.t - begin.t
            assert store.took(begin, end) == end.t - begin.t - stood
            await d.settled()
            shown = subject_at(store, begin.seq, end.seq)
            assert shown.duration == end.t - begin.t - stood
            assert duration_text(shown.duration) in d.rows("inspector")

    asyncio.run(run())


def test_ps_from_another_folder_names_the_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "mlp.py", MLP)
    (tmp_path / "other").mkdir()

    async def run() -> None:
        monkeypatch.chdir(tmp_path)
        async with program(Path("mlp.py"), (80, 24)) as d:
            await d.press("B", *"op relu", "enter", "f6")
            await d.stopped()
            monkeypatch.chdir(tmp_path / "other")
            (one,) = [s for s in describe() if s["pid"] == d.session.kernel.pid]
            assert one["file"] == str(tmp_path / "mlp.py") and one["stop"].startswith("cell "), one

    asyncio.run(run())


LOOP = MLP.replace("range(3)", "range(4)")


def test_a_step_that_goes_on_is_compared_up_to_where_it_has_come(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", LOOP), (120, 40)) as d:
            await d.press("B", *"op relu step 3", "enter", "f6")
            await d.stopped()
            await d.press("D", "enter")
            await report(d)
            text = d.text()
            assert "the same graph" in text and "has come to relu" in text, text
            assert "only A" not in text

    asyncio.run(run())


AGAIN = """\
# %%
import framework as torch
from framework import nn

torch.manual_seed(0)
x, y = torch.randn(16, 4), torch.randn(16, 1)

# %%
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))

# %%
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(2):
    loss = ((model(x) - y) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_why_knows_that_the_model_was_made_anew(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "a.py", AGAIN), (120, 40)) as d:
            await d.press("f6")
            await d.idle()
            cell = d.session.notebook.cells[1]
            smaller = "model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))"
            d.session.notebook.set_source(cell.id, smaller)
            await d.press("f6")
            await d.idle()
            await d.press("w")
            await report(d)
            assert "nothing is wrong" in d.text(), d.text()

    asyncio.run(run())


def test_a_killed_program_is_dead_and_not_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    script = write(tmp_path / "train.py", TRAIN)
    child = subprocess.Popen([sys.executable, "-m", "app", "run", str(script)])

    async def run() -> None:
        async with window(_connect()) as d:
            await d.until(lambda: d.session.state == "running", "it runs")
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
            await d.until(lambda: d.session.state in ("dead", "finished"), "its end")
            assert d.session.state == "dead"
            assert "killed" in d.session.message and "0 0" not in d.session.message
            assert " dead " in d.text()
            await d.press("n")
            assert "the program is gone" in d.session.message

    try:
        asyncio.run(run())
    finally:
        child.kill()


TRAIN = (
    "import time\nimport framework as torch\nwhile True:\n    torch.ones(3)\n    time.sleep(0.02)\n"
)


def test_a_restart_says_when_it_is_over(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (80, 24)) as d:
            await d.press("0", "0", "0", "0")
            await d.until(lambda: d.session.state == "idle", "the new kernel")
            assert d.session.message == "the kernel is a new one: run the cells again"
            assert "restarting" not in d.text()

    asyncio.run(run())


def test_a_long_message_is_shown_whole(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (80, 24), kernel=False) as d:
            words = " ".join(f"word{n}" for n in range(25))
            d.session.say(words)
            d.app.tick()
            await d.quiet()
            text = " ".join(d.text().split())
            assert words in text, d.text()
            assert d.main.status.size.height == 4
            await d.press("g")
            assert d.main.status.size.height == 1

    asyncio.run(run())


def test_arguments_without_a_name_are_shown_by_their_values(tmp_path: Path) -> None:
    code = "# %%\nimport framework as torch\nx = torch.ones(3)\ny = 1 - x.clamp(0, 9) * 7\n"

    async def run() -> None:
        async with program(write(tmp_path / "a.py", code), (120, 40)) as d:
            await d.press("f6")
            await d.idle()
            rows = d.rows("graph")
            assert "arg1" not in rows
            assert re.search(r"mul 7 ", rows) and re.search(r"sub → y 1, · ", rows), rows

    asyncio.run(run())


def test_continue_behind_says_that_the_model_stands(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (120, 40)) as d:
            await d.press("B", *"op relu step 2", "enter", "f6")
            await d.stopped()
            await d.press("N", "N", "c")
            assert not d.session.behind and d.session.state == "paused"
            assert "c once more runs on" in d.session.message
            await d.press("c")
            await d.idle()

    asyncio.run(run())


def test_exports_say_where_and_overwrite_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (120, 40)) as d:
            monkeypatch.chdir(tmp_path)
            await d.press("f6")
            await d.idle()
            for name in ("mlp-graph.html", "mlp-graph-2.html"):
                await d.press("E", "enter")
                wanted = str(tmp_path / name)
                await d.until(
                    lambda wanted=wanted: (
                        d.session.message.startswith("written") and wanted in d.session.message
                    ),
                    "it",
                )
            (tmp_path / "mine.svg").write_text("mine")
            await d.press("E", *"mine.svg", "enter")  # in place of the name that is offered
            wanted = str(tmp_path / "mine-2.svg")
            await d.until(
                lambda: d.session.message.startswith("written") and wanted in d.session.message,
                "it",
            )
            assert (tmp_path / "mine.svg").read_text() == "mine"

    asyncio.run(run())


def test_an_update_s_state_has_names(capsys: pytest.CaptureFixture[str]) -> None:
    import framework as torch
    from framework.trace import recording
    from framework.trace.gate import Gate

    model = torch.nn.Sequential(torch.nn.Linear(2, 1))
    optimizer = torch.optim.Adam(model.parameters())
    with recording(keep="all") as tape:
        gate = Gate(tape)
        said: list[str] = []

        def console(stop: object) -> str:
            said.extend(report_of(gate, stop))  # type: ignore[arg-type]
            return "continue"

        gate.console = console
        gate.set_breakpoints([parse_line("update * absmax > 0 once", 1)])
        model(torch.ones(3, 2)).sum().backward()
        optimizer.step()
    text = "\n".join(said)
    assert "exp_avg of 0.weight" in text or "exp_avg of model.0.weight" in text, text
    assert not re.search(r"^  #\d", text, re.MULTILINE), text


def test_a_question_mark_is_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["?", "help", "q"])
    console = Console.__new__(Console)
    console.names, console._last, console.gate, console.branch = {}, "", None, ""
    shown: list[str] = []
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    console.say = shown.extend  # type: ignore[method-assign]
    assert console._ask() == "" and console._ask() == ""
    assert sum("the next source line" in line for line in shown) == 2


def run_command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, cwd=cwd,
    )  # fmt: skip


@pytest.mark.parametrize("command", [("export", "-o", "x.html"), ("summary",)])
def test_an_empty_script_is_unusable_input(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "empty.py").write_text("")
    done = run_command(command[0], "empty.py", *command[1:], cwd=tmp_path)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "empty.py: it ran no op" in done.stderr


def test_without_a_terminal_the_file_s_own_problem_comes_first(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"\x7fELF\0\0\1")
    done = run_command("a.py", cwd=tmp_path)
    assert done.returncode == 2 and "binary" in done.stderr, done.stderr


def test_the_parameters_of_a_summary_are_counted_once(tmp_path: Path) -> None:
    (tmp_path / "mlp.py").write_text(MLP)
    done = run_command("summary", "mlp.py", "--step", "1", cwd=tmp_path)
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("(outside")]
    assert "212" not in row, done.stdout
    assert "parameters 212, trainable 212" in done.stdout


TWICE = """\
# %%
n = globals().get("n", 0) + 1

# %%
import time

while n == 1:
    time.sleep(0.01)

# %%
done = n
"""


@pytest.mark.parametrize("paused", [False, True])
def test_all_cells_asked_for_right_after_an_interrupt_run(tmp_path: Path, paused: bool) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "a.py", TWICE)) as d:
            session = d.session
            second, third = (cell.id for cell in session.notebook.cells[1:])
            if paused:
                await d.press("B", *"at cell 2, line 4 once", "enter")
            await d.press("f6")
            if paused:
                await d.stopped()
            await d.until(lambda: session.executing == second, "the loop")
            await d.press("ctrl+c", "f6")
            await d.until(lambda: session.runs[third].state == "done", "all cells")
            assert [session.notebook.cell(c).execution_count for c in (second, third)] == [4, 5]
            assert session.runs[second].state == "done"

    asyncio.run(run())


def test_cells_that_wait_for_a_paused_one_are_spoken_of(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP)) as d:
            await d.press("B", *"op relu", "enter", "f6")
            await d.stopped()
            await d.press("f6")
            assert "cell 4 is paused, the others wait for it: c goes on" in d.text(), d.text()
            assert d.session.state == "paused"

    asyncio.run(run())


def test_opening_another_asks_when_a_cell_stands(tmp_path: Path) -> None:
    async def run() -> None:
        write(tmp_path / "other.py", "# %%\na = 1\n")
        async with program(write(tmp_path / "mlp.py", MLP)) as d:
            await d.press("B", *"op relu", "enter", "f6")
            await d.stopped()
            await d.press("f3", *str(tmp_path / "other.py"), "enter")
            assert "cell 4 is paused" in d.text(), d.text()
            await d.press("escape")
            assert d.app.next_path is None and d.session.state == "paused"
            await d.press("f3", *str(tmp_path / "other.py"), "enter", "o")
            await d.until(lambda: d.app._exit, "its end")
            assert d.app.next_path == str(tmp_path / "other.py")

    asyncio.run(run())


def test_the_optimizer_s_step_and_modules_have_something_to_say(tmp_path: Path) -> None:
    """`I` goes from the update to the gradient's makers; `G` says what it is for."""

    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP)) as d:
            await d.press("f6")
            await d.idle()
            await d.press("2", "g", "g")
            graph = d.main.graph
            kinds = [
                row.item.kind for row in map(graph.outline.rows.__getitem__, range(graph.count()))
            ]
            graph.select(kinds.index("optimizer"))
            await d.press("I")
            await report(d)
            text = d.text()
            assert "what feeds SGD" in text and "nothing that is on the tape" not in text
            for name in ("model.0.weight", "model.2.bias", "linear backward", "loss_of"):
                assert name in text, text
            await d.press("escape", "U")
            await report(d)
            assert "nothing that is on the tape" not in d.text()
            assert re.search(r"model\.2\.weight +f32\[4,16\] +parameter", d.text()), d.text()
            starts = {line.index("f32[") for line in d.text().split("\n") if "  parameter " in line}
            assert len(starts) == 1, d.text()
            await d.press("escape", "G")
            assert "SGD is an optimizer's step" in d.session.message
            graph.select(kinds.index("module"))
            await d.press("G")
            assert "is a module: space opens it" in d.session.message

    asyncio.run(run())


def test_the_arguments_of_an_op_are_called_as_its_function_calls_them(tmp_path: Path) -> None:
    async def run() -> None:
        async with program(write(tmp_path / "mlp.py", MLP), (80, 24)) as d:
            await d.press("f6")
            await d.idle()
            await d.press("3")
            text = " ".join(d.rows("inspector").split())
            assert "cross_entropy" in text and "ignore_index=-100" in text, text
            assert "reduction='mean'" in text and "label_smoothing=0.0" in text, text

    asyncio.run(run())


@pytest.mark.parametrize("size", [(40, 10), (80, 24), (120, 40)], ids=str)
def test_the_help_is_searched(tmp_path: Path, size: tuple[int, int]) -> None:
    async def run() -> None:
        path = write(tmp_path / "mlp.py", MLP)
        async with program(path, size, kernel=False) as d:

            def shown(text: str, but: str = "\0") -> Callable[[], bool]:
                return lambda: text in d.text() and but not in d.text()

            await d.press("f1")
            await d.until(shown("/ search"), "the help")
            await d.press("slash", *"breakpoint cond")
            await d.until(shown("Breakpoint with a", but="Next op"), "what is searched")
            await d.press("enter", "escape")  # all keys again
            await d.until(shown("Esc closes"), "all keys")
            assert d.app.screen is not d.main
            await d.press("slash", *"ctrl+r")
            await d.until(shown("Run the cell"), "what the key does")
            await d.press("escape", "slash", *"xyzzy")
            await d.until(shown("no key has to do with"), "that there is none")
            await d.press("escape", "escape")
            await d.until(lambda: d.app.screen is d.main, "the main screen")

    asyncio.run(run())


def test_the_form_is_usable_in_the_smallest_terminal(tmp_path: Path) -> None:
    async def run() -> None:
        path = write(tmp_path / "mlp.py", MLP)
        async with program(path, (40, 10), kernel=False) as d:
            await d.press("2", "B")
            for label in ("stop when", "op", "module", "parameter", "line", "of", "limits"):
                assert f"│{label} " in d.text(), d.text()
            assert "Enter sets it" in d.text(), d.text()
            await d.press(*"norm > 3", "down", *"relu")
            assert "--break 'op relu norm > 3'" in d.text(), d.text()
            await d.press(*["down"] * 5, *"every x", "enter")
            assert "│limits     every x" in d.text(), "what is wrong stays in sight"
            assert "got 'x' after every" in d.text(), d.text()
            await d.press(*["backspace"], "2", "enter")
            (point,) = d.session.breakpoints
            assert (point.op, point.condition, point.every) == ("relu", "norm > 3", 2)

    asyncio.run(run())
