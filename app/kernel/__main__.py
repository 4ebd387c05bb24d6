"""`python -m app.kernel`: started by `app.kernel.process`, never by hand."""

from __future__ import annotations

import argparse
import atexit
import faulthandler
import gc
import json
import os
import signal
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any

from app.kernel.output import Outputs
from app.kernel.shell import KernelShell, make_shell
from framework.trace import sink
from framework.trace.gate import Gate
from framework.trace.server import RequestError, Service
from framework.trace.session import SessionError

__all__ = ["Kernel", "main"]

BUDGET = 512 << 20  # bytes of values that are kept
CONGESTED = 1 << 20  # bytes that viewers are behind when printed text begins to wait


class Kernel:
    """Runs cells on the main thread, one after the other, as the service hands them over."""

    def __init__(self, directory: Path | None, name: str, file: str) -> None:
        self.recorder = sink.start(keep="all", budget=BUDGET)
        self.gate = Gate(self.recorder)
        self.gate.break_on_error = True
        self.gate.state = "idle"
        self.service = Service(
            self.recorder, self.gate, name, file=file, directory=directory, stay_paused=True
        )
        self.outputs = Outputs(self.service.push, lambda: self.service.backlog > CONGESTED)
        self.shell: KernelShell = make_shell(self.outputs, self.service.session.scratch)
        self.gate.namespace = self.shell.user_ns
        self.service.asking.before.append(self.outputs.flush)
        self.service.asking.install(terminal=False)
        self._jobs: SimpleQueue[tuple[str, str, Future[Any]] | None] = SimpleQueue()
        self._ended: Future[Any] = Future()  # of the cell that runs
        self._running = False
        self._register()
        signal.signal(signal.SIGINT, self._on_sigint)
        sys.breakpointhook = self.gate.on_breakpoint

    def _register(self) -> None:
        shell, service = self.shell, self.service
        service.register("execute", self._execute)
        service.register("shutdown", self._shutdown)
        service.register("await", lambda p: self._ended)
        service.forks.before.append(self.outputs.flush)
        service.forks.after.append(self._copied)
        service.register(
            "complete", lambda p: shell.complete_at(_text(p, "code"), _number(p, "pos")), slow=True
        )
        service.register(
            "inspect",
            lambda p: shell.inspect_at(_text(p, "code"), _number(p, "pos"), _number(p, "detail")),
            slow=True,
        )

    # -- on the service thread -------------------------------------------------------------------

    def _execute(self, params: dict[str, Any]) -> Future[Any]:
        cell, code = _text(params, "cell"), _text(params, "code")
        if not cell or any(c in cell for c in "<>\n\0") or len(cell) > 200:
            raise RequestError("execute: a cell needs an id of plain characters")
        done: Future[Any] = Future()
        self._jobs.put((cell, code, done))
        return done

    def _shutdown(self, params: dict[str, Any]) -> None:
        self._jobs.put(None)
        if self._running:
            self.gate.interrupt()

    # -- on the main thread ------------------------------------------------------------------------

    def _copied(self, kind: str) -> None:
        """This is a copy of the kernel: what came for the original is not ours."""
        self.outputs.restart(mute=kind != "branch")
        self._jobs = SimpleQueue()
        self._ended = Future()

    def run(self) -> None:
        """Take cells until told to shut down."""
        while True:
            try:
                job = self._jobs.get()
            except KeyboardInterrupt:
                continue
            if job is None:
                break
            cell, code, self._ended = job
            try:
                result = self._run_cell(cell, code)
                self._ended.set_result(result)  # which is another one in a copy
            except KeyboardInterrupt:  # it came after the cell's end
                if not self._ended.done():
                    self._ended.set_result({"count": 0, "error": "KeyboardInterrupt"})
        self.close()

    def _run_cell(self, cell: str, code: str) -> dict[str, Any]:
        outputs, service, recorder = self.outputs, self.service, self.recorder
        outputs.cell = cell
        service.set_state("running", cell)
        begin = recorder.begin_cell(cell, self.shell.execution_count)
        error: BaseException | None = None
        count = 0
        try:
            self._running = True
            ran = self.shell.run(cell, code)
            self._running = False
            count, error = ran.count, ran.error
        except BaseException as raised:  # an interrupt that came while IPython was at work
            self._running = False
            error = raised
            self.shell.showtraceback()
        recorder.end_cell(begin, error)
        outputs.flush()
        service.set_state("idle", "")
        return {"count": count, "error": "" if error is None else type(error).__name__}

    def _on_sigint(self, signum: int, frame: FrameType | None) -> None:
        if self._running:
            self.gate.on_sigint(signum, frame)

    def close(self) -> None:
        self.outputs.flush()
        self.service.close()


def _text(params: dict[str, Any], name: str) -> str:
    value = params.get(name, "")
    if not isinstance(value, str):
        raise RequestError(f"{name} must be text")
    return value


def _number(params: dict[str, Any], name: str) -> int:
    value = params.get(name, 0)
    if not isinstance(value, int):
        raise RequestError(f"{name} must be an integer")
    return value


def _die_with(parent: int, kernel: Kernel) -> None:
    """End when the other end of a pipe is closed, whatever the main thread is doing."""

    def watch() -> None:
        while True:
            try:
                if not os.read(parent, 1):
                    break
            except OSError:
                break
        kernel.close()
        os._exit(0)

    threading.Thread(target=watch, name="tapebook-parent", daemon=True).start()


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to shut down, or until the parent has gone."""
    parser = argparse.ArgumentParser(prog="python -m app.kernel", allow_abbrev=False)
    parser.add_argument("--socket-dir", type=Path, help="default: the user's runtime directory")
    parser.add_argument("--name", default="kernel", help="what the session is called")
    parser.add_argument("--file", default="", help="the notebook")
    parser.add_argument("--path", default="", help="put first on sys.path")
    parser.add_argument("--ready-fd", type=int, help="where to say that the service is up")
    parser.add_argument("--parent-fd", type=int, help="a pipe that closes when the parent ends")
    options = parser.parse_args(arguments)
    faulthandler.enable(2)
    if options.path:
        sys.path.insert(0, options.path)
    sys.argv = [options.file or ""]
    # whoever asks for the sessions stands elsewhere; the program sees the name as it was typed
    file = os.path.abspath(options.file) if options.file else ""
    try:
        kernel = Kernel(options.socket_dir, options.name, file)
    except SessionError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if options.parent_fd is not None:
        _die_with(options.parent_fd, kernel)
    if options.ready_fd is not None:
        with os.fdopen(options.ready_fd, "w") as ready:
            json.dump({"socket": str(kernel.service.session.socket)}, ready)
    atexit.register(kernel.close)
    gc.freeze()  # what has been loaded stays: collections need not look at it again and again
    kernel.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
