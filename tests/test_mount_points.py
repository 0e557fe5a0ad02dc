"""Directories that cannot be replaced: mount points, and what overlayfs has in a lower layer. With real mounts."""

from __future__ import annotations

from pathlib import Path
from tempfile import gettempdir

import pytest
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
    from ocibuild_core.mount_points import is_mount_point

    (tmp_path / "link").symlink_to("/proc")
    assert not any(is_mount_point(path) for path in (tmp_path, tmp_path / "link", tmp_path / "missing"))
    assert is_mount_point(Path("/proc"))


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
