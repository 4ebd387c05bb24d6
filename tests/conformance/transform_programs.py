"""Programs of transforms, hooks and contexts that PyTorch and we run; results and errors agree.

A program is a function of the library; it returns tensors, numbers, strings, lists and dicts of
them. `attempt` makes an error a result: the kind of the exception.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

import framework
from tests.conformance.bridge import theirs
from tests.conformance.comparing import difference, short

__all__ = ["PROGRAMS", "check"]

Program = Callable[[Any], Any]
PROGRAMS: dict[str, Program] = {}


def program(call: Program) -> Program:
    """Enter a function in the table, by its name."""
    PROGRAMS[call.__name__] = call
    return call


def check(call: Program) -> str:
    """Where the two libraries part; empty if they do not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        framework.manual_seed(0)
        want = call(torch)
        try:
            got = call(framework)
        except Exception as error:
            return f"raised {short(error)}"
    return _difference(theirs(got), want)


def _difference(got: Any, want: Any) -> str:
    if isinstance(want, dict):
        if not isinstance(got, dict) or list(map(str, got)) != list(map(str, want)):
            return f"{got!r:.150}, not {want!r:.150}"
        parts = [(str(key), got[key], value) for key, value in want.items()]
    elif isinstance(want, (list, tuple)):
        if not isinstance(got, (list, tuple)) or len(got) != len(want):
            return f"{got!r:.150}, not {want!r:.150}"
        parts = [(str(k), g, w) for k, (g, w) in enumerate(zip(got, want))]
    elif isinstance(want, torch.Tensor) and isinstance(got, torch.Tensor):
        if got.dtype != want.dtype:
            return f"{got.dtype}, not {want.dtype}"
        return difference(got.resolve_conj(), want.resolve_conj(), 1e-6, 1e-7)
    else:
        return difference(got, want, 1e-6, 1e-7)
    found = ((name, _difference(g, w)) for name, g, w in parts)
    return next((f"[{name}] {text}" for name, text in found if text), "")


def attempt(call: Callable[[], Any]) -> Any:
    """The result of ``call``, or the name of the exception that it raised."""
    try:
        return call()
    except Exception as error:
        return f"raises {type(error).__name__}"


def x3(torch: Any, dtype: str = "float64") -> Any:
    return torch.tensor([0.5, -1.25, 2.0], dtype=getattr(torch, dtype))


def m23(torch: Any, dtype: str = "float64") -> Any:
    return torch.tensor([[0.5, -1.25, 2.0], [1.5, 0.75, -0.25]], dtype=getattr(torch, dtype))


def filled(torch: Any, module: Any) -> Any:
    """The module with parameters that do not depend on the library's random numbers."""
    with torch.no_grad():
        for k, p in enumerate(module.parameters()):
            n = p.numel()
            p.copy_(
                (torch.arange(n, dtype=torch.float64).sub(k + n / 3).sin() / 2).reshape(p.shape)
            )
    return module.double()


def perceptron(torch: Any) -> Any:
    nn = torch.nn
    return filled(torch, nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))


FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "sin": lambda torch, x: x.sin(),
    "cube": lambda torch, x: (x**3).sum(),
    "outer": lambda torch, x: torch.outer(x, x.exp()),
    "softmax": lambda torch, x: torch.softmax(x, 0),
    "pair": lambda torch, x: (x * 2, x.sum()),
    "dict": lambda torch, x: {"a": x.cos(), "b": [x[0] * x[1]]},
    "where": lambda torch, x: torch.where(x > 0, x**2, x.exp()),
    "inplace": lambda torch, x: x.clone().mul_(x).add_(1),
    "view": lambda torch, x: x.reshape(3, 1).expand(3, 2).sum(0) * x[:2],
    "cumprod": lambda torch, x: x.cumprod(0),
    "norm": lambda torch, x: x.norm(),
    "einsum": lambda torch, x: torch.einsum("i,j->ij", x, x).tril(),
    "sort": lambda torch, x: x.sort().values * torch.arange(3.0),
    "constant": lambda torch, x: torch.ones(2),
    "logsumexp": lambda torch, x: torch.logsumexp(x * x, 0),
}


# -- jacobians, hessians, linearisation -----------------------------------------------------------


