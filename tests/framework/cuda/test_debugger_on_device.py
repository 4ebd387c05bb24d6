"""The debugger's way to a device: little is fetched, nobody waits for an op, kernels are timed."""

from __future__ import annotations

import re

from test_strict_device import needs_compiler, strictly

import framework as torch
from framework.trace import recording
from framework.trace.events import Kernels, Op, OptimEnd
from viewers.graph.store import TraceStore

LOOKED_AT = """
import cupy
import numpy as np
import framework as torch
from framework.trace import recording, summary
from framework.trace.events import TensorMeta
from framework.trace.figures import measure
# Half of each array is more than a screen; one is more than a chunk of the device (CUDA_CHUNK).
SCREEN = 300_000  # bytes: what a small array, a table of 256 x 256 or a picture may cost
def cost(call):
    cupy.counts.reset()
    found = call()
    assert cupy.counts.fetched <= SCREEN, (cupy.counts.fetched, call)
    return found
for dtype in (torch.float32, torch.float16, torch.int64, torch.bool, torch.complex64):
    for shape in ((1000, 800), (1_100_003,), (2, 3, 400, 350)):
        host = (torch.randn(shape) * 3).to(dtype)
        there = host.cuda()
        meta = TensorMeta(1, shape, "float32", "cuda:0")
        for a, b in ((host, there), (host.t() if host.ndim == 2 else host[..., ::2],
                                     there.t() if host.ndim == 2 else there[..., ::2])):
            look = dict(rows=30, cols=12, row0=5, grid=(40, 100))
            seen = cost(lambda: summary.view(b._data, meta, **look))
            plain = summary.view(a._data, meta, **look)
            assert seen.table.cells == plain.table.cells
            np.testing.assert_allclose(seen.grid.values, plain.grid.values, rtol=1e-6, atol=1e-6)
            for name in ("count", "nan", "zeros", "min", "max"):
                assert getattr(seen.summary, name) == getattr(plain.summary, name), name
            cost(lambda: summary.view(b._data, meta, slice="[..., 1]" if a.ndim > 1 else "[::7]"))
            cost(lambda: measure(b._data, 63))
            cost(lambda: repr(b))
print("looked")
"""


@needs_compiler
def test_a_look_fetches_no_more_than_a_screen() -> None:
    assert strictly("-c", LOOKED_AT) == "looked\n"


TRAINING = """
import cupy
import framework as torch
from framework import nn
from framework.trace import recording
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).cuda()
optimizer = torch.optim.Adam(model.parameters())
x, y = torch.randn(5, 6, device="cuda"), torch.randint(0, 3, (5,), device="cuda")
def steps(count):
    for _ in range(count):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
steps(1)
waits = []
for keep in (None, "none", "all"):
    cupy.counts.reset()
    if keep is None:
        steps(3)
    else:
        with recording(keep=keep) as tape:
            steps(3)
    waits.append((cupy.counts.waits, cupy.counts.fetched))
assert len(set(waits)) == 1, waits
from framework.trace.events import Kernels, Op
events = tape.read()
kernels = [e for e in events if isinstance(e, Kernels)]
ops = {e.seq for e in events if isinstance(e, Op) and any(m.device == "cuda:0" for m in e.outputs)}
timed = {seq for e in kernels for seq in e.ops}
assert len(kernels) == 3 and ops <= timed, (ops - timed)
cupy.cuda.Event.LATE = 10**9  # the device never gets that far
with recording() as tape:
    steps(2)
late = [e for e in tape.read() if isinstance(e, Kernels)]
assert [len(e.ops) for e in late] == [0, 0]
print("waited as often")
"""


@needs_compiler
def test_tracing_never_waits_for_the_device() -> None:
    assert strictly("-c", TRAINING) == "waited as often\n"


