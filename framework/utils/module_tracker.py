"""`module_tracker`: which modules are being executed, forward or backward."""

from __future__ import annotations

import weakref
from typing import Any

from framework.autograd.graph import register_multi_grad_hook
from framework.core.modes import modes
from framework.nn.modules.module import (
    Module,
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from framework.tensor import Tensor
from framework.utils._pytree import tree_leaves

__all__ = ["ModuleTracker"]


class ModuleTracker:
    """``with ModuleTracker() as tracker``: ``tracker.parents`` are the names of what runs.

    A root has the name of its class, what is in it its path below ("Net.blocks.0"); "Global" is
    always there. In a backward pass a module runs from when the gradients of its outputs are known
    until those of its inputs are; if these want none, until the pass ends.

    >>> import framework as torch
    >>> from framework.utils.module_tracker import ModuleTracker
    >>> class Net(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer = torch.nn.Linear(2, 2)
    ...
    ...     def forward(self, x):
    ...         print(sorted(tracker.parents))
    ...         return self.layer(x)
    >>> with ModuleTracker() as tracker:
    ...     _ = Net()(torch.ones(1, 2))
    ['Global', 'Net']
    """

    def __init__(self) -> None:
        self._parents = {"Global"}
        self._names: weakref.WeakKeyDictionary[Module, str] = weakref.WeakKeyDictionary()
        self._seen: weakref.WeakSet[Module] = weakref.WeakSet()
        self._pass: Any = None  # the backward pass in which a name was added
        self._handles: list[Any] = []

    @property
    def parents(self) -> set[str]:
        """The names of the modules that are being executed, and "Global"."""
        if self._pass is not None and (modes.task is None or self._pass() is not modes.task):
            self._pass, self._parents = None, {"Global"}
        return self._parents

    @property
    def is_bw(self) -> bool:
        """Whether a backward pass is running."""
        return modes.task is not None

    def _name(self, module: Module) -> str:
        name = self._names.setdefault(module, type(module).__name__)
        if module not in self._seen:
            self._seen.add(module)
            for short, child in module.named_children():
                self._names[child] = f"{name}.{short}"
                self._name(child)
        return name

    def _on_gradients(self, values: Any, change: Any) -> None:
        tensors = [t for t in tree_leaves(values) if isinstance(t, Tensor) and t.requires_grad]
        if tensors:
            self._handles.append(register_multi_grad_hook(tensors, change))

    def _before(self, module: Module, args: Any) -> None:
        name = self._name(module)
        self.parents.add(name)
        self._on_gradients(args, lambda grads: self.parents.discard(name))

    def _after(self, module: Module, args: Any, output: Any) -> None:
        name = self._name(module)
        self.parents.discard(name)

        def enter(grads: Any) -> None:
            self.parents.add(name)  # of an earlier pass, what is left goes first
            self._pass = weakref.ref(modes.task)

        self._on_gradients(output, enter)

    def __enter__(self) -> ModuleTracker:
        self._handles += [
            register_module_forward_pre_hook(self._before),
            register_module_forward_hook(self._after),
        ]
        return self

    def __exit__(self, *exc: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
