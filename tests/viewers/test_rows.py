"""The outline with lanes: exact texts, growth at the tail, folding, finding."""

from __future__ import annotations

import random
import re

import pytest
from events_for_tests import (
    MLP,
    Tape,
    chain_events,
    failing_events,
    mlp_events,
    residual,
    rnn_events,
    transformer_events,
)

from framework.trace import events as ev
from viewers.graph.lanes import Lanes
from viewers.graph.rows import Outline, Target
from viewers.graph.step import StepGraph
from viewers.graph.store import TraceStore
from viewers.text import STYLES, plain, width_of


def outline(events: list[ev.Event], phase: str = "forward", step: int = 0, **kw: object) -> Outline:
    store = TraceStore()
    store.feed(events)
    return Outline(store.graph(step), phase, **kw)


def text(view: Outline, width: int = 60, **kw: object) -> str:
    return "\n".join(plain(view.line(i, width, **kw)).rstrip() for i in range(len(view)))


def check(view: Outline, expected: str, width: int = 60, **kw: object) -> None:
    assert text(view, width, **kw) == expected.strip("\n")


# -- what it looks like ----------------------------------------------------------------------


def test_a_chain_is_one_lane_and_leaf_modules_are_one_row():
    check(
        outline(mlp_events(1)),
        """
 ○  x                                            f32[64,784]
 │  ▾ model Sequential
 ●    ▸ 0 Linear  W[128,784] b[128]              f32[64,128]
 ●    ▸ 1 ReLU                                   f32[64,128]
 ●    ▸ 2 Linear  W[10,128] b[10]                 f32[64,10]
 │○ y                                                i64[64]
 ●╯ ▸ cross_entropy (2 ops) (loss)                     f32[]
""",
    )


def test_everything_expanded():
    view = outline(mlp_events(1), depth=9, collapsed={"cross_entropy#1": False})
    check(
        view,
        """
 ○  x                                            f32[64,784]
 │  ▾ model Sequential
 │    ▾ 0 Linear  W[128,784] b[128]
 ●      linear                                   f32[64,128]
 │    ▾ 1 ReLU
 ●      relu                                     f32[64,128]
 │    ▾ 2 Linear  W[10,128] b[10]
 ●      linear                                    f32[64,10]
 │○ y                                                i64[64]
 ││ ▾ cross_entropy (loss)
 ●│   log_softmax dim=1                           f32[64,10]
 ●╯   nll_loss (loss)                                  f32[]
""",
    )


def test_backward_in_the_order_it_ran_with_the_parameters_it_reached():
    view = outline(mlp_events(1), "backward", collapsed={"backward#1/nll_loss#1": False})
    check(
        view,
        """
   ▾ backward from cross_entropy
     ▾ nll_loss
 ◀     nll_loss_grad                              f32[64,10]
 ◀   ▸ log_softmax                                f32[64,10]
 │   ▾ model Sequential
 ◀     ▸ 2 Linear → weight.grad bias.grad         f32[64,10]
 ◀     ▸ 1 ReLU                                  f32[64,128]
 ◀     ▸ 0 Linear → weight.grad bias.grad        f32[64,128]
""",
    )


def test_both_shows_how_far_backward_is_at_the_cursor_and_what_is_still_to_come():
    events = mlp_events(1, ops=1)
    node = [e for e in events if type(e) is ev.NodeBegin][2]
    view = outline(events, "both")
    check(
        view,
        """
 ○    x                                          f32[64,784]
 │    ▾ model Sequential
 ●  ◁   ▸ 0 Linear  W[128,784] b[128]            f32[64,128]
 ●  ◁   ▸ 1 ReLU                                 f32[64,128]
▶●  ◧   ▸ 2 Linear  W[10,128] b[10]               f32[64,10]
 │○   y                                              i64[64]
 ●╯ ◀ ▸ cross_entropy (2 ops) (loss)                   f32[]
      ▾ SGD step 1…
        ▸ ↻ model.0.weight                      f32[128,784]
        ▸ ↻ model.0.bias                            f32[128]
        ▸ ↻ model.2.weight                       f32[10,128]
▷       ▸ ↻ model.2.bias                             f32[10]
""",
        cursor=node.seq + 1,
        head=events[-1].seq,
    )
    future = [i for i in range(len(view)) if all(
        style == "future" for t, style in view.line(i, 60, cursor=node.seq)[1:] if t.strip()
    )]  # fmt: skip
    assert future == [7, 8, 9, 10, 11]


