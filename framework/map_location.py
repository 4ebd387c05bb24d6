"""Where `load` puts what a file says of a device: ``map_location``, and packages of the user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from framework.device import CPU, cuda_problem, device, existing
from framework.storage import UntypedStorage

__all__ = [
    "PACKAGES", "NoPlace", "Place", "default_restore_location", "location_tag", "places",
    "register_package", "tag_of",
]  # fmt: skip


class NoPlace(Exception):
    """Carries what ``map_location`` raised past the handlers for damaged files."""


# Where a tensor goes, from the device of the file and its elements.
Place = Callable[[str, np.ndarray], device]


def places(map_location: Any) -> Place:
    """What `load` asks where each tensor goes.

    Raises:
        TypeError: ``map_location`` is neither a device, a dict of them nor a function.
    """
    if map_location is None:
        return lambda location, array: _packaged(location, array) or _restored(location)
    if isinstance(map_location, Mapping):
        wanted = {str(k): v for k, v in map_location.items()}
        return lambda location, array: (
            _present(wanted[location]) if location in wanted else _restored(location)
        )
    if callable(map_location) and not isinstance(map_location, device):
        return lambda location, array: _chosen(map_location, location, array)
    if not isinstance(map_location, (str, int, device)):
        raise TypeError(
            "load: map_location must be a device or its name, a dict of those, or a function"
        )
    found = _present(map_location)
    return lambda location, array: found


def _packaged(location: str, array: np.ndarray) -> device | None:
    """The device on which a deserializer of the user's puts a storage; None without one."""
    if not PACKAGES:
        return None
    flat = np.ascontiguousarray(array).reshape(-1)
    return default_restore_location(UntypedStorage._of(flat.view(np.uint8), CPU), location).device


def _restored(location: str) -> device:
    """The device that a file names; the CPU if it is not here."""
    try:
        return existing(location)
    except (RuntimeError, AssertionError):
        return CPU


def _present(value: Any) -> device:
    """The device that a user names."""
    if device(value).type == "cuda" and cuda_problem():
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is "
            "False. If you are running on a CPU-only machine, please use torch.load with "
            "map_location=torch.device('cpu') to map your storages to the CPU."
        )
    return existing(value)


def _chosen(map_location: Callable[..., Any], location: str, array: np.ndarray) -> device:
    """The device of the storage that a user's function returns."""
    flat = np.ascontiguousarray(array).reshape(-1)
    storage = map_location(UntypedStorage._of(flat.view(np.uint8), CPU), location)
    return _restored(location) if storage is None else storage.device


def location_tag(storage: Any) -> str:
    """The name of the device that a storage or tensor is on, as a checkpoint has it.

    Of any shape and dtype. AttributeError for something else.

    >>> import framework as torch
    >>> torch.serialization.location_tag(torch.ones(1))
    'cpu'
    """
    for _, tagger, _ in sorted([*PACKAGES, *_BUILT_IN], key=lambda p: p[0]):
        found = tagger(storage)
        if found is not None:
            return found
    raise RuntimeError(f"don't know how to determine data location of {type(storage).__name__}")


def tag_of(tensor: Any) -> str:
    """`location_tag`, but no storage is made of a tensor where nobody asks for it."""
    return location_tag(tensor.untyped_storage()) if PACKAGES else str(tensor.device)


def register_package(
    priority: int, tagger: Callable[[Any], str | None],
    deserializer: Callable[[Any, str], Any | None],
) -> None:  # fmt: skip
    """Say how the place of a storage is called in a file, and how one comes back to it.

    ``tagger(storage)`` names the place when it is saved, ``deserializer(storage, place)`` returns
    the storage there when it is loaded without a ``map_location``; both return None for what they
    do not know, and the next one is asked.

    Args:
        priority: lower ones are asked first; ours for "cpu" has 10, that for "cuda" 20.

    It never raises; `save` and `load` raise a RuntimeError for a place that nobody knows.

    >>> import framework as torch
    >>> torch.serialization.register_package(
    ...     5, lambda storage: "here" if storage.nbytes() == 12 else None,
    ...     lambda storage, place: storage if place == "here" else None,
    ... )
    >>> torch.serialization.location_tag(torch.ones(3).untyped_storage())
    'here'
    >>> torch.serialization.location_tag(torch.ones(2).untyped_storage())
    'cpu'
    >>> from framework.map_location import PACKAGES
    >>> PACKAGES.clear()
    """
    PACKAGES.append((priority, tagger, deserializer))


_Package = tuple[int, Callable[[Any], Any], Callable[[Any, str], Any]]
PACKAGES: list[_Package] = []
_BUILT_IN: list[_Package] = [
    (10, lambda s: "cpu" if s.device == CPU else None, lambda s, place: _moved(s, place, "cpu")),
    (20, lambda s: str(s.device), lambda s, place: _moved(s, place, "cuda")),
]


def _moved(storage: Any, location: str, kind: str) -> Any:
    if not location.startswith(kind):
        return None
    place = _present(location)
    return storage.cpu() if place is CPU else storage.cuda(place)


def default_restore_location(storage: Any, location: str) -> Any:
    """A storage on the device of that name; RuntimeError if that is not here.

    >>> import framework as torch
    >>> storage = torch.ones(2).untyped_storage()
    >>> torch.serialization.default_restore_location(storage, "cpu").nbytes()
    8
    """
    for _, _, deserializer in sorted([*PACKAGES, *_BUILT_IN], key=lambda p: p[0]):
        found = deserializer(storage, location)
        if found is not None:
            return found
    raise RuntimeError(
        f"don't know how to restore data location of {type(storage).__name__} (tagged with "
        f"{location})"
    )
