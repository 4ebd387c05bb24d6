"""The functions of the public namespaces: each calls its own, and lets ``__torch_function__`` in.

While no class with a ``__torch_function__`` has been seen, such a function pays nothing for it: it
has the signature of the function that it stands for, so that nothing is packed and unpacked. A
class derived from Tensor makes itself known when it is defined (`framework.overrides`). Of another
class the first call of a function fails, since nothing can be done with its instances: that is when
it is noticed, and the call goes to it. From then on functions take their arguments as they are
written, ask who wants the call, and only then bind them.

Arguments of a wrong kind are found here, too (`framework.core.kinds`): flags and numbers before the
call, by a comparison each, the others when it has failed.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from framework.core.kinds import MISSING, better, quick, wrong

__all__ = ["GENERATED", "MISSING", "activate", "active", "overridable"]

# Where tracebacks say that generated functions are: no such file, so that they show no line of
# another one, but in this package, as what looks for the user's line asks.
GENERATED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "<generated>")

# Globals of the generated functions. ``overriding`` is None until there is something to look for;
# then it is `overrides.dispatch`.
_space: dict[str, Any] = {"overriding": None, "MISSING": MISSING}
_makers: dict[tuple[Any, ...], Any] = {}
_publics: list[Any] = []

_VARARGS, _VARKEYWORDS = 4, 8

# Compiled once for each shape of signature; the parameters get their names afterwards.
_TEMPLATE = """
def make(_call, _plain, _values, _names):
    {defaults}
    def itself({signature}):
        try:
            if True{usual}:
                return _call({forward})
            _keywords = dict(zip(_names, ({keywords})))
            _error = wrong(itself, ({values}{star}), _keywords, 1, True)
            if _error is None:
                return _plain({plain})
        except Exception as error:
            _keywords = dict(zip(_names, ({keywords})))
            if overriding is None:
                _found = late(itself, given(({values}), _keywords, _values, {rest}), error)
                if _found is not MISSING:
                    return _found
            _error = better(error, itself, ({values}{star}), _keywords)
            if _error is None:
                raise
        raise _error from None
    return itself
"""

# The same for a method, which `overrides` wraps when it is time.
_METHOD = """
def make(_call, _plain, _values, _names):
    {defaults}
    def function({signature}):
        try:
            if True{usual}:
                return _call({forward})
            _keywords = dict(zip(_names, ({keywords})))
            _error = wrong(function, ({values}{star}), _keywords, 0, True)
            if _error is None:
                return _call({plain})
        except Exception as error:
            _error = better(error, function, ({values}{star}), dict(zip(_names, ({keywords}))), 0)
            if _error is None:
                raise
        raise _error from None
    return function
"""


# The same function with its arguments as they are written; it has the same closure.
_AS_WRITTEN = """
def make({free}):
    def function(*args, **kwargs):
        {free}
        found = overriding({function}, (args, kwargs))
        return {function}._bound(*args, **kwargs) if found is MISSING else found
    return function
"""


def activate(dispatch: Any) -> None:
    """From now on look for arguments that override functions."""
    _space["overriding"] = dispatch
    for function in _publics:
        _open(function)


def _open(function: Any) -> None:
    """Let a function ask before it binds its arguments; it stays the same object."""
    function.__signature__ = inspect.signature(function)
    code, closure = function.__code__, function.__closure__
    bound = FunctionType(code, _space, function.__name__, function.__defaults__, closure)
    bound.__kwdefaults__ = function.__kwdefaults__
    bound.__annotations__ = function.__annotations__
    function._bound = bound
    function.__code__ = _as_written(code.co_freevars)
    function.__defaults__ = function.__kwdefaults__ = None


@functools.cache
def _as_written(free: tuple[str, ...]) -> CodeType:
    scope: dict[str, Any] = {}
    text = _AS_WRITTEN.format(free=", ".join(free), function="itself")
    exec(compile(text, GENERATED, "exec"), _space, scope)
    made: Any = scope["make"](*free)
    return made.__code__


def active() -> bool:
    return _space["overriding"] is not None


def _late(function: Any, given: tuple[Any, Any], error: Exception) -> Any:
    """A call has failed: perhaps an argument wants to answer it."""
    args, kwargs = given
    for a in (*args, *kwargs.values()):
        for x in a if isinstance(a, (list, tuple)) else (a,):
            if hasattr(type(x), "__torch_function__"):
                from framework import overrides

                if overrides._overrider(x):  # a plain tensor does not
                    return overrides.noticed(function, args, kwargs)
    return MISSING


def _given(
    values: tuple[Any, ...], keywords: dict[str, Any], defaults: Any, rest: Any
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments as the caller gave them: without those that are the defaults."""
    names, by_position, by_keyword, _ = defaults
    more, options = rest
    kwargs = {k: v for k, v in keywords.items() if v is not by_keyword.get(k, MISSING)}
    kwargs.update(options)
    if more:
        return (*values, *more), kwargs
    count = len(values)
    first = count - len(by_position)
    end = count
    while end > first and values[end - 1] is by_position[end - 1 - first]:
        end -= 1
    for i in range(first, end):
        if values[i] is by_position[i - first]:  # one is left out in between: name the others
            changed = [k for k in range(i, end) if values[k] is not by_position[k - first]]
            kwargs.update({names[k]: values[k] for k in changed})
            return values[:i], kwargs
    return values[:end], kwargs


_space.update(late=_late, given=_given, wrong=wrong, better=better)


