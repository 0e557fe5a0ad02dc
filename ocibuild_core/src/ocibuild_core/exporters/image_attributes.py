"""What all outputs that make an image can be told, in docker buildx's words (README.md of moby/buildkit, "Output")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.errors import UsageError
from ocibuild_core.options import Option, OptionType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ocibuild_core.options import OptionValues

IMAGE_OPTIONS = (
    Option(
        name="compression",
        type=OptionType.CHOICE,
        choices=("gzip", "zstd", "estargz", "uncompressed"),
        help="How new layers are compressed; zstd and estargz make an image of OCI media types",
    ),
    Option(name="compression-level", type=OptionType.INT, help="gzip and estargz: 0 to 9; zstd: 0 to 22"),
    Option(name="force-compression", type=OptionType.BOOL, help="Compress the layers of base images anew, too"),
    Option(name="oci-mediatypes", type=OptionType.BOOL, help="OCI's media types, or with false docker's"),
    Option(
        name="oci-artifact",
        type=OptionType.BOOL,
        help="Attestations as OCI artifacts, which refer to their image",
    ),
    Option(
        name="rewrite-timestamp",
        type=OptionType.BOOL,
        help="No file is younger than SOURCE_DATE_EPOCH",
    ),
)

ANNOTATION = Option(
    name="annotation",
    type=OptionType.LIST,
    help="Annotation of this output alone, as --annotation has it: [TYPE[PLATFORM]:]NAME=VALUE",
)

NAME = Option(
    name="name",
    type=OptionType.LIST,
    help="Name of the image in the archive, may be given several times; the names of --tag by default",
)

STORE_OPTIONS = (
    Option(name="unpack", type=OptionType.BOOL, help="Unpack it, in an engine that keeps images (containerd's)"),
    Option(name="store", type=OptionType.BOOL, help="With false an engine that keeps images does not keep this one"),
    Option(name="dangling-name-prefix", help="An image without a name is called PREFIX@DIGEST, in such an engine"),
)
_HIGHEST_LEVELS = {"gzip": 9, "estargz": 9, "zstd": 22}


def image_attributes(options: OptionValues, known: Sequence[Option] = IMAGE_OPTIONS) -> dict[str, str]:
    """The attributes of BuildKit's output for those that were set, annotations with them. Raises UsageError."""
    _refuse_level(options)
    return {**told_attributes(options, known), **_annotations(options)}


def told_attributes(options: OptionValues, known: Sequence[Option]) -> dict[str, str]:
    """Those of the options that were set, as attributes of BuildKit's."""
    values = {option.name: options.get(option.name) for option in known}
    return {name: _text(value) for name, value in values.items() if value is not None}


def archive_attributes(options: OptionValues) -> dict[str, str]:
    """As `image_attributes`, for an archive: its names as well. Raises UsageError."""
    from ocibuild_core.outputs import names_in_full  # noqa: PLC0415  # see `exporters`

    given = names_in_full(_items(options, NAME), "name=")
    return {**({"name": ",".join(given)} if given else {}), **image_attributes(options)}


def attributes_of_archives(options: Mapping[str, OptionValues]) -> dict[str, Mapping[str, str]]:
    """Of each kind of archive, what was said about it; by exporter's name, which is the kind's."""
    return {name: archive_attributes(values) for name, values in options.items() if name in ("docker", "oci")}


def _refuse_level(options: OptionValues) -> None:
    """BuildKit itself looks only when it compresses, which comes last."""
    level, compression = options.get("compression-level"), str(options.get("compression") or "gzip")
    highest = _HIGHEST_LEVELS.get(compression)
    if isinstance(level, int) and highest is not None and not 0 <= level <= highest:
        raise UsageError(
            f"compression-level={level}: there is no such level of {compression}", do=f"use 0 to {highest}"
        )


def _annotations(options: OptionValues) -> dict[str, str]:
    from ocibuild_core.inputs import annotation_names  # noqa: PLC0415  # see `exporters`

    attributes: dict[str, str] = {}
    for item in _items(options, ANNOTATION):
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise UsageError(f"the annotation {item!r} has no value", do="write annotation.NAME=VALUE")
        attributes |= dict.fromkeys(annotation_names(key), value)
    return attributes


def _items(options: OptionValues, option: Option) -> tuple[str, ...]:
    return options.texts(option.name) if option.name in options else ()


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
