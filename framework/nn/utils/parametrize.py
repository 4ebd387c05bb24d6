"""Parameters that are computed from others: ``module.weight`` = parametrization(original)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any

from framework.core.modes import no_grad
from framework.nn.modules.container import ModuleDict, ModuleList
from framework.nn.modules.module import Module
from framework.nn.parameter import Parameter
from framework.tensor import Tensor

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization",
    "remove_parametrizations", "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]  # fmt: skip


class _Cache:
    depth = 0
    values: dict[tuple[int, str], Any] = {}  # noqa: RUF012


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrized tensor only once inside of it.

    Shapes, dtypes and values are the same as outside; what a computation raises (RuntimeError and
    so on) comes at its first use.

    >>> from framework import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    >>> with nn.utils.parametrize.cached():
    ...     layer.weight is layer.weight
    True
    >>> layer.weight is layer.weight
    False
    """
    _Cache.depth += 1
    try:
        yield
    finally:
        _Cache.depth -= 1
        if not _Cache.depth:
            _Cache.values = {}


def _register(module: Any, name: str, tensor: Any) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, and the tensor ``original`` (or ``original0``, ...).

    Calling it computes the tensor; assigning to the tensor goes through `right_inverse`. It stands
    in ``module.parametrizations``; ValueError for no parametrizations, and unless ``unsafe`` for
    one that changes shape or dtype.

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    >>> parts = layer.parametrizations.weight
    >>> type(parts).__name__, len(parts), [name for name, _ in parts.named_parameters()]
    ('ParametrizationList', 1, ['original0', 'original1'])
    >>> torch.equal(parts(), layer.weight)
    True
    """

    def __init__(
        self, modules: Sequence[Module], original: Any, unsafe: bool = False
    ) -> None:  # fmt: skip
        if not len(modules):
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        with no_grad():
            new: Any = original
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    with suppress(NotImplementedError):
                        new = module.right_inverse(new)
        if not isinstance(new, (Tensor, Sequence)):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(new).__name__}"
            )
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            self._keep_one(original, new)
        else:
            self._keep_several(original, new)
        if not unsafe:
            made = self()
            where = "Registering a parametrization", "unless `unsafe` flag is enabled"
            _check_tensor(made, "A parametrization must return a tensor.")
            _check_same("dtype", where, ("unparametrized dtype", dtype),
                        ("parametrized dtype", made.dtype))  # fmt: skip
            _check_same("shape", where, ("unparametrized shape", shape),
                        ("parametrized shape", made.shape))  # fmt: skip

    def _keep_one(self, original: Any, new: Any) -> None:
        for what in ("dtype", "device"):
            old, got = getattr(original, what), getattr(new, what)
            if old != got:
                raise ValueError(
                    f"When `right_inverse` outputs one tensor, it may not change the {what}.\n"
                    f"original.{what}: {old}\nright_inverse(original).{what}: {got}"
                )
        original.data = new
        _register(self, "original", original)

    def _keep_several(self, original: Any, new: Any) -> None:
        for i, part in enumerate(new):
            if not isinstance(part, Tensor):
                raise ValueError(
                    "'right_inverse' must return a Tensor or a Sequence of tensors (list, "
                    f"tuple...). Got element {i} of the sequence with type {type(part).__name__}."
                )
            if isinstance(original, Parameter):
                part = Parameter(part.detach(), original.requires_grad)
            part.requires_grad_(original.requires_grad)
            _register(self, f"original{i}", part)

    def right_inverse(self, value: Any) -> None:
        """Set the original(s) so that the parametrized tensor becomes ``value``.

        RuntimeError if a parametrization does not say how, ValueError if what it gives does not
        fit.

        >>> import framework as torch
        >>> from framework import nn
        >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 1))
        >>> layer.parametrizations.weight.right_inverse(torch.tensor([[3.0, 4.0]]))
        >>> layer.parametrizations.weight.original0.item()
        5.0
        """
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse."
                    )
                value = module.right_inverse(value)
            if self.is_tensor:
                if not isinstance(value, Tensor):
                    raise ValueError(
                        f"`right_inverse` should return a tensor. Got {type(value).__name__}"
                    )
                if value.dtype != self.original.dtype:
                    raise ValueError(
                        f"The tensor returned by `right_inverse` has dtype {value.dtype} while "
                        f"`original` has dtype {self.original.dtype}"
                    )
                self.original.data = value
                return
            self._set_several(value)

    def _set_several(self, value: Any) -> None:
        if not isinstance(value, Sequence):
            raise ValueError(
                f"'right_inverse' must return a sequence of tensors. Got {type(value).__name__}."
            )
        if len(value) != self.ntensors:
            raise ValueError(
                f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got "
                f"a sequence of length {len(value)}."
            )
        for i, part in enumerate(value):
            original = getattr(self, f"original{i}")
            if not isinstance(part, Tensor):
                raise ValueError(
                    f"'right_inverse' must return a sequence of tensors. Got element {i} of type "
                    f"{type(part).__name__}."
                )
            if original.dtype != part.dtype:
                raise ValueError(
                    f"Tensor {i} returned by `right_inverse` has dtype {part.dtype} while "
                    f"`original{i}` has dtype {original.dtype}"
                )
            original.data = part

    def forward(self) -> Any:
        originals = [self.original] if self.is_tensor else [
            getattr(self, f"original{i}") for i in range(self.ntensors)
        ]  # fmt: skip
        first, *others = self
        x = first(*originals)
        for module in others:
            x = module(x)
        return x


def _check_tensor(value: Any, words: str) -> None:
    if not isinstance(value, Tensor):
        raise ValueError(f"{words} Got {type(value).__name__}.")


def _check_same(what: str, where: tuple[str, str], old: Any, new: Any) -> None:
    if old[1] != new[1]:
        raise ValueError(
            f"{where[0]} may not change the {what} of the tensor, {where[1]}.\n"
            f"{old[0]}: {old[1]}\n{new[0]}: {new[1]}"
        )


def _deepcopied(self: Any, memo: dict[int, Any]) -> Any:
    if id(self) in memo:
        return memo[id(self)]
    made = self.__new__(type(self))
    memo[id(self)] = made
    made.__dict__.update(deepcopy(self.__dict__, memo))
    return made


def _refuse_pickling(self: Any) -> Any:
    raise RuntimeError(
        "Serialization of parametrized modules is only supported through state_dict(). See:\n"
        "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
        "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
    )


def _parametrized_class(module: Module) -> None:
    """Give the module a class of its own, which can have properties."""
    own: dict[str, Any] = {"__getstate__": _refuse_pickling}
    if not hasattr(type(module), "__deepcopy__"):
        own["__deepcopy__"] = _deepcopied
    module.__class__ = type(f"Parametrized{type(module).__name__}", (type(module),), own)


def _add_property(module: Module, name: str) -> None:
    def get(self: Any) -> Any:
        compute = self.parametrizations[name]
        if not _Cache.depth:
            return compute()
        key = (id(self), name)
        if key not in _Cache.values:
            _Cache.values[key] = compute()
        return _Cache.values[key]

    def set(self: Any, value: Any) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(get, set))


def register_parametrization(
    module: Any, tensor_name: str, parametrization: Any, *, unsafe: bool = False
) -> Any:
    """Compute a parameter or buffer by a module; several are applied one after the other.

    The tensor that was there becomes ``module.parametrizations.NAME.original``. With a method
    ``right_inverse(tensor)`` (which may return several tensors) the parametrization says what that
    is, and the tensor can be assigned to. Returns the module; ValueError for a name that it does
    not have, and unless ``unsafe`` for a parametrization that changes shape or dtype.

    Args:
        unsafe: do not check that shape and dtype stay.

    >>> import framework as torch
    >>> from framework import nn
    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return x.triu() + x.triu(1).T
    >>> layer = nn.Linear(2, 2)
    >>> layer = nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.T).all())
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            _check_addition(module, tensor_name, parametrization)
        module.parametrizations[tensor_name].append(parametrization)
        module.parametrizations[tensor_name].unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        original = getattr(module, tensor_name)
        parts = ParametrizationList([parametrization], original, unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _parametrized_class(module)
            module.parametrizations = ModuleDict()
        _add_property(module, tensor_name)
        module.parametrizations[tensor_name] = parts
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element "
            f"with name '{tensor_name}'"
        )
    return module


