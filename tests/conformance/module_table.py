"""Configurations of modules that PyTorch's module_db lacks, as data.

An entry is a class name, the constructor's call in words (evaluated in PyTorch and in ours), the
arguments of forward (words are evaluated with the helpers of `data`) and the dtypes.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["ERRORS", "INITIAL", "LIKE", "TABLE", "data"]

_D = torch.float64
_WIDE = (torch.float64,)
_REAL = (torch.float64, torch.float32)
_ALL = (torch.float64, torch.float32, torch.complex128)


def data(dtype: Any) -> dict[str, Any]:
    """Helpers that make arguments of forward.

    ``x`` wants a gradient, ``plain`` does not, ``positive`` is in (0, 1), ``ints(high, *shape)``
    are integers, ``mask`` booleans.
    """

    def plain(*shape: int) -> Any:
        return torch.randn(shape, dtype=dtype)

    def x(*shape: int) -> Any:
        return plain(*shape).requires_grad_()

    def positive(*shape: int) -> Any:
        real = torch.float64 if dtype.is_complex else dtype
        return (torch.rand(shape, dtype=real) * 0.9 + 0.05).requires_grad_()

    def ints(high: int, *shape: int) -> Any:
        return torch.randint(high, shape)

    def mask(*shape: int) -> Any:
        return torch.rand(shape) < 0.3

    def packed(lengths: list[int], width: int) -> Any:
        rows = [torch.randn(n, width, dtype=dtype) for n in lengths]
        made = torch.nn.utils.rnn.pack_sequence(rows, enforce_sorted=False)
        made.data.requires_grad_()
        return made

    def pooled(k: int, *shape: int) -> Any:
        """Indices of a max pooling with windows of ``k``."""
        f = {3: "max_pool1d", 4: "max_pool2d", 5: "max_pool3d"}[len(shape)]
        return getattr(torch.nn.functional, f)(plain(*shape), k, return_indices=True)[1]

    return {"x": x, "plain": plain, "positive": positive, "ints": ints, "mask": mask,
            "packed": packed, "pooled": pooled}  # fmt: skip


def LIKE(package: Any) -> dict[str, Any]:
    """Small models and functions, the same on both sides, that constructors below use."""
    nn = package.nn

    class Shared(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.second = self.first
            self.register_buffer("seen", package.zeros(3))
            self.register_buffer("hidden", package.ones(2), persistent=False)
            self.scale = nn.Parameter(package.ones(1))
            self.register_parameter("nothing", None)

        def forward(self, x: Any) -> Any:
            with package.no_grad():
                self.seen += x.mean(0)
            return self.second(self.first(x)) * self.scale

    class Listed(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 2)])
            self.named = nn.ModuleDict({"relu": nn.ReLU(), "tanh": nn.Tanh()})
            self.weights = nn.ParameterList([package.ones(2), package.zeros(2)])
            self.table = nn.ParameterDict({"a": package.ones(2), "b": package.zeros(2)})

        def forward(self, x: Any) -> Any:
            for layer in self.layers:
                x = self.named["tanh"](layer(x))
            return (x + self.weights[0] * self.table["a"]) * self.weights[1] + self.table["b"]

    def wrapped(name: str, module: Any, *args: Any, **options: Any) -> Any:
        """A function of nn.utils on a module."""
        found = nn.utils
        for part in name.split("."):
            found = getattr(found, part)
        made = found(module, *args, **options)
        return module if made is None else made

    return {"Shared": Shared, "Listed": Listed, "wrapped": wrapped,
            "distance": lambda a, b: (a - b).abs().sum(-1)}  # fmt: skip


def _entries(dtypes: Any, *lines: tuple[str, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The class is what stands before the first bracket."""
    return [(text.partition("(")[0].removeprefix("nn."), text, args, dtypes)
            for text, args in lines]  # fmt: skip


