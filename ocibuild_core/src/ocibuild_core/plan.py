"""What is to be built and what becomes of it: pure functions from settings to BuildKit's arguments."""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ocibuild_core.caching import cache_arguments, exported_caches
from ocibuild_core.csv_fields import join_fields, split_fields
from ocibuild_core.daemon_config import client_tls, daemon_config
from ocibuild_core.errors import PluginError, UsageError
from ocibuild_core.export_records import ExportRequest
from ocibuild_core.inputs import (
    chosen_platforms,
    has_local_dockerfile,
    input_arguments,
    input_options,
    is_remote_context,
)
from ocibuild_core.outputs import attestations, image_names, short_outputs, writes_oci
from ocibuild_core.places import is_directory, replaced_at
from ocibuild_core.records import NamedTuple
from ocibuild_core.settings.values import split_go_path

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from ocibuild_core.catalog import LoadedExporter
    from ocibuild_core.export_records import BuildOutput, ExportPlan
    from ocibuild_core.options import OptionValues
    from ocibuild_core.settings.model import BuildSettings

DEFAULT_DIRECTORY = "image"
DEFAULT_EXPORTERS = ("docker", "digest")
OCI_EXPORTERS = ("oci", "digest")
_BUILDX_SPELLINGS = {"registry.insecure": "insecure"}
"""Options of `--output` that are called otherwise here, because a variable's name holds no dot."""
_ANNOTATION = r"annotation(?:-([^.]+?))?\.(.+)"


class PlannedExport(NamedTuple):
    """One exporter, what it is asked and what it said that it needs."""

    loaded: LoadedExporter
    request: ExportRequest
    plan: ExportPlan

    def is_same_as(self, other: PlannedExport) -> bool:
        """Whether both make the same at the same place, whoever asked for it: `image/` and `--iidfile image/digest`."""
        return self.loaded == other.loaded and self._made() == other._made() and self._told() == other._told()

    def _made(self) -> tuple[tuple[BuildOutput, ...], tuple[Path, ...]]:
        """The plan, wherever a link leads its places."""
        return self.plan.outputs, tuple(replaced_at(place) for place in self.plan.destinations)

    def _told(self) -> Mapping[str, object]:
        """The options besides the place, which is in the plan."""
        return {name: value for name, value in self.request.options.items() if name != "dest"}


class BuildPlan(NamedTuple):
    """One solve: its arguments without the outputs, and the exports it serves."""

    arguments: tuple[str, ...]
    exports: tuple[PlannedExport, ...]

    @property
    def outputs(self) -> tuple[BuildOutput, ...]:
        """The outputs of all exporters; equal ones once."""
        return tuple(dict.fromkeys(output for export in self.exports for output in export.plan.outputs))


class Target(NamedTuple):
    """One stage to build.

    Args:
        stage: its name, None for the Dockerfile's last one.
        directory: where its outputs go by default; absolute.
        exporters: those chosen for it, with their options.
    """

    stage: str | None
    directory: Path
    exporters: Sequence[tuple[LoadedExporter, OptionValues]]


class OutputChoice(NamedTuple):
    """One `--output`: an exporter's name and the options in the same breath."""

    name: str
    options: Sequence[tuple[str, str]]


def choose_outputs(settings: BuildSettings, directory: Path) -> tuple[OutputChoice, ...]:
    """The exporters that were asked for; without any, those of an output directory that exists."""
    chosen = [parse_output(text, settings.origin("output")) for text in settings.output]
    if not chosen and is_directory(directory):
        names = OCI_EXPORTERS if writes_oci(settings, ()) else DEFAULT_EXPORTERS
        chosen = [OutputChoice(name=name, options=()) for name in names]
    if chosen and settings.unpack_rootfs and all(choice.name != "rootfs" for choice in chosen):
        chosen.append(OutputChoice(name="rootfs", options=()))
    short = [OutputChoice(name=name, options=tuple(options.items())) for name, options in short_outputs(settings)]
    return (*chosen, *short)


