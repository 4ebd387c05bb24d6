"""The wire between a process that runs a model and the viewers of it: messages and framing.

A stream of frames, each a 4-byte big-endian length and one MessagePack message. The session sends
a `Challenge`; the viewer proves with `Hello` that it knows the session's token, gets `Welcome`, and
then sends `Request`s. The session answers each with one `Reply` and pushes `Events`, `Output`,
`StateChanged`, `Control`, `Dropped` and `Goodbye` on its own. Nothing is ever unpickled; a frame
above `MAX_FRAME` or with a field of the wrong type ends the connection. docs/wire.md has it all.

>>> from framework.trace.protocol import Request, decode, encode
>>> decode(encode(Request(1, "step", {"how": "next"})))
Request(id=1, method='step', params={'how': 'next'})
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import struct
from typing import Any

import msgspec

from framework.trace.events import Event, Source, TensorMeta

__all__ = [
    "MAX_FRAME",
    "PROTOCOL_VERSION",
    "Breakpoint",
    "Challenge",
    "Control",
    "Dropped",
    "Events",
    "Frame",
    "Goodbye",
    "Grid",
    "Hello",
    "Message",
    "Output",
    "ProtocolError",
    "Question",
    "Reply",
    "Request",
    "StateChanged",
    "Stop",
    "Summary",
    "Table",
    "TensorView",
    "Variable",
    "Welcome",
    "decode",
    "encode",
    "proof",
    "read_frame",
    "read_message",
    "write_message",
]

PROTOCOL_VERSION = 2
MAX_FRAME = 64 << 20  # bytes; an events batch is under 1 MiB, a tensor table a few KiB

_LENGTH = struct.Struct(">I")


class ProtocolError(Exception):
    """The peer sent something that is not this protocol; the connection is to be closed."""


# -- data carried by replies -----------------------------------------------------------------


class Breakpoint(msgspec.Struct):
    """Where and when to stop. Empty fields match anything; all given ones must match.

    ``op``, ``module`` and ``param`` are exact names, or have ``*`` and ``?`` in them or, between
    slashes, are regular expressions: ``/conv.*/``.
    A ``module`` breakpoint stops at the first matching op of each call of that module.
    ``condition`` is "" (always) or what `conditions.parse_condition` reads; it looks at the op's
    outputs in forward, at the gradients it sends in backward, and at a parameter's change by the
    optimizer. With ``param``, it looks at the parameter's new value, its gradient or its change.
    A ``line`` without a condition stops before the line runs, as in pdb.
    ``hits`` counts; as the target of "until", it says which occurrence is meant (0: the first).

    >>> import framework as torch
    >>> from framework import trace
    >>> point = trace.Breakpoint(1, op="log*", condition="nan")
    >>> with trace.break_on(point, do=lambda stop: print(stop.message)):
    ...     y = torch.tensor([1.0, -1.0]).log()
    1 NaN of 2: log, forward, step 1
    """

    id: int
    op: str = ""
    module: str = ""
    file: str = ""
    line: int = 0
    phase: str = "forward"  # "forward" | "backward" | "both" | "optimizer"
    condition: str = ""
    enabled: bool = True
    hits: int = 0
    error: str = ""  # why the condition could not be evaluated, shown in the breakpoints pane
    param: str = ""  # a parameter's name
    occurrence: int = 0  # the n-th match in each training step; 0: any
    first_step: int = 0  # training steps in which it counts, both included; 0: no bound
    last_step: int = 0
    from_hit: int = 0  # stop from the n-th hit on
    every: int = 0  # and then at each n-th
    once: bool = False  # switch it off after its first stop


class Frame(msgspec.Struct):
    """One frame of the user's call stack at a stop, innermost first."""

    source: Source
    text: str  # the source line, stripped; "" if it cannot be had


