"""The bill of materials itself (https://cyclonedx.org/docs/1.6/json/)."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from ocibuild_cyclonedx.image import read_image
from ocibuild_cyclonedx.packages import is_database, read_distribution, read_packages

if TYPE_CHECKING:
    from pathlib import Path


def write_document(archive: Path, target: Path) -> int:
    """Write the bill of materials of a docker archive; returns how many packages it lists.

    The serial number comes from the image, and no time is written: the same image gives the same bytes.
    """
    image = read_image(archive, is_database)
    distribution = read_distribution(image.files)
    packages = read_packages(image.files)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_URL, f"sha256:{image.config_digest}").urn,
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "name": f"sha256:{image.config_digest}",
                "properties": [{"name": "architecture", "value": image.architecture}],
            }
        },
        "components": [
            {
                "type": "library",
                "bom-ref": package.purl(distribution),
                "name": package.name,
                "version": package.version,
                "purl": package.purl(distribution),
            }
            for package in packages
        ],
    }
    target.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(packages)
