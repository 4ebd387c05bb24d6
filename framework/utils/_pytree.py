"""Nested containers as a list of leaves and a description of how they were nested.

>>> from framework.utils._pytree import tree_flatten, tree_unflatten
>>> leaves, spec = tree_flatten({"a": [1, 2], "b": (3,)})
>>> leaves
[1, 2, 3]
>>> tree_unflatten([x * 10 for x in leaves], spec)
{'a': [10, 20], 'b': (30,)}
"""

from __future__ import annotations

import json
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple

from framework.cautions import caution

__all__ = [
    "GetAttrKey", "LeafSpec", "MappingKey", "PyTree", "PyTreeSpec", "SequenceKey", "TreeSpec",
    "is_namedtuple", "is_namedtuple_class", "is_namedtuple_instance", "is_structseq",
    "is_structseq_class", "is_structseq_instance", "key_get", "keystr", "register_dataclass",
    "register_pytree_node", "tree_all", "tree_all_only", "tree_any", "tree_any_only",
    "tree_flatten",
    "tree_flatten_with_path", "tree_is_leaf", "tree_iter", "tree_leaves", "tree_leaves_with_path",
    "tree_map", "tree_map_", "tree_map_only", "tree_map_only_", "tree_map_with_path",
    "tree_structure", "tree_unflatten", "treespec_dumps", "treespec_loads", "treespec_pprint",
]  # fmt: skip

PyTree = Any


@dataclass(frozen=True)
class MappingKey:
    """The step from a mapping to the value of a key."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, mapping: Any) -> Any:
        return mapping[self.key]


@dataclass(frozen=True)
class SequenceKey:
    """The step from a sequence to one of its items."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, sequence: Any) -> Any:
        return sequence[self.idx]


