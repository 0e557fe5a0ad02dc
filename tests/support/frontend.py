"""The image behind `# syntax=docker/dockerfile:1`, made here: the frontend is a Go program of BuildKit's own module.

Its labels are those of the published image (moby/buildkit, frontend/dockerfile/cmd/dockerfile-frontend/Dockerfile).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_testkit.registry import File, Image, build_image

from support.go_tools import compiled

if TYPE_CHECKING:
    from pathlib import Path

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
    """The compiled frontend."""
    return compiled("frontend", _PACKAGE)
