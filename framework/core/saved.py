"""Hooks on what nodes save for their backward: pack when it is saved, unpack when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from framework.core import dispatch
from framework.core.dispatch import apply, edge_of
from framework.core.graph import Node, Version
from framework.core.interpose import Layer, stack
from framework.core.modes import modes
from framework.core.node_names import entitle
from framework.device import META
from framework.kernels.meta import not_for_meta

__all__ = [
    "Packed", "SavedHooks", "SavedTensor", "all_values", "hooks_in_use", "pack", "shallow",
    "needs_values", "values_known", "wants_gradient",
]  # fmt: skip

Hook = Callable[[Any], Any]


def shallow(tensor: Any) -> Any:
    """The same memory (and version counter) without history; also of a tensor inside of vmap."""
    if hasattr(tensor, "_level"):
        from framework.func.batched import batched

        made: Any = batched(tensor._value, tensor._level)
    else:
        made = dispatch.wrap(tensor._data, tensor._device)
        made._id = tensor._id
    counter = tensor._counter
    if counter is None:
        counter = tensor._counter = Version()
    made._counter = counter
    return made


def values_known(tensor: Any) -> bool:
    """Whether one may look at a tensor's values: not inside of vmap, and not on meta."""
    return tensor is None or (not hasattr(tensor, "_level") and tensor._device is not META)


def needs_values(name: str, tensor: Any) -> None:
    """Refuse a meta tensor in an op that PyTorch calls ``name``, whose result no shape tells."""
    if tensor._device is META:
        raise NotImplementedError(not_for_meta(name))


def all_values(tensor: Any) -> Any:
    """A tensor's array; inside of vmap that of all samples, for checks that each has to pass.

    Of a meta tensor it is an empty one, which passes them all.
    """
    while hasattr(tensor, "_level"):
        tensor = tensor._value
    return tensor._data if tensor._device is not META else np.empty(0, tensor._data.dtype)


def wants_gradient(tensor: Any) -> bool:
    """Whether the tensor has a gradient to be found, inside or outside of vmap."""
    while tensor is not None:
        if tensor.requires_grad:
            return True
        tensor = getattr(tensor, "_value", None)
    return False


class Packed(tuple[Any, ...]):
    """(what pack made of a tensor, unpack, the tensor's edge or None), in a node's ``saved``."""

    __slots__ = ()

    def tensor(self, edge: Any) -> Any:
        """What unpack makes of it, with the history of what was saved."""
        packed, unpack, _ = self
        before, modes.grad = modes.grad, False
        try:
            found = unpack(packed)
        finally:
            modes.grad = before
        if not isinstance(found, dispatch.Tensor):
            raise TypeError(
                "Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                f"{type(found).__name__}"
            )
        made = shallow(found)
        if edge is not None:
            made._rg, made._edge = True, edge
        return made


def pack(tensor: Any, hooks: tuple[Hook, Hook], edge: Any) -> Packed:
    """Let the hooks pack a tensor."""
    before, modes.grad = modes.grad, False
    version = tensor._version
    layers = stack.layers
    stack.layers = tuple([x for x in layers if not isinstance(x, SavedHooks)])
    try:
        packed = hooks[0](tensor)
    finally:
        modes.grad = before
        stack.layers = layers
    if tensor._version != version:
        raise RuntimeError(
            "A saved tensor pack hook is modifying its input in place. Tensors provided as input "
            "to pack hook cannot be modified by in-place operations as this can lead to "
            "unexpected side-effects. Please open an issue if you need to perform in-place "
            "operations on the input to a pack hook."
        )
    return Packed((packed, hooks[1], edge))


class _Packing:
    """Nodes whose ``saved`` holds `Packed` entries."""

    __slots__ = ()

    def input(self, i: int) -> Any:
        at = self.plan.inputs.index(i)  # type: ignore[attr-defined]
        entry = self._saved(at)  # type: ignore[attr-defined]
        if entry.__class__ is not Packed:
            return super().input(i)  # type: ignore[misc]
        return self._unpacked(at, entry, entry[2])

    def output(self, i: int) -> Any:
        at = len(self.plan.inputs) + self.plan.outputs.index(i)  # type: ignore[attr-defined]
        entry = self._saved(at)  # type: ignore[attr-defined]
        if entry.__class__ is not Packed:
            return super().output(i)  # type: ignore[misc]
        return self._unpacked(at, entry, (self, i))

    def _unpacked(self, at: int, entry: Packed, edge: Any) -> Any:
        """An entry's tensor: unpacked once in a backward pass, though several rules ask for it."""
        task = modes.task
        if task is None:
            return entry.tensor(edge)
        if task.unpacked[0] is not self:  # of one node at a time: the others are done
            task.unpacked = (self, {})
        found = task.unpacked[1]
        if at not in found:
            found[at] = entry.tensor(edge)
        return found[at]


