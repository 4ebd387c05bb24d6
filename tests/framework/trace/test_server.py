"""The service on its socket: rights, hostile peers, the live stream, slow viewers. Real sockets."""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
import stat
import struct
import subprocess
import sys
import threading
import time

import msgspec
import numpy as np
import pytest

import framework as torch
from framework.trace import recording
from framework.trace import session as sessions
from framework.trace.client import Client, RequestError, SessionError
from framework.trace.events import Event, Mark, Op
from framework.trace.gate import Gate
from framework.trace.peer import MAX_HELLO
from framework.trace.protocol import (
    PROTOCOL_VERSION,
    Breakpoint,
    Challenge,
    Dropped,
    Events,
    Goodbye,
    Hello,
    Request,
    StateChanged,
    TensorView,
    Variable,
    Welcome,
    encode,
    proof,
    read_message,
    write_message,
)
from framework.trace.server import PEERS, Service

HEAD = struct.Struct(">I")


@pytest.fixture(autouse=True)
def runtime(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "tapebook"


@pytest.fixture
def service():
    with recording() as tape:
        gate = Gate(tape)
        found = Service(tape, gate, "test")
        yield found
        found.close()


@pytest.fixture
def client(service):
    with Client.connect(service.name) as found:
        yield found


def _ask(client, method, **params):
    return client.request(method, **params).result(60)


def _collect(client, enough, seconds=60):
    """Messages until there are enough of them."""
    found = []
    end = time.monotonic() + seconds
    while not enough(found):
        assert time.monotonic() < end, f"only {found[-3:]}"
        while client.inbox:
            found.append(client.inbox.popleft())
        time.sleep(0.001)
    return found


def _stopped(messages):
    return any(isinstance(m, StateChanged) and m.stop for m in messages)


def _events(messages):
    return [e for m in messages if isinstance(m, Events) for e in m.events]


def _knock(service):
    """A connection, and what the session asked."""
    sock = sessions.connect(service.session.socket)
    sock.settimeout(60)
    challenge = read_message(sock)
    assert isinstance(challenge, Challenge)
    return sock, challenge.nonce


def _raw_connection(service):
    return _knock(service)[0]


def _hello(service, nonce, version=PROTOCOL_VERSION, observe=False, **fields):
    token = sessions.read_token(service.session, observe)
    return Hello(version, proof(token, nonce), **fields)


def _works(service):
    """Viewers are still served, and the model still runs."""
    x = torch.ones(3) * 2
    with Client.connect(service.name) as other:
        return _ask(other, "status")["last_seq"] > 0 and x is not None


# -- files ----------------------------------------------------------------------------------------


def test_files_are_private_and_gone_at_the_end(service, runtime):
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
    for suffix in ("sock", "token", "json"):
        path = runtime / f"{service.name}.{suffix}"
        assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0
        assert path.lstat().st_uid == os.getuid()
    assert json.loads((runtime / f"{service.name}.json").read_text())["pid"] == os.getpid()
    service.close()
    assert list(runtime.iterdir()) == []


ABSURD = ("1e400", "-1e400", "NaN", "-5", "1" + "0" * 400, '"yesterday"', "null", "[]", "1e300")


@pytest.mark.parametrize("number", ABSURD)
def test_a_note_with_absurd_numbers_hides_no_program(service, number):
    """Who can be asked is listed; what the note does not know is 0."""
    note = service.session.note
    note.write_text(f'{{"name": "x", "pid": {number}, "file": "", "started": {number}}}')
    (found,) = sessions.sessions()
    assert found.name == service.name and math.isfinite(found.started) and found.started >= 0
    assert 0 <= found.pid < 2**32
    assert _works(service)


def test_a_program_is_found_by_its_name_or_its_process_number(service):
    for text in (service.name, service.name[:3], str(os.getpid())):
        with Client.connect(text, role="observe") as client:
            assert client.welcome.name == service.name
    with pytest.raises(SessionError, match="no session is called '99999999'"):
        Client.connect("99999999")


def test_a_note_that_is_no_file_or_nested_without_end_is_none(service):
    os.mkfifo(service.session.directory / "pipe.json")  # opening it would wait for ever
    (service.session.directory / "deep.json").write_text("[" * 9_000)
    assert [s.name for s in sessions.sessions()] == [service.name]


def test_sessions_are_listed_and_stale_ones_removed(service, runtime):
    dead = runtime / "dead-1.sock"
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(dead))
    sock.close()  # as after SIGKILL: the file stays, nobody listens
    note = {"name": "dead-1", "pid": 1, "file": "", "started": 0}
    (runtime / "dead-1.json").write_text(json.dumps(note))
    (runtime / "dead-1.token").write_text("x")
    (runtime / "junk.json").write_text("{")
    found = sessions.sessions()
    assert [s.name for s in found] == [service.name]
    assert found[0].pid == os.getpid()
    assert not dead.exists() and not (runtime / "dead-1.token").exists()
    assert (runtime / "junk.json").exists()  # not known to be ours
    assert _works(service)


