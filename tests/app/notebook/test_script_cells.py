"""Scripts: found cells, and files that come back byte for byte."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from app.notebook import script
from app.notebook.cell import Cell
from app.notebook.document import Notebook


def load(text: str) -> Notebook:
    cells, layout = script.parse(text)
    return Notebook(Path("x.py"), "script", cells, layout)


def text_of(notebook: Notebook) -> str:
    assert isinstance(notebook.layout, script.ScriptLayout)
    return script.render(notebook.cells, notebook.layout)


def sources(text: str) -> list[str]:
    return [cell.source for cell in load(text).cells]


PREAMBLE = '#!/usr/bin/env python\n# -*- coding: utf-8 -*-\n"""What it does."""\nimport os\n'
SCRIPTS = {
    "empty": "",
    "blank": "\n\n  \n",
    "no marker": "x = 1\n",
    "no final newline": "# %%\nx = 1",
    "marker only": "# %%",
    "marker after text without newline at the end": "x = 1\n# %%",
    "preamble": PREAMBLE + "\n# %%\nx = 1\n",
    "blank prefix": "\n\n# %%\nx = 1\n",
    "gaps": "# %%\n\n\nx = 1\n\n\n\n# %%\n\n# %%\ny = 2\n\n",
    "trailing blanks": "# %%  \nx = 1   \n\t\n# %%\ty\nz = 1\t\n",
    "crlf": "# %% one\r\nx = 1\r\ny = 2\r\n\r\n# %% [markdown]\r\n# a\r\n#\r\n# b\r\n",
    "mixed line ends": "# %%\nx = 1\r\ny = 2\n# %%\r\nz = 3\n",
    "old mac": "# %%\rx = 1\r# %%\ry = 2\r",
    "form feed": "# %%\nx = 1\n\x0c\ny = 2\x0b\x1c\u2028z\n# %%\n",
    "jupytext header": "# ---\n# jupyter:\n#   kernelspec: x\n# ---\n\n# %%\nx\n",
    "nbconvert": "# coding: utf-8\n\n# In[1]:\n\n\nx = 1\n\n\n# In[ ]:\n\n\n\n\n",
    "markdown styles": '# %% [markdown]\n# # T\n#\n#text\n\n# %% [md]\n"""\na\n"""\n# %% [raw]\n#r',
    "quoted oddly": "# %% [markdown]\nr'''a\nb'''\n# %% [markdown]\n\"\"\"\n\n\"\"\"\n# %%\n",
    "markdown that is code": "# %% [markdown]\nimport os\n# %%\n",
    "broken": "# %%\ndef f(:\n  '''never\n# %%\nprint('it)\n# %%\n)))\n",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_untouched_script_is_written_byte_for_byte(name: str) -> None:
    assert text_of(load(SCRIPTS[name])) == SCRIPTS[name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [""]),
        ("\n \n", [""]),
        ("x = 1", ["x = 1"]),
        ("# %%", [""]),
        ("# %%\n# %%\n", ["", ""]),
        ("a\n# %%\nb\n", ["a", "b"]),
        ("\n\n# %%\nb\n", ["b"]),
        ("#%%\na\n#  %% t\nb\n# %%% sub\nc\n", ["a", "b", "c"]),
        ("# <codecell>\na\n# In[12]:\nb\n# In[ ]:\nc", ["a", "b", "c"]),
        ("# %%time\nx\n", ["# %%time\nx"]),  # a commented magic, as Jupytext has it
        ("    # %%\nx\n", ["    # %%\nx"]),
        ("# %%\n%matplotlib inline\n!ls it's\n# %%\n%%bash\necho '''\n# %%\nz", None),
        ('# %%\nx = """\n# %%\n"""\n# %%\ny', ['x = """\n# %%\n"""', "y"]),
        ("# %%\nx = rb'''\n# %%\n\\'''\n# %%\n'''\n# %%\ny", 2),
        ("# %%\nx = 'a\\\n# %%'\n# %%\ny", ["x = 'a\\\n# %%'", "y"]),
        ("# %%\nx = 'open\n# %%\ny", ["x = 'open", "y"]),
        ("# %%\n# it's '''\n# %%\ny", ["# it's '''", "y"]),
        ("# %%\nx = '#' + '''\n# %%\n'''  # '''\n# %%\ny", 2),
        ("# %%\n'''a''' '''b\n# %%\nc'''\n# %%\ny", 2),
        ('# %%\nx = f"{d["""k"""]}"\n# %%\ny', 2),
        ("# %%\n'''never closed\n# %%\ny", ["'''never closed", "y"]),
        ("# %%\n'''a''' '''never\n# %%\nx = '''\n# %%\nin it", None),
        ("# %%\r\na\r\nb\r\n# %%\r\nc", ["a\nb", "c"]),
        ("# %%\ra\rb\r# %%\rc", ["a\nb", "c"]),
    ],
)
def test_where_cells_start(text: str, expected: list[str] | int | None) -> None:
    found = sources(text)
    if isinstance(expected, list):
        assert found == expected
    elif expected is not None:
        assert len(found) == expected
    assert text_of(load(text)) == text


