"""`utils.hooks`: the type of what ``register_..._hook`` gives back.

>>> import framework as torch
>>> handle = torch.nn.Linear(1, 1).register_forward_hook(lambda *args: None)
>>> isinstance(handle, torch.utils.hooks.RemovableHandle)
True
"""

from __future__ import annotations

from framework.core.graph import Hook as RemovableHandle

__all__ = ["RemovableHandle"]
