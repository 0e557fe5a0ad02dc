"""A root file system out of an image's archive, with what there is to tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.terminal import NOTICE
from ocibuild_core.unpack.rootfs import unpack

if TYPE_CHECKING:
    from pathlib import Path

    from ocibuild_core.export_records import ExportRequest
    from ocibuild_core.unpack.rootfs import Unpacked


def unpack_for(exporter: str, request: ExportRequest, archive: Path, tree: Path, *, platform: str | None) -> Unpacked:
    """See `unpack`; its progress and what it left out go to the request's log, the latter with the exporter's name."""
    made = unpack(archive, tree, tell=lambda line: request.log.log(NOTICE, "%s", line), platform=platform)
    for note in made.notes:
        request.log.log(NOTICE, "%s: %s", exporter, note)
    return made
