"""Small habits at the edges: each test runs with PyTorch, too, where that is installed."""

from __future__ import annotations

import copy
import importlib.util
import io
import json
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import framework

_NAMES = ["framework"] + ["torch"] * (importlib.util.find_spec("torch") is not None)


@pytest.fixture(params=_NAMES)
def torch(request: pytest.FixtureRequest) -> Any:
    return framework if request.param == "framework" else importlib.import_module("torch")


# -- copies --------------------------------------------------------------------------------------


def _pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, _pickled])
def test_copies_keep_what_a_program_has_set(torch, copied) -> None:
    x = torch.ones(2)
    x.note = [5]
    assert copied(x).note == [5] and (copied(x).note is x.note) == (copied is copy.copy)
    p = torch.nn.Parameter(torch.ones(2))
    p.note = [5]
    p.grad = torch.ones(2)
    # deep copies of parameters leave them out, in PyTorch as well
    assert hasattr(copied(p), "note") == (copied is not copy.deepcopy)
    assert copied(p).grad is None


def test_copies_have_no_hooks_of_the_original(torch) -> None:
    x = torch.ones(2, requires_grad=True)
    x.note = 1
    seen: list[object] = []
    x.register_hook(seen.append)
    for made in (copy.deepcopy(x), copy.copy(x)):
        (made * 2).sum().backward()
        assert seen == [] and made.note == 1 and x.grad is None


def test_a_shallow_copy_of_a_part_knows_its_place(torch) -> None:
    x = copy.copy(torch.arange(6)[2:])
    assert x.storage_offset() == 2 and x[1:].storage_offset() == 3


# -- files ---------------------------------------------------------------------------------------


def _saved(torch, value: Any) -> tuple[Any, int]:
    """What comes back from a file, and the length of that."""
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file), len(file.getvalue())


def test_files_keep_what_shares_memory(torch) -> None:
    x = torch.arange(6.0)
    whole, part, other = _saved(torch, [x, x[2:4], x.view(2, 3).t()])[0]
    part[0] = 9
    assert whole.tolist() == [0, 1, 9, 3, 4, 5] and other[2, 0] == 9 and x[2] == 2
    assert part.storage_offset() == 2 and part[1:].storage_offset() == 3
    assert other.stride() == (1, 3) and other.untyped_storage().nbytes() == 24
    part, whole = _saved(torch, (x[1:], x))[0]  # whichever comes first
    whole[1] = 7
    assert part[0] == 7
    left, right = _saved(torch, [x[:3], x[1:5]])[0]  # neither is all of it
    left[1] = 8
    assert right.tolist() == [8, 2, 3, 4]
    half, same = _saved(torch, [x.to(torch.bfloat16)] * 2)[0]
    assert half is same and half.dtype is torch.bfloat16


def test_files_keep_types_that_share_memory() -> None:
    z = framework.tensor([1 + 2j, 3 + 4j])
    pairs, numbers = _saved(framework, [framework.view_as_real(z), z])[0]
    pairs[0, 1] = 5
    assert numbers.tolist() == [1 + 5j, 3 + 4j] and z[0] == 1 + 2j


def test_files_of_the_form_before_are_read() -> None:
    skeleton = '[{"$tensor":"0","complex":true},{"$tensor":"1","kind":"parameter"}]'
    header = {
        "__metadata__": {"tapebook": skeleton},
        "0": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]},
        "1": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]},
    }
    text = json.dumps(header).encode()
    numbers = b"\0\0\x80\x3f" * 4
    z, p = framework.load(io.BytesIO(len(text).to_bytes(8, "little") + text + numbers))
    assert z.tolist() == [1 + 1j] and p.tolist() == [1, 1]
    assert type(p) is framework.nn.Parameter


