"""What PyTorch calls the nodes: ``grad_fn=<ViewBackward0>`` and ``type(y.grad_fn).__name__``.

Our nodes are of one class and have our ops' names, which the trace shows. A node gets a class with
PyTorch's name when somebody looks at it (`shown`), so that ops pay nothing for it: by `OPS`, or,
where an op is what several of PyTorch's are made of, by the op's variant (`registry.variant`). A
function of several ops gives the node of its result the name that PyTorch's function has:
`FUNCTIONS`, applied when the function is published.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

__all__ = [
    "FUNCTIONS", "OPS", "entitle", "name_of", "of_clamp_max", "of_clamp_min", "of_linear_with_bias",
    "shown", "titled",
]  # fmt: skip


# -- by op: a name, its beginning (before "Backward0"), or a function of the node ---------------


def _rank(node: Any, i: int) -> int | None:
    """Dimensions of an input, if it wants a gradient."""
    return len(node.shape(i)) if node.edges[i] is not None else None


def _of_matmul(node: Any) -> str:
    a, b, out = _rank(node, 0), _rank(node, 1), len(node.metas[0][0])
    if out == 0:
        return "Dot"
    if out == 1:
        return "Mv" if a == 2 or b == 1 else "SqueezeBackward4"
    if out == 2 and 3 not in (a, b):
        return "Mm"
    return "Clone" if a == 2 else "UnsafeView"  # PyTorch turns a matrix times matrices round


def _by_numbers(node: Any) -> bool:
    """Whether all arguments but the first are numbers, as far as the node has to know them."""
    inputs = node.plan.inputs
    return not any(edge is not None for edge in node.edges[1:]) and not any(
        inputs[at] for at, _ in node.held() if at < len(inputs)
    )


def _of_pow(node: Any) -> str:
    return "Pow" if _by_numbers(node) else "PowBackward1"


def _of_clamp(node: Any) -> str:
    return "ClampBackward1" if _by_numbers(node) else "Clamp"


def of_clamp_min(node: Any) -> str:
    """The name of the node of ``clamp_min``."""
    return "ClampMin" if _by_numbers(node) else "ClampMinBackward1"


def of_clamp_max(node: Any) -> str:
    """The name of the node of ``clamp_max``."""
    return "ClampMax" if _by_numbers(node) else "ClampMaxBackward1"


def _of_index(node: Any) -> str:
    """PyTorch takes one part of an index after the other; the last view is what one sees."""
    index = node.meta["index"]
    parts = [p for p in index if p is not Ellipsis]
    kept = sum(p is not None for p in parts)
    shape = node.shape(0) if node.edges[0] is not None else ()
    dim, name = 0, "Slice" if parts else "Alias"
    for part in index:
        if part is Ellipsis:
            dim += len(shape) - kept
        elif part is None or part is True or part is False:
            name = "Unsqueeze"
        else:
            if not isinstance(part, slice):
                name = "Select"
            elif dim >= len(shape) or part.indices(shape[dim]) != (0, shape[dim], 1):
                name = "Slice"
            dim += 1
    return name


def _of_linear(node: Any) -> str:
    rank = len(node.metas[0][0])
    return "SqueezeBackward4" if rank == 1 else "Mm" if rank == 2 else "UnsafeView"


def of_linear_with_bias(node: Any) -> str:
    """The name of the node of ``F.linear`` with a bias."""
    return "Addmm" if len(node.metas[0][0]) == 2 else "View"


def _of_pool(name: str) -> Callable[[Any], str]:
    """Average pooling to a single element is PyTorch's mean."""
    return lambda node: "MeanBackward1" if set(node.meta["out"]) == {1} else name