TABLE: list[tuple[str, str, tuple[Any, ...], Any]] = [
    # -- dropout ---------------------------------------------------------------------------------
    *_entries(
        _REAL,
        *(
            (f"nn.{name}({args})", (shape,))
            for name, shape in (
                ("Dropout", "x(3, 4)"), ("Dropout1d", "x(2, 3, 4)"), ("Dropout2d", "x(2, 3, 4, 2)"),
                ("Dropout3d", "x(2, 3, 2, 2, 2)"), ("AlphaDropout", "x(3, 4)"),
                ("FeatureAlphaDropout", "x(2, 3, 4, 4)"),
            )
            for args in ("", "0.0", "1.0", "p=0.3")
        ),
        ("nn.RReLU()", ("x(3, 4)",)),
        ("nn.RReLU(0.2, 0.2)", ("x(3, 4)",)),
    ),
    # -- shapes ----------------------------------------------------------------------------------
    *_entries(
        _REAL,
        ("nn.Flatten()", ("x(2, 3, 4)",)),
        ("nn.Flatten(0, 1)", ("x(2, 3, 4)",)),
        ("nn.Unflatten(1, (2, 3))", ("x(2, 6, 4)",)),
        ("nn.Unflatten(-1, torch.Size([2, 2]))", ("x(2, 6, 4)",)),
        ("nn.Identity(54, unused=1)", ("x(2, 3)",)),
        ("nn.PixelShuffle(2)", ("x(2, 8, 3, 2)",)),
        ("nn.PixelUnshuffle(2)", ("x(2, 2, 4, 6)",)),
        ("nn.ChannelShuffle(2)", ("x(2, 4, 3, 2)",)),
        ("nn.Fold((4, 5), kernel_size=(2, 2))", ("x(2, 8, 12)",)),
        ("nn.Fold((4, 5), 2, dilation=1, padding=1, stride=2)", ("x(2, 8, 9)",)),
        ("nn.Unfold((2, 3), padding=(1, 0), stride=2)", ("x(2, 3, 4, 5)",)),
        ("nn.Unfold(2, dilation=2)", ("x(3, 4, 5)",)),
        ("nn.Upsample(scale_factor=2)", ("x(2, 3, 4)",)),
        ("nn.Upsample(size=(5, 3))", ("x(2, 3, 4, 2)",)),
        ("nn.Upsample(scale_factor=(1.5, 2.0), mode='bilinear')", ("x(2, 3, 4, 2)",)),
        ("nn.Upsample(scale_factor=1.7, mode='bilinear', recompute_scale_factor=True)",
         ("x(2, 3, 4, 2)",)),
        ("nn.Upsample(size=6, mode='bicubic', align_corners=True)", ("x(1, 2, 3, 4)",)),
        ("nn.Upsample(scale_factor=2, mode='linear', align_corners=False)", ("x(1, 2, 3)",)),
        ("nn.Upsample(scale_factor=2, mode='trilinear')", ("x(1, 2, 2, 3, 2)",)),
        ("nn.Upsample(scale_factor=2, mode='nearest-exact')", ("x(1, 2, 3)",)),
        ("nn.UpsamplingNearest2d(scale_factor=2)", ("x(1, 2, 3, 2)",)),
        ("nn.UpsamplingNearest2d(size=(4, 5))", ("x(1, 2, 3, 2)",)),
        ("nn.UpsamplingBilinear2d(scale_factor=2)", ("x(1, 2, 3, 2)",)),
        ("nn.UpsamplingBilinear2d(size=5)", ("x(1, 2, 3, 2)",)),
        ("nn.MaxUnpool1d(2)", ("x(2, 3, 4)", "pooled(2, 2, 3, 8)")),
        ("nn.MaxUnpool2d(2, stride=2)", ("x(2, 3, 2, 3)", "pooled(2, 2, 3, 4, 6)")),
        ("nn.MaxUnpool3d((2, 1, 2))", ("x(1, 2, 1, 2, 2)", "ints(8, 1, 2, 1, 2, 2)")),
    ),
    # -- activations, distances, losses ------------------------------------------------------------
    *_entries(
        _REAL,
        ("nn.Hardsigmoid()", ("x(3, 4)",)),
        ("nn.Softmax2d()", ("x(2, 3, 2, 2)",)),
        ("nn.Softmax()", ("x(3, 4)",)),
        ("nn.LogSoftmax()", ("x(3,)",)),
        ("nn.GELU('tanh')", ("x(3, 4)",)),
        ("nn.ReLU(inplace=True)", ("plain(3)",)),
        ("nn.Hardtanh(-2, 3, inplace=True)", ("plain(3, 2) * 2",)),
        ("nn.PReLU(3, 0.1)", ("x(2, 3, 4)",)),
        ("nn.Softplus(2, 1.5)", ("x(9)",)),
        ("nn.CosineSimilarity()", ("x(3, 4)", "x(3, 4)")),
        ("nn.CosineSimilarity(dim=0, eps=0.1)", ("x(3, 4)", "x(3, 4)")),
        ("nn.PairwiseDistance()", ("x(3, 4)", "x(3, 4)")),
        ("nn.PairwiseDistance(1.0, keepdim=True)", ("x(3, 4)", "x(3, 4)")),
        ("nn.CrossMapLRN2d(3, 0.1, 0.6, 2)", ("x(2, 5, 3, 3)",)),
        ("nn.CrossMapLRN2d(2)", ("x(1, 4, 2, 3)",)),
        ("nn.LocalResponseNorm(2)", ("x(1, 4, 2)",)),
        ("nn.TripletMarginLoss()", ("x(3, 4)", "x(3, 4)", "x(3, 4)")),
        ("nn.TripletMarginLoss(2.0, 1.0, 1e-3, True, reduction='none')",
         ("x(3, 4)", "x(3, 4)", "x(3, 4)")),
        ("nn.TripletMarginWithDistanceLoss()", ("x(3, 4)", "x(3, 4)", "x(3, 4)")),
        ("nn.TripletMarginWithDistanceLoss(distance_function=distance, margin=2.0, swap=True)",
         ("x(3, 4)", "x(3, 4)", "x(3, 4)")),
        ("nn.NLLLoss2d()", ("x(2, 3, 2, 2)", "ints(3, 2, 2, 2)")),
        ("nn.CrossEntropyLoss(label_smoothing=0.1, weight=torch.tensor([.5, 1., 2.]))",
         ("x(4, 3)", "ints(3, 4)")),
        ("nn.BCEWithLogitsLoss(pos_weight=torch.tensor([.5, 2.]))", ("x(3, 2)", "plain(3, 2)")),
        ("nn.MSELoss(False, False)", ("x(3)", "x(3)")),
        ("nn.L1Loss(size_average=False)", ("x(3)", "plain(3)")),
        ("nn.CTCLoss(zero_infinity=True)",
         ("x(6, 2, 4).log_softmax(2)", "ints(3, 2, 5) + 1", (6, 6), (5, 2))),
        ("nn.AdaptiveLogSoftmaxWithLoss(6, 10, [3, 6])", ("x(4, 6)", "ints(10, 4)")),
        ("nn.AdaptiveLogSoftmaxWithLoss(8, 10, [4, 8], div_value=2.0, head_bias=True)",
         ("x(5, 8)", "ints(10, 5)")),
    ),
    # -- tables ------------------------------------------------------------------------------------
    *_entries(
        _REAL,
        ("nn.Embedding(6, 3, padding_idx=-2)", ("ints(6, 2, 4)",)),
        ("nn.Embedding(6, 3, padding_idx=0, scale_grad_by_freq=True)", ("ints(6, 7)",)),
        ("nn.Embedding(6, 3, max_norm=1.0)", ("ints(6, 7)",)),
        ("nn.Embedding(6, 3, sparse=True)", ("ints(6, 7)",)),
        ("nn.Embedding(6, 3)", ("ints(6, 7).int()",)),
        ("nn.Embedding.from_pretrained(torch.ones(3, 2))", ("ints(3, 4)",)),
        ("nn.Embedding.from_pretrained(torch.ones(3, 2), freeze=False)", ("ints(3, 4)",)),
        *(
            (f"nn.EmbeddingBag(6, 3, mode='{mode}'{more})", args)
            for mode in ("sum", "mean", "max")
            for more in ("", ", padding_idx=1", ", include_last_offset=True", ", max_norm=1.0")
            for args in (("ints(6, 3, 4)",),
                         ("ints(6, 7)", "torch.tensor([0, 3, 3, 7])"),)
        ),
        ("nn.EmbeddingBag(6, 3, mode='sum')",
         ("ints(6, 7)", "torch.tensor([0, 3, 5])", "x(7)")),
        ("nn.EmbeddingBag(6, 3, mode='sum', sparse=True)", ("ints(6, 3, 4)",)),
        ("nn.EmbeddingBag(6, 3, scale_grad_by_freq=True)", ("ints(6, 3, 4)",)),
        ("nn.EmbeddingBag.from_pretrained(torch.ones(3, 2))", ("ints(3, 4, 2)",)),
    ),
    # -- linear and convolutions, also complex -----------------------------------------------------
    *_entries(
        _ALL,
        ("nn.Linear(3, 2)", ("x(2, 4, 3)",)),
        ("nn.Linear(0, 2)", ("x(4, 0)",)),
        ("nn.Conv1d(4, 6, 3, padding='same', dilation=2, groups=2)", ("x(2, 4, 7)",)),
        ("nn.Conv2d(2, 3, (2, 3), stride=(2, 1), padding=(1, 2), bias=False)", ("x(2, 2, 5, 4)",)),
        ("nn.Conv2d(4, 4, 3, groups=4)", ("x(1, 4, 5, 5)",)),
        ("nn.Conv3d(2, 2, 2)", ("x(1, 2, 3, 3, 3)",)),
        ("nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2)",
         ("x(2, 4, 5)",)),
        ("nn.ConvTranspose2d(2, 3, 3, stride=2, dilation=2, bias=False)", ("x(1, 2, 3, 3)",)),
        ("nn.ConvTranspose3d(2, 2, 2)", ("x(1, 2, 2, 3, 2)",)),
    ),
    *_entries(
        _REAL,
        *(
            (f"nn.Conv2d(2, 3, 3, padding={padding}, padding_mode='{mode}')", ("x(2, 2, 5, 4)",))
            for mode in ("reflect", "replicate", "circular")
            for padding in ("1", "(1, 2)", "'same'")
        ),
        ("nn.Conv1d(2, 3, 3, padding='valid')", ("x(2, 2, 6)",)),
        ("nn.ConvTranspose2d(2, 3, 3, stride=2)", ("x(1, 2, 3, 3)", [8, 7])),
        ("nn.Bilinear(2, 3, 4)", ("x(5, 2, 2)", "x(5, 2, 3)")),
        ("nn.LazyLinear(4)", ("x(2, 3)",)),
        ("nn.LazyLinear(4, bias=False)", ("x(2, 3)",)),
    ),
    # -- norms ------------------------------------------------------------------------------------
    *_entries(
        _REAL,
        *(
            (f"nn.{kind}{n}d({args})", (f"x(3, 2{', 2' * n})",))
            for n in (1, 2, 3)
            for kind, args in (
                ("BatchNorm", "2"), ("BatchNorm", "2, momentum=None"),
                ("BatchNorm", "2, affine=False"), ("BatchNorm", "2, track_running_stats=False"),
                ("BatchNorm", "2, eps=0.1, momentum=0.5, bias=False"),
                ("LazyBatchNorm", ""), ("LazyBatchNorm", "affine=False"), ("LazyInstanceNorm", ""),
                ("InstanceNorm", "2"), ("InstanceNorm", "2, affine=True"),
                ("InstanceNorm", "2, track_running_stats=True"),
                ("InstanceNorm", "2, affine=True, track_running_stats=True, momentum=0.3"),
                ("LazyInstanceNorm", "affine=True, track_running_stats=True"),
            )
        ),
        ("nn.BatchNorm1d(4)", ("x(3, 4)",)),
        ("nn.LayerNorm(4)", ("x(3, 4)",)),
        ("nn.LayerNorm((2, 3), eps=0.1, elementwise_affine=False)", ("x(3, 2, 3)",)),
        ("nn.LayerNorm([2, 3], bias=False)", ("x(3, 2, 3)",)),
        ("nn.RMSNorm((2, 3), eps=0.1)", ("x(3, 2, 3)",)),
        ("nn.RMSNorm(3, elementwise_affine=False)", ("x(3, 2, 3)",)),
        ("nn.GroupNorm(2, 4)", ("x(3, 4, 2)",)),
        ("nn.GroupNorm(1, 4, affine=False)", ("x(3, 4)",)),
        ("nn.SyncBatchNorm(2)", ("x(3, 2)",)),
    ),
    # -- recurrent ---------------------------------------------------------------------------------
    *_entries(
        _REAL,
        *(
            (f"nn.{kind}({args})", inputs)
            for kind in ("RNN", "LSTM", "GRU")
            for args, inputs in (
                ("3, 2", ("x(4, 2, 3)",)),
                ("3, 2, 2, batch_first=True, bidirectional=True", ("x(2, 4, 3)",)),
                ("3, 2, num_layers=2, dropout=0.4", ("x(4, 2, 3)",)),
                ("3, 2, bias=False", ("packed([2, 4, 1], 3)",)),
                ("3, 2, 2, bidirectional=True", ("packed([2, 4, 1], 3)",)),
            )
        ),
        ("nn.RNN(3, 2, nonlinearity='relu')", ("x(4, 2, 3)", "x(1, 2, 2)")),
        ("nn.GRU(3, 2)", ("x(4, 2, 3)", "x(1, 2, 2)")),
        ("nn.LSTM(3, 4, proj_size=2)", ("x(4, 2, 3)", "(x(1, 2, 2), x(1, 2, 4))")),
        ("nn.RNNCell(3, 2)", ("x(4, 3)",)),
        ("nn.RNNCell(3, 2, False, 'relu')", ("x(4, 3)", "x(4, 2)")),
        ("nn.LSTMCell(3, 2)", ("x(4, 3)", "(x(4, 2), x(4, 2))")),
        ("nn.LSTMCell(3, 2, bias=False)", ("x(4, 3)",)),
        ("nn.GRUCell(3, 2)", ("x(4, 3)", "x(4, 2)")),
        ("nn.GRUCell(3, 2, bias=False)", ("x(4, 3)",)),
    ),
    # -- attention ---------------------------------------------------------------------------------
    *_entries(
        _REAL,
        ("nn.MultiheadAttention(4, 2)", ("x(3, 2, 4)", "x(5, 2, 4)", "x(5, 2, 4)")),
        ("nn.MultiheadAttention(4, 2, batch_first=True, bias=False)",
         ("x(2, 3, 4)", "x(2, 5, 4)", "x(2, 5, 4)")),
        ("nn.MultiheadAttention(4, 2, kdim=3, vdim=5)",
         ("x(3, 2, 4)", "x(5, 2, 3)", "x(5, 2, 5)")),
        ("nn.MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True)",
         ("x(3, 2, 4)", "x(5, 2, 4)", "x(5, 2, 4)", "mask(2, 5)")),
        ("nn.MultiheadAttention(4, 2, dropout=0.2)",
         ("x(3, 2, 4)", "x(5, 2, 4)", "x(5, 2, 4)", None, False)),
        ("nn.MultiheadAttention(4, 2)",
         ("x(3, 2, 4)", "x(5, 2, 4)", "x(5, 2, 4)", None, True, "plain(3, 5)", False)),
        ("nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8, 0.0), 2)",
         ("x(3, 2, 4)", "x(5, 2, 4)")),
        ("nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8, 0.0, batch_first=True), 1, "
         "nn.LayerNorm(4))", ("x(2, 3, 4)", "x(2, 5, 4)", None, "mask(3, 5)")),
        ("nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, 0.1), 1, nn.LayerNorm(4))",
         ("x(3, 2, 4)",)),
        ("nn.Transformer(4, 2, 1, 1, 8, dropout=0.0)", ("x(3, 2, 4)", "x(5, 2, 4)")),
    ),
    # -- pooling -----------------------------------------------------------------------------------
    *_entries(
        _REAL,
        ("nn.MaxPool1d(2, 1, 1, 1, True)", ("x(2, 3, 6)",)),
        ("nn.MaxPool2d(3, stride=2, padding=1, dilation=1, ceil_mode=True)", ("x(2, 3, 6, 5)",)),
        ("nn.MaxPool3d(2, return_indices=True)", ("x(1, 2, 4, 4, 4)",)),
        ("nn.AvgPool1d(3, 2, 1, True, False)", ("x(2, 3, 7)",)),
        ("nn.AvgPool2d(2, 2, 1, ceil_mode=True, count_include_pad=False)", ("x(2, 3, 5, 5)",)),
        ("nn.AvgPool2d((2, 3), divisor_override=4)", ("x(2, 3, 5, 5)",)),
        ("nn.AdaptiveAvgPool2d((None, 3))", ("x(2, 3, 5, 7)",)),
        ("nn.AdaptiveMaxPool2d((None, 3), return_indices=True)", ("x(2, 3, 5, 7)",)),
        ("nn.LPPool2d(1.5, (2, 3), ceil_mode=True)", ("x(1, 2, 5, 5).abs()",)),
        ("nn.FractionalMaxPool2d(2, output_size=3)", ("x(1, 2, 7, 7)",)),
        ("nn.FractionalMaxPool3d(2, output_ratio=0.6)", ("x(1, 2, 6, 6, 6)",)),
    ),
    # -- containers and utilities ------------------------------------------------------------------
    ("Sequential", "nn.Sequential()", ("x(3)",), _REAL),
    ("Sequential", "nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 2)))",
     ("x(2, 3)",), _REAL),
    ("Sequential", "nn.Sequential(*[nn.Linear(3, 3) for _ in range(4)], nn.ReLU())", ("x(2, 3)",),
     _REAL),
    ("Sequential", "nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), "
     "nn.LazyLinear(3))", ("x(3, 1, 5, 5)",), _REAL),
    ("Module", "Shared()", ("x(2, 3)",), _REAL),
    ("ModuleList", "Listed()", ("x(2, 3)",), _REAL),
    ("ModuleDict", "Listed()", ("x(2, 3)",), _WIDE),
    ("ParameterList", "Listed()", ("x(2, 3)",), _WIDE),
    ("ParameterDict", "Listed()", ("x(2, 3)",), _WIDE),
    ("DataParallel", "nn.DataParallel(nn.Linear(3, 2))", ("x(2, 3)",), _WIDE),
    ("utils", "wrapped('weight_norm', nn.Linear(3, 4))", ("x(2, 3)",), _REAL),
    ("utils", "wrapped('weight_norm', nn.Conv2d(2, 3, 3), dim=None)", ("x(1, 2, 4, 4)",), _REAL),
    ("utils", "wrapped('spectral_norm', nn.Linear(3, 4))", ("x(2, 3)",), _REAL),
    ("utils", "wrapped('parametrizations.weight_norm', nn.Linear(3, 4), dim=1)", ("x(2, 3)",),
     _REAL),
    ("utils", "wrapped('parametrizations.spectral_norm', nn.Linear(3, 4))", ("x(2, 3)",), _REAL),
    ("utils", "wrapped('parametrizations.orthogonal', nn.Linear(4, 4))", ("x(2, 4)",), _WIDE),
    ("utils", "wrapped('parametrizations.orthogonal', nn.Linear(4, 4), orthogonal_map='cayley')",
     ("x(2, 4)",), _WIDE),
    ("utils", "wrapped('fusion.fuse_conv_bn_eval', nn.Conv2d(2, 3, 3).eval(), "
     "nn.BatchNorm2d(3).eval())", ("x(1, 2, 4, 4)",), _REAL),
]  # fmt: skip

