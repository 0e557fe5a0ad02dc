"""Why a solve failed, and what to do about it: the errors that a build ends with. Loaded only when one has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.errors import BuildError, ExportError
from ocibuild_core.failures import remedy_of_way
from ocibuild_core.inputs import entitlements

if TYPE_CHECKING:
    from ocibuild_core.auth.session import AuthSession
    from ocibuild_core.errors import OcibuildError
    from ocibuild_core.exports import StagedOutputs
    from ocibuild_core.failures import Failure
    from ocibuild_core.settings.model import BuildSettings


def explain(failure: Failure, session: AuthSession, said: str, settings: BuildSettings) -> list[OcibuildError]:
    """Why the solve failed: logins that failed meanwhile, then registries that refused, for those have a remedy."""
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
    if not errors:
        return [BuildError("the build failed", why=failure.reason or said, do=_remedy(failure, settings))]
    return [
        BuildError(f"the build failed at {name!r}", why=text, do=_remedy_of(text, settings)) for name, text in errors
    ]


def unwritten(failure: Failure, staged: StagedOutputs) -> list[OcibuildError]:
    """The files that the client could not write: it answers the daemon with the system's own words, path first."""
    return [
        ExportError("cannot write the image", why=text.partition(f"{path}: ")[2])
        for name, text in failure.errors()
        for path in staged.files.values()
        if name.startswith("exporting ") and f"{path}: " in text
    ]


def _remedy_of(text: str, settings: BuildSettings) -> str:
    """For one vertex's error. How registries are spoken to is told to an engine of our own alone."""
    return _lacking_key(text) or ("" if settings.addr else remedy_of_way(text))


def _lacking_key(text: str) -> str:
    """For a step or a git context that asks for a key which nobody forwards (session/sshforward in moby/buildkit)."""
    _, asked, name = text.partition('no SSH key "')
    key = name.partition('"')[0]
    return f"forward it: --ssh {key}=FILE, or that of the agent: --ssh {key}" if asked else ""


def _not_entitled(entitlement: str) -> BuildError:
    return BuildError(
        f"the build may not use {entitlement}",
        why="the Dockerfile asks for more rights than a build has, and nobody gave them",
        do=f"if you trust this Dockerfile: build --allow {entitlement}",
    )


def _remedy(failure: Failure, settings: BuildSettings) -> str:
    """For a build that a daemon elsewhere refused as a whole: one does so that allows no such entitlement."""
    allowed = entitlements(settings)
    if not settings.addr or not allowed or failure.reason:
        return ""
    named = ", ".join(allowed)
    return f"see that the BuildKit at {settings.addr} has {named} among its insecure-entitlements (buildkitd.toml)"