def test_a_linked_or_open_directory_is_refused(tmp_path, monkeypatch):
    real = tmp_path / "elsewhere"
    real.mkdir()
    base = tmp_path / "run"
    base.mkdir()
    (base / "tapebook").symlink_to(real)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    with pytest.raises(sessions.SessionError, match="link"):
        sessions.runtime_dir()
    (base / "tapebook").unlink()
    (base / "tapebook").mkdir(mode=0o755)
    os.chmod(base / "tapebook", 0o755)
    assert stat.S_IMODE(sessions.runtime_dir().stat().st_mode) == 0o700  # our own: closed
    (base / "tapebook").rmdir()
    (base / "tapebook").write_text("a file")
    with pytest.raises(sessions.SessionError, match="not a directory"):
        sessions.runtime_dir()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make another user's directory")
def test_another_users_directory_and_token_are_refused(tmp_path, monkeypatch):
    base = tmp_path / "run"
    (base / "tapebook").mkdir(parents=True, mode=0o700)
    os.chown(base / "tapebook", 12345, 12345)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    with pytest.raises(sessions.SessionError, match="another user"):
        sessions.runtime_dir()


def test_an_open_token_is_not_trusted(service):
    service.session.token.chmod(0o644)
    with pytest.raises(SessionError, match="not private"):
        Client.connect(service.name)


def test_a_long_path_works(tmp_path, monkeypatch):
    deep = tmp_path.joinpath(*["a" * 40] * 4)
    deep.mkdir(parents=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with recording() as tape:
        service = Service(tape, Gate(tape), "deep")
        assert len(str(service.session.socket)) > 108
        assert _works(service)
        service.close()


# -- peers that are not viewers -------------------------------------------------------------------


def _refused(sock):
    """The other side hangs up and has not said a word."""
    try:
        return sock.recv(100) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    "greeting",
    [
        Hello(PROTOCOL_VERSION, ""),
        Hello(PROTOCOL_VERSION, "0" * 64),
        Hello(PROTOCOL_VERSION, "ü€𝄞"),
        Request(1, "status"),
    ],
    ids=["no token", "forged token", "strange token", "no hello"],
)
def test_without_the_token_nothing_is_answered(service, greeting):
    with _raw_connection(service) as sock:
        write_message(sock, greeting)
        with contextlib.suppress(BrokenPipeError):
            write_message(sock, Request(2, "interrupt"))
        assert _refused(sock)
    assert _works(service)


def test_another_version_is_refused(service):
    sock, nonce = _knock(service)
    with sock:
        write_message(sock, _hello(service, nonce, version=PROTOCOL_VERSION + 1))
        said = read_message(sock)
        assert isinstance(said, Goodbye) and not said.ended
        assert f"version {PROTOCOL_VERSION}" in said.reason
        assert f"version {PROTOCOL_VERSION + 1}" in said.reason
        assert _refused(sock)
    assert _works(service)


@pytest.mark.parametrize(
    "data",
    [
        os.urandom(5000),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        HEAD.pack(0xFFFFFFFF) + b"x" * 100,
        HEAD.pack(MAX_HELLO + 1),
        HEAD.pack(10) + b"\xff" * 10,
        HEAD.pack(0),
        HEAD.pack(2000) + b"\x91" * 2000,  # deeply nested
    ],
    ids=["random", "http", "huge length", "above the cap", "no msgpack", "empty frame", "nested"],
)
def test_bytes_that_are_no_protocol_end_that_peer_only(service, data):
    with _raw_connection(service) as sock:
        sock.sendall(data)
        assert _refused(sock)
    assert _works(service)


