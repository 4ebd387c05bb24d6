"""`nn.attention.flex_attention`: attention whose scores a function changes, computed plainly.

PyTorch compiles the functions into its kernel; here they are called once, on tensors of indices
that broadcast to ``[batch, heads, queries, keys]``.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict

from framework.ops.creation import arange, full
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


def noop_mask(batch: Tensor, head: Tensor, token_q: Tensor, token_kv: Tensor) -> Tensor:
    """The mask that lets every query see every key: true, bool, in the indices' common shape.

    It never raises.

    >>> from framework.nn.attention import flex_attention as flex
    >>> flex.create_mask(flex.noop_mask, None, None, 1, 2)
    tensor([[[[True, True]]]])
    """
    return (token_q >= 0) | (token_kv >= 0)


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


def _indices(sizes: tuple[int, ...], device: Any) -> list[Tensor]:
    """One index tensor for each dimension, which broadcast against each other."""
    found = []
    for i, n in enumerate(sizes):
        shape = [1] * len(sizes)
        shape[i] = n
        found.append(arange(n, device=device).reshape(shape))
    return found


class BlockMask:
    """A mask function and the sizes that it is for.

    ``mask_mod`` is asked when attention is computed; the table of blocks is only for looking at.
    `create_block_mask` makes one. ValueError in `flex_attention` for sequences of other lengths.

    >>> from framework.nn.attention import flex_attention as flex
    >>> mask = flex.create_block_mask(lambda b, h, q, kv: q >= kv, None, None, 4, 4, BLOCK_SIZE=2)
    >>> mask.to_dense()
    tensor([[[[1, 0],
              [1, 1]]]], dtype=torch.int32)
    """

    def __init__(
        self, mask_mod: Callable[..., Tensor], batch: int, heads: int, seq_lengths: tuple[int, int],
        block_size: tuple[int, int], device: Any,
    ) -> None:  # fmt: skip
        self.mask_mod, self.seq_lengths, self.BLOCK_SIZE = mask_mod, seq_lengths, block_size
        self._sizes, self._device = (batch, heads, *seq_lengths), device

    @property
    def shape(self) -> tuple[int, ...]:
        """Batch, heads, queries, keys."""
        return self._sizes

    def _mask(self) -> Tensor:
        return self.mask_mod(*_indices(self._sizes, self._device)).expand(self._sizes)

    def to_dense(self) -> Tensor:
        """One for each block that has something to see, else zero: int32[batch, heads, q, kv]."""
        from framework.dtypes import int32
        from framework.nn.functional import pad

        rows, columns = self.BLOCK_SIZE
        mask = self._mask().to(int32)
        mask = pad(mask, (0, -mask.shape[3] % columns, 0, -mask.shape[2] % rows))
        b, h, q, kv = mask.shape
        return amax(mask.reshape(b, h, q // rows, rows, kv // columns, columns), (3, 5))

    def sparsity(self) -> float:
        """Percent of the blocks that nothing is seen in."""
        dense = self.to_dense()
        return 100.0 * (1 - dense.sum().item() / max(dense.numel(), 1))

    def numel(self) -> int:
        """How many elements the mask has, seen or not."""
        return math.prod(self.shape)

    def to_string(self, grid_size: int | tuple[int, int] = (20, 20), limit: int = 4) -> str:
        """A picture of the blocks of each batch and head: full, partly full or empty.

        Args:
            grid_size: rows and columns, at most, of which each is two characters wide.
            limit: how many pictures at most.
        """
        dense = self.to_dense().float()
        most = (grid_size, grid_size) if isinstance(grid_size, int) else grid_size
        rows, columns = (max(1, -(-n // m)) for n, m in zip(dense.shape[2:], most))
        pictures: list[str] = []
        for place in itertools.product(*map(range, dense.shape[:2])):
            if len(pictures) == limit:
                pictures += ["...", "To print out more, set BlockMask.to_string(limit=N)"]
                break
            lines = [f"{place}"]
            for part in dense[place].split(rows):
                shares = [block.mean().item() for block in part.split(columns, dim=1)]
                lines.append("".join("  " if s == 0 else "██" if s == 1 else "░░" for s in shares))
            pictures.append("\n".join(lines) + "\n")
        return "\n".join(pictures)

    def to(self, device: Any) -> BlockMask:
        """The same mask on another device."""
        b, h, *lengths = self._sizes
        return BlockMask(self.mask_mod, b, h, (lengths[0], lengths[1]), self.BLOCK_SIZE, device)

    def __repr__(self) -> str:
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%)"


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
    indices = _indices(sizes, device)
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
        BLOCK_SIZE: of queries and keys, for `BlockMask.to_dense` and `BlockMask.sparsity` only.

    TypeError for what is no function.

    >>> from framework.nn.attention import flex_attention as flex
    >>> flex.create_block_mask(lambda b, h, q, kv: q >= kv, None, None, 4, 4, BLOCK_SIZE=2)
    BlockMask(shape=(1, 1, 4, 4), sparsity=25.00%)
    """
    if not callable(mask_mod):
        raise TypeError(f"mask_mod: {type(mask_mod).__name__!r} object is not callable")
    size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
    return BlockMask(mask_mod, B or 1, H or 1, (Q_LEN, KV_LEN), size, device)


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
    indices = _indices(tuple(scores.shape), query.device)
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
