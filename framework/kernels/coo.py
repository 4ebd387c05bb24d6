"""`CooArray`: a sparse array of coordinates and values, which stands where a NumPy array would.

The layout is a property of a tensor's *data*: a sparse tensor is an ordinary tensor around a
`CooArray`, so that autograd, the trace and the optimizers need not know of it. NumPy's functions
reach it through ``__array_ufunc__``: sums, products and functions that leave zeros at zero work;
anything else says in one line that it is not for sparse tensors.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from framework.kernels import SparseOperand, module_of, to_host
from framework.kernels.places import add_at

__all__ = ["CooArray"]

# Functions with f(0) = 0, which run on the values alone once no coordinate is there twice.
_ZERO_KEEPING = frozenset(
    """absolute negative positive sign sqrt square sin tan arcsin arctan sinh tanh arcsinh arctanh
    expm1 log1p floor ceil trunc rint deg2rad rad2deg conjugate isnan isinf signbit""".split()
)

_COMPARISONS = frozenset({"greater", "greater_equal", "less", "less_equal", "equal", "not_equal"})


class CooArray(NDArrayOperatorsMixin):
    """Coordinates ``indices`` (int64[m, n]) of ``values`` ([n, *dense shape]) in ``shape``.

    The first m dimensions are sparse, the others dense. Coordinates may be there more than once
    (their values add up) unless it is ``coalesced``: sorted, each once.

    >>> import numpy as np
    >>> a = CooArray(np.array([[0, 1, 1]]), np.array([1.0, 2.0, 3.0]), (3,))
    >>> a.todense()
    array([1., 5., 0.])
    """

    __slots__ = ("coalesced", "indices", "shape", "values")

    base = None  # it never shares another's memory
    strides = ()

    def __init__(
        self, indices: Any, values: Any, shape: tuple[int, ...], coalesced: bool = False
    ) -> None:
        self.indices, self.values, self.shape = indices, values, tuple(shape)
        self.coalesced = coalesced or indices.shape[1] < 2

    # -- what it is -------------------------------------------------------------------------------

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements, the zeros included."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return int(self.indices.nbytes + self.values.nbytes)

    @property
    def itemsize(self) -> int:
        return int(self.values.itemsize)

    @property
    def sparse_dim(self) -> int:
        return int(self.indices.shape[0])

    @property
    def nnz(self) -> int:
        """Number of stored values: coordinates that are there twice count twice."""
        return int(self.indices.shape[1])

    @property
    def flags(self) -> Any:
        return _Flags

    def __repr__(self) -> str:
        return f"CooArray(shape={self.shape}, nnz={self.nnz}, dtype={self.dtype})"

    is_meta = False  # see `kernels.meta`; what is not there raises

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise SparseOperand(_refusal(name))

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise SparseOperand(_refusal("a dense array"))

    def __len__(self) -> int:  # asked by kernels that are for dense arrays
        raise SparseOperand(_refusal("a dense array"))

    def __bool__(self) -> bool:
        return True

    # -- other forms ------------------------------------------------------------------------------

    def like(self, values: Any) -> CooArray:
        """Other values at the same coordinates."""
        return CooArray(self.indices, values, self.shape, self.coalesced)

    def emptied(self) -> CooArray:
        """Zeros: without any coordinate."""
        return CooArray(self.indices[:, :0], self.values[:0], self.shape, True)

    def copy(self, order: str = "C") -> CooArray:
        return CooArray(self.indices.copy(), self.values.copy(), self.shape, self.coalesced)

    def astype(self, dtype: Any, copy: bool = True) -> CooArray:
        return self.like(self.values.astype(dtype, copy=copy))

    def get(self) -> CooArray:
        """The same on the host, as CuPy's ``get``."""
        return CooArray(to_host(self.indices), to_host(self.values), self.shape, self.coalesced)

    def keys(self) -> Any:
        """One integer for each coordinate: its place in the flattened sparse dimensions."""
        sizes = self.shape[: self.sparse_dim]
        key = module_of(self.indices).zeros(self.nnz, np.int64)
        for row, n in zip(self.indices, sizes):
            key = key * n + row
        return key

    def coalesce(self) -> CooArray:
        """Each coordinate once, in order; values of equal ones added up."""
        if self.coalesced:
            return self
        xp = module_of(self.values)
        keys, first, place = np.unique(self.keys(), return_index=True, return_inverse=True)
        values = self.values
        wide = np.float32 if values.dtype.itemsize == 2 and values.dtype.kind in "fV" else None
        total = xp.zeros((keys.shape[0], *values.shape[1:]), wide or values.dtype)
        add_at(total, place, values)
        return CooArray(self.indices[:, first], total.astype(values.dtype), self.shape, True)

    def todense(self) -> Any:
        """A plain array."""
        once = self.coalesce()
        result = module_of(self.values).zeros(self.shape, self.dtype)
        result[tuple(once.indices)] = once.values
        return result

    def permuted(self, dims: tuple[int, ...]) -> CooArray:
        """Dimensions in another order; sparse ones stay before dense ones."""
        m = self.sparse_dim
        first, rest = dims[:m], dims[m:]
        if any(d >= m for d in first):
            raise RuntimeError(
                "permute: sparse and dense dimensions of a sparse tensor cannot be exchanged"
            )
        values = self.values.transpose([0, *[d - m + 1 for d in rest]])
        shape = tuple([self.shape[d] for d in dims])
        moved = list(first) != list(range(m))
        return CooArray(self.indices[list(first)], values, shape, self.coalesced and not moved)

    def __getitem__(self, index: Any) -> Any:
        raise SparseOperand(_refusal("indexing"))

    def __setitem__(self, index: Any, value: Any) -> None:
        """``a[...] = b``: take over another's contents, or none with 0 (a write in place)."""
        if index is not Ellipsis:
            raise SparseOperand(_refusal("assignment to a part"))
        if _is_number(value) and value == 0:
            value = self.emptied()
        if not isinstance(value, CooArray):
            raise SparseOperand(_refusal("assignment of dense values other than zero"))
        self.indices, self.coalesced = value.indices, value.coalesced
        self.values = value.values.astype(self.values.dtype, copy=False)

    # -- arithmetic -------------------------------------------------------------------------------

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.zeros_like:
            return self.emptied()
        raise SparseOperand(_refusal(function.__name__))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        name = ufunc.__name__
        given = options.pop("out", None)  # of ``a += b``
        if method != "__call__" or options:
            raise SparseOperand(_refusal(f"{name}.{method}"))
        if given and not isinstance(given[0], CooArray):  # a dense ``a`` stays the same array
            given[0][...] = self.__array_ufunc__(ufunc, method, *inputs)
            return given[0]
        if len(inputs) == 1:
            if name in _ZERO_KEEPING:
                once = self.coalesce()
                return once.like(ufunc(once.values))
            raise SparseOperand(_refusal(name))
        if name in _BINARY:
            return _BINARY[name](*inputs)
        a, b = inputs
        if name in _COMPARISONS and isinstance(a, CooArray) and _is_number(b) and not ufunc(0, b):
            once = a.coalesce()
            return once.like(ufunc(once.values, b))
        raise SparseOperand(_refusal(name))


