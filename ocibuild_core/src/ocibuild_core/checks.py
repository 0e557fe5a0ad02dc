"""What can be known to be missing before anything is started: context, Dockerfile, secrets, git, emulation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError, raise_all
from ocibuild_core.inputs import (
    has_local_dockerfile,
    is_git_context,
    is_git_source,
    is_remote_context,
)
from ocibuild_core.lacking import check_inputs
from ocibuild_core.places import closed, find_dockerfile, is_directory, is_file
from ocibuild_core.plan import dockerfile_location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocibuild_core.settings.model import BuildSettings


def check_settings(settings: BuildSettings, env: Mapping[str, str]) -> None:
    """Raise UsageError for whatever the build lacks; all of it together."""
    errors = [*lacking_sources(settings, env), *check_inputs(settings, env)]
    if "" in settings.additional_targets:
        errors.append(
            UsageError(f"{settings.origin('additional_targets')}: an empty stage", do="write STAGE,STAGE without gaps")
        )
    raise_all(errors or _lacking_emulation(settings, env))


def lacking_sources(settings: BuildSettings, env: Mapping[str, str]) -> list[UsageError]:
    """What is built is not there: the context, its Dockerfile, or the git that would fetch something."""
    if is_remote_context(settings.context):
        return [*_lacking_dockerfile(settings), *_lacking_git(settings, env)]
    where = _context(settings)
    if not is_directory(settings.context):
        do = "name the directory to build: build [CONTEXT]"
        return [UsageError(f"{where} is not a directory", why=closed(settings.context), do=do)]
    dockerfile = Path(*dockerfile_location(settings))
    if find_dockerfile(str(dockerfile)) is None:
        return [_no_dockerfile(dockerfile, do="name the Dockerfile with --file, or the directory to build")]
    return _lacking_git(settings, env)


def _context(settings: BuildSettings) -> str:
    origin = settings.origin("context")
    return "the current directory" if origin == "default" else f"{origin} {settings.context!r}"


def _no_dockerfile(path: Path, *, do: str) -> UsageError:
    if is_directory(path):
        do = f"name the file in it: --file {path}/Dockerfile"
        return UsageError(f"{path} is a directory where the Dockerfile is expected", do=do)
    other = path.with_name("Containerfile")
    if path.name == "Dockerfile" and is_file(other):
        do = f"name the one that is there: -f {other}"
    return UsageError(f"there is no {path}", why=closed(path), do=do)


def _lacking_dockerfile(settings: BuildSettings) -> list[UsageError]:
    """A Dockerfile of this machine for a context elsewhere: one that is named by a whole path."""
    dockerfile = settings.dockerfile or ""
    if has_local_dockerfile(settings) and not is_file(dockerfile):
        return [_no_dockerfile(Path(dockerfile), do="name the Dockerfile with --file")]
    return []


def _lacking_git(settings: BuildSettings, env: Mapping[str, str]) -> list[UsageError]:
    """An engine of ours fetches with the git of this machine; what another has cannot be seen from here."""
    fetched = [] if settings.addr else list(_fetched_with_git(settings))
    if not fetched:
        return []
    import shutil  # noqa: PLC0415  # only for what is in git

    from ocibuild_core.child_environment import search_path  # noqa: PLC0415

    if shutil.which("git", path=search_path(env.get("PATH", ""), first=Path("/usr/bin"))):
        return []
    do = "install git, or clone it and give the directory"
    return [UsageError(f"{where}: git is not installed", do=do) for where in fetched]


def _fetched_with_git(settings: BuildSettings) -> Iterator[str]:
    """What is in git, each as a message begins with it."""
    if is_git_context(settings.context):
        yield _context(settings)
    for pair in settings.build_contexts:
        if is_git_source(pair.value):
            yield f"{pair.origin} {pair.key}"
    from ocibuild_core.dockerfile import added_sources  # noqa: PLC0415  # the engine is launched before
    from ocibuild_core.needs import dockerfile_text  # noqa: PLC0415

    text = dockerfile_text(settings)
    build_args = {pair.key: pair.value for pair in settings.build_args}
    targets = (*settings.additional_targets, settings.target)
    added = (found for target in targets for found in added_sources(text, target=target, build_args=build_args))
    for line in sorted({line for line, source in added if is_git_source(source)}):
        yield f"ADD (line {line} of the Dockerfile)"


def _lacking_emulation(settings: BuildSettings, env: Mapping[str, str]) -> list[UsageError]:
    from ocibuild_core.needs import foreign_steps  # noqa: PLC0415  # the engine is launched before

    steps = foreign_steps(settings)
    if not steps:
        return []
    from ocibuild_core.emulators import lacking_emulation  # noqa: PLC0415  # few builds have such steps

    return lacking_emulation(steps, env)