def test_a_skip_connection_leaves_and_joins():
    t = Tape()
    residual(t)
    check(
        outline(t.events),
        """
 ○   x                          f32[4,8]
 │○  w parameter                f32[8,8]
 ●┼╮ linear                     f32[4,8]
 ●││ relu                       f32[4,8]
 ●╯│ linear                     f32[4,8]
 ●─╯ add                        f32[4,8]
""",
        width=40,
    )


def test_in_ascii():
    t = Tape()
    residual(t)
    check(
        outline(t.events),
        """
 o   x                          f32[4,8]
 |o  w parameter                f32[8,8]
 *+. linear                     f32[4,8]
 *|| relu                       f32[4,8]
 *'| linear                     f32[4,8]
 *-' add                        f32[4,8]
""",
        width=40,
        ascii=True,
    )
    view = outline(mlp_events(1), "both")
    assert text(view, 60, ascii=True, cursor=30, breakpoints=["x#1"]).isascii()


def test_inputs_of_a_loop_wait_in_their_lanes():
    check(
        outline(rnn_events((3,)), depth=9),
        """
 ○    x0                                 f32[8,16]
 │○   x1                                 f32[8,16]
 ││○  x2                                 f32[8,16]
 │││● zeros                              f32[8,16]
 ││││ ▾ rnn RNN
 ││││   ▾ cell Cell  w[16,16] u[16,16]
 ●│││     matmul                         f32[8,16]
 │││●     matmul                         f32[8,16]
 ●┼┼╯     add                            f32[8,16]
 ●││      tanh                           f32[8,16]
 │││    ▾ cell #2 Cell  w[16,16] u[16,16]
 │●│      matmul                         f32[8,16]
 ●││      matmul                         f32[8,16]
 ●╯│      add                            f32[8,16]
 ● │      tanh                           f32[8,16]
 │ │    ▾ cell #3 Cell  w[16,16] u[16,16]
 │ ●      matmul                         f32[8,16]
 ● │      matmul                         f32[8,16]
 ●─╯      add                            f32[8,16]
 ●        tanh                           f32[8,16]
 │      ▾ head Linear  W[1,16]
 ●        linear                          f32[8,1]
 ●    mean (loss)                            f32[]
""",
        width=50,
    )


def test_a_long_skip_is_a_label_at_both_ends():
    t = Tape()
    x = t.leaf((4,), "x")
    h = first = t.op("exp", x, shape=(4,))
    for _ in range(30):
        h = t.op("relu", h, shape=(4,))
    t.op("add", first, h, shape=(4,))
    t.op("mul", first, h, shape=(4,))
    rows = text(outline(t.events), 50).splitlines()
    assert rows[1] == " ●  exp → add ↓31 +1                        f32[4]"
    assert "add ← exp ↑31" in rows[-2]
    assert "mul ← exp ↑32" in rows[-1]


def test_more_values_than_lanes_become_labels():
    t = Tape()
    leaves = [t.leaf((4,), f"x{i}") for i in range(9)]
    h = leaves[0]
    for other in leaves[1:]:
        h = t.op("add", h, other, shape=(4,))
    view = outline(t.events)
    assert view.gutter == 6
    assert "x0 → add ↓9" in text(view)
    assert "add ← x0 ↑9" in text(view)


def test_an_exception_is_marked_where_it_was_raised_and_told_once():
    check(
        outline(failing_events()),
        """
 ○ x                                                         f32[64,100]
 │ ▾ model Sequential ✗
 ✗   ▸ 0 Linear  W[128,784] ✗ RuntimeError: linear: shapes do not match
""",
        width=72,
    )


