"""Generators belong to a kind of device, as PyTorch's do; on the fake device."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import framework as torch
from framework.device import cuda_problem

ROOT = Path(__file__).parents[3]


def fake(code: str) -> None:
    env = {**os.environ, "TAPEBOOK_FAKE_CUDA": "2", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True,
                          text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr


WRONG = """
import framework as torch
from framework.utils.data import DataLoader, RandomSampler, SubsetRandomSampler, random_split
calls = {
    "rand": lambda g, d: torch.rand(2, generator=g, device=d),
    "randn": lambda g, d: torch.randn(2, generator=g, device=d),
    "randint": lambda g, d: torch.randint(3, (2,), generator=g, device=d),
    "randperm": lambda g, d: torch.randperm(4, generator=g, device=d),
    "out": lambda g, d: torch.rand(2, generator=g, out=torch.empty(2, device=d)),
    "rand_like": lambda g, d: torch.rand_like(torch.empty(2, device=d), generator=g),
    "normal": lambda g, d: torch.normal(torch.zeros(2, device=d), 1.0, generator=g),
    "normal, one tensor of no dimension": lambda g, d: torch.normal(
        torch.tensor(0.0), torch.ones(2, device=d), generator=g),
    "normal, of a shape": lambda g, d: torch.normal(0.0, 1.0, (2,), generator=g, device=d),
    "bernoulli": lambda g, d: torch.bernoulli(torch.ones(2, device=d), generator=g),
    "poisson": lambda g, d: torch.poisson(torch.ones(2, device=d), generator=g),
    "binomial": lambda g, d: torch.binomial(torch.ones(2, device=d), torch.ones(2, device=d),
                                            generator=g),
    "multinomial": lambda g, d: torch.multinomial(torch.ones(2, device=d), 1, generator=g),
    "_standard_gamma": lambda g, d: torch._standard_gamma(torch.ones(2, device=d), generator=g),
    "trunc_normal_": lambda g, d: torch.nn.init.trunc_normal_(torch.ones(2, device=d), generator=g),
    "orthogonal_": lambda g, d: torch.nn.init.orthogonal_(torch.ones(2, 2, device=d), generator=g),
    "sparse_": lambda g, d: torch.nn.init.sparse_(torch.ones(2, 2, device=d), 0.5, generator=g),
    "kaiming": lambda g, d: torch.nn.init.kaiming_normal_(torch.ones(2, 2, device=d), generator=g),
    **{name: lambda g, d, name=name, args=args: getattr(torch.ones(2, device=d), name)(
        *args, generator=g) for name, args in {
            "normal_": (), "uniform_": (), "random_": (), "bernoulli_": (0.5,), "cauchy_": (),
            "exponential_": (), "log_normal_": (), "geometric_": (0.5,)}.items()},
}
for name, call in calls.items():
    for device, other in (("cpu", "cuda"), ("cuda", "cpu"), ("cuda:1", "cpu")):
        kind = device[:4].strip(":")
        g = torch.Generator(device=kind).manual_seed(3)  # of either CUDA device, as in PyTorch
        assert call(g, device).device == torch.device(device if ":" in device or kind == "cpu"
                                                      else "cuda:0"), name
        offset = torch.default_generator.offset
        try:
            call(torch.Generator(device=other), device)
        except RuntimeError as error:
            words = f"Expected a '{kind}' device type for generator but found '{other}'"
            assert words in str(error), (name, error)
        else:
            raise AssertionError(f"{name} on {device} takes a generator of {other}")
        assert torch.default_generator.offset == offset
g = torch.Generator("cuda")
for make in (lambda: list(RandomSampler(range(3), generator=g)),
             lambda: random_split([1, 2], [1, 1], g),
             lambda: list(SubsetRandomSampler([0, 1], generator=g)),
             lambda: list(DataLoader([1, 2], generator=g))):
    try:
        make()
    except RuntimeError as error:
        assert str(error) == "Expected a 'cpu' device type for generator but found 'cuda'", error
    else:
        raise AssertionError("the order of a data set is drawn on the CPU")
for device in ("cpu", "cuda"):  # what has no numbers takes any
    torch.rand(2, device="meta", generator=torch.Generator(device))
    torch.ones(2, device="meta").normal_(generator=torch.Generator(device))
"""


def test_the_wrong_device_is_refused_everywhere() -> None:
    fake(WRONG)


STATES = """
import framework as torch
for device in ("cpu", "cuda:1"):
    g = torch.Generator(device=device).manual_seed(7)
    assert g.device == torch.device(device) and g.initial_seed() == 7
    torch.rand(5, generator=g, device=device)
    state = g.get_state()
    assert state.device.type == "cpu" and state.dtype == torch.uint8
    first = torch.rand(5, generator=g, device=device)
    g.set_state(state)
    assert torch.equal(torch.rand(5, generator=g, device=device), first)
    other = torch.Generator(device=device)
    assert other.set_state(state) is other and other.get_offset() == 1
    assert torch.equal(torch.rand(5, generator=other, device=device), first)
    copy = g.clone_state()
    assert copy.device == g.device
    assert torch.equal(torch.rand(2, generator=copy, device=device),
                       torch.rand(2, generator=g, device=device))
    try:
        g.set_state(state.cuda())
    except TypeError as error:
        assert str(error) == "RNG state must be a torch.ByteTensor"
    else:
        raise AssertionError("a state lies on the CPU")
# The default ones of the devices are the default one, by another name.
a, b = torch.cuda.default_generators
assert (a.device, b.device) == (torch.device("cuda:0"), torch.device("cuda:1"))
torch.manual_seed(3)
first = torch.rand(2, device="cuda")
a.manual_seed(3)
assert torch.initial_seed() == 3 and torch.equal(torch.rand(2, device="cuda", generator=b), first)
assert a.get_offset() == torch.default_generator.get_offset() == 1
assert torch.Generator("cuda").device == torch.device("cuda:0")
try:
    torch.Generator("cuda:5")
except RuntimeError as error:
    assert str(error) == "The device_index is invalid."
"""


def test_states_of_either_device() -> None:
    fake(STATES)


@pytest.mark.skipif(not cuda_problem(), reason="this machine has a CUDA device")
def test_without_cuda_there_is_no_generator_for_it() -> None:
    with pytest.raises(RuntimeError, match="Cannot get CUDA generator without ATen_cuda"):
        torch.Generator("cuda")
