"""Finished wheels, kept: compressing a hundred megabytes takes seconds, even when nothing was compiled."""

from __future__ import annotations

import hashlib
import os
import sys
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gowheel.cache import cache_key, file_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatchling.builders.wheel import WheelBuilderConfig

    from gowheel.shipment import Shipment

WHEEL = "finished.whl"


def wheel_key(config: WheelBuilderConfig, shipment: Shipment, *, environ: Mapping[str, str]) -> str:
    """Changes when any byte of the wheel could: sources, metadata, what is carried, and the programs that pack it."""
    builder = config.builder
    legal = [Path(builder.root, name) for name in builder.metadata.core.license_files]
    sources = {file.distribution_path: Path(file.path) for file in builder.recurse_selected_project_files()}
    inputs: dict[str, Any] = {
        "metadata": config.core_metadata_constructor(builder.metadata),
        "carried": shipment.key,
        "tag": shipment.target.wheel_tag,
        "legal": [file_digest(path) for path in legal],
        "sources": {place: [file_digest(path), os.access(path, os.X_OK)] for place, path in sources.items()},
        "code": hashlib.sha256(
            b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
        ).hexdigest(),
        "packed by": [sys.version, zlib.ZLIB_RUNTIME_VERSION, version("hatchling")],
        "time": environ.get("SOURCE_DATE_EPOCH"),
    }
    return cache_key(inputs)
