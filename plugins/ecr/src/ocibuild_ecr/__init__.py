"""Amazon ECR and ECR Public: an auth plugin of ocibuild."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ocibuild_core.plugin import AuthProvider, Diagnostics, Match, Option, OptionType, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocibuild_core.plugin import Credential, CredentialRequest, Finding, OptionValues, ProviderContext

    from ocibuild_ecr.answers import Answers

OCIBUILD_HOOK_API = 1

OPTIONS = (
    Option(
        name="region",
        help="Region of the accounts in registries; a registry's own name says it otherwise",
        env=("REGION",),
    ),
    Option(
        name="registries",
        help="Accounts (12 digits) or registry hosts to log in to; empty means the caller's own account",
        type=OptionType.LIST,
        env=("REGISTRIES",),
    ),
    Option(name="profile", help="Profile of the AWS config files, SSO included"),
    Option(
        name="role-arn",
        help="Role to assume, as ARN or ACCOUNT=ARN for that account's registries; several form a chain, in order",
        type=OptionType.LIST,
    ),
    Option(
        name="external-id",
        help="External id that the role's trust policy asks for, as ID, ACCOUNT=ID or ROLE_ARN=ID",
        type=OptionType.LIST,
    ),
    Option(
        name="session-name",
        help="Name of the role session, as CloudTrail shows it",
        default="ocibuild",
        env=("AWS_ROLE_SESSION_NAME",),
    ),
    Option(
        name="web-identity-token",
        help="OIDC token that the first role is assumed with, as of Concourse's idtoken or GitLab's id_tokens",
        type=OptionType.SECRET,
    ),
    Option(
        name="web-identity",
        help="Whose OIDC token to take when none is given: auto takes GitHub's or GitLab's when a role is known",
        type=OptionType.CHOICE,
        choices=("auto", "github", "gitlab", "none"),
        default="auto",
    ),
    Option(
        name="web-identity-audience",
        help="Audience to ask GitHub's OIDC token for",
        default="sts.amazonaws.com",
    ),
)


class EcrProvider(AuthProvider, Diagnostics):
    """A token for every registry that the AWS identity at hand may use.

    One call for each identity and region, however many registries share it. The SDK is loaded by the first question.
    """

    name = "ecr"
    summary = "Amazon ECR and ECR Public, as any AWS identity"
    options = OPTIONS

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: list[Answers] = []

    def match(self, registry: str, options: OptionValues) -> Match:
        """SPECIFIC for Amazon's registries. ECR Public, where anybody may pull, is that only when it is named."""
        from ocibuild_ecr import hosts  # noqa: PLC0415  # not for --help

        found = hosts.parse(registry)
        if found is None:
            return Match.NO
        return Match.GENERIC if found.endpoint.public and not _is_named(registry, options) else Match.SPECIFIC

    def registries(self, context: ProviderContext) -> Sequence[str]:
        """What the option of this name holds; its accounts are those of the region at hand.

        Without any, the caller's own registry when the user named this provider, so that an identity that cannot log
        in ends the run early; not so when every account has a role of its own. In a region that nobody chose the
        identity alone is tried: what ECR says there has no bearing on the registries that the build needs.
        """
        if not context.explicit and not context.options.texts("registries"):
            return ()
        return self._answers().registries(context)

    def get(self, request: CredentialRequest) -> Credential | None:
        """The token of the registry's endpoint. For ECR Public, unless it is named, None in place of an error."""
        from ocibuild_ecr import hosts  # noqa: PLC0415  # not for --help

        found = hosts.parse(request.registry)
        if found is None:
            return None
        if request.pinned or self.match(request.registry, request.options) is Match.SPECIFIC:
            return self._answers().credential(found, request)
        return self._answers().credential_if_any(found, request)

    def diagnose(self, context: ProviderContext) -> Iterable[Finding]:
        """How the instance metadata service answers, which gives a machine its role."""
        from ocibuild_ecr.metadata import look_at_metadata  # noqa: PLC0415  # not for --help

        return [look_at_metadata(context)]

    def _answers(self) -> Answers:
        from ocibuild_ecr.answers import Answers  # noqa: PLC0415  # not for --help

        with self._lock:
            if not self._made:
                self._made.append(Answers())
            return self._made[0]


@hookimpl
def ocibuild_auth_providers() -> Iterable[AuthProvider]:
    """The one provider, `ecr`."""
    return [EcrProvider()]


def _is_named(registry: str, options: OptionValues) -> bool:
    from ocibuild_ecr.hosts import unquoted  # noqa: PLC0415  # not for --help

    named = (unquoted(item).lower().removeprefix("https://").rstrip("/") for item in options.texts("registries"))
    return registry in named
