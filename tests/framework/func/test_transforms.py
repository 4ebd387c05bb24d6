"""The function transforms, against formulas and against each other."""

from __future__ import annotations

import numpy as np
import pytest

import framework as torch
from framework.autograd import Function
from framework.core import dispatch
from framework.func import (
    functional_call,
    functionalize,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    stack_module_state,
    vjp,
    vmap,
)


def draw(*shape: int) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(sum(shape)).standard_normal(shape))


def near(a, b, tolerance: float = 1e-9) -> None:
    assert a.shape == b.shape
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=tolerance, atol=1e-11)


def cubic(x):
    return (x**3).sum() * x[0]


def test_grad_of_any_order():
    x = torch.tensor(2.0)
    f = lambda x: x**4  # noqa: E731
    values = []
    for _ in range(4):
        f = grad(f)
        values.append(f(x).item())
    assert values == [32.0, 48.0, 48.0, 24.0]
    assert not f(x).requires_grad


def test_grad_of_pytrees_argnums_and_aux():
    state = {"w": draw(3), "b": draw(1)}

    def loss(state, x):
        y = (state["w"] * x).sum() + state["b"].sum()
        return y**2, {"y": y}

    (found, aux) = grad(loss, has_aux=True)(state, draw(3))
    near(found["b"], (2 * aux["y"]).reshape(1))
    both, value = grad_and_value(lambda a, b: (a * b).sum(), (0, 1))(draw(3), draw(3) + 1)
    near(both[0], draw(3) + 1)
    near(value, (draw(3) * (draw(3) + 1)).sum())
    assert not aux["y"].requires_grad and not value.requires_grad


def test_refusals():
    with pytest.raises(RuntimeError, match="return a scalar tensor, got tensor with 1 dims"):
        grad(lambda x: x)(draw(3))
    with pytest.raises(RuntimeError, match="return a tensor, got <class 'int'>"):
        grad(lambda x: 1)(draw(3))
    with pytest.raises(RuntimeError, match="Got argnum=2, but only 1 positional inputs"):
        grad(cubic, 2)(draw(3))
    with pytest.raises(RuntimeError, match="Expected pytree structure of cotangents"):
        vjp(torch.sin, draw(3))[1]((draw(3),))
    with pytest.raises(RuntimeError, match="Expected primals to be a tuple"):
        jvp(torch.sin, draw(3), draw(3))
    with pytest.raises(RuntimeError, match="functionalize"):
        functionalize(torch.sin, remove="nothing")
    assert dispatch.interposer is None


def test_jacobians_agree():
    def f(x):
        return torch.stack([x[0] * x[1].sin(), x[1] ** 2, x.exp().sum()])

    x = draw(2)
    near(jacrev(f)(x), jacfwd(f)(x))
    near(jacrev(f, chunk_size=2)(x), jacfwd(f)(x))
    forward = hessian(cubic)(x)
    near(jacrev(jacrev(cubic))(x), forward)
    near(jacfwd(jacfwd(cubic))(x), forward)
    near(jacrev(jacfwd(cubic))(x), forward)
    near(torch.stack([grad(lambda y, i=i: grad(cubic)(y)[i])(x) for i in range(2)]), forward)


def test_jacobians_of_several_inputs_and_outputs():
    def f(a, b):
        return {"p": a * b.sum(), "s": a.sum() + b}

    a, b = draw(2), draw(3)
    rev, fwd = jacrev(f, (0, 1))(a, b), jacfwd(f, (0, 1))(a, b)
    for key, shapes in (("p", ((2, 2), (2, 3))), ("s", ((3, 2), (3, 3)))):
        for r, g, shape in zip(rev[key], fwd[key], shapes, strict=True):
            assert r.shape == shape
            near(r, g)


def test_vjp_can_be_called_again_and_batched():
    x = draw(4)
    out, pull = vjp(lambda x: (x.sin(), x.sum()), x)
    one = pull((torch.ones_like(x), torch.tensor(2.0).double()))[0]
    near(one, x.cos() + 2)
    many = vmap(pull, in_dims=((0, None),))((torch.eye(4).double(), torch.zeros(()).double()))[0]
    near(many, torch.eye(4).double() * x.cos())
    assert not out[0].requires_grad


