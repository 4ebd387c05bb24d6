"""Programs of `torch.autograd`: batched gradients, dual numbers, functions, hooks, anomalies.

They are entered in the table of `transform_programs`.
"""

from __future__ import annotations

import gc
from typing import Any

from tests.conformance.transform_programs import attempt, filled, m23, perceptron, program, x3

__all__: list[str] = []


# -- autograd.grad --------------------------------------------------------------------------------


@program
def grads_batched(torch: Any) -> Any:
    grad = torch.autograd.grad
    x, m = x3(torch).requires_grad_(), m23(torch).requires_grad_()
    y = m.sin() @ x
    eye = torch.eye(2).double()
    first = grad(y, (x, m), eye, is_grads_batched=True, retain_graph=True)
    twice = grad(y, x, eye, is_grads_batched=True, create_graph=True)[0]
    second = grad(twice.pow(2).sum(), m)
    z = x * 2
    return [
        first, second,
        grad(z, x, torch.eye(3).double(), is_grads_batched=True),
        grad((x * 2, x.sum()), x, (torch.ones(4, 3).double(), torch.ones(4).double()),
             is_grads_batched=True),
        attempt(lambda: grad(x * 2, x, torch.ones(3).double(), is_grads_batched=True)),
        attempt(lambda: grad(x * 2, x, torch.ones(2, 2).double(), is_grads_batched=True)),
        attempt(lambda: grad(x * 2, m, torch.eye(3).double(), is_grads_batched=True)),
        grad(x * 2, m, torch.eye(3).double(), is_grads_batched=True, allow_unused=True),
        grad(x * 2, m, torch.eye(3).double(), is_grads_batched=True, materialize_grads=True),
    ]  # fmt: skip


@program
def grad_options(torch: Any) -> Any:
    grad = torch.autograd.grad
    x = x3(torch).requires_grad_()
    w = x3(torch).requires_grad_()
    y = (x * x).sum()
    once = grad(y, x)
    freed = attempt(lambda: grad(y, x))
    plain = torch.ones(2)
    return [
        once, freed,
        attempt(lambda: grad((x * 2).sum(), w)),
        grad((x * 2).sum(), (x, w), allow_unused=True),
        grad((x * 2).sum(), (x, w), materialize_grads=True),
        attempt(lambda: grad((x * 2).sum(), (x, w), allow_unused=False, materialize_grads=True)),
        attempt(lambda: grad(x * 2, x)),
        attempt(lambda: grad((x * 2).sum(), plain)),
        attempt(lambda: grad(plain.sum(), x)),
        attempt(lambda: grad(x * 2, x, torch.ones(2).double())),
        attempt(lambda: grad((x * 2).sum(), x, [None, None])),
        attempt(lambda: grad((x * 2).sum(), ())),
        attempt(lambda: torch.autograd.backward((x * 2).sum(), inputs=[])),
        attempt(lambda: torch.autograd.backward((x * 2, x.sum()), (torch.ones(3).double(), None))),
        x.grad, w.grad,
        attempt(lambda: (x.detach()).sum().backward()),
        attempt(lambda: torch.autograd.backward(x * 2)),
        attempt(lambda: grad((x.to(torch.complex128) * 1j).sum(), x)),
    ]  # fmt: skip


# -- forward_ad -----------------------------------------------------------------------------------


@program
def dual_numbers(torch: Any) -> Any:
    fw, x = torch.autograd.forward_ad, x3(torch)
    out: list[Any] = []
    with fw.dual_level():
        d = fw.make_dual(x, x + 1)
        y = d.sin() * d
        out += [*fw.unpack_dual(y), fw.unpack_dual(x).tangent is None]
        out += [*fw.unpack_dual(y[1:].sum()), *fw.unpack_dual(torch.cat([d, x]))]
        out.append(fw.unpack_dual(d.detach()).tangent is None)
        with torch.no_grad():
            out += [*fw.unpack_dual(d * d)]
        z = d.clone()
        z.mul_(d)
        out += [*fw.unpack_dual(z)]
        v = x.clone()
        v[0:2].copy_(d[1:])
        out += [*fw.unpack_dual(v)]
        out += [type(fw.unpack_dual(y)).__name__, fw.unpack_dual(y)._fields]
        out.append(fw.unpack_dual(d > 0).tangent is None)
        out += [*fw.unpack_dual(torch.where(d > 0, d * 2, x))]
    out.append(fw.unpack_dual(y).tangent is None)
    return out


