"""A small registry client: enough to put images in and to look at what somebody else put there."""

from __future__ import annotations

import hashlib
import http.client
import json
from contextlib import closing
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlencode, urlsplit

from ocibuild_testkit.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocibuild_testkit.registry.tls import Authority

_SECONDS = 30
_BYTES = "application/octet-stream"
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)


class RegistryClient:
    """Speaks the OCI distribution protocol (https://github.com/opencontainers/distribution-spec) to one registry.

    Args:
        address: the registry's `host[:port]`: the header `Host`, and the name that its certificate has to hold.
        connect_to: the address and port to connect to, whatever the name means elsewhere.
        authority: the only authority to trust; None is plain HTTP.
        authorize: gives the header `Authorization` for a repository, or None.
    """

    user_agent: ClassVar[str] = "ocibuild-testkit"

    def __init__(
        self,
        address: str,
        *,
        connect_to: tuple[str, int],
        authority: Authority | None = None,
        authorize: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._address = address
        self._connect_to = connect_to
        self._context = authority.client_context() if authority else None
        self._authorize = authorize

    def push_blob(self, repository: str, content: bytes) -> str:
        """Put a blob there unless it is there already; returns its digest."""
        digest = digest_of(content)
        status, _, _ = self._ask("HEAD", repository, f"blobs/{digest}")
        if status == http.HTTPStatus.OK:
            return digest
        status, headers, _ = self._expect(202, "POST", repository, "blobs/uploads/")
        target = urlsplit(headers["location"])
        query = "&".join(filter(None, (target.query, urlencode({"digest": digest}))))
        self._expect(201, "PUT", repository, f"{target.path}?{query}", body=content, media_type=_BYTES)
        return digest

    def push_manifest(self, repository: str, reference: str, content: bytes, media_type: str) -> str:
        """Put a manifest or an index under a tag or its digest; returns its digest."""
        self._expect(201, "PUT", repository, f"manifests/{reference}", body=content, media_type=media_type)
        return digest_of(content)

    def manifest(self, repository: str, reference: str) -> tuple[str, bytes]:
        """The media type and the bytes of a manifest or an index."""
        _, headers, content = self._expect(200, "GET", repository, f"manifests/{reference}")
        return headers["content-type"], content

    def blob(self, repository: str, digest: str) -> bytes:
        """A blob's bytes."""
        return self._expect(200, "GET", repository, f"blobs/{digest}")[2]

    def tags(self, repository: str) -> tuple[str, ...]:
        """The tags of a repository, in order; none when there is no such repository."""
        status, _, content = self._ask("GET", repository, "tags/list")
        return tuple(sorted(json.loads(content)["tags"] or ())) if status == http.HTTPStatus.OK else ()

    def _expect(
        self, wanted: int, method: str, repository: str, path: str, *, body: bytes | None = None, media_type: str = ""
    ) -> tuple[int, Mapping[str, str], bytes]:
        status, headers, content = self._ask(method, repository, path, body=body, media_type=media_type)
        if status != wanted:
            said = content.decode(errors="replace")
            raise RegistryError(f"registry {self._address}: {method} {repository} {path} gave {status}: {said}")
        return status, headers, content

    def _ask(
        self, method: str, repository: str, path: str, *, body: bytes | None = None, media_type: str = ""
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Host": self._address, "User-Agent": self.user_agent, "Accept": ", ".join(_MANIFESTS)}
        authorization = self._authorize(repository)
        if authorization:
            headers["Authorization"] = authorization
        if media_type:
            headers["Content-Type"] = media_type
        target = path if path.startswith("/") else f"/v2/{repository}/{path}"
        with closing(self._connection()) as connection:
            connection.request(method, target, body=body, headers=headers)
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()

    def _connection(self) -> http.client.HTTPConnection:
        if self._context is None:
            return http.client.HTTPConnection(*self._connect_to, timeout=_SECONDS)
        return http.client.HTTPSConnection(*self._connect_to, timeout=_SECONDS, context=self._context)


def digest_of(content: bytes) -> str:
    """The digest of some bytes, as registries name it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
