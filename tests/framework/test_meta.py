"""The ``meta`` device: shapes without memory, and what is refused because there are no numbers."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest

import framework as torch
from framework import nn

F = nn.functional


def meta(*shape: int, **options: Any) -> Any:
    return torch.empty(*shape, device="meta", **options)


# -- what it is --------------------------------------------------------------------------------


def test_it_has_a_shape_and_no_address() -> None:
    x = meta(2, 3)
    assert x.device == torch.device("meta") and x.is_meta and not x.is_cpu and not x.is_cuda
    assert x.shape == (2, 3) and x.stride() == (3, 1) and x.nbytes == 24
    assert x.data_ptr() == 0 and x.get_device() == -1
    assert x[1].storage_offset() == 3 and x.t().stride() == (1, 3)
    assert x.untyped_storage().nbytes() == 24 and x.untyped_storage().data_ptr() == 0


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (lambda: meta(2, 3), "tensor(..., device='meta', size=(2, 3))"),
        (lambda: meta(0), "tensor(..., device='meta', size=(0,))"),
        (lambda: meta(()), "tensor(..., device='meta', size=())"),
        (
            lambda: meta(2, dtype=torch.int64),
            "tensor(..., device='meta', size=(2,), dtype=torch.int64)",
        ),
        (
            lambda: meta(2, requires_grad=True),
            "tensor(..., device='meta', size=(2,), requires_grad=True)",
        ),
        (
            lambda: meta(2, requires_grad=True) * 2,
            "tensor(..., device='meta', size=(2,), grad_fn=<MulBackward0>)",
        ),
        (
            lambda: nn.Linear(2, 3, device="meta").weight,
            "Parameter containing:\ntensor(..., device='meta', size=(3, 2), requires_grad=True)",
        ),
        (
            lambda: meta(2).untyped_storage(),
            "...\n[torch.storage.UntypedStorage(device=meta) of size 8]",
        ),
    ],
)
def test_it_prints_without_numbers(made: Any, shown: str) -> None:
    assert repr(made()) == shown


def test_every_creation_knows_the_device() -> None:
    state = torch.get_rng_state()
    made = [
        torch.zeros(2, 3, device="meta"), torch.full((2, 3), 1.0, device="meta"),
        torch.rand(2, 3, device="meta"), torch.randn(2, 3, device="meta"),
        torch.tensor([[1.0] * 3] * 2, device="meta"), torch.zeros(2, 3).to("meta"),
        torch.empty_strided((2, 3), (3, 1), device="meta"), meta(1).new_zeros(2, 3),
        torch.ones_like(torch.zeros(2, 3), device="meta"),
    ]  # fmt: skip
    assert all(t.is_meta and t.shape == (2, 3) and t.dtype is torch.float32 for t in made)
    counted = [torch.arange(4, device="meta"), torch.randperm(4, device="meta")]
    assert all(t.shape == (4,) and t.dtype is torch.int64 for t in counted)
    assert torch.eye(3, 4, device="meta").shape == (3, 4)
    assert torch.linspace(0, 1, 7, device="meta").shape == (7,)
    assert torch.equal(torch.get_rng_state(), state)


def test_default_device() -> None:
    with torch.device("meta"):
        assert torch.ones(2).is_meta and torch.tensor(1.0).is_meta
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    assert all(t.is_meta for t in model.state_dict().values())
    assert not torch.ones(2).is_meta
    torch.set_default_device("meta")
    try:
        assert torch.get_default_device() == torch.device("meta") and torch.ones(2).is_meta
        assert repr(torch.ones(2)) == "tensor(..., device='meta', size=(2,))"
    finally:
        torch.set_default_device(None)


def test_copies_of_it() -> None:
    x = meta(2, 3).t()
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x)), x.clone()):
        assert other.is_meta and other.shape == (3, 2) and other.stride() == (1, 3)


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda x: x.cpu(), NotImplementedError, "Cannot copy out of meta tensor; no data!"),
        (lambda x: x.tolist(), NotImplementedError, "Cannot copy out of meta tensor; no data!"),
        (lambda x: torch.ones(2, 3).copy_(x), NotImplementedError, "Cannot copy out of meta"),
        (lambda x: x[0, 0].item(), RuntimeError, r"Tensor.item\(\) cannot be called on meta"),
        (lambda x: bool(x[0, 0]), RuntimeError, r"Tensor.item\(\) cannot be called on meta"),
        (lambda x: x.numpy(), TypeError, "can't convert meta device type tensor to numpy"),
        (lambda x: np.asarray(x), TypeError, "can't convert meta device type tensor to numpy"),
        (lambda x: x.nonzero(), NotImplementedError, "aten::nonzero: .*with Meta tensors"),
        (lambda x: x[x > 0], NotImplementedError, "with Meta tensors"),
        (lambda x: x.masked_select(x > 0), NotImplementedError, "with Meta tensors"),
        (lambda x: torch.argwhere(x[0, 0]), NotImplementedError, "aten::nonzero"),
        (lambda x: x.unique(), NotImplementedError, "aten::_unique2: .*with Meta tensors"),
        (lambda x: torch.equal(x, x), NotImplementedError, "aten::equal: .*with Meta tensors"),
        (lambda x: torch.allclose(x, x), RuntimeError, "cannot be called on meta tensors"),
        (lambda x: x + torch.ones(2, 3), RuntimeError, "cpu is not on the expected device meta"),
        (lambda x: torch.ones(3) + x, RuntimeError, "meta is not on the expected device cpu"),
        (lambda x: x @ x, RuntimeError, "matmul|mat1 and mat2"),
        (lambda x: x + meta(4), RuntimeError, "must match the size of tensor b"),
        (lambda x: torch.Generator("meta"), RuntimeError, "META device type not an accelerator"),
        (
            lambda x: nn.Linear(2, 2, device="meta").to("cpu"),
            NotImplementedError,
            r"Please use torch.nn.Module.to_empty\(\) instead of torch.nn.Module.to\(\)",
        ),
        (
            lambda x: x.repeat_interleave(meta(2, dtype=torch.int64), 0),
            RuntimeError,
            "cannot repeat_interleave a meta tensor without output_size",
        ),
    ],
)
def test_numbers_are_refused(call: Any, kind: type, words: str) -> None:
    with pytest.raises(kind, match=words):
        call(meta(2, 3))


def test_a_number_of_the_host_may_meet_it() -> None:
    assert (meta(2, 3) + torch.tensor(2.0)).shape == (torch.tensor(2.0) * meta(2, 3)).shape
    assert meta(4, 3)[torch.tensor([0, 2])].shape == (2, 3)


# -- modules -----------------------------------------------------------------------------------


def test_a_module_gets_its_memory_later() -> None:
    model = nn.Sequential(nn.Linear(2, 3, device="meta"), nn.Tanh(), nn.Linear(3, 1, device="meta"))
    model.to_empty(device="cpu")
    assert not any(p.is_meta for p in model.parameters())
    for layer in model:
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()
    assert model(torch.ones(1, 2)).shape == (1, 1)


def test_load_state_dict_assign() -> None:
    source = nn.Linear(2, 3)
    with torch.device("meta"):
        model = nn.Linear(2, 3)
    with pytest.warns(UserWarning, match="is a no-op"):
        model.load_state_dict(source.state_dict())
    assert model.weight.is_meta
    model.load_state_dict(source.state_dict(), assign=True)
    assert torch.equal(model.weight, source.weight)
    assert isinstance(model.weight, nn.Parameter) and model.weight.requires_grad


def test_initialisation_does_nothing() -> None:
    state = torch.get_rng_state()
    for start in (
        nn.init.normal_, nn.init.uniform_, nn.init.xavier_uniform_, nn.init.kaiming_normal_,
        nn.init.orthogonal_, nn.init.trunc_normal_, nn.init.zeros_, nn.init.eye_,
    ):  # fmt: skip
        assert start(meta(3, 4)).is_meta
    assert torch.equal(torch.get_rng_state(), state)
    assert nn.utils.skip_init(nn.Linear, 2, 3).weight.device.type == "cpu"


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.wide = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(0.1), nn.Linear(4 * width, width)
        )

    def forward(self, x: Any) -> Any:
        h = self.norms[0](x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        return x + self.wide(self.norms[1](x))


def language_model(words: int, width: int, heads: int, layers: int) -> Any:
    blocks = [Block(width, heads) for _ in range(layers)]
    return nn.Sequential(
        nn.Embedding(words, width), *blocks, nn.LayerNorm(width), nn.Linear(width, words)
    )


def images(classes: int) -> Any:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(8, 16, 3, groups=2), nn.GroupNorm(4, 16), nn.SiLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(16, classes),
    )  # fmt: skip


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(5, 6, 2, bidirectional=True, dropout=0.2)
        self.gru = nn.GRU(12, 4)
        self.out = nn.Linear(4, 7)

    def forward(self, x: Any) -> Any:
        return self.out(self.gru(self.lstm(x)[0])[0]).mean(0)


@pytest.mark.parametrize(
    ("make", "shape", "whole"),
    [
        (lambda: language_model(11, 8, 2, 2), (2, 5), True),
        (lambda: images(7), (2, 3, 32, 32), False),
        (Recurrent, (4, 2, 5), False),
    ],
    ids=["transformer", "convolutions", "recurrent"],
)
def test_models_run_there_as_on_the_cpu(make: Any, shape: Any, whole: bool) -> None:
    looks = []
    for where in ("cpu", "meta"):
        with torch.device(where):
            model = make()
            x = torch.randint(0, 7, shape) if whole else torch.randn(shape)
            y = model(x)
            target = x.view(-1) if whole else torch.randint(0, 7, shape[-3:-2] or (2,))
            if not whole:
                target = torch.randint(0, 7, (len(y),))
            loss = F.cross_entropy(y.reshape(-1, y.shape[-1]), target)
            loss.backward()
            optimizer = torch.optim.AdamW(model.parameters())
            optimizer.step()
            total = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        every = [x, y, loss, total, *model.parameters(), *[p.grad for p in model.parameters()]]
        assert {t.device.type for t in every} == {where}
        looks.append([(t.shape, t.stride(), t.dtype, t.requires_grad) for t in every])
    assert looks[0] == looks[1]


def test_a_large_model_needs_no_memory() -> None:
    code = """
        import resource
        import framework as torch
        from framework import nn
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        layer = nn.Linear(200_000, 200_000, device="meta")
        y = layer(torch.empty(4, 200_000, device="meta"))
        y.sum().backward()
        torch.optim.Adam(layer.parameters()).step()
        with torch.device("meta"):
            deep = nn.Sequential(
                nn.Embedding(50_000, 12_288), nn.LayerNorm(12_288), nn.Dropout(0.1),
                nn.TransformerEncoderLayer(12_288, 96, 49_152, batch_first=True),
                nn.Linear(12_288, 50_000),
            )
            tokens = torch.randint(0, 50_000, (8, 2048))
            out = deep(tokens)
            nn.functional.cross_entropy(out.view(-1, 50_000), tokens.view(-1)).backward()
            seen = nn.Sequential(nn.Conv2d(3, 512, 7, 2, 3), nn.BatchNorm2d(512), nn.MaxPool2d(3))
            seen(torch.randn(1024, 3, 512, 512)).sum().backward()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(list(y.shape), list(layer.weight.grad.shape), list(out.shape), grown < 200_000)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[4, 200000] [200000, 200000] [8, 2048, 50000] True"


