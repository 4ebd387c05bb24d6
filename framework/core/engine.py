"""The backward engine: from roots to leaves, iteratively, newest op first.

A first pass counts how many gradients each node will receive; then a heap on creation order runs
the nodes that have all of theirs. A leaf's gradient is accumulated as soon as its last contribution
arrived, within the node that brought it.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from threading import get_ident
from typing import Any

from numpy import ndarray

from framework import dtypes
from framework.core import dispatch
from framework.core.dispatch import DOUBLE, SINGLE, edge_of
from framework.core.flat import flattened
from framework.core.graph import Node, Version, edge_meta
from framework.core.modes import modes
from framework.core.views import before_write
from framework.kernels import NoMemory, module_of
from framework.kernels.pool import no_memory
from framework.layout import like_dense
from framework.quiet import raising
from framework.trace import sink

__all__ = ["run_backward"]


def run_backward(
    roots: list[Any],
    gradients: list[Any],
    *,
    retain_graph: bool,
    create_graph: bool,
    inputs: list[Any] | None = None,
    accumulate: bool = True,
) -> list[Any]:
    """Propagate ``gradients`` of ``roots``.

    Args:
        inputs: only these get a gradient; None means every leaf.
        accumulate: add to ``.grad`` (``backward``); else return the gradients (``grad``).

    Returns:
        With ``accumulate=False`` one gradient (or None) for each input.
    """
    recorder = sink.active
    if recorder is not None and recorder.thread != get_ident():
        recorder = None
    before = modes.grad
    begin = recorder.begin_backward(tuple(roots)) if recorder is not None else 0
    modes.grad = create_graph
    outer = modes.task
    failure: BaseException | None = None
    try:
        task = _Task(roots, inputs, accumulate, retain_graph, create_graph, recorder)
        modes.task = task
        return task.run(gradients)
    except BaseException as error:
        failure = error
        if isinstance(error, MemoryError) and not isinstance(error, NoMemory):
            failure = no_memory("backward", error, roots[0]._device)
            raise failure from None
        raise
    finally:
        modes.grad = before
        modes.task = outer
        if recorder is not None:
            recorder.end_backward(begin, failure)
            failure = None


class _Task:
    """One backward pass."""

    def __init__(
        self,
        roots: list[Any],
        inputs: list[Any] | None,
        accumulate: bool,
        retain_graph: bool,
        create_graph: bool,
        recorder: Any,
    ) -> None:
        self.roots = [edge_of(r) for r in roots]
        self.accumulate = accumulate
        self.retain = retain_graph
        self.create = create_graph
        self.recorder = recorder
        self.anomaly = modes.anomaly and modes.check_nan
        self.watched = self.anomaly or create_graph  # what a rule returned is looked at
        # Whether gradients may be added up in place: nobody looks at the single contributions.
        alone = not create_graph and dispatch.interposer is None
        self.plain = alone and recorder is None
        self.sums = alone and (recorder is None or not recorder.sees_values())
        self.heap: list[tuple[int, Node]] = []
        self.pending: dict[Node, list[Any]] = {}  # gradients that have arrived, per output
        self.leaves: dict[int, Any] = {}  # id(leaf) -> gradient so far
        self.unpacked: tuple[Any, dict[int, Any]] = (None, {})  # a node's, see `core.saved`
        self.inputs = inputs
        self.captured: dict[tuple[int, int], Any] = {}
        self.wanted: set[tuple[int, int]] | None = None
        if inputs is not None:
            self.wanted = set()
            for t in inputs:
                edge = edge_of(t)
                if edge is None:
                    if t.requires_grad:  # a view taken without grad mode: nothing reaches it
                        continue
                    raise RuntimeError("One of the differentiated Tensors does not require grad")
                self.wanted.add(_key(edge))
                if accumulate and edge.__class__ is tuple:
                    t.retain_grad()  # its node will then put the gradient there
        self.counts: dict[Node, int] = {}  # gradients that are still to come
        self.leaf_counts: dict[int, int] = {}  # the same, by the leaf's id
        self.useful: set[Node] | None = None
        self._count()

    def _count(self) -> None:
        """How many gradients each node and leaf will get; with inputs, which nodes matter."""
        counts, leaf_counts = self.counts, self.leaf_counts
        todo: list[Node] = []
        edges: Any = self.roots
        while True:
            for edge in edges:
                if edge.__class__ is tuple:
                    target = edge[0]
                    count = counts.get(target)
                    if count is None:
                        counts[target] = 1
                        todo.append(target)
                    else:
                        counts[target] = count + 1
                elif edge is not None:
                    key = id(edge)
                    leaf_counts[key] = leaf_counts.get(key, 0) + 1
            if not todo:
                break
            edges = todo.pop().edges
        wanted = self.wanted
        if wanted is None:
            return
        useful: set[Node] = set()
        # Inputs of a node are older, so they have been judged before it.
        for node in sorted(counts, key=lambda n: n.seq):
            for edge in node.edges:
                if edge is not None and (
                    _key(edge) in wanted or (edge.__class__ is tuple and edge[0] in useful)
                ):
                    useful.add(node)
                    break
        self.useful = useful

    def run(self, gradients: list[Any]) -> list[Any]:
        for edge, gradient in zip(self.roots, gradients):
            _mark_shared(gradient)
            self._send(edge, self._fit(gradient, edge, None, 0))
        heap, pending = self.heap, self.pending
        whole = self.wanted is None
        run = self._run_node
        while heap:
            node = heappop(heap)[1]
            if whole and node.tensor_hooks is None and node.retains is None:
                run(node, pending.pop(node))
            else:
                self._step(node, pending.pop(node))
        if self.inputs is None or self.accumulate:
            return []
        return [self.captured.get(_key(edge_of(t))) for t in self.inputs]

    def _step(self, node: Node, grads: list[Any]) -> None:
        """Run one node."""
        if node.tensor_hooks is not None:
            for nr, hooks in node.tensor_hooks.items():
                if grads[nr] is not None:
                    grads[nr] = _hooked(hooks, grads[nr])
        if node.retains is not None and self.accumulate:
            for nr, reference in node.retains.items():
                tensor = reference()
                if tensor is not None and grads[nr] is not None:
                    self._add_grad(tensor, grads[nr], own=False)
        if self.wanted is not None:
            for nr, grad in enumerate(grads):
                if (id(node), nr) in self.wanted and grad is not None:
                    self.captured[id(node), nr] = grad
            if node not in self.useful:  # type: ignore[operator]
                self._skip(node)
                return
        self._run_node(node, grads)

    def _run_node(self, node: Node, grads: list[Any]) -> None:
        """Run one node and send what comes out of it along its edges.

        Written out, as `_quick` is in dispatch: of a small op the engine is most of the time. So
        the lists are counted along: making a `zip` of them takes longer than what it is for.
        """
        recorder = self.recorder
        if recorder is not None:
            outer = recorder.here
            begin = recorder.begin_node(node, grads, self.create)
        sent: list[Any] = []
        try:
            edges = node.edges
            calls = node.op.each
            g = grads[0]
            dtype = node.metas[0][1]
            if (
                calls
                and g is not None
                and len(grads) == 1
                and (dtype is SINGLE or dtype is DOUBLE)
                and node._hooks is None
                and node._prehooks is None
                and not self.watched
            ):
                outs: Any = []
                try:
                    for call in calls:
                        wanted = call is not None and edges[len(outs)] is not None
                        outs.append(call(node, g) if wanted else None)  # type: ignore[misc]
                except Exception as error:
                    _say_where(node, error)
                    raise
            else:
                outs, g = self._outs(node, grads)
            if not self.retain:
                node.release()
            if len(outs) != len(edges):
                raise RuntimeError(
                    f"{node.name()} returned {len(outs)} gradients for {len(edges)} inputs"
                )
            i = 0
            for edge in edges:
                out = outs[i]
                i += 1  # noqa: SIM113
                if edge is None:
                    out = None
                elif out is not None:
                    if edge.__class__ is tuple:
                        target, nr = edge
                        shape, dtype, device = target.metas[nr]
                    else:
                        shape, dtype, device = edge_meta(edge)
                    data = out._data
                    if data.shape != shape or data.dtype is not dtype or out._device is not device:
                        out = self._fit(out, edge, node, len(sent))
                    if out is g:
                        _mark_shared(out)  # passed through: another leaf may get the same tensor
                    if sent:
                        for other in sent:
                            if out is other:
                                _mark_shared(out)
                sent.append(out)
            pending, counts = self.pending, self.counts
            i = 0
            for edge in edges:
                out = sent[i]
                i += 1  # noqa: SIM113
                if edge.__class__ is tuple:  # `_send`, written out
                    target, nr = edge
                    slots = pending.get(target)
                    if slots is None:
                        slots = pending[target] = [None] * len(target.metas)
                    if out is not None:
                        so_far = slots[nr]
                        slots[nr] = out if so_far is None else self._sum(so_far, out)
                    left = counts[target] = counts[target] - 1
                    if not left:
                        heappush(self.heap, (-target.seq, target))
                elif edge is not None:
                    self._send_leaf(edge, out)
        except BaseException as error:
            if recorder is not None:
                recorder.end_node(begin, outer, node, (), error)
            raise
        if recorder is not None:
            if recorder.quiet is not None:
                recorder.whole_node(node, sent)
            else:
                recorder.end_node(begin, outer, node, sent)

    def _outs(self, node: Node, grads: list[Any]) -> tuple[Any, Any]:
        """The gradients of any node's inputs, and the one of its first output."""
        given = tuple(grads)
        if node._prehooks:
            for hook in list(node._prehooks.values()):
                changed = hook(given)
                if changed is not None:
                    given = _as_many(hook, changed, len(grads))
        edges = node.edges
        if node.op.part and self.plain and self._put_part(node, given[0]):
            return (None,), None
        if given[0] is not None or node.custom or any(g is not None for g in given):
            try:
                outs = node.apply(given)
            except Exception as error:
                _say_where(node, error)
                raise
        else:
            outs = (None,) * len(edges)
        if self.watched:
            if self.anomaly:
                _check_finite(node, outs)
            if self.create and (node.op.flat or node.op.fused):
                outs = flattened(node, outs)
        if node._hooks:
            for hook in list(node._hooks.values()):
                changed = hook(outs, given)
                if changed is not None:
                    outs = _as_many(hook, changed, len(edges))
            for out in outs:
                _mark_shared(out)  # a hook may have kept it
        for out in outs:
            for other in given[1:]:
                if out is other:
                    _mark_shared(out)
        return outs, given[0]

    def reaches(self, edge: Any) -> bool:
        """Whether hooks on the tensor of this edge will run."""
        if edge.__class__ is not tuple:
            known = id(edge) in self.leaf_counts
            return known and (self.wanted is None or _key(edge) in self.wanted)
        if edge[0] not in self.counts:
            return False
        return self.useful is None or edge[0] in self.useful or _key(edge) in (self.wanted or ())

    def replace(self, ident: int, new: Any, node: Node | None, sent: Sequence[Any]) -> bool:
        """A debugger puts ``new`` in the place of a gradient that is on its way.

        What has been added to another gradient, or to a leaf's, is changed by the difference. It is
        on its way where it waits for its node, and where ``node`` has just ``sent`` it.

        Returns:
            Whether the gradient with this id was found.
        """
        found = False
        for slots in self.pending.values():
            for nr, grad in enumerate(slots):
                if grad is not None and grad._id == ident:
                    slots[nr], found = new, True
        for key, grad in self.leaves.items():
            if grad._id == ident:
                self.leaves[key], found = new, True
        for edge, grad in zip(node.edges if node is not None else (), sent):
            if grad is None or grad._id != ident or edge is None:
                continue
            if edge.__class__ is tuple:
                target, nr = edge
                waiting = self.pending.get(target)
                if waiting is not None and waiting[nr] is not None and waiting[nr] is not new:
                    waiting[nr] = waiting[nr] + (new - grad)
            elif id(edge) in self.leaves:
                if self.leaves[id(edge)] is not new:
                    self.leaves[id(edge)] = self.leaves[id(edge)] + (new - grad)
            elif edge.grad is not None and self.accumulate:
                before_write(edge.grad)
                edge.grad._data += (new - grad)._data
            found = True
        return found

    def _skip(self, node: Node) -> None:
        for edge in node.edges:
            if edge is not None:
                self._send(edge, None)

    def _send(self, edge: Any, grad: Any) -> None:
        """One contribution, already fitted, arrives at an edge."""
        if edge.__class__ is not tuple:
            self._send_leaf(edge, grad)
            return
        node, nr = edge
        pending = self.pending
        slots = pending.get(node)
        if slots is None:
            slots = pending[node] = [None] * len(node.metas)
        if grad is not None:
            slots[nr] = grad if slots[nr] is None else self._sum(slots[nr], grad)
        counts = self.counts
        left = counts[node] = counts[node] - 1
        if not left:
            heappush(self.heap, (-node.seq, node))

    def _send_leaf(self, leaf: Any, grad: Any) -> None:
        key = id(leaf)
        if grad is not None:
            so_far = self.leaves.get(key)
            self.leaves[key] = grad if so_far is None else self._sum(so_far, grad)
        left = self.leaf_counts[key] = self.leaf_counts[key] - 1
        if left:
            return
        total = self.leaves.pop(key, None)
        if total is None:
            return
        wanted = self.wanted
        if wanted is not None and _key(leaf) not in wanted:
            return
        if self.recorder is not None and (leaf._hooks or leaf._post_hooks):
            self.recorder.enter_hook()
        if leaf._hooks:
            total = _hooked(leaf._hooks, total)
            _mark_shared(total)
        if self.accumulate:
            if leaf._rg:  # else it was waived since the graph was made
                self._add_grad(leaf, total, own=_unshared(total))
            for hook in list((leaf._post_hooks or {}).values()):
                _check_nothing(hook, leaf, hook(leaf))
        else:
            self.captured[_key(leaf)] = total

    def _sum(self, so_far: Any, grad: Any) -> Any:
        """Two contributions added up, in place where the first is only the engine's."""
        total, more = so_far._data, grad._data
        if (
            self.sums
            and so_far._counter is None
            and total.__class__ is ndarray
            and total.base is None
            and so_far._base is None
            and not so_far._rg
            and more.__class__ is ndarray
            and more.dtype is total.dtype
        ):  # `_own`, written out
            try:  # noqa: SIM105 (suppress costs as much as a small sum)
                total += more
            except FloatingPointError:
                pass  # of the program's np.seterr: the sum has been written
            return so_far
        return so_far + grad

    def _put_part(self, node: Node, grad: Any) -> bool:
        """Add the gradient of a part (a slice) into that of the whole, if there is one already.

        Otherwise the gradient of each of n parts would be as large as the whole: n times the work.

        Returns:
            Whether it was done; then the node has nothing to send.
        """
        (edge,) = node.edges
        if edge is None or grad is None or node._hooks or self.anomaly or raising():
            return False
        if edge.__class__ is tuple:
            slots = self.pending.get(edge[0])
            whole = None if slots is None else slots[edge[1]]
        else:
            whole = self.leaves.get(id(edge))
        if whole is None or not _own(whole):
            return False
        total, more = whole._data, grad._data
        if more.__class__ is not ndarray or more.dtype is not total.dtype:
            return False
        total[node.meta["index"]] += more
        return True

    def _add_grad(self, tensor: Any, grad: Any, own: bool) -> None:
        """Accumulate into ``tensor.grad``; a gradient that is not its ``own`` is copied first."""
        first = tensor._grad is None
        if first:
            if self.create:
                tensor._grad = grad if own else grad.clone()
            else:
                tensor._grad = _kept(tensor, grad, own and not grad._rg)
        elif self.create:
            tensor._grad = tensor._grad + grad
        else:
            total = tensor._grad
            before_write(total)
            try:
                total._data += grad._data
            except FloatingPointError:
                pass
            except ValueError:  # its `data` has another shape since
                raise RuntimeError(
                    dispatch.broadcast_message([list(total.shape), list(grad.shape)])
                ) from None
        if self.recorder is not None:
            self.recorder.grad(tensor, grad, tensor._grad, first)

    def _fit(self, grad: Any, edge: Any, sender: Node | None, index: int) -> Any:
        """Undo broadcasting, cast to the input's dtype; refuse what cannot be its gradient."""
        shape, dtype, device = edge_meta(edge)
        data = grad._data
        if data.shape != shape:
            if not _broadcastable(shape, data.shape):
                raise RuntimeError(
                    f"{_sender(sender)} returned an invalid gradient at index {index} - got "
                    f"{list(data.shape)} but expected shape compatible with {list(shape)}"
                )
            grad = grad.sum_to_size(shape)
            data = grad._data
        if data.dtype is not dtype and data.dtype != dtype:
            wanted = dtypes.from_numpy_dtype[dtype]
            if dtypes.category[data.dtype] == dtypes.COMPLEX and wanted.category < dtypes.COMPLEX:
                grad = grad.real
            grad = grad.to(wanted)
        if grad._device is not device:
            if data.ndim:
                raise RuntimeError(
                    f"{_sender(sender)} returned an invalid gradient at index {index} - expected "
                    f"device {device} but got {grad._device}"
                )
            grad = grad.to(device)
        return grad


