"""What `framework.func` and forward mode have in common: aliases of inputs, and tangents.

A transform differentiates with respect to *aliases* of its inputs: tensors of the same memory,
made by a node of their own that leads on to the input's history. Whatever was computed from the
input elsewhere is then not differentiated, and transforms nest.

Tangents are pushed through the graph that the ops have recorded, op by op: an op's tangent is found
from its gradient rule v -> J^T v, which is linear, by differentiating that once more (the "double
vjp" of J. Townsend, 2017). So every op with a gradient has a forward mode, of any order.
"""

from __future__ import annotations

from typing import Any

from framework import dtypes
from framework.core.dispatch import apply, edge_of
from framework.core.engine import run_backward
from framework.core.flat import zeros
from framework.core.graph import Node, edge_meta
from framework.core.interpose import Layer
from framework.core.modes import modes
from framework.core.registry import Plan, op
from framework.core.saved import shallow
from framework.tensor import Tensor

__all__ = [
    "ALIAS", "HIDDEN", "Forward", "Level", "alias", "depends", "detached", "levels_of", "running",
    "shallow", "stripped", "tangents",
]  # fmt: skip

ALIAS = op("alias", lambda a: a, "a", grad=(lambda g: g,), samples=lambda s: [((s(3),), {})])
_NO_PLAN = Plan((), ())

# Linear in their first argument, but their gradient rules are not the transpose of that: as in
# PyTorch they leave out the row of padding, an element that others were written over, or that the
# mean of nothing is NaN.
_LINEAR = frozenset(
    {"embedding", "embedding_sparse", "max_unpool1d", "max_unpool2d", "max_unpool3d", "mean"}
)


class Level:
    """One call of a transform; ``open`` while results still depend on its aliases.

    Around it gradients may not be ``recorded``: then nothing that leaves it has a history.
    """

    __slots__ = ("open", "recorded")

    def __init__(self, recorded: bool = True) -> None:
        self.open, self.recorded = True, recorded


# What stands after an op that `no_grad` hides from reverse mode, and that tangents pass through.
HIDDEN = op("hidden", lambda a: a, "a", grad=lambda g: (None,))


class Forward(Layer):
    """While tangents of ``seeds`` may be asked for: `no_grad` does not keep them back.

    An op that runs without grad mode, of arguments that lead to a seed, is recorded all the same,
    behind a node that stops gradients. Writes in place and custom Functions are not: there tangents
    end. Not in inference mode, where PyTorch's end, too.
    """

    apart = True

    def __init__(self, seeds: Any) -> None:
        super().__init__()
        self.seeds = seeds
        self._known: dict[Node, bool] = {}

    def __enter__(self) -> Any:
        modes.forward += 1
        return super().__enter__()

    def __exit__(self, *exc: object) -> None:
        modes.forward -= 1
        super().__exit__(*exc)

    def op(self, op: Any, args: tuple[Any, ...], meta: dict[str, Any]) -> Any:
        if modes.grad or modes.inference or op.grad is None or not any(map(self._leads, args)):
            return apply(op, *args, **meta)
        modes.grad = True
        try:
            out = apply(op, *args, **meta)
        finally:
            modes.grad = False
        return tuple(map(_hidden, out)) if out.__class__ is tuple else _hidden(out)

    def _leads(self, value: Any) -> bool:
        """Whether there is a way from a tensor to a seed; found once for each node."""
        edge = edge_of(value) if isinstance(value, Tensor) else None
        if edge.__class__ is not tuple:
            return False
        known, todo = self._known, [edge[0]]
        while todo:
            node = todo[-1]
            if node in known:
                todo.pop()
                continue
            before = [e[0] for e in node.edges if e.__class__ is tuple]
            missing = [n for n in before if n not in known]
            if missing and node not in self.seeds:
                todo += missing
                continue
            known[node] = node in self.seeds or any(known[n] for n in before)
            todo.pop()
        return known[edge[0]]