@pytest.mark.parametrize(
    "more",
    [
        {"view": [0, [2], [1], "float32"]},
        {"view": [1, [1], [1], "float32"]},
        {"view": [-1, [1], [1], "float32"]},
        {"view": [0, [1], [1], "float64"]},
        {"view": [0, [1], [], "float32"]},
        {"view": 3},
        {"strides": [5, 9]},
        {"strides": [-1]},
    ],
)
def test_views_of_a_damaged_file_are_refused(more) -> None:
    header = {
        "__metadata__": {"tapebook": json.dumps({"$tensor": "a", **more})},
        "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
    }
    text = json.dumps(header).encode()
    with pytest.raises(ValueError, match="skeleton is damaged"):
        framework.load(io.BytesIO(len(text).to_bytes(8, "little") + text + b"\0" * 4))


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t.ones(2, 3).t(),
        lambda t: t.arange(24).view(2, 3, 4).permute(1, 2, 0),
        lambda t: t.arange(6).view(2, 3)[:, 1],
        lambda t: t.arange(3).expand(4, 3),
        lambda t: t.tensor([[1j, 2], [3, 4j]]).t(),
        lambda t: t.ones(2, 3, dtype=t.bfloat16).t(),
        lambda t: t.ones(2, 3, 4, 5).to(memory_format=t.channels_last),
        lambda t: t.ones(2, 0, 3).transpose(0, 2),
        lambda t: t.tensor(3),
    ],
)
def test_files_keep_strides(torch, make) -> None:
    x = make(torch)
    y = _saved(torch, x)[0]
    assert y.stride() == x.stride() and torch.equal(x, y) and y.dtype is x.dtype
    assert _saved(torch, y)[0].tolist() == x.tolist()


def test_tied_weights_are_stored_once(torch) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(100, 100), torch.nn.Linear(100, 100))
    model[1].weight = model[0].weight
    state, size = _saved(torch, model.state_dict())
    assert size < 50_000 and state["0.weight"].data_ptr() == state["1.weight"].data_ptr()
    assert state["0.weight"] is not state["1.weight"]
    (a, b), _ = _saved(torch, [model[0].weight, model[0].weight.detach()])
    assert a.requires_grad and not b.requires_grad and a.data_ptr() == b.data_ptr()


# -- warnings ------------------------------------------------------------------------------------


def _warned(call: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert all(w.category is UserWarning for w in caught)
    return [str(w.message) for w in caught]


def test_the_gradient_of_what_is_no_leaf_warns(torch) -> None:
    y = torch.ones(2, requires_grad=True) * 2
    for _ in range(2):
        (said,) = _warned(lambda: y.grad)
        assert "attribute of a Tensor that is not a leaf Tensor is being accessed" in said
    y.retain_grad()
    assert not _warned(lambda: y.grad)
    y.sum().backward()
    assert not _warned(lambda: y.grad) and y.grad.tolist() == [1, 1]
    y = torch.ones(2, requires_grad=True) * 2
    assert not _warned(lambda: setattr(y, "grad", torch.ones(2))) and not _warned(lambda: y.grad)
    assert not _warned(lambda: delattr(y, "grad"))
    x = torch.ones(2, requires_grad=True)
    assert len(_warned(lambda: x[:1].grad)) == 1 and not _warned(lambda: x.grad)
    assert not _warned(lambda: (x.detach() * 2)[:1].grad)
    assert not _warned(lambda: (x * 2).sum().backward())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda t: t.meshgrid(t.ones(2), t.ones(1)), "required to pass the indexing argument"),
        (lambda t: t.meshgrid(t.ones(2), t.ones(1), indexing="ij"), ""),
        (lambda t: t.ones(1, 2, 3).T, "The use of `x.T` on tensors of dimension other than 2"),
        (lambda t: t.ones(()).T, "Tensor.T is deprecated on 0-D tensors"),
        (lambda t: t.ones(()).mT, "Tensor.mT is deprecated on 0-D tensors"),
        (lambda t: (t.ones(2, 2).T, t.ones(1, 2, 3).mT), ""),
        (lambda t: t.ones(2).T, "The use of `x.T` on tensors of dimension other than 2"),
        (lambda t: t.tensor(t.ones(2)), "rather than torch.tensor(sourceTensor)"),
        (lambda t: t.tensor([t.ones(())]), ""),
        (lambda t: t.ones(1).new_tensor(t.ones(2)), "rather than tensor.new_tensor(sourceTensor)"),
        (lambda t: t.nn.KLDivLoss()(t.ones(2, 2), t.ones(2, 2)), "reduction: 'mean' divides"),
        (lambda t: t.nn.KLDivLoss(reduction="sum")(t.ones(2, 2), t.ones(2, 2)), ""),
        (lambda t: t.ones(1).var(), "var(): degrees of freedom is <= 0"),
        (lambda t: t.ones(0).std(), "std(): degrees of freedom is <= 0"),
        (lambda t: t.var_mean(t.ones(2, 1), 1), "var_mean(): degrees of freedom is <= 0"),
    ],
)
def test_one_warning_or_none(torch, call, words) -> None:
    torch.set_warn_always(True)
    try:
        said = _warned(lambda: call(torch))
    finally:
        torch.set_warn_always(False)
    assert len(said) == (words != "") and words in "".join(said)


