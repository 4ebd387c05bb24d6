"""Jupyter notebooks (`.ipynb`): read with nbformat, written back without losing anything.

nbformat knows the schema and upgrades old files. Writing is ours, because nbformat's writer sorts
keys, splits lines and indents its own way: what was not edited keeps the form it had, and for a
file that Jupyter wrote the bytes are those that nbformat would write.
"""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import dataclass, field
from typing import Any, NoReturn

from app.notebook.cell import KINDS, Cell, Kind, NotebookError, new_id, stable_id
from app.notebook.outputs import Display, Error, Hidden, Output, Stream

__all__ = ["NotebookLayout", "parse", "render", "salvage", "write_output", "read_output", "depth"]

# nbformat is imported where it is used: it costs 0.2 s, and a script does not need it.

MAX_DEPTH = 100  # of nested JSON; readers and writers recurse
_ID = re.compile(r"[a-zA-Z0-9-_]{1,64}")
_CELL_KEYS = ("attachments", "cell_type", "execution_count", "id", "metadata", "outputs", "source")
_NON_ASCII_ESCAPE = re.compile(r"(?i)\\u(?!00[01]|d[89a-f])|\\ud[89ab]..\\ud[c-f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_NEW_METADATA: dict[str, Any] = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


@dataclass(slots=True)
class NotebookLayout:
    """What belongs to the whole file: its metadata and the way its JSON is laid out."""

    top: dict[str, Any] = field(default_factory=lambda: _new_top())  # all keys; cells set apart
    indent: str | None = " "
    sort_keys: bool = True
    ascii: bool = False
    newline: str = "\n"
    colon: str = ": "
    comma: str = ","
    ending: str = "\n"

    @property
    def has_ids(self) -> bool:
        """Do the cells of this version of the format have ids?"""
        return int(self.top.get("nbformat_minor", 0)) >= 5


def parse(text: str, name: str) -> tuple[list[Cell], NotebookLayout, list[str]]:
    """Read a notebook's text into cells, its layout and notices about what was repaired."""
    top = _load(text, name)
    notices: list[str] = []
    if top["nbformat"] < 4:
        old = top["nbformat"]
        top = _upgrade(text, name)
        notices.append(f"{name} was read as nbformat {old}; saving writes nbformat 4")
    cells = top.get("cells")
    if not isinstance(cells, list):
        raise NotebookError(f'{name}: not a notebook: "cells" is {_what(cells)}, expected a list')
    layout = _layout(text, top)
    if top.get("nbformat_minor", 0) > 5:
        version = f"{top['nbformat']}.{top['nbformat_minor']}"
        notices.append(f"{name} is nbformat {version}; what is newer than 4.5 is kept as it is")
    notices += _repair_ids(cells, layout.has_ids, name)
    notices += _check(top, name)
    read = [_read_cell(cell, index, name) for index, cell in enumerate(cells)]
    seen: set[str] = set()
    for index, cell in enumerate(read):
        cell.id = cell.id or stable_id(index)
        while cell.id in seen:
            cell.id = new_id()
        seen.add(cell.id)
    language = _language(layout.top)
    if language != "python":
        notices.append(f"{name} is a notebook for {language}; only Python cells can run here")
    return read or [Cell(stable_id(0))], layout, notices


def render(cells: list[Cell], layout: NotebookLayout) -> str:
    """Return the text of a notebook file."""
    data = dict(layout.top)
    if not (len(cells) == 1 and _is_blank(cells[0])):
        data["cells"] = [_write_cell(cell, layout.has_ids) for cell in cells]
    else:
        data["cells"] = []
    try:
        text = json.dumps(
            data,
            indent=layout.indent,
            ensure_ascii=layout.ascii,
            sort_keys=layout.sort_keys,
            separators=(layout.comma, layout.colon),
        )
    except (RecursionError, TypeError, ValueError) as error:
        raise NotebookError(f"an output or metadata is no valid JSON: {error}") from None
    if layout.newline != "\n":
        text = text.replace("\n", layout.newline)
    # A lone surrogate has no UTF-8 form; as an escape it is what the file had.
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + layout.ending


def salvage(text: str, name: str) -> tuple[list[Cell], NotebookLayout, list[str]]:
    """Read what can be read of a notebook that `parse` refuses: every whole cell before the damage.

    The result is for looking at and for saving elsewhere, never for replacing the original.
    """
    cells: list[Cell] = []
    bad = 0
    found = re.search(r'"cells"\s*:\s*\[', text)
    position = found.end() if found else len(text)
    decoder = json.JSONDecoder()
    while match := re.compile(r"[\s,]*(?=\{)").match(text, position):
        try:
            item, position = decoder.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            break
        try:
            if depth(item) > MAX_DEPTH:
                raise NotebookError("too deep")
            cells.append(_read_cell(item, len(cells), name))
            cells[-1].id = new_id()
        except NotebookError:
            bad += 1
    notice = f"{name} is damaged: {len(cells)} whole cells were found"
    notice += f", {bad} unreadable" if bad else ""
    notice += "; it is open read-only, save it under another name"
    return cells or [Cell(stable_id(0))], NotebookLayout(), [notice]


# --- reading


def _load(text: str, name: str) -> dict[str, Any]:
    """Parse JSON and check that it is a notebook this program can read."""
    if not text.strip():
        raise NotebookError(
            f"{name}: the file is empty; an .ipynb holds JSON (an empty .py is a new notebook)"
        )
    try:
        top = json.loads(text)
    except json.JSONDecodeError as error:
        conflict = re.search(r"^<<<<<<< ", text, re.MULTILINE)
        if conflict:
            line = text.count("\n", 0, conflict.start()) + 1
            why = f"line {line}: an unresolved merge conflict"
        else:
            why = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise NotebookError(f"{name}: not valid JSON: {why}") from None
    except (RecursionError, ValueError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise NotebookError(f"{name}: the JSON cannot be read: {why}") from None
    if not isinstance(top, dict) or "nbformat" not in top:
        got = 'an object without "nbformat"' if isinstance(top, dict) else _what(top)
        raise NotebookError(f"{name}: valid JSON but not a notebook: it holds {got}")
    major, minor = top["nbformat"], top.get("nbformat_minor", 0)
    if type(major) is not int or type(minor) is not int or major < 1:
        raise NotebookError(f'{name}: not a notebook: "nbformat" is {_what(major)}')
    if major > 4:
        raise NotebookError(
            f"{name}: written in nbformat {major}; this version reads up to nbformat 4"
            " (save it as version 4 in the program that wrote it)"
        )
    if depth(top) > MAX_DEPTH:
        raise NotebookError(f"{name}: JSON nested more than {MAX_DEPTH} levels deep")
    return top


def _upgrade(text: str, name: str) -> dict[str, Any]:
    """Convert a file of nbformat 1, 2 or 3 in memory."""
    import nbformat

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            converted = nbformat.convert(nbformat.reader.reads(text), 4)
        plain = json.loads(json.dumps(converted))
        for key in ("orig_nbformat", "orig_nbformat_minor"):
            plain["metadata"].pop(key, None)
        for index, cell in enumerate(plain["cells"]):
            cell["id"] = stable_id(index)  # nbformat's are different each time
    except Exception as error:  # its converters fail in many ways on files that are not valid
        why = str(error).partition("\n")[0] or type(error).__name__
        raise NotebookError(f"{name}: could not be upgraded to nbformat 4: {why}") from None
    return plain


def _layout(text: str, top: dict[str, Any]) -> NotebookLayout:
    """Find out how the file's JSON is laid out."""
    body = text.rstrip()
    kept = {**top, "cells": None}
    layout = NotebookLayout(kept, ending=text[len(body) :], sort_keys=_is_sorted(top))
    first = re.match(r"\s*\{(\r?\n)([ \t]*)\S", text)
    if first:
        layout.newline, layout.indent = first[1], first[2]
    else:
        layout.indent = None
        layout.comma = ", " if re.search(r'[\]}"\d], "', text[:4096]) else ","
    colon = re.search(r'"nbformat"(\s*:\s*)\d', text)
    layout.colon = colon[1] if colon else ": "
    layout.ascii = body.isascii() and _NON_ASCII_ESCAPE.search(body) is not None
    return layout


def _repair_ids(cells: list[Any], has_ids: bool, name: str) -> list[str]:
    """Give every cell a valid id of its own; the file gets them when it is next saved."""
    seen: set[str] = set()
    repaired = 0
    for index, cell in enumerate(cells):
        if not isinstance(cell, dict) or not (has_ids or "id" in cell):
            continue
        cell_id = cell.get("id")
        if not isinstance(cell_id, str) or not _ID.fullmatch(cell_id) or cell_id in seen:
            cell["id"] = stable_id(index)
            while cell["id"] in seen:
                cell["id"] = new_id()
            repaired += 1
        seen.add(cell["id"])
    return [f"{name}: {repaired} cells had no valid id of their own"] if repaired else []


def _check(top: dict[str, Any], name: str) -> list[str]:
    """Hold the file against nbformat's schema; like Jupyter, only say so when it breaks it."""
    import nbformat

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nbformat.validate(top)
    except nbformat.ValidationError as error:
        first = str(error).partition("\n")[0]
        return [f"{name} breaks the notebook schema, kept as it is: {first}"]
    except Exception as error:  # the validator itself stumbles over some malformed files
        return [f"{name} breaks the notebook schema, kept as it is: {type(error).__name__}"]
    return []


def _read_cell(raw: Any, index: int, name: str) -> Cell:
    def refuse(what: str, got: Any, expected: str) -> NoReturn:
        raise NotebookError(
            f"{name}: cell {index + 1}: {what} is {_what(got)}, expected {expected}"
        )

    if not isinstance(raw, dict):
        refuse("it", raw, "an object")
    cell_type = raw.get("cell_type")
    if not isinstance(cell_type, str):
        refuse('"cell_type"', cell_type, "code, markdown or raw")
    kind: Kind = cell_type if cell_type in KINDS else "raw"
    source = raw.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        refuse('"source"', source, "text or a list of lines")
    parts: dict[str, dict[str, Any]] = {}
    for key in ("metadata", "attachments"):
        parts[key] = raw.get(key, {})
        if not isinstance(parts[key], dict):
            refuse(f'"{key}"', parts[key], "an object")
    count = raw.get("execution_count")
    outputs = raw.get("outputs", [])
    if not isinstance(outputs, list):
        refuse('"outputs"', outputs, "a list")
    if count is not None and type(count) is not int:
        refuse('"execution_count"', count, "a number or null")
    cell = Cell(str(raw.get("id") or ""), kind, source, [], count, **parts)
    for output in outputs:
        if not isinstance(output, dict):
            refuse("an output", output, "an object")
        cell.outputs.append(read_output(output))
    cell.form = {**raw, "outputs": None} if "outputs" in raw else dict(raw)
    return cell


def read_output(raw: dict[str, Any]) -> Output:
    """Read one output; what would be written differently, or is unknown, keeps its JSON."""
    output: Output
    data, metadata = raw.get("data", {}), raw.get("metadata", {})
    count = raw.get("execution_count")
    kind = raw.get("output_type")
    plain = isinstance(data, dict) and isinstance(metadata, dict)
    if kind == "stream" and _is_text(raw.get("text")):
        output = Stream(str(raw.get("name", "stdout")), "".join(raw["text"]))
    elif kind == "error" and _is_lines(raw.get("traceback", [])):
        lines = raw.get("traceback", [])
        output = Error(str(raw.get("ename", "")), str(raw.get("evalue", "")), list(lines))
    elif kind in ("display_data", "execute_result") and plain:
        joined = {mime: _join(mime, value) for mime, value in data.items()}
        number = count if type(count) is int else None
        output = Display(joined, metadata, number, kind == "execute_result")
    else:
        output = Display({"text/plain": f"[output of an unknown type: {kind}]"})
    if not _same(write_output(output), raw):
        output.raw = raw
    return output


def _join(mime: str, value: Any) -> Any:
    """Join a value stored as a list of lines, unless lists are what the mime type holds."""
    if isinstance(value, list) and not _is_json(mime) and _is_lines(value):
        return "".join(value)
    return value


# --- writing


def _write_cell(cell: Cell, has_ids: bool) -> dict[str, Any]:
    raw = cell.form if isinstance(cell.form, dict) else {}
    data: dict[str, Any] = {key: raw[key] for key in raw if key not in _CELL_KEYS}
    known = raw.get("cell_type") in KINDS or cell.kind != "raw"
    data["cell_type"] = cell.kind if known else raw.get("cell_type", cell.kind)
    unchanged = raw.get("cell_type") == data["cell_type"]  # invalid, yet not ours to drop
    if (cell.kind != "code" and cell.attachments) or (unchanged and "attachments" in raw):
        data["attachments"] = cell.attachments
    if cell.kind == "code" or (unchanged and "execution_count" in raw):
        data["execution_count"] = cell.execution_count
    if cell.kind == "code" or (unchanged and "outputs" in raw):
        data["outputs"] = [write_output(output) for output in cell.outputs]
    if has_ids or "id" in raw:
        data["id"] = cell.id
    if cell.metadata or "metadata" in raw or not raw:
        data["metadata"] = cell.metadata
    source = raw.get("source", [])
    if "".join(source) != cell.source:
        source = cell.source if isinstance(source, str) else cell.source.splitlines(True)
    if "source" in raw or source or not raw:
        data["source"] = source
    order = [*(key for key in raw if key in data), *sorted(key for key in data if key not in raw)]
    return {key: data[key] for key in order}


def write_output(output: Output) -> dict[str, Any]:
    """Return an output as nbformat stores it."""
    if not isinstance(output, Hidden) and output.raw is not None:
        return output.raw
    match output:
        case Hidden():
            return {"name": "stderr", "output_type": "stream", "text": [output.text]}
        case Stream():
            text = output.text.splitlines(True)
            return {"name": output.name, "output_type": "stream", "text": text}
        case Error():
            return {
                "ename": output.ename,
                "evalue": output.evalue,
                "output_type": "error",
                "traceback": list(output.traceback),
            }
        case Display():
            data = {mime: _split(mime, value) for mime, value in output.data.items()}
            stored: dict[str, Any] = {"data": data}
            if output.result:
                stored["execution_count"] = output.execution_count
            stored["metadata"] = output.metadata
            stored["output_type"] = "execute_result" if output.result else "display_data"
            return stored


def _split(mime: str, value: Any) -> Any:
    """Split text into lines for the mime types that nbformat splits."""
    texts = ("application/javascript", "image/svg+xml")
    if isinstance(value, str) and (mime.startswith("text/") or mime in texts):
        return value.splitlines(True)
    return value


# --- small questions


def _new_top() -> dict[str, Any]:
    metadata = json.loads(json.dumps(_NEW_METADATA))
    return {"cells": None, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _is_blank(cell: Cell) -> bool:
    """Is this the empty cell that stands in for a notebook without cells?"""
    return cell.form is None and cell.kind == "code" and not (cell.source or cell.outputs)


def _is_json(mime: str) -> bool:
    return mime == "application/json" or (
        mime.startswith("application/") and mime.endswith("+json")
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or _is_lines(value)


def _is_lines(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(line, str) for line in value)


def _language(top: dict[str, Any]) -> str:
    """Return the language a notebook says it is in, in lower case; unknown counts as Python."""
    metadata = top.get("metadata")
    info = metadata.get("language_info") if isinstance(metadata, dict) else None
    name = info.get("name") if isinstance(info, dict) else None
    name = name.lower() if isinstance(name, str) else ""
    return "python" if name in ("", "ipython", "python3") else name


def _what(value: Any) -> str:
    """Name a JSON value's type in an error message."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "missing" if value is None else names.get(type(value), "a number")


def depth(value: Any) -> int:
    """Return how deeply a JSON value is nested, level by level, without recursion."""
    depth, level = 0, [value]
    while level:
        depth += 1
        nested: list[Any] = []
        for item in level:
            inner = item.values() if isinstance(item, dict) else item
            nested += [part for part in inner if type(part) in (dict, list)]
        level = nested
    return depth


def _is_sorted(value: Any) -> bool:
    """Are the keys of every object in order, as nbformat writes them?"""
    if isinstance(value, dict):
        return list(value) == sorted(value) and all(map(_is_sorted, value.values()))
    if isinstance(value, list):  # a stream may be a million lines
        return all(_is_sorted(item) for item in value if type(item) is not str)
    return True


def _same(ours: Any, theirs: Any) -> bool:
    """Would two JSON values be written alike, but for the order of their keys?"""
    if ours is theirs:
        return True
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, dict):
        return list(ours) == list(theirs) and all(_same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list):
        if _is_lines(ours):
            return bool(ours == theirs)
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    return bool(ours == theirs)
