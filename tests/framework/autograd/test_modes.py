"""Grad modes of generators, inference tensors, long graphs."""

from __future__ import annotations

import gc
import time
import tracemalloc

import pytest

import framework as torch


def test_a_generator_is_in_its_mode_and_its_caller_is_not():
    @torch.no_grad()
    def inside():
        sent = yield torch.is_grad_enabled()
        try:
            yield sent, torch.is_grad_enabled()
        except ValueError:
            yield torch.is_grad_enabled()
        return 7

    it = inside()
    assert next(it) is False and torch.is_grad_enabled()
    assert it.send("x") == ("x", False) and torch.is_grad_enabled()
    assert it.throw(ValueError) is False and torch.is_grad_enabled()
    with pytest.raises(StopIteration) as stop:
        next(it)
    assert stop.value.value == 7


def test_inference_tensors_stay_out_of_autograd():
    x = torch.ones(3, requires_grad=True)
    with torch.inference_mode():
        assert torch.is_inference_mode_enabled()
        a = torch.ones(3)
        b = a * 2
        a.add_(1)
        y = torch.zeros(3)
    normal = torch.ones(3)
    with torch.inference_mode():
        assert not normal[1:].is_inference()
        normal.add_(1)
    assert b.is_inference() and b[1:].is_inference() and b.detach().is_inference()
    assert not b.clone().is_inference() and not (b + 1).is_inference()
    assert (b + x).requires_grad
    cases = [
        (lambda: b * x, "Inference tensors cannot be saved for backward"),
        (lambda: y.add_(1), "Inplace update to inference tensor outside InferenceMode"),
        (lambda: y.view(3, 1).add_(1), "Inplace update to inference tensor"),
        (lambda: y._version, "do not track version counter"),
        (lambda: y.requires_grad_(), "Setting requires_grad=True on inference tensor"),
    ]
    for call, words in cases:
        with pytest.raises(RuntimeError, match=words):
            call()
    with torch.inference_mode(False):
        assert not torch.ones(1).is_inference()

    @torch.inference_mode
    def f():
        return torch.ones(1)

    assert torch.is_inference(f()) and not torch.is_inference(torch.ones(1))


def test_multithreading_is_accepted():
    with torch.autograd.set_multithreading_enabled(False):
        assert not torch.autograd.is_multithreading_enabled()
    assert torch.autograd.is_multithreading_enabled()


def _chain(n: int) -> tuple[float, torch.Tensor]:
    x = torch.ones(1, requires_grad=True)
    y = x
    start = time.perf_counter()
    for _ in range(n):
        y = y * 1.0
    y.backward()
    return time.perf_counter() - start, x


def test_a_long_chain_takes_linear_time_and_leaves_nothing():
    _chain(1000)
    gc.collect()
    gc.disable()
    try:
        short = min(_chain(10_000)[0] for _ in range(3))
        tracemalloc.start()
        _chain(5000)
        before = tracemalloc.get_traced_memory()[0]
        _chain(5000)
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        long, x = _chain(100_000)
    finally:
        gc.enable()
        tracemalloc.stop()
    assert x.grad.item() == 1.0
    assert long < 30 * short  # 10 would be linear; the machine may be busy
    assert after - before < 10_000


def test_a_graph_of_a_million_ops_is_dropped_without_gc():
    x = torch.ones(1, requires_grad=True)
    y = x
    gc.disable()
    try:
        for _ in range(1_000_000):
            y = y.neg()
        node = y.grad_fn
        del y
        while node.next_functions[0][0].__class__ is type(node) and node.seq % 1000:
            node = node.next_functions[0][0]
        del node  # drops all that is below it
        assert gc.collect() < 100
    finally:
        gc.enable()


def test_anomalies_are_named_with_module_and_line():
    class Bad(torch.nn.Module):
        def forward(self, x):
            return x.sqrt()

    for value, word in ((0.0, "inf"), (-1.0, "nan")):
        model = torch.nn.Sequential(torch.nn.Identity(), Bad())
        x = torch.tensor([value], requires_grad=True)
        with torch.autograd.detect_anomaly():
            y = model(x)
            with pytest.raises(RuntimeError) as error:
                y.sum().backward()
        text = str(error.value)
        assert f"Function 'SqrtBackward0' returned {word} values in its 0th output" in text
        assert "model.1" in text and "test_modes.py, line" in text
