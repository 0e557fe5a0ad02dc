"""The runner: one build from settings to report. The only module that knows settings, auth, engine and exporters."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.daemon_config import daemon_config
from ocibuild_core.engine import EngineSettings, launch
from ocibuild_core.errors import BuildError, OcibuildError, raise_all
from ocibuild_core.terminal import VERBOSE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocibuild_core.auth.login import LoginSettings
    from ocibuild_core.auth.session import AuthSession
    from ocibuild_core.catalog import Catalog, LoadedExporter
    from ocibuild_core.engine import Engine
    from ocibuild_core.export_records import Artifact
    from ocibuild_core.exports import StagedOutputs
    from ocibuild_core.failures import Failure
    from ocibuild_core.options import OptionValues
    from ocibuild_core.plan import BuildPlan
    from ocibuild_core.settings.model import BuildSettings
    from ocibuild_core.terminal import Talk


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildInput:
    """Everything that a build is made from.

    Args:
        settings: what was asked for.
        env: the user's environment.
        talk: where we speak.
        progress: how BuildKit's progress is shown (`choose_progress`).
        catalog: what is installed.
        login: what the user said about logins.
        provider_options: the options of every provider, by its name.
        exporters: those chosen, with their options.
        directory: where outputs go by default; absolute.
    """

    settings: BuildSettings
    env: Mapping[str, str]
    talk: Talk
    progress: str
    catalog: Catalog
    login: LoginSettings
    provider_options: Mapping[str, OptionValues]
    exporters: Sequence[tuple[LoadedExporter, OptionValues]]
    directory: Path


def build(given: BuildInput) -> None:
    """Build, write what was asked for, say what was made. Raises OcibuildError.

    The engine is launched first, before any thread is there and while little is imported, and gets ready while the
    logins are made.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        engine = stack.enter_context(launch(_engine_settings(given)))
        from ocibuild_core.auth.session import open_session  # noqa: PLC0415  # the engine starts meanwhile
        from ocibuild_core.exports import ask_for_plan, finish, stage  # noqa: PLC0415
        from ocibuild_core.plan import plan_build  # noqa: PLC0415
        from ocibuild_core.publish import Staging, publish  # noqa: PLC0415

        log = given.talk.logger()
        plan = plan_build(given.settings, given.exporters, directory=given.directory, log=log, call=ask_for_plan)
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
        _make_ready(given, engine, session, plan)
        staged = stage(plan, stack.enter_context(Staging()))
        metadata = _solve(given, engine, session, plan, staged)
        engine.request_stop()
        artifacts = finish(plan, staged, metadata)
        publish(artifacts)
    _report(given, artifacts, time.monotonic() - started)


def _engine_settings(given: BuildInput) -> EngineSettings:
    settings = given.settings
    return EngineSettings(
        addr=settings.addr,
        state_dir=settings.state_dir,
        start_timeout=settings.start_timeout,
        debug=settings.debug,
        daemon_config=daemon_config(settings),
        env=given.env,
    )


def _make_ready(given: BuildInput, engine: Engine, session: AuthSession, plan: BuildPlan) -> None:
    """Wait for logins and engine; what fails of both is reported together."""
    from ocibuild_core.needs import needed_registries, pushed_images  # noqa: PLC0415
    from ocibuild_core.registry.reference import parse_reference  # noqa: PLC0415

    errors: list[OcibuildError] = []
    try:
        pushes = pushed_images(plan)
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


def _solve(
    given: BuildInput, engine: Engine, session: AuthSession, plan: BuildPlan, staged: StagedOutputs
) -> Mapping[str, object]:
    """Build. Returns BuildKit's metadata; raises what went wrong."""
    import json  # noqa: PLC0415  # the engine starts meanwhile

    from ocibuild_core.display import Display  # noqa: PLC0415
    from ocibuild_core.failures import Failure  # noqa: PLC0415
    from ocibuild_core.plan import output_argument  # noqa: PLC0415

    display = Display(given.progress, sys.stdout.buffer, session.redactor.stream())
    failure = Failure()
    metadata = session.directory / "metadata.json"
    arguments = ["--progress", display.buildctl_progress, "--metadata-file", str(metadata), *plan.arguments]
    for name, value in session.proxy_args.items():
        if name not in {pair.key for pair in given.settings.build_args}:
            arguments += ["--opt", f"build-arg:{name}={value}"]
    for output in plan.outputs:
        arguments += ["--output", output_argument(output, staged.files.get(output))]
    code = engine.solve(
        arguments,
        env=session.child_env,
        on_output=None if display.owns_terminal else display.take,
        on_event=failure.observe,
    )
    display.end(failed=code != 0)
    if code != 0:
        raise_all(_explain(failure, session, code))
    found = json.loads(metadata.read_bytes()) if metadata.exists() else {}
    return found if isinstance(found, dict) else {}


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
    if not artifacts:
        talk.say(
            f"built in {seconds:.1f} s; nothing is kept, because no output was chosen\n"
            f"  do     mkdir {given.directory.name} before the build, or: build --output docker,dest=image.tar"
        )
        return
    for artifact in artifacts:
        talk.say(f"{_shown(artifact.destination)}  {artifact.description}")
    talk.say(f"built in {seconds:.1f} s")


def _shown(destination: Path | str) -> str:
    here = Path.cwd()
    below = isinstance(destination, Path) and destination.is_relative_to(here)
    return str(destination.relative_to(here)) if isinstance(destination, Path) and below else str(destination)
