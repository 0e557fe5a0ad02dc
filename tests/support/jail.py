"""Unpacks images where an escape does no harm: in a mount namespace in which only a place of its own can be written.

No test unpacks an image anywhere else, for the code under test runs as root and the images are made to break it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from support.missing import need_program
from support.tars import archive
from support.trees import Node

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WORKER = Path(__file__).with_name("jail_worker.py")

# Everything that is mounted becomes read-only, /dev an empty directory; a tmpfs is the one place to write.
_CLOSE = """
set -eu
place=$1; shift
mount -t tmpfs -o mode=755 tmpfs "$place"
mount -t tmpfs -o mode=755 tmpfs /dev
cut -d' ' -f5 /proc/self/mountinfo | tac | while IFS= read -r escaped; do
    point=$(printf '%b' "$escaped")
    [ "$point" = "$place" ] || [ ! -e "$point" ] || mount -o remount,bind,ro "$point"
done
exec "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of unpacking an image.

    Args:
        error: what was raised, as text; empty when it went well.
        entries: how many entries the layers had.
        notes: what was left out.
        config: the image's configuration.
        tree: what is there, by path; the root is b".".
        outside: what changed outside the tree; nothing, one hopes.
        peak: kilobytes of memory that the process took at most.
        descriptors: open ones before and after.
    """

    error: str
    entries: int
    notes: tuple[str, ...]
    config: Mapping[str, Any]
    tree: Mapping[bytes, Node]
    outside: tuple[str, ...]
    peak: int
    descriptors: tuple[int, int]

    def ok(self) -> Self:
        """Itself; fails the test when it went wrong."""
        if self.error or self.outside:
            pytest.fail(f"{self.error}\nchanged outside: {self.outside}", pytrace=False)
        return self


class Jail:
    """One process in its namespace, for many images. A context manager.

    Args:
        place: an empty directory; what is in there is seen by the process alone.
        uid: whose rights it takes after its start; None keeps root's.
    """

    def __init__(self, place: Path, *, uid: int | None = None) -> None:
        self.place = place
        self._uid = uid

    @property
    def outside(self) -> bytes:
        """An absolute path outside every tree that could be written: `file`, `dir/file`, `link`, `tool`."""
        return os.fsencode(self.place / "outside")

    def __enter__(self) -> Self:
        need_program("unshare", "util-linux")
        as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user", "--map-auto"]
        worker = [
            sys.executable,
            "-X",
            "utf8",
            str(_WORKER),
            str(self.place),
            "" if self._uid is None else str(self._uid),
        ]
        self._process = subprocess.Popen(
            [
                "unshare",
                *as_root,
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                _CLOSE,
                "sh",
                str(self.place),
                *worker,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def unpack(self, *layers: bytes, config: Mapping[str, Any] | None = None) -> Outcome:
        """Unpack an image of these layers, the lowest first."""
        return self.unpack_archive(archive(layers, config))

    def unpack_archive(
        self,
        data: bytes,
        *,
        keep_out: Sequence[str] = (),
        look: bool = True,
        umask: int = 0o022,
        spoil: str = "",
        xattr_error: int = 0,
    ) -> Outcome:
        """Unpack an archive.

        Args:
            data: the archive.
            keep_out: modules that cannot be imported.
            look: read the tree that was made.
            umask: the process's.
            spoil: a path outside the tree that is written meanwhile, as an escape would.
            xattr_error: what a file system answers that takes no extended attributes, for the one here does.
        """
        job = {"keep_out": list(keep_out), "look": look, "umask": umask, "spoil": spoil, "xattr_error": xattr_error}
        with tempfile.NamedTemporaryFile(prefix="ob-archive-", dir="/tmp") as archive_file:
            archive_file.write(data)
            archive_file.flush()
            Path(archive_file.name).chmod(0o644)
            answer = self._ask({**job, "archive": archive_file.name})
        tree = {path.encode("latin-1"): Node.from_json(node) for path, node in answer["tree"].items()}
        return Outcome(
            error=answer["error"],
            entries=answer["entries"],
            notes=tuple(answer["notes"]),
            config=answer["config"],
            tree=tree,
            outside=tuple(answer["outside"]),
            peak=answer["peak"],
            descriptors=(answer["descriptors"][0], answer["descriptors"][1]),
        )

    def _ask(self, job: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(job).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            pytest.fail(f"the process in the namespace ended with {self._process.wait(10)}", pytrace=False)
        found = json.loads(answer)
        if "fault" in found:
            pytest.fail(found["fault"], pytrace=False)
        return dict(found)


def run_worker_outside(place: Path) -> str:
    """What the process says that finds itself outside of the jail."""
    command = [sys.executable, str(_WORKER), str(place), ""]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL).stderr
