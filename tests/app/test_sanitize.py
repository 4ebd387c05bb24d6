"""The sanitiser: nothing that a terminal acts on ever comes out."""

from __future__ import annotations

import random
import re
import time
import unicodedata

import pytest

from app.sanitize import Segment, clean, clean_sgr

FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain text, naïve 漢字 🙂", "plain text, naïve 漢字 🙂"),
        ("two\nlines\n", "two\nlines\n"),
        ("\x1b[31mred", "^[[31mred"),
        ("\x1b]52;c;aGk=\x07", "^[]52;c;aGk=^G"),
        ("a\x00b\x7fc", "a^@b^?c"),
        ("\x9b31m \x85", "\ufffd31m \ufffd"),
        ("a\r\nb\rc", "a\nb^Mc"),
        ("a\tb", "a       b"),
        ("evil\u202egnp.exe", "evil\ufffdgnp.exe"),
        ("\u2066x\u2069", "\ufffdx\ufffd"),
        ("zero\u200bwidth\ufeff\u2060", "zero\ufffdwidth\ufffd\ufffd"),
        ("user\u3164", "user\ufffd"),
        ("tag\U000e0041", "tag\ufffd"),
        ("lone \ud800 \udcff", "lone \ufffd \ufffd"),
        ("line\u2028sep\u2029", "line\ufffdsep\ufffd"),
    ],
)
def test_clean_table(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_clean_on_one_line() -> None:
    assert clean("a\nb\r\nc", keep_newlines=False) == "a b c"
    assert "\n" not in clean("\n\r\n\t\x1b", keep_newlines=False)


def test_clean_returns_ordinary_text_unchanged_and_fast() -> None:
    text = "x = torch.relu(y)  # ordinary\n" * 35_000
    began = time.thread_time()
    assert clean(text) is text
    assert time.thread_time() - began < 0.5  # 1 MB; about 10 ms on a slow core


def test_every_control_and_invisible_format_character_is_replaced() -> None:
    visible = {0x600, 0x601, 0x602, 0x603, 0x604, 0x605, 0x6DD, 0x70F, 0x890, 0x891, 0x8E2}
    visible |= {0x110BD, 0x110CD}  # Arabic, Syriac and Kaithi signs have the class Cf and a shape
    for code in range(0x110000):
        character = chr(code)
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            shown = character == "\n" or code in visible
            assert (clean(character) == character) == shown, hex(code)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("plain", [("", "plain")]),
        ("\x1b[31mred\x1b[0m not", [("red", "red"), ("", " not")]),
        ("\x1b[1;4;91;44mx", [("bold underline bright_red on blue", "x")]),
        ("\x1b[38;5;208mx\x1b[39my", [("color(208)", "x"), ("", "y")]),
        ("\x1b[48;2;1;2;255mx", [("on #0102ff", "x")]),
        ("\x1b[38:2::1:2:3mx", [("#010203", "x")]),
        ("\x1b[38:2:1:2:3mx", [("#010203", "x")]),
        ("\x1b[38:5:9mx", [("color(9)", "x")]),
        ("\x1b[1m\x1b[2mx\x1b[22my", [("bold dim", "x"), ("", "y")]),
        ("\x1b[mx", [("", "x")]),
        ("\x1b[8mhidden\x1b[5m", [("", "hidden")]),
        ("\x1b[30;40mhidden", [("", "hidden")]),
        ("\x1b[38;5;999mx", [("", "x")]),
        ("\x1b[38;5mx", [("", "x")]),
        ("\x1b[38mx", [("", "x")]),
        ("\x1b[38;7;31mx", [("red", "x")]),
        ("\x1b[4:0mx\x1b[4:3my", [("", "x"), ("underline", "y")]),
        ("a\x1b[2Jb\x1b[10;10Hc\x1b[?1049hd", [("", "abcd")]),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", [("", "link")]),
        ("a\x1b]52;c;aGk=\x07b", [("", "a\ufffdb")]),
        ("\x1b]0;title\x1b\\t", [("", "\ufffdt")]),
        ("\x1b]0;never ends", [("", "^[]0;never ends")]),
        ("\x1b[" + "1" * 9000 + "m", [("", "^[[" + "1" * 9000 + "m")]),
        ("\x1b\x1b[31m[2J", [("", "^["), ("red", "[2J")]),
        ("a\x1b[31m\tb", [("", "a"), ("red", "       b")]),
        ("1234\n\x1b[31mab\tc", [("", "1234\n"), ("red", "ab      c")]),
        ("\x1b[31mr\x1b[31mr", [("red", "rr")]),
    ],
)
def test_clean_sgr_table(text: str, expected: list[tuple[str, str]]) -> None:
    assert clean_sgr(text) == [Segment(*item) for item in expected]


def test_fuzz_nothing_dangerous_comes_out() -> None:
    rng = random.Random(1)
    pieces = ["\x1b", "[", "]", "31", "m", ";", ":", "\x07", "\\", "P", "^", "_", "X", "8;;", "\r"]
    pieces += ["\n", "\t", "a", "漢", "\x9b", "\x9d", "\u202e", "\ud83d", "\ude00", "\x00", "[@x]"]
    for _ in range(4000):
        if rng.random() < 0.7:
            text = "".join(rng.choices(pieces, k=rng.randrange(30)))
        else:
            text = "".join(chr(rng.randrange(0x300)) for _ in range(rng.randrange(30)))
        safe = clean(text)
        assert not FORBIDDEN.search(safe)
        assert clean(safe) == safe
        assert "\n" not in clean(text, keep_newlines=False)
        segments = clean_sgr(text)
        assert not any(FORBIDDEN.search(style + shown) for style, shown in segments)
        assert all(shown for _, shown in segments)
        safe.encode("utf-8")


def test_hostile_lengths_take_linear_time() -> None:
    began = time.thread_time()
    for unit in ("\x1b]", "\x1b[", "\x1b[1", "\x1bP;", "\x1b[38;5;", "\u202e\x1b"):
        clean_sgr(unit * 20_000)
        clean(unit * 20_000)
    assert time.thread_time() - began < 10
