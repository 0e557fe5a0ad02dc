"""Amazon ECR and ECR Public: an auth plugin of ocibuild."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from ocibuild_core.plugin import (
    AuthProvider,
    Credential,
    CredentialError,
    CredentialRequest,
    Match,
    OptionValues,
    ProviderContext,
    UsageError,
    hookimpl,
)

from ocibuild_ecr import hosts, identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocibuild_ecr.login import Login

OCIBUILD_HOOK_API = 1


class EcrProvider(AuthProvider):
    """A token for every registry that the AWS identity at hand may use.

    One call for each identity and region, however many registries share it. The SDK is loaded by the first question.
    """

    name = "ecr"
    summary = "Amazon ECR and ECR Public, as any AWS identity"
    options = identity.OPTIONS

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logins: dict[object, Login] = {}

    def match(self, registry: str, options: OptionValues) -> Match:
        """SPECIFIC for Amazon's registries. ECR Public, where anybody may pull, is that only when it is named."""
        found = hosts.parse(registry)
        if found is None:
            return Match.NO
        return Match.GENERIC if _is_optional(found, registry, options) else Match.SPECIFIC

    def registries(self, context: ProviderContext) -> Sequence[str]:
        """What the option of this name holds; its accounts are those of the region at hand.

        Without any, the caller's own registry when the user named this provider, so that an identity that cannot log
        in ends the run early; not so when every account has a role of its own. In a region that nobody chose the
        identity alone is tried: what ECR says there has no bearing on the registries that the build needs.
        """
        named = identity.named_registries(context.options)
        if not named:
            return self._own_registry(context) if context.explicit and identity.is_for_all(context.options) else ()
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

    def get(self, request: CredentialRequest) -> Credential | None:
        """The token of the registry's endpoint. For ECR Public, unless it is named, None in place of an error."""
        found = hosts.parse(request.registry)
        if found is None:
            return None
        if not _is_optional(found, request.registry, request.options):
            return self._credential(found, request)
        try:
            return self._credential(found, request)
        except CredentialError as error:
            request.log.info("%s is asked anonymously: %s", request.registry, error)
            return None

    def _credential(self, found: hosts.Registry, request: CredentialRequest) -> Credential:
        who = identity.identity_for(request, found.account)
        if found.endpoint.public and not request.explicit:
            # Looking for a metadata service takes seconds where there is none: not for a login that nobody asked for.
            who = replace(who, uses_metadata=False)
        login = self._login(request, who.profile)
        suffix = login.suffix(found.endpoint.region, dual_stack=found.endpoint.dual_stack)
        if found.account and suffix != found.suffix:
            raise CredentialError(
                f"{request.registry} is no registry of Amazon's",
                why=f"the AWS SDK knows registries in {found.endpoint.region} under {suffix or 'no suffix at all'}",
                do="correct the name, or update boto3",
            )
        token = login.token(who, found.endpoint, request, request.registry)
        return Credential(username="AWS", secret=token.password, expires_at=token.expires_at, detail=token.detail)

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
        from ocibuild_ecr.login import Login  # noqa: PLC0415  # not for --help

        key = (profile, frozenset(context.env.items()))
        with self._lock:
            if key not in self._logins:
                self._logins[key] = Login(context.env, profile)
            return self._logins[key]


@hookimpl
def ocibuild_auth_providers() -> Iterable[AuthProvider]:
    """The one provider, `ecr`."""
    return [EcrProvider()]


def _is_optional(found: hosts.Registry, registry: str, options: OptionValues) -> bool:
    return found.endpoint.public and not identity.is_named(registry, options)


def _region(context: ProviderContext, login: Login) -> identity.Region:
    region = identity.find_region(context, lambda: login.profile_region(context))
    context.log.info("region %s, from %s", region.name, region.origin)
    return region
