"""The runner: one build from settings to report. The only module that knows settings, auth, engine and exporters."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.engine_choice import engine_settings
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ocibuild_core.auth.login import LoginSettings
    from ocibuild_core.auth.session import AuthSession
    from ocibuild_core.cache_mounts.keeping import CacheMounts
    from ocibuild_core.catalog import Catalog
    from ocibuild_core.engine import Engine, EngineSettings
    from ocibuild_core.export_records import Artifact
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
        files: those that the settings were read from.
        response: a file that the caller writes when all is well, or None.
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
    files: Sequence[str] = ()
    response: Path | None = None


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
        from ocibuild_core.cache_keeping import CACHE_DIRECTORY, keep_cache  # noqa: PLC0415
        from ocibuild_core.engine.find import find_credential_helper  # noqa: PLC0415
        from ocibuild_core.exports import check, finish, stage  # noqa: PLC0415
        from ocibuild_core.features import used_features  # noqa: PLC0415
        from ocibuild_core.inputs import is_remote_context, secret_values  # noqa: PLC0415
        from ocibuild_core.mount_points import refuse_mounted  # noqa: PLC0415
        from ocibuild_core.preparing import make_ready  # noqa: PLC0415
        from ocibuild_core.publish import Staging, publish  # noqa: PLC0415
        from ocibuild_core.solving import Solving, solve, told_what_is_pushed  # noqa: PLC0415

        plans = plan_targets(given.settings, given.targets, given.talk, given.env)
        _refuse_replacing(given, plans)
        check(plans)
        refuse_mounted(_places(plans))
        _warn_of_what_is_taken_along(given, plans)
        bound = given.settings.cache_size
        session = stack.enter_context(
            open_session(
                login=given.login,
                catalog=given.catalog,
                options=given.provider_options,
                env=given.env,
                addr=given.settings.addr or "",
                outside=(Path.cwd(), Path(given.settings.context)),
                helper=find_credential_helper(),
            )
        )
        given.talk.mask = session.redactor.text
        stack.callback(_show_log, given.talk, engine)
        for secret in secret_values(given.settings, given.env):
            session.redactor.add(secret)
        make_ready(given, engine, session, plans)
        engine.require(used_features(given.settings, plans, given.progress))
        context = None if is_remote_context(given.settings.context) else Path(given.settings.context)
        staging = stack.enter_context(Staging(context))
        cache = open_cache(Path.cwd() / CACHE_DIRECTORY, staging)
        solving = Solving(given, engine, session, _prepare_images(given.settings, staging), cache)
        mounts = _open_mounts(given, engine, session, staging)
        if mounts:
            mounts.bring(given.talk)
        solved = []
        for plan in plans:
            staged = stage(plan, staging, session.directory)
            solved.append((plan, staged, solve(solving, plan, staged)))
        with told_what_is_pushed(given.talk, *plans):
            if mounts:
                mounts.take(bound)
            engine.request_stop()
            artifacts = [artifact for one in solved for artifact in finish(*one)]
            publish(artifacts)
            size = keep_cache(cache, bound, given.talk) if cache else 0
            if mounts:
                mounts.keep(bound - size, given.talk)
    _report(given, artifacts, time.monotonic() - started)


def _show_log(talk: Talk, engine: Engine) -> None:
    """What `--debug` asks for, however the build ended; while the secrets in it are still masked."""
    if text := engine.debug_log():
        talk.say(f"the engine's log:\n{text}")


def _refuse_replacing(given: BuildInput, plans: Sequence[BuildPlan]) -> None:
    from ocibuild_core.cache_keeping import CACHE_DIRECTORY  # noqa: PLC0415  # the engine starts meanwhile
    from ocibuild_core.destinations import refuse_replacing, refuse_response  # noqa: PLC0415

    refuse_replacing(given.settings, given.files, _places(plans))
    if given.response:
        refuse_response(given.response, given.settings, (*_places(plans), Path.cwd() / CACHE_DIRECTORY))


def _places(plans: Sequence[BuildPlan]) -> list[Path]:
    return [place for plan in plans for export in plan.exports for place in export.plan.destinations]


def _warn_of_what_is_taken_along(given: BuildInput, plans: Sequence[BuildPlan]) -> None:
    from ocibuild_core.cache_keeping import CACHE_DIRECTORY  # noqa: PLC0415  # the engine starts meanwhile
    from ocibuild_core.taken_along import taken_along  # noqa: PLC0415

    state = [Path(given.settings.state_dir)] if given.settings.state_dir else []
    names = taken_along(given.settings, (*_places(plans), Path.cwd() / CACHE_DIRECTORY, *state))
    if names:
        given.talk.warn(
            f"{', '.join(names)}: what earlier builds wrote lies in the context, and COPY . takes it into the image\n"
            "  do     name it in a .dockerignore, or build another directory"
        )


def _open_mounts(given: BuildInput, engine: Engine, session: AuthSession, staging: Staging) -> CacheMounts | None:
    if not given.settings.cache_mounts:
        return None
    from ocibuild_core.cache_mounts.keeping import open_mounts  # noqa: PLC0415  # most builds keep none

    return open_mounts(given.settings, engine, session, staging, given.talk)


def _prepare_images(settings: BuildSettings, staging: Staging) -> Sequence[ImageArgument]:
    if not settings.image_args:
        return ()
    from tempfile import gettempdir  # noqa: PLC0415  # most builds have no such images

    from ocibuild_core.image_files import prepare_images  # noqa: PLC0415

    return prepare_images(settings, staging, Path(gettempdir()))


def plan_targets(
    settings: BuildSettings, targets: Sequence[Target], talk: Talk, env: Mapping[str, str]
) -> list[BuildPlan]:
    """One plan a target, in that order. Raises OcibuildError, also for a place where no output can go."""
    from ocibuild_core.cache_keeping import CACHE_DIRECTORY  # noqa: PLC0415  # the engine starts meanwhile
    from ocibuild_core.child_environment import for_user_program  # noqa: PLC0415
    from ocibuild_core.destinations import refuse_unwritable  # noqa: PLC0415
    from ocibuild_core.exports import ask_for_plan  # noqa: PLC0415
    from ocibuild_core.plan import (  # noqa: PLC0415
        plan_build,
        refuse_conflicts,
        refuse_lost_caches,
        refuse_mixed_cache,
    )

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
    exports = [export for plan in plans for export in plan.exports]
    refuse_conflicts(exports)
    refuse_lost_caches(settings, exports)
    refuse_mixed_cache(Path.cwd() / CACHE_DIRECTORY, exports)
    refuse_unwritable(_places(plans))
    return plans


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
