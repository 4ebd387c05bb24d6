"""`hub`: refused, for it downloads code and runs it. Weights come from files, by `torch.load`.

>>> import framework as torch
>>> torch.hub.load("pytorch/vision", "resnet18")
Traceback (most recent call last):
  ...
NotImplementedError: torch.hub.load: nothing is downloaded or run from elsewhere here; ...
"""

from __future__ import annotations

import os
from typing import Any

from framework.refusal import refused

_WHY = (
    "nothing is downloaded or run from elsewhere here; import the model's module, and read its "
    "weights from a file with torch.load"
)
_refused = refused(
    "torch.hub", "download_url_to_file help list load load_state_dict_from_url", _WHY
)
globals().update(_refused)

__all__ = [*_refused, "get_dir", "set_dir"]

_folder: str | None = None


def get_dir() -> str:
    """The folder of earlier downloads by PyTorch: ``$TORCH_HOME/hub``, or what `set_dir` set.

    Without these ``torch/hub`` in ``$XDG_CACHE_HOME`` or ``~/.cache``. Nothing is written there.

    >>> import framework as torch
    >>> weights = f"{torch.hub.get_dir()}/checkpoints/model.pt"  # for torch.load
    >>> weights.endswith("hub/checkpoints/model.pt")
    True
    """
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))
    return _folder or os.path.join(os.path.expanduser(home), "hub")


def set_dir(d: Any) -> None:
    """Set what `get_dir` says; ``~`` is the home folder. The folder need not be there.

    TypeError for what is no path.

    >>> import framework as torch
    >>> before = torch.hub.get_dir()
    >>> torch.hub.set_dir("/data/hub")
    >>> torch.hub.get_dir()
    '/data/hub'
    >>> torch.hub.set_dir(before)
    """
    global _folder
    _folder = os.path.expanduser(d)
