"""Files as BuildKit's exporters write them, made of a small image without BuildKit."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

from ocibuild_testkit.registry.client import digest_of
from ocibuild_testkit.registry.images import Image, build_image, layer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILES: Mapping[str, str] = {"etc/motd": "hello\n", "app/main.sh": "#!/bin/sh\necho hello\n"}
CONFIG: Mapping[str, object] = {"Env": ["PATH=/bin", "GREETING=<hello>"], "Cmd": ["/app/main.sh"], "User": "app"}


def example_image() -> Image:
    """A small image with files, an environment and a user."""
    return build_image(FILES, config=CONFIG)


def write_output(kind: str, image: Image, path: Path) -> None:
    """Write the file of a BuildKit exporter: `docker`, `oci` (an archive each), `tar` (the root file system).

    The layout of the first two is BuildKit's: an OCI image layout (https://github.com/opencontainers/image-spec,
    image-layout.md), for `docker` with docker's manifest.json at its end.
    """
    if kind == "tar":
        path.write_bytes(layer(FILES))
        return
    if kind not in {"docker", "oci"}:
        raise ValueError(f"the kit makes no files of BuildKit's exporter {kind!r}: override `make_output`")
    with tarfile.open(path, mode="w") as archive:
        for blob in sorted((*image.blobs, image.manifest), key=digest_of):
            _add(archive, _blob_name(blob), blob)
        _add(archive, "index.json", _index(image))
        if kind == "docker":
            _add(archive, "manifest.json", _docker_manifest(image))
        _add(archive, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())


def metadata(image: Image) -> dict[str, object]:
    """What BuildKit's metadata file says of the image (`buildctl build --metadata-file`)."""
    return {
        "containerimage.config.digest": digest_of(image.blobs[0]),
        "containerimage.digest": digest_of(image.manifest),
        "containerimage.descriptor": _descriptor(image),
    }


def _index(image: Image) -> bytes:
    return json.dumps({"schemaVersion": 2, "manifests": [_descriptor(image)]}).encode()


def _descriptor(image: Image) -> dict[str, object]:
    return {"mediaType": image.media_type, "digest": digest_of(image.manifest), "size": len(image.manifest)}


def _docker_manifest(image: Image) -> bytes:
    config, *layers = map(_blob_name, image.blobs)
    return json.dumps([{"Config": config, "RepoTags": None, "Layers": layers}]).encode()


def _blob_name(blob: bytes) -> str:
    return f"blobs/{digest_of(blob).replace(':', '/')}"


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
