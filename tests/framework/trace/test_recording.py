"""Recordings: what goes in comes out, whatever happens to the file or the process. Real faults."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import framework as torch
from framework import nn, trace
from framework.trace import open_tape, record, recording, sink, tape_events, tape_writer
from framework.trace import tape as tape_module
from framework.trace import tape_format as fmt
from framework.trace.events import Leaf, Mark, Op, OptimEnd, ParamUpdate, Write, encode_events
from framework.trace.playback import Playback
from framework.trace.protocol import Dropped
from framework.trace.summary import summarize
from framework.trace.tape import TapeError
from framework.trace.tape_file import TapeFile, copy_tape
from framework.trace.tape_writer import Recording

TRAIN = """\
import sys
import framework as torch
from framework import nn, trace

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
with trace.record(sys.argv[1]):
    for step in range(1, 100000):
        loss = model(torch.randn(12, 8)).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(step, flush=True)
"""


weights: list[np.ndarray] = []  # the first layer's, after each step of `train`


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))


def train(steps: int, model: nn.Module | None = None) -> tuple[nn.Module, list[float]]:
    """A small network, trained."""
    model = model or network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    weights.clear()
    for _ in range(steps):
        x = torch.randn(12, 8)
        loss = model(x).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        weights.append(model[0].weight._data.copy())
    return model, losses


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of six training steps, each of them a chunk of its own."""
    path = tmp_path_factory.mktemp("tape") / "whole.tape"
    with pytest.MonkeyPatch.context() as patch:  # on a busy machine, too
        patch.setattr(tape_writer, "PATIENCE", 60.0)
        with record(path):
            train(6)
    return path


# -- what goes in comes out ------------------------------------------------------------------------


def test_events_and_values_are_those_of_the_ring(tmp_path: Path) -> None:
    path = tmp_path / "out.tape"
    model = network()
    with recording() as ring, Recording(path, ring) as made:
        _, losses = train(5, model)
    assert not made.lost and not made.missed
    tape = open_tape(path)
    assert tape.complete and not tape.damage and tape.check() == 0
    assert tape.events() == ring.read()
    assert [step.number for step in tape.steps] == [1, 2, 3, 4, 5]
    for event in tape.events():
        idents = {
            Op: lambda e: [m.id for m in e.outputs],
            Leaf: lambda e: [e.tensor.id],
            ParamUpdate: lambda e: [e.tensor.id, e.grad, *(m.id for m in e.state.values())],
        }.get(type(event), lambda e: [])(event)
        for ident in idents:
            for seq in (event.seq, event.seq - 1):
                expected = ring.values.get(ident, seq)
                found = tape.tensor(ident, seq)
                if expected is None:
                    assert found is None
                else:
                    np.testing.assert_array_equal(found, expected)
    weight = model[0].weight
    np.testing.assert_array_equal(tape.tensor(weight._id), weight.detach().numpy())
    roots = [e.roots[0] for e in tape.events() if type(e).__name__ == "BackwardBegin"]
    assert [float(tape.tensor(root)) for root in roots] == losses


def test_a_value_that_is_written_while_it_is_read_is_whole(tmp_path: Path) -> None:
    with record(tmp_path / "out.tape") as made:
        x = torch.zeros(200_000)
        for i in range(200):
            x.fill_(float(i)) if i % 2 else x.add_(1.0)
            made._wake.set()
    tape = open_tape(tmp_path / "out.tape")
    seen = [tape.tensor(x._id, e.seq) for e in tape.events() if isinstance(e, Write)]
    kept = [array for array in seen if array is not None]
    assert len(kept) > 100
    assert all(array.min() == array.max() for array in kept)


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.tensor(True),
        lambda: torch.zeros(0, 3),
        lambda: torch.tensor([1.5, float("nan"), -float("inf")], dtype=torch.bfloat16),
        lambda: torch.ones(3, 4, dtype=torch.complex64).t(),
        lambda: torch.arange(6, dtype=torch.int8).expand(2, 6),
    ],
)
def test_any_tensor(tmp_path: Path, make) -> None:
    with record(tmp_path / "out.tape"):
        value = make()
        value.eq(value)
    found = open_tape(tmp_path / "out.tape").tensor(value._id)
    assert found is not None and found.shape == tuple(value.shape)
    assert found.dtype == value._data.dtype and found.tobytes() == value._data.tobytes()


