"""Devices: the fake ``cuda`` in a process of its own, and what happens where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

import framework as torch


def run_with_fake_cuda(code: str) -> str:
    env = {**os.environ, "TAPEBOOK_FAKE_CUDA": "2"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_training_on_the_fake_device() -> None:
    out = run_with_fake_cuda("""
        import framework as torch
        from framework import nn
        from framework.trace import recording
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
        model.to("cuda")
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        x, y = torch.randn(16, 4).cuda(), torch.randint(0, 2, (16,), device="cuda")
        with recording() as tape:
            for _ in range(30):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
        assert loss.item() < 0.5, loss
        assert {p.grad.device for p in model.parameters()} == {torch.device("cuda:0")}
        devices = {o.device for e in tape.read() if type(e).__name__ == "Op" for o in e.outputs}
        print(loss.device, devices)
        """)
    assert out == "cuda:0 {'cuda:0'}"


def test_autocast_leaves_the_meta_device_alone() -> None:
    a = torch.zeros(2, 2, device="meta")
    with torch.autocast("cpu"):
        found = a @ a
    assert found.dtype == torch.float32 and found.device.type == "meta"  # as in PyTorch


def test_devices_are_not_mixed() -> None:
    out = run_with_fake_cuda("""
        import framework as torch
        a, b = torch.ones(2), torch.ones(2, device="cuda:1")
        far = torch.tensor([0, 1], device="cuda:1")
        for call in (lambda: a + b, lambda: b.cuda(0) + b, lambda: torch.ones(2, device="cuda:5"),
                     lambda: a[far], lambda: b.cuda(0)[far], lambda: a.__setitem__(far, 1.0)):
            try:
                call()
            except RuntimeError as error:
                print(str(error).split("!")[0].split("__: ")[-1].split(" (shapes")[0])
        print(b[torch.tensor([1])].device)
        print((b * torch.tensor(2.0)).device, b.cpu().device, repr(b))
        x = torch.ones(2, requires_grad=True)
        (x.cuda() * 3).sum().backward()
        print(x.grad)
        """)
    assert out.splitlines() == [
        "Expected all tensors to be on the same device, but found at least two devices, "
        "cuda:1 and cpu",
        "Expected all tensors to be on the same device, but found at least two devices, "
        "cuda:0 and cuda:1",
        "device cuda:5: only 2 CUDA devices available",
        "indices should be either on cpu or on the same device as the indexed tensor (cpu)",
        "indices should be either on cpu or on the same device as the indexed tensor (cuda:0)",
        "indices should be either on cpu or on the same device as the indexed tensor (cpu)",
        "cuda:1",
        "cuda:1 cpu tensor([1., 1.], device='cuda:1')",
        "tensor([3., 3.])",
    ]


def test_numpy_wants_host_memory() -> None:
    out = run_with_fake_cuda("""
        import framework as torch
        try:
            torch.ones(1, device="cuda").numpy()
        except TypeError as error:
            print(error)
        """)
    assert out.startswith("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()")


def test_without_a_gpu_the_error_says_why() -> None:
    from framework.device import cuda_problem

    if not cuda_problem():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(AssertionError, match=r"CUDA enabled \(cuda:0: CuPy"):
        torch.ones(2).cuda()


def test_device_names() -> None:
    assert torch.device("cuda", 0) is torch.device("cuda:0")
    assert torch.device("cuda").index is None and torch.device("cuda") != torch.device("cuda:0")
    assert (str(torch.device("cuda")), repr(torch.device("cuda"))) == (
        "cuda",
        "device(type='cuda')",
    )
    assert str(torch.device("cpu")) == "cpu" and repr(torch.device("cpu")) == "device(type='cpu')"
    with pytest.raises(RuntimeError, match="Expected one of cpu, cuda"):
        torch.device("tpu")
    with pytest.raises(RuntimeError, match="Invalid device string"):
        torch.device("cuda:x")


def test_the_current_device_stands_for_cuda_without_a_number() -> None:
    out = run_with_fake_cuda("""
        import pickle

        import framework as torch
        place = torch.device("cuda")
        with torch.cuda.device(1):
            x = torch.zeros(2, device=place)
            layer = torch.nn.Linear(2, 1).to(place)
            with place:
                y = torch.ones(1)
            print(x.device, layer.weight.device, y.device, torch.Generator(place).device)
            print(torch.ones(1).to(place).device, torch.ones(1).cuda().device, layer(x).device)
        print(torch.zeros(2, device=place).device, pickle.loads(pickle.dumps(place)) is place)
        print(x.to(place).device, torch.cuda.get_device_name(place) != "")
    """)
    assert out.splitlines() == [
        "cuda:1 cuda:1 cuda:1 cuda:1",
        "cuda:1 cuda:1 cuda:1",
        "cuda:0 True",
        "cuda:0 True",
    ]


def test_the_default_device() -> None:
    out = run_with_fake_cuda("""
        import framework as torch
        with torch.device("cuda:1"):
            a, b, c = torch.zeros(2), torch.tensor([1.0]), torch.randn(3)
            with torch.device("cpu"):
                d = torch.ones(1)
            e = torch.arange(3, device="cpu")
        print([str(t.device) for t in (a, b, c, d, e, torch.zeros_like(a), torch.ones(1))])
        torch.set_default_device("cuda")
        layer = torch.nn.Linear(1, 1)
        print(torch.get_default_device(), torch.empty(1).device, layer.weight.device)
        print(torch.ones(1))
        torch.set_default_device(None)
        torch.set_default_tensor_type(torch.cuda.FloatTensor)
        print(torch.Tensor(2).device, torch.cuda.LongTensor([1]), torch.ones(1, device="cpu"))

        @torch.device("cpu")
        def made():
            return torch.ones(1).device

        print(made(), torch.get_default_device(), torch.ones(1).pin_memory is not None)
    """)
    assert out.splitlines() == [
        "['cuda:1', 'cuda:1', 'cuda:1', 'cpu', 'cpu', 'cuda:1', 'cpu']",
        "cuda:0 cuda:0 cuda:0",
        "tensor([1.])",
        "cuda:0 tensor([1]) tensor([1.], device='cpu')",
        "cpu cuda:0 True",
    ]


def test_a_broken_cupy_is_not_called_missing(tmp_path) -> None:
    (tmp_path / "cupy.py").write_text(
        "try: import no_such_lock\n"
        "except ImportError as e: raise ImportError('\\n===\\nFailed to import CuPy.') from e\n"
    )
    code = "from framework.device import cuda_problem; print(cuda_problem())"
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout == "CuPy cannot be imported: No module named 'no_such_lock'\n"


def test_numbers_of_the_cpu_are_kept_and_stand_for_it() -> None:
    one = torch.device("cpu:0")
    assert (one.type, one.index, str(one)) == ("cpu", 0, "cpu:0")
    assert one is torch.device("cpu", 0) and one != torch.device("cpu")
    assert repr(torch.device("cpu", 1)) == "device(type='cpu', index=1)"
    for made in (torch.ones(2, device=one), torch.ones(2).to("cpu:0"), torch.ones(2).to(one)):
        assert made.device is torch.device("cpu")
    assert torch.Generator(one).device is torch.device("cpu")
    assert torch.nn.Linear(2, 2, device=one).to("cpu:1").weight.device is torch.device("cpu")
    with one:
        assert torch.ones(2).device is torch.device("cpu")
    with pytest.raises(RuntimeError, match="Invalid device string"):
        torch.device("cpu:")
