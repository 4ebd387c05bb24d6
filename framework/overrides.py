"""``__torch_function__``: classes that decide themselves what functions of tensors do with them.

A class derived from Tensor is preserved by the ops, and may override `Tensor.__torch_function__`;
any other class that defines one is asked wherever an instance is an argument. See PyTorch's notes
on extending.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from framework.core import overridable
from framework.core.dispatch import edge_of
from framework.core.graph import Version
from framework.core.overridable import MISSING
from framework.core.registry import Method
from framework.nn.parameter import Buffer, Parameter
from framework.tensor import Tensor

__all__ = [
    "BaseTorchFunctionMode", "DisableTorchFunction", "DisableTorchFunctionSubclass",
    "TorchFunctionMode", "get_default_nowrap_functions", "get_ignored_functions",
    "get_overridable_functions", "get_testing_overrides", "handle_torch_function",
    "has_torch_function", "has_torch_function_unary", "has_torch_function_variadic",
    "is_tensor_like", "is_tensor_method_or_property", "redispatch_function", "resolve_name",
    "wrap_torch_function",
]  # fmt: skip


class _State(threading.local):
    def __init__(self) -> None:
        self.subclasses = True  # whether subclasses of Tensor are asked
        self.modes_on = True
        self.skip = False  # nobody is asked about the next call
        self.modes: list[TorchFunctionMode] = []


_state = _State()
_FUNCTIONAL = "framework.nn.functional"


def _disabled_torch_function_impl(*args: Any, **kwargs: Any) -> Any:
    """The ``__torch_function__`` of classes that do not want to be asked, such as Parameter."""
    return NotImplemented


class _Disable:
    """Base of the contexts that switch overriding off."""

    def __enter__(self) -> None:
        self._before = _state.subclasses, _state.modes_on
        _state.subclasses = False

    def __exit__(self, *exc: object) -> None:
        _state.subclasses, _state.modes_on = self._before


class DisableTorchFunctionSubclass(_Disable):
    """Within it, subclasses of Tensor are treated as tensors; modes still see the calls.

    >>> import framework as torch
    >>> class Named(torch.Tensor):
    ...     pass
    >>> x = torch.ones(2).as_subclass(Named)
    >>> with torch.DisableTorchFunctionSubclass():
    ...     type(x + 1).__name__
    'Tensor'
    >>> type(x + 1).__name__
    'Named'
    """


class DisableTorchFunction(_Disable):
    """Within it, neither subclasses nor modes see the calls.

    >>> import framework as torch
    >>> class Named(torch.Tensor):
    ...     pass
    >>> with torch.DisableTorchFunction():
    ...     type(torch.ones(2).as_subclass(Named) + 1).__name__
    'Tensor'
    """

    def __enter__(self) -> None:
        super().__enter__()
        _state.modes_on = False


# -- asking -----------------------------------------------------------------------------------


def _overrider(value: Any) -> bool:
    """Whether a value wants to be asked."""
    kind = type(value)
    if kind is Tensor:
        return False
    found = getattr(kind, "__torch_function__", None)
    if found is None or found is _disabled_torch_function_impl:
        return False
    return _state.subclasses if isinstance(value, Tensor) else not isinstance(value, type)


def _collected(values: Iterable[Any]) -> list[Any]:
    """One argument of each class that wants to be asked, subclasses first."""
    found: list[Any] = []
    for value in values:
        for x in value if isinstance(value, (list, tuple)) else (value,):
            if not _overrider(x) or any(type(x) is type(y) for y in found):
                continue
            at = next((i for i, y in enumerate(found) if issubclass(type(x), type(y))), len(found))
            found.insert(at, x)
    return found


def dispatch(function: Any, given: tuple[tuple[Any, ...], dict[str, Any]]) -> Any:
    """What the modes and arguments make of a call; `MISSING` if nobody wants it."""
    if _state.skip:
        _state.skip = False
        return MISSING
    args, kwargs = given
    modes = _state.modes_on and _state.modes
    relevant = _collected((*args, *kwargs.values()))
    if not relevant and not modes:
        return MISSING
    if getattr(function, "_python", False) and function.__module__ == _FUNCTIONAL:
        args, kwargs = _by_defaults(function, args, kwargs)
    return _ask(function, relevant, args, kwargs)


def _by_defaults(function: Any, args: tuple[Any, ...], kwargs: Any) -> tuple[Any, Any]:
    """The arguments as a function that PyTorch has written in Python hands them over.

    By position what has no default, the rest by name: ``relu(x)`` as ``relu(x, inplace=False)``.
    """
    signature = inspect.signature(function)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return args, kwargs  # it will say what is wrong
    bound.apply_defaults()
    by_position: list[Any] = []
    by_name: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        value = bound.arguments[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            by_position += value
        elif parameter.kind is parameter.VAR_KEYWORD:
            by_name |= value
        elif parameter.default is parameter.empty and parameter.kind is not parameter.KEYWORD_ONLY:
            by_position.append(value)
        elif value is not MISSING:
            by_name[name] = value
    return tuple(by_position), by_name


class _Unanswered(TypeError):
    """Nobody who was asked has an answer."""


_Unanswered.__name__ = "TypeError"


def _ask(
    function: Any, relevant: list[Any], args: tuple[Any, ...], kwargs: Any, kinds: Any = ()
) -> Any:
    kinds = kinds or tuple([type(x) for x in relevant])
    if _state.modes_on and _state.modes:
        mode = _state.modes.pop()
        try:
            result = mode.__torch_function__(function, kinds, args, kwargs)
        finally:
            _state.modes.append(mode)
        if result is not NotImplemented:
            return result
    for x in relevant:
        result = x.__torch_function__(function, kinds, args, kwargs)
        if result is not NotImplemented:
            return result
    name = resolve_name(function) or getattr(function, "__name__", str(function))
    asked = [f"  - tensor subclass {type(x)}" for x in relevant]
    if _state.modes_on and _state.modes:
        asked.append(f"  - mode object {_state.modes[-1]}")
    raise _Unanswered(
        f"Multiple dispatch failed for '{name}'; all __torch_function__ handlers returned "
        "NotImplemented:\n\n" + "\n".join(asked) + "\n\nFor more information, try re-running with "
        "TORCH_LOGS=not_implemented"
    )


def noticed(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A call has failed because of an argument that overrides functions: the first of its kind."""
    _activate()
    return dispatch(function, (args, kwargs))