def _check_addition(module: Any, name: str, parametrization: Any) -> None:
    old = getattr(module, name)
    new = parametrization(old)
    where = "Registering a parametrization", "unless the `unsafe` flag is enabled"
    _check_tensor(new, "A parametrization must return a tensor.")
    for what in ("dtype", "shape"):
        _check_same(what, where, (f"module.{name}.{what}", getattr(old, what)),
                    (f"parametrization(module.{name}).{what}", getattr(new, what)))  # fmt: skip
    if not hasattr(parametrization, "right_inverse"):
        return
    try:
        back = parametrization.right_inverse(new)
    except NotImplementedError:
        return
    if not isinstance(back, Tensor):
        raise ValueError(
            f"parametrization.right_inverse must return a tensor. Got: {type(back).__name__}"
        )
    for what in ("dtype", "shape"):
        if getattr(back, what) != getattr(old, what):
            raise ValueError(
                "The tensor returned by parametrization.right_inverse must have the same "
                f"{what} as module.{name}, unless the `unsafe` flag is enabled.\n"
                f"module.{name}.{what}: {getattr(old, what)}\n"
                f"returned {what}: {getattr(back, what)}"
            )


def is_parametrized(module: Any, tensor_name: str | None = None) -> bool:
    """Whether the module has parametrizations, or one of this tensor.

    It never raises.

    >>> from framework import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    >>> [nn.utils.parametrize.is_parametrized(layer, name) for name in (None, "weight", "bias")]
    [True, True, False]
    """
    found = getattr(module, "parametrizations", None)
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module: Any, tensor_name: str, leave_parametrized: bool = True) -> Any:
    """Make the tensor an ordinary parameter or buffer again; returns the module.

    ValueError if it is not parametrized. Its shape and dtype stay.

    Args:
        leave_parametrized: it keeps its present value; otherwise it gets the original back
            (ValueError if there are several originals).

    >>> from framework import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    >>> nn.utils.parametrize.remove_parametrizations(layer, "weight")
    Linear(in_features=3, out_features=2, bias=True)
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(
            f"Module {module} does not have a parametrization on {tensor_name}"
        )  # fmt: skip
    parts = module.parametrizations[tensor_name]
    if parts.is_tensor:
        original = parts.original
        if leave_parametrized:
            with no_grad():
                original.data = getattr(module, tensor_name)
    elif leave_parametrized:
        value = getattr(module, tensor_name)
        original = Parameter(value.detach()) if value.requires_grad else value
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is "
            "parametrized in terms of a sequence of tensors."
        )
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _register(module, tensor_name, original)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Any) -> type:
    """The class that the module had before it was parametrized.

    It never raises.

    >>> from framework import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    >>> type(layer).__name__, nn.utils.parametrize.type_before_parametrizations(layer).__name__
    ('ParametrizedLinear', 'Linear')
    """
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Any, to_module: Any, tensor_name: str | None = None
) -> Any:
    """Give another module the same parametrizations, and the same original tensors.

    Of all tensors, or of ``tensor_name``. Returns ``to_module``. Shapes and dtypes are those of
    ``from_module``'s. AttributeError for a name that it does not have.

    >>> from framework import nn
    >>> layer, other = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)), nn.Linear(3, 2)
    >>> other = nn.utils.parametrize.transfer_parametrizations_and_params(layer, other)
    >>> other.parametrizations.weight.original1 is layer.parametrizations.weight.original1
    True
    """
    if not is_parametrized(from_module):
        return to_module
    names = list(from_module.parametrizations) if tensor_name is None else [tensor_name]
    for name in names:
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach()))
        source = from_module.parametrizations[name]
        for part in source:
            register_parametrization(to_module, name, part)
        target = to_module.parametrizations[name]
        kept = ["original"] if source.is_tensor else [
            f"original{i}" for i in range(source.ntensors)
        ]  # fmt: skip
        for key in kept:
            setattr(target, key, getattr(source, key))
    return to_module