def test_annotations_breakpoints_and_narrow_panes():
    events = mlp_events(1)
    view = outline(events)
    relu = next(e for e in events if type(e) is ev.Op and e.name == "relu")
    notes = {relu.outputs[0].id: "0 48 %", "model.0#1": "NaN 3"}
    lines = text(view, 60, annotations=notes, breakpoints=["model.1#1"]).splitlines()
    assert lines[2] == " ●    ▸ 0 Linear  W[128,784] b[128]       NaN 3  f32[64,128]"
    assert lines[3] == "■●    ▸ 1 ReLU                           0 48 %  f32[64,128]"
    assert ("NaN 3", "bad") in view.line(2, 60, annotations=notes)
    narrow = text(view, 24, annotations=notes).splitlines()
    assert narrow[2] == " ●    ▸ 0 Linear  W[128…"
    assert all(width_of(line) <= 24 for line in narrow)
    assert all(width_of(view.line(i, w)) <= w for i in range(len(view)) for w in range(40))


@pytest.mark.parametrize("phase", ["forward", "backward", "both"])
def test_every_style_is_listed(phase: str):
    for events in (mlp_events(1, ops=1), failing_events(), transformer_events(2)):
        view = outline(events, phase, depth=2)
        for i in range(len(view)):
            for cursor in (None, 5, events[-1].seq):
                line = view.line(i, 70, cursor, 3, {r.key: "NaN" for r in view.rows[:2]}, ["x#1"])
                assert {style for _, style in line} <= STYLES.keys()


# -- folding ---------------------------------------------------------------------------------


def test_equal_siblings_fold_and_unfold():
    view = outline(transformer_events(12))
    check(
        view,
        """
 ○  tokens                                               i64[2,16]
 │  ▾ net Transformer
 ●    ▸ embed Embedding  W[256,64]                    f32[2,16,64]
 ●    ▸ layers.0 Block (14 ops)                       f32[2,16,64]
 ◉    ▸ layers.1 … layers.11 (×11) Block              f32[2,16,64]
 ●    ▸ head Linear  W[256,64] b[256]                f32[2,16,256]
 │○ targets                                              i64[2,16]
 ●╯ ▸ cross_entropy (2 ops) (loss)                           f32[]
""",
        width=66,
    )
    assert view.rows[4].kind == "fold"
    assert view.toggle(4)
    assert [r.key for r in view.rows[3:15]] == [f"net.layers.{i}#1" for i in range(12)]
    assert view.refold(7)
    assert len(view) == 8
    assert not view.refold(2)


def test_a_fold_is_the_same_in_the_next_step_of_another_length():
    store = TraceStore()
    store.feed(rnn_events((4, 7)))
    states: dict[str, bool] = {}
    a, b = (Outline(store.graph(i), collapsed=states) for i in (0, 1))
    folds = [next(r for r in v.rows if r.kind == "fold") for v in (a, b)]
    assert [f.fold for f in folds] == [3, 6]
    assert folds[0].key == folds[1].key
    a.toggle(a.rows.index(folds[0]))
    b.rebuild()
    assert not [r for r in b.rows if r.kind == "fold"]


def test_different_siblings_do_not_fold():
    t = Tape()
    h = t.leaf((4, 8), "x")
    with t.module("m", "M", h):
        for i, wide in enumerate((8, 8, 16, 8, 8)):
            with t.module(f"m.{i}", "Linear", h):
                h = t.op("linear", h, shape=(4, wide))
    assert [r.kind for r in outline(t.events).rows].count("fold") == 0


# -- growing ---------------------------------------------------------------------------------


SCENES = {
    "mlp": lambda: mlp_events(2, ops=2),
    "rnn": lambda: rnn_events((3, 6)),
    "failing": failing_events,
    "transformer": lambda: transformer_events(4),
    "chain": lambda: chain_events(60, 3),
}