def test_forward_mode_is_a_directional_derivative():
    x, v = draw(4), draw(4) + 1
    _, tangent = jvp(lambda x: (x.exp(), x.prod()), (x,), (v,))
    near(tangent[0], x.exp() * v)
    near(tangent[1], (x.prod() / x * v).sum())
    value, push = linearize(lambda x: x.exp(), x)
    near(push(v), value * v)
    near(push(2 * v), 2 * value * v)
    near(jvp(lambda x: torch.ones(2), (x,), (v,))[1], torch.zeros(2))
    with pytest.raises(RuntimeError, match="independent of the inputs"):
        jvp(lambda x: torch.ones(2), (x,), (v,), strict=True)


def test_forward_over_reverse_and_reverse_over_forward():
    x, v = draw(4), draw(4) + 1
    product = hessian(cubic)(x) @ v
    near(jvp(grad(cubic), (x,), (v,))[1], product)
    near(grad(lambda x: jvp(cubic, (x,), (v,))[1])(x), product)


def test_no_grad_outside_and_inside():
    x = draw(3)
    with torch.no_grad():
        near(grad(lambda x: (x * x).sum())(x), 2 * x)

    def partly(x):
        with torch.no_grad():
            c = x * x
        return (x - c).sum()

    near(grad(partly)(x), torch.ones_like(x))


def test_results_are_differentiable_by_what_wants_a_gradient():
    w = draw(3).requires_grad_()
    found = grad(lambda x: (x * w).pow(2).sum())(draw(3))
    assert found.requires_grad
    found.sum().backward()
    near(w.grad, 4 * draw(3) * w)
    assert not vmap(lambda x: grad(cubic)(x))(draw(2, 3)).requires_grad


# -- vmap -------------------------------------------------------------------------------------


def test_dims_nesting_and_chunks():
    x, y = draw(3, 4), draw(5, 4)
    near(vmap(vmap(torch.dot, (None, 0)), (0, None))(x, y), x @ y.mT)
    near(vmap(lambda a: a.sum(0), in_dims=1, out_dims=1)(draw(2, 3, 4)), draw(2, 3, 4).sum(0).mT)
    two = vmap(lambda a: (a, a.sum()), out_dims=(1, 0))(x)
    near(two[0], x.mT)
    near(vmap(grad(cubic), chunk_size=2)(x), vmap(grad(cubic))(x))
    near(vmap(lambda p: p["a"] * p["b"], in_dims=({"a": 0, "b": None},))({"a": x, "b": x[0]}),
         x * x[0])  # fmt: skip


def test_vmap_says_what_is_wrong():
    x = draw(3, 4)
    cases = [
        (lambda: vmap(torch.sum)(), ValueError, "got no inputs"),
        (lambda: vmap(torch.sum, None)(x), ValueError, "expected `in_dims` to be int"),
        (lambda: vmap(torch.add)(x, x[:2]), ValueError, "same size in the mapped dimension"),
        (lambda: vmap(torch.add, (0, 0))(x, 2.0), ValueError, "cannot vmap over non-Tensor"),
        (lambda: vmap(torch.sum, 2)(x), ValueError, "dimensionality 2"),
        (lambda: vmap(torch.add, (0, 0, 0))(x, x), ValueError, "not compatible with the structure"),
        (lambda: vmap(lambda x: 1)(x), ValueError, "must only return Tensors"),
        (lambda: vmap(lambda x: x, out_dims=None)(x), ValueError, "BatchedTensor when out_dim"),
        (lambda: vmap(lambda x: x.sum().item())(x), RuntimeError, "calling .item()"),
        (lambda: vmap(lambda x: x if x.sum() > 0 else -x)(x), RuntimeError, "control flow"),
        (lambda: vmap(lambda x: x.numpy())(x), RuntimeError, "numpy"),
        (lambda: vmap(lambda x: x + torch.randn(4))(x), RuntimeError, "randomness error mode"),
        (lambda: vmap(lambda x: x[x > 0])(x), RuntimeError, "dynamic shape"),
        (lambda: vmap(torch.sum, randomness="none")(x), RuntimeError, "randomness"),
    ]
    for call, kind, words in cases:
        with pytest.raises(kind, match=words.replace("(", r"\(").replace(")", r"\)")):
            call()
    assert dispatch.interposer is None


