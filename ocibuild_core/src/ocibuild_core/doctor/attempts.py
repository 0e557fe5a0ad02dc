"""What the engine will need of the kernel, done for real: namespaces, mounts, overlayfs. For a `Trial` each."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, final

from ocibuild_core.engine import linux
from ocibuild_core.engine.state import take_state
from ocibuild_core.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FIRST_DIRECTORY = "ocibuild-doctor-"


class Namespaces(TypedDict):
    """How far a process came; an empty text where it succeeded, else the kernel's words.

    Args:
        user: a user namespace; only an ordinary user tries.
        mounts: a mount and a process namespace in it, with a fresh /proc, as the engine's.
    """

    user: str
    mounts: str


@final
class StateReport(TypedDict):
    """The directory that the engine will take for its state.

    Args:
        path: the directory.
        notice: why what is in it will not be kept; empty when it will.
        overlay: why overlayfs cannot be mounted there; empty when it can.
    """

    path: str
    notice: str
    overlay: str


@final
class StateRefusal(TypedDict):
    """No directory will do: the parts of the engine's error."""

    summary: str
    why: str
    tried: list[str]
    do: str


def try_namespaces() -> Namespaces:
    """Go where the engine's daemon will live."""
    if os.geteuid():
        try:
            _enter_user_namespace()
        except OSError as error:
            return Namespaces(user=_words(error), mounts="")
    try:
        _enter_mount_namespace()
        linux.unshare(linux.CLONE_NEWPID)
        mounts = _in_child(_mount_proc)
    except OSError as error:
        mounts = _words(error)
    return Namespaces(user="", mounts=mounts)


def try_state(chosen: Path | None, env: Mapping[str, str], uid: int) -> StateReport | StateRefusal:
    """Take the state directory, mount overlayfs in it, and let go of it."""
    try:
        state = take_state(chosen, env, uid)
    except EngineError as error:
        return StateRefusal(summary=error.summary, why=error.why, tried=list(error.tried), do=error.do)
    place = state.lease.path
    try:
        return StateReport(path=str(place), notice=state.notice, overlay=_try_overlay(place))
    finally:
        if not state.is_kept:
            shutil.rmtree(place, ignore_errors=True)
        os.close(state.lease.lock)


def _try_overlay(place: Path) -> str:
    """Mount overlayfs below `place`, where nobody else sees it; the kernel's words when it refuses."""
    try:
        directory = Path(tempfile.mkdtemp(prefix=_FIRST_DIRECTORY, dir=place))
    except OSError as error:
        return _words(error)
    try:
        return _in_child(lambda: _mount_overlay(directory))
    finally:
        # overlayfs leaves a directory there that its owner may not list.
        _remove_if_empty(directory / "work" / "work")
        shutil.rmtree(directory, ignore_errors=True)


def _mount_overlay(directory: Path) -> None:
    options = "lowerdir=lower,upperdir=upper,workdir=work"
    if os.geteuid():
        _enter_user_namespace()
        options += ",userxattr"  # as BuildKit does in a user namespace (containerd, core/mount, overlay)
    _enter_mount_namespace()
    os.chdir(directory)  # the paths stand in the options, where a comma or a colon would split them
    for name in ("lower", "upper", "work", "merged"):
        Path(name).mkdir()
    Path("lower", "file").touch()
    linux.mount("overlay", "merged", "overlay", 0, options)
    Path("merged", "file").unlink()  # makes a whiteout, which not every file system can hold


def _enter_user_namespace() -> None:
    """Become root of a new one, with the one id that an unprivileged process may map (user_namespaces(7))."""
    uid, gid = os.geteuid(), os.getegid()
    linux.unshare(linux.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def _enter_mount_namespace() -> None:
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_SLAVE)


def _mount_proc() -> None:
    linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)


def _in_child(function: Callable[[], None]) -> str:
    """Run it in a child that dies with us; the words of the OSError that it raised, empty for none."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            linux.die_with_parent(signal.SIGKILL)
            function()
        except OSError as error:
            os.write(writing, _words(error).encode())
        except BaseException as error:  # noqa: BLE001  # nobody is above us
            os.write(writing, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        said = file.read().decode(errors="replace")
    os.waitpid(pid, 0)
    return said


def _remove_if_empty(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.rmdir()


def _words(error: OSError) -> str:
    """`mount merged: Invalid argument`; our own calls name themselves, Python's name a file."""
    text = error.strerror or str(error)
    return f"{error.filename}: {text}" if error.filename else text
