"""Anomaly detection: which op's gradient became NaN or infinite first, and where it was written."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from framework.core.modes import modes
from framework.trace import sink

__all__ = [
    "detect_anomaly", "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "set_anomaly_enabled",
    "set_detect_anomaly",
]  # fmt: skip


def is_anomaly_enabled() -> bool:
    """Whether backward passes of this thread look for NaN and Inf.

    >>> import framework as torch
    >>> with torch.autograd.detect_anomaly():
    ...     torch.is_anomaly_enabled()
    True
    """
    return modes.anomaly


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly detection also looks for NaN (and Inf) in gradients.

    >>> import framework as torch
    >>> with torch.autograd.detect_anomaly(check_nan=False):
    ...     torch.is_anomaly_check_nan_enabled()
    False
    """
    return modes.check_nan


def set_anomaly_enabled(enabled: bool, check_nan: bool = True) -> None:
    """Switch anomaly detection on or off; `set_detect_anomaly` can also undo it.

    A value counts by its truth; it never raises.

    >>> import framework as torch
    >>> torch.set_anomaly_enabled(True)
    >>> torch.is_anomaly_enabled()
    True
    >>> torch.set_anomaly_enabled(False)
    """
    modes.anomaly, modes.check_nan = enabled, check_nan


class set_detect_anomaly:
    """Switch anomaly detection on or off at once; as a context manager, until its end.

    While it is on, a backward pass stops at the first node that returns a NaN or infinite gradient
    from finite ones, with an error that names the forward op, the module it ran in, and the source
    line. Ops must run while it is on for their places to be known: a recorder without values is
    started if there is none.

    Args:
        mode: on or off.
        check_nan: look at the values (else only errors get the place of the forward op).

    TypeError for what is no bool.

    >>> import framework as torch
    >>> x = torch.zeros(1, requires_grad=True)
    >>> with torch.autograd.set_detect_anomaly(True, check_nan=False):
    ...     (x.sqrt() * 0).backward()
    >>> x.grad
    tensor([nan])
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        for value in (mode, check_nan):
            if value.__class__ is not bool:
                got = type(value).__name__
                raise TypeError(
                    f"set_anomaly_enabled(): argument 'enabled' must be bool, not {got}"
                )
        self.prev, self.prev_check_nan = modes.anomaly, modes.check_nan
        modes.anomaly, modes.check_nan = mode, check_nan
        self._started = mode and sink.active is None
        if self._started:
            _started.append(sink.start(capacity=16, keep="none"))
        elif not mode:
            _stop()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        modes.anomaly, modes.check_nan = self.prev, self.prev_check_nan
        if self._started:
            _stop()


_started: list[Any] = []  # the recorder that was started for anomaly detection


def _stop() -> None:
    """Stop the recorder that was started here, if it is still the one in use."""
    if _started and _started.pop() is sink.active:
        sink.stop()


class detect_anomaly:
    """Anomaly detection as a context manager; see `set_detect_anomaly`.

    >>> import framework as torch
    >>> x = torch.zeros(1, requires_grad=True)
    >>> with torch.autograd.detect_anomaly():
    ...     y = x.sqrt() * 0
    ...     try:
    ...         y.sum().backward()
    ...     except RuntimeError as error:
    ...         print(str(error).partition(" (")[0])
    Function 'SqrtBackward0' returned nan values in its 0th output.
    """

    def __init__(self, check_nan: bool = True) -> None:
        self._check_nan = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should "
            "only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        self._setting = set_detect_anomaly(True, self._check_nan)

    def __exit__(self, *exc: object) -> None:
        self._setting.__exit__(*exc)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with detect_anomaly(self._check_nan):
                return function(*args, **kwargs)

        wrapped.__name__, wrapped.__doc__ = function.__name__, function.__doc__
        return wrapped
