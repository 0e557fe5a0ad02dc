from __future__ import annotations

import sys
import zipfile
from importlib import metadata
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.entry_points import UNKNOWN_VERSION, discover

if TYPE_CHECKING:
    from pathlib import Path


def make(directory: Path, folder: str, entries: str, *, header: str | None = "", file: str = "METADATA") -> Path:
    info = directory / folder
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_bytes(entries.encode())
    if header is not None:
        (info / file).write_text(header)
    return info


def found(*path: Path) -> list[tuple[str, str, str, str]]:
    return [(e.id, e.value, e.distribution, e.version) for e in discover([str(entry) for entry in path])]


def test_finds_the_group_alone(tmp_path: Path) -> None:
    entries = (
        "# a comment\n[ocibuild.other]\nx = y\n\n[ocibuild]\n; more\na = mod_a\nb=mod_b:attr [e]\n[z]\nc = mod_c\n"
    )
    make(tmp_path, "a-1.dist-info", entries, header="Metadata-Version: 2.1\nName: The.A\nVersion: 1.5\n\nName: no\n")
    assert found(tmp_path) == [("a", "mod_a", "The.A", "1.5"), ("b", "mod_b:attr [e]", "The.A", "1.5")]


@pytest.mark.parametrize(
    ("folder", "header", "expected"),
    [
        ("some_dist-2.0.dist-info", None, ("some_dist", "2.0")),
        ("some_dist-2.0.dist-info", "garbage without colon\n", ("some_dist", "2.0")),
        ("some_dist.dist-info", None, ("some_dist", UNKNOWN_VERSION)),
    ],
)
def test_name_and_version_fall_back_on_the_folder(
    tmp_path: Path, folder: str, header: str | None, expected: tuple[str, str]
) -> None:
    make(tmp_path, folder, "[ocibuild]\na = m\n", header=header)
    assert found(tmp_path) == [("a", "m", *expected)]


def test_first_on_the_path_wins_whatever_the_name_is_spelt_like(tmp_path: Path) -> None:
    entries = "[ocibuild]\na = m\n"
    make(tmp_path / "1", "my_dist-1.dist-info", entries, header="Name: My.Dist\nVersion: 1\n")
    make(tmp_path / "2", "my_dist-2.dist-info", entries, header="Name: my-dist\nVersion: 2\n")
    assert found(tmp_path / "1", tmp_path / "2", tmp_path / "1") == [("a", "m", "My.Dist", "1")]
    assert found(tmp_path / "2", tmp_path / "1") == [("a", "m", "my-dist", "2")]


def test_what_pip_is_removing_is_not_installed(tmp_path: Path) -> None:
    make(tmp_path, "~y_dist-1.dist-info", "[ocibuild]\na = m\n", header="Name: my-dist\nVersion: 1\n")
    assert found(tmp_path) == []


def test_directories_that_are_missing_or_hold_odd_things(tmp_path: Path) -> None:
    (tmp_path / "file-1.dist-info").write_text("a file, no directory")
    (tmp_path / "empty-1.dist-info").mkdir()
    make(tmp_path, "bytes-1.dist-info", "[ocibuild]\n", header=None)
    (tmp_path / "bytes-1.dist-info" / "entry_points.txt").write_bytes(b"[ocibuild]\n\xff\xfe = \x80\n")
    assert [entry[0] for entry in found(tmp_path / "absent", tmp_path)] == ["\ufffd\ufffd"]


def test_an_unreadable_group_without_equals_sign_is_reported_by_the_loader(tmp_path: Path) -> None:
    make(tmp_path, "x-1.dist-info", "[ocibuild]\nlonely\n", header="Name: x\nVersion: 1\n")
    assert found(tmp_path) == [("lonely", "", "x", "1")]


LAYOUTS = {
    "wheel": ("good-1.0.dist-info", "METADATA"),
    "egg-info": ("good.egg-info", "PKG-INFO"),
    "egg": ("EGG-INFO", "PKG-INFO"),
}


@pytest.mark.parametrize(("folder", "file"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_agrees_with_importlib(tmp_path: Path, folder: str, file: str) -> None:
    directory = tmp_path / "good.egg" if folder == "EGG-INFO" else tmp_path
    header = "Metadata-Version: 2.1\nName: good\nVersion: 1.0\n"
    make(directory, folder, "[ocibuild]\ngood = m:n\n", header=header, file=file)
    by_importlib = [
        (entry.name, entry.value, distribution.metadata["Name"], distribution.version)
        for distribution in metadata.distributions(path=[str(directory)])
        for entry in distribution.entry_points
    ]
    assert found(directory) == by_importlib == [("good", "m:n", "good", "1.0")]


def test_archive_on_the_path(tmp_path: Path) -> None:
    archive = tmp_path / "good-1.0-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("good-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: good\nVersion: 1.0\n")
        file.writestr("good-1.0.dist-info/entry_points.txt", "[ocibuild]\ngood = m\n")
    assert found(archive) == [("good", "m", "good", "1.0")]


def test_finder_of_other_origin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    info = make(tmp_path, "good-1.0.dist-info", "[ocibuild]\ngood = m\n", header="Name: good\nVersion: 1.0\n\n")

    class Finder(metadata.DistributionFinder):
        def find_distributions(
            self,
            context: metadata.DistributionFinder.Context = metadata.DistributionFinder.Context(),  # noqa: B008
        ) -> list[metadata.Distribution]:
            del context
            return [metadata.Distribution.at(info)]

        def find_spec(self, *_: object) -> None:
            return None

    monkeypatch.setattr("sys.meta_path", [Finder()])
    assert found(tmp_path / "empty") == [("good", "m", "good", "1.0")]


def test_real_environment_gives_what_importlib_gives() -> None:
    mine = {(entry.id, entry.value) for entry in discover(sys.path)}
    assert mine == {(entry.name, entry.value) for entry in metadata.entry_points(group="ocibuild")}
    assert ("core", "ocibuild_core.exporters") in mine