class _Flags:
    """As much of ``ndarray.flags`` as is asked for."""

    writeable = True
    c_contiguous = False


def _refusal(name: str) -> str:
    return f"{name} is not implemented for sparse tensors (layout torch.sparse_coo); see to_dense()"


def _is_number(x: Any) -> bool:
    return not isinstance(x, CooArray) and not getattr(x, "ndim", 0)


def _add(a: Any, b: Any) -> Any:
    """Both sparse: all coordinates of both. One dense: dense."""
    if not isinstance(a, CooArray) or not isinstance(b, CooArray):
        sparse, dense = (a, b) if isinstance(a, CooArray) else (b, a)
        if _is_number(dense):
            raise SparseOperand(_refusal("adding a number"))
        if dense.shape != sparse.shape:
            raise RuntimeError(
                f"add: expected 'self' and 'other' to have same size, but self has size "
                f"{list(dense.shape)} while other has size {list(sparse.shape)}"
            )
        once = sparse.coalesce()
        result = dense.astype(np.result_type(dense, once.values), copy=True)
        result[tuple(once.indices)] += once.values
        return result
    if a.shape != b.shape or a.sparse_dim != b.sparse_dim:
        raise RuntimeError(
            "add: expected sizes of 'self' and 'other' to match, but "
            f"{list(a.shape)} != {list(b.shape)}"
        )
    xp = module_of(a.values)
    return CooArray(
        xp.concatenate([a.indices, b.indices], 1),
        xp.concatenate([a.values, b.values]),
        a.shape,
    ).coalesce()


def _subtract(a: Any, b: Any) -> Any:
    return _add(a, -b)


def _multiply(a: Any, b: Any) -> CooArray:
    """With a number or a dense array: at the same coordinates. Both sparse: at those of both."""
    if isinstance(a, CooArray) and isinstance(b, CooArray):
        return _intersected(a, b)
    sparse, dense = (a, b) if isinstance(a, CooArray) else (b, a)
    if _is_number(dense):
        return sparse.like(sparse.values * dense)
    once = sparse.coalesce()
    xp = module_of(once.values)
    return once.like(once.values * xp.broadcast_to(dense, once.shape)[tuple(once.indices)])


def _intersected(a: CooArray, b: CooArray) -> CooArray:
    if a.shape != b.shape:
        raise RuntimeError(
            "mul operands have incompatible sizes: "
            f"{list(a.shape)} and {list(b.shape)} (sparse tensors are not broadcast)"
        )
    a, b = a.coalesce(), b.coalesce()
    _, at, bt = np.intersect1d(a.keys(), b.keys(), assume_unique=True, return_indices=True)
    return CooArray(a.indices[:, at], a.values[at] * b.values[bt], a.shape, True)


def _divide(a: Any, b: Any) -> CooArray:
    if not _is_number(b):
        raise RuntimeError("div: sparse tensors can only be divided by a scalar or a 0-d tensor")
    return a.like(np.true_divide(a.values, b))


def _power(a: Any, b: Any) -> CooArray:
    if isinstance(a, CooArray) and _is_number(b) and b > 0:
        once = a.coalesce()
        return once.like(np.power(once.values, b))
    raise SparseOperand(_refusal("pow with this exponent"))


_BINARY = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "power": _power,
}
