"""Where the time goes: `profile`, made from the trace of what runs within it.

>>> import framework as torch
>>> from framework.profiler import profile, record_function
>>> with profile() as prof:
...     with record_function("twice"):
...         y = torch.ones(100, 100) * 2
>>> sorted(event.key for event in prof.key_averages())
['aten::mul', 'aten::ones', 'twice']
"""

from __future__ import annotations

from framework.profiler.events import EventList, FunctionEvent, FunctionEventAvg
from framework.profiler.profile import (
    DeviceType,
    ExecutionTraceObserver,
    ProfilerAction,
    ProfilerActivity,
    profile,
    record_function,
    schedule,
    supported_activities,
    tensorboard_trace_handler,
)

__all__ = [
    "DeviceType", "EventList", "ExecutionTraceObserver", "FunctionEvent", "FunctionEventAvg",
    "ProfilerAction", "ProfilerActivity", "kineto_available", "profile", "record_function",
    "schedule", "supported_activities", "tensorboard_trace_handler",
]  # fmt: skip


def kineto_available() -> bool:
    """Whether PyTorch's tracing library is there: no, the trace is our own.

    >>> import framework as torch
    >>> torch.profiler.kineto_available()
    False
    """
    return False
