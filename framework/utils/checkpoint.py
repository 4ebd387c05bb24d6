"""Activation checkpointing: run a part of a model again for its gradient, instead of saving it."""

from __future__ import annotations

import enum
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import Any

from framework import random as streams
from framework.amp.autocast_mode import captured, entered
from framework.autograd import backward
from framework.autograd.function import Function
from framework.core.dispatch import edge_of
from framework.core.modes import enable_grad, modes, no_grad
from framework.core.saved import SavedHooks, hooks_in_use, pack
from framework.tensor import Tensor

__all__ = [
    "CheckpointError", "CheckpointFunction", "CheckpointPolicy", "DefaultDeviceType",
    "SelectiveCheckpointContext", "check_backward_validity", "checkpoint", "checkpoint_sequential",
    "create_selective_checkpoint_contexts", "detach_variable", "get_device_states",
    "noop_context_fn", "set_checkpoint_debug_enabled", "set_checkpoint_early_stop",
    "set_device_states",
]  # fmt: skip


class CheckpointError(RuntimeError):
    """The part of the model did not do the same when it was run again.

    >>> import framework as torch
    >>> from framework.utils.checkpoint import CheckpointError, checkpoint
    >>> calls, x = [], torch.ones(2, requires_grad=True)
    >>> def unsteady(x):
    ...     calls.append(1)
    ...     return x.exp() if len(calls) == 1 else x * 2
    >>> y = checkpoint(unsteady, x, use_reentrant=False)
    >>> try:
    ...     y.sum().backward()
    ... except CheckpointError as error:
    ...     print(str(error).splitlines()[-1])
    Number of tensors saved during recomputation: 0.
    """


def noop_context_fn() -> tuple[Any, Any]:
    """The default of ``context_fn``: no contexts.

    >>> from framework.utils.checkpoint import noop_context_fn
    >>> first, second = noop_context_fn()
    >>> with first, second:
    ...     pass
    """
    return nullcontext(), nullcontext()


_early_stop = True
_debug: bool | None = None


@contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Whether checkpoints made within stop to run again as soon as they have all they need.

    A value counts by its truth; it never raises.

    >>> import framework as torch
    >>> from framework.utils.checkpoint import checkpoint, set_checkpoint_early_stop
    >>> def noisy(x):
    ...     y = x * x
    ...     print("end")
    ...     return y
    >>> x = torch.ones(1, requires_grad=True)
    >>> with set_checkpoint_early_stop(False):
    ...     y = checkpoint(noisy, x, use_reentrant=False)
    end
    >>> y.backward()
    end
    """
    global _early_stop
    before, _early_stop = _early_stop, enable
    try:
        yield
    finally:
        _early_stop = before


@contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Accepted: errors name what was saved in any case.

    It never raises.

    >>> from framework.utils.checkpoint import set_checkpoint_debug_enabled
    >>> with set_checkpoint_debug_enabled(True):
    ...     pass
    """
    global _debug
    before, _debug = _debug, enabled
    try:
        yield
    finally:
        _debug = before


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)``, of which nothing but the arguments is kept for the gradient.

    Args:
        use_reentrant: True runs a backward pass inside of the backward pass, as PyTorch's old
            variant does; False (recommended) keeps to one pass and works with `autograd.grad`,
            keyword arguments and arguments that want no gradient.
        context_fn: returns two context managers: for the first run and for the second.
        determinism_check: "default" compares shapes, dtypes and devices of both runs; "none".
        early_stop: stop the second run as soon as all that is needed is there.
        preserve_rng_state: give both runs the same random numbers (default).

    Raises:
        CheckpointError: in the backward pass, if the second run saves other tensors.

    >>> import framework as torch
    >>> from framework.utils.checkpoint import checkpoint
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> checkpoint(lambda x: (x * x).exp(), x, use_reentrant=False).sum().backward()
    >>> x.grad
    tensor([  5.4366, 218.3926])
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. "
            "Starting in PyTorch 2.9, calling checkpoint without use_reentrant will raise an "
            "exception. use_reentrant=False is recommended, but if you need to preserve the "
            "current default behavior, you can pass use_reentrant=True. Refer to docs for more "
            "details on the differences between the two variants.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if determinism_check not in ("default", "none"):
        raise ValueError(
            f"determinism_check should be one of ['default', 'none'], but got {determinism_check}"
        )
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug is not False:
            raise ValueError(
                "Passing `context_fn` or `debug` is only supported when use_reentrant=False."
            )
        return CheckpointFunction.apply(function, preserve, *args)
    first, second = context_fn()
    if not modes.grad:
        with first:
            return function(*args, **kwargs)
    frame = _Frame(function, args, kwargs, preserve, second, determinism_check == "default")
    frame.early_stop = early_stop and _early_stop
    with SavedHooks(frame.pack, _Holder.unpack), first:
        return function(*args, **kwargs)


