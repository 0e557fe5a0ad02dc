"""Things that are tried in a process of their own: what they change there is gone with it, and one that hangs is left.

Start a trial before any thread is started: it forks.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from typing import TYPE_CHECKING, Any, NoReturn

from ocibuild_core.engine import linux

if TYPE_CHECKING:
    from collections.abc import Callable

_ENDING = 0.2
"""Seconds for a killed process to go; one that the kernel holds on to is left to it."""


class TrialFailed(Exception):  # noqa: N818  # a state of the world, caught by the one who asked
    """It gave no result; the message says why."""


class Trial:
    """A function that runs in a child from now on.

    Args:
        function: gives what JSON can hold. An OSError of it is a failed trial.

    Attributes:
        pid: the child.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _run(function, writing)
        os.close(writing)

    def result(self, seconds: float) -> Any:  # noqa: ANN401  # JSON
        """What the function gave; TrialFailed when it failed, died, or is not done within so many seconds."""
        try:
            content = self._read(time.monotonic() + seconds)
        finally:
            os.close(self._reading)
            self._end()
        if content is None:
            raise TrialFailed(f"no result within {seconds:g} s")
        if not content:
            raise TrialFailed("its process was killed")
        answer = json.loads(content)
        if "error" in answer:
            raise TrialFailed(answer["error"])
        return answer["result"]

    def _read(self, deadline: float) -> bytes | None:
        poller = select.poll()
        poller.register(self._reading, select.POLLIN)
        pieces: list[bytes] = []
        while poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
            piece = os.read(self._reading, 65536)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
        return None

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        deadline = time.monotonic() + _ENDING
        with contextlib.suppress(ChildProcessError):
            while not os.waitpid(self.pid, os.WNOHANG)[0] and time.monotonic() < deadline:
                time.sleep(0.001)


def _run(function: Callable[[], object], writing: int) -> NoReturn:
    """The child. Never returns, and runs nothing of what the program does at its end."""
    try:
        linux.die_with_parent(signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        try:
            answer = {"result": function()}
        except OSError as error:
            answer = {"error": error.strerror or str(error)}
        content = json.dumps(answer).encode()
        while content:
            content = content[os.write(writing, content) :]
    finally:
        os._exit(0)
