"""Sequences of different lengths in one tensor: padded, or packed without the padding."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from framework import dtypes
from framework.ops.joining import cat, stack
from framework.tensor import Tensor, wrap

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence",
    "pad_packed_sequence", "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip


class _Packed(NamedTuple):
    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(_Packed):
    """Sequences step by step: ``data`` (sum of lengths, *) holds step 0 of all, then step 1, ...

    Made by `pack_padded_sequence` and `pack_sequence`, taken by recurrent layers. ``data`` is of
    any dtype. AssertionError when made of one tensor that is no pair.

    Attributes:
        batch_sizes: how many sequences reach each step, int64 on the CPU.
        sorted_indices: how the sequences were sorted, longest first; None if they came so.
        unsorted_indices: the way back.

    >>> import framework as torch
    >>> packed = torch.nn.utils.rnn.pack_sequence([torch.ones(3, 1), torch.zeros(1, 1)])
    >>> packed.data.flatten(), packed.batch_sizes
    (tensor([1., 0., 1., 1.]), tensor([2, 1, 1]))
    >>> out, h = torch.nn.RNN(1, 2)(packed)
    >>> out.data.shape, h.shape
    (torch.Size([4, 2]), torch.Size([1, 2, 2]))
    """

    __slots__ = ()

    def __new__(
        cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None,
        unsorted_indices: Any = None,
    ) -> PackedSequence:  # fmt: skip
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        elif batch_sizes.is_cuda:
            raise ValueError(
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be "
                "created manually. They should be instantiated by functions like pack_sequence and "
                "pack_padded_sequences in nn.utils.rnn. "
                "https://pytorch.org/docs/stable/nn.html#torch.nn.utils.rnn.pack_sequence"
            )
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with ``data`` in another dtype or on another device.

        RuntimeError for what is no device.

        >>> import framework as torch
        >>> packed = torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])])
        >>> packed.to(torch.float64).data
        tensor([1., 3., 2.], dtype=torch.float64)
        """
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        sorted_, unsorted = (
            None if t is None else t.to(data.device)
            for t in (self.sorted_indices, self.unsorted_indices)
        )
        return type(self)(data, self.batch_sizes, sorted_, unsorted)

    def pin_memory(self) -> PackedSequence:
        """Accepted for PyTorch's sake: there is no pinned memory here."""
        return self

    def is_pinned(self) -> bool:
        """False: there is no pinned memory here."""
        return False

    def cuda(self, device: Any = None, **kwargs: Any) -> PackedSequence:
        """The same on a CUDA device."""
        return self.to(device="cuda" if device is None else device, **kwargs)

    def cpu(self) -> PackedSequence:
        """The same on the CPU."""
        return self.to(device="cpu")

    def double(self) -> PackedSequence:
        """The same as float64."""
        return self.to(dtype=dtypes.float64)

    def float(self) -> PackedSequence:
        """The same as float32."""
        return self.to(dtype=dtypes.float32)

    def half(self) -> PackedSequence:
        """The same as float16."""
        return self.to(dtype=dtypes.float16)

    def long(self) -> PackedSequence:
        """The same as int64."""
        return self.to(dtype=dtypes.int64)

    def int(self) -> PackedSequence:
        """The same as int32."""
        return self.to(dtype=dtypes.int32)

    def short(self) -> PackedSequence:
        """The same as int16."""
        return self.to(dtype=dtypes.int16)

    def char(self) -> PackedSequence:
        """The same as int8."""
        return self.to(dtype=dtypes.int8)

    def byte(self) -> PackedSequence:
        """The same as uint8."""
        return self.to(dtype=dtypes.uint8)

    @property
    def is_cuda(self) -> bool:
        """Whether the values are on a GPU."""
        return self.data.is_cuda


