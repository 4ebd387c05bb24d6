"""The trace: what a model did, event by event, and the ways to look at it while it runs.

    from framework import trace

    with trace.recording() as tape:     # record a block
        train_step()
    tape.read()                         # its events, typed

    trace.listen()                      # let `tapebook attach` look into this program, as does
                                        # TAPEBOOK_LISTEN=1 in its environment
    trace.mark("epoch 3")               # a label on the time line

    with trace.record("out.tape"):      # record a block to a file
        train()
    trace.open_tape("out.tape")         # what it holds, now or on another machine

    trace.why(loss)                     # where its NaN began; why a parameter has no gradient

The recorder is loaded with the framework and costs nothing until it is started. What needs
msgspec (typed events, the wire, the service) is loaded when it is first asked for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from framework.trace.sink import Recorder, mark, recording, start, stop

if TYPE_CHECKING:
    from framework.trace.client import Client, sessions
    from framework.trace.conditions import break_on
    from framework.trace.explain import why
    from framework.trace.gate import Gate
    from framework.trace.listening import listen
    from framework.trace.protocol import Breakpoint
    from framework.trace.ruleset import rules
    from framework.trace.server import Service
    from framework.trace.tape import Tape, open_tape
    from framework.trace.tape_writer import Recording, record

__all__ = [
    "Breakpoint",
    "Client",
    "Gate",
    "Recorder",
    "Recording",
    "Service",
    "Tape",
    "break_on",
    "listen",
    "mark",
    "open_tape",
    "record",
    "recording",
    "rules",
    "sessions",
    "start",
    "stop",
    "why",
]

_LAZY = {
    "Breakpoint": "protocol",
    "Client": "client",
    "Gate": "gate",
    "Recording": "tape_writer",
    "Service": "server",
    "Tape": "tape",
    "break_on": "conditions",
    "listen": "listening",
    "open_tape": "tape",
    "record": "tape_writer",
    "rules": "ruleset",
    "sessions": "client",
    "why": "explain",
}


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)


class _Package(ModuleType):
    """PyTorch has a function of this name: ``torch.trace(matrix)`` is the sum of the diagonal."""

    def __call__(self, input: Any) -> Any:
        return input.trace()


sys.modules[__name__].__class__ = _Package
