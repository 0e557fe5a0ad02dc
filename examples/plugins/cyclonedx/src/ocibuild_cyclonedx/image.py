"""The few files of an image that tell which packages it has, read from a docker archive."""

from __future__ import annotations

import json
import tarfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocibuild_core.plugin import ExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# How layers delete: https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFiles:
    """What was read.

    Args:
        config_digest: the digest of the image's configuration, hexadecimal.
        architecture: as the configuration names it (`amd64`).
        files: contents by path, without a leading slash.
    """

    config_digest: str
    architecture: str
    files: Mapping[str, bytes]


def read_image(archive: Path, is_wanted: Callable[[str], bool]) -> ImageFiles:
    """The wanted files as they are in the finished image. Raises `ExportError` when the archive is not readable."""
    try:
        with tarfile.open(archive, mode="r:") as tar:
            manifest = _json(tar, "manifest.json")[0]
            config = _json(tar, manifest["Config"])
            files: dict[str, bytes] = {}
            for layer in manifest["Layers"]:
                _apply(tar, layer, files, is_wanted)
    except (tarfile.TarError, OSError, ValueError, LookupError, TypeError, EOFError, zlib.error) as error:
        raise ExportError(f"cannot read the packages out of {archive.name}", why=str(error)) from error
    return ImageFiles(
        config_digest=manifest["Config"].rpartition("/")[2],
        architecture=str(config.get("architecture", "")),
        files=files,
    )


def _json(tar: tarfile.TarFile, name: str) -> Any:
    member = tar.extractfile(name)
    if member is None:
        raise ValueError(f"{name} is no file")
    return json.load(member)


def _apply(tar: tarfile.TarFile, name: str, files: dict[str, bytes], is_wanted: Callable[[str], bool]) -> None:
    """One layer over those below it: first what it deletes, then what it brings."""
    brought: dict[str, bytes] = {}
    stream = tar.extractfile(name)
    if stream is None:
        raise ValueError(f"layer {name} is no file")
    with tarfile.open(fileobj=stream, mode="r:*") as layer:
        for member in layer:
            path = member.name.removeprefix("./").strip("/")
            directory, _, base = path.rpartition("/")
            if base == _OPAQUE:
                _delete(files, directory, keep=directory)
            elif base.startswith(_WHITEOUT):
                _delete(files, f"{directory}/{base.removeprefix(_WHITEOUT)}".strip("/"))
            elif is_wanted(path) and (member.isfile() or member.islnk()):
                brought[path] = _content(layer, member)
            elif not member.isdir():
                # Something else in the place of a file, or of a directory with all that was in it.
                _delete(files, path)
    files.update(brought)


def _delete(files: dict[str, bytes], path: str, keep: str | None = None) -> None:
    for known in [known for known in files if known == path or known.startswith(f"{path}/" if path else "")]:
        if known != keep:
            del files[known]


def _content(layer: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > _LARGEST:
        raise ValueError(f"{member.name} is larger than {_LARGEST} bytes")
    stream = layer.extractfile(member)
    return stream.read() if stream else b""
