"""Asks the provider in a few words."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ocibuild_core.plugin import Clock, Credential, CredentialRequest, OptionValues, Secret, SystemClock
from ocibuild_gcr import GoogleProvider

if TYPE_CHECKING:
    from collections.abc import Mapping

REGISTRY = "europe-docker.pkg.dev"
POOL = "projects/123456789012/locations/global/workloadIdentityPools/concourse/providers/main"


@dataclass(slots=True)
class Asker:
    """Asks one provider as the host does; every call may differ from `env` and from the defaults."""

    env: dict[str, str]
    provider: GoogleProvider = field(default_factory=GoogleProvider)
    clock: Clock = field(default_factory=SystemClock)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("ocibuild.test"))

    def request(
        self,
        registry: str = REGISTRY,
        *,
        seconds: float = 10,
        explicit: bool = True,
        **options: Any,  # noqa: ANN401  # each option has its own type
    ) -> CredentialRequest:
        """A request with options spelled as Python names."""
        return CredentialRequest(
            registry=registry,
            options=option_values(self.provider, options),
            env=self.env,
            clock=self.clock,
            deadline=self.clock.monotonic() + seconds,
            log=self.log,
            explicit=explicit,
        )

    def __call__(self, registry: str = REGISTRY, **more: Any) -> Credential:  # noqa: ANN401  # as above
        """The credential; there has to be one."""
        credential = self.provider.get(self.request(registry, **more))
        assert credential is not None
        return credential


def option_values(provider: GoogleProvider, given: Mapping[str, Any]) -> OptionValues:
    """The values of all options, those given as environment variables would give them."""
    values = {option.name: option.default for option in provider.options}
    origins = {}
    for word, value in given.items():
        name = word.replace("_", "-")
        assert name in values, name
        secret = name in {"key-json", "access-token", "oidc-token"}
        values[name] = Secret(value) if secret else value
        origins[name] = f"GCR_{word.upper()}"
    return OptionValues(values, origins)