def test_zero_dimensional_samples_promote_as_scalars_do():
    a, b = torch.ones(3, dtype=torch.float64), torch.ones(3, 2, dtype=torch.float32)
    assert vmap(lambda a, b: a * b)(a, b).dtype is torch.float32
    assert (
        vmap(torch.where, (0, 0, None))(a > 0, a.long(), torch.tensor(1.5)).dtype is torch.float32
    )


def test_writes_in_place():
    x = draw(3, 4)

    def f(x):
        y = torch.zeros_like(x)
        y[1:] = x[1:]
        y[0] += 3
        y.mul_(2)
        return y.index_put_((torch.tensor([2]),), x[:1])

    expected = torch.stack([f(row) for row in x])
    near(vmap(f)(x), expected)
    near(vmap(jacrev(f))(x), torch.stack([jacrev(f)(row) for row in x]))
    with pytest.raises(RuntimeError, match="vmapped over but `self` not"):
        vmap(lambda x: torch.zeros(4).double().add_(x))(x)
    kept = x.clone()
    vmap(lambda x: x.add_(1))(kept)
    near(kept, x + 1)


def test_randomness():
    x = torch.zeros(4, 3)
    same = vmap(lambda x: x + torch.rand(3), randomness="same")(x)
    assert bool((same == same[0]).all())
    different = vmap(lambda x: x + torch.rand(3), randomness="different")(x)
    assert len({tuple(r.tolist()) for r in different}) == 4
    drop = torch.nn.functional.dropout
    ones = torch.ones(4, 100)
    one = vmap(lambda x: drop(x, 0.5), randomness="same")(ones)
    assert bool((one == one[0]).all())
    many = vmap(lambda x: drop(x, 0.5), randomness="different")(ones)
    assert not bool((many == many[0]).all())


def test_per_sample_gradients_of_a_module():
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8, 3)
    ).double()
    params = {k: v.detach() for k, v in model.named_parameters()}
    x, y = draw(5, 1, 4, 4), torch.tensor([0, 1, 2, 1, 0])

    def loss(params, x, y):
        out = functional_call(model, params, (x[None],))
        return torch.nn.functional.cross_entropy(out, y[None])

    found = vmap(grad(loss), (None, 0, 0))(params, x, y)
    for i in range(5):
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(x[i : i + 1]), y[i : i + 1]).backward()
        for name, p in model.named_parameters():
            near(found[name][i], p.grad)


def test_an_ensemble():
    models = [torch.nn.Linear(3, 2) for _ in range(4)]
    params, buffers = stack_module_state(models)
    assert params["weight"].requires_grad and not buffers
    x = draw(5, 3).float()
    out = vmap(lambda p, b, x: functional_call(models[0], (p, b), (x,)), (0, 0, None))(
        params, buffers, x
    )
    near(out, torch.stack([m(x) for m in models]), 1e-5)
    out.sum().backward()
    assert params["weight"].grad.shape == (4, 2, 3)


def test_gradients_on_both_sides_of_vmap():
    w, x = draw(4), draw(3, 4)

    def inner(w, x):
        return ((w * x).sigmoid() * x).sum()

    def outer(w):
        return vmap(grad(inner), (None, 0))(w, x).pow(2).sum()

    def by_hand(w):
        return torch.stack([grad(inner)(w, row) for row in x]).pow(2).sum()

    near(grad(outer)(w), grad(by_hand)(w))
    near(vmap(hessian(cubic))(x), torch.stack([hessian(cubic)(row) for row in x]))


# -- custom functions -------------------------------------------------------------------------


class Scaled(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, y):
        return x * y.exp(), x + 1

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, y = inputs
        ctx.save_for_backward(x, y, output[0])
        ctx.save_for_forward(x, y)

    @staticmethod
    def backward(ctx, g, h):
        _, y, out = ctx.saved_tensors
        return g * y.exp() + h, g * out

    @staticmethod
    def jvp(ctx, a, b):
        x, y = ctx.saved_tensors
        return a * y.exp() + b * x * y.exp(), a


