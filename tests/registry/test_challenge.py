from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.registry.challenge import Challenge, parse_challenges


def test_a_bearer_challenge_with_commas_inside_quotes() -> None:
    header = 'Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push"'
    assert parse_challenges([header]) == (
        Challenge(
            scheme="bearer",
            parameters={
                "realm": "https://auth.example/token",
                "service": "r.example",
                "scope": "repository:a/b:pull,push",
            },
        ),
    )


@pytest.mark.parametrize(
    ("header", "scheme", "realm"),
    [
        ("Basic realm=plain", "basic", "plain"),
        ('BASIC Realm="with \\"quotes\\""', "basic", 'with "quotes"'),
        ("Basic", "basic", None),
        ('  Bearer  realm = "x" , service=y', "bearer", "x"),
    ],
)
def test_spellings(header: str, scheme: str, realm: str | None) -> None:
    (challenge,) = parse_challenges([header])
    assert (challenge.scheme, challenge.parameters.get("realm")) == (scheme, realm)


def test_several_challenges_in_one_header_and_in_several() -> None:
    assert [one.scheme for one in parse_challenges(['Bearer realm="x", Basic realm="y"', "Negotiate"])] == [
        "bearer",
        "basic",
        "negotiate",
    ]


@given(st.text())
def test_no_header_makes_it_fail(header: str) -> None:
    parse_challenges([header])