def _check_finite(node: Node, outs: tuple[Any, ...]) -> None:
    for i, out in enumerate(outs):
        while hasattr(out, "_value"):  # inside of vmap
            out = out._value
        if out is None or dtypes.category[out._data.dtype] < dtypes.FLOAT:
            continue
        xp = module_of(out._data)
        if xp.isfinite(out._data).all():
            continue
        what = "nan" if xp.isnan(out._data).any() else "inf"
        raise RuntimeError(
            f"Function '{node.name()}' returned {what} values in its {i}th output." + node.where()
        )


def _say_where(node: Node, error: Exception) -> None:
    """Note in an error of a node's rule where the forward op stands, if that was traced."""
    if node.origin is not None and node.where() not in str(error):
        error.add_note(f"in the backward of {node.op_name}{node.where()}")


def _sender(node: Node | None) -> str:
    return "the given gradient" if node is None else f"Function {node.name()}{node.where()}"


def _kept(leaf: Any, grad: Any, own: bool) -> Any:
    """A leaf's gradient, in memory of its ``own``: in the order of the leaf's elements."""
    data, shape = grad._data, leaf._data
    if isinstance(data, ndarray) and isinstance(shape, ndarray):
        if data.flags.c_contiguous and shape.flags.c_contiguous:
            return grad if own else dispatch.wrap(data.copy(), grad._device)
        placed = like_dense(data, shape)
        if placed is data and own:
            return grad
        return dispatch.wrap(data.copy(order="K") if placed is data else placed, grad._device)
    return grad if own else dispatch.wrap(data.copy(), grad._device)


