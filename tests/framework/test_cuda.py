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
        "device cuda:7: only 2 CUDA devices available",
        "cuda 1",
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


def test_out_of_memory() -> None:
    """The op and its shapes are named, and everything goes on."""
    out = with_fake_cuda("""
        import os
        os.environ["TAPEBOOK_FAKE_CUDA_MEMORY"] = "100000"
        import framework as torch
        from framework import nn
        cuda = torch.cuda
        x = torch.ones(100, 100, device="cuda")
        print(cuda.memory_allocated(), cuda.get_device_properties(0).total_memory)

        def attempt(call):
            try:
                call()
            except cuda.OutOfMemoryError as error:
                print(error.__class__ is torch.OutOfMemoryError, error)

        attempt(lambda: torch.cat([x, x]))
        attempt(lambda: torch.zeros(200, 200, device="cuda"))
        attempt(lambda: torch.ones(30000).cuda())
        y = x + 1
        del y
        y = x + 1
        print(cuda.memory_allocated(), cuda.mem_get_info(), y[0, :2].tolist())
        del x, y
        print(cuda.memory_allocated(), cuda.memory_allocated(1))
        cuda.set_per_process_memory_fraction(0.001)
        attempt(lambda: torch.ones(50, device="cuda"))
        cuda.set_per_process_memory_fraction(1.0)
        print(torch.ones(50, device="cuda").sum().item())
    """)
    assert out[0] == "40000 100000"
    words = "True cat: CUDA out of memory on cuda:0. Out of memory allocating 80,000 bytes"
    assert out[1].startswith(words) and "Arrays hold 40,000 bytes. (shapes [100, 100]" in out[1]
    assert out[1].endswith(", at <string>, line 16")
    assert out[2].startswith("True copy of [200, 200]: CUDA out of memory")
    assert out[3].startswith("True copy of [30000]: CUDA out of memory")
    assert out[4:6] == ["80000 (20000, 100000) [2.0, 2.0]", "0 0"]
    assert "limit set to: 100 bytes" in out[6] and out[7:] == ["50.0"]


MIXED = """
    import framework as torch
    from framework import nn
    a, b = torch.ones(3, device="cuda"), torch.ones(3)
    for call in (
        lambda: a + b, lambda: b.add_(a), lambda: torch.where(a > 0, a, b),
        lambda: torch.ones(2, 3, device="cuda:1") @ a,
    ):
        try:
            call()
        except RuntimeError as error:
            words = "Expected all tensors to be on the same device, but found at least two devices"
            assert words in str(error) and "cuda:0" in str(error), error
        else:
            raise AssertionError("two devices were mixed")
    def on(name, place, others, function):
        return (f"Expected all tensors to be on the same device, but got {name} is on {place}, "
                f"different from other tensors on {others} (when checking argument in method "
                f"wrapper_CUDA_{function})")
    def types(one, name, other):
        return (f"Input type (torch.{one}Tensor) and {name} type (torch.{other}Tensor) should be "
                "the same")
    F, m, far = nn.functional, torch.ones(3, 3, device="cuda"), torch.ones(3, 3, device="cuda:1")
    h, i, image = torch.ones(3, 3), torch.tensor([1]), torch.ones(1, 3, 5, 5)
    batch, conv = torch.ones(2, 3, 3), nn.Conv2d(3, 2, 3)
    bias = torch.ones(2, device="cuda")
    for call, words in (
        (lambda: nn.Linear(3, 2)(a[None]), on("mat1", "cuda:0", "cpu", "addmm")),
        (lambda: nn.Linear(3, 2).cuda()(b[None]), on("mat1", "cpu", "cuda:0", "addmm")),
        (lambda: F.linear(m, nn.Parameter(h), a), on("mat2", "cpu", "cuda:0", "addmm")),
        (lambda: nn.Linear(3, 2, bias=False).cuda()(h), on("mat2", "cuda:0", "cpu", "mm")),
        (lambda: F.linear(batch.cuda(), h), on("mat2", "cpu", "cuda:0", "mm")),
        (lambda: m @ h, on("mat2", "cpu", "cuda:0", "mm")),
        (lambda: m @ far, on("mat2", "cuda:1", "cuda:0", "mm")),
        (lambda: batch @ m, on("mat2", "cuda:0", "cpu", "mm")),
        (lambda: torch.bmm(batch, batch.cuda()), on("mat2", "cuda:0", "cpu", "bmm")),
        (lambda: a @ b, on("tensor", "cpu", "cuda:0", "_dot")),
        (lambda: torch.addmm(h, m, m), on("mat1", "cuda:0", "cpu", "addmm")),
        (lambda: torch.addmm(torch.tensor(1.0), m, m), on("mat1", "cuda:0", "cpu", "addmm")),
        (lambda: m.addmm_(m, h), on("mat2", "cpu", "cuda:0", "addmm")),
        (lambda: torch.baddbmm(batch, batch.cuda(), batch),
         on("batch1", "cuda:0", "cpu", "baddbmm")),
        (lambda: nn.Embedding(4, 2).cuda()(i), on("index", "cpu", "cuda:0", "_index_select")),
        (lambda: h.index_select(0, i.cuda()), on("index", "cuda:0", "cpu", "_index_select")),
        (lambda: a.gather(0, i), on("index", "cpu", "cuda:0", "gather")),
        (lambda: a.scatter_add(0, i.cuda(), b), on("src", "cpu", "cuda:0", "scatter_add")),
        (lambda: torch.cat([a, b]), on("tensors", "cpu", "cuda:0", "cat")),
        (lambda: F.layer_norm(m, (3,), b, b), on("weight", "cpu", "cuda:0", "_native_layer_norm")),
        (lambda: F.cross_entropy(m[:1], i), on("target", "cpu", "cuda:0", "nll_loss_forward")),
        (lambda: F.nll_loss(m[:1], i.cuda(), b), on("weight", "cpu", "cuda:0", "nll_loss_forward")),
        (lambda: F.cross_entropy(image.cuda(), torch.zeros(1, 5, 5, dtype=torch.long)),
         on("target", "cpu", "cuda:0", "_nll_loss2d_forward")),
        (lambda: conv(image.cuda()), types("cuda.Float", "weight", "Float")),
        (lambda: nn.Conv2d(3, 2, 3).cuda()(image), types("Float", "weight", "cuda.Float") +
         " or input should be a MKLDNN tensor and weight is a dense tensor"),
        (lambda: nn.Conv2d(3, 2, 3).double().cuda()(image.double()),
         types("Double", "weight", "cuda.Double")),
        (lambda: F.conv2d(image, conv.weight, bias), types("Float", "bias", "cuda.Float")),
        (lambda: F.conv_transpose2d(image.cuda(), torch.ones(3, 2, 3, 3)),
         types("cuda.Float", "weight", "Float")),
        (lambda: nn.LSTM(3, 4).cuda()(torch.ones(2, 1, 3)),
         "Input and parameter tensors are not at the same device, found input tensor at cpu and "
         "parameter tensor at cuda:0"),
        (lambda: nn.GRU(3, 4)(torch.ones(2, 1, 3), torch.zeros(1, 1, 4, device="cuda")),
         "Input and hidden tensors are not at the same device, found input tensor at cpu and "
         "hidden tensor at cuda:0"),
    ):
        try:
            call()
        except RuntimeError as error:
            assert words in str(error), (error, words)
        else:
            raise AssertionError(words)
    assert (m * torch.tensor(2.0)).sum() == 18
    two = "found at least two devices, cuda:0 and cpu! (when"  # whichever comes first
    far = torch.ones(3, device="cuda", requires_grad=True)
    for call, words in (
        (lambda: b + a, two), (lambda: a + b, two),
        (lambda: (far * 2).backward(b), "invalid gradient at index 0 - expected device cuda:0 but "
         "got cpu"),
        (lambda: b[torch.tensor([0], device="cuda")], "indices should be either on cpu or on the"),
        (lambda: torch.add(a, a, out=b), "Expected out tensor to have device cuda:0, but got cpu"),
    ):
        try:
            call()
        except RuntimeError as error:
            assert words in str(error), error
    print((a * torch.tensor(2.0)).device, a[torch.tensor([0])].device)  # these may meet
"""


