"""Calls into code that is not ours: each in a thread of its own, under a deadline, kept off stdout."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_T = TypeVar("_T")


class CallTimeout(Exception):  # noqa: N818  # not an error of the family: the caller turns it into one
    """The call did not return in time. Its thread is a daemon and keeps no process alive."""


class Call(Generic[_T]):
    """One call under way in its own daemon thread.

    Args:
        function: what is called.
        say: what it prints to stdout goes here, line by line; without it stdout is left alone.
    """

    def __init__(self, function: Callable[[], _T], *, say: Callable[[str], None] | None = None) -> None:
        self._function = function
        self._say = say
        self._done = threading.Event()
        self._result: list[_T] = []
        self._error: BaseException | None = None
        threading.Thread(target=self._run, daemon=True, name="ocibuild-call").start()

    def wait(self, timeout: float) -> BaseException | None:
        """Wait for its end; gives what the call raised, `SystemExit` included, so that it can't be taken for ours.

        Raises:
            CallTimeout: it has not returned within `timeout` seconds.
        """
        if not self._done.wait(timeout):
            raise CallTimeout
        return self._error

    def result(self, timeout: float = threading.TIMEOUT_MAX) -> _T:
        """What the call returned; raises what it raised, or `CallTimeout`."""
        error = self.wait(timeout)
        if error is not None:
            raise error
        return self._result[0]

    def _run(self) -> None:
        guard = stdout_to(self._say) if self._say else contextlib.nullcontext()
        try:
            with guard:
                self._result.append(self._function())
        except BaseException as error:  # noqa: BLE001  # handed to the one who waits
            self._error = error
        finally:
            self._done.set()


def side_by_side(functions: Iterable[Callable[[], _T]]) -> list[Call[_T]]:
    """Start every function at once."""
    return [Call(function) for function in functions]


@contextlib.contextmanager
def stdout_to(say: Callable[[str], None]) -> Iterator[None]:
    """Hand what this thread prints to `say`, line by line; other threads' stdout is as before.

    stdout carries results (BuildKit's log, the helper's JSON), and a plugin that prints would break them.
    """
    lines = _Lines(say)
    with _routes_lock:
        if not _routes:
            _original.append(sys.stdout)
            sys.stdout = _Router(sys.stdout or io.StringIO())
        _routes[threading.get_ident()] = lines
    try:
        yield
    finally:
        lines.end()
        with _routes_lock:
            _routes.pop(threading.get_ident(), None)
            if not _routes:
                original = _original.pop()
                if isinstance(sys.stdout, _Router):
                    sys.stdout = original


_routes_lock = threading.Lock()
_routes: dict[int, _Lines] = {}
_original: list[Any] = []


class _Router(io.TextIOBase):
    """A stdout that looks at who writes."""

    def __init__(self, original: Any) -> None:  # noqa: ANN401  # whatever stands in for stdout
        self._stdout = original

    def write(self, text: str) -> int:
        lines = _routes.get(threading.get_ident())
        if lines is None:
            return int(self._stdout.write(text))
        lines.write(text)
        return len(text)

    def flush(self) -> None:
        # A thread that is kept off stdout has nothing there to flush.
        if threading.get_ident() not in _routes:
            self._stdout.flush()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing: the original is not ours to close."""

    def fileno(self) -> int:
        return int(self._stdout.fileno())

    def isatty(self) -> bool:
        return bool(self._stdout.isatty())

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever stands in for stdout
        return getattr(self._stdout, name)


class _Lines:
    _LONGEST = 2000

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = ""

    def write(self, text: str) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._say(line[: self._LONGEST])
        self._rest = self._rest[: self._LONGEST]

    def end(self) -> None:
        if self._rest:
            self._say(self._rest)
        self._rest = ""
