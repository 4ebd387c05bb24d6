"""What docstrings of functions and methods get when they are first asked for.

"Alias of `neg`" and "In-place version of `add`" get the example of the function that they name,
turned into one of their own. All get sentences on dtypes, and on shapes and errors that nobody has
written of, from what was measured (`core.facts`).
"""

from __future__ import annotations

import functools
import inspect
import re
from typing import Any

__all__ = ["completed"]

_REFERS = re.compile(r"(Alias|In-place version) of `([\w.]+)`")
_COPIES = re.compile(r"`(\w+)`, copied")
_IMPORT = ">>> import framework as torch"

# Examples of twins whose function's own shows something that a tensor cannot become in place: a
# result of another type or shape. By the function: the tensor, the rest of the line, what it gives.
_TWINS = {
    "addmm": ("torch.ones(2, 2)", "(torch.ones(2, 3), torch.ones(3, 2), beta=10)",
              "tensor([[13., 13.],\n        [13., 13.]])"),
    "baddbmm": ("torch.ones(1, 2, 2)", "(torch.ones(1, 2, 3), torch.ones(1, 3, 2))",
                "tensor([[[4., 4.],\n         [4., 4.]]])"),
    "eq": ("torch.tensor([1, 2, 3])", "(torch.tensor([1, 0, 3]))", "tensor([1, 0, 1])"),
    "ne": ("torch.tensor([1, 2, 3])", "(torch.tensor([1, 0, 3]))", "tensor([0, 1, 0])"),
    "lt": ("torch.tensor([1, 2, 3])", "(2)", "tensor([1, 0, 0])"),
    "le": ("torch.tensor([1, 2, 3])", "(2)", "tensor([1, 1, 0])"),
    "gt": ("torch.tensor([1, 2, 3])", "(2)", "tensor([0, 0, 1])"),
    "ge": ("torch.tensor([1, 2, 3])", "(2)", "tensor([0, 1, 1])"),
    "logical_and": ("torch.tensor([1, 2, 0])", "(torch.tensor([1, 0, 1]))", "tensor([1, 0, 0])"),
    "logical_or": ("torch.tensor([1, 2, 0])", "(torch.tensor([1, 0, 0]))", "tensor([1, 1, 0])"),
    "logical_xor": ("torch.tensor([1, 2, 0])", "(torch.tensor([1, 0, 1]))", "tensor([0, 1, 1])"),
    "logical_not": ("torch.tensor([0.0, 1.5])", "()", "tensor([1., 0.])"),
    "float_power": ("torch.tensor([4.0, 9.0], dtype=torch.float64)", "(-0.5)",
                    "tensor([0.5000, 0.3333], dtype=torch.float64)"),
    "mul": ("torch.tensor([1.0, 2.0, 3.0])", "(torch.tensor([0.5, 2.0, -1.0]))",
            "tensor([ 0.5000,  4.0000, -3.0000])"),
    "scatter_reduce": ("torch.zeros(2)", '(0, torch.tensor([0, 1, 0]), torch.arange(3.0), "amax")',
                       "tensor([2., 1.])"),
    "squeeze": ("torch.zeros(1, 3)", "(0).shape", "torch.Size([3])"),
    "unsqueeze": ("torch.zeros(2, 3)", "(0).shape", "torch.Size([1, 2, 3])"),
    "transpose": ("torch.zeros(2, 3)", "(0, 1).shape", "torch.Size([3, 2])"),
}  # fmt: skip


def completed(place: str, text: str) -> str:
    """The docstring of what users find at ``place``: "add", "Tensor.add_", "linalg.inv"."""
    text = inspect.cleandoc(text)
    if ">>>" not in text and (match := _REFERS.match(text)):
        origin = _origin(place, match[2])
        if origin:
            text = _derived(place, text, match[1] == "Alias", *origin)
    said, mark, example = text.strip().partition(">>>")
    if match := _COPIES.match(text):  # what its function says but for the first sentence
        viewing = _written(match[1]) or _written(f"Tensor.{match[1]}")
        said += viewing.partition(">>>")[0].partition("\n\n")[2]
    parts = (said.strip(), _facts(place, said), f"{mark}{example}")
    return "\n\n".join([part for part in parts if part])


# -- examples of aliases and of twins ------------------------------------------------------------


@functools.cache
def _records() -> dict[str, Any]:
    """The functions by all of their places."""
    from framework.core.registry import FUNCTIONS

    found: dict[str, Any] = {}
    for record in FUNCTIONS:
        for home in record.namespaces:
            found[f"{home}.{record.name}".lstrip(".")] = record
        if record.method:
            found.setdefault(f"Tensor.{record.method}", record)
    return found


