"""Rules for unattended runs: each finds a real model's fault, and lets a sound one pass."""

from __future__ import annotations

import contextlib
import io
import os
import runpy
import sys
from pathlib import Path

import pytest

import framework as torch
from framework import nn
from framework.trace import rules
from framework.trace.ruleset import RULES, Finding, RuleError, defaults, load
from tests.models.loading import MODELS
from tests.models.loading import load as load_model

F = nn.functional
EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def fit(model, steps=12, lr=0.1, make=None, optimizer=None, loss_of=None):
    """Train on data that can be learnt."""
    torch.manual_seed(1)
    x = torch.randn(32, 8)
    y = (x[:, 0] > 0).long()
    if make is not None:
        x, y = make(x, y)
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=lr)
    loss_of = loss_of or (lambda out, y: F.cross_entropy(out, y))
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of(model(x), y).backward()
        optimizer.step()


def mlp(*middle, width=16):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, width), *(middle or (nn.ReLU(),)), nn.Linear(width, 2))


# -- faults: each a function that trains, and what the finding must name ---------------------------


def nan():
    class Log(nn.Module):
        def forward(self, x):
            return torch.log(x)

    fit(mlp(Log()))


def inf():
    class Exp(nn.Module):
        def forward(self, x):
            return torch.exp(x * 1e4)

    fit(mlp(Exp()))


def inf_in_backward():
    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.zeros(16))

        def forward(self, x):
            return x * torch.sqrt(self.scale)

    fit(mlp(Root()))


def exploding_gradient():
    layers = []
    for _ in range(10):
        layers += [nn.Linear(16, 16), nn.ReLU()]
    model = mlp(*layers)
    with torch.no_grad():
        for layer in model[1:-1]:
            if isinstance(layer, nn.Linear):
                layer.weight.mul_(20.0)
    fit(model, steps=1, lr=1e-30)


def growing_gradient():
    model = mlp()
    scale = {"now": 1.0, "step": 0}

    def loss_of(out, y):
        scale["step"] += 1
        return F.cross_entropy(out, y) * (1e5 if scale["step"] == 9 else 1.0)

    fit(model, lr=1e-4, loss_of=loss_of)


def vanishing_gradient():
    layers = []
    for _ in range(12):
        layers += [nn.Sigmoid(), nn.Linear(16, 16)]
    fit(mlp(*layers, nn.Sigmoid()), steps=6)


def zero_gradient():
    class Gate(nn.Module):
        def forward(self, x):
            return x * 0.0

    model = mlp(Gate())
    fit(model)


def unchanged_weight():
    class Detached(nn.Module):
        def __init__(self):
            super().__init__()
            self.branch, self.main = nn.Linear(8, 2), nn.Linear(8, 2)

        def forward(self, x):
            return self.main(x) + self.branch(x).detach()

    torch.manual_seed(0)
    fit(Detached())


def forgotten_by_the_optimizer():
    model = mlp()
    fit(model, optimizer=torch.optim.SGD(model[2].parameters(), lr=0.1))


def dead_relu():
    model = mlp()
    with torch.no_grad():
        model[0].bias.fill_(-100.0)
    fit(model)


def saturated():
    model = mlp(nn.Tanh())
    fit(model, make=lambda x, y: (x * 1000, y), lr=1e-9)


def zero_output():
    model = mlp()
    model[0].weight.requires_grad_(False)
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.zero_()
    model[0].bias.register_hook(lambda g: g * 0)
    fit(model)


def loss_not_falling():
    fit(mlp(), steps=101, lr=1e-7)


def exploding_loss():
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for step in range(8):
        optimizer.param_groups[0]["lr"] = 500.0 if step == 6 else 0.05
        fit(model, optimizer=optimizer, steps=1)


def poor_initialisation():
    model = mlp()
    nn.init.normal_(model[0].weight, std=10.0)
    fit(model, steps=1)


def constant_initialisation():
    model = mlp()
    nn.init.constant_(model[0].weight, 0.1)
    nn.init.constant_(model[2].weight, 0.1)
    nn.init.zeros_(model[0].bias)  # else the biases tell the units apart
    fit(model, steps=1)