class _Holder:
    """Stands for one saved tensor in a node."""

    __slots__ = ("__weakref__", "frame", "number")

    def __init__(self, frame: _Frame, number: int) -> None:
        self.frame, self.number = frame, number

    def unpack(self) -> Any:
        return self.frame.value(self.number)


class _Stop(Exception):
    """All that is needed has been computed again."""


class _Frame:
    """One checkpointed call."""

    early_stop = True

    def __init__(
        self, function: Any, args: Any, kwargs: Any, preserve: bool, context: Any, check: bool
    ) -> None:
        hooks = hooks_in_use()  # of a checkpoint around this one: it shall keep the arguments

        def kept(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            if hooks is None:
                return _Kept(value)
            return pack(value, hooks, edge_of(value))

        self.function = function
        self.args = [kept(a) for a in args]
        self.kwargs = {k: kept(v) for k, v in kwargs.items()}
        self.state = streams.get_rng_state() if preserve else None
        self.casts = captured()
        self.context, self.check = context, check
        self.metas: list[tuple[Any, ...]] = []
        self.passes: weakref.WeakKeyDictionary[Any, dict[int, Any]] = weakref.WeakKeyDictionary()

    def pack(self, tensor: Tensor) -> _Holder:
        self.metas.append(_meta(tensor))
        return _Holder(self, len(self.metas) - 1)

    def value(self, number: int) -> Any:
        """What the second run saved as number ``number``; it runs once in a backward pass."""
        task = modes.task
        found = self.passes.get(task) if task is not None else None
        if found is None or number not in found:
            found = self._again()
            if task is not None:
                self.passes[task] = found
        return found.pop(number)

    def _again(self) -> dict[int, Any]:
        saved: dict[int, Any] = {}

        def keep(tensor: Tensor) -> Any:
            number = len(saved)
            if number >= len(self.metas) and not self.early_stop:
                saved[number] = None
                return tensor
            saved[number] = tensor.detach()
            if self.early_stop and len(saved) == len(self.metas):
                raise _Stop
            return tensor.detach()

        def opened(value: Any) -> Any:
            if isinstance(value, _Kept):
                return value.tensor()
            return value.tensor(value[2]) if hasattr(value, "tensor") else value

        args = [opened(a) for a in self.args]
        kwargs = {k: opened(v) for k, v in self.kwargs.items()}
        before = streams.get_rng_state()
        with ExitStack() as contexts:
            if self.state is not None:
                contexts.callback(streams.set_rng_state, before)
                streams.set_rng_state(self.state)
            contexts.enter_context(enable_grad())
            contexts.enter_context(entered(self.casts))
            contexts.enter_context(SavedHooks(keep, lambda t: t))
            contexts.enter_context(self.context)
            contexts.enter_context(suppress(_Stop))
            self.function(*args, **kwargs)
        self._compare(saved)
        return saved

    def _compare(self, saved: dict[int, Any]) -> None:
        if len(saved) > len(self.metas):
            raise CheckpointError(
                "torch.utils.checkpoint: trying to save more tensors during recomputation than "
                "during the original forward pass.\n"
                f"Number of tensors saved during forward: {len(self.metas)}\n"
                f"Number of tensors saved during recomputation: {len(saved)}."
            )
        if len(saved) < len(self.metas):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the "
                "original forward and recomputation.\n"
                f"Number of tensors saved during forward: {len(self.metas)}\n"
                f"Number of tensors saved during recomputation: {len(saved)}."
            )
        if not self.check:
            return
        different = [
            f"tensor at position {i}:\nsaved metadata: {_words(old)}\n"
            f"recomputed metadata: {_words(_meta(saved[i]))}"
            for i, old in enumerate(self.metas) if _meta(saved[i]) != old
        ]  # fmt: skip
        if different:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have "
                "different metadata than during the forward pass.\n" + "\n".join(different)
            )


class _Kept:
    """A tensor argument, which must not be written between the two runs."""

    __slots__ = ("value", "version")

    def __init__(self, value: Tensor) -> None:
        self.value, self.version = value, value._version

    def tensor(self) -> Tensor:
        if self.value._version != self.version:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an "
                "inplace operation: an argument of a checkpoint, a tensor of shape "
                f"{list(self.value.shape)}, is at version {self.value._version}; expected version "
                f"{self.version} instead."
            )
        return self.value


