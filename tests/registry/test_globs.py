"""Patterns of registries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.errors import UsageError
from ocibuild_core.registry.globs import glob_matches, is_exact, parse_glob

HOSTS = st.from_regex(r"[a-z0-9]{1,5}(\.[a-z0-9]{1,5}){0,3}(:(1000|5000))?", fullmatch=True)


@pytest.mark.parametrize(
    ("glob", "registry", "matches"),
    [
        ("r.example", "r.example", True),
        ("r.example", "r.example:5000", False),
        ("r.example:443", "r.example", True),
        ("*.example", "r.example", True),
        ("*.example", "a.b.example", True),
        ("*.example", "example", False),
        ("*.example", "r.example:5000", False),
        ("*.example", "r.example.evil", False),
        ("*.example:*", "r.example:5000", True),
        ("*.example:443", "r.example", True),
        ("r.*", "r.example", True),
        ("*", "r.example:5000", True),
        ("HTTPS://R.Example/", "r.example", True),
        ("index.docker.io", "docker.io", True),
        ("r[ab].*", "ra.example", False),
        ("[::*]:5000", "[::1]:5000", True),
    ],
)
def test_a_pattern_covers_the_whole_name_and_no_port_that_it_does_not_have(
    glob: str, registry: str, *, matches: bool
) -> None:
    assert glob_matches(parse_glob(glob, what="--login"), registry) is matches


@given(registry=HOSTS)
def test_a_registry_covers_itself_alone(registry: str) -> None:
    glob = parse_glob(registry, what="--login")
    assert is_exact(glob)
    assert glob_matches(glob, registry)
    assert not glob_matches(glob, "x" + registry)


@given(registry=HOSTS, cut=st.integers(min_value=0, max_value=10))
def test_a_star_stands_for_any_characters_of_the_host(registry: str, cut: int) -> None:
    host, _, port = registry.partition(":")
    start, end = host[:cut], host[cut + 1 :]
    glob = parse_glob(f"{start}*{end}" + (f":{port}" if port else ""), what="--login")
    assert glob_matches(glob, registry)


@pytest.mark.parametrize("text", ["", " ", "a b*", "user:pw@*.example", "r?example*", "*/path", "a_b"])
def test_what_is_no_pattern_is_refused_without_a_password(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_glob(text, what="--login")
    assert "user:pw" not in str(caught.value)
