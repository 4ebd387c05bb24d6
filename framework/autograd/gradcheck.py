"""Numeric checks of gradients: central differences against the engine, in double precision."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.engine import run_backward
from framework.core.modes import enable_grad, no_grad
from framework.kernels import module_of, to_host
from framework.tensor import Tensor, wrap

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """A gradient differs from the numeric one: what `gradcheck` raises.

    >>> import framework as torch
    >>> x = torch.ones(1, dtype=torch.float64, requires_grad=True)
    >>> try:
    ...     torch.autograd.gradcheck(lambda x: x.detach() * x, x)
    ... except torch.autograd.GradcheckError as error:
    ...     print(str(error).partition(",")[0])
    Jacobian mismatch for output 0 with respect to input 0
    """


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
    seed: int = 0,
) -> bool:
    """Compare the gradient of ``func`` with finite differences.

    With a random cotangent ``w_k`` for each output, the scalar ``L = sum_k Re(conj(w_k) f_k(x))``
    is differentiated by the engine, and numerically as ``(L(x + eps) - L(x - eps)) / (2 eps)`` for
    every element of every input that wants a gradient (in PyTorch's convention for complex inputs:
    the derivative by the real part plus i times that by the imaginary part).

    Args:
        func: takes the inputs, returns a tensor or a sequence of them; others are ignored. It must
            give the same result each time.
        eps: of the finite differences.
        atol, rtol: how near the gradients must be to them.
        nondet_tol: how far results and gradients of two equal runs may be apart.
        check_undefined_grad: with several outputs, one without a gradient must count as zero.
        check_grad_dtypes: accepted; the engine always gives gradients the dtypes of the inputs.
        check_batched_grad: gradients inside of `vmap` must be those outside.
        check_forward_ad: the tangents of forward mode must match too.
        check_batched_forward_grad: and inside of `vmap`.
        check_backward_ad: False leaves out what needs the backward pass.
        fast_mode: look at one random direction instead of at every element.
        masked: accepted; inputs and outputs are dense, there is nothing to be left out.
        inputs: a tensor or a sequence; those that want a gradient should be double precision.
        seed: of the random cotangents, which leave the default generator alone.

    Returns:
        True, or False for a wrong gradient with ``raise_exception=False``.

    Raises:
        GradcheckError: with the input, the element and both values.
        AssertionError: options that exclude each other.
        ValueError: no input wants a gradient; an input or an output is sparse.

    >>> import framework as torch
    >>> x = torch.tensor([0.3, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradcheck(lambda x: x.exp() * x, x)
    True
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError(
            "Expected at least one of check_forward_ad or check_backward_ad to be True"
        )
    if check_batched_grad and not check_backward_ad:
        raise AssertionError(
            "Setting check_batched_grad=True requires check_backward_ad to be True"
        )
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError(
            "Setting check_batched_forward_grad=True requires check_forward_ad to be True"
        )
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if not any(isinstance(a, Tensor) and a.requires_grad for a in args):
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them "
            "have requires_grad=True."
        )
    if any(isinstance(a, Tensor) and a.requires_grad and a.is_sparse for a in args):
        raise ValueError(
            "Sparse inputs are not supported by gradcheck: make them of dense values within the "
            "function."
        )
    _warn_of_precision(args)
    random = np.random.Generator(np.random.Philox(seed))
    try:
        if check_backward_ad:
            limits = (eps, atol, rtol)
            try:
                _check(func, args, limits, random, nondet_tol, fast_mode)
            except GradcheckError:
                _check_each(func, args, limits, random, nondet_tol, fast_mode)
                raise
            if check_undefined_grad:
                _check_undefined(func, args, atol, rtol, random)
            if check_batched_grad:
                _check_batched(func, args, atol, rtol, random)
        if check_forward_ad:
            _check_forward(func, args, eps, atol, rtol, random, check_batched_forward_grad)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
    seed: int = 0,
) -> bool:
    """`gradcheck` of the gradient of ``func``, by its inputs and by the incoming gradients.

    Args:
        grad_outputs: incoming gradients to check at; by default random ones.
        check_fwd_over_rev: check the gradient's tangents of forward mode.
        check_rev_over_rev: check the gradient's gradient.

    The other arguments are those of `gradcheck`.

    >>> import framework as torch
    >>> x = torch.tensor([0.3, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradgradcheck(lambda x: x.exp() * x, x)
    True
    """
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError(
            "Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True"
        )
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    with enable_grad():
        outs = _differentiable(func(*args))
    if not outs:
        raise GradcheckError("gradgradcheck: no output of the function wants a gradient")
    if grad_outputs is None:
        random = np.random.Generator(np.random.Philox(seed + 1))
        starts: tuple[Any, ...] = tuple([_random_like(o, random) for o in outs])
    else:
        starts = (grad_outputs,) if isinstance(grad_outputs, Tensor) else tuple(grad_outputs)
    starts = tuple([wrap(s._data, s._device).requires_grad_() for s in starts])

    def gradient(*both: Any) -> tuple[Any, ...]:
        xs, gs = both[: len(args)], both[len(args) :]
        wanted = [x for x in xs if isinstance(x, Tensor) and x.requires_grad]
        found = run_backward(
            list(_differentiable(func(*xs))), list(gs),
            retain_graph=True, create_graph=True, inputs=wanted, accumulate=False,
        )  # fmt: skip
        # Tied to its input: a gradient which has lost its history is not left out, but wrong.
        return tuple([g + x * 0 for g, x in zip(found, wanted) if g is not None])

    return gradcheck(
        gradient, args + starts,
        eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception, nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad, check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev, fast_mode=fast_mode, masked=masked, seed=seed,
    )  # fmt: skip


