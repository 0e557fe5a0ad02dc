"""Archives out of the content store of an engine of our own.

BuildKit sends an archive through its session, in small messages from process to process: several times as long as it
takes to copy the files that it is made of. They lie in the daemon's directory, by their digest, as containerd's
content store keeps them (https://github.com/containerd/containerd/blob/main/docs/content-flow.md). So such an engine is
asked for an image alone, and the archive is made here, as BuildKit makes it. What is missing there, as layers of a base
image are that no step needed, says that BuildKit has to send it after all.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from ocibuild_core.export_records import BuildOutput, ExportPlan
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from ocibuild_core.plan import BuildPlan
    from ocibuild_core.settings.model import BuildSettings

_ARCHIVES = ("docker", "oci")
_IMAGE = BuildOutput(type="image", attributes={"push": "false"}, has_file=False)
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_INDEX = "application/vnd.oci.image.index.v1+json"
_OF_DESCRIPTOR = ("mediaType", "digest", "size", "platform")
_LARGEST_DOCUMENT = 4 * 1024 * 1024


class NotStoredError(Exception):
    """Something of the image is not in the store."""


class _File(NamedTuple):
    """One file of an archive: its bytes, or a descriptor with so many."""

    name: str
    data: bytes
    source: int
    size: int
    mode: int = 0o444


def outputs_from_store(plan: BuildPlan, settings: BuildSettings) -> tuple[BuildOutput, ...]:
    """The outputs of a plan that can be made here: archives without annotations, some of which their index holds."""
    if settings.check or settings.annotations:
        return ()
    return tuple(output for output in plan.outputs if output.type in _ARCHIVES and output.attributes.keys() <= {"name"})


def plan_for_store(plan: BuildPlan, taken: Collection[BuildOutput]) -> BuildPlan:
    """The plan with an image in the place of those outputs."""
    return plan._replace(
        exports=tuple(
            export._replace(
                plan=ExportPlan(
                    outputs=tuple(_IMAGE if output in taken else output for output in export.plan.outputs),
                    destinations=export.plan.destinations,
                )
            )
            for export in plan.exports
        )
    )


def write_archive(store: Path, metadata: Mapping[str, object], output: BuildOutput, target: Path) -> None:
    """Write the archive of the image that a solve made.

    Args:
        store: the directory with a directory for each digest algorithm.
        metadata: BuildKit's, of that solve.
        output: the archive that was planned.
        target: the file to write.

    Raises:
        NotStoredError: BuildKit has to send it; nothing was written.
        OSError: it cannot be written.
    """
    given = metadata.get("containerimage.descriptor")
    if not isinstance(given, dict):
        raise NotStoredError
    descriptor = {key: given[key] for key in _OF_DESCRIPTOR if key in given}
    with ExitStack() as stack:
        image = _Image(store, stack)
        manifests = list(image.manifests(descriptor))
        names = [name for name in output.attributes.get("name", "").split(",") if name]
        named = [{**descriptor, "annotations": _name_annotations(name)} for name in names] or [descriptor]
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": named}
        files = [*image.files.values(), _text("index.json", index), _File("oci-layout", _LAYOUT, -1, len(_LAYOUT))]
        if output.type == "docker":
            files.append(_text("manifest.json", [_docker_entry(manifest, names) for manifest in manifests]))
        _write_tar(sorted(files), target)


class _Image:
    """The files of an image in the store. Each is held open, so that no collection of garbage takes it away."""

    def __init__(self, store: Path, stack: ExitStack) -> None:
        self._store = store
        self._stack = stack
        self.files: dict[str, _File] = {}

    def manifests(self, descriptor: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """All manifests below a descriptor; their blobs are in `files` from then on."""
        found = self._document(descriptor)
        if "manifests" in found:
            for below in found["manifests"]:
                yield from self.manifests(below)
            return
        for blob in (found["config"], *(found["layers"] or ())):
            self._open(blob)
        yield found

    def _document(self, descriptor: Mapping[str, Any]) -> dict[str, Any]:
        import json  # noqa: PLC0415  # the engine starts meanwhile

        blob = self._open(descriptor)
        found = json.loads(os.pread(blob.source, min(blob.size, _LARGEST_DOCUMENT), 0))
        return dict(found)

    def _open(self, descriptor: Mapping[str, Any]) -> _File:
        algorithm, _, value = descriptor["digest"].partition(":")
        name = f"blobs/{algorithm}/{value}"
        if name not in self.files:
            try:
                source = os.open(self._store / algorithm / value, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                raise NotStoredError from None
            self._stack.callback(os.close, source)
            if os.fstat(source).st_size != descriptor["size"]:
                raise NotStoredError
            self.files[name] = _File(name, b"", source, descriptor["size"])
        return self.files[name]


def _name_annotations(name: str) -> dict[str, str]:
    """How an index tells a name (annotations.go in opencontainers/image-spec, and containerd's own)."""
    return {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}


def _familiar(name: str) -> str:
    """The name as docker shows it (`FamiliarString` of github.com/distribution/reference)."""
    return name.removeprefix("docker.io/").removeprefix("library/") if name.startswith("docker.io/") else name


def _docker_entry(manifest: Mapping[str, Any], names: Sequence[str]) -> dict[str, object]:
    """What docker's `manifest.json` says of an image (https://github.com/moby/docker-image-spec)."""

    def place(descriptor: Mapping[str, Any]) -> str:
        return "blobs/" + str(descriptor["digest"]).replace(":", "/")

    return {
        "Config": place(manifest["config"]),
        "RepoTags": [*map(_familiar, names)] or None,
        "Layers": [*map(place, manifest["layers"] or ())],
    }


def _text(name: str, value: object) -> _File:
    import json  # noqa: PLC0415  # the engine starts meanwhile

    data = json.dumps(value, separators=(",", ":")).encode()
    return _File(name, data, -1, len(data), 0o644)


def _write_tar(files: list[_File], target: Path) -> None:
    """A tar file that is the same each time; directories first, as BuildKit has them."""
    import tarfile  # noqa: PLC0415  # the engine starts meanwhile

    directories = sorted({parent for file in files for parent in _parents(file.name)})
    with target.open("wb", buffering=0) as archive:
        for name in directories:
            header = tarfile.TarInfo(name)
            header.type, header.mode = tarfile.DIRTYPE, 0o755
            archive.write(header.tobuf(tarfile.PAX_FORMAT))
        for file in files:
            header = tarfile.TarInfo(file.name)
            header.size, header.mode = file.size, file.mode
            archive.write(header.tobuf(tarfile.PAX_FORMAT))
            if file.data:
                archive.write(file.data)
            else:
                _copy(file.source, archive.fileno(), file.size)
            archive.write(bytes(-file.size % tarfile.BLOCKSIZE))
        archive.write(bytes(2 * tarfile.BLOCKSIZE))


def _parents(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: number + 1]) for number in range(len(parts))]


def _copy(source: int, target: int, size: int) -> None:
    offset = 0
    while offset < size:
        copied = os.sendfile(target, source, offset, size - offset)
        if not copied:
            raise NotStoredError
        offset += copied


def drop_ingests(store: Path, digests: Sequence[str]) -> None:
    """Remove what was received under these digests and refused: it would be taken for the beginning of the next try.

    The layout is that of containerd's plugins/content/local: a directory each, with the name that it was sent under.
    """
    for reference in (store.parent / "ingest").glob("*/ref"):
        with suppress(OSError):
            if reference.read_text(encoding="utf-8").endswith(tuple(digests)):
                for file in reference.parent.iterdir():
                    file.unlink()
                reference.parent.rmdir()