# -- refusals: constructors, and forwards of float32 ----------------------------------------------

ERRORS: list[tuple[str, str, tuple[Any, ...] | None]] = [
    (text.partition("(")[0].removeprefix("nn."), text, inputs)
    for text, inputs in (
        ("nn.Dropout(1.5)", None), ("nn.Dropout2d(-0.1)", None),
        ("nn.Embedding(3, 2, padding_idx=3)", None), ("nn.Embedding(3, 2, padding_idx=-4)", None),
        ("nn.EmbeddingBag(3, 2, padding_idx=7)", None),
        ("nn.EmbeddingBag(3, 2)", ("torch.tensor([[0, 3]])",)),
        ("nn.EmbeddingBag(3, 2, mode='sum')", ("torch.tensor([[0, -1]])",)),
        ("nn.Embedding(3, 2)", ("torch.tensor([3])",)), ("nn.Embedding(3, 2)", ("x(2)",)),
        ("nn.Conv2d(3, 4, 3, groups=2)", None), ("nn.Conv2d(4, 3, 3, groups=2)", None),
        ("nn.Conv2d(4, 4, 3, groups=0)", None), ("nn.Conv2d(4, 4, 3, padding='full')", None),
        ("nn.Conv2d(4, 4, 3, padding='same', stride=2)", None),
        ("nn.Conv2d(4, 4, 3, padding_mode='mirror')", None),
        ("nn.ConvTranspose2d(4, 4, 3, padding_mode='reflect')", None),
        ("nn.Conv2d(2, 3, 3)", ("x(1, 3, 5, 5)",)), ("nn.Conv2d(2, 3, 3)", ("x(2, 2)",)),
        ("nn.Conv2d(2, 3, 9)", ("x(1, 2, 5, 5)",)),
        ("nn.Linear(3, 2)", ("x(2, 4)",)), ("nn.Linear(3, 2)", ("plain(2, 3).double()",)),
        ("nn.Linear(3, 2)", ("ints(3, 2, 3)",)), ("nn.Bilinear(0, 2, 3)", None),
        ("nn.BatchNorm1d(2)", ("x(1, 2)",)), ("nn.BatchNorm2d(2)", ("x(3, 2)",)),
        ("nn.BatchNorm2d(2)", ("x(3, 4, 2, 2)",)), ("nn.InstanceNorm2d(2)", ("x(3, 2)",)),
        ("nn.InstanceNorm1d(2)", ("x(2, 2, 1)",)), ("nn.GroupNorm(3, 4)", None),
        ("nn.LayerNorm(4)", ("x(2, 3)",)), ("nn.SyncBatchNorm(2)", ("x(2)",)),
        ("nn.RNN(3, 2, nonlinearity='gelu')", None), ("nn.LSTM(3, 2, dropout=1.5)", None),
        ("nn.LSTM(3, 2, proj_size=2)", None), ("nn.GRU(3, 2, proj_size=1)", None),
        ("nn.LSTM(3, 0)", None), ("nn.LSTM(3, 2, num_layers=0)", None),
        ("nn.LSTM(3, 2.5)", None), ("nn.RNN(3, 2)", ("x(4, 2, 5)",)),
        ("nn.RNN(3, 2)", ("x(4, 2, 3)", "x(2, 2, 2)")), ("nn.RNNCell(3, 2)", ("x(2, 4)",)),
        ("nn.LSTM(3, 2)", ("x(4, 2, 3)", "x(1, 2, 2)")), ("nn.RNN(3, 2)", ("x(3)",)),
        ("nn.MultiheadAttention(5, 2)", None), ("nn.MultiheadAttention(0, 2)", None),
        ("nn.Transformer(4, 2, 1, 1, 8)", ("x(3, 2, 4)", "x(5, 3, 4)")),
        ("nn.Transformer(4, 2, 1, 1, 8)", ("x(3, 2, 5)", "x(5, 2, 5)")),
        ("nn.GELU('fast')", ("x(2)",)), ("nn.Hardtanh(2, 1)", None),
        ("nn.RReLU(0.5, 0.1)", ("x(2)",)),
        ("nn.Softmax2d()", ("x(2, 3)",)), ("nn.PReLU(3)", ("x(2, 4)",)), ("nn.GLU()", ("x(2, 3)",)),
        ("nn.MultiMarginLoss(p=3)", None), ("nn.MarginRankingLoss()", ("x(3)", "x(2)", "x(3)")),
        ("nn.SmoothL1Loss(beta=-1.0)", ("x(2)", "x(2)")),
        ("nn.HuberLoss(delta=-1.0)", ("x(2)", "x(2)")),
        ("nn.MSELoss(reduction='average')", ("x(2)", "x(2)")), ("nn.BCELoss()", ("x(2)", "x(3)")),
        ("nn.NLLLoss()", ("x(2, 3)", "ints(3, 3)")), ("nn.TripletMarginLoss(margin=-1.0)", None),
        ("nn.TripletMarginWithDistanceLoss(margin=-1.0)", None),
        ("nn.CrossEntropyLoss()", ("x(2, 3)", "torch.tensor([0, 3])")),
        ("nn.AdaptiveLogSoftmaxWithLoss(4, 10, [5, 3])", None),
        ("nn.AdaptiveLogSoftmaxWithLoss(4, 10, [12])", None),
        ("nn.AdaptiveLogSoftmaxWithLoss(4, 10, [])", None),
        ("nn.MaxPool2d(2, padding=2)", ("x(1, 1, 4, 4)",)), ("nn.MaxPool2d(9)", ("x(1, 1, 4, 4)",)),
        ("nn.AvgPool2d(2, padding=2)", ("x(1, 1, 4, 4)",)),
        ("nn.FractionalMaxPool2d(2)", None), ("nn.FractionalMaxPool2d(2, 3, 0.5)", None),
        ("nn.FractionalMaxPool2d(2, output_ratio=2.0)", None),
        ("nn.Upsample()", ("x(1, 1, 4)",)),
        ("nn.Upsample(size=2, scale_factor=2)", ("x(1, 1, 4)",)),
        ("nn.Upsample(scale_factor=2, mode='bilinear')", ("x(1, 1, 4)",)),
        ("nn.Upsample(scale_factor=2, align_corners=True)", ("x(1, 1, 4)",)),
        ("nn.PixelShuffle(2)", ("x(1, 3, 2, 2)",)), ("nn.PixelUnshuffle(2)", ("x(1, 1, 3, 2)",)),
        ("nn.ChannelShuffle(3)", ("x(1, 4, 2, 2)",)), ("nn.Unflatten(1, 4)", None),
        ("nn.Unflatten(1, (2, 2))", ("x(2, 5)",)), ("nn.Unflatten('a', (2, 2))", None),
        ("nn.Fold(4, 2)", ("x(1, 3, 9)",)), ("nn.Unfold(2)", ("x(2, 3)",)),
        ("nn.ReflectionPad1d(3)", ("x(1, 1, 2)",)), ("nn.CircularPad2d(5)", ("x(1, 1, 2, 2)",)),
        ("nn.Sequential(3)", None), ("nn.Sequential(nn.ReLU(), None)", None),
        ("nn.ModuleList([3])", None), ("nn.ModuleList(3)", None), ("nn.ModuleDict(3)", None),
        ("nn.ModuleDict({'a': 3})", None), ("nn.ModuleDict({'forward': nn.ReLU()})", None),
        ("nn.ParameterList(3)", None), ("nn.ParameterDict(3)", None),
        ("nn.Identity()", ()), ("nn.Module()", ("x(2)",)), ("nn.Module(3)", None),
        ("nn.Linear(2, -1)", None), ("nn.Linear(2.5, 1)", None),
        ("nn.LazyLinear(2)", ("ints(3, 2, 3)",)),
        ("nn.Bilinear(2, 3, 4)", ("x(5, 2)", "x(4, 3)")),
        ("nn.TransformerEncoderLayer(4, 2, activation='tanh')", None),
        ("nn.ModuleList([nn.ReLU()])", ("x(2)",)),
    )
]  # fmt: skip