@pytest.mark.parametrize("phase", ["forward", "backward", "both"])
@pytest.mark.parametrize("scene", SCENES)
def test_growing_gives_the_same_rows_as_building_and_never_moves_one(scene: str, phase: str):
    events = SCENES[scene]()
    for depth in (0, 1, 9):
        chance = random.Random(depth)
        store = TraceStore()
        views: dict[int, Outline] = {}
        i = 0
        while i < len(events):
            count = chance.choice((1, 1, 2, 5))
            store.feed(events[i : i + count])
            i += count
            for step in store.steps[-2:]:
                graph = store.graph(step)
                if step.index not in views:
                    views[step.index] = Outline(graph, phase, depth)
                view = views[step.index]
                before = [row.key for row in view.rows]
                view.update()
                # A fold takes the last row, and the one before it changes its name.
                still = before[: max(0, len(before) - 2)]
                assert [row.key for row in view.rows][: len(still)] == still
        for index, view in views.items():
            assert text(view) == text(Outline(store.graph(index), phase, depth))


def test_one_more_op_on_a_long_outline_is_one_more_row():
    events = chain_events(5000, skip=3)
    store = TraceStore()
    store.feed(events[:-10])
    view = Outline(store.graph(0))
    rows = view.rows[:]
    work = view.work
    cells = [view.lanes.cells_text(i, "●") for i in range(len(view) - 30)]
    store.feed(events[-10:])
    store.graph(0)
    assert view.update()
    assert view.work - work == 20  # ten entries of the log, ten rows
    assert view.rows[: len(rows)] == rows
    assert cells == [view.lanes.cells_text(i, "●") for i in range(len(cells))]
    assert not view.update()


def test_the_work_grows_with_the_ops():
    work = [outline(chain_events(n, 3)).work for n in (1000, 2000)]
    assert work[1] < 2.1 * work[0]


# -- finding ---------------------------------------------------------------------------------


def test_every_event_has_a_row():
    events = mlp_events(1, ops=1)
    for phase in ("forward", "backward", "both"):
        view = outline(events, phase)
        for e in events:
            row = view.index_of(e.seq)
            assert row is None or view.rows[row].begin <= e.seq
    view = outline(events, "both")
    at = {type(e).__name__ + getattr(e, "name", ""): view.rows[view.index_of(e.seq)].key
          for e in events if view.index_of(e.seq) is not None}  # fmt: skip
    assert at["Oprelu"] == "model.1#1"
    assert at["NodeBeginrelu"] == "model.1#1"
    assert at["Gradmodel.2.weight"] == "model.2#1"
    assert at["OpEnd"] == "cross_entropy#1"
    assert at["ModuleEnd"] == "model#1"
    assert at["ParamUpdatemodel.2.bias"] == "SGD#1/update#4"


def test_keys_and_targets():
    view = outline(mlp_events(2), step=1, depth=9)
    row = next(r for r in view.rows if r.item.name == "relu")
    assert row.key == "model.1#1/relu#1"
    assert row.target == Target("relu", "model.1", "<train>", 10, "forward")
    module = view.rows[view.parent_of(view.rows.index(row))]
    assert module.target == Target("", "model.1", "<train>", 10, "forward")
    assert row.tensors == [m.id for m in row.item.event.outputs]


def test_search_by_text_and_expression_finds_what_is_hidden():
    view = outline(mlp_events(1))
    assert [view.rows[i].key for i in view.find("LINEAR")] == ["model.0#1", "model.2#1"]
    assert [view.rows[i].key for i in view.find("softmax")] == ["cross_entropy#1"]
    assert [view.rows[i].key for i in view.find("/^x$/")] == ["x#1"]
    assert view.find("") == view.find("no such thing") == []
    with pytest.raises(ValueError, match="not a regular expression"):
        view.find("/(/")
    log_softmax = next(i for i in view.graph.items if i.name == "log_softmax")
    row = view.reveal(log_softmax)
    assert view.rows[row].item == log_softmax


def test_backward_of_an_earlier_cell_s_forward_has_rows_of_its_own():
    t = Tape()
    with t.cell("a"):
        loss = MLP(t).step(backward=False, update=False)
    with t.cell("b"):
        t.backward(loss)
    view = outline(t.events, "both", step=1)
    check(
        view,
        """
     ▾ backward
 ◀     ▸ nll_loss                                      f32[]
 ◀     ▸ log_softmax                              f32[64,10]
 │     ▾ model.2
 ◀       ▸ linear → weight.grad bias.grad         f32[64,10]
 │     ▾ model.1
 ◀       ▸ relu                                  f32[64,128]
 │     ▾ model.0
 ◀       ▸ linear → weight.grad bias.grad        f32[64,128]
""",
    )


