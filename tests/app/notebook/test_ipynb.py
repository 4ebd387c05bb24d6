"""Jupyter notebooks: byte-identical where nbformat is, nothing lost where it is not."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import nbformat
import pytest

from app.notebook import open_damaged, open_notebook, save, save_as
from app.notebook.cell import KINDS, NotebookError
from app.notebook.document import Display, Error, Notebook, Output, Stream
from app.notebook.ipynb import parse, render

V4 = nbformat.v4


def sample() -> dict[str, Any]:
    """A notebook with everything the format has."""
    outputs = [
        V4.new_output("stream", name="stdout", text="a\nb\x0c\u2028c\n"),
        V4.new_output("stream", name="stderr", text=""),
        V4.new_output(
            "display_data",
            {
                "image/png": "iVBORw0KGgo=\n",
                "image/svg+xml": "<svg>\n</svg>",
                "application/json": {"b": [1, 2.5, None], "a": "x\ny"},
                "application/vnd.x+json": ["l1", "l2"],
                "text/html": "<b>1</b>\n<i>2</i>",
                "application/x-odd": "l1\nl2",
            },
            metadata={"image/png": {"width": 10}},
        ),
        V4.new_output("execute_result", {"text/plain": "4 ▁▂é"}, execution_count=3),
        V4.new_output("execute_result", {"text/plain": "4"}, execution_count=None),
        V4.new_output("error", ename="E", evalue="v", traceback=["\x1b[31mE\x1b[0m", "v"]),
    ]
    cells = [
        V4.new_markdown_cell("# Title\n\n![](attachment:i.png)\n"),
        V4.new_code_cell("x = 2\nx + 2", outputs=outputs, execution_count=3),
        V4.new_code_cell("", metadata={"tags": ["a"], "zz": {"deep": [{}, []]}}),
        V4.new_raw_cell("raw \\u00e9", metadata={"format": "text/latex"}),
    ]
    cells[0]["attachments"] = {"i.png": {"image/png": "iVBORw0KGgo="}}
    for index, cell in enumerate(cells):
        cell["id"] = f"cell-{index}"
    return V4.new_notebook(
        cells=cells,
        metadata={
            "kernelspec": {"display_name": "P", "language": "python", "name": "python3"},
            "language_info": {"name": "python", "version": "3.11"},
            "my tool": {"version": 1.5, "list": [True, None]},
        },
    )


def jupyter(node: Any) -> str:
    """Write a notebook as Jupyter does."""
    return nbformat.writes(copy.deepcopy(node)) + "\n"


def with_minor(minor: int) -> str:
    node = sample()
    node["nbformat_minor"] = minor
    if minor < 5:
        for cell in node["cells"]:
            del cell["id"]
    return jupyter(node)


@pytest.mark.parametrize("minor", range(6))
def test_what_jupyter_wrote_is_written_the_same(minor: int) -> None:
    text = with_minor(minor)
    cells, layout, notices = parse(text, "x.ipynb")
    assert notices == [] or minor == 0  # attachments came with 4.1
    assert render(cells, layout) == text


def variants() -> dict[str, str]:
    node = json.loads(jupyter(sample()))
    unsorted = {key: node[key] for key in ("nbformat", "nbformat_minor", "cells", "metadata")}
    unsorted["cells"] = [dict(reversed(cell.items())) for cell in node["cells"]]
    strings = copy.deepcopy(node)
    for cell in strings["cells"]:
        cell["source"] = "".join(cell["source"])
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = "".join(output["text"])
    odd_lines = copy.deepcopy(node)
    odd_lines["cells"][1]["source"] = ["x = ", "2\nx", " + 2"]
    odd_lines["cells"][1]["outputs"][0]["text"] = ["a\nb", "\x0c\u2028c\n"]
    top = {**node, "zz_unknown": 1}
    return {
        "unsorted keys": json.dumps(unsorted, indent=1, ensure_ascii=False),
        "strings": json.dumps(strings, indent=1, ensure_ascii=False) + "\n",
        "odd lines": json.dumps(odd_lines, indent=1, ensure_ascii=False),
        "indent 2": json.dumps(node, indent=2, ensure_ascii=False) + "\n",
        "indent tab": json.dumps(node, indent="\t"),
        "indent 0": json.dumps(node, indent=0, ensure_ascii=False),
        "compact": json.dumps(node, separators=(",", ":")),
        "one line": json.dumps(node),
        "ascii": json.dumps(node, indent=1) + "\n\n",
        "crlf": json.dumps(node, indent=1, ensure_ascii=False).replace("\n", "\r\n") + "\r\n",
        "unknown top key": json.dumps(top, indent=1, ensure_ascii=False),
    }


@pytest.mark.parametrize("name", variants())
def test_a_file_keeps_its_own_layout(name: str) -> None:
    text = variants()[name]
    cells, layout, _ = parse(text, "x.ipynb")
    assert render(cells, layout) == text


def test_an_edit_changes_only_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    for text in (jupyter(sample()), variants()["unsorted keys"], variants()["indent 2"]):
        path.write_text(text, encoding="utf-8")
        notebook = open_notebook(path)
        notebook.set_source("cell-1", "x = 2\nx + 22")
        save(notebook)
        assert path.read_text(encoding="utf-8") == text.replace('"x + 2"', '"x + 22"')
        assert not notebook.dirty


def test_edited_notebooks_are_valid_and_equal_what_nbformat_writes(tmp_path: Path) -> None:
    rng = random.Random(4)
    made: list[Output] = [
        Stream("stdout", "out\nmore"),
        Display({"text/plain": "z", "image/png": b"a"}, {"b": 1, "a": 2}, 7),
        Display({"text/html": "<p>\n"}, display_id="d"),
        Error("E", "v", ["t"]),
    ]
    for minor in (2, 4, 5):
        path = tmp_path / f"x{minor}.ipynb"
        path.write_text(with_minor(minor), encoding="utf-8")
        notebook = open_notebook(path)
        for _ in range(40):
            cell = rng.choice(notebook.cells)
            match rng.randrange(7):
                case 0:
                    notebook.insert(rng.randrange(9), rng.choice(KINDS), "n\n")
                case 1 if len(notebook.cells) > 3:
                    notebook.delete(cell.id)
                case 2:
                    notebook.move(cell.id, rng.choice([-1, 1, 2]))
                case 3:
                    notebook.set_kind(cell.id, rng.choice(KINDS))
                case 4 if cell.kind == "code":
                    notebook.append_output(cell.id, rng.choice(made))
                    notebook.set_execution_count(cell.id, 9)
                case 5:
                    notebook.split(cell.id, 2)
                case 6:
                    notebook.undo()
        notebook.set_source(notebook.cells[0].id, "edited")
        save(notebook)
        written = path.read_text(encoding="utf-8")
        node = nbformat.reads(written, nbformat.NO_CONVERT)
        nbformat.validate(node)
        assert written == jupyter(node)
        again = open_notebook(path)
        assert [cell.source for cell in again.cells] == [cell.source for cell in notebook.cells]
        assert [cell.outputs for cell in again.cells] == [cell.outputs for cell in notebook.cells]


def test_outputs_are_read_as_they_are() -> None:
    cells, _, _ = parse(jupyter(sample()), "x")
    outputs = cells[1].outputs
    assert outputs[0] == Stream("stdout", "a\nb\x0c\u2028c\n")
    assert isinstance(outputs[2], Display)
    assert outputs[2].data["text/html"] == "<b>1</b>\n<i>2</i>"
    assert outputs[2].data["application/vnd.x+json"] == ["l1", "l2"]
    assert outputs[3] == Display({"text/plain": "4 ▁▂é"}, {}, 3, True)
    assert isinstance(outputs[4], Display) and outputs[4].result
    assert outputs[5] == Error("E", "v", ["\x1b[31mE\x1b[0m", "v"])
    assert cells[0].attachments["i.png"]


def test_unknown_outputs_and_cells_survive() -> None:
    node = json.loads(jupyter(sample()))
    node["nbformat_minor"] = 9
    node["cells"][1]["outputs"].append({"output_type": "hologram", "beam": [1]})
    node["cells"][2]["cell_type"] = "widget"
    node["cells"][3]["new_key"] = {"a": 1}
    text = json.dumps(node, indent=1, sort_keys=True, ensure_ascii=False)
    cells, layout, notices = parse(text, "x.ipynb")
    assert "nbformat 4.9" in notices[0]
    assert cells[1].outputs[-1] == Display({"text/plain": "[output of an unknown type: hologram]"})
    cells[0].source = "!" + cells[0].source
    changed = json.loads(render(cells, layout))
    node["cells"][0]["source"][0] = "!# Title\n"
    assert changed == node


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.ipynb: the file is empty; an .ipynb holds JSON"),
        (b" \n", "the file is empty"),
        (b'{"cells": [\n{"a": 1,}\n]}', "not valid JSON: line 2, column 9"),
        (b'{\n<<<<<<< HEAD\n"a": 1', "not valid JSON: line 2: an unresolved merge conflict"),
        (b"[1, 2]", "valid JSON but not a notebook: it holds a list"),
        (b"{}", 'not a notebook: it holds an object without "nbformat"'),
        (b'"text"', "it holds text"),
        (b'{"nbformat": "4"}', '"nbformat" is text'),
        (b'{"nbformat": true}', '"nbformat" is true or false'),
        (b'{"nbformat": 0}', '"nbformat" is a number'),
        (b'{"nbformat": 4, "nbformat_minor": "x"}', "not a notebook"),
        (
            b'{"nbformat": 5, "nbformat_minor": 0}',
            "nbformat 5; this version reads up to",
        ),
        (b'{"nbformat": 4, "metadata": {}}', '"cells" is missing, expected a list'),
        (b'{"nbformat": 4, "cells": {}}', '"cells" is an object'),
        (b'{"nbformat": 4, "cells": [1]}', "cell 1: it is a number, expected an object"),
        (b'{"nbformat": 4, "cells": [{"cell_type": 1}]}', 'cell 1: "cell_type" is a number'),
        (b'{"nbformat": 3, "worksheets": 3}', "could not be upgraded to nbformat 4"),
        (b'{"nbformat": 4, "cells": ' + b"[" * 50_000, "nested too deeply"),
        (b'{"nbformat": 4, "cells": [], "a": ' + b"[" * 150 + b"]" * 150 + b"}", "nested more"),
        (b'{"nbformat": 4, "n": ' + b"9" * 5000 + b"}", "cannot be read"),
        (b'{"nbformat": 4, "cells": "\xff"}', "not UTF-8: byte 0xff at position 26, line 1"),
        (b'{"a": \x00}', "a binary file (zero byte at position 6)"),
        ('{"a": 1}'.encode("utf-16"), "encoded in UTF-16; save it as UTF-8"),
    ],
)
def test_what_is_no_notebook_is_refused_in_one_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "x.ipynb"
    path.write_bytes(content)
    with pytest.raises(NotebookError) as caught:
        open_notebook(path)
    text = str(caught.value)
    assert message in text and text.startswith(str(path)) and "\n" not in text
    assert path.read_bytes() == content


@pytest.mark.parametrize("key", ["source", "metadata", "attachments", "outputs", "execution_count"])
def test_a_cell_with_a_wrong_part_is_named(key: str) -> None:
    node = json.loads(jupyter(sample()))
    node["cells"][1][key] = 1.5
    with pytest.raises(NotebookError, match=f'x: cell 2: "{key}" is a number, expected'):
        parse(json.dumps(node), "x")


def test_fuzzed_structures_are_opened_or_refused() -> None:
    rng = random.Random(9)
    junk: list[Any] = [None, 1, -1, 1.5, True, "x", [], [1], {}, {"a": 1}, [["a"]], "\ud800"]

    def places(value: Any) -> list[tuple[Any, Any]]:
        found: list[tuple[Any, Any]] = []
        stack = [value]
        while stack:
            item = stack.pop()
            if isinstance(item, dict | list):
                keys: list[Any] = list(item) if isinstance(item, dict) else list(range(len(item)))
                found += [(item, key) for key in keys]
                stack += [item[key] for key in keys]
        return found

    opened = 0
    base = jupyter(sample())
    for _ in range(120):
        node = json.loads(base)
        for _ in range(rng.choice([1, 1, 3])):
            item, key = rng.choice(places(node))
            if rng.random() < 0.3:
                del item[key]
            else:
                item[key] = rng.choice(junk)
        text = json.dumps(node, indent=1, sort_keys=True)
        try:
            cells, layout, _ = parse(text, "x.ipynb")
        except NotebookError:
            continue
        opened += 1
        written = render(cells, layout)
        again = parse(written, "x.ipynb")[0]
        assert [cell.source for cell in again] == [cell.source for cell in cells]
    assert opened > 50


def test_broken_schema_is_told_and_kept() -> None:
    node = json.loads(jupyter(sample()))
    node["cells"][1]["extra"] = 1
    del node["cells"][2]["metadata"]
    text = json.dumps(node, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    cells, layout, notices = parse(text, "x.ipynb")
    assert len(notices) == 1 and notices[0].startswith("x.ipynb breaks the notebook schema")
    assert render(cells, layout) == text


def test_missing_and_double_ids_are_repaired() -> None:
    node = json.loads(jupyter(sample()))
    del node["cells"][0]["id"]
    node["cells"][2]["id"] = "cell-1"
    node["cells"][3]["id"] = "not valid!"
    cells, layout, notices = parse(json.dumps(node, indent=1), "x.ipynb")
    assert "3 cells had no valid id" in notices[0]
    ids = [cell.id for cell in cells]
    assert len(set(ids)) == 4 and ids[1] == "cell-1"
    nbformat.validate(nbformat.reads(render(cells, layout), 4))


def test_old_files_are_upgraded_in_memory(tmp_path: Path) -> None:
    old = {
        "metadata": {"name": "old"},
        "nbformat": 3,
        "nbformat_minor": 0,
        "worksheets": [
            {
                "metadata": {},
                "cells": [
                    {"cell_type": "heading", "level": 2, "metadata": {}, "source": ["Hi"]},
                    {
                        "cell_type": "code",
                        "collapsed": False,
                        "input": ["1 + 1"],
                        "language": "python",
                        "metadata": {},
                        "outputs": [
                            {"output_type": "pyout", "prompt_number": 1, "text": ["2"]}
                            | {"metadata": {}}
                        ],
                        "prompt_number": 1,
                    },
                ],
            }
        ],
    }
    path = tmp_path / "old.ipynb"
    content = json.dumps(old, indent=1)
    path.write_text(content)
    notebook = open_notebook(path)
    assert [cell.source for cell in notebook.cells] == ["## Hi", "1 + 1"]
    assert notebook.cells[1].outputs == [Display({"text/plain": "2"}, {}, 1)]
    assert "read as nbformat 3" in notebook.notices[0]
    save(notebook)  # nothing was changed: the old file stays
    assert path.read_text() == content
    assert [c.id for c in open_notebook(path).cells] == [c.id for c in notebook.cells]
    notebook.set_source(notebook.cells[1].id, "2 + 2")
    save(notebook)
    nbformat.validate(nbformat.read(path, 4))


def test_lone_surrogates_survive(tmp_path: Path) -> None:
    text = jupyter(sample()).replace("# Title", "\\ud800 # Title \\udfff")
    path = tmp_path / "x.ipynb"
    path.write_text(text, encoding="utf-8")
    notebook = open_notebook(path)
    assert notebook.cells[0].source.startswith("\ud800 #")
    notebook.set_source("cell-2", "new")
    save(notebook)
    assert "\\ud800 # Title \\udfff" in path.read_text(encoding="utf-8")
    with pytest.raises(NotebookError, match=r"cell 1 holds half a character \(U\+D800\)"):
        save_as(notebook, tmp_path / "x.py")
    assert not (tmp_path / "x.py").exists() and notebook.path == path


def test_a_byte_order_mark_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    path.write_text("\ufeff" + jupyter(sample()), encoding="utf-8")
    notebook = open_notebook(path)
    notebook.set_source("cell-2", "new")
    save(notebook)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf{")


def test_a_notebook_without_cells() -> None:
    text = jupyter(V4.new_notebook())
    cells, layout, _ = parse(text, "x")
    assert [cell.source for cell in cells] == [""]
    assert render(cells, layout) == text


def test_other_languages_are_told() -> None:
    node = sample()
    node["metadata"]["language_info"]["name"] = "R"
    assert "notebook for r" in parse(jupyter(node), "x")[2][0]


def test_deep_or_odd_live_output_cannot_spoil_a_save() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    notebook = Notebook(kind="ipynb")
    cells, layout, _ = parse(jupyter(sample()), "x")
    notebook.cells, notebook.layout = cells, layout
    for value in (deep, {1, 2}, object()):
        cells[1].outputs = [Display({"application/json": value})]
        with pytest.raises(NotebookError, match="no valid JSON"):
            render(cells, layout)


def test_damaged_files_give_their_whole_cells(tmp_path: Path) -> None:
    text = jupyter(sample())
    path = tmp_path / "x.ipynb"
    cut = text.index('"cell-2"')
    for content, count in [(text[:cut], 2), (text[:200], 1), (text[:30], 1), ("\0\xff", 1)]:
        data = content.encode("utf-8", "surrogateescape")
        path.write_bytes(data)
        notebook = open_damaged(path)
        assert len(notebook.cells) == count and notebook.read_only
        assert "read-only" in notebook.notices[-1]
        notebook.set_source(notebook.cells[0].id, "changed")
        for attempt in (lambda: save(notebook, overwrite=True), lambda: save_as(notebook, path)):  # noqa: B023
            with pytest.raises(NotebookError, match="read-only"):
                attempt()
        assert path.read_bytes() == data
        copy_path = tmp_path / f"copy{len(content)}.ipynb"
        save_as(notebook, copy_path)
        nbformat.validate(nbformat.read(copy_path, 4))
        assert open_notebook(copy_path).cells[0].source == "changed"


def test_a_large_notebook_opens_and_saves(tmp_path: Path) -> None:
    node = sample()
    node["cells"][1]["outputs"][0]["text"] = "a line of output\n" * 300_000  # 5 MB, 8 in the file
    path = tmp_path / "x.ipynb"
    text = jupyter(node)
    path.write_text(text, encoding="utf-8")
    notebook = open_notebook(path)
    stream = notebook.cells[1].outputs[0]
    assert isinstance(stream, Stream) and len(stream.shown) < 1_000_000
    notebook.set_source("cell-2", "new")
    save(notebook)
    assert len(path.read_text(encoding="utf-8")) > len(text)
