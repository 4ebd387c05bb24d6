"""What goes wrong with ONNX files and exports, and the one place that imports the package."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["OnnxError", "OnnxExporterError", "package"]


class OnnxError(ValueError):
    """A file is no ONNX model that can be run here; one line names the file and the reason.

    >>> import tempfile, framework as torch
    >>> with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
    ...     try:
    ...         torch.onnx.load(file.name)
    ...     except torch.onnx.OnnxError as error:
    ...         print(str(error).rpartition(": ")[2])
    it is empty
    """


class OnnxExporterError(RuntimeError):
    """A model cannot be written as ONNX.

    >>> import framework as torch
    >>> class Spectrum(torch.nn.Module):
    ...     def forward(self, x):
    ...         return torch.linalg.eigvals(x)
    >>> try:
    ...     torch.onnx.export(Spectrum(), (torch.eye(2),))
    ... except torch.onnx.OnnxExporterError as error:
    ...     print(error)
    cannot be written as ONNX: eigvals (...): has no translation
    """


def package(part: str = "onnx") -> Any:
    """The ``onnx`` package or a module of it.

    Raises:
        ImportError: it is not installed; the line says how to get it.
    """
    try:
        return importlib.import_module(part)
    except ImportError as error:
        if error.name not in ("onnx", part):
            raise
        raise ImportError(
            "framework.onnx needs the package 'onnx': pip install 'tapebook[onnx]'", name="onnx"
        ) from None
