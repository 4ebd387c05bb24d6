"""Outputs in bounded memory, and text that overwrites itself."""

from __future__ import annotations

import random
import re
import time
import tracemalloc

import pytest

from app.notebook.document import MAX_OUTPUTS, Notebook
from app.notebook.outputs import Display, Error, Hidden, Stream, bounded, scrub, weight
from app.sanitize import clean_sgr


def typed(*chunks: str) -> str:
    stream = Stream("stdout")
    for chunk in chunks:
        stream.append(chunk)
    return stream.text


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        (["a", "b\n", "c"], "ab\nc"),
        (["one\r", "\ntwo"], "one\ntwo"),
        (["one\r\ntwo\r\n"], "one\ntwo\n"),
        (["50%\r100%"], "100%"),
        (["100%", "\r50%"], "50%%"),
        (["done\r"], "done"),
        (["done\r", "X"], "Xone"),
        (["abc\rX", "Y", "Z"], "XYZ"),
        (["abc\rX\nd"], "Xbc\nd"),
        (["abc\b\bX"], "aXc"),
        (["\b\ba"], "a"),
        (["a\n\b\bb"], "a\nb"),
        (["12345\b\b\b\b\b", "ab\n"], "ab345\n"),
        (["\x1b[31mred\x1b[0m\rX"], "X\x1b[31med\x1b[0m"),
        (["long text\r\x1b[Kok"], "ok"),
        (["long text\x1b[2K\rok"], "ok"),
        (["long text\r\x1b[5C\x1b[2Kok"], "ok"),
        (["\x1b[1mlink \x1b]8;;http://x\x07here\x1b]8;;\x07\rL"], "\x1b[1mLink here"),
        (["\x1b[32m10%\x1b[0m", "\r\x1b[32m20%\x1b[0m"], "\x1b[32m20%\x1b[0m"),
        (["\x1b[31m10%", "\r20%", "\x1b[0m\n", "."], "\x1b[31m20%\x1b[0m\n."),
        (["x\r\x1b[0m"], "x"),
        ([""], ""),
    ],
)
def test_carriage_returns_and_backspaces(chunks: list[str], expected: str) -> None:
    assert typed(*chunks) == expected
    assert typed(*"".join(chunks)) == expected  # however the text was cut into chunks


def test_chunk_borders_do_not_matter() -> None:
    rng = random.Random(5)
    pieces = ["a", "bc", "\r", "\n", "\b", "\r\n", "\x1b[31m", "\x1b[0m", "\x1b[K", "long word"]
    for _ in range(3000):
        text = "".join(rng.choices(pieces[: rng.choice([6, 10])], k=rng.randrange(14)))
        # A line that is typed anew starts plain, so no colour may run over a line's end here.
        text = re.sub(r"(?=\r?\n)", "\x1b[0m", text) if "\x1b" in text else text
        assert plain(typed(*text)) == plain(typed(text)), repr(text)


def plain(text: str) -> list[tuple[str, str]]:
    return [segment for segment in clean_sgr(text) if segment.text]


def test_a_progress_bar_stays_one_line() -> None:
    stream = Stream("stderr")
    for step in range(20_000):
        stream.append(f"\r{step / 200:5.1f}% |{'#' * (step // 500):40}|")
    assert stream.text.startswith(" 99.9% ") or stream.text.startswith("100.0% ")
    assert "\n" not in stream.text and stream.size < 300


def test_many_short_lines_keep_head_tail_and_the_count() -> None:
    stream = Stream("stdout")
    for start in range(0, 1_000_000, 1000):
        stream.append("".join(f"{n}\n" for n in range(start, start + 1000)))
    lines = stream.text.splitlines()
    marker = next(i for i, line in enumerate(lines) if "hidden" in line)
    hidden = int(re.sub(r"\D", "", lines[marker]))
    assert lines[marker] == f"[{hidden:,} lines hidden]"
    assert hidden + len(lines) - 1 == 1_000_000
    assert lines[:3] == ["0", "1", "2"] and lines[-1] == "999999"
    assert int(lines[marker + 1]) == int(lines[marker - 1]) + hidden + 1
    assert len(lines) < 20_000


