"""Logins that last: asked for at the terminal, kept in the system keyring, forgotten again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.plugin import CredentialKind, StoredCredential

from ocibuild_basic.keychain import Keychain
from ocibuild_basic.logins import written_credential
from ocibuild_basic.settings import SECRET_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocibuild_core.plugin import Credential, CredentialRequest, LoginRequest, LoginUI, ProviderContext

IDENTITY_TOKEN_USER = "<token>"  # noqa: S105  # a name
"""The user under which an identity token is kept, as in the protocol of docker's credential helpers.

Source: https://github.com/docker/docker-credential-helpers#development
"""


def keychain_for(context: ProviderContext, seconds: float | None = None) -> Keychain:
    """The keychain, without this provider's own secrets in its environment.

    Args:
        context: the options and the environment.
        seconds: how long it may take; None: the option's time, but not beyond the deadline.
    """
    if seconds is None:
        seconds = min(context.options.seconds("keyring-timeout") or 0.0, context.remaining())
    env = {name: value for name, value in context.env.items() if name not in SECRET_VARIABLES}
    return Keychain(env=env, seconds=seconds)


def login(request: LoginRequest, ui: LoginUI) -> str:
    """See `InteractiveLogin.login`."""
    registry, keychain = request.registry, keychain_for(request, request.remaining())
    keychain.probe(registry)  # before anybody has typed a password for nothing
    user = request.username or request.options.text("user") or ui.ask(f"User name for {registry}: ").strip()
    secret = request.secret or ui.ask_secret(f"Password or token of {user} for {registry}: ")
    credential = written_credential(user, secret, registry=registry, origin="the terminal or stdin")
    ui.verify(registry, credential)
    backend = keychain.keep(registry, user, credential.secret)
    others = ", ".join(name for name in keychain.users(registry) if name != user)
    hint = f"; also stored: {others} (choose with --basic-user)" if others else ""
    return f"{user} is logged in to {registry}, stored in the keyring ({backend}){hint}"


def logout(request: LoginRequest) -> str:
    """See `InteractiveLogin.logout`."""
    keychain = keychain_for(request, request.remaining())
    users = (request.username,) if request.username else keychain.users(request.registry)
    gone = keychain.forget(request.registry, users)
    if not gone:
        return f"nothing was stored for {request.registry}"
    return f"forgotten for {request.registry}: {', '.join(gone)}"


def keep(request: CredentialRequest, credential: Credential) -> None:
    """See `CredentialStore.store`."""
    is_token = credential.kind is CredentialKind.IDENTITY_TOKEN
    user = IDENTITY_TOKEN_USER if is_token else credential.username
    registry, keychain = request.registry, keychain_for(request)
    # Read first and forgotten last: no failure loses the old one, and of two at the same time one stays.
    others = [known for known in keychain.users(registry) if known != user]
    keychain.keep(registry, user, credential.secret)
    keychain.forget(registry, others)


def forget(request: CredentialRequest) -> bool:
    """See `CredentialStore.erase`."""
    keychain = keychain_for(request)
    return bool(keychain.forget(request.registry, keychain.users(request.registry)))


def entries(context: ProviderContext) -> Iterable[StoredCredential]:
    """See `CredentialStore.list`."""
    return [StoredCredential(registry=registry, username=user) for registry, user in keychain_for(context).entries()]
