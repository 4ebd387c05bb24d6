"""What cells put out, on its way to the viewers: tagged with its cell, in batches, bounded.

A loop that prints a million lines makes a few messages per second, each with the first and the last
part of what was printed meanwhile; how many lines are missing is said in between.
"""

from __future__ import annotations

import base64
import io
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from framework.trace.protocol import Output

__all__ = ["CellInput", "CellStream", "Outputs"]

PERIOD = 0.03  # seconds between two messages of a stream
HEAD = 16_000  # characters of one message's beginning
TAIL = 32_000  # characters of its end
GATHER = 1 << 16  # characters that are gathered before they are joined
RUNS = 1000  # changes between stdout and stderr in one message period
MAX_DATA = 32 << 20  # bytes of one displayed object


class Outputs:
    """Collects what is written and sends it with ``push``.

    Args:
        push: takes a message, from any thread; must not block.
        congested: whether the viewers are behind, so that streams had better wait.
    """

    def __init__(
        self, push: Callable[[Output], None], congested: Callable[[], bool] = lambda: False
    ) -> None:
        self.cell = ""
        self._push = push
        self._congested = congested
        self._begin()

    def _begin(self) -> None:
        self._parts: deque[tuple[str, str, str]] = deque()  # (cell, stream, text), as written
        self._size = 0  # characters in them, about
        self._texts: list[_Text] = []  # the same, joined and bounded
        self._lock = threading.Lock()
        self._awake = False
        self._written = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tapebook-output", daemon=True)
        self._thread.start()

    def restart(self, mute: bool) -> None:
        """In a forked child, which has no thread for it: go on, or put nothing out any more."""
        if mute:
            self._push = _nowhere
        self._begin()

    def write(self, name: str, text: str) -> None:
        """Text for ``stdout`` or ``stderr`` of the current cell; called for every print."""
        self._parts.append((self.cell, name, text))
        self._size += len(text) + 10
        if self._size > GATHER:
            with self._lock:
                self._join()
        if not self._awake:
            self._awake = True
            self._written.set()

    def _join(self) -> None:
        """Join what was written, and leave out the middle of what is too much."""
        self._size = 0
        parts = self._parts
        while parts:
            cell, name, text = parts.popleft()
            last = self._texts[-1] if self._texts else None
            if last is None or last.name != name or last.cell != cell:
                if len(self._texts) >= RUNS:  # streams that take turns: forget the middle
                    del self._texts[RUNS // 2]
                last = _Text(cell, name)
                self._texts.append(last)
            last.add(text)

    def flush(self) -> None:
        """Send what has been written so far."""
        with self._lock:
            self._join()
            texts, self._texts = self._texts, []
            for text in texts:
                self._push(Output(text.cell, "stream", name=text.name, text=_valid(text.join())))

    def display(
        self,
        kind: str,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        *,
        count: int = 0,
        display_id: str = "",
    ) -> None:
        """A displayed object, or a cell's result, as a MIME bundle."""
        self.flush()
        self._push(
            Output(
                self.cell,
                kind,
                data=_sendable(data),
                metadata=_plain(metadata or {}),
                count=count,
                display_id=display_id,
            )
        )

    def error(self, name: str, value: str, traceback: list[str]) -> None:
        self.flush()
        self._push(
            Output(
                self.cell,
                "error",
                ename=_valid(name),
                evalue=_valid(value[:10_000]),
                traceback=[_valid(line[:100_000]) for line in traceback],
            )
        )

    def clear(self, wait: bool) -> None:
        self.flush()
        self._push(Output(self.cell, "clear", wait=wait))

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._written.wait()
            pause.wait(PERIOD)
            if not self._congested():
                self._written.clear()
                self._awake = False
                self.flush()


def _nowhere(_: Output) -> None:
    """Where the output of a copy goes that nobody is to see."""


class _Text:
    """Text of one stream between two messages: its beginning and its end."""

    def __init__(self, cell: str, name: str) -> None:
        self.cell = cell
        self.name = name
        self._head: list[str] = []
        self._room = HEAD
        self._tail: deque[str] = deque()
        self._size = 0
        self._hidden = 0  # lines

    def add(self, text: str) -> None:
        at = 0
        if self._room:
            at = min(self._room, len(text))
            self._head.append(text[:at])
            self._room -= at
            if at == len(text):
                return
        cut = max(at, len(text) - TAIL)  # it may be a gigabyte: no copy of all of it
        self._hidden += text.count("\n", at, cut)
        text = text[cut:]
        self._tail.append(text)
        self._size += len(text)
        while self._size > TAIL and len(self._tail) > 1:
            oldest = self._tail.popleft()
            self._size -= len(oldest)
            self._hidden += oldest.count("\n")

    def join(self) -> str:
        note = f"\n… {self._hidden:,} lines hidden …\n" if self._hidden else ""
        return "".join(self._head) + note + "".join(self._tail)


class CellStream(io.TextIOBase):
    """What ``sys.stdout`` and ``sys.stderr`` are in a kernel.

    ``fileno`` is that of the process's own stream, for programs that a cell starts: what they
    write goes to the parent's log.
    """

    def __init__(self, outputs: Outputs, name: str, descriptor: int) -> None:
        self._outputs = outputs
        self._descriptor = descriptor
        self.name = f"<{name}>"
        self._stream = name
        self.buffer = _Bytes(self)

    encoding = "utf-8"
    errors = "replace"

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            self._outputs.write(self._stream, text)
        return len(text)

    def flush(self) -> None:
        pass  # it is on its way in a moment; flushing each line would make a message of each

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        pass  # cells share it


class _Bytes(io.RawIOBase):
    """The ``buffer`` of a `CellStream`."""

    def __init__(self, stream: CellStream) -> None:
        self._text = stream

    def write(self, data: Any) -> int:
        data = bytes(data)
        self._text.write(data.decode("utf-8", "replace"))
        return len(data)

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        pass


class CellInput(io.TextIOBase):
    """What ``sys.stdin`` is in a kernel: each line of it is a question, as those of `input` are."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self._rest = ""  # of a line that was not read whole

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> str:
        if size is None or size < 0:
            return "".join(iter(self.readline, ""))
        return self.readline(size)

    def readline(self, size: int | None = -1) -> str:  # type: ignore[override]
        if size == 0:
            return ""
        line, self._rest = self._rest, ""
        if not line:
            try:
                line = f"{input()}\n"
            except EOFError:
                return ""
        if size is not None and 0 < size < len(line):
            line, self._rest = line[:size], line[size:]
        return line

    def isatty(self) -> bool:
        return False


def _valid(text: str) -> str:
    """Text that UTF-8 can hold: lone surrogates become question marks."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _sendable(data: dict[str, Any]) -> dict[str, Any]:
    """A MIME bundle as plain data: binary parts in base64, what is too large left out."""
    result: dict[str, Any] = {}
    for mime, value in data.items():
        if isinstance(value, (bytes, bytearray)):
            value = base64.b64encode(value).decode()
        elif isinstance(value, str):
            value = _valid(value)
        else:
            value = _plain(value)
        size = len(value) if isinstance(value, str) else len(msgspec.msgpack.encode(value))
        if size > MAX_DATA:
            result.setdefault("text/plain", f"<{mime} of {size:,} bytes: too large to show>")
        else:
            result[str(mime)] = value
    return result


def _plain(value: Any) -> Any:
    """Data that a message can hold; what is not JSON-like becomes its type's name."""
    try:
        msgspec.msgpack.encode(value)
        return msgspec.to_builtins(value, str_keys=True)
    except Exception:  # an object of the user's may raise anything
        if isinstance(value, dict):
            return {str(k): _plain(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [_plain(v) for v in value]
        return f"<{type(value).__name__}>"