def _again(tensor: Any) -> Any:
    """The same tensor with the same history, as another object."""
    made = shallow(tensor)
    made._rg, made._edge = tensor._rg, edge_of(tensor)
    return made


def _hidden(tensor: Any) -> Any:
    """A result without grad mode: gradients stop there."""
    edge = edge_of(tensor)
    if edge is not None:
        looks = ((tensor._data.shape, tensor._data.dtype, tensor._device),)
        tensor._edge = Node(HIDDEN, (edge,), {}, _NO_PLAN, [], looks), 0
        if tensor._base is not None:
            tensor._restricted = "no_grad"
    return tensor


running: list[Level] = []  # of the transforms that run now, outermost first; for printing


def alias(tensor: Any, level: Level, stops: Any = None) -> Any:
    """An alias of ``tensor`` that wants a gradient; its node does not let tangents of ``stops``."""
    made = shallow(tensor)
    data = made._data
    node = Node(
        ALIAS, (edge_of(tensor),), {"level": level, "stops": stops}, _NO_PLAN, [],
        ((data.shape, data.dtype, made._device),),
    )  # fmt: skip
    made._rg, made._edge = True, (node, 0)
    return made


def levels_of(tensor: Any) -> list[int]:
    """The numbers of the running transforms that differentiate a tensor, outermost first."""
    edge = edge_of(tensor)
    todo = [edge[0]] if edge.__class__ is tuple else []
    seen, found = set(todo), set()
    while todo:
        node = todo.pop()
        if node.op is ALIAS:
            found.add(node.meta.get("level"))
        for edge in node.edges:
            if edge.__class__ is tuple and edge[0] not in seen:
                seen.add(edge[0])
                todo.append(edge[0])
    return [i for i, level in enumerate(running, 1) if level in found]


def depends(roots: list[Any], own: Level) -> bool:
    """Whether there is anything else than aliases of ``own`` that roots could be differentiated by.

    That is a leaf that wants a gradient, or an alias of a transform that is still open.
    """
    todo = []
    for root in roots:
        r = root if isinstance(root, Tensor) else None
        while r is not None:
            edge = edge_of(r)
            r = getattr(r, "_value", None)  # what is outside of vmap is recorded by the values
            if edge is None:
                continue
            if edge.__class__ is not tuple:
                return True
            todo.append(edge[0])
    hidden: list[Node] = []
    return _lead_out(todo, own, hidden, True) or _lead_out(hidden, own, [], False)


def _lead_out(todo: list[Node], own: Level, hidden: list[Node], leaves: bool) -> bool:
    """`depends` for nodes; what is ``hidden`` from gradients, so from ``leaves``, is put off."""
    seen = set(todo)
    while todo:
        node = todo.pop()
        if leaves and node.op is HIDDEN:
            hidden.append(node)
            continue
        if node.op is ALIAS:
            level = node.meta.get("level", own)
            if level is not own and level.open:
                return True
        for edge in node.edges:
            if edge is None:
                continue
            if edge.__class__ is not tuple:
                if leaves:
                    return True
            elif edge[0] not in seen:
                seen.add(edge[0])
                todo.append(edge[0])
    return False


def detached(value: Any, own: Level) -> Any:
    """``value`` as it leaves a transform: without history unless it depends on something else."""
    if isinstance(value, Tensor) and not (own.recorded and depends([value], own)):
        return stripped(value)
    return value


def stripped(tensor: Any) -> Any:
    """The same memory without any history, inside and outside of vmap."""
    if hasattr(tensor, "_level"):
        from framework.func.batched import batched

        return batched(stripped(tensor._value), tensor._level)
    return shallow(tensor) if tensor.requires_grad else tensor


# -- tangents ---------------------------------------------------------------------------------


