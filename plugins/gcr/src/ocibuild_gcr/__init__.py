"""Google Artifact Registry and Container Registry: an auth plugin of ocibuild."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from ocibuild_core.plugin import AuthProvider, Diagnostics, Match, Option, OptionType, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocibuild_core.plugin import Credential, CredentialRequest, Finding, OptionValues, ProviderContext

    from ocibuild_gcr.logins import Logins

OCIBUILD_HOOK_API = 1


class GoogleProvider(AuthProvider, Diagnostics):
    """An access token, or a key as password, for every registry of Google; one login serves all of them."""

    name = "gcr"
    summary = "Google Artifact Registry and Container Registry, with any identity that Google Cloud knows"
    aliases = ("gar", "google")
    options = (
        Option(
            name="key-json",
            help="Text of a credentials file, such as a service account's key; base64 will do",
            type=OptionType.SECRET,
        ),
        Option(
            name="key-as",
            help="Fetch a token with the service account's key, or show the registry the key itself (user _json_key)",
            type=OptionType.CHOICE,
            choices=("token", "password"),
            default="token",
        ),
        Option(name="access-token", help="An access token that is at hand; it is not renewed", type=OptionType.SECRET),
        Option(
            name="oidc-token",
            help="OIDC token of the CI system, for workload identity federation",
            type=OptionType.SECRET,
        ),
        Option(
            name="workload-identity-provider",
            help="Who trusts the OIDC token: projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/ID",
        ),
        Option(
            name="impersonate-service-account",
            help="E-mail of the service account to become; of several, each one impersonates the next",
            type=OptionType.LIST,
        ),
        Option(
            name="registries",
            help="Registries to log in to beforehand, also when the Dockerfile does not name them",
            type=OptionType.LIST,
        ),
    )

    def __init__(self) -> None:
        self._lock = Lock()
        self._made: list[Logins] = []

    def match(self, registry: str, options: OptionValues) -> Match:
        """SPECIFIC for Google's registries, NO for every other host: none shall ever see a Google token."""
        from ocibuild_gcr.hosts import is_google  # noqa: PLC0415  # not for --help

        del options
        return Match.SPECIFIC if is_google(registry) else Match.NO

    def registries(self, context: ProviderContext) -> Sequence[str]:
        """The option `registries`."""
        from ocibuild_gcr.hosts import named_registries  # noqa: PLC0415  # not for --help

        return named_registries(context.options)

    def get(self, request: CredentialRequest) -> Credential | None:
        """A token (or key) for one of Google's registries; None for any other host."""
        if self.match(request.registry, request.options) is Match.NO:
            return None
        return self._logins().credential(request)

    def diagnose(self, context: ProviderContext) -> Iterable[Finding]:
        """Whether the metadata server is here, and has an account for this machine."""
        from ocibuild_gcr.metadata import look_at_metadata  # noqa: PLC0415  # not for --help

        return [look_at_metadata(context)]

    def _logins(self) -> Logins:
        from ocibuild_gcr.logins import Logins  # noqa: PLC0415  # not for --help

        with self._lock:
            if not self._made:
                self._made.append(Logins())
            return self._made[0]


@hookimpl
def ocibuild_auth_providers() -> Iterable[AuthProvider]:
    """The one provider, `gcr`."""
    return [GoogleProvider()]
