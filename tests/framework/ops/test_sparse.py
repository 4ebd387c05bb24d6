"""Sparse tensors: against dense ones, their gradients, embeddings and message passing with them."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework import nn
from framework.autograd import grad
from framework.optim import SGD, Adagrad, Adam, SparseAdam

INDICES = [[0, 0, 1, 2, 0, 2], [1, 3, 2, 0, 1, 3]]  # (0, 1) is there twice
VALUES = [1.0, -2.0, 3.0, 4.0, 0.5, -1.0]


def pair() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Values that want a gradient, a sparse tensor of them, and the same as a dense one."""
    v = torch.tensor(VALUES, dtype=torch.float64, requires_grad=True)
    x = torch.sparse_coo_tensor(INDICES, v, (3, 4))
    dense = torch.zeros(3, 4, dtype=torch.float64)
    return v, x, dense.index_put(tuple(torch.tensor(INDICES)), v, accumulate=True)


RNG = np.random.default_rng(0)
D = torch.tensor(RNG.standard_normal((4, 2)))
F = torch.tensor(RNG.standard_normal((3, 4)))

# As functions of a tensor: the sparse result has to be what the dense one's is.
SAME = {
    "to_dense": lambda x: x,
    "t": lambda x: x.t(),
    "mm": lambda x: x @ D,
    "mv": lambda x: x.mv(D[:, 0]),
    "sparse by sparse": lambda x: x @ x.t(),
    "dense by sparse": lambda x: F.t() @ x if not x.is_sparse else torch.sparse.mm(F.t(), x),
    "times number": lambda x: x * 2,
    "divided": lambda x: x / 4,
    "negative": lambda x: -x,
    "sum of two": lambda x: x + x * 0.5,
    "difference": lambda x: x - x * x,
    "added to dense": lambda x: F + x,
    "times dense": lambda x: x * F,
    "abs": lambda x: x.abs(),
    "relu": lambda x: x.relu(),
    "square": lambda x: x**2,
    "sum": lambda x: x.sum(),
    "sum of rows": lambda x: x.sum(0),
    "sum of columns": lambda x: x.sum(1),
    "row": lambda x: x[1],
    "slice": lambda x: x[1:, ::2],
    "picked": lambda x: x.index_select(1, torch.tensor([3, 0, 3])),
    "cat": lambda x: torch.cat([x, x * 2], 1),
    "clone": lambda x: x.clone(),
}


@pytest.mark.parametrize("name", SAME)
def test_values_and_gradients_are_those_of_the_dense_tensor(name: str) -> None:
    v, x, dense = pair()
    found, wanted = SAME[name](x), SAME[name](dense)
    whole = found.to_dense() if found.is_sparse else found
    assert whole.shape == wanted.shape and whole.dtype is wanted.dtype
    np.testing.assert_allclose(whole.detach().numpy(), wanted.detach().numpy(), atol=1e-12)
    weight = torch.tensor(np.random.default_rng(1).standard_normal(tuple(wanted.shape)))
    ours = grad((whole * weight).sum(), v)[0]
    theirs = grad((wanted * weight).sum(), v)[0]
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-12)


def test_second_gradients_of_a_product() -> None:
    v, x, dense = pair()
    d = D.clone().requires_grad_()
    results = []
    for a in (x, dense):
        (first,) = grad(((a @ d) ** 2).sum(), v, create_graph=True)
        results.append(grad((first**3).sum(), [v, d]))
    for ours, theirs in zip(*results):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-9)


def test_softmax_is_over_the_stored_elements() -> None:
    v, x, dense = pair()
    masked = dense.masked_fill(dense == 0, -np.inf)
    for dim in (0, 1):
        ours = torch.sparse.softmax(x, dim).to_dense()
        theirs = masked.softmax(dim)
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), atol=1e-12)
        logs = torch.sparse.log_softmax(x, dim).to_dense().sum()
        np.testing.assert_allclose(
            grad(logs, v, retain_graph=True)[0].numpy(),
            grad(masked.log_softmax(dim).masked_fill(dense == 0, 0).sum(), v)[0].numpy(),
            atol=1e-12,
        )
        v, x, dense = pair()
        masked = dense.masked_fill(dense == 0, -np.inf)


def test_a_sparse_leaf_gets_a_sparse_gradient() -> None:
    x = torch.sparse_coo_tensor(INDICES, VALUES, (3, 4)).coalesce().requires_grad_()
    torch.sparse.mm(x, torch.ones(4, 2)).sum().backward()
    assert x.grad.is_sparse and x.grad._nnz() == 5
    assert x.grad.values().tolist() == [2.0] * 5


