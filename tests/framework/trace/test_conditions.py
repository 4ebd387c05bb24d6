"""Conditions: what each asks, the line they are written in, and stops on real training steps."""

from __future__ import annotations

import math
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import framework as torch
from framework import nn
from framework.trace import break_on, conditions, figures, recording
from framework.trace.breakpoints import Compiled
from framework.trace.conditions import CONDITIONS, LIMITS, PLACES, format_line, parse_line
from framework.trace.events import NodeBegin, NodeEnd
from framework.trace.figures import Sheet
from framework.trace.gate import Gate
from framework.trace.lookout import _ByName
from framework.trace.protocol import Breakpoint
from framework.trace.reader import typed
from framework.trace.rulebook import RULES

F = nn.functional
ALL = figures.FINITE | figures.RANGE | figures.MEAN | figures.NORM | figures.SPREAD | figures.ZEROS


# -- figures -------------------------------------------------------------------------------------

_rng = np.random.default_rng(0)
ARRAYS = {
    "small": _rng.normal(size=(3, 5)).astype(np.float32),
    "many chunks": (_rng.normal(size=(700, 501)) * 3 + 1000).astype(np.float32),
    "strided": _rng.normal(size=(400, 600))[::-2, ::3].T,
    "half": _rng.normal(size=200).astype(np.float16),
    "bfloat16": _rng.normal(size=200).astype(ml_dtypes.bfloat16),
    "integers": _rng.integers(-9, 5, size=(40, 7)),
    "bool": _rng.integers(0, 2, size=31).astype(bool),
    "complex": _rng.normal(size=9) + 1j * _rng.normal(size=9),
    "scalar": np.float32(-2.5).reshape(()),
    "huge": np.full(4, 1e30, np.float32),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_figures_agree_with_numpy(name):
    a = ARRAYS[name]
    f = figures.measure(a, ALL)
    x = np.abs(a) if a.dtype.kind == "c" else a.astype(np.float64)
    assert (f.count, f.nan, f.inf) == (x.size, 0, 0)
    assert (f.low, f.high) == (x.min(), x.max())
    assert f.zeros == np.count_nonzero(x == 0)
    assert f.mean == pytest.approx(x.mean(), rel=1e-5, abs=1e-7)
    assert f.std == pytest.approx(x.std(), rel=1e-4, abs=1e-5 * abs(x).max())
    assert f.norm == pytest.approx(np.linalg.norm(x.reshape(-1)), rel=1e-5)


def test_figures_of_what_is_not_finite_of_nothing_and_of_sparse():
    f = figures.measure(np.array([1.0, math.nan, -math.inf, 0.0], np.float32), ALL)
    assert (f.nan, f.inf, f.low, f.high, f.zeros) == (1, 1, -math.inf, 1.0, 1)
    empty = figures.measure(np.zeros((0, 3)), ALL)
    assert empty.count == 0 and math.isnan(empty.mean) and math.isnan(empty.absmax)
    sparse = torch.tensor([[0.0, -3.0], [0.0, 4.0]]).to_sparse()
    f = figures.measure(sparse._data, ALL)
    assert (f.count, f.zeros, f.norm, f.low, f.mean) == (4, 2, 5.0, -3.0, 0.25)
    assert f.std == pytest.approx(np.std([0, -3, 0, 4]))
    with pytest.raises(TypeError, match="no figures"):
        figures.measure(np.array(["a"]), ALL)


def test_conditions_of_one_event_share_one_walk_of_the_tensor(monkeypatch):
    walks = []
    measure = figures.measure
    monkeypatch.setattr(figures, "measure", lambda a, n: walks.append(a.shape) or measure(a, n))
    lines = ["op exp nan", "op exp absmax > 3", "op exp norm > 1e9 and std < 0", "op log nan"]
    with break_on(*lines, do=print):
        torch.ones(4, 5).exp()
    assert walks == [(4, 5)]
    with break_on("op exp nan", "op exp absmax > 1e9", do=print):
        torch.ones(4, 5).exp()
    assert walks == [(4, 5)]  # the sum of squares alone has said that it is neither


def test_nothing_is_passed_over_that_a_condition_holds_for():
    """One quick look decides that a tensor need not be measured: never where it is to stop."""
    random = np.random.default_rng(0)
    names = [c.name for c in CONDITIONS.values() if c.kind in ("flag", "number")]
    sizes = [(), (1,), (3,), (7, 9), (0,), (2, 0), (70_000,)]
    passed = held = 0
    for i in range(420):
        array = random.standard_normal(sizes[i % len(sizes)]).astype("f4" if i % 3 else "f8")
        array = np.asarray(array * 10.0 ** random.integers(-30, 31), array.dtype)
        if i % 7 == 3 and array.size:
            array.reshape(-1)[random.integers(array.size)] = random.choice([np.nan, np.inf, 0.0])
        if i % 5 == 2 and array.ndim == 2:
            array = array.T[:, ::2]
        scale = float(np.abs(array).max(initial=1e-3)) if np.isfinite(array).all() else 1.0
        for name in random.choice(names, 4):
            bound = scale * float(random.choice([-10, -1, -0.5, 0, 1e-3, 0.3, 1, 3, 1e3]))
            sign = random.choice([">", ">=", "<", "<=", "==", "!="])
            flag = CONDITIONS[name].kind == "flag"
            point = Breakpoint(1, condition=name if flag else f"{name} {sign} {bound!r}")
            compiled = Compiled(point)
            (term,) = compiled.terms
            sheet = Sheet([array], compiled.needs)
            holds = term.holds(sheet, 0)
            found = _ByName([compiled])["exp"]
            passes = found.pass_over([torch.from_numpy(array)])
            assert not (passes and holds), (name, sign, bound, array)
            assert passes is not bool(found.near((torch.from_numpy(array),)))
            passed, held = passed + passes, held + holds
    assert passed > 100 and held > 100  # both are tried


# -- the line -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, fields",
    [
        ("nan", {"condition": "nan", "phase": "both"}),
        ("absmax>1e3", {"condition": "absmax > 1000", "phase": "both"}),
        ("grad model.0.weight norm > 10",
         {"param": "model.0.weight", "condition": "norm > 10", "phase": "backward"}),
        ("op /conv.*/ nan", {"op": "/conv.*/", "condition": "nan", "phase": "both"}),
        ("update * absmax > 1 after 3",
         {"param": "*", "condition": "absmax > 1", "phase": "optimizer", "first_step": 4}),
        ("update unchanged", {"param": "*", "condition": "unchanged", "phase": "optimizer"}),
        ("grad nan", {"condition": "nan", "phase": "backward"}),
        ("grad op max inf", {"op": "max", "condition": "inf", "phase": "backward"}),
        ("value in model.2 zeros >= 90% every 5",
         {"module": "model.2", "condition": "zeros >= 0.9", "phase": "forward", "every": 5}),
        ("op relu #2 steps 3..7 once",
         {"op": "relu", "occurrence": 2, "first_step": 3, "last_step": 7, "once": True}),
        ("op exp before 4 hit 2", {"op": "exp", "last_step": 3, "from_hit": 2}),
        ("step 5 nan", {"first_step": 5, "last_step": 5, "condition": "nan", "phase": "both"}),
        ("at train.py:12", {"file": "train.py", "line": 12, "phase": "forward"}),
        ("<cell a1>:3 if inf", {"file": "<cell a1>", "line": 3, "condition": "inf"}),
        ("op exp absmax > 2 and x where x.min() < 0 and y > 1", None),
        ("op exp absmax > 2 where x.min() < 0 and y > 1",
         {"op": "exp", "condition": "absmax > 2 where x.min() < 0 and y > 1"}),
        ('param "odd name" mean < -1', {"param": "odd name", "phase": "backward"}),
        ("module:model.0 if shape-change", {"module": "model.0", "condition": "shape-change"}),
    ],
)  # fmt: skip
def test_lines(line, fields):
    if fields is None:
        with pytest.raises(ValueError, match="got 'x' after and, expected nan"):
            parse_line(line)
        return
    point = parse_line(line, 3)
    expected = Breakpoint(3, **fields)
    for field in fields:
        assert getattr(point, field) == getattr(expected, field), field
    assert Compiled(point).spec.error == ""
    assert parse_line(format_line(point), 3) == point