class Variable(msgspec.Struct):
    """A name at a stop."""

    name: str
    type: str  # "Tensor", "Linear", "int", ...
    text: str  # short repr, one line, bounded
    tensor: TensorMeta | None = None
    grad: TensorMeta | None = None  # its .grad, if it has one


class Stop(msgspec.Struct):
    """Why and where the model's thread is blocked."""

    seq: int  # the event it stopped at: the newest one
    reason: str  # "breakpoint 2", a condition's name, "step", "line", "pause", "exception", "edit"
    source: Source
    message: str = ""  # of an exception: its one-line text; of a condition: what was found
    breakpoint: int = 0


class Question(msgspec.Struct):
    """What the program asks its user by ``input`` or ``getpass``, and waits for."""

    id: int  # what the answer names
    prompt: str
    password: bool = False  # what is typed is not to be seen
    source: Source = Source("", 0, "")  # the line that asks


class Summary(msgspec.Struct):
    """One-pass statistics of a tensor. Non-finite elements are counted and left out of the rest."""

    count: int
    nan: int
    inf: int
    zeros: int
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None  # of the population (ddof 0)
    norm: float | None = None  # 2-norm
    sampled: bool = False  # True: from an even sample of a very large tensor
    counts: tuple[int, ...] = ()  # histogram of finite values, equal bins over [min, max]


class Grid(msgspec.Struct):
    """A 2-d picture of a tensor, block-reduced to fit; row-major."""

    rows: int
    cols: int
    values: list[float]  # mean of each block's finite elements; NaN for a block without any
    marks: list[int]  # per block: 0 fine, 1 holds a NaN, 2 holds an Inf (NaN wins)
    shape: tuple[int, int]  # of the 2-d slice that it pictures


class Table(msgspec.Struct):
    """A window of a 2-d slice of a tensor as text cells."""

    row0: int
    col0: int
    cells: list[list[str]]
    shape: tuple[int, int]  # of the whole 2-d slice


class TensorView(msgspec.Struct):
    """Everything that the inspector draws of one tensor (or of one of its gradients)."""

    tensor: TensorMeta
    seq: int  # the moment it shows
    slice: str  # the slice as understood: "[0, :, ::2]"; "" for the whole
    summary: Summary
    grid: Grid | None = None
    table: Table | None = None
    note: str = ""  # a viewer's word on where it comes from


# -- messages --------------------------------------------------------------------------------


class Challenge(msgspec.Struct, tag="challenge"):
    """The first word of a session: ``nonce`` is new for every connection."""

    version: int
    nonce: str


class Hello(msgspec.Struct, tag="hello"):
    """The answer to it; the token itself never travels."""

    version: int
    proof: str = ""  # `proof` of the token and the nonce
    role: str = "control"  # "control" | "observe": what is asked for; `Welcome.role` is what is had
    who: str = ""  # what others are told about this viewer: "pts/3, pid 4711"
    stream: bool = True  # False: only asks; it gets no events, and is no viewer to the model
    silence: float = 0.0  # seconds without a word from it after which it counts as gone; 0: never


class Welcome(msgspec.Struct, tag="welcome"):
    version: int
    name: str  # of the session: "digits_mlp-4711"
    pid: int
    first_seq: int  # oldest event still in the ring
    last_seq: int
    state: str
    stop: Stop | None = None
    file: str = ""  # the script or notebook that it runs
    started: float = 0.0  # seconds since 1970
    role: str = "control"
    holder: str = ""  # who controls the session; "" for nobody
    level: str = "all"  # what is recorded: "all" | "structure" | "off"
    branches: list[str] = []  # as in `StateChanged`
    cell: str = ""  # that runs
    asks: Question | None = None


class Request(msgspec.Struct, tag="request"):
    id: int
    method: str
    params: dict[str, Any] = {}


class Reply(msgspec.Struct, tag="reply"):
    id: int
    result: Any = None
    error: str = ""  # one line for the user; empty means that it worked


