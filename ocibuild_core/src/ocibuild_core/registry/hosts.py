"""One name for a registry, whatever the spelling: in image references, URLs, docker configs, BuildKit's questions.

The name is `host` or `host:port` in lower case. Docker Hub is `docker.io`; port 443 is dropped, because `host` and
`host:443` are one registry of https; an IPv6 address stands in brackets, in its shortest form.
"""

from __future__ import annotations

import re

from ocibuild_core.errors import UsageError
from ocibuild_core.records import NamedTuple

DOCKER_HUB = "docker.io"
"""Docker Hub's name inside this program."""

DOCKER_HUB_KEY = "https://index.docker.io/v1/"
"""Docker Hub's name in every docker config and towards credential helpers.

Source: docker/cli, `registry.IndexServer`; BuildKit, session/auth/authprovider, `DockerHubConfigfileKey`.
"""

_DOCKER_HUB_API = "registry-1.docker.io"
_DOCKER_HUB_HOSTS = frozenset({DOCKER_HUB, "index.docker.io", _DOCKER_HUB_API})

# The grammar of distribution/reference (regexp.go): what is no host there can't stand in an image reference either.
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_AUTHORITY = rf"(?a)(?P<host>{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:.]+\])(?::(?P<port>[0-9]{{1,5}}))?"
_PORT = r"(?a):[0-9]+$"
_SCHEME = r"([a-zA-Z][a-zA-Z0-9+.-]*)://"

_MAX_HOST_LENGTH = 255
_MAX_PORT = 65535
_HTTPS_PORT = 443

_API_PATHS = frozenset({"", "v1", "v2"})
"""Paths that belong to the registry's API, not to a repository."""


class Address(NamedTuple):
    """A registry as somebody wrote it.

    Args:
        registry: its one name.
        path: what stood behind the host, without slashes at its ends; empty when it was only `/`, `/v1/` or `/v2/`.
    """

    registry: str
    path: str = ""


def normalise(text: str) -> str | None:
    """The registry's name for any spelling of it, or None when it is none.

    A path, a query and a scheme of http or https are dropped: so do docker and BuildKit with the keys of a docker
    config (docker/cli, `credentials.ConvertToHostname`).

    >>> normalise("https://Index.Docker.io/v1/"), normalise("R.example:443/team/app"), normalise("[0:0::1]:5000")
    ('docker.io', 'r.example', '[::1]:5000')
    """
    address = split(text)
    return address.registry if address else None


def split(text: str) -> Address | None:
    """The registry's name and the path behind it, or None when `text` names no registry."""
    scheme = re.match(_SCHEME, text)
    if scheme and scheme[1].lower() not in {"http", "https"}:
        return None
    rest = text[scheme.end() :] if scheme else text
    authority, _, path = rest.partition("/")
    registry = _authority(authority)
    if registry is None:
        return None
    path = path.strip("/")
    return Address(registry=registry, path="" if path in _API_PATHS else path)


def parse(text: str, *, what: str) -> Address:
    """As `split`, for what a person wrote: says what is wrong with it.

    Args:
        text: a host or a URL of http or https.
        what: the setting that it was given to, for the message.

    Raises:
        UsageError: it is no registry, or it holds a password, a query or a fragment. The text is quoted only when it
            cannot hold a password.
    """
    text = text.strip()
    if "@" in text:
        raise UsageError(
            f"{what} must be a registry's host, without user and password",
            why="it holds an '@'; the value is not shown, as it may hold a password",
            do="give the password where the login expects it, and here the host alone",
        )
    if not text:
        raise UsageError(f"{what} is empty", do="give a registry's host, like registry.example.com:5000")
    scheme = re.match(_SCHEME, text)
    if scheme and scheme[1].lower() not in {"http", "https"}:
        raise UsageError(
            f"{what}: {text!r} is no registry", why=f"its scheme is {scheme[1]!r}", do="use https://HOST or HOST"
        )
    if "?" in text or "#" in text:
        raise UsageError(
            f"{what}: {text!r} is no registry", why="it has a query or a fragment", do="give the host alone"
        )
    address = split(text)
    if address is None:
        raise UsageError(
            f"{what}: {text!r} is no registry",
            why="a host is letters, digits, '-' and '.', or an IPv6 address in brackets, with an optional :port",
            do="give a host like registry.example.com:5000",
        )
    return address


def docker_key(registry: str) -> str:
    """The key for a registry in a docker config, and its name towards a credential helper."""
    return DOCKER_HUB_KEY if registry == DOCKER_HUB else registry


def api_host(registry: str) -> str:
    """Where a registry's API is, by the registry's one name."""
    return _DOCKER_HUB_API if registry == DOCKER_HUB else registry


def host_of(registry: str) -> str:
    """The name without its port."""
    return re.sub(_PORT, "", registry)


def _authority(text: str) -> str | None:
    found = re.fullmatch(_AUTHORITY, text)
    if not found:
        return None
    host = _ipv6(found["host"]) if found["host"].startswith("[") else found["host"].lower()
    if host is None or len(host) > _MAX_HOST_LENGTH:
        return None
    port = int(found["port"] or _HTTPS_PORT)
    if not 0 < port <= _MAX_PORT:
        return None
    if host in _DOCKER_HUB_HOSTS and port == _HTTPS_PORT:
        return DOCKER_HUB
    return host if port == _HTTPS_PORT else f"{host}:{port}"


def _ipv6(bracketed: str) -> str | None:
    from ipaddress import AddressValueError, IPv6Address  # noqa: PLC0415  # 5 ms that few need

    try:
        return f"[{IPv6Address(bracketed[1:-1]).compressed}]"
    except AddressValueError:
        return None
