"""Batching rules: how an op runs on tensors with one more dimension in front.

A rule gets the op's arguments with the mapped dimension as dimension 0 of those that ``flags``
mark, and the op's keywords as for one sample; it returns a tensor (or a tuple) with the mapped
dimension in front, or NotImplemented. Rules run differentiable ops, so gradients follow. An op
without a rule runs sample by sample (`loop`), which is always right and often slow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply
from framework.core.registry import OPS, Op
from framework.tensor import Tensor, wrap

__all__ = ["DECOMPOSED", "RANDOM", "loop", "promoted", "random", "rule_of", "stacked_samples"]

Rule = Callable[[Op, "list[Any]", "dict[str, Any]", "list[bool]", int], Any]
NO = NotImplemented


def rule_of(op: Op) -> Rule | None:
    """The rule of an op; None if it has none."""
    if not _RULES:
        _fill()
    return _RULES.get(op.name)


def loop(op: Op, args: list[Any], meta: dict[str, Any], flags: list[bool], size: int) -> Any:
    """One sample after the other, and the results stacked."""
    if not size:
        raise RuntimeError(f"vmap: {op.name} of a batch of no samples is not supported")
    results = [
        apply(op, *[a[i] if f else a for a, f in zip(args, flags)], **meta) for i in range(size)
    ]
    if results[0].__class__ is tuple:
        return tuple([stacked_samples(op.name, parts) for parts in zip(*results)])
    return stacked_samples(op.name, results)


def stacked_samples(name: str, results: Any) -> Tensor:
    """The results of all samples, stacked.

    Raises:
        RuntimeError: they have different shapes.
    """
    from framework.ops.joining import stack

    if any(r._data.shape != results[0]._data.shape for r in results):
        raise RuntimeError(
            f"vmap: We do not support batching operators that can output dynamic shape: {name} "
            "gave results of different shapes. Attempted to vmap over it"
        )
    return stack(results)


def promoted(op: Op, values: list[Any], flags: list[bool]) -> list[Any]:
    """Cast the values as the op's dtype rule casts the samples: 0-d ones do not widen others."""
    if not isinstance(op.rule, str) or op.rule == "same":
        return values
    return _one_dtype(values, flags)


def _one_dtype(values: list[Any], flags: list[bool]) -> list[Any]:
    """The tensors among the values in the dtype that their samples would be promoted to."""
    if len({v._data.dtype for v in values if isinstance(v, Tensor)}) < 2:
        return values
    common = dtypes.result_type(*[
        np.empty((0,) * _rank(v, f), v._data.dtype) if isinstance(v, Tensor) else v
        for v, f in zip(values, flags) if v is not None
    ])  # fmt: skip
    return [
        v.to(common) if isinstance(v, Tensor) and v.dtype is not common else v for v in values
    ]  # fmt: skip


# -- ranks ------------------------------------------------------------------------------------


def _rank(value: Any, flag: bool) -> int:
    """Dimensions of a sample."""
    return value._data.ndim - flag if isinstance(value, Tensor) else 0


def _lift(value: Any, flag: bool, rank: int) -> Any:
    """A batched value with ones after the mapped dimension, so that samples have ``rank``."""
    if not flag or value._data.ndim - 1 >= rank:
        return value
    shape = value._data.shape
    return value.reshape(shape[0], *(1,) * (rank - len(shape) + 1), *shape[1:])


def _full(value: Any, flag: bool, size: int) -> Any:
    """A tensor with the mapped dimension, repeated over it if it is the same for all samples."""
    if flag or not isinstance(value, Tensor):
        return value
    return value.expand(size, *value.shape)


# -- rules by class ---------------------------------------------------------------------------


