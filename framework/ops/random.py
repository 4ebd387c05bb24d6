"""Random tensors: uniform, normal, integers, permutations; samples that follow given parameters.

All numbers come from a `framework.random.Generator`, the default one unless given, on the host:
the same on every device. A sample's derivative with respect to its parameters is zero, as in
PyTorch: only `framework.distributions` differentiates through samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from framework import dtypes
from framework.core.dispatch import apply
from framework.core.kinds import MISSING
from framework.core.out import into, no_gradients
from framework.core.registry import function, op
from framework.device import CPU, existing, get_default_device
from framework.dtypes import COMPLEX, FLOAT, INT
from framework.kernels import module_of, to_host
from framework.kernels.floats import floating, real_floating, type_name
from framework.kernels.places import sections
from framework.ops.creation import (
    add_likes,
    create,
    in_pinned_memory,
    kind_of,
    like,
    shape_of,
)
from framework.random import stream
from framework.tensor import Tensor

__all__ = ["bernoulli", "multinomial", "normal", "rand", "randint", "randn", "randperm"]


def _zero(g: Any) -> Any:
    return g * 0


# -- of a shape --------------------------------------------------------------------------------


def _no_floats(dtype: Any, name: str) -> None:
    floating(np.empty(0, dtype), name)


def _rand_kernel(shape: Any, dtype: Any, generator: Any) -> Any:
    _no_floats(dtype, "check_uniform_bounds")
    return generator.uniform(shape, dtype)


def _randn_kernel(shape: Any, dtype: Any, generator: Any) -> Any:
    _no_floats(dtype, "normal_kernel_cpu")
    return generator.normal(shape, dtype)


def _randint_kernel(shape: Any, dtype: Any, generator: Any, low: int, high: int) -> Any:
    return generator.integers(low, high, shape).astype(dtype)


def _randperm_kernel(n: int, dtype: Any, generator: Any) -> Any:
    return generator.permutation(n).astype(dtype)


def _of(generator: Any, device: Any, out: Any) -> Any:
    """The generator for a tensor that is made on a device, the default one for None, or written."""
    if generator is None:
        return stream(None)
    if isinstance(out, Tensor):
        return stream(generator, out._device)
    return stream(generator, get_default_device() if device is None else existing(device))


RAND = op("rand", _rand_kernel, "")
RANDN = op("randn", _randn_kernel, "")
RANDINT = op("randint", _randint_kernel, "")
RANDPERM = op("randperm", _randperm_kernel, "")


@function(method=False)
def rand(
    *args: Any, size: Any = None, generator: Any = None, out: Any = None, dtype: Any = None,
    layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Uniform in [0, 1); for complex types both parts are.

    Of a floating or complex dtype, the default one unless given; NotImplementedError for others,
    RuntimeError for a negative length.

    >>> import framework as torch
    >>> torch.rand(2, 3).shape
    torch.Size([2, 3])
    """
    return create(RAND, out, dtype, layout, device, requires_grad, shape=shape_of(args, size),
                  generator=_of(generator, device, out), pin_memory=pin_memory)  # fmt: skip


