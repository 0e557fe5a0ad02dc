"""Whether the instance metadata service answers here, for `ocibuild doctor`.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html,
https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ocibuild_core.plugin import Finding, Severity

from ocibuild_ecr.identity import OWN_CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocibuild_core.plugin import ProviderContext

_ENDPOINT_VARIABLE = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
_ADDRESSES = {"ipv4": "http://169.254.169.254", "ipv6": "http://[fd00:ec2::254]"}
_TOKEN_PATH = "/latest/api/token"  # noqa: S105  # where one is
_TOKEN_HEADERS = {"x-aws-ec2-metadata-token-ttl-seconds": "60"}
_ROLE_PATH = "/latest/meta-data/iam/security-credentials/"
_SECONDS = 1.0
"""For one answer, as the SDKs wait (AWS_METADATA_SERVICE_TIMEOUT): it is on the machine's own link."""
_OK = 200
_LONGEST = 4096


class _Answer(NamedTuple):
    status: int
    text: str


def look_at_metadata(context: ProviderContext) -> Finding:
    """Ask it for a session token and a role. Each answer is waited for a second at most."""
    if context.env.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return _fine("the instance metadata service is switched off (AWS_EC2_METADATA_DISABLED)")
    named = context.env.get(_ENDPOINT_VARIABLE, "")
    mode = context.env.get(f"{_ENDPOINT_VARIABLE}_MODE", "").lower()
    endpoint = named or _ADDRESSES.get(mode, _ADDRESSES["ipv4"])
    try:
        token = _ask(context, endpoint, "PUT", _TOKEN_PATH, _TOKEN_HEADERS)
    except TimeoutError:
        return _silent(context, endpoint)
    except (OSError, ValueError) as error:
        return _absent(endpoint, error, is_named=bool(named))
    if token.status != _OK:
        return _fine(f"what answers at {endpoint} is switched off, or not AWS's (HTTP status {token.status})")
    return _role(context, endpoint, token.text)


def _role(context: ProviderContext, endpoint: str, token: str) -> Finding:
    try:
        role = _ask(context, endpoint, "GET", _ROLE_PATH, {"x-aws-ec2-metadata-token": token})
    except (OSError, ValueError) as error:
        return _absent(endpoint, error, is_named=True)
    name = role.text.strip().partition("\n")[0]
    if role.status == _OK and name.isprintable() and name:
        return _fine(f"the instance metadata service has the role {name}")
    what = "the instance metadata service answers, and this machine has no role"
    if _has_other_source(context):
        return _fine(what)
    return Finding(
        severity=Severity.WARNING,
        what=what,
        do="attach an instance profile, or give AWS keys or ECR_ROLE_ARN with a web identity token",
    )


def _silent(context: ProviderContext, endpoint: str) -> Finding:
    """No token came. If it answers what needs none, the answer with the token was lost on its way: the hop limit."""
    try:
        _ask(context, endpoint, "GET", "/", {})
    except (OSError, ValueError) as error:
        return _absent(endpoint, error, is_named=_is_connected(context, endpoint))
    is_needed = context.explicit and not _has_other_source(context)
    return Finding(
        severity=Severity.FAILURE if is_needed else Severity.WARNING,
        what="the instance metadata service answers, but its session token does not arrive",
        why="its answer may pass as many hops as the instance allows, and a container is one hop more",
        do="aws ec2 modify-instance-metadata-options --instance-id ID --http-put-response-hop-limit 2 "
        "(HttpPutResponseHopLimit=2), or run in the host's network",
    )


def _absent(endpoint: str, error: Exception, *, is_named: bool) -> Finding:
    """Nothing useful is there; on most machines that is as it should be."""
    if not is_named:
        return _fine("there is no instance metadata service here")
    return Finding(
        severity=Severity.WARNING,
        what="the instance metadata service does not answer",
        why=f"{_shown(endpoint)}: {getattr(error, 'strerror', None) or str(error) or type(error).__name__}",
        do=f"correct {_ENDPOINT_VARIABLE}, let the container reach it, or set AWS_EC2_METADATA_DISABLED=true",
    )


def _ask(context: ProviderContext, endpoint: str, method: str, path: str, headers: Mapping[str, str]) -> _Answer:
    """One request, past every proxy. OSError when nobody answers, TimeoutError when it takes too long."""
    from http.client import HTTPConnection, HTTPException

    parts = urlsplit(endpoint)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("it is no http URL")
    connection = HTTPConnection(parts.hostname, parts.port or 80, timeout=_seconds(context))
    try:
        connection.request(method, parts.path.rstrip("/") + path, headers=dict(headers))
        response = connection.getresponse()
        return _Answer(response.status, response.read(_LONGEST).decode(errors="replace"))
    except HTTPException as error:
        raise ValueError(f"its answer is no HTTP ({type(error).__name__})") from None
    finally:
        connection.close()


def _is_connected(context: ProviderContext, endpoint: str) -> bool:
    """Whether somebody takes connections there; a laptop's network drops what goes to that address."""
    import socket  # noqa: PLC0415  # not for --help

    parts = urlsplit(endpoint)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 80), timeout=_seconds(context)).close()
    except OSError:
        return False
    return True


def _seconds(context: ProviderContext) -> float:
    return max(0.05, min(_SECONDS, context.remaining() / 4))


def _has_other_source(context: ProviderContext) -> bool:
    return any(context.env.get(name) for name in OWN_CREDENTIALS) or bool(context.options.secret("web-identity-token"))


def _shown(endpoint: str) -> str:
    return endpoint if "@" not in endpoint and endpoint.isprintable() else f"the value of {_ENDPOINT_VARIABLE}"


def _fine(what: str) -> Finding:
    return Finding(severity=Severity.OK, what=what)
