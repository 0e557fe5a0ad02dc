from __future__ import annotations

import copy
import hashlib
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from gowheel.check import LARGEST, main, open_wheel, problems
from gowheel.errors import WheelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TAG = "py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.musllinux_1_1_x86_64"
# A static amd64 program without sections, as elf(5) lays it out.
PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00" + bytes(34) + b"\x38\x00" + bytes(8)
MODULE = {"path": "example.org/kit", "version": "v1.2.3", "licenses": ["MIT"]}


class Draft:
    """A sound wheel, to be spoilt in one place."""

    def __init__(self) -> None:
        self.name = f"kit-1.2.3-{TAG}.whl"
        self.license = "MIT"
        self.tool: dict[str, Any] = {
            "sha256": hashlib.sha256(PROGRAM).hexdigest(),
            "modules": [copy.deepcopy(MODULE)],
            "c_libraries": [],
        }
        self.programs = {"kit": (PROGRAM, 0o755)}
        self.legal = ["example.org/kit@v1.2.3/LICENSE"]
        self.filler = b""

    def write(self, directory: Path) -> Path:
        path = directory / self.name
        versions = {"architecture": "amd64", "tools": {"kit": self.tool}}
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("kit/carried/versions.json", json.dumps(versions))
            archive.writestr("kit-1.2.3.dist-info/METADATA", f"Name: kit\nLicense-Expression: {self.license}\n\n")
            archive.writestr("kit/filler", self.filler)
            for name in self.legal:
                archive.writestr(f"kit/carried/licenses/{name}", "text")
            for name, (content, mode) in self.programs.items():
                entry = zipfile.ZipInfo(f"kit/carried/bin/{name}")
                entry.external_attr = (0o100000 | mode) << 16
                archive.writestr(entry, content)
        return path


def spoil_program(draft: Draft, position: int, value: int) -> None:
    content = bytearray(PROGRAM)
    content[position] = value
    draft.programs["kit"] = (bytes(content), 0o755)
    draft.tool["sha256"] = hashlib.sha256(content).hexdigest()


def test_a_sound_wheel_has_no_problem(tmp_path: Path) -> None:
    assert list(problems(open_wheel(Draft().write(tmp_path)))) == []


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda draft: setattr(draft, "filler", bytes(LARGEST)), "is too much for a download"),
        (lambda draft: setattr(draft, "name", "kit-1.2.3-py3-none-any.whl"), "its name should end with"),
        (lambda draft: draft.programs.clear(), "kit: listed in versions.json, but not there"),
        (lambda draft: draft.programs.update(more=(PROGRAM, 0o755)), "more: there, but not listed"),
        (lambda draft: draft.programs.update(kit=(PROGRAM, 0o644)), "kit: mode 644, not 755"),
        (lambda draft: draft.programs.update(kit=(PROGRAM + b"x", 0o755)), "kit: has another SHA-256"),
        (lambda draft: spoil_program(draft, 0, 0), "kit: not an ELF file"),
        (lambda draft: spoil_program(draft, 18, 183), "kit: is for ELF machine 183, the wheel for 62"),
        (lambda draft: draft.legal.clear(), "kit: no licence of example.org/kit@v1.2.3"),
        (
            lambda draft: draft.tool["c_libraries"].append({"package": "libc6-dev", "version": "2", "licenses": []}),
            "debian/",
        ),
        (lambda draft: draft.tool["modules"][0]["licenses"].append("ISC"), "does not name the licence ISC"),
        (lambda draft: setattr(draft, "license", "MIT AND Zlib"), "names the licence Zlib, which nothing has"),
    ],
)
def test_a_spoilt_wheel_is_told_by_its_one_problem(
    tmp_path: Path, spoil: Callable[[Draft], object], complaint: str
) -> None:
    draft = Draft()
    spoil(draft)
    [problem] = problems(open_wheel(draft.write(tmp_path)))
    assert complaint in problem


def test_the_command_fails_with_every_problem_on_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draft = Draft()
    draft.programs.clear()
    draft.legal.clear()
    assert main([str(draft.write(tmp_path))]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_the_command_does_not_take_nothing_for_sound() -> None:
    assert main([]) == 2


def test_a_wheel_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.py", "")
    with pytest.raises(WheelError, match="has 0 carried/versions"):
        open_wheel(path)
