"""What differs: values, shapes, dtypes, gradients and errors, ours against PyTorch's."""

from __future__ import annotations

from typing import Any

import torch

import framework
from tests.conformance.bridge import describe, theirs

__all__ = [
    "TIES",
    "TOLERANCES",
    "arguments",
    "copied",
    "difference",
    "flat",
    "gathered",
    "gradient_difference",
    "dtypes_of",
    "no_less_accurate",
    "one_line",
    "overlaps",
    "processed",
    "random_like",
    "same_kind",
    "shape_difference",
    "short",
    "wanting",
]


TOLERANCES = {  # those of torch.testing.assert_close
    torch.float16: (1e-3, 1e-5), torch.bfloat16: (1.6e-2, 1e-5), torch.float32: (1.3e-6, 1e-5),
    torch.float64: (1e-7, 1e-7), torch.complex64: (1.3e-6, 1e-5), torch.complex128: (1e-7, 1e-7),
}  # fmt: skip

_WIDER = {
    torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.float32: torch.float64,
    torch.complex64: torch.complex128,
}  # fmt: skip


def difference(got: Any, expected: Any, rtol: float, atol: float) -> str:
    """What differs in value; dtypes are not compared here."""
    if isinstance(expected, torch.Tensor):
        if not isinstance(got, torch.Tensor):
            return f"a {type(got).__name__}, not a tensor"
        if expected.layout is not torch.strided:
            if got.layout is not expected.layout:
                return f"layout {got.layout}, not {expected.layout}"
            got, expected = got.to_dense(), expected.to_dense()
        own = TOLERANCES.get(expected.dtype, (0.0, 0.0))
        try:
            torch.testing.assert_close(
                got, expected.detach(), rtol=max(rtol, own[0]), atol=max(atol, own[1]),
                equal_nan=True, check_dtype=False, check_stride=False, check_layout=False,
            )  # fmt: skip
        except (AssertionError, RuntimeError, TypeError) as error:
            return one_line(error)
        return ""
    if isinstance(expected, (tuple, list)):
        if not isinstance(got, (tuple, list)) or len(got) != len(expected):
            return f"{describe(got)}, not {describe(expected)}"
        for k, (g, e) in enumerate(zip(got, expected)):
            text = difference(g, e, rtol, atol)
            if text:
                return f"output {k}: {text}"
        return ""
    if isinstance(got, torch.Tensor):
        return f"a tensor, not {expected!r}"
    if isinstance(expected, (int, float, complex)) and isinstance(got, (int, float, complex)):
        same = got == expected or abs(got - expected) <= 1e-6 * abs(expected)
        return "" if same or (got != got and expected != expected) else f"{got!r}, not {expected!r}"
    return "" if got == expected else f"{got!r}, not {expected!r}"


def shape_difference(got: Any, expected: Any) -> str:
    if isinstance(expected, torch.Tensor) and isinstance(got, torch.Tensor):
        return "" if got.shape == expected.shape else (
            f"shape {list(got.shape)}, not {list(expected.shape)}"
        )  # fmt: skip
    if isinstance(expected, (tuple, list)) and isinstance(got, (tuple, list)):
        if len(got) != len(expected):
            return f"{len(got)} results, not {len(expected)}"
        texts = [shape_difference(g, e) for g, e in zip(got, expected)]
        return next((f"output {k}: {t}" for k, t in enumerate(texts) if t), "")
    if isinstance(expected, torch.Tensor) != isinstance(got, torch.Tensor):
        return f"a {type(got).__name__}, not a {type(expected).__name__}"
    return ""


