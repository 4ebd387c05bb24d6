"""The array API standard's own suite, data-apis/array-api-tests, run on `framework.array_api`.

It is not on PyPI: clone it with its submodule, install its requirements, and name the checkout in
the environment variable ARRAY_API_TESTS. ``array_api_xfails.txt`` lists what is expected to fail.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

__all__ = ["main"]

XFAILS = Path(__file__).with_name("array_api_xfails.txt")
ROOT = Path(__file__).parent.parent.parent
TESTS = 1384  # in the suite for the standard of 2025.12
EXAMPLES, QUICK_EXAMPLES = 60, 10  # that Hypothesis tries for each test


def main(options: Any) -> int:
    """Run the suite and print its score; 1 if a test failed that is not on the list."""
    checkout = os.environ.get("ARRAY_API_TESTS", "")
    problem = _problem(checkout)
    if problem:
        print(f"array_api: SKIPPED, {TESTS} tests: {problem}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        examples = QUICK_EXAMPLES if getattr(options, "quick", False) else EXAMPLES
        done = subprocess.run(
            [
                sys.executable, "-m", "pytest", "array_api_tests", "-q", "--disable-warnings",
                "-p", "no:cacheprovider", "--tb=short", "--disable-deadline", "--derandomize",
                f"--max-examples={examples}", f"--xfails-file={XFAILS}", f"--junitxml={report}",
            ],
            cwd=checkout, env=_environment(), capture_output=True, text=True,
        )  # fmt: skip
        if not report.exists():
            print(f"array_api: the suite did not run: {(done.stderr or done.stdout)[-2000:]}")
            return 2
        outcomes = _outcomes(report)
    for name, state, text in outcomes:
        if state == "failed":
            print(f"{name}: {text}")
    count = Counter(state for _, state, _ in outcomes)
    print(
        f"array_api: {count['passed']} passed, {count['expected']} expected failures, "
        f"{count['failed']} failed, {count['skipped']} skipped"
    )
    return 1 if count["failed"] else 0


def _problem(checkout: str) -> str:
    """Why the suite cannot run here, in one line; empty if it can."""
    if not checkout:
        return "no checkout of data-apis/array-api-tests named in ARRAY_API_TESTS"
    folder = Path(checkout)
    if not (folder / "array_api_tests").is_dir():
        return f"no checkout of data-apis/array-api-tests at {checkout}"
    if not (folder / "array-api" / "spec").is_dir():
        return f"{checkout} lacks its submodule (git submodule update --init)"
    try:
        import hypothesis
        import ndindex
        import pytest_jsonreport
    except ImportError as error:
        return f"{error.name} is not installed (pip install -r {checkout}/requirements.txt)"
    del hypothesis, ndindex, pytest_jsonreport
    return ""


def _environment() -> dict[str, str]:
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p)
    return {
        **os.environ,
        "ARRAY_API_TESTS_MODULE": "framework.array_api",
        "ARRAY_API_TESTS_MAX_ARRAY_SIZE": "256",
        "PYTHONPATH": path,
    }


def _outcomes(report: Path) -> list[tuple[str, str, str]]:
    """(test, "passed", "expected", "skipped" or "failed", first line of the message)."""
    found = []
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname', '')}::{case.get('name')}".lstrip(":")
        state, text = "passed", ""
        for child in case:
            if child.tag in ("failure", "error"):
                state, text = "failed", child.get("message", "").partition("\n")[0]
            elif child.tag == "skipped":
                state = "expected" if child.get("type") == "pytest.xfail" else "skipped"
        found.append((name, state, text))
    return found
