"""What the host asks, answered: whose registries, and with which token."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from ocibuild_core.plugin import Credential, CredentialError, UsageError

from ocibuild_ecr import hosts, identity
from ocibuild_ecr.login import USER, Login

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocibuild_core.plugin import CredentialRequest, ProviderContext


class Answers:
    """The answers of one run, and the logins behind them. Safe for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logins: dict[object, Login] = {}

    def registries(self, context: ProviderContext) -> Sequence[str]:
        """See `EcrProvider.registries`."""
        named = identity.named_registries(context.options)
        if not named:
            return self._own_registry(context) if identity.is_for_all(context.options) else ()
        if not any(map(str.isdigit, named)):
            return named
        login = self._login(context, identity.profile(context.options))
        region = _region(context, login)
        suffix = login.suffix(region.name)
        if suffix is None:
            raise UsageError(
                f"{region.origin}: the AWS SDK knows no partition that the region {region.name} could be in",
                do="correct the region, or update boto3",
            )
        names = (hosts.private_name(item, region.name, suffix) if item.isdigit() else item for item in named)
        return tuple(dict.fromkeys(names))

    def credential(self, found: hosts.Registry, request: CredentialRequest) -> Credential:
        """The token for a registry."""
        return self._credential(found, request, identity.identity_for(request, found.account))

    def credential_if_any(self, found: hosts.Registry, request: CredentialRequest) -> Credential | None:
        """The token for a registry that can do without, and for which nothing long is tried unless it is asked for."""
        try:
            who = identity.identity_for(request, found.account)
            # Looking for a metadata service takes seconds where there is none.
            return self._credential(found, request, replace(who, uses_metadata=request.explicit))
        except CredentialError as error:
            request.log.info("%s is asked anonymously: %s", request.registry, error)
            return None

    def _credential(self, found: hosts.Registry, request: CredentialRequest, who: identity.Identity) -> Credential:
        login = self._login(request, who.profile)
        suffix = login.suffix(found.endpoint.region, dual_stack=found.endpoint.dual_stack)
        if found.account and suffix != found.suffix:
            raise CredentialError(
                f"{request.registry} is no registry of Amazon's",
                why=f"the AWS SDK knows registries in {found.endpoint.region} under {suffix or 'no suffix at all'}",
                do="correct the name, or update boto3",
            )
        token = login.token(who, found.endpoint, request, request.registry)
        return Credential(username=USER, secret=token.password, expires_at=token.expires_at, detail=token.detail)

    def _own_registry(self, context: ProviderContext) -> Sequence[str]:
        who = identity.identity_for(context, None)
        login = self._login(context, who.profile)
        region = _region(context, login)
        endpoint = hosts.Endpoint(region=region.name)
        label = f"the caller's own registry in {region.name}"
        if region.is_guess:
            login.check(who, endpoint, context, label)
            return ()
        own = login.token(who, endpoint, context, label).registry
        # An AWS_ENDPOINT_URL may lead to something that hands out registries of its own.
        return (own,) if hosts.parse(own) else ()

    def _login(self, context: ProviderContext, profile: str | None) -> Login:
        """The logins of one environment and profile, made once."""
        key = (profile, frozenset(context.env.items()))
        with self._lock:
            if key not in self._logins:
                self._logins[key] = Login(context.env, profile)
                if unused := identity.unused(context.options):
                    context.log.warning("%s", unused)
            return self._logins[key]


def _region(context: ProviderContext, login: Login) -> identity.Region:
    region = identity.find_region(context, lambda: login.profile_region(context))
    context.log.info("region %s, from %s", region.name, region.origin)
    return region
