"""Every op of our own table: balanced traces, gradients, dtypes, and the fake ``cuda`` device.

These run in ``make test`` too (``tests/framework/ops/test_table.py``); here they are counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

__all__ = ["main"]

TESTS = Path(__file__).parents[1] / "framework" / "ops" / "test_table.py"


class _Counted:
    """What pytest reports, by test function."""

    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed += 1
            self.names.append(report.nodeid.rpartition("::")[2])
        elif report.when == "call" and report.passed:
            self.passed += 1
        elif report.skipped:
            self.skipped += 1


def main(options: Any) -> int:
    """Run the table's tests; print what fails, and the score."""
    from framework.core.registry import OPS

    counted = _Counted()
    silent = ["-o", "addopts=", "-p", "no:terminal", "-p", "no:cacheprovider"]
    pytest.main([str(TESTS), *silent], [counted])
    for name in counted.names:
        print(f"table, {name} fails")
    print(
        f"table: {len(OPS)} ops; {counted.passed} checks of gradients, traces, dtypes and the fake "
        f"cuda device pass, {counted.failed} fail, {counted.skipped} skipped"
    )
    return 1 if counted.failed else 0