def _cut_off(sock):
    """The other side hangs up; the reason, if it was in time to say one."""
    reason = ""
    try:
        while message := read_message(sock):
            if isinstance(message, Goodbye):
                reason = message.reason
    except (ConnectionResetError, BrokenPipeError):
        pass
    except TimeoutError:
        return None
    return reason


def _greeted(service, **fields):
    sock, nonce = _knock(service)
    write_message(sock, _hello(service, nonce, **fields))
    assert isinstance(read_message(sock), Welcome)
    return sock


@pytest.mark.parametrize(
    "data",
    [
        HEAD.pack(1 << 31),
        HEAD.pack(4) + b"abcd",
        HEAD.pack(len(encode(Hello(1, "x")))) + encode(Hello(1, "x")),
        b"\x00",
    ],
    ids=["huge length", "no message", "a second hello", "a cut head"],
)
def test_a_viewer_that_breaks_the_protocol_is_cut_off(service, data):
    with _greeted(service) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert _cut_off(sock) is not None
    assert _works(service)


def test_half_a_frame_and_then_silence_is_given_up(service, monkeypatch):
    with _greeted(service) as idle, _greeted(service) as half:
        monkeypatch.setattr("framework.trace.peer.PATIENCE", 0.3)
        with _raw_connection(service) as silent:
            began = time.monotonic()
            half.sendall(HEAD.pack(100) + b"abc")
            assert _refused(silent) and "half a frame" in _cut_off(half)
            assert time.monotonic() - began > 0.2
        write_message(idle, Request(1, "status"))  # who has nothing to ask may stay
        assert read_message(idle).id == 1


def test_a_hundred_connections_do_not_stop_the_model_or_the_first_viewer(service, client):
    flood = []
    for _ in range(100):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(service.session.socket))
        flood.append(sock)
    x = torch.ones(8)
    for _ in range(200):
        x = x * 1.0
    assert _ask(client, "status")["last_seq"] >= 200
    assert len(service._peers) <= PEERS
    for sock in flood:
        sock.close()
    end = time.monotonic() + 60
    while len(service._peers) > 1 and time.monotonic() < end:
        time.sleep(0.01)
    assert _works(service)


def test_a_viewer_that_vanishes_within_a_frame(service):
    for cut in (1, 3, 5, 12):
        with _greeted(service) as sock:
            data = encode(Request(1, "status"))
            sock.sendall((HEAD.pack(len(data)) + data)[:cut])
    x = torch.ones(8)
    for _ in range(100):
        x = x * 1.0
    assert _works(service)


def test_an_observer_may_look_and_not_act(service):
    x = torch.ones(2) * 3
    with Client.connect(service.name, role="observe") as observer:
        assert _ask(observer, "status")["state"] == "running"
        assert _ask(observer, "summary", tensors=[x._id])[0].max == 3
        for method in ("step", "pause", "interrupt", "evaluate", "breakpoints", "options"):
            with pytest.raises(RequestError, match="may only look"):
                _ask(observer, method)
        assert service.viewers == 0


# -- requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method, params, reason",
    [
        ("fly", {}, "unknown method 'fly'"),
        ("step", {"how": "next"}, "is running, not paused"),
        ("step", {"how": "until"}, "run until what"),
        ("step", {"how": "until", "target": {"id": "x"}}, "target: Expected `int`"),
        ("view", {"tensor": 10**9}, "no longer kept"),
        ("view", {"tensor": "x"}, "tensor must be an integer"),
        ("summary", {"tensors": 3}, "must be a list"),
        ("evaluate", {}, "expression is empty"),
        ("evaluate", {"expression": "1/0"}, "ZeroDivisionError"),
        ("breakpoints", {"breakpoints": 3}, "breakpoints: Expected `array`"),
        ("events", {"first": None}, "first must be an integer"),
        ("variables", {"frame": True}, "frame must be an integer"),
    ],
)
def test_bad_requests_get_one_line(client, method, params, reason):
    with pytest.raises(RequestError) as caught:
        _ask(client, method, **params)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_view_and_summary_are_answered_while_the_model_runs(service, client):
    stop = threading.Event()
    answers = []

    def viewer():
        for _ in range(20):
            view = _ask(client, "view", tensor=x._id, slice="[0]", rows=2, cols=2, grid=[2, 2])
            answers.append((view.summary.max, view.table.cells, view.slice))
            answers.append(_ask(client, "summary", tensors=[x._id, 10**9], seq=0))
        stop.set()

    x = torch.arange(6.0).reshape(2, 3)
    y = x * 2
    thread = threading.Thread(target=viewer)
    thread.start()
    while not stop.is_set():
        y = x * 2
    thread.join()
    assert answers[0] == (2.0, [["0.0", "1.0"]], "[0]")
    first, missing = answers[1]
    assert (first.count, missing) == (6, None) and y is not None
    view = _ask(client, "view", tensor=y._id)
    assert isinstance(view, TensorView) and view.tensor.shape == (2, 3)
    assert msgspec.convert(view, TensorView) is view  # callers may convert once more


