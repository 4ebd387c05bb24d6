"""Containers: modules and parameters in lists and dicts, and `Sequential`."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from framework.nn.modules.module import Module
from framework.nn.modules.state import type_name
from framework.nn.parameter import Parameter
from framework.tensor import Tensor

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


class _Numbered(Module):
    """Children named "0", "1", ... that are used like a list."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def _key(self, index: Any) -> str:
        size, at = len(self), index.__index__()
        if not -size <= at < size:
            raise IndexError(f"index {at} is out of range")
        return list(self._modules)[at % size]

    def _renumber(self, modules: Iterable[Any]) -> None:
        self._modules.clear()
        self._modules.update((str(i), m) for i, m in enumerate(modules))

    def _insert(self, index: int, module: Module) -> None:
        modules = list(self._modules.values())
        modules.insert(index, module)
        self._renumber([])
        for i, m in enumerate(modules):
            self.add_module(str(i), m)

    def __delitem__(self, index: Any) -> None:
        keys = list(self._modules)
        for key in keys[index] if isinstance(index, slice) else [self._key(index)]:
            del self._modules[key]
        self._renumber(list(self._modules.values()))

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._key(index), module)

    def __dir__(self) -> list[str]:
        return [n for n in super().__dir__() if not n.isdigit()]

    def pop(self, key: Any) -> Any:
        """Remove the module at an index and return it; IndexError if there is none.

        >>> from framework import nn
        >>> layers = nn.ModuleList([nn.ReLU(), nn.Tanh()])
        >>> layers.pop(0), len(layers)
        (ReLU(), 1)
        """
        found = self[key]  # type: ignore[index]
        del self[key]
        return found


class Sequential(_Numbered):
    """Modules called one after the other; made from modules, or from an OrderedDict of them.

    The input is the first one's, the result the last one's. It is used like a list: indices,
    slices, ``del``, ``+`` and ``*``. TypeError for what is not a module, IndexError for an index
    out of range. Shapes and dtypes are those of the modules.

    >>> import framework as torch
    >>> from framework import nn
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> model
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU()
    )
    >>> model(torch.zeros(4, 2)).shape, model[1]
    (torch.Size([4, 3]), ReLU())
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(args):
                self.add_module(str(i), module)

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            input = module(input)  # type: ignore[misc]
        return input

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)(OrderedDict(list(self._modules.items())[index]))
        return self._modules[self._key(index)]

    def append(self, module: Module) -> Sequential:
        """Add a module at the end; returns the container.

        >>> from framework import nn
        >>> nn.Sequential(nn.ReLU()).append(nn.Tanh())
        Sequential(
          (0): ReLU()
          (1): Tanh()
        )
        """
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> Sequential:
        """Add a module before the one at ``index``; returns the container.

        IndexError for an index out of range, AssertionError for what is not a module.

        >>> from framework import nn
        >>> nn.Sequential(nn.ReLU()).insert(0, nn.Tanh())[0]
        Tanh()
        """
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        size = len(self)
        if not -size <= index <= size:
            raise IndexError(f"Index out of range: {index}")
        self._insert(index + size if index < 0 else index, module)
        return self

    def extend(self, sequential: Iterable[Module]) -> Sequential:
        """Add the modules of another container at the end; returns this one.

        >>> from framework import nn
        >>> len(nn.Sequential(nn.ReLU()).extend([nn.Tanh(), nn.ReLU()]))
        3
        """
        for module in list(sequential):
            self.append(module)
        return self

    def __add__(self, other: Any) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(
                f"add operator supports only objects of Sequential class, but {type(other)} is "
                "given."
            )
        return Sequential(*self, *other)

    def __iadd__(self, other: Any) -> Sequential:
        return self.extend(other)

    def __mul__(self, times: int) -> Sequential:
        if not isinstance(times, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(times)}")
        if times <= 0:
            raise ValueError(f"Non-positive multiplication factor {times} for {type(self)}")
        return Sequential(*(list(self) * times))

    __rmul__ = __mul__


class ModuleList(_Numbered):
    """A list whose modules are children, so that their parameters are found; it has no ``forward``.

    Used like a list: indices, slices, ``del``, ``+``. TypeError for what is not a module,
    IndexError for an index out of range, NotImplementedError when called. `Module.to` changes the
    dtype of all.

    >>> from framework import nn
    >>> nn.ModuleList([nn.ReLU(), nn.ReLU()])
    ModuleList(
      (0-1): 2 x ReLU()
    )
    >>> len(list(nn.ModuleList([nn.Linear(1, 2), nn.Linear(2, 3)]).parameters()))
    4
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)(list(self._modules.values())[index])  # type: ignore[arg-type]
        return self._modules[self._key(index)]

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end; returns the list.

        >>> from framework import nn
        >>> nn.ModuleList().append(nn.ReLU())
        ModuleList(
          (0): ReLU()
        )
        """
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> None:
        """Add a module before the one at ``index``.

        >>> from framework import nn
        >>> layers = nn.ModuleList([nn.ReLU()])
        >>> layers.insert(0, nn.Tanh())
        >>> layers[0]
        Tanh()
        """
        self._insert(index, module)

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add modules at the end; returns the list. TypeError for what cannot be iterated over.

        >>> from framework import nn
        >>> len(nn.ModuleList([nn.ReLU()]).extend([nn.Tanh(), nn.ReLU()]))
        3
        """
        if not isinstance(modules, Iterable):
            raise TypeError(
                "ModuleList.extend should be called with an iterable, but got "
                f"{type(modules).__name__}"
            )
        for module in list(modules):
            self.append(module)
        return self

    def __iadd__(self, modules: Iterable[Module]) -> ModuleList:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        """Runs of equal modules on one line."""
        texts = [repr(module) for module in self]
        if not texts:
            return self._get_name() + "()"
        runs: list[tuple[int, int, str]] = []
        for i, text in enumerate(texts):
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], i, text)
            else:
                runs.append((i, i, text))
        lines = [
            (f"({a}): {text}" if a == b else f"({a}-{b}): {b - a + 1} x {text}")
            for a, b, text in runs
        ]
        body = "\n  ".join(line.replace("\n", "\n  ") for line in lines)
        return f"{self._get_name()}(\n  {body}\n)"


