"""The cache directory without BuildKit: what is kept, what is dropped, and that it is whole at every moment."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ocibuild_core.cache_directory import CacheDirectory, open_cache
from ocibuild_core.errors import ExportError
from ocibuild_core.publish import Staging


def put(layout: Path, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (layout / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
    path = layout / "blobs" / "sha256" / digest
    if not path.exists():
        path.write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def export(layout: Path, *layers: bytes) -> str:
    """What BuildKit does: blobs, a manifest, an entry in the index. Returns the manifest's digest."""
    manifest = put(
        layout, json.dumps({"config": put(layout, b"{}"), "layers": [put(layout, x) for x in layers]}).encode()
    )
    index = layout / "index.json"
    before = json.loads(index.read_bytes())["manifests"] if index.exists() else []
    index.write_text(json.dumps({"schemaVersion": 2, "manifests": [*before, manifest]}))
    return str(manifest["digest"])


def run(cache: Path, *layers: bytes, most_bytes: int = 10**6) -> tuple[CacheDirectory, list[str]]:
    """One build: its imports, and what it exports, kept."""
    with Staging() as staging:
        opened = open_cache(cache, staging)
        assert opened
        arguments = opened.arguments()
        place = Path(arguments[-1].split("dest=")[1].split(",")[0])
        export(place, *layers)
        opened.keep(most_bytes)
    return opened, arguments


def check(cache: Path) -> list[str]:
    """The manifests of a cache of which nothing is missing, damaged or too much."""
    listed = json.loads((cache / "index.json").read_bytes())["manifests"]
    needed = set()
    for manifest in listed:
        content = json.loads((cache / "blobs" / manifest["digest"].replace(":", "/")).read_bytes())
        needed |= {one["digest"] for one in (manifest, content["config"], *content["layers"])}
    found = {f"sha256:{path.name}": path.read_bytes() for path in (cache / "blobs" / "sha256").iterdir()}
    assert found.keys() == needed
    assert all(digest == f"sha256:{hashlib.sha256(content).hexdigest()}" for digest, content in found.items())
    return [manifest["digest"] for manifest in listed]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def test_without_the_directory_there_is_no_cache(tmp_path: Path) -> None:
    with Staging() as staging:
        assert open_cache(tmp_path / "cache", staging) is None
    assert list(tmp_path.iterdir()) == []


def test_a_build_is_imported_by_the_next_and_the_newest_comes_first(cache: Path) -> None:
    _, first = run(cache, b"one")
    assert "--import-cache" not in first
    (one,) = check(cache)
    _, second = run(cache, b"two")
    assert second[0] == "--import-cache"
    assert second[1].endswith(f",digest={one}")
    newest, oldest = check(cache)
    assert oldest == one
    index = json.loads((cache / "index.json").read_bytes())
    names = [manifest["annotations"] for manifest in index["manifests"]]
    assert names == [{"org.opencontainers.image.ref.name": "latest"}, {}]
    assert newest != one


def test_builds_at_the_same_time_keep_both_and_take_nothing_from_each_other(cache: Path) -> None:
    run(cache, b"old")
    (old,) = check(cache)
    with Staging() as staging:
        slow = open_cache(cache, staging)
        assert slow
        arguments = slow.arguments()
        source = Path(arguments[1].split("src=")[1].split(",")[0])
        run(cache, b"quick", most_bytes=300)
        (quick,) = check(cache)
        assert (source / "blobs" / old.replace(":", "/")).exists(), "BuildKit may still read it"
        export(Path(arguments[-1].split("dest=")[1].split(",")[0]), b"slow")
        slow.keep(10**6)
    assert check(cache)[1:] == [quick]


def test_the_same_build_again_is_there_once(cache: Path) -> None:
    run(cache, b"one")
    run(cache, b"one")
    assert len(check(cache)) == 1


def test_the_bound_drops_what_is_oldest(cache: Path) -> None:
    for number in range(3):
        run(cache, bytes([number]) * 1000, most_bytes=2900)
    manifests = check(cache)
    assert len(manifests) == 2
    kept = {path.read_bytes()[:1] for path in (cache / "blobs" / "sha256").iterdir() if path.stat().st_size == 1000}
    assert kept == {b"\x01", b"\x02"}


