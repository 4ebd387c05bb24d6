"""`tapebook run` with a viewer, what-if and comparisons at the prompt, the words it takes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import Terminal, tapebook, write

from app.cli import main
from app.recording import time_lines, worked
from app.session import Session
from framework.trace import open_tape
from framework.trace import session as sessions
from framework.trace.client import Client
from framework.trace.events import ModuleBegin
from framework.trace.playback import Playback
from framework.trace.protocol import StateChanged

pytestmark = pytest.mark.usefixtures("runtime")


def _session_of(process):
    end = time.monotonic() + 60
    while not (found := [s for s in sessions.sessions() if s.pid == process.pid]):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.02)
    return found[0]


def test_a_viewer_attaches_to_a_running_program(tmp_path):
    script = write(
        tmp_path / "loop.py",
        "import framework as torch\nw = torch.ones(4, requires_grad=True)\n"
        "for step in range(10**9):\n    loss = (w * 2).exp().sum()\n    loss.backward()\n",
    )
    process = subprocess.Popen([sys.executable, "-m", "app", "run", script])
    try:
        session = _session_of(process)
        assert session.name == f"loop-{process.pid}" and session.file == str(script)
        with Client.connect(session) as client:
            client.request("breakpoints", breakpoints=[{"id": 1, "op": "exp"}]).result(60)
            end = time.monotonic() + 60
            stop = None
            while stop is None:
                assert time.monotonic() < end
                time.sleep(0.005)
                while client.inbox:
                    message = client.inbox.popleft()
                    if isinstance(message, StateChanged) and message.stop:
                        stop = message.stop
            assert (stop.source.file, stop.source.line) == (str(script), 4)
            assert [f.source.function for f in client.request("stack").result(60)] == ["<module>"]
            assert "step" in [v.name for v in client.request("variables").result(60)]
            listed = tapebook("ps").stdout
            assert session.name in listed and str(script) in listed
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_without_listening_there_is_no_session(tmp_path):
    script = write(
        tmp_path / "s.py",
        "from framework.trace.session import sessions\nprint(len(sessions()))\n",
    )
    assert tapebook("run", script).stdout == "1\n"
    assert tapebook("run", script, "--no-listen").stdout == "0\n"


def test_a_directory_that_cannot_be_used_does_not_stop_the_program(tmp_path, monkeypatch):
    (tmp_path / "tapebook").write_text("in the way")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    done = tapebook("run", write(tmp_path / "s.py", "print('ran')"))
    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "nobody can attach" in done.stderr and done.stderr.count("\n") == 1


WHAT_IF = """\
import framework as torch
from framework import nn
torch.manual_seed(0)
model = nn.Linear(4, 1)
opt = torch.optim.SGD(model.parameters(), lr=0.1)
scale = 1.0
for step in range(3):
    out = model(torch.ones(2, 4)).tanh()
    loss = (out * scale).pow(2).sum()
    opt.zero_grad()
    loss.backward()
    opt.step()
    print("loss", step, f"{loss.item():.4f}", flush=True)