def _meta(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.dtype, tensor.device


def _words(meta: tuple[Any, ...]) -> str:
    return f"{{'shape': {list(meta[0])}, 'dtype': {meta[1]}, 'device': {meta[2]!r}}}"


# -- the reentrant variant ------------------------------------------------------------------------


def check_backward_validity(inputs: Any) -> None:
    """Warn if none of the inputs wants a gradient: there will be none.

    Shapes and dtypes do not matter; it never raises.

    >>> import warnings, framework as torch
    >>> from framework.utils.checkpoint import check_backward_validity
    >>> with warnings.catch_warnings(record=True) as found:
    ...     warnings.simplefilter("always")
    ...     check_backward_validity([torch.ones(1)])
    >>> print(found[0].message)
    None of the inputs have requires_grad=True. Gradients will be None
    """
    if not any(isinstance(x, Tensor) and x.requires_grad for x in inputs):
        warnings.warn(
            "None of the inputs have requires_grad=True. Gradients will be None", stacklevel=3
        )


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Leaves of the same memory, which want gradients as the tensors do.

    RuntimeError for anything but a tuple.

    Shapes and dtypes stay.

    >>> import framework as torch
    >>> from framework.utils.checkpoint import detach_variable
    >>> x = torch.ones(1, requires_grad=True) * 2
    >>> (leaf,) = detach_variable((x,))
    >>> leaf.requires_grad, leaf.grad_fn
    (True, None)
    """
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            "Only tuple of tensors is supported. Got Unsupported input type: "
            f"{type(inputs).__name__}"
        )
    found = []
    for x in inputs:
        if isinstance(x, Tensor):
            leaf = x.detach()
            leaf.requires_grad_(x.requires_grad)
            x = leaf
        found.append(x)
    return tuple(found)


class CheckpointFunction(Function):
    """Runs the function without a graph, and in its backward again with one.

    What `checkpoint` applies with ``use_reentrant=True``.

    >>> import framework as torch
    >>> from framework.utils.checkpoint import CheckpointFunction
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> CheckpointFunction.apply(torch.exp, True, x).sum().backward()
    >>> x.grad
    tensor([2.7183, 7.3891])
    """

    @staticmethod
    def forward(ctx: Any, run_function: Any, preserve_rng_state: bool, *args: Any) -> Any:
        """Run the function without a graph."""
        tensors = [a for a in args if isinstance(a, Tensor)]
        check_backward_validity(tensors)
        ctx.run_function = run_function
        ctx.state = streams.get_rng_state() if preserve_rng_state else None
        ctx.casts = captured()
        ctx.others = [None if isinstance(a, Tensor) else a for a in args]
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        ctx.save_for_backward(*tensors)
        with no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Run it again with one, and go back through that."""
        if not modes.task.accumulate or modes.task.inputs is not None:
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or "
                "passing an `inputs` parameter to .backward(). To resolve this error, you can "
                "either set use_reentrant=False, or call .backward() without passing the `inputs` "
                "argument."
            )
        args = list(ctx.others)
        for place, tensor in zip(ctx.places, ctx.saved_tensors):
            args[place] = tensor
        leaves = detach_variable(tuple(args))
        before = streams.get_rng_state()
        if ctx.state is not None:
            streams.set_rng_state(ctx.state)
        try:
            with enable_grad(), entered(ctx.casts):
                outs = ctx.run_function(*leaves)
        finally:
            if ctx.state is not None:
                streams.set_rng_state(before)
        outs = (outs,) if isinstance(outs, Tensor) else outs
        pairs = [
            (o, g) for o, g in zip(outs, grads) if isinstance(o, Tensor) and o.requires_grad
        ]  # fmt: skip
        if not pairs:
            raise RuntimeError(
                "none of output has requires_grad=True, this checkpoint() is not necessary"
            )
        backward([o for o, _ in pairs], [g for _, g in pairs])
        return (None, None, *[x.grad if isinstance(x, Tensor) else None for x in leaves])


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """A sequence of modules or functions in ``segments`` checkpoints; the last is run as it is.

    Shapes and dtypes are those that the modules take and give. Raises what they raise;
    TypeError for ``segments`` that is no number.

    >>> import framework as torch
    >>> from framework.utils.checkpoint import checkpoint_sequential
    >>> x = torch.tensor([1.0], requires_grad=True)
    >>> checkpoint_sequential([torch.exp, torch.sin, torch.cos], 2, x, use_reentrant=False)
    tensor([0.9168], grad_fn=<CosBackward0>)
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be "
            "passed explicitly. In version 2.9 we will raise an exception if use_reentrant is not "
            "passed. use_reentrant=False is recommended, but if you need to preserve the current "
            "default behavior, you can pass use_reentrant=True. Refer to docs for more details on "
            "the differences between the two variants.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    parts = list(functions.children()) if hasattr(functions, "children") else list(functions)

    def run(start: int, end: int) -> Callable[[Any], Any]:
        def forward(x: Any) -> Any:
            for part in parts[start:end]:
                x = part(x)
            return x

        return forward

    length = len(parts) // segments
    end = 0
    for start in range(0, length * (segments - 1), length or 1):
        end = start + length
        input = checkpoint(
            run(start, end), input, use_reentrant=use_reentrant, preserve_rng_state=preserve
        )
    return run(end, len(parts))(input)


# -- choosing what to keep ------------------------------------------------------------------------


class CheckpointPolicy(enum.Enum):
    """What to do with the result of an op of a checkpointed part.

    >>> from framework.utils.checkpoint import CheckpointPolicy
    >>> [policy.name for policy in CheckpointPolicy][:2]
    ['MUST_SAVE', 'PREFER_SAVE']
    """

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4
    PREFER_CPU_OFFLOAD = 5


class SelectiveCheckpointContext:
    """What a policy is told beside the op and its arguments.

    >>> from framework.utils.checkpoint import SelectiveCheckpointContext
    >>> SelectiveCheckpointContext(is_recompute=True).is_recompute
    True
    """

    def __init__(self, *, is_recompute: bool, op_output: Any = None) -> None:
        self.is_recompute, self.op_output = is_recompute, op_output


def create_selective_checkpoint_contexts(
    policy_fn_or_list: Any, allow_cache_entry_mutation: bool = False
) -> tuple[Any, Any]:
    """The ``context_fn`` of a checkpoint that would keep the results of some ops.

    Accepted; here all ops are run again, with the same results.

    Raises:
        TypeError: it is neither a function nor a list of ops.

    >>> import framework as torch
    >>> from framework.utils import checkpoint as c
    >>> def keep(context, op, *args, **kwargs):
    ...     return c.CheckpointPolicy.PREFER_SAVE
    >>> x = torch.ones(1, requires_grad=True)
    >>> contexts = lambda: c.create_selective_checkpoint_contexts(keep)
    >>> c.checkpoint(torch.exp, x, use_reentrant=False, context_fn=contexts).backward()
    >>> x.grad
    tensor([2.7183])
    """
    if not callable(policy_fn_or_list) and not isinstance(policy_fn_or_list, list):
        raise TypeError("policy_fn_or_list must be either a function or a list of ops.")
    return noop_context_fn()


class DefaultDeviceType:
    """The kind of device whose random numbers a checkpoint repeats; one generator serves all.

    >>> from framework.utils.checkpoint import DefaultDeviceType
    >>> DefaultDeviceType.get_device_type()
    'cuda'
    """

    _kind = "cuda"

    @staticmethod
    def set_device_type(device: str = "cuda") -> None:
        """Remember a kind."""
        DefaultDeviceType._kind = device

    @staticmethod
    def get_device_type() -> str:
        """What `set_device_type` set."""
        return DefaultDeviceType._kind


def get_device_states(*args: Any) -> tuple[list[int], list[Any]]:
    """The numbers of the CUDA devices that tensors are on, and the states of their generators.

    Dtypes and shapes do not matter; it never raises.

    >>> import framework as torch
    >>> from framework.utils.checkpoint import get_device_states
    >>> get_device_states(torch.ones(1))
    ([], [])
    """
    devices = {a.get_device() for a in args if isinstance(a, Tensor) and a.is_cuda}
    return sorted(devices), [streams.get_rng_state() for _ in devices]


def set_device_states(devices: list[int], states: list[Any], *, device_type: Any = None) -> None:
    """Put the generators of devices back into states.

    Each state is a uint8 tensor of shape (16,): TypeError or RuntimeError for others.

    >>> import framework as torch
    >>> from framework.utils.checkpoint import set_device_states
    >>> state = torch.get_rng_state()
    >>> first = torch.rand(1)
    >>> set_device_states([0], [state])
    >>> torch.equal(torch.rand(1), first)
    True
    """
    for state in states:
        streams.set_rng_state(state)