OPS: dict[str, str | Callable[[Any], str]] = {
    # The shapes of a tensor
    "reshape": "View", "alias": "View", "getitem": _of_index,
    "view_scatter": "torch::autograd::CopySlices", "contiguous": "Clone",
    "copy": "torch::autograd::CopyBackwards", "to": "ToCopy",
    "to_device": "ToCopy", "real": "Select", "imag": "Select", "pad": "ConstantPadNd",
    # Arithmetic and functions of one element
    "div_floor": "DivBackward2", "div_trunc": "DivBackward2", "square": "Pow",
    "clamp": _of_clamp, "pow": _of_pow, "logsigmoid": "LogSigmoid", "relu6": "Hardtanh",
    "dropout": "Mul", "lstm_gates": "Mul", "gru_gates": "Add",  # as of the new hidden state
    "lstm_sequence": "Stack", "cross_entropy_scores": "NllLoss", "smooth_l1": "SmoothL1Loss",
    "unique": "Unique2",
    "round": lambda node: "RoundBackward1" if "decimals" in node.meta else "Round",
    "ndtr": "MulBackward1", "ndtri": "SpecialNdtri", "log_ndtr": "SpecialLogNdtr",
    "i0e": "SpecialI0E", "i1": "SpecialI1", "i1e": "SpecialI1E", "entr": "SpecialEntr",
    "erfcx": "SpecialErfcx", "xlog1py": "SpecialXlog1Py",
    "softmax_backward": "SoftmaxBackwardDataBackward0",
    "log_softmax_backward": "LogSoftmaxBackwardDataBackward0",
    # Reductions: over dimensions; `reduce` has variants for those of everything
    "sum": "SumBackward1", "mean": "MeanBackward1", "prod": "ProdBackward1", "std_root": "Std",
    "norm": "LinalgVectorNorm", "max": "MaxBackward1", "min": "MinBackward1", "max_dim": "Max",
    "min_dim": "Min", "median_dim": "MedianBackward1", "nanmedian_dim": "NanmedianBackward1",
    "sort": lambda node: "SortBackward1" if node.meta.get("stable") else "Sort",
    # Linear algebra
    "matmul": _of_matmul, "linear": _of_linear, "inv": "LinalgInvEx", "inv_ex": "LinalgInvEx",
    "solve": "LinalgSolveEx", "solve_ex": "LinalgSolveEx", "lu_factor": "LinalgLuFactorEx",
    "cholesky": "LinalgCholeskyEx", "cholesky_ex": "LinalgCholeskyEx",
    **{name: "Linalg" + "".join(p.capitalize() for p in name.split("_")) for name in (
        "det", "slogdet", "qr", "eig", "eigh", "svd", "pinv", "lstsq", "matrix_exp",
        "householder_product", "solve_triangular")},
    "sparse_mm": "SparseAddmm", "to_sparse": "ToSparseBackward1",
    # Layers
    **{f"conv{way}{n}d": "Convolution" for way in ("", "_transpose") for n in (1, 2, 3)},
    **{f"{kind}_pool1d": "SqueezeBackward1" for kind in (
        "max", "avg", "adaptive_max", "adaptive_avg")},
    **{f"max_pool{n}d": f"MaxPool{n}DWithIndices" for n in (2, 3)},
    **{f"adaptive_avg_pool{n}d": _of_pool(f"AdaptiveAvgPool{n}D") for n in (2, 3)},
    "max_unpool1d": "SqueezeBackward1", "layer_norm": "NativeLayerNorm", "rms_norm": "Mul",
    "group_norm": "NativeGroupNorm", "batch_norm": "NativeBatchNorm",
    "nll_loss": lambda node: "NllLoss2D" if (_rank(node, 0) or 0) > 2 else "NllLoss",
    "bce": "BinaryCrossEntropy",
}  # fmt: skip


# -- by function: a name, its beginning, or a function of the arguments and the keywords --------

Title = str | Callable[..., "str | None"]


def _tensor(value: Any) -> bool:
    return hasattr(value, "_data")


def _second(scalar: str, tensor: str, at: int = 1, word: str = "other") -> Callable[..., str]:
    """One name for a number as an argument and one for a tensor."""

    def title(*args: Any, **options: Any) -> str:
        given = args[at] if len(args) > at else options.get(word)
        return tensor if _tensor(given) else scalar

    return title