def test_an_expression_that_hangs_is_given_up(service, client, monkeypatch):
    monkeypatch.setattr("framework.trace.worker.SLOW", 0.3)
    hanging = client.request("evaluate", expression="[0 for _ in iter(int, 1)]")
    assert _ask(client, "status")["state"] == "running"  # others are answered meanwhile
    with pytest.raises(RequestError, match=r"took longer than 0\.3 seconds"):
        hanging.result(60)
    monkeypatch.setattr("framework.trace.worker.SLOW", 60.0)
    assert _ask(client, "evaluate", expression="1 + 1").text == "2"
    end = time.monotonic() + 60
    while sum(t.name == "tapebook-look" for t in threading.enumerate()) > 1:
        assert time.monotonic() < end, "the thread that hung is still there"
        time.sleep(0.01)


def test_expressions_have_their_own_grad_mode_and_leave_no_trace(service, client):
    with torch.no_grad():
        w = torch.ones(2)
        w.requires_grad_()
        seq = service.recorder.seq
        service.gate.namespace = {"w": w, "torch": torch}
        found = _ask(client, "evaluate", expression="(w * 2).requires_grad")
        assert isinstance(found, Variable) and found.text == "True"
        assert not torch.is_grad_enabled()
        assert service.recorder.seq == seq


# -- stops over the wire --------------------------------------------------------------------------


def test_step_by_step_over_the_wire(service, client):
    log = []

    def viewer():
        _ask(client, "breakpoints", breakpoints=[{"id": 1, "op": "exp"}])
        ready.set()
        for how in ("next", "next", "continue"):
            messages = _collect(client, _stopped)
            stop = next(x.stop for x in messages if isinstance(x, StateChanged) and x.stop)
            # All events up to the stop have been sent before it.
            seen.extend(_events(messages))
            log.append((stop.reason, seen[-1].name, seen[-1].seq == stop.seq))
            _ask(client, "step", how=how)

    ready, seen = threading.Event(), []
    thread = threading.Thread(target=viewer)
    thread.start()
    ready.wait()
    torch.ones(2).exp().log().sin()
    thread.join()
    assert log == [("breakpoint 1", "exp", True), ("step", "log", True), ("step", "sin", True)]


