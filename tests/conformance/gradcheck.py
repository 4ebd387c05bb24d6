"""PyTorch's gradcheck and gradgradcheck round our ops.

Our function becomes an `autograd.Function` of PyTorch's, whose backward is our gradient, wrapped
the same way: so its finite differences judge our first and second gradients.
"""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

import framework
from tests.conformance import expected
from tests.conformance.bridge import Unsupported, ours, rebound, theirs
from tests.conformance.comparing import flat, short, wanting
from tests.conformance.op_db import (
    CUDA_ONLY,
    Late,
    alarm,
    entries,
    implementation,
    prepare,
    reseed,
)

__all__ = ["main"]

ELEMENTS = 40  # of all inputs of a sample: finite differences take two calls for each
SECONDS = 20.0

Rule = Callable[..., tuple[Any, ...]]


class _Ours(torch.autograd.Function):
    """``rule``, a function of our tensors, on PyTorch's."""

    @staticmethod
    def forward(ctx: Any, rule: Rule, *inputs: Any) -> Any:
        ctx.rule = rule
        ctx.save_for_backward(*inputs)
        with framework.enable_grad():
            outs = rule(*[_leaf(x) for x in inputs])
        return tuple(theirs(o) for o in outs)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        inputs = ctx.saved_tensors
        return (None, *_Ours.apply(_transposed(ctx.rule, len(inputs)), *inputs, *cotangents))


def _leaf(x: torch.Tensor) -> Any:
    mine = ours(x.detach())
    return mine.requires_grad_() if mine.dtype.category >= framework.float32.category else mine


def _transposed(rule: Rule, count: int) -> Rule:
    """The gradient of ``rule`` as a function of its inputs and of its outputs' gradients."""

    def gradient(*args: Any) -> tuple[Any, ...]:
        inputs, cotangents = args[:count], args[count:]
        outs = rule(*inputs)
        wanted = [(o, c) for o, c in zip(outs, cotangents) if o.requires_grad]
        if not wanted:
            return tuple(framework.zeros_like(x) for x in inputs)
        found = framework.autograd.grad(
            [o for o, _ in wanted], inputs, [c for _, c in wanted],
            create_graph=True, allow_unused=True,
        )  # fmt: skip
        return tuple(x * 0 if g is None else g for g, x in zip(found, inputs))

    return gradient


def _rule(info: Any, sample: Any, wanted: list[Any], process: Any, wrapper: Any) -> Rule:
    """One sample as a function of the tensors that want a gradient."""
    call = implementation(info)

    def rule(*mine: Any) -> tuple[Any, ...]:
        seen = {id(t): (m, t) for t, m in zip(wanted, mine)}
        first, args, options = ours((sample.input, sample.args, sample.kwargs), seen)
        out = wrapper(call, first, *args, **options)
        return tuple(o for o in flat(process(out)) if o.requires_grad)

    return rule


def _wrapper(info: Any, sample: Any) -> Any:
    """What PyTorch wraps the function in for its check, on ours."""
    if "masked" not in info.gradcheck_wrapper.__name__:
        return rebound(info.gradcheck_wrapper)
    # What lies outside of the mask is undefined. The masks come from private functions of
    # `torch.masked`, which ours has not: they are asked of PyTorch.
    options = dict(sample.kwargs)
    if "pointwise" in info.gradcheck_wrapper.__name__:
        masks = options.get("input_mask"), options.get("other_mask")
        options["mask"] = None if any(m is None for m in masks) else masks[0] & masks[1]
        find = torch.masked._input_mask
    else:
        find = functools.partial(torch.masked._output_mask, info.op)
    inside = options.get("mask")
    if inside is not None:
        inside = ours(find(sample.input, *sample.args, **options))

    def masked(call: Any, *args: Any, **kwargs: Any) -> Any:
        out = call(*args, **kwargs)
        return out if inside is None else framework.where(inside, out, out.new_zeros([]))

    return masked


