"""One run of `buildctl build`: its output, its events, and its end when the daemon or the program ends."""

from __future__ import annotations

import os
import select
import signal
import time
from typing import TYPE_CHECKING, Any

from ocibuild_core.engine.held_signals import ENDING, signals_held
from ocibuild_core.engine.process import SignalWakeup, extra_descriptor, spawn
from ocibuild_core.records import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ocibuild_core.engine.process import Child

_PIECE = 65536
_TERM_PATIENCE = 1.5
"""Seconds that the client gets to cancel its build after TERM: the daemon ends the running step first. With the
keeper's time it stays below the 5 s in which a signal has to have ended everything."""


class Preamble:
    """Takes out of the client's first lines, which are its own log, what is no word for the reader."""

    _OWN = b'time="'
    _DROPPED = (
        b"tracing logs to /proc/self/fd/",  # nobody asked for the trace but us
        # Of every directory with a cache, on most file systems (plugins/content/local in containerd/containerd).
        b'msg="failed check for fsverity support"',
    )

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self._sink = sink
        self._held: bytes | None = b""

    def take(self, piece: bytes) -> None:
        """Hand a piece on. Only a first line that is not whole yet is held back."""
        if self._held is None:
            self._sink(piece)
            return
        self._held += piece
        while self._held.startswith(self._OWN) and b"\n" in self._held:
            line, newline, self._held = self._held.partition(b"\n")
            if not any(mark in line for mark in self._DROPPED):
                self._sink(line + newline)
        if not self._OWN.startswith(self._held[: len(self._OWN)]):
            self.end()

    def end(self) -> None:
        """What was held back is no line of the log, or all that there is."""
        if self._held:
            self._sink(self._held)
        self._held = None


class EventLines:
    """Makes events of the client's trace: JSON documents of `client.SolveStatus` in moby/buildkit, one a line.

    Lines that hold nothing but a step's output or progress are passed over, for they are most of the stream.
    """

    _MARKS = (b'"warnings":[', b'"id":"pushing manifest for ')

    def __init__(self, sink: Callable[[Mapping[str, Any]], None]) -> None:
        self._sink = sink
        self._partial = b""

    def take(self, piece: bytes) -> None:
        """Take a piece of the stream, cut anywhere."""
        *lines, self._partial = (self._partial + piece).split(b"\n")
        for line in lines:
            if line.startswith(b'{"vertexes":') or any(mark in line for mark in self._MARKS):
                self._hand_on(line)

    def _hand_on(self, line: bytes) -> None:
        import json  # noqa: PLC0415  # the daemon is starting while others load it

        self._sink(json.loads(line))


class Watch(NamedTuple):
    """How the engine's end is noticed during a run.

    Args:
        fd: can be read when there is news of the engine; None when nobody watches it.
        check: called then, and after a failure; raises when the engine is gone.
        silence: seconds in which nothing is heard, after which `ask` is called; None for no question.
        ask: raises when the engine is silent, too.
    """

    fd: int | None
    check: Callable[[], None]
    silence: float | None = None
    ask: Callable[[], None] = lambda: None


class ClientRun:
    """A run of `buildctl`.

    Args:
        argv: the command; `--trace` is added when there are events to hand on.
        env: its environment.
        on_output: takes stdout and stderr as they come; None hands it the terminal.
        on_event: takes what happens; only together with `on_output`, for the client tells on the terminal of its trace.
        trace_at: where in `argv` the arguments of `build` begin.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        on_output: Callable[[bytes], None] | None,
        on_event: Callable[[Mapping[str, Any]], None] | None,
        trace_at: int,
    ) -> None:
        self._argv = list(argv)
        self._env = env
        self._trace_at = trace_at
        self._on_event = on_event if on_output is not None else None
        self._preamble = Preamble(on_output) if on_output is not None else None
        self._on_output = self._preamble.take if self._preamble else None
        self._sinks: dict[int, Callable[[bytes], None]] = {}
        self._child: Child | None = None

    def run(self, watch: Watch, on_start: Callable[[int], None]) -> int:
        """Run it, hand on what comes until it has ended; its exit code. However this ends, so does the client.

        Args:
            watch: notices the engine's end.
            on_start: told the process id; what it raises ends the client, and nothing that it said is handed on.
        """
        try:
            child = self._start()
            try:
                on_start(child.pid)
            except BaseException:
                child.kill()
                self._close()
                raise
            with SignalWakeup() as signals:
                heard = time.monotonic()
                while not child.has_ended():
                    patience = watch.silence if child.patience is None else child.patience
                    if self._pump(child, patience, watch, signals):
                        heard = time.monotonic()
                    elif watch.silence is not None and time.monotonic() - heard >= watch.silence:
                        watch.ask()
                        heard = time.monotonic()
            self._drain()
            if self._preamble:
                self._preamble.end()
            return child.exit_code or 0
        finally:
            self._end()

    def _start(self) -> Child:
        writing: list[int] = []
        # A signal's handler may raise anywhere; not where the child's process id would be lost.
        with signals_held(ENDING):
            try:
                output = self._pipe(writing, self._on_output) if self._on_output else None
                trace = self._pipe(writing, EventLines(self._on_event).take) if self._on_event else None
                command = list(self._argv)
                if trace is not None:
                    where = f"/proc/self/fd/{extra_descriptor(trace)}"
                    command[self._trace_at : self._trace_at] = ["--trace", where]
                self._child = spawn(command, self._env, output=output, extra=trace)
                return self._child
            finally:
                for fd in writing:
                    os.close(fd)

    def _pipe(self, writing: list[int], sink: Callable[[bytes], None]) -> int:
        reading, write_end = os.pipe()
        writing.append(write_end)
        os.set_blocking(reading, False)
        self._sinks[reading] = sink
        return write_end

    def _pump(
        self, child: Child, patience: float | None, watch: Watch | None = None, signals: SignalWakeup | None = None
    ) -> bool:
        """Wait, and hand on what there is; whether there was anything."""
        poller = select.poll()
        also = watch.fd if watch else None
        woken = signals.fd if signals else None
        for fd in (*self._sinks, *(fd for fd in (child.fd, also, woken) if fd is not None and fd >= 0)):
            poller.register(fd, select.POLLIN)
        news = poller.poll(None if patience is None else patience * 1000)
        for fd, _ in news:
            if fd in self._sinks:
                self._hand_on(fd)
            elif fd == also and watch:
                watch.check()
            elif fd == woken and signals:
                signals.clear()
        return bool(news)

    def _hand_on(self, fd: int) -> bool:
        """One piece; False when there is none now. A descriptor at its end is closed."""
        try:
            piece = os.read(fd, _PIECE)
        except BlockingIOError:
            return False
        if not piece:
            del self._sinks[fd]
            os.close(fd)
            return False
        self._sinks[fd](piece)
        return True

    def _drain(self) -> None:
        """What is in the pipes. Not to their ends: a program that the client left behind may hold them open."""
        for fd in tuple(self._sinks):
            while self._hand_on(fd):
                pass

    def _end(self) -> None:
        """End the client if it runs: its build is cancelled first, and what it says of that is handed on."""
        try:
            if self._child:
                self._child.send(signal.SIGTERM)
                deadline = time.monotonic() + _TERM_PATIENCE
                while not self._child.has_ended() and time.monotonic() < deadline:
                    self._pump(self._child, 0.02)
                self._drain()
        finally:
            if self._child:
                self._child.kill()
            self._close()

    def _close(self) -> None:
        for fd in self._sinks:
            os.close(fd)
        self._sinks.clear()
