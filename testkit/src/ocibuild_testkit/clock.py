"""A clock that moves when the test says so."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

_START = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


class FakeClock:
    """A `Clock` by hand: both of its times stand still until `advance`. Safe to use from several threads.

    Args:
        now: the wall clock at the start, aware.
    """

    def __init__(self, now: datetime = _START) -> None:
        if now.tzinfo is None:
            raise ValueError("a clock's time has a time zone")
        self._lock = threading.Lock()
        self._start = now.astimezone(UTC)
        self._elapsed = 0.0
        self._skew = timedelta()

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        with self._lock:
            return self._start + timedelta(seconds=self._elapsed) + self._skew

    def monotonic(self) -> float:
        """Seconds since the clock was made, and a thousand: zero is a value that hides faults."""
        with self._lock:
            return 1000.0 + self._elapsed

    def advance(self, seconds: float) -> None:
        """Let time go by."""
        if seconds < 0:
            raise ValueError("time does not go back: use `set_now` for a wall clock that is put right")
        with self._lock:
            self._elapsed += seconds

    def set_now(self, now: datetime) -> None:
        """Put the wall clock to `now`, as an administrator would; the monotonic one does not notice."""
        with self._lock:
            self._skew = now.astimezone(UTC) - self._start - timedelta(seconds=self._elapsed)
