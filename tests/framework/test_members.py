"""Members of classes that programs seldom call."""

from __future__ import annotations

import pytest

import framework as torch
from framework import nn
from framework.nn.attention.flex_attention import create_block_mask
from framework.utils.benchmark import Measurement
from framework.utils.data import ConcatDataset


def test_grad_modes_can_be_cloned() -> None:
    for mode in (torch.no_grad(), torch.enable_grad(), torch.inference_mode()):
        other = mode.clone()
        assert type(other) is type(mode) and other is not mode
    with torch.no_grad().clone():
        assert not torch.is_grad_enabled()
    with torch.inference_mode(False).clone():
        assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()
    with torch.set_grad_enabled(False).clone():
        assert not torch.is_grad_enabled()
    torch.set_grad_enabled(True)


def test_datasets_add_up() -> None:
    assert ConcatDataset.cumsum(["ab", "cde"]) == [2, 5]


def test_measurements_of_one_statement_are_merged() -> None:
    first, second = Measurement(10, [0.02], title="a"), Measurement(1, [0.003], title="a")
    merged = Measurement.merge([first, second, Measurement(1, [1.0], title="b")])
    assert [(m.title, m.times) for m in merged] == [("a", [0.002, 0.003]), ("b", [1.0])]
    assert Measurement(1, [1.0] * 8).significant_figures == 4
    assert Measurement(1, [1.0, 2.0, 3.0, 4.0]).significant_figures == 1


def test_networks_check_what_they_are_given() -> None:
    rnn, lstm = nn.RNN(3, 4, 2), nn.LSTM(3, 4, proj_size=2, batch_first=True)
    x = torch.zeros(5, 6, 3)
    assert rnn.get_expected_hidden_size(x, None) == (2, 6, 4)
    assert rnn.get_expected_hidden_size(x[0], torch.tensor([3, 2, 1])) == (2, 3, 4)
    rnn.check_forward_args(x, torch.zeros(2, 6, 4), None)
    lstm.check_forward_args(x, (torch.zeros(1, 5, 2), torch.zeros(1, 5, 4)), None)
    with pytest.raises(RuntimeError, match=r"Expected hidden size \(2, 6, 4\), got \[2, 6, 3\]"):
        rnn.check_forward_args(x, torch.zeros(2, 6, 3), None)
    with pytest.raises(RuntimeError, match=r"Expected hidden\[1\] size \(1, 5, 4\)"):
        lstm.check_forward_args(x, (torch.zeros(1, 5, 2), torch.zeros(1, 5, 3)), None)
    with pytest.raises(RuntimeError, match="input must have 2 dimensions, got 3"):
        rnn.check_input(x, torch.tensor([1]))
    with pytest.raises(RuntimeError, match="must be equal to input_size"):
        rnn.check_input(x[..., :2], None)
    with pytest.raises(ValueError, match="does not match weight dtype"):
        rnn.check_input(x.double(), None)
    h = torch.arange(3.0).reshape(1, 3, 1)
    assert rnn.permute_hidden(h, torch.tensor([2, 0, 1])).flatten().tolist() == [2, 0, 1]
    assert rnn.permute_hidden(h, None) is h


def test_masks_of_blocks_can_be_looked_at() -> None:
    mask = create_block_mask(lambda b, h, q, kv: q >= kv, None, None, 4, 4, BLOCK_SIZE=1)
    assert mask.numel() == 16
    assert mask.to_string() == (
        "(0, 0)\n██      \n████    \n██████  \n████████\n"
    )  # fmt: skip
    assert mask.to_string(2) == "(0, 0)\n░░  \n██░░\n"
    two = create_block_mask(lambda b, h, q, kv: q >= kv, 2, None, 4, 4, BLOCK_SIZE=1)
    shown = two.to_string(limit=1).splitlines()
    assert shown[-2] == "To print out more, set BlockMask.to_string(limit=N)"
