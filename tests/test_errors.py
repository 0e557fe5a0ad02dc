"""How failures are printed."""

from __future__ import annotations

from ocibuild_core.errors import CredentialError, Failures, UsageError


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
