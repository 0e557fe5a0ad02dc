"""The user's credential helpers that are running: none of them outlives those who asked it."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING

from ocibuild_core.errors import CredentialError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import Popen


class HelpersClosed(CredentialError):  # noqa: N818  # a state, not a fault
    """Nobody waits for the answer any more."""


class RunningHelpers:
    """Starts helpers, each with a process group of its own, until it is closed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[Popen[bytes]] = set()
        self._is_closed = False

    @contextmanager
    def started(self, start: Callable[[], Popen[bytes]]) -> Iterator[Popen[bytes]]:
        """The process that `start` gives; with its group it is killed when the block ends, or when all are.

        Raises:
            HelpersClosed: they were closed, before or meanwhile.
        """
        with self._lock:
            self._refuse_closed()
            process = start()
            self._running.add(process)
        try:
            yield process
        finally:
            with self._lock:
                self._running.discard(process)
            _kill(process)
            _release(process)
            self._refuse_closed()

    def close(self) -> None:
        """Kill those that run, with their groups, and start no more."""
        with self._lock:
            self._is_closed = True
            for process in self._running:
                _kill(process)

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise HelpersClosed("no credential helper is asked any more", why="the build is over")


def _kill(process: Popen[bytes]) -> None:
    # A helper that is setuid cannot be killed by us.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _release(process: Popen[bytes]) -> None:
    from subprocess import TimeoutExpired  # noqa: PLC0415  # loaded by now; most users have no helper

    with suppress(TimeoutExpired):  # it could not be killed; then there is nothing to wait for
        process.wait(1)
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
