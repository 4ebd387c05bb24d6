"""`autocast`: run the ops that gain from it in a narrower float type, and the delicate ones wide.

The lists are PyTorch's, by the names that the ops have here. An op in neither list runs in the
types that it is given.
"""

from __future__ import annotations

import functools
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from framework import dtypes
from framework.cautions import caution
from framework.core.dispatch import apply
from framework.core.interpose import Layer, stack
from framework.core.modes import enable_grad
from framework.device import bfloat16_problem, cuda_problem
from framework.tensor import Tensor

__all__ = [
    "autocast", "autocast_decorator", "clear_autocast_cache", "custom_bwd", "custom_fwd",
    "get_autocast_cpu_dtype", "get_autocast_dtype", "get_autocast_gpu_dtype",
    "is_autocast_available", "is_autocast_cache_enabled", "is_autocast_cpu_enabled",
    "is_autocast_enabled", "set_autocast_cache_enabled", "set_autocast_dtype",
    "set_autocast_enabled",
]  # fmt: skip

_MATRIX = (
    "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d matmul mm bmm mv "
    "linear addmm addbmm baddbmm prelu scaled_dot_product_attention"
)

NARROW = {
    "cpu": frozenset(f"{_MATRIX} vecdot linalg_vecdot".split()),
    "cuda": frozenset(
        f"{_MATRIX} addmv addr chain_matmul multi_dot einsum rnn_tanh_cell rnn_relu_cell lstm_cell "
        "gru_cell".split()
    ),
}
WIDE = {
    "cpu": frozenset(
        "avg_pool3d binary_cross_entropy bce grid_sampler_2d grid_sampler_3d polar prod quantile "
        "nanquantile stft cdist trace view_as_complex cholesky cholesky_inverse cholesky_solve inv "
        "inverse lu_solve orgqr ormqr pinverse pinv max_pool3d max_unpool2d max_unpool3d "
        "adaptive_avg_pool3d "
        "mse_loss cosine_embedding_loss nll_loss hinge_embedding_loss poisson_nll_loss "
        "smooth_l1_loss cross_entropy l1_loss huber_loss margin_ranking_loss soft_margin_loss "
        "triplet_margin_loss multi_margin_loss multilabel_margin_loss ctc_loss kl_div "
        "binary_cross_entropy_with_logits fft ifft fft2 ifft2 fftn ifftn rfft irfft rfft2 irfft2 "
        "rfftn irfftn hfft ihfft cond matrix_rank solve svd svdvals eigvals eigvalsh inv_ex "
        "householder_product tensorinv tensorsolve eig eigh lstsq qr geqrf norm2".split()
    ),
    "cuda": frozenset(
        "pow acos asin cosh erfinv exp expm1 log log10 log2 log1p reciprocal rsqrt sinh tan "
        "softplus layer_norm group_norm norm cumprod cumsum prod sum softmax log_softmax softmin "
        "cosine_embedding_loss nll_loss hinge_embedding_loss kl_div l1_loss smooth_l1_loss "
        "huber_loss mse_loss margin_ranking_loss multilabel_margin_loss soft_margin_loss "
        "triplet_margin_loss multi_margin_loss binary_cross_entropy_with_logits dist pdist cdist "
        "renorm logsumexp upsample_nearest1d upsample_nearest2d upsample_nearest3d "
        "upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d "
        "cosine_similarity poisson_nll_loss cross_entropy normalize".split()
    ),
}
WIDEST = {
    "cpu": frozenset("stack cat index_copy".split()),
    "cuda": frozenset(
        "addcdiv addcmul atan2 bilinear cross dot vdot grid_sample index_put tensordot scatter_add "
        "cat stack".split()
    ),
}


class _State(threading.local):
    def __init__(self) -> None:
        self.enabled = {"cpu": False, "cuda": False}
        self.dtypes = {"cpu": dtypes.bfloat16, "cuda": dtypes.float16}
        self.cache = True
        self.nesting = 0
        self.casts: dict[tuple[int, Any], tuple[Any, Tensor]] = {}


_state = _State()


def _device_type(device_type: Any) -> str:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if device_type not in _state.enabled:
        raise RuntimeError(
            f"Expected one of cpu, cuda device type at start of device string: {device_type}"
        )
    return device_type


