"""`registry`: a push, by BuildKit itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError
from ocibuild_core.exporters.image_attributes import ANNOTATION, IMAGE_OPTIONS, STORE_OPTIONS, image_attributes
from ocibuild_core.exporting import Exporter
from ocibuild_core.options import Option, OptionType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocibuild_core.export_records import Artifact, ExportPlan, ExportRequest, ExportResults
    from ocibuild_core.options import OptionValues
    from ocibuild_core.registry.reference import ImageReference


class RegistryExporter(Exporter):
    """Pushes the image under one or several names, to one or several registries."""

    name = "registry"
    summary = "Push to registries"
    options: tuple[Option, ...] = (
        Option(
            name="name",
            type=OptionType.LIST,
            help="Image reference to push to, may be given several times; the names of --tag by default",
        ),
        Option(
            name="push-by-digest",
            type=OptionType.BOOL,
            default=False,
            help="Push without a tag, under the digest alone",
        ),
        Option(
            name="insecure",
            type=OptionType.BOOL,
            default=False,
            help="Take any certificate, and plain HTTP where there is no TLS",
        ),
        Option(
            name="name-canonical",
            type=OptionType.BOOL,
            default=False,
            help="Name it by its digest as well, in an engine that keeps names of images",
        ),
        *IMAGE_OPTIONS,
        *STORE_OPTIONS,
        ANNOTATION,
    )

    def plan(self, request: ExportRequest) -> ExportPlan:
        """See `Exporter.plan`."""
        from ocibuild_core.export_records import BuildOutput, ExportPlan  # noqa: PLC0415  # see `exporters`

        attributes = {"name": ",".join(_names(request)), "push": "true", **stored_attributes(request.options)}
        if request.options.flag("push-by-digest"):
            attributes["push-by-digest"] = "true"
        if request.options.flag("insecure"):
            attributes["registry.insecure"] = "true"
        return ExportPlan(outputs=(BuildOutput(type="image", attributes=attributes, has_file=False),))

    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """See `Exporter.finish`."""
        from ocibuild_core.export_records import Artifact  # noqa: PLC0415  # see `exporters`

        digest = results.metadata.get("containerimage.digest")
        suffix = f"@{digest}" if digest else ""
        return [Artifact(source=None, destination=f"{name}{suffix}", description="pushed") for name in _names(request)]


def stored_attributes(options: OptionValues) -> dict[str, str]:
    """What an image in an engine's store is told, pushed or not."""
    canonical = {"name-canonical": "true"} if options.flag("name-canonical") else {}
    return {**canonical, **image_attributes(options, (*IMAGE_OPTIONS, *STORE_OPTIONS))}


def _names(request: ExportRequest) -> tuple[str, ...]:
    from ocibuild_core.registry.reference import parse_reference  # noqa: PLC0415  # see `exporters`

    references = [parse_reference(name) for name in request.options.texts("name") or request.tags]
    if not references:
        raise UsageError("the output 'registry' has no name", do="say where to push: registry,name=HOST/REPO:TAG")
    by_digest = request.options.flag("push-by-digest")
    return tuple(dict.fromkeys(_pushed_name(reference, by_digest=by_digest) for reference in references))


def _pushed_name(reference: ImageReference, *, by_digest: bool) -> str:
    if reference.digest:
        raise UsageError(
            f"cannot push to {reference}",
            why="its digest is known only when it is built",
            do="leave the digest out; push-by-digest=true pushes without a tag",
        )
    if not by_digest:
        return str(reference)
    # Without a tag `latest` is meant; BuildKit refuses a tag here.
    if reference.tag != "latest":
        raise UsageError(f"cannot push {reference} by digest", why="it has a tag", do="leave the tag out")
    return f"{reference.host}/{reference.repository}"