# -- what users' own functions call -------------------------------------------------------------


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether one of the arguments overrides functions, or a mode is on.

    Shapes and dtypes do not matter; it never raises.

    >>> import framework as torch
    >>> torch.overrides.has_torch_function((torch.ones(2), 1))
    False
    """
    _activate()
    if _state.skip:
        _state.skip = False
        return False
    return bool(_state.modes_on and _state.modes) or any(map(_overrider, relevant_args))


def has_torch_function_unary(arg: Any) -> bool:
    """`has_torch_function` of one argument.

    Its shape and dtype do not matter; it never raises.

    >>> import framework as torch
    >>> torch.overrides.has_torch_function_unary(torch.ones(2))
    False
    """
    return has_torch_function((arg,))


def has_torch_function_variadic(*args: Any) -> bool:
    """`has_torch_function` of the arguments, given one by one.

    Shapes and dtypes do not matter; it never raises.

    >>> import framework as torch
    >>> torch.overrides.has_torch_function_variadic(torch.ones(2), 1)
    False
    """
    return has_torch_function(args)


def handle_torch_function(
    public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """Let the arguments that override functions answer a call of ``public_api``.

    Raises:
        TypeError: all of them returned NotImplemented.

    >>> import framework as torch
    >>> def double(x):
    ...     if torch.overrides.has_torch_function((x,)):
    ...         return torch.overrides.handle_torch_function(double, (x,), x)
    ...     return x + x
    >>> class Word:
    ...     @classmethod
    ...     def __torch_function__(cls, func, types, args=(), kwargs=None):
    ...         return f"{func.__name__} of a word"
    >>> double(Word())
    'double of a word'
    """
    relevant = list(relevant_args)
    try:
        return _ask(public_api, _collected(relevant), args, kwargs)
    except _Unanswered:
        name = f"{public_api.__module__}.{public_api.__name__}"
        kinds = list(dict.fromkeys(type(x) for x in relevant if is_tensor_like(x)))
        raise TypeError(
            f"no implementation found for '{name}' on types that implement __torch_function__: "
            f"{kinds}"
        ) from None


def redispatch_function(func: Any, types: Any, args: Any, kwargs: Any = None) -> Any:
    """Call a function from its ``__torch_function__``, which is asked for what it calls inside.

    ``types`` are those that `__torch_function__` was told. The function itself does not ask again.

    Raises what the function raises: TypeError for arguments that it does not take.

    >>> import framework as torch
    >>> class Loud(torch.Tensor):
    ...     @classmethod
    ...     def __torch_function__(cls, func, types, args=(), kwargs=None):
    ...         print(func.__name__)
    ...         return torch.overrides.redispatch_function(func, types, args, kwargs)
    >>> def scaled(a, b):
    ...     if torch.overrides.has_torch_function((a, b)):
    ...         return torch.overrides.handle_torch_function(scaled, (a, b), a, b)
    ...     return torch.mul(a, b) + 1
    >>> scaled(torch.ones(1).as_subclass(Loud), torch.ones(1))
    scaled
    mul
    tensor([2.])
    """
    before, _state.skip = _state.skip, True
    try:
        return func(*args, **(kwargs or {}))
    finally:
        _state.skip = before


def is_tensor_like(inp: Any) -> bool:
    """Whether it is a Tensor or has a ``__torch_function__``.

    Its shape and dtype do not matter; it never raises.

    >>> import framework as torch
    >>> torch.overrides.is_tensor_like(torch.ones(2)), torch.overrides.is_tensor_like([1.0])
    (True, False)
    """
    return type(inp) is Tensor or hasattr(inp, "__torch_function__")


def wrap_torch_function(dispatcher: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function overridable; ``dispatcher`` returns its arguments that may override it.

    Raises nothing; the function made raises a TypeError where all that are asked return
    NotImplemented.

    >>> import framework as torch
    >>> @torch.overrides.wrap_torch_function(lambda x: (x,))
    ... def double(x):
    ...     return 2 * x
    >>> double(torch.ones(2))
    tensor([2., 2.])
    """

    def inner(func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            relevant = dispatcher(*args, **kwargs)
            if has_torch_function(relevant):
                return handle_torch_function(wrapped, relevant, *args, **kwargs)
            return func(*args, **kwargs)

        return wrapped

    return inner


# -- modes --------------------------------------------------------------------------------------


class TorchFunctionMode:
    """Sees every call of a function of tensors within it.

    >>> import framework as torch
    >>> class Count(torch.overrides.TorchFunctionMode):
    ...     calls = 0
    ...     def __torch_function__(self, func, types, args=(), kwargs=None):
    ...         self.calls += 1
    ...         return func(*args, **(kwargs or {}))
    >>> with Count() as count:
    ...     _ = torch.ones(2) * 2
    >>> count.calls
    2
    """

    inner: Any

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        raise NotImplementedError

    def __enter__(self) -> Any:
        _activate()
        _state.modes.append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _state.modes.pop()

    @classmethod
    def push(cls, *args: Any, **kwargs: Any) -> Any:
        """A mode of this class, made of these arguments."""
        return cls(*args, **kwargs)


class BaseTorchFunctionMode(TorchFunctionMode):
    """The mode that changes nothing: what a mode of one's own can fall back on.

    >>> import framework as torch
    >>> with torch.overrides.BaseTorchFunctionMode():
    ...     torch.add(torch.ones(2), 1)
    tensor([2., 2.])
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return func(*args, **(kwargs or {}))


def _get_current_function_mode() -> Any:
    return _state.modes[-1] if _state.modes else None


def _get_current_function_mode_stack() -> list[Any]:
    return list(_state.modes)


@contextmanager
def enable_reentrant_dispatch() -> Iterator[None]:
    """Accepted: dispatch is reentrant."""
    yield


# -- Tensor's side --------------------------------------------------------------------------------


def _torch_function(
    cls: Any, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
) -> Any:
    """Run a function on tensors of a subclass; its tensors become such ones too."""
    if not all(issubclass(cls, t) for t in types):
        return NotImplemented
    with DisableTorchFunctionSubclass():
        result = func(*args, **(kwargs or {}))
    return result if func in get_default_nowrap_functions() else _converted(result, cls)


def _converted(value: Any, cls: Any) -> Any:
    if cls is Tensor:
        return value
    if isinstance(value, Tensor) and not isinstance(value, cls):
        return as_subclass(value, cls)
    if isinstance(value, (tuple, list)) and any(isinstance(x, Tensor) for x in value):
        parts = [_converted(x, cls) for x in value]
        return type(value)(*parts) if hasattr(value, "_make") else type(value)(parts)
    return value


def as_subclass(self: Tensor, cls: Any) -> Any:
    """The same tensor as one of a subclass, with its memory and its history.

    Shape and dtype stay. RuntimeError for a class that is not derived from Tensor.

    >>> import framework as torch
    >>> class Mine(torch.Tensor):
    ...     pass
    >>> type(torch.ones(2).as_subclass(Mine) + 1).__name__
    'Mine'
    """
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise RuntimeError(f"as_subclass: expected a subclass of Tensor, but got {cls!r}")
    made = object.__new__(cls)
    if self._counter is None:
        self._counter = Version()
    for name in ("_data", "_device", "_rg", "_counter", "_base", "_id"):
        setattr(made, name, getattr(self, name))
    made._grad = None
    made._edge = edge_of(self) if self._rg else None
    for name in ("_chain", "_at", "_restricted"):
        if name in self.__dict__:
            made.__dict__[name] = self.__dict__[name]
    return made


def _make_subclass(cls: Any, data: Tensor, require_grad: bool = False) -> Any:
    """A leaf of a subclass that shares the memory of ``data``."""
    made = as_subclass(data.detach(), cls)
    return made.requires_grad_(require_grad) if require_grad else made


def subclass_made(cls: Any) -> None:
    """A class was derived from Tensor outside of this package."""
    if cls.__torch_function__ is not _disabled_torch_function_impl:
        _activate()


_OWN = frozenset(
    "__new__ __init__ __init_subclass__ __class__ __torch_function__ __getattr__ __setattr__ "
    "__delattr__ __getattribute__ __hash__ __dir__ __sizeof__ __subclasshook__ __module__ __doc__ "
    "__dict__ __weakref__ __slots__ __array_priority__ as_subclass _make_subclass".split()
)
_lock = threading.Lock()


def _activate() -> None:
    """Let all public functions, methods and properties look for arguments that override them."""
    if overridable.active():
        return
    with _lock:
        if overridable.active():
            return
        made: dict[Any, Any] = {}  # one for each function, whatever names it has
        own = _own()
        for name, value in own.items():
            if name in _OWN or (name.startswith("_") and not name.startswith("__")):
                continue
            if isinstance(value, types.FunctionType):
                known = own.get(value.__name__)  # ``x + y`` is reported as Tensor.add
                if known.__class__ is not types.FunctionType or name not in _BINARY:
                    known = value
                if known not in made:
                    made[known] = _method(known)
                method = made[known] if known is value else _method(value, made[known])
                if own.get(value.__name__) is not value and known is value:
                    method.__name__ = name
                if name in _BINARY:
                    method = _operator(method, name if known is value else "")
                setattr(Tensor, name, method)
            elif isinstance(value, property):
                setattr(Tensor, name, _property(value))
        get_default_nowrap_functions.cache_clear()  # it held the properties that were replaced
        overridable.activate(dispatch)
        sys.modules[Tensor.__module__].overriding = _of_numbers  # type: ignore[attr-defined]


def _of_numbers(function: Any, data: Any, options: dict[str, Any]) -> Any:
    """What becomes of ``torch.tensor(data)`` with those of the options that are not None."""
    given = {name: value for name, value in options.items() if value is not None}
    return dispatch(function, ((data,), given))


def _own() -> dict[str, Any]:
    """What Tensor has, with all its methods made."""
    for value in list(vars(Tensor).values()):
        if isinstance(value, Method):
            value.make()
    return dict(vars(Tensor))


def _method(call: Callable[..., Any], reported: Any = None) -> Callable[..., Any]:
    """A method of Tensor that lets its arguments override it, perhaps as another method."""

    @functools.wraps(call)
    def method(*args: Any, **kwargs: Any) -> Any:
        for a in args:
            if a.__class__ is not Tensor or _state.modes:
                found = dispatch(
                    reported or method.__dict__.get("reported", method), (args, kwargs)
                )
                return call(*args, **kwargs) if found is MISSING else found
        return call(*args, **kwargs)

    return method


_BINARY = frozenset(
    f"__{side}{name}__" for side in ("", "r", "i")
    for name in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split()
) | frozenset("__eq__ __ne__ __lt__ __le__ __gt__ __ge__".split())  # fmt: skip


def _operator(method: Any, name: str) -> Callable[..., Any]:
    """An operator lets Python ask the other operand if nobody has an answer.

    With a name of its own it is what is reported.
    """

    def operator(self: Any, other: Any) -> Any:
        try:
            return method(self, other)
        except _Unanswered:
            return NotImplemented

    operator.__name__, operator.__doc__ = name or method.__name__, method.__doc__
    if name:
        method.reported = operator
    return operator


def _property(prop: property) -> property:
    """A property of Tensor that lets subclasses override it, and modes see it."""

    def getter(self: Any) -> Any:
        if self.__class__ is not Tensor or _state.modes:
            relevant, asked = _wanted_by(self)
            if asked:
                return _ask(made.__get__, relevant, (self,), {}, (type(self),))
        return prop.fget(self)  # type: ignore[misc]

    def setter(self: Any, value: Any) -> None:
        if self.__class__ is not Tensor or _state.modes:
            relevant, asked = _wanted_by(self)
            if asked:
                _ask(made.__set__, relevant, (self, value), {}, (type(self),))
                return
        prop.fset(self, value)  # type: ignore[misc]

    made = property(getter, setter if prop.fset else None, prop.fdel, prop.__doc__)
    return made


def _wanted_by(tensor: Any) -> tuple[list[Any], bool]:
    """The tensor if its class wants to be asked about its attribute, and whether anybody does."""
    relevant = [tensor] if _overrider(tensor) else []
    return relevant, bool(relevant or (_state.modes_on and _state.modes))


# -- what there is to override ----------------------------------------------------------------


@functools.cache
def get_default_nowrap_functions() -> set[Any]:
    """Functions whose results stay what they are: attributes that are not computed.

    >>> import framework as torch
    >>> torch.Tensor.grad.__get__ in torch.overrides.get_default_nowrap_functions()
    True
    """
    found = set()
    for name in ("_base", "grad", "_grad", "is_leaf", "grad_fn", "requires_grad"):
        value = vars(Tensor).get(name)
        if isinstance(value, property):
            found.add(value.__get__)
    return found


def get_ignored_functions() -> set[Any]:
    """Public functions that cannot be overridden: they take no tensors.

    >>> import framework as torch
    >>> torch.tensor in torch.overrides.get_ignored_functions()
    True
    """
    import framework

    names = (
        "zeros ones empty full eye arange linspace rand randn randint randperm tensor as_tensor "
        "from_numpy is_tensor manual_seed seed set_default_dtype get_default_dtype"
    )
    return {getattr(framework, n) for n in names.split() if hasattr(framework, n)}


_NAMESPACES = (
    ("framework", "torch"), ("framework.nn.functional", "torch.nn.functional"),
    ("framework.nn.init", "torch.nn.init"),
    ("framework.linalg", "torch.linalg"), ("framework.fft", "torch.fft"),
    ("framework.special", "torch.special"),
)  # fmt: skip


def get_overridable_functions() -> dict[Any, list[Any]]:
    """Namespaces and the functions in them that can be overridden, Tensor's methods among them.

    >>> import framework as torch
    >>> torch.add in torch.overrides.get_overridable_functions()[torch]
    True
    """
    ignored = get_ignored_functions()
    result: dict[Any, list[Any]] = {}
    for name, _ in _NAMESPACES:
        module = sys.modules.get(name)
        if module is None:
            continue
        values = [getattr(module, n, None) for n in dir(module)]
        found = [f for f in values if hasattr(f, "_call") and f not in ignored]
        result[module] = found
    methods: list[Any] = []
    for name, value in _own().items():
        if name in _OWN or (name.startswith("_") and not name.startswith("__")):
            continue
        if isinstance(value, types.FunctionType):
            methods.append(value)
        elif isinstance(value, property):
            methods.append(value.__get__)
    result[Tensor] = methods
    return result


def get_testing_overrides() -> dict[Any, Callable[..., Any]]:
    """A lambda with the signature of each overridable function that returns -1.

    >>> import framework as torch
    >>> torch.overrides.get_testing_overrides()[torch.add](torch.ones(2), 1)
    -1
    """
    return {
        f: (lambda *args, **kwargs: -1) for fs in get_overridable_functions().values() for f in fs
    }


def resolve_name(f: Any) -> str | None:
    """The public name of an overridable function; None for another.

    It never raises.

    >>> import framework as torch
    >>> torch.overrides.resolve_name(torch.add), torch.overrides.resolve_name(torch.Tensor.add)
    ('torch.add', 'torch.Tensor.add')
    """
    name = getattr(f, "__name__", "")
    for module, public in reversed(_NAMESPACES):
        short = name.removeprefix(f"{public.rpartition('.')[2]}_")
        if getattr(sys.modules.get(module), short, None) is f:
            return f"{public}.{short}"
    if vars(Tensor).get(name) is f:
        return f"torch.Tensor.{name}"
    owner = getattr(f, "__self__", None)
    if isinstance(owner, property):
        for attribute, value in vars(Tensor).items():
            if value is owner:
                return f"torch.Tensor.{attribute}.{name}"
    return None


def is_tensor_method_or_property(func: Any) -> bool:
    """Whether it is a method of Tensor, or the getter or setter of one of its properties.

    It never raises.

    >>> import framework as torch
    >>> asked = torch.overrides.is_tensor_method_or_property
    >>> asked(torch.Tensor.add), asked(torch.Tensor.grad.__get__), asked(torch.add)
    (True, True, False)
    """
    return func in get_overridable_functions()[Tensor] or getattr(func, "__name__", "") == "__get__"


Tensor.__torch_function__ = classmethod(_torch_function)  # type: ignore[attr-defined]
Tensor.as_subclass = as_subclass  # type: ignore[attr-defined]
Tensor._make_subclass = staticmethod(_make_subclass)  # type: ignore[attr-defined]
for _kind in (Parameter, Buffer):
    setattr(_kind, "__torch_function__", _disabled_torch_function_impl)  # noqa: B010