def _unbatched(rank: int) -> Callable[..., Any]:
    """A layer whose input has no batch dimension gets one for the time being."""
    return lambda input, *args, **options: "SqueezeBackward1" if input.ndim == rank else None


def _of_split(tensor: Any, sizes: Any = None, *args: Any, **options: Any) -> str:
    sizes = options.get("split_size_or_sizes", options.get("split_size", sizes))
    return "SplitWithSizes" if isinstance(sizes, (tuple, list)) else "Split"


def _of_padding(input: Any, pad: Any, mode: str = "constant", *args: Any, **options: Any) -> Any:
    kind = {"reflect": "Reflection", "replicate": "Replication"}.get(mode)
    if mode == "circular":
        return "torch::autograd::CopySlices"
    return f"{kind}Pad{len(pad) // 2}D" if kind else None


def _of_cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, ignore_index: int = -100,
    reduce: Any = None, reduction: str = "mean", *args: Any, **options: Any,
) -> Any:  # fmt: skip
    if not target.is_floating_point():  # class numbers
        return None
    return "DivBackward1" if reduction == "mean" else "Neg"


def _of_product(a: Any, b: Any, *args: Any, **options: Any) -> str:
    return "Vdot" if a.ndim == b.ndim == 1 else "SumBackward1"


def _of_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    *args: Any, **options: Any,
) -> str:  # fmt: skip
    fused = query.ndim == 4 and not dropout_p
    return "ScaledDotProductFlashAttentionForCpu" if fused else "UnsafeView"


def _of_einsum(equation: Any, *operands: Any) -> Any:
    if not isinstance(equation, str):
        return None
    given, arrow, kept = equation.replace(" ", "").partition("->")
    letters = set(given) - set(",.")
    summed = letters - set(kept) if arrow else {x for x in letters if given.count(x) > 1}
    if "," in given:
        return "View" if summed else "Mul"
    return "SumBackward1" if summed else None


def _of_trapezoid(evenly: str) -> Callable[..., str]:
    return lambda y, x=None, **options: evenly if x is None else "DivBackward1"


def _of_atleast(input: Any = None, *args: Any) -> Any:
    return ("Unsqueeze" if input.ndim else "View") if _tensor(input) else None


_PLAIN = """
    addmm addmv addr addbmm baddbmm ldexp masked_select lu_unpack renorm mvlgamma nan_to_num
    index_select index_add index_copy index_reduce scatter_reduce put take block_diag diag_embed
    triangular_solve ormqr dist aminmax var_mean std_mean var_std stack rot90 unbind
    diagonal_scatter select_scatter slice_scatter as_strided_scatter vdot narrow_copy
"""

_LAYERS: dict[str, Title] = {
    "celu": "Celu", "glu": "Glu", "prelu": "PreluKernel", "rrelu": "RreluWithNoise",
    "mse_loss": "MseLoss", "smooth_l1_loss": "SmoothL1Loss", "huber_loss": "HuberLoss",
    "binary_cross_entropy": "BinaryCrossEntropy", "soft_margin_loss": "SoftMarginLoss",
    "binary_cross_entropy_with_logits": "BinaryCrossEntropyWithLogits",
    "multi_margin_loss": "MultiMarginLoss", "multilabel_margin_loss": "MultilabelMarginLoss",
    "cross_entropy": _of_cross_entropy, "cosine_similarity": "SumBackward1",
    "instance_norm": "View", "embedding_bag": "EmbeddingBag", "pad": _of_padding,
    "pixel_shuffle": "PixelShuffle", "pixel_unshuffle": "PixelUnshuffle",
    "channel_shuffle": "ChannelShuffle", "affine_grid": "AffineGridGenerator",
    "grid_sample": lambda input, *args, **options: f"GridSampler{input.ndim - 2}D",
    "scaled_dot_product_attention": _of_attention,
    **{f"conv{way}{n}d": _unbatched(n + 1) for way in ("", "_transpose") for n in (1, 2, 3)},
}  # fmt: skip

