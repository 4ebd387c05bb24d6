"""The graph that was recorded: its nodes, hooks on gradients and on what nodes save."""

from __future__ import annotations

import abc
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from framework.core import views
from framework.core.dispatch import apply, edge_of
from framework.core.graph import AccumulateGrad, Version
from framework.core.graph import Node as _Node
from framework.core.interpose import Layer, stack
from framework.core.modes import modes
from framework.core.node_names import shown
from framework.core.saved import SavedHooks
from framework.tensor import Tensor

__all__ = [
    "GradientEdge", "Node", "allow_mutation_on_saved_tensors", "disable_saved_tensors_hooks",
    "get_gradient_edge", "increment_version", "register_multi_grad_hook", "save_on_cpu",
    "saved_tensors_hooks",
]  # fmt: skip


class Node(abc.ABC):
    """What ``Tensor.grad_fn`` is: ``isinstance(x.grad_fn, torch.autograd.graph.Node)``.

    >>> import framework as torch
    >>> y = torch.ones(1, requires_grad=True) * 2
    >>> isinstance(y.grad_fn, torch.autograd.graph.Node), y.grad_fn.name()
    (True, 'MulBackward0')
    """

    @abc.abstractmethod
    def name(self) -> str:
        """PyTorch's name of it."""

    @property
    @abc.abstractmethod
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The makers of its inputs."""

    @abc.abstractmethod
    def register_hook(self, fn: Any) -> Any:
        """``fn(grad_inputs, grad_outputs)`` after it ran."""

    @classmethod
    def __subclasshook__(cls, kind: type) -> Any:
        return issubclass(kind, (_Node, AccumulateGrad)) if cls is Node else NotImplemented


class GradientEdge(NamedTuple):
    """Where a gradient goes, without the tensor: a node and the number of its output.

    `get_gradient_edge` makes one; `autograd.grad` and ``backward`` take it in a tensor's place.

    >>> import framework as torch
    >>> a, b = torch.ones(2, requires_grad=True).unbind()
    >>> torch.autograd.graph.GradientEdge(b.grad_fn, 1).output_nr
    1
    """

    node: Any
    output_nr: int
    ownership_token: Any = None


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """The edge of a tensor, which `autograd.grad` and ``backward`` take in its place.

    A loop can keep it and let the tensor's memory go.

    Raises:
        RuntimeError: the tensor wants no gradient.

    Of a tensor of any shape and floating or complex dtype.

    >>> import framework as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> y = x * 3
    >>> edge = torch.autograd.graph.get_gradient_edge(y)
    >>> torch.autograd.grad(y.square().sum(), edge)
    (tensor([6., 6.]),)
    """
    edge = edge_of(tensor)
    if edge is None:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require "
            "gradients"
        )
    if edge.__class__ is tuple:
        return GradientEdge(shown(edge[0]), edge[1])
    return GradientEdge(AccumulateGrad(edge), 0)


def increment_version(tensor: Any) -> None:
    """Count a write in place, to one tensor or several, that autograd could not see.

    A backward pass that needs the old values then raises a RuntimeError, instead of going on with
    wrong ones.

    Shapes and dtypes do not matter.

    >>> import framework as torch
    >>> x = torch.zeros(2)
    >>> x.numpy()[0] = 1.0
    >>> torch.autograd.graph.increment_version(x)
    >>> x._version
    1
    """
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        if t._counter is None:
            t._counter = Version()
        t._counter.value += 1


# -- what nodes save ----------------------------------------------------------------------------


class _Disabled(threading.local):
    message: str | None = None


_disabled = _Disabled()


class saved_tensors_hooks:
    """Within it, nodes keep what ``pack_hook(tensor)`` returns instead of the tensors they save.

    ``unpack_hook`` gets that back when the gradient is computed, and must return a tensor of the
    same contents. Of nested ones only the innermost is used.

    >>> import framework as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> with torch.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), torch.tensor):
    ...     y = x * x
    >>> y.sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook
        self._layers: list[SavedHooks] = []

    def __enter__(self) -> None:
        if _disabled.message is not None:
            raise RuntimeError(_disabled.message)
        layer = SavedHooks(self.pack_hook, self.unpack_hook)
        layer.__enter__()
        self._layers.append(layer)

    def __exit__(self, *exc: object) -> None:
        self._layers.pop().__exit__(*exc)


