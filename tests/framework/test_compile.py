"""`torch.compile` gives what PyTorch's gives, which runs as it is written."""

from __future__ import annotations

import copy
import io
import pickle
import warnings

import pytest

import framework as torch
from framework import nn, trace
from framework.trace import events

pytestmark = pytest.mark.filterwarnings("ignore:torch.*there is no compiler here")


class Net(nn.Module):
    scale = 2.0

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x, *, extra=0.0):
        self.last = x
        return self.body(x) * self.scale + extra

    def helper(self):
        return self.scale


def test_a_module_is_wrapped_and_shares_its_parameters():
    model = Net()
    compiled = torch.compile(model)
    assert type(compiled).__name__ == "OptimizedModule"
    assert isinstance(compiled, nn.Module) and not isinstance(compiled, Net)
    assert compiled._orig_mod is model
    assert list(compiled.state_dict()) == ["_orig_mod." + k for k in model.state_dict()]
    assert [n for n, _ in compiled.named_parameters()] == [
        "_orig_mod.body.0.weight", "_orig_mod.body.0.bias",
    ]  # fmt: skip
    assert next(compiled.parameters()) is model.body[0].weight
    x = torch.randn(2, 3)
    assert torch.equal(compiled(x, extra=1.0), model(x) + 1.0)
    assert repr(compiled).startswith("OptimizedModule(\n  (_orig_mod): Net(\n    (body): Seq")


def test_a_checkpoint_of_a_compiled_module_goes_into_the_plain_one_and_back():
    compiled, plain = torch.compile(Net()), Net()
    state = compiled.state_dict()
    stripped = {k.removeprefix("_orig_mod."): v for k, v in state.items()}
    plain.load_state_dict(stripped)
    assert torch.equal(plain.body[0].weight, compiled.body[0].weight)
    with pytest.raises(RuntimeError, match=r"Missing key.*_orig_mod.*|Unexpected key"):
        plain.load_state_dict(state)
    torch.compile(plain).load_state_dict(state)


def test_attributes_are_those_of_the_module():
    model = Net()
    compiled = torch.compile(model)
    assert compiled.helper() == 2.0 and compiled.body is model.body
    compiled.scale = 3.0
    assert model.scale == 3.0 and "scale" not in compiled.__dict__
    del compiled.scale
    assert model.scale == 2.0
    compiled.head = nn.Linear(1, 1)
    assert model.head is compiled.head and "head" not in compiled._modules
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'nothing'"):
        compiled.nothing
    assert "helper" in dir(compiled) and "body" in dir(compiled)
    compiled(torch.ones(1, 3))
    assert compiled.last is model.last


def test_training_is_the_modules():
    model = Net().eval()
    compiled = torch.compile(model)
    assert compiled.training is False
    assert compiled.train() is compiled
    assert model.training and model.body[0].training and compiled.training
    model.eval()
    assert not compiled.training and "training" not in compiled.__dict__


def test_len_is_that_of_the_module():
    assert len(torch.compile(nn.Sequential(nn.ReLU(), nn.ReLU()))) == 2
    with pytest.raises(TypeError, match="Linear does not support len"):
        len(torch.compile(nn.Linear(1, 1)))


def test_hooks_of_both_run_and_global_ones_once_more():
    model = Net()
    compiled = torch.compile(model)
    ran = []
    compiled.register_forward_hook(lambda m, a, y: ran.append(type(m).__name__))
    model.register_forward_hook(lambda m, a, y: ran.append(type(m).__name__))
    compiled(torch.ones(1, 3))
    assert ran == ["Net", "OptimizedModule"]
    handle = nn.modules.module.register_module_forward_hook(lambda m, a, y: ran.append("global"))
    try:
        with pytest.warns(UserWarning, match="global hooks"):
            torch.compile(nn.ReLU())(torch.ones(1))
    finally:
        handle.remove()
    assert ran[2:] == ["global", "global"]


