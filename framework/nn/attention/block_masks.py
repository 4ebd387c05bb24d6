"""`BlockMask`: a mask function of `flex_attention`, and which blocks of the scores it leaves.

Attention is computed plainly from the function; the tables of blocks are for programs that look at
them, or make them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, Self

from framework.dtypes import int32
from framework.nn.functional import pad
from framework.ops.creation import zeros
from framework.ops.ranges import arange
from framework.ops.sort import argsort
from framework.tensor import Tensor

__all__ = ["BlockMask", "indices_of", "noop_mask"]

_TENSORS = (
    "kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices", "q_num_blocks",
    "q_indices", "full_q_num_blocks", "full_q_indices",
)  # fmt: skip


def noop_mask(batch: Tensor, head: Tensor, token_q: Tensor, token_kv: Tensor) -> Tensor:
    """The mask that lets every query see every key: true, bool, in the indices' common shape.

    It never raises.

    >>> from framework.nn.attention import flex_attention as flex
    >>> flex.create_mask(flex.noop_mask, None, None, 1, 2)
    tensor([[[[True, True]]]])
    """
    return (token_q >= 0) | (token_kv >= 0)


def indices_of(sizes: tuple[int, ...], device: Any) -> list[Tensor]:
    """One index tensor for each dimension, which broadcast against each other.

    int64, of any sizes; it never raises.

    >>> [i.shape for i in indices_of((2, 3), "cpu")]
    [torch.Size([2, 1]), torch.Size([1, 3])]
    """
    found = []
    for i, n in enumerate(sizes):
        shape = [1] * len(sizes)
        shape[i] = n
        found.append(arange(n, device=device).reshape(shape))
    return found


def _ordered(dense: Tensor) -> tuple[Tensor, Tensor]:
    """How many blocks of each row count, and the columns, those that count first."""
    counts = dense.sum(-1).to(int32)
    order = argsort(dense.to(int32), -1, True, stable=True).to(int32)
    return counts, order.contiguous()


def _dense(counts: Tensor, order: Tensor) -> Tensor:
    """The table that `_ordered` was made of: ones and zeros."""
    columns = order.shape[-1]
    counted = (arange(columns, device=order.device) < counts.unsqueeze(-1)).to(int32)
    shape = (*counted.shape[:-1], columns)
    table = zeros(shape, dtype=int32, device=order.device)
    return table.scatter_add_(-1, order.expand(shape).long(), counted).clamp_(max=1)


def _transposed(counts: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    return _ordered(_dense(counts, order).transpose(-2, -1))


class BlockMask:
    """A mask function and the sizes that it is for, with tables of the blocks that it leaves.

    Of each row of blocks ``kv_num_blocks`` (int32[batch, heads, rows]) says how many have something
    to see and something not, and ``kv_indices`` (int32[batch, heads, rows, columns]) which; those
    of ``full`` are seen as a whole, and ``q`` is the same for columns. `create_block_mask` makes
    one, from a function alone; `from_kv_blocks` takes tables. Of a mask that has both,
    `flex_attention` asks the function, as PyTorch's does that is not compiled. ValueError there for
    sequences of other lengths, AssertionError here for a table without its other half.

    >>> from framework.nn.attention import flex_attention as flex
    >>> mask = flex.create_block_mask(lambda b, h, q, kv: q >= kv, None, None, 4, 4, BLOCK_SIZE=2)
    >>> mask.to_dense()
    tensor([[[[1, 0],
              [1, 1]]]], dtype=torch.int32)
    >>> mask.kv_num_blocks, mask.full_kv_num_blocks
    (tensor([[[1, 1]]], dtype=torch.int32), tensor([[[0, 1]]], dtype=torch.int32))
    """

    kv_num_blocks: Tensor
    kv_indices: Tensor
    full_kv_num_blocks: Tensor | None
    full_kv_indices: Tensor | None
    _lazy: tuple[tuple[int, int], Any] | None = None  # batch and heads, device: no tables yet

    def __init__(
        self, seq_lengths: tuple[int, int], kv_num_blocks: Tensor, kv_indices: Tensor,
        full_kv_num_blocks: Tensor | None, full_kv_indices: Tensor | None,
        q_num_blocks: Tensor | None, q_indices: Tensor | None, full_q_num_blocks: Tensor | None,
        full_q_indices: Tensor | None, BLOCK_SIZE: tuple[int, int] = (128, 128),
        mask_mod: Callable[..., Tensor] = noop_mask, *, dq_write_order: Tensor | None = None,
        dq_write_order_full: Tensor | None = None, dq_kv_order: Tensor | None = None,
        dq_kv_order_spt: bool | None = None,
    ) -> None:  # fmt: skip
        if kv_indices.ndim < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        _paired("kv", full_kv_num_blocks, full_kv_indices)
        _paired("q", full_q_num_blocks, full_q_indices)
        if dq_write_order_full is not None and dq_write_order is None:
            raise ValueError("dq_write_order_full requires dq_write_order")
        self.seq_lengths, self.BLOCK_SIZE, self.mask_mod = seq_lengths, BLOCK_SIZE, mask_mod
        self.kv_num_blocks, self.kv_indices = kv_num_blocks, kv_indices
        self.full_kv_num_blocks, self.full_kv_indices = full_kv_num_blocks, full_kv_indices
        self.q_num_blocks, self.q_indices = q_num_blocks, q_indices
        self.full_q_num_blocks, self.full_q_indices = full_q_num_blocks, full_q_indices
        self._orders(dq_write_order, dq_write_order_full, dq_kv_order, dq_kv_order_spt)

    def _orders(self, write: Any = None, full: Any = None, kv: Any = None, spt: Any = None) -> None:
        """What PyTorch's kernel of the gradient may be told; nothing is faster by it here."""
        self.dq_write_order, self.dq_write_order_full = write, full
        self.dq_kv_order, self.dq_kv_order_spt = kv, spt

    @classmethod
    def _of(
        cls, mask_mod: Callable[..., Tensor], batch: tuple[int, int], seq_lengths: tuple[int, int],
        block_size: tuple[int, int], device: Any,
    ) -> Self:  # fmt: skip
        """The mask of a function, whose tables are made when one is asked for."""
        made = cls.__new__(cls)
        made.seq_lengths, made.BLOCK_SIZE, made.mask_mod = seq_lengths, block_size, mask_mod
        made._lazy = batch, device
        made._orders()
        return made

    @classmethod
    def from_kv_blocks(
        cls, kv_num_blocks: Tensor, kv_indices: Tensor, full_kv_num_blocks: Tensor | None = None,
        full_kv_indices: Tensor | None = None, BLOCK_SIZE: int | tuple[int, int] = 128,
        mask_mod: Callable[..., Tensor] | None = None, seq_lengths: tuple[int, int] | None = None,
        compute_q_blocks: bool = True, *, dq_write_order: Tensor | None = None,
        dq_write_order_full: Tensor | None = None, dq_kv_order: Tensor | bool | None = None,
    ) -> Self:  # fmt: skip
        """A mask of tables of blocks; those of columns are made of them.

        Args:
            seq_lengths: by default as many as the blocks have.
            compute_q_blocks: whether to make the tables of columns.

        RuntimeError for tables of less than two dimensions.

        >>> import framework as torch
        >>> from framework.nn.attention.flex_attention import BlockMask
        >>> counts, columns = torch.tensor([[[1, 2]]]), torch.tensor([[[[0, 1], [0, 1]]]])
        >>> BlockMask.from_kv_blocks(counts, columns, BLOCK_SIZE=64).shape
        (1, 1, 128, 128)
        """
        if kv_indices.ndim < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        _paired("kv", full_kv_num_blocks, full_kv_indices)
        if dq_kv_order is not None and not isinstance(dq_kv_order, (bool, Tensor)):
            raise ValueError("dq_kv_order must be a bool, Tensor, or None")
        q: tuple[Tensor | None, Tensor | None] = (None, None)
        full_q: tuple[Tensor | None, Tensor | None] = (None, None)
        if compute_q_blocks:
            q = _transposed(kv_num_blocks, kv_indices)
            if full_kv_num_blocks is not None and full_kv_indices is not None:
                full_q = _transposed(full_kv_num_blocks, full_kv_indices)
        size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
        if seq_lengths is None:
            seq_lengths = (kv_indices.shape[-2] * size[0], kv_indices.shape[-1] * size[1])
        alone = dq_kv_order if isinstance(dq_kv_order, bool) else None
        return cls(
            seq_lengths, kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices, *q,
            *full_q, size, mask_mod or noop_mask, dq_write_order=dq_write_order,
            dq_write_order_full=dq_write_order_full,
            dq_kv_order=None if isinstance(dq_kv_order, bool) else dq_kv_order,
            dq_kv_order_spt=alone,
        )  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        if name not in _TENSORS or self._lazy is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._fill(*self._lazy)
        return self.__dict__[name]

    def _fill(self, batch: tuple[int, int], device: Any) -> None:
        """Make the tables of the function."""
        sizes = (*batch, *self.seq_lengths)
        rows, columns = self.BLOCK_SIZE
        mask = self.mask_mod(*indices_of(sizes, device)).expand(sizes).to(int32)
        mask = pad(mask, (0, -sizes[3] % columns, 0, -sizes[2] % rows))
        b, h, q, kv = mask.shape
        seen = mask.reshape(b, h, q // rows, rows, kv // columns, columns).sum((3, 5))
        full = seen == rows * columns
        self.kv_num_blocks, self.kv_indices = _ordered((seen > 0) & ~full)
        self.full_kv_num_blocks, self.full_kv_indices = _ordered(full)
        self.q_num_blocks, self.q_indices = _transposed(self.kv_num_blocks, self.kv_indices)
        self.full_q_num_blocks, self.full_q_indices = _ordered(full.transpose(-2, -1))
        self._lazy = None

    def as_tuple(self, flatten: bool = True) -> tuple[Any, ...]:
        """Lengths, tables, orders, size of a block and function, in the constructor's order.

        Args:
            flatten: lengths and size each as two numbers, not as a pair.

        It never raises.

        >>> from framework.nn.attention import flex_attention as flex
        >>> mask = flex.create_block_mask(flex.noop_mask, None, None, 4, 4, BLOCK_SIZE=2)
        >>> mask.as_tuple()[:2], len(mask.as_tuple()), len(mask.as_tuple(flatten=False))
        ((4, 4), 17, 15)
        """
        lengths = self.seq_lengths if flatten else (self.seq_lengths,)
        size = self.BLOCK_SIZE if flatten else (self.BLOCK_SIZE,)
        return (
            *lengths, *[getattr(self, name) for name in _TENSORS], self.dq_write_order,
            self.dq_write_order_full, self.dq_kv_order, self.dq_kv_order_spt, *size, self.mask_mod,
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, ...]:
        """Batch, heads, queries, keys."""
        batch = self.kv_indices.shape[:-2] if self._lazy is None else self._lazy[0]
        return (*batch, *self.seq_lengths)

    def __getitem__(self, index: Any) -> Self:
        """The tables of some of the batch, the heads and the rows; dimensions stay.

        The function is lost: its indices would be others. RuntimeError where it is asked.
        """
        if self.dq_kv_order is not None:
            raise NotImplementedError(
                "Slicing BlockMask with tensor dq_kv_order is not supported yet: construct a new "
                "one"
            )
        parts = index if isinstance(index, tuple) else (index,)
        padded = (*parts, slice(None), slice(None), slice(None))[:3]
        place = tuple([
            slice(i, None if i == -1 else i + 1) if isinstance(i, int) else i for i in padded
        ])  # fmt: skip
        full, full_order = self.full_kv_num_blocks, self.full_kv_indices
        return self.from_kv_blocks(
            self.kv_num_blocks[place], self.kv_indices[place],
            None if full is None else full[place],
            None if full_order is None else full_order[place],
            BLOCK_SIZE=self.BLOCK_SIZE, mask_mod=_sliced,
            seq_lengths=self.seq_lengths, compute_q_blocks=self.q_indices is not None,
        )  # fmt: skip

    def to_dense(self) -> Tensor:
        """One for each block that has something to see, else zero: int32[batch, heads, q, kv]."""
        found = _dense(self.kv_num_blocks, self.kv_indices)
        if self.full_kv_num_blocks is not None and self.full_kv_indices is not None:
            found = found | _dense(self.full_kv_num_blocks, self.full_kv_indices)
        return found

    def sparsity(self) -> float:
        """Percent of the elements that lie in no block; below zero where blocks reach beyond."""
        blocks = self.kv_num_blocks.sum().item()
        if self.full_kv_num_blocks is not None:
            blocks += self.full_kv_num_blocks.sum().item()
        return 100 * (1 - blocks * math.prod(self.BLOCK_SIZE) / self.numel())

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
                pictures += [
                    "...",
                    "To print out more, set BlockMask.to_string(limit=N)",
                    "You can also index (BlockMask[batch, head]) to choose a specific batch or "
                    "head",
                ]
                break
            lines = [f"{place}"]
            for part in dense[place].split(rows):
                shares = [block.mean().item() for block in part.split(columns, dim=1)]
                lines.append("".join("  " if s == 0 else "██" if s == 1 else "░░" for s in shares))
            pictures.append("\n".join(lines) + "\n")
        return "\n".join(pictures)

    def to(self, device: Any) -> Self:
        """The same mask on another device."""
        if self._lazy is not None:
            return self._of(self.mask_mod, self._lazy[0], self.seq_lengths, self.BLOCK_SIZE, device)
        parts: Any = [x.to(device) if isinstance(x, Tensor) else x for x in self.as_tuple(False)]
        made = type(self).__new__(type(self))
        made.seq_lengths, made.BLOCK_SIZE, made.mask_mod = parts[0], parts[13], parts[14]
        made.__dict__.update(zip(_TENSORS, parts[1:9]))
        made._orders(*parts[9:13])
        return made

    def __str__(self) -> str:
        head = f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%"
        return f"{head}, \n{self.to_string().strip()}\n)"

    def __repr__(self) -> str:
        shapes = {name: getattr(self, name) for name in _TENSORS}
        lines = [f"{name}={None if t is None else t.shape}" for name, t in shapes.items()]
        lines += [
            f"BLOCK_SIZE={self.BLOCK_SIZE}", f"shape={self.shape}",
            f"sparsity={self.sparsity():.2f}%",
            f"mask_mod={getattr(self.mask_mod, '__name__', self.mask_mod)}",
        ]  # fmt: skip
        return "BlockMask(\n    " + ",\n    ".join(lines) + "\n)"


def _paired(letters: str, counts: Tensor | None, order: Tensor | None) -> None:
    if (counts is None) != (order is None):
        raise AssertionError(
            f"full_{letters}_num_blocks and full_{letters}_indices must be both provided or omitted"
        )


def _sliced(b: Any, h: Any, q: Any, kv: Any) -> Tensor:
    raise RuntimeError(
        "Cannot use mask_mod from a sliced BlockMask: its indices are others. Set its mask_mod to "
        "a function of the new ones."
    )
