"""Entra and a registry of Azure's kind on this machine: everything that they hand out is signed, and checked again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import secrets
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ocibuild_testkit.httpd import Handler, HttpServer
from ocibuild_testkit.registry import Identity, TokenAuth

if TYPE_CHECKING:
    from ocibuild_testkit.registry import Authority, RegistryServer

TENANT = "contoso.example"
CLIENT = "11111111-2222-3333-4444-555555555555"
AUDIENCE = "https://containerregistry.azure.net"
TOKEN_USER = "00000000-0000-0000-0000-000000000000"


def registry_auth() -> TokenAuth:
    """What guards the registry behind: only `TOKEN_USER` comes in, with the refresh token of the last exchange."""
    return TokenAuth([Identity(username=TOKEN_USER, password=secrets.token_hex(32), push=())])


class FakeAzure:
    """One TLS server: Entra's token endpoint, the registry's exchange, and `/v2/` of the real registry behind it.

    Args:
        authority: signs its certificate.
        client_secret: the secret of `CLIENT`.
        registry: the real registry; None when no image is pulled.
    """

    def __init__(self, authority: Authority, client_secret: str, registry: RegistryServer | None = None) -> None:
        self.client_secret = client_secret
        self._key = secrets.token_bytes(32)
        self._registry = registry
        self.exchanges = 0
        azure = self

        class _Handler(Handler):
            def do_POST(self) -> None:
                form = {key: values[0] for key, values in parse_qs(self.body().decode()).items()}
                self.reply(*azure.answer(self.path, form))

            def do_GET(self) -> None:
                azure.forward(self)

            do_HEAD = do_GET

        self._server = HttpServer(_Handler, authority=authority)
        self._server.start()
        self.address = self._server.address
        self.url = self._server.url

    def stop(self) -> None:
        """Stop listening."""
        self._server.stop()

    def entra_token(self, *, audience: str = AUDIENCE, lifetime: int = 3600, tenant: str = TENANT) -> str:
        """An access token as Entra signs it."""
        return self._sign({"aud": audience, "tid": tenant, "exp": time.time() + lifetime})

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and body for a form."""
        if path == f"/{TENANT}/oauth2/v2.0/token":
            return self._answer_as_entra(form)
        if path == "/oauth2/exchange":
            return self._answer_as_registry(form)
        return 404, {"error": "not_found", "error_description": "AADSTS90002: there is no such tenant"}

    def _answer_as_entra(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        wanted = {
            "grant_type": "client_credentials",
            "client_id": CLIENT,
            "client_secret": self.client_secret,
            "scope": f"{AUDIENCE}/.default",
        }
        if form != wanted:
            said = f"AADSTS7000215: invalid client secret {form.get('client_secret')}"
            return 401, {"error": "invalid_client", "error_description": said}
        return 200, {"token_type": "Bearer", "expires_in": 3600, "access_token": self.entra_token()}

    def _answer_as_registry(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        claims = self._verified(form.get("access_token", ""))
        is_good = (
            form.get("grant_type") == "access_token"
            and form.get("service") == self.address
            and form.get("tenant", TENANT) == claims.get("tid") == TENANT
            and claims.get("aud") == AUDIENCE
            and claims.get("exp", 0) > time.time()
        )
        if not is_good:
            return 401, {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
        self.exchanges += 1
        token = self._sign({"sub": CLIENT, "exp": int(time.time()) + 3 * 3600, "jti": secrets.token_hex(8)})
        if self._registry and isinstance(self._registry.auth, TokenAuth):
            self._registry.auth.accounts.set_password(TOKEN_USER, token)
        return 200, {"refresh_token": token}

    def forward(self, handler: Handler) -> None:
        """Hand a pull on to the real registry."""
        if self._registry is None:
            handler.reply(404, {})
            return
        connection = http.client.HTTPConnection("127.0.0.1", self._registry.port, timeout=30)
        headers = {name: value for name, value in handler.headers.items() if name.lower() != "connection"}
        connection.request(handler.command, handler.path, headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        handler.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                handler.send_header(name, value)
        handler.send_header("Content-Length", answer.getheader("Content-Length") or str(len(content)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)
        connection.close()

    def _sign(self, claims: dict[str, object]) -> str:
        """A JSON web token (RFC 7519) with HMAC."""
        body = f"{_encoded({'alg': 'HS256', 'typ': 'JWT'})}.{_encoded(claims)}"
        return f"{body}.{self._signature(body)}"

    def _verified(self, token: str) -> dict[str, Any]:
        body, _, signature = token.rpartition(".")
        if not body or not hmac.compare_digest(signature, self._signature(body)):
            return {}
        part = body.partition(".")[2]
        return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))

    def _signature(self, body: str) -> str:
        return _unpadded(hmac.new(self._key, body.encode(), hashlib.sha256).digest())


def _encoded(value: object) -> str:
    return _unpadded(json.dumps(value).encode())


def _unpadded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
