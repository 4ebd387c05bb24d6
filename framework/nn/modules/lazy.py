"""`LazyModuleMixin`: modules that learn the shapes of their parameters from the first input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from framework.core.modes import no_grad
from framework.nn.parameter import UninitializedParameter, is_lazy

if TYPE_CHECKING:
    from framework.nn.modules.module import Module as _Base
else:
    _Base = object

__all__ = ["LazyModuleMixin"]


class LazyModuleMixin(_Base):
    """Base of modules with uninitialized parameters; stands before the ordinary module's class.

    A subclass gives ``initialize_parameters(*inputs)``, which is called before the first forward
    pass, and in ``cls_to_become`` the ordinary class that the module then turns into. RuntimeError
    if a parameter has no shape after that; dtypes are given when the module is made.

    >>> import framework as torch
    >>> from framework import nn
    >>> class LazyScale(nn.modules.lazy.LazyModuleMixin, nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.scale = nn.UninitializedParameter()
    ...
    ...     def initialize_parameters(self, x):
    ...         self.scale.materialize(x.shape[-1:])
    ...         nn.init.ones_(self.scale)
    ...
    ...     def forward(self, x):
    ...         return x * self.scale
    >>> LazyScale()(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """

    cls_to_become: type | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = self.__dict__
        own["_load_hook"] = self.register_load_state_dict_pre_hook(_lazy_load)
        own["_initialize_hook"] = self.register_forward_pre_hook(_infer, with_kwargs=True)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Materialize the parameters for these inputs; every subclass defines it."""
        raise NotImplementedError(
            f"initialize_parameters is not implemented for {type(self).__name__}"
        )

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer has no shape yet.

        >>> from framework import nn
        >>> nn.LazyLinear(2).has_uninitialized_params()
        True
        """
        return any(is_lazy(p) for p in (*self._parameters.values(), *self._buffers.values()))

    def _add_uninitialized(self, names: tuple[str, ...], device: Any, dtype: Any) -> None:
        for name in names:
            setattr(self, name, UninitializedParameter(device=device, dtype=dtype))


def _infer(module: Any, args: Any, kwargs: Any) -> None:
    """Before the first forward pass: shapes from the input, then an ordinary module."""
    with no_grad():
        module.initialize_parameters(*args, **kwargs)
    if module.has_uninitialized_params():
        raise RuntimeError(f"module {module._get_name()} has not been fully initialized")
    for name in ("_initialize_hook", "_load_hook"):
        module.__dict__.pop(name).remove()
    if module.cls_to_become is not None:
        module.__class__ = module.cls_to_become


def _lazy_load(
    module: Any, state_dict: Any, prefix: str, local_metadata: Any, strict: bool,
    missing_keys: Any, unexpected_keys: Any, error_msgs: Any,
) -> None:  # fmt: skip
    """Before loading: shapes from the state dict."""
    for name, param in (*module._parameters.items(), *module._buffers.items()):
        given = state_dict.get(prefix + name)
        if given is not None and is_lazy(param) and not is_lazy(given):
            param.materialize(given.shape)
