"""Every way in which a user can spell an option, derived from its record alone."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from ocibuild_core.options import OptionType
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocibuild_core.exporting import Exporter
    from ocibuild_core.options import Option
    from ocibuild_core.providers import AuthProvider


class OwnerKind(Enum):
    """What an option belongs to; the value is its section in a file of settings."""

    PROVIDER = "auth"
    EXPORTER = "exporters"


class Owner(NamedTuple):
    """A provider or an exporter, as far as its options are concerned.

    Args:
        kind: which of the two.
        name: its name.
        options: its options.
    """

    kind: OwnerKind
    name: str
    options: tuple[Option, ...]

    @classmethod
    def of_provider(cls, provider: AuthProvider) -> Owner:
        """The owner of a provider's options."""
        return cls(kind=OwnerKind.PROVIDER, name=provider.name, options=provider.options)

    @classmethod
    def of_exporter(cls, exporter: Exporter) -> Owner:
        """The owner of an exporter's options."""
        return cls(kind=OwnerKind.EXPORTER, name=exporter.name, options=exporter.options)

    def __str__(self) -> str:
        return f"{self.kind.name.lower()} {self.name!r}"


class Spellings(NamedTuple):
    """The spellings of one option.

    Args:
        cli: on the command line: `--ecr-region`, for an exporter's `--output NAME,key`. Empty for a secret.
        cli_off: the same for "no" (`--no-ecr-public`); for a provider's BOOL alone.
        cli_file: the one that names the file of a secret (`--basic-password-file`); `-` is stdin.
        env: environment variables, in the order in which they are looked at.
        env_file: the variable that names the file of a secret.
        yaml: the path of keys in a file of settings.
        json: keys of the request on stdin, in that order; any case.
    """

    cli: str
    cli_off: str
    cli_file: str
    env: tuple[str, ...]
    env_file: str
    yaml: tuple[str, str, str]
    json: tuple[str, ...]

    def flags(self) -> tuple[str, ...]:
        """The flags that the command line gets, none for an exporter's option."""
        return tuple(
            flag for flag in (self.cli, self.cli_off, self.cli_file) if flag.startswith("--") and "," not in flag
        )

    def variables(self) -> tuple[str, ...]:
        """Every environment variable that is read."""
        return (*self.env, self.env_file) if self.env_file else self.env


def spell(owner: Owner, option: Option) -> Spellings:
    """All spellings of one option.

    >>> from ocibuild_core.options import Option
    >>> region = Option(name="region", help="AWS region", env=("REGION",))
    >>> spelt = spell(Owner(kind=OwnerKind.PROVIDER, name="ecr", options=(region,)), region)
    >>> spelt.cli, spelt.env, spelt.json, ".".join(spelt.yaml)
    ('--ecr-region', ('ECR_REGION', 'REGION'), ('ecr_region', 'region'), 'auth.ecr.region')
    """
    variable = f"{owner.name}-{option.name}".upper().replace("-", "_")
    env = (variable, *option.env)
    is_secret = option.type is OptionType.SECRET
    has_file = is_secret and not _has_own_file_option(owner, option)
    cli = _on_command_line(owner, option.name)
    return Spellings(
        cli="" if is_secret else cli,
        cli_off=f"--no-{owner.name}-{option.name}" if _has_off_flag(owner, option) else "",
        cli_file=f"{cli}-file" if has_file else "",
        env=env,
        env_file=f"{variable}_FILE" if has_file else "",
        yaml=(owner.kind.value, owner.name, option.name),
        json=tuple(name.lower() for name in env),
    )


def spelt(owner: Owner) -> Iterable[tuple[Option, Spellings]]:
    """Every option of an owner with its spellings."""
    return ((option, spell(owner, option)) for option in owner.options)


def _on_command_line(owner: Owner, name: str) -> str:
    if owner.kind is OwnerKind.EXPORTER:
        return f"--output {owner.name},{name}"
    return f"--{owner.name}-{name}"


def _has_own_file_option(owner: Owner, option: Option) -> bool:
    """Whether the plugin reads the file itself: a token that is renewed in its file must be read each time."""
    return any(other.name == f"{option.name}-file" for other in owner.options)


def _has_off_flag(owner: Owner, option: Option) -> bool:
    return option.type is OptionType.BOOL and owner.kind is OwnerKind.PROVIDER
