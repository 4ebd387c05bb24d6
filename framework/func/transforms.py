"""Function transforms: `grad`, `vjp`, `jvp`, jacobians and hessians of functions of pytrees."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from framework.autograd.levels import (
    Forward,
    Level,
    alias,
    depends,
    detached,
    running,
    stripped,
    tangents,
)
from framework.core.engine import run_backward
from framework.core.modes import modes
from framework.func.vmap import vmap
from framework.tensor import Tensor
from framework.utils._pytree import tree_flatten, tree_map, tree_unflatten

__all__ = [
    "functionalize", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "vjp",
]  # fmt: skip


class _Transform:
    """The time in which a transform runs its function: grad mode is on, its level is open."""

    def __enter__(self) -> Level:
        self.before, modes.grad = modes.grad, True
        self.level = Level(self.before)
        running.append(self.level)
        modes.transforms += 1
        return self.level

    def __exit__(self, *exc: object) -> None:
        modes.grad = self.before
        modes.transforms -= 1
        running.remove(self.level)
        self.level.open = False


def _aliases(tree: Any, level: Level, what: str) -> tuple[Any, list[Tensor]]:
    """The tree with aliases of its tensors, and these."""
    leaves, spec = tree_flatten(tree)
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(f"{what}: Expected tensors, got unsupported type {type(leaf)}")
        if not (leaf.is_floating_point() or leaf.is_complex()):
            raise RuntimeError(
                f"{what}: only Tensors of floating point and complex dtype can require gradients, "
                f"but got {leaf.dtype}"
            )
    made = [alias(leaf, level) for leaf in leaves]
    return tree_unflatten(made, spec), made


def _gradients(
    roots: list[Any], starts: list[Any], wanted: list[Any], create_graph: bool, retain: bool
) -> list[Any]:
    """Gradients of the roots that have a history, zeros where there is none."""
    pairs = [(r, s) for r, s in zip(roots, starts) if isinstance(r, Tensor) and r.requires_grad]
    found: list[Any] = [None] * len(wanted)
    if pairs:
        found = run_backward(
            [r for r, _ in pairs], [s for _, s in pairs], retain_graph=retain or create_graph,
            create_graph=create_graph, inputs=wanted, accumulate=False,
        )  # fmt: skip
    return [_zeros(w) if g is None else g for g, w in zip(found, wanted)]


def _zeros(like: Tensor) -> Tensor:
    from framework.ops.creation import zeros

    return zeros(like.shape, dtype=like.dtype, device=like.device)


def _positions(argnums: Any, count: int, name: str) -> tuple[int, ...]:
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    numbers = argnums if isinstance(argnums, tuple) else (argnums,)
    for n in numbers:
        if not isinstance(n, int):
            raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(n)}")
        if not -count <= n < count:
            raise RuntimeError(f"Got argnum={n}, but only {count} positional inputs")
    found = tuple([n % count for n in numbers])
    if len(set(found)) != len(found):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")
    if not found:
        raise RuntimeError(f"{name}: argnums must not be empty")
    return found


def _chosen(args: tuple[Any, ...], argnums: Any, name: str) -> Any:
    """The arguments to differentiate by, nested as argnums are."""
    places = _positions(argnums, len(args), name)
    return args[places[0]] if isinstance(argnums, int) else tuple([args[p] for p in places])


def _replaced(args: tuple[Any, ...], argnums: Any, chosen: Any, name: str) -> tuple[Any, ...]:
    places = _positions(argnums, len(args), name)
    values = (chosen,) if isinstance(argnums, int) else chosen
    new = list(args)
    for p, v in zip(places, values):
        new[p] = v
    return tuple(new)


# -- gradients --------------------------------------------------------------------------------


def grad_and_value(
    func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that returns the gradient of ``func`` and its value: (grad, value).

    With has_aux, where ``func`` returns (value, aux), it returns (grad, (value, aux)). RuntimeError
    when ``func`` returns something else than a scalar tensor.

    >>> import framework as torch
    >>> torch.func.grad_and_value(lambda x: x**3)(torch.tensor(2.0))
    (tensor(12.), tensor(8.))
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with _Transform() as level:
            chosen = _chosen(args, argnums, "grad")
            tree, inputs = _aliases(chosen, level, "grad_and_value(f)(*args)")
            output = func(*_replaced(args, argnums, tree, "grad"), **kwargs)
            aux = None
            if has_aux:
                if not (isinstance(output, tuple) and len(output) == 2):
                    raise RuntimeError(
                        "grad_and_value(f)(*args): output of function f should be a tuple: (output,"
                        f" aux) if has_aux is True, got {type(output).__name__}"
                    )
                output, aux = output
            if not isinstance(output, Tensor):
                raise RuntimeError(
                    "grad_and_value(f)(*args): Expected f(*args) to return a tensor, got "
                    f"{type(output)}"
                )
            if output.dim():
                raise RuntimeError(
                    "grad_and_value(f)(*args): Expected f(*args) to return a scalar tensor, got "
                    f"tensor with {output.dim()} dims. Maybe you wanted to use the vjp or jacrev "
                    "APIs instead?"
                )
            outside = level.recorded and depends([output], level)
            from framework.ops.creation import ones

            start = ones((), dtype=output.dtype, device=output.device)
            found = _gradients([output], [start], inputs, outside, False)
        value = output if outside else stripped(output)
        result = tree_unflatten(found, tree_flatten(chosen)[1])
        if has_aux:
            return result, (value, tree_map(lambda x: detached(x, level), aux))
        return result, value

    return wrapper


def grad(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of ``func``, which must return one scalar tensor.

    Args:
        argnums: the positional argument(s) to differentiate by; each may be a pytree of tensors.
        has_aux: ``func`` returns (value, aux) and the gradient function (gradient, aux).

    Raises:
        RuntimeError: ``func`` returns something else than a scalar tensor.

    >>> import framework as torch
    >>> cube = lambda x: x**3
    >>> torch.func.grad(torch.func.grad(cube))(torch.tensor(2.0))
    tensor(12.)
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        found, value = grad_and_value(func, argnums, has_aux)(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return wrapper


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """``(func(*primals), vjp_fn)``: vjp_fn takes cotangents nested as the output is.

    vjp_fn returns a tuple of the gradients for each primal, and may be called again. With has_aux
    the result is (output, vjp_fn, aux). RuntimeError if ``func`` returns something else than
    tensors, or for cotangents of another structure.

    Primals are floating or complex (RuntimeError for integers); gradients have their dtypes.

    >>> import framework as torch
    >>> out, vjp_fn = torch.func.vjp(torch.sin, torch.zeros(2))
    >>> vjp_fn(torch.ones(2))
    (tensor([1., 1.]),)
    """
    with _Transform() as level:
        tree, inputs = _aliases(primals, level, "vjp(f, *primals)")
        output = func(*tree)
        output, aux = _aux(output, has_aux, "vjp")
        flat, spec = tree_flatten(output)
        _only_tensors(flat, "vjp(f, *primals)")
        outside = level.recorded and depends(flat, level)
    roots = list(flat)
    primal_spec = tree_flatten(primals)[1]

    def vjp_fn(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        starts, given = tree_flatten(cotangents)
        if given != spec:
            raise RuntimeError(
                f"Expected pytree structure of cotangents to be the same as pytree structure of "
                f"outputs to the function. cotangents: {given}, primal output: {spec}"
            )
        for start, root in zip(starts, roots):
            if isinstance(start, Tensor) and start.shape != root.shape:
                raise RuntimeError(
                    f"Mismatch in shape: grad_output[0] has a shape of {start.shape} and output[0]"
                    f" has a shape of {root.shape}."
                )
        create = create_graph
        if create is None:
            create = modes.grad and (outside or depends(starts, level))
        found = _gradients(roots, starts, inputs, create, retain_graph)
        return tree_unflatten(found, primal_spec)

    out = tree_unflatten([detached(x, level) for x in flat], spec)
    if has_aux:
        return out, vjp_fn, tree_map(lambda x: detached(x, level), aux)
    return out, vjp_fn


def _aux(output: Any, has_aux: bool, name: str) -> tuple[Any, Any]:
    if not has_aux:
        return output, None
    if not (isinstance(output, tuple) and len(output) == 2):
        raise RuntimeError(
            f"{name}(f, *primals): output of function f should be a tuple: (output, aux) if "
            "has_aux is True"
        )
    return output


def _only_tensors(flat: list[Any], name: str) -> None:
    if not flat:
        raise RuntimeError(f"{name}: Expected f to be a function that has non-empty output")
    for x in flat:
        if not isinstance(x, Tensor):
            raise RuntimeError(
                f"{name}: expected f(*primals) to return only tensors, got unsupported type "
                f"{type(x)}"
            )


# -- forward mode -----------------------------------------------------------------------------


class _Linear:
    """``func`` at a point: its output, and tangents of it for tangents of the point."""

    def __init__(self, func: Any, primals: Any, has_aux: bool, name: str) -> None:
        with _Transform() as level:
            tree, self.inputs = _aliases(primals, level, f"{name}(f, primals, tangents)")
            with Forward({x._edge[0] for x in self.inputs}):
                output, self.aux = _aux(func(*tree), has_aux, name)
            self.flat, self.spec = tree_flatten(output)
            _only_tensors(self.flat, f"{name}(f, primals, tangents)")
            self.outside = level.recorded and depends(self.flat, level)
        self.level = level

    def output(self) -> Any:
        return tree_unflatten([detached(x, self.level) for x in self.flat], self.spec)

    def push(self, given: list[Any]) -> Any:
        nodes = [x._edge[0] for x in self.inputs]
        seeds = {n: t for n, t in zip(nodes, given) if t is not None}
        create = modes.grad and (self.outside or depends(given, self.level))
        found = tangents(self.flat, seeds, self.level, create, {})
        found = [_zeros(x) if t is None else t for t, x in zip(found, self.flat)]
        return tree_unflatten([t if create else stripped(t) for t in found], self.spec)


def jvp(
    func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False,
    has_aux: bool = False,
) -> Any:  # fmt: skip
    """``(func(*primals), derivative along tangents)``, in forward mode.

    RuntimeError for primals and tangents of different structures or shapes, or no tuples.

    Args:
        primals: a tuple of the arguments; each may be a pytree of tensors.
        tangents: of the same structure, shapes and dtypes.
        strict: an output that does not depend on the inputs is an error instead of zero.
        has_aux: ``func`` returns (output, aux); the result is then (output, tangents, aux).

    >>> import framework as torch
    >>> torch.func.jvp(lambda x: x**2, (torch.tensor(3.0),), (torch.tensor(1.0),))
    (tensor(9.), tensor(6.))
    """
    name = "jvp(f, primals, tangents)"
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"{name}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    flat, spec = tree_flatten(primals)
    given, given_spec = tree_flatten(tangents)
    if spec != given_spec:
        raise RuntimeError(
            f"{name}: Expected primals and tangents to have the same python structure. For example,"
            f" if primals is a tuple of 3 tensors, tangents also must be. Got primals with "
            f"structure {spec} and tangents with structure {given_spec}"
        )
    if not flat:
        raise RuntimeError(f"{name}: Expected primals to have at least one Tensor.")
    for p, t in zip(flat, given):
        if isinstance(p, Tensor) and isinstance(t, Tensor) and p.shape != t.shape:
            raise RuntimeError(
                "Trying to set a forward gradient that has a different size than that of the "
                f"original Tensor, this is not supported. Tensor is of size {list(p.shape)} while "
                f"the given forward gradient is of size {list(t.shape)}."
            )
    line = _Linear(func, primals, has_aux, "jvp")
    result = line.push(given)
    if strict and any(
        not isinstance(x, Tensor) or not x.requires_grad for x in line.flat
    ):  # fmt: skip
        raise RuntimeError(
            "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. "
            "This is not allowed with strict=True."
        )
    if has_aux:
        return line.output(), result, tree_map(lambda x: detached(x, line.level), line.aux)
    return line.output(), result


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """``(func(*primals), jvp_fn)``: jvp_fn(*tangents) is `jvp` without running ``func`` again.

    jvp_fn raises a RuntimeError for tangents of another structure or shape.

    Tangents have the dtypes of the primals (RuntimeError for others).

    >>> import framework as torch
    >>> out, jvp_fn = torch.func.linearize(torch.exp, torch.zeros(2))
    >>> jvp_fn(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    line = _Linear(func, primals, False, "linearize")
    spec = tree_flatten(primals)[1]

    def jvp_fn(*given: Any) -> Any:
        leaves, found = tree_flatten(given)
        if found != spec:
            raise RuntimeError(
                f"Expected the tangents {found} to have the same argspec as the primals {spec}"
            )
        for k, (x, t) in enumerate(zip(line.inputs, leaves)):
            which = f"tangent:{k} with"
            if x.shape != t.shape:
                raise RuntimeError(
                    f"{which} shape {t.shape} in flattened pytree doesn't match the shape "
                    f"{x.shape} of the corresponding primal."
                )
            if x.dtype is not t.dtype:
                raise RuntimeError(
                    f"{which} dtype {t.dtype} in flattened pytree doesn't match the dtype "
                    f"{x.dtype} of the corresponding primal."
                )
        return line.push(leaves)

    return line.output(), jvp_fn


# -- jacobians --------------------------------------------------------------------------------


def _basis(tensors: list[Any]) -> tuple[list[Any], list[int]]:
    """For tensors with n elements in all: n unit vectors, split as the tensors; and their sizes."""
    from framework.ops.creation import eye

    sizes = [t.numel() for t in tensors]
    total, start, parts = sum(sizes), 0, []
    for t, n in zip(tensors, sizes):
        unit = eye(total, dtype=t.dtype, device=t.device)[:, start : start + n]
        parts.append(unit.reshape(total, *t.shape))
        start += n
    return parts, sizes


def jacrev(
    func: Callable[..., Any], argnums: Any = 0, *, has_aux: bool = False,
    chunk_size: int | None = None, _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:  # fmt: skip
    """A function that returns the jacobian of ``func``, in reverse mode.

    The result is nested as the output of ``func``, and within as the argument(s); each jacobian has
    the output's shape followed by the input's. RuntimeError for a ``func`` that returns no tensors,
    ValueError for a chunk size that is not positive.

    Args:
        argnums: the positional argument(s) to differentiate by.
        has_aux: ``func`` returns (output, aux), the jacobian function (jacobian, aux).
        chunk_size: compute at most so many rows at a time.

    >>> import framework as torch
    >>> torch.func.jacrev(torch.sin)(torch.zeros(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        chosen = _chosen(args, argnums, "jacrev")

        def part(*some: Any) -> Any:
            tree = some[0] if isinstance(argnums, int) else some
            return func(*_replaced(args, argnums, tree, "jacrev"), **kwargs)

        primals = (chosen,) if isinstance(argnums, int) else chosen
        made = vjp(part, *primals, has_aux=has_aux)
        output, vjp_fn = made[0], made[1]
        flat, spec = tree_flatten(output)
        basis, sizes = _basis(flat)

        def pull(*starts: Any) -> Any:
            return vjp_fn(tree_unflatten(starts, spec))

        rows = vmap(pull, chunk_size=chunk_size)(*basis)  # a tuple, one for each primal
        leaves, in_spec = tree_flatten(rows if not isinstance(argnums, int) else rows[0])
        result = []
        start = 0
        for out, n in zip(flat, sizes):
            blocks = [
                leaf.narrow(0, start, n).reshape(*out.shape, *leaf.shape[1:]) for leaf in leaves
            ]
            result.append(tree_unflatten(blocks, in_spec))
            start += n
        jacobian = tree_unflatten(result, spec)
        return (jacobian, made[2]) if has_aux else jacobian

    return wrapper


def jacfwd(
    func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable[..., Any]:
    """A function that returns the jacobian of ``func``, in forward mode; else as `jacrev`.

    RuntimeError for a ``func`` that returns no tensors.

    >>> import framework as torch
    >>> torch.func.jacfwd(torch.sin)(torch.zeros(2))
    tensor([[1., 0.],
            [0., 1.]])
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        chosen = _chosen(args, argnums, "jacfwd")
        flat_in, in_spec = tree_flatten(chosen)
        _only_tensors(flat_in, "jacfwd")
        basis, sizes = _basis(flat_in)
        found_aux: list[Any] = []

        def push(*directions: Any) -> Any:
            def part(*leaves: Any) -> Any:
                tree = tree_unflatten(leaves, in_spec)
                return func(*_replaced(args, argnums, tree, "jacfwd"), **kwargs)

            made = jvp(part, tuple(flat_in), directions, has_aux=has_aux)
            found_aux[:] = made[2:]
            return made[1]

        columns = vmap(push, randomness=randomness)(*basis)
        leaves, out_spec = tree_flatten(columns)
        result = []
        for leaf in leaves:
            shape = leaf.shape[1:]
            blocks, start = [], 0
            for x, n in zip(flat_in, sizes):
                part = leaf.narrow(0, start, n).movedim(0, -1)
                blocks.append(part.reshape(*shape, *x.shape))
                start += n
            result.append(tree_unflatten(blocks, in_spec))
        jacobian = tree_unflatten(result, out_spec)
        return (jacobian, found_aux[0]) if has_aux else jacobian

    return wrapper


def hessian(func: Callable[..., Any], argnums: Any = 0) -> Callable[..., Any]:
    """A function that returns the hessian of ``func``: `jacfwd` of `jacrev`.

    RuntimeError for a ``func`` that returns no tensors.

    >>> import framework as torch
    >>> torch.func.hessian(lambda x: (x**3).sum())(torch.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """``func`` itself: its results do not tell whether intermediate results were mutated.

    PyTorch's transform rewrites mutations for the sake of tracers; here ops are not rewritten, and
    writes to arguments happen as they do there. RuntimeError for another ``remove``.

    >>> import framework as torch
    >>> torch.func.functionalize(lambda x: x.clone().mul_(2))(torch.ones(2))
    tensor([2., 2.])
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            "functionalize(f, remove='mutations'): received invalid argument for remove=. Valid "
            f"options are:\n     remove='mutations' or 'mutations_and_views', but got {remove!r}"
        )

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return wrapped
