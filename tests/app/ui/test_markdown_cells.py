"""How a cell of Markdown reads in a narrow pane."""

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
