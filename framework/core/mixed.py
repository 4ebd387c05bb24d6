"""What PyTorch says of tensors on several devices, by the op that meets them.

Elementwise ops name two of the devices. Others check their tensors one by one, in the order of
PyTorch's function, and name the first that is elsewhere (c10's ``check_and_update_common_device``,
called from code that its build generates for each function); convolutions compare the names of the
types. Where the function that PyTorch would come to depends on more than shapes, the words are
those of the elementwise ops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.device import CPU, META

__all__ = ["elsewhere", "refusal"]

Named = tuple[str, list[tuple[str, Any]]]  # PyTorch's function, and its tensors by name, in order


def elsewhere(function: str, named: list[tuple[str, Any]]) -> str:
    """The sentence about the first tensor that is not where those before it are; "" if all are."""
    common = None
    for name, tensor in named:
        place = getattr(tensor, "_device", None)
        if place is not None and common is not None and place is not common:
            return (
                f"Expected all tensors to be on the same device, but got {name} is on {place}, "
                f"different from other tensors on {common} (when checking argument in method "
                f"wrapper_CUDA_{function})"
            )
        common = place or common
    return ""


def _by_name(function: str, names: str) -> Callable[..., Named]:
    """Arguments in the order of the op's, by the names that PyTorch has for them."""
    return lambda *args: (function, list(zip(names.split(), args)))


def _matmul(a: Any, b: Any) -> Named | None:
    pair = [("self", a), ("mat2", b)]
    if a.ndim == b.ndim == 1:
        return "_dot", [("self", a), ("tensor", b)]
    if b.ndim == 2 and (a.ndim < 3 or a.is_contiguous()):
        return "mm", pair
    return ("bmm", pair) if a.ndim > 2 and b.ndim > 2 else None


def _linear(x: Any, weight: Any, bias: Any) -> Named | None:
    if bias is None:
        return _matmul(x, weight) if weight.ndim == 2 else None
    if x.ndim == 1 or weight.ndim != 2 or not x.is_contiguous():
        return None
    return "addmm", [("self", bias), ("mat1", x), ("mat2", weight)]


def _nll_loss(x: Any, target: Any, weight: Any) -> Named:
    function = "nll_loss_forward" if x.ndim < 3 else "_nll_loss2d_forward"
    return function, [("self", x), ("target", target), ("weight", weight)]


_CHECKED: dict[str, Callable[..., Named | None]] = {
    "matmul": _matmul,
    "linear": _linear,
    "addmm": _by_name("addmm", "self mat1 mat2"),
    "baddbmm": _by_name("baddbmm", "self batch1 batch2"),
    "embedding": _by_name("_index_select", "self index"),
    "index_select": _by_name("_index_select", "self index"),
    "gather": _by_name("gather", "self index"),
    "scatter_add": _by_name("scatter_add", "self index src"),
    "cat": lambda *tensors: ("cat", [("tensors", t) for t in tensors]),
    "layer_norm": _by_name("_native_layer_norm", "input weight bias"),
    "nll_loss": _nll_loss,
}


def _convolution(x: Any, weight: Any, bias: Any) -> str:
    from framework.legacy import type_name

    for name, other in (("weight", weight), ("bias", bias)):
        if other is not None and other.is_cuda != x.is_cuda:
            said = (
                f"Input type ({type_name(x)}) and {name} type ({type_name(other)}) should be the "
                "same"
            )
            by_mkldnn = name == "weight" and type_name(x) == "torch.FloatTensor"
            tail = " or input should be a MKLDNN tensor and weight is a dense tensor"
            return said + tail * by_mkldnn
    return ""


def refusal(name: str, args: tuple[Any, ...], places: list[Any]) -> str:
    """The words for an op whose tensors are on the devices ``places``, in order of appearance."""
    if META in places:
        return (
            f"Tensor on device {places[1]} is not on the expected device {places[0]}! (when "
            f"running {name})"
        )
    if name.startswith("conv") and len(args) == 3 and (said := _convolution(*args)):
        return said
    if name in _CHECKED and (found := _CHECKED[name](*args)) and (said := elsewhere(*found)):
        return said
    places = sorted(places, key=lambda d: d is CPU)  # as in PyTorch: the first that is not the CPU
    return (
        f"Expected all tensors to be on the same device, but found at least two devices, "
        f"{places[0]} and {places[1]}! (when running {name})"
    )
