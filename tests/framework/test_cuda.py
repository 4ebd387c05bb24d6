"""`cuda` and its relatives: with the fake device, and PyTorch's words without a device."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

import framework as torch
from framework.device import cuda_problem

no_cuda = pytest.mark.skipif(not cuda_problem(), reason="this machine has a CUDA device")


def with_fake_cuda(code: str) -> list[str]:
    env = {**os.environ, "TAPEBOOK_FAKE_CUDA": "2"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_current_device() -> None:
    out = with_fake_cuda("""
        import framework as torch
        cuda = torch.cuda
        print(cuda.is_available(), cuda.device_count(), cuda.current_device())
        with cuda.device(1):
            a = torch.zeros(1, device="cuda"), torch.ones(1).cuda(), torch.ones(1).to("cuda")
            print(*[t.device for t in a], cuda.current_device(), torch.ones(1).device)
            with cuda.device_of(torch.ones(1)), cuda.device(None), cuda.device(-1):
                print(cuda.current_device())
            with cuda.device_of(torch.ones(1, device="cuda:0")):
                print(torch.ones(1, device="cuda").device)
        cuda.set_device("cuda:1")
        print(torch.nn.Linear(1, 1).cuda().weight.device, torch.ones(1, device="cuda:0").device)
        cuda.set_device(-1)
        print(cuda.current_device(), cuda.get_device_capability(), cuda.is_bf16_supported())
        for bad in ("cpu", 7):
            try:
                cuda.set_device(bad)
            except (ValueError, RuntimeError) as error:
                print(error)
        print(torch.accelerator.current_accelerator(), torch.accelerator.current_device_index())
    """)
    assert out == [
        "True 2 0",
        "cuda:1 cuda:1 cuda:1 1 cpu",
        "1",
        "cuda:0",
        "cuda:1 cuda:0",
        "1 (8, 0) True",
        "Expected a cuda device, but got: cpu",
        "device cuda:7: only 2 CUDA device(s) available",
        "cuda:0 1",
    ]


def test_streams_and_events() -> None:
    out = with_fake_cuda("""
        import framework as torch
        cuda = torch.cuda
        s, start, end = cuda.Stream(priority=-1), *(cuda.Event(enable_timing=True) for _ in "ab")
        print(cuda.current_stream() == cuda.default_stream(), s == cuda.current_stream())
        with cuda.stream(s):
            start.record()
            x = torch.ones(10, device="cuda") * 2
            end.record()
            print(cuda.current_stream() == s)
        cuda.current_stream().wait_stream(s)
        x.record_stream(s)
        end.synchronize()
        cuda.synchronize()
        print(cuda.current_stream() == s, s.query(), end.query(), start.elapsed_time(end) >= 0)
        with cuda.stream(cuda.Stream(1)):
            print(cuda.current_device())
        print(cuda.current_device(), s)
        try:
            start.elapsed_time(cuda.Event())
        except ValueError as error:
            print(error)
    """)
    assert out == [
        "True False",
        "True",
        "False True True True",
        "1",
        "0 <torch.cuda.Stream device=cuda:0 cuda_stream=0x1>",
        "Both events must be created with argument 'enable_timing=True'.",
    ]


def test_memory_and_random_numbers() -> None:
    out = with_fake_cuda("""
        import framework as torch
        cuda = torch.cuda
        cuda.empty_cache(), cuda.reset_peak_memory_stats(), cuda.ipc_collect()
        print(cuda.memory_allocated(), cuda.max_memory_reserved("cuda:1"))
        stats = cuda.memory_stats()
        print(stats["allocated_bytes.all.peak"], cuda.memory_stats_as_nested_dict()["num_ooms"])
        free, total = cuda.mem_get_info()
        print(0 < free <= total == cuda.get_device_properties(0).total_memory)
        print(cuda.memory_summary().splitlines()[0])
        cuda.manual_seed_all(3)
        states = cuda.get_rng_state_all()
        a = torch.rand(2, device="cuda")
        cuda.set_rng_state_all(states)
        print(torch.equal(a, torch.rand(2, device="cuda")), len(states), cuda.initial_seed())
        print(len(cuda.default_generators))
    """)
    assert out == ["0 0", "0 0", "True", "CUDA memory of device 0", "True 2 3", "2"]


@no_cuda
@pytest.mark.parametrize(
    "ask",
    """current_device() get_device_name() get_device_capability() get_device_properties(0)
    synchronize() init() current_stream() default_stream() mem_get_info() get_rng_state()
    initial_seed() set_device(0) can_device_access_peer(0,1) ipc_collect()""".split(),
)
def test_what_needs_a_device_says_so(ask: str) -> None:
    with pytest.raises(
        AssertionError, match="Torch not compiled with CUDA enabled: CuPy"
    ) as caught:
        eval(f"torch.cuda.{ask}")
    assert "\n" not in str(caught.value)


@no_cuda
def test_what_scripts_do_without_a_device() -> None:
    cuda = torch.cuda
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    cuda.manual_seed(7), cuda.manual_seed_all(7), cuda.seed(), cuda.set_rng_state_all([])
    cuda.empty_cache(), cuda.reset_peak_memory_stats()
    assert torch.equal(torch.rand(2), expected)  # as in PyTorch, this is not the CPU's generator
    assert cuda.device_count() == cuda.memory_allocated() == cuda.max_memory_allocated() == 0
    assert not (cuda.is_available() or cuda.is_initialized() or cuda.is_bf16_supported())
    assert cuda.get_rng_state_all() == [] and cuda.default_generators == ()
    assert dict(cuda.memory_stats()) == {} and "current" in cuda.memory_summary()
    with cuda.device(None), cuda.device_of(torch.ones(1)), cuda.stream(None):
        pass
    with cuda.nvtx.range("step {}", 1):
        cuda.nvtx.mark("here")
    with pytest.raises(RuntimeError, match=r"torch\.cuda\.Stream requires CUDA support"):
        cuda.Stream()
    with pytest.raises(RuntimeError, match="Tried to instantiate dummy base class Event"):
        cuda.Event()
    assert issubclass(torch.OutOfMemoryError, RuntimeError)
    assert torch.OutOfMemoryError is cuda.OutOfMemoryError
    assert torch.accelerator.current_accelerator() is None


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (
            lambda: torch.cuda.CUDAGraph(),
            NotImplementedError,
            r"CUDAGraph: there are no CUDA graph",
        ),
        (lambda: torch.cuda.graph(None), NotImplementedError, r"torch\.cuda\.graph: there are no"),
        (lambda: torch.cuda.utilization(), ModuleNotFoundError, "nvidia-ml-py does not seem to be"),
    ],
)
def test_refusals(make, kind, words) -> None:
    with pytest.raises(kind, match=words):
        make()


def test_the_host_and_what_is_not_here() -> None:
    assert torch.cpu.is_available() and torch.cpu.current_device() == "cpu"
    with torch.cpu.stream(torch.cpu.current_stream()):
        torch.cpu.synchronize()
    for kind in (torch.mps, torch.xpu, torch.mtia):
        assert not kind.is_available() and kind.device_count() == 0
    assert not torch.backends.mps.is_available()
    assert torch.get_device_module("cpu") is torch.cpu
    assert torch.get_device_module() is torch.cpu or torch.cuda.is_available()
    assert torch.get_device_module(torch.device("cuda")) is torch.cuda
    event = torch.Event(enable_timing=True)
    event.record(torch.Stream())
    assert event.query() and repr(torch.Stream()).startswith("torch.Stream device_type=cpu")
