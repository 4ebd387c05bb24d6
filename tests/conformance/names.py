"""Which public names of PyTorch there are here, module by module, and why others are not.

Every public submodule of the installed PyTorch is walked. Names that a module shows beyond its
``__all__`` count too where no other place is theirs (see `_beyond`): `torch.while_loop` is one.
What is missing stands in `tests/conformance/absent.py` with its reason: name by name, or a module
with all that is below it.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
import re
import types
import warnings
from pathlib import Path
from typing import Any

import torch

import framework
from tests.conformance.absent import MODULES, NAMES

__all__ = ["absent", "audited", "main", "reason"]

# Of these everything that they show is looked at; of others ``__all__``, or what they define.
WHOLE = (
    "", "Tensor", "linalg", "fft", "special", "nn", "nn.functional", "nn.init", "optim", "autograd",
    "autograd.graph", "amp", "cuda", "backends.cuda", "distributions", "sparse", "masked",
    "profiler", "testing",
)  # fmt: skip
PRIVATE = ("test", "testing", "utils.tensorboard")  # the last needs a package; ours is its own


def submodules() -> list[str]:
    """Names of PyTorch's public modules without "torch.", parents first."""
    found: list[str] = []

    def walk(folders: list[str], prefix: str) -> None:
        for module in pkgutil.iter_modules(folders):
            name = prefix + module.name
            if module.name[0] == "_" or name in PRIVATE:
                continue
            found.append(name)
            if module.ispkg:
                walk([str(Path(folder) / module.name) for folder in folders], name + ".")

    walk(list(torch.__path__), "")
    return found


@functools.cache
def absent() -> dict[str, str]:
    """What is missing: whole name -> reason (empty if nobody said).

    A module that is not here at all is one entry, with the number of those below it; unless it has
    no reason of its own: then its names are entries.
    """
    return _audit()[1]


def audited() -> tuple[int, int, int, int]:
    """The numbers of names looked at, of those here, of modules, and of those left out whole."""
    return _audit()[0]


@functools.cache
def _audit() -> tuple[tuple[int, int, int, int], dict[str, str]]:
    total = present = 0
    found: dict[str, str] = {}
    gone: list[str] = []  # modules that are left out as a whole
    below_gone = 0
    modules = submodules()
    for namespace in dict.fromkeys((*WHOLE, *modules)):
        if any(namespace.startswith(f"{module}.") for module in gone):
            continue
        mine = _find("framework", namespace)
        why = _first(MODULES, namespace)
        if mine is None and why:
            gone.append(namespace)
            below = sum(module.startswith(f"{namespace}.") for module in modules)
            below_gone += below
            found[namespace + (f" and {below} modules below it" if below else "")] = why
            continue
        names = _public(namespace)
        names += _beyond(namespace, names)
        missing = [name for name in names if not hasattr(mine, name)]
        total += len(names)
        present += len(names) - len(missing)
        if mine is None:
            found[namespace] = reason(namespace)
        for name in missing:
            whole = f"{namespace}.{name}".lstrip(".")
            if whole not in found and whole not in modules:
                found[whole] = reason(whole)
    return (total, present, len(modules), len(gone) + below_gone), found


def _public(namespace: str) -> list[str]:
    theirs = _find("torch", namespace)
    shown = getattr(theirs, "__all__", None)
    if shown is None and namespace in WHOLE:
        shown = dir(theirs)
    elif shown is None:
        shown = [n for n, v in vars(theirs).items() if _home(v) == f"torch.{namespace}"]
    kept = (n for n in shown if n[0] != "_")
    return sorted(n for n in kept if not isinstance(getattr(theirs, n, None), types.ModuleType))


def _beyond(namespace: str, listed: list[str]) -> list[str]:
    """Functions and classes that a namespace shows though its ``__all__`` does not list them.

    Of a documented namespace or a package those that come from a private module of PyTorch and are
    listed nowhere: their public name is this one. Of any module the classes and the documented
    functions that it defines.
    """
    theirs = _find("torch", namespace)
    if getattr(theirs, "__all__", None) is None:
        return []  # `_public` has looked at more than a list
    here = f"torch.{namespace}".rstrip(".")
    whole = namespace in WHOLE or hasattr(theirs, "__path__")
    found = []
    for name in dir(theirs):
        value = getattr(theirs, name, None)
        if name[0] == "_" or name in listed or id(value) in _listed() or not callable(value):
            continue
        home = _home(value) or ""
        documented = isinstance(value, type) or bool(getattr(value, "__doc__", None))
        private = home.startswith("torch.") and "._" in home
        if (home == here and documented) or (whole and private):
            found.append(name)
    return found


@functools.cache
def _listed() -> set[int]:
    """What is public by some list: the identities."""
    found = set()
    for namespace in dict.fromkeys((*WHOLE, *submodules())):
        try:
            theirs = _find("torch", namespace)
            found.update(id(getattr(theirs, name, None)) for name in _public(namespace))
        except ImportError:  # needs a package that is not here
            continue
    return found


def _home(value: Any) -> Any:
    return getattr(value, "__module__", None) if callable(value) else None


def _find(root: str, path: str) -> Any:
    """A module (or the class Tensor); None if it is not there."""
    if path == "Tensor":
        return (torch if root == "torch" else framework).Tensor
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(f"{root}.{path}" if path else root)
        except ImportError:
            if root == "torch":
                raise
            return None


def _first(table: dict[str, str], name: str) -> str:
    return next((why for pattern, why in table.items() if re.fullmatch(pattern, name)), "")


def reason(whole: str) -> str:
    """Why a name is left out; empty if nobody said."""
    return _first(NAMES, whole) or _first(MODULES, whole)


def main(options: Any) -> int:
    """Count the names; print those that are absent without a reason."""
    total, present, modules, whole = audited()
    unexplained = [name for name, why in absent().items() if not why]
    for name in unexplained:
        print(f"names, {name} is absent")
    print(
        f"names: {present} of {total} public names present in {modules - whole} of {modules} "
        f"modules, {total - present - len(unexplained)} names and {whole} whole modules left out "
        f"with a reason, {len(unexplained)} absent"
    )
    return 1 if unexplained else 0