class ModuleDict(Module):
    """A dict whose modules are children, so that their parameters are found; it has no ``forward``.

    Made from a mapping or from (name, module) pairs. KeyError for names with a dot and those of its
    own methods, TypeError for what is not a module. NotImplementedError when called. `Module.to`
    changes the dtype of all.

    >>> from framework import nn
    >>> heads = nn.ModuleDict({"digit": nn.Linear(4, 10), "colour": nn.Linear(4, 3)})
    >>> heads["colour"]
    Linear(in_features=4, out_features=3, bias=True)
    >>> [name for name, _ in heads.named_parameters()][:2]
    ['digit.weight', 'digit.bias']
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Remove all.

        >>> from framework import nn
        >>> heads = nn.ModuleDict({"a": nn.ReLU()})
        >>> heads.clear(); len(heads)
        0
        """
        self._modules.clear()

    def pop(self, key: str) -> Any:
        """Remove the module of this name and return it; KeyError if there is none.

        >>> from framework import nn
        >>> nn.ModuleDict({"a": nn.ReLU()}).pop("a")
        ReLU()
        """
        return self._modules.pop(key)

    def keys(self) -> Any:
        """The names.

        >>> from framework import nn
        >>> list(nn.ModuleDict({"a": nn.ReLU(), "b": nn.Tanh()}).keys())
        ['a', 'b']
        """
        return self._modules.keys()

    def items(self) -> Any:
        """(name, module) pairs.

        >>> from framework import nn
        >>> list(nn.ModuleDict({"a": nn.ReLU()}).items())
        [('a', ReLU())]
        """
        return self._modules.items()

    def values(self) -> Any:
        """The modules.

        >>> from framework import nn
        >>> list(nn.ModuleDict({"a": nn.ReLU()}).values())
        [ReLU()]
        """
        return self._modules.values()

    def update(self, modules: Any) -> None:
        """Add modules from a mapping or from pairs; those of the same name are replaced.

        TypeError for what is neither mapping nor pairs.

        >>> from framework import nn
        >>> heads = nn.ModuleDict({"a": nn.ReLU()})
        >>> heads.update({"a": nn.Tanh(), "b": nn.ReLU()}); heads
        ModuleDict(
          (a): Tanh()
          (b): ReLU()
        )
        """
        if not isinstance(modules, Iterable):
            raise TypeError(
                "ModuleDict.update should be called with an iterable of key/value pairs, but got "
                f"{type(modules).__name__}"
            )
        mapping = isinstance(modules, (Mapping, ModuleDict))
        for key, module in modules.items() if mapping else modules:  # type: ignore[attr-defined]
            self[key] = module


