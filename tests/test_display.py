"""What of BuildKit's output reaches the reader, and what is told by an error instead."""

from __future__ import annotations

import io
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.auth.redact import Redactor
from ocibuild_core.display import Display
from ocibuild_core.errors import ExportError
from ocibuild_core.secret import Secret

LOG = b"#1 DONE 0.0s\n------\n > [1/1] RUN x:\n0.1 error: of the step\n------\n"
LAST = b"error: failed to solve: one\nand more of it\n"


def shown(*pieces: bytes) -> tuple[bytes, str]:
    """What is written when these pieces come, and the last word."""
    out = io.BytesIO()
    display = Display("plain", out, Redactor().stream())
    for piece in pieces:
        display.take(piece)
    said = display.end(failed=True)
    return out.getvalue(), said


@given(cuts=st.sets(st.integers(0, len(LOG + LAST))))
def test_the_last_word_is_kept_from_the_reader_wherever_it_is_cut(cuts: set[int]) -> None:
    whole, edges = LOG + LAST, sorted({0, *cuts, len(LOG + LAST)})
    pieces = [whole[begin:end] for begin, end in pairwise(edges)]
    assert shown(*pieces) == (LOG, "failed to solve: one\nand more of it")


@pytest.mark.parametrize(
    ("output", "written", "said"),
    [
        (b"", b"", ""),
        (LAST, b"", "failed to solve: one\nand more of it"),
        (LOG, LOG, ""),
        (b"error: in a log\n#2 more\nerror: last\n", b"error: in a log\n#2 more\n", "last"),
    ],
)
def test_whatever_is_not_the_last_word_is_shown(output: bytes, written: bytes, said: str) -> None:
    assert shown(output) == (written, said)


def test_a_line_without_an_end_is_shown_at_the_end() -> None:
    out = io.BytesIO()
    display = Display("plain", out, Redactor().stream())
    display.take(b"#1 one\n#2 half")
    assert out.getvalue() == b"#1 one\n"
    assert display.end(failed=False) == ""
    assert out.getvalue() == b"#1 one\n#2 half"


def test_a_secret_in_an_unfinished_line_is_masked() -> None:
    redactor = Redactor()
    redactor.add(Secret("hunter2-hunter2"))
    out = io.BytesIO()
    display = Display("plain", out, redactor.stream())
    display.take(b"#1 one\n#2 hunter2-")
    display.take(b"hunter2")
    display.end(failed=False)
    assert out.getvalue() == b"#1 one\n#2 ********"


def test_a_quiet_build_shows_its_log_when_it_failed() -> None:
    out = io.BytesIO()
    display = Display("quiet", out, Redactor().stream())
    display.take(LOG + LAST)
    assert out.getvalue() == b""
    assert display.end(failed=True) == "failed to solve: one\nand more of it"
    assert out.getvalue() == LOG


def test_a_log_that_finds_no_room_is_an_error_that_says_so() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        display = Display("plain", full, Redactor().stream())
        with pytest.raises(ExportError, match="cannot write BuildKit's log to stdout") as caught:
            display.take(b"#1 DONE\n")
    assert caught.value.why == "No space left on device"


def test_a_reader_that_has_gone_is_no_concern_of_the_build() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as out:
        display = Display("plain", out, Redactor().stream())
        display.take(b"#1 one\n")
        display.take(b"#2 two\n")
        display.end(failed=False)
        out.flush()
