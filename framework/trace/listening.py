"""Letting viewers look into any program: ``trace.listen()``, or ``TAPEBOOK_LISTEN=1`` around it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from framework.trace import sink
from framework.trace.gate import Gate
from framework.trace.server import Service
from framework.trace.session import SessionError

__all__ = ["VARIABLE", "from_environment", "listen"]

VARIABLE = "TAPEBOOK_LISTEN"  # "1", or the name that the session is to have

_listening: Service | None = None  # of this process


def listen(
    name: str = "",
    *,
    file: str = "",
    directory: Path | None = None,
    wait: bool = False,
    idle: str = "structure",
    **options: Any,
) -> Service:
    """Let viewers attach to this program: ``tapebook attach`` finds it.

    Starts tracing the calling thread if it is not traced yet; ``options`` are `Recorder`'s. Ends
    with the program, or with ``close()``. Called a second time, it returns the same service.

    Args:
        name: what the session is called, before the process id; default: the script's name.
        file: what it runs; default: the script.
        directory: for the socket; default: the user's runtime directory.
        wait: return only when the first viewer is there.
        idle: what is recorded while nobody watches: "structure" (what happened, so that who comes
            late sees the past; no values), "off" (nothing: full speed) or "all".

    Raises:
        SessionError: the directory or the socket cannot be made, or is not safe.

    >>> import pathlib, tempfile
    >>> from framework import trace
    >>> folder = tempfile.TemporaryDirectory()
    >>> service = trace.listen("train", directory=pathlib.Path(folder.name))
    >>> service.name.partition("-")[0], service.viewers
    ('train', 0)
    >>> service.close(); trace.stop()
    """
    global _listening
    service = _listening
    if service is None or service.closed:
        recorder = sink.active
        if recorder is None:
            recorder = sink.start(**options)
        gate = recorder.gate or Gate(recorder)
        gate.break_on_error = True
        main = sys.modules["__main__"]
        file = file or os.path.abspath(getattr(main, "__file__", None) or "")
        file = file if os.path.isfile(file) else ""
        name = name or Path(file).stem or "python"
        service = _listening = Service(
            recorder, gate, name, file=file, directory=directory, idle=idle
        )
        service.asking.install()
    while wait and not service.viewers:
        time.sleep(0.02)
    return service


def from_environment() -> None:
    """At the end of ``import framework``: what `VARIABLE` asks for; a problem is one line.

    Processes that a program starts through multiprocessing (a data loader's workers) do not listen.
    """
    wanted = os.environ.get(VARIABLE, "")
    starter = sys.modules.get("multiprocessing.process")
    if wanted in ("", "0") or (starter is not None and starter.parent_process() is not None):
        return
    try:
        listen("" if wanted == "1" else wanted)
    except SessionError as error:
        sys.stderr.write(f"tapebook: nobody can attach: {error}\n")
