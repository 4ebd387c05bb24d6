"""`export`: refused; a model is looked at while it runs.

>>> import framework as torch
>>> torch.export.export(torch.nn.Linear(1, 1), (torch.ones(1),))
Traceback (most recent call last):
  ...
NotImplementedError: torch.export.export: there is no ahead-of-time graph here; ...
"""

from __future__ import annotations

from framework.refusal import refused

_refused = refused(
    "torch.export",
    "Dim draft_export export load register_dataclass save unflatten",
    "there is no ahead-of-time graph here; the model is shown as it runs",
)
globals().update(_refused)

__all__ = list(_refused)
