"""The CNCF registry in a wheel: where its program is and which it is.

>>> from ocibuild_registry import binary
>>> binary("registry")  # doctest: +SKIP
PosixPath('…/ocibuild_registry/carried/bin/registry')
"""

from __future__ import annotations

from pathlib import Path

from ._shelf import BinaryNotFoundError, Shelf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._shelf.records import Versions

    __version__: str

__all__ = ["BinaryNotFoundError", "__version__", "binary", "versions"]

_shelf = Shelf("ocibuild-registry", Path(__file__).parent / "carried")


def binary(name: str = "registry") -> Path:
    """The path of the program; BinaryNotFoundError for any other name, and for a damaged installation."""
    return _shelf.binary(name)


def versions() -> Versions:
    """What the wheel carries, as in its versions.json: version, compiler, SHA-256, and linked modules."""
    return _shelf.versions()


def __getattr__(name: str) -> str:
    # Read only when asked for: the start of a program that just wants a path stays cheap.
    if name == "__version__":
        return _shelf.versions()["version"]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
