"""Nested containers as a list of leaves and a description of how they were nested.

>>> from framework.utils._pytree import tree_flatten, tree_unflatten
>>> leaves, spec = tree_flatten({"a": [1, 2], "b": (3,)})
>>> leaves
[1, 2, 3]
>>> tree_unflatten([x * 10 for x in leaves], spec)
{'a': [10, 20], 'b': (30,)}
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

__all__ = [
    "LeafSpec", "PyTree", "TreeSpec", "register_pytree_node", "tree_all", "tree_any",
    "tree_flatten", "tree_iter", "tree_leaves", "tree_map", "tree_map_", "tree_map_only",
    "tree_structure", "tree_unflatten",
]  # fmt: skip

PyTree = Any


class _Kind(NamedTuple):
    flatten: Callable[[Any], tuple[list[Any], Any]]  # -> (children, context)
    unflatten: Callable[[Iterable[Any], Any], Any]


_kinds: dict[type, _Kind] = {}


def register_pytree_node(
    cls: type,
    flatten_fn: Callable[[Any], tuple[list[Any], Any]],
    unflatten_fn: Callable[[Iterable[Any], Any], Any],
    **names: Any,
) -> None:
    """Make a class a container: ``flatten_fn(value)`` returns (children, context).

    Raises:
        ValueError: it is one already.
    """
    if cls in _kinds:
        raise ValueError(f"{cls} is already registered as pytree node.")
    _kinds[cls] = _Kind(flatten_fn, unflatten_fn)


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


class TreeSpec:
    """How leaves were nested: a container's kind and context, and the specs of its children."""

    __slots__ = ("children_specs", "context", "num_leaves", "type")

    def __init__(self, type: Any, context: Any, children_specs: list[TreeSpec]) -> None:
        self.type, self.context, self.children_specs = type, context, children_specs
        self.num_leaves: int = sum(c.num_leaves for c in children_specs) if type is not None else 1

    def is_leaf(self) -> bool:
        return self.type is None

    @property
    def num_children(self) -> int:
        return len(self.children_specs)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TreeSpec)
            and self.type is other.type
            and self.context == other.context
            and self.children_specs == other.children_specs
        )

    def __hash__(self) -> int:
        return hash((self.type, self.num_leaves))

    def __repr__(self) -> str:
        if self.type is None:
            return "*"
        inside = ", ".join(map(repr, self.children_specs))
        return f"TreeSpec({self.type.__name__}, {self.context}, [{inside}])"

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        return tree_unflatten(leaves, self)


def LeafSpec() -> TreeSpec:
    """The spec of one leaf."""
    return TreeSpec(None, None, [])


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
    """``func`` of each leaf (and of the leaves of ``rests`` at its place), nested as before."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = []
    for rest in rests:
        more, other = tree_flatten(rest, is_leaf)
        if other != spec:
            raise ValueError(f"tree_map: the trees differ: {spec} and {other}")
        others.append(more)
    return tree_unflatten([func(*xs) for xs in zip(leaves, *others)], spec)


def tree_map_(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """`tree_map` for the side effects of ``func``: returns ``tree``."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def tree_map_only(kinds: Any, func: Any, tree: Any = None, is_leaf: IsLeaf = None) -> Any:
    """`tree_map` for the leaves of a type (or types); others stay."""
    return tree_map(lambda x: func(x) if isinstance(x, kinds) else x, tree, is_leaf=is_leaf)


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
