"""`flop_counter`: how many floating point operations a program takes, by module and op.

Counted are products of matrices, convolutions and attention, forward and backward, by PyTorch's
formulas: a multiplication and an addition are two operations. Ops have the names that PyTorch has
for them inside. Products with vectors have no formula there, nor here. On the CPU PyTorch computes
attention and recurrent layers in one op each, which has no formula and counts nothing; here the
products that they are made of are counted, as PyTorch does on a GPU.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from framework.core.dispatch import apply
from framework.core.interpose import Layer
from framework.core.modes import modes
from framework.ops import aten
from framework.tensor import Tensor
from framework.utils._pytree import tree_leaves, tree_map
from framework.utils.module_tracker import ModuleTracker

__all__ = ["FlopCounterMode", "register_flop_formula"]

Shape = Sequence[int]

#: Packet of ``torch.ops.aten`` -> its formula.
flop_registry: dict[Any, Callable[..., int]] = {}


def _of_shapes(formula: Callable[..., int]) -> Callable[..., int]:
    """The formula for tensors, which are given to it as their shapes."""

    @functools.wraps(formula)
    def count(*args: Any, out_val: Any = None, **options: Any) -> int:
        args, options, out_shape = tree_map(
            lambda v: v.shape if isinstance(v, Tensor) else v, (args, options, out_val)
        )
        return formula(*args, out_shape=out_shape, **options)

    return count


def register_flop_formula(targets: Any, get_raw: bool = False) -> Callable[..., Any]:
    """A decorator: count an op (or several) of ``torch.ops.aten`` by a formula of the shapes.

    ValueError for what is no op, RuntimeError for one that has a formula.

    Args:
        get_raw: the formula gets tensors, and the result as ``out_val``; else it gets shapes, and
            ``out_shape``.

    >>> import framework as torch
    >>> from framework.utils.flop_counter import FlopCounterMode, flop_registry
    >>> from framework.utils.flop_counter import register_flop_formula
    >>> @register_flop_formula(torch.ops.aten.cos)
    ... def cosines(shape, out_shape=None):
    ...     return shape.numel()
    >>> with FlopCounterMode(display=False) as counter:
    ...     _ = torch.ones(3).cos()
    >>> counter.get_total_flops()
    3
    >>> del flop_registry[torch.ops.aten.cos]
    """

    def register(formula: Callable[..., int]) -> Callable[..., int]:
        count = formula if get_raw else _of_shapes(formula)
        for target in tree_leaves(targets):
            if not isinstance(target, aten.OpOverloadPacket):
                raise ValueError(
                    "register_flop_formula(targets): expected each target to be OpOverloadPacket "
                    f"(i.e. torch.ops.aten.foo), got {target} which is of type {type(target)}"
                )
            if target in flop_registry:
                raise RuntimeError(f"duplicate registrations for {target}")
            flop_registry[target] = count
        return count

    return register


# -- formulas --------------------------------------------------------------------------------------


@register_flop_formula(aten.packet("mm"))
def mm_flop(a_shape: Shape, b_shape: Shape, *rest: Any, out_shape: Any = None, **more: Any) -> int:
    """Of a product of matrices, one of which may be a batch: 2 m n k."""
    return 2 * math.prod(a_shape[:-1]) * math.prod(b_shape)


@register_flop_formula(aten.packet("addmm"))
def addmm_flop(
    self_shape: Shape, a_shape: Shape, b_shape: Shape, *rest: Any, out_shape: Any = None,
    **more: Any,
) -> int:  # fmt: skip
    """Of a product of matrices that is added to something."""
    return mm_flop(a_shape, b_shape)


@register_flop_formula(aten.packet("bmm"))
def bmm_flop(a_shape: Shape, b_shape: Shape, *rest: Any, out_shape: Any = None, **more: Any) -> int:
    """Of products of batches of matrices: 2 b m n k."""
    *batch_a, m, k = a_shape
    *batch_b, _, n = b_shape
    return 2 * math.prod(np.broadcast_shapes(tuple(batch_a), tuple(batch_b))) * m * n * k


@register_flop_formula(aten.packet("baddbmm"))
def baddbmm_flop(
    self_shape: Shape, a_shape: Shape, b_shape: Shape, *rest: Any, out_shape: Any = None,
    **more: Any,
) -> int:  # fmt: skip
    """Of products of batches of matrices that are added to something."""
    return bmm_flop(a_shape, b_shape)


def conv_flop_count(
    x_shape: Shape, w_shape: Shape, out_shape: Shape, transposed: bool = False
) -> int:
    """Of a convolution: the whole weight for each place of the output (transposed: the input)."""
    places = (x_shape if transposed else out_shape)[2:]
    return 2 * x_shape[0] * math.prod(places) * math.prod(w_shape)


@register_flop_formula(aten.packet("convolution"))
def conv_flop(
    x_shape: Shape, w_shape: Shape, bias: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, *rest: Any, out_shape: Any = None, **more: Any,
) -> int:  # fmt: skip
    """Of a convolution forward."""
    return conv_flop_count(x_shape, w_shape, out_shape, transposed)


def _swapped(shape: Shape) -> list[int]:
    return [shape[1], shape[0], *shape[2:]]


@register_flop_formula(aten.packet("convolution_backward"))
def conv_backward_flop(
    grad_shape: Shape, x_shape: Shape, w_shape: Shape, bias: Any, stride: Any, padding: Any,
    dilation: Any, transposed: bool, output_padding: Any, groups: int, output_mask: Sequence[bool],
    *rest: Any, out_shape: Any = None, **more: Any,
) -> int:  # fmt: skip
    """Of a convolution's gradients: that of the input and that of the weight, as asked for.

    With groups the weight's is too large: PyTorch counts it as if there were none.
    """
    total = 0
    if output_mask[0]:
        total += conv_flop_count(grad_shape, w_shape, x_shape, not transposed)
    if output_mask[1]:
        x, grad, weight = _swapped(x_shape), _swapped(grad_shape), _swapped(w_shape)
        pair = (grad, x) if transposed else (x, grad)
        total += conv_flop_count(*pair, weight)
    return total


# -- which of PyTorch's ops ours are ---------------------------------------------------------------


def _matmul(args: tuple[Any, ...], meta: dict[str, Any]) -> Any:
    a, b = args[0].shape, args[1].shape
    if 1 in (len(a), len(b)):
        return None  # PyTorch has no formula for products with vectors
    if len(a) == 2 and len(b) > 2:
        # It multiplies the transposed matrices: the batch comes first.
        return "mm", (_transposed(b), a[::-1])
    return ("mm" if len(b) == 2 else "bmm"), (a, b)


def _transposed(shape: Shape) -> list[int]:
    return [*shape[:-2], shape[-1], shape[-2]]


def _linear(args: tuple[Any, ...], meta: dict[str, Any]) -> Any:
    x, weight, bias = (*args, None)[:3]
    if bias is None:
        return "mm", (x.shape, weight.shape[::-1])
    return "addmm", (bias.shape, x.shape, weight.shape[::-1])


def _linear_weight(args: tuple[Any, ...], meta: dict[str, Any]) -> Any:
    g, x = args
    rows = math.prod(x.shape[:-1])
    return "mm", ((g.shape[-1], rows), (rows, x.shape[-1]))


def _convolution(args: tuple[Any, ...], meta: dict[str, Any], transposed: bool = False) -> Any:
    x, weight, bias = (*args, None)[:3]
    if modes.task is not None:  # as the gradient of the other kind
        given = (x.shape, meta["out_shape"], weight.shape, None, None, None, None, not transposed)
        return "convolution_backward", (*given, None, meta.get("groups", 1), (True, False))
    return "convolution", (x, weight, bias, None, None, None, transposed)


def _convolution_gradient(args: tuple[Any, ...], meta: dict[str, Any], of: str) -> Any:
    """Of our two ops, one for each gradient: what PyTorch's one op would be given."""
    a, b = args
    groups = meta.get("groups", 1)
    if of == "input":
        x = (a.shape[0], b.shape[1] * groups, *meta["size"])
        given: Any = (a.shape, x, b.shape)
    else:
        weight = (b.shape[1], a.shape[1] // groups, *meta["kernel"])
        given = (b.shape, a.shape, weight)
    rest = (None, None, None, None, False, None, groups, (of == "input", of == "weight"))
    return "convolution_backward", (*given, *rest)


_KINDS: dict[str, Callable[..., Any]] = {
    "matmul": _matmul, "linear": _linear, "linear_weight_backward": _linear_weight,
}  # fmt: skip
for _n in (1, 2, 3):
    _KINDS[f"conv{_n}d"] = _convolution
    _KINDS[f"conv_transpose{_n}d"] = functools.partial(_convolution, transposed=True)
    for _of in ("input", "weight"):
        _KINDS[f"conv{_n}d_{_of}"] = functools.partial(_convolution_gradient, of=_of)


class _Counting(Layer):
    apart = True

    def __init__(self, counter: FlopCounterMode) -> None:
        super().__init__()
        self.counter = counter

    def op(self, op: Any, args: tuple[Any, ...], meta: dict[str, Any]) -> Any:
        out = apply(op, *args, **meta)
        self.counter._count(op.name, out, args, meta)
        return out


# -- the counter -----------------------------------------------------------------------------------


class FlopCounterMode:
    """Counts the operations of what runs ``with`` it, and prints them as a table.

    Args:
        mods: not needed.
        depth: how deep modules stand in the table.
        display: print it at the end.
        custom_mapping: more formulas, as `register_flop_formula` takes them.

    >>> import framework as torch
    >>> from framework.utils.flop_counter import FlopCounterMode
    >>> nn = torch.nn
    >>> model = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5))
    >>> with FlopCounterMode() as counter:
    ...     model(torch.ones(10, 20)).sum().backward()
    Module             FLOP    % Total
    --------------  -------  ---------
    Sequential      33.000K    100.00%
     - aten.addmm   15.000K     45.45%
     - aten.mm      18.000K     54.55%
     Sequential.0   24.000K     72.73%
      - aten.addmm  12.000K     36.36%
      - aten.mm     12.000K     36.36%
     Sequential.2    9.000K     27.27%
      - aten.addmm   3.000K      9.09%
      - aten.mm      6.000K     18.18%
    >>> counter.get_total_flops()
    33000
    """

    def __init__(
        self, mods: Any = None, depth: int | None = 2, display: bool = True,
        custom_mapping: dict[Any, Any] | None = None,
    ) -> None:  # fmt: skip
        if mods is not None:
            warnings.warn(
                "mods argument is not needed anymore, you can stop passing it", stacklevel=2
            )
        self.depth, self.display = depth, display
        self.flop_counts: dict[str, dict[Any, int]] = defaultdict(lambda: defaultdict(int))
        own = {
            target: formula if getattr(formula, "_get_raw", False) else _of_shapes(formula)
            for target, formula in (custom_mapping or {}).items()
        }
        self.flop_registry = {**flop_registry, **own}
        self.mod_tracker = ModuleTracker()
        self._layer: _Counting | None = None

    def get_total_flops(self) -> int:
        """All operations together."""
        return sum(self.flop_counts["Global"].values())

    def get_flop_counts(self) -> dict[str, dict[Any, int]]:
        """The operations by the module's name ("Global" is everything), then by op."""
        return {name: dict(counts) for name, counts in self.flop_counts.items()}

    def _count(self, name: str, out: Any, args: tuple[Any, ...], meta: dict[str, Any]) -> None:
        known = _KINDS.get(name)
        if known is not None:
            found = known(args, {**meta, "out_shape": out.shape})
            if found is None:
                return
            name, args = found
            meta = {}
        packet = aten.packet(name)
        formula = self.flop_registry.get(packet)
        if formula is not None:
            count = formula(*args, out_val=out, **meta)
            for parent in self.mod_tracker.parents:
                self.flop_counts[parent][packet] += count

    def get_table(self, depth: int | None = None) -> str:
        """The counts as text: modules to this depth with their ops.

        A first part "Global" is there if anything was counted outside of the modules.
        """
        depth = self.depth if depth is None else depth
        total = self.get_total_flops()
        index = max(0, min(len(_SUFFIXES) - 1, (len(str(total)) - 2) // 3))

        def row(name: str, count: int) -> tuple[str, str, str]:
            share = f"{count / total:.2%}" if total else "0%"
            return name, f"{count / 1000**index:.3f}{_SUFFIXES[index]}" if count else "0", share

        def part(module: str, indent: int) -> list[tuple[str, str, str]]:
            counts = self.flop_counts[module]
            first = row(" " * indent + module, sum(counts.values()))
            return [first, *[row(f"{' ' * indent} - {op}", n) for op, n in counts.items()]]

        rows, covered = [], False
        for module in sorted(self.flop_counts):
            level = module.count(".")
            if module != "Global" and (depth is None or level < depth):
                rows += part(module, level)
                covered |= sum(self.flop_counts[module].values()) >= total
        if "Global" in self.flop_counts and not covered:
            rows = part("Global", 0) + [(" " + name, flops, share) for name, flops, share in rows]
        return _table(rows or [("Global", "0", "0%")])

    def __enter__(self) -> FlopCounterMode:
        self.flop_counts.clear()
        self.mod_tracker.__enter__()
        self._layer = _Counting(self)
        self._layer.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._layer is not None, "FlopCounterMode: left without having been entered"
        self._layer.__exit__(*exc)
        self._layer = None
        self.mod_tracker.__exit__(*exc)
        if self.display:
            print(self.get_table(self.depth))  # noqa: T201


_SUFFIXES = ("", "K", "M", "B", "T")
_HEADER = ("Module", "FLOP", "% Total")


def _table(rows: list[Any]) -> str:
    """In the form in which PyTorch prints it: the names at the left, numbers at the right."""
    widths = [max(len(h) + 2, *[len(r[i]) for r in rows]) for i, h in enumerate(_HEADER)]

    def line(cells: Sequence[str]) -> str:
        left, *others = cells
        parts = [left.ljust(widths[0]), *[c.rjust(w) for c, w in zip(others, widths[1:])]]
        return "  ".join(parts)

    return "\n".join([line(_HEADER), line(["-" * w for w in widths]), *map(line, rows)])
