"""The benchmarks: both sides compute the same, and the program writes only between its markers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framework
from benchmarks import environment, ops, table
from benchmarks.workloads import STEPS

torch = environment.pytorch()
referee = pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
RANDOM = [name for name in STEPS if name.startswith("VAE")]  # its noise is the library's own


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.detach().numpy())


@referee
@pytest.mark.parametrize("name", [n for n in STEPS if n not in RANDOM])
def test_a_step_trains_alike_here_and_in_pytorch(name: str) -> None:
    ours, theirs = STEPS[name](framework), STEPS[name](torch)
    for _ in range(2):
        np.testing.assert_allclose(_array(ours()), _array(theirs()), rtol=1e-4)


@referee
@pytest.mark.parametrize("name", RANDOM)
def test_a_step_with_noise_trains_much_alike(name: str) -> None:
    ours, theirs = STEPS[name](framework), STEPS[name](torch)
    np.testing.assert_allclose(_array(ours()), _array(theirs()), rtol=0.02)


@referee
@pytest.mark.parametrize("name", ops.OPS)
def test_an_op_of_the_table_computes_the_same(name: str) -> None:
    results = []
    for module in (framework, torch):
        call, tensors = ops._made(module, ops.OPS[name])
        out = call(*tensors)
        cotangent = np.random.default_rng(3).standard_normal(tuple(out.shape)).astype(np.float32)
        grads = module.autograd.grad(out, tensors, module.from_numpy(cotangent))
        results.append([_array(t) for t in (out, *grads)])
    for mine, wanted in zip(*results):
        np.testing.assert_allclose(mine, wanted, rtol=1e-3, atol=2e-4 * np.abs(wanted).max())


def test_tables_go_between_their_markers(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("a\n<!-- bench one -->\nold\n<!-- end one -->\nb\n", encoding="utf-8")
    one = table.Table("one", "title", ["x", "y"], [["p|q", "\\1"]], ["note"])
    assert table.write([one, table.Table("two", "", ["x"])], ["fact"], path) == ["two"]
    written = path.read_text(encoding="utf-8")
    assert written == (
        "a\n<!-- bench one -->\n| x | y |\n|---|--:|\n| p\\|q | \\1 |\n\nnote\n\n"
        "Measured: fact.\n<!-- end one -->\nb\n"
    )
    table.write([one], ["fact"], path)
    assert path.read_text(encoding="utf-8") == written


def test_the_document_has_a_place_for_every_table() -> None:
    text = table.DOCUMENT.read_text(encoding="utf-8")
    names = (
        "steps", "memory", "ops", "optimizers", "dispatch", "graph", "sizes", "tracing",
        "conditions", "recording", "opening", "viewers", "copies", "start", "ui", "screen", "keys",
        "stream",
    )  # fmt: skip
    for name in names:
        assert text.count(f"<!-- bench {name} -->\n") == text.count(f"<!-- end {name} -->") == 1


def test_the_core_type_of_every_loaded_blas_is_named() -> None:
    for blas in environment.blas_libraries():
        assert blas.core.isalnum()
        assert blas.threads >= 1
        assert any(blas.core in line for line in environment.facts())


def test_without_pytorch_there_are_no_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import ratio, scaling

    monkeypatch.setattr(environment, "pytorch", lambda: None)
    monkeypatch.setattr(scaling, "SMALL", {"x * w": scaling.SMALL["x * w"]})
    (made,) = scaling.dispatch(ratio.Plan(quick=True))
    assert made.head == ["op", "ours"]
    assert [len(row) for row in made.rows] == [2, 2, 2]
    assert "PyTorch is not installed: no ratios" in environment.facts()


def test_times_have_three_digits_and_a_unit() -> None:
    assert [table.time_of(t) for t in (0.0123, 4.2e-7, 12.0)] == ["12.3 ms", "420 ns", "12 s"]
