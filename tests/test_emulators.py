"""Emulators that lie ready are registered with a kernel's table of their own: that of a user namespace (Linux 6.7)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ocibuild_core.emulation import cpu_of
from ocibuild_core.emulators import awaits_emulator, lacking_emulation
from ocibuild_core.needs import foreign_steps
from ocibuild_core.platforms import native
from ocibuild_core.settings.model import BuildSettings
from ocibuild_core.settings.resolve import resolve
from ocibuild_core.settings.sources import Environment
from support.foreign import EMULATOR, FOREIGN, SAYS, debians_emulator, two_programs
from support.missing import need_program

PLATFORM = f"linux/{FOREIGN}"
QEMU, OURS = f"qemu-{cpu_of(FOREIGN)}", f"ocibuild-{cpu_of(FOREIGN)}"

# Before what a test runs in the namespace; what is said there comes back as JSON.
_START = """
import json, os, subprocess, sys
from contextlib import ExitStack
from pathlib import Path
from ocibuild_core.binfmt import Handlers, registration
from ocibuild_core.emulation import can_run
from ocibuild_core.emulators import _register, emulation, lacking_emulation
from ocibuild_core.errors import UsageError
from ocibuild_core.terminal import Talk

scene, foreign, qemu = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
place = scene / "emulators"
emulator = place / sys.argv[4]
said = []
steps = {f"linux/{foreign}": 3}

def build():
    return emulation(steps, {}, Talk(), place)

def runs():
    return can_run(foreign, "")

def say(*found):
    said.extend(found)

def refused():
    try:
        with build():
            say("not refused")
    except UsageError as error:
        say(error.why, error.do)
"""
_APART = ("unshare", "--user", "--map-root-user", "--mount")

pytestmark = pytest.mark.e2e


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A Dockerfile with a step, and an emulator that lies ready."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\nRUN true\n")
    (tmp_path / "emulators").mkdir()
    (tmp_path / "emulators" / EMULATOR).symlink_to(debians_emulator())
    return tmp_path


def run_apart(code: str, scene: Path, enter: tuple[str, ...] = _APART) -> tuple[list[object], str]:
    """What the code said, and what was said to people."""
    need_program("unshare", "util-linux")
    ended = subprocess.run(
        [*enter, sys.executable, "-c", f"{_START}{code}\nprint(json.dumps(said))", scene, FOREIGN, QEMU, EMULATOR],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout), ended.stderr


def test_an_emulator_that_lies_ready_is_registered_while_a_build_lasts(scene: Path) -> None:
    two_programs(scene / "program")
    code = """
before = runs()
with build():
    output = subprocess.run(["first"], executable=scene / "program", capture_output=True, text=True).stdout
    with build():
        again = runs()
    mounts = Path("/proc/self/mounts").read_text().count("binfmt")
say(before, output, again, mounts, runs())
"""
    found, talk = run_apart(code, scene)
    # This mount was the table's only one, so with it the handler is gone.
    assert found == [False, SAYS, True, 0, False]
    assert talk == (
        f"registered an emulator of {FOREIGN} with the kernel ({QEMU} in binfmt_misc): it serves the whole machine, at "
        "the longest until that is restarted\n"
    )


def test_who_comes_second_is_content(scene: Path) -> None:
    """Two builds that begin at the same moment: the name is taken, by the same handler."""
    code = """
with build(), Handlers() as handlers:
    say(_register(handlers, foreign, emulator, "", Talk()), runs())
"""
    found, talk = run_apart(code, scene)
    assert found == [None, True]
    assert talk.count("registered") == 1


def test_a_handler_that_finds_no_emulator_stays_beside_ours(scene: Path) -> None:
    code = """
with Handlers() as handlers:
    handlers.register(registration(qemu, foreign, Path("/nowhere/qemu")).removesuffix("F"))
    before = runs()
    with build():
        say(before, runs(), sorted(os.listdir(handlers._directory)))
"""
    found, talk = run_apart(code, scene)
    assert found == [False, True, sorted(["register", "status", QEMU, OURS])]
    assert f"({OURS} in binfmt_misc)" in talk


def test_what_somebody_switched_off_is_not_switched_on(scene: Path) -> None:
    code = """
with Handlers() as handlers:
    handlers.register(registration(qemu, foreign, emulator))
    handlers._write(qemu, "0")
    refused()
"""
    (why, do), talk = run_apart(code, scene)
    assert f"could not be registered: its handler {QEMU} is disabled" in str(why)
    assert str(do).startswith(f"echo 1 > /proc/sys/fs/binfmt_misc/{QEMU}\nor ")
    assert talk == ""


def test_a_kernel_whose_handlers_are_all_switched_off_is_named(scene: Path) -> None:
    code = """
with Handlers() as handlers:
    handlers._write("status", "0")
    refused()
