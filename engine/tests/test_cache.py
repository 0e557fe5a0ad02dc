from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from gowheel.cache import UNUSED_SECONDS, Cache, cache_key, cache_root


class Maker:
    """Fills an entry, and counts how often it had to."""

    def __init__(self, content: str = "made", seconds: float = 0) -> None:
        self.content = content
        self.seconds = seconds
        self.calls = 0

    def __call__(self, directory: Path) -> None:
        self.calls += 1
        time.sleep(self.seconds)
        (directory / "bin").mkdir()
        (directory / "bin" / "tool").write_text(self.content)


def tool(entry: Path) -> str:
    return (entry / "bin" / "tool").read_text()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(root=tmp_path / "cache")


def test_what_was_made_once_is_not_made_again(cache: Cache) -> None:
    maker = Maker()
    first = cache.get("tool", "k", maker)
    assert cache.get("tool", "k", maker) == first
    assert (maker.calls, tool(first)) == (1, "made")


def test_another_key_is_another_entry(cache: Cache) -> None:
    one, two = (cache.get("tool", key, Maker(key)) for key in ("a", "b"))
    assert (tool(one), tool(two)) == ("a", "b")


@pytest.mark.parametrize("damage", ["change", "remove", "add", "unseal"])
def test_a_damaged_entry_is_made_anew(cache: Cache, damage: str) -> None:
    entry = cache.get("tool", "k", Maker())
    if damage == "change":
        (entry / "bin" / "tool").write_text("evil")
    elif damage == "remove":
        (entry / "bin" / "tool").unlink()
    elif damage == "add":
        (entry / "bin" / "another").touch()
    else:
        (entry / "seal.json").write_text("{")
    assert cache.find("tool", "k") is None
    assert tool(cache.get("tool", "k", Maker("again"))) == "again"


def test_a_maker_that_fails_leaves_nothing(cache: Cache) -> None:
    def fail(directory: Path) -> None:
        (directory / "half").touch()
        raise RuntimeError("the compiler died")

    with pytest.raises(RuntimeError):
        cache.get("tool", "k", fail)
    assert [path.name for path in cache.root.iterdir()] == ["tool.lock"]
    assert tool(cache.get("tool", "k", Maker())) == "made"


def test_two_builds_at_once_make_it_once_and_both_have_it(cache: Cache) -> None:
    maker = Maker(seconds=0.3)
    entries: list[Path] = []
    threads = [threading.Thread(target=lambda: entries.append(cache.get("tool", "k", maker))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert maker.calls == 1
    assert [tool(entry) for entry in entries] == ["made"] * 3


def test_what_nobody_used_for_long_goes_and_what_was_used_stays(cache: Cache) -> None:
    old, used = (cache.get("tool", key, Maker()) for key in ("old", "used"))
    killed = cache.root / ".new-killed"
    killed.mkdir()
    long_ago = time.time() - UNUSED_SECONDS - 1
    for path in (old, used, killed):
        os.utime(path, (long_ago, long_ago))
    cache.get("tool", "used", Maker())
    cache.get("tool", "new", Maker())
    assert [path.exists() for path in (old, used, killed)] == [False, True, False]


def test_a_build_that_is_running_keeps_its_scratch_directory(cache: Cache) -> None:
    cache.root.mkdir()
    running = cache.root / ".new-running"
    running.mkdir()
    cache.get("tool", "k", Maker())
    assert running.exists()


def test_the_key_depends_on_every_input_and_not_on_their_order() -> None:
    assert cache_key({"a": 1, "b": 2}) == cache_key({"b": 2, "a": 1})
    assert len({cache_key(inputs) for inputs in ({"a": 1}, {"a": 2}, {"b": 1}, {})}) == 4


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        ({"XDG_CACHE_HOME": "/var/cache/u"}, Path("/var/cache/u/ocibuild/wheels")),
        ({"XDG_CACHE_HOME": "relative"}, Path("~/.cache/ocibuild/wheels").expanduser()),
        ({}, Path("~/.cache/ocibuild/wheels").expanduser()),
    ],
)
def test_the_cache_is_where_the_desktop_specification_says(environ: dict[str, str], root: Path) -> None:
    assert cache_root(environ) == root
