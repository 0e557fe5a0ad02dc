"""Before the solve: the logins that the build needs, and an engine that takes builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.errors import OcibuildError, raise_all
from ocibuild_core.needs import exported_images, needed_registries, pushed_images
from ocibuild_core.registry.reference import parse_reference
from ocibuild_core.terminal import VERBOSE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocibuild_core.auth.answers import Answer
    from ocibuild_core.auth.session import AuthSession
    from ocibuild_core.build import BuildInput
    from ocibuild_core.engine import Engine
    from ocibuild_core.plan import BuildPlan


def make_ready(given: BuildInput, engine: Engine, session: AuthSession, plans: Sequence[BuildPlan]) -> None:
    """Wait for logins and engine; what fails of both is reported together."""
    errors: list[OcibuildError] = []
    answers: Mapping[str, Answer] = {}
    try:
        pushes = [name for plan in plans for name in pushed_images(plan)]
        pushes += exported_images(given.settings)
        pushed = [parse_reference(name).registry for name in pushes]
        answers = session.require((*needed_registries(given.settings), *pushed), pushed=pushed)
        if given.settings.preflight:
            _preflight(given, session, pushes)
    except OcibuildError as error:
        errors.append(error)
    else:
        for registry, answer in answers.items():
            tell = given.talk.say if answer.credential else given.talk.detail
            tell(f"login  {registry}: {answer.identity}, {answer.source}")
    try:
        # Where the build ends here, all that is wrong shall be told.
        engine.wait_ready() if errors else engine.wait_started()
    except OcibuildError as error:
        errors.append(error)
    raise_all(errors)
    for notice in engine.notices:
        given.talk.say(notice)
    if engine.is_rootless and given.settings.cgroup_parent:
        # `specconv.ToRootless` in opencontainers/runc, which BuildKit applies to every step.
        given.talk.warn("--cgroup-parent has no effect: without root the engine puts no step into a cgroup")
    shown = [registry for registry, answer in answers.items() if answer.credential]
    if engine.is_remote and shown:
        # With Bearer tokens the client asks for the token and keeps the password; Basic leaves it no choice
        # (session/auth/authprovider in moby/buildkit).
        given.talk.say(
            f"where a registry asks for Basic authentication, as ECR does, the BuildKit at {given.settings.addr} "
            f"is shown the password: {', '.join(shown)}"
        )
    if given.talk.level >= VERBOSE:
        given.talk.detail(engine.describe)


def _preflight(given: BuildInput, session: AuthSession, pushes: Sequence[str]) -> None:
    """Ask every registry for the images of the build. Raises what would fail; unreachable ones are told and left."""
    from ocibuild_core.daemon_config import daemon_config  # noqa: PLC0415  # only where it was asked for
    from ocibuild_core.needs import images_of  # noqa: PLC0415
    from ocibuild_core.preflight import check_images  # noqa: PLC0415
    from ocibuild_core.registry.check import Verdict  # noqa: PLC0415
    from ocibuild_core.registry.ways import Ways  # noqa: PLC0415

    pulls = [use.reference for use in images_of(given.settings)]
    ways = Ways(daemon_config(given.settings))
    learned = session.redactor.add
    errors: list[OcibuildError] = []
    for found in check_images(pulls, pushes, resolver=session.resolver, ways=ways, learned=learned):
        if isinstance(found, OcibuildError):
            errors.append(found)
            continue
        # A mirror or another network may serve the engine what cannot be reached from here.
        if found.result.verdict.is_good or found.result.verdict is Verdict.UNREACHABLE:
            given.talk.say(found.line())
        else:
            errors.append(found.error())
    raise_all(errors)
