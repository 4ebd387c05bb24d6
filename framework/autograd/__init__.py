"""Gradients: `backward`, `grad`, custom `Function`s, checks of them, and anomaly detection.

>>> import framework as torch
>>> x = torch.tensor(3.0, requires_grad=True)
>>> (g,) = torch.autograd.grad(x**3, x, create_graph=True)
>>> torch.autograd.grad(g, x)
(tensor(18.),)
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from framework import dtypes
from framework.autograd import forward_ad, functional, graph, profiler
from framework.autograd.anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from framework.autograd.function import Function, once_differentiable
from framework.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from framework.autograd.graph import GradientEdge
from framework.cautions import caution
from framework.core import overridable
from framework.core.engine import run_backward
from framework.core.graph import AccumulateGrad
from framework.core.interpose import stack
from framework.core.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_multithreading_enabled,
    modes,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)
from framework.core.saved import SavedTensor
from framework.device import CPU
from framework.kernels import module_of, on
from framework.kernels.pool import no_memory
from framework.tensor import Size, Tensor, wrap

__all__ = [
    "backward", "grad",
    "Function", "SavedTensor", "Variable", "once_differentiable",
    "GradientEdge", "forward_ad", "functional", "graph", "profiler",
    "is_multithreading_enabled", "set_multithreading_enabled",
    "enable_grad", "inference_mode", "is_grad_enabled", "no_grad", "set_grad_enabled",
    "detect_anomaly", "is_anomaly_enabled", "set_detect_anomaly",
    "GradcheckError", "gradcheck", "gradgradcheck",
]  # fmt: skip


def Variable(data: Tensor, requires_grad: bool = False, volatile: Any = None) -> Tensor:
    """``data`` itself: what was a wrapper around tensors in the PyTorch of before 0.4.

    Of any shape and dtype. RuntimeError if integers or bools are to want a gradient.

    >>> import framework as torch
    >>> torch.autograd.Variable(torch.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """
    if volatile is not None:
        caution("volatile was removed and now has no effect. Use `with torch.no_grad():` instead.")
    return data.requires_grad_() if requires_grad else data


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
    grad_variables: Any = None,
) -> None:
    """Add the gradient of ``tensors`` to the ``.grad`` of the leaves they were computed from.

    Args:
        tensors: a tensor, or several whose gradients are summed.
        grad_tensors: for each of them the gradient to start from, of the same shape; it may be
            None for a tensor of one element, and then is 1.
        retain_graph: keep what the graph saved, for another backward pass; by default
            ``create_graph``.
        create_graph: make the gradients differentiable themselves.
        inputs: accumulate into these tensors only; may be a dict of them.
        grad_variables: deprecated, what ``grad_tensors`` was called before.

    Raises:
        RuntimeError: a root wants no gradient, a gradient is missing or has another shape, what the
            graph saved was freed or written in place.

    What wants a gradient is of a floating or complex dtype, and so is its gradient.

    >>> import framework as torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> torch.autograd.backward([x.sum(), 2 * x], [None, torch.tensor([1.0, 10.0])])
    >>> x.grad
    tensor([ 3., 21.])
    """
    if modes.transforms or (stack.layers and _mapped()):
        raise RuntimeError(
            "backward() called inside a functorch transform. This is not supported, please use "
            "functorch.grad or functorch.vjp instead or call backward() outside of functorch "
            "transforms."
        )
    if grad_variables is not None:
        grad_tensors = _of_before(grad_tensors, grad_variables)
    if inputs is not None:
        inputs = _inputs(inputs, "backward")
    if overridable.active():
        found = _overridden(
            backward, tensors, inputs or (), (tensors,), grad_tensors=grad_tensors,
            retain_graph=retain_graph, create_graph=create_graph, inputs=inputs,
        )  # fmt: skip
        if found is not overridable.MISSING:
            return
    roots = _sequence(tensors)
    starts = _starts(roots, _matching(grad_tensors, len(roots)))
    wanted = None if inputs is None else list(_sequence(inputs))
    retain = create_graph if retain_graph is None else retain_graph
    if create_graph:
        _warn_of_cycle()
    if modes.dual:  # tangents go through gradients too
        retain = create_graph = True
    run_backward(
        list(roots), starts, retain_graph=retain, create_graph=create_graph, inputs=wanted
    )  # fmt: skip


@functools.cache  # once, as in PyTorch
def _warn_of_cycle() -> None:
    caution(
        "Using backward() with create_graph=True will create a reference cycle between the "
        "parameter and its gradient which can cause a memory leak. We recommend using "
        "autograd.grad when creating the graph to avoid this. If you have to use this function, "
        "make sure to reset the .grad fields of your parameters to None after use to break the "
        "cycle and remove the leak."
    )


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> Any:
    """The gradient of (the sum of) ``outputs`` with respect to each of ``inputs``, as a tuple.

    As a dict of them if ``inputs`` is one. No ``.grad`` changes. The arguments are those of
    `backward`.

    Args:
        only_inputs: deprecated: other leaves' gradients are never touched.
        allow_unused: give None for an input that ``outputs`` do not depend on, instead of raising;
            by default ``materialize_grads``.
        materialize_grads: give zeros for such an input.

    Raises:
        RuntimeError: as `backward`, or an input wants no gradient or was not used.

    Each gradient has the shape and dtype of its input, which is floating or complex.

    >>> import framework as torch
    >>> x, y = torch.tensor([1.0, 2.0], requires_grad=True), torch.ones(2, requires_grad=True)
    >>> torch.autograd.grad((x * x).sum(), (x, y), allow_unused=True)
    (tensor([2., 4.]), None)
    """
    if allow_unused is None:
        allow_unused = materialize_grads
    elif materialize_grads and not allow_unused:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    names = list(inputs) if type(inputs) is dict else None
    inputs = _inputs(inputs, "grad")
    if overridable.active():
        answer = _overridden(
            grad, outputs, inputs, (outputs, inputs), grad_outputs=grad_outputs,
            retain_graph=retain_graph, create_graph=create_graph, only_inputs=only_inputs,
            allow_unused=allow_unused, is_grads_batched=is_grads_batched,
            materialize_grads=materialize_grads,
        )  # fmt: skip
        if answer is not overridable.MISSING:
            return answer if names is None else dict(zip(names, answer))
    if not only_inputs:
        caution(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To "
            "accumulate gradient for other parts of the graph, please use torch.autograd.backward.",
            FutureWarning,
        )
    roots, wanted = _sequence(outputs), list(_sequence(inputs))
    given = _matching(grad_outputs, len(roots))
    retain = create_graph if retain_graph is None else retain_graph
    if modes.dual:  # tangents go through gradients too
        retain = create_graph = True
    if is_grads_batched:
        found = _batched(roots, given, wanted, retain, create_graph)
    else:
        found = run_backward(
            list(roots), _starts(roots, given),
            retain_graph=retain, create_graph=create_graph, inputs=wanted, accumulate=False,
        )  # fmt: skip
    for i, g in enumerate(found):
        if g is not None:
            continue
        if not allow_unused:
            raise RuntimeError(
                f"The differentiated Tensor at index {i} appears to not have been used in the "
                "graph. Set allow_unused=True if this is the desired behavior."
            )
        if materialize_grads:
            x = wanted[i]
            found[i] = wrap(module_of(x._data).zeros_like(x._data), x._device)
            found[i]._rg = create_graph
    return tuple(found) if names is None else dict(zip(names, found))


def _inputs(inputs: Any, name: str) -> tuple[Any, ...]:
    """The tensors or edges that a call of function ``name`` wants gradients of."""
    if isinstance(inputs, (Tensor, GradientEdge)):
        return (inputs,)
    if isinstance(inputs, Mapping) and type(inputs) is not dict:
        raise TypeError(
            f"`inputs` argument to `{name}()` must be a dict, not {_kind(inputs)}. Other Mapping "
            "types are not supported."
        )
    found = tuple(inputs.values() if isinstance(inputs, dict) else inputs)
    if not found:
        raise RuntimeError(f"`inputs` argument to `{name}()` cannot be empty.")
    return found


def _of_before(grad_tensors: Any, grad_variables: Any) -> Any:
    """The gradients to start from, given under the name that PyTorch has given up."""
    caution("`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning)
    if grad_tensors is not None:
        raise RuntimeError(
            "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to "
            "`backward()`. Please only use `grad_tensors`."
        )
    return grad_variables


def _overridden(
    call: Any, roots: Any, inputs: Any, args: tuple[Any, ...], /, **options: Any
) -> Any:  # fmt: skip
    """What modes and classes that override functions make of a call; MISSING if nobody does."""
    from framework.overrides import handle_torch_function, has_torch_function

    asked = (*(roots if isinstance(roots, (list, tuple)) else (roots,)), *inputs)
    asked = tuple([t for t in asked if isinstance(t, Tensor)])
    if not has_torch_function(asked):
        return overridable.MISSING
    return handle_torch_function(call, asked, *args, **options)


def _batched(
    roots: tuple[Tensor, ...], given: Sequence[Any], wanted: list[Any], retain: bool, create: bool
) -> list[Any]:
    """Gradients for a batch of starts: the engine runs once, inside of vmap."""
    from framework.func import vmap

    for i, (root, start) in enumerate(zip(roots, given)):
        if start is not None and start.shape[1:] != root.shape:
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output "
                "as the batch dimension. The sizes of the remaining dimensions are expected to "
                "match the shape of corresponding output, but a mismatch was detected: "
                f"grad_output[{i}] has a shape of {start.shape} and output[{i}] has a shape of "
                f"{root.shape}. If you only want some tensors in `grad_output` to be considered "
                "batched, consider using vmap."
            )
    there: list[int] = []

    def rows(*starts: Any) -> Any:
        found = run_backward(
            list(roots), _starts(roots, starts),
            retain_graph=retain, create_graph=create, inputs=wanted, accumulate=False,
        )  # fmt: skip
        there[:] = [i for i, g in enumerate(found) if g is not None]
        return tuple([found[i] for i in there])

    dims = tuple([None if g is None else 0 for g in given])
    result: list[Any] = [None] * len(wanted)
    for i, g in zip(there, vmap(rows, dims)(*given)):
        result[i] = g
    return result


def _stand_in(edge: GradientEdge) -> Tensor:
    """A tensor of an edge's shape, to be used as its tensor would be."""
    node, nr = edge[:2]
    if isinstance(node, AccumulateGrad):
        return node.variable
    shape, dtype, device = node.metas[nr]
    made = wrap(np.broadcast_to(np.zeros((), dtype), shape), device)
    made._rg, made._edge = True, (node, nr)
    return made


def _sequence(tensors: Any) -> tuple[Tensor, ...]:
    single = isinstance(tensors, (Tensor, GradientEdge))
    found = tuple([
        _stand_in(t) if isinstance(t, GradientEdge) else t
        for t in ((tensors,) if single else tuple(tensors))
    ])  # fmt: skip
    for t in found:
        if not isinstance(t, Tensor):
            raise TypeError(f"expected a tensor or a sequence of tensors, but got {_kind(t)}")
    return found


def _mapped() -> bool:
    """Whether a vmap is being run."""
    from framework.func.batched import levels

    return bool(levels())


def _kind(value: Any) -> str:
    return type(value).__name__


def _matching(gradients: Any, count: int) -> Sequence[Any]:
    if gradients is None:
        return [None] * count
    found = [gradients] if isinstance(gradients, Tensor) else list(gradients)
    if len(found) < count:  # PyTorch does not look at more
        raise RuntimeError(f"got {count} tensors and {len(found)} gradients")
    return found


def _one(root: Tensor) -> Tensor:
    if root._device is CPU:
        return wrap(np.ones_like(root._data))
    try:
        with on(root._device):
            return wrap(module_of(root._data).ones_like(root._data), root._device)
    except MemoryError as error:
        shape = list(root.shape)
        raise no_memory("backward", error, root._device, f" (shape {shape})") from None


def _starts(roots: tuple[Tensor, ...], gradients: Sequence[Any]) -> list[Tensor]:
    """The gradient to start from at each root: the given one, checked, or 1 for a scalar."""
    result = []
    for i, (root, given) in enumerate(zip(roots, gradients)):
        if not root.requires_grad:
            raise RuntimeError(
                f"element {i} of tensors does not require grad and does not have a grad_fn"
            )
        if given is None:
            if root.numel() != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            if not root.is_floating_point():
                raise RuntimeError(
                    "grad can be implicitly created only for real scalar outputs but got "
                    f"{root.dtype}"
                )
            result.append(_one(root))
            continue
        if not isinstance(given, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {_kind(given)}")
        if given.shape != root.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {Size(given.shape)} and "
                f"output[{i}] has a shape of {Size(root.shape)}."
            )
        if (given.dtype.category == dtypes.COMPLEX) != (root.dtype.category == dtypes.COMPLEX):
            raise RuntimeError(
                "For complex Tensors, both grad_output and output are required to have the same "
                f"dtype. Mismatch in dtype: grad_output[{i}] has a dtype of {given.dtype} and "
                f"output[{i}] has a dtype of {root.dtype}."
            )
        result.append(given)
    return result