def test_a_stop_is_pushed_within_a_few_milliseconds(service, client):
    arrived = threading.Event()

    def on_message():
        while client.inbox:
            message = client.inbox.popleft()
            if isinstance(message, StateChanged) and message.stop is not None:
                arrived.set()

    times = []

    def viewer():
        for i in range(30):
            assert arrived.wait(60)
            arrived.clear()
            began = time.perf_counter()
            _ask(client, "step", how="next" if i < 29 else "continue")
            if i < 29:
                assert arrived.wait(60)
                times.append(time.perf_counter() - began)
                arrived.set()

    client.on_message = on_message
    service.gate.set_breakpoints([Breakpoint(1, op="exp")])
    thread = threading.Thread(target=viewer)
    thread.start()
    x = torch.ones(2).exp()
    for _ in range(29):
        x = x * 1
    thread.join()
    assert sorted(times)[len(times) // 4] < 0.1, times


def test_the_last_viewer_to_leave_lets_the_model_run_on(service):
    client = Client.connect(service.name)
    service.gate.set_breakpoints([Breakpoint(1, op="exp")])
    threading.Thread(target=lambda: (_collect(client, _stopped), client.close())).start()
    torch.ones(2).exp()
    torch.ones(2).exp()  # nobody there: no stop
    assert service.gate.stops == 1


# -- the live stream ------------------------------------------------------------------------------


def test_events_come_on_their_own_and_in_order(service, client):
    x = torch.ones(4)
    for _ in range(3000):
        x = x + 1
        if _ % 100 == 0:
            time.sleep(0.002)
    last = service.recorder.seq
    found = _events(_collect(client, lambda m: bool(e := _events(m)) and e[-1].seq == last))
    assert [e.seq for e in found] == list(range(1, last + 1))


def test_a_new_viewer_fetches_the_past(service):
    x = torch.ones(2)
    for _ in range(50):
        x = x + 1
    with Client.connect(service.name) as late:
        assert (late.welcome.first_seq, late.welcome.last_seq) == (1, 51)
        past = _ask(late, "events", first=1, last=51)
        assert [e.seq for e in past] == list(range(1, 52))
        assert isinstance(past[-1], Op)
        assert msgspec.convert(past, list[Event]) == past
        torch.ones(1)
        assert _events(_collect(late, _events))[0].seq == 52


def test_a_slow_viewer_is_told_of_a_gap_and_slows_nobody(service, monkeypatch):
    monkeypatch.setattr("framework.trace.server.LAG", 2000)
    monkeypatch.setattr("framework.trace.server.BACKLOG", 20_000)
    slow = _greeted(service)  # reads nothing more for now
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    x = torch.ones(2)
    for _ in range(60):
        for _ in range(200):
            x = x * 1.0
        time.sleep(0.005)
    last = service.recorder.seq
    got, dropped = set(), []
    slow.settimeout(60)
    while last not in got:
        message = read_message(slow)
        if isinstance(message, Events):
            got.update(e.seq for e in message.events)
        elif isinstance(message, Dropped):
            dropped.append((message.first, message.last))
    assert dropped
    missing = set(range(min(got), last + 1)) - got
    assert missing <= {s for a, b in dropped for s in range(a, b + 1)}
    write_message(slow, Request(1, "events", {"first": dropped[0][0], "last": dropped[0][1]}))
    while getattr((message := read_message(slow)), "id", None) != 1:
        pass
    fetched = msgspec.convert(message.result, list[Event])
    assert [e.seq for e in fetched] == list(range(dropped[0][0], dropped[0][1] + 1))
    slow.close()


def test_a_service_that_hangs_holds_nobody_up(service, client):
    """The model's thread waits for nothing that the service's thread does."""
    awake = threading.Event()
    over = threading.Event()
    service.call(lambda: (awake.wait(60), over.set()))
    x = torch.ones(2)
    for _ in range(3000):
        x = x * 1.0
    service.set_state("idle")
    service.set_state("running")
    assert not over.is_set()
    awake.set()
    last = service.recorder.seq
    _collect(client, lambda m: bool(e := _events(m)) and e[-1].seq == last)


def test_a_stream_that_fell_behind_goes_on_with_a_whole_step(service, monkeypatch):
    monkeypatch.setattr("framework.trace.server.LAG", 1000)
    monkeypatch.setattr("framework.trace.server.BATCH", 100)
    recorder = service.recorder
    x = torch.ones(1)
    for _ in range(900):
        x = x + 1
    begin = recorder.begin_cell("c", 1)
    for _ in range(150):
        x = x + 1
    assert service._whole_steps(recorder.seq) == begin


def test_the_ring_running_over_is_a_gap_too(monkeypatch):
    with recording(capacity=64) as tape:
        service = Service(tape, Gate(tape), "small")
        with Client.connect(service.name) as client:
            x = torch.ones(1)
            for _ in range(2000):
                x = x + 1
            last = tape.seq
            messages = _collect(client, lambda m: bool(e := _events(m)) and e[-1].seq == last)
            got = {e.seq for e in _events(messages)}
            gaps = {
                s for m in messages if isinstance(m, Dropped) for s in range(m.first, m.last + 1)
            }
            assert got | gaps == set(range(1, last + 1)) and gaps
        service.close()


def test_a_strange_argument_does_not_end_the_stream(service, client, monkeypatch):
    """A reader that fails on one event shows it as a mark."""
    torch.ones(1)
    service.recorder._put((), 99, "no such kind")
    torch.ones(1)
    found = _events(_collect(client, lambda m: len(_events(m)) >= 3))
    assert [e.seq for e in found] == [1, 2, 3]
    assert isinstance(found[1], Mark) and "unreadable" in found[1].name


def test_an_idle_service_costs_nothing(service, client):
    torch.ones(1)
    time.sleep(1.0)  # the pauses have grown by now
    spent = []
    for _ in range(5):  # what else this process has to do may fall into one of them
        began = time.process_time()
        time.sleep(1.5)
        spent.append(time.process_time() - began)
        if spent[-1] < 0.03:
            break
    assert min(spent) < 0.03, spent


def test_a_forked_child_leaves_the_session_alone(service):
    pid = os.fork()
    if pid == 0:
        service.close()
        os._exit(0)
    os.waitpid(pid, 0)
    assert _works(service)


# -- a program of its own -------------------------------------------------------------------------

PROGRAM = """
import sys, time
import framework as torch
from framework import trace
service = trace.listen("program", wait=True)
w = torch.ones(4, requires_grad=True)
n = 0
while n < 3_000_000:
    if n == 1:
        print("ready", flush=True)
    loss = (w * 2).exp().sum()
    loss.backward()
    n += 1
"""


def _start_program(code, env=None):
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 60
    while not (found := [s for s in sessions.sessions() if s.pid == process.pid]):
        assert time.monotonic() < end and process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    return process, found[0]


def test_listen_in_a_program_attach_pause_step_detach():
    process, session = _start_program(PROGRAM)
    try:
        with Client.connect(session) as client:
            assert process.stdout.readline() == "ready\n"
            _ask(client, "pause")
            messages = _collect(client, _stopped)
            stop = next(x.stop for x in messages if isinstance(x, StateChanged) and x.stop)
            assert stop.reason == "pause" and stop.source.file == "<string>"
            assert {v.name for v in _ask(client, "variables")} >= {"w", "n"}
            _ask(client, "breakpoints", breakpoints=[{"id": 1, "op": "sum", "phase": "backward"}])
            _ask(client, "step", how="continue")
            _collect(client, _stopped)
        with Client.connect(session) as client:  # it ran on, and is still there
            first = _ask(client, "status")
            assert first["state"] in ("running", "paused")
            _ask(client, "breakpoints", breakpoints=[])
    finally:
        process.kill()
        process.communicate()
    assert session.pid not in [s.pid for s in sessions.sessions()]


def test_the_peer_of_a_killed_program_learns_it():
    process, session = _start_program(PROGRAM)
    client = Client.connect(session)
    woken = threading.Event()
    client.on_message = woken.set
    process.kill()
    process.communicate()
    end = time.monotonic() + 60
    while not client.closed and time.monotonic() < end:
        time.sleep(0.005)
    assert client.closed and woken.wait(60)  # the wake call follows the flag
    with pytest.raises(RequestError, match="closed"):
        client.request("status").result(60)


def test_pending_requests_fail_when_the_connection_ends(service):
    client = Client.connect(service.name)
    service.register("never", lambda p: __import__("concurrent.futures").futures.Future())
    future = client.request("never")
    time.sleep(0.05)
    client.close()
    with pytest.raises(RequestError, match="closed"):
        future.result(60)


def test_names_and_beginnings_find_a_session(service):
    assert Client.connect("te").session.name == service.name
    assert Client.connect("").session.name == service.name
    with pytest.raises(SessionError, match="no session is called 'other'"):
        Client.connect("other")
    with pytest.raises(SessionError):
        Client.connect("/nowhere/x.sock")


def test_values_go_over_as_plain_data(service, client):
    x = torch.tensor([[float("nan"), float("inf")], [1.0, -2.0]]) * 1
    view = _ask(client, "view", tensor=x._id, rows=2, cols=2, grid=[2, 2])
    assert (view.summary.nan, view.summary.inf) == (1, 1)
    assert view.grid.marks == [1, 2, 0, 0]
    assert np.isnan(view.grid.values[0])


def test_a_prompt_post_mortem_is_a_stop_for_whoever_is_there_or_comes(service, client):
    """Else one window shows that the program runs, and one that comes later that it stands."""
    said = []

    def look(stop):
        said.append(_collect(client, _stopped)[-1].stop)
        with Client.connect(service.name, role="observe") as late:
            said.append(late.welcome.stop)
            said.append(_ask(late, "status")["state"])
        try:
            _ask(client, "step", how="next")
        except RequestError as error:
            said.append(str(error))

    service.gate.set_state("running")
    torch.ones(2)
    service.gate.post_mortem(ValueError("an odd one"), service.recorder.seq, look)
    first, late, state, refused = said
    assert first == late and first.message == "ValueError: an odd one"
    assert state == "paused" and "the program's own prompt" in refused
    (last,) = [m for m in _collect(client, bool) if isinstance(m, StateChanged)][-1:]
    assert last.state == "running" and last.stop is None
