"""The built-in exporters, handed in through the same hook as anybody's.

`--help` loads all of them, so that each imports inside its methods what only a build needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.exporters.digest import DigestExporter, ManifestDigestExporter
from ocibuild_core.exporters.docker import DockerExporter
from ocibuild_core.exporters.image import ImageExporter
from ocibuild_core.exporters.load import LoadExporter
from ocibuild_core.exporters.metadata import MetadataExporter
from ocibuild_core.exporters.oci import OciExporter
from ocibuild_core.exporters.registry import RegistryExporter
from ocibuild_core.exporters.rootfs import RootfsExporter
from ocibuild_core.exporters.trees import LocalExporter, TarExporter
from ocibuild_core.hooks import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocibuild_core.exporting import Exporter


@hookimpl
def ocibuild_exporters() -> Iterable[Exporter]:
    """The exporters that core ships."""
    return [
        DockerExporter(),
        OciExporter(),
        DigestExporter(),
        ManifestDigestExporter(),
        MetadataExporter(),
        RootfsExporter(),
        RegistryExporter(),
        ImageExporter(),
        TarExporter(),
        LocalExporter(),
        LoadExporter(),
    ]
