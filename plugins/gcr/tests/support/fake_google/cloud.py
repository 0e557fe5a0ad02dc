"""Who exists, who may become whom, which tokens live; and the answers of Google's endpoints.

The words of refusals are Google's, as they stand in the issue trackers of google-github-actions/auth and google-auth.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from fake_google.aws import caller
from fake_google.keys import KeyPair, claims_of, key_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_IAM_SCOPE = "https://www.googleapis.com/auth/iam"
_TOKEN_ENDPOINT = "https://oauth2.googleapis.com/token"
_TOLERANCE = timedelta(minutes=5)
_HOUR = timedelta(hours=1)

Reply = tuple[int, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A live access token."""

    principal: str
    scopes: frozenset[str]
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolProvider:
    """A provider of a workload identity pool: which issuer's tokens it trusts."""

    name: str
    issuer: str
    key: KeyPair
    audiences: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    """What the attribute condition lets in; empty for all."""

    @property
    def audience(self) -> str:
        """How STS is asked for it."""
        return f"//iam.googleapis.com/{self.name}"

    def principal(self, subject: str) -> str:
        """What IAM calls a subject of the pool."""
        return f"principal:{self.audience.rpartition('/providers/')[0]}/subject/{subject}"


@dataclass(slots=True)
class Cloud:
    """The state; change it as a test needs it. Safe to ask from many threads: every change is one dict operation."""

    ahead: timedelta = timedelta()
    """How far Google's clock is ahead of this machine's."""
    lifetime: timedelta = _HOUR
    keys: dict[str, dict[str, KeyPair]] = field(default_factory=dict)
    """The keys of service accounts, by e-mail and key id."""
    users: dict[str, str] = field(default_factory=dict)
    """The owners of refresh tokens."""
    providers: dict[str, PoolProvider] = field(default_factory=dict)
    """By audience."""
    aws_keys: dict[str, str] = field(default_factory=dict)
    """The secret keys of an AWS account that every provider trusts, by access key id."""
    may_become: set[tuple[str, str]] = field(default_factory=set)
    """Who (principal) has the role Service Account Token Creator on which account."""
    tokens: dict[str, Token] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """What was asked, in order: `oauth2.googleapis.com/token jwt-bearer`."""
    on_token: list[Callable[[str, Token], None]] = field(default_factory=list)
    """Told of each new token."""
    needs_reauthentication: bool = False

    def now(self) -> datetime:
        """Google's clock."""
        return datetime.now(UTC) + self.ahead

    def service_account(self, email: str) -> dict[str, str]:
        """Make an account (if it is new) and a key; returns the key file's content."""
        key = KeyPair()
        self.keys.setdefault(email, {})[key.id] = key
        return {
            "type": "service_account",
            "project_id": email.partition("@")[2].partition(".")[0],
            "private_key_id": key.id,
            "private_key": key.pem,
            "client_email": email,
            "client_id": "101234567890123456789",
            "token_uri": _TOKEN_ENDPOINT,
            "universe_domain": "googleapis.com",
        }

    def user(self, email: str) -> dict[str, str]:
        """A person who ran `gcloud auth application-default login`; returns the content of gcloud's file."""
        refresh = f"1//{secrets.token_urlsafe(40)}"
        self.users[refresh] = email
        return {
            "type": "authorized_user",
            "account": email,
            "client_id": "client.apps.googleusercontent.com",
            "client_secret": "client-secret",
            "refresh_token": refresh,
        }

    def issue(self, principal: str, scopes: frozenset[str], lifetime: timedelta | None = None) -> tuple[str, datetime]:
        """A new token and its end."""
        text = f"ya29.c.{secrets.token_urlsafe(24)}"
        token = Token(principal=principal, scopes=scopes, expires_at=self.now() + (lifetime or self.lifetime))
        self.tokens[text] = token
        for listener in self.on_token:
            listener(text, token)
        return text, token.expires_at

    def alive(self, text: str) -> Token | None:
        """The token, unless it is unknown or over."""
        token = self.tokens.get(text)
        return token if token and token.expires_at > self.now() else None

    def answer(self, host: str, path: str, headers: Message, body: bytes) -> Reply:
        """The answer to one POST."""
        if (host, path) == ("oauth2.googleapis.com", "/token"):
            return self._token_endpoint(_form(body))
        if (host, path) == ("sts.googleapis.com", "/v1/token"):
            return self._sts(_form(body))
        if (host, path) == ("sts.googleapis.com", "/v1/oauthtoken"):
            return self._workforce(_form(body), headers.get("Authorization", ""))
        prefix, suffix = "/v1/projects/-/serviceAccounts/", ":generateAccessToken"
        if host == "iamcredentials.googleapis.com" and path.startswith(prefix) and path.endswith(suffix):
            target = path.removeprefix(prefix).removesuffix(suffix)
            return self._generate_access_token(target, headers.get("Authorization", ""), json.loads(body))
        return 404, {"error": {"code": 404, "message": f"nothing at {host}{path}", "status": "NOT_FOUND"}}

    def _token_endpoint(self, form: Mapping[str, str]) -> Reply:
        """RFC 7523 and RFC 6749 as https://developers.google.com/identity/protocols/oauth2 describes them."""
        grant = form.get("grant_type", "")
        self.asked.append(f"oauth2 {grant.rpartition(':')[2]}")
        if grant == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return self._jwt_bearer(form.get("assertion", ""))
        if grant == "refresh_token":
            return self._refresh_token(form)
        return _refused("unsupported_grant_type", f"Invalid grant_type: {grant}")

    def _jwt_bearer(self, assertion: str) -> Reply:
        claims = claims_of(assertion)
        email = claims.get("iss", "")
        if email not in self.keys:
            return _refused("invalid_grant", "Invalid grant: account not found")
        key = self.keys[email].get(key_id(assertion))
        if key is None or not key.has_signed(assertion):
            return _refused("invalid_grant", "Invalid JWT Signature.")
        if claims.get("aud") != _TOKEN_ENDPOINT:
            return _refused(
                "invalid_grant", f"Invalid JWT: Failed audience check. The right audience is {_TOKEN_ENDPOINT}"
            )
        issued, ends = _time(claims, "iat"), _time(claims, "exp")
        if ends - issued > _HOUR or issued > self.now() + _TOLERANCE or ends < self.now() - _TOLERANCE:
            return _refused(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
                " Check your iat and exp values in the JWT claim.",
            )
        scopes = frozenset(str(claims.get("scope", "")).split())
        if not scopes & {SCOPE, _IAM_SCOPE}:
            return _refused("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        return self._granted(email, scopes)

    def _refresh_token(self, form: Mapping[str, str]) -> Reply:
        if (form.get("client_id"), form.get("client_secret")) != ("client.apps.googleusercontent.com", "client-secret"):
            return 401, {"error": "invalid_client", "error_description": "The OAuth client was not found."}
        email = self.users.get(form.get("refresh_token", ""))
        if email is None:
            return _refused("invalid_grant", "Token has been expired or revoked.")
        if self.needs_reauthentication:
            status, answer = _refused("invalid_grant", "reauth related error (invalid_rapt)")
            return status, {**answer, "error_subtype": "invalid_rapt"}
        return self._granted(email, frozenset({SCOPE}))

    def _sts(self, form: Mapping[str, str]) -> Reply:
        """RFC 8693 as https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token describes it."""
        self.asked.append("sts token-exchange")
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange":
            return _refused("unsupported_grant_type", "Invalid grant_type")
        provider = self.providers.get(form.get("audience", ""))
        if provider is None:
            return _refused(
                "invalid_target",
                'The target service indicated by the "audience" parameters is invalid. This might either be because'
                " the pool or provider is disabled or deleted or because it doesn't exist.",
            )
        if form.get("requested_token_type") != "urn:ietf:params:oauth:token-type:access_token":
            return _refused("invalid_request", "Invalid requested_token_type")
        scopes = frozenset(form.get("scope", "").split())
        if not scopes & {SCOPE, _IAM_SCOPE}:
            return _refused("invalid_scope", "Invalid scope")
        exchange = {
            "urn:ietf:params:oauth:token-type:jwt": self._exchange,
            "urn:ietf:params:aws:token-type:aws4_request": self._exchange_aws,
        }.get(form.get("subject_token_type", ""))
        if exchange is None:
            return _refused("invalid_request", "Invalid subject_token_type")
        return exchange(provider, form.get("subject_token", ""), scopes)

    def _exchange(self, provider: PoolProvider, token: str, scopes: frozenset[str]) -> Reply:
        claims = claims_of(token)
        if not provider.key.has_signed(token):
            return _refused("invalid_grant", "Unable to verify the signature of the ID Token.")
        if claims.get("iss") != provider.issuer:
            return _refused(
                "invalid_grant", f"The issuer in ID Token {claims.get('iss')} does not match the expected ones."
            )
        expected = provider.audiences or (provider.audience, f"https:{provider.audience}")
        if claims.get("aud") not in expected:
            return _refused(
                "invalid_grant",
                f"The audience in ID Token [{claims.get('aud')}] does not match the expected audience {expected[-1]}.",
            )
        if _time(claims, "exp") < self.now():
            return _refused("invalid_grant", f"ID Token issued at {claims.get('iat')} is stale to sign-in.")
        subject = str(claims.get("sub"))
        if provider.subjects and subject not in provider.subjects:
            return 403, {
                "error": "unauthorized_client",
                "error_description": "The given credential is rejected by the attribute condition.",
            }
        status, answer = self._granted(provider.principal(subject), scopes)
        return status, {**answer, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}

    def _exchange_aws(self, provider: PoolProvider, token: str, scopes: frozenset[str]) -> Reply:
        key = caller(token, provider.audience, self.aws_keys)
        if key is None:
            return _refused("invalid_grant", "Received invalid AWS response of type InvalidClientTokenId.")
        return self._granted(provider.principal(key), scopes)

    def _workforce(self, form: Mapping[str, str], authorization: str) -> Reply:
        """A person of a workforce pool, as `gcloud auth application-default login` leaves him."""
        self.asked.append("sts refresh_token")
        wanted = base64.b64encode(b"client.apps.googleusercontent.com:client-secret").decode()
        person = self.users.get(form.get("refresh_token", ""))
        if form.get("grant_type") != "refresh_token" or authorization != f"Basic {wanted}" or person is None:
            return _refused("invalid_grant", "Invalid refresh token.")
        return self._granted(person, frozenset({SCOPE}))

    def _generate_access_token(self, target: str, authorization: str, body: Mapping[str, Any]) -> Reply:
        """https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken."""
        self.asked.append(f"iamcredentials {target}")
        caller = self.alive(authorization.removeprefix("Bearer "))
        if caller is None or not caller.scopes & {SCOPE, _IAM_SCOPE}:
            return _api_error(401, "Request had invalid authentication credentials.", "UNAUTHENTICATED")
        if target not in self.keys:
            return _api_error(404, "Not found; Gaia id not found for email " + target, "NOT_FOUND")
        chain = [caller.principal, *(body.get("delegates") or ()), target]
        if not all(step in self.may_become for step in pairwise(chain)):
            return _api_error(
                403,
                "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
                "PERMISSION_DENIED",
            )
        lifetime = timedelta(seconds=int(str(body.get("lifetime", "3600s")).removesuffix("s")))
        if not body.get("scope") or lifetime > _HOUR:
            return _api_error(400, "Request contains an invalid argument.", "INVALID_ARGUMENT")
        token, ends = self.issue(target, frozenset(body["scope"]), min(lifetime, self.lifetime))
        return 200, {"accessToken": token, "expireTime": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def _granted(self, principal: str, scopes: frozenset[str]) -> Reply:
        token, _ = self.issue(principal, scopes)
        return 200, {
            "access_token": token,
            "expires_in": int(self.lifetime.total_seconds()),
            "token_type": "Bearer",
        }


def _refused(code: str, words: str) -> Reply:
    return 400, {"error": code, "error_description": words}


def _api_error(code: int, words: str, status: str) -> Reply:
    return code, {"error": {"code": code, "message": words, "status": status}}


def _form(body: bytes) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(body.decode()).items()}


def _time(claims: Mapping[str, Any], name: str) -> datetime:
    return datetime.fromtimestamp(int(claims.get(name, 0)), UTC)
