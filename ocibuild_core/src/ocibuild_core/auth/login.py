"""What the user said about logins: which providers, for which registries, and whether others may step in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError
from ocibuild_core.records import NamedTuple
from ocibuild_core.registry.globs import glob_matches, is_exact, parse_glob

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocibuild_core.settings.documents import SettingsFile

DEFAULT_TIMEOUT = 30.0
"""Seconds that a provider gets for one answer."""

NONE = "none"
"""The item that keeps providers that nobody named from being asked."""

_NAME = r"(?a)[a-z][a-z0-9]*([-_][a-z0-9]+)*"


class LoginItem(NamedTuple):
    """A provider that the user named; it may answer for every registry that it knows.

    Args:
        name: the provider's name or alias, in lower case.
        origin: the spelling that named it (`--login`, `LOGIN`, `ocibuild.yml: login`).
    """

    name: str
    origin: str


class Pin(NamedTuple):
    """A provider that the user named for certain registries.

    Args:
        glob: the registries (`ocibuild_core.registry.globs`).
        name: the provider's name or alias, in lower case.
        origin: the spelling that named it.
    """

    glob: str
    name: str
    origin: str


class LoginSettings(NamedTuple):
    """All that the user said about logins.

    Args:
        items: providers by name, in the user's order, each once.
        pins: providers by registry.
        automatic: whether installed providers that nobody named are asked.
        timeout: seconds that a provider gets for one answer.
    """

    items: tuple[LoginItem, ...] = ()
    pins: tuple[Pin, ...] = ()
    automatic: bool = True
    timeout: float = DEFAULT_TIMEOUT

    def names(self) -> dict[str, str]:
        """Every name that the user gave, with its origin."""
        named = {pin.name: pin.origin for pin in reversed(self.pins)}
        return named | {item.name: item.origin for item in self.items}

    def pin_for(self, registry: str) -> Pin | None:
        """The pin that covers a registry: the one with the longest pattern; one without a star beats any other."""
        found = [pin for pin in self.pins if glob_matches(pin.glob, registry)]
        return max(found, key=lambda pin: (is_exact(pin.glob), len(pin.glob), pin.glob), default=None)


def parse_login(
    login: Iterable[str] = (),
    *,
    origin: str = "--login",
    registries: Mapping[str, str] | None = None,
    registries_origin: str = "registries",
    timeout: float = DEFAULT_TIMEOUT,
) -> LoginSettings:
    """Read `--login`/`LOGIN` values and the YAML mapping of pins.

    Args:
        login: values as given; each is a comma list of `NAME`, `NAME=REGISTRY-GLOB` and `none`, in any case; empty
            items are dropped.
        origin: where `login` was given, for messages.
        registries: pins as a mapping of pattern to provider.
        registries_origin: where `registries` was given.
        timeout: see `LoginSettings`.

    Raises:
        UsageError: an item is malformed, or two pins name two providers for one pattern.
    """
    items: dict[str, LoginItem] = {}
    pins: dict[str, Pin] = {}
    automatic = True
    for text in (part.strip() for value in login for part in value.split(",")):
        name, pinned, glob = text.partition("=")
        name = name.strip().lower()
        if not text:
            continue
        if name == NONE and not pinned:
            automatic = False
        elif pinned:
            _add_pin(pins, Pin(glob=parse_glob(glob, what=origin), name=_checked(name, origin), origin=origin))
        else:
            items.setdefault(name, LoginItem(name=_checked(name, origin), origin=origin))
    for pattern, provider in (registries or {}).items():
        glob = parse_glob(pattern, what=registries_origin)
        name = _checked(provider.strip().lower(), registries_origin)
        if glob not in pins or pins[glob].origin == registries_origin:
            _add_pin(pins, Pin(glob=glob, name=name, origin=registries_origin))
    if timeout <= 0:
        raise UsageError("the login timeout must be more than 0 seconds", do="set --login-timeout, like 30s")
    return LoginSettings(items=tuple(items.values()), pins=tuple(pins.values()), automatic=automatic, timeout=timeout)


def pins_of(files: Iterable[SettingsFile]) -> tuple[Mapping[str, str], str]:
    """The `registries` of the first file that has them, provider by pattern, and how messages call it.

    Raises UsageError when they are no such mapping.
    """
    for file in files:
        pins = file.values.get("registries")
        if pins is None:
            continue
        if not isinstance(pins, dict) or not all(isinstance(value, str) for value in pins.values()):
            raise UsageError(f"{file.name}: registries: a mapping of host pattern to provider is expected")
        return {str(glob): provider for glob, provider in pins.items()}, f"{file.name}: registries"
    return {}, "registries"


def _add_pin(pins: dict[str, Pin], pin: Pin) -> None:
    earlier = pins.setdefault(pin.glob, pin)
    if earlier.name != pin.name:
        raise UsageError(
            f"two logins for {pin.glob}: {earlier.name!r} ({earlier.origin}) and {pin.name!r} ({pin.origin})",
            why="a build shows one identity to a registry: BuildKit asks without saying pull or push",
            do="name one of them",
        )


def _checked(name: str, origin: str) -> str:
    if not re.fullmatch(_NAME, name):
        # The text may be a password that was given in the wrong place: it is not repeated.
        raise UsageError(
            f"{origin} holds an item that is no name of a login",
            why="a name is words of letters and digits joined by '-'; the item is not shown, as it may be a secret",
            do="write names separated by commas, like NAME or NAME=registry.example.com",
        )
    return name
