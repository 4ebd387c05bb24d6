"""Datasets, samplers and the loader: what they give, in which order, again from the same seed."""

from __future__ import annotations

from collections import defaultdict, namedtuple

import numpy as np
import pytest

import framework as torch
from framework.trace.sink import recording
from framework.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    random_split,
)


class Squares(Dataset):
    """A dataset of plain numbers."""

    def __len__(self):
        return 10

    def __getitem__(self, i):
        return {"n": i, "square": float(i * i), "name": str(i)}


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(5))


def tensors(n=10):
    return TensorDataset(torch.arange(n * 2).reshape(n, 2), torch.arange(n))


# -- datasets --------------------------------------------------------------------------------


def test_tensor_dataset():
    data = tensors()
    x, y = data[3]
    assert (len(data), x.tolist(), y.item()) == (10, [6, 7], 3)
    with pytest.raises(AssertionError, match="Size mismatch between tensors"):
        TensorDataset(torch.ones(2), torch.ones(3))


def test_concat_and_subset():
    both = Squares() + Squares()
    assert len(both) == 20 and both[13]["n"] == 3 and both[-1]["n"] == 9
    with pytest.raises(IndexError):
        both[20]
    with pytest.raises(ValueError):
        both[-21]
    with pytest.raises(AssertionError, match="empty"):
        ConcatDataset([])
    part = Subset(Squares(), [7, 1])
    assert len(part) == 2 and part[0]["n"] == 7


def test_random_split():
    parts = random_split(range(10), [6, 4], torch.Generator().manual_seed(1))
    again = random_split(range(10), [6, 4], torch.Generator().manual_seed(1))
    assert [list(p) for p in parts] == [list(p) for p in again]
    assert sorted([*parts[0], *parts[1]]) == list(range(10)) and list(parts[0]) != list(range(6))
    assert [len(p) for p in random_split(range(11), [0.5, 0.25, 0.25])] == [6, 3, 2]
    with pytest.raises(ValueError, match="Sum of input lengths"):
        random_split(range(10), [6, 5])
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        random_split(range(1), [0.5, 0.5])


# -- samplers --------------------------------------------------------------------------------


def test_orders():
    assert list(SequentialSampler(range(3))) == [0, 1, 2]
    order = list(RandomSampler(range(100)))
    assert order != list(range(100)) and sorted(order) == list(range(100))
    assert len(list(RandomSampler(range(4), num_samples=10))) == 10
    drawn = list(RandomSampler(range(4), replacement=True, num_samples=50))
    assert len(drawn) == 50 and set(drawn) == {0, 1, 2, 3}
    assert sorted(SubsetRandomSampler([5, 7, 9])) == [5, 7, 9]


def test_weighted_sampling_follows_the_weights():
    generator = torch.Generator().manual_seed(0)
    sampler = WeightedRandomSampler([1, 0, 3], 8000, generator=generator)
    counts = np.bincount(list(sampler), minlength=3)
    assert counts[1] == 0 and abs(counts[2] / 8000 - 0.75) < 0.03
    firsts = [
        next(iter(WeightedRandomSampler([1, 0, 3], 2, False, generator=generator)))
        for _ in range(2000)
    ]
    assert abs(np.mean(np.array(firsts) == 2) - 0.75) < 0.05
    once = list(WeightedRandomSampler(torch.tensor([1.0, 2, 0, 3]), 3, replacement=False))
    assert sorted(once) == [0, 1, 3]
    with pytest.raises(RuntimeError, match="without replacement"):
        WeightedRandomSampler([1, 0], 2, replacement=False)
    with pytest.raises(RuntimeError, match="element < 0"):
        WeightedRandomSampler([-1, 2], 1)


def test_batches_of_indices():
    assert list(BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]]
    assert len(BatchSampler(range(5), 2, True)) == 2 and len(BatchSampler(range(5), 2, False)) == 3
    with pytest.raises(ValueError, match="positive integer"):
        BatchSampler(range(5), 0, False)


# -- the loader ------------------------------------------------------------------------------


def labels(loader):
    return [y.tolist() for _, y in loader]


def test_in_order():
    loader = DataLoader(tensors(), batch_size=4)
    assert labels(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]] and len(loader) == 3
    loader = DataLoader(tensors(), batch_size=4, drop_last=True)
    assert labels(loader) == [[0, 1, 2, 3], [4, 5, 6, 7]] and len(loader) == 2
    x, _ = next(iter(loader))
    assert x.shape == (4, 2) and x.dtype is torch.int64 and x[2].tolist() == [4, 5]


def test_a_shuffle_follows_from_the_seed():
    loader = DataLoader(tensors(50), batch_size=8, shuffle=True)
    torch.manual_seed(5)
    first, second = labels(loader), labels(loader)
    torch.manual_seed(5)
    assert [labels(loader), labels(loader)] == [first, second] and first != second
    assert sorted(i for batch in first for i in batch) == list(range(50))
    own = [
        labels(DataLoader(tensors(50), 8, shuffle=True, generator=torch.Generator().manual_seed(3)))
        for _ in range(2)
    ]
    assert own[0] == own[1]


