"""GitHub's cache service, version 2, as its client speaks to it (cache_v2.go in tonistiigi/go-actions-cache).

Three calls of `github.actions.results.api.v1.CacheService` over Twirp, and signed URLs of Azure's Blob Storage. An
entry is there once its upload is finalised, and is never written again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from ocibuild_testkit.httpd import HttpServer

from support.azure_blobs import BlobHandler, BlobStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

_SERVICE = "/twirp/github.actions.results.api.v1.CacheService/"


class ActionsCache:
    """The service of one repository.

    Args:
        token: the only one that is taken.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        self._signature = secrets.token_urlsafe(16)
        self._store = BlobStore()
        self._reserved: set[tuple[str, str]] = set()
        self.entries: dict[tuple[str, str], str] = {}
        """By key and version, the blob's path."""
        service = self

        class _Service(BlobHandler):
            store = service._store

            def do_POST(self) -> None:  # noqa: N802  # the base class looks for this name
                service._call(self)

            def do_PUT(self) -> None:  # noqa: N802
                service._blob(self)

            do_GET = do_HEAD = do_PUT  # noqa: N815  # the base class looks for these names

        self._server = HttpServer(_Service)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    @property
    def env(self) -> dict[str, str]:
        """What a job of GitHub's has in its environment, once it was asked to hand it on."""
        return {
            "ACTIONS_CACHE_SERVICE_V2": "true",
            "ACTIONS_RESULTS_URL": f"{self._server.url}/",
            "ACTIONS_RUNTIME_TOKEN": self._token,
        }

    def _call(self, request: BlobHandler) -> None:
        asked = json.loads(request.body())
        if request.headers.get("Authorization") != f"Bearer {self._token}":
            request.reply(HTTPStatus.UNAUTHORIZED, {"code": "unauthenticated", "msg": "bad token"})
            return
        calls: dict[str, Callable[[BlobHandler, dict[str, Any]], None]] = {
            "CreateCacheEntry": self._create,
            "FinalizeCacheEntryUpload": self._finalize,
            "GetCacheEntryDownloadURL": self._find,
        }
        calls[request.path.removeprefix(_SERVICE)](request, asked)

    def _create(self, request: BlobHandler, asked: dict[str, str]) -> None:
        entry = asked["key"], asked["version"]
        if entry in self._reserved:
            request.reply(HTTPStatus.CONFLICT, {"code": "already_exists", "msg": "cache entry already exists"})
            return
        self._reserved.add(entry)
        request.reply(HTTPStatus.OK, {"ok": True, "signed_upload_url": self._url(_path(*entry))})

    def _finalize(self, request: BlobHandler, asked: dict[str, str]) -> None:
        path = _path(asked["key"], asked["version"])
        blob = self._store.blobs.get(path)
        is_whole = blob is not None and len(blob) == int(asked["size_bytes"])
        if is_whole:
            self.entries[asked["key"], asked["version"]] = path
        request.reply(HTTPStatus.OK, {"ok": is_whole, "entry_id": str(len(self.entries))})

    def _find(self, request: BlobHandler, asked: dict[str, Any]) -> None:
        """The key itself, else the newest entry that begins with one of the restore keys."""
        here = [(key, path) for (key, version), path in self.entries.items() if version == asked["version"]]
        matching = [one for one in here if one[0] == asked["key"]]
        for prefix in asked["restore_keys"]:
            matching = matching or [one for one in here[::-1] if one[0].startswith(prefix)]
        if not matching:
            request.reply(HTTPStatus.OK, {"ok": False})
            return
        key, path = matching[0]
        request.reply(HTTPStatus.OK, {"ok": True, "signed_download_url": self._url(path), "matched_key": key})

    def _url(self, path: str) -> str:
        return f"{self._server.url}{path}?sig={self._signature}"

    def _blob(self, request: BlobHandler) -> None:
        parts = urlsplit(request.path)
        query = parse_qs(parts.query)
        body = request.body()
        if query.get("sig") != [self._signature]:
            request.refuse(HTTPStatus.FORBIDDEN, "AuthenticationFailed")
        elif request.command == "PUT":
            request.write_blob(parts.path, query, body)
        else:
            request.read_blob(parts.path)


def _path(key: str, version: str) -> str:
    return f"/caches/{hashlib.sha256(f'{version} {key}'.encode()).hexdigest()}"


def runtime_token(signature: bytes) -> str:
    """A runtime token as a GitHub job has it: a JWT with the scopes of caches. Clients do not check who signed it."""
    now = int(time.time())
    claims = {"ac": json.dumps([{"Scope": "refs/heads/main", "Permission": 3}]), "nbf": now - 60, "exp": now + 3600}
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (*parts, signature))