def test_a_shell_cell_does_not_hide_the_next() -> None:
    text = "# %%\n%%bash\necho it\\'s '''\n# %%\nx = '''a'''\n# %%\n%%time\ny = '''\n# %%\n'''\n"
    assert sources(text)[1:] == ["x = '''a'''", "%%time\ny = '''\n# %%\n'''"]


@pytest.mark.parametrize(
    ("header", "kind", "metadata"),
    [
        ("# %%", "code", {}),
        ("# %% Loss curve", "code", {"title": "Loss curve"}),
        ("# %% [markdown]", "markdown", {}),
        ("# %%[markdown]", "code", None),
        ("# %% [md] Title", "markdown", {"title": "Title"}),
        ("# %% Title [raw]", "raw", {"title": "Title"}),
        ('# %% T [markdown] tags=["a", "b"] n=1', "markdown", None),
        ('# %% name="a [raw] b" flag=true', "code", {"name": "a [raw] b", "flag": True}),
        ("# %% key=bare other=", "code", {"key": "bare", "other": ""}),
        ("# %% deep=" + "[" * 3000, "code", None),
        ("# %% see [link] here", "code", {"title": "see [link] here"}),
        ("# In[3]:", "code", {}),
    ],
)
def test_marker_lines(header: str, kind: str, metadata: dict[str, object] | None) -> None:
    text = f"{header}\n# x\n"
    cell = load(text).cells[0]
    assert cell.kind == kind
    if metadata is not None:
        assert cell.metadata == metadata
    assert text_of(load(text)) == text


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("# %% [markdown]\n# # Title\n#\n# a  b\n", "# Title\n\na  b"),
        ("# %% [markdown]\n#tight\n\n#   deep\n", "tight\n\n  deep"),
        ('# %% [markdown]\n"""\n# T\n\na\n"""\n', "# T\n\na"),
        ("# %% [markdown]\nr'''x\\alpha'''\n", "x\\alpha"),
        ("# %% [raw]\n# r\n", "r"),
        ("# %% [markdown]\nimport os\n", "import os"),
        ("# %% [markdown]\n\n", ""),
    ],
)
def test_text_cells_are_read_and_edited_in_their_style(text: str, source: str) -> None:
    notebook = load(text)
    cell = notebook.cells[0]
    assert cell.source == source
    for changed in (
        "new\n\nlines",
        "# H\n\n- a",
        "$\\beta$",
        'quote "',
        "",
        "# %% in text",
        "a\n# %% b",
    ):
        notebook.set_source(cell.id, changed)
        again = load(text_of(notebook))
        assert [item.source for item in again.cells] == [changed], text_of(notebook)
        assert again.cells[0].kind == cell.kind
    notebook.set_source(cell.id, source)
    assert text_of(notebook) == text


def test_a_quoted_cell_keeps_its_quotes_unless_the_text_has_them() -> None:
    notebook = load('# %% [markdown]\n"""\na\n"""\n# %%\nx\n')
    cell = notebook.cells[0].id
    notebook.set_source(cell, "b\\c")
    assert text_of(notebook) == '# %% [markdown]\nr"""\nb\\c\n"""\n# %%\nx\n'
    notebook.set_source(cell, 'has """ in it')
    assert text_of(notebook) == '# %% [markdown]\n# has """ in it\n# %%\nx\n'