BREAKPOINTS = """
import cupy
import framework as torch
from framework import nn
from framework.trace import recording
from framework.trace.gate import Gate
from framework.trace.protocol import Breakpoint
def run(bad, *conditions, keep="all", how="continue"):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).cuda()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    x, y = torch.randn(5, 6, device="cuda"), torch.randint(0, 3, (5,), device="cuda")
    stops = []
    with recording(keep=keep) as tape:
        gate = Gate(tape)
        gate.set_breakpoints([
            Breakpoint(i + 1, condition=c, phase=phase, param=param)
            for i, (c, phase, param) in enumerate(conditions)
        ])
        gate.console = lambda stop: (stops.append(stop), how)[1]
        for step in range(1, 5):
            cupy.counts.reset()
            optimizer.zero_grad()
            h = model(x)
            if step == bad:
                h = h / torch.zeros(1, device="cuda")
            nn.functional.cross_entropy(h, y).backward()
            optimizer.step()
            if step == 2:
                waits = cupy.counts.waits
            if stops:
                break
    return waits, stops
every = ("nan", "forward", ""), ("inf", "both", ""), ("norm > 1e6", "backward", "*")
plain, _ = run(0)
for keep in ("all", "none"):
    watched, stops = run(0, *every, keep=keep)
    assert watched == plain + 1 and not stops, (plain, watched)  # one read at the step's end
    _, (stop,) = run(3, *every, keep=keep)
    said = "15 Inf of 15: div, forward, step 3; it was event"
    assert stop.reason == "inf" and said in stop.message
_, (stop,) = run(3, ("nan", "backward", "model.0.weight"))
assert "NaN" in stop.message and "gradient of" in stop.message, stop
from framework import trace
x = torch.ones(4, device="cuda")
try:
    with trace.break_on("inf"):
        cupy.counts.reset()
        for _ in range(20):
            x = x / 1.0
        assert cupy.counts.waits == 0
        x / torch.zeros(4, device="cuda")
except trace.conditions.ConditionMet as error:
    assert "4 Inf of 4: div" in str(error)
    print("once a step")
model = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).cuda()
with torch.no_grad(), trace.break_on("inf", do=print):
    cupy.counts.reset()
    model(x)
    assert cupy.counts.waits == 1  # a call that nothing goes back through is a step
"""


@needs_compiler
def test_breakpoints_read_a_device_once_per_step() -> None:
    assert strictly("-c", BREAKPOINTS) == "once a step\n"


STOPPED = """
import cupy
import framework as torch
from framework import nn
from framework.trace import check, compute, edit, recording
from framework.trace.events import Op
from framework.trace.gate import Gate
from framework.trace.measure import measure
from framework.trace.protocol import Breakpoint
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).cuda()
optimizer = torch.optim.SGD(model.parameters(), 0.1)
done = []
with recording() as tape:
    gate = Gate(tape)
    def look(stop):
        op = [e for e in tape.read() if isinstance(e, Op) and e.name == "relu"][-1]
        made = op.outputs[0].id
        assert gate.evaluate("x.mean()").tensor.device == "cuda:0"
        norm = compute.compute("w.norm() + 1", {"w": model[0].weight._data}.get)
        assert norm.device.type == "cuda"
        edit.edit(gate, "[0, 1]", "5", made)
        assert float(gate.value(made)[0][0, 1]) == 5
        edit.edit(gate, "x[0, 3]", "7")
        assert check.check_node(tape, op.seq).ok
        assert measure(lambda i, s: gate.value(i, s)[0], [[made, tape.seq]])[0].max >= 5
        done.append(stop.reason)
        return "continue"
    gate.console = look
    gate.set_breakpoints([Breakpoint(1, op="relu", once=True)])
    def main():
        x, y = torch.randn(5, 6, device="cuda"), torch.randint(0, 3, (5,), device="cuda")
        for _ in range(2):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    main()
print(*done)
"""


@needs_compiler
def test_a_stop_on_a_device_answers_as_elsewhere() -> None:
    assert strictly("-c", STOPPED) == "breakpoint 1\n"


def test_kernels_are_timed_on_the_fake_device(fake_cuda: None) -> None:
    w = torch.ones(3, device="cuda", requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1)
    with recording() as tape:
        host = torch.ones(3) * 2
        for _ in range(2):
            (host.cuda() * w).sum().backward()
            optimizer.step()
    events = tape.read()
    store = TraceStore()
    store.feed(events)
    for event in events:
        if isinstance(event, Op) and event.t < [e for e in events if isinstance(e, Kernels)][-1].t:
            there = event.outputs[0].device == "cuda:0"
            assert (store.kernel_time(event.seq) >= 0) == there, event
    ends = [e for e in events if isinstance(e, OptimEnd)]
    assert store.kernel_time(ends[0].seq) >= 0  # the last step's is not known yet
    assert [s.number for s in store.steps] == [1, 2]
    again = TraceStore()
    again.feed(events[:20] + events[10:])
    seqs = [e.seq for e in events]
    assert [again.kernel_time(s) for s in seqs] == [store.kernel_time(s) for s in seqs]


def test_where_values_are_not_kept_nothing_is_timed(fake_cuda: None) -> None:
    with recording(keep="none") as tape:
        torch.ones(3, device="cuda").exp()
    assert tape.kernels is None
    assert not [e for e in tape.read() if re.match("Kernels", type(e).__name__)]


