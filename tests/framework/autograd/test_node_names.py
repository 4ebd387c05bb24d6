"""The names of nodes are PyTorch's: what ``grad_fn=<...>`` and ``type(y.grad_fn)`` say."""

from __future__ import annotations

import gc
import math
import warnings
from typing import Any

import pytest

import framework
from framework import nn
from framework.autograd.graph import Node

# Expressions of tensors (see `space`), one after the other between bars.
EXPRESSIONS = """
    # Operators and indices
    2**x | x**2 | x**x | x**y | 2-x | 1/x | x/y | x%2 | x%y | x.T | x.mT | x.t() | x[0] |
    x[0:1] | x[:] | x[...] | x[None] | x[0,0] | x[:,0] | x[0:2,1] | x[1,0:2] | x[[0]] | x[x>0] |
    x[:,None] | x[0,None] | x[...,0] | x[::2] | x[True] |
    # Shapes and types
    x.clone() | x.contiguous() | x.t().contiguous() | x.t().reshape(-1) | x.view(-1) |
    x.reshape(2,6) | x.flatten() | x.unflatten(1,(2,2)) | x.squeeze() | x[None].squeeze(0) |
    x[None].squeeze((0,)) | x.unsqueeze(0) | x.expand(2,3,4) | x.permute(1,0) |
    x.transpose(0,1) | x.swapaxes(0,1) | x.movedim(0,1) | x.view_as(x) | x.to(torch.float64) |
    x.double() | x.type(torch.float64) | x.float() | x.requires_grad_() | x.detach() |
    # Reductions
    x.sum() | x.sum(0) | x.sum((0,1)) | x[0].sum(0) | x.mean() | x.mean(0) | x.prod() |
    x.prod(0) | x.std() | x.var() | x.std(0) | x.norm() | x.norm(dim=0) | x.norm(1) | x.amax(0) |
    x.max() | x.max(0) | x.min() | x.min(0).values | x.max(x) | torch.maximum(x,x) |
    x.logsumexp(0) | x.median() | x.median(0) | x.mode(0) | x.cumsum(0) | x.cumprod(0) |
    x.sort() | x.sort(stable=True) | x.topk(2) | x.kthvalue(1) | x.argmax() | x.nansum() |
    x.nanmean() | torch.var_mean(x) | torch.std_mean(x) | x.aminmax() |
    # Linear algebra
    x@y.t() | x@v | v@v | v@y.t() | b@y.t() | y@b.transpose(1,2) | torch.mm(x,y.t()) |
    torch.bmm(b,b.mT) | torch.mv(x,v) | torch.dot(v,v) | torch.outer(v,v) | torch.addmm(y,x,m) |
    torch.baddbmm(b,b,sq) | torch.linalg.norm(x) | torch.linalg.inv(m) | torch.det(m) |
    torch.linalg.solve(m,v) | torch.tensordot(x,y,dims=2) | torch.inner(x,y) |
    torch.cross(x[:,:3],y[:,:3],dim=1) | torch.chain_matmul(x,m) |
    torch.linalg.multi_dot([x,m,m]) | torch.trace(m) | torch.tril(m) | torch.diag(v) |
    torch.diagonal(m) | torch.diag_embed(v) | torch.kron(m,m) |
    torch.einsum("ij,kj->ik", x, y) | torch.einsum("bij,bkj->bik", b, b) |
    torch.einsum("i,j->ij", v, v) | torch.einsum("ij->i", x) | torch.einsum("ij->ji", x) |
    torch.einsum("ij,ij->", x, y) | torch.einsum("ij,ij", x, y) | torch.einsum("ii", m) |
    # Activations
    F.linear(x,m) | F.linear(x,m,v) | F.linear(b,m,v) | F.linear(b,m) | F.linear(v,m,v) |
    F.linear(v,m) | F.relu(x) | F.leaky_relu(x) | F.gelu(x) | F.silu(x) | F.elu(x) | F.selu(x) |
    F.celu(x) | F.softplus(x) | F.softmax(x,1) | F.log_softmax(x,1) | torch.sigmoid(x) |
    torch.tanh(x) | F.hardtanh(x) | F.relu6(x) | F.glu(x) | F.prelu(x,torch.tensor([.2])) |
    F.rrelu(x) | F.logsigmoid(x) | F.softsign(x) | F.tanhshrink(x) | F.mish(x) | F.hardswish(x) |
    F.hardsigmoid(x) | F.threshold(x,0,1) | F.softmin(x,1) | F.normalize(x) | F.dropout(x) |
    F.dropout(x,training=False) | F.alpha_dropout(x) | F.feature_alpha_dropout(x) |
    F.gumbel_softmax(x) | F.gumbel_softmax(x,hard=True) |
    # Losses
    F.mse_loss(x,y) | F.l1_loss(x,y) | F.smooth_l1_loss(x,y) | F.huber_loss(x,y) |
    F.cross_entropy(x,tgt) | F.cross_entropy(x,y.softmax(1)) |
    F.cross_entropy(x,tgt,label_smoothing=.1) | F.nll_loss(x,tgt) |
    F.binary_cross_entropy(x.sigmoid(),y.sigmoid().detach()) |
    F.binary_cross_entropy_with_logits(x,y.sigmoid().detach()) | F.kl_div(x,y) |
    F.kl_div(x,y,reduction='batchmean') | F.poisson_nll_loss(x,y) |
    F.gaussian_nll_loss(x,y,torch.ones(3,4)) | F.hinge_embedding_loss(x,torch.ones(3,4)) |
    F.cosine_embedding_loss(x,y,torch.ones(3)) | F.margin_ranking_loss(x,y,torch.ones(3,4)) |
    F.triplet_margin_loss(x,y,y) | F.multi_margin_loss(x,tgt) |
    F.multilabel_soft_margin_loss(x,torch.ones(3,4)) | F.soft_margin_loss(x,torch.ones(3,4)) |
    F.cosine_similarity(x,y) | F.pairwise_distance(x,y) |
    F.ctc_loss(c.log_softmax(2),tgt[:2].expand(2,2)+1,(5,5),(2,2)) |
    # Layers
    F.conv1d(b,w1) | F.conv2d(i,w2) | F.conv2d(i,w2,torch.zeros(2)) | F.conv2d(i[0],w2) |
    F.conv_transpose2d(i,w2) | F.max_pool2d(i,2) | F.max_pool1d(b,2) | F.avg_pool2d(i,2) |
    F.avg_pool1d(b,2) | F.adaptive_avg_pool2d(i,1) | F.adaptive_avg_pool2d(i,2) |
    F.adaptive_max_pool2d(i,2) | F.adaptive_avg_pool1d(b,1) |
    F.batch_norm(i,None,None,training=True) | F.batch_norm(i,torch.zeros(2),torch.ones(2)) |
    F.instance_norm(i) | F.layer_norm(x,(4,)) | F.group_norm(i,1) | F.rms_norm(x,(4,)) |
    F.local_response_norm(i,2) | F.lp_pool2d(i,2,2) | F.interpolate(i,scale_factor=2) |
    F.interpolate(i,scale_factor=2,mode='bilinear') | F.pad(i,(1,1)) |
    F.pad(i,(1,1,1,1),mode='reflect') | F.pad(i,(1,1,1,1),mode='replicate') |
    F.pad(i,(1,1,1,1),mode='circular') | F.unfold(i,2) | F.fold(F.unfold(i,2),(4,4),2) |
    F.pixel_shuffle(i[:, :1].repeat(1,4,1,1),2) | F.embedding(tgt,x) |
    F.embedding_bag(tgt[None],x) | F.one_hot(tgt) | F.scaled_dot_product_attention(b,b,b) |
    F.scaled_dot_product_attention(i,i,i) | F.bilinear(v,v,torch.zeros(2,4,4)) |
    nn.Bilinear(4,4,2)(x,y) |
    F.grid_sample(i,torch.zeros(1,2,2,2)) |
    F.affine_grid(torch.zeros(1,2,3).requires_grad_(),(1,1,2,2)) |
    F.max_unpool2d(*F.max_pool2d(i,2,return_indices=True),2) |
    # Joining and indexing
    torch.cat([x,x]) | torch.stack([x,x]) | x.split(2) | x.split([1,2]) | x.chunk(2) |
    x.unbind() | torch.hstack([x,x]) | torch.vstack([x,x]) | torch.where(x>0,x,y) |
    torch.where(x>0,x,0.) | x.masked_fill(x>0,0.) | x.masked_fill(x>0,torch.tensor(0.)) |
    x.masked_select(x>0) | x.gather(0,tgt[None].expand(1,3)) | x.scatter(0,tgt[None],1.) |
    x.scatter(0,tgt[None],y) | x.scatter_add(0,tgt[None],y) | x.index_select(0,tgt[:1]*0) |
    x.index_add(0,tgt[:1]*0,y[:1]) | x.index_copy(0,tgt[:1]*0,y[:1]) |
    x.index_fill(0,tgt[:1]*0,1.) | x.take(tgt) | x.roll(1) | x.flip(0) | x.repeat(2,1) |
    x.tile(2) | x.repeat_interleave(2) | x.narrow(0,0,1) | x.select(0,0) | x.diff() |
    x.unfold(0,2,1) | torch.meshgrid(v,v,indexing='ij') | torch.broadcast_to(x,(2,3,4)) |
    torch.atleast_3d(x) | torch.rot90(x) | torch.cartesian_prod(v,v) | torch.block_diag(x,x) |
    x.new_tensor(1.) | x.diag() |
    # Elementwise
    x.exp() | x.log() | x.sqrt() | x.rsqrt() | x.abs() | x.neg() | -x | +x | x.sign() | x.sin() |
    x.atan2(y) | x.clamp(0,1) | x.clamp(min=0) | x.clamp_min(0) | x.clamp(min=y) |
    x.clamp_max(1) | x.clamp(y,y) | x.round() | x.floor() | x.trunc() | x.frac() | x.square() |
    x.reciprocal() | x.erf() | x.lerp(y,.5) | x.lerp(y,y) | x.addcmul(x,y) | x.addcdiv(x,y) |
    torch.add(x,y,alpha=2) | x.sub(y,alpha=2) | x.fmod(2) | x.fmod(y) | x.remainder(2) |
    torch.hypot(x,y) | x.logit() | x.sinc() | x.log1p() | x.expm1() | x.exp2() | x.nan_to_num() |
    x.deg2rad() | x.i0() | x.digamma() | x.lgamma() | x.copysign(1.) | x.copysign(y) |
    torch.logaddexp(x,y) | x.xlogy(y) | x.float_power(2) | x.true_divide(2) |
    x.div(2,rounding_mode='floor') | torch.rsub(x,2) | x.cosh() | x.renorm(2,0,1.) |
    torch.cdist(x,y) | torch.dist(x,y) | x.cov() | torch.quantile(x,.5) |
    torch.cumulative_trapezoid(x) | torch.trapezoid(x) | x.polygamma(1) | x.erfinv() |
    # In place
    x.clone().add_(1) | x.clone().mul_(y) | x.clone().zero_() | x.clone().fill_(1.) |
    x.clone().copy_(y) | (lambda z: (z.__setitem__(0, 1.), z)[1])(x.clone()) |
    (lambda z: (z.__setitem__(0, v), z)[1])(x.clone()) |
    (lambda z: (z[0].mul_(2), z)[1])(x.clone()) | (lambda z: z[0].mul_(2))(x.clone()) |
    (lambda z: (lambda q: (z.mul_(2), q)[1])(z[0]))(x.clone()) | x.clone().relu_() |
    x.clone().clamp_(0,1) | x.clone().t_() | x.clone().squeeze_() | x.clone().unsqueeze_(0) |
    x.clone().transpose_(0,1) | x.clone().masked_fill_(x>0,0.) | x.clone().div_(2) |
    x.clone().pow_(2) | x.clone().sub_(1) | x.clone().sigmoid_() | x.clone().normal_() |
    x.clone().uniform_() | x.clone().bernoulli_() | x.clone().neg_() |
    x.clone().index_put_((tgt,),v) | x.clone().scatter_(0,tgt[None],1.) |
    x.clone().addcmul_(x,y) | x.clone().lerp_(y,.5) | F.relu(x.clone(),inplace=True) |
    # Complex, sparse, modules
    cx.real | cx.imag | cx.abs() | cx.angle() | cx.conj() | torch.view_as_real(cx) |
    torch.complex(x,y) | torch.polar(x,y) | cx.conj_physical() | cx.mH | torch.fft.fft(x) |
    torch.fft.rfft(x) | torch.fft.ifft(cx) | torch.fft.irfft(cx) | torch.fft.fftshift(x) |
    x.to_sparse() | x.to_sparse().to_dense() | torch.sparse.mm(x.detach().to_sparse(),m) |
    torch.stft(v,4,window=torch.ones(4),return_complex=True) | nn.GRU(4,3)(b)[0] |
    nn.RNN(4,3)(b)[0] | nn.LSTMCell(4,3)(x)[0] | nn.GRUCell(4,3)(x) | nn.RNNCell(4,3)(x) |
    nn.MultiheadAttention(4,2)(b,b,b)[0] | nn.MultiheadAttention(4,2)(b,b,b)[1] |
    nn.TransformerEncoderLayer(4,2,8)(b) | nn.Sequential(nn.Linear(4,4),nn.ReLU())(x) |
    nn.BatchNorm1d(4)(x) | nn.Flatten()(b) | nn.Softmax(1)(x) | nn.Dropout()(x) |
    nn.utils.parametrizations.weight_norm(nn.Linear(4,3))(x) |
"""


