"""Work that several threads want done: once for all of them, or beside their own."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from ocibuild_ecr.problems import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from ocibuild_core.plugin import ProviderContext

_V = TypeVar("_V")

_FAILURE_SECONDS = 10.0


@dataclass(slots=True)
class _Slot(Generic[_V]):
    lock: threading.Lock = field(default_factory=threading.Lock)
    values: list[_V] = field(default_factory=list)
    failure: Failure | None = None
    made_at: float = 0.0


class Once(Generic[_V]):
    """Makes a value once for each key, however many threads ask. A failure holds for some seconds, too.

    So a hundred registries of one identity that is refused cost one refusal.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[Hashable, _Slot[_V]] = {}

    def get(
        self,
        key: Hashable,
        make: Callable[[], _V],
        context: ProviderContext,
        is_good: Callable[[_V, float], bool],
    ) -> _V:
        """The value for the key.

        Args:
            key: all that the value depends on.
            make: makes it.
            context: clock and deadline of the one who asks.
            is_good: whether a value that was made so many seconds ago may be used again.

        Raises:
            Failure: `make` raised it, now or just before; or another thread makes the value past our deadline.
        """
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
        if not slot.lock.acquire(timeout=context.remaining()):
            raise Failure("no answer from AWS in time", do="try again; raise --login-timeout if the way is slow")
        try:
            return self._get(slot, make, context, is_good)
        finally:
            slot.lock.release()

    def _get(
        self, slot: _Slot[_V], make: Callable[[], _V], context: ProviderContext, is_good: Callable[[_V, float], bool]
    ) -> _V:
        age = context.clock.monotonic() - slot.made_at
        if slot.failure is not None and age < _FAILURE_SECONDS:
            raise slot.failure.with_traceback(None)
        if not slot.values or not is_good(slot.values[0], age):
            slot.failure = None
            try:
                slot.values = [make()]
            except Failure as failure:
                slot.failure = failure
                raise
            finally:
                slot.made_at = context.clock.monotonic()
        return slot.values[0]


class Aside:
    """A text that is made in a thread of its own; nobody depends on it.

    Args:
        make: makes it. Whatever it raises means that there is none.
    """

    def __init__(self, make: Callable[[], str]) -> None:
        self._make = make
        self._text = ""
        self._done = threading.Event()
        threading.Thread(target=self._run, daemon=True, name="ocibuild-ecr-aside").start()

    def result(self, seconds: float) -> str:
        """The text, or nothing when it is not there in time."""
        self._done.wait(seconds)
        return self._text

    def _run(self) -> None:
        try:
            self._text = self._make()
        except Exception:  # noqa: BLE001, S110  # as said above: this is for people only, the login goes on
            pass
        finally:
            self._done.set()