def test_reading() -> None:
    _, x, dense = pair()
    assert x.is_sparse and x.layout is torch.sparse_coo and not x.is_coalesced()
    assert (x._nnz(), x.sparse_dim(), x.dense_dim()) == (6, 2, 0)
    with pytest.raises(RuntimeError, match="Cannot get values on an uncoalesced tensor"):
        x.values()
    once = x.coalesce()
    assert once.indices().tolist() == [[0, 0, 1, 2, 2], [1, 3, 2, 0, 3]]
    assert once.values().tolist() == [1.5, -2.0, 3.0, 4.0, -1.0]
    again = dense.detach().to_sparse()
    assert again.is_coalesced() and torch.equal(again.to_dense(), dense)
    hybrid = dense.detach().to_sparse(1)
    assert (hybrid.sparse_dim(), hybrid.dense_dim()) == (1, 1)
    assert torch.equal(hybrid.to_dense(), dense)


def test_it_prints_as_pytorch_prints_it() -> None:
    x = torch.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.5], (2, 3))
    assert repr(x) == (
        "tensor(indices=tensor([[0, 1],\n"
        "                       [2, 0]]),\n"
        "       values=tensor([3.0000, 4.5000]),\n"
        "       size=(2, 3), nnz=2, layout=torch.sparse_coo)"
    )


REFUSED = [
    (lambda: torch.sparse_coo_tensor([[3]], [1.0], (3,)), "for dim 0, size is 3 but found index 3"),
    (lambda: torch.sparse_coo_tensor([[-1]], [1.0], (3,)), "found negative index -1 for dim 0"),
    (lambda: torch.sparse_coo_tensor([[0, 1]], [1.0]), "2 coordinates for 1 values"),
    (lambda: torch.ones(2).coalesce(), "expected sparse coordinate tensor layout but got Strided"),
    (lambda: pair()[1].cos(), "not implemented for sparse tensors"),
    (lambda: pair()[1] @ torch.ones(3, 2, dtype=torch.float64), "3x4 and 3x2"),
    (lambda: pair()[1].detach().numpy(), "can't convert Sparse layout tensor to numpy"),
]


@pytest.mark.parametrize("call, words", REFUSED)
def test_what_is_refused(call, words: str) -> None:
    with pytest.raises((RuntimeError, TypeError), match=words):
        call()


@pytest.mark.parametrize("make", [nn.Embedding, nn.EmbeddingBag])
@pytest.mark.parametrize("optimizer", [SGD, Adagrad, SparseAdam])
def test_embeddings_learn_from_sparse_gradients(make, optimizer) -> None:
    tables = []
    for sparse in (True, False):
        torch.manual_seed(0)
        table = make(6, 3, sparse=sparse, padding_idx=2)
        chosen = Adam if optimizer is SparseAdam and not sparse else optimizer
        step = chosen(table.parameters(), lr=0.1)
        for _ in range(3):
            step.zero_grad()
            rows = torch.tensor([[1, 4, 1], [4, 2, 5]])
            (table(rows) ** 2).sum().backward()
            assert table.weight.grad.is_sparse is sparse
            step.step()
        tables.append(table.weight.detach().numpy())
    np.testing.assert_allclose(*tables, rtol=1e-5, atol=1e-7)


def test_dense_and_sparse_gradients_add_up() -> None:
    rows = torch.tensor([0, 2, 0])
    for order in ((True, False), (False, True), (True, True)):
        w = torch.ones(3, 2, requires_grad=True)
        for sparse in order:
            picked = nn.functional.embedding(rows, w, sparse=sparse)
            picked.sum().backward()
        total = w.grad.to_dense() if w.grad.is_sparse else w.grad
        assert total.tolist() == [[4, 4], [0, 0], [2, 2]]


def test_message_passing() -> None:
    """A graph convolution, twice: by a sparse product and by index_add."""
    torch.manual_seed(0)
    source, target = torch.randint(0, 30, (2, 90))
    adjacency = torch.sparse_coo_tensor(torch.stack([target, source]), torch.ones(90), (30, 30))
    layer, x = nn.Linear(5, 4), torch.randn(30, 5)
    one = adjacency @ layer(x)
    two = torch.zeros(30, 4).index_add(0, target, layer(x)[source])
    np.testing.assert_allclose(one.detach().numpy(), two.detach().numpy(), rtol=1e-5, atol=1e-6)
    a = grad((one**2).sum(), layer.weight)[0]
    b = grad((two**2).sum(), layer.weight)[0]
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)


