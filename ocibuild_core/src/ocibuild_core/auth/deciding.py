"""One decision: the candidates are asked in order until one answers, and the whole of it is written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.auth.answers import Answer, Attempt, Outcome, Step
from ocibuild_core.errors import CredentialsUnavailable, OcibuildError
from ocibuild_core.late_logging import get_logger
from ocibuild_core.records import NamedTuple
from ocibuild_core.terminal import NOTICE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from ocibuild_core.auth.rules import Candidate, Rules
    from ocibuild_core.clock import Clock
    from ocibuild_core.credentials import Credential

_log = get_logger("ocibuild.auth")

RENEWAL_MARGIN = 330.0
"""Seconds that a renewable credential is still good for when it is handed out.

BuildKit's client keeps an answer for 4 min 50 s and uses it until then (session/auth/authprovider); the rest is for
the transfer that begins at the end of it.
"""

SHORT_LIFE = 30 * 60.0
"""Seconds. A credential that lives shorter is worth a word: the push of a large image takes longer."""


class Decision(NamedTuple):
    """An answer, and whom to ask when it must be renewed."""

    answer: Answer
    candidate: Candidate


class Decider:
    """Makes decisions and renews them.

    Args:
        rules: who may answer.
        clock: where time comes from.
        learned: told every credential before anybody else sees it.
    """

    def __init__(self, rules: Rules, *, clock: Clock, learned: Callable[[Credential], None]) -> None:
        self._rules = rules
        self._clock = clock
        self._learned = learned
        self._warned: set[str] = set()

    def decide(self, registry: str) -> Decision:
        """Ask everyone in order until one answers.

        Raises:
            OcibuildError: one whose answer is owed gave none, or failed.
        """
        attempts: list[Attempt] = []
        candidates = self._rules.candidates(registry)
        for position, candidate in enumerate(candidates):
            credential, attempt = self._ask(candidate, registry)
            attempts.append(attempt)
            if credential is None and not candidate.fallback:
                continue
            later = [_attempt(other, Outcome.NOT_ASKED) for other in candidates[position + 1 :]]
            _notice_override(registry, candidate, later)
            answer = self._answer(registry, candidate, credential, (*attempts, *later))
            return Decision(answer=answer, candidate=candidate)
        raise RuntimeError("the last candidate answers always")

    def renew(self, decision: Decision) -> Decision:
        """Ask the same one again, so that a build keeps its identity; a failure is borne while the old one lives.

        Raises:
            OcibuildError: the old credential is gone and there is no new one.
        """
        registry, old = decision.answer.registry, decision.answer.credential
        try:
            credential = decision.candidate.ask()
            if credential is None and old is not None:
                raise CredentialsUnavailable(f"{decision.candidate.who}: no credential for {registry} any more")
        except OcibuildError as error:
            if old is None or old.expires_at is None or old.expires_at <= self._clock.now():
                raise
            _log.warning("%s: the credential was not renewed and is used until it ends: %s", registry, error)
            return decision
        if credential is not None:
            self._learned(credential)
        answer = self._answer(registry, decision.candidate, credential, decision.answer.attempts)
        return decision._replace(answer=answer)

    def _ask(self, candidate: Candidate, registry: str) -> tuple[Credential | None, Attempt]:
        try:
            credential = candidate.ask()
            if credential is None and candidate.owes():
                raise CredentialsUnavailable(
                    f"{candidate.who}: no credential for {registry}",
                    why=f"{candidate.reason}, and it has none",
                    do=f"check what it was told, or name another login for it: --login NAME={registry}",
                )
        except OcibuildError as error:
            if candidate.binding:
                raise
            _log.info("%s: %s is passed over: %s", registry, candidate.who, error)
            outcome = Outcome.UNAVAILABLE if isinstance(error, CredentialsUnavailable) else Outcome.FAILED
            return None, _attempt(candidate, outcome, error.summary, error.do)
        if credential is None:
            return None, _attempt(candidate, Outcome.ANSWERED if candidate.fallback else Outcome.PASSED)
        self._learned(credential)
        return credential, _attempt(candidate, Outcome.ANSWERED, credential.detail)

    def _answer(
        self, registry: str, candidate: Candidate, credential: Credential | None, attempts: Sequence[Attempt]
    ) -> Answer:
        fresh_until = None
        if credential is not None and credential.expires_at is not None:
            fresh_until = credential.expires_at - _seconds(RENEWAL_MARGIN)
            life = credential.expires_at - self._clock.now()
            self._warn_if_short(registry, candidate, life.total_seconds())
        elif credential is not None and candidate.lasting is not None:
            fresh_until = self._clock.now() + _seconds(candidate.lasting)
        return Answer(
            registry=registry,
            step=candidate.step,
            source=candidate.who,
            credential=credential,
            attempts=tuple(attempts),
            fresh_until=fresh_until,
            provider=candidate.provider,
        )

    def _warn_if_short(self, registry: str, candidate: Candidate, life: float) -> None:
        if life >= SHORT_LIFE or registry in self._warned:
            return
        self._warned.add(registry)
        minutes = life / 60
        text = "%s: the credential of %s ends in %.1f min; a running build renews it"
        if life < RENEWAL_MARGIN:
            text = (
                "%s: the credential of %s ends in %.1f min, but BuildKit may use it for 5 min: a long build may be "
                "refused; use one that lives longer"
            )
        _log.warning(text, registry, candidate.who, minutes)


def _seconds(count: float) -> timedelta:
    from datetime import timedelta  # noqa: PLC0415  # many builds have no login that ends

    return timedelta(seconds=count)


def _notice_override(registry: str, candidate: Candidate, later: Sequence[Attempt]) -> None:
    """A login in the docker config does not count beside one that the user names now: say so."""
    overridden = [attempt for attempt in later if attempt.step is Step.DOCKER_CONFIG]
    if overridden and candidate.step in (Step.PINNED, Step.EXPLICIT):
        first = overridden[0]
        _log.log(NOTICE, "%s: %s answers, not %s (%s)", registry, candidate.who, first.who, first.reason)


def _attempt(candidate: Candidate, outcome: Outcome, detail: str = "", remedy: str = "") -> Attempt:
    return Attempt(
        step=candidate.step, who=candidate.who, reason=candidate.reason, outcome=outcome, detail=detail, remedy=remedy
    )