class Events(msgspec.Struct, tag="events"):
    events: list[Event]


class Dropped(msgspec.Struct, tag="dropped"):
    """Events were left out of the live stream: [first, last]; ask for them with ``events``."""

    first: int
    last: int


class StateChanged(msgspec.Struct, tag="state"):
    state: str  # "idle" | "running" | "paused" | "finished"
    stop: Stop | None = None
    cell: str = ""
    level: str = "all"  # what is recorded: "all" | "structure" | "off"
    branches: list[str] = []  # who looks at a copy of the stopped program, with a change
    asks: Question | None = None  # what it waits for an answer to: the request ``answer``


class Control(msgspec.Struct, tag="control"):
    """Control has changed hands: what this viewer may do from now on, and who holds it."""

    role: str  # "control" | "observe"
    holder: str = ""
    taken: bool = False  # it was taken from this viewer


class Goodbye(msgspec.Struct, tag="goodbye"):
    """The last word before the session hangs up."""

    reason: str
    ended: bool = False  # the program has ended: there is nothing to connect to any more
    successor: str = ""  # but a branch of it was adopted, which is the program now: its session


class Output(msgspec.Struct, tag="output"):
    """Something a cell (or script) put out; ``kind`` says which fields count."""

    cell: str
    kind: str  # "stream" | "display" | "update" (of a display_id) | "result" | "error" | "clear"
    name: str = ""  # "stdout" | "stderr"
    text: str = ""
    data: dict[str, Any] = {}  # MIME bundle
    metadata: dict[str, Any] = {}
    count: int = 0
    ename: str = ""
    evalue: str = ""
    traceback: list[str] = []
    display_id: str = ""
    wait: bool = False  # "clear" takes effect with the next output


Message = (
    Challenge
    | Hello
    | Welcome
    | Request
    | Reply
    | Events
    | Dropped
    | StateChanged
    | Control
    | Output
    | Goodbye
)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """One message, without its frame."""
    return _encoder.encode(message)


def decode(data: bytes) -> Message:
    """The inverse; raises `ProtocolError` for anything that is no message."""
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"not a message of this protocol: {error}") from None


def proof(token: str, nonce: str) -> str:
    """What shows that a viewer knows the token: HMAC-SHA256 of the nonce, in hexadecimal.

    >>> from framework.trace.protocol import proof
    >>> proof("secret", "once")[:16]
    '0e16d4a77eb751c9'
    """
    return hmac.new(token.encode(), nonce.encode(), hashlib.sha256).hexdigest()


def write_message(sock: socket.socket, message: Message) -> None:
    """Send one message whole; raises OSError when the peer is gone."""
    data = encode(message)
    if len(data) > MAX_FRAME:
        raise ProtocolError(f"message of {len(data)} bytes is above the cap of {MAX_FRAME}")
    sock.sendall(_LENGTH.pack(len(data)) + data)


def read_message(sock: socket.socket) -> Message | None:
    """Read one message; None when the peer closed between two frames."""
    data = read_frame(sock)
    return None if data is None else decode(data)


def read_frame(sock: socket.socket) -> bytes | None:
    """Read one message as it is; None when the peer closed between two frames."""
    head = _read_exactly(sock, _LENGTH.size)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > MAX_FRAME:
        raise ProtocolError(f"frame of {length} bytes is above the cap of {MAX_FRAME}")
    data = _read_exactly(sock, length)
    if data is None:
        raise ProtocolError("the connection ended inside a frame")
    return data


def _read_exactly(sock: socket.socket, count: int) -> bytes | None:
    """None when the stream ended before the first byte; ProtocolError when it ended later."""
    parts = bytearray()
    while len(parts) < count:
        chunk = sock.recv(min(count - len(parts), 1 << 20))
        if not chunk:
            if parts:
                raise ProtocolError("the connection ended inside a frame")
            return None
        parts += chunk
    return bytes(parts)