def test_each_row_of_the_tables_is_a_line_that_can_be_written():
    for condition in CONDITIONS.values():
        text = condition.form.replace(" X", " 0.5").replace("EXPR", "x.sum() > 0")
        line = f"update * {text}" if condition.name == "ratio" else f"op exp {text}"
        assert Compiled(parse_line(line)).spec.error == "", line
    for form, _ in LIMITS:
        assert parse_line(f"op exp {form.replace('A..B', '2..3').replace('N', '2')}").op == "exp"
    for form, field, _ in PLACES:
        text = form.replace("FILE:LINE", "a.py:3").replace("N, line M", "2, line 3")
        text = text.replace("NAME", "x").replace("PATH", "x")
        point = parse_line(f"op exp #{2}" if form == "#N" else text)
        assert getattr(point, field) in ("x", 2, 3)


# -- on training steps ---------------------------------------------------------------------------


class Stops(list):
    """Goes on at every stop and remembers it, with the event's raw kind."""

    def __init__(self, gate, *lines):
        super().__init__()
        self.gate = gate
        gate.console = self
        points = [parse_line(line, n) for n, line in enumerate(lines, 1)]
        assert not [b.error for b in gate.set_breakpoints(points) if b.error]

    def __call__(self, stop):
        self.append(stop)
        self.look(stop)
        return "continue"

    def look(self, stop):
        pass

    @property
    def messages(self):
        return [stop.message for stop in self]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def train(model, steps=1, lr=0.1, scale=1.0):
    torch.manual_seed(1)
    x, y = torch.randn(5, 4), torch.tensor([0, 1, 2, 0, 1])
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        (F.cross_entropy(model(x), y) * scale).backward()
        optimizer.step()


