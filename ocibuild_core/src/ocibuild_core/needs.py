"""Which registries a build will ask, as far as that can be known beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_core.dockerfile import needed_images
from ocibuild_core.errors import UsageError
from ocibuild_core.plan import dockerfile_location
from ocibuild_core.registry.reference import parse_reference

if TYPE_CHECKING:
    from ocibuild_core.dockerfile import ImageUse
    from ocibuild_core.plan import BuildPlan
    from ocibuild_core.settings.model import BuildSettings


def needed_registries(settings: BuildSettings) -> tuple[str, ...]:
    """The registries of the images that the Dockerfile names, each once, in the order of the file."""
    return tuple(dict.fromkeys(registry for registry, _ in reasons_of(settings)))


def reasons_of(settings: BuildSettings) -> list[tuple[str, str]]:
    """The registries of the images that the Dockerfile names, with the instruction that needs each."""
    return [(registry, describe(use)) for use in images_of(settings) if (registry := registry_of(use))]


def pushed_images(plan: BuildPlan) -> tuple[str, ...]:
    """The references that the build pushes to."""
    pushes = (output for output in plan.outputs if output.attributes.get("push") == "true")
    return tuple(name for output in pushes for name in output.attributes.get("name", "").split(",") if name)


def describe(use: ImageUse) -> str:
    """`FROM r.example/x:1 (line 3)`."""
    return f"{use.purpose} {use.reference} (line {use.line})"


def images_of(settings: BuildSettings) -> tuple[ImageUse, ...]:
    """The images that the Dockerfile names. What cannot be read is BuildKit's to say: it gives none."""
    directory, name = dockerfile_location(settings)
    try:
        text = (Path(directory) / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    arguments = {pair.key: pair.value for pair in settings.build_args}
    return needed_images(text, target=settings.target, build_args=arguments)


def registry_of(use: ImageUse) -> str | None:
    """The registry of one image; None when the reference is none."""
    try:
        return parse_reference(use.reference).registry
    except UsageError:
        return None
