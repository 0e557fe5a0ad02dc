"""Puts layers on top of each other in one tree, as the image specification says.

https://github.com/opencontainers/image-spec/blob/main/layer.md#applying-changesets
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ocibuild_core.unpack import names
from ocibuild_core.unpack.errors import LayerError, shown
from ocibuild_core.unpack.removing import remove_directory
from ocibuild_core.unpack.tar import Kind

if TYPE_CHECKING:
    from ocibuild_core.unpack.attributes import Attributes
    from ocibuild_core.unpack.directories import Directories, Directory
    from ocibuild_core.unpack.nodes import Nodes
    from ocibuild_core.unpack.tar import Entry, TarReader


class Applier:
    """Applies layers, the lowest first.

    Args:
        directories: of the tree.
        nodes: makes what is no directory.
        attributes: gives directories owner, mode, times.
    """

    def __init__(self, directories: Directories, nodes: Nodes, attributes: Attributes) -> None:
        self._directories = directories
        self._nodes = nodes
        self._attributes = attributes
        self._layer = -1
        # Hashes of the paths that the current layer brought, which its whiteouts spare: 75 bytes each, however long.
        self._brought: set[int] = set()

    def apply(self, reader: TarReader) -> int:
        """Apply one layer; how many entries it had. Raises LayerError, also for what the system refuses."""
        self._layer += 1
        self._brought.clear()
        count = 0
        for entry in reader:
            try:
                self._apply(entry, reader)
            except (OSError, OverflowError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                raise LayerError(f"{entry.kind.value} {shown(entry.name)}: {reason}") from error
            count += 1
        return count

    def _apply(self, entry: Entry, reader: TarReader) -> None:
        parts = names.split(entry.name)
        if b".wh." in entry.name and parts and self._is_whiteout(parts, entry.name):
            return
        if entry.kind is Kind.DIRECTORY:
            self._put_directory(parts, entry)
            return
        if not parts:
            raise LayerError(f"a {entry.kind.value} takes the place of the root directory")
        directory, name = self._directories.make(parts[:-1]), parts[-1]
        self._note(directory, name)
        if entry.kind is Kind.HARD_LINK:
            self._link(directory, name, entry)
            return
        try:
            self._nodes.make(directory, name, entry, reader)
        except FileExistsError:
            self._remove(directory, name)
            self._nodes.make(directory, name, entry, reader)

    def _put_directory(self, parts: names.Parts, entry: Entry) -> None:
        """A directory that is there already keeps what it holds."""
        found = self._directories.root
        if parts:
            parent, name = self._directories.make(parts[:-1]), parts[-1]
            self._note(parent, name)
            found = self._directories.child(parent, name) or self._replace(parent, name)
        self._attributes.to_directory(found, entry)

    def _replace(self, parent: Directory, name: bytes) -> Directory:
        """A new directory in the place of what is none."""
        self._remove(parent, name)
        return self._directories.make_child(parent, name)

    def _link(self, directory: Directory, name: bytes, entry: Entry) -> None:
        try:
            self._try_link(directory, name, entry)
        except FileExistsError:
            self._remove(directory, name)
            self._try_link(directory, name, entry)

    def _try_link(self, directory: Directory, name: bytes, entry: Entry) -> None:
        *parents, base = names.split(entry.link) or (b"",)
        directory.is_held = True
        target = self._directories.find(parents)
        directory.is_held = False
        if target is None or not base:
            raise LayerError(f"{shown(entry.name)} is a hard link to {shown(entry.link)}, which is not there")
        if target.child(base) == directory.child(name):
            raise LayerError(f"{shown(entry.name)} is a hard link to itself")
        try:
            os.link(base, name, src_dir_fd=target.fd, dst_dir_fd=directory.fd, follow_symlinks=False)
        except FileNotFoundError:
            if not self._nodes.leave_link_out(target.child(base), directory.child(name)):
                raise
            self._remove(directory, name)

    def _is_whiteout(self, parts: names.Parts, name: bytes) -> bool:
        """Do what a whiteout says; False when it is none."""
        *parents, base = parts
        if names.is_bookkeeping(parts):
            return True
        removed = names.removed_name(base)
        names.refuse_reserved(parents, name)
        if removed is None:
            return False
        directory = self._directories.find(parents) if self._layer else None
        if directory is None:
            return True
        if base == names.OPAQUE:
            self._hide_below(directory)
        elif hash(directory.child(removed)) not in self._brought:
            self._remove(directory, removed)
        elif (child := self._directories.child(directory, removed)) is not None:
            self._hide_below(child)
        return True

    def _hide_below(self, top: Directory) -> None:
        """Remove from a directory, however deep, what this layer did not bring."""
        pending = [top.path]
        while pending:
            directory = self._directories.find(tuple(pending.pop().split(b"/")))
            if directory is None:
                continue
            with os.scandir(directory.fd) as children:
                for child in children:
                    name = os.fsencode(child.name)
                    path = directory.child(name)
                    if hash(path) not in self._brought:
                        self._remove(directory, name)
                    elif child.is_dir(follow_symlinks=False):
                        pending.append(path)

    def _remove(self, directory: Directory, name: bytes) -> None:
        """Remove whatever has this name, if anything has."""
        directory.is_changed = True
        try:
            os.unlink(name, dir_fd=directory.fd)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            self._directories.forget(directory.child(name))
            remove_directory(directory.fd, name)

    def _note(self, directory: Directory, name: bytes) -> None:
        """Remember that this layer brought `name` and so, if only by their names, all directories above."""
        directory.is_changed = True
        if not self._layer:
            return  # whiteouts of the lowest layer have nothing to remove
        if directory.layer != self._layer:
            directory.layer = self._layer
            path = directory.path
            while path:
                self._brought.add(hash(path))
                path = path.rpartition(b"/")[0]
        self._brought.add(hash(directory.child(name)))
