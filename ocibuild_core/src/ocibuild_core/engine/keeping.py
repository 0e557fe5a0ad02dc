"""What the keeper does. It runs in a process of its own, forked by `keeper`."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time

from ocibuild_core.engine import linux
from ocibuild_core.engine.daemon import LaunchError, RuncDirectory, start_daemon
from ocibuild_core.engine.jobs import Isolation, start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocibuild_core.engine.jobs import KeeperJob

_GRACE = 1.0
"""Seconds between TERM and KILL when the program is gone."""
_CLIENT_GRACE = 0.3
"""The same for the client: time to put the terminal in order."""
_ORPHANS = 2.0
"""Seconds for the kernel to end what rootlesskit leaves behind when it is killed."""


def keep(job: KeeperJob, orders: int, telling: int) -> None:
    """Start the daemon, wait for the program's word or its end, end the daemon, clean up."""
    os.setsid()
    _let_go_of_everything_else({orders, telling, *(lease.lock for lease in job.leases)})
    linux.set_name("ocibuild-keeper")
    Vigil(job, orders, telling).keep()


class Vigil:
    """One keeper's state."""

    def __init__(self, job: KeeperJob, orders: int, telling: int) -> None:
        self._job = job
        self._orders = orders
        self._telling = telling
        self._partial = b""
        self._client = (0, 0)
        self._daemon = 0
        self._grace: float | None = None
        self._runc: RuncDirectory | None = None
        self._wake, waking = os.pipe()
        for end in (self._wake, waking):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        # The program alone decides when it is over; TERM and INT reach a whole group or service at once.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def keep(self) -> None:
        """See `keep` above."""
        self._start()
        poller = select.poll()
        poller.register(self._orders, select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        while self._grace is None:
            for fd, _ in poller.poll():
                if fd == self._orders:
                    self._obey()
                else:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake, 4096)
                    self._note_end()
        self._end_client()
        self._end_daemon(self._grace)
        self._clean()

    def _start(self) -> None:
        daemon = self._job.daemon
        if daemon is None:
            return
        try:
            if daemon.isolation is Isolation.ROOTLESSKIT:
                linux.adopt_orphans()
            if daemon.runc_directory:
                self._runc = RuncDirectory(daemon.runc_directory)
            self._daemon = start_daemon(daemon, self._runc)
        except (LaunchError, OSError) as error:
            self._tell(f"failed {error}")

    def _obey(self) -> None:
        content = os.read(self._orders, 4096)
        if not content:
            self._grace = _GRACE
            return
        *lines, self._partial = (self._partial + content).split(b"\n")
        for line in lines:
            word, *rest = line.decode().split()
            if word == "client":
                self._client = (int(rest[0]), int(rest[1]))
            elif word == "stop":
                self._client = (0, 0)
                self._grace = float(rest[0])

    def _note_end(self) -> None:
        """Tell the program when the daemon has ended."""
        if not self._daemon:
            return
        pid, status = os.waitpid(self._daemon, os.WNOHANG)
        if pid:
            self._daemon = 0
            self._tell(f"exit {os.waitstatus_to_exitcode(status)}")

    def _end_client(self) -> None:
        pid, started = self._client
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not started or start_time(pid) != started:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = time.monotonic() + _CLIENT_GRACE
            while start_time(pid) == started and time.monotonic() < deadline:
                time.sleep(0.005)

    def _end_daemon(self, grace: float) -> None:
        if self._daemon and grace:
            os.kill(self._daemon, signal.SIGTERM)
            from ocibuild_core.engine import cleaning  # noqa: F401, PLC0415  # `_clean`; the daemon ends meanwhile

            deadline = time.monotonic() + grace
            poller = select.poll()
            poller.register(self._wake, select.POLLIN)
            while self._daemon and (left := deadline - time.monotonic()) > 0:
                poller.poll(left * 1000)
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake, 4096)
                self._note_end()
        if self._daemon:
            os.kill(self._daemon, signal.SIGKILL)
            os.waitpid(self._daemon, 0)
            self._daemon = 0
        if self._job.daemon and self._job.daemon.isolation is Isolation.ROOTLESSKIT:
            _end_orphans()

    def _clean(self) -> None:
        from ocibuild_core.engine.cleaning import clean_up, sweep_left_overs  # noqa: PLC0415  # the daemon starts first
        from ocibuild_core.engine.removing import empty_directory  # noqa: PLC0415

        clean_up(self._job)
        if self._runc:
            self._runc.release()
        if self._job.temporary:
            empty_directory(self._job.temporary)
        self._tell("done")
        os.close(self._telling)
        # The program need not wait for this.
        sweep_left_overs(self._job)

    def _tell(self, text: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._telling, (text.replace("\n", " | ") + "\n").encode(errors="replace"))


def _let_go_of_everything_else(kept: set[int]) -> None:
    """Close what the program had open: a reader of its output must not wait for us."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) > 2 and int(name) not in kept:  # noqa: PLR2004  # stderr
            with contextlib.suppress(OSError):
                os.close(int(name))


def _end_orphans() -> None:
    """End what rootlesskit left behind; what the kernel has not ended yet became our child."""
    deadline = time.monotonic() + _ORPHANS
    while time.monotonic() < deadline:
        for child in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.002)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:  # noqa: PTH123
            return [int(child) for child in file.read().split()]
    except FileNotFoundError:
        return []  # a kernel without CONFIG_PROC_CHILDREN
