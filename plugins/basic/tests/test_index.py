"""The index of what was stored."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import stat
from typing import TYPE_CHECKING

import pytest
from ocibuild_basic.keychain import Index, Keychain
from ocibuild_core.plugin import CredentialError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(path=tmp_path / "data" / "ocibuild" / "basic-logins.json", seconds=5.0)


def test_it_remembers_registries_and_users(index: Index) -> None:
    index.add("r.example", "alice")
    index.add("r.example", "bob")
    index.add("other.example", "alice")
    index.add("r.example", "alice")

    assert index.entries() == (("other.example", "alice"), ("r.example", "alice"), ("r.example", "bob"))
    index.remove("r.example", ["alice", "nobody"])
    assert index.entries() == (("other.example", "alice"), ("r.example", "bob"))


def test_its_file_is_private(index: Index) -> None:
    index.add("r.example", "alice")

    assert index.path
    assert stat.S_IMODE(index.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(index.path.parent.stat().st_mode) == 0o700


def test_to_remove_what_is_not_there_writes_nothing(index: Index) -> None:
    index.remove("r.example", ["alice"])

    assert index.path
    assert not index.path.parent.exists()


def _add(path: Path, number: int) -> None:
    Index(path=path, seconds=30.0).add("r.example", f"user{number}")


def test_twenty_processes_lose_nothing(index: Index) -> None:
    assert index.path
    context = multiprocessing.get_context("spawn")
    with context.Pool(8) as pool:
        pool.starmap(_add, [(index.path, number) for number in range(20)])

    assert {user for _, user in index.entries()} == {f"user{number}" for number in range(20)}


def test_a_lock_that_nobody_lets_go_is_an_error(index: Index) -> None:
    index.add("r.example", "alice")
    assert index.path
    with index.path.with_suffix(".lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(CredentialError, match=r"basic-logins\.json is locked"):
            Index(path=index.path, seconds=0.1).add("r.example", "bob")
    assert index.entries() == (("r.example", "alice"),)


def test_a_writer_that_died_leaves_the_old_list(index: Index) -> None:
    index.add("r.example", "alice")
    assert index.path
    index.path.with_suffix(".new").write_text('{"logins": [{"regis')

    assert index.entries() == (("r.example", "alice"),)
    index.add("r.example", "bob")
    assert len(index.entries()) == 2


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        "null",
        '{"logins": 1}',
        '{"logins": [{"registry": "r"}]}',
        '{"logins": [{"registry": 1, "user": "a"}]}',
        "[" * 100000,
    ],
)
def test_a_spoilt_file_is_named_and_kept(index: Index, content: str) -> None:
    index.add("r.example", "alice")
    assert index.path
    index.path.write_text(content)

    for question in (index.entries, lambda: index.add("r.example", "bob")):
        with pytest.raises(CredentialError, match=r"cannot read the list of logins .*basic-logins\.json"):
            question()
    assert index.path.read_text() == content


@pytest.mark.parametrize(
    ("env", "path"),
    [
        ({"HOME": "/home/a"}, "/home/a/.local/share/ocibuild/basic-logins.json"),
        ({"HOME": "/home/a", "XDG_DATA_HOME": "/data"}, "/data/ocibuild/basic-logins.json"),
        ({"HOME": "/home/a", "XDG_DATA_HOME": "relative"}, "/home/a/.local/share/ocibuild/basic-logins.json"),
        ({"HOME": "/"}, "/.local/share/ocibuild/basic-logins.json"),
    ],
)
def test_it_lies_where_xdg_says(env: dict[str, str], path: str) -> None:
    found = Keychain(env=env, seconds=1.0)._index().path

    assert str(found) == path


def test_without_a_home_it_is_empty_and_cannot_be_written() -> None:
    index = Keychain(env={"HOME": ""}, seconds=1.0)._index()

    assert index.entries() == ()
    with pytest.raises(CredentialError, match="HOME is not set"):
        index.add("r.example", "alice")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    index = Index(path=tmp_path / "file" / "ocibuild" / "basic-logins.json", seconds=1.0)

    assert index.entries() == ()
    with pytest.raises(CredentialError, match="cannot write the list of logins") as caught:
        index.add("r.example", "alice")
    assert "XDG_DATA_HOME" in caught.value.do


def test_it_holds_no_secret(index: Index) -> None:
    index.add("r.example", "alice")

    assert index.path
    assert json.loads(index.path.read_text()) == {"logins": [{"registry": "r.example", "user": "alice"}]}
