"""Where `store`, `erase` and `list` of the credential helper go: to the provider that the user chose for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.auth.ambient import KEEPER_ENV, KEEPER_KEY
from ocibuild_core.errors import CredentialError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocibuild_core.auth.boundary import GuardedProvider
    from ocibuild_core.credentials import Credential


class ProviderKeeper:
    """Keeps credentials in a provider with the capability `CredentialStore`.

    Args:
        provider: the chosen one.
    """

    def __init__(self, provider: GuardedProvider) -> None:
        self._provider = provider

    def store(self, registry: str, credential: Credential) -> None:
        """See `Keeper.store`."""
        self._provider.store(registry, credential)

    def erase(self, registry: str) -> None:
        """See `Keeper.erase`."""
        self._provider.erase(registry)

    def list(self) -> Mapping[str, str]:
        """See `Keeper.list`."""
        return {item.registry: item.username for item in self._provider.list()}


class RefusingKeeper:
    """Keeps nothing, and says how to choose one that does.

    Args:
        able: the names of the providers that could.
    """

    def __init__(self, able: list[str]) -> None:
        self._able = able

    def store(self, registry: str, credential: Credential) -> None:
        """Refuse."""
        del registry, credential
        raise self._refusal()

    def erase(self, registry: str) -> None:
        """Refuse."""
        del registry
        raise self._refusal()

    def list(self) -> Mapping[str, str]:
        """Refuse."""
        raise self._refusal()

    def _refusal(self) -> CredentialError:
        able = ", ".join(self._able)
        return CredentialError(
            "no login is chosen to keep credentials in",
            do=f"set {KEEPER_KEY} in ~/.config/ocibuild.yml, or {KEEPER_ENV}, to one of: {able}"
            if able
            else "install a plugin that can keep credentials; `ocibuild plugins` lists what is installed",
        )


def keeper_for(name: str, providers: Mapping[str, GuardedProvider]) -> ProviderKeeper | RefusingKeeper:
    """The keeper of that provider.

    Args:
        name: the provider's name; empty when the user chose none.
        providers: the installed ones by name.

    Raises:
        UsageError: the provider cannot keep anything.
    """
    able = sorted(known for known, provider in providers.items() if provider.stores)
    if not name:
        return RefusingKeeper(able)
    if name not in able:
        raise UsageError(
            f"{KEEPER_KEY}: {name!r} cannot keep credentials",
            do=f"choose one of: {', '.join(able) or 'none is installed'}",
        )
    return ProviderKeeper(providers[name])
