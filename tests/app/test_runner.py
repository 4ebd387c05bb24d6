"""`tapebook run`: scripts and notebooks as ``__main__``, breakpoints, the console."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from command_line import NAN, Terminal, tapebook, write

from app.cli import main
from app.runner import parse_break

pytestmark = pytest.mark.usefixtures("runtime")

# -- a program as Python would run it -------------------------------------------------------------


def test_a_script_runs_as_main(tmp_path):
    (tmp_path / "beside.py").write_text("VALUE = 5\n")
    script = write(
        tmp_path / "script.py",
        "import os, sys, beside\n"
        "print(__name__, sys.argv[1:], os.path.basename(__file__), beside.VALUE)\n"
        "import __main__\nprint(__main__.beside is beside)\n",
    )
    done = tapebook("run", script, "--", "--break", "a b")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "__main__ ['--break', 'a b'] script.py 5\nTrue\n"


def test_a_notebook_s_own_ways_work(tmp_path):
    """Magics, ``display``, ``name?`` and a top-level ``await``, as in the kernel."""
    sources = [
        "%matplotlib inline\nx = 1",
        "display('shown')\nx?",
        "import asyncio\nawait asyncio.sleep(0)\nprint('awaited')",
    ]
    cells = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "outputs": [],
         "execution_count": None, "source": source}
        for i, source in enumerate(sources)
    ]  # fmt: skip
    document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    done = tapebook("run", write(tmp_path / "n.ipynb", json.dumps(document)))
    assert done.returncode == 0, done.stderr
    assert "shown" in done.stdout and "int" in done.stdout and "awaited" in done.stdout


def test_a_notebook_runs_cell_by_cell(tmp_path):
    cells = [
        {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "# Title"},
        {"cell_type": "code", "id": "one", "metadata": {}, "outputs": [], "execution_count": None,
         "source": "x = 3\n%time y = x + 1"},
        {"cell_type": "code", "id": "two", "metadata": {}, "outputs": [], "execution_count": None,
         "source": "def f():\n    return 1 / (y - 4)\n\nprint('y', y)\nf()"},
    ]  # fmt: skip
    path = write(
        tmp_path / "n.ipynb",
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}),
    )
    done = tapebook("run", path)
    assert done.returncode == 1
    assert "y 4" in done.stdout
    assert "cell 3, line 5, in <module>" in done.stderr
    assert "return 1 / (y - 4)" in done.stderr


@pytest.mark.parametrize(
    "code, status, said",
    [
        ("raise SystemExit(7)", 7, ""),
        ("import sys; sys.exit()", 0, ""),
        ("import sys; sys.exit('the reason')", 1, "the reason\n"),
        ("x = (", 1, "SyntaxError"),
        ("raise KeyboardInterrupt", 130, "interrupted at"),
        ("import os; os._exit(9)", 9, ""),
    ],
)
def test_exit_statuses(tmp_path, code, status, said):
    done = tapebook("run", write(tmp_path / "s.py", code))
    assert done.returncode == status
    assert said in done.stderr
    assert "app/runner.py" not in done.stderr


def test_mixed_devices_are_all_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TAPEBOOK_FAKE_CUDA", "1")
    script = write(
        tmp_path / "mixed.py",
        "import framework as torch\nx = torch.ones(2)\ny = torch.ones(2, device='cuda')\nx + y\n",
    )
    told = tapebook("run", script, "--no-listen").stderr.splitlines()[-1]
    assert "add of [2] float32 cpu (" in told and "and [2] float32 cuda:0 (" in told


def test_an_exception_shows_the_users_frames_and_the_op_with_its_operands(tmp_path):
    script = write(
        tmp_path / "bad.py",
        "import framework as torch\nfrom framework import nn\n"
        "model = nn.Sequential(nn.Linear(4, 3))\ndef train(x):\n    return model(x)\n"
        "train(torch.ones(2, 5))\n",
    )
    assert tapebook("run", script, "--no-listen").returncode == 1
    done = tapebook("run", script)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [m[1] for line in lines if (m := re.search(r'File "(.*?)"', line))] == [str(script)] * 2
    assert lines[-1] == (
        "failing op: linear in model.0 of [2, 5] float32 (from ones at bad.py:6) and [3, 4] "
        f"float32 (model.0.weight) and [3] float32 (model.0.bias), at {script}:5"
    )


def test_control_characters_of_a_program_do_not_reach_the_terminal_from_us(tmp_path):
    script = write(tmp_path / "s.py", "raise ValueError('\\x1b]52;c;evil\\x07')")
    done = tapebook("run", script)
    assert "\x1b" not in done.stderr and "evil" in done.stderr


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_termination_runs_exit_handlers_and_leaves_no_files(tmp_path, runtime, number, status):
    script = write(
        tmp_path / "s.py",
        "import atexit, time\natexit.register(lambda: print('handler ran'))\n"
        "try:\n    print('up', flush=True)\n    time.sleep(1000)\n"
        "finally:\n    print('finally ran')\n",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "run", script], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "up\n"
    process.send_signal(number)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == status
    assert out == "finally ran\nhandler ran\n"
    assert list((runtime / "tapebook").iterdir()) == []


def test_interrupt_names_the_place(tmp_path):
    code = "n = 0\nwhile True:\n    n += 1\n    if n == 9: print('up', flush=True)\n"
    script = write(tmp_path / "s.py", code)
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "run", script],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert re.fullmatch(rf"tapebook: interrupted at {re.escape(str(script))}:[234]\n", err)


# -- breakpoints ----------------------------------------------------------------------------------


def test_the_first_nan_is_reported_with_all_there_is_to_know(nan):
    done = tapebook("run", nan, "--break", "nan")
    assert done.returncode == 1
    out = done.stdout
    assert re.search(r"── stopped: nan: \d NaN of 8: log in net, forward, step 1 ──", out)
    assert "log  in module net  (forward)" in out
    line = NAN.splitlines().index("        return torch.log(h - h.max())") + 1
    assert f"{nan}:{line} in forward" in out
    assert f"→ {line:>4}          return torch.log(h - h.max())" in out
    assert re.search(
        r"inputs\n  from sub at nan_net.py:\d+ +\[2, 4\] float32 +no NaN or Inf of 8; min -", out
    )
    assert re.search(r"outputs\n  result +\[2, 4\] float32 +7 NaN, 1 Inf of 8", out)
    assert re.search(rf"call stack\n  {re.escape(str(nan))}:{line} in forward", out)
    assert "in <module>    out = net(torch.randn(2, 4))" in out
    assert "step 0" not in out
    assert "app/" not in out.split("call stack")[1].split("\n\n")[0]


@pytest.mark.parametrize(
    "point, title, status",
    [
        ("inf", "log  in module net", 1),
        ("absmax > 0.5", "randn", 1),
        ("op:log", "log  in module net", 1),
        ("op:log if inf", "log  in module net", 1),
        ("module:net.lin", "linear  in module net.lin", 1),
        ("nan_net.py:20", "stopped: breakpoint 1", 1),
        ("op:conv2d", None, 0),
        ("op:linear if absmax > 1e30", None, 0),
    ],
)
def test_forms_of_breakpoints(nan, point, title, status):
    done = tapebook("run", nan, "--break", point, cwd=nan.parent)
    assert done.returncode == status, done.stdout + done.stderr
    assert (title is None) == ("stopped" not in done.stdout)
    assert (title or "") in done.stdout


def test_break_in_backward_and_on_an_error(tmp_path):
    script = write(
        tmp_path / "s.py",
        "import framework as torch\nx = torch.zeros(3, requires_grad=True)\n"
        "y = x.sqrt()\ny.sum().backward()\ntorch.ones(2) @ torch.ones(3)\n",
    )
    done = tapebook("run", script, "--break", "inf")
    assert "sqrt backward  outside of any module  (backward)" in done.stdout
    assert "gradients out" in done.stdout and "3 Inf of 3" in done.stdout
    done = tapebook("run", script, "--break", "error")
    assert "stopped: exception: RuntimeError" in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize(
    "text, problem",
    [
        ("", "got no place and no condition, expected nan, inf, absmax > X"),
        ("foo", "got 'foo', expected nan, inf, absmax > X"),
        ("absmax", "needs a number: absmax > 1e3"),
        ("absmax > x", "needs a number: absmax > 1e3, got 'x'"),
        ("op:", "got no name after op, expected op NAME"),
        ("op:/(/", "bad regular expression /(/"),
        ("file.py:", "got 'file.py:', expected nan, inf"),
        ("op:exp if", "the condition after if is missing, expected nan, inf"),
        ("op:exp if foo", "got 'foo' after if, expected nan, inf"),
        ("grad model.0.weight nrm > 10", "got 'nrm', expected nan, inf"),
        ("update * absmax > 1 after x", "got 'x' after after, expected a number from 1 on"),
        ("op exp where 1 +", "where needs a Python expression such as x.max() > 3"),
    ],
)
def test_a_bad_breakpoint_is_refused_before_the_program_runs(nan, text, problem, capfd):
    """In one line that says what was got, what was expected, and shows an example."""
    assert main(["run", str(nan), "--break", text]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1 and problem in err


def test_breakpoints_that_were_never_hit_are_told_of_at_the_end(nan, capfd):
    spots = ["op nosuch", "in lin if absmax > 1e9", "op linear every 50"]
    flags = [flag for spot in spots for flag in ("--break", spot)]
    assert main(["run", str(nan), *flags]) == 0
    lines = capfd.readouterr().err.splitlines()
    assert lines == [f"tapebook: breakpoint {n} was never hit" for n in (1, 2)]


def test_a_line_past_the_end_of_the_file_is_refused(nan, capfd):
    assert main(["run", str(nan), "--break", f"{nan.name}:99"]) == 2
    out, err = capfd.readouterr()
    assert out == "" and err.count("\n") == 1
    assert f"'{nan.name}:99': {nan.name} has 21 lines" in err


def test_parse_break():
    point = parse_break("module:/enc.*/ if absmax > 10", 3)
    assert (point.id, point.module, point.condition) == (3, "/enc.*/", "absmax > 10")
    point = parse_break("C:/a b/train.py:12", 1)
    assert (point.file, point.line, point.phase) == ("C:/a b/train.py", 12, "forward")


# -- rules ---------------------------------------------------------------------------------------

DEAD = """\
import framework as torch
from framework import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
with torch.no_grad():
    model[0].bias.fill_(%s)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(30):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(torch.randn(4, 8)), torch.tensor([0, 1, 0, 1])).backward()
    optimizer.step()