def test_names_go_through_as_they_are():
    t = Tape()
    name = "\x1b]0;x\x07[@click=quit]<b>&日本"
    x = t.leaf((2,), name)
    t.op(name, x, shape=(2,), dim=name)
    view = outline(t.events)
    assert name in text(view, 200)
    assert all(width_of(view.line(i, 30)) <= 30 for i in range(len(view)))


def test_an_unknown_phase_is_refused():
    with pytest.raises(ValueError, match="phase must be one of forward, backward, both"):
        outline(mlp_events(1), "sideways")


# -- lanes -----------------------------------------------------------------------------------


def drawn(*sources: list[int]) -> list[str]:
    lanes = Lanes()
    for above in sources:
        row = lanes.add(True, above)
        for source in above:
            lanes.edge(source, row)
    return ["".join(lanes.cells_text(row, "●")).rstrip() for row in range(len(lanes))]


def test_lanes_of_attention():
    # x, q(x), k(x), v(x), q k, (q k) v, + x
    assert drawn([], [0], [0], [0], [1, 2], [4, 3], [5, 0]) == [
        "●┬┬╮",
        "●│││",
        "│●││",
        "││●│",
        "●╯││",
        "●─╯│",
        "●──╯",
    ]


def test_rows_that_do_not_feed_each_other_do_not_look_as_if_they_did():
    assert drawn([], [], [0], [1]) == ["●", "│●", "●│", " ●"]


def test_one_lane_serves_all_later_users():
    assert drawn([], [0], [1, 0], [2, 0], [3, 0]) == ["●╮", "●│", "●┤", "●┤", "●╯"]


def test_dropping_the_last_row_restores_everything():
    lanes = Lanes()
    for above in ([], [0], [1, 0]):
        row = lanes.add(True, above)
        for source in above:
            lanes.edge(source, row)
    before = [lanes.cells_text(r, "●") for r in range(3)]
    row = lanes.add(True, [2, 0])
    lanes.edge(2, row)
    lanes.edge(0, row)
    assert [lanes.cells_text(r, "●") for r in range(3)] != before
    lanes.drop_last()
    assert [lanes.cells_text(r, "●") for r in range(3)] == before
    assert len(lanes) == 3


@pytest.mark.parametrize("phase", ["forward", "backward", "both"])
@pytest.mark.parametrize("piece", [1, 7, 100])
def test_in_pieces_it_comes_to_the_same(phase: str, piece: int):
    events = transformer_events()
    whole = outline(events, phase)
    view = outline(events, phase, limit=piece)
    assert len(view) <= piece
    while view.behind:
        before = view.behind
        assert view.update(piece) and view.behind == max(0, before - piece)
    assert text(view) == text(whole) and not view.update(piece)


@pytest.mark.parametrize("phase", ["forward", "backward", "both"])
def test_events_are_found_while_not_all_is_taken_in(phase: str):
    events = mlp_events(1)
    view = outline(events, phase, limit=3)
    while True:
        for event in events:
            row = view.index_of(event.seq)
            assert row is None or 0 <= row < len(view)
        if not view.update(3):
            break
    whole = outline(events, phase)
    assert [view.index_of(e.seq) for e in events] == [whole.index_of(e.seq) for e in events]


@pytest.mark.parametrize("phase", ["forward", "backward", "both"])
def test_a_search_finds_what_reading_every_item_finds(phase: str):
    view = outline(mlp_events(2), phase, depth=9)
    store = view.graph.store
    products = [e for e in store.tape if type(e) is ev.Op and e.name == "relu"]
    view.names = {e.outputs[0].id: "hidden" for e in products}
    for pattern in ("relu", "weight", "Linear", "model.0", "hidden", "e", "none such", "/^b.*s$/"):
        match = re.compile(pattern.strip("/") if pattern[0] == "/" else re.escape(pattern), re.I)
        rows = set()
        for item in view.graph.items:
            texts = [item.name, item.path, item.cls, item.error, *item.params.values()]
            texts += [grad.name for grad in item.grads]
            if item.kind == "op":
                texts += [view.names.get(m.id, "") for m in item.outputs]
            if view._row(item) >= 0 and any(text and match.search(text) for text in texts):
                rows.add(view._row(item))
        assert view.find(pattern) == sorted(rows), pattern


