"""What the documents name is there: files wherever they name one, and the architecture's names."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
]

_FILE = re.compile(r"[\w./*-]*\w\.(?:py|cu|cuh|h|js|toml|md|png)\b")
_FOLDER = re.compile(
    r"(?<![\w/.-])(?:app|benchmarks|docs|examples|framework|tests|viewers)/(?:\w+/)*\w*(?!\w|[.(]\w)"
)
# Files of the reader's own, and what is made when a program runs.
_MADE = {
    "/home/me/nan_hunt.py", "bad.py", "framework/kernels/compiled/__pycache__", "model.py",
    "my.toml", "train.py",
}  # fmt: skip


def text_of(page: str) -> str:
    """The page without its fenced blocks, in the same lines."""
    text = (ROOT / page).read_text("utf-8")
    return re.sub(r"^```.*?^```", lambda m: "\n" * m[0].count("\n"), text, flags=re.M | re.S)


@functools.cache
def files() -> list[str]:
    """All files of the tree."""
    tops = ("app", "benchmarks", "docs", "examples", "framework", "tests", "viewers")
    found = [*ROOT.glob("*"), *(path for top in tops for path in (ROOT / top).rglob("*.*"))]
    return [path.relative_to(ROOT).as_posix() for path in found if path.is_file()]


def is_there(name: str) -> bool:
    """A file, by its path or the end of it, or a folder."""
    name = name.rstrip("/")
    return any(f"/{name}/" in f"/{file}/" for file in files())


@pytest.mark.parametrize("page", PAGES)
def test_each_file_exists(page: str) -> None:
    named = {m[0] for pattern in (_FILE, _FOLDER) for m in pattern.finditer(text_of(page))}
    assert [name for name in sorted(named - _MADE) if not is_there(name)] == []


@functools.cache
def words_of(file: str) -> frozenset[str]:
    return frozenset(re.findall(r"[A-Za-z_]\w*", (ROOT / file).read_text("utf-8")))


@functools.cache
def sources() -> list[str]:
    return [file for file in files() if re.search(r"\.(py|cu|cuh|h|js|toml)$|^Makefile$", file)]


def test_each_name_of_the_architecture_stands_in_the_sources() -> None:
    known = frozenset().union(*map(words_of, sources()))
    missing = [
        (code, word)
        for code in re.findall(r"`([^`\n]+)`", text_of("docs/architecture.md"))
        for word in re.findall(r"(?<![\w-])[A-Za-z_]\w*(?![\w-])", _FILE.sub("", code))
        if word not in known and code not in _MADE
    ]
    assert missing == []


def test_each_name_of_a_module_stands_in_it() -> None:
    """``engine._kept`` is in a file or a package of that name; of several, in one of them."""
    missing = []
    text = _FILE.sub("", text_of("docs/architecture.md"))
    for module, name in re.findall(r"`(\w+)\.(\w+)[`(]", text):
        homes = [f for f in sources() if re.search(rf"/{module}(/\w+)?\.py$", f)]
        below = any(f"/{module}/{name}" in f for f in files())
        if homes and not below and not any(name in words_of(f) for f in homes):
            missing.append(f"{module}.{name}")
    assert missing == []