def _over_functions(name: str, use: Callable[[Any, Any, Any], Any], *left_out: str) -> None:
    """One program for each function of the table."""
    for key, f in FUNCTIONS.items():
        if key in left_out:
            continue

        def run(torch: Any, f: Any = f) -> Any:
            return use(torch, lambda x: f(torch, x), x3(torch))

        PROGRAMS[f"{name}.{key}"] = run


_over_functions("jacrev", lambda torch, f, x: torch.func.jacrev(f)(x))
_over_functions("jacfwd", lambda torch, f, x: torch.func.jacfwd(f)(x))
_over_functions("hessian", lambda torch, f, x: torch.func.hessian(f)(x))
_over_functions("jacrev_chunks", lambda torch, f, x: torch.func.jacrev(f, chunk_size=2)(x))
_over_functions(
    "jacfwd_jacfwd", lambda torch, f, x: torch.func.jacfwd(torch.func.jacfwd(f))(x), "constant"
)
_over_functions(
    "jacrev_jacfwd", lambda torch, f, x: torch.func.jacrev(torch.func.jacfwd(f))(x), "constant"
)
_over_functions(
    "linearize",
    lambda torch, f, x: [torch.func.linearize(f, x)[0], torch.func.linearize(f, x)[1](x + 1)],
    "constant",
)
_over_functions("jvp", lambda torch, f, x: torch.func.jvp(f, (x,), (x * 2 - 1,)))
_over_functions(
    "vmap_jvp",
    lambda torch, f, x: torch.vmap(lambda t: torch.func.jvp(f, (x,), (t,))[1])(
        torch.eye(3).double()
    ),
)
_over_functions("vmap", lambda torch, f, x: torch.vmap(f)(torch.stack([x, x * 2])))
_over_functions(
    "vmap_jacrev", lambda torch, f, x: torch.vmap(torch.func.jacrev(f))(torch.stack([x, x * 2]))
)
_over_functions(
    "vmap_hessian", lambda torch, f, x: torch.vmap(torch.func.hessian(f))(torch.stack([x, x * 2]))
)
_over_functions(
    "functional.jacobian",
    lambda torch, f, x: [
        attempt(lambda k=k: torch.autograd.functional.jacobian(f, x, **k))
        for k in ({}, {"create_graph": True}, {"strict": True}, {"vectorize": True},
                  {"vectorize": True, "strategy": "forward-mode"})
    ],
    "dict",
)  # fmt: skip
_over_functions(
    "functional.hessian",
    lambda torch, f, x: [
        attempt(lambda k=k: torch.autograd.functional.hessian(f, x, **k))
        for k in ({}, {"create_graph": True}, {"strict": True}, {"vectorize": True},
                  {"vectorize": True, "outer_jacobian_strategy": "forward-mode"})
    ],
    "dict",
)  # fmt: skip
for _name in ("vjp", "jvp", "hvp", "vhp"):
    _over_functions(
        f"functional.{_name}",
        lambda torch, f, x, _name=_name: [
            attempt(lambda k=k, v=v: getattr(torch.autograd.functional, _name)(f, x, v, **k))
            for k in ({}, {"create_graph": True}, {"strict": True})
            for v in (None, x * 0 + 2, x[:2])
        ],
        "dict",
    )


@program
def transforms_refuse(torch: Any) -> Any:
    func, x = torch.func, x3(torch)
    return [
        attempt(lambda: func.grad(lambda x: x)(x)),
        attempt(lambda: func.grad(lambda x: 1.0)(x)),
        attempt(lambda: func.grad(lambda x: x.sum())(torch.arange(3))),
        attempt(lambda: func.grad(lambda x: x.sum(), argnums=1)(x)),
        attempt(lambda: func.grad(lambda x: x.sum(), argnums=(0, 0))(x)),
        attempt(lambda: func.grad(lambda x: x.sum(), argnums="0")(x)),
        attempt(lambda: func.grad(lambda x: x.sum(), has_aux=True)(x)),
        attempt(lambda: func.vjp(lambda x: x, x)[1](x[:2])),
        attempt(lambda: func.vjp(lambda x: (x, x), x)[1](x)),
        attempt(lambda: func.vjp(lambda x: 3, x)),
        attempt(lambda: func.jvp(lambda x: x, x, (x,))),
        attempt(lambda: func.jvp(lambda x: x, (x,), (x, x))),
        attempt(lambda: func.jvp(lambda x: x, (x,), (x[:2],))),
        attempt(lambda: func.jvp(lambda x: x, (), ())),
        attempt(lambda: func.jvp(lambda x: torch.ones(2), (x,), (x,), strict=True)),
        attempt(lambda: func.jacrev(lambda x: x, chunk_size=0)(x)),
        attempt(lambda: func.jacrev(lambda x: 1)(x)),
        attempt(lambda: func.jacfwd(lambda x: 1)(x)),
        attempt(lambda: func.hessian(lambda x: x.sum(), argnums=2)(x)),
        attempt(lambda: func.linearize(lambda x: x, x)[1](x[:2])),
        attempt(lambda: func.linearize(lambda x: x, x)[1](x, x)),
        attempt(lambda: func.linearize(lambda x: x, x)[1](x.float())),
        attempt(lambda: func.functionalize(lambda x: x, remove="views")(x)),
    ]


