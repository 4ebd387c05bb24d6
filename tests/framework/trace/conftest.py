"""A small model, and a recording of everything with a gate."""

from __future__ import annotations

import pytest
from walks import MLP

import framework as torch
from framework.trace import recording
from framework.trace.gate import Gate


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MLP()


@pytest.fixture
def taped():
    with recording() as tape:
        yield tape, Gate(tape)
