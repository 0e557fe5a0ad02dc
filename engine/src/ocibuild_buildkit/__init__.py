"""BuildKit in a wheel: where its programs are and which they are.

>>> from ocibuild_buildkit import binary
>>> binary("buildctl")  # doctest: +SKIP
PosixPath('…/ocibuild_buildkit/carried/bin/buildctl')
"""

from __future__ import annotations

from pathlib import Path

from ._shelf import BinaryNotFoundError, Shelf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._shelf.records import Versions

    __version__: str

__all__ = ["BinaryNotFoundError", "__version__", "binary", "versions"]

_shelf = Shelf("ocibuild-buildkit", Path(__file__).parent / "carried")


def binary(name: str) -> Path:
    """The path of `buildkitd`, `buildctl`, `runc`, `rootlesskit` or `credential-helper`.

    All are in one directory, so that a PATH with it serves a daemon that looks for its helpers there.
    BinaryNotFoundError for any other name, and for a damaged installation.
    """
    return _shelf.binary(name)


def versions() -> Versions:
    """What the wheel carries, as in its versions.json: each tool's version, compiler, SHA-256, and linked modules."""
    return _shelf.versions()


def __getattr__(name: str) -> str:
    # Read only when asked for: the start of a program that just wants a path stays cheap.
    if name == "__version__":
        return _shelf.versions()["version"]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
