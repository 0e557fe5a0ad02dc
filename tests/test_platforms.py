"""The names of platforms."""

import os

import pytest
from ocibuild_core.platforms import architecture_of, native, normal


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("arm64", "linux/arm64"),
        ("aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("LINUX/AMD64", "linux/amd64"),
        ("x86_64", "linux/amd64"),
        ("armv7l", "linux/arm/v7"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("i686", "linux/386"),
        ("riscv64", "linux/riscv64"),
    ],
)
def test_a_platform_has_one_spelling(written: str, meant: str) -> None:
    assert normal(written) == meant


@pytest.mark.parametrize(
    ("platform", "architecture"), [("linux/arm/v7", "arm"), ("linux/x86_64", "amd64"), ("arm64", "arm64"), ("", "")]
)
def test_architectures(platform: str, architecture: str) -> None:
    assert architecture_of(platform) == architecture


def test_this_machine_has_a_name() -> None:
    assert native() == {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}[os.uname().machine]
