"""Image references: `[registry/]repository[:tag][@digest]`, as docker reads them."""

from __future__ import annotations

import re

from ocibuild_core.errors import UsageError
from ocibuild_core.records import NamedTuple
from ocibuild_core.registry.hosts import DOCKER_HUB, normalise

# The grammar of distribution/reference (regexp.go, "reference" and "path-component").
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"(?a){_COMPONENT}(?:/{_COMPONENT})*"
_TAG = r"(?a)\w[\w.-]{0,127}"
_DIGEST = r"(?a)[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"

_MAX_NAME_LENGTH = 255
_DOCKER_HUB_DOMAINS = frozenset({DOCKER_HUB, "index.docker.io"})
"""Those that have a short form (`splitDockerDomain` in distribution/reference)."""


class ImageReference(NamedTuple):
    """An image in a registry.

    Args:
        registry: the registry's one name (`ocibuild_core.registry.hosts`).
        host: the host as it was written, or `docker.io`.
        repository: the path in the registry, with `library/` in front of Docker Hub's own.
        tag: empty when there is none.
        digest: empty when there is none.
    """

    registry: str
    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.repository}{tag}{digest}"


def parse_reference(text: str) -> ImageReference:
    """Read an image reference; without tag and digest the tag is `latest`.

    >>> str(parse_reference("alpine"))
    'docker.io/library/alpine:latest'

    Raises:
        UsageError: it is none.
    """
    rest, at, digest = text.partition("@")
    if at and not re.fullmatch(_DIGEST, digest):
        raise _error(text, f"{digest!r} is no digest")
    host, path = _split_host(rest)
    repository, colon, tag = path.partition(":")
    if colon and not re.fullmatch(_TAG, tag):
        raise _error(text, f"{tag!r} is no tag")
    registry = normalise(host)
    if registry is None:
        raise _error(text, f"{host!r} is no registry")
    if registry == DOCKER_HUB:
        host = DOCKER_HUB if host.lower() == "index.docker.io" else host
        repository = repository if "/" in repository else f"library/{repository}"
    if not re.fullmatch(_REPOSITORY, repository):
        raise _error(text, _repository_fault(repository))
    if len(host) + 1 + len(repository) > _MAX_NAME_LENGTH:
        raise _error(text, f"its name is longer than {_MAX_NAME_LENGTH} characters")
    return ImageReference(
        registry=registry, host=host, repository=repository, tag=tag or ("" if at else "latest"), digest=digest
    )


def short_name(text: str) -> str | None:
    """What BuildKit looks a named context up by: `alpine` for `docker.io/library/alpine:latest`; None for no image.

    Stages and repositories have no capitals. Source: moby/buildkit, frontend/dockerui/config.go, `NamedContext`.
    """
    host, path = _split_host(text)
    repository, tail = re.findall(r"(?s)([^:@]*)(.*)", path)[0]
    repository = repository.lower()
    try:
        parse_reference(f"{host}/{repository}{tail}")
    except UsageError:
        return None
    if host not in _DOCKER_HUB_DOMAINS:
        repository = f"{host}/{repository}"
    elif repository.count("/") == 1:
        repository = repository.removeprefix("library/")
    return f"{repository}{tail}".removesuffix(":latest")


def _split_host(name: str) -> tuple[str, str]:
    """What stands before the first slash is a host when it can be no repository of Docker Hub.

    Source: distribution/reference, normalize.go, `splitDockerDomain`.
    """
    first, slash, rest = name.partition("/")
    is_host = any(char in first for char in ".:") or first == "localhost" or first.lower() != first
    return (first, rest) if slash and is_host else (DOCKER_HUB, name)


def _repository_fault(repository: str) -> str:
    if repository != repository.lower():
        return f"the repository {repository!r} must be in lower case"
    return f"{repository!r} is no repository"


def _error(text: str, why: str) -> UsageError:
    return UsageError(f"{text!r} is no image reference", why=why, do="write it as registry/repository:tag")
