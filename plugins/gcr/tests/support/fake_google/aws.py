"""Reads the signed request for GetCallerIdentity with which an AWS workload shows Google who it is.

Sources: https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token (the serialised request) and
https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html (Signature Version 4).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<scope>[^,]+), SignedHeaders=(?P<names>[^,]+), "
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


def caller(token: str, audience: str, secrets: Mapping[str, str]) -> str | None:
    """The access key id that signed the request for this audience; None when anything about it is wrong.

    Args:
        token: the subject token.
        audience: the provider that it has to be meant for.
        secrets: the secret keys that exist, by access key id.
    """
    request = json.loads(unquote(token))
    headers = {one["key"].lower(): one["value"] for one in request["headers"]}
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    url = urlsplit(request["url"])
    if not found or found["key"] not in secrets or headers.get("x-goog-cloud-target-resource") != audience:
        return None
    if not re.fullmatch(r"sts\.[a-z0-9-]+\.amazonaws\.com", url.netloc) or headers.get("host") != url.netloc:
        return None
    names = found["names"].split(";")
    if "host" not in names:
        return None
    lines = [f"{name}:{headers[name]}" for name in names]
    canonical = [request["method"], url.path or "/", url.query, *lines, "", found["names"], _sha256("")]
    to_sign = ["AWS4-HMAC-SHA256", headers["x-amz-date"], found["scope"], _sha256("\n".join(canonical))]
    signature = _key(secrets[found["key"]], found["scope"])
    expected = hmac.new(signature, "\n".join(to_sign).encode(), "sha256").hexdigest()
    return found["key"] if hmac.compare_digest(expected, found["signature"]) else None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    return key