@program
def argnums_and_aux(torch: Any) -> Any:
    func, x, m = torch.func, x3(torch), m23(torch)

    def f(m: Any, x: Any, scale: Any = 1.0) -> Any:
        return (m @ x).sin().sum() * scale

    def with_aux(m: Any, x: Any) -> Any:
        return f(m, x), {"m": m * 2, "x": x}

    return [
        func.grad(f, argnums=(0, 1))(m, x, scale=3.0),
        func.grad(f, argnums=-1)(m, x),
        func.grad(with_aux, has_aux=True)(m, x),
        func.grad_and_value(with_aux, argnums=(1, 0), has_aux=True)(m, x),
        func.jacrev(lambda a, b: a @ b, argnums=(0, 1))(m, x),
        func.jacfwd(lambda a, b: a @ b, argnums=(1, 0))(m, x),
        func.jacrev(with_aux, has_aux=True)(m, x),
        func.jacfwd(with_aux, has_aux=True)(m, x),
        func.hessian(f, argnums=(0, 1))(m, x),
        func.vjp(with_aux, m, x, has_aux=True)[2],
        func.jvp(with_aux, (m, x), (m, x), has_aux=True),
        func.grad(lambda d: (d["a"] * d["b"][0]).sum())({"a": x, "b": [x + 1]}),
    ]


@program
def transforms_of_tensors_with_history(torch: Any) -> Any:
    """What comes out of a transform is differentiable by what its inputs came from."""
    x = x3(torch).requires_grad_()
    gradient = torch.func.grad(lambda y: (y**3).sum())(x * 2)
    jac = torch.func.jacfwd(lambda y: y.sin() * y)(x)
    tangent = torch.func.jvp(torch.exp, (x,), (x * 3,))[1]
    mapped = torch.vmap(lambda y: y * y)(x)
    inside: list[bool] = []

    def look(y: Any) -> Any:
        inside.append(y.requires_grad)
        return (y * x).sum()

    closed = torch.func.grad(look)(x.detach())
    with torch.no_grad():
        quiet = torch.func.grad(lambda y: (y * y).sum())(x)
        within = torch.func.grad(lambda y: (y * (y * 2).detach()).sum())(x)
    plain = torch.func.grad(lambda y: (y * y).sum())(x.detach())
    return [
        *[torch.autograd.grad(t.sum(), x) for t in (gradient, jac, tangent, mapped, closed)],
        [t.requires_grad for t in (gradient, jac, tangent, mapped, closed, quiet, within, plain)],
        quiet, within, inside,
    ]  # fmt: skip


@program
def no_grad_inside_of_transforms(torch: Any) -> Any:
    def f(x: Any) -> Any:
        with torch.no_grad():
            shift = x**2
        return (x * shift).sum()

    return [
        torch.func.grad(f)(x3(torch)),
        torch.func.grad(torch.func.grad(lambda x: x**4))(torch.tensor(2.0)),
        torch.func.jvp(f, (x3(torch),), (x3(torch),)),
    ]


# -- vmap -----------------------------------------------------------------------------------------


