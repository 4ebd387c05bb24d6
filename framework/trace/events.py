"""The trace event schema: what happened, in order, as plain data.

A producer appends one raw tuple per event to a ring (`sink.Recorder`); only a *reader* turns it
into the typed records below, which are also what travels on the wire and what a recording holds.
The schema names no class of the framework: tensors are ids, modules are dotted paths, source is
(file, line), so another framework's run can be recorded into the same tape.

Rules that every consumer may rely on:

* ``seq`` numbers are consecutive from 1; a gap means that the ring was overrun before it was read.
* Every ``*Begin`` has exactly one ``*End`` with ``begin`` = its ``seq``, also when an exception
  flies: then ``error`` says which. They nest properly.
* A primitive op is one complete record (`Op`), written when it ended: nothing can nest in it.
* A tensor's shape, dtype and device come with the event that made it (`Op.outputs`) or, for a
  tensor that no traced op made, with the `Leaf` that precedes its first use.
* ``t`` is ``time.perf_counter_ns()``; wall time is only ever a label.

>>> from framework.trace.events import Mark, decode_events, encode_events
>>> decode_events(encode_events([Mark(1, 10, "epoch 1")]))
[Mark(seq=1, t=10, name='epoch 1')]
"""

from __future__ import annotations

import msgspec

__all__ = [
    "EDITED",
    "BackwardBegin",
    "BackwardEnd",
    "CellBegin",
    "CellEnd",
    "Event",
    "Grad",
    "Kernels",
    "Leaf",
    "Mark",
    "ModuleBegin",
    "ModuleEnd",
    "NodeBegin",
    "NodeEnd",
    "Op",
    "OpBegin",
    "OpEnd",
    "OptimBegin",
    "OptimEnd",
    "ParamUpdate",
    "Source",
    "TensorMeta",
    "Write",
    "decode_events",
    "encode_events",
]