print("over", flush=True)
"""


def test_what_if_at_the_prompt_is_a_copy_that_is_left_or_adopted(tmp_path):
    script = write(tmp_path / "what.py", WHAT_IF)
    terminal = Terminal("run", script, "--break", "op tanh once")
    terminal.expect("(tapebook) ")
    for line in ("x", "a", "D"):
        assert "this is the program itself" in terminal.ask(line)
    assert "is no assignment" in terminal.ask("e it =")
    said = terminal.ask("e it = missing")
    assert "NameError" in said and "the branch is dropped" in said, "it is not left in a branch"
    said = terminal.ask("e it = 0", "(what if) ")
    assert "what if it = 0" in said and "x drops this branch" in said
    said = terminal.ask("+", "(what if) ")
    assert "the end of training step 1 (SGD)" in said
    assert "nn.Linear" not in terminal.ask("p scale", "(what if) ")
    assert "loss 0 0.0000" in terminal.ask("+", "(what if) "), "the loss of zeros"
    said = terminal.ask("x")
    assert "the branch is dropped; this is the program where it was" in said
    assert "1.0" in terminal.ask("p scale")
    # once more: run to its end, and the program is still there
    terminal.ask("e scale = 0.0", "(what if) ")
    terminal.send("c")
    shown = terminal.expect("it has run to its end")
    assert shown.count("0.0000") == 3 and "over" in shown
    terminal.expect("(what if) ")
    assert "run to its end" in terminal.ask("n", "(what if) ")
    assert "the branch is dropped" in terminal.ask("x")
    terminal.ask("e scale = 0.0", "(what if) ")
    terminal.send("q")
    assert "the branch is over (status 1)" in terminal.expect("(tapebook) ")
    terminal.ask("e scale = 0.0", "(what if) ")
    assert "the branch is the program now" in terminal.ask("a")
    assert "what-" in tapebook("ps").stdout, "it can be attached to again"
    terminal.send("c")
    shown = terminal.expect("over")
    assert shown.count("0.0000") == 3
    assert terminal.end() == 0


def _table(text):
    """The losses that the comparison shows: as it is, and what if."""
    rows = re.findall(r"^  (\d+) +(\S+) +(\S+) +(\S+)$", text, re.M)
    return {int(n): (float(a), float(b)) for n, a, b, _ in rows}


def test_a_branch_is_compared_at_the_prompt(tmp_path):
    script = write(tmp_path / "what.py", WHAT_IF)
    alone = subprocess.run([sys.executable, script], capture_output=True, text=True)
    losses = [float(line.split()[2]) for line in alone.stdout.splitlines() if "loss" in line]
    terminal = Terminal("run", script, "--break", "op tanh once")
    terminal.expect("(tapebook) ")
    terminal.ask("e scale = 0.5", "(what if) ")
    said = terminal.ask("D", "(what if) ")
    assert "the branch has not come to a loss yet" in said or "done nothing yet" in said
    terminal.ask("+", "(what if) ")
    terminal.ask("+", "(what if) ")
    said = terminal.ask("D", "(what if) ")
    assert max(map(len, said.splitlines())) <= 80
    found = _table(said)
    assert [found[n][0] for n in (1, 2)] == pytest.approx(losses[:2], abs=1e-4)
    assert found[1][1] == pytest.approx(0.25 * losses[0], abs=1e-4)
    assert "what if scale = 0.5" in said and "as it is" in said
    assert "they part in step 1: mul, what.py:" in said and "* scale" in said
    assert "  arg1 is 1.0 and 0.5" in said
    assert re.search(r"\d+ of \d+ ops differ", said)
    assert "pow backward" in said and re.search(r"SGD update of model\S*[a-z] ", said)  # whole
    terminal.send("c")  # to its end, where the whole can be compared
    terminal.expect("it has run to its end")
    terminal.expect("(what if) ")
    found = _table(terminal.ask("D", "(what if) "))
    assert [found[n][0] for n in (1, 2, 3)] == pytest.approx(losses, abs=1e-4)
    terminal.ask("x")
    # a change that changes nothing is told as such
    terminal.ask("e scale = 1.0", "(what if) ")
    terminal.ask("+", "(what if) ")
    said = terminal.ask("D", "(what if) ")
    assert "the ops are the same" in said and _table(said)[1] == pytest.approx(
        [losses[0]] * 2, abs=1e-4
    )
    terminal.ask("x")
    terminal.send("c")
    terminal.expect("over")
    assert terminal.end() == 0


def test_comparing_at_the_prompt_leaves_no_process_behind(tmp_path):
    script = write(tmp_path / "what.py", WHAT_IF)
    terminal = Terminal("run", script, "--break", "op tanh once")
    terminal.expect("(tapebook) ")
    pid = terminal.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children")
    for leave in ("x", "q"):
        terminal.ask("e scale = 0.5", "(what if) ")
        terminal.ask("D", "(what if) ")
        assert len(children.read_text().split()) == 2
        terminal.ask(leave)
        assert not children.read_text().split()
    terminal.ask("e scale = 0.5", "(what if) ")
    terminal.ask("D", "(what if) ")
    assert "the branch is the program now" in terminal.ask("a")
    assert len(children.read_text().split()) == 1, "only the branch is left, the program itself"
    terminal.send("q")
    assert terminal.end() == 1


def test_a_program_without_an_optimizer_is_compared_as_far_as_it_has_come(tmp_path):
    """Its training steps never end: neither of the two may be waited for."""
    script = write(
        tmp_path / "plain.py",
        "import framework as torch\nscale = 1.0\nw = torch.ones(3, requires_grad=True)\n"
        "while True:\n    w.grad = None\n    loss = (w * w).sum() * scale\n    loss.backward()\n",
    )
    terminal = Terminal("run", script, "--break", "op sum once", "--break", "op sum step 3")
    terminal.expect("(tapebook) ")
    terminal.ask("e scale = 0.5", "(what if) ")
    for _ in range(8):
        terminal.ask("n", "(what if) ")
    said = terminal.ask("D", "(what if) ")
    assert _table(said)[1] == (3.0, 1.5) and "arg1 is 1.0 and 0.5" in said
    terminal.send("q")
    terminal.expect("the branch is over")
    terminal.send("q")
    assert terminal.end() == 1


def test_what_it_stood_at_the_prompt_is_no_time_of_the_recording(nan, tmp_path):
    tape = tmp_path / "a.tape"
    terminal = Terminal("run", nan, "--break", "op log once", "--record", tape, "--no-listen")
    terminal.expect("(tapebook) ")
    time.sleep(1.5)  # what is measured
    terminal.send("c")
    terminal.end()
    with open_tape(tape) as made:
        ((seq, stood),) = made.stops.items()
        assert made.events(seq, seq)[0].name == "log" and stood > 1.4e9
        (step,) = [s for s in made.steps if s.first_seq <= seq < s.last_seq]
        assert step.seconds > 1.4
        spans = re.findall(r" ([\d.]+) s\b", "\n".join(time_lines(made, step)))
        assert worked(made, step) == pytest.approx(step.seconds - stood / 1e9)
        assert not [s for s in spans if float(s) > worked(made, step) + 0.1], spans
        longest = worked(made, step) + 0.1
        # Nor of the time line, which has a mark there,
        out = tmp_path / "a.json"
        assert main(["export", str(tape), "-o", str(out)]) == 0
        rows = json.loads(out.read_text())["traceEvents"]
        assert not [r for r in rows if r.get("dur", 0) > longest * 1e6 and r["tid"] == 2]
        around = [r for r in rows if r["ph"] == "X" and r["args"].get("event", seq) < seq]
        assert not [r for r in around if r["dur"] > longest * 1e6], around
        (mark,) = [r for r in rows if r["ph"] == "i" and "stood here for" in r["name"]]
        assert mark["name"] == f"stood here for {stood / 1e9:.1f} s"
        # nor of what the inspector says of a recording.
        session = Session()
        session.connect(Playback(tape), attached=True)
        while session.store.last_seq < made.last_seq or session.pending:
            session.tick()
        begin = max(e.seq for e in session.store.events(1, seq) if isinstance(e, ModuleBegin))
        *_, end = session.store.events(1, made.last_seq)
        wall = (end.t - session.store.event(begin).t) / 1e9
        assert session.store.took(session.store.event(begin), end) / 1e9 < wall - 1.4
        session.close()


@pytest.mark.parametrize("there", [True, False])
def test_a_program_of_pytorch_s_own_is_told_what_to_import(tmp_path, there):
    if there:
        (tmp_path / "torch.py").write_text("ones = list\n")
    name = "torch" if there else "torch.never_there"
    (tmp_path / "train.py").write_text(f"import {name}\n")
    (tmp_path / "ours.py").write_text("import framework as torch\ntorch.ones(2)\n")
    hint = "train.py: line 1 imports PyTorch itself, which is not looked into"
    done = tapebook("run", "train.py", cwd=tmp_path)
    assert hint in done.stderr and "import framework as torch" in done.stderr, done.stderr
    assert done.returncode == int(not there)
    if there:
        assert hint in tapebook("summary", "train.py", cwd=tmp_path).stderr
    assert "PyTorch" not in tapebook("run", "ours.py", cwd=tmp_path).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "a.py", "--lr", "0.1"], "comes after --: tapebook run FILE -- ARGS"),
        (["runn", "a.py"], "no command or file is called 'runn'; did you mean run?"),
        (["frobnicate", "a.py"], "no command or file is called 'frobnicate'; tapebook --help"),
    ],
)
def test_words_of_the_command_line_that_are_not_ours(tmp_path, capfd, words, said):
    if words[0] == "run":
        with pytest.raises(SystemExit):
            main(words)
    else:
        assert main(words) == 2
    assert said in capfd.readouterr().err


HOOK = """\
import framework as torch
from framework import nn
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
def hook(module, before, after):
    scale = 3
    raise ValueError("bad gradient")
