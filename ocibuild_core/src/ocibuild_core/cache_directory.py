"""The directory `cache/`: BuildKit's local cache, kept from run to run.

It is an OCI image layout (https://github.com/opencontainers/image-spec/blob/main/image-layout.md) with one manifest a
build. BuildKit exports into a staging directory that already holds what the cache has, as hard links. Then the new
blobs move in, `index.json` is replaced in one step, and only then is deleted what it does not mention. So the cache is
whole at every moment, also where it is a mount point and cannot be exchanged as a directory.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ocibuild_core.errors import ExportError
from ocibuild_core.places import is_directory, named_in_ascii
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ocibuild_core.publish import Staging

_INDEX = "index.json"
_MOST_MANIFESTS = 8
"""Each is one more cache to import."""
_DIGEST = r"sha256:[0-9a-f]{64}"


class Kept(NamedTuple):
    """What became of the cache.

    Args:
        size: its bytes.
        dropped: manifests of earlier builds that the bound left no room for.
        is_too_large: not even this build's own cache is within the bound, so that only earlier ones were kept.
    """

    size: int
    dropped: int
    is_too_large: bool


class CacheDirectory:
    """One run's use of a cache directory.

    Args:
        path: the directory, which exists.
        staging: an empty directory on its file system.
    """

    def __init__(self, path: Path, staging: Path) -> None:
        self._path = path
        self._staging = staging
        self._exports = 0
        with _said(path):
            self._manifests = self._link_known_blobs()

    def arguments(self) -> list[str]:
        """Arguments of `buildctl build` that import what is there and export what comes; of every solve its own."""
        self._exports += 1
        # By our own links: another build may drop what it finds in the directory while BuildKit reads from it.
        return cache_arguments(self._manifests, named_in_ascii(self._staging), self._exports)

    def keep(self, most_bytes: int) -> Kept:
        """Take in what the solves exported, newest first, and leave out what is beyond the bound.

        Raises ExportError; the cache is then as it was, or holds blobs besides that the next run deletes.
        """
        made = [*reversed(manifests_of(self._staging))]
        if not made:  # nothing in the build could be cached
            return Kept(sum(self._blobs_of(self._path, self._manifests).values()), 0, is_too_large=False)
        digests = {manifest["digest"] for manifest in made}
        with _said(self._path), _locked(self._path):
            there = self._link_known_blobs()  # again: other builds may have kept theirs meanwhile
            earlier = [manifest for manifest in there if manifest["digest"] not in digests]
            chosen, size = self._within(most_bytes, (*made, *earlier)[:_MOST_MANIFESTS])
            blobs = self._blobs_of(self._staging, chosen)
            self._move_blobs(blobs)
            self._replace_index(chosen)
            self._delete_others(blobs)
        dropped = len([manifest for manifest in earlier if manifest not in chosen])
        return Kept(size, dropped, is_too_large=not any(manifest in chosen for manifest in made))

    def drop_damaged(self, said: str) -> tuple[str, ...]:
        """Take out what BuildKit met that is not what its name says; the digests that are in such names.

        Reading all of them before each build would take longer than most builds.

        Args:
            said: why a solve failed, in BuildKit's words, which name the digest that it expected.
        """
        named = dict.fromkeys(re.findall(_DIGEST, said))
        damaged = tuple(digest for digest in named if _is_damaged(_blob(self._staging, digest), digest))
        with _said(self._path):
            for digest, layout in itertools.product(damaged, (self._staging, self._path)):
                _blob(layout, digest).unlink(missing_ok=True)
            self._manifests = self._link_known_blobs()
        return damaged

    def _within(self, most_bytes: int, newest_first: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
        chosen: list[dict[str, Any]] = []
        size = 0
        for manifest in newest_first:
            needed = sum(self._blobs_of(self._staging, (*chosen, manifest)).values())
            if needed <= most_bytes:
                chosen.append(manifest)
                size = needed
        return chosen, size

    def _blobs_of(self, layout: Path, manifests: Sequence[dict[str, Any]]) -> dict[str, int]:
        """Digest and size of each blob that the manifests need, themselves included."""
        blobs: dict[str, int] = {}
        for manifest in manifests:
            blobs |= {one["digest"]: one["size"] for one in (manifest, *_references(layout, manifest))}
        return blobs

    def _link_known_blobs(self) -> list[dict[str, Any]]:
        """The manifests that are there with all of their blobs, which BuildKit then neither fetches nor writes again.

        A blob of another size than it should have was cut off.
        """
        (self._staging / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        whole = []
        for manifest in manifests_of(self._path):
            blobs = self._blobs_of(self._path, (manifest,))
            if all(_size(_blob(self._path, digest)) == size for digest, size in blobs.items()):
                whole.append(manifest)
                for digest in blobs:
                    with suppress(FileExistsError):
                        os.link(_blob(self._path, digest), _blob(self._staging, digest))
        return whole

    def _move_blobs(self, blobs: dict[str, int]) -> None:
        place = self._path / "blobs" / "sha256"
        place.mkdir(parents=True, exist_ok=True)
        for digest, size in blobs.items():
            if _size(_blob(self._path, digest)) != size:
                make_durable(_blob(self._staging, digest))
                _blob(self._staging, digest).replace(_blob(self._path, digest))
        make_durable(place)

    def _replace_index(self, manifests: Sequence[dict[str, Any]]) -> None:
        if not manifests:
            (self._path / _INDEX).unlink(missing_ok=True)
            return
        # Other programs, and this one's predecessors, import the manifest that is named `latest`.
        named = [{**manifest, "annotations": {}} for manifest in manifests]
        named[0]["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
        _write(self._staging, self._path, "oci-layout", {"imageLayoutVersion": "1.0.0"})
        _write(self._staging, self._path, _INDEX, {"schemaVersion": 2, "manifests": named})

    def _delete_others(self, blobs: dict[str, int]) -> None:
        for file in (self._path / "blobs" / "sha256").iterdir():
            if f"sha256:{file.name}" not in blobs:
                file.unlink()


def cache_arguments(manifests: Sequence[dict[str, Any]], place: str, number: int) -> list[str]:
    """Arguments of the solve of that number, which imports these manifests from `place` and exports to it."""
    arguments = []
    for manifest in manifests:
        arguments += ["--import-cache", _fields("type=local", f"src={place}", f"digest={manifest['digest']}")]
    tag = f"tag=build-{number}"  # a name of its own: one of the same name would replace it
    return [*arguments, "--export-cache", _fields("type=local", "mode=max", f"dest={place}", tag)]


def open_cache(path: Path, staging: Staging) -> CacheDirectory | None:
    """The cache of a directory that exists; None otherwise. Raises ExportError when it cannot be written."""
    return CacheDirectory(path, staging.beside(path / _INDEX)) if is_directory(path) else None


def manifests_of(layout: Path) -> list[dict[str, Any]]:
    """What `index.json` lists; nothing when there is none, or none that makes sense: a cache may always be lost."""
    try:
        listed = json.loads((layout / _INDEX).read_bytes())["manifests"]
        return [one for one in listed if re.fullmatch(_DIGEST, one["digest"]) and isinstance(one["size"], int)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _references(layout: Path, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The blobs that a manifest or an index lists."""
    try:
        content = json.loads(_blob(layout, manifest["digest"]).read_bytes())
        listed = [content.get("config"), *content.get("layers", ()), *content.get("manifests", ())]
        return [one for one in listed if one and re.fullmatch(_DIGEST, one["digest"]) and isinstance(one["size"], int)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _is_damaged(path: Path, digest: str) -> bool:
    import hashlib  # noqa: PLC0415  # only where something is wrong

    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" != digest
    except OSError:
        return False


def make_durable(path: Path) -> None:
    """What has its name must have its content, also after a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write(staging: Path, directory: Path, name: str, content: dict[str, Any]) -> None:
    made = staging / f"{name}.new"
    with made.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    made.replace(directory / name)


def _fields(*fields: str) -> str:
    from ocibuild_core.csv_fields import join_fields  # noqa: PLC0415  # only where there is a cache

    return join_fields(fields)


@contextmanager
def _said(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportError(f"cannot keep the cache in {path}", why=error.strerror or str(error)) from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
