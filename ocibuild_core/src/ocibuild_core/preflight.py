"""Asks every registry beforehand for what the build will need, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from ocibuild_core.auth.calls import Call, CallTimeout, side_by_side
from ocibuild_core.errors import CredentialError, OcibuildError
from ocibuild_core.registry.check import CheckResult, Verdict
from ocibuild_core.registry.reference import parse_reference
from ocibuild_core.registry.ways import open_check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ocibuild_core.auth.answers import Answer
    from ocibuild_core.auth.resolver import Resolver
    from ocibuild_core.registry.ways import Ways
    from ocibuild_core.secret import Secret

_AT_ONCE = 16
_SECONDS = 10.0
_SECONDS_IN_ALL = 40.0
"""For all that one image takes. One that answers byte by byte is within the limit of each read for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCheck:
    """What one registry said of one image.

    Args:
        image: the reference, as a person reads it.
        is_push: asked for pushing, not for pulling.
        who: the identity and where it came from.
        result: the verdict.
    """

    image: str
    is_push: bool
    who: str
    result: CheckResult

    def line(self) -> str:
        """One line for people."""
        action = "push" if self.is_push else "pull"
        detail = f" – {self.result.detail}" if self.result.detail else ""
        return f"{self.result.verdict.value:<26} {action}  {self.image}  as {self.who}{detail}"

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
            f"{self.image} cannot be {action} as {self.who}: {self.result.verdict.value}",
            why=self.result.detail,
            do=_REMEDIES[self.result.verdict],
        )


_REMEDIES = {
    Verdict.NO_CREDENTIAL: "name a provider that can log in there: --login NAME",
    Verdict.WRONG_PASSWORD: "check user and password or token",
    Verdict.NO_PERMISSION: "give this identity the right, or log in as another",
    Verdict.NOT_FOUND: "check the name and the tag; some registries hide so what an identity may not see",
    Verdict.UNREACHABLE: "check the name, the network, the proxy and the --registry- flags",
}


def check_images(
    pulls: Sequence[str],
    pushes: Sequence[str],
    *,
    resolver: Resolver,
    ways: Ways,
    learned: Callable[[Secret], None] = lambda _: None,
) -> list[ImageCheck | OcibuildError]:
    """One answer for each image, in the order given, pulls first.

    Args:
        pulls: references of images that must be readable.
        pushes: references that must be writable.
        resolver: who logs in.
        ways: how each registry is spoken to.
        learned: told every token that a registry gave.
    """
    slots = BoundedSemaphore(_AT_ONCE)

    def check(name: str, is_push: bool) -> ImageCheck | OcibuildError:  # noqa: FBT001  # one half of a pair
        with slots:
            return _check(name, is_push, resolver=resolver, ways=ways, learned=learned)

    wanted = [*((name, False) for name in pulls), *((name, True) for name in pushes)]
    # In daemons: the workers of a pool would keep a signal from ending the run before the slowest registry does.
    return [call.result() for call in side_by_side(partial(check, *item) for item in wanted)]


def _check(
    name: str,
    is_push: bool,  # noqa: FBT001  # one half of a pair
    *,
    resolver: Resolver,
    ways: Ways,
    learned: Callable[[Secret], None],
) -> ImageCheck | OcibuildError:
    try:
        image = parse_reference(name)
        answer = resolver.resolve(image.registry)
    except OcibuildError as error:
        return error

    def ask() -> CheckResult:
        way = ways.to(image.registry)
        check = open_check(image.registry, answer.credential, way, seconds=_SECONDS, learned=learned)
        return check.push(image) if is_push else check.pull(image)

    try:
        result = Call(ask).result(_SECONDS_IN_ALL)
    except CallTimeout:
        detail = f"no whole answer within {_SECONDS_IN_ALL:g} s"
        result = CheckResult(verdict=Verdict.UNREACHABLE, detail=detail)
    return ImageCheck(image=str(image), is_push=is_push, who=_who(answer), result=result)


def _who(answer: Answer) -> str:
    return answer.identity if answer.credential is None else f"{answer.identity} ({answer.source})"
