"""The provider `basic`. What it does is in other modules, which load when it is asked: `--help` loads this one."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from ocibuild_core.plugin import (
    AuthProvider,
    CredentialStore,
    InteractiveLogin,
    Match,
    OcibuildError,
)

from ocibuild_basic.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocibuild_core.plugin import (
        Credential,
        CredentialRequest,
        LoginRequest,
        LoginUI,
        OptionValues,
        ProviderContext,
        StoredCredential,
    )


class BasicProvider(AuthProvider, InteractiveLogin, CredentialStore):
    """User and password from `PASS`, options, a map, CI variables, the keyring: the first that has one."""

    name = "basic"
    summary = "User and password from the environment, a file, CI variables or the system keyring"
    aliases = ("pass",)
    options = OPTIONS

    def __init__(self) -> None:
        self._once = Once()

    def match(self, registry: str, options: OptionValues) -> Match:
        """SPECIFIC for what the options name together with a login, GENERIC for any other: the keyring may know it."""
        from ocibuild_basic import settings  # noqa: PLC0415  # see above

        try:
            own = set(settings.entries(options))
            if options.secret("password") and settings.sets_registry(options):
                own.add(settings.registry(options).registry)
        except OcibuildError:
            return Match.GENERIC  # `get` says what is wrong
        return Match.SPECIFIC if registry in own else Match.GENERIC

    def registries(self, context: ProviderContext) -> Sequence[str]:
        """The registry of `pass`, or of `user` and `password`, and those of the map."""
        from ocibuild_basic.settings import named_registries  # noqa: PLC0415  # see above

        return named_registries(context)

    def notices(self, context: ProviderContext) -> Sequence[str]:
        """A `PASS` that stands there for nobody."""
        return ["PASS is ignored: set LOGIN=PASS"] if context.options.secret("pass") else []

    def get(self, request: CredentialRequest) -> Credential | None:
        """The first source that has a login for the registry."""
        from ocibuild_basic.sources import Search  # noqa: PLC0415  # see above

        return Search(request, self._once).result()

    def login(self, request: LoginRequest, ui: LoginUI) -> str:
        """Ask, verify, store in the keyring."""
        from ocibuild_basic import store  # noqa: PLC0415  # see above

        return store.login(request, ui)

    def logout(self, request: LoginRequest) -> str:
        """Forget one user, or everybody that was stored for the registry."""
        from ocibuild_basic import store  # noqa: PLC0415  # see above

        return store.logout(request)

    def store(self, request: CredentialRequest, credential: Credential) -> None:
        """Keep it in the keyring, in the place of what was stored for the registry."""
        from ocibuild_basic import store  # noqa: PLC0415  # see above

        store.keep(request, credential)

    def erase(self, request: CredentialRequest) -> bool:
        """Forget everybody that was stored for the registry; what another program put there stays."""
        from ocibuild_basic import store  # noqa: PLC0415  # see above

        return store.forget(request)

    def list(self, context: ProviderContext) -> Iterable[StoredCredential]:
        """What was stored, as the index has it: the keyring is not asked."""
        from ocibuild_basic import store  # noqa: PLC0415  # see above

        return store.entries(context)


class Once:
    """Warns of each thing once, however many threads ask for however many registries."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._lock = Lock()

    def warn(self, context: ProviderContext, text: str) -> None:
        """Say it, unless it was said before."""
        with self._lock:
            is_new = text not in self._said
            self._said.add(text)
        if is_new:
            context.log.warning("%s", text)
