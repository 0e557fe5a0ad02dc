"""What the options and the environment say: for which registry, with which user, and what a CI system hands out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ocibuild_core.plugin import (
    CredentialRequest,
    OptionType,
    OptionValues,
    ProviderContext,
    RegistryAddress,
    UsageError,
    parse_registry,
)

from ocibuild_basic import logins
from ocibuild_basic.options import DEFAULT_REGISTRY, OPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET_VARIABLES = frozenset(
    name
    for option in OPTIONS
    if option.type is OptionType.SECRET
    for name in (f"BASIC_{option.name.upper()}", *option.env)
)
"""The variables that hold this provider's own secrets: no child process gets them."""


def origin(options: OptionValues, name: str) -> str:
    """The spelling that set the option, or the one that would, for messages."""
    return options.origin(name) or f"BASIC_{name.upper()}"


def registry(options: OptionValues) -> RegistryAddress:
    """The registry of `pass`, or of `user` and `password`."""
    return parse_registry(options.text("registry") or DEFAULT_REGISTRY, what=origin(options, "registry"))


def entries(options: OptionValues) -> Mapping[str, logins.Entry]:
    """The map's entries by registry."""
    text = options.secret("registries")
    return logins.read_map(text, origin(options, "registries")) if text else {}


def gives_passwords(options: OptionValues) -> bool:
    """Whether the options hold any password."""
    return any(options.secret(name) for name in ("pass", "password", "registries"))


def lacks_pass(context: ProviderContext) -> bool:
    """Whether `LOGIN=PASS` was said, but there is neither a `PASS` nor another login in the options."""
    has_login = gives_passwords(context.options) or context.options.text("user")
    return context.named_as == "pass" and not has_login


def sets_registry(options: OptionValues) -> bool:
    """Whether somebody said which registry `pass`, or `user` and `password`, are for."""
    return options.origin("registry") is not None or options.text("registry") != DEFAULT_REGISTRY


def names_registry(context: ProviderContext) -> bool:
    """Whether a login is owed to the option's registry: it, or something that is for it, was set.

    Docker Hub is it by default only for somebody who named this provider: a password that was given for a pinned
    registry must not be shown to Docker Hub.
    """
    options = context.options
    if not context.explicit:
        return sets_registry(options) and bool(options.secret("password"))
    has_login = options.secret("pass") or options.secret("password")
    return sets_registry(options) or bool(has_login) or lacks_pass(context)


def named_registries(context: ProviderContext) -> tuple[str, ...]:
    """The registry of `pass`, or of `user` and `password`, and those of the map."""
    first = [registry(context.options).registry] if names_registry(context) else []
    return tuple(dict.fromkeys([*first, *entries(context.options)]))


def is_own(request: CredentialRequest) -> bool:
    """Whether `pass`, or `user` and `password`, are for the registry of the request.

    Without a registry of their own they are for the one that this provider is pinned to, else for Docker Hub.
    """
    if request.pinned and not sets_registry(request.options):
        return True
    return names_registry(request) and request.registry == registry(request.options).registry


def chosen_user(request: CredentialRequest) -> str:
    """The user whom the map or the option names for this registry, or the empty string."""
    options, host = request.options, request.registry
    entry = entries(options).get(host)
    if entry:
        return entry.user.read(request.env, where=f"{origin(options, 'registries')}, {host}").reveal()
    if not is_own(request) and (options.secret("password") or names_registry(request)):
        return ""
    return options.text("user") or ""


class CiLogin(NamedTuple):
    """The variables with which a CI system hands its jobs a login.

    Args:
        secret: the variable that holds the password.
        host: the variable that holds the registry's host.
        registry: the registry, when it is always the same.
        user: the variable that holds the user.
        default_user: the user when that variable is not set.
        system: the variable that is `true` inside this CI system, for variables that stand elsewhere, too: outside
            they are used only when the user named this provider.
    """

    secret: str
    host: str = ""
    registry: str = ""
    user: str = ""
    default_user: str = ""
    system: str = ""

    def registry_in(self, context: ProviderContext) -> str:
        """The registry for which the CI system has set these variables, or the empty string."""
        env = context.env
        if not env.get(self.secret) or not self.user_in(env):
            return ""
        if self.system and not context.explicit and env.get(self.system) != "true":
            return ""
        try:
            return self.registry or parse_registry(env.get(self.host, ""), what=self.host).registry
        except UsageError:
            return ""  # another program's variable: no login comes from it

    def user_in(self, env: Mapping[str, str]) -> str:
        """The user's name, or the empty string."""
        return env.get(self.user) or self.default_user


# GitLab: https://docs.gitlab.com/ci/variables/predefined_variables/ and
#   https://docs.gitlab.com/user/packages/container_registry/authenticate_with_container_registry/
# GitHub: https://docs.github.com/actions/reference/workflows-and-actions/variables; ghcr.io takes any user name.
CI_LOGINS = (
    CiLogin(host="CI_REGISTRY", user="CI_REGISTRY_USER", secret="CI_REGISTRY_PASSWORD"),  # noqa: S106  # a name
    CiLogin(host="CI_REGISTRY", default_user="gitlab-ci-token", secret="CI_JOB_TOKEN"),  # noqa: S106  # a name
    CiLogin(
        host="CI_DEPENDENCY_PROXY_SERVER",
        user="CI_DEPENDENCY_PROXY_USER",
        secret="CI_DEPENDENCY_PROXY_PASSWORD",  # noqa: S106  # a name
    ),
    CiLogin(
        registry="ghcr.io",
        user="GITHUB_ACTOR",
        default_user="x-access-token",
        secret="GITHUB_TOKEN",  # noqa: S106  # a name
        system="GITHUB_ACTIONS",
    ),
)
