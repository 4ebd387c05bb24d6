"""The store: steps, moments, stops, tensors, gaps, the bound."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from events_for_tests import MLP, Tape, chain_events, failing_events, mlp_events, rnn_events

from framework.trace import events as ev
from viewers.graph import stops
from viewers.graph.columns import Ids
from viewers.graph.containers import Containers
from viewers.graph.facts import duration
from viewers.graph.moments import Step
from viewers.graph.packed import Packed
from viewers.graph.stops import HOWS
from viewers.graph.store import TraceStore


def store_of(events: list[ev.Event], **options: int) -> TraceStore:
    store = TraceStore(**options)
    store.feed(events)
    return store


def walk(store: TraceStore, how: str, start: int = 0, count: int = 1000) -> list[int]:
    """Every stop of a step command, from ``start`` on."""
    stops, seq = [], store.next_stop(start, how)
    while seq is not None and len(stops) < count:
        stops.append(seq)
        seq = store.next_stop(seq, how)
    return stops


def names(store: TraceStore, seqs: list[int]) -> list[str]:
    """What the model is at after each of these events."""
    result = []
    for seq in seqs:
        event, subject = store.event(seq), store.moment(seq).subject
        kind = type(event).__name__
        name = (
            getattr(subject, "path", "") or getattr(subject, "name", "") or type(subject).__name__
        )
        result.append(f"{name}{'' if kind in ('Op', 'ParamUpdate') else ' ' + kind}")
    return result


# -- steps -----------------------------------------------------------------------------------


def test_a_step_ends_at_the_optimizer_and_the_cell_end_belongs_to_the_last_one():
    store = store_of(mlp_events(3))
    assert [(s.index, s.number, s.done, s.cell) for s in store.steps] == [
        (0, 1, True, "train"), (1, 2, True, "train"), (2, 3, True, "train"),
    ]  # fmt: skip
    last = store.steps[-1]
    assert type(store.event(last.end_seq)) is ev.OptimEnd
    assert type(store.event(last.last_seq)) is ev.CellEnd
    assert [s.first_seq for s in store.steps[1:]] == [s.last_seq + 1 for s in store.steps[:-1]]


def test_a_running_step_has_the_number_that_the_optimizer_will_give_it():
    events = mlp_events(2)
    middle = next(i for i, e in enumerate(events) if type(e) is ev.OptimEnd) + 10
    store = store_of(events[:middle])
    assert [(s.number, s.done) for s in store.steps] == [(1, True), (2, False)]


def test_cells_without_ops_make_no_steps_and_forward_and_backward_in_two_cells_make_two():
    t = Tape()
    with t.cell("imports"):
        t.mark("nothing else")
    with t.cell("forward"):
        loss = MLP(t).step(backward=False, update=False)
    with t.cell("backward"):
        t.backward(loss)
    store = store_of(t.events)
    assert [(s.cell, s.number, s.counts[0] > 0, s.counts[1] > 0) for s in store.steps] == [
        ("forward", 0, True, False), ("backward", 0, False, True),
    ]  # fmt: skip
    assert store.steps[0].first_seq == 1


def test_phases_of_a_step_in_runs():
    store = store_of(mlp_events(2))
    step = store.steps[1]
    phases, firsts, lasts = zip(*step.runs)
    assert phases == (0, 1, 2)
    assert (firsts[0], lasts[-1]) == (step.first_seq, step.last_seq)
    assert [b - a for a, b in zip(lasts, firsts[1:])] == [1, 1]
    assert step.counts == [17, 25, 10]


# -- moments ---------------------------------------------------------------------------------


def test_a_moment_in_forward_backward_and_the_optimizer():
    events = mlp_events(1)
    store = store_of(events)
    relu = next(e for e in events if type(e) is ev.Op and e.name == "relu")
    moment = store.moment(relu.seq)
    assert (moment.phase, moment.module, moment.subject) == ("forward", "model.1", relu)
    assert [type(e).__name__ for e in moment.stack] == ["CellBegin", "ModuleBegin", "ModuleBegin"]
    assert moment.source.line == 10

    grad = next(e for e in events if type(e) is ev.Grad)
    moment = store.moment(grad.seq)
    assert (moment.phase, moment.subject.name, moment.node.name) == ("backward", "linear", "linear")
    assert moment.module == "model.2"

    update = next(e for e in events if type(e) is ev.ParamUpdate)
    moment = store.moment(update.seq)
    assert (moment.phase, moment.subject, moment.source.line) == ("optimizer", update, 13)

    end = store.moment(store.last_seq)
    assert (end.phase, end.stack, type(end.subject)) == ("idle", (), ev.CellBegin)


def test_the_time_that_a_program_stood_is_not_that_of_what_it_was_in():
    events, second = mlp_events(1), 1_000_000_000
    call = next(e for e in events if type(e) is ev.ModuleBegin)
    end = next(e for e in events if getattr(e, "begin", 0) == call.seq)
    inside = next(e for e in events if type(e) is ev.Op and e.seq > call.seq)
    slow = [msgspec.structs.replace(e, t=e.t + second * (e.seq > inside.seq)) for e in events]
    store = store_of(slow)
    begin, over = store.event(call.seq), store.event(end.seq)
    assert store.took(begin, over) == end.t - call.t + second
    store.stood.append(inside.seq)
    following = store.event(inside.seq + 1)
    stood = following.t - inside.t - inside.duration
    assert second <= stood and store.took(begin, over) == end.t - call.t + second - stood
    item = store.graph(store.step_at(call.seq)).item_at(call.seq)
    assert duration(store.graph(store.step_at(call.seq)), item) < second


def test_a_moment_outside_of_the_tape():
    assert TraceStore().moment(5).phase == "idle"
    store = store_of(mlp_events(1))
    assert store.moment(0).event is None
    assert store.moment(10**9).seq == store.last_seq


# -- stops -----------------------------------------------------------------------------------


def test_next_goes_over_composites_and_nodes_but_not_over_modules():
    store = store_of(mlp_events(1))
    assert names(store, walk(store, "next")) == [
        "linear", "relu", "linear", "cross_entropy OpEnd",
        "nll_loss NodeEnd", "log_softmax NodeEnd", "linear NodeEnd", "relu NodeEnd",
        "linear NodeEnd",
        "model.0.weight", "model.0.bias", "model.2.weight", "model.2.bias",
    ]  # fmt: skip


def test_into_takes_begins_and_primitive_ops():
    store = store_of(mlp_events(1))
    assert names(store, walk(store, "into", count=13)) == [
        "model ModuleBegin", "model.0 ModuleBegin", "linear", "model.1 ModuleBegin", "relu",
        "model.2 ModuleBegin", "linear", "cross_entropy OpBegin", "log_softmax", "nll_loss",
        "nll_loss NodeBegin", "nll_loss_grad", "log_softmax NodeBegin",
    ]  # fmt: skip


def test_next_inside_of_a_composite_stays_inside_and_then_leaves_it():
    store = store_of(mlp_events(1))
    begin = next(e.seq for e in store.tape if type(e) is ev.OpBegin)
    assert names(store, walk(store, "next", begin, 4)) == [
        "log_softmax", "nll_loss", "cross_entropy OpEnd", "nll_loss NodeEnd",
    ]  # fmt: skip


def test_out_leaves_the_composite_then_the_module():
    store = store_of(mlp_events(1))
    inner = next(e.seq for e in store.tape if type(e) is ev.Op and e.name == "log_softmax")
    assert names(store, [store.next_stop(inner, "out")]) == ["cross_entropy OpEnd"]
    relu = next(e.seq for e in store.tape if type(e) is ev.Op and e.name == "relu")
    assert names(store, walk(store, "out", relu)) == ["model.1 ModuleEnd", "model ModuleEnd"]
    node = next(e.seq for e in store.tape if type(e) is ev.NodeBegin)
    assert names(store, [store.next_stop(node, "out")]) == ["nll_loss NodeEnd"]


def test_line_goes_from_line_to_line_of_the_same_function():
    store = store_of(mlp_events(1))
    assert [store.moment(s).source.line for s in walk(store, "line")] == [10, 11, 12, 13]


def test_line_steps_over_lines_of_functions_further_in_and_out_to_those_around():
    store = store_of(rnn_events((2,)))
    top = [store.moment(s).source for s in walk(store, "line")]
    assert [(s.function, s.line) for s in top] == [("<module>", n) for n in (4, 5, 6, 7, 8)]
    inside = next(e.seq for e in store.tape if type(e) is ev.Op and e.name == "matmul")
    after = store.moment(store.next_stop(inside, "line")).source
    assert (after.function, after.line) == ("forward", 8)  # the loop around: the cell has one line


def test_step_stops_at_the_end_of_each_training_step():
    store = store_of(mlp_events(3))
    stops = walk(store, "step")
    assert [type(store.event(s)) for s in stops] == [ev.OptimEnd] * 3
    assert store.next_stop(stops[-1], "step") is None


def test_an_exception_is_a_stop_for_every_command():
    store = store_of(failing_events())
    op = next(e for e in store.tape if type(e) is ev.Op)
    assert {how: store.next_stop(1, how) for how in ("next", "out", "step")} == {
        "next": op.seq, "out": op.seq, "step": op.seq,
    }  # fmt: skip
    assert walk(store, "step") == [op.seq, store.last_seq]


def test_backwards_visits_the_same_stops():
    store = store_of(mlp_events(2, ops=2))
    for how in ("next", "into", "step"):
        forward = walk(store, how)
        back, seq = [], store.previous_stop(store.last_seq + 1, how)
        while seq is not None:
            back.append(seq)
            seq = store.previous_stop(seq, how)
        assert back[::-1] == forward, how


def test_stops_without_a_tape():
    store = TraceStore()
    assert [store.next_stop(0, how) for how in HOWS] == [None] * 5
    assert [store.previous_stop(0, how) for how in HOWS] == [None] * 5


# -- tensors ---------------------------------------------------------------------------------


def test_names_shapes_and_gradients_of_tensors():
    events = mlp_events(2)
    store = store_of(events)
    weight = next(e.tensor.id for e in events if type(e) is ev.Leaf and e.name == "model.0.weight")
    grads = [e for e in events if type(e) is ev.Grad and e.leaf == weight]
    assert store.meta(weight).shape == (128, 784)
    assert store.parameters("model.0") == {weight: "weight", weight + 1: "bias"}
    assert store.grad_of(weight, grads[0].seq - 1) == 0
    assert store.grad_of(weight, grads[0].seq) == grads[0].total.id
    assert store.grad_of(weight, grads[1].seq - 1) == grads[0].total.id
    assert store.grad_of(weight) == grads[1].total.id
    assert store.name(grads[1].total.id) == "model.0.weight.grad"


def test_the_graph_of_a_step_knows_who_made_and_who_used_a_tensor():
    events = mlp_events(2)
    store = store_of(events)
    graph = store.graph(1)
    relu = next(e for e in reversed(events) if type(e) is ev.Op and e.name == "relu")
    made = graph.producer(relu.outputs[0].id)
    assert made.key == "model.1#1/relu#1"
    assert [i.key for i in made.sources] == ["model.0#1/linear#1"]
    assert [i.name for i in graph.consumers(relu.outputs[0].id)] == ["linear", "linear_grad"]
    node = made.nodes[0]
    assert (node.kind, node.forward, [s.name for s in node.sources]) == (
        "node",
        made,
        ["linear_grad"],
    )


def test_a_module_called_several_times_has_several_groups():
    store = store_of(rnn_events((3, 5)))
    assert [[m.call for m in store.graph(i).modules() if m.path == "rnn.cell"] for i in (0, 1)] == [
        [1, 2, 3], [1, 2, 3, 4, 5],
    ]  # fmt: skip


def test_writes_in_place_make_new_versions():
    t = Tape()
    x = t.leaf((4,), "x")
    h = t.op("exp", x, shape=(4,))
    t.op("add_", h, x, out=h)
    end = t.op("sum", h)
    store = store_of(t.events)
    graph = store.graph(0)
    add = graph.producer(h)
    assert (add.name, graph.producer(h, add.begin - 1).name) == ("add_", "exp")
    assert (graph.version(h), graph.version(h, 2)) == (1, 0)
    assert [s.name for s in graph.producer(end).sources] == ["add_"]


def test_gradients_flow_along_the_forward_edges_also_where_a_node_passes_them_on():
    t = Tape()
    x = t.parameter((4,), "x")
    a = t.op("exp", x, shape=(4,))
    b = t.op("relu", a, shape=(4,))
    c = t.op("add", a, b, shape=(4,))  # its node passes one gradient tensor to both
    t.backward(t.op("sum", c))
    graph = store_of(t.events).graph(0)
    nodes = {i.name: i for i in graph.items if i.kind == "node"}
    ways = {n: sorted(s.name for s in i.sources) for n, i in nodes.items()}
    assert ways == {
        "sum": [], "add": ["sum_grad"], "relu": ["add"], "exp": ["add", "relu_grad"],
    }  # fmt: skip


# -- gaps, late events, the bound ------------------------------------------------------------


def same(a: TraceStore, b: TraceStore) -> bool:
    def picture(store: TraceStore) -> list[object]:
        steps = [{k: getattr(s, k) for k in Step.__slots__} for s in store.steps]
        moments = [store.moment(e.seq) for e in store.tape]
        return [
            steps, [(m.phase, m.stack, m.subject, m.module) for m in moments], store.tape,
            [i.key for s in store.steps for i in store.graph(s).items], store._raised,
            [store.container(m.seq) and store.container(m.seq).end for m in moments],
        ]  # fmt: skip

    return picture(a) == picture(b)


@pytest.mark.parametrize("seed", range(8))
def test_pieces_in_any_order_give_the_same_store(seed: int):
    events = mlp_events(3) if seed % 2 else rnn_events((2, 3))
    chance = random.Random(seed)
    cuts = sorted(chance.sample(range(1, len(events)), 5))
    pieces = [events[a:b] for a, b in zip([0, *cuts], [*cuts, len(events)])]
    first, *rest = pieces
    chance.shuffle(rest)
    store = store_of(first)
    for piece in rest:
        store.feed(piece)
        store.feed(piece[: len(piece) // 2])  # again: nothing changes
    assert store.gaps == []
    assert same(store, store_of(events))


def test_a_gap_is_remembered_and_what_was_open_is_taken_from_the_events_after_it():
    events = mlp_events(1)
    end = next(i for i, e in enumerate(events) if type(e) is ev.OpBegin)
    begin = next(i for i, e in enumerate(events) if type(e) is ev.Op and e.name == "relu")
    store = store_of(events[: begin + 1] + events[end:])
    lost = (events[begin + 1].seq, events[end - 1].seq)
    assert store.gaps == [lost]
    assert store.event(lost[0]) is None
    assert store.moment(lost[1]).seq == lost[0] - 1
    loss = next(e for e in events[end:] if type(e) is ev.Op)
    assert [type(e).__name__ for e in store.moment(loss.seq).stack] == ["CellBegin", "OpBegin"]


def test_old_steps_are_dropped_and_what_was_known_of_parameters_stays():
    events = mlp_events(30)
    store = TraceStore(max_steps=5)
    for i in range(0, len(events), 40):
        store.feed(events[i : i + 40])
    assert [s.number for s in store.steps] == [26, 27, 28, 29, 30]
    assert store.first_seq == store.steps[0].first_seq == store.tape[0].seq
    assert store.steps[0].index == 25
    weight = next(iter(store.parameters("model.0")))
    assert (store.meta(weight).shape, store.name(weight)) == ((128, 784), "model.0.weight")
    assert [type(e) for e in store.moment(store.first_seq).stack][:1] == [ev.CellBegin]
    assert store.graph(26).modules()[0].path == "model"
    live = [store._seen, store._makers, store._kind_of, store.containers, store._names]
    assert max(map(len, live)) < 6 * 60  # not those of 30 steps


def test_dropping_steps_costs_the_same_however_many_went_before(monkeypatch: pytest.MonkeyPatch):
    """Each step has an input, which is remembered: what is beside it is gone through once."""

    def fed(steps: int) -> tuple[int, TraceStore]:
        dropped: list[int] = []
        drop = TraceStore._drop_tensor

        def counted(self: TraceStore, ident: int) -> None:
            dropped.append(ident)
            drop(self, ident)

        monkeypatch.setattr(TraceStore, "_drop_tensor", counted)
        store = TraceStore(max_steps=32)
        seq, here = 0, ev.Source("train.py", 1, "")
        for step in range(1, steps + 1):
            first, made = seq + 1, 1 + 20 * step
            x = ev.TensorMeta(made, (3, 4), "float32", "cpu", False)
            events: list[ev.Event] = [ev.Leaf(first, 0, x, "x", "input")]
            for i in range(1, 20):
                out = ev.TensorMeta(made + i, (3, 4), "float32", "cpu", False)
                ids = (made + i - 1,)
                op = ev.Op(first + i, 0, 0, "relu", ids, (out,), {}, here, "", 0, 0, "forward")
                events.append(op)
            seq = first + 21
            events += [
                ev.OptimBegin(seq - 1, 0, "SGD", step, here, 0),
                ev.OptimEnd(seq, 0, seq - 1),
            ]
            store.feed(events)
        monkeypatch.setattr(TraceStore, "_drop_tensor", drop)
        return len(dropped), store

    (few, _), (many, store) = fed(200), fed(400)
    assert store.steps[-1].number == 400 and 32 <= len(store.steps) <= 34
    assert 0 < many < 2.5 * few
    assert store.meta(1 + 20 * 5) is not None, "an input is remembered"
    assert store.meta(1 + 20 * 5 + 3) is None, "what was made of it is not"


def test_dropping_a_step_looks_only_at_what_it_spoke_of(monkeypatch: pytest.MonkeyPatch):
    """However many inputs are remembered beside it."""

    def looks(inputs: int) -> int:
        store = TraceStore(max_steps=16)
        metas = (ev.TensorMeta(i, (3,), "float32", "cpu", False) for i in range(1, inputs + 1))
        store.feed(ev.Leaf(i, 0, meta, "x", "input") for i, meta in enumerate(metas, start=1))
        seq, here, found = inputs, ev.Source("train.py", 1, ""), [0]
        is_old = Ids.is_old

        def counted(self: Ids, page: int, first: int) -> bool:
            found[0] += 1
            return is_old(self, page, first)

        monkeypatch.setattr(Ids, "is_old", counted)
        for step in range(1, 101):
            out = ev.TensorMeta(10**6 + step, (3,), "float32", "cpu", False)
            store.feed(
                [
                    ev.Op(seq + 1, 0, 0, "relu", (5,), (out,), {}, here, "", 0, 0, "forward"),
                    ev.OptimBegin(seq + 2, 0, "SGD", step, here, 0),
                    ev.OptimEnd(seq + 3, 0, seq + 2),
                ]
            )
            seq += 3
            if step == 50:
                found[0] = 0  # the inputs' own part is gone
        monkeypatch.setattr(Ids, "is_old", is_old)
        assert store.meta(5) is not None and store.meta(10**6 + 50) is None
        return found[0]

    assert 0 < looks(10_000) == looks(100)


def _next_line(store: TraceStore, seq: int, by: int) -> int | None:
    """Where a step by line stops, by a look at every event."""
    start = store.index_before(seq)
    here, around, depth = stops._place(store, start)
    perhaps = None
    i = start + by
    while 0 <= i < len(store.tape):
        event, outside = store.tape[i], store.innermost(i)
        if outside is not None and outside.seq == event.seq:
            outside = outside.outer
        if type(event) in stops.LINES and (outside is None or not outside.opaque):
            level = outside.depth if outside is not None else 0
            found = stops._other_line(event.source, level, here, around, depth)
            if found:
                return event.seq
            if found is None and perhaps is None:
                perhaps = event.seq
        i += by
    return perhaps if by > 0 else None


@pytest.mark.parametrize("made", ["mlp", "rnn", "failing", "gap", "dropped", "late"])
def test_steps_by_line_stop_where_a_look_at_every_event_does(
    made: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stops, "_CHUNK", 7)
    events = {"rnn": rnn_events((2, 3)), "failing": failing_events()}.get(made, mlp_events(3))
    store = TraceStore(max_events=60 if made == "dropped" else 500_000)
    if made in ("gap", "late"):
        store.feed(events[:50] + events[90:])
        if made == "late":
            store.feed(events[50:90])
    for i in range(0, len(events), 9):
        if made not in ("gap", "late"):
            store.feed(events[i : i + 9])
    assert len(store.places) == len(store)
    for event in store.tape:
        raised = store.raised_after(event.seq) or 10**9
        expected = min(_next_line(store, event.seq, 1) or 10**9, raised)
        assert (store.next_stop(event.seq, "line") or 10**9) == expected
        assert store.previous_stop(event.seq, "line") == _next_line(store, event.seq, -1)


def test_a_step_by_line_along_a_loop_that_is_one_line_reads_no_events(
    monkeypatch: pytest.MonkeyPatch,
):
    events = chain_events(3000)
    seq, other = events[-1].seq, ev.Source("train.py", 999, "")
    last = msgspec.structs.replace(events[5], seq=seq + 1, source=other, parent=0)
    store = store_of([*events, last])
    read: list[int] = []
    get = Packed.__getitem__

    def counted(self: Packed, i: Any) -> Any:
        read.append(i)
        return get(self, i)

    monkeypatch.setattr(Packed, "__getitem__", counted)
    assert store.next_stop(events[4].seq, "line") == seq + 1
    assert store.previous_stop(seq + 1, "line") == seq
    assert len(read) < 20


def test_a_step_without_end_loses_its_beginning():
    events = chain_events(1000)
    store = TraceStore(max_events=100)
    for i in range(0, len(events), 7):
        store.feed(events[i : i + 7])
        assert len(store) <= 132
    assert store.steps[0].truncated
    assert store.steps[0].first_seq == store.first_seq
    items = store.graph(0).items
    assert [i.name for i in items] == ["relu"] * len(store)


def test_feeding_costs_the_same_for_every_event(monkeypatch: pytest.MonkeyPatch):
    made: list[int] = []
    add = Containers.add

    def counted(self: Containers, *args: Any) -> int:
        made.append(add(self, *args))
        return made[-1]

    monkeypatch.setattr(Containers, "add", counted)
    events = mlp_events(20)
    begins = sum(type(e).__name__.endswith("Begin") for e in events)
    store = TraceStore()
    for event in events:
        store.feed([event])
    assert len(made) == begins  # nothing is done over


@pytest.mark.parametrize("seed", range(12))
def test_no_input_raises(seed: int):
    chance = random.Random(seed)
    events: list[ev.Event] = []
    for e in mlp_events(2) + failing_events() + rnn_events((2,)):
        if chance.random() < 0.2:
            fields = {
                f: chance.choice([0, -3, 7, e.seq, 10**15]) for f in ("begin", "parent", "seq")
            }
            for name, value in fields.items():
                if hasattr(e, name) and chance.random() < 0.5:
                    e = msgspec.structs.replace(e, **{name: value})
        if chance.random() < 0.9:
            events.append(e)
    store = TraceStore(max_events=chance.choice([16, 100, 10_000]))
    for i in range(0, len(events), 13):
        store.feed(events[i : i + 13])
    for e in store.tape[:200]:
        store.moment(e.seq)
        for how in HOWS:
            after, before = store.next_stop(e.seq, how), store.previous_stop(e.seq, how)
            assert after is None or after > e.seq, how
            assert before is None or before < e.seq, how
    for step in store.steps:
        store.graph(step)
