"""Images that lie in files: made usable through an OCI layout, without a registry and without a port.

A layout of ours is a private directory with links to the blobs of the user's, because BuildKit's client writes into the
directory that it is given. An archive is unpacked into one.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ocibuild_core.errors import UsageError
from ocibuild_core.image_args import ImageArgument, image_references

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocibuild_core.publish import Staging
    from ocibuild_core.settings.model import BuildSettings

_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_COMPRESSIONS = ((b"\x1f\x8b", "+gzip"), (b"\x28\xb5\x2f\xfd", "+zstd"))
_PIECE = 1024 * 1024
_LARGEST_JSON = 16 * 1024 * 1024
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

Json = dict[str, Any]


def prepare_images(settings: BuildSettings, staging: Staging, temporary: Path) -> list[ImageArgument]:
    """Make every image usable. Raises UsageError when a file is no image.

    Args:
        settings: what was asked for.
        staging: where layouts are made, gone when the run ends.
        temporary: a directory for large files.
    """
    references = image_references(settings)
    images = []
    for pair in settings.image_args:
        layout = staging.beside(temporary / "layout")
        path = Path(pair.value)
        try:
            digest = _link_layout(path, layout) if path.is_dir() else _unpack_archive(path, layout)
        except (OSError, tarfile.TarError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{pair.origin}: {pair.value} is no image",
                why=_reason(error, path),
                do="give the archive of `docker save`, or the directory of an OCI layout",
            ) from None
        images.append(ImageArgument(name=pair.key, reference=references[pair.key], layout=layout, digest=digest))
    return images


def _reason(error: Exception, path: Path) -> str:
    if isinstance(error, FileNotFoundError) and path.is_dir():
        return "it is a directory, and there is no OCI layout in it"
    if isinstance(error, tarfile.ReadError) and "\n" in str(error):  # a line for each way to compress that it tried
        return "it is no tar archive"
    return (error.strerror if isinstance(error, OSError) else "") or str(error) or "it is damaged"


def _link_layout(source: Path, layout: Path) -> str:
    """A layout of our own with the blobs of the user's. Returns the digest to build from."""
    index = (source / "index.json").read_bytes()
    blobs = _begin_layout(layout, index)
    for blob in (source / "blobs" / "sha256").iterdir():
        (blobs / blob.name).symlink_to(blob.resolve())
    return _root_digest(index, blobs)


def _root_digest(index: bytes, blobs: Path) -> str:
    """The one manifest of an index, or an index of all when it has several: BuildKit then chooses by platform.

    An image with several tags is in there once for each.
    """
    parsed = _parse(index)
    manifests = [*{manifest["digest"]: manifest for manifest in parsed["manifests"]}.values()]
    if not manifests:
        raise ValueError("its index.json names no manifest")
    if len(manifests) == 1:
        digest = manifests[0]["digest"]
        if not _DIGEST.fullmatch(digest) or not (blobs / digest.partition(":")[2]).exists():
            raise ValueError(f"the blob {digest} of its index.json is missing")
        return str(digest)
    if not all("platform" in manifest for manifest in manifests):
        raise ValueError("its index.json names several manifests without saying their platforms")
    return str(
        _write_blob(blobs, json.dumps({**parsed, "mediaType": _INDEX, "manifests": manifests}).encode())["digest"]
    )


def _unpack_archive(path: Path, layout: Path) -> str:
    with tarfile.open(path) as archive:
        members = {_member_name(member.name): member for member in archive.getmembers()}
        if "manifest.json" in members:
            return _convert_docker_archive(archive, members, layout)
        index = _read_json_bytes(archive, members, "index.json")
        blobs = _begin_layout(layout, index)
        for name in members:
            digest = name.replace("blobs/sha256/", "sha256:", 1)
            if _DIGEST.fullmatch(digest):
                with _opened(archive, members, name) as stream:
                    found = _copy_blob(blobs, stream)["digest"]
                if found != digest:
                    raise ValueError(f"the blob {digest} is damaged")
        return _root_digest(index, blobs)


def _convert_docker_archive(archive: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo], layout: Path) -> str:
    """`docker save` as an OCI layout (https://github.com/moby/docker-image-spec, the part on combined archives)."""
    images = json.loads(_read_json_bytes(archive, members, "manifest.json"))
    if len(images) != 1:
        raise ValueError(f"it holds {len(images)} images instead of one")
    (image,) = images
    blobs = _begin_layout(layout, b"")
    config = _write_blob(blobs, _read_json_bytes(archive, members, _member_name(image["Config"])))
    layers = []
    for name in image["Layers"]:
        with _opened(archive, members, _member_name(name)) as stream:
            layers.append(_copy_blob(blobs, stream))
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {**config, "mediaType": _CONFIG},
        "layers": layers,
    }
    digest = _write_blob(blobs, json.dumps(manifest).encode())
    index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [{**digest, "mediaType": _MANIFEST}]}
    (layout / "index.json").write_bytes(json.dumps(index).encode())
    return str(digest["digest"])


def _begin_layout(layout: Path, index: bytes) -> Path:
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (layout / "index.json").write_bytes(index)
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    return blobs


def _copy_blob(blobs: Path, stream: IO[bytes]) -> Json:
    """Copy a layer; gives its descriptor."""
    digest, size, kind = hashlib.sha256(), 0, ""
    written = blobs / "incoming"
    with written.open("wb") as target:
        for piece in _pieces(stream):
            if not size:
                kind = next((suffix for magic, suffix in _COMPRESSIONS if piece.startswith(magic)), "")
            digest.update(piece)
            size += target.write(piece)
    written.rename(blobs / digest.hexdigest())
    return {"mediaType": _LAYER + kind, "digest": f"sha256:{digest.hexdigest()}", "size": size}


def _write_blob(blobs: Path, content: bytes) -> Json:
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    while piece := stream.read(_PIECE):
        yield piece


def _opened(archive: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo], name: str) -> IO[bytes]:
    """A file of the archive, also where older versions of docker wrote a link to an equal layer."""
    for _ in range(len(members)):
        member = members.get(name)
        if member is None:
            raise ValueError(f"{name} is missing in it")
        if member.issym():
            name = _member_name(f"{name.rpartition('/')[0]}/{member.linkname}")
        elif member.islnk():
            name = _member_name(member.linkname)
        else:
            stream = archive.extractfile(member)
            if stream is None:
                raise ValueError(f"{name} is no file in it")
            return stream
    raise ValueError(f"{name} is a link to itself")


def _member_name(name: str) -> str:
    """A name in an archive without `.`, `..` and doubled slashes. It is looked up there and nowhere else."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _read_json_bytes(archive: tarfile.TarFile, members: Mapping[str, tarfile.TarInfo], name: str) -> bytes:
    with _opened(archive, members, name) as stream:
        content = stream.read(_LARGEST_JSON + 1)
    if len(content) > _LARGEST_JSON:
        raise ValueError(f"{name} is larger than 16 MiB")
    return content


def _parse(content: bytes) -> Json:
    parsed = json.loads(content)
    if not isinstance(parsed, dict):
        raise ValueError("its index.json is no object")  # noqa: TRY004  # about the file, not about an argument
    return parsed
