"""What an image archive holds: configurations, and where the layers lie.

The archive is an OCI image layout in a tar file
(https://github.com/opencontainers/image-spec/blob/main/image-layout.md); BuildKit's docker archives are one, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocibuild_core.unpack.errors import LayerError
from ocibuild_core.unpack.platforms import choose
from ocibuild_core.unpack.tar import Kind, TarReader

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST_DOCUMENT = 16 * 1024 * 1024
_DEEPEST_INDEX = 4
_DIGEST = re.compile(r"(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """One file in an archive.

    Args:
        digest: what its content must have (`sha256:…`); empty when nothing says.
        offset: where its content begins.
        size: how long that is.
    """

    digest: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image in an archive.

    Args:
        config: its configuration.
        layers: the lowest first.
    """

    config: Mapping[str, Any]
    layers: tuple[Blob, ...]


def read_image(archive: int, platform: str | None = None) -> Image:
    """An image in the archive with this descriptor.

    Args:
        archive: where it is.
        platform: which one, `linux/arm64`; None when there is one only.

    Raises LayerError when the archive is damaged or cut off, or does not hold just one such image.
    """
    layout = Layout(archive)
    manifest = layout.manifest(platform)
    config = layout.document(manifest.get("config"))
    layers = manifest.get("layers") or []  # null in an image without any
    if not isinstance(config, dict) or not isinstance(layers, list):
        raise LayerError("its manifest has another form than an image's")
    return Image(config=config, layers=tuple(layout.blob(layer) for layer in layers))


class BlobReader:
    """Reads a blob from start to end; at the end it must have had its digest.

    Attributes:
        done: bytes read so far.
    """

    def __init__(self, archive: int, blob: Blob) -> None:
        self._archive = archive
        self._blob = blob
        self._algorithm = blob.digest.partition(":")[0] or "sha256"
        self._digest = hashlib.new(self._algorithm)
        self.done = 0

    def read(self, count: int) -> bytes:
        """Up to so many bytes, none at the end. Raises LayerError when the blob is cut off or not what it should be."""
        blob = self._blob
        data = os.pread(self._archive, min(count, blob.size - self.done), blob.offset + self.done)
        self._digest.update(data)
        self.done += len(data)
        if not data and self.done < blob.size:
            raise LayerError("it is cut off in the archive")
        if self.done == blob.size:
            found = f"{self._algorithm}:{self._digest.hexdigest()}"
            if blob.digest not in ("", found):
                raise LayerError(f"it is damaged in the archive: its digest is {found}")
        return data


class Layout:
    """The files of the archive with this descriptor. Raises LayerError when it is damaged or cut off."""

    def __init__(self, archive: int) -> None:
        self._archive = archive
        self._files = _index(archive)

    def index(self) -> Any:  # noqa: ANN401  # any JSON
        """What its `index.json` says."""
        return self._json(self._file("index.json", ""))

    def manifest(self, platform: str | None) -> Mapping[str, Any]:
        """The image's manifest; indexes lead to it."""
        found = self.index()
        for _ in range(_DEEPEST_INDEX):
            if not isinstance(found, dict):
                break
            if "manifests" not in found:
                return found
            found = self.document(choose(found["manifests"], platform))
        raise LayerError("its index leads to no image")

    def document(self, descriptor: object) -> Any:  # noqa: ANN401  # any JSON
        """The JSON that a descriptor names."""
        return self._json(self.blob(descriptor))

    def blob(self, descriptor: object) -> Blob:
        """The blob that a descriptor names."""
        digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
        found = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
        if not found:
            raise LayerError(f"a descriptor holds the digest {digest!r}")
        algorithm, _, value = found[0].partition(":")
        return self._file(f"blobs/{algorithm}/{value}", found[0])

    def _file(self, name: str, digest: str) -> Blob:
        if name not in self._files:
            raise LayerError(f"it has no {name}")
        offset, size = self._files[name]
        return Blob(digest=digest, offset=offset, size=size)

    def _json(self, blob: Blob) -> Any:  # noqa: ANN401  # any JSON
        if blob.size > _LARGEST_DOCUMENT:
            raise LayerError(f"a JSON document in there has {blob.size} bytes")
        reader = BlobReader(self._archive, blob)
        data = b""
        while piece := reader.read(blob.size):
            data += piece
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise LayerError("a document in there is not JSON") from None


class _FileSource:
    """A tar reader's source that leaves content out without reading it."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._size = os.fstat(file).st_size
        self.position = 0

    def take(self, count: int) -> bytes:
        data = os.pread(self._file, count, self.position)
        self.position += len(data)
        if len(data) < count:
            raise LayerError("it is cut off")
        return data

    def take_block(self, count: int) -> bytes | None:
        return self.take(count) if self.position < self._size else None

    def part(self, limit: int) -> memoryview:
        return memoryview(self.take(limit))

    def skip(self, count: int) -> None:
        self.position += count
        if self.position > self._size:
            raise LayerError("it is cut off")


def _index(archive: int) -> dict[str, tuple[int, int]]:
    """Offset and size of each file, by name."""
    source = _FileSource(archive)
    return {
        os.fsdecode(entry.name): (source.position, entry.size) for entry in TarReader(source) if entry.kind is Kind.FILE
    }
