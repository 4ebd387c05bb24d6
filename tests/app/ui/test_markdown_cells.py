"""How cells become rows: Markdown in a narrow pane, and code that is long."""

from __future__ import annotations

import pytest

from app.notebook import Cell, Notebook
from app.ui.cells import Rows


def rows_of(source: str, width: int = 40) -> list[str]:
    """The text of the cell's rows, without its header."""
    rows = Rows(Notebook(cells=[Cell("m", "markdown", source)]), lambda _: "")
    rows.layout(width)
    texts = ["".join(text for text, _ in rows.spans(i)) for i in range(1, rows.total)]
    return [text.rstrip() for text in texts]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("A:\n\n    b --c\n    d --e\n\nf", ["A:", "", "  b --c", "  d --e", "", "f"]),
        ("```\none\n  two\n```", ["  one", "    two"]),
        ("1. a\n   b\n2. c", ["1. a b", "2. c"]),
        ("- a\n  - b\n    c\n\n  d\n\n      e", ["• a", "  • b c", "", "d", "", "  e"]),
        ("a\n    b", ["a b"]),
        ("> said", ["▏ said"]),
    ],
)  # fmt: skip
def test_lines_of_code_stay_lines_and_items_keep_their_text(source, expected):
    assert rows_of(source) == expected


def test_further_rows_hang_under_the_text_of_an_item_and_under_code():
    assert rows_of("10. one two three four five", 21) == ["10. one two three", "    four five"]
    assert rows_of("    run one.py --two three", 21) == ["  run one.py --two", "      three"]


def test_of_a_changed_cell_only_the_changed_line_is_wrapped_again() -> None:
    """A script without cells is one cell of thousands of lines, laid out at each change."""
    from app.ui import cells

    lines = [f"value_{i} = function_of(one_argument={i}, another_argument={i})" for i in range(99)]
    cell = Cell("a", "code", "\n".join(lines))
    rows = Rows(Notebook(cells=[cell]), lambda cell: "")
    rows.layout(40)
    before, height = cells._parts.cache_info().misses, rows.total
    cell.source = cell.source.replace("value_7 =", "v =")
    rows.layout(40)
    assert cells._parts.cache_info().misses == before + 1
    assert rows.total <= height
    rows.layout(200)
    assert rows.total == 100


def test_a_tab_goes_to_the_column_that_the_editor_has_it_at() -> None:
    source = "if x:\n\ty = 1\t# a\n\tz = function(of_one, of_two,\tof_three)"
    rows = Rows(Notebook(cells=[Cell("a", "code", source)]), lambda cell: "")
    rows.layout(35)
    texts = ["".join(text for text, _ in rows.spans(i)).rstrip() for i in range(1, rows.total)]
    assert texts == [
        "if x:",
        "    y = 1   # a",
        "    z = function(of_one,",
        "        of_two,    of_three)",
    ]
