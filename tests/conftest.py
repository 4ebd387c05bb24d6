"""What every test may rely on: it starts untraced, with grad mode on and the default dtype."""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Iterator

import pytest

import framework
from framework.device import _fake_count, cuda_problem, default
from framework.trace import sink

# Hundreds of processes are started: without bytecode on disk each compiles all sources anew, more
# than half of its time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_finish() -> None:
    """All that was imported and collected stays: no collection of garbage need look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _fresh_process_state() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    sink.stop()
    framework.set_grad_enabled(True)
    framework.set_default_dtype(framework.float32)
    if gc.get_threshold() != thresholds:  # the program's own, which lets old garbage lie
        gc.set_threshold(*thresholds)
        _tidy_after_a_program()


_programs = itertools.count(1)


def _tidy_after_a_program() -> None:
    """What it has frozen is looked at only with that of nine others: that takes half a second."""
    if next(_programs) % 10 == 0:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
    else:
        gc.collect()


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two fake CUDA devices, which the examples of `framework.cuda` are for."""
    monkeypatch.setenv("TAPEBOOK_FAKE_CUDA", "2")
    _look_for_devices_again()
    yield
    monkeypatch.undo()
    _look_for_devices_again()
    default.cuda = 0


def _look_for_devices_again() -> None:
    _fake_count.cache_clear()
    cuda_problem.cache_clear()
