"""Every public function and class has an example, and every example gives what it says.

`tests/test_doctests.py` runs the docstrings that it finds in the files. Functions that a table
makes stand in no file under their own name: here they are looked up where users find them.
"""

from __future__ import annotations

import doctest
import fnmatch
import importlib
import inspect
import multiprocessing
import pkgutil
import re
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import pytest

import framework

# Modules that no user calls functions of, and why; "x.*" are the modules below x. All others are
# looked at: a new one must have examples, or be entered here.
INNER = {
    "the machinery under the tensors": "core core.* autograd.levels paths plain_kinds processors "
    "quiet",
    "what `save` and `load` are made of": "map_location saved_memory torch_files",
    "computes on arrays, for the ops": "kernels kernels.*",
    "its functions stand in `framework`, `nn.functional`, `linalg` and so on": "ops ops.*",
    "`framework` has what is meant for users": (
        "atomic device dtypes layout legacy size storage tensor"
    ),
    "writes tensors as text; `set_printoptions` and its kin are in `framework`": "printing reprs",
    "`trace` has what is meant for users": "trace.*",
    "`onnx` has what is meant for users": "onnx.*",
    "makes arrays of tensors; `Array` is in `array_api`": "array_api.array",
    "finds CuPy; `cuda` has the questions": "cuda.devices",
    "what `probs` and `logits` of several distributions share": "distributions.probabilities",
    "the machinery of `vmap`": "func.batched func.custom func.looping func.rules",
    "types for annotations": "nn.common_types",
    "what `Module` is made of": "nn.modules.constants nn.modules.hooks nn.modules.state "
    "nn.modules.tree",
    "what optimizers share": "optim.borrowed optim.checks optim.optimizer optim.schedule_base "
    "optim.taped",
    "what the profiler reads from the trace": "profiler.events",
    "what `DataLoader` is made of": "utils.data.fetch utils.data.workers",
    "what `SummaryWriter` writes": "utils.tensorboard.graph utils.tensorboard.records "
    "utils.tensorboard.summary",
}
_INNER = " ".join(INNER.values()).split()


def modules() -> list[str]:
    """All public modules of `framework`, without its name; "" is itself."""
    found = [info.name for info in pkgutil.walk_packages(framework.__path__, "framework.")]
    return [name.partition(".")[2] for name in found if not re.search(r"\._", name)]


def is_inner(path: str) -> bool:
    return path in _INNER or any(fnmatch.fnmatch(path, entry) for entry in _INNER)


# A class stands for its methods. Two modules are made while others are imported.
NAMESPACES = ["", "Tensor", "nn.Module", "autograd.grad_mode", "nn.parallel"]
NAMESPACES += ["optim.Optimizer", "optim.lr_scheduler.LRScheduler", "amp.GradScaler"]
NAMESPACES += ["distributions.Distribution", "distributions.Transform"]
NAMESPACES += [path for path in modules() if not is_inner(path)]

# Names that need no example, and why.
_STORAGE = "one class for each dtype: `TypedStorage` has the example"
_PYTHON = "Python's own, whose documentation has it"
NEEDLESS = {
    **{
        f"{kind}Storage": _STORAGE
        for kind in """
            BFloat16 Bool Byte Char ComplexDouble ComplexFloat Double Float Half Int Long Short
        """.split()
    },
    **{f"multiprocessing.{name}": _PYTHON for name in multiprocessing.__all__},
    "jit.Final": _PYTHON,
    "types.FileLike": "a type for annotations",
}

# "Alias of `X`", "In-place version of `X`": at the start of a docstring.
_REFERS = re.compile(r"(?:Alias|In-place version) of `([\w.]+)`")
_ELSEWHERE = ("", "Tensor", "nn.functional", "linalg", "special")


def namespace(path: str) -> Any:
    if not path:
        return framework
    home, _, last = path.rpartition(".")
    if last[0].isupper():
        return getattr(namespace(home), last)
    return importlib.import_module(f"framework.{path}")


def public(path: str) -> Iterator[tuple[str, Any]]:
    """The functions and classes of a namespace, each with its name."""
    space = namespace(path)
    for name in getattr(space, "__all__", None) or dir(space):
        if not name.startswith("_"):
            found = getattr(space, name)
            if callable(found) and not inspect.ismodule(found):
                yield name, found


