"""The way to the cloud: Google's host names with TLS, behind a proxy that knows no others; and the metadata server."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Self

from ocibuild_testkit.httpd import Handler, HttpServer
from ocibuild_testkit.proxy import NameProxy

from fake_google.cloud import SCOPE, Cloud

if TYPE_CHECKING:
    from types import TracebackType

    from ocibuild_testkit.registry import Authority

_HOSTS = ("oauth2.googleapis.com", "sts.googleapis.com", "iamcredentials.googleapis.com")


class _Handler(Handler):
    def say(self, status: int, content: bytes, **headers: str) -> None:
        """Send an answer whose header names have `_` for `-`."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Internet:
    """Google's endpoints behind an HTTP proxy, as a `with` block.

    Args:
        cloud: who answers.
        authority: signs the certificates of Google's hosts.

    Attributes:
        busy: so many answers are 503 before the next real one.
        hangs: nobody answers at all.
        redirect_to: where every answer points instead of being one.
        proxy: the way to all of it; further hosts may be added to its routes.
    """

    def __init__(self, cloud: Cloud, authority: Authority) -> None:
        self.cloud = cloud
        self.busy = 0
        self.hangs = False
        self.redirect_to = ""
        self._released = threading.Event()
        self._google = HttpServer(self._google_handler(), authority=authority, names=_HOSTS)
        self.proxy = NameProxy(dict.fromkeys(_HOSTS, self._google.address))

    def __enter__(self) -> Self:
        self._google.start()
        self.proxy.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._released.set()
        self.proxy.__exit__(kind, error, tb)
        self._google.stop()

    def _google_handler(self) -> type[Handler]:
        internet = self

        class Google(_Handler):
            def do_POST(self) -> None:  # noqa: N802  # http.server's name
                body = self.body()
                if internet.hangs:
                    internet._released.wait()
                    return
                if internet.busy:
                    internet.busy -= 1
                    self.say(503, b'{"error": {"code": 503, "message": "try later", "status": "UNAVAILABLE"}}')
                    return
                if internet.redirect_to:
                    self.say(307, b"", Location=internet.redirect_to)
                    return
                host = (self.headers.get("Host") or "").partition(":")[0]
                status, answer = internet.cloud.answer(host, self.path, self.headers, body)
                self.say(status, json.dumps(answer).encode())

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string(timestamp or internet.cloud.now().timestamp())

        return Google


class MetadataServer(HttpServer):
    """What a virtual machine of Google's finds at 169.254.169.254, as a `with` block.

    It wants the header that keeps browsers out, and refuses what went through a proxy
    (https://cloud.google.com/compute/docs/metadata/querying-metadata).

    Attributes:
        cloud: where the tokens live.
        email: the machine's service account; empty for none.
        lifetime: seconds that its tokens have left, as it hands out kept ones.
        hangs, busy: as with `Internet`.
        is_google: whether it says so; other clouds have a server at that address, too.
    """

    def __init__(self) -> None:
        self.reset(Cloud())
        self._released = threading.Event()
        super().__init__(self._handler())

    def __enter__(self) -> Self:
        self.start()
        return self

    def reset(self, cloud: Cloud) -> None:
        """Back to a quiet machine whose tokens live in `cloud`."""
        self.cloud = cloud
        self.email = "machine@project.iam.gserviceaccount.com"
        self.lifetime = 3599
        self.hangs = False
        self.hangs_for_tokens = False
        self.busy = 0
        self.is_google = True
        self.asked: list[str] = []

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._released.set()
        self.stop()

    def _handler(self) -> type[Handler]:
        server = self

        class Metadata(_Handler):
            def do_GET(self) -> None:  # noqa: N802  # the same
                path, _, query = self.path.partition("?")
                server.asked.append(path)
                if server.hangs or (server.hangs_for_tokens and path.endswith("/token")):
                    server._released.wait()
                    return
                if server.busy:
                    server.busy -= 1
                    self.say(503, b"busy")
                    return
                if not server.is_google:
                    self.say(401, b"unauthorized", Server="EC2ws")
                    return
                if self.headers.get("Metadata-Flavor") != "Google" or self.headers.get("X-Forwarded-For"):
                    self.say(403, b"Missing required header: Metadata-Flavor")
                    return
                status, answer = server._answer(path, query)
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.say(status, content, Metadata_Flavor="Google", Server="Metadata Server for VM")

        return Metadata

    def _answer(self, path: str, query: str) -> tuple[int, Any]:
        if path in {"", "/"}:
            return 200, b"computeMetadata/\n"
        accounts = "/computeMetadata/v1/instance/service-accounts/"
        name, _, what = path.removeprefix(accounts).partition("/")
        if not path.startswith(accounts) or not self.email or name not in {"default", self.email}:
            return 404, b"<html>Not Found</html>"
        if what == "" and "recursive=true" in query:
            return 200, {"aliases": ["default"], "email": self.email, "scopes": [SCOPE]}
        if what == "token":
            token, _ = self.cloud.issue(self.email, frozenset({SCOPE}))
            return 200, {"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer"}
        return 404, b"<html>Not Found</html>"