print("trained")
"""


def test_rules_end_the_run_with_status_1_a_report_and_a_recording(tmp_path):
    script = write(tmp_path / "dead.py", DEAD % "-50.0")
    done = tapebook("run", script, "--rules", "default", "--record", "out.tape", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    report = done.stderr
    assert "12 rules, 9 training steps: 1 finding" in report
    assert f"rule dead_relu: relu in model.1\n  at     {script}:10\n  step   10" in report
    assert "  try    " in report and "Traceback" not in report
    assert tapebook("verify", tmp_path / "out.tape").returncode == 0


def test_rules_let_a_sound_program_run_to_its_end(tmp_path):
    script = write(tmp_path / "sound.py", DEAD % "0.0")
    done = tapebook("run", script, "--rules", "default")
    assert done.returncode == 0 and done.stdout == "trained\n"
    assert done.stderr == "12 rules, 30 training steps: nothing found\n"


def test_thresholds_of_one_s_own(tmp_path):
    script = write(tmp_path / "sound.py", DEAD % "0.0")
    mine = write(tmp_path / "my.toml", "[loss_not_falling]\nsteps = 20\nfall = 0.9\n")
    done = tapebook("run", script, "--rules", "default", "--rules", mine)
    assert done.returncode == 1 and "rule loss_not_falling: the loss" in done.stderr
    mine.write_text("[loss_not_falling]\nstep = 20\n")
    done = tapebook("run", script, "--rules", mine)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (
        f"tapebook: {mine}: [loss_not_falling] has no 'step'; it has enabled, steps, fall\n"
    )


def test_a_condition_that_cannot_be_judged_is_told(nan):
    done = tapebook("run", nan, "--break", "op log where x.nope")
    assert done.returncode == 0
    assert "breakpoint 1 could not be judged: where x.nope: AttributeError" in done.stderr


def test_a_parameter_that_there_is_not_is_told(tmp_path):
    script = write(tmp_path / "sound.py", DEAD % "0.0")
    done = tapebook("run", script, "--break", "grad model.9.weight norm > 1")
    assert done.returncode == 0
    assert "breakpoint 1: nothing is called model.9.weight; there are " in done.stderr
    assert "model.0.weight" in done.stderr and done.stderr.count("\n") == 1


def test_break_on_a_gradient_shows_its_node_with_what_came_in_and_went_out(tmp_path):
    script = write(tmp_path / "sound.py", DEAD % "0.0")
    done = tapebook("run", script, "--break", "grad model.0.weight norm > 0 after 2")
    assert done.returncode == 1
    assert "gradient of model.0.weight, backward, step 3" in done.stdout
    shown = done.stdout
    assert "linear backward  in module model.0  (backward)" in shown
    assert shown.index("gradient in") < shown.index("gradients out")
    assert "[4, 16] float32" in shown and "[16, 8] float32" in shown
    assert re.search(r"^accumulated\n  model\.0\.weight\.grad +\[16, 8\] float32 ", shown, re.M), (
        shown
    )


# -- the console in a real terminal ---------------------------------------------------------------


def test_a_failure_in_a_terminal_opens_post_mortem_at_the_op_that_raised(tmp_path):
    script = write(
        tmp_path / "bad.py",
        "import framework as torch\nfrom framework import nn\n"
        "model = nn.Sequential(nn.Linear(4, 3))\n"
        "def features(n):\n    return torch.ones(2, n) * 2\n"
        "def train(x):\n    width = x.shape[1]\n    return model(x)\n"
        "train(features(5))\n",
    )
    terminal = Terminal("run", script)
    shown = terminal.expect("(tapebook) ")
    assert "linear  in module model.0" in shown and "post mortem" in shown
    assert "from mul at bad.py:5" in shown and "[2, 5] float32" in shown
    assert "model.0.weight" in shown and "[3, 4] float32" in shown
    assert "5" in terminal.ask("p width"), "the variables of the frame that failed"
    assert "bad.py:8 in train" in terminal.ask("bt")
    told = terminal.ask("w")
    assert "linear: failed at bad.py:8 in model.0: RuntimeError" in told
    assert "return torch.ones(2, n) * 2" in told, "who made the operand"
    assert "the program has failed here" in terminal.ask("n")
    assert "mul  outside of any module" in terminal.ask("N")
    terminal.send("q")
    assert terminal.end() == 1

    quiet = Terminal("run", script, "--no-pm")
    quiet.expect("failing op: linear")
    assert quiet.end() == 1


OWN = """\
import framework as torch
from framework import nn
class Gate(nn.Module):
    def forward(self, x):
        try:
            if x.shape[0] % 2:
                raise ValueError(f"an even batch, not {x.shape[0]}")
        finally:
            torch.zeros(1)
        return x
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.gate = nn.Linear(4, 8), Gate()
    def forward(self, x):
        return self.gate(self.first(x))
