"""Every secret and its derived forms are masked, also when a read cuts them."""

from __future__ import annotations

import base64
import itertools
import json
import random
import re
import threading
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ocibuild_core.auth.redact import Redactor
from ocibuild_core.secret import MASK, Secret

SECRET = 'p@ss/word+"quo\\te" & <ü>'
GO_JSON = json.dumps(SECRET, ensure_ascii=False)[1:-1].translate({38: r"\u0026", 60: r"\u003c", 62: r"\u003e"})
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SECRETS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=4, max_size=20)


def redactor(*secrets: str, user: str = "") -> Redactor:
    made = Redactor()
    for secret in secrets:
        made.add(Secret(secret), user)
    return made


def in_pieces(made: Redactor, content: bytes, cuts: list[int]) -> bytes:
    stream = made.stream()
    places = sorted({0, len(content), *(cut % (len(content) + 1) for cut in cuts)})
    pieces = [content[start:stop] for start, stop in itertools.pairwise(places)]
    return b"".join([*(stream.feed(piece) for piece in pieces), stream.flush()])


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        re.sub("%..", lambda escape: escape[0].lower(), quote(SECRET, safe="")),
        quote(SECRET, safe="$&+=:@"),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        GO_JSON,
    ],
)
def test_a_secret_is_masked_in_every_dress(form: str) -> None:
    assert redactor(SECRET).text(f"before {form} after") == f"before {MASK} after"


@given(before=st.binary(max_size=20), secret=SECRETS, after=st.binary(max_size=20))
@settings(max_examples=300)
def test_a_secret_inside_base64_is_masked_wherever_it_stands(before: bytes, secret: str, after: bytes) -> None:
    raw = secret.encode()
    if len(raw) < 8:
        raw = raw * 8
    made = redactor(raw.decode())
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(before + raw + after)
        masked = made.bytes(b"data: " + text + b".")
        assert len(masked) == len(text) + 7
        inside = base64.b64decode(masked[6:-1].translate(bytes.maketrans(b"-_", b"+/")))
        assert raw not in inside
        assert len(inside) == len(before + raw + after)


def test_what_stands_beside_a_secret_in_base64_still_decodes() -> None:
    text = base64.b64encode(b"before hunter2hunter2 after").decode()
    decoded = base64.b64decode(redactor("hunter2hunter2").text(text))
    # A character of base64 holds bits of two bytes: the neighbours are masked with it.
    assert decoded[:5] + decoded[8:20] + decoded[22:] == b"befor" + b"*" * 12 + b"after"


@pytest.mark.parametrize("password", ["x", "ab", "abc", "abcd", "long-enough"])
def test_the_header_of_user_and_password_is_masked_whatever_the_length(password: str) -> None:
    header = base64.b64encode(f"me:{password}".encode()).decode()
    masked = redactor(password, user="me").text(f"Authorization: Basic {header}")
    assert header not in masked
    assert password not in base64.b64decode(masked.split()[-1]).decode().removeprefix("me")


@pytest.mark.parametrize("secret", ["", "a", "ab", "abc"])
def test_a_secret_of_up_to_three_characters_is_not_searched_for_on_its_own(secret: str) -> None:
    assert redactor(secret).text("abcabc abc") == "abcabc abc"


def test_each_line_of_a_secret_of_many_lines_is_masked() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nshort\n-----END KEY-----\n"
    log = "".join(f"#7 0.{n} {line}\n" for n, line in enumerate(key.splitlines()))
    assert redactor(key).text(log) == f"#7 0.0 {MASK}\n#7 0.1 {MASK}\n#7 0.2 short\n#7 0.3 {MASK}\n"


def test_base64_in_lines_is_masked_line_by_line() -> None:
    secret = "".join(f"number {n}, " for n in range(40))
    wrapped = base64.encodebytes(secret.encode())
    masked = redactor(secret).bytes(wrapped)
    assert len(masked.splitlines()) == len(wrapped.splitlines()) > 5
    assert set(base64.b64decode(masked)) == {ord("*")}


def test_a_line_end_that_belongs_to_the_secret_may_be_missing() -> None:
    assert redactor("hunter2\n").text("it is hunter2!") == f"it is {MASK}!"


@given(before=TEXTS, secret=SECRETS, after=TEXTS, cuts=st.lists(st.integers(min_value=0, max_value=200), max_size=6))
@settings(max_examples=400)
@example(before="p", secret="pppp", after="ppp", cuts=[1, 2, 3])
@example(before="ab", secret="abab", after="ab", cuts=[4, 5])
def test_cuts_change_nothing(before: str, secret: str, after: str, cuts: list[int]) -> None:
    made = redactor(secret, "other-secret", user="u")
    content = (before + secret + after).encode()
    masked = in_pieces(made, content, cuts)
    assert masked == made.bytes(content)
    assert secret.encode() not in masked