def check(info: Any, sample: Any) -> str:
    """What gradcheck or gradgradcheck say of one sample; empty if they are content."""
    wanted = wanting((sample.input, sample.args, sample.kwargs))
    rule = _rule(
        info,
        sample,
        wanted,
        rebound(sample.output_process_fn_grad),
        _wrapper(info, sample),
    )

    def call(*inputs: Any) -> Any:
        return _Ours.apply(rule, *inputs)

    options: dict[str, Any] = {"nondet_tol": info.gradcheck_nondet_tol, "fast_mode": False}
    try:
        if not _left_out(info, "test_fn_grad"):
            torch.autograd.gradcheck(call, wanted, check_batched_grad=False, **options)
        if info.supports_gradgrad and not _left_out(info, "test_fn_gradgrad"):
            torch.autograd.gradgradcheck(
                call, wanted, gen_non_contig_grad_outputs=True, check_batched_grad=False, **options
            )
    except (RuntimeError, AssertionError) as error:
        return short(error)
    return ""


def _left_out(info: Any, test: str) -> bool:
    """Whether PyTorch leaves this check out for itself, too (kinks, single precision)."""
    return any(
        getattr(s, "cls_name", None) == "TestBwdGradients"
        and s.test_name in (None, test)
        and s.device_type in (None, "cpu")
        and (s.dtypes is None or torch.float64 in s.dtypes)
        for s in info.skips
    )


def _small(info: Any, count: int) -> list[Any]:
    reseed()
    found = []
    for sample in info.sample_inputs("cpu", torch.float64, requires_grad=True):
        wanted = wanting((sample.input, sample.args, sample.kwargs))
        plain = all(t.layout is torch.strided for t in wanted)
        if plain and 0 < sum(t.numel() for t in wanted) <= ELEMENTS:
            found.append(sample)
            if len(found) == count:
                break
    return found


def _random(info: Any, sample: Any) -> bool:
    """Whether it draws numbers: finite differences would see other ones each time."""
    state = torch.get_rng_state()
    try:
        info.op(sample.input, *sample.args, **sample.kwargs)
    except Exception:
        return True
    return not torch.equal(state, torch.get_rng_state())


def main(options: Any) -> int:
    """Check every name of op_db that has a gradient; print the score."""
    prepare()
    start = time.perf_counter()
    failing: dict[str, list[str]] = {}
    count = right = left_out = 0
    known = expected.load("gradcheck")
    for name, infos in sorted(entries().items()):
        if (options.op and name not in options.op) or name in CUDA_ONLY:
            continue
        for info in infos:
            kinds = info.supported_backward_dtypes("cpu")
            if not info.supports_autograd or torch.float64 not in kinds:
                continue
            if implementation(info) is None:
                left_out += 1
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                texts = _texts(info, options.samples)
            count += len(texts)
            right += texts.count("")
            wrong = [t for t in texts if t]
            if wrong:
                failing[name] = ["gradcheck"]
                if name not in known or options.op:
                    print(f"gradcheck, {name}: {wrong[0]}")
    print(
        f"gradcheck: {right} of {count} samples pass PyTorch's gradcheck and gradgradcheck; "
        f"{left_out} entries absent ({time.perf_counter() - start:.0f} s)"
    )
    if options.write_expected:
        expected.write("gradcheck", failing)
        return 0
    complete = set() if options.op or options.quick else set(known)
    lines = expected.judge("gradcheck", failing, complete)
    print(*lines, sep="\n", end="\n" if lines else "")
    return 1 if lines else 0


def _texts(info: Any, count: int) -> list[str]:
    texts = []
    for sample in _small(info, count):
        if _random(info, sample):
            continue
        try:
            with alarm(SECONDS):
                text = check(info, sample)
        except Unsupported:
            continue
        except Late:
            text = f"took longer than {SECONDS:.0f} s"
        except Exception as error:
            text = f"raised {short(error)}"
        texts.append(text)
    return texts