def invert_permutation(permutation: Any) -> Any:
    """The permutation that undoes another one; None of None.

    (N,) to (N,), int64 or int32. RuntimeError for another dtype and for numbers that are not below
    N.

    >>> import framework as torch
    >>> torch.nn.utils.rnn.invert_permutation(torch.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    if permutation.dtype not in (dtypes.int32, dtypes.int64):
        raise RuntimeError(
            f"Expected a permutation of dtype int32 or int64, but got {permutation.dtype}"
        )
    size = permutation.numel()
    if size and not 0 <= int(permutation.min()) <= int(permutation.max()) < size:
        worst = max(int(permutation.max()), -int(permutation.min()) - 1, key=abs)
        raise RuntimeError(f"index {worst} is out of bounds for dimension 0 with size {size}")
    return permutation.argsort().to(permutation.dtype)


def _as_lengths(lengths: Any) -> Tensor:
    if isinstance(lengths, Tensor):
        return lengths.to(dtype=dtypes.int64)
    return wrap(np.array([int(n) for n in lengths], np.int64))


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack padded sequences (T, N, *), or (N, T, *) with ``batch_first``, of these lengths.

    Args:
        lengths: (N,), numbers or an int64 tensor on the CPU.
        enforce_sorted: the lengths decrease; otherwise the sequences are sorted here.

    Raises:
        RuntimeError: a length is not positive or beyond T, or they do not decrease as promised.

    >>> import framework as torch
    >>> x = torch.tensor([[1, 2], [3, 0]])
    >>> torch.nn.utils.rnn.pack_padded_sequence(x, [2, 1], batch_first=True).data
    tensor([1, 3, 2])
    """
    lengths = _as_lengths(lengths)
    if lengths.is_cuda:
        raise RuntimeError(
            "'lengths' argument should be a 1D CPU int64 tensor, but got "
            f"{lengths.ndim}D {lengths.device} Long tensor"
        )
    sorted_indices = None
    if not enforce_sorted:
        lengths, sorted_indices = lengths.sort(descending=True, stable=True)
        sorted_indices = sorted_indices.to(input.device)
        input = input.index_select(0 if batch_first else 1, sorted_indices)
    if batch_first:
        input = input.transpose(0, 1)
    sizes = _batch_sizes([int(n) for n in lengths.tolist()], input.shape[1])
    if len(sizes) > input.shape[0]:
        raise RuntimeError(
            f"Expected `len(lengths)` to be at most {input.shape[0]}, the number of steps, but got "
            f"a sequence of length {len(sizes)}"
        )
    data = cat([input[t, :n] for t, n in enumerate(sizes)])
    return PackedSequence(data, wrap(np.array(sizes, np.int64)), sorted_indices, None)


def _batch_sizes(lengths: list[int], batch: int) -> list[int]:
    """How many sequences reach each step."""
    if len(lengths) != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(lengths)} "
            f"(batch_size={batch})"
        )
    if not lengths:
        raise RuntimeError("Cannot pack empty tensors.")
    if lengths[-1] <= 0 or min(lengths) <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0"
        )
    if any(a < b for a, b in pairwise(lengths)):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You "
            "can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
            "sidestep this requirement if you do not need ONNX exportability."
        )
    return [sum(n > t for n in lengths) for t in range(lengths[0])]


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Any, Any]:
    """The inverse of `pack_padded_sequence`: (padded sequences, their lengths).

    Sequences (T, N, *), or (N, T, *) with ``batch_first``; lengths (N,), int64 on the CPU; both in
    the order from before packing.

    Args:
        total_length: pad to this length instead of the longest sequence's; ValueError if it is
            below.

    >>> import framework as torch
    >>> packed = torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])])
    >>> torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, padding_value=-1)
    (tensor([[ 1,  2],
            [ 3, -1]]), tensor([2, 1]))
    """
    from framework.ops.padding import pad

    sizes = [int(n) for n in sequence.batch_sizes.tolist()]
    steps = len(sizes)
    if total_length is not None and total_length < steps:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but "
            f"got total_length={total_length} and max sequence length being {steps}"
        )
    batch = sizes[0]
    data = sequence.data
    around = [0, 0] * (data.ndim - 1)
    rows = [
        pad(part, [*around, 0, batch - part.shape[0]], value=padding_value)
        if part.shape[0] < batch
        else part
        for part in data.split(sizes, 0)
    ]
    padded = stack(rows, 1 if batch_first else 0)
    if total_length is not None and total_length > steps:
        more = [0, total_length - steps]
        sides = [*around, *more, 0, 0] if batch_first else [*around, 0, 0, *more]
        padded = pad(padded, sides, value=padding_value)
    counts = np.array(sizes, np.int64)
    lengths = wrap((counts[None, :] > np.arange(batch)[:, None]).sum(1).astype(np.int64))
    back = sequence.unsorted_indices
    if back is not None:
        return padded.index_select(0 if batch_first else 1, back), lengths[back.cpu()]
    return padded, lengths


