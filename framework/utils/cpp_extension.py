"""`utils.cpp_extension`: refused in a sentence; there is no C++ interface here to build against."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = [
    "BuildExtension", "CUDAExtension", "CUDA_HOME", "CppExtension", "ROCM_HOME", "include_paths",
    "load", "load_inline",
]  # fmt: skip

CUDA_HOME = ROCM_HOME = None


def _refused(name: str) -> Any:
    def function(*args: Any, **options: Any) -> NoReturn:
        raise NotImplementedError(
            f"{name}: extensions in C++ or CUDA need PyTorch's own library, which is not a part "
            "of this framework; write the op in Python (torch.autograd.Function), NumPy or CuPy"
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        "Refused with NotImplementedError: there is no C++ interface here.\n\n"
        f">>> from framework.utils.cpp_extension import {name}\n>>> {name}()\n"
        f"Traceback (most recent call last):\n  ...\n"
        f"NotImplementedError: {name}: extensions in C++ or CUDA need ...\n"
    )
    return function


load, load_inline = _refused("load"), _refused("load_inline")
CppExtension, CUDAExtension = _refused("CppExtension"), _refused("CUDAExtension")
include_paths = _refused("include_paths")


class BuildExtension:
    """A command of setuptools in PyTorch; refused here when it is used: NotImplementedError.

    >>> from framework.utils.cpp_extension import BuildExtension
    >>> command = BuildExtension.with_options(use_ninja=False)
    >>> command()
    Traceback (most recent call last):
      ...
    NotImplementedError: BuildExtension: extensions in C++ or CUDA need PyTorch's own library, ...
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        _refused("BuildExtension")()

    @classmethod
    def with_options(cls, **options: Any) -> type[BuildExtension]:
        """The command itself."""
        return cls
