"""What is on a machine's own link: the instance metadata service, a container's credential endpoint, GitHub's OIDC.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html,
https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
"""

from __future__ import annotations

import json
import secrets
import threading
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from ocibuild_testkit.httpd import Handler, HttpServer

from fake_aws.cloud import Keys
from fake_aws.oidc import Issuer

_ROLES = "/latest/meta-data/iam/security-credentials/"


class Machine:
    """Answers until its `with` block ends.

    Args:
        keys: what the machine's role has; None: the machine has no role.
        issuer: who signs GitHub's tokens.
        make_secret: makes the tokens that callers have to show.
    """

    def __init__(
        self, keys: Keys | None = None, *, issuer: Issuer | None = None, make_secret: Any = secrets.token_hex
    ) -> None:
        self.keys = keys
        self.issuer = issuer
        self.bearer = make_secret()
        self.session_token = make_secret()
        self.requests: list[str] = []
        self.failures = 0
        self.silent_to: set[str] = set()
        self._released = threading.Event()
        self._server = HttpServer(type("Bound", (_Handler,), {"machine": self}))

    @property
    def url(self) -> str:
        return self._server.url

    def instance_env(self) -> dict[str, str]:
        """An EC2 instance."""
        return {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.url, "AWS_EC2_METADATA_DISABLED": "false"}

    def container_env(self) -> dict[str, str]:
        """A container in ECS, or a pod with an EKS pod identity."""
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/container",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self.bearer,
        }

    def github_env(self) -> dict[str, str]:
        """A job with the permission `id-token: write`."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/github?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.bearer,
        }

    def wait(self) -> None:
        self._released.wait(60)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._server.stop()


class _Handler(Handler):
    machine: Machine

    def do_PUT(self) -> None:
        self.machine.requests.append(f"PUT {self.path}")
        if "PUT" in self.machine.silent_to:
            self.machine.wait()
        elif self.path == "/latest/api/token" and self.headers.get("x-aws-ec2-metadata-token-ttl-seconds"):
            self._send(200, self.machine.session_token)
        else:
            self._send(400, "")

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.machine.requests.append(f"GET {url.path}")
        if "GET" in self.machine.silent_to:
            self.machine.wait()
        elif url.path.startswith("/latest/"):
            self._metadata(url.path)
        elif url.path == "/container":
            self._container()
        elif url.path == "/github":
            self._github(parse_qs(url.query))
        else:
            self._send(404, "")

    def _metadata(self, path: str) -> None:
        if self.headers.get("x-aws-ec2-metadata-token") != self.machine.session_token:
            self._send(401, "")  # IMDSv2 is required
        elif path == _ROLES and self.machine.keys:
            self._send(200, "node-role")
        elif path == f"{_ROLES}node-role" and self.machine.keys:
            self._send(200, json.dumps({"Code": "Success", "Type": "AWS-HMAC", **_document(self.machine.keys)}))
        else:
            self._send(404, "")

    def _container(self) -> None:
        if self.headers.get("Authorization") != self.machine.bearer:
            self._send(401, json.dumps({"message": "no"}))
        elif self.machine.keys:
            self._send(200, json.dumps(_document(self.machine.keys)))
        else:
            self._send(200, json.dumps({"Code": "AccessDenied", "Message": "no role"}))

    def _github(self, query: dict[str, list[str]]) -> None:
        if self.machine.failures:
            self.machine.failures -= 1
            self._send(503, "")
        elif not self._is_bearer() or self.machine.issuer is None:
            self._send(401, "")
        elif query.get("api-version") != ["2.0"]:
            self._send(400, "")
        else:
            self._send(200, json.dumps({"value": self.machine.issuer.token(audience=query["audience"][0])}))

    def _is_bearer(self) -> bool:
        """Whether GitHub's bearer is shown; the scheme's case does not matter (RFC 9110, section 11.1)."""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and token == self.machine.bearer

    def _send(self, status: int, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _document(keys: Keys) -> dict[str, str | None]:
    return {
        "AccessKeyId": keys.access_key,
        "SecretAccessKey": keys.secret_key,
        "Token": keys.token,
        "Expiration": f"{datetime.now(UTC) + timedelta(hours=6):%Y-%m-%dT%H:%M:%SZ}",
    }
