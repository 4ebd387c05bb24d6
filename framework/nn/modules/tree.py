"""`ModuleTree`: the modules, parameters and buffers below a module, and their dotted paths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from framework.nn.parameter import Parameter
from framework.tensor import Tensor

if TYPE_CHECKING:
    from framework.nn.modules.module import Module

__all__ = ["ModuleTree"]


class ModuleTree:
    """The part of `Module` that walks over what is below it."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their dotted paths; each one once.

        Args:
            memo: modules that are left out; those found are added.
            prefix: stands before all paths; this module's own path is "" without it.
            remove_duplicate: False: a module that has several places is given for each.

        >>> from framework import nn
        >>> model = nn.Sequential(nn.Linear(1, 2), nn.Sequential(nn.ReLU()))
        >>> [name for name, _ in model.named_modules()]
        ['', '0', '1', '1.0']
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self  # type: ignore[misc]
        for name, module in self._modules.items():
            if module is not None:
                below = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, below, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it; each one once unless told otherwise.

        >>> from framework import nn
        >>> model = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
        >>> [type(module).__name__ for module in model.modules()]
        ['Sequential', 'Linear', 'ReLU']
        """
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below, with their names; each one once.

        >>> from framework import nn
        >>> list(nn.Sequential(nn.Tanh(), nn.Sequential(nn.ReLU())).named_children())[0]
        ('0', Tanh())
        """
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules directly below; each one once.

        >>> from framework import nn
        >>> list(nn.Sequential(nn.Tanh(), nn.ReLU()).children())
        [Tanh(), ReLU()]
        """
        for _, module in self.named_children():
            yield module

    def _named(
        self, table: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        inside: Any = [(prefix, self)]
        if recurse:
            inside = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for path, module in inside:
            for name, value in getattr(module, table).items():
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their dotted paths; each one once.

        Args:
            prefix: stands before all paths.
            recurse: those of the modules below, too.
            remove_duplicate: False: a parameter that has several names is given under each.

        >>> from framework import nn
        >>> [name for name, _ in nn.Sequential(nn.Linear(1, 2)).named_parameters()]
        ['0.weight', '0.bias']
        """
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters of this module and, with ``recurse``, of all below it; for an optimizer.

        >>> from framework import nn
        >>> sum(p.numel() for p in nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)).parameters())
        13
        """
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers with their dotted paths; each one once. Arguments as of `named_parameters`.

        >>> from framework import nn
        >>> [name for name, _ in nn.Sequential(nn.BatchNorm1d(2)).named_buffers()]
        ['0.running_mean', '0.running_var', '0.num_batches_tracked']
        """
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers of this module and, with ``recurse``, of all below it.

        >>> from framework import nn
        >>> list(nn.BatchNorm1d(2).buffers())
        [tensor([0., 0.]), tensor([1., 1.]), tensor(0)]
        """
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path; "" is this one. AttributeError if there is none.

        >>> from framework import nn
        >>> nn.Sequential(nn.Sequential(nn.Tanh(), nn.ReLU())).get_submodule("0.1")
        ReLU()
        """
        module: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, ModuleTree):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put ``module`` at a dotted path, in place of the one there or anew.

        AttributeError if the path leads to something else than a module, ValueError for an empty
        path or what is not a module.

        Args:
            strict: there must be one already.

        >>> from framework import nn
        >>> model = nn.Sequential(nn.Sequential(nn.Tanh()))
        >>> model.set_submodule("0.0", nn.ReLU())
        >>> model[0]
        Sequential(
          (0): ReLU()
        )
        """
        if not target:
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, ModuleTree):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if hasattr(parent, name):
            if not isinstance(getattr(parent, name), ModuleTree):
                raise AttributeError(f"`{name}` is not an nn.Module")
        elif strict:
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path; AttributeError if there is none.

        >>> from framework import nn
        >>> nn.Sequential(nn.Linear(2, 3)).get_parameter("0.weight").shape
        torch.Size([3, 2])
        """
        return self._get(target, Parameter, "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path; AttributeError if there is none.

        >>> from framework import nn
        >>> nn.Sequential(nn.BatchNorm1d(2)).get_buffer("0.running_var")
        tensor([1., 1.])
        """
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return getattr(module, name)

    def _get(self, target: str, kind: type, described: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        found = getattr(module, name)
        if not isinstance(found, kind):
            raise AttributeError(f"`{name}` is not {described}")
        return found
