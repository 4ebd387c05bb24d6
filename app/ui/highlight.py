"""Python source and simple Markdown as styled lines."""

from __future__ import annotations

import re
from functools import lru_cache

from app.sanitize import clean
from viewers.text import Line

__all__ = ["markdown", "python", "visible"]

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def visible(text: str) -> str:
    """``text`` with every control character as one U+FFFD, so that columns stay where they are."""
    return _CONTROL.sub("\ufffd", text)


@lru_cache(maxsize=512)
def python(source: str) -> list[Line]:
    """One line of spans per source line; characters are those of the source, one for one."""
    from pygments.lexers.python import PythonLexer

    lines: list[Line] = [[]]
    lexer = PythonLexer(stripnl=False, ensurenl=False)
    for _, kind, value in lexer.get_tokens_unprocessed(visible(source)):
        token = _token(str(kind))
        first, *rest = value.split("\n")
        if first:
            lines[-1].append((first, token))
        for part in rest:
            lines.append([(part, token)] if part else [])
    return lines


@lru_cache(maxsize=128)
def _token(kind: str) -> str:
    """A pygments token type's style token."""
    for prefix, token in _TOKENS:
        if kind.startswith(prefix):
            return token
    return ""


_TOKENS = (
    ("Token.Comment", "comment"),
    ("Token.Keyword.Constant", "number"),
    ("Token.Keyword", "keyword"),
    ("Token.Operator.Word", "keyword"),
    ("Token.Literal.String", "string"),
    ("Token.Literal.Number", "number"),
    ("Token.Name.Function", "accent"),
    ("Token.Name.Class", "module"),
    ("Token.Name.Decorator", "module"),
    ("Token.Name.Builtin", "name"),
    ("Token.Error", "error"),
)

_INLINE = re.compile(r"\*\*(.+?)\*\*|`([^`]+)`|(?<!\w)[*_]([^*_]+)[*_](?!\w)|\[([^\]]+)\]\([^)]*\)")


_ITEM = re.compile(r"(\s*)([-*+]|\d+[.)])\s+")


@lru_cache(maxsize=256)
def markdown(source: str) -> list[Line]:
    """Markdown as it reads best in a narrow pane: a paragraph, heading or list item is one line.

    A line of code stays one, fenced or indented; the mark of an item is its line's first span.
    """
    lines: list[Line] = []
    mark: Line = []
    paragraph: list[str] = []
    inside = 0  # columns that a list item's text is indented by

    def end_paragraph() -> None:
        if paragraph:
            lines.append([*mark, *_inline(" ".join(paragraph), "")])
            paragraph.clear()
        mark.clear()

    fenced = False
    for text in clean(source).expandtabs(4).split("\n"):
        stripped = text.strip()
        indent = len(text) - len(text.lstrip())
        if stripped.startswith("```"):
            end_paragraph()
            fenced = not fenced
        elif fenced:
            lines.append([("  " + text, "string")])
        elif not stripped:
            end_paragraph()
            lines.append([])
        elif not paragraph and indent >= inside + 4:
            lines.append([("  " + text[inside + 4 :], "string")])
        elif heading := re.match(r"(#{1,6})\s+(.*)", stripped):
            end_paragraph()
            lines.append(_inline(heading[2], "heading"))
        elif item := _ITEM.match(text):
            end_paragraph()
            inside = item.end()
            sign = "•" if item[2] in "-*+" else item[2]
            mark.append((f"{item[1]}{sign} ", "accent"))
            paragraph.append(text[inside:].strip())
        elif stripped.startswith(">"):
            end_paragraph()
            lines.append([("▏ ", "dim"), *_inline(stripped[1:].strip(), "dim")])
        elif stripped.startswith("|"):
            end_paragraph()
            lines.append(_inline(text, ""))
        else:
            if not paragraph:
                inside = min(inside, indent)
            paragraph.append(stripped)
    end_paragraph()
    while lines and not lines[-1]:
        lines.pop()
    return lines or [[]]


def _inline(text: str, base: str) -> Line:
    spans: Line = []
    end = 0
    for match in _INLINE.finditer(text):
        if match.start() > end:
            spans.append((text[end : match.start()], base))
        strong, code, soft, link = match.groups()
        if strong:
            spans.append((strong, "bold" if base != "heading" else base))
        elif code:
            spans.append((code, "string"))
        elif soft:
            spans.append((soft, f"{base} italic".strip()))
        else:
            spans.append((link, "link"))
        end = match.end()
    if end < len(text):
        spans.append((text[end:], base))
    return spans
