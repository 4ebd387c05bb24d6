"""Which names mean which parameter or module.

One that several modules share has as many names, of which events use the first. People leave out
the root: the end of a name, by whole components, will do where it is that of one only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["Naming", "named_within"]

MOST = 16  # names of one tensor that are remembered
SHOWN = 6  # of those that an error lists

_HEAD = re.compile(r"[^/#\[]+")  # of ``model.0/linear#2``: what may be a module or a parameter


class Naming:
    """Knows all names of what has been seen.

    >>> naming = Naming()
    >>> naming.add("model.emb.weight", ["model.head.weight"]), naming.add("model.out.bias")
    (True, True)
    >>> naming.find("model.head.weight"), naming.find("head.weight"), naming.find("eight")
    ('model.emb.weight', 'model.emb.weight', '')
    >>> naming.others("model.emb.weight"), naming.spelled("bias.grad")
    (('model.head.weight',), 'model.out.bias.grad')
    """

    def __init__(self) -> None:
        self._first: dict[str, str] = {}  # by any name, the one that events use
        self._others: dict[str, tuple[str, ...]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._first

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._first))

    def add(self, name: str, others: Iterable[str] = ()) -> bool:
        """Something is called so; whether that was not known."""
        if not name:
            return False
        before = self._first.get(name)
        if before is not None and before != name:  # of a model made anew, which shares it no more
            self._others[before] = tuple(o for o in self._others[before] if o != name)
        self._first[name] = name
        fresh = [o for o in others if o != name and o not in self._first]
        if fresh:
            self._others[name] = (*self.others(name), *fresh)[:MOST]
            self._first.update(dict.fromkeys(fresh, name))
        return bool(fresh) or before != name

    def others(self, name: str) -> tuple[str, ...]:
        """The other names of what events call so."""
        return self._others.get(name, ())

    def find(self, name: str) -> str:
        """What events call that which is meant by a name, or by the end of one; else "".

        A list of modules, which nothing calls, has a name within those of what is in it. Raises
        ValueError, in one line, where several have that end.
        """
        if not name or name in self._first:
            return self._first.get(name, "")
        end = f".{name}"
        found = list(dict.fromkeys(f for known, f in self._first.items() if known.endswith(end)))
        if not found:
            inside = f"{end}."
            holds = (known.partition(inside)[0] for known in self._first if inside in known)
            found = [f"{root}{end}" for root in dict.fromkeys(holds)]
        if len(found) > 1:
            more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
            raise ValueError(
                f"{len(found)} names end in {name!r}: {', '.join(found[:SHOWN])}{more}"
            )
        return found[0] if found else ""

    def spelled(self, text: str) -> str:
        """``emb.weight.grad``, ``0/linear#2``: with the name in full; "" if nothing is meant.

        Raises ValueError as `find` does.
        """
        head = _HEAD.match(text)
        name = head[0] if head is not None else ""
        rest, last = text[len(name) :], ""
        found = self.find(name) if name else ""
        if not found and "." in name:  # a gradient's, or of a parameter's state
            name, _, last = name.rpartition(".")
            found, last = self.find(name), f".{last}"
        return f"{found}{last}{rest}" if found else ""


def named_within(root: Any, prefix: str) -> Iterator[tuple[str, Any, list[str]]]:
    """A module, all modules in it, their parameters and their buffers, with all of their names.

    Gives ("module" | "parameter" | "buffer", the thing, its names) in the order of
    `nn.Module.named_modules`; the first name is the one that it has there. Modules may be shared
    and may hold each other: what is shared has the names of the places that hold it.

    >>> from framework import nn
    >>> a, b = nn.Linear(2, 2), nn.Linear(2, 2, bias=False)
    >>> b.weight = a.weight
    >>> [names for _, _, names in named_within(nn.Sequential(a, b, a), "net")][1:4]
    [['net.0', 'net.2'], ['net.1'], ['net.0.weight', 'net.1.weight', 'net.2.weight']]
    """
    modules = list(root.named_modules(prefix=prefix))
    found = {id(module): ("module", module, [path]) for path, module in modules}
    shared: list[tuple[str, str]] = []  # another path of a module, and its first one
    for kind, table in (
        ("module", "_modules"),
        ("parameter", "_parameters"),
        ("buffer", "_buffers"),
    ):
        for path, module in modules:
            for local, thing in getattr(module, table).items():
                if thing is None:
                    continue
                name = f"{path}.{local}" if path else local
                names = found.setdefault(id(thing), (kind, thing, []))[2]
                if names[:1] == [name]:
                    continue
                names.append(name)
                if kind == "module":
                    shared.append((name, names[0]))
    for other, path in shared:
        inside = f"{path}."
        for _, _, names in found.values():
            if names[0].startswith(inside) and len(names) < MOST:
                names.append(other + names[0][len(path) :])
    for kind in ("module", "parameter", "buffer"):
        yield from (entry for entry in found.values() if entry[0] == kind)
