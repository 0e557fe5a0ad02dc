"""Reads what a build made: the configuration and the files of an image archive."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image.

    Args:
        config: its configuration, parsed.
        manifest: its manifest, parsed.
        files: by path, the content of every file of its layers; a later layer's counts.
        config_digest: of its configuration.
    """

    config: dict[str, Any]
    manifest: dict[str, Any]
    files: dict[str, bytes]
    config_digest: str

    @property
    def layers(self) -> list[str]:
        """The digests of its layers, uncompressed."""
        return list(self.config["rootfs"]["diff_ids"])


def read_image(archive: Path) -> Image:
    """The image in an archive that BuildKit wrote (docker or OCI form: both have blobs and an index)."""
    with tarfile.open(archive) as tar:
        blobs = {member.name: member for member in tar.getmembers()}

        def read(name: str) -> bytes:
            stream = tar.extractfile(blobs[name])
            assert stream is not None, name
            return stream.read()

        def blob(digest: str) -> bytes:
            return read("blobs/sha256/" + digest.removeprefix("sha256:"))

        (described,) = json.loads(read("index.json"))["manifests"]
        manifest = json.loads(blob(described["digest"]))
        files: dict[str, bytes] = {}
        for layer in manifest["layers"] or ():
            files.update(_files(blob(layer["digest"])))
        digest = manifest["config"]["digest"]
        return Image(config=json.loads(blob(digest)), manifest=manifest, files=files, config_digest=digest)


def _files(layer: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return {
            member.name: stream.read()
            for member in tar.getmembers()
            if member.isreg() and (stream := tar.extractfile(member)) is not None
        }