# -- ops ---------------------------------------------------------------------------------------


def test_views_share_and_writes_are_seen_by_autograd() -> None:
    x = meta(3, 4, requires_grad=True)
    y = x * 2
    y[1].add_(1)
    y.t()[0] = 5
    assert type(y.grad_fn).__name__ == "CopySlices"
    z = y.exp()
    z.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        x.add_(1)
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        meta(3, 4).t().view(12)


def test_gradients_of_higher_order_and_custom_functions() -> None:
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            assert x.is_meta and g.is_meta
            return g * 2

    x = meta(3, requires_grad=True)
    (g,) = torch.autograd.grad((Double.apply(x) ** 3).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad(g.sum(), x)
    assert h.is_meta and h.shape == (3,)


def test_what_is_traced_has_shapes() -> None:
    from framework.trace import recording

    with recording() as tape:
        (meta(2, 3) @ meta(3, 4)).relu()
    outputs = [o for e in tape.read() if type(e).__name__ == "Op" for o in e.outputs]
    assert [tuple(o.shape) for o in outputs][-1] == (2, 4)


def test_breakpoints_and_rules_find_nothing_there(tmp_path: Any) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
        import framework as torch
        layer = torch.nn.Linear(20_000, 20_000, device="meta")
        optimizer = torch.optim.SGD(layer.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            layer(torch.empty(4, 20_000, device="meta")).sum().backward()
            optimizer.step()
        """)
    )
    tape = str(tmp_path / "run.tape")
    for more, said in (
        (["--break", "nan"], "never hit"),
        (["--rules", "default"], "3 training steps: nothing found"),
        (["--record", tape], ""),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "app", "run", str(program), *more],
            capture_output=True,
            text=True,
        )
        text = done.stdout + done.stderr
        assert done.returncode == 0 and said in text and "Error" not in text, text


def test_losses_bags_and_segments_need_no_numbers():
    x = torch.empty(3, 4, device="meta", requires_grad=True)
    table = torch.empty(10, 4, device="meta", requires_grad=True)

    def ints(*shape):
        return torch.empty(*shape, dtype=torch.int64, device="meta")

    results = [
        (F.multilabel_margin_loss(x, ints(3, 4)), ()),
        (F.multilabel_margin_loss(x, ints(3, 4), reduction="none"), (3,)),
        (torch.segment_reduce(x, "max", lengths=ints(2)), (2, 4)),
        (torch.segment_reduce(x, "prod", offsets=ints(3)), (2, 4)),
        (torch.segment_reduce(x, "mean", lengths=ints(3, 2), axis=1), (3, 2)),
    ]
    for mode in ("sum", "mean", "max"):
        results += [
            (F.embedding_bag(ints(6), table, ints(2), mode=mode), (2, 4)),
            (F.embedding_bag(ints(6), table, ints(3), mode=mode, include_last_offset=True), (2, 4)),
            (F.embedding_bag(ints(2, 3), table, mode=mode, padding_idx=1), (2, 4)),
        ]
    for result, shape in results:
        assert result.is_meta and result.shape == shape and result.requires_grad
        result.sum().backward()
    assert x.grad.shape == (3, 4) and table.grad.shape == (10, 4)
    assert torch.histc(x.detach(), 7).shape == (7,)


def test_ends_that_are_tensors_on_meta():
    end = torch.empty((), device="meta")
    for made in (
        torch.linspace(0, end, 5), torch.logspace(end, end, 5), torch.linspace(end, 1, 5),
        torch.linspace(end.long(), 1, 5), torch.linspace(end, end, 5, out=meta(5)),
    ):  # fmt: skip
        assert made.is_meta and made.shape == (5,) and made.dtype is torch.float32
    with pytest.raises(RuntimeError, match="0-dimensional"):
        torch.linspace(end[None], 1, 5)
    with pytest.raises(RuntimeError, match="item"):
        torch.arange(end)


def test_saved_as_what_they_look_like(tmp_path):
    path = tmp_path / "model.safetensors"
    layer = nn.Linear(100_000, 100_000, device="meta")
    view = torch.empty(3, 4, dtype=torch.bfloat16, device="meta").t()
    torch.save({"layer": layer.state_dict(), "view": view, "twice": [view, layer.weight]}, path)
    assert path.stat().st_size < 2000
    back = torch.load(path)
    assert back["layer"]["weight"].is_meta and back["layer"]["weight"].shape == (100_000, 100_000)
    assert back["view"].stride() == (1, 4) and back["view"].dtype is torch.bfloat16
    assert back["twice"][0] is back["view"] and isinstance(back["twice"][1], nn.Parameter)
    assert back["twice"][1].requires_grad and torch.load(path, map_location="cpu")["view"].is_meta
    nn.Linear(100_000, 100_000, device="meta").load_state_dict(back["layer"], assign=True)


def test_damaged_looks_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    torch.save([torch.empty(2, 3, device="meta")], path)
    whole = path.read_bytes()
    for good, bad in ((b"[2,3]", b"[2,-]"), (b"[2,3]", b"[2,3"), (b"[3,1]", b"[3] "),
                      (b"[2,3]", b"9e9  "), (b"float32", b"float99")):  # fmt: skip
        assert good in whole
        path.write_bytes(whole.replace(good, bad))
        with pytest.raises((ValueError, RuntimeError), match=r"x[.]safetensors"):
            torch.load(path)
