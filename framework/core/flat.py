"""Gradients that depend on an input with slope zero.

PyTorch's derivative of a piecewise linear op (relu, max_pool2d, nll_loss, ...) is an op of its own
that has the input among its arguments, and whose own derivative by it is a tensor of zeros. So a
gradient penalty through ReLUs gives zeros for biases, and `grad` finds them used. The rules of such
ops here do not look at the input, or only to compare it, which leaves no history.

The op table says for which inputs that is so (`Op.flat`), and which inputs all gradients of a layer
have in their history, without a derivative, because PyTorch computes them together (`Op.fused`).
`flattened` adds that history to what a rule returned. It is called with ``create_graph`` only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.core import dispatch
from framework.core.dispatch import edge_of
from framework.core.graph import Node, edge_meta
from framework.core.registry import NODE, G, Op, Plan
from framework.core.saved import shallow
from framework.device import CPU
from framework.kernels import to_device

__all__ = ["flattened", "zeros"]

_NO_PLAN = Plan((), ())
_ops: dict[str, Op] = {}  # by the name of the op whose gradients have them for a maker


def zeros(shape: tuple[int, ...], dtype: Any, device: Any) -> Any:
    """A tensor of zeros from a node's note of an output."""
    array = np.zeros(shape, dtype)
    return dispatch.wrap(array if device is CPU else to_device(array, device), device)


def flattened(node: Node, outs: tuple[Any, ...]) -> tuple[Any, ...]:
    """What the rule of a node returned, with the history that PyTorch's derivative has."""
    op, edges = node.op, node.edges
    flat = [edges[i] for i in op.flat if edges[i] is not None]
    fused = [edges[i] for i in op.fused if edges[i] is not None]
    if not flat and not fused:
        return outs
    return tuple([
        out if out is None or edge is None or (out._rg and not flat)
        else _made(op.name, out, flat, fused)
        for out, edge in zip(outs, edges)
    ])  # fmt: skip


def _made(name: str, out: Any, flat: list[Any], fused: list[Any]) -> Any:
    """An alias of ``out`` whose history has these edges too."""
    if hasattr(out, "_level"):
        from framework.func.batched import batched, inside

        within = [[e for e in edges if inside(e, out._level)] for edges in (flat, fused)]
        outside = [[e for e in edges if not inside(e, out._level)] for edges in (flat, fused)]
        if any(outside):  # is recorded by the values
            value = _made(name, out._value, *outside)
            out, before = batched(value, out._level), out
            out._rg, out._edge, out._counter = before._rg, before._edge, before._counter
        if not any(within):
            return out
        flat, fused = within
    op = _ops.get(name)
    if op is None:
        op = _ops[name] = Op(
            f"{name}_backward", _first, ("grad", "*others"), grad=_rule, wirtinger=True,
            wants=(((G, None), (NODE, None)),),
        )  # fmt: skip
    made = shallow(out)
    data = made._data
    edges = (edge_of(out), *flat, *fused)
    meta = {"flat": len(flat)}
    node = Node(op, edges, meta, _NO_PLAN, [], ((data.shape, data.dtype, made._device),))
    made._rg, made._edge = True, (node, 0)
    return made


def _first(grad: Any, *others: Any) -> Any:
    return grad


def _rule(g: Any, n: Any) -> tuple[Any, ...]:
    return (g, *[zeros(*edge_meta(edge)) for edge in n.edges[1 : 1 + n.meta["flat"]]])
