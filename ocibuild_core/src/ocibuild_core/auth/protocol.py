"""The credential helper protocol, to the letter: what is printed for each call, and the exit status.

Source: https://github.com/docker/docker-credential-helpers, credentials/credentials.go. Errors go to stdout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ocibuild_core import __version__
from ocibuild_core.auth.config_files import PROGRAM
from ocibuild_core.credentials import Credential, CredentialKind
from ocibuild_core.errors import CredentialError, OcibuildError
from ocibuild_core.records import NamedTuple
from ocibuild_core.registry.hosts import docker_key, normalise
from ocibuild_core.secret import Secret
from ocibuild_core.terminal import without_controls

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocibuild_core.auth.answers import Answer

NOT_FOUND = "credentials not found in native keychain"
TOKEN_USER = "<token>"  # noqa: S105  # the protocol's mark for an identity token

_NO_SERVER = "no credentials server URL"
_NO_USERNAME = "no credentials username"
_USAGE = f"Usage: {PROGRAM} <store|get|erase|list|version>"


class Reply(NamedTuple):
    """What the helper prints, and its exit status. May hold a secret: it is for stdout alone."""

    status: int
    output: bytes


class Keeper(Protocol):
    """Where `store`, `erase` and `list` go. Every method raises `OcibuildError`."""

    def store(self, registry: str, credential: Credential) -> None:
        """Keep a credential."""

    def erase(self, registry: str) -> None:
        """Forget the credentials for a registry."""

    def list(self) -> Mapping[str, str]:
        """User by registry."""


class Responder:
    """Answers the calls of one helper.

    Args:
        resolve: gives the answer for a registry; raises `OcibuildError`.
        keeper: where credentials are kept; None refuses to.
    """

    def __init__(self, resolve: Callable[[str], Answer], *, keeper: Keeper | None = None) -> None:
        self._resolve = resolve
        self._keeper = keeper

    def reply(self, action: str, question: bytes) -> Reply:
        """What to print for one call.

        Args:
            action: the helper's argument.
            question: what stood on its stdin.
        """
        call = _ACTIONS.get(action)
        if call is None:
            return refusal(_USAGE)
        try:
            return call(self, question)
        except OcibuildError as error:
            return refusal(one_line(error))

    def _get(self, question: bytes) -> Reply:
        server = _text(question)
        if not server:
            return refusal(_NO_SERVER)
        if normalise(server) is None:
            return refusal(NOT_FOUND)
        credential = self._resolve(server).credential
        if credential is None:
            return refusal(NOT_FOUND)
        is_token = credential.kind is CredentialKind.IDENTITY_TOKEN
        username = TOKEN_USER if is_token else credential.username
        return _json({"ServerURL": server, "Username": username, "Secret": credential.secret.reveal()})

    def _store(self, question: bytes) -> Reply:
        fields = _credential_fields(question)
        server, username, secret = (fields.get(name, "") for name in ("serverurl", "username", "secret"))
        if not server:
            return refusal(_NO_SERVER)
        if not username:
            return refusal(_NO_USERNAME)
        is_token = username == TOKEN_USER
        try:
            credential = Credential(
                username="" if is_token else username,
                secret=Secret(secret),
                kind=CredentialKind.IDENTITY_TOKEN if is_token else CredentialKind.BASIC,
            )
        except ValueError as error:
            raise CredentialError("the credential is refused", why=str(error)) from None
        self._kept_by().store(_registry(server), credential)
        return Reply(status=0, output=b"")

    def _erase(self, question: bytes) -> Reply:
        server = _text(question)
        if not server:
            return refusal(_NO_SERVER)
        self._kept_by().erase(_registry(server))
        return Reply(status=0, output=b"")

    def _list(self, question: bytes) -> Reply:
        del question
        return _json({docker_key(registry): user for registry, user in self._kept_by().list().items()})

    def _version(self, question: bytes) -> Reply:
        del question
        return Reply(status=0, output=f"{PROGRAM} (ocibuild-core) {__version__}\n".encode())

    def _help(self, question: bytes) -> Reply:
        del question
        return Reply(status=0, output=f"{_USAGE}\n".encode())

    def _kept_by(self) -> Keeper:
        if self._keeper is None:
            raise CredentialError(
                "ocibuild keeps no credentials inside a build", do="log in with `ocibuild login` outside of it"
            )
        return self._keeper


_ACTIONS: dict[str, Callable[[Responder, bytes], Reply]] = {
    "get": Responder._get,  # noqa: SLF001  # the class's own table
    "store": Responder._store,  # noqa: SLF001
    "erase": Responder._erase,  # noqa: SLF001
    "list": Responder._list,  # noqa: SLF001
    "version": Responder._version,  # noqa: SLF001
    "--version": Responder._version,  # noqa: SLF001
    "-v": Responder._version,  # noqa: SLF001
    "--help": Responder._help,  # noqa: SLF001
    "-h": Responder._help,  # noqa: SLF001
}


def refusal(message: str) -> Reply:
    """The answer to a call that fails: one line on stdout, and status 1."""
    return Reply(status=1, output=message.encode(errors="replace") + b"\n")


def one_line(error: OcibuildError) -> str:
    """An error as the client of a helper shows it."""
    parts = [error.summary, error.why, f"({error.do})" if error.do else ""]
    return without_controls(" ".join(": ".join(part for part in parts[:2] if part).split() + parts[2].split()))


def _text(question: bytes) -> str:
    return question.decode(errors="replace").strip()


def _registry(server: str) -> str:
    registry = normalise(server)
    if registry is None:
        raise CredentialError("the server URL names no registry", do="log in to a host, or host:port")
    return registry


def _credential_fields(question: bytes) -> dict[str, str]:
    import json  # noqa: PLC0415  # see `_json`

    try:
        fields: Any = json.loads(question.decode())
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        # Nothing of the text: it holds a secret.
        raise CredentialError("the credential to store is no JSON object")
    return {key.lower(): value for key, value in fields.items() if isinstance(value, str)}


def _json(document: Mapping[str, str]) -> Reply:
    import json  # noqa: PLC0415  # a helper is not asked in every build

    return Reply(status=0, output=json.dumps(document).encode() + b"\n")
