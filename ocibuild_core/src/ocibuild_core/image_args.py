"""Images that lie in files: what stands for each of them in the Dockerfile, as `FROM ${NAME}`. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocibuild_core.records import NamedTuple
from ocibuild_core.settings.values import LAYOUT_SCHEME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ocibuild_core.settings.model import BuildSettings

# `.invalid` is nobody's, for ever (RFC 2606), so no such image can be pulled in place of the one that was given.
_HOST = "image-arg.invalid"


class ImageArgument(NamedTuple):
    """One image that lies in a file.

    Args:
        name: the build argument that stands for it.
        reference: what the build argument holds.
        layout: an OCI layout that has it.
        digest: its manifest or index in there.
    """

    name: str
    reference: str
    layout: Path
    digest: str


def image_references(settings: BuildSettings) -> dict[str, str]:
    """By name of the build argument, the reference that stands for the image. References are in lower case."""
    return {
        pair.key: f"{_HOST}/{re.sub('[^a-z0-9]+', '-', pair.key.lower()).strip('-') or 'image'}-{position}"
        for position, pair in enumerate(settings.image_args)
    }


def image_arguments(images: Sequence[ImageArgument]) -> list[str]:
    """Arguments of `buildctl build`. They come after the build arguments, which they override."""
    arguments: list[str] = []
    for position, image in enumerate(images):
        store = f"image-arg-{position}"
        arguments += ["--oci-layout", f"{store}={image.layout}"]
        arguments += ["--opt", f"context:{image.reference}={LAYOUT_SCHEME}{store}@{image.digest}"]
        arguments += ["--opt", f"build-arg:{image.name}={image.reference}"]
    return arguments
