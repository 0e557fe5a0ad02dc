from __future__ import annotations

import os
import platform
import shutil
from typing import TYPE_CHECKING

import pytest
from gowheel.ctoolchain import Library, find_package, find_toolchain, install_line
from gowheel.errors import WheelError
from gowheel.target import find_target

if TYPE_CHECKING:
    from pathlib import Path

AMD64 = find_target("amd64")
ARM64 = find_target("arm64")


def test_all_that_is_missing_makes_one_error_with_the_line_that_installs_it(tmp_path: Path) -> None:
    with pytest.raises(WheelError) as caught:
        find_toolchain(AMD64, native_machine="x86_64", libraries=("seccomp",), environ={"PATH": str(tmp_path)})
    first, _, last = str(caught.value).splitlines()
    assert first.endswith("gcc, pkg-config, libseccomp.a, libgcc.a, libc.a not found")
    assert last.endswith("apt-get update && apt-get install -y gcc libc6-dev pkg-config libseccomp-dev")


def test_a_library_that_is_missing_is_named_even_where_the_compiler_is_there() -> None:
    machine = platform.machine()
    with pytest.raises(WheelError, match=r"libnowhere\.a not found"):
        find_toolchain(find_target(machine), native_machine=machine, libraries=("nowhere",), environ=os.environ)


def test_a_cross_compiler_comes_with_the_libraries_of_its_architecture() -> None:
    assert install_line(ARM64, ("seccomp",), is_native=False) == (
        "dpkg --add-architecture arm64 && apt-get update && apt-get install -y "
        "gcc-aarch64-linux-gnu libc6-dev-arm64-cross pkg-config libseccomp-dev:arm64"
    )
    assert "gcc-x86-64-linux-gnu" in install_line(AMD64, (), is_native=False)


def test_the_identity_changes_with_a_library(tmp_path: Path) -> None:
    answers = []
    for content in (b"one", b"two"):
        (tmp_path / "libx.a").write_bytes(content)
        for name, script in (("gcc", f"echo {tmp_path}/libx.a"), ("pkg-config", "")):
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)
        environ = {"PATH": str(tmp_path)}
        answers.append(find_toolchain(AMD64, native_machine="x86_64", libraries=(), environ=environ).identity)
    assert answers[0] != answers[1]


def test_a_debian_package_brings_its_copyright_and_the_licences_that_this_refers_to() -> None:
    compiler = shutil.which("gcc")
    assert compiler, "needs gcc and libseccomp-dev: apt-get install gcc libc6-dev libseccomp-dev pkg-config"
    machine = platform.machine()
    found = find_toolchain(
        find_target(machine), native_machine=machine, libraries=("seccomp",), environ=os.environ
    ).libraries
    package = find_package(found[0], os.environ)
    assert (package.name, package.licences) == ("libseccomp-dev", ("LGPL-2.1-only",))
    assert [path.name for path in package.texts] == ["copyright", "LGPL-2.1"]


def test_a_library_from_nowhere_has_no_licence_and_stops_the_build(tmp_path: Path) -> None:
    path = tmp_path / "libseccomp.a"
    path.touch()
    with pytest.raises(WheelError, match=r"libseccomp\.a: no Debian package says what its licence is"):
        find_package(Library(name="seccomp", path=path), os.environ)


def test_a_library_whose_licence_nobody_has_read_stops_the_build() -> None:
    machine = platform.machine()
    found = find_toolchain(find_target(machine), native_machine=machine, libraries=(), environ=os.environ).libraries
    unknown = Library(name="unread", path=found[-1].path)
    with pytest.raises(WheelError, match=r"libc\.a: read its licence, then add it to LICENCES"):
        find_package(unknown, os.environ)