@program
def vmap_dims(torch: Any) -> Any:
    m, x, vmap = m23(torch), x3(torch), torch.vmap
    return [
        vmap(torch.mul, in_dims=(0, None))(m, x),
        vmap(torch.mul, in_dims=(1, 0), out_dims=1)(m, x),
        vmap(torch.dot, in_dims=(1, 1))(m, m),
        vmap(lambda d: d["a"] + d["b"], in_dims=({"a": 0, "b": None},))({"a": m, "b": x}),
        vmap(lambda p: p[0] * p[1], in_dims=((0, 1),))((m, m.t())),
        vmap(lambda x: (x, x.sum()), out_dims=(1, 0))(m),
        vmap(lambda x: {"a": x, "b": (x * 2,)}, out_dims={"a": 1, "b": (0,)})(m),
        vmap(lambda x: torch.ones(2))(m),
        vmap(lambda x: 3 * x, chunk_size=1)(m),
        vmap(vmap(torch.mul, in_dims=(0, None)), in_dims=(None, 0))(m, m),
        vmap(lambda x: x, in_dims=-1, out_dims=-1)(m),
        vmap(lambda x, s: x * s, in_dims=(0, None))(m, 3),
        torch.func.vmap(lambda x, *, k: x * k)(m, k=2),
    ]


@program
def vmap_refuses(torch: Any) -> Any:
    m, x, vmap = m23(torch), x3(torch), torch.vmap
    return [
        attempt(lambda: vmap(lambda x: x)()),
        attempt(lambda: vmap(lambda x: x)(3)),
        attempt(lambda: vmap(lambda x, y: x)(m, x)),
        attempt(lambda: vmap(lambda x: x, in_dims=None)(m)),
        attempt(lambda: vmap(lambda x: x, in_dims=2)(m)),
        attempt(lambda: vmap(lambda x: x, in_dims=(0, 0))(m)),
        attempt(lambda: vmap(lambda x: x, in_dims="0")(m)),
        attempt(lambda: vmap(lambda x: x, in_dims=(0.5,))(m)),
        attempt(lambda: vmap(lambda x: x, out_dims=3)(m)),
        attempt(lambda: vmap(lambda x: x, out_dims=(0, 0))(m)),
        attempt(lambda: vmap(lambda x: x, out_dims="0")(m)),
        attempt(lambda: vmap(lambda x: 1)(m)),
        attempt(lambda: vmap(lambda x: None)(m)),
        attempt(lambda: vmap(lambda x: "a")(m)),
        attempt(lambda: vmap(lambda x: x, out_dims=None)(m)),
        attempt(lambda: vmap(lambda x: x.item())(x)),
        attempt(lambda: vmap(lambda x: x if x > 0 else -x)(x)),
        attempt(lambda: vmap(lambda x: x.nonzero())(m)),
        attempt(lambda: vmap(lambda x: x[x > 0])(m)),
        attempt(lambda: vmap(lambda x: torch.rand(2) * x.sum())(m)),
        attempt(lambda: vmap(lambda x: x, randomness="none")(m)),
        attempt(lambda: vmap(lambda x: x, chunk_size=0)(m)),
        attempt(lambda: vmap(lambda x: torch.zeros(3, dtype=x.dtype).add_(x))(m)),
        attempt(lambda: vmap(lambda x: x.numpy())(m)),
        attempt(lambda: vmap(lambda x: x.tolist())(m)),
        attempt(lambda: vmap(lambda x: float(x.sum()))(m)),
        attempt(lambda: vmap(lambda x: x.data_ptr())(m)),
        attempt(lambda: vmap(lambda x: x.unique())(m)),
        attempt(lambda: vmap(lambda x: x.masked_select(x > 0))(m)),
        attempt(lambda: vmap(lambda x: x.sum().backward())(m)),
    ]


@program
def vmap_writes(torch: Any) -> Any:
    m, x = m23(torch), x3(torch)

    def fill(row: Any) -> Any:
        out = torch.zeros_like(row)
        out[0] = row.sum()
        out[1:].add_(row[1:])
        return out

    def scatter(row: Any, i: Any) -> Any:
        return row.new_zeros(4).index_put((i,), row[:2])

    target = m.clone()
    torch.vmap(lambda row: row.mul_(2))(target)
    shared = torch.zeros(3, dtype=torch.float64)
    refused = attempt(lambda: torch.vmap(lambda row: shared.add_(row))(m))
    return [
        torch.vmap(fill)(m),
        torch.vmap(scatter)(m, torch.tensor([[0, 2], [3, 1]])),
        target, refused,
        torch.vmap(lambda row, s: row.clone().copy_(s), in_dims=(0, None))(m, x),
        torch.vmap(lambda row: row.index_fill(0, torch.tensor([1]), 9.0))(m),
        torch.vmap(lambda row: torch.where(row > 0, row, 0.0).cumsum(0))(m),
        torch.vmap(lambda row, k: row[k], in_dims=(0, 0))(m, torch.tensor([2, 0])),
        torch.vmap(lambda row: row.new_full((2,), 3.0) + row[:2])(m),
        torch.vmap(lambda row: row.shape[0] * row.sum() + row.dim() + row.size(0) + row.numel())(m),
    ]  # fmt: skip


