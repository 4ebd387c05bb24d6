"""`model_zoo`: the older name of `framework.hub`, and refused as that is."""

from __future__ import annotations

from framework.hub import _WHY
from framework.refusal import refused

_refused = refused("torch.utils.model_zoo", "load_url", _WHY)
globals().update(_refused)

__all__ = list(_refused)