@program
def dual_numbers_and_gradients(torch: Any) -> Any:
    fw = torch.autograd.forward_ad
    x = x3(torch).requires_grad_()
    t = (x3(torch) * 2).requires_grad_()
    with fw.dual_level():
        d = fw.make_dual(x, t)
        tangent = fw.unpack_dual((d**3).exp().sum()).tangent
        first = torch.autograd.grad(tangent, (x, t), retain_graph=True)
        y = fw.make_dual(x.detach(), x3(torch)).requires_grad_()
        gradient = torch.autograd.grad((y**3).sum(), y, create_graph=True)[0]
        over = fw.unpack_dual(gradient).tangent
    return [tangent, first, over]


@program
def dual_numbers_of_modules(torch: Any) -> Any:
    fw, net = torch.autograd.forward_ad, perceptron(torch)
    params = {k: p.detach() for k, p in net.named_parameters()}
    with fw.dual_level():
        for name, p in params.items():
            owner, _, last = name.rpartition(".")
            module = net.get_submodule(owner)
            delattr(module, last)
            setattr(module, last, fw.make_dual(p, p.cos()))
        return [*fw.unpack_dual(net(m23(torch)))]


@program
def dual_numbers_refuse(torch: Any) -> Any:
    fw, x = torch.autograd.forward_ad, x3(torch)

    def nested() -> None:
        with fw.dual_level(), fw.dual_level():
            pass

    def inside(call: Any) -> Any:
        def run() -> Any:
            with fw.dual_level():
                return call()

        return attempt(run)

    first = [
        attempt(lambda: fw.make_dual(x, x)),
        attempt(lambda: fw.exit_dual_level()),
        attempt(nested),
    ]
    return [
        *first,
        inside(lambda: fw.make_dual(x, x[:2])),
        inside(lambda: fw.make_dual(torch.ones(3, dtype=torch.int64), x)),
        inside(lambda: fw.make_dual(x, torch.ones(3, dtype=torch.int64))),
        inside(lambda: fw.make_dual(x, x.float())),
        inside(lambda: fw.make_dual(x, 3.0)),
        inside(lambda: fw.make_dual(3.0, x)),
        inside(lambda: [*fw.unpack_dual(x)][1] is None),
        inside(lambda: fw.make_dual(fw.make_dual(x, x), x)) != "",
        fw.enter_dual_level(),
        fw.exit_dual_level(),
        attempt(lambda: fw.exit_dual_level()),
    ]


# -- custom functions -----------------------------------------------------------------------------


def cube_of(torch: Any, **members: Any) -> Any:
    """x³ as a `Function` with ``setup_context``; ``members`` are added to it."""

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            return x**3

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g * 3 * x**2

        @staticmethod
        def jvp(ctx: Any, t: Any) -> Any:
            (x,) = ctx.saved_tensors
            return t * 3 * x**2

    for name, value in members.items():
        setattr(Cube, name, value)
    return Cube


@program
def function_transforms(torch: Any) -> Any:
    x, func = x3(torch), torch.func
    cube = cube_of(torch, generate_vmap_rule=True)
    total = lambda x: cube.apply(x).sum()  # noqa: E731
    m = m23(torch)
    return [
        func.grad(total)(x), func.grad(lambda x: func.grad(total)(x).sum())(x),
        func.jvp(cube.apply, (x,), (x,)), torch.vmap(cube.apply)(m),
        torch.vmap(func.grad(total))(m), func.jacrev(cube.apply)(x), func.jacfwd(cube.apply)(x),
        func.hessian(total)(x), torch.vmap(func.jacfwd(cube.apply))(m),
        torch.vmap(torch.vmap(cube.apply), in_dims=1)(m.expand(2, 2, 3)),
        torch.vmap(lambda t: func.jvp(cube.apply, (x,), (t,))[1])(m),
    ]  # fmt: skip


