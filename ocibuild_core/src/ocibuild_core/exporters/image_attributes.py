"""What all outputs that make an image can be told, in docker buildx's words (README.md of moby/buildkit, "Output")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.options import Option, OptionType

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        name="rewrite-timestamp",
        type=OptionType.BOOL,
        help="No file is younger than SOURCE_DATE_EPOCH",
    ),
)


def image_attributes(options: OptionValues) -> dict[str, str]:
    """The attributes of BuildKit's output for those that were set."""
    values = {option.name: options.get(option.name) for option in IMAGE_OPTIONS}
    return {name: _text(value) for name, value in values.items() if value is not None}


def archive_attributes(options: Mapping[str, OptionValues]) -> dict[str, Mapping[str, str]]:
    """Of each kind of archive, what was said about it; by exporter's name, which is the kind's."""
    return {name: image_attributes(values) for name, values in options.items() if name in ("docker", "oci")}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
