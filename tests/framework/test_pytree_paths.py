"""`utils._pytree`: leaves with the path that leads to them, and specs as text."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest

import framework as torch
from framework.utils import _pytree as pytree

Point = namedtuple("Point", "x y")
TREE = {"a": [1, (2, 3)], "b": Point(4, None), "d": OrderedDict(q=5), "e": deque([6], 3)}


def test_paths_lead_to_the_leaves():
    found, spec = pytree.tree_flatten_with_path(TREE)
    assert [pytree.keystr(path) for path, _ in found] == [
        "['a'][0]", "['a'][1][0]", "['a'][1][1]", "['b'].x", "['b'].y", "['d']['q']", "['e'][0]",
    ]  # fmt: skip
    assert all(pytree.key_get(TREE, path) == leaf for path, leaf in found)
    assert spec == pytree.tree_structure(TREE)
    assert pytree.tree_map_with_path(lambda path, x, y: (len(path), x + y), [1], [2]) == [(1, 3)]
    assert pytree.tree_flatten_with_path(3) == ([((), 3)], pytree.LeafSpec())


def test_a_registered_class_says_its_keys():
    class Pair:
        def __init__(self, one, two):
            self.one, self.two = one, two

    class Mute(Pair):
        pass

    def flatten(v):
        return [v.one, v.two], None

    pytree.register_pytree_node(
        Pair,
        flatten,
        lambda xs, c: Pair(*xs),
        flatten_with_keys_fn=lambda v: (
            [(pytree.GetAttrKey("one"), v.one), (pytree.GetAttrKey("two"), v.two)],
            None,
        ),
    )
    pytree.register_pytree_node(Mute, flatten, lambda xs, c: Mute(*xs))
    paths = [pytree.keystr(path) for path, _ in pytree.tree_leaves_with_path(Pair(1, [2]))]
    assert paths == [".one", ".two[0]"]
    with pytest.raises(ValueError, match="flatten_with_keys_fn"):
        pytree.tree_leaves_with_path(Mute(1, 2))


def test_specs_as_text():
    tree = {"a": [1, (2, 3)], "d": OrderedDict(q=5), "e": deque([6], 3)}
    spec = pytree.tree_structure(tree)
    assert pytree.treespec_loads(pytree.treespec_dumps(spec)) == spec
    assert pytree.treespec_pprint(pytree.tree_structure([1, {"b": 2}])) == "[*, {'b': *}]"
    with pytest.raises(NotImplementedError):
        pytree.treespec_dumps(pytree.tree_structure(defaultdict(list, x=1)))


def test_only_some_leaves():
    seen = []
    assert pytree.tree_map_only_(int, seen.append, [1, "a"]) == [1, "a"]
    assert seen == [1]
    assert pytree.tree_map_only(lambda x: x == 2, lambda x: -x, [1, 2]) == [1, -2]
    assert pytree.tree_all_only(int, lambda x: x > 0, [1, "a"])
    assert not pytree.tree_any_only(str, str.isupper, [1, "a"])


def test_kinds_of_tuples():
    result = torch.ones(3).max(0)
    assert pytree.is_structseq(result) and not pytree.is_namedtuple(result)
    assert pytree.is_namedtuple(TREE["b"]) and not pytree.is_structseq(TREE["b"])
