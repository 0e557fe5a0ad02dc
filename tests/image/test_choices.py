"""What `make image` is told, taken apart: plugins, base, lock file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from inside.choice import is_wheel, requirement, split_plugins
from taskimage.lock import constraints, normalise, read_lock, requirements
from taskimage.places import ImageError
from taskimage.plugins import check_plugins, find_plugins, labels
from taskimage.target import choose_image_target
from taskimage.wheels import _pin_of


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", ()),
        ("ecr", ("ecr",)),
        ("ecr,basic", ("ecr", "basic")),
        (" ecr, basic\n", ("ecr", "basic")),
        ("ecr basic", ("ecr", "basic")),
        ("acme[a,b]>=1,<2,ecr", ("acme[a,b]>=1,<2", "ecr")),
        ("acme==1.0,./dist/x-1-py3-none-any.whl", ("acme==1.0", "./dist/x-1-py3-none-any.whl")),
    ],
)
def test_plugins_are_parted_by_commas_that_no_requirement_has(text: str, items: tuple[str, ...]) -> None:
    assert split_plugins(text) == items


def test_a_short_name_is_ours_where_our_wheel_is(tmp_path: Path) -> None:
    (tmp_path / "ocibuild_ecr-0.1.0-py3-none-any.whl").touch()
    assert requirement("ecr", tmp_path) == "ocibuild-ecr"
    assert requirement("acme", tmp_path) == "acme"
    assert requirement("acme==1.2", tmp_path) == "acme==1.2"
    assert requirement("dist/acme-1-py3-none-any.whl", tmp_path) == str(tmp_path / "acme-1-py3-none-any.whl")
    assert is_wheel("a.whl")


@pytest.mark.parametrize("file", ["acme_login", "acme.login", "Acme_Login"])
def test_a_wheel_is_known_by_the_name_that_locks_and_indexes_use(file: str) -> None:
    """Older build tools keep dots and capitals in the file's name."""
    assert _pin_of(Path(f"{file}-1.2-py3-none-any.whl")) == ("acme-login", "1.2")


@pytest.mark.parametrize(
    ("base", "python", "found"),
    [
        ("debian", "", "3.11"),
        ("python:3.13-slim-bookworm", "", "3.13"),
        ("registry.example:5000/python:3.12", "", "3.12"),
        ("mine:latest", "3.13", "3.13"),
    ],
)
def test_the_base_tells_which_wheels_fit(base: str, python: str, found: str) -> None:
    target = choose_image_target(machine="aarch64", base=base, python=python)
    assert (target.python, target.platform) == (found, "linux/arm64")
    assert target.uv_platform == "aarch64-manylinux_2_36"
    assert {"manylinux_2_17_aarch64", "manylinux2014_aarch64"} <= set(target.wheel_platforms)


def test_a_base_that_does_not_tell_its_python_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ImageError, match=r"BASE=mine:latest BASE_PYTHON=3\.13"):
        choose_image_target(machine="amd64", base="mine:latest", python="")


def test_a_lock_file_is_read_and_written() -> None:
    one, two = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
    text = (
        f"Acme.Login==1.2 ; python_version < '3.14' \\\n    --hash={one} \\\n    --hash={two}\n    # via x\nother==2\n"
    )
    lock = read_lock(text)
    assert lock == {("acme-login", "1.2"): (one, two), ("other", "2"): ()}
    assert requirements(lock).splitlines()[0] == f"acme-login==1.2 --hash={one} --hash={two}"
    assert constraints(lock) == "acme-login==1.2\nother==2\n"
    assert normalise("A_b.-C") == "a-b-c"


def wheel(directory: Path, source: str) -> Path:
    path = directory / "acme_login-1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("acme/login.py", source)
        info = "acme_login-1.2.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: acme-login\nVersion: 1.2\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\nx = y\n[ocibuild]\nAcme = acme.login\n")
    return path


@pytest.mark.parametrize(
    ("source", "api"), [("", 1), ("OCIBUILD_HOOK_API = 2\n", 2), ("OCIBUILD_HOOK_API: int = 3\n", 3)]
)
def test_labels_name_the_plugins_of_wheels(source: str, api: int, tmp_path: Path) -> None:
    found = find_plugins([wheel(tmp_path, source)])
    assert labels(found, "0.1.0")["io.github.ocibuild.plugin.Acme"] == f"acme-login 1.2, hook API {api}"


def test_what_is_no_plugin_is_refused(tmp_path: Path) -> None:
    """As `PLUGINS=ecr,baisc` would be, were there a package of that name on the index."""
    found = find_plugins([wheel(tmp_path, "")])
    check_plugins(["acme-login==1.2", "Acme_Login[x]>=1", "acme.login", str(tmp_path / "acme_login-1.2-x.whl")], found)
    for other in ("acme", "baisc==1", "dist/six-1.17-py3-none-any.whl"):
        with pytest.raises(ImageError, match=r"^PLUGINS: (acme|baisc|six) is no plugin"):
            check_plugins(["acme-login", other], found)


def test_an_entry_point_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    path = wheel(tmp_path, "")
    broken = tmp_path / "broken.whl"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(broken, "w") as new:
        for name in old.namelist():
            if not name.startswith("acme/"):
                new.writestr(name, old.read(name))
    with pytest.raises(ImageError, match=r"names acme\.login, which is not in the wheel"):
        find_plugins([broken])
