"""The dtypes that each module's docstring names are those that it takes.

A docstring says "Dtypes: float types (NotImplementedError for others)", in a phrase of these below.
"""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest

import framework as torch
from framework import nn

FLOAT = {"float16", "bfloat16", "float32", "float64"}
COMPLEX = {"complex64"}
INTEGER = {"int64", "int32", "uint8"}
EVERY = FLOAT | COMPLEX | INTEGER | {"bool"}

PHRASES = {
    "float types": FLOAT,
    "float and complex types": FLOAT | COMPLEX,
    "float and complex types and bool": FLOAT | COMPLEX | {"bool"},
    "float and integer types": FLOAT | INTEGER,
    "float types and int64": FLOAT | {"int64"},
    "float types and uint8": FLOAT | {"uint8"},
    "float32 and float64": {"float32", "float64"},
    "int64 and int32": {"int64", "int32"},
    "all dtypes": EVERY,
    "all dtypes but bool": EVERY - {"bool"},
    "all dtypes but complex ones": EVERY - COMPLEX,
}

# A call with inputs of one dtype: x(sizes) are any numbers, p(sizes) numbers in [0, 1].
CALLS = """
    AdaptiveLogSoftmaxWithLoss(16, 20, [5, 10]): x(2, 16), ints(1, 19)
    AlphaDropout(): x(2, 4)
    BCELoss(): p(2, 4), p(2, 4)
    BCEWithLogitsLoss(): x(2, 4), p(2, 4)
    Bilinear(4, 3, 2): x(2, 4), x(2, 3)
    CELU(): x(2, 4)
    CTCLoss(): x(4, 1, 3).log_softmax(2), ints([1, 2]), (4,), (2,)
    ChannelShuffle(2): x(1, 4, 2, 2)
    CosineEmbeddingLoss(): x(2, 4), x(2, 4), torch.ones(2)
    CosineSimilarity(): x(2, 4), x(2, 4)
    CrossEntropyLoss(): x(2, 4), ints(1, 2)
    Dropout(): x(2, 4)
    ELU(): x(2, 4)
    Embedding(5, 3): p(2, 4)
    EmbeddingBag(5, 3): p(2, 4)
    FeatureAlphaDropout(): x(1, 2, 3)
    Flatten(): x(2, 4)
    Fold((3, 3), 2): x(1, 8, 4)
    GELU(): x(2, 4)
    GLU(): x(2, 4)
    GRU(4, 3): x(5, 2, 4)
    GRUCell(4, 3): x(2, 4)
    GaussianNLLLoss(): x(2, 4), x(2, 4), p(2, 4)
    GroupNorm(2, 4): x(2, 4)
    Hardshrink(): x(2, 4)
    Hardsigmoid(): x(2, 4)
    Hardswish(): x(2, 4)
    Hardtanh(0.0, 1.0): x(2, 4)
    HingeEmbeddingLoss(): x(2, 4), x(2, 4)
    HuberLoss(): x(2, 4), x(2, 4)
    KLDivLoss(): x(2, 4), x(2, 4)
    L1Loss(): x(2, 4), x(2, 4)
    LSTM(4, 3): x(5, 2, 4)
    LSTMCell(4, 3): x(2, 4)
    LayerNorm(4): x(2, 4)
    LazyLinear(3): x(2, 4)
    LeakyReLU(): x(2, 4)
    Linear(4, 3): x(2, 4)
    LinearCrossEntropyLoss(4, 3): x(2, 4), ints(0, 1)
    LocalResponseNorm(2): x(1, 4, 3)
    LogSigmoid(): x(2, 4)
    LogSoftmax(1): x(2, 4)
    MSELoss(): x(2, 4), x(2, 4)
    MarginRankingLoss(): x(4), x(4), torch.ones(4)
    Mish(): x(2, 4)
    MultiLabelMarginLoss(): x(1, 4), ints([1, -1, 0, 0])
    MultiLabelSoftMarginLoss(): x(2, 4), p(2, 4)
    MultiMarginLoss(): x(2, 4), ints(1, 2)
    MultiheadAttention(4, 2): x(3, 2, 4), x(3, 2, 4), x(3, 2, 4)
    NLLLoss(): x(2, 4), ints(1, 2)
    PReLU(): x(2, 4)
    PairwiseDistance(): x(2, 4), x(2, 4)
    PixelShuffle(2): x(1, 4, 2, 2)
    PixelUnshuffle(2): x(1, 4, 2, 2)
    PoissonNLLLoss(): x(2, 4), x(2, 4)
    RMSNorm(4): x(2, 4)
    RNN(4, 3): x(5, 2, 4)
    RNNCell(4, 3): x(2, 4)
    RReLU(): x(2, 4)
    ReLU(): x(2, 4)
    ReLU6(): x(2, 4)
    SELU(): x(2, 4)
    SiLU(): x(2, 4)
    Sigmoid(): x(2, 4)
    SmoothL1Loss(): x(2, 4), x(2, 4)
    SoftMarginLoss(): x(2, 4), x(2, 4)
    Softmax(1): x(2, 4)
    Softmax2d(): x(1, 2, 3, 3)
    Softmin(1): x(2, 4)
    Softplus(): x(2, 4)
    Softshrink(): x(2, 4)
    Softsign(): x(2, 4)
    SyncBatchNorm(2): x(2, 2, 3)
    Tanh(): x(2, 4)
    Tanhshrink(): x(2, 4)
    Threshold(0.5, 1.0): x(2, 4)
    Transformer(4, 2, 1, 1, 8): x(3, 2, 4), x(3, 2, 4)
    TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8), 1): x(3, 2, 4), x(3, 2, 4)
    TransformerDecoderLayer(4, 2, 8): x(3, 2, 4), x(3, 2, 4)
    TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 1): x(3, 2, 4)
    TransformerEncoderLayer(4, 2, 8): x(3, 2, 4)
    TripletMarginLoss(): x(2, 4), x(2, 4), x(2, 4)
    Unflatten(1, (2, 2)): x(2, 4)
    Unfold(2): x(1, 2, 4, 4)
    Upsample(scale_factor=2): x(1, 2, 4, 4)
    UpsamplingBilinear2d(scale_factor=2): x(1, 2, 4, 4)
    UpsamplingNearest2d(scale_factor=2): x(1, 2, 4, 4)
    CrossMapLRN2d(2): x(1, 4, 3, 3)
"""

