"""Starting the daemon from the keeper, so that the kernel ends all of its processes with it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
from pathlib import Path

from ocibuild_core.core_dumps import allow_core_dumps_again
from ocibuild_core.engine import linux
from ocibuild_core.engine.cgroup1 import missing_hierarchies, mount_hierarchies
from ocibuild_core.engine.jobs import Isolation
from ocibuild_core.places import is_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from ocibuild_core.engine.jobs import DaemonJob

_DEFAULT_CONFIGURATION = Path("/etc/buildkit/buildkitd.toml")
"""Where buildkitd takes the defaults of its flags from, whatever `--config` says (`defaultConf` in cmd/buildkitd)."""


class LaunchError(Exception):
    """The daemon's process could not be prepared; the text says at which step."""


class RuncDirectory:
    """The mount point for runc's state, shared by all runs of the machine and removed by the last one that made it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = -1
        self._is_ours = False
        while True:
            try:
                path.mkdir(mode=0o700)
                self._is_ours = True
            except FileExistsError:
                self._is_ours = False
            except OSError as error:
                # A read-only root file system: nobody else can have it either.
                if error.errno == errno.EROFS:
                    return
                raise
            with contextlib.suppress(FileNotFoundError):
                self._lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                fcntl.flock(self._lock, fcntl.LOCK_SH)
                if path.exists() and path.stat().st_ino == os.fstat(self._lock).st_ino:
                    return
                os.close(self._lock)
            # A run that ended just now removed it.

    def cover(self) -> None:
        """Put an empty file system of our own over it, in this mount namespace."""
        if self._lock < 0:
            linux.mount("tmpfs", str(self._path.parent), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=0755")
            self._path.mkdir(mode=0o700)
            return
        linux.mount("tmpfs", str(self._path), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=0700")

    def release(self) -> None:
        """Remove it if it was not there before, and no other run has it mounted: that mount would go with it."""
        if self._lock < 0:
            return
        if self._is_ours:
            with contextlib.suppress(OSError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._path.rmdir()
        os.close(self._lock)


def start_daemon(job: DaemonJob, runc: RuncDirectory | None) -> int:
    """Start the daemon; its process id. LaunchError or OSError when it does not come to run.

    With `Isolation.NAMESPACES` this process's next child is the first of a new process namespace, so this can be done
    once.
    """
    if job.isolation is Isolation.NAMESPACES:
        _prepare_namespaces()
    result, telling = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become_daemon(job, runc, telling)
    os.close(telling)
    with os.fdopen(result, "rb") as file:
        problem = file.read().decode(errors="replace")
    if problem:
        os.waitpid(pid, 0)
        raise LaunchError(problem)
    return pid


def _prepare_namespaces() -> None:
    missing = missing_hierarchies()
    if missing:
        # Mounted where only we and the daemon see it: the container's own view stays as it is.
        linux.unshare(linux.CLONE_NEWNS)
        linux.mount("none", "/", None, linux.MS_REC | linux.MS_SLAVE)
        mount_hierarchies(missing)
    linux.unshare(linux.CLONE_NEWPID)


def _become_daemon(job: DaemonJob, runc: RuncDirectory | None, telling: int) -> NoReturn:
    """Never returns: what goes wrong is written to `telling`, which closes by itself when the daemon runs."""
    step = "namespaces"
    try:
        if job.isolation is Isolation.NAMESPACES:
            linux.unshare(linux.CLONE_NEWNS)
            # Slave: what is mounted here stays here, and what the machine unmounts goes here as well.
            linux.mount("none", "/", None, linux.MS_REC | linux.MS_SLAVE)
            linux.mount("proc", "/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
            _cover_default_configuration(job.configuration)
        if runc:
            runc.cover()
        step = "its output"
        _redirect(job.log)
        step = str(job.argv[0])
        _die_with_keeper(telling)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        allow_core_dumps_again()
        os.chdir("/")
        os.execve(job.argv[0], job.argv, dict(job.env))
    except BaseException as error:  # noqa: BLE001  # nobody is above us; the keeper is told
        with contextlib.suppress(OSError):
            os.write(telling, f"{step}: {error}".encode(errors="replace"))
    finally:
        os._exit(127)


def _cover_default_configuration(configuration: Path) -> None:
    """Another BuildKit's certificates would shut our client out, and a mistake in there would end our daemon."""
    if is_file(_DEFAULT_CONFIGURATION):
        linux.mount(str(configuration), str(_DEFAULT_CONFIGURATION), None, linux.MS_BIND)


def _redirect(log: Path) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
    for fd in (1, 2):
        os.dup2(output, fd)


def _die_with_keeper(telling: int) -> None:
    linux.die_with_parent(signal.SIGKILL)
    # The keeper alone reads the other end: an error there means that it died before the kernel knew.
    poller = select.poll()
    poller.register(telling, 0)
    if poller.poll(0):
        os._exit(127)
