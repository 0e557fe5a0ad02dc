"""What the provider can be told."""

from __future__ import annotations

from ocibuild_core.plugin import Option, OptionType

DEFAULT_REGISTRY = "https://index.docker.io/v1/"

OPTIONS = (
    Option(
        name="pass",
        help="user:password for the registry, used when LOGIN=PASS (or --login basic) asks for it",
        type=OptionType.SECRET,
        env=("PASS",),
    ),
    Option(
        name="registry",
        help="The registry that pass, or user and password, are for",
        default=DEFAULT_REGISTRY,
        env=("REG_URL",),
    ),
    Option(name="user", help="User name; without a password it chooses among the users in the keyring"),
    Option(name="password", help="Password or token of the user", type=OptionType.SECRET),
    Option(
        name="registries",
        help="Many logins: a YAML or JSON map of registry to user and password, or where these are",
        type=OptionType.SECRET,
    ),
    Option(
        name="keyring-timeout",
        help="How long the system keyring may take to answer, unlocking it included",
        type=OptionType.DURATION,
        default=10.0,
    ),
)