@program
def function_with_a_vmap(torch: Any) -> Any:
    seen: list[Any] = []

    class Times(torch.autograd.Function):
        @staticmethod
        def forward(x: Any, y: Any, k: Any) -> Any:
            return x * y * k

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            x, y, ctx.k = inputs
            ctx.save_for_backward(x, y)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, y = ctx.saved_tensors
            return g * y * ctx.k, g * x * ctx.k, None

        @staticmethod
        def vmap(info: Any, in_dims: Any, x: Any, y: Any, k: Any) -> Any:
            seen.append([info.batch_size, info.randomness, [d is None for d in in_dims]])
            x, y = (
                t if d is None else t.movedim(d, -1) for t, d in zip((x, y), in_dims)
            )  # fmt: skip
            x = x.unsqueeze(-1) if in_dims[0] is None else x
            y = y.unsqueeze(-1) if in_dims[1] is None else y
            return Times.apply(x, y, k), -1

    m, x = m23(torch), x3(torch)
    run = lambda a, b: Times.apply(a, b, 2)  # noqa: E731
    return [
        torch.vmap(run, in_dims=(0, None))(m, x), torch.vmap(run, in_dims=(1, 0))(m, x),
        torch.vmap(run)(m, m), torch.vmap(run, in_dims=(None, 0), randomness="same")(x, m),
        torch.vmap(torch.func.grad(lambda a, b: run(a, b).sum()), in_dims=(0, None))(m, x),
        seen,
    ]  # fmt: skip


