"""Notebook files: open by suffix, save so that nothing can be lost.

Opening reads one regular file and nothing else: it runs no code, writes nothing and never waits on
a pipe. Saving writes a new file beside the old one and renames it, so the old one stays as it is
until the new one is safely on disk; a file that somebody else changed meanwhile is not overwritten.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import time
from pathlib import Path
from typing import Literal

from app.notebook import ipynb, script
from app.notebook.cell import NotebookError
from app.notebook.document import Notebook
from app.notebook.ipynb import NotebookLayout
from app.notebook.script import ScriptLayout

__all__ = [
    "atomic_write",
    "beside",
    "changed_on_disk",
    "new_notebook",
    "open_damaged",
    "open_notebook",
    "read_file",
    "reload",
    "save",
    "save_as",
]

SUFFIXES: dict[str, Literal["script", "ipynb"]] = {".py": "script", ".ipynb": "ipynb"}
MAX_BYTES = {"script": 32 * 2**20, "ipynb": 512 * 2**20}
_STALE_TEMP = 3600.0  # seconds after which a temporary file of a dead process is removed
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
    data = read_file(path, MAX_BYTES["ipynb"])
    kind = _kind_of(path)
    if len(data) > MAX_BYTES[kind]:
        raise _too_large(path, MAX_BYTES[kind])
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
    kind = _kind_of(path)
    text = read_file(path, MAX_BYTES[kind]).decode("utf-8-sig", "replace").replace("\0", "\ufffd")
    try:
        notebook = _parse(path, kind, text)
        notebook.notices.append(f"{path} is damaged; it is open read-only")
    except NotebookError:
        cells, layout, notices = ipynb.salvage(text, str(path))
        notebook = Notebook(path, kind, cells, layout, notices)
    notebook.read_only = True
    return notebook


def reload(notebook: Notebook) -> None:
    """Take the file's present content, as one step that can be undone."""
    fresh = open_notebook(_path_of(notebook))
    notebook.replace_all(fresh.cells)
    notebook.layout, notebook.bom, notebook.digest = fresh.layout, fresh.bom, fresh.digest
    notebook.notices += fresh.notices
    notebook.mark_saved()


def read_file(path: Path, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes; never blocks on a pipe or a device."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise NotebookError(f"{path}: {_special(status.st_mode)}")
        # Non-blocking, in case that a pipe took the file's place in between.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise NotebookError(f"{path}: not a regular file")
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise NotebookError(f"{path}: no such file; check the name") from None
    except (OSError, ValueError) as error:
        raise NotebookError(f"{path}: cannot be read: {_reason(error)}") from None
    if len(data) > limit:
        raise _too_large(path, limit)
    return data


def _parse(path: Path, kind: Literal["script", "ipynb"], text: str) -> Notebook:
    if kind == "script":
        cells, layout = script.parse(text)
        return Notebook(path, kind, cells, layout)
    cells, top, notices = ipynb.parse(text, str(path))
    return Notebook(path, kind, cells, top, notices)


def _new_ipynb(path: Path) -> Notebook:
    return Notebook(path, "ipynb", layout=NotebookLayout())


def _kind_of(path: Path) -> Literal["script", "ipynb"]:
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
        raise NotebookError(
            f"{path}: {what}; reload it, overwrite it, or save under another name"
        )
    if current is None or notebook.dirty:
        data = _encode(notebook, notebook.kind)
        atomic_write(path, data)
        notebook.digest = _digest(data)
    notebook.mark_saved()


def save_as(
    notebook: Notebook, path: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
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


def atomic_write(path: Path, data: bytes, *, mode: int | None = None) -> None:
    """Replace a file's content in one step: temporary file, fsync, rename.

    Symbolic links are followed; an existing file's permissions are kept (`mode` is for others).
    Raises `NotebookError`; then the file is as it was and the temporary file is gone.
    """
    target = Path(os.path.realpath(path))
    try:
        old = _writable(path, target)
        _sweep(target)
        temporary = beside(target, f".tapebook-tmp-{os.getpid()}-{secrets.token_hex(4)}")
        permissions = mode if mode is not None else 0o666
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        handle = os.open(temporary, flags, permissions if old is None else 0o600)
    except (OSError, ValueError) as error:
        raise NotebookError(f"{path}: cannot be saved: {_reason(error)}") from None
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            if old is not None:
                with contextlib.suppress(OSError):  # only root may give files away
                    os.fchown(handle, old.st_uid, old.st_gid)
                os.fchmod(handle, stat.S_IMODE(old.st_mode))
            os.fsync(handle)
        os.replace(temporary, target)
    except OSError as error:
        raise NotebookError(
            f"{path}: not saved: {_reason(error)}; the file on disk is unchanged"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # it is there only if something went wrong
    _sync_directory(target.parent)


def beside(path: Path, suffix: str) -> Path:
    """Return the name of a hidden companion of a file, short enough for the file system."""
    name = f".{path.name}{suffix}"
    if len(os.fsencode(name)) > 255:
        name = f".{hashlib.blake2s(os.fsencode(path.name)).hexdigest()[:32]}{suffix}"
    return path.with_name(name)


def _writable(path: Path, target: Path) -> os.stat_result | None:
    """Return the state of the file to be replaced, None for a new one; refuse what is no file."""
    try:
        old = os.stat(target)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(old.st_mode):
        raise NotebookError(f"{path}: {_special(old.st_mode)}")
    if not os.access(target, os.W_OK):
        raise NotebookError(f"{path}: write-protected; save under another name")
    return old


def _sweep(target: Path) -> None:
    """Remove temporary files that killed processes left beside a file, an hour later."""
    stem = beside(target, ".tapebook-tmp-").name
    with contextlib.suppress(OSError):
        for entry in os.scandir(target.parent):
            if not entry.name.startswith(stem):
                continue
            with contextlib.suppress(OSError, ValueError):
                pid = int(entry.name.removeprefix(stem).partition("-")[0])
                if not _alive(pid) and time.time() - entry.stat().st_mtime > _STALE_TEMP:
                    os.unlink(entry.path)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sync_directory(directory: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot; the data itself is safe
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _encode(notebook: Notebook, kind: Literal["script", "ipynb"]) -> bytes:
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


def _layout_for(
    notebook: Notebook, kind: Literal["script", "ipynb"]
) -> ScriptLayout | NotebookLayout:
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


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS):
        return f"{error.strerror} (is the directory writable?)"
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _too_large(path: Path, limit: int) -> NotebookError:
    return NotebookError(f"{path}: larger than {limit // 2**20} MB; clear outputs or split it")


def _special(mode: int) -> str:
    """Say what something is that is not a regular file."""
    if stat.S_ISDIR(mode):
        return "is a directory; give a .py or .ipynb file"
    if stat.S_ISFIFO(mode):
        return "is a named pipe, expected a .py or .ipynb file"
    if stat.S_ISSOCK(mode):
        return "is a socket, expected a .py or .ipynb file"
    return "is a device, expected a .py or .ipynb file"