def _described(value: Any, old_name: bool = False) -> str:
    """One line for ``repr``; ParameterDict still names types as ``torch.FloatTensor``."""
    if not isinstance(value, Tensor):
        return f"Object of type: {type(value).__name__}"
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    size = "x".join(str(n) for n in value.shape)
    where = "" if not value.is_cuda else f" ({value.device})"
    dtype = type_name(Tensor.detach(value)) if old_name else value.dtype
    return f"{kind} containing: [{dtype} of size {size}{where}]"


def _as_parameter(value: Any) -> Any:
    """Tensors become parameters; other values are kept as they are."""
    if isinstance(value, Tensor) and not isinstance(value, Parameter):
        return Parameter(value)
    return value


class ParameterList(Module):
    """A list of parameters; tensors that are put into it become parameters.

    Tensors are of a float or complex dtype and any shape (RuntimeError for integers); other values
    are kept as they are. IndexError for an index out of range, TypeError for one that is no int;
    calling it is a RuntimeError.

    >>> import framework as torch
    >>> from framework import nn
    >>> weights = nn.ParameterList([torch.zeros(2), torch.zeros(3, 1)])
    >>> weights, weights[-1].requires_grad
    (ParameterList(
        (0): Parameter containing: [torch.float32 of size 2]
        (1): Parameter containing: [torch.float32 of size 3x1]
    ), True)
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def _key(self, index: Any) -> str:
        at = operator.index(index)
        if not -self._size <= at < self._size:
            raise IndexError(f"index {at} is out of range")
        return str(at % self._size)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)([self[i] for i in range(*index.indices(self._size))])
        return getattr(self, self._key(index))

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._key(index), _as_parameter(value))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([self[i] for i in range(self._size)])

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def append(self, value: Any) -> ParameterList:
        """Add a parameter at the end; returns the list.

        >>> import framework as torch
        >>> from framework import nn
        >>> len(nn.ParameterList().append(torch.zeros(2)))
        1
        """
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add parameters at the end; returns the list.

        TypeError for a tensor and what is not iterable.

        >>> import framework as torch
        >>> from framework import nn
        >>> len(nn.ParameterList().extend([torch.zeros(2), torch.zeros(3)]))
        2
        """
        if not isinstance(values, Iterable) or isinstance(values, Tensor):
            raise TypeError(
                f"ParameterList.extend should be called with an iterable, but got "
                f"{type(values).__name__}"
            )
        for value in values:
            self.append(value)
        return self

    def extra_repr(self) -> str:
        return "\n".join(f"  ({i}): {_described(v)}" for i, v in enumerate(self))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ParameterList should not be called.")


