"""Forward-mode differentiation with dual tensors, by hand: a value and its tangent.

>>> import framework as torch
>>> from framework.autograd import forward_ad
>>> with forward_ad.dual_level():
...     x = forward_ad.make_dual(torch.tensor(3.0), torch.tensor(1.0))
...     forward_ad.unpack_dual(x**2).tangent
tensor(6.)
"""

from __future__ import annotations

from typing import Any, NamedTuple

from framework.autograd import levels
from framework.core.modes import modes
from framework.tensor import Tensor

__all__ = [
    "UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual",
    "unpack_dual",
]  # fmt: skip


class UnpackedDualTensor(NamedTuple):
    """What `unpack_dual` returns; ``tangent`` is None for a tensor that is not dual.

    >>> import framework as torch
    >>> primal, tangent = torch.autograd.forward_ad.unpack_dual(torch.ones(2))
    >>> primal, tangent
    (tensor([1., 1.]), None)
    """

    primal: Tensor
    tangent: Tensor | None


class _Dual(levels.Level):
    """An open dual level: the tangents of its inputs, and those found so far."""

    __slots__ = ("before", "known", "layer", "seeds")

    def __init__(self) -> None:
        super().__init__()
        self.seeds: dict[Any, Any] = {}
        self.known: dict[Any, Any] = {}
        self.before = modes.grad
        self.layer = levels.Forward(self.seeds)


_open: list[_Dual] = []


def enter_dual_level() -> int:
    """Open a level; returns its number.

    The ops record their history inside of it, even within `no_grad` around it.

    Raises:
        RuntimeError: there is one already, as in PyTorch.

    >>> from framework.autograd import forward_ad
    >>> forward_ad.enter_dual_level()
    0
    >>> forward_ad.exit_dual_level()
    """
    if _open:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    _open.append(_Dual())
    _open[-1].layer.__enter__()
    modes.grad = True
    modes.dual = True
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """Close the level: its tensors have no tangents any more.

    RuntimeError if none is open.

    >>> import framework as torch
    >>> from framework.autograd import forward_ad
    >>> _ = forward_ad.enter_dual_level()
    >>> x = forward_ad.make_dual(torch.ones(1), torch.ones(1))
    >>> forward_ad.exit_dual_level()
    >>> forward_ad.unpack_dual(x).tangent is None
    True
    """
    if not _open:
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is "
            "not supported."
        )
    dual = _open.pop()
    dual.open = False
    dual.layer.__exit__()
    dual.seeds, dual.known = {}, {}
    modes.grad = dual.before
    modes.dual = False


class dual_level:
    """`enter_dual_level` and `exit_dual_level` as a context manager.

    >>> import framework as torch
    >>> from framework.autograd import forward_ad
    >>> with forward_ad.dual_level():
    ...     x = forward_ad.make_dual(torch.tensor(2.0), torch.tensor(1.0))
    ...     forward_ad.unpack_dual(1 / x)
    UnpackedDualTensor(primal=tensor(0.5000), tangent=tensor(-0.2500))
    """

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *exc: object) -> None:
        exit_dual_level()


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """``tensor`` with a ``tangent`` of the same shape and dtype, which ops pass on.

    Raises:
        RuntimeError: no level is open, or the tangent has another shape.
        ValueError: a dtype that cannot be differentiated.

    >>> import framework as torch
    >>> from framework.autograd import forward_ad
    >>> with forward_ad.dual_level():
    ...     x = forward_ad.make_dual(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 0.0]))
    ...     forward_ad.unpack_dual(x.prod()).tangent
    tensor(3.)
    """
    if not _open:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
            "enter_dual_level() first."
        )
    for what, t in (("primal", tensor), ("tangent", tangent)):
        if not (t.is_floating_point() or t.is_complex()):
            raise ValueError(f"Expected {what} to be floating point or complex, but got: {t.dtype}")
    if tensor.shape != tangent.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original "
            f"Tensor, this is not supported. Tensor is of size {list(tensor.shape)} while the given"
            f" forward gradient is of size {list(tangent.shape)}."
        )
    dual = _open[-1]
    made = levels.alias(tensor, dual)
    dual.seeds[made._edge[0]] = tangent
    return made


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The value of a tensor, and its tangent if it was computed from a dual one.

    Both have the tensor's shape and dtype. It never raises: what is not dual has no tangent.

    >>> import framework as torch
    >>> from framework.autograd import forward_ad
    >>> with forward_ad.dual_level():
    ...     x = forward_ad.make_dual(torch.tensor(0.0), torch.tensor(3.0))
    ...     primal, tangent = forward_ad.unpack_dual(x.exp())
    >>> primal, tangent
    (tensor(1.), tensor(3.))
    """
    if not _open:
        return UnpackedDualTensor(tensor, None)
    dual = _open[-1]
    found = levels.tangents([tensor], dual.seeds, dual, True, dual.known)[0]
    if found is None:
        return UnpackedDualTensor(tensor, None)
    outside = levels.depends([tensor, *dual.seeds.values()], dual)
    if not outside:
        return UnpackedDualTensor(levels.shallow(tensor), levels.shallow(found))
    return UnpackedDualTensor(levels.alias(tensor, levels.Level(), dual), found)
