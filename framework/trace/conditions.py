"""What a breakpoint can ask of a tensor, and the one line in which a breakpoint is written.

`CONDITIONS`, `SUBJECTS`, `PLACES` and `LIMITS` are the tables that the dialog, ``--break``, the
rules, the help and `docs/conditions.md` are made from.

    op exp inf                            an Inf in what exp returns, or sends back
    grad model.0.weight norm > 10         the gradient of a parameter
    update * absmax > 1 after 3           a parameter's change by the optimizer
    value in model.2 zeros > 90% every 5  what the ops of a module return
    train.py:12                           before a line
    op relu #2 where x.mean() > y_mean    an expression of the program's own names
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framework.trace import sink
from framework.trace.figures import FINITE, MEAN, NORM, RANGE, SPREAD, ZEROS, Figures, Sheet
from framework.trace.flags import on_device
from framework.trace.protocol import Breakpoint, Stop

if TYPE_CHECKING:
    from framework.trace.gate import Gate

__all__ = [
    "CELL",
    "CONDITIONS",
    "EXAMPLES",
    "LIMITS",
    "PLACES",
    "SUBJECTS",
    "Condition",
    "ConditionMet",
    "Term",
    "Where",
    "break_on",
    "format_line",
    "help_lines",
    "limits_text",
    "parse_condition",
    "parse_line",
    "short_forms",
]

EXAMPLES = (
    "grad model.0.weight norm > 10",
    "op /conv.*/ nan",
    "update * absmax > 1 after 3",
    "train.py:12",
)


# -- the table -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Condition:
    """A question about one tensor.

    Attributes:
        kind: "flag" (stands alone), "number" (is compared with one), "change" (asks what the tensor
            was the last time that the same place was passed) or "expression".
        needs: what of `Figures` it takes.
        value: of a sheet's tensor number i: a number that is compared, or how many are bad.
    """

    name: str
    kind: str
    needs: int
    value: Callable[[Sheet, int], float]
    help: str

    @property
    def form(self) -> str:
        """How it is written."""
        return {"number": f"{self.name} > X", "expression": f"{self.name} EXPR"}.get(
            self.kind, self.name
        )


def _figure(of: Callable[[Figures], float]) -> Callable[[Sheet, int], float]:
    return lambda sheet, i: of(sheet.of(i))


def _ratio(sheet: Sheet, i: int) -> float:
    if sheet.before is None:
        return float("nan")
    weight = sheet.weight.norm
    return sheet.of(i).norm / weight if weight else float("nan")


def _none(sheet: Sheet, i: int) -> float:
    return 0.0


CONDITIONS: dict[str, Condition] = {
    c.name: c
    for c in (
        Condition("nan", "flag", FINITE, _figure(lambda f: f.nan), "an element is not a number"),
        Condition("inf", "flag", FINITE, _figure(lambda f: f.inf), "an element is infinite"),
        Condition(
            "absmax", "number", RANGE, _figure(lambda f: f.absmax), "the largest absolute value"
        ),
        Condition("max", "number", RANGE, _figure(lambda f: f.high), "the greatest element"),
        Condition("min", "number", RANGE, _figure(lambda f: f.low), "the least element"),
        Condition("mean", "number", MEAN, _figure(lambda f: f.mean), "the mean"),
        Condition(
            "std", "number", SPREAD, _figure(lambda f: f.std), "the standard deviation (population)"
        ),
        Condition("norm", "number", NORM, _figure(lambda f: f.norm), "the 2-norm"),
        Condition(
            "zeros", "number", ZEROS, _figure(lambda f: f.zero_fraction),
            "the fraction of elements that are 0: zeros > 90%",
        ),
        Condition(
            "ratio", "number", NORM, _ratio,
            "of an update: its norm over that of what the parameter held before",
        ),
        Condition(
            "unchanged", "change", ZEROS, _none,
            "the same elements as the last time here; of an update: the parameter did not change",
        ),
        Condition("shape-change", "change", 0, _none, "another shape than the last time here"),
        Condition("dtype-change", "change", 0, _none, "another dtype than the last time here"),
        Condition(
            "where", "expression", 0, _none,
            "a Python expression; x is the tensor, other names are the program's; comes last",
        ),
    )
}  # fmt: skip

# What is looked at: (words, phase of a Breakpoint, help).
SUBJECTS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("value", "values"), "forward", "what an op returns; of a parameter: its value after a step"),
    (
        ("grad", "grads", "gradient", "gradients"), "backward",
        "what a backward node sends on; of a parameter: what is accumulated in its .grad",
    ),
    (("update", "updates"), "optimizer", "by how much the optimizer changes a parameter"),
)  # fmt: skip

# Where: (form, field, help). NAME and PATH are exact, or have * and ?, or are a /regex/.
PLACES: tuple[tuple[str, str, str], ...] = (
    ("op NAME", "op", "ops of this name, and their backward nodes"),
    ("in PATH", "module", "ops in this module, once in each of its calls (also: module PATH)"),
    ("FILE:LINE", "line", "ops at this line; without a condition, before the line runs"),
    ("cell N, line M", "line", "the same of a notebook's cell"),
    ("param NAME", "param", "a parameter; after value, grad or update its name or * will do"),
    ("#N", "occurrence", "the N-th time in each training step"),
)

# When it counts: (form, help).
LIMITS: tuple[tuple[str, str], ...] = (
    ("once", "stop once, then switch it off"),
    ("hit N", "from the N-th time on that it holds"),
    ("every N", "each N-th time that it holds"),
    ("after N", "once N training steps have ended"),
    ("before N", "up to training step N - 1"),
    ("step N", "in training step N only"),
    ("steps A..B", "from training step A to B"),
)

#: The file of a breakpoint on a line of a cell, before somebody has said which cell that is.
CELL = re.compile(r"cell (\d+)")

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


def short_forms() -> str:
    """All conditions in one line: ``nan, inf, absmax > X, ...``."""
    return ", ".join(c.form for c in CONDITIONS.values())


def help_lines() -> list[str]:
    """The tables as text: what ``tapebook run --help-break`` prints."""
    rows: list[tuple[str, str]] = []
    rows += [("[SUBJECT] [PLACE] [CONDITION [and CONDITION]] [LIMITS] [where EXPR]", "")]
    rows += [("", ""), ("subject", "")]
    rows += [(f"  {names[0]}", text) for names, _, text in SUBJECTS]
    rows += [("  (none)", "values and gradients")]
    rows += [("", ""), ("place: NAME and PATH are exact, or have * and ?, or are a /regex/", "")]
    rows += [(f"  {form}", text) for form, _, text in PLACES]
    rows += [("", ""), ("condition: > >= < <= == != are compared", "")]
    rows += [(f"  {c.form}", c.help) for c in CONDITIONS.values()]
    rows += [("", ""), ("limit", "")]
    rows += [(f"  {form}", text) for form, text in LIMITS]
    rows += [("", ""), ("examples", "")]
    rows += [(f"  {example}", "") for example in EXAMPLES]
    return [f"{left:<15} {right}".rstrip() for left, right in rows]


# -- conditions ready for use --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Term:
    """One condition with its comparison."""

    condition: Condition
    sign: str = ">"
    bound: float = 0.0

    def holds(self, sheet: Sheet, i: int) -> bool:
        """Of tensor ``i``; a change is the breakpoint's to judge."""
        return _COMPARE[self.sign](self.condition.value(sheet, i), self.bound)

    @property
    def quiet(self) -> tuple[float, float] | None:
        """It cannot hold where the squares' sum is below the first, and their mean the second.

        None if these say nothing about it. An empty tensor is another matter.
        """
        name, limit = self.condition.name, self.bound * self.bound
        if self.condition.kind == "flag" or (name in _AT_LEAST_0 and self._out_of_range):
            return math.inf, math.inf
        reaches = self.bound > 0 if self.sign in (">", ">=") else self.bound < 0
        if self.condition.kind != "number" or self.sign in ("==", "!=") or not reaches:
            return None
        if name in ("absmax", "norm", "max", "min"):
            return limit, math.inf
        return (math.inf, limit) if name in ("mean", "std") else None

    @property
    def _out_of_range(self) -> bool:
        if self.sign in ("<", "<="):
            return self.bound < 0
        return self.condition.name == "zeros" and self.sign in (">", ">=") and self.bound > 1

    def found(self, sheet: Sheet, i: int) -> str:
        """What made it hold: ``norm 12.3 > 10``."""
        kind, name = self.condition.kind, self.condition.name
        if kind == "number":
            return f"{name} {self.condition.value(sheet, i):.6g} {self.sign} {self.bound:g}"
        if kind == "flag":
            return f"{self.condition.value(sheet, i):.0f} {_SHOWN[name]} of {sheet.of(i).count}"
        return name

    def __str__(self) -> str:
        if self.condition.kind == "number":
            return f"{self.condition.name} {self.sign} {self.bound:.12g}"
        return self.condition.name


