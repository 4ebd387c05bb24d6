"""`xpu`: there is no such device here, and this module says so.

>>> import framework as torch
>>> torch.xpu.is_available()
False
"""

from __future__ import annotations

from framework.refusal import no_device

_functions = no_device("xpu")
globals().update(_functions)

__all__ = list(_functions)
