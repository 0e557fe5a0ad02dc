"""The user's docker config: readable, well-formed, closed to others, its helpers installed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ocibuild_core.auth.config_files import OWN_HELPER, docker_config_path
from ocibuild_core.auth.docker_config import load_user_config
from ocibuild_core.auth.user_helpers import find_helper
from ocibuild_core.doctor.checks import failure, fine, warning
from ocibuild_core.registry.hosts import normalise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocibuild_core.auth.config_files import ConfigFile
    from ocibuild_core.diagnostics import Finding
    from ocibuild_core.doctor.scene import Scene

_OWN_PROGRAM = f"docker-credential-{OWN_HELPER}"


def look_at_docker_config(scene: Scene) -> Iterator[Finding]:
    """Everything that is read for a build's logins, docker's and podman's. UsageError when it is malformed."""
    warnings: list[str] = []
    config = load_user_config(scene.env, timeout=scene.login.timeout, warn=warnings.append)
    for text in warnings:
        what, _, do = text.partition(": chmod")
        yield warning(what, do=f"chmod{do}" if do else "mend the entry or the file, or log in again")
    needed = {endpoint.registry for endpoint in scene.network.endpoints()}
    for file in config.files:
        yield from _helpers(file, scene, needed)
    if config.files:
        yield fine(f"read: {', '.join(file.name for file in config.files)}")
    elif not warnings:
        path, _ = docker_config_path(scene.env)
        yield fine(f"there is none ({path})" if path else "there is none, and no home directory for one")


def _helpers(file: ConfigFile, scene: Scene, needed: set[str]) -> Iterator[Finding]:
    """One finding for each helper that cannot help, and for what only it would have answered for."""
    for key, helper in file.cred_helpers.items():
        problem = _problem(helper, scene) if helper else ""
        if problem:
            is_needed = normalise(key) in needed
            make = failure if is_needed else warning
            yield make(f"{file.name} names the helper {helper!r} for {key}: {problem}", do=_remedy(helper))
    if file.creds_store and (problem := _problem(file.creds_store, scene)):
        yield warning(f"{file.name} names the credsStore {file.creds_store!r}: {problem}", do=_remedy(file.creds_store))


def _problem(helper: str, scene: Scene) -> str:
    program = find_helper(helper, scene.env)
    if program is None:
        return f"docker-credential-{helper} is not on PATH"
    if os.path.basename(os.path.realpath(program)) == _OWN_PROGRAM:  # noqa: PTH119  # a text
        return f"{program} is our own helper under another name, which would ask itself"
    return ""


def _remedy(helper: str) -> str:
    return f"install docker-credential-{helper}, or take it out of the docker config"
