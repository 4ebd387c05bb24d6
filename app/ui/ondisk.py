"""The notebook's file, which other programs change while it is open: an editor, git, a sync."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from app.notebook import NotebookError
from app.sanitize import clean

if TYPE_CHECKING:
    from app.ui.app import TapebookApp

__all__ = ["OnDisk"]


class OnDisk:
    """Says when the file is another one than was opened, and reads it again."""

    def __init__(self, app: TapebookApp) -> None:
        self.app = app
        self._seen: tuple[int, ...] | None = self._now()

    def _now(self) -> tuple[int, ...] | None:
        """What tells two states of a file apart without reading it; None: it is not there."""
        path = self.app.notebook.path
        try:
            found = os.stat(path) if path is not None else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino) if found is not None else None

    def look(self) -> None:
        """Has it changed since the last look? It is read only then."""
        notebook, session = self.app.notebook, self.app.session
        now = self._now()
        if now == self._seen:
            return
        self._seen = now
        from app.notebook import changed_on_disk

        # Nothing was there, and nothing is: a notebook that is not saved yet.
        if (now is None and notebook.digest is None) or not changed_on_disk(notebook):
            return
        if now is None:
            session.say(f"{self._name()} is gone from the disk; ctrl+s writes it again", True)
        else:
            own = ", in place of your changes (z brings them back)" if notebook.dirty else ""
            session.say(f"{self._name()} has changed on disk: F4 reads it again{own}", True)
        self.app.tick()

    def reload(self) -> None:
        """Take what the file holds now."""
        from app.notebook import reload

        notebook, session = self.app.notebook, self.app.session
        if session.attached or notebook.read_only:
            session.say("what is shown here is not read from a file of its own")
            return
        try:
            before = [(cell.id, cell.source) for cell in notebook.cells]
            reload(notebook)
        except NotebookError as error:
            session.say(str(error), problem=True)
        else:
            self._seen = self._now()
            changed = len({(c.id, c.source) for c in notebook.cells} - set(before))
            cells = f"{changed} cell{'s' * (changed != 1)} changed" if changed else "nothing new"
            session.say(f"{self._name()} was read again: {cells}")
        self.app.main.notebook.view.update_rows()
        self.app.main.titles()
        self.app.tick()

    def _name(self) -> str:
        path = self.app.notebook.path
        return clean(path.name, keep_newlines=False) if path is not None else "the file"