def _check_each(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    limits: tuple[float, float, float],
    random: np.random.Generator,
    nondet_tol: float,
    fast: bool,
) -> None:
    """Check the outputs one by one, to name the first that is wrong."""
    with enable_grad():
        count = len(_differentiable(func(*args)))
    for k in range(1, count):
        _check(
            lambda *a, k=k: _differentiable(func(*a))[k], args, limits, random, nondet_tol, fast, k
        )


def _check(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    limits: tuple[float, float, float],
    random: np.random.Generator,
    nondet_tol: float,
    fast: bool,
    output: int = 0,
) -> None:
    eps, atol, rtol = limits
    with enable_grad():
        outs = _differentiable(func(*args))
        again = _differentiable(func(*args))
    if any(o.is_sparse for o in outs):
        raise ValueError(
            "Sparse output is not supported at gradcheck yet. Please call "
            "to_dense(masked_grad=...) on the output of fn for gradcheck."
        )
    if len(outs) != len(again) or any(
        not np.allclose(to_host(a._data), to_host(b._data), rtol=0, atol=nondet_tol, equal_nan=True)
        for a, b in zip(outs, again)
    ):
        raise GradcheckError(
            "gradcheck: the function gives another result when it is called again with the same "
            "inputs; seed its randomness inside of it"
        )
    wanted = [(i, a) for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
    if not outs:  # nothing depends on the inputs: then the numeric gradient must be zero
        with no_grad():
            outs = _floating(func(*args))
        cotangents = [_random_like(o, random) for o in outs]
        found: list[Any] = [None] * len(wanted)
    else:
        cotangents = [_random_like(o, random) for o in outs]
        found, repeated = (
            run_backward(
                list(outs), list(cotangents),
                retain_graph=True, create_graph=False, inputs=[a for _, a in wanted],
                accumulate=False,
            )
            for _ in range(2)
        )  # fmt: skip
        if any(g is not None and g.is_sparse for g in found):
            raise GradcheckError("grad is incorrect layout (torch.sparse_coo is not torch.strided)")
        _check_repeated(found, repeated, nondet_tol)
    weights = [to_host(c._data) for c in cotangents]
    differentiable = any(o.requires_grad for o in outs)

    def loss(position: int, array: np.ndarray) -> float:
        moved = list(args)
        moved[position] = _leaf(args[position], array)
        with enable_grad():
            result = func(*moved)
        values = _differentiable(result) if differentiable else _floating(result)
        return sum(_dot(w, to_host(v._data)) for w, v in zip(weights, values))

    for (position, tensor), got in zip(wanted, found):
        array = to_host(tensor._data)
        analytic = np.zeros_like(array) if got is None else to_host(got._data)
        if fast and array.size:
            _compare_along(loss, position, array, analytic, limits, random, output)
            continue
        numeric = _numeric(loss, position, array, eps)
        if analytic.shape != numeric.shape or analytic.dtype != numeric.dtype:
            raise GradcheckError(
                f"gradcheck: the gradient of input {position} is {analytic.dtype} "
                f"{list(analytic.shape)}, but the input is {numeric.dtype} {list(numeric.shape)}"
            )
        _compare(position, analytic, numeric, atol, rtol, output)


def _check_repeated(found: list[Any], again: list[Any], nondet_tol: float) -> None:
    for a, b in zip(found, again):
        if a is not None and b is not None and not np.allclose(
            to_host(a._data), to_host(b._data), rtol=0, atol=nondet_tol, equal_nan=True
        ):  # fmt: skip
            raise GradcheckError(
                "Backward is not reentrant, i.e., running backward with same input and "
                "grad_output multiple times gives different values. The tolerance for "
                f"nondeterminism was {nondet_tol}."
            )


def _numeric(
    loss: Callable[[int, np.ndarray], float], position: int, array: np.ndarray, eps: float
) -> np.ndarray:
    """The gradient of ``loss`` by one input, element by element."""
    result = np.zeros_like(array)
    directions = (1.0, 1j) if array.dtype.kind == "c" else (1.0,)
    for index in np.ndindex(array.shape):
        for direction in directions:
            ends = []
            for sign in (1, -1):
                moved = array.copy()
                moved[index] += sign * eps * direction
                ends.append(loss(position, moved))
            result[index] += (ends[0] - ends[1]) / (2 * eps) * direction
    return result


def _compare_along(
    loss: Callable[[int, np.ndarray], float], position: int, array: np.ndarray,
    analytic: np.ndarray, limits: tuple[float, float, float], random: np.random.Generator,
    output: int,
) -> None:  # fmt: skip
    """`_numeric` and `_compare` along one random direction of length 1."""
    eps, atol, rtol = limits
    direction = random.standard_normal(array.shape)
    if array.dtype.kind == "c":
        direction = direction + 1j * random.standard_normal(array.shape)
    direction = np.asarray(direction / np.linalg.norm(direction)).astype(array.dtype)
    ends = [loss(position, np.asarray(array + s * eps * direction)) for s in (1, -1)]
    numeric = (ends[0] - ends[1]) / (2 * eps)
    found = _dot(direction, analytic)
    if not abs(found - numeric) <= atol * max(1.0, array.size**0.5) + rtol * abs(numeric):
        raise GradcheckError(
            f"Gradients failed to compare equal for output {output} with respect to input "
            f"{position} along a random direction (fast_mode): numerical {numeric:.10g}, "
            f"analytical {found:.10g}"
        )


def _check_undefined(
    func: Callable[..., Any], args: tuple[Any, ...], atol: float, rtol: float,
    random: np.random.Generator,
) -> None:  # fmt: skip
    """Outputs without a gradient must count as if it were zero."""
    with enable_grad():
        outs = _differentiable(func(*args))
    if len(outs) < 2:
        return
    wanted = [a for a in args if isinstance(a, Tensor) and a.requires_grad]
    for i, out in enumerate(outs):
        start = _random_like(out, random)
        zeros = [
            start if k == i else wrap(module_of(o._data).zeros_like(o._data), o._device)
            for k, o in enumerate(outs)
        ]
        options: Any = {
            "retain_graph": True, "create_graph": False, "inputs": wanted, "accumulate": False
        }  # fmt: skip
        alone = run_backward([out], [start], **options)
        filled = run_backward(list(outs), zeros, **options)
        for k, (a, b) in enumerate(zip(alone, filled)):
            x = np.zeros(1) if a is None else to_host(a._data)
            y = np.zeros(1) if b is None else to_host(b._data)
            if not np.allclose(x, y, atol=atol, rtol=rtol, equal_nan=True):
                raise GradcheckError(
                    f"Expected an undefined gradient of an output to count as zeros, but the "
                    f"gradient of input {k} differs"
                )


def _check_batched(
    func: Callable[..., Any], args: tuple[Any, ...], atol: float, rtol: float,
    random: np.random.Generator,
) -> None:  # fmt: skip
    """Gradients for a batch of cotangents, at once and one by one."""
    from framework.autograd import grad
    from framework.ops.joining import stack

    with enable_grad():
        outs = _differentiable(func(*args))
    wanted = [a for a in args if isinstance(a, Tensor) and a.requires_grad]
    for out in outs:
        starts = [_random_like(out, random) for _ in range(2)]
        options: Any = {"retain_graph": True, "allow_unused": True}
        one = [grad(out, wanted, s, **options) for s in starts]
        both = grad(out, wanted, stack(starts), is_grads_batched=True, **options)
        for k, whole in enumerate(both):
            if whole is None:
                continue
            single = np.stack([to_host(g[k]._data) for g in one])
            if not np.allclose(to_host(whole._data), single, atol=atol, rtol=rtol, equal_nan=True):
                raise GradcheckError(
                    f"For input {k}: the gradient that was computed inside of vmap differs from "
                    "those computed one by one"
                )


def _check_forward(
    func: Callable[..., Any], args: tuple[Any, ...], eps: float, atol: float, rtol: float,
    random: np.random.Generator, batched: bool,
) -> None:  # fmt: skip
    """The tangents of forward mode along random directions, against finite differences."""
    from framework.func import jvp, vmap
    from framework.ops.joining import stack

    places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]

    def part(*some: Any) -> Any:
        given = list(args)
        for i, x in zip(places, some):
            given[i] = x
        return tuple(_floating(func(*given)))

    primals = tuple([args[i].detach() for i in places])
    directions = [tuple([_random_like(p, random) for p in primals]) for _ in range(2)]
    found = [jvp(part, primals, d)[1] for d in directions]
    for direction, tangents in zip(directions, found):
        ends = []
        for sign in (1, -1):
            moved = [
                _leaf(args[i], to_host(p._data) + sign * eps * to_host(d._data))
                for i, p, d in zip(places, primals, direction)
            ]
            with enable_grad():
                ends.append([to_host(o._data) for o in part(*moved)])
        for k, (up, down, tangent) in enumerate(zip(*ends, tangents)):
            numeric = (up - down) / (2 * eps)
            if not np.allclose(to_host(tangent._data), numeric, atol=atol, rtol=rtol):
                raise GradcheckError(
                    f"Jacobian computed with forward mode mismatch for output {k}: numerical "
                    f"{numeric}, analytical {tangent._data}"
                )
    if batched:
        stacked = [stack(list(ds)) for ds in zip(*directions)]
        both = vmap(lambda *ds: jvp(part, primals, ds)[1])(*stacked)
        for k, whole in enumerate(both):
            single = np.stack([to_host(t[k]._data) for t in found])
            if not np.allclose(to_host(whole._data), single, atol=atol, rtol=rtol):
                raise GradcheckError(
                    f"For output {k}: the tangent that was computed inside of vmap differs from "
                    "those computed one by one"
                )