def tangents(
    outputs: list[Any],
    seeds: dict[Node, Any],
    stops: Any,
    create_graph: bool,
    known: dict[Any, Any],
) -> list[Any]:
    """The derivative of each output along the tangents of the aliases that made ``seeds``.

    Args:
        stops: nodes of aliases that stop this are not gone through.
        create_graph: make the tangents differentiable.
        known: tangents of nodes found so far; is added to.

    Returns:
        For each output its tangent, or None if it does not depend on the seeds.
    """
    if not seeds:
        return [None] * len(outputs)
    oldest = min(node.seq for node in seeds)
    edges = [edge_of(o) for o in outputs]
    for node in _between([e[0] for e in edges if e.__class__ is tuple], oldest, stops, known):
        tangent = seeds.get(node)
        if tangent is not None:
            known[node] = [tangent]
            continue
        arriving = [_at(e, known) for e in node.edges]
        if not any(t is not None for t in arriving):
            known[node] = None
            continue
        known[node] = _push(node, arriving, create_graph)
    return [_at(e, known) for e in edges]


def _at(edge: Any, known: dict[Any, Any]) -> Any:
    found = known.get(edge[0]) if edge.__class__ is tuple else None
    return None if found is None else found[edge[1]]


def _between(roots: list[Node], oldest: int, stops: Any, known: dict[Any, Any]) -> list[Node]:
    """The nodes below ``roots`` that may lead to a seed and are not known yet, oldest first."""
    found = []
    todo = list(roots)
    seen = set(todo)
    while todo:
        node = todo.pop()
        if node in known or node.seq < oldest:
            continue
        if node.op is ALIAS and stops is not None and node.meta.get("stops") is stops:
            known[node] = None
            continue
        found.append(node)
        for edge in node.edges:
            if edge.__class__ is tuple and edge[0] not in seen:
                seen.add(edge[0])
                todo.append(edge[0])
    found.sort(key=lambda n: n.seq)
    return found


def _push(node: Node, arriving: list[Any], create_graph: bool) -> Any:
    """The tangents of a node's outputs from those of its inputs."""
    if node.op is HIDDEN:
        return [_hidden(_again(t)) for t in arriving]
    if node.custom:
        return node.jvp(arriving)
    if node.op.name in _LINEAR:
        return [_through(node, arriving[0], create_graph)]
    before, modes.grad = modes.grad, True
    try:
        dummies = [_dummy(meta) for meta in node.metas]
        outs = node.apply(tuple(dummies))
        roots, starts = [], []
        for out, edge, tangent in zip(outs, node.edges, arriving):
            if out is None or tangent is None:
                continue
            out = _fitted(out, edge)
            if out.requires_grad:
                roots.append(out)
                starts.append(tangent.to(out.dtype))
        if not roots:
            return None
        wanted = [d for d in dummies if d is not None]
        found = iter(
            run_backward(
                roots, starts, retain_graph=create_graph, create_graph=create_graph,
                inputs=wanted, accumulate=False,
            )
        )  # fmt: skip
        return [None if d is None else next(found) for d in dummies]
    finally:
        modes.grad = before


def _through(node: Node, tangent: Any, create_graph: bool) -> Any:
    """The op itself, applied to the tangent of its first argument."""
    before, modes.grad = modes.grad, create_graph
    try:
        rest = [node.input(i) for i in node.plan.inputs if i]
        return apply(node.op, tangent, *rest, **node.meta)
    finally:
        modes.grad = before


def _dummy(meta: Any) -> Any:
    """A cotangent to differentiate by: its value does not matter, for rules are linear in it."""
    if meta is None or meta[1].kind not in "fcV":
        return None
    return alias(zeros(*meta), Level())  # vmap takes leaves for tensors from outside of it


def _fitted(out: Any, edge: Any) -> Any:
    shape, dtype, _ = edge_meta(edge)
    if out._data.shape != shape:
        out = out.sum_to_size(shape)
    if out._data.dtype != dtype:
        wanted = dtypes.from_numpy_dtype[dtype]
        if out.dtype.category == dtypes.COMPLEX and wanted.category < dtypes.COMPLEX:
            out = out.real
        out = out.to(wanted)
    return out
