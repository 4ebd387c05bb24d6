"""The runner of kernels on the host, in both orders."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hosted import COMPILER, Host, on_the_host
from kernel_checks import ORDERS


@pytest.fixture(params=ORDERS)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    if COMPILER is None:
        pytest.skip("g++ is not here")
    with on_the_host(request.param) as found:
        yield found
