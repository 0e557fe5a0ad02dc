"""What the wheel carries besides Python: man pages and completions, as the tables are now."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARE = ROOT / "ocibuild_core" / "share"
PAGES = sorted((SHARE / "man" / "man1").glob("*.1"))


def test_the_files_are_what_the_tables_say() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "shared_files.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_strict_reader_has_nothing_to_say_about_a_page(page: Path) -> None:
    if not shutil.which("mandoc"):
        pytest.fail("there is no mandoc\n  do     apt-get install mandoc", pytrace=False)
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_page_reads_as_it_should() -> None:
    shown = subprocess.run(["mandoc", "-T", "ascii", SHARE / "man/man1/build.1"], capture_output=True, check=True)
    plain = subprocess.run(["col", "-bx"], input=shown.stdout, capture_output=True, check=True).stdout.decode()
    assert "-f PATH" in plain
    assert "BUILD_ARG_NAME" in plain
    assert "UNPACK_ROOTFS" in plain
    words = " ".join(plain.split())
    assert "How much the engine's cache may hold (20GB, 512MiB); what was used longest ago is dropped." in words


def test_the_wheel_carries_all_of_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT / "ocibuild_core", check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        carried = {name.partition("/data/")[2] for name in archive.namelist() if ".data/data/" in name}
    assert carried == {f"share/{path.relative_to(SHARE)}" for path in SHARE.rglob("*") if path.is_file()}
    assert len(PAGES) == 3
