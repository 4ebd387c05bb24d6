"""What `torch.compile` makes of a module: a module around it, as in PyTorch."""

from __future__ import annotations

import warnings
from collections.abc import Sized
from threading import get_ident
from typing import Any

from framework.nn.modules.everywhere import everywhere
from framework.nn.modules.module import Module
from framework.trace import sink

__all__ = ["OptimizedModule"]


class OptimizedModule(Module):
    """A module around another, ``_orig_mod``, which it calls; ``torch.compile(model)`` makes one.

    Attributes are read from that module and set on it, and ``training`` is its own. The keys of the
    state dict begin with ``_orig_mod.``. In a trace it is no module of its own: paths are those
    that the module has without it.

    >>> import warnings
    >>> import framework as torch
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     compiled = torch.compile(torch.nn.Linear(2, 1))
    >>> compiled
    OptimizedModule(
      (_orig_mod): Linear(in_features=2, out_features=1, bias=True)
    )
    >>> [key.removeprefix("_orig_mod.") for key in compiled.state_dict()]
    ['weight', 'bias']
    """

    # What is the wrapper's, besides what its class has; all else is the module's.
    _opt_mod_attributes = frozenset((
        "_orig_mod", "dynamo_ctx", "_torchdynamo_orig_callable", "_torchdynamo_wrapper_id",
        "get_compiler_config",
    ))  # fmt: skip

    def __init__(self, mod: Module, dynamo_ctx: Any = None) -> None:
        self.__dict__["_orig_mod"] = mod  # `Module.__init__` may already ask for an attribute
        super().__init__()
        own = self.__dict__
        del own["_orig_mod"], own["training"]
        own["_modules"]["_orig_mod"] = mod
        own["dynamo_ctx"] = dynamo_ctx
        own["_torchdynamo_orig_callable"] = mod.forward
        own["get_compiler_config"] = lambda: None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module gives for these arguments, its hooks included."""
        return self._orig_mod(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if everywhere:
            warnings.warn(
                "Using `torch.compile(module)` when there are global hooks on modules (e.g., from "
                "`register_module_forward_hook`); this will cause the hooks to fire an extra time "
                "for the `OptimizedModule` created by `torch.compile(module)`. If this causes "
                "undesired behavior, please try using `module.compile()`, or use the per-module "
                "hooks instead",
                stacklevel=2,
            )
        recorder = sink.active
        if recorder is not None and recorder.thread == get_ident():
            recorder.name_module(self, self._orig_mod)
        return self._call_with_hooks(args, kwargs)

    @property
    def training(self) -> bool:
        """Whether the module is in training mode."""
        return self._orig_mod.training

    @training.setter
    def training(self, value: bool) -> None:
        self._orig_mod.training = value

    def __len__(self) -> int:
        if isinstance(self._orig_mod, Sized):
            return len(self._orig_mod)
        raise TypeError(f"{type(self._orig_mod).__name__} does not support len()")

    def __getattr__(self, name: str) -> Any:
        if name == "_orig_mod":
            return self._modules["_orig_mod"]
        return getattr(self._orig_mod, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._opt_mod_attributes or hasattr(type(self), name):
            super().__setattr__(name, value)
        else:
            setattr(self._orig_mod, name, value)

    def __delattr__(self, name: str) -> None:
        if name in self._opt_mod_attributes or hasattr(type(self), name):
            super().__delattr__(name)
        else:
            delattr(self._orig_mod, name)

    def __dir__(self) -> list[str]:
        return sorted({*self._orig_mod.__dir__(), *super().__dir__()})

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._orig_mod, self.dynamo_ctx)
