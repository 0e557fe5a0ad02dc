"""A Secret Service of the tests' own: gnome-keyring on a private D-Bus."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WAIT_FOR_SECRETS = """
import time
from jeepney import message_bus
from jeepney.io.blocking import open_dbus_connection
bus = open_dbus_connection()
until = time.monotonic() + 10
while bus.send_and_get_reply(message_bus.NameHasOwner("org.freedesktop.secrets")).body != (True,):
    assert time.monotonic() < until, "gnome-keyring-daemon does not serve secrets"
    time.sleep(0.02)
"""

_SILENT_PROMPTER = """
from jeepney import message_bus
from jeepney.io.blocking import open_dbus_connection
bus = open_dbus_connection()
assert bus.send_and_get_reply(message_bus.RequestName("org.gnome.keyring.SystemPrompter")).body == (1,)
print("ready", flush=True)
while True:
    bus.receive()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretService:
    """The service, unlocked.

    Args:
        env: the environment that leads to it.
    """

    env: dict[str, str]
    _children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, source: str) -> str:
        """Run Python on this bus, as any other program of the user would; returns what it printed."""
        command = [sys.executable, "-c", source]
        done = subprocess.run(command, env=self.env, check=True, capture_output=True, timeout=30)
        return done.stdout.decode()

    def lock(self) -> None:
        """Lock the keyring: whoever wants something from it is asked for its password first."""
        self.run(
            "import secretstorage as s; c = s.get_default_collection(s.dbus_init()); c.lock(); assert c.is_locked()"
        )

    def leave_prompts_unanswered(self) -> None:
        """From now on the question for the keyring's password stands there, and nobody answers."""
        prompter = self.start([sys.executable, "-c", _SILENT_PROMPTER])
        assert _first_line(prompter) == b"ready\n"

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a program on this bus; it is killed in the end."""
        child = subprocess.Popen(
            command,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._children.append(child)
        return child

    def stop(self) -> None:
        """Kill everything that was started."""
        for child in reversed(self._children):
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe:
                    pipe.close()


@contextmanager
def start_secret_service(env: dict[str, str], runtime: Path) -> Iterator[SecretService]:
    """Start it; adds to `env` what leads to it.

    Args:
        env: the environment of its programs.
        runtime: an empty private directory.
    """
    missing = [name for name in ("dbus-daemon", "gnome-keyring-daemon") if not shutil.which(name)]
    if missing:
        pytest.fail(f"{' and '.join(missing)} not found; install them: apt-get install dbus gnome-keyring")
    address = f"unix:path={runtime}/bus"
    env |= {"XDG_RUNTIME_DIR": str(runtime), "DBUS_SESSION_BUS_ADDRESS": address}
    service = SecretService(env=env)
    try:
        bus = service.start(
            ["dbus-daemon", "--session", "--nofork", "--nopidfile", f"--address={address}", "--print-address"]
        )
        assert _first_line(bus), "dbus-daemon did not start"
        daemon = service.start(["gnome-keyring-daemon", "--unlock", "--foreground", "--components=secrets"])
        assert daemon.stdin
        daemon.stdin.write(b"the keyring's own password")
        daemon.stdin.close()
        service.run(_WAIT_FOR_SECRETS)
        yield service
    finally:
        service.stop()


def _first_line(child: subprocess.Popen[bytes]) -> bytes:
    assert child.stdout
    return child.stdout.readline()