def constant_but_for_rounding():
    """Where a product adds its last rows up in another order, an ulp sets them apart."""
    model = mlp()
    for weight in (model[0].weight, model[2].weight, model[0].bias):
        nn.init.constant_(weight, 0.1)
    last = torch.tensor([[1.0]] * 12 + [[1.0 + 2**-23]] * 4)
    model[0].weight.register_hook(lambda g: g * last)
    fit(model, steps=1)


FAULTS = [
    (nan, "nan", "log in model.1", "of 512 elements"),
    (inf, "inf", "exp in model.1", "Inf of 512 elements"),
    (inf_in_backward, "inf", "sqrt backward in model.1", "it reached model.1.scale"),
    (exploding_gradient, "exploding_gradient", "model.", "above 1e+06"),
    (growing_gradient, "exploding_gradient", "model.0.weight", "times the median"),
    (vanishing_gradient, "vanishing_gradient", "model.0.weight", "of the largest weight's"),
    (zero_gradient, "zero_gradient", "model.0.weight", "in each of 10 steps"),
    (unchanged_weight, "unchanged_weight", "model.branch.weight", "never had a gradient"),
    (forgotten_by_the_optimizer, "unchanged_weight", "model.0.weight", "no optimizer updates it"),
    (dead_relu, "dead_relu", "relu in model.1", "16 of 16 units"),
    (saturated, "saturated", "tanh in model.1", "100%"),
    (zero_output, "zero_output", "linear in model.0", "in each of its first 10 calls"),
    (loss_not_falling, "loss_not_falling", "the loss", "after 100 steps"),
    (exploding_loss, "exploding_loss", "the loss", "times the median of the 5 before"),
    (poor_initialisation, "poor_initialisation", "model.0.weight", "above 8"),
    (constant_initialisation, "poor_initialisation", "model.0.weight", "one number"),
    (constant_but_for_rounding, "poor_initialisation", "model.0.weight", "one number"),
]  # fmt: skip


@pytest.mark.parametrize("fault, rule, subject, figures", FAULTS)
def test_a_fault_is_found(fault, rule, subject, figures):
    with rules("default") as report:
        fault()
    found = [f for f in report.findings if f.rule == rule]
    assert found, str(report)
    first = next(f for f in found if f.subject.startswith(subject))
    assert figures in first.figures, first
    assert first.source.startswith(__file__) and int(first.source.rpartition(":")[2]) > 0
    assert first.step >= 1 and first.advice and "\n" not in str(first)
    assert {f.rule for f in report.findings} <= _KIN.get(rule, {rule}), str(report)


# Some faults are two: a dead layer's gradient is 0, and what it does not pass on stays as it is.
_CUT = {"dead_relu", "zero_gradient", "unchanged_weight", "zero_output", "vanishing_gradient"}
_KIN = {
    **dict.fromkeys(_CUT, _CUT),
    "exploding_gradient": {"exploding_gradient", "exploding_loss", "poor_initialisation"},
    "exploding_loss": {"exploding_loss", "exploding_gradient"},
    "saturated": {"saturated", "unchanged_weight"},
    "loss_not_falling": {"loss_not_falling"},
}


def test_a_layer_that_is_never_called_is_found():
    class Forgetful(nn.Module):
        def __init__(self):
            super().__init__()
            self.main, self.spare, self.fixed = (nn.Linear(8, 2) for _ in range(3))
            self.fixed.requires_grad_(False)

        def forward(self, x):
            return self.main(x)

    with rules("default") as report:
        fit(Forgetful())
    assert [(f.rule, f.subject, f.source) for f in report.findings] == [
        ("unchanged_weight", "model.spare.weight", ""),
        ("unchanged_weight", "model.spare.bias", ""),
    ]
    assert "no op used it in 10 training steps" in report.findings[0].figures


def test_each_rule_has_a_fault_here_and_a_section_of_thresholds():
    assert {rule for _, rule, _, _ in FAULTS} == set(RULES) == set(defaults())


