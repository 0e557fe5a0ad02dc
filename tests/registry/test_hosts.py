"""One name for a registry, whatever the spelling."""

from __future__ import annotations

import re
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.errors import UsageError
from ocibuild_core.registry.hosts import docker_key, host_of, normalise, parse, split

LABELS = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,10}[a-zA-Z0-9])?", fullmatch=True)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
IPV6 = st.ip_addresses(v=6).map(lambda address: f"[{address}]")
HOSTS = NAMES | st.ip_addresses(v=4).map(str) | IPV6
PORTS = st.integers(min_value=1, max_value=65535)
SCHEMES = st.sampled_from(["", "http://", "https://", "HTTPS://"])
PATHS = st.sampled_from(["", "/", "/v1/", "/v2", "/v2/", "/team/app"])


@given(host=HOSTS, port=PORTS | st.none(), scheme=SCHEMES, path=PATHS)
def test_every_spelling_of_a_registry_has_one_name(host: str, port: int | None, scheme: str, path: str) -> None:
    plain = f"{host}:{port}" if port else host
    assert normalise(scheme + plain.upper() + path) == normalise(plain)


@given(host=HOSTS, port=PORTS | st.none())
def test_a_name_is_its_own_name_and_in_lower_case(host: str, port: int | None) -> None:
    name = normalise(f"{host}:{port}" if port else host)
    assert name is not None
    assert normalise(name) == name == name.lower()


@given(host=HOSTS)
def test_port_443_is_the_port_of_https_and_no_other_is(host: str) -> None:
    assert normalise(f"{host}:443") == normalise(host)
    assert normalise(f"{host}:80") != normalise(host)


@given(address=st.ip_addresses(v=6))
def test_an_ipv6_address_has_one_spelling(address: IPv6Address) -> None:
    assert normalise(f"[{address.exploded.upper()}]:5000") == f"[{address.compressed}]:5000"


@given(text=st.text(max_size=40))
def test_no_text_raises_and_what_is_accepted_is_clean(text: str) -> None:
    name = normalise(text)
    assert name is None or re.fullmatch(r"[a-z0-9.-]+(:[0-9]+)?|\[[0-9a-f:]+\](:[0-9]+)?", name, re.ASCII)


@pytest.mark.parametrize(
    "spelling",
    [
        "docker.io",
        "index.docker.io",
        "registry-1.docker.io",
        "https://index.docker.io/v1/",
        "https://index.docker.io/v1",
        "Docker.IO",
        "docker.io:443",
    ],
)
def test_docker_hub_has_one_name(spelling: str) -> None:
    assert normalise(spelling) == "docker.io"


def test_docker_hub_is_known_to_docker_by_its_old_address() -> None:
    assert docker_key("docker.io") == "https://index.docker.io/v1/"
    assert docker_key("r.example:5000") == "r.example:5000"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "host ",
        "ho st",
        "host:",
        "host:0",
        "host:65536",
        "host:٥٠٠٠",
        "host:5000\n",
        "-host",
        "host-",
        "a..b",
        "under_score.example",
        "::1",
        "[::1",
        "[::1]x",
        "[fe80::1%eth0]",
        "[1.2.3.4]",
        "user@host",
        "unix:///run/x.sock",
        "ftp://host",
        "//host",
        "host.example.",
        "x" * 300,
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com\n",
    ],
)
def test_what_is_no_host_has_no_name(text: str) -> None:
    assert normalise(text) is None


@pytest.mark.parametrize("other", ["docker.io.evil.example", "evil-docker.io", "docker.io:5000", "hub.docker.com"])
def test_a_look_alike_of_docker_hub_is_another_registry(other: str) -> None:
    assert normalise(other) == other


def test_a_path_that_is_not_the_apis_is_told() -> None:
    assert [split(text).path for text in ("h/v2/", "h/v1", "h/")] == ["", "", ""]  # type: ignore[union-attr]
    assert split("https://H.example/team/app/").path == "team/app"  # type: ignore[union-attr]


def test_the_host_of_a_registry_is_its_name_without_the_port() -> None:
    assert [host_of(name) for name in ("h", "h:5000", "[::1]", "[::1]:5000")] == ["h", "h", "[::1]", "[::1]"]


def test_a_person_may_write_a_url() -> None:
    assert parse(" https://R.example:5000/v2/ ", what="REG_URL").registry == "r.example:5000"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://r.example?a=b", "query"),
        ("r.example#x", "fragment"),
        ("unix:///run/docker.sock", "scheme"),
        ("ftp://r.example", "scheme"),
        ("", "empty"),
        ("r example", "letters"),
    ],
)
def test_what_a_person_wrote_wrongly_is_said(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        parse(text, what="REG_URL")
    assert "REG_URL" in str(caught.value)
    assert caught.value.do


def test_a_password_in_a_registrys_address_is_never_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        parse("https://user:hunter2@r.example", what="REG_URL")
    assert "hunter2" not in str(caught.value)
    assert "'@'" in str(caught.value)