def test_equal_values_are_stored_once(tmp_path: Path) -> None:
    with record(tmp_path / "out.tape"):
        x = torch.arange(50_000.0)
        for _ in range(20):
            x.clone()
    assert os.path.getsize(tmp_path / "out.tape") < 2 * 4 * 50_000


@pytest.mark.parametrize("keep", ["all", "health"])
def test_what_is_known_of_memory_ends_with_a_write(tmp_path: Path, keep: str) -> None:
    """Views are not looked at twice; what was written, and memory of others, always is."""
    outside = np.zeros(6000, np.float32)
    with record(tmp_path / "a.tape", keep=keep) as made:
        x = torch.arange(6000.0).reshape(60, 100) + 0
        views = [x.t(), x.view(100, 60), x[:, 1:], x.t()[1:], x.flip(0)]
        expected = [view._data.copy() for view in views]
        assert made.flush()
        x.add_(10)
        again = [x.t(), x.view(100, 60), x[:, 1:]]
        expected += [view._data.copy() for view in again]
        trace.mark("the write is over")
        shared = torch.from_numpy(outside)
        first = shared[1:]
        assert made.flush()
        outside += 5  # no event
        second = shared[1:]
    tape = open_tape(tmp_path / "a.tape")
    seqs = [e.seq for e in tape.events() if isinstance(e, Write)]
    for i, (tensor, value) in enumerate(zip(views + again, expected)):
        before = seqs[0] - 1 if i < len(views) else 0
        found = tape.summary_of(tensor._id, before)
        assert found is not None and found.mean == pytest.approx(value.mean())
        if keep == "all":
            np.testing.assert_array_equal(tape.tensor(tensor._id, before), value)
    assert tape.summary_of(first._id).max == 0.0
    assert tape.summary_of(second._id).min == 5.0


def test_health_and_structure(tmp_path: Path) -> None:
    with record(tmp_path / "health.tape", keep="health"):
        y = torch.tensor([1.0, float("nan"), 3.0]) * 2
    tape = open_tape(tmp_path / "health.tape")
    assert tape.tensor(y._id) is None
    summary = tape.summary_of(y._id)
    assert summary is not None and (summary.nan, summary.max) == (1, 6.0)
    with record(tmp_path / "health.tape", keep="health"):
        values = [make() * 1 for make in (lambda: torch.randn(300, 5), lambda: torch.arange(9))]
    tape = open_tape(tmp_path / "health.tape")
    for value in values:
        found, expected = tape.summary_of(value._id), summarize(value._data)
        assert found is not None
        for name in ("count", "zeros", "min", "max", "mean", "std", "norm"):
            assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-6)
    with record(tmp_path / "none.tape", keep="none"):
        train(2)
    tape = open_tape(tmp_path / "none.tape")
    assert tape.kept == (0, 0) and len(tape.steps) == 2


def test_other_tools_can_read_it(whole: Path) -> None:
    from mcap.reader import make_reader
    from mcap.stream_reader import StreamReader

    with open(whole, "rb") as file:
        list(StreamReader(file, validate_crcs=True).records)
    with open(whole, "rb") as file:
        reader = make_reader(file, validate_crcs=True)
        topics = [channel.topic for _, channel, _ in reader.iter_messages()]
        assert reader.get_summary().statistics.message_count == len(topics)
    assert set(topics) == {"events", "values", "blob", "source"}


