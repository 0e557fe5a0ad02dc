"""Image references, as docker reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.errors import UsageError
from ocibuild_core.registry.reference import parse_reference, short_name

DIGEST = "sha256:" + "a" * 64

COMPONENTS = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}", fullmatch=True)
PATHS = st.lists(COMPONENTS, min_size=1, max_size=3).map("/".join)
HOSTS = st.sampled_from(["r.example", "r.example:5000", "localhost", "[::1]:5000", "10.0.0.1"])
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)


@given(host=HOSTS, path=PATHS, tag=TAGS, digest=st.sampled_from(["", "@" + DIGEST]))
def test_what_is_read_is_what_was_written(host: str, path: str, tag: str, digest: str) -> None:
    text = f"{host}/{path}:{tag}{digest}"
    reference = parse_reference(text)
    assert str(reference) == text
    assert (reference.registry, reference.repository, reference.tag) == (host, path, tag)


@given(text=st.text(max_size=60))
def test_no_text_raises_but_a_usage_error(text: str) -> None:
    try:
        reference = parse_reference(text)
    except UsageError:
        return
    assert parse_reference(str(reference)) == reference


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        ("alpine:3", "docker.io/library/alpine:3"),
        ("team/app", "docker.io/team/app:latest"),
        ("docker.io/alpine", "docker.io/library/alpine:latest"),
        ("index.docker.io/team/app:1", "docker.io/team/app:1"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("R.example/app", "R.example/app:latest"),
        ("UPPER/app", "UPPER/app:latest"),
        ("r.example:443/app", "r.example:443/app:latest"),
        (f"alpine@{DIGEST}", f"docker.io/library/alpine@{DIGEST}"),
        ("r:5000", "docker.io/library/r:5000"),
    ],
)
def test_short_forms_are_completed_as_docker_does(text: str, full: str) -> None:
    assert str(parse_reference(text)) == full


@pytest.mark.parametrize(
    ("text", "registry"),
    [
        ("R.Example:443/app", "r.example"),
        ("registry-1.docker.io/library/alpine", "docker.io"),
        ("[::0:1]:5000/app", "[::1]:5000"),
    ],
)
def test_the_registry_has_its_one_name(text: str, registry: str) -> None:
    assert parse_reference(text).registry == registry


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "repository"),
        ("Alpine", "lower case"),
        ("r.example/App", "lower case"),
        ("app:", "no tag"),
        ("app:-x", "no tag"),
        ("app@sha256:12", "no digest"),
        ("r.example/", "repository"),
        ("r_x.example/app", "no registry"),
        ("a/" + "b" * 300, "longer"),
        ("app\n", "repository"),
    ],
)
def test_what_is_no_reference_is_said(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_reference(text)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("alpine", "alpine"),
        ("alpine:latest", "alpine"),
        ("docker.io/library/Alpine:latest", "alpine"),
        ("index.docker.io/alpine:3", "alpine:3"),
        ("library/bb:V1", "bb:V1"),
        ("BB:1", "bb:1"),
        ("library/a/b", "library/a/b"),
        ("team/app:latest", "team/app"),
        ("R.example:5000/Library/x", "R.example:5000/library/x"),
        ("registry-1.docker.io/x", "registry-1.docker.io/x"),
        (f"alpine:latest@{DIGEST}", f"alpine:latest@{DIGEST}"),
        ("", None),
        ("a b", None),
        ("é", None),
        ("a:", None),
        ("-a", None),
    ],
)
def test_the_short_form_by_which_buildkit_finds_contexts(text: str, short: str | None) -> None:
    assert short_name(text) == short