@program
def functions_refuse_transforms(torch: Any) -> Any:
    class Old(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    x, m = x3(torch), m23(torch)
    plain = cube_of(torch)
    both = cube_of(torch, generate_vmap_rule=True, vmap=staticmethod(lambda *a: (a[2], 0)))
    no_backward = cube_of(torch, backward=torch.autograd.Function.backward)
    no_jvp = cube_of(torch, jvp=torch.autograd.Function.jvp)
    wrong = cube_of(torch, vmap=staticmethod(lambda info, dims, x: x))
    return [
        attempt(lambda: torch.func.grad(lambda x: Old.apply(x).sum())(x)),
        attempt(lambda: torch.vmap(Old.apply)(m)),
        attempt(lambda: torch.vmap(plain.apply)(m)),
        attempt(lambda: torch.vmap(both.apply)(m)),
        attempt(lambda: torch.func.grad(lambda x: no_backward.apply(x).sum())(x)),
        attempt(lambda: torch.func.jvp(no_jvp.apply, (x,), (x,))),
        attempt(lambda: torch.vmap(wrong.apply)(m)),
        attempt(lambda: Old.apply(x.requires_grad_()).sum().backward()) is None,
        x.grad,
    ]


@program
def function_context(torch: Any) -> Any:
    log: list[Any] = []

    class Two(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any, flag: bool) -> Any:
            log.append(list(ctx.needs_input_grad))
            ctx.set_materialize_grads(flag)
            index = x.argsort()
            ctx.mark_non_differentiable(index)
            ctx.save_for_backward(x, y, None)
            return x * y, x + y, index

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            x, y, nothing = ctx.saved_tensors
            log.append([g is None for g in grads] + [nothing is None])
            log.append([g for g in grads if g is not None])
            a = torch.zeros_like(x) if grads[0] is None else grads[0]
            return a * y, (a * x if ctx.needs_input_grad[1] else None), None

    x = x3(torch).requires_grad_()
    y = x3(torch) + 1
    for flag in (True, False):
        outs = Two.apply(x, y, flag)
        log.append([o.requires_grad for o in outs])
        log.append(torch.autograd.grad(outs[0].sum(), x, retain_graph=True))
        log.append(torch.autograd.grad(outs[1].sum(), x))
    log.append(outs[0].grad_fn.name())
    return log


@program
def function_writes_in_place(torch: Any) -> Any:
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    x = x3(torch).requires_grad_()
    y = x * 3
    z = Double.apply(y)
    whole = x * 1
    Double.apply(whole[:2])
    return [
        z is y, y._version, torch.autograd.grad(y.sum(), x), torch.autograd.grad(whole.sum(), x),
        attempt(lambda: Double.apply(x)),
        torch.equal(Double.apply(x.detach().clone()), x * 2),
    ]  # fmt: skip


@program
def functions_that_go_wrong(torch: Any) -> Any:
    base, once = torch.autograd.Function, torch.autograd.function.once_differentiable

    def made(backward: Any, forward: Any = None) -> Any:
        def run(ctx: Any, x: Any) -> Any:
            return x * 2

        return type("Made", (base,), {
            "forward": staticmethod(forward or run), "backward": staticmethod(backward)
        })  # fmt: skip

    x = x3(torch).requires_grad_()

    def gradient(cls: Any, **options: Any) -> Any:
        return attempt(lambda: torch.autograd.grad(cls.apply(x).sum(), x, **options))

    second = made(once(lambda ctx, g: g * 2))

    def twice() -> Any:
        (g,) = torch.autograd.grad((second.apply(x) * x).sum(), x, create_graph=True)
        return torch.autograd.grad(g.sum(), x)

    def twice_alone() -> Any:
        (g,) = torch.autograd.grad(second.apply(x * x).pow(2).sum(), x, create_graph=True)
        return torch.autograd.grad(g.sum(), x)

    return [
        gradient(made(lambda ctx, g: (g, g))),
        gradient(made(lambda ctx, g: (g, None))),
        gradient(made(lambda ctx, g: None), allow_unused=True),
        gradient(made(lambda ctx, g: g[:2])),
        gradient(made(lambda ctx, g: g.sum())),
        gradient(made(lambda ctx, g: g.float())),
        gradient(made(lambda ctx, g: "g")),
        gradient(made(lambda ctx, g: 1 / 0)),
        gradient(made(lambda ctx, g: g, lambda ctx, x: "text")),
        gradient(made(lambda ctx, g: g, lambda ctx, x: x)),
        gradient(made(lambda ctx, g: g, lambda ctx, x: x.view(3))),
        gradient(second), attempt(twice), attempt(twice_alone),
        attempt(lambda: made(lambda ctx, g: g, lambda ctx, x: ctx.save_for_backward(3)).apply(x)),
        attempt(lambda: base.apply(x)),
        attempt(lambda: torch.autograd.grad(base.apply(x), x)),
    ]  # fmt: skip


@program
def saved_tensors_of_functions(torch: Any) -> Any:
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            ctx.sizes = x.shape
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return 2 * x * g

    x = x3(torch).requires_grad_()
    y = x * 1
    z = Square.apply(y)
    with torch.no_grad():
        y.add_(1)
    written = attempt(lambda: z.sum().backward())
    w = Square.apply(x)
    node = w.grad_fn
    before = [t.clone() for t in node.saved_tensors]
    w.sum().backward()
    return [
        written, before, x.grad, attempt(lambda: node.saved_tensors),
        attempt(lambda: w.sum().backward()), list(node.sizes), node.name(),
    ]  # fmt: skip


# -- hooks ----------------------------------------------------------------------------------------


@program
def tensor_hooks(torch: Any) -> Any:
    log: list[Any] = []
    x = x3(torch).requires_grad_()
    y = x * 2
    first = y.register_hook(lambda g: log.append(g.clone()))
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: log.append(g.clone()))
    x.register_hook(lambda g: g + 1)
    x.register_post_accumulate_grad_hook(lambda p: log.append(p.grad.clone()))
    y.retain_grad()
    y.sum().backward(retain_graph=True)
    first.remove()
    y.sum().backward()
    z = x * 3
    z.register_hook(lambda g: g.float())
    w = x * 3
    w.register_hook(lambda g: g[:2])
    s = x * 3
    s.register_hook(lambda g: "text")
    log += [x.grad, y.grad]
    return [
        log,
        attempt(lambda: torch.ones(2).register_hook(lambda g: g)),
        attempt(lambda: y.register_post_accumulate_grad_hook(lambda p: None)),
        attempt(lambda: torch.ones(2).register_post_accumulate_grad_hook(lambda p: None)),
        attempt(lambda: z.sum().backward()), attempt(lambda: w.sum().backward()),
        attempt(lambda: s.sum().backward()),
    ]  # fmt: skip


