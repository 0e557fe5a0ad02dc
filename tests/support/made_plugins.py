"""Distributions made on the spot: a directory like site-packages, with modules and dist-info folders."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from ocibuild_core.conflicts import NOTHING_RESERVED, Reserved
from ocibuild_core.loader import load_plugins
from ocibuild_core.selection import EVERY_PLUGIN, Selection

if TYPE_CHECKING:
    from pathlib import Path

    from ocibuild_core.catalog import Catalog

Run = Callable[..., subprocess.CompletedProcess[str]]

PROVIDER_SOURCE = """
from ocibuild_core.plugin import AuthProvider, Exporter, Match, Option, OptionType, hookimpl

class Provider(AuthProvider):
    def __init__(self, name, aliases=(), options=(), summary="Logs in."):
        self.name, self.aliases, self.options, self.summary = name, aliases, options, summary
    def match(self, registry, options):
        return Match.NO
    def get(self, request):
        return None

class Writer(Exporter):
    def __init__(self, name, options=(), summary="Writes."):
        self.name, self.options, self.summary = name, options, summary
    def plan(self, request):
        raise NotImplementedError
    def finish(self, request, results):
        return []
"""


class Site:
    """A directory on `sys.path` in which distributions are made."""

    _numbers = count()

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)

    def add(
        self,
        plugin_id: str,
        source: str = "",
        *,
        distribution: str = "",
        version: str = "1.0",
        value: str = "",
        requires: tuple[str, ...] = (),
    ) -> str:
        """Make a distribution with one module and one entry point; returns the module's name.

        `source` comes after the classes `Provider` and `Writer`; without it there is one provider, named as the id.
        """
        module = f"made_plugin_{next(self._numbers)}"
        hook = f"@hookimpl\ndef ocibuild_auth_providers():\n    return [Provider({plugin_id!r})]\n"
        self.write(module, PROVIDER_SOURCE + (source or hook))
        self.metadata(distribution or f"ocibuild-{plugin_id}", version, f"{plugin_id} = {value or module}", requires)
        return module

    def offer(self, plugin_id: str, *, providers: str = "[]", exporters: str = "[]", **about: str) -> str:
        """Make a distribution whose hooks return these expressions."""
        source = (
            f"@hookimpl\ndef ocibuild_auth_providers():\n    return {providers}\n"
            f"@hookimpl\ndef ocibuild_exporters():\n    return {exporters}\n"
        )
        return self.add(plugin_id, source, **about)  # type: ignore[arg-type]

    def write(self, module: str, source: str) -> None:
        (self.directory / f"{module}.py").write_text(source)

    def metadata(self, distribution: str, version: str, entry: str, requires: tuple[str, ...] = ()) -> Path:
        info = self.directory / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        lines = [f"Name: {distribution}", f"Version: {version}", *(f"Requires-Dist: {need}" for need in requires)]
        (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, "", "text: no field", ""]))
        (info / "entry_points.txt").write_text(f"[console_scripts]\nx = y:z\n\n[ocibuild]\n{entry}\n")
        return info

    def load(self, selection: Selection = EVERY_PLUGIN, reserved: Reserved = NOTHING_RESERVED) -> Catalog:
        return load_plugins(selection, path=[str(self.directory)], reserved=reserved)
