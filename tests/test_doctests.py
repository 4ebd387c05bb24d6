"""Every example in a docstring runs and gives what it says."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import app
import framework
import viewers
from framework.core.registry import FUNCTIONS

SKIP = {"app.__main__", "app.kernel.__main__"}  # these are programs


def modules() -> list[str]:
    found = []
    for package in (framework, viewers, app):
        found.append(package.__name__)
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if info.name not in SKIP and not info.name.startswith("framework.kernels.cuda"):
                found.append(info.name)
    return found


@pytest.mark.parametrize("name", modules())
def test_examples(name: str, request: pytest.FixtureRequest) -> None:
    if name.startswith(("framework.cuda", "framework.accelerator")):
        request.getfixturevalue("fake_cuda")
    framework.manual_seed(0)
    module = importlib.import_module(name)
    # The package's functions are examined where they are written; its names hide Python's (bool).
    finder = doctest.DocTestFinder(recurse=name != "framework")
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    # A class in an example is the user's: those of the package do not override functions.
    for test in finder.find(module, name, extraglobs={"__name__": "__main__"}):
        runner.run(test)
    assert not runner.failures


def made() -> list[tuple[str, str]]:
    """Docstrings with examples that nobody wrote: those of aliases and of in-place twins."""
    found = []
    for record in FUNCTIONS:
        written = inspect.cleandoc(record.written).partition(">>>")[2].strip()
        texts = {record.place: record.doc} if record.namespaces or record.method else {}
        if record.inplace:
            texts[f"Tensor.{record.inplace}"] = getattr(framework.Tensor, record.inplace).__doc__
        for place, text in texts.items():
            if text.partition(">>>")[2].strip() != written:
                found.append((place, text))
    return found


def test_examples_that_are_made_of_others() -> None:
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    texts = made()
    for place, text in texts:
        test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, place, None, 0)
        framework.manual_seed(0)
        runner.run(test)
        assert test.examples, place
    assert not runner.failures
    assert len(texts) > 150


def test_the_framework_s_core_has_examples() -> None:
    """A doctest run that finds nothing would pass too."""
    finder = doctest.DocTestFinder()
    count = sum(
        bool(test.examples)
        for name in modules()
        if name.startswith("framework")
        for test in finder.find(importlib.import_module(name))
    )
    assert count > 60
