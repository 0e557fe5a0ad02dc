"""Asks the provider in a few words, as the host would."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ocibuild_core.plugin import Clock, Credential, CredentialRequest, OptionValues, ProviderContext, SystemClock

from ocibuild_ecr import EcrProvider

OWN = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
"""The registry of the account that `Cloud.add_user` puts its users in."""

_log = logging.getLogger("ocibuild.auth.ecr")


def values(**given: Any) -> OptionValues:
    """Option values; `role_arn=…` stands for the option `role-arn`. They come from variables like ECR_ROLE_ARN."""
    named = {name.replace("_", "-"): value for name, value in given.items()}
    defaults = {option.name: option.default for option in EcrProvider.options}
    unknown = named.keys() - defaults.keys()
    assert not unknown, f"no such option: {unknown}"
    origins = {name: "ECR_" + name.replace("-", "_").upper() for name in named}
    return OptionValues(defaults | named, origins)


@dataclass(frozen=True, kw_only=True)
class Asker:
    """A user with an environment, before one provider."""

    env: Mapping[str, str]
    provider: EcrProvider = field(default_factory=EcrProvider)
    clock: Clock = field(default_factory=SystemClock)
    explicit: bool = True
    pinned: bool = False
    timeout: float = 30.0

    def with_env(self, *more: Mapping[str, str], **also: str) -> Asker:
        """The same user with more in the environment."""
        merged = dict(self.env)
        for one in (*more, also):
            merged.update(one)
        return replace(self, env=merged)

    def on_his_own(self) -> Asker:
        """Nobody named the provider: it is asked because it is installed."""
        return replace(self, explicit=False)

    def get(self, registry: str, **options: Any) -> Credential | None:
        """The credential, or None."""
        return self.provider.get(CredentialRequest(registry=registry, pinned=self.pinned, **self._context(options)))

    def login(self, registry: str, **options: Any) -> Credential:
        """The credential, which is there."""
        found = self.get(registry, **options)
        assert found is not None
        return found

    def registries(self, **options: Any) -> tuple[str, ...]:
        return tuple(self.provider.registries(ProviderContext(**self._context(options))))

    def _context(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "options": values(**options),
            "env": self.env,
            "clock": self.clock,
            "deadline": self.clock.monotonic() + self.timeout,
            "log": _log,
            "explicit": self.explicit,
        }