def test_warnings_name_the_line_of_the_program() -> None:
    x = framework.ones(2, 2, requires_grad=True) * 2
    for call in (
        lambda: x.grad, lambda: framework.tensor(x),
        lambda: x.new_tensor(x), lambda: framework.meshgrid(x[0], x[0]),
        lambda: framework.nn.functional.kl_div(x, x),
        lambda: framework.nn.KLDivLoss()(x, x), lambda: x[:1, 0].var(),
    ):  # fmt: skip
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        assert [w.filename for w in caught] == [__file__]


# -- Function.apply ------------------------------------------------------------------------------


def _functions(torch) -> tuple[Any, Any]:
    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, k=2, more=1):
            ctx.factor, ctx.count = k * more, len(ctx.needs_input_grad)
            return x * ctx.factor

        @staticmethod
        def backward(ctx, g):
            return g * ctx.factor, *[None] * (ctx.count - 1)

    class Split(torch.autograd.Function):
        @staticmethod
        def forward(x, k=2):
            return x * k

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.factor = inputs[1]

        @staticmethod
        def backward(ctx, g):
            return g * ctx.factor, None

    return Scaled, Split


def test_a_function_takes_keywords(torch) -> None:
    scaled, split = _functions(torch)
    x = torch.ones(1, requires_grad=True)
    for kind in (scaled, split):
        for y in (kind.apply(x, k=3), kind.apply(k=3, x=x), kind.apply(x, 3)):
            assert torch.autograd.grad(y, x)[0].tolist() == y.tolist() == [3]
        assert torch.autograd.grad(kind.apply(x), x)[0].tolist() == [2]
        with pytest.raises(TypeError, match="got an unexpected keyword argument 'z'"):
            kind.apply(x, z=1)
        with pytest.raises(TypeError, match="multiple values for argument 'x'"):
            kind.apply(x, x=x)
    with pytest.raises(TypeError, match=r"missing required argument: 'k' \(position 1\)"):
        scaled.apply(x, more=3)


# -- refusals ------------------------------------------------------------------------------------


def _set_data(x: Any, value: Any) -> None:
    x.data = value


def _delete(x: Any) -> None:
    del x[0]


_WRONG: dict[str, tuple[Any, type[Exception]]] = {
    "matmul": (lambda t, a, d: t.matmul(a, a, out=d), RuntimeError),
    "mm": (lambda t, a, d: t.mm(a, a, out=d), RuntimeError),
    "linalg.matmul": (lambda t, a, d: t.linalg.matmul(a, a, out=d), RuntimeError),
    "bmm": (lambda t, a, d: t.bmm(a[None], a[None], out=d[None]), RuntimeError),
    "mv": (lambda t, a, d: t.mv(a, a[0], out=d[0]), RuntimeError),
    "dot": (lambda t, a, d: t.dot(a[0], a[0], out=d[0, 0]), RuntimeError),
    "inner": (lambda t, a, d: t.inner(a, a, out=d), RuntimeError),
    "addmm": (lambda t, a, d: t.addmm(a, a, a, out=d), RuntimeError),
    "tensordot": (lambda t, a, d: t.tensordot(a, a, 1, out=d), RuntimeError),
    "to a list": (lambda t, a, d: a.to([1]), TypeError),
    "to a function": (lambda t, a, d: a.to(len), TypeError),
    "to a tuple": (lambda t, a, d: a.to(("cpu",)), TypeError),
    "to two devices": (lambda t, a, d: a.to("cpu", "cpu"), TypeError),
    "to two dtypes": (lambda t, a, d: a.to(t.int64, t.float64), TypeError),
    "data of ints": (lambda t, a, d: _set_data(a.requires_grad_(), t.ones(2).int()), RuntimeError),
    "data of a number": (lambda t, a, d: _set_data(a, 3), TypeError),
    "bfloat16": (lambda t, a, d: a.bfloat16().numpy(), TypeError),
    "asarray": (lambda t, a, d: np.asarray(a.bfloat16()), TypeError),
    "complex": (lambda t, a, d: t.tensor([1j], dtype=t.float32), TypeError),
    "complex to int": (lambda t, a, d: t.tensor(1j, dtype=t.int64), TypeError),
    "dist": (lambda t, a, d: t.dist(a, 2), TypeError),
    "eq": (lambda t, a, d: a.eq(None), TypeError),
    "ne": (lambda t, a, d: t.ne(a, None), TypeError),
    "flatten": (lambda t, a, d: t.nn.Flatten()(t.ones(())), IndexError),
    "flatten to": (lambda t, a, d: t.ones(()).flatten(0, 1), IndexError),
    "in": (lambda t, a, d: "a" in a, RuntimeError),
    "None in": (lambda t, a, d: None in a, RuntimeError),
    "text in a list": (lambda t, a, d: t.tensor(["a"]), ValueError),
    "text among numbers": (lambda t, a, d: t.tensor([1, "ab"]), TypeError),
    "text": (lambda t, a, d: t.tensor("a"), TypeError),
    "bytes": (lambda t, a, d: t.tensor(b"a"), TypeError),
    "del": (lambda t, a, d: _delete(a), TypeError),
    "logit": (lambda t, a, d: t.logit(a, eps="a"), TypeError),
    "logit of a list": (lambda t, a, d: a.logit([0.1]), TypeError),
}


