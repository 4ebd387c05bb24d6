"""Notebook files: open by suffix, save so that nothing can be lost.

Opening reads one regular file and nothing else: it runs no code, writes nothing and never waits on
a pipe. Saving writes a new file beside the old one and renames it, so the old one stays as it is
until the new one is safely on disk; a file that somebody else changed meanwhile is not overwritten.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import os
import re
from pathlib import Path
from typing import Literal

from app.notebook import ipynb, script
from app.notebook.cell import Cell, NotebookError, new_id
from app.notebook.disk import atomic_write, check_file, read_file
from app.notebook.document import Notebook
from app.notebook.ipynb import NotebookLayout
from app.notebook.script import ScriptLayout
from app.notebook.sidecar import remove_autosave

__all__ = [
    "changed_on_disk",
    "new_notebook",
    "open_damaged",
    "open_notebook",
    "reload",
    "save",
    "save_as",
]

FileKind = Literal["script", "ipynb"]
SUFFIXES: dict[str, FileKind] = {".py": "script", ".ipynb": "ipynb"}
MAX_BYTES = {"script": 32 * 2**20, "ipynb": 512 * 2**20}
_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


# --- opening


def open_notebook(path: str | os.PathLike[str]) -> Notebook:
    """Open a `.py` or `.ipynb` file.

    Raises `NotebookError` with one line that names the file, the reason and what to do.
    """
    path = Path(path)
    kind, data = _read(path)
    text = _decode(path, data)
    notebook = _parse(path, kind, text.removeprefix("\ufeff"))
    notebook.bom = text.startswith("\ufeff")
    notebook.digest = _digest(data)
    return notebook


def new_notebook(path: str | os.PathLike[str]) -> Notebook:
    """Return an empty notebook for a file that does not exist yet; saving creates it."""
    path = Path(path)
    return _parse(path, "script", "") if _kind_of(path) == "script" else _new_ipynb(path)


def open_damaged(path: str | os.PathLike[str]) -> Notebook:
    """Open what can be read of a file that `open_notebook` refuses, read-only.

    Bytes that are no UTF-8 are replaced; of broken JSON every whole cell is kept. The original
    cannot be saved over: the result is for reading, and for saving under another name.
    """
    path = Path(path)
    kind, data = _read(path)
    text = data.decode("utf-8-sig", "replace").replace("\0", "\ufffd")
    try:
        notebook = _parse(path, kind, text)
        notebook.notices.append(f"{path} is damaged; it is open read-only")
    except NotebookError:
        cells, layout, notices = ipynb.salvage(text, str(path))
        notebook = Notebook(path, kind, cells, layout, notices)
    notebook.read_only = True
    return notebook


def reload(notebook: Notebook) -> None:
    """Take the file's present content, as one step that can be undone.

    A cell of a script whose text is the same is the same cell: with its outputs and breakpoints.
    """
    fresh = open_notebook(_path_of(notebook))
    if fresh.kind == "script":
        _keep_cells(notebook.cells, fresh.cells)
    notebook.replace_all(fresh.cells)
    notebook.layout, notebook.bom, notebook.digest = fresh.layout, fresh.bom, fresh.digest
    notebook.notices += fresh.notices
    notebook.mark_saved()


def _keep_cells(before: list[Cell], cells: list[Cell]) -> None:
    """Give cells the ids and outputs of those before them that have the same text."""
    known: dict[tuple[str, str], list[Cell]] = {}
    for cell in reversed(before):
        known.setdefault((cell.kind, cell.source), []).append(cell)
    taken: set[str] = set()
    others = []
    for cell in cells:
        same = known.get((cell.kind, cell.source))
        if not same:
            others.append(cell)
            continue
        old = same.pop()
        cell.id, cell.outputs, cell.execution_count = old.id, old.outputs, old.execution_count
        taken.add(cell.id)
    for cell in others:
        if cell.id in taken:
            cell.id = new_id()
        taken.add(cell.id)


def _read(path: Path) -> tuple[FileKind, bytes]:
    """Read a notebook's file; a file that is none is named as such before its suffix is."""
    if path.suffix.lower() not in SUFFIXES:
        check_file(path)
    kind = _kind_of(path)
    return kind, read_file(path, MAX_BYTES[kind])


def _parse(path: Path, kind: FileKind, text: str) -> Notebook:
    if kind == "script":
        cells, layout = script.parse(text)
        return Notebook(path, kind, cells, layout)
    cells, top, notices = ipynb.parse(text, str(path))
    return Notebook(path, kind, cells, top, notices)


def _new_ipynb(path: Path) -> Notebook:
    return Notebook(path, "ipynb", layout=NotebookLayout())


def _kind_of(path: Path) -> FileKind:
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        got = f"unknown suffix {path.suffix!r}" if path.suffix else "no suffix"
        raise NotebookError(f"{path}: {got}; a notebook is a .py script or an .ipynb file")
    return kind


