"""The keeper: a process that outlives the program, if only by a moment, and leaves nothing of the engine behind.

The program holds the write end of a pipe that nobody else has. The keeper reads from it: an order, or the end of the
program however it came about, SIGKILL included. The other way the keeper tells how the daemon fares. It is forked
before the program has a thread, for a forked process has only the thread that forked it.

    program → keeper    client PID START    the client to end when the program is gone
                        stop SECONDS        end the daemon, with KILL after that time, and clean up
    keeper → program    failed TEXT         the daemon could not be started
                        exit STATUS         the daemon has ended, with that exit code (minus the signal)
                        done                nothing of it is left
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time

from ocibuild_core.engine.held_signals import signals_held
from ocibuild_core.engine.jobs import start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocibuild_core.engine.jobs import KeeperJob

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD)
_STOPPING = 3.0
"""Seconds that the program waits for the keeper's work, which goes on without it."""
_ENDING = 0.1
"""Seconds that it waits for the keeper's own end: not every parent of ours would reap it."""


class Reports:
    """What the keeper has told so far.

    Attributes:
        failure: why the daemon could not be started.
        exit_code: the daemon's end; negative for a signal.
        is_done: nothing is left.
        is_closed: the keeper tells nothing more.
    """

    def __init__(self) -> None:
        self.failure: str | None = None
        self.exit_code: int | None = None
        self.is_done = False
        self.is_closed = False
        self._partial = b""

    def take(self, content: bytes) -> None:
        """Take what was read; nothing means that the other end is closed."""
        self.is_closed = self.is_closed or not content
        *lines, self._partial = (self._partial + content).split(b"\n")
        for line in lines:
            word, _, rest = line.decode(errors="replace").partition(" ")
            if word == "failed":
                self.failure = rest
            elif word == "exit":
                self.exit_code = int(rest)
            elif word == "done":
                self.is_done = True

    @property
    def is_daemon_gone(self) -> bool:
        """Whether there is no daemon, or none that anybody watches."""
        return self.failure is not None or self.exit_code is not None or self.is_closed


class Keeper:
    """The program's hold on its keeper. Not for several threads at once.

    Args:
        pid: the keeper.
        job: what it does.
        lifeline: the write end of its orders.
        reports: the read end of what it tells.
    """

    def __init__(self, pid: int, job: KeeperJob, lifeline: int, reports: int) -> None:
        self.pid = pid
        self._job = job
        self.fd = reports
        self.reports = Reports()
        self._lifeline = lifeline

    def update(self, timeout: float = 0.0) -> Reports:
        """Read what it told meanwhile, waiting up to `timeout` seconds for something."""
        if not self.reports.is_closed:
            poller = select.poll()
            poller.register(self.fd, select.POLLIN)
            if poller.poll(timeout * 1000):
                self.reports.take(os.read(self.fd, 65536))
        return self.reports

    def watch_client(self, pid: int) -> None:
        """Have the client ended when the program is gone."""
        self._order(f"client {pid} {start_time(pid) or 0}")

    def order_stop(self, grace: float) -> None:
        """Have the daemon ended, with KILL after so many seconds, and all cleaned up; does not wait."""
        self._order(f"stop {grace}")

    def stop(self) -> None:
        """Wait for what was ordered. What takes the keeper long goes on without us. Later calls do nothing."""
        if self._lifeline < 0:
            return
        deadline = time.monotonic() + _STOPPING
        while not self.reports.is_closed and (left := deadline - time.monotonic()) > 0:
            self.update(left)
        if self.reports.is_closed and not self.reports.is_done:
            from ocibuild_core.engine.cleaning import clean_up  # noqa: PLC0415  # only when somebody killed the keeper

            clean_up(self._job)
        os.close(self._lifeline)
        os.close(self.fd)
        self._lifeline = -1
        self.reports.is_closed = True
        self._reap()

    def _reap(self) -> None:
        """Wait for the end of its process, which follows its last word at once unless there is much to sweep."""
        deadline = time.monotonic() + _ENDING
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(self.pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
                time.sleep(0.0005)

    def _order(self, text: str) -> None:
        # A keeper that was killed is found out by its reports.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._lifeline, f"{text}\n".encode())


def start_keeper(job: KeeperJob) -> Keeper:
    """Fork the keeper. The caller must be the only thread, and close its copies of the leases' locks."""
    orders, lifeline = os.pipe()
    reports, telling = os.pipe()
    # From the fork until the keeper has handlers of its own, a signal would run the program's in the keeper.
    with signals_held(_SIGNALS):
        pid = os.fork()
        if pid == 0:
            _become_keeper(job, orders, telling)
    os.close(orders)
    os.close(telling)
    return Keeper(pid, job, lifeline, reports)


def _become_keeper(job: KeeperJob, orders: int, telling: int) -> None:
    """Never returns: nothing of the program may run in this process again."""
    try:
        from ocibuild_core.engine.keeping import keep  # noqa: PLC0415  # the program itself has no need of it

        keep(job, orders, telling)
    except BaseException:  # noqa: BLE001  # nobody is above us; what it was is told to the program
        import traceback  # noqa: PLC0415

        text = " | ".join(traceback.format_exc().splitlines()[-3:])
        with contextlib.suppress(OSError):
            os.write(telling, f"failed the keeper broke down: {text}\n".encode(errors="replace"))
    finally:
        os._exit(0)