class save_on_cpu(saved_tensors_hooks):
    """Within it, nodes keep what they save in host memory, and bring it back for the gradient.

    Args:
        pin_memory: let the copies of what lies on a CUDA device be page-locked, so that they are
            brought back while the program goes on.

    >>> import framework as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> with torch.autograd.graph.save_on_cpu():
    ...     y = x * x
    >>> y.sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        def pack(tensor: Tensor) -> Any:
            copy = tensor.detach().clone() if not tensor.is_cuda else tensor.detach().cpu()
            if pin_memory and tensor.is_cuda:
                copy = copy.pin_memory()
            return tensor.device, copy

        super().__init__(pack, lambda packed: packed[1].to(packed[0], non_blocking=pin_memory))


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Within it, entering `saved_tensors_hooks` raises a RuntimeError with this message.

    Raises:
        RuntimeError: such hooks are in use already.

    >>> import framework as torch
    >>> with torch.autograd.graph.disable_saved_tensors_hooks("not here"):
    ...     with torch.autograd.graph.save_on_cpu():
    ...         pass
    Traceback (most recent call last):
        ...
    RuntimeError: not here
    """
    if any(isinstance(layer, SavedHooks) for layer in stack.layers):
        raise RuntimeError(error_message)
    before, _disabled.message = _disabled.message, error_message
    try:
        yield
    finally:
        _disabled.message = before


# -- hooks on several gradients -------------------------------------------------------------------


class _Handle:
    """Removes the hooks of `register_multi_grad_hook`."""

    def __init__(self, handles: Sequence[Any]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _Handle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def register_multi_grad_hook(tensors: Any, fn: Any, *, mode: str = "all") -> _Handle:
    """Call ``fn`` once in a backward pass for several tensors.

    Returns a handle whose ``remove()`` takes the hooks off again. ValueError for another mode.

    Args:
        mode: "all": ``fn(grads)`` after the gradients of all tensors that take part are known, with
            None for the others; "any": ``fn(grad)`` with the first of them.

    Gradients have the shapes and dtypes of their tensors. RuntimeError for a tensor that wants
    none.

    >>> import framework as torch
    >>> a, b = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    >>> handle = torch.autograd.graph.register_multi_grad_hook([a, b], print)
    >>> (a * 2 + b * 3).backward()
    [tensor([2.]), tensor([3.])]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    tensors = list(tensors)
    lock = threading.Lock()
    passes: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

    def all_hook(i: int) -> Any:
        def hook(grad: Any) -> None:
            with lock:
                state = passes.get(modes.task)
                if state is None:
                    expected = sum(modes.task.reaches(edge_of(t)) for t in tensors)
                    state = passes[modes.task] = [expected, [None] * len(tensors)]
                state[0] -= 1
                state[1][i] = grad
                done = not state[0]
            if done:
                fn(state[1])

        return hook

    def any_hook(grad: Any) -> None:
        with lock:
            if modes.task in passes:
                return
            passes[modes.task] = True
        fn(grad)

    return _Handle(
        [t.register_hook(all_hook(i) if mode == "all" else any_hook) for i, t in enumerate(tensors)]
    )


# -- writes to what nodes have saved --------------------------------------------------------------


class _CloneOnWrite(Layer):
    """Remembers which nodes have saved a memory, and gives them a copy before it is written."""

    def __init__(self) -> None:
        super().__init__()
        self.savers: dict[int, list[tuple[Any, Version, int]]] = {}

    def op(self, op: Any, args: tuple[Any, ...], meta: dict[str, Any]) -> Any:
        out = apply(op, *args, **meta)
        outs = out if out.__class__ is tuple else (out,)
        edge = next((o._edge for o in outs if o._edge.__class__ is tuple), None)
        if edge is None or not edge[0].saved or edge[0].op is not op:
            return out
        node = edge[0]
        count = len(node.plan.inputs)
        for at, tensor in node.held():
            counter = tensor._counter if at < count else node.saved[at][1]
            if counter is None:
                counter = tensor._counter = Version()
            known = self.savers.setdefault(id(counter), [])
            known.append((weakref.ref(node), counter, at))
        return out

    def clear(self) -> None:
        """Forget what was saved: it is not copied any more."""
        self.savers.clear()

    def before_write(self, tensor: Any) -> None:
        """The nodes that have saved this memory get a copy of their own."""
        for reference, _, at in self.savers.pop(id(tensor._counter), ()):
            node = reference()
            if node is None or not isinstance(node.saved, list):
                continue
            if at >= len(node.plan.inputs):
                array, _, _, device = node.saved[at]
                node.saved[at] = (array.copy(), Version(), 0, device)
            else:
                node.saved[at] = views._private_copy(dict(node.held())[at])


@contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[Any]:
    """Within it, tensors that were saved for backward may be written in place.

    The old values are copied for the nodes that need them, when the first write happens.

    >>> import framework as torch
    >>> a = torch.ones(2, requires_grad=True)
    >>> with torch.autograd.graph.allow_mutation_on_saved_tensors():
    ...     b = a.clone()
    ...     y = b * b
    ...     _ = b.mul_(10)
    ...     y.sum().backward()
    >>> a.grad
    tensor([2., 2.])
    """
    if views.write_guard is not None:
        raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
    layer = _CloneOnWrite()
    with layer:
        views.write_guard = layer.before_write
        try:
            yield layer
        finally:
            views.write_guard = None
            layer.clear()
