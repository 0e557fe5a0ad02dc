"""Logins to Google: one for each set of option values, shared by all registries and threads that ask with them."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any

from ocibuild_core.plugin import Credential, CredentialError, CredentialsUnavailable, Secret, UsageError

from ocibuild_gcr import identities
from ocibuild_gcr.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocibuild_core.plugin import Clock, CredentialRequest, OptionValues

_TOKEN_USER = "oauth2accesstoken"  # noqa: S105  # user names, from
_KEY_USER = "_json_key"  # https://cloud.google.com/artifact-registry/docs/docker/authentication

_IDENTITIES = ("access-token", "key-json", "oidc-token", "workload-identity-provider")
_CONTRADICTIONS = (
    ("access-token", "key-json"),
    ("access-token", "oidc-token"),
    ("access-token", "workload-identity-provider"),
    ("access-token", "impersonate-service-account"),
    ("key-json", "oidc-token"),
    ("key-json", "workload-identity-provider"),
)
_NOT_WITH_PASSWORD = ("access-token", "oidc-token", "workload-identity-provider", "impersonate-service-account")

# Longer than the host's own margin, so that what is kept here is never handed out only to be refused there.
_RENEW_BEFORE = timedelta(minutes=10)
# So much before its deadline a login gives up, to be back with the cause before the host stops waiting.
_RETURN_SECONDS = 0.25
_PROBE_SECONDS = 3.0
_AUTOMATIC_PROBE_SECONDS = 1.0
# So long the answer holds, for the other registries of a build; a server that restarts is found again later.
_PROBE_HOLDS_SECONDS = 30.0
_REFUSAL_HOLDS_SECONDS = 10.0


class Logins:
    """All logins of one run."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._logins: dict[object, _Login] = {}
        self._no_metadata = ""
        self._probed_until = float("-inf")

    def credential(self, request: CredentialRequest) -> Credential:
        """The credential for one of Google's registries. Raises CredentialError, or UsageError about the options."""
        _refuse_contradictions(request.options)
        token = request.options.secret("access-token")
        if token:
            return _given_token(request.options, token)
        login = self._login(request)
        with _held(login.lock, request):
            if login.credential is None or not login.is_fresh(request.clock):
                login.credential = self._renewed(login, request)
            return login.credential

    def _login(self, request: CredentialRequest) -> _Login:
        env = (request.env.get(name) for name in ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "HOME"))
        key = (*request.options.values(), *env)
        with self._lock:
            return self._logins.setdefault(key, _Login())

    def _renewed(self, login: _Login, request: CredentialRequest) -> Credential:
        """What a login gives, unless one was refused just before: a build's registries of one bad key cost one call."""
        if login.refusal is None or request.clock.monotonic() >= login.refused_until:
            try:
                return self._log_in(request)
            except Refusal as refusal:
                login.refusal = refusal.with_traceback(None)
                login.refused_until = request.clock.monotonic() + _REFUSAL_HOLDS_SECONDS
        raise login.refusal.error_for(request.registry)

    def _log_in(self, request: CredentialRequest) -> Credential:
        from ocibuild_gcr import sdk  # noqa: PLC0415  # a key itself needs none
        from ocibuild_gcr.transport import Transport, mute_sdk  # noqa: PLC0415  # the same

        found = identities.from_options(request) or identities.from_files(request.env)
        if request.options.text("key-as") == "password":
            return _key_itself(found)
        mute_sdk()
        if found is None:
            self._need_metadata_server(request)
            found = identities.Found(origin="the metadata server")
        seconds = _seconds_left(request)
        google = sdk.google_credentials(found, request, seconds)
        transport = Transport(env=request.env, clock=request.clock, deadline=request.clock.monotonic() + seconds)
        with closing(transport):
            sdk.refresh(found, google, transport)
        return _token(google, sdk.describe(found, google), request.clock)

    def _need_metadata_server(self, request: CredentialRequest) -> None:
        from ocibuild_gcr import sdk  # noqa: PLC0415  # a key itself needs none

        if request.clock.monotonic() >= self._probed_until:
            seconds = min(_seconds_left(request), _PROBE_SECONDS if request.explicit else _AUTOMATIC_PROBE_SECONDS)
            self._no_metadata = sdk.metadata_answer(request, seconds)
            self._probed_until = request.clock.monotonic() + _PROBE_HOLDS_SECONDS
        if not self._no_metadata:
            return
        kept = identities.gcloud_file(request.env)
        raise CredentialsUnavailable(
            f"no Google credentials for {request.registry}",
            tried=[
                *(f"GCR_{name.upper().replace('-', '_')}" for name in _IDENTITIES),
                "GOOGLE_APPLICATION_CREDENTIALS",
                *([f"{kept} (not there)"] if kept else []),
                f"metadata server ({self._no_metadata})",
            ],
            do="set GCR_KEY_JSON or GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
        )


