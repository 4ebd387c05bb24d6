"""In which order the elements of a result lie, where the operands are views in another order.

Programs call ``view`` on results that are contiguous in PyTorch, whatever went in.
"""

from __future__ import annotations

import pytest

import framework as torch
from framework.nn import functional as F


def turned(*shape: int) -> torch.Tensor:
    """Of that shape, with the first dimension innermost."""
    order = range(len(shape))
    return torch.rand(*shape[1:], shape[0]).permute(-1, *order[:-1])


CONTIGUOUS = {
    "cat": lambda: torch.cat([turned(4, 3, 2), turned(4, 3, 2)], 1),
    "cat of one that is and one that is not": lambda: torch.cat([torch.rand(1, 3), turned(2, 3)]),
    "hstack": lambda: torch.hstack([turned(2, 3), turned(2, 3)]),
    "stack": lambda: torch.stack([turned(2, 3), turned(2, 3)]),
    "stack behind": lambda: torch.stack([turned(2, 3), turned(2, 3)], -1),
    "sum": lambda: turned(2, 3, 4, 5).sum(1),
    "sum of halves": lambda: turned(2, 3, 4, 5).half().sum(1),
    "sum of integers": lambda: turned(2, 3, 4, 5).long().sum(1),
    "mean": lambda: turned(2, 3, 4, 5).mean(2, keepdim=True),
    "max": lambda: turned(2, 3, 4, 5).max(1)[0],
    "argmax": lambda: turned(2, 3, 4, 5).max(1)[1],
    "amax": lambda: turned(2, 3, 4, 5).amax(1),
    "softmax": lambda: turned(2, 3, 4).softmax(-1),
    "log_softmax": lambda: turned(2, 3, 4).log_softmax(0),
    "cumsum": lambda: turned(2, 3, 4).cumsum(1),
    "roll": lambda: turned(2, 3, 4).roll(1, 0),
    "layer_norm": lambda: F.layer_norm(turned(2, 3, 4), (4,)),
    "batch_norm": lambda: F.batch_norm(turned(2, 3, 4), None, None, training=True),
    "batch_norm of images": lambda: F.batch_norm(turned(2, 3, 4, 5), torch.ones(3), torch.ones(3)),
    "rms_norm": lambda: F.rms_norm(turned(2, 3, 4), (4,)),
    "rms_norm of half": lambda: F.rms_norm(turned(2, 3, 4).half(), (4,)),
    "rms_norm of heads": lambda: F.rms_norm(torch.rand(8, 9, 64).transpose(0, 1), (64,)),
    "group_norm": lambda: F.group_norm(turned(8, 4), 2),
    "group_norm of images": lambda: F.group_norm(turned(2, 4, 3, 5), 2),
    "one_hot": lambda: F.one_hot(turned(2, 3).long(), 4),
}

REPEATED = {
    "sigmoid": (torch.float32, torch.sigmoid),
    "sigmoid of half": (torch.float16, torch.sigmoid),
    "silu": (torch.float32, F.silu),
    "gelu of half": (torch.float16, F.gelu),
    "glu": (torch.float32, F.glu),
    "integers and a float": (torch.int32, lambda x: x + 2.5),
    "sigmoid of integers": (torch.int32, torch.sigmoid),
    "of two types": (torch.int32, lambda x: x * torch.rand(1, 26).expand(40, 26)),
    "of two types, of which one tells": (torch.int32, lambda x: x * torch.ones(40, 26)),
    "edges without any": (torch.float32, lambda x: F.pad(x, (0, 0), "replicate")),
}


@pytest.mark.parametrize("name", REPEATED)
def test_dimensions_that_repeat_their_elements_have_no_say(name: str) -> None:
    kind, function = REPEATED[name]
    made = function(torch.ones(1, 26, dtype=kind).expand(40, 26))
    assert made.is_contiguous(), made.stride()
    made.view(-1)


def test_what_is_only_cut_off_lies_as_before() -> None:
    assert F.pad(turned(5, 3), (0, -1)).stride() == (1, 5)
    assert F.pad(turned(5, 3), (0, 0)).stride() == (1, 5)


@pytest.mark.parametrize("name", CONTIGUOUS)
def test_results_that_lie_in_rows(name: str) -> None:
    made = CONTIGUOUS[name]()
    assert made.is_contiguous(), made.stride()
    made.view(-1)


def test_channels_stay_innermost_where_they_are_so_in_all() -> None:
    x = torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    joined = torch.cat([x, x], 1)
    assert joined.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(joined[:, 3:], x)
    assert torch.cat([x, torch.rand(2, 1, 4, 5)], 1).is_contiguous()


def test_the_shift_of_relative_positions() -> None:
    scores = torch.einsum("ibnd,jnd->ijbn", torch.rand(4, 3, 2, 5), torch.rand(6, 2, 5))
    padded = torch.cat([torch.zeros(4, 1, 3, 2), scores], dim=1)
    shifted = padded.view(7, 4, 3, 2)[1:].view_as(scores)
    assert torch.equal(shifted[3, 2:], scores[3, 2:])
