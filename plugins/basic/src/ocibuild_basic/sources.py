"""Where a login may be found, one source after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.plugin import Credential, CredentialError, CredentialKind, CredentialsUnavailable, Secret

from ocibuild_basic import logins, settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocibuild_core.plugin import CredentialRequest

    from ocibuild_basic.keychain import Stored
    from ocibuild_basic.provider import Once


class Search:
    """The search for one registry's login.

    Args:
        request: what was asked.
        once: what is warned of.
    """

    def __init__(self, request: CredentialRequest, once: Once) -> None:
        self._request = request
        self._once = once
        self._sources: dict[str, Callable[[], Credential | None]] = {
            "PASS": self._from_pass,
            "BASIC_USER and BASIC_PASSWORD": self._from_options,
            "BASIC_REGISTRIES": self._from_map,
            "GitLab's and GitHub's variables": self._from_ci,
            "keyring": self._from_keyring,
        }

    def result(self) -> Credential | None:
        """The first source's that has one; None when nobody named the registry. Raises CredentialError."""
        for source in self._sources.values():
            found = source()
            if found:
                return found
        registry = self._request.registry
        if self._request.pinned or registry in settings.named_registries(self._request):
            raise CredentialsUnavailable(
                f"no user and password for {registry}",
                tried=tuple(self._sources),
                do=f"set BASIC_USER and BASIC_PASSWORD, or run: ocibuild login {registry}",
            )
        return None

    def _from_pass(self) -> Credential | None:
        request = self._request
        if not request.explicit or not self._is_own():
            return None
        text, origin = request.options.secret("pass"), request.options.origin("pass") or "PASS"
        if settings.lacks_pass(request) or (text and not text.reveal().strip()):
            raise CredentialsUnavailable(f"LOGIN=PASS but {origin} is empty", do="set PASS=user:password")
        if text is None:
            return None
        if logins.without_line_end(text) != text:
            self._warn(f"{origin} ends with a line end, which is not taken as part of the password")
        if logins.is_quoted(text):
            self._warn(f"{origin} stands in quotation marks, which are taken as part of user and password")
        user, password = logins.split_pass(text, origin)
        return self._written(user, password, origin)

    def _from_options(self) -> Credential | None:
        options = self._request.options
        password, user = options.secret("password"), options.text("user")
        if password is None or not self._is_own():
            return None
        origin = settings.origin(options, "password")
        if not user:
            raise CredentialsUnavailable(
                f"{origin} is set, but no user for {self._request.registry}", do="set BASIC_USER, or pass --basic-user"
            )
        return self._written(user, password, origin)

    def _from_map(self) -> Credential | None:
        request = self._request
        entry = settings.entries(request.options).get(request.registry)
        if entry is None:
            return None
        origin = settings.origin(request.options, "registries")
        self._warn_of_path(origin, entry.path)
        if entry.password is None:
            return None
        where = f"{origin}, {request.registry}"
        user = entry.user.read(request.env, where=where).reveal()
        return self._written(user, entry.password.read(request.env, where=where), origin)

    def _from_ci(self) -> Credential | None:
        request = self._request
        for login in settings.CI_LOGINS:
            if login.registry_in(request) == request.registry:
                return self._written(login.user_in(request.env), Secret(request.env[login.secret]), login.secret)
        return None

    def _from_keyring(self) -> Credential | None:
        """What the keyring has, when there is a reason to ask it.

        Asking costs a quarter of a second and may make somebody's screen ask for a password, so a registry must have
        been stored by `login`, or be named by the options or a pin, or the user named this provider and gave it nothing
        else.
        """
        from ocibuild_basic.keychain import NoBackend  # noqa: PLC0415  # most logins are found before
        from ocibuild_basic.store import keychain_for  # noqa: PLC0415

        request = self._request
        registry, keychain = request.registry, keychain_for(request)
        indexed = keychain.users(registry)
        is_known = bool(indexed) or request.pinned or registry in settings.named_registries(request)
        is_given_nothing = not settings.gives_passwords(request.options) and not settings.lacks_pass(request)
        if not is_known and not (request.explicit and is_given_nothing):
            return None
        user = settings.chosen_user(request)
        request.log.debug("asking the keyring for %s", registry)
        try:
            stored = keychain.find(registry, (user,) if user else indexed)
        except NoBackend as error:
            if not is_known and any(login.registry_in(request) for login in settings.CI_LOGINS):
                return None  # a CI job: its variables are what this provider was named for
            raise CredentialsUnavailable(error.summary, tried=tuple(self._sources), do=error.do) from None
        if user and not stored.users and indexed:
            self._warn(f"the keyring has no login of {user} for {registry}, only of {', '.join(indexed)}")
        return self._of_keyring(stored)

    def _of_keyring(self, stored: Stored) -> Credential | None:
        from ocibuild_basic.store import IDENTITY_TOKEN_USER  # noqa: PLC0415  # see `_from_keyring`

        registry = self._request.registry
        if not stored.users:
            self._request.log.info("the keyring (%s) has nothing for %s", stored.backend, registry)
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
            self._warn(f"{stored.backend} keeps the password of {user} for {registry} readable on the disk")
        origin = f"the keyring ({stored.backend})"
        if user != IDENTITY_TOKEN_USER:
            return logins.credential(user, stored.secret, registry=registry, origin=origin)
        kind, detail = CredentialKind.IDENTITY_TOKEN, f"identity token from {origin}"
        return Credential(username="", secret=stored.secret, kind=kind, detail=detail)

    def _written(self, user: str, password: Secret, origin: str) -> Credential:
        return logins.written_credential(user, password, registry=self._request.registry, origin=origin)

    def _is_own(self) -> bool:
        """As `settings.is_own`; says when a path was dropped from the registry of the option."""
        options = self._request.options
        if not settings.is_own(self._request):
            return False
        self._warn_of_path(settings.origin(options, "registry"), settings.registry(options).path)
        return True

    def _warn_of_path(self, origin: str, path: str) -> None:
        if path:
            self._warn(f"{origin}: /{path} is ignored, as BuildKit has one login for all of {self._request.registry}")

    def _warn(self, text: str) -> None:
        self._once.warn(self._request, text)
