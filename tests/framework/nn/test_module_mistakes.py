"""Common mistakes with each module: what is raised, in which words, and that its docstring says so.

Kinds and words are those of PyTorch 2.13 where it raises at all.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

import framework as torch
from framework import nn, zeros
from tests.mistakes import check, entries, unnamed

MISTAKES = """
    nn.AdaptiveAvgPool1d(2)(zeros(2)) -> RuntimeError: adaptive_avg_pool1d(): Expected 2D or 3D
    nn.AdaptiveAvgPool1d(-1)(zeros(1, 2, 6)) -> RuntimeError: elements of output_size must be
    nn.AdaptiveAvgPool2d(2)(zeros(2)) -> RuntimeError: adaptive_avg_pool2d(): Expected 3D or 4D
    nn.AdaptiveAvgPool2d(-1)(zeros(1, 2, 6, 6)) -> RuntimeError: elements of output_size must be
    nn.AdaptiveAvgPool3d(2)(zeros(2)) -> RuntimeError: adaptive_avg_pool3d(): Expected 4D or 5D
    nn.AdaptiveAvgPool3d(-1)(zeros(1, 2, 6, 6, 6)) -> RuntimeError: elements of output_size must
    nn.AdaptiveLogSoftmaxWithLoss(16, 20, [10, 5]) -> ValueError: cutoffs should be a sequence of
    nn.AdaptiveLogSoftmaxWithLoss(16, 20, [5])(zeros(3, 16), torch.tensor([1, 2])) -> RuntimeError
    nn.AdaptiveMaxPool1d(2)(zeros(2)) -> RuntimeError: adaptive_max_pool1d(): Expected 2D or 3D
    nn.AdaptiveMaxPool1d(-1)(zeros(1, 2, 6)) -> RuntimeError: Trying to create tensor with
    nn.AdaptiveMaxPool2d(2)(zeros(2)) -> RuntimeError: adaptive_max_pool2d(): Expected 3D or 4D
    nn.AdaptiveMaxPool2d(-1)(zeros(1, 2, 6, 6)) -> RuntimeError: Trying to create tensor with
    nn.AdaptiveMaxPool3d(2)(zeros(2)) -> RuntimeError: adaptive_max_pool3d(): Expected 4D or 5D
    nn.AdaptiveMaxPool3d(-1)(zeros(1, 2, 6, 6, 6)) -> RuntimeError: Trying to create tensor with
    nn.AlphaDropout(2.0) -> ValueError: dropout probability has to be between 0 and 1, but got 2.0
    nn.AvgPool1d(2)(zeros(2)) -> RuntimeError: Expected 2D or 3D (batch mode) tensor with optional
    nn.AvgPool1d(9)(zeros(1, 2, 6)) -> RuntimeError: Invalid computed output size: 0
    nn.AvgPool2d(2)(zeros(2)) -> RuntimeError: Expected 3D or 4D (batch mode) tensor with optional
    nn.AvgPool2d(9)(zeros(1, 2, 6, 6)) -> RuntimeError: Given input size: (2x6x6). Calculated
    nn.AvgPool3d(2)(zeros(2)) -> RuntimeError: non-empty 4D or 5D (batch mode) tensor expected for
    nn.AvgPool3d(9)(zeros(1, 2, 6, 6, 6)) -> RuntimeError: Given input size: (2x6x6x6). Calculated
    nn.BatchNorm1d(2)(zeros(2)) -> ValueError: expected 2D or 3D input (got 1D input)
    nn.BatchNorm1d(2)(zeros(2, 3, 6)) -> RuntimeError: running_mean should contain 3 elements not 2
    nn.BatchNorm1d(2)(zeros(1, 2, 1)) -> ValueError: Expected more than 1 value per channel when
    nn.BatchNorm1d(2)(zeros(2, 2, 6, dtype=torch.float64)) -> RuntimeError: mixed dtype (CPU):
    nn.BatchNorm2d(2)(zeros(2)) -> ValueError: expected 4D input (got 1D input)
    nn.BatchNorm2d(2)(zeros(2, 3, 6, 6)) -> RuntimeError: running_mean should contain 3 elements
    nn.BatchNorm2d(2)(zeros(1, 2, 1, 1)) -> ValueError: Expected more than 1 value per channel
    nn.BatchNorm2d(2)(zeros(2, 2, 6, 6, dtype=torch.float64)) -> RuntimeError: mixed dtype (CPU):
    nn.BatchNorm3d(2)(zeros(2)) -> ValueError: expected 5D input (got 1D input)
    nn.BatchNorm3d(2)(zeros(2, 3, 6, 6, 6)) -> RuntimeError: running_mean should contain 3
    nn.BatchNorm3d(2)(zeros(1, 2, 1, 1, 1)) -> ValueError: Expected more than 1 value per channel
    nn.BatchNorm3d(2)(zeros(2, 2, 6, 6, 6, dtype=torch.float64)) -> RuntimeError: mixed dtype
    nn.BCELoss()(zeros(2, 4), zeros(2, 3)) -> ValueError: Using a target size
    nn.BCELoss(reduction="x")(zeros(2, 4), zeros(2, 4)) -> ValueError: x is not a valid value for
    nn.BCELoss()(zeros(2, 4), zeros(2, 4).long()) -> RuntimeError: Found dtype Long but expected
    nn.BCELoss()(zeros(2, 4), zeros(2, 4).double()) -> RuntimeError: Found dtype Double but
    nn.BCELoss()(zeros(2), zeros(2) + 2) -> RuntimeError: all elements of target should be between
    nn.BCELoss()(zeros(2).long(), zeros(2).long()) -> NotImplementedError: "binary_cross_entropy"
    nn.BCEWithLogitsLoss()(zeros(2, 4), zeros(2, 3)) -> ValueError: Target size
    nn.BCEWithLogitsLoss(reduction="x")(zeros(2, 4), zeros(2, 4)) -> ValueError: x is not a valid
    nn.BCEWithLogitsLoss()(zeros(2, 4), zeros(2, 4).long()) -> RuntimeError: result type Float
    nn.BCEWithLogitsLoss(weight=zeros(3))(zeros(2), zeros(2)) -> RuntimeError: The size of tensor
    nn.BCEWithLogitsLoss()(zeros(2).long(), zeros(2).long()) -> NotImplementedError: "log
    nn.Bilinear(4, 3, 2)(zeros(2, 4), zeros(2, 4)) -> RuntimeError: bilinear(): input sizes (4, 4)
    nn.Bilinear(0, 3, 2) -> ValueError: in1_features must be > 0, but got 0
    nn.Bilinear(4, 3, 2)(zeros(2, 4).double(), zeros(2, 3).double()) -> RuntimeError: All tensors
    nn.Buffer(3) -> AttributeError: Buffer expects a Tensor, but got int: use torch.tensor first
    nn.CELU(0.0)(zeros(2)) -> RuntimeError: alpha cannot be 0, since it divides the input
    nn.ChannelShuffle(3)(zeros(1, 4, 2, 2)) -> RuntimeError: Number of channels must be divisible
    nn.ChannelShuffle(2)(zeros(4, 2)) -> RuntimeError: channel_shuffle expects input with > 2
    nn.CircularPad1d(1)(torch.tensor(1.0)) -> ValueError: expected 2D or 3D input (got 0D input)
    nn.CircularPad1d(7)(zeros(1, 2, 6)) -> RuntimeError: Padding value causes wrapping around more
    nn.CircularPad1d(-4)(zeros(1, 2, 6)) -> RuntimeError: Negative padding value is resulting in
    nn.CircularPad2d(1)(torch.tensor(1.0)) -> ValueError: expected 3D or 4D input (got 0D input)
    nn.CircularPad2d(7)(zeros(1, 2, 6, 6)) -> RuntimeError: Padding value causes wrapping around
    nn.CircularPad2d(-4)(zeros(1, 2, 6, 6)) -> RuntimeError: Negative padding value is resulting
    nn.CircularPad3d(1)(torch.tensor(1.0)) -> ValueError: expected 4D or 5D input (got 0D input)
    nn.CircularPad3d(7)(zeros(1, 2, 6, 6, 6)) -> RuntimeError: Padding value causes wrapping
    nn.CircularPad3d(-4)(zeros(1, 2, 6, 6, 6)) -> RuntimeError: Negative padding value is
    nn.ConstantPad1d(1, 1.0)(torch.tensor(1.0)) -> RuntimeError: Padding length should be less
    nn.ConstantPad1d(-4, 1.0)(zeros(1, 2, 6)) -> RuntimeError: The input size [1, 2, 6], plus
    nn.ConstantPad2d(1, 1.0)(torch.tensor(1.0)) -> RuntimeError: Padding length should be less
    nn.ConstantPad2d(-4, 1.0)(zeros(1, 2, 6, 6)) -> RuntimeError: The input size [1, 2, 6, 6],
    nn.ConstantPad3d(1, 1.0)(torch.tensor(1.0)) -> RuntimeError: Padding length should be less
    nn.ConstantPad3d(-4, 1.0)(zeros(1, 2, 6, 6, 6)) -> RuntimeError: The input size [1, 2, 6, 6,
    nn.Conv1d(2, 4, 3)(zeros(1, 3, 6)) -> RuntimeError: Given groups=1, weight of size [4, 2, 3],
    nn.Conv1d(2, 4, 3)(zeros(2)) -> RuntimeError: Expected 2D (unbatched) or 3D (batched) input to
    nn.Conv1d(2, 4, 3, groups=3) -> ValueError: in_channels must be divisible by groups
    nn.Conv1d(3, 4, 3, groups=3) -> ValueError: out_channels must be divisible by groups
    nn.Conv1d(1, 1, 0)(zeros(1, 1, 3)) -> RuntimeError: kernel size should be greater than zero
    nn.Conv2d(2, 4, 3)(zeros(1, 3, 6, 6)) -> RuntimeError: Given groups=1, weight of size [4, 2,
    nn.Conv2d(2, 4, 3)(zeros(2, 2)) -> RuntimeError: Expected 3D (unbatched) or 4D (batched) input
    nn.Conv2d(2, 4, 3, groups=3) -> ValueError: in_channels must be divisible by groups
    nn.Conv2d(3, 4, 3, groups=3) -> ValueError: out_channels must be divisible by groups
    nn.Conv3d(2, 4, 3)(zeros(1, 3, 6, 6, 6)) -> RuntimeError: Given groups=1, weight of size [4,
    nn.Conv3d(2, 4, 3)(zeros(2, 2)) -> RuntimeError: Expected 4D (unbatched) or 5D (batched) input
    nn.Conv3d(2, 4, 3, groups=3) -> ValueError: in_channels must be divisible by groups
    nn.Conv3d(3, 4, 3, groups=3) -> ValueError: out_channels must be divisible by groups
    nn.ConvTranspose1d(2, 4, 3)(zeros(1, 3, 6)) -> RuntimeError: Given transposed=1, weight of
    nn.ConvTranspose1d(2, 4, 3)(zeros(2)) -> RuntimeError: Expected 2D (unbatched) or 3D (batched)
    nn.ConvTranspose1d(2, 4, 3, groups=3) -> ValueError: in_channels must be divisible by groups
    nn.ConvTranspose1d(2, 4, 3, padding_mode="reflect") -> ValueError: Only "zeros" padding mode
    nn.ConvTranspose2d(2, 4, 3)(zeros(1, 3, 6, 6)) -> RuntimeError: Given transposed=1, weight of
    nn.ConvTranspose2d(2, 4, 3)(zeros(2)) -> RuntimeError: Expected 3D (unbatched) or 4D (batched)
    nn.ConvTranspose2d(2, 4, 3, groups=3) -> ValueError: in_channels must be divisible by groups
    nn.ConvTranspose2d(2, 4, 3, padding_mode="reflect") -> ValueError: Only "zeros" padding mode
    nn.ConvTranspose3d(2, 4, 3)(zeros(1, 3, 6, 6, 6)) -> RuntimeError: Given transposed=1, weight
    nn.ConvTranspose3d(2, 4, 3)(zeros(2)) -> RuntimeError: Expected 4D (unbatched) or 5D (batched)
    nn.ConvTranspose3d(2, 4, 3, groups=3) -> ValueError: in_channels must be divisible by groups
    nn.ConvTranspose3d(2, 4, 3, padding_mode="reflect") -> ValueError: Only "zeros" padding mode
    nn.CosineEmbeddingLoss()(zeros(2, 4), zeros(2, 4), zeros(2, 4)) -> RuntimeError: 0D or 1D
    nn.CosineEmbeddingLoss()(zeros(2, 4), zeros(2, 3), zeros(2)) -> RuntimeError: The size of
    nn.CosineSimilarity(3)(zeros(2, 4), zeros(2, 4)) -> IndexError: Dimension out of range
    nn.CosineSimilarity()(zeros(2, 4), zeros(2, 3)) -> RuntimeError: The size of tensor a (4) must
    nn.CrossEntropyLoss()(zeros(2, 4), torch.tensor([1, 7])) -> IndexError: Target 7 is out of
    nn.CrossEntropyLoss()(zeros(2, 4), torch.tensor([1])) -> ValueError: Expected input batch_size
    nn.CrossEntropyLoss()(zeros(2, 4), torch.tensor([1, -1])) -> IndexError: Target -1 is out of
    nn.CrossEntropyLoss()(zeros(2, 4), zeros(2)) -> RuntimeError: expected target dtype to be Long
    nn.CrossEntropyLoss(weight=zeros(2).double())(zeros(1, 2), zeros(1).long()) -> RuntimeError
    nn.CrossMapLRN2d(2)(zeros(2, 2)) -> ValueError: CrossMapLRN2d: Expected input to be 4D, got 2D
    nn.CTCLoss()(zeros(3), torch.tensor([[1, 2]]), (4,), (2,)) -> RuntimeError
    nn.CTCLoss()(zeros(4, 1, 3), torch.tensor([[1, 9]]), (4,), (2,)) -> RuntimeError: Expected
    nn.CTCLoss()(zeros(4, 1, 3).half(), torch.tensor([[1, 1]]), (4,), (2,)) -> NotImplementedError
    nn.DataParallel(nn.ReLU())() -> TypeError: _InPlace.forward() missing 1 required positional
    nn.Dropout(2.0) -> ValueError: dropout probability has to be between 0 and 1, but got 2.0
    nn.Dropout1d(2.0) -> ValueError: dropout probability has to be between 0 and 1, but got 2.0
    nn.Dropout1d()(zeros(2)) -> RuntimeError: Expected 2D or 3D input, but received a 1D input.
    nn.Dropout2d(2.0) -> ValueError: dropout probability has to be between 0 and 1, but got 2.0
    nn.Dropout2d()(zeros(2)) -> RuntimeError: Feature dropout requires at least 2 dimensions in
    nn.Dropout3d(2.0) -> ValueError: dropout probability has to be between 0 and 1, but got 2.0
    nn.Dropout3d()(zeros(2)) -> RuntimeError: Feature dropout requires at least 2 dimensions in
    nn.ELU("a")(zeros(2)) -> TypeError: elu(): argument 'alpha' (position 2) must be float, not str
    nn.Embedding(5, 3)(zeros(2)) -> RuntimeError: Expected tensor for argument #1 'indices' to
    nn.Embedding(5, 3)(torch.tensor([7])) -> IndexError: index out of range in self: got indices
    nn.Embedding(5, 3, padding_idx=7) -> AssertionError: Padding_idx must be within num_embeddings
    nn.Embedding(5, -3) -> RuntimeError: Trying to create tensor with negative dimension -3: [5,
    nn.EmbeddingBag(5, 3)(torch.tensor([1, 2])) -> ValueError: offsets has to be a 1D Tensor but
    nn.EmbeddingBag(5, 3)(torch.tensor([[1, 2]]), torch.tensor([0])) -> ValueError: if input is
    nn.EmbeddingBag(5, 3)(torch.tensor([[7]])) -> RuntimeError: Index 0 of input takes value 7
    nn.EmbeddingBag(5, 3)(zeros(1, 2)) -> RuntimeError: Expected tensor for argument #1 'indices'
    nn.FeatureAlphaDropout(2.0) -> ValueError: dropout probability has to be between 0 and 1, but
    nn.FeatureAlphaDropout()(zeros(2)) -> RuntimeError: Feature dropout requires at least 2
    nn.Flatten(3)(zeros(2, 2)) -> IndexError: Dimension out of range (expected to be in range of
    nn.Flatten(1, 0)(zeros(2, 2)) -> RuntimeError: flatten() has invalid args: start_dim cannot
    nn.Fold((3, 3), 2)(zeros(1, 7, 4)) -> RuntimeError: Expected size of input's dimension 1 to be
    nn.Fold((3, 3), 2)(zeros(1, 8, 5)) -> RuntimeError: Given output_size=(3, 3), kernel_size=(2,
    nn.FractionalMaxPool2d(2) -> ValueError: FractionalMaxPool2d requires specifying either an
    nn.FractionalMaxPool2d(2, output_size=2, output_ratio=0.5) -> ValueError: only one of
    nn.FractionalMaxPool2d(2, output_size=9)(zeros(1, 2, 6, 6)) -> RuntimeError: fractional_max_poo
    nn.FractionalMaxPool2d(0, 2)(zeros(1, 2, 6, 6)) -> ValueError: kernel_size must be greater than
    nn.FractionalMaxPool3d(2) -> ValueError: FractionalMaxPool3d requires specifying either an
    nn.FractionalMaxPool3d(2, output_size=2, output_ratio=0.5) -> ValueError: only one of
    nn.FractionalMaxPool3d(0, 2)(zeros(1, 6, 6, 6)) -> ValueError: kernel_size must be greater than
    nn.GaussianNLLLoss()(zeros(2, 4), zeros(2, 4), zeros(2, 4) - 1) -> ValueError: var has
    nn.GaussianNLLLoss()(zeros(2, 4), zeros(2, 4), zeros(3)) -> ValueError: var is of incorrect
    nn.GaussianNLLLoss()(zeros(2, 4), zeros(2, 3), zeros(2, 4)) -> RuntimeError: The size of
    nn.GELU("x")(zeros(2)) -> RuntimeError: approximate argument must be either none or tanh
    nn.GLU()(zeros(2, 3)) -> RuntimeError: Halving dimension must be even, but dimension 1 is size
    nn.GLU(3)(zeros(2, 2)) -> IndexError: Dimension out of range (expected to be in range of [-2,
    nn.GLU()(torch.tensor(1.0)) -> RuntimeError: glu does not support scalars because halving size
    nn.GroupNorm(3, 4) -> ValueError: num_channels (4) must be divisible by num_groups (3)
    nn.GroupNorm(2, 4)(zeros(2, 6)) -> RuntimeError: weight should contain 6 elements not 4
    nn.GroupNorm(2, 4)(zeros(2, 5)) -> RuntimeError: Expected number of channels in input to be
    nn.GroupNorm(4, 4)(zeros(1, 4)) -> ValueError: Expected more than 1 value per channel when
    nn.GRU(4, 3)(zeros(2)) -> ValueError: GRU: Expected input to be 2D or 3D, got 1D instead
    nn.GRU(4, 3)(zeros(5, 2, 5)) -> RuntimeError: input.size(-1) must be equal to input_size.
    nn.GRU(4, 3)(zeros(5, 2, 4).double()) -> ValueError: RNN input dtype (torch.float64) does not
    nn.GRU(4, 3)(zeros(5, 2, 4), zeros(1, 2, 4)) -> RuntimeError: Expected hidden size (1, 2, 3),
    nn.GRUCell(4, 3)(torch.tensor(1.0)) -> ValueError: GRUCell: Expected input to be 1D or 2D, got
    nn.GRUCell(4, 3)(zeros(2, 5)) -> RuntimeError: input has inconsistent input_size: got 5
    nn.GRUCell(4, 3)(zeros(2, 4).double()) -> RuntimeError: mat1 and mat2 must have the same
    nn.Hardshrink("a")(zeros(2)) -> TypeError: hardshrink(): argument 'lambd' (position 2) must be
    nn.Hardtanh(1.0, -1.0) -> AssertionError: max_val (-1.0) must be greater than min_val (1.0)
    nn.Hardtanh()(zeros(2, dtype=torch.uint8)) -> RuntimeError: cannot do hardtanh on an unsigned
    nn.HingeEmbeddingLoss()(zeros(2, 4), zeros(2, 3)) -> RuntimeError: The size of tensor a (3)
    nn.HingeEmbeddingLoss(reduction="x")(zeros(2, 4), zeros(2, 4)) -> ValueError: x is not a valid
    nn.HuberLoss()(zeros(2, 4), zeros(2, 3)) -> RuntimeError: The size of tensor a (4) must match
    nn.HuberLoss(delta=0.0)(zeros(2), zeros(2)) -> RuntimeError: huber_loss does not support
    nn.Identity()() -> TypeError: Identity.forward() missing 1 required positional argument:
    nn.InstanceNorm1d(2)(zeros(2)) -> ValueError: expected 2D or 3D input (got 1D input)
    nn.InstanceNorm1d(2, affine=True)(zeros(2, 3, 6)) -> ValueError: expected input's size at
    nn.InstanceNorm2d(2)(zeros(2)) -> ValueError: expected 3D or 4D input (got 1D input)
    nn.InstanceNorm2d(2, affine=True)(zeros(2, 3, 6, 6)) -> ValueError: expected input's size at
    nn.InstanceNorm3d(2)(zeros(2)) -> ValueError: expected 4D or 5D input (got 1D input)
    nn.InstanceNorm3d(2, affine=True)(zeros(2, 3, 6, 6, 6)) -> ValueError: expected input's size
    nn.KLDivLoss()(zeros(2, 4), zeros(2, 3)) -> RuntimeError: The size of tensor a (3) must match
    nn.KLDivLoss(reduction="x")(zeros(2, 4), zeros(2, 4)) -> ValueError: x is not a valid value
    nn.KLDivLoss()(zeros(2, 4), zeros(2, 4).long()) -> RuntimeError: Integral inputs not supported
    nn.KLDivLoss()(zeros(2) + 0j, zeros(2)) -> RuntimeError: Complex inputs not supported
    nn.L1Loss()(zeros(2, 4), zeros(2, 3)) -> RuntimeError: The size of tensor a (4) must match the
    nn.L1Loss(reduction="x")(zeros(2, 4), zeros(2, 4)) -> ValueError: x is not a valid value for
    nn.LayerNorm(4)(zeros(2, 3)) -> RuntimeError: Given normalized_shape=[4], expected input with
    nn.LayerNorm([])(zeros(4)) -> RuntimeError: Expected normalized_shape to be at least
    nn.LazyBatchNorm1d()(zeros(1, 2, 1)) -> ValueError: Expected more than 1 value per channel
    nn.LazyBatchNorm2d()(zeros(1, 2, 1, 1)) -> ValueError: Expected more than 1 value per channel
    nn.LazyBatchNorm3d()(zeros(1, 2, 1, 1, 1)) -> ValueError: Expected more than 1 value per
    nn.LazyConv1d(4, 3)(zeros(2)) -> RuntimeError: Expected 2D (unbatched) or 3D (batched) input
    nn.LazyConv1d(4, 3, groups=3)(zeros(1, 2, 6)) -> ValueError: in_channels must be divisible by
    nn.LazyConv1d(4, 3).weight.shape -> RuntimeError: Can't access the shape of an uninitialized
    nn.LazyConv1d(4, 3).weight + 1 -> ValueError: Attempted to use an uninitialized parameter.
    nn.LazyConv2d(4, 3)(zeros(2)) -> RuntimeError: Expected 3D (unbatched) or 4D (batched) input
    nn.LazyConv2d(4, 3, groups=3)(zeros(1, 2, 6, 6)) -> ValueError: in_channels must be divisible
    nn.LazyConv2d(4, 3).weight.shape -> RuntimeError: Can't access the shape of an uninitialized
    nn.LazyConv2d(4, 3).weight + 1 -> ValueError: Attempted to use an uninitialized parameter.
    nn.LazyConv3d(4, 3)(zeros(2)) -> RuntimeError: Expected 4D (unbatched) or 5D (batched) input
    nn.LazyConv3d(4, 3, groups=3)(zeros(1, 2, 6, 6, 6)) -> ValueError: in_channels must be
    nn.LazyConv3d(4, 3).weight.shape -> RuntimeError: Can't access the shape of an uninitialized
    nn.LazyConv3d(4, 3).weight + 1 -> ValueError: Attempted to use an uninitialized parameter.
    nn.LazyConvTranspose1d(4, 3)(zeros(2)) -> RuntimeError: Expected 2D (unbatched) or 3D
    nn.LazyConvTranspose1d(4, 3, padding_mode="x") -> ValueError: Only "zeros" padding mode is
    nn.LazyConvTranspose1d(4, 3).weight.shape -> RuntimeError: Can't access the shape of an
    nn.LazyConvTranspose2d(4, 3)(zeros(2)) -> RuntimeError: Expected 3D (unbatched) or 4D
    nn.LazyConvTranspose2d(4, 3, padding_mode="x") -> ValueError: Only "zeros" padding mode is
    nn.LazyConvTranspose2d(4, 3).weight.shape -> RuntimeError: Can't access the shape of an
    nn.LazyConvTranspose3d(4, 3)(zeros(2)) -> RuntimeError: Expected 4D (unbatched) or 5D
    nn.LazyConvTranspose3d(4, 3, padding_mode="x") -> ValueError: Only "zeros" padding mode is
    nn.LazyConvTranspose3d(4, 3).weight.shape -> RuntimeError: Can't access the shape of an
    nn.LazyInstanceNorm1d()(zeros(1, 2, 1)) -> ValueError: Expected more than 1 spatial element
    nn.LazyInstanceNorm2d()(zeros(1, 2, 1, 1)) -> ValueError: Expected more than 1 spatial element
    nn.LazyInstanceNorm3d()(zeros(1, 2, 1, 1, 1)) -> ValueError: Expected more than 1 spatial
    nn.LazyLinear(3).weight.shape -> RuntimeError: Can't access the shape of an uninitialized
    nn.LazyLinear(3).weight + 1 -> ValueError: Attempted to use an uninitialized parameter. This
    nn.LazyLinear(3)(zeros(2, 4).long()) -> RuntimeError: mat1 and mat2 must have the same dtype,
    nn.LeakyReLU("a")(zeros(2)) -> TypeError: leaky_relu(): argument 'negative_slope' (position 2)
    nn.Linear(4, 3)(zeros(2, 5)) -> RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x5
    nn.Linear(-1, 3) -> RuntimeError: Trying to create tensor with negative dimension -1: [3, -1]
    nn.LinearCrossEntropyLoss(4, 3)(zeros(2, 5), torch.tensor([0, 1])) -> RuntimeError: expected
    nn.LinearCrossEntropyLoss(4, 3)(zeros(2, 4), torch.tensor([0, 7])) -> IndexError: Target 7 is
    nn.LinearCrossEntropyLoss(4, 3, weight=zeros(2)) -> RuntimeError: expected weight shape to be
    nn.LinearCrossEntropyOptions(batch_chunk_size=0) -> ValueError: batch_chunk_size must be
    nn.LinearCrossEntropyOptions(chunking_method="x") -> ValueError: invalid chunking_method: 'x'
    nn.LinearCrossEntropyOptions(acc_dtype=3) -> ValueError: acc_dtype must be one of
    nn.LocalResponseNorm(2)(zeros(2, 2)) -> ValueError: Expected 3D or higher dimensionality input
    nn.LogSoftmax(3)(zeros(2, 2)) -> IndexError: Dimension out of range (expected to be in range
    nn.LPPool1d(2, 2)(zeros(2)) -> RuntimeError: Expected 2D or 3D (batch mode) tensor with
    nn.LPPool1d(2, 9)(zeros(1, 2, 6)) -> RuntimeError: Invalid computed output size: 0
    nn.LPPool2d(2, 2)(zeros(2)) -> RuntimeError: Expected 3D or 4D (batch mode) tensor with
    nn.LPPool2d(2, 9)(zeros(1, 2, 6, 6)) -> RuntimeError: Given input size: (2x6x6). Calculated
    nn.LPPool3d(2, 2)(zeros(2)) -> RuntimeError: non-empty 4D or 5D (batch mode) tensor expected
    nn.LPPool3d(2, 9)(zeros(1, 2, 6, 6, 6)) -> RuntimeError: Given input size: (2x6x6x6).
    nn.LSTM(4, 3)(zeros(5, 2, 4), zeros(1, 2, 3)) -> IndexError: Expected hx to be two tensors (h,
    nn.LSTM(4, 3)(zeros(5, 2, 4), (zeros(1, 2, 3),)) -> IndexError: Expected hx to be two tensors
    nn.LSTMCell(4, 3)(torch.tensor(1.0)) -> ValueError: LSTMCell: Expected input to be 1D or 2D,
    nn.LSTMCell(4, 3)(zeros(2, 5)) -> RuntimeError: input has inconsistent input_size: got 5
    nn.LSTMCell(4, 3)(zeros(2, 4).double()) -> RuntimeError: mat1 and mat2 must have the same
    nn.LSTMCell(4, 3)(zeros(2, 4), (zeros(2, 3),)) -> RuntimeError: lstm_cell expects two hidden
    nn.MarginRankingLoss()(zeros(4), zeros(4), zeros(1, 4)) -> RuntimeError: margin_ranking_loss :
    nn.MarginRankingLoss()(zeros(4), zeros(3), zeros(4)) -> RuntimeError: The size of tensor a (4)
    nn.MarginRankingLoss(reduction="x")(zeros(4), zeros(4), zeros(4)) -> ValueError: x is not a
    nn.MaxPool1d(2)(zeros(2)) -> RuntimeError: Expected 2D or 3D (batch mode) tensor with optional
    nn.MaxPool1d(9)(zeros(1, 2, 6)) -> RuntimeError: Invalid computed output size: 0
    nn.MaxPool2d(2)(zeros(2)) -> RuntimeError: Expected 3D or 4D (batch mode) tensor with optional
    nn.MaxPool2d(9)(zeros(1, 2, 6, 6)) -> RuntimeError: Given input size: (2x6x6). Calculated
    nn.MaxPool3d(2)(zeros(2)) -> RuntimeError: non-empty 4D or 5D (batch mode) tensor expected for
    nn.MaxPool3d(9)(zeros(1, 2, 6, 6, 6)) -> RuntimeError: Given input size: (2x6x6x6). Calculated
    nn.MaxUnpool1d(2)(zeros(2), zeros(2).long()) -> RuntimeError: Input to max_unpooling1d should
    nn.MaxUnpool1d(2)(zeros(1, 2, 2), zeros(1, 2, 2)) -> RuntimeError: elements in indices should
    nn.MaxUnpool1d(2)(zeros(1, 2, 2), zeros(1, 2, 2).long(), output_size=(9,)) -> ValueError
    nn.MaxUnpool2d(2)(zeros(2), zeros(2).long()) -> RuntimeError: Input to max_unpooling2d should
    nn.MaxUnpool2d(2)(zeros(1, 2, 2, 2), zeros(1, 2, 2, 2)) -> RuntimeError: elements in indices
    nn.MaxUnpool2d(2)(zeros(1, 2, 2, 2), zeros(1, 2, 2, 2).long(), output_size=(9, 9)) -> ValueError
    nn.MaxUnpool3d(2)(zeros(2), zeros(2).long()) -> RuntimeError: Input to max_unpooling3d should
    nn.MaxUnpool3d(2)(zeros(1, 2, 2, 2, 2), zeros(1, 2, 2, 2, 2)) -> RuntimeError: elements in
    nn.Module()(zeros(2)) -> NotImplementedError: Module [Module] is missing the required
    nn.Module().x -> AttributeError: 'Module' object has no attribute 'x'
    nn.Module().get_submodule("x") -> AttributeError: Module has no attribute `x`
    nn.ModuleDict({"a.b": nn.ReLU()}) -> KeyError: module name can
    nn.ModuleDict({"a": 1}) -> TypeError: int is not a Module subclass
    nn.ModuleDict({"forward": nn.ReLU()}) -> KeyError: "attribute 'forward' already exists"
    nn.ModuleDict()(zeros(2)) -> NotImplementedError: Module [ModuleDict] is missing the required
    nn.ModuleList([1]) -> TypeError: int is not a Module subclass
    nn.ModuleList([nn.ReLU()])[3] -> IndexError: index 3 is out of range
    nn.ModuleList([nn.ReLU()])(zeros(2)) -> NotImplementedError: Module [ModuleList] is missing
    nn.ModuleList(3) -> TypeError: ModuleList.extend should be called with an iterable, but got int
    nn.MSELoss()(zeros(2, 4), zeros(2, 3)) -> RuntimeError: The size of tensor a (4) must match
    nn.MSELoss(reduction="x")(zeros(2, 4), zeros(2, 4)) -> ValueError: x is not a valid value for
    nn.MultiheadAttention(0, 2) -> ValueError: embed_dim and num_heads must be greater than 0, got
    nn.MultiheadAttention(5, 2) -> AssertionError: embed_dim must be divisible by num_heads
    nn.MultiheadAttention(4, 2)(zeros(3, 2, 5), zeros(3, 2, 5), zeros(3, 2, 5)) -> AssertionError
    nn.MultiheadAttention(4, 2)(zeros(3, 2, 4), zeros(3, 3, 4), zeros(3, 3, 4)) -> RuntimeError
    nn.MultiLabelMarginLoss()(zeros(2, 4), zeros(2, 3).long()) -> RuntimeError: inconsistent
    nn.MultiLabelMarginLoss()(zeros(2, 4), zeros(2, 4).long() + 9) -> RuntimeError: target out of
    nn.MultiLabelSoftMarginLoss()(zeros(2, 4), zeros(2, 3)) -> RuntimeError: The size of tensor a
    nn.MultiLabelSoftMarginLoss(reduction="x")(zeros(2, 4), zeros(2, 4)) -> ValueError: x is not a
    nn.MultiMarginLoss(p=3) -> ValueError: only p == 1 and p == 2 supported
    nn.MultiMarginLoss()(zeros(2, 4), torch.tensor([1, 9])) -> RuntimeError: target out of range
    nn.MultiMarginLoss(weight=zeros(3))(zeros(2, 4), torch.tensor([1, 2])) -> RuntimeError
    nn.MultiMarginLoss(reduction="x")(zeros(2, 4), torch.tensor([1, 2])) -> ValueError: x is not a
    nn.NLLLoss()(zeros(2, 4), torch.tensor([1, 7])) -> IndexError: Target 7 is out of bounds
    nn.NLLLoss()(zeros(2, 4), torch.tensor([1])) -> ValueError: Expected input batch_size (2) to
    nn.NLLLoss()(zeros(2, 4), torch.tensor([1, -1])) -> IndexError: Target -1 is out of bounds
    nn.NLLLoss()(zeros(2, 4), zeros(2)) -> RuntimeError: expected target dtype to be Long or Byte,
    nn.NLLLoss(weight=zeros(2).double())(zeros(1, 2), zeros(1).long()) -> RuntimeError: expected
    nn.NLLLoss(weight=zeros(2))(zeros(1, 2).half(), zeros(1).long()) -> RuntimeError: expected
    nn.PairwiseDistance()(zeros(2, 4), zeros(2, 3)) -> RuntimeError: The size of tensor a (4) must
    nn.Parameter(3) -> AttributeError: Parameter expects a Tensor, but got int: use torch.tensor
    nn.Parameter(zeros(2).long()) -> RuntimeError: Only Tensors of floating point and complex
    nn.ParameterDict()["x"] -> AttributeError: 'ParameterDict' object has no attribute 'x'
    nn.ParameterDict()() -> RuntimeError: ParameterDict should not be called
    nn.ParameterList()[0] -> IndexError: index 0 is out of range
    nn.ParameterList()() -> RuntimeError: ParameterList should not be called
    nn.ParameterList([zeros(2)])["a"] -> TypeError: 'str' object cannot be interpreted as an integer
    nn.PixelShuffle(2)(zeros(1, 3, 2, 2)) -> RuntimeError: pixel_shuffle expects its input's
    nn.PixelUnshuffle(2)(zeros(1, 4, 3, 3)) -> RuntimeError: pixel_unshuffle expects height to be
    nn.PoissonNLLLoss()(zeros(2, 4), zeros(2, 3)) -> RuntimeError: The size of tensor a (3) must
    nn.PoissonNLLLoss(reduction="x")(zeros(2, 4), zeros(2, 4)) -> ValueError: x is not a valid
    nn.PReLU(3)(zeros(2, 2)) -> RuntimeError: Mismatch of parameter numbers and input channel
    nn.PReLU(3)(torch.tensor(1.0)) -> RuntimeError: Not allow zero-dim input tensor
    nn.ReflectionPad1d(1)(torch.tensor(1.0)) -> RuntimeError: Padding length should be less than
    nn.ReflectionPad1d(1)(zeros(2)) -> NotImplementedError: Padding size 2 is not supported for 1D
    nn.ReflectionPad1d(6)(zeros(1, 2, 6)) -> RuntimeError: Padding size should be less than the
    nn.ReflectionPad1d((-8, 2))(zeros(1, 2, 6)) -> RuntimeError: input (W: 6) is too small.
    nn.ReflectionPad2d(1)(torch.tensor(1.0)) -> RuntimeError: Padding length should be less than
    nn.ReflectionPad2d(6)(zeros(1, 2, 6, 6)) -> RuntimeError: Padding size should be less than the
    nn.ReflectionPad2d((0, 0, -7, 0))(zeros(1, 6, 6)) -> RuntimeError: Calculated output H: -1 W: 6
    nn.ReflectionPad3d(1)(torch.tensor(1.0)) -> RuntimeError: Padding length should be less than
    nn.ReflectionPad3d(6)(zeros(1, 2, 6, 6, 6)) -> RuntimeError: Padding size should be less than
    nn.ReLU(inplace=True)(torch.ones(2, requires_grad=True)) -> RuntimeError: a leaf Variable that
    nn.ReplicationPad1d(1)(torch.tensor(1.0)) -> RuntimeError: Padding length should be less than
    nn.ReplicationPad1d(1)(zeros(2)) -> NotImplementedError: Padding size 2 is not supported for
    nn.ReplicationPad1d(-3)(zeros(1, 2, 6)) -> RuntimeError: input (W: 6) is too small. Calculated
    nn.ReplicationPad2d(1)(torch.tensor(1.0)) -> RuntimeError: Padding length should be less than
    nn.ReplicationPad2d(-3)(zeros(1, 2, 6, 6)) -> RuntimeError: input (H: 6, W: 6) is too small.
    nn.ReplicationPad3d(1)(torch.tensor(1.0)) -> RuntimeError: Padding length should be less than
    nn.ReplicationPad3d(-3)(zeros(1, 2, 6, 6, 6)) -> RuntimeError: input (D: 6, H: 6, W: 6) is too
    nn.ReplicationPad3d(-3)(zeros(1, 6, 6, 6)) -> RuntimeError: Calculated output D: 0 H: 0 W: 0
    nn.RMSNorm(4)(zeros(2, 3)) -> RuntimeError: Given normalized_shape=[4], expected input with
    nn.RMSNorm((2, 4))(zeros(4)) -> ValueError: Input tensor must have at least 2 dimensions, but
    nn.RMSNorm([])(zeros(4)) -> RuntimeError: Expected normalized_shape to be at least
    nn.RMSNorm(4)(zeros(2, 4).long()) -> NotImplementedError: "rms_norm" not implemented for 'Long'
    nn.RNN(4, 3)(zeros(2)) -> ValueError: RNN: Expected input to be 2D or 3D, got 1D instead
    nn.RNN(4, 3)(zeros(5, 2, 5)) -> RuntimeError: input.size(-1) must be equal to input_size.
    nn.RNN(4, 3)(zeros(5, 2, 4).double()) -> ValueError: RNN input dtype (torch.float64) does not
    nn.RNN(4, 3)(zeros(5, 2, 4), zeros(1, 2, 4)) -> RuntimeError: Expected hidden size (1, 2, 3),
    nn.RNNBase("x", 4, 3) -> ValueError: Unrecognized RNN mode: x
    nn.RNNBase("GRU", 4, 3, dropout="a") -> ValueError: dropout should be a number in range [0, 1]
    nn.RNNCell(4, 3)(torch.tensor(1.0)) -> ValueError: RNNCell: Expected input to be 1D or 2D, got
    nn.RNNCell(4, 3)(zeros(2, 5)) -> RuntimeError: input has inconsistent input_size: got 5
    nn.RNNCell(4, 3)(zeros(2, 4).double()) -> RuntimeError: mat1 and mat2 must have the same
    nn.RNNCellBase(4, 3, True, 2)(zeros(2, 4)) -> NotImplementedError: Module [RNNCellBase] is
    nn.RNNCellBase(4, -3, True, 2) -> RuntimeError: Trying to create tensor with negative
    nn.RReLU(0.5, 0.1)(zeros(2)) -> RuntimeError: Lower bound should be less than or equal to the
    nn.Sequential(1) -> TypeError: int is not a Module subclass
    nn.Sequential(nn.ReLU())[3] -> IndexError: index 3 is out of range
    nn.Sequential(nn.ReLU())(zeros(2), zeros(2)) -> TypeError: Sequential.forward() takes 2
    nn.LazyLinear(3).share_memory() -> RuntimeError: Can't share memory on an
    nn.Sigmoid()([1.0]) -> TypeError: sigmoid(): argument 'input' (position 1) must be Tensor, not
    nn.SmoothL1Loss()(zeros(2, 4), zeros(2, 3)) -> RuntimeError: The size of tensor a (4) must
    nn.SmoothL1Loss(beta=-1.0)(zeros(2), zeros(2)) -> RuntimeError: smooth_l1_loss does not
    nn.SoftMarginLoss()(zeros(2, 4), zeros(2, 3)) -> RuntimeError: The size of tensor a (4) must
    nn.SoftMarginLoss(reduction="x")(zeros(2, 4), zeros(2, 4)) -> ValueError: x is not a valid
    nn.Softmax(3)(zeros(2, 2)) -> IndexError: Dimension out of range (expected to be in range of
    nn.Softmax2d()(zeros(2, 2)) -> ValueError: Softmax2d: expected input to be 3D or 4D, got 2D
    nn.Softmin(3)(zeros(2, 2)) -> IndexError: Dimension out of range (expected to be in range of
    nn.Softplus("a")(zeros(2)) -> TypeError: softplus(): argument 'beta' (position 2) must be
    nn.Softshrink(-1.0)(zeros(2)) -> RuntimeError: lambda must be in range [0, 3.40282e+38] for
    nn.SyncBatchNorm(2)(zeros(2)) -> ValueError: expected at least 2D input (got 1D input)
    nn.SyncBatchNorm(2)(zeros(2, 3, 3)) -> RuntimeError: running_mean should contain 3 elements
    nn.Tanh()([1.0]) -> TypeError: tanh(): argument 'input' (position 1) must be Tensor, not list
    nn.Threshold("a", 1.0)(zeros(2)) -> TypeError: threshold(): argument 'threshold' (position 2)
    nn.Threshold(1.0) -> TypeError: Threshold.__init__() missing 1 required positional argument:
    nn.Transformer(4, 2, 1, 1, 8)(zeros(3, 2, 4), zeros(3, 3, 4)) -> RuntimeError: the batch
    nn.Transformer(4, 2, 1, 1, 8)(zeros(3, 2, 5), zeros(3, 2, 5)) -> RuntimeError: the feature
    nn.Transformer(5, 2, 1, 1) -> AssertionError: embed_dim must be divisible by num_heads
    nn.TransformerDecoder(decoder, 1)(zeros(3, 2, 4), zeros(3, 2, 5)) -> RuntimeError
    nn.TransformerDecoder(decoder, 1)(zeros(3, 2, 5), zeros(3, 2, 4)) -> AssertionError: was
    nn.TransformerDecoderLayer(5, 2) -> AssertionError: embed_dim must be divisible by num_heads
    nn.TransformerDecoderLayer(4, 2, activation="x") -> RuntimeError: activation should be
    nn.TransformerDecoderLayer(4, 2, 8)(zeros(3, 2, 4), zeros(3, 2, 5)) -> RuntimeError: mat1 and
    nn.TransformerDecoderLayer(4, 2, 8)(zeros(3), zeros(3)) -> AssertionError: query should be
    nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 1)(zeros(3, 2, 5)) -> AssertionError
    nn.TransformerEncoder(3, 1) -> TypeError: int is not a Module subclass
    nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), "a") -> TypeError: 'str' object
    nn.TransformerEncoderLayer(5, 2) -> AssertionError: embed_dim must be divisible by num_heads
    nn.TransformerEncoderLayer(4, 2, activation="x") -> RuntimeError: activation should be
    nn.TransformerEncoderLayer(4, 2, 8)(zeros(3, 2, 5)) -> AssertionError: was expecting embedding
    nn.TransformerEncoderLayer(4, 2, 8)(zeros(3, 2, 4), src_mask=zeros(2, 2)) -> RuntimeError
    nn.TripletMarginLoss(margin=0.0) -> ValueError: TripletMarginLoss: expected margin to be
    nn.TripletMarginLoss()(zeros(2, 4), zeros(2, 4), zeros(4)) -> RuntimeError: The anchor,
    nn.TripletMarginLoss()(zeros(2, 4), zeros(2, 3), zeros(2, 4)) -> RuntimeError: The size of
    nn.TripletMarginLoss(reduction="x")(zeros(2, 4), zeros(2, 4), zeros(2, 4)) -> ValueError
    nn.TripletMarginWithDistanceLoss(margin=0.0) -> ValueError: TripletMarginWithDistanceLoss:
    nn.TripletMarginWithDistanceLoss()(zeros(2, 4), zeros(2, 4), zeros(4)) -> RuntimeError
    nn.TripletMarginWithDistanceLoss()(zeros(2, 4), zeros(2, 3), zeros(2, 4)) -> RuntimeError
    nn.Unflatten(1, (2, 3))(zeros(2, 4)) -> RuntimeError: Provided sizes [2, 3] don't multiply up
    nn.Unflatten(1, "a") -> TypeError: unflattened_size must be a tuple of ints, but found type str
    nn.Unflatten(5, (2, 2))(zeros(2, 4)) -> IndexError: Dimension out of range (expected to be in
    nn.Unfold(2)(zeros(2, 2)) -> IndexError: Dimension out of range (expected to be in range of
    nn.Unfold(9)(zeros(1, 2, 4, 4)) -> RuntimeError: Given input with spatial size (4, 4),
    nn.Unfold(0)(zeros(1, 2, 4, 4)) -> RuntimeError: kernel should be greater than zero, but got
    nn.UninitializedBuffer().shape -> RuntimeError: Can't access the shape of an uninitialized
    nn.UninitializedBuffer() + 1 -> ValueError: Attempted to use an uninitialized parameter. This
    nn.UninitializedBuffer().materialize((-1,)) -> RuntimeError: Trying to create tensor with
    nn.UninitializedParameter().shape -> RuntimeError: Can't access the shape of an uninitialized
    nn.UninitializedParameter() + 1 -> ValueError: Attempted to use an uninitialized parameter.
    nn.UninitializedParameter(dtype=torch.int64) -> RuntimeError: Only Tensors of floating point
    nn.UninitializedParameter(dtype=torch.int64) -> RuntimeError: Only Tensors of floating point and
    nn.Upsample()(zeros(1, 2, 4, 4)) -> ValueError: either size or scale_factor should be defined
    nn.Upsample(size=2, scale_factor=2)(zeros(1, 2, 4, 4)) -> ValueError: only one of size or
    nn.Upsample(2, mode="linear")(zeros(1, 2, 4, 4)) -> NotImplementedError: Got 4D input, but
    nn.Upsample(2, mode="x")(zeros(1, 2, 4, 4)) -> NotImplementedError: Input Error: Only 3D, 4D
    nn.UpsamplingBilinear2d(2)(zeros(2, 4, 4)) -> NotImplementedError: Got 3D input, but bilinear
    nn.UpsamplingNearest2d()(zeros(1, 2, 4, 4)) -> ValueError: either size or scale_factor should
    nn.UpsamplingNearest2d(2)(zeros(4, 4)) -> NotImplementedError: Input Error: Only 3D, 4D and 5D
    nn.UpsamplingNearest2d((2, 2, 2))(zeros(1, 2, 4, 4)) -> ValueError: Input and output must have
    nn.ZeroPad1d(1)(torch.tensor(1.0)) -> RuntimeError: Padding length should be less than or
    nn.ZeroPad1d(-4)(zeros(1, 2, 6)) -> RuntimeError: The input size [1, 2, 6], plus negative
    nn.ZeroPad2d(1)(torch.tensor(1.0)) -> RuntimeError: Padding length should be less than or
    nn.ZeroPad2d(-4)(zeros(1, 2, 6, 6)) -> RuntimeError: The input size [1, 2, 6, 6], plus
    nn.ZeroPad3d(1)(torch.tensor(1.0)) -> RuntimeError: Padding length should be less than or
    nn.ZeroPad3d(-4)(zeros(1, 2, 6, 6, 6)) -> RuntimeError: The input size [1, 2, 6, 6, 6], plus
"""


def names() -> dict[str, Any]:
    layer = nn.TransformerDecoderLayer(4, 2, 8)
    return {"torch": torch, "nn": nn, "zeros": zeros, "decoder": layer}


def class_of(call: str) -> Any:
    return getattr(nn, re.match(r"nn\.(\w+)", call)[1])  # type: ignore[index]


@pytest.mark.parametrize(("call", "kind", "words"), entries(MISTAKES))
def test_a_mistake_is_told(call: str, kind: str, words: str) -> None:
    check(call, kind, words, names())


def test_docstrings_name_these_errors() -> None:
    silent = unnamed(MISTAKES, class_of)
    assert not silent, "\n".join(silent)


def test_a_device_that_is_none_is_refused_by_a_module_without_tensors_too() -> None:
    with pytest.raises(RuntimeError, match="Expected one of cpu"):
        nn.ReLU().to("nowhere")


def test_memory_of_modules_is_shared() -> None:
    layer = nn.BatchNorm1d(2)
    weight = layer.weight
    assert layer.share_memory().weight is weight
    assert weight.is_shared() and layer.running_mean.is_shared()


# What has no entry above, and why.
NO_MISTAKE = {
    "Hardsigmoid Hardswish LogSigmoid Mish ReLU6 SELU SiLU Softsign Tanhshrink": (
        "they refuse dtypes only: see test_module_dtypes.py"
    ),
    "NLLLoss2d": "another name of NLLLoss",
}


def test_every_module_has_a_mistake() -> None:
    known = {class_of(call).__name__ for call, _, _ in entries(MISTAKES)}
    rest = set(" ".join(NO_MISTAKE).split())
    public = {
        n for n in dir(nn) if getattr(getattr(nn, n), "__module__", "").startswith("framework")
    }
    public = {n for n in public if isinstance(getattr(nn, n), type)}
    assert public - known == rest