"""
    (why, do), _ = run_apart(code, scene)
    assert "could not be registered: binfmt_misc is switched off" in str(why)
    assert str(do).startswith("echo 1 > /proc/sys/fs/binfmt_misc/status\nor ")


def test_who_may_not_mount_is_told_to_run_privileged(scene: Path) -> None:
    (why, do), talk = run_apart("refused()", scene, _APART[:-1])
    assert str(why).splitlines() == [
        f"the Dockerfile's line 3 is a RUN, and the kernel has no binfmt handler for {FOREIGN}",
        "the emulator that is here could not be registered: binfmt_misc cannot be mounted: Operation not permitted",
    ]
    assert str(do).startswith("start the container privileged (Concourse: privileged: true; docker: --privileged)\nor ")
    assert talk == ""


@pytest.mark.parametrize(("mode", "why"), [(0o755, "programs do not run with"), (0o644, "Permission denied")])
def test_a_file_that_is_no_emulator_is_not_left_registered(scene: Path, mode: int, why: str) -> None:
    fake = scene / "emulators" / EMULATOR
    fake.unlink()
    fake.write_bytes(b"no program")
    fake.chmod(mode)
    code = """
with Handlers() as handlers:
    refused()
    say(sorted(os.listdir(handlers._directory)))
"""
    (told, _, handlers), _ = run_apart(code, scene)
    assert why in str(told)
    assert handlers == ["register", "status"]


def settings(scene: Path, **env: str) -> BuildSettings:
    return resolve([Environment({"CONTEXT": str(scene), "IMAGE_PLATFORM": PLATFORM, **env})])


def test_looking_for_what_is_missing_registers_nothing(scene: Path) -> None:
    code = """
errors = lacking_emulation(steps, {}, place)
with Handlers() as handlers:
    say(errors, runs(), sorted(os.listdir(handlers._directory)))
"""
    assert run_apart(code, scene) == ([[], False, ["register", "status"]], "")


def test_without_an_emulator_the_error_does_not_speak_of_one(scene: Path) -> None:
    (scene / "emulators" / EMULATOR).unlink()
    (why, do), _ = run_apart("[error] = lacking_emulation(steps, {}, place)\nsay(error.why, error.do)", scene)
    assert "registered" not in str(why)
    assert str(do).startswith("install qemu-user-static")


def test_steps_count_that_an_engine_of_ours_is_to_run(scene: Path) -> None:
    found = foreign_steps(settings(scene, IMAGE_PLATFORM=f"{PLATFORM},{native()},{PLATFORM}/v8"))
    assert found == {PLATFORM: 3}
    assert foreign_steps(settings(scene, IMAGE_PLATFORM=native())) == {}
    assert foreign_steps(settings(scene, BUILDKIT_HOST="unix:///x.sock")) == {}
    assert foreign_steps(settings(scene)._replace(check=True)) == {}
    (scene / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    assert foreign_steps(settings(scene)) == {}


@pytest.mark.parametrize(
    ("dockerfile", "env"),
    [
        (f"FROM --platform={PLATFORM} scratch\nCOPY Dockerfile /\nRUN true\n", {}),
        (f"ARG ON={PLATFORM}\nFROM --platform=$ON scratch\nRUN true\n", {}),
        ("ARG ON\nFROM --platform=$ON scratch\nRUN true\n", {"BUILD_ARG_ON": PLATFORM}),
        (f"FROM --platform={PLATFORM} scratch AS a\nFROM a\nRUN true\n", {}),
        (f"FROM --platform={PLATFORM} scratch\nRUN true\n", {"IMAGE_PLATFORM": native()}),
    ],
)
def test_steps_count_whose_stage_names_its_platform(scene: Path, dockerfile: str, env: dict[str, str]) -> None:
    (scene / "Dockerfile").write_text(dockerfile)
    asked = settings(scene, **{"IMAGE_PLATFORM": "", **env})
    line = dockerfile.splitlines().index("RUN true") + 1
    assert foreign_steps(asked) == {PLATFORM: line}
    assert foreign_steps(asked._replace(check=True)) == {}
    assert foreign_steps(asked._replace(addr="unix:///x.sock")) == {}


def test_stages_that_are_not_built_do_not_count(scene: Path) -> None:
    (scene / "Dockerfile").write_text(f"FROM --platform={PLATFORM} scratch AS a\nRUN true\nFROM scratch\nRUN true\n")
    assert foreign_steps(settings(scene, IMAGE_PLATFORM="")) == {}
    assert foreign_steps(settings(scene, IMAGE_PLATFORM="", ADDITIONAL_TARGETS="a")) == {PLATFORM: 2}


def test_the_first_step_of_what_is_lacking_is_named(tmp_path: Path) -> None:
    (tmp_path / EMULATOR).touch()
    [error] = lacking_emulation({PLATFORM: 2, "linux/riscv64": 5}, {}, tmp_path)
    assert error.summary == "this machine cannot run the steps of linux/riscv64"
    assert "line 5 is a RUN" in error.why


def test_an_engine_waits_only_for_what_may_be_registered(scene: Path) -> None:
    place = scene / "emulators"
    assert awaits_emulator(settings(scene), place)
    assert not awaits_emulator(settings(scene, IMAGE_PLATFORM=native()), place)
    assert not awaits_emulator(settings(scene), scene / "none")
    assert lacking_emulation({}, os.environ, place) == []
