"""The provider: which registries are its own, and what it takes to log in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocibuild_core.plugin import (
    AuthProvider,
    Credential,
    CredentialsUnavailable,
    Match,
    Option,
    OptionType,
    Secret,
    parse_registry,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocibuild_core.plugin import CredentialRequest, OptionValues, ProviderContext

# The user name that goes with a refresh token
# (https://learn.microsoft.com/azure/container-registry/container-registry-authentication).
_TOKEN_USER = "00000000-0000-0000-0000-000000000000"  # noqa: S105  # a user's name, no password

# https://learn.microsoft.com/azure/container-registry/container-registry-get-started-portal, and the national clouds.
_AZURE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)?\.azurecr\.(io|cn|us)", re.ASCII)


class AcrProvider(AuthProvider):
    """Azure Container Registry: an Entra access token is traded for a refresh token of the registry."""

    name = "acr"
    summary = "Azure Container Registry"
    aliases = ("azure",)
    options = (
        Option(name="tenant", help="Entra tenant, id or domain; else AZURE_TENANT_ID"),
        Option(name="client-id", help="Service principal; else AZURE_CLIENT_ID"),
        Option(
            name="client-secret",
            help="Secret of the service principal; else AZURE_CLIENT_SECRET",
            type=OptionType.SECRET,
        ),
        Option(name="token", help="Entra access token, instead of a service principal", type=OptionType.SECRET),
        Option(name="registries", help="Registries under names of your own", type=OptionType.LIST),
        Option(name="authority", help="Address of Entra", default="https://login.microsoftonline.com"),
    )

    def match(self, registry: str, options: OptionValues) -> Match:
        """See `AuthProvider.match`."""
        is_mine = _AZURE.fullmatch(registry) or registry in _own_names(options)
        return Match.SPECIFIC if is_mine else Match.NO

    def registries(self, context: ProviderContext) -> Sequence[str]:
        """See `AuthProvider.registries`."""
        return _own_names(context.options)

    def get(self, request: CredentialRequest) -> Credential | None:
        """See `AuthProvider.get`."""
        if self.match(request.registry, request.options) is Match.NO:
            return None
        # The network's modules are loaded by the builds that log in, not by every `--help`.
        from ocibuild_acr.exchange import exchange, expiry

        token, identity = _given_token(request) or _as_principal(request)
        refresh_token = exchange(request, token, tenant=_setting(request, "tenant", "AZURE_TENANT_ID"))
        return Credential(username=_TOKEN_USER, secret=refresh_token, expires_at=expiry(refresh_token), detail=identity)


def _own_names(options: OptionValues) -> tuple[str, ...]:
    return tuple(parse_registry(name, what="--acr-registries").registry for name in options.texts("registries"))


def _given_token(request: CredentialRequest) -> tuple[Secret, str] | None:
    token = request.options.secret("token")
    return (token, f"access token from {request.options.origin('token')}") if token else None


def _as_principal(request: CredentialRequest) -> tuple[Secret, str]:
    from ocibuild_acr.exchange import token_of_client

    tenant = _setting(request, "tenant", "AZURE_TENANT_ID")
    client = _setting(request, "client-id", "AZURE_CLIENT_ID")
    secret = request.options.secret("client-secret") or Secret(request.env.get("AZURE_CLIENT_SECRET", ""))
    if not (tenant and client and secret):
        raise CredentialsUnavailable(
            f"no Entra identity for {request.registry}",
            tried=["ACR_TOKEN", "ACR_TENANT, ACR_CLIENT_ID and ACR_CLIENT_SECRET", "the same as AZURE_…"],
            do="set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
        )
    return token_of_client(request, tenant, client, secret), f"client {client} of tenant {tenant}"


def _setting(request: CredentialRequest, option: str, variable: str) -> str:
    """An option's value, or that of the variable which Azure's own tools read.

    The variable is not an `env` of the option: it belongs to no plugin, and two that claimed it would conflict.
    """
    return request.options.text(option) or request.env.get(variable, "")
