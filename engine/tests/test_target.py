from __future__ import annotations

import pytest
from gowheel.errors import WheelError
from gowheel.target import choose_target, find_target


@pytest.mark.parametrize(
    ("environ", "machine", "goarch"),
    [
        ({}, "x86_64", "amd64"),
        ({}, "aarch64", "arm64"),
        ({"OCIBUILD_ARCH": "arm64"}, "x86_64", "arm64"),
        ({"OCIBUILD_ARCH": "x86_64"}, "aarch64", "amd64"),
        ({"OCIBUILD_ARCH": ""}, "x86_64", "amd64"),
    ],
)
def test_the_variable_chooses_and_the_machine_is_the_default(
    environ: dict[str, str], machine: str, goarch: str
) -> None:
    assert choose_target(environ, machine).goarch == goarch


def test_an_unknown_architecture_is_refused_with_what_there_is() -> None:
    with pytest.raises(WheelError, match=r"'riscv64'.*amd64, arm64; set OCIBUILD_ARCH"):
        choose_target({"OCIBUILD_ARCH": "riscv64"}, "x86_64")


def test_the_tag_names_every_libc() -> None:
    assert (
        find_target("arm64").wheel_tag == "py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.musllinux_1_1_aarch64"
    )
