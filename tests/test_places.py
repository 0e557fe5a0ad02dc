import os
from pathlib import Path

import pytest
from ocibuild_core.errors import UsageError
from ocibuild_core.places import closed, find_dockerfile, is_directory, is_file, named_in_ascii, unreadable


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nothing", ""),
        ("file/below", ""),
        ("a\0b", ""),
        ("x" * 300, "File name too long"),
        ("loop", "Too many levels of symbolic links"),
        ("", ""),
    ],
)
def test_what_is_not_there_is_neither_and_never_an_exception(name: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    path = f"{tmp_path}/{name}" if name else ""
    assert (is_file(path), is_directory(path), closed(path)) == (False, False, why)


def test_what_is_there_is_one_of_them(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    assert [is_file(tmp_path / name) for name in ("file", "link", ".")] == [True, True, False]
    assert [is_directory(tmp_path / name) for name in ("file", "link", ".")] == [False, False, True]
    assert not closed(tmp_path / "file")
    assert not unreadable(tmp_path / "link")


@pytest.mark.parametrize(
    ("name", "why"),
    [("nothing", "No such file or directory"), (".", "it is a directory"), ("a\0b", "no file can have that name")],
)
def test_what_cannot_be_read_is_told(name: str, why: str, tmp_path: Path) -> None:
    assert unreadable(f"{tmp_path}/{name}") == why


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not unreadable(tmp_path / "pipe")


def test_a_permission_that_lacks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", refuse)
    assert closed(tmp_path) == "Permission denied"
    assert not is_file(tmp_path)


def test_a_place_below_other_letters_is_named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "jürgen"
    here.mkdir()
    monkeypatch.chdir(here)
    assert named_in_ascii(tmp_path / "cache") == str(tmp_path / "cache")
    assert named_in_ascii(here / "cache") == "cache"
    with pytest.raises(UsageError, match="'cäche'"):
        named_in_ascii(here / "cäche")


@pytest.mark.parametrize(
    ("named", "there", "found"),
    [
        ("Dockerfile", ["Dockerfile", "dockerfile"], "Dockerfile"),
        ("Dockerfile", ["dockerfile"], "dockerfile"),
        ("Dockerfile", [], None),
        ("Other", ["other"], None),
        ("dockerfile", ["Dockerfile"], None),
    ],
)
def test_buildkit_takes_a_dockerfile_in_lower_case_for_one(
    named: str, there: list[str], found: str | None, tmp_path: Path
) -> None:
    for name in there:
        (tmp_path / name).touch()
    assert find_dockerfile(str(tmp_path / named)) == (str(tmp_path / found) if found else None)