@program
def vmap_randomness(torch: Any) -> Any:
    """Which samples are alike; the numbers themselves are the library's."""
    m = torch.ones(3, 40)

    def alike(mode: str, f: Any, *args: Any) -> Any:
        def run() -> Any:
            out = torch.vmap(f, randomness=mode)(*args)
            return bool((out == out[0]).all())

        return attempt(run)

    return {
        mode: [
            alike(mode, lambda x: x + torch.rand(40), m),
            alike(mode, lambda x: x + torch.randn_like(x), m),
            alike(mode, lambda x: torch.nn.functional.dropout(x, 0.5), m),
            alike(mode, lambda x: torch.bernoulli(x * 0.5), m),
            alike(mode, lambda x: x + torch.randperm(40), m),
            alike(mode, lambda x: x + torch.randint(0, 100, (40,)), m),
            alike(mode, lambda x: x.clone().normal_(), m),
            alike(mode, lambda x: torch.empty(40).uniform_() + x, m),
            alike(mode, lambda x: torch.multinomial(x, 20), m),
            alike(mode, lambda x: torch.normal(x, 1.0), m),
            alike(mode, lambda x: torch.nn.functional.dropout(x, 0.5, training=False), m),
        ]
        for mode in ("error", "different", "same")
    }


@program
def chunked_vmap(torch: Any) -> Any:
    m = torch.arange(15.0).reshape(5, 3)
    calls: list[int] = []

    def f(x: Any, y: Any) -> Any:
        calls.append(1)
        return x * y, y.sum()

    out = [
        torch.vmap(f, in_dims=(0, None), out_dims=(1, 0), chunk_size=k)(m, m[0])
        for k in (1, 2, 5, 9)
    ]
    return [out, len(calls)]


# -- modules as functions -------------------------------------------------------------------------


@program
def functional_call(torch: Any) -> Any:
    func, net, x = torch.func, perceptron(torch), m23(torch)
    params = {k: p.detach() for k, p in net.named_parameters()}

    def loss(params: Any, x: Any) -> Any:
        return func.functional_call(net, params, (x,)).square().mean()

    doubled = {k: p * 2 for k, p in params.items()}
    return [
        func.functional_call(net, doubled, (x,)),
        func.functional_call(net, doubled, x),
        func.functional_call(
            net, ({"0.weight": doubled["0.weight"]}, {"2.bias": doubled["2.bias"]}), x
        ),
        func.grad(loss)(params, x),
        torch.vmap(func.grad(loss), in_dims=(None, 0))(params, x),
        func.jacrev(lambda p: func.functional_call(net, p, (x,)))(params),
        func.hessian(loss)({"2.bias": params["2.bias"]}, x),
        func.jvp(lambda p: loss(p, x), (params,), (doubled,)),
        net[0].weight,
        attempt(lambda: func.functional_call(net, {"nothing": x}, (x,))),
        attempt(
            lambda: func.functional_call(net, {"0.weight": doubled["0.weight"]}, x, strict=True)
        ),
        attempt(lambda: func.functional_call(net, [doubled, doubled], x)),
        attempt(lambda: func.functional_call(net, 3, x)),
        attempt(lambda: func.functional_call(net, [3], x)),
    ]


@program
def functional_call_buffers(torch: Any) -> Any:
    nn, func = torch.nn, torch.func
    net = filled(torch, nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)))
    x = torch.stack([x3(torch), x3(torch) * 2, x3(torch) - 1])
    params = dict(net.named_parameters())
    buffers = {k: b.clone() for k, b in net.named_buffers()}
    out = func.functional_call(net, (params, buffers), (x,))
    tied = nn.Module()
    tied.a = nn.Parameter(x3(torch))
    tied.b = tied.a
    tied.forward = lambda: tied.a + tied.b
    return [
        out, buffers, dict(net.named_buffers()),
        func.functional_call(tied, {"a": x3(torch) * 2}, ()),
        func.functional_call(tied, {"a": x3(torch) * 2}, (), tie_weights=False),
        attempt(lambda: func.functional_call(tied, {"a": x3(torch), "b": x3(torch) * 2}, ())),
    ]  # fmt: skip


