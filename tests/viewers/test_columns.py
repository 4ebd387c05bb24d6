"""What holds very many things in little memory behaves as the plain lists that it stands for."""

from __future__ import annotations

import random
import threading

import msgspec
import pytest
from events_for_tests import mlp_events

from framework.trace import events as ev
from viewers.graph.columns import Few, Ids
from viewers.graph.packed import BLOCK, DECODED, Packed
from viewers.graph.rows import Outline
from viewers.graph.store import TraceStore
from viewers.memory import Ledger


def mark(seq: int) -> ev.Mark:
    return ev.Mark(seq, seq * 10, f"mark {seq}")


@pytest.mark.parametrize("seed", range(6))
def test_packed_events_are_a_list(seed: int):
    chance = random.Random(seed)
    packed, plain, seq = Packed(), [], 0
    for _ in range(120):
        what = chance.choice(["add", "add", "add", "before", "after"])
        if what == "add":
            for _ in range(chance.randrange(3 * BLOCK)):
                seq += 1
                packed.append(mark(seq))
                plain.append(mark(seq))
        elif plain:
            i = chance.randrange(len(plain)) if chance.random() < 0.9 else len(plain)
            if what == "before":
                packed.drop_before(i)
                del plain[:i]
            else:
                packed.drop_after(i)
                del plain[i:]
        assert len(packed) == len(plain)
        for _ in range(5):
            a, b = sorted(chance.randrange(len(plain) + 1) for _ in range(2))
            assert packed[a:b] == plain[a:b] == list(packed.between(a, b))
        if plain:
            i = chance.randrange(len(plain))
            assert packed[i] == plain[i] and packed[-1 - i] == plain[-1 - i]
    assert packed == plain and list(reversed(packed)) == plain[::-1]
    with pytest.raises(IndexError):
        packed[len(plain)]


def test_packed_events_come_back_as_they_were():
    events = mlp_events(3)
    packed = Packed()
    for event in events:
        packed.append(event)
    assert list(packed) == events
    assert [type(e) for e in packed] == [type(e) for e in events]


def test_few_events_stay_decoded_and_a_snapshot_stays_as_it_is():
    packed = Packed()
    for seq in range(1, BLOCK * (DECODED + 10)):
        packed.append(mark(seq))
    assert sum(e.t for e in packed) == sum(range(1, BLOCK * (DECODED + 10))) * 10
    assert len(packed._decoded) == DECODED
    before = packed.snapshot()
    packed.drop_before(BLOCK + 3)
    packed.drop_after(BLOCK)
    assert [e.seq for e in before[:3]] == [1, 2, 3] and len(before) == BLOCK * (DECODED + 10) - 1


def test_several_threads_read_at_once():
    packed = Packed()
    for seq in range(1, BLOCK * (DECODED * 2)):
        packed.append(mark(seq))
    wrong: list[object] = []

    def read(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(3000):
            i = chance.randrange(len(packed))
            if packed[i].seq != i + 1:
                wrong.append(i)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_text_that_cannot_be_packed_is_kept():
    packed = Packed()
    for seq in range(1, BLOCK + 2):
        packed.append(ev.Mark(seq, seq, "\udc80"))
    assert packed[3].name == "\udc80" and len(packed) == BLOCK + 1


@pytest.mark.parametrize("seed", range(4))
def test_few_are_lists_of_different_numbers(seed: int):
    chance = random.Random(seed)
    few, plain = Few(), []
    for _ in range(2000):
        what = chance.choice(["new", "add", "add", "add", "remove", "pop"])
        if what == "new" or not plain:
            few.extend()
            plain.append([])
            continue
        at, value = chance.randrange(len(plain)), chance.randrange(4)
        if what == "add":
            assert few.add(at, value) == (value not in plain[at])
            plain[at] += [value] if value not in plain[at] else []
        elif what == "remove" and plain[at]:
            value = chance.choice(plain[at])
            few.remove(at, value)
            plain[at].remove(value)
        elif what == "pop" and chance.random() < 0.3:
            few.pop()
            plain.pop()
        else:
            assert few.of(at) == plain[at]
            assert few.has(at, value) == (value in plain[at])
    assert [few.of(i) for i in range(len(few))] == plain


def test_numbers_by_tensor_are_a_dict():
    chance = random.Random(1)
    ids, plain = Ids("q"), {}
    for _ in range(3000):
        key = chance.choice([chance.randrange(500), -chance.randrange(9), 10**18 + 7])
        if chance.random() < 0.3:
            ids.drop(key)
            plain.pop(key, None)
        else:
            ids.set(key, key + 1000)
            plain[key] = key + 1000
    assert {key: ids.get(key) for key in ids} == plain and len(ids) == len(plain)


def test_numbers_that_no_column_holds_do_no_harm():
    big, events = 2**64 - 1, mlp_events(2)
    strange = []
    for event in events:
        if isinstance(event, ev.Op):
            outputs = tuple(msgspec.structs.replace(m, id=big - m.id) for m in event.outputs)
            inputs = tuple(big - i if i else 0 for i in event.inputs)
            event = msgspec.structs.replace(event, inputs=inputs, outputs=outputs)
        strange.append(event)
    store = TraceStore()
    store.feed([*strange, msgspec.structs.replace(events[-1], seq=big)])
    assert store.last_seq == events[-1].seq
    for step in store.steps:
        for phase in ("forward", "backward", "both"):
            Outline(store.graph(step), phase, depth=9).find("linear")
        ledger = Ledger(store, step)
        while ledger.follow():
            pass
        ledger.held(step.last_seq)