# -- no false alarms -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "middle",
    [
        (nn.ReLU(),), (nn.Tanh(), nn.Dropout(0.5)), (nn.Sigmoid(), nn.Linear(16, 16), nn.GELU()),
        (nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 16), nn.LayerNorm(16)),
    ],
)  # fmt: skip
def test_a_sound_model_passes(middle):
    with rules("default") as report:
        model = mlp(*middle)
        fit(model, steps=110, optimizer=torch.optim.Adam(model.parameters(), lr=1e-2))
    assert report.ok and report.steps == 110, str(report)


def test_units_of_one_number_with_biases_of_their_own_pass():
    with rules("default") as report:
        model = mlp(nn.Tanh())
        nn.init.constant_(model[0].weight, 0.1)
        nn.init.constant_(model[2].weight, 0.1)
        fit(model, steps=1)
    assert not report.findings, str(report)


def test_masks_teachers_zero_initialised_ends_and_sure_outputs_pass():
    """What looks like a fault and is none."""
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.end = nn.Linear(8, 1)
            nn.init.zeros_(self.end.weight)
            self.teacher = nn.Linear(8, 8)

        def forward(self, x):
            mask = torch.full((4, 4), float("-inf")).triu(1)
            x, _ = self.attention(x, x, x, attn_mask=mask)
            scores = (x @ x.transpose(-2, -1)).masked_fill(mask < 0, float("-inf"))
            with torch.no_grad():
                target = self.teacher(x)
            x = x + torch.softmax(scores, -1) @ target
            empty = torch.empty(3).fill_(0.0)
            return torch.sigmoid(self.end(x).mean(1) * 50 + empty.sum())

    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    x = torch.randn(16, 4, 8)
    y = (x[:, :, :1].mean(1) > 0).float()
    with rules("default") as report:
        for _ in range(120):
            optimizer.zero_grad()
            F.binary_cross_entropy(model(x), y).backward()
            optimizer.step()
    assert report.ok, str(report)


@pytest.mark.parametrize("name", MODELS)
def test_no_false_alarm_on_ordinary_models(name):
    torch.manual_seed(0)
    module = load_model(name)
    with rules("default") as report:
        module.train(module.build(), {"gpt": 30, "actor_critic": 10}.get(name, 30))
    assert report.ok, str(report)


@pytest.mark.parametrize("name", ["digits_mlp", "digits_cnn", "dynamic_rnn", "nan_hunt"])
def test_examples(name, monkeypatch):
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(_Found)
    done = []

    def enough(*_):
        done.append(1)
        if len(done) == 120:
            raise _Found

    handle = torch.optim.optimizer.register_optimizer_step_post_hook(enough)
    with rules("default", do=_stop) as report, quiet[0], quiet[1]:
        runpy.run_path(f"{name}.py", run_name="__main__")
    handle.remove()
    sys.modules.pop("digits", None)
    if name == "nan_hunt":
        (finding,) = report.findings
        assert (finding.rule, finding.subject) == ("nan", "div in model.0")
    else:
        assert report.ok, str(report)


class _Found(Exception):
    pass


def _stop(finding):
    assert isinstance(finding, Finding)
    raise _Found


def test_a_scaler_that_skips_a_step_is_no_fault():
    from framework.amp import GradScaler

    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = GradScaler("cpu", init_scale=1e38, growth_interval=10**6)
    x, y = torch.randn(32, 8), torch.randint(0, 2, (32,))
    with rules("default") as report:
        fit(model, steps=1)  # there is an optimizer
        for _ in range(8):
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(model(x) * 100, y)).backward()
            scaler.step(optimizer)
            scaler.update()
    assert scaler.get_scale() < 1e38
    assert not [f for f in report.findings if f.rule in ("nan", "exploding_gradient")], str(report)


def test_rules_see_the_loss_itself_while_the_scale_grows():
    from framework.amp import GradScaler

    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    scaler = GradScaler("cpu", init_scale=1.0, growth_factor=1.1, growth_interval=1)
    x = torch.randn(32, 8)
    y = (x.sum(1) > 0).long()
    with rules("default") as report:
        for _ in range(110):
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(model(x), y)).backward()
            scaler.step(optimizer)
            scaler.update()
    assert scaler.get_scale() > 1e4
    assert report.ok, str(report)