def test_what_the_run_was(whole: Path) -> None:
    tape = open_tape(whole)
    assert tape.info["numpy"] == np.__version__ and tape.info["keep"] == "all"
    assert "def train(steps" in tape.sources[__file__]
    assert "6 training steps" in repr(tape) and "<table>" in tape._repr_html_()
    assert dict(tape.__rich_repr__())["events"].startswith(f"{len(tape):,}")


def test_one_recording_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    with recording() as ring, Recording(path, ring), pytest.raises(TapeError, match="already"):
        Recording(tmp_path / "b.tape", ring)
    other = sink.Recorder(capacity=16)
    with record(path), pytest.raises(TapeError, match="another process"):
        Recording(path, other)


# -- bounds ----------------------------------------------------------------------------------------


def test_the_ring_drops_the_values_of_old_steps(tmp_path: Path) -> None:
    path, budget = tmp_path / "out.tape", 300_000
    with record(path, budget=budget) as made:
        model, _ = train(80)
    assert not made.problem
    assert os.path.getsize(path) < 1.5 * budget
    tape = open_tape(path)
    assert tape.complete and not tape.damage and tape.check() == 0
    steps = tape.steps
    assert steps[0].number == 1 and steps[-1].number == 80
    weight = model[0].weight._id
    start = max(
        steps[0].first_seq,
        next(e.seq for e in tape.events() if isinstance(e, Leaf) and e.tensor.id == weight),
    )
    assert tape.tensor(weight, start) is not None, "the first steps stay"
    last = steps[-1]
    np.testing.assert_array_equal(tape.tensor(weight), model[0].weight.detach().numpy())
    for event in tape.events(last.first_seq, last.last_seq):
        if isinstance(event, Op):
            assert all(tape.tensor(i, event.seq) is not None for i in event.inputs if i)
    for step in steps:
        found = tape.tensor(weight, step.last_seq)
        if found is not None:  # never an older value than the moment's
            np.testing.assert_array_equal(found, weights[step.number - 1])


def test_spill_ends_at_the_budget(tmp_path: Path) -> None:
    said: list[str] = []
    with record(tmp_path / "out.tape", budget=100_000, policy="spill", say=said.append) as made:
        train(40)
    assert made.problem and len(said) == 1 and "budget" in said[0]
    tape = open_tape(tmp_path / "out.tape")
    assert tape.complete and 1 < len(tape.steps) < 40 and tape.check() == 0


def test_more_events_than_the_ring_holds(tmp_path: Path) -> None:
    ring = sink.Recorder(capacity=16)
    with Recording(tmp_path / "out.tape", ring) as made:
        for i in range(5000):
            ring.mark(str(i))
    tape = open_tape(tmp_path / "out.tape")
    assert len(tape) + made.lost == 5000
    assert sum(b - a + 1 for a, b in tape.gaps) == made.lost


def test_a_loop_without_steps_waits_for_the_writer(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tape_writer, "PATIENCE", 60.0)
    with record(tmp_path / "out.tape", keep="none") as made:
        made.recorder.ring[:] = [None] * 1024
        made.recorder.mask = 1023
        made._make_way(1)
        x = torch.ones(8, requires_grad=True)
        for _ in range(10):
            y = x
            for _ in range(500):
                y = y * 1.5
            y.sum().backward()
    assert not made.lost and made.recorder.limit == sys.maxsize
    tape = open_tape(tmp_path / "out.tape")
    assert len(tape) == made.recorder.seq > 15_000 and not tape.gaps


def test_a_loop_does_not_wait_for_a_disk_that_hangs(tmp_path: Path, monkeypatch) -> None:
    real, gate = TapeFile.write, threading.Event()

    def slow(self: TapeFile, parts) -> None:
        gate.wait(60)
        real(self, parts)

    ring = sink.Recorder(capacity=256)
    with Recording(tmp_path / "out.tape", ring) as made:
        monkeypatch.setattr(TapeFile, "write", slow)
        made._wake.set()
        began = time.monotonic()
        for _ in range(20_000):
            ring.mark("x" * 100)
        assert time.monotonic() - began < 50
        gate.set()
        assert made.flush()
        ring.mark("the end")
    assert made.lost and not made.problem
    tape = open_tape(tmp_path / "out.tape")
    assert sum(b - a + 1 for a, b in tape.gaps) == made.lost
    assert tape.last_seq == 20_001


