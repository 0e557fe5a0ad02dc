"""Take the picture in the README: `python -m scripts.picture FILE`. Every line in it is of a run in a real terminal.

A registry with TLS and a password is up under the name in the picture, reached through a proxy that knows it alone.
"""

from __future__ import annotations

import fcntl
import os
import pty
import secrets
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from typing import TYPE_CHECKING

from ocibuild_testkit.proxy import NameProxy
from ocibuild_testkit.registry import Authority, PasswordAuth, RegistryServer, busybox_files

from scripts.picture.drawing import draw
from scripts.picture.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = 112
HOST = "registry.example.com"
DOCKERFILE = f"""\
FROM {HOST}/team/base:1
RUN echo "built on $(uname -m)" > /hello.txt
"""
COMMANDS = (
    "cat Dockerfile",
    f"build --login basic -t {HOST}/team/app:1 --push .",
    "PASS=alice:guessed build --login basic --preflight .",
)
_TITLE = "build logs in to a private registry, builds and pushes; with a wrong password it says so before it begins"


def main() -> int:
    """Run the commands and draw what the terminal shows."""
    target = Path(sys.argv[1])
    password = secrets.token_urlsafe(12)
    with (
        tempfile.TemporaryDirectory(prefix="ob-", dir="/tmp") as directory,
        RegistryServer(
            auth=PasswordAuth({"alice": password}), tls=Authority("picture"), host=HOST, bind="127.0.0.1"
        ) as registry,
        NameProxy({HOST: f"127.0.0.1:{registry.port}"}) as proxy,
    ):
        registry.push_image("team/base:1", files=busybox_files())
        work = Path(directory, "work")
        work.mkdir()
        (work / "Dockerfile").write_text(DOCKERFILE)
        environment = _environment(Path(directory), registry, proxy, password)
        screen = Screen(columns=COLUMNS)
        for command in COMMANDS:
            screen.write(f"\x1b[32m$\x1b[0m \x1b[1m{command}\x1b[0m\r\n")
            screen.write(_run(command, work, environment))
            screen.write("\r\n")
    if any(password in line for line in screen.text()):
        raise SystemExit("the password is in the picture")
    while not any(cell.character.strip() for cell in screen.lines[-1]):
        screen.lines.pop()
    target.write_text(draw(screen.lines, columns=COLUMNS, title=_TITLE))
    return 0


def _environment(place: Path, registry: RegistryServer, proxy: NameProxy, password: str) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(place),
        "XDG_RUNTIME_DIR": str(place),
        "TMPDIR": str(place),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "HTTPS_PROXY": proxy.url,
        "SSL_CERT_FILE": str(registry.ca_file),
        "REGISTRY_CA": f"{HOST}={registry.ca_file}",
        "PASS": f"alice:{password}",
        "REG_URL": HOST,
    }


def _run(command: str, work: Path, environment: Mapping[str, str]) -> str:
    """What a command writes to a terminal of its own."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    shell = ["sh", "-c", command]
    with subprocess.Popen(shell, cwd=work, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        written = bytearray()
        while part := _read(ours):
            written += part
        process.wait()
    os.close(ours)
    return written.decode("utf-8", "replace")


def _read(terminal: int) -> bytes:
    """The next piece; nothing when the last program has closed its end, which Linux tells by EIO."""
    try:
        return os.read(terminal, 1 << 16)
    except OSError:
        return b""


if __name__ == "__main__":
    sys.exit(main())