_SHOWN = {"nan": "NaN", "inf": "Inf"}
_AT_LEAST_0 = frozenset(("absmax", "norm", "std", "zeros"))


class Where:
    """A predicate: an expression of ``x`` and the program's names, or a function of a tensor."""

    def __init__(self, test: str | Callable[[Any], Any]) -> None:
        self.condition = CONDITIONS["where"]
        self.text = test if isinstance(test, str) else getattr(test, "__name__", "a function")
        self._test = test if callable(test) else None
        if isinstance(test, str):
            try:
                self._code = compile(test.strip(), "<condition>", "eval")
            except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
                reason = getattr(error, "msg", None) or str(error)
                raise ValueError(
                    f"where needs a Python expression such as x.max() > 3: {reason}"
                ) from None

    def holds(self, tensor: Any, names: dict[str, Any]) -> bool:
        """Whether it is true of a tensor."""
        with _aside():
            return bool(self._value(tensor, names))

    def answer(self, tensor: Any, names: dict[str, Any]) -> Any:
        """The same, or an array of one element of the device that the answer lies on."""
        with _aside():
            found = self._value(tensor, names)
            array: Any = getattr(found, "_data", None)
            if on_device(array) and array.size == 1:
                return array
            return bool(found)

    def _value(self, tensor: Any, names: dict[str, Any]) -> Any:
        if self._test is not None:
            return self._test(tensor)
        return eval(self._code, {**names, "x": tensor})

    def __str__(self) -> str:
        return f"where {self.text}"