def test_a_full_disk_ends_the_recording_and_not_the_program(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mounted = os.geteuid() == 0 and not subprocess.call(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], stderr=subprocess.DEVNULL
    )
    try:
        _fill_disk(place / "out.tape", limit=None if mounted else 1 << 20)
    finally:
        if mounted:
            subprocess.check_call(["umount", str(place)])


def _fill_disk(path: Path, limit: int | None) -> None:
    code = TRAIN.replace("100000", "3000")
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120,
        preexec_fn=limit and (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))),
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.split()[-1] == "2999", "training goes on"
    assert done.stderr.count("tapebook:") == 1 and "recording ends at event" in done.stderr
    with open_tape(path) as tape:
        assert not tape.damage and tape.check() == 0 and len(tape.steps) > 10
        ended = int(done.stderr.split("recording ends at event ")[1].split(",")[0])
        assert tape.last_seq == ended


def test_a_disk_that_hangs_holds_nobody_up(tmp_path: Path, monkeypatch) -> None:
    real, gate = TapeFile.write, threading.Event()

    def slow(self: TapeFile, parts) -> None:
        gate.wait(60)
        real(self, parts)

    with record(tmp_path / "out.tape"):
        monkeypatch.setattr(TapeFile, "write", slow)
        began = time.monotonic()
        train(30)
        assert time.monotonic() - began < 50
        gate.set()
    assert len(open_tape(tmp_path / "out.tape").steps) == 30


# -- a process that dies ---------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 7, 40])
def test_a_killed_process_loses_the_step_in_progress_at_most(tmp_path: Path, steps: int) -> None:
    path = tmp_path / "out.tape"
    program = subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    with contextlib.closing(program.stdout):
        for line in program.stdout:
            if int(line) == steps:
                break
        program.send_signal(signal.SIGKILL)
        printed = [int(line) for line in program.stdout if line.endswith("\n")] or [steps]
        program.wait()
    with open_tape(path) as tape:
        numbers = [step.number for step in tape.steps if step.number]
        assert numbers[-1] >= printed[-1] and numbers == list(range(1, numbers[-1] + 1))
        ends = [event for event in tape.events() if isinstance(event, OptimEnd)]
        assert len(ends) >= printed[-1]
        assert not tape.complete and not tape.writing
        assert tape.check() == 0
        assert "recovered" in repr(tape)


def test_a_file_that_is_being_written_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "out.tape"
    with record(path, budget=200_000) as made:
        train(2)
        assert made.flush()
        tape = open_tape(path)
        assert tape.writing and len(tape.steps) == 2 and not tape.damage
        train(3)
        assert made.flush()
        assert tape.refresh() > 0 and len([s for s in tape.steps if s.number]) == 5
        train(60)  # long enough for the ring to write the file anew
        assert made.flush()
        tape.refresh()
        assert tape.last_seq == made.recorder.seq
    tape.refresh()
    assert tape.complete and not tape.writing and not tape.damage


def test_a_forked_child_leaves_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.tape"
    with record(path) as made:
        train(1)
        child = os.fork()
        if not child:
            try:
                train(1)
                made.close()
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        train(1)
    tape = open_tape(path)
    assert tape.complete and not tape.damage and tape.events() == made.recorder.read()


# -- damaged files ---------------------------------------------------------------------------------


def test_cut_anywhere(whole: Path, tmp_path: Path) -> None:
    data = whole.read_bytes()
    known = {event.seq: event for event in open_tape(whole).events()}
    path = tmp_path / "cut.tape"
    before = 0
    cuts = [*range(1000, len(data), 1000), *range(len(data) - 40, len(data))]
    for size in cuts:
        path.write_bytes(data[:size])
        with open_tape(path) as tape:
            assert all(known[event.seq] == event for event in tape.events())
            assert [e.seq for e in tape.events()] == list(range(1, len(tape) + 1))
            assert len(tape) >= before, "never less than of a shorter piece"
            before = len(tape)
            assert not tape.complete or tape.damage
    assert before == len(known)


