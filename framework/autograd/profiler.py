"""The older interface of `framework.profiler`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

from framework.profiler import profile as _profile
from framework.profiler import record_function

__all__ = ["emit_nvtx", "profile", "record_function"]


class profile(_profile):
    """`framework.profiler.profile` with the arguments of old: ``profile(enabled=True)``.

    >>> import framework as torch
    >>> with torch.autograd.profiler.profile() as timing:
    ...     y = torch.ones(2).exp()
    >>> "exp" in [event.key.replace("aten::", "") for event in timing.key_averages()]
    True
    """

    def __init__(self, enabled: bool = True, *, use_cuda: bool = False, **options: Any) -> None:
        accepted = ("use_device", "use_kineto", "use_cpu", "with_flops")
        super().__init__(**{k: v for k, v in options.items() if k not in accepted})
        self.enabled = enabled

    def start(self) -> None:
        if self.enabled:
            super().start()

    def __str__(self) -> str:
        return str(self.events())


@contextmanager
def emit_nvtx(enabled: bool = True, record_shapes: bool = False) -> Any:
    """Accepted: there is no NVTX to write marks to.

    It never raises.

    >>> import framework as torch
    >>> with torch.autograd.profiler.emit_nvtx(enabled=False):
    ...     torch.ones(1).exp()
    tensor([2.7183])
    """
    yield
