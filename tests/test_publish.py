from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ocibuild_core.errors import ExportError
from ocibuild_core.export_records import Artifact
from ocibuild_core.publish import Staging, publish


def test_an_artifact_replaces_the_older_file_and_nothing_else_is_left(tmp_path: Path) -> None:
    (tmp_path / "digest").write_text("old")
    with Staging() as staging:
        made = staging.beside(tmp_path / "digest") / "digest"
        made.write_text("new")
        made.chmod(0o600)
        publish([Artifact(source=made, destination=tmp_path / "digest")])
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("digest", "new")]
    assert (tmp_path / "digest").stat().st_mode & 0o777 == 0o644


def test_what_is_not_published_leaves_the_older_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "digest").write_text("old")
    with Staging() as staging:
        (staging.beside(tmp_path / "digest") / "digest").write_text("new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("digest", "old")]


def test_directories_that_were_made_for_nothing_are_removed(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with Staging() as staging:
        for place in ("new/deep/x.tar", "new/other/x.tar", "old/x.tar", "full/x.tar"):
            (staging.beside(tmp_path / place) / "x").touch()
        (tmp_path / "full" / "file").touch()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["full", "full/file", "old"]


def test_one_file_for_two_destinations_is_there_twice(tmp_path: Path) -> None:
    with Staging() as staging:
        made = staging.beside(tmp_path / "a") / "x"
        made.write_text("content")
        publish([Artifact(source=made, destination=tmp_path / name) for name in ("a", "b")])
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text() == "content"


def test_nothing_moves_when_one_destination_is_a_directory(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with Staging() as staging:
        directory = staging.beside(tmp_path / "a")
        artifacts = []
        for name in ("a", "b"):
            (directory / name).write_text(name)
            artifacts.append(Artifact(source=directory / name, destination=tmp_path / name))
        with pytest.raises(ExportError, match="it is a directory"):
            publish(artifacts)
    assert not (tmp_path / "a").exists()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Staging() as staging, pytest.raises(ExportError, match="cannot write into"):
        staging.beside(tmp_path / "file" / "image.tar")


def test_what_a_killed_build_left_is_removed_and_a_running_one_is_left_alone(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from ocibuild_core.publish import Staging\n"
        "s = Staging(); s.beside(Path(sys.argv[1]) / 'x'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    (killed,) = tmp_path.iterdir()
    with Staging() as running:
        held = running.beside(tmp_path / "x").parent
        assert not killed.exists()
        with Staging() as other:
            other.beside(tmp_path / "y")
            assert held.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_file_with_our_prefix_stays(tmp_path: Path) -> None:
    (tmp_path / ".ocibuild-notes").write_text("mine")
    (tmp_path / ".ocibuild-link").symlink_to(tmp_path)
    with Staging() as staging:
        staging.beside(tmp_path / "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".ocibuild-link", ".ocibuild-notes"]


def test_a_directory_replaces_the_older_one_whole(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "old").write_text("old")
    with Staging() as staging:
        made = staging.beside(tmp_path / "image") / "layout"
        made.mkdir()
        (made / "new").write_text("new")
        publish([Artifact(source=made, destination=tmp_path / "image")])
    assert [path.name for path in tmp_path.iterdir()] == ["image"]
    assert [path.name for path in (tmp_path / "image").iterdir()] == ["new"]


@pytest.mark.parametrize("has_exchange", [True, False])
def test_when_one_move_fails_all_go_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_exchange: bool
) -> None:
    if not has_exchange:
        monkeypatch.setattr("ocibuild_core.exchange._EXCHANGE", 1 << 20)  # a flag that no kernel knows: EINVAL
    (tmp_path / "digest").write_text("old")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "old").write_text("old")
    with Staging() as staging:
        directory = staging.beside(tmp_path / "x")
        for name in ("digest", "new"):
            (directory / name).write_text("new")
        (directory / "tree").mkdir()
        artifacts = [
            Artifact(source=directory / name, destination=tmp_path / name) for name in ("digest", "new", "tree")
        ]
        (directory / "last").mkdir()
        missing = Artifact(source=directory / "last", destination=tmp_path / "missing" / "never")
        with pytest.raises(ExportError, match="never"):
            publish([*artifacts, missing])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digest", "tree"]
    assert (tmp_path / "digest").read_text() == "old"
    assert [path.name for path in (tmp_path / "tree").iterdir()] == ["old"]


def test_a_directory_does_not_replace_a_file(tmp_path: Path) -> None:
    (tmp_path / "image").write_text("a file")
    with Staging() as staging:
        made = staging.beside(tmp_path / "image")
        with pytest.raises(ExportError, match="it is a file, and a directory is to go there"):
            publish([Artifact(source=made, destination=tmp_path / "image")])
    assert (tmp_path / "image").read_text() == "a file"


def test_nothing_is_staged_in_what_is_built_where_that_can_be(tmp_path: Path) -> None:
    context = tmp_path / "project"
    (context / "image").mkdir(parents=True)
    with Staging(context) as staging:
        staged = staging.beside(context / "image" / "image.tar") / "output"
        staged.write_text("new")
        assert not list(context.rglob(".ocibuild-*"))
        publish([Artifact(destination=context / "image" / "image.tar", description="x", source=staged)])
    assert (context / "image" / "image.tar").read_text() == "new"
    assert not list(tmp_path.rglob(".ocibuild-*"))


def test_an_output_elsewhere_is_staged_beside_itself(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    with Staging(tmp_path / "project") as staging:
        assert staging.beside(tmp_path / "out" / "a.tar").parent.parent == tmp_path / "out"


def test_a_directory_that_another_build_takes_for_a_left_over_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its making and its locking: before it is opened, and after."""
    moments = ["made", "opened"]
    make, lock = os.mkdir, fcntl.flock

    def made(path: Path, mode: int = 0o777) -> None:
        make(path, mode)
        if moments and moments[0] == "made" and Path(path).name.startswith(".ocibuild-"):
            moments.pop(0)
            Path(path).rmdir()

    def locked(handle: int, how: int) -> None:
        if moments and moments[0] == "opened":
            moments.pop(0)
            Path(f"/proc/self/fd/{handle}").readlink().rmdir()
        lock(handle, how)

    monkeypatch.setattr(os, "mkdir", made)
    monkeypatch.setattr(fcntl, "flock", locked)
    with Staging() as staging:
        assert staging.beside(tmp_path / "a").is_dir()
    assert moments == []
