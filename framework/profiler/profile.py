"""`profile` and what goes with it."""

from __future__ import annotations

import enum
import functools
import os
import time
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Any

from framework.profiler.events import EventList, spans
from framework.trace import sink

__all__ = [
    "DeviceType", "ExecutionTraceObserver", "ProfilerAction", "ProfilerActivity", "profile",
    "record_function", "schedule", "supported_activities", "tensorboard_trace_handler",
]  # fmt: skip


class DeviceType(enum.Enum):
    """Where a profiled call ran, by PyTorch's numbers.

    >>> import framework as torch
    >>> torch.profiler.DeviceType.CUDA
    <DeviceType.CUDA: 1>
    """

    CPU = 0
    CUDA = 1
    MPS = 13
    XPU = 12
    MTIA = 19
    Meta = 14
    PrivateUse1 = 20


class ExecutionTraceObserver:
    """Refused with NotImplementedError: the trace itself can be recorded.

    >>> import framework as torch
    >>> torch.profiler.ExecutionTraceObserver()
    Traceback (most recent call last):
        ...
    NotImplementedError: torch.profiler.ExecutionTraceObserver: there are no execution traces of...
    """

    def __init__(self) -> None:
        raise NotImplementedError(
            "torch.profiler.ExecutionTraceObserver: there are no execution traces of PyTorch's "
            "here; use torch.profiler.profile"
        )


class ProfilerActivity(enum.Enum):
    """What to profile; the kernels of CUDA devices are timed as they are called.

    >>> import framework as torch
    >>> profile = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])
    """

    CPU = 0
    CUDA = 2
    XPU = 1
    MTIA = 3
    HPU = 4
    PrivateUse1 = 5


class ProfilerAction(enum.Enum):
    """What to do in a step of a `schedule`.

    >>> import framework as torch
    >>> [action.name for action in torch.profiler.ProfilerAction]
    ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE']
    """

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def supported_activities() -> set[ProfilerActivity]:
    """What can be profiled here.

    >>> import framework as torch
    >>> torch.profiler.supported_activities()
    {<ProfilerActivity.CPU: 0>}
    """
    return {ProfilerActivity.CPU}


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0,
    skip_first_wait: int = 0,
) -> Callable[[int], ProfilerAction]:  # fmt: skip
    """For `profile`: wait, warm up and record for so many steps each, again and again.

    Args:
        repeat: how many cycles; 0 goes on.
        skip_first: steps to skip before the first cycle.
        skip_first_wait: not zero: the first cycle does not wait.

    AssertionError for a negative number, and where no step is active.

    >>> import framework as torch
    >>> plan = torch.profiler.schedule(wait=1, warmup=1, active=2, repeat=1)
    >>> [plan(step).name for step in range(5)]
    ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE', 'NONE']
    """
    if wait < 0 or warmup < 0 or active <= 0 or repeat < 0 or skip_first < 0:
        raise AssertionError("Invalid profiler schedule arguments")

    def action(step: int) -> ProfilerAction:
        if step < 0:
            raise AssertionError(f"Step must be non-negative. Got {step}.")
        if step < skip_first:
            return ProfilerAction.NONE
        step -= skip_first
        if skip_first_wait:
            step += wait
        length = wait + warmup + active
        if repeat and step // length >= repeat:
            return ProfilerAction.NONE
        at = step % length
        if at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if at < length - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[Any], None]:
    """For ``on_trace_ready``: write each trace into a directory, as PyTorch names them.

    It never raises itself; writing may raise an OSError.

    >>> import framework as torch, os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ready = torch.profiler.tensorboard_trace_handler(folder, "worker")
    ...     with torch.profiler.profile(on_trace_ready=ready):
    ...         y = torch.ones(2).exp()
    ...     [name.split(".")[0] for name in os.listdir(folder)]
    ['worker']
    """

    def handler(prof: Any) -> None:
        os.makedirs(dir_name, exist_ok=True)
        worker = worker_name or f"{os.uname().nodename}_{os.getpid()}"
        path = os.path.join(dir_name, f"{worker}.{time.time_ns()}.pt.trace.json")
        prof.export_chrome_trace(path)

    return handler