@pytest.fixture(params=["all", "none"])
def gate(request):
    with recording(keep=request.param) as tape:
        yield Gate(tape)


def test_a_gradient_stops_after_its_node_with_what_came_in_and_went_out(model, gate):
    """B3: pausing inside backward on a gradient condition."""
    stops = Stops(gate, "grad model.0.weight norm > 1e-6")
    seen = []

    def look(stop):
        end = typed(gate.recorder.raw(stop.seq))
        assert isinstance(end, NodeEnd)
        begin = typed(gate.recorder.raw(end.begin))
        assert isinstance(begin, NodeBegin)
        seen.append((begin.name, [m.shape for m in begin.grad_in], [m.shape for m in end.grad_out]))
        assert gate.recorder.phase == "backward"
        assert model[0].weight.grad is not None and gate.stack()

    stops.look = look
    train(model)
    assert seen == [("linear", [(5, 8)], [(0,), (8, 4), (8,)])] or seen[0][2][-2:] == [(8, 4), (8,)]
    assert "gradient of model.0.weight, backward, step 1" in stops.messages[0]
    assert stops[0].reason == "norm" and stops[0].message.startswith("norm 0.")


def test_a_gradient_condition_stops_only_where_it_holds(model, gate):
    norms = []
    train(model)
    for name, p in model.named_parameters(prefix="model"):
        norms.append((float(p.grad.norm()), name))
    (_, largest) = max(norms)
    bound = sorted(n for n, _ in norms)[-2] * 1.01
    for p in model.parameters():
        p.grad = None
    torch.manual_seed(0)
    fresh = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    stops = Stops(gate, f"grad * norm > {bound}")
    model = fresh
    train(model)
    assert [m.split("gradient of ")[1].split(",")[0] for m in stops.messages] == [largest]


def test_updates_are_the_difference_that_the_step_made(model, gate):
    stops = Stops(gate, "update *.weight absmax > 0.5 after 1", "update * ratio > 1e6")
    train(model, steps=2, lr=100.0)
    found = [m.split(": ")[1].split(",")[0] for m in stops.messages]
    assert found == ["update of model.0.weight", "update of model.2.weight"]
    assert all("step 2" in m for m in stops.messages)


