"""The registry's wheel, made and installed by the usual programs."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gowheel.check import open_wheel, problems
from gowheel.target import find_target

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[1]
CONFIG = """
version: 0.1
log: {{ level: info }}
storage: {{ filesystem: {{ rootdirectory: {directory} }} }}
http: {{ addr: "127.0.0.1:0" }}
"""
READY = re.compile(r"listening on 127\.0\.0\.1:(\d+)")


def environment(**more: str) -> dict[str, str]:
    """This process's, for the machine's own architecture; a Go that was installed beside this Python is found."""
    inherited = {name: value for name, value in os.environ.items() if name != "OCIBUILD_ARCH"}
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
    return {**inherited, "PATH": path, **more}


def python(*arguments: str, **more: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", *arguments],
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout


def make(out: Path, **more: str) -> Path:
    python("pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(PROJECT), **more)
    [wheel] = out.iterdir()
    return wheel


def install(wheel: Path, into: Path, *more: str) -> Path:
    python("pip", "install", "--no-deps", "--no-index", "--target", str(into), *more, str(wheel))
    return into / "ocibuild_registry"


@pytest.fixture(scope="session")
def native_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="session")
def package(native_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(native_wheel, tmp_path_factory.mktemp("installed"))


def test_it_is_sound_and_has_the_registrys_version(native_wheel: Path) -> None:
    wheel = open_wheel(native_wheel)
    assert list(problems(wheel)) == []
    assert list(wheel.versions["tools"]) == ["registry"]
    assert (
        native_wheel.name.split("-")[1] == wheel.versions["version"] == wheel.versions["tools"]["registry"]["version"]
    )


def test_the_program_is_what_the_package_says(package: Path) -> None:
    script = (
        "from ocibuild_registry import __version__, binary, versions\n"
        "import subprocess\n"
        "print(__version__, versions()['tools']['registry']['version'], binary(), binary('registry'))\n"
        "print(subprocess.run([binary(), '--version'], capture_output=True, text=True).stdout)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(PYTHONPATH=str(package.parent)),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    program = str(package / "carried/bin/registry")
    version = answer.split()[0]
    assert answer.split()[:4] == [version, version, program, program]
    assert answer.splitlines()[1] == f"{program} github.com/distribution/distribution/v3 v{version}"


def test_an_unknown_name_is_refused_by_the_distribution_that_was_asked(package: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", "import ocibuild_registry; ocibuild_registry.binary('buildctl')"],
        env=environment(PYTHONPATH=str(package.parent)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(
        r"BinaryNotFoundError: ocibuild-registry \S+ \(\S+\) carries no 'buildctl'; it carries registry", answer.stderr
    )


@pytest.fixture
def address(package: Path, tmp_path: Path) -> Iterator[tuple[str, int]]:
    """Where a registry listens, started from the installed wheel."""
    (tmp_path / "config.yml").write_text(CONFIG.format(directory=tmp_path / "data"))
    command = [str(package / "carried/bin/registry"), "serve", str(tmp_path / "config.yml")]
    with subprocess.Popen(command, env={}, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        try:
            for line in process.stderr:
                said.append(line)
                if found := READY.search(line):
                    yield "127.0.0.1", int(found[1])
                    break
            else:
                pytest.fail("the registry ended:\n" + "".join(said))
        finally:
            process.kill()


@pytest.mark.e2e
def test_it_serves_without_root_and_without_an_environment(address: tuple[str, int]) -> None:
    connection = http.client.HTTPConnection(*address, timeout=10)
    connection.request("GET", "/v2/")
    response = connection.getresponse()
    connection.close()
    assert (response.status, response.headers["Docker-Distribution-Api-Version"]) == (200, "registry/2.0")


@pytest.mark.e2e
def test_uv_builds_sources_and_from_them_the_same_wheel_in_isolation(native_wheel: Path, tmp_path: Path) -> None:
    python("uv", "build", "--out-dir", str(tmp_path), str(PROJECT))
    [wheel] = tmp_path.glob("*.whl")
    assert list(problems(open_wheel(wheel))) == []
    program = "ocibuild_registry/carried/bin/registry"
    assert open_wheel(wheel).read(program) == open_wheel(native_wheel).read(program)


def test_an_editable_install_finds_the_program_beside_the_sources(tmp_path: Path) -> None:
    copy = shutil.copytree(PROJECT, tmp_path / "project")
    python(
        "pip",
        "install",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(tmp_path / "site"),
        "--editable",
        str(copy),
    )
    [link] = (tmp_path / "site").glob("*.pth")
    assert link.read_text().strip() == str(copy / "src")
    program = copy / "src/ocibuild_registry/carried/bin/registry"
    said = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout
    assert "github.com/distribution/distribution/v3" in said


@pytest.mark.slow_build
def test_for_arm64_it_installs_there_and_its_program_runs(tmp_path: Path) -> None:
    wheel = make(tmp_path / "dist", OCIBUILD_ARCH="arm64")
    assert list(problems(open_wheel(wheel))) == []
    assert open_wheel(wheel).target == find_target("arm64")
    emulator = shutil.which("qemu-aarch64-static")
    assert emulator, "needs qemu-aarch64-static: apt-get install qemu-user-static"
    for_arm64 = ("--platform", "musllinux_1_1_aarch64", "--only-binary=:all:")
    program = install(wheel, tmp_path / "site", *for_arm64) / "carried/bin/registry"
    said = subprocess.run(
        [emulator, str(program), "--version"],
        # With several threads qemu's user mode can hang in a Go program's start.
        env=environment(GOMAXPROCS="1"),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    assert f"distribution/v3 v{open_wheel(wheel).versions['version']}" in said