def test_sparse_gradients_complex_weights_and_small_floats_are_looked_at():
    torch.manual_seed(0)
    table = nn.Embedding(20, 6, sparse=True)
    wave = nn.Parameter(torch.randn(6, 6, dtype=torch.complex64) * 0.4)
    head = nn.Linear(6, 2)
    optimizers = [
        torch.optim.SparseAdam(table.parameters(), lr=0.01),
        torch.optim.SGD([wave, *head.parameters()], lr=0.1),
    ]
    with rules("default") as report:
        for _ in range(30):
            rows = torch.randint(0, 20, (16,))
            out = head((table(rows).to(torch.complex64) @ wave).abs().bfloat16().float())
            loss = F.cross_entropy(out, rows % 2)
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
    assert report.ok and report.steps == 30, str(report)


def test_a_fault_of_a_rule_does_not_become_the_model_s(monkeypatch):
    def broken(*_):
        raise TypeError("a rule\nthat fails")

    monkeypatch.setattr(RULES["dead_relu"], "op", broken)
    with rules("default") as report:
        fit(mlp())
    assert not report.ok and not report.findings
    assert "the rules had to stop looking: TypeError: a rule that fails" in str(report)


# -- thresholds ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, problem",
    [
        ("[nan]\nfoo = 1\n", "[nan] has no 'foo'; it has enabled"),
        ("[dead]\n", "no rule 'dead'; there are nan, inf, exploding_gradient"),
        ("[dead_relu]\nsteps = 2.5\n", "[dead_relu] steps must be a whole number from 1 on"),
        ("[dead_relu]\nunits = true\n", "[dead_relu] units must be a part, above 0 up to 1, got"),
        ("[dead_relu]\nunits = 90\n", "units must be a part, above 0 up to 1, got '90'"),
        ("[exploding_gradient]\nnorm = nan\n", "norm must be a number above 0, got 'nan'"),
        ("[nan]\nenabled = 1\n", "[nan] enabled must be true or false, got '1'"),
        ("nan = 3\n", "nan is a section: write [nan]"),
        ("[nan\n", "not TOML"),
        (None, "No such file or directory; give default, or a TOML file"),
    ],
)
def test_thresholds_that_cannot_be_used_are_refused_in_one_line(tmp_path, text, problem):
    path = tmp_path / "my.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RuleError) as info:
        load("default", path)
    message = str(info.value)
    assert message.startswith(f"{path}: ") and problem in message and "\n" not in message


def test_thresholds_come_from_a_file_only(tmp_path):
    """Nobody waits for a pipe's other end, or reads a device that has none."""
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "large.toml").write_bytes(b"# \n" * 400_000)
    (tmp_path / "deep.toml").write_text("a = " + "[" * 100_000)
    for path in (tmp_path / "pipe.toml", tmp_path / "large.toml", "/dev/zero"):
        with pytest.raises(RuleError, match="no file of at most 1,048,576 bytes; give default"):
            load("default", path)
    with pytest.raises(RuleError, match="Is a directory; give default"):
        load("default", tmp_path)
    with pytest.raises(RuleError, match="not TOML"):
        load("default", tmp_path / "deep.toml")


def test_files_of_thresholds_win_over_the_defaults(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text("[loss_not_falling]\nenabled = false\n[dead_relu]\nsteps = 3\n")
    both = load("default", path)
    assert "loss_not_falling" not in both and both["dead_relu"]["steps"] == 3
    assert both["dead_relu"]["units"] == 0.9 and set(both) == set(RULES) - {"loss_not_falling"}
    assert set(load(path)) == {"dead_relu"}
    with rules(path) as report:
        dead_relu()
    assert [f.rule for f in report.findings] == ["dead_relu"] and report.findings[0].step == 3


def test_gradients_inside_of_vmap_are_looked_at():
    """A batched tensor is all its samples."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    params = dict(model.named_parameters())

    def loss(p, x):
        return torch.func.functional_call(model, p, (x,)).pow(2).mean()

    per_sample = torch.func.vmap(torch.func.grad(loss), (None, 0))
    with rules("default") as report:
        per_sample(params, torch.randn(5, 2, 3))
    assert report.ok, report
    with rules("default") as report:
        per_sample(params, torch.full((5, 2, 3), float("inf")))
    assert not report.ok and not report.problem
