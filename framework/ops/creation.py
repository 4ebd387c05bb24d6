"""Making tensors: from data, constant, ranges, random; and the copies between types and devices."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework import dtypes
from framework import random as _random
from framework.core import dispatch
from framework.core.dispatch import apply
from framework.core.registry import function, op
from framework.core.views import before_write, check_inplace
from framework.device import CPU
from framework.device import device as Device
from framework.kernels import to_device
from framework.tensor import Tensor, _device, as_array, tensor, wrap

__all__ = ["as_tensor", "detach", "from_numpy", "ones", "rand", "randn", "zeros"]


def _shape(size: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape from ``(2, 3)`` or ``((2, 3),)``."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    shape = tuple([int(n) for n in size])
    for n in shape:
        if n < 0:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {n}: {list(shape)}"
            )
    return shape


def _made(kernel: Any, name: str) -> Any:
    """Creation is an op without inputs, so that the trace shows where a tensor came from."""
    return op(name, kernel, "")


def _create(
    record: Any, dtype: Any, device: Any, requires_grad: bool, default: Any = None, **meta: Any
) -> Tensor:
    kind = dtypes.to_dtype(dtype) if dtype is not None else default or dtypes.get_default_dtype()
    made = apply(record, dtype=kind.numpy, **meta)
    if device is not None:
        target = _device(device)
        if target is not CPU:
            made = wrap(to_device(made._data, target), target)
    return made.requires_grad_() if requires_grad else made


FULL = _made(lambda shape, value, dtype: np.full(shape, value, dtype), "full")
ZEROS = _made(lambda shape, dtype: np.zeros(shape, dtype), "zeros")
ONES = _made(lambda shape, dtype: np.ones(shape, dtype), "ones")
EYE = _made(lambda n, m, dtype: np.eye(n, m, dtype=dtype), "eye")


def _arange_kernel(start: Any, end: Any, step: Any, dtype: Any) -> Any:
    count = max(0, int(np.ceil((end - start) / step)))
    if dtype.kind in "iu" and all(isinstance(v, int) for v in (start, end, step)):
        return np.arange(start, end, step, dtype=np.dtype(np.int64)).astype(dtype, copy=False)
    return (start + step * np.arange(count, dtype=np.float64)).astype(dtype)


def _linspace_kernel(start: Any, end: Any, steps: int, dtype: Any) -> Any:
    return np.linspace(start, end, steps, dtype=np.float64).astype(dtype)


ARANGE = _made(_arange_kernel, "arange")
LINSPACE = _made(_linspace_kernel, "linspace")


@function(method=False)
def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of a shape."""
    return _create(ZEROS, dtype, device, requires_grad, shape=_shape(size))


@function(method=False)
def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of a shape."""
    return _create(ONES, dtype, device, requires_grad, shape=_shape(size))


@function(method=False)
def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor whose contents do not matter; zeros here, so that runs repeat exactly."""
    return _create(ZEROS, dtype, device, requires_grad, shape=_shape(size))


