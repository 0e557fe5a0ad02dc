"""Owner, permissions, extended attributes and times: what a node has besides its content."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from ocibuild_core.unpack.errors import shown

if TYPE_CHECKING:
    from ocibuild_core.unpack.directories import Directory
    from ocibuild_core.unpack.notes import Notes
    from ocibuild_core.unpack.tar import Entry

# Labels of the machine that made the layer: they would mean something else here, or change what overlayfs shows.
_FOREIGN = (b"security.selinux", b"system.nfs4_acl", b"trusted.overlay.")
_REFUSED = (errno.ENOTSUP, errno.EPERM, errno.EACCES)


def attributes_for_this_user(notes: Notes) -> Attributes:
    """Those with owners for root, those without for anybody else."""
    return Attributes(notes) if os.geteuid() == 0 else UnownedAttributes(notes)


def xattr_names(fd: int) -> list[bytes]:
    """The names of a node's extended attributes; none where the file system does not know such a thing."""
    try:
        return [os.fsencode(name) for name in os.listxattr(fd)]
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return []


class Attributes:
    """Gives nodes what their entries say. As root: their owners, too.

    Args:
        notes: takes what the file system or a missing right did not allow.
    """

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._own = os.geteuid(), os.getegid()

    def to_file(self, fd: int, entry: Entry, directory: Directory) -> None:
        """To a regular file that was just made in `directory`."""
        if directory.mode & stat.S_ISGID or (entry.uid, entry.gid) != self._own:
            self._give(fd, entry)
        for name, value in entry.xattrs:
            self._set_xattr(fd, name, value)
        os.fchmod(fd, entry.mode)  # late, because writing and a change of owner take the set-id bits away
        os.utime(fd, ns=(entry.mtime, entry.mtime))

    def to_directory(self, directory: Directory, entry: Entry) -> None:
        """To a directory, which may be an older one: attributes that the entry does not have go."""
        self._give(directory.fd, entry)
        for name in xattr_names(directory.fd):
            if not name.startswith(_FOREIGN) and name not in dict(entry.xattrs):
                os.removexattr(directory.fd, name)
        for name, value in entry.xattrs:
            self._set_xattr(directory.fd, name, value)
        directory.set_mode(entry.mode)
        directory.mtime = entry.mtime

    def to_node(self, directory: Directory, name: bytes, entry: Entry) -> None:
        """To a device or FIFO that was just made; it is never opened."""
        self.to_link(directory, name, entry)
        os.chmod(name, entry.mode, dir_fd=directory.fd)  # it is no link: it was made a moment ago

    def to_link(self, directory: Directory, name: bytes, entry: Entry) -> None:
        """To a symbolic link that was just made; its mode means nothing."""
        self._give_name(directory.fd, name, entry)
        # There is no call that takes a descriptor and a name; the descriptor's own entry stands for it (proc(5)).
        path = b"/proc/self/fd/%d/%s" % (directory.fd, name)
        for key, value in entry.xattrs:
            self._set_xattr(path, key, value)
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=directory.fd, follow_symlinks=False)

    def _give(self, fd: int, entry: Entry) -> None:
        os.fchown(fd, entry.uid, entry.gid)

    def _give_name(self, directory: int, name: bytes, entry: Entry) -> None:
        os.chown(name, entry.uid, entry.gid, dir_fd=directory, follow_symlinks=False)

    def _set_xattr(self, where: int | bytes, name: bytes, value: bytes) -> None:
        if name.startswith(_FOREIGN):
            return
        try:
            if isinstance(where, int):
                os.setxattr(where, name, value)
            else:
                os.setxattr(where, name, value, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _REFUSED:  # as ext4 has no room for one that is larger than a block
                refused = f"the file system does not take its extended attribute {shown(name)} of {len(value)} bytes"
                raise OSError(error.errno, f"{refused}: {error.strerror}") from error
            self._notes.leave_xattr_out(name)


class UnownedAttributes(Attributes):
    """For an ordinary user, who owns all that he makes."""

    def __init__(self, notes: Notes) -> None:
        super().__init__(notes)
        notes.leave_owners_out()

    def _give(self, fd: int, entry: Entry) -> None:
        """Nothing: it is his."""

    def _give_name(self, directory: int, name: bytes, entry: Entry) -> None:
        """Nothing: it is his."""