@function(method=False)
def randn(
    *args: Any, size: Any = None, generator: Any = None, out: Any = None, dtype: Any = None,
    layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Standard normal; for complex types the variance is shared by both parts.

    Of a floating or complex dtype, the default one unless given; NotImplementedError for others,
    RuntimeError for a negative length.

    >>> import framework as torch
    >>> torch.randn(2, 3).shape
    torch.Size([2, 3])
    """
    return create(RANDN, out, dtype, layout, device, requires_grad, shape=shape_of(args, size),
                  generator=_of(generator, device, out), pin_memory=pin_memory)  # fmt: skip


_C_NAMES = {
    "bool": "bool", "uint8": "unsigned char", "int8": "signed char", "int16": "short",
    "int32": "int", "int64": "int64_t", "float16": "c10::Half", "bfloat16": "c10::BFloat16",
    "float32": "float", "float64": "double",
}  # fmt: skip

# The largest integer up to which all integers can be represented.
_WHOLE = {"float16": 1 << 11, "bfloat16": 1 << 8, "float32": 1 << 24, "float64": 1 << 53}


def _limits(kind: dtypes.dtype) -> tuple[int, int]:
    """The integers that a type can hold, as far as a float type goes at all."""
    if kind is dtypes.bool_:
        return 0, 1
    if kind.category == INT:
        info = dtypes.iinfo(kind)
        return info.min, info.max
    top = int(dtypes.finfo(kind).max)
    return -top, top


def _check_between(low: int, high: int, kind: dtypes.dtype) -> None:
    """Refuse an empty range, and one with integers that the type cannot hold."""
    if kind.category == COMPLEX:
        raise RuntimeError(
            "check_random_bounds handles only integral, floating-point and boolean types"
        )
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    least, most = _limits(kind)
    name = _C_NAMES.get(kind.name, kind.name)
    if not least <= low <= most:
        raise RuntimeError(f"from is out of bounds for {name}")
    if not least <= high - 1 <= most:
        raise RuntimeError(f"to - 1 is out of bounds for {name}")


@function(method=False)
def randint(
    low: Any = MISSING, high: Any = MISSING, size: Any = MISSING, *, generator: Any = None,
    out: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
    pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Integers in [low, high): ``randint(high, size)`` or ``randint(low, high, size)``.

    int64 unless another dtype is given. RuntimeError unless low < high, or if the dtype cannot hold
    them; TypeError for bounds that are no integers.

    >>> import framework as torch
    >>> bool((torch.randint(3, 5, (100,)) >= 3).all())
    True
    """
    if size is MISSING:  # (high, size)
        low, high, size = MISSING, low, high
    elif high is MISSING:  # (high, size=...)
        low, high = MISSING, low
    low = 0 if low is MISSING else low
    if high is MISSING or not isinstance(size, (tuple, list)):
        raise TypeError(
            "randint() received an invalid combination of arguments: expected (int high, tuple of "
            "ints size) or (int low, int high, tuple of ints size)"
        )
    for name, value in (("low", low), ("high", high)):
        if not hasattr(value, "__index__"):
            raise TypeError(
                f"randint(): argument '{name}' (position 1) must be int, not {type(value).__name__}"
            )
    low, high = int(low), int(high)
    _check_between(low, high, kind_of(out, dtype, dtypes.int64))
    shape = shape_of((size,))
    return create(RANDINT, out, dtype, layout, device, requires_grad, dtypes.int64, pin_memory,
                  shape=shape, generator=_of(generator, device, out), low=low,
                  high=high)  # fmt: skip


@function(method=False)
def randint_like(
    input: Tensor, low: int | None = None, high: int | None = None, *, dtype: Any = None,
    layout: Any = None, device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
    memory_format: Any = None, generator: Any = None,
) -> Tensor:  # fmt: skip
    """`randint` with the shape, dtype and device of ``input``.

    The bounds and errors are those of `randint`.

    >>> import framework as torch
    >>> torch.randint_like(torch.zeros(2), 1)
    tensor([0., 0.])
    """
    if low is None and high is None:
        raise TypeError('randint_like() missing 1 required positional arguments: "high"')
    low, high = (0, low) if high is None else (low or 0, high)
    made = randint(low, high, tuple(input.shape), dtype=dtype or input.dtype, layout=layout,
                   device=device or input.device, requires_grad=requires_grad,
                   generator=generator)  # fmt: skip
    made = like(made, input, memory_format)
    return in_pinned_memory(made) if pin_memory else made


@function(method=False)
def randperm(
    n: int, *, generator: Any = None, out: Any = None, dtype: Any = None, layout: Any = None,
    device: Any = None, pin_memory: bool = False, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A random permutation of 0 .. n-1.

    int64 unless another dtype is given. RuntimeError for a negative n or one that the dtype does
    not hold.

    One dimension, of ``n`` elements.

    >>> import framework as torch
    >>> sorted(torch.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    if not hasattr(n, "__index__"):
        raise TypeError(
            f"randperm(): argument 'n' (position 1) must be int, not {type(n).__name__}"
        )
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    kind = kind_of(out, dtype, dtypes.int64)
    if kind.category == COMPLEX or kind is dtypes.bool_:
        raise NotImplementedError(f"\"randperm\" not implemented for '{dtypes.NAMES[kind]}'")
    if n - 1 > _limits(kind)[1]:
        raise dtypes.overflow(kind)
    return create(RANDPERM, out, dtype, layout, device, requires_grad, dtypes.int64, n=int(n),
                  generator=_of(generator, device, out), pin_memory=pin_memory)  # fmt: skip


add_likes(rand, "rand")
add_likes(randn, "randn")


# -- samples that follow their parameters ------------------------------------------------------


def _back(values: Any, like: Any) -> Any:
    """Numbers drawn on the host, in the module and type of ``like``."""
    return module_of(like).asarray(values.astype(like.dtype, copy=False))


def _host(value: Any) -> Any:
    """A number or an array as an array on the host."""
    return to_host(value) if hasattr(value, "dtype") else np.asarray(value)


def _normal_kernel(mean: Any, std: Any, generator: Any) -> Any:
    """In the mean's type, in the broadcast shape; a number takes the other one's type."""
    a, b = _host(mean), _host(std)
    if b.dtype.kind == "c":
        raise RuntimeError("normal expects standard deviation to be non-complex")
    given = mean if hasattr(mean, "dtype") else std
    kind = floating(given, "normal_kernel_cpu").dtype
    lowest = b.min() if b.size else 0
    if lowest < 0:
        raise ValueError("normal expects all elements of std >= 0.0")
    drawn = generator.normal(np.broadcast_shapes(a.shape, b.shape), kind)
    return _back(drawn * b + a, given)


def _bernoulli_kernel(a: Any, p: Any = None, *, generator: Any) -> Any:
    """Ones with probability ``p``, else with that of each element."""
    chance = p
    if chance is None:
        chance = real_floating(a, "bernoulli_tensor_cpu_p_")
        bounds = (chance.min(), chance.max()) if chance.size else (0, 0)
        if not (bounds[0] >= 0 and bounds[1] <= 1):
            raise ValueError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    u = generator.uniform(a.shape, np.float64)
    return _back(u < _host(chance), a)


def _poisson_kernel(rate: Any, *, generator: Any) -> Any:
    rates = to_host(real_floating(rate, "poisson_cpu")).astype(np.float64)
    if rates.size and not (rates >= 0).all():
        raise ValueError("invalid Poisson rate, expected rate to be non-negative")
    return _back(np.asarray(generator.rejection().poisson(rates), np.float64), rate)


def _binomial_kernel(count: Any, prob: Any, *, generator: Any) -> Any:
    if count.dtype != prob.dtype:
        raise RuntimeError(f"Found dtype {type_name(prob)} but expected {type_name(count)}")
    n = np.maximum(to_host(count).astype(np.float64), 0)
    p = np.clip(np.nan_to_num(to_host(prob).astype(np.float64)), 0, 1)
    return _back(np.asarray(generator.rejection().binomial(n.astype(np.int64), p)), count)


def _multinomial_kernel(p: Any, *, num_samples: int, replacement: bool, generator: Any) -> Any:
    weights = to_host(p).astype(np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("probability tensor contains either `inf`, `nan` or element < 0")
    if (weights.sum(-1) <= 0).any():
        raise ValueError("invalid multinomial distribution (sum of probabilities <= 0)")
    if replacement:
        u = generator.uniform((*weights.shape[:-1], num_samples), np.float64)
        chosen = sections(np.cumsum(weights, -1) / weights.sum(-1, keepdims=True), u)
    else:
        u = generator.uniform(weights.shape, np.float64)
        with np.errstate(divide="ignore"):
            race = -np.log1p(-u) / weights
        chosen = _quickest(race, num_samples)
    return module_of(p).asarray(chosen.astype(np.int64))


def _quickest(race: Any, count: int) -> Any:
    """Where the ``count`` least of each row are, in their order; of equal ones the first."""
    if 8 * count <= race.shape[-1]:
        found = np.sort(np.argpartition(race, count - 1, -1)[..., :count], -1)
        least = np.take_along_axis(race, found, -1)
        last = least.max(-1, keepdims=True)
        if (np.count_nonzero(race <= last, -1) == count).all():  # no ties, and no NaN
            return np.take_along_axis(found, np.argsort(least, -1, kind="stable"), -1)
    return np.argsort(race, -1, kind="stable")[..., :count]


NORMAL = op("normal", _normal_kernel, "mean std", grad=(_zero, _zero))
BERNOULLI = op("bernoulli", _bernoulli_kernel, "input", grad=(_zero,))
POISSON = op("poisson", _poisson_kernel, "input", grad=(_zero,))
BINOMIAL = op("binomial", _binomial_kernel, "count prob", grad=(_zero, _zero))
MULTINOMIAL = op("multinomial", _multinomial_kernel, "input")


@function(method=False)
def normal(
    mean: Any, std: Any = 1.0, size: Any = None, *, generator: Any = None, out: Any = None,
    dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Normal with given mean and standard deviation, of which one or both are tensors.

    With ``size`` both are numbers; only then a dtype, layout, device, ... may be given.

    >>> import framework as torch
    >>> torch.normal(torch.tensor([1.0, 2.0]), 0.0)
    tensor([1., 2.])

    Raises:
        RuntimeError: a negative standard deviation.
    """
    tensors = isinstance(mean, Tensor) or isinstance(std, Tensor)
    if tensors == (size is not None) or (tensors and dtype is not None):
        raise TypeError(
            "normal() received an invalid combination of arguments: expected tensors for mean, std "
            "or both, or (float mean, float std, tuple of ints size)"
        )
    if not isinstance(std, Tensor) and std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    if size is not None:
        if not isinstance(size, (tuple, list)):
            raise TypeError(
                f"normal(): argument 'size' must be tuple of ints, not {type(size).__name__}"
            )
        made = randn(size, out=out, dtype=dtype, layout=layout, device=device,
                     generator=generator, pin_memory=pin_memory)  # fmt: skip
        made.mul_(std).add_(mean)
        return made.requires_grad_() if requires_grad else made
    places = [t._device for t in (mean, std) if isinstance(t, Tensor)]
    place = next((p for p in places if p is not CPU), CPU)
    made = apply(NORMAL, mean, std, generator=stream(generator, place))
    if out is None:
        return made
    no_gradients("normal", out, mean, std)
    into(out, made, "normal")
    return out


@function()
def bernoulli(
    input: Tensor, p: float = MISSING, *, generator: Any = None, out: Any = None
) -> Tensor:
    """1 with the probability that each element gives (or with probability p), else 0.

    In the dtype of ``input``. RuntimeError for a probability outside of [0, 1], NotImplementedError
    for probabilities that are integers.

    >>> import framework as torch
    >>> torch.bernoulli(torch.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    chance = {} if p is MISSING else {"p": _chance(p)}
    made = apply(BERNOULLI, input, **chance, generator=stream(generator, input._device))
    if out is None:
        return made
    no_gradients("bernoulli", out, input)
    into(out, made.to(out.dtype), "bernoulli")  # of any dtype: it is drawn in place
    return out


@function(method=False)
def poisson(input: Tensor, generator: Any = None) -> Tensor:
    """Poisson numbers with each element as rate.

    In the dtype of ``input``. RuntimeError for a negative rate, NotImplementedError for rates that
    are integers.

    >>> import framework as torch
    >>> torch.poisson(torch.zeros(2))
    tensor([0., 0.])
    """
    return apply(POISSON, input, generator=stream(generator, input._device))


@function(method=False)
def binomial(count: Tensor, prob: Tensor, generator: Any = None) -> Tensor:
    """How many of ``count`` trials with probability ``prob`` succeed.

    Both of one floating dtype, broadcasting; ValueError for integers, RuntimeError for two dtypes.

    >>> import framework as torch
    >>> torch.binomial(torch.tensor([3.0]), torch.tensor([1.0]))
    tensor([3.])
    """
    for name, t in (("count", count), ("prob", prob)):
        if t.dtype.category != FLOAT:
            raise ValueError(
                f"binomial only supports floating-point dtypes for {name}, got: "
                f"{type_name(t._data)}"
            )
    return apply(BINOMIAL, count, prob, generator=stream(generator, count._device))


@function(checks=True)
def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None,
    out: Any = None,
) -> Tensor:  # fmt: skip
    """Indices drawn with the (unnormalised) probabilities of each row.

    Shapes: [n] -> [num_samples], or [rows, n] -> [rows, num_samples]. Without replacement by the
    exponential races of Efraimidis and Spirakis (2006).

    int64. RuntimeError for negative or infinite probabilities, a row without any, more samples than
    probabilities without replacement, and other dimensions or dtypes.

    >>> import framework as torch
    >>> torch.multinomial(torch.tensor([0.0, 1.0]), 3, replacement=True)
    tensor([1, 1, 1])
    """
    if input.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if input.dtype.category != FLOAT:
        raise RuntimeError(
            "multinomial only supports floating-point dtypes for input, got: "
            f"{type_name(input._data)}"
        )
    if out is not None and out.dtype is not dtypes.int64:
        raise RuntimeError(
            f"multinomial expects Long tensor out, got: {dtypes.NAMES[out.dtype]}"
        )  # fmt: skip
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > input.shape[-1]:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
        )
    made = apply(MULTINOMIAL, input, num_samples=int(num_samples), replacement=bool(replacement),
                 generator=stream(generator, input._device))  # fmt: skip
    if out is None:
        return made
    into(out, made, "multinomial")
    return out


# -- in place ----------------------------------------------------------------------------------


def _wide(a: Any) -> Any:
    """The type to draw in: float64 for float64 and integers, else float32."""
    return np.float32 if a.dtype.kind in "fV" and a.dtype.itemsize < 8 else np.float64


def _numbers(name: str, names: tuple[str, ...], given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments that are numbers; of tensors, PyTorch takes those without dimensions for one."""
    for place, value in enumerate(given):
        if isinstance(value, Tensor) and value.ndim:
            raise TypeError(
                f"{name}_(): argument '{names[place]}' (position {place + 1}) must be float, "
                "not Tensor"
            )
    return tuple([v.item() if isinstance(v, Tensor) else v for v in given])


def _in_place(
    name: str, draw: Callable[..., Any], says: str, example: str, shown: str
) -> Callable[..., Any]:
    """Publish ``Tensor.NAME_``; ``draw(array, *parameters, generator)`` makes the new elements.

    Args:
        says: what is drawn, and from what the method makes of it an error.
        example: an expression of it, which prints ``shown``.
    """
    record = op(f"{name}_", lambda a, **meta: _back(draw(a, **meta), a), "input", grad=(_zero,))

    def publish(check: Callable[..., dict[str, Any]]) -> Callable[..., Any]:
        names = check.__code__.co_varnames[1 : check.__code__.co_argcount] or ("from", "to")

        def call(self: Tensor, *args: Any, generator: Any = None, **options: Any) -> Tensor:
            if name != "bernoulli":  # which takes a tensor of chances
                args = _numbers(name, names, args)
            return apply(record, self, **check(self, *args, **options),
                         generator=stream(generator, self._device))  # fmt: skip

        call.__name__ = name
        call.__doc__ = f"""Fill the tensor, in place, with random numbers: {says}

    >>> import framework as torch
    >>> {example}
    {shown}
    """
        return function(namespaces=(), method=False, inplace=True)(call)

    return publish


def _uniform(a: Any, low: float, high: float, generator: Any) -> Any:
    kind = floating(a, "check_uniform_bounds").dtype
    if kind.kind == "c":  # both parts
        return generator.uniform(a.shape, kind) * (high - low) + complex(low, low)
    wide = _wide(a)
    return generator.uniform(a.shape, wide) * wide(high - low) + wide(low)


@_in_place(
    "uniform", _uniform,
    """uniform in [from, to), [0, 1) by default.

    Of a floating or complex dtype (both parts are drawn). RuntimeError if from is above to or one
    of them is more than the dtype holds.""",
    "torch.empty(2).uniform_(3, 3)", "tensor([3., 3.])",
)  # fmt: skip
def _check_uniform(self: Tensor, *args: float, to: Any = None, **options: Any) -> dict[str, Any]:
    low = args[0] if args else options.get("from", 0.0)
    high = args[1] if len(args) > 1 else 1.0 if to is None else to
    if low > high:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low} > to={high}"
        )
    if self.dtype.category == FLOAT:
        most = dtypes.finfo(self.dtype).max
        for name, value in (("from", low), ("to", high)):
            if not -most <= value <= most:
                raise RuntimeError(f"{name} is out of bounds for {_C_NAMES[self.dtype.name]}")
    return {"low": low, "high": high}


def _normal(a: Any, mean: float, std: float, generator: Any) -> Any:
    kind = floating(a, "normal_kernel_cpu").dtype
    return generator.normal(a.shape, kind if kind.kind == "c" else _wide(a)) * std + mean


@_in_place(
    "normal", _normal,
    """normal with mean (0) and std (1).

    Of a floating or complex dtype. RuntimeError for a negative std.""",
    "torch.empty(2).normal_(5, 0)", "tensor([5., 5.])",
)  # fmt: skip
def _check_normal(self: Tensor, mean: float = 0.0, std: float = 1.0) -> dict[str, Any]:
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    return {"mean": mean, "std": std}


def _log_normal(a: Any, mean: float, std: float, generator: Any) -> Any:
    kind = _wide(real_floating(a, "log_normal_cpu"))
    return np.exp(generator.normal(a.shape, kind) * std + mean)


@_in_place(
    "log_normal", _log_normal,
    """e to the power of normal ones with mean (1) and std (2).

    Of a floating dtype. RuntimeError unless std is positive.""",
    "bool((torch.empty(9).log_normal_() > 0).all())", "True",
)  # fmt: skip
def _check_log_normal(self: Tensor, mean: float = 1.0, std: float = 2.0) -> dict[str, Any]:
    if std <= 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    return {"mean": mean, "std": std}


def _exponential(a: Any, lambd: float, generator: Any) -> Any:
    # An infinite rate makes zeros.
    return -np.log1p(-generator.uniform(a.shape, np.float64)) / lambd


@_in_place(
    "exponential", _exponential,
    """exponential with rate lambd (1), so with mean 1 / lambd.

    RuntimeError unless the dtype is floating and lambd positive.""",
    "bool((torch.empty(9).exponential_(2.0) >= 0).all())", "True",
)  # fmt: skip
def _check_exponential(self: Tensor, lambd: float = 1.0) -> dict[str, Any]:
    if self.dtype.category != FLOAT:
        raise RuntimeError(
            "Exponential distribution is a continuous probability distribution. dtype must be a "
            f"floating point but you specified {dtypes.NAMES[self.dtype]}"
        )
    if lambd <= 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    return {"lambd": lambd}


def _cauchy(a: Any, median: float, sigma: float, generator: Any) -> Any:
    return median + sigma * np.tan(math.pi * (generator.uniform(a.shape, np.float64) - 0.5))


@_in_place(
    "cauchy", _cauchy,
    """Cauchy with median (0) and sigma (1), half the width at half maximum.

    RuntimeError unless the dtype is floating and sigma positive.""",
    "torch.empty(9).cauchy_(5.0).shape", "torch.Size([9])",
)  # fmt: skip
def _check_cauchy(self: Tensor, median: float = 0.0, sigma: float = 1.0) -> dict[str, Any]:
    if self.dtype.category != FLOAT:
        raise RuntimeError(
            "Cauchy distribution is a continuous probability distribution. dtype must be a "
            f"floating point but you specified {dtypes.NAMES[self.dtype]}"
        )
    if sigma <= 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    return {"median": median, "sigma": sigma}


def _geometric(a: Any, p: float, generator: Any) -> Any:
    if a.dtype.kind in "bc":
        raise NotImplementedError(f"\"geometric_cpu\" not implemented for '{type_name(a)}'")
    return np.ceil(np.log1p(-generator.uniform(a.shape, np.float64)) / math.log1p(-p)).clip(1)


@_in_place(
    "geometric", _geometric,
    """those of the first trial, counted from 1, that succeeds with chance p.

    RuntimeError unless p is in (0, 1), NotImplementedError for bools and complex dtypes.""",
    "bool((torch.empty(9).geometric_(0.5) >= 1).all())", "True",
)  # fmt: skip
def _check_geometric(self: Tensor, p: float) -> dict[str, Any]:
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    return {"p": p}


def _chance(p: Any) -> Any:
    """The probability of a one: a number, or a tensor as an array on the host."""
    if isinstance(p, Tensor):
        return to_host(real_floating(p._data, "bernoulli_tensor_cpu_p_"))
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    return p


def _bernoulli(a: Any, p: Any, generator: Any) -> Any:
    return generator.uniform(a.shape, np.float64) < p


@_in_place(
    "bernoulli", _bernoulli,
    """1 with probability p (0.5; a number or a tensor), else 0.

    Of any dtype. RuntimeError for a p outside of [0, 1].""",
    "torch.empty(2, dtype=torch.int64).bernoulli_(1.0)", "tensor([1, 1])",
)  # fmt: skip
def _check_bernoulli(self: Tensor, p: Any = 0.5) -> dict[str, Any]:
    return {"p": _chance(p)}


def _random(a: Any, low: int, high: int, generator: Any) -> Any:
    if a.dtype.kind == "c":
        raise NotImplementedError(f"\"random_kernel_cpu\" not implemented for '{type_name(a)}'")
    return generator.integers(low, high, a.shape)


@_in_place(
    "random", _random,
    """integers in [from, to), in [0, to), or all that the dtype holds exactly, from zero.

    RuntimeError for an empty range or one that the dtype cannot hold, NotImplementedError for
    complex dtypes.""",
    "torch.empty(2).random_(3, 4)", "tensor([3., 3.])",
)  # fmt: skip
def _check_random(self: Tensor, *args: Any, to: Any = None, **options: Any) -> dict[str, Any]:
    given = [*args, *[v for v in (options.get("from"), to) if v is not None]]
    if not given:
        most = _WHOLE.get(self.dtype.name)
        top = 2 if self.dtype.category == COMPLEX else (
            _limits(self.dtype)[1] + 1 if most is None else most + 1
        )  # fmt: skip
        return {"low": 0, "high": top}
    if len(given) == 1:
        given = [0, *given]
    low, high = given[0], given[1]
    if high is None:  # from here to the largest
        high = _limits(self.dtype)[1] + 1
    if self.dtype.category != COMPLEX:
        _check_between(low, high, self.dtype)
    return {"low": int(low), "high": int(high)}
