"""The built wheel itself, as an installer and a machine see it."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gowheel.check import open_wheel, problems
from gowheel.recipe import NO_VERSION
from gowheel.target import find_target

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[..., tuple[Path, str]]

ENGINE = Path(__file__).parents[1]
TOOLS = {"buildctl", "buildkitd", "credential-helper", "rootlesskit", "runc"}
FIRST_LINES = {
    "credential-helper": "the build that gave this login cannot be reached (no such file or directory)",
    "buildkitd": "buildkitd github.com/moby/buildkit v{}",
    "buildctl": "buildctl github.com/moby/buildkit v{}",
    "runc": "runc version {}",
    "rootlesskit": "rootlesskit version {}",
}


def environment(**more: str) -> dict[str, str]:
    """This process's, for the machine's own architecture; a Go that was installed beside this Python is found."""
    inherited = {name: value for name, value in os.environ.items() if name != "OCIBUILD_ARCH"}
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    return {**inherited, "PATH": path, **more}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def native_wheel(build: Build) -> Path:
    return build(ENGINE, environment())[0]


@pytest.fixture(scope="session")
def arm64_wheel(build: Build) -> Path:
    return build(ENGINE, environment(OCIBUILD_ARCH="arm64"))[0]


def install(wheel: Path, into: Path, *more: str) -> Path:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(into)]
    subprocess.run([*command, *more, str(wheel)], check=True)
    return into / "ocibuild_buildkit"


# Go asks by a fork whether the kernel has pidfds; with several threads that can hang for ever in qemu's user mode.
EMULATED = {"GOMAXPROCS": "1"}


def version_line(*command: str, **more: str) -> str:
    """The first line of a program's `--version`. Our own, which has none, looks for a build that is not there."""
    env = environment(OCIBUILD_BROKER="/nowhere", **more)
    answer = subprocess.run([*command, "--version"], env=env, capture_output=True, text=True, check=False, timeout=120)
    assert answer.returncode == int(command[-1].endswith("credential-helper")), answer
    return answer.stdout.splitlines()[0].strip()


def expected_lines(wheel: Path) -> dict[str, str]:
    tools = open_wheel(wheel).versions["tools"]
    return {name: line.format(tools[name]["version"]) for name, line in FIRST_LINES.items()}


def test_it_is_sound(native_wheel: Path) -> None:
    wheel = open_wheel(native_wheel)
    assert list(problems(wheel)) == []
    assert set(wheel.versions["tools"]) == TOOLS
    assert wheel.target == find_target(platform.machine())


def test_it_has_buildkits_version(native_wheel: Path) -> None:
    versions = open_wheel(native_wheel).versions
    assert native_wheel.name.split("-")[1] == versions["version"] == versions["tools"]["buildkitd"]["version"]


def test_it_holds_no_build_code(native_wheel: Path) -> None:
    top = {name.partition("/")[0] for name in open_wheel(native_wheel).modes}
    assert {name for name in top if not name.endswith(".dist-info")} == {"ocibuild_buildkit"}