@pytest.mark.parametrize("unit", ["x" * 79 + "\n", "y" * 4096, "\n", "ab\r\n", "word\rmore\n"])
def test_memory_is_constant_however_much_is_printed(unit: str) -> None:
    chunk = unit * (65_536 // len(unit))
    stream = Stream("stdout")
    tracemalloc.start()
    try:
        for _ in range(16 if "\r" in unit else 300):  # 1 and 20 MB
            stream.append(chunk)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 3_000_000 and peak < 8_000_000
    assert "hidden]" in stream.text
    assert len(stream.text) < 1_000_000


def test_printing_is_cheap() -> None:
    stream = Stream("stdout")
    chunk = ("step 12 loss 0.123456 accuracy 0.98\n" * 120)[:4096]
    began = time.thread_time()
    for _ in range(12_800):  # 50 MB
        stream.append(chunk)
    assert time.thread_time() - began < 10


def test_a_ten_megabyte_line() -> None:
    for chunks in (["x" * 10_000_000], ["x" * 1000] * 10_000):
        text = typed(*chunks)
        match = re.fullmatch(r"(x+) \[([\d,]+) characters hidden\] (x+)", text)
        assert match is not None
        hidden = int(match[2].replace(",", ""))
        assert len(match[1]) + hidden + len(match[3]) == 10_000_000
        assert len(text) < 1_000_000
    text = typed("first\n", "x" * 10_000_000, "\nlast\n")
    assert text.startswith("first\n") and text.endswith("x\nlast\n") and len(text) < 1_000_000


def test_a_long_line_then_short_ones() -> None:
    rng = random.Random(2)
    stream = Stream("stdout")
    total = 0
    for _ in range(600):
        size = rng.choice([1, 10, 100, 20_000])
        stream.append("z" * size + "\n")
        total += 1
    text = stream.text
    hidden = re.search(r"^\[([\d,]+) lines? hidden\]$", text, re.MULTILINE)
    assert hidden is not None
    shown = text.count("\n") - 1
    cut_line = 1  # the head may end within a line, which then counts among the shown
    assert shown + int(hidden[1].replace(",", "")) in (total, total + cut_line)


def test_text_from_a_file_is_kept_and_shown_bounded() -> None:
    raw = "10%\r20%\r30%\n" + "line\n" * 100_000
    stream = Stream("stdout", raw)
    assert stream.text is raw
    assert stream.shown.startswith("30%\nline") and "hidden" in stream.shown
    assert Stream("stdout", "short").shown == "short"
    assert Stream("stdout").shown == ""
    assert bounded("x" * 9000) == "x" * 9000
    assert "hidden" in bounded("x" * 9_000_000)


def test_live_values_become_storable() -> None:
    display = scrub(
        Display({"image/png": b"\x89PNG", "text/plain": "a\udcffb", "x+json": {"a": 1}})
    )
    assert isinstance(display, Display)
    assert display.data == {"image/png": "iVBORw==", "text/plain": "a\ufffdb", "x+json": {"a": 1}}
    huge = scrub(Display({"text/html": "<p>" * 20_000_000}))
    assert isinstance(huge, Display) and weight(huge) < 200
    error = scrub(Error("E", "v\ud800", [f"line {n}" for n in range(5000)]))
    assert isinstance(error, Error)
    assert error.evalue == "v\ufffd" and len(error.traceback) < 1100
    assert "[4,000 lines hidden]" in error.traceback


def notebook() -> tuple[Notebook, str]:
    made = Notebook()
    return made, made.cells[0].id


def test_streams_join_and_keep_their_order() -> None:
    made, cell = notebook()
    for name, text in [("stdout", "a"), ("stdout", "b\n"), ("stderr", "e"), ("stdout", "\rc")]:
        assert made.append_output(cell, Stream(name, text))
    outputs = made.cells[0].outputs
    assert outputs == [Stream("stdout", "ab\n"), Stream("stderr", "e"), Stream("stdout", "c")]
    made.append_output(cell, Stream("stdout", "\rd\udcff"))
    assert made.cells[0].outputs[-1] == Stream("stdout", "d\ufffd")


def test_a_stream_given_twice_is_not_shared() -> None:
    made, cell = notebook()
    given = Stream("stdout", "a")
    made.append_output(cell, given)
    made.append_output(cell, Stream("stdout", "b"))
    assert given.text == "a" and made.cells[0].outputs == [Stream("stdout", "ab")]


def test_a_flood_of_outputs_keeps_the_first_and_the_last() -> None:
    made, cell = notebook()
    for number in range(5000):
        name = "stderr" if number % 2 else "stdout"
        made.append_output(cell, Stream(name, f"{number}\n"))
    outputs = made.cells[0].outputs
    assert len(outputs) <= MAX_OUTPUTS + 16
    hidden = [output for output in outputs if isinstance(output, Hidden)]
    assert len(hidden) == 1
    assert hidden[0].count + len(outputs) - 1 == 5000
    assert outputs[0] == Stream("stdout", "0\n") and outputs[-1] == Stream("stderr", "4999\n")
    made.clear_outputs(cell)
    made.append_output(cell, Stream("stdout", "x"))
    assert made.cells[0].outputs == [Stream("stdout", "x")]


def test_large_displays_push_out_older_ones() -> None:
    made, cell = notebook()
    picture = "A" * 5_000_000
    for number in range(40):
        made.append_output(cell, Display({"image/png": picture + str(number)}))
    outputs = made.cells[0].outputs
    assert sum(map(weight, outputs)) < 70_000_000
    assert isinstance(outputs[-1], Display) and outputs[-1].data["image/png"].endswith("A39")
    assert isinstance(outputs[0], Display) and outputs[0].data["image/png"].endswith("A0")


def test_clear_output_with_wait_and_updates() -> None:
    made, cell = notebook()
    made.append_output(cell, Display({"text/plain": "old"}, display_id="d"))
    made.clear_outputs(cell, wait=True)
    assert len(made.cells[0].outputs) == 1
    made.append_output(cell, Display({"text/plain": "new"}, display_id="d"))
    assert [output.data for output in made.cells[0].outputs] == [{"text/plain": "new"}]  # type: ignore[union-attr]
    assert made.update_display("d", {"text/plain": "newer"}, {}) == [cell]
    assert made.update_display("other", {}, {}) == []
    assert made.cells[0].outputs == [Display({"text/plain": "newer"}, display_id="d")]


def test_output_for_a_deleted_cell_is_dropped() -> None:
    made, cell = notebook()
    other = made.insert(1)
    made.delete(cell)
    assert made.append_output(cell, Stream("stdout", "late")) is False
    made.clear_outputs(cell)
    made.set_execution_count(cell, 3)
    assert made.cells == [other]