@contextmanager
def _aside() -> Iterator[None]:
    """What is evaluated is not the model's: it makes no events and no graph, and may wait."""
    from framework.core.modes import modes
    from framework.kernels import waits

    recorder, sink.active = sink.active, None
    grad, modes.grad = modes.grad, False
    try:
        with waits.unsaid():
            yield
    finally:
        sink.active, modes.grad = recorder, grad


Terms = tuple["Term | Where", ...]


def parse_condition(text: str) -> Terms:
    """The terms of a condition, all of which must hold; none for an empty text.

    Raises ValueError with one line for the user.

    >>> from framework.trace.conditions import parse_condition
    >>> [str(term) for term in parse_condition("absmax>1e3 and zeros < 50%")]
    ['absmax > 1000', 'zeros < 0.5']
    """
    words, where = _words(text)
    terms: list[Term | Where] = []
    while words:
        if terms:
            if words[0] != "and":
                raise ValueError(f"got {words[0]!r} after {terms[-1]}, expected and, or the end")
            del words[0]
        terms.append(_term(words))
    if where is not None:
        terms.append(Where(where))
    return tuple(terms)


def _term(words: list[str]) -> Term:
    """Take one condition off the front of some words."""
    name = words.pop(0) if words else ""
    condition = CONDITIONS.get(name)
    if condition is None:
        raise ValueError(f"condition {name[:60]!r} is not one of: {short_forms()}")
    compared = bool(words) and words[0] in _COMPARE
    if condition.kind != "number":
        if compared:
            raise ValueError(f"condition {name!r} stands alone, without a comparison")
        return Term(condition)
    sign = words.pop(0) if compared else ""
    number = words.pop(0) if compared and words else ""
    try:
        if not compared:
            raise ValueError
        percent = number.endswith("%")
        return Term(condition, sign, float(number.removesuffix("%")) / (100 if percent else 1))
    except ValueError:
        got = f", got {number!r}" if number else ""
        raise ValueError(f"condition {name!r} needs a number: {name} > 1e3{got}") from None


_WORD = re.compile(
    r"""<cell\ [^>]*>:\d+          # a line of a cell, by its id
    | "[^"]*"                      # a name with blanks
    | /(?:\\.|[^/\\])+/(?=\s|$)    # a regular expression
    | [<>=!]=? | [^\s<>=!]+""",
    re.VERBOSE,
)
_WHERE = re.compile(r"(?:^|\s)where(?:\s|$)")


