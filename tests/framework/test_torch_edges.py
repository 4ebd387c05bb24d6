"""Small habits at the edges: each test runs with PyTorch, too, where that is installed."""

from __future__ import annotations

import copy
import importlib.util
import pickle
from typing import Any

import pytest

import framework

_NAMES = ["framework"] + ["torch"] * (importlib.util.find_spec("torch") is not None)


@pytest.fixture(params=_NAMES)
def torch(request: pytest.FixtureRequest) -> Any:
    return framework if request.param == "framework" else importlib.import_module("torch")


# -- copies --------------------------------------------------------------------------------------


def _pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, _pickled])
def test_copies_keep_what_a_program_has_set(torch, copied) -> None:
    x = torch.ones(2)
    x.note = [5]
    assert copied(x).note == [5] and (copied(x).note is x.note) == (copied is copy.copy)
    p = torch.nn.Parameter(torch.ones(2))
    p.note = [5]
    p.grad = torch.ones(2)
    # deep copies of parameters leave them out, in PyTorch as well
    assert hasattr(copied(p), "note") == (copied is not copy.deepcopy)
    assert copied(p).grad is None


def test_copies_have_no_hooks_of_the_original(torch) -> None:
    x = torch.ones(2, requires_grad=True)
    x.note = 1
    seen: list[object] = []
    x.register_hook(seen.append)
    for made in (copy.deepcopy(x), copy.copy(x)):
        (made * 2).sum().backward()
        assert seen == [] and made.note == 1 and x.grad is None


def test_a_shallow_copy_of_a_part_knows_its_place(torch) -> None:
    x = copy.copy(torch.arange(6)[2:])
    assert x.storage_offset() == 2 and x[1:].storage_offset() == 3