def test_the_figures_of_an_update(model):
    with recording(keep="none") as tape:
        gate = Gate(tape)
        stops = Stops(gate, "update model.2.bias norm > 0 and ratio > 0")
        before = model[2].bias.detach().clone()
        train(model)
        change = model[2].bias.detach() - before
    ratio = float(change.norm() / before.norm())
    norm = float(change.norm())
    assert stops.messages[0].startswith(f"norm {norm:.6g} > 0 and ratio {ratio:.6g} > 0: update of")


def test_value_of_a_parameter_after_the_step(model, gate):
    stops = Stops(gate, "value model.0.* absmax > 5")
    train(model, lr=1000.0)
    assert [s.message.split(": ")[1].split(",")[0] for s in stops] == [
        "value of model.0.weight", "value of model.0.bias",
    ]  # fmt: skip


def test_unchanged_parameters_gradients_and_values(model, gate):
    stops = Stops(
        gate, "update model.0.weight unchanged", "update model.2.weight unchanged",
        "grad model.2.bias unchanged", "value op linear in model.0 unchanged",
    )  # fmt: skip
    model[0].weight.register_hook(lambda g: g * 0)
    model[0].bias.register_hook(lambda g: g * 0)
    train(model, steps=3)
    hits = [s.breakpoint for s in stops]
    assert hits.count(1) == 3 and hits.count(2) == 0 and hits.count(3) == 0
    assert hits.count(4) == 2, "the first layer gives the same in steps 2 and 3 as before"


def test_a_changed_shape_and_dtype(gate):
    layer = nn.Linear(3, 2)
    stops = Stops(gate, "op linear shape-change", "op linear dtype-change")
    for rows, dtype in [(4, 0), (4, 0), (5, 0), (5, 0), (4, 0), (4, torch.float64)]:
        if dtype:
            layer.to(dtype)
        layer(torch.ones(rows, 3, dtype=dtype or None))
    assert [s.breakpoint for s in stops] == [1, 1, 2]


def test_limits(gate):
    stops = Stops(
        gate, "op exp every 3", "op log hit 4", "op sin once", "op cos #2", "op tan steps 2..3",
    )  # fmt: skip
    p = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=0.1)
    for _ in range(4):
        x = p.exp() + p.exp() + (p + 2).log() + p.sin() + p.cos() + p.cos() + p.cos() + p.tan()
        x.sum().backward()
        optimizer.step()
    hits = [s.breakpoint for s in stops]
    assert {n: hits.count(n) for n in range(1, 6)} == {1: 2, 2: 1, 3: 1, 4: 4, 5: 2}
    assert not gate.breakpoints[2].enabled, "once: switched off after its stop"


def test_steps_are_the_optimizer_s_own(gate):
    """After a cell has run again its new optimizer counts from 1, as the screen shows."""
    stops = Stops(gate, "op exp step 2", "update * nan", "op sin #2 step 1")
    for _ in range(2):
        p = torch.zeros(2, requires_grad=True)
        optimizer = torch.optim.SGD([p], lr=0.1)
        for n in range(3):
            (p.exp() + p.sin() + p.sin()).sum().backward()
            if n == 2:
                p.grad *= float("nan")
            optimizer.step()
            optimizer.zero_grad()
    assert [s.breakpoint for s in stops] == [3, 1, 2] * 2
    assert stops.messages[2].endswith("optimizer, step 3") and stops.messages[5].endswith("step 3")


def test_steps_of_two_optimizers_in_turn(gate):
    """As in a GAN: each has its own first, second, third."""
    stops = Stops(gate, "op exp step 3", "op sin step 3")
    p, q = (torch.zeros(2, requires_grad=True) for _ in range(2))
    ours, theirs = torch.optim.SGD([p], lr=0.1), torch.optim.SGD([q], lr=0.1)
    for _ in range(4):
        p.exp().sum().backward()
        ours.step()
        q.sin().sum().backward()
        theirs.step()
    assert [s.breakpoint for s in stops] == [1, 2]


