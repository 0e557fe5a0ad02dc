"""What the name of an entry says: where it goes, or what it removes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_core.unpack.errors import LayerError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

Parts = tuple[bytes, ...]

_WHITEOUT = b".wh."
_META = b".wh..wh."
OPAQUE = b".wh..wh..opq"
"""In a directory: whatever lower layers have in it is gone
(https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts)."""


def split(name: bytes) -> Parts:
    """The components below the root: `..` taken off lexically and not above the root, as BuildKit does.

    >>> split(b"./usr//lib/../../../bin/")
    (b'bin',)
    """
    parts = name.strip(b"/").split(b"/")
    if b"" not in parts and b"." not in parts and b".." not in parts:
        return tuple(parts)
    kept: list[bytes] = []
    for part in parts:
        if part == b"..":
            del kept[-1:]
        elif part not in (b"", b"."):
            kept.append(part)
    return tuple(kept)


def is_bookkeeping(parts: Parts) -> bool:
    """Whether it is, or lies in, what aufs kept for itself in very old layers (`.wh..wh.plnk`)."""
    return any(part.startswith(_META) and part != OPAQUE for part in parts)


def removed_name(name: bytes) -> bytes | None:
    """What a whiteout of this base name removes: a name, or b"" for all there is; None when it is no whiteout.

    Raises LayerError for a whiteout of the directory itself, of the one above, or without a name.
    """
    if not name.startswith(_WHITEOUT):
        return None
    if name == OPAQUE:
        return b""
    removed = name[len(_WHITEOUT) :]
    if removed in (b"", b".", b".."):
        raise LayerError(f"the whiteout {shown(name)} names no file")
    return removed


def refuse_reserved(parents: Sequence[bytes], name: bytes) -> None:
    """Raise LayerError when a directory on the way has a name that is reserved for whiteouts."""
    reserved = next((part for part in parents if part.startswith(_WHITEOUT)), None)
    if reserved is not None:
        raise LayerError(f"{shown(name)} lies in {shown(reserved)}, a name that is reserved for whiteouts")
