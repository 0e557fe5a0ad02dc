"""Directories that cannot be replaced: mount points, and what overlayfs has in a lower layer. With real mounts."""

from __future__ import annotations

from pathlib import Path
from tempfile import gettempdir

import pytest
from ocibuild_core.mount_points import MARKER, holds_something, is_mount_point
from support.namespaces import run_in_namespace

# The ordinary user of some tests may not read the place that Python's own modules are in: they are loaded before.
PUBLISH = """
import ctypes, shutil
from ocibuild_core.export_records import Artifact
from ocibuild_core.publish import Staging, publish

def build(*names):
    target = place / "image" / "rootfs"
    with Staging() as staging:
        made = staging.beside(target)
        (made / "rootfs" / "bin").mkdir(parents=True)
        for name in names:
            (made / "rootfs" / "bin" / name).write_text(name)
        (made / "rootfs").chmod(0o711)
        (made / "metadata.json").write_text("of " + " ".join(names))
        publish([
            Artifact(source=made / "metadata.json", destination=place / "image" / "metadata.json"),
            Artifact(source=made / "rootfs", destination=target),
        ])

def show(title=""):
    found = sorted(str(path.relative_to(place / "image")) for path in (place / "image").rglob("*"))
    print(title, oct((place / "image" / "rootfs").stat().st_mode & 0o777), *found)
"""

TMPFS = 'mkdir -p "$1/image/rootfs"; mount -t tmpfs tmpfs "$1/image/rootfs"; mkdir "$1/image/rootfs/lost+found"'
BIND = 'mkdir -p "$1/image/rootfs" "$1/volume"; mount --bind "$1/volume" "$1/image/rootfs"'
OVERLAY = """
# In an ordinary user's namespace there are no redirects, and they cannot be turned off either.
redirects=redirect_dir=off; test "$(cat /proc/self/uid_map | tr -s ' ')" = " 0 0 4294967295" || redirects=userxattr
mkdir -p "$1/o"; mount -t tmpfs tmpfs "$1/o"; mkdir -p "$1/o/l/rootfs" "$1/o/u" "$1/o/w" "$1/image"
echo old > "$1/o/l/rootfs/old"
mount -t overlay -o "lowerdir=$1/o/l,upperdir=$1/o/u,workdir=$1/o/w,$redirects" overlay "$1/image"
"""


def said(mounts: str, code: str, place: Path) -> list[str]:
    ended = run_in_namespace(mounts, PUBLISH + code, place)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


@pytest.mark.parametrize("mounts", [TMPFS, BIND, OVERLAY], ids=["another file system", "bind mount", "lower layer"])
def test_content_is_exchanged_where_the_directory_cannot_be(mounts: str, tmp_path: Path) -> None:
    lines = said(mounts, "build('a', 'b'); show(); build('c'); show()", tmp_path)
    first, second = (line.replace(" rootfs/lost+found", "") for line in lines)
    assert first == " 0o711 metadata.json rootfs rootfs/bin rootfs/bin/a rootfs/bin/b"
    assert second == " 0o711 metadata.json rootfs rootfs/bin rootfs/bin/c"
    assert ("lost+found" in lines[1]) == (mounts == TMPFS)


