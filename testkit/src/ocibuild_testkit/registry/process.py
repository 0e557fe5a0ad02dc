"""One server process: started, watched, and never left behind."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from ocibuild_testkit.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_POLL_SECONDS = 0.003
_END_SECONDS = 3.0
_SHOWN_LINES = 20

# Runs before the server itself, in its process: the kernel kills it when the thread that started it ends (prctl(2),
# PR_SET_PDEATHSIG = 1). A `preexec_fn` would do the same, but is unsafe in a program with threads. The check of the
# parent covers its end before prctl was called.
_TIED_TO_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.getppid() == int(sys.argv[1]) or os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


class ServerProcess:
    """A server that writes its log to one file and lives no longer than this program.

    On Linux the kernel ends it also when this program is killed, and when the thread that called `start` ends.

    Args:
        command: program (absolute path) and arguments.
        log: where its output goes; what was in there before stays.
        env: its whole environment.
    """

    def __init__(self, command: Sequence[str], *, log: Path, env: Mapping[str, str]) -> None:
        self._command = tuple(command)
        self._log = log
        self._env = dict(env)
        self._process: subprocess.Popen[bytes] | None = None
        self._seen_before = 0

    def start(self) -> None:
        """Start the program; returns at once."""
        with self._log.open("ab") as output:
            self._seen_before = output.tell()
            self._process = subprocess.Popen(
                [*_wrapper(), *self._command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,
            )
        atexit.register(self.stop)

    def stop(self) -> None:
        """End it, politely first; harmless when it is not running.

        Raises `RegistryError` with the end of its log when it had ended by itself before.
        """
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is not None:
            raise self._failure(f"ended by itself with code {process.returncode}")
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def pid(self) -> int:
        """The process id; raises `RegistryError` when it was not started."""
        return self._running().pid

    def log_text(self) -> str:
        """All that it has written since it was started."""
        if not self._log.exists():
            return ""
        return self._log.read_bytes()[self._seen_before :].decode(errors="replace")

    def wait_for_line(self, find: Callable[[str], str | None], *, seconds: float) -> str:
        """Wait until `find` gives something for a whole line of the log, and return that.

        Raises `RegistryError` with the end of the log when the server dies before or the time is over.
        """
        deadline = time.monotonic() + seconds
        while True:
            # In this order: a server that wrote the line and died is dead.
            code = self._running().poll()
            if code is not None:
                raise self._failure(f"ended with code {code}")
            found = next(filter(None, map(find, self._whole_lines())), None)
            if found:
                return found
            if time.monotonic() > deadline:
                raise self._failure(f"was not ready within {seconds:g} s")
            time.sleep(_POLL_SECONDS)

    def _whole_lines(self) -> list[str]:
        return self.log_text().rpartition("\n")[0].splitlines()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RegistryError(f"{self._command[0]} is not running: use it in a `with` block")
        return self._process

    def _failure(self, what: str) -> RegistryError:
        last = "\n".join(f"  {line}" for line in self.log_text().splitlines()[-_SHOWN_LINES:])
        return RegistryError(f"{self._command[0]} {what}; the end of its log:\n{last or '  (empty)'}")


def find_registry_binary() -> Path:
    """The CNCF registry's program: from the distribution `ocibuild-registry`, else `registry` on PATH.

    Raises `RegistryError` saying what to install.
    """
    from pathlib import Path

    try:
        import ocibuild_registry  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ModuleNotFoundError:
        found = shutil.which("registry")
        if found:
            return Path(found).absolute()
        raise RegistryError(
            "the registry's program is not installed: pip install 'ocibuild-testkit[registry]', "
            "or put CNCF distribution's `registry` (3.0 or newer) on PATH"
        ) from None
    return Path(ocibuild_registry.binary("registry"))


def _wrapper() -> tuple[str, ...]:
    if not sys.platform.startswith("linux"):
        return ()
    return (sys.executable, "-I", "-S", "-c", _TIED_TO_PARENT, str(os.getpid()))
