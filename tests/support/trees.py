"""What a tree of files holds, to be compared."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_HASHED_UP_TO = 64 * 1024 * 1024
_WHOLE_UP_TO = 100
_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "character",
    stat.S_IFBLK: "block",
    stat.S_IFSOCK: "socket",
}


@dataclass(frozen=True, kw_only=True)
class Node:
    """One file, directory, link or device.

    Args:
        kind: `file`, `directory`, …
        mode: permissions.
        uid: owner.
        gid: group.
        mtime: nanoseconds.
        size: of a file.
        blocks: that it takes, of 512 bytes.
        content: a short file's, the digest of a longer one's, what a link points to.
        device: major and minor number.
        xattrs: extended attributes.
        links: how many names it has.
        inode: equal for names of one file.
    """

    kind: str
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int = 0
    blocks: int = 0
    content: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[str, bytes], ...] = ()
    links: int = 1
    inode: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **{name: getattr(self, name) for name in self.__dataclass_fields__},
            "content": self.content.decode("latin-1"),
            "xattrs": [(name, value.decode("latin-1")) for name, value in self.xattrs],
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Node:
        """The other way."""
        xattrs = tuple((name, value.encode("latin-1")) for name, value in values["xattrs"])
        content = values["content"].encode("latin-1")
        return cls(**{**values, "xattrs": xattrs, "content": content, "device": tuple(values["device"])})


def read_tree(root: Path, *, without: frozenset[bytes] = frozenset()) -> dict[bytes, Node]:
    """Everything below `root`, which is b"." itself, by path; names in `without` and what is below them left out."""
    status = root.lstat()
    with _opened(None, os.fsencode(root), os.O_RDONLY | os.O_DIRECTORY) as fd:
        return {b".": _node(fd, None, status), **dict(_walk(fd, b"", without))}


def _walk(directory: int, prefix: bytes, without: frozenset[bytes]) -> Iterator[tuple[bytes, Node]]:
    for name in sorted(os.fsencode(one) for one in os.listdir(directory)):
        if prefix + name in without:
            continue
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        yield prefix + name, _node(directory, name, status)
        if stat.S_ISDIR(status.st_mode):
            with _opened(directory, name, os.O_RDONLY | os.O_DIRECTORY) as below:
                yield from _walk(below, prefix + name + b"/", without)


def _node(directory: int, name: bytes | None, status: os.stat_result) -> Node:
    kind = _KINDS[stat.S_IFMT(status.st_mode)]
    path = f"/proc/self/fd/{directory}/".encode() + (name or b".")
    attributes = os.listxattr(path, follow_symlinks=False)
    return Node(
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime=status.st_mtime_ns,
        size=status.st_size if kind == "file" else 0,
        blocks=status.st_blocks if kind == "file" else 0,
        content=_content(directory, name, status) if name else b"",
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)),
        xattrs=tuple((one, os.getxattr(path, one, follow_symlinks=False)) for one in sorted(attributes)),
        links=status.st_nlink if kind != "directory" else 1,
        inode=status.st_ino,
    )


def _content(directory: int, name: bytes, status: os.stat_result) -> bytes:
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(name, dir_fd=directory)
    if not stat.S_ISREG(status.st_mode) or status.st_size > _HASHED_UP_TO:
        return b""
    with _opened(directory, name, os.O_RDONLY) as fd, open(fd, "rb", closefd=False) as opened:
        data = opened.read()
    return data if len(data) <= _WHOLE_UP_TO else hashlib.sha256(data).hexdigest().encode()


@contextmanager
def _opened(directory: int | None, name: bytes, flags: int) -> Iterator[int]:
    """A descriptor, also of what its owner may not read: the permission is given while it is looked at."""
    place = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=directory)
    mode = stat.S_IMODE(os.fstat(place).st_mode)
    is_closed = mode & 0o500 != 0o500 and os.geteuid() != 0
    try:
        if is_closed:
            Path(f"/proc/self/fd/{place}").chmod(mode | 0o500)
        fd = os.open(name, flags | os.O_NOFOLLOW, dir_fd=directory)
        try:
            yield fd
        finally:
            os.close(fd)
    finally:
        if is_closed:
            Path(f"/proc/self/fd/{place}").chmod(mode)
        os.close(place)