def test_the_trace_sees_sparse_ops() -> None:
    from framework.trace import recording

    with recording(keep="all") as tape:
        v, x, _ = pair()
        (x @ D).sum().backward()
    assert "sparse_mm" in [e.name for e in tape.read() if hasattr(e, "name")]
    assert v.grad is not None


def test_a_sparse_tensor_can_be_looked_at() -> None:
    from framework.trace.reader import tensor_meta
    from framework.trace.summary import view

    _, x, dense = pair()
    seen = view(x._data, tensor_meta(x), rows=3, cols=4)
    plain = view(dense.detach()._data, tensor_meta(dense), rows=3, cols=4)
    assert seen.table == plain.table and seen.summary == plain.summary
    huge = torch.sparse_coo_tensor([[0], [0]], [1.0], (1 << 20, 1 << 20))
    with pytest.raises(TypeError, match="too large to be shown whole"):
        view(huge._data, tensor_meta(huge))


def test_dimensions_of_length_one_and_batches() -> None:
    """Values and gradients are those of the dense tensor."""
    v, x, dense = pair()
    for form in (
        lambda a: a[None], lambda a: a[:, None], lambda a: a.unsqueeze(-1),
        lambda a: a.sum(0, keepdim=True), lambda a: a.sum(1, True), lambda a: torch.stack([a, a]),
    ):  # fmt: skip
        found, plain = form(x), form(dense)
        assert found.is_sparse and torch.equal(found.to_dense(), plain)
    assert torch.equal(x.sum((0, 1), keepdim=True), dense.sum((0, 1), keepdim=True))
    batch = torch.stack([x, x * 2])
    right = torch.arange(2 * x.shape[1] * 2).view(2, x.shape[1], 2).to(x.dtype)
    product = torch.bmm(batch, right)
    assert torch.equal(product, torch.bmm(torch.stack([dense, dense * 2]), right))
    product.sum().backward(retain_graph=True)
    mine, v.grad = v.grad, None
    torch.bmm(torch.stack([x.to_dense(), x.to_dense() * 2]), right).sum().backward()
    assert torch.allclose(mine, v.grad)
    with pytest.raises(RuntimeError, match="reshape is not implemented for sparse tensors"):
        x.reshape(-1)
    with pytest.raises(RuntimeError, match="first two dimensions of batch2"):
        torch.bmm(batch, right[:1])


def test_types_and_zeros_like_keep_the_layout() -> None:
    _, x, dense = pair()
    x = x.detach()
    assert torch.equal(x.to(torch.float32).to_dense(), dense.detach().float())
    assert x.long().dtype is torch.int64 and x.bool().is_sparse
    none = torch.zeros_like(x, dtype=torch.float32)
    assert none.is_sparse and none._nnz() == 0 and none.dtype is torch.float32
    assert none.shape == x.shape and none.stride() == (0, 0)
    assert torch.equal(torch.zeros_like(x, layout=torch.strided), torch.zeros_like(dense))


def test_writes_in_place() -> None:
    _, x, dense = pair()
    x, dense = x.detach(), dense.detach()
    for write in (
        lambda t: t.mul_(2), lambda t: t.add_(t), lambda t: t.div_(4), lambda t: t.neg_(),
        lambda t: t.copy_(t * 3), lambda t: t.zero_(),
    ):  # fmt: skip
        assert torch.allclose(write(x).to_dense(), write(dense))
    assert x.is_sparse and x._nnz() == 0
    with pytest.raises(NotImplementedError, match="another value than zero"):
        x.fill_(1)
    with pytest.raises(RuntimeError, match="assignment of dense values"):
        x.copy_(dense)


def test_norm_is_that_of_all_elements() -> None:
    _, x, dense = pair()
    for p in (1, 2, float("inf")):
        assert torch.allclose(x.norm(p), dense.norm(p))


