"""`build --explain` and `ocibuild auth explain`: every image that a build needs is named, and nothing that is none."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.programs import ProgramRunner

pytestmark = pytest.mark.e2e

DOCKERFILE = """\
# syntax=frontend.example/dockerfile:1
ARG BASE=overridden.example/no:1
ARG TAG=3
FROM alpine:${TAG} AS tools
RUN --mount=type=bind,from=mounted.example/data:1,target=/data true
FROM unused.example/never:1 AS elsewhere
FROM ${BASE}-slim
COPY --from=tools /bin/tool /bin/
COPY --from=copied.example:5000/team/part:2 /part /
COPY --from=0 /etc/motd /
"""
OF_THE_DOCKERFILE = {
    "frontend.example": ["# syntax frontend.example/dockerfile:1 (line 1)"],
    "docker.io": ["FROM alpine:3 (line 4)"],
    "mounted.example": ["RUN --mount mounted.example/data:1 (line 5)"],
    "base.example": ["FROM base.example/app:7-slim (line 7)"],
    "copied.example:5000": ["COPY --from copied.example:5000/team/part:2 (line 9)"],
}


@pytest.fixture
def work(sandbox: Path) -> Path:
    directory = sandbox / "work"
    directory.mkdir()
    (directory / "Dockerfile").write_text(DOCKERFILE)
    return directory


def needs(explained: str) -> dict[str, list[str]]:
    """What each registry is needed for: registries stand at the beginning of a line."""
    found: dict[str, list[str]] = {}
    for line in explained.splitlines():
        if not line.startswith(" "):
            reasons = found.setdefault(line.split("  ")[0], [])
        elif line.split()[:2] == ["needed", "for"]:
            reasons.append(line.split("needed for")[1].strip())
    return found


def test_every_image_of_a_build_is_named_with_what_needs_it(work: Path, run: ProgramRunner) -> None:
    caches = ("--cache-from", "cache.example/c:main", "--cache-to", "type=registry,ref=cache.example/c:new,mode=max")
    command = ("build", "--explain", "--login", "none", "--build-arg", "BASE=base.example/app:7", *caches)
    env = {"REGISTRY_MIRRORS": "mirror.example,Mirror.example:5000/path"}

    result = run(*command, "-t", "push.example/team/app:1", "--push", ".", env=env, cwd=work).succeeded()

    expected = {
        **OF_THE_DOCKERFILE,
        "cache.example": ["--cache-from cache.example/c:main", "--cache-to cache.example/c:new"],
        "mirror.example": ["mirror of docker.io"],
        "mirror.example:5000": ["mirror of docker.io"],
        "push.example": ["push push.example/team/app:1"],
    }
    assert needs(result.stdout) == expected
    result = run(*command, "-t", "push.example/team/app:1", "--push", "--json", ".", env=env, cwd=work).succeeded()
    assert {one["registry"]: one["needed_for"] for one in json.loads(result.stdout)} == expected


def test_the_images_of_a_dockerfile_are_explained_alone(work: Path, run: ProgramRunner) -> None:
    """Another stage needs other images; `--json` says the same to programs."""
    command = ("ocibuild", "auth", "explain", "--login", "none", "-f", "Dockerfile")
    whole = run(*command, "--build-arg", "BASE=base.example/app:7", cwd=work).succeeded()
    assert needs(whole.stdout) == OF_THE_DOCKERFILE

    stage = json.loads(run(*command, "--target", "elsewhere", "--json", cwd=work).succeeded().stdout)
    assert {one["registry"]: one["needed_for"] for one in stage} == {
        "frontend.example": ["# syntax frontend.example/dockerfile:1 (line 1)"],
        "unused.example": ["FROM unused.example/never:1 (line 6)"],
    }


@pytest.mark.parametrize(
    "command", [("ocibuild", "auth", "explain"), ("ocibuild", "auth", "check"), ("build", "--explain")]
)
def test_where_nothing_is_needed_that_is_said(sandbox: Path, run: ProgramRunner, command: tuple[str, ...]) -> None:
    (sandbox / "Dockerfile").write_text("FROM scratch\n")
    assert run(*command, cwd=sandbox).succeeded().stdout == "no registry is needed\n"
    assert json.loads(run(*command, "--json", cwd=sandbox).succeeded().stdout) == []


@pytest.mark.parametrize("command", ["explain", "check"])
def test_a_dockerfile_that_a_build_would_not_read_is_refused(sandbox: Path, run: ProgramRunner, command: str) -> None:
    os.mkfifo(sandbox / "pipe")
    result = run("ocibuild", "auth", command, "-f", "pipe", cwd=sandbox, seconds=20).ended_with(2)
    assert "cannot read pipe\n  why    it is no regular file\n" in result.stderr


@pytest.mark.parametrize(
    "command", [("ocibuild", "auth", "explain"), ("ocibuild", "auth", "check"), ("build", "--explain")]
)
def test_a_password_that_nobody_asked_for_is_mentioned(
    sandbox: Path, run: ProgramRunner, fresh_secret: Callable[[], str], command: tuple[str, ...]
) -> None:
    """Whoever looks why he is anonymous is told what a build would tell him."""
    (sandbox / "Dockerfile").write_text("FROM scratch\n")
    result = run(*command, env={"PASS": f"alice:{fresh_secret()}"}, cwd=sandbox).succeeded()
    assert result.stderr.count("warning: PASS is ignored: set LOGIN=PASS") == 1