def parse_output(text: str, origin: str) -> OutputChoice:
    """`NAME[,key=value…]`, also in docker buildx's spelling `type=NAME,…`; a field in quotes may hold commas."""
    fields = split_fields(text, f"{origin} {text!r}")
    if fields == ["-"]:
        return OutputChoice(name="tar", options=(("dest", "-"),))
    if len(fields) == 1 and _is_path(fields[0]):
        return OutputChoice(name="local", options=(("dest", fields[0]),))
    pairs = [field.partition("=") for field in fields]
    if pairs and not pairs[0][1]:
        pairs[0] = ("type", "=", pairs[0][0])
    bare = next((key for key, equals, _ in pairs if not equals), None)
    if bare is not None:
        raise UsageError(f"{origin} {text!r}: {bare!r} is not key=value", do=f"write {origin} NAME,key=value")
    given = [(key.strip(), value) for key, _, value in pairs]
    name = dict(given).get("type", "").lower()
    if not name:
        raise UsageError(f"{origin} {text!r}: no exporter is named", do=f"write {origin} docker,dest=image.tar")
    return OutputChoice(name=name, options=tuple(_option(key, value) for key, value in given if key != "type"))


def _option(key: str, value: str) -> tuple[str, str]:
    """An attribute of docker buildx's as an option; `annotation-TYPE.KEY=VALUE` is an item of `annotation`."""
    annotated = re.fullmatch(_ANNOTATION, key)
    if not annotated:
        return _BUILDX_SPELLINGS.get(key, key), value
    import json  # noqa: PLC0415  # few outputs are annotated

    kind, name = annotated.groups()
    # As JSON, so that no comma in it ends the item.
    return "annotation", json.dumps([f"{kind}:{name}={value}" if kind else f"{name}={value}"])


def _is_path(text: str) -> bool:
    """Whether a single word is a directory to docker buildx, and can be no exporter's name."""
    return "=" not in text and ("/" in text or text.startswith("."))


def plan_build(  # noqa: PLR0913  # all of it by keyword
    settings: BuildSettings,
    exporters: Sequence[tuple[LoadedExporter, OptionValues]],
    *,
    directory: Path,
    log: logging.Logger,
    call: Callable[[LoadedExporter, ExportRequest], ExportPlan],
    env: Mapping[str, str] = MappingProxyType({}),
) -> BuildPlan:
    """The solve of a build.

    Args:
        settings: what was asked for.
        exporters: those chosen, with the values of their options.
        directory: where the outputs go; absolute.
        log: handed to the exporters.
        call: how an exporter is asked for its plan; the caller guards it.
        env: what programs get that exporters run.
    """
    from ocibuild_core.exporters.image_attributes import attributes_of_archives  # noqa: PLC0415  # see `exporters`

    # The first of a kind counts: that is the one in the output directory, if any is.
    archives = attributes_of_archives({loaded.exporter.name: options for loaded, options in reversed(exporters)})
    tags = image_names(settings)
    exports: list[PlannedExport] = []
    for loaded, options in exporters:
        request = ExportRequest(
            options=options,
            directory=directory,
            target=settings.target,
            platforms=chosen_platforms(settings),
            output_oci=writes_oci(settings, (loaded.exporter.name for loaded, _ in exporters)),
            log=log,
            tags=tags,
            env=env,
            archives=archives,
        )
        export = PlannedExport(loaded=loaded, request=request, plan=call(loaded, request))
        if not any(export.is_same_as(other) for other in exports):
            exports.append(export)
    refuse_conflicts(exports)
    return BuildPlan(arguments=build_arguments(settings), exports=tuple(exports))


def build_arguments(settings: BuildSettings) -> tuple[str, ...]:
    """The arguments of `buildctl build` that say what to build."""
    sources, options = _sources(settings)
    arguments = ["--frontend", "dockerfile.v0", *sources]
    if settings.target:
        options["target"] = settings.target
    options |= {f"build-arg:{pair.key}": pair.value for pair in settings.build_args}
    options |= {f"label:{pair.key}": pair.value for pair in settings.labels}
    if settings.pull:
        options["image-resolve-mode"] = "pull"
    options |= input_options(settings)
    options |= attestations(settings)
    for key, value in options.items():
        arguments += ["--opt", f"{key}={value}"]
    if settings.no_cache:
        arguments.append("--no-cache")
    arguments += input_arguments(settings)
    arguments += cache_arguments(settings)
    # The daemon reads its own configuration; this is for the client, which talks to token servers itself.
    for fields in client_tls(daemon_config(settings)):
        arguments += ["--registry-auth-tlscontext", join_fields(fields)]
    return tuple(arguments)


