"""Worker processes of the loader: the same batches, seeds that repeat, and no end that hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import framework as torch
from framework.trace.sink import recording
from framework.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    TensorDataset,
    get_worker_info,
)

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


class Numbers(Dataset):
    """Numbers up to n; ``act`` is done with each."""

    def __init__(self, n, act=None):
        self.n, self.act = n, act

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return i if self.act is None else self.act(i)


class Shared(IterableDataset):
    """Numbers up to n, dealt out to the workers."""

    def __init__(self, n):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        return iter(range(self.n)[info.id :: info.num_workers] if info else range(self.n))


def lists(loader):
    return [batch.tolist() for batch in loader]


def pid(i):
    return os.getpid()


def draws(i):
    import random

    return torch.rand(1).item(), np.random.rand(), random.random()


def fail_at_three(i):
    if i == 3:
        raise ValueError("no three")
    return i


def key_error(i):
    raise KeyError("missing")


def odd_error(i):
    class Odd(Exception):
        def __init__(self, one, two):
            super().__init__(one)

    raise Odd(1, 2)


def kill_self(i):
    if i == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return i


def sleep(i):
    time.sleep(1000 if i == 2 else 0)
    return i


def not_to_be_sent(i):
    return lambda: i


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_give_what_one_process_gives(context):
    data = TensorDataset(torch.arange(20).reshape(10, 2), torch.arange(10))
    options = {"batch_size": 3, "shuffle": True}
    torch.manual_seed(1)
    here = [[t.tolist() for t in batch] for _ in range(2) for batch in DataLoader(data, **options)]
    torch.manual_seed(1)
    loader = DataLoader(
        data, **options, num_workers=1 + (context == "fork"), multiprocessing_context=context
    )
    assert [[t.tolist() for t in batch] for batch in loader] == here[:4]
    if context == "fork":
        assert [[t.tolist() for t in batch] for batch in loader] == here[4:]


def test_a_big_batch_and_big_indices_do_not_block():
    data = Numbers(400_000)
    loader = DataLoader(
        data, batch_size=100_000, num_workers=2, collate_fn=np.asarray, prefetch_factor=2
    )
    assert [len(batch) for batch in loader] == [100_000] * 4


def test_processes_end_with_the_pass_or_persist():
    loader = DataLoader(Numbers(8, pid), num_workers=2)
    first, second = set(map(tuple, lists(loader))), set(map(tuple, lists(loader)))
    assert len(first) == 2 and first.isdisjoint(second) and (os.getpid(),) not in first
    kept = DataLoader(Numbers(8, pid), num_workers=2, persistent_workers=True)
    first = lists(kept)
    abandoned = iter(kept)
    next(abandoned)  # what is left of this pass is not seen in the next
    assert lists(kept) == first
    workers = [p for (p,) in first[:2]]
    del kept, abandoned
    for p in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(p, 0)


def test_seeds_repeat_and_differ_between_workers():
    def drawn():
        generator = torch.Generator().manual_seed(7)
        loader = DataLoader(Numbers(4, draws), None, num_workers=2, generator=generator)
        return [tuple(x) for x in loader]

    first = drawn()
    assert first == drawn() and len(set(first)) == 4


def test_worker_info_and_init():
    def init(number):
        info = get_worker_info()
        assert info.id == number and info.num_workers == 2
        info.dataset.act = lambda i: (info.id, info.seed)

    generator = torch.Generator().manual_seed(3)
    found = list(
        DataLoader(Numbers(4), None, num_workers=2, worker_init_fn=init, generator=generator)
    )
    assert [number for number, _ in found] == [0, 1, 0, 1]
    assert found[1][1] == found[0][1] + 1
    assert get_worker_info() is None

    def refuse(number):
        raise OSError("no such disk")

    with pytest.raises(OSError, match=r"Caught OSError in DataLoader worker process [01]\.\n"):
        list(DataLoader(Numbers(4), num_workers=2, worker_init_fn=refuse))


@pytest.mark.parametrize("order", [True, False])
def test_streams_are_dealt_out(order):
    loader = DataLoader(Shared(11), 2, num_workers=3, in_order=order)
    found = lists(loader)
    assert sorted(i for batch in found for i in batch) == list(range(11))
    if order:
        assert found == [[0, 3], [1, 4], [2, 5], [6, 9], [7, 10], [8]] == lists(loader)
    kept = DataLoader(Shared(4), num_workers=2, persistent_workers=True)
    assert lists(kept) == lists(kept) == [[0], [1], [2], [3]]


def test_more_than_a_stream_said_is_warned_of():
    class Liar(IterableDataset):
        def __iter__(self):
            return iter(range(3))

        def __len__(self):
            return 3

    loader = DataLoader(Liar(), num_workers=2)
    assert len(loader) == 3
    with pytest.warns(UserWarning, match="reported to be 3 .* but [456] samples") as caught:
        assert len(list(loader)) == 6
    assert len(caught) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alone = DataLoader(Liar())
        assert len(alone) == 3 and len(list(alone)) == 3


# -- what goes wrong -------------------------------------------------------------------------


def test_an_exception_comes_with_its_traceback_and_the_pass_goes_on():
    batches = iter(DataLoader(Numbers(6, fail_at_three), num_workers=2))
    assert [next(batches).item() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError) as caught:
        next(batches)
    text = str(caught.value)
    assert text.startswith("Caught ValueError in DataLoader worker process 1.\nOriginal Traceback")
    assert "in fail_at_three" in text and text.rstrip().endswith("ValueError: no three")
    assert [batch.item() for batch in batches] == [4, 5]


@pytest.mark.parametrize(
    ("act", "kind", "words"),
    [
        (key_error, KeyError, "Caught KeyError in DataLoader worker process 0"),
        (odd_error, RuntimeError, "Caught Odd in DataLoader worker process 0"),
        (not_to_be_sent, Exception, "in DataLoader worker process 0"),
    ],
)
def test_exceptions_that_are_hard_to_send(act, kind, words):
    with pytest.raises(kind, match=words):
        next(iter(DataLoader(Numbers(2, act), None, num_workers=1)))


def test_a_killed_worker_is_one_line_and_no_hang():
    batches = iter(DataLoader(Numbers(40, kill_self), num_workers=2, persistent_workers=True))
    with pytest.raises(RuntimeError, match=r"worker \(pid \d+\) is killed by signal: Killed") as e:
        list(batches)
    assert "\n" not in str(e.value)
    loader = DataLoader(Numbers(4, lambda i: os._exit(3)), num_workers=1, persistent_workers=True)
    for _ in range(2):  # a loader whose workers are gone starts new ones
        with pytest.raises(RuntimeError, match="exited unexpectedly with exit code 3"):
            list(loader)


def test_a_forked_copy_takes_no_batches_away():
    """A what-if branch is one: it must not read from the pipes of the program that it is of."""
    batches = iter(DataLoader(Numbers(40), num_workers=1))
    first = next(batches)
    said, say = os.pipe()
    child = os.fork()
    if not child:
        try:
            list(batches)
        except RuntimeError as error:
            os.write(say, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert b"belong to the process of which this one is a copy" in os.read(said, 1000)
    assert [first.tolist(), *lists(batches)] == [[i] for i in range(40)]


def test_a_batch_that_takes_too_long():
    batches = iter(DataLoader(Numbers(4, sleep), num_workers=1, timeout=0.3))
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0\.3 seconds"):
        list(batches)
    batches.workers.workers[0].process.kill()
    with pytest.raises(AssertionError, match="needs num_workers > 0"):
        iter(DataLoader(Numbers(4), timeout=1))


def run(code):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


SLEEPER = """
    import os, time
    import framework as torch
    from framework.utils.data import DataLoader, Dataset
    class Slow(Dataset):
        def __len__(self):
            return 4
        def __getitem__(self, i):
            if i == 1:
                print(os.getpid(), flush=True)
                time.sleep(3600)
            return i
    for batch in DataLoader(Slow(), num_workers=2):
        pass
