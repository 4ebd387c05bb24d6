"""The tape of a session: what the stream leaves out comes later, or it is said to be lost."""

from __future__ import annotations

import random
from collections import deque
from concurrent.futures import Future
from typing import Any

import pytest

import framework as torch
from app import intake
from app.session import Session
from framework import nn
from framework.trace import recording
from framework.trace.events import Event, Source
from framework.trace.inbox import Inbox, unpack
from framework.trace.protocol import Dropped, Events, StateChanged, Stop, Welcome, encode


def steps_of_training(count: int) -> list[Event]:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with recording() as tape:
        for _ in range(count):
            optimizer.zero_grad()
            model(torch.ones(2, 3)).sum().backward()
            optimizer.step()
    return list(tape.read())


def one_long_step(count: int) -> list[Event]:
    with recording() as tape:
        x = torch.ones(2)
        for _ in range(count):
            x = x * 1.5
    return list(tape.read())


class Program:
    """The far end: it has these events in its ring, and answers when it is told to."""

    def __init__(self, events: list[Event], lost: set[int] = frozenset(), packed: bool = True):
        self.events = [e for e in events if e.seq not in lost]
        self.welcome = Welcome(2, "program", 0, 1, 0, "running")
        self.inbox: Any = Inbox(pytest.fail) if packed else deque()
        self.waiting: list[tuple[Future[Any], int, int]] = []
        self.closed, self.on_message = False, None

    def send(self, message: Any) -> None:
        if isinstance(self.inbox, Inbox):
            self.inbox.take(unpack(encode(message)))
        else:
            self.inbox.append(message)

    def request(self, method: str, **params: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if method == "events":
            self.waiting.append((future, params["first"], params["last"]))
        else:
            future.set_result({})
        return future

    def answer(self, most: int) -> None:
        """Answer what was asked first, with at most so many events."""
        future, first, last = self.waiting.pop(0)
        future.set_result([e for e in self.events if first <= e.seq <= last][:most])

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("long", [False, True])
def test_what_the_stream_leaves_out_comes_late_and_stands_in_its_place(
    seed: int, long: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(intake, "_LONG", 40)
    chance = random.Random(seed)
    events = one_long_step(400) if long else steps_of_training(12)
    lost = set(range(100, 110)) if seed % 2 else set()  # the ring has them no more
    program = Program(events, lost, packed=seed % 4 < 2)
    session = Session()
    session.connect(program, attached=True)
    at = 0
    while at < len(events):
        piece = events[at : at + chance.randrange(1, 40)]
        at += len(piece)
        if chance.random() < 0.4 or any(e.seq in lost for e in piece):
            program.send(Dropped(piece[0].seq, piece[-1].seq))
        else:
            program.send(Events(piece))
        if chance.random() < 0.7:
            session.tick()
        if program.waiting and chance.random() < 0.5:
            program.answer(chance.randrange(1, 30))
        seqs = [e.seq for e in session.store.tape]
        assert seqs == sorted(set(seqs))
    program.send(StateChanged("finished"))
    while session.pending or program.waiting or session._coming:
        if program.waiting:
            program.answer(chance.randrange(1, 30))
        session.tick()
    assert list(session.store.tape) == program.events
    assert session.dropped == len(lost)
    assert session.cursor == session.store.last_seq


@pytest.mark.parametrize("last", ["paused", "running", "finished"])
def test_whether_it_runs_is_known_before_all_that_it_did_was_read(last: str):
    """A window that has come late reads the past for seconds; its state is that of now."""
    events = steps_of_training(150)
    program, session = Program(events), Session()
    program.welcome.last_seq = past = len(events) // 2
    session.connect(program, attached=True)
    first, second = (Stop(seq, "pause", Source("a.py", 1, "f")) for seq in (past + 9, len(events)))
    program.send(Events(events[past : past + 9]))
    program.send(StateChanged("paused", first))
    program.send(StateChanged("running"))
    program.send(Events(events[past + 9 :]))
    program.send(StateChanged("paused", second))
    if last != "paused":
        program.send(StateChanged(last))
    program.answer(past)
    session.settle()
    session.tick(1e-6)
    assert session.pending, "there is more to read"
    assert session.state == last and (session.stop == second) == (last == "paused")
    if last == "paused":
        assert session.cursor == second.seq and session.loading
    states = set()
    while session.pending:
        session.tick(1e-6)
        states.add(session.state)
    assert states == {last}, "what was so before is no news"
    assert list(session.store.tape) == events and session.cursor == len(events)
    assert session.stops == [first.seq, second.seq]


def test_a_long_step_is_taken_in_once(monkeypatch: pytest.MonkeyPatch):
    """What comes late into a long step does not make all of it be read anew."""
    monkeypatch.setattr(intake, "_LONG", 40)
    events = one_long_step(400)
    program, session = Program(events), Session()
    session.connect(program, attached=True)
    program.send(Events(events[:100]))
    program.send(Dropped(events[100].seq, events[199].seq))
    session.tick()
    graph = session.store.graph(0)
    program.send(Events(events[200:]))
    session.tick()
    assert session.store.last_seq == events[99].seq, "what is after the gap waits"
    while session.pending or program.waiting:
        if program.waiting:
            program.answer(30)
        session.tick()
    assert session.store.graph(0) is graph and list(session.store.tape) == events
    assert session.dropped == 0


def test_a_broken_message_ends_the_connection():
    events = one_long_step(5)
    program, session = Program(events), Session()
    broken: list[str] = []
    program.inbox = Inbox(broken.append)
    session.connect(program, attached=True)
    whole = encode(Events(events))
    program.inbox.take(unpack(whole.replace(b"float32", b"\xff\xfe\xfd\xff\xff\xff\xff")))
    session.tick()
    assert "not a message of this protocol" in broken[0] and len(session.store) == 0


@pytest.mark.parametrize("answered", [False, True])
def test_what_came_before_the_end_is_taken_in_a_piece_at_a_time(
    answered: bool, monkeypatch: pytest.MonkeyPatch
):
    """Also what waited for events that were asked for: they came in time, or never will."""
    monkeypatch.setattr(intake, "_LONG", 40)
    monkeypatch.setattr(intake, "_COMING", 3)
    events = one_long_step(600)
    program, session = Program(events), Session()
    session.connect(program, attached=True)
    program.send(Events(events[:100]))
    program.send(Dropped(events[100].seq, events[199].seq))
    session.tick()
    for i in range(200, len(events), 20):
        program.send(Events(events[i : i + 20]))
    while not program.waiting:  # a tick has its time, and a busy machine none to spare
        session.tick()
    if answered:
        program.answer(1000)
    program.closed = True
    for future, _, _ in program.waiting:
        future.set_exception(ConnectionError("the connection is closed"))
    most, before, ticks = 0, len(session.store), 0
    while session.state == "running":
        session.tick(budget=1e-9)
        most, before, ticks = max(most, len(session.store) - before), len(session.store), ticks + 1
        assert ticks < 1000
    assert most <= 120 and session.state == "finished"
    assert list(session.store.tape) == (events if answered else events[:100] + events[200:])
    assert session.dropped == (0 if answered else 100)
    assert session.cursor == session.store.last_seq and "has ended" in session.message


def test_what_can_be_taken_in_comes_before_more_is_taken_out(monkeypatch: pytest.MonkeyPatch):
    """Of a large recording all would wait decoded, where only so much of it is read ahead."""
    monkeypatch.setattr(intake, "_PIECE", 10)
    events = one_long_step(600)
    program, session = Program(events), Session()
    session.connect(program, attached=True)
    for i in range(0, len(events), 50):
        program.send(Events(events[i : i + 50]))
    most = 0
    while session.pending:
        session.tick(budget=1e-9)
        most = max(most, len(session._coming))
    assert most == 1 and list(session.store.tape) == events
