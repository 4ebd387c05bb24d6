"""docs/wire.md is true: its tables are those of the code, and its example client works."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from app.attach import describe
from app.kernel.__main__ import Kernel
from framework.trace import events, pipe, protocol, recording
from framework.trace.gate import Gate
from framework.trace.server import Service

TEXT = (Path(__file__).parent.parent / "docs" / "wire.md").read_text()


def _fields(kind: type) -> str:
    return ", ".join(field.name for field in msgspec.structs.fields(kind))


def test_messages_events_and_data_are_as_written() -> None:
    for kind in get_args(protocol.Message):
        sender = "viewer" if kind in (protocol.Hello, protocol.Request) else "session"
        assert f"| `{kind.__struct_config__.tag}` | {sender} | `{_fields(kind)}` |" in TEXT
    for kind in get_args(events.Event):
        row = f"| {kind.__struct_config__.tag} | `{kind.__name__}` | `{_fields(kind)}` |"
        assert row in TEXT, row
    for kind in (
        events.TensorMeta, events.Source, protocol.Stop, protocol.Breakpoint, protocol.Frame,
        protocol.Variable, protocol.Summary, protocol.Grid, protocol.Table, protocol.TensorView,
    ):  # fmt: skip
        form = "array" if kind.__struct_config__.array_like else "map"
        row = f"| `{kind.__name__}` | {form} | `{_fields(kind)}` |"
        assert row in TEXT, row


def test_methods_and_rights_are_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    rows = re.findall(r"^\| `(\w+)`( \(.*?\))? \| (observe|control).*? \|", TEXT, re.MULTILINE)
    said = {name: ("slow" in note, right) for name, note, right in rows}
    kernel = set(re.findall(r'service\.register\(\s*"(\w+)"', inspect.getsource(Kernel._register)))
    assert kernel <= set(said)
    with recording() as tape:
        service = Service(tape, Gate(tape), "test")
        service.close()
    for name, (_, control, slow) in service._handlers.items():
        assert said[name] == (slow, "control" if control else "observe"), name
    assert set(said) == {*service._handlers, *kernel, "control"}


def test_numbers_are_as_written() -> None:
    assert f"version`: {protocol.PROTOCOL_VERSION}" in TEXT
    assert f"`{pipe.GREETING.decode().strip()}`" in TEXT


def test_the_example_client_watches_a_program(tmp_path: Path) -> None:
    _, code = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len([line for line in code.split("\n") if line.strip()]) <= 31
    client = tmp_path / "client.py"
    client.write_text(code)
    program = subprocess.Popen(
        [
            sys.executable, "-c",
            "import sys, framework as torch\nfrom framework import trace\n"
            "service = trace.listen('example')\ntorch.ones(2).exp()\n"
            "print(service.session.directory, service.name, flush=True)\n"
            "sys.stdin.readline()\ntorch.ones(2).sin()\nservice.close()\n",
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip
    assert program.stdout is not None and program.stdin is not None
    arguments = program.stdout.readline().split()
    viewer = subprocess.Popen(
        [sys.executable, "-u", str(client), *arguments], stdout=subprocess.PIPE, text=True
    )
    assert viewer.stdout is not None
    lines = [viewer.stdout.readline() for _ in range(3)]
    assert lines[0] == f"watching {arguments[1]} running\n"
    assert [line.split()[2] for line in lines[1:]] == ["ones", "exp"]
    program.communicate("\n")
    rest = viewer.communicate(timeout=120)[0].splitlines()
    assert [line.split()[2] for line in rest[:-1]] == ["ones", "sin"]
    assert rest[-1] == "the program has ended"
    assert viewer.returncode == 0


def test_the_python_example_pauses_a_program_and_lets_it_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    code, _ = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    program = subprocess.Popen(
        [
            sys.executable, "-c",
            "import framework as torch\nfrom framework import nn, trace\n"
            "trace.listen('train', idle='off')\nmodel = nn.Linear(2, 2)\n"
            "optimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
            "for step in range(10**9):\n    model(torch.ones(2)).sum().backward()\n"
            "    optimizer.step()\n    if not step:\n        print(flush=True)\n",
        ],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert program.stdout is not None and program.stdout.readline()
        exec(code, {})
        names, step = capsys.readouterr().out.splitlines()
        assert "'optimizer'" in names and int(step) >= 0
        found = {}
        end = time.monotonic() + 60
        while time.monotonic() < end:  # a program at full speed may take its time to answer
            (found,) = describe()
            if found["state"] == "running" and not found["viewers"]:
                break
        assert (found["state"], found["viewers"]) == ("running", [])
    finally:
        program.kill()
        program.communicate()
