"""The tables of a tape: parameters, a tensor over the steps, source lines, memory for backward."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import framework as torch
from framework import nn
from framework.trace import recording
from framework.trace.events import BackwardEnd, Grad, NodeEnd, Op, OptimEnd, ParamUpdate
from framework.trace.measure import latest, measure
from framework.trace.protocol import Summary
from viewers.graph.store import TraceStore
from viewers.lines import Lines, gutter_line
from viewers.memory import Ledger, head_lines, memory_lines
from viewers.memory import row_line as memory_row
from viewers.parameters import COLUMNS, Parameters, column_at, row_line, sample, title_line
from viewers.text import plain, width_of
from viewers.timeline import timeline
from viewers.tracks import find_in, find_track, track_named
from viewers.tracks import row_line as step_row

STEPS = 4


class Run:
    """A small training run with all values kept, and what the values were at each step."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        x, y = torch.randn(5, 6), torch.randint(0, 3, (5,))
        self.weights: list[np.ndarray] = [self.model[0].weight.detach().numpy().copy()]
        self.grads: list[np.ndarray] = []
        with recording(keep="all") as tape:
            for _ in range(STEPS):
                loss = nn.functional.cross_entropy(self.model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                self.weights.append(self.model[0].weight.detach().numpy().copy())
                self.grads.append(self.model[0].weight.grad.numpy().copy())
        self.store = TraceStore()
        self.store.feed(tape.read())
        self.values = tape.values

    def lookup(self, key) -> Summary | str | None:
        return measure(self.values.get, [key])[0]

    @property
    def ends(self) -> list[int]:
        return [e.seq for e in self.store.tape if isinstance(e, OptimEnd)]


@pytest.fixture(scope="module")
def run() -> Run:
    return Run()


def test_norms_gradients_and_update_ratios_as_of_each_moment(run: Run) -> None:
    table = Parameters(run.store)
    while table.follow(most=7):  # in as small pieces as one likes
        pass
    tensor = table.named("model.0.weight")
    for i, end in enumerate(run.ends):
        row = table.row(tensor, end, run.lookup)
        assert math.isclose(row.norm.value, np.linalg.norm(run.weights[i + 1]), rel_tol=1e-6)
        assert math.isclose(row.grad.value, np.linalg.norm(run.grads[i]), rel_tol=1e-6)
        change = run.weights[i + 1].astype(float) - run.weights[i]
        expected = np.linalg.norm(change) / np.linalg.norm(run.weights[i + 1])
        assert math.isclose(row.ratio.value, expected, rel_tol=1e-5)
        norms, grads, ratios = table.past(tensor, end, run.lookup)
        assert len(norms) == len(grads) == len(ratios) == i + 1
        assert norms[-1] == row.norm.value and ratios[-1] == row.ratio.value
    # In backward the weight is that of before the step, and its gradient is there when it came.
    seen = run.ends[1]
    came = next(
        e.seq
        for e in run.store.events(seen, run.store.last_seq)
        if isinstance(e, Grad) and e.name == "model.0.weight"
    )
    row = table.row(tensor, came, run.lookup)
    assert math.isclose(row.norm.value, np.linalg.norm(run.weights[2]), rel_tol=1e-6)
    assert math.isclose(row.grad.value, np.linalg.norm(run.grads[2]), rel_tol=1e-6)
    before = table.row(tensor, came - 1, run.lookup)
    assert math.isclose(before.grad.value, np.linalg.norm(run.grads[1]), rel_tol=1e-6)


def test_the_same_key_for_all_moments_between_two_writes(run: Run) -> None:
    """A step of the cursor asks for nothing that is known already."""
    table = Parameters(run.store)
    table.follow()
    tensor = table.named("model.2.bias")
    keys = {table.as_of(tensor, seq).value for seq in range(1, run.store.last_seq + 1)}
    assert len(keys) == STEPS + 1


@pytest.mark.parametrize("at", [0.1, 0.4, 0.6, 0.9])
@pytest.mark.parametrize("pieces", [1, 3])
def test_what_comes_late_is_read_in_its_place(run: Run, at: float, pieces: int) -> None:
    """And nothing that was before the gap is forgotten while it is read."""
    events = list(run.store.tape)
    whole = Parameters(run.store)
    whole.follow()
    for first in range(int(at * len(events)), int(at * len(events)) + 8):
        store, last = TraceStore(), first + 9
        store.feed(events[:first])
        store.feed(events[last:])
        table = Parameters(store)
        while table.follow(most=7):
            pass
        size = 9 // pieces
        for i in range(first, last, size):
            store.feed(events[i : i + size])
            known = len([leaf for leaf in whole.leaves.values() if leaf.seq < events[first].seq])
            while table.follow(most=7):
                assert len(table.leaves) >= known
        assert store.gaps == [] and list(table.leaves) == list(whole.leaves)
        for seq in range(1, store.last_seq + 1, 5):
            for tensor in whole.leaves:
                assert table.as_of(tensor, seq) == whole.as_of(tensor, seq), (first, seq)
                assert table.history(tensor, seq) == whole.history(tensor, seq)


def test_a_model_that_was_made_anew_takes_the_old_one_s_place() -> None:
    ends = []
    with recording() as tape:
        for layers in (2, 1):
            model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(layers)))
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for _ in range(2):
                model(torch.ones(3, 2)).sum().backward()
                optimizer.step()
            ends.append(tape.seq)
        store = TraceStore()
        store.feed(tape.read())
    table = Parameters(store)
    table.follow()
    names = [[table.leaves[t].name for t in table.current(end)] for end in ends]
    assert names[0] == [f"model.{n}.{what}" for n in (0, 1) for what in ("weight", "bias")]
    assert names[1] == ["model.0.weight", "model.0.bias"], "and none of them twice"
    assert table.current(ends[1])[0] == table.named("model.0.weight") != table.current(ends[0])[0]


