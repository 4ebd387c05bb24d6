"""Weight normalisation as a forward pre-hook: the older form of `parametrizations.weight_norm`."""

from __future__ import annotations

import warnings
from typing import Any

from framework.nn.parameter import Parameter, is_lazy
from framework.ops.reduce import norm_except_dim

__all__ = ["WeightNorm", "remove_weight_norm", "scaled", "weight_norm"]


def scaled(v: Any, g: Any, dim: int) -> Any:
    """g v / ‖v‖ (Salimans and Kingma, "Weight normalization", 2016).

    v has any shape, g one length for each index of ``dim``; both of one floating dtype.
    RuntimeError for shapes that do not broadcast.

    >>> import framework as torch
    >>> from framework.nn.utils.weight_norm import scaled
    >>> scaled(torch.tensor([[3.0, 4.0]]), torch.tensor([[10.0]]), 0)
    tensor([[6., 8.]])
    """
    return v * (g / norm_except_dim(v, 2, dim))


class WeightNorm:
    """The hook: computes ``name`` from ``name_g`` and ``name_v`` before each forward pass.

    `weight_norm` registers one, and splits the parameter. Shape and dtype of the parameter stay.
    RuntimeError if it is registered twice.

    >>> import framework as torch
    >>> from framework.nn.utils.weight_norm import WeightNorm
    >>> layer = torch.nn.utils.weight_norm(torch.nn.Linear(2, 3))
    >>> (hook,) = layer._forward_pre_hooks.values()
    >>> isinstance(hook, WeightNorm), hook.compute_weight(layer).shape
    (True, torch.Size([3, 2]))
    """

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Any) -> Any:
        """The weight of the present g and v."""
        return scaled(getattr(module, self.name + "_v"), getattr(module, self.name + "_g"),
                      self.dim)  # fmt: skip

    @staticmethod
    def apply(module: Any, name: str, dim: int | None) -> WeightNorm:
        """Split the parameter ``name`` and register the hook."""
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm) and hook.name == name:
                raise RuntimeError(
                    f"Cannot register two weight_norm hooks on the same parameter {name}"
                )
        hook = WeightNorm(name, dim)
        weight = getattr(module, name)
        if is_lazy(weight):
            raise ValueError(
                "The module passed to `WeightNorm` can't have uninitialized parameters. Make sure "
                "to run the dummy forward before applying weight normalization"
            )
        del module._parameters[name]
        norm = norm_except_dim(weight.detach(), 2, hook.dim)
        module.register_parameter(name + "_g", Parameter(norm))
        module.register_parameter(name + "_v", Parameter(weight.data))
        setattr(module, name, hook.compute_weight(module))
        module.register_forward_pre_hook(hook)
        return hook

    def remove(self, module: Any) -> None:
        """Make ``name`` an ordinary parameter again."""
        weight = self.compute_weight(module)
        delattr(module, self.name)
        del module._parameters[self.name + "_g"], module._parameters[self.name + "_v"]
        setattr(module, self.name, Parameter(weight.data))

    def __call__(self, module: Any, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: Any, name: str = "weight", dim: int = 0) -> Any:
    """Split a parameter into its norms ``name_g`` (one per index of ``dim``) and ``name_v``.

    Before each forward pass the parameter is computed as g v / ‖v‖ (Salimans and Kingma, "Weight
    normalization", 2016). Warns that `parametrizations.weight_norm` is the newer form. Returns the
    module; RuntimeError if it has been done before, AttributeError for a name that there is not,
    IndexError for a dimension out of range. Shape and dtype stay.

    >>> from framework import nn
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     layer = nn.utils.weight_norm(nn.Linear(3, 2))
    >>> [name for name, _ in layer.named_parameters()]
    ['bias', 'weight_g', 'weight_v']
    """
    warnings.warn(
        "`torch.nn.utils.weight_norm` is deprecated in favor of "
        "`torch.nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
        stacklevel=2,
    )
    WeightNorm.apply(module, name, dim)
    return module


def remove_weight_norm(module: Any, name: str = "weight") -> Any:
    """Undo `weight_norm`; the weight keeps its value. Returns the module.

    ValueError if there is nothing to undo. Shape and dtype stay.

    >>> from framework import nn
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     layer = nn.utils.weight_norm(nn.Linear(3, 2))
    >>> [name for name, _ in nn.utils.remove_weight_norm(layer).named_parameters()]
    ['bias', 'weight']
    """
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")