def dotted(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def doc(thing: Any) -> str:
    """The docstring that was written for it, not one that its class inherits."""
    return inspect.cleandoc(getattr(thing, "__doc__", None) or "")


def look_up(path: str, name: str) -> Any:
    """What a docstring in the namespace ``path`` means by a name; None for nothing."""
    plain = re.sub(r"^(framework|torch)\.", "", name)
    spaces = _ELSEWHERE if plain != name else (path, *_ELSEWHERE)
    for space in spaces:
        found = namespace(space)
        for part in plain.split("."):
            found = getattr(found, part, None)
        if found is not None:
            return found
    return None


def missing(path: str, name: str, thing: Any) -> str:
    """What is wrong with a docstring; "" if nothing is."""
    seen = []
    while True:
        text = doc(thing)
        if ">>>" in text:
            return ""
        match = _REFERS.match(text)
        if match is None:
            return f"{dotted(path, name)}: no example"
        thing = look_up(path, match[1])
        if thing is None or match[1] in seen:
            return f"{dotted(path, name)}: refers to `{match[1]}`, which leads to no example"
        seen.append(match[1])


@pytest.mark.parametrize("path", NAMESPACES)
def test_everything_public_has_an_example(path: str) -> None:
    found = [
        wrong
        for name, thing in public(path)
        if dotted(path, name) not in NEEDLESS and (wrong := missing(path, name, thing))
    ]
    assert not found, "\n".join(found)


def test_every_method_says_what_it_is() -> None:
    silent = []
    for kind in {t for path in NAMESPACES for _, t in public(path) if inspect.isclass(t)}:
        if not kind.__module__.startswith(("framework", "torch")):
            continue
        for name, member in vars(kind).items():
            call = inspect.unwrap(getattr(member, "__func__", member))
            ours = not name.startswith("_") and isinstance(call, (FunctionType, property))
            if ours and not inspect.getdoc(getattr(kind, name)):
                silent.append(f"{kind.__module__}.{kind.__qualname__}.{name}")
    assert not silent, "\n".join(sorted(silent))


@pytest.mark.parametrize("kind", [framework.Tensor, framework.dtype, framework.Generator])
def test_every_property_says_what_it_is(kind: type) -> None:
    found = {n: inspect.getattr_static(kind, n) for n in dir(kind) if not n.startswith("_")}
    silent = [n for n, p in found.items() if isinstance(p, property) and not p.__doc__]
    assert not silent


def test_inner_modules_are_there() -> None:
    there = modules()
    assert not [e for e in _INNER if not fnmatch.filter(there, e)]
    assert "array_api.linalg" in NAMESPACES and "ops.conv" not in NAMESPACES


def test_what_needs_no_example_is_there_and_has_none() -> None:
    for name in NEEDLESS:
        path, _, last = name.rpartition(".")
        assert missing(path, last, getattr(namespace(path), last)), name


_SHOWN = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
_ran: set[str] = set()  # docstrings: a function that stands in two places is run once


def known_in(home: str) -> dict[str, Any]:
    """The names that an example may use: those of the file, as usual, but as a program of its own.

    What `framework` itself has would hide Python's names (``bool``, ``float``); types with an older
    name, such as ``torch.sparse.LongTensor``, say that they come from PyTorch, which is not here.
    """
    inner = home.startswith("framework.")
    names = vars(importlib.import_module(home)) if inner else {}
    return {**names, "__name__": "__main__"}


@pytest.mark.parametrize("path", NAMESPACES)
def test_every_example_gives_what_it_says(path: str, request: pytest.FixtureRequest) -> None:
    if path.startswith(("cuda", "accelerator")):
        request.getfixturevalue("fake_cuda")
    parser = doctest.DocTestParser()
    report: list[str] = []
    for name, thing in public(path):
        text = doc(thing)
        if ">>>" not in text or text in _ran:
            continue
        _ran.add(text)
        home = getattr(thing, "__module__", None) or "framework"
        known = known_in(home)
        framework.manual_seed(0)
        title = f"{home}.{getattr(thing, '__qualname__', name)}"
        test = parser.get_doctest(text, known, title, None, 0)
        doctest.DocTestRunner(verbose=False, optionflags=_SHOWN).run(test, out=report.append)
    assert not report, "".join(report)


# -- the rules themselves --------------------------------------------------------------------


def sample(text: str) -> Any:
    def thing() -> None: ...

    thing.__doc__ = text
    return thing


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("Adds.\n\n>>> 1 + 1\n2", True),
        ("Adds.", False),
        ("", False),
        ("Alias of `add`.", True),
        ("Alias of `torch.add`: adds.", True),
        ("Alias of `nn.functional.cosine_similarity`.", True),
        ("In-place version of `div`: writes the result.", True),
        ("Alias of `nothing_of_this_name`.", False),
        ("Not an alias of `add`.", False),
    ],
)
def test_a_reference_must_lead_to_an_example(text: str, fine: bool) -> None:
    assert (missing("", "sample", sample(text)) == "") is fine


def test_a_circle_of_references_is_no_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framework, "one", sample("Alias of `other`."), raising=False)
    monkeypatch.setattr(framework, "other", sample("Alias of `one`."), raising=False)
    assert missing("", "one", framework.one)


def test_a_class_does_not_inherit_an_example() -> None:
    class Child(framework.nn.ReLU):
        pass

    assert missing("nn", "Child", Child) == "nn.Child: no example"