# The same for one, two and three dimensions of space, which x(n, c, ...) stands for.
FAMILIES = """
    Conv{}d(2, 4, 3): x(1, 2, ...)
    ConvTranspose{}d(2, 4, 3): x(1, 2, ...)
    LazyConv{}d(4, 3): x(1, 2, ...)
    LazyConvTranspose{}d(4, 3): x(1, 2, ...)
    BatchNorm{}d(2): x(2, 2, ...)
    LazyBatchNorm{}d(): x(2, 2, ...)
    InstanceNorm{}d(2): x(2, 2, ...)
    LazyInstanceNorm{}d(): x(2, 2, ...)
    MaxPool{}d(2): x(1, 2, ...)
    AvgPool{}d(2): x(1, 2, ...)
    AdaptiveAvgPool{}d(2): x(1, 2, ...)
    AdaptiveMaxPool{}d(2): x(1, 2, ...)
    LPPool{}d(2, 2): x(1, 2, ...)
    MaxUnpool{}d(2): x(1, 2, ...), x(1, 2, ...).to(torch.int64) * 0
    Dropout{}d(): x(1, 2, ...)
    ReflectionPad{}d(1): x(1, 2, ...)
    ReplicationPad{}d(1): x(1, 2, ...)
    CircularPad{}d(1): x(1, 2, ...)
    ZeroPad{}d(1): x(1, 2, ...)
    ConstantPad{}d(1, 2.0): x(1, 2, ...)
"""
FRACTIONAL = """
    FractionalMaxPool2d(2, output_size=3): x(1, 2, 6, 6)
    FractionalMaxPool3d(2, output_size=3): x(1, 2, 6, 6, 6)
"""

# Modules that name no dtypes of their own, and why.
ANY = {
    "Identity": "takes anything",
    "Sequential ModuleList ModuleDict ParameterList ParameterDict DataParallel Module": (
        "take what the others that they hold take"
    ),
    "NLLLoss2d": "another name of NLLLoss",
    "RNNBase RNNCellBase": "not called themselves",
    "TripletMarginWithDistanceLoss": "what the distance takes",
    "LinearCrossEntropyOptions Buffer Parameter UninitializedBuffer UninitializedParameter": (
        "no modules"
    ),
}


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def calls() -> list[str]:
    found = lines(CALLS) + lines(FRACTIONAL)
    for n in (1, 2, 3):
        space = ", ".join("4" * n)
        found += [line.replace("{}", str(n)).replace("...", space) for line in lines(FAMILIES)]
    return found


def outcome(call: str, kind: str) -> str:
    """What happens with inputs of a dtype: "" or the kind of error."""
    made, _, given = call.partition(": ")
    torch.manual_seed(0)
    dtype = getattr(torch, kind)

    def x(*sizes: int) -> Any:
        return (torch.rand(sizes) * 5).to(dtype)

    def p(*sizes: int) -> Any:
        return torch.rand(sizes).to(dtype)

    def ints(*values: Any) -> Any:
        return torch.tensor(values)

    names = {"nn": nn, "torch": torch, "x": x, "p": p, "ints": ints}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            module = eval(f"nn.{made}", names)
            module = module.to(dtype) if kind in FLOAT | COMPLEX else module
            eval(f"module({given})", {**names, "module": module})
        except Exception as error:
            return type(error).__name__
    return ""


@pytest.mark.parametrize("call", calls())
def test_the_docstring_names_the_dtypes(call: str) -> None:
    doc = " ".join((getattr(nn, call.partition("(")[0]).__doc__ or "").split())
    said = re.search(r"Dtypes: ([\w ]+)", doc)
    assert said, "no dtypes"
    phrase = re.split(r" for | \(", said[1])[0].strip()
    outcomes = {kind: outcome(call, kind) for kind in sorted(EVERY)}
    assert {kind for kind in EVERY if not outcomes[kind]} == PHRASES[phrase]
    # Modules with weights refuse a few dtypes in words of the op below; integers stand for them.
    raised = {outcomes["int64"]} if outcomes["int64"] else set(outcomes.values()) - {""}
    assert not [error for error in raised if error not in doc], outcomes


def test_every_module_is_here() -> None:
    known = [call.partition("(")[0] for call in calls()]
    rest = " ".join(ANY).split()
    public = [n for n in dir(nn) if isinstance(getattr(nn, n), type)]
    public = [n for n in public if getattr(nn, n).__module__.startswith("framework")]
    assert sorted(known + rest) == sorted(public)
