"""What every test may rely on: it starts untraced, with grad mode on and the default dtype."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import framework
from framework.trace import sink


@pytest.fixture(autouse=True)
def _fresh_process_state() -> Iterator[None]:
    yield
    sink.stop()
    framework.set_grad_enabled(True)
    framework.set_default_dtype(framework.float32)