class TensorMeta(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A tensor at the time of an event: what a picture of it needs, never its values."""

    id: int  # unique in a run, never reused; 0 is "no tensor"
    shape: tuple[int, ...]
    dtype: str  # PyTorch's name without the prefix: "float32", "bfloat16", "int64", "bool"
    device: str  # "cpu", "cuda:0"
    requires_grad: bool = False


class Source(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A place in the user's code. Notebook cells have files named ``<cell ID>``."""

    file: str
    line: int  # 1-based, within the cell for a cell
    function: str


class _Event(msgspec.Struct, array_like=True, frozen=True, gc=False, tag_field="kind"):
    seq: int
    t: int


class Leaf(_Event, frozen=True, gc=False, tag=1):
    """First sight of a tensor that no traced op made: a parameter, a buffer, an input."""

    tensor: TensorMeta
    name: str  # "model.2.weight", a variable's name, or ""
    role: str  # "parameter" | "buffer" | "input"
    also: tuple[str, ...] = ()  # its other names, where several modules share it


class Op(_Event, frozen=True, gc=False, tag=2):
    """One primitive op, complete: it began at ``t`` and ended at ``t + duration``."""

    duration: int  # ns
    name: str  # "linear", "relu", "add_"
    inputs: tuple[int, ...]  # tensor ids in argument order; 0 for an argument that is no tensor
    outputs: tuple[TensorMeta, ...]  # empty if it raised
    meta: dict[str, str]  # keyword arguments and scalar operands, each as short text
    source: Source
    module: str  # dotted path of the innermost module, "" outside of any
    parent: int  # seq of the innermost open container: OpBegin, NodeBegin, ModuleBegin, ... or 0
    node: int  # id of the backward node it made, 0 if none
    phase: str  # "forward" | "backward" | "optimizer"
    error: str = ""  # "ValueError: ..." if it raised


class OpBegin(_Event, frozen=True, gc=False, tag=3):
    """A composite op (cross_entropy, einsum, ...) begins: its own ops follow, up to its OpEnd."""

    name: str
    inputs: tuple[int, ...]
    meta: dict[str, str]
    source: Source
    module: str
    parent: int
    phase: str


class OpEnd(_Event, frozen=True, gc=False, tag=4):
    begin: int
    outputs: tuple[TensorMeta, ...]
    error: str = ""


class ModuleBegin(_Event, frozen=True, gc=False, tag=5):
    path: str  # "model.2": the root's variable name, then attribute names
    cls: str  # "Linear"
    description: str  # extra_repr: "in_features=64, out_features=128, bias=True"
    inputs: tuple[int, ...]
    source: Source
    parent: int


class ModuleEnd(_Event, frozen=True, gc=False, tag=6):
    begin: int
    outputs: tuple[int, ...]
    error: str = ""


class BackwardBegin(_Event, frozen=True, gc=False, tag=7):
    """The engine starts: ``loss.backward()`` or ``autograd.grad``."""

    roots: tuple[int, ...]  # tensor ids
    source: Source
    parent: int
    loss: float | None = None  # what the root held, if it is one of one element


class BackwardEnd(_Event, frozen=True, gc=False, tag=8):
    begin: int
    error: str = ""


class NodeBegin(_Event, frozen=True, gc=False, tag=9):
    """A backward node starts; the ops of its vjp and the `Grad` events it completes follow."""

    node: int  # the id that `Op.node` names
    name: str  # "linear" -> shown as "linear backward"
    forward: int  # seq of the forward Op it belongs to, 0 if that was not traced
    module: str  # the module that the forward op ran in
    source: Source  # the forward op's
    grad_in: tuple[TensorMeta, ...]  # gradient of each output of the forward op (id 0: none came)
    parent: int  # the BackwardBegin


class NodeEnd(_Event, frozen=True, gc=False, tag=10):
    begin: int
    grad_out: tuple[TensorMeta, ...]  # gradient for each input of the forward op (id 0: none)
    error: str = ""


class Grad(_Event, frozen=True, gc=False, tag=11):
    """A gradient was accumulated into a leaf's ``.grad``, inside the node that completed it."""

    leaf: int  # tensor id of the leaf
    name: str  # its name: "model.2.weight"
    arrived: TensorMeta  # what was added
    total: TensorMeta  # the .grad tensor afterwards
    first: bool  # True: .grad was None before
    parent: int


class OptimBegin(_Event, frozen=True, gc=False, tag=12):
    cls: str  # "SGD"
    step: int  # 1-based count of this optimizer's steps
    source: Source
    parent: int


class ParamUpdate(_Event, frozen=True, gc=False, tag=13):
    """One parameter was updated; the value before is the one as of the OptimBegin."""

    tensor: TensorMeta
    name: str
    grad: int  # tensor id of its .grad
    state: dict[str, TensorMeta]  # "momentum_buffer", "exp_avg", ...
    parent: int  # the OptimBegin


class OptimEnd(_Event, frozen=True, gc=False, tag=14):
    begin: int
    error: str = ""
    next: int = 0  # the number that the next training step is expected to have; 0: not said


class Write(_Event, frozen=True, gc=False, tag=15):
    """A tensor's memory was written in place; every id that shares the memory changed with it."""

    tensors: tuple[int, ...]


class CellBegin(_Event, frozen=True, gc=False, tag=16):
    cell: str
    count: int


class CellEnd(_Event, frozen=True, gc=False, tag=17):
    begin: int
    error: str = ""


class Mark(_Event, frozen=True, gc=False, tag=18):
    name: str  # what `trace.mark` was given; after `EDITED` what was changed at a stop


class Kernels(_Event, frozen=True, gc=False, tag=19):
    """What ops before it took on their CUDA device: known only when they have run there."""

    ops: tuple[int, ...]  # seqs, ascending
    ns: tuple[int, ...]


EDITED = "edited: "  # a mark's name begins with; the writes before it are those of the change


Event = (
    Leaf
    | Op
    | OpBegin
    | OpEnd
    | ModuleBegin
    | ModuleEnd
    | BackwardBegin
    | BackwardEnd
    | NodeBegin
    | NodeEnd
    | Grad
    | OptimBegin
    | ParamUpdate
    | OptimEnd
    | Write
    | CellBegin
    | CellEnd
    | Mark
    | Kernels
)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Event])


def encode_events(events: list[Event]) -> bytes:
    """Events as one MessagePack array."""
    return _encoder.encode(events)


def decode_events(data: bytes) -> list[Event]:
    """The inverse; raises `msgspec.ValidationError` for anything that is not a list of events."""
    return _decoder.decode(data)
