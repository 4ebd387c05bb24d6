"""What functions really do with each dtype, found by the calls of their own examples.

``python tests/framework/measured_types.py`` writes `framework/core/facts.py`, the table from which
docstrings get their sentence on dtypes; `test_docstrings_ops.py` says when it is out of date.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import inspect
import io
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import framework as torch
import framework.nn.attention.flex_attention  # an example's import would take what is watched
from framework.core.registry import FUNCTIONS

__all__ = ["FAMILIES", "Call", "Facts", "calls", "places", "table"]

FAMILIES = {
    "half": (torch.float16, torch.bfloat16),
    "float": (torch.float32, torch.float64),
    "complex": (torch.complex64, torch.complex128),
    "integer": (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    "bool": (torch.bool,),
}
# Arguments that are positions, masks, counts: they keep their type whatever the others are.
FIXED = frozenset(
    """
    index indices mask condition lengths offsets input_lengths target_lengths crow_indices
    col_indices ccol_indices row_indices repeats permutation pivots LU_pivots batch_sizes sorter
    """.split()
)
# Functions whose result's type, or what they take, another argument of the example decides.
OTHERWISE = frozenset(
    """
    Tensor.to Tensor.view Tensor.set_ Tensor.type Tensor.type_as from_file frombuffer
    array_api.astype
    nn.functional.one_hot dropout_ alpha_dropout_ feature_dropout_ feature_alpha_dropout_
    """.split()
)
# Sizes that one tensor, and several, are tried with; the last is what the several broadcast to.
ALONE = ((), (0,), (2, 3), (2, 1, 4))
TOGETHER = ((2, 1), (3,), (2, 3))


class Call:
    """A call that an example makes: the function and its arguments, tensors being copies."""

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> None:
        self.function = function
        self.args, self.kwargs = copied(args), copied(kwargs)
        self.result: Any = None


def copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        with torch.no_grad():
            return value.detach().clone()
    if type(value) in (list, tuple):
        return type(value)(copied(v) for v in value)
    if type(value) is dict:
        return {k: copied(v) for k, v in value.items()}
    return value


def homes(place: str) -> list[tuple[Any, str]]:
    """Where a function or method stands: pairs of a module or class and a name."""
    home, _, name = place.rpartition(".")
    if home == "Tensor":
        return [(torch.Tensor, name)]
    return [(importlib.import_module(f"framework.{home}" if home else "framework"), name)]


def places() -> Iterator[tuple[str, list[str]]]:
    """Each function once: what it is called, and all of its places."""
    for record in FUNCTIONS:
        spaces = [home for home in record.namespaces if home != "ops.aten"]  # has no docstrings
        every = [f"{home}.{record.name}".lstrip(".") for home in spaces]
        if record.method:
            every.append(f"Tensor.{record.method}")
        if every:
            yield record.place, every
        if record.inplace:
            yield f"Tensor.{record.inplace}", [f"Tensor.{record.inplace}"]
    for path in ("array_api", "array_api.fft", "array_api.linalg"):
        space = importlib.import_module(f"framework.{path}")
        for name in space.__all__:
            found = getattr(space, name)
            if callable(found) and not isinstance(found, (type, torch.dtype)):
                yield f"{path}.{name}", [f"{path}.{name}"]


def documented(place: str) -> str:
    home, name = homes(place)[0]
    return inspect.cleandoc(getattr(home, name).__doc__ or "")


@contextlib.contextmanager
def watched(every: list[str], seen: list[Call]) -> Iterator[None]:
    """Note the calls that an example makes of what stands at these places."""
    undo = []
    for home, name in [pair for place in every for pair in homes(place)]:
        real = getattr(home, name)

        def watch(*args: Any, _real: Any = real, **kwargs: Any) -> Any:
            if not sys._getframe(1).f_code.co_filename.startswith("<doctest"):
                return _real(*args, **kwargs)
            seen.append(call := Call(_real, args, kwargs))
            call.result = _real(*args, **kwargs)
            return call.result

        undo.append((home, name, vars(home).get(name)))
        setattr(home, name, watch)
    try:
        yield
    finally:
        for home, name, before in reversed(undo):
            if before is None:
                delattr(home, name)
            else:
                setattr(home, name, before)


def calls(place: str, every: list[str]) -> list[Call]:
    """The calls of a function in the examples of its docstring."""
    text = documented(place)
    seen: list[Call] = []
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, place, None, 0)
    torch.manual_seed(0)
    quiet = contextlib.redirect_stdout(io.StringIO())
    with warnings.catch_warnings(), watched(every, seen), quiet:
        warnings.simplefilter("ignore")
        doctest.DocTestRunner(verbose=False).run(test, out=lambda _: None)
    return seen


def tensors(value: Any) -> Iterator[Any]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from tensors(v)
    elif isinstance(value, dict):
        for v in value.values():
            yield from tensors(v)


def parameters(call: Call) -> list[tuple[str, Any]]:
    try:
        bound = inspect.signature(call.function).bind(*call.args, **call.kwargs)
    except (TypeError, ValueError):
        return [("", a) for a in call.args] + list(call.kwargs.items())
    return list(bound.arguments.items())


def free(call: Call) -> list[Any]:
    """The tensors that are no positions, masks or counts."""
    return [t for name, v in parameters(call) if name not in FIXED for t in tensors(v)]


def moving(call: Call) -> list[Any]:
    """The tensors whose type is that of the call: all, or those of the type that computes."""
    found = free(call)
    if not isinstance(run(call, {id(t): cast(t, torch.float32) for t in found}), Exception):
        return found
    floats = [t for t in found if t.is_floating_point() or t.is_complex()]
    return [t for t in found if t.dtype is (floats or found)[0].dtype]


def run(call: Call, changed: dict[int, Any], **options: Any) -> Any:
    """What a call gives with some of its arguments changed; or the error, which is returned."""
    args, kwargs = replaced(call.args, changed), replaced(call.kwargs, changed)
    torch.manual_seed(0)
    with warnings.catch_warnings(), torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            return call.function(*args, **{**kwargs, **options})
        except Exception as error:
            return error


def replaced(value: Any, changed: dict[int, Any]) -> Any:
    if id(value) in changed:
        return copied(changed[id(value)])
    if isinstance(value, torch.Tensor):
        return copied(value)
    if type(value) in (list, tuple):
        return type(value)([replaced(v, changed) for v in value])
    if type(value) is dict:
        return {k: replaced(v, changed) for k, v in value.items()}
    return value


def cast(tensor: Any, kind: Any) -> Any:
    if tensor.is_complex() and not kind.is_complex:
        tensor = tensor.real
    return tensor.to(kind)


# -- dtypes ----------------------------------------------------------------------------------

ERRORS = {
    IndexError: "I", NotImplementedError: "N", RuntimeError: "R", TypeError: "T", ValueError: "V",
}  # fmt: skip
LETTERS = {
    torch.bool: "b", torch.int64: "l", torch.int32: "i", torch.float32: "f", torch.float64: "d",
    torch.complex64: "c", torch.complex128: "z", torch.uint8: "u", torch.float16: "h",
    torch.bfloat16: "g", torch.int8: "t", torch.int16: "s", torch.uint64: "U",
}  # fmt: skip
_REAL = {torch.complex64: torch.float32, torch.complex128: torch.float64}


def letter(found: Any, kind: Any) -> str:
    if found is kind:
        return "="
    if kind.is_complex and found is _REAL[kind]:
        return "r"
    if found.is_complex and _REAL[found] is kind:
        return "x"
    return LETTERS[found]


def decode(outcome: str, kind: Any) -> Any:
    """The type that a letter stands for; None for several, or for what depends on the default."""
    if outcome == "=":
        return kind
    if outcome == "r":
        return _REAL[kind]
    if outcome == "x":
        return {v: k for k, v in _REAL.items()}[kind]
    return {v: k for k, v in LETTERS.items()}.get(outcome)


def named(result: Any, kind: Any) -> str:
    if isinstance(result, Exception):
        return f"!{ERRORS[type(result)]}"  # others are no errors for users
    return "".join(dict.fromkeys(letter(t.dtype, kind) for t in tensors(result))) or "-"


def dtypes_of(call: Call, **options: Any) -> dict[Any, str]:
    """What comes of a call with tensors of each type."""
    chosen = [] if options else moving(call)
    found = {}
    for kind in (k for kinds in FAMILIES.values() for k in kinds):
        given = dict.fromkeys(options, kind)
        changed = {id(t): cast(t, kind) for t in chosen}
        found[kind] = named(run(call, changed, **given), kind)
        if found[kind] == "f" and "float" not in str(kind):
            whole = bool if kind is torch.bool else int  # perhaps only a number made it so
            plain = {id(v): whole(v) for _, v in parameters(call) if type(v) is float}
            again = named(run(call, {**changed, **plain}, **given), kind)
            found[kind] = again if again == "=" else found[kind]
        if not found[kind].startswith("!") and set(found[kind]) & set("fc"):
            torch.set_default_dtype(torch.float64)
            wide = named(run(call, changed, **given), kind)
            torch.set_default_dtype(torch.float32)
            if wide == found[kind].replace("f", "d").replace("c", "z"):
                found[kind] = found[kind].replace("f", "F").replace("c", "C")
    return found


def code(found: dict[Any, str]) -> str:
    """One word for each family: one outcome, or one for each of its types with "|" between."""
    words = []
    decoded = {decode(o, k) for k, o in found.items() if o[0] != "!"}
    if len(decoded) == 1 and next(iter(decoded)) in LETTERS:  # always the same type
        fixed = LETTERS[next(iter(decoded))]
        found = {k: o if o[0] == "!" else fixed for k, o in found.items()}
    for kinds in FAMILIES.values():
        each = [found[k] for k in kinds]
        others = {o for o, k in zip(each, kinds) if o != "="}
        if len(others) == 1 and each.count("=") == 1:
            kind = kinds[each.index("=")]
            if next(iter(others)) in (LETTERS[kind], "=l" if kind is torch.int64 else ""):
                each = list(others)  # "the same" is what the others give
        words.append(each[0] if len(set(each)) == 1 else "|".join(each))
    outcomes = {w for w in words[:-1] if w != "="}
    if words[-1] == "=" and outcomes == {"b"} and "=" not in words[:-1]:
        words[-1] = "b"
    return " ".join(words)


# -- shapes and errors -----------------------------------------------------------------------


def shape_of(call: Call) -> str:
    """ "each": the result has the shape of the one tensor; "broadcast": as several broadcast to."""
    found = free(call)
    if len(found) != sum(1 for _ in tensors([call.args, call.kwargs])) or not found:
        return ""
    if len(found) == 1:
        tried = [run(call, {id(found[0]): filled(found[0], s)}) for s in ALONE]
        wanted = ALONE
    else:
        sizes = TOGETHER[: len(found) - 1] + TOGETHER[-1:] if len(found) <= 3 else ()
        sizes = TOGETHER[:2] if len(found) == 2 else sizes
        if not sizes:
            return ""
        tried = [run(call, {id(t): filled(t, s) for t, s in zip(found, sizes)})]
        wanted = TOGETHER[-1:]
    fits = all(isinstance(r, torch.Tensor) and r.shape == s for r, s in zip(tried, wanted))
    return ("each" if len(found) == 1 else "broadcast") if fits else ""


def filled(like: Any, shape: tuple[int, ...]) -> Any:
    """A tensor of this shape with the first element of another."""
    value = like.flatten()[0] if like.numel() else torch.zeros((), dtype=like.dtype)
    return value.expand(shape).clone()


def errors_of(place: str, call: Call) -> dict[str, str]:
    """Causes ("dim", "shapes", "types", "number", "kind") and the errors that they bring.

    Where tensors of two float types are taken together, "types" has the word "promote".
    """
    found = free(call)
    sole = len(found) == sum(1 for _ in tensors([call.args, call.kwargs]))
    names = inspect.signature(call.function).parameters
    given = dict(parameters(call))
    tries: dict[str, Any] = {}
    if "dim" in names and type(given.get("dim", 0)) is int:
        tries["dim"] = with_dim(call, 99)
    if len(found) > 1:
        wrong = tuple(n + 5 for n in found[1].shape) or (5,)
        tries["shapes"] = run(call, {id(found[1]): filled(found[1], wrong)})
        floats = [t for t in found if t.dtype is torch.float32]
        if len(floats) > 1:
            tries["types"] = run(call, {id(floats[1]): floats[1].double()})
    if len(found) == 1 and found[0].ndim and sole:
        tries["number"] = run(call, {id(found[0]): filled(found[0], ())})
    if found and not place.startswith("Tensor."):
        tries["kind"] = run(call, {id(found[0]): "text"})
    raised = {k: type(e).__name__ for k, e in tries.items() if isinstance(e, Exception)}
    if "types" in tries and "types" not in raised and tensors_are(tries["types"], torch.float64):
        raised["types"] = "promote"
    return {k: e for k, e in raised.items() if e not in ("AttributeError", "AssertionError")}


def tensors_are(result: Any, kind: Any) -> bool:
    found = list(tensors(result))
    return bool(found) and all(t.dtype is kind for t in found)


def with_dim(call: Call, dim: int) -> Any:
    bound = inspect.signature(call.function).bind(*call.args, **call.kwargs)
    bound.arguments["dim"] = dim
    try:
        return call.function(*copied(bound.args), **copied(bound.kwargs))
    except Exception as error:
        return error


class Facts:
    """What was found of a function: a code for dtypes, a word for shapes, errors by cause."""

    def __init__(self, place: str, every: list[str]) -> None:
        self.dtypes = self.shapes = ""
        self.errors: dict[str, str] = {}
        made = calls(place, every)
        call = next((c for c in made if free(c)), None)
        if place in OTHERWISE:
            return
        if call is not None and all(t.layout is torch.strided for t in free(call)):
            self.dtypes = code(dtypes_of(call))
            self.shapes = shape_of(call)
            self.errors = errors_of(place, call)
        elif made and "dtype" in inspect.signature(made[0].function).parameters:
            self.dtypes = "dtype " + code(dtypes_of(made[0], dtype=None))
        if "!" in self.dtypes or set(self.errors.values()) - {"promote", "TypeError"}:
            self.errors.pop("kind", None)  # there is something better to say


def table() -> dict[str, dict[str, list[str]]]:
    """All facts: places by code, by shape, and by cause and error."""
    found: dict[str, dict[str, list[str]]] = {"DTYPES": {}, "SHAPES": {}, "ERRORS": {}}
    for place, every in places():
        facts = Facts(place, every)
        for part, key in (("DTYPES", facts.dtypes), ("SHAPES", facts.shapes)):
            if key:
                found[part].setdefault(key, []).append(place)
        for cause, error in facts.errors.items():
            found["ERRORS"].setdefault(f"{cause} {error}", []).append(place)
    return found


_HEAD = '''"""What functions take and give, as measured: `core.docstrings` makes sentences of it.

Written by ``python tests/framework/measured_types.py``; a test compares it with what really runs.
"""

from __future__ import annotations

__all__ = ["DTYPES", "ERRORS", "SHAPES"]
'''


def write() -> None:
    """Write `framework/core/facts.py` anew."""
    lines = [_HEAD]
    for part, entries in table().items():
        lines.append(f"{part} = {{")
        for key in sorted(entries):
            names = textwrap.fill(
                " ".join(sorted(entries[key])), 96, break_long_words=False, break_on_hyphens=False
            )
            lines.append(f'    "{key}": """\n{names}\n""",')
        lines.append("}\n")
    path = Path(torch.__file__).parent / "core" / "facts.py"
    path.write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    write()
