"""What tests of the framework share."""

from __future__ import annotations

import pytest

from framework.kernels import compiled


@pytest.fixture
def plainly():
    """Runs something without the compiled kernels."""

    def run(call):
        before = compiled.use(False)
        try:
            return call()
        finally:
            compiled.use(before)

    return run
