"""Who answers for which registry, and why, as people and programs read it. No secret is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocibuild_core.auth.answers import Answer, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ocibuild_core.auth.resolver import Resolver
    from ocibuild_core.errors import OcibuildError


NOTHING_NEEDED = "no registry is needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A registry, and what it is needed for.

    Args:
        registry: its one name.
        reasons: `FROM r.example/x:1 (line 3)`, …; empty when somebody merely asked about it.
    """

    registry: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One registry's decision.

    Args:
        need: the registry.
        answer: what it will be shown, or the failure that ends the run.
    """

    need: Need
    answer: Answer | OcibuildError

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        fields: dict[str, Any] = {"registry": self.need.registry, "needed_for": list(self.need.reasons)}
        if isinstance(self.answer, Answer):
            return fields | self.answer.to_json()
        return fields | {"error": str(self.answer), "exit_code": self.answer.exit_code}

    def lines(self) -> list[str]:
        """For people: the answer, what the registry is needed for, and the whole decision."""
        return [*self._head(), *(f"    needed for   {reason}" for reason in self.need.reasons), *self._decision()]

    def _head(self) -> list[str]:
        if not isinstance(self.answer, Answer):
            first, *more = str(self.answer).splitlines()
            return [f"{self.need.registry}  fails: {first}", *(f"  {line}" for line in more)]
        expires = self.answer.credential.expires_at if self.answer.credential else None
        until = f", until {expires:%Y-%m-%d %H:%M} UTC" if expires else ""
        return [f"{self.need.registry}  {self.answer.identity}{until}"]

    def _decision(self) -> list[str]:
        if not isinstance(self.answer, Answer):
            return []
        return [
            f"    {_MARKS[attempt.outcome]:<12} {attempt.step.value}: {attempt.who} – {attempt.reason}"
            + (f" ({attempt.detail})" if attempt.detail and attempt.outcome is not Outcome.ANSWERED else "")
            for attempt in self.answer.attempts
        ]


_MARKS = {
    Outcome.ANSWERED: "answers",
    Outcome.PASSED: "passed over",
    Outcome.UNAVAILABLE: "passed over",
    Outcome.FAILED: "failed",
    Outcome.NOT_ASKED: "not asked",
}


def collect_needs(pairs: Iterable[tuple[str, str]]) -> tuple[Need, ...]:
    """Needs out of `(registry, reason)`, each registry once, in order; an empty reason counts for none."""
    reasons: dict[str, list[str]] = {}
    for registry, reason in pairs:
        found = reasons.setdefault(registry, [])
        if reason and reason not in found:
            found.append(reason)
    return tuple(Need(registry=registry, reasons=tuple(found)) for registry, found in reasons.items())


def explain(resolver: Resolver, pairs: Iterable[tuple[str, str]]) -> list[Explanation]:
    """The decisions for these registries and for those that the user's options name outright, made side by side."""
    resolver.tell_what_is_unused()
    owed = [(registry, "named by an option") for registry in resolver.owed([registry for registry, _ in pairs])]
    needs = collect_needs([*pairs, *owed])
    answers = resolver.resolve_all([need.registry for need in needs])
    return [Explanation(need=need, answer=answers[need.registry]) for need in needs]


def as_json(explanations: Sequence[Explanation]) -> str:
    """The whole page for programs."""
    import json  # noqa: PLC0415  # people read it as text

    return json.dumps([explanation.to_json() for explanation in explanations], indent=2, ensure_ascii=False)


def as_text(explanations: Sequence[Explanation]) -> str:
    """The whole page for people."""
    if not explanations:
        return NOTHING_NEEDED
    return "\n".join(line for explanation in explanations for line in explanation.lines())
