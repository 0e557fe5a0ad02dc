from __future__ import annotations

import traceback
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from azure import CLIENT, TENANT, TOKEN_USER, FakeAzure
from ocibuild_core.plugin import CredentialError, CredentialsUnavailable, Match, Secret, UsageError
from ocibuild_testkit.broker import ProviderBroker
from ocibuild_testkit.contracts import AuthProviderContract, Login

from ocibuild_acr.provider import AcrProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ocibuild_testkit.registry import Authority


@pytest.fixture
def client_secret(fresh_secret: Callable[[], str]) -> str:
    return fresh_secret()


@pytest.fixture
def azure(tls_authority: Authority, client_secret: str) -> Iterator[FakeAzure]:
    server = FakeAzure(tls_authority, client_secret)
    yield server
    server.stop()


@pytest.fixture
def principal(azure: FakeAzure, client_secret: str, tls_authority: Authority, tmp_path: Path) -> Login:
    return Login(
        registry=azure.address,
        options={"registries": (azure.address,), "authority": azure.url},
        env={
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_CLIENT_SECRET": client_secret,
            "SSL_CERT_FILE": str(tls_authority.write(tmp_path / "ca.pem")),
        },
        secrets=(client_secret,),
    )


class TestContract(AuthProviderContract):
    @pytest.fixture
    def provider(self) -> AcrProvider:
        return AcrProvider()

    @pytest.fixture
    def login(self, principal: Login) -> Login:
        return principal


def broker(principal: Login, **options: object) -> ProviderBroker:
    values = {**principal.options, **options}
    return ProviderBroker(AcrProvider(), options=values, env=principal.env)  # type: ignore[arg-type]


def test_a_service_principal_gets_a_refresh_token(principal: Login, azure: FakeAzure) -> None:
    credential = broker(principal).get(principal.registry)
    assert credential
    assert credential.username == TOKEN_USER
    assert credential.detail == f"client {CLIENT} of tenant {TENANT}"
    assert credential.expires_at
    assert abs(credential.expires_at - datetime.now(UTC) - timedelta(hours=3)) < timedelta(minutes=1)
    assert azure.exchanges == 1


def test_a_token_got_elsewhere_stands_for_the_principal(principal: Login, azure: FakeAzure) -> None:
    asked = broker(principal, token=Secret(azure.entra_token()))
    asked.env = {"SSL_CERT_FILE": principal.env["SSL_CERT_FILE"]}
    credential = asked.get(principal.registry)
    assert credential
    assert credential.detail == "access token from the test's 'token'"


@pytest.mark.parametrize(
    "wrong",
    [{"audience": "https://graph.microsoft.com"}, {"lifetime": -1}, {"tenant": "fabrikam.example"}],
    ids=["another audience", "expired", "another tenant"],
)
def test_a_token_that_the_registry_refuses(principal: Login, azure: FakeAzure, wrong: dict[str, str]) -> None:
    asked = broker(principal, token=Secret(azure.entra_token(**wrong)))  # type: ignore[arg-type]
    with pytest.raises(CredentialError, match=f"{azure.address} refuses the login") as caught:
        asked.get(principal.registry)
    assert caught.value.why == "HTTP 401"


def test_a_forged_token_is_refused(principal: Login, azure: FakeAzure) -> None:
    head, _, _ = azure.entra_token().rpartition(".")
    with pytest.raises(CredentialError, match="refuses the login"):
        broker(principal, token=Secret(f"{head}.forged")).get(principal.registry)


def test_a_wrong_secret_is_named_by_entras_code_alone(principal: Login, fresh_secret: Callable[[], str]) -> None:
    wrong = fresh_secret()
    with pytest.raises(CredentialError) as caught:
        broker(principal, **{"client-secret": Secret(wrong)}).get(principal.registry)
    assert caught.value.why == "HTTP 401, AADSTS7000215"
    assert wrong not in "".join(traceback.format_exception(caught.value))


def test_entra_is_never_asked_without_tls(principal: Login) -> None:
    with pytest.raises(UsageError, match="over https alone"):
        broker(principal, authority="http://login.example").get(principal.registry)


def test_an_unknown_tenant(principal: Login) -> None:
    with pytest.raises(CredentialError, match="Entra refuses the login") as caught:
        broker(principal, tenant="nowhere.example").get(principal.registry)
    assert "AADSTS90002" in caught.value.why


def test_nothing_to_log_in_with_says_what_to_set(principal: Login) -> None:
    asked = broker(principal)
    asked.env = {}
    with pytest.raises(CredentialsUnavailable) as caught:
        asked.get(principal.registry)
    assert "AZURE_CLIENT_SECRET" in caught.value.do


def test_a_server_of_an_unknown_authority_is_not_told_the_secret(principal: Login) -> None:
    asked = broker(principal)
    asked.env = {name: value for name, value in principal.env.items() if name != "SSL_CERT_FILE"}
    with pytest.raises(CredentialError, match="no answer from Entra") as caught:
        asked.get(principal.registry)
    assert "SSL_CERT_FILE" in caught.value.do


@pytest.mark.parametrize(
    ("registry", "expected"),
    [
        ("team.azurecr.io", Match.SPECIFIC),
        ("team-abc123.azurecr.io", Match.SPECIFIC),
        ("team.geo.azurecr.io", Match.SPECIFIC),
        ("team.azurecr.cn", Match.SPECIFIC),
        ("images.example.com:5000", Match.SPECIFIC),
        ("images.example.com", Match.NO),
        ("azurecr.io", Match.NO),
        ("team.azurecr.io.evil.example", Match.NO),
        ("team.azurecr.io:8443", Match.NO),
        ("evilazurecr.io", Match.NO),
    ],
)
def test_its_registries(registry: str, expected: Match) -> None:
    asked = ProviderBroker(AcrProvider(), options={"registries": ("https://Images.example.com:5000/v2/",)})
    assert asked.match(registry) is expected
    assert asked.registries() == ("images.example.com:5000",)