def _words(text: str) -> tuple[list[str], str | None]:
    """A line's words, and what comes after ``where``, which is Python."""
    found = _WHERE.search(text)
    head = text[: found.start()] if found else text
    where = text[found.end() :].strip() if found else None
    if where == "":
        raise ValueError("where needs a Python expression such as x.max() > 3, got nothing")
    return _WORD.findall(head), where


# -- the line ----------------------------------------------------------------------------------


def parse_line(text: str, ident: int = 0) -> Breakpoint:
    """A breakpoint from one line: ``[SUBJECT] [PLACE] [CONDITION] [LIMITS] [where EXPR]``.

    Without a subject a condition looks at values and gradients alike. Raises ValueError with one
    line that says what was got, what was expected, and an example.

    >>> from framework.trace.conditions import parse_line
    >>> point = parse_line("grad model.0.weight norm > 10 after 3")
    >>> point.param, point.phase, point.condition, point.first_step
    ('model.0.weight', 'backward', 'norm > 10', 4)
    """
    try:
        return _Line(text, ident).point
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}; for example: {_example(text)}") from None


def _example(text: str) -> str:
    """The example that is nearest to what was meant."""
    first = (text.split() or [""])[0]
    return next((e for e in EXAMPLES if e.split()[0] == first), EXAMPLES[0])


class _Line:
    """Reads one line, word by word."""

    def __init__(self, text: str, ident: int) -> None:
        self.words, where = _words(text)
        self.point = point = Breakpoint(ident)
        self.terms: list[Any] = []
        subject = self._subject()
        promised = ""
        while self.words:
            word = self.words[0]
            if word in ("if", "when", "and"):
                promised = self.words.pop(0)
                if promised == "and" and not self.terms:
                    raise ValueError("got and, expected a condition before it")
                continue
            if word in CONDITIONS:
                self.terms.append(_term(self.words))
                promised = ""
            elif promised:
                raise ValueError(f"got {word!r} after {promised}, expected {short_forms()}")
            elif not self._limit() and not self._place():
                self._unknown(word)
        if where is not None:
            self.terms.append(Where(where))
        elif promised:
            raise ValueError(f"the condition after {promised} is missing, expected {short_forms()}")
        point.condition = " and ".join(map(str, self.terms)).replace(" and where ", " where ", 1)
        if subject:
            point.phase = subject
        elif point.param:
            point.phase = "backward"
        elif point.condition:
            point.phase = "both"
        if not (point.op or point.module or point.line or point.param or point.condition):
            raise ValueError(f"got no place and no condition, expected {short_forms()}")

    def _subject(self) -> str:
        word = self.words[0] if self.words else ""
        for names, phase, _ in SUBJECTS:
            if word in names:
                del self.words[0]
                self._parameter(phase)
                return phase
        return ""

    def _parameter(self, phase: str) -> None:
        """After ``grad`` and its like, a word of no other meaning is a parameter's name."""
        word = self.words[0] if self.words else ""
        taken = {"if", "when", "where", "and", *_PLACE_WORDS, *_LIMIT_WORDS, *CONDITIONS}
        if word and word not in taken and not _is_place(word):
            self.point.param = _plain(self.words.pop(0))
        elif phase == "optimizer":
            self.point.param = "*"

    def _place(self) -> bool:
        word = self.words[0]
        point = self.point
        kind, colon, rest = word.partition(":")
        if colon and kind in _PLACE_WORDS:
            self.words[:1] = [kind, *([rest] if rest else [])]
            word = kind
        if self._cell_line(1 if word in ("at", "line") else 0):
            return True
        if word in _PLACE_WORDS:
            del self.words[0]
            if not self.words or self.words[0] in ("if", "when") or _is_condition(self.words):
                raise ValueError(f"got no name after {word}, expected {word} NAME")
            field, name = _PLACE_WORDS[word], _plain(self.words.pop(0))
            if field == "line":
                if not self._file_line(name):
                    raise ValueError(f"got {name!r} after {word}, expected FILE:LINE")
            else:
                setattr(point, field, name)
            return True
        if word.startswith("#") and word[1:].isdigit() and int(word[1:]):
            point.occurrence = int(self.words.pop(0)[1:])
            return True
        return self._file_with_blanks()

    def _cell_line(self, start: int) -> bool:
        """``cell 3, line 5``; who knows the notebook turns it into the cell's own name."""
        words = self.words[start:]
        if words[:1] != ["cell"] or not words[1:2] or not words[1].rstrip(",").isdigit():
            return False
        line = words[3] if words[2:3] == ["line"] and len(words) > 3 else ""
        if not line.isdigit() or not int(line):
            raise ValueError(f"got {' '.join(words[:4])!r}, expected cell N, line M")
        self.point.file, self.point.line = f"cell {int(words[1].rstrip(','))}", int(line)
        del self.words[: start + 4]
        return True

    def _file_with_blanks(self) -> bool:
        """``my file.py:12``: words up to the first that ends in a colon and a number."""
        for n, word in enumerate(self.words):
            if word in CONDITIONS or word in _LIMIT_WORDS or word in ("if", "when"):
                return False
            if self._file_line(" ".join(_plain(w) for w in self.words[: n + 1])):
                del self.words[: n + 1]
                return True
        return False

    def _file_line(self, text: str) -> bool:
        file, _, line = text.rpartition(":")
        if not file or not line.isdigit() or not int(line):
            return False
        self.point.file, self.point.line = file, int(line)
        return True

    def _limit(self) -> bool:
        word = self.words[0]
        point = self.point
        if word not in _LIMIT_WORDS:
            return False
        del self.words[0]
        if word == "once":
            point.once = True
        elif word == "steps":
            first, dots, last = (self.words.pop(0) if self.words else "").partition("..")
            if not (dots and first.isdigit() and last.isdigit() and 0 < int(first) <= int(last)):
                raise ValueError(f"got {first + dots + last!r} after steps, expected A..B")
            point.first_step, point.last_step = int(first), int(last)
        else:
            number = self._number(word)
            if word == "after":
                point.first_step = number + 1
            elif word == "before":
                if number < 2:
                    raise ValueError("got before 1, but steps count from 1")
                point.last_step = number - 1
            elif word == "step":
                point.first_step = point.last_step = number
            else:
                setattr(point, {"hit": "from_hit", "every": "every"}[word], number)
        return True

    def _number(self, word: str) -> int:
        text = self.words.pop(0) if self.words else ""
        if not text.isdigit() or not int(text):
            raise ValueError(f"got {text or 'nothing'!r} after {word}, expected a number from 1 on")
        return int(text)

    def _unknown(self, word: str) -> None:
        raise ValueError(
            f"got {word!r}, expected {short_forms()}, a place "
            f"({', '.join(form for form, _, _ in PLACES)}) or a limit "
            f"({', '.join(form for form, _ in LIMITS)})"
        )