def _written(place: str) -> str:
    """A function's docstring as it is written."""
    return inspect.cleandoc(_records()[place].written) if place in _records() else ""


def _origin(place: str, name: str) -> tuple[str, str] | None:
    """The place and the docstring with an example that a reference leads to."""
    seen = {place}
    while True:
        name = re.sub(r"^(framework|torch)\.", "", name)
        homes = (place.rpartition(".")[0], "", "Tensor", "nn.functional", "linalg", "special")
        tried = [f"{home}.{name}".lstrip(".") for home in homes]
        place = next((p for p in tried if p in _records() and p not in seen), "")
        if not place:
            return None
        seen.add(place)
        text = _written(place)
        match = _REFERS.match(text)
        if ">>>" in text or match is None:
            return place, text
        name = match[2]


def _derived(place: str, text: str, alias: bool, origin: str, whole: str) -> str:
    """``text`` with what the original's docstring says, too (of an alias), and an example."""
    said, _, example = whole.strip().partition(">>>")
    if alias:
        _, _, more = said.partition("\n\n")
        lines = _renamed(f">>>{example}", origin, place)
    else:
        more, lines = "", _in_place(f">>>{example}", origin, place)
    return "\n\n".join([part for part in (text.strip(), more.strip(), lines) if part]) + "\n"


def _renamed(example: str, origin: str, place: str) -> str:
    """The example with the function called by its other name."""
    name, short = re.escape(origin.rpartition(".")[2]), place.rpartition(".")[2]
    there = re.escape(origin)
    if not place.startswith("Tensor."):
        example = re.sub(rf"\btorch\.{there}\(", f"torch.{place}(", example)
    return re.sub(rf"(?<!torch)(?<!linalg)\.{name}\(", f".{short}(", example)


def _in_place(example: str, origin: str, place: str) -> str:
    """The example up to the function's first result that is shown, computed in place."""
    name = origin.rpartition(".")[2]
    if name in _TWINS:
        start, rest, shown = _TWINS[name]
        return f"{_IMPORT}\n>>> x = {start}\n>>> x.{place.removeprefix('Tensor.')}{rest}\n{shown}"
    lines = [_IMPORT]
    for source, want in _examples(example):
        found = _call(source, name) if want else None
        if found is not None:
            call, start, rest = found
            if not start.isidentifier():
                lines.append(f">>> x = {start}")
                start = "x"
            written = f"{start}.{place.removeprefix('Tensor.')}({rest})"
            if not place.startswith("Tensor."):
                written = f"torch.{place}({start}{', ' if rest else ''}{rest})"
            return "\n".join([*lines, source.replace(call, written, 1), want])
        if source != _IMPORT:
            lines += [source, *([want] if want else [])]
    return ""


# Python's own parsers (`ast`, `doctest`) would be 20 ms of the first call in place of a program.


def _examples(text: str) -> list[tuple[str, str]]:
    """The lines that an example enters, with their prompts, and what they show."""
    found: list[list[list[str]]] = []
    for line in text.strip().split("\n"):
        if line.startswith(">>>"):
            found.append([[line], []])
        else:
            found[-1][not line.startswith("...") or bool(found[-1][1])].append(line)
    return [("\n".join(source), "\n".join(want).strip("\n")) for source, want in found]


def _call(source: str, name: str) -> tuple[str, str, str] | None:
    """The text of a call, of what the function is applied to, and of its other arguments."""
    at = source.find(f".{name}(")
    if at < 0:
        return None
    begin = at
    while source[begin - 1].isalnum() or source[begin - 1] in "_.)]":
        begin = _opening(source, begin) if source[begin - 1] in ")]" else begin - 1
    given = _parts(source, at + len(name) + 2)
    end = given.pop()
    owner = source[begin:at]
    if re.fullmatch(r"torch(\.(nn\.functional|linalg|special|fft))?|F", owner):
        owner, *given = given
    return source[begin:end], owner, ", ".join(given)


def _opening(source: str, end: int) -> int:
    """Where the bracket opens that closes just before ``end``."""
    depth = 0
    while True:
        end -= 1
        depth += (source[end] in ")]}") - (source[end] in "([{")
        if not depth:
            return end


def _parts(source: str, at: int) -> list[Any]:
    """The arguments that begin at a place, as they are written, and where the call ends."""
    found, begin, depth, quoted = [], at, 0, ""
    while True:
        c = source[at]
        if quoted:
            quoted = "" if c == quoted else quoted
        elif c in "\"'":
            quoted = c
        elif c in "([{":
            depth += 1
        elif (c == "," and not depth) or (c in ")]}" and not depth):
            found.append(source[begin:at].strip())
            begin = at + 1
            if c != ",":
                return [*[part for part in found if part], begin]
        elif c in ")]}":
            depth -= 1
        at += 1