@dataclass(frozen=True)
class GetAttrKey:
    """The step from an object to one of its attributes."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, obj: Any) -> Any:
        return getattr(obj, self.name)


class _Kind(NamedTuple):
    flatten: Callable[[Any], tuple[list[Any], Any]]  # -> (children, context)
    unflatten: Callable[[Iterable[Any], Any], Any]
    keyed: Any = None  # value -> ([(key, child)], context), where the keys are known


_kinds: dict[type, _Kind] = {}


def _register_pytree_node(cls: type, flatten_fn: Any, unflatten_fn: Any, **options: Any) -> None:
    """The former name of `register_pytree_node`; FutureWarning."""
    caution(
        "`torch.utils._pytree._register_pytree_node` is deprecated. Please use "
        "`torch.utils._pytree.register_pytree_node` instead.",
        FutureWarning,
    )
    register_pytree_node(cls, flatten_fn, unflatten_fn, **options)


def register_pytree_node(
    cls: type,
    flatten_fn: Callable[[Any], tuple[list[Any], Any]],
    unflatten_fn: Callable[[Iterable[Any], Any], Any],
    *,
    serialized_type_name: str | None = None,
    to_dumpable_context: Any = None,
    from_dumpable_context: Any = None,
    flatten_with_keys_fn: Any = None,
) -> None:
    """Make a class a container: ``flatten_fn(value)`` returns (children, context).

    ``flatten_with_keys_fn`` returns ([(key, child)], context): `tree_flatten_with_path` asks it.
    The names and contexts of dumps are taken as in PyTorch; `treespec_dumps` is for ordinary
    containers.

    Raises:
        ValueError: it is one already.
    """
    if cls in _kinds:
        raise ValueError(f"{cls} is already registered as pytree node.")
    _kinds[cls] = _Kind(flatten_fn, unflatten_fn, flatten_with_keys_fn)


def register_dataclass(
    cls: type,
    *,
    field_names: list[str] | None = None,
    drop_field_names: list[str] | None = None,
    serialized_type_name: str | None = None,
) -> None:
    """Make a dataclass a container of its fields (those that are None are no leaves).

    Args:
        field_names: the fields that it is made of; needed for a class that is no dataclass.
        drop_field_names: fields that are left out.

    ValueError unless the names are those of all fields.

    >>> from framework.utils import _pytree as pytree
    >>> @dataclass
    ... class Point:
    ...     x: int
    ...     y: int
    >>> pytree.register_dataclass(Point)
    >>> pytree.tree_map(lambda v: v + 1, Point(1, 2))
    Point(x=2, y=3)
    """
    if is_dataclass(cls):
        known = {f.name: None for f in fields(cls) if f.init}
        if field_names is None:
            field_names = list(known)
        elif (rest := known.keys() - set(drop_field_names or ())) != set(field_names):
            raise ValueError(
                f"field_names does not include all dataclass fields: got {sorted(field_names)}, "
                f"expected {sorted(rest)}; name the others in drop_field_names to leave them out."
            )
    elif field_names is None:
        raise ValueError(
            "field_names must be specified with a list of all fields used to initialize "
            f"{cls}, as it is not a dataclass."
        )
    wanted = tuple(field_names)

    def flatten(value: Any) -> tuple[list[Any], Any]:
        found = {name: getattr(value, name) for name in wanted}
        there = [name for name, v in found.items() if v is not None]
        return [found[name] for name in there], [there, [n for n in wanted if found[n] is None]]

    def keyed(value: Any) -> tuple[list[Any], Any]:
        children, context = flatten(value)
        return [(GetAttrKey(name), v) for name, v in zip(context[0], children)], context

    def unflatten(children: Iterable[Any], context: Any) -> Any:
        return cls(**dict(zip(context[0], children)), **dict.fromkeys(context[1]))

    register_pytree_node(
        cls, flatten, unflatten,
        serialized_type_name=serialized_type_name, flatten_with_keys_fn=keyed,
    )  # fmt: skip


for _cls, _flatten, _unflatten in (
    (tuple, lambda v: (list(v), None), lambda xs, c: tuple(xs)),
    (list, lambda v: (list(v), None), lambda xs, c: list(xs)),
    (dict, lambda v: (list(v.values()), list(v)), lambda xs, c: dict(zip(c, xs))),
    (OrderedDict, lambda v: (list(v.values()), list(v)), lambda xs, c: OrderedDict(zip(c, xs))),
    (
        defaultdict,
        lambda v: (list(v.values()), (v.default_factory, list(v))),
        lambda xs, c: defaultdict(c[0], zip(c[1], xs)),
    ),
    (deque, lambda v: (list(v), v.maxlen), lambda xs, c: deque(xs, maxlen=c)),
    (namedtuple, lambda v: (list(v), type(v)), lambda xs, c: c(*xs)),
):
    register_pytree_node(_cls, _flatten, _unflatten)  # type: ignore[arg-type]


def _kind_of(value: Any) -> Any:
    """The registered class of a container, or None for a leaf."""
    cls = type(value)
    if cls in _kinds:
        return cls
    if isinstance(value, tuple) and hasattr(cls, "_make"):
        return namedtuple
    if isinstance(value, tuple) and cls.__module__.startswith("framework.") and cls is not _size():
        return _Result
    return None


class _Result:
    """Stands for the classes of results with names: (values, indices) and its like."""


register_pytree_node(_Result, lambda v: (list(v), type(v)), lambda xs, c: c(list(xs)))


def _size() -> Any:
    from framework.tensor import Size

    return Size


def _keys(kind: Any, value: Any, count: int) -> list[Any]:
    """The steps from a container to its children."""
    if (keyed := _kinds[kind].keyed) is not None:
        return [key for key, _ in keyed(value)[0]]
    if kind in (dict, OrderedDict, defaultdict):
        return [MappingKey(key) for key in value]
    if kind is namedtuple:
        return [GetAttrKey(name) for name in value._fields]
    if kind in (tuple, list, deque, _Result):
        return [SequenceKey(i) for i in range(count)]
    raise ValueError(
        f"Did not find a flatten_with_keys_fn for type: {kind}. Please pass a "
        "flatten_with_keys_fn argument to register_pytree_node."
    )


_MAPPINGS = (dict, OrderedDict, defaultdict)


class TreeSpec:
    """How leaves were nested: a container's kind and context, and the specs of its children."""

    __slots__ = ("children_specs", "context", "num_leaves", "num_nodes", "type")

    def __init__(self, type: Any, context: Any, children_specs: list[TreeSpec]) -> None:
        self.type, self.context, self.children_specs = type, context, children_specs
        self.num_leaves: int = sum(c.num_leaves for c in children_specs) if type is not None else 1
        self.num_nodes: int = 1 + sum(c.num_nodes for c in children_specs)

    def is_leaf(self) -> bool:
        return self.type is None

    @property
    def num_children(self) -> int:
        return len(self.children_specs)

    def child(self, index: int) -> TreeSpec:
        """The spec of one child.

        >>> tree_structure([1, (2, 3)]).child(1).num_leaves
        2
        """
        return self.children_specs[index]

    def children(self) -> list[TreeSpec]:
        """The specs of all children."""
        return list(self.children_specs)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TreeSpec)
            and self.type is other.type
            and self.context == other.context
            and self.children_specs == other.children_specs
        )

    def __hash__(self) -> int:
        return hash((self.type, self.num_leaves))

    def __repr__(self, indent: int = 0) -> str:
        if self.type is None:
            return "*"
        between = ",\n" + " " * (indent + 2)
        inside = between.join([c.__repr__(indent + 2) for c in self.children_specs])
        return f"TreeSpec({self.type.__name__}, {self.context}, [{inside}])"

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        return tree_unflatten(leaves, self)

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """What ``tree`` has in place of each leaf, which may be a container itself.

        ValueError if it is nested in another way; the order of a dict's keys is its own.

        >>> tree_structure([0, (0, 0)]).flatten_up_to(["a", ([1, 2], None)])
        ['a', [1, 2], None]
        """
        found: list[Any] = []
        self._up_to(tree, found)
        return found

    def _up_to(self, tree: Any, found: list[Any]) -> None:
        if self.type is None:
            found.append(tree)
            return
        kind = _kind_of(tree)
        mappings = kind in _MAPPINGS and self.type in _MAPPINGS
        if kind is not self.type and not mappings:
            raise ValueError(f"Node type mismatch; expected {self.type!r}, but got {type(tree)!r}.")
        children, context = _kinds[kind].flatten(tree)
        if len(children) != self.num_children:
            raise ValueError(
                f"Node arity mismatch; expected {self.num_children}, but got {len(children)}."
            )
        if mappings:
            keys = self.context[1] if self.type is defaultdict else self.context
            if set(keys) != set(tree):
                raise ValueError(f"Node keys mismatch; expected {keys}, but got {list(tree)}.")
            children = [tree[key] for key in keys]
        elif context != self.context and kind is not deque:
            raise ValueError(
                f"Node context mismatch for node type {self.type!r}; expected {self.context!r}, "
                f"but got {context!r}."
            )
        for spec, child in zip(self.children_specs, children):
            spec._up_to(child, found)