@program
def hooks_of_writes(torch: Any) -> Any:
    """A hook belongs to the value that the tensor had when it was registered."""
    log: list[Any] = []
    x = x3(torch).requires_grad_()
    y = x * 2
    y.register_hook(lambda g: log.append(g.clone()))
    y.mul_(5)
    y.register_hook(lambda g: log.append(g.clone()))
    y.sum().backward()
    return log


@program
def node_hooks(torch: Any) -> Any:
    log: list[Any] = []
    x = x3(torch).requires_grad_()
    y = (x * 2).sin()
    node = y.grad_fn
    h = node.register_hook(lambda gi, go: log.append([list(gi), list(go)]))
    node.register_hook(lambda gi, go: tuple(g * 2 for g in gi))
    node.register_prehook(lambda go: tuple(g + 1 for g in go))
    node.next_functions[0][0].register_hook(lambda gi, go: log.append([g is None for g in gi]))
    leaf = node.next_functions[0][0].next_functions[0][0]
    leaf.register_prehook(lambda go: (go[0] * 3,))
    leaf.register_hook(lambda gi, go: log.append([len(gi), go[0].clone()]))
    y.sum().backward(retain_graph=True)
    h.remove()
    y.sum().backward()
    bad = (x * 2).sin()
    bad.grad_fn.register_hook(lambda gi, go: (gi[0], gi[0]))
    worse = (x * 2).sin()
    worse.grad_fn.register_prehook(lambda go: go + go)
    return [
        log, x.grad, attempt(lambda: bad.sum().backward()),
        attempt(lambda: worse.sum().backward()), leaf.variable is x,
        isinstance(node.metadata, dict), type(leaf).__name__,
        [n is None for n, _ in node.next_functions],
    ]  # fmt: skip


@program
def hooks_of_many(torch: Any) -> Any:
    log: list[Any] = []
    graph = torch.autograd.graph
    xs = [(x3(torch) + k).requires_grad_() for k in range(3)]
    h = graph.register_multi_grad_hook(
        xs, lambda grads: log.append([None if g is None else g.clone() for g in grads])
    )
    any_of = graph.register_multi_grad_hook(xs, lambda g: log.append(g.clone()), mode="any")
    (xs[0] * xs[1]).sum().backward()
    (xs[0] * xs[1] * xs[2]).sum().backward()
    h.remove()
    any_of.remove()
    (xs[0] * 2).sum().backward()
    return [log, attempt(lambda: graph.register_multi_grad_hook(xs, print, mode="some"))]


