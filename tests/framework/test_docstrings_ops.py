"""Docstrings of public functions and methods: shapes, dtypes, errors and an example, and all true.

The examples are run by `test_documented.py` and `tests/test_doctests.py`. What `core.docstrings`
says of dtypes, shapes and errors is measured anew here.
"""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import measured_types
import pytest
import test_documented

import framework as torch
from framework.core import docstrings, facts

# Those that `test_documented` looks at, of the classes only Tensor, and what is used as a module.
NAMESPACES = [
    path for path in test_documented.NAMESPACES
    if path == "Tensor" or not path.rpartition(".")[2][:1].isupper()
]  # fmt: skip
NAMESPACES += "backends.cuda backends.cudnn backends.mha backends.cpu".split()

# Functions that need not say all of it, and why; "x.*" are all that stand in x.
EXCEPT = {
    "Python's own, whose documentation has it": "multiprocessing.* jit.Final types.FileLike",
    "of the debugger, not of PyTorch: `docs/python.md` has them": "trace.*",
}
_EXCEPT = " ".join(EXCEPT.values()).split()

_ERROR = re.compile(r"\b[A-Z]\w*(Error|Exception)\b|[Nn]ever raises|[Rr]aises nothing")
_DTYPE = re.compile(
    r"\b[Dd]types?\b|\btypes?\b|\bfloat(16|32|64)?\b|\bfloating\b|\bu?int(8|16|32|64)\b|\bintegers?\b"
    r"|\bbools?\b|\bcomplex|\bpromote|\bbytes\b"
)
_SHAPE = re.compile(docstrings._SHAPED.pattern + r"|[Ee]lementwise|[Ee]ach element|Shapes:|number")


def public(path: str) -> Iterator[tuple[str, Any]]:
    """The functions of a namespace, with their names."""
    home = f"framework.{path}".strip(".")
    space = torch.Tensor if path == "Tensor" else importlib.import_module(home)
    if path == "foreach":
        yield from space.FOREACH.items()
        return
    for name in getattr(space, "__all__", None) or dir(space):
        found = inspect.getattr_static(space, name, None) if path == "Tensor" else None
        if name.startswith("_") or isinstance(found, property):
            continue
        found = getattr(space, name)
        if callable(found) and not inspect.isclass(found) and not inspect.ismodule(found):
            yield f"{path}.{name}".lstrip("."), found


def of_tensors(place: str) -> bool:
    """Whether an example of the function gives it a tensor, or gets one of it."""
    return any(
        any(True for _ in measured_types.tensors([call.args, call.kwargs, call.result]))
        for call in measured_types.calls(place, [place])
    )


def table(module: Any) -> dict[str, dict[str, list[str]]]:
    parts = ("DTYPES", "SHAPES", "ERRORS")
    return {p: {key: names.split() for key, names in getattr(module, p).items()} for p in parts}


def test_what_docstrings_say_of_dtypes_shapes_and_errors_is_what_really_runs() -> None:
    """If this fails after a change: ``python tests/framework/measured_types.py`` measures anew."""
    found = measured_types.table()
    for part, entries in table(facts).items():
        now = {key: sorted(names) for key, names in found[part].items()}
        wrong = sorted(
            {n for k in {*now, *entries} for n in {*now.get(k, ())} ^ {*entries.get(k, ())}}
        )
        assert not wrong, f"{part} of {wrong}: measure anew, tests/framework/measured_types.py"


@pytest.mark.parametrize("path", NAMESPACES)
def test_docstrings_name_shapes_dtypes_and_errors(
    path: str, request: pytest.FixtureRequest
) -> None:
    if path.startswith(("cuda", "accelerator")):
        request.getfixturevalue("fake_cuda")
    every = [(place, f) for place, f in public(path) if not is_excepted(place)]
    found = [(place, lacks) for place, f in every if (lacks := lacking(place, f))]
    assert not found, "\n".join(f"{place} lacks {', '.join(lacks)}" for place, lacks in found)


# What docstrings say by themselves: "NotImplementedError for bools and complex numbers".
_CLAIM = re.compile(r"(\w+Error) for ((?:(?!\w+Error|\. |;|unless|without|with ).)*)")
_NAMED = {
    "bool": "bools?", "integer": "integers", "half": "b?float16",
    "complex": "complex (?:numbers|input|tensors|types)",
}  # fmt: skip
# Claims of some of these only, and of which.
SOME = {
    "of integers if they are to be rounded to ``decimals``": "round special.round",
    "of integers by zero, and of two bools": "floor_divide remainder fmod array_api.floor_divide",
    "of other types than integers": "gcd lcm",
    "of conditions": "array_api.where",
}
_SOME = " ".join(SOME.values()).split()


def test_errors_that_docstrings_name_for_dtypes_are_those_that_come() -> None:
    outcomes = {
        place: dict(zip(measured_types.FAMILIES, code.split()))
        for code, names in facts.DTYPES.items() for place in names.split()
        if not code.startswith("dtype")
    }  # fmt: skip
    checked, wrong = 0, set()
    for place, of in outcomes.items():
        said = " ".join(measured_types.documented(place).partition("Dtypes:")[0].split())
        for error, about in _CLAIM.findall(said):
            for family, words in _NAMED.items():
                if re.search(rf"\b{words}\b", about):
                    checked += 1
                    found = {docstrings._ERRORS.get(o[1:]) for o in of[family].split("|")}
                    if found != {error}:
                        wrong.add(place)
    assert checked > 200 and sorted(wrong) == sorted(_SOME)


def test_programs_import_nothing_for_docstrings() -> None:
    """They are completed when a method is first called: that must not load Python's debugger."""
    program = (
        "import sys, framework as torch; x = torch.ones(2); x.add_(x).exp_().negative(); "
        "print([name for name in ('doctest', 'pdb', 'unittest') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def is_excepted(place: str) -> bool:
    return any(fnmatch.fnmatch(place, entry) for entry in _EXCEPT)


def test_there_are_many_and_exceptions_are_needed() -> None:
    every = {place: f for path in NAMESPACES for place, f in public(path)}
    excepted = [place for place in every if is_excepted(place)]
    assert len(every) > 2400 and len(excepted) < 60
    for entry in _EXCEPT:
        found = fnmatch.filter(excepted, entry)
        assert any(lacking(place, every[place]) for place in found), f"{entry} lacks nothing"


def lacking(place: str, function: Any) -> list[str]:
    text = inspect.cleandoc(function.__doc__ or "")
    said, example, _ = text.partition(">>>")
    found = [] if example else ["an example"]
    tensors = bool(example) and of_tensors(place)
    if tensors and not _SHAPE.search(said):
        found.append("shapes")
    if tensors and not _DTYPE.search(said):
        found.append("dtypes")
    if not _ERROR.search(said) and takes_something(function):
        found.append("errors")
    return found


def takes_something(function: Any) -> bool:
    """A question without arguments can raise nothing."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return True
    return bool([n for n in names if n != "self"])