@pytest.mark.parametrize("cut", [0, 3000])
def test_a_hole_behind_it_is_not_read(whole: Path, tmp_path: Path, cut: int) -> None:
    """As a crash of the machine leaves a file: a terabyte of nothing, whole or cut before that."""
    path = tmp_path / "hole.tape"
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) - cut])
    with open_tape(path) as tape:
        events = tape.events()
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with open_tape(path) as tape:
        assert tape.events() == events and tape.damage
        assert tape.damage[-1].offset + tape.damage[-1].length == 1 << 40


def test_cut_before_anything(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.tape"
    for size in range(1, 8):
        path.write_bytes(whole.read_bytes()[:size])
        with pytest.raises(TapeError, match="cut off before"):
            open_tape(path)


def test_flipped_bytes(whole: Path, tmp_path: Path) -> None:
    data = whole.read_bytes()
    sound = open_tape(whole)
    known = {event.seq: event for event in sound.events()}
    sources, info = sound.sources, sound.info
    path = tmp_path / "flipped.tape"
    chance = random.Random(0)
    spots = [*range(8, 3000, 97), *(chance.randrange(8, len(data)) for _ in range(150))]
    spots += range(len(data) - 60, len(data))
    gaps = 0
    for spot in spots:
        bad = bytearray(data)
        bad[spot] ^= 1 << chance.randrange(8)
        path.write_bytes(bad)
        with open_tape(path) as tape:
            assert all(known[event.seq] == event for event in tape.events()), spot
            if tape.complete and not tape.damage:  # a bit that zstd does not use
                assert len(tape) == len(known) and tape.check() == 0, spot
                assert tape.sources == sources and tape.info == info, spot
            assert len(tape) > len(known) / 3
            gaps += bool(tape.gaps)
            copy_tape(path, tmp_path / "repaired.tape")
        with open_tape(tmp_path / "repaired.tape") as clean:
            assert clean.complete and not clean.damage
            assert clean.events() == tape.events()
    assert gaps > 10


def test_damage_is_dated(whole: Path, tmp_path: Path) -> None:
    data = bytearray(whole.read_bytes())
    at = data.index(b"\x04\0\0\0zstd", len(data) // 2) + 60  # within a compressed chunk
    data[at] ^= 0xFF
    path = tmp_path / "bad.tape"
    path.write_bytes(data)
    tape = open_tape(path)
    assert [d.reason for d in tape.damage] == ["a chunk whose checksum is wrong"] or tape.damage
    first, last = tape.gaps[0]
    assert tape.damage[0].after == first - 1
    ident = next(
        e.tensor.id for e in tape.events() if isinstance(e, Leaf) and e.role == "parameter"
    )
    assert tape.tensor(ident, first - 1) is not None
    assert tape.summary_of(ident, last) is None, "what happened in the gap is not known"
    playback = Playback(path)
    end = time.monotonic() + 60
    while not any(isinstance(m, Dropped) for m in list(playback.inbox)):
        assert time.monotonic() < end
        time.sleep(0.01)
    assert playback.request("status").result(60)["dropped"] == last - first + 1
    while not playback.news:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert playback.news.popleft() == "1 damaged place left out: tapebook verify says what is lost"
    assert not playback.news, "once"
    playback.close()


def _crafted(path: Path, *records: bytes) -> Path:
    path.write_bytes(fmt.opening({"tapebook": "0"}) + b"".join(records))
    return path


def _chunk(data: bytes, size: int, kind: bytes = b"zstd", crc: int = 0) -> bytes:
    head = struct.pack("<QQQI", 0, 0, size, crc) + struct.pack("<I", len(kind)) + kind
    return fmt.record(fmt.CHUNK, head, struct.pack("<Q", len(data)), data)


def test_a_record_that_claims_to_be_huge(tmp_path: Path) -> None:
    good = b"".join(
        fmt.chunk_record(0, 0, [fmt.message(fmt.EVENTS, 1, 0, encode_events([Mark(1, 1, "a")]))])
    )
    bad = struct.pack("<BQ", fmt.CHUNK, 1 << 60) + bytes(50)
    tape = open_tape(_crafted(tmp_path / "a.tape", good, bad, good))
    assert len(tape) == 1 and "1152921504606846976 bytes is above the cap" in tape.damage[0].reason


def test_decompression_bombs(tmp_path: Path) -> None:
    import zstandard

    big = 1 << 28
    bomb = zstandard.ZstdCompressor(level=1).compress(bytes(big))
    honest = _chunk(bomb, big)
    liar = _chunk(bomb, 1000)
    unsized = zstandard.ZstdCompressor(level=1, write_content_size=False).compress(bytes(big))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tape = open_tape(_crafted(tmp_path / "a.tape", honest, liar, _chunk(unsized, 1000)))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reasons = [damage.reason for damage in tape.damage]
    assert any("above the cap" in reason for reason in reasons) and len(tape) == 0
    assert after - before < 100_000, "kB"


def test_a_recording_that_unpacks_without_end(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(tape_module, "MAX_UNPACKED", 10_000)
    with record(tmp_path / "a.tape"):
        train(5)
    with pytest.raises(TapeError, match="unpacks to more"):
        open_tape(tmp_path / "a.tape")


def test_the_first_format_is_read(tmp_path: Path) -> None:
    """It named values by half of SHA-256, and had a checksum of all parts of a chunk."""
    import hashlib

    import msgspec

    encode = msgspec.msgpack.encode
    data = np.arange(4.0, dtype=np.float32).tobytes()
    digest = hashlib.sha256(data).digest()[:16]
    wrong = bytes(16)
    blobs = [
        b"".join(fmt.blob_message(encode((name, "float32", (4,))), data, 1, 5))
        for name in (digest, wrong)
    ]
    rows = [(7, 1, digest, "float32", (2, 2)), (8, 1, wrong, "float32", (4,))]
    text = [
        fmt.message(fmt.EVENTS, 1, 5, encode_events([Mark(1, 5, "a")])),
        fmt.message(fmt.VALUES, 0, 5, encode(rows)),
    ]
    path = tmp_path / "a.tape"
    chunks = [*fmt.chunk_record(5, 5, blobs), *fmt.chunk_record(5, 5, text)]
    path.write_bytes(fmt.opening({"format": "1", "keep": "all"}) + b"".join(chunks))
    copy_tape(path, tmp_path / "b.tape")
    for name in ("a.tape", "b.tape"):
        with open_tape(tmp_path / name) as tape:
            assert tape.info["format"] == "1" and not tape.damage
            np.testing.assert_array_equal(tape.tensor(7), [[0, 1], [2, 3]])
            with pytest.raises(TapeError, match="damaged"):
                tape.tensor(8)


def test_values_with_the_same_checksum_are_told_apart(tmp_path: Path) -> None:
    """CRC-32 is linear: flipping the polynomial's bits anywhere does not change it."""
    import zlib

    a = np.zeros(64, np.uint8)
    b = a.copy()
    for power in range(33):  # the lowest bit of a byte is the highest power
        if 0x104C11DB7 >> power & 1:
            place = 256 - power
            b[place // 8] ^= 1 << place % 8
    assert zlib.crc32(a.tobytes()) == zlib.crc32(b.tobytes()) and (a != b).any()
    with record(tmp_path / "a.tape") as made:
        tensors = [torch.from_numpy(x.copy()) for x in (a, b, a, b)]
        kept = [tensor.eq(tensor) for tensor in tensors[:2]]
        assert made.flush()  # those before are in the file, those behind are still in memory
        kept += [tensor.eq(tensor) for tensor in tensors[2:]]
    tape = open_tape(tmp_path / "a.tape")
    for tensor, expected in zip(tensors, (a, b, a, b)):
        np.testing.assert_array_equal(tape.tensor(tensor._id), expected)
    assert tape.check() == 0 and len(tape._values._blobs.columns()[0]) == 3, (
        "two values, and True 64 times"
    )


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    newer = fmt.opening({"format": str(fmt.FORMAT + 8)})
    (tmp_path / "a.tape").write_bytes(newer)
    with pytest.raises(TapeError, match=f"version {fmt.FORMAT + 8}.*up to {fmt.FORMAT}"):
        open_tape(tmp_path / "a.tape")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("hello, this is no recording")
    os.mkfifo(tmp_path / "pipe")
    other = fmt.MAGIC + fmt.record(fmt.HEADER, struct.pack("<I", 0), struct.pack("<I", 0))
    (tmp_path / "mcap").write_bytes(other)
    for name, reason in {
        "empty": "empty file",
        "text": "not a recording",
        "pipe": "not a regular file",
        ".": "a directory",
        "missing": "no such file",
        "mcap": "not a recording of Tapebook",
        "nul\0": "cannot be read",
    }.items():
        with pytest.raises(TapeError, match=reason):
            open_tape(tmp_path / name)


def test_lies_within_sound_chunks(tmp_path: Path) -> None:
    """Well-formed, with a right checksum, and wrong."""
    import msgspec

    encode = msgspec.msgpack.encode
    digest = b"0" * 16
    blob = b"".join(fmt.blob_message(encode((digest, "float32", (2,))), b"\0" * 8, 0, 0))
    parts = [
        fmt.message(fmt.EVENTS, 1, 0, encode_events([Mark(5, 1, "b"), Mark(2, 9, "a")])),
        fmt.message(fmt.EVENTS, 1, 0, encode_events([Mark(5, 1, "again"), Mark(-3, 1, "x")])),
        fmt.message(fmt.EVENTS, 1, 0, b"\x93\x01\x02\x03"),
        fmt.message(fmt.SOURCE, 0, 0, encode(("../../etc/passwd", "text"))),
        fmt.message(fmt.VALUES, 0, 0, encode([(1, 2, digest, "float32", (2,))])),
        fmt.message(fmt.VALUES, 0, 0, encode([(2, 2, digest, "float32", (1 << 40, 1 << 40))])),
        fmt.message(fmt.VALUES, 0, 0, encode([(3, 2, b"1" * 16, "object", (-1,))])),
        fmt.message(99, 0, 0, b"what"),
    ]
    chunks = b"".join([*fmt.chunk_record(0, 0, [blob]), *fmt.chunk_record(0, 0, parts)])
    tape = open_tape(_crafted(tmp_path / "a.tape", chunks))
    assert [(e.seq, e.name) for e in tape.events()] == [(2, "a"), (5, "b")]
    assert len(tape.damage) == 1
    assert tape.gaps == [(1, 1), (3, 4)]
    for ident in (1, 2):
        with pytest.raises(TapeError, match="damaged"):
            tape.tensor(ident, 2)
        assert tape.tensor(ident, 5) is None, "what happened in the gap is not known"
    assert tape.tensor(3, 2) is None and tape.check() == 3
    assert not (tmp_path / "etc").exists()


def test_events_that_are_none_are_marked_when_they_are_looked_at(tmp_path: Path) -> None:
    """Only the beginning of an event is unpacked when a file is opened."""
    import msgspec

    events = [Mark(1, 1, "a"), Mark(2, 2, "b")]
    good = msgspec.msgpack.decode(encode_events(events))
    message = msgspec.msgpack.encode([good[0], [18, 2, 2, 77], [good[1][0], 3, 3, "c"]])
    chunk = b"".join(fmt.chunk_record(0, 0, [fmt.message(fmt.EVENTS, 1, 0, message)]))
    tape = open_tape(_crafted(tmp_path / "a.tape", chunk))
    assert not tape.damage and len(tape) == 3
    assert [e.name for e in tape.events()] == ["a", "unreadable event", "c"]
    assert [(d.after, d.reason) for d in tape.damage] == [(1, "event 2 is none")]
    unknown = msgspec.msgpack.encode([[99, 1, 1, "x"]])
    late = msgspec.msgpack.encode([[18, 1, 1 << 63, "x"]])
    for lie in (unknown, late):
        chunk = b"".join(fmt.chunk_record(0, 0, [fmt.message(fmt.EVENTS, 1, 0, lie)]))
        tape = open_tape(_crafted(tmp_path / "a.tape", chunk))
        assert len(tape) == 0 and len(tape.damage) == 1


def test_events_stay_packed(tmp_path: Path, monkeypatch) -> None:
    """More events than stay decoded: any is found, in any order, and steps are what they were."""
    path = tmp_path / "a.tape"
    with record(path, keep="none") as made:
        train(30)
    expected = made.recorder.read()
    monkeypatch.setattr(tape_events, "DECODED", 100)
    tape = open_tape(path)
    assert tape.events() == expected and len(tape) == len(expected)
    for seq in random.Random(0).choices(range(1, len(expected) + 1), k=300):
        assert tape.event(seq) == expected[seq - 1]
        assert tape.events(seq, seq + 40) == expected[seq - 1 : seq + 40]
    assert tape.event(0) is None and tape.event(len(expected) + 1) is None
    store = tape._events
    assert store._decoded_count <= 100 + max(len(s.kinds) for s in store._stretches)
    steps, first = [], 1
    for event in expected:
        if isinstance(event, OptimEnd):
            steps.append((first, event.seq, event.t - expected[first - 1].t))
            first = event.seq + 1
    found = [(s.first_seq, s.last_seq, round(s.seconds * 1e9)) for s in tape.steps]
    assert found == steps and [s.number for s in tape.steps] == list(range(1, 31))
    ops = sum(isinstance(e, Op) for e in expected)
    assert sum(s.ops for s in tape.steps) == ops


# -- where it may be written -----------------------------------------------------------------------


def test_only_recordings_are_replaced(tmp_path: Path, whole: Path) -> None:
    text = tmp_path / "train.py"
    text.write_text("precious")
    link = tmp_path / "link.tape"
    link.symlink_to(text)
    for path in (text, link, tmp_path, tmp_path / "nowhere" / "a.tape"):
        with pytest.raises(TapeError), record(path):
            pass
    assert text.read_text() == "precious"
    old = tmp_path / "old.tape"
    old.write_bytes(whole.read_bytes())
    with record(old):
        train(1)
    assert len(open_tape(old).steps) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.tape", "old.tape", "train.py"]


def test_options_are_checked(tmp_path: Path) -> None:
    for options in ({"keep": "some"}, {"policy": "lots"}, {"budget": 10}):
        with (
            pytest.raises(ValueError, match=next(iter(options))),
            record(tmp_path / "a", **options),
        ):
            pass
    assert not (tmp_path / "a").exists()


def test_only_a_programs_text_is_kept(tmp_path: Path) -> None:
    """Code may say that it comes from anywhere; what is there is nobody's business."""
    secret = tmp_path / "passwords"
    secret.write_text("a\nsecret\n")
    code = "import framework as torch\ntorch.ones(2).exp()\n"
    with trace.record(tmp_path / "a.tape"):
        for name in (str(secret), "https://example.org/x.py", "../../../../etc/passwd"):
            exec(compile(code, name, "exec"), {})
    with open_tape(tmp_path / "a.tape") as tape:
        places = {e.source.file for e in tape.events() if isinstance(e, Op) and e.name == "exp"}
        assert str(secret) in places, "the name is kept"
        assert not set(tape.sources) & places
