"""Normalisation layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework import dtypes
from framework.cautions import caution
from framework.kernels.floats import type_name
from framework.nn import functional as F
from framework.nn import init
from framework.nn.modules.factories import empty, ones, zeros
from framework.nn.modules.lazy import LazyModuleMixin
from framework.nn.modules.module import Module
from framework.nn.parameter import Parameter, UninitializedBuffer
from framework.tensor import tensor, wrap

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "CrossMapLRN2d", "GroupNorm", "InstanceNorm1d",
    "InstanceNorm2d", "InstanceNorm3d", "LayerNorm", "LazyBatchNorm1d", "LazyBatchNorm2d",
    "LazyBatchNorm3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d",
    "LocalResponseNorm", "RMSNorm", "SyncBatchNorm",
]  # fmt: skip


class _NormBase(Module):
    """Per-channel statistics, with or without running ones; ``_ranks`` are the inputs' allowed."""

    _version = 2
    _ranks: tuple[int, ...] = ()

    def __init__(
        self, num_features: int, eps: float, momentum: float | None, affine: bool,
        track_running_stats: bool, device: Any, dtype: Any, bias: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        made = {"device": device, "dtype": dtype}
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            param = Parameter(empty(num_features, **made)) if wanted else None
            self.register_parameter(name, param)
        if track_running_stats:
            self.register_buffer("running_mean", zeros(num_features, **made))
            self.register_buffer("running_var", ones(num_features, **made))
            count = tensor(0, dtype=dtypes.int64, device=device)
            self.register_buffer("num_batches_tracked", count)
        else:
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                self.register_buffer(name, None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Running mean 0, variance 1, no batches seen.

        >>> import framework as torch
        >>> layer = torch.nn.BatchNorm1d(1)
        >>> _ = layer(torch.tensor([[1.0], [3.0]]))
        >>> layer.reset_running_stats()
        >>> layer.running_mean
        tensor([0.])
        """
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0, statistics reset."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _check_input(self, input: Any) -> None:
        if input.ndim not in self._ranks:
            expected = " or ".join(f"{r}D" for r in self._ranks)
            raise ValueError(f"expected {expected} input (got {input.ndim}D input)")

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, strict: bool,
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        old = (local_metadata.get("version") or 1) < 2
        key = prefix + "num_batches_tracked"
        if old and self.track_running_stats and key not in state_dict:
            state_dict[key] = self.num_batches_tracked
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys,
                                      unexpected_keys, error_msgs)  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_NormBase):
    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1,
        affine: bool = True, track_running_stats: bool = True, device: Any = None,
        dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype,
                         bias)  # fmt: skip

    def forward(self, input: Any) -> Any:
        self._check_input(input)
        factor = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the plain average of all batches
                factor = 1.0 / self.num_batches_tracked.item()
        batch_stats = self.training or self.running_mean is None
        tracked = not self.training or self.track_running_stats
        return F.batch_norm(
            input,
            self.running_mean if tracked else None,
            self.running_var if tracked else None,
            self.weight, self.bias, batch_stats, factor, self.eps,
        )  # fmt: skip


class BatchNorm1d(_BatchNorm):
    """`nn.functional.batch_norm` of (N, C) or (N, C, L), to the same shape.

    Statistics are those of a channel over the batch and L; arguments, learnables and buffers as of
    `BatchNorm2d`. ValueError for other numbers of dimensions, and in training for one value per
    channel. Dtypes: float types, the weight's (RuntimeError for another).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.BatchNorm1d(1)(torch.tensor([[1.0], [3.0]])).detach()
    tensor([[-1.0000],
            [ 1.0000]])
    """

    _ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """(x - mean) / sqrt(var + eps) · weight + bias, per channel: (N, C, H, W) to the same.

    In training mean and variance are the batch's, and move the running ones by ``momentum`` towards
    themselves; in evaluation they are the running ones. Weight and bias (C,) are learnable and
    start at 1 and 0; the buffers ``running_mean`` and ``running_var`` start at 0 and 1. Ioffe and
    Szegedy, "Batch normalization", 2015.

    Args:
        momentum: weight of the newest batch in the running statistics; None averages all batches.
        affine: there are weight and bias; ``bias=False`` leaves out the bias alone.
        track_running_stats: False: always the batch's own statistics.

    Errors, in a call: ValueError for other numbers of dimensions, and in training for one value per
    channel; RuntimeError for another number of channels or dtype. Dtypes: float types, the weight's
    or, of half precision, float32 with a float32 weight.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.BatchNorm2d(3)
    BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    >>> layer = nn.BatchNorm2d(1, affine=False)
    >>> layer(torch.tensor([1.0, 3.0]).reshape(1, 1, 1, 2)), layer.running_mean
    (tensor([[[[-1.0000,  1.0000]]]]), tensor([0.2000]))
    """

    _ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """`nn.functional.batch_norm` of volumes: (N, C, D, H, W) to the same.

    Arguments, learnables, buffers and errors as of `BatchNorm2d`. ValueError for other numbers of
    dimensions. Dtypes: float types, the weight's (RuntimeError for another).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.BatchNorm3d(2)(torch.zeros(1, 2, 3, 4, 5)).shape
    torch.Size([1, 2, 3, 4, 5])
    """

    _ranks = (5,)


class _InstanceNorm(_NormBase):
    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: Any = None, dtype: Any = None, *,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype,
                         bias)  # fmt: skip

    def forward(self, input: Any) -> Any:
        self._check_input(input)
        batched = input.ndim == max(self._ranks)
        x = input if batched else input.unsqueeze(0)
        if x.shape[1] != self.num_features and self.affine:
            raise ValueError(
                f"expected input's size at dim=1 to match num_features ({self.num_features}), but "
                f"got: {x.shape[1]}."
            )
        if x.shape[1] != self.num_features:
            caution(
                "input's size at dim=1 does not match num_features. You can silence this warning "
                "by not passing in num_features, which is not used because affine=False"
            )
        y = F.instance_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or not self.track_running_stats, self.momentum or 0.0, self.eps,
        )  # fmt: skip
        return y if batched else y.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """`nn.functional.instance_norm` of signals: (N, C, L) or (C, L) to the same.

    Statistics are those of one channel of one sample; arguments and errors as of `InstanceNorm2d`.
    ValueError for other numbers of dimensions and a single element per channel. Dtypes: float types
    (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.InstanceNorm1d(1)(torch.tensor([[1.0, 3.0]]))
    tensor([[-1.0000,  1.0000]])
    """

    _ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """(x - mean) / sqrt(var + eps) of each channel of each sample: (N, C, H, W) to the same.

    N may be missing. Nothing is learnable and nothing is remembered unless asked for. Ulyanov et
    al., "Instance normalization: the missing ingredient for fast stylization", 2016.

    Args:
        affine: a learnable weight and bias (C,), starting at 1 and 0, as in `BatchNorm2d`.
        track_running_stats: keep running statistics for evaluation mode, moved by ``momentum``.

    Errors, in a call: ValueError for other numbers of dimensions, a single element per channel, and
    with ``affine`` for another number of channels. Dtypes: float types (NotImplementedError for
    others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.InstanceNorm2d(1)(torch.tensor([[[1.0, 3.0], [5.0, 7.0]]]))
    tensor([[[-1.3416, -0.4472],
             [ 0.4472,  1.3416]]])
    """

    _ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """`nn.functional.instance_norm` of volumes: (N, C, D, H, W) or (C, D, H, W) to the same.

    Arguments and errors as of `InstanceNorm2d`. ValueError for other numbers of dimensions and a
    single element per channel. Dtypes: float types (NotImplementedError for others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.InstanceNorm3d(2, affine=True)(torch.zeros(1, 2, 3, 4, 5)).shape
    torch.Size([1, 2, 3, 4, 5])
    """

    _ranks = (4, 5)


class _LazyNorm(LazyModuleMixin, _NormBase):
    """A normalisation whose ``num_features`` come from the first input."""

    def _make_lazy(self, affine: bool, tracked: bool, bias: bool, device: Any, dtype: Any) -> None:
        self.affine, self.track_running_stats = affine, tracked
        if affine:
            self._add_uninitialized(("weight", "bias") if bias else ("weight",), device, dtype)
        if tracked:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = tensor(0, dtype=dtypes.int64, device=device)

    def reset_parameters(self) -> None:
        """Scale 1, shift 0, once they have a shape."""
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Any) -> None:
        """Materialize parameters and buffers for this input."""
        loaded = not self.has_uninitialized_params()  # from a state dict
        if loaded and self.num_features:
            return
        self.num_features = input.shape[1]
        if loaded:
            return
        for part in (self.weight, self.bias, self.running_mean, self.running_var):
            if part is not None:
                part.materialize((self.num_features,))
        self.reset_parameters()


class _LazyBatchNorm(_LazyNorm, _BatchNorm):
    def __init__(
        self, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Any = None, dtype: Any = None, *,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=False)
        self._make_lazy(affine, track_running_stats, bias, device, dtype)


class _LazyInstanceNorm(_LazyNorm, _InstanceNorm):
    def __init__(
        self, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True,
        track_running_stats: bool = True, device: Any = None, dtype: Any = None, *,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=False)
        self._make_lazy(affine, track_running_stats, bias, device, dtype)


class LazyBatchNorm1d(_LazyBatchNorm, BatchNorm1d):
    """A `BatchNorm1d` that finds ``num_features`` out from its first input.

    (N, C) or (N, C, L) to the same; ValueError for others. Dtypes: float types, ``dtype``'s
    (RuntimeError for another).

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.LazyBatchNorm1d()
    >>> layer(torch.zeros(2, 3)).shape, layer.num_features
    (torch.Size([2, 3]), 3)
    """

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyBatchNorm, BatchNorm2d):
    """A `BatchNorm2d` that finds ``num_features`` out from its first input.

    (N, C, H, W) to the same; ValueError for others. Dtypes: float types, ``dtype``'s (RuntimeError
    for another).

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.LazyBatchNorm2d()
    >>> layer(torch.zeros(2, 3, 4, 4)).shape, layer.running_mean.shape
    (torch.Size([2, 3, 4, 4]), torch.Size([3]))
    """

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyBatchNorm, BatchNorm3d):
    """A `BatchNorm3d` that finds ``num_features`` out from its first input.

    (N, C, D, H, W) to the same; ValueError for others. Dtypes: float types, ``dtype``'s
    (RuntimeError for another).

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.LazyBatchNorm3d()
    >>> layer(torch.zeros(2, 3, 4, 4, 4)).shape, layer.num_features
    (torch.Size([2, 3, 4, 4, 4]), 3)
    """

    cls_to_become = BatchNorm3d


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    """An `InstanceNorm1d` that finds ``num_features`` out from its first input, (N, C, L).

    ``affine`` and ``track_running_stats`` are on here by default, as in PyTorch. ValueError for
    other numbers of dimensions and a single element per channel. Dtypes: float types, ``dtype``'s
    (RuntimeError for another).

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.LazyInstanceNorm1d()
    >>> layer(torch.zeros(2, 3, 4)).shape, layer.num_features
    (torch.Size([2, 3, 4]), 3)
    """

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    """An `InstanceNorm2d` that finds ``num_features`` out from its first input, (N, C, H, W).

    ``affine`` and ``track_running_stats`` are on here by default, as in PyTorch. ValueError for
    other numbers of dimensions and a single element per channel. Dtypes: float types, ``dtype``'s
    (RuntimeError for another).

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.LazyInstanceNorm2d()
    >>> layer(torch.zeros(2, 3, 4, 4)).shape, layer.weight.shape
    (torch.Size([2, 3, 4, 4]), torch.Size([3]))
    """

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    """An `InstanceNorm3d` that finds ``num_features`` out from its first input, (N, C, D, H, W).

    ``affine`` and ``track_running_stats`` are on here by default, as in PyTorch. ValueError for
    other numbers of dimensions and a single element per channel. Dtypes: float types, ``dtype``'s
    (RuntimeError for another).

    >>> import framework as torch
    >>> from framework import nn
    >>> layer = nn.LazyInstanceNorm3d()
    >>> layer(torch.zeros(2, 3, 2, 2, 2)).shape, layer.num_features
    (torch.Size([2, 3, 2, 2, 2]), 3)
    """

    cls_to_become = InstanceNorm3d


class SyncBatchNorm(_BatchNorm):
    """A batch norm of (N, C, *) that would share its statistics between processes.

    There is one process here, so it computes what `BatchNorm1d` and its sisters do, as PyTorch's
    does outside of `torch.distributed`. ValueError for fewer than two dimensions. RuntimeError for
    another number of channels. Dtypes: float types, the weight's.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.SyncBatchNorm(3)(torch.zeros(2, 3, 4, 5)).shape
    torch.Size([2, 3, 4, 5])
    """

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1,
        affine: bool = True, track_running_stats: bool = True, process_group: Any = None,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype,
                         bias=bias)  # fmt: skip
        self.process_group = process_group

    def _check_input(self, input: Any) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected at least 2D input (got {input.ndim}D input)")
        if input.shape[1] == 0:
            raise ValueError("SyncBatchNorm number of input channels should be non-zero")

    @classmethod
    def convert_sync_batchnorm(cls, module: Any, process_group: Any = None) -> Any:
        """``module`` with every batch norm replaced by a SyncBatchNorm of the same state.

        >>> from framework import nn
        >>> type(nn.SyncBatchNorm.convert_sync_batchnorm(nn.BatchNorm1d(2))).__name__
        'SyncBatchNorm'
        """
        result = module
        if isinstance(module, _BatchNorm):
            result = cls(module.num_features, module.eps, module.momentum, module.affine,
                         module.track_running_stats, process_group,
                         bias=module.bias is not None)  # fmt: skip
            if module.affine:
                result.weight, result.bias = module.weight, module.bias
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                setattr(result, name, getattr(module, name))
            result.training = module.training
        for name, child in module.named_children():
            result.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return result


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) · weight + bias over the last dimensions: (*) to (*).

    ``normalized_shape`` is a number or several: the sizes of those dimensions (RuntimeError for an
    input with others). Weight and bias of that shape are learnable and start at 1 and 0, unless
    ``elementwise_affine=False``. The same in training and evaluation. Dtypes: float types, the
    weight's (RuntimeError for another). Ba et al., "Layer normalization", 2016.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.LayerNorm(4)
    LayerNorm((4,), eps=1e-05, elementwise_affine=True, bias=True)
    >>> nn.LayerNorm(2)(torch.tensor([[1.0, 3.0], [0.0, 100.0]])).detach()
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])
    """

    def __init__(
        self, normalized_shape: Any, eps: float = 1e-5, elementwise_affine: bool = True,
        bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.normalized_shape = tuple(shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)
        if elementwise_affine:
            self.weight = Parameter(empty(self.normalized_shape, device=device, dtype=dtype))
            if bias:
                self.bias = Parameter(empty(self.normalized_shape, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Any) -> Any:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """x / sqrt(mean(x²) + eps) · weight over the last dimensions: (*) to (*).

    ``normalized_shape`` is a number or several: the sizes of those dimensions (RuntimeError for an
    input with others, ValueError for one of fewer dimensions). ``eps`` None stands for
    ``finfo(dtype).eps``. Weight is learnable and starts at 1, unless ``elementwise_affine=False``.
    Dtypes: float and complex types (NotImplementedError for others). Zhang and Sennrich, "Root mean
    square layer normalization", 2019.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.RMSNorm(2)(torch.tensor([[3.0, 3.0], [0.0, 2.0]])).detach()
    tensor([[1.0000, 1.0000],
            [0.0000, 1.4142]])
    """

    def __init__(
        self, normalized_shape: Any, eps: float | None = None, elementwise_affine: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        self.normalized_shape = tuple(shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.register_parameter("weight", None)
        if elementwise_affine:
            self.weight = Parameter(empty(self.normalized_shape, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, x: Any) -> Any:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(Module):
    """(x - mean) / sqrt(var + eps) · weight + bias, for groups of channels: (N, C, *) to the same.

    Statistics are those of one of ``num_groups`` groups of one sample. Weight and bias (C,) are
    learnable and start at 1 and 0, unless ``affine=False``. ValueError if the groups do not divide
    the channels and, in a call, for one value per group; RuntimeError for other channels. Dtypes:
    float types, the weight's (RuntimeError for another). Wu and He, "Group normalization", 2018.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.GroupNorm(2, 4)(torch.tensor([[1.0, 3.0, 0.0, 0.0]])).detach()
    tensor([[-1.0000,  1.0000,  0.0000,  0.0000]])
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(
                f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        made = {"device": device, "dtype": dtype}
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            param = Parameter(empty(num_channels, **made)) if wanted else None
            self.register_parameter(name, param)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale 1, shift 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Any) -> Any:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """x / (k + alpha / size · Σ x²)^beta over ``size`` neighbouring channels.

    (N, C, *) to the same. Channels outside count as zeros. ValueError for fewer than three
    dimensions. Dtypes: float types and int64 (NotImplementedError for others). Krizhevsky et al.,
    "ImageNet classification with deep convolutional neural networks", 2012.

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.LocalResponseNorm(2, alpha=2.0, beta=1.0)(torch.tensor([[[1.0], [2.0]]]))
    tensor([[[0.5000],
             [0.3333]]])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Any) -> Any:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(Module):
    """x / (k + alpha / size · Σ x²)^beta over ``size`` neighbouring channels.

    (N, C, H, W) to the same. The older form of `LocalResponseNorm`. The windows are those of
    PyTorch, where channel 0 never leaves a window again; the gradient is that of these windows.
    ValueError for other numbers of dimensions. Dtypes: float and complex types (RuntimeError for
    others).

    >>> import framework as torch
    >>> from framework import nn
    >>> nn.CrossMapLRN2d(1, alpha=1.0, beta=1.0)(torch.full((1, 1, 1, 1), 2.0))
    tensor([[[[0.4000]]]])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Any) -> Any:
        if input.ndim != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.ndim}D instead.")
        if input.dtype.category < dtypes.FLOAT:
            found = "Long" if input.dtype is dtypes.bool_ else "Float"
            raise RuntimeError(
                f"result type {found} can't be cast to the desired output type "
                f"{type_name(input._data)}"
            )
        windows = wrap(_windows(input.shape[1], self.size)).to(input.device, input.dtype)
        squares = (windows @ (input * input).flatten(2)).view(input.shape)
        return (squares * (self.alpha / self.size) + self.k) ** -self.beta * input

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _windows(channels: int, size: int) -> Any:
    """Row c says which channels' squares PyTorch's running sum holds at channel c."""
    reach = int((size - 1) / 2 + 1)
    inside = np.zeros(channels)
    inside[:reach] = 1
    rows = [inside.copy()]
    for c in range(1, channels):
        if c < channels - reach + 1:
            inside[c + reach - 1] += 1
        if c > reach:
            inside[c - reach] -= 1
        rows.append(inside.copy())
    return np.stack(rows)
