"""Asks a registry what a build will ask, and says in one word how it went: nothing is pulled or pushed."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit

from ocibuild_core.credentials import CredentialKind
from ocibuild_core.registry.challenge import Challenge, parse_challenges
from ocibuild_core.registry.hosts import api_host
from ocibuild_core.registry.http import HttpClient, Response, Unreachable, is_same_server
from ocibuild_core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocibuild_core.credentials import Credential
    from ocibuild_core.registry.reference import ImageReference

_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_CLIENT_ID = "ocibuild"
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404
_SUCCESS = range(200, 300)


class Verdict(Enum):
    """How a check went; the values are what people read."""

    OK = "ok"
    ANONYMOUS_OK = "anonymous ok"
    NO_CREDENTIAL = "no credential"
    WRONG_PASSWORD = "wrong password"  # noqa: S105  # a verdict
    NO_PERMISSION = "identity lacks permission"
    NOT_FOUND = "not found"
    UNREACHABLE = "unreachable"

    @property
    def is_good(self) -> bool:
        """A build can go on."""
        return self in (Verdict.OK, Verdict.ANONYMOUS_OK)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """A verdict and its reason.

    Args:
        verdict: how it went.
        detail: the registry's own words, shortened; may be empty. Holds no secret.
    """

    verdict: Verdict
    detail: str = ""


class RegistryCheck:
    """Checks one registry with one credential.

    Args:
        registry: its one name (`ocibuild_core.registry.hosts`).
        credential: None asks anonymously.
        http: how it is reached.
        plain_http: the registry speaks http, not https.
        learned: told every Bearer token, so that it can be masked.

    `is_plain_http` says how it is asked.
    """

    def __init__(
        self,
        registry: str,
        credential: Credential | None,
        *,
        http: HttpClient,
        plain_http: bool = False,
        learned: Callable[[Secret], None] = lambda _: None,
    ) -> None:
        self.is_plain_http = plain_http
        self._base = f"{'http' if plain_http else 'https'}://{api_host(registry)}"
        self._credential = credential
        self._http = http
        self._learned = learned

    def ping(self) -> Response:
        """What it answers to somebody without a credential who asks for its API. Raises `Unreachable`.

        Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md, "Determining Support".
        """
        return self._send("GET", f"{self._base}/v2/", "")

    def login(self) -> CheckResult:
        """Whether the registry accepts the credential at all."""
        return self._verdict("GET", "/v2/", scope="")

    def pull(self, image: ImageReference, *, mirrored: str = "") -> CheckResult:
        """Whether the image can be pulled: its manifest is asked for, not fetched.

        Args:
            image: what is asked for.
            mirrored: the host of the registry that this one is asked in place of; mirrors of many go by it.
        """
        path = f"/v2/{image.repository}/manifests/{image.digest or image.tag}"
        # `addNamespace` in containerd, core/remotes/docker/resolver.go.
        query = f"?{urlencode({'ns': mirrored})}" if mirrored else ""
        return self._verdict("HEAD", path + query, scope=f"repository:{image.repository}:pull")

    def push(self, image: ImageReference) -> CheckResult:
        """Whether the repository can be pushed to: an upload is begun and cancelled."""
        path = f"/v2/{image.repository}/blobs/uploads/"
        return self._verdict("POST", path, scope=f"repository:{image.repository}:pull,push")

    def _verdict(self, method: str, path: str, *, scope: str) -> CheckResult:
        try:
            return self._ask(method, f"{self._base}{path}", scope)
        except Unreachable as error:
            return CheckResult(verdict=Verdict.UNREACHABLE, detail=str(error))
        except ValueError:  # of `urllib.parse`, whose text repeats what the registry wrote
            return CheckResult(verdict=Verdict.UNREACHABLE, detail="it names a token server whose address is none")

    def _ask(self, method: str, url: str, scope: str) -> CheckResult:
        first = self._ask_here(method, url, "")
        if first.status != _UNAUTHORIZED:
            self._cancel(method, url, first, "")
            return _result(first, is_anonymous=True, has_credential=self._credential is not None)
        challenges = {challenge.scheme: challenge for challenge in parse_challenges(_all(first, "WWW-Authenticate"))}
        if "bearer" in challenges:
            authorization, refusal = self._bearer(challenges["bearer"], scope)
        elif "basic" in challenges:
            authorization, refusal = self._basic()
        else:
            return CheckResult(verdict=Verdict.UNREACHABLE, detail="it offers no way to log in that is known")
        if refusal:
            return refusal
        second = self._ask_here(method, url, authorization)
        self._cancel(method, url, second, authorization)
        if second.status == _UNAUTHORIZED:
            return self._refused(second, has_token=authorization.startswith("Bearer"))
        return _result(second, is_anonymous=self._credential is None, has_credential=self._credential is not None)

    def _ask_here(self, method: str, url: str, authorization: str) -> Response:
        """As `_send`. Another server that this one redirects to has not seen the credential, and shall not."""
        response = self._send(method, url, authorization)
        if response.status in (_UNAUTHORIZED, _FORBIDDEN) and not is_same_server(url, response.url):
            raise Unreachable(f"it redirects to {urlsplit(response.url).hostname}, which wants a login of its own")
        return response

    def _refused(self, response: Response, *, has_token: bool) -> CheckResult:
        """401 to what it was shown: with a token that its own realm gave, it is the right that is missing."""
        if self._credential is None:
            return CheckResult(verdict=Verdict.NO_CREDENTIAL, detail=_words(response))
        verdict = Verdict.NO_PERMISSION if has_token else Verdict.WRONG_PASSWORD
        return CheckResult(verdict=verdict, detail=_words(response))

    def _basic(self) -> tuple[str, CheckResult | None]:
        if self._credential is None:
            return "", CheckResult(verdict=Verdict.NO_CREDENTIAL)
        if self._credential.kind is CredentialKind.IDENTITY_TOKEN:
            detail = "it wants user and password, and an identity token is there"
            return "", CheckResult(verdict=Verdict.WRONG_PASSWORD, detail=detail)
        return _basic_header(self._credential), None

    def _bearer(self, challenge: Challenge, scope: str) -> tuple[str, CheckResult | None]:
        """Trade the credential for a token, as https://distribution.github.io/distribution/spec/auth/ describes."""
        realm = challenge.parameters.get("realm", "")
        if not self._may_see_credential(realm):
            detail = f"its token server {urlsplit(realm).hostname or realm!r} does not speak https"
            return "", CheckResult(verdict=Verdict.UNREACHABLE, detail=detail)
        fields = {"service": challenge.parameters.get("service", ""), "scope": scope}
        fields = {key: value for key, value in fields.items() if value}
        response = self._fetch_token(realm, fields)
        if response.status not in _SUCCESS:
            verdict = Verdict.WRONG_PASSWORD if self._credential else Verdict.NO_CREDENTIAL
            if response.status not in (400, _UNAUTHORIZED, _FORBIDDEN):
                verdict = Verdict.UNREACHABLE
            return "", CheckResult(verdict=verdict, detail=_words(response))
        token = _token(response)
        if token is None:
            return "", CheckResult(verdict=Verdict.UNREACHABLE, detail="its token server gives no token")
        self._learned(token)
        return f"Bearer {token.reveal()}", None

    def _fetch_token(self, realm: str, fields: dict[str, str]) -> Response:
        credential = self._credential
        if credential and credential.kind is CredentialKind.IDENTITY_TOKEN:
            fields |= {
                "grant_type": "refresh_token",
                "client_id": _CLIENT_ID,
                "refresh_token": credential.secret.reveal(),
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return self._http.ask("POST", realm, headers, urlencode(fields).encode())
        headers = {"Authorization": _basic_header(credential)} if credential else {}
        separator = "&" if urlsplit(realm).query else "?"
        return self._http.ask("GET", f"{realm}{separator}{urlencode(fields)}", headers)

    def _may_see_credential(self, realm: str) -> bool:
        """A token server without TLS gets the credential only where the registry has none, or on this machine."""
        parts = urlsplit(realm)
        is_local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        return parts.scheme == "https" or (parts.scheme == "http" and (self._base.startswith("http:") or is_local))

    def _cancel(self, method: str, url: str, response: Response, authorization: str) -> None:
        """End the upload that was begun for the sake of the answer."""
        location = response.headers.get("Location")
        if method != "POST" or response.status not in _SUCCESS or not location:
            return
        try:
            target = urljoin(url, location)
            # Not to another host, and not without TLS: the credential goes with it.
            is_same = urlsplit(target)[:2] == urlsplit(url)[:2]
        except ValueError:
            return  # no address: what was begun ends by itself
        if is_same:
            self._send("DELETE", target, authorization)

    def _send(self, method: str, url: str, authorization: str) -> Response:
        headers = {"Accept": ", ".join(_MANIFESTS), "User-Agent": _CLIENT_ID}
        if authorization:
            headers["Authorization"] = authorization
        return self._http.ask(method, url, headers, b"" if method == "POST" else None)


def _result(response: Response, *, is_anonymous: bool, has_credential: bool) -> CheckResult:
    if response.status in _SUCCESS:
        # A registry that asks nobody has not seen the credential: that is what the user should know.
        return CheckResult(verdict=Verdict.ANONYMOUS_OK if is_anonymous else Verdict.OK)
    if response.status == _NOT_FOUND:
        return CheckResult(verdict=Verdict.NOT_FOUND, detail=_words(response))
    if response.status == _FORBIDDEN:
        if not has_credential:
            return CheckResult(verdict=Verdict.NO_CREDENTIAL, detail=_words(response))
        # Without a challenge it has not seen the credential, and a build would not show it either.
        unasked = "it refuses without asking for a login" if is_anonymous else ""
        detail = "; ".join(filter(None, [_words(response), unasked]))
        return CheckResult(verdict=Verdict.NO_PERMISSION, detail=detail)
    return CheckResult(verdict=Verdict.UNREACHABLE, detail=f"HTTP {response.status} {_words(response)}".strip())


def _basic_header(credential: Credential) -> str:
    pair = f"{credential.username}:{credential.secret.reveal()}".encode(errors="surrogateescape")
    return "Basic " + base64.b64encode(pair).decode()


def _token(response: Response) -> Secret | None:
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        return None
    token = (document.get("token") or document.get("access_token")) if isinstance(document, dict) else None
    return Secret(token) if isinstance(token, str) and token else None


def _words(response: Response) -> str:
    """The first error of an OCI error body (distribution-spec, "Error Codes"), one line."""
    try:
        first = json.loads(response.body)["errors"][0]
        text = str(first.get("message") or first.get("code") or "")
    except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError):
        return ""
    return " ".join(text.split())[:200]


def _all(response: Response, name: str) -> list[str]:
    return [str(value) for value in response.headers.get_all(name) or ()]
