"""Nodes of the backward graph.

A tensor that an op made points to its maker by ``_edge = (node, output number)``; a node points to
its inputs' makers by ``edges``: such a pair, the leaf tensor itself, or None where no gradient is
wanted. Nodes never hold their outputs, so a graph is freed when its last tensor is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from math import prod
from operator import itemgetter
from typing import Any

from framework.core.node_names import name_of, shown
from framework.core.registry import Op, Plan
from framework.trace import records

__all__ = ["FREED", "AccumulateGrad", "Hook", "Node", "Version", "clock", "order"]

order = count(1)


def clock() -> int:
    """A number between the `Node.seq` of the nodes made so far and of those made from now on."""
    return next(order)


# PyTorch's names of the second operand that a node saves.
_SECOND = frozenset({"other", "exponent", "mat2", "vec", "tensor"})

FREED: Any = "freed"  # what `Node.saved` is once the engine has released it


class Version:
    """Counts the writes to one memory; shared by a tensor, its views and its detached aliases."""

    __slots__ = ("aliases", "value")

    def __init__(self) -> None:
        self.value = 0
        self.aliases: list[int] | None = None  # ids that the trace knows this memory by


class Hook:
    """What ``register_hook`` returns: ``remove()`` takes the hook away again, and so does ``with``.

    >>> import framework as torch
    >>> x = torch.ones(1, requires_grad=True)
    >>> with x.register_hook(lambda g: 10 * g):
    ...     x.sum().backward()
    >>> x.sum().backward()
    >>> x.grad
    tensor([11.])
    """

    __slots__ = ("_hooks", "_key")
    _next = count()

    def __init__(self, hooks: dict[int, Any], hook: Any, first: bool = False) -> None:
        self._hooks = hooks
        self._key = next(self._next)
        hooks[self._key] = hook
        if first:
            rest = [k for k in hooks if k != self._key]
            for key in rest:
                hooks[key] = hooks.pop(key)

    @property
    def id(self) -> int:
        """Its place among the hooks of the process."""
        return self._key

    def remove(self) -> None:
        """Take the hook away; once is enough, twice is no error."""
        self._hooks.pop(self._key, None)

    def __enter__(self) -> Hook:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


Hook.__name__ = Hook.__qualname__ = "RemovableHandle"  # as `utils.hooks` publishes it
Hook.__module__ = "framework.utils.hooks"

# Filled by framework.tensor, which stands above this layer.
Tensor: Any = None
wrap: Any = None


class Node:
    """One applied op: how to turn its outputs' gradients into its inputs'.

    Attributes:
        edges: per array argument the maker of that input, see the module's docstring.
        saved: what its rules need, in the order of ``plan``; `FREED` after a backward pass. Of an
            input the tensor, with its version if it was written to before, or the number; of an
            output the array, its version counter, the version and the device.
        metas: (shape, NumPy dtype, device) of each output; what its gradient must look like.
        origin: the raw trace record of the forward op, None if that was not traced.
    """

    __slots__ = (
        "__weakref__", "_hooks", "_metadata", "_prehooks", "edges", "meta", "metas", "op",
        "origin", "plan", "retains", "saved", "seq", "tensor_hooks",
    )  # fmt: skip

    custom = False  # whether its rule is the user's own code
    title = ""  # PyTorch's name, of the classes that `node_names.entitle` makes
    untitled: Any = None  # such a class's base

    def __init__(
        self, op: Op, edges: Any, meta: dict[str, Any], plan: Plan, saved: Any, metas: Any
    ) -> None:
        self.op = op
        self.edges = edges
        self.meta = meta
        self.plan = plan
        self.saved = saved
        self.metas = metas
        self.seq = next(order)
        self.origin: Any = None
        self.tensor_hooks: dict[int, dict[int, Any]] | None = None  # by output number
        self.retains: dict[int, Any] | None = None  # weak references of retain_grad tensors
        self._hooks: dict[int, Any] | None = None
        self._prehooks: dict[int, Any] | None = None

    # -- for gradient rules -----------------------------------------------------------------

    def needs(self, i: int) -> bool:
        """Whether input ``i`` wants a gradient."""
        return self.edges[i] is not None

    def shape(self, i: int) -> tuple[int, ...]:
        """Shape of input ``i``, which must want a gradient."""
        return edge_meta(self.edges[i])[0]

    def dtype(self, i: int) -> Any:
        """NumPy dtype of input ``i``, which must want a gradient."""
        return edge_meta(self.edges[i])[1]

    def input(self, i: int) -> Any:
        """Saved input ``i``, with its own history."""
        entries = self.saved
        if entries is FREED:
            self._freed()
        saved = entries[self.plan.inputs.index(i)]
        if saved.__class__ is tuple:
            tensor, version = saved
        elif isinstance(saved, Tensor):
            tensor, version = saved, 0
        else:
            return saved  # a Python scalar or None
        now = tensor._counter
        if now is not None and now.value != version:
            edge = tensor._edge
            maker = f"output {edge[1]} of {edge[0].short_name()}" if edge.__class__ is tuple else ""
            self._modified(tensor, maker, now.value, version)
        return tensor

    def output(self, i: int) -> Any:
        """Saved output ``i``, as a tensor that this node made."""
        array, counter, version, device = self._saved(
            len(self.plan.inputs) + self.plan.outputs.index(i)
        )
        if counter.value != version:
            self._modified(
                wrap(array, device), f"output {i} of {self.short_name()}", counter.value, version
            )
        tensor = wrap(array, device)
        tensor._rg = True
        tensor._edge = (self, i)
        tensor._counter = counter
        if self.origin is not None:
            # To the trace it is the forward op's output.
            tensor._id = records.outputs(self.origin)[5 * i]
        return tensor

    def held(self) -> Iterator[tuple[int, Any]]:
        """What is saved and went through no hook: place, and an input's tensor, an output's array.

        Numbers are left out; outputs stand behind all ``plan.inputs``.
        """
        for at, entry in enumerate(self.saved):
            if entry.__class__ is tuple:
                yield at, entry[0]
            elif isinstance(entry, Tensor):
                yield at, entry

    def _saved(self, index: int) -> Any:
        if self.saved is FREED:
            self._freed()
        return self.saved[index]

    def _freed(self) -> None:
        raise RuntimeError(
            "Trying to backward through the graph a second time (or directly access saved tensors "
            "after they have already been freed). Saved intermediate values of the graph are freed "
            "when you call .backward() or autograd.grad(). Specify retain_graph=True if you need "
            "to backward through the graph a second time or if you need to access saved tensors "
            "after calling backward." + self.where()
        )

    def _modified(self, tensor: Any, maker: str, now: int, expected: int) -> None:
        kind = str(tensor.type()).replace("tensor", "Tensor")
        which = f", which is {maker}," if maker else ""
        raise RuntimeError(
            "one of the variables needed for gradient computation has been modified by an inplace "
            f"operation: [{kind} {list(tensor.shape)}]{which} is at version {now}; expected "
            f"version {expected} instead. Hint: enable anomaly detection "
            "to find the operation that failed to compute its gradient, with "
            "torch.autograd.set_detect_anomaly(True, check_nan=False). It was saved by "
            f"{self.name()}{self.where()}."
        )

    def where(self) -> str:
        """Where the forward op stands in the user's code, if that was traced."""
        if self.origin is None:
            return ""
        from framework.trace.places import line_of

        name, code, lasti, (module, _, _) = itemgetter(4, 8, 9, 10)(self.origin)
        if code is None:
            return ""
        inside = f" in {module}" if module else ""
        place = f"{code.co_filename}, line {line_of(code, lasti)}"
        return f" (forward op: {name}{inside}, at {place})"

    # -- the engine's --------------------------------------------------------------------------

    def apply(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        """Gradients of the outputs (None: none came) to gradients of the inputs."""
        op = self.op
        if self.metas[0][1].kind == "c" and not op.wirtinger:
            return _conjugated(self._apply(_conjugated(grads)))
        return self._apply(grads)

    def _apply(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        op = self.op
        g = grads[0] if len(grads) == 1 else grads
        calls = op.calls or op.compile()
        if op.joint:
            outs = tuple(calls[0](self, g))  # type: ignore[misc]
            return outs + (None,) * (len(self.edges) - len(outs))
        return tuple(
            [
                call(self, g) if edge is not None and call is not None else None
                for call, edge in zip(calls, self.edges)
            ]
        )

    def release(self) -> None:
        """Drop what was saved, after a backward pass that need not be repeated."""
        if self.saved:
            self.saved = FREED

    # -- PyTorch's surface ---------------------------------------------------------------------

    @property
    def op_name(self) -> str:
        return self.op.name

    def name(self) -> str:
        """PyTorch's name for it: ``AddBackward0``."""
        return self.title or name_of(self)

    def short_name(self) -> str:
        """The name without its end, as some of PyTorch's messages have it: ``Add``."""
        return re.sub(r"Backward\d*$", "", self.name())

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The makers of the inputs: ((node or AccumulateGrad or None, output number), ...)."""
        result: list[tuple[Any, int]] = []
        for edge in self.edges:
            if edge is None:
                result.append((None, 0))
            elif edge.__class__ is tuple:
                result.append((shown(edge[0]), edge[1]))
            else:
                result.append((AccumulateGrad(edge), 0))
        return tuple(result)

    @property
    def metadata(self) -> dict[str, Any]:
        """A dict for whoever wants to note something about this node."""
        try:
            return self._metadata
        except AttributeError:
            self._metadata: dict[str, Any] = {}
            return self._metadata

    def _sequence_nr(self) -> int:
        return self.seq

    def __getattr__(self, name: str) -> Any:
        """``_saved_self``, ``_saved_other``, ``_saved_result``, ...: what the node has saved.

        ``_raw_saved_self`` and so on let hooks be registered for it, see `core.saved.SavedTensor`.
        """
        if not name.startswith(("_saved_", "_raw_saved_")):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        wanted = name.removeprefix("_raw").removeprefix("_saved_")
        at = self._place(wanted)
        if at is not None and name.startswith("_raw"):
            from framework.core.saved import SavedTensor

            return SavedTensor(self, at)
        if at is not None:
            return self._at(at)
        if wanted in ("self_sym_sizes", "self_sym_numel") and self.edges[0] is not None:
            shape = tuple(self.shape(0))
            return shape if wanted == "self_sym_sizes" else prod(shape)
        if wanted in self.meta and not name.startswith("_raw"):
            return self.meta[wanted]
        raise AttributeError(f"{self.name()!r} object has no attribute {name!r}")

    def __dir__(self) -> list[str]:
        if self.custom:
            return [*object.__dir__(self), "needs_input_grad", "saved_tensors"]
        names = [self.op.params[i] for i in self.plan.inputs if i < len(self.op.params)]
        named = ["self" if n == self.op.params[0] else "other" if n == "b" else n for n in names]
        saved = [f"_saved_{n}" for n in (*named, *(["result"] if self.plan.outputs else []))]
        rest = [f"_saved_{n}" for n in (*self.meta, "self_sym_sizes") if self.edges[:1] != [None]]
        return sorted({*object.__dir__(self), *saved, *[f"_raw{n}" for n in saved], *rest})

    def _place(self, wanted: str) -> int | None:
        """Where in ``saved`` the argument or output is that PyTorch has under this name."""
        count, params = len(self.plan.inputs), self.op.params
        if wanted in ("result", "output") and self.plan.outputs:
            return count
        if wanted == "self":
            wanted = params[0] if params else ""
        elif wanted in _SECOND:
            wanted = "b"
        found = [
            at for at, i in enumerate(self.plan.inputs) if i < len(params) and params[i] == wanted
        ]
        return found[0] if found else None

    def _at(self, at: int) -> Any:
        """What was saved at a place of ``saved``."""
        count = len(self.plan.inputs)
        if at < count:
            return self.input(self.plan.inputs[at])
        return self.output(self.plan.outputs[at - count])

    def register_hook(self, hook: Any) -> Hook:
        """``hook(grad_inputs, grad_outputs)`` after this node ran; may return new grad_inputs."""
        if self._hooks is None:
            self._hooks = {}
        return Hook(self._hooks, hook)

    def register_prehook(self, hook: Any) -> Hook:
        """``hook(grad_outputs)`` before this node runs; may return new grad_outputs."""
        if self._prehooks is None:
            self._prehooks = {}
        return Hook(self._prehooks, hook)

    def __call__(self, *grads: Any) -> Any:
        """The gradients of the inputs for those of the outputs: one tensor, or a tuple."""
        outs = tuple(self.apply(grads))
        return outs[0] if len(outs) == 1 else outs

    def __repr__(self) -> str:
        kind = type(shown(self))
        home = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        return f"<{home}{kind.__name__} object at {hex(id(self))}>"


class AccumulateGrad:
    """The end of the graph at a leaf, for display: the engine knows the leaf itself."""

    __slots__ = ("variable",)

    def __init__(self, variable: Any) -> None:
        self.variable = variable

    @property
    def next_functions(self) -> tuple[Any, ...]:
        return ()

    @property
    def metadata(self) -> dict[str, Any]:
        return self.variable.__dict__.setdefault("_grad_metadata", {})

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"

    def register_hook(self, hook: Any) -> Hook:
        """``hook(grad_inputs, grad_outputs)`` after the gradient was accumulated."""
        arrived: list[Any] = [None]
        self.variable.register_hook(lambda g: arrived.__setitem__(0, g))
        return self.variable.register_post_accumulate_grad_hook(
            lambda leaf: hook((), (arrived[0],))
        )

    def register_prehook(self, hook: Any) -> Hook:
        """``hook(grad_outputs)`` before the gradient is accumulated; may return another one."""

        def before(grad: Any) -> Any:
            changed = hook((grad,))
            return changed[0] if isinstance(changed, (tuple, list)) else changed

        return self.variable.register_hook(before)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccumulateGrad) and other.variable is self.variable

    def __hash__(self) -> int:
        return id(self.variable)

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {hex(id(self.variable))}>"


def _conjugated(grads: tuple[Any, ...]) -> tuple[Any, ...]:
    """Turns the transpose that a rule computes into the adjoint: conj(J^T conj(g)) = J^H g."""
    return tuple([g.conj() if g is not None and g._data.dtype.kind == "c" else g for g in grads])


def edge_meta(edge: Any) -> tuple[Any, ...]:
    """(shape, NumPy dtype, device) of the tensor that an edge stands for."""
    if edge.__class__ is tuple:
        node, nr = edge
        return node.metas[nr]
    data = edge._data
    return data.shape, data.dtype, edge._device
