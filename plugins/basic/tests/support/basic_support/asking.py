"""Makes the questions that the host would ask."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ocibuild_basic.provider import BasicProvider
from ocibuild_core.plugin import CredentialRequest, LoginRequest, OptionValues, ProviderContext, Secret, SystemClock

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPELLINGS = {
    "pass": "PASS",
    "registry": "REG_URL",
    "user": "BASIC_USER",
    "password": "BASIC_PASSWORD",
    "registries": "BASIC_REGISTRIES",
    "keyring-timeout": "--basic-keyring-timeout",
}


@dataclass
class Asker:
    """Makes the host's questions; texts of secret options become secrets, and what is set gets its origin."""

    env: dict[str, str] = field(default_factory=dict)
    seconds: float = 30.0

    def context(self, **given: object) -> ProviderContext:
        return ProviderContext(**self._parts(given))

    def request(self, registry: str, /, **given: object) -> CredentialRequest:
        pinned = bool(given.pop("pinned", False))
        return CredentialRequest(registry=registry, pinned=pinned, **self._parts(given))

    def login(self, registry: str, /, *, username: str | None = None, secret: str | None = None) -> LoginRequest:
        typed = None if secret is None else Secret(secret)
        return LoginRequest(registry=registry, username=username, secret=typed, **self._parts({}))

    def _parts(self, given: dict[str, Any]) -> dict[str, Any]:
        clock = SystemClock()
        env = {**self.env, **given.pop("env", {})}
        explicit = given.pop("explicit", True)
        named_as = given.pop("named_as", "basic" if explicit else "")
        return {
            "options": option_values(given),
            "env": env,
            "clock": clock,
            "deadline": clock.monotonic() + self.seconds,
            "log": logging.getLogger("ocibuild.auth.basic"),
            "explicit": explicit,
            "named_as": named_as,
        }


def option_values(given: Mapping[str, Any]) -> OptionValues:
    """`given` has Python's names (`pass_`, `keyring_timeout`)."""
    named = {name.rstrip("_").replace("_", "-"): value for name, value in given.items()}
    secret = {"pass", "password", "registries"}
    values = {option.name: option.default for option in BasicProvider.options}
    values |= {name: Secret(value) if name in secret else value for name, value in named.items()}
    return OptionValues(values, {name: _SPELLINGS[name] for name in named})