_PLACE_WORDS = {
    "op": "op", "in": "module", "module": "module", "param": "param", "at": "line", "line": "line",
}  # fmt: skip
_LIMIT_WORDS = frozenset(form.split()[0] for form, _ in LIMITS)


def _is_condition(words: list[str]) -> bool:
    """Not a name: ``max`` and ``norm`` are ops as well, unless they are compared."""
    condition = CONDITIONS.get(words[0])
    if condition is None:
        return False
    return condition.kind != "number" or (len(words) > 1 and words[1] in _COMPARE)


def _is_place(word: str) -> bool:
    return (
        word.startswith(("#", *(f"{name}:" for name in _PLACE_WORDS)))
        or word == "cell"
        or re.search(r":\d+$", word) is not None
    )


def _plain(word: str) -> str:
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] == '"' else word


def format_line(point: Breakpoint) -> str:
    """A breakpoint as the line that `parse_line` reads.

    >>> from framework.trace.conditions import format_line, parse_line
    >>> format_line(parse_line("update *  absmax>1 steps 4..9 every 2"))
    'update * absmax > 1 steps 4..9 every 2'
    """
    parts = []
    subject = next((names[0] for names, phase, _ in SUBJECTS if phase == point.phase), "")
    default = "both" if point.condition else "forward"
    if point.param or point.phase != default:
        parts.append(subject)
    if point.param:
        parts.append(_quoted(point.param))
    for field, word in (("op", "op"), ("module", "in")):
        name = getattr(point, field)
        if name:
            parts += [word, _quoted(name)]
    if point.line and CELL.fullmatch(point.file):
        parts += ["at", f"{point.file}, line {point.line}"]
    elif point.line:
        parts += ["at", _quoted(f"{point.file}:{point.line}")]
    where = _WHERE.search(point.condition)
    condition = point.condition[: where.start()] if where else point.condition
    parts.append(condition.strip())
    parts.append(limits_text(point))
    if where:
        parts.append(point.condition[where.start() :].strip())
    return " ".join(part for part in parts if part)


