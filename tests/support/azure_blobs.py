"""Azure's Blob Storage and the login in front of it, as far as BuildKit's cache uses them; behind TLS and real names.

Requests and answers are those of Microsoft's reference ("Blob Storage REST API", "Microsoft identity platform and the
OAuth 2.0 client credentials flow"). Like the real service it takes no request without a token that it gave out itself,
and no client secret but the right one.
"""

from __future__ import annotations

import re
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

from ocibuild_testkit.httpd import Handler, HttpServer
from ocibuild_testkit.proxy import NameProxy

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from ocibuild_testkit.registry import Authority

LOGIN = "login.microsoftonline.com"
ACCOUNT = "cachesoftests.blob.core.windows.net"


class BlobStore:
    """Block blobs by path; uncommitted blocks are no part of a blob."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self._blocks: dict[tuple[str, str], bytes] = {}

    def put(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        """Put Blob, Put Block, and Put Block List."""
        kind = query.get("comp", [""])[0]
        if kind == "block":
            self._blocks[path, query["blockid"][0]] = body
        elif kind == "blocklist":
            named = re.findall(r"<(?:Latest|Uncommitted|Committed)>([^<]+)</", body.decode())
            self.blobs[path] = b"".join(self._blocks.pop((path, name)) for name in named)
        else:
            self.blobs[path] = body


class BlobHandler(Handler):
    """Answers for one blob store; a subclass says who may, and which paths are containers."""

    store: BlobStore

    def refuse(self, status: HTTPStatus, code: str) -> None:
        """An error as the service words it."""
        self.send_response(status)
        self.send_header("x-ms-error-code", code)
        self._end(f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'.encode())

    def succeed(self, status: HTTPStatus = HTTPStatus.OK, content: bytes = b"", **headers: str) -> None:
        """An answer without an error."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self._end(content)

    def _end(self, content: bytes) -> None:
        self.send_header("x-ms-request-id", str(uuid4()))
        self.send_header("x-ms-version", "2024-11-04")
        self.send_header("ETag", '"0x1"')
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def read_blob(self, path: str) -> None:
        """Get Blob and Get Blob Properties, also from an offset on."""
        blob = self.store.blobs.get(path)
        if blob is None:
            self.refuse(HTTPStatus.NOT_FOUND, "BlobNotFound")
            return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("x-ms-range") or self.headers.get("Range") or "")
        if self.command == "HEAD" or not wanted:
            self.succeed(content=blob)
            return
        first, last = int(wanted[1]), min(int(wanted[2] or len(blob) - 1), len(blob) - 1)
        shown = f"bytes {first}-{last}/{len(blob)}"
        self.succeed(HTTPStatus.PARTIAL_CONTENT, blob[first : last + 1], Content_Range=shown)

    def write_blob(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        """Put Blob and its kin."""
        if self.headers.get("If-None-Match") == "*" and path in self.store.blobs and query.get("comp") != ["block"]:
            self.refuse(HTTPStatus.CONFLICT, "BlobAlreadyExists")
            return
        self.store.put(path, query, body)
        self.succeed(HTTPStatus.CREATED)


class Azure:
    """A storage account and the login service, reached by their real names through `proxy`.

    Args:
        authority: signs the certificate of both.
        client_secret: of the one application that may log in.
    """

    tenant = "11111111-2222-3333-4444-555555555555"
    client = "66666666-7777-8888-9999-000000000000"

    def __init__(self, authority: Authority, client_secret: str) -> None:
        self.store = BlobStore()
        self.containers: set[str] = set()
        self.logins: list[str] = []
        self._client_secret = client_secret
        self._tokens: set[str] = set()
        azure = self

        class _Azure(BlobHandler):
            store = azure.store

            def do_GET(self) -> None:  # noqa: N802  # the base class looks for this name
                azure._answer(self)

            do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815  # the base class looks for these names

        self._server = HttpServer(_Azure, authority=authority, names=(LOGIN, ACCOUNT))
        self.proxy = NameProxy({LOGIN: f"127.0.0.1:{self._server.port}", ACCOUNT: f"127.0.0.1:{self._server.port}"})

    def __enter__(self) -> Self:
        self._server.start()
        self.proxy.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.proxy.__exit__(kind, error, trace)
        self._server.stop()

    def env(self, client_secret: str) -> dict[str, str]:
        """What an application of a service principal has in its environment (azidentity, EnvironmentCredential)."""
        return {
            "AZURE_TENANT_ID": self.tenant,
            "AZURE_CLIENT_ID": self.client,
            "AZURE_CLIENT_SECRET": client_secret,
            "HTTPS_PROXY": self.proxy.url,
        }

    def _answer(self, request: BlobHandler) -> None:
        parts = urlsplit(request.path)
        path, query = unquote(parts.path), parse_qs(parts.query, keep_blank_values=True)
        body = _body(request)
        if (request.headers["Host"] or "").startswith(LOGIN):
            self._login(request, path, body)
        elif (request.headers.get("Authorization") or "").removeprefix("Bearer ") not in self._tokens:
            request.refuse(HTTPStatus.UNAUTHORIZED, "InvalidAuthenticationInfo")
        elif query.get("restype") == ["container"]:
            self._container(request, path)
        elif path.split("/")[1] not in self.containers:
            request.refuse(HTTPStatus.NOT_FOUND, "ContainerNotFound")
        elif request.command == "PUT":
            request.write_blob(path, query, body)
        else:
            request.read_blob(path)

    def _container(self, request: BlobHandler, path: str) -> None:
        name = path.strip("/")
        if request.command == "PUT":
            self.containers.add(name)
            request.succeed(HTTPStatus.CREATED)
        elif name in self.containers:
            request.succeed()
        else:
            request.refuse(HTTPStatus.NOT_FOUND, "ContainerNotFound")

    def _login(self, request: BlobHandler, path: str, body: bytes) -> None:
        base = f"https://{LOGIN}/{self.tenant}"
        if path == "/common/discovery/instance":
            aliases = {"preferred_network": LOGIN, "preferred_cache": LOGIN, "aliases": [LOGIN]}
            found = f"{base}/v2.0/.well-known/openid-configuration"
            request.reply(HTTPStatus.OK, {"tenant_discovery_endpoint": found, "metadata": [aliases]})
        elif path.endswith("/openid-configuration"):
            endpoints = {name: f"{base}/oauth2/v2.0/{name}" for name in ("authorize", "token")}
            request.reply(
                HTTPStatus.OK,
                {
                    "token_endpoint": endpoints["token"],
                    "authorization_endpoint": endpoints["authorize"],
                    "issuer": f"{base}/v2.0",
                },
            )
        else:
            self._token(request, {key: values[0] for key, values in parse_qs(body.decode()).items()})

    def _token(self, request: BlobHandler, form: dict[str, str]) -> None:
        self.logins.append(form.get("client_id", ""))
        is_right = (form.get("client_id"), form.get("client_secret")) == (self.client, self._client_secret)
        if not is_right or form.get("scope", "").split()[0] != "https://storage.azure.com/.default":
            request.reply(HTTPStatus.UNAUTHORIZED, {"error": "invalid_client", "error_description": "AADSTS7000215"})
            return
        token = secrets.token_urlsafe(32)
        self._tokens.add(token)
        request.reply(HTTPStatus.OK, {"token_type": "Bearer", "expires_in": 3599, "access_token": token})


def _body(request: Handler) -> bytes:
    if request.headers.get("Transfer-Encoding") != "chunked":
        return request.body()
    pieces = []
    while size := int(request.rfile.readline().split(b";")[0], 16):
        pieces.append(request.rfile.read(size))
        request.rfile.readline()
    request.rfile.readline()
    return b"".join(pieces)