def is_autocast_available(device_type: str) -> bool:
    """Whether `autocast` knows this kind of device: "cpu" and "cuda", if there is one or not.

    It never raises.

    >>> import framework as torch
    >>> torch.amp.is_autocast_available("cpu"), torch.amp.is_autocast_available("abacus")
    (True, False)
    """
    return device_type in _state.enabled


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether ops on this kind of device, "cpu" or "cuda", are cast in this thread.

    RuntimeError for another kind of device.

    >>> import framework as torch
    >>> with torch.autocast("cpu"):
    ...     torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda")
    (True, False)
    """
    return _state.enabled[_device_type(device_type)]


def set_autocast_enabled(device_type: Any, enabled: bool | None = None) -> None:
    """Switch casting for a kind of device, "cpu" or "cuda" (the default), within an `autocast`.

    Outside of one nothing is cast. ``set_autocast_enabled(False)`` is an older form for "cuda".

    RuntimeError for another kind of device.

    >>> import framework as torch
    >>> with torch.autocast("cpu"):
    ...     torch.set_autocast_enabled("cpu", False)
    ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    torch.float32
    """
    if enabled is None:
        device_type, enabled = "cuda", device_type
    _state.enabled[_device_type(device_type)] = bool(enabled)


def get_autocast_dtype(device_type: str) -> Any:
    """The type that `autocast` casts to on this kind of device, "cpu" or "cuda".

    RuntimeError for another kind, ValueError for what is no string.

    >>> import framework as torch
    >>> torch.get_autocast_dtype("cpu"), torch.get_autocast_dtype("cuda")
    (torch.bfloat16, torch.float16)
    """
    return _state.dtypes[_device_type(device_type)]


def set_autocast_dtype(device_type: str, dtype: Any) -> None:
    """Choose the narrow type for a kind of device, "cpu" or "cuda".

    Within an `autocast` until its end.

    RuntimeError for another kind of device, TypeError for what is no dtype.

    >>> import framework as torch
    >>> with torch.autocast("cpu"):
    ...     torch.set_autocast_dtype("cpu", torch.float16)
    ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    torch.float16
    """
    _state.dtypes[_device_type(device_type)] = dtypes.to_dtype(dtype)


def _old(name: str, new: str) -> None:
    caution(f"torch.{name} is deprecated. Please use torch.{new} instead.", DeprecationWarning)


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """Switch casting on the CPU; older form of `set_autocast_enabled`.

    A value counts by its truth; it never raises.

    >>> import framework as torch
    >>> with torch.autocast("cpu"):
    ...     torch.set_autocast_cpu_enabled(False)
    ...     torch.is_autocast_enabled("cpu")
    False
    """
    _old("set_autocast_cpu_enabled(enabled)", "set_autocast_enabled('cpu', enabled)")
    set_autocast_enabled("cpu", enabled)


def set_autocast_cpu_dtype(dtype: Any) -> None:
    """Choose the narrow type of "cpu"; older form of `set_autocast_dtype`.

    TypeError for what is no dtype.

    >>> import framework as torch
    >>> torch.set_autocast_cpu_dtype(torch.bfloat16)
    """
    _old("set_autocast_cpu_dtype(dtype)", "set_autocast_dtype('cpu', dtype)")
    set_autocast_dtype("cpu", dtype)


def set_autocast_gpu_dtype(dtype: Any) -> None:
    """Choose the narrow type of "cuda"; older form of `set_autocast_dtype`.

    TypeError for what is no dtype.

    >>> import framework as torch
    >>> torch.set_autocast_gpu_dtype(torch.float16)
    """
    _old("set_autocast_gpu_dtype(dtype)", "set_autocast_dtype('cuda', dtype)")
    set_autocast_dtype("cuda", dtype)


def is_autocast_cpu_enabled() -> bool:
    """Whether ops on the CPU are cast; older form of `is_autocast_enabled`.

    >>> import framework as torch
    >>> with torch.autocast("cpu"):
    ...     torch.is_autocast_cpu_enabled()
    True
    """
    _old("is_autocast_cpu_enabled()", "is_autocast_enabled('cpu')")
    return _state.enabled["cpu"]


def get_autocast_cpu_dtype() -> Any:
    """The narrow type of "cpu"; older form of `get_autocast_dtype`.

    >>> import framework as torch
    >>> torch.get_autocast_cpu_dtype()
    torch.bfloat16
    """
    _old("get_autocast_cpu_dtype()", "get_autocast_dtype('cpu')")
    return _state.dtypes["cpu"]


def get_autocast_gpu_dtype() -> Any:
    """The narrow type of "cuda"; older form of `get_autocast_dtype`.

    >>> import framework as torch
    >>> torch.get_autocast_gpu_dtype()
    torch.float16
    """
    _old("get_autocast_gpu_dtype()", "get_autocast_dtype('cuda')")
    return _state.dtypes["cuda"]


def is_autocast_cache_enabled() -> bool:
    """Whether an `autocast` keeps the casts of leaves for their next use; True at first.

    >>> import framework as torch
    >>> with torch.autocast("cpu", cache_enabled=False):
    ...     torch.is_autocast_cache_enabled()
    False
    """
    return _state.cache


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Whether to keep the casts of leaves for their next use; `autocast` has an argument for it.

    A value counts by its truth; it never raises.

    >>> import framework as torch
    >>> before = torch.is_autocast_cache_enabled()
    >>> torch.set_autocast_cache_enabled(False)
    >>> torch.is_autocast_cache_enabled()
    False
    >>> torch.set_autocast_cache_enabled(before)
    """
    _state.cache = bool(enabled)


