"""How failures are printed."""

from __future__ import annotations

import pytest
from ocibuild_core.errors import CredentialError, Failures, UsageError, masked_errors


def test_failures_of_one_cause_share_the_lines_that_say_it() -> None:
    names = ("a.example", "b.example")
    same = [CredentialError(f"no login for {name}", why="the role may not", do="allow it") for name in names]
    other = CredentialError("no login for c.example", why="the network", do="try again")

    assert str(Failures([same[0], other, same[1]])).splitlines() == [
        "no login for a.example",
        "no login for b.example",
        "  why    the role may not",
        "  do     allow it",
        "no login for c.example",
        "  why    the network",
        "  do     try again",
    ]


def test_failures_without_a_cause_are_all_printed() -> None:
    assert str(Failures([CredentialError("one"), CredentialError("two")])) == "one\ntwo"


def test_failures_within_failures_are_all_printed() -> None:
    inner = Failures([CredentialError("one", do="this"), CredentialError("two", do="that")])

    printed = str(Failures([inner, UsageError("three", do="this")]))

    assert [line for line in printed.splitlines() if not line.startswith(" ")] == ["three", "one", "two"]


def test_masking_reaches_every_text_of_every_failure() -> None:
    def masked(text: str) -> str:
        return text.replace("hunter2", "***")

    inner = CredentialError("of hunter2", why="hunter2", tried=["a hunter2"], do="not hunter2")
    failures = Failures([UsageError("hunter2", do="x"), inner])
    with pytest.raises(Failures) as caught, masked_errors(masked):
        raise failures
    assert "hunter2" not in f"{caught.value} {caught.value!r} {inner!r}"
    assert str(inner) == "of ***\n  why    ***\n  tried  a ***\n  do     not ***"
