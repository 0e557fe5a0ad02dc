"""The credential helper protocol, to the letter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocibuild_core.auth.keeping import RefusingKeeper
from ocibuild_core.auth.protocol import Reply, Responder
from ocibuild_core.errors import CredentialError
from ocibuild_core.plugin import Credential, CredentialKind, Match
from support.auth_parts import Teller, credential, resolver_of

from ocibuild_core import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

USAGE = b"Usage: docker-credential-ocibuild <store|get|erase|list|version>\n"
NOT_FOUND = Reply(status=1, output=b"credentials not found in native keychain\n")
NO_SERVER = Reply(status=1, output=b"no credentials server URL\n")


class Memory:
    """A keeper in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Credential] = {}

    def store(self, registry: str, credential: Credential) -> None:
        self.kept[registry] = credential

    def erase(self, registry: str) -> None:
        self.kept.pop(registry, None)

    def list(self) -> Mapping[str, str]:
        return {registry: credential.username for registry, credential in self.kept.items()}


def responder(answer: object = None, keeper: object = None) -> Responder:
    resolver = resolver_of(Teller("a", answer, match={"r.example": Match.SPECIFIC, "docker.io": Match.SPECIFIC}))
    return Responder(resolver.resolve, keeper=keeper)  # type: ignore[arg-type]


def got(reply: Reply) -> dict[str, str]:
    assert reply.status == 0, reply
    assert reply.output.endswith(b"\n")
    assert reply.output.count(b"\n") == 1
    return json.loads(reply.output)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "server", ["r.example", "https://r.example/v2/", " r.example\n", "R.EXAMPLE:443", "https://index.docker.io/v1/"]
)
def test_get_answers_for_every_spelling_and_repeats_it(server: str) -> None:
    assert got(responder(credential("u", "p-long-enough")).reply("get", server.encode())) == {
        "ServerURL": server.strip(),
        "Username": "u",
        "Secret": "p-long-enough",
    }


@given(secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_secret_survives(secret: str) -> None:
    reply = responder(credential("u", secret)).reply("get", b"r.example")
    assert got(reply)["Secret"] == secret


def test_a_long_secret_survives() -> None:
    assert len(got(responder(credential("u", "x" * 65536)).reply("get", b"r.example"))["Secret"]) == 65536


def test_an_identity_token_has_the_protocols_user() -> None:
    token = credential("", "refresh-token", kind=CredentialKind.IDENTITY_TOKEN)
    assert got(responder(token).reply("get", b"r.example"))["Username"] == "<token>"


@pytest.mark.parametrize("question", [b"other.example", b"not a host", b"unix:///x", b"\xff\xfe"])
def test_what_is_unknown_is_not_found(question: bytes) -> None:
    assert responder(credential()).reply("get", question) == NOT_FOUND


@pytest.mark.parametrize("action", ["get", "erase"])
@pytest.mark.parametrize("question", [b"", b" \n"])
def test_no_server_is_said(action: str, question: bytes) -> None:
    assert responder(keeper=Memory()).reply(action, question) == NO_SERVER


def test_a_failure_is_one_line_with_its_cause() -> None:
    failing = Teller("a", CredentialError("refused", why="the token is old\nvery old", do="get another"))
    reply = Responder(resolver_of(failing, login=["a"]).resolve).reply("get", b"r.example")
    assert reply == Reply(
        status=1, output=b"plugin 'a' (dist-a 1.2.3): refused: the token is old very old (get another)\n"
    )


def test_store_list_and_erase_go_to_the_keeper() -> None:
    memory = Memory()
    asked = responder(keeper=memory)
    document = {"ServerURL": "https://index.docker.io/v1/", "Username": "me", "Secret": "p-long-enough"}
    assert asked.reply("store", json.dumps(document).encode()) == Reply(status=0, output=b"")
    assert memory.kept["docker.io"].secret.reveal() == "p-long-enough"
    assert got(asked.reply("list", b"unused")) == {"https://index.docker.io/v1/": "me"}
    assert asked.reply("erase", b"https://index.docker.io/v1/\n") == Reply(status=0, output=b"")
    assert got(asked.reply("list", b"unused")) == {}


def test_a_stored_identity_token_is_one() -> None:
    memory = Memory()
    responder(keeper=memory).reply("store", b'{"ServerURL": "r.example", "Username": "<token>", "Secret": "t"}')
    assert memory.kept["r.example"].kind is CredentialKind.IDENTITY_TOKEN


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (b'{"Username": "u", "Secret": "hunter2"}', b"no credentials server URL"),
        (b'{"ServerURL": "r.example", "Secret": "hunter2"}', b"no credentials username"),
        (b'{"ServerURL": "r.example", "Username": "u"}', b"the credential is refused: a credential's secret is empty"),
        (b'{"ServerURL": "a b", "Username": "u", "Secret": "hunter2"}', b"the server URL names no registry"),
        (b'{"ServerURL": "r.example", "Username": "a b", "Secret": "hunter2"}', b"white space"),
        (b"hunter2", b"the credential to store is no JSON object"),
        (b'["hunter2"]', b"the credential to store is no JSON object"),
        (b"\xff", b"the credential to store is no JSON object"),
        (b"[" * 100000, b"the credential to store is no JSON object"),
        (b"", b"the credential to store is no JSON object"),
    ],
)
def test_what_cannot_be_stored_is_said(question: bytes, answer: bytes) -> None:
    memory = Memory()
    reply = responder(keeper=memory).reply("store", question)
    assert reply.status == 1
    assert answer in reply.output
    assert b"hunter2" not in reply.output
    assert memory.kept == {}


@pytest.mark.parametrize(
    ("action", "question"),
    [("store", b'{"ServerURL": "r", "Username": "u", "Secret": "s"}'), ("erase", b"r.example"), ("list", b"unused")],
)
def test_without_a_keeper_it_is_refused_with_a_way_out(action: str, question: bytes) -> None:
    inside = responder().reply(action, question)
    assert (inside.status, b"inside a build" in inside.output) == (1, True)
    alone = responder(keeper=RefusingKeeper(["one", "two"])).reply(action, question)
    assert (alone.status, alone.output.count(b"\n")) == (1, 1)
    assert (
        b"set credential-store in ~/.config/ocibuild.yml, or OCIBUILD_CREDENTIAL_STORE, to one of: one, two"
        in alone.output
    )


@pytest.mark.parametrize("action", ["version", "--version", "-v"])
def test_version(action: str) -> None:
    expected = f"docker-credential-ocibuild (ocibuild-core) {__version__}\n".encode()
    assert responder().reply(action, b"") == Reply(status=0, output=expected)


@pytest.mark.parametrize("action", ["help", "--help", "-h"])
def test_help(action: str) -> None:
    reply = responder().reply(action, b"")
    assert reply.output == USAGE
    assert reply.status == (1 if action == "help" else 0)


@pytest.mark.parametrize("action", ["", "GET", "got", "get store", "\x00"])
def test_anything_else_is_told_the_usage(action: str) -> None:
    assert responder().reply(action, b"") == Reply(status=1, output=USAGE)