def test_an_edit_changes_only_its_cell() -> None:
    text = SCRIPTS["crlf"] + "# %% last\r\nz = 1"
    notebook = load(text)
    notebook.set_source(notebook.cells[0].id, "new = 1\nlines = 2")
    assert text_of(notebook) == text.replace("x = 1\r\ny = 2", "new = 1\r\nlines = 2")
    notebook.undo()
    notebook.set_source(notebook.cells[2].id, "end")
    assert text_of(notebook) == text.replace("z = 1", "end")
    notebook.undo()
    assert text_of(notebook) == text


def test_an_edit_of_random_cells_leaves_the_others_alone() -> None:
    rng = random.Random(3)
    for name, text in SCRIPTS.items():
        if name == "broken":  # where a string is open, any edit may move the markers
            continue
        notebook = load(text)
        for cell in notebook.cells:
            before = [item.source for item in load(text).cells]
            index = notebook.index(cell.id)
            notebook.set_source(cell.id, before[index] + f"\nedit_{rng.randrange(99)} = 1")
            after = load(text_of(notebook))
            assert len(after.cells) == len(before), name
            for number, (old, new) in enumerate(zip(before, after.cells)):
                assert (old == new.source) == (number != index), name
            notebook.undo()
        assert text_of(notebook) == text


def test_new_moved_and_deleted_cells() -> None:
    notebook = load(PREAMBLE + "\n# %% a\na = 1\n\n# %% b\nb = 2\n")
    first, a, b = notebook.cells
    new = notebook.insert(3, "code", "c = 3")
    assert text_of(notebook).endswith("# %% b\nb = 2\n\n# %%\nc = 3\n")
    notebook.insert(2, "markdown", "# Why\n\nso")
    assert "a = 1\n\n# %% [markdown]\n# # Why\n#\n# so\n\n# %% b\n" in text_of(notebook)
    notebook.delete(new.id)
    notebook.move(b.id, -3)
    assert text_of(notebook).startswith("# %% b\nb = 2\n\n# %%\n#!/usr/bin")
    again = load(text_of(notebook))
    assert [cell.source for cell in again.cells] == [cell.source for cell in notebook.cells]
    while notebook.undo():
        pass
    assert [cell.id for cell in notebook.cells] == [first.id, a.id, b.id]
    assert text_of(notebook) == PREAMBLE + "\n# %% a\na = 1\n\n# %% b\nb = 2\n"


def test_filling_an_empty_cell() -> None:
    for text, expected in [
        ("", "x = 1\n"),
        ("# %%", "# %%\nx = 1\n"),
        ("# %%\n", "# %%\nx = 1\n"),
        ("# %%\r\n", "# %%\r\nx = 1\r\n"),
        ("# %%\n\n# %%\ny\n", "# %%\nx = 1\n\n# %%\ny\n"),
        ("# %%\n# %%\ny\n", "# %%\nx = 1\n# %%\ny\n"),
    ]:
        notebook = load(text)
        notebook.set_source(notebook.cells[0].id, "x = 1")
        assert text_of(notebook) == expected


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("# %% T\n# a\n", "markdown", "# %% [markdown] T\n# # a\n"),
        ('#%% [md] T k="v"\n# a\n', "code", '#%% T k="v"\na\n'),
        ("# %% T [markdown]\n# a\n", "raw", "# %% [raw] T\n# a\n"),
        ("# In[3]:\na\n", "markdown", "# %% [markdown]\n# a\n"),
        ("a\n", "markdown", "# %% [markdown]\n# a\n"),
    ],
)
def test_changing_the_kind_changes_the_marker(text: str, kind: str, expected: str) -> None:
    notebook = load(text)
    notebook.set_kind(notebook.cells[0].id, kind)  # type: ignore[arg-type]
    assert text_of(notebook) == expected
    assert load(expected).cells[0].kind == kind
    notebook.undo()
    assert text_of(notebook) == text


