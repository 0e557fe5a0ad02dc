"""The provider `basic`: asks its sources one after the other, and keeps logins in the keyring."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from ocibuild_core.plugin import (
    AuthProvider,
    Credential,
    CredentialError,
    CredentialKind,
    CredentialRequest,
    CredentialStore,
    CredentialsUnavailable,
    InteractiveLogin,
    LoginRequest,
    LoginUI,
    Match,
    OcibuildError,
    OptionValues,
    ProviderContext,
    Secret,
    StoredCredential,
)

from ocibuild_basic import logins, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ocibuild_basic.keychain import Keychain, Stored

    _Source = Callable[[CredentialRequest], Credential | None]

IDENTITY_TOKEN_USER = "<token>"  # noqa: S105  # a name
"""The user under which an identity token is kept, as in the protocol of docker's credential helpers.

Source: https://github.com/docker/docker-credential-helpers#development
"""


class BasicProvider(AuthProvider, InteractiveLogin, CredentialStore):
    """User and password from `PASS`, options, a map, CI variables, the keyring: the first that has one."""

    name = "basic"
    summary = "User and password from the environment, a file, CI variables or the system keyring"
    aliases = ("pass",)
    options = settings.OPTIONS

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._lock = Lock()
        self._sources: dict[str, _Source] = {
            "PASS": self._from_pass,
            "BASIC_USER and BASIC_PASSWORD": self._from_options,
            "BASIC_REGISTRIES": self._from_map,
            "GitLab's and GitHub's variables": _from_ci,
            "keyring": self._from_keyring,
        }

    def match(self, registry: str, options: OptionValues) -> Match:
        """SPECIFIC for what the options name together with a login, GENERIC for any other: the keyring may know it."""
        try:
            own = set(settings.entries(options))
            if options.secret("password") and settings.sets_registry(options):
                own.add(settings.registry(options).registry)
        except OcibuildError:
            return Match.GENERIC  # `get` says what is wrong
        return Match.SPECIFIC if registry in own else Match.GENERIC

    def registries(self, context: ProviderContext) -> Sequence[str]:
        """The registry of `pass`, or of `user` and `password`, and those of the map."""
        first = [settings.registry(context.options).registry] if settings.names_registry(context) else []
        return tuple(dict.fromkeys([*first, *settings.entries(context.options)]))

    def notices(self, context: ProviderContext) -> Sequence[str]:
        """A `PASS` that stands there for nobody."""
        return ["PASS is ignored: set LOGIN=PASS"] if context.options.secret("pass") else []

    def get(self, request: CredentialRequest) -> Credential | None:
        """The first source that has a login for the registry."""
        for source in self._sources.values():
            found = source(request)
            if found:
                return found
        named = self.registries(request)
        if request.pinned or request.registry in named:
            raise CredentialsUnavailable(
                f"no user and password for {request.registry}",
                tried=tuple(self._sources),
                do=f"set BASIC_USER and BASIC_PASSWORD, or run: ocibuild login {request.registry}",
            )
        self._warn_of_other_port(request, named)
        return None

    def login(self, request: LoginRequest, ui: LoginUI) -> str:
        """Ask, verify, store in the keyring."""
        registry, keychain = request.registry, _keychain(request, request.remaining())
        keychain.probe(registry)  # before anybody has typed a password for nothing
        user = request.username or request.options.text("user") or ui.ask(f"User name for {registry}: ").strip()
        secret = request.secret or ui.ask_secret(f"Password or token of {user} for {registry}: ")
        credential = logins.written_credential(user, secret, registry=registry, origin="the terminal or stdin")
        ui.verify(registry, credential)
        backend = keychain.keep(registry, user, credential.secret)
        others = ", ".join(name for name in keychain.users(registry) if name != user)
        hint = f"; also stored: {others} (choose with --basic-user)" if others else ""
        return f"{user} is logged in to {registry}, stored in the keyring ({backend}){hint}"

    def logout(self, request: LoginRequest) -> str:
        """Forget one user, or everybody that was stored for the registry."""
        keychain = _keychain(request, request.remaining())
        users = (request.username,) if request.username else keychain.users(request.registry)
        gone = keychain.forget(request.registry, users)
        if not gone:
            return f"nothing was stored for {request.registry}"
        return f"forgotten for {request.registry}: {', '.join(gone)}"

    def store(self, request: CredentialRequest, credential: Credential) -> None:
        """Keep it in the keyring."""
        is_token = credential.kind is CredentialKind.IDENTITY_TOKEN
        user = IDENTITY_TOKEN_USER if is_token else credential.username
        _keychain(request).keep(request.registry, user, credential.secret)

    def erase(self, request: CredentialRequest) -> bool:
        """Forget everybody that was stored for the registry; what another program put there stays."""
        keychain = _keychain(request)
        return bool(keychain.forget(request.registry, keychain.users(request.registry)))

    def list(self, context: ProviderContext) -> Iterable[StoredCredential]:
        """What was stored, as the index has it: the keyring is not asked."""
        return [StoredCredential(registry=registry, username=user) for registry, user in _keychain(context).entries()]

    def _from_pass(self, request: CredentialRequest) -> Credential | None:
        if not request.explicit or not self._is_own(request):
            return None
        text, origin = request.options.secret("pass"), request.options.origin("pass") or "PASS"
        if settings.lacks_pass(request) or (text and not text.reveal().strip()):
            raise CredentialsUnavailable(f"LOGIN=PASS but {origin} is empty", do="set PASS=user:password")
        if text is None:
            return None
        if logins.without_line_end(text) != text:
            self._warn_once(request, f"{origin} ends with a line end, which is not taken as part of the password")
        user, password = logins.split_pass(text, origin)
        return _credential(request, user, password, origin)

    def _from_options(self, request: CredentialRequest) -> Credential | None:
        password, user = request.options.secret("password"), request.options.text("user")
        if password is None or not self._is_own(request):
            return None
        origin = settings.origin(request.options, "password")
        if not user:
            raise CredentialsUnavailable(
                f"{origin} is set, but no user for {request.registry}", do="set BASIC_USER, or pass --basic-user"
            )
        return _credential(request, user, password, origin)

    def _from_map(self, request: CredentialRequest) -> Credential | None:
        entry = settings.entries(request.options).get(request.registry)
        if entry is None:
            return None
        origin = settings.origin(request.options, "registries")
        self._warn_of_path(request, origin, entry.path)
        if entry.password is None:
            return None
        where = f"{origin}, {request.registry}"
        user = entry.user.read(request.env, where=where).reveal()
        return _credential(request, user, entry.password.read(request.env, where=where), origin)

    def _from_keyring(self, request: CredentialRequest) -> Credential | None:
        """What the keyring has, when there is a reason to ask it.

        Asking costs a quarter of a second and may make somebody's screen ask for a password, so a registry must have
        been stored by `login`, or be named by the options or a pin, or the user named this provider and gave it nothing
        else.
        """
        from ocibuild_basic.keychain import NoBackend  # noqa: PLC0415  # see `_keychain`

        registry, keychain = request.registry, _keychain(request)
        indexed = keychain.users(registry)
        is_known = bool(indexed) or request.pinned or registry in self.registries(request)
        if not is_known and (not request.explicit or settings.gives_passwords(request.options)):
            return None
        user = settings.chosen_user(request)
        request.log.debug("asking the keyring for %s", registry)
        try:
            stored = keychain.find(registry, (user,) if user else indexed)
        except NoBackend as error:
            if not is_known and any(login.registry_in(request) for login in settings.CI_LOGINS):
                return None  # a CI job: its variables are what this provider was named for
            raise CredentialsUnavailable(error.summary, tried=tuple(self._sources), do=error.do) from None
        return self._of_keyring(request, stored)

    def _of_keyring(self, request: CredentialRequest, stored: Stored) -> Credential | None:
        registry = request.registry
        if not stored.users:
            request.log.info("the keyring (%s) has nothing for %s", stored.backend, registry)
            return None
        if stored.secret is None:
            raise CredentialError(
                f"the keyring has several users for {registry}",
                why=", ".join(stored.users),
                do=f"choose one with --basic-user, BASIC_USER or '{registry}: {{user: NAME}}' in BASIC_REGISTRIES,"
                f" or drop one: ocibuild logout {registry} --user NAME",
            )
        (user,) = stored.users
        if stored.is_plaintext:
            self._warn_once(
                request, f"{stored.backend} keeps the password of {user} for {registry} readable on the disk"
            )
        origin = f"the keyring ({stored.backend})"
        if user != IDENTITY_TOKEN_USER:
            return logins.credential(user, stored.secret, registry=registry, origin=origin)
        kind, detail = CredentialKind.IDENTITY_TOKEN, f"identity token from {origin}"
        return Credential(username="", secret=stored.secret, kind=kind, detail=detail)

    def _is_own(self, request: CredentialRequest) -> bool:
        """As `settings.is_own`; says when a path was dropped from the registry of the option."""
        if not settings.is_own(request):
            return False
        path = settings.registry(request.options).path
        self._warn_of_path(request, settings.origin(request.options, "registry"), path)
        return True

    def _warn_of_path(self, request: CredentialRequest, origin: str, path: str) -> None:
        if path:
            self._warn_once(
                request, f"{origin}: /{path} is ignored, as BuildKit has one login for all of {request.registry}"
            )

    def _warn_of_other_port(self, request: CredentialRequest, named: Sequence[str]) -> None:
        near = [registry for registry in named if _host(registry) == _host(request.registry)]
        if near:
            self._warn_once(
                request,
                f"no login for {request.registry}: the one for {near[0]} is for another port, so it is not used",
            )

    def _warn_once(self, context: ProviderContext, text: str) -> None:
        with self._lock:
            is_new = text not in self._said
            self._said.add(text)
        if is_new:
            context.log.warning("%s", text)


def _from_ci(request: CredentialRequest) -> Credential | None:
    for login in settings.CI_LOGINS:
        if login.registry_in(request) == request.registry:
            return _credential(request, login.user_in(request.env), Secret(request.env[login.secret]), login.secret)
    return None


def _credential(request: CredentialRequest, user: str, password: Secret, origin: str) -> Credential:
    return logins.written_credential(user, password, registry=request.registry, origin=origin)


def _keychain(context: ProviderContext, seconds: float | None = None) -> Keychain:
    """The keychain, without this provider's own secrets in its environment."""
    from ocibuild_basic.keychain import Keychain  # noqa: PLC0415  # half of what loading this plugin would cost

    if seconds is None:
        seconds = min(context.options.seconds("keyring-timeout") or 0.0, context.remaining())
    env = {name: value for name, value in context.env.items() if name not in settings.SECRET_VARIABLES}
    return Keychain(env=env, seconds=seconds)


def _host(registry: str) -> str:
    host, _, port = registry.rpartition(":")
    return host if host and port.isdecimal() else registry