def space(torch: Any) -> dict[str, Any]:
    """What the expressions are about, in one of the frameworks."""
    torch.manual_seed(0)

    def leaf(*shape: int) -> Any:
        return torch.arange(float(math.prod(shape))).reshape(shape).sin().requires_grad_()

    x = leaf(3, 4)
    return {
        "torch": torch, "nn": torch.nn, "F": torch.nn.functional, "x": x, "y": leaf(3, 4),
        "v": leaf(4), "m": (torch.eye(4) + leaf(4, 4).detach() * 0.1).requires_grad_(),
        "b": leaf(2, 3, 4), "sq": leaf(2, 4, 4), "i": leaf(1, 2, 4, 4), "w1": leaf(2, 3, 2),
        "w2": leaf(2, 2, 2, 2), "tgt": torch.tensor([0, 1, 2]), "c": leaf(5, 2, 4),
        "cx": torch.complex(x.detach(), x.detach()).requires_grad_(),
    }  # fmt: skip


def names(value: Any, torch: Any) -> list[Any]:
    """``name()`` and the class's name of each tensor's node."""
    if isinstance(value, torch.Tensor):
        node = value.grad_fn
        return [node and (node.name(), type(node).__name__)]
    if isinstance(value, (tuple, list)):
        return [n for part in value for n in names(part, torch)]
    return [None]


