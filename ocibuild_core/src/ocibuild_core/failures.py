"""What made a build fail, read from BuildKit's machine-readable progress: also whether a registry refused."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Any

from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_URL = r"https?://(\[[0-9a-fA-F:.]+\](?::\d+)?|[^/\s\"']+)(/[^\s\"']*)?"
# How BuildKit names what it asks a registry for, the reference behind it: metadata (solver/llbsolver/bridge.go,
# frontend/dockerfile/dockerfile2llb/convert.go), a base or a copied image (there, `prefixCommand`), a named context
# (frontend/dockerui/namedcontext.go), a frontend (its identifier, client/llb/source.go), a cache (bridge.go).
_ASKED_FOR = (
    r"(?:\[(?:\S+ )?internal\] load metadata for |resolve image config for docker-image://|docker-image://"
    r"|(?:\[[^\]]*\] )?FROM |\[context [^\]]*\] |importing cache manifest from )(\S+)"
)
_SENDING = "exporting "
"""How the names of exporters begin, of images and of caches; what they send to is in the error."""
_OF_LAYER = r"unexpected status from \S+ request to https?://([^/\s\"']+)/v2/"
"""A layer that is fetched when a step first needs it (`unlazy` in cache/refs.go) fails under the name of the step; the
words are those of containerd, core/remotes/docker."""
_PUSH = r"failed to push (\[[0-9a-fA-F:.]+\](?::\d+)?|[^/\s\"']+)/"
"""A refused push names the reference; whether a URL follows depends on what the registry answered."""
_PUSHING = "pushing manifest for "
"""How BuildKit names the last step of a push (util/push/push.go)."""
_NOT_ALLOWED = r"(?:^|: )((?:security|network)\.[a-z]+) is not allowed$"
"""BuildKit's words for an entitlement that was not given (util/entitlements/entitlements.go)."""
_OF_CACHES = ("importing cache manifest from ", "exporting cache to ")
"""What may fail without ending the build: every import, and an export with `ignore-error=true`
(solver/llbsolver/bridge.go and solver.go in moby/buildkit)."""
_STEP = ("process ", "executor failed")
"""How BuildKit begins the error of a Dockerfile's own step; the rest is the step's text, not a registry's."""
_GIT = "git stderr:"
"""What BuildKit puts before git's own words (util/gitutil/git_cli.go): who refused there is no registry."""


class Refusal(Enum):
    """How a registry refused."""

    UNAUTHORIZED = "it does not accept the credential"
    FORBIDDEN = "the identity lacks the permission"
    EXPIRED = "the credential has expired"


# The first that is found in the error's text decides. The texts are those of containerd's and BuildKit's resolvers
# (core/remotes/docker, util/resolver) and of ECR's answers.
_MARKS: tuple[tuple[str, Refusal], ...] = (
    ("authorization token has expired", Refusal.EXPIRED),
    ("token has expired", Refusal.EXPIRED),
    ("insufficient_scope", Refusal.FORBIDDEN),
    ("403 forbidden", Refusal.FORBIDDEN),
    ("denied", Refusal.FORBIDDEN),
    ("401 unauthorized", Refusal.UNAUTHORIZED),
    ("authorization failed", Refusal.UNAUTHORIZED),
    ("no basic auth credentials", Refusal.UNAUTHORIZED),
    ("unauthorized", Refusal.UNAUTHORIZED),
)


# What BuildKit says of a registry that it spoke to in the wrong way, in the words of Go's crypto/tls and net/http. On
# loopback it tries plain HTTP where it does not trust the certificate, and Go's servers answer 400 to that.
TRUST = "name the CA that signed its certificate: --registry-ca {host}=FILE"
TRUST_NOT_PLAIN = f"{TRUST}, and leave out any --registry-http of it"
PLAIN = "say that it speaks plain HTTP: --registry-http {host}"
_WRONG_WAYS: tuple[tuple[str, str], ...] = (
    (r"https://HOST/.*x509: certificate signed by unknown authority", TRUST),
    (
        r"https://HOST/.*(server gave HTTP response to HTTPS client|first record does not look like a TLS handshake)",
        PLAIN,
    ),
    (r"http://HOST/v2/\S*: 400 Bad Request", TRUST_NOT_PLAIN),
)


