"""`utils._pytree`: leaves with the path that leads to them, and specs as text."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass

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


def test_a_spec_shows_its_parts_and_splits_a_deeper_tree():
    spec = pytree.tree_structure([1, (2, {"a": 3})])
    assert (spec.num_nodes, spec.num_leaves, spec.num_children) == (6, 3, 2)
    assert spec.child(1).num_leaves == 2 and spec.children() == [spec.child(0), spec.child(1)]
    assert isinstance(spec.child(0), pytree.LeafSpec) and not isinstance(spec, pytree.LeafSpec)
    assert spec.flatten_up_to([[1], ("x", {"a": (2, 3)})]) == [[1], "x", (2, 3)]
    assert pytree.tree_map(lambda x, more: (x, more), [1, 2], [(3, 4), 5]) == [(1, (3, 4)), (2, 5)]
    assert repr(spec) == (
        "TreeSpec(list, None, [*,\n  TreeSpec(tuple, None, [*,\n    TreeSpec(dict, ['a'], [*])])])"
    )
    for other, said in (
        ([1], "arity"), ((1, 2), "type"), ([1, (2, {"b": 3})], "keys"), ([1, 2], "type"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            spec.flatten_up_to(other)
    ordered = pytree.tree_structure(defaultdict(int, a=1, b=2))
    assert ordered.flatten_up_to({"b": 4, "a": 3}) == [3, 4]


def test_a_dataclass_becomes_a_container():
    @dataclass
    class Box:
        low: int
        high: int | None = None
        name: str = "box"

    with pytest.raises(ValueError, match="drop_field_names"):
        pytree.register_dataclass(Box, field_names=["low"])
    pytree.register_dataclass(
        Box, field_names=["low", "high"], drop_field_names=["name"], serialized_type_name="Box"
    )
    assert pytree.tree_leaves(Box(1)) == [1] and pytree.tree_leaves(Box(1, 2)) == [1, 2]
    assert pytree.tree_map(lambda v: v * 2, [Box(1), Box(2, 3)]) == [Box(2), Box(4, 6)]
    paths = [pytree.keystr(path) for path, _ in pytree.tree_leaves_with_path(Box(1, 2))]
    assert paths == [".low", ".high"]
    with pytest.raises(ValueError, match="field_names must be"):
        pytree.register_dataclass(int)
    with pytest.raises(TypeError):  # a keyword that is none
        pytree.register_pytree_node(int, list, list, with_keys=None)