def _sources(settings: BuildSettings) -> tuple[list[str], dict[str, str]]:
    """Where context and Dockerfile are: arguments, and the frontend's options."""
    if is_remote_context(settings.context):
        if has_local_dockerfile(settings):
            directory, name = dockerfile_location(settings)
            options = {"context": settings.context, "dockerfilekey": "dockerfile", "filename": name}
            return ["--local", f"dockerfile={directory}"], options
        named = {"filename": settings.dockerfile} if settings.dockerfile else {}
        return [], {"context": settings.context, **named}
    directory, name = dockerfile_location(settings)
    return ["--local", f"context={settings.context}", "--local", f"dockerfile={directory}"], {"filename": name}


def dockerfile_location(settings: BuildSettings) -> tuple[str, str]:
    """The Dockerfile's directory and name; `Dockerfile` in the context when none was named."""
    return split_go_path(settings.dockerfile or f"{settings.context.rstrip('/') or '/'}/Dockerfile")


def output_argument(
    output: BuildOutput, destination: Path | None, annotations: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The value of one `buildctl build --output`: fields joined by commas, quoted as CSV (RFC 4180) asks."""
    attributes = {**output.attributes, **annotations}
    fields = [f"type={output.type}", *(f"{key}={value}" for key, value in attributes.items())]
    if destination:
        fields.append(f"dest={destination}")
    return join_fields(fields)


def refuse_conflicts(exports: Iterable[PlannedExport]) -> None:
    """Raise UsageError when two exports write one path, or one inside the other's, of one target or of several."""
    planned = [(destination, export) for export in exports for destination in export.plan.destinations]
    writers: dict[Path, PlannedExport] = {}
    for destination, export in planned:
        name = export.loaded.exporter.name
        if not destination.is_absolute():
            raise PluginError(f"{export.loaded.source}: exporter {name!r} plans the relative path {destination}")
        place = replaced_at(destination)
        other = writers.setdefault(place, export)
        if other is not export:
            raise UsageError(
                f"two outputs write {place}",
                why=f"exporters {other.loaded.exporter.name!r} and {name!r}",
                do="give one of them another dest=",
            )
    for destination, export in planned:
        outer = next((parent for parent in _above(destination) if writers.get(parent, export) is not export), None)
        if outer:
            raise UsageError(
                f"an output writes {destination} inside of another's {outer}",
                why=f"exporters {export.loaded.exporter.name!r} and {writers[outer].loaded.exporter.name!r}; "
                "what lies at a destination is replaced as a whole",
                do="give one of them another dest=",
            )


def _above(destination: Path) -> Iterator[Path]:
    """Where no other output can go: the directories that it lies in, and the links on the way to them."""
    yield from replaced_at(destination).parents
    yield from map(replaced_at, destination.parents)


def refuse_lost_caches(settings: BuildSettings, exports: Iterable[PlannedExport]) -> None:
    """Raise UsageError when a local cache would go where an output is then put in its place."""
    places = {replaced_at(place): export for export in exports for place in export.plan.destinations}
    for cache in exported_caches(settings):
        if cache.type != "local":
            continue
        directory = Path(cache.attributes["dest"]).absolute()
        place = next((place for place in _above(directory / "index.json") if place in places), None)
        if place:
            raise UsageError(
                f"{settings.origin('cache_to')} exports a cache to {directory}, and an output replaces {place}",
                why=f"exporter {places[place].loaded.exporter.name!r}",
                do="give one of them another dest=",
            )


def refuse_mixed_cache(kept: Path, exports: Iterable[PlannedExport]) -> None:
    """Raise UsageError when an output would go where the build's cache is kept: to it, into it or above it.

    Args:
        kept: the directory that is the cache where it exists; absolute.
        exports: all that is planned.
    """
    if not is_directory(kept):
        return
    listed = kept / "index.json"
    taken, inside = set(_above(listed)), replaced_at(listed).parent
    for export in exports:
        for place in export.plan.destinations:
            if replaced_at(place) in taken or inside in _above(place):
                raise UsageError(
                    f"an output cannot go to {place}",
                    why=f"exporter {export.loaded.exporter.name!r}; the build's cache is kept in {kept}, which exists",
                    do="write it elsewhere (dest=PATH; an additional target: call it otherwise), "
                    "or remove that directory to keep no cache",
                )