def test_a_graph_that_is_read_in_pieces_is_the_same_and_its_rows_stay_where_they_are():
    events = mlp_events(1)
    store, whole = TraceStore(), TraceStore()
    store.feed(events)
    whole.feed(events)
    for phase in ("forward", "backward", "both"):
        view = Outline(StepGraph(store, store.steps[0]), phase, depth=9)
        graph, shown = view.graph, []
        while graph.behind or view.behind:
            graph.update(3)
            view.update(2)
            keys = [row.key for row in view.rows]
            assert keys[: len(shown)] == shown
            shown = keys
        assert text(view) == text(Outline(whole.graph(0), phase, depth=9))


# -- devices ---------------------------------------------------------------------------------


def test_every_node_says_where_it_is_and_a_transfer_from_where_to_where(fake_cuda: None):
    import framework as torch
    from framework.trace import recording

    with recording() as tape:
        x = torch.ones(2, 3)
        w = torch.full((3,), 2.0, device="cuda", requires_grad=True)
        y = (x.to("cuda") * w).sum()
        y.backward()
        kept = torch.zeros((), device="cuda:1")
        kept.copy_(y.detach())
        y.item()
    events = [e for e in tape.read() if not isinstance(e, ev.Leaf)]
    moves = [e for e in events if isinstance(e, ev.Op) and e.name == "to_device"]
    ways = [(e.meta["source"], e.meta["target"], e.outputs[0].device) for e in moves]
    assert ways == [("cpu", "cuda:0", "cuda:0"), ("cuda:0", "cuda:1", "cuda:1")]
    store = TraceStore()
    store.feed(tape.read())
    view = Outline(store.graph(0), "forward")
    view.names = {moves[0].outputs[0].id: "there"}
    lines = [plain(view.line(i, 70)) for i in range(len(view))]
    assert any(re.search(r"to_device cpu→cuda:0 → there +f32\[2,3\]@0", line) for line in lines)
    assert any(re.search(r"to_device cuda:0→cuda:1 +f32\[\]@1", line) for line in lines)
    assert any(re.search(r"mul .*f32\[2,3\]@0", line) for line in lines)
    assert any(re.search(r" ones .*f32\[2,3\]$", line) for line in lines)  # of the CPU: nothing


def by_hand() -> tuple[object, dict[int, str]]:
    """Two steps in a cell that update weights without an optimizer; what holds each weight."""
    import framework as torch
    from framework.trace import recording

    with recording(keep="all") as tape:
        w = torch.ones(3, requires_grad=True)
        v = torch.ones(1, 1, requires_grad=True)
        tape.begin_cell("4c117d38", 1)
        for _ in range(2):
            ((w - 1) ** 2).sum().backward()
            (v @ v).sum().backward()
            v.grad.norm()
            with torch.no_grad():
                w -= 0.1 * w.grad
    ids = {e.leaf: name for e in tape.read() if isinstance(e, ev.Grad)
           for name in ("wv"[len(e.total.shape) - 1],)}  # fmt: skip
    return tape, ids


def test_a_gradient_that_an_op_reads_is_named_by_its_leaf():
    tape, called = by_hand()
    view = outline(list(tape.read()), step=1)
    view.names = called
    shown = text(view, 80)
    assert re.search(r"○\S* +ones → w of an earlier step", shown), (
        "that it is written in place before somebody looks makes it no tensor of this step", shown
    )  # fmt: skip
    assert re.search(r"○\S* +w\.grad +f32\[3\]", shown), shown
    assert re.search(r"norm ← v\.grad p=2", shown), shown
    assert "0.1" not in re.search(r"○.*w\.grad.*", shown)[0], "these are the product's arguments"
