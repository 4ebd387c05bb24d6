"""Paths that ordinary programs import from: what is behind them works."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import framework as torch
from framework import nn


def test_gradients_of_convolutions_by_themselves() -> None:
    from framework.nn.grad import conv2d_input, conv2d_weight

    torch.manual_seed(0)
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64, requires_grad=True)
    w = torch.randn(6, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    y = nn.functional.conv2d(x, w, None, 2, 1, 1, 2)
    g = torch.randn(y.shape, dtype=torch.float64)
    y.backward(g)
    assert torch.allclose(x.grad, conv2d_input(x.shape, w, g, 2, 1, 1, 2))
    assert torch.allclose(w.grad, conv2d_weight(x, w.shape, g, 2, 1, 1, 2))
    ones = torch.ones(1, 1, 2)
    with torch.no_grad():
        assert torch.nn.grad.conv1d_input((1, 1, 3), ones, ones).tolist() == [[[1, 2, 1]]]


def test_flex_attention_is_attention() -> None:
    from framework.nn.attention.flex_attention import (
        and_masks,
        create_block_mask,
        flex_attention,
    )

    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 5, 8).unbind(0)
    causal = lambda b, h, i, j: i >= j  # noqa: E731
    near = lambda b, h, i, j: i - j < 3  # noqa: E731
    block = create_block_mask(causal, None, None, 5, 5, BLOCK_SIZE=2)
    plain = nn.functional.scaled_dot_product_attention
    assert torch.allclose(flex_attention(q, k, v), plain(q, k, v), atol=1e-6)
    found = flex_attention(q, k, v, block_mask=block)
    assert torch.allclose(found, plain(q, k, v, is_causal=True), atol=1e-6)
    assert block.shape == (1, 1, 5, 5) and block.to_dense().tolist() == [
        [[[1, 0, 0], [1, 1, 0], [1, 1, 1]]]
    ]
    both = create_block_mask(and_masks(causal, near), 2, 4, 5, 5)
    mask = torch.ones(5, 5, dtype=torch.bool).tril() & ~torch.ones(5, 5, dtype=torch.bool).tril(-3)
    found = flex_attention(q, k, v, block_mask=both)
    assert torch.allclose(found, plain(q, k, v, attn_mask=mask), atol=1e-6)
    score = lambda s, b, h, i, j: s - (i - j).abs() * (h + 1)  # noqa: E731
    distance = (torch.arange(5)[:, None] - torch.arange(5)).abs()
    bias = -distance * torch.arange(1, 5).view(4, 1, 1).float()
    assert torch.allclose(flex_attention(q, k, v, score), plain(q, k, v, bias), atol=1e-6)
    out, lse = flex_attention(q, k[:, :2], v[:, :2], enable_gqa=True, return_lse=True)
    assert out.shape == q.shape and lse.shape == (2, 4, 5)
    never = create_block_mask(lambda b, h, i, j: (i < 0) & (j < 0), 1, 1, 5, 5)
    assert flex_attention(q, k, v, block_mask=never).abs().sum() == 0 and never.sparsity() == 100
    with pytest.raises(ValueError, match="Try setting enable_gqa=True"):
        flex_attention(q, k[:, :2], v[:, :2])


def test_ops_of_the_users_own() -> None:
    @torch.library.custom_op("tests::cube", mutates_args=())
    def cube(x: torch.Tensor, times: float = 1.0) -> torch.Tensor:
        return torch.tensor(x.detach().numpy() ** 3 * times)

    def setup(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    cube.register_fake(lambda x, times=1.0: torch.empty_like(x))
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    assert not cube(x).requires_grad
    cube.register_autograd(lambda ctx, g: 3 * ctx.saved_tensors[0] ** 2 * g, setup_context=setup)
    y = torch.ops.tests.cube(x)
    y.sum().backward()
    assert y.tolist() == [1, 8] and x.grad.tolist() == [3, 12]
    assert torch.ops.tests.cube.default(torch.tensor([2.0]), 2.0).tolist() == [16]
    lib = torch.library.Library("tests", "DEF")
    lib.define("double(Tensor x) -> Tensor")
    lib.impl("double", lambda x: x * 2, "CompositeImplicitAutograd")
    assert torch.ops.tests.double(torch.ones(1)).item() == 2
    with pytest.raises(ValueError, match="expected a name such as 'mine::op'"):
        torch.library.custom_op("cube", cube, mutates_args=())


def test_timers() -> None:
    from framework.utils import benchmark

    timers = [
        benchmark.Timer(
            f"x.{op}()", "x = torch.ones(3)", label="ops", sub_label="3", description=op
        )
        for op in ("sum", "exp")
    ]
    found = [timers[0].timeit(5), timers[1].blocked_autorange(min_run_time=0.01)]
    assert found[0].number_per_run == 5 and found[0].median == found[0].mean > 0
    assert sum(found[1].raw_times) >= 0.01 and found[1].iqr >= 0
    assert "5 runs per measurement, 1 thread" in repr(found[0])
    table = str(benchmark.Compare(found))
    assert "ops" in table and "sum" in table and "exp" in table and "Times are in" in table
    assert benchmark.Timer("1 + 1").adaptive_autorange(max_run_time=0.05).median > 0
    with pytest.raises(ValueError, match="only statements of Python"):
        benchmark.Timer("int x;", language="c++")


@pytest.mark.parametrize(
    "path",
    "nn.common_types nn.parallel.distributed _C _dynamo _utils library utils.cpp_extension".split(),
)
def test_modules_can_be_imported(path: str) -> None:
    importlib.import_module(f"framework.{path}")


def test_small_names() -> None:
    from framework.nn.common_types import _size_2_t
    from framework.utils import cpp_extension

    assert "int" in str(_size_2_t)
    assert nn.Linear.__constants__ == ["in_features", "out_features"]
    assert nn.Conv2d.__constants__[0] == "stride" and "eps" in nn.BatchNorm2d.__constants__
    assert torch.Storage([1.0, 2.0]).tolist() == [1.0, 2.0]
    assert torch._C.Generator is torch.Generator and torch._VF.sum is torch.sum
    torch._C._log_api_usage_once("x")
    torch._assert(True, "")
    with pytest.raises(AssertionError, match="words"):
        torch._assert(False, "words")
    with pytest.raises(NotImplementedError, match="load_inline: extensions in C"):
        cpp_extension.load_inline("name", "")


def test_one_device_is_all_of_data_parallel() -> None:
    from framework.nn.parallel.scatter_gather import scatter_kwargs

    layer, x = nn.Linear(3, 2), torch.ones(4, 3)
    parallel = nn.parallel
    assert parallel.data_parallel(layer, x).equal(layer(x))
    inputs, options = scatter_kwargs((x,), None, ["cpu"])
    replicas = parallel.replicate(layer, ["cpu"])
    results = parallel.parallel_apply(replicas, inputs, options)
    assert parallel.gather(results, "cpu").equal(layer(x))
    assert parallel.gather([{"a": (x, None)}, {"a": (x, None)}], "cpu")["a"][0].shape == (8, 3)
    with pytest.raises(NotImplementedError, match="only one device"):
        parallel.scatter(x, [0, 1])
    with pytest.raises(AssertionError, match="number of modules 1"):
        parallel.parallel_apply([layer], [x, x])


def test_a_prefix_taken_off_a_state_dict() -> None:
    from framework.nn.modules.utils import consume_prefix_in_state_dict_if_present

    state = nn.DataParallel(nn.Sequential(nn.Linear(1, 1))).state_dict()
    consume_prefix_in_state_dict_if_present(state, "module.")
    assert set(state) == {"0.weight", "0.bias"}
    assert set(state._metadata) == {"", "0"}
    nn.Sequential(nn.Linear(1, 1)).load_state_dict(state)


def test_cond_runs_one_branch() -> None:
    x = torch.tensor([2.0], requires_grad=True)
    refused = lambda x: 1 / 0  # noqa: E731
    torch.cond(x > 1, lambda x: x * 3, refused, (x,)).backward()
    assert x.grad.tolist() == [3.0]
    assert torch.cond(False, refused, lambda: "else") == "else"
    for wrong in ("x", torch.ones(2)):
        with pytest.raises(RuntimeError, match="Expected pred to be bool"):
            torch.cond(wrong, abs, abs)
    with pytest.raises(RuntimeError, match="callable"):
        torch.cond(True, 1, 2)


def test_what_leaves_are_asked_for() -> None:
    x = torch.ones(2, requires_grad=True)
    assert x.grad_dtype is torch.float32
    x.grad_dtype = torch.float32
    with pytest.raises(NotImplementedError, match="float64"):
        x.grad_dtype = torch.float64
    with pytest.raises(RuntimeError, match="grad_dtype must be"):
        x.grad_dtype = 3
    with pytest.raises(RuntimeError, match="leaf"):
        (x * 2).grad_dtype
    y = torch.zeros(2)
    assert x.module_load(y, assign=True).equal(y)
    with torch.no_grad():
        assert x.module_load(y).data_ptr() == x.data_ptr()
    assert not x.any()


@pytest.mark.parametrize("path", ["accelerator.memory", "optim.asgd", "nn.modules.fold"])
def test_second_paths(path: str) -> None:
    assert importlib.import_module(f"framework.{path}")


def test_older_names_for_the_cpu_warn() -> None:
    from framework.cpu.amp import autocast
    from framework.cpu.amp.grad_scaler import GradScaler

    with pytest.warns(FutureWarning, match=r"torch\.cpu\.amp\.autocast"), autocast():
        assert (torch.ones(1, 1) @ torch.ones(1, 1)).dtype is torch.bfloat16
    with pytest.warns(FutureWarning, match=r"torch\.amp\.GradScaler"):
        GradScaler()


def test_products_and_sums_of_lists() -> None:
    ones = [torch.ones(2, 3), torch.ones(1, 2)]
    products = torch._foreach_mm(ones, [torch.ones(3, 1), torch.ones(2, 2)])
    assert [p.tolist() for p in products] == [[[3], [3]], [[2, 2]]]
    sums = torch._foreach_powsum([torch.tensor([-1.0, 2.0]), torch.tensor([3.0])], 3)
    assert [s.item() for s in sums] == [9, 27]
    assert torch._foreach_powsum(ones, dtype=torch.float64)[0].dtype is torch.float64


def test_modules_that_are_there_without_an_import_of_their_own():
    code = "import framework as torch; torch.nn.modules.utils._pair; torch.utils.weak; "
    code += "torch.utils.collect_env; torch.nn.utils.clip_grad_norm_"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