@given(
    secrets=st.lists(st.text("ab", min_size=4, max_size=9), min_size=1, max_size=4),
    text=st.text("abc", max_size=60),
    cuts=st.lists(st.integers(min_value=0, max_value=60), max_size=12),
)
@settings(max_examples=500)
def test_secrets_that_overlap_are_masked_as_one(secrets: list[str], text: str, cuts: list[int]) -> None:
    made = redactor(*secrets)
    masked = in_pieces(made, text.encode(), cuts)
    assert masked == made.bytes(text.encode())
    assert not any(secret.encode() in masked for secret in secrets)


@given(text=st.binary(max_size=200), cuts=st.lists(st.integers(min_value=0, max_value=200), max_size=5))
def test_what_holds_no_secret_is_left_as_it_is(text: bytes, cuts: list[int]) -> None:
    assert in_pieces(redactor("a-secret-that-nothing-holds", user="somebody"), text, cuts) == text


def test_every_byte_alone() -> None:
    made = redactor("hunter2", user="me")
    content = b"x hunter2 y " + base64.b64encode(b"me:hunter2") + b" z hunter"
    assert in_pieces(made, content, list(range(len(content)))) == made.bytes(content)
    assert b"hunter2" not in made.bytes(content)
    assert made.bytes(content).endswith(b" z hunter")


def test_nothing_is_held_back_that_is_no_beginning_of_a_secret() -> None:
    stream = redactor("hunter2").stream()
    assert stream.feed(b"#1 building\n") == b"#1 building\n"
    assert stream.feed(b"it is hun") == b"it is "
    assert stream.feed(b"gry\n") == b"hungry\n"


def test_a_secret_that_is_added_later_is_masked_from_then_on() -> None:
    made = Redactor()
    stream = made.stream()
    assert stream.feed(b"hunter2 ") == b"hunter2 "
    made.add(Secret("hunter2"))
    assert stream.feed(b"hunter2 ") + stream.flush() == f"{MASK} ".encode()


def test_a_secret_that_is_added_while_its_beginning_is_held_is_masked() -> None:
    made = redactor("hunting-ground")
    stream = made.stream()
    shown = stream.feed(b"a hunt")
    made.add(Secret("hunter2"))
    assert shown + stream.feed(b"er2") + stream.flush() == b"a " + MASK.encode()


def test_adding_from_many_threads_loses_none() -> None:
    made = Redactor()
    secrets = [f"secret-number-{n}" for n in range(40)]
    threads = [threading.Thread(target=made.add, args=(Secret(secret),)) for secret in secrets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    masked = made.text(" ".join(secrets))
    assert not any(secret in masked for secret in secrets)


def test_a_run_of_one_secret_upon_another_is_not_held_for_ever() -> None:
    stream = redactor("aaaa").stream()
    shown = b"".join(stream.feed(b"a" * 65536) for _ in range(64))
    assert len(stream._held) <= 512 * 1024
    assert b"aaaa" not in shown + stream.flush()


def test_bytes_that_are_no_utf8_pass_through() -> None:
    assert redactor("hunter2").bytes(b"\xff\xfe hunter2 \x80") == b"\xff\xfe " + MASK.encode() + b" \x80"
    assert redactor("hunt\udce9r2").bytes(b"a hunt\xe9r2") == b"a " + MASK.encode()
    assert redactor("half\ud800pair").text("half") == "half"


def test_the_redactor_shows_no_secret_of_its_own() -> None:
    made = redactor("hunter2-and-more")
    assert "hunter2" not in repr(made) + repr(made.stream())


def test_a_large_log_goes_through_quickly() -> None:
    """16 MB of a plain log with ten secrets, one of them long, in at most 4 s of a slow machine's processor."""
    numbers = random.Random(7)  # noqa: S311  # the same log each time
    made = Redactor()
    for n in range(10):
        made.add(Secret(base64.b64encode(numbers.randbytes(1500 if n == 0 else 30)).decode()), f"user{n}")
    line = b"#12 4.123 Get:17 http://deb.example.org/debian bookworm/main amd64 libfoo amd64 1.2.3-4 [123 kB]\n"
    piece = line * 640
    stream = made.stream()
    started = time.process_time()
    shown = sum(len(stream.feed(piece)) for _ in range(256))
    assert time.process_time() - started < 4
    assert shown + len(stream.flush()) == 256 * len(piece)