"""


def gone(pid, within=60.0):
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks into /proc")
def test_ctrl_c_ends_all_with_one_traceback():
    script = run(SLEEPER)
    worker = int(script.stdout.readline())
    os.killpg(script.pid, signal.SIGINT)
    _, errors = script.communicate(timeout=120)
    assert errors.count("Traceback") == 1 and errors.rstrip().endswith("KeyboardInterrupt")
    assert gone(worker)


def test_workers_are_not_traced():
    with recording() as tape:
        list(DataLoader(Numbers(4, lambda i: torch.ones(1) * i), num_workers=2))
    assert tape.read() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": -1}, "timeout option should be non-negative"),
        ({"prefetch_factor": 2}, "prefetch_factor option could only be specified in multiproc"),
        ({"prefetch_factor": -1, "num_workers": 1}, "prefetch_factor option should be"),
        ({"persistent_workers": True}, "persistent_workers option needs num_workers > 0"),
        ({"multiprocessing_context": "fork"}, "can only be used with multi-process loading"),
        ({"multiprocessing_context": "no", "num_workers": 1}, "a valid start method in"),
    ],
)
def test_options_of_workers(options, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(Numbers(4), **options)


def test_what_a_loader_is_made_of_stays():
    loader = DataLoader(Numbers(4), 2)
    with pytest.raises(ValueError, match="batch_size attribute should not be set after DataLoader"):
        loader.batch_size = 3
    with pytest.warns(UserWarning, match="more than|suggested max number of worker"):
        DataLoader(Numbers(4), num_workers=10_000)