@pytest.mark.parametrize("lines", [
    part for part in EXPRESSIONS.split("    # ") if part.strip()
], ids=lambda part: part.partition("\n")[0])  # fmt: skip
def test_names_are_those_of_pytorch(lines: str) -> None:
    torch = pytest.importorskip("torch")
    text = lines.partition("\n")[2]
    wrong = []
    spaces = space(framework), space(torch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for expression in filter(None, (e.strip() for e in text.split(" |"))):
            mine, theirs = (
                names(eval(expression, s), t) for s, t in zip(spaces, (framework, torch))
            )
            if mine != theirs:
                wrong.append(f"{expression}: {mine}, PyTorch {theirs}")
    assert not wrong, "\n".join(wrong)


def test_the_class_of_a_node_has_its_name() -> None:
    x = framework.ones(2, requires_grad=True)
    node = (x + 1).grad_fn
    assert type(node).__name__ == "AddBackward0" and isinstance(node, Node)
    assert "<AddBackward0 object at " in repr(node)
    assert type((x + 2).grad_fn) is type(node)
    (leaf, _), (nothing, _) = node.next_functions
    assert type(leaf).__name__ == "AccumulateGrad" and leaf.variable is x and nothing is None
    assert type((x.exp() * 2).grad_fn.next_functions[0][0]).__name__ == "ExpBackward0"


def test_a_name_survives_the_backward_pass() -> None:
    x = framework.ones(2, requires_grad=True)
    made = [x**2, x @ x, x[0], nn.functional.mse_loss(x, x.detach()), x.clamp(0, 1)]
    for y in made:
        y.sum().backward()
    assert [y.grad_fn.name() for y in made] == [
        "PowBackward0", "DotBackward0", "SelectBackward0", "MseLossBackward0", "ClampBackward1",
    ]  # fmt: skip


def test_a_function_does_not_rename_the_node_of_its_input() -> None:
    y = framework.ones(1, 2, requires_grad=True).exp()
    assert nn.functional.dropout(y, training=False).grad_fn.name() == "ExpBackward0"
    y.split(1, 1)
    assert y.grad_fn.name() == "ExpBackward0"


def test_custom_functions_are_named_after_their_class() -> None:
    class Double(framework.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    y = Double.apply(framework.ones(2, requires_grad=True))
    assert type(y.grad_fn).__name__ == y.grad_fn.name() == "DoubleBackward"
    assert repr(y) == "tensor([2., 2.], grad_fn=<DoubleBackward>)"
    y.sum().backward()


def test_nodes_with_hooks_on_what_they_saved_have_names_too() -> None:
    x = framework.ones(2, requires_grad=True)
    with framework.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), framework.tensor):
        y, loss = x * x, nn.functional.mse_loss(x, x.detach())
    assert [type(t.grad_fn).__name__ for t in (y, loss)] == ["MulBackward0", "MseLossBackward0"]
    z = x.exp()
    assert type(z.grad_fn).__name__ == "ExpBackward0"
    z.grad_fn._raw_saved_result.register_hooks(lambda t: t.tolist(), framework.tensor)
    assert type(z.grad_fn).__name__ == "ExpBackward0"
    (y.sum() + z.sum()).backward()
    assert framework.allclose(x.grad, 2 * x + x.exp())