@program
def hooks_of_saved_tensors(torch: Any) -> Any:
    graph, log = torch.autograd.graph, list[Any]()
    x = x3(torch).requires_grad_()

    def pack(t: Any) -> Any:
        log.append(["pack", t.clone()])
        return t * 2

    def unpack(t: Any) -> Any:
        log.append(["unpack", t.clone()])
        return t / 2

    with graph.saved_tensors_hooks(pack, unpack):
        y = (x * x).exp()
    y.sum().backward()
    with graph.saved_tensors_hooks(lambda t: t + 1, lambda t: t):  # noqa: SIM117
        with graph.saved_tensors_hooks(lambda t: t, lambda t: t * 0):
            inner = x.exp()
    with graph.saved_tensors_hooks(lambda t: t + 1, lambda t: t):
        outer = x.exp()
    found = [torch.autograd.grad(v.sum(), x)[0] for v in (inner, outer)]

    def disabled() -> Any:
        with graph.disable_saved_tensors_hooks("not here"):
            hooks = graph.saved_tensors_hooks(pack, unpack)
            with hooks:
                return x * x

    def wrong() -> Any:
        with graph.saved_tensors_hooks(lambda t: t, lambda t: "text"):
            v = x.exp()
        v.sum().backward()

    def writes() -> Any:
        def pack(t: Any) -> Any:
            t.mul_(2)
            return t

        with graph.saved_tensors_hooks(pack, lambda t: t):
            return (x * 1).exp()

    with graph.save_on_cpu():
        kept = (x * x).sin()
    node = x.exp().grad_fn
    node._raw_saved_result.register_hooks(lambda t: t * 1, lambda t: t * 3)
    return [
        log, x.grad, found, attempt(disabled), attempt(wrong), attempt(writes),
        torch.autograd.grad(kept.sum(), x), node(torch.ones(3).double()),
    ]  # fmt: skip


@program
def mutation_of_saved_tensors(torch: Any) -> Any:
    graph = torch.autograd.graph
    x = x3(torch).requires_grad_()
    y = x.clone()
    z = y.exp() * y
    y.add_(1)
    refused = attempt(lambda: z.sum().backward())
    with graph.allow_mutation_on_saved_tensors() as ctx:
        a = x.clone()
        b = (a**2).sum()
        a.sin_()
        a.mul_(2)
        b.backward()
        first = x.grad.clone()
        x.grad = None
        v = x.clone()
        w = (v[:2] * v[1:]).sum()
        v[0] = 5.0
        (w + v.sum()).backward()
        ctx.clear()
    return [refused, first, x.grad]


@program
def module_hooks(torch: Any) -> Any:
    nn, log = torch.nn, list[Any]()

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(x3(torch))

        def forward(self, x: Any, *, by: float = 1.0) -> Any:
            return x * self.weight * by

    net = Scaled()
    net.register_forward_pre_hook(lambda m, a: (a[0] + 1,))
    net.register_forward_pre_hook(
        lambda m, a, k: (a, {"by": k.get("by", 1.0) * 2}), with_kwargs=True
    )
    net.register_forward_hook(lambda m, a, out: out * 3)
    net.register_forward_hook(
        lambda m, a, k, out: log.append([list(a), k, out.clone()]), with_kwargs=True
    )
    net.register_forward_hook(lambda m, a, out: log.append("first"), prepend=True)
    net.register_forward_hook(lambda m, a, out: log.append("always"), always_call=True)
    net.register_full_backward_pre_hook(lambda m, go: (go[0] * 2,))
    net.register_full_backward_hook(lambda m, gi, go: log.append([list(gi), list(go)]))
    net.register_full_backward_hook(lambda m, gi, go: None if gi[0] is None else (gi[0] + 1,))
    x = x3(torch).requires_grad_()
    net(x, by=2.0).sum().backward()
    log += [x.grad, net.weight.grad]
    net(x.detach()).sum().backward()
    log.append(net.weight.grad)
    broken = filled(torch, nn.Linear(3, 3))
    broken.register_forward_hook(lambda m, a, out: log.append("ran"), always_call=True)
    log.append(attempt(lambda: broken(torch.ones(2).double())))
    both = filled(torch, nn.Linear(3, 3))
    both.register_full_backward_hook(lambda m, gi, go: None)
    log.append(attempt(lambda: both.register_backward_hook(lambda m, gi, go: None)))
    wrong = filled(torch, nn.Linear(3, 3))
    wrong.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
    log.append(attempt(lambda: wrong(x).sum().backward()))
    bad = filled(torch, nn.Linear(3, 3))
    bad.register_forward_pre_hook(lambda m, a, k: 3, with_kwargs=True)
    log.append(attempt(lambda: bad(x)))
    return log