def _own(grad: Any) -> bool:
    """Whether a gradient on its way may be written: an array on the host that nobody else sees."""
    return grad._data.__class__ is ndarray and _unshared(grad) and not grad._rg


def _unshared(grad: Any) -> bool:
    """Whether nobody else can see this gradient's memory (a counter says that somebody does)."""
    return grad._counter is None and grad._base is None and grad._data.base is None


def _mark_shared(grad: Any) -> None:
    if grad is not None and grad._counter is None:
        grad._counter = Version()


def _broadcastable(small: tuple[int, ...], big: tuple[int, ...]) -> bool:
    if len(small) > len(big):
        return False
    return all(s in (1, b) for s, b in zip(reversed(small), reversed(big)))


def _key(edge: Any) -> tuple[int, int]:
    return (id(edge[0]), edge[1]) if edge.__class__ is tuple else (id(edge), -1)


def _hooked(hooks: dict[int, Any], grad: Any) -> Any:
    for hook in list(hooks.values()):
        changed = hook(grad)
        if changed is not None:
            _check_result(hook, grad, changed)
            grad = changed
            _mark_shared(grad)
    return grad


def _as_many(hook: Any, changed: Any, count: int) -> tuple[Any, ...]:
    """What a hook on a node returned, which must be as many gradients as it got."""
    found = tuple(changed) if isinstance(changed, (tuple, list)) else (changed,)
    if len(found) != count:
        raise RuntimeError(
            f"hook '{getattr(hook, '__name__', repr(hook))}' has returned an incorrect number of "
            f"values (got {len(found)}, but expected {count})"
        )
    return found


def _check_nothing(hook: Any, leaf: Any, result: Any) -> None:
    """A hook for after the accumulation has nothing to return; in-place methods give the leaf."""
    if result is not None and result is not leaf:
        _check_result(hook, leaf, result)
        raise RuntimeError("Tensor post accumulate grad hooks should return None.")


def _check_result(hook: Any, grad: Any, changed: Any) -> None:
    """A hook on a tensor may return another gradient of the same kind."""
    data = getattr(changed, "_data", None)
    if data is None:
        raise TypeError(f"expected Variable, but hook returned '{type(changed).__name__}'")
    name = getattr(hook, "__name__", repr(hook))
    if data.dtype != grad._data.dtype or changed._device != grad._device:
        raise RuntimeError(
            f"hook '{name}' has changed the type of value (was {grad.type()} got {changed.type()})"
        )
    if data.shape != grad._data.shape:
        raise RuntimeError(f"hook '{name}' has changed the size of value")
