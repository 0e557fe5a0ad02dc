"""Asks every registry beforehand for what the build will need, side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from ocibuild_core.auth.calls import Call, CallTimeout, side_by_side
from ocibuild_core.errors import CredentialError, OcibuildError
from ocibuild_core.failures import PLAIN, TRUST, TRUST_NOT_PLAIN
from ocibuild_core.registry.check import CheckResult, Verdict
from ocibuild_core.registry.reference import parse_reference
from ocibuild_core.registry.ways import open_check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocibuild_core.auth.answers import Answer
    from ocibuild_core.auth.resolver import Resolver
    from ocibuild_core.registry.check import RegistryCheck
    from ocibuild_core.registry.reference import ImageReference
    from ocibuild_core.registry.ways import Ways
    from ocibuild_core.secret import Secret

_AT_ONCE = 16
_SECONDS = 10.0
_SECONDS_IN_ALL = 40.0
"""One that answers byte by byte is within the limit of each read for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCheck:
    """What one registry said of one image.

    Args:
        image: the reference, as a person reads it.
        is_push: asked for pushing, not for pulling.
        identity: as whom.
        source: where that login came from; empty for nobody's.
        result: the verdict.
    """

    image: str
    is_push: bool
    identity: str
    source: str
    result: CheckResult

    @property
    def who(self) -> str:
        """The identity and where it came from."""
        return f"{self.identity} ({self.source})" if self.source else self.identity

    def line(self) -> str:
        """One line for people, of a registry that was spoken to in the wrong way with what to do."""
        action = "push" if self.is_push else "pull"
        detail = "; ".join(filter(None, (self.result.detail, self._remedy_of_way())))
        return f"{self.result.verdict.value:<26} {action}  {self.image}  as {self.who}{detail and f' – {detail}'}"

    def to_json(self) -> dict[str, str]:
        """For `--json`."""
        return {
            "image": self.image,
            "action": "push" if self.is_push else "pull",
            "identity": self.who,
            "verdict": self.result.verdict.value,
            "detail": self.result.detail,
        }

    def error(self) -> CredentialError:
        """The failure, for a build that was asked to look first."""
        action = "pushed to" if self.is_push else "pulled"
        return CredentialError(
            f"{self.image} cannot be {action} as {self.identity}: {self.result.verdict.value}",
            why="\n".join(filter(None, (self.result.detail, self.source and f"the login is of {self.source}"))),
            do=_REMEDIES[self.result.verdict],
        )

    def _remedy_of_way(self) -> str:
        """What would be said of BuildKit's failure at it; empty for another fault, and where it was reached."""
        if self.result.verdict is not Verdict.UNREACHABLE:
            return ""
        found = next((remedy for mark, remedy in _WRONG_WAYS if mark in self.result.detail), "")
        return found.format(host=parse_reference(self.image).host)


_REMEDIES = {
    Verdict.NO_CREDENTIAL: "name a provider that can log in there: --login NAME",
    Verdict.WRONG_PASSWORD: "check user and password or token",
    Verdict.NO_PERMISSION: "give this identity the right, or log in as another",
    Verdict.NOT_FOUND: "check the name and the tag; some registries hide so what an identity may not see",
    Verdict.UNREACHABLE: "check the name, the network, the proxy and the --registry- flags",
}


# Of TLS without trust, of TLS where there is none, and what Go's servers answer to plain HTTP where they speak TLS.
_WRONG_WAYS = (
    ("certificate is not trusted: unable to get", TRUST),
    ("certificate is not trusted: self-signed", TRUST),
    ("WRONG_VERSION_NUMBER", PLAIN),
    ("wrong version number", PLAIN),
    ("HTTP 400", TRUST_NOT_PLAIN),
)


def check_images(  # noqa: PLR0913  # what is asked, and all by which it is asked
    pulls: Sequence[str],
    pushes: Sequence[str],
    *,
    resolver: Resolver,
    ways: Ways,
    learned: Callable[[Secret], None] = lambda _: None,
    seconds_in_all: float = _SECONDS_IN_ALL,
) -> list[ImageCheck | OcibuildError]:
    """One answer for each image, in the order given, pulls first.

    Args:
        pulls: references of images that must be readable.
        pushes: references that must be writable.
        resolver: who logs in.
        ways: how each registry is spoken to.
        learned: told every token that a registry gave.
        seconds_in_all: for all that one registry takes for one image.
    """
    slots = BoundedSemaphore(_AT_ONCE)
    asking = _Asking(resolver=resolver, ways=ways, learned=learned, seconds_in_all=seconds_in_all)

    def check(name: str, is_push: bool) -> ImageCheck | OcibuildError:  # noqa: FBT001  # one half of a pair
        with slots:
            return _check(name, is_push, asking)

    wanted = [*((name, False) for name in pulls), *((name, True) for name in pushes)]
    # In daemons: the workers of a pool would keep a signal from ending the run before the slowest registry does.
    return [call.result() for call in side_by_side(partial(check, *item) for item in wanted)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    """What all checks share."""

    resolver: Resolver
    ways: Ways
    learned: Callable[[Secret], None]
    seconds_in_all: float

    def ask(
        self, image: ImageReference, question: Callable[[RegistryCheck], CheckResult]
    ) -> tuple[Answer, CheckResult]:
        """Who asked the image's registry, and what it said. Raises OcibuildError when the login failed."""
        answer = self.resolver.resolve(image.registry)

        def call() -> CheckResult:
            way = self.ways.to(image.registry)
            return question(open_check(image.registry, answer.credential, way, seconds=_SECONDS, learned=self.learned))

        try:
            return answer, Call(call).result(self.seconds_in_all)
        except CallTimeout:
            detail = f"no whole answer within {self.seconds_in_all:g} s"
            return answer, CheckResult(verdict=Verdict.UNREACHABLE, detail=detail)


def _check(name: str, is_push: bool, asking: _Asking) -> ImageCheck | OcibuildError:  # noqa: FBT001  # one half of a pair
    try:
        image = parse_reference(name)
        if is_push:
            answer, result = asking.ask(image, lambda check: check.push(image))
        else:
            answer, result = _pull(image, asking)
    except OcibuildError as error:
        return error
    source = str(answer.source) if answer.credential else ""
    return ImageCheck(image=str(image), is_push=is_push, identity=answer.identity, source=source, result=result)


def _pull(image: ImageReference, asking: _Asking) -> tuple[Answer, CheckResult]:
    """Ask the mirrors of the registry, then itself, until one has the image: so BuildKit does."""
    passed_over = []
    for place in asking.ways.mirrored(image):
        answer, result = _pull_from_mirror(place, image, asking)
        if answer and result.verdict.is_good:
            return answer, replace(result, detail=f"from its mirror {place.host}")
        passed_over.append(f"its mirror {place.host}: {result.verdict.value}")
    answer, result = asking.ask(image, lambda check: check.pull(image))
    if result.verdict.is_good:
        return answer, result
    return answer, replace(result, detail="; ".join(filter(None, [result.detail, *passed_over])))


def _pull_from_mirror(
    place: ImageReference, image: ImageReference, asking: _Asking
) -> tuple[Answer | None, CheckResult]:
    """A mirror whose login failed is passed over like one without the image."""
    try:
        return asking.ask(place, lambda check: check.pull(place, mirrored=image.host))
    except OcibuildError as error:
        return None, CheckResult(verdict=Verdict.NO_CREDENTIAL, detail=error.summary)
