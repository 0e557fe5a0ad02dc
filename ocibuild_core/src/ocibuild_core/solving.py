"""One solve: BuildKit is given the plan, its output is shown; `explaining` says what went wrong."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ocibuild_core.command import solve_arguments
from ocibuild_core.content_store import NotStoredError, outputs_from_store, plan_for_store, write_archive
from ocibuild_core.display import Display
from ocibuild_core.errors import USERS_WISH, BuildError, OcibuildError, raise_all
from ocibuild_core.failures import Failure
from ocibuild_core.inputs import secret_variables
from ocibuild_core.lint import WarningCount, outline_arguments
from ocibuild_core.needs import pushed_images
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from ocibuild_core.auth.redact import Redactor
    from ocibuild_core.auth.session import AuthSession
    from ocibuild_core.build import BuildInput
    from ocibuild_core.cache_directory import CacheDirectory
    from ocibuild_core.display import MaskingStream
    from ocibuild_core.engine import Engine
    from ocibuild_core.export_records import BuildOutput
    from ocibuild_core.exports import StagedOutputs
    from ocibuild_core.image_args import ImageArgument
    from ocibuild_core.plan import BuildPlan
    from ocibuild_core.settings.model import BuildSettings
    from ocibuild_core.terminal import Talk


class Solving(NamedTuple):
    """What all solves of a build share.

    Args:
        given: what the build is made from.
        engine: solves.
        session: its logins.
        images: those of the image arguments.
        cache: the directory `cache/`; None without one.
    """

    given: BuildInput
    engine: Engine
    session: AuthSession
    images: Sequence[ImageArgument]
    cache: CacheDirectory | None


def solve(shared: Solving, plan: BuildPlan, staged: StagedOutputs) -> Mapping[str, object]:
    """Build. Returns BuildKit's metadata, with the provenance that was asked for; raises what went wrong."""
    settings = shared.given.settings
    store = shared.engine.content_store()
    taken = outputs_from_store(plan, settings) if store else ()
    metadata = _solve(shared, plan_for_store(plan, taken) if taken else plan, staged)
    if store:
        try:
            with told_what_is_pushed(shared.given.talk, plan):
                for output in taken:
                    _write(store, metadata, output, staged.files[output], plan)
        except NotStoredError:
            metadata = _solve(shared, plan, staged)
    with told_what_is_pushed(shared.given.talk, plan):
        return {**metadata, **_attested(shared.engine, metadata, settings)}


@contextmanager
def told_what_is_pushed(talk: Talk, *plans: BuildPlan) -> Iterator[None]:
    """What has reached a registry stays there: a run that fails or is broken off after its solves says so."""
    try:
        yield
    except (OcibuildError, *USERS_WISH):
        for name in (name for plan in plans for name in pushed_images(plan)):
            talk.say(f"{name}  pushed")
        raise


def _write(store: Path, metadata: Mapping[str, object], output: BuildOutput, path: Path, plan: BuildPlan) -> None:
    try:
        write_archive(store, metadata, output, path)
    except OSError as error:
        from ocibuild_core.explaining import cannot_write  # noqa: PLC0415  # only for a failure

        raise cannot_write(plan, output, path, error.strerror or str(error)) from None


def _attested(engine: Engine, metadata: Mapping[str, object], settings: BuildSettings) -> Mapping[str, object]:
    if not settings.provenance:
        return {}
    from ocibuild_core.provenance import attested_provenance  # noqa: PLC0415  # few ask for it

    return attested_provenance(engine.read_blob, metadata)


def _solve(shared: Solving, plan: BuildPlan, staged: StagedOutputs) -> Mapping[str, object]:
    given, engine, session, images, cache = shared
    display = Display(given.progress, sys.stdout.buffer, _masking(given.progress, session.redactor))
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
    try:
        code = engine.solve(
            arguments,
            env=session.child_env,
            on_output=None if display.owns_terminal else warnings.take,
            on_event=_loading_meanwhile(failure.observe, has_files=bool(staged.files)),
            secret_names=secret_variables(given.settings),
        )
    except USERS_WISH:
        _tell_pushes(given.talk, plan, failure)
        raise
    has_failed = code != 0 or bool(given.settings.check and warnings.found)
    said = display.end(failed=has_failed) or f"buildctl ended with exit code {code}; its output says why"
    if code != 0:
        _tell_pushes(given.talk, plan, failure)
        from ocibuild_core.explaining import explain, unwritten  # noqa: PLC0415  # only for a failure

        raise_all(unwritten(failure, plan, staged) or explain(failure, shared, said))
    if given.settings.check:
        _refuse_unbuildable(shared, arguments)
    if has_failed:
        raise BuildError(f"the Dockerfile has {warnings.found} warning{'s' if warnings.found > 1 else ''}")
    found = json.loads(metadata.read_bytes()) if metadata.exists() else {}
    return found if isinstance(found, dict) else {}


def _refuse_unbuildable(shared: Solving, arguments: Sequence[str]) -> None:
    """Raise what keeps the Dockerfile from being built, of which a check tells nothing."""
    given, engine, session, _, _ = shared
    failure = Failure()
    code = engine.solve(
        outline_arguments(arguments),
        env=session.child_env,
        on_output=lambda _: None,
        on_event=failure.observe,
        secret_names=secret_variables(given.settings),
    )
    if code != 0:
        from ocibuild_core.explaining import explain  # noqa: PLC0415  # only for a failure

        raise_all(explain(failure, shared, f"buildctl ended with exit code {code}"))


def _masking(progress: str, redactor: Redactor) -> MaskingStream:
    if progress != "rawjson":
        return redactor.stream()
    from ocibuild_core.masked_events import MaskedEvents  # noqa: PLC0415  # few ask for it

    return MaskedEvents(redactor)


def _loading_meanwhile(
    observe: Callable[[Mapping[str, object]], None], *, has_files: bool
) -> Callable[[Mapping[str, object]], None]:
    """`observe`, which at its first event loads what is needed next: BuildKit is at work then, and we are idle."""
    is_loaded = False

    def take(event: Mapping[str, object]) -> None:
        nonlocal is_loaded
        observe(event)
        if is_loaded:
            return
        is_loaded = True
        if has_files:
            import ctypes  # noqa: F401, PLC0415  # `exchange`
            import tarfile  # noqa: F401, PLC0415  # `exporters.archive`
        else:
            from ocibuild_core.auth import protocol  # noqa: F401, PLC0415  # a registry asks for a login

    return take


def _tell_pushes(talk: Talk, plan: BuildPlan, failure: Failure) -> None:
    """Of a build that failed or was broken off while it pushed: what has reached its registry, and what has not."""
    pushed = failure.pushed()
    if not pushed:
        return
    for name in pushed_images(plan):
        talk.say(f"{name}  {'pushed' if name in pushed else 'not pushed'}")
