"""`vmap`: a function of samples as a function of batches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import count
from typing import Any

from framework import random as streams
from framework.func.batched import BatchedTensor, VmapLayer, batched, unwrapped
from framework.tensor import Tensor
from framework.utils._pytree import TreeSpec, broadcast_to, tree_flatten, tree_unflatten

__all__ = ["vmap"]

_levels = count(1)


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """Map ``func`` over a dimension of its arguments, with whole tensors at a time.

    Inside of ``func`` the tensors have no batch dimension. Ops with a batching rule run once on the
    whole batch, others sample by sample. Calls may be nested, and composed with `grad`, `vjp`, ...

    Args:
        in_dims: the dimension to map over of each argument: an int, None (the same for every
            sample), or a tuple of them nested as the arguments are.
        out_dims: where the mapped dimension stands in each output.
        randomness: what random ops do: "error", "different" for each sample, or the "same".
        chunk_size: map at most so many samples at once, to save memory.

    Raises:
        ValueError: in_dims or out_dims do not fit the arguments or results.
        RuntimeError: ``func`` does what depends on the values of a sample (`Tensor.item`, ``if``),
            or a random op with randomness "error".

    >>> import framework as torch
    >>> torch.vmap(torch.dot)(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.ones(2, 2))
    tensor([3., 7.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. Got "
            f"{randomness}"
        )
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")
    name = _name(func)

    @functools.wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        size, dims, leaves, spec = _inputs(in_dims, args, name)
        if chunk_size is None or size <= chunk_size:
            flat, out_spec = _run(
                func, name, randomness, out_dims, size, dims, leaves, spec, kwargs
            )  # fmt: skip
            return tree_unflatten([v for v, _ in flat], out_spec)
        return _chunked(
            func, name, randomness, out_dims, size, dims, leaves, spec, kwargs, chunk_size
        )  # fmt: skip

    return mapped


def _name(func: Any) -> str:
    return getattr(func, "__name__", None) or repr(func)


def _inputs(in_dims: Any, args: tuple[Any, ...], name: str) -> tuple[int, list[Any], Any, TreeSpec]:
    """The batch size, and for each leaf of the arguments its mapped dimension or None."""
    start = f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): "
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            start + "expected `in_dims` to be int or a (potentially nested) tuple matching the "
            f"structure of inputs, got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are "
            "trying to vmap over a function with no inputs. The latter is unsupported."
        )
    leaves, spec = tree_flatten(args)
    given = broadcast_to(in_dims, spec)
    if given is None:
        raise ValueError(
            start + "in_dims is not compatible with the structure of `inputs`. in_dims has "
            f"structure {tree_flatten(in_dims)[1]} but inputs has structure {spec}."
        )
    dims: list[Any] = []
    sizes = []
    for leaf, dim in zip(leaves, given):
        if dim is not None and not isinstance(dim, int):
            raise ValueError(
                start + f"Got in_dim={dim} for an input but in_dim must be either an integer "
                "dimension or None."
            )
        if dim is not None and not isinstance(leaf, Tensor):
            raise ValueError(
                start + f"Got in_dim={dim} for an input but the input is of type {type(leaf)}. We "
                "cannot vmap over non-Tensor arguments, please use None as the respective in_dim"
            )
        if dim is not None:
            rank = leaf.dim()
            if not -rank <= dim < rank:
                raise ValueError(
                    start + f"Got in_dim={dim} for some input, but that input is a Tensor of "
                    f"dimensionality {rank} so expected in_dim to satisfy -{rank} <= in_dim < "
                    f"{rank}."
                )
            dim %= rank
            sizes.append(leaf.shape[dim])
        dims.append(dim)
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if len(set(sizes)) > 1:
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sizes} for the mapped dimension"
        )
    return sizes[0], dims, leaves, spec


def _run(
    func: Any, name: str, randomness: str, out_dims: Any, size: int, dims: list[Any],
    leaves: list[Any], spec: TreeSpec, kwargs: Any,
) -> tuple[list[tuple[Any, Any]], TreeSpec]:  # fmt: skip
    """One batch: the flat results, each with its out_dim, and how they are nested."""
    level = next(_levels)
    with VmapLayer(level, size, randomness):
        given = [
            x if d is None else batched(x.movedim(d, 0) if d else x, level)
            for x, d in zip(leaves, dims)
        ]
        result = func(*tree_unflatten(given, spec), **kwargs)
    flat, out_spec = tree_flatten(result)
    places = broadcast_to(out_dims, out_spec)
    if places is None:
        places = _tuple_form(out_dims, out_spec)
    if places is None:
        raise ValueError(
            f"vmap({name}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with "
            f"the structure of `outputs`. out_dims has structure {tree_flatten(out_dims)[1]} but "
            f"outputs has structure {out_spec}."
        )
    return [(_out(x, d, level, size, name), d) for x, d in zip(flat, places)], out_spec


def _tuple_form(out_dims: Any, spec: TreeSpec) -> list[Any] | None:
    """``out_dims`` may be a tuple of one for a single output, or a tuple for outputs in a list."""
    if spec.type is None and isinstance(out_dims, tuple) and len(out_dims) == 1:
        return list(out_dims)
    if isinstance(out_dims, tuple) and spec.type is list and len(out_dims) == spec.num_children:
        return broadcast_to(list(out_dims), spec)
    return None


def _out(value: Any, dim: Any, level: int, size: int, name: str) -> Any:
    if dim is None:
        if isinstance(value, BatchedTensor) and value._level == level:
            raise ValueError(
                f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None"
            )
        return value
    if not isinstance(dim, int):
        raise ValueError(
            f"vmap({name}, ..., out_dims={dim}): `out_dims` must be an int, None or a python "
            "collection of ints representing where in the outputs the vmapped dimension should "
            "appear."
        )
    if not isinstance(value, Tensor):
        raise ValueError(
            f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(value)}. Did "
            "you mean to set out_dims= to None for output?"
        )
    rank = value.dim() + 1
    if not -rank <= dim < rank:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got "
            f"{dim})"
        )
    whole = unwrapped(value, level, size)
    return whole.movedim(0, dim) if dim % rank else whole


def _chunked(
    func: Any, name: str, randomness: str, out_dims: Any, size: int, dims: list[Any],
    leaves: list[Any], spec: TreeSpec, kwargs: Any, chunk: int,
) -> Any:  # fmt: skip
    from framework.ops.joining import cat

    parts: list[list[tuple[Any, Any]]] = []
    state = streams.default_generator.get_state()
    out_spec = spec
    for start in range(0, size, chunk):
        length = min(chunk, size - start)
        if randomness == "same" and start:
            streams.default_generator.set_state(state)
        some = [
            x if d is None else x.narrow(d, start, length) for x, d in zip(leaves, dims)
        ]  # fmt: skip
        flat, out_spec = _run(
            func, name, randomness, out_dims, length, dims, some, spec, kwargs
        )  # fmt: skip
        parts.append(flat)
    joined = []
    for pieces in zip(*parts):
        dim = pieces[0][1]
        values = [v for v, _ in pieces]
        joined.append(values[0] if dim is None else cat(values, dim % values[0].dim()))
    return tree_unflatten(joined, out_spec)