def test_it_trains():
    compiled = torch.compile(nn.Linear(3, 1))
    optimizer = torch.optim.SGD(compiled.parameters(), lr=0.1)
    before = compiled.weight.detach().clone()
    compiled(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    assert not torch.equal(before, compiled.weight)
    compiled.zero_grad()
    assert compiled.weight.grad is None
    assert compiled.double() is compiled and compiled.weight.dtype is torch.float64


def test_copies():
    compiled = torch.compile(nn.Linear(3, 1))
    for other in (copy.deepcopy(compiled), pickle.loads(pickle.dumps(compiled))):
        assert type(other) is type(compiled) and other._orig_mod is not compiled._orig_mod
        assert torch.equal(other.weight, compiled.weight)
        assert torch.equal(other(torch.ones(1, 3)), compiled(torch.ones(1, 3)))
    file = io.BytesIO()
    torch.save(compiled.state_dict(), file)
    file.seek(0)
    assert list(torch.load(file)) == ["_orig_mod.weight", "_orig_mod.bias"]


def test_a_lazy_module_becomes_one_at_its_first_call():
    compiled = torch.compile(nn.LazyLinear(2))
    assert compiled(torch.ones(1, 5)).shape == (1, 2)
    assert compiled.weight.shape == (2, 5)


def test_compiled_twice_is_one_wrapper():
    model = nn.Linear(1, 1)
    assert torch.compile(torch.compile(model))._orig_mod is model


def test_in_place():
    model = Net()
    assert model.compile(backend="inductor", mode="max-autotune") is None
    assert list(model.state_dict()) == ["seen", "body.0.weight", "body.0.bias"]
    assert model(torch.ones(1, 3)).shape == (1, 4)


def test_functions_stay_functions():
    @torch.compile
    def twice(x, by=2):
        """Doubled."""
        return x * by

    @torch.compile(fullgraph=True, mode="reduce-overhead")
    def thrice(x):
        return 3 * x

    class Holder:
        def __init__(self):
            self.run = torch.compile(self.run)

        def run(self, x):
            return x + 1

        @torch.compile
        def method(self, x):
            return x - 1

    assert twice.__name__ == "twice" and twice.__doc__ == "Doubled."
    assert type(twice) is type(lambda: 0) and callable(twice._torchdynamo_orig_callable)
    assert twice(torch.ones(1), by=5).item() == 5 and thrice(torch.ones(1)).item() == 3
    assert Holder().run(torch.ones(1)).item() == 2 and Holder().method(torch.ones(1)).item() == 0
    assert torch.compile(print).__name__ == "print"


def test_a_class_is_returned():
    assert torch.compile(Net) is Net
    assert Net()(torch.ones(1, 3)).shape == (1, 4)


def test_disabled_it_gives_back_what_it_got():
    model = Net()
    assert torch.compile(model, disable=True) is model
    assert torch.compiler.disable(model) is model


def test_refusals():
    with pytest.raises(AssertionError, match="A callable function is expected, but <class 'int'>"):
        torch.compile(1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'backends'"):
        torch.compile(abs, backends="eager")
    with pytest.raises(RuntimeError, match="Unrecognized mode=fast, should be one of: default"):
        torch.compile(abs, mode="fast")
    with pytest.raises(RuntimeError, match="Unrecognized mode=fast"):
        nn.ReLU().compile(mode="fast")
    with pytest.raises(RuntimeError, match="Either mode or options"):
        torch.compile(abs, mode="default", options={})


def test_it_is_where_programs_look_for_it():
    from framework._dynamo.eval_frame import OptimizedModule

    assert torch._dynamo.OptimizedModule is OptimizedModule
    assert isinstance(torch.compile(nn.ReLU()), OptimizedModule)


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.compile(Net())

    def forward(self, x):
        return self.inner(x)


def paths(recorder):
    return [e.path for e in recorder.read() if isinstance(e, events.ModuleBegin)]


def leaves(recorder):
    return [e.name for e in recorder.read() if isinstance(e, events.Leaf) if e.role != "input"]


def test_paths_in_the_trace_leave_the_wrapper_out():
    model = torch.compile(Net())
    with trace.recording() as recorder:
        model(torch.ones(1, 3))
    assert paths(recorder) == ["model", "model.body", "model.body.0", "model.body.1"]
    assert leaves(recorder) == ["model.body.0.weight", "model.body.0.bias", "model.seen"]


def test_paths_of_a_compiled_part():
    model = Outer()
    with trace.recording() as recorder:
        model(torch.ones(1, 3))
    assert paths(recorder)[:3] == ["model", "model.inner", "model.inner.body"]
    assert "model.inner.body.0.weight" in leaves(recorder)


def test_a_module_keeps_the_name_under_which_it_was_called_first():
    model = Net()
    compiled = torch.compile(model)
    with trace.recording() as recorder:
        model(torch.ones(1, 3))
        compiled(torch.ones(1, 3))
    assert paths(recorder)[4:] == paths(recorder)[:4]


def test_it_says_once_that_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(torch.compiler, "_noted", set())
    with pytest.warns(UserWarning, match="there is no compiler here"):
        torch.compile(abs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.compile(Net())
