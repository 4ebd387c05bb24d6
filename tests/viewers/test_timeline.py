"""The time line: what it shows at a width, and where its columns lead."""

from __future__ import annotations

import pytest
from events_for_tests import MLP, Tape, failing_events, mlp_events

from framework.trace import events as ev
from viewers.graph.store import TraceStore
from viewers.text import STYLES, plain, sparkline, width_of
from viewers.timeline import loss_course, seq_at, timeline


def store_of(events: list[ev.Event]) -> TraceStore:
    store = TraceStore()
    store.feed(events)
    return store


def first(store: TraceStore, cursor: int, width: int, **kw: bool) -> str:
    return plain(timeline(store, cursor, store.last_seq, width, **kw)[0])


def test_the_current_step_in_full_between_its_neighbours():
    line = first(store_of(mlp_events(9)), 180, 84)
    assert line == (
        "1 ── 2 ── 3 ── [4: forward ▇▇▇▇▇▇▇│backward ▮░░░░░░░░░│optimizer ░░░░░] ── 5 ── 6 …"
    )


def test_missing_events_are_marked():
    events = mlp_events(9)
    store = store_of([e for e in events if not (150 <= e.seq <= 160 or 260 <= e.seq <= 270)])
    line = first(store, 100, 84)
    assert line.endswith(" ── ·≠ ── 4 ── 6≠ ── 7")
    assert "≠" in first(store, 275, 84).split("[")[1].split("]")[0]
    assert "?" in first(store, 100, 84, ascii=True)


def test_the_rest_of_a_running_step_is_expected_to_be_like_the_one_before():
    events = mlp_events(9)
    cut = next(i for i, e in enumerate(events) if e.seq > 420 and type(e) is ev.Grad)
    store = store_of(events[:cut])
    line = first(store, store.last_seq - 4, 80)
    assert line == (
        "… 4 ── 5 ── 6 ── 7 ── 8 ── [9: forward ▇▇▇▇▇▇│backward ▇▇▮░▯····│optimizer ···· "
    )


def test_in_ascii():
    line = first(store_of(mlp_events(3)), 128, 60, ascii=True)
    assert line == "1 -- 2 -- [3: fwd #######|bwd @--------|opt ---->]"


@pytest.mark.parametrize("width", range(1, 120))
def test_it_fits_and_every_column_leads_to_an_event_of_its_step(width: int):
    store = store_of(mlp_events(6)[:-20])
    for cursor in (1, 60, 200, store.last_seq):
        lines = timeline(store, cursor, store.last_seq, width, {"loss": [3.0, 2.0], "x": [1.0]})
        assert all(width_of(line) <= width for line in lines)
        assert {style for line in lines for _, style in line} <= STYLES.keys()
        seqs = [seq_at(store, cursor, store.last_seq, width, c) for c in range(width)]
        known = [s for s in seqs if s is not None]
        assert known == sorted(known)
        assert all(store.event(s) is not None for s in known)
    assert seq_at(store, 1, 1, width, width + 5) is None
    assert seq_at(store, 1, 1, width, -1) is None


def test_the_column_of_the_cursor_leads_near_the_cursor():
    store = store_of(mlp_events(6))
    for cursor in range(60, 100):
        line = first(store, cursor, 100)
        at = seq_at(store, cursor, store.last_seq, 100, line.index("▮"))
        assert abs(at - cursor) <= 4


def test_a_step_with_many_phases_is_one_bar():
    t = Tape()
    model = MLP(t)
    for _ in range(6):
        model.step(update=False)
    t.optimizer(*model.parameters)
    line = first(store_of(t.events), 50, 60)
    assert "backward" not in line
    assert "▮" in line


def test_a_cell_without_training_and_an_exception():
    store = store_of(failing_events())
    assert first(store, 6, 40) == "[bad: forward ▇▇▇▇▇▇▇▇▇▇▇▇▇▮▮▮░░░░░░▯▯▯]"
    assert timeline(store, 6, 9, 40)[0][0][1] == "error"


def test_values_as_sparklines():
    store = store_of(mlp_events(1))
    lines = timeline(store, 5, 5, 40, {"loss": [3.0, 2.5, 2.0, 1.0], "memory": [1.0, float("nan")]})
    assert [plain(line) for line in lines[1:]] == ["loss █▆▄▁ 1", "memory ▁! NaN"]
    assert lines[2][-1] == (" NaN", "bad")
    assert [plain(line) for line in timeline(store, 5, 5, 40, [1, 2])[1:]] == ["▁█ 2"]
    assert len(timeline(store, 5, 5, 40, {"loss": []})) == 1


def test_losses_are_of_one_run_and_one_line_with_gaps_for_the_unknown():
    store = TraceStore()
    seq = 0

    def add(make, **fields):
        nonlocal seq
        seq += 1
        store.feed([make(seq, seq, **fields)])
        return seq

    def run(lines):
        begin = add(ev.CellBegin, cell="a", count=1)
        found = []
        for line in lines:
            source = ev.Source("f.py", line, "")
            found.append(add(ev.BackwardBegin, roots=(1,), source=source, parent=begin))
            add(ev.BackwardEnd, begin=found[-1])
        add(ev.CellEnd, begin=begin)
        return found

    before, now = run([3, 3, 3]), run([3, 9, 3, 9, 3, 9])
    losses = [(at, 100.0) for at in before] + [(at, float(at)) for at in now]
    assert loss_course(store, losses, seq) == [float(at) for at in now[1::2]]
    assert loss_course(store, losses, now[4]) == [float(at) for at in now[:5:2]]
    assert loss_course(store, losses, before[1]) == [100.0, 100.0]
    known = [pair for pair in losses if pair[0] != now[3]]
    assert loss_course(store, known, seq) == [float(now[1]), None, float(now[5])]
    assert loss_course(store, known, 0) == []
    line = timeline(store, seq, seq, 40, {"loss": [3.0, None, 1.0, None]})[1]
    assert plain(line) == "loss █ ▁  1"
    assert sparkline([1.0, None, None, None, 3.0, 5.0], 3) == "▁ █"


def test_the_run_before_of_a_cell_that_runs_again_is_over():
    store = TraceStore()

    def feed(make, **fields):
        seq = store.last_seq + 1
        store.feed([make(seq, seq, **fields)])
        return seq

    def train(cell, passes):
        begin = feed(ev.CellBegin, cell=cell, count=1)
        for _ in range(passes):
            at = feed(ev.BackwardBegin, roots=(1,), source=ev.Source("f.py", 3, ""), parent=begin)
            feed(ev.BackwardEnd, begin=at)
            losses.append((at, float(at)))

    losses: list[tuple[int, float]] = []
    train("a", 3)
    former = [value for _, value in losses]
    assert loss_course(store, losses, store.last_seq) == former
    train("b", 0)  # a cell that only looks at what was trained
    assert loss_course(store, losses, store.last_seq) == former
    train("a", 0)
    assert loss_course(store, losses, store.last_seq) == []
    train("a", 1)
    assert loss_course(store, losses, store.last_seq) == [losses[-1][1]]


def test_nothing_recorded():
    assert plain(timeline(TraceStore(), 0, 0, 40)[0]) == "nothing recorded yet"
    assert seq_at(TraceStore(), 0, 0, 40, 3) is None