def _decode(path: Path, data: bytes) -> str:
    """Decode UTF-8 strictly; the message says where it fails and what the file seems to be."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            raise NotebookError(f"{path}: encoded in {encoding}; save it as UTF-8")
    zero = data.find(b"\0")
    if zero >= 0:
        raise NotebookError(
            f"{path}: a binary file (zero byte at position {zero}), expected UTF-8 text"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        where = f"byte 0x{data[error.start]:02x} at position {error.start}, line {line}"
        head = data[:1024].split(b"\n")[:2]
        declared = next((match[1].decode() for match in map(_CODING.match, head) if match), "")
        hint = f"; it says it is {declared}" if declared.lower() not in ("", "utf-8") else ""
        raise NotebookError(f"{path}: not UTF-8: {where}{hint}; save it as UTF-8") from None


# --- saving


def save(notebook: Notebook, *, overwrite: bool = False) -> None:
    """Save a notebook to its own file.

    Refuses when the file changed on disk since it was opened, unless `overwrite`. A notebook
    without changes leaves its file alone. On any failure the file is what it was.
    """
    path = _path_of(notebook)
    if notebook.read_only:
        raise NotebookError(f"{path}: open read-only; save it under another name")
    current = None if overwrite else _digest_of(path)
    if current is not None and current != notebook.digest:
        what = "changed on disk since it was opened" if notebook.digest else "exists already"
        raise NotebookError(f"{path}: {what}; reload it, overwrite it, or save under another name")
    if current is None or notebook.dirty:
        data = _encode(notebook, notebook.kind)
        atomic_write(path, data)
        notebook.digest = _digest(data)
    notebook.mark_saved()
    remove_autosave(notebook)


def save_as(notebook: Notebook, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Save a notebook to another file, which it is from then on; the suffix decides the format.

    Refuses when the file exists, unless `overwrite`.
    """
    path = Path(path)
    kind = _kind_of(path)
    if notebook.path is not None and os.path.realpath(path) == os.path.realpath(notebook.path):
        return save(notebook, overwrite=overwrite)
    if os.path.lexists(path) and not overwrite:
        raise NotebookError(f"{path}: exists already; overwrite it or choose another name")
    data = _original(notebook) if kind == notebook.kind and not notebook.dirty else None
    if data is None:
        data = _encode(notebook, kind)
    atomic_write(path, data)
    if kind != notebook.kind:
        lost = any(cell.outputs or cell.attachments for cell in notebook.cells)
        if kind == "script" and lost:
            notebook.notices.append(f"{path}: a script holds no outputs and no attachments")
        notebook.layout = _layout_for(notebook, kind)
        notebook.bom = notebook.bom and kind == "script"
    remove_autosave(notebook)
    notebook.path, notebook.kind, notebook.digest = path, kind, _digest(data)
    notebook.read_only = False
    notebook.mark_saved()


def changed_on_disk(notebook: Notebook) -> bool:
    """Did somebody else change, replace or remove the file since it was opened or saved?"""
    if notebook.path is None:
        return False
    try:
        return _digest_of(notebook.path) != notebook.digest
    except NotebookError:
        return True


def _encode(notebook: Notebook, kind: FileKind) -> bytes:
    layout = _layout_for(notebook, kind)
    if isinstance(layout, ScriptLayout):
        text = script.render(notebook.cells, layout)
    else:
        text = ipynb.render(notebook.cells, layout)
    if notebook.bom and kind == notebook.kind:
        text = "\ufeff" + text
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        for number, cell in enumerate(notebook.cells, 1):
            if chr(code) in cell.source:
                raise NotebookError(
                    f"cell {number} holds half a character (U+{code:04X}) that no UTF-8 file can"
                    " hold; remove it"
                ) from None
        raise NotebookError(f"text with a lone surrogate (U+{code:04X}) cannot be saved") from None


def _layout_for(notebook: Notebook, kind: FileKind) -> ScriptLayout | NotebookLayout:
    """Return the notebook's layout if it is of this kind, else a new one."""
    wanted = ScriptLayout if kind == "script" else NotebookLayout
    return notebook.layout if isinstance(notebook.layout, wanted) else wanted()


def _original(notebook: Notebook) -> bytes | None:
    """Return the bytes of the notebook's own file, if it is still what was opened."""
    if notebook.path is None or notebook.digest is None:
        return None
    with contextlib.suppress(NotebookError):
        data = read_file(notebook.path, MAX_BYTES[notebook.kind])
        if _digest(data) == notebook.digest:
            return data
    return None


def _path_of(notebook: Notebook) -> Path:
    if notebook.path is None:
        raise NotebookError("the notebook has no file name yet; save it under a name")
    return notebook.path


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _digest_of(path: Path) -> str | None:
    """Return the digest of a file as it is now, None if there is none."""
    if not os.path.exists(path):
        return None
    return _digest(read_file(path, MAX_BYTES["ipynb"]))
