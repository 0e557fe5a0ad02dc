"""AWS Signature Version 4, the side that checks. Written from the specification alone, so that it shares no fault
with the SDK's own signer: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, "
    r"SignedHeaders=(?P<headers>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)
_MUST_BE_SIGNED = {"host", "x-amz-date"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """What came over the wire. Header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a request claims to be signed with."""

    access_key: str
    day: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    signed_at: datetime


def claimed(request: HttpRequest) -> Signature | None:
    """The claim in the Authorization header, None when there is no well-formed one."""
    found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    date = request.headers.get("x-amz-date", "")
    if not found or not re.fullmatch(r"\d{8}T\d{6}Z", date) or not date.startswith(found["day"]):
        return None
    names = tuple(found["headers"].split(";"))
    if not set(names) >= _MUST_BE_SIGNED or list(names) != sorted(names):
        return None
    return Signature(
        access_key=found["key"],
        day=found["day"],
        region=found["region"],
        service=found["service"],
        signed_headers=names,
        signature=found["signature"],
        signed_at=datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
    )


def is_valid(request: HttpRequest, claim: Signature, secret_key: str) -> bool:
    """Whether the secret key makes the same signature out of the request as it came."""
    scope = f"{claim.day}/{claim.region}/{claim.service}/aws4_request"
    digest = hashlib.sha256(_canonical(request, claim).encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, digest])
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.compare_digest(hmac.digest(key, to_sign.encode(), "sha256").hex(), claim.signature)


def _canonical(request: HttpRequest, claim: Signature) -> str:
    url = urlsplit(request.target)
    query = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(url.query, keep_blank_values=True)
    )
    return "\n".join(
        [
            request.method,
            quote(url.path or "/", safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in query),
            *(f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in claim.signed_headers),
            "",
            ";".join(claim.signed_headers),
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