def test_gradients_of_embeddings_are_scaled_and_zeroed_in_place() -> None:
    table = torch.nn.Embedding(5, 2, sparse=True)
    optimizer = torch.optim.SGD(table.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    scaler.scale(table(torch.tensor([2, 2])).sum()).backward()
    assert table.weight.grad.to_dense()[2].tolist() == [8.0, 8.0]
    scaler.unscale_(optimizer)
    assert table.weight.grad.to_dense()[2].tolist() == [2.0, 2.0]
    scaler.step(optimizer)
    optimizer.zero_grad(set_to_none=False)
    assert table.weight.grad.is_sparse and table.weight.grad._nnz() == 0
    table(torch.tensor([1])).sum().backward()
    assert table.weight.grad.to_dense().sum() == 2


def test_diagonals() -> None:
    d = torch.arange(1.0, 7).view(2, 3).requires_grad_()
    spdiags = torch.sparse.spdiags
    x = spdiags(d, torch.tensor([0, 1]), (3, 3))
    assert x.to_dense().tolist() == [[1, 5, 0], [0, 2, 6], [0, 0, 3]] and not x.is_coalesced()
    x.to_dense().sum().backward()
    assert d.grad.tolist() == [[1, 1, 1], [0, 1, 1]]
    found = spdiags(d.detach(), torch.tensor([0, -1]), (3, 5)).to_dense()
    assert found.tolist() == [[1, 0, 0, 0, 0], [4, 2, 0, 0, 0], [0, 5, 3, 0, 0]]
    found = spdiags(d.detach(), torch.tensor([2, -2]), (4, 2)).to_dense()
    assert found.tolist() == [[0, 0], [0, 0], [4, 0], [0, 5]]
    assert spdiags(d[0].detach(), torch.tensor(1), (3, 3))._nnz() == 2
    for offsets, shape, words in (
        ([0, 0], (3, 3), "duplicate values"), ([0], (3, 3), r"Number of diagonals \(2\)"),
        ([0.0, 1.0], (3, 3), "must have dtype Long"), ([0, 1], (3,), "must be 2d"),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match=words):
            spdiags(d, torch.tensor(offsets), shape)


def test_functions_of_the_values() -> None:
    """Those that PyTorch has for coordinates; `any` and `linear` beside them."""
    index = torch.tensor([[0, 1, 1], [1, 0, 0]])
    x = torch.sparse_coo_tensor(index, torch.tensor([0.25, 0.5, -1.1]), (2, 3))
    dense = x.to_dense()
    for call in (
        torch.erf, torch.erfinv, torch.round, lambda t: torch.round(t, decimals=1),
        lambda t: t // 2, torch.ceil, torch.floor, torch.sign,
    ):  # fmt: skip
        y = call(x)
        assert y.is_sparse and torch.allclose(y.to_dense(), call(dense), equal_nan=True)
    found = torch.nan_to_num(x.coalesce() / 0.0, posinf=3.0, neginf=-4.0)
    assert found.is_sparse and found.to_dense().tolist() == [[0, 3, 0], [-4, 0, 0]]
    for call in (torch.erf, torch.erfinv, torch.ceil, torch.round, torch.sign):
        a = (x.coalesce() * 0.5).requires_grad_()
        b = (dense * 0.5).requires_grad_()
        torch.sparse.sum(call(a)).backward()
        call(b).sum().backward()
        assert a.grad.is_sparse
        assert torch.allclose(a.grad.to_dense(), b.grad * (dense != 0))
    assert x.any().item() is True and (x * 0).any().item() is False
    a, weight, bias = x.coalesce().requires_grad_(), torch.ones(4, 3), torch.ones(4)
    weight.requires_grad_()
    found = torch.nn.functional.linear(a, weight, bias)
    assert torch.allclose(found, torch.nn.functional.linear(dense, weight, bias))
    found.sum().backward()
    assert a.grad.to_dense().tolist() == [[0, 4, 0], [4, 0, 0]]
    assert torch.allclose(weight.grad, dense.sum(0).expand(4, 3))
    assert torch.nn.Linear(3, 4)(x).shape == (2, 4)


def test_what_sparse_tensors_have_not_is_said_in_a_line() -> None:
    x = torch.sparse_coo_tensor(torch.tensor([[0, 1], [1, 0]]), torch.tensor([1.0, 2.0]), (2, 3))
    for call in (
        "mean() all() eq(x) max() argmax() std() isclose(x) exp() sigmoid() clamp(0) softmax(0) "
        "cumsum(0) flatten() reshape(3,2) view(3,2) nonzero() any(0) tolist() repeat(2,1) flip(0) "
        "tril() diagonal() equal(x) maximum(x) sort() topk(1) unique() svd() contiguous() "
        "data_ptr() storage() numpy() mean(0) remainder(2) add(1) bool() __array__()"
    ).split():
        try:
            eval(f"x.{call}", {"x": x})
        except (NotImplementedError, RuntimeError, TypeError) as error:
            text = str(error)
            assert "\n" not in text and len(text) < 250 and "sparse" in text.lower(), (call, text)