WATCHED = """
import cupy
import framework as torch
from framework import nn, trace
def train(device, bad=0, steps=12, rules=True, act=nn.ReLU, lr=0.1):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), act(), nn.Linear(8, 8), act(), nn.Linear(8, 3))
    model = model.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr)
    x = torch.randn(5, 6, device="cpu").to(device)
    y = torch.tensor([0, 1, 2, 0, 1]).to(device)
    waits = []
    def loop():
        for step in range(1, steps + 1):
            cupy.counts.reset()
            optimizer.zero_grad()
            h = model(x)
            if step == bad:
                h = h / torch.zeros(1, device=device)
            loss = nn.functional.cross_entropy(h, y)
            loss.backward()
            optimizer.step()
            waits.append((cupy.counts.waits, cupy.counts.fetched))
    if not rules:
        loop()
        return waits, None
    with trace.rules("default") as report:
        loop()
    return waits, report
plain, _ = train("cuda", rules=False)
watched, report = train("cuda")
assert report.ok and report.steps == 12, str(report)
assert all(w[0] <= p[0] + 2 for w, p in zip(watched, plain)), (plain, watched)
assert sum(w[0] - p[0] for w, p in zip(watched, plain)) <= 12 + 2  # one read a step, and digests
for options in ({"bad": 3}, {"act": nn.Sigmoid, "lr": 1e9}, {"lr": 0.0}, {"lr": 1e4}):
    found = [train(device, steps=25, **options)[1] for device in ("cpu", "cuda")]
    assert not found[0].ok
    said = [[(f.rule, f.subject, f.step, f.source) for f in r.findings] for r in found]
    assert said[0] == said[1] and not any(r.problem for r in found), (said, found[1].problem)
print("once a step")
"""


@needs_compiler
def test_rules_read_a_device_once_per_step() -> None:
    assert strictly("-c", WATCHED) == "once a step\n"


PARAMETERS = """
import cupy
import framework as torch
from framework import nn
from framework.trace import recording
from framework.trace.gate import Gate
from framework.trace.conditions import parse_line
def run(device, *lines, lr=0.1, keep="none"):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr)
    x, y = torch.randn(5, 6, device="cpu").to(device), torch.tensor([0, 1, 2, 0, 1]).to(device)
    stops, waits = [], []
    with recording(keep=keep) as tape:
        gate = Gate(tape)
        gate.set_breakpoints([parse_line(line) for line in lines])
        gate.console = lambda stop: (stops.append(stop), "continue")[1]
        for step in range(3):
            cupy.counts.reset()
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            waits.append(cupy.counts.waits)
    said = [(s.reason, s.message.partition(";")[0]) for s in stops]
    first = {message.rpartition("step")[2]: (r, message) for r, message in reversed(said)}
    return waits, list(reversed(first.values()))  # the first of each step
plain, _ = run("cuda")
never = ("update * ratio > 1e6", "update * absmax > 1e9", "value param model.0.weight norm < 1e-9",
         "op relu where x.max() > 1e9", "grad * where x.norm() > 1e9", "op relu zeros > 150%",
         "in 0 absmax > 0 where (x > 1e9).any()", "update * where x.abs().max() > 1e9",
         "op relu norm < 0", "grad * std == 12345", "op nll_loss min > 1e9")
for keep in ("none", "all"):
    waits, stops = run("cuda", *never, keep=keep)
    assert not stops and all(w <= p + 1 for w, p in zip(waits, plain)), (plain, waits, stops)
for lr, line in ((0.0, "update * unchanged"), (0.1, "update model.0.weight ratio > 1e-9 step 2"),
                 (0.1, "op relu zeros > 10% step 2"), (0.1, "grad model.2.bias norm > 0 once"),
                 (0.1, "value param model.0.bias absmax > 0 once"),
                 (0.1, "op relu step 2 where x.max() > 0.1"), (0.1, "op relu where x.nope() > 0"),
                 (0.1, "grad model.0.weight step 2 where x.norm() > 1e-9"),
                 (0.1, "op linear norm > 1e-3 step 3 where x.shape[0] == 5 and x.min() < 0"),
                 (0.1, "op relu norm > 1e-3 step 3 where x.min() >= 0"),
                 (0.1, "update model.2.weight once where x.abs().max() > 1e-9")):
    there, here = run("cuda", line, lr=lr)[1], run("cpu", line, lr=lr)[1]
    assert bool(there) == ("nope" not in line) and there == here, (line, there, here)
print("at the end of the step")
"""


@needs_compiler
def test_conditions_on_parameters_wait_for_the_end_of_a_step() -> None:
    assert strictly("-c", PARAMETERS) == "at the end of the step\n"