def test_an_old_model_that_is_used_stays() -> None:
    x = torch.ones(1, 2)
    with recording() as tape:
        model = kept = nn.Linear(2, 2)
        model(x)
        model = nn.Linear(2, 2)
        model(x)
        store = TraceStore()
        store.feed(tape.read())
        table = Parameters(store)
        table.follow()
        assert len(table.current(tape.seq)) == 2
        kept(x)
        store.feed(tape.read()[store.last_seq :])
        table.follow()
    assert len(table.current(tape.seq)) == 4


def test_sorting_and_lines(run: Run) -> None:
    table = Parameters(run.store)
    table.follow()
    rows = [table.row(t, run.store.last_seq, run.lookup) for t in table.leaves]
    assert [r.name for r in table.sorted(rows, "name", False)] == [r.name for r in rows]
    for column in ("norm", "gradient", "update"):
        field = {"norm": "norm", "gradient": "grad", "update": "ratio"}[column]
        values = [getattr(r, field).value for r in table.sorted(rows, column, False)]
        assert values == sorted(values, reverse=True)
        values = [getattr(r, field).value for r in table.sorted(rows, column, True)]
        assert values == sorted(values)
    bad = rows[0]._replace(grad=rows[0].grad._replace(value=math.nan, text="NaN", tone="bad"))
    assert table.sorted([*rows[1:], bad], "gradient", False)[0] is bad, "NaN comes first"
    past = table.past(rows[0].tensor, run.store.last_seq, run.lookup)
    for width in (40, 60, 79, 100, 160):
        for column in COLUMNS:
            head = title_line(width, column, False)
            line = row_line(rows[0]._replace(past=past), width, column)
            assert width_of(head) <= width and width_of(line) <= width
            at = plain(head).find("▾")
            assert at < 0 or column_at(width, column, at) == column
    assert "▁" in plain(row_line(rows[0]._replace(past=past), 120, "name"))


@pytest.mark.parametrize("count", [0, 1, 59, 60, 61, 500])
def test_a_sample_keeps_the_newest_and_stays_the_same(count: int) -> None:
    chosen = sample(count, 60)
    assert len(chosen) <= 60 and (not count or chosen[-1] == count - 1)
    assert sample(count, 0) == list(range(count))


