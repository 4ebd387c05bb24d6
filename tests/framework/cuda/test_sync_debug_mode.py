"""`cuda.set_sync_debug_mode`: what waits for a device is told, on the fake one and the stand-in."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hosted import COMPILER
from test_generators import fake
from test_strict_device import ROOT, strictly

WAITS = """
import copy, io, pickle, tempfile, warnings
import framework as torch
from framework.utils.tensorboard import SummaryWriter
cuda = torch.cuda
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    cuda.set_sync_debug_mode("warn")
    cuda.set_sync_debug_mode(1)
assert [str(w.message)[:34] for w in said] == ["Synchronization debug mode is a pro"[:34]]
assert cuda.get_sync_debug_mode() == 1
cuda.set_sync_debug_mode(0)
x, i = torch.arange(6.0, device="cuda"), torch.tensor([2, 1], device="cuda")
mask, host, side = x > 2, torch.ones(6), cuda.Stream()
pinned, board = torch.ones(6, pin_memory=True), SummaryWriter(tempfile.mkdtemp())
waiting = {
    "item": lambda: x.sum().item(), "bool": lambda: bool(mask.any()), "float": lambda: float(x[0]),
    "int": lambda: int(x[1]), "tolist": lambda: x.tolist(), "cpu": lambda: x.cpu(),
    "to": lambda: x.to("cpu"), "cuda": lambda: host.cuda(), "tensor": lambda: torch.tensor(
        [1.0], device="cuda"), "copy_": lambda: x.copy_(host), "copy_ back": lambda: host.copy_(x),
    "numpy": lambda: x.numpy(force=True), "equal": lambda: torch.equal(x, x),
    "allclose": lambda: torch.allclose(x, x), "nonzero": lambda: x.nonzero(),
    "where": lambda: torch.where(mask), "argwhere": lambda: torch.argwhere(x),
    "masked_select": lambda: torch.masked_select(x, mask), "mask": lambda: x[mask],
    "mask written": lambda: x.__setitem__(mask, torch.ones(3, device="cuda")),
    "list": lambda: x[[1, 2]], "unique": lambda: torch.unique(x), "bincount": lambda: i.bincount(),
    "unique_consecutive": lambda: torch.unique_consecutive(x),
    "repeat_interleave": lambda: x[:2].repeat_interleave(i),
    "is_nonzero": lambda: x[1].is_nonzero(),
    "synchronize": lambda: side.synchronize(), "repr": lambda: repr([x]), "str": lambda: f"{x}",
    "one_hot": lambda: torch.nn.functional.one_hot(i), "pickle": lambda: pickle.dumps(x),
    "save": lambda: torch.save({"x": x}, io.BytesIO()), "list of": lambda: torch.tensor([x[0]]),
    "add_scalar": lambda: board.add_scalar("x", x.sum()),
    "add_tensor": lambda: board.add_tensor("x", x),
}
others = {
    "add": lambda: x + 1, "number": lambda: x * torch.tensor(2.0), "index": lambda: x[i],
    "slice": lambda: x[1:3], "fill": lambda: x.__setitem__(slice(None), 3.0),
    "sum": lambda: x.sum(),
    "part": lambda: x.__setitem__(0, 3.0), "mask filled": lambda: x.__setitem__(mask, 1.0),
    "masked_fill": lambda: x.masked_fill(mask, 0.0), "zeros": lambda: torch.zeros(3, device="cuda"),
    "rand": lambda: torch.rand(3, device="cuda"), "clone": lambda: x.clone(),
    "non_blocking": lambda: pinned.to("cuda", non_blocking=True), "where": lambda: torch.where(
        mask, x, 0.0), "back": lambda: x.to("cpu", non_blocking=True),
    "device": lambda: x.to(x.device),
    "host": lambda: (host.sum().item(), host.nonzero(), host[host > 0], host.tolist()),
    "event": lambda: cuda.Event().synchronize(), "all": lambda: cuda.synchronize(),
    "copied": lambda: copy.deepcopy(x), "meta": lambda: repr(x.to("meta")),
    "classes": lambda: torch.nn.functional.one_hot(i, 3), "host printed": lambda: repr(host),
    "sized": lambda: x[:2].repeat_interleave(i, output_size=3), "half": lambda: x.half(),
    "cross_entropy": lambda: torch.nn.functional.cross_entropy(x.view(2, 3), i),
    "backward": lambda: (x.clone().requires_grad_() * 2).sum().backward(),
}
words = "called a synchronizing CUDA operation"
for name, call in waiting.items():
    before = x.clone()
    cuda.set_sync_debug_mode("warn")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        call()
    assert {str(w.message) for w in said} == {words}, (name, [str(w.message) for w in said])
    assert said[0].category is UserWarning and said[0].filename == "<string>", (name, said[0])
    cuda.set_sync_debug_mode("error")
    try:
        call()
    except RuntimeError as error:
        assert words in str(error), (name, error)
    else:
        raise AssertionError(f"{name} is not told")
    cuda.set_sync_debug_mode("default")
    x.copy_(before)
for name, call in others.items():
    cuda.set_sync_debug_mode(2)
    call()
cuda.set_sync_debug_mode("default")
with warnings.catch_warnings():
    warnings.simplefilter("error")
    for call in waiting.values():
        call()
for wrong, told in (("loud", "expected one of `default`, `warn`, `error`"), (3, "of 0,1,2"),
                    (1.5, "invalid argument to set_sync_debug_mode")):
    try:
        cuda.set_sync_debug_mode(wrong)
    except RuntimeError as error:
        assert told in str(error), error
    else:
        raise AssertionError(wrong)
assert cuda.get_sync_debug_mode() == 0
# A debugger that looks at values is not the program.
from framework import trace
from framework.trace.edit import edit
cuda.set_sync_debug_mode(2)
hits, told = [], []
with trace.break_on("op relu where x.sum().item() > 3", do=hits.append):
    (x + 1).relu()
with trace.break_on(("op relu", lambda t: bool(t.sum() > 3)), do=hits.append):
    (x + 1).relu()
assert len(hits) == 2
class Held:
    def __repr__(self):
        return f"Held: {x}"
def console(stop):
    told.extend(gate.evaluate(line).text for line in ("x.sum().item() > 0", "x.tolist()[:1]"))
    told.append(edit(gate, "n", "int(x[0]) + 2"))
    told.append(trace.frames.text_of(Held()))
    return "continue"
with trace.recording(keep="all") as tape:
    gate = trace.Gate(tape)
    gate.console = console
    gate.set_breakpoints([trace.Breakpoint(1, op="relu")])
    (x + 1).relu()
assert told[0] == "True" and told[3].startswith("Held: tensor([0., 1.,"), told
assert len(told) == 4 and cuda.get_sync_debug_mode() == 2, told
try:
    x.sum().item()
except RuntimeError:
    pass
else:
    raise AssertionError("the program's own waits are told again")
"""


def test_what_waits_is_told() -> None:
    fake(WAITS)


@pytest.mark.skipif(COMPILER is None, reason="g++ is not here")
def test_on_cupys_arrays() -> None:
    strictly("-c", WAITS)


def test_the_mode_needs_a_device() -> None:
    code = "import framework as torch; torch.cuda.set_sync_debug_mode(1)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"})  # fmt: skip
    if "CUDA" not in done.stderr:
        pytest.skip("this machine has a CUDA device")
    assert "AssertionError: Torch not compiled with CUDA enabled" in done.stderr
