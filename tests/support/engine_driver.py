"""A program that builds with the engine alone, for tests that kill it. Its one argument is a JSON object.

{"report": FILE, "arguments": […], "settings": {…}, "client_env": {…}, "terminal": false, "pause": SECONDS}

What the client prints goes to stdout. FILE gets one JSON object a line: where the engine is, then how it ended.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocibuild_core.engine import EngineSettings, launch
from ocibuild_core.engine.tls import TlsFiles
from ocibuild_core.errors import BuildError, OcibuildError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocibuild_core.engine import Engine


class Interrupted(BaseException):
    """A signal's number."""


def main() -> int:
    asked = json.loads(sys.argv[1])
    report = Path(asked["report"])

    def tell(**facts: object) -> None:
        with report.open("a") as file:
            file.write(json.dumps(facts) + "\n")

    if sys.stderr:
        faulthandler.enable()  # who waits too long for us asks by SIGABRT where we are
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        started = time.monotonic()
        with launch(_settings(asked.get("settings", {}))) as engine:
            tell(pid=os.getpid(), keeper=_keeper(engine), runtime=_runtime(engine))
            _pause(asked.get("pause", 0))
            engine.wait_ready()
            tell(ready=time.monotonic() - started, describe=engine.describe, notices=engine.notices)
            events: list[Mapping[str, Any]] = []
            code = engine.solve(
                asked["arguments"],
                env=asked.get("client_env", {}),
                on_output=None if asked.get("terminal") else _print if sys.stdout else _drop,
                on_event=events.append,
            )
            tell(code=code, events=events)
            if code:
                raise BuildError("the build failed")  # as the runner does
            engine.request_stop()
    except OcibuildError as error:
        tell(error=str(error), kind=type(error).__name__)
        return error.exit_code
    except Interrupted as error:
        tell(interrupted=error.args[0])
        return 128 + int(error.args[0])
    return code


def _pause(seconds: float) -> None:
    """In naps: a signal that comes just before one begins is looked at when that is over."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.05))


def _settings(given: dict[str, Any]) -> EngineSettings:
    if "state_dir" in given:
        given["state_dir"] = Path(given["state_dir"])
    if "tls" in given:
        given["tls"] = TlsFiles(ca=Path(given["tls"]["ca"]))
    return EngineSettings(env=dict(os.environ), **given)


def _runtime(engine: Engine) -> str:
    return str(engine._solver._reference.parent)  # the tests watch it from outside


def _keeper(engine: Engine) -> int:
    return int(engine._keeper.pid)  # type: ignore[attr-defined]


def _interrupt(number: int, _frame: object) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(number)


def _drop(_: bytes) -> None:
    pass


def _print(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