def dtypes_of(value: Any) -> Any:
    """The dtypes of a result; plain Python types by name."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype).removeprefix("torch.")
    if isinstance(value, (tuple, list)):
        return [dtypes_of(v) for v in value]
    return type(value).__name__


def processed(sample: Any, value: Any) -> Any:
    try:
        return sample.output_process_fn_grad(value)
    except Exception:
        return None


# The order of equal elements is free: the elements that the indices point at are compared.
# Names, and where ``dim`` stands among the arguments after the input.
TIES = {"argsort": 0, "sort": 0, "topk": 1, "kthvalue": 1, "median": 0, "nanmedian": 0, "mode": 0}


def gathered(name: str, sample: Any, value: Any) -> Any:
    """``value`` with indices replaced by what they point at."""
    if sample.kwargs.get("stable") or not sample.input.ndim:
        return value
    if isinstance(value, torch.Tensor) and name != "argsort":
        return value  # of all elements: no indices
    position = TIES[name]
    dim = sample.kwargs.get("dim", -1)
    if len(sample.args) > position and not isinstance(sample.args[position], bool):
        dim = sample.args[position]
    indices = value if name == "argsort" else value[1]
    if indices.ndim < sample.input.ndim:
        indices = indices.unsqueeze(dim)
    each = indices.sort(dim).values  # no index twice
    if each.shape[dim] > 1 and not (each.diff(dim=dim) > 0).all():
        return value
    picked = sample.input.resolve_conj().gather(dim, indices)
    return picked if name == "argsort" else (value[0], picked)


def no_less_accurate(info: Any, sample: Any, dtype: Any, got: Any, expected: Any) -> bool:
    """Whether ours is no further from the result in a wider type than PyTorch's own is.

    Narrow types accumulate rounding: both may be off by more than the tolerance, in another way.
    """
    if dtype not in _WIDER:
        return False

    def widen(t: Any) -> Any:
        wider = _WIDER.get(t if isinstance(t, torch.dtype) else t.dtype)
        if wider is None:
            return t
        return wider if isinstance(t, torch.dtype) else t.to(wider)

    try:
        wide = sample.transform(widen)
        truth = flat(info.op(wide.input, *wide.args, **wide.kwargs))
    except Exception:
        return False
    mine, other = flat(got), flat(expected)
    if not len(truth) == len(mine) == len(other):
        return False
    for t, m, o in zip(truth, mine, other):
        if not t.dtype.is_floating_point and not t.dtype.is_complex:
            if not torch.equal(m, o):
                return False
            continue
        rtol, atol = TOLERANCES.get(o.dtype, (0.0, 0.0))
        # Where only PyTorch has a NaN (an overflow on its way), the true result is as good.
        lost = o.isnan() & ~t.isnan() & torch.isclose(m, t.to(m.dtype), rtol=rtol, atol=atol)
        m, o = (torch.where(lost, torch.zeros_like(v), v) for v in (m, o))
        t = torch.where(lost, torch.zeros_like(t), t)
        t, m, o = (v.to(torch.complex128 if t.is_complex() else torch.float64) for v in (t, m, o))
        finite = t.isfinite() & o.isfinite()
        if not torch.equal(m.isfinite() | ~finite, torch.ones_like(finite)):
            return False
        if not torch.allclose(m[~finite], o[~finite], equal_nan=True):
            return False
        if not finite.any():
            continue
        error, allowed = (m - t)[finite].abs(), (o - t)[finite].abs()
        scale = t[finite].abs().max()
        if (error > 2 * allowed + atol + rtol * t[finite].abs()).any() and (
            error.max() > 2 * allowed.max() + rtol * scale / 4
        ):
            return False
    return True


def gradient_difference(got: Any, expected: Any, inputs: list[Any], info: Any, what: str) -> str:
    for k, (g, e, x) in enumerate(zip(got, expected, inputs)):
        e = torch.zeros_like(x) if e is None else e.detach()
        g = torch.zeros_like(x) if g is None else theirs(g)
        if g.shape != e.shape:
            return f"{what} {k}: shape {list(g.shape)}, not {list(e.shape)}"
        if g.dtype != e.dtype:
            return f"{what} {k}: {g.dtype}, not {e.dtype}"
        text = difference(
            g.to_dense() if g.layout is not torch.strided else g,
            e.to_dense() if e.layout is not torch.strided else e, 1e-6, 1e-7,
        )  # fmt: skip
        if text:
            return f"{what} {k}: {text}"
    return ""


def same_kind(mine: BaseException, other: BaseException) -> bool:
    if isinstance(mine, type(other)) or type(mine).__name__ == type(other).__name__:
        return True
    # torch.linalg.LinAlgError and torch.OutOfMemoryError are RuntimeErrors of their own
    return (
        type(other).__module__.startswith("torch") and type(other).__name__ == type(mine).__name__
    )


# -- small things ----------------------------------------------------------------------------------


def flat(value: Any) -> list[Any]:
    """The tensors in a result."""
    if isinstance(value, (torch.Tensor, framework.Tensor)):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [t for v in value for t in flat(v)]
    return []


def wanting(value: Any) -> list[Any]:
    """The tensors that want a gradient, each once."""
    found: dict[int, Any] = {}
    for t in flat(value):
        if t.requires_grad:
            found.setdefault(id(t), t)
    return list(found.values())


def random_like(t: torch.Tensor) -> torch.Tensor:
    return torch.randn(t.shape, dtype=t.dtype)


def copied(input: Any, args: Any) -> list[Any]:
    """Samples are used more than once: what an op writes into must not be theirs."""

    def copy(v: Any) -> Any:
        if isinstance(v, torch.Tensor) and v.layout is torch.strided:
            if overlaps(v) or v.is_conj() or v.is_neg():
                return v
            if v.storage_offset() and v.numel():  # what lies before it may be looked at
                whole = torch.empty(0, dtype=v.dtype).set_(v.untyped_storage())
                return whole.clone().as_strided(v.shape, v.stride(), v.storage_offset())
            return torch.empty_strided(v.shape, v.stride(), dtype=v.dtype).copy_(v.detach())
        if isinstance(v, list):
            return [copy(x) for x in v]
        return v

    return [copy(input), *(copy(a) for a in args)]


def overlaps(t: torch.Tensor) -> bool:
    return any(s == 0 and n > 1 for s, n in zip(t.stride(), t.shape)) if (
        t.layout is torch.strided
    ) else False  # fmt: skip


def arguments(sample: Any) -> str:
    parts = [describe(sample.input), *(describe(a) for a in sample.args)]
    if sample.kwargs:
        parts.append(describe(sample.kwargs))
    text = ", ".join(parts)
    return text if len(text) < 400 else text[:397] + "..."


def one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("Tensor-likes")]
    return "; ".join(lines)[:300]


def short(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:160]}"
