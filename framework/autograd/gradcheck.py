"""Numeric checks of gradients: central differences against the engine, in double precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from framework import dtypes
from framework.autograd.function import Function
from framework.cautions import caution
from framework.core.engine import run_backward
from framework.core.modes import enable_grad
from framework.kernels import module_of, to_host
from framework.tensor import Tensor, wrap

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


_ONCE_MORE: Any = {"retain_graph": True, "create_graph": False, "accumulate": False}
_OF_COMPLEX = "While considering the {} part of complex {} only, "
_PART = {1: "real", 1j: "imaginary"}
_FORWARD = "computed with forward mode "


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

    The Jacobian of each output by each input that wants a gradient is found row by row by the
    engine, and column by column as ``(f(x + eps) - f(x - eps)) / (2 eps)``; of complex outputs the
    real and the imaginary part count as two (in PyTorch's convention for complex inputs: the
    derivative by the real part plus i times that by the imaginary part). The inputs themselves are
    moved, so that ``func`` may also know them otherwise, as a module knows its parameters.

    Args:
        func: takes the inputs, returns a tensor or a sequence of them; others are ignored. It must
            give the same result each time.
        eps: of the finite differences.
        atol, rtol: how near the gradients must be to them.
        nondet_tol: how far results and gradients of two equal runs may be apart.
        check_undefined_grad: outputs without a gradient must count as zero.
        check_grad_dtypes: gradients must have the dtypes of the inputs, and tangents be complex
            where the outputs are.
        check_batched_grad: gradients inside of `vmap` must be those outside.
        check_forward_ad: the tangents of forward mode must match too.
        check_batched_forward_grad: and inside of `vmap`.
        check_backward_ad: False leaves out what needs the backward pass.
        fast_mode: look at one random direction of each input and output instead of each element.
        masked: of sparse inputs, look at the elements that are there only; else all count, and
            the gradient of an element that is not there must be right, too.
        inputs: a tensor or a sequence; those that want a gradient should be double precision.
        seed: of random directions, which leave the default generator alone.

    Returns:
        True, or False for a wrong gradient with ``raise_exception=False``.

    Raises:
        GradcheckError: with the input, the output, the element and both values.
        AssertionError: options that exclude each other, or outputs of another shape where the
            inputs are moved.
        ValueError: no input wants a gradient, or an output is sparse.
        RuntimeError: an input that is expanded: its elements are in one place.

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
    _check_inputs(args)
    random = np.random.Generator(np.random.Philox(seed))
    check = _Check(func, args, eps, atol, rtol, nondet_tol, check_grad_dtypes, bool(masked), random)
    try:
        with enable_grad():
            if check_backward_ad:
                (check.fast if fast_mode else check.backward)()
            if check_forward_ad:
                check.forward()
                if check_undefined_grad:
                    _check_absent_tangents(func, args, random)
            if check_batched_forward_grad:
                _check_batched_forward(func, args, atol, rtol, random)
            if check_backward_ad:
                if check_batched_grad:
                    _check_batched(func, args, atol, rtol, random)
                _check_zeros(func, args, bool(masked))
                if check_undefined_grad:
                    _check_undefined(func, args)
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
        gen_non_contig_grad_outputs: let the random ones lie apart in memory.
        check_fwd_over_rev: check the gradient's tangents of forward mode.
        check_rev_over_rev: check the gradient's gradient.

    The other arguments are those of `gradcheck`.

    Inputs are of any shape, and of float64 or complex128, or the differences are too rough.
    GradcheckError where a gradient is wrong (False without ``raise_exception``).

    >>> import framework as torch
    >>> x = torch.tensor([0.3, 2.0], dtype=torch.float64, requires_grad=True)
    >>> torch.autograd.gradgradcheck(lambda x: x.exp() * x, x)
    True
    """
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError(
            "Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True"
        )
    for option, wanted in (("undefined", check_undefined_grad), ("batched", check_batched_grad)):
        if wanted and not check_rev_over_rev:
            raise AssertionError(
                f"Setting check_{option}_grad=True requires check_rev_over_rev to be True"
            )
    args = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    with enable_grad():
        outs = _differentiable(func(*args))
    if grad_outputs is None:
        random = np.random.Generator(np.random.Philox(seed + 1))
        starts: tuple[Any, ...] = tuple([_random_like(o, random).requires_grad_() for o in outs])
        if gen_non_contig_grad_outputs:
            starts = tuple([_spread(s).requires_grad_() for s in starts])
    else:
        starts = (grad_outputs,) if isinstance(grad_outputs, Tensor) else tuple(grad_outputs)
    needs = [isinstance(a, Tensor) and a.requires_grad for a in args + starts]

    def gradient(*both: Any) -> tuple[Any, ...]:
        both = tuple([x.requires_grad_() if n else x for x, n in zip(both, needs)])
        xs, gs = both[: len(args)], both[len(args) :]
        wanted = [x for x in xs if isinstance(x, Tensor) and x.requires_grad]
        found = run_backward(
            list(_differentiable(func(*xs))), list(gs),
            retain_graph=True, create_graph=True, inputs=wanted, accumulate=False,
        )  # fmt: skip
        # Tied to its input: a gradient which has lost its history is not left out, but wrong.
        return tuple([
            g if g.is_sparse or x.is_sparse else g + x * 0
            for g, x in zip(found, wanted) if g is not None
        ])  # fmt: skip

    return gradcheck(
        gradient, args + starts,
        eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception, nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad, check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev, fast_mode=fast_mode, masked=masked, seed=seed,
    )  # fmt: skip


