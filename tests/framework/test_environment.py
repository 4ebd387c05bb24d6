"""What scripts touch round the tensors: jit, futures, hub, distributed, utils, multiprocessing."""

from __future__ import annotations

import os
import warnings

import pytest

import framework as torch
from framework import nn
from framework.utils import model_zoo
from framework.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)


def test_jit_gives_back_what_it_is_given() -> None:
    model = nn.Linear(1, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.jit.script(model) is model and torch.jit.trace(model, None) is model
    assert not isinstance(model, torch.jit.ScriptModule)
    assert issubclass(torch.jit.ScriptModule, nn.Module)
    assert torch.jit.wait(torch.jit.fork(lambda a, b: a + b, 1, b=2)) == 3
    assert not torch.jit.is_scripting() and not torch.jit.onednn_fusion_enabled()
    with pytest.raises(NotImplementedError, match="there is no TorchScript here"):
        torch.jit.CompilationUnit("def f(): pass")


def test_futures() -> None:
    first, second = torch.futures.Future(), torch.futures.Future()
    both = torch.futures.collect_all([first, second])
    after = first.then(lambda f: f.wait() + 1)
    failing = first.then(lambda f: 1 / 0)
    first.set_result(1)
    assert not both.done() and after.value() == 2
    second.set_result(2)
    assert both.wait() == [first, second] and torch.futures.wait_all([first, second]) == [1, 2]
    with pytest.raises(ZeroDivisionError):
        failing.wait()
    with pytest.raises(RuntimeError, match="can only be marked completed once"):
        first.set_result(3)
    with pytest.raises(AssertionError, match="not an Exception"):
        torch.futures.Future().set_exception("no")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: torch.hub.load("a/b", "c"), r"torch\.hub\.load: nothing is downloaded"),
        (lambda: torch.hub.load_state_dict_from_url("http://a"), "from_url: nothing is downloaded"),
        (lambda: model_zoo.load_url("http://a"), r"torch\.utils\.model_zoo\.load_url: nothing"),
        (lambda: torch.distributed.init_process_group("nccl"), "init_process_group: there is one"),
        (lambda: torch.nested.nested_tensor([]), "there are no nested tensors here"),
        (lambda: torch.export.export(nn.Linear(1, 1), ()), "no ahead-of-time graph"),
    ],
)
def test_refusals_are_one_line(call, words) -> None:
    with pytest.raises(NotImplementedError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_what_is_asked_before_it_is_used(monkeypatch) -> None:
    assert not torch.distributed.is_available() and not torch.distributed.is_initialized()
    monkeypatch.setattr(torch.hub, "_folder", None)
    monkeypatch.setenv("TORCH_HOME", "/somewhere")
    assert torch.hub.get_dir() == os.path.join("/somewhere", "hub")
    assert torch.version.__version__ == torch.__version__ and torch.version.hip is None
    assert torch.version.cuda is None or torch.cuda.is_available()
    assert "NumPy" in torch.__config__.show() and torch.types.Number
    assert isinstance(torch.device("cpu"), torch.types._device)


def test_swap_tensors_and_set_module() -> None:
    a, b = torch.zeros(2), nn.Parameter(torch.ones(3))
    (b * 2).sum().backward()
    b.mark = "b"
    torch.utils.swap_tensors(a, b)
    assert isinstance(a, nn.Parameter) and type(b) is torch.Tensor
    assert a.tolist() == [1, 1, 1] and a.grad.tolist() == [2, 2, 2] and a.mark == "b"
    assert b.tolist() == [0, 0] and b.grad is None and not b.requires_grad

    class Thing:
        pass

    torch.utils.set_module(Thing, "elsewhere")
    assert Thing.__module__ == "elsewhere"
    with pytest.raises(TypeError, match="should be a string"):
        torch.utils.set_module(Thing, 3)


def test_a_selective_checkpoint_has_the_same_gradient() -> None:
    x = torch.tensor([0.5, 2.0], requires_grad=True)

    def policy(ctx, op, *args, **kwargs):
        return CheckpointPolicy.MUST_SAVE

    def contexts():
        return create_selective_checkpoint_contexts(policy)

    checkpoint(
        lambda x: x.exp().sin(), x, use_reentrant=False, context_fn=contexts
    ).sum().backward()
    assert torch.allclose(x.grad, x.exp().cos() * x.exp())
    with pytest.raises(TypeError, match="either a function or a list of ops"):
        create_selective_checkpoint_contexts(3)


def double(index, folder):
    with open(os.path.join(folder, str(index)), "w") as file:
        file.write(str((torch.ones(2) * index).tolist()))


def fail(index):
    if index == 1:
        raise ValueError("process one")


def leave(index):
    os._exit(7)


def test_spawn(tmp_path) -> None:
    mp = torch.multiprocessing
    mp.spawn(double, (str(tmp_path),), nprocs=2, start_method="fork")
    assert (tmp_path / "1").read_text() == "[1.0, 1.0]"
    with pytest.raises(mp.ProcessRaisedException, match=r"Process 1 terminated(.|\n)*process one"):
        mp.spawn(fail, nprocs=2, start_method="fork")
    with pytest.raises(mp.ProcessExitedException, match="process 0 terminated with exit code 7"):
        mp.spawn(leave, start_method="fork")
    assert mp.get_context("spawn") and mp.Queue


def test_switches_of_libraries() -> None:
    import importlib

    cudnn = importlib.import_module("framework.backends.cudnn")  # as scripts import it
    assert cudnn is torch.backends.cudnn and not cudnn.is_acceptable(torch.ones(1))
    with torch.backends.cuda.sdp_kernel(enable_flash=False):
        assert not torch.backends.cuda.flash_sdp_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()
    with torch.backends.mkl.verbose(1), torch.backends.nnpack.flags(enabled=False):
        assert not torch.backends.nnpack.enabled
    torch.backends.disable_global_flags()
    assert torch.backends.nnpack.enabled and not torch.backends.cusparselt.is_available()
    assert torch.has_lapack and not torch.has_mkl and not torch.is_vulkan_available()


def test_the_rest_of_profiling() -> None:
    assert torch.profiler.DeviceType.CUDA.value == 1 and not torch.profiler.kineto_available()
    with pytest.raises(NotImplementedError, match="ExecutionTraceObserver"):
        torch.profiler.ExecutionTraceObserver()


VERSIONS = (
    "1.0", "1.0.0", "2.13.0+cpu", "2.13.0", "2.13.0a0", "2.13.0a0+git12", "2.13.0.dev20260101",
    "2.13.0rc1", "2.13.0.post1", "2.13.0-1", "1!1.0", "parrot", "10.2", "2.13", "v2.13.0",
    "2.13.0+cpu.1", "2.13.0+1", (1, 10), (2, 13, 0), [2, 14], (2, 13, 0, "a1"),
)  # fmt: skip


def test_versions_compare_as_in_pytorch() -> None:
    theirs = pytest.importorskip("torch.torch_version").TorchVersion
    mine = torch.torch_version.TorchVersion
    for a in VERSIONS:
        for b in VERSIONS:
            for how in ("lt", "le", "eq", "ne", "ge", "gt"):
                if isinstance(a, str):
                    one, other = (getattr(t(a), f"__{how}__")(b) for t in (mine, theirs))
                    assert one == other, (a, how, b)


def test_the_version_is_that_of_the_pytorch_whose_behaviour_we_have() -> None:
    assert torch.__version__ >= "2.0" and torch.__version__ > (2, 12) and torch.__version__ < "3"
    assert tuple(int(n) for n in torch.__version__.split("+")[0].split(".")) == (2, 13, 0)
    assert torch.__version__.endswith(f"+tapebook.{torch.version.tapebook}")
    packaging = pytest.importorskip("packaging.version")
    assert packaging.parse(torch.__version__) >= packaging.parse("2.13")
    assert torch.__version__ >= packaging.parse("2.13")
