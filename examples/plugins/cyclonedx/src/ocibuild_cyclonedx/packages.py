"""What is installed, from the databases of dpkg and apk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
_DPKG = "var/lib/dpkg/status"
# Distroless images have one file a package.
_DPKG_PARTS = "var/lib/dpkg/status.d/"
_APK = ("lib/apk/db/installed", "usr/lib/apk/db/installed")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Package:
    """One installed package.

    Args:
        kind: `deb` or `apk`.
        name: its name.
        version: its version, as the package manager writes it.
        architecture: likewise.
    """

    kind: str
    name: str
    version: str
    architecture: str

    def purl(self, distribution: Mapping[str, str]) -> str:
        """The package URL (https://github.com/package-url/purl-spec)."""
        vendor = distribution.get("ID") or {"deb": "debian", "apk": "alpine"}[self.kind]
        qualifiers = {"arch": self.architecture}
        if distribution.get("VERSION_ID"):
            qualifiers["distro"] = f"{vendor}-{distribution['VERSION_ID']}"
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in sorted(qualifiers.items()) if value)
        return f"pkg:{self.kind}/{quote(vendor)}/{quote(self.name, safe='')}@{quote(self.version, safe='')}?{query}"


def is_database(path: str) -> bool:
    """Whether a file of the image tells about packages or the distribution."""
    if path.startswith(_DPKG_PARTS):
        return not path.endswith(".md5sums")
    return path in (*_OS_RELEASE, _DPKG, *_APK)


def read_packages(files: Mapping[str, bytes]) -> list[Package]:
    """All packages, sorted, none twice."""
    found = set(_apk_packages(files))
    for path, content in files.items():
        if path == _DPKG or path.startswith(_DPKG_PARTS):
            found.update(_dpkg_packages(content))
    return sorted(found)


def read_distribution(files: Mapping[str, bytes]) -> dict[str, str]:
    """The fields of os-release (https://www.freedesktop.org/software/systemd/man/latest/os-release.html)."""
    content = next((files[path] for path in _OS_RELEASE if path in files), b"")
    pairs = (line.partition("=") for line in content.decode(errors="replace").splitlines() if "=" in line)
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}


def _dpkg_packages(content: bytes) -> Iterator[Package]:
    """Of dpkg's paragraphs those that are installed; a part of distroless has no Status."""
    for fields in _paragraphs(content.decode(errors="replace").splitlines(), ": "):
        status = fields.get("Status", "install ok installed")
        if status.endswith(" installed") and "Package" in fields:
            yield Package(
                kind="deb",
                name=fields["Package"],
                version=fields.get("Version", ""),
                architecture=fields.get("Architecture", ""),
            )


def _apk_packages(files: Mapping[str, bytes]) -> Iterator[Package]:
    """Of apk's paragraphs: P name, V version, A architecture (https://wiki.alpinelinux.org/wiki/Apk_spec)."""
    for path in _APK:
        for fields in _paragraphs(files.get(path, b"").decode(errors="replace").splitlines(), ":"):
            if "P" in fields:
                yield Package(
                    kind="apk", name=fields["P"], version=fields.get("V", ""), architecture=fields.get("A", "")
                )


def _paragraphs(lines: Iterable[str], separator: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    for line in [*lines, ""]:
        if not line.strip():
            if fields:
                yield fields
            fields = {}
        elif not line[0].isspace():
            key, _, value = line.partition(separator)
            # The first counts: apk has many lines of one letter for the files of a package.
            fields.setdefault(key, value.strip())
