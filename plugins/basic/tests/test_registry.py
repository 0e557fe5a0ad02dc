"""What the provider hands out opens a real registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ocibuild_core.plugin import Credential, CredentialError, Secret
from ocibuild_testkit.registry import (
    Authority,
    PasswordAuth,
    RegistryClient,
    RegistryError,
    RegistryServer,
    basic_header,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from basic_support import Asker, SecretService
    from ocibuild_basic.provider import BasicProvider
    from ocibuild_testkit.registry_fixtures import RegistryFactory

IMAGE = "team/base"


@pytest.fixture
def password(fresh_secret: Callable[[], str]) -> str:
    """One that everything on its way has to leave alone."""
    return f"{fresh_secret()}:ä€ $x%41"


@pytest.fixture
def registry(registry_factory: RegistryFactory, tls_authority: Authority, password: str) -> RegistryServer:
    server = registry_factory(auth=PasswordAuth({"org+robot$1": password}), tls=tls_authority, host="localhost")
    server.push_image(f"{IMAGE}:1", files={"etc/motd": b"hello"})
    return server


def pull(registry: RegistryServer, credential: Credential) -> str:
    """The media type of the image, as BuildKit would read it with this credential."""
    header = basic_header(credential.username, credential.secret.reveal())
    client = RegistryClient(
        registry.address,
        connect_to=("localhost", registry.port),
        authority=registry.authority,
        authorize=lambda _: header,
    )
    return client.manifest(IMAGE, "1")[0]


class Terminal:
    """A terminal where nobody types, before a registry that is really asked."""

    def __init__(self, registry: RegistryServer) -> None:
        self._registry = registry

    def ask(self, question: str) -> str:
        raise AssertionError(question)

    def ask_secret(self, question: str) -> Secret:
        raise AssertionError(question)

    def say(self, text: str) -> None:
        raise AssertionError(text)

    def verify(self, registry: str, credential: Credential) -> None:
        try:
            pull(self._registry, credential)
        except RegistryError as error:
            raise CredentialError(f"{registry} refuses {credential.username}") from error


def test_every_source_opens_it(provider: BasicProvider, ask: Asker, registry: RegistryServer, password: str) -> None:
    host = registry.address
    env = {"CI_REGISTRY": host, "CI_REGISTRY_USER": "org+robot$1", "CI_REGISTRY_PASSWORD": password}
    for request in (
        ask.request(host, pass_=f"org+robot$1:{password}\n", registry=f"https://{host}/v2/"),
        ask.request(host, user="org+robot$1", password=password, registry=host),
        ask.request(host, registries=f"'{host}': {{user: org+robot$1, password: {{env: P}}}}", env={"P": password}),
        ask.request(host, env=env),
    ):
        credential = provider.get(request)
        assert credential
        assert pull(registry, credential).endswith("manifest.v1+json")


def test_a_wrong_password_is_the_registry_s_to_refuse(
    provider: BasicProvider, ask: Asker, registry: RegistryServer, fresh_secret: Callable[[], str]
) -> None:
    credential = provider.get(
        ask.request(registry.address, pass_=f"org+robot$1:{fresh_secret()}", registry=registry.address)
    )

    assert credential
    with pytest.raises(RegistryError, match="401"):
        pull(registry, credential)


def test_login_keeps_what_the_registry_takes_and_nothing_else(  # all of it is needed
    provider: BasicProvider,
    ask: Asker,
    registry: RegistryServer,
    secret_service: SecretService,
    password: str,
    fresh_secret: Callable[[], str],
) -> None:
    del secret_service
    host = registry.address

    with pytest.raises(CredentialError, match="refuses"):
        provider.login(ask.login(host, username="org+robot$1", secret=fresh_secret()), Terminal(registry))
    assert list(provider.list(ask.context())) == []

    provider.login(ask.login(host, username="org+robot$1", secret=password), Terminal(registry))
    credential = provider.get(ask.request(host, explicit=False))
    assert credential
    assert pull(registry, credential).endswith("manifest.v1+json")


def test_no_secret_is_left_in_a_file_of_ours(  # all of it is needed
    provider: BasicProvider,
    ask: Asker,
    secret_service: SecretService,
    registry: RegistryServer,
    password: str,
    watch_for_leaks: Callable[..., object],
) -> None:
    from pathlib import Path

    del secret_service
    provider.login(ask.login(registry.address, username="org+robot$1", secret=password), Terminal(registry))
    provider.get(ask.request(registry.address))

    watch_for_leaks(Path(ask.env["HOME"]))
    assert list(Path(ask.env["HOME"]).rglob("basic-logins.json"))