@pytest.mark.parametrize("name", _WRONG)
def test_what_is_refused(torch, name) -> None:
    call, kind = _WRONG[name]
    with pytest.raises(kind) as caught:
        call(torch, torch.ones(2, 2), torch.ones(2, 2, dtype=torch.float64))
    assert caught.type is kind


def test_what_is_not_refused(torch) -> None:
    a = torch.ones(2, 2)
    assert torch.mm(a, a, out=torch.empty(2, 2)).tolist() == [[2, 2], [2, 2]]
    assert torch.outer(a[0], a[0], out=torch.empty(2, 2).double()).dtype is torch.float64
    room = torch.empty(2, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.chain_matmul(a, a, out=room) is room and room.tolist() == [[2, 2], [2, 2]]
    assert a.to("cpu", torch.float64, True, True).dtype is torch.float64
    assert a.to(None) is a and a.to(int).dtype is torch.int64
    x = torch.ones(2, requires_grad=True)
    x.data = torch.zeros(2, dtype=torch.float64)
    assert x.dtype is torch.float64 and x.requires_grad
    assert torch.tensor(1j, dtype=torch.bool).item() is True
    assert (a == None) is False and (a != "a") is True  # noqa: E711
    assert torch.ones(()).flatten(-1, 0).shape == (1,)
    assert 1 in a and 1j not in a and torch.ones(1) in a and np.float32(1) in a
    assert torch.logit(torch.zeros(1), torch.tensor(0.5)).tolist() == [0]
    powers = torch.tensor([True, False])
    assert (powers**True).tolist() == [True, False] and (powers**False).tolist() == [True, True]
    with pytest.raises(NotImplementedError):
        powers**powers
    assert (powers**True).dtype is torch.bool and powers.pow_(False).tolist() == [True, True]


# -- attention -----------------------------------------------------------------------------------


def test_a_mask_beside_is_causal(torch) -> None:
    attend = torch.nn.functional.scaled_dot_product_attention
    q, v = torch.ones(1, 2, 3, 4), torch.arange(24.0).view(1, 2, 3, 4)
    seen = torch.tensor([[1, 0, 1], [0, 1, 0], [0, 1, 1]]).bool()
    found = attend(q, q, v, seen, is_causal=True)
    assert found[0, 0, :, 0].tolist() == [0, 4, 6]
    found = attend(q, q, v, torch.zeros(1, 1, 3, 3), is_causal=True)
    assert found[0, 0, :, 0].tolist() == pytest.approx([0, 2, 4])
    blind = attend(q, q, v, torch.tensor([[0, 1, 1]] * 3).bool(), is_causal=True)
    assert blind[0, 0, :, 0].tolist() == [0, 4, 6]
    few = attend(q, q[:, :1], v[:, :1], seen, is_causal=True, enable_gqa=True)
    assert few[0, 1, :, 0].tolist() == [0, 4, 6]
    wanted = torch.zeros(3, 3, requires_grad=True)
    for args, options in [
        ((q[0], q[0], v[0], seen), {}), ((q, q, v, seen), {"dropout_p": 0.1}),
        ((q, q, v[..., :2], seen), {}), ((q, q, v, wanted), {}), ((q, q, v, seen[None]), {}),
        ((q, q[:, :1], v[:, :1], seen), {}), ((q.mT.contiguous().mT, q, v, seen), {}),
    ]:  # fmt: skip
        with pytest.raises(RuntimeError, match="attn_mask should not be set when is_causal=True"):
            attend(*args, is_causal=True, **options)
