from pathlib import Path

import pytest
from ocibuild_core.engine import find
from ocibuild_core.engine.find import FROM_PATH, WHEEL, find_client, find_on_path, find_programs
from ocibuild_core.errors import EngineError

ALL = ("buildctl", "buildkitd", "runc", "rootlesskit")


def programs_in(directory: Path, *names: str) -> str:
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / name).write_text("#!/bin/sh\n")
        (directory / name).chmod(0o755)
    return str(directory)


def without_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ocibuild_buildkit", None)


def test_path_goes_before_the_wheel(tmp_path: Path) -> None:
    path = programs_in(tmp_path / "bin", *ALL)
    found = find_programs({"PATH": path}, is_rootless=True)
    assert found.origin == FROM_PATH
    assert [found.buildctl, found.buildkitd, found.runc, found.rootlesskit] == [Path(path, name) for name in ALL]


def test_programs_of_one_engine_may_be_in_several_directories(tmp_path: Path) -> None:
    path = (
        programs_in(tmp_path / "a", "buildctl", "buildkitd")
        + ":"
        + programs_in(tmp_path / "b", "buildkit-runc", "runc")
    )
    found = find_programs({"PATH": path}, is_rootless=False)
    assert (found.origin, found.runc, found.rootlesskit) == (FROM_PATH, tmp_path / "b" / "buildkit-runc", None)


@pytest.mark.parametrize("lacking", ALL)
def test_half_an_engine_on_path_is_none(tmp_path: Path, lacking: str) -> None:
    path = programs_in(tmp_path / "bin", *(name for name in ALL if name != lacking))
    assert find_programs({"PATH": path}, is_rootless=True).origin == WHEEL


def test_root_needs_no_rootlesskit(tmp_path: Path) -> None:
    path = programs_in(tmp_path / "bin", "buildctl", "buildkitd", "runc")
    assert find_programs({"PATH": path}, is_rootless=False).origin == FROM_PATH


def test_the_wheel_has_all_that_either_user_needs() -> None:
    found = find_programs({}, is_rootless=True)
    assert found.origin == WHEEL
    assert all(path and path.is_file() for path in (found.buildctl, found.buildkitd, found.runc, found.rootlesskit))
    assert find_client({}) == found.buildctl


def test_nothing_at_all_has_three_remedies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_wheel(monkeypatch)
    path = programs_in(tmp_path / "bin", "buildctl")
    with pytest.raises(EngineError) as caught:
        find_programs({"PATH": path}, is_rootless=True)
    text = str(caught.value)
    assert "PATH has no buildkitd, no runc, no rootlesskit; ocibuild-buildkit is not installed" in text
    assert "pip install ocibuild-buildkit" in text
    assert "on PATH" in caught.value.do
    assert "--addr" in caught.value.do


def test_a_missing_client_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    without_wheel(monkeypatch)
    with pytest.raises(EngineError, match="no buildctl"):
        find_client({"PATH": "/nonexistent"})


def test_a_damaged_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import ocibuild_buildkit

    def missing(name: str) -> Path:
        raise ocibuild_buildkit.BinaryNotFoundError(f"{name} is gone")

    monkeypatch.setattr(ocibuild_buildkit, "binary", missing)
    with pytest.raises(EngineError, match="ocibuild-buildkit is damaged"):
        find_programs({}, is_rootless=False)


def test_a_broken_import_inside_the_wheel_is_not_taken_for_its_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> object:
        raise ModuleNotFoundError("No module named 'json'", name="json")

    monkeypatch.setattr("builtins.__import__", broken)
    with pytest.raises(ModuleNotFoundError, match="json"):
        find._has_wheel()


def test_only_executable_files_in_absolute_directories_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs_in(tmp_path / "relative", "tool")
    (tmp_path / "directory" / "tool").mkdir(parents=True)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "tool").touch(0o644)
    monkeypatch.chdir(tmp_path)
    path = f"relative:::{tmp_path}/directory:{tmp_path}/plain"
    assert find_on_path("tool", path) is None
    assert find_on_path("tool", f"{path}:{tmp_path}/relative") == tmp_path / "relative" / "tool"