def test_what_common_nodes_saved() -> None:
    x = framework.ones(3, 4, requires_grad=True)
    row = x[1]
    assert row.grad_fn._saved_self_sym_sizes == (3, 4)
    total = x.sum(1, keepdim=True)
    assert total.grad_fn._saved_dim == (1,) and total.grad_fn._saved_keepdim is True
    assert x.mean().grad_fn._saved_self_sym_numel == 12
    assert (x @ x.t()).grad_fn._saved_mat2.shape == (4, 3)
    for node in (row.grad_fn, total.grad_fn, (x * x).grad_fn, x.exp().grad_fn):
        for name in dir(node):  # as programs that draw graphs do
            if name.startswith(("_saved_", "_raw_saved_")):
                getattr(node, name)
    assert {"_saved_self", "_saved_other", "_raw_saved_self"} <= set(dir((x * x).grad_fn))
    assert "_saved_result" in dir(x.exp().grad_fn)
    assert (x**2).grad_fn._saved_exponent == 2 and (x * x).grad_fn._saved_other is not None


def test_names_keep_nothing_alive() -> None:
    x = framework.ones(2, requires_grad=True)
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(100):
        assert nn.functional.mse_loss(x, x.detach()).grad_fn.name() == "MseLossBackward0"
    assert len(gc.get_objects()) < before + 50