@pytest.mark.parametrize("installer", [("pip",), ("uv", "pip")], ids=" ".join)
def test_installed_its_programs_run_and_are_what_it_says(
    native_wheel: Path, tmp_path: Path, installer: tuple[str, ...]
) -> None:
    command = [sys.executable, "-m", *installer, "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, "--target", str(tmp_path), str(native_wheel)], check=True)
    programs = (tmp_path / "ocibuild_buildkit/carried/bin").iterdir()
    assert {path.name: version_line(str(path)) for path in programs} == expected_lines(native_wheel)
    script = (
        "from ocibuild_buildkit import __version__, binary, versions\n"
        "print(__version__, binary('runc'), *sorted(versions()['tools']))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(PYTHONPATH=str(tmp_path)),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    version = open_wheel(native_wheel).versions["version"]
    assert answer == [version, str(tmp_path / "ocibuild_buildkit/carried/bin/runc"), *sorted(TOOLS)]


def test_runc_has_seccomp(native_wheel: Path, tmp_path: Path) -> None:
    package = install(native_wheel, tmp_path)
    features = subprocess.run(
        [str(package / "carried/bin/runc"), "features"], capture_output=True, text=True, check=True
    ).stdout
    assert '"seccomp": {\n            "enabled": true' in features


def test_the_second_build_compiles_nothing_and_gives_the_same_bytes(native_wheel: Path, build: Build) -> None:
    again, said = build(ENGINE, environment())
    assert "compiling" not in said
    assert digest(again) == digest(native_wheel)


def test_its_sources_alone_give_the_same_wheel(native_wheel: Path, build: Build, tmp_path: Path) -> None:
    sources, _ = build(ENGINE, environment(), target="sdist")
    with tarfile.open(sources) as archive:
        assert not [member.name for member in archive if member.issym()]
    subprocess.run(["tar", "-xf", sources, "-C", tmp_path], check=True)
    [directory] = tmp_path.iterdir()
    assert digest(build(directory, environment())[0]) == digest(native_wheel)


def keep_one_tool(project: Path, name: str) -> None:
    """Take all other tools out of a copy's configuration."""
    path = project / "pyproject.toml"
    head, *tools = path.read_text().split("[[tool.hatch.build.targets.wheel.hooks.custom.tools]]")
    tools[-1], _, tail = tools[-1].partition("[tool.hatch.build.targets.sdist]")
    [kept] = [tool for tool in tools if f'name = "{name}"' in tool]
    path.write_text(
        f"{head}[[tool.hatch.build.targets.wheel.hooks.custom.tools]]{kept}[tool.hatch.build.targets.sdist]{tail}"
    )


@pytest.mark.slow_build
def test_compiled_from_nothing_in_another_directory_it_is_the_same(
    native_wheel: Path, build: Build, tmp_path: Path
) -> None:
    # runc alone: it takes the least time, and has the C compiler's and the external linker's chances to differ too.
    copy = shutil.copytree(ENGINE, tmp_path / "some where" / "else")
    keep_one_tool(copy, "runc")
    cold = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "GOCACHE": str(tmp_path / "go")}
    again, said = build(copy, environment(**cold))
    assert said.count("compiling") == 1
    programs = [open_wheel(wheel).read("ocibuild_buildkit/carried/bin/runc") for wheel in (again, native_wheel)]
    assert programs[0] == programs[1]


def test_what_it_lists_is_what_go_finds_in_the_programs(native_wheel: Path, tmp_path: Path) -> None:
    package = install(native_wheel, tmp_path)
    for name, tool in open_wheel(native_wheel).versions["tools"].items():
        answer = subprocess.run(
            ["go", "version", "-m", str(package / "carried/bin" / name)],
            env=environment(GOTOOLCHAIN="local"),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        rows = [line.split() for line in answer.splitlines()]
        linked = {(row[1], row[2]) for row in rows if row[0] in {"mod", "dep"}}
        linked -= {(tool["module"], NO_VERSION)}
        assert {(row["path"], row["version"]) for row in tool["modules"]} == linked | {("std", tool["go"])}


@pytest.mark.slow_build
@pytest.mark.parametrize("platform_tag", ["manylinux2014_aarch64", "musllinux_1_1_aarch64"])
def test_for_arm64_it_installs_there_and_its_programs_run(arm64_wheel: Path, tmp_path: Path, platform_tag: str) -> None:
    assert list(problems(open_wheel(arm64_wheel))) == []
    emulator = shutil.which("qemu-aarch64-static")
    assert emulator, "needs qemu-aarch64-static: apt-get install qemu-user-static"
    package = install(arm64_wheel, tmp_path, "--platform", platform_tag, "--only-binary=:all:")
    said = {path.name: version_line(emulator, str(path), **EMULATED) for path in (package / "carried/bin").iterdir()}
    assert said == expected_lines(arm64_wheel)
