"""A BuildKit that runs elsewhere: greeted at once, used, left running."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from ocibuild_core.engine.base import Engine
from ocibuild_core.engine.client import Watch
from ocibuild_core.engine.find import find_client, find_on_path
from ocibuild_core.engine.jobs import KeeperJob
from ocibuild_core.engine.keeper import start_keeper
from ocibuild_core.engine.process import Capture, capture
from ocibuild_core.engine.relay import Relay, program_of
from ocibuild_core.engine.runtime import make_runtime_directory
from ocibuild_core.engine.solve import Solver
from ocibuild_core.engine.versions import check_features, parse_version, show_version
from ocibuild_core.errors import EngineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocibuild_core.engine.keeper import Keeper
    from ocibuild_core.engine.settings import EngineSettings
    from ocibuild_core.engine.versions import Feature

_UNKNOWN_QUESTION = b"Unimplemented"
"""What a BuildKit answers that is too old to be asked for its version (gRPC's status code)."""
_PATIENCE_AFTER_FAILURE = 5.0
_QUESTIONS = 2
"""Without an answer in a row. One may be lost on a loaded machine."""
_CLOSING = "error: "
"""How buildctl begins its last word."""

_WANTS_TLS = ("EOF", "connection reset by peer", "server preface")
"""What Go's gRPC says of a server that hangs up on a greeting without TLS."""
_SPEAKS_NO_TLS = "first record does not look like a TLS handshake"
"""crypto/tls in Go, of a server that answers in plain."""
_NO_PROGRAM = "executable file not found in $PATH"
"""os/exec in Go."""
_NAME_CA = "name the CA that signed the daemon's certificate: --tlscacert FILE (BUILDKIT_TLS_CACERT), or --tlsdir"
_NAME_SERVER = "say which name is in the daemon's certificate: --tlsservername NAME (BUILDKIT_TLS_SERVERNAME)"
_NAME_CLIENT = (
    "it hangs up, as a daemon does that does not trust the client's certificate: give one of a CA that it trusts with "
    "--tlscert and --tlskey (BUILDKIT_TLS_CERT, BUILDKIT_TLS_KEY), or --tlsdir"
)
_OF_CERTIFICATES = (
    ("x509: certificate signed by unknown authority", _NAME_CA),
    ("x509: certificate is valid for", _NAME_SERVER),
    ("x509: certificate is not valid for", _NAME_SERVER),
    ("x509: cannot validate certificate for", _NAME_SERVER),
    # A client of TLS 1.3 may have sent its greeting before it reads the refusal: then it finds the connection closed.
    *((mark, _NAME_CLIENT) for mark in ("remote error: tls: ", "broken pipe", *_WANTS_TLS)),
)
"""What crypto/tls and crypto/x509 in Go say of the daemon's certificate, or the daemon of the client's."""


def reach(settings: EngineSettings) -> RemoteEngine:
    """The engine at `settings.addr`; the greeting is on its way. Raises EngineError without a client, or a place."""
    address = settings.addr or ""
    if "://" not in address:
        raise UsageError(
            f"the address {address!r} names no way to reach BuildKit",
            do="write unix:///PATH, tcp://HOST:PORT, docker-container://NAME or kube-pod://NAME",
        )
    buildctl = find_client(settings.env)
    program = program_of(address)
    runtime = make_runtime_directory(settings.env, os.geteuid(), for_programs=program is not None)
    swept = ((runtime.path.parent, ""),)
    try:
        keeper = start_keeper(KeeperJob(daemon=None, leases=(runtime,), runtime=runtime.path, swept=swept))
    finally:
        os.close(runtime.lock)  # the keeper holds it on
    try:
        relay = Relay(program, settings.env, runtime.path) if program else None
        client = (str(buildctl), f"--addr={address}", *(settings.tls.arguments() if settings.tls else ()))
        programs = runtime.path if relay else None
        solver = Solver(client, settings, keeper, reference=runtime.path / "reference", programs=programs)
        return RemoteEngine(settings=settings, solver=solver, keeper=keeper, relay=relay)
    except BaseException:
        keeper.order_stop(0)
        keeper.stop()
        raise


class RemoteEngine(Engine):
    """See `Engine`.

    Args:
        settings: what was asked for.
        solver: runs the client.
        keeper: who cleans up.
        relay: what the client needs to get there, or None.
    """

    is_remote = True

    def __init__(self, *, settings: EngineSettings, solver: Solver, keeper: Keeper, relay: Relay | None) -> None:
        self._settings = settings
        self._solver = solver
        self._keeper = keeper
        self._relay = relay
        self._printed = ""
        self._unanswered = 0
        self._is_stopping = False
        self._deadline = time.monotonic() + settings.start_timeout
        self._greeting: Capture | None = Capture([*solver.client, "debug", "info"], solver.environment({}))

    @property
    def describe(self) -> str:
        """See `Engine`."""
        version = parse_version(self._printed)
        return f"BuildKit {show_version(version) if version else '(unknown version)'} at {self._settings.addr}"

    def wait_ready(self) -> None:
        """See `Engine`."""
        if self._greeting is None:
            return
        code, printed = self._greeting.result(self._deadline)
        self._greeting = None
        self._printed = printed.decode(errors="replace").removeprefix(_CLOSING)
        if code and _UNKNOWN_QUESTION not in printed:
            said = self._printed.strip() or f"no answer within {self._settings.start_timeout:g} s"
            raise EngineError(
                f"the BuildKit at {self._settings.addr} cannot be reached", why=said, do=_remedy(self._settings, said)
            )

    def require(self, features: Iterable[Feature]) -> None:
        """See `Engine`."""
        wanted = tuple(features)
        check_features(parse_version(self._printed), wanted, what=f"the BuildKit at {self._settings.addr}")
        buildctl = self._solver.client[0]
        if buildctl == str(find_on_path("buildctl", self._settings.env.get("PATH", ""))):
            # The wheel's client is as new as we are; whoever has another has it on PATH.
            _, printed = capture([buildctl, "--version"], {}, timeout=_PATIENCE_AFTER_FAILURE)
            check_features(parse_version(printed.decode(errors="replace")), wanted, what=f"{buildctl} on PATH")

    def _watch(self) -> Watch:
        return Watch(fd=None, check=self._check_it_is_there, silence=self._settings.silence, ask=self._check_it_answers)

    def _check_it_answers(self) -> None:
        """Asked when a build says nothing. One that refuses is there: the build's own connection may be a good one."""
        patience = self._settings.silence / 2
        question = Capture([*self._solver.client, "debug", "info"], self._solver.environment({}))
        try:
            code, _ = question.result(time.monotonic() + patience)
        finally:
            question.abandon()
        self._unanswered = self._unanswered + 1 if code == -signal.SIGKILL else 0
        if self._unanswered == _QUESTIONS:
            raise EngineError(
                f"the BuildKit at {self._settings.addr} no longer answers",
                why=f"asked {_QUESTIONS} times, it said nothing for {patience:g} s",
                do="look at it and at the way there, and build again when it answers",
            )

    def _check_it_is_there(self) -> None:
        """Asked after a failure: a connection that breaks looks like a failed build."""
        question = Capture([*self._solver.client, "debug", "info"], self._solver.environment({}))
        code, printed = question.result(time.monotonic() + _PATIENCE_AFTER_FAILURE)
        if code and _UNKNOWN_QUESTION not in printed:
            raise EngineError(
                f"the BuildKit at {self._settings.addr} went away during the build",
                why=printed.decode(errors="replace").strip() or f"no answer within {_PATIENCE_AFTER_FAILURE:g} s",
                do="look at its log, and build again when it runs",
            )

    def request_stop(self) -> None:
        """See `Engine`."""
        if not self._is_stopping:
            self._is_stopping = True
            self._keeper.order_stop(0)

    def stop(self) -> None:
        """See `Engine`: it runs on; what we made to reach it goes."""
        self.request_stop()
        if self._greeting:
            self._greeting.abandon()
            self._greeting = None
        if self._relay:
            self._relay.close()
        self._keeper.stop()


def _remedy(settings: EngineSettings, said: str) -> str:
    program = program_of(settings.addr or "")
    if program and _NO_PROGRAM in said:
        return f"install {program}, by which such an address is reached, or put it on PATH"
    is_tcp = (settings.addr or "").startswith("tcp://")
    if is_tcp and settings.tls is None and any(mark in said for mark in _WANTS_TLS):
        return "it hangs up, as a daemon does that wants TLS: give --tlsdir, or --tlscacert, --tlscert and --tlskey"
    if is_tcp and settings.tls and _SPEAKS_NO_TLS in said:
        return "it speaks no TLS: leave out --tls… (and BUILDKIT_TLS_…), or start it with --tlscert and --tlskey"
    if is_tcp and settings.tls and (found := next((remedy for mark, remedy in _OF_CERTIFICATES if mark in said), "")):
        return found
    return "check the address and that it runs, or leave out --addr (and BUILDKIT_HOST) to start one here"
