"""Tensors made in `inference_mode`: they have no version counter that could be relied on."""

from __future__ import annotations

import sys
from typing import Any

from framework.core.graph import Version
from framework.core.modes import modes

__all__ = ["InferenceVersion", "install", "uninstall"]


class InferenceVersion(Version):
    """The counter of such a tensor: whoever reads it wants to save the tensor for a gradient."""

    __slots__ = ()

    @property
    def value(self) -> int:
        raise RuntimeError(
            "Inference tensors cannot be saved for backward. Please do not use Tensors created in "
            "inference mode in computation tracked by autograd. To work around this, you can make "
            "a clone to get a normal tensor and use it in autograd, or use `torch.no_grad()` "
            "instead of `torch.inference_mode()`."
        )

    @value.setter
    def value(self, count: int) -> None:
        pass

    @staticmethod
    def written() -> None:
        """A write in place is about to happen."""
        if not modes.inference:
            raise RuntimeError(
                "Inplace update to inference tensor outside InferenceMode is not allowed.You can "
                "make a clone to get a normal tensor before doing inplace update.See "
                "https://github.com/pytorch/rfcs/pull/17 for more details."
            )


def install(dispatch: Any) -> None:
    """Let `wrap` mark tensors while the thread is in an inference mode."""
    tensor = sys.modules["framework.tensor"]
    plain = dispatch.wrap

    def wrap(array: Any, on: Any = None) -> Any:
        made = plain(array, on)
        if modes.inference:
            made._counter = InferenceVersion()
        return made

    wrap.plain = plain  # type: ignore[attr-defined]
    dispatch.wrap = tensor.wrap = wrap  # type: ignore[attr-defined]


def uninstall(dispatch: Any) -> None:
    """Undo `install`."""
    tensor = sys.modules["framework.tensor"]
    dispatch.wrap = tensor.wrap = dispatch.wrap.plain  # type: ignore[attr-defined]
