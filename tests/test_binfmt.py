from __future__ import annotations

from pathlib import Path

import pytest
from ocibuild_core.binfmt import handler_names, registration
from support.foreign import debians_emulator

ARCHITECTURES = {"aarch64": "arm64", "arm": "arm", "riscv64": "riscv64"}
"""By QEMU's names; those that Debian emulates on every machine that our engine is for, and the other's own."""
# As Debian has them on arm64. Its mask accepts a zero in two bytes that programs have a one in.
DEBIANS_X86_64 = (
    r":qemu-x86_64:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00:"
    r"\xff\xff\xff\xff\xff\xfe\xfe\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:"
    "/usr/libexec/qemu-binfmt/x86_64-binfmt-P:OPF"
)


def test_handlers_are_registered_as_debian_does() -> None:
    debians_emulator()
    lines = {path.stem.partition("-")[2]: path.read_text() for path in Path("/usr/lib/binfmt.d").glob("qemu-*.conf")}
    known = ARCHITECTURES.keys() & lines.keys()
    assert len(known) >= 2
    for cpu in known:
        emulator = Path(f"/usr/libexec/qemu-binfmt/{cpu}-binfmt-P")
        assert registration(f"qemu-{cpu}", ARCHITECTURES[cpu], emulator) == lines[cpu].strip()


def test_intels_programs_are_known_by_what_debian_knows_them_by() -> None:
    ours = registration("qemu-x86_64", "amd64", Path("/usr/libexec/qemu-binfmt/x86_64-binfmt-P")).split(":")
    debians = DEBIANS_X86_64.split(":")
    mask = 5
    assert ours.pop(mask) == debians.pop(mask).replace("xfe\\xfe\\xfc", "xff\\xff\\x00")
    assert ours == debians


@pytest.mark.parametrize(
    ("architecture", "names"),
    [("arm64", ["qemu-aarch64", "ocibuild-aarch64"]), ("386", ["qemu-i386", "ocibuild-i386"])],
)
def test_a_handler_has_a_second_name_for_when_the_first_is_taken(architecture: str, names: list[str]) -> None:
    assert list(handler_names(architecture)) == names
