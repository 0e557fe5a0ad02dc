"""What an author says about a login that works, and the logins that don't which follow from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from ocibuild_core.plugin import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocibuild_testkit.broker import OptionValue

_NO_OPTIONS: Mapping[str, OptionValue] = MappingProxyType({})
_NO_ENV: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A registry, and what it takes to log in there.

    Args:
        registry: the registry, as the provider is asked for it.
        options: the values of the provider's options; the rest have their defaults.
        env: the user's environment.
        secrets: every secret in `env` and `options`, and every one that comes back, at least 8 characters each.
            `Secret` options and the credential's own secret need not be named.
    """

    registry: str
    options: Mapping[str, OptionValue] = field(default_factory=lambda: _NO_OPTIONS, repr=False)
    env: Mapping[str, str] = field(default_factory=lambda: _NO_ENV, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def all_secrets(self) -> tuple[str, ...]:
        """The named ones and those in options."""
        in_options = (value.reveal() for value in self.options.values() if isinstance(value, Secret))
        return tuple(dict.fromkeys((*self.secrets, *in_options)))

    def with_secrets(self, other: str) -> Login:
        """The same login with `other` in the place of each secret."""
        secrets = self.all_secrets()

        def changed(text: str) -> str:
            for secret in secrets:
                text = text.replace(secret, other)
            return text

        options: dict[str, OptionValue] = {}
        for name, value in self.options.items():
            if isinstance(value, Secret):
                options[name] = Secret(changed(value.reveal()))
            elif isinstance(value, str):
                options[name] = changed(value)
            elif isinstance(value, tuple):
                options[name] = tuple(map(changed, value))
            else:
                options[name] = value
        env = {name: changed(text) for name, text in self.env.items()}
        return replace(self, options=options, env=env, secrets=(*secrets, other))

    def with_whole_values(self, other: str) -> Login:
        """The same login with `other` in the place of each value that holds a secret: its form is wrong, too."""
        mine = self.with_secrets(other)
        options: dict[str, OptionValue] = {
            name: Secret(other) if isinstance(value, Secret) else other if _holds(value, other) else value
            for name, value in mine.options.items()
        }
        env = {name: other if other in text else text for name, text in mine.env.items()}
        return replace(mine, options=options, env=env)


def _holds(value: OptionValue, text: str) -> bool:
    return isinstance(value, str) and text in value
