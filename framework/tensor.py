"""`Tensor`: an array, its device, its gradient and the place it has in the graph.

Arithmetic and the other methods are published by the functions in `framework.ops` and bound in
`framework/__init__.py`; this file holds what a tensor *is*.
"""

from __future__ import annotations

import copy
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from framework import dtypes
from framework.cautions import caution, caution_once
from framework.core import dispatch, graph
from framework.core.copies import attributes_of, blank, deep_copy_of, for_numpy, reduced
from framework.core.grad_slot import check_grad, warn_of_no_grad
from framework.core.graph import Hook, Version
from framework.core.inference import InferenceVersion
from framework.core.modes import modes
from framework.core.node_names import shown
from framework.core.overridable import MISSING
from framework.device import CPU, META, default, device, existing
from framework.elements import as_array
from framework.kernels import to_device, waits
from framework.kernels.strided import root_of
from framework.layout import contiguous_format, in_order, layout, sparse_coo, strided
from framework.size import Size, in_dim, steps_as_in_pytorch
from framework.trace import sink

__all__ = ["Size", "Tensor", "tensor", "wrap"]


_new_tuple = tuple.__new__


class Tensor:
    """A multi-dimensional array with a gradient.

    Made by `tensor`, `zeros`, `randn`, ... or by an op. ``Tensor(2, 3)`` is an uninitialised one
    and ``Tensor([1, 2])`` one of the default dtype, as in PyTorch.

    >>> import framework as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    # What every op reads is in slots (CPython specialises their access); the rest has defaults.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_base",
        "_counter",
        "_data",
        "_device",
        "_edge",
        "_grad",
        "_id",
        "_rg",
    )  # fmt: skip

    _data: Any
    _device: device
    _rg: bool  # requires_grad, but see the property for views
    _edge: Any  # (node, output number) of its maker; None for a leaf
    _counter: Version | None  # made with the first write, view or save
    _base: Any  # the tensor that owns the memory, for a view
    _id: int  # the trace's number for it
    _grad: Tensor | None  # see the property ``grad``

    _chain: Any = ()  # view ops from the base: ((op, meta), ...)
    _at: int = 0  # the counter's value when `_edge` was found, for a view
    _offset: int = 0  # of its elements in memory that no tensor here is the base of
    _restricted: str = ""  # why a view must not be written: a key of `views.RESTRICTED`
    _front: Any = (
        None  # of a base: a weak reference to the tensor that was turned into a view of it
    )
    _hooks: Any = None
    _post_hooks: Any = None

    def __new__(cls, *args: Any, **options: Any) -> Any:
        made = blank(cls)
        if cls._derived:
            Tensor._fill(made, args, options.get("device"))
        return made

    _derived = False  # outside of this package: its __init__ need not know of ours

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not cls.__module__.startswith("framework."):
            from framework import overrides

            cls._derived = all(
                k is Tensor or not k.__module__.startswith("framework.") for k in cls.__mro__
            )
            overrides.subclass_made(cls)

    if TYPE_CHECKING:  # what framework/__init__.py binds from the registry

        def __getattr__(self, name: str) -> Any: ...

        __add__: Any
        __radd__: Any
        __sub__: Any
        __rsub__: Any
        __mul__: Any
        __rmul__: Any
        __truediv__: Any
        __rtruediv__: Any
        __floordiv__: Any
        __mod__: Any
        __pow__: Any
        __rpow__: Any
        __matmul__: Any
        __neg__: Any
        __abs__: Any
        __invert__: Any
        __and__: Any
        __or__: Any
        __xor__: Any
        __lt__: Any
        __le__: Any
        __gt__: Any
        __ge__: Any
        __getitem__: Any
        __setitem__: Any
        __eq__: Any
        __ne__: Any
        T: Any
        mT: Any
        H: Any
        mH: Any
        real: Any
        imag: Any

    def __init__(self, *args: Any, device: Any = None, **options: Any) -> None:
        if self._derived:
            return  # __new__ has done it, or has its own idea of the arguments
        if options:
            raise TypeError(f"new(): invalid keyword arguments {sorted(options)}")
        self._fill(args, device)

    def _fill(self, args: tuple[Any, ...], device: Any) -> None:
        """Give it the memory that the arguments of the constructor describe."""
        from framework.legacy import make

        target = default.device if device is None else existing(device)
        made = make(args, dtypes.get_default_dtype(), target, any_type=True)
        self._data, self._device = made._data, made._device

    # -- what it is --------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The lengths of the dimensions, as a `Size`."""
        return _new_tuple(Size, self._data.shape)

    @property
    def dtype(self) -> dtypes.dtype:
        """The type of the elements."""
        return dtypes.from_numpy_dtype[self._data.dtype]

    @property
    def device(self) -> device:
        """Where the elements lie."""
        return self._device

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self._data.ndim

    @property
    def is_cuda(self) -> bool:
        """Whether it lies on a CUDA device."""
        return self._device.type == "cuda"

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._data.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._data.nbytes

    @property
    def layout(self) -> layout:
        """How the elements are kept: `strided`, or `sparse_coo`."""
        return sparse_coo if self.is_sparse else strided

    @property
    def is_sparse(self) -> bool:
        """Whether only some coordinates have values: the layout is `sparse_coo`."""
        return hasattr(self._data, "sparse_dim")

    @property
    def is_cpu(self) -> bool:
        """Whether it lies in host memory."""
        return self._device is CPU

    @property
    def is_meta(self) -> bool:
        """Whether it has a shape and a dtype, but neither memory nor numbers: on ``meta``."""
        return self._device is META

    # What tensors of ours never are.
    is_sparse_csr = is_quantized = is_nested = is_mkldnn = False
    is_mps = is_xpu = is_xla = is_ipu = is_maia = is_mtia = is_vulkan = False
    name = None

    def _is_view(self) -> bool:
        return self._base is not None

    def size(self, dim: int | None = None) -> Any:
        """The shape, or its length in one dimension. IndexError for a dimension out of range.

        Of any dtype.

        >>> import framework as torch
        >>> torch.zeros(2, 3).size(), torch.zeros(2, 3).size(-1)
        (torch.Size([2, 3]), 3)
        """
        return self.shape if dim is None else in_dim(self._data.shape, dim)

    def dim(self) -> int:
        """Number of dimensions; the property `ndim` has it too.

        Of any dtype; it never raises.

        >>> import framework as torch
        >>> torch.zeros(2, 3).dim()
        2
        """
        return self._data.ndim

    def numel(self) -> int:
        """Number of elements.

        Of any shape and dtype; it never raises.

        >>> import framework as torch
        >>> torch.zeros(2, 3).numel()
        6
        """
        return int(self._data.size)

    nelement = numel

    def element_size(self) -> int:
        """Bytes of one element; the property `itemsize` has it too.

        By its dtype; the shape does not matter.

        >>> import framework as torch
        >>> torch.zeros(2, dtype=torch.float16).element_size()
        2
        """
        return self._data.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Elements to skip in memory for the next one, per dimension or in one.

        Of any dtype. IndexError for a dimension out of range.

        >>> import framework as torch
        >>> torch.zeros(2, 3).stride(), torch.zeros(2, 3).t().stride()
        ((3, 1), (1, 3))
        """
        steps = tuple(s // self._data.itemsize for s in self._data.strides)
        if len(steps) != len(self._data.shape):
            steps = (0,) * len(self._data.shape)  # sparse: PyTorch says zeros, too
        elif 0 in steps:
            steps = steps_as_in_pytorch(self._data.shape, steps)
        return steps if dim is None else in_dim(steps, dim)

    def storage_offset(self) -> int:
        """Elements between the start of the memory and the first element.

        Of any shape and dtype.

        >>> import framework as torch
        >>> torch.arange(4)[1:].storage_offset()
        1
        """
        data = self._data
        if self._base is None or "_offset" in self.__dict__:
            return self._offset
        other = self._base._data
        if isinstance(data, np.ndarray) and (root := root_of(data)) is not root_of(other):
            return (_start(data) - _start(root)) // data.itemsize  # one of them got other memory
        return self._base._offset + (_start(data) - _start(other)) // data.itemsize

    def data_ptr(self) -> int:
        """Address of the first element.

        Of any shape and dtype; NotImplementedError for a sparse tensor.

        >>> import framework as torch
        >>> x = torch.zeros(4)
        >>> x[1:].data_ptr() - x.data_ptr()
        4
        """
        data = self._data
        if self._device is META:
            return 0
        return _start(data)

    def is_contiguous(self, *, memory_format: Any = contiguous_format) -> bool:
        """Whether the elements lie in C order, or in that of a memory format.

        Of any shape and dtype. TypeError for what is no memory format.

        >>> import framework as torch
        >>> torch.zeros(2, 3).is_contiguous(), torch.zeros(2, 3).t().is_contiguous()
        (True, False)
        """
        if memory_format is contiguous_format:
            return bool(self._data.flags.c_contiguous)
        if not isinstance(memory_format, type(contiguous_format)):
            got = type(memory_format).__name__
            raise TypeError(
                f"is_contiguous(): argument 'memory_format' must be torch.memory_format, not {got}"
            )
        return in_order(self._data, memory_format)

    def is_floating_point(self) -> bool:
        """Whether the dtype is a real floating type.

        Of any shape; it never raises.

        >>> import framework as torch
        >>> torch.tensor([1.0]).is_floating_point(), torch.tensor([1]).is_floating_point()
        (True, False)
        """
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Whether the dtype is complex.

        Of any shape; it never raises.

        >>> import framework as torch
        >>> torch.tensor([1j]).is_complex(), torch.tensor([1.0]).is_complex()
        (True, False)
        """
        return self.dtype.is_complex

    # -- autograd ----------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        # A view wants a gradient as its base does, even one that was taken without grad mode:
        # PyTorch's wart. The gradient of such a view goes nowhere.
        """Whether `backward` computes a gradient for it; can be set: see `requires_grad_`."""
        return self._rg or (self._base is not None and self._base._rg)

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for (or waive) a gradient, and return this tensor.

        Raises:
            RuntimeError: it is neither floating nor complex, or waived for the result of an op.

        Of any shape.

        >>> import framework as torch
        >>> torch.zeros(2).requires_grad_()
        tensor([0., 0.], requires_grad=True)
        """
        if requires_grad.__class__ is not bool:
            raise TypeError(
                "requires_grad_(): argument 'requires_grad' (position 1) must be bool, not "
                f"{type(requires_grad).__name__}"
            )
        if self._edge is not None and not requires_grad:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a "
                "computed variable in a subgraph that doesn't require differentiation use "
                "var_no_grad = var.detach()."
            )
        if requires_grad and self.dtype.category < dtypes.FLOAT:
            raise RuntimeError(
                "only Tensors of floating point and complex dtype can require gradients"
            )
        if requires_grad and not modes.inference and self.is_inference():
            raise RuntimeError(
                "Setting requires_grad=True on inference tensor outside InferenceMode is not "
                "allowed."
            )
        self._rg = bool(requires_grad)
        return self

    def is_inference(self) -> bool:
        """Whether it was made in `inference_mode`.

        Of any shape and dtype; it never raises.

        >>> import framework as torch
        >>> with torch.inference_mode():
        ...     torch.zeros(2).is_inference()
        True
        """
        return self._counter.__class__ is InferenceVersion

    @property
    def grad_fn(self) -> Any:
        """The node that made it; None for a leaf."""
        edge = dispatch.edge_of(self)
        return shown(edge[0]) if edge.__class__ is tuple else None

    @property
    def output_nr(self) -> int:
        """Which output of `grad_fn` it is; 0 for a leaf."""
        return self._edge[1] if self._edge is not None else 0

    @property
    def is_leaf(self) -> bool:
        """Whether no op that autograd looked on has made it."""
        return self.grad_fn is None

    @property
    def _version(self) -> int:
        if self.is_inference():
            raise RuntimeError("Inference tensors do not track version counter.")
        return 0 if self._counter is None else self._counter.value

    @property
    def data(self) -> Tensor:
        """The same memory without history, whose writes autograd does not see."""
        other = wrap(self._data, self._device)
        counter = self._counter
        if counter is None:
            counter = self._counter = Version()
        other._counter = Version()
        if counter.aliases is None:
            counter.aliases = [self._id] if self._id else []
        other._counter.aliases = counter.aliases  # the trace shall see them all the same
        return other

    @data.setter
    def data(self, value: Tensor) -> None:
        from framework.core.exchange import give_data

        give_data(self, value)

    def detach(self) -> Tensor:
        """This tensor without its history: of the same shape and dtype, in the same memory.

        It never raises; `detach_` can.

        >>> import framework as torch
        >>> x = torch.ones(2, requires_grad=True)
        >>> (x * 2).detach().requires_grad
        False
        """
        from framework.ops.conversion import detach

        return detach(self)

    def detach_(self) -> Tensor:
        """Cut this tensor off from its history: it becomes a leaf that wants no gradient.

        RuntimeError for a view of another tensor.

        Shape and dtype stay.

        >>> import framework as torch
        >>> x = torch.ones(2, requires_grad=True) * 3
        >>> x.detach_()
        tensor([3., 3.])
        """
        base = self._base
        if base is not None:
            if base._front is None or base._front() is not self:
                raise RuntimeError("Can't detach views in-place. Use detach() instead.")
            base._edge, base._rg = None, False  # it became a view of its own memory, by `t_`, ...
        self._edge, self._rg = None, False
        return self

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` has accumulated for a leaf; None before.

        Raises:
            TypeError: it is set to what is no tensor.
            RuntimeError: it is set to a tensor of another shape, type or device.

        Reading that of another than a leaf warns, unless it was set or is retained.
        """
        grad = self._grad
        if grad is None and (self._edge is not None or self._base is not None):
            warn_of_no_grad(self)
        return grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None and not hasattr(
            value, "_level"
        ):  # inside of vmap shapes are a sample's
            check_grad(self, value)
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Accumulate the gradient of this tensor into the ``.grad`` of the leaves it came from.

        Args:
            gradient: that of the final result with respect to this tensor, in its shape; 1 for a
                tensor of one element, which alone may leave it out.
            retain_graph: keep what the nodes have saved, so that this can be done again.
            create_graph: record how the gradients are computed, so that they have gradients.
            inputs: accumulate into these tensors only.

        Raises:
            RuntimeError: nothing here wants a gradient, ``gradient`` is missing or of another
                shape, or the graph was used before.

        This tensor is of a floating or complex dtype; gradients have the dtypes of their
        leaves.

        >>> import framework as torch
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> (x**2).sum().backward()
        >>> x.grad
        tensor([2., 4.])
        """
        from framework.autograd import backward

        backward(self, gradient, retain_graph, create_graph, inputs)

    def retain_grad(self) -> None:
        """Keep the gradient of this non-leaf tensor in ``.grad``; RuntimeError if it wants none.

        It has this tensor's shape and dtype.

        >>> import framework as torch
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> y = x * 3
        >>> y.retain_grad()
        >>> (y**2).sum().backward()
        >>> y.grad
        tensor([ 6., 12.])
        """
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        edge = dispatch.edge_of(self)
        if edge.__class__ is tuple:
            node, nr = edge
            if node.retains is None:
                node.retains = {}
            node.retains[nr] = weakref.ref(self)

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called for this non-leaf tensor."""
        edge = self._edge
        return edge is not None and bool(edge[0].retains) and edge[1] in edge[0].retains

    def register_hook(self, hook: Any) -> Hook:
        """Call ``hook(grad)`` when this tensor's gradient is known; it may return another one.

        The handle that is returned has a method ``remove``.

        Raises:
            RuntimeError: the tensor wants no gradient.

        The gradient has this tensor's shape and dtype, and so must another one.

        >>> import framework as torch
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> handle = x.register_hook(lambda grad: grad * 10)
        >>> x.sum().backward()
        >>> x.grad
        tensor([10., 10.])
        """
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        edge = dispatch.edge_of(self)
        if edge.__class__ is tuple:
            node, nr = edge
            if node.tensor_hooks is None:
                node.tensor_hooks = {}
            return Hook(node.tensor_hooks.setdefault(nr, {}), hook)
        if self._hooks is None:
            self._hooks = {}
        return Hook(self._hooks, hook)

    def register_post_accumulate_grad_hook(self, hook: Any) -> Hook:
        """Call ``hook(tensor)`` after ``.grad`` of this leaf was accumulated into.

        The handle that is returned has a method ``remove``. RuntimeError for a tensor that is no
        leaf or wants no gradient.

        Of any shape and floating or complex dtype.

        >>> import framework as torch
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> handle = x.register_post_accumulate_grad_hook(lambda p: print(p.grad))
        >>> (x * 3).sum().backward()
        tensor([3., 3.])
        """
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self._edge is not None:
            raise RuntimeError(
                "post accumulate grad hooks cannot be registered on non-leaf tensors"
            )
        if self._post_hooks is None:
            self._post_hooks = {}
        return Hook(self._post_hooks, hook)

    # -- out of the tensor world ---------------------------------------------------------------

    def item(self) -> Any:
        """The only element, as a Python number; RuntimeError if there is not exactly one.

        A bool, int, float or complex, by the dtype.

        >>> import framework as torch
        >>> torch.tensor([1.5]).item()
        1.5
        """
        if self._data.size != 1:
            raise RuntimeError(
                f"a Tensor with {self._data.size} elements cannot be converted to Scalar"
            )
        if self._device is META:
            raise RuntimeError("Tensor.item() cannot be called on meta tensors")
        value = waits.fetched(self._data, self._device).reshape(()).item()
        return value if isinstance(value, (bool, int, float, complex)) else float(value)

    def tolist(self) -> Any:
        """Nested lists of Python numbers (one number for a 0-d tensor).

        Numbers are bool, int, float or complex, by the dtype. NotImplementedError for a
        sparse or meta tensor.

        >>> import framework as torch
        >>> torch.tensor([[1, 2], [3, 4]]).tolist()
        [[1, 2], [3, 4]]
        """
        data = waits.fetched(self._data, self._device)
        return data.astype(np.float32).tolist() if data.dtype.kind == "V" else data.tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """A NumPy array that shares the memory of a CPU tensor.

        Args:
            force: also of a tensor that wants a gradient, and a copy of one on another device.

        Raises:
            RuntimeError: it wants a gradient.
            TypeError: it is sparse, lies on another device, or NumPy has no such type (bfloat16);
                ``force`` is no bool.

        The array has the shape, strides and dtype of the tensor.

        >>> import framework as torch
        >>> x = torch.zeros(2)
        >>> x.numpy()[0] = 5
        >>> x
        tensor([5., 0.])
        """
        if force.__class__ is not bool:
            raise TypeError(f"numpy(): argument 'force' must be bool, not {type(force).__name__}")
        if self.requires_grad and not force:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() "
                "instead."
            )
        if self.is_sparse:
            raise TypeError(
                "can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first."
            )
        if self._device is not CPU:
            if not force or self._device is META:
                raise TypeError(
                    f"can't convert {self._device} device type tensor to numpy. Use Tensor.cpu() "
                    "to copy the tensor to host memory first."
                )
            return for_numpy(waits.fetched(self._data, self._device))
        return for_numpy(self._data)

    def __bool__(self) -> bool:
        """Whether the only element is not zero; RuntimeError if there is not exactly one."""
        if self._data.size != 1:
            raise RuntimeError(
                "Boolean value of Tensor with "
                + ("no values" if not self._data.size else "more than one value")
                + " is ambiguous"
            )
        return bool(self.item())

    def _only(self) -> Any:
        """`item` for Python's conversions, which complain with another kind of error."""
        if self._data.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self.item()

    def __int__(self) -> int:
        """The only element as an int; ValueError if there is not exactly one."""
        return int(self._only())

    def __float__(self) -> float:
        """The only element as a float; ValueError if there is not exactly one."""
        if self._rg and modes.grad:
            warn_of_scalar()
        return float(self._only())

    def __complex__(self) -> complex:
        """The only element as a complex number; ValueError if there is not exactly one."""
        if self._rg and modes.grad:
            warn_of_scalar()
        return complex(self._only())

    def __index__(self) -> int:
        """The only element, if it is an integer, so that it can be an index; else TypeError."""
        if self.dtype.category > dtypes.INT or self._data.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __len__(self) -> int:
        """The length of the first dimension; TypeError for a 0-d tensor."""
        if not self._data.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self._data.shape[0]

    def __iter__(self) -> Any:
        """The elements along the first dimension, views; TypeError for a 0-d tensor."""
        if not self._data.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __contains__(self, element: Any) -> bool:
        """Whether any element equals this one."""
        if not isinstance(element, (Tensor, int, float, complex, np.generic)):
            raise RuntimeError(
                "Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
                f"{type(element)}."
            )
        return bool((self == element).any())

    def __delitem__(self, index: Any) -> None:
        raise TypeError("Tensor does not support deleting items")

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        from framework.printing import tensor_text

        kind = type(self)
        if kind.__module__.startswith("framework."):
            return tensor_text(self)
        text = tensor_text(self, kind.__name__)  # a class of the user's
        return f"Parameter({text})" if hasattr(self, "_is_param") else text

    def __format__(self, spec: str) -> str:
        if self._data.ndim == 0 and self._device is not META:
            return format(self.item(), spec)
        return object.__format__(self, spec) if spec else repr(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy of its own memory, and of its gradient; RuntimeError for what is no leaf."""
        if self._edge is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol at the moment."
            )
        other = blank(self.__class__)
        memo[id(self)] = other
        other._data, offset = deep_copy_of(self, memo)
        other._device, other._rg = self._device, self._rg
        if offset:
            other._offset = offset
        if self._grad is not None:
            other.grad = self._grad.__deepcopy__(memo)
        other.__dict__.update(copy.deepcopy(attributes_of(self), memo))
        return other

    def __copy__(self) -> Any:
        other = blank(self.__class__)
        other.__dict__.update(attributes_of(self))
        other._data, other._device, other._rg = self._data, self._device, self.requires_grad
        if not self.is_sparse and (offset := self.storage_offset()):
            other._offset = offset
        return other

    def __reduce__(self) -> Any:
        return reduced(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def _start(data: Any) -> int:
    """The address of an array's first element."""
    return data.ctypes.data if isinstance(data, np.ndarray) else data.data.ptr


def wrap(array: Any, on: device | None = None) -> Tensor:
    """A leaf tensor around an array, sharing its memory. ``on`` None is the CPU."""
    made = object.__new__(Tensor)
    made._data = array
    made._device = on or CPU
    made._rg = False
    made._edge = made._counter = made._base = made._grad = None
    made._id = 0
    return made


def warn_of_scalar() -> None:
    """A number has no history."""
    caution_once(
        "Converting a tensor with requires_grad=True to a scalar may lead to unexpected "
        "behavior.\nConsider using tensor.detach() first."
    )


def warn_of_copy(name: str) -> None:
    caution(
        "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() "
        f"or sourceTensor.detach().clone().requires_grad_(True), rather than {name}(sourceTensor).",
    )


# Asks who overrides functions, as soon as there may be such: `framework.overrides` sets it.
overriding: Any = None


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A new tensor with a copy of ``data``: numbers, nested lists, arrays or tensors.

    Floats become the default dtype (float32), ints int64, bools bool; arrays keep their type.

    Args:
        dtype: the type of the elements instead.
        device: where it lies; the default device unless ``data`` is a tensor.
        requires_grad: whether it is a leaf that wants a gradient.
        pin_memory: in page-locked host memory, for which there must be a CUDA device.

    Raises:
        ValueError: lists of different lengths side by side, or an integer of more than 64 bits.
        TypeError: text.
        RuntimeError: what is no number, or one that the dtype cannot hold.

    >>> import framework as torch
    >>> torch.tensor([[1, 2], [3, 4]]).dtype
    torch.int64
    """
    if overriding is not None:
        given = {"dtype": dtype, "device": device, "requires_grad": requires_grad or None}
        found = overriding(tensor, data, given | {"pin_memory": pin_memory or None})
        if found is not MISSING:
            return found
    if isinstance(data, Tensor):
        warn_of_copy("torch.tensor")
    array = as_array(data, None if dtype is None else dtypes.to_dtype(dtype))
    target = default.device if device is None else existing(device)
    if device is None and isinstance(data, Tensor):
        target = data._device
    if waits.mode:
        waits.transferred(CPU, target, False)
    made = wrap(array if target is CPU else to_device(array, target), target)
    if pin_memory:
        from framework.ops.creation import in_pinned_memory

        made = in_pinned_memory(made)
    return made.requires_grad_() if requires_grad else made


sink.tensor_type = Tensor
dispatch.Tensor = graph.Tensor = Tensor
dispatch.usual.add(Tensor)
dispatch.wrap = graph.wrap = wrap
