"""Who runs the kernels: the host, in both orders; with ``TAPEBOOK_TEST_GPU=1`` the GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hosted import COMPILER, RACES_WATCHED, Host, OnDevice, launched_by

RUNNERS = [
    pytest.param(lambda: Host(0), id="forwards"), pytest.param(lambda: Host(1), id="backwards"),
]  # fmt: skip
if os.environ.get("TAPEBOOK_TEST_GPU") == "1":
    RUNNERS = [pytest.param(OnDevice, id="device")]
elif RACES_WATCHED:
    RUNNERS = [pytest.param(lambda: Host(0, races=True), id="races")]


LAUNCHED: dict[str, set[str]] = {}  # by module of tests: the entries that its tests launched


@pytest.fixture
def launched(request: pytest.FixtureRequest) -> set[str]:
    """The entries that the tests of this module have launched; skipped unless all of them ran."""
    module: Any = request.module
    names = {n for n, f in vars(module).items() if n.startswith("test_") and callable(f)}
    ran = {getattr(i, "originalname", "") for i in request.session.items if i.module is module}
    if names != ran:
        pytest.skip("only a part of the file is run")
    if COMPILER is None and os.environ.get("TAPEBOOK_TEST_GPU") != "1":
        pytest.skip("g++ is not here")
    return LAUNCHED.get(module.__name__, set())


@pytest.fixture(params=RUNNERS)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    made = request.param()
    if not isinstance(made, OnDevice) and COMPILER is None:
        pytest.skip("g++ is not here")
    with launched_by(made):
        yield made
    LAUNCHED.setdefault(request.module.__name__, set()).update(made.launched)
