"""State dicts: keys, sharing, strictness, messages, hooks."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework import nn


def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))


def test_keys_and_metadata() -> None:
    state = model().state_dict(prefix="net.")
    assert list(state) == [
        "net.0.weight", "net.0.bias", "net.1.weight", "net.1.bias", "net.1.running_mean",
        "net.1.running_var", "net.1.num_batches_tracked",
    ]  # fmt: skip
    assert state._metadata["net.1"] == {"version": 2}
    assert not any(t.requires_grad for t in state.values())
    assert isinstance(model().state_dict(keep_vars=True)["0.weight"], nn.Parameter)


def test_values_share_memory_and_loading_copies() -> None:
    a, b = model(), model()
    state = a.state_dict()
    assert str(b.load_state_dict(state)) == "<All keys matched successfully>"
    np.testing.assert_array_equal(a[0].weight.detach(), b[0].weight.detach())
    a[0].weight.data.fill_(5.0)
    assert state["0.weight"][0, 0].item() == 5.0
    assert b[0].weight[0, 0].item() != 5.0


def test_assign_takes_the_tensors() -> None:
    net = nn.Linear(2, 2, bias=False)
    weight = torch.ones(2, 2, dtype=torch.float64)
    net.load_state_dict({"weight": weight}, assign=True)
    assert net.weight.dtype is torch.float64 and isinstance(net.weight, nn.Parameter)
    weight.fill_(3.0)
    assert net.weight[0, 0].item() == 3.0


def test_every_problem_is_named() -> None:
    given = {"0.weight": torch.zeros(4, 4), "2.x": torch.zeros(1), "1.y": torch.zeros(1)}
    with pytest.raises(RuntimeError) as caught:
        model().load_state_dict(given)
    assert str(caught.value) == (
        "Error(s) in loading state_dict for Sequential:\n"
        '\tMissing key(s) in state_dict: "0.bias", "1.weight", "1.bias", "1.running_mean", '
        '"1.running_var". \n'
        '\tUnexpected key(s) in state_dict: "2.x", "1.y". \n'
        "\tsize mismatch for 0.weight: copying a param with shape torch.Size([4, 4]) from "
        "checkpoint, the shape in current model is torch.Size([3, 4])."
    )


def test_not_strict_reports() -> None:
    found = nn.Linear(4, 3).load_state_dict({"weight": torch.zeros(3, 4), "x": 0}, strict=False)
    assert found.missing_keys == ["bias"] and found.unexpected_keys == ["x"]
    with pytest.raises(RuntimeError, match="size mismatch for weight"):
        nn.Linear(4, 3).load_state_dict({"weight": torch.zeros(1)}, strict=False)
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like"):
        nn.Linear(4, 3).load_state_dict([1])


class Extra(nn.Module):
    state = 3

    def get_extra_state(self):
        return torch.tensor(self.state)

    def set_extra_state(self, state) -> None:
        self.state = int(state)


def test_extra_state() -> None:
    saved = nn.Sequential(Extra()).state_dict()
    assert list(saved) == ["0._extra_state"]
    saved["0._extra_state"] = torch.tensor(8)
    net = nn.Sequential(Extra())
    net.load_state_dict(saved)
    assert net[0].state == 8


def without_bias(module, state, prefix, metadata) -> None:
    del state[prefix + "bias"]


def test_hooks() -> None:
    net, calls = nn.Linear(2, 2), []
    net.register_state_dict_pre_hook(lambda m, prefix, keep_vars: calls.append("saving"))
    net.register_state_dict_post_hook(without_bias)
    assert list(net.state_dict()) == ["weight"]

    def rename(module, state, prefix, *rest) -> None:
        state["bias"] = state.pop("old_bias")

    net.register_load_state_dict_pre_hook(rename)
    net.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    net.load_state_dict({"old_bias": torch.ones(2)})
    assert net.bias.tolist() == [1.0, 1.0] and calls == ["saving"]


def test_only_the_older_kind_of_hook_may_return_another_state_dict() -> None:
    net = nn.Linear(2, 2)
    handle = net.register_state_dict_post_hook(lambda m, state, prefix, meta: state)
    with pytest.raises(RuntimeError, match="state_dict post-hook must return None"):
        net.state_dict()
    handle.remove()
    net._register_state_dict_hook(lambda m, state, prefix, meta: {"other": 1})
    assert net.state_dict() == {"other": 1}


def test_batch_norm_reads_states_from_before_it_counted() -> None:
    net = nn.BatchNorm1d(2)
    state = net.state_dict()
    del state["num_batches_tracked"]
    state._metadata[""]["version"] = 1
    assert not net.load_state_dict(state).missing_keys