# -- initial values: large enough for their spread to be seen -------------------------------------

INITIAL: list[tuple[str, str]] = [
    (text.partition("(")[0].removeprefix("nn."), text)
    for text in (
        "nn.Linear(300, 200)", "nn.Bilinear(20, 30, 40)", "nn.Conv1d(32, 64, 5)",
        "nn.Conv2d(16, 48, 3)", "nn.Conv3d(8, 24, 3, groups=2)", "nn.ConvTranspose1d(32, 64, 5)",
        "nn.ConvTranspose2d(24, 48, 3)", "nn.ConvTranspose3d(8, 24, 3)", "nn.Embedding(500, 40)",
        "nn.Embedding(500, 40, padding_idx=3)", "nn.EmbeddingBag(500, 40)", "nn.RNN(40, 50)",
        "nn.LSTM(40, 50, proj_size=20)", "nn.GRU(40, 50, 2)", "nn.RNNCell(40, 50)",
        "nn.LSTMCell(40, 50)", "nn.GRUCell(40, 50)", "nn.MultiheadAttention(64, 4)",
        "nn.MultiheadAttention(64, 4, kdim=40, vdim=50, add_bias_kv=True)",
        "nn.TransformerEncoderLayer(64, 4, 128)", "nn.TransformerDecoderLayer(64, 4, 128)",
        "nn.Transformer(64, 4, 1, 1, 128)", "nn.AdaptiveLogSoftmaxWithLoss(64, 200, [20, 100])",
        "nn.PReLU(7)", "nn.BatchNorm2d(40)", "nn.LayerNorm(40)", "nn.GroupNorm(2, 40)",
        "nn.LinearCrossEntropyLoss(64, 200)",
    )
]  # fmt: skip
