"""A stand-in for docker.io: a registry that BuildKit takes for its mirror, filled with small images of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocibuild_testkit.registry import Content, RegistryServer, build_image, build_index, busybox_files, own_platform

from support.frontend import frontend_image

if TYPE_CHECKING:
    from pathlib import Path

_ALPINE = 'ID=alpine\nNAME="Alpine Linux"\nVERSION_ID=3.20.0\nPRETTY_NAME="A stand-in for Alpine Linux"\n'
_PATH = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sh"]}
_PLATFORMS = ("linux/amd64", "linux/arm64")


class DockerHub(RegistryServer):
    """docker.io as far as the tests know it.

    `library/busybox` (`latest`, `1.36`) and `library/alpine` (`latest`, `3`, `3.20`) run on this machine. Both are an
    index of amd64 and arm64; the other architecture's image has the same files but no program to run.
    `docker/dockerfile:1` is there after `push_frontend`.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory)
        self._has_frontend = False

    def start(self) -> None:
        """See `RegistryServer.start`; fills it, too."""
        super().start()
        for name, tags, extra in (
            ("busybox", ("latest", "1.36"), {}),
            ("alpine", ("latest", "3", "3.20"), {"etc/os-release": _ALPINE}),
        ):
            index = build_index(
                {one: build_image(_files(one, extra), config=_PATH, platform=one) for one in _PLATFORMS}
            )
            for tag in tags:
                self.push(f"library/{name}:{tag}", index)

    def push_frontend(self) -> None:
        """Add `docker/dockerfile:1`; compiling it takes a minute on a machine that never did."""
        if not self._has_frontend:
            self.push("docker/dockerfile:1", frontend_image())
            self._has_frontend = True

    def buildkitd_toml(self, name: str | None = None) -> str:
        """What buildkitd.toml needs so that this is docker.io."""
        return f'[registry."docker.io"]\nmirrors = ["{self.address}"]\n{super().buildkitd_toml(name)}'


def _files(platform: str, extra: dict[str, str]) -> dict[str, Content]:
    files: dict[str, Content] = dict(busybox_files())
    if platform != own_platform():
        del files["bin/busybox"]
    return {**files, **extra}
