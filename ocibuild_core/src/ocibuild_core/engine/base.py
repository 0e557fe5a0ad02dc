"""What every engine offers the runner, wherever it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from functools import partial

from ocibuild_core.errors import EngineError, OcibuildError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Any, Self

    from ocibuild_core.engine.client import Watch
    from ocibuild_core.engine.solve import Solver
    from ocibuild_core.engine.versions import Feature


class SlowStartError(Exception):
    """A daemon takes so long to serve that a client which waits for it would give up."""


class Engine(ABC):
    """A BuildKit to build with. A context manager that stops it.

    Not for several threads at once, except that logins may go on in others.

    Attributes:
        is_remote: it runs elsewhere, and goes on when we end.
        notices: what people should know about it (one line each).
        is_rootless: its root is one of a user namespace, so that it leaves the cgroups of steps alone.
    """

    is_remote: bool
    notices: tuple[str, ...] = ()
    is_rootless: bool = False
    _solver: Solver

    @property
    @abstractmethod
    def describe(self) -> str:
        """Version, origin and place, for people. May run a program; `str(engine)` is the same."""

    def wait_started(self) -> None:
        """Wait until a solve can be begun, which itself waits for what is left. Errors as of `wait_ready`."""
        self.wait_ready()

    @abstractmethod
    def wait_ready(self) -> None:
        """Wait until it takes builds. EngineError when it died, cannot be reached, or the deadline has passed."""

    @abstractmethod
    def require(self, features: Iterable[Feature]) -> None:
        """Raise EngineError when a BuildKit that is not ours is too old for one of these. After `wait_started`."""

    def solve(
        self,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str],
        on_output: Callable[[bytes], None] | None,
        on_event: Callable[[Mapping[str, Any]], None] | None = None,
        secret_names: Collection[str] = (),
    ) -> int:
        """Run `buildctl build` with these arguments; its exit code.

        Whatever is raised meanwhile (by a signal's handler, by a callback) ends the client before it leaves here.

        Args:
            arguments: those of `buildctl build`.
            env: what the client gets besides its share of the user's environment; it wins.
            on_output: takes its output, piece by piece; None hands it the terminal.
            on_event: takes objects of BuildKit's `client.SolveStatus` that tell of steps or warnings. With the terminal
                handed over, they come after a failure only. The last one of a failed build is `{"reason": TEXT}`: why
                it failed, in BuildKit's words, empty when its history does not say.
            secret_names: variables of the user's environment that the build was told to use as secrets.

        Raises:
            EngineError: the daemon died meanwhile, or the client could not be run or was killed.
        """
        run = partial(
            self._solver.run,
            arguments,
            self._solver.environment(env, secret_names),
            on_output=on_output,
            on_event=on_event,
            watch=self._watch(),
        )
        if on_output is not None:
            # The client starts while the daemon does. Not on a terminal: it would leave it in disorder if that failed.
            self.wait_started()
            with suppress(SlowStartError):
                return run(on_start=self._wait_with_client)
        self.wait_ready()
        return run(on_start=lambda: None)

    def _wait_with_client(self) -> None:
        """`wait_ready`, while a client waits for the daemon, too. SlowStartError when that may give up too soon."""
        self.wait_ready()

    @abstractmethod
    def _watch(self) -> Watch:
        """How its end is noticed during a solve."""

    def remedy(self, text: str) -> str:
        """What is to be done about a step that failed with these words, where it is the engine's place; else empty."""
        del text
        return ""

    def debug_log(self) -> str:
        """What it has logged so far, if it is ours and was started to log for debugging; empty otherwise."""
        return ""

    def content_store(self) -> Path | None:
        """The directory of images' blobs, with one for each digest algorithm in it; None when we cannot read it.

        Before the first build it may not be there yet.
        """
        return None

    def read_blob(self, digest: str) -> bytes:
        """A blob of an image that it has built; OSError when it has none. For small ones: it is held in memory."""
        algorithm, _, value = digest.partition(":")
        if not (algorithm.isalnum() and value.isalnum()):
            raise FileNotFoundError(f"{digest!r} is no digest")
        store = self.content_store()
        return (store / algorithm / value).read_bytes() if store else self._solver.read_blob(digest)

    @abstractmethod
    def request_stop(self) -> None:
        """Let it end after a build that nobody interrupted, while other work goes on; `stop` then waits for that."""

    @abstractmethod
    def stop(self) -> None:
        """End it, if it is ours, with all its processes, mounts, control groups and files. Later calls do nothing."""

    def __str__(self) -> str:
        return self.describe

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or (issubclass(kind, OcibuildError) and not issubclass(kind, EngineError)):
            self.request_stop()  # a failed build has filled the cache, too
        self.stop()
