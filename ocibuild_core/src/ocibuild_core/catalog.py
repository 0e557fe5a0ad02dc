"""What the installed plugins offer, each thing with the plugin that it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocibuild_core.exporting import Exporter
    from ocibuild_core.providers import AuthProvider


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSource:
    """Where a provider or an exporter came from; `str()` is how every message names it.

    Args:
        id: the entry point's name.
        distribution: what pip installed.
        version: its version.
    """

    id: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"plugin {self.id!r} ({self.distribution} {self.version})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedProvider:
    """An auth provider and its plugin."""

    provider: AuthProvider
    source: PluginSource


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedExporter:
    """An exporter and its plugin."""

    exporter: Exporter
    source: PluginSource
