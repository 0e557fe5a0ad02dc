"""The docker command of this machine: Debian 12's is of 2022, and reads no manifests of OCI's."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

from ocibuild_testkit.registry.images import CONFIG, LAYER, MANIFEST

from support.missing import need_program

if TYPE_CHECKING:
    from ocibuild_testkit.registry.images import Image

_FIRST_OF_OCI = 23
_DOCKERS = {
    MANIFEST: "application/vnd.docker.distribution.manifest.v2+json",
    CONFIG: "application/vnd.docker.container.image.v1+json",
    LAYER: "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
"""https://distribution.github.io/distribution/spec/manifest-v2-2/"""


def reads_oci_manifests() -> bool:
    """Whether `docker manifest inspect` does (docker/cli 23.0, release notes)."""
    said = subprocess.run(
        [need_program("docker", "docker.io"), "--version"], capture_output=True, text=True, check=True
    )
    found = re.search(r"version (\d+)\.", said.stdout)
    assert found, said.stdout
    return int(found[1]) >= _FIRST_OF_OCI


def in_docker_format(image: Image) -> Image:
    """The same image under docker's own media types."""
    text = image.manifest.decode()
    for name, dockers in _DOCKERS.items():
        text = text.replace(json.dumps(name), json.dumps(dockers))
    return replace(image, manifest=text.encode(), media_type=_DOCKERS[image.media_type])