def test_mixed_devices_are_refused_in_pytorchs_words() -> None:
    assert with_fake_cuda(MIXED) == ["cuda:0 cuda:0"]


PINNED = """
    import framework as torch
    from framework.trace import recording
    from framework.utils.data import DataLoader, TensorDataset
    x = torch.arange(6.0).reshape(2, 3)
    pinned = x.pin_memory()
    print(x.is_pinned(), pinned.is_pinned(), pinned[:, 1:].is_pinned(), torch.equal(x, pinned))
    with recording() as tape:
        y = pinned.to("cuda", non_blocking=True)
        z = torch.empty(2, 3, device="cuda").copy_(pinned, non_blocking=True)
        u = pinned.cuda()
    moves = [e for e in tape.read() if getattr(e, "name", "") == "to_device"]
    print([e.meta.get("non_blocking", "") for e in moves], torch.equal(y.cpu(), x), z.device)
    data = TensorDataset(torch.ones(4, 2), torch.arange(4))
    for batch in DataLoader(data, batch_size=2, pin_memory=True):
        print([t.is_pinned() for t in batch], [t.dtype for t in batch])
    try:
        y.pin_memory()
    except RuntimeError as error:
        print(error)
"""


def test_pinned_memory_and_transfers_that_are_not_waited_for() -> None:
    line = "[True, True] [torch.float32, torch.int64]"
    assert with_fake_cuda(PINNED) == [
        "False True True True",
        "['True', 'True', ''] True cuda:0",
        line,
        line,
        "cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned",
    ]


def test_a_device_context_and_deterministic_sums() -> None:
    out = with_fake_cuda("""
        import framework as torch
        from framework import nn
        from framework.kernels import cuda
        with torch.device("cuda:1"):
            made = [torch.zeros(2), torch.rand(2), torch.arange(3), torch.tensor([1.0]),
                    nn.Linear(2, 2).weight, torch.eye(2), torch.zeros(1, device="cpu")]
        print(*[str(t.device) for t in made], torch.ones(1).device)
        torch.use_deterministic_algorithms(True)
        print(cuda.deterministic)
        index = torch.tensor([0, 0, 1], device="cuda")
        print(torch.zeros(2, device="cuda").index_add_(0, index, torch.ones(3, device="cuda")))
        torch.use_deterministic_algorithms(False)
        print(cuda.deterministic)
    """)
    assert out == [
        "cuda:1 cuda:1 cuda:1 cuda:1 cuda:1 cuda:1 cpu cpu",
        "True",
        "tensor([2., 1.], device='cuda:0')",
        "False",
    ]