class Plain(Dataset):
    """The same samples as another dataset, one by one."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def __getitem__(self, i):
        return self.data[i]


@pytest.mark.parametrize(
    "data", [tensors(), Subset(Subset(tensors(20), range(3, 17)), [5, 0, 13, 2, 9])]
)
def test_the_fast_path_gives_what_the_slow_one_gives(data):
    fast, slow = DataLoader(data, 3), DataLoader(Plain(data), 3)
    for a, b in zip(fast, slow, strict=True):
        assert [t.tolist() for t in a] == [t.tolist() for t in b]
        assert [t.dtype for t in a] == [t.dtype for t in b]


def test_fetching_is_no_op_of_the_model():
    loader = DataLoader(tensors(), batch_size=4, shuffle=True)
    with recording() as tape:
        list(loader)
    assert tape.read() == []


def test_collating():
    batch = next(iter(DataLoader(Squares(), batch_size=3)))
    assert batch["n"].tolist() == [0, 1, 2] and batch["name"] == ["0", "1", "2"]
    assert batch["square"].dtype is torch.float64
    Point = namedtuple("Point", "x y")
    point = default_collate([Point(1, np.ones(2)), Point(2, np.zeros(2))])
    assert isinstance(point, Point) and point.y.tolist() == [[1, 1], [0, 0]]
    assert [t.tolist() for t in default_collate([[1, 2], [3, 4]])] == [[1, 3], [2, 4]]
    with_history = torch.ones(2, requires_grad=True) * 2
    assert default_collate([with_history, with_history]).requires_grad
    with pytest.raises(RuntimeError, match="each tensor to be equal size"):
        default_collate([torch.ones(2), torch.ones(3)])
    with pytest.raises(RuntimeError, match="equal size"):
        default_collate([(1, 2), (1,)])
    with pytest.raises(TypeError, match="found <class 'object'>"):
        default_collate([object()])
    with pytest.raises(TypeError, match="found <class 'NoneType'>"):
        default_collate([{"a": None}])
    with pytest.raises(RuntimeError, match="sparse tensors are not currently supported"):
        default_collate([torch.ones(2).to_sparse()])
    counts = default_collate([defaultdict(int, a=1), defaultdict(int, a=2)])
    assert counts.default_factory is int and counts["a"].tolist() == [1, 2]
    assert [t.tolist() for t in default_collate([range(2), range(2)])] == [[0, 0], [1, 1]]


def test_chained_and_stacked_datasets():
    assert list(Stream() + Stream()) == [*range(5), *range(5)]
    with pytest.raises(AssertionError, match="only supports IterableDataset"):
        list(ChainDataset([[1]]))
    pair = StackDataset(number=range(3), data=tensors(3))
    batch = next(iter(DataLoader(pair, 2)))
    assert batch["number"].tolist() == [0, 1] and batch["data"][1].tolist() == [0, 1]
    with pytest.raises(ValueError, match="Size mismatch between datasets"):
        StackDataset([1], [1, 2])

    class Odd(Subset):
        def __getitem__(self, index):
            return -1

    with pytest.raises(NotImplementedError, match="overrides __getitem__ but not __getitems__"):
        Odd([1], [0])


def test_processes_that_train_together_share_the_samples():
    def shares(**options):
        return [list(DistributedSampler(range(10), 3, rank, **options)) for rank in range(3)]

    assert shares(shuffle=False) == [[0, 3, 6, 9], [1, 4, 7, 0], [2, 5, 8, 1]]
    assert shares(shuffle=False, drop_last=True) == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    mixed = shares(seed=1)
    assert mixed == shares(seed=1) and {i for share in mixed for i in share} == set(range(10))
    sampler = DistributedSampler(range(10), 3, 0, seed=1)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first and len(sampler) == 4
    with pytest.raises(
        ValueError, match=r"Invalid rank 3, rank should be in the interval \[0, 2\]"
    ):
        DistributedSampler(range(3), 3, 3)


def test_other_ways_to_batch():
    data = tensors()
    assert [y.item() for _, y in DataLoader(data, batch_size=None)] == list(range(10))
    assert labels(DataLoader(data, batch_sampler=[[3, 1], [4]])) == [[3, 1], [4]]
    assert labels(DataLoader(data, 2, sampler=[5, 6, 7])) == [[5, 6], [7]]
    pairs = DataLoader(data, 2, collate_fn=lambda samples: [y.item() for _, y in samples])
    assert next(iter(pairs)) == [0, 1]


def test_a_sampler_needs_no_length():
    class Backwards(Sampler):
        def __iter__(self):
            return iter((2, 1, 0))

    data = tensors()
    assert labels(DataLoader(data, 2, sampler=Backwards())) == [[2, 1], [0]]
    assert labels(DataLoader(data, batch_sampler=BatchSampler(Backwards(), 2, True))) == [[2, 1]]
    with pytest.raises(TypeError, match="has no len"):
        len(DataLoader(data, sampler=Backwards()))


def test_streams():
    assert [x.tolist() for x in DataLoader(Stream(), 2)] == [[0, 1], [2, 3], [4]]
    assert [x.tolist() for x in DataLoader(Stream(), 2, drop_last=True)] == [[0, 1], [2, 3]]
    with pytest.raises(ValueError, match="unspecified shuffle"):
        DataLoader(Stream(), shuffle=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shuffle": True, "sampler": [1]}, "mutually exclusive with shuffle"),
        ({"batch_sampler": [[1]], "batch_size": 2}, "mutually exclusive with batch_size"),
        ({"batch_size": None, "drop_last": True}, "disables auto-batching"),
        ({"batch_size": 0}, "batch_size should be a positive integer value"),
        ({"num_workers": -1}, "non-negative"),
    ],
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(tensors(), **options)


def test_an_index_out_of_range():
    with pytest.raises(IndexError, match="out of range"):
        list(DataLoader(tensors(), sampler=[99]))
