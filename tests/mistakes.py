"""Tables of mistakes: a call, the error it raises, and that the docstring of its class names that.

A line is `call -> Kind: words`; the words may be missing, and other words may stand before.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest

__all__ = ["check", "entries", "unnamed"]


def entries(table: str) -> list[tuple[str, str, str]]:
    """(call, kind, words) of each line."""
    found = [line.strip().partition(" -> ") for line in table.splitlines() if line.strip()]
    return [(call, *error.partition(": ")[::2]) for call, _, error in found]


def check(
    call: str, kind: str, words: str, names: dict[str, Any], *, values: bool = False
) -> None:  # fmt: skip
    """The call, a program of these names, raises just that, in one line.

    ``values``: a tensor may follow on further lines.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception, match=re.escape(words)) as caught:
            eval(call, names)
    assert type(caught.value).__name__ == kind
    first, _, rest = str(caught.value).strip().partition("\n")
    assert not rest or (values and first.endswith("values:"))


def unnamed(table: str, class_of: Callable[[str], Any]) -> list[str]:
    """The lines whose error is not in their class's docstring."""
    return [
        f"{call}: {kind} is not in the docstring"
        for call, kind, _ in entries(table)
        if not re.search(rf"\b{kind}\b", class_of(call).__doc__)
    ]
