"""What the distributions say of themselves is the same everywhere, and building them twice gives the same bytes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from support.fresh_env import ROOT

WORKSPACE = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]
PROJECTS = [ROOT / member for member in WORKSPACE["members"]]


def test_every_copy_of_the_licence_is_the_same() -> None:
    copies = {project / "LICENSE": (project / "LICENSE").read_bytes() for project in PROJECTS}
    assert {path for path, text in copies.items() if text != (ROOT / "LICENSE").read_bytes()} == set()


def test_every_distribution_asks_for_the_same_python_and_names_the_same_licence() -> None:
    projects = [tomllib.loads((project / "pyproject.toml").read_text())["project"] for project in PROJECTS]
    assert {project["requires-python"] for project in projects} == {">=3.11"}
    assert all(project["license"].startswith("Apache-2.0") for project in projects)


def test_another_place_time_zone_and_umask_give_the_same_bytes(tmp_path: Path) -> None:
    copy = tmp_path / "some where" / "core"
    shutil.copytree(ROOT / "ocibuild_core", copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".gitignore", copy.parent)
    for path in copy.rglob("*.py"):
        os.utime(path, (0, 0))
    places = {"here": (ROOT / "ocibuild_core", 0o022, "UTC"), "there": (copy, 0o077, "Asia/Kolkata")}
    for name, (project, mask, zone) in places.items():
        subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path / name), str(project)],
            env={**os.environ, "TZ": zone, "SOURCE_DATE_EPOCH": "1700000000"},
            umask=mask,
            check=True,
            capture_output=True,
        )
    made = {name: {path.name: _digest(path) for path in (tmp_path / name).iterdir()} for name in places}
    assert made["here"] == made["there"]
    assert len(made["here"]) == 2


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
