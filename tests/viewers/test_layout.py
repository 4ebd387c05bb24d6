"""The layered layout: nothing overlaps, edges go down, chains are straight, the cost is linear."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from viewers.graph import layout as module
from viewers.graph.layout import REACH, Diagram, Placed, Rect, layout


def chain(count: int, skip: int = 0, span: int = 4) -> Diagram:
    diagram = Diagram()
    boxes = [diagram.box(80, 40) for _ in range(count)]
    for a, b in pairwise(boxes):
        diagram.edge(a, b)
    for i in range(0, count - span if skip else 0, skip or 1):
        diagram.edge(boxes[i], boxes[i + span])
    return diagram


def nested(seed: int, count: int = 60) -> Diagram:
    """Random boxes in groups, in program order, with edges from earlier to later ones."""
    chance = random.Random(seed)
    diagram = Diagram()
    open_, boxes = [-1], []
    for _ in range(count):
        what = chance.random()
        if what < 0.15 and len(open_) < 5:
            open_.append(diagram.group(open_[-1], title=chance.choice((20, 150))))
        elif what < 0.3 and len(open_) > 1:
            open_.pop()
        else:
            box = diagram.box(chance.choice((30, 90, 200)), chance.choice((20, 40)), open_[-1])
            for _ in range(chance.choice((0, 1, 1, 1, 2, 3)) if boxes else 0):
                diagram.edge(chance.choice(boxes[-8:]), box, kind=chance.choice((0, 1)))
            boxes.append(box)
    return diagram


def overlap(a: Rect, b: Rect) -> bool:
    return (
        a.x < b.x + b.w - 0.01 and b.x < a.x + a.w - 0.01
        and a.y < b.y + b.h - 0.01 and b.y < a.y + a.h - 0.01
    )  # fmt: skip


def inside(a: Rect, b: Rect) -> bool:
    return (
        a.x >= b.x - 0.01 and a.y >= b.y - 0.01
        and a.x + a.w <= b.x + b.w + 0.01 and a.y + a.h <= b.y + b.h + 0.01
    )  # fmt: skip


def check(diagram: Diagram, placed: Placed) -> None:
    """What every layout has to hold."""
    whole = Rect(0, 0, placed.width, placed.height)
    siblings: dict[int, list[int]] = {}
    for i, box in enumerate(diagram.boxes):
        siblings.setdefault(box.parent, []).append(i)
        assert inside(placed.boxes[i], placed.boxes[box.parent] if box.parent >= 0 else whole)
    for group in siblings.values():
        for k, a in enumerate(group):
            assert not any(overlap(placed.boxes[a], placed.boxes[b]) for b in group[k + 1 :])
    for edge, route in zip(diagram.edges, placed.routes):
        if route is None:
            continue
        a, b = placed.boxes[edge.source], placed.boxes[edge.target]
        ys = [y for _, y in route]
        assert all(b > a - 1e-6 for a, b in pairwise(ys))
        assert ys[0] == pytest.approx(a.y + a.h)
        assert ys[-1] == pytest.approx(b.y)
        assert a.x <= route[0][0] <= a.x + a.w
        assert b.x <= route[-1][0] <= b.x + b.w
        for other in siblings[diagram.boxes[edge.source].parent]:
            if other not in (edge.source, edge.target) and not diagram.boxes[other].group:
                rect = placed.boxes[other]
                assert not any(
                    rect.x < x < rect.x + rect.w and rect.y + 0.5 < y < rect.y + rect.h - 0.5
                    for x, y in route
                )


def test_a_chain_is_straight():
    diagram = chain(20)
    placed = layout(diagram)
    check(diagram, placed)
    assert len({round(r.x, 3) for r in placed.boxes}) == 1
    assert all(len({round(x, 3) for x, _ in route}) == 1 for route in placed.routes)


def test_a_chain_with_skips_stays_straight_and_the_skips_go_beside_it():
    diagram = chain(21, skip=5)
    placed = layout(diagram)
    check(diagram, placed)
    assert max(r.x for r in placed.boxes) - min(r.x for r in placed.boxes) < 2
    for route in placed.routes[20:]:
        assert max(abs(x - route[0][0]) for x, _ in route) > 40


@pytest.mark.parametrize("seed", range(25))
def test_nothing_overlaps_in_random_nested_graphs(seed: int):
    diagram = nested(seed)
    check(diagram, layout(diagram))


def test_an_order_without_crossings_is_found():
    diagram = Diagram()
    tops = [diagram.box(40, 20) for _ in range(4)]
    for top in reversed(tops):
        diagram.edge(top, diagram.box(40, 20))
    placed = layout(diagram)
    ends = sorted((route[0][0], route[-1][0]) for route in placed.routes)
    assert [b for _, b in ends] == sorted(b for _, b in ends)


def test_edges_of_one_source_share_their_line():
    diagram = Diagram()
    a = diagram.box(40, 20)
    before = a
    for _ in range(6):
        before, last = diagram.box(40, 20), before
        diagram.edge(last, before)
        diagram.edge(a, before)
    placed = layout(diagram)
    longest, other = placed.routes[-1], placed.routes[-3]
    assert set(other[:4]) <= set(longest)


def test_lines_into_a_group_pass_its_title_on_the_right():
    diagram = Diagram()
    a = diagram.box(40, 20)
    group = diagram.group(title=120)
    diagram.edge(a, diagram.box(40, 20, group))
    placed = layout(diagram)
    assert placed.routes[0][-1][0] > placed.boxes[group].x + 120


def test_attachments_are_kept():
    diagram = Diagram()
    a, b = diagram.box(100, 20), diagram.box(100, 20)
    diagram.edge(a, b, out_at=10, in_at=90)
    placed = layout(diagram)
    route = placed.routes[0]
    assert route[0][0] - placed.boxes[a].x == pytest.approx(10)
    assert route[-1][0] - placed.boxes[b].x == pytest.approx(90)
    assert route[0][0] == pytest.approx(route[-1][0])


def test_edges_that_are_too_long_or_go_up_have_no_route():
    diagram = chain(REACH + 5)
    long = diagram.edge(0, REACH + 4)
    up = diagram.edge(5, 3)
    placed = layout(diagram)
    assert placed.routes[long] is placed.routes[up] is None
    assert placed.routes[0]


def test_nothing_and_empty_groups():
    assert layout(Diagram()).boxes == []
    diagram = Diagram()
    diagram.group(title=50)
    assert layout(diagram).boxes[0].w > 50


def test_a_long_chain_and_deep_nesting_need_no_recursion():
    assert len(layout(chain(20_000)).boxes) == 20_000
    diagram = Diagram()
    group = -1
    for _ in range(1500):
        group = diagram.group(group)
    diagram.box(10, 10, group)
    assert len(layout(diagram).boxes) == 1501


def test_the_work_is_linear(monkeypatch: pytest.MonkeyPatch):
    """Dummies are what can blow a layered layout up; they are counted with the boxes."""
    counts = []
    for size in (200, 400):
        made = 0
        add = module._Graph.add

        def counted(self: object, *args: float, add: object = add) -> int:
            nonlocal made
            made += 1
            return add(self, *args)

        with monkeypatch.context() as patch:
            patch.setattr(module._Graph, "add", counted)
            layout(chain(size, skip=1, span=30))
        counts.append(made)
    assert counts[1] < 2.2 * counts[0]
