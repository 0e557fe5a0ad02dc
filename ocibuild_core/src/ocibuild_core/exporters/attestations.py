"""The attestations of an archive's image as files in its tree, named as BuildKit's own export of a tree names them.

The names are those of exporter/local/fs.go in moby/buildkit.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from ocibuild_core.errors import ExportError
from ocibuild_core.exporters.files import write_text
from ocibuild_core.platforms import normal
from ocibuild_core.provenance import PROVENANCE, attestations_of
from ocibuild_core.unpack.errors import LayerError
from ocibuild_core.unpack.image import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ocibuild_core.export_records import ExportRequest


def write_attestations(request: ExportRequest, archive: Path, tree: Path, platform: str | None) -> None:
    """Put what was attested of an image into the tree that was made of it.

    Args:
        request: with the options of `local`.
        archive: of the image.
        tree: its root file system, which nobody else can reach.
        platform: which image it is; None where the archive holds one only.

    Raises ExportError when the archive is damaged, or the image has a file of that name.
    """
    is_merged = len(request.platforms) > 1 and request.options.get("platform-split") is False
    named = f".{(platform or '').replace('/', '_')}" if is_merged else ""
    for kind, text in _statements(archive, platform).items():
        stem, dot, ending = kind.rpartition(".")
        path = tree / f"{request.options.text('attestation-prefix') or ''}{stem}{named}{dot}{ending}"
        if path.parent != tree or os.path.lexists(path):
            raise ExportError(
                f"cannot write the attestation {path.relative_to(tree)}",
                why="the image has such a file"
                if path.parent == tree
                else "it would lie in a directory of the image's",
                do="give it another name: attestation-prefix=TEXT",
            )
        write_text(path, text)


def _statements(archive: Path, platform: str | None) -> dict[str, str]:
    """By file name, the in-toto statements about one image."""
    file = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
    try:
        layout = Layout(file)
        found = [
            (kind, statement)
            for descriptor in _once(layout.index())
            for where, kind, statement in attestations_of(layout.document(descriptor), layout.document)
            if platform is None or normal(where) == normal(platform)
        ]
    except (LayerError, LookupError, TypeError, AttributeError) as error:
        raise ExportError(f"cannot read the attestations in {archive.name}", why=str(error)) from None
    finally:
        os.close(file)
    files: dict[str, str] = {}
    for kind, statement in found:
        files[_free_name(kind, files)] = json.dumps(statement, indent=2)
    return files


def _once(index: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What an archive's index lists, each image once: it is there under each of its names."""
    return iter({one["digest"]: one for one in index["manifests"]}.values())


def _free_name(kind: str, taken: Mapping[str, str]) -> str:
    """One provenance there is, and a bill of materials for each stage that was looked at."""
    name, ending = ("provenance", "json") if kind.startswith(PROVENANCE) else ("sbom", "spdx.json")
    numbered = (f"{name}-{number}.{ending}" for number in range(2, len(taken) + 2))
    return next(each for each in (f"{name}.{ending}", *numbered) if each not in taken)
