"""Small images out of nothing but files, the same bytes each time."""

from __future__ import annotations

import gzip
import io
import json
import platform as machine
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ocibuild_testkit.registry.client import digest_of
from ocibuild_testkit.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocibuild_testkit.registry.client import RegistryClient

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

_CREATED = "2020-01-01T00:00:00Z"
_BUSYBOX = Path("/bin/busybox")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One entry of a layer, when plain bytes do not say enough.

    Args:
        content: what is in it.
        mode: its permissions.
        uid: its owner.
        gid: its group.
        symlink: where it points, for a symbolic link.
        directory: it is a directory.
    """

    content: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    symlink: str | None = None
    directory: bool = False


Content = bytes | str | File


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image in bytes, ready to be pushed.

    Args:
        manifest: the manifest, or the index of several platforms.
        media_type: which of the two.
        blobs: config and layers; empty for an index.
        parts: the images of an index.
    """

    manifest: bytes
    media_type: str
    blobs: tuple[bytes, ...] = ()
    parts: tuple[Image, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedImage:
    """Where an image went.

    Args:
        reference: with the registry and the tag.
        digest: of its manifest or index.
        config_digest: of its config, as `docker images` shows it; empty for an index.
    """

    reference: str
    digest: str
    config_digest: str

    @property
    def pinned(self) -> str:
        """The reference by digest alone."""
        repository, _, _ = self.reference.rpartition(":")
        return f"{repository}@{self.digest}"


def layer(files: Mapping[str, Content]) -> bytes:
    """An uncompressed layer with these files; missing parent directories come by themselves.

    Args:
        files: by path inside the image: bytes, text (UTF-8), or a `File`.
    """
    target = io.BytesIO()
    entries = {_inside(path): _file(content) for path, content in files.items()}
    parents = {str(parent): File(mode=0o755, directory=True) for path in entries for parent in _parents(path)}
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, entry in sorted((parents | entries).items()):
            archive.addfile(_tar_entry(path, entry), io.BytesIO(entry.content))
    return target.getvalue()


def build_image(
    *layers: Mapping[str, Content], config: Mapping[str, object] | None = None, platform: str | None = None
) -> Image:
    """An image of these layers.

    Args:
        layers: the files of each, the lowest first.
        config: what the image's config says of its process (`Env`, `Cmd`, `User`, `Labels`, …), as Docker spells it.
        platform: `linux/arm64`, …; None is this machine's architecture.
    """
    plain = [layer(files) for files in layers]
    packed = [gzip.compress(content, compresslevel=1, mtime=0) for content in plain]
    described = {
        "created": _CREATED,
        **_platform(platform or own_platform()),
        "config": dict(config or {}),
        "rootfs": {"type": "layers", "diff_ids": [digest_of(content) for content in plain]},
        "history": [{"created": _CREATED, "created_by": "ocibuild-testkit"} for _ in plain],
    }
    config_blob = _json(described)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor(config_blob, CONFIG),
        "layers": [_descriptor(content, LAYER) for content in packed],
    }
    return Image(manifest=_json(manifest), media_type=MANIFEST, blobs=(config_blob, *packed))


def build_index(images: Mapping[str, Image]) -> Image:
    """An index of images by platform (`{"linux/amd64": …, "linux/arm64": …}`), in this order."""
    manifests = [
        {**_descriptor(image.manifest, image.media_type), "platform": _platform(name)} for name, image in images.items()
    ]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
    return Image(manifest=_json(index), media_type=INDEX, parts=tuple(images.values()))


def busybox_files(
    applets: Iterable[str] = ("sh", "cat", "ls", "echo", "sleep", "id", "true", "env"),
) -> dict[str, File]:
    """A file system in which `RUN` works: Debian's static busybox, links for `applets`, and the usual files.

    Raises `RegistryError` naming the package when it is not installed or not static.
    """
    if not _BUSYBOX.exists() or b"/ld-linux" in (program := _BUSYBOX.read_bytes()):
        raise RegistryError(f"no static {_BUSYBOX} to make base images of: apt-get install busybox-static")
    return {
        "bin/busybox": File(content=program, mode=0o755),
        **{f"bin/{applet}": File(symlink="busybox", mode=0o777) for applet in applets},
        "etc/passwd": File(content=b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"),
        "etc/group": File(content=b"root:x:0:\nnogroup:x:65534:\n"),
        "root": File(directory=True, mode=0o700),
        "tmp": File(directory=True, mode=0o1777),
    }


def own_platform() -> str:
    """This machine's platform, as images name it."""
    name = machine.machine()
    return f"linux/{_ARCHITECTURES.get(name, name)}"


def push(client: RegistryClient, address: str, name: str, image: Image) -> PushedImage:
    """Put `image` under `name` (`repository:tag`) into the registry of `client`, which is called `address`."""
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        raise ValueError(f"{name!r} is no repository:tag")
    for part in image.parts:
        _push_one(client, repository, digest_of(part.manifest), part)
    digest = _push_one(client, repository, tag, image)
    config_digest = digest_of(image.blobs[0]) if image.blobs else ""
    return PushedImage(reference=f"{address}/{name}", digest=digest, config_digest=config_digest)


def _push_one(client: RegistryClient, repository: str, reference: str, image: Image) -> str:
    for blob in image.blobs:
        client.push_blob(repository, blob)
    return client.push_manifest(repository, reference, image.manifest, image.media_type)


def _inside(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise ValueError(f"{path!r} is no path inside an image: relative, without '..'")
    return str(pure)


def _parents(path: str) -> list[PurePosixPath]:
    return [parent for parent in PurePosixPath(path).parents if parent.parts]


def _file(content: Content) -> File:
    if isinstance(content, File):
        return content
    return File(content=content.encode() if isinstance(content, str) else content)


def _tar_entry(path: str, entry: File) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.mode, info.uid, info.gid, info.size = entry.mode, entry.uid, entry.gid, len(entry.content)
    if entry.directory:
        info.type = tarfile.DIRTYPE
    if entry.symlink is not None:
        info.type, info.linkname = tarfile.SYMTYPE, entry.symlink
    return info


def _platform(name: str) -> dict[str, str]:
    system, _, rest = name.partition("/")
    architecture, _, variant = rest.partition("/")
    return {"os": system, "architecture": architecture, **({"variant": variant} if variant else {})}


def _descriptor(content: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