FUNCTIONS: dict[str, Title] = {
    **{name: "".join(p.capitalize() for p in name.split("_")) for name in _PLAIN.split()},
    "rsub": _second("RsubBackward1", "Rsub"), "fmod": _second("Fmod", "FmodBackward1"),
    "remainder": _second("Remainder", "RemainderBackward1"),
    "copysign": _second("CopysignBackward1", "Copysign"),
    "lerp": _second("Lerp", "LerpBackward1", 2, "weight"),
    "index_fill": _second("IndexFill", "IndexFillBackward1", 3, "value"),
    "scatter": _second("ScatterBackward1", "Scatter", 3, "src"),
    "bmm": "Bmm", "inner": lambda a, b: "View" if a.ndim and b.ndim else None, "kron": "UnsafeView",
    "cross": "LinalgCross", "tensordot": "View", "chain_matmul": "View", "einsum": _of_einsum,
    "bilinear": lambda input1, input2, weight, bias=None: "View" if bias is None else "Add",
    "cdist": lambda x1, x2, p=2.0, compute_mode="", **options: (
        "View" if compute_mode == "use_mm_for_euclid_dist" and p == 2 else None),
    "lu_solve": "LinalgLuSolve", "cov": "SqueezeBackward0", "corrcoef": "ClampBackward1",
    "split": _of_split, "split_with_sizes": "SplitWithSizes", "chunk": "Split",
    "unsafe_split": "UnsafeSplit", "unsafe_chunk": "UnsafeSplit",
    "repeat": "Repeat", "tile": "Repeat", "cartesian_prod": "Stack", "combinations": "Stack",
    "diag": lambda input, *args: "Diagonal_copy" if input.ndim == 2 else "DiagEmbed",
    "repeat_interleave": lambda input, repeats=None, *args, **options: (
        "IndexSelect" if _tensor(options.get("repeats", repeats)) else "View"),
    "atleast_1d": _of_atleast, "atleast_2d": _of_atleast, "atleast_3d": _of_atleast,
    "pairwise_distance": "NormBackward1", "pdist": "Pdist",
    "trapezoid": _of_trapezoid("MulBackward1"), "trapz": _of_trapezoid("MulBackward1"),
    "cumulative_trapezoid": _of_trapezoid("Cumsum"),
    "stft": lambda input, *args, **options: (
        "SqueezeBackward4" if input.ndim == 1 else "TransposeBackward1"),
    "fft.fft": lambda input, *args, **options: None if input.is_complex() else "FftR2C",
    "fft.ifft": lambda input, *args, **options: None if input.is_complex() else "Conj",
    "quantile": "SqueezeBackward4", "nanquantile": "SqueezeBackward4",
    "conj_physical": "ConjPhysical", "polar": "Polar", "normal": _second(
        "NormalBackward1", "NormalBackward3", 1, "std"),
    **{f"{name}_copy": f"{stem}_copy" for name, stem in {
        "alias": "Alias", "as_strided": "AsStrided", "diagonal": "Diagonal", "expand": "Expand",
        "permute": "Permute", "split_with_sizes": "SplitWithSizes", "t": "T", "view": "View",
        "transpose": "Transpose", "unbind": "Unbind", "unfold": "Unfold", "unsqueeze": "Unsqueeze",
    }.items()},
    "linalg.cross": "LinalgCross", "linalg.lu": "LinalgLu", "linalg.multi_dot": "View",
    "linalg.lu_solve": "LinalgLuSolve", "linalg.solve": "LinalgSolveEx",
    "linalg.solve_ex": "LinalgSolveEx", "linalg.solve_triangular": "LinalgSolveTriangular",
    "linalg.vecdot": _of_product, "linalg.cond": "SqueezeBackward1",
    "grid_sampler_2d": "GridSampler2D", "grid_sampler_3d": "GridSampler3D",
    "native_group_norm": "NativeGroupNorm", "cholesky": "Cholesky",
    "native_dropout_backward": "NativeDropoutBackwardBackward0",
    **{f"conv{way}{n}d": _unbatched(n + 1) for way in ("", "_transpose") for n in (1, 2, 3)},
    "rrelu": "RreluWithNoise", "celu": "Celu", "prelu": "PreluKernel", "pixel_shuffle":
    "PixelShuffle", "pixel_unshuffle": "PixelUnshuffle", "channel_shuffle": "ChannelShuffle",
    **{f"nn.functional.{name}": title for name, title in _LAYERS.items()},
    "special.logit": "Logit",
    # In-place twins whose node has another number
    "Tensor.zero_": "Zero", "Tensor.fill_": "FillBackward2", "Tensor.t_": "TBackward1",
    "Tensor.unsqueeze_": "UnsqueezeBackward1", "Tensor.transpose_": "TransposeBackward1",
    "Tensor.squeeze_": lambda self, dim=None: (
        f"SqueezeBackward{3 if dim is None else 5 if isinstance(dim, (tuple, list)) else 4}"),
    "Tensor.as_strided_": "AsStridedBackward1", "Tensor.acosh_": "AcoshBackward1",
    "Tensor.asinh_": "AsinhBackward1", "Tensor.atanh_": "AtanhBackward1",
    "Tensor.polygamma_": "PolygammaBackward1", "Tensor.conj_physical_": "ConjPhysicalBackward1",
    "Tensor.normal_": "Normal", "Tensor.bernoulli_": "BernoulliBackward2",
}  # fmt: skip