PyTreeSpec = TreeSpec


class _Leaf(type):
    """`LeafSpec`: calling it makes a `TreeSpec`, and specs of leaves are instances of it."""

    def __call__(cls) -> TreeSpec:
        return TreeSpec(None, None, [])

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, TreeSpec) and value.is_leaf()


class LeafSpec(metaclass=_Leaf):
    """The spec of one leaf.

    >>> isinstance(tree_structure(3), LeafSpec), LeafSpec().num_leaves
    (True, 1)
    """


IsLeaf = Callable[[Any], bool] | None


def tree_flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Any], TreeSpec]:
    """The leaves in order, and the spec to put them back."""
    leaves: list[Any] = []
    return leaves, _flatten_into(tree, leaves, is_leaf)


def _flatten_into(tree: Any, leaves: list[Any], is_leaf: IsLeaf) -> TreeSpec:
    kind = None if is_leaf is not None and is_leaf(tree) else _kind_of(tree)
    if kind is None:
        leaves.append(tree)
        return TreeSpec(None, None, [])
    children, context = _kinds[kind].flatten(tree)
    return TreeSpec(kind, context, [_flatten_into(c, leaves, is_leaf) for c in children])


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """The inverse of `tree_flatten`.

    Raises:
        ValueError: not as many leaves as the spec has.
    """
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(
            f"treespec.unflatten(leaves): `leaves` has length {len(leaves)} but the spec refers to "
            f"a pytree that holds {treespec.num_leaves} items ({treespec})."
        )
    return _build(treespec, iter(leaves))


def _build(spec: TreeSpec, leaves: Any) -> Any:
    if spec.type is None:
        return next(leaves)
    return _kinds[spec.type].unflatten(
        [_build(c, leaves) for c in spec.children_specs], spec.context
    )