def test_a_plain_directory_is_no_mount_point(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc")
    assert not any(is_mount_point(path) for path in (tmp_path, tmp_path / "link", tmp_path / "missing"))
    assert is_mount_point(Path("/proc"))


TWO_PLACES = """
from contextlib import suppress
(place / "near").write_text("old")
def publish_both():
    with Staging() as staging:
        made = staging.beside(place / "near")
        for name in ("near", "far"):
            (made / name).write_text("new")
        publish([
            Artifact(source=made / "near", destination=place / "near"),
            Artifact(source=made / "far", destination=place / "disk" / "far"),
        ])
def show_both():
    print((place / "near").read_text(), *sorted(path.name for path in (place / "disk").iterdir()))
"""
DISK = 'mkdir "$1/disk"; mount -t tmpfs tmpfs "$1/disk"'


def test_a_kill_while_a_file_goes_to_another_disk_leaves_all_as_it_was(tmp_path: Path) -> None:
    code = """
if os.fork() == 0:
    fail_at("shutil.copyfile", 1, lambda: os.kill(os.getpid(), signal.SIGKILL))
    publish_both()
os.wait()
print((place / "near").read_text(), (place / "disk" / "far").exists())
publish_both()
show_both()
"""
    assert said(DISK, TWO_PLACES + code, tmp_path) == ["old False", "new far"]


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_between_two_moves_waits_for_the_last(tmp_path: Path, number: str) -> None:
    code = f"""
class Stop(BaseException):
    pass
def stop(*_):
    raise Stop
signal.signal(signal.{number}, stop)
fail_at("os.rename", 1, lambda: os.kill(os.getpid(), signal.{number}))
try:
    publish_both()
except Stop:
    print("stopped")
show_both()
"""
    assert said(DISK, TWO_PLACES + code, tmp_path) == ["stopped", "new far"]


def test_whatever_comes_between_two_moves_puts_everything_back(tmp_path: Path) -> None:
    code = """
def fail():
    raise MemoryError
fail_at("os.rename", 1, fail)
with suppress(MemoryError):
    publish_both()
show_both()
print(*sorted(path.name for path in place.iterdir()))
"""
    assert said(DISK, TWO_PLACES + code, tmp_path) == ["old", "disk near"]


@pytest.mark.parametrize("name", ["lost+found", ".ocibuild-notes", "x"])
def test_whatever_lies_in_a_plain_directory_may_be_somebodys(tmp_path: Path, name: str) -> None:
    assert not holds_something(tmp_path)
    assert not holds_something(tmp_path / "missing")
    (tmp_path / name).touch()
    assert holds_something(tmp_path)
    assert not holds_something(tmp_path / name)
    (tmp_path / MARKER).touch()
    assert not holds_something(tmp_path)


@pytest.mark.parametrize("count", range(1, 4))
def test_a_failure_in_between_puts_everything_back(tmp_path: Path, count: int) -> None:
    code = f"""
from ocibuild_core.errors import ExportError
build("a", "b")
def fail():
    raise OSError(28, "No space left on device")
fail_at("os.rename", {count}, fail)
try:
    build("c")
    print("went well")
except ExportError as error:
    print(str(error).splitlines()[-1])
show((place / "image" / "metadata.json").read_text())
"""
    outcome, state = said(TMPFS, code, tmp_path)
    state = state.replace(" rootfs/lost+found", "")
    if outcome == "went well":
        assert state == "of c 0o711 metadata.json rootfs rootfs/bin rootfs/bin/c"
        assert count > 2
    else:
        assert "No space left on device" in outcome
        assert state == "of a b 0o711 metadata.json rootfs rootfs/bin rootfs/bin/a rootfs/bin/b"


def test_a_kill_in_between_leaves_the_marker_and_the_next_build_is_whole(tmp_path: Path) -> None:
    code = """
from ocibuild_core.mount_points import is_unfinished
build("a", "b")
if os.fork() == 0:
    fail_at("os.rename", 2, lambda: os.kill(os.getpid(), signal.SIGKILL))
    build("c")
os.wait()
print(is_unfinished(place / "image" / "rootfs"))
build("d")
print(is_unfinished(place / "image" / "rootfs"))
show()
"""
    unfinished, finished, state = said(BIND, code, tmp_path)
    assert (unfinished, finished) == ("True", "False")
    assert state == " 0o711 metadata.json rootfs rootfs/bin rootfs/bin/d"


def test_an_ordinary_user_replaces_directories_that_he_may_not_write(tmp_path: Path) -> None:
    code = """
(place / "image").mkdir()
become_ordinary(place / "image")
for name in ("a", "b"):
    target = place / "image" / "rootfs"
    with Staging() as staging:
        made = staging.beside(target) / "rootfs"
        (made / "sub").mkdir(parents=True)
        (made / "sub" / name).write_text("")
        (made / "sub").chmod(0)
        made.chmod(0o555)
        publish([Artifact(source=made, destination=target)])
show()
print((place / "image" / "rootfs" / "sub").stat().st_mode & 0o777)
"""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent == Path(gettempdir()):
            break
        parent.chmod(0o755)
    assert said("true", code, tmp_path) == [" 0o555 rootfs rootfs/sub", "0"]


NESTED = """
mkdir -p "$1/image/rootfs/a b/mnt" "$1/kept"
touch "$1/kept/file"
mount --bind "$1/kept" "$1/image/rootfs/a b/mnt"
"""


@pytest.mark.parametrize("covers", ["", 'mount -t tmpfs tmpfs "$1/image"'], ids=["seen", "covered"])
def test_what_holds_a_mount_is_not_replaced(covers: str, tmp_path: Path) -> None:
    code = """
from ocibuild_core.errors import ExportError
try:
    build("new")
    print("went well")
except ExportError as error:
    print(error.why)
print((place / "kept" / "file").exists())
"""
    outcome, is_kept = said(f"{NESTED}\n{covers}", code, tmp_path)
    mounted = f"something is mounted on {tmp_path}/image/rootfs/a b/mnt"
    assert (outcome, is_kept) == ("went well" if covers else mounted, "True")


def test_a_mounted_file_is_not_replaced(tmp_path: Path) -> None:
    code = """
from ocibuild_core.errors import ExportError
from ocibuild_core.mount_points import refuse_mounted
for name in ("image", "f/x", "f"):
    try:
        refuse_mounted([place / name])
    except ExportError as error:
        print(error.summary)
"""
    lines = said('mkdir -p "$1/image"; touch "$1/f" "$1/g"; mount --bind "$1/g" "$1/f"', code, tmp_path)
    assert lines == [f"cannot replace {tmp_path}/f"]


@pytest.mark.parametrize("remover", ["ocibuild_core.unpack.removing", "ocibuild_core.engine.removing"])
def test_removal_stops_at_a_mount_of_the_same_file_system(remover: str, tmp_path: Path) -> None:
    code = f"""
from contextlib import suppress
from {remover} import remove_tree
with suppress(OSError):
    assert remove_tree(place / "image") is False
print((place / "kept" / "file").exists(), (place / "image" / "rootfs" / "a b" / "mnt").exists())
"""
    assert said(NESTED, code, tmp_path) == ["True True"]


def test_what_a_killed_build_left_goes_without_what_is_mounted_in_it(tmp_path: Path) -> None:
    left = '"$1/image/.ocibuild-left/x/mnt"'
    mounts = f'mkdir -p {left} "$1/kept"; touch "$1/kept/file"; mount --bind "$1/kept" {left}'
    assert said(mounts, "build('a'); print((place / 'kept' / 'file').exists())", tmp_path) == ["True"]
