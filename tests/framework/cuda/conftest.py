"""Who runs the kernels: the host, in both orders; with ``TAPEBOOK_TEST_GPU=1`` the GPU."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hosted import COMPILER, Host, OnDevice, launched_by

RUNNERS = [
    pytest.param(lambda: Host(0), id="forwards"), pytest.param(lambda: Host(1), id="backwards"),
]  # fmt: skip
if os.environ.get("TAPEBOOK_TEST_GPU") == "1":
    RUNNERS = [pytest.param(OnDevice, id="device")]


@pytest.fixture(params=RUNNERS)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    made = request.param()
    if not isinstance(made, OnDevice) and COMPILER is None:
        pytest.skip("g++ is not here")
    with launched_by(made):
        yield made
