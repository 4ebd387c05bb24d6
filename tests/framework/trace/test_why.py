"""Why: from a bad value back to where it began, and the cut of a gradient's path."""

from __future__ import annotations

import runpy
import time
from pathlib import Path

import pytest

import framework as torch
from framework import nn, trace
from framework.nn import functional as F
from framework.trace.explain import Explanation, explain, look_in
from framework.trace.lineage import Lineage

BUGS = Path(__file__).resolve().parents[3] / "examples" / "bugs"


def line_of(text: str) -> int:
    """The line of this file that has a mark."""
    lines = Path(__file__).read_text().splitlines()
    return next(i for i, line in enumerate(lines, 1) if line.endswith(f"# {text}"))


# -- values that are not finite --------------------------------------------------------------


def test_a_nan_is_followed_through_backward_and_the_update_into_the_step_it_was_born_in() -> None:
    with trace.recording():
        names = runpy.run_path(str(BUGS / "nan_in_step_37.py"))
        told = trace.why(names["loss"])
    assert told.kind == "nan" and not told.lost
    first = told.origin
    assert first is not None
    assert (first.title, first.step, first.phase) == ("log", 37, "forward")
    assert first.source.line == 25 and first.note == "log of 0 is -inf"
    assert first.inputs[0].at == "[5, 1] = 0", "the sample in the other units"
    titles = [link.title for link in told.links]
    assert titles[1:4] == ["log backward", "softmax backward", "linear backward"]
    assert "SGD update of model.2.weight" in titles
    onwards = next(link for link in told.links if link.until)
    assert (onwards.step, onwards.until) == (38, 39), "the same update again is one link"
    assert [link.step for link in told.links] == sorted(link.step for link in told.links)
    assert told.links[-1].title == "neg"


@pytest.mark.parametrize(
    ("make", "op", "why"),
    [
        (lambda x: x.log(), "log", "log of 0"),
        (lambda x: (x - 1).log(), "log", "log of a negative number"),
        (lambda x: (x - 1).sqrt(), "sqrt", "square root of a negative number"),
        (lambda x: x.rsqrt(), "rsqrt", "1 / sqrt(0)"),
        (lambda x: x / x, "div", "0 / 0"),
        (lambda x: (x + 1) / x, "div", "x / 0"),
        (lambda x: x.reciprocal(), "reciprocal", "1 / 0"),
        (lambda x: (x * 500 + 100).exp(), "exp", "overflow in exp: of 600"),
        (lambda x: (x - 2) ** 0.5, "pow", "a negative number to a power"),
        (lambda x: x**-1.0, "pow", "0 to a negative power"),
        (lambda x: (x * 1e30) * 1e30, "mul", "overflow"),
        (lambda x: (x * 1e5).half(), "to", "too large for float16"),
        (lambda x: (x - 3).acos(), "acos", "outside of -1 to 1"),
        (lambda x: x[:1].var(), "var", "variance of a single element"),
        (lambda x: x[:0].mean(), "mean", "no elements"),
        (lambda x: F.nll_loss(x[None], torch.tensor([-100])), "nll_loss", "all are ignored"),
        (lambda x: torch.linalg.inv(x.diag()), "inv", "singular"),
    ],
)  # fmt: skip
def test_causes(make: object, op: str, why: str) -> None:
    with trace.recording():
        x = torch.tensor([0.0, 1.0])
        try:
            y = make(x)  # type: ignore[operator]
        except RuntimeError:  # an exactly singular matrix is an error of its own
            return
        told = trace.why(y * 1)
    assert told.kind in ("nan", "inf")
    assert told.origin is not None and op in told.origin.title
    assert why in told.origin.note, told.verdict


def test_infinities_that_meet_are_followed_to_where_they_began() -> None:
    with trace.recording():
        a = (torch.ones(3) * 100).exp()
        b = a * 2
        told = trace.why(b - a)
    assert told.kind == "nan"
    assert told.origin is not None and told.origin.title == "exp"
    assert [li.note for li in told.links if li.title == "sub"] == ["inf - inf is NaN"]


def test_an_infinity_that_a_mask_put_in_is_not_the_culprit() -> None:
    with trace.recording():
        scores = torch.zeros(2, 3)
        mask = torch.tensor([[True, True, True], [False, False, True]])
        masked = scores.masked_fill(mask, float("-inf"))
        told = trace.why(masked.softmax(1).sum())
    assert told.origin is not None and told.origin.title == "softmax"
    assert "row of -inf only" in told.verdict and "masked_fill" in told.verdict


def test_a_gradient_that_is_not_finite_where_the_value_was_fine() -> None:
    with trace.recording():
        w = torch.zeros(3, requires_grad=True)
        w.norm().backward()
        told = trace.why(torch.sqrt(torch.zeros(2, requires_grad=True)))
        x = torch.zeros(2, requires_grad=True)
        torch.sqrt(x).sum().backward()
        grad = trace.why(x)
    assert told.kind == "zero"
    assert grad.kind == "inf" and "the derivative of sqrt is infinite at 0" in grad.verdict