def test_metadata_becomes_the_marker_line() -> None:
    notebook = load("# %% old\nx\n")
    notebook.set_metadata(notebook.cells[0].id, {"title": "New one", "tags": ["a"], "trusted": 1})
    assert text_of(notebook) == '# %% New one tags=["a"]\nx\n'
    cells = [Cell("a", "code", "x", metadata={"title": "t [raw]", "bad key": 1, "n": {"a": "b"}})]
    text = script.render(cells, script.ScriptLayout())
    assert text == '# %% title="t [raw]" n={"a": "b"}\nx\n'
    assert load(text).cells[0].metadata == {"title": "t [raw]", "n": {"a": "b"}}
    for title in ("a=b", " two  spaces", "line\nbreak", "[md]", "", "é [x]", "\u202e", 3):
        cells = [Cell("a", "markdown", "x", metadata={"title": title})]
        again = load(script.render(cells, script.ScriptLayout())).cells
        assert [(c.kind, c.source, c.metadata) for c in again] == [
            ("markdown", "x", {"title": title})
        ]


def test_lines_of_cells_in_the_file() -> None:
    for name, text in SCRIPTS.items():
        notebook = load(text)
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for cell in notebook.cells:
            if cell.kind != "code" or not cell.source:
                continue
            start = notebook.location(cell.id)
            assert start is not None
            shown = "\n".join(lines[start - 1 : start + cell.source.count("\n")])
            assert shown == cell.source, name
            assert notebook.cell_at(start) == (cell.id, 1)
    notebook = load("# %%\na\nb\n\n# %%\nc\n")
    assert notebook.cell_at(3) == (notebook.cells[0].id, 2)
    assert notebook.cell_at(4) is None
    notebook.set_source(notebook.cells[0].id, "a\nb\nb2\nb3")
    assert notebook.location(notebook.cells[1].id) == 8


def test_ids_of_script_cells_are_the_same_each_time() -> None:
    text = "# %%\na\n# %%\nb\n"
    assert [cell.id for cell in load(text).cells] == [cell.id for cell in load(text).cells]
    assert len({cell.id for cell in load(text * 200).cells}) == 400


def test_random_texts_come_back_byte_for_byte() -> None:
    rng = random.Random(11)
    pieces = [
        "# %%",
        "#%%",
        " [markdown]",
        " [md]",
        " t",
        "\n",
        "\r\n",
        "\n\n",
        "\r",
        "x = 1",
        "# ",
    ]
    pieces += [
        '"""',
        "'''",
        "'",
        '"',
        "\\",
        "%%bash",
        "%time",
        "!ls",
        " ",
        "\t",
        "é",
        "#",
        "In[1]:",
    ]
    for _ in range(3000):
        text = "".join(rng.choices(pieces, k=rng.randrange(25)))
        notebook = load(text)
        assert text_of(notebook) == text
        first = notebook.cells[rng.randrange(len(notebook.cells))]
        notebook.set_source(first.id, "y = 2")
        notebook.insert(rng.randrange(3), rng.choice(["code", "markdown"]), "z")
        notebook.move(first.id, rng.randrange(-2, 3))
        changed = text_of(notebook)
        assert "y = 2" in changed
        while notebook.undo():
            pass
        assert text_of(notebook) == text


def test_the_standard_library_comes_back_and_is_read_quickly() -> None:
    folder = Path(random.__file__).parent
    began = time.thread_time()
    for path in sorted(folder.glob("*.py"))[:60]:
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()
        notebook = load(text)
        assert text_of(notebook) == text
        assert len(notebook.cells) == 1
        compile(notebook.cells[0].source, str(path), "exec")
    assert time.thread_time() - began < 20


def test_hostile_scripts_take_reasonable_time() -> None:
    began = time.thread_time()
    for text in (
        "# %%\n\\'''\n" * 8_000,
        "# %%\n'''\n" * 8_000,
        "'" * 200_000,
        '"\\' * 100_000,
        "# %% " + "a=" * 100_000,
        "# %%\n\n" * 20_000,
    ):
        assert text_of(load(text)) == text
    assert time.thread_time() - began < 20
