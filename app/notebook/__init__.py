"""The notebook document: cells, outputs, edits with undo, scripts and `.ipynb` files, saving.

Headless: nothing here imports the terminal program, IPython or the framework, and nothing here
runs a cell.
"""

from __future__ import annotations

from app.notebook.cell import Cell, Kind, NotebookError
from app.notebook.document import Notebook
from app.notebook.files import (
    changed_on_disk,
    new_notebook,
    open_damaged,
    open_notebook,
    reload,
    save,
    save_as,
)
from app.notebook.outputs import Display, Error, Hidden, Output, Stream, bounded, put_out
from app.notebook.sidecar import (
    Lock,
    Recovery,
    autosave,
    discard,
    find_recovery,
    load_session,
    lock,
    recover,
    remove_autosave,
    save_session,
)

__all__ = [
    # the model
    "Cell",
    "Kind",
    "Notebook",
    "NotebookError",
    # outputs
    "Display",
    "Error",
    "Hidden",
    "Output",
    "Stream",
    "bounded",
    "put_out",
    # files
    "changed_on_disk",
    "new_notebook",
    "open_damaged",
    "open_notebook",
    "reload",
    "save",
    "save_as",
    # companion files
    "Lock",
    "Recovery",
    "autosave",
    "discard",
    "find_recovery",
    "load_session",
    "lock",
    "recover",
    "remove_autosave",
    "save_session",
]
