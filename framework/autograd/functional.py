"""Derivatives of functions of tensors: products with vectors, jacobians and hessians.

``inputs`` is a tensor or a tuple of them, ``func`` takes them as arguments and returns a tensor or
a tuple of them. Results are nested in the same way: a tensor where a tensor was given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.core.engine import run_backward
from framework.core.modes import enable_grad
from framework.tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Func = Callable[..., Any]
Tensors = tuple[Tensor, ...]


def _tuple(value: Any, what: str = "", name: str = "") -> tuple[bool, Tensors]:
    """(whether it was a tuple, the tensors)."""
    single = not isinstance(value, tuple)
    found = (value,) if single else value
    for i, x in enumerate(found):
        if not isinstance(x, Tensor):
            where = (
                f"given {what} has type {type(x)}." if single
                else f"value at index {i} has type {type(x)}."
            )  # fmt: skip
            raise TypeError(
                f"The {what} given to {name} must be either a Tensor or a tuple of Tensors but the "
                + where
            )
    return not single, found


def _inputs(inputs: Tensors, create_graph: bool) -> Tensors:
    """What to differentiate by: views of the inputs, or leaves where no graph is wanted."""
    if create_graph:
        return tuple([
            x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in inputs
        ])  # fmt: skip
    return tuple([x.detach().requires_grad_() for x in inputs])


def _nested(values: Any, was_tuple: bool) -> Any:
    return tuple(values) if was_tuple else values[0]


def _left(value: Any, create_graph: bool, inputs: Tensors) -> Any:
    """A result: without history unless there is a graph to be made."""
    if isinstance(value, tuple):
        return tuple([_left(v, create_graph, inputs) for v in value])
    return value if create_graph else value.detach()


def _vector(v: Any, like: Tensors, was_tuple: bool, name: str, what: str) -> Tensors:
    """The vector to multiply with, checked; ones for a single element."""
    if v is None:
        if len(like) != 1 or like[0].nelement() != 1:
            raise RuntimeError(f"The vector v can only be None if {what}.")
        from framework.ops.creation import ones

        return (ones(like[0].shape, dtype=like[0].dtype, device=like[0].device),)
    is_tuple, found = _tuple(v, "v", name)
    if len(found) != len(like):
        if was_tuple:
            raise RuntimeError(
                f"v is a tuple of invalid length: should be {len(like)} but got {len(found)}."
            )
        raise RuntimeError("The given v should contain a single Tensor.")
    for i, (a, b) in enumerate(zip(found, like)):
        if a.size() != b.size():
            prefix = f"Entry {i} in " if is_tuple else ""
            raise RuntimeError(
                f"{prefix}v has invalid size: should be {b.size()} but got {a.size()}."
            )
    return found


def _gradients(outs: Any, wanted: Any, starts: Any, create_graph: bool) -> list[Any]:
    """Gradients of the outputs that have a history; None where there is none."""
    if starts is None:
        starts = [None] * len(outs)
    roots, given = [], []
    for out, start in zip(outs, starts):
        if out is not None and out.requires_grad:
            roots.append(out)
            given.append(_ones(out) if start is None else start)
    if not roots:
        return [None] * len(wanted)
    return run_backward(
        roots, given, retain_graph=True, create_graph=create_graph, inputs=list(wanted),
        accumulate=False,
    )  # fmt: skip


def _ones(like: Tensor) -> Tensor:
    from framework.ops.creation import ones

    return ones(like.shape, dtype=like.dtype, device=like.device)


def _zeros(like: Tensor) -> Tensor:
    from framework.ops.creation import zeros

    return zeros(like.shape, dtype=like.dtype, device=like.device)


def _filled(grads: Any, refs: Any, strict: bool, message: Any) -> Tensors:
    result = []
    for i, (g, ref) in enumerate(zip(grads, refs)):
        if g is None and strict:
            raise RuntimeError(message(i))
        result.append(_zeros(ref) if g is None else g)
    return tuple(result)


def _independent(i: int) -> str:
    return (
        f"The output of the user-provided function is independent of input {i}. This is not "
        "allowed in strict mode."
    )


def _strict_outputs(outs: Tensors, strict: bool) -> None:
    if not strict:
        return
    for i, o in enumerate(outs):
        if not o.requires_grad:
            raise RuntimeError(
                f"Output {i} of the user-provided function does not require gradients. The outputs "
                "must be computed in a differentiable manner from the input when running in strict "
                "mode."
            )


def _strict_hessian(grads: Tensors, strict: bool) -> None:
    if not strict:
        return
    for i, g in enumerate(grads):
        if not g.requires_grad:
            raise RuntimeError(
                "While computing the hessian, found that the jacobian of the user-provided "
                f"function with respect to input {i} is independent of the input. This is not "
                "allowed in strict mode. You should ensure that your function is twice "
                "differentiable and that the jacobian depends on the inputs (this would be "
                "violated by a linear function for example)."
            )


# -- products with vectors --------------------------------------------------------------------


def vjp(
    func: Func, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``(func(*inputs), v^T J)``.

    RuntimeError for a ``v`` of another shape or, where the output has several elements, none.

    Args:
        v: of the shape(s) of the output; may be None for an output of one element.
        create_graph: make the results differentiable.
        strict: an output that does not depend on an input is an error instead of zeros.

    Inputs are floating or complex; gradients have their dtypes.

    >>> import framework as torch
    >>> x = torch.tensor([1.0, 2.0])
    >>> torch.autograd.functional.vjp(lambda x: x**2, x, torch.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    with enable_grad():
        many_in, given = _tuple(inputs, "inputs", "vjp")
        xs = _inputs(given, create_graph)
        many_out, outs = _tuple(func(*xs), "outputs of the user-provided function", "vjp")
        _strict_outputs(outs, strict)
        what = "the user-provided function returns a single Tensor with a single element"
        starts = _vector(v, outs, many_out, "vjp", what)
        found = _gradients(outs, xs, starts, create_graph)
        grads = _filled(found, xs, strict, _independent)
        if strict and create_graph:
            _strict_graph(grads)
    return (
        _nested(_left(outs, create_graph, xs), many_out),
        _nested(_left(grads, create_graph, xs), many_in),
    )


def _strict_graph(grads: Tensors) -> None:
    for i, g in enumerate(grads):
        if not g.requires_grad:
            raise RuntimeError(
                f"The jacobian of the user-provided function is independent of input {i}. This is "
                "not allowed in strict mode when create_graph=True."
            )


def jvp(
    func: Func, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``(func(*inputs), J v)``, by differentiating the vjp once more.

    RuntimeError for a ``v`` of another shape or, where the input has several elements, none.

    Args:
        v: of the shape(s) of the inputs; may be None for an input of one element.
        create_graph: make the results differentiable.
        strict: an output that does not depend on an input is an error instead of zeros.

    Inputs are floating or complex; the product has the dtype of the output.

    >>> import framework as torch
    >>> x = torch.tensor([1.0, 2.0])
    >>> torch.autograd.functional.jvp(lambda x: x**2, x, torch.ones(2))
    (tensor([1., 4.]), tensor([2., 4.]))
    """
    with enable_grad():
        many_in, given = _tuple(inputs, "inputs", "jvp")
        xs = _inputs(given, create_graph)
        vs = _vector(v, xs, many_in, "jvp", "the input to the user-provided function is a single "
                     "Tensor with a single element")  # fmt: skip
        many_out, outs = _tuple(func(*xs), "outputs of the user-provided function", "jvp")
        _strict_outputs(outs, strict)
        starts = tuple([_zeros(o).requires_grad_() for o in outs])
        found = _gradients(outs, xs, starts, True)
        pulled = _filled(found, xs, strict, _independent)
        pushed = _gradients(pulled, starts, vs, create_graph)
        grads = _filled(pushed, outs, strict, lambda i: (
            f"The jvp is independent of entry {i} in the output. This is not allowed in strict "
            "mode."))  # fmt: skip
    return (
        _nested(_left(outs, create_graph, xs), many_out),
        _nested(_left(grads, create_graph, xs), many_out),
    )


