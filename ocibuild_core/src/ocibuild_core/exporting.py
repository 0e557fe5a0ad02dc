"""Exporters: what becomes of a build's result. Part of the surface in `ocibuild_core.plugin`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ocibuild_core.export_records import Artifact, ExportPlan, ExportRequest, ExportResults
    from ocibuild_core.options import Option


class Exporter(ABC):
    """One way to hand out what was built.

    Subclass it, set the attributes, return an instance from the hook `ocibuild_exporters`. `finish` writes into the
    staging area alone; the host moves all artifacts to their places when every exporter of the target has finished,
    so that a failure leaves every earlier file as it was. A method raises `ExportError`, or `UsageError` from `plan`;
    an `OSError` of `check` and `finish` counts as the former; whatever else comes out is reported as a fault of the
    plugin.

    Attributes:
        name: what the user writes in `--output`: lower case, words joined by `-`.
        summary: one line for listings.
        options: what it can be told (`--output NAME,key=value`).
    """

    name: str
    summary: str
    options: tuple[Option, ...] = ()

    @abstractmethod
    def plan(self, request: ExportRequest) -> ExportPlan:
        """What it needs and what it will write. Pure: touches no file."""

    def check(self, request: ExportRequest) -> None:  # noqa: B027  # most have nothing to look at
        """Look at what lies at its places, before the build: `ExportError` when `finish` could not replace it.

        It may read, and writes nothing. `finish` looks again, if what it would replace matters: a build takes its time.
        """

    @abstractmethod
    def finish(self, request: ExportRequest, results: ExportResults) -> Sequence[Artifact]:
        """Make the artifacts out of what BuildKit made."""