def test_where_does_not_protect_the_branch_that_is_not_taken() -> None:
    with trace.recording():
        x = torch.tensor([0.0, 1.0], requires_grad=True)
        torch.where(x > 0, x.log(), torch.zeros(2)).sum().backward()
        told = trace.why(x)
    assert told.kind == "nan" and "log of 0 is -inf" in told.verdict


def test_a_bad_input_is_named() -> None:
    batch = torch.tensor([1.0, float("nan")])
    with trace.recording():
        told = trace.why((batch * 2).sum())
    assert told.origin is not None
    assert "batch" in told.origin.title and "when the program came with it" in told.verdict


def test_values_that_are_no_longer_kept_are_said_to_be() -> None:
    with trace.recording(steps=3) as tape:
        model = nn.Linear(2, 2)
        opt = torch.optim.SGD(model.parameters(), lr=0.1)
        for step in range(8):
            x = torch.full((1, 2), float("inf")) if step == 1 else torch.ones(1, 2)
            opt.zero_grad()
            model(x).sum().backward()
            opt.step()
        told = trace.why(model.weight)
        lineage, look = Lineage(tape.read()), look_in(tape)
        again = explain(lineage, look, model.weight._id, again=True)
    assert told.lost and "no longer kept" in told.lost and "--record" in told.lost
    assert again.lost.endswith("; or B, inf, and run: it stops at the first Inf"), again.lost


# -- zeros -----------------------------------------------------------------------------------


def test_a_dead_relu_stops_a_gradient() -> None:
    with trace.recording():
        first, second = nn.Linear(3, 4), nn.Linear(4, 1)
        with torch.no_grad():
            first.bias.fill_(-100.0)
        out = second(torch.relu(first(torch.rand(5, 3))))
        out.sum().backward()
        told = trace.why(first.weight)
    assert told.kind == "zero" and told.subject.endswith(".grad")
    assert "dead relu" in told.verdict


def test_zeros_begin_where_something_else_became_zero() -> None:
    with trace.recording():
        x = torch.rand(3) + 1
        told = trace.why(((x - 5).relu() * 3).sum())
        small = trace.why((x * -1000).exp())
    assert told.origin is not None and told.origin.title == "relu"
    assert "dead relu" in told.verdict and "underflow" in small.verdict


# -- gradients that are missing --------------------------------------------------------------


class Cuts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for name in ("fine", "detached", "no_grad", "cast", "unused", "data", "frozen", "ends"):
            setattr(self, name, nn.Linear(3, 3))
        self.frozen.weight.requires_grad_(False)
        self.spare = nn.Parameter(torch.ones(3))
        self.argmax = nn.Linear(3, 3)
        self.overwritten = nn.Linear(3, 3)

    def forward(self, x):  # type: ignore[no-untyped-def]
        h = self.fine(x) + self.frozen(x)
        h = h + self.detached(x).detach()  # the detach
        with torch.no_grad():
            k = self.no_grad(x)
        h = h + k
        h = h + self.cast(x).long()  # the cast
        h = h * self.argmax(x).argmax(1, keepdim=True)
        z = self.data(x).data
        late = self.overwritten(x).clone()
        late.copy_(x)  # the overwriting
        self.ends(x).exp()
        return h + z + late


@pytest.fixture(scope="module")
def cuts() -> dict[str, Explanation]:
    torch.manual_seed(0)
    with trace.recording():
        model = Cuts()
        model(torch.rand(2, 3)).sum().backward()
        return {name: trace.why(param) for name, param in model.named_parameters()}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("detached.weight", "cut by detach() at test_why.py:{the detach}"),
        ("no_grad.bias", "cut by a no_grad or inference_mode block"),
        ("cast.weight", "cut by a cast to int64 at test_why.py:{the cast}"),
        ("argmax.weight", "argmax, whose result is int64"),
        ("unused.weight", "model.unused was not called"),
        ("spare", "but no op of it used spare"),
        ("data.weight", "went on as a new tensor"),
        ("frozen.weight", "requires_grad is False"),
        ("ends.weight", "the result of exp at test_why.py"),
        ("overwritten.weight", "zero"),
    ],
)
def test_the_cut_is_named(cuts: dict[str, Explanation], name: str, words: str) -> None:
    told = cuts[name]
    mark = words.partition("{")[2].partition("}")[0]
    if mark:
        words = words.replace(f"{{{mark}}}", str(line_of(mark)))
    assert words in str(told), str(told)
    assert told.kind == ("zero" if name == "overwritten.weight" else "missing")


def test_what_has_a_gradient_is_fine(cuts: dict[str, Explanation]) -> None:
    assert cuts["fine.weight"].kind == "fine"