class PackedNode(_Packing, Node):
    """A node whose saved tensors went through hooks."""

    __slots__ = ()


_packed_kinds: dict[type, type] = {Node: PackedNode}


class SavedHooks(Layer):
    """Packs what the nodes save that ops make while it is entered; only the innermost one does."""

    def __init__(self, pack_hook: Hook, unpack_hook: Hook) -> None:
        super().__init__()
        self.hooks = (pack_hook, unpack_hook)

    def op(self, op: Any, args: tuple[Any, ...], meta: dict[str, Any]) -> Any:
        layers = stack.layers
        stack.layers = tuple([x for x in layers if not isinstance(x, SavedHooks)])
        try:
            out = apply(op, *args, **meta)
        finally:
            stack.layers = layers
        outs = out if out.__class__ is tuple else (out,)
        edge = next((o._edge for o in outs if o._edge.__class__ is tuple), None)
        if edge is not None and edge[0].saved and edge[0].op is op:
            pack_node(edge[0], outs, self.hooks)
        return out


def pack_node(node: Any, outs: tuple[Any, ...], hooks: tuple[Hook, Hook]) -> None:
    """Replace what a new node saved by what the hooks make of it."""
    count = len(node.plan.inputs)
    for at, tensor in node.held():
        if at < count:
            node.saved[at] = pack(tensor, hooks, edge_of(tensor))
        else:
            i = node.plan.outputs[at - count]
            node.saved[at] = pack(shallow(outs[i]), hooks, None)
    _unpacks(node)


def _unpacks(node: Any) -> None:
    """Make a node look for `Packed` entries in what it saved."""
    kind, title = node.untitled or type(node), node.title
    if issubclass(kind, _Packing):
        return
    if kind not in _packed_kinds:
        _packed_kinds[kind] = type(f"Packed{kind.__name__}", (_Packing, kind), {"__slots__": ()})
    node.__class__ = _packed_kinds[kind]
    if title:
        entitle(node, title)


class SavedTensor:
    """``node._raw_saved_self``: one tensor that a node saved, for hooks of its own.

    Of the shape and dtype of what was saved. Nodes make them: programs cannot (RuntimeError).

    >>> import framework as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> y = x.exp()
    >>> y.grad_fn._raw_saved_result.register_hooks(lambda t: t.tolist(), torch.tensor)
    >>> y.sum().backward()
    >>> x.grad
    tensor([2.7183, 2.7183])
    """

    __slots__ = ("_at", "_node")

    def __init__(self, node: Any = None, at: int = 0) -> None:
        if node is None:
            raise RuntimeError("Trying to create a SavedTensor object from Python is forbidden.")
        self._node, self._at = node, at

    def register_hooks(self, pack_hook: Hook, unpack_hook: Hook) -> None:
        """Keep what ``pack_hook(tensor)`` returns; ``unpack_hook`` has to make a tensor of it.

        Raises:
            RuntimeError: it has hooks already, or was freed.
        """
        node, at = self._node, self._at
        if node._saved(at).__class__ is Packed:
            raise RuntimeError(
                "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: "
                "only one pair of hooks is allowed at a time."
            )
        tensor = node._at(at)
        edge = edge_of(tensor) if at < len(node.plan.inputs) else None
        node.saved[at] = pack(shallow(tensor), (pack_hook, unpack_hook), edge)
        _unpacks(node)

    @property
    def data(self) -> Any:
        """The tensor, or what the pack hook made of it."""
        entry = self._node._saved(self._at)
        if entry.__class__ is Packed:
            return entry[0]
        tensor = self._node._at(self._at)
        return tensor if self._at < len(self._node.plan.inputs) else tensor.detach()

    @property
    def unpack_hook(self) -> Hook | None:
        """The hook that has to make a tensor of what is kept; None without hooks."""
        entry = self._node._saved(self._at)
        return entry[1] if entry.__class__ is Packed else None

    def unpack(self) -> Any:
        """The tensor as a gradient rule gets it, with its history."""
        return self._node._at(self._at)


def hooks_in_use() -> tuple[Hook, Hook] | None:
    """The innermost saved-tensor hooks of this thread."""
    if dispatch.interposer is None:
        return None
    found = [layer for layer in stack.layers if isinstance(layer, SavedHooks)]
    return found[-1].hooks if found else None
