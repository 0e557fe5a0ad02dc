"""The records of a decision: who may answer for a registry, who did, and what was passed over."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from ocibuild_core.credentials import Credential


class Step(Enum):
    """Who is asked for a credential, in this order. The values are what people read."""

    PINNED = "pinned"
    """A provider that the user named for this registry."""
    EXPLICIT = "explicit"
    """A provider that the user named."""
    DOCKER_CONFIG = "docker config"
    """What docker or podman was told on this machine."""
    AUTOMATIC = "automatic"
    """A provider that is merely installed."""
    ANONYMOUS = "anonymous"
    """No credential."""


class Outcome(Enum):
    """What came of asking."""

    ANSWERED = "answered"
    PASSED = "has nothing for it"
    UNAVAILABLE = "nothing to log in with"
    FAILED = "failed"
    NOT_ASKED = "not asked"


class Attempt(NamedTuple):
    """One line of the decision.

    Args:
        step: the rule by which this one's turn came.
        who: provider with its plugin, or the file.
        reason: why it was its turn.
        outcome: what came of it.
        detail: the identity, or the failure's text.
        remedy: what can be done about the failure.
    """

    step: Step
    who: str
    reason: str
    outcome: Outcome
    detail: str = ""
    remedy: str = ""

    def to_json(self) -> dict[str, str]:
        """For listings."""
        return {
            "step": self.step.value,
            "who": self.who,
            "reason": self.reason,
            "outcome": self.outcome.value,
            "detail": self.detail,
            "remedy": self.remedy,
        }


class Answer(NamedTuple):
    """What a registry will be shown, and how that came about.

    Args:
        registry: the registry's one name.
        step: the rule that decided.
        source: provider with its plugin, the file, or `nobody`.
        credential: None when the registry is asked anonymously.
        attempts: the whole decision, in order, with those that came later and were not asked.
        fresh_until: when the source is asked again; None: it is not.
        provider: the provider's name, when one answered.
    """

    registry: str
    step: Step
    source: str
    credential: Credential | None = None
    attempts: tuple[Attempt, ...] = ()
    fresh_until: datetime | None = None
    provider: str = ""

    @property
    def identity(self) -> str:
        """Who the registry will see, for people."""
        if self.credential is None:
            return "anonymous"
        return self.credential.detail or f"user {self.credential.username or '(identity token)'}"

    def to_json(self) -> dict[str, Any]:
        """For listings: everything but the secret."""
        expires = self.credential.expires_at if self.credential else None
        return {
            "registry": self.registry,
            "step": self.step.value,
            "source": self.source,
            "provider": self.provider or None,
            "identity": self.identity,
            "username": self.credential.username if self.credential else None,
            "expires_at": expires.isoformat() if expires else None,
            "attempts": [attempt.to_json() for attempt in self.attempts],
        }
