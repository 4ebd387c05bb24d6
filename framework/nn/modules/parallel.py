"""`DataParallel` for one device: the wrapper that many scripts expect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from framework.nn.modules.module import Module
from framework.ops.joining import cat
from framework.tensor import Tensor

__all__ = [
    "DataParallel", "DistributedDataParallel", "data_parallel", "gather", "parallel_apply",
    "replicate", "scatter", "scatter_kwargs",
]  # fmt: skip


class DataParallel(Module):
    """Calls ``module``, whose parameters get the prefix "module." in state dicts.

    PyTorch would share a batch between CUDA devices; with one device it does the same as here.
    Shapes, dtypes and errors are the module's; TypeError if it needs arguments and gets none.

    >>> from framework import nn
    >>> list(nn.DataParallel(nn.Linear(1, 1, bias=False)).state_dict())
    ['module.weight']
    """

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        if device_ids is not None and len(list(device_ids)) > 1:
            raise NotImplementedError(
                f"DataParallel: device_ids={list(device_ids)}: only one device is supported"
            )
        self.dim = dim
        self.module = module
        self.device_ids = [] if device_ids is None else list(device_ids)
        self.output_device = output_device

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(Module):
    """Several processes are not supported; the name is there for ``isinstance`` checks.

    Making one is a RuntimeError, whatever the shapes and dtypes.

    >>> from framework import nn
    >>> isinstance(nn.Linear(1, 1), nn.parallel.DistributedDataParallel)
    False
    """

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(
            "Default process group has not been initialized, please make sure to call "
            "init_process_group: framework.distributed is not available, train in one process"
        )


def _only(name: str, devices: Iterable[Any]) -> Any:
    """The one device of a list; more are refused."""
    given = list(devices)
    if len(given) != 1:
        raise NotImplementedError(f"{name}: devices {given}: only one device is supported")
    return given[0]


def _moved(value: Any, device: Any) -> Any:
    """Nested tensors on a device; anything else as it is."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return type(value)((key, _moved(item, device)) for key, item in value.items())
    if isinstance(value, tuple) and hasattr(value, "_make"):
        return type(value)(*(_moved(item, device) for item in value))
    if isinstance(value, (tuple, list)):
        return type(value)(_moved(item, device) for item in value)
    return value


def scatter(inputs: Any, target_gpus: Sequence[Any], dim: int = 0) -> list[Any]:
    """A batch in parts, one for each device: on one device it is the whole.

    Raises:
        NotImplementedError: there are several devices.

    Any shapes and dtypes.

    >>> import framework as torch
    >>> torch.nn.parallel.scatter((torch.ones(2), "text"), ["cpu"])
    [(tensor([1., 1.]), 'text')]
    """
    return [_moved(inputs, _only("scatter", target_gpus))]


def scatter_kwargs(
    inputs: Any, kwargs: dict[str, Any] | None, target_gpus: Sequence[Any], dim: int = 0
) -> tuple[tuple[Any, ...], tuple[dict[str, Any], ...]]:
    """`scatter` of positional arguments and of those with names.

    NotImplementedError where there are several devices.

    >>> from framework.nn.parallel.scatter_gather import scatter_kwargs
    >>> scatter_kwargs((1,), {"flag": True}, ["cpu"])
    (((1,),), ({'flag': True},))
    """
    device = _only("scatter_kwargs", target_gpus)
    return (_moved(tuple(inputs or ()), device),), (_moved(kwargs or {}, device),)


def gather(outputs: Sequence[Any], target_device: Any, dim: int = 0) -> Any:
    """The results of several calls joined along ``dim`` on one device, nested as each of them.

    Shapes differ in ``dim`` only (RuntimeError); dtypes promote.

    >>> import framework as torch
    >>> torch.nn.parallel.gather([torch.ones(1), torch.zeros(2)], "cpu")
    tensor([1., 0., 0.])
    """
    first = outputs[0]
    if isinstance(first, Tensor):
        parts = [part.to(target_device) for part in outputs]
        return cat([part.reshape(1) for part in parts] if first.ndim == 0 else parts, dim)
    if first is None:
        return None
    if isinstance(first, dict):
        if any(len(other) != len(first) for other in outputs):
            raise ValueError("All dicts must have the same number of keys")
        return type(first)(
            (key, gather([other[key] for other in outputs], target_device, dim)) for key in first
        )
    items = [gather(part, target_device, dim) for part in zip(*outputs, strict=True)]
    return type(first)(*items) if hasattr(first, "_make") else type(first)(items)


def replicate(network: Module, devices: Sequence[Any], detach: bool = False) -> list[Module]:
    """A copy of the module for each device: for one, the module itself, which has to be there.

    Raises:
        NotImplementedError: there are several devices, or ``detach`` is asked for.

    >>> from framework import nn
    >>> layer = nn.Linear(1, 1)
    >>> nn.parallel.replicate(layer, ["cpu"])[0] is layer
    True
    """
    _only("replicate", devices)
    if detach:
        raise NotImplementedError("replicate: detach=True is not supported, use copy.deepcopy")
    return [network]


def parallel_apply(
    modules: Sequence[Module], inputs: Sequence[Any], kwargs_tup: Any = None, devices: Any = None
) -> list[Any]:
    """The result of each module for its own input, one after the other.

    Raises:
        AssertionError: there are not as many inputs (or arguments, or devices) as modules.

    Shapes and dtypes are those that the modules take and give.

    >>> import framework as torch
    >>> torch.nn.parallel.parallel_apply([torch.nn.ReLU()], [torch.tensor([-1.0, 1.0])])
    [tensor([0., 1.])]
    """
    for name, given in ("inputs", inputs), ("kwargs_tup", kwargs_tup), ("devices", devices):
        if given is not None and len(given) != len(modules):
            raise AssertionError(
                f"The number of modules {len(modules)} is not equal to the number of {name} "
                f"{len(given)}"
            )
    options = kwargs_tup if kwargs_tup is not None else [{}] * len(modules)
    given_inputs = [x if isinstance(x, (list, tuple)) else (x,) for x in inputs]
    return [module(*x, **more) for module, x, more in zip(modules, given_inputs, options)]


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Any = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """``module(*inputs)``: with one device there is nothing to be shared.

    Raises:
        NotImplementedError: there are several devices.

    Shapes and dtypes are those that the module takes and gives.

    >>> import framework as torch
    >>> torch.nn.parallel.data_parallel(torch.nn.ReLU(), torch.tensor([-1.0, 1.0]))
    tensor([0., 1.])
    """
    if device_ids is not None:
        _only("data_parallel", device_ids)
    given = inputs if isinstance(inputs, tuple) else () if inputs is None else (inputs,)
    result = module(*given, **(module_kwargs or {}))
    return result if output_device is None else _moved(result, output_device)
