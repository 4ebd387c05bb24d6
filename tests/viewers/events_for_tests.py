"""Event lists as a recorder writes them, without a framework: a tape with a small backward engine.

The order of events is the recorder's: parameters are named before the first call of their module,
an input's `Leaf` comes before the first event that uses it, a `Write` before the op that writes, a
sum of two gradients inside the node that sent the second one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from framework.trace import events as ev
from framework.trace.events import Event, Source, TensorMeta

Shape = tuple[int, ...]


class Tape:
    """Writes events. Methods that make a tensor return its id."""

    def __init__(self, first: int = 1, file: str = "train.py") -> None:
        self.events: list[Event] = []
        self.seq = first - 1
        self.file = file
        self.line = 1
        self.metas: dict[int, TensorMeta] = {}
        self.names: dict[int, str] = {}
        self.open: list[int] = []
        self.modules: list[str] = []
        self.functions: list[str] = ["<module>"]
        self.phase = "forward"
        self.forward: list[ev.Op] = []  # ops with a node, for `backward`
        self.grads: dict[int, int] = {}  # leaf -> id of its .grad
        self.steps = 0

    # -- plumbing ----------------------------------------------------------------------------

    def put(self, kind: type, *fields: Any, **named: Any) -> Any:
        self.seq += 1
        event = kind(self.seq, self.seq * 1000, *fields, **named)
        self.events.append(event)
        return event

    def tensor(self, shape: Shape, dtype: str = "float32", grad: bool = False) -> TensorMeta:
        meta = TensorMeta(len(self.metas) + 1, tuple(shape), dtype, "cpu", grad)
        self.metas[meta.id] = meta
        return meta

    @property
    def source(self) -> Source:
        return Source(self.file, self.line, self.functions[-1])

    @property
    def parent(self) -> int:
        return self.open[-1] if self.open else 0

    @property
    def module_path(self) -> str:
        return self.modules[-1] if self.modules else ""

    # -- what happens ------------------------------------------------------------------------

    def leaf(
        self, shape: Shape, name: str = "", role: str = "input", dtype: str = "float32"
    ) -> int:
        meta = self.tensor(shape, dtype, grad=role == "parameter")
        self.names[meta.id] = name
        self.put(ev.Leaf, meta, name, role)
        return meta.id

    def parameter(self, shape: Shape, name: str) -> int:
        return self.leaf(shape, name, "parameter")

    def op(
        self,
        name: str,
        *inputs: int,
        shape: Shape = (),
        out: int = 0,
        dtype: str = "float32",
        node: bool = True,
        line: int = 0,
        error: str = "",
        **meta: str,
    ) -> int:
        """A primitive op; ``out`` writes into that tensor. Returns the id of its output."""
        self.line = line or self.line
        if out:
            self.put(ev.Write, (out,))
        made = self.metas[out] if out else self.tensor(shape, dtype, grad=node)
        event = self.put(
            ev.Op, 500, name, inputs, () if error else (made,), meta, self.source,
            self.module_path, self.parent, self.seq + 1 if node and self.phase == "forward" else 0,
            self.phase, error,
        )  # fmt: skip
        if event.node and not error:
            self.forward.append(event)
        return 0 if error else made.id

    @contextmanager
    def composite(self, name: str, *inputs: int, line: int = 0, **meta: str) -> Iterator[list[int]]:
        """A composite op; put the ids of its outputs into the list that it gives."""
        self.line = line or self.line
        begin = self.put(
            ev.OpBegin, name, inputs, meta, self.source, self.module_path, self.parent, self.phase
        )
        outputs: list[int] = []
        with self._inside(begin.seq) as failed:
            yield outputs
        self.put(ev.OpEnd, begin.seq, tuple(self.metas[i] for i in outputs), *failed)
        self._again(failed)

    @contextmanager
    def module(
        self, path: str, cls: str, *inputs: int, description: str = "", line: int = 0
    ) -> Iterator[list[int]]:
        self.line = line or self.line
        begin = self.put(ev.ModuleBegin, path, cls, description, inputs, self.source, self.parent)
        outputs: list[int] = []
        self.modules.append(path)
        self.functions.append("forward")
        with self._inside(begin.seq) as failed:
            yield outputs
        self.functions.pop()
        self.modules.pop()
        self.line = begin.source.line
        self.put(ev.ModuleEnd, begin.seq, tuple(outputs), *failed)
        self._again(failed)

    @contextmanager
    def cell(self, name: str, count: int = 1) -> Iterator[None]:
        begin = self.put(ev.CellBegin, name, count)
        self.file = f"<{name}>"
        with self._inside(begin.seq) as failed:
            yield
        self.put(ev.CellEnd, begin.seq, *failed)
        self._again(failed)

    @contextmanager
    def _inside(self, seq: int) -> Iterator[list[str]]:
        self.open.append(seq)
        failed: list[str] = []
        try:
            yield failed
        except RuntimeError as error:
            failed.append(f"RuntimeError: {error}")
        self.open.pop()

    def _again(self, failed: list[str]) -> None:
        if failed:
            raise RuntimeError(failed[0].removeprefix("RuntimeError: "))

    def mark(self, name: str) -> None:
        self.put(ev.Mark, name)

    # -- backward and the optimizer ----------------------------------------------------------

    def backward(self, loss: int, line: int = 0) -> None:
        """Run the nodes of all ops so far that lead to ``loss``, newest first."""
        self.line = line or self.line
        self.phase = "backward"
        begin = self.put(ev.BackwardBegin, (loss,), self.source, self.parent)
        self.open.append(begin.seq)
        seed = self.tensor(self.metas[loss].shape)
        self.put(ev.Leaf, seed, "", "input")
        pending = {loss: seed.id}
        wanted = self._counts(loss)
        for op in reversed(self.forward):
            given = pending.pop(op.outputs[0].id, 0)
            if given:
                self._node(op, given, pending, wanted)
        self.open.pop()
        self.put(ev.BackwardEnd, begin.seq)
        self.phase = "forward"
        self.forward.clear()

    def _counts(self, loss: int) -> dict[int, int]:
        """How many gradients each leaf with a gradient will get."""
        wanted: dict[int, int] = {}
        reached = {loss}
        for op in reversed(self.forward):
            if op.outputs[0].id in reached:
                for i in op.inputs:
                    reached.add(i)
                    wanted[i] = wanted.get(i, 0) + 1
        return wanted

    def _node(self, op: ev.Op, given: int, pending: dict[int, int], wanted: dict[int, int]) -> None:
        before = (self.modules, self.file, self.line)
        self.modules = [op.module] if op.module else []
        node = self.put(
            ev.NodeBegin, op.node, op.name, op.seq, op.module, op.source,
            (self.metas[given],), self.open[-1],
        )  # fmt: skip
        self.open.append(node.seq)
        outs = []
        passed = op.name in ("add", "sub")
        for i in op.inputs:
            if not i or not self.metas[i].requires_grad:
                outs.append(TensorMeta(0, (), "", ""))
                continue
            shape = self.metas[i].shape
            made = (
                given if passed else self.op(f"{op.name}_grad", given, i, shape=shape, node=False)
            )
            outs.append(self.metas[made])
        for i, meta in zip(op.inputs, outs):
            if meta.id:
                self._send(i, meta.id, pending, wanted)
        self.open.pop()
        self.put(ev.NodeEnd, node.seq, tuple(outs))
        self.modules, self.file, self.line = before

    def _send(
        self, target: int, grad: int, pending: dict[int, int], wanted: dict[int, int]
    ) -> None:
        shape = self.metas[target].shape
        if target in pending:
            grad = self.op("add", pending[target], grad, shape=shape, node=False)
        pending[target] = grad
        wanted[target] -= 1
        if wanted[target] or not self.names.get(target):
            return
        first = target not in self.grads
        total = self.tensor(shape) if first else self.metas[self.grads[target]]
        self.grads[target] = total.id
        name = self.names[target]
        self.put(ev.Grad, target, name, self.metas[grad], total, first, self.open[-1])
        del pending[target]

    def optimizer(self, *parameters: int, cls: str = "SGD", line: int = 0, ops: int = 0) -> None:
        """Update every parameter, each with ``ops`` ops of its own before."""
        self.line = line or self.line
        self.steps += 1
        self.phase = "optimizer"
        begin = self.put(ev.OptimBegin, cls, self.steps, self.source, self.parent)
        self.open.append(begin.seq)
        for p in parameters:
            for _ in range(ops):
                self.op("mul", self.grads.get(p, 0), shape=self.metas[p].shape, node=False)
            self.put(ev.Write, (p,))
            self.put(
                ev.ParamUpdate, self.metas[p], self.names[p], self.grads.get(p, 0), {}, begin.seq
            )
        self.open.pop()
        self.put(ev.OptimEnd, begin.seq)
        self.phase = "forward"
        self.grads.clear()


# -- models ----------------------------------------------------------------------------------


class MLP:
    """``model``: Linear(784, 128), ReLU, Linear(128, 10), and a step of its training."""

    def __init__(self, tape: Tape, batch: int = 64) -> None:
        self.tape, self.batch = tape, batch
        self.parameters: list[int] = []

    def step(self, backward: bool = True, update: bool = True, ops: int = 0) -> int:
        """One step; returns the id of the loss."""
        t, n = self.tape, self.batch
        x = t.leaf((n, 784), "x")
        if not self.parameters:
            for name, shape in (
                ("model.0.weight", (128, 784)), ("model.0.bias", (128,)),
                ("model.2.weight", (10, 128)), ("model.2.bias", (10,)),
            ):  # fmt: skip
                self.parameters.append(t.parameter(shape, name))
        w0, b0, w2, b2 = self.parameters
        with t.module("model", "Sequential", x, line=10) as out:
            h = linear(t, "model.0", x, w0, b0, (n, 128), "in_features=784, out_features=128")
            with t.module("model.1", "ReLU", h) as inner:
                h = t.op("relu", h, shape=(n, 128))
                inner.append(h)
            h = linear(t, "model.2", h, w2, b2, (n, 10), "in_features=128, out_features=10")
            out.append(h)
        y = t.leaf((n,), "y", dtype="int64")
        loss = cross_entropy(t, h, y, line=11)
        if backward:
            t.backward(loss, line=12)
        if update:
            t.optimizer(*self.parameters, line=13, ops=ops)
        return loss


def linear(t: Tape, path: str, x: int, w: int, b: int, shape: Shape, description: str = "") -> int:
    with t.module(path, "Linear", x, description=description) as out:
        h = t.op("linear", x, w, b, shape=shape)
        out.append(h)
    return h


def cross_entropy(t: Tape, x: int, y: int, line: int = 0) -> int:
    with t.composite("cross_entropy", x, y, line=line) as out:
        z = t.op("log_softmax", x, shape=t.metas[x].shape, dim="1")
        loss = t.op("nll_loss", z, y, shape=())
        out.append(loss)
    return loss


def mlp_events(steps: int = 3, **options: Any) -> list[Event]:
    """Some training steps of `MLP` in one cell."""
    tape = Tape()
    with tape.cell("train"):
        model = MLP(tape)
        for _ in range(steps):
            model.step(**options)
    return tape.events


def rnn_events(lengths: Sequence[int] = (3, 5), batch: int = 8, width: int = 16) -> list[Event]:
    """A loop over time that calls ``rnn.cell`` a different number of times in each step."""
    t = Tape(file="rnn.py")
    w = u = head = 0
    for length in lengths:
        xs = [t.leaf((batch, width), f"x{i}") for i in range(length)]
        h = t.op("zeros", shape=(batch, width), node=False, line=4)
        if not w:
            w = t.parameter((width, width), "rnn.cell.w")
            u = t.parameter((width, width), "rnn.cell.u")
            head = t.parameter((1, width), "rnn.head.weight")
        with t.module("rnn", "RNN", xs[0], line=5) as out:
            for x in xs:
                with t.module("rnn.cell", "Cell", x, h, line=8) as made:
                    a = t.op("matmul", x, w, shape=(batch, width), line=15)
                    b = t.op("matmul", h, u, shape=(batch, width))
                    h = t.op("tanh", t.op("add", a, b, shape=(batch, width)), shape=(batch, width))
                    made.append(h)
            with t.module("rnn.head", "Linear", h, line=9) as made:
                y = t.op("linear", h, head, shape=(batch, 1))
                made.append(y)
            out.append(y)
        t.backward(t.op("mean", y, line=6), line=7)
        t.optimizer(w, u, head, line=8)
    return t.events


def residual(t: Tape, n: int = 4) -> int:
    """A skip connection at the top level: ``x + linear(relu(linear(x)))``; returns the output."""
    x = t.leaf((n, 8), "x")
    w = t.parameter((8, 8), "w")
    h = t.op("linear", x, w, shape=(n, 8), line=1)
    r = t.op("relu", h, shape=(n, 8), line=2)
    r = t.op("linear", r, w, shape=(n, 8), line=3)
    return t.op("add", h, r, shape=(n, 8), line=4)


def failing_events() -> list[Event]:
    """A forward pass that ends with a shape error two modules deep."""
    t = Tape()
    try:
        with t.cell("bad"):
            x = t.leaf((64, 100), "x")
            w = t.parameter((128, 784), "model.0.weight")
            with t.module("model", "Sequential", x, line=3), t.module("model.0", "Linear", x):
                t.op("linear", x, w, error="RuntimeError: linear: shapes do not match")
                raise RuntimeError("linear: shapes do not match")
    except RuntimeError:
        pass
    return t.events


def chain_events(count: int, skip: int = 0) -> list[Event]:
    """``count`` ops in one line; every ``skip``-th also uses the value of two ops before it."""
    t = Tape(file="chain.py")
    h = before = t.leaf((4, 4), "x")
    for i in range(count):
        ins = (h, before) if skip and i > 1 and i % skip == 0 else (h,)
        before, h = h, t.op("add" if len(ins) == 2 else "relu", *ins, shape=(4, 4))
    return t.events


def transformer_events(layers: int = 12, width: int = 64, backward: bool = True) -> list[Event]:
    """Equal blocks with skip connections: ``net.layers.N`` with an attention and an MLP each."""
    t = Tape(file="transformer.py")
    shape = (2, 16, width)
    tokens = t.leaf((2, 16), "tokens", dtype="int64")
    params: dict[str, int] = {}

    def param(path: str, size: Shape) -> int:
        if path not in params:
            params[path] = t.parameter(size, path)
        return params[path]

    def dense(path: str, x: int, out: Shape = shape) -> int:
        w = param(f"{path}.weight", (out[-1], width))
        return linear(t, path, x, w, param(f"{path}.bias", (out[-1],)), out)

    def norm(path: str, x: int) -> int:
        with t.module(path, "LayerNorm", x) as out:
            out.append(t.op("layer_norm", x, param(f"{path}.weight", (width,)), shape=shape))
        return out[0]

    for i in range(layers):  # all are named before the first call
        for name in ("attn.q", "attn.k", "attn.v", "attn.out", "up", "down"):
            param(f"net.layers.{i}.{name}.weight", (width, width))
            param(f"net.layers.{i}.{name}.bias", (width,))
    with t.module("net", "Transformer", tokens, line=40) as out:
        with t.module("net.embed", "Embedding", tokens) as made:
            h = t.op("embedding", tokens, param("net.embed.weight", (256, width)), shape=shape)
            made.append(h)
        for i in range(layers):
            path = f"net.layers.{i}"
            with t.module(path, "Block", h, line=31) as made:
                n = norm(f"{path}.norm1", h)
                with t.module(f"{path}.attn", "Attention", n, line=24) as inner:
                    q, k, v = (dense(f"{path}.attn.{c}", n) for c in "qkv")
                    a = t.op("matmul", q, k, shape=(2, 16, 16), line=14)
                    a = t.op("softmax", a, shape=(2, 16, 16), dim="-1", line=15)
                    a = t.op("matmul", a, v, shape=shape, line=16)
                    inner.append(dense(f"{path}.attn.out", a))
                h = t.op("add", h, inner[0], shape=shape, line=25)
                m = dense(f"{path}.up", norm(f"{path}.norm2", h))
                m = dense(f"{path}.down", t.op("gelu", m, shape=shape, line=26))
                h = t.op("add", h, m, shape=shape, line=27)
                made.append(h)
        out.append(dense("net.head", h, (2, 16, 256)))
    loss = cross_entropy(t, out[0], t.leaf((2, 16), "targets", dtype="int64"), line=41)
    if backward:
        t.backward(loss, line=42)
        t.optimizer(*params.values(), cls="AdamW", line=43)
    return t.events