class record_function:
    """A named block of a profile and of the trace, as a context manager or a decorator.

    >>> import framework as torch
    >>> with torch.profiler.profile() as timing, torch.profiler.record_function("loss"):
    ...     y = torch.ones(2).exp()
    >>> "loss" in [event.key for event in timing.key_averages()]
    True
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name = name
        self._begins: list[tuple[Any, int]] = []

    def __enter__(self) -> record_function:
        recorder = sink.active
        if recorder is None or recorder.thread != get_ident():
            self._begins.append((None, 0))
        else:
            begin = recorder.begin_op(self.name, (), {"record_function": True})
            self._begins.append((recorder, begin))
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        made, begin = self._begins.pop()
        recorder: Any = sink.active
        if made is not None and made is recorder:  # not stopped since
            recorder.end_op(begin, (), error)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name):
                return function(*args, **kwargs)

        return wrapped


class profile:
    """Profiles the ops, composite ops, backward nodes and optimizer steps that run within it.

    The trace is what it measures with: a recorder without values is started, or the one that is
    running is read. Only the thread that traces is profiled.

    Args:
        activities: accepted; see `ProfilerActivity`.
        schedule: which steps to record, see `schedule`; `step` must then be called after each.
        on_trace_ready: called with the profile whenever a cycle is complete.
        record_shapes: keep the shapes of the inputs.
        profile_memory: sum the bytes of the outputs.
        with_stack: keep the line of the user's code.
        with_modules: a call for each module.

    >>> import framework as torch
    >>> with torch.profiler.profile() as timing:
    ...     y = torch.ones(2).exp().exp()
    >>> [(event.key, event.count) for event in timing.key_averages() if "exp" in event.key]
    [('aten::exp', 2)]
    """

    capacity = 1 << 20

    def __init__(
        self, *, activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[Any], Any] | None = None, record_shapes: bool = False,
        profile_memory: bool = False, with_stack: bool = False, with_flops: bool = False,
        with_modules: bool = False, experimental_config: Any = None, acc_events: bool = False,
        **accepted: Any,
    ) -> None:  # fmt: skip
        self.schedule = schedule
        self.on_trace_ready = on_trace_ready
        self.record_shapes = record_shapes or with_flops
        self.profile_memory = profile_memory
        self.with_stack, self.with_modules = with_stack, with_modules
        self.acc_events = acc_events
        self.step_num = 0
        self._action = ProfilerAction.RECORD if schedule is None else ProfilerAction.NONE
        self._recorder: Any = None
        self._own = False
        self._first = 0
        self._events = EventList()
        self._step: Any = None

    # -- recording -------------------------------------------------------------------------------

    def start(self) -> None:
        """Start, as entering it does."""
        self.step_num = 0
        if self.schedule is None:
            self._begin()
            return
        self._turn(self.schedule(0))
        self._mark_step()

    def stop(self) -> None:
        """Stop, as leaving it does; ``on_trace_ready`` gets what has been recorded."""
        self._end_step()
        if self._recorder is None:
            return
        self._end()
        if self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def step(self) -> None:
        """A step has ended: go on as the schedule says."""
        self._end_step()
        self.step_num += 1
        if self.schedule is not None:
            before = self._action
            if before is ProfilerAction.RECORD_AND_SAVE:
                self._end()
                if self.on_trace_ready is not None:
                    self.on_trace_ready(self)
            self._turn(self.schedule(self.step_num))
        self._mark_step()

    def _turn(self, action: ProfilerAction) -> None:
        recording = action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)
        self._action = action
        if recording and self._recorder is None:
            self._begin()
        elif not recording and self._recorder is not None:
            self._end()

    def _mark_step(self) -> None:
        if self._recorder is not None and self.schedule is not None:
            self._step = record_function(f"ProfilerStep#{self.step_num}")
            self._step.__enter__()

    def _end_step(self) -> None:
        if self._step is not None:
            self._step.__exit__(None, None, None)
            self._step = None

    def _begin(self) -> None:
        active = sink.active
        self._own = active is None or active.thread != get_ident()
        self._recorder = (
            sink.start(capacity=self.capacity, keep="none") if self._own else active
        )  # fmt: skip
        self._first = self._recorder.seq + 1

    def _end(self) -> None:
        recorder, self._recorder = self._recorder, None
        if self._own and sink.active is recorder:
            sink.stop()
        found = spans(
            recorder.read(self._first), self.record_shapes, self.with_stack, self.profile_memory,
            self.with_modules,
        )  # fmt: skip
        self._events = EventList([*self._events, *found]) if self.acc_events else found

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    # -- results ---------------------------------------------------------------------------------

    def events(self) -> EventList:
        """The recorded calls."""
        return self._events

    @property
    def function_events(self) -> EventList:
        """The calls, once the block has ended."""
        return self._events

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds of all calls, each without those inside of it."""
        return self._events.self_cpu_time_total

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0,
        group_by_overload_name: bool = False,
    ) -> EventList:  # fmt: skip
        """The calls summed by name."""
        return self._events.key_averages(group_by_input_shape, group_by_stack_n)

    def total_average(self) -> Any:
        """All calls in one sum."""
        return self._events.total_average()

    def table(self, **options: Any) -> str:
        """See `EventList.table`."""
        return self._events.table(**options)

    def export_chrome_trace(self, path: str) -> None:
        """Write the calls for chrome://tracing and Perfetto."""
        self._events.export_chrome_trace(path)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Write the stacks for a flame graph."""
        self._events.export_stacks(path, metric)

    def add_metadata(self, key: str, value: str) -> None:
        """Accepted for PyTorch's sake."""

    add_metadata_json = add_metadata
