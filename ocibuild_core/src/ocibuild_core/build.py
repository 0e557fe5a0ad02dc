"""The runner: one build from settings to report. The only module that knows settings, auth, engine and exporters."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ocibuild_core.engine_choice import engine_settings
from ocibuild_core.errors import BuildError, OcibuildError, raise_all
from ocibuild_core.terminal import VERBOSE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ocibuild_core.auth.answers import Answer
    from ocibuild_core.auth.login import LoginSettings
    from ocibuild_core.auth.session import AuthSession
    from ocibuild_core.cache_directory import CacheDirectory
    from ocibuild_core.catalog import Catalog
    from ocibuild_core.engine import Engine, EngineSettings
    from ocibuild_core.export_records import Artifact
    from ocibuild_core.exports import StagedOutputs
    from ocibuild_core.failures import Failure
    from ocibuild_core.image_args import ImageArgument
    from ocibuild_core.options import OptionValues
    from ocibuild_core.plan import BuildPlan, Target
    from ocibuild_core.publish import Staging
    from ocibuild_core.settings.model import BuildSettings
    from ocibuild_core.terminal import Talk


class BuildInput(NamedTuple):
    """Everything that a build is made from.

    Args:
        settings: what was asked for.
        env: the user's environment.
        talk: where we speak.
        progress: how BuildKit's progress is shown (`choose_progress`).
        catalog: what is installed.
        login: what the user said about logins.
        provider_options: the options of every provider, by its name.
        targets: the stages to build, in order, the one of the settings last.
        launch: gives the engine.
    """

    settings: BuildSettings
    env: Mapping[str, str]
    talk: Talk
    progress: str
    catalog: Catalog
    login: LoginSettings
    provider_options: Mapping[str, OptionValues]
    targets: Sequence[Target]
    launch: Callable[[EngineSettings], Engine]


def build(given: BuildInput) -> None:
    """Build, write what was asked for, say what was made. Raises OcibuildError.

    The engine is launched first, before any thread is there and while little is imported, and gets ready while the
    logins are made.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        engine = stack.enter_context(given.launch(engine_settings(given.settings, given.env)))
        from ocibuild_core.auth.session import open_session  # noqa: PLC0415  # the engine starts meanwhile
        from ocibuild_core.cache_directory import open_cache  # noqa: PLC0415
        from ocibuild_core.cache_keeping import CACHE_DIRECTORY, cache_bound, keep_cache  # noqa: PLC0415
        from ocibuild_core.exports import finish, stage  # noqa: PLC0415
        from ocibuild_core.inputs import secret_values  # noqa: PLC0415
        from ocibuild_core.publish import Staging, publish  # noqa: PLC0415

        plans = plan_targets(given.settings, given.targets, given.talk, given.env)
        bound = cache_bound(given.settings)
        session = stack.enter_context(
            open_session(
                login=given.login,
                catalog=given.catalog,
                options=given.provider_options,
                env=given.env,
                addr=given.settings.addr or "",
                outside=(Path.cwd(), Path(given.settings.context)),
            )
        )
        given.talk.mask = session.redactor.text
        for secret in secret_values(given.settings, given.env):
            session.redactor.add(secret)
        _make_ready(given, engine, session, plans)
        staging = stack.enter_context(Staging())
        cache = open_cache(Path.cwd() / CACHE_DIRECTORY, staging)
        images = _prepare_images(given.settings, staging)
        solved = []
        for plan in plans:
            staged = stage(plan, staging)
            solved.append(
                (plan, staged, _solve(given, engine, session, plan=plan, staged=staged, images=images, cache=cache))
            )
        engine.request_stop()
        artifacts = [artifact for one in solved for artifact in finish(*one)]
        publish(artifacts)
        if cache:
            keep_cache(cache, bound, given.talk)
    _report(given, artifacts, time.monotonic() - started)


def _prepare_images(settings: BuildSettings, staging: Staging) -> Sequence[ImageArgument]:
    if not settings.image_args:
        return ()
    from tempfile import gettempdir  # noqa: PLC0415  # most builds have no such images

    from ocibuild_core.image_files import prepare_images  # noqa: PLC0415

    return prepare_images(settings, staging, Path(gettempdir()))


def plan_targets(
    settings: BuildSettings, targets: Sequence[Target], talk: Talk, env: Mapping[str, str]
) -> list[BuildPlan]:
    """One plan a target, in that order. Raises OcibuildError, also when two of them write one path."""
    from ocibuild_core.engine.environment import for_user_program  # noqa: PLC0415  # the engine starts meanwhile
    from ocibuild_core.exports import ask_for_plan  # noqa: PLC0415
    from ocibuild_core.plan import plan_build, refuse_conflicts  # noqa: PLC0415

    log = talk.logger()
    plans = [
        plan_build(
            settings._replace(target=target.stage, tags=settings.tags if target is targets[-1] else ()),
            target.exporters,
            directory=target.directory,
            log=log,
            call=ask_for_plan,
            env=for_user_program(env),
        )
        for target in targets
    ]
    refuse_conflicts(export for plan in plans for export in plan.exports)
    return plans


