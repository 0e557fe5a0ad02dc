"""A BuildKit of our own: started at once, waited for later, gone when we are."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING

from ocibuild_core.engine.base import Engine, SlowStartError
from ocibuild_core.engine.client import Watch
from ocibuild_core.engine.collection import has_policy, has_secret_history, is_due, prune_arguments
from ocibuild_core.engine.config import SOCKET
from ocibuild_core.engine.find import FROM_PATH, WHEEL
from ocibuild_core.engine.log import said_in
from ocibuild_core.engine.privileges import remedy_of_root
from ocibuild_core.engine.process import Capture, capture
from ocibuild_core.engine.solve import Solver, signal_name
from ocibuild_core.engine.versions import CACHE_LIMIT, Version, check_features, parse_version, show_version
from ocibuild_core.errors import EngineError
from ocibuild_core.places import free_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ocibuild_core.engine.find import Programs
    from ocibuild_core.engine.keeper import Keeper
    from ocibuild_core.engine.readiness import Probe
    from ocibuild_core.engine.settings import EngineSettings
    from ocibuild_core.engine.state import State
    from ocibuild_core.engine.versions import Feature

_NO_ROOM = "no space left on device"
_LEAST_ROOM = 1_000_000
"""Bytes without which no daemon starts: its databases are larger."""
_POLL = 0.002
"""Seconds between looks while the daemon does not listen yet; from then on it wakes us."""
_CLIENT_PATIENCE = 10.0
"""Seconds that a client is left waiting for a daemon that does not serve yet: it gives up after 20
(https://github.com/grpc/grpc/blob/master/doc/connection-backoff.md)."""
_FOR_EVER = float("inf")
_WAKING = 1.0
"""Seconds between looks at the time while the daemon listens."""
_GRACE = 1.0
"""Seconds between TERM and KILL. Nobody is connected any more; then it takes about 5 ms."""
_ANSWERING = 5.0
"""Seconds for a short question to one of BuildKit's programs."""
_COLLECTING = 60.0
"""Seconds for collecting garbage: where a cache mount holds a million files, they are counted."""
_NO_ENVIRONMENT = {"PATH": os.defpath}
_NEWS = 1.0
"""Seconds for the keeper to tell of an end that we have noticed ourselves."""


class LocalEngine(Engine):
    """See `Engine`.

    Args:
        settings: what was asked for.
        programs: what it runs.
        keeper: who started it.
        runtime: where it listens.
        state: its cache and its log.
    """

    is_remote = False

    def __init__(
        self, *, settings: EngineSettings, programs: Programs, keeper: Keeper, runtime: Path, state: State
    ) -> None:
        self._settings = settings
        self._programs = programs
        self._keeper = keeper
        self._socket = runtime / SOCKET
        self._state = state
        self._deadline = time.monotonic() + settings.start_timeout
        self._ready_since: float | None = None
        self._probe: Probe | None = None
        self._questions: dict[Path, Capture] = {}
        self._versions: dict[Path, Version | None] = {}
        self._is_stopping = False
        self._solver = Solver(
            (str(programs.buildctl), f"--addr=unix://{self._socket}"), settings, keeper, reference=runtime / "reference"
        )

    @property
    def describe(self) -> str:
        """See `Engine`."""
        version = self._version(self._programs.buildkitd)
        origin = self._programs.origin if self._programs.origin != FROM_PATH else f"{self._programs.buildkitd}"
        kept = "state" if self._state.is_kept else "throw-away state"
        number = show_version(version) if version else "(unknown version)"
        return f"BuildKit {number} from {origin}, {kept} in {self._state.lease.path}"

    def wait_started(self) -> None:
        """See `Engine`. It listens, then."""
        if self._ready_since is None:
            self._wait_until(lambda probe: probe.is_listening())

    def wait_ready(self) -> None:
        """See `Engine`. It serves, then."""
        self._wait_ready()

    def _wait_with_client(self) -> None:
        self._wait_ready(patience=_CLIENT_PATIENCE)

    def _wait_ready(self, patience: float = _FOR_EVER) -> None:
        if self._ready_since is not None:
            return
        give_up = time.monotonic() + patience

        def is_serving(probe: Probe) -> bool:
            if time.monotonic() > give_up:
                raise SlowStartError
            return probe.is_serving()

        self._wait_until(is_serving)
        self._hang_up()
        self.require(())
        self._ready_since = time.monotonic()

    def _wait_until(self, is_enough: Callable[[Probe], bool]) -> None:
        if self._probe is None:
            from ocibuild_core.engine.readiness import Probe  # noqa: PLC0415  # `socket` loads while the daemon does

            self._ask_versions()
            self._probe = Probe(self._socket)
        try:
            while not is_enough(self._probe):
                self._wait_for_news(self._probe.fd)
        except EngineError:
            self._hang_up()
            self.require(())  # if it is too old, then that is why
            raise

    def _hang_up(self) -> None:
        if self._probe:
            self._probe.close()
            self._probe = None

    def require(self, features: Iterable[Feature]) -> None:
        """See `Engine`. What it is configured with asks for a limit of the cache. The wheel is as new as we are."""
        if self._programs.origin != FROM_PATH:
            return
        wanted = (CACHE_LIMIT, *features)
        for program in (self._programs.buildkitd, self._programs.buildctl):
            check_features(self._version(program), wanted, what=f"{program} on PATH")

    def _watch(self) -> Watch:
        return Watch(fd=self._keeper.fd, check=self._check_alive)

    def debug_log(self) -> str:
        """See `Engine`."""
        if not self._settings.debug:
            return ""
        try:
            return self._state.log.read_text(encoding="utf-8", errors="replace").rstrip()
        except OSError as error:
            return f"the engine's log {self._state.log} cannot be read: {error.strerror}"

    def content_store(self) -> Path | None:
        """See `Engine`. BuildKit names the directory above after its executor and snapshotter: `runc-overlayfs`."""
        found = list(self._state.root.glob("*/content"))
        if not found:
            self.wait_ready()  # a new daemon makes it before it serves
            found = list(self._state.root.glob("*/content"))
        return found[0] / "blobs" if len(found) == 1 else None

    def request_stop(self) -> None:
        """See `Engine`."""
        if self._ready_since is not None and self._state.is_kept:
            self._keep_to_limit(time.monotonic() - self._ready_since)
        self._order_stop()

    def stop(self) -> None:
        """See `Engine`."""
        self._hang_up()
        self._order_stop()
        for question in self._questions.values():
            question.abandon()
        self._questions.clear()
        self._keeper.stop()

    def _order_stop(self) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self._prune_history()
            # Before it is ready nothing was entrusted to it, and it may not listen to TERM yet.
            self._keeper.order_stop(0.0 if self._ready_since is None else _GRACE)

    def _prune_history(self) -> None:
        """Before its file goes: what belongs to its records would never be collected."""
        if self._ready_since is not None and has_secret_history(self._settings.cache_types):
            capture([*self._solver.client, "prune-histories"], self._solver.environment({}), timeout=_ANSWERING)

    def _ask_versions(self) -> None:
        """Ask the programs that are not ours; they answer while the daemon starts."""
        if self._programs.origin == FROM_PATH:
            for program in (self._programs.buildkitd, self._programs.buildctl):
                self._questions[program] = Capture([str(program), "--version"], _NO_ENVIRONMENT)

    def _version(self, program: Path) -> Version | None:
        if program not in self._versions:
            question = self._questions.pop(program, None) or Capture([str(program), "--version"], _NO_ENVIRONMENT)
            _, printed = question.result(time.monotonic() + _ANSWERING)
            self._versions[program] = parse_version(printed.decode(errors="replace"))
        return self._versions[program]

    def _keep_to_limit(self, lived: float) -> None:
        """Have garbage collected when it is time. What goes wrong is the next run's."""
        limit = self._settings.max_cache
        if self._is_stopping or has_policy(self._settings.daemon_config, limit):
            return
        if is_due(self._state.uncollected, lived):
            command = [*self._solver.client, *prune_arguments(limit)]
            capture(command, self._solver.environment({}), timeout=_COLLECTING)

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
        timeout = min(left, _WAKING if connection is not None else _POLL)
        if any(fd == self._keeper.fd for fd, _ in poller.poll(timeout * 1000)):
            self._check_alive()

    def _check_alive(self) -> None:
        """Raise EngineError when there is no daemon any more."""
        from ocibuild_core.engine.readiness import is_listening  # noqa: PLC0415  # loaded by `wait_ready`

        reports = self._keeper.update()
        if not reports.is_daemon_gone and self._ready_since is not None and not is_listening(self._socket):
            reports = self._keeper.update(_NEWS)  # the news is on its way
        if not reports.is_daemon_gone:
            return
        when = "during the build" if self._ready_since is not None else "while it started"
        if reports.failure is not None:
            raise EngineError("the engine could not be started", why=reports.failure, do=self._remedy(reports.failure))
        if reports.exit_code is None:
            raise self._failed(f"the engine's keeper was killed {when}, and the engine with it")
        ended = signal_name(-reports.exit_code) if reports.exit_code < 0 else f"exit code {reports.exit_code}"
        raise self._failed(f"the engine ended {when} ({ended})", do=self._another_engine())

    def _failed(self, summary: str, do: str = "") -> EngineError:
        said = said_in(self._state.log)
        return EngineError(summary, why=said, do=self._remedy(said) or do)

    def _another_engine(self) -> str:
        """What helps when the fault may lie in a BuildKit that we only found; empty for the wheel's."""
        if self._programs.origin != FROM_PATH:
            return ""
        return f"mend {self._programs.buildkitd}, or take it off PATH and: pip install {WHEEL}"

    def remedy(self, text: str) -> str:
        """See `Engine`."""
        place = self._state.lease.path
        return f"make room in {place}, or choose another place with --state-dir" if _NO_ROOM in text else ""

    def _remedy(self, text: str) -> str:
        # A disk that is full from the start has no room for the log either.
        if remedy := self.remedy(text if free_bytes(self._state.lease.path) > _LEAST_ROOM else _NO_ROOM):
            return remedy
        if not self._programs.rootlesskit:
            return remedy_of_root(text)
        from ocibuild_core.engine import rootless  # noqa: PLC0415  # root has no need of it

        return rootless.remedy(text)
