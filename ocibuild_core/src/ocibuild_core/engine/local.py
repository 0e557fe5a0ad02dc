"""A BuildKit of our own: started at once, waited for later, gone when we are."""

from __future__ import annotations

import os
import select
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocibuild_core.engine import rootless
from ocibuild_core.engine.base import Engine
from ocibuild_core.engine.client import Watch
from ocibuild_core.engine.find import FROM_PATH
from ocibuild_core.engine.log import last_lines
from ocibuild_core.engine.process import capture
from ocibuild_core.engine.solve import Solver, signal_name
from ocibuild_core.engine.versions import CACHE_LIMIT, Version, check_features, parse_version, show_version
from ocibuild_core.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from ocibuild_core.engine.find import Programs
    from ocibuild_core.engine.keeper import Keeper
    from ocibuild_core.engine.settings import EngineSettings
    from ocibuild_core.engine.state import State
    from ocibuild_core.engine.versions import Feature

_POLL = 0.002
"""Seconds between looks while the daemon does not listen yet; from then on it wakes us."""
_GRACE = 1.0
"""Seconds between TERM and KILL. Nobody is connected any more; then it takes about 5 ms."""
_NEWS = 1.0
"""Seconds for the keeper to tell of an end that we have noticed ourselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a daemon is.

    Args:
        socket: where it listens.
        reference: where the client writes the build's name.
        state: its cache and its log.
    """

    socket: Path
    reference: Path
    state: State


class LocalEngine(Engine):
    """See `Engine`.

    Args:
        settings: what was asked for.
        programs: what it runs.
        keeper: who started it.
        places: where it is.
        deadline: in `time.monotonic`'s seconds; then it must be ready.
    """

    is_remote = False

    def __init__(
        self, *, settings: EngineSettings, programs: Programs, keeper: Keeper, places: Places, deadline: float
    ) -> None:
        self._settings = settings
        self._programs = programs
        self._keeper = keeper
        self._places = places
        self._deadline = deadline
        self._is_ready = False
        self._solver = Solver(
            (str(programs.buildctl), f"--addr=unix://{places.socket}"), settings, keeper, reference=places.reference
        )
        if places.state.notice:
            self.notices = (places.state.notice,)

    @property
    def describe(self) -> str:
        """See `Engine`."""
        version = self._version(str(self._programs.buildkitd))
        origin = self._programs.origin if self._programs.origin != FROM_PATH else f"{self._programs.buildkitd}"
        kept = "state" if self._places.state.is_kept else "throw-away state"
        number = show_version(version) if version else "(unknown version)"
        return f"BuildKit {number} from {origin}, {kept} in {self._places.state.lease.path}"

    def wait_ready(self) -> None:
        """See `Engine`."""
        if self._is_ready:
            return
        from ocibuild_core.engine.readiness import Probe  # noqa: PLC0415  # `socket` loads while the daemon does

        if self._programs.origin == FROM_PATH:
            self.require([CACHE_LIMIT])
        probe = Probe(self._places.socket)
        try:
            while not probe.is_serving():
                self._wait_for_news(probe.fd)
        finally:
            probe.close()
        self._is_ready = True

    def require(self, features: Iterable[Feature]) -> None:
        """See `Engine`. The wheel's BuildKit is as new as we are."""
        if self._programs.origin != FROM_PATH:
            return
        wanted = tuple(features)
        for program in (self._programs.buildkitd, self._programs.buildctl):
            check_features(self._version(str(program)), wanted, what=f"{program} on PATH")

    def solve(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str],
        on_output: Callable[[bytes], None] | None,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
        secret_names: Collection[str] = (),
    ) -> int:
        """See `Engine`."""
        self.wait_ready()
        return self._solver.run(
            arguments,
            self._solver.environment(env, secret_names),
            on_output=on_output,
            on_event=on_event,
            watch=Watch(fd=self._keeper.fd, check=self._check_alive),
        )

    def request_stop(self) -> None:
        """See `Engine`."""
        # Before it is ready nothing was entrusted to it, and it may not listen to TERM yet.
        self._keeper.order_stop(_GRACE if self._is_ready else 0.0)

    def stop(self) -> None:
        """See `Engine`."""
        self._keeper.stop(_GRACE if self._is_ready else 0.0)

    def _wait_for_news(self, connection: int | None) -> None:
        """Wait for the daemon's first word, its end, or the deadline."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._failed(
                f"the engine was not ready within {self._settings.start_timeout:g} s",
                do="raise --start-timeout if this machine is slow",
            )
        poller = select.poll()
        poller.register(self._keeper.fd, select.POLLIN)
        if connection is not None:
            poller.register(connection, select.POLLIN)
        timeout = left if connection is not None else min(left, _POLL)
        if any(fd == self._keeper.fd for fd, _ in poller.poll(timeout * 1000)):
            self._check_alive()

    def _check_alive(self) -> None:
        """Raise EngineError when there is no daemon any more."""
        from ocibuild_core.engine.readiness import is_listening  # noqa: PLC0415  # loaded by `wait_ready`

        reports = self._keeper.update()
        if not reports.is_daemon_gone and self._is_ready and not is_listening(self._places.socket):
            reports = self._keeper.update(_NEWS)  # the news is on its way
        if not reports.is_daemon_gone:
            return
        when = "during the build" if self._is_ready else "while it started"
        if reports.failure is not None:
            raise EngineError("the engine could not be started", why=reports.failure, do=self._remedy(reports.failure))
        if reports.exit_code is None:
            raise self._failed(f"the engine's keeper was killed {when}, and the engine with it")
        ended = signal_name(-reports.exit_code) if reports.exit_code < 0 else f"exit code {reports.exit_code}"
        raise self._failed(f"the engine ended {when} ({ended})")

    def _failed(self, summary: str, do: str = "") -> EngineError:
        log = self._places.state.log
        lines = last_lines(log)
        return EngineError(summary, why=f"the last lines of {log}:\n{lines}", do=self._remedy(lines) or do)

    def _remedy(self, text: str) -> str:
        if "no space left on device" in text:
            return f"make room in {self._places.state.lease.path}, or choose another place with --state-dir"
        if self._programs.rootlesskit:
            return rootless.remedy(text)
        return ""

    def _version(self, program: str) -> Version | None:
        _, printed = capture([program, "--version"], {"PATH": os.defpath}, timeout=5.0)
        return parse_version(printed.decode(errors="replace"))
