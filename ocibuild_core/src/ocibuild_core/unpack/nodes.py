"""Makes files, links and devices. Each is new: what had the name before is gone by then, or FileExistsError comes."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from ocibuild_core.unpack.tar import Kind

if TYPE_CHECKING:
    from ocibuild_core.unpack.attributes import Attributes
    from ocibuild_core.unpack.directories import Directory
    from ocibuild_core.unpack.notes import Notes
    from ocibuild_core.unpack.tar import Entry, TarReader

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SMALLEST_HOLE = 64 * 1024
_ZEROS = memoryview(bytes(1024 * 1024))
_FORMATS = {Kind.CHARACTER_DEVICE: stat.S_IFCHR, Kind.BLOCK_DEVICE: stat.S_IFBLK}


class Nodes:
    """Makes what is no directory.

    Args:
        attributes: gives them owner, mode, times.
        notes: takes what could not be made.
    """

    def __init__(self, attributes: Attributes, notes: Notes) -> None:
        self._attributes = attributes
        self._notes = notes
        self._left_out: set[int] = set()  # hashes of paths, as those of the applier

    def make(self, directory: Directory, name: bytes, entry: Entry, reader: TarReader) -> None:
        """Make what the entry says; its content comes from `reader`. Hard links are `link`'s."""
        match entry.kind:
            case Kind.FILE:
                self._make_file(directory, name, entry, reader)
            case Kind.SYMLINK:
                os.symlink(entry.link, name, dir_fd=directory.fd)
                self._attributes.to_link(directory, name, entry)
            case Kind.FIFO:
                os.mkfifo(name, 0o600, dir_fd=directory.fd)
                self._attributes.to_node(directory, name, entry)
            case Kind.CHARACTER_DEVICE | Kind.BLOCK_DEVICE:
                self._make_device(directory, name, entry)
            case _:
                raise ValueError(f"not made here: {entry.kind}")

    def _make_file(self, directory: Directory, name: bytes, entry: Entry, reader: TarReader) -> None:
        fd = os.open(name, _FLAGS, 0o600, dir_fd=directory.fd)
        try:
            if entry.fragments is None:
                _write(fd, entry.size, reader)
            else:
                for offset, length in entry.fragments:
                    os.lseek(fd, offset, os.SEEK_SET)
                    _write(fd, length, reader)
                os.ftruncate(fd, entry.size)
            self._attributes.to_file(fd, entry, directory)
        finally:
            os.close(fd)

    def _make_device(self, directory: Directory, name: bytes, entry: Entry) -> None:
        try:
            os.mknod(name, 0o600 | _FORMATS[entry.kind], os.makedev(*entry.device), dir_fd=directory.fd)
        except PermissionError:
            self._leave_out(directory.child(name))
            return
        self._attributes.to_node(directory, name, entry)

    def leave_link_out(self, device: bytes, path: bytes) -> bool:
        """Count the hard link at `path` as the device that was left out at `device`; False when none was."""
        if hash(device) not in self._left_out:
            return False
        self._leave_out(path)
        return True

    def _leave_out(self, path: bytes) -> None:
        self._left_out.add(hash(path))
        self._notes.leave_device_out()


def _write(fd: int, size: int, reader: TarReader) -> None:
    """So many bytes of content, long runs of zeros as holes."""
    ends_in_hole = False
    for part in reader.content(size):
        ends_in_hole = len(part) >= _SMALLEST_HOLE and part == _ZEROS[: len(part)]
        if ends_in_hole:
            os.lseek(fd, len(part), os.SEEK_CUR)
            continue
        rest = part
        while (written := os.write(fd, rest)) < len(rest):
            rest = rest[written:]
    if ends_in_hole:
        os.ftruncate(fd, os.lseek(fd, 0, os.SEEK_CUR))