def test_one_tensor_over_the_steps(run: Run) -> None:
    store = run.store
    relu = next(e for e in store.tape if isinstance(e, Op) and e.name == "relu")
    track = find_track(store, relu.outputs[0].id, relu.seq)
    assert track is not None and track.title == "model.1 relu · out"
    for name in ("model.1/relu", "relu", str(relu.seq)):
        assert track_named(store, name) == track
    spots = [find_in(store, track, step) for step in store.steps]
    assert [s.step for s in spots if s] == [1, 2, 3, 4]
    ids = {s.meta.id for s in spots if s}
    assert len(ids) == STEPS, "another tensor in each step"
    for spot in filter(None, spots):
        line = plain(step_row(spot, run.lookup((spot.meta.id, spot.seq)), 78))
        assert len(line) <= 78 and line.split()[0] == str(spot.step)

    weight = track_named(store, "model.0.weight")
    grad = track_named(store, "model.0.weight.grad")
    state = track_named(store, "model.0.weight.momentum_buffer")
    for i, step in enumerate(store.steps[:STEPS]):
        spot = find_in(store, weight, step)
        assert np.array_equal(run.values.get(spot.meta.id, spot.seq), run.weights[i + 1])
        spot = find_in(store, grad, step)
        assert np.array_equal(run.values.get(spot.meta.id, spot.seq), run.grads[i])
        assert find_in(store, state, step) is not None
        assert find_in(store, track_named(store, "loss"), step).meta.shape == ()
        assert find_in(store, track_named(store, "model.2"), step).meta.shape == (5, 3)
        assert find_in(store, track_named(store, "relu backward"), step).meta.shape == (5, 8)
    with pytest.raises(ValueError, match="no tensor is called 'nothing'"):
        track_named(store, "nothing")


def test_gradients_are_found_from_where_they_are_seen(run: Run) -> None:
    store = run.store
    end = next(e for e in store.tape if isinstance(e, NodeEnd) and e.grad_out[0].id)
    track = find_track(store, end.grad_out[0].id, end.seq)
    assert track is not None and track.kind in ("grad in", "grad out")
    spot = find_in(store, track, store.steps[0])
    assert spot is not None and spot.meta.id == end.grad_out[0].id
    update = next(e for e in store.tape if isinstance(e, ParamUpdate))
    found = find_track(store, update.state["momentum_buffer"].id, update.seq)
    assert found is not None and found.title == f"{update.name} · momentum_buffer"
    assert find_track(store, update.grad, update.seq).title == f"{update.name} · gradient"


def test_memory_for_backward(run: Run) -> None:
    store = run.store
    ledger = Ledger(store, store.steps[0])
    while ledger.follow(most=3):
        pass
    # The input, what relu gave (which the second layer holds as well), the log of the softmax and
    # the targets.
    x, hidden, scores, y = 5 * 6 * 4, 5 * 8 * 4, 5 * 3 * 4, 5 * 8
    held = ledger.held(ledger.peak_seq)
    assert ledger.peak >= x + hidden + scores + y
    by_name = {h.op.name: h for h in held}
    assert by_name["relu"].bytes == hidden and by_name["relu"].alone == 0
    assert [o.name for o in by_name["relu"].others] == ["linear"]
    first = next(h for h in held if h.op.module == "model.0")
    assert (first.bytes, first.alone, first.others) == (x, x, ())
    backward_end = next(e.seq for e in store.tape if isinstance(e, BackwardEnd))
    assert ledger.at(backward_end) == 0 and not ledger.held(backward_end)
    assert ledger.at(first.op.seq) == x and ledger.at(first.op.seq - 1) == 0
    course = ledger.course(40)
    assert max(course) == ledger.peak and course[-1] == 0
    text = "\n".join(plain(line) for line in memory_lines(ledger, width=100))
    assert "with model.2 linear" in text and "peak" in text
    for width in (40, 78, 120):
        assert all(width_of(memory_row(store, h, width)) <= width for h in held)
    line = plain(timeline(store, ledger.peak_seq, 10**9, 100, {"loss": [2, 1]}, memory=ledger)[1])
    assert line.startswith("loss █▁ 1") and "memory ▁" in line and len(line) <= 100


@pytest.mark.parametrize("make", [nn.Parameter, lambda t: t.requires_grad_()])
def test_a_parameter_of_no_module_is_not_counted_as_saved(make) -> None:
    w, x = make(torch.ones(6, 50)), torch.ones(4, 6)
    with recording() as tape:
        (x @ w).sum().backward()
    store = TraceStore()
    store.feed(tape.read())
    ledger = Ledger(store, store.steps[0])
    while ledger.follow():
        pass
    assert ledger.peak == 4 * 6 * 4, "x, which the gradient of w needs; w is there anyway"