def pad_sequence(
    sequences: Any,
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Any:
    """Stack tensors (Lᵢ, *) as (max L, N, *), or (N, max L, *), padded to one length.

    Args:
        padding_side: "right" or "left" of each sequence.

    Any dtype; different ones are promoted. RuntimeError for another side, for no sequences, for
    scalars, for sizes * that differ, and for what is not iterable.

    >>> import framework as torch
    >>> torch.nn.utils.rnn.pad_sequence([torch.ones(2), torch.ones(1)], batch_first=True)
    tensor([[1., 1.],
            [1., 0.]])
    """
    from framework.ops.padding import pad

    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    tensors = list(sequences)
    if not tensors:
        raise RuntimeError("received an empty list of sequences")
    if not all(t.ndim for t in tensors):
        raise RuntimeError("expected sequences of at least one dimension, but got a scalar")
    longest = max(t.shape[0] for t in tensors)
    padded = []
    for t in tensors:
        missing = longest - t.shape[0]
        sides = [missing, 0] if padding_side == "left" else [0, missing]
        padded.append(pad(t, [0, 0] * (t.ndim - 1) + sides, value=padding_value))
    return stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """The inverse of `pad_sequence`: a list of tensors of these lengths.

    (T, N, *), or (N, T, *) with ``batch_first``, to N tensors (Lᵢ, *), of any dtype. ValueError for
    another number of lengths, IndexError for a tensor of one dimension.

    >>> import framework as torch
    >>> padded = torch.tensor([[1, 2], [3, 0]])
    >>> torch.nn.utils.rnn.unpad_sequence(padded, torch.tensor([2, 1]), batch_first=True)
    [tensor([1, 2]), tensor([3])]
    """
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    if len(lengths) != len(padded_sequences):
        raise ValueError(f"expected {len(padded_sequences)} lengths, but got {len(lengths)}")
    return [padded_sequences[i, : int(n)] for i, n in enumerate(lengths)]


def pack_sequence(sequences: Any, enforce_sorted: bool = True) -> PackedSequence:
    """Pack tensors (Lᵢ, *), longest first unless ``enforce_sorted=False``.

    All of one dtype, any. Errors as of `pack_padded_sequence`: RuntimeError for lengths that do not
    decrease as promised, and for none.

    >>> import framework as torch
    >>> packed = torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])])
    >>> packed.data, packed.batch_sizes
    (tensor([1, 3, 2]), tensor([2, 1]))
    """
    lengths = [t.shape[0] for t in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Any]:
    """The inverse of `pack_sequence`: a list of tensors (Lᵢ, *), in the order from before packing.

    Any dtype. AttributeError for what is not packed.

    Their shapes are those from before.

    >>> import framework as torch
    >>> packed = torch.nn.utils.rnn.pack_sequence([torch.tensor([1, 2]), torch.tensor([3])])
    >>> torch.nn.utils.rnn.unpack_sequence(packed)
    [tensor([1, 2]), tensor([3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
