"""Running the client's programs without the cost of `subprocess`, and without forking while threads run."""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from typing import TYPE_CHECKING, Self

from ocibuild_core.errors import EngineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Python ignores these, and what is ignored stays so over exec.
_DEFAULTS = (signal.SIGPIPE, signal.SIGXFSZ)
_FIRST_FREE = 3
_REPLACE = "put one in its place that runs on this machine, or take it off PATH"
_LONGEST_ARGUMENT = 128 * 1024
"""MAX_ARG_STRLEN, with 4 KiB pages (execve(2))."""
_WAKING = 0.02
"""Seconds between looks at a child where the kernel cannot wake us at its end."""


class Child:
    """A running program.

    Args:
        pid: its process id.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.exit_code: int | None = None
        try:
            self.fd = os.pidfd_open(pid)  # readable when it has ended (pidfd_open(2), Linux 5.3)
        except OSError:
            self.fd = -1

    @property
    def patience(self) -> float | None:
        """How long to wait at most before looking after it again; None when `fd` tells."""
        return None if self.fd >= 0 else _WAKING

    def has_ended(self) -> bool:
        """Whether it has; then `exit_code` is set, negative for a signal."""
        if self.exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
                self._close()
        return self.exit_code is not None

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended. It is not reaped before, so the id is still its own."""
        if not self.has_ended():
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, and wait for that."""
        self.send(signal.SIGKILL)
        while not self.has_ended():
            time.sleep(0.001)

    def _close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class SignalWakeup:
    """A descriptor to poll beside others: it can be read once a signal came. A context manager.

    A signal that comes after Python's last look for one, and before poll() is entered, would be handled when that
    returns, which may be never (https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd). Python handles
    signals in the main thread alone; elsewhere this waits for nothing.
    """

    def __enter__(self) -> Self:
        self.fd, self._told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._before: int | None = signal.set_wakeup_fd(self._told, warn_on_full_buffer=False)
        except ValueError:  # not the main thread
            self._before = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.set_wakeup_fd(self._before)
        os.close(self.fd)
        os.close(self._told)

    def clear(self) -> None:
        """Forget the signals that came: Python handles them before the next line."""
        os.read(self.fd, 4096)


def spawn(argv: Sequence[str], env: Mapping[str, str], *, output: int | None, extra: int | None = None) -> Child:
    """Start a program with no standard input.

    Args:
        argv: the command; its first word is absolute.
        env: its environment.
        output: where stdout and stderr go; None leaves ours.
        extra: a file that it gets as descriptor `extra_descriptor(extra)`.

    Raises:
        EngineError: it could not be started.
        UsageError: there is more in its arguments than the kernel takes.
    """
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    ]
    if extra is not None:
        actions.append((os.POSIX_SPAWN_DUP2, extra, extra_descriptor(extra)))
    if output is not None:
        actions += [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    try:
        pid = os.posix_spawn(argv[0], list(argv), env, file_actions=actions, setsigmask=(), setsigdef=_DEFAULTS)
    except OSError as error:
        if error.errno == errno.E2BIG:
            raise _too_long(argv, env) from None
        raise EngineError(f"{argv[0]} cannot be run", why=error.strerror or str(error), do=_REPLACE) from None
    return Child(pid)


def _too_long(argv: Sequence[str], env: Mapping[str, str]) -> UsageError:
    """What execve(2) says of the limits: one for each text, and one for all together."""
    sizes = {text: len(os.fsencode(text)) + 1 for text in (*argv, *(f"{key}={value}" for key, value in env.items()))}
    longest = max(sizes, key=sizes.__getitem__)
    if sizes[longest] > _LONGEST_ARGUMENT:
        why = f"{longest.partition('=')[0][:100]} has {sizes[longest]} bytes, and Linux takes {_LONGEST_ARGUMENT}"
        do = "put it into a file: of the context, or of a secret (--secret id=NAME,src=FILE)"
    else:
        total = sum(sizes.values())
        why = f"together they have {total} bytes, and Linux takes a quarter of the stack's limit, 6 MiB at most"
        do = "put some of it into a file of the context, or raise the limit (ulimit -s)"
    return UsageError("the build's arguments, labels and settings are too long for BuildKit's client", why=why, do=do)


def extra_descriptor(extra: int) -> int:
    """The number that `extra` has in the child. Never its own: it would be closed there."""
    return _FIRST_FREE if extra != _FIRST_FREE else _FIRST_FREE + 1


class Capture:
    """A program whose output is kept. It runs from now on; `result` waits for it.

    Args:
        argv: the command; its first word is absolute.
        env: its environment.

    Raises:
        EngineError: it could not be started.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        reading, writing = os.pipe()
        self._output = os.fdopen(reading, "rb", buffering=0)
        try:
            self._child = spawn(argv, env, output=writing)
        except EngineError:
            self._output.close()
            raise
        finally:
            os.close(writing)

    def result(self, deadline: float) -> tuple[int, bytes]:
        """Exit code and all that it printed; at the deadline, in `time.monotonic`'s seconds, it is killed."""
        poller = select.poll()
        poller.register(self._output, select.POLLIN)
        pieces: list[bytes] = []
        while (left := deadline - time.monotonic()) > 0:
            if poller.poll(left * 1000):
                piece = self._output.read(65536)
                if not piece:
                    break
                pieces.append(piece)
        while not self._child.has_ended() and time.monotonic() < deadline:
            time.sleep(0.001)
        self.abandon()
        return self._child.exit_code or 0, b"".join(pieces)

    def abandon(self) -> None:
        """End it if it runs."""
        self._child.kill()
        self._output.close()


def capture(argv: Sequence[str], env: Mapping[str, str], *, timeout: float) -> tuple[int, bytes]:
    """Run a program to its end: exit code and all that it printed. After `timeout` seconds it is killed."""
    return Capture(argv, env).result(time.monotonic() + timeout)
