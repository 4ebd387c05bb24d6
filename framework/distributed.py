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
    """Whether there may be several processes: False; what would use them is refused.

    >>> import framework as torch
    >>> torch.distributed.is_available()
    False
    """
    return False


def is_initialized() -> bool:
    """Whether there is a group of processes: False, so that programs take their way for one.

    >>> import framework as torch
    >>> rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    >>> rank
    0
    """
    return False


def is_torchelastic_launched() -> bool:
    """Whether ``torchrun`` started this process: False.

    >>> import framework as torch
    >>> torch.distributed.is_torchelastic_launched()
    False
    """
    return False


def is_gloo_available() -> bool:
    """Whether processes can talk by Gloo: False, as for MPI and NCCL.

    >>> import framework as torch
    >>> torch.distributed.is_gloo_available(), torch.distributed.is_nccl_available()
    (False, False)
    """
    return False


def is_mpi_available() -> bool:
    """Whether MPI can be used: never.

    >>> import framework as torch
    >>> torch.distributed.is_mpi_available()
    False
    """
    return False


def is_nccl_available() -> bool:
    """Whether NCCL can be used: never.

    >>> import framework as torch
    >>> torch.distributed.is_nccl_available()
    False
    """
    return False
