"""`Optimizer`: parameter groups, state, hooks, and the step that the trace sees."""

from __future__ import annotations

import functools
import warnings
from collections import defaultdict
from collections.abc import Callable
from copy import deepcopy
from threading import get_ident
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import broadcast_message
from framework.core.graph import Hook
from framework.core.modes import enable_grad, modes
from framework.core.views import before_write
from framework.kernels import NoMemory, module_of
from framework.kernels.cuda.optimizers import at_once, gathered
from framework.kernels.pool import no_memory
from framework.optim.borrowed import (  # noqa: F401
    _default_to_fused_or_foreach,
    _disable_dynamo_if_unsupported,
    _dispatch_sqrt,
    _get_scalar_dtype,
    _get_value,
    _stack_if_compiling,
    _use_grad_for_differentiable,
    _view_as_real,
)
from framework.quiet import raising
from framework.tensor import Tensor, wrap
from framework.trace import sink, turns

__all__ = [
    "Optimizer", "recorder_here", "register_optimizer_step_post_hook",
    "register_optimizer_step_pre_hook", "required",
]  # fmt: skip


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()

_STATE_HOOKS = ("state_dict_pre", "state_dict_post", "load_pre", "load_post")
_OWN = {
    "_pre_hooks", "_post_hooks", "_state_hooks", "_steps", "_inside", "_reported", "_inside_own",
    "_scratch",
}  # fmt: skip
_global_pre_hooks: dict[int, Any] = {}
_global_post_hooks: dict[int, Any] = {}


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> Hook:
    """``hook(optimizer, args, kwargs)`` before each step of every optimizer; returns a handle.

    >>> import framework as torch
    >>> from framework.optim.optimizer import register_optimizer_step_pre_hook
    >>> handle = register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: print("before"))
    >>> torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1).step()
    before
    >>> handle.remove()
    """
    return Hook(_global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> Hook:
    """``hook(optimizer, args, kwargs)`` after each step of every optimizer; returns a handle.

    >>> import framework as torch
    >>> from framework.optim.optimizer import register_optimizer_step_post_hook
    >>> handle = register_optimizer_step_post_hook(lambda optimizer, args, kwargs: print("after"))
    >>> torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1).step()
    after
    >>> handle.remove()
    """
    return Hook(_global_post_hooks, hook)


class Optimizer:
    """Base of the optimizers.

    A subclass gives `_update`, which computes on raw arrays; `step` calls it for each parameter
    that has a gradient. A subclass may instead define a ``step`` of its own, as in PyTorch; the
    trace then sees its writes, and the parameters' updates when it ends.

    Args:
        params: tensors, ``(name, tensor)`` pairs, or dicts with "params" and options of that group.
        defaults: options for groups that do not give them.

    Attributes:
        param_groups: list of dicts: "params" and the options.
        state: what is remembered for each parameter.

    Parameters are of any shape and of a float or complex dtype, gradients of the same. What a
    subclass remembers has its parameter's shape and dtype. Raises: TypeError for a single tensor or
    something that is none, KeyError for a dict without "params", ValueError for an empty list, a
    tensor that is no leaf or one that stands in two groups.

    >>> import framework as torch
    >>> class SignDescent(torch.optim.Optimizer):
    ...     def __init__(self, params, lr):
    ...         super().__init__(params, {"lr": lr})
    ...
    ...     @torch.no_grad()
    ...     def step(self):
    ...         for group in self.param_groups:
    ...             for p in group["params"]:
    ...                 p -= group["lr"] * p.grad.sign()
    >>> x = torch.tensor([1.0, -5.0], requires_grad=True)
    >>> x.square().sum().backward()
    >>> SignDescent([x], lr=0.1).step()
    >>> x.detach()
    tensor([ 0.9000, -4.9000])
    """

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self._set_up()
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, "
                "but got torch.FloatTensor"
            )
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)
        turns.made(self)

    def _set_up(self) -> None:
        """What is not in a pickle."""
        self._pre_hooks: dict[int, Any] = {}
        self._post_hooks: dict[int, Any] = {}
        self._state_hooks: dict[str, dict[int, Any]] = {name: {} for name in _STATE_HOOKS}
        self._steps = 0  # taken so far, for the trace and for schedulers
        self._inside = False  # in a step: a call of super().step() is part of it
        self._reported = False  # this step's updates are in the trace
        self._inside_own = False  # in a step that a subclass wrote
        self._scratch: dict[Any, Any] = {}

    def __getattr__(self, name: str) -> Any:
        # A wrapper around another optimizer (Lookahead, ...) may take over that one's groups and
        # never call this class's constructor.
        if name in _OWN and "_steps" not in self.__dict__:
            self._set_up()
            return getattr(self, name)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "step" in cls.__dict__:
            cls.step = _traced(cls.__dict__["step"])  # type: ignore[method-assign]

    # -- groups ------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimize more parameters: ``{"params": [...], "lr": 0.1}``.

        TypeError for what is no dict of tensors, ValueError for a parameter that another group has
        and for options that are missing.

        >>> import framework as torch
        >>> optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.5)
        >>> optimizer.add_param_group({"params": [torch.ones(2, requires_grad=True)], "lr": 0.1})
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.5, 0.1]
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        group = dict(param_group)
        params = group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, (set, frozenset)):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the "
                "ordering of tensors in sets will change between runs. Please use a list instead."
            )
        params = list(params)
        named = [p for p in params if isinstance(p, tuple)]
        if named:
            if len(named) != len(params):
                raise ValueError(
                    "all optimizer params should be with/without names. Some param names are "
                    "missing"
                )
            group["param_names"] = [name for name, _ in params]
            params = [p for _, p in params]
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(
                    "optimizer can only optimize Tensors, but one of the params is "
                    f"{type(p).__name__}"
                )
            differentiable = self.defaults.get("differentiable")
            if p.grad_fn is not None and not p.retains_grad and not differentiable:
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in group:
                raise ValueError(
                    "parameter group didn't specify a value of required optimization parameter "
                    f"{name}"
                )
            group.setdefault(name, default)
        ids = [id(p) for p in params]
        if len(set(ids)) != len(ids):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this "
                "will cause an error; see github.com/pytorch/pytorch/issues/40967 for more "
                "information",
                stacklevel=3,
            )
        if self.param_groups and ("param_names" in group) != (
            "param_names" in self.param_groups[0]
        ):
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                f"{'with' if 'param_names' in group else 'without'} names to the optimizer"
            )
        known = {id(p) for g in self.param_groups for p in g["params"]}
        if known.intersection(ids):
            raise ValueError("some parameters appear in more than one parameter group")
        del group["params"]
        self.param_groups.append({"params": params, **group})

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or with ``set_to_none=False`` fill them with zeros.

        >>> import framework as torch
        >>> w = torch.ones(1, requires_grad=True)
        >>> w.sum().backward()
        >>> torch.optim.SGD([w], lr=0.5).zero_grad()
        >>> w.grad is None
        True
        """
        for group in self.param_groups:
            for p in group["params"]:
                grad = p.grad
                if grad is None:
                    continue
                if set_to_none:
                    p.grad = None
                    continue
                if grad._edge is not None or grad._rg:
                    grad.detach_()
                before_write(grad)
                grad._data[...] = 0

    # -- the step ----------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Args:
            closure: called first, with grad mode on, to compute the loss and its gradients anew.

        Returns:
            What ``closure`` returned.

        NotImplementedError, with a gradient, for a class that has neither this nor ``_update``.

        >>> import framework as torch
        >>> w = torch.tensor([2.0], requires_grad=True)
        >>> optimizer = torch.optim.SGD([w], lr=0.5)
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = (w * w).sum()
        ...     loss.backward()
        ...     return loss
        >>> optimizer.step(closure).item(), w.item()
        (4.0, 0.0)
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        if self._inside_own:
            self._update_all(recorder_here())
        else:
            self._take_step(self._update_all)
        return loss

    def _take_step(self, work: Callable[[Any], None]) -> None:
        """Count a step and run ``work(recorder)`` between its begin and its end in the trace."""
        self._steps += 1
        recorder = recorder_here()
        if recorder is not None:
            recorder.announce([p for group in self.param_groups for p in group["params"]])
        failure: BaseException | None = None
        begin = recorder.begin_optim(self, self._steps) if recorder is not None else 0
        try:
            turns.begins(self)
            work(recorder)
        except BaseException as error:
            failure = error
            raise
        finally:
            turns.ended()
            if recorder is not None:
                recorder.end_optim(begin, failure)
                failure = None

    def _update_all(self, recorder: Any) -> None:
        self._reported = True
        before, modes.grad = modes.grad, False
        try:
            if raising():
                with np.errstate(all="ignore"):
                    self._update_groups(recorder)
            else:
                self._update_groups(recorder)
        finally:
            modes.grad = before

    def _update_groups(self, recorder: Any) -> None:
        # A trace wants each parameter's new values when it is told of them.
        if recorder is None and self._on_cuda():
            with gathered():
                self._update_each(None)
        else:
            self._update_each(recorder)

    def _on_cuda(self) -> bool:
        first = next((p for group in self.param_groups for p in group["params"]), None)
        return first is not None and first._device.type == "cuda"

    def _update_each(self, recorder: Any) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if group.get("capturable") and p._device.type == "cpu":
                    raise AssertionError(
                        "If capturable=True, params and state_steps must be on supported devices: "
                        "['cuda', 'xpu', 'hpu', 'privateuseone', 'xla']."
                    )
                state = self.state.get(p, {})
                try:
                    self._update_one(p, group, state)
                except ValueError as error:
                    raise _of_shapes(p, state, error) from None
                except MemoryError as error:
                    if isinstance(error, NoMemory):
                        raise
                    what, shown = f"{type(self).__name__}.step", f" (shape {list(p.shape)})"
                    raise no_memory(what, error, p._device, shown) from None
                if state:
                    self.state[p] = state
                if recorder is not None:
                    recorder.update(p, state)

    def _update_one(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        """Announce the writes, prepare the arrays, and update one parameter."""
        given = p.grad
        assert given is not None
        if given._data.__class__ is not np.ndarray and given.is_sparse:
            self._update_sparse(p, group, state)
            return
        self._begin(p, group, state)
        before_write(p)
        arrays, step = {}, None
        for k, v in state.items():
            if k == "step":
                step = v
            elif isinstance(v, Tensor):
                arrays[k] = v._data
                if v._id:  # the trace has seen it
                    before_write(v)
        if step is not None:
            if step._id:
                before_write(step)
            step._data += 1
        param, grad = p._data, given._data
        kind = param.dtype.kind
        if group.get("differentiable"):
            from framework.optim import taped

            taped.update(self, p, group, state, 0.0 if step is None else float(step._data))
        elif kind == "c" or param.dtype.itemsize == 2:
            with at_once():
                self._update_converted(param, grad, arrays, group, step)
        else:
            self._update(param, grad, arrays, group, 0.0 if step is None else float(step._data))

    def _update_converted(
        self, param: Any, grad: Any, arrays: dict[str, Any], group: dict[str, Any], step: Any
    ) -> None:
        """Half precision computes in float32; complex numbers as pairs of real ones."""

        def convert(a: Any) -> Any:
            if a.dtype.kind == "c":
                xp = module_of(a)
                return xp.stack([a.real, a.imag])
            return a.astype(np.float32)

        wide = convert(param)
        kept = {k: convert(a) for k, a in arrays.items()}
        self._update(wide, convert(grad), kept, group, 0.0 if step is None else float(step._data))
        for target, result in ((param, wide), *((arrays[k], kept[k]) for k in arrays)):
            if target.dtype.kind == "c":
                target.real[...], target.imag[...] = result[0], result[1]
            else:
                target[...] = result.astype(target.dtype)

    def _update_sparse(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        """Update the elements that a sparse gradient has; most optimizers cannot."""
        name = type(self).__name__
        advice = ", please consider SparseAdam instead" if name in ("Adam", "AdamW") else ""
        raise RuntimeError(f"{name} does not support sparse gradients{advice}")

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        """Make the tensors of ``state`` that this step needs."""

    def _update(
        self, param: Any, grad: Any, state: dict[str, Any], group: dict[str, Any], step: float
    ) -> None:
        """Write the new value into the array ``param``, with the arrays of ``state``.

        ``grad`` must not be written. ``step`` is the count of this parameter's updates, with this
        one, if its state has a "step".
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement step")

    def _room(self, like: Any, number: int = 0) -> Any:
        """An array to compute in, with the shape and type of ``like``; the same one each time."""
        if not hasattr(like, "dtype"):  # one that leaves a history
            return type(like)(None)
        xp = module_of(like)
        key = (xp.__name__, like.dtype, number)
        flat = self._scratch.get(key)
        if flat is None or flat.size < like.size:
            flat = self._scratch[key] = xp.empty(max(like.size, 1), like.dtype)
        return flat[: like.size].reshape(like.shape)

    def _count(self, state: dict[str, Any]) -> None:
        """Start the count of updates: a scalar on the CPU, as in PyTorch."""
        self._scalar(state, "step", 0.0)

    def _scalar(self, state: dict[str, Any], name: str, value: float) -> None:
        """A number of the state: float32, or float64 if that is the default type."""
        if name not in state:
            wide = dtypes.get_default_dtype() is dtypes.float64
            state[name] = wrap(np.full((), value, np.float64 if wide else np.float32))

    def _buffer(self, p: Tensor, state: dict[str, Any], name: str, value: float = 0.0) -> None:
        """A tensor of the state that is like the parameter and starts as ``value``."""
        if state.get(name) is None:
            start = complex(value, value) if p.is_complex() else value
            state[name] = wrap(module_of(p._data).full_like(p._data, start), p._device)

    # -- hooks -------------------------------------------------------------------------------

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> Hook:
        """``hook(optimizer, args, kwargs)`` before each step; may return new ``(args, kwargs)``.

        The first of ``args`` is the optimizer itself, as in PyTorch.

        RuntimeError in ``step`` for a hook that returns anything but None or two values.

        >>> import framework as torch
        >>> optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.5)
        >>> with optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: print(len(args))):
        ...     optimizer.step()
        1
        """
        return Hook(self._pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> Hook:
        """``hook(optimizer, args, kwargs)`` after each step.

        >>> import framework as torch
        >>> optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.5)
        >>> with optimizer.register_step_post_hook(lambda o, args, kwargs: print("stepped")):
        ...     optimizer.step()
        stepped
        """
        return Hook(self._post_hooks, hook)

    def register_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> Hook:  # fmt: skip
        """``hook(optimizer)`` before `state_dict`.

        >>> import framework as torch
        >>> optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.5)
        >>> with optimizer.register_state_dict_pre_hook(lambda optimizer: print("asked")):
        ...     state = optimizer.state_dict()
        asked
        """
        return Hook(self._state_hooks["state_dict_pre"], hook, prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> Hook:  # fmt: skip
        """``hook(optimizer, state_dict)`` after `state_dict`; may return another one.

        >>> import framework as torch
        >>> optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.5)
        >>> with optimizer.register_state_dict_post_hook(lambda o, state: {**state, "more": 1}):
        ...     list(optimizer.state_dict())
        ['state', 'param_groups', 'more']
        """
        return Hook(self._state_hooks["state_dict_post"], hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> Hook:  # fmt: skip
        """``hook(optimizer, state_dict)`` before loading a copy; may return another one.

        >>> import framework as torch
        >>> optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.5)
        >>> with optimizer.register_load_state_dict_pre_hook(lambda o, state: print(list(state))):
        ...     optimizer.load_state_dict(optimizer.state_dict())
        ['state', 'param_groups']
        """
        return Hook(self._state_hooks["load_pre"], hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> Hook:  # fmt: skip
        """``hook(optimizer)`` after loading.

        >>> import framework as torch
        >>> optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.5)
        >>> with optimizer.register_load_state_dict_post_hook(lambda optimizer: print("loaded")):
        ...     optimizer.load_state_dict(optimizer.state_dict())
        loaded
        """
        return Hook(self._state_hooks["load_post"], hook, prepend)

    @staticmethod
    def profile_hook_step(func: Callable[..., Any]) -> Callable[..., Any]:
        """Accepted for PyTorch's sake: every ``step`` is in the trace already.

        >>> import framework as torch
        >>> step = torch.optim.SGD.step
        >>> torch.optim.Optimizer.profile_hook_step(step) is step
        True
        """
        return func

    # -- state dict --------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """State and options, with parameters replaced by their number, in PyTorch's layout.

        The tensors of the state are the live ones, not copies.

        >>> import framework as torch
        >>> optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.5)
        >>> state = optimizer.state_dict()
        >>> state["state"], state["param_groups"][0]["params"], state["param_groups"][0]["lr"]
        ({}, [0], 0.5)
        """
        for hook in list(self._state_hooks["state_dict_pre"].values()):
            hook(self)
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            packed = {k: v for k, v in group.items() if k != "params"}
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {
            (numbers[id(p)] if isinstance(p, Tensor) else p): value
            for p, value in self.state.items()
        }
        result = {"state": state, "param_groups": groups}
        for hook in list(self._state_hooks["state_dict_post"].values()):
            changed = hook(self, result)
            if changed is not None:
                result = changed
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave, for the same parameters in the same order.

        State tensors are copied to their parameter's dtype and device, the count of steps is not.

        Raises:
            ValueError: other groups than this optimizer's.

        >>> import framework as torch
        >>> w = torch.ones(1, requires_grad=True)
        >>> optimizer, other = torch.optim.Adam([w], lr=0.5), torch.optim.Adam([w], lr=0.1)
        >>> optimizer.load_state_dict(other.state_dict())
        >>> optimizer.param_groups[0]["lr"]
        0.1
        """
        state_dict = dict(state_dict)
        for hook in list(self._state_hooks["load_pre"].values()):
            changed = hook(self, state_dict)
            if changed is not None:
                state_dict = changed
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(a["params"]) != len(b["params"]) for a, b in zip(self.param_groups, saved)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of "
                "optimizer's group"
            )
        numbers = [n for group in saved for n in group["params"]]
        params = [p for group in self.param_groups for p in group["params"]]
        owner = dict(zip(numbers, params))
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for number, value in state_dict["state"].items():
            if number in owner:
                p = owner[number]
                state[p] = {k: _placed(v, p, k) for k, v in value.items()}
            else:
                state[number] = deepcopy(value)
        self.state = state
        for group, given in zip(self.param_groups, saved):
            names = {"param_names": group["param_names"]} if "param_names" in group else {}
            params_here = group["params"]
            group.clear()
            group["params"] = params_here
            group.update(deepcopy({k: v for k, v in given.items() if k != "params"}))
            group.update(names)
        for hook in list(self._state_hooks["load_post"].values()):
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._set_up()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            if i:
                lines.append("")
            lines.append(f"Parameter Group {i}")
            lines += [f"    {k}: {group[k]}" for k in sorted(group) if k != "params"]
        return "\n".join([*lines, ")"])


def recorder_here() -> Any:
    """The trace's recorder, if this thread is traced."""
    recorder = sink.active
    return recorder if recorder is not None and recorder.thread == get_ident() else None


def _placed(value: Any, p: Tensor, key: str) -> Any:
    """A loaded piece of state, where parameter ``p`` wants it."""
    if isinstance(value, dict):
        return {k: _placed(v, p, k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_placed(v, p, key) for v in value)
    if not isinstance(value, Tensor):
        return deepcopy(value)
    made = value.detach().clone()
    if key == "step":
        return made
    if p.is_floating_point():
        return made.to(p.device, p.dtype)
    return made.to(p.device)


def _traced(step: Callable[..., Any]) -> Callable[..., Any]:
    """A ``step`` with its hooks; one that a user wrote also gets its begin and end in the trace."""
    own = step.__module__ == __name__

    @functools.wraps(step)
    def wrapped(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if self._inside:
            return step(self, *args, **kwargs)
        for hook in (*_global_pre_hooks.values(), *self._pre_hooks.values()):
            changed = hook(self, (self, *args), kwargs)
            if changed is not None:
                if not isinstance(changed, tuple) or len(changed) != 2:
                    raise RuntimeError(
                        f"{type(self).__name__}.step must return None or a tuple of (new_args, "
                        f"new_kwargs), but got {changed}."
                    )
                (_, *args), kwargs = changed
        self._inside = True
        try:
            result = step(self, *args, **kwargs) if own else _own_step(self, step, args, kwargs)
        except MemoryError as error:
            if isinstance(error, NoMemory):
                raise
            where = self.param_groups[0]["params"][0].device
            raise no_memory(f"{type(self).__name__}.step", error, where) from None
        finally:
            self._inside = False
        for hook in (*self._post_hooks.values(), *_global_post_hooks.values()):
            hook(self, (self, *args), kwargs)
        return result

    return wrapped


def _own_step(optimizer: Optimizer, step: Any, args: Any, kwargs: Any) -> Any:
    """Run a ``step`` that a user wrote as one container of the trace."""
    result = None

    def work(recorder: Any) -> None:
        nonlocal result
        result = step(optimizer, *args, **kwargs)
        if recorder is None or optimizer._reported:
            return
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    recorder.update(p, optimizer.state.get(p, {}))

    optimizer._reported, optimizer._inside_own = False, True
    try:
        optimizer._take_step(work)
    finally:
        optimizer._inside_own = False
    return result


Optimizer.step = _traced(Optimizer.step)  # type: ignore[method-assign]


def _of_shapes(p: Tensor, state: dict[str, Any], error: ValueError) -> Exception:
    """PyTorch's words where a parameter's `data` has got another shape than its state has."""
    for kept in state.values():
        if isinstance(kept, Tensor) and kept._data.ndim and kept.shape != p.shape:
            words = broadcast_message([list(kept.shape), list(p.shape)])
            return RuntimeError(words) if words else error
    return error
