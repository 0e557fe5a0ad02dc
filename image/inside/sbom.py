"""Write the bill of materials of the image, as CycloneDX 1.6, into the file that is named.

Debian's packages, Python's distributions, and the Go modules and C libraries of the engine's programs. It is made from
what is installed and dated by SOURCE_DATE_EPOCH, so that equal images have equal ones.
"""

from __future__ import annotations

import json
import os
import re
import sys
import uuid
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

from cyclonedx.model.bom import Bom  # type: ignore[import-not-found]
from cyclonedx.model.component import Component, ComponentType  # type: ignore[import-not-found]
from cyclonedx.model.license import DisjunctiveLicense  # type: ignore[import-not-found]
from cyclonedx.output.json import JsonV1Dot6  # type: ignore[import-not-found]
from packageurl import PackageURL  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Iterator

SITE = next(Path("/opt/ocibuild/lib").glob("python3.*/site-packages"))
_DPKG = Path("/var/lib/dpkg/status")
_LICENCES = {"qemu-user-static": "GPL-2.0-only", "qemu-user": "GPL-2.0-only"}
"""What stands beside Debian's packages of which the image has a part; that of the others tells their copyright file."""
_VERSIONS = SITE / "ocibuild_buildkit" / "carried" / "versions.json"


def main() -> None:
    """Write it."""
    release = _release()
    purls = sorted({*_debian(release), *_python(), *_go(), *_linked()}, key=str)
    image = Component(name="ocibuild-task", type=ComponentType.CONTAINER, version=_version("ocibuild-core"))
    image.bom_ref.value = "image"
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(map(str, purls))))
    bom.metadata.timestamp = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    bom.metadata.component = image
    # Scanners know the distribution by this, and without it look up none of its packages.
    system = Component(name="debian", version=release, type=ComponentType.OPERATING_SYSTEM, bom_ref="system")
    bom.components.add(system)
    for purl in purls:
        licences = [DisjunctiveLicense(id=_LICENCES[purl.name])] if purl.name in _LICENCES else []
        name = f"{purl.namespace}/{purl.name}" if purl.type == "golang" and purl.namespace else purl.name
        bom.components.add(Component(name=name, version=purl.version, purl=purl, licenses=licences, bom_ref=str(purl)))
    bom.register_dependency(image, list(bom.components))
    Path(sys.argv[1]).write_text(JsonV1Dot6(bom).output_as_string(indent=1) + "\n")


def _release() -> str:
    """Debian's, as `12` (os-release(5))."""
    return re.search(r'^VERSION_ID="?([0-9]+)"?$', Path("/etc/os-release").read_text(), re.MULTILINE)[1]  # type: ignore[index]  # a Debian says it


def _debian(release: str) -> Iterator[PackageURL]:
    """The installed packages, from dpkg's own list (deb-status: RFC 822 paragraphs)."""
    for paragraph in _DPKG.read_text().split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            # Databases of vulnerabilities are asked by release (purl-spec, types/deb).
            qualifiers = {"arch": fields["Architecture"], "distro": f"debian-{release}"}
            yield PackageURL("deb", "debian", fields["Package"], fields["Version"], qualifiers)


def _python() -> Iterator[PackageURL]:
    for distribution in distributions(path=[str(SITE)]):
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        yield PackageURL("pypi", None, name, distribution.version)


def _go() -> Iterator[PackageURL]:
    """What is linked into the engine's programs, as its wheel tells."""
    for tool in json.loads(_VERSIONS.read_text())["tools"].values():
        for module in tool["modules"]:
            if module["path"] == "std":
                # The name and the version that vulnerabilities of Go's own library are listed under (vuln.go.dev).
                yield PackageURL("golang", None, "stdlib", module["version"].removeprefix("go"))
                continue
            namespace, _, name = module["path"].rpartition("/")
            yield PackageURL("golang", namespace or None, name, module["version"])


def _linked() -> Iterator[PackageURL]:
    """Debian's libraries that are linked into the engine's programs, of whichever release made its wheel."""
    for tool in json.loads(_VERSIONS.read_text())["tools"].values():
        for library in tool["c_libraries"]:
            architecture = {"arch": tool["architecture"]}
            yield PackageURL("deb", "debian", library["package"], library["version"], architecture)


def _version(name: str) -> str:
    return next(found.version for found in distributions(name=name, path=[str(SITE)]))


if __name__ == "__main__":
    main()
