"""When a bug of ours ends the program: what is written down of it, and what the user is told."""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from app.sanitize import clean

if TYPE_CHECKING:
    from app.notebook import Notebook

__all__ = ["Crash"]

_LONGEST = 300  # characters of an exception's text


class Crash:
    """An exception that nobody caught. Its report is in the user's state directory.

    Attributes:
        report: where; None if it could not be written.
    """

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self._why_not = ""
        self.report: Path | None = None
        try:
            self.report = _write(error)
        except OSError as problem:
            self._why_not = problem.strerror or str(problem)

    def lines(self, notebook: Notebook) -> list[str]:
        """What to tell the user, a line each; a text that an exception quotes may hold anything."""
        text = str(self._error)
        with contextlib.suppress(IndexError):
            text = text.splitlines()[0]
        name = type(self._error).__name__
        said = clean(f"{name}: {text[:_LONGEST]}" if text else name, keep_newlines=False)
        lines = [f"a bug of this program has ended it: {said}"]
        if notebook.path is not None and notebook.dirty and not notebook.read_only:
            file = clean(notebook.path.name, keep_newlines=False)
            if notebook.autosaved == notebook.revision:
                lines.append(f"what was not saved is kept: opening {file} again offers it")
            else:
                lines.append(f"what was not saved of {file} could not be kept")
        if self.report is not None:
            lines.append(f"the report of it is in {clean(str(self.report), keep_newlines=False)}")
        else:
            lines.append(f"no report of it could be written: {self._why_not}")
        return lines


def _write(error: BaseException) -> Path:
    """The traceback, for this user only: it quotes the notebook."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "tapebook"
    base.mkdir(parents=True, exist_ok=True)
    path = base / time.strftime("crash-%Y%m%d-%H%M%S.log")
    text = clean("".join(traceback.format_exception(error)))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
    return path