# -- giving the names -----------------------------------------------------------------------------


def _whole(title: str) -> str:
    """The name that a beginning stands for."""
    if "Backward" in title or "::" in title:
        return title
    stem, copy, _ = title.partition("_copy")
    return f"{stem}Backward0{copy}"


def name_of(node: Any) -> str:
    """PyTorch's name of a node, by its op."""
    op = node.op
    found = op.node or OPS.get(op.name)
    if found is None:
        words = "".join(part.capitalize() for part in op.name.split("_"))
        found = re.sub(r"(?<=\d)[a-z]", lambda m: m[0].upper(), words) + "Backward0"
    return _whole(found(node) if callable(found) else found)


_kinds: dict[tuple[Any, str], Any] = {}


def _kind(base: Any, name: str) -> Any:
    """The class of nodes like those of ``base`` that have this name."""
    kind = _kinds.get((base, name))
    if kind is None:
        module = "framework.autograd.function" if base.custom else "builtins"
        space = {"__slots__": (), "__module__": module, "title": name, "untitled": base}
        kind = _kinds[base, name] = type(name.rpartition("::")[2], (base,), space)
    return kind


def entitle(node: Any, name: str) -> None:
    """Give a node a class of that name."""
    node.__class__ = _kind(type(node).untitled or type(node), name)


def shown(node: Any) -> Any:
    """A node as users shall see it: its class has its name."""
    if not node.title:
        entitle(node, node.name())
    return node


def _entitled(out: Any, title: str, since: int) -> None:
    """Name the nodes of several results that were made after ``since`` (see `graph.clock`)."""
    for tensor in out:
        edge = getattr(tensor, "_edge", None)
        if edge is not None and edge[0].seq > since:
            entitle(edge[0], title)


def titled(call: Callable[..., Any], place: str) -> Callable[..., Any]:
    """``call``, giving the nodes of its results the name that `FUNCTIONS` has for ``place``."""
    title = FUNCTIONS.get(place)
    if title is None:
        return call
    from framework.core.graph import order

    fixed = _whole(title) if isinstance(title, str) else ""

    @functools.wraps(call)
    def function(*args: Any, **options: Any) -> Any:
        since = next(order)
        out = call(*args, **options)
        if out.__class__ is list or isinstance(out, tuple):
            name = fixed or title(*args, **options)  # type: ignore[operator]
            if name:
                _entitled(out, _whole(name), since)
            return out
        edge = getattr(out, "_edge", None)
        if edge is not None and edge[0].seq > since:
            name = fixed or title(*args, **options)  # type: ignore[operator]
            if name:
                entitle(edge[0], fixed or _whole(name))
        return out

    return function