def test_what_is_too_large_by_itself_is_not_kept(cache: Path) -> None:
    run(cache, b"one")
    before = check(cache)
    with Staging() as staging:
        opened = open_cache(cache, staging)
        assert opened
        export(Path(opened.arguments()[-1].split("dest=")[1].split(",")[0]), b"x" * 5000)
        assert opened.keep(1000).is_too_large
    assert check(cache) == before
    with Staging() as staging:
        opened = open_cache(cache, staging)
        assert opened
        export(Path(opened.arguments()[-1].split("dest=")[1].split(",")[0]), b"x" * 5000)
        assert opened.keep(1).is_too_large
    assert not (cache / "index.json").exists()
    assert list((cache / "blobs" / "sha256").iterdir()) == []


def test_a_blob_that_was_cut_off_is_written_again(cache: Path) -> None:
    run(cache, b"a layer")
    blob = cache / "blobs" / "sha256" / hashlib.sha256(b"a layer").hexdigest()
    blob.write_bytes(b"a la")
    _, arguments = run(cache, b"a layer")
    assert "--import-cache" not in arguments
    check(cache)


def test_only_what_is_named_and_not_what_it_should_be_is_taken_out(cache: Path) -> None:
    run(cache, b"good")
    run(cache, b"evil")
    digests = [hashlib.sha256(content).hexdigest() for content in (b"good", b"evil", b"absent")]
    (cache / "blobs" / "sha256" / digests[1]).write_bytes(b"live")
    with Staging() as staging:
        opened = open_cache(cache, staging)
        assert opened
        before = opened.arguments()
        assert opened.drop_damaged(f"expected sha256:{digests[0]} or sha256:{digests[2]}") == ()
        said = f"unexpected commit digest sha256:0, expected sha256:{digests[1]}: failed"
        assert opened.drop_damaged(said) == (f"sha256:{digests[1]}",)
        after = opened.arguments()
    assert (before.count("--import-cache"), after.count("--import-cache")) == (2, 1)
    assert digests[1] not in [path.name for path in (cache / "blobs" / "sha256").iterdir()]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"manifests": [{"digest": "../x", "size": 1}]}', "{"])
def test_an_index_that_makes_no_sense_counts_as_none(cache: Path, content: str) -> None:
    (cache / "index.json").write_text(content)
    run(cache, b"one")
    assert len(check(cache)) == 1


_KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from test_cache_directory import run
cache, moment = Path(sys.argv[2]), int(sys.argv[3])
done = 0
def count(event, arguments):
    global done
    if event in ("os.rename", "os.remove", "os.mkdir", "os.link") and str(cache) in str(arguments):
        if done == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1
sys.addaudithook(count)
run(cache, b"three" + sys.argv[3].encode(), most_bytes=800)
"""


def test_killed_at_any_step_it_is_whole_and_the_next_run_cleans_up(cache: Path) -> None:
    run(cache, b"one")
    run(cache, b"two")
    for moment in range(0, 40, 3):
        command = [sys.executable, "-c", _KILLED, str(Path(__file__).parent), str(cache), str(moment)]
        ended = subprocess.run(command, check=False, capture_output=True)
        assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
        for manifest in json.loads((cache / "index.json").read_bytes())["manifests"]:
            content = json.loads((cache / "blobs" / manifest["digest"].replace(":", "/")).read_bytes())
            for one in (content["config"], *content["layers"]):
                assert (cache / "blobs" / one["digest"].replace(":", "/")).stat().st_size == one["size"]
        if ended.returncode == 0:
            break
    assert moment > 10
    assert ended.returncode == 0
    run(cache, b"four")
    check(cache)
    assert sorted(path.name for path in cache.iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_a_directory_that_cannot_be_written_is_said() -> None:
    with Staging() as staging, pytest.raises(ExportError, match="cannot write into"):
        open_cache(Path("/proc/self"), staging)
