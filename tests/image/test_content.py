"""What is in the task image, and what is not."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.foreign import EMULATOR
from support.task_image import REVISION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.task_image import TaskImage

pytestmark = pytest.mark.e2e

LIMIT = 330 * 10**6
BOM = "usr/share/sbom/ocibuild-task.cdx.json"


def site(image: TaskImage) -> Path:
    (found,) = image.rootfs.glob("opt/ocibuild/lib/python3.*/site-packages")
    return found


def paths(root: Path) -> Iterator[str]:
    for directory, _, files in os.walk(root):
        for name in files:
            yield str(Path(directory, name).relative_to(root))


def test_it_says_what_it_is(task_image: TaskImage) -> None:
    config = task_image.config["config"]
    assert config["Entrypoint"] == ["task"]
    assert list(config["Volumes"]) == ["/scratch"]
    assert config["Labels"]["org.opencontainers.image.version"] == "0.1.0"
    assert config["Labels"]["org.opencontainers.image.revision"] == REVISION
    plugins = {key.rpartition(".")[2]: text for key, text in config["Labels"].items() if ".plugin." in key}
    assert plugins == {
        "basic": "ocibuild-basic 0.1.0, hook API 1",
        "core": "ocibuild-core 0.1.0, hook API 1",
        "ecr": "ocibuild-ecr 0.1.0, hook API 1",
    }


def test_its_programs_are_there(task_image: TaskImage) -> None:
    programs = task_image.rootfs / "opt/ocibuild/bin"
    for name in ("build", "task", "ocibuild", "docker-credential-ocibuild", "pip"):
        assert os.access(programs / name, os.X_OK), name
    assert (task_image.rootfs / "usr/bin/git").exists()
    assert (task_image.rootfs / "scratch").stat().st_mode & 0o7777 == 0o1777


def test_it_is_small(task_image: TaskImage) -> None:
    assert sum(task_image.layer_sizes) <= LIMIT


def test_nothing_is_left_of_its_making(task_image: TaskImage) -> None:
    names = set(paths(task_image.rootfs))
    assert not {name for name in names if name.rpartition("/")[2] in {"gcc", "cc", "ld", "make", "mmdebstrap", "uv"}}
    assert not {name for name in names if name.startswith(("var/log/", "tmp/", "wheels/", "inside/", "root/.cache/"))}
    assert not {name for name in names if name.startswith("var/lib/apt/lists/") and not name.endswith("lock")}
    assert not {name for name in names if name.startswith("var/cache/apt/") and not name.endswith("lock")}
    assert not {name for name in names if name.endswith((".whl", ".deb", ".orig", "-old"))}
    assert not {name for name in names if "/cyclonedx" in name}
    assert not {name for name in names if "/tests/" in name and name.startswith("opt/")}
    # What says where the image was made.
    assert not names & {"etc/hostname", "etc/resolv.conf", "etc/machine-id"}


def test_bytecode_needs_no_look_at_the_sources(task_image: TaskImage) -> None:
    system = next(task_image.rootfs.glob("usr/lib/python3.*"))
    ours, debians = site(task_image).glob("ocibuild_core/**/*.pyc"), tuple(system.glob("__pycache__/*.pyc"))
    assert debians
    for compiled in (*ours, *debians):
        # The second word of a pyc: 1 is a hash that is not checked (PEP 552).
        assert compiled.read_bytes()[4:8] == b"\x01\x00\x00\x00", compiled
    sources = {path.stem for path in site(task_image).glob("ocibuild_core/*.py")}
    assert {path.name.partition(".")[0] for path in site(task_image).glob("ocibuild_core/__pycache__/*")} == sources


def test_the_bill_of_materials_lists_every_kind_of_part(task_image: TaskImage) -> None:
    bom = json.loads((task_image.rootfs / BOM).read_text())
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert bom["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    kinds: dict[str, dict[str, str]] = {}
    for component in bom["components"]:
        if "purl" not in component:  # the system
            continue
        kind = component["purl"].removeprefix("pkg:").partition("/")[0]
        kinds.setdefault(kind, {})[component["name"]] = component["version"]
    distributions = {path.name.split("-")[0].lower() for path in site(task_image).glob("*.dist-info")}
    assert {name.replace("-", "_").replace(".", "_") for name in kinds["pypi"]} == {
        name.replace(".", "_") for name in distributions
    }
    assert "ocibuild-no-perl" in kinds["deb"]
    assert kinds["deb"]["git"].startswith("1:2.")
    assert "github.com/moby/buildkit" in kinds["golang"]
    assert re.fullmatch(r"1\.[0-9.]+", kinds["golang"]["stdlib"])
    assert "libseccomp-dev" in kinds["deb"]  # linked into runc


def test_the_bill_of_materials_names_the_release_that_scanners_look_packages_up_by(task_image: TaskImage) -> None:
    components = json.loads((task_image.rootfs / BOM).read_text())["components"]
    [system] = [component for component in components if component["type"] == "operating-system"]
    assert (system["name"], system["version"]) == ("debian", "12")
    [git] = [component["purl"] for component in components if component["name"] == "git"]
    assert git.endswith(f"?arch={task_image.config['architecture']}&distro=debian-12")


def test_it_has_the_emulator_of_the_other_architecture_alone(task_image: TaskImage) -> None:
    [linked] = (task_image.rootfs / "opt/ocibuild/libexec/ocibuild").iterdir()
    assert linked.name == EMULATOR
    assert (task_image.rootfs / str(linked.readlink()).lstrip("/")).is_file()
    emulators = [name for name in paths(task_image.rootfs) if name.startswith("usr/bin/qemu-")]
    assert emulators == [f"usr/bin/qemu-{EMULATOR.partition('-')[0]}-static"]
    assert (task_image.rootfs / "usr/share/doc/qemu-user-static/copyright").is_file()
    bom = json.loads((task_image.rootfs / BOM).read_text())
    [listed] = [component for component in bom["components"] if component["name"] == "qemu-user-static"]
    assert listed["version"].startswith("1:7.")
    assert listed["licenses"] == [{"license": {"id": "GPL-2.0-only"}}]


def test_newuidmap_has_one_capability_instead_of_root(task_image: TaskImage) -> None:
    for name in ("newuidmap", "newgidmap"):
        assert (task_image.rootfs / "usr/bin" / name).stat().st_mode & 0o7777 == 0o755
    if os.geteuid() == 0:  # nobody else can unpack capabilities
        assert os.getxattr(task_image.rootfs / "usr/bin/newuidmap", "security.capability")
