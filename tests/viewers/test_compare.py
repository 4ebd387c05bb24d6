"""Two runs, or two steps of one: pairing, the first divergence, and which way each step went."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest

import framework as torch
from app.cli import main
from framework import nn, trace
from framework.trace.events import Op, Source, TensorMeta
from viewers.compare import CompareError, Item, Side, align, compare, compare_steps


def side(tape: trace.Recorder, name: str) -> Side:
    assert tape.values is not None
    return Side(name, tape.read(), None, tape.values.get)


def train(steps: int = 4, rate: float = 0.1, spike: int = 0, noise: float = 0.0) -> Side:
    """A run whose learning rate is larger in one step."""
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    with trace.recording() as tape:
        for step in range(1, steps + 1):
            x = torch.ones(3, 4) * step + noise
            loss = (model(x) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.param_groups[0]["lr"] = rate * (3 if step == spike else 1)
            optimizer.step()
    return side(tape, f"spike {spike}")


def test_equal_runs_have_no_difference() -> None:
    found = compare(train(), train())
    assert found.same and found.pairs > 40 and not found.unknown
    assert "no difference" in str(found)


def test_a_spike_of_the_learning_rate_is_the_first_divergence() -> None:
    found = compare(train(), train(spike=3))
    first = found.first
    assert first is not None and first.a is not None and first.b is not None
    assert (first.kind, first.item.step) == ("value", 3)
    assert first.item.title == "SGD update of model.weight"
    assert first.a.source.line and first.a.source == first.b.source
    assert "B's update is 3 times A's" in found.why and "learning rate" in found.why


def test_tolerance_and_one_step() -> None:
    a, b = train(), train(noise=1e-4)
    assert not compare(a, b).same
    assert compare(a, b, rtol=1e-2, atol=1e-2).same
    assert compare(train(), train(spike=3), step=2).same
    with pytest.raises(CompareError, match="has no step 9"):
        compare(a, b, step=9)


def test_a_run_that_goes_on_is_different() -> None:
    found = compare(train(3), train(5))
    assert found.count == 2 and found.first is not None and found.first.kind == "only B"
    assert "only B has step 4" in found.first.text


def test_statistics_alone_tell_runs_apart() -> None:
    a, b = train(), train(spike=2)
    a.array = b.array = None  # as in a recording that kept the statistics only
    found = compare(a, b)
    assert found.first is not None and found.first.item.step == 2
    assert compare(a, a).same


def test_a_line_that_has_moved_is_the_same_line() -> None:
    """Two versions of a program: what counts is the text of a line."""
    a, b = train(), train(spike=2)
    text = a.text_of

    def above(source: Source) -> str:
        return text(Source(source.file, source.line - 100, source.function))

    events = [
        msgspec.structs.replace(e, source=Source(e.source.file, e.source.line + 100, "train"))
        if getattr(e, "source", None) is not None and e.source.function == "train"
        else e
        for e in b.lineage.events.values()
    ]
    found = compare(a, Side("moved", events, b.look, b.array, above))
    assert found.first is not None and found.first.item.step == 2
    assert "SGD update" in found.first.item.title


def branches(threshold: float = 5.0) -> Side:
    """A model whose graph depends on its input: in step 3 it goes the other way."""
    torch.manual_seed(0)
    layer, extra = nn.Linear(2, 2), nn.Linear(2, 2)
    optimizer = torch.optim.SGD([*layer.parameters(), *extra.parameters()], lr=0.0)
    with trace.recording() as tape:
        for step in range(1, 4):
            x = torch.ones(1, 2) * step * 2
            h = layer(x)
            if x.max() > threshold:
                h = torch.tanh(extra(h))
            else:
                h = torch.relu(h)
            optimizer.zero_grad()
            h.sum().backward()
            optimizer.step()
    return side(tape, "branches")


def test_why_a_step_took_the_other_branch() -> None:
    both = branches()
    assert compare_steps(both, 1, 2).same
    found = compare_steps(both, 2, 3)
    branch = found.branch
    assert branch is not None and branch.last is not None and branch.at is not None
    assert branch.last[0].title == "gt" and branch.at[0].title == "gt"
    assert "4 > 5.0 is False in A, 6 > 5.0 is True in B" in branch.decided
    assert branch.a[0].title == "relu" and branch.b[0].title == "linear"
    text = str(found)
    assert "then A went to relu" in text and "then B went to linear" in text
    assert "h = torch.relu(h)" in text, "the source lines"
    with pytest.raises(CompareError, match="no step 7: it has 1 to 3"):
        compare_steps(both, 1, 7)


def item(name: str) -> Item:
    return Item(0, (name,), name, "", Source("", 0, ""), 1)


def test_pairs_keep_the_order_of_both_and_are_as_many_as_can_be() -> None:
    rng = random.Random(0)
    for _ in range(50):
        a = [item(rng.choice("abc")) for _ in range(30)]
        b = [x for x in a if rng.random() < 0.8]
        pairs = align(a, b)
        assert all(x[0] < y[0] and x[1] < y[1] for x, y in pairwise(pairs))
        assert all(a[i].key == b[j].key for i, j in pairs)
    longer = [item(n) for n in "xx" + "abab" * 3 + "y"]
    shorter = [item(n) for n in "xx" + "abab" * 2 + "y"]
    assert len(align(longer, shorter)) == len(shorter), "a loop that ran once more"


def synthetic(count: int, wrong: int) -> Side:
    source = Source("big.py", 3, "f")
    events = [
        Op(i, i, 1, f"op{i % 7}", (i - 1,), (TensorMeta(i, (1,), "float32", "cpu"),), {},
           source, "m", 0, 0, "forward")
        for i in range(1, count + 1)
    ]  # fmt: skip
    right, off = np.ones(1, np.float32), np.zeros(1, np.float32)
    return Side("big", events, None, lambda tensor, seq: off if tensor == wrong else right)


def test_a_hundred_thousand_ops_take_linear_time() -> None:
    def seconds(count: int) -> float:
        a, b = synthetic(count, 0), synthetic(count, count // 2)
        start = time.process_time()
        found = compare(a, b)
        assert found.pairs == count and found.first is not None
        assert found.first.item.seq == count // 2 and found.count == 1
        return time.process_time() - start

    small = min(seconds(10_000) for _ in range(3))
    large = min(seconds(100_000) for _ in range(2))
    assert large < 40 * small


def test_recordings_of_unrelated_programs_are_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tapes = []
    for name, code in (("a", "torch.ones(2).exp()"), ("b", "torch.zeros(3).log()")):
        tapes.append(str(tmp_path / f"{name}.tape"))
        script = tmp_path / f"{name}.py"
        script.write_text(f"import framework as torch\n{code}\n")
        assert main(["run", str(script), "--no-listen", "--record", tapes[-1]]) == 0
    capsys.readouterr()
    assert main(["diff", *tapes]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[3] == "no op of one is in the other: are these runs of the same program?"


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "spike.py"
    bug = Path(__file__).resolve().parents[2] / "examples" / "bugs" / "learning_rate_spike.py"
    script.write_text(bug.read_text())
    for name, extra in (("a", []), ("b", ["--", "--spike"]), ("c", [])):
        out = str(tmp_path / f"{name}.tape")
        assert main(["run", str(script), "--no-listen", "--record", out, *extra]) == 0
    a, b, c = (str(tmp_path / f"{name}.tape") for name in "abc")
    capsys.readouterr()
    assert main(["diff", a, c]) == 0
    assert "no difference" in capsys.readouterr().out
    assert main(["diff", a, b]) == 1
    out = capsys.readouterr().out
    assert "first divergence, step 17: SGD update of model.0.weight" in out
    assert out.count("optimizer.step()") == 2, "both source lines"
    assert "200 times A's" in out
    assert "of the same program" not in out
    assert main(["diff", a, b, "--step", "16"]) == 0
    assert main(["diff", a, "--steps", "3", "4"]) == 0
    assert main(["diff", a, str(tmp_path / "none.tape")]) == 2
    assert main(["diff", a, b, "--step", "99"]) == 2
    capsys.readouterr()
    for wrong in (["diff", a], ["diff", a, b, "--steps", "1", "2"]):
        with pytest.raises(SystemExit) as error:
            main(wrong)
        assert error.value.code == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert main(["show", b, "why", "loss"]) == 0
    assert "nothing is wrong" in capsys.readouterr().out
    assert main(["show", b, "why", "no.such.thing"]) == 2
    capsys.readouterr()
    seq = next(e.seq for e in trace.open_tape(a).events() if isinstance(e, Op) and e.name == "tanh")
    assert main(["show", a, "check", str(seq)]) == 0
    assert "tanh: its gradient agrees with finite differences" in capsys.readouterr().out


def test_why_of_a_recording_says_when_it_has_no_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bugs = Path(__file__).resolve().parents[2] / "examples" / "bugs"
    for keep, words in (("none", "no values of this step are kept"), ("health", "log of 0 is")):
        tape = str(tmp_path / f"{keep}.tape")
        script = str(bugs / "nan_in_step_37.py")
        assert main(["run", script, "--no-listen", "--record", tape, "--keep", keep]) == 0
        capsys.readouterr()
        assert main(["show", tape, "why"]) == 0
        assert words in capsys.readouterr().out