def clear_autocast_cache() -> None:
    """Forget the casts of leaves that the innermost `autocast` keeps; its end does so too.

    Needed where a leaf was written to within it, since the cast would have the old numbers.

    >>> import framework as torch
    >>> torch.clear_autocast_cache()
    """
    _state.casts.clear()


# -- the layer --------------------------------------------------------------------------------


class _Autocast(Layer):
    """Casts the arguments of listed ops; only the innermost one of the thread does."""

    def op(self, op: Any, args: tuple[Any, ...], meta: dict[str, Any]) -> Any:
        layers = stack.layers
        stack.layers = tuple([x for x in layers if not isinstance(x, _Autocast)])
        try:
            return apply(op, *_cast(op.name, args), **meta)
        finally:
            stack.layers = layers

    def composite(
        self, name: str, args: tuple[Any, ...], meta: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        names, values = list(meta), tuple(meta.values())
        both = _cast(name, (*args, *values))
        return both[: len(args)], dict(zip(names, both[len(args) :]))


def _cast(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    where = next((a._device.type for a in args if isinstance(a, Tensor)), None)
    if where is None:
        first = next((a for a in args if isinstance(a, (list, tuple)) and a), ())
        where = next((a._device.type for a in first if isinstance(a, Tensor)), None)
    if where is None or not _state.enabled.get(where):
        return args
    if name in NARROW[where]:
        target = _state.dtypes[where]
    elif name in WIDE[where]:
        target = dtypes.float32
    elif name in WIDEST[where]:
        target = _widest(args)
    elif where == "cuda" and name in ("binary_cross_entropy", "bce"):
        raise RuntimeError(
            "torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to "
            "autocast.\n"
            "Many models use a sigmoid layer right before the binary cross entropy layer.\n"
            "In this case, combine the two layers using "
            "torch.nn.functional.binary_cross_entropy_with_logits\nor torch.nn.BCEWithLogitsLoss.  "
            "binary_cross_entropy_with_logits and BCEWithLogits are\nsafe to autocast."
        )
    else:
        return args
    return tuple([_one(a, target) for a in args])


def _widest(args: tuple[Any, ...]) -> Any:
    found = dtypes.float16
    for a in args:
        for x in a if isinstance(a, (list, tuple)) else (a,):
            if isinstance(x, Tensor) and x.dtype.category == dtypes.FLOAT:
                found = x.dtype if found is dtypes.float16 else dtypes.promote_types(found, x.dtype)
    return found


def _one(value: Any, target: Any) -> Any:
    if isinstance(value, (list, tuple)) and any(isinstance(x, Tensor) for x in value):
        return type(value)([_one(x, target) for x in value])
    if not isinstance(value, Tensor):
        return value
    kind = value.dtype
    if kind is target or kind.category != dtypes.FLOAT or kind is dtypes.float64:
        return value
    keep = (
        _state.cache and kind is dtypes.float32 and target is not dtypes.float32
        and value._rg and value._edge is None and value._base is None
    )  # fmt: skip
    if not keep:
        return value.to(target)
    key = (id(value), target)
    known = _state.casts.get(key)
    if known is not None and known[0]() is value:
        return known[1]
    with enable_grad():  # the cast may be used again where grad mode is on
        made = value.to(target)
    _state.casts[key] = (weakref.ref(value), made)
    return made


# -- the context ------------------------------------------------------------------------------


class autocast:
    """Run the ops within it in mixed precision, as a context manager or a decorator.

    Args:
        device_type: "cpu" or "cuda": of the tensors whose ops are cast.
        dtype: the narrow type; bfloat16 on the CPU and float16 on CUDA devices unless given.
        enabled: False switches casting off within an outer one.
        cache_enabled: keep the casts of leaves that want gradients until the outermost one ends.

    Shapes stay; results of cast ops are of the narrow dtype, float32 of those that need it.
    RuntimeError for another kind of device, ValueError for what is no string. A warning, and
    nothing is cast, where there is no CUDA device or the type is not narrow. RuntimeError for
    bfloat16 where CuPy has none (before 14).

    >>> import framework as torch
    >>> with torch.autocast("cpu"):
    ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    torch.bfloat16
    """

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if not is_autocast_available(device_type):
            raise RuntimeError(
                f"User specified an unsupported autocast device_type '{device_type}'"
            )
        self.device = device_type
        self.fast_dtype = (
            get_autocast_dtype(device_type) if dtype is None else dtypes.to_dtype(dtype)
        )
        if device_type == "cuda" and enabled and cuda_problem():
            warnings.warn(
                "User provided device_type of 'cuda', but CUDA is not available. Disabling",
                stacklevel=2,
            )
            enabled = False
        if enabled and self.fast_dtype not in (dtypes.bfloat16, dtypes.float16):
            name = device_type.upper()
            warnings.warn(
                f"In {name} autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"{name} Autocast only supports dtype of torch.bfloat16, torch.float16 currently.",
                stacklevel=2,
            )
            enabled = False
        brief = enabled and device_type == "cuda" and self.fast_dtype is dtypes.bfloat16
        if brief and (problem := bfloat16_problem()):
            raise RuntimeError(
                "Current CUDA Device does not support bfloat16. Please switch dtype to float16. "
                f"({problem})"
            )
        self._enabled = bool(enabled)
        self._cache_enabled = _state.cache if cache_enabled is None else cache_enabled
        self._befores: list[Any] = []

    def __enter__(self) -> autocast:
        s = _state
        before = (s.enabled[self.device], s.dtypes[self.device], s.cache)
        layer = _Autocast() if self._enabled or _in_use() else None
        if layer is not None:
            layer.__enter__()
        self._befores.append((*before, layer))
        s.enabled[self.device], s.dtypes[self.device] = self._enabled, self.fast_dtype
        s.cache = self._cache_enabled
        s.nesting += 1
        return self

    def __exit__(self, *exc: object) -> None:
        s = _state
        s.nesting -= 1
        if not s.nesting:
            s.casts.clear()
        enabled, dtype, cache, layer = self._befores.pop()
        s.enabled[self.device], s.dtypes[self.device], s.cache = enabled, dtype, cache
        if layer is not None:
            layer.__exit__(*exc)

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return autocast_decorator(self, func)


def _in_use() -> bool:
    return any(isinstance(layer, _Autocast) for layer in stack.layers)


def autocast_decorator(instance: autocast, func: Callable[..., Any]) -> Callable[..., Any]:
    """``func``, run within an `autocast`: what ``@autocast(...)`` does.

    It never raises itself; what it makes raises what ``func`` does.

    >>> import framework as torch
    >>> from framework.amp.autocast_mode import autocast_decorator
    >>> half = autocast_decorator(torch.autocast("cpu"), torch.matmul)
    >>> half(torch.ones(2, 2), torch.ones(2)).dtype
    torch.bfloat16
    """

    @functools.wraps(func)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        with instance:
            return func(*args, **kwargs)

    return decorated


def captured() -> Any:
    """What `entered` needs to cast again as is done now."""
    return dict(_state.enabled), dict(_state.dtypes), _state.cache


@contextmanager
def entered(state: Any) -> Iterator[None]:
    """Cast as when ``state`` was `captured`."""
    enabled, kinds, cache = state
    if not any(enabled.values()) and not _in_use():
        yield
        return
    with (
        autocast("cpu", kinds["cpu"], enabled["cpu"], cache),
        _quiet_cuda(kinds["cuda"], enabled["cuda"], cache),
    ):
        yield


def _quiet_cuda(dtype: Any, enabled: bool, cache: bool) -> autocast:
    return autocast("cuda", dtype, enabled, cache)


# -- custom functions -------------------------------------------------------------------------


def custom_fwd(
    fwd: Any = None, *, device_type: str = "cuda", cast_inputs: Any = None
) -> Callable[..., Any]:
    """For ``forward`` of a custom `autograd.Function`: how it runs within `autocast`.

    Args:
        device_type: the kind of device whose `autocast` it is about.
        cast_inputs: cast floating inputs on the device (but for float64) to this type and switch
            casting off inside; without, ``forward`` runs as it is called.

    ValueError for a device type that is no string. ``backward`` needs `custom_bwd`.

    >>> import framework as torch
    >>> class Square(torch.autograd.Function):
    ...     @staticmethod
    ...     @torch.amp.custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    ...     def forward(ctx, x):
    ...         return x * x
    >>> with torch.autocast("cpu"):
    ...     Square.apply(torch.ones(2, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        ctx: Any = args[0]
        ctx._dtype = get_autocast_dtype(device_type)
        if cast_inputs is None:
            ctx._fwd_used_autocast = is_autocast_enabled(device_type)
            return fwd(*args, **kwargs)
        on = is_autocast_enabled(device_type)
        ctx._fwd_used_autocast = False
        if not on:
            return fwd(*args, **kwargs)
        with autocast(device_type=device_type, enabled=False):
            return fwd(
                *[_to_type(a, device_type, cast_inputs) for a in args],
                **{k: _to_type(v, device_type, cast_inputs) for k, v in kwargs.items()},
            )

    return decorated


def _to_type(value: Any, device_type: str, dtype: Any) -> Any:
    if isinstance(value, Tensor):
        eligible = (
            value.is_floating_point() and value.device.type == device_type
            and value.dtype is not dtypes.float64
        )  # fmt: skip
        return value.to(dtype) if eligible else value
    if isinstance(value, dict):
        return {k: _to_type(v, device_type, dtype) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_to_type(v, device_type, dtype) for v in value])
    return value


def custom_bwd(bwd: Any = None, *, device_type: str = "cuda") -> Callable[..., Any]:
    """For ``backward`` of a custom `autograd.Function`: cast as its forward was.

    For one whose ``forward`` has `custom_fwd`, which notes how that was. ValueError for a device
    type that is no string.

    >>> import framework as torch
    >>> class Product(torch.autograd.Function):
    ...     @staticmethod
    ...     @torch.amp.custom_fwd(device_type="cpu")
    ...     def forward(ctx, a, b):
    ...         ctx.save_for_backward(b)
    ...         return a @ b
    ...     @staticmethod
    ...     @torch.amp.custom_bwd(device_type="cpu")
    ...     def backward(ctx, g):
    ...         return g @ ctx.saved_tensors[0].mT, None
    >>> a = torch.ones(2, 2, requires_grad=True)
    >>> with torch.autocast("cpu"):
    ...     y = Product.apply(a, torch.ones(2, 2))
    >>> y.sum().backward()
    >>> y.dtype, a.grad.dtype
    (torch.bfloat16, torch.float32)
    """
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        ctx: Any = args[0]
        with autocast(
            device_type=device_type, enabled=ctx._fwd_used_autocast, dtype=ctx._dtype
        ):  # fmt: skip
            return bwd(*args, **kwargs)

    return decorated