def _compare(
    position: int, analytic: np.ndarray, numeric: np.ndarray, atol: float, rtol: float, output: int
) -> None:
    difference = np.abs(analytic - numeric)
    bad = ~(difference <= atol + rtol * np.abs(numeric))
    if not bad.any():
        return
    ranked = np.where(bad, np.where(np.isnan(difference), np.inf, difference), -1)
    worst = np.unravel_index(int(np.argmax(ranked)), bad.shape)
    where = list(map(int, worst))
    raise GradcheckError(
        f"Jacobian mismatch for output {output} with respect to input {position}, "
        f"{int(bad.sum())} of {bad.size} elements differ, most of all {where}: "
        f"numerical {numeric[worst]:.10g}, analytical {analytic[worst]:.10g}"
    )


def _leaf(like: Tensor, array: np.ndarray) -> Tensor:
    moved = wrap(module_of(like._data).asarray(array), like._device)
    moved._rg = True
    return moved


def _dot(w: np.ndarray, v: np.ndarray) -> float:
    return float(np.real(np.sum(np.conj(w) * v)))


def _random_like(tensor: Tensor, random: np.random.Generator) -> Tensor:
    data = tensor._data
    drawn = random.standard_normal(data.shape)
    if data.dtype.kind == "c":
        drawn = drawn + 1j * random.standard_normal(data.shape)
    drawn = np.asarray(drawn).astype(data.dtype)
    return wrap(module_of(data).asarray(drawn), tensor._device)


def _floating(result: Any) -> list[Tensor]:
    outs: Sequence[Any] = [result] if isinstance(result, Tensor) else result
    return [o for o in outs if isinstance(o, Tensor) and o.dtype.category >= dtypes.FLOAT]


def _differentiable(result: Any) -> list[Tensor]:
    return [o for o in _floating(result) if o.requires_grad]


def _warn_of_precision(args: tuple[Any, ...]) -> None:
    for i, a in enumerate(args):
        if isinstance(a, Tensor) and a.requires_grad and a.dtype.to_real() is not dtypes.float64:
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or "
                "complex. This check will likely fail if all the inputs are not of double "
                "precision floating point or complex.",
                stacklevel=3,
            )
