"""What the engine will need of the kernel, done for real: namespaces, mounts, overlayfs. For a `Trial` each."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, final

from ocibuild_core.doctor.trial import Trial, TrialFailed
from ocibuild_core.engine import linux
from ocibuild_core.engine.find import find_on_path
from ocibuild_core.engine.process import capture
from ocibuild_core.engine.rootless import own_ranges
from ocibuild_core.engine.state import take_state
from ocibuild_core.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PREFIX = "ocibuild-doctor-"
_SECONDS = 3.0
"""For what takes milliseconds."""


class Namespaces(TypedDict):
    """How far a process came; an empty text where it succeeded, else the kernel's words.

    Args:
        user: a user namespace; only an ordinary user tries, as the next.
        ids: the user's subordinate ids, mapped into it.
        mounts: a mount and a process namespace in it, with a fresh /proc, as the engine's.
    """

    user: str
    ids: str
    mounts: str


@final
class StateReport(TypedDict):
    """The directory that the engine will take for its state.

    Args:
        path: the directory.
        notice: why what is in it will not be kept; empty when it will.
        remedy: what would have it kept.
        overlay: why overlayfs cannot be mounted there; empty when it can.
    """

    path: str
    notice: str
    remedy: str
    overlay: str


@final
class StateRefusal(TypedDict):
    """No directory will do: the parts of the engine's error."""

    summary: str
    why: str
    tried: list[str]
    do: str


def try_namespaces(uid: int, path: str) -> Namespaces:
    """Go where the engine's daemon will live; an ordinary user as rootlesskit goes.

    Args:
        uid: the user.
        path: where newuidmap and newgidmap are looked for.
    """
    if uid == 0:
        return Namespaces(user="", ids="", mounts=_try_mounts())
    ready, telling = os.pipe()
    waiting, go = os.pipe()

    def enter() -> str:
        os.close(go)
        linux.unshare(linux.CLONE_NEWUSER)
        os.close(telling)
        os.read(waiting, 1)  # ends when the ids are mapped
        return _try_mounts()

    inner = Trial(enter)
    os.close(telling)
    os.read(ready, 1)  # ends when it is there, or dead
    ids = "; ".join(filter(None, (_map_ids(inner.pid, uid, kind, path) for kind in ("uid", "gid"))))
    os.close(go)
    try:
        return Namespaces(user="", ids=ids, mounts=inner.result(_SECONDS))
    except TrialFailed as error:
        return Namespaces(user=str(error), ids="", mounts="")


def try_state(chosen: Path | None, env: Mapping[str, str], uid: int) -> StateReport | StateRefusal:
    """Take the state directory, mount overlayfs in it, and let go of it."""
    try:
        state = take_state(chosen, env, uid)
    except EngineError as error:
        return StateRefusal(summary=error.summary, why=error.why, tried=list(error.tried), do=error.do)
    place = state.lease.path
    try:
        overlay = _try_overlay(place)
        return StateReport(path=str(place), notice=state.notice, remedy=state.remedy, overlay=overlay)
    finally:
        if not state.is_kept:
            shutil.rmtree(place, ignore_errors=True)
        os.close(state.lease.lock)


def _map_ids(process: int, uid: int, kind: str, path: str) -> str:
    """Give the process's user namespace the user's ids, as root and above; the program's words when it refuses.

    Empty as well where the program or the ids are missing, which others tell, and where no file says which they are.
    """
    program = find_on_path(f"new{kind}map", path)
    ranges = own_ranges(uid, f"sub{kind}")
    if not program or not ranges:
        return ""
    arguments = [str(process), "0", str(uid if kind == "uid" else os.getegid()), "1"]
    inside = 1
    for first, count in ranges:
        arguments += [str(inside), str(first), str(count)]
        inside += count
    code, printed = capture([str(program), *arguments], {"PATH": os.defpath}, timeout=_SECONDS)
    return f"{program.name}: {printed.decode(errors='replace').strip() or f'exit code {code}'}" if code else ""


def _try_mounts() -> str:
    """A mount and a process namespace with a fresh /proc, as the engine's; the kernel's words when it refuses."""
    try:
        _enter_mount_namespace()
        linux.unshare(linux.CLONE_NEWPID)
    except OSError as error:
        return _words(error)
    return _in_child(_mount_proc)


def _try_overlay(place: Path) -> str:
    """Mount overlayfs below `place`, where nobody else sees it; the kernel's words when it refuses."""
    try:
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    except OSError as error:
        return _words(error)
    try:
        return _in_child(lambda: _mount_overlay(directory))
    finally:
        with contextlib.suppress(OSError):
            (directory / "work" / "work").chmod(0o700)  # overlayfs leaves it closed to its owner
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


def _words(error: OSError) -> str:
    """`mount merged: Invalid argument`; our own calls name themselves, Python's name a file."""
    text = error.strerror or str(error)
    return f"{error.filename}: {text}" if error.filename else text