def tree_leaves(tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """The leaves in order."""
    return tree_flatten(tree, is_leaf)[0]


def tree_iter(tree: Any, is_leaf: IsLeaf = None) -> Iterable[Any]:
    """The leaves in order, one by one."""
    return iter(tree_leaves(tree, is_leaf))


def tree_structure(tree: Any, is_leaf: IsLeaf = None) -> TreeSpec:
    """The spec alone."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """``func`` of each leaf (and of what ``rests`` have at its place), nested as before.

    ValueError where one of ``rests`` is nested in another way above the leaves.

    >>> tree_map(lambda x, more: x + sum(more), [1, 2], [(1, 1), (5,)])
    [3, 7]
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    others = [spec.flatten_up_to(rest) for rest in rests]
    return tree_unflatten([func(*xs) for xs in zip(leaves, *others)], spec)


def tree_map_(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """`tree_map` for the side effects of ``func``: returns ``tree``."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def tree_map_only(kinds: Any, func: Any, tree: Any = None, is_leaf: IsLeaf = None) -> Any:
    """`tree_map` for the leaves of a type (or types), or where a function says so; others stay."""
    fits = _test(kinds)
    return tree_map(lambda x: func(x) if fits(x) else x, tree, is_leaf=is_leaf)


def tree_map_only_(kinds: Any, func: Any, tree: Any, is_leaf: IsLeaf = None) -> Any:
    """`tree_map_only` for the side effects of ``func``: returns ``tree``."""
    tree_map_only(kinds, func, tree, is_leaf=is_leaf)
    return tree


def _test(kinds: Any) -> Callable[[Any], bool]:
    if callable(kinds) and not isinstance(kinds, type):
        return kinds
    return lambda x: isinstance(x, kinds)


def tree_is_leaf(tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether something is no container (or ``is_leaf`` takes it as a leaf).

    >>> tree_is_leaf(None), tree_is_leaf([1])
    (True, False)
    """
    return (is_leaf is not None and is_leaf(tree)) or _kind_of(tree) is None


def tree_leaves_with_path(tree: Any, is_leaf: IsLeaf = None) -> list[tuple[tuple[Any, ...], Any]]:
    """The leaves in order, each after the steps that lead to it.

    ValueError for a registered class without ``flatten_with_keys_fn``.

    >>> [(keystr(path), leaf) for path, leaf in tree_leaves_with_path({"a": [1, 2]})]
    [("['a'][0]", 1), ("['a'][1]", 2)]
    """
    return list(_walk((), tree, is_leaf))


def _walk(path: tuple[Any, ...], tree: Any, is_leaf: IsLeaf) -> Iterable[Any]:
    if tree_is_leaf(tree, is_leaf):
        yield path, tree
        return
    kind = _kind_of(tree)
    children = _kinds[kind].flatten(tree)[0]
    for key, child in zip(_keys(kind, tree, len(children)), children):
        yield from _walk((*path, key), child, is_leaf)


def tree_flatten_with_path(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Any], TreeSpec]:
    """`tree_leaves_with_path`, and the spec to put leaves back."""
    return tree_leaves_with_path(tree, is_leaf), tree_structure(tree, is_leaf)


def tree_map_with_path(
    func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf = None
) -> Any:
    """`tree_map` with ``func(path, leaf, ...)``.

    >>> tree_map_with_path(lambda path, x: f"{keystr(path)} is {x}", {"a": 1})
    {'a': "['a'] is 1"}
    """
    paths = iter([path for path, _ in tree_leaves_with_path(tree, is_leaf)])
    return tree_map(lambda *xs: func(next(paths), *xs), tree, *rests, is_leaf=is_leaf)


def keystr(kp: Iterable[Any]) -> str:
    """The steps of a path as Python writes them."""
    return "".join(map(str, kp))


def key_get(obj: Any, kp: Iterable[Any]) -> Any:
    """What a path leads to.

    >>> key_get({"a": [1, 2]}, (MappingKey("a"), SequenceKey(1)))
    2
    """
    for key in kp:
        obj = key.get(obj)
    return obj


def tree_all_only(
    kinds: Any, pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None
) -> bool:
    """Whether ``pred`` holds for every leaf of a type (or types)."""
    return all(pred(x) for x in tree_leaves(tree, is_leaf) if isinstance(x, kinds))


def tree_any_only(
    kinds: Any, pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None
) -> bool:
    """Whether ``pred`` holds for some leaf of a type (or types)."""
    return any(pred(x) for x in tree_leaves(tree, is_leaf) if isinstance(x, kinds))


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether ``pred`` holds for every leaf."""
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether ``pred`` holds for some leaf."""
    return any(map(pred, tree_leaves(tree, is_leaf)))


def broadcast_to(tree: Any, spec: TreeSpec) -> list[Any] | None:
    """The leaves of ``tree``, each repeated for the part of ``spec`` below it; None: no prefix."""
    if spec.type is None:
        return [tree] if _kind_of(tree) is None else None
    if _kind_of(tree) is None:
        return [tree] * spec.num_leaves
    if _kind_of(tree) is not spec.type:
        return None
    children, context = _kinds[spec.type].flatten(tree)
    if len(children) != spec.num_children or context != spec.context:
        return None
    result: list[Any] = []
    for child, child_spec in zip(children, spec.children_specs):
        found = broadcast_to(child, child_spec)
        if found is None:
            return None
        result += found
    return result


_NAMED = {f"{c.__module__}.{c.__name__}": c for c in (tuple, list, dict, OrderedDict, deque)}


def treespec_dumps(treespec: TreeSpec, protocol: int | None = None) -> str:
    """A spec of ordinary containers as JSON.

    NotImplementedError for other containers.

    >>> spec = tree_structure({"a": [1, 2]})
    >>> treespec_loads(treespec_dumps(spec)) == spec
    True
    """
    return json.dumps([1, _as_json(treespec)])


def _as_json(spec: TreeSpec) -> dict[str, Any]:
    if spec.type is None:
        return {"type": None, "context": None, "children_spec": []}
    name = f"{spec.type.__module__}.{spec.type.__name__}"
    if name not in _NAMED:
        raise NotImplementedError(f"treespec_dumps: no form in JSON is known for {name}")
    return {
        "type": name,
        "context": json.dumps(spec.context),
        "children_spec": [_as_json(child) for child in spec.children_specs],
    }


def treespec_loads(serialized: str) -> TreeSpec:
    """The spec that `treespec_dumps` wrote.

    NotImplementedError for another version, or containers that are none of the ordinary ones.
    """
    version, found = json.loads(serialized)
    if version != 1:
        raise NotImplementedError(f"treespec_loads: protocol {version}, expected 1")
    return _from_json(found)


def _from_json(found: dict[str, Any]) -> TreeSpec:
    if found["type"] is None:
        return TreeSpec(None, None, [])
    if found["type"] not in _NAMED:
        raise NotImplementedError(f"treespec_loads: {found['type']} is no ordinary container")
    children = [_from_json(child) for child in found["children_spec"]]
    return TreeSpec(_NAMED[found["type"]], json.loads(found["context"]), children)


class _Asterisk:
    def __repr__(self) -> str:
        return "*"


def treespec_pprint(treespec: TreeSpec) -> str:
    """The containers as Python prints them, with ``*`` for each leaf.

    >>> treespec_pprint(tree_structure({"a": [1, 2]}))
    "{'a': [*, *]}"
    """
    return repr(tree_unflatten([_Asterisk()] * treespec.num_leaves, treespec))


def is_namedtuple_class(cls: type) -> bool:
    """Whether a class was made by ``namedtuple`` (or derives from one).

    >>> is_namedtuple_class(namedtuple("Point", "x y")), is_namedtuple_class(tuple)
    (True, False)
    """
    return isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_make")


def is_namedtuple_instance(obj: Any) -> bool:
    """Whether the class of something is a namedtuple's."""
    return is_namedtuple_class(type(obj))


def is_namedtuple(obj: Any) -> bool:
    """Whether something is a namedtuple, or a class of them."""
    return is_namedtuple_class(obj if isinstance(obj, type) else type(obj))


def is_structseq_class(cls: type) -> bool:
    """Whether a class is that of a result with names, such as (values, indices)."""
    if not isinstance(cls, type) or not issubclass(cls, tuple) or hasattr(cls, "_make"):
        return False
    return hasattr(cls, "_fields") or hasattr(cls, "n_sequence_fields")


def is_structseq_instance(obj: Any) -> bool:
    """Whether something is a result with names."""
    return is_structseq_class(type(obj))


def is_structseq(obj: Any) -> bool:
    """Whether something is a result with names, or a class of them."""
    return is_structseq_class(obj if isinstance(obj, type) else type(obj))