class ParameterDict(Module):
    """A dict of parameters; tensors that are put into it become parameters.

    Made from a mapping or from (name, tensor) pairs; tensors are of a float or complex dtype and
    any shape (RuntimeError for integers), other values are kept as they are. AttributeError for a
    name that is not there, as in PyTorch; calling it is a RuntimeError.

    >>> import framework as torch
    >>> from framework import nn
    >>> weights = nn.ParameterDict({"left": torch.zeros(2)})
    >>> weights["right"] = torch.zeros(3)
    >>> [(name, tuple(p.shape)) for name, p in weights.named_parameters()]
    [('left', (2,)), ('right', (3,))]
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        return getattr(self, key)  # an AttributeError if there is none, as in PyTorch

    def __setitem__(self, key: str, value: Any) -> None:
        self._keys[key] = None
        setattr(self, key, _as_parameter(value))

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def keys(self) -> Any:
        """The names.

        >>> import framework as torch
        >>> from framework import nn
        >>> list(nn.ParameterDict({"a": torch.zeros(1), "b": torch.zeros(1)}).keys())
        ['a', 'b']
        """
        return self._keys.keys()

    def values(self) -> Any:
        """The parameters.

        >>> import framework as torch
        >>> from framework import nn
        >>> list(nn.ParameterDict({"a": torch.zeros(1)}).values())
        [Parameter containing:
        tensor([0.], requires_grad=True)]
        """
        return [self[k] for k in self._keys]

    def items(self) -> Any:
        """(name, parameter) pairs.

        >>> import framework as torch
        >>> from framework import nn
        >>> [name for name, _ in nn.ParameterDict({"a": torch.zeros(1)}).items()]
        ['a']
        """
        return [(k, self[k]) for k in self._keys]

    def get(self, key: str, default: Any = None) -> Any:
        """The parameter of this name, or ``default``.

        >>> import framework as torch
        >>> from framework import nn
        >>> nn.ParameterDict({"a": torch.zeros(1)}).get("b", "none")
        'none'
        """
        return self[key] if key in self._keys else default

    def pop(self, key: str) -> Any:
        """Remove the parameter of this name and return it.

        AttributeError for a name that is not there.

        >>> import framework as torch
        >>> from framework import nn
        >>> nn.ParameterDict({"a": torch.zeros(1)}).pop("a")
        Parameter containing:
        tensor([0.], requires_grad=True)
        """
        found = self[key]
        del self[key]
        return found

    def popitem(self) -> tuple[str, Any]:
        """Remove the newest parameter and return its name and itself.

        KeyError if there is none.

        >>> import framework as torch
        >>> from framework import nn
        >>> nn.ParameterDict({"a": torch.zeros(1), "b": torch.ones(1)}).popitem()[0]
        'b'
        """
        key, _ = self._keys.popitem()
        found = getattr(self, key)
        delattr(self, key)
        return key, found

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The parameter of this name, which becomes ``default`` if there is none.

        >>> import framework as torch
        >>> from framework import nn
        >>> nn.ParameterDict().setdefault("a", torch.zeros(1))
        Parameter containing:
        tensor([0.], requires_grad=True)
        """
        if key not in self._keys:
            self[key] = default
        return self[key]

    def copy(self) -> ParameterDict:
        """Another dict of the same parameters.

        >>> import framework as torch
        >>> from framework import nn
        >>> weights = nn.ParameterDict({"a": torch.zeros(1)})
        >>> weights.copy()["a"] is weights["a"]
        True
        """
        return ParameterDict(dict(self.items()))

    def fromkeys(self, keys: Any, default: Any = None) -> ParameterDict:
        """A new dict in which all ``keys`` have the value ``default``.

        TypeError for what is not iterable.

        >>> import framework as torch
        >>> from framework import nn
        >>> list(nn.ParameterDict().fromkeys(["a", "b"], torch.zeros(1)))
        ['a', 'b']
        """
        return ParameterDict((k, default) for k in keys)

    def __or__(self, other: ParameterDict) -> ParameterDict:
        made = self.copy()
        made.update(other)
        return made

    def __ror__(self, other: ParameterDict) -> ParameterDict:
        made = other.copy()
        made.update(self)
        return made

    def __ior__(self, other: ParameterDict) -> ParameterDict:
        self.update(other)
        return self

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def clear(self) -> None:
        """Remove all.

        >>> import framework as torch
        >>> from framework import nn
        >>> weights = nn.ParameterDict({"a": torch.zeros(1)})
        >>> weights.clear(); len(weights)
        0
        """
        for key in list(self._keys):
            del self[key]

    def update(self, parameters: Any) -> None:
        """Add parameters from a mapping or from pairs; those of the same name are replaced.

        TypeError for what is neither mapping nor pairs.

        >>> import framework as torch
        >>> from framework import nn
        >>> weights = nn.ParameterDict({"a": torch.zeros(1)})
        >>> weights.update({"b": torch.zeros(2)}); list(weights)
        ['a', 'b']
        """
        if not isinstance(parameters, Iterable):
            raise TypeError(
                "ParametersDict.update should be called with an iterable of key/value pairs, but "
                f"got {type(parameters).__name__}"
            )
        given: Any = parameters
        for key, value in given.items() if isinstance(given, (Mapping, ParameterDict)) else given:
            self[key] = value

    def extra_repr(self) -> str:
        return "\n".join(f"  ({k}): {_described(v, True)}" for k, v in self.items())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ParameterDict should not be called.")