def overridable(
    call: Callable[..., Any], plain: Callable[..., Any] | None = None,
    renamed: dict[str, str] | None = None, *, method: bool = False, python: bool = False,
    spaces: tuple[str, ...] = (), fast: Callable[..., Any] | None = None,
    whole: str | None = None,
) -> Callable[..., Any]:  # fmt: skip
    """The public form of ``call``; with ``plain`` it takes ``out=``, which that one understands.

    That of a ``method`` only explains arguments of a wrong kind: `overrides` does the rest.

    Args:
        python: PyTorch has written it in Python (see `kinds.early`).
        spaces: where it is published.
        renamed: other names for some of the parameters that can come by position.
        fast: what ``call`` does where nothing comes by a further name (see `dims.aliased`).
        whole: nothing comes one by one: what does with ``call`` is this parameter, a sequence, or
            is not taken at all ("").
    """
    inner: Any = call
    while hasattr(inner, "__wrapped__"):
        inner = inner.__wrapped__
    code = inner.__code__
    count = code.co_argcount
    names = code.co_varnames
    positional = [(renamed or {}).get(name, name) for name in names[:count]]
    only = list(names[count : count + code.co_kwonlyargcount])
    at = count + code.co_kwonlyargcount
    varargs = names[at] if code.co_flags & _VARARGS else ""
    varkeys = names[at + bool(varargs)] if code.co_flags & _VARKEYWORDS else ""
    by_position = inner.__defaults__ or ()
    by_keyword = dict(inner.__kwdefaults__ or {})
    tests = quick(inner, python, spaces, whole)
    if whole is not None:
        varargs = ""
        if whole in only:
            only.remove(whole)
            del by_keyword[whole]
            positional.append(whole)
    with_out = plain is not None and "out" not in positional + only
    if with_out:
        by_keyword["out"] = None
    keywords = [*only, "out"] if with_out else only
    if fast is not None:
        late = [False] * (len(positional) - len(by_position)) + [v is MISSING for v in by_position]
        tests = tuple([
            "{0} is not MISSING" if may_miss else test
            for may_miss, test in zip(late, tests or ("",) * len(late))
        ])  # fmt: skip
    shape = (
        code.co_posonlyargcount, len(positional), len(by_position),
        tuple([n in by_keyword for n in keywords]), bool(varargs), bool(varkeys), method,
        tests,
    )  # fmt: skip
    maker = _makers.get(shape)
    if maker is None:
        scope: dict[str, Any] = {}
        exec(compile(_text(*shape), GENERATED, "exec"), _space, scope)
        maker = _makers[shape] = scope["make"]
    defaults = (tuple(positional), by_position, by_keyword)
    only_given = tuple([by_keyword.get(n) for n in keywords])
    made = maker(fast or call, plain or call, (*defaults, only_given), tuple(keywords))
    names_now = [*positional, *keywords, *[v for v in (varargs, varkeys) if v]]
    rest = made.__code__.co_varnames[len(names_now) :]
    made.__code__ = made.__code__.replace(co_varnames=(*names_now, *rest))
    if keywords:
        made.__kwdefaults__ = {n: by_keyword[n] for n in keywords if n in by_keyword}
    for name in ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__"):
        setattr(made, name, getattr(call, name))
    made.__dict__.update({k: v for k, v in call.__dict__.items() if k != "__wrapped__"})
    made._call, made._python, made._spaces, made._whole = call, python, spaces, whole
    if not method:
        _publics.append(made)
        if active():
            _open(made)
    return made


def _text(
    posonly: int, positional: int, defaults: int, keywords: tuple[bool, ...], varargs: bool,
    varkeys: bool, method: bool, tests: tuple[str, ...],
) -> str:  # fmt: skip
    """The source of a function with this shape of signature: parameters ``p0``, ``k0``, ..."""
    first = positional - defaults
    names: list[str] = []
    lines = []
    for i in range(positional):
        if i < first:
            names.append(f"p{i}")
        else:
            lines.append(f"_p{i} = _values[1][{i - first}]")
            names.append(f"p{i}=_p{i}")
        if posonly and i == posonly - 1:
            names.append("/")
    if varargs:
        names.append("*rest")
    elif keywords:
        names.append("*")
    for i, has_default in enumerate(keywords):
        if has_default:
            lines.append(f"_k{i} = _values[3][{i}]")
        names.append(f"k{i}=_k{i}" if has_default else f"k{i}")
    # Keywords are passed on only where one is given: they are what makes a call slow.
    usual = "".join(f" and {test.format(f'p{i}')}" for i, test in enumerate(tests) if test)
    usual += "".join(f" and k{i} is _k{i}" for i in range(len(keywords)))
    if not all(keywords):
        usual = " and False"
    if varkeys:
        names.append("**more")
    forward = [f"p{i}" for i in range(positional)] + (["*rest"] if varargs else [])
    more = ["**more"] if varkeys else []
    return (_METHOD if method else _TEMPLATE).format(
        defaults="\n    ".join(lines) or "pass",
        signature=", ".join(names),
        usual=usual,
        forward=", ".join([*forward, *more]),
        plain=", ".join([*forward, "**_keywords", *more]),
        values="".join(f"p{i}, " for i in range(positional)),
        star="*rest, " if varargs else "",
        keywords="".join(f"k{i}, " for i in range(len(keywords))),
        rest=f"({'rest' if varargs else '()'}, {'more' if varkeys else '{}'})",
    )
