from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

SOURCE = Path(__file__).parents[1] / "src"
# The sources, not whatever wheel is installed here; and not on the path of the other tests, who want the wheel.
SPEC = importlib.util.spec_from_file_location("shelf", SOURCE / "ocibuild_buildkit/_shelf/__init__.py")
assert SPEC is not None
assert SPEC.loader is not None
shelf_module = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(shelf_module)
BinaryNotFoundError: type[Exception] = shelf_module.BinaryNotFoundError

if TYPE_CHECKING:
    from ocibuild_buildkit._shelf import Shelf

VERSIONS: dict[str, Any] = {
    "distribution": "ocibuild-kit",
    "version": "1.2.3",
    "architecture": "amd64",
    "tools": {"ctl": {"version": "1.2.3"}, "daemon": {"version": "1.2.3"}},
}


def make_shelf(distribution: str, folder: Path) -> Shelf:
    shelf: Shelf = shelf_module.Shelf(distribution, folder)
    return shelf


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    for name in VERSIONS["tools"]:
        (tmp_path / "bin" / name).touch(mode=0o755)
    (tmp_path / "versions.json").write_text(json.dumps(VERSIONS))
    return tmp_path


@pytest.fixture
def shelf(folder: Path) -> Shelf:
    return make_shelf("ocibuild-kit", folder)


def test_a_program_is_found_by_its_name(shelf: Shelf, folder: Path) -> None:
    assert shelf.binary("ctl") == folder / "bin" / "ctl"


@pytest.mark.parametrize("name", ["", ".", "..", "docker", "../versions.json", "/bin/sh"])
def test_any_other_name_is_refused_with_those_there_are(shelf: Shelf, name: str) -> None:
    with pytest.raises(BinaryNotFoundError) as caught:
        shelf.binary(name)
    assert str(caught.value) == f"ocibuild-kit 1.2.3 (amd64) carries no {name!r}; it carries ctl, daemon"


def test_a_program_that_got_lost_is_told_from_one_that_never_was(shelf: Shelf, folder: Path) -> None:
    (folder / "bin" / "ctl").unlink()
    with pytest.raises(BinaryNotFoundError) as caught:
        shelf.binary("ctl")
    assert f"ctl should be an executable file in {folder / 'bin'}, but is not (there: daemon)" in str(caught.value)
    assert "pip install --force-reinstall ocibuild-kit" in str(caught.value)


def test_a_program_that_lost_its_executable_bit_is_not_handed_out(shelf: Shelf, folder: Path) -> None:
    (folder / "bin" / "ctl").chmod(0o644)
    with pytest.raises(BinaryNotFoundError, match="should be an executable file"):
        shelf.binary("ctl")


def test_sources_without_a_build_say_that_nothing_is_carried(tmp_path: Path) -> None:
    with pytest.raises(BinaryNotFoundError, match=r"versions\.json is missing\n  do     pip install"):
        make_shelf("ocibuild-kit", tmp_path / "nothing").binary("ctl")


def test_the_version_is_the_carried_one_and_read_only_when_asked_for(shelf: Shelf) -> None:
    assert shelf.versions()["version"] == "1.2.3"
    script = "import sys; before = set(sys.modules); import ocibuild_buildkit; print(*set(sys.modules) - before)"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(SOURCE)!r}); {script}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "ocibuild_buildkit" in loaded
    assert not {"json", "typing", "dataclasses", "inspect", "importlib.resources", "importlib.metadata"} & set(loaded)
