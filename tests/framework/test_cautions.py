"""Warnings that PyTorch gives: the same words, once in a program where it says them once."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import framework as torch

nn, F = torch.nn, torch.nn.functional
X = torch.arange(6.0).reshape(2, 3)
ZEROS = torch.zeros(1, 3, dtype=torch.int64)


@pytest.fixture
def always() -> Iterator[None]:
    """What is said once is said each time."""
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(False)


CALLS: list[tuple[Callable[[], Any], type[Warning], str]] = [
    (lambda: torch.tensor([np.zeros(2), np.zeros(2)]), UserWarning, "list of numpy.ndarrays"),
    (lambda: X.new_tensor([np.zeros(2)]), UserWarning, "list of numpy.ndarrays"),
    (lambda: torch.ones(3).T, UserWarning, "dimension other than 2"),
    (lambda: torch.cholesky(torch.eye(2)), UserWarning, "torch.cholesky is deprecated"),
    (
        lambda: torch.stft(torch.ones(40), 8, window=torch.ones(8), return_complex=False),
        UserWarning,
        "stft with return_complex=False is deprecated",
    ),
    (lambda: torch.set_default_tensor_type("torch.FloatTensor"), UserWarning, "as of PyTorch 2.1"),
    (lambda: torch.searchsorted(torch.arange(6.0)[::2], X[0]), UserWarning, "boundary tensor is"),
    (lambda: torch.bucketize(X.T, torch.arange(3.0)), UserWarning, "input value tensor is"),
    (lambda: F.softmin(X), UserWarning, "choice for softmin"),
    (lambda: nn.Linear(1, 1).state_dict(None, "p."), FutureWarning, "Positional args"),
    (lambda: nn.Linear(1, 1).to(torch.complex64), UserWarning, "Complex modules"),
    (
        lambda: F.embedding_bag(torch.ones(3, 2), torch.tensor([0, 1]), torch.tensor([0])),
        UserWarning,
        "Argument order of nn.functional.embedding_bag",
    ),
    (lambda: torch.autograd.Variable(X, volatile=True), UserWarning, "volatile was removed"),
    (
        lambda: F.conv1d(torch.ones(1, 1, 4), torch.ones(1, 1, 2), padding="same"),
        UserWarning,
        "even kernel lengths",
    ),
    (lambda: nn.InstanceNorm1d(3)(torch.ones(1, 2, 4)), UserWarning, "does not match num_features"),
    (lambda: X.scatter(0, ZEROS, X, reduce="add"), UserWarning, "reduce argument of torch.scatter"),
    (lambda: X.index_reduce(0, ZEROS[0, :1], X[:1], "amax"), UserWarning, "is in beta"),
    (lambda: torch.backends.cuda.sdp_kernel(), FutureWarning, "sdp_kernel.*is deprecated"),
    (lambda: torch.get_autocast_cpu_dtype(), DeprecationWarning, "get_autocast_dtype.'cpu'"),
    (lambda: torch.cuda.memory_cached(), FutureWarning, "renamed"),
    (lambda: X.resize(6), UserWarning, "non-inplace resize"),
    (lambda: torch.complex(X, X).float(), UserWarning, "discards the imaginary part"),
    (
        lambda: torch.utils._pytree._register_pytree_node(
            type("Pair", (), {}), lambda a: ([], None), lambda a, b: None
        ),
        FutureWarning,
        "register_pytree_node",
    ),
]


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(("call", "category", "words"), CALLS)
def test_given(call: Callable[[], Any], category: type[Warning], words: str) -> None:
    for _ in range(2):
        with pytest.warns(category, match=words):
            call()


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(
    "call",
    [
        lambda: torch.tensor([np.float64(2), np.array(1.0)]),
        lambda: torch.tensor(np.zeros((2, 2))),
        lambda: torch.ones(2, 3).T,
        lambda: torch.stft(torch.ones(40), 8, window=torch.ones(8), return_complex=True),
        lambda: torch.searchsorted(torch.arange(6.0), X),
        lambda: F.conv1d(torch.ones(1, 1, 4), torch.ones(1, 1, 3), padding="same"),
        lambda: nn.InstanceNorm1d(2)(torch.ones(1, 2, 4)),
        lambda: X.scatter(0, ZEROS, 1.0, reduce="add"),
        lambda: nn.Linear(1, 1).to(torch.float64),
    ],
)
def test_not_given(call: Callable[[], Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call()


def test_once_in_a_program() -> None:
    program = (
        "import warnings; warnings.simplefilter('always'); import framework as torch\n"
        "for _ in range(3): torch.cholesky(torch.eye(2))\n"
        "torch.set_warn_always(True); torch.cholesky(torch.eye(2))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.count("UserWarning: torch.cholesky is deprecated") == 2, done.stderr


def test_streams_are_held_to_what_they_said_before() -> None:
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self) -> Iterator[int]:
            return iter([1, 2, 3])

        def __len__(self) -> int:
            return 2

    loader = torch.utils.data.DataLoader(Stream(), batch_size=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(loader)) == 3  # list asks for the length when the pass has begun
    with pytest.warns(UserWarning, match="was reported to be 2"):
        for _ in loader:
            pass