def _make_ready(given: BuildInput, engine: Engine, session: AuthSession, plans: Sequence[BuildPlan]) -> None:
    """Wait for logins and engine; what fails of both is reported together."""
    from ocibuild_core.needs import exported_images, needed_registries, pushed_images  # noqa: PLC0415
    from ocibuild_core.registry.reference import parse_reference  # noqa: PLC0415

    errors: list[OcibuildError] = []
    answers: Mapping[str, Answer] = {}
    try:
        pushes = [name for plan in plans for name in pushed_images(plan)]
        pushes += exported_images(given.settings)
        pushed = [parse_reference(name).registry for name in pushes]
        answers = session.resolver.require((*needed_registries(given.settings), *pushed), pushed=pushed)
        if given.settings.preflight:
            _preflight(given, session, pushes)
    except OcibuildError as error:
        errors.append(error)
    else:
        for registry, answer in answers.items():
            tell = given.talk.say if answer.credential else given.talk.detail
            tell(f"login  {registry}: {answer.identity}, {answer.source}")
    try:
        engine.wait_ready()
    except OcibuildError as error:
        errors.append(error)
    raise_all(errors)
    for notice in engine.notices:
        given.talk.say(notice)
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
    from ocibuild_core.needs import images_of  # noqa: PLC0415  # only where it was asked for
    from ocibuild_core.preflight import check_images  # noqa: PLC0415
    from ocibuild_core.registry.check import Verdict  # noqa: PLC0415

    pulls = [use.reference for use in images_of(given.settings)]
    certificates = given.settings.registry_certs
    learned = session.redactor.add
    errors: list[OcibuildError] = []
    for found in check_images(pulls, pushes, resolver=session.resolver, certificates=certificates, learned=learned):
        if isinstance(found, OcibuildError):
            errors.append(found)
            continue
        given.talk.say(found.line())
        # A mirror or another network may serve the engine what cannot be reached from here.
        if not found.result.verdict.is_good and found.result.verdict is not Verdict.UNREACHABLE:
            errors.append(found.error())
    raise_all(errors)


def _solve(  # noqa: PLR0913  # all that one solve is made from
    given: BuildInput,
    engine: Engine,
    session: AuthSession,
    *,
    plan: BuildPlan,
    staged: StagedOutputs,
    images: Sequence[ImageArgument],
    cache: CacheDirectory | None,
) -> Mapping[str, object]:
    """Build. Returns BuildKit's metadata; raises what went wrong."""
    import json  # noqa: PLC0415  # the engine starts meanwhile

    from ocibuild_core.command import solve_arguments  # noqa: PLC0415
    from ocibuild_core.display import Display  # noqa: PLC0415
    from ocibuild_core.failures import Failure  # noqa: PLC0415
    from ocibuild_core.inputs import secret_variables  # noqa: PLC0415
    from ocibuild_core.lint import WarningCount  # noqa: PLC0415

    display = Display(given.progress, sys.stdout.buffer, session.redactor.stream())
    failure = Failure()
    metadata = session.directory / "metadata.json"
    metadata.unlink(missing_ok=True)  # of the target before
    arguments = solve_arguments(
        given.settings,
        plan,
        progress=display.buildctl_progress,
        metadata=metadata,
        files=staged.files,
        images=images,
        proxy_args=session.proxy_args,
    )
    arguments += cache.arguments() if cache else []
    warnings = WarningCount(display.take)
    code = engine.solve(
        arguments,
        env=session.child_env,
        on_output=None if display.owns_terminal else warnings.take,
        on_event=failure.observe,
        secret_names=secret_variables(given.settings),
    )
    has_failed = code != 0 or bool(given.settings.check and warnings.found)
    display.end(failed=has_failed)
    if code != 0:
        _tell_pushes(given.talk, plan, failure)
        raise_all(_explain(failure, session, code))
    if has_failed:
        raise BuildError(f"the Dockerfile has {warnings.found} warning{'s' if warnings.found > 1 else ''}")
    found = json.loads(metadata.read_bytes()) if metadata.exists() else {}
    return found if isinstance(found, dict) else {}


def _tell_pushes(talk: Talk, plan: BuildPlan, failure: Failure) -> None:
    """Of a build that failed while it pushed: what has reached its registry, and what has not."""
    from ocibuild_core.needs import pushed_images  # noqa: PLC0415  # the engine starts meanwhile

    pushed = failure.pushed()
    if not pushed:
        return
    for name in pushed_images(plan):
        talk.say(f"{name}  {'pushed' if name in pushed else 'not pushed'}")


def _explain(failure: Failure, session: AuthSession, code: int) -> list[OcibuildError]:
    """Why the solve failed: logins that failed meanwhile, then registries that refused, for those have a remedy."""
    # Hosts that nobody could know beforehand (ONBUILD, frontends) fail when the helper is asked for them.
    failures = {str(error): error for error in session.resolver.failures.values()}
    if failures:
        return list(failures.values())
    refusals = failure.refusals()
    if refusals:
        from ocibuild_core.refusals import explain_refusal  # noqa: PLC0415

        return [explain_refusal(refusal, session.resolver.explain(refusal.host)) for refusal in refusals]
    errors = failure.errors()
    if not errors:
        return [BuildError("the build failed", why=f"buildctl ended with exit code {code}; its output says why")]
    return [BuildError(f"the build failed at {name!r}", why=text) for name, text in errors]


def _report(given: BuildInput, artifacts: Sequence[Artifact], seconds: float) -> None:
    talk = given.talk
    if given.settings.check:
        talk.say(f"checked in {seconds:.1f} s: no warnings")
        return
    if not artifacts:
        looked_for = ", ".join(f"{target.directory.name}/" for target in given.targets)
        talk.say(
            f"built in {seconds:.1f} s; nothing is kept, because no output was chosen and there is no {looked_for}\n"
            f"  do     mkdir {given.targets[-1].directory.name} before the build, "
            "or: build --output docker,dest=image.tar"
        )
        return
    for artifact in artifacts:
        talk.say(f"{_shown(artifact.destination)}  {artifact.description}")
    talk.say(f"built in {seconds:.1f} s")


def _shown(destination: Path | str) -> str:
    here = Path.cwd()
    below = isinstance(destination, Path) and destination.is_relative_to(here)
    return str(destination.relative_to(here)) if isinstance(destination, Path) and below else str(destination)