@program
def global_module_hooks(torch: Any) -> Any:
    m, log = torch.nn.modules.module, list[Any]()
    handles = [
        m.register_module_forward_pre_hook(lambda mod, a: log.append(type(mod).__name__)),
        m.register_module_forward_hook(lambda mod, a, out: log.append(list(out.shape))),
        m.register_module_full_backward_hook(lambda mod, gi, go: log.append(len(gi))),
        m.register_module_full_backward_pre_hook(lambda mod, go: log.append(len(go))),
    ]
    net = filled(torch, torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh()))
    net(m23(torch).requires_grad_()).sum().backward()
    for h in handles:
        h.remove()
    net(m23(torch))
    return log


# -- anomalies ------------------------------------------------------------------------------------


@program
def anomalies(torch: Any) -> Any:
    """NaN stops the backward pass."""
    x = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)

    def run(call: Any, **options: Any) -> Any:
        with torch.autograd.detect_anomaly(**options):
            return attempt(lambda: torch.autograd.grad(call().sum(), x))

    return [
        run(lambda: (x * 0).sqrt() * 0),
        run(lambda: (x - x).log() * x * 0),
        run(lambda: (x * 0).sqrt() * 0, check_nan=False),
        run(lambda: x * 2),
        torch.is_anomaly_enabled(),
        torch.is_anomaly_check_nan_enabled(),
        [torch.autograd.set_detect_anomaly(True, False).prev, torch.is_anomaly_enabled(),
         torch.is_anomaly_check_nan_enabled()],
        torch.autograd.set_detect_anomaly(False) is None,
        torch.is_anomaly_enabled(),
    ]  # fmt: skip


@program
def modes_and_inference(torch: Any) -> Any:
    x = x3(torch).requires_grad_()
    with torch.inference_mode():
        frozen = x * 2
        inside = [frozen.is_inference(), frozen.requires_grad, torch.is_inference_mode_enabled()]
    with torch.no_grad():
        quiet = x * 2
        with torch.enable_grad():
            loud = x * 2
    with torch.set_grad_enabled(False):
        off = torch.is_grad_enabled()
    view = x.detach().clone()[:2]
    with torch.no_grad():
        part = x[:2]
    return [
        inside, quiet.requires_grad, loud.requires_grad, off,
        attempt(lambda: frozen.requires_grad_()), attempt(lambda: frozen * x),
        attempt(lambda: (frozen[:1] + 0).add_(1)), attempt(lambda: x.add_(1)),
        attempt(lambda: part.add_(1)),
        attempt(lambda: view.requires_grad_().requires_grad),
        attempt(lambda: (x * 2).requires_grad_(False)),
        attempt(lambda: torch.ones(2, dtype=torch.int64).requires_grad_()),
        attempt(lambda: (frozen + 1).is_inference()),
        attempt(lambda: torch.autograd.grad((frozen.clone() * x).sum(), x)),
    ]  # fmt: skip


@program
def graphs_are_freed(torch: Any) -> Any:
    """Writes to what a node saved, and what is left of a graph."""
    x = x3(torch).requires_grad_()
    y = x.exp()
    y.add_(1)
    written = attempt(lambda: y.sum().backward())
    z = x.sin()
    z.add_(1)
    z.sum().backward()
    gradient = x.grad.clone()
    split = x.unbind()
    refused = attempt(lambda: split[0].add_(1))
    chunks = (x * 1).split(2)
    gc.collect()
    return [
        written, gradient, refused, attempt(lambda: chunks[0].mul_(2)),
        attempt(lambda: x[:2].mul_(2)),
        torch.autograd.graph.get_gradient_edge(x * 2).output_nr,
    ]  # fmt: skip