def test_other_reasons_for_no_gradient() -> None:
    class Silent(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):  # type: ignore[no-untyped-def]
            return x * 1

        @staticmethod
        def backward(ctx, g):  # type: ignore[no-untyped-def]
            return None

    with trace.recording():
        a, b, c = (torch.ones(2, requires_grad=True) for _ in range(3))
        loss = (a * 2).sum()
        assert "backward was not called" in trace.why(a).verdict
        assert "no op has used it in this run so far" in trace.why(b).verdict
        torch.autograd.grad(loss, a)
        assert "autograd.grad" in trace.why(a).verdict
        (Silent.apply(b * 3).sum() + c.sum()).backward()
        assert "None" in trace.why(b).verdict


class Square(torch.autograd.Function):
    """A Function as users write them: its own ops make no graph."""

    @staticmethod
    def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)  # type: ignore[attr-defined]
        return x * x

    @staticmethod
    def backward(ctx: object, g: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return 2 * g * x


def test_what_a_function_returns_is_no_leaf_that_lacks_a_gradient() -> None:
    with trace.recording() as tape:
        w = torch.ones(3, requires_grad=True)
        y = Square.apply(w)
        y.sum().backward()
    lineage = Lineage(tape.read())
    assert not lineage.wants_gradient(y._id)
    assert lineage.wants_gradient(w._id)
    with trace.recording():
        y = Square.apply(torch.ones(3, requires_grad=True))
        y.sum().backward()
        assert trace.why(y).kind == "fine"


def test_a_vanishing_gradient_names_the_detached_branch() -> None:
    with trace.recording():
        model = runpy.run_path(str(BUGS / "detached_branch.py"))["model"]
        told = trace.why(model.stem.weight)
    assert told.kind == "small"
    assert "sigmoid backward, 8 times" in told.verdict
    assert "another path is cut by detach() at detached_branch.py:30" in told.verdict
    assert told.origin is not None and told.origin.title == "detach"


def test_a_long_tape_takes_linear_time() -> None:
    def seconds(steps: int) -> float:
        with trace.recording(steps=steps) as tape:
            x = torch.zeros(2).log()
            for _ in range(steps):
                x = x * 0.5
            begin = time.thread_time()
            told = trace.why(x)
            spent = time.thread_time() - begin
        assert told.origin is not None and told.origin.title == "log"
        assert tape.seq > steps
        return spent

    seconds(100)
    short = min(seconds(900) for _ in range(3))
    long = min(seconds(9_000) for _ in range(2))
    assert long < 40 * short


def test_it_says_what_it_needs() -> None:
    with pytest.raises(RuntimeError, match="nothing is recorded"):
        trace.why(torch.ones(1))
    with trace.recording(), pytest.raises(TypeError, match="expected a tensor"):
        trace.why(3)


def test_the_memory_of_a_parameter_is_not_the_tensor_s_that_it_was_made_of() -> None:
    """What `zeros` made is still seen as zeros after the initialization wrote to the parameter."""
    with trace.recording() as tape:
        nn.Linear(2, 2)
    assert tape.values is not None
    made = next(e for e in tape.read() if getattr(e, "name", "") == "zeros")
    value = tape.values.get(made.outputs[0].id, made.seq)
    assert value is not None and not value.any()


@pytest.mark.parametrize("hooked", ["tensor", "module"])
def test_an_error_in_a_backward_hook_is_named(hooked: str) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 1))

    def bad(*gradients: object) -> None:
        raise ValueError("in the hook")

    with trace.recording(keep="all"):
        h = model[0](torch.ones(2, 3))
        if hooked == "tensor":
            h.register_hook(bad)
        else:
            model[1].register_full_backward_hook(bad)
        with pytest.raises(ValueError, match="in the hook"):
            model[2](model[1](h)).sum().backward()
        told = trace.why(model[0].weight)
    assert "backward broke off after " in told.verdict, told.verdict
    assert told.verdict.endswith("before it came here: ValueError: in the hook"), told.verdict
    assert "no backward pass came" not in str(told)


def test_of_two_optimizers_the_cut_is_named_though_the_network_ran_in_the_other_s_part() -> None:
    """A GAN whose generator's output is detached for the generator's own loss, too."""
    torch.manual_seed(0)
    made, judge = nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
    of_made = torch.optim.SGD(made.parameters(), lr=0.1)
    of_judge = torch.optim.SGD(judge.parameters(), lr=0.1)
    with trace.recording():
        for _ in range(2):
            fake = made(torch.rand(4, 2))
            of_judge.zero_grad()
            F.binary_cross_entropy(judge(fake.detach()), torch.zeros(4, 1)).backward()
            of_judge.step()
            of_made.zero_grad()
            again = fake.detach()  # the second detach
            F.binary_cross_entropy(judge(again), torch.ones(4, 1)).backward()
            of_made.step()
        told = trace.why(made.weight)
    assert told.kind == "missing"
    place = f"cut by detach() at test_why.py:{line_of('the second detach')}"
    assert place in told.verdict and told.verdict.count("detach()") == 1, told.verdict
