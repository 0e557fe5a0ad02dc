"""The way to the cloud: an HTTP address for AWS_ENDPOINT_URL, and a proxy behind which AWS's own names speak TLS."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Mapping
from email.utils import format_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

from ocibuild_testkit.httpd import Handler, HttpServer, server_context
from ocibuild_testkit.proxy import join

from fake_aws.cloud import Cloud, Refusal
from fake_aws.places import place_of
from fake_aws.sigv4 import HttpRequest

if TYPE_CHECKING:
    from ocibuild_testkit.registry import Authority

_TARGETS = {
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
    "SpencerFrontendService": "ecr-public",
}
_STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_CODES = {
    # What is wrong: its code in the JSON dialect, its code in STS's XML. Whatever else is a code itself.
    "denied": ("AccessDeniedException", "AccessDenied"),
    "expired": ("ExpiredTokenException", "ExpiredToken"),
    "unknown": ("UnrecognizedClientException", "InvalidClientTokenId"),
    "signature": ("InvalidSignatureException", "SignatureDoesNotMatch"),
    "throttled": ("ThrottlingException", "Throttling"),
    "no-token": ("MissingAuthenticationTokenException", "MissingAuthenticationToken"),
    "invalid": ("InvalidParameterException", "ValidationError"),
    "bad-token": ("", "InvalidIdentityToken"),
    "expired-web": ("", "ExpiredTokenException"),
    "no-action": ("UnknownOperationException", "InvalidAction"),
}


class AwsServer:
    """Answers for a cloud until its `with` block ends.

    Args:
        cloud: who answers.
        authority: signs certificates for AWS's names; None: no proxy.

    Attributes:
        hosts: what was asked of the proxy.
        routes: ports of this machine for names that are not AWS's API (registries).
        hangs: set, every API call waits for ever.
        delay: seconds that every API call takes.
    """

    def __init__(self, cloud: Cloud, authority: Authority | None = None) -> None:
        self.cloud = cloud
        self.hosts: list[str] = []
        self.routes: dict[str, int] = {}
        self.hangs = threading.Event()
        self.delay = 0.0
        self._authority = authority
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server = HttpServer(type("Bound", (_Handler,), {"aws": self}))

    @property
    def url(self) -> str:
        """For AWS_ENDPOINT_URL and for HTTPS_PROXY."""
        return self._server.url

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._server.stop()

    def take_time(self) -> None:
        """Let a client wait as long as the test wants."""
        self._released.wait(60 if self.hangs.is_set() else self.delay)

    def context_for(self, host: str) -> ssl.SSLContext | None:
        """The certificate of a host that AWS has; None for any other."""
        with self._lock:
            self.hosts.append(host)
            if self._authority is None or place_of(host) is None:
                return None
            if host not in self._contexts:
                self._contexts[host] = server_context(self._authority, (host,))
            return self._contexts[host]


class _Handler(Handler):
    aws: AwsServer
    behind = ""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """AWS's own clock stands in the header Date."""
        del timestamp
        return format_datetime(self.aws.cloud.now() + self.aws.cloud.skew, usegmt=True)

    def do_CONNECT(self) -> None:
        host, _, port = self.path.partition(":")
        if host in self.aws.routes:
            self._tunnel(self.aws.routes[host])
            return
        context = self.aws.context_for(host)
        if context is None or port != "443":
            self.send_error(502, "no such host")
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        with context.wrap_socket(self.connection, server_side=True) as secure:
            type("Behind", (type(self),), {"behind": host})(secure, self.client_address, self.server)

    def _tunnel(self, port: int) -> None:
        """To a registry on this machine, which has its own certificate."""
        self.close_connection = True
        with socket.create_connection(("127.0.0.1", port), timeout=self.timeout) as registry:
            self.send_response(200)
            self.end_headers()
            join(self.connection, registry)

    def do_GET(self) -> None:
        self.aws.take_time()
        url = urlsplit(self.path)
        if url.path != "/federation/credentials":
            self._send(404, "text/plain", "")
            return
        query = dict(parse_qsl(url.query))
        token = self.headers.get("x-amz-sso_bearer_token", "")
        try:
            found = self.aws.cloud.sso_role_credentials(token, query["account_id"], query["role_name"])
        except Refusal as refusal:
            code = {"__type": "UnauthorizedException", "message": refusal.message}
            self._send(
                refusal.status, "application/json", json.dumps(code), {"x-amzn-ErrorType": "UnauthorizedException"}
            )
        else:
            self._send(200, "application/json", json.dumps(found))

    def do_POST(self) -> None:
        self.aws.take_time()
        body = self.body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = HttpRequest(method="POST", target=self.path, headers=headers, body=body)
        if "x-amz-target" in headers:
            self._json(request)
        else:
            self._query(request)

    def _json(self, request: HttpRequest) -> None:
        prefix, _, operation = request.headers["x-amz-target"].partition(".")
        action = f"{_TARGETS.get(prefix, '?')}:{operation}"
        try:
            found = self._perform(action, request, json.loads(request.body))
        except Refusal as refusal:
            code = _CODES.get(refusal.kind, (refusal.kind,))[0]
            status = 400 if refusal.status == 403 else refusal.status
            self._send(status, "application/x-amz-json-1.1", json.dumps({"__type": code, "message": refusal.message}))
        else:
            self._send(200, "application/x-amz-json-1.1", json.dumps(found))

    def _query(self, request: HttpRequest) -> None:
        params = dict(parse_qsl(request.body.decode()))
        operation = params.get("Action", "?")
        if params.get("Version") != "2011-06-15":
            operation = "?"
        try:
            found = self._perform(f"sts:{operation}", request, params)
        except Refusal as refusal:
            error = {
                "Error": {
                    "Type": "Sender",
                    "Code": _CODES.get(refusal.kind, ("", refusal.kind))[1],
                    "Message": refusal.message,
                }
            }
            self._send(refusal.status, "text/xml", _xml("ErrorResponse", error | {"RequestId": "example"}))
        else:
            document = {f"{operation}Result": found, "ResponseMetadata": {"RequestId": "example"}}
            self._send(200, "text/xml", _xml(f"{operation}Response", document))

    def _perform(self, action: str, request: HttpRequest, params: Mapping[str, Any]) -> Any:
        place = place_of(self.behind) if self.behind else None
        service = action.partition(":")[0]
        if place and place.service != service:
            raise Refusal("no-action", f"{self.behind} knows no {action}", 404)
        return self.aws.cloud.perform(action, self.behind, place.region if place else None, request, params)

    def _send(self, status: int, kind: str, text: str, headers: Mapping[str, str] | None = None) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("x-amzn-RequestId", "example")
        self.end_headers()
        self.wfile.write(content)


def _xml(name: str, document: object, *, is_root: bool = True) -> str:
    space = f' xmlns="{_STS_NAMESPACE}"' if is_root else ""
    if isinstance(document, Mapping):
        inner = "".join(_xml(key, value, is_root=False) for key, value in document.items())
    else:
        inner = escape(str(document))
    return f"<{name}{space}>{inner}</{name}>"
