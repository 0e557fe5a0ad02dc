"""Registries as fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ocibuild_testkit.registry import Authority, RegistryAuth, RegistryServer


class RegistryFactory(Protocol):
    """Starts registries that end with the test."""

    def __call__(
        self,
        *,
        auth: RegistryAuth | None = None,
        tls: Authority | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        bind: str | None = None,
        names: tuple[str, ...] = (),
    ) -> RegistryServer:
        """See `ocibuild_testkit.registry.RegistryServer`."""


@pytest.fixture(scope="session")
def tls_authority() -> Authority:
    """A certificate authority for this test run."""
    from ocibuild_testkit.registry import Authority

    return Authority()


@pytest.fixture
def registry_factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryFactory]:
    """Starts real registries, any number, configured as the test needs them."""
    from contextlib import ExitStack

    from ocibuild_testkit.registry import RegistryServer

    with ExitStack() as running:

        def start(
            *,
            auth: RegistryAuth | None = None,
            tls: Authority | None = None,
            host: str = "127.0.0.1",
            port: int = 0,
            bind: str | None = None,
            names: tuple[str, ...] = (),
        ) -> RegistryServer:
            directory: Path = tmp_path_factory.mktemp("registry")
            server = RegistryServer(
                auth=auth, tls=tls, host=host, port=port, bind=bind, names=names, directory=directory
            )
            return running.enter_context(server)

        yield start


@pytest.fixture
def registry(registry_factory: RegistryFactory) -> RegistryServer:
    """A real registry on plain HTTP that asks nobody for a password."""
    return registry_factory()


@pytest.fixture
def tls_registry(
    registry_factory: RegistryFactory, tls_authority: Authority, fresh_secret: Callable[[], str]
) -> RegistryServer:
    """A real registry with TLS and one user, `alice`; her password is `tls_registry.auth.users["alice"]`."""
    from ocibuild_testkit.registry import PasswordAuth

    return registry_factory(auth=PasswordAuth({"alice": fresh_secret()}), tls=tls_authority)


@pytest.fixture
def token_registry(
    registry_factory: RegistryFactory, tls_authority: Authority, fresh_secret: Callable[[], str]
) -> RegistryServer:
    """A real registry with TLS and Bearer tokens.

    Its identities, in `token_registry.auth.accounts`: `writer` may do everything, `reader` may pull, `nobody` has a
    password and no rights.
    """
    from ocibuild_testkit.registry import Identity, TokenAuth

    def identity(username: str, *, pull: tuple[str, ...], push: tuple[str, ...]) -> Identity:
        return Identity(
            username=username,
            password=fresh_secret(),
            identity_token=fresh_secret(),
            pull=pull,
            push=push,
        )

    identities = (
        identity("writer", pull=("*",), push=("*",)),
        identity("reader", pull=("*",), push=()),
        identity("nobody", pull=(), push=()),
    )
    return registry_factory(auth=TokenAuth(identities), tls=tls_authority)
