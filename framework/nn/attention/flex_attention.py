"""`nn.attention.flex_attention`: attention whose scores a function changes, computed plainly.

PyTorch compiles the functions into its kernel; here they are called once, on tensors of indices
that broadcast to ``[batch, heads, queries, keys]``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict

from framework.nn.attention.block_masks import BlockMask, indices_of, noop_mask
from framework.ops.creation import full
from framework.ops.extremes import amax
from framework.tensor import Tensor

__all__ = [
    "AuxOutput", "AuxRequest", "BlockMask", "FlexKernelOptions", "and_masks", "create_block_mask",
    "create_mask", "create_nested_block_mask", "flex_attention", "noop_mask", "or_masks",
]  # fmt: skip

_DEFAULT_SPARSE_BLOCK_SIZE = 128


class AuxRequest(NamedTuple):
    """What `flex_attention` shall return beside its result.

    Both flags; shapes and dtypes as of `AuxOutput`. ValueError in `flex_attention` beside
    ``return_lse``.

    >>> from framework.nn.attention.flex_attention import AuxRequest
    >>> AuxRequest(lse=True)
    AuxRequest(lse=True, max_scores=False)
    """

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """What an `AuxRequest` asked for, `(batch, heads, queries)` each; None for the rest.

    Of the scores' dtype. Made by `flex_attention` alone, which raises the errors (ValueError).

    >>> from framework.nn.attention.flex_attention import AuxOutput
    >>> AuxOutput()
    AuxOutput(lse=None, max_scores=None)
    """

    lse: Tensor | None = None
    max_scores: Tensor | None = None


class FlexKernelOptions(TypedDict, total=False):
    """Tuning of PyTorch's kernels by block sizes, which has no effect here.

    >>> from framework.nn.attention.flex_attention import FlexKernelOptions
    >>> FlexKernelOptions(BLOCK_M=64, PRESCALE_QK=True)
    {'BLOCK_M': 64, 'PRESCALE_QK': True}
    """

    num_warps: int
    num_stages: int
    BLOCK_M: int
    BLOCK_N: int
    BLOCK_M1: int
    BLOCK_N1: int
    BLOCK_M2: int
    BLOCK_N2: int
    PRESCALE_QK: bool
    ROWS_GUARANTEED_SAFE: bool
    BLOCKS_ARE_CONTIGUOUS: bool
    WRITE_DQ: bool
    FORCE_USE_FLEX_ATTENTION: bool
    USE_TMA: bool
    BACKEND: str


def and_masks(*mask_mods: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The mask function that is true where all of them are.

    It takes int64 indices that broadcast and gives bool of their shape. RuntimeError for what is no
    function.

    >>> from framework.nn.attention import flex_attention as flex
    >>> past, near = lambda b, h, q, kv: q >= kv, lambda b, h, q, kv: q - kv < 2
    >>> flex.create_mask(flex.and_masks(past, near), None, None, 3, 3)
    tensor([[[[ True, False, False],
              [ True,  True, False],
              [False,  True,  True]]]])
    """

    _check_callable(mask_mods)

    def both(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        found = noop_mask(b, h, q, kv)
        for mask in mask_mods:
            found = found & mask(b, h, q, kv)
        return found

    return both


def _check_callable(mask_mods: tuple[Any, ...]) -> None:
    if not all(callable(mask) for mask in mask_mods):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mask_mods}")