class RegistryRefusal(NamedTuple):
    """A registry that refused during a build.

    Args:
        host: as BuildKit wrote it.
        refusal: how.
        text: BuildKit's own words.
    """

    host: str
    refusal: Refusal
    text: str


class Failure:
    """Collects, event by event, what went wrong in one solve."""

    def __init__(self) -> None:
        self._errors: dict[str, tuple[str, str]] = {}
        self._pushed: dict[str, None] = {}
        self.reason = ""

    def observe(self, event: Mapping[str, Any]) -> None:
        """Take one object of BuildKit's progress stream (`client.SolveStatus` as JSON), or the reason behind it."""
        self.reason = event.get("reason", self.reason)
        for vertex in event.get("vertexes") or ():
            if vertex.get("error"):
                self._errors[vertex.get("digest", "")] = (vertex.get("name", ""), vertex["error"])
        for status in event.get("statuses") or ():
            if status.get("id", "").startswith(_PUSHING) and status.get("completed"):
                self._pushed[status["id"].removeprefix(_PUSHING).partition("@")[0]] = None

    def errors(self) -> tuple[tuple[str, str], ...]:
        """Name and error of every vertex that failed, in their order, without those cancelled for another's sake.

        A cache that was passed over did not fail the build; one that did is the build's own reason.
        """
        return tuple(
            (name, text)
            for name, text in self._errors.values()
            if "context canceled" not in text and (text in self.reason or not name.startswith(_OF_CACHES))
        )

    def words(self) -> str:
        """All that BuildKit said of what went wrong."""
        return "\n".join((self.reason, *(text for _, text in self._errors.values())))

    def pushed(self) -> tuple[str, ...]:
        """The references that were pushed all the same, as BuildKit writes them, without digest."""
        # BuildKit ends the line of a push that failed, too; its error names the reference.
        texts = [text for _, text in self._errors.values()]
        return tuple(name for name in self._pushed if not any(f"failed to push {name}:" in text for text in texts))

    def missing_entitlement(self) -> str:
        """What the build wanted to do and was not allowed (`security.insecure`), or empty."""
        found = re.search(_NOT_ALLOWED, self.reason)
        return found[1] if found else ""

    def refusals(self) -> tuple[RegistryRefusal, ...]:
        """The registries that refused, each once."""
        found = (refusal_of(name, text) for name, text in self.errors())
        return tuple({refusal.host: refusal for refusal in found if refusal}.values())


def refusal_of(vertex: str, text: str) -> RegistryRefusal | None:
    """The refusal behind one vertex's error, or None when the error is of another kind."""
    if text.startswith(_STEP) or _GIT in text:
        return None
    lowered = text.lower()
    refusal = next((kind for mark, kind in _MARKS if mark in lowered), None)
    if refusal is None:
        return None
    host = _host_in(vertex, text)
    return RegistryRefusal(host=host, refusal=refusal, text=text) if host else None


def _host_in(vertex: str, text: str) -> str:
    """The registry that the vertex speaks to: of its own name where that holds a reference, else of the error.

    A token server may have another host than its registry, so the vertex's name goes first. Of another vertex, as a
    step, neither name nor error need be of a registry: they quote paths and whatever the Dockerfile says.
    """
    asked_for = re.match(_ASKED_FOR, vertex)
    if not asked_for and not vertex.startswith(_SENDING):
        layer = re.search(_OF_LAYER, text)
        return layer[1] if layer else ""
    first, slash, _ = asked_for[1].partition("/") if asked_for else ("", "", "")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first
    pushed = re.search(_PUSH, text)
    if pushed:
        return pushed[1]
    urls: Iterable[tuple[str, str]] = re.findall(_URL, text)
    return next((host for host, _ in urls), "")


def remedy_of_way(text: str) -> str:
    """What to do about a registry that BuildKit spoke to in the wrong way; empty for an error of another kind."""
    if text.startswith(_STEP):
        return ""
    for pattern, remedy in _WRONG_WAYS:
        found = re.search(pattern.replace("HOST", r"([^/\s\"']+)"), text)
        if found:
            return remedy.format(host=found[1])
    return ""