class ByHand(Scaled):
    generate_vmap_rule = False
    calls = 0

    @staticmethod
    def vmap(info, in_dims, x, y):
        ByHand.calls += 1
        assert info.batch_size == 3 and info.randomness == "error"
        x = x.movedim(in_dims[0], 0) if in_dims[0] is not None else x.expand(3, *x.shape)
        y = y.movedim(in_dims[1], 0) if in_dims[1] is not None else y.expand(3, *y.shape)
        return ByHand.apply(x, y), (0, 0)


@pytest.mark.parametrize("kind", [Scaled, ByHand])
def test_a_custom_function_inside_of_transforms(kind):
    def f(x, y):
        a, b = kind.apply(x, y)
        return a.sum() + b.prod()

    def plain(x, y):
        return (x * y.exp()).sum() + (x + 1).prod()

    x, y, v = draw(3, 4), draw(4), draw(4) + 1
    for g, e in zip(grad(f, (0, 1))(x[0], y), grad(plain, (0, 1))(x[0], y), strict=True):
        near(g, e)
    near(jvp(f, (x[0], y), (v, v))[1], jvp(plain, (x[0], y), (v, v))[1])
    near(vmap(f, (0, None))(x, y), vmap(plain, (0, None))(x, y))
    near(vmap(grad(f, 1), (0, None))(x, y), vmap(grad(plain, 1), (0, None))(x, y))
    near(grad(lambda y: vmap(f, (0, None))(x, y).sum())(y),
         grad(lambda y: vmap(plain, (0, None))(x, y).sum())(y))  # fmt: skip
    assert kind is Scaled or ByHand.calls


def test_a_custom_function_must_be_able_to():
    class Old(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    class Plain(Scaled):
        generate_vmap_rule = False

    with pytest.raises(RuntimeError, match="must override the setup_context staticmethod"):
        grad(lambda x: Old.apply(x).sum())(draw(3))
    with pytest.raises(RuntimeError, match="does not have vmap support"):
        vmap(lambda x: Plain.apply(x, x)[0])(draw(3, 2))
    assert Old.apply(draw(3)).shape == (3,)


def test_no_grad_around_a_transform():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    cube = lambda x: (x**3).sum()  # noqa: E731
    with torch.no_grad():
        results = [
            grad(cube)(x), *grad_and_value(cube)(x), torch.func.vjp(cube, x)[0],
            *torch.func.jvp(cube, (x,), (x,)), torch.func.jacrev(cube)(x),
        ]  # fmt: skip
    assert not any(r.requires_grad for r in results)
    assert results[0].tolist() == [3.0, 12.0]
    assert grad(cube)(x).requires_grad


def test_a_function_with_a_generated_rule_inside_of_two_vmaps():
    class Square(Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    x = torch.arange(12.0).reshape(2, 3, 2)
    assert torch.equal(torch.vmap(torch.vmap(Square.apply), 1, 1)(x), x * x)
    inner = torch.vmap(grad(lambda row: Square.apply(row).sum()))
    assert torch.equal(torch.vmap(inner)(x), 2 * x)


def test_ops_of_dynamic_shape_and_dropout_that_draws_nothing():
    x = torch.tensor([[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(RuntimeError, match="dynamic shape"):
        torch.vmap(lambda row: row.unique())(x)
    zeros = torch.vmap(lambda row: torch.nn.functional.dropout(row, 1.0))(x)
    assert torch.equal(zeros, x * 0)
    tolerances = torch.tensor([0.0, 1e9])
    ranks = torch.vmap(lambda a, t: torch.linalg.matrix_rank(a, atol=t))
    assert ranks(torch.eye(2).expand(2, 2, 2), tolerances).tolist() == [2, 0]


def test_backward_has_no_place_inside_of_a_transform():
    x = torch.ones(2, 2, requires_grad=True)
    for transform in (torch.vmap, grad):
        with pytest.raises(RuntimeError, match="called inside a functorch transform"):
            transform(lambda row: (row * x).sum().backward())(x.detach())
    (x * 2).sum().backward()
    assert x.grad.tolist() == [[2.0, 2.0], [2.0, 2.0]]