net = Net()
for size in (2, 5):
    net(torch.randn(size, 4))
"""


def test_an_error_of_a_modules_own_code_names_the_module_and_the_line(tmp_path):
    """Not the last op, which was fine, nor the line at which the frame ended."""
    script = write(tmp_path / "own.py", OWN)
    done = tapebook("run", script)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "failing module: net.gate (Gate) of [5, 8] float32 (from linear at own.py:16), "
        f"at {script}:7"
    )
    terminal = Terminal("run", script)
    shown = terminal.expect("(tapebook) ")
    shown = shown[shown.index("module net.gate  (Gate) raised") :]
    assert f"{script}:7 in forward" in shown and "from linear at own.py:16" in shown
    assert "→    7                  raise ValueError" in shown and "zeros  in" not in shown
    assert "own.py:7 in forward" in terminal.ask("bt").split("\n")[1]
    assert "5" in terminal.ask("p x.shape")
    told = terminal.ask("w")
    assert "net.gate Gate: raised ValueError: an even batch, not 5 (called at own.py:16)" in told
    assert "return self.gate(self.first(x))" in told, "who made its input"
    assert "the program is over: change it at a stop before" in terminal.ask("e x[0] = 1")
    assert "the program is over: it stops nowhere" in terminal.ask("b nan")
    assert "zeros  in module net.gate" in terminal.ask("N")
    terminal.send("q")
    assert terminal.end() == 1


def test_an_error_in_the_backward_of_a_function_names_the_node_and_the_line(tmp_path):
    script = write(
        tmp_path / "cube.py",
        "import framework as torch\nclass Cube(torch.autograd.Function):\n"
        "    @staticmethod\n    def forward(ctx, x):\n        return x ** 3\n"
        "    @staticmethod\n    def backward(ctx, g):\n        raise ValueError('not yet')\n"
        "x = torch.ones(2, requires_grad=True)\ny = Cube.apply(x)\n(y * 2).sum().backward()\n",
    )
    done = tapebook("run", script)
    assert done.stderr.splitlines()[-1] == (
        f"failing node: Cube backward of [2] float32, at {script}:8"
    )
    terminal = Terminal("run", script)
    shown = terminal.expect("(tapebook) ")
    assert "raised in Cube backward" in shown and "→    8          raise ValueError" in shown
    gradient = shown[shown.index("gradient in") :].split("\n")[1]
    assert "[2] float32" in gradient and "max 2" in gradient
    terminal.send("q")
    assert terminal.end() == 1


def test_an_error_outside_of_ops_and_modules_is_shown_at_its_line(tmp_path):
    """An op that raised before, and was caught, is not blamed for it."""
    script = write(
        tmp_path / "loop.py",
        "import framework as torch\nx = torch.ones(2, 3)\ntry:\n    x @ x\n"
        "except RuntimeError:\n    pass\nnames = {}\nnames['loss']\n",
    )
    assert "failing" not in tapebook("run", script).stderr
    terminal = Terminal("run", script)
    shown = terminal.expect("(tapebook) ")
    assert "raised outside of ops and modules" in shown and "→    8  names['loss']" in shown
    terminal.send("q")
    assert terminal.end() == 1


def test_why_and_a_gradient_check_at_the_prompt(nan):
    terminal = Terminal("run", nan, "--break", "nan")
    terminal.expect("(tapebook) ")
    told = terminal.ask("w")
    assert "its NaN began at log at nan_net.py" in told and "log of a negative number" in told
    assert "is no tensor" in terminal.ask("w 1 + 1")
    told = terminal.ask("w x")
    assert "nothing is wrong with x itself; in its step there is:" in told
    assert "its NaN began at log" in told
    assert "not finite" in terminal.ask("G") or "finite differences" in terminal.ask("G")
    terminal.send("q")
    assert terminal.end() == 1


def test_it_is_what_the_op_made_and_lines_are_edited_at_the_prompt(nan):
    terminal = Terminal("run", nan, "--break", "op:linear")
    terminal.expect("(tapebook) ")
    assert "(2, 4)" in terminal.ask("p tuple(it.shape)")
    assert "False" in terminal.ask("p bool((it != it).any())")
    assert "NameError" in terminal.ask("p its")
    assert "linear" in terminal.ask("w it")
    assert "7" in terminal.ask("p 3 + 4")
    os.write(terminal.master, b"\x1b[A\x7f5\n")  # up, backspace, 5
    assert "8" in terminal.expect("(tapebook) ").partition("5\n")[2]
    terminal.send("q")
    assert terminal.end() == 1


def test_what_is_no_op_is_called_by_its_name(tmp_path):
    """A stop before a line shows the line; at a module or a cell, that."""
    book = write(tmp_path / "book.py", "# %%\nx = 1\n# %%\ny = 1\nz = x + y\n")
    done = tapebook("run", book, "--break", "at cell 2, line 2")
    assert "  →    5  z = x + y\n" in done.stdout, done.stdout
    script = write(
        tmp_path / "s.py",
        "breakpoint()\nimport framework as torch\nfrom framework import nn\n"
        "class Bad(nn.Module):\n    def forward(self, x):\n        raise KeyError('no')\n"
        "model = nn.Sequential(nn.Linear(4, 3), Bad())\n"
        "y = torch.ones(2, 4)\nmodel(y)\n",
    )
    done = tapebook("run", script, "--break", "s.py:9")
    assert "→    1  breakpoint()\n" in done.stdout and "NoneType" not in done.stdout
    write(script, script.read_text().removeprefix("breakpoint()"))
    done = tapebook("run", script, "--break", "s.py:9")
    assert "→    9  model(y)\n" in done.stdout and "ones  outside" not in done.stdout
    done = tapebook("run", script, "--break", "error")
    assert re.search(
        r"KeyError: 'no' ──\n\nthe end of module model\.1  \(Bad\)\n.*\n(.*\n)+"
        r"inputs\n  from linear at s\.py:9 +\[2, 3\] float32 ",
        done.stdout,
    ), done.stdout
    terminal = Terminal("run", script, "--break", "op linear")
    terminal.expect("(tapebook) ")
    assert "module model.1  (Bad)" in terminal.ask("s")
    terminal.send("q")
    assert terminal.end() == 1


def test_the_console_says_that_it_knows_no_such_op(nan):
    terminal = Terminal("run", nan, "--break", "op linear once")
    terminal.expect("(tapebook) ")
    terminal.send("t op nothere")
    terminal.expect("no op like nothere has run yet, and the framework has none: it runs on until")
    terminal.end()


def test_the_console_steps_looks_back_and_goes_on(nan):
    terminal = Terminal("run", nan, "--break", "op:linear")
    first = terminal.expect("(tapebook) ")
    assert "linear  in module net.lin" in first and "n next  s into" in first
    assert "max  in module net" in terminal.ask("n")
    assert "sub  in module net" in terminal.ask("")  # enter repeats
    back = terminal.ask("N")
    assert "max  in module net" in back and "on the tape" in back
    assert "sub  in module net" in terminal.ask("n")
    assert "x " in terminal.ask("v")
    assert "torch.log" not in terminal.ask("p x.shape")
    assert "nan_net.py" in terminal.ask("bt")
    assert "NameError" in terminal.ask("p nothing")
    assert "no command 'zz'" in terminal.ask("zz")
    assert "the next source line" in terminal.ask("h")
    assert "stopped: line" in terminal.ask("l")
    terminal.waits()
    terminal.process.send_signal(signal.SIGINT)
    assert "q ends the program" in terminal.expect("(tapebook) ")
    out = terminal.ask("c")
    assert "step 0" in out and "stopped: breakpoint 1" in out
    terminal.send("q")
    assert terminal.end() == 1


def test_the_console_sets_breakpoints_and_runs_to_a_place(nan):
    terminal = Terminal("run", nan, "--break", "op linear once")
    terminal.expect("(tapebook) ")
    assert "t what? t 12" in terminal.ask("t")
    assert "nan_net.py has " in terminal.ask("t 9999") and "lines" in terminal.ask("b 9999")
    out = terminal.ask("t op s?b")
    assert "sub  in module net" in out and "no op like" not in out
    assert "1  op linear once" in terminal.ask("b")
    assert "breakpoint 2: op linear" in terminal.ask("b op linear")
    assert "2  op linear" in terminal.ask("b")
    assert "nrm" in terminal.ask("t op relu nrm > 3")
    assert "stopped: breakpoint 2" in terminal.ask("c")
    assert "breakpoint 2 is gone" in terminal.ask("cl 2")
    assert "expected a number that b lists" in terminal.ask("cl 2")
    line = NAN.split("\n").index("    out = net(torch.randn(2, 4))") + 1
    there = terminal.ask(f"t {line}")
    assert f"nan_net.py:{line}" in there and "stopped:" in there, there
    terminal.send("q")
    assert terminal.end() == 1


def test_ctrl_d_at_the_console_ends_the_program(nan):
    terminal = Terminal("run", nan, "--break", "nan")
    terminal.expect("(tapebook) ")
    os.write(terminal.master, b"\x04")
    assert terminal.end() == 1
