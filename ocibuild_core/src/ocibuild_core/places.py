"""Places that users name. `Path.is_file` and its kin raise where a directory above is closed to us; these do not."""

from __future__ import annotations

import os
import stat

from ocibuild_core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def working_directory() -> Path:
    """The directory that this process is in. UsageError when somebody has removed it."""
    from pathlib import Path  # noqa: PLC0415  # whoever asks for it has loaded it

    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(
            "the working directory is not there any more",
            why=error.strerror or type(error).__name__,
            do="change to a directory that is there: outputs and settings are looked for in it",
        ) from None


def is_file(path: Path | str) -> bool:
    """Whether a file is there, as far as this user can see."""
    return os.path.isfile(path)  # noqa: PTH113  # see the module


def is_directory(path: Path | str) -> bool:
    """Whether a directory is there, as far as this user can see."""
    return os.path.isdir(path)  # noqa: PTH112  # see the module


def is_pipe(path: Path | str) -> bool:
    """Whether a pipe or a socket is there: what is read of it is gone, and it may never end."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  # see the module
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def replaced_at(destination: Path) -> Path:
    """Where what is moved to `destination` comes to lie: links above it are followed, one in its place is replaced."""
    if destination.name == "..":
        return type(destination)(os.path.realpath(destination))
    return type(destination)(os.path.realpath(destination.parent), destination.name)


def find_dockerfile(path: str) -> str | None:
    """The file that BuildKit takes for the Dockerfile `path`, None when there is none.

    Where `Dockerfile` is missing, `dockerfile` will do (frontend/dockerui/config.go in moby/buildkit).
    """
    directory, name = os.path.split(path)
    names = ("Dockerfile", "dockerfile") if name == "Dockerfile" else (name,)
    return next((found for each in names if is_file(found := os.path.join(directory, each))), None)  # noqa: PTH118  # on the way to the engine


def closed(path: Path | str) -> str:
    """Why nobody can tell what is there, for `why` of an error; empty when one can, also when nothing is there."""
    try:
        os.stat(path)  # noqa: PTH116  # as a user wrote it
    except (FileNotFoundError, NotADirectoryError, ValueError):  # a name with a NUL in it names nothing
        return ""
    except OSError as error:
        return error.strerror or str(error)
    return ""


def unreadable(path: Path | str) -> str:
    """Why it cannot be read as a file, for `why` of an error; empty when it can.

    It is not opened: that would wait for the other end of a pipe.
    """
    if is_directory(path):
        return "it is a directory"
    try:
        os.stat(path)  # noqa: PTH116  # as a user wrote it
    except ValueError:
        return "no file can have that name"
    except OSError as error:
        return error.strerror or str(error)
    return "" if os.access(path, os.R_OK) else "Permission denied"


def free_bytes(directory: Path | str) -> int:
    """What this user can still write on the disk of a directory. Raises OSError."""
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize


def named_in_ascii(path: Path | str) -> str:
    """A name of the place for BuildKit's client, which sends the path of a local cache as a header of HTTP/2.

    A header takes printable ASCII alone (google.golang.org/grpc, internal/metadata): where a directory above has other
    letters, the name is the one from the working directory. Raises UsageError when that has some, too.
    """
    text = os.fspath(path)
    named = next((name for name in (text, os.path.relpath(text)) if name.isascii() and name.isprintable()), None)
    if named is None:
        raise UsageError(
            f"a local cache cannot lie in {os.path.relpath(text)!r}",
            why="BuildKit takes no path that has other letters than those of ASCII",
            do="name another directory, or change to one from which it has a name in ASCII",
        )
    return named
