"""A solve from the arguments of `buildctl build` to its exit code, the same for every engine."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from ocibuild_core.child_environment import for_buildctl
from ocibuild_core.engine.client import ClientRun
from ocibuild_core.engine.events import events_of, reason_of
from ocibuild_core.engine.process import capture
from ocibuild_core.errors import USERS_WISH, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from ocibuild_core.engine.client import Watch
    from ocibuild_core.engine.keeper import Keeper
    from ocibuild_core.engine.settings import EngineSettings

_ANSWERING = 5.0
"""Seconds for a short question."""


class Solver:
    """Runs the client of one engine.

    Args:
        client: `buildctl` and its global arguments.
        settings: what was asked for.
        keeper: ends the client when the program is gone.
        reference: where the client may write the build's name.
        programs: a directory that goes first on its PATH, or None.
    """

    def __init__(
        self,
        client: Sequence[str],
        settings: EngineSettings,
        keeper: Keeper,
        *,
        reference: Path,
        programs: Path | None = None,
    ) -> None:
        self.client = tuple(client)
        self._settings = settings
        self._keeper = keeper
        self._reference = reference
        self._programs = programs

    def environment(self, extra: Mapping[str, str], secret_names: Collection[str] = ()) -> dict[str, str]:
        """What the client gets: its share of the user's, and `extra`, which wins."""
        share = for_buildctl(self._settings.env, secret_names=secret_names, cache_types=self._settings.cache_types)
        env = {**share, **extra}
        if self._programs:
            env["PATH"] = f"{self._programs}:{env.get('PATH', '')}"
        return env

    def run(  # noqa: PLR0913  # a command, and who is told what of it
        self,
        arguments: Sequence[str],
        env: Mapping[str, str],
        *,
        on_output: Callable[[bytes], None] | None,
        on_event: Callable[[Mapping[str, Any]], None] | None,
        watch: Watch,
        on_start: Callable[[], None],
    ) -> int:
        """Run `buildctl build`; see `Engine.solve`.

        Args:
            arguments: those of `buildctl build`.
            env: the client's environment.
            on_output: see there.
            on_event: see there.
            watch: notices the engine's end.
            on_start: called once the client runs; see `ClientRun.run`.
        """
        # On a terminal the client would tell of the trace it writes; so there the events are asked for afterwards.
        is_asked_later = on_output is None
        client = ClientRun(
            [*self.client, "build", f"--ref-file={self._reference}", *arguments],
            env,
            on_output=on_output,
            on_event=on_event,
            trace_at=len(self.client) + 1,
        )

        def started(pid: int) -> None:
            self._keeper.watch_client(pid)
            on_start()

        try:
            code = client.run(watch, started)
        except USERS_WISH:
            if is_asked_later and on_event is not None:
                self._hand_on_recorded(env, on_event)
            raise
        if code:
            watch.check()
        if code < 0:
            raise EngineError(
                f"buildctl was ended by {signal_name(-code)}",
                why="not by us; SIGKILL is mostly the kernel's answer to too little memory",
            )
        if code and on_event is not None:
            if is_asked_later:
                self._hand_on_recorded(env, on_event)
            on_event({"reason": reason_of(self.client, self._reference, env)})
        return code

    def _hand_on_recorded(self, env: Mapping[str, str], on_event: Callable[[Mapping[str, Any]], None]) -> None:
        for event in events_of(self.client, self._reference, env):
            on_event(event)

    def read_blob(self, digest: str) -> bytes:
        """A blob of the daemon's content store; OSError when it has none, or does not answer."""
        code, printed = capture([*self.client, "debug", "get", digest], self.environment({}), timeout=_ANSWERING)
        if code:
            raise FileNotFoundError(printed.decode(errors="replace").strip())
        return printed


def signal_name(number: int) -> str:
    """`SIGTERM`, or the number of a signal that has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
