"""Pictures: what is on them, escaping, engines, the time limit, files."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from events_for_tests import (
    Tape,
    chain_events,
    failing_events,
    mlp_events,
    residual,
    rnn_events,
    transformer_events,
)
from msgspec import structs

from framework.trace import events as ev
from viewers.graph import dot, picture, svg
from viewers.graph.export import ExportError, export
from viewers.graph.picture import Picture, PictureError
from viewers.graph.store import TraceStore

HOSTILE = "a\x00\x1b]0;t\x07\"'<b onload='x'>&\\N{}|\\l]]>\ud800\u202e日本"
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz's dot")


def store_of(events: list[ev.Event]) -> TraceStore:
    store = TraceStore()
    store.feed(events)
    return store


def made(events: list[ev.Event], *args: object, **kw: object) -> Picture:
    return picture.make(store_of(events).graph(0), *args, **kw)


def summary(shown: Picture) -> list[str]:
    """One line per cell: where, what, and what it feeds."""
    lines = []
    for i, cell in enumerate(shown.cells):
        where, parent = [], cell.parent
        while parent >= 0:
            where.insert(0, shown.clusters[parent].title)
            parent = shown.clusters[parent].parent
        pills = f" ({', '.join(cell.pills)})" if cell.pills else ""
        to = [shown.cells[a.target].title for a in shown.arrows if a.source == i and not a.backward]
        back = [shown.cells[a.source].title for a in shown.arrows if a.target == i and a.backward]
        line = f"{'/'.join([*where, cell.title])}: {cell.kind} {cell.shape}{pills}"
        lines.append(line + "".join(f" > {t}" for t in to) + "".join(f" ^ {t}" for t in back))
    return lines


def texts(document: str) -> list[str]:
    root = ElementTree.fromstring(document)
    return [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]


# -- what is on a picture --------------------------------------------------------------------


def test_forward():
    assert summary(made(mlp_events(1))) == [
        "x: leaf f32[64,784] > 0 Linear",
        "model/0 Linear: module f32[64,128] (weight [128,784], bias [128]) > 1 ReLU",
        "model/1 ReLU: module f32[64,128] > 2 Linear",
        "model/2 Linear: module f32[64,10] (weight [10,128], bias [10]) > log_softmax",
        "y: leaf i64[64] > nll_loss",
        "cross_entropy/log_softmax: op f32[64,10] > nll_loss",
        "cross_entropy/nll_loss: op f32[]",
    ]


def test_depth_closes_groups_and_gathers_what_they_hold():
    assert summary(made(mlp_events(1), depth=0)) == [
        "x: leaf f32[64,784] > model Sequential",
        "model Sequential: group f32[64,10] (4 parameters, 102k elements) > cross_entropy",
        "y: leaf i64[64] > cross_entropy",
        "cross_entropy: group f32[]",
    ]
    assert [c.title for c in made(mlp_events(1), depth=9).clusters] == [
        "model", "0", "1", "2", "cross_entropy",
    ]  # fmt: skip


def test_backward():
    assert summary(made(mlp_events(1), "backward")) == [
        "cross_entropy: root f32[] > nll_loss",
        "nll_loss: node f32[] > log_softmax",
        "log_softmax: node f32[64,10] > 2 Linear",
        "model/2 Linear: node f32[64,10] (weight.grad [10,128], bias.grad [10]) > 1 ReLU",
        "model/1 ReLU: node f32[64,128] > 0 Linear",
        "model/0 Linear: node f32[64,128] (weight.grad [128,784], bias.grad [128])",
    ]


def test_both_links_backward_with_forward():
    shown = made(mlp_events(1), "both")
    assert [line.partition(" ^ ")[2] for line in summary(shown)] == [
        "", "", "0 Linear", "1 ReLU", "", "2 Linear", "log_softmax",
    ]  # fmt: skip
    linear = shown.cells[1]
    assert linear.backward.shape == "f32[64,128]"
    assert linear.backward.pills == ["weight.grad [128,784]", "bias.grad [128]"]
    assert shown.cells[0].backward is None


def test_one_module_shows_what_comes_in_as_inputs():
    shown = made(transformer_events(3), module="net.layers.1.attn")
    lines = summary(shown)
    assert lines[0] == ("layer_norm: outside f32[2,16,64] > q Linear > k Linear > v Linear")
    assert [c.title for c in shown.clusters] == ["attn"]
    assert {c.title for c in shown.cells} >= {"softmax", "out Linear"}
    with pytest.raises(PictureError, match=r"no module 'net\.nothing' in this step"):
        made(transformer_events(1), module="net.nothing")


def test_a_large_model_opens_as_deep_as_it_stays_readable():
    shown = made(transformer_events(60, backward=False))
    assert (shown.depth, len(shown.cells)) == (1, 66)
    assert len(made(transformer_events(60, backward=False), depth=9).cells) > 700


def test_annotations_and_errors_are_shown():
    events = mlp_events(1)
    relu = next(e for e in events if type(e) is ev.Op and e.name == "relu")
    shown = made(events, annotations={relu.outputs[0].id: "0 48 %", "x#1": "NaN 3"})
    assert {c.title: c.note for c in shown.cells if c.note} == {"1 ReLU": "0 48 %", "x": "NaN 3"}
    document = svg.render(shown)
    assert {"0 48 %", "NaN 3"} <= set(texts(document))
    failed = svg.render(made(failing_events()))
    assert "RuntimeError: linear: shapes do not match" in texts(failed)


# -- the built-in drawing --------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["forward", "backward", "both"])
def test_every_cell_shape_and_legend_is_in_the_svg(phase: str):
    shown = made(rnn_events((3,)), phase)
    document = svg.render(shown)
    said = texts(document)
    for cell in shown.cells:
        assert cell.title in said
        assert any(cell.shape in text for text in said)
    assert {"forward": "data", "backward": "gradient", "both": "gradient"}[phase] in said
    heads = len(re.findall(r"l-3\.6 -?7h7\.2z", document))
    assert heads == len(shown.arrows)


def test_hostile_names_are_escaped_in_svg_and_dot(tmp_path: Path):
    t = Tape()
    x = t.leaf((2,), HOSTILE)
    w = t.parameter((2,), f"{HOSTILE}.{HOSTILE}")
    with t.module(HOSTILE, HOSTILE, x), t.module(f"{HOSTILE}.a", HOSTILE, x):
        y = t.op(HOSTILE, x, w, shape=(2,))
        t.op(HOSTILE, y, shape=(2,), error=f"E: {HOSTILE}")
    store = store_of(t.events)
    for depth in (0, 9):
        shown = picture.make(store.graph(0), "both", depth, annotations={y: HOSTILE})
        document = svg.render(shown)
        root = ElementTree.fromstring(document)
        assert not [e for e in root.iter() if "onload" in e.attrib or e.tag.endswith("}b")]
        assert "\x1b" not in document and "\x00" not in document
        source = dot.source(shown)
        assert "\x1b" not in source and "\x00" not in source
        source.encode()
    if shutil.which("dot"):
        drawn = export(store, tmp_path / "a.svg", store.steps[0], engine="dot", depth=9)
        said = "".join(e.text or "" for e in ElementTree.parse(drawn.path).getroot().iter())
        assert "<b onload='x'>&\\N{}|\\l" in said


def test_arrows_that_are_too_long_are_named_at_both_ends():
    t = Tape()
    first = h = t.op("exp", t.leaf((4,), "x"), shape=(4,))
    for _ in range(50):
        h = t.op("relu", h, shape=(4,))
    t.op("add", first, h, shape=(4,))
    said = texts(svg.render(made(t.events)))
    assert "to add" in said
    assert "from exp" in said


# -- dot -------------------------------------------------------------------------------------


def test_dot_has_clusters_in_program_order_and_no_saved_tensors():
    source = dot.source(made(mlp_events(1), "both", depth=9))
    assert source.count("subgraph cluster_") == 5
    assert source.index('label="0 Linear"') < source.index('label="1 ReLU"')
    edges = re.findall(r"^\t(\w+) -> (\w+)", source, re.MULTILINE)
    assert ("n1", "n2") in edges
    assert ("b2", "b1") in edges
    assert len(edges) == 6 + 4  # six of data, four of gradients; those within a row are nested


@needs_dot
@pytest.mark.parametrize("phase", ["forward", "backward", "both"])
def test_dot_accepts_it(tmp_path: Path, phase: str):
    store = store_of(transformer_events(2))
    result = export(store, tmp_path / "a.svg", 1, phase, depth=9, engine="auto")
    assert (result.engine, result.note) == ("dot", "")
    ElementTree.parse(result.path)


# -- files and engines -----------------------------------------------------------------------


def test_without_dot_the_built_in_layout_draws_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    store = store_of(mlp_events(2))
    result = export(store, tmp_path / "a.svg", 2, "both", engine="auto")
    assert result.engine == "own"
    assert result.note == (
        "Graphviz's program dot is not on the PATH; drawn with the built-in layout"
    )
    ElementTree.parse(result.path)
    png = export(store, tmp_path / "a.png", 2, "both", engine="auto")
    assert png.path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ExportError, match="dot is not on the PATH"):
        export(store, tmp_path / "a.svg", 2, engine="dot")
    text = export(store, tmp_path / "a.dot", 2)
    assert (text.engine, text.path.read_text()[:7]) == ("", "digraph")


def fake_dot(folder: Path, script: str) -> None:
    program = folder / "dot"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_slow_dot_is_killed_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake_dot(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child\nwait")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    store = store_of(mlp_events(1))
    for limit in (0.3, 3.0, 20.0):  # on a busy machine it takes long to begin
        result = export(store, tmp_path / "a.svg", engine="auto", time_limit=limit)
        if (tmp_path / "child").exists():
            break
    assert result.engine == "own"
    assert result.note.startswith(f"Graphviz's dot was not done after {limit:g} s")
    child = int((tmp_path / "child").read_text())
    end = time.monotonic() + 60
    while _alive(child):
        assert time.monotonic() < end
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def test_a_failing_dot_is_replaced_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    fake_dot(tmp_path, "echo 'Error: trouble in init_rank' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    result = export(store_of(mlp_events(1)), tmp_path / "a.svg", engine="auto")
    assert result.engine == "own"
    assert "dot failed: Error: trouble in init_rank" in result.note


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = store_of(mlp_events(1))
    target = tmp_path / "a.svg"
    target.write_text("before")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("viewers.graph.export.os.replace", fail)
        with pytest.raises(ExportError, match=r"^cannot write .*a\.svg: No space left on device$"):
            export(store, target)
    assert target.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.svg"]
    export(store, target)
    assert stat.S_IMODE(target.stat().st_mode) & 0o444 == 0o444


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "a.pdf"}, "unknown suffix '.pdf': must be one of .html, .svg, .png, .mmd, .dot"),
        ({"path": "a"}, "unknown suffix ''"),
        ({"phase": "up"}, "unknown phase 'up'"),
        ({"engine": "neato"}, "unknown engine 'neato'"),
        ({"step": 99}, "no step 99 in this trace: it has steps 1 to 3"),
        ({"module": "model.9"}, "no module 'model.9' in this step"),
        ({"path": "no/such/folder/a.svg"}, "cannot write no/such/folder/a.svg: No such file"),
    ],
)
def test_errors_are_one_line(arguments: dict[str, object], message: str, tmp_path: Path):
    given = {"step": 1, "path": tmp_path / "a.svg", "engine": "own", **arguments}
    with pytest.raises(ExportError) as raised:
        export(store_of(mlp_events(3)), **given)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_a_picture_too_large_for_pixels_is_refused(tmp_path: Path):
    store = store_of(chain_events(3000))
    with pytest.raises(ExportError, match=r"is too large for a \.png: write an \.svg"):
        export(store, tmp_path / "a.png", engine="own", depth=9)
    assert os.listdir(tmp_path) == []
    assert export(store, tmp_path / "a.svg", depth=9, engine="auto").note.startswith(
        "3001 nodes are too"
    )


def test_nothing_to_draw(tmp_path: Path):
    with pytest.raises(ExportError, match="there is no step with ops in this trace"):
        export(TraceStore(), tmp_path / "a.svg")
    t = Tape()
    residual(t)
    with pytest.raises(ExportError, match="no backward op in this step"):
        export(store_of(t.events), tmp_path / "a.svg", phase="backward")


def test_what_the_loss_does_not_depend_on_is_left_out_unless_asked_for() -> None:
    import framework as torch
    from framework.trace import recording

    w = torch.ones(3, requires_grad=True)
    with recording() as tape:
        x = torch.ones(3).mul(2.0)
        unrelated = x.neg()
        loss = (w * x).sum()
        (unrelated + loss.detach()).mean()
        loss.backward()
    graph = store_of(tape.read()).graph(0)
    names = [c.title for c in picture.make(graph).cells if c.kind == "op"]
    assert names == ["ones", "mul", "mul", "sum"]
    everything = [c.title for c in picture.make(graph, everything=True).cells if c.kind == "op"]
    assert {"neg", "mean"} <= set(everything)


# -- packs, values ---------------------------------------------------------------------------


def test_a_long_list_is_packed_and_keeps_its_ends_and_arrows() -> None:
    shown = made(chain_events(1000, skip=7))
    assert len(shown.cells) == 21
    assert {c.kind for c in shown.cells} == {"group"}
    first, *_, last = shown.cells
    assert (first.title, first.detail) == ("x … relu", "50 nodes")
    assert last.detail == "1 nodes" and last.shape == "f32[4,4]"
    for a, b in zip(range(20), range(1, 21)):
        assert picture.Arrow(a, b) in shown.arrows
    deep = made(chain_events(20_000))
    assert len(deep.cells) <= 150, "packs of packs"


def test_packs_of_both_phases_say_their_gradients() -> None:
    store = store_of(transformer_events(200))
    shown = picture.make(store.graph(0), "both")
    packs = [c for c in shown.cells if "…" in c.title]
    assert len(packs) == 5
    assert all(c.backward is not None for c in packs)
    told = sum(len(c.backward.grads) for c in shown.cells if c.backward is not None)
    assert told == sum(len(item.grads) for item in store.graph(0).items) > 2000
    assert any(a.backward for a in shown.arrows)


def test_whole_pictures_hold_everything_and_open_as_deep_as_is_readable() -> None:
    graph = store_of(transformer_events(60, backward=False)).graph(0)
    whole = picture.make(graph, whole=True)
    assert whole.depth == 1 and len(whole.cells) > 700
    where = {(flag, i): n for n, (flag, i) in enumerate(whole.order)}
    for flag, i in whole.order:
        parent = (whole.clusters if flag else whole.cells)[i].parent
        assert parent < 0 or where[True, parent] < where[flag, i]


def test_values_come_from_what_keeps_them(tmp_path: Path) -> None:
    import framework as torch
    from framework.trace import recording

    w = torch.tensor([3.0, -4.0, 0.0], requires_grad=True)
    with recording() as tape:
        (w.relu() * 2).sum().backward()
    for suffix in ("svg", "dot", "mmd"):
        text = export(tape, tmp_path / f"a.{suffix}", phase="both", values=True).path.read_text()
        said = text.replace("#37;", "%")
        assert "67 % zero" in said and "= 6" in said
        assert "|g| 3.46" in said, "of the gradient that came to relu: 2, 2, 2"
    with recording(keep="none") as bare:
        w.relu().sum()
    with pytest.raises(ExportError, match=r"no values were kept .*: record it with keep='all'$"):
        export(bare, tmp_path / "b.svg", values=True)
    with pytest.raises(ExportError, match="expected a tape, a store or a session, but got a str"):
        export("train.py", tmp_path / "b.svg")


def test_values_that_are_gone_are_counted(tmp_path: Path) -> None:
    made_of = export(
        store_of(mlp_events(1)), tmp_path / "a.svg", values=lambda tensor, seq: None
    )  # fmt: skip
    assert re.fullmatch(r"(\d+) of \1 values are no longer kept", made_of.note)


def test_a_bad_depth() -> None:
    with pytest.raises(ExportError, match=r"^depth must be 0 or more, but got -1$"):
        export(store_of(mlp_events(1)), "a.svg", depth=-1)


def test_buffers_are_not_counted_as_parameters() -> None:
    import framework as torch
    from framework.trace import recording

    with recording(keep="none") as tape:
        torch.nn.BatchNorm1d(16)(torch.ones(4, 16)).sum().backward()
    shown = picture.make(store_of(list(tape.read())).graph(0), depth=0)
    (norm,) = (cell for cell in shown.cells if len(cell.params) == 5)
    assert norm.pills == ["2 parameters", "32 elements"]


def test_variables_and_cells_are_called_as_the_program_calls_them(tmp_path: Path) -> None:
    """A picture has the graph pane's names, and the number of a cell instead of its id."""
    from test_rows import by_hand

    tape, called = by_hand()
    source = ev.Source("<cell 4c117d38>", 2, "<module>")
    events = [structs.replace(e, source=source) if isinstance(e, ev.Op) else e
              for e in tape.read()]  # fmt: skip
    store = store_of(events)
    sums = (e for e in events if isinstance(e, ev.Op) and e.name == "sum")
    names = {made.id: "cost" for e in sums for made in e.outputs} | called
    for suffix in (".svg", ".mmd", ".dot", ".html"):
        path = tmp_path / f"a{suffix}"
        cells = {"4c117d38": "cell 3"}
        export(
            store, path, phase="both", everything=True,
            called=lambda tensor: names.get(tensor, ""), cells=cells,
        )  # fmt: skip
        told = path.read_text()
        assert "4c117d38" not in told, suffix
        assert "cost" in told and "w.grad" in told.replace("#46;", "."), suffix
        assert "tensor 1.grad" not in told, suffix
    drawn = (tmp_path / "a.svg").read_text()
    assert "cell 3 · both" in drawn and "→ cost" in drawn
