"""Small habits at the edges: each test runs with PyTorch, too, where that is installed."""

from __future__ import annotations

import copy
import importlib.util
import io
import json
import pickle
import warnings
from typing import Any

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
        (lambda t: t.meshgrid(t.ones(2)), ""),
        (lambda t: t.meshgrid(t.ones(2), t.ones(1), indexing="ij"), ""),
        (lambda t: t.ones(1, 2, 3).T, "The use of `x.T` on tensors of dimension other than 2"),
        (lambda t: t.ones(()).T, "Tensor.T is deprecated on 0-D tensors"),
        (lambda t: t.ones(()).mT, "Tensor.mT is deprecated on 0-D tensors"),
        (lambda t: (t.ones(2, 2).T, t.ones(2).T, t.ones(1, 2, 3).mT), ""),
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
    said = _warned(lambda: call(torch))
    assert len(said) == (words != "") and words in "".join(said)


def test_warnings_name_the_line_of_the_program() -> None:
    x = framework.ones(2, 2, requires_grad=True) * 2
    for call in (
        lambda: x.grad, lambda: x[None].T, lambda: framework.tensor(x),
        lambda: x.new_tensor(x), lambda: framework.meshgrid(x[0], x[0]),
        lambda: framework.nn.functional.kl_div(x, x),
        lambda: framework.nn.KLDivLoss()(x, x), lambda: x[:1, 0].var(),
    ):  # fmt: skip
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
        assert [w.filename for w in caught] == [__file__]
