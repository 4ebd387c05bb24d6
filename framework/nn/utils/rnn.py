"""Sequences of different lengths in one tensor."""

from __future__ import annotations

from typing import Any

from framework.ops.shape import stack

__all__ = ["pad_sequence", "unpad_sequence"]


def pad_sequence(
    sequences: Any,
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Any:
    """Stack tensors (Lᵢ, *) as (max L, N, *), or (N, max L, *), padded to one length.

    >>> import framework as torch
    >>> torch.nn.utils.rnn.pad_sequence([torch.ones(2), torch.ones(1)], batch_first=True)
    tensor([[1., 1.],
            [1., 0.]])
    """
    from framework.ops.padding import pad

    if padding_side not in ("left", "right"):
        raise ValueError(f"padding_side should be either 'right' or 'left', got {padding_side!r}")
    tensors = list(sequences)
    if not tensors:
        raise RuntimeError("received an empty list of sequences")
    longest = max(t.shape[0] for t in tensors)
    padded = []
    for t in tensors:
        missing = longest - t.shape[0]
        sides = [missing, 0] if padding_side == "left" else [0, missing]
        padded.append(pad(t, [0, 0] * (t.ndim - 1) + sides, value=padding_value))
    return stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """The inverse of `pad_sequence`: a list of tensors of these lengths."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [padded_sequences[i, : int(n)] for i, n in enumerate(lengths)]
