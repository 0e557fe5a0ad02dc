"""Put a file or directory in the place of another in one step, and keep the other."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_AT_FDCWD = -100
_EXCHANGE = 2
"""`RENAME_EXCHANGE` of renameat2(2) (include/uapi/linux/fs.h)."""
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


def move_into_place(source: Path, destination: Path) -> bool:
    """Move `source` to `destination` on one file system; at no moment is `destination` missing or half there.

    Returns:
        Whether something was there, which then is at `source`.

    Raises:
        OSError: it cannot be done; nothing has changed then.
    """
    if not os.path.lexists(destination):
        source.rename(destination)
        return False
    try:
        _exchange(source, destination)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        _exchange_by_names(source, destination)
    return True


def _exchange(one: Path, other: Path) -> None:
    import ctypes  # noqa: PLC0415  # only where something is replaced

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


def _exchange_by_names(source: Path, destination: Path) -> None:
    """For file systems that know no exchange (NFS, some FUSE): a file is replaced in one step, a directory in two."""
    kept = Path(f"{source}.earlier")
    if destination.is_dir():
        destination.rename(kept)
    else:
        os.link(destination, kept, follow_symlinks=False)
    try:
        source.replace(destination)
    except OSError:
        if destination.is_dir() or not os.path.lexists(destination):
            kept.rename(destination)
        raise
    kept.rename(source)