class _Check:
    """One call of `gradcheck`: what is checked, and how near it must be."""

    def __init__(
        self, func: Callable[..., Any], args: tuple[Any, ...], eps: float, atol: float, rtol: float,
        nondet_tol: float, dtypes_too: bool, masked: bool, random: np.random.Generator,
    ) -> None:  # fmt: skip
        self.func, self.args = func, args
        self.eps, self.atol, self.rtol, self.nondet_tol = eps, atol, rtol, nondet_tol
        self.dtypes_too, self.random = dtypes_too, random
        self.wanted = _wanted(args)
        self.places = [i for i, a in enumerate(args) if _wants(a)]
        # What is moved: all elements of a sparse input must be there, if all count.
        self.moved = args if masked else tuple([_densified(a) if _wants(a) else a for a in args])
        self.outs = _floating(func(*args))
        if any(o.is_sparse for o in self.outs):
            raise ValueError(
                "Sparse output is not supported at gradcheck yet. Please call "
                "to_dense(masked_grad=...) on the output of fn for gradcheck."
            )
        self.which = [k for k, o in enumerate(self.outs) if o.requires_grad]
        self._check_steady()

    def _check_steady(self) -> None:
        for a, b in zip(self.outs, _floating(self.func(*self.args))):
            x, y = to_host(a._data), to_host(b._data)
            if x.shape == y.shape and not _near(x, y, 0, self.nondet_tol):
                raise GradcheckError(
                    "gradcheck: the function gives another result when it is called again with the "
                    "same inputs; seed its randomness inside of it"
                )

    # -- one element of an input after the other -------------------------------------------------

    def backward(self) -> None:
        """Compare the whole Jacobian of each output by each input."""
        numeric = [self._numeric(i) for i in self.places]
        if not self.which:
            if any(column.any() for columns in numeric for column in columns):
                raise GradcheckError("Numerical gradient for function expected to be zero")
            return
        for nr, k in enumerate(self.which):
            parts = (1j, 1) if self.outs[k].is_complex() else (1,)
            for part in parts:
                analytic = self._rows(k, part)
                for i, columns, found in zip(self.places, numeric, analytic):
                    # directions, elements of the input, elements of the output
                    moved = columns[k].real if part == 1 else columns[k].imag
                    expected = moved[0] + 1j * moved[1] if len(moved) == 2 else moved[0]
                    what = "" if len(parts) == 1 else _OF_COMPLEX.format(_PART[part], "outputs")
                    self._compare(what, "", nr, i, found, expected)

    def forward(self) -> None:
        """Compare the Jacobians that forward mode finds, column by column."""
        for i in self.places:
            columns = self._numeric(i)
            directions = (1, 1j) if self.args[i].is_complex() else (1,)
            for d, direction in enumerate(directions):
                what = (
                    "" if len(directions) == 1 else _OF_COMPLEX.format(_PART[direction], "inputs")
                )
                found = self._tangents(i, direction)
                for k in range(len(self.outs)):
                    self._compare(what, _FORWARD, k, i, found[k], columns[k][d])

    def _numeric(self, i: int) -> list[np.ndarray]:
        """For each output: directions of the input, its elements, elements of the output."""
        x = self.moved[i]
        array, elements = _elements(x)
        directions = (1, 1j) if x.is_complex() else (1,)
        result = [
            np.zeros((len(directions), x.numel(), o.numel()), np.result_type(to_host(o._data), 1.0))
            for o in self.outs
        ]
        for index, flat in elements:
            before = array[index].copy()
            try:
                for d, direction in enumerate(directions):
                    array[index] = before - self.eps * direction
                    low = self._values(index)
                    array[index] = before + self.eps * direction
                    for k, (a, b) in enumerate(zip(low, self._values(index))):
                        result[k][d, flat] = (b - a).reshape(-1) / (2 * self.eps)
            finally:
                array[index] = before
        return result

    def _values(self, index: Any = None) -> list[np.ndarray]:
        """The outputs where the inputs have been moved to."""
        values = [np.array(to_host(o._data)) for o in _floating(self.func(*self.moved))]
        for o, value in zip(self.outs, values):
            if value.shape != o._data.shape or value.dtype != o._data.dtype:
                what = "shape" if value.shape != o._data.shape else "dtype"
                raise AssertionError(
                    f"Expected `func` to return outputs with the same {what} when inputs are "
                    f"perturbed on index {index} by {self.eps}, but got: {what}s "
                    f"{getattr(o._data, what)} and {getattr(value, what)}."
                )
        return values

    def _rows(self, k: int, part: complex) -> list[np.ndarray]:
        """The Jacobians of output k (or its ``part``) by the inputs, from the engine."""
        out = self.outs[k]
        result = [np.zeros((x.numel(), out.numel()), x.dtype.numpy) for x in self.wanted]
        start = np.zeros(out.shape, out.dtype.numpy)
        for j in range(out.numel()):
            start.reshape(-1)[j] = part
            for x, found in zip(result, self._gradients(out, start)):
                if found is not None:
                    x[:, j] = found.reshape(-1)
            start.reshape(-1)[j] = 0
        return result

    def _gradients(self, out: Tensor, start: np.ndarray) -> list[np.ndarray | None]:
        """The gradients of ``out``, which must be the same twice."""
        runs = []
        for _ in range(2):
            begin = wrap(module_of(out._data).asarray(start), out._device)
            runs.append(run_backward([out], [begin], inputs=self.wanted, **_ONCE_MORE))
        dense: list[list[np.ndarray | None]] = [
            [None if g is None else _dense(g) for g in found] for found in runs
        ]
        for x, g, a, b in zip(self.wanted, runs[0], *dense):
            if a is None or b is None:
                continue
            if self.dtypes_too and g.dtype != x.dtype:
                raise GradcheckError("Gradient has dtype mismatch")
            if a.shape != tuple(x.shape):
                raise GradcheckError("Analytical gradient has incorrect size")
            if not _near(a, b, 0, self.nondet_tol):
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and "
                    "grad_output multiple times gives different values. The tolerance for "
                    f"nondeterminism was {self.nondet_tol}."
                )
        return dense[0]

    def _tangents(self, i: int, direction: complex) -> list[np.ndarray]:
        """For each output: elements of input i, elements of the output."""
        from framework.autograd import forward_ad

        x = self.args[i]
        _, elements = _elements(x)
        shape = (x.numel(),)
        result = [
            np.zeros((x.numel(), o.numel()), np.result_type(to_host(o._data), 1.0))
            for o in self.outs
        ]
        for _, flat in elements:
            tangent = np.zeros(shape, x.dtype.numpy)
            tangent[flat] = direction
            with forward_ad.dual_level():
                given = _duals(self.args, {i: _placed(tangent.reshape(x.shape), x)})
                for k, o in enumerate(_floating(self.func(*given))):
                    primal, found = forward_ad.unpack_dual(o)
                    if found is None:
                        continue
                    if self.dtypes_too and primal.is_complex() != found.is_complex():
                        raise GradcheckError("Forward AD gradient has dtype mismatch.")
                    values = to_host(found._data).reshape(-1)
                    result[k][flat] = values if o.is_complex() else values.real
        return result

    def _compare(
        self, what: str, mode: str, k: int, i: int, analytic: np.ndarray, numeric: np.ndarray
    ) -> None:
        """Both are [elements of input i, elements of output k]."""
        difference = np.abs(analytic - numeric)
        bad = ~((difference <= self.atol + self.rtol * np.abs(numeric)) | (analytic == numeric))
        if not bad.any():
            return
        ranked = np.where(bad, np.where(np.isnan(difference), np.inf, difference), -1)
        worst = np.unravel_index(int(np.argmax(ranked)), bad.shape)
        where = list(map(int, np.unravel_index(int(worst[0]), tuple(self.args[i].shape) or (1,))))
        raise GradcheckError(
            f"{what}Jacobian {mode}mismatch for output {k} with respect to input {i}, "
            f"{int(bad.any(1).sum())} of {len(bad)} elements differ, most of all {where}: "
            f"numerical {numeric[worst]:.10g}, analytical {analytic[worst]:.10g}"
        )

    # -- one direction of everything -------------------------------------------------------------

    def fast(self) -> None:
        """Compare v J u for a random direction u of each input and v of each output."""
        ends = {i: self._along(i) for i in self.places}
        if not self.which:
            for _, values in ends.values():
                if any(np.abs(v).max(initial=0) > self.nondet_tol for v in values):
                    raise GradcheckError("Numerical gradient for function expected to be zero")
            return
        for nr, k in enumerate(self.which):
            out = self.outs[k]
            v = to_host(_random_like(out, self.random)._data)
            v = np.asarray(v / max(np.linalg.norm(v), 1e-300))
            for i, found in zip(self.places, self._gradients(out, v)):
                direction, values = ends[i]
                numeric = _dot(v, values[k])
                analytic = 0.0 if found is None else _dot(direction, found)
                allowed = self.atol * float(np.abs(direction).sum() * np.abs(v).sum())
                if not abs(analytic - numeric) <= allowed + self.rtol * abs(numeric):
                    raise GradcheckError(
                        f"Gradients failed to compare equal for output {nr} with respect to input "
                        f"{i} along a random direction (fast_mode): numerical {numeric:.10g}, "
                        f"analytical {analytic:.10g}"
                    )

    def _along(self, i: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """A direction of input i of length 1, and the derivatives of the outputs along it."""
        x = self.args[i]
        array, elements = _elements(x)
        step = self.random.standard_normal(array.shape)
        if x.is_complex():
            step = step + 1j * self.random.standard_normal(array.shape)
        step = np.asarray(step / max(float(np.linalg.norm(step)), 1e-300)).astype(x.dtype.numpy)
        dense = np.zeros(x.numel(), x.dtype.numpy)
        for index, flat in elements:
            dense[flat] += step[index]
        before = array.copy()
        moved, self.moved = self.moved, self.args
        try:
            here = self.eps * module_of(array).asarray(step)
            array[...] = before - here
            low = self._values()
            array[...] = before + here
            high = self._values()
        finally:
            array[...] = before
            self.moved = moved
        change = [np.asarray((b - a) / (2 * self.eps)) for a, b in zip(low, high)]
        return dense.reshape(x.shape), change


def _check_zeros(func: Callable[..., Any], args: tuple[Any, ...], masked: bool) -> None:
    """Of gradients that are zero nothing but zeros may come, in the form of the inputs."""
    outs, wanted = _differentiable(func(*args)), _wanted(args)
    if not outs:
        return
    starts = [_zeros(o) for o in outs]
    for found, x in zip(run_backward(outs, starts, inputs=wanted, **_ONCE_MORE), wanted):
        if found is None:
            continue
        if found.is_sparse:
            if not x.is_sparse:
                raise GradcheckError(f"grad is incorrect layout ({found.layout} is not {x.layout})")
            for which in ("sparse_dim", "dense_dim"):
                got, expected = getattr(found, which)(), getattr(x, which)()
                if got != expected:
                    raise GradcheckError(
                        f"grad is sparse tensor, but has incorrect {which} {got}, expected "
                        f"{expected}"
                    )
        zeros = _dense(found)
        if not (_near(zeros, np.zeros_like(zeros)) if masked else not zeros.any()):
            raise GradcheckError("backward not multiplied by grad_output")


class _Undefined(Function):
    """A view whose gradient is undefined: not even zeros."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return None


def _check_undefined(func: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Undefined gradients of all outputs, or of one and zeros of the others, are as zeros."""
    wanted = _wanted(args)
    count = len(_differentiable(func(*args)))
    for undefined in [range(count), *[(k,) for k in range(count) if count > 1]]:
        outs = _differentiable(func(*args))
        ends = [_Undefined.apply(o) if k in undefined else o for k, o in enumerate(outs)]
        if not ends:
            return
        try:
            found = run_backward(ends, [_zeros(o) for o in ends], inputs=wanted, **_ONCE_MORE)
        except RuntimeError as error:
            _warn_of_undefined()
            raise GradcheckError(
                "Expected backward function to handle undefined output grads. Please look at "
                '"Notes about undefined output gradients" in "tools/autograd/derivatives.yaml"'
            ) from error
        if any(g is not None and _dense(g).any() for g in found):
            _warn_of_undefined()
            raise GradcheckError(
                "Expected all input grads to be undefined or zero when all output grads are "
                'undefined or zero. Please look at "Notes about undefined output gradients" in '
                '"tools/autograd/derivatives.yaml"'
            )


def _warn_of_undefined() -> None:
    caution(
        "Backwards compatibility: New undefined gradient support checking feature is enabled by "
        "default, but it may break existing callers of this function. If this is true for you, you "
        'can call this function with "check_undefined_grad=False" to disable the feature'
    )


def _check_absent_tangents(
    func: Callable[..., Any], args: tuple[Any, ...], random: np.random.Generator
) -> None:
    """An input without a tangent must count as one whose tangent is zero."""
    from framework.autograd import forward_ad

    places = [i for i, a in enumerate(args) if _wants(a)]
    for i in places:
        others = {k: _random_like(args[k], random) for k in places if k != i}
        with forward_ad.dual_level():
            both = []
            for tangents in (others | {i: _zeros(args[i])}, others):
                outs = _floating(func(*_duals(args, tangents)))
                both.append([forward_ad.unpack_dual(o)[1] for o in outs])
            for k, (filled, absent) in enumerate(zip(*both)):
                if filled is None or absent is None:
                    continue
                if not _near(to_host(filled._data), to_host(absent._data), 1e-5, 1e-8):
                    raise GradcheckError(
                        f"Mismatch in tangent values for output with index: {k} when input {i} has "
                        "an undefined tangent value"
                    )


def _check_batched(
    func: Callable[..., Any], args: tuple[Any, ...], atol: float, rtol: float,
    random: np.random.Generator,
) -> None:  # fmt: skip
    """Gradients for a batch of cotangents, at once and one by one."""
    from framework.autograd import grad
    from framework.ops.joining import stack

    outs = _differentiable(func(*args))
    wanted = _wanted(args)
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


def _check_batched_forward(
    func: Callable[..., Any], args: tuple[Any, ...], atol: float, rtol: float,
    random: np.random.Generator,
) -> None:  # fmt: skip
    """Tangents of a batch of directions, at once and one by one."""
    from framework.func import jvp, vmap
    from framework.ops.joining import stack

    places = [i for i, a in enumerate(args) if _wants(a)]

    def part(*some: Any) -> Any:
        given = list(args)
        for i, x in zip(places, some):
            given[i] = x
        return tuple(_floating(func(*given)))

    primals = tuple([args[i].detach() for i in places])
    directions = [tuple([_random_like(p, random) for p in primals]) for _ in range(2)]
    found = [jvp(part, primals, d)[1] for d in directions]
    stacked = [stack(list(ds)) for ds in zip(*directions)]
    both = vmap(lambda *ds: jvp(part, primals, ds)[1])(*stacked)
    for k, whole in enumerate(both):
        single = np.stack([to_host(t[k]._data) for t in found])
        if not np.allclose(to_host(whole._data), single, atol=atol, rtol=rtol):
            raise GradcheckError(
                f"For output {k}: the tangent that was computed inside of vmap differs from "
                "those computed one by one"
            )


# -- inputs and outputs ----------------------------------------------------------------------


def _check_inputs(args: tuple[Any, ...]) -> None:
    if not any(map(_wants, args)):
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them "
            "have requires_grad=True."
        )
    for i, a in enumerate(args):
        if not _wants(a):
            continue
        if a.dtype.to_real() is not dtypes.float64:
            caution(
                f"Input #{i} requires gradient and is not a double precision floating point or "
                "complex. This check will likely fail if all the inputs are not of double "
                "precision floating point or complex.",
            )
        data = a._data.values if a.is_sparse else a._data
        if any(not step and size > 1 for step, size in zip(data.strides, data.shape)):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs "
                "that are non-overlapping to be able to compute the numerical gradients correctly. "
                "You should call .contiguous on the input before passing it to gradcheck."
            )


