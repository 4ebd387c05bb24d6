"""Mermaid's text: structure, and nothing of a name that Mermaid or HTML could take for its own."""

from __future__ import annotations

import re
from pathlib import Path

from events_for_tests import Tape, chain_events, mlp_events
from test_export import HOSTILE, made, store_of

from viewers.graph import mermaid
from viewers.graph.export import export


def test_subgraphs_nodes_and_arrows() -> None:
    text = mermaid.source(made(mlp_events(1), "both"))
    lines = [line.strip() for line in text.splitlines()]
    assert lines[lines.index("---", 1) + 1] == "flowchart TB"
    assert [line for line in lines if line.startswith("subgraph")] == [
        'subgraph c0["model Sequential"]', 'subgraph c1["cross_entropy"]',
    ]  # fmt: skip
    assert sum(line == "end" for line in lines) == 2
    arrows = [line for line in lines if re.fullmatch(r"n\d+ (-->|-\.->) n\d+", line)]
    assert sum("-->" in a for a in arrows) == 6
    assert sum("-.->" in a for a in arrows) == 4
    styled = next(line for line in lines if line.startswith("linkStyle"))
    assert [arrows[int(n)] for n in styled.split()[1].split(",")] == [
        a for a in arrows if "-.->" in a
    ]
    for name in re.findall(r":::(\w+)", text):
        assert f"classDef {name} " in text


def test_hostile_names_are_numeric_entities() -> None:
    t = Tape()
    x = t.leaf((2,), f'"]; click n0 call alert() {HOSTILE}')
    with t.module(f'{HOSTILE}"] end', HOSTILE, x):
        t.op(f"%%{{init: {{}}}}%% {HOSTILE}", x, shape=(2,), error=f"E: {HOSTILE}\nend")
    text = mermaid.source(made(t.events, depth=9))
    for line in text.splitlines():
        inside = re.search(r'"(.*)"', line)
        if inside is None:
            continue
        label = re.sub(r"</?b>|<br/>", "", inside[1])
        assert not set('"<>&`%{}\\;') & set(re.sub(r"#\d+;", "", label)), label
    assert "#34;" in text and "\x1b" not in text


def test_what_mermaid_would_not_draw_is_said(tmp_path: Path) -> None:
    store = store_of(chain_events(600))
    result = export(store, tmp_path / "a.mmd", depth=1)
    assert result.note == "to draw it, set Mermaid's maxEdges to 600"
    assert export(store, tmp_path / "b.mmd").note == "", "packed where no depth is asked for"