def vhp(
    func: Func, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``(func(*inputs), v^T H)`` of a function of one value.

    The other arguments are those of `vjp`. RuntimeError for a function of several values or a ``v``
    of another shape.

    Inputs are floating or complex; the product has their shapes and dtypes.

    >>> import framework as torch
    >>> x = torch.tensor([1.0, 2.0])
    >>> torch.autograd.functional.vhp(lambda x: (x**3).sum(), x, torch.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return _hessian_product(func, inputs, v, create_graph, strict, "vhp", False)


def hvp(
    func: Func, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """``(func(*inputs), H v)`` of a function of one value; `vhp` is faster.

    RuntimeError for a function of several values or a ``v`` of another shape.

    Inputs are floating or complex; the product has their shapes and dtypes.

    >>> import framework as torch
    >>> x = torch.tensor([1.0, 2.0])
    >>> torch.autograd.functional.hvp(lambda x: (x**3).sum(), x, torch.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    return _hessian_product(func, inputs, v, create_graph, strict, "hvp", True)


def _hessian_product(
    func: Func, inputs: Any, v: Any, create_graph: bool, strict: bool, name: str, twice: bool
) -> tuple[Any, Any]:
    with enable_grad():
        many_in, given = _tuple(inputs, "inputs", name)
        xs = _inputs(given, create_graph)
        vs = _vector(v, xs, many_in, name, "the input to the user-provided function is a single "
                     "Tensor with a single element")  # fmt: skip
        many_out, outs = _tuple(func(*xs), "outputs of the user-provided function", name)
        _strict_outputs(outs, strict)
        if many_out:
            raise RuntimeError(f"The function given to {name} should return a single Tensor")
        if outs[0].nelement() != 1:
            raise RuntimeError(
                f"The Tensor returned by the function given to {name} should contain a single "
                "element"
            )
        first = _filled(_gradients(outs, xs, None, True), xs, strict, _independent)
        _strict_hessian(first, strict)
        if twice:
            starts = tuple([_zeros(x).requires_grad_() for x in xs])
            pulled = _gradients(first, xs, starts, True)
            middle = _filled(pulled, xs, strict, _independent)
            second = _gradients(middle, starts, vs, create_graph)
        else:
            second = _gradients(first, xs, vs, create_graph)
        grads = _filled(second, xs, strict, lambda i: (
            f"The hessian of the user-provided function is independent of input {i}. This is not "
            "allowed in strict mode."))  # fmt: skip
    return (
        _nested(_left(outs, create_graph, xs), many_out),
        _nested(_left(grads, create_graph, xs), many_in),
    )


# -- matrices ---------------------------------------------------------------------------------


def jacobian(
    func: Func, inputs: Any, create_graph: bool = False, strict: bool = False,
    vectorize: bool = False, strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The jacobian: of the output's shape followed by the input's.

    For several outputs and inputs ``result[i][j]`` is that of output i by input j. TypeError if the
    function returns something else than tensors, RuntimeError for ``strict`` with ``vectorize``.

    Args:
        create_graph: make it differentiable.
        strict: an output that does not depend on an input is an error instead of zeros.
        vectorize: compute all rows (or columns) at once with `vmap`.
        strategy: "reverse-mode" or, with vectorize, "forward-mode".

    Inputs are floating or complex (RuntimeError for integers).

    >>> import framework as torch
    >>> torch.autograd.functional.jacobian(lambda x: x.exp().sum(1), torch.zeros(2, 2))
    tensor([[[1., 1.],
             [0., 0.]],
    <BLANKLINE>
            [[0., 0.],
             [1., 1.]]])
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your '
            'function has more outputs than inputs, "forward-mode" tends to be more performant. '
            'Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode":
        if create_graph:
            raise NotImplementedError(
                "torch.autograd.functional.jacobian: `create_graph=True` and "
                '`strategy="forward-mode"` are not supported together (yet). Please either set '
                '`create_graph=False` or `strategy="reverse-mode"`.'
            )
        return _forward_jacobian(func, inputs, strict, vectorize)
    if strict and vectorize:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not "
            "supported together. Please either set `strict=False` or `vectorize=False`."
        )
    with enable_grad():
        many_in, given = _tuple(inputs, "inputs", "jacobian")
        xs = _inputs(given, create_graph)
        many_out, outs = _tuple(func(*xs), "outputs of the user-provided function", "jacobian")
        _strict_outputs(outs, strict)
        rows = []
        for i, out in enumerate(outs):
            rows.append(_rows(out, i, xs, create_graph, strict, vectorize))
    result = _left(tuple(rows), create_graph, xs)
    return _nested([_nested(row, many_in) for row in result], many_out)


def _rows(
    out: Tensor, number: int, xs: Tensors, create_graph: bool, strict: bool, vectorize: bool
) -> Tensors:
    """The jacobians of one output by each input."""
    from framework.ops.creation import eye
    from framework.ops.joining import stack

    n = out.numel()
    unit = eye(n, dtype=out.dtype, device=out.device).reshape(n, *out.shape)
    if vectorize and n:
        from framework.func import vmap

        def pull(start: Tensor) -> Tensors:
            return _filled(_gradients([out], xs, [start], create_graph), xs, False, None)

        blocks = vmap(pull)(unit)
    else:
        lines: list[list[Tensor]] = [[] for _ in xs]
        for k in range(n):
            found = _gradients([out], xs, [unit[k]], create_graph)
            for j, (g, x) in enumerate(zip(found, xs)):
                if strict and create_graph and g is not None and not g.requires_grad:
                    raise RuntimeError(
                        "The jacobian of the user-provided function is independent of input "
                        f"{j}. This is not allowed in strict mode when create_graph=True."
                    )
                if strict and g is None:
                    raise RuntimeError(
                        f"Output {number} of the user-provided function is independent of input "
                        f"{j}. This is not allowed in strict mode."
                    )
                lines[j].append(_zeros(x) if g is None else g)
        blocks = tuple([
            stack(line) if line else out.new_zeros((0, *x.shape)) for line, x in zip(lines, xs)
        ])  # fmt: skip
    return tuple([b.reshape(*out.shape, *x.shape) for b, x in zip(blocks, xs)])


def _forward_jacobian(func: Func, inputs: Any, strict: bool, vectorize: bool) -> Any:
    from framework.func import jacfwd

    if strict:
        raise RuntimeError(
            'torch.autograd.functional.jacobian: `strict=True` and `strategy="forward-mode"` are '
            "not supported together (yet). Please either set `strict=False` or "
            '`strategy="reverse-mode"`.'
        )
    if not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian is only "
            "implemented for `vectorize=True`."
        )
    many_in, given = _tuple(inputs, "inputs", "jacobian")
    xs = tuple([x.detach() for x in given])
    many_out: list[bool] = []

    def whole(*some: Tensor) -> Tensors:
        many, outs = _tuple(func(*some), "outputs of the user-provided function", "jacobian")
        many_out[:] = [many]
        return outs

    found = jacfwd(whole, tuple(range(len(xs))))(*xs)
    rows = [_nested([b.detach() for b in row], many_in) for row in found]
    return _nested(rows, many_out[0])


def hessian(
    func: Func, inputs: Any, create_graph: bool = False, strict: bool = False,
    vectorize: bool = False, outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The hessian of a function of one value; for several inputs ``result[i][j]``.

    The other arguments are those of `jacobian`. RuntimeError for a function of several values.

    Of an input of shape `(*)` it is `(*, *)`, in the input's dtype, which is floating or
    complex.

    >>> import framework as torch
    >>> torch.autograd.functional.hessian(lambda x: (x**3).sum(), torch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    many_in, given = _tuple(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def one_value(*xs: Tensor) -> Tensor:
        many, outs = _tuple(func(*xs), "outputs of the user-provided function", "hessian")
        _strict_outputs(outs, strict)
        if many:
            raise RuntimeError("The function given to hessian should return a single Tensor")
        if outs[0].nelement() != 1:
            raise RuntimeError(
                "The Tensor returned by the function given to hessian should contain a single "
                "element"
            )
        return outs[0].squeeze()

    def gradient(*xs: Tensor) -> Any:
        if outer_jacobian_strategy == "forward-mode":
            xs = tuple([x if x.requires_grad else x.requires_grad_() for x in xs])
        jac = jacobian(one_value, xs, create_graph=True)
        _strict_hessian(jac, strict)
        return jac

    result = jacobian(
        gradient, given, create_graph=create_graph, strict=strict, vectorize=vectorize,
        strategy=outer_jacobian_strategy,
    )  # fmt: skip
    return _nested([_nested(row, many_in) for row in result], many_in)
