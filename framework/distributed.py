"""`distributed`: there is one process, and this module says so.

>>> import framework as torch
>>> torch.distributed.is_available() and torch.distributed.is_initialized()
False
"""

from __future__ import annotations

from framework.refusal import refused

_refused = refused(
    "torch.distributed",
    """
    all_gather all_gather_object all_reduce all_to_all barrier broadcast broadcast_object_list
    destroy_process_group gather get_backend get_rank get_world_size init_process_group irecv isend
    new_group recv reduce reduce_scatter scatter send
    """,
    "there is one process here; ask torch.distributed.is_available() before",
)
globals().update(_refused)

__all__ = [
    *_refused, "is_available", "is_gloo_available", "is_initialized", "is_mpi_available",
    "is_nccl_available", "is_torchelastic_launched",
]  # fmt: skip


def is_available() -> bool:
    """False."""
    return False


is_initialized = is_torchelastic_launched = is_available
is_gloo_available = is_mpi_available = is_nccl_available = is_available
