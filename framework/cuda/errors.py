"""Errors of CUDA devices by PyTorch's names, for ``except`` clauses."""

from __future__ import annotations

__all__ = ["AcceleratorError", "CudaError", "DeferredCudaCallError"]


class AcceleratorError(RuntimeError):
    """What PyTorch raises for a failure of the device; here CuPy's own errors come through.

    >>> import framework as torch
    >>> issubclass(torch.AcceleratorError, RuntimeError)
    True
    """


class CudaError(RuntimeError):
    """What PyTorch raises for a refusal of CUDA's runtime; here CuPy's own errors come through.

    >>> import framework as torch
    >>> issubclass(torch.cuda.CudaError, RuntimeError)
    True
    """


class DeferredCudaCallError(Exception):
    """What PyTorch raises for a call that waited for CUDA's start; none waits here.

    >>> import framework as torch
    >>> issubclass(torch.cuda.DeferredCudaCallError, Exception)
    True
    """