# -- what was measured ---------------------------------------------------------------------------

_FAMILIES = {
    "floating": (("float16", "bfloat16"), ("float32", "float64")),
    "complex": (("complex64", "complex128"),),
    "integers": (("uint8", "int8", "int16", "int32", "int64"),),
    "bool": (("bool",),),
}
_WORDS = {
    "=": "the same", "b": "bool", "l": "int64", "i": "int32", "f": "float32", "d": "float64",
    "c": "complex64", "z": "complex128", "u": "uint8", "h": "float16", "g": "bfloat16",
    "t": "int8", "s": "int16", "r": "the type of their parts", "x": "the complex type of that size",
    "U": "uint64", "F": "the default float type", "C": "the default complex type",
}  # fmt: skip
_ERRORS = {
    "I": "IndexError", "N": "NotImplementedError", "R": "RuntimeError", "T": "TypeError",
    "V": "ValueError",
}  # fmt: skip
_CAUSES = {
    "dim": "a ``dim`` that is out of range",
    "shapes": "shapes that do not fit",
    "types": "tensors of different types",
    "number": "a tensor without dimensions",
    "kind": "what is no tensor",
}
_SHAPES = {
    "each": "Shapes: any; the result has the same.",
    "broadcast": "Shapes: any that broadcast; the result has that shape.",
}
_SHAPED = re.compile(
    r"[Ss]hape|broadcast|dimension|lengths?\b|\bsizes?\b|matri|vector|\bdim\b|0-d|`\(|\[\*|scalar"
    r"|\([A-Z], |\(\.\.\."
)


@functools.cache
def _table(part: str) -> dict[str, list[str]]:
    """What is known of the places, in one part of `core.facts`."""
    from framework.core import facts

    found: dict[str, list[str]] = {}
    for key, names in getattr(facts, part).items():
        for name in names.split():
            found.setdefault(name, []).append(key)
    return found


def _facts(place: str, said: str) -> str:
    """Sentences on the shapes, dtypes and errors of a function, but for what it says itself."""
    import textwrap

    lines = []
    for shape in _table("SHAPES").get(place, ()):
        if not _SHAPED.search(said):
            lines.append(_SHAPES[shape])
    errors = [entry.split() for entry in _table("ERRORS").get(place, ())]
    for found in _table("DTYPES").get(place, ()):
        sentence, named = _on_dtypes(found), ["types", "promote"] in errors
        lines.append(f"{sentence}; several promote." if named else f"{sentence}.")
    known = said + " ".join(lines)
    causes: dict[str, list[str]] = {}
    for cause, error in errors:
        if error != "promote" and error not in known:
            causes.setdefault(error, []).append(_CAUSES[cause])
    if causes:
        lines.append(", ".join(f"{e} for {' and '.join(c)}" for e, c in causes.items()) + ".")
    return "\n".join(textwrap.wrap(" ".join(lines), 96, break_on_hyphens=False))


def _on_dtypes(code: str) -> str:
    """The sentence for a code such as "= = !RuntimeError F F": see tests/framework."""
    given = code.startswith("dtype ")
    outcomes: dict[str, set[str]] = {}
    words = iter(code.removeprefix("dtype ").split())
    for parts in _FAMILIES.values():
        for kinds in parts:
            word = next(words)
            for kind, outcome in zip(kinds, word.split("|") if "|" in word else [word] * 5):
                outcomes.setdefault(outcome, set()).add(kind)
    results = {o: k for o, k in outcomes.items() if o[0] != "!"}
    errors = {_ERRORS[o[1:]]: k for o, k in outcomes.items() if o[0] == "!"}
    plain = given or set(results) == {"-"}
    said = [_kinds(k) + ("" if plain else f" -> {_results(o)}") for o, k in results.items()]
    rest = len(errors) == 1 and sum(map(len, errors.values())) > 1
    said += [f"{'others' if rest else _kinds(k)}: {e}" for e, k in errors.items()]
    return f"Dtypes{' (as ``dtype``)' if given else ''}: {'; '.join(said)}"


def _results(outcome: str) -> str:
    return " and ".join([_WORDS[letter] for letter in outcome])


def _kinds(kinds: set[str]) -> str:
    """The names of types: "floating, complex and int64"."""
    if len(kinds) == 12:
        return "any"
    names: list[str] = []
    for family, parts in _FAMILIES.items():
        every = [kind for part in parts for kind in part]
        held = [kind for kind in every if kind in kinds]
        names += [family] if held == every else held
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