@program
def ensembles(torch: Any) -> Any:
    func, x = torch.func, m23(torch)
    nets = [perceptron(torch) for _ in range(3)]
    with torch.no_grad():
        for k, net in enumerate(nets):
            for p in net.parameters():
                p.add_(k)
    params, buffers = func.stack_module_state(nets)
    base = perceptron(torch)

    def run(params: Any, buffers: Any, x: Any) -> Any:
        return func.functional_call(base, (params, buffers), (x,))

    out = torch.vmap(run, in_dims=(0, 0, None))(params, buffers, x)
    out.sum().backward()
    norms = [torch.nn.BatchNorm1d(3) for _ in range(2)]
    mixed = [torch.nn.Linear(3, 3), torch.nn.Linear(3, 3).eval()]
    frozen = [torch.nn.Linear(3, 3), torch.nn.Linear(3, 3).requires_grad_(False)]
    return [
        out, {k: p.grad for k, p in params.items()}, [p.is_leaf for p in params.values()],
        func.stack_module_state(norms),
        attempt(lambda: func.stack_module_state([])),
        attempt(lambda: func.stack_module_state(mixed)),
        attempt(lambda: func.stack_module_state([torch.nn.Linear(3, 3), torch.nn.Tanh()])),
        attempt(lambda: func.stack_module_state(frozen)),
    ]  # fmt: skip


def _module_programs() -> None:
    """Per-sample gradients, hessian-vector products and jacobians of small modules."""

    def nets(torch: Any) -> dict[str, tuple[Any, Any]]:
        nn, image = torch.nn, torch.arange(32.0).reshape(2, 1, 4, 4).double().sin()
        words = torch.arange(12.0).reshape(2, 3, 2).double().cos()
        return {
            "linear": (nn.Linear(3, 2), m23(torch)),
            "mlp": (nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.LayerNorm(4)), m23(torch)),
            "conv": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(-3)), image),
            "pool": (nn.Sequential(nn.Conv2d(1, 2, 2), nn.MaxPool2d(2)), image),
            "groups": (
                nn.Sequential(nn.Conv2d(1, 4, 2, groups=1), nn.GroupNorm(2, 4)),
                image.unsqueeze(1),
            ),
            "transposed": (nn.Sequential(nn.ConvTranspose2d(1, 2, 2), nn.Softplus()), image),
            "attention": (_Attention(torch)(2), words),
            "embedding": (nn.Embedding(5, 2), torch.tensor([[0, 3], [4, 3]])),
            "bilinear": (_Both(torch)(nn.Bilinear(3, 3, 2)), m23(torch)),
            "prelu": (nn.Sequential(nn.Linear(3, 3), nn.PReLU()), m23(torch)),
        }

    for name in ("linear", "mlp", "conv", "pool", "groups", "transposed", "attention",
                 "embedding", "bilinear", "prelu"):  # fmt: skip

        def run(torch: Any, name: str = name) -> Any:
            func = torch.func
            net, x = nets(torch)[name]
            net = filled(torch, net)
            params = {k: p.detach() for k, p in net.named_parameters()}

            def loss(params: Any, x: Any) -> Any:
                return func.functional_call(net, params, (x,)).square().sum()

            rows = torch.vmap(func.grad(loss), in_dims=(None, 0))(params, x)
            along = {k: p.cos() for k, p in params.items()}
            hvp = func.jvp(func.grad(lambda p: loss(p, x[0])), (params,), (along,))[1]
            jacobian = func.jacrev(lambda p: func.functional_call(net, p, (x[0],)))(params)
            return [rows, hvp, jacobian]

        PROGRAMS[f"module.{name}"] = run


def _Both(torch: Any) -> Any:
    class Both(torch.nn.Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Any) -> Any:
            return self.inner(x, x)

    return Both


def _Attention(torch: Any) -> Any:
    class Attention(torch.nn.Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.qkv = torch.nn.Linear(width, 3 * width)

        def forward(self, x: Any) -> Any:
            q, k, v = self.qkv(x).chunk(3, -1)
            return torch.nn.functional.scaled_dot_product_attention(q, k, v)

    return Attention


_module_programs()
