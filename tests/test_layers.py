"""Who may import whom, checked on the source and on a real import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

NEVER = {
    "framework": {"viewers", "app", "textual", "IPython", "torch"},
    "viewers": {"app", "textual", "IPython", "torch", "cupy"},
    "app": {"torch", "cupy", "numba"},
}


def imports(path: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.append((node.lineno, node.module or ""))
    return found


@pytest.mark.parametrize("package", NEVER)
def test_imports_keep_to_their_layer(package: str) -> None:
    bad = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in (ROOT / package).rglob("*.py")
        for line, name in imports(path)
        if name.split(".")[0] in NEVER[package]
    ]
    assert not bad, "\n".join(bad)


def test_viewers_see_only_the_trace_of_the_framework() -> None:
    bad = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in (ROOT / "viewers").rglob("*.py")
        for line, name in imports(path)
        if name.split(".")[0] == "framework" and not name.startswith("framework.trace")
    ]
    assert not bad, "\n".join(bad)


def test_the_kernel_never_imports_the_user_interface() -> None:
    bad = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in (ROOT / "app" / "kernel").rglob("*.py")
        for line, name in imports(path)
        if name.startswith(("textual", "app.ui", "viewers"))
    ]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize(
    "module, absent",
    [
        ("framework", ("textual", "IPython", "cupy", "numba", "msgspec", "scipy", "PIL")),
        ("app.cli", ("textual", "IPython", "cupy", "viewers")),
        ("app.kernel.__main__", ("textual", "viewers", "cupy")),
    ],
)
def test_what_an_import_brings_along(module: str, absent: tuple[str, ...]) -> None:
    code = f"import sys, {module}\nprint([m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"
