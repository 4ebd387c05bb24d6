"""Ops by the names that PyTorch knows them by inside: ``torch.ops.aten.NAME``."""

from __future__ import annotations

from typing import Any

from framework.core.registry import published

__all__ = ["OpOverloadPacket", "packet"]

_packets: dict[str, OpOverloadPacket] = {}


class OpOverloadPacket:
    """A function that refuses wrong arguments as PyTorch's dispatcher does, with a RuntimeError.

    All its overloads (``add.Tensor``, ``sum.dim_IntList``, ``relu.default``) are the function: it
    tells the forms of its call apart itself.

    >>> import framework as torch
    >>> torch.ops.aten.add
    <OpOverloadPacket(op='aten.add')>
    >>> torch.ops.aten.add.Tensor(torch.ones(2), torch.ones(2))
    tensor([2., 2.])
    >>> torch.ops.aten.relu()
    Traceback (most recent call last):
        ...
    RuntimeError: aten::relu() ...
    """

    def __init__(self, name: str, call: Any) -> None:
        self._call = call  # None: an op of PyTorch's, known by its name only
        self.__name__, self.__doc__ = name, call.__doc__

    def __call__(self, *args: Any, **options: Any) -> Any:
        try:
            return self._call(*args, **options)
        except (TypeError, AttributeError) as error:
            raise RuntimeError(f"aten::{self.__name__}() {error}") from error

    def __getattr__(self, overload: str) -> OpOverloadPacket:
        if overload.startswith("_"):
            raise AttributeError(
                f"The underlying op of 'aten.{self.__name__}' has no overload name '{overload}'"
            )
        return self

    def __str__(self) -> str:
        return f"aten.{self.__name__}"

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='aten.{self.__name__}')>"


def packet(name: str) -> OpOverloadPacket:
    """The packet of a name, whether there is a function of that name or not."""
    found = _packets.get(name)
    if found is None:
        found = _packets[name] = OpOverloadPacket(name, _function(name))
    return found


def __getattr__(name: str) -> OpOverloadPacket:
    """A packet, made when it is first asked for."""
    if name.startswith("__") or (name not in _packets and _function(name) is None):
        raise AttributeError(f"'_OpNamespace' 'aten' object has no attribute '{name}'")
    return packet(name)


def _function(name: str) -> Any:
    """The public function of a name: PyTorch has prefixes where we have namespaces."""
    import framework

    space, _, rest = name.partition("_")
    places = [("ops.aten", f"{name}_"), ("", name), ("nn.functional", name), (space, rest)]
    for place, short in places:
        record = published(place).get(short)
        if record is not None:
            return record.public
    return getattr(framework.Tensor, name, None)
