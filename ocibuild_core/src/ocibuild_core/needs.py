"""Which registries a build will ask, and which steps of other architectures it runs, as far as is known beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.caching import exported_caches, imported_caches
from ocibuild_core.dockerfile import ImageUse, first_runs, needed_images
from ocibuild_core.errors import UsageError
from ocibuild_core.image_args import image_references
from ocibuild_core.inputs import context_name, has_local_dockerfile, platform_arguments
from ocibuild_core.outputs import scanner_image
from ocibuild_core.places import find_dockerfile
from ocibuild_core.plan import dockerfile_location
from ocibuild_core.platforms import architecture_of, native
from ocibuild_core.registry.hosts import DOCKER_HUB, normalise
from ocibuild_core.registry.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ocibuild_core.plan import BuildPlan
    from ocibuild_core.settings.model import BuildSettings

_IMAGE_CONTEXT = "docker-image://"


def needed_registries(settings: BuildSettings) -> tuple[str, ...]:
    """The registries of the images that the Dockerfile names, each once, in the order of the file."""
    return tuple(dict.fromkeys(registry for registry, _ in reasons_of(settings)))


def reasons_of(settings: BuildSettings) -> list[tuple[str, str]]:
    """The registries that are asked for the images of a build, with what needs each."""
    uses = (*images_of(settings), *_others(settings))
    found = [(registry, describe(use)) for use in uses if (registry := registry_of(use))]
    mirrors_of = _mirrors(settings)
    for registry in dict.fromkeys(registry for registry, _ in found):
        # BuildKit asks the mirrors first, each with a credential of its own.
        mirrors = (normalise(mirror) for mirror in mirrors_of(registry))
        found += [(mirror, f"mirror of {registry}") for mirror in mirrors if mirror]
    return found


def _mirrors(settings: BuildSettings) -> Callable[[str], Sequence[str]]:
    """Gives a registry's mirrors, by its one name."""
    if not settings.buildkit_extra_config:
        return lambda registry: settings.registry_mirrors if registry == DOCKER_HUB else ()
    from ocibuild_core.daemon_config import daemon_config  # noqa: PLC0415  # few builds have tables of their own
    from ocibuild_core.registry.ways import Ways  # noqa: PLC0415

    ways = Ways(daemon_config(settings))
    return lambda registry: ways.to(registry).mirrors


def pushed_images(plan: BuildPlan) -> tuple[str, ...]:
    """The references that the build pushes to."""
    pushes = (output for output in plan.outputs if output.attributes.get("push") == "true")
    return tuple(name for output in pushes for name in output.attributes.get("name", "").split(",") if name)


def push_reasons(plans: Iterable[BuildPlan]) -> list[tuple[str, str]]:
    """The registries that the builds push to, with what is pushed there."""
    names = (name for plan in plans for name in pushed_images(plan))
    return [(parse_reference(name).registry, f"push {name}") for name in names]


def exported_images(settings: BuildSettings) -> tuple[str, ...]:
    """The references that caches are pushed to."""
    return tuple(cache.reference for cache in exported_caches(settings) if cache.reference)


def _others(settings: BuildSettings) -> Iterator[ImageUse]:
    """Images that the Dockerfile does not name: caches, and the scanner of an SBOM."""
    for purpose, caches in (("--cache-from", imported_caches(settings)), ("--cache-to", exported_caches(settings))):
        for cache in caches:
            if cache.reference:
                yield ImageUse(reference=cache.reference, purpose=purpose, line=0)
    scanner = scanner_image(settings)
    if scanner:
        yield ImageUse(reference=scanner, purpose="--sbom", line=0)


def describe(use: ImageUse) -> str:
    """`FROM r.example/x:1 (line 3)`."""
    return f"{use.purpose} {use.reference}" + (f" (line {use.line})" if use.line else "")


def images_of(settings: BuildSettings) -> tuple[ImageUse, ...]:
    """The images that the Dockerfile names. What cannot be read is BuildKit's to say: it gives none."""
    text = dockerfile_text(settings)
    files = image_references(settings)
    arguments = {pair.key: pair.value for pair in settings.build_args} | files
    targets = (*settings.additional_targets, settings.target)
    uses = (
        needed_images(
            text,
            target=one,
            build_args=arguments,
            contexts=(*files.values(), *_context_names(settings, platform_args.get("TARGETPLATFORM"))),
            platform_args=platform_args,
        )
        for one in targets
        for platform_args in platform_arguments(settings) or ({},)
    )
    found = {use.reference: use for use in _contexts_in_registries(settings)}
    found |= {use.reference: use for some in uses for use in some}
    return tuple(sorted(found.values(), key=lambda use: use.line))


def _context_names(settings: BuildSettings, platform: str | None) -> Iterator[str]:
    """The short names of the contexts that a build for the platform takes."""
    for pair in settings.build_contexts:
        name, separator, only = context_name(pair).partition("::")
        if not separator or only == platform:
            yield name


def foreign_steps(settings: BuildSettings) -> dict[str, int]:
    """The platforms of RUNs that this machine may not run by itself, each with the line of the first.

    None for an engine elsewhere, of which nothing is known, and for a check, which runs no step. Raises UsageError.
    """
    text = "" if settings.addr or settings.check else dockerfile_text(settings)
    if not settings.platforms and "--platform" not in text:
        return {}
    files = image_references(settings)
    found: dict[str, int] = {}
    for target in (*settings.additional_targets, settings.target):
        for platform_args in platform_arguments(settings):
            runs = first_runs(
                text,
                target=target,
                build_args={pair.key: pair.value for pair in settings.build_args} | files,
                contexts=(*files.values(), *_context_names(settings, platform_args["TARGETPLATFORM"])),
                platform_args=platform_args,
            )
            found = runs | found
    return {name: line for name, line in found.items() if architecture_of(name) != architecture_of(native())}


def _contexts_in_registries(settings: BuildSettings) -> Iterator[ImageUse]:
    for pair in settings.build_contexts:
        if pair.value.startswith(_IMAGE_CONTEXT):
            reference = pair.value.removeprefix(_IMAGE_CONTEXT)
            yield ImageUse(reference=reference, purpose=f"{pair.origin} {pair.key}", line=0)


def dockerfile_text(settings: BuildSettings) -> str:
    """The Dockerfile; empty when it cannot be read, or when only the engine has it."""
    if not has_local_dockerfile(settings):
        return ""
    path = str(Path(*dockerfile_location(settings)))
    try:
        return Path(find_dockerfile(path) or path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def registry_of(use: ImageUse) -> str | None:
    """The registry of one image; None when the reference is none."""
    try:
        return parse_reference(use.reference).registry
    except UsageError:
        return None
