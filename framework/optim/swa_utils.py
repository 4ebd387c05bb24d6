"""Averages of a model's parameters over training: stochastic weight averaging, and exponential."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import Any

from framework import dtypes
from framework.core.modes import no_grad
from framework.nn.modules.module import Module
from framework.nn.modules.normalization import _BatchNorm
from framework.optim.optimizer import Optimizer
from framework.optim.schedule_base import LRScheduler, per_group
from framework.tensor import tensor

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
    "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip


def _checked_decay(decay: float) -> float:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )
    return decay


def get_ema_avg_fn(decay: float = 0.999) -> Callable[..., Any]:
    """decay * average + (1 - decay) * new, for `AveragedModel`'s ``avg_fn``.

    ValueError for a ``decay`` outside of [0, 1]. Tensors of one shape and float dtype.

    >>> import framework as torch
    >>> average = torch.optim.swa_utils.get_ema_avg_fn(decay=0.9)
    >>> average(torch.zeros(1), torch.ones(1), 5)
    tensor([0.1000])
    """
    _checked_decay(decay)

    @no_grad()
    def ema_update(ema_param: Any, current_param: Any, num_averaged: Any) -> Any:
        return decay * ema_param + (1 - decay) * current_param

    return ema_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[..., None]:
    """`get_ema_avg_fn` in place and for lists of tensors, for ``multi_avg_fn``.

    ValueError for a ``decay`` outside of [0, 1]. Tensors of float dtypes.

    >>> import framework as torch
    >>> average = torch.optim.swa_utils.get_ema_multi_avg_fn(0.75)
    >>> averages = [torch.zeros(1), torch.ones(1)]
    >>> average(averages, [torch.ones(1), torch.ones(1)], 5)
    >>> averages
    [tensor([0.2500]), tensor([1.])]
    """
    _checked_decay(decay)

    @no_grad()
    def ema_update(averages: Any, values: Any, _: Any) -> None:
        for average, value in zip(averages, values):
            if average.dtype.category >= dtypes.FLOAT:
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(average * decay + value * (1 - decay))

    return ema_update


def get_swa_avg_fn() -> Callable[..., Any]:
    """average + (new - average) / (count + 1): the mean (Izmailov et al. 2018), for ``avg_fn``.

    Tensors of one shape and float dtype; RuntimeError for shapes that do not broadcast.

    >>> import framework as torch
    >>> torch.optim.swa_utils.get_swa_avg_fn()(torch.zeros(1), torch.ones(1), 3)
    tensor([0.2500])
    """

    @no_grad()
    def swa_update(averaged_param: Any, current_param: Any, num_averaged: Any) -> Any:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_swa_multi_avg_fn() -> Callable[..., None]:
    """The plain mean in place and for lists of tensors, for ``multi_avg_fn``; see `get_swa_avg_fn`.

    Lists of tensors of the same shapes and float dtypes; RuntimeError for others.

    >>> import framework as torch
    >>> averages = [torch.zeros(1), torch.zeros(1)]
    >>> torch.optim.swa_utils.get_swa_multi_avg_fn()(averages, [torch.ones(1), torch.zeros(1)], 3)
    >>> averages
    [tensor([0.2500]), tensor([0.])]
    """

    @no_grad()
    def swa_update(averages: Any, values: Any, num_averaged: Any) -> None:
        weight = 1 / (int(num_averaged) + 1)
        for average, value in zip(averages, values):
            if average.dtype.category >= dtypes.FLOAT:
                average.lerp_(value, weight)
            else:
                average.copy_(average + (value - average) * weight)

    return swa_update


class AveragedModel(Module):
    """A copy of a model that holds averages of its parameters.

    Args:
        avg_fn: of (average, new value, count) for one parameter; by default the plain mean.
        multi_avg_fn: of lists of all of them, in place.
        use_buffers: average the buffers too, instead of copying them.

    Averages have the parameters' shapes and dtypes. AssertionError for both functions, RuntimeError
    when updated from a model of other shapes. Izmailov et al., "Averaging weights leads to wider
    optima and better generalization", 2018.

    >>> import framework as torch
    >>> from framework import nn
    >>> model = nn.Linear(1, 1, bias=False)
    >>> average = torch.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = nn.init.constant_(model.weight, value)
    ...     average.update_parameters(model)
    >>> average.module.weight.item()
    3.0
    """

    n_averaged: Any

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable[..., Any] | None = None,
        multi_avg_fn: Callable[..., None] | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=dtypes.int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take the model's present parameters into the averages.

        RuntimeError for parameters of other shapes.

        >>> import framework as torch
        >>> from framework import nn
        >>> model = nn.Linear(1, 1)
        >>> average = torch.optim.swa_utils.AveragedModel(model)
        >>> average.update_parameters(model); average.n_averaged
        tensor(1)
        """
        own: Any = list(self.module.parameters())
        new: Any = list(model.parameters())
        if self.use_buffers:
            own, new = [*own, *self.module.buffers()], [*new, *model.buffers()]
        pairs = [(a.detach(), b.detach().to(a.device)) for a, b in zip(own, new)]
        if int(self.n_averaged) == 0:
            for average, value in pairs:
                average.copy_(value)
        elif self.multi_avg_fn is not None:
            groups: dict[Any, Any] = {}
            for average, value in pairs:
                group = groups.setdefault((average.device, average.dtype), ([], []))
                group[0].append(average)
                group[1].append(value)
            for (device, _), (averages, values) in groups.items():
                self.multi_avg_fn(averages, values, self.n_averaged.to(device))
        else:
            update = self.avg_fn or get_swa_avg_fn()
            for average, value in pairs:
                average.copy_(update(average, value, self.n_averaged.to(average.device)))
        if not self.use_buffers:
            for average, value in zip(self.module.buffers(), model.buffers()):
                average.detach().copy_(value.detach().to(average.device))
        self.n_averaged += 1


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of all batch norms anew, as means over one epoch.

    Args:
        loader: gives batches, or lists and tuples whose first element is one.

    Batches have the shape and dtype that the model takes. TypeError for a loader that is not
    iterable, RuntimeError as the model raises it.

    >>> import framework as torch
    >>> model = torch.nn.BatchNorm1d(1)
    >>> batches = [torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0], [7.0]])]
    >>> torch.optim.swa_utils.update_bn(batches, model)
    >>> model.running_mean
    tensor([4.])
    """
    momenta: dict[Any, Any] = {}
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            momenta[module] = module.momentum
    if not momenta:
        return
    was_training = model.training
    model.train()
    for module in momenta:
        module.momentum = None
    for batch in loader:
        input: Any = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(input if device is None else input.to(device))
    for module, momentum in momenta.items():
        module.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From the present rate to ``swa_lr`` in ``anneal_epochs`` steps, and then constant.

    ValueError for another strategy, negative ``anneal_epochs`` and a list of rates of another
    length than the groups'.

    Args:
        anneal_strategy: "cos" or "linear".

    >>> import framework as torch
    >>> optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = torch.optim.swa_utils.SWALR(optimizer, 0.5, 2, "linear")
    >>> rates = schedule.get_last_lr()
    >>> for _ in range(3):
    ...     optimizer.step(); schedule.step(); rates = rates + schedule.get_last_lr()
    >>> rates
    [1.0, 0.75, 0.5, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        for lr, group in zip(per_group("swa_lr", optimizer, swa_lr), optimizer.param_groups):
            group["swa_lr"] = lr
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def anneal_func(self, t: float) -> float:
        """The share of ``swa_lr`` in the rate, of the share of the time."""
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list[float]:
        # PyTorch 2.13 counts `_step_count` here, not `last_epoch`, so that a schedule that goes on
        # from a checkpoint goes on; the rate of the start is worked out from the present one.
        self._outside_step()
        step, length = self._step_count - 1, max(1, self.anneal_epochs)
        if self.anneal_epochs == 0:
            step = max(1, step)
        before = self.anneal_func(max(0, min(1, (step - 1) / length)))
        now = self.anneal_func(max(0, min(1, step / length)))
        rates = []
        for group in self.optimizer.param_groups:
            lr, target = group["lr"], group["swa_lr"]
            start = target if before == 1 else (lr - before * target) / (1 - before)
            rates.append(target * now + start * (1 - now))
        return rates
