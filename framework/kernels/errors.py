"""The errors of kernels."""

from __future__ import annotations

__all__ = ["LinAlgError", "NoMemory", "OutOfMemoryError", "SparseOperand"]


class SparseOperand(NotImplementedError):
    """A kernel was given a sparse array that it cannot work on."""


class LinAlgError(RuntimeError):
    """A decomposition that does not exist, such as the inverse of a singular matrix.

    A RuntimeError; its message says which matrix of a batch, and where.

    >>> import framework as torch
    >>> try:
    ...     torch.linalg.inv(torch.zeros(2, 2))
    ... except torch.linalg.LinAlgError:
    ...     print("singular")
    singular
    """


# What PyTorch's tracebacks say; `framework._C` has it by that name.
LinAlgError.__name__ = LinAlgError.__qualname__ = "_LinAlgError"
LinAlgError.__module__ = "framework._C"


class NoMemory(RuntimeError, MemoryError):
    """The host has not enough memory left: an error of PyTorch's kind, and of Python's."""


class OutOfMemoryError(RuntimeError):
    """A device has not enough memory left; raised by the op that asked for it. A RuntimeError.

    >>> import framework as torch
    >>> issubclass(torch.cuda.OutOfMemoryError, RuntimeError)
    True
    """
