"""A cell, and what every module of the notebook shares: its kinds, its ids and its one error."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from app.notebook.outputs import Output
from app.sanitize import clean

__all__ = ["Cell", "Kind", "KINDS", "NotebookError", "new_id", "stable_id"]

Kind = Literal["code", "markdown", "raw"]
KINDS: tuple[Kind, ...] = ("code", "markdown", "raw")


class NotebookError(Exception):
    """A notebook cannot be opened or saved; the message is one line, safe to show as it is."""

    def __init__(self, message: str) -> None:
        super().__init__(clean(message, keep_newlines=False))


@dataclass(slots=True, eq=False)
class Cell:
    """One cell, in Jupyter's terms.

    `source` has `\\n` line ends and no comment signs, whatever the file has; `form` is what the
    file's own module remembers to write the cell back as it was.
    """

    id: str
    kind: Kind = "code"
    source: str = ""
    outputs: list[Output] = field(default_factory=list)
    execution_count: int | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    attachments: dict[str, Any] = field(default_factory=dict)
    form: Any = field(default=None, repr=False)


def new_id() -> str:
    """Return a fresh cell id in nbformat's style."""
    return uuid.uuid4().hex[:8]


def stable_id(ordinal: int) -> str:
    """Return the id of a file's n-th cell where the file holds none.

    The same each time, so that a breakpoint kept for a cell of a script is found again.
    """
    return hashlib.blake2s(str(ordinal).encode(), digest_size=4).hexdigest()
