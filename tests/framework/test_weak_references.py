"""Dictionaries with tensors for keys, which they do not keep alive."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest

import framework as torch
from framework.utils.weak import (
    TensorWeakRef,
    WeakIdKeyDictionary,
    WeakIdRef,
    WeakTensorKeyDictionary,
)


def test_references_are_equal_by_identity():
    a, b = torch.ones(2), torch.ones(2)
    assert WeakIdRef(a) == WeakIdRef(a) and WeakIdRef(a) != WeakIdRef(b)
    assert hash(WeakIdRef(a)) == hash(WeakIdRef(a))
    dead = WeakIdRef(a)
    other = WeakIdRef(a)
    del a
    assert dead() is None and dead == dead and dead != other


def test_entries_go_with_their_keys():
    a, b = torch.ones(2), torch.zeros(2)
    found = WeakTensorKeyDictionary({a: "a"})
    found[b] = "b"
    assert found[a] == "a" and b in found and torch.ones(2) not in found and 1 not in found
    assert (
        len(found) == 2
        and next(iter(found.items()))[0] is a
        and [r() is not None for r in found.keyrefs()]
    )
    del a
    gc.collect()
    assert list(found.values()) == ["b"] and len(found) == 1
    with pytest.raises(KeyError):
        found[torch.ones(2)]
    assert found.pop(b) == "b" and found.pop(b, None) is None and not found


def test_it_is_a_mapping():
    a, b = torch.ones(2), torch.zeros(2)
    one, two = WeakIdKeyDictionary({a: 1}), WeakIdKeyDictionary({b: 2})
    both = one | two
    assert both[a] == 1 and both[b] == 2 and len(one) == 1
    assert one != two and both == {a: 1, b: 2}.__class__([(a, 1), (b, 2)])
    one |= two
    assert one == both and one.copy() == both and copy.deepcopy(one) == both
    assert one.setdefault(a, 5) == 1 and one.get(torch.ones(1), 9) == 9
    assert {a: 3} | two == WeakIdKeyDictionary({a: 3, b: 2})
    key, value = one.popitem()
    assert key is b and value == 2
    for key in both:  # entries may go while they are walked over
        del key
    del a
    assert len(both) == 1


def test_other_kinds_of_references():
    class Thing:
        pass

    thing = Thing()
    found = WeakIdKeyDictionary(ref_type=weakref.ref)
    found[thing] = 1
    assert found[thing] == 1
    del thing
    assert not found


def test_a_reference_to_a_tensor():
    a = torch.ones(2)
    reference = TensorWeakRef(a)
    assert reference() is a
    del a
    assert reference() is None
    with pytest.raises(AssertionError, match="expected torch"):
        TensorWeakRef(1)