def test_a_graph_that_is_kept_after_backward_is_held_until_the_last_pass() -> None:
    with recording() as tape:
        x = torch.ones(100, requires_grad=True)
        y = x.exp().sum()
        y.backward(retain_graph=True)
        between = tape.seq
        y.backward()
    store = TraceStore()
    store.feed(tape.read())
    ledger = Ledger(store, store.steps[0])
    while ledger.follow(most=4):
        pass
    assert ledger.retained and ledger.at(between) == 400 and ledger.at(store.last_seq) == 0
    assert "graph kept" in plain(head_lines(ledger, between)[0])


def test_writes_through_views_are_no_second_pass() -> None:
    """Several nodes are of one op then; each is passed once, and its memory let go."""
    w = torch.ones(64, requires_grad=True)
    with recording() as tape:
        for _ in range(2):
            h = (w * 2).exp() * 1
            h[0] = 0.0
            h[1:3] += w[1:3]
            h.square().sum().backward()
    store = TraceStore()
    store.feed(tape.read())
    ledger = Ledger(store, store.steps[-1])
    while ledger.follow():
        pass
    assert not ledger.retained and ledger.peak > 0 == ledger.at(store.last_seq)


def test_source_lines(run: Run) -> None:
    store = run.store
    lines = Lines(store, store.steps[0])
    while lines.follow(most=5):
        pass
    (file,) = lines.files()
    assert file == __file__
    text = Path(__file__).read_text().split("\n")
    found = {
        text[line - 1].strip(): lines.figures((file, line), store.steps[0].last_seq)
        for file, line in lines.places()
    }
    forward = found["loss = nn.functional.cross_entropy(self.model(x), y)"]
    assert forward.ops == 5 and forward.saved and forward.duration
    assert isinstance(store.event(forward.last), Op)
    assert found["optimizer.step()"].updates == 4
    line = plain(gutter_line(forward, run.lookup))
    largest = max(
        np.abs(run.values.get(m.id, e.seq)).max()
        for e in store.events(1, store.steps[0].last_seq)
        if isinstance(e, Op) and e.phase == "forward"
        for m in e.outputs
    )
    assert line.split()[0] == "5" and line.split()[1] == f"{largest:.3g}"
    # As of a moment in the middle there are fewer.
    relu = next(e for e in store.tape if isinstance(e, Op) and e.name == "relu")
    place = relu.source.file, relu.source.line
    assert lines.figures(place, relu.seq).ops == 2 and not lines.figures(place, relu.seq).grads


def test_a_line_that_made_a_nan_is_marked() -> None:
    with recording(keep="all") as tape:
        x = torch.tensor([-1.0, 2.0], requires_grad=True)
        z = x * 2
        y = z.log()
        y.sum().backward()
    store = TraceStore()
    store.feed(tape.read())
    lines = Lines(store, store.steps[0])
    lines.follow()
    marks = []
    for place in lines.places():
        found = lines.figures(place, store.last_seq)
        assert found is not None
        marks.append(plain(gutter_line(found, lambda k: measure(tape.values.get, [k])[0])))
    assert "NaN" in marks[1] and "NaN" not in marks[0]


def test_measure_says_what_is_wrong_with_a_question() -> None:
    for bad in ("no", [[1]], [[1, "2"]], [[1, 2, 3, 4]], [[1, True]]):
        with pytest.raises(ValueError, match="measure: "):
            measure(lambda *key: None, bad)
    slow = measure(lambda *key: np.ones(3), [[1, 1]] * 100, patience=0)
    assert 1 <= len(slow) < 100


def test_what_the_last_step_did_is_measured_at_once() -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    with recording(keep="all") as tape:
        assert latest(tape, tape.values.get) == []
        for _ in range(3):
            before = model.weight.detach().numpy().copy()
            optimizer.zero_grad()
            model(torch.ones(2, 4)).pow(2).sum().backward()
            optimizer.step()
        found = latest(tape, tape.values.get)
        only = latest(tape, tape.values.get, tensors=[model.bias._id])
    assert [u.tensor for u in found] == [model.weight._id, model.bias._id]
    weight = model.weight.detach().numpy()
    assert math.isclose(found[0].value.norm, np.linalg.norm(weight), rel_tol=1e-6)
    assert math.isclose(found[0].change.norm, np.linalg.norm(weight - before), rel_tol=1e-5)
    assert math.isclose(found[0].grad.norm, np.linalg.norm(model.weight.grad.numpy()), rel_tol=1e-6)
    assert [u.tensor for u in only] == [model.bias._id]
    update = [e for e in tape.read() if isinstance(e, ParamUpdate)][-2]
    assert found[0].seq == update.seq
