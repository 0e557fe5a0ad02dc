"""The provider `basic`: asks its sources one after the other."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from ocibuild_basic import sources
from ocibuild_core.plugin import (
    AuthProvider,
    Credential,
    CredentialError,
    CredentialRequest,
    CredentialsUnavailable,
    Match,
    Option,
    OptionType,
    OptionValues,
    ProviderContext,
    Secret,
    parse_registry,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DOCKER_HUB = "docker.io"


class BasicProvider(AuthProvider):
    """User and password from `PASS`, options, a map, CI variables, the keyring: the first that has one."""

    name = "basic"
    summary = "User and password from the environment, a file, CI variables or the system keyring"
    aliases = ("pass",)
    options = (
        Option(
            name="pass",
            help="user:password for the registry, used when LOGIN=PASS (or --login basic) asks for it",
            type=OptionType.SECRET,
            env=("PASS",),
        ),
        Option(
            name="registry",
            help="The registry that pass, or user and password, are for",
            default="https://index.docker.io/v1/",
            env=("REG_URL",),
        ),
        Option(name="user", help="User name; without a password it chooses among the users in the keyring"),
        Option(name="password", help="Password or token of the user", type=OptionType.SECRET),
        Option(
            name="registries",
            help="Many logins: a YAML or JSON map of registry to user and password, or where these are",
            type=OptionType.SECRET,
        ),
    )

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._lock = Lock()

    def match(self, registry: str, options: OptionValues) -> Match:
        """SPECIFIC for what the options name together with a login, GENERIC for any other: the keyring may know it."""
        try:
            own = set(_map(options))
            if options.text("user") and options.secret("password"):
                own.add(_registry(options))
        except CredentialError:
            return Match.GENERIC  # `get` says what is wrong
        return Match.SPECIFIC if registry in own else Match.GENERIC

    def registries(self, context: ProviderContext) -> Sequence[str]:
        """The registry of `pass` or `user` and `password`, and those of the map."""
        options = context.options
        named = list(_map(options))
        if options.secret("pass") or options.secret("password") or options.origin("registry") or _lacks_pass(context):
            named.insert(0, _registry(options))
        return tuple(dict.fromkeys(named))

    def get(self, request: CredentialRequest) -> Credential | None:
        """The first source that has a login for the registry."""
        self._warn_of_unused(request)
        for source in (self._from_pass, self._from_options, self._from_map, self._from_ci):
            found = source(request)
            if found:
                return found
        return None

    def _from_pass(self, request: CredentialRequest) -> Credential | None:
        options = request.options
        if not request.explicit or request.registry != _registry(options):
            return None
        text = options.secret("pass")
        if text is None:
            if _lacks_pass(request):
                raise CredentialsUnavailable("LOGIN=PASS but PASS is empty", do="set PASS=user:password")
            return None
        origin = options.origin("pass") or "PASS"
        if sources.without_line_end(text) != text:
            self._say_once(request, f"{origin} ends with a line end, which is not taken as part of the password")
        user, password = sources.split_pass(text, origin)
        return _credential(request, user, password, origin)

    def _from_options(self, request: CredentialRequest) -> Credential | None:
        options = request.options
        password = options.secret("password")
        if password is None or request.registry != _registry(options):
            return None
        user = options.text("user")
        origin = options.origin("password") or "password"
        if not user:
            raise CredentialsUnavailable(
                f"{origin} is set, but no user for {request.registry}", do="set BASIC_USER, or pass --basic-user"
            )
        return _credential(request, user, sources.without_line_end(password), origin)

    def _from_map(self, request: CredentialRequest) -> Credential | None:
        entry = _map(request.options).get(request.registry)
        if entry is None or entry.password is None:
            return None
        origin = request.options.origin("registries") or "registries"
        where = f"{origin}, {request.registry}"
        user = entry.user.read(request.env, where=where).reveal()
        return _credential(request, user, entry.password.read(request.env, where=where), origin)

    def _from_ci(self, request: CredentialRequest) -> Credential | None:
        for login in sources.CI_LOGINS:
            if _ci_registry(login, request.env) != request.registry or not request.env.get(login.password):
                continue
            if login.system and not request.explicit and request.env.get(login.system) != "true":
                continue
            user = request.env.get(login.user) or login.default_user
            if user:
                return _credential(request, user, Secret(request.env[login.password]), login.password)
        return None

    def _warn_of_unused(self, request: CredentialRequest) -> None:
        if request.explicit:
            if parse_registry(request.options.text("registry") or DOCKER_HUB, what="registry").path:
                pass
            return
        if request.options.secret("pass"):
            self._say_once(request, "PASS is ignored: set LOGIN=PASS")

    def _say_once(self, context: ProviderContext, text: str) -> None:
        with self._lock:
            is_new = text not in self._said
            self._said.add(text)
        if is_new:
            context.log.warning(text)


def _credential(request: CredentialRequest, user: str, password: Secret, origin: str) -> Credential:
    return sources.credential(
        user, password, registry=request.registry, origin=origin, detail=f"user {user} from {origin}"
    )


def _registry(options: OptionValues) -> str:
    return sources.registry_name(
        options.text("registry") or DOCKER_HUB, what=options.origin("registry") or "the registry of basic"
    )


def _map(options: OptionValues) -> Mapping[str, sources.Entry]:
    text = options.secret("registries")
    return sources.read_map(text, options.origin("registries") or "registries") if text else {}


def _ci_registry(login: sources.CiLogin, env: Mapping[str, str]) -> str:
    host = login.registry or env.get(login.host, "")
    return sources.registry_name(host, what=login.host) if host else ""


def _lacks_pass(context: ProviderContext) -> bool:
    """Whether `LOGIN=PASS` was said, but there is neither a `PASS` nor another login in the options."""
    options = context.options
    asked = {name.strip().lower() for name in context.env.get("LOGIN", "").split(",")}
    given = (options.secret("pass"), options.secret("password"), options.text("user"), options.secret("registries"))
    return context.explicit and "pass" in asked and not any(given)
