"""An exporter plugin for ocibuild: a CycloneDX bill of materials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.plugin import hookimpl

from ocibuild_cyclonedx.exporter import CycloneDXExporter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocibuild_core.plugin import Exporter

OCIBUILD_HOOK_API = 1


@hookimpl
def ocibuild_exporters() -> Iterable[Exporter]:
    """The one exporter, `cyclonedx`."""
    return [CycloneDXExporter()]
