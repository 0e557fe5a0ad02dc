"""Words are what BuildKit's own lexer makes of them."""

from __future__ import annotations

import time

import pytest
from ocibuild_core.shell_words import expand, split_flags


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$A-$B", "1-"),
        ("${A:-x}${B:-x}${E:-x}${E-x}", "1xx"),
        ("${A:+y}${B:+y}${E:+y}${E+y}", "yy"),
        (r"\$A", "$A"),
        ("${B:-$A}", "1"),
        ("${B:?no}", None),
        ("${A:?no}", "1"),
        ("${B:-${E:-$A}}-${B-'$A'}", "1-$A"),
        ('"$A"-\'$A\'-"\\$A"', "1-$A-$A"),
        ("${V#*.}-${V##*.}-${V%.*}-${V%%.*}", "2.3-3-1.2-1"),
        ("${V#x}-${V#?.}-${V%.?}", "1.2.3-2.3-1.2"),
        (r"${V/./_}-${V//./_}-${V/2*/x}-${S/\//.}", "1_2.3-1_2_3-1.x-a.b"),
        ("${A^^}", None),
        ("${V//*.*/x}", None),
        ("${A", None),
        ("'$A", None),
        ("${}", None),
        ("$", "$"),
        ("a$ $1", "a$ "),
    ],
)
def test_expansion(text: str, expanded: str | None) -> None:
    assert expand(text, {"A": "1", "E": "", "V": "1.2.3", "S": "a/b"}) == expanded


def test_what_would_take_for_ever_is_not_known() -> None:
    began = time.monotonic()
    assert expand("${V/*a*a*a*a*b/x}", {"V": "a" * 60_000}) is None
    assert expand("${A:-" * 5000, {}) is None
    assert expand("${A:-" * 60_000 + "}" * 60_000, {}) is None
    split_flags("--a='" * 20_000)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("text", "flags", "rest"),
    [
        ("--a --b=c  d --e", (("a", ""), ("b", "c")), "d --e"),
        ("""--a="b c",'d' --e='f"g' h""", (("a", "b c,d"), ("e", 'f"g')), "h"),
        (r"--a=b\ c d", (("a", "b c"),), "d"),
        ("-- --a", (), "--a"),
        ("x", (), "x"),
        ("", (), ""),
    ],
)
def test_flags_are_split_from_the_rest(text: str, flags: object, rest: str) -> None:
    assert split_flags(text) == (flags, rest)
