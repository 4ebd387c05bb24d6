"""What a program asks of NumPy and of warnings does not reach our kernels: PyTorch is silent."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest

import framework as torch

F = torch.nn.functional


def _log_of_zero() -> None:
    x = torch.zeros(3, requires_grad=True)
    y = torch.log(x)
    assert y.tolist() == [-np.inf] * 3
    (y * 0).sum().backward()
    assert x.grad is not None and x.grad.isnan().all()


def _zero_over_zero() -> None:
    assert (torch.zeros(2) / torch.zeros(2)).isnan().all()
    assert (torch.zeros(2, 2).t() / torch.zeros(2, 2)[:, :1]).isnan().all()


def _casts() -> None:
    torch.tensor([np.nan, np.inf, 1e30]).to(torch.int32)
    assert torch.tensor([1e30]).half().isinf().all()
    assert torch.tensor([1e300], dtype=torch.float64).float().isinf().all()
    assert torch.tensor([1e30]).bfloat16().isfinite().all()


def _a_number() -> None:
    assert (torch.full((2,), 3e38) * 10.0).isinf().all()
    assert (1.0 / torch.zeros(2)).isinf().all()
    assert (torch.full((2,), 1e38) ** 2).isinf().all()


def _in_place() -> None:
    x = torch.zeros(2)
    x.log_()
    assert x.isinf().all()
    y = torch.full((2,), 3e38)
    y += y
    assert y.isinf().all()
    z = torch.full((2,), 3e38)
    z[:1] *= 10
    assert z.isinf().tolist() == [True, False]


def _sums_of_gradients() -> None:
    x = torch.full((2,), 1.0, requires_grad=True)
    for _ in range(2):  # within one pass, and over two
        ((x * 3e38).sum() + (x * 3e38).sum()).backward()
    assert x.grad is not None and x.grad.isinf().all()
    x = torch.ones(4, requires_grad=True)
    ((x[:2] * 3e38).sum() + (x[1:] * 3e38).sum() + x[0] * 3e38 + x[0] * 3e38).backward()
    assert x.grad is not None and x.grad.isinf().tolist() == [True, True, False, False]


def _a_step() -> None:
    for make in (torch.optim.SGD, torch.optim.Adam, torch.optim.RMSprop, torch.optim.Adagrad):
        p = torch.nn.Parameter(torch.zeros(2))
        p.grad = torch.tensor([3e38, np.inf])
        once = make([p], lr=1.0)
        once.step()
        once.step()


def _wide_results() -> None:
    x = torch.full((3, 3), 1e30)
    (x @ x).sum()
    torch.var(torch.full((3,), np.inf))
    torch.softmax(torch.full((3,), -np.inf), 0)
    torch.linalg.norm(x)
    torch.cumsum(torch.full((3,), 3e38), 0)
    torch.std_mean(torch.tensor([np.nan, 1.0]))
    F.cross_entropy(torch.full((1, 2), np.inf), torch.tensor([0]))
    torch.logsumexp(torch.tensor([np.inf, -np.inf]), 0)


def _print() -> None:
    assert "nan" in repr(torch.tensor([np.nan, np.inf, 1e-30, 1e30]))
    repr(torch.tensor([3e38, -3e38, 1e-45]))
    f"{torch.tensor(np.inf)}"
    torch.tensor([1e-45, 1.0]).tolist()


def _integers() -> None:
    low = torch.tensor([-(2**63)])
    assert (-low).tolist() == low.abs().tolist() == [-(2**63)]
    assert (low - 1).tolist() == [2**63 - 1]
    assert (torch.tensor([127], dtype=torch.int8) + 1).tolist() == [-128]


PROGRAMS = [
    _log_of_zero, _zero_over_zero, _casts, _a_number, _in_place, _sums_of_gradients, _a_step,
    _wide_results, _print, _integers,
]  # fmt: skip


@pytest.fixture(params=["error", "always", "np.seterr"])
def demand(request):
    """A program's demand to hear of NumPy's errors; what was heard comes back in a list."""
    heard: list = []
    if request.param == "np.seterr":
        with np.errstate(all="raise"):
            yield heard
    else:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter(request.param)
            yield heard


@pytest.mark.parametrize("program", PROGRAMS)
def test_our_kernels_are_silent(demand, program):
    program()
    assert not [str(w.message) for w in demand if "encountered" in str(w.message)]


def test_the_program_still_hears_of_its_own(demand):
    """NumPy is asked by a program that has asked us before."""
    torch.log(torch.zeros(2))
    try:
        np.log(np.zeros(2))
    except (FloatingPointError, RuntimeWarning):
        return
    assert any("divide by zero" in str(w.message) for w in demand)


def test_in_a_thread_that_raises():
    from threading import Thread

    seen = []

    def work() -> None:
        np.seterr(all="raise")  # of this thread only
        seen.append(torch.log(torch.zeros(1)).item())

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [-np.inf]


@pytest.mark.parametrize("order", ["before", "after", "option"])
def test_a_program_that_wants_errors(order):
    first = "import warnings; warnings.simplefilter('error')"
    lines = ["import framework as torch", "print(torch.log(torch.zeros(1)).item())"]
    if order == "before":
        lines.insert(0, first)
    if order == "after":
        lines.insert(1, first)
    options = ["-W", "error"] if order == "option" else []
    run = [sys.executable, *options, "-c", "\n".join(lines)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.stdout == "-inf\n", done.stderr


def test_filters_stay_as_a_program_orders_them():
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=UserWarning)
        assert [f[0] for f in warnings.filters] == ["ignore", "ignore", "error"]
        warnings.warn("of the program", UserWarning, stacklevel=1)
        with pytest.raises(RuntimeWarning):
            warnings.warn("of the program", RuntimeWarning, stacklevel=1)