@dataclass(slots=True)
class _Login:
    """What was got for one set of option values, shared by all registries and threads that ask with them."""

    lock: Lock = field(default_factory=Lock)
    credential: Credential | None = None
    refusal: Refusal | None = None
    refused_until: float = 0.0

    def is_fresh(self, clock: Clock) -> bool:
        if self.credential is None:
            return False
        expiry = self.credential.expires_at
        return expiry is None or clock.now() + _RENEW_BEFORE < expiry


def _seconds_left(request: CredentialRequest) -> float:
    left = request.remaining()
    return left - min(_RETURN_SECONDS, left / 2)


@contextmanager
def _held(lock: Lock, request: CredentialRequest) -> Iterator[None]:
    if not lock.acquire(timeout=_seconds_left(request)):
        raise CredentialError(
            f"no Google token for {request.registry} in time",
            why="the login that another registry had started took too long",
            do="raise --login-timeout",
        )
    try:
        yield
    finally:
        lock.release()


def _refuse_contradictions(options: OptionValues) -> None:
    """What would silently win over another setting is an error instead."""
    key_as = [("key-as", name) for name in _NOT_WITH_PASSWORD] if options.text("key-as") == "password" else []
    for one, other in (*_CONTRADICTIONS, *key_as):
        if options[one] and options[other]:
            names = [options.origin(name) or name for name in (one, other)]
            raise UsageError(
                f"{names[0]} and {names[1]} contradict each other",
                why="each of them says on its own how to log in to Google",
                do="keep one of them",
            )


def _given_token(options: OptionValues, token: Secret) -> Credential:
    origin = options.origin("access-token") or "access-token"
    text = token.reveal().strip()
    if not text or not text.isascii() or any(char.isspace() or char in '{}"' for char in text):
        raise CredentialError(
            f"{origin} holds no access token",
            why="a token is one word without spaces, quotes or braces; the value is not shown",
            do="give what `gcloud auth print-access-token` prints; a key belongs into GCR_KEY_JSON",
        )
    return Credential(username=_TOKEN_USER, secret=Secret(text), detail=f"access token from {origin}")


def _key_itself(found: identities.Found | None) -> Credential:
    import json  # noqa: PLC0415  # 3 ms that only this needs

    if found is None or found.text("type") != "service_account":
        raise CredentialError(
            "GCR_KEY_AS=password needs the key of a service account",
            why=f"{found.origin} is of type {found.text('type')}" if found else "no key was found",
            do="set GCR_KEY_JSON to the key's text, or GOOGLE_APPLICATION_CREDENTIALS to its path",
        )
    return Credential(
        username=_KEY_USER,
        secret=Secret(json.dumps(found.info)),
        detail=f"key of service account {found.text('client_email')} via {found.origin}",
    )


def _token(google: Any, detail: str, clock: Clock) -> Credential:  # noqa: ANN401  # google-auth's classes share no typed base
    if not google.token:
        raise Refusal(f"Google's answer to {detail} holds no token")
    expires_at = google.expiry.replace(tzinfo=UTC) if google.expiry else None
    if expires_at and expires_at <= clock.now():
        raise Refusal(f"the Google token of {detail} had expired when it came", do="set this machine's clock")
    return Credential(username=_TOKEN_USER, secret=Secret(google.token), expires_at=expires_at, detail=detail)
