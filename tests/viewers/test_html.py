"""The page of a step: whole in one file, safe, and working in a browser where there is one."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from events_for_tests import Tape, chain_events, mlp_events, rnn_events, transformer_events
from test_export import HOSTILE, store_of

import framework as torch
from framework import nn
from framework.trace import recording
from viewers import export

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(BROWSER is None, reason="needs chromium")


def page_of(events: list[Any], tmp_path: Path, **options: Any) -> str:
    return export(store_of(events), tmp_path / "a.html", **options).path.read_text("utf-8")


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def names(data: dict[str, Any]) -> list[str]:
    return [data["strings"][row[1]] for row in data["nodes"]]


def test_the_graph_is_in_the_page_with_all_that_is_closed(tmp_path: Path):
    data = data_of(page_of(rnn_events((3,)), tmp_path, depth=1))
    assert data["depth"] == 1
    kinds = [data["kinds"][row[0]] for row in data["nodes"]]
    assert "cluster" in kinds and "op" in kinds
    for number, row in enumerate(data["nodes"]):
        assert -1 <= row[4] < number, "a group comes before what is in it"
    ends = data["edges"]
    assert all(a < b for a, b in zip(ends[::3], ends[1::3])), "arrows follow the program"


def test_nothing_is_fetched_and_nothing_else_may_run(tmp_path: Path):
    page = page_of(mlp_events(1), tmp_path)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; ")
    inline = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    inline += re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(inline) == 3
    for text in inline:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy[1]
    links = set(re.findall(r"https?://[^\s\"'<>]+", page))
    assert links == {"http://www.w3.org/2000/svg"}, "a name space, not an address"
    assert not re.search(r"\b(src|href)=|@import|url\(", page)


def test_hostile_names_stay_text(tmp_path: Path):
    t = Tape()
    x = t.leaf((2,), "</script><script>alert(1)</script>")
    w = t.parameter((2,), f"{HOSTILE}.{HOSTILE}")
    with t.module(HOSTILE, HOSTILE, x):
        y = t.op(HOSTILE, x, w, shape=(2,), arg="<!--")
        t.op(HOSTILE, y, shape=(2,), error=f"E: {HOSTILE}")
    page = page_of(t.events, tmp_path)
    assert "<script>alert" not in page and "<!--" not in page
    assert page.count("</script>") == 3
    assert not set("\x00\x1b\u202e\ud800") & set(page)
    assert "</script><script>alert(1)</script>" in names(data_of(page))


def test_values_gradients_and_source_lines_are_in_it(tmp_path: Path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    with recording() as tape:
        loss = model(torch.ones(2, 4)).sum()
        loss.backward()
    page = export(tape, tmp_path / "a.html", phase="both", values=True).path.read_text("utf-8")
    data = data_of(page)
    by_name = {data["strings"][row[1]]: row for row in data["nodes"]}
    linear = by_name["0 Linear"]
    figures = linear[9]["v"]
    assert figures[0] == 6
    weight, *_ = linear[9]["pa"]
    assert weight[:2] == ["weight", "f32[3,4]"]
    norm = float(model[0].weight.norm())
    assert weight[2][8] == pytest.approx(norm, rel=1e-3)
    gradient = next(g for g in linear[9]["ga"] if g[0] == "model.0.weight.grad")
    assert gradient[2][8] == pytest.approx(float(model[0].weight.grad.norm()), rel=1e-3)
    _, line, _, text = data["sources"][linear[5]]
    assert text == "loss = model(torch.ones(2, 4)).sum()"
    assert line == test_values_gradients_and_source_lines_are_in_it.__code__.co_firstlineno + 4
    assert by_name["sum"][9]["n"] == f"= {float(loss):.3g}"


def test_a_recording_shows_only_its_own_sources(tmp_path: Path):
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret\n" * 9)
    t = Tape(file=str(secret))
    t.op("relu", t.leaf((2,), "x"), shape=(2,))
    assert "the secret" not in page_of(t.events, tmp_path)


def test_long_lists_are_packed_and_the_page_stays_small(tmp_path: Path):
    page = page_of(chain_events(20_000, skip=7), tmp_path)
    data = data_of(page)
    children: dict[int, int] = {}
    for row in data["nodes"]:
        children[row[4]] = children.get(row[4], 0) + 1
    assert max(children.values()) <= 150
    assert names(data).count("add") + names(data).count("relu") > 19_000
    assert len(page) < 60 * 20_000


# -- in a browser ----------------------------------------------------------------------------


def rendered(path: Path, search: str = "") -> str:
    """The document after its script ran; ``search`` is typed into the search box by the address."""
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
            "--virtual-time-budget=5000", f"--user-data-dir={path.parent / 'profile'}",
            f"file://{path}#{search}",
        ],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    return done.stdout


@needs_browser
def test_the_page_draws_itself(tmp_path: Path):
    path = export(store_of(mlp_events(1)), tmp_path / "a.html", phase="both").path
    drawn = rendered(path)
    canvas = drawn[drawn.index('<svg id="canvas"') : drawn.index('<div id="tip"')]
    assert canvas.count('class="node"') == 7
    assert canvas.count('class="edge gradient dashed"') == 4
    assert canvas.count('class="edge"') == 6
    for text in ("0 Linear", "f32[64,784]", "weight [128,784]", "weight.grad [128,784]"):
        assert text in canvas


@needs_browser
def test_a_search_opens_the_groups_around_what_it_finds(tmp_path: Path):
    store = store_of(transformer_events(300, backward=False))
    path = export(store, tmp_path / "a.html").path
    assert "layers.217 Block" not in rendered(path)
    drawn = rendered(path, "net.layers.217.attn.out")
    assert ">layers.217</text>" in drawn, "its group is open"
    assert drawn.count('class="module match sel"') == 1
    panel = drawn[drawn.index('<aside id="panel"') :]
    assert "out Linear" in panel and "in net.layers.217.attn.out" in panel