def pointwise(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """Elementwise with broadcasting."""
    rank = max([_rank(a, f) for a, f in zip(args, flags)])
    return apply(op, *[_lift(a, f, rank) for a, f in zip(args, flags)], **meta)


def leading(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """Ops that look at the last dimensions of their first argument only."""
    if flags[0] and not any(flags[1:]):
        return apply(op, *args, **meta)
    return NO


def stacked(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """Ops on stacks of matrices, all arguments of one rank."""
    if len({_rank(a, f) for a, f in zip(args, flags)}) > 1:
        return NO
    return apply(op, *args, **meta)


def _shifted(dim: Any) -> Any:
    return tuple([d + 1 for d in dim]) if isinstance(dim, tuple) else dim + 1


def along(key: str) -> Rule:
    """Ops along dimensions ``key`` of arguments of equal rank."""

    def rule(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
        if key not in meta:
            return NO
        dim = meta[key]
        ranks = {_rank(a, f) for a, f in zip(args, flags) if isinstance(a, Tensor)}
        if len(ranks) > 1:
            return NO
        rank = ranks.pop()
        if dim is None or (not rank and (not isinstance(dim, tuple) or dim)):
            return NO
        if not rank:
            return _of_numbers(op, args, {**meta, key: (1,)}, flags, size)
        if isinstance(dim, tuple) and not dim and rank:
            return NO
        full = [_full(a, f, size) for a, f in zip(args, flags)]
        return apply(op, *full, **{**meta, key: _shifted(dim)})

    return rule


def _of_numbers(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """A reduction of 0-d samples: of one dimension of one element."""
    rows = [_full(a, f, size).unsqueeze(1) for a, f in zip(args, flags)]
    out = apply(op, *rows, **meta)
    if out.__class__ is tuple:
        return tuple([o.reshape(size) for o in out])
    return out.reshape(size)


def arg_extreme(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """argmax and argmin: of the flattened sample without a dimension."""
    (a,) = args
    if meta["dim"] is not None and a.ndim > 1:
        return apply(op, a, **{**meta, "dim": meta["dim"] + 1})
    if meta.get("keepdim") or a.ndim == 1:
        return NO
    return apply(op, a.reshape(size, -1), **{**meta, "dim": 1})


def reshape(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    return apply(op, args[0], **{**meta, "shape": (size, *meta["shape"])})


def expand(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    shape = meta["shape"]
    return apply(op, _lift(args[0], True, len(shape)), **{**meta, "shape": (size, *shape)})


def permute(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    return apply(op, args[0], dims=(0, *[d + 1 for d in meta["dims"]]))


def getitem(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    index = meta["index"]
    index = index if isinstance(index, tuple) else (index,)
    changed = {**meta, "index": (slice(None), *index)}
    if "shape" in meta:
        changed["shape"] = (size, *meta["shape"])
    return apply(op, args[0], **changed)


def shifted(*keys: str) -> Rule:
    """Ops on dimensions ``keys`` of one argument, perhaps with the ``shape`` of the result."""

    def rule(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
        if args[0].ndim == 1 or meta.get("shape") == ():
            return NO
        changed = {**meta, **{key: meta[key] + 1 for key in keys}}
        if "shape" in meta:
            changed["shape"] = (size, *meta["shape"])
        return apply(op, args[0], **changed)

    return rule


def as_strided(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """The samples lie one stride apart."""
    step = args[0].stride(0)
    wide = {k: ((size, *shape), (step, *steps), at) for k, (shape, steps, at) in meta.items()}
    return apply(op, args[0], **wide)


def roll(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    if not isinstance(meta["dims"], tuple) or args[0].ndim == 1:
        return NO
    return apply(op, args[0], **{**meta, "dims": _shifted(meta["dims"])})


def cat(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    full = [_full(a, f, size) for a, f in zip(args, flags)]
    return apply(op, *full, **{**meta, "dim": meta["dim"] + 1})


def copy(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """``fill`` and ``copy`` give the shape of their first argument."""
    a = _full(args[0], flags[0], size)
    rank = a.ndim - 1
    if flags[1] and args[1].ndim - 1 > rank:
        return NO
    if op.name == "fill" and flags[1]:
        return apply(OPS["copy"], a, _lift(args[1], True, rank))
    return apply(op, a, _lift(args[1], flags[1], rank), **meta)


def where(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    return pointwise(op, [args[0], *_one_dtype(args[1:], flags[1:])], meta, flags, size)


def each(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """Ops that give their arguments back."""
    return apply(op, *[_full(a, f, size) for a, f in zip(args, flags)], **meta)


def matmul(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    a, b = args
    ranks = [_rank(a, flags[0]), _rank(b, flags[1])]
    if 0 in ranks:
        return NO
    vector_a, vector_b = ranks[0] == 1, ranks[1] == 1
    if flags[0] and not flags[1] and not vector_a and ranks[1] <= 2:
        return apply(op, a, b, **meta)  # one product with more rows
    if vector_a:
        a = a.unsqueeze(-2)
    if vector_b:
        b = b.unsqueeze(-1)
    rank = max([*ranks, 2])
    out = apply(op, _lift(a, flags[0], rank), _lift(b, flags[1], rank), **meta)
    if vector_a:
        out = out.squeeze(-2)
    return out.squeeze(-1) if vector_b else out


def merged(spatial: Callable[[str], int]) -> Rule:
    """Ops on (N, C, ...) or (C, ...): the mapped dimension becomes a part of N."""

    def rule(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
        if not flags[0] or any(flags[1:]):
            return NO
        x = args[0]
        rank = x.ndim - 1
        plain = spatial(op.name) + 1
        if rank == plain:
            return apply(op, x, *args[1:], **meta)
        if rank != plain + 1:
            return NO
        n = x.shape[1]
        out = apply(op, x.reshape(size * n, *x.shape[2:]), *args[1:], **meta)
        if out.__class__ is tuple:
            return tuple([o.reshape(size, n, *o.shape[1:]) for o in out])
        return out.reshape(size, n, *out.shape[1:])

    return rule


def folded(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """Ops on (N, ...) whose samples do not see each other: all in one N."""
    if not flags[0] or any(flags[1:]) or args[0].ndim < 3:
        return NO
    n = args[0].shape[1]
    out = apply(op, args[0].reshape(size * n, *args[0].shape[2:]), *args[1:], **meta)
    return out.reshape(size, n, *out.shape[1:])


def _spatial(name: str) -> int:
    return next((int(c) for c in name if c in "123"), 2)


def _in_channels(value: Any, flag: bool, size: int) -> Any:
    """(N, C, ...) of each sample as (N, size · C, ...)."""
    full = _full(value, flag, size).movedim(0, 1)
    return full.reshape(full.shape[0], size * full.shape[2], *full.shape[3:])


def _from_channels(value: Any, size: int) -> Any:
    n, channels, *rest = value.shape
    return value.reshape(n, size, channels // size, *rest).movedim(1, 0)


def _rows(value: Any, flag: bool, size: int) -> Any:
    """(O, ...) of each sample as (size · O, ...)."""
    if not isinstance(value, Tensor):
        return value
    full = _full(value, flag, size)
    return full.reshape(size * full.shape[1], *full.shape[2:])


def conv(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """Convolutions: where the samples have filters of their own, each is a group of channels."""
    if _rank(args[0], flags[0]) != _spatial(op.name) + 2:
        return NO
    if flags[0] and not any(flags[1:]):
        return merged(_spatial)(op, args, meta, flags, size)
    grouped = {**meta, "groups": meta["groups"] * size}
    first, *rest = args
    rows = [_rows(a, f, size) for a, f in zip(rest, flags[1:])]
    return _from_channels(apply(op, _in_channels(first, flags[0], size), *rows, **grouped), size)


def conv_weight(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """Gradients of the filters, one for each sample."""
    x, g = (_in_channels(a, f, size) for a, f in zip(args, flags))
    out = apply(op, x, g, **{**meta, "groups": meta["groups"] * size})
    return out.reshape(size, out.shape[0] // size, *out.shape[1:])


def batch_norm(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """The channels of all samples stand next to each other."""
    x, *rest = args
    rows = [_rows(a, f, size) for a, f in zip(rest, flags[1:])]
    out = apply(op, _in_channels(x, flags[0], size), *rows, **meta)
    if out.__class__ is not tuple:
        return _from_channels(out, size)
    return _from_channels(out[0], size), *[o.reshape(size, -1) for o in out[1:]]


def trace(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    return args[0].diagonal(dim1=1, dim2=2).sum(1)


def embedding_backward(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """Gradients of the tables, one for each sample: the rows of one large table."""
    if meta["padding_idx"] >= 0 or meta["scale_grad_by_freq"]:
        return NO
    g, index = (_full(a, f, size) for a, f in zip(args, flags))
    first = wrap(np.arange(size) * meta["rows"], index._device)
    index = index.to(dtypes.int64) + first.reshape(size, *(1,) * (index.ndim - 1))
    out = apply(op, g, index, **{**meta, "rows": size * meta["rows"]})
    return out.reshape(size, meta["rows"], *out.shape[1:])


def embedding(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    if flags[0]:
        return NO
    return apply(op, *args, **meta)


def index(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """Advanced indexing, where the index arrays stand next to each other."""
    a, *indices = args
    layout = meta["layout"]
    inner = flags[1:]
    if any(i._data.dtype.kind == "b" and f for i, f in zip(indices, inner)):
        raise RuntimeError(
            "vmap: We do not support batching operators that can output dynamic shape: indexing "
            "with a mask that differs from sample to sample. Use torch.where instead."
        )
    at = _indexed(indices, layout)
    if at is None:
        return NO
    if not any(inner):
        return apply(op, a, *indices, layout=(slice(None), *layout))
    rank = max([_rank(i, f) for i, f in zip(indices, inner)])
    lifted = [_lift(i, f, rank) for i, f in zip(indices, inner)]
    if not flags[0]:
        out = apply(op, a, *lifted, layout=layout)
        return out.movedim(at, 0) if at else out
    own = _numbers(size, rank, a)
    marker = layout[at]
    if not at:
        return apply(op, a, own, *lifted, layout=(marker, *layout))
    a = a.movedim(0, at)  # next to the other indexed dimensions
    out = apply(op, a, own, *lifted, layout=(*layout[:at], marker, *layout[at:]))
    return out.movedim(at, 0)


def _indexed(indices: Any, layout: tuple[Any, ...]) -> int | None:
    """The first of the indexed dimensions where they stand next to each other, else None."""
    places = [i for i, p in enumerate(layout) if not _plain(p)]
    if any(i._data.dtype.kind == "b" for i in indices) or Ellipsis in layout or None in layout:
        return None
    if places != list(range(places[0], places[0] + len(places))) or len(places) != len(indices):
        return None
    if any(not isinstance(p, slice) and _plain(p) for p in layout):
        return None
    return places[0]


def _numbers(size: int, rank: int, like: Any) -> Any:
    """Each sample's number, for an index next to indices of ``rank`` dimensions."""
    return wrap(np.arange(size), like._device).reshape(size, *(1,) * rank)


def index_backward(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """The transpose of `index`: what is added into a tensor of zeros, of each sample."""
    g, *indices = args
    layout, shape, inner = meta["layout"], meta["shape"], flags[1:]
    at = _indexed(indices, layout)
    if at is None:
        return NO
    g = _full(g, flags[0], size)
    if not any(inner):
        return apply(op, g, *indices, shape=(size, *shape), layout=(slice(None), *layout))
    rank = max([_rank(i, f) for i, f in zip(indices, inner)])
    lifted = [_lift(i, f, rank) for i, f in zip(indices, inner)]
    out = apply(
        op, g.movedim(0, at), _numbers(size, rank, g), *lifted,
        shape=(*shape[:at], size, *shape[at:]), layout=(*layout[:at], layout[at], *layout[at:]),
    )  # fmt: skip
    return out.movedim(at, 0)


def index_put(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """Writes at an index, where the indexed dimensions come first or all samples have the same."""
    a, values, *indices = args
    layout, inner = meta["layout"], flags[2:]
    at = _indexed(indices, layout)
    if at is None or (at and any(inner)):
        return NO
    ranks = [_rank(i, f) for i, f in zip(indices, inner)]
    a = _full(a, flags[0], size)
    values = _lift(values, flags[1], a.ndim - 1 - len(indices) + max(ranks))
    if not any(inner):
        return apply(op, a, values, *indices, **{**meta, "layout": (slice(None), *layout)})
    lifted = [_lift(i, f, max(ranks)) for i, f in zip(indices, inner)]
    own = _numbers(size, max(ranks), a)
    return apply(op, a, values, own, *lifted, **{**meta, "layout": (layout[0], *layout)})


def _plain(part: Any) -> bool:
    return part is None or part is Ellipsis or isinstance(part, (slice, int))


def pad(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    return apply(op, args[0], **{**meta, "pad": ((0, 0), *meta["pad"])})


def dynamic(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    """Ops whose results have shapes that depend on the values."""
    raise RuntimeError(
        "vmap: We do not support batching operators that can output dynamic shape: "
        f"{op.name}. Attempted to vmap over it"
    )


def one_hot(op: Op, args: Any, meta: Any, flags: Any, size: int) -> Any:
    return apply(op, args[0], **meta)


# -- random ops -------------------------------------------------------------------------------

RANDOM = {
    "rand", "randn", "randint", "randperm", "dropout", "normal", "bernoulli", "poisson", "binomial",
    "multinomial", "uniform_", "normal_", "log_normal_", "exponential_", "cauchy_", "geometric_",
    "bernoulli_", "random_",
}  # fmt: skip


def random(
    layer: Any, op: Op, args: tuple[Any, ...], meta: dict[str, Any], flags: list[bool]
) -> Any:
    """A random op under vmap: refused, the same for all samples, or different for each."""
    from framework.func.batched import batched

    if layer.randomness == "error" and not (op.name == "dropout" and meta["p"] >= 1):
        raise RuntimeError(
            "vmap: called random operation while in randomness error mode. Please either use the "
            "'same' or 'different' randomness flags on vmap or perform the randomness operation "
            "out of vmap"
        )
    size, level = layer.size, layer.level
    if op.name == "dropout":
        return _dropout(layer, op, args, meta, flags)
    if True in flags:
        return _sampled(layer, op, args, meta, flags)
    if layer.randomness == "same":
        return apply(op, *args, **meta)
    if op.params or op.name == "randperm":
        from framework.ops.joining import stack

        return batched(stack([apply(op, *args, **meta) for _ in range(size)]), level)
    return batched(apply(op, **{**meta, "shape": (size, *meta["shape"])}), level)


def _sampled(layer: Any, op: Op, args: Any, meta: Any, flags: Any) -> Any:
    """Samples that follow (or replace) batched tensors: each sample of the batch draws its own."""
    from framework.func.batched import batched

    stream = meta["generator"]
    start = stream.offset if layer.randomness == "same" else None
    if start is not None and not op.name.endswith("_"):
        raise RuntimeError(
            "Vmap does not currently support same randomness with a batched tensor input."
        )
    values = [a._value if f else a for a, f in zip(args, flags)]
    results = []
    for i in range(layer.size):
        if start is not None:
            stream.offset = start
        each = [v[i] if f else v for v, f in zip(values, flags)]
        results.append(apply(op, *each, **meta))
    out = batched(stacked_samples(op.name, results), layer.level)
    layer._record(op, args, meta, (out,))
    return out


def _dropout(layer: Any, op: Op, args: Any, meta: Any, flags: Any) -> Any:
    from framework import random as streams
    from framework.func.batched import batched

    size = layer.size
    if layer.randomness == "same" or meta["p"] >= 1:  # which draws nothing
        if not flags[0]:
            return apply(op, *args, **meta)
        value = args[0]._value
        out = batched(apply(op, value, **meta), layer.level)
        sample = meta
    else:
        value = args[0]._value if flags[0] else _full(args[0], False, size)
        # The caller has taken one sample's numbers from the stream: take those of the others too.
        stream = streams.default_generator
        wide = (size, *meta["shape"])
        stream.offset += -(-int(np.prod(wide)) // 8)
        sample = {**meta, "shape": wide}
        out = batched(apply(op, value, **sample), layer.level)
    layer._record(OPS["dropout"], args, sample, (out,))
    return out


# -- ops that are run as others ---------------------------------------------------------------


def _linear(args: Any, meta: Any, flags: Any) -> Any:
    x, w, b = args
    if not flags[1] and not (len(flags) > 2 and flags[2]) and w.ndim == 2:
        return NO
    y = x @ (w.mT if w.ndim == 2 else w)
    return y if b is None else y + b


def _layer_norm(args: Any, meta: Any, flags: Any) -> Any:
    if not any(flags[1:]):
        return NO
    x, *scales = args
    y = apply(OPS["layer_norm"], x, None, None, **meta)
    for i, s in enumerate(scales):
        if s is not None:
            y = y + s if i else y * s
    return y


def _nll_loss(args: Any, meta: Any, flags: Any) -> Any:
    from framework.ops.select import where as choose

    x, target, weight = args
    dim = 0 if x.ndim == 1 else 1
    skip = target == meta["ignore_index"]
    safe = target.masked_fill(skip, 0)
    loss = -x.gather(dim, safe.unsqueeze(dim)).squeeze(dim)
    scale = x.new_ones(()) if weight is None else weight.detach()[safe]
    scale = choose(skip, scale * 0, scale)
    loss = choose(skip, loss * 0, loss * scale)
    if meta["reduction"] == "none":
        return loss
    total = loss.sum()
    return total / scale.sum() if meta["reduction"] == "mean" else total


DECOMPOSED: dict[str, Callable[[Any, Any, Any], Any]] = {
    "linear": _linear,
    "layer_norm": _layer_norm,
    "nll_loss": _nll_loss,
}


# -- the table --------------------------------------------------------------------------------

_RULES: dict[str, Rule] = {}

# Families of which every op works element by element, but for those that have a rule of their own.
_ELEMENTWISE = (
    "framework.ops.pointwise", "framework.ops.unary", "framework.ops.compare",
    "framework.ops.select", "framework.ops.complex", "framework.ops.activation",
    "framework.ops.special", "framework.ops.pairs", "framework.ops.prelu",
    "framework.kernels.special",
)  # fmt: skip
_UFUNCS = (
    "isnan isinf isfinite logical_not lt le gt ge eq ne logical_and logical_or logical_xor "
    "bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift bitwise_not "
    "to clone contiguous detach alias to_device bce"
)

_NAMES: list[tuple[str, Rule]] = [
    ("where", where),
    ("std_root cdist solve_triangular cholesky_solve", pointwise),  # of broadcast batches
    ("fill copy", copy),
    ("backward_hook max_scatter max_gather", each),
    (
        "sum mean nansum prod amax amin max min logsumexp norm any all count_nonzero var",
        along("dim"),
    ),
    ("fft_c2c fft_r2c fft_c2r", along("dim")),
    (
        "max_dim min_dim decayed_sum cumsum cumprod cummax cummin logcumsumexp sort argsort "
        "topk kthvalue median_dim nanmedian_dim mode",
        along("dim"),
    ),
    ("softmax log_softmax softmax_backward log_softmax_backward", along("dim")),
    ("cumsum_backward var_backward", along("dim")),
    ("gather scatter scatter_add scatter_reduce", along("dim")),
    ("diagonal diagonal_backward", shifted("dim1", "dim2")),
    ("unfold unfold_backward", shifted("dim")),
    ("view_dtype", leading),
    ("as_strided", as_strided),
    ("flip standardize standardize_backward product_sum", along("dims")),
    ("argmax argmin", arg_extreme),
    ("reshape", reshape),
    ("expand", expand),
    ("permute", permute),
    ("getitem getitem_backward", getitem),
    ("roll", roll),
    ("cat stack", cat),
    ("glu glu_backward", along("dim")),
    ("matmul", matmul),
    ("tril triu inv det cholesky inv_ex cholesky_ex lu_factor ldl_factor qr geqrf", leading),
    ("svd eig eigh slogdet pinv matrix_exp diag_embed", leading),
    ("svdvals eigvals eigvalsh matrix_rank cholesky_inverse lu_permutation", leading),
    ("trace", trace),
    ("adaptive_avg_unpool1d adaptive_avg_unpool2d adaptive_avg_unpool3d", leading),
    ("solve_ex householder_product", each),
    ("max_unpool1d max_unpool2d max_unpool3d", each),
    ("fractional_max_pool2d fractional_max_pool3d", each),
    ("im2col", merged(lambda name: 2)),
    ("col2im", folded),
    ("avg_unpool1d avg_unpool2d avg_unpool3d", leading),
    ("linear layer_norm rms_norm", leading),
    ("solve", stacked),
    ("conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d", conv),
    ("conv1d_input conv2d_input conv3d_input", conv),
    ("conv1d_weight conv2d_weight conv3d_weight", conv_weight),
    ("batch_norm", batch_norm),
    ("max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d", merged(_spatial)),
    ("adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d", merged(_spatial)),
    ("adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d", merged(_spatial)),
    ("group_norm", folded),
    ("embedding", embedding),
    ("embedding_backward", embedding_backward),
    ("index", index),
    ("index_backward", index_backward),
    ("index_put", index_put),
    ("one_hot", one_hot),
    ("unique unique_consecutive", dynamic),
    ("pad", pad),
]


def _fill() -> None:
    """The rules by name; elementwise ones for the rest of the elementwise families."""
    for op in OPS.values():
        rules = (op.grad,) if callable(op.grad) else op.grad or ()
        home = next((r.__module__ for r in (*rules, op.kernel) if hasattr(r, "__module__")), "")
        if op.params and str(home).startswith(_ELEMENTWISE):
            _RULES[op.name] = pointwise
        elif op.name.startswith("upsample_"):
            _RULES[op.name] = leading
    for name in _UFUNCS.split():
        _RULES[name] = pointwise
    for names, rule in _NAMES:
        for name in names.split():
            _RULES[name] = rule
