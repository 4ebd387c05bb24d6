"""`nested`: tensors of rows of several lengths are refused; pad them, or use a mask.

>>> import framework as torch
>>> torch.nested.nested_tensor([torch.ones(1), torch.ones(2)])
Traceback (most recent call last):
  ...
NotImplementedError: torch.nested.nested_tensor: there are no nested tensors here; pad with ...
"""

from __future__ import annotations

from framework.refusal import refused

_refused = refused(
    "torch.nested",
    """
    as_nested_tensor masked_select narrow nested_tensor nested_tensor_from_jagged to_padded_tensor
    """,
    "there are no nested tensors here; pad with torch.nn.utils.rnn.pad_sequence and use a mask",
)
globals().update(_refused)

__all__ = list(_refused)
