"""The docstring of every public class has an example and names shapes, dtypes and errors.

So has that of every function beside these classes.

That the examples run is up to `test_doctests.py`; that dtypes and errors are true, for modules, to
`nn/test_module_dtypes.py` and the tables of mistakes. Other functions: `test_docstrings_ops.py`.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

# What says each of the four, wherever in the docstring.
FACETS = {
    "example": re.compile(r">>> "),
    "shape": re.compile(r"\bshapes?\b|\bsizes?\b|\(\)|\(\*|\([A-Z]\w*'?,|\(\w+,\)", re.IGNORECASE),
    "dtype": re.compile(
        r"\bdtypes?\b|\b(?:float|int|uint|bfloat|complex)\d+\b|\bfloat types?\b", re.IGNORECASE
    ),
    "error": re.compile(r"\b[A-Z]\w*(?:Error|Warning)\b|\bStopIteration\b"),
}

ALL = " ".join(FACETS)
# What the classes of a package say.
PACKAGES = {
    **dict.fromkeys(
        "nn nn.attention nn.utils.parametrize nn.utils.prune nn.utils.rnn".split(), ALL
    ),
    **dict.fromkeys("optim optim.swa_utils amp utils.data".split(), ALL),
    **dict.fromkeys("distributions distributions.constraints".split(), ALL),
    **dict.fromkeys("nn.attention.bias nn.attention.flex_attention amp.cpu".split(), ALL),
    **dict.fromkeys("nn.modules.lazy nn.parallel nn.utils.spectral_norm".split(), ALL),
    **dict.fromkeys("nn.utils.weight_norm nn.parameter".split(), ALL),
    **dict.fromkeys("distributions.constraint_registry distributions.transforms".split(), ALL),
    **dict.fromkeys(
        "distributions.relaxed_bernoulli distributions.relaxed_categorical".split(), ALL
    ),
    "optim.lr_scheduler": "example error",  # rates are numbers: `LRScheduler` says which
}

# Classes that need not say something, and why.
EXCEPTIONS = {
    "FlexKernelOptions": ("dtype error", "a dict of anything"),
    "SWALR": ("dtype", "a schedule: rates are numbers"),
    "WorkerInfo": ("dtype", "numbers of a process, no tensors"),
    **dict.fromkeys(
        """
            BatchSampler DistributedSampler RandomSampler SequentialSampler SubsetRandomSampler
        """.split(),
        ("shape dtype", "indices are ints"),
    ),
}


FUNCTIONS = """
    nn.utils nn.utils.rnn nn.utils.parametrize nn.utils.parametrizations nn.utils.prune
    nn.utils.stateless nn.attention nn.attention.bias nn.attention.flex_attention optim.swa_utils
    distributions utils.data amp
""".split()
# Functions that say less, and why.
QUESTIONS = {
    "create_nested_block_mask": "always refused",
    "get_worker_info": "takes nothing",
    "is_autocast_available": "answers False for what it does not know",
    "is_parametrized": "answers False for what it does not know",
    "is_pruned": "answers False for what it does not know",
    "noop_mask": "takes anything",
    "type_before_parametrizations": "takes anything",
}


def functions(package: str) -> Iterator[tuple[str, Any]]:
    module = importlib.import_module(f"framework.{package}")
    for name in getattr(module, "__all__", None) or dir(module):
        found = getattr(module, name)
        if inspect.isfunction(found) and not name.startswith("_"):
            yield name, found


@pytest.mark.parametrize("package", FUNCTIONS)
def test_docstrings_of_functions_are_whole(package: str) -> None:
    found = {
        name: lacking(function)
        for name, function in functions(package)
        if function.__module__.startswith("framework") and name not in QUESTIONS
    }
    wrong = {name: words for name, words in found.items() if words}
    assert not wrong, "\n".join(f"{name}: {', '.join(words)}" for name, words in wrong.items())


def classes(package: str) -> Iterator[type]:
    module = importlib.import_module(f"framework.{package}")
    for name in getattr(module, "__all__", None) or dir(module):
        found = getattr(module, name)
        ours = inspect.isclass(found) and found.__module__.startswith("framework")
        if ours and not name.startswith("_"):
            yield found


def text_of(thing: Any) -> str:
    """Its own docstring; for another name of something with that of the other."""
    text = vars(thing).get("__doc__") if isinstance(thing, type) else thing.__doc__
    other = re.match(r"Alias of `(\w+)`", text or "")
    return f"{text} {text_of(getattr(inspect.getmodule(thing), other[1]))}" if other else text or ""


def lacking(kind: Any, facets: str = ALL) -> list[str]:
    text = " ".join(text_of(kind).split())
    return [facet for facet in facets.split() if not FACETS[facet].search(text)]


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_are_whole(package: str) -> None:
    found = {kind.__name__: lacking(kind, PACKAGES[package]) for kind in classes(package)}
    assert found
    allowed = {name: words.split() for name, (words, _) in EXCEPTIONS.items() if name in found}
    wrong = {name: words for name, words in found.items() if words != allowed.get(name, [])}
    assert not wrong, "\n".join(f"{name}: {', '.join(words)}" for name, words in wrong.items())


def test_the_exceptions_are_there() -> None:
    known = {kind.__name__ for package in PACKAGES for kind in classes(package)}
    assert set(EXCEPTIONS) <= known
    functions_known = {name for package in FUNCTIONS for name, _ in functions(package)}
    assert set(QUESTIONS) <= functions_known


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("Adds (N, C), float32. ValueError for none.\n\n>>> 1\n1", []),
        ("Adds.", ["example", "shape", "dtype", "error"]),
        ("Adds tensors of any shape and float types.", ["example", "error"]),
    ],
)
def test_what_is_lacking(text: str, without: list[str]) -> None:
    assert lacking(type("Sample", (), {"__doc__": text})) == without