def test_expressions_see_the_tensor_and_the_program_s_names(gate):
    limit = 3.0
    stops = Stops(gate, "op mul where x.max() > limit and x.ndim == 1")
    torch.ones(2) * 2
    torch.ones(2) * 4
    limit = 5.0
    torch.ones(2) * 4
    assert stops.messages == [
        "where x.max() > limit and x.ndim == 1: mul, forward, step 1"
    ] and limit  # fmt: skip
    assert all(typed(gate.recorder.raw(n)).__class__.__name__ != "OpBegin" for n in range(1, 3))


def test_an_expression_that_fails_says_so_and_the_model_goes_on(gate):
    stops = Stops(gate, "op mul where x.nope", "op mul where x > 0")
    torch.ones(2) * 2
    assert not stops
    first, second = gate.breakpoints
    assert "AttributeError" in first.error and "where x.nope" in first.error
    assert "Boolean value of Tensor" in second.error and "\n" not in second.error


def test_armed_conditions_leave_the_ops_inside_of_gradient_rules_out(model):
    """Structure stays structure: only stepping needs them."""
    with recording(keep="none") as tape:
        train(model)
    plain = tape.seq
    with recording(keep="none") as tape:
        Stops(Gate(tape), "grad * nan")
        train(model)
    assert tape.seq == plain


def test_break_on_raises_calls_and_leaves_no_trace(model):
    from framework.trace import sink

    met = pytest.raises(
        conditions.ConditionMet, match=r"gradient of model\.2\.bias, backward, step 1"
    )
    with met, break_on("grad model.2.bias norm > 0"):
        train(model)
    found = []
    with break_on(lambda t: t.ndim == 2 and bool((t > 1e9).any()), do=found.append):
        torch.ones(2, 2) * 2e9
        torch.ones(2, 2) * 2
    assert len(found) == 1
    with pytest.raises(ValueError, match="ratio is of an update"), break_on("op exp ratio > 1"):
        pass
    assert sink.active is None


def test_break_on_within_a_function_that_checks_its_arguments():
    scores, target = torch.randn(4, 3), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(conditions.ConditionMet) as met, break_on("op cross_entropy absmax > 0"):
        torch.nn.functional.cross_entropy(scores, target)
    assert met.value.stop.message.startswith("absmax") and "shapes" not in str(met.value)


def test_break_on_beside_a_recording_keeps_its_breakpoints(gate):
    stops = Stops(gate, "op exp")
    seen = []
    with break_on("op exp", do=seen.append):
        torch.ones(2).exp()
    torch.ones(2).exp()
    assert len(seen) == 1 and len(stops) == 2 and len(gate.breakpoints) == 1


def test_an_optimizer_s_step_in_an_unwatched_place_is_not_copied(model):
    with recording(keep="none") as tape:
        gate = Gate(tape)
        Stops(gate, "update model.2.* nan")
        train(model)
        assert sorted(a.shape for a in gate._lookout._before.values()) == [(3,), (3, 8)]


def test_the_documentation_has_each_row_of_the_tables_and_lines_that_can_be_read():
    text = (Path(__file__).resolve().parents[3] / "docs" / "conditions.md").read_text("utf-8")
    forms = [c.form for c in CONDITIONS.values()]
    forms += [form for form, *_ in (*PLACES, *LIMITS)] + list(RULES)
    assert [form for form in forms if f"`{form}`" not in text] == []
    block = text.split("    nan    ")[1].split("\n\n")[0]
    lines = [row.strip().split("   ")[0] for row in ("    nan    " + block).splitlines()]
    assert len(lines) == 12
    for line in lines:
        assert Compiled(parse_line(line)).spec.error == "", line


@pytest.mark.parametrize(
    "wrong", [5, None, ("op relu", 3), "nonsense", ("nonsense", abs), "op /(/"]
)
def test_what_is_no_condition_is_refused_and_leaves_nothing_traced(wrong) -> None:
    from framework.trace import break_on, sink

    with pytest.raises((TypeError, ValueError)) as refused, break_on("nan", wrong):
        pass
    assert "expected" in str(refused.value) or "bad regular" in str(refused.value)
    assert "\n" not in str(refused.value) and sink.active is None
