"""State dicts: a module's parameters and persistent buffers by their dotted paths."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from framework.core.graph import Hook
from framework.core.modes import no_grad
from framework.nn.parameter import Parameter, is_lazy
from framework.tensor import Tensor

__all__ = ["IncompatibleKeys", "StateDict", "add_indent", "type_name"]

EXTRA_STATE = "_extra_state"


def type_name(value: Any) -> str:
    """How messages name a value's type: ``list``, ``torch.FloatTensor``."""
    if isinstance(value, Parameter):
        return "torch.nn.parameter.Parameter"
    if isinstance(value, Tensor):
        from framework.kernels.floats import type_name as array_type

        return f"torch.{array_type(value._data)}Tensor"
    if isinstance(value, type):
        return value.__name__
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def add_indent(text: str, spaces: int) -> str:
    """``text`` with all lines but the first moved to the right."""
    return text.replace("\n", "\n" + " " * spaces)


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict`` did not find, and what it had no use for.

    >>> from framework import nn
    >>> nn.Linear(1, 1).load_state_dict({}, strict=False).missing_keys
    ['weight', 'bias']
    """

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"_IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


class StateDict:
    """The part of `Module` that saves and loads its state."""

    _version = 1
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    _state_dict_hooks: dict[int, Any]
    _state_dict_pre_hooks: dict[int, Any]
    _load_state_dict_pre_hooks: dict[int, Any]
    _load_state_dict_post_hooks: dict[int, Any]

    # -- saving ------------------------------------------------------------------------------

    def get_extra_state(self) -> Any:
        """More to save than tensors; a subclass that defines it defines `set_extra_state` too.

        The result stands in the state dict under "_extra_state"; without a definition of its own a
        module has none, and this is a RuntimeError.

        >>> from framework import nn
        >>> class Counter(nn.Module):
        ...     steps = 3
        ...
        ...     def get_extra_state(self):
        ...         return {"steps": self.steps}
        ...
        ...     def set_extra_state(self, state):
        ...         self.steps = state["steps"]
        >>> Counter().state_dict()["_extra_state"]
        {'steps': 3}
        """
        raise RuntimeError(
            "Reached a code path in Module.get_extra_state() that should never be called."
        )

    def set_extra_state(self, state: Any) -> None:
        """Take back what `get_extra_state` gave; called by `load_state_dict`.

        >>> from framework import nn
        >>> class Counter(nn.Module):
        ...     steps = 3
        ...
        ...     def get_extra_state(self):
        ...         return {"steps": self.steps}
        ...
        ...     def set_extra_state(self, state):
        ...         self.steps = state["steps"]
        >>> counter = Counter()
        >>> counter.load_state_dict({"_extra_state": {"steps": 8}})
        <All keys matched successfully>
        >>> counter.steps
        8
        """
        raise RuntimeError(
            "Reached a code path in Module.set_extra_state() that should never be called."
        )

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> Any:
        """Parameters and persistent buffers by dotted path, sharing their memory.

        Args:
            destination: a dict to be filled, else a new one.
            prefix: stands before all paths.
            keep_vars: the very parameters, not detached.

        >>> from framework import nn
        >>> list(nn.Sequential(nn.Linear(1, 2), nn.ReLU()).state_dict())
        ['0.weight', '0.bias']
        """
        if args:
            warnings.warn(
                "Positional args are being deprecated, use kwargs instead. Refer to "
                "https://pytorch.org/docs/main/generated/torch.nn.Module.html"
                "#torch.nn.Module.state_dict for details.",
                FutureWarning,
                stacklevel=2,
            )
        for value, given in zip(args, ("destination", "prefix", "keep_vars")):
            if given == "destination":
                destination = value
            elif given == "prefix":
                prefix = value
            else:
                keep_vars = value
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in list(self._state_dict_pre_hooks.values()):
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(
                    destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
                )
        for hook in list(self._state_dict_hooks.values()):
            result = hook(self, destination, prefix, metadata)
            if result is None:
                continue
            if not isinstance(hook, _Replacing):
                raise RuntimeError("state_dict post-hook must return None")
            destination = result
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, value in self._own_state():
            destination[prefix + name] = value if keep_vars or is_lazy(value) else value.detach()
        if type(self).get_extra_state is not StateDict.get_extra_state:
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def _own_state(self) -> list[tuple[str, Any]]:
        hidden = self._non_persistent_buffers_set
        own = [*self._parameters.items()]
        own += [(n, b) for n, b in self._buffers.items() if n not in hidden]
        return [(name, value) for name, value in own if value is not None]

    # -- loading -----------------------------------------------------------------------------

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy a state dict into this module and those below.

        Args:
            strict: missing and unexpected keys are errors, not only reported.
            assign: take the given tensors themselves instead of copying their values.

        Raises:
            RuntimeError: keys or sizes do not fit; names every one of them.
            TypeError: it is not a mapping.

        >>> import framework as torch
        >>> from framework import nn
        >>> layer = nn.Linear(1, 1)
        >>> layer.load_state_dict({"weight": torch.tensor([[2.0]]), "bias": torch.tensor([1.0])})
        <All keys matched successfully>
        >>> layer(torch.tensor([3.0])).item()
        7.0
        >>> layer.load_state_dict({"weight": torch.tensor([[2.0]])}, strict=False)
        _IncompatibleKeys(missing_keys=['bias'], unexpected_keys=[])
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"Expected state_dict to be dict-like, got {type(state_dict)}."
            )  # fmt: skip
        metadata = getattr(state_dict, "_metadata", {})
        given = OrderedDict(state_dict)
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        self._load_below("", given, metadata, strict, assign, (missing, unexpected, errors))
        if strict:
            if unexpected:
                names = ", ".join(f'"{k}"' for k in unexpected)
                errors.insert(0, f"Unexpected key(s) in state_dict: {names}. ")
            if missing:
                names = ", ".join(f'"{k}"' for k in missing)
                errors.insert(0, f"Missing key(s) in state_dict: {names}. ")
        if errors:
            raise RuntimeError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t"
                + "\n\t".join(errors)
            )
        return IncompatibleKeys(missing, unexpected)

    def _load_below(
        self, prefix: str, given: dict[str, Any], metadata: Any, strict: bool, assign: bool,
        found: tuple[list[str], list[str], list[str]],
    ) -> None:  # fmt: skip
        missing, unexpected, errors = found
        local = dict(metadata.get(prefix[:-1], {}) if metadata else {})
        if assign:
            local["assign_to_params_buffers"] = True
        self._load_from_state_dict(given, prefix, local, True, missing, unexpected, errors)
        for name, module in self._modules.items():
            if module is not None:
                inner = f"{prefix}{name}."
                part = {k: v for k, v in given.items() if k.startswith(inner)}
                module._load_below(inner, part, metadata, strict, assign, found)
        report = IncompatibleKeys(missing, unexpected)
        for hook in list(self._load_state_dict_post_hooks.values()):
            if hook(self, report) is not None:
                raise AssertionError(
                    "Hooks registered with ``register_load_state_dict_post_hook`` are not expected "
                    "to return new values, if incompatible_keys need to be modified, it should be "
                    "done inplace."
                )

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, strict: bool,
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        """Load this module's own part; subclasses extend it to read older layouts."""
        for hook in list(self._load_state_dict_pre_hooks.values()):
            hook(
                self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
                error_msgs,
            )  # fmt: skip
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, value in self._own_state():
            key = prefix + name
            if key not in state_dict:
                missing_keys.append(key)
                continue
            problem = self._load_one(name, value, state_dict[key], key, assign)
            if problem:
                error_msgs.append(problem)
        self._load_extra(state_dict, prefix + EXTRA_STATE, missing_keys, unexpected_keys)
        own = dict(self._own_state())
        for key in state_dict:
            if key.startswith(prefix) and key != prefix + EXTRA_STATE:
                first, dot, _ = key[len(prefix) :].partition(".")
                if first not in (self._modules if dot else own):
                    unexpected_keys.append(key)

    def _load_extra(
        self, state_dict: Any, key: str, missing: list[str], unexpected: list[str]
    ) -> None:
        if type(self).set_extra_state is not StateDict.set_extra_state:
            if key in state_dict:
                self.set_extra_state(state_dict[key])
            else:
                missing.append(key)
        elif key in state_dict:
            unexpected.append(key)

    def _load_one(self, name: str, value: Any, new: Any, key: str, assign: bool) -> str:
        """Load one tensor; returns what is wrong with it, or ""."""
        if not isinstance(new, Tensor):
            return (
                f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like '
                f"object from checkpoint but received {type(new)}"
            )
        if is_lazy(value):
            return ""  # both are: nothing to copy yet
        if value.ndim == 0 and tuple(new.shape) == (1,):
            new = new[0]  # written before there were 0-d tensors
        if value.shape != new.shape:
            return (
                f"size mismatch for {key}: copying a param with shape {new.shape} from checkpoint, "
                f"the shape in current model is {value.shape}."
            )
        try:
            if assign:
                self._assign(name, value, new)
            elif value.is_meta and not new.is_meta:
                warnings.warn(
                    f"for {key}: copying from a non-meta parameter in the checkpoint to a meta "
                    "parameter in the current model, which is a no-op. (Did you mean to pass "
                    "`assign=True` to assign items in the state dictionary to their corresponding "
                    "key in the module instead of copying them in place?)",
                    stacklevel=2,
                )
            else:
                with no_grad():
                    value.copy_(new)
        except Exception as error:
            return (
                f'While copying the parameter named "{key}", whose dimensions in the model are '
                f"{value.size()} and whose dimensions in the checkpoint are {new.size()}, an "
                f"exception occurred : {error.args}."
            )
        return ""

    def _assign(self, name: str, value: Any, new: Tensor) -> None:
        if isinstance(value, Parameter):
            made = new if isinstance(new, Parameter) else Parameter(new, value.requires_grad)
            made.requires_grad_(value.requires_grad)
            self._parameters[name] = made
        else:
            self._buffers[name] = new

    # -- hooks -------------------------------------------------------------------------------

    def register_state_dict_post_hook(self, hook: Callable[..., None]) -> Hook:
        """``hook(module, state_dict, prefix, local_metadata)`` after this module's part.

        The hook may change the state dict in place; RuntimeError if it returns something. Returns a
        handle, whose ``remove()`` takes the hook away.

        >>> from framework import nn
        >>> layer = nn.Linear(1, 1)
        >>> def without_bias(module, state, prefix, metadata):
        ...     del state[prefix + "bias"]
        >>> handle = layer.register_state_dict_post_hook(without_bias)
        >>> list(layer.state_dict())
        ['weight']
        >>> handle.remove()
        """
        return Hook(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> Hook:
        """The older form: the hook may return another state dict."""
        return Hook(self._state_dict_hooks, _Replacing(hook))

    def register_state_dict_pre_hook(self, hook: Callable[..., None]) -> Hook:
        """``hook(module, prefix, keep_vars)`` before this module's part; returns a handle.

        >>> from framework import nn
        >>> layer = nn.ReLU()
        >>> handle = layer.register_state_dict_pre_hook(lambda m, *rest: print("saving", m))
        >>> _ = layer.state_dict()
        saving ReLU()
        """
        return Hook(self._state_dict_pre_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., None]) -> Hook:
        """A hook that is called before this module's part is loaded; returns a handle.

        It is called as ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs)`` and may edit all of them: this is where older names become
        new ones.

        >>> import framework as torch
        >>> from framework import nn
        >>> layer = nn.Linear(1, 1, bias=False)
        >>> def rename(module, state, prefix, *rest):
        ...     state[prefix + "weight"] = state.pop(prefix + "w")
        >>> handle = layer.register_load_state_dict_pre_hook(rename)
        >>> layer.load_state_dict({"w": torch.ones(1, 1)})
        <All keys matched successfully>
        """
        return Hook(self._load_state_dict_pre_hooks, hook)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., None], with_module: bool = False
    ) -> Hook:
        """The older form: the hook gets the module only ``with_module``."""
        taken = hook if with_module else _WithoutModule(hook)
        return Hook(self._load_state_dict_pre_hooks, taken)

    def register_load_state_dict_post_hook(self, hook: Callable[..., None]) -> Hook:
        """``hook(module, incompatible_keys)`` after this module's part; returns a handle.

        The hook may edit the lists ``missing_keys`` and ``unexpected_keys`` in place;
        AssertionError if it returns something.

        >>> from framework import nn
        >>> layer = nn.Linear(1, 1)
        >>> def forgive(module, keys):
        ...     keys.missing_keys.clear()
        >>> handle = layer.register_load_state_dict_post_hook(forgive)
        >>> layer.load_state_dict({})
        <All keys matched successfully>
        """
        return Hook(self._load_state_dict_post_hooks, hook)


class _Replacing:
    """A hook whose result, if there is one, takes the place of the state dict."""

    def __init__(self, hook: Callable[..., Any]) -> None:
        self.hook = hook

    def __call__(self, *args: Any) -> Any:
        return self.hook(*args)


class _WithoutModule:
    """A hook that is called without its first argument."""

    def __init__(self, hook: Callable[..., None]) -> None:
        self.hook = hook

    def __call__(self, module: Any, *args: Any) -> None:
        self.hook(*args)