@function(method=False)
def full(
    size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``fill_value`` in every element; the dtype follows from it unless given."""
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    kind = dtypes.scalar_dtype(value)
    return _create(FULL, dtype, device, requires_grad, kind, shape=_shape((size,)), value=value)


@function(method=False)
def eye(
    n: int, m: int | None = None, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Ones on the diagonal of an n x m matrix of zeros."""
    return _create(EYE, dtype, device, requires_grad, n=n, m=n if m is None else m)


@function(method=False)
def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """start, start + step, ... up to but without end; int64 if all are ints.

    >>> import framework as torch
    >>> torch.arange(1, 7, 2)
    tensor([1, 3, 5])
    """
    if end is None:
        start, end = 0, start
    start, end, step = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
    if step == 0 or (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    whole = all(isinstance(v, int) for v in (start, end, step))
    kind = dtypes.int64 if whole else dtypes.get_default_dtype()
    return _create(ARANGE, dtype, device, requires_grad, kind, start=start, end=end, step=step)


@function(method=False)
def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """``steps`` evenly spaced values from start to end, both included."""
    return _create(LINSPACE, dtype, device, requires_grad, start=start, end=end, steps=steps)


def _like(make: Any, name: str) -> None:
    def call(
        input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
        memory_format: Any = None,
    ) -> Tensor:  # fmt: skip
        if dispatch.interposer is not None and hasattr(input, f"_new_{name}"):
            return getattr(input, f"_new_{name}")(input.shape, dtype=dtype or input.dtype)
        return make(
            input.shape, dtype=dtype or input.dtype, device=device or input.device,
            requires_grad=requires_grad,
        )  # fmt: skip

    call.__name__ = f"{name}_like"
    call.__doc__ = f"`{name}` with the shape, dtype and device of ``input``."
    function(method=False)(call)

    def new(self: Tensor, *size: Any, dtype: Any = None, device: Any = None, **rest: Any) -> Tensor:
        return make(*size, dtype=dtype or self.dtype, device=device or self.device, **rest)

    new.__name__ = f"new_{name}"
    new.__doc__ = f"`{name}` with the dtype and device of this tensor."
    function(namespaces=())(new)


for _make in (zeros, ones, empty):
    _like(_make, _make.__name__)


@function(method=False)
def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`full` with the shape, dtype and device of ``input``."""
    return full(input.shape, fill_value, dtype=dtype or input.dtype,
                device=device or input.device, requires_grad=requires_grad)  # fmt: skip


@function(namespaces=())
def new_full(self: Tensor, size: Any, fill_value: Any, **options: Any) -> Tensor:
    """`full` with the dtype and device of this tensor."""
    return full(size, fill_value, **{"dtype": self.dtype, "device": self.device, **options})


@function(namespaces=())
def new_tensor(self: Tensor, data: Any, **options: Any) -> Tensor:
    """`tensor` with the dtype and device of this tensor."""
    return tensor(data, **{"dtype": self.dtype, "device": self.device, **options})


@function(method=False)
def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor that shares the memory of a NumPy array.

    Raises:
        TypeError: not an array, or of a type that no tensor has.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    if ndarray.dtype not in dtypes.from_numpy_dtype:
        raise TypeError(f"can't convert np.ndarray of type numpy.{ndarray.dtype} to a Tensor")
    return wrap(ndarray)


@function(method=False)
def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor of ``data`` that shares its memory where it can."""
    if isinstance(data, Tensor):
        return data.to(device or data.device, dtype or data.dtype)
    if isinstance(data, np.ndarray) and data.dtype in dtypes.from_numpy_dtype:
        made = wrap(data)
    else:
        made = wrap(as_array(data, None))
    return made.to(device or CPU, dtype or made.dtype)


# -- copies ----------------------------------------------------------------------------------

CAST = op(
    "to", lambda a, dtype: a.astype(dtype), "a",
    grad=(lambda g, n: g.to(dtypes.from_numpy_dtype[n.dtype(0)]),),
    samples=lambda s: [((s(3),), {"dtype": np.dtype(np.float64)})],
)  # fmt: skip
CLONE = op("clone", lambda a: a.copy(), "a", grad=(lambda g: g,), samples=lambda s: [((s(3),), {})])


def _copy_grad(g: Any, n: Any) -> Any:
    return g.to(n.meta["source"])


CLONE_TO = op(
    "copy_to_device",
    lambda a, target, source: to_device(a, target),
    "a",
    grad=(_copy_grad,),
    moves=True,
    samples=lambda s: [((s(3),), {"target": CPU, "source": CPU})],
)
CONTIGUOUS = op("contiguous", lambda a: np.ascontiguousarray(a).reshape(a.shape), "a",
                grad=(lambda g: g,), samples=lambda s: [((s(3, 2),), {})])  # fmt: skip
DETACH = op("detach", lambda a: a, "a")


def _copied(tensor: Tensor, target: Device) -> Tensor:
    return apply(CLONE_TO, tensor, target=target, source=tensor._device)


@function(namespaces=(), method="to")
def to(self: Tensor, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False,
       copy: bool = False, memory_format: Any = None) -> Tensor:  # fmt: skip
    """This tensor with another dtype and / or on another device; itself if nothing changes.

    ``to(dtype)``, ``to(device)``, ``to(device, dtype)`` or ``to(other)``.
    """
    for a in args:
        if isinstance(a, Tensor):
            dtype, device = a.dtype, a.device
        elif isinstance(a, (dtypes.dtype, type)):
            dtype = a
        elif isinstance(a, (str, Device, int)) and not isinstance(a, bool):
            device = a
    result = self
    if device is not None and _device(device) is not result._device:
        result = _copied(result, _device(device))
    if dtype is not None and dtypes.to_dtype(dtype) is not result.dtype:
        result = apply(CAST, result, dtype=dtypes.to_dtype(dtype).numpy)
    return clone(result) if copy and result is self else result


def _converter(name: str, kind: dtypes.dtype) -> None:
    def call(self: Tensor) -> Tensor:
        return to(self, kind)

    call.__name__, call.__doc__ = name, f"``to(torch.{kind.name})``."
    function(namespaces=())(call)


for _name, _kind in (
    ("float", dtypes.float32), ("double", dtypes.float64), ("half", dtypes.float16),
    ("bfloat16", dtypes.bfloat16), ("long", dtypes.int64), ("int", dtypes.int32),
    ("short", dtypes.int16), ("char", dtypes.int8), ("byte", dtypes.uint8), ("bool", dtypes.bool_),
    ("cfloat", dtypes.complex64), ("cdouble", dtypes.complex128),
):  # fmt: skip
    _converter(_name, _kind)


@function(namespaces=(), method="type")
def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The type's name, or this tensor cast to another."""
    if dtype is None:
        legacy = {"float32": "Float", "float64": "Double", "float16": "Half", "int64": "Long",
                  "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte",
                  "bool": "Bool", "bfloat16": "BFloat16", "complex64": "ComplexFloat",
                  "complex128": "ComplexDouble"}  # fmt: skip
        where = "cuda." if self.is_cuda else ""
        return f"torch.{where}{legacy[self.dtype.name]}Tensor"
    return to(self, dtype)


@function(namespaces=())
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """This tensor in the dtype of ``other``."""
    return to(self, other.dtype)


@function(namespaces=())
def cpu(self: Tensor) -> Tensor:
    """This tensor in host memory."""
    return to(self, device=CPU)


@function(namespaces=())
def cuda(self: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """This tensor on a CUDA device (the first unless given)."""
    return to(self, device=Device("cuda") if device is None else device)


@function()
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy that gradients flow through."""
    return apply(CLONE, input)


@function(namespaces=())
def contiguous(self: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor in C order; itself if it is already."""
    return self if self.is_contiguous() else apply(CONTIGUOUS, self)


@function(method=False)
def detach(input: Tensor) -> Tensor:
    """The same memory without history; writes to one show in the other and are counted."""
    from framework.core.graph import Version

    if input._counter is None:
        input._counter = Version()
    out = apply(DETACH, input)
    if out._data is not input._data:
        out._data = input._data
    out._counter, out._base, out._edge, out._rg = input._counter, None, None, False
    return out


# -- writing in place ------------------------------------------------------------------------

FILL = op(
    "fill", lambda a, value: np.full_like(a, value), "a value",
    grad=(lambda g: g * 0, lambda g: g.sum()),
    samples=lambda s: [((s(3), 2.0), {})],
)  # fmt: skip
COPY = op(
    "copy", lambda a, b: np.broadcast_to(b, a.shape).astype(a.dtype), "ab",
    grad=(lambda g: g * 0, lambda g: g),
    samples=lambda s: [((s(3, 2), s(2)), {})],
)  # fmt: skip


@function(method=False, namespaces=(), inplace=True)
def fill(self: Tensor, value: Any) -> Tensor:
    """``value`` in every element."""
    return apply(FILL, self, value)


@function(method=False, namespaces=(), inplace=True)
def zero(self: Tensor) -> Tensor:
    """Zero in every element."""
    return apply(FILL, self, 0)


@function(method=False, namespaces=(), inplace=True)
def copy(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """The elements of ``src``, broadcast and cast to this tensor's type."""
    if src._device is not self._device:
        src = src.to(self._device)
    return apply(COPY, self, src)


# -- random ----------------------------------------------------------------------------------


def _generator(generator: Any) -> Any:
    return _random.default_generator if generator is None else generator


def _drawn(draw: Any, name: str) -> Any:
    return op(name, draw, "")


RAND = _drawn(lambda shape, dtype, generator: generator.uniform(shape, dtype), "rand")
RANDN = _drawn(lambda shape, dtype, generator: generator.normal(shape, dtype), "randn")
RANDINT = _drawn(
    lambda shape, dtype, generator, low, high: generator.integers(low, high, shape).astype(dtype),
    "randint",
)
RANDPERM = _drawn(lambda n, dtype, generator: generator.permutation(n).astype(dtype), "randperm")


@function(method=False)
def rand(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False,
         generator: Any = None) -> Tensor:  # fmt: skip
    """Uniform in [0, 1)."""
    return _create(RAND, dtype, device, requires_grad, shape=_shape(size),
                   generator=_generator(generator))  # fmt: skip


@function(method=False)
def randn(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False,
          generator: Any = None) -> Tensor:  # fmt: skip
    """Standard normal."""
    return _create(RANDN, dtype, device, requires_grad, shape=_shape(size),
                   generator=_generator(generator))  # fmt: skip


@function(method=False)
def randint(low: int, high: Any = None, size: Any = None, *, dtype: Any = None, device: Any = None,
            requires_grad: bool = False, generator: Any = None) -> Tensor:  # fmt: skip
    """Integers in [low, high): ``randint(high, size)`` or ``randint(low, high, size)``."""
    if size is None:
        low, high, size = 0, low, high
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    return _create(RANDINT, dtype, device, requires_grad, dtypes.int64, shape=_shape((size,)),
                   generator=_generator(generator), low=low, high=high)  # fmt: skip


@function(method=False)
def randperm(n: int, *, dtype: Any = None, device: Any = None, generator: Any = None) -> Tensor:
    """A random permutation of 0 .. n-1."""
    return _create(RANDPERM, dtype, device, False, dtypes.int64, n=n,
                   generator=_generator(generator))  # fmt: skip


_like(rand, "rand")
_like(randn, "randn")


@function(method=False)
def normal(mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, dtype: Any = None,
           device: Any = None, generator: Any = None) -> Tensor:  # fmt: skip
    """Normal with given mean and standard deviation, numbers or tensors."""
    if size is None:
        size = (mean if isinstance(mean, Tensor) else std).shape
    return randn(size, dtype=dtype, device=device, generator=generator) * std + mean


@function()
def bernoulli(input: Tensor, *, generator: Any = None) -> Tensor:
    """1 with the probability that each element gives, else 0."""
    chance = input.detach()
    return (rand(input.shape, dtype=input.dtype, device=input.device, generator=generator)
            < chance).to(input.dtype)  # fmt: skip


@function()
def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *,
                generator: Any = None) -> Tensor:  # fmt: skip
    """Indices drawn with the (unnormalised) probabilities of each row.

    Shapes: [n] -> [num_samples], or [rows, n] -> [rows, num_samples]. Without replacement by the
    exponential races of Efraimidis and Spirakis (2006).
    """
    p = np.asarray(input.detach().cpu()._data, np.float64)
    if (p < 0).any() or not np.isfinite(p).all() or (p.sum(-1) <= 0).any():
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    source = _generator(generator)
    if not replacement and num_samples > p.shape[-1]:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
        )
    if replacement:
        edges = np.cumsum(p, -1) / p.sum(-1, keepdims=True)
        u = source.uniform((*p.shape[:-1], num_samples), np.float64)
        chosen = (u[..., None] >= edges[..., None, :]).sum(-1)
    else:
        u = source.uniform(p.shape, np.float64)
        with np.errstate(divide="ignore"):
            race = -np.log1p(-u) / p
        chosen = np.argsort(race, -1, kind="stable")[..., :num_samples]
    return wrap(chosen.astype(np.int64)).to(input.device)


def _random_in_place(name: str, doc: str, draw: Any) -> None:
    def method(self: Tensor, *args: Any, generator: Any = None, **kwargs: Any) -> Tensor:
        check_inplace(self)
        values = draw(_generator(generator), self, *args, **kwargs)
        before_write(self)
        self._data[...] = values if self._device is CPU else to_device(values, self._device)
        return self

    method.__name__, method.__doc__ = name, doc
    function(namespaces=())(method)


def _float_type(t: Tensor) -> Any:
    return np.float64 if t.dtype is dtypes.float64 else np.float32


def _random_range(gen: Any, t: Tensor, low: Any = 0, to: Any = None) -> Any:
    if to is None:
        top = 2 if t.dtype is dtypes.bool_ else 1 << 24
        low, to = (0, low) if low else (0, top)
    return gen.integers(low, to, t._data.shape)


_random_in_place(
    "normal_", "Fill with normal numbers of a mean and standard deviation.",
    lambda gen, t, mean=0.0, std=1.0: gen.normal(t._data.shape, _float_type(t)) * std + mean,
)  # fmt: skip
_random_in_place(
    "uniform_", "Fill with uniform numbers in [from, to).",
    lambda gen, t, low=0.0, to=1.0: gen.uniform(t._data.shape, _float_type(t)) * (to - low) + low,
)  # fmt: skip
_random_in_place(
    "bernoulli_", "Fill with 1 (probability p) or 0.",
    lambda gen, t, p=0.5: gen.uniform(t._data.shape, np.float64) < p,
)  # fmt: skip
_random_in_place(
    "exponential_", "Fill with exponential numbers of rate lambd.",
    lambda gen, t, lambd=1.0: -np.log1p(-gen.uniform(t._data.shape, np.float64)) / lambd,
)  # fmt: skip
_random_in_place("random_", "Fill with integers in [from, to).", _random_range)