def limits_text(point: Breakpoint) -> str:
    """When a breakpoint counts, as `parse_line` reads it; "" for always."""
    first, last = point.first_step, point.last_step
    parts = []
    if point.occurrence:
        parts.append(f"#{point.occurrence}")
    if first and last:
        parts.append(f"step {first}" if first == last else f"steps {first}..{last}")
    elif first > 1:
        parts.append(f"after {first - 1}")
    elif last:
        parts.append(f"before {last + 1}")
    if point.from_hit:
        parts.append(f"hit {point.from_hit}")
    if point.every:
        parts.append(f"every {point.every}")
    if point.once:
        parts.append("once")
    return " ".join(parts)


def _quoted(name: str) -> str:
    regular = name.startswith("/") and name.endswith("/")
    return f'"{name}"' if re.search(r"[\s<>=!]", name) and not regular else name


# -- the Python API ------------------------------------------------------------------------------


class ConditionMet(RuntimeError):
    """A condition of `break_on` holds; its text says which, where, and the figures."""

    _explained = True  # what it goes through need not say where it was

    def __init__(self, stop: Stop) -> None:
        super().__init__(f"{stop.message or stop.reason} at {stop.source.file}:{stop.source.line}")
        self.stop = stop


def _raise(stop: Stop) -> None:
    raise ConditionMet(stop)


def _point_of(condition: Any) -> tuple[Breakpoint, Callable[[Any], Any] | None]:
    """One of `break_on`'s conditions, and the function that is asked, if it has one."""
    line, test = (
        condition if isinstance(condition, tuple) and len(condition) == 2 else (condition, None)
    )
    if callable(line) and test is None:
        return Breakpoint(0, condition="where function"), line
    if not isinstance(line, (str, Breakpoint)) or not (test is None or callable(test)):
        raise TypeError(
            f"break_on: got {condition!r}, expected a line such as 'op exp inf', a Breakpoint, a "
            "function of a tensor, or (line, function)"
        )
    return (parse_line(line, 0) if isinstance(line, str) else line), test


@contextmanager
def break_on(*conditions: Any, do: Callable[[Stop], Any] = _raise) -> Iterator[Gate]:
    """Call ``do`` in the model's thread whenever one of the conditions holds, within a block.

    Args:
        conditions: lines as for ``--break``; a `Breakpoint`; a function of a tensor, asked of every
            value; or (line, function): the function is asked where the line says.
        do: given the `Stop`; by default it raises `ConditionMet`.

    Raises ValueError for a line that cannot be read, TypeError for what is none of these.

    >>> import framework as torch
    >>> from framework.trace import break_on
    >>> with break_on("op exp absmax > 100", do=lambda stop: print(stop.message)):
    ...     y = torch.ones(2).exp() + (torch.ones(2) * 10).exp()
    absmax 22026.5 > 100: exp, forward, step 1
    >>> with break_on(("op mul", lambda x: x.min() < 0)):
    ...     y = torch.ones(2) * -3
    Traceback (most recent call last):
    framework.trace.conditions.ConditionMet: where <lambda>: mul, forward, step 1 at <doctest framework.trace.conditions.break_on[3]>:2
    """  # noqa: E501
    from framework.trace.gate import Gate

    wanted = [_point_of(condition) for condition in conditions]  # before anything is traced
    before = sink.active
    recorder = before or sink.start(keep="none")
    gate: Gate = recorder.gate or Gate(recorder)
    taken = max((b.id for b in gate.breakpoints), default=0)
    points, predicates = [], {}
    for ident, (point, test) in enumerate(wanted, taken + 1):
        point.id = ident
        if test is not None:
            predicates[ident] = test
        points.append(point)
    own = {point.id for point in points}
    gate.actions.update(dict.fromkeys(own, do))
    gate.predicates.update(predicates)
    accepted = gate.set_breakpoints([*gate.breakpoints, *points])
    bad = [b.error for b in accepted if b.error and b.id in own]
    try:
        if bad:
            raise ValueError(bad[0])
        yield gate
        gate.settle()
    finally:
        gate.set_breakpoints([b for b in gate.breakpoints if b.id not in own])
        for ident in own:
            gate.actions.pop(ident, None)
            gate.predicates.pop(ident, None)
        sink.active = before
