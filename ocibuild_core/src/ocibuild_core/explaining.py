"""Why a solve failed, and what to do about it: the errors that a build ends with. Loaded only when one has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.cache_keeping import CACHE_DIRECTORY
from ocibuild_core.content_store import drop_ingests
from ocibuild_core.errors import BuildError, ExportError
from ocibuild_core.failures import remedy_of_way
from ocibuild_core.inputs import entitlements
from ocibuild_core.places import free_bytes
from ocibuild_core.settings.values import show_size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocibuild_core.errors import OcibuildError
    from ocibuild_core.export_records import BuildOutput
    from ocibuild_core.exports import StagedOutputs
    from ocibuild_core.failures import Failure
    from ocibuild_core.plan import BuildPlan
    from ocibuild_core.solving import Solving


def explain(failure: Failure, shared: Solving, said: str) -> list[OcibuildError]:
    """Why the solve failed: logins that failed meanwhile, then registries that refused, for those have a remedy."""
    session = shared.session
    # Hosts that nobody could know beforehand (ONBUILD, frontends) fail when the helper is asked for them.
    failures = {str(error): error for error in session.failures.values()}
    if failures:
        return list(failures.values())
    refusals = failure.refusals()
    if refusals:
        from ocibuild_core.refusals import explain_refusal  # noqa: PLC0415

        return [explain_refusal(refusal, session.resolver.explain(refusal.host)) for refusal in refusals]
    if entitlement := failure.missing_entitlement():
        return [_not_entitled(entitlement)]
    errors = failure.errors()
    damaged = shared.cache.drop_damaged(failure.words()) if shared.cache else ()
    if damaged:
        return [_of_damaged_cache(damaged, failure, shared.engine.content_store())]
    if not errors:
        return [BuildError("the build failed", why=failure.reason or said, do=_remedy(failure, shared))]
    return [BuildError(f"the build failed at {name!r}", why=text, do=_remedy_of(text, shared)) for name, text in errors]


def unwritten(failure: Failure, plan: BuildPlan, staged: StagedOutputs) -> list[OcibuildError]:
    """The files that the client could not write: it answers the daemon with the system's own words, path first."""
    return [
        cannot_write(plan, output, path, text.partition(f"{path}: ")[2])
        for name, text in failure.errors()
        for output, path in staged.files.items()
        if name.startswith("exporting ") and f"{path}: " in text
    ]


def cannot_write(plan: BuildPlan, output: BuildOutput, path: Path, why: str) -> ExportError:
    """For a file that is made beside its place, under a name that says nothing to anybody."""
    places = [place for export in plan.exports if output in export.plan.outputs for place in export.plan.destinations]
    named = str(places[0]) if places else "the image"
    do = ""
    if why.lower().startswith("no space left"):
        room = show_size(free_bytes(path.parent) + path.stat().st_size) if path.exists() else "nothing"
        why = f"{why}: {room} was free for it"
        disk = places[0].parent if places else path.parents[2]
        do = f"make room on the disk of {disk}, or write elsewhere: dest=PATH"
    return ExportError(f"cannot write {named}", why=why, do=do)


def _remedy_of(text: str, shared: Solving) -> str:
    """For one vertex's error. How registries are spoken to is told to an engine of our own alone."""
    return (
        _lacking_key(text) or shared.engine.remedy(text) or ("" if shared.given.settings.addr else remedy_of_way(text))
    )


def _lacking_key(text: str) -> str:
    """For a step or a git context that asks for a key which nobody forwards (session/sshforward in moby/buildkit)."""
    _, asked, name = text.partition('no SSH key "')
    key = name.partition('"')[0]
    return f"forward it: --ssh {key}=FILE, or that of the agent: --ssh {key}" if asked else ""


def _of_damaged_cache(damaged: Sequence[str], failure: Failure, store: Path | None) -> BuildError:
    """The build cannot begin anew here: the daemon has let go of what it still counts on ("lease … not found")."""
    if store:
        drop_ingests(store, damaged)
    return BuildError(
        f"{CACHE_DIRECTORY}/ held something damaged, which the build stumbled over",
        why=failure.words(),
        do="build again: it is taken out",
    )


def _not_entitled(entitlement: str) -> BuildError:
    return BuildError(
        f"the build may not use {entitlement}",
        why="the Dockerfile asks for more rights than a build has, and nobody gave them",
        do=f"if you trust this Dockerfile: build --allow {entitlement}",
    )


def _remedy(failure: Failure, shared: Solving) -> str:
    """For a build that failed as a whole: a daemon elsewhere refuses one that asks for more than it allows."""
    settings = shared.given.settings
    allowed = entitlements(settings)
    if not settings.addr or not allowed or failure.reason:
        return shared.engine.remedy(failure.reason)
    named = ", ".join(allowed)
    return f"see that the BuildKit at {settings.addr} has {named} among its insecure-entitlements (buildkitd.toml)"
