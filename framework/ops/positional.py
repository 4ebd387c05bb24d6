"""The top namespace's forms of functions of `nn.functional` that take their arguments otherwise.

PyTorch has these names twice: for people in ``nn.functional``, and as it calls its own kernels,
``torch.NAME``: arguments in another order, reductions as numbers, nothing optional.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.core.dispatch import only_tensors
from framework.core.registry import function
from framework.ops import adaptive, conv, ctc, loss, norm, recurrent
from framework.ops import batch_norm as batches
from framework.ops import embedding as tables
from framework.ops import margin as margins
from framework.ops import softmax as rows
from framework.ops.linear import linear
from framework.tensor import Tensor

__all__ = [
    "adaptive_max_pool1d", "batch_norm", "binary_cross_entropy_with_logits",
    "convolution", "cosine_embedding_loss", "ctc_loss", "embedding", "embedding_bag",
    "embedding_renorm_", "group_norm", "gru",
    "gru_cell", "hinge_embedding_loss", "instance_norm", "kl_div", "layer_norm", "log_softmax",
    "lstm", "lstm_cell", "margin_ranking_loss", "poisson_nll_loss", "rnn_relu",
    "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell", "softmax", "triplet_margin_loss",
]  # fmt: skip

_REDUCTIONS = {1: "mean", 2: "sum"}
_MODES = ("sum", "mean", "max")


# -- norms, tables, convolutions ---------------------------------------------------------------


@function(method=False)
def batch_norm(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool,
    momentum: float, eps: float, cudnn_enabled: bool,
) -> Any:  # fmt: skip
    """`nn.functional.batch_norm`; ``cudnn_enabled`` has no effect.

    >>> import framework as torch
    >>> x = torch.tensor([[1.0], [3.0]])
    >>> torch.batch_norm(x, None, None, None, None, True, 0.1, 3.0, False)
    tensor([[-0.5000],
            [ 0.5000]])
    """
    if training and eps <= 0:  # PyTorch refuses such an eps in nn.functional only
        y, _, _ = batches.batch_norm_with_moments(
            input, running_mean, running_var, weight, bias, True, momentum, eps
        )
        return y
    return batches.batch_norm(
        input, running_mean, running_var, weight, bias, training, momentum, eps
    )


@function(method=False)
def instance_norm(
    input: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any,
    use_input_stats: bool, momentum: float, eps: float, cudnn_enabled: bool,
) -> Any:  # fmt: skip
    """`nn.functional.instance_norm`, the weights first; ``cudnn_enabled`` has no effect.

    >>> import framework as torch
    >>> x = torch.tensor([[[1.0, 3.0]]])
    >>> torch.instance_norm(x, None, None, None, None, True, 0.1, 3.0, False)
    tensor([[[-0.5000,  0.5000]]])
    """
    return batches.instance_norm(
        input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


@function(method=False)
def layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Any:  # fmt: skip
    """`nn.functional.layer_norm`; ``cudnn_enable`` has no effect.

    >>> import framework as torch
    >>> torch.layer_norm(torch.tensor([[1.0, 3.0]]), [2])
    tensor([[-1.0000,  1.0000]])
    """
    return norm.layer_norm(input, normalized_shape, weight, bias, eps)


@function(method=False)
def group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Any:  # fmt: skip
    """`nn.functional.group_norm`; ``cudnn_enabled`` has no effect.

    >>> import framework as torch
    >>> torch.group_norm(torch.tensor([[1.0, 3.0, 10.0, 30.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    return norm.group_norm(input, num_groups, weight, bias, eps)


@function(method=False)
def embedding(
    weight: Any, indices: Any, padding_idx: int = -1, scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:  # fmt: skip
    """`nn.functional.embedding`, the table first; ``padding_idx`` -1 is none.

    Shapes: weight (V, D), indices (*) of integers; result (*, D). IndexError for a row that is
    not there.

    >>> import framework as torch
    >>> torch.embedding(torch.tensor([[0.0, 0.0], [1.0, 2.0]]), torch.tensor([1]))
    tensor([[1., 2.]])
    """
    if not isinstance(indices, Tensor):
        raise TypeError(
            "embedding(): argument 'indices' (position 2) must be Tensor, not "
            + type(indices).__name__
        )
    padding = None if padding_idx < 0 else padding_idx
    return tables.embedding(
        indices, weight, padding, scale_grad_by_freq=scale_grad_by_freq, sparse=sparse
    )


@function(method=False)
def embedding_renorm_(weight: Any, indices: Any, max_norm: float, norm_type: float) -> Any:
    """Scale the rows of ``weight`` that ``indices`` names down to a norm, in place.

    Rows whose ``norm_type``-norm is at most ``max_norm`` stay as they are.

    ``weight`` is a matrix, a row for each index; ``indices`` have any shape.

    >>> import framework as torch
    >>> torch.embedding_renorm_(torch.tensor([[3.0, 4.0], [3.0, 4.0]]), torch.tensor([0]), 1.0, 2.0)
    tensor([[0.6000, 0.8000],
            [3.0000, 4.0000]])
    """
    tables.renormalise(weight, indices, max_norm, norm_type)
    return weight


@function(method=False)
def embedding_bag(
    weight: Any, indices: Any, offsets: Any, scale_grad_by_freq: bool = False, mode: int = 0,
    sparse: bool = False, per_sample_weights: Any = None, include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    """(`nn.functional.embedding_bag`, each index's bag, the bags' sizes, rows of the maxima).

    ``mode`` is 0 for sums, 1 for means, 2 for maxima. As in PyTorch sums leave the other three
    empty or zero, and the last one repeats the sizes unless ``mode`` is 2.

    >>> import framework as torch
    >>> table = torch.tensor([[1.0], [2.0], [4.0]])
    >>> torch.embedding_bag(table, torch.tensor([0, 1, 2]), torch.tensor([0, 2]), mode=1)
    (tensor([[1.5000],
            [4.0000]]), tensor([0, 0, 1]), tensor([2, 1]), tensor([2, 1]))
    """
    only_tensors("embedding_bag", weight=weight, indices=indices, offsets=offsets)
    result = tables.embedding_bag(
        indices, weight, offsets, scale_grad_by_freq=scale_grad_by_freq, mode=_MODES[mode],
        sparse=sparse, per_sample_weights=per_sample_weights,
        include_last_offset=include_last_offset, padding_idx=padding_idx,
    )  # fmt: skip
    bags, sizes, largest = tables.bag_statistics(
        weight, indices, offsets, _MODES[mode], include_last_offset, padding_idx
    )
    return result, bags, sizes, largest


@function(method=False)
def convolution(
    input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int,
) -> Any:  # fmt: skip
    """The convolution, transposed or not, of one, two or three dimensions: the weight tells.

    >>> import framework as torch
    >>> x, w = torch.ones(1, 1, 4), torch.ones(1, 1, 2)
    >>> torch.convolution(x, w, None, [1], [0], [1], False, [0], 1)
    tensor([[[2., 2., 2.]]])
    """
    dims = weight.ndim - 2
    if transposed:
        forms = (conv.conv_transpose1d, conv.conv_transpose2d, conv.conv_transpose3d)
        return forms[dims - 1](
            input, weight, bias, tuple(stride), tuple(padding), tuple(output_padding), groups,
            tuple(dilation),
        )  # fmt: skip
    plain = (conv.conv1d, conv.conv2d, conv.conv3d)
    return plain[dims - 1](
        input, weight, bias, tuple(stride), tuple(padding), tuple(dilation), groups
    )


@function(method=False)
def adaptive_max_pool1d(input: Any, output_size: Any) -> tuple[Any, Any]:
    """`nn.functional.adaptive_max_pool1d` with the positions of its results.

    >>> import framework as torch
    >>> torch.adaptive_max_pool1d(torch.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    (tensor([[3., 2.]]), tensor([[1, 2]]))
    """
    return adaptive.adaptive_max_pool1d(input, output_size, True)


@function(namespaces=("nn.functional",), method=False)
def softmax(
    input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Any:  # fmt: skip
    """`torch.softmax`, the type last; without ``dim`` one is chosen, with a warning.

    exp(input) / sum(exp(input)) along ``dim``. IndexError for a dimension out of range,
    NotImplementedError for integers without a ``dtype``.

    >>> import framework as torch
    >>> torch.nn.functional.softmax(torch.tensor([0.0, 0.0, 0.0, 0.0]), dim=0)
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    return rows.softmax(input, dim, dtype)


@function(namespaces=("nn.functional",), method=False)
def log_softmax(
    input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Any:  # fmt: skip
    """`torch.log_softmax`, the type last; without ``dim`` one is chosen, with a warning.

    IndexError for a dimension out of range, NotImplementedError for integers without a ``dtype``.

    >>> import framework as torch
    >>> torch.nn.functional.log_softmax(torch.tensor([0.0, 1000.0]), dim=0)
    tensor([-1000.,     0.])
    """
    return rows.log_softmax(input, dim, dtype)


# -- losses: ``reduction`` 1 is the mean, 2 the sum, another number keeps all, as does none -------


def _named(reduction: int) -> str:
    return _REDUCTIONS.get(reduction, "none")


@function(method=False)
def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: int = 0
) -> Any:
    """`nn.functional.binary_cross_entropy_with_logits`: ``reduction`` a number, all losses without.

    >>> import framework as torch
    >>> torch.binary_cross_entropy_with_logits(torch.zeros(2), torch.ones(2), reduction=0)
    tensor([0.6931, 0.6931])
    """
    return loss.binary_cross_entropy_with_logits(
        input, target, weight, reduction=_named(reduction), pos_weight=pos_weight
    )


@function(method=False)
def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: int = 0
) -> Any:
    """`nn.functional.cosine_embedding_loss`, its ``reduction`` a number: all losses unless given.

    >>> import framework as torch
    >>> a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]])
    >>> torch.cosine_embedding_loss(a, b, torch.tensor([1]), reduction=2)
    tensor(0.2929)
    """
    return margins.cosine_embedding_loss(
        input1, input2, target, margin, reduction=_named(reduction)
    )


@function(method=False)
def hinge_embedding_loss(input: Any, target: Any, margin: float = 1.0, reduction: int = 0) -> Any:
    """`nn.functional.hinge_embedding_loss`, its ``reduction`` a number: all losses unless given.

    >>> import framework as torch
    >>> torch.hinge_embedding_loss(torch.tensor([0.25, 0.25]), torch.tensor([1, -1]), reduction=0)
    tensor([0.2500, 0.7500])
    """
    return margins.hinge_embedding_loss(input, target, margin, reduction=_named(reduction))


@function(method=False)
def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: int = 0
) -> Any:
    """`nn.functional.margin_ranking_loss`, its ``reduction`` a number: all losses unless given.

    >>> import framework as torch
    >>> a, b = torch.tensor([1.0, 1.0]), torch.tensor([3.0, 3.0])
    >>> torch.margin_ranking_loss(a, b, torch.tensor([1.0, -1.0]), reduction=0)
    tensor([2., 0.])
    """
    return margins.margin_ranking_loss(input1, input2, target, margin, reduction=_named(reduction))


@function(method=False)
def triplet_margin_loss(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2.0,
    eps: float = 1e-6, swap: bool = False, reduction: int = 0,
) -> Any:  # fmt: skip
    """`nn.functional.triplet_margin_loss`, its ``reduction`` a number: all losses unless given.

    >>> import framework as torch
    >>> a, p, n = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 4.0]])
    >>> torch.triplet_margin_loss(a, p, n, reduction=2)
    tensor(2.0000)
    """
    return margins.triplet_margin_loss(
        anchor, positive, negative, margin, p, eps, swap, reduction=_named(reduction)
    )


@function(method=False)
def kl_div(input: Any, target: Any, reduction: int = 0, *, log_target: bool = False) -> Any:
    """`nn.functional.kl_div`, its ``reduction`` a number: all losses unless given.

    >>> import framework as torch
    >>> torch.kl_div(torch.zeros(2), torch.ones(2), 2)
    tensor(0.)
    """
    if reduction == 1:  # without the caution of nn.functional
        return loss.kl_div(input, target, reduction="none", log_target=log_target).mean()
    return loss.kl_div(input, target, reduction=_named(reduction), log_target=log_target)


@function(method=False)
def poisson_nll_loss(
    input: Any, target: Any, log_input: bool, full: bool, eps: float, reduction: int
) -> Any:
    """`nn.functional.poisson_nll_loss`, its ``reduction`` a number.

    >>> import framework as torch
    >>> torch.poisson_nll_loss(torch.zeros(2), torch.ones(2), True, False, 1e-8, 0)
    tensor([1., 1.])
    """
    return loss.poisson_nll_loss(
        input, target, log_input, full, eps=eps, reduction=_named(reduction)
    )


@function(method=False)
def ctc_loss(
    log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: int = 0,
    reduction: int = 0, zero_infinity: bool = False,
) -> Any:  # fmt: skip
    """`nn.functional.ctc_loss`, its ``reduction`` a number; all losses by default, as PyTorch's.

    >>> import framework as torch
    >>> even = torch.full((4, 1, 2), 0.5).log()
    >>> torch.ctc_loss(even, torch.tensor([[1]]), (4,), (1,))
    tensor([0.4700])
    """
    return ctc.ctc_loss(
        log_probs, targets, input_lengths, target_lengths, blank, _named(reduction),
        zero_infinity,
    )  # fmt: skip


# -- recurrent networks --------------------------------------------------------------------------


@function(method=False)
def lstm_cell(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> tuple[Any, Any]:
    """(h', c') of one step of an LSTM; ``hx`` is (h, c) (Hochreiter and Schmidhuber 1997).

    Shapes: input (N, I), h and c (N, H), w_ih (4H, I), w_hh (4H, H), biases (4H,) or None; the
    gates' rows are those of input, forget, cell and output. RuntimeError for sizes that differ.

    >>> import framework as torch
    >>> one, zero = torch.ones(1, 1), torch.zeros(4, 1)
    >>> torch.lstm_cell(one, (one, one), zero, zero)
    (tensor([[0.2311]]), tensor([[0.5000]]))
    """
    return recurrent.lstm_cell(linear(input, w_ih, b_ih), *hx, w_hh, b_hh)


@function(method=False)
def gru_cell(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Any:  # fmt: skip
    """h' of one step of a GRU (Cho et al. 2014).

    Shapes: input (N, I), hx (N, H), w_ih (3H, I), w_hh (3H, H), biases (3H,) or None; the gates'
    rows are those of reset, update and new. RuntimeError for sizes that do not match.

    >>> import framework as torch
    >>> one, zero = torch.ones(1, 1), torch.zeros(3, 1)
    >>> torch.gru_cell(one, one, zero, zero)
    tensor([[0.5000]])
    """
    return recurrent.gru_cell(linear(input, w_ih, b_ih), hx, w_hh, b_hh)


@function(method=False)
def rnn_tanh_cell(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Any:  # fmt: skip
    """tanh(w_ih input + b_ih + w_hh hx + b_hh).

    >>> import framework as torch
    >>> one = torch.ones(1, 1)
    >>> torch.rnn_tanh_cell(one, one, one, one)
    tensor([[0.9640]])
    """
    return recurrent.rnn_tanh_cell(linear(input, w_ih, b_ih), hx, w_hh, b_hh)


@function(method=False)
def rnn_relu_cell(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Any:  # fmt: skip
    """relu(w_ih input + b_ih + w_hh hx + b_hh).

    >>> import framework as torch
    >>> one = torch.ones(1, 1)
    >>> torch.rnn_relu_cell(one, one, one, one)
    tensor([[2.]])
    """
    return recurrent.rnn_relu_cell(linear(input, w_ih, b_ih), hx, w_hh, b_hh)


def _flat(values: Any) -> list[Any]:
    """The items of tuples and lists, each of them, and all else as it is."""
    return [x for v in values for x in (v if isinstance(v, (tuple, list)) else (v,))]


def _network(mode: str, name: str, example: str) -> Callable[..., Any]:
    """A network over padded sequences or, with the batch sizes second, over packed ones."""

    def call(*args: Any) -> Any:
        if len(args) != 9 or not all(isinstance(x, Tensor) for x in _flat(args[:3])):
            got = ", ".join(type(x).__name__ for x in args)
            raise TypeError(
                f"{name}() received an invalid combination of arguments - got ({got}): expected "
                "the nine that its documentation lists"
            )
        packed = isinstance(args[2], Tensor) if mode != "LSTM" else isinstance(args[1], Tensor)
        input, rest = args[0], args[1:]
        sizes = None
        if packed:
            sizes, rest = [int(n) for n in rest[0].tolist()], rest[1:]
        hx, params, biased, count, drop, train, both = rest[:7]
        first = not packed and rest[7]
        directions = 2 if both else 1
        each = len(params) // (count * directions)
        weights = [list(params[i : i + each]) for i in range(0, len(params), each)]
        out, finals = recurrent.layers(
            mode, input.transpose(0, 1) if first else input, hx if mode == "LSTM" else (hx,),
            weights, biased, directions, drop if train else 0.0, sizes,
        )  # fmt: skip
        return (out.transpose(0, 1) if first else out, *finals)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"""The layers of `nn.{mode.partition("_")[0]}`, weights being given one by one.

    ``{name}(input, hx, params, has_biases, num_layers, dropout, train, bidirectional,
    batch_first)``, or for packed sequences ``{name}(data, batch_sizes, hx, params, has_biases,
    num_layers, dropout, train, bidirectional)``. Returns the outputs and the final states.

    Shapes: input (L, N, I), or (N, L, I) with ``batch_first``; states (layers, N, H); params: for
    each layer and direction w_ih, w_hh and, if there are any, b_ih and b_hh.

    >>> import framework as torch
    >>> x, h = torch.ones(1, 2, 1), torch.zeros(1, 1, 1)
{example}
    """
    return function(method=False)(call)


lstm = _network(
    "LSTM",
    "lstm",
    """\
    >>> w = torch.ones(4, 1)
    >>> torch.lstm(x, (h, h), [w, w], False, 1, 0.0, False, False, True)
    (tensor([[[0.3696],
             [0.6505]]]), tensor([[[0.6505]]]), tensor([[[1.1444]]]))""",
)
gru = _network(
    "GRU",
    "gru",
    """\
    >>> w = torch.ones(3, 1)
    >>> torch.gru(x, h, [w, w], False, 1, 0.0, False, False, True)
    (tensor([[[0.2048],
             [0.3468]]]), tensor([[[0.3468]]]))""",
)
rnn_tanh = _network(
    "RNN_TANH",
    "rnn_tanh",
    """\
    >>> w = torch.ones(1, 1)
    >>> torch.rnn_tanh(x, h, [w, w], False, 1, 0.0, False, False, True)
    (tensor([[[0.7616],
             [0.9427]]]), tensor([[[0.9427]]]))""",
)
rnn_relu = _network(
    "RNN_RELU",
    "rnn_relu",
    """\
    >>> w = torch.ones(1, 1)
    >>> torch.rnn_relu(x, h, [w, w], False, 1, 0.0, False, False, True)
    (tensor([[[1.],
             [2.]]]), tensor([[[2.]]]))""",
)