def _wants(a: Any) -> bool:
    return isinstance(a, Tensor) and a.requires_grad


def _wanted(args: tuple[Any, ...]) -> list[Tensor]:
    return [a for a in args if _wants(a)]


def _elements(x: Tensor) -> tuple[Any, list[tuple[Any, int]]]:
    """The array to move, and for each element of it the index and the place in the whole."""
    if not x.is_sparse:
        return x._data, [(index, flat) for flat, index in enumerate(np.ndindex(*x.shape))]
    data: Any = x._data
    columns = to_host(data.indices).T.tolist()
    places = [
        ((n, *rest), (*column, *rest))
        for n, column in enumerate(columns)
        for rest in np.ndindex(*data.values.shape[1:])
    ]
    return data.values, [(i, int(np.ravel_multi_index(at, data.shape))) for i, at in places]


def _densified(x: Tensor) -> Tensor:
    """A sparse tensor in which all elements are there; a dense one as it is."""
    if not x.is_sparse:
        return x
    data: Any = x._data
    shape = data.shape[: data.sparse_dim]
    indices = module_of(data.indices).asarray(np.indices(shape).reshape(len(shape), -1))
    values = data.todense().reshape(-1, *data.shape[data.sparse_dim :])
    return wrap(type(data)(indices, values, data.shape, True), x._device).requires_grad_()


def _dense(x: Tensor) -> np.ndarray:
    data: Any = x._data
    return to_host(data.todense() if x.is_sparse else data)


def _duals(args: tuple[Any, ...], tangents: dict[int, Tensor]) -> list[Any]:
    """The arguments, those with a tangent as dual tensors; needs an open level."""
    from framework.autograd import forward_ad

    given = [a.detach() if isinstance(a, Tensor) else a for a in args]
    for i, tangent in tangents.items():
        given[i] = forward_ad.make_dual(given[i], tangent)
    return given


def _placed(array: np.ndarray, like: Tensor) -> Tensor:
    return wrap(module_of(like._data).asarray(array), like._device)


def _zeros(like: Tensor) -> Tensor:
    return wrap(module_of(like._data).zeros_like(like._data), like._device)


def _spread(tensor: Tensor) -> Tensor:
    """The same values, which do not lie side by side."""
    xp = module_of(tensor._data)
    room = xp.zeros((*tensor.shape, 2), tensor._data.dtype)
    room[..., 0] = tensor._data
    return wrap(room[..., 0], tensor._device)


def _near(a: np.ndarray, b: np.ndarray, rtol: float = 1e-5, atol: float = 1e-8) -> bool:
    return bool(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True))


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
