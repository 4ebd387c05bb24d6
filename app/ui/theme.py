"""The two themes, and what each style token of a viewer looks like in them.

Viewers return spans of ``(text, token)``; this is the only place that knows colours. No token
differs from another that matters by colour alone: a mark, a word or a text attribute goes with it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from rich.style import Style
from textual.theme import Theme

__all__ = ["DARK", "LIGHT", "LINE", "style_of"]

_DARK = {
    "background": "#12151c",
    "surface": "#171b24",
    "panel": "#202632",
    "edge": "#343d4d",
    "text": "#d5dae4",
    "dim": "#8690a3",
    "faint": "#5b6577",
    "accent": "#6cb6ff",
    "forward": "#6cb6ff",
    "backward": "#f5a95f",
    "optimizer": "#8bd389",
    "stop": "#ffd866",
    "stop-ground": "#3a3419",
    "select-ground": "#26324a",
    "quiet-ground": "#1e2530",
    "error": "#ff7b82",
    "warning": "#f0b35c",
    "good": "#8bd389",
    "module": "#c3a6ff",
    "string": "#a5d6a7",
    "keyword": "#ff9fb2",
    "number": "#f2c38a",
    "name": "#7fd1e0",
}
_LIGHT = {
    "background": "#fbfaf7",
    "surface": "#f4f2ec",
    "panel": "#e8e5dc",
    "edge": "#c9c4b8",
    "text": "#23272e",
    "dim": "#626974",
    "faint": "#9299a3",
    "accent": "#0b5cad",
    "forward": "#0b5cad",
    "backward": "#a3480a",
    "optimizer": "#1d7031",
    "stop": "#7a5200",
    "stop-ground": "#ffefb8",
    "select-ground": "#d5e4f7",
    "quiet-ground": "#eceae3",
    "error": "#b4232e",
    "warning": "#8f5300",
    "good": "#1d7031",
    "module": "#6a3fb5",
    "string": "#2c7034",
    "keyword": "#a8275a",
    "number": "#8a4b08",
    "name": "#0f6f7f",
}


def _theme(name: str, colors: dict[str, str], dark: bool) -> Theme:
    return Theme(
        name=name,
        primary=colors["accent"],
        secondary=colors["module"],
        accent=colors["accent"],
        warning=colors["warning"],
        error=colors["error"],
        success=colors["good"],
        foreground=colors["text"],
        background=colors["background"],
        surface=colors["surface"],
        panel=colors["panel"],
        dark=dark,
        variables={
            "edge": colors["edge"],
            "dim": colors["dim"],
            "stop": colors["stop"],
            "scrollbar": colors["edge"],
            "scrollbar-background": colors["background"],
            "scrollbar-corner-color": colors["background"],
            "scrollbar-hover": colors["dim"],
            "scrollbar-active": colors["accent"],
            "border": colors["accent"],
            "border-blurred": colors["edge"],
        },
    )


#: The two themes.
DARK = _theme("tapebook-dark", _DARK, dark=True)
LIGHT = _theme("tapebook-light", _LIGHT, dark=False)

# Tokens that carry more than a colour; all others are a colour's name or a pygments name below.
_EXTRA = {
    "": "{text}",
    "bold": "bold {text}",
    "strong": "bold {text}",
    "title": "bold {text}",
    "heading": "bold {accent}",
    "key": "bold {accent}",
    "muted": "{dim}",
    "note": "italic {dim}",
    "value": "{text}",
    "composite": "{text}",
    "leaf": "{name}",
    "dot": "{accent}",
    "grad": "{backward}",
    "bar": "{accent}",
    "bad": "bold {error}",
    "future": "{faint}",
    "head": "bold {good}",
    "ok": "{good}",
    "nan": "bold {error}",
    "inf": "bold {warning}",
    "warn": "bold {warning}",
    "error": "bold {error}",
    "stop": "bold {stop}",
    "cursor": "bold {stop}",
    "break": "bold {error}",
    "breakpoint": "bold {error}",
    "match": "underline {stop}",
    "update": "{optimizer}",
    "op": "{text}",
    "shape": "{dim}",
    "param": "{name}",
    "lane": "{faint}",
    "edge": "{faint}",
    "rule": "{edge}",
    "comment": "italic {dim}",
    "prompt": "{dim}",
    "loss": "{accent}",
    "link": "underline {accent}",
    "inverse": "reverse {text}",
}

# Grounds that a line may have as a whole.
LINE = {
    "": "background",
    "stop": "stop-ground",
    "select": "select-ground",
    "quiet": "quiet-ground",
    "panel": "panel",
    "surface": "surface",
}


@lru_cache(maxsize=1024)
def style_of(token: str, dark: bool, ground: str = "") -> Style:
    """The Rich style of a token.

    A token is a word of this file, several of them, ``PIXEL on PIXEL`` (a pixel is a colour of the
    heat map's palette or ``#rrggbb``), or ``sgr `` and a style of `app.sanitize.Segment`.
    """
    colors = _DARK if dark else _LIGHT
    style = Style()
    if token.startswith("sgr "):
        style = _sgr(token[4:], colors)
    elif " on " in token:
        upper, lower = token.split(" on ")
        style = Style(color=_pixel(upper, colors), bgcolor=_pixel(lower, colors))
    else:
        for word in token.split() or ("",):
            style += _word(word, colors)
    if style.color is None:
        style = Style.parse(colors["text"]) + style
    if style.bgcolor is None:
        style += Style(bgcolor=colors[LINE[ground]])
    return style


def _word(word: str, colors: dict[str, str]) -> Style:
    spec = _EXTRA.get(word)
    if spec is not None:
        return Style.parse(spec.format_map(colors))
    if word in colors:
        return Style(color=colors[word])
    if word.startswith(("#", "heat-", "cool-", "warm-")):
        return Style(color=_pixel(word, colors))
    if word in ("italic", "underline", "reverse", "strike", "dim"):
        return Style.parse(word)
    return Style()


def _pixel(word: str, colors: dict[str, str]) -> str:
    from viewers.tensor.heatmap import LIGHT_PALETTE, PALETTE  # late: at first there is no tensor

    palette = LIGHT_PALETTE if colors is _LIGHT else PALETTE
    return palette.get(word) or (word if _HEX.match(word) else colors["text"])


_HEX = re.compile(r"#[0-9a-f]{6}\Z")

# The eight colours of a program's output, in colours that can be read on our ground.
_ANSI = {
    "red": "error", "green": "good", "yellow": "warning", "blue": "accent",
    "magenta": "module", "cyan": "name", "black": "faint", "white": "text",
}  # fmt: skip


def _sgr(spec: str, colors: dict[str, str]) -> Style:
    words = []
    for word in spec.split():
        base = word.removeprefix("bright_")
        words.append(colors[_ANSI[base]] if base in _ANSI else word)
    return Style.parse(" ".join(words))
