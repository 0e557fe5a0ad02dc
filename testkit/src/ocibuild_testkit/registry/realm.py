"""The token realm: a small HTTP server that checks who asks and signs what they may do."""

from __future__ import annotations

import re
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from ocibuild_testkit.httpd import Handler, HttpServer
from ocibuild_testkit.registry.accounts import Accounts, Identity
from ocibuild_testkit.registry.basic import basic_credentials
from ocibuild_testkit.registry.jwt import SigningKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocibuild_testkit.registry.tls import Authority

# `repository:team/app:pull,push`, also with a class: `repository(plugin):…`
# (https://distribution.github.io/distribution/spec/auth/scope/).
_SCOPE = re.compile(r"(?P<type>[a-z0-9]+)(\([a-z0-9]+\))?:(?P<name>[^ ]+):(?P<actions>[a-z*,]+)")

Form = dict[str, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """One question to the realm, and its answer; no secret in it.

    Args:
        grant: how the client said who it is: `anonymous`, `basic`, `password`, `refresh_token`.
        username: the name that was given, also a wrong one; of a known refresh token the account's; else empty.
        scopes: what was asked for, one item each.
        granted: what the token allows of it, in the same form.
        status: the HTTP status.
    """

    grant: str
    username: str
    scopes: tuple[str, ...]
    granted: tuple[str, ...]
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    grant: str
    username: str
    identity: Identity | None
    scopes: tuple[str, ...]
    wants_refresh_token: bool = False


class TokenRealm:
    """Issues tokens on loopback.

    Args:
        accounts: who there is.
        anonymous_pull: repositories that everybody may pull.
        lifetime: seconds that a token lives; may be set while it runs.
        service: the audience of the tokens.
    """

    issuer = "ocibuild-testkit realm"

    def __init__(self, accounts: Accounts, *, anonymous_pull: tuple[str, ...], lifetime: int, service: str) -> None:
        self.key = SigningKey()
        self.lifetime = lifetime
        self.service = service
        self._accounts = accounts
        self._anonymous = Identity(username="", password="", pull=anonymous_pull, push=())
        self._lock = threading.Lock()
        self._requests: list[TokenRequest] = []
        self._server: HttpServer | None = None

    def start(self, *, host: str, authority: Authority | None) -> None:
        """Listen on a free port of `host`."""
        realm = self

        class _Realm(Handler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                self.reply(*realm._answer(realm._from_query(query, self.headers.get("Authorization"))))

            def do_POST(self) -> None:
                self.reply(*realm._answer(realm._from_form(parse_qs(self.body().decode()))))

        self._server = HttpServer(_Realm, host=host, authority=authority)
        self._server.start()

    def stop(self) -> None:
        """Stop listening; what was asked stays readable."""
        if self._server:
            self._server.stop()

    @property
    def url(self) -> str:
        """Where clients are sent."""
        if self._server is None:
            raise RuntimeError("the token realm was not started")
        return f"{self._server.url}/token"

    @property
    def requests(self) -> tuple[TokenRequest, ...]:
        """All that it was asked, in order."""
        with self._lock:
            return tuple(self._requests)

    def token_for(self, repository: str, *actions: str) -> str:
        """A token for one repository, whoever has rights there."""
        return self._sign("ocibuild-testkit", [{"type": "repository", "name": repository, "actions": list(actions)}])

    def _from_query(self, query: Form, authorization: str | None) -> _Question:
        scopes = tuple(part for scope in query.get("scope", ()) for part in scope.split())
        if authorization is None:
            return _Question(grant="anonymous", username="", identity=self._anonymous, scopes=scopes)
        username, password = basic_credentials(authorization)
        return _Question(
            grant="basic",
            username=username,
            identity=self._accounts.by_password(username, password),
            scopes=scopes,
            wants_refresh_token=_first(query, "offline_token") == "true",
        )

    def _from_form(self, form: Form) -> _Question:
        grant = _first(form, "grant_type")
        if grant == "refresh_token":
            identity = self._accounts.by_identity_token(_first(form, "refresh_token"))
            username = identity.username if identity else ""
        else:
            username = _first(form, "username")
            identity = self._accounts.by_password(username, _first(form, "password"))
        return _Question(
            grant=grant,
            username=username,
            identity=identity,
            scopes=tuple(_first(form, "scope").split()),
            wants_refresh_token=_first(form, "access_type") == "offline",
        )

    def _answer(self, question: _Question) -> tuple[int, Mapping[str, object]]:
        if question.identity is None:
            self._note(question, granted=(), status=401)
            return 401, {"errors": [{"code": "UNAUTHORIZED", "message": "incorrect username or password"}]}
        access = _grants(question.identity, self._anonymous, question.scopes)
        self._note(question, granted=tuple(map(_scope_text, access)), status=200)
        token = self._sign(question.identity.username, access)
        answer: dict[str, object] = {
            "token": token,
            "access_token": token,
            "expires_in": self.lifetime,
            "issued_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        if question.wants_refresh_token and question.identity.identity_token:
            answer["refresh_token"] = question.identity.identity_token
        return 200, answer

    def _note(self, question: _Question, *, granted: tuple[str, ...], status: int) -> None:
        request = TokenRequest(
            grant=question.grant, username=question.username, scopes=question.scopes, granted=granted, status=status
        )
        with self._lock:
            self._requests.append(request)

    def _sign(self, subject: str, access: list[dict[str, object]]) -> str:
        now = int(time.time())
        return self.key.sign(
            {
                "iss": self.issuer,
                "sub": subject,
                "aud": self.service,
                "iat": now,
                "nbf": now,
                "exp": now + self.lifetime,
                "jti": secrets.token_hex(8),
                "access": access,
            }
        )


def _grants(identity: Identity, everybody: Identity, scopes: tuple[str, ...]) -> list[dict[str, object]]:
    """What of `scopes` the identity may have; what it may not is left out, as the specification asks."""
    granted: list[dict[str, object]] = []
    for scope in scopes:
        parts = _SCOPE.fullmatch(scope)
        if not parts or parts["type"] != "repository":
            continue
        wanted = [action for one in parts["actions"].split(",") for action in _actions(one)]
        allowed = [a for a in wanted if identity.may(a, parts["name"]) or everybody.may(a, parts["name"])]
        if allowed:
            granted.append({"type": "repository", "name": parts["name"], "actions": allowed})
    return granted


def _actions(action: str) -> tuple[str, ...]:
    return ("pull", "push", "delete") if action == "*" else (action,)


def _scope_text(access: Mapping[str, object]) -> str:
    actions = access["actions"]
    return f"{access['type']}:{access['name']}:{','.join(actions if isinstance(actions, list) else ())}"


def _first(form: Form, name: str) -> str:
    return form.get(name, [""])[0]
