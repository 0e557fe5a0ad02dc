"""A registry refused during the build: who was shown to it, and what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.credentials import CredentialKind
from ocibuild_core.errors import CredentialError, OcibuildError
from ocibuild_core.failures import Refusal

if TYPE_CHECKING:
    from ocibuild_core.auth.answers import Answer, Attempt
    from ocibuild_core.credentials import Credential
    from ocibuild_core.failures import RegistryRefusal


def explain_refusal(refusal: RegistryRefusal, answer: Answer | OcibuildError) -> OcibuildError:
    """The error for a person.

    Args:
        refusal: what BuildKit met.
        answer: the decision for that registry, or the failure that came of it.
    """
    if isinstance(answer, OcibuildError):
        return answer
    if answer.credential is None:
        return CredentialError(
            f"{refusal.host} asks for a login, and no credential was configured for it",
            why=refusal.text,
            tried=[_told(attempt) for attempt in answer.attempts[:-1]],
            do=next(
                (attempt.remedy for attempt in answer.attempts if attempt.remedy),
                f"name a provider for it: build --login NAME={refusal.host}",
            ),
        )
    return CredentialError(
        f"{answer.source}: {refusal.host} refused the login: {refusal.refusal.value}",
        why=f"{refusal.text}\nshown to it: {answer.identity}",
        do=_remedy(refusal, answer.credential),
    )


def _remedy(refusal: RegistryRefusal, credential: Credential) -> str:
    if refusal.refusal is Refusal.UNAUTHORIZED and credential.kind is CredentialKind.IDENTITY_TOKEN:
        return f"give {refusal.host} user and password: one that asks by HTTP Basic knows no identity tokens"
    return _REMEDIES[refusal.refusal].format(host=refusal.host)


def _told(attempt: Attempt) -> str:
    """Who was asked and what came of it; the text of a failure, of which nobody has heard so far, begins with who."""
    return attempt.detail or f"{attempt.who} ({attempt.outcome.value})"


_REMEDIES = {
    Refusal.UNAUTHORIZED: "check user and password or token for {host}",
    Refusal.FORBIDDEN: "give this identity the right to pull (and to push, if the build pushes), or log in as another",
    Refusal.EXPIRED: "get a new credential; one that lives longer than the build",
}