def or_masks(*mask_mods: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The mask function that is true where one of them is.

    It takes int64 indices that broadcast and gives bool of their shape. RuntimeError for what is no
    function.

    >>> from framework.nn.attention import flex_attention as flex
    >>> past, first = lambda b, h, q, kv: q >= kv, lambda b, h, q, kv: kv < 2
    >>> flex.create_mask(flex.or_masks(past, first), None, None, 3, 3)
    tensor([[[[ True,  True, False],
              [ True,  True, False],
              [ True,  True,  True]]]])
    """

    _check_callable(mask_mods)

    def either(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        found = ~noop_mask(b, h, q, kv)
        for mask in mask_mods:
            found = found | mask(b, h, q, kv)
        return found

    return either


def create_mask(
    mod_fn: Callable[..., Any], B: int | None, H: int | None, Q_LEN: int, KV_LEN: int,
    device: Any = None,
) -> Tensor:  # fmt: skip
    """The tensor of a mask function (bool) or of a score function of zeros.

    Shape (B, H, Q_LEN, KV_LEN), with 1 for None; bool, or the dtype of the scores. TypeError for
    what is no function.

    >>> from framework.nn.attention.flex_attention import create_mask
    >>> create_mask(lambda b, h, q, kv: q >= kv, None, None, 2, 2)
    tensor([[[[ True, False],
              [ True,  True]]]])
    """
    sizes = (B or 1, H or 1, Q_LEN, KV_LEN)
    indices = indices_of(sizes, device)
    if len(inspect.signature(mod_fn).parameters) == 5:
        return mod_fn(full(sizes, 0.0, device=device), *indices).expand(sizes)
    return mod_fn(*indices).expand(sizes)


def create_block_mask(
    mask_mod: Callable[..., Tensor], B: int | None, H: int | None, Q_LEN: int, KV_LEN: int,
    device: Any = None, BLOCK_SIZE: int | tuple[int, int] = _DEFAULT_SPARSE_BLOCK_SIZE,
    _compile: bool = False,
) -> BlockMask:  # fmt: skip
    """A mask for `flex_attention`; ``mask_mod(b, h, q, kv)`` says which keys a query sees.

    Args:
        mask_mod: takes int64 indices that broadcast to `(B, H, Q_LEN, KV_LEN)` and gives bool.
        B: None for a mask that is the same for all of the batch; likewise ``H`` for heads.
        BLOCK_SIZE: of queries and keys, for the tables of the `BlockMask` only.

    TypeError for what is no function.

    >>> from framework.nn.attention import flex_attention as flex
    >>> print(flex.create_block_mask(lambda b, h, q, kv: q >= kv, None, None, 4, 4, BLOCK_SIZE=2))
    BlockMask(shape=(1, 1, 4, 4), sparsity=25.00%,
    (0, 0)
    ██
    ████
    )
    """
    if not callable(mask_mod):
        raise TypeError(f"mask_mod: {type(mask_mod).__name__!r} object is not callable")
    size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
    return BlockMask._of(mask_mod, (B or 1, H or 1), (Q_LEN, KV_LEN), size, device)


def create_nested_block_mask(*args: Any, **options: Any) -> BlockMask:
    """Refused with NotImplementedError: there are no jagged tensors here.

    >>> from framework.nn.attention import flex_attention as flex
    >>> flex.create_nested_block_mask(flex.noop_mask, None, None, [2, 3])
    Traceback (most recent call last):
      ...
    NotImplementedError: create_nested_block_mask: nested tensors are not supported; pad the ...
    """
    raise NotImplementedError(
        "create_nested_block_mask: nested tensors are not supported; pad the sequences and use "
        "create_block_mask"
    )


def flex_attention(
    query: Tensor, key: Tensor, value: Tensor, score_mod: Callable[..., Tensor] | None = None,
    block_mask: BlockMask | None = None, scale: float | None = None, enable_gqa: bool = False,
    return_lse: bool = False, kernel_options: Any = None, *, return_aux: Any = None,
) -> Any:  # fmt: skip
    """softmax(score_mod(query @ key.T * scale)) @ value, where ``block_mask`` lets keys be seen.

    Args:
        query: `(batch, heads, queries, width)`; key and value: `(batch, heads, keys, width)`.
        score_mod: ``score_mod(score, b, h, q, kv)``, once for all scores.
        enable_gqa: each head of key and value serves several of query.
        return_lse: also the logarithm of the softmax's denominators, `(batch, heads, queries)`.
        kernel_options: see `FlexKernelOptions`.
        return_aux: an `AuxRequest`: the result comes with an `AuxOutput`, in place of return_lse
            (ValueError for both).

    A query that sees no key gets zeros. All of one dtype (RuntimeError for others).
    NotImplementedError for tensors of other than four dimensions, ValueError for widths that
    differ, a ``block_mask`` of other lengths and, without ``enable_gqa``, for another number of
    heads of key than of query.

    >>> import framework as torch
    >>> from framework.nn.attention.flex_attention import flex_attention
    >>> x = torch.ones(1, 1, 2, 4)
    >>> flex_attention(x, x, x, lambda score, b, h, q, kv: score - (q - kv).abs()).shape
    torch.Size([1, 1, 2, 4])
    """
    if return_lse and return_aux is not None:
        raise ValueError(
            "Cannot specify both return_lse and return_aux. return_lse is deprecated, please use "
            "return_aux=AuxRequest(lse=True) instead."
        )
    if query.ndim != 4 or key.ndim != 4 or value.ndim != 4:
        raise NotImplementedError(
            "query, key, and value must be 4D tensors, but got "
            f"{query.ndim}D, {key.ndim}D and {value.ndim}D"
        )
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(
            "Expect query and key/value to have the same embedding dimension but got "
            f"E={query.shape[-1]} and E={key.shape[-1]}."
        )
    lengths = (query.shape[-2], key.shape[-2])
    if block_mask is not None and block_mask.seq_lengths != lengths:
        raise ValueError(
            f"block_mask was created for block_mask.shape={block_mask.shape} but got "
            f"q_len={lengths[0]} and kv_len={lengths[1]}: make one of these lengths"
        )
    if query.shape[1] != key.shape[1]:
        if not enable_gqa:
            raise ValueError(
                f"Expect query and key/value to have the same number of heads but got "
                f"Hq={query.shape[1]} and Hkv={key.shape[1]}. Try setting enable_gqa=True for GQA."
            )
        times = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(times, 1), value.repeat_interleave(times, 1)
    if scale is None:
        scale = 1.0 / math.sqrt(query.shape[-1])
    scores = (query @ key.transpose(-2, -1)) * scale
    indices = indices_of(tuple(scores.shape), query.device)
    if score_mod is not None:
        scores = score_mod(scores, *indices)
    if block_mask is not None:
        scores = scores.masked_fill(~block_mask.mask_mod(*indices), -math.inf)
    lse = scores.logsumexp(-1)
    # A query that sees nothing gets zeros, not NaN.
    weights = (scores - lse.masked_fill(lse == -math.inf, 0.0).unsqueeze(-1)).exp()
    result = weights.to(value.dtype) @ value
    if return_aux is not None:
        most = amax(scores, -1) if return_aux.max_scores else None
        return result, AuxOutput(lse if return_aux.lse else None, most)
    return (result, lse) if return_lse else result
