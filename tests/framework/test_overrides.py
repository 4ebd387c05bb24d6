"""__torch_function__: PyTorch's own examples, subclasses, modes. In processes of their own.

A class that overrides functions changes how they are called from then on, so the rest of the tests
shall not see one.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest


def run(code: str) -> None:
    code = "import framework as torch\n" + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_classes_that_are_no_tensors():
    run("""
    HANDLED = {}
    class ScalarTensor:
        def __init__(self, N, value):
            self._N, self._value = N, value
        def tensor(self):
            return self._value * torch.eye(self._N)
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            kinds = (torch.Tensor, ScalarTensor)
            if func not in HANDLED or not all(issubclass(t, kinds) for t in types):
                return NotImplemented
            return HANDLED[func](*args, **(kwargs or {}))
    def implements(function):
        def register(mine):
            HANDLED[function] = mine
            return mine
        return register
    @implements(torch.mean)
    def mean(input):
        return float(input._value) / input._N
    @implements(torch.add)
    def add(input, other):
        if isinstance(input, ScalarTensor) and isinstance(other, ScalarTensor):
            return ScalarTensor(input._N, input._value + other._value)
        full = [x.tensor() if isinstance(x, ScalarTensor) else x for x in (input, other)]
        return torch.add(*full)
    s = ScalarTensor(2, 2)
    assert torch.mean(ScalarTensor(5, 2)) == 0.4
    assert torch.add(s, s)._value == 4
    t = torch.tensor([[1, 1.0], [1, 1]])
    assert torch.add(s, t).tolist() == torch.add(t, s).tolist() == [[3, 1], [1, 3]]
    for call, words in ((lambda: torch.mul(s, 3), "Multiple dispatch failed for 'torch.mul'"),
                        (lambda: t + s, "unsupported operand type")):
        try:
            call()
        except TypeError as error:
            assert words in str(error), error
        else:
            raise AssertionError(words)
    """)


def test_a_wrapper_with_metadata():
    run("""
    class Meta:
        def __init__(self, data, metadata=None):
            self._t, self._metadata = torch.as_tensor(data), metadata
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            found = [a._metadata for a in args if hasattr(a, "_metadata")]
            args = [getattr(a, "_t", a) for a in args]
            return cls(func(*args, **(kwargs or {})), found[0])
    m = Meta([[1.0, -2.0]], "mine")
    t = torch.ones(1, 2)
    assert torch.add(t, m)._t.tolist() == [[2.0, -1.0]] and torch.mul(m, t)._metadata == "mine"
    assert torch.sum(m, dim=1)._t.tolist() == [-1.0]
    assert torch.nn.functional.relu(m)._t.tolist() == [[1.0, 0.0]]
    assert (t + m)._metadata == "mine"
    """)


def test_subclasses_are_preserved():
    run("""
    class Sub(torch.Tensor):
        pass
    class Sub2(Sub):
        pass
    class Other(torch.Tensor):
        pass
    p, a, b = torch.tensor([1.0]), Sub([0.0]), Sub2([0.0])
    found = [torch.add(p, a), p + a, a + p, a[0], a.view(-1), a.sum(), a.max(0)[0], a.T, a.data,
             torch.stack([a, a]), torch.cat([p, a]), a.clone(), a.add_(1), p.add(a), a.new_zeros(2)]
    assert all(type(x) is Sub for x in found), [type(x) for x in found]
    assert type(torch.add(a, b)) is Sub2 and type(b + a) is Sub2
    assert type(p * 2) is torch.Tensor and a.shape == (1,)
    try:
        torch.add(a, Other([1.0]))
    except TypeError as error:
        assert "NotImplemented" in str(error)
    else:
        raise AssertionError
    x = torch.ones(2).as_subclass(Sub).requires_grad_()
    y = (x * x).sum()
    y.backward()
    assert type(y) is Sub and x.grad.tolist() == [2.0, 2.0]
    w = torch.ones(2, requires_grad=True)
    (w.as_subclass(Sub) * 3).sum().backward()
    assert w.grad.tolist() == [3.0, 3.0]
    assert type(torch.nn.Linear(1, 1)(a)) is Sub
    class Mine(torch.nn.Parameter):
        pass
    assert type(Mine(torch.ones(1)) * 2) is torch.Tensor
    with torch.overrides.DisableTorchFunctionSubclass():
        assert type(a + 1) is torch.Tensor
    class Made(torch.Tensor):
        @staticmethod
        def __new__(cls, x, extra):
            return super().__new__(cls, x)
        def __init__(self, x, extra):
            self.extra = extra
    m = Made([1.0, 2.0], "e")
    assert m.extra == "e" and (m * 2).tolist() == [2.0, 4.0]
    """)


def test_a_subclass_sees_every_call():
    run("""
    log = []
    class Log(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            if func is not torch.Tensor.__repr__:
                log.append(func.__name__)
            return super().__torch_function__(func, types, args, kwargs or {})
    x = Log([1.0, 2.0])
    log.clear()
    torch.add(x, 1); x.exp(); x * 2; x.shape; torch.ones(2) + x; repr(x)
    assert log[:5] == ["add", "exp", "mul", "__get__", "add"], log
    assert torch.overrides.resolve_name(torch.add) == "torch.add"
    assert torch.overrides.resolve_name(torch.Tensor.add) == "torch.Tensor.add"
    assert torch.add in torch.overrides.get_overridable_functions()[torch]
    assert torch.Tensor.exp in torch.overrides.get_overridable_functions()[torch.Tensor]
    assert torch.zeros in torch.overrides.get_ignored_functions()
    """)


def test_modes_see_the_rest_too():
    run("""
    from framework.overrides import TorchFunctionMode, resolve_name
    class Seen(TorchFunctionMode):
        def __init__(self):
            self.names = []
        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.names.append(resolve_name(func))
            return func(*args, **(kwargs or {}))
    with Seen() as outer, Seen() as inner:
        y = torch.ones(2) + 1
        torch.sum(y, dim=0)
    assert inner.names == ["torch.ones", "torch.Tensor.add", "torch.sum"] == outer.names
    n = len(inner.names)
    torch.ones(1)
    assert len(inner.names) == n
    """)


def test_modes_see_attributes_and_what_makes_tensors():
    run("""
    from framework import nn
    from framework.overrides import TorchFunctionMode, resolve_name
    class Seen(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append((resolve_name(func) or func.__name__, sorted(kwargs or ())))
            return func(*args, **(kwargs or {}))
    x, w = torch.ones(2, 3), torch.ones(2, requires_grad=True)
    def calls(text):
        global seen
        seen = []
        with Seen():
            exec(text)
        return [name.removeprefix("torch.") for name, _ in seen]
    for name in ("shape dtype device grad T mT H ndim data requires_grad is_leaf grad_fn is_cuda "
                 "layout real nbytes is_meta").split():
        assert calls("x." + name) == [f"Tensor.{name}.__get__"], (name, seen)
    assert calls("w.grad = None; x.data = x") == ["Tensor.grad.__set__", "Tensor.data.__set__"]
    assert calls("torch.tensor([1.0], dtype=torch.float64)") == ["tensor"]
    assert seen[0][1] == ["dtype"]
    assert calls("torch.zeros(2); torch.arange(3)") == ["zeros", "arange"]
    assert calls("torch.numel(x); torch.is_complex(x)") == ["numel", "is_complex"]
    assert calls("torch.autograd.grad(w.sum(), w)") == ["Tensor.sum", "grad"]
    assert calls("torch.autograd.backward(w.sum())") == ["Tensor.sum", "backward"]
    assert [n for n in calls("nn.Linear(2, 3)") if not n.endswith("__get__")] == [
        "empty", "empty", "nn.init.kaiming_uniform_", "nn.init.uniform_"]
    assert seen[-1][1] == ["a", "b", "generator", "tensor"]
    class Unfilled(TorchFunctionMode):  # as programs skip the filling of parameters
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if getattr(func, "__module__", None) == nn.init.__name__:
                return kwargs["tensor"]
            return func(*args, **(kwargs or {}))
    class OnMeta(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func in (torch.empty, torch.tensor, torch.zeros, torch.ones):
                kwargs = dict(kwargs or {}, device="meta")
            return func(*args, **(kwargs or {}))
    before = torch.random.get_rng_state()
    with Unfilled():
        nn.Linear(2, 3), nn.Embedding(2, 2)
    assert torch.equal(before, torch.random.get_rng_state())
    with OnMeta():
        assert all(t.is_meta for t in nn.BatchNorm1d(3).state_dict().values())
    class Nobody(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            return NotImplemented
    for call in (lambda: x.shape, lambda: torch.tensor(1), lambda: torch.zeros(2)):
        try:
            with Nobody():
                call()
        except TypeError as error:
            assert "Multiple dispatch failed" in str(error), error
        else:
            raise AssertionError
    assert x.shape == (2, 3)
    """)


def test_functions_written_in_python_hand_over_what_has_defaults_by_name():
    run("""
    from framework import nn
    F = nn.functional
    class Swap(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append((len(args), sorted(kwargs or ())))
            return F.gelu(*args) if func is F.relu else func(*args, **(kwargs or {}))
    x, seen = torch.ones(2, 3), []
    with Swap():
        assert torch.equal(nn.ReLU()(x), F.gelu(x)) and seen[0] == (1, ["inplace"])
        F.softmax(x, -1)
        assert seen[-1] == (1, ["_stacklevel", "dim", "dtype"])
        F.cross_entropy(x, torch.tensor([0, 1]), reduction="sum")
        assert seen[-1][0] == 2 and "reduction" in seen[-1][1] and "weight" in seen[-1][1]
        with torch._C.DisableTorchFunction():
            count = len(seen)
            F.relu(x)
    assert len(seen) == count
    """)


def test_users_functions():
    run("""
    from framework.overrides import handle_torch_function, has_torch_function, is_tensor_like
    def mine(x, y):
        if has_torch_function((x, y)):
            return handle_torch_function(mine, (x, y), x, y)
        return 1
    class Yes:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return func.__name__ if func is mine else NotImplemented
    class No(Yes):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return NotImplemented
    t = torch.ones(1)
    assert mine(t, t) == 1 and mine(t, Yes()) == "mine" and mine(Yes(), No()) == "mine"
    assert is_tensor_like(Yes()) and is_tensor_like(t) and not is_tensor_like(1)
    try:
        mine(t, No())
    except TypeError as error:
        assert "no implementation found for '__main__.mine'" in str(error)
    else:
        raise AssertionError
    """)


def test_nothing_is_looked_for_until_there_is_a_class():
    run("""
    from framework.core import overridable
    plain = torch.Tensor.add
    torch.add(torch.ones(1), 1)
    assert not overridable.active() and torch.Tensor.add is plain
    class Sub(torch.nn.Parameter):
        pass
    assert not overridable.active()
    try:
        torch.matmul(torch.ones(2, 3), torch.ones(2, 3))
    except RuntimeError:
        assert not overridable.active()  # a call that fails has not met an override by that
    class Mine(torch.Tensor):
        pass
    assert overridable.active()
    """)


def test_signatures_are_those_of_the_functions():
    import inspect

    import framework as torch
    from framework.core.out import with_out
    from framework.core.overridable import overridable

    assert list(inspect.signature(torch.logsumexp).parameters)[:3] == ["input", "dim", "keepdim"]
    assert torch.sum.__name__ == "sum" and torch.sum.__doc__

    def f(a, /, b=1, *rest, c=2, d, **more):
        """Words."""
        return a, b, rest, c, d, more

    made = overridable(f)
    assert made(1, d=4) == (1, 1, (), 2, 4, {})
    assert made(1, 2, 3, c=4, d=5, e=6) == (1, 2, (3,), 4, 5, {"e": 6})
    assert made.__doc__ == "Words." and "d" in inspect.signature(made).parameters

    def double(input, *, twice=False):
        return input * (4 if twice else 2)

    made = overridable(double, with_out(double))
    out = torch.zeros(2)
    assert made(torch.ones(2), twice=True, out=out) is out and out.tolist() == [4.0, 4.0]
    assert "out" in inspect.signature(made).parameters


WRITTEN = """
x + x | 1 + x | x - x | 1 - x | x * 2 | 2 / x | x // 2 | 2 % x | 2 ** x | x @ x | ones @ x | -x
x == x | x < 1 | 1 < x | i & i | 1 & i | i << 1 | ~i | x[0] | x.add(1) | torch.add(x, 1)
torch.add(x, other=1) | torch.add(input=x, other=x, alpha=2) | torch.linalg.norm(x)
torch.linalg.norm(x, ord=2, dim=None) | torch.fft.fft(x, n=2) | torch.special.expit(x)
torch.sum(x, dim=0) | torch.sum(x, 0) | x.sum(dim=0) | x.mean(dim=-1, keepdim=True)
torch.cat([x, x], dim=1) | torch.stack((x, x)) | torch.where(x > 0, x, x) | torch.mm(x, mat2=x)
torch.nn.functional.linear(x, x) | torch.nn.functional.gelu(x, approximate="none")
torch.pow(input=x, exponent=2) | torch.clamp(x, min=0) | torch.matmul(x, other=x) | x.view(4)
torch.topk(x, k=1, dim=0) | torch.sort(x, stable=True) | torch.linalg.eigh(input=x)
torch.zeros_like(x) | x.to(torch.float64) | torch.allclose(x, x, rtol=1e-5) | x.type() | x.T
torch.relu_(x) | torch.clamp_(x, max=1) | torch.dot(x[0], tensor=x[1]) | x.requires_grad
"""

# What ``__torch_function__`` is told of the last call in an expression.
SPY = """
import torch as theirs

def told(torch, text):
    log = []

    class Spy(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            kinds = [type(a).__name__ for a in args]
            words = {k: type(v).__name__ for k, v in (kwargs or {}).items()}
            log.append((func, func.__name__, kinds, words))
            return super().__torch_function__(func, types, args, kwargs or {})

    x = torch.tensor([[2.0, 1.0], [1.0, 3.0]]).as_subclass(Spy)
    i = torch.tensor([1, 2]).as_subclass(Spy)
    eval(text, {"torch": torch, "x": x, "ones": torch.ones(2, 2), "i": i})
    return log[-1]
"""


def test_calls_are_handed_over_as_they_are_written():
    pytest.importorskip("torch")
    run(
        f"""{SPY}
wrong = []
for text in {[t.strip() for t in WRITTEN.replace(chr(10), " | ").split(" | ") if t.strip()]}:
    mine, other = told(torch, text), told(theirs, text)
    if mine[1:] != other[1:]:
        wrong.append((text, mine[1:], other[1:]))
assert not wrong, wrong
"""
    )


def test_the_function_handed_over_is_the_one_that_was_called():
    run(
        SPY.replace("import torch as theirs", "")
        + """
for text in (
    "torch.linalg.norm", "torch.fft.fft", "torch.relu_", "torch.nn.functional.gelu",
    "torch.Tensor.add", "torch.Tensor.sum", "torch.special.expit",
):
    function = eval(text)
    call = f"{text}(x, 1)" if text.endswith("add") else f"{text}(x)"
    assert told(torch, call)[0] is function, text
for text, function in (("x - 1", "sub"), ("1 - x", "__rsub__"), ("x @ x", "matmul")):
    assert told(torch, text)[0] is getattr(torch.Tensor, function), text
assert torch.overrides.resolve_name(torch.linalg.norm) == "torch.linalg.norm"
"""
    )


def test_signatures_stay_when_there_are_overriding_classes():
    run(
        """
        import inspect
        before = inspect.signature(torch.add)
        class Other(torch.Tensor):
            pass
        assert inspect.signature(torch.add) == before
        assert "alpha" in inspect.signature(torch.sub).parameters
        assert torch.add(torch.ones(2), other=1, alpha=2).tolist() == [3.0, 3.0]
        try:
            torch.add(torch.ones(2))
        except TypeError as error:
            assert "missing" in str(error), error
        assert type(torch.add(torch.ones(2).as_subclass(Other), 1)) is Other
        """
    )


def test_a_parameter_made_of_a_subclass_keeps_its_class():
    run("""
    import copy, pickle
    from framework import nn
    class Sub(torch.Tensor):
        pass
    class Mine(nn.Parameter):
        def __new__(cls, data, tag, requires_grad=True):
            made = super().__new__(cls, data, requires_grad)
            made.tag = tag
            return made
    x = torch.ones(2).as_subclass(Sub)
    p = nn.Parameter(x)
    assert type(p) is Sub and isinstance(p, nn.Parameter) and not isinstance(p, Mine)
    assert p.requires_grad and p.is_leaf and p.data_ptr() == x.data_ptr()
    assert repr(p) == "Parameter(Sub([1., 1.], requires_grad=True))"
    for other in (p * 2, p.detach(), p.data, x):
        assert type(other) is Sub and not isinstance(other, nn.Parameter)
    for other in (copy.deepcopy(p), copy.copy(p)):
        assert type(other) is Sub and isinstance(other, nn.Parameter)
    layer = nn.Linear(2, 2)
    layer.weight = nn.Parameter(torch.ones(2, 2).as_subclass(Sub))
    layer.to(torch.float64)
    assert [type(q) for q in layer.parameters()] == [Sub, nn.Parameter]
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    layer(torch.ones(1, 2, dtype=torch.float64)).sum().backward()
    optimizer.step()
    assert type(layer.weight) is Sub and layer.weight.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    mine = Mine(torch.ones(1), tag="m")
    assert type(mine) is Mine and mine.tag == "m" and isinstance(mine, nn.Parameter)
    assert repr(mine) == "Parameter containing:\\nParameter(Mine([1.], requires_grad=True))"
    assert type(copy.deepcopy(mine)) is Mine and type(mine + 1) is torch.Tensor
    for wrong, kind in ((Mine(torch.ones(1), "m"), RuntimeError), ([1.0], AttributeError),
                        (torch.ones(2, dtype=torch.int64).as_subclass(Sub), RuntimeError)):
        try:
            nn.Parameter(wrong)
        except kind:
            pass
        else:
            raise AssertionError(wrong)
    """)


def test_a_buffer_is_a_mark_on_a_tensor_of_any_class():
    run("""
    import copy, pickle
    from framework import nn
    class Sub(torch.Tensor):
        pass
    b = nn.Buffer(torch.zeros(2))
    assert type(b) is torch.Tensor and isinstance(b, nn.Buffer) and b.persistent
    assert not isinstance(b + 1, nn.Buffer) and not isinstance(torch.zeros(2), nn.Buffer)
    assert isinstance(nn.UninitializedBuffer(), nn.Buffer)
    for other in (copy.deepcopy(b), copy.copy(b), pickle.loads(pickle.dumps(b))):
        assert isinstance(other, nn.Buffer)
    module = nn.Module()
    module.a = b
    module.b = nn.Buffer(torch.ones(1).as_subclass(Sub), persistent=False)
    assert type(module.b) is Sub and list(module.state_dict()) == ["a"]
    assert [name for name, _ in module.named_buffers()] == ["a", "b"]
    """)


def test_who_asked_early_what_is_not_wrapped_may_ask_again():
    run("""
    from framework.overrides import get_default_nowrap_functions
    assert torch.Tensor.grad.__get__ in get_default_nowrap_functions()
    class Mine(torch.Tensor):
        pass
    torch.ones(2).as_subclass(Mine) + 1
    assert torch.Tensor.grad.__get__ in get_default_nowrap_functions()
    """)
