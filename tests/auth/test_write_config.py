"""`ocibuild docker-config DIR`: a plain docker config, written where nobody else can meddle with it."""

from __future__ import annotations

import base64
import json
import os
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from ocibuild_core.auth.config_files import read_config
from ocibuild_core.auth.docker_config import UserConfig
from ocibuild_core.auth.write_config import write_docker_config
from ocibuild_core.errors import UsageError
from ocibuild_core.plugin import CredentialKind
from support.auth_parts import credential

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.programs import ProgramRunner
    from support.strangers import Stranger

NOON = datetime(2030, 1, 2, 12, 0, tzinfo=UTC)
EVENING = datetime(2030, 1, 2, 18, 0, tzinfo=UTC)
CREDENTIALS = {
    "docker.io": credential("hub", "pä:ss", expires_at=EVENING),
    "r.example:5000": credential("u", "long-enough", expires_at=NOON),
    "token.example": credential("", "refresh", kind=CredentialKind.IDENTITY_TOKEN),
}


def test_docker_finds_in_it_what_was_written(tmp_path: Path) -> None:
    written = write_docker_config(tmp_path / "made" / "here", CREDENTIALS)
    document = json.loads(written.path.read_text())
    assert document["auths"] == {
        "https://index.docker.io/v1/": {"auth": base64.b64encode("hub:pä:ss".encode()).decode()},
        "r.example:5000": {"auth": base64.b64encode(b"u:long-enough").decode()},
        "token.example": {"identitytoken": "refresh"},
    }
    config = read_config(written.path, named=True, warn=pytest.fail)
    assert config
    read = UserConfig((config,), env={}, timeout=1)
    found = {name: entry.credential() for name in CREDENTIALS for entry in read.entries(name)}
    assert {name: one.secret.reveal() for name, one in found.items() if one} == {
        name: one.secret.reveal() for name, one in CREDENTIALS.items()
    }


def test_it_says_when_the_first_of_them_ends(tmp_path: Path) -> None:
    written = write_docker_config(tmp_path, CREDENTIALS)
    assert (written.expires_at, written.registries) == (NOON, tuple(CREDENTIALS))
    assert write_docker_config(tmp_path / "other", {"r.example": credential()}).expires_at is None


def test_file_and_directory_are_the_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = write_docker_config(tmp_path / "new", CREDENTIALS).path
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [item.name for item in path.parent.iterdir()] == ["config.json"]


def test_one_of_ours_is_replaced(tmp_path: Path) -> None:
    write_docker_config(tmp_path, CREDENTIALS)
    (tmp_path / "config.json").chmod(0o644)
    path = write_docker_config(tmp_path, {"r.example": credential()}).path
    assert list(json.loads(path.read_text())["auths"]) == ["r.example"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["{}", '{"auths": {"r.example": {}}}', "", "no json", "[1]", "[" * 5000])
def test_another_is_left_as_it_is(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UsageError, match="left as it is"):
        write_docker_config(tmp_path, CREDENTIALS)
    assert (tmp_path / "config.json").read_text() == content
    assert [item.name for item in tmp_path.iterdir()] == ["config.json"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text('{"ocibuild": {}}')
    (tmp_path / "config.json").symlink_to(target)
    with pytest.raises(UsageError, match="following a link"):
        write_docker_config(tmp_path, CREDENTIALS)
    assert target.read_text() == '{"ocibuild": {}}'


def test_a_link_to_nothing_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to(tmp_path / "nothing")
    with pytest.raises(UsageError, match="following a link"):
        write_docker_config(tmp_path, CREDENTIALS)
    assert not (tmp_path / "nothing").exists()


def test_a_second_name_of_the_file_gets_nothing(tmp_path: Path) -> None:
    work = tmp_path / "work"
    write_docker_config(work, {"r.example": credential()})
    (tmp_path / "second").hardlink_to(work / "config.json")
    before = (tmp_path / "second").read_text()
    write_docker_config(work, CREDENTIALS)
    assert (tmp_path / "second").read_text() == before


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_left_as_it_is(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "config.json")
    with pytest.raises(UsageError, match="no regular file"):
        write_docker_config(tmp_path, CREDENTIALS)


@pytest.mark.parametrize(("mode", "is_fine"), [(0o777, False), (0o770, False), (0o1777, True), (0o755, True)])
def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path, mode: int, *, is_fine: bool) -> None:
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(mode)
    if is_fine:
        assert write_docker_config(place, CREDENTIALS)
        return
    with pytest.raises(UsageError, match="other users may write there"):
        write_docker_config(place, CREDENTIALS)
    assert list(place.iterdir()) == []


def test_another_users_directory_is_refused(tmp_path: Path, stranger: Stranger) -> None:
    place = tmp_path / "place"
    place.mkdir()
    stranger.take(place)
    with pytest.raises(UsageError, match="belongs to another user"):
        write_docker_config(place, CREDENTIALS)


def test_a_file_in_the_place_of_the_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be used for a docker config"):
        write_docker_config(tmp_path / "file", CREDENTIALS)


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        del args, kwargs
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(UsageError, match="No space left on device"):
        write_docker_config(tmp_path, CREDENTIALS)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_it_and_says_what_it_holds(
    run: ProgramRunner, sandbox: Path, fresh_secret: Callable[[], str]
) -> None:
    secret, place = fresh_secret(), sandbox / "config"
    (sandbox / "work").mkdir()
    env = {"LOGIN": "PASS", "PASS": f"me:{secret}", "REG_URL": "https://R.example/v2/"}
    command = ("ocibuild", "docker-config", str(place))
    ended = run(*command, env=env, cwd=sandbox / "work", may_hold_secrets=[place]).succeeded()
    assert ended.stderr == ""
    assert ended.stdout == f"{place}/config.json holds secrets, good until they are changed, for: r.example\n"
    document = json.loads((place / "config.json").read_text())
    assert base64.b64decode(document["auths"]["r.example"]["auth"]).decode() == f"me:{secret}"


@pytest.mark.parametrize("place", [".", "below/it", "../elsewhere"])
def test_a_place_where_people_build_is_warned_of(
    run: ProgramRunner, sandbox: Path, fresh_secret: Callable[[], str], place: str
) -> None:
    for name in ("work", "elsewhere"):
        (sandbox / name).mkdir(mode=0o700)
    (sandbox / "elsewhere" / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    env = {"LOGIN": "PASS", "PASS": f"me:{fresh_secret()}", "REG_URL": "r.example"}
    written = (sandbox / "work" / place).resolve()
    command = ("ocibuild", "docker-config", place)
    ended = run(*command, env=env, cwd=sandbox / "work", may_hold_secrets=[written]).succeeded()
    assert ended.stderr.startswith("warning: ")
    assert "lies where a build would take it into an image\n  do     choose" in ended.stderr


def test_the_command_fails_for_a_host_without_a_credential(run: ProgramRunner, sandbox: Path) -> None:
    ended = run("ocibuild", "docker-config", "config", "r.example", cwd=sandbox).ended_with(3)
    assert "there is no credential for r.example" in ended.stderr
    assert not (sandbox / "config").exists()


def test_the_command_needs_a_registry(run: ProgramRunner, sandbox: Path) -> None:
    ended = run("ocibuild", "docker-config", "config", cwd=sandbox).ended_with(2)
    assert "name the hosts" in ended.stderr
