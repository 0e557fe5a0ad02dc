"""The task image registers its emulator where it may, and says why not elsewhere.

Privileged containers are made in a user namespace here, so that the handler is registered for nobody else: other tests
go by whether this machine runs programs of the other architecture.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.apart import APART
from support.container import DOCKER, PRIVILEGED, UNPRIVILEGED, bind
from support.doc_blocks import ROOT
from support.foreign import EMULATOR, FOREIGN, SAYS, two_programs
from support.images import read_image

if TYPE_CHECKING:
    from support.container import Container, Mount, Rights

pytestmark = [pytest.mark.e2e, pytest.mark.needs_root]

REGISTERED = f"registered an emulator of {FOREIGN} with the kernel"
ENV = {"IMAGE_PLATFORM": f"linux/{FOREIGN}"}


@pytest.fixture
def work(sandbox: Path) -> Path:
    """A task whose base image is of the other architecture."""
    sandbox.chmod(0o755)
    for name in ("work/image", "scratch"):
        (sandbox / name).mkdir(parents=True)
    two_programs(sandbox / "work/first")
    (sandbox / "work/Dockerfile").write_text('FROM scratch\nCOPY first /bin/\nRUN ["first"]\n')
    return sandbox / "work"


@pytest.fixture
def mounts(work: Path) -> list[Mount]:
    return [bind(work, "/work"), bind(work.parent / "scratch", "/scratch")]


def test_steps_of_the_other_architecture_run_in_a_privileged_task(
    container: Container, work: Path, mounts: list[Mount]
) -> None:
    result = container.run("build", cwd="/work", mounts=mounts, env=ENV, enter=APART).succeeded()
    assert re.findall(r"^#\d+ [\d.]+ (\w+ runs on .*)$", result.stdout, re.MULTILINE) == SAYS.splitlines()
    assert result.stderr.count(REGISTERED) == 1
    assert read_image(work / "image/image.tar").config["architecture"] == FOREIGN


def test_a_read_only_container_registers_it_as_well(container: Container, mounts: list[Mount]) -> None:
    result = container.run("build", cwd="/work", mounts=mounts, env=ENV, enter=APART, readonly=True).succeeded()
    assert REGISTERED in result.stderr


@pytest.mark.parametrize("flag", ["--print", "--explain", "--check"])
def test_what_runs_no_step_registers_nothing(flag: str, container: Container, mounts: list[Mount]) -> None:
    result = container.run("build", flag, cwd="/work", mounts=mounts, env=ENV, enter=APART).succeeded()
    assert REGISTERED not in result.stderr


@pytest.mark.parametrize("rights", [UNPRIVILEGED, DOCKER], ids=["concourse", "docker"])
def test_who_may_not_register_it_is_told_what_would_help(
    rights: Rights, container: Container, work: Path, mounts: list[Mount]
) -> None:
    result = container.run("build", cwd="/work", mounts=mounts, env=ENV, rights=rights).ended_with(2)
    assert f"this machine cannot run the steps of linux/{FOREIGN}" in result.stderr
    assert "could not be registered: binfmt_misc cannot be mounted: Operation not permitted" in result.stderr
    assert "start the container privileged (Concourse: privileged: true; docker: --privileged)" in result.stderr
    assert result.stdout == ""
    assert list((work / "image").iterdir()) == []


def test_more_emulators_lie_where_the_page_puts_them(container: Container) -> None:
    [line] = re.findall(r"^COPY --from=.*", (ROOT / "docs/task-image.md").read_text(), re.MULTILINE)
    ask = "from ocibuild_core.emulators import PLACE; print(*PLACE.iterdir())"
    [there] = container.run("python", "-c", ask, rights=PRIVILEGED).succeeded().stdout.split()
    assert Path(line.split()[-1]).parent == Path(there).parent
    assert Path(there).name == EMULATOR
    assert Path(line.split()[-1]).name == "riscv64-binfmt-P"
