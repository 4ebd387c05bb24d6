"""Tables of blocks of `flex_attention`'s masks: made of a function, given, sliced, printed."""

from __future__ import annotations

import pytest

import framework as torch
from framework.nn.attention import flex_attention as flex
from framework.nn.attention.flex_attention import BlockMask


def causal(b, h, q, kv):
    return q >= kv


def test_tables_of_a_function():
    mask = flex.create_block_mask(causal, 2, None, 300, 260, BLOCK_SIZE=(128, 64))
    assert mask.shape == (2, 1, 300, 260) and mask.numel() == 156_000
    assert mask.kv_num_blocks[0, 0].tolist() == [2, 2, 5]  # the last rows are padded
    assert mask.full_kv_num_blocks[0, 0].tolist() == [0, 2, 0]
    assert mask.kv_indices[0, 0].tolist() == [[0, 1, 2, 3, 4], [2, 3, 0, 1, 4], [0, 1, 2, 3, 4]]
    assert mask.kv_indices.dtype is torch.int32 and mask.kv_indices.shape == (2, 1, 3, 5)
    assert mask.q_num_blocks[0, 0].tolist() == [2, 2, 2, 2, 1]
    assert mask.full_q_num_blocks[0, 0].tolist() == [1, 1, 0, 0, 0]
    dense = mask.to_dense()[0, 0].tolist()
    assert dense == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    assert torch.equal(mask.to("cpu").kv_indices, mask.kv_indices)
    assert mask.as_tuple()[:2] == (300, 260) and mask.as_tuple(flatten=False)[0] == (300, 260)


def test_tables_that_are_given():
    counts = torch.tensor([[[1, 2]]], dtype=torch.int32)
    order = torch.tensor([[[[0, 1], [0, 1]]]], dtype=torch.int32)
    mask = BlockMask.from_kv_blocks(counts, order)
    assert mask.shape == (1, 1, 256, 256) and mask.sparsity() == 25
    assert mask.to_dense().tolist() == [[[[1, 0], [1, 1]]]]
    assert mask.q_num_blocks.tolist() == [[[2, 1]]]
    assert mask.q_indices.tolist() == [[[[0, 1], [1, 0]]]]
    assert BlockMask.from_kv_blocks(counts, order, compute_q_blocks=False).q_indices is None
    small = BlockMask.from_kv_blocks(counts, order, BLOCK_SIZE=(64, 32), seq_lengths=(100, 60))
    assert small.shape == (1, 1, 100, 60) and small.mask_mod is flex.noop_mask
    with pytest.raises(AssertionError, match="must be both provided or omitted"):
        BlockMask.from_kv_blocks(counts, order, counts)
    with pytest.raises(RuntimeError, match="at least 2 dimensions"):
        BlockMask.from_kv_blocks(counts, order[0, 0, 0])


def test_attention_asks_the_function_alone():
    """As PyTorch's does that is not compiled."""
    x = torch.ones(1, 1, 4, 2)
    none = torch.zeros(1, 1, 2, dtype=torch.int32)
    mask = BlockMask.from_kv_blocks(none, torch.zeros(1, 1, 2, 2, dtype=torch.int32), BLOCK_SIZE=2)
    assert torch.allclose(flex.flex_attention(x, x, x, block_mask=mask), x)


def test_slices_lose_the_function():
    mask = flex.create_block_mask(causal, 2, 3, 256, 256)
    part = mask[0, 1:]
    assert part.shape == (1, 2, 256, 256) and part.q_indices.shape == (1, 2, 2, 2)
    assert torch.equal(part.kv_num_blocks, mask.kv_num_blocks[:1, 1:])
    assert mask[-1].shape == (1, 3, 256, 256)
    with pytest.raises(RuntimeError, match="sliced BlockMask"):
        part.mask_mod(0, 0, 0, 0)
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        mask.nope


def test_prints():
    mask = flex.create_block_mask(causal, 1, 1, 256, 256)
    assert repr(mask).splitlines()[0] == "BlockMask(" and "    mask_mod=causal" in repr(mask)
    assert str(mask).startswith("BlockMask(shape=(1, 1, 256, 256), sparsity=25.00%")
