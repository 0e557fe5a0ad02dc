from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from ocibuild_core.credentials import Credential, CredentialKind
from ocibuild_core.registry.check import RegistryCheck, Verdict
from ocibuild_core.registry.http import HttpClient
from ocibuild_core.registry.reference import ImageReference, parse_reference
from ocibuild_core.secret import Secret
from ocibuild_testkit.registry import (
    Authority,
    Identity,
    PasswordAuth,
    RegistryServer,
    TokenAuth,
)

RIGHT = Credential(username="alice", secret=Secret("right-password"))
WRONG = Credential(username="alice", secret=Secret("wrong-password"))
READER = Credential(username="reader", secret=Secret("reader-password"))
STRANGER = Credential(username="stranger", secret=Secret("stranger-password"))


@pytest.fixture(scope="module")
def basic() -> Iterator[RegistryServer]:
    with RegistryServer(auth=PasswordAuth({"alice": "right-password"}), tls=Authority()) as registry:
        registry.push_image("team/base:1", files={"x": "y"})
        yield registry


@pytest.fixture(scope="module")
def bearer() -> Iterator[RegistryServer]:
    accounts = [
        Identity(username="alice", password="right-password", identity_token="alices-identity-token"),
        Identity(username="reader", password="reader-password", push=()),
        Identity(username="stranger", password="stranger-password", pull=(), push=()),
    ]
    with RegistryServer(auth=TokenAuth(accounts), tls=Authority()) as registry:
        registry.push_image("team/base:1", files={"x": "y"})
        yield registry


@pytest.fixture(scope="module")
def open_registry() -> Iterator[RegistryServer]:
    with RegistryServer() as registry:
        registry.push_image("team/base:1", files={"x": "y"})
        yield registry


def check(registry: RegistryServer, credential: Credential | None) -> RegistryCheck:
    ca_file = registry.ca_file if registry.authority else None
    http = HttpClient(ca_files=[ca_file] if ca_file else (), timeout=5)
    return RegistryCheck(registry.address, credential, http=http, plain_http=not ca_file)


def image(registry: RegistryServer, name: str = "team/base:1") -> ImageReference:
    return parse_reference(registry.reference(name))


@pytest.mark.parametrize(
    ("credential", "verdict"),
    [(RIGHT, Verdict.OK), (WRONG, Verdict.WRONG_PASSWORD), (None, Verdict.NO_CREDENTIAL)],
)
def test_a_password_registry(basic: RegistryServer, credential: Credential | None, verdict: Verdict) -> None:
    found = check(basic, credential)
    assert found.login().verdict is verdict
    assert found.pull(image(basic)).verdict is verdict
    assert found.push(image(basic)).verdict is verdict


@pytest.mark.parametrize(
    ("credential", "login", "pull", "push"),
    [
        (RIGHT, Verdict.OK, Verdict.OK, Verdict.OK),
        (READER, Verdict.OK, Verdict.OK, Verdict.NO_PERMISSION),
        (STRANGER, Verdict.OK, Verdict.NO_PERMISSION, Verdict.NO_PERMISSION),
        (WRONG, Verdict.WRONG_PASSWORD, Verdict.WRONG_PASSWORD, Verdict.WRONG_PASSWORD),
    ],
)
def test_a_token_registry(
    bearer: RegistryServer, credential: Credential, login: Verdict, pull: Verdict, push: Verdict
) -> None:
    found = check(bearer, credential)
    assert found.login().verdict is login
    assert found.pull(image(bearer)).verdict is pull
    assert found.push(image(bearer)).verdict is push


def test_an_identity_token_is_traded_at_a_token_registry_and_refused_by_a_password_registry(
    basic: RegistryServer, bearer: RegistryServer
) -> None:
    token = Credential(username="", secret=Secret("alices-identity-token"), kind=CredentialKind.IDENTITY_TOKEN)
    assert check(bearer, token).pull(image(bearer)).verdict is Verdict.OK
    refused = check(basic, token).login()
    assert (refused.verdict, "identity token" in refused.detail) == (Verdict.WRONG_PASSWORD, True)


def test_an_image_that_is_not_there(basic: RegistryServer) -> None:
    assert check(basic, RIGHT).pull(image(basic, "team/other:1")).verdict is Verdict.NOT_FOUND


def test_a_registry_for_everybody(open_registry: RegistryServer) -> None:
    assert check(open_registry, None).pull(image(open_registry)).verdict is Verdict.ANONYMOUS_OK
    assert check(open_registry, RIGHT).push(image(open_registry)).verdict is Verdict.ANONYMOUS_OK


def test_an_untrusted_certificate_is_said(basic: RegistryServer) -> None:
    result = RegistryCheck(basic.address, RIGHT, http=HttpClient(timeout=5)).login()
    assert result.verdict is Verdict.UNREACHABLE
    assert "certificate is not trusted" in result.detail


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    result = RegistryCheck(address, None, http=HttpClient(timeout=2), plain_http=True).login()
    assert (result.verdict, result.detail) == (Verdict.UNREACHABLE, "Connection refused")


def test_a_token_becomes_known_to_whoever_masks(bearer: RegistryServer) -> None:
    learned: list[Secret] = []
    http = HttpClient(ca_files=[bearer.ca_file], timeout=5)
    RegistryCheck(bearer.address, RIGHT, http=http, learned=learned.append).login()
    assert len(learned) == 1
    assert learned[0].reveal().count(".") == 2
