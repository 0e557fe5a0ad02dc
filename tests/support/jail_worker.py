"""The process in the namespace of `support.jail`: unpacks what it is sent, and says what came of it."""

from __future__ import annotations

import errno
import importlib
import json
import os
import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from ocibuild_core.errors import ExportError
from ocibuild_core.unpack.removing import remove_tree
from ocibuild_core.unpack.rootfs import unpack

from support.trees import Node, read_tree

for _name in ("isal.isal_zlib", "zlib", "compression.zstd", "backports.zstd"):
    try:
        importlib.import_module(_name)  # now: after the change of user its files may be out of reach
    except ImportError:
        continue


def _peak() -> int:
    """Kilobytes of memory that this program took at most; getrusage(2) would count the program that started it, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    """Serve until stdin ends."""
    place = Path(sys.argv[1])
    refuse_where_it_could_harm(place)
    if sys.argv[2]:
        os.chown(place, int(sys.argv[2]), int(sys.argv[2]))
        os.setgroups([])
        os.setresgid(*[int(sys.argv[2])] * 3)
        os.setresuid(*[int(sys.argv[2])] * 3)
    for line in sys.stdin.buffer:
        try:
            answer = serve(json.loads(line), place)
        except BaseException:  # noqa: BLE001  # handed over to the test
            answer = {"fault": traceback.format_exc()}
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()


def refuse_where_it_could_harm(place: Path) -> None:
    """End unless everything but `place` is read-only."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split(" ")[4].encode().decode("unicode_escape")
        if Path(point).is_dir() and point != str(place) and not os.statvfs(point).f_flag & os.ST_RDONLY:
            sys.exit(f"{point} can be written: nothing is unpacked here")
    if not os.path.ismount(place):
        sys.exit(f"{place} is no mount point: nothing is unpacked here")
    for directory in (Path("/"), place.parent):
        try:
            (directory / ".ocibuild-jail").rmdir()
        except OSError as error:
            if error.errno != errno.EROFS:
                sys.exit(f"{directory} can be written: nothing is unpacked here")


def serve(job: dict[str, Any], place: Path) -> dict[str, Any]:
    """One image."""
    for left in place.iterdir():
        remove_tree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
    os.umask(0o022)
    make_outside(place / "outside")
    make_outside(place / "job" / "outside")
    archive = place / "job" / "archive.tar"
    shutil.copyfile(job["archive"], archive)
    target = place / "job" / "rootfs"
    for name in job["keep_out"]:
        sys.modules[name] = None  # type: ignore[assignment]
    before = surroundings(place)
    descriptors = count_descriptors()
    with refused_xattrs(job["xattr_error"]):
        answer = outcome(archive, target, job["umask"])
    if job["spoil"]:
        spoil(place / job["spoil"])
    for name in job["keep_out"]:
        del sys.modules[name]
    peak = _peak()
    after = surroundings(place)
    changed = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
    tree = read_tree(target) if job["look"] and target.exists() else {}
    return {
        **answer,
        "tree": {path.decode("latin-1"): node.as_json() for path, node in tree.items()},
        "outside": sorted(path.decode("latin-1") for path in changed),
        "peak": peak,
        "descriptors": [descriptors, count_descriptors()],
    }


def count_descriptors() -> int:
    """How many are open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def outcome(archive: Path, target: Path, umask: int) -> dict[str, Any]:
    """What unpacking says."""
    os.umask(umask)
    try:
        made = unpack(archive, target, tell=lambda _: None)
    except ExportError as error:
        return {"error": str(error), "entries": 0, "notes": [], "config": {}}
    finally:
        os.umask(0o022)
    return {"error": "", "entries": made.entries, "notes": list(made.notes), "config": dict(made.config)}


@contextmanager
def refused_xattrs(error: int) -> Iterator[None]:
    """Answer calls about extended attributes with this error, as a file system without them does; 0 changes nothing."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    calls = {name: getattr(os, name) for name in ("listxattr", "getxattr", "setxattr", "removexattr") if error}
    for name in calls:
        setattr(os, name, refuse)
    try:
        yield
    finally:
        for name, call in calls.items():
            setattr(os, name, call)


def surroundings(place: Path) -> dict[bytes, Node]:
    """All around the tree, but for the directory that it is made in."""
    found = read_tree(place, without=frozenset((b"job/rootfs",)))
    del found[b"job"]
    return found


def spoil(path: Path) -> None:
    """What an escape would do."""
    if path.is_symlink():
        os.utime(path, (1, 1), follow_symlinks=False)
    else:
        path.write_text("escaped")


def make_outside(directory: Path) -> None:
    """What an escape would change."""
    (directory / "dir").mkdir(parents=True)
    for name in ("file", "dir/file", "tool"):
        (directory / name).write_text("untouched")
    (directory / "tool").chmod(0o4755)
    (directory / "link").symlink_to("file")
    (directory / "empty").mkdir()


if __name__ == "__main__":
    main()