model[1].register_full_backward_hook(hook)
def train(inputs):
    scale = 2
    model(inputs).sum().backward()
train(torch.randn(3, 4))
"""


def test_the_prompt_goes_to_callers_and_knows_the_words_of_pdb(tmp_path):
    (tmp_path / "hook.py").write_text(HOOK)
    terminal = Terminal("run", tmp_path / "hook.py")
    terminal.expect("(tapebook) ")
    assert "int  3" in terminal.ask("p scale")
    assert "model(inputs).sum().backward()" in terminal.ask("u")
    assert "int  2" in terminal.ask("scale"), "an expression without p, of the caller's frame"
    assert "inputs" in terminal.ask("v") and "[3, 4]" in terminal.ask("inputs.shape")
    shown = terminal.ask("where")
    assert [line[:2] for line in shown.splitlines() if "in train" in line] == ["→ "], shown
    assert "this is the outermost" in terminal.ask("up") + terminal.ask("up")
    assert "int  3" in terminal.ask("down") + terminal.ask("d") + terminal.ask("pp scale")
    assert "this is the innermost" in terminal.ask("d")
    assert "NameError" in terminal.ask("no_such_name + 1")
    assert "no command 'zz'" in terminal.ask("zz")
    assert "the program is over" in terminal.ask("e scale = 1")
    assert "it cannot go on" in terminal.ask("next")
    terminal.send("quit")
    assert terminal.process.wait(60) == 1
